"""Rows become the lines of CSV that finaldata.csv has."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.engines.csvlines import csv_lines

PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='",\r\n#\0'), min_size=1)
ANY = st.one_of(PLAIN, st.text(st.sampled_from('ab" ,#\r\nä')), st.none())
WHOLE = st.one_of(st.integers(-(2**63), 2**63 - 1), st.none())
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)


def batch(rows: list[tuple[str | None, int | None, str | None]]) -> pa.RecordBatch:
    kinds = (pa.string(), pa.int64(), pa.string())
    columns = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(kinds)]
    return pa.record_batch(columns, ["client", "visits", "note"])


@pytest.mark.parametrize("texts", [PLAIN, ANY])
@SAME_FOLDER
@given(data=st.data())
def test_lines_are_those_that_duckdb_writes(
    tmp_path: Path, texts: st.SearchStrategy[str | None], data: st.DataObject
) -> None:
    rows = batch(data.draw(st.lists(st.tuples(texts, WHOLE, texts), max_size=5)))
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        connection.execute(f"COPY (FROM rows) TO '{tmp_path / 'copied.csv'}' (FORMAT csv, HEADER false)")
    assert csv_lines(rows).to_pybytes() == (tmp_path / "copied.csv").read_bytes()


@given(rows=st.lists(st.tuples(ANY, WHOLE, ANY), min_size=1))
def test_lines_are_read_back_the_same_as_rfc_4180_says(rows: list[tuple[str | None, int | None, str | None]]) -> None:
    text = csv_lines(batch(rows)).to_pybytes().decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["" if cell is None else str(cell) for cell in row] for row in rows
    ]


@given(rows=st.lists(st.tuples(ANY, WHOLE, ANY), min_size=2), cut=st.integers(0, 5))
def test_lines_do_not_depend_on_the_rows_beside_them(
    rows: list[tuple[str | None, int | None, str | None]], cut: int
) -> None:
    whole = batch(rows)
    pieces = (whole.slice(0, cut), whole.slice(cut))
    assert b"".join(csv_lines(piece).to_pybytes() for piece in pieces) == csv_lines(whole).to_pybytes()


def test_no_rows_are_no_lines() -> None:
    assert csv_lines(batch([])).to_pybytes() == b""
