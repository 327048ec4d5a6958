"""A delivery read by another process is what it is when it is read here: header, rows, refusals, notices, digest."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import FileRefused, HoldfastError
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA, schema_from_json
from holdfast.sources.apart import (
    answer_of_batch,
    open_apart,
    reading_in,
    words_of_reading,
)
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import WHOLE_TABLE, DeliveredFile, ParsedBatch, Reading
from holdfast.sources.readers import Answer, Child, Question, Readers

HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"
BRIEF = Reading(schema=BRIEF_SCHEMA)


@pytest.fixture(scope="module")
def pool() -> Iterator[Readers]:
    with Readers(1) as readers:
        yield readers


def contents(delivered: DeliveredFile) -> dict[str, Any]:
    """All that can be learned from a delivery."""
    batches = list(delivered)
    return {
        "header": delivered.header,
        "names": delivered.names,
        "rows": [row for parsed in batches for row in parsed.rows.to_pylist()],
        "types": batches[0].rows.schema,
        "rejected": [row for parsed in batches for row in parsed.rejected],
        "unlabelled": [row for parsed in batches for row in parsed.unlabelled],
        "counted": delivered.rows,
        "notices": delivered.notices,
        "digest": delivered.digest,
    }


def here(data: bytes, name: str, reading: Reading) -> Any:
    try:
        return contents(open_delivery(io.BytesIO(data), name, reading))
    except HoldfastError as error:
        return error.record()


def apart(pool: Readers, path: Path, data: bytes, name: str, reading: Reading) -> Any:
    path.write_bytes(data)
    try:
        with path.open("rb") as stream, open_apart(pool, stream, name, reading) as delivered:
            return contents(delivered)
    except HoldfastError as error:
        return error.record()


def workbook(*rows: list[Any]) -> bytes:
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


def parquet(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def csv(*rows: str, header: str = HEADER) -> bytes:
    return "".join(f"{row}\n" for row in (header, *rows)).encode()


MIXED = csv("acme,1,2,3,0", "beta,x,2,3,1", "gamma,4,5,6,?", "short,1", "=1+1,7,8,9,")
COLUMNS = {"corporation": ["a", "b"], "lastmonth_activity": [1, None], "lastyear_activity": [1.0, 2.5]}
TABLE = pa.table({**COLUMNS, "number_of_employees": [1, 2], "exited": [True, False], "tags": [["x"], ["y"]]})
FILES = {
    "mixed.csv": MIXED,
    "mixed.csv.gz": gzip.compress(MIXED),
    "a.parquet": parquet(TABLE),
    "a.xlsx": workbook([*HEADER.split(","), "note", None], ["acme", 1, 2, 3, 0, "x", "beside"], ["b", "x", 2, 3, 1]),
    "header.csv": csv(),
    "empty.csv": b"",
    "cut.csv": MIXED[:-3],
    "two.csv": csv("a,1,2,3,0,5", header=f"{HEADER},Exited"),
    "pdf.csv": b"%PDF-1.7",
    "csv.parquet": MIXED,
    "many.csv": csv(*(f"c{n},{n},2,3,{n % 3}" for n in range(200_000))),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("whole", [False, True])
def test_a_file_is_the_same_here_and_apart(pool: Readers, tmp_path: Path, name: str, whole: bool) -> None:
    reading = Reading(schema=WHOLE_TABLE) if whole else BRIEF
    assert apart(pool, tmp_path / "file", FILES[name], name, reading) == here(FILES[name], name, reading)


def test_all_that_a_reading_says_is_told(pool: Readers, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["nothing"])
    sheet = book.create_sheet("Clients")
    for row in (["Firm", *HEADER.split(",")[1:4]], ["acme", 1, 2, 3]):
        sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    reading = replace(BRIEF, sheet="Clients", renamed={"Firm": "corporation"}, target_required=False)
    found = apart(pool, tmp_path / "file", stream.getvalue(), "a.xlsx", reading)
    assert [row["corporation"] for row in found["rows"]] == ["acme"]
    assert found == here(stream.getvalue(), "a.xlsx", reading)


SCHEMA = schema_from_json(
    {
        "client": None,
        "target": {"column": "left", "exited": "yes", "stayed": "no"},
        "time": {"column": "day", "earliest": "2020-01-01"},
        "features": {"visits": {"type": "integer", "minimum": 0}, "plan": {"type": "category", "categories": ["a"]}},
    }
)


@pytest.mark.parametrize("schema", [BRIEF_SCHEMA, SCHEMA, WHOLE_TABLE])
def test_a_reading_survives_the_way(schema: Any) -> None:
    reading = Reading(schema=schema, limits=Limits(columns=7), renamed={"a": "b"}, sheet="S", target_required=False)
    question = Question(stream=io.BytesIO(), name="a", limits=reading.limits, wanted=words_of_reading(reading))
    assert reading_in(json.loads(question.line())) == reading


def test_the_limits_hold_there(pool: Readers, tmp_path: Path) -> None:
    found = apart(pool, tmp_path / "file", MIXED, "a.csv", replace(BRIEF, limits=Limits(columns=4)))
    assert found["message"] == "5 columns; at most 4 are read"
    found = apart(pool, tmp_path / "file", FILES["many.csv"], "a.csv", replace(BRIEF, limits=Limits(memory_bytes=1)))
    assert found["message"] == "reading it took more than 1 bytes of memory"


def test_who_stops_early_can_read_the_next_file(pool: Readers, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_bytes(FILES["many.csv"])
    with path.open("rb") as stream, open_apart(pool, stream, "many.csv", BRIEF) as delivered:
        next(iter(delivered))
    assert apart(pool, tmp_path / "file", MIXED, "a.csv", BRIEF) == here(MIXED, "a.csv", BRIEF)


@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_bytes_that_are_no_rows_are_refused_whatever_they_are(data: bytes, place: int) -> None:
    batch = pa.record_batch({"corporation": ["acme", "beta"], "_line": [2, 3]})
    whole = answer_of_batch(ParsedBatch(batch, ()), 2)
    spoilt = whole.data[: place % len(whole.data)] + data
    with suppress(FileRefused):
        received(Answer({**whole.words, "bytes": len(spoilt)}, spoilt)).rows.validate(full=True)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x80", b"ARROW1"])
def test_an_answer_without_rows_in_it_is_the_files_fault(data: bytes) -> None:
    with pytest.raises(FileRefused, match="the process that read it no longer made sense") as caught:
        received(Answer({"rows": 1, "bytes": len(data), "rejected": [], "unlabelled": []}, data))
    assert caught.value.file == "a.csv"


def received(answer: Answer) -> ParsedBatch:
    """What is made of such an answer."""

    class Parrot(Child):
        def __init__(self) -> None:
            self.at_rest = True

        alive = running = True
        memory = 0

        def end(self) -> None:
            pass

        def ask(self, _question: Question) -> Iterator[Answer]:
            yield Answer({"header": [], "names": [], "notices": []})
            yield answer

    pool = Readers(1)
    pool._idle.append(Parrot())
    with ExitStack() as stack:
        delivered = stack.enter_context(open_apart(pool, io.BytesIO(), "a.csv", BRIEF))
        return next(iter(delivered))
