"""A corrected table comes back in whatever form a spreadsheet program saves; what cannot be meant is refused."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import FileRefused
from holdfast.limits import Limits
from holdfast.schema import LINE
from holdfast.sources import correctedfile
from holdfast.sources.apart import open_corrected_apart
from holdfast.sources.correctedfile import CorrectedFile
from holdfast.sources.corrections import TABLE_ROW, TEXT, table_header, table_row
from holdfast.sources.files import open_regular
from holdfast.sources.readers import Readers
from holdfast.sources.typed import as_csv

HEADER = ("client", "visits", "=note")
FIRST = ["_line", "_rule", "client", "visits", "'=note"]
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
Rows = list[tuple[int, int, str]]
"""The lines of rows, their numbers in the table, and their texts."""


def rows_of(path: Path, limits: Limits | None = None) -> Rows:
    with path.open("rb") as stream:
        table = CorrectedFile(stream, path.name, HEADER, limits or Limits())
        return [(row[LINE], row[TABLE_ROW], row[TEXT]) for parsed in table for row in parsed.rows.to_pylist()]


def refusal(path: Path, limits: Limits | None = None) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        rows_of(path, limits)
    assert caught.value.file == path.name
    return caught.value


def written(path: Path, rows: dict[int, str]) -> Path:
    lines = [table_header(HEADER), *(table_row(line, "a rule", text, len(HEADER)) for line, text in rows.items())]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("utf-8-sig"))
    return path


# ---- forms of the table


ROWS = {3: "Müller,seven,x", 17: '"Smith, ""Ltd""",8;9,"a\nb"', 5: "only;one"}


def records_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


def as_text(encoding: str, delimiter: str, *, quoted: bool = False, end: str = "\r\n") -> Callable[..., None]:
    def save(path: Path, records: Sequence[Sequence[str]]) -> None:
        class Saved(csv.excel):
            quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
            lineterminator = end

        with path.open("w", encoding=encoding, newline="") as stream:
            csv.writer(stream, Saved, delimiter=delimiter).writerows(records)

    return save


