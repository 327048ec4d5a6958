"""The statistics of a dataset in a terminal: a table where it is wide enough for one, a list where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import excerpt
from holdfast.records import ColumnSummary, DatasetSummary
from holdfast.render.words import count, number, percent

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, ConsoleRenderable
    from rich.table import Table
    from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
SHOWN_VALUES = 3
WIDEST_SHAPE = 36
FIGURES = ("mean", "standard\ndeviation", "minimum", "5 %", "median", "95 %", "maximum")


def summary_lines(record: DatasetSummary) -> Iterator[str | ConsoleRenderable]:
    """What a terminal shows of a dataset's statistics: a heading, the columns, and what is in quarantine."""
    version = "" if record.version is None else f", version {record.version}"
    size = f"{count(record.rows, 'row', 'rows')}, {count(len(record.columns), 'column', 'columns')}"
    yield f"{record.source}: {size}{version} ({record.seconds:.1f} s)"
    yield _Columns(record.columns)
    refused = [column for column in record.columns if column.refused_missing]
    if refused:
        counts = (f"{excerpt(each.column)} {count(each.refused_missing, 'row', 'rows')}" for each in refused)
        yield f"in quarantine because empty: {', '.join(counts)}"


def bars(counts: Sequence[int]) -> str:
    """A histogram of one line: the tallest bar is full, a count of 0 is blank, any other shows.

    >>> bars((1, 0, 500, 1000))
    '▁ ▄█'
    """
    tallest = max(counts, default=0)
    # Rounded up, as -(-a // b), so that one row among a million still has a bar.
    return "".join(BARS[-(-each * len(BARS) // tallest) - 1] if each else " " for each in counts)


@dataclass(frozen=True)
class _Columns:
    """All columns, in the form that suits the terminal's width."""

    columns: tuple[ColumnSummary, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[ConsoleRenderable]:
        table = _table(self.columns)
        if console.measure(table, options=options.update(width=1000)).maximum <= options.max_width:
            yield table
        else:
            for column in self.columns:
                yield from _listed(column)


def _table(columns: Sequence[ColumnSummary]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("column", no_wrap=True)
    for heading in ("missing", "distinct", *FIGURES):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("distribution", max_width=WIDEST_SHAPE)
    for column in columns:
        cells = [excerpt(column.column), percent(column.missing_percent), f"{column.distinct:,}", *_figures(column)]
        table.add_row(*map(Text, cells), Text(_shape(column)))
    return table


def _figures(column: ColumnSummary) -> list[str]:
    if column.earliest is not None:
        return ["", "", column.earliest, "", "", "", column.latest or ""]
    low, high = (_quantile(column, share) for share in (0.05, 0.95))
    figures = (column.mean, column.standard_deviation, column.minimum, low, column.median, high, column.maximum)
    return ["" if each is None else number(each) for each in figures]


def _quantile(column: ColumnSummary, share: float) -> float | None:
    return next((each.value for each in column.quantiles if each.share == share), None)


def _shape(column: ColumnSummary) -> str:
    if column.histogram:
        return bars(column.histogram.counts)
    if column.periods:
        return bars([period.rows for period in column.periods])
    present = column.rows - column.missing
    shown = column.top[:SHOWN_VALUES]
    shares = ", ".join(f"{excerpt(each.value)}: {percent(100 * each.rows / present)}" for each in shown)
    more = column.distinct - len(shown)
    return f"{shares} and {more:,} more" if shown and more else shares


def _listed(column: ColumnSummary) -> Iterator[Text]:
    """One column in a few short lines."""
    from rich.text import Text

    missing = f"{percent(column.missing_percent)} missing" if column.missing else "none missing"
    yield Text.assemble((excerpt(column.column), "bold"), f": {missing}, {column.distinct:,} distinct")
    lines = [_shape(column)]
    if column.earliest:
        lines.append(f"{column.earliest} to {column.latest}")
    elif column.quantiles:
        mean, deviation, minimum, low, median, high, maximum = _figures(column)
        lines.append(f"{minimum} to {maximum}, 90 % from {low} to {high}")
        lines.append(f"median {median}, mean {mean or 'none'}, standard deviation {deviation or 'none'}")
    yield from (Text(f"  {line}") for line in lines if line)
