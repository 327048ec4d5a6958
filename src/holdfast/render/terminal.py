"""How a terminal is written to: lines of text, and tables that become lists where they do not fit."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from holdfast.render.words import count, plain

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, ConsoleRenderable
    from rich.table import Table as RichTable

Lines = Iterator["str | ConsoleRenderable"]
Rows = Sequence[Sequence[str]]
"""The cells of a table, row by row."""

WIDTH_OF_A_PIPE = 160
NARROWEST_TEXT = 24
GUTTER = 3
"""Blanks between two columns."""

GAP = "⋮"
SHOWN_NOTES = 12


def write(lines: Lines) -> None:
    """Write lines and tables to standard output, as wide as the terminal is; 160 characters where there is none."""
    console = None
    for line in lines:
        if isinstance(line, str):
            sys.stdout.write(f"{line}\n")
        else:
            from rich.console import Console

            sys.stdout.flush()
            console = console or Console(width=shutil.get_terminal_size((WIDTH_OF_A_PIPE, 0)).columns)
            with console.capture() as captured:
                console.print(line)
            sys.stdout.writelines(f"{row.rstrip()}\n" for row in captured.get().splitlines())
    sys.stdout.flush()


def notes(notices: Sequence[str], word: str = "note") -> Iterator[str]:
    """Sentences, one a line, each after a word; of very many the first, and where the others are."""
    yield from (f"{word}: {plain(notice, 1000)}" for notice in notices[:SHOWN_NOTES])
    if len(notices) > SHOWN_NOTES:
        yield f"and {len(notices) - SHOWN_NOTES:,} more like these (--json shows all)"


def minute(moment: str) -> str:
    """An ISO time in UTC, to the minute.

    >>> minute("2026-06-14T10:20:33Z")
    '2026-06-14 10:20'
    """
    return plain(moment[:16].replace("T", " "))


@dataclass(frozen=True)
class Table:
    """A table of texts, which may come from outside. Columns numbered in `numbers` hold figures.

    A column without any text is left out. Of more than `most` rows the first and last are shown, how many lie
    between, and what shows these (`rest`). Where the terminal is too narrow, every row is a short list.
    """

    headings: Sequence[str]
    rows: Rows
    numbers: tuple[int, ...] = ()
    most: int | None = None
    rest: str = "--json"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[ConsoleRenderable]:
        from rich.text import Text

        columns = self._columns()
        widths = self._widths(columns, options.max_width)
        if widths is None:
            yield from self._list(columns)
        else:
            yield self._table(columns, widths)
        if self._left_out:
            yield Text(f"for the other {self._left_out:,}: {self.rest}")

    @property
    def _left_out(self) -> int:
        """How many rows are not shown."""
        return 0 if self.most is None else max(len(self.rows) - self.most, 0)

    def _shown(self) -> Rows:
        if self.most is None or not self._left_out:
            return self.rows
        last = self.most // 2
        first = self.most - last
        gap = (f"{GAP} {self._left_out:,} more", *[""] * (len(self.headings) - 1))
        return [*self.rows[:first], gap, *self.rows[-last:]]

    def _columns(self) -> list[int]:
        return [place for place in range(len(self.headings)) if any(row[place] for row in self.rows)]

    def _widths(self, columns: Sequence[int], width: int) -> list[int] | None:
        """A width for each column that breaks no figure and no word; None where that is not possible."""
        from rich.cells import cell_len

        texts = [
            [plain(text) for text in (self.headings[place], *(row[place] for row in self._shown()))]
            for place in columns
        ]
        natural = [max(map(cell_len, cells)) for cells in texts]
        least = [
            size
            if place in self.numbers
            else max([min(size, NARROWEST_TEXT), *(cell_len(word) for cell in cells for word in cell.split())])
            for place, size, cells in zip(columns, natural, texts, strict=True)
        ]
        spare = width - GUTTER * (len(columns) - 1) - sum(least)
        if spare < 0:
            return None
        widths = dict(zip(columns, least, strict=True))
        wanting = sorted(zip(columns, natural, strict=True), key=lambda each: each[1] - widths[each[0]])
        for left, (place, size) in zip(range(len(columns), 0, -1), wanting, strict=True):
            more = min(size - widths[place], spare // left)
            widths[place] += more
            spare -= more
        return list(widths.values())

    def _table(self, columns: Sequence[int], widths: Sequence[int]) -> RichTable:
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
        for place, width in zip(columns, widths, strict=True):
            figures = place in self.numbers
            table.add_column(Text(plain(self.headings[place])), justify="right" if figures else "left", width=width)
        for row in self._shown():
            table.add_row(*(Text(plain(row[place])) for place in columns))
        return table

    def _list(self, columns: Sequence[int]) -> Iterator[ConsoleRenderable]:
        """Every row in a few short lines: figures side by side, each text on a line of its own."""
        from rich.padding import Padding
        from rich.text import Text

        for row in self._shown():
            first = row[columns[0]].lstrip()
            title = first if first.startswith(GAP) else f"{self.headings[columns[0]]} {first}".strip()
            yield Text(plain(title), style="bold")
            filled = [place for place in columns[1:] if row[place]]
            for figures, places in groupby(filled, lambda place: place in self.numbers):
                if figures:
                    lines = [", ".join(f"{self.headings[place]} {row[place]}" for place in places)]
                else:
                    lines = [": ".join(filter(None, (self.headings[place], row[place]))) for place in places]
                yield from (Padding(Text(plain(line), overflow="fold"), (0, 0, 0, 2)) for line in lines)


def several(things: int, one: str, many: str, most: int) -> str:
    """How many there are, and that not all of them follow.

    >>> several(3, "delivery", "deliveries", 12), several(500, "delivery", "deliveries", 12)
    ('3 deliveries', '500 deliveries; here the first and last')
    """
    return count(things, one, many) + ("; here the first and last" if things > most else "")
