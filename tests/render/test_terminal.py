"""Tables in a terminal: nothing is lost at any width, and nothing from outside acts on the terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from holdfast.render.terminal import SHOWN_NOTES, Table, minute, notes, write

ANY_WIDTH = st.integers(12, 200)


def shown(table: Table, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


FILES = Table(
    ("delivery", "rows", "remark"),
    [("1 clients_of_january.csv", "1,000", ""), ("2 b.csv", "25", "a copy of an older one")],
    numbers=(1,),
)


@given(ANY_WIDTH)
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert all(len(line.rstrip()) <= width for line in shown(FILES, width))


@given(st.integers(26, 200))
def test_words_and_figures_stay_whole(width: int) -> None:
    text = "\n".join(shown(FILES, width))
    assert all(word in text for word in ("clients_of_january.csv", "1,000", "25", "copy", "older"))


def test_a_wide_terminal_shows_one_line_for_each_row() -> None:
    lines = shown(FILES, 100)
    assert len(lines) == 4
    assert re.split(" {3,}", lines[2].strip()) == ["1 clients_of_january.csv", "1,000"]


def test_a_narrow_terminal_shows_a_short_list_for_each_row() -> None:
    lines = [line.rstrip() for line in shown(FILES, 40)]
    assert lines[:2] == ["delivery 1 clients_of_january.csv", "  rows 1,000"]
    assert lines[2:] == ["delivery 2 b.csv", "  rows 25", "  remark: a copy of an older one"]


def test_figures_of_a_list_stand_side_by_side() -> None:
    table = Table(("a_name_too_long_for_it", "one", "two"), [("a" * 15, "1", "2")], numbers=(1, 2))
    assert shown(table, 30)[-1].rstrip() == "  one 1, two 2"


def test_a_column_without_any_text_is_left_out() -> None:
    assert "source" not in shown(Table(("file", "source", "rows"), [("a", "", "1")]), 80)[0]


def long_table(rows: int) -> Table:
    return Table(("row", "text"), [(f"row{number}", "x") for number in range(rows)], most=5)


@pytest.mark.parametrize("width", [12, 80])
def test_of_many_rows_the_first_and_last_are_shown_and_the_others_counted(width: int) -> None:
    text = "\n".join(shown(long_table(100), width))
    assert re.findall(r"row\d+", text) == ["row0", "row1", "row2", "row98", "row99"]
    assert "⋮ 95 more" in text
    assert " ".join(text.split()).endswith("for the other 95: --json")


def test_a_table_that_is_shown_whole_names_no_command_for_others() -> None:
    assert "other" not in "\n".join(shown(long_table(5), 80))


def test_of_few_rows_none_is_left_out() -> None:
    text = "\n".join(shown(long_table(5), 80))
    assert re.findall(r"row\d", text) == [f"row{number}" for number in range(5)]


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1, max_size=4), ANY_WIDTH)
def test_any_text_can_be_shown_and_none_acts_on_the_terminal(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = shown(Table(("a", "b", "c"), rows, numbers=(1,)), width)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("width", [10, 80])
def test_square_brackets_are_no_markup(width: int) -> None:
    assert "[b]x[/]" in "".join(shown(Table(("a", "b"), [("[b]x[/]", "y")]), width))


@pytest.mark.parametrize(("columns", "lines"), [("100", 4), ("40", 5)])
def test_what_is_written_is_as_wide_as_the_terminal(
    columns: str, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    write(iter([FILES]))
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_lines_and_tables_come_in_their_order_without_blanks_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    def lines() -> Iterator[str | Table]:
        yield "before"
        yield Table(("a", "b"), [("x", "")])
        yield "after"

    write(lines())
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line in {"before", "x", "after"}] == ["before", "x", "after"]


def test_of_very_many_notes_the_first_are_shown_and_the_others_counted() -> None:
    lines = list(notes([f"sentence {number}" for number in range(500)]))
    assert lines[0] == "note: sentence 0"
    assert len(lines) == SHOWN_NOTES + 1
    assert lines[-1] == f"and {500 - SHOWN_NOTES} more like these (--json shows all)"


def test_a_note_cannot_act_on_the_terminal() -> None:
    assert list(notes(["\x1b[2J\u202e"])) == ["note: \\x1b[2J\\u202e"]


def test_a_moment_is_shown_to_the_minute() -> None:
    assert minute("2026-06-14T10:20:33Z") == "2026-06-14 10:20"
