"""The fault catalogue of source files, C1 to C23: each fault as a fixture with its expected outcome.

Faults that lie still are files of one table, all delivered together in one inbox, beside a good file: none of them may
stop another. Faults that move (writers, links, bombs, crashes) have a test each. All are read by reading processes.
"""

from __future__ import annotations

import ast
import csv
import gzip
import io
import itertools
import json
import os
import signal
import stat
import struct
import subprocess
import threading
import time
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.dataset import quarantine_of, table_of
from holdfast.errors import FileRefused, NoUsableData
from holdfast.intake import finding, taking
from holdfast.intake.reading_files import Request, store_files
from holdfast.limits import Limits
from holdfast.records import IngestRecord, RejectedRow, SourceFile, from_json, to_json
from holdfast.schema import BRIEF_SCHEMA, LINE, schema_from_json
from holdfast.session import exit_status_of
from holdfast.sources import readers
from holdfast.sources.casting import cast
from holdfast.sources.csvfile import UNFINISHED, CsvFile
from holdfast.sources.files import digest_of_delivery
from holdfast.sources.parsed import Reading
from holdfast.sources.readers import Answer, Child, Question, Readers
from holdfast.sources.unpacking import Hashed
from holdfast.steps.ingestion import ingest
from holdfast.steps.schemas import check_file
from holdfast.steps.status import status
from holdfast.steps.training import train
from holdfast.store.quarantine import held_rows
from holdfast.workspace import Workspace

NAMES = BRIEF_SCHEMA.names
HEADER = ",".join(NAMES)
GOOD = "good,1,2,3,0"


def table(*rows: str, header: str = HEADER, end: str = "\n") -> bytes:
    return "".join(f"{row}{end}" for row in (header, *rows)).encode()


