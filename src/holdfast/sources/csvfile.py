"""A delivered CSV file: accepted rows as Arrow batches, every other row with its place and rule.

The dialect is explicit: comma, double quotes doubled inside quotes (RFC 4180), UTF-8 with or without a mark.
All columns are read as text first, then cast by the schema (`casting.py`). Nothing is detected or guessed.

A block in which every line is one record is split by Arrow; any other block is read record by record, which gives
the same rows and takes several times as long.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from holdfast.errors import FileRefused, excerpt
from holdfast.records import RejectedRow
from holdfast.sources.header import match_header
from holdfast.sources.lines import Bytes, Lines
from holdfast.sources.parsed import Cells, Numbers, ParsedBatch, Reading, cast_cells

BATCH_LINES = 1 << 17
"""More than this are not looked at together: each may have to be kept as a refused row."""

UNFINISHED = "unfinished: the last line has no line end, so it may be cut short"

# RFC 4180: a quote stands only around a field, or twice inside such a field.
QUOTED = r'"[^"]*+(?:""[^"]*+)*+"'
QUOTED_FIELD = re.compile(QUOTED)
RECORD = re.compile(rf'(?:{QUOTED}|[^",\r\n]*+)(?:,(?:{QUOTED}|[^",\r\n]*+))*+[\r\n]*+')
FIELD = rb'(?:"[^"\r\n]*+(?:""[^"\r\n]*+)*+"|[^",\r\n]*+)'
ONE_RECORD_A_LINE = re.compile(rb"(?:%b(?:,%b)*+(?:\r?\n|\r))*+" % (FIELD, FIELD))


@dataclass(slots=True)
class _Record:
    line: int
    text: str
    fields: Sequence[str] = ()


class CsvFile:
    """A CSV file as it is read: its header at once, its rows by iterating, once. It meets `Delivered`.

    Raises FileRefused when no row of the file can be trusted: wrong encoding, delimiter or columns, a quote
    that is never closed, a wrong number of fields in every row, or more of anything than the limits allow.
    """

    def __init__(self, stream: Bytes, name: str, reading: Reading) -> None:
        self.name = name
        self.reading = reading
        self._longest = reading.limits.field_characters
        self._lines = Lines(stream, name)
        self._reader = csv.reader(self._lines, strict=True)
        self.header = self.names = tuple(reading.renamed.get(column, column) for column in self._read_header())
        if len(self.header) > reading.limits.columns:
            message = f"{len(self.header):,} columns; at most {reading.limits.columns:,} are read"
            raise FileRefused(message, file=name, row=self._lines.first, hint="the limit is in config.json: limits")
        self._places, self.notices = match_header(
            self.header, reading.schema, name, line=self._lines.first, target_required=reading.target_required
        )
        self.rows = 0
        self._fitting = 0
        self._example: RejectedRow | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes that were read."""
        return self._lines.digest

    def __iter__(self) -> Iterator[ParsedBatch]:
        batches = 0
        while block := self._lines.block():
            yield self._split(block) or self._read(block)
            batches += 1
            if self.rows * len(self.header) > self.reading.limits.cells:
                message = f"more than {self.reading.limits.cells:,} cells (rows times columns)"
                raise FileRefused(message, file=self.name, hint="deliver it in parts, or raise limits.cells")
        if self._example and not self._fitting:
            self._refuse_every_row(self._example)
        if not batches:
            nothing = [pa.array([], pa.string())] * len(self._places)
            yield self._cast(nothing, np.zeros(0, np.int64), str, [])

    def _read_header(self) -> list[str]:
        try:
            record = self._next_record()
        except csv.Error:
            record = None
        if record is None or badly_quoted(record.text):
            message = "the first line is not CSV" if self._lines.text.strip() else "there is no line with column names"
            hint = "the first line has to name the columns, separated by commas"
            raise FileRefused(message, file=self.name, row=self._lines.first, value=self._lines.text, hint=hint)
        return list(record.fields)

    def _split(self, block: bytes) -> ParsedBatch | None:
        """The rows of `block`, or of its first lines, if each is one record, of the right number of fields or not."""
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord(self._lines.newline)) + 1
        if not len(ends) or ends[-1] != len(block) or np.diff(ends, prepend=0).max() > self._longest:
            return None
        ends = ends[:BATCH_LINES]
        block = block[: ends[-1]]
        # Arrow would drop a byte order mark, and end a line at every carriage return or line feed.
        if _has_other_ends(block, self._lines.newline) or block.startswith(codecs.BOM_UTF8):
            return None
        if b'"' in block and not ONE_RECORD_A_LINE.fullmatch(block):
            return None
        table, misfits = _split_fields(block, len(self.header), list(self._places.values()))
        if table.num_rows + len(misfits) != len(ends):  # there are empty lines
            return None
        before = self._lines.count
        fits = np.ones(len(ends), dtype=bool)
        fits[list(misfits)] = False
        places = np.flatnonzero(fits)

        def text(line: int) -> str:
            return block[ends[line - 1] if line else 0 : ends[line]].decode()

        records = [_Record(before + line + 1, text(line)) for line in misfits]
        rejected = [self._misfit(*misfit) for misfit in zip(records, misfits.values(), strict=True)]
        self._lines.take(block, len(ends))
        self.rows += len(ends)
        self._fitting += len(places)
        texts = [column.combine_chunks() for column in table.columns]
        return self._cast(texts, places + before + 1, lambda row: text(places[row]), rejected)

    def _read(self, block: bytes) -> ParsedBatch:
        """The rows of `block`, or of its first lines, record by record; the last one may reach beyond them."""
        newline = self._lines.newline.encode()
        end = self._lines.count + min(block.count(newline) + (not block.endswith(newline)), BATCH_LINES)
        records: list[_Record] = []
        rejected: list[RejectedRow] = []
        while self._lines.count < end:
            try:
                record = self._next_record()
            except csv.Error:
                record = _Record(self._lines.first, self._lines.text)
                problem: RejectedRow | None = self._broken(record)
            else:
                if record is None:
                    break
                problem = self._problem(record)
            self.rows += 1
            if problem:
                rejected.append(problem)
            else:
                records.append(record)
        columns = [pa.array([record.fields[p] for record in records], pa.string()) for p in self._places.values()]
        lines = np.array([record.line for record in records], dtype=np.int64)
        return self._cast(columns, lines, lambda row: records[row].text, rejected)

    def _next_record(self) -> _Record | None:
        self._lines.start_record()
        for fields in self._reader:
            if fields:
                return _Record(self._lines.first, self._lines.text, fields)
            self._lines.start_record()
        return None

    def _problem(self, record: _Record) -> RejectedRow | None:
        """Why the record cannot be taken, before its cells are looked at."""
        fits = len(record.fields) == len(self.header)
        if badly_quoted(record.text) or (self._lines.spanned > 1 and not fits):
            return self._broken(record)
        if self._lines.unfinished:
            return self._reject(record, None, UNFINISHED)
        if not fits:
            return self._misfit(record, len(record.fields))
        self._fitting += 1
        if len(record.text) > self._longest:
            for column, field in zip(self.header, record.fields, strict=True):
                if len(field) > self._longest:
                    return self._reject(record, excerpt(column), f"longer than {self._longest:,} characters")
        return None

    def _misfit(self, record: _Record, fields: int) -> RejectedRow:
        rejected = self._reject(record, None, f"fields: {fields} instead of {len(self.header)}")
        self._example = self._example or rejected
        return rejected

    def _broken(self, record: _Record) -> RejectedRow:
        """A record that is not RFC 4180: refused alone where it is one line, with the file where it is more."""
        self._refuse_two_line_ends(record)
        if self._lines.spanned == 1 and self._lines.unfinished:
            return self._reject(record, None, UNFINISHED)
        if self._lines.spanned > 1 or self._lines.exhausted:
            raise FileRefused(
                "a quote opens in this line and is not closed properly, so the lines after it cannot be told apart",
                file=self.name,
                row=self._lines.first,
                value=self._lines.text,
                hint="close the quote, or write a quote inside a field twice",
            )
        if "\r" in record.text.rstrip("\r\n"):
            return self._reject(record, None, "quoting: a carriage return stands in a field without quotes")
        if len(record.text) > csv.field_size_limit():
            return self._reject(record, None, f"longer than {self._longest:,} characters, or badly quoted")
        return self._reject(record, None, "quoting: a quote stands only around a field, or twice inside one")

    def _refuse_two_line_ends(self, record: _Record) -> None:
        if self._lines.newline == "\r" and "\n" in QUOTED_FIELD.sub("", record.text).partition('"')[0]:
            raise FileRefused(
                "a line feed stands outside of quotes, where other lines end in carriage returns alone",
                file=self.name,
                row=record.line,
                value=record.text,
                hint="let all lines end in the same way",
            )

    def _refuse_every_row(self, example: RejectedRow) -> None:
        raise FileRefused(
            f"no row has as many fields as the header; {example.rule.removeprefix('fields: ')} in this one",
            file=self.name,
            row=example.line,
            value=example.text,
            hint="the header and the rows do not belong together; no column is guessed",
        )

    def _reject(self, record: _Record, column: str | None, rule: str) -> RejectedRow:
        text = record.text.rstrip("\r\n")
        return RejectedRow(file=self.name, line=record.line, column=column, rule=rule, text=text)

    def _cast(
        self, texts: Sequence[pa.Array], lines: Numbers, text_of: Callable[[int], str], rejected: list[RejectedRow]
    ) -> ParsedBatch:
        cells = Cells(dict(zip(self._places, texts, strict=True)), lines, text_of)
        return cast_cells(cells, self.reading.schema, self.name, rejected)


def badly_quoted(text: str) -> bool:
    """True if a quote stands anywhere but around a field, or twice inside one."""
    return '"' in text and not RECORD.fullmatch(text)


def _has_other_ends(block: bytes, newline: str) -> bool:
    """True if there is a line feed or carriage return that does not end a line."""
    if newline == "\r":
        return b"\n" in block
    return b"\r" in block and block.count(b"\r") != block.count(b"\r\n")


def _split_fields(block: bytes, fields: int, wanted: Sequence[int]) -> tuple[pa.Table, dict[int, int]]:
    """The wanted fields of every line, as text, without the lines (from 0) that have another number of fields."""
    misfits: dict[int, int] = {}

    def leave_out(row: arrow_csv.InvalidRow) -> str:
        misfits[row.number - 1] = row.actual_columns
        return "skip"

    names = [str(place) for place in range(fields)]
    table = arrow_csv.read_csv(
        pa.BufferReader(block),
        read_options=arrow_csv.ReadOptions(column_names=names, block_size=len(block) + 1, use_threads=False),
        parse_options=arrow_csv.ParseOptions(invalid_row_handler=leave_out),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=[str(place) for place in wanted],
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )
    return table, misfits
