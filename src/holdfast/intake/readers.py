"""Child processes that read strangers' files: started when needed, watched, ended; one file costs one child at most."""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from holdfast import errors
from holdfast.errors import FileRefused, HoldfastError
from holdfast.intake.erased import Erased
from holdfast.intake.storing import Destination, Stored
from holdfast.limits import Limits
from holdfast.records import from_json
from holdfast.schema import Schema, schema_to_json

GRACE_SECONDS = 5
"""How long a child may take to end after it was asked to."""

LOOK_EVERY = 0.1
ANSWER = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One file to be read, already opened, and where its rows go."""

    stream: BinaryIO
    name: str
    schema: Schema
    limits: Limits
    destination: Destination
    erased: Erased
    renamed: Mapping[str, str] = field(default_factory=dict)
    sheet: str | None = None

    def message(self) -> dict[str, Any]:
        """What the child is told."""
        return {
            "name": self.name,
            "schema": schema_to_json(self.schema),
            "limits": asdict(self.limits),
            "delivery": self.destination.delivery,
            "part": str(self.destination.part),
            "quarantine": str(self.destination.quarantine),
            "renamed": dict(self.renamed),
            "sheet": self.sheet,
            "key": (self.erased.key or b"").hex(),
            "tombstones": sorted(self.erased.tombstones),
        }


Progress = Callable[[str, int, int | None], None]


class ReaderKilled(HoldfastError):
    """A reading process was ended by somebody else, such as the system for want of memory: nobody knows why."""


KILLERS = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Child:
    """One reading process. After an error of `read` that is not a refusal it is gone."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-m", "holdfast.intake.child", str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.PIPE,  # which ends when this process does
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which then ends the child
            )
        self._socket = ours

    def read(self, request: Request, on_rows: Callable[[int, float], None]) -> Stored:
        """What became of the file's rows; `on_rows` is called with the rows read and the share of the file.

        Raises FileRefused when the file cannot be taken, or asked for more memory or time than the limits allow.
        """
        deadline = time.monotonic() + request.limits.seconds
        line = json.dumps(request.message()).encode() + b"\n"
        try:
            sent = socket.send_fds(self._socket, [line], [request.stream.fileno()])
            self._socket.sendall(line[sent:])
            for answer in self._answers(request, deadline):
                if "rows" in answer:
                    on_rows(answer["rows"], answer["share"])
                else:
                    return self._result(answer, request)
        except TimeoutError:
            self.end()
            hint = "deliver it in parts, or raise limits.seconds in config.json"
            message = f"reading it took more than {request.limits.seconds:,} seconds"
            raise FileRefused(message, file=request.name, hint=hint) from None
        except ConnectionError:
            pass
        raise self._died(request)

    @property
    def alive(self) -> bool:
        """True until the process was ended or has died."""
        return self._socket.fileno() >= 0

    @property
    def running(self) -> bool:
        """True until the process ends, whoever ends it."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._socket.close()
        self._process.kill()
        self._process.communicate(timeout=GRACE_SECONDS)

    def _answers(self, request: Request, deadline: float) -> Iterator[dict[str, Any]]:
        data = b""
        self._socket.settimeout(LOOK_EVERY)
        while True:
            self._watch(request, deadline)
            try:
                more = self._socket.recv(ANSWER)
            except TimeoutError:
                continue
            if not more:
                return
            *lines, data = (data + more).split(b"\n")
            yield from map(json.loads, lines)

    def _watch(self, request: Request, deadline: float) -> None:
        """Raises TimeoutError, or FileRefused, when reading takes longer or more memory than it may."""
        if time.monotonic() > deadline:
            raise TimeoutError
        if _resident(self._process.pid) > request.limits.memory_bytes:
            self.end()
            raise _too_much_memory(request)

    def _result(self, answer: dict[str, Any], request: Request) -> Stored:
        if "stored" in answer:
            return from_json(Stored, answer["stored"])
        if "error" in answer:
            raise _error(answer["error"])
        self.end()
        if "memory" in answer:
            raise _too_much_memory(request)
        raise HoldfastError(f"the reading process failed:\n{answer['bug']}", file=request.name)

    def _died(self, request: Request) -> HoldfastError:
        """Why the process is gone: what the file made it do is the file's fault, what others did is not."""
        self._socket.close()
        self._process.communicate(timeout=GRACE_SECONDS)
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            message = f"reading it took more than {request.limits.seconds:,} seconds of computing"
            return FileRefused(message, file=request.name, hint="deliver it in parts, or raise limits.seconds")
        if -status in KILLERS:
            return ReaderKilled(f"the process that read it was ended from outside ({signal.Signals(-status).name})")
        if status == -signal.SIGABRT:
            return _too_much_memory(request)
        message = f"the process that read it died ({signal.Signals(-status).name if status < 0 else status})"
        return FileRefused(message, file=request.name, hint="the file may be damaged or made to do harm")


class Readers:
    """Up to `most` reading processes, kept for the next file; use as a context manager, which ends them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: queue.SimpleQueue[Child] = queue.SimpleQueue()
        self._children: list[Child] = []

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.end()

    def read(self, requests: Sequence[Request], progress: Progress) -> Iterator[Stored | HoldfastError]:
        """What became of each file, in order: its rows, or the error that reading it ended in."""
        seen = _Seen(requests)
        with ThreadPoolExecutor(max_workers=self._most) as threads:
            futures = [threads.submit(self._read, request, seen) for request in requests]
            try:
                for future in futures:
                    while not future.done():
                        wait([future], LOOK_EVERY)
                        progress(seen.what, seen.rows, seen.expected)
                    yield _outcome(future)
            except BaseException:
                for future in futures:
                    future.cancel()
                for child in self._children:
                    child.end()
                raise

    def _read(self, request: Request, seen: _Seen) -> Stored:
        child = self._idle_child()
        try:
            return child.read(request, lambda rows, share: seen.note(request, rows, share))
        finally:
            if child.alive:
                self._idle.put(child)

    def _idle_child(self) -> Child:
        try:
            child = self._idle.get_nowait()
        except queue.Empty:
            self._children.append(Child())
            return self._children[-1]
        return child if child.running else self._idle_child()


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


def _resident(pid: int) -> int:
    """The memory that a process holds, in bytes; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):  # it has just ended, or there is no such file system
        return 0


def _size(request: Request) -> int:
    return os.fstat(request.stream.fileno()).st_size


def _outcome(future: Future[Stored]) -> Stored | HoldfastError:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, HoldfastError):
        return error
    raise error


def _error(record: Mapping[str, Any]) -> HoldfastError:
    """The error that the child met, of the same kind."""
    kinds = (FileRefused, errors.InputOutputError, errors.CannotWrite, errors.NotPermitted, HoldfastError)
    kind = next(kind for kind in kinds if kind.code == record["code"] or kind is HoldfastError)
    return kind(
        record["message"],
        file=record["file"],
        row=record["row"],
        column=record["column"],
        value=record["value_excerpt"],
        hint=record["hint"],
    )


def _too_much_memory(request: Request) -> FileRefused:
    message = f"reading it took more than {request.limits.memory_bytes:,} bytes of memory"
    hint = "deliver it in parts, or raise limits.memory_bytes in config.json"
    return FileRefused(message, file=request.name, hint=hint)
