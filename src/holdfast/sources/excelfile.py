"""A delivered Excel workbook (.xlsx): one sheet of it, judged by the same rules as a CSV file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from holdfast.errors import FileRefused, excerpt, nearest
from holdfast.records import RejectedRow
from holdfast.sources.header import match_header
from holdfast.sources.lines import LONGEST_RECORD
from holdfast.sources.parsed import Cells, ParsedBatch, Reading, cast_cells
from holdfast.sources.typed import BOOLEANS, as_csv, boolean_words
from holdfast.sources.unpacking import digest_of, refuse_unpacked
from holdfast.sources.workbook import Sheet, Workbook
from holdfast.sources.workbookxml import Cell, FailedFormula, Row

BATCH_CELLS = 100_000

FAILED = "the result of a formula that failed"
"""A number, date or label is refused for its own rule; #N/A as a text would pass."""


class ExcelDelivery:
    """A sheet of a workbook as it is read: its columns at once, its rows by iterating, once. It meets `Delivered`.

    The sheet is the one that `reading.sheet` names, else the first that is shown. Its first row that is not empty
    names the columns; `header` and the text of a refused row hold all that have a name. Rows keep the numbers of the
    sheet; empty ones are none. Cells beside the named columns are left out, with a notice, as are formulas without a
    stored result. Hidden rows count like others. Macros are not run.

    Raises FileRefused when no row can be trusted: see `Workbook`; there is no such sheet, a column is missing, or
    there is more of anything than the limits allow. MemoryError passes through.
    """

    def __init__(self, stream: BinaryIO, name: str, reading: Reading) -> None:
        self.name = name
        self.reading = reading
        self.rows = 0
        self._stream = stream
        self._size = stream.seek(0, os.SEEK_END)
        self._characters = self._beside = 0
        self._book = Workbook(stream, name, reading.limits)
        sheet, notices = self._choose(self._book.sheets)
        self._source = self._book.rows(sheet)
        line, names = next(self._source, (1, dict[int, Cell]()))
        if not names:
            hint = "the first row has to name the columns"
            raise FileRefused(f"the sheet '{excerpt(sheet.name)}' is empty", file=name, hint=hint)
        if len(names) > reading.limits.columns:
            message = f"{len(names):,} columns; at most {reading.limits.columns:,} are read"
            raise FileRefused(message, file=name, row=line, hint="the limit is in config.json: limits")
        self._numbers = sorted(names)
        found = [_text(names[number], BOOLEANS) for number in self._numbers]
        self.header = self.names = tuple(reading.renamed.get(column, column) for column in found)
        try:
            self._places, unused = match_header(
                self.header, reading.schema, name, line=line, target_required=reading.target_required
            )
        except FileRefused as error:  # another sheet may be meant
            error.hint = "; ".join([*filter(None, [error.hint]), *notices])
            raise
        words = {column.name: boolean_words(column) for column in reading.schema.columns}
        self._booleans = [words.get(column, BOOLEANS) for column in self.header]
        self.notices = (*notices, *unused)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, read once more after the rows."""
        return digest_of(self._stream, self.name)

    def __iter__(self) -> Iterator[ParsedBatch]:
        filled = (row for row in self._source if self._is_filled(row))
        size = max(BATCH_CELLS // len(self.header), 1)
        yield self._parsed(list(islice(filled, size)))
        while batch := list(islice(filled, size)):
            yield self._parsed(batch)
        if self._book.without_result:
            what = f"{self._book.without_result} formulas stored without their results are read as empty cells"
            self.notices += (f"{self.name}: {what}; open the workbook in Excel and save it",)
        if self._beside:
            cells, are = ("1 cell", "is") if self._beside == 1 else (f"{self._beside:,} cells", "are")
            self.notices += (f"{self.name}: {cells} beside the named columns {are} left out",)

    def _choose(self, sheets: Sequence[Sheet]) -> tuple[Sheet, tuple[str, ...]]:
        macros = (f"{self.name}: it holds macros, which are not run",) if self._book.has_macros else ()
        names, wanted = [sheet.name for sheet in sheets], self.reading.sheet
        shown = ", ".join(map(excerpt, names))
        if wanted is not None:
            if wanted not in names:
                close = nearest(wanted, names)
                hint = f"did you mean '{excerpt(close)}'?" if close else "the source's key 'sheet' names it"
                raise FileRefused(f"no sheet '{excerpt(wanted)}'. Found: {shown}", file=self.name, hint=hint)
            return sheets[names.index(wanted)], macros
        visible = [sheet for sheet in sheets if sheet.visible]
        if not visible:
            message = f"no sheet is shown. Found: {shown}" if sheets else "no sheet with cells"
            raise FileRefused(message, file=self.name, hint="the source's key 'sheet' names the one to read")
        if len(visible) == 1:
            return visible[0], macros
        others = f"the sheet '{excerpt(visible[0].name)}' is read, of {shown}"
        return visible[0], (*macros, f"{self.name}: {others}; the key 'sheet' of a source, or --sheet, names another")

    def _is_filled(self, row: Row) -> bool:
        _, cells = row
        named = sum(number in cells for number in self._numbers)
        self._beside += len(cells) - named
        return named > 0

    def _parsed(self, rows: Sequence[Row]) -> ParsedBatch:
        self.rows += len(rows)
        limits = self.reading.limits
        if self.rows * len(self.header) > limits.cells:
            message = f"more than {limits.cells:,} cells (rows times columns)"
            raise FileRefused(message, file=self.name, hint="deliver it in parts, or raise limits.cells")
        texts = [
            [_text(cells.get(number, ""), words) for _, cells in rows]
            for number, words in zip(self._numbers, self._booleans, strict=True)
        ]
        lines = np.array([line for line, _ in rows], dtype=np.int64)

        def text_of(row: int) -> str:
            return as_csv(cells[row] for cells in texts)

        rejected = []
        broken = self._broken(texts)
        for row, (column, rule) in broken.items():
            text = text_of(row)
            rejected.append(RejectedRow(file=self.name, line=int(lines[row]), column=column, rule=rule, text=text))
        kept = np.array([row for row in range(len(rows)) if row not in broken], dtype=np.int64)
        cells = Cells(
            texts={column: pa.array(texts[place], pa.string()).take(kept) for column, place in self._places.items()},
            lines=lines[kept],
            text_of=lambda row: text_of(int(kept[row])),
        )
        return cast_cells(cells, self.reading.schema, self.name, rejected)

    def _broken(self, texts: Sequence[Sequence[str]]) -> dict[int, tuple[str, str]]:
        """The rows that are refused before their values are looked at: column and rule."""
        broken: dict[int, tuple[str, str]] = {}
        most = self.reading.limits.field_characters
        for column, cells in zip(self.header, texts, strict=True):
            longest = max(map(len, cells), default=0)
            if longest > LONGEST_RECORD:
                message = f"a value longer than {LONGEST_RECORD:,} characters"
                raise FileRefused(message, file=self.name, column=excerpt(column))
            if longest > most:
                for row in (row for row, cell in enumerate(cells) if len(cell) > most):
                    broken.setdefault(row, (excerpt(column), f"longer than {most:,} characters"))
            self._characters += sum(map(len, cells))
        # A long text may stand in the workbook once and be meant by every row.
        refuse_unpacked(self._characters, self._size, self.reading.limits, self.name)
        for wanted in self.reading.schema.columns:
            if wanted.type in {"text", "category"} and wanted.role != "ignored" and wanted.name in self._places:
                for row, cell in enumerate(texts[self._places[wanted.name]]):
                    if isinstance(cell, FailedFormula):
                        broken.setdefault(row, (wanted.name, FAILED))
        return broken


def _text(cell: Cell, booleans: tuple[str, str]) -> str:
    if isinstance(cell, bool):
        return booleans[0] if cell else booleans[1]
    return cell
