"""The fault catalogue of source files, C1 to C23: each fault as a fixture with its expected outcome.

Every fixture is delivered for real, in a workspace in which a good file lies beside it, and read by a reading process.
Whatever the fault, that good file is taken, and every row of every file is accounted for.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import os
import resource
import signal
import struct
import threading
import time
import unicodedata
import zipfile
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

from holdfast.errors import FileRefused, NoUsableData
from holdfast.intake import finding, readers, taking
from holdfast.intake.readers import Child, Readers, Request
from holdfast.limits import Limits
from holdfast.records import RejectedRow, SourceFile
from holdfast.schema import BRIEF_SCHEMA, schema_from_json
from holdfast.session import exit_status_of
from holdfast.sources.casting import cast
from holdfast.sources.csvfile import UNFINISHED, CsvFile
from holdfast.sources.files import digest_of_delivery
from holdfast.sources.parsed import LINE, Reading
from holdfast.sources.unpacking import Hashed
from holdfast.steps.ingestion import ingest
from holdfast.steps.training import train
from holdfast.workspace import Workspace

NAMES = BRIEF_SCHEMA.names
HEADER = ",".join(NAMES)
GOOD = "good,1,2,3,0"


def table(*rows: str, header: str = HEADER, end: str = "\n") -> bytes:
    return "".join(f"{row}{end}" for row in (header, *rows)).encode()


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

    def quarantined(self, *rows: str, header: str = HEADER) -> Outcome:
        """The file between whose rows two good ones stand."""
        outcome = self.take(table("before,1,2,3,0", *rows, "after,1,2,3,1", header=header))
        assert outcome.status == 3
        assert [row.text for row in outcome.rejected] == list(rows)
        assert outcome.rows == ["before,1,2,3,0", "after,1,2,3,1"]
        return outcome


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

TORN = table(*(f"c{n},{n * 7919 % 1_009},{n % 97},{n % 7},{n % 2}" for n in range(200)))


def test_c2_a_file_cut_at_any_byte_gives_true_rows_only() -> None:
    whole = read(TORN).rows
    assert len(whole) == 200
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
    real = Child.read
    seen: list[int] = []

    def read_what_changes(self: Child, request: Request, on_rows: Callable[[int, float], None]) -> Any:
        def change_the_rest(done: int, share: float) -> None:
            if not seen:
                os.kill(self._process.pid, signal.SIGSTOP)
                with path.open("r+b") as stream:
                    stream.seek(-4, os.SEEK_END)
                    stream.write(b"9")
                os.kill(self._process.pid, signal.SIGCONT)
            seen.append(done)
            on_rows(done, share)

        return real(self, request, change_the_rest)

    with monkeypatch.context() as patch:
        patch.setattr(Child, "read", read_what_changes)
        record = ingest(inbox.workspace)
    assert 0 < seen[0] < seen[-1] == rows
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
    assert second.file.supersedes == first.file.digest
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


# ---- C7 delimiters and decimal commas


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_c7_a_wrong_delimiter_is_named_and_not_guessed(inbox: Inbox, mark: str, word: str) -> None:
    error = inbox.refused(table("acme,1,2,3,0").replace(b",", mark.encode()))
    assert error["message"] == f"expected 5 columns named {', '.join(NAMES)}; found 1"
    assert error["hint"] == f"the fields look separated by {word}; save the file with commas"


@pytest.mark.parametrize("number", ["1,5", "1,024", "1.024", "1 024", "1'024", "1.024,5", "1,024.5"])
def test_c7_a_decimal_comma_or_a_thousands_mark_is_quarantined(inbox: Inbox, number: str) -> None:
    outcome = inbox.quarantined(f'acme,"{number}",2,3,0')
    assert outcome.places == [(3, "lastmonth_activity", "not a whole number")]


# ---- C8 encodings

WORDS = table("Müller,1,2,3,0")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_c8_utf16_is_refused_by_name_with_a_mark_or_without(inbox: Inbox, encoding: str) -> None:
    assert "UTF-16" in inbox.refused(WORDS.decode().encode(encoding))["message"]


def test_c8_the_mark_of_utf8_is_accepted(inbox: Inbox) -> None:
    assert inbox.take(WORDS.decode().encode("utf-8-sig")).rows == ["Müller,1,2,3,0"]


@pytest.mark.parametrize("before", [0, 3])
def test_c8_latin_1_is_refused_with_byte_and_row_even_where_the_rest_is_utf8(inbox: Inbox, before: int) -> None:
    start = table(*["Äpfel,1,2,3,0"] * before)
    error = inbox.refused(start + "Müller,1,2,3,0\n".encode("latin-1"))
    assert error["row"] == before + 2
    assert error["message"] == f"not UTF-8 text (perhaps Latin-1 or Windows-1252) at byte {len(start) + 2}"
    assert error["value_excerpt"] == "b'\\xfc'"


# ---- C9 control characters


@pytest.mark.parametrize(
    "client",
    ["a\0b", "a\x07b", "\x1b[31mred", "a\x7f", "a\u0085b", "a\u200fb", "a\u202eb", "\ufeffa", "a\u2028b", "tab\there"],
)
def test_c9_control_characters_and_bidi_marks_in_ids_are_quarantined_and_shown_escaped(
    inbox: Inbox, client: str
) -> None:
    outcome = inbox.quarantined(f"{client},1,2,3,0")
    assert outcome.places == [(3, "corporation", "control character")]


# ---- C10 quoting and line ends


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_c10_lines_may_end_in_any_usual_way_and_rows_keep_their_lines(inbox: Inbox, end: str) -> None:
    outcome = inbox.take(table("acme,1,2,3,0", "bad,x,2,3,0", "beta,4,5,6,1", end=end))
    assert outcome.rows == ["acme,1,2,3,0", "beta,4,5,6,1"]
    assert outcome.places == [(3, "lastmonth_activity", "not a whole number")]


def test_c10_quoted_fields_are_read_as_rfc_4180_says_and_lines_are_physical_ones(inbox: Inbox) -> None:
    rows = ('"a, ""b""",1,2,3,0,"one\ntwo"', '"c",1,2,3,"1",', 'bad,x,2,3,0,"one\r\ntwo\r\nthree"', "d,1,2,3,0,")
    outcome = inbox.take(table(*rows, header=f"{HEADER},note"))
    assert outcome.rows == ['a, "b",1,2,3,0', "c,1,2,3,1", "d,1,2,3,0"]
    assert outcome.places == [(5, "lastmonth_activity", "not a whole number")]
    assert outcome.rejected[0].text == rows[2]


