"""Refused rows go out to a spreadsheet program and come back: what nobody changed is as it was, in whatever form."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from holdfast.errors import CannotWrite, FileRefused
from holdfast.formulas import meant_by
from holdfast.limits import Limits
from holdfast.sources.correctedfile import CorrectedFile
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


@contextmanager
def opened(path: Path) -> Iterator[Corrections]:
    with (
        path.open("rb") as stream,
        Corrections(CorrectedFile(stream, path.name, HEADER, Limits()), path.parent) as corrections,
    ):
        yield corrections


def read_back(path: Path, rows: dict[int, str]) -> dict[int, tuple[str, int]]:
    """The text of each row, and how many of its cells were changed."""
    found = {}
    with opened(path) as corrections:
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


def test_a_cell_longer_than_spreadsheets_hold_keeps_its_row_out_of_the_table() -> None:
    assert table_row(3, "a rule", "x" * LONGEST_CELL + ",1,2", 3) is None
    assert table_row(3, "a rule", "x" * (LONGEST_CELL - 1) + ",1,2", 3) is not None


# ---- rows are found


def text_with(*lines: str) -> str:
    return "".join(f"{line}\n" for line in (as_csv(FIRST), *lines))


def test_rows_are_found_by_their_lines_in_whatever_order_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text_with('17,,"Smith, ""Ltd""",8;9,"a\nb"', "", "3,,Zoë,,"))
    with opened(path) as corrections:
        assert [corrections.cells(line) for line in (3, 5, 17)] == [["Zoë"], None, ['Smith, "Ltd"', "8;9", "a\nb"]]
        assert [corrections.row(line) for line in (3, 5, 17)] == [4, None, 2]


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        (text_with("3,,a,b,c", "4,,a,b,c", "3,,a,b,d"), 4, "line 3 is there twice"),
        (text_with("9,,a,b,c", "3,,a,b,c", "8,,a,b,c"), 2, "'9' is no line of march.csv in quarantine"),
    ],
)
def test_a_row_that_is_there_twice_or_is_none_of_those_is_refused(
    tmp_path: Path, text: str, row: int, message: str
) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(FileRefused) as caught:
        read_back(path, {3: "a,b,c"})
    assert (caught.value.message, caught.value.file, caught.value.row) == (message, "c.csv", row)


def test_only_windows_1252_leaves_a_doubt(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    for encoding, exact in (("utf-8", True), ("utf-16", True), ("windows-1252", False)):
        path.write_text(text_with("3,,Müller,b,c"), encoding=encoding)
        with opened(path) as corrections:
            assert (corrections.exact, len(corrections.notices)) == (exact, int(not exact))


def test_nothing_of_the_texts_is_left_on_disk(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", {3: "a,b,c"})
    with opened(path) as corrections:
        assert corrections.cells(3) == ["a", "b", "c"]
        assert list(tmp_path.iterdir()) == [path]


def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", {3: "a,b,c"})
    with path.open("rb") as stream, pytest.raises(CannotWrite):
        Corrections(CorrectedFile(stream, path.name, HEADER, Limits()), tmp_path / "gone")


def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    rows = 20_000
    path = written(tmp_path / "c.csv", dict.fromkeys(range(2, rows), "x" * 500 + ",7,x"))
    tracemalloc.start()
    with opened(path) as corrections:
        kept, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert corrections.cells(rows - 1) == ["x" * 500, "7", "x"]
    assert kept < 40 * rows + 1_000_000
    assert most < 10_000_000
