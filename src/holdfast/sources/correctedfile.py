"""A corrected table of refused rows, as the file that a spreadsheet program saved: its rows, a batch at a time."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from holdfast.errors import FileRefused, excerpt, from_os_error
from holdfast.formulas import meant_by
from holdfast.limits import Limits
from holdfast.schema import LINE
from holdfast.sources.corrections import (
    LINE_COLUMN,
    LONGEST_CELL,
    RULE_COLUMN,
    TABLE_ROW,
    TEXT,
    UNICODE,
    WINDOWS_NOTICE,
    filled,
    same_cell,
)
from holdfast.sources.files import BLOCK, read_block
from holdfast.sources.kinds import UTF16_MARKS
from holdfast.sources.lines import LONGEST_RECORD
from holdfast.sources.parsed import ParsedBatch
from holdfast.sources.typed import as_csv
from holdfast.sources.unpacking import digest_of
from holdfast.sources.workbook import OLD_MARK, Workbook

DELIMITERS = (",", ";", "\t")
"""What separates fields: commas as it was written, or what a spreadsheet program puts there in some countries."""

ZIP_MARK = b"PK\x03\x04"
WINDOWS = "windows-1252"
LONGEST_LINE = 18
"""Digits of a line number."""

ROWS_AT_ONCE = 1_000
Record = tuple[int, list[str]]
"""The number of a row of the table, and its cells."""


class CorrectedFile:
    """The table in `stream`, which is at its start, of rows whose fields `header` names. It meets `DeliveredFile`.

    Its rows have three columns: the line that the row has in its delivery (LINE), the number that it has in the table
    (TABLE_ROW), and its fields without their marks against formulas, as CSV (TEXT).

    It is CSV as it was written or as spreadsheet programs save it (with commas, semicolons or tabs, in UTF-8, UTF-16
    or Windows-1252), or the first sheet of an Excel workbook. Its first line has to be that of the table. A notice
    says that it was read as Windows-1252.

    Raises FileRefused for what is no such table, for a line that is no number, and for more than `limits` allow.
    """

    def __init__(self, stream: BinaryIO, name: str, header: Sequence[str], limits: Limits) -> None:
        self.name = name
        self.header = self.names = (LINE_COLUMN, RULE_COLUMN, *header)
        self.notices: tuple[str, ...] = ()
        self.rows = 0
        self._stream = stream
        self._limits = limits
        self._longest = max(limits.field_characters, LONGEST_CELL)
        beginning = read_block(stream, name, len(OLD_MARK))
        stream.seek(0)
        records = self._of_workbook() if beginning in {ZIP_MARK, OLD_MARK} else self._of_text()
        self._records = ((row, cells) for row, cells in records if any(cells))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, read once more after the rows."""
        return digest_of(self._stream, self.name)

    def __iter__(self) -> Iterator[ParsedBatch]:
        while some := list(islice(self._records, ROWS_AT_ONCE)):
            self.rows += len(some)
            if self.rows * len(self.header) > self._limits.cells:
                message = f"more than {self._limits.cells:,} cells (rows times columns)"
                raise FileRefused(message, file=self.name, hint="bring it back in parts, or raise limits.cells")
            yield ParsedBatch(
                pa.record_batch(
                    {
                        LINE: np.array([self._line(*record) for record in some], dtype=np.int64),
                        TABLE_ROW: np.array([row for row, _ in some], dtype=np.int64),
                        TEXT: pa.array([as_csv(map(meant_by, cells[2:])) for _, cells in some], pa.string()),
                    }
                ),
                (),
            )

    def _line(self, row: int, cells: Sequence[str]) -> int:
        if max(map(len, cells)) > self._longest:
            raise FileRefused(f"a cell of more than {self._longest:,} characters", file=self.name, row=row)
        line = cells[0].strip()
        if not line.isdecimal() or len(line) > LONGEST_LINE:
            message = f"'{excerpt(cells[0])}' is no line number"
            hint = "the first column tells which row this is: leave it as it was written"
            raise FileRefused(message, file=self.name, row=row, column=LINE_COLUMN, hint=hint)
        return int(line)

    def _of_workbook(self) -> Iterator[Record]:
        book = Workbook(self._stream, self.name, self._limits)
        sheets = [sheet for sheet in book.sheets if sheet.visible]
        rows = book.rows(sheets[0]) if sheets else iter(())
        records = ((number, [_text(row.get(place, "")) for place in range(1, max(row) + 1)]) for number, row in rows)
        if not self._is_header(next(records, (1, list[str]()))[1]):
            raise self._other_header()
        return records

    def _of_text(self) -> Iterator[Record]:
        encoding = _encoding(self._stream, self.name)
        if encoding == WINDOWS:
            self.notices = (f"{self.name} {WINDOWS_NOTICE}",)
        for delimiter in DELIMITERS:
            records = self._csv(encoding, delimiter)
            with suppress(FileRefused):  # with another delimiter it may be no CSV at all
                if self._is_header(next(records, (1, list[str]()))[1]):
                    return records
        raise self._other_header()

    def _csv(self, encoding: str, delimiter: str) -> Iterator[Record]:
        self._stream.seek(0)
        text = io.TextIOWrapper(self._stream, encoding, newline="")
        lines = _Lines(text, self.name)
        try:
            for record in enumerate(csv.reader(lines, delimiter=delimiter, strict=True), 1):
                lines.length = 0
                yield record
        except (UnicodeError, csv.Error) as error:
            hint = "save it as CSV UTF-8, or as .xlsx"
            raise FileRefused(f"not CSV: {error}", file=self.name, hint=hint) from None
        except OSError as error:
            raise from_os_error(error, "read", self.name) from None
        finally:
            with suppress(ValueError):  # the stream is closed already
                text.detach()  # lest it close the stream

    def _is_header(self, cells: Sequence[str]) -> bool:
        found = [meant_by(cell) for cell in filled(cells)]
        wanted = filled(self.header)
        return len(found) == len(wanted) and all(map(same_cell, wanted, found))

    def _other_header(self) -> FileRefused:
        message = f"the first line has to be {','.join(map(excerpt, self.header))}"
        hint = "correct a table that `holdfast quarantine show --out` wrote, and leave its first line as it is"
        return FileRefused(message, file=self.name, row=1, hint=hint)


class _Lines:
    """The lines of a text; those since `length` was last set to 0, of one record, may not be too long."""

    def __init__(self, text: io.TextIOWrapper, name: str) -> None:
        self.length = 0
        self._text = text
        self._name = name

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST_RECORD + 1)
        self.length += len(line)
        if self.length > LONGEST_RECORD:
            raise FileRefused(f"a row longer than {LONGEST_RECORD:,} characters", file=self._name)
        if not line:
            raise StopIteration
        return line


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
