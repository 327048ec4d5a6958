"""Arrow rows to arrays: the schema's order, gaps as NaN, labels only where there are some."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from holdfast.risk.rows import client_ids, feature_values, labels
from holdfast.schema import BRIEF_SCHEMA, schema_from_json

SCHEMA = schema_from_json(
    {
        "client": "id",
        "target": "left",
        "time": "day",
        "value": "worth",
        "features": {"visits": {"type": "integer"}, "plan": {"type": "category"}, "share": {"type": "number"}},
        "ignored": ["note"],
    }
)


def rows(**changes: pa.Array) -> pa.Table:
    columns = {
        "note": pa.array(["x", None, "z"]),
        "share": pa.array([0.5, None, 1e300]),
        "visits": pa.array([1, 2, None], pa.int64()),
        "plan": pa.array(["a", "b", None]),
        "worth": pa.array([None, 10.0, 20.0]),
        "left": pa.array([1, None, 0], pa.int8()),
        "id": pa.array(["0012", "NA", "ä"]),
    }
    return pa.table(columns | changes)


def test_features_are_numbers_in_the_order_of_the_schema_with_gaps_as_nan() -> None:
    nan = np.nan
    expected = np.array([[nan, 1.0, 0.5], [10.0, 2.0, nan], [20.0, nan, 1e300]])
    assert [feature.name for feature in SCHEMA.features] == ["worth", "visits", "share"]
    np.testing.assert_array_equal(feature_values(rows(), SCHEMA), expected)


def test_a_batch_gives_what_a_table_gives() -> None:
    (batch,) = rows().to_batches()
    np.testing.assert_array_equal(feature_values(batch, SCHEMA), feature_values(rows(), SCHEMA))
    assert client_ids(batch, SCHEMA) == client_ids(rows(), SCHEMA)
    assert labels(batch, SCHEMA)[1].tolist() == labels(rows(), SCHEMA)[1].tolist()


def test_labels_are_those_that_are_known() -> None:
    known, exited = labels(rows(), SCHEMA)
    assert known.tolist() == [True, False, True]
    assert exited.tolist() == [1, 0]
    assert exited.dtype == np.int8


def test_a_table_in_several_pieces_is_one() -> None:
    table = pa.concat_tables([rows(), rows()])
    assert feature_values(table, SCHEMA).shape == (6, 3)
    assert labels(table, SCHEMA)[1].tolist() == [1, 0, 1, 0]
    assert client_ids(table, SCHEMA) == ["0012", "NA", "ä"] * 2


def test_no_rows_give_empty_arrays_of_the_right_width() -> None:
    empty = rows().slice(0, 0)
    assert feature_values(empty, SCHEMA).shape == (0, 3)
    assert [part.shape for part in labels(empty, SCHEMA)] == [(0,), (0,)]
    assert client_ids(empty, SCHEMA) == []


@pytest.mark.parametrize("number", [2**53 + 1, 10**18 - 1, -(10**18)])
def test_whole_numbers_beyond_what_a_float_holds_become_the_nearest(number: int) -> None:
    table = rows(visits=pa.array([number, 0, 1], pa.int64()))
    assert feature_values(table, SCHEMA)[0, 1] == float(number)


def test_a_schema_without_a_numeric_feature_gives_no_columns() -> None:
    schema = schema_from_json({"client": "id", "target": "left", "features": {"plan": {"type": "category"}}})
    assert feature_values(rows(), schema).shape == (3, 0)
    assert len(BRIEF_SCHEMA.features) == 3
