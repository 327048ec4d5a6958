"""Arrow rows to the arrays that the numbers are made of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.schema import Schema


def feature_values(rows: pa.Table | pa.RecordBatch, schema: Schema) -> NDArray[np.float64]:
    """The numeric features (n, k), in the schema's order; NaN where missing, the nearest double beyond 2**53."""
    columns = [
        pc.cast(rows.column(c.name), pa.float64(), safe=False).to_numpy(zero_copy_only=False) for c in schema.features
    ]
    return np.column_stack(columns) if columns else np.empty((rows.num_rows, 0))


def labels(rows: pa.Table | pa.RecordBatch, schema: Schema) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """Which rows have a label (n,), and the labels of those rows: 1 exited, 0 stayed."""
    column = rows.column(schema.target.name)
    known: NDArray[np.bool_] = pc.is_valid(column).to_numpy(zero_copy_only=False)
    exited: NDArray[np.int8] = column.drop_null().to_numpy(zero_copy_only=False).astype(np.int8)
    return known, exited


def client_ids(rows: pa.Table | pa.RecordBatch, schema: Schema) -> list[str]:
    """The client of each row."""
    ids: list[str] = rows.column(schema.client.name).to_pylist()
    return ids
