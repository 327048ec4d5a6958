"""Typed cells as text: exact, and such that the schema's rules read the value that was meant."""

from __future__ import annotations

import csv
import datetime
import io
import math
import struct
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.errors import FileRefused, excerpt
from holdfast.schema import Column, Type
from holdfast.sources.casting import cast
from holdfast.sources.typed import as_csv, as_text, boolean_words

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
MOMENTS = st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31))  # noqa: DTZ001
DAYS = st.dates(datetime.date(1000, 1, 1))
UNITS = st.sampled_from(["s", "ms", "us"])
UTC = datetime.UTC


def texts(cells: object, kind: pa.DataType | None = None) -> list[str]:
    array = cells if isinstance(cells, pa.Array | pa.ChunkedArray) else pa.array(cells, kind)
    written = as_text(array, "visits", "march.parquet")
    assert written.type == pa.string()
    assert written.null_count == 0
    answer: list[str] = written.to_pylist()
    return answer


def values(written: list[str], kind: Type) -> list[Any]:
    answer: list[Any] = cast(pa.array(written), Column(name="visits", role="feature", type=kind)).values.to_pylist()
    return answer


# ---- numbers


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_whole_numbers_are_exact(numbers: list[int]) -> None:
    assert texts(numbers, pa.int64()) == [str(number) for number in numbers]


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_whole_numbers_without_sign_are_exact(numbers: list[int]) -> None:
    assert texts(numbers, pa.uint64()) == [str(number) for number in numbers]


@given(st.lists(st.integers(-(2**53) + 1, 2**53 - 1)))
@example([0, 12, -7])
def test_a_whole_float_is_written_as_a_whole_number(numbers: list[int]) -> None:
    assert texts([float(number) for number in numbers], pa.float64()) == [str(number) for number in numbers]


@given(st.lists(st.floats(allow_nan=False)))
def test_a_float_reads_back_as_itself(numbers: list[float]) -> None:
    assert [float(text) for text in texts(numbers, pa.float64())] == numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_the_schema_reads_the_float_that_was_meant(numbers: list[float]) -> None:
    assert values(texts(numbers, pa.float64()), "number") == numbers


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_of_32_bits_reads_back_as_itself(number: float) -> None:
    [text] = texts([number], pa.float32())
    assert struct.pack("f", float(text)) == struct.pack("f", number) or number == 0


@given(st.floats(2.0**53, 1e18))
@example(2.0**53)
def test_no_integer_column_takes_a_float_that_may_be_its_neighbour(number: float) -> None:
    assert values(texts([number], pa.float64()), "integer") == [None]


def test_short_floats_are_written_short() -> None:
    assert texts([0.1, 12.5, 1e300, -0.0]) == ["0.1", "12.5", "1e+300", "0"]
    assert texts(np.array([0.1, 3.0], np.float32)) == ["0.1", "3"]
    assert texts(np.array([0.5, 3.0], np.float16)) == ["0.5", "3"]


def test_nan_is_empty_and_infinity_is_refused_by_its_rule() -> None:
    assert texts(pa.array([math.nan, math.inf], from_pandas=False)) == ["", "inf"]
    assert values(["", "inf"], "number") == [None, None]


@given(st.lists(st.decimals(-(10**20), 10**20, places=6)))
@example([Decimal("12.000000"), Decimal("0.000000"), Decimal("0.000001"), Decimal("12.500000")])
def test_decimals_are_exact_and_whole_ones_have_no_fraction(numbers: list[Decimal]) -> None:
    written = texts(numbers, pa.decimal128(38, 6))
    assert [Decimal(text) for text in written] == numbers
    assert all(text.lstrip("-").isdigit() for text, number in zip(written, numbers, strict=True) if number % 1 == 0)


def test_a_zero_with_many_places_is_a_whole_number() -> None:
    assert texts([Decimal(0), Decimal(7)], pa.decimal128(38, 12)) == ["0", "7"]


# ---- dates


@given(st.lists(DAYS))
def test_dates_are_iso_dates(days: list[datetime.date]) -> None:
    assert texts(days, pa.date32()) == texts(days, pa.date64()) == [day.isoformat() for day in days]


@given(MOMENTS, UNITS)
@example(datetime.datetime(2026, 1, 31, 0, 0, 0, 500_000), "us")  # noqa: DTZ001
def test_a_timestamp_reads_back_as_itself(moment: datetime.datetime, unit: str) -> None:
    array = pa.array([moment], pa.timestamp("us")).cast(pa.timestamp(unit), safe=False)
    [text] = texts(array)
    assert datetime.datetime.fromisoformat(text) == array[0].as_py()


@given(st.lists(MOMENTS, min_size=1), UNITS)
def test_the_schema_reads_the_day_of_a_timestamp(moments: list[datetime.datetime], unit: str) -> None:
    array = pa.array(moments, pa.timestamp("us")).cast(pa.timestamp(unit), safe=False)
    assert values(texts(array), "date") == [moment.date() for moment in moments]