# ---- C11 an unclosed quote


@pytest.mark.parametrize("opened", range(2, 8))
def test_c11_an_unclosed_quote_refuses_the_file_and_names_the_row_where_it_opened(inbox: Inbox, opened: int) -> None:
    rows = [f"c{line},1,2,3,0" for line in range(2, 8)]
    rows[opened - 2] = f'"{rows[opened - 2]}'
    error = inbox.refused(table(*rows))
    assert error["row"] == opened
    assert error["message"].startswith("a quote opens in this line and is not closed properly")


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


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_c12_a_field_of_64_mb_refuses_the_file_in_little_memory(
    inbox: Inbox, watched: list[Child], quote: bytes
) -> None:
    start, end = table("before,1,2,3,0") + quote, quote + b",1,2,3,0\nafter,1,2,3,0\n"
    streamed(inbox.folder / "fault.csv", (start, 1), (b"x", 64 << 20), (end, 1))
    outcome = inbox.ingest()
    assert (outcome.status, outcome.rows) == (3, [])
    assert (outcome.error["row"], outcome.error["message"]) == (3, "a row longer than 4,194,304 bytes")
    assert most_memory(watched) < 512 << 20


def test_c12_a_field_beyond_64_kib_is_quarantined_and_one_of_that_size_is_not(inbox: Inbox) -> None:
    outcome = inbox.take(table("x" * 65_536 + ",1,2,3,0", "y" * 65_537 + ",1,2,3,0", "z,1,2,3,0"))
    assert [row.partition(",")[0] for row in outcome.rows] == ["x" * 65_536, "z"]
    assert outcome.places == [(3, "corporation", "longer than 65,536 characters")]


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


