"""Files become parts of the dataset: read by several reading processes at once; one file costs one of them at most."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import BinaryIO

from holdfast.errors import HoldfastError
from holdfast.intake.erased import Erased
from holdfast.intake.storing import Destination, Stored
from holdfast.progress import Progress
from holdfast.records import from_json
from holdfast.sources.apart import words_of_reading
from holdfast.sources.parsed import Reading
from holdfast.sources.readers import LOOK_EVERY, Child, Question, Readers


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One file to be read, already opened, and where its rows go."""

    stream: BinaryIO
    name: str
    reading: Reading
    destination: Destination
    erased: Erased

    def question(self) -> Question:
        """What a reading process is asked."""
        wanted = {
            "wanted": "part",
            **words_of_reading(self.reading),
            "delivery": self.destination.delivery,
            "part": str(self.destination.part),
            "quarantine": str(self.destination.quarantine),
            "key": (self.erased.key or b"").hex(),
            "tombstones": sorted(self.erased.tombstones),
        }
        return Question(stream=self.stream, name=self.name, limits=self.reading.limits, wanted=wanted)


def store_file(child: Child, request: Request, on_rows: Callable[[int, float], None]) -> Stored:
    """What became of the file's rows; `on_rows` is called with the rows read and the share of the file.

    Raises what `Child.ask` does.
    """
    for answer in child.ask(request.question()):
        if "rows" in answer.words:
            on_rows(answer.words["rows"], answer.words["share"])
        else:
            return from_json(Stored, answer.words["done"])
    raise AssertionError("a question is answered, or the answers raise")


def store_files(readers: Readers, requests: Sequence[Request], progress: Progress) -> Iterator[Stored | HoldfastError]:
    """What became of each file, in order: its rows, or the error that reading it ended in."""
    seen = _Seen(requests)

    def store(request: Request) -> Stored:
        with readers.lend() as child:
            return store_file(child, request, lambda rows, share: seen.note(request, rows, share))

    with ThreadPoolExecutor(max_workers=readers.most) as threads:
        futures = [threads.submit(store, request) for request in requests]
        try:
            for future in futures:
                while not future.done():
                    wait([future], LOOK_EVERY)
                    progress(seen.what, seen.rows, seen.expected)
                yield _outcome(future)
        except BaseException:
            for future in futures:
                future.cancel()
            readers.end()
            while wait(futures, LOOK_EVERY).not_done:  # one may just have started another process
                readers.end()
            raise


class _Seen:
    """How far the files are that are being read."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._sizes = {request.destination.delivery: _size(request) for request in requests}
        self._rows: dict[int, tuple[int, float]] = {}
        self.what = "reading"

    def note(self, request: Request, rows: int, share: float) -> None:
        """So many rows of a file have been read, which is this share of it."""
        self._rows[request.destination.delivery] = rows, share
        self.what = f"reading {request.name}"

    @property
    def rows(self) -> int:
        """Rows read so far."""
        return sum(rows for rows, _ in self._rows.copy().values())

    @property
    def expected(self) -> int | None:
        """About how many rows all the files have, judged by the bytes read so far."""
        read = sum(self._sizes[delivery] * share for delivery, (_, share) in self._rows.copy().items())
        return round(self.rows * sum(self._sizes.values()) / read) if read else None


def _size(request: Request) -> int:
    return os.fstat(request.stream.fileno()).st_size


def _outcome(future: Future[Stored]) -> Stored | HoldfastError:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, HoldfastError):
        return error
    raise error
