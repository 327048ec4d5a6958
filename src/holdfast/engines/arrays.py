"""Arrow's arrays as NumPy's and back, without Arrow's own ways: they load pandas, which takes a quarter of a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def as_numpy(numbers: pa.Array) -> NDArray[Any]:
    """Whole numbers as they lie in memory. Raises ArrowInvalid where one is missing.

    >>> as_numpy(pa.array([1, 2], pa.uint32()))
    array([1, 2], dtype=uint32)
    """
    if numbers.null_count:
        raise pa.ArrowInvalid("a number is missing")
    values = np.frombuffer(numbers.buffers()[1] or b"", np.dtype(str(numbers.type)))
    return values[numbers.offset : numbers.offset + len(numbers)]


def as_arrow(values: NDArray[Any]) -> pa.Array:
    """Numbers or truth values as an Arrow array.

    >>> as_arrow(np.array([1, 2], np.uint32)).to_pylist(), as_arrow(np.array([True, False])).to_pylist()
    ([1, 2], [True, False])
    """
    held = np.packbits(values, bitorder="little") if values.dtype == bool else np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(held)])
