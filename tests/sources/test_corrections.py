"""Refused rows go out to a spreadsheet program and come back: what nobody changed is as it was, in whatever form."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from holdfast.errors import FileRefused, InputOutputError
from holdfast.formulas import meant_by
from holdfast.sources.corrections import (
    LONGEST_CELL,
    Corrections,
    changed_cells,
    same_cell,
    table_header,
    table_row,
)
from holdfast.sources.repaired import fields_of
from holdfast.sources.typed import as_csv

HEADER = ("client", "visits", "=note")
FIRST = ["_line", "_rule", "client", "visits", "'=note"]
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.text(
    st.sampled_from("=+-@'\t\r\n\",;0159.e é")
)
ROW = st.lists(TEXT, min_size=3, max_size=3).map(as_csv) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=12
)


def written(path: Path, rows: dict[int, str]) -> Path:
    lines = [table_header(HEADER), *(table_row(line, "a rule", text, len(HEADER)) for line, text in rows.items())]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("utf-8-sig"))
    return path


def read_back(path: Path, rows: dict[int, str]) -> dict[int, tuple[str, int]]:
    """The text of each row, and how many of its cells were changed."""
    corrections = Corrections(path, HEADER)
    found = {}
    for line, text in rows.items():
        cells = corrections.cells(line)
        if cells is not None:
            new, changes = changed_cells(cells, text, HEADER)
            found[line] = new, len(changes)
    corrections.refuse_others("march.csv")
    return found


# ---- the laws


@SAME_FOLDER
@given(texts=st.lists(ROW, max_size=5))
def test_a_table_that_nobody_touched_changes_nothing(tmp_path: Path, texts: list[str]) -> None:
    rows = dict(enumerate(texts, 2))
    assert read_back(written(tmp_path / "c.csv", rows), rows) == {line: (text, 0) for line, text in rows.items()}


@SAME_FOLDER
@given(texts=st.lists(ROW, min_size=1, max_size=5), data=st.data())
def test_one_changed_cell_changes_its_row_and_no_other(tmp_path: Path, texts: list[str], data: st.DataObject) -> None:
    rows = dict(enumerate(texts, 2))
    path = written(tmp_path / "c.csv", rows)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        table = list(csv.reader(stream))
    line = data.draw(st.sampled_from(sorted(rows)))
    record = table[line - 1]
    place = data.draw(st.integers(2, len(record) - 1))
    before, after = meant_by(record[place]), data.draw(TEXT)
    assume(not same_cell(before, meant_by(after)) and (meant_by(after) or len(record) == 5))
    record[place] = after
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows(table)
    found = read_back(path, rows)
    assert {each for each, (_, changes) in found.items() if changes} == {line}
    if len(record) == 5:
        fields = fields_of(found[line][0])
        assert fields is not None
        assert fields[place - 2] == meant_by(after)


@given(text=ROW)
def test_no_cell_of_the_table_is_a_formula(text: str) -> None:
    record = table_row(17, "=cmd: a rule", text, len(HEADER))
    assert record is not None
    for cell in next(csv.reader(io.StringIO(record, newline=""))):
        assert not cell.startswith(("=", "@", "\t", "\r", "\0"))


@given(TEXT)
def test_a_cell_is_the_same_as_itself(text: str) -> None:
    assert same_cell(text, text)


# ---- what spreadsheet programs do to cells unasked


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0012", "12"),
        ("12.50", "12.5"),
        ("+5", "5"),
        ("-05", "-5"),
        ("1e5", "100000"),
        ("1e5", "1.00E+05"),
        ("123456789012", "1.23457E+11"),
        ("12345678901234567890", "12345678901234500000"),
        ("12345678901234567890", "1.2345678901234567e+19"),
        ("true", "TRUE"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_a_cell_that_the_program_wrote_in_its_own_way_is_as_it_was(before: str, after: str) -> None:
    assert same_cell(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("12", "0012"),
        ("12", "13"),
        ("0012", "13"),
        ("12", "12.0"),
        ("2026-01-31", "31.01.2026"),
        ("2.5", "2,5"),
        ("yes", "TRUE"),
        ("", "0"),
        ("0", ""),
        ("123456789012", "123457000000"),
        ("12345678901", "1.3E+10"),
        ("١٢", "12"),
        ("a", "A"),
    ],
)
def test_any_other_change_is_one(before: str, after: str) -> None:
    assert not same_cell(before, after)


def test_a_cell_that_broke_a_rule_is_mended_by_another_spelling_of_the_number() -> None:
    assert same_cell("1e5", "100000")
    assert not same_cell("1e5", "100000", broken=True)
    assert not same_cell("01", "1", broken=True)
    assert not same_cell("true", "TRUE", broken=True)
    assert same_cell("1e5", "1.00E+05", broken=True)


def test_only_cells_that_break_a_rule_are_taken_exactly() -> None:
    broken = {("visits", "1e5"), ("client", "007")}
    text, changes = changed_cells(["7", "100000", "8"], "007,1e5,08", HEADER, lambda *cell: cell in broken)
    assert text == "7,100000,08"
    assert [change.column for change in changes] == ["client", "visits"]


def test_a_client_id_keeps_its_zeros_when_another_cell_is_corrected() -> None:
    text, changes = changed_cells(["12", "7", "x"], "0012,seven,x", HEADER)
    assert text == "0012,7,x"
    assert [(change.column, change.before, change.after) for change in changes] == [("visits", "seven", "7")]


def test_cells_that_the_program_left_out_at_the_end_are_empty() -> None:
    assert changed_cells(["acme"], "acme,,", HEADER) == ("acme,,", ())
    assert changed_cells([], ",,", HEADER) == (",,", ())


def test_a_row_of_too_many_cells_is_changed_and_keeps_them() -> None:
    assert changed_cells(["acme", "7", "x", "y"], "acme,7,x", HEADER)[0] == "acme,7,x,y"


def test_a_row_whose_fields_could_not_be_told_apart_may_be_mended_in_one_cell_or_in_its_columns() -> None:
    for cells in (["acme,7,x"], ["acme", "7", "x"]):
        text, changes = changed_cells(cells, "acme,7", HEADER)
        assert text == "acme,7,x"
        assert [change.column for change in changes] == [None]
    assert changed_cells(["acme,7"], "acme,7", HEADER) == ("acme,7", ())


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
    records = records_of(path)
    FORMS[form](path, records)
    assert read_back(path, ROWS) == {line: (text, 0) for line, text in ROWS.items()}
    records[1][3] = "7"
    FORMS[form](path, records)
    assert read_back(path, ROWS) == {3: ("Müller,7,x", 1)} | {line: (ROWS[line], 0) for line in (17, 5)}


def test_only_windows_1252_leaves_a_doubt_and_a_notice(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    certain = Corrections(path, HEADER)
    FORMS["German or French CSV"](path, records_of(path))
    doubtful = Corrections(path, HEADER)
    assert (certain.exact, certain.notices) == (True, ())
    assert (doubtful.exact, doubtful.notices) == (False, ("c.csv is not UTF-8: it was read as Windows-1252",))


def test_rows_may_be_sorted_and_left_out_and_empty_ones_added(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    header, first, second, third = records_of(path)
    FORMS["tabs"](path, [header, third, ["", "", ""], [], second, ["", "", "", "", "", "", ""]])
    corrections = Corrections(path, HEADER)
    assert corrections.cells(3) is None
    assert corrections.cells(17) == ['Smith, "Ltd"', "8;9", "a\nb"]
    assert [corrections.row(line) for line in (3, 17, 5)] == [None, 5, 2]
    assert first[0] == "3"


def test_a_changed_rule_does_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", {3: "a,b,c"})
    path.write_text(path.read_text("utf-8-sig").replace("a rule", "seen to"))
    assert read_back(path, {3: "a,b,c"}) == {3: ("a,b,c", 0)}


def test_a_formula_in_the_workbook_counts_by_its_stored_result_and_dates_are_iso(tmp_path: Path) -> None:
    from datetime import datetime

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(FIRST)
    sheet.append([3, "a rule", datetime(2026, 1, 31), True, "x"])  # noqa: DTZ001 - spreadsheets know no zones
    book.save(tmp_path / "c.xlsx")
    book.close()
    assert Corrections(tmp_path / "c.xlsx", HEADER).cells(3) == ["2026-01-31", "TRUE", "x"]


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
        (text_with("3,,a,b,c", "4,,a,b,c", "3,,a,b,d"), 4, "line 3 is there twice"),
        (text_with('3,,a,"b,c'), None, "not CSV"),
        (text_with("9,,a,b,c", "3,,a,b,c", "8,,a,b,c"), 2, "'9' is no line of march.csv in quarantine"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_row(
    tmp_path: Path, text: str, row: int | None, message: str
) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(FileRefused) as caught:
        read_back(path, {3: "a,b,c"})
    assert message in caught.value.message
    assert (caught.value.file, caught.value.row) == (str(path), row)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match=r"gone\.csv: cannot read"):
        Corrections(tmp_path / "gone.csv", HEADER)


@pytest.mark.parametrize("data", [b"PK\x03\x04 no workbook", b"\xd0\xcf\x11\xe0 an old one", b"\xff\xfe\x00", b"\x81"])
def test_what_is_no_table_at_all_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "c.xlsx"
    path.write_bytes(data)
    with pytest.raises(FileRefused):
        Corrections(path, HEADER)


def test_a_cell_longer_than_spreadsheets_hold_keeps_its_row_out_of_the_table() -> None:
    assert table_row(3, "a rule", "x" * LONGEST_CELL + ",1,2", 3) is None
    assert table_row(3, "a rule", "x" * (LONGEST_CELL - 1) + ",1,2", 3) is not None


@SAME_FOLDER
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_changed_byte_gives_cells_or_a_known_error(tmp_path: Path, place: float, change: int) -> None:
    path = written(tmp_path / "c.csv", ROWS)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= change
    path.write_bytes(content)
    try:
        corrections = Corrections(path, HEADER)
    except FileRefused:
        return
    for line in ROWS:
        corrections.cells(line)
