"""The client table's schema: read from config.json, written back, and refused with the key at fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import ConfigurationError
from holdfast.schema import (
    BRIEF_SCHEMA,
    RESERVED,
    ROWS_AS_CLIENTS,
    Column,
    Schema,
    is_the_briefs,
    schema_from_json,
    schema_to_json,
)

SMALL: dict[str, Any] = {"client": "id", "target": "left", "features": {"visits": {"type": "integer"}}}


def refusal(**changed: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        schema_from_json(SMALL | changed)
    return caught.value


def with_rules(**rules: Any) -> Column:
    return schema_from_json(SMALL | {"features": {"visits": rules}}).columns[1]


# ---- the brief's table


def test_the_briefs_table_has_five_columns_three_of_them_features() -> None:
    assert BRIEF_SCHEMA.names == (
        "corporation",
        "lastmonth_activity",
        "lastyear_activity",
        "number_of_employees",
        "exited",
    )
    assert [column.name for column in BRIEF_SCHEMA.features] == list(BRIEF_SCHEMA.names[1:4])
    assert (BRIEF_SCHEMA.client.name, BRIEF_SCHEMA.target.name, BRIEF_SCHEMA.time) == ("corporation", "exited", None)


def test_the_briefs_table_survives_the_way_through_json() -> None:
    assert schema_from_json(schema_to_json(BRIEF_SCHEMA)) == BRIEF_SCHEMA


def test_the_briefs_digest_stays_so_that_no_workspace_starts_a_new_dataset_with_a_new_version() -> None:
    assert BRIEF_SCHEMA.digest == "44e3522a0e525fed9d63bc4d8f41d3c958eb1f831dac92336916becb49b870f5"


def test_a_table_is_the_briefs_whatever_the_order_of_its_columns_and_their_bounds() -> None:
    columns = [replace(column, minimum=None) for column in reversed(BRIEF_SCHEMA.columns)]
    assert is_the_briefs(Schema(columns=tuple(columns)))


@pytest.mark.parametrize(
    ("place", "change"),
    [(1, {"name": "visits"}), (2, {"type": "number"}), (3, {"missing_allowed": True}), (4, {"exited": "yes"})],
)
def test_a_table_that_the_briefs_schema_would_not_take_is_not_the_briefs(place: int, change: dict[str, Any]) -> None:
    columns = list(BRIEF_SCHEMA.columns)
    columns[place] = replace(columns[place], **change)
    assert not is_the_briefs(Schema(columns=tuple(columns)))


# ---- any table

NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name.casefold() not in RESERVED)
UNITS = st.sampled_from(["EUR", "visits a month", "m²"])
OF_NUMBERS = {
    "minimum": st.integers(-9, 0) | st.floats(-9, 0),
    "maximum": st.integers(1, 9),
    "missing_allowed": st.booleans(),
    "unit": UNITS,
}
RULES = st.fixed_dictionaries({"type": st.sampled_from(["integer", "number"])}, optional=OF_NUMBERS) | (
    st.fixed_dictionaries(
        {"type": st.just("category")},
        optional={
            "missing_allowed": st.booleans(),
            "categories": st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4, unique=True),
        },
    )
)
VALUE_RULES = st.fixed_dictionaries({}, optional=OF_NUMBERS | {"type": st.sampled_from(["integer", "number"])})
DAYS = st.dates(max_value=date(2000, 1, 1)).map(date.isoformat)
LATER_DAYS = st.dates(min_value=date(2000, 1, 2)).map(date.isoformat)
TIME_RULES = st.fixed_dictionaries({}, optional={"earliest": DAYS, "latest": LATER_DAYS})


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=6, max_size=10, unique_by=str.casefold))
    client, target, time, value, ignored, *features = names
    exited, stayed = draw(st.lists(st.text(max_size=4), min_size=2, max_size=2, unique=True))
    table: dict[str, Any] = {
        "client": draw(st.sampled_from([client, None])) if ROWS_AS_CLIENTS not in map(str.casefold, names) else client,
        "target": {"column": target, "exited": exited, "stayed": stayed},
        "features": {name: draw(RULES) for name in features},
    }
    extra = {
        "time": draw(st.just(time) | TIME_RULES.map(lambda rules: {"column": time, **rules})),
        "value": draw(st.just(value) | VALUE_RULES.map(lambda rules: {"column": value, **rules})),
        "ignored": [ignored],
    }
    return table | {key: extra[key] for key in draw(st.sets(st.sampled_from(sorted(extra))))}


@settings(deadline=None)
@given(tables())
def test_every_schema_survives_the_way_through_json(table: dict[str, Any]) -> None:
    schema = schema_from_json(table)
    assert schema_from_json(schema_to_json(schema)) == schema
    assert schema_from_json(schema_to_json(schema)).digest == schema.digest


@settings(deadline=None)
@given(tables())
def test_every_column_of_a_table_has_its_place(table: dict[str, Any]) -> None:
    schema = schema_from_json(table)
    assert schema.client.name == (table["client"] or ROWS_AS_CLIENTS)
    assert schema.client_in_file == (table["client"] is not None)
    assert (schema.client in schema.delivered) == schema.client_in_file
    time = table.get("time")
    assert (schema.time.name if schema.time else None) == (time["column"] if isinstance(time, dict) else time)
    numeric = [name for name, rules in table["features"].items() if rules["type"] != "category"]
    assert [c.name for c in schema.features if c.role == "feature"] == numeric
    assert {c.name for c in schema.categories} == set(table["features"]) - set(numeric)


def test_the_digest_tells_schemas_apart() -> None:
    schemas = [
        SMALL,
        SMALL | {"client": None},
        SMALL | {"target": {"column": "left", "exited": "yes"}},
        SMALL | {"features": {"visits": {"type": "number"}}},
        SMALL | {"features": {"visits": {"type": "integer", "minimum": 0}}},
        SMALL | {"features": {"visits": {"type": "integer", "missing_allowed": True}}},
        SMALL | {"ignored": ["notes"]},
        SMALL | {"features": {"visits": {"type": "category"}}},
        SMALL | {"features": {"visits": {"type": "category", "categories": ["few", "many"]}}},
        SMALL | {"features": {"visits": {"type": "category", "categories": ["many", "few"]}}},
        SMALL | {"time": "day"},
        SMALL | {"time": {"column": "day", "earliest": "2020-01-01"}},
        SMALL | {"time": {"column": "day", "latest": "2020-01-01"}},
        SMALL | {"value": "worth"},
        SMALL | {"value": {"column": "worth", "minimum": 0}},
    ]
    assert len({schema_from_json(table).digest for table in schemas}) == len(schemas)


def test_a_unit_changes_what_is_shown_and_not_the_dataset() -> None:
    with_unit = schema_from_json(SMALL | {"features": {"visits": {"type": "integer", "unit": "visits"}}})
    assert with_unit.columns[1].unit == "visits"
    assert with_unit.digest == schema_from_json(SMALL).digest


def test_a_target_may_be_just_a_name() -> None:
    target = schema_from_json(SMALL).target
    assert (target.name, target.exited, target.stayed) == ("left", "1", "0")


def test_labels_may_be_whole_numbers_or_truth_values() -> None:
    target = schema_from_json(SMALL | {"target": {"column": "left", "exited": True, "stayed": -1}}).target
    assert (target.exited, target.stayed) == ("True", "-1")


def test_a_feature_is_a_number_unless_it_says_otherwise() -> None:
    assert with_rules().type == "number"


def test_a_feature_that_lists_its_categories_is_a_category() -> None:
    column = with_rules(categories=["few", "many"])
    assert (column.type, column.categories) == ("category", ("few", "many"))


def test_a_value_may_be_just_a_name_and_may_then_be_missing() -> None:
    value = schema_from_json(SMALL | {"value": "worth"}).columns[1]
    assert (value.name, value.role, value.type, value.missing_allowed) == ("worth", "value", "number", True)


def test_a_value_may_have_the_rules_of_a_number() -> None:
    rules = {"column": "worth", "type": "integer", "unit": "EUR", "minimum": 0, "maximum": 9, "missing_allowed": False}
    value = schema_from_json(SMALL | {"value": rules}).columns[1]
    assert (value.type, value.unit, value.minimum, value.maximum, value.missing_allowed) == (
        "integer",
        "EUR",
        0,
        9,
        False,
    )


def test_a_time_may_say_between_which_days_it_lies() -> None:
    time = schema_from_json(SMALL | {"time": {"column": "day", "earliest": "2020-01-01", "latest": "2030-12-31"}}).time
    assert time is not None
    assert (time.name, time.earliest, time.latest) == ("day", "2020-01-01", "2030-12-31")


@pytest.mark.parametrize("table", [{"value": "worth"}, {"time": "day"}, {"value": {"column": "worth", "unit": "EUR"}}])
def test_what_goes_without_saying_is_not_written(table: dict[str, Any]) -> None:
    written = schema_to_json(schema_from_json(SMALL | table))
    assert {key: written[key] for key in table} == table


# ---- refusals


@pytest.mark.parametrize("table", [None, [], "x", 1])
def test_a_schema_is_an_object(table: object) -> None:
    with pytest.raises(ConfigurationError, match="'schema' must be an object with the keys client, target"):
        schema_from_json(table)


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    error = refusal(featurs={})
    assert (error.message, error.hint) == ("unknown key 'schema.featurs'", "did you mean 'features'?")


@pytest.mark.parametrize("key", ["target", "features"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the key 'schema' has no '{key}'"):
        schema_from_json({name: value for name, value in SMALL.items() if name != key})


@pytest.mark.parametrize(("key", "value"), [("client", ""), ("client", 5), ("time", ["x"]), ("value", False)])
def test_a_role_names_a_column(key: str, value: object) -> None:
    assert refusal(**{key: value}).message == f"'schema.{key}' must be a column name, found {value!r}"


@pytest.mark.parametrize("features", [{}, [], None, "visits"])
def test_features_are_an_object_with_columns(features: object) -> None:
    assert refusal(features=features).message == "'schema.features' must name at least one column"


@pytest.mark.parametrize("ignored", ["notes", None, {"notes": 1}, 5])
def test_ignored_columns_are_a_list(ignored: object) -> None:
    assert refusal(ignored=ignored).message.startswith("'schema.ignored' must be a list of column names")


@pytest.mark.parametrize("ignored", [[""], [None], [["x"]]])
def test_an_ignored_column_has_a_name(ignored: list[object]) -> None:
    assert refusal(ignored=ignored).message.startswith("'schema.ignored' must be a column name")


def test_a_feature_has_a_name() -> None:
    assert refusal(features={"": {}}).message == "'schema.features' must be a column name, found ''"


def test_an_unknown_type_is_refused_with_the_nearest() -> None:
    error = refusal(features={"visits": {"type": "integr"}})
    assert (error.column, error.hint) == ("visits", "did you mean 'integer'?")


@pytest.mark.parametrize("kind", [["integer"], None, 5, {}])
def test_a_type_is_a_word(kind: object) -> None:
    assert "is not one of integer, number, category" in refusal(features={"visits": {"type": kind}}).message


@pytest.mark.parametrize("bound", ["minimum", "maximum"])
@pytest.mark.parametrize("value", ["0", True, [], float("nan"), float("inf"), 10**400])
def test_a_bound_is_a_finite_number(bound: str, value: object) -> None:
    assert refusal(features={"visits": {bound: value}}).message.startswith(f"{bound} must be a number, found ")


def test_a_minimum_is_not_above_its_maximum() -> None:
    assert refusal(features={"visits": {"minimum": 2, "maximum": 1}}).message == "the minimum 2 is above the maximum 1"


@pytest.mark.parametrize("rule", [{"minimum": 0}, {"maximum": 0}, {"unit": "EUR"}])
def test_a_category_has_no_bounds_and_no_unit(rule: dict[str, Any]) -> None:
    error = refusal(features={"city": {"type": "category"} | rule})
    assert (error.message, error.column) == (f"a column of type category has no {next(iter(rule))}", "city")


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_number_has_no_categories(kind: str) -> None:
    error = refusal(features={"visits": {"type": kind, "categories": ["few"]}})
    assert error.message == f"a column of type {kind} has no categories"


@pytest.mark.parametrize("categories", ["north", [], {}, 5])
def test_categories_are_a_list(categories: object) -> None:
    error = refusal(features={"city": {"categories": categories}})
    assert error.message.startswith("categories must be a list of texts, found ")


@pytest.mark.parametrize("category", ["", 5, None, True, "\ud800"])
def test_a_category_is_a_text(category: object) -> None:
    assert refusal(features={"city": {"categories": ["a", category]}}).message.startswith("a category must be a text")


def test_a_category_is_named_once() -> None:
    assert refusal(features={"city": {"categories": ["a", "b", "a"]}}).message == "the category 'a' is named twice"


@pytest.mark.parametrize("unit", ["", " ", 5, ["EUR"], "\x1b[31m"])
def test_a_unit_is_a_text_that_can_be_shown(unit: object) -> None:
    assert refusal(features={"visits": {"unit": unit}}).message.startswith('unit must be a text like "EUR", found ')


@pytest.mark.parametrize("key", ["earliest", "latest"])
@pytest.mark.parametrize("day", ["2020-02-30", "20200101", "2020-W01-1", "1.1.2020", 2020, True])
def test_the_earliest_and_latest_are_dates(key: str, day: object) -> None:
    error = refusal(time={"column": "day", key: day})
    assert error.message == f"{key} must be a date like 2026-01-31, found {day!r}"


def test_the_earliest_is_not_after_the_latest() -> None:
    error = refusal(time={"column": "day", "earliest": "2021-01-01", "latest": "2020-01-01"})
    assert (error.message, error.column) == ("earliest 2021-01-01 is after latest 2020-01-01", "day")


@pytest.mark.parametrize(
    ("role", "wrong", "meant"),
    [("time", "earlist", "earliest"), ("value", "maximun", "maximum"), ("value", "units", "unit")],
)
def test_an_unknown_key_of_a_role_is_refused_with_the_nearest(role: str, wrong: str, meant: str) -> None:
    error = refusal(**{role: {"column": "x", wrong: 1}})
    assert (error.message, error.hint) == (f"unknown key 'schema.{role}.{wrong}'", f"did you mean '{meant}'?")


def test_a_value_is_a_number() -> None:
    message = refusal(value={"column": "worth", "type": "category"}).message
    assert message == "type 'category' is not one of integer, number"


@pytest.mark.parametrize("role", ["time", "value"])
def test_a_role_that_is_an_object_names_its_column(role: str) -> None:
    assert refusal(**{role: {}}).message == f"'schema.{role}' has no 'column'"


@pytest.mark.parametrize("changed", [{"client": "\ud800"}, {"target": {"column": "left", "exited": "\ud800"}}])
def test_half_a_character_is_no_text(changed: dict[str, Any]) -> None:
    assert "\\ud800" in refusal(**changed).message


@pytest.mark.parametrize("value", ["true", "false", 1, None])
def test_missing_allowed_is_true_or_false(value: object) -> None:
    assert "must be true or false" in refusal(features={"visits": {"missing_allowed": value}}).message


@pytest.mark.parametrize("label", [None, 1.0, [], {}])
def test_a_label_is_a_text_or_a_whole_number(label: object) -> None:
    error = refusal(target={"column": "left", "exited": label})
    assert error.message.startswith("'schema.target.exited' must be a text or a whole number")


def test_the_two_labels_differ() -> None:
    assert refusal(target={"column": "left", "exited": "0"}).message == "'exited' and 'stayed' are the same label"


@pytest.mark.parametrize("target", [{}, {"exited": "1"}])
def test_a_target_names_its_column(target: dict[str, str]) -> None:
    assert refusal(target=target).message == "'schema.target' has no 'column'"


def test_a_target_is_a_name_or_an_object() -> None:
    assert refusal(target=5).message == "'schema.target' must be a column name, found 5"


@pytest.mark.parametrize(
    "changed", [{"time": "id"}, {"ignored": ["x", "x"]}, {"target": "visits"}, {"value": "visits"}]
)
def test_a_column_is_named_once(changed: dict[str, Any]) -> None:
    assert refusal(**changed).message == "this column is named twice in 'schema'"


def test_names_that_differ_only_in_case_are_refused() -> None:
    assert refusal(ignored=["Visits"]).message == "'visits' and 'Visits' differ only in case"


@pytest.mark.parametrize("name", [*RESERVED, "_LINE"])
def test_the_names_that_holdfast_uses_are_taken(name: str) -> None:
    error = refusal(ignored=[name])
    assert (error.message, error.column) == ("a column cannot have this name: Holdfast uses it", name)
