"""Edges that suit a column, and where they stand on an axis."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.records import ColumnSummary
from holdfast.render.histogram import axis_of, histogram_edges, median_place


def summary(low: float | None, middle: float | None, high: float | None) -> ColumnSummary:
    return ColumnSummary(
        column="visits",
        rows=100,
        missing=0,
        missing_percent=0.0,
        refused_missing=0,
        mean=middle,
        median=middle,
        standard_deviation=1.0,
        minimum=low,
        maximum=high,
    )


reasonable = st.floats(-1e9, 1e9, allow_subnormal=False).filter(lambda value: value == 0 or abs(value) > 1e-6)
whole = st.integers(0, 10**7).map(float)


@given(st.lists(reasonable, min_size=3, max_size=3).map(sorted))
def test_edges_increase_and_hold_every_value(values: list[float]) -> None:
    edges = histogram_edges(summary(*values))
    assert all(a < b for a, b in pairwise(edges))
    assert edges[0] <= values[0]
    assert edges[-1] >= values[2]


@given(st.lists(st.one_of(reasonable, whole), min_size=3, max_size=3).map(sorted))
def test_there_are_at_least_one_and_at_most_thirty_bins(values: list[float]) -> None:
    assert 2 <= len(histogram_edges(summary(*values))) <= 31


@given(st.lists(whole, min_size=3, max_size=3).map(sorted))
def test_every_bin_has_room_for_a_whole_number(values: list[float]) -> None:
    edges = histogram_edges(summary(*values))
    assert all(math.ceil(a - 1e-6) < b for a, b in pairwise(edges))


def test_skewed_data_have_edges_of_a_constant_ratio() -> None:
    edges = histogram_edges(summary(0.5, 20.0, 9000.0))
    ratios = [b / a for a, b in pairwise(edges)]
    assert max(ratios) == pytest.approx(min(ratios))


def test_skewed_data_with_zeros_have_a_bin_for_them() -> None:
    edges = histogram_edges(summary(0.0, 20.0, 9000.0))
    assert edges[:2] == (0.0, 1.0)
    assert axis_of(edges).is_log


def test_a_constant_column_has_one_bin() -> None:
    assert histogram_edges(summary(7.0, 7.0, 7.0)) == (7.0, 8.0)


@pytest.mark.parametrize("values", [(None, None, None), (0.0, 1.0, math.inf), (math.nan, 1.0, 2.0)])
def test_a_column_without_finite_numbers_has_no_edges(values: tuple[float | None, ...]) -> None:
    assert histogram_edges(summary(*values)) == ()


def test_evenly_spaced_edges_stand_at_their_values() -> None:
    axis = axis_of((0.0, 5.0, 10.0, 15.0))
    assert (axis.is_log, axis.places) == (False, (0.0, 5.0, 10.0, 15.0))


def test_the_value_below_the_first_positive_edge_of_a_log_axis_is_zero() -> None:
    assert axis_of((0.0, 1.0, 10.0, 100.0)).value(-0.5) == 0.0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_half_of_the_clients_lie_on_either_side_of_the_median(counts: list[int]) -> None:
    places = [float(place) for place in range(len(counts) + 1)]
    median = median_place(places, counts)
    below = sum(n * min(max(median - i, 0.0), 1.0) for i, n in enumerate(counts))
    assert below == pytest.approx(sum(counts) / 2)
