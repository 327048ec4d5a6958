"""The accepted rows of one delivery on their way into a Parquet file of the dataset."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.schema import DELIVERY, LINE

ENCODINGS = {pa.int64(): "DELTA_BINARY_PACKED", pa.string(): "PLAIN"}


class PartWriter:
    """Writes rows of the schema's columns and `_line`, each with the delivery's number; use as a context manager."""

    def __init__(self, path: Path, columns: pa.Schema, delivery: int) -> None:
        self._delivery = pa.scalar(delivery, pa.int64())
        numbered = columns.append(pa.field(DELIVERY, pa.int64()))
        # Numbers as differences; texts plain, because they mostly differ from row to row: small, and fast both ways.
        encodings = {field.name: ENCODINGS[field.type] for field in numbered if field.type in ENCODINGS}
        self._writer = pq.ParquetWriter(
            path,
            numbered,
            compression="snappy",
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
