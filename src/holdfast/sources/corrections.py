"""Refused rows as a table for spreadsheet programs, and that table as they save it once somebody has corrected it."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from itertools import product
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType

import numpy as np
import pyarrow.compute as pc

from holdfast.errors import FileRefused, from_os_error
from holdfast.formulas import NUMBER, safe_field
from holdfast.schema import LINE
from holdfast.sources.parsed import Delivered
from holdfast.sources.repaired import fields_of
from holdfast.sources.typed import as_csv

LINE_COLUMN, RULE_COLUMN = "_line", "_rule"
TABLE_ROW, TEXT = "row", "text"
"""Columns of a corrected table as it is read, beside LINE."""

UNICODE = "utf-8-sig"
WINDOWS_NOTICE = "is not UTF-8: it was read as Windows-1252"
LONGEST_CELL = 32_767
"""Characters that a cell of a spreadsheet holds."""

TRUTHS = {"TRUE", "FALSE"}
IN_FULL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")
SHORTENED = re.compile(r"-?[0-9](?:\.[0-9]+)?[eE][+-]?[0-9]{1,4}")
"""How spreadsheet programs write a number."""

MOST_DIGITS = 15
"""So many digits of a number they keep."""

ROUNDED_TO = (3, 6, MOST_DIGITS, 17)
"""Digits that are left of a number that they show, or save, as 1.23E+11, 1.23457E+11 or in full."""


def table_header(header: Sequence[str]) -> str:
    r"""The first line of a table of rows whose fields `header` names, without its end.

    >>> table_header(["client", "=1+1"])
    "_line,_rule,client,'=1+1"
    """
    return as_csv([LINE_COLUMN, RULE_COLUMN, *map(safe_field, header)])


def table_row(line: int, rule: str, text: str, width: int) -> str | None:
    """A row of the table, without its end: its line, why it was refused, and its `width` fields, or its whole text
    where these cannot be told apart. No cell is a formula. None for a row with a cell that no spreadsheet holds.

    >>> table_row(17, "visits: not a whole number", "acme,=1,0", 3)
    "17,visits: not a whole number,acme,'=1,0"
    """
    cells = _cells(text, width)
    if max(map(len, cells)) >= LONGEST_CELL:
        return None
    return as_csv([str(line), safe_field(rule), *map(safe_field, cells)])


@dataclass(frozen=True, slots=True)
class ChangedCell:
    """A cell before and after somebody corrected it; without a column it is the text of a whole row."""

    column: str | None
    before: str
    after: str


def changed_cells(
    cells: Sequence[str], text: str, header: Sequence[str], breaks: Callable[[str, str], bool] = lambda *_: False
) -> tuple[str, tuple[ChangedCell, ...]]:
    """What is different in the `cells` of a row, as the table has them, from its `text`; and what its text is now.

    A cell that a spreadsheet program may have written in its own way (12 for 0012, TRUE for true) is as it was; but
    for one that `breaks` a rule in its column, which may have been mended so.

    >>> changed_cells(["12", "seven"], "0012,7", ["client", "visits"])
    ('0012,seven', (ChangedCell(column='visits', before='7', after='seven'),))
    """
    before = _cells(text, len(header))
    if len(before) == len(header):
        after = list(cells) + [""] * (len(header) - len(cells))
        changed = []
        for place, (name, old, new) in enumerate(zip(header, before, after, strict=False)):
            if old == new or (same_cell(old, new) and same_cell(old, new, broken=breaks(name, old))):
                after[place] = old
            else:
                changed.append(ChangedCell(name, old, new))
        changed += [ChangedCell(None, "", new) for new in after[len(header) :]]
        return (as_csv(after), tuple(changed)) if changed else (text, ())
    # Its fields could not be told apart: the text stands in the first cell, and may have been mended there.
    only = cells[0] if len(cells) == 1 else None
    if not any(cells) or (only is not None and same_cell(text, only)):
        return text, ()
    after = [*cells, *[""] * (len(header) - len(cells))]
    new = only if only is not None else as_csv(after)
    return new, (ChangedCell(None, text, new),)


def same_cell(before: str, after: str, *, broken: bool = False) -> bool:
    """True if a cell is as it was, or as a spreadsheet program writes it, unasked, when it saves the table.

    Where it was `broken`, only what nobody would write to mend it: 1.00E+05 for 1e5, but not 100000.

    >>> [same_cell(before, "12") for before in ("12", "0012", "12.0", "13")]
    [True, True, True, False]
    >>> same_cell("123456789012", "1.23457E+11")
    True
    """
    if before == after or before.replace("\r\n", "\n") == after:
        return True
    if broken and not SHORTENED.fullmatch(after):
        return False
    if NUMBER.fullmatch(before):
        return bool(IN_FULL.fullmatch(after) or SHORTENED.fullmatch(after)) and _same_number(before, after)
    return before.upper() == after and after in TRUTHS


def _same_number(before: str, after: str) -> bool:
    """True if a number is saved as it was, or rounded, as one is that is shown as 1.23457E+11 or has many digits."""
    old, new = Decimal(before), Decimal(after)
    is_rounded = SHORTENED.fullmatch(after) or len(old.as_tuple().digits) > MOST_DIGITS
    manners = product(ROUNDED_TO, (ROUND_HALF_UP, ROUND_DOWN)) if is_rounded else ()
    return old == new or any(Context(prec=digits, rounding=how).plus(old) == new for digits, how in manners)


class Corrections:
    """The rows of a corrected `table` (see `CorrectedFile`), found by the lines that they have in their delivery.

    It is gone through at once; rows may stand in any order, or be left out. Memory grows by 33 bytes a row: their texts
    go to a nameless file in `folder`, which is there until the context is left.

    Raises FileRefused for a line that is there twice, what reading the table raises, and CannotWrite.
    """

    def __init__(self, table: Delivered, folder: Path) -> None:
        self.name = table.name
        lines, rows, ends = array("q"), array("q"), array("q", [0])
        with ExitStack() as stack:
            try:
                self._file = stack.enter_context(TemporaryFile(dir=folder))
                for parsed in table:
                    texts = parsed.rows.column(TEXT)
                    self._file.write("".join(texts.to_pylist()).encode())
                    lines.frombytes(parsed.rows.column(LINE).to_numpy().tobytes())
                    rows.frombytes(parsed.rows.column(TABLE_ROW).to_numpy().tobytes())
                    ends.frombytes((np.cumsum(pc.binary_length(texts).to_numpy(), dtype=np.int64) + ends[-1]).tobytes())
                self._file.flush()
            except OSError as error:
                raise from_os_error(error, "write", str(folder)) from None
            self._lines, self._rows, self._ends = (np.frombuffer(each, np.int64) for each in (lines, rows, ends))
            self._order = np.argsort(self._lines, kind="stable")
            self._asked = np.zeros(len(self._order), dtype=bool)
            self._refuse_repeated()
            self.notices = table.notices
            self._close = stack.pop_all().close

    def __enter__(self) -> Corrections:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def exact(self) -> bool:
        """False if letters beyond ASCII may have been changed by the encoding that the file was saved in."""
        return not any(notice.endswith(WINDOWS_NOTICE) for notice in self.notices)

    def cells(self, line: int) -> list[str] | None:
        """The cells of a row up to the last one that is not empty, without line and rule; None if it is not there."""
        place = self._place(line)
        if place is None:
            return None
        self._asked[place] = True
        start, end = self._ends[place : place + 2].tolist()
        return filled(fields_of(os.pread(self._file.fileno(), end - start, start).decode()) or [])

    def row(self, line: int) -> int | None:
        """The number that a row has in the table."""
        place = self._place(line)
        return None if place is None else int(self._rows[place])

    def refuse_others(self, of: str) -> None:
        """Raises FileRefused if there is a row whose cells nobody asked for: it is none of those in quarantine."""
        if not self._asked.all():
            first = int(self._asked.argmin())
            message = f"'{self._lines[first]}' is no line of {of} in quarantine"
            raise FileRefused(message, file=self.name, row=int(self._rows[first]), column=LINE_COLUMN)

    def _place(self, line: int) -> int | None:
        found = int(self._lines.searchsorted(line, sorter=self._order))
        if found == len(self._order):
            return None
        place = int(self._order[found])
        return place if self._lines[place] == line else None

    def _refuse_repeated(self) -> None:
        repeated = np.flatnonzero(np.diff(self._lines[self._order]) == 0)
        if len(repeated):
            second = self._order[int(repeated[0]) + 1]
            message = f"line {self._lines[second]} is there twice"
            raise FileRefused(message, file=self.name, row=int(self._rows[second]), column=LINE_COLUMN)


def _cells(text: str, width: int) -> list[str]:
    fields = fields_of(text)
    return fields if fields and len(fields) == width else [text]


def filled(cells: Sequence[str]) -> list[str]:
    """The cells up to the last one that is not empty: spreadsheet programs add empty ones, or leave some out.

    >>> filled(["acme", "", "7", ""])
    ['acme', '', '7']
    """
    return list(cells[: max((place for place, cell in enumerate(cells, 1) if cell), default=0)])
