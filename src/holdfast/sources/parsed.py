"""What every kind of delivery becomes: batches of rows that keep the schema, and rows that do not, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.limits import Limits
from holdfast.records import RejectedRow
from holdfast.schema import LINE, Schema
from holdfast.sources.casting import ARROW_TYPES, cast

Numbers = NDArray[np.int64]

WHOLE_TABLE = Schema(columns=())
"""A delivery that is opened under this schema is read with all its columns, as text (`Reading.schema`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a delivery is to be read: the schema, the limits, what its columns are called in the schema."""

    schema: Schema
    limits: Limits = field(default_factory=Limits)
    renamed: Mapping[str, str] = field(default_factory=dict)
    sheet: str | None = None
    target_required: bool = True


@dataclass(frozen=True, slots=True)
class ParsedBatch:
    """Rows that keep the schema, with their line numbers in the column `_line`, and rows that do not.

    `unlabelled` are among the rows: taken without their label, because it is neither of the schema's two.
    """

    rows: pa.RecordBatch
    rejected: tuple[RejectedRow, ...]
    unlabelled: tuple[RejectedRow, ...] = ()


class Delivered(Protocol):
    """An opened delivery of any kind; iterating reads it once, from its first row to its last.

    `header`: its columns under the schema's names, in its own order, as in the original text of a refused row.
    `notices`: what the reader of the record should know, complete once all rows have been read. `rows`: how many
    have been read so far, refused ones included. `digest`: SHA-256 of the very bytes that were read, once all
    rows have been. There is at least one batch, be it empty.

    Opening and reading raise FileRefused when no row of the delivery can be trusted.
    """

    name: str
    header: tuple[str, ...]
    notices: tuple[str, ...]
    rows: int

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes that were read."""

    def __iter__(self) -> Iterator[ParsedBatch]: ...


class DeliveredFile(Delivered, Protocol):
    """A delivery that is a file. `names`: all its columns that can be read, under the schema's names where it has them.

    `header` may hold fewer of them.
    """

    names: tuple[str, ...]


@dataclass(slots=True)
class Cells:
    """The cells of some rows as text, by column of the schema; what is missing from the mapping was not delivered.

    `lines`: where each row stands. `text_of(i)`: the original text of row i.
    """

    texts: Mapping[str, pa.StringArray]
    lines: Numbers
    text_of: Callable[[int], str]


def cast_cells(cells: Cells, schema: Schema, name: str, rejected: Sequence[RejectedRow] = ()) -> ParsedBatch:
    """The rows that keep the schema, and the others beside those already `rejected`, in order of their lines.

    A row is refused for its first broken rule, in the schema's order of columns. A label that is neither of the
    schema's two leaves the row unlabelled. A client column that was not delivered numbers the rows; any other
    column that was not delivered is empty.
    """
    broken: dict[int, tuple[str, str]] = {}
    strange: dict[int, tuple[str, str]] = {}
    columns: dict[str, pa.Array] = {}
    for column in schema.columns:
        if column.name not in cells.texts:
            columns[column.name] = _absent(schema, column.name, name, cells.lines)
            continue
        result = cast(cells.texts[column.name], column)
        columns[column.name] = result.values
        found = strange if column.role == "target" else broken
        for rule, mask in result.broken:
            for row in np.flatnonzero(mask).tolist():
                found.setdefault(row, (column.name, rule))
    batch = pa.record_batch({**columns, LINE: pa.array(cells.lines)})
    if broken:
        kept = np.ones(len(cells.lines), dtype=bool)
        kept[list(broken)] = False
        batch = batch.filter(pa.array(kept))

    def row_of(row: int, place: tuple[str, str]) -> RejectedRow:
        column, rule = place
        return RejectedRow(
            file=name, line=int(cells.lines[row]), column=column, rule=rule, text=cells.text_of(row).rstrip("\r\n")
        )

    refused = [row_of(row, broken[row]) for row in broken]
    unlabelled = tuple(row_of(row, strange[row]) for row in sorted(strange) if row not in broken)
    return ParsedBatch(batch, tuple(sorted([*rejected, *refused], key=lambda row: row.line)), unlabelled)


def _absent(schema: Schema, column: str, name: str, lines: Numbers) -> pa.Array:
    if column == schema.client.name:
        return pa.array([f"{name}:{line}" for line in lines.tolist()], pa.string())
    kind = next(c.type for c in schema.columns if c.name == column)
    return pa.nulls(len(lines), ARROW_TYPES[kind])
