"""What an engine has to be able to do. Everything else over rows is a fold or a map over its batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from holdfast.records import ColumnSummary, Occurrence
from holdfast.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The current rows of some deliveries: what `finaldata.csv` shows.

    `parts`: Parquet files with the schema's columns, `_delivery` and `_line`, in order of arrival; each holds its
    rows in order of arrival too. Rows with the same key follow each other in time. `conflicts` says which count:

    - "keep": the key is the whole row; the first arrival of each row counts, the others are duplicates.
    - "latest": the key is client and time; the row that arrived last counts and has replaced those before it. A row
      equal to the one before is a duplicate.
    - "quarantine": the key is client and time; the first row counts, rows that contradict it do not. A row equal to
      any before, be it one that contradicts, is a duplicate.

    Rows that the `settled` files name (`_delivery`, `_line`) were let go, or repaired and taken in anew: whatever the
    rule, they do not count, and rows equal to one of them are duplicates of it.

    Deliveries `without` are left out although the parts hold them.
    """

    parts: tuple[Path, ...]
    schema: Schema
    conflicts: Literal["latest", "quarantine", "keep"]
    without: frozenset[int] = frozenset()
    settled: tuple[Path, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that two rows about the same thing have in common."""
        if self.conflicts == "keep":
            return self.schema.names
        return tuple(column.name for column in (self.schema.client, self.schema.time) if column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What one delivery did to the view: its rows, and by how much the view's counts changed with it.

    `rows` = `accepted` + `duplicate` + `conflicting`. The view has `added` rows more than before.
    """

    delivery: int
    rows: int
    duplicate: int
    conflicting: int
    replaced: int
    exited: int
    unlabelled: int

    @property
    def accepted(self) -> int:
        """Rows that came into the view."""
        return self.rows - self.duplicate - self.conflicting

    @property
    def added(self) -> int:
        """By how many rows the view grew: those that came in less those that they replaced."""
        return self.accepted - self.replaced


class Engine(Protocol):
    """Two missing cells are the same. An answer in batches has at least one, be it empty.

    Parts that are gone or damaged raise InputOutputError, a destination that cannot be written CannotWrite.
    """

    def arrivals(self, view: View, since: int = 0) -> tuple[Arrival, ...]:
        """What each delivery numbered `since` or higher did to the view, in order of arrival."""

    def contradictions(self, view: View, since: int = 0) -> Iterator[pa.RecordBatch]:
        """The conflicting rows that arrived `since`, settled ones among them: the schema's columns, `_delivery`,
        `_line`, and where the row stands that each contradicts: `_first_delivery`, `_first_line`; a settled row may
        contradict none any more.
        """

    def write_csv(self, view: View, destination: Path, since: int = 0) -> None:
        """Write the view's rows with a header and no index, in order of arrival; or only those arrived `since`.

        Labels are written in the schema's words for exited and stayed, so `CsvFile` reads the same rows back.
        """

    def distinct(self, view: View, deliveries: frozenset[int], without: View) -> Iterator[pa.RecordBatch]:
        """The rows that the view has from some deliveries and that are not in `without`, in order of arrival."""

    def overtaken(self, view: View, delivery: int, later: frozenset[int]) -> Iterator[pa.RecordBatch]:
        """The rows of a delivery whose key a row of the `later` ones has too: `_line`, and as `_delivery` the latest
        of those.
        """

    def repeated(self, view: View, delivery: int, lines: int, earlier: frozenset[int]) -> Iterator[pa.RecordBatch]:
        """Which of the first `lines` of a delivery only repeat what the `earlier` ones said last: their `_line`.

        Of the rows that share a key, all do or none does: they do if the earlier deliveries have every one of them,
        and the last of them is the last that those said about the key.
        """

    def newest(self, view: View) -> Iterator[pa.RecordBatch]:
        """The newest row of each client: by the time column where there is one, then by arrival."""

    def summarise(self, view: View) -> tuple[ColumnSummary, ...]:
        """Statistics of every column of the view, exact at any size."""

    def rewrite(self, view: View, destination: Path) -> int:
        """Write all rows of the view's deliveries, duplicates too, as one part; returns their number."""

    def occurrences(self, view: View, *, client: str | None = None, row: int | None = None) -> tuple[Occurrence, ...]:
        """Where the rows of a client, or the `row`-th row of the view (from 1), were delivered, in that order."""
