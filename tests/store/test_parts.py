"""Rows on their way into a Parquet file of the dataset, out of it, and into a copy without some of them."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import InputOutputError
from holdfast.sources.casting import ARROW_TYPES
from holdfast.store.parts import PartWriter, copy_part, part_batches

COLUMNS = pa.schema([(kind, arrow) for kind, arrow in ARROW_TYPES.items()] + [("_line", pa.int64())])
"""A column of every type that a schema knows."""

ROW = st.tuples(
    st.none() | st.text(max_size=5),
    st.none() | st.sampled_from(["x", "", "y"]),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.dates(datetime.date(1000, 1, 1)),
    st.none() | st.sampled_from([0, 1]),
    st.integers(1, 10**12),
)


def batch(rows: list[tuple[object, ...]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(COLUMNS.names, row, strict=True)) for row in rows], COLUMNS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(batches=st.lists(st.lists(ROW, max_size=6), max_size=4), number=st.integers(0, 10**9))
def test_rows_come_back_as_they_were_in_their_order_with_the_number_of_their_delivery(
    tmp_path: Path, batches: list[list[tuple[object, ...]]], number: int
) -> None:
    with PartWriter(tmp_path / "part.parquet", COLUMNS, number) as part:
        for rows in batches:
            part.add(batch(rows))
    expected = [(*row, number) for rows in batches for row in rows]
    found = pq.read_table(tmp_path / "part.parquet")
    assert [tuple(row.values()) for row in found.to_pylist()] == expected
    assert part.rows == len(expected)
    assert found.schema.equals(COLUMNS.append(pa.field("_delivery", pa.int64())))


def test_only_the_columns_that_say_where_a_row_came_from_have_statistics(tmp_path: Path) -> None:
    day = datetime.date(2026, 1, 31)
    with PartWriter(tmp_path / "part.parquet", COLUMNS, 7) as part:
        part.add(batch([("a", "x", 1, 0.5, day, 1, 2), ("b", "y", 2, 1.5, day, 0, 3)]))
    group = pq.read_metadata(tmp_path / "part.parquet").row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    known = {c.path_in_schema: (c.statistics.min, c.statistics.max) for c in columns if c.is_stats_set}
    assert known == {"_line": (2, 3), "_delivery": (7, 7)}


def test_a_part_without_rows_still_has_its_columns(tmp_path: Path) -> None:
    with PartWriter(tmp_path / "part.parquet", COLUMNS, 1) as part:
        pass
    assert part.rows == 0
    assert pq.read_schema(tmp_path / "part.parquet").names == [*COLUMNS.names, "_delivery"]


def test_an_error_in_the_middle_closes_the_file(tmp_path: Path) -> None:
    part = PartWriter(tmp_path / "part.parquet", COLUMNS, 1)

    def failing() -> None:
        with part:
            part.add(batch([("a", "x", 1, 0.5, None, 1, 2)]))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    open_files = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
    assert tmp_path / "part.parquet" not in open_files


# ---- read and copied


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(batches=st.lists(st.lists(ROW, max_size=6), max_size=4), parity=st.integers(0, 1))
def test_a_copy_has_the_rows_that_stay_in_their_order(
    tmp_path: Path, batches: list[list[tuple[object, ...]]], parity: int
) -> None:
    part, copy = tmp_path / "part.parquet", tmp_path / "copy.parquet"
    with PartWriter(part, COLUMNS, 7) as writer:
        for rows in batches:
            writer.add(batch(rows))
    copy_part(part, copy, lambda each: each.column("_line").to_numpy() % 2 == parity)
    rows_of = [[row for each in part_batches(path) for row in each.to_pylist()] for path in (part, copy)]
    assert rows_of[1] == [row for row in rows_of[0] if row["_line"] % 2 == parity]
    assert pq.read_schema(copy).equals(pq.read_schema(part))
    groups = [pq.read_metadata(copy).row_group(place) for place in range(pq.read_metadata(copy).num_row_groups)]
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    assert {column.path_in_schema for column in columns if column.is_stats_set} <= {"_line", "_delivery"}


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and no more"])
def test_a_part_that_is_damaged_or_gone_is_an_input_output_error(tmp_path: Path, content: bytes | None) -> None:
    part = tmp_path / "part.parquet"
    if content is not None:
        part.write_bytes(content)
    with pytest.raises(InputOutputError, match="a part of the dataset cannot be read") as caught:
        list(part_batches(part))
    assert caught.value.file == str(part)
