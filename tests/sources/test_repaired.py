"""Quarantined rows that come back: read again by the schema, with the lines that they had."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.schema import BRIEF_SCHEMA, LINE, Schema
from holdfast.sources.parsed import ParsedBatch
from holdfast.sources.repaired import BATCH_ROWS, SHOWN_REFUSED, RepairedRows, RowText, fields_of
from holdfast.sources.typed import as_csv

HEADER = BRIEF_SCHEMA.names
NAME = "march.csv (repaired)"


def repaired(*rows: tuple[int, str], header: tuple[str, ...] = HEADER, origin: str = "0" * 64) -> RepairedRows:
    return RepairedRows([RowText(*row) for row in rows], header, NAME, BRIEF_SCHEMA, origin)


def batches(rows: RepairedRows) -> list[ParsedBatch]:
    return list(rows)


def test_rows_that_keep_the_schema_come_with_their_old_lines() -> None:
    rows = repaired((7, "acme,1,2,3,0"), (3, '"b, c",4,5,6,1'))
    (batch,) = batches(rows)
    assert batch.rows.column("corporation").to_pylist() == ["acme", "b, c"]
    assert batch.rows.column(LINE).to_pylist() == [7, 3]
    assert (rows.rows, list(rows.taken), rows.refused) == (2, [7, 3], [])


def test_rows_that_break_it_are_kept_back_with_their_rule() -> None:
    rows = repaired((2, "acme,x,2,3,0"), (3, "acme,1,2,3"), (4, 'ac"me",1,2,3,0"'), (5, "beta,1,2,3,0"), (6, ""))
    (batch,) = batches(rows)
    assert batch.rejected == ()
    assert [(row.line, row.column, row.rule) for row in rows.refused] == [
        (2, "lastmonth_activity", "not a whole number"),
        (3, None, "fields: 4 instead of 5"),
        (4, None, "quoting"),
        (6, None, "quoting"),
    ]
    assert (rows.rows, list(rows.taken)) == (1, [5])


def test_a_row_that_is_still_too_long_is_kept_back() -> None:
    rows = repaired((2, "x" * 70_000 + ",1,2,3,0"), (3, "acme,1,2,3,0"))
    assert [batch.rows.num_rows for batch in rows] == [1]
    assert list(rows.taken) == [3]
    assert [(row.line, row.column, row.rule) for row in rows.refused] == [
        (2, "corporation", "longer than 65,536 characters")
    ]
    wider = RepairedRows([RowText(2, "x" * 70_000 + ",1,2,3,0")], HEADER, NAME, BRIEF_SCHEMA, "0", longest=70_000)
    assert [batch.rows.num_rows for batch in wider] == [1]


def test_a_row_with_a_label_that_is_none_is_taken_without_it() -> None:
    rows = repaired((2, "acme,1,2,3,perhaps"))
    (batch,) = batches(rows)
    assert batch.rows.column("exited").to_pylist() == [None]
    assert [row.line for row in batch.unlabelled] == [2]


def test_fields_stand_where_the_delivery_had_them() -> None:
    rows = repaired((2, "0,x,3,2,1,acme"), header=("exited", "note", *HEADER[3:0:-1], "corporation"))
    (batch,) = batches(rows)
    assert [batch.rows.column(name)[0].as_py() for name in HEADER] == ["acme", 1, 2, 3, 0]


def test_rows_without_a_client_column_are_their_own_clients() -> None:
    rowwise = Schema(columns=BRIEF_SCHEMA.columns, client_in_file=False)
    rows = RepairedRows([RowText(4, "1,2,3,0")], HEADER[1:], NAME, rowwise, "0")
    (batch,) = batches(rows)
    assert batch.rows.column("corporation").to_pylist() == [f"{NAME}:4"]


def test_no_rows_are_one_empty_batch() -> None:
    rows = repaired()
    assert [batch.rows.num_rows for batch in rows] == [0]
    assert (rows.rows, list(rows.taken)) == (0, [])


def test_many_rows_come_in_several_batches() -> None:
    rows = repaired(*((line, f"c{line},1,2,3,0") for line in range(BATCH_ROWS + 1)))
    assert [batch.rows.num_rows for batch in rows] == [BATCH_ROWS, 1]
    assert list(rows.taken) == list(range(BATCH_ROWS + 1))


def test_of_many_rows_that_break_it_the_first_are_kept_and_all_are_counted() -> None:
    rows = repaired(*((line, "acme,x,2,3,0") for line in range(BATCH_ROWS + 1)))
    assert [batch.rows.num_rows for batch in rows] == [0, 0]
    assert [row.line for row in rows.refused] == list(range(SHOWN_REFUSED))
    assert (rows.refusals, rows.rows) == (BATCH_ROWS + 1, 0)


def test_the_digest_tells_origin_lines_and_texts() -> None:
    digests = [
        repaired((2, "a")).digest,
        repaired((3, "a")).digest,
        repaired((2, "b")).digest,
        repaired((2, "a"), (3, "a")).digest,
        repaired((2, "a"), origin="1" * 64).digest,
        repaired().digest,
    ]
    assert len(set(digests)) == len(digests)
    assert repaired((2, "a")).digest == digests[0]


FIELDS = st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=8), min_size=1, max_size=6)


@given(FIELDS)
def test_fields_written_as_a_record_are_read_back(fields: list[str]) -> None:
    assert fields_of(as_csv(fields)) == fields


@given(FIELDS)
def test_a_record_is_read_as_python_writes_it(fields: list[str]) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="", quoting=csv.QUOTE_ALL).writerow(fields)
    assert fields_of(stream.getvalue()) == fields


@pytest.mark.parametrize("text", ['"a', '"a"b', "a\nb", "", "\n"])
def test_what_is_no_record_or_two_has_no_fields(text: str) -> None:
    assert fields_of(text) is None