def test_c13_columns_are_found_by_name_in_every_order(inbox: Inbox) -> None:
    cells = dict(zip(NAMES, ("acme", "1", "2", "3", "0"), strict=True))
    for order in itertools.permutations(NAMES):
        found = read(table(",".join(cells[name] for name in order), header=",".join(order)))
        assert found.rows == [("acme", 1, 2, 3, 0)]
    reordered = ",".join(reversed(NAMES))
    assert inbox.take(table("0,3,2,1,acme", header=reordered)).rows == ["acme,1,2,3,0"]


@pytest.mark.parametrize("missing", NAMES)
def test_c13_a_missing_column_is_named(inbox: Inbox, missing: str) -> None:
    error = inbox.refused(table("1,2,3,4", header=",".join(name for name in NAMES if name != missing)))
    assert error["message"].startswith(f"no column '{missing}'. Found: ")
    assert error["column"] == missing


def test_c13_an_extra_column_is_left_out_with_a_notice(inbox: Inbox) -> None:
    outcome = inbox.take(table("x,acme,1,2,3,0,y", header=f"note,{HEADER},remark"))
    assert (outcome.status, outcome.rows) == (0, ["acme,1,2,3,0"])
    assert outcome.notices == ("fault.csv: 2 columns not in the schema are left out: note, remark",)


@pytest.mark.parametrize("extra", ["exited", "Exited", " exited", "EXITED"])
def test_c13_a_column_given_twice_or_nearly_so_refuses_the_file(inbox: Inbox, extra: str) -> None:
    error = inbox.refused(table("acme,1,2,3,0,1", header=f"{HEADER},{extra}"))
    assert "more than once" in error["message"] or "differ only in case or spaces" in error["message"]


@pytest.mark.parametrize("variant", ["Exited", "exited ", "exitd"])
def test_c13_a_variant_in_place_of_a_column_is_refused_with_a_suggestion(inbox: Inbox, variant: str) -> None:
    error = inbox.refused(table("acme,1,2,3,0", header=HEADER.replace("exited", variant)))
    assert error["hint"].startswith(f"did you mean '{variant}'? Rename")


# ---- C14 ragged rows


@pytest.mark.parametrize(("row", "found"), [("acme,1,2,3", 4), ("acme,1,2,3,0,9", 6), ("acme", 1), (",,,,,,,", 8)])
def test_c14_a_ragged_row_is_quarantined(inbox: Inbox, row: str, found: int) -> None:
    assert inbox.quarantined(row).places == [(3, None, f"fields: {found} instead of 5")]


@pytest.mark.parametrize("rows", [1, 5])
def test_c14_one_extra_field_in_every_row_refuses_the_file_and_no_column_is_guessed(inbox: Inbox, rows: int) -> None:
    error = inbox.refused(table(*["0,acme,1,2,3,0"] * rows))
    assert error["message"] == "no row has as many fields as the header; 6 instead of 5 in this one"
    assert error["row"] == 2


# ---- C15 numbers


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        *[(cell, "missing") for cell in ("", "NaN", "NA", "null", " ")],
        *[(cell, "not a whole number") for cell in ("inf", "-Infinity", "1e400", "1e3", "0x10", "1_000", "٣", "३")],
        *[
            (cell, "not a whole number")
            for cell in ("seven", "1.5", "1-", "--1", "+", "1" * 19, "9" * 5_000, "½", "\uff11")
        ],
        ("-1", "below the minimum 0"),
    ],
)
def test_c15_a_cell_that_is_no_number_within_bounds_is_quarantined_with_column_and_rule(cell: str, rule: str) -> None:
    found = read(table("before,1,2,3,0", f"acme,1,{cell},3,0", "after,1,2,3,0"))
    assert [(row.line, row.column, row.rule) for row in found.rejected] == [(3, "lastyear_activity", rule)]
    assert [row[0] for row in found.rows] == ["before", "after"]


@pytest.mark.parametrize("cell", ["9" * 5_000, "1e400", "٣", "NaN"])
def test_c15_the_same_in_an_ingestion(inbox: Inbox, cell: str) -> None:
    outcome = inbox.quarantined(f"acme,1,{cell},3,0")
    assert [row.column for row in outcome.rejected] == ["lastyear_activity"]


