"""Watermarks: written and read back to the last digit, and an overlap that never begins too late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.sources.watermark import Mark, greatest, marks_of, read_back, start_of_overlap, written

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime.fromisoformat("0001-01-03"), datetime.fromisoformat("9999-12-30"))
NUMBERS = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False)
)
MARKS = st.one_of(
    NUMBERS, st.dates(), MOMENTS, st.builds(lambda moment, zone: moment.replace(tzinfo=zone), MOMENTS, ZONES)
)
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


@given(MARKS)
def test_what_is_written_is_read_back(mark: Mark) -> None:
    assert read_back(written(mark), mark) == mark


@given(MARKS, MARKS)
def test_what_is_read_back_can_be_compared(mark: Mark, like: Mark) -> None:
    found = read_back(written(mark), like)
    assert found is None or max(found, like) in (found, like)


@given(NUMBERS, st.floats(0, 1e300))
def test_the_overlap_of_numbers_never_begins_too_late(mark: int | float | Decimal, overlap: float) -> None:
    start = start_of_overlap(mark, overlap)
    assert isinstance(start, int | float | Decimal)
    if start != float("-inf"):
        exact = Fraction(mark) - Fraction(overlap)
        assert Fraction(start) <= exact or (isinstance(mark, int) and start == min(mark, -(2**63)))


@given(st.one_of(st.dates(), MOMENTS), st.floats(0, 1e300))
def test_the_overlap_of_times_never_begins_too_late(mark: date, overlap: float) -> None:
    start = start_of_overlap(mark, overlap)
    if start is not None:
        assert isinstance(start, date)
        assert (mark - start).total_seconds() >= overlap - 1e-6


@given(st.dates(), st.integers(0, 10**9))
def test_the_overlap_of_dates_is_whole_days(mark: date, overlap: int) -> None:
    start = start_of_overlap(mark, overlap)
    assert start is None or (isinstance(start, date) and (mark - start).days == -(-overlap // 86_400))


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31 00:00", "2026-01-31T00:00:00Z", "2026-01-31 00:00:00.0+00:00"]
)
def test_iso_texts_are_times(text: str) -> None:
    assert marks_of([text], texts=True) == [datetime.fromisoformat("2026-01-31")]


@pytest.mark.parametrize(
    "value", ["", "soon", "31.01.2026", "2026-02-30", "2026-01-31 12:00+01:00", float("nan"), b"1", True]
)
def test_other_cells_are_no_watermarks(value: object) -> None:
    with pytest.raises(ValueError, match="of the type"):
        marks_of([value], texts=True)


def test_texts_are_watermarks_only_where_they_may_be() -> None:
    with pytest.raises(ValueError, match="'2026-01-31' of the type str"):
        marks_of(["2026-01-31"])


def test_nothing_is_the_greatest_of_nothing() -> None:
    assert greatest([], NOW) == (None, 0)


@pytest.mark.parametrize(
    ("late", "counts"),
    [
        (NOW, True),
        (NOW + timedelta(microseconds=1), False),
        (NOW.replace(tzinfo=None) + timedelta(hours=14), True),
        (NOW.replace(tzinfo=None) + timedelta(hours=14, microseconds=1), False),
        (date(2026, 2, 2), True),
        (date(2026, 2, 3), False),
    ],
)
def test_what_lies_in_the_future_does_not_count(late: date, counts: bool) -> None:
    early = late - timedelta(days=900)
    assert greatest([early, late], NOW) == ((late, 0) if counts else (early, 1))


@given(st.lists(st.integers(), min_size=1))
def test_the_greatest_number_is_the_greatest_watermark(marks: list[int]) -> None:
    assert greatest(marks, NOW) == (max(marks), 0)
