"""Cells for spreadsheets: none is a formula, numbers stay numbers, and what was marked is told from what was not."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.formulas import meant_by, safe_cell, safe_field

FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\0")
NASTY = st.text(st.sampled_from("=+-@\t\r\0'5.e a")) | st.text()


@given(NASTY)
def test_no_text_begins_like_a_formula(text: str) -> None:
    assert not safe_cell(text).startswith(FORMULA_BEGINNINGS)


@given(NASTY)
def test_a_field_that_begins_like_a_formula_is_a_number(text: str) -> None:
    cell = safe_field(text)
    if cell.startswith(FORMULA_BEGINNINGS):
        assert Decimal(cell).is_finite()


@given(NASTY)
def test_the_text_is_found_again(text: str) -> None:
    assert meant_by(safe_cell(text)) == text
    assert meant_by(safe_field(text)) == text


@given(NASTY, NASTY)
def test_different_texts_make_different_cells(one: str, other: str) -> None:
    assert (safe_field(one) == safe_field(other)) == (one == other)


@pytest.mark.parametrize("number", ["-5", "+5", "-0.25", "-1e-9", "+.5", "-5."])
def test_numbers_stay_as_they_are(number: str) -> None:
    assert safe_field(number) == number


@pytest.mark.parametrize("text", ["-5-3", "-1e", "+", "-٣", "-5\n", "-inf", "+1 (2)"])
def test_what_is_no_number_is_marked(text: str) -> None:
    assert safe_field(text) == f"'{text}"


@given(st.text(st.characters(exclude_characters="=+-@\t\r\0'")))
def test_ordinary_text_is_not_marked(text: str) -> None:
    assert safe_cell(text) == safe_field(text) == meant_by(text) == text
