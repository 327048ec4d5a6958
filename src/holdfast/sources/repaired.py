"""Quarantined rows on their way back: repaired or unchanged text, read again by the schema as it is now."""

from __future__ import annotations

import csv
import hashlib
import io
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import pyarrow as pa

from holdfast.errors import excerpt
from holdfast.limits import Limits
from holdfast.records import RejectedRow
from holdfast.schema import LINE, Schema
from holdfast.sources.csvfile import badly_quoted
from holdfast.sources.parsed import Cells, ParsedBatch, cast_cells
from holdfast.sources.typed import SPECIAL

BATCH_ROWS = 10_000
SHOWN_REFUSED = 20
LONGEST_FIELD = Limits().field_characters


@dataclass(frozen=True, slots=True)
class RowText:
    """A row as text: one CSV record, and the line of its delivery that it stood in."""

    line: int
    text: str


class RepairedRows:
    """Rows given as text, as a delivery (see `Delivered`) of those that keep the schema; the others are `refused`.

    `rows` are gone through each time that they are needed, a batch at a time. `header` names their fields, none of
    which may have more than `longest` characters. `taken` are the lines of those that keep the schema; of the others
    the first are kept, and all are counted as `refusals`.
    """

    def __init__(
        self,
        rows: Iterable[RowText],
        header: Sequence[str],
        name: str,
        schema: Schema,
        origin: str,
        *,
        longest: int = LONGEST_FIELD,
    ) -> None:
        self.name = name
        self.header = tuple(header)
        self.notices: tuple[str, ...] = ()
        self.rows = 0
        self.refused: list[RejectedRow] = []
        self.refusals = 0
        self.taken = array("q")
        self._rows = rows
        self._schema = schema
        self._origin = origin
        self._longest = longest

    @property
    def digest(self) -> str:
        """That of the delivery that the rows come from (`origin`), their lines and their texts."""
        return self._identity[0]

    @property
    def size(self) -> int:
        """The bytes of their texts."""
        return self._identity[1]

    @cached_property
    def _identity(self) -> tuple[str, int]:
        hasher = hashlib.sha256(self._origin.encode())
        size = 0
        for row in self._rows:
            text = row.text.encode()
            hasher.update(b"%d:%b\0" % (row.line, text))
            size += len(text)
        return hasher.hexdigest(), size

    def __iter__(self) -> Iterator[ParsedBatch]:
        rows = iter(self._rows)
        batch = list(islice(rows, BATCH_ROWS))
        while True:
            parsed = self._parsed(batch)
            self.refused += parsed.rejected[: SHOWN_REFUSED - len(self.refused)]
            self.refusals += len(parsed.rejected)
            self.taken.extend(parsed.rows.column(LINE).to_pylist())
            self.rows += parsed.rows.num_rows
            yield ParsedBatch(parsed.rows, (), parsed.unlabelled)
            batch = list(islice(rows, BATCH_ROWS))
            if not batch:
                return

    def _parsed(self, rows: Sequence[RowText]) -> ParsedBatch:
        fitting: list[RowText] = []
        fields: list[list[str]] = []
        rejected: list[RejectedRow] = []
        for row in rows:
            found = fields_of(row.text)
            broken = self._broken(found)
            if broken:
                column, rule = broken
                rejected.append(RejectedRow(file=self.name, line=row.line, column=column, rule=rule, text=row.text))
            elif found:
                fitting.append(row)
                fields.append(found)
        places = {name: self.header.index(name) for name in self._schema.names if name in self.header}
        texts = {name: pa.array([each[place] for each in fields], pa.string()) for name, place in places.items()}
        lines = np.array([row.line for row in fitting], dtype=np.int64)
        return cast_cells(Cells(texts, lines, lambda row: fitting[row].text), self._schema, self.name, rejected)

    def _broken(self, fields: Sequence[str] | None) -> tuple[str | None, str] | None:
        """The column and the rule that a row breaks before its values are looked at."""
        if fields is None:
            return None, "quoting"
        if len(fields) != len(self.header):
            return None, f"fields: {len(fields)} instead of {len(self.header)}"
        long = (column for column, field in zip(self.header, fields, strict=True) if len(field) > self._longest)
        column = next(long, None)
        return (excerpt(column), f"longer than {self._longest:,} characters") if column is not None else None


def fields_of(text: str) -> list[str] | None:
    """The fields of one CSV record, or None when it is not one.

    >>> fields_of('a,"b,c"')
    ['a', 'b,c']
    """
    if not SPECIAL.search(text) and len(text) <= LONGEST_FIELD:  # as most are
        return text.split(",") if text else None
    if badly_quoted(text):  # the csv module would take most of these
        return None
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None
    return (records[0] or None) if len(records) == 1 else None