@pytest.mark.parametrize("number", [2**53 + 1, 10**18 - 1, 0])
def test_c15_whole_numbers_stay_exact(inbox: Inbox, number: int) -> None:
    assert inbox.take(table(f"acme,{number},2,3,0")).rows == [f"acme,{number},2,3,0"]


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


# ---- C16 labels


@pytest.mark.parametrize(("label", "told"), [("yes", 1), ("0.7", 1), ("2", 1), ("", 0), ("NA", 0)])
def test_c16_a_row_whose_label_is_none_is_kept_without_it_and_counted(inbox: Inbox, label: str, told: int) -> None:
    outcome = inbox.take(table("acme,1,2,3,1", f"beta,1,2,3,{label}"))
    assert (outcome.status, outcome.rows) == (0, ["acme,1,2,3,1", "beta,1,2,3,"])
    assert outcome.file is not None
    assert (outcome.file.accepted, outcome.file.unlabelled, outcome.file.quarantined) == (2, 1, 0)
    assert [("labels are not 0 or 1, from line 3 on" in notice) for notice in outcome.notices] == [True] * told


# ---- C17 ids

TWINS = (unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë"))
IDS = ("NA", "null", "None", "NaN", "TRUE", "0012", "12", "1e5", "🦊", " a ", "a", "A", "=1+1", "x" * 10_240, *TWINS)


def test_c17_ids_are_kept_byte_for_byte_and_twins_are_told(inbox: Inbox) -> None:
    outcome = inbox.take(table(*(f"{client},1,2,3,0" for client in IDS)))
    assert (outcome.status, outcome.rows) == (0, [f"{client},1,2,3,0" for client in IDS])
    (notice,) = outcome.notices
    assert notice.startswith("fault.csv: 1 client ids are not in Unicode's composed form; they may look like others")


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


def test_c18_zero_bytes_are_refused(inbox: Inbox) -> None:
    assert inbox.refused(b"")["message"] == "the file is empty"


def test_c18_a_header_alone_is_accepted_with_a_notice(inbox: Inbox) -> None:
    outcome = inbox.take(table())
    assert (outcome.status, outcome.rows) == (0, [])
    assert outcome.file is not None
    assert (outcome.file.status, outcome.file.rows) == ("accepted", 0)
    assert outcome.notices == ("fault.csv: a header and no rows",)


def test_c18_one_row_is_taken_and_training_on_it_refused(inbox: Inbox) -> None:
    assert inbox.ingest("good.csv").rows == []
    with pytest.raises(NoUsableData) as caught:
        train(inbox.workspace)
    assert caught.value.exit_status == 4


# ---- C19 too many rows


def parquet(table: pa.Table | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    cells = dict(zip(NAMES, (["acme"], [1], [2], [3], [0]), strict=True))
    pq.write_table(pa.table(cells) if table is None else table, stream, **options)
    return stream.getvalue()


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


def zipped(name: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return stream.getvalue()


def excel(*rows: list[object]) -> bytes:
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in [list(NAMES), *rows]:
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><title>502 Bad Gateway</title>", "an HTML or XML page"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF document"),
        (excel(["acme", 1, 2, 3, 0]), "a zip archive or an Excel workbook"),
        (zipped("a.csv", table("acme,1,2,3,0")), "a zip archive or an Excel workbook"),
        (gzip.compress(table("acme,1,2,3,0")), "a gzip archive"),
        (parquet(), "a Parquet file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
        (b'{"error": "not found"}', "a JSON document"),
    ],
    ids=["html", "pdf", "xlsx", "zip", "gzip", "parquet", "xls", "json"],
)
def test_c20_another_kind_of_file_that_is_called_csv_is_refused_by_its_first_bytes(
    inbox: Inbox, data: bytes, what: str
) -> None:
    error = inbox.refused(data)
    assert error["message"].startswith("not CSV: begins with '")
    assert error["message"].endswith(what)


@pytest.mark.parametrize("name", ["fault.csv.gz", "fault.parquet", "fault.xlsx"])
def test_c20_a_csv_file_that_is_called_something_else_is_refused(inbox: Inbox, name: str) -> None:
    message = inbox.refused(table("acme,1,2,3,0"), name)["message"]
    assert message.endswith("begins with 'corporat'") or message.startswith("not an Excel workbook")


def test_c20_a_gzip_bomb_is_refused_when_it_has_unpacked_to_too_much(inbox: Inbox, watched: list[Child]) -> None:
    plain = table() + b"acme,1,2,3,0\n" * (40 << 20 >> 4)
    bomb = gzip.compress(plain, 9)
    assert len(plain) / len(bomb) > 200
    error = inbox.refused(bomb, "fault.csv.gz")
    assert error["message"].startswith("unpacks to more than ")
    assert most_memory(watched) < 512 << 20


def test_c20_gzip_inside_gzip_is_no_table(inbox: Inbox) -> None:
    error = inbox.refused(gzip.compress(gzip.compress(table("acme,1,2,3,0"))), "fault.csv.gz")
    assert error["message"].endswith("a gzip archive")


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


def test_c20_a_zip_that_holds_no_workbook_is_refused(inbox: Inbox) -> None:
    inner = zipped("b.zip", zipped("a.csv", table("acme,1,2,3,0")))
    assert "not an Excel workbook" in inbox.refused(inner, "fault.xlsx")["message"]


def test_c20_what_is_named_for_what_it_is_is_read(inbox: Inbox) -> None:
    rows = (["zipped", 1, 2, 3, 0], ["bound", 4, 5, 6, 1])
    inbox.take(gzip.compress(table("packed,7,8,9,0")), "a.csv.gz")
    outcome = inbox.take(excel(*rows), "b.xlsx")
    assert (outcome.status, outcome.rows) == (0, ["packed,7,8,9,0", "zipped,1,2,3,0", "bound,4,5,6,1"])


# ---- C21 Parquet


def columns(**changed: pa.Array) -> pa.Table:
    cells: dict[str, Any] = dict(zip(NAMES, (["acme", "beta"], [1, 2], [2, 3], [3, 4], [0, 1]), strict=True))
    return pa.table(cells | changed)


@pytest.mark.parametrize(
    "change",
    [
        {"corporation": pa.array(["acme", "beta"]).dictionary_encode()},
        {"corporation": pa.array(["acme", "beta"], pa.large_string())},
        {"lastmonth_activity": pa.array([1, 2], pa.decimal128(10, 2))},
        {"lastmonth_activity": pa.array([1.0, 2.0])},
        {"lastmonth_activity": pa.array(["1", "2"])},
        {"exited": pa.array([False, True])},
    ],
    ids=["dictionary", "large text", "decimal", "double", "text", "boolean"],
)
def test_c21_other_types_that_say_the_same_give_the_same_rows(inbox: Inbox, change: dict[str, pa.Array]) -> None:
    outcome = inbox.take(parquet(columns(**change)), "fault.parquet")
    assert (outcome.status, outcome.rows) == (0, ["acme,1,2,3,0", "beta,2,3,4,1"])


def test_c21_a_cell_that_breaks_a_rule_is_quarantined_as_in_csv(inbox: Inbox) -> None:
    change = columns(lastmonth_activity=pa.array([None, 2.5]), exited=pa.array([0, 7]))
    outcome = inbox.take(parquet(change), "fault.parquet")
    assert outcome.places == [
        (1, "lastmonth_activity", "missing"),
        (2, "lastmonth_activity", "not a whole number"),
    ]


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


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (parquet(columns().drop_columns(["exited"])), "no column 'exited'"),
        (parquet(columns(corporation=pa.array([["a"], ["b"]]))), "cells of the type list"),
        (parquet(columns(corporation=pa.array([{"a": 1}, {"a": 2}]))), "cells of the type struct"),
        (parquet()[:-1], "a damaged one"),
        (parquet()[:-8] + b"\xff\xff\xff\x7fPAR1", "a damaged one"),
        (b"PAR1" + bytes(200) + struct.pack("<i", 100) + b"PAR1", "a damaged one"),
        (b"PAR1PAR1", "a damaged one"),
    ],
    ids=["missing column", "list", "struct", "cut", "huge footer", "zero footer", "no footer"],
)
def test_c21_a_wrong_schema_or_a_corrupt_footer_refuses_the_file(inbox: Inbox, data: bytes, message: str) -> None:
    assert message in inbox.refused(data, "fault.parquet")["message"]


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
    real = Child.read

    def read_or_die(self: Child, request: Request, on_rows: Callable[[int, float], None]) -> Any:
        if request.name == "fault.parquet":  # as a crafted file may make it: no more memory for anything
            resource.prlimit(self._process.pid, resource.RLIMIT_AS, (1, 1))
        return real(self, request, on_rows)

    with monkeypatch.context() as patch:
        patch.setattr(Child, "read", read_or_die)
        outcome = inbox.take(parquet(columns()), "fault.parquet")
    assert (outcome.status, len(outcome.rows)) == (3, 4)
    assert outcome.file is not None
    assert outcome.file.status == "refused"


