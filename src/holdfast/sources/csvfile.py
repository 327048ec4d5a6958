"""A delivered CSV file, record by record: accepted rows as Arrow batches, every other row with its place and rule.

The dialect is explicit: comma, double quotes doubled inside quotes (RFC 4180), UTF-8 with or without a mark.
All columns are read as text first, then cast by the schema (`casting.py`). Nothing is detected or guessed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from holdfast.errors import FileRefused, HoldfastError, nearest
from holdfast.records import RejectedRow
from holdfast.schema import Schema
from holdfast.sources.casting import ARROW_TYPES, cast
from holdfast.sources.files import Examination, examine

BATCH_ROWS = 50_000
LONGEST_LINE = 4 << 20
LONGEST_FIELD = 64 << 10
LINE = "_line"
OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True, slots=True)
class ParsedBatch:
    """Rows that keep the schema, with their line numbers in the column `_line`, and rows that do not."""

    rows: pa.RecordBatch
    rejected: tuple[RejectedRow, ...]


@dataclass(slots=True)
class _Record:
    line: int
    fields: list[str]
    text: str


class CsvFile:
    """An opened CSV file: `examination` and `notices` at once, rows by iterating.

    Raises FileRefused when no row of the file can be trusted: wrong encoding, delimiter or columns, a quote
    that is never closed, or a wrong number of fields in every row.
    """

    def __init__(self, stream: BinaryIO, schema: Schema, name: str, *, target_required: bool = True) -> None:
        self.name = name
        self.schema = schema
        self.examination: Examination = examine(stream, name)
        self._lines = _Lines(stream, name, self.examination.newline)
        self._reader = csv.reader(self._lines, strict=True)
        header = self._next_record()
        self._header: list[str] = [] if header is None else header.fields
        self._places, self.notices = match_header(self._header, schema, name, target_required=target_required)
        self.rows = 0

    def __iter__(self) -> Iterator[ParsedBatch]:
        records: list[_Record] = []
        rejected: list[RejectedRow] = []
        misfits = 0
        for record in self._records(rejected):
            self.rows += 1
            problem = self._problem(record)
            if problem:
                misfits += problem.rule.startswith("fields")
                rejected.append(problem)
            else:
                records.append(record)
            if len(records) + len(rejected) >= BATCH_ROWS:
                yield self._parsed(records, rejected)
                records, rejected = [], []
        if misfits and misfits == self.rows:
            self._refuse_every_row(rejected[0])
        if self._lines.count != self.examination.lines:
            raise HoldfastError(f"read {self._lines.count} of {self.examination.lines} lines", file=self.name)
        yield self._parsed(records, rejected)

    def _records(self, rejected: list[RejectedRow]) -> Iterator[_Record]:
        """Every record of the file; one whose quoting is broken on a single line goes to `rejected`."""
        while True:
            try:
                record = self._next_record()
            except csv.Error as error:
                self.rows += 1
                rejected.append(self._broken_quoting(error))
                continue
            if record is None:
                return
            yield record

    def _next_record(self) -> _Record | None:
        self._lines.start_record()
        for fields in self._reader:
            if fields and fields != [""]:
                return _Record(self._lines.first, fields, self._lines.text)
            self._lines.start_record()
        return None

    def _broken_quoting(self, error: csv.Error) -> RejectedRow:
        if self._lines.spanned > 1 or self._lines.exhausted:
            raise FileRefused(
                "a quote opens in this line and is not closed properly, so the lines after it cannot be told apart",
                file=self.name,
                row=self._lines.first,
                value=self._lines.text,
                hint="close the quote, or write a quote inside a field twice",
            )
        return self._reject(self._lines.first, None, f"quoting: {error}", self._lines.text)

    def _problem(self, record: _Record) -> RejectedRow | None:
        if not self.examination.ends_with_newline and self._lines.count == self.examination.lines:
            rule = "unfinished: the last line has no line end, so it may be cut short"
            return self._reject(record.line, None, rule, record.text)
        if len(record.fields) != len(self._header):
            rule = f"fields: {len(record.fields)} instead of {len(self._header)}"
            return self._reject(record.line, None, rule, record.text)
        for place, field in enumerate(record.fields):
            if len(field) > LONGEST_FIELD:
                return self._reject(record.line, self._header[place], "field too long", record.text[:LONGEST_FIELD])
        return None

    def _reject(self, line: int, column: str | None, rule: str, text: str) -> RejectedRow:
        return RejectedRow(file=self.name, line=line, column=column, rule=rule, text=text.rstrip("\r\n"))

    def _refuse_every_row(self, example: RejectedRow) -> None:
        found, expected = example.rule.removeprefix("fields: ").split(" instead of ")
        raise FileRefused(
            f"every row has {found} fields, the header names {expected}",
            file=self.name,
            row=example.line,
            value=example.text,
            hint="the header and the rows do not belong together; no column is guessed",
        )

    def _parsed(self, records: Sequence[_Record], rejected: Sequence[RejectedRow]) -> ParsedBatch:
        lines = np.array([record.line for record in records], dtype=np.int64)
        broken: dict[int, tuple[str, str]] = {}
        columns: dict[str, pa.Array] = {}
        for column in self.schema.columns:
            place = self._places.get(column.name)
            if place is None:
                columns[column.name] = self._absent(column.name, lines)
                continue
            result = cast(pa.array([record.fields[place] for record in records], pa.string()), column)
            columns[column.name] = result.values
            for rule, mask in result.broken:
                for row in np.flatnonzero(mask).tolist():
                    broken.setdefault(row, (column.name, rule))
        batch = pa.record_batch({**columns, LINE: pa.array(lines)})
        if broken:
            kept = np.ones(len(records), dtype=bool)
            kept[list(broken)] = False
            batch = batch.filter(pa.array(kept))
        refused = [self._reject(records[row].line, *broken[row], records[row].text) for row in sorted(broken)]
        return ParsedBatch(batch, tuple(sorted([*rejected, *refused], key=lambda row: row.line)))

    def _absent(self, column: str, lines: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Array:
        """A column that the file does not have: rows are their own clients, labels are unknown."""
        if column == self.schema.client.name:
            return pa.array([f"{self.name}:{line}" for line in lines.tolist()], pa.string())
        kind = next(c.type for c in self.schema.columns if c.name == column)
        return pa.nulls(len(lines), ARROW_TYPES[kind])


class _Lines:
    """Physical lines for the CSV reader, remembering where the current record began and its text."""

    def __init__(self, stream: BinaryIO, name: str, newline: str) -> None:
        self._stream = io.TextIOWrapper(stream, encoding="utf-8-sig", newline=newline)
        self._name = name
        self._record: list[str] = []
        self.count = 0
        self.first = 1
        self.exhausted = False

    def start_record(self) -> None:
        self._record = []
        self.first = self.count + 1

    @property
    def text(self) -> str:
        return "".join(self._record)

    @property
    def spanned(self) -> int:
        return len(self._record)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(LONGEST_LINE)
        if not line:
            self.exhausted = True
            raise StopIteration
        if len(line) == LONGEST_LINE:
            raise FileRefused(f"a line longer than {LONGEST_LINE:,} characters", file=self._name, row=self.count + 1)
        self.count += 1
        self._record.append(line)
        return line


def match_header(
    header: Sequence[str], schema: Schema, name: str, *, target_required: bool
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Where each column of the schema stands in the file, and notices about columns that are not used.

    Raises FileRefused for missing, repeated or misspelt columns, with what was found and what may be meant.
    """
    wanted = [column.name for column in schema.delivered]
    _refuse_other_delimiters(header, wanted, name)
    for column in wanted:
        if header.count(column) > 1:
            raise FileRefused("this column appears more than once", file=name, row=1, column=column)
    optional = () if target_required else (schema.target.name,)
    extra = [column for column in header if column not in wanted]
    for column in wanted:
        if column not in header and column not in optional:
            _refuse_missing(column, header, extra, name)
    variants = {c: nearest(c, wanted) for c in extra if c.strip().casefold() in {w.casefold() for w in wanted}}
    for variant, meant in variants.items():
        raise FileRefused(f"'{variant}' and '{meant}' differ only in case or spaces", file=name, row=1, column=variant)
    places = {column: list(header).index(column) for column in wanted if column in header}
    notice = f"{name}: {len(extra)} columns not in the schema are left out: {', '.join(extra[:10])}"
    return places, ((notice,) if extra else ())


def _refuse_other_delimiters(header: Sequence[str], wanted: Sequence[str], name: str) -> None:
    for delimiter, word in OTHER_DELIMITERS.items():
        if len(wanted) > 1 and len(header) < len(wanted) and any(delimiter in column for column in header):
            raise FileRefused(
                f"expected {len(wanted)} columns named {', '.join(wanted)}; found {len(header)}",
                file=name,
                row=1,
                value=",".join(header),
                hint=f"the fields look separated by {word}; save the file with commas",
            )


def _refuse_missing(column: str, header: Sequence[str], extra: Sequence[str], name: str) -> None:
    close = nearest(column, extra)
    if close:
        hint = f"did you mean '{close}'? Rename it to '{column}'"
    elif any(field.strip().lstrip("-").replace(".", "", 1).isdigit() for field in header):
        hint = "the first line looks like data: it has to name the columns"
    else:
        hint = "prediction files may omit the target column; other files need every column"
    found = ", ".join(header[:12])
    raise FileRefused(f"no column '{column}'. Found: {found}", file=name, row=1, column=column, hint=hint)
