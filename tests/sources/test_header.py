"""The header against the schema: found by name, or refused with what may be meant."""

from __future__ import annotations

from itertools import permutations

import pytest

from holdfast.errors import FileRefused, excerpt
from holdfast.schema import BRIEF_SCHEMA, Schema
from holdfast.sources.header import match_header

NAMES = list(BRIEF_SCHEMA.names)


def refusal(header: list[str], schema: Schema = BRIEF_SCHEMA, *, target_required: bool = True) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        match_header(header, schema, "march.csv", target_required=target_required)
    return caught.value


def test_columns_stand_where_they_are_named_in_every_order() -> None:
    for order in permutations(NAMES):
        places, notices = match_header(order, BRIEF_SCHEMA, "march.csv")
        assert [order[places[name]] for name in NAMES] == NAMES
        assert notices == ()


def test_columns_that_the_schema_does_not_know_are_left_out_and_named() -> None:
    places, notices = match_header(["note", *NAMES, ""], BRIEF_SCHEMA, "march.csv")
    assert places["corporation"] == 1
    assert notices == ("march.csv: 2 columns not in the schema are left out: note, ",)


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_column_is_named(missing: str) -> None:
    error = refusal([name for name in NAMES if name != missing])
    assert (error.column, error.row) == (missing, 1)
    assert error.message.startswith(f"no column '{missing}'. Found: ")


@pytest.mark.parametrize("repeated", NAMES)
def test_a_repeated_column_is_named(repeated: str) -> None:
    error = refusal([*NAMES, repeated])
    assert (error.message, error.column) == ("this column appears more than once", repeated)


@pytest.mark.parametrize("variant", ["Exited", " exited", "EXITED ", "exited\t"])
def test_a_variant_in_case_or_spaces_is_not_taken_for_the_column(variant: str) -> None:
    alone = refusal([*NAMES[:-1], variant])
    assert alone.hint == f"did you mean '{excerpt(variant)}'? Rename '{excerpt(variant)}' to 'exited'"
    beside = refusal([*NAMES, variant])
    assert beside.message.endswith("and 'exited' differ only in case or spaces")
    optional = refusal([*NAMES[:-1], variant], target_required=False)
    assert optional.message.endswith("and 'exited' differ only in case or spaces")


def test_the_nearest_name_is_suggested() -> None:
    assert refusal(["corporation", "lastmonth activty", *NAMES[2:]]).hint == (
        "did you mean 'lastmonth activty'? Rename 'lastmonth activty' to 'lastmonth_activity'"
    )


def test_every_missing_column_is_named_and_every_nearest_name_suggested() -> None:
    error = refusal(["Corporation", "lastmonth_activity", "last year activity", "exited"])
    assert error.message.startswith("no columns 'corporation', 'lastyear_activity', 'number_of_employees'. Found: ")
    assert error.column == "corporation"
    assert error.hint == (
        "did you mean 'Corporation'? Rename 'Corporation' to 'corporation', 'last year activity' to 'lastyear_activity'"
    )


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_another_delimiter_is_recognised_and_not_guessed(mark: str, word: str) -> None:
    error = refusal([mark.join(NAMES)])
    assert error.message == f"expected 5 columns named {', '.join(NAMES)}; found 1"
    assert error.hint == f"the fields look separated by {word}; save the file with commas"


def test_a_decimal_comma_with_semicolons_is_recognised_too() -> None:
    error = refusal(["corporation;last", "month;exited"])
    assert error.hint == "the fields look separated by semicolons; save the file with commas"


@pytest.mark.parametrize("first", [["acme", "12", "340", "56", "0"], ["acme", "-1.5", "x", "y", "z"]])
def test_a_file_without_a_header_is_recognised(first: list[str]) -> None:
    assert refusal(first).hint == "the first line looks like data: it has to name the columns"


def test_the_target_may_be_missing_where_it_is_not_required() -> None:
    places, _ = match_header(NAMES[:-1], BRIEF_SCHEMA, "march.csv", target_required=False)
    assert "exited" not in places


def test_no_other_column_may_be_missing_then() -> None:
    assert refusal(NAMES[1:-1], target_required=False).column == "corporation"


@pytest.mark.parametrize(
    "header", [[*NAMES, "\x1b[31mExited\n"], ["\x1b[31mred", "x" * 5_000], [*NAMES, "\x1b[0m exited"]]
)
def test_names_of_a_stranger_are_shown_escaped_and_short(header: list[str]) -> None:
    try:
        _, shown = match_header(header, BRIEF_SCHEMA, "march.csv")
    except FileRefused as error:
        shown = (error.message, error.hint or "", error.column or "")
    assert all(text.isprintable() and len(text) < 200 for text in shown)


def test_a_long_list_of_names_is_cut() -> None:
    _, (notice,) = match_header([*NAMES, *(f"x{n}" for n in range(50))], BRIEF_SCHEMA, "march.csv")
    assert notice.endswith("x10, x11, …")


def test_a_client_column_is_optional_where_rows_are_clients() -> None:
    rowwise = Schema(columns=BRIEF_SCHEMA.columns, client_in_file=False)
    assert "corporation" not in match_header(NAMES[1:], rowwise, "march.csv")[0]
    assert match_header(NAMES, rowwise, "march.csv") == (dict(zip(NAMES, range(5), strict=True)), ())
