"""Text to values: exact, by the schema's rules alone, with every refused cell accounted for."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.schema import BRIEF_SCHEMA, Column, Type
from holdfast.sources import casting
from holdfast.sources.casting import ARROW_TYPES, HARMLESS, MISSING, CastColumn, cast, read, read_with_care
from holdfast.sources.files import CONTROL

Role = Literal["client", "target", "time", "feature", "ignored"]
TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
NUMBERLIKE = st.text("0123456789+-.eE_ \t,x٣NaA", max_size=8)
ANY_CELL = st.one_of(TEXT, NUMBERLIKE, st.sampled_from(MISSING), st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}.?\Z"))
PLAIN_CELL = st.one_of(
    st.integers(-999, 10**18).map(str),
    st.integers(2**53 - 9, 2**54).map(str),
    st.floats(-999, 999).map(lambda x: f"{x:.2f}"),
    st.sampled_from(["0", "1", "é"]),
)
SETTLED = st.text(".-/0123456789", max_size=20)
"""Texts of the characters that plain numbers are made of."""


def column(kind: Type, role: Role = "feature", **rules: Any) -> Column:
    return Column(name="column", role=role, type=kind, **rules)


COLUMNS = (
    column("integer", minimum=0),
    column("integer", missing_allowed=True),
    column("number", minimum=-1.5, maximum=1e9),
    column("category", missing_allowed=True),
    column("date"),
    column("text", "client"),
    column("text", "ignored", missing_allowed=True),
    column("label", "target", missing_allowed=True),
    column("label", "target", missing_allowed=True, exited="None", stayed="\t"),
    column("date", "time", earliest="1990-01-01", latest="2030-12-31"),
    column("category", categories=("north", "south", "0")),
)


def result(cells: Sequence[str], of: Column) -> CastColumn:
    return cast(pa.array(list(cells), pa.string()), of)


def values(cells: Sequence[str], of: Column) -> list[Any]:
    answer: list[Any] = result(cells, of).values.to_pylist()
    return answer


def rule(cell: str, of: Column) -> str | None:
    """The first rule that the cell breaks."""
    return next((name for name, mask in result([cell], of).broken if mask[0]), None)


# ---- every column


@settings(deadline=None)
@given(st.lists(ANY_CELL, max_size=6), st.sampled_from(COLUMNS))
def test_every_cell_becomes_a_value_or_is_missing_or_breaks_a_rule(cells: list[str], of: Column) -> None:
    answer = result(cells, of)
    assert answer.values.type == ARROW_TYPES[of.type]
    assert len(answer.values) == len(cells)
    broken = np.logical_or.reduce([np.zeros(len(cells), bool), *(mask for _, mask in answer.broken)])
    for cell, value, refused in zip(cells, answer.values.to_pylist(), broken.tolist(), strict=True):
        blank = cell.strip(" \t") in MISSING or cell == ""
        assert refused or value is not None or (of.missing_allowed and blank)


@settings(deadline=None)
@given(st.lists(ANY_CELL, max_size=6), st.sampled_from(COLUMNS))
def test_a_cell_is_read_the_same_whatever_stands_around_it(cells: list[str], of: Column) -> None:
    assert values(cells, of) == [values([cell], of)[0] for cell in cells]


@given(st.lists(ANY_CELL, max_size=6), st.sampled_from(COLUMNS))
def test_only_rules_that_were_broken_are_named(cells: list[str], of: Column) -> None:
    assert all(mask.any() for _, mask in result(cells, of).broken)


@given(st.lists(ANY_CELL, max_size=6), st.sampled_from(COLUMNS))
def test_a_refused_cell_has_no_value(cells: list[str], of: Column) -> None:
    answer = result(cells, of)
    for _, mask in answer.broken:
        assert answer.values.filter(pa.array(mask)).null_count == mask.sum()


@pytest.mark.parametrize("of", COLUMNS, ids=lambda of: f"{of.role}-{of.type}")
def test_a_null_counts_as_an_empty_cell(of: Column) -> None:
    answer, empty = cast(pa.array([None, "1"], pa.string()), of), result(["", "1"], of)
    assert answer.values.equals(empty.values)
    assert [name for name, _ in answer.broken] == [name for name, _ in empty.broken]


@pytest.mark.parametrize("of", COLUMNS, ids=lambda of: f"{of.role}-{of.type}")
def test_no_cells_give_no_values(of: Column) -> None:
    assert values([], of) == []


@pytest.mark.parametrize("cell", MISSING)
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_missing_number_is_missing_where_that_is_allowed(cell: str, kind: Type) -> None:
    assert (rule(cell, column(kind, missing_allowed=True)), values([cell], column(kind, missing_allowed=True))) == (
        None,
        [None],
    )


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "  "])
@pytest.mark.parametrize("kind", ["integer", "number", "date"])
def test_a_missing_value_is_refused_as_missing_where_it_is_not_allowed(cell: str, kind: Type) -> None:
    assert rule(cell, column(kind)) == "missing"


# ---- plain cells


def same(cells: pa.StringArray, of: Column) -> bool:
    values, broken = read(cells, of)
    careful, rules = read_with_care(cells, of)
    # As text, so that -0.0 is not 0.0.
    return str(values.to_pylist()) == str(careful.to_pylist()) and {k: m.tolist() for k, m in broken.items()} == {
        k: m.tolist() for k, m in rules.items()
    }


@settings(max_examples=400)
@given(
    st.lists(st.one_of(PLAIN_CELL, SETTLED, ANY_CELL), max_size=12) | st.lists(PLAIN_CELL) | st.lists(SETTLED),
    st.sampled_from(COLUMNS),
    st.integers(0, 3),
    st.integers(0, 12),
)
@example(["1", "1.2.3", "", "-"], column("number"), 0, 4)
@example(["9" * 400, "1"], column("number"), 0, 2)
@example(["abc", "12", "", "\u202e", ""], column("category"), 1, 4)
@example(["1" + "0" * 18, "0" * 19, "-" + "9" * 18], column("integer"), 0, 3)
@example([" ", "x", "\t"], column("label", "target", missing_allowed=True, exited="x", stayed=" "), 0, 2)
def test_plain_cells_are_read_as_they_would_be_with_care(cells: list[str], of: Column, start: int, length: int) -> None:
    assert same(pa.array(cells, pa.string()).slice(start, length), of)


def test_a_piece_of_a_column_is_read_like_a_column_of_its_own() -> None:
    whole = pa.array(["x", "1", "22", "", "333", "y"], pa.string())
    assert cast(whole.slice(1, 4), column("integer", missing_allowed=True)).values.to_pylist() == [1, 22, None, 333]


def test_all_characters_that_are_refused_begin_with_a_byte_that_is_looked_for() -> None:
    characters = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)]))
    refused = re.findall(CONTROL, characters)
    assert len(refused) > 64
    assert all(HARMLESS.odd[character.encode()[0]] for character in refused)


@pytest.mark.parametrize("of", BRIEF_SCHEMA.columns, ids=lambda of: of.name)
def test_a_column_of_whole_numbers_needs_no_second_look(of: Column, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(casting, "read_with_care")
    assert values(["1", "0", "1"], of) == (["1", "0", "1"] if of.role == "client" else [1, 0, 1])


def test_each_odd_text_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def watched(texts: pa.StringArray, of: Column) -> Any:
        seen.extend(texts.to_pylist())
        return read_with_care(texts, of)

    monkeypatch.setattr(casting, "read_with_care", watched)
    assert values(["1", "NA", "+2", "NA", "+2", "3"], column("integer", missing_allowed=True)) == [
        1,
        None,
        2,
        None,
        2,
        3,
    ]
    assert seen == ["NA", "+2"]


# ---- whole numbers


@settings(deadline=None)
@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_a_whole_number_is_kept_exactly(number: int) -> None:
    assert values([str(number), f"+{abs(number)}", f"{number}.000"], column("integer")) == [number, abs(number), number]


def test_whole_numbers_beyond_what_a_float_holds_are_kept_exactly() -> None:
    assert values([str(2**53 + 1), "0" * 10 + "12", " 7\t"], column("integer")) == [2**53 + 1, 12, 7]


@settings(deadline=None)
@given(NUMBERLIKE)
def test_a_whole_number_is_an_optional_sign_and_at_most_18_digits(cell: str) -> None:
    plain = re.fullmatch(r"([+-]?[0-9]{1,18})(?:\.0+)?", cell.strip(" \t"), re.ASCII)
    assert values([cell], column("integer", missing_allowed=True)) == [int(plain[1]) if plain else None]


@pytest.mark.parametrize(
    "cell", ["1.5", "0x10", "1_000", "1,000", "\u0661\u0662", "1e5", "seven", "9" * 19, "9" * 5000, "--1", "inf"]
)
def test_what_is_no_whole_number_is_refused(cell: str) -> None:
    assert rule(cell, column("integer")) == "not a whole number"


# ---- numbers


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_kept_exactly(number: float) -> None:
    (value,) = values([repr(number)], column("number"))
    assert value == number
    assert math.copysign(1, value) == math.copysign(1, number)


@pytest.mark.parametrize(
    "cell", ["inf", "-Infinity", "0x10", "1_000", "1.024,5", "1,5", "\u0661.\u0665", "1e", "e5", ".", "+-1"]
)
def test_what_is_no_number_is_refused(cell: str) -> None:
    assert rule(cell, column("number")) == "not a number"


@pytest.mark.parametrize("cell", ["1e400", "-1e400", "9" * 5000])
def test_a_number_that_overflows_is_not_finite(cell: str) -> None:
    assert rule(cell, column("number")) == "not a finite number"


@pytest.mark.parametrize(("cell", "number"), [("+1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1E+05", 1e5), ("0e-400", 0.0)])
def test_a_number_may_be_written_in_the_usual_ways(cell: str, number: float) -> None:
    assert values([cell], column("number")) == [number]


WHOLE_BUT_LARGE = st.integers(2**52, 2**64) | st.integers(10**17, 10**40) | st.integers(0, 10**310)
INEXACT, VANISHED = "not exact in floating point", "rounds to 0 in floating point"


@settings(deadline=None)
@given(WHOLE_BUT_LARGE, st.sampled_from(["", "-", "+"]), st.sampled_from(["", ".", ".0", ".000"]), st.integers(0, 3))
@example(2**53, "", "", 0)
@example(2**53 + 1, "-", ".0", 2)
@example(10**23, "", "", 0)
def test_a_whole_number_is_held_exactly_or_refused(number: int, sign: str, end: str, zeros: int) -> None:
    cell = f"{sign}{'0' * zeros}{number}{end}"
    told = rule(cell, column("number"))
    if told is None:
        (value,) = values([cell], column("number"))
        assert Fraction(value) == Fraction(cell.removesuffix("."))
    elif told == INEXACT:
        assert Fraction(float(number)) != number
    else:
        assert (told, number >= 2**1024 - 2**970) == ("not a finite number", True)


@settings(deadline=None)
@given(st.integers(1, 10**17), st.integers(-360, 290), st.sampled_from(["e", "E"]))
@example(2**53 + 1, 0, "e")
@example(1, 23, "e")
@example(5, -324, "e")
@example(2, -324, "e")
def test_a_number_with_an_exponent_keeps_its_digits_beyond_2_to_the_53(digits: int, exponent: int, mark: str) -> None:
    cell, said = f"{digits}{mark}{exponent}", digits * Fraction(10) ** exponent
    told, nearest = rule(cell, column("number")), float(said)
    if told == VANISHED:
        assert nearest == 0
    else:
        off = abs(Fraction(nearest) - said) > Fraction(10) ** max(0, exponent) / 2
        assert (told, values([cell], column("number"))) == ((INEXACT, [None]) if off else (None, [nearest]))


@given(st.decimals(-(2**53), 2**53, allow_nan=False).filter(lambda number: number == 0 or abs(number) > 1e-300))
def test_a_decimal_fraction_is_taken_as_the_nearest_number(number: Decimal) -> None:
    assert (rule(str(number), column("number")), values([str(number)], column("number"))) == (None, [float(number)])


@given(st.integers(1, 10**20), st.integers(345, 9999), st.sampled_from(["", "-"]))
def test_a_number_that_would_become_zero_is_refused(digits: int, exponent: int, sign: str) -> None:
    assert rule(f"{sign}{digits}e-{exponent}", column("number", missing_allowed=True)) == VANISHED


@pytest.mark.parametrize("cell", ["0", "-0.0", "0e400", "0e-9999", "0." + "0" * 400, "+0."])
def test_zero_is_zero_however_it_is_written(cell: str) -> None:
    assert (rule(cell, column("number")), values([cell], column("number"))) == (None, [0])


def test_a_number_that_is_refused_stands_beside_others() -> None:
    cells = ["1.5", str(2**53 + 1), "1e-400", "1e400", str(2**53 + 2), "NA", str(-(2**53) - 1)]
    answer = result(cells, column("number", missing_allowed=True))
    assert answer.values.to_pylist() == [1.5, None, None, None, 2.0**53 + 2, None, None]
    assert {name: np.flatnonzero(mask).tolist() for name, mask in answer.broken} == {
        "not a finite number": [3],
        VANISHED: [2],
        INEXACT: [1, 6],
    }


# ---- bounds


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_bounds_include_themselves_and_are_shown_as_they_were_written(kind: Type) -> None:
    bounded = column(kind, minimum=0, maximum=123456789)
    assert [rule(cell, bounded) for cell in ("0", "123456789")] == [None, None]
    assert rule("-1", bounded) == "below the minimum 0"
    assert rule("123456790", bounded) == "above the maximum 123456789"


@settings(deadline=None)
@given(
    st.integers(-9, 9) | st.integers(-(10**18) + 1, 10**18 - 1),
    st.floats(-9, 9) | st.integers() | st.floats(-1e300, 1e300),
)
@example(0, 0.5)
@example(1, 0.5)
@example(2**53 + 1, float(2**53))
def test_whole_numbers_are_compared_with_their_bounds_exactly(number: int, bound: float) -> None:
    assert (rule(str(number), column("integer", minimum=bound)) is None) == (number >= bound)
    assert (rule(str(number), column("integer", maximum=bound)) is None) == (number <= bound)


def test_a_value_out_of_bounds_is_not_kept() -> None:
    assert values(["-1", "1"], column("integer", minimum=0)) == [None, 1]


# ---- dates


@settings(deadline=None)
@given(st.dates(datetime.date(1000, 1, 1)))
def test_a_date_is_kept(day: datetime.date) -> None:
    cells = [day.isoformat(), f" {day} ", f"{day}T23:59:59.999Z", f"{day} 00:00", f"{day}T12:30:00+00:00"]
    assert values(cells, column("date")) == [day] * 5


@settings(deadline=None)
@given(st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"))
def test_a_date_is_one_of_the_calendar(cell: str) -> None:
    try:
        day: datetime.date | None = datetime.date.fromisoformat(cell)
    except ValueError:
        day = None
    assert values([cell], column("date")) == [day if cell >= "1000" and cell.isascii() else None]


@pytest.mark.parametrize(
    "cell",
    ["2026-02-30", "2025-02-29", "2026-13-01", "31.01.2026", "01/31/2026", "2026-1-3", "20260131", "2026-01-31 25:00",
     "2026-01-31T10:00:00+02:00", "2026-01-31 ...", "0000-01-01", "20260-01-01"],
)  # fmt: skip
def test_what_is_no_date_is_refused(cell: str) -> None:
    assert rule(cell, column("date")) == "not a date like 2026-01-31"


def test_a_date_lies_between_the_earliest_and_the_latest() -> None:
    bounded = column("date", "time", earliest="2020-01-01", latest="2026-12-31")
    assert [rule(cell, bounded) for cell in ("2020-01-01", "2026-12-31")] == [None, None]
    assert rule("2019-12-31", bounded) == "before 2020-01-01"
    assert rule("2062-01-01", bounded) == "after 2026-12-31"


# ---- labels


def label(exited: str = "1", stayed: str = "0") -> Column:
    return column("label", "target", missing_allowed=True, exited=exited, stayed=stayed)


@pytest.mark.parametrize(
    ("cell", "value"), [("1", 1), ("0", 0), ("1.0", 1), ("0.0", 0), (" 1 ", 1), ("", None), ("NA", None)]
)
def test_a_label_is_one_of_the_two_or_missing(cell: str, value: int | None) -> None:
    assert (rule(cell, label()), values([cell], label())) == (None, [value])


@pytest.mark.parametrize("cell", ["yes", "0.7", "2", "-1", "1.5", "TRUE", "10", "01"])
def test_any_other_label_is_refused(cell: str) -> None:
    assert rule(cell, label()) == "not 0 or 1"


def test_labels_may_be_words_and_keep_their_case() -> None:
    assert values(["Yes", "No", "yes", "1"], label("Yes", "No")) == [1, 0, None, None]
    assert rule("yes", label("Yes", "No")) == "not No or Yes"


def test_a_label_may_be_spelt_like_a_missing_value() -> None:
    assert values(["None", "Churned", ""], label("Churned", "None")) == [0, 1, None]


def test_a_negative_label_may_come_as_a_decimal_too() -> None:
    assert values(["-1.0", "1.0", "-1"], label("1", "-1")) == [0, 1, 0]


# ---- texts


@pytest.mark.parametrize(
    "cell", ["NA", "null", "None", "NaN", "TRUE", "0012", "1e5", " spaces ", "🦊", "e\u0301", "é", "x" * 10_000]
)
def test_a_client_id_is_kept_byte_for_byte(cell: str) -> None:
    assert (rule(cell, column("text", "client")), values([cell], column("text", "client"))) == (None, [cell])


@pytest.mark.parametrize(
    "mark", ["\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\u061c", "\u200e", "\u2028", "\u202e", "\u2069", "\ufeff"]
)
@pytest.mark.parametrize("of", [column("text", "client"), column("category")], ids=["client", "category"])
def test_a_control_character_is_refused(mark: str, of: Column) -> None:
    assert rule(f"a{mark}b", of) == "control character"


def test_a_client_without_an_id_is_refused() -> None:
    assert rule("", column("text", "client")) == "missing"


def test_an_empty_category_is_missing() -> None:
    assert values(["", "NA", " "], column("category", missing_allowed=True)) == [None, "NA", " "]
    assert rule("", column("category")) == "missing"


def test_an_ignored_column_may_hold_any_text_but_nul() -> None:
    notes = column("text", "ignored", missing_allowed=True)
    assert values(["two\nlines\tand a tab", ""], notes) == ["two\nlines\tand a tab", None]
    assert rule("\0", notes) == "control character"


# ---- categories


def test_a_category_is_one_of_those_that_the_schema_lists() -> None:
    listed = column("category", categories=("north", "south"))
    assert values(["north", "South", "south "], listed) == ["north", None, None]
    assert rule("west", listed) == "not one of the categories: north, south"


def test_an_empty_cell_is_missing_and_not_a_wrong_category() -> None:
    assert rule("", column("category", categories=("north",))) == "missing"
    assert rule("", column("category", categories=("north",), missing_allowed=True)) is None


def test_of_many_categories_the_rule_names_the_first() -> None:
    listed = column("category", categories=tuple("abcdefghij"))
    assert rule("k", listed) == "not one of the categories: a, b, c, d, e, f, g, h and 2 more"


@given(st.lists(TEXT.filter(bool), min_size=1, max_size=5, unique=True), TEXT)
def test_a_listed_category_is_taken_and_no_other(categories: list[str], cell: str) -> None:
    listed, free = column("category", categories=tuple(categories)), column("category")
    assert (rule(cell, listed) is None) == (rule(cell, free) is None and cell in categories)
