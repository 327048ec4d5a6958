"""A delivery that is read apart: its rows come from a reading process, a batch at a time. Both ends of that line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa

from holdfast.errors import FileRefused
from holdfast.limits import Limits
from holdfast.records import RejectedRow, to_json
from holdfast.schema import schema_from_json, schema_to_json
from holdfast.sources.parsed import WHOLE_TABLE, Delivered, DeliveredFile, ParsedBatch, Reading
from holdfast.sources.readers import Answer, Question, Readers


@contextmanager
def open_apart(readers: Readers, stream: BinaryIO, name: str, reading: Reading) -> Iterator[DeliveredFile]:
    """The delivery in `stream`, which is at its start, as one of `readers` reads it within the limits of `reading`.

    Opening and reading raise what `open_delivery` does, and what `Child.ask` does. Who stops before the last row
    ends the reading process.
    """
    wanted = {"wanted": "rows", **words_of_reading(reading)}
    with readers.lend() as child:
        question = Question(stream=stream, name=name, limits=reading.limits, wanted=wanted)
        yield _Apart(child.ask(question), name)


@contextmanager
def open_corrected_apart(
    readers: Readers, stream: BinaryIO, name: str, header: Sequence[str], limits: Limits
) -> Iterator[DeliveredFile]:
    """The corrected table in `stream`, which is at its start, as one of `readers` reads it (see `CorrectedFile`).

    Opening and reading raise what `CorrectedFile` does, and what `Child.ask` does.
    """
    with readers.lend() as child:
        question = Question(stream=stream, name=name, limits=limits, wanted={"wanted": "corrections", "header": header})
        yield _Apart(child.ask(question), name)


class _Apart:
    """A delivery as answers tell of it; it meets `DeliveredFile`."""

    def __init__(self, answers: Iterator[Answer], name: str) -> None:
        opened = next(answers).words
        self.name = name
        self.header: tuple[str, ...] = tuple(opened["header"])
        self.names: tuple[str, ...] = tuple(opened["names"])
        self.notices: tuple[str, ...] = tuple(opened["notices"])
        self.rows = 0
        self.digest = ""
        self._answers = answers

    def __iter__(self) -> Iterator[ParsedBatch]:
        for answer in self._answers:
            if "done" in answer.words:
                self.digest = answer.words["done"]["digest"]
                self.notices = tuple(answer.words["done"]["notices"])
            else:
                self.rows = answer.words["rows"]
                yield _batch_of(answer, self.name)


# ---- what is said


def words_of_reading(reading: Reading) -> dict[str, Any]:
    """How a delivery is to be read, but for the limits."""
    return {
        "schema": None if reading.schema == WHOLE_TABLE else schema_to_json(reading.schema),
        "renamed": dict(reading.renamed),
        "sheet": reading.sheet,
        "target_required": reading.target_required,
    }


def reading_in(words: Mapping[str, Any]) -> Reading:
    """What `words_of_reading` told, with the limits."""
    return Reading(
        schema=WHOLE_TABLE if words["schema"] is None else schema_from_json(words["schema"]),
        limits=Limits(**words["limits"]),
        renamed=words["renamed"],
        sheet=words["sheet"],
        target_required=words["target_required"],
    )


def answer_that_opened(delivered: DeliveredFile) -> Answer:
    """What is known before the first row."""
    return Answer({"header": delivered.header, "names": delivered.names, "notices": delivered.notices})


def answer_of_batch(parsed: ParsedBatch, rows: int) -> Answer:
    """Some rows, and how many were read with them."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, parsed.rows.schema) as stream:
        stream.write_batch(parsed.rows)
    data = sink.getvalue().to_pybytes()
    refused = {"rejected": to_json(parsed.rejected), "unlabelled": to_json(parsed.unlabelled)}
    return Answer({"rows": rows, "bytes": len(data), **refused}, data)


def answer_at_the_end(delivered: Delivered) -> Mapping[str, Any]:
    """What is known after the last row."""
    return {"digest": delivered.digest, "notices": delivered.notices}


def _batch_of(answer: Answer, name: str) -> ParsedBatch:
    try:
        batch = pa.ipc.open_stream(answer.data).read_next_batch()
        batch.validate(full=True)  # it comes from where a stranger's file was read
    except (pa.ArrowException, OSError, StopIteration):
        hint = "the file may be damaged or made to do harm"
        raise FileRefused("the process that read it no longer made sense", file=name, hint=hint) from None
    rejected, unlabelled = (
        tuple(RejectedRow(**row) for row in answer.words[kind]) for kind in ("rejected", "unlabelled")
    )
    return ParsedBatch(batch, rejected, unlabelled)