def test_a_timestamp_at_midnight_is_a_date_and_only_fractions_that_count_are_written() -> None:
    moments = ["2026-01-31T00:00:00", "2026-01-31T00:00:00.001", "2026-01-31T10:20:30.500", "2026-01-31T10:20:30"]
    expected = ["2026-01-31", "2026-01-31 00:00:00.001", "2026-01-31 10:20:30.5", "2026-01-31 10:20:30"]
    assert texts(np.array(moments, "datetime64[ns]")) == expected
    assert texts(np.array([moments[0], moments[3]], "datetime64[ms]")) == [expected[0], expected[3]]


@given(MOMENTS, st.sampled_from(["UTC", "America/New_York", "+05:30"]))
def test_a_timestamp_with_a_zone_is_written_in_utc(moment: datetime.datetime, zone: str) -> None:
    [text] = texts([moment.replace(tzinfo=UTC)], pa.timestamp("us", zone))
    assert text.endswith("Z")
    assert datetime.datetime.fromisoformat(text) == moment.replace(tzinfo=UTC)


def test_a_timestamp_of_no_year_is_refused_by_its_rule() -> None:
    written = texts([2**62, -(2**62)], pa.timestamp("s"))
    assert values(written, "date") == [None, None]


# ---- text and the rest


@given(st.lists(st.one_of(st.none(), TEXT)))
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()]
)
def test_text_is_kept_byte_for_byte_and_null_is_empty(kind: pa.DataType, cells: list[str | None]) -> None:
    stored = [None if cell is None else cell.encode() for cell in cells]
    array = pa.array(stored, pa.binary()).cast(pa.string()).cast(kind)
    assert texts(array) == [cell or "" for cell in cells]


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=6), st.integers(0, 3))
def test_dictionaries_chunks_and_slices_are_written_like_plain_cells(cells: list[float | None], start: int) -> None:
    array = pa.array([*cells, *cells], pa.float64())
    plain = texts(array.slice(start))
    assert texts(array.dictionary_encode().slice(start)) == plain
    assert texts(pa.chunked_array([array.slice(start), array[:0], array], pa.float64())) == plain + texts(array)


@given(st.lists(st.one_of(st.none(), st.uuids()), max_size=6), st.integers(0, 2))
def test_uuids_are_written_as_usual(cells: list[uuid.UUID | None], start: int) -> None:
    array = pa.array([None if cell is None else cell.bytes for cell in cells], pa.uuid())
    assert texts(array.slice(start)) == ["" if cell is None else str(cell) for cell in cells[start:]]


def test_a_column_of_nulls_is_empty() -> None:
    assert texts(pa.nulls(2)) == ["", ""]
    assert texts(pa.nulls(0)) == []


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_bytes_that_are_not_utf8_are_refused_with_their_column(kind: pa.DataType) -> None:
    array = pa.array([b"good", b"\xff"], pa.large_binary() if kind == pa.large_string() else pa.binary()).view(kind)
    with pytest.raises(FileRefused, match="not UTF-8 text") as caught:
        texts(array)
    assert (caught.value.file, caught.value.column) == ("march.parquet", "visits")


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.int8()),
        pa.struct([("a", pa.int8())]),
        pa.map_(pa.string(), pa.string()),
        pa.time32("s"),
        pa.duration("s"),
        pa.month_day_nano_interval(),
        pa.binary(4),
        pa.json_(),
        pa.dictionary(pa.int8(), pa.list_(pa.int8())),
    ],
    ids=str,
)
def test_what_is_no_single_cell_is_refused_with_its_type(kind: pa.DataType) -> None:
    with pytest.raises(FileRefused, match="cannot be read") as caught:
        texts(pa.nulls(1, kind))
    assert caught.value.column == "visits"
    shown = kind.value_type if pa.types.is_dictionary(kind) else kind
    assert excerpt(str(shown)) in caught.value.message


# ---- booleans


def test_booleans_are_true_and_false_unless_told_otherwise() -> None:
    cells = pa.array([True, False, None])
    assert texts(cells) == ["true", "false", ""]
    assert as_text(cells, "left", "march.parquet", booleans=("1", "0")).to_pylist() == ["1", "0", ""]


@pytest.mark.parametrize(
    ("exited", "stayed", "words"),
    [
        ("1", "0", ("1", "0")),
        ("0", "1", ("1", "0")),
        ("True", "False", ("True", "False")),
        ("false", "TRUE", ("TRUE", "false")),
        ("Yes", "no", ("Yes", "no")),
        ("no", "yes", ("yes", "no")),
        ("Ja", "Nein", ("Ja", "Nein")),
        ("gone", "here", ("true", "false")),
        ("true", "0", ("true", "false")),
    ],
)
def test_booleans_are_labels_only_where_those_say_true_and_false(
    exited: str, stayed: str, words: tuple[str, str]
) -> None:
    column = Column(name="left", role="target", type="label", exited=exited, stayed=stayed)
    assert boolean_words(column) == words


def test_booleans_of_other_columns_are_true_and_false() -> None:
    assert boolean_words(Column(name="visits", role="feature", type="integer")) == ("true", "false")


# ---- rows


@given(st.lists(TEXT, min_size=1))
@example(['a,"b"', "two\nlines", "\r", ""])
def test_a_row_as_csv_reads_back_as_itself(cells: list[str]) -> None:
    line = as_csv(cells)
    assert list(csv.reader(io.StringIO(line, newline=""), strict=True)) == [cells]
