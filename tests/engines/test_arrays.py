"""Arrow's arrays become NumPy's and back, and pandas stays where it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.engines.arrays import as_arrow, as_numpy
from holdfast.schema import BRIEF_SCHEMA

ENGINE_AT_WORK = """
import sys
from pathlib import Path
from holdfast.engines.base import View
from holdfast.engines.duckdb import DuckDBEngine
from holdfast.schema import BRIEF_SCHEMA

folder = Path(sys.argv[1])
with DuckDBEngine(folder) as engine:
    for rule in ("keep", "latest"):
        view = View(parts=(folder / "part.parquet",), schema=BRIEF_SCHEMA, conflicts=rule)
        engine.arrivals(view)
        engine.write_csv(view, folder / "finaldata.csv")
print("pandas" in sys.modules, len((folder / "finaldata.csv").read_text().splitlines()))
"""


@pytest.mark.parametrize("kind", [np.int64, np.uint32, np.uint8])
def test_numbers_go_there_and_back(kind: type[np.generic]) -> None:
    values = np.arange(20).astype(kind)[::2]
    assert as_numpy(as_arrow(values)).tolist() == list(range(0, 20, 2))
    assert as_numpy(as_arrow(values)).dtype == kind


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_truth_values_are_the_same_in_arrow(size: int) -> None:
    values = np.arange(size) % 3 == 0
    assert as_arrow(values).equals(pa.array(values.tolist(), pa.bool_()))


def test_a_part_of_an_array_is_that_part() -> None:
    assert as_numpy(pa.array([1, 2, 3]).slice(1)).tolist() == [2, 3]


def test_an_array_of_nothing_is_an_array_of_nothing() -> None:
    assert as_numpy(pa.array([], pa.int64())).tolist() == []


def test_a_missing_number_has_none_to_stand_for_it() -> None:
    with pytest.raises(pa.ArrowInvalid):
        as_numpy(pa.array([1, None]))


def test_counting_and_writing_rows_does_not_load_pandas(tmp_path: Path) -> None:
    table = pa.table(
        {
            **{name: pa.array([1, 1, 2], pa.int64()) for name in BRIEF_SCHEMA.names[1:4]},
            "corporation": ["a", "a", "b"],
            "exited": pa.array([0, 0, 1], pa.int8()),
            "_line": pa.array([2, 3, 4], pa.int64()),
            "_delivery": pa.array([1, 1, 1], pa.int64()),
        }
    )
    pq.write_table(table, tmp_path / "part.parquet")
    told = subprocess.run(
        [sys.executable, "-c", ENGINE_AT_WORK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False", "3"]
