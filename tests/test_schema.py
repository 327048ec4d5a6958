"""The client table's schema: read from config.json, written back, and refused with the key at fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import ConfigurationError
from holdfast.schema import BRIEF_SCHEMA, RESERVED, ROWS_AS_CLIENTS, Column, schema_from_json, schema_to_json

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


# ---- any table

NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name.casefold() not in RESERVED)
RULES = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={
        "minimum": st.integers(-9, 0) | st.floats(-9, 0),
        "maximum": st.integers(1, 9),
        "missing_allowed": st.booleans(),
    },
) | st.fixed_dictionaries({"type": st.just("category")}, optional={"missing_allowed": st.booleans()})


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
    extra = {"time": time, "value": value, "ignored": [ignored]}
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
    assert (schema.time.name if schema.time else None) == table.get("time")
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
    ]
    assert len({schema_from_json(table).digest for table in schemas}) == len(schemas)


def test_a_target_may_be_just_a_name() -> None:
    target = schema_from_json(SMALL).target
    assert (target.name, target.exited, target.stayed) == ("left", "1", "0")


def test_labels_may_be_whole_numbers_or_truth_values() -> None:
    target = schema_from_json(SMALL | {"target": {"column": "left", "exited": True, "stayed": -1}}).target
    assert (target.exited, target.stayed) == ("True", "-1")


def test_a_feature_is_a_number_unless_it_says_otherwise() -> None:
    assert with_rules().type == "number"


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


def test_a_category_has_no_bounds() -> None:
    assert refusal(features={"city": {"type": "category", "minimum": 0}}).message == "a category has no minimum"


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
    assert refusal(target=5).message.startswith("'schema.target' must be an object")


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