# ---- C22 no regular files


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.symlink_to("good.csv"), "a link, not a file: copy the file itself here"),
        (lambda path: path.symlink_to("/etc/passwd"), "a link, not a file: copy the file itself here"),
        (lambda path: path.symlink_to("nowhere"), "a link, not a file: copy the file itself here"),
        (lambda path: path.symlink_to("."), "a link, not a file: copy the file itself here"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5)), "not a regular file"),
    ],
    ids=["link", "link outside", "dangling link", "link to a folder", "pipe", "folder", "device"],
)
def test_c22_what_is_no_regular_file_is_left_alone_and_told(
    inbox: Inbox, make: Callable[[Path], object], why: str
) -> None:
    try:
        make(inbox.folder / "fault.csv")
    except PermissionError:
        pytest.skip("only the superuser can make a device")
    outcome = inbox.ingest()
    assert (outcome.status, outcome.rows) == (0, [])
    assert outcome.notices == (f"fault.csv: left alone, {why}",)


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
        rows = (f"c{number % 111},1,2,3,0", f"c{number % 111 // 2},1,2,3,0")
        (inbox.folder / f"many {number:03}.csv").write_bytes(table(*rows))
    monkeypatch.setattr(taking, "GROUP_FILES", 40)
    real, open_at_once = Readers.read, list[int]()

    def read_group(self: Readers, requests: Sequence[Request], progress: Any) -> Any:
        open_at_once.append(len(requests))
        return real(self, requests, progress)

    monkeypatch.setattr(Readers, "read", read_group)
    record = ingest(inbox.workspace)
    assert max(open_at_once) == 40
    assert sum(open_at_once) == 112
    assert [file.number for file in record.files] == list(range(1, 1_001))
    assert sum(file.status == "accepted" for file in record.files) == 112
    assert (record.rows, record.accepted, record.duplicate) == (1_999, 112, 1_887)
    assert len(rows_of(inbox.workspace)) == record.dataset.rows == 112


