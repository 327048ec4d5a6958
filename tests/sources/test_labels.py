"""A file none of whose labels can be read is refused: its rows would take the place of labelled ones."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import FileRefused
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sources.labels import MANY
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import Reading

HEADER = ",".join(BRIEF_SCHEMA.names)


def labels_of(labels: list[str], *, target_required: bool = True) -> list[int | None]:
    """The labels that are read of a CSV file with these ones."""
    text = "".join(f"c{number},1,2,3,{label}\n" for number, label in enumerate(labels))
    stream = io.BytesIO(f"{HEADER}\n{text}".encode())
    delivered = open_delivery(stream, "a.csv", Reading(schema=BRIEF_SCHEMA, target_required=target_required))
    return [label for parsed in delivered for label in parsed.rows.column("exited").to_pylist()]


def test_a_file_in_which_no_label_can_be_read_is_refused_with_the_first_of_them() -> None:
    with pytest.raises(FileRefused, match=f"none of its {MANY} labels can be read; this one is not 0 or 1") as caught:
        labels_of(["yes"] * MANY)
    assert (caught.value.row, caught.value.column) == (2, "exited")


def test_one_label_that_can_be_read_keeps_the_rows_of_the_others() -> None:
    assert labels_of([*["yes"] * MANY, "1"]) == [*[None] * MANY, 1]


def test_missing_labels_are_no_fault() -> None:
    assert labels_of([""] * (2 * MANY)) == [None] * (2 * MANY)


def test_a_few_labels_may_be_slips() -> None:
    assert labels_of(["yes"] * (MANY - 1)) == [None] * (MANY - 1)


def test_clients_that_are_only_to_be_scored_need_no_label() -> None:
    assert labels_of(["yes"] * MANY, target_required=False) == [None] * MANY


@given(st.lists(st.sampled_from(["0", "1", "", "yes"]), max_size=3 * MANY))
def test_a_file_is_refused_just_when_it_has_many_strange_labels_and_no_other(labels: list[str]) -> None:
    if labels.count("yes") >= MANY and not {"0", "1"} & set(labels):
        with pytest.raises(FileRefused, match="labels can be read"):
            labels_of(labels)
    else:
        assert labels_of(labels) == [int(label) if label in {"0", "1"} else None for label in labels]


def test_booleans_of_a_parquet_file_are_labels() -> None:
    columns = {name: pa.array(["c1", "c2"] if name == "corporation" else [1, 2]) for name in BRIEF_SCHEMA.names}
    stream = io.BytesIO()
    pq.write_table(pa.table({**columns, "exited": pa.array([True, False])}), stream)
    stream.seek(0)
    delivered = open_delivery(stream, "a.parquet", Reading(schema=BRIEF_SCHEMA))
    assert [label for parsed in delivered for label in parsed.rows.column("exited").to_pylist()] == [1, 0]
