"""Numbers and times as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.records import Metric
from holdfast.render import words


def metric(value: float | None, low: float | None = None, high: float | None = None) -> Metric:
    return Metric(value=value, low=low, high=high, n=10)


@given(st.text())
def test_plain_text_has_no_character_that_a_terminal_or_page_could_act_on(text: str) -> None:
    assert words.plain(text).isprintable()


@given(st.text())
def test_plain_text_can_always_be_encoded(text: str) -> None:
    assert words.plain(text + "\udc80").encode()


def test_printable_text_stays_as_it_is() -> None:
    assert words.plain("Société Générale, 東京 <b>") == "Société Générale, 東京 <b>"


def test_long_text_is_cut_with_a_mark() -> None:
    assert words.plain("x" * 50, longest=10) == "x" * 9 + "…"


def test_a_metric_without_value_is_said_to_be_undefined() -> None:
    assert words.metric(metric(None)) == words.metric_value(metric(None)) == "undefined on these rows"


def test_a_metric_that_is_not_a_number_is_said_to_be_undefined() -> None:
    assert words.metric(metric(math.nan)) == "undefined on these rows"


def test_a_metric_without_interval_stands_alone() -> None:
    assert words.metric(metric(0.5)) == "0.50"


def test_small_metrics_have_three_decimals_throughout() -> None:
    assert words.metric(metric(0.0123, 0.0081, 0.0456)) == "0.012 (0.008 to 0.046)"


@given(st.floats(-1e14, 1e14))
def test_a_number_reads_back_within_half_a_percent_or_half_a_unit(value: float) -> None:
    shown = float(words.number(value).replace(",", ""))
    assert math.isclose(shown, value, rel_tol=0.006)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_number_has_words(value: float) -> None:
    assert words.number(value)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_no_number_is_a_dash(value: float | None) -> None:
    assert words.number(value) == "\N{EN DASH}"


def test_times_elsewhere_are_told_in_utc() -> None:
    assert words.moment("2026-06-14T12:20:33+02:00") == "14 June 2026, 10:20 UTC"


def test_a_time_without_zone_is_taken_as_utc() -> None:
    assert words.moment("2026-06-14T10:20:33") == "14 June 2026, 10:20 UTC"


def test_what_is_no_time_is_shown_as_it_is() -> None:
    assert words.moment("yesterday") == "yesterday"