def as_workbook(path: Path, records: Sequence[Sequence[str]]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for record in records:
        sheet.append([int(cell) if cell.isdecimal() else cell or None for cell in record])
    book.create_sheet("notes").append(["another sheet"])
    book.save(path)
    book.close()


FORMS = {
    "as it was written": as_text("utf-8-sig", ","),
    "without a mark": as_text("utf-8", ","),
    "German or French CSV UTF-8": as_text("utf-8-sig", ";"),
    "German or French CSV": as_text("windows-1252", ";"),
    "English CSV": as_text("windows-1252", ","),
    "Unicode text": as_text("utf-16", "\t"),
    "tabs": as_text("utf-8", "\t"),
    "every cell quoted": as_text("utf-8", ";", quoted=True, end="\n"),
    "old Mac line ends": as_text("utf-8", ",", quoted=True, end="\r"),
    "a workbook": as_workbook,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_table_may_come_back_in_any_form_that_spreadsheet_programs_save(tmp_path: Path, form: str) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    FORMS[form](path, records_of(path))
    assert rows_of(path) == [(line, row, text) for row, (line, text) in enumerate(ROWS.items(), 2)]


def test_only_what_was_read_as_windows_1252_has_a_notice(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    found = []
    records = records_of(path)
    for form in ("as it was written", "Unicode text", "German or French CSV"):
        FORMS[form](path, records)
        with path.open("rb") as stream:
            found.append(CorrectedFile(stream, "c.csv", HEADER, Limits()).notices)
    assert found == [(), (), ("c.csv is not UTF-8: it was read as Windows-1252",)]


def test_rows_may_be_sorted_and_left_out_and_empty_ones_added(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    header, _, second, third = records_of(path)
    FORMS["tabs"](path, [header, third, ["", "", ""], [], second, ["", "", "", "", "", "", ""]])
    assert [(line, row) for line, row, _ in rows_of(path)] == [(5, 2), (17, 5)]


def test_a_changed_rule_does_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", {3: "a,b,c"})
    path.write_text(path.read_text("utf-8-sig").replace("a rule", "seen to"))
    assert rows_of(path) == [(3, 2, "a,b,c")]


def test_a_formula_in_the_workbook_counts_by_its_stored_result_and_dates_are_iso(tmp_path: Path) -> None:
    from datetime import datetime

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(FIRST)
    sheet.append([3, "a rule", datetime(2026, 1, 31), True, "x"])  # noqa: DTZ001 - spreadsheets know no zones
    book.save(tmp_path / "c.xlsx")
    book.close()
    assert rows_of(tmp_path / "c.xlsx") == [(3, 2, "2026-01-31,TRUE,x")]


def test_its_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    with path.open("rb") as stream:
        table = CorrectedFile(stream, "c.csv", HEADER, Limits())
        assert sum(len(parsed.rows) for parsed in table) == table.rows == len(ROWS)
        assert table.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", ["as it was written", "a workbook"])
def test_a_reading_process_reads_the_same(tmp_path: Path, form: str) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    FORMS[form](path, records_of(path))
    with (
        Readers(1) as readers,
        open_regular(path) as stream,
        open_corrected_apart(readers, stream, "c.csv", HEADER, Limits()) as table,
    ):
        rows = [row for parsed in table for row in parsed.rows.to_pylist()]
    assert [(row[LINE], row[TABLE_ROW], row[TEXT]) for row in rows] == rows_of(path)
    assert (table.rows, table.digest) == (len(ROWS), hashlib.sha256(path.read_bytes()).hexdigest())


# ---- what is refused


def text_with(*lines: str) -> str:
    return "".join(f"{line}\n" for line in (as_csv(FIRST), *lines))


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("", 1, "the first line has to be _line,_rule,client,visits,=note"),
        ("client,visits\n", 1, "the first line has to be"),
        ("_line,_rule,visits,client,=note\n", 1, "the first line has to be"),
        ('"_line,_rule\n', 1, "the first line has to be"),
        (text_with("three,,a,b,c"), 2, "'three' is no line number"),
        (text_with("3,,a,b,c", "", "4.5,,a,b,c"), 4, "'4.5' is no line number"),
        (text_with("9" * 30 + ",,a,b,c"), 2, "is no line number"),
        (text_with('3,,a,"b,c'), None, "not CSV"),
        (text_with("3,,a,b,c", "4,,a," + "x" * 65_537), 3, "a cell of more than 65,536 characters"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_row(
    tmp_path: Path, text: str, row: int | None, message: str
) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text)
    error = refusal(path)
    assert message in error.message
    assert error.row == row


@pytest.mark.parametrize("data", [b"PK\x03\x04 no workbook", b"\xd0\xcf\x11\xe0 an old one", b"\xff\xfe\x00", b"\x81"])
def test_what_is_no_table_at_all_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "c.xlsx"
    path.write_bytes(data)
    refusal(path)


@pytest.mark.parametrize("text", ["x" * 500, "a," + '"\n",' * 500, "," * 500, '"' + "y" * 500])
@pytest.mark.parametrize("before", ["", text_with("3,,a,b,c")])
def test_a_row_without_end_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, before: str
) -> None:
    monkeypatch.setattr(correctedfile, "LONGEST_RECORD", 100)
    path = tmp_path / "c.csv"
    path.write_text(before + text)
    assert refusal(path).message.startswith("a row longer than 100 characters" if before else "the first line has to")


def test_more_cells_than_the_limit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text_with(*(f"{line},,a,b,c" for line in range(2, 203))))
    assert len(rows_of(path, Limits(cells=201 * 5))) == 201
    assert refusal(path, Limits(cells=200 * 5)).message == "more than 1,000 cells (rows times columns)"


def test_a_workbook_may_not_unpack_to_more_than_the_limits_allow(tmp_path: Path) -> None:
    path = tmp_path / "c.xlsx"
    FORMS["a workbook"](path, [FIRST, ["3", "", "a", "b", "c"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as book:
        book.writestr("bomb", bytes(20_000_000))
    assert refusal(path, Limits(unpacked_bytes=10_000_000)).message.startswith("unpacks to more than ")


@SAME_FOLDER
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_changed_byte_gives_rows_or_a_known_error(tmp_path: Path, place: float, change: int) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= change
    path.write_bytes(content)
    try:
        assert len(rows_of(path)) <= len(ROWS)
    except FileRefused:
        return