@pytest.mark.parametrize("name", ["=cmd|'calc'!A1.csv", "x" * 251 + ".csv", "März 🦊 it's.csv", "-rf.csv", "%s{0}.csv"])
def test_c23_an_odd_name_is_kept_as_it_is(inbox: Inbox, name: str) -> None:
    outcome = inbox.take(table("acme,1,2,3,0", "bad,x,2,3,0"), name)
    assert (outcome.status, outcome.rows) == (3, ["acme,1,2,3,0"])
    assert outcome.file is not None
    assert outcome.file.name == name
    names = (inbox.workspace.output_folder / "ingestedfiles.txt").read_text().splitlines()[0]
    assert repr(name) in names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"new\nline.csv", "new\\nline.csv"),
        (b"latin\xe9.csv", "latin\\udce9.csv"),
        (b"\x1b[31mred.csv", "\\x1b[31mred.csv"),
        ("txt.\u202evsc.csv".encode(), "txt.\\u202evsc.csv"),
    ],
)
def test_c23_a_name_that_cannot_be_shown_is_left_alone_and_told_escaped(inbox: Inbox, name: bytes, shown: str) -> None:
    Path(os.fsdecode(os.fsencode(inbox.folder) + b"/" + name)).write_bytes(table("acme,1,2,3,0"))
    outcome = inbox.ingest()
    assert (outcome.status, outcome.rows) == (0, [])
    assert outcome.notices == (f"{shown}: left alone, its name is not UTF-8 or holds control characters: rename it",)
