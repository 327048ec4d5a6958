"""What an engine has to be able to do. Everything else over rows is a fold or a map over its batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from holdfast.records import ColumnSummary
from holdfast.schema import Schema

DELIVERY = "_delivery"
LINE = "_line"


class Engine(Protocol):
    """Rows of deliveries are Parquet files ("parts") with the schema's columns, `_delivery` and `_line`.

    Two missing cells are the same. An answer in batches has at least one, be it empty. Parts that are gone or
    damaged raise InputOutputError, a destination that cannot be written CannotWrite.
    """

    def write_part(self, batches: Iterable[pa.RecordBatch], delivery: int, destination: Path) -> int:
        """Write one delivery's rows as a part; returns their number."""

    def count_new(self, part: Path, earlier: Sequence[Path], schema: Schema) -> int:
        """How many distinct rows of `part` are in none of the `earlier` parts."""

    def write_csv(self, parts: Sequence[Path], schema: Schema, destination: Path) -> None:
        """Write the distinct rows of all parts, in order of arrival, with a header and no index.

        Labels are written in the schema's words for exited and stayed, so `CsvFile` reads the same rows back.
        """

    def distinct(self, parts: Sequence[Path], without: Sequence[Path], schema: Schema) -> Iterator[pa.RecordBatch]:
        """The distinct rows of `parts` that are not in the parts `without`, in order of arrival."""

    def newest(self, parts: Sequence[Path], schema: Schema) -> Iterator[pa.RecordBatch]:
        """The newest row of each client: by the time column where there is one, then by arrival."""

    def count(self, parts: Sequence[Path], schema: Schema) -> tuple[int, int, int]:
        """Distinct rows of all parts: their number, how many exited, how many have no label."""

    def summarise(self, batches: Iterable[pa.RecordBatch], schema: Schema) -> tuple[ColumnSummary, ...]:
        """Rows, missing cells, mean, median, standard deviation (n - 1), minimum and maximum per column."""
