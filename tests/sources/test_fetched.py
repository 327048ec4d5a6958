"""Fetched cells as text, one by one whatever stands beside them, and the digest of rows in any order."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import FileRefused
from holdfast.sources.fetched import Objects, RowsDigest, texts_of

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=8),
    st.dates(),
    st.datetimes(),
    st.uuids(),
)


@settings(max_examples=50)
@given(st.lists(CELLS, max_size=12))
def test_a_cell_is_the_same_text_alone_and_among_others(cells: list[object]) -> None:
    together = texts_of(cells, "visits", "crm").to_pylist()
    assert together == [texts_of([cell], "visits", "crm")[0].as_py() for cell in cells]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        (True, "true"),
        (2**70, "1180591620717411303424"),
        (Decimal("12.00"), "12"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        (0.1, "0.1"),
        (" a ", " a "),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 12, 30, tzinfo=UTC), "2026-01-31 12:30:00Z"),
        (UUID("0b9a6ad8-3ad9-4f0a-9a3f-6a3f0b9a6ad8"), "0b9a6ad8-3ad9-4f0a-9a3f-6a3f0b9a6ad8"),
    ],
)
def test_cells_are_written_as_in_a_csv_file(cell: object, text: str) -> None:
    assert texts_of([cell], "visits", "crm").to_pylist() == [text]


def test_booleans_are_written_with_the_words_of_the_column() -> None:
    assert texts_of([True, None, False, 2], "left", "crm", ("yes", "no")).to_pylist() == ["yes", "", "no", "2"]


@pytest.mark.parametrize("cell", [[1], {"a": 1}, {}, time(12), object(), b"\xff"])
def test_other_cells_are_refused_with_their_column(cell: object) -> None:
    with pytest.raises(FileRefused) as caught:
        texts_of([cell], "visits", "crm")
    assert (caught.value.file, caught.value.column) == ("crm", "visits")


ROWS = st.lists(st.tuples(st.text("ab\t\\", max_size=3), st.text("ab\t\\", max_size=3)), max_size=8)


def digest_of(rows: list[tuple[str, str]], *cuts: int) -> str:
    digest = RowsDigest()
    for start, end in zip((0, *cuts), (*cuts, len(rows)), strict=True):
        digest.add([pa.array([row[place] for row in rows[start:end]], pa.string()) for place in (0, 1)])
    return digest.of(("one", "two"))


@given(ROWS, st.randoms(use_true_random=False), st.data())
def test_neither_the_order_nor_the_batches_of_rows_matter(rows: list[tuple[str, str]], random: Any, data: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    assert digest_of(rows) == digest_of(shuffled, data.draw(st.integers(0, len(rows))))


@given(ROWS, ROWS)
def test_other_rows_have_another_digest(some: list[tuple[str, str]], others: list[tuple[str, str]]) -> None:
    assert (digest_of(some) == digest_of(others)) == (sorted(some) == sorted(others))


def test_other_names_of_the_columns_have_another_digest() -> None:
    assert RowsDigest().of(("one", "two")) != RowsDigest().of(("onetwo",))


def test_the_digest_is_what_its_description_says() -> None:
    rows = [("a", "b\tc"), ("\\", "")]
    total = sum(int.from_bytes(hashlib.sha256(row).digest(), "big") for row in (b"a\tb\\\tc", b"\\\\\t"))
    text = json.dumps([["one", "two"], 2, f"{total % 2**256:064x}"])
    assert digest_of(rows) == hashlib.sha256(text.encode()).hexdigest()


def test_a_date_of_mysql_that_is_none_stays_the_text_that_it_is() -> None:
    from pymysql.converters import convert_date, convert_datetime

    days = [convert_date(day) for day in ("2026-01-31", "0000-00-00", "2026-02-31")]
    times = [convert_datetime(time) for time in ("2026-01-31 12:30:00", "0000-00-00 00:00:00")]
    assert texts_of(days, "joined", "crm").to_pylist() == ["2026-01-31", "0000-00-00", "2026-02-31"]
    assert texts_of(times, "joined", "crm").to_pylist() == ["2026-01-31 12:30:00", "0000-00-00 00:00:00"]


def test_rows_until_a_watermark_are_those_up_to_the_last_without_a_later_one() -> None:
    marks = Objects([None, 1, 3, 2, 5, 9])
    assert [marks.until(mark) for mark in (0, 1, 2, 5, 99)] == [1, 2, 4, 5, 6]
    assert Objects([]).until(3) == 0
    assert Objects(["2026-01-31", "2026-02-01 10:00"], dates_as_texts=True).until(datetime(2026, 2, 1)) == 1  # noqa: DTZ001
