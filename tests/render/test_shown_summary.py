"""What a terminal shows of a dataset's statistics, whatever its width."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from holdfast.records import ColumnHistogram, ColumnSummary, DatasetSummary, Quantile, ValueCount
from holdfast.render.summary import bars, summary_lines

EMPTY = ColumnSummary(
    column="a_column_with_a_long_name",
    rows=200,
    missing=0,
    missing_percent=0.0,
    refused_missing=0,
    mean=None,
    median=None,
    standard_deviation=None,
    minimum=None,
    maximum=None,
    distinct=3,
)
NUMBERS = replace(
    EMPTY,
    column="visits",
    missing=50,
    missing_percent=25.0,
    mean=12.5,
    median=11,
    standard_deviation=3.25,
    minimum=0,
    maximum=98765,
    quantiles=(Quantile(share=0.05, value=2.0), Quantile(share=0.95, value=76.0)),
    histogram=ColumnHistogram(edges=(0, 1, 2, 3), counts=(75, 0, 75)),
)
DATES = replace(
    EMPTY,
    column="month",
    earliest="2026-01-31",
    latest="2026-03-31",
    periods=(
        ValueCount(value="2026-01", rows=1),
        ValueCount(value="2026-02", rows=0),
        ValueCount(value="2026-03", rows=199),
    ),
)
WORDS = replace(EMPTY, column="city", top=tuple(ValueCount(value=city, rows=50) for city in ("Berlin", "Graz", "Wien")))


def shown(*columns: ColumnSummary, width: int = 160, version: int | None = 3) -> str:
    record = DatasetSummary(source="sourcedata", version=version, rows=200, columns=columns, seconds=0.12)
    console = Console(width=width, file=io.StringIO())
    for line in summary_lines(record):
        console.print(line, markup=False, highlight=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_heading_says_what_was_summarised() -> None:
    assert shown(NUMBERS, WORDS).startswith("sourcedata: 200 rows, 2 columns, version 3 (0.1 s)\n")
    assert "version" not in shown(NUMBERS, version=None)


def test_a_wide_terminal_shows_one_line_for_each_column() -> None:
    lines = shown(EMPTY, NUMBERS, DATES).splitlines()
    assert len(lines) == 7
    assert lines[5].split() == ["visits", "25", "%", "3", "12.50", "3.25", "0", "2", "11", "76", "98,765", "█", "█"]
    assert lines[6].split() == ["month", "0", "%", "3", "2026-01-31", "2026-03-31", "▁", "█"]


@pytest.mark.parametrize("width", [40, 80, 100, 160])
def test_every_column_is_named_whole_and_no_line_is_too_long(width: int) -> None:
    lines = shown(EMPTY, NUMBERS, DATES, WORDS, width=width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert all(any(line.startswith(each.column) for line in lines) for each in (EMPTY, NUMBERS, DATES, WORDS))


@pytest.mark.parametrize("figure", ["25 % missing", "0 to 98,765", "from 2 to 76", "median 11", "mean 12.50", "3.25"])
def test_a_narrow_terminal_shows_the_same_figures(figure: str) -> None:
    assert figure in shown(NUMBERS, width=60)


def test_the_deviation_of_one_row_is_none_and_not_an_empty_place() -> None:
    one = replace(NUMBERS, standard_deviation=None)
    assert "standard deviation none" in shown(one, width=60)


def test_shares_are_of_the_rows_that_have_a_value() -> None:
    gappy = replace(WORDS, missing=100, missing_percent=50.0)
    assert "Berlin: 50 %, Graz: 50 %, Wien: 50 %" in shown(gappy, width=60)


def test_values_that_are_not_shown_are_counted() -> None:
    assert "Wien: 25 % and 9 more" in shown(replace(WORDS, distinct=12), width=60)


@pytest.mark.parametrize("width", [60, 160])
def test_text_from_outside_is_no_markup_and_has_no_control_characters(width: int) -> None:
    hostile = ValueCount(value="[red]a[/]\x1b[31m", rows=200)
    printed = shown(replace(WORDS, column="[b]city\x07", top=(hostile,), distinct=1), width=width)
    assert "[red]a[/]\\x1b[31m: 100 %" in printed
    assert "[b]city\\x07" in printed
    assert "\x1b" not in printed


def test_rows_in_quarantine_are_told() -> None:
    columns = (replace(NUMBERS, refused_missing=12), WORDS, replace(DATES, refused_missing=1))
    assert shown(*columns).endswith("\nin quarantine because empty: visits 12 rows, month 1 row\n")


@pytest.mark.parametrize("width", [60, 160])
def test_a_dataset_without_rows_is_shown_too(width: int) -> None:
    assert "city" in shown(replace(EMPTY, column="city", rows=0, distinct=0), width=width)


@given(st.lists(st.integers(0, 10**9), max_size=36))
def test_a_bar_is_blank_exactly_when_nothing_is_counted_and_full_when_it_is_the_tallest(counts: list[int]) -> None:
    drawn = bars(counts)
    assert [bar == " " for bar in drawn] == [count == 0 for count in counts]
    assert all(bar == "█" for bar, count in zip(drawn, counts, strict=True) if count == max(counts) > 0)


@given(st.lists(st.integers(1, 1000), min_size=2))
def test_more_rows_never_have_a_lower_bar(counts: list[int]) -> None:
    assert list(bars(sorted(counts))) == sorted(bars(counts))
