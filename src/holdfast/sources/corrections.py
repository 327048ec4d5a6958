"""Refused rows as a table for spreadsheet programs, and that table as they save it once somebody has corrected it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from itertools import islice, product
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from holdfast.errors import FileRefused, excerpt, from_os_error
from holdfast.formulas import NUMBER, meant_by, safe_field
from holdfast.limits import Limits
from holdfast.sources.files import BLOCK, read_block
from holdfast.sources.kinds import UTF16_MARKS
from holdfast.sources.repaired import fields_of
from holdfast.sources.typed import as_csv
from holdfast.sources.workbook import OLD_MARK, Workbook

LINE_COLUMN, RULE_COLUMN = "_line", "_rule"
DELIMITERS = (",", ";", "\t")
"""What separates fields: commas as it was written, or what a spreadsheet program puts there in some countries."""

ZIP_MARK = b"PK\x03\x04"
UNICODE, WINDOWS = "utf-8-sig", "windows-1252"
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

LONGEST_LINE = 18
"""Digits of a line number."""

ROWS_AT_ONCE = 10_000
Record = tuple[int, list[str]]
"""The number of a row of the table, and its cells."""


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
    """The rows of a corrected table, found by the lines that they have in their delivery.

    It is CSV as it was written or as spreadsheet programs save it (with commas, semicolons or tabs, in UTF-8, UTF-16
    or Windows-1252), or the first sheet of an Excel workbook. Its first line has to be that of the table; rows may
    stand in any order, or be left out. `notices` say how it was read.

    Raises FileRefused for what is no such table, for a line that is no number, and for one that is there twice.
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self.name = str(path)
        self.notices: tuple[str, ...] = ()
        self.exact = True
        """False if letters beyond ASCII may have been changed by the encoding that the file was saved in."""
        self._header = [LINE_COLUMN, RULE_COLUMN, *header]
        lines, rows, texts = [], [], []
        with ExitStack() as stack:
            records = self._records(path, stack)
            while some := [self._checked(*record) for record in islice(records, ROWS_AT_ONCE)]:
                lines.append(np.array([line for line, _, _ in some], dtype=np.int64))
                rows.append(np.array([row for _, row, _ in some], dtype=np.int64))
                texts.append(pa.array([text for _, _, text in some], pa.large_string()))
        found = np.concatenate([np.zeros(0, np.int64), *lines])
        self._order = np.argsort(found, kind="stable")
        self._lines = found[self._order]
        self._rows = np.concatenate([np.zeros(0, np.int64), *rows])[self._order]
        self._texts = pa.chunked_array(texts, pa.large_string())
        self._asked = np.zeros(len(found), dtype=bool)
        self._refuse_repeated()

    def cells(self, line: int) -> list[str] | None:
        """The cells of a row up to the last one that is not empty, without line and rule; None if it is not there."""
        place = self._place(line)
        if place is None:
            return None
        self._asked[place] = True
        return _filled(fields_of(self._texts[self._order[place]].as_py()) or [])

    def row(self, line: int) -> int | None:
        """The number that a row has in the table."""
        place = self._place(line)
        return None if place is None else int(self._rows[place])

    def refuse_others(self, of: str) -> None:
        """Raises FileRefused if there is a row whose cells nobody asked for: it is none of those in quarantine."""
        if not self._asked.all():
            first = int(np.flatnonzero(~self._asked)[self._rows[~self._asked].argmin()])
            message = f"'{self._lines[first]}' is no line of {of} in quarantine"
            raise FileRefused(message, file=self.name, row=int(self._rows[first]), column=LINE_COLUMN)

    def _place(self, line: int) -> int | None:
        place = int(self._lines.searchsorted(line))
        return place if place < len(self._lines) and self._lines[place] == line else None

    def _refuse_repeated(self) -> None:
        repeated = np.flatnonzero(np.diff(self._lines) == 0)
        if len(repeated):
            second = int(repeated[0]) + 1
            message = f"line {self._lines[second]} is there twice"
            raise FileRefused(message, file=self.name, row=int(self._rows[second]), column=LINE_COLUMN)

    def _checked(self, row: int, cells: Sequence[str]) -> tuple[int, int, str]:
        line = cells[0].strip()
        if not line.isdecimal() or len(line) > LONGEST_LINE:
            message = f"'{excerpt(cells[0])}' is no line number"
            hint = "the first column tells which row this is: leave it as it was written"
            raise FileRefused(message, file=self.name, row=row, column=LINE_COLUMN, hint=hint)
        return int(line), row, as_csv(map(meant_by, cells[2:]))

    def _records(self, path: Path, stack: ExitStack) -> Iterator[Record]:
        """The rows after the first one that have a cell that is not empty."""
        try:
            stream = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise from_os_error(error, "read", self.name) from None
        beginning = read_block(stream, self.name, len(OLD_MARK))
        stream.seek(0)
        found = self._of_workbook(stream) if beginning in {ZIP_MARK, OLD_MARK} else self._of_text(stream, stack)
        return ((number, cells) for number, cells in found if any(cells))

    def _of_workbook(self, stream: BinaryIO) -> Iterator[Record]:
        book = Workbook(stream, self.name, Limits())
        sheets = [sheet for sheet in book.sheets if sheet.visible]
        rows = book.rows(sheets[0]) if sheets else iter(())
        records = ((number, [_text(row.get(place, "")) for place in range(1, max(row) + 1)]) for number, row in rows)
        if not self._is_header(next(records, (1, list[str]()))[1]):
            raise self._other_header()
        return records

    def _of_text(self, stream: BinaryIO, stack: ExitStack) -> Iterator[Record]:
        encoding = _encoding(stream, self.name)
        if encoding == WINDOWS:
            self.exact = False
            self.notices = (f"{Path(self.name).name} is not UTF-8: it was read as Windows-1252",)
        text = stack.enter_context(io.TextIOWrapper(stream, encoding, newline=""))
        for delimiter in DELIMITERS:
            text.seek(0)
            records = self._csv(text, delimiter)
            with suppress(FileRefused):  # with another delimiter it may be no CSV at all
                if self._is_header(next(records, (1, list[str]()))[1]):
                    return records
        raise self._other_header()

    def _csv(self, text: io.TextIOWrapper, delimiter: str) -> Iterator[Record]:
        try:
            yield from enumerate(csv.reader(text, delimiter=delimiter, strict=True), 1)
        except (UnicodeError, csv.Error) as error:
            hint = "save it as CSV UTF-8, or as .xlsx"
            raise FileRefused(f"not CSV: {error}", file=self.name, hint=hint) from None
        except OSError as error:
            raise from_os_error(error, "read", self.name) from None

    def _is_header(self, cells: Sequence[str]) -> bool:
        found = [meant_by(cell) for cell in _filled(cells)]
        wanted = _filled(self._header)
        return len(found) == len(wanted) and all(map(same_cell, wanted, found))

    def _other_header(self) -> FileRefused:
        message = f"the first line has to be {','.join(map(excerpt, self._header))}"
        hint = "correct a table that `holdfast quarantine show --out` wrote, and leave its first line as it is"
        return FileRefused(message, file=self.name, row=1, hint=hint)


def _cells(text: str, width: int) -> list[str]:
    fields = fields_of(text)
    return fields if fields and len(fields) == width else [text]


def _filled(cells: Sequence[str]) -> list[str]:
    """The cells up to the last one that is not empty: spreadsheet programs add empty ones, or leave some out."""
    return list(cells[: max((place for place, cell in enumerate(cells, 1) if cell), default=0)])


def _text(cell: str | bool) -> str:
    return str(cell).upper() if isinstance(cell, bool) else cell


def _encoding(stream: BinaryIO, name: str) -> str:
    """UTF-16 by its mark; UTF-8 if all of it is; else Windows-1252, as spreadsheet programs save CSV in the West."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        block = read_block(stream, name, BLOCK)
        if block.startswith(UTF16_MARKS):
            return "utf-16"
        while block:
            decoder.decode(block)
            block = read_block(stream, name, BLOCK)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return WINDOWS
    finally:
        stream.seek(0)
    return UNICODE
