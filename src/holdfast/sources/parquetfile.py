"""A delivered Parquet file: its cells as text (`typed.py`), judged by the same rules as those of a CSV file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.errors import FileRefused, excerpt
from holdfast.records import RejectedRow
from holdfast.sources.header import match_header
from holdfast.sources.lines import LONGEST_RECORD
from holdfast.sources.parsed import Cells, ParsedBatch, Reading, cast_cells
from holdfast.sources.typed import as_csv, as_text, boolean_words, can_be_text
from holdfast.sources.unpacking import damage_refused, digest_of, refuse_unpacked

BATCH_ROWS = 32_768
BATCH_BYTES = 32 << 20
BUFFER = 1 << 20
LONGEST_NUMBER = 100
"""Bytes of a cell; no number or date has more."""

Texts = dict[str, pa.StringArray]


class ParquetDelivery:
    """A Parquet file as it is read: its columns at once, its rows by iterating, once. It meets `Delivered`.

    `header` and the text of a refused row hold those of its columns that the schema has, in the file's order; the
    others are not read. Rows are numbered from 1. Memory does not grow with the number of rows, however few row
    groups they are in, but with the length of their texts.

    Raises FileRefused when no row of the file can be trusted: its footer or its data cannot be decoded, hold another
    number of rows than they say, or more of anything than the limits allow; a column is missing, or its cells are
    neither text nor numbers, booleans or dates. MemoryError passes through.
    """

    def __init__(self, stream: BinaryIO, name: str, reading: Reading) -> None:
        self.name = name
        self.reading = reading
        self.rows = 0
        self._stream = stream
        self._size = stream.seek(0, os.SEEK_END)
        self._text_bytes = 0
        with self._damage_refused():
            # Without the buffer, or with `pre_buffer`, Arrow reads whole column chunks into memory.
            self._file = pq.ParquetFile(
                pa.PythonFile(stream, mode="r"), buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True
            )
            self._refuse_by_its_footer()
            names = self._file.schema_arrow.names
            self._nothing = self._file.schema_arrow.empty_table()
        found = [reading.renamed.get(column, column) for column in names]
        places, self.notices = match_header(
            found, reading.schema, name, line=None, target_required=reading.target_required
        )
        self.names = tuple(
            column for column, field in zip(found, self._file.schema_arrow, strict=True) if can_be_text(field.type)
        )
        self.header = tuple(sorted(places, key=lambda column: places[column]))
        self._names = {column: names[places[column]] for column in self.header}
        self._texts(self._nothing)  # refuses columns that cannot be read

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, read once more after the rows."""
        return digest_of(self._stream, self.name)

    def __iter__(self) -> Iterator[ParsedBatch]:
        batches = self._batches()
        while (batch := self._next(batches)) is not None:
            yield self._parsed(batch)
        promised = self._file.metadata.num_rows
        if self.rows != promised:
            message = f"the footer promises {promised:,} rows; there are {self.rows:,}"
            raise FileRefused(message, file=self.name, hint="the file is damaged: write it again")
        if not self.rows:
            yield self._parsed(self._nothing)

    def _refuse_by_its_footer(self) -> None:
        footer, limits = self._file.metadata, self.reading.limits
        if footer.num_columns > limits.columns:
            message = f"{footer.num_columns:,} columns; at most {limits.columns:,} are read"
            raise FileRefused(message, file=self.name, hint="the limit is in config.json: limits")
        if footer.num_rows * footer.num_columns > limits.cells:
            message = f"more than {limits.cells:,} cells (rows times columns)"
            raise FileRefused(message, file=self.name, hint="deliver it in parts, or raise limits.cells")
        unpacked = sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
        refuse_unpacked(unpacked, self._size, limits, self.name)
        self._rows_a_batch = max(1, min(BATCH_ROWS, BATCH_BYTES * footer.num_rows // max(unpacked, 1)))

    def _damage_refused(self) -> AbstractContextManager[None]:
        return damage_refused("a Parquet file", self.name, (pa.ArrowException, OSError, ValueError))

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with self._damage_refused():
            columns = list(self._names.values())
            batches: Iterator[pa.RecordBatch]
            batches = self._file.iter_batches(self._rows_a_batch, columns=columns, use_threads=False)
            return batches

    def _next(self, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        with self._damage_refused():
            return next(batches, None)

    def _parsed(self, batch: pa.RecordBatch | pa.Table) -> ParsedBatch:
        texts = self._texts(batch)
        lines = np.arange(self.rows + 1, self.rows + 1 + batch.num_rows)
        self.rows += batch.num_rows
        rejected: list[RejectedRow] = []
        long = self._longer_than_allowed(texts)
        if long:
            rejected = [self._too_long(texts, row, lines[row], column) for row, column in long.items()]
            short = np.delete(np.arange(batch.num_rows), list(long))
            texts, lines = {column: texts[column].take(pa.array(short)) for column in texts}, lines[short]
        cells = Cells(texts=texts, lines=lines, text_of=lambda row: self._text(texts, row))
        return cast_cells(cells, self.reading.schema, self.name, rejected)

    def _texts(self, batch: pa.RecordBatch | pa.Table) -> Texts:
        columns = {column.name: column for column in self.reading.schema.columns}
        with self._damage_refused():
            return {
                column: as_text(batch.column(name), column, self.name, booleans=boolean_words(columns[column]))
                for column, name in self._names.items()
            }

    def _text(self, texts: Texts, row: int) -> str:
        return as_csv(texts[column][row].as_py() for column in self.header)

    def _longer_than_allowed(self, texts: Texts) -> dict[int, str]:
        """The rows with a value of too many characters, and its column."""
        limits, long = self.reading.limits, dict[int, str]()
        for column, cells in texts.items():
            lengths = pc.binary_length(cells)
            longest = pc.max(lengths).as_py() or 0
            if longest > LONGEST_RECORD:
                raise FileRefused(f"a value longer than {LONGEST_RECORD:,} bytes", file=self.name, column=column)
            if longest > limits.field_characters:
                mask = pc.greater(pc.utf8_length(cells), limits.field_characters)
                for row in np.flatnonzero(mask).tolist():
                    long.setdefault(row, column)
            if longest > LONGEST_NUMBER:
                self._text_bytes += pc.sum(lengths).as_py()
        # One long text may stand in a dictionary once and be meant in every row.
        refuse_unpacked(self._text_bytes, self._size, limits, self.name)
        return long

    def _too_long(self, texts: Texts, row: int, line: int, column: str) -> RejectedRow:
        rule = f"longer than {self.reading.limits.field_characters:,} characters"
        text = self._text(texts, row)
        return RejectedRow(file=self.name, line=int(line), column=excerpt(column), rule=rule, text=text)
