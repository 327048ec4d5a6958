"""The limits of one delivery."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from holdfast.errors import ConfigurationError
from holdfast.limits import Limits, limits_from_json

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_one_limit_is_set_and_the_others_stay(name: str) -> None:
    assert limits_from_json({name: 7}) == replace(Limits(), **{name: 7})


def test_no_limit_named_means_the_usual_ones() -> None:
    assert limits_from_json({}) == Limits()


def test_the_usual_limits_are_those_of_the_fault_catalogue() -> None:
    assert (Limits().columns, Limits().field_characters) == (1_000, 64 << 10)


@pytest.mark.parametrize("data", [None, [], "x", 5, [("cells", 5)]])
def test_limits_are_an_object(data: object) -> None:
    with pytest.raises(ConfigurationError, match="'limits' must be an object"):
        limits_from_json(data)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, 1.5, "7", True, None, [7]])
def test_a_limit_is_a_whole_number_from_one(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"'limits.{name}' must be a whole number from 1") as caught:
        limits_from_json({name: value})
    assert caught.value.column == name


def test_an_unknown_limit_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown key 'limits\.memory'") as caught:
        limits_from_json({"memory": 5})
    assert caught.value.hint == "did you mean 'memory_bytes'?"
    with pytest.raises(ConfigurationError) as caught:
        limits_from_json({"zzz": 5})
    assert caught.value.hint == f"known: {', '.join(NAMES)}"
