"""Records: frozen, and the same after the way through JSON."""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast import records
from holdfast.records import (
    ClientRisk,
    Decision,
    Metric,
    RejectedRow,
    Release,
    RiskModel,
    RunRecord,
    SourceFile,
    Status,
    from_json,
    to_json,
)

KINDS = [getattr(records, name) for name in records.__all__ if isinstance(getattr(records, name), type)]
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBER | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)

BUILT: dict[type[Any], st.SearchStrategy[Any]] = {}
"""Made anew for every example they would take most of the time."""


def build(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any record of a kind, with finite numbers and JSON values where anything may stand."""
    if kind not in BUILT:
        hints = typing.get_type_hints(kind)
        BUILT[kind] = st.builds(kind, **{name: fitting(hint) for name, hint in hints.items()})
    return BUILT[kind]


def fitting(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is float:
        return NUMBER
    if dataclasses.is_dataclass(hint):
        return build(typing.cast("type[Any]", hint))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(fitting(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(fitting, arguments))
    if origin is dict:
        return st.dictionaries(st.text(max_size=3), fitting(arguments[1]), max_size=2)
    if arguments and origin is not typing.Literal:
        return st.none() | fitting(arguments[0])
    return ANYTHING if hint is Any else st.from_type(hint)


# ---- the way there and back


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_record_survives_the_way_through_json(kind: type[Any], data: st.DataObject) -> None:
    record = data.draw(build(kind))
    written = json.loads(json.dumps(to_json(record), allow_nan=False))
    assert from_json(kind, written) == record


@pytest.mark.parametrize("kind", KINDS)
def test_every_record_is_frozen(kind: type[Any]) -> None:
    assert kind.__dataclass_params__.frozen
    assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_null(value: float) -> None:
    assert to_json({"a": [value], "b": (value,)}) == {"a": [None], "b": [None]}


def test_a_whole_number_may_stand_for_a_decimal() -> None:
    metric = from_json(Metric, {"value": 1, "low": 0, "high": None, "n": 3})
    assert (metric.value, type(metric.value)) == (1.0, float)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_was_written_before_a_field_was_there_reads_as_its_default(kind: type[Any], data: st.DataObject) -> None:
    record = data.draw(build(kind))
    later = {
        field.name: field.default for field in dataclasses.fields(kind) if field.default is not dataclasses.MISSING
    }
    written = {name: value for name, value in to_json(record).items() if name not in later}
    assert from_json(kind, written) == dataclasses.replace(record, **later)


# ---- what is not the form of a record

ROW = {"file": "a.csv", "line": 2, "column": None, "rule": "missing", "text": ""}


def refused(kind: type[Any], data: object, place: str) -> bool:
    with pytest.raises(ValueError, match="^" + place.replace(".", r"\.")):
        from_json(kind, data)
    return True


@pytest.mark.parametrize("field", ROW)
def test_a_field_that_is_missing_is_refused(field: str) -> None:
    assert refused(RejectedRow, {name: value for name, value in ROW.items() if name != field}, "RejectedRow: expected")


def test_a_field_that_is_unknown_is_refused() -> None:
    assert refused(RejectedRow, ROW | {"extra": 1}, "RejectedRow: expected the fields")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *[("file", value) for value in (None, 1, ["a"], {"a": 1}, True)],
        *[("line", value) for value in (None, "2", 2.0, True, [2])],
        *[("column", value) for value in (1, ["a"], False)],
    ],
)
def test_a_field_of_the_wrong_type_is_refused_by_its_name(field: str, wrong: object) -> None:
    assert refused(RejectedRow, ROW | {field: wrong}, f"RejectedRow.{field}: cannot be ")


@pytest.mark.parametrize("wrong", ["0.5", True, [0.5], {}])
def test_a_number_is_a_number(wrong: object) -> None:
    assert refused(Metric, {"value": wrong, "low": None, "high": None, "n": 1}, "Metric.value: cannot be ")


@pytest.mark.parametrize("wrong", ["taken", None, 1, ["accepted"]])
def test_a_choice_is_one_of_its_words(wrong: object) -> None:
    data = to_json(
        SourceFile(number=1, name="a.csv", folder="in", digest="d", size=1, received="now", status="accepted")
    )
    assert refused(SourceFile, data | {"status": wrong}, "SourceFile.status: cannot be ")


@pytest.mark.parametrize("wrong", [None, "ab", {"a": 1}, 1])
def test_a_list_is_a_list(wrong: object) -> None:
    data = to_json(ClientRisk(client="a", rank=1, probability=0.5, values=(1.0, None), contributions=(0.1, 0.2)))
    assert refused(ClientRisk, data | {"values": wrong}, "ClientRisk.values: cannot be ")


@pytest.mark.parametrize("data", [None, [], "x", 1, True])
@pytest.mark.parametrize("kind", [RejectedRow, Release, RiskModel, Decision, RunRecord, Status])
def test_a_record_is_an_object(kind: type[Any], data: object) -> None:
    assert refused(kind, data, f"{kind.__name__}: cannot be ")


@settings(deadline=None)
@given(ANYTHING)
def test_any_other_json_is_refused_with_a_value_error(data: Any) -> None:
    for kind in (RejectedRow, RiskModel, Status):
        with pytest.raises(ValueError, match=kind.__name__):
            from_json(kind, data)