def parquet(rows: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(rows, stream, **options)
    return stream.getvalue()


def columns(**changed: pa.Array) -> pa.Table:
    cells: dict[str, Any] = dict(zip(NAMES, (["acme", "beta"], [1, 2], [2, 3], [3, 4], [0, 1]), strict=True))
    return pa.table(cells | changed)


def excel(*rows: list[object]) -> bytes:
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in [list(NAMES), *rows]:
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return stream.getvalue()


# ---- faults that lie still

Place = tuple[int, str | None, str]


@dataclass(frozen=True, kw_only=True)
class Fixture:
    """A file, and what is to become of it.

    Either it is refused: the message (or a part of it), the row and the beginning of the hint. Or it is taken: its
    rows in the dataset, the places of those in quarantine (line, column, rule), and the notices.
    """

    fault: str
    data: bytes
    ending: str = ".csv"
    refused: str | None = None
    row: int | None = None
    hint: str = ""
    rows: tuple[str, ...] = ()
    quarantined: tuple[Place, ...] = ()
    kept_without_label: int = 0
    unlabelled: int = 0
    notices: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        return "refused" if self.refused else "a row is quarantined" if self.quarantined else "taken"


def with_row(fault: str, row: str, column: str | None, rule: str) -> Fixture:
    """Between two good rows stands one that is to be quarantined."""
    rows = ("before,1,2,3,0", "after,1,2,3,1")
    return Fixture(fault=fault, data=table(rows[0], row, rows[1]), rows=rows, quarantined=((3, column, rule),))


WORDS = "Müller,1,2,3,0"
TWINS = (unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë"))
IDS = ("NA", "null", "None", "NaN", "TRUE", "0012", "12", "1e5", "🦊", " a ", "a", "A", "=1+1", "x" * 10_240, *TWINS)
QUOTED = ('"a, ""b""",1,2,3,0,"one\ntwo"', '"c",1,2,3,"1",', 'bad,x,2,3,0,"one\r\ntwo\r\nthree"', "d,1,2,3,0,")
CONTROLS = {
    "NUL": "a\0b",
    "bell": "a\x07b",
    "ANSI escape": "\x1b[31mred",
    "delete": "a\x7f",
    "C1 control": "a\u0085b",
    "right-to-left mark": "a\u200fb",
    "right-to-left override": "a\u202eb",
    "byte order mark": "\ufeffa",
    "line separator": "a\u2028b",
    "tab": "tab\there",
}
NO_NUMBERS = ("inf", "-Infinity", "1e400", "1e3", "0x10", "1_000", "٣", "३", "\uff11", "½", "seven", "1.5", "--1", "+")
DISGUISES = {
    "an HTML or XML page": b"<!DOCTYPE html><title>502 Bad Gateway</title>",
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "a zip archive or an Excel workbook": excel(["acme", 1, 2, 3, 0]),
    "a gzip archive": gzip.compress(table("acme,1,2,3,0")),
    "a Parquet file": parquet(columns()),
    "an old Excel workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "a JSON document": b'{"error": "not found"}',
}
SAME_IN_PARQUET = {
    "dictionary": {"corporation": pa.array(["acme", "beta"]).dictionary_encode()},
    "large text": {"corporation": pa.array(["acme", "beta"], pa.large_string())},
    "decimal": {"lastmonth_activity": pa.array([1, 2], pa.decimal128(10, 2))},
    "double": {"lastmonth_activity": pa.array([1.0, 2.0])},
    "text": {"lastmonth_activity": pa.array(["1", "2"])},
    "boolean label": {"exited": pa.array([False, True])},
}


def delimiters_and_encodings() -> Iterator[Fixture]:
    """C7 and C8."""
    for word, mark in {"semicolons": ";", "tabs": "\t", "vertical bars": "|"}.items():
        yield Fixture(
            fault=f"C7 {word} between the fields",
            data=table("acme,1,2,3,0").replace(b",", mark.encode()),
            refused=f"expected 5 columns named {', '.join(NAMES)}; found 1",
            hint=f"the fields look separated by {word}; save the file with commas",
        )
    for number in ("1,5", "1,024", "1.024", "1 024", "1'024", "1.024,5", "1,024.5"):
        yield with_row(f"C7 {number}", f'acme,"{number}",2,3,0', "lastmonth_activity", "not a whole number")
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        yield Fixture(fault=f"C8 {encoding}", data=table(WORDS).decode().encode(encoding), refused="UTF-16")
    yield Fixture(fault="C8 UTF-8 with a mark", data=b"\xef\xbb\xbf" + table(WORDS), rows=(WORDS,))
    for fault, before in (("latin-1", table()), ("mixed", table("Äpfel,1,2,3,0"))):
        yield Fixture(
            fault=f"C8 {fault}",
            data=before + WORDS.encode("latin-1"),
            refused=f"not UTF-8 text (perhaps Latin-1 or Windows-1252) at byte {len(before) + 2}",
            row=before.count(b"\n") + 1,
        )


def texts() -> Iterator[Fixture]:
    """C9, C10, C11."""
    for fault, client in CONTROLS.items():
        yield with_row(f"C9 {fault}", f"{client},1,2,3,0", "corporation", "control character")
    for fault, end in {"LF": "\n", "CRLF": "\r\n", "CR": "\r", "CRCRLF": "\r\r\n"}.items():
        yield Fixture(
            fault=f"C10 {fault}",
            data=table("acme,1,2,3,0", "bad,x,2,3,0", "beta,4,5,6,1", end=end),
            rows=("acme,1,2,3,0", "beta,4,5,6,1"),
            quarantined=((3, "lastmonth_activity", "not a whole number"),),
        )
    yield Fixture(
        fault="C10 quoted line ends and quotes",
        data=table(*QUOTED, header=f"{HEADER},note"),
        rows=('a, "b",1,2,3,0', "c,1,2,3,1", "d,1,2,3,0"),
        quarantined=((5, "lastmonth_activity", "not a whole number"),),
        notices=("1 column not in the schema is left out: note",),
    )
    for opened in range(2, 8):
        rows = [f"c{line},1,2,3,0" for line in range(2, 8)]
        rows[opened - 2] = f'"{rows[opened - 2]}'
        told = "a quote opens in this line and is not closed properly"
        yield Fixture(fault=f"C11 a quote opened in line {opened}", data=table(*rows), refused=told, row=opened)


def shapes() -> Iterator[Fixture]:
    """C12, C13, C14: sizes, columns, ragged rows."""
    longest = ("x" * 65_536 + ",1,2,3,0", "y" * 65_537 + ",1,2,3,0", "z,1,2,3,0")
    yield Fixture(
        fault="C12 a field of 64 KiB and a longer one",
        data=table(*longest),
        rows=(longest[0], longest[2]),
        quarantined=((3, "corporation", "longer than 65,536 characters"),),
    )
    yield Fixture(
        fault="C13 reordered", data=table("0,3,2,1,acme", header=",".join(NAMES[::-1])), rows=("acme,1,2,3,0",)
    )
    for missing in NAMES:
        header = ",".join(name for name in NAMES if name != missing)
        yield Fixture(
            fault=f"C13 no {missing}",
            data=table("1,2,3,4", header=header),
            refused=f"no column '{missing}'. Found: ",
            row=1,
        )
    yield Fixture(
        fault="C13 extra columns",
        data=table("x,acme,1,2,3,0,y", header=f"note,{HEADER},remark"),
        rows=("acme,1,2,3,0",),
        notices=("2 columns not in the schema are left out: note, remark",),
    )
    yield Fixture(
        fault="C13 a column twice",
        data=table("acme,1,2,3,0,1", header=f"{HEADER},exited"),
        refused="this column appears more than once",
    )
    for variant in ("Exited", " exited", "EXITED"):
        yield Fixture(
            fault=f"C13 '{variant}' beside exited",
            data=table("acme,1,2,3,0,1", header=f"{HEADER},{variant}"),
            refused="differ only in case or spaces",
        )
    for variant in ("Exited", "exited ", "exitd"):
        yield Fixture(
            fault=f"C13 '{variant}' for exited",
            data=table("acme,1,2,3,0", header=HEADER.replace("exited", variant)),
            refused="no column 'exited'. Found: ",
            hint=f"did you mean '{variant}'? Rename '{variant}' to 'exited'",
        )
    for row, found in (("acme,1,2,3", 4), ("acme,1,2,3,0,9", 6), ("acme", 1), (",,,,,,,", 8)):
        yield with_row(f"C14 {found} fields", row, None, f"fields: {found} instead of 5")
    for count in (1, 5):
        yield Fixture(
            fault=f"C14 one extra field in every row of {count}",
            data=table(*["0,acme,1,2,3,0"] * count),
            refused="no row has as many fields as the header; 6 instead of 5 in this one",
            row=2,
        )


def values() -> Iterator[Fixture]:
    """C15 to C18: numbers, labels, ids, few bytes."""
    for cell in NO_NUMBERS:
        yield with_row(f"C15 {cell}", f"acme,1,{cell},3,0", "lastyear_activity", "not a whole number")
    for cell in ("", "NaN", "NA", "null", " "):
        yield with_row(f"C15 '{cell}'", f"acme,1,{cell},3,0", "lastyear_activity", "missing")
    for digits in (19, 5_000):
        yield with_row(f"C15 {digits} digits", f"acme,1,{'9' * digits},3,0", "lastyear_activity", "not a whole number")
    yield with_row("C15 -1", "acme,1,-1,3,0", "lastyear_activity", "below the minimum 0")
    exact = tuple(f"acme,{number},2,3,0" for number in (2**53 + 1, 10**18 - 1, 0))
    yield Fixture(fault="C15 2^53+1 and 10^18-1", data=table(*exact), rows=exact)
    for label, strange in (("yes", 1), ("0.7", 1), ("2", 1), ("", 0), ("NA", 0)):
        told = "1 label is not 0 or 1, from line 3 on; rows like that are kept without a label"
        yield Fixture(
            fault=f"C16 the label '{label}'",
            data=table("acme,1,2,3,1", f"beta,1,2,3,{label}"),
            rows=("acme,1,2,3,1", "beta,1,2,3,"),
            kept_without_label=strange,
            unlabelled=1,
            notices=(told,) * strange,
        )
    ids = tuple(f"{client},1,2,3,0" for client in IDS)
    yield Fixture(
        fault="C17 ids that look like something else, and twins",
        data=table(*ids),
        rows=ids,
        notices=(
            "1 client id is not in Unicode's composed form; they may look like others that are, and are other clients",
        ),
    )
    yield Fixture(fault="C18 zero bytes", data=b"", refused="the file is empty")
    yield Fixture(fault="C18 a header alone", data=table(), notices=("a header and no rows",))
    yield Fixture(fault="C18 one row", data=table("alone,1,2,3,0"), rows=("alone,1,2,3,0",))


def other_kinds() -> Iterator[Fixture]:
    """C20 and C21: disguises, and Parquet."""
    for what, data in DISGUISES.items():
        yield Fixture(fault=f"C20 {what} called .csv", data=data, refused=what, hint="export it as CSV UTF-8")
    for ending, told in {
        ".csv.gz": "not a gzip archive: begins with 'corporat'",
        ".parquet": "not a Parquet file: begins with 'corporat'",
        ".xlsx": "not an Excel workbook",
    }.items():
        data = table(f"{ending},1,2,3,0")
        yield Fixture(fault=f"C20 CSV called {ending}", data=data, ending=ending, refused=told)
    rows = ("packed,1,2,3,0", "packed,4,5,6,1")
    packed = gzip.compress(table(*rows))
    yield Fixture(fault="C20 gzip called .csv.gz", data=packed, ending=".csv.gz", rows=rows)
    twice = gzip.compress(packed)
    yield Fixture(fault="C20 gzip in gzip", data=twice, ending=".csv.gz", refused="begins with")
    book = excel(["bound", 1, 2, 3, 0])
    yield Fixture(fault="C20 Excel called .xlsx", data=book, ending=".xlsx", rows=("bound,1,2,3,0",))
    archives = zipped("b.zip", zipped("a.csv", table("acme,1,2,3,0")))
    yield Fixture(fault="C20 zip of zips", data=archives, ending=".xlsx", refused="not an Excel workbook")
    for kind, change in SAME_IN_PARQUET.items():
        data = parquet(columns(**change))
        yield Fixture(fault=f"C21 {kind}", data=data, ending=".parquet", rows=("acme,1,2,3,0", "beta,2,3,4,1"))
    yield Fixture(
        fault="C21 cells that break a rule",
        data=parquet(columns(lastmonth_activity=pa.array([None, 2.5]), exited=pa.array([0, 7]))),
        ending=".parquet",
        quarantined=((1, "lastmonth_activity", "missing"), (2, "lastmonth_activity", "not a whole number")),
    )
    whole = parquet(columns())
    for fault, data, told in (
        ("no exited", parquet(columns().drop_columns(["exited"])), "no column 'exited'"),
        ("a list", parquet(columns(corporation=pa.array([["a"], ["b"]]))), "cells of the type list"),
        ("a struct", parquet(columns(corporation=pa.array([{"a": 1}, {"a": 2}]))), "cells of the type struct"),
        ("a cut footer", whole[:-1], "a damaged one"),
        ("a huge footer", whole[:-8] + b"\xff\xff\xff\x7fPAR1", "a damaged one"),
        ("a footer of zeros", b"PAR1" + bytes(200) + struct.pack("<i", 100) + b"PAR1", "a damaged one"),
        ("no footer", b"PAR1PAR1", "a damaged one"),
    ):
        yield Fixture(fault=f"C21 {fault}", data=data, ending=".parquet", refused=told)


FIXTURES = (*delimiters_and_encodings(), *texts(), *shapes(), *values(), *other_kinds())


@dataclass
class Shelf:
    """All fixtures, delivered together once."""

    workspace: Workspace
    record: IngestRecord
    again: IngestRecord
    rows: dict[int, list[str]]

    @classmethod
    def filled(cls, workspace: Workspace) -> Shelf:
        (workspace.input_folder / "good.csv").write_bytes(table(GOOD))
        for number, fixture in enumerate(FIXTURES):
            (workspace.input_folder / name_of(number)).write_bytes(fixture.data)
        record = ingest(workspace)
        rows: dict[int, list[str]] = {}
        for part in table_of(workspace).parts():
            for row in pq.read_table(part.path).to_pylist():
                cells = ["" if row[name] is None else str(row[name]) for name in NAMES]
                rows.setdefault(row["_delivery"], []).append(",".join(cells))
        return cls(workspace, record, ingest(workspace), rows)

    def file(self, name: str) -> SourceFile:
        return next(file for file in self.record.files if file.name == name)


def name_of(number: int) -> str:
    return f"{number:03}{FIXTURES[number].ending}"


@pytest.fixture(scope="session")
def shelves() -> list[Shelf]:
    return []


@pytest.fixture
def shelf(
    shelves: list[Shelf], make_company: Callable[[Path], Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Shelf:
    if not shelves:
        workspace = make_company(tmp_path_factory.mktemp("shelf") / "company")
        for path in workspace.input_folder.iterdir():
            path.unlink()
        shelves.append(Shelf.filled(workspace))
    return shelves[0]


@pytest.mark.parametrize(
    "number", range(len(FIXTURES)), ids=[ascii(f"{fixture.fault}: {fixture.outcome}") for fixture in FIXTURES]
)
def test_the_outcome_of(shelf: Shelf, number: int) -> None:
    fixture, file = FIXTURES[number], shelf.file(name_of(number))
    rejected = [held for held in held_rows(quarantine_of(shelf.workspace, file)) if not held.kept]
    assert file.rows == file.accepted + file.duplicate + file.quarantined
    assert shelf.rows.get(file.number, []) == list(fixture.rows)
    if fixture.refused:
        assert (file.status, file.rows, rejected) == ("refused", 0, [])
        assert file.error is not None
        assert (file.error["code"], file.error["file"]) == ("file-refused", file.name)
        assert fixture.refused in file.error["message"]
        assert fixture.row in {None, file.error["row"]}
        assert (file.error["hint"] or "").startswith(fixture.hint)
        shown = (file.error["message"], file.error["value_excerpt"] or "", file.error["hint"] or "")
        assert all(text.isprintable() for text in shown)
    else:
        assert file.status == "accepted"
        assert file.rows == len(fixture.rows) + len(fixture.quarantined)
        assert [(held.row.line, held.row.column, held.row.rule) for held in rejected] == list(fixture.quarantined)
        assert file.unlabelled == fixture.unlabelled
        assert file.notices == tuple(f"{file.name}: {notice}" for notice in fixture.notices)


@pytest.mark.parametrize("number", range(len(FIXTURES)), ids=[ascii(fixture.fault) for fixture in FIXTURES])
def test_a_check_tells_beforehand_what_becomes_of(shelf: Shelf, number: int) -> None:
    path, file = shelf.workspace.input_folder / name_of(number), shelf.file(name_of(number))
    if file.error:
        with pytest.raises(FileRefused) as caught:
            check_file(shelf.workspace, path)
        assert caught.value.record(file.error["run_id"]) == file.error
        return
    check = check_file(shelf.workspace, path)
    assert check.digest == file.digest
    assert check.rows == check.accepted + check.duplicate + check.quarantined == file.rows
    assert check.quarantined == file.quarantined
    assert check.accepted >= file.accepted  # where another file has brought a row before
    assert check.unlabelled == file.unlabelled
    said = [
        notice for notice in file.notices if "kept without a label" not in notice and "a header and no" not in notice
    ]
    assert list(check.notices) == said
    held = list(held_rows(quarantine_of(shelf.workspace, file)))
    counted = Counter((each.row.column, each.row.rule, not each.kept) for each in held)
    assert {(rule.column, rule.rule, rule.quarantined): rule.rows for rule in check.broken} == counted


def test_the_text_of_a_quarantined_row_is_its_line(shelf: Shelf) -> None:
    lines = {name_of(number): fixture.data for number, fixture in enumerate(FIXTURES) if fixture.ending == ".csv"}
    for name, data in lines.items():
        for held in held_rows(quarantine_of(shelf.workspace, shelf.file(name))):
            end = "\r" if b"\n" not in data else "\n"
            text = "\n".join(data.decode().split(end)[held.row.line - 1 :])
            assert text.startswith(held.row.text.replace("\r\n", "\n") if end == "\r" else held.row.text)


def test_labels_that_are_none_are_kept_in_quarantine_beside_the_rows_that_were_taken(shelf: Shelf) -> None:
    for number, fixture in enumerate(FIXTURES):
        held = held_rows(quarantine_of(shelf.workspace, shelf.file(name_of(number))))
        assert sum(each.kept for each in held) == fixture.kept_without_label


def test_none_of_them_stops_the_good_file_and_all_are_known_afterwards(shelf: Shelf) -> None:
    assert shelf.rows[shelf.file("good.csv").number] == [GOOD]
    assert len(shelf.record.files) == len(FIXTURES) + 1
    assert exit_status_of(shelf.record) == 3
    assert (shelf.again.files, shelf.again.known) == ((), len(FIXTURES) + 1)
    assert shelf.again.dataset == shelf.record.dataset


def test_no_two_of_them_are_the_same_bytes() -> None:
    assert len({fixture.data for fixture in FIXTURES}) == len(FIXTURES)


# ---- faults that move


def rows_of(workspace: Workspace) -> list[str]:
    text = (workspace.output_folder / "finaldata.csv").read_text()
    return [",".join(row) for row in csv.reader(io.StringIO(text, newline=""))][1:]


@dataclass
class Outcome:
    """What became of the fixture: its rows in the dataset, the refused ones, and what was said."""

    status: int
    file: SourceFile | None
    rows: list[str]
    rejected: list[RejectedRow]
    notices: tuple[str, ...]
    deferred: tuple[str, ...] = ()

    @property
    def error(self) -> dict[str, Any]:
        assert self.file is not None
        assert self.file.error is not None
        return self.file.error

    @property
    def places(self) -> list[tuple[int, str | None, str]]:
        return [(row.line, row.column, row.rule) for row in self.rejected]


@dataclass
class Inbox:
    """A workspace with one good file, to which faults are delivered."""

    workspace: Workspace
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.workspace.input_folder
        (self.folder / "good.csv").write_bytes(table(GOOD))

    def take(self, data: bytes, name: str = "fault.csv") -> Outcome:
        """Deliver the bytes under this name and ingest."""
        (self.folder / name).write_bytes(data)
        return self.ingest(name)

    def ingest(self, name: str = "fault.csv") -> Outcome:
        """Ingest; what became of the file with this name."""
        record = ingest(self.workspace)
        for file in record.files:
            assert file.rows == file.accepted + file.duplicate + file.quarantined + file.erased
        rows = rows_of(self.workspace)
        assert record.dataset.rows == len(rows)
        rows.remove(GOOD)  # the good file is taken, whatever lies beside it
        return Outcome(
            status=exit_status_of(record),
            file=next((file for file in record.files if file.name == name), None),
            rows=rows,
            rejected=list(record.rejected),
            notices=record.notices,
            deferred=record.deferred,
        )

    def refused(self, data: bytes, name: str = "fault.csv") -> dict[str, Any]:
        """Why the file with these bytes is refused as a whole."""
        outcome = self.take(data, name)
        assert (outcome.status, outcome.rows, outcome.rejected) == (3, [], [])
        assert outcome.file is not None
        assert outcome.file.status == "refused"
        assert outcome.error["file"] == name
        for text in (outcome.error["message"], outcome.error["value_excerpt"] or "", outcome.error["hint"] or ""):
            assert text.isprintable()
        assert ingest(self.workspace).files == (), "and then it is known"
        return outcome.error


@pytest.fixture
def inbox(make_company: Callable[[Path], Workspace], tmp_path: Path) -> Inbox:
    workspace = make_company(tmp_path / "company")
    for path in workspace.input_folder.iterdir():
        path.unlink()
    return Inbox(workspace)


@dataclass
class Read:
    """What one reading of bytes gave, without a workspace around it."""

    rows: list[tuple[object, ...]]
    rejected: list[RejectedRow]


def read(data: bytes, reading: Reading | None = None) -> Read:
    file = CsvFile(Hashed(io.BytesIO(data), "fault.csv"), "fault.csv", reading or Reading(schema=BRIEF_SCHEMA))
    found = Read([], [])
    for parsed in file:
        found.rows += [tuple(row.values()) for row in parsed.rows.drop_columns([LINE]).to_pylist()]
        found.rejected += parsed.rejected
    assert file.rows == len(found.rows) + len(found.rejected)
    return found


# ---- C1 still being uploaded


def test_c1_a_file_that_a_slow_writer_still_writes_is_deferred_listed_and_then_taken_whole(inbox: Inbox) -> None:
    inbox.workspace = replace(inbox.workspace, settle_seconds=0.25)
    rows = [f"slow {number},1,2,3,0" for number in range(40)]
    path, ready, stop = inbox.folder / "fault.csv", threading.Event(), threading.Event()

    def write_slowly() -> None:
        with path.open("wb", buffering=0) as stream:
            stream.write(table())
            for row in itertools.chain(rows, itertools.repeat("")):
                stream.write(f"{row}\n".encode())
                ready.set()
                if stop.wait(0.02) and not row:
                    return

    writer = threading.Thread(target=write_slowly)
    writer.start()
    try:
        ready.wait(10)
        record = ingest(inbox.workspace)
    finally:
        stop.set()
        writer.join()
    assert (exit_status_of(record), [file.name for file in record.files]) == (0, ["good.csv"])
    assert record.deferred == ("fault.csv: left for the next time, it is still being written",)
    assert inbox.ingest().rows == rows


def test_c1_a_file_cut_at_any_byte_is_deferred_while_it_is_young(inbox: Inbox) -> None:
    patient = replace(inbox.workspace, unfinished_seconds=60.0)
    ingest(patient)
    data = table("acme,12,120,7,0", "beta,34,56,78,1")
    complete = {place + 1 for place, byte in enumerate(data) if byte == ord("\n")}
    for length in range(1, len(data) + 1):
        (inbox.folder / "fault.csv").write_bytes(data[:length])
        lying = finding.look(patient, lambda found: found.name == "good.csv")
        assert bool(lying.deferred) == (length not in complete), length
    (inbox.folder / "fault.csv").write_bytes(data[:-3])
    record = ingest(patient)
    assert (exit_status_of(record), record.files) == (0, ())
    (told,) = record.deferred
    assert told.startswith("fault.csv: left for the next time, it does not end as a whole file does")
    (inbox.folder / "fault.csv").write_bytes(data)
    assert inbox.ingest().rows == ["acme,12,120,7,0", "beta,34,56,78,1"]


def test_c1_a_file_under_a_temporary_name_is_not_even_looked_at(inbox: Inbox) -> None:
    for name in (".fault.csv", ".fault.csv.aB3xZ9"):
        (inbox.folder / name).write_bytes(table("half,1,2,3,0"))
    (inbox.folder / "fault.csv.part").write_bytes(table("half,1,2,3,0"))
    outcome = inbox.ingest()
    assert (outcome.status, outcome.rows) == (0, [])
    assert outcome.notices == ("fault.csv.part: left alone, not a .csv, .csv.gz, .parquet, .xlsx file",)


# ---- C2 torn tail

TORN = table(*(f"c{n},{n * 7919 % 1_009},{n % 97},{n % 7},{n % 2}" for n in range(60)))


def test_c2_a_file_cut_at_any_byte_gives_true_rows_only() -> None:
    whole = read(TORN).rows
    assert len(whole) == 60
    for length in range(len(table()), len(TORN)):
        cut = read(TORN[:length])
        assert cut.rows == whole[: len(cut.rows)], length
        assert len(cut.rows) == TORN[:length].count(b"\n") - 1, length
        if not TORN[:length].endswith(b"\n"):
            assert [row.rule for row in cut.rejected] == [UNFINISHED]


def test_c2_a_file_cut_inside_its_header_gives_no_row_at_all() -> None:
    for length in range(len(HEADER)):
        with pytest.raises(FileRefused):
            read(TORN[:length])
    assert read(TORN[: len(HEADER)]).rows == []


@pytest.mark.parametrize("cut", [1, 2, 9, 20])
def test_c2_the_last_line_of_a_file_that_was_left_alone_is_quarantined(inbox: Inbox, cut: int) -> None:
    data = table("acme,12,120,7,0", "beta,34,56,789,1")[:-cut]
    old = time.time() - 3_600
    (inbox.folder / "fault.csv").write_bytes(data)
    os.utime(inbox.folder / "fault.csv", (old, old))
    inbox.workspace = replace(inbox.workspace, unfinished_seconds=60.0)
    outcome = inbox.ingest()
    assert (outcome.status, outcome.rows) == (3, ["acme,12,120,7,0"] if cut < 18 else [])
    assert [row.rule for row in outcome.rejected] == [UNFINISHED]


# ---- C3 changed while being read


def test_c3_a_file_that_changes_while_it_is_read_is_discarded_and_read_the_next_time(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(inbox.workspace)
    path, rows = inbox.folder / "fault.csv", 800_000
    path.write_bytes(table() + b"a client,1,2,3,0\n" * rows)
    real = Child.ask
    seen: list[int] = []

    def ask_while_it_changes(self: Child, question: Question) -> Iterator[Answer]:
        for answer in real(self, question):
            if not seen:
                os.kill(self._process.pid, signal.SIGSTOP)
                with path.open("r+b") as stream:
                    stream.seek(-4, os.SEEK_END)
                    stream.write(b"9")
                os.kill(self._process.pid, signal.SIGCONT)
            seen.append(answer.words.get("rows", 0))
            yield answer

    with monkeypatch.context() as patch:
        patch.setattr(Child, "ask", ask_while_it_changes)
        record = ingest(inbox.workspace)
    assert 0 < seen[0] < max(seen) == rows
    assert (exit_status_of(record), record.files) == (0, ())
    assert record.deferred == ("fault.csv: left for the next time, it changed while it was read",)
    assert rows_of(inbox.workspace) == [GOOD]
    assert inbox.ingest().rows == ["a client,1,2,3,0", "a client,1,2,9,0"]


# ---- C4 changed after ingestion


def test_c4_a_file_rewritten_under_its_name_supersedes_and_its_history_is_kept(inbox: Inbox) -> None:
    first = inbox.take(table("old,1,2,3,0", "both,1,2,3,0"))
    second = inbox.take(table("both,1,2,3,0", "new,1,2,3,0"))
    assert (second.status, second.rows) == (0, ["both,1,2,3,0", "new,1,2,3,0"])
    assert first.file is not None
    assert second.file is not None
    assert second.file.supersedes == first.file.number
    assert any(notice.startswith("fault.csv: supersedes the delivery of") for notice in second.notices)


# ---- C5 the same file twice


@pytest.mark.parametrize("how", ["copy", "hard link", "rename", "again"])
def test_c5_the_same_bytes_give_no_new_row_and_are_recorded_as_a_duplicate(inbox: Inbox, how: str) -> None:
    inbox.take(table("acme,1,2,3,0", "beta,1,2,3,1"))
    path, other = inbox.folder / "fault.csv", inbox.folder / "zz.csv"
    if how == "copy":
        other.write_bytes(path.read_bytes())
    elif how == "hard link":
        other.hardlink_to(path)
    elif how == "rename":
        path.rename(other)
    else:
        path.write_bytes(path.read_bytes())
    outcome = inbox.ingest("zz.csv")
    assert (outcome.status, outcome.rows) == (0, ["acme,1,2,3,0", "beta,1,2,3,1"])
    if how == "again":
        assert outcome.file is None
    else:
        assert outcome.file is not None
        assert (outcome.file.status, outcome.file.rows, outcome.file.duplicate) == ("duplicate", 2, 2)
        assert "zz.csv: the same bytes as fault.csv" in outcome.notices


# ---- C6 duplicate client rows


@pytest.mark.parametrize(
    ("rule", "rows", "counts"),
    [
        ("keep", ["a,1,2,3,0", "a,9,2,3,1", "b,1,2,3,0"], (3, 1, 0)),
        ("latest", ["a,9,2,3,1", "b,1,2,3,0"], (3, 1, 0)),
        ("quarantine", ["a,1,2,3,0", "b,1,2,3,0"], (2, 1, 1)),
    ],
)
def test_c6_identical_rows_collapse_and_count_and_conflicting_ones_follow_the_rule(
    inbox: Inbox, rule: Any, rows: list[str], counts: tuple[int, int, int]
) -> None:
    inbox.workspace = replace(inbox.workspace, conflicts=rule)
    outcome = inbox.take(table("a,1,2,3,0", "a,1,2,3,0", "a,9,2,3,1", "b,1,2,3,0"))
    assert outcome.rows == rows
    assert outcome.file is not None
    assert (outcome.file.accepted, outcome.file.duplicate, outcome.file.quarantined) == counts
    assert outcome.status == (3 if rule == "quarantine" else 0)


# ---- C12 too much


def streamed(path: Path, *pieces: tuple[bytes, int]) -> None:
    """Write each piece so many times, without ever holding it all."""
    with path.open("wb") as stream:
        for piece, times in pieces:
            chunk = piece * max(1, min(times, (1 << 20) // len(piece)))
            for _ in range(len(piece) * times // len(chunk)):
                stream.write(chunk)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Child]]:
    """Reading processes whose memory can be looked at afterwards: they are ended when the test is over."""
    started: list[Child] = []

    class Watched(Child):
        def __init__(self) -> None:
            super().__init__()
            started.append(self)

        def end(self) -> None:
            """Not yet."""

    monkeypatch.setattr(readers, "Child", Watched)
    yield started
    for child in started:
        Child.end(child)


def most_memory(children: list[Child]) -> int:
    """The most bytes that any of the reading processes ever had in memory."""
    status = [Path(f"/proc/{child._process.pid}/status").read_text() for child in children]
    peaks = [line.split()[1] for text in status for line in text.splitlines() if line.startswith("VmHWM")]
    return 1024 * max(map(int, peaks))


def test_c12_a_field_of_64_mb_refuses_the_file_in_little_memory(inbox: Inbox, watched: list[Child]) -> None:
    start, end = table("before,1,2,3,0") + b'"', b'",1,2,3,0\nafter,1,2,3,0\n'
    streamed(inbox.folder / "fault.csv", (start, 1), (b"x", 64 << 20), (end, 1))
    outcome = inbox.ingest()
    assert (outcome.status, outcome.rows) == (3, [])
    assert (outcome.error["row"], outcome.error["message"]) == (3, "a row longer than 4,194,304 bytes")
    assert most_memory(watched) < 512 << 20


@pytest.mark.parametrize("columns", [1_001, 1_000_000])
def test_c12_too_many_columns_refuse_the_file_in_little_memory(
    inbox: Inbox, watched: list[Child], columns: int
) -> None:
    # A million names are longer than the longest line.
    header = b"".join(b",%06d" % number for number in range(columns - 5))
    error = inbox.refused(HEADER.encode() + header + b"\n" + b"acme,1,2,3,0" + b"," * (columns - 5) + b"\n")
    too_many, too_long = f"{columns:,} columns; at most 1,000 are read", "a row longer than 4,194,304 bytes"
    assert error["message"] == (too_many if columns < 500_000 else too_long)
    assert most_memory(watched) < 512 << 20


def test_c12_a_million_short_columns_refuse_the_file_too(inbox: Inbox, watched: list[Child]) -> None:
    error = inbox.refused(HEADER.encode() + b",x" * 999_995 + b"\nacme,1,2,3,0" + b"," * 999_995 + b"\n")
    assert error["message"] == "1,000,000 columns; at most 1,000 are read"
    assert most_memory(watched) < 768 << 20


# ---- C13 columns


def test_c13_columns_are_found_by_name_in_every_order() -> None:
    cells = dict(zip(NAMES, ("acme", "1", "2", "3", "0"), strict=True))
    for order in itertools.permutations(NAMES):
        found = read(table(",".join(cells[name] for name in order), header=",".join(order)))
        assert found.rows == [("acme", 1, 2, 3, 0)]


# ---- C15 numbers


@settings(deadline=None)
@given(st.text(max_size=12))
def test_c15_any_text_is_a_whole_number_that_python_reads_alike_or_refused(text: str) -> None:
    result = cast(pa.array([text]), BRIEF_SCHEMA.columns[1])
    (value,) = result.values.to_pylist()
    refused = [rule for rule, mask in result.broken if mask[0]]
    if value is None:
        assert len(refused) == 1
    else:
        assert not refused
        assert float(text) == value
        assert text.strip().isascii()


# ---- C17 ids

ANY_ID = st.text(
    st.characters(
        blacklist_categories=["Cc", "Cs"],
        blacklist_characters="\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=4, deadline=None)
@given(clients=st.lists(st.one_of(ANY_ID, st.sampled_from(IDS)), min_size=1, max_size=60, unique=True))
def test_c17_ids_that_go_in_come_out_byte_for_byte(
    make_company: Callable[[Path], Workspace], tmp_path_factory: pytest.TempPathFactory, clients: list[str]
) -> None:
    workspace = make_company(tmp_path_factory.mktemp("ids") / "company")
    for path in workspace.input_folder.iterdir():
        path.unlink()
    with (workspace.input_folder / "a.csv").open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([NAMES, *([client, 1, 2, 3, 0] for client in clients)])
    ingest(workspace)
    with (workspace.output_folder / "finaldata.csv").open(newline="", encoding="utf-8") as stream:
        assert [row[0] for row in csv.reader(stream)][1:] == clients


# ---- C18 few bytes


def test_c18_one_row_is_taken_and_training_on_it_refused(inbox: Inbox) -> None:
    assert inbox.ingest("good.csv").rows == []
    with pytest.raises(NoUsableData) as caught:
        train(inbox.workspace)
    assert caught.value.exit_status == 4


# ---- C19 too many rows


def constant(rows: int, groups: int) -> bytes:
    """A Parquet file in which the same row stands `rows` times in each of so many groups: a few bytes each."""
    ones = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array(["acme"]))
    number = pa.array([1] * rows, pa.int64())
    columns = pa.table(dict(zip(NAMES, (ones, number, number, number, number), strict=True)))
    stream = io.BytesIO()
    with pq.ParquetWriter(stream, columns.schema) as writer:
        for _ in range(groups):
            writer.write_table(columns)
    return stream.getvalue()


def test_c19_more_cells_than_allowed_are_refused_by_the_footer_before_a_row_is_read(
    inbox: Inbox, watched: list[Child]
) -> None:
    data = constant(100_000, 50)
    assert len(data) < 1 << 20
    inbox.workspace = replace(inbox.workspace, limits=Limits(cells=5 * 100_000 * 50 - 1))
    begun = time.monotonic()
    assert inbox.refused(data, "fault.parquet")["message"] == "more than 24,999,999 cells (rows times columns)"
    assert time.monotonic() - begun < 10
    assert most_memory(watched) < 512 << 20


def test_c19_as_many_cells_as_allowed_are_streamed_in_little_memory(inbox: Inbox, watched: list[Child]) -> None:
    inbox.workspace = replace(inbox.workspace, limits=Limits(cells=5 * 1_000_000, ratio=100_000))
    outcome = inbox.take(constant(100_000, 10), "fault.parquet")
    assert outcome.file is not None
    assert (outcome.file.rows, outcome.file.accepted, outcome.file.duplicate) == (1_000_000, 1, 999_999)
    assert most_memory(watched) < 512 << 20


# ---- C20 bombs and disguises


def test_c20_a_gzip_bomb_is_refused_when_it_has_unpacked_to_too_much(inbox: Inbox, watched: list[Child]) -> None:
    plain = table() + b"acme,1,2,3,0\n" * (40 << 20 >> 4)
    bomb = gzip.compress(plain, 9)
    assert len(plain) / len(bomb) > 200
    error = inbox.refused(bomb, "fault.csv.gz")
    assert error["message"].startswith("unpacks to more than ")
    assert most_memory(watched) < 512 << 20


def test_c20_a_workbook_whose_sheet_is_a_bomb_is_refused(inbox: Inbox, watched: list[Child]) -> None:
    book = excel(["acme", 1, 2, 3, 0])
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, data + b" " * (80 << 20) if "sheet1" in entry.filename else data)
    error = inbox.refused(stream.getvalue(), "fault.xlsx")
    assert error["message"].startswith("unpacks to more than ")
    assert most_memory(watched) < 512 << 20


# ---- C21 Parquet


def test_c21_dates_of_any_kind_are_dates(inbox: Inbox) -> None:
    dated = schema_from_json(
        {
            "client": "corporation",
            "time": "month",
            "target": "exited",
            "features": {"number_of_employees": {"type": "integer"}},
        }
    )
    inbox.workspace = replace(inbox.workspace, schema=dated)
    (inbox.folder / "good.csv").write_bytes(table("good,2026-01-31,3,0", header=",".join(dated.names)))
    for number, kind in enumerate((pa.date32(), pa.timestamp("ns"), pa.timestamp("us", tz="UTC"))):
        cells = {"corporation": [f"c{number}"], "number_of_employees": [3], "exited": [1]}
        month = pa.array([1_769_817_600], pa.int64()).cast(pa.timestamp("s")).cast(kind)
        table_of = pa.table(cells | {"month": month})
        old = {"use_deprecated_int96_timestamps": True} if number == 1 else {}
        (inbox.folder / f"{number}.parquet").write_bytes(parquet(table_of, **old))
    ingest(inbox.workspace)
    assert rows_of(inbox.workspace) == [
        *(f"c{number},2026-01-31,3,1" for number in range(3)),
        "good,2026-01-31,3,0",
    ]


def test_c21_a_file_with_any_byte_changed_is_read_or_refused_and_never_more(inbox: Inbox) -> None:
    """Where one byte can be changed without anybody noticing, only pages without a checksum are to blame."""
    data = parquet(columns(), write_page_checksum=True)
    ingest(inbox.workspace)
    places = range(4, len(data), max(1, len(data) // 60))
    for place in places:
        mutated = bytearray(data)
        mutated[place] ^= 0xFF
        (inbox.folder / f"{place:05}.parquet").write_bytes(bytes(mutated))
    record = ingest(inbox.workspace)
    assert len(record.files) == len(places)
    for file in record.files:
        assert file.rows == file.accepted + file.duplicate + file.quarantined
        assert file.rows <= 2
        assert file.status == "refused" or file.rows
    assert exit_status_of(record) == 3


def test_c21_a_file_that_kills_its_reader_is_refused_and_the_others_are_taken(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.parquet", "z.parquet"):
        cells = columns(corporation=pa.array([f"{name} 1", f"{name} 2"]))
        (inbox.folder / name).write_bytes(parquet(cells))
    real = Child.ask

    def ask_or_die(self: Child, question: Question) -> Iterator[Answer]:
        if question.name == "fault.parquet":  # as a crafted file may make it
            os.kill(self._process.pid, signal.SIGSEGV)
        return real(self, question)

    with monkeypatch.context() as patch:
        patch.setattr(Child, "ask", ask_or_die)
        outcome = inbox.take(parquet(columns()), "fault.parquet")
    assert (outcome.status, len(outcome.rows)) == (3, 4)
    assert outcome.file is not None
    assert outcome.file.status == "refused"


# ---- C22 no regular files


LINK, IRREGULAR = "a link, not a file: copy the file itself here", "not a regular file"


def test_c22_what_is_no_regular_file_is_left_alone_and_told(inbox: Inbox) -> None:
    for name, target in (("inside", "good.csv"), ("outside", "/etc/passwd"), ("dangling", "nowhere"), ("loop", ".")):
        (inbox.folder / f"{name}.csv").symlink_to(target)
    os.mkfifo(inbox.folder / "pipe.csv")
    (inbox.folder / "folder.csv").mkdir()
    expected = dict.fromkeys(("inside", "outside", "dangling", "loop"), LINK) | {"pipe": IRREGULAR, "folder": IRREGULAR}
    if os.geteuid() == 0:
        os.mknod(inbox.folder / "device.csv", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        expected["device"] = IRREGULAR
    outcome = inbox.ingest()
    assert (outcome.status, outcome.rows) == (0, [])
    assert outcome.notices == tuple(f"{name}.csv: left alone, {why}" for name, why in sorted(expected.items()))


def test_c22_a_hard_link_is_a_file(inbox: Inbox) -> None:
    (inbox.folder / "fault.csv").hardlink_to(inbox.folder / "good.csv")
    outcome = inbox.ingest("good.csv")
    assert (outcome.status, outcome.rows) == (0, [])
    assert outcome.notices == ("good.csv: the same bytes as fault.csv",)


def test_c22_a_file_swapped_for_a_link_after_the_look_is_not_followed(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = inbox.folder.parent / "secret.csv"
    secret.write_bytes(table("secret,1,2,3,0"))
    path = inbox.folder / "fault.csv"
    path.write_bytes(table("public,1,2,3,0"))

    def look_and_swap(workspace: Workspace, known: finding.Known) -> finding.Lying:
        lying = finding.look(workspace, known)
        path.unlink()
        path.symlink_to(secret)
        return lying

    with monkeypatch.context() as patch:
        patch.setattr("holdfast.steps.ingestion.look", look_and_swap)
        record = ingest(inbox.workspace)
    assert record.deferred == ("fault.csv: left for the next time, a link, not a file",)
    assert rows_of(inbox.workspace) == [GOOD]


def test_c22_an_unreadable_file_is_refused_each_time_until_it_can_be_read(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox.folder / "fault.csv").write_bytes(table("acme,1,2,3,0"))
    real = os.open

    def forbidding(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("fault.csv"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", forbidding)
        for _ in range(2):
            outcome = inbox.ingest()
            assert (outcome.status, outcome.rows) == (3, [])
            assert outcome.error["code"] == "not-permitted"
            assert outcome.error["message"] == "cannot read: Permission denied"
    assert inbox.ingest().rows == ["acme,1,2,3,0"]


# ---- C23 many files and odd names


def test_c23_files_that_vanish_while_an_ingestion_runs_stop_nothing(inbox: Inbox) -> None:
    for number in range(60):
        (inbox.folder / f"gone {number:03}.csv").write_bytes(table(f"gone {number},1,2,3,0"))
    began = threading.Event()

    def delete() -> None:
        began.wait(10)
        for number in range(60):
            (inbox.folder / f"gone {number:03}.csv").unlink()

    deleter = threading.Thread(target=delete)
    deleter.start()
    began.set()
    record = ingest(inbox.workspace)
    deleter.join()
    assert exit_status_of(record) == 0
    taken = [file.name for file in record.files if file.name != "good.csv"]
    vanished = [text.partition(":")[0] for text in (*record.deferred, *record.notices)]
    assert len(taken) == len(set(taken))
    assert set(taken).isdisjoint(vanished)
    assert all(name.startswith("gone ") for name in vanished)
    assert set(rows_of(inbox.workspace)) == {GOOD} | {f"gone {int(name[5:8])},1,2,3,0" for name in taken}
    assert ingest(inbox.workspace).dataset == record.dataset


def test_c23_a_file_that_vanishes_between_listing_and_opening_is_told(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inbox.folder / "fault.csv").write_bytes(table("acme,1,2,3,0"))

    def digest(path: Path) -> str:
        if path.name == "fault.csv" and path.exists():
            path.unlink()
        return digest_of_delivery(path)

    monkeypatch.setattr(finding, "digest_of_delivery", digest)
    record = ingest(inbox.workspace)
    assert (exit_status_of(record), rows_of(inbox.workspace)) == (0, [GOOD])
    assert record.notices == ("fault.csv: left alone, it has just vanished",)


def test_c23_a_thousand_files_are_taken_in_bounded_groups(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(999):  # most are copies: what is written for each delivery takes the time
        rows = (f"c{number % 41},1,2,3,0", f"c{number % 41 // 2},1,2,3,0")
        (inbox.folder / f"many {number:03}.csv").write_bytes(table(*rows))
    monkeypatch.setattr(taking, "GROUP_FILES", 40)
    real, open_at_once = store_files, list[int]()

    def store_group(readers: Readers, requests: Sequence[Request], progress: Any) -> Any:
        open_at_once.append(len(requests))
        return real(readers, requests, progress)

    monkeypatch.setattr(taking, "store_files", store_group)
    record = ingest(inbox.workspace)
    assert max(open_at_once) == 40
    assert sum(open_at_once) == 42
    assert [file.number for file in record.files] == list(range(1, 1_001))
    assert sum(file.status == "accepted" for file in record.files) == 42
    assert (record.rows, record.accepted, record.duplicate) == (1_999, 42, 1_957)
    assert len(rows_of(inbox.workspace)) == record.dataset.rows == 42


ODD_NAMES = ("=cmd|'calc'!A1.csv", "x" * 251 + ".csv", "März 🦊 it's.csv", "-rf.csv", "%s{0}.csv", "a,b;c.csv", "~.csv")
ESCAPED_NAMES = {
    b"new\nline.csv": r"new\nline.csv",
    b"new\\nline.csv": r"new\\nline.csv",
    b"latin\xe9.csv": r"latin\xe9.csv",
    b"\x1b[31mred.csv": r"\x1b[31mred.csv",
    "txt.\u202evsc.csv".encode(): r"txt.\xe2\x80\xaevsc.csv",
    b"bad\xff\n=cmd.csv": r"bad\xff\n=cmd.csv",
}


def test_c23_odd_names_are_kept_as_they_are(inbox: Inbox) -> None:
    for name in ODD_NAMES:
        (inbox.folder / name).write_bytes(table(f'"{name}",1,2,3,0', "bad,x,2,3,0"))
    record = ingest(inbox.workspace)
    assert (exit_status_of(record), record.accepted, record.quarantined) == (3, 1 + len(ODD_NAMES), len(ODD_NAMES))
    assert {file.name for file in record.files} == {"good.csv", *ODD_NAMES}
    names = ast.literal_eval((inbox.workspace.output_folder / "ingestedfiles.txt").read_text())
    assert set(names) == {"good.csv", *ODD_NAMES}


def test_c23_names_that_cannot_be_shown_are_taken_and_recorded_escaped_without_loss(inbox: Inbox) -> None:
    for name in ESCAPED_NAMES:
        data = table(f"{name.hex()},1,2,3,0", "bad,x,2,3,0", header=f"{HEADER},note")
        Path(os.fsdecode(os.fsencode(inbox.folder) + b"/" + name)).write_bytes(data.replace(b",0\n", b",0,\n"))
    record = ingest(inbox.workspace)
    assert {file.name for file in record.files} == {"good.csv", *ESCAPED_NAMES.values()}
    assert (record.accepted, record.quarantined) == (1 + len(ESCAPED_NAMES), len(ESCAPED_NAMES))
    assert {row.file for row in record.rejected} == set(ESCAPED_NAMES.values())
    assert all(notice.isprintable() for notice in record.notices)
    names = ast.literal_eval((inbox.workspace.output_folder / "ingestedfiles.txt").read_text())
    assert set(names) == {"good.csv", *ESCAPED_NAMES.values()}
    assert from_json(IngestRecord, json.loads(json.dumps(to_json(record)))) == record
    assert (ingest(inbox.workspace).files, status(inbox.workspace).waiting_files) == ((), ())
    for name, shown in ESCAPED_NAMES.items():
        back = subprocess.run(["bash", "-c", f"printf %s $'{shown}'"], capture_output=True, check=True)
        assert back.stdout == name


def test_c23_a_file_that_changes_under_such_a_name_supersedes_itself(inbox: Inbox) -> None:
    path = Path(os.fsdecode(os.fsencode(inbox.folder) + b"/bad\xff\n=cmd.csv"))
    for client in ("before", "after"):
        path.write_bytes(table(f"{client},1,2,3,0"))
        ingest(inbox.workspace)
    assert rows_of(inbox.workspace) == [GOOD, "after,1,2,3,0"]
