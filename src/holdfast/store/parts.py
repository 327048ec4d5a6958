"""Parquet files of the dataset, called parts: written with the rows of a delivery, read, and copied without some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from holdfast.errors import InputOutputError
from holdfast.schema import DELIVERY, LINE

ENCODINGS = {pa.int64(): "DELTA_BINARY_PACKED", pa.int8(): "DELTA_BINARY_PACKED", pa.string(): "PLAIN"}


class PartWriter:
    """Writes rows of the schema's columns and `_line`, each with the delivery's number; use as a context manager."""

    def __init__(self, path: Path, columns: pa.Schema, delivery: int) -> None:
        self._delivery = pa.scalar(delivery, pa.int64())
        numbered = columns.append(pa.field(DELIVERY, pa.int64()))
        # Numbers as differences, which leaves nothing to compress; texts plain, because they mostly differ from row to
        # row: small, and fast both ways.
        encodings = {field.name: ENCODINGS[field.type] for field in numbered if field.type in ENCODINGS}
        packed = {name for name, encoding in encodings.items() if encoding == "DELTA_BINARY_PACKED"}
        self._writer = pq.ParquetWriter(
            path,
            numbered,
            compression={field.name: "none" if field.name in packed else "snappy" for field in numbered},
            use_dictionary=[field.name for field in numbered if field.name not in encodings],
            column_encoding=encodings,
            write_statistics=[DELIVERY, LINE],
        )
        self.rows = 0

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(self, rows: pa.RecordBatch) -> None:
        """Write some rows."""
        number = pa.repeat(self._delivery, rows.num_rows)
        self._writer.write_batch(rows.append_column(DELIVERY, number))
        self.rows += rows.num_rows


def part_batches(part: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a part, a batch at a time. Raises InputOutputError when it is damaged or gone."""
    try:
        with pq.ParquetFile(part) as file:
            yield from file.iter_batches()
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputOutputError(f"a part of the dataset cannot be read: {reason}", file=str(part)) from error


def copy_part(part: Path, copy: Path, stays: Callable[[pa.RecordBatch], NDArray[np.bool_]]) -> None:
    """Write those rows of a part that `stays` picks from each batch, in their order; raises as `part_batches` does."""
    statistics = [DELIVERY, LINE]  # of other columns they would tell the least and the greatest client id
    with pq.ParquetWriter(copy, pq.read_schema(part), compression="zstd", write_statistics=statistics) as writer:
        for batch in part_batches(part):
            writer.write_batch(batch.filter(pa.array(stays(batch))))
