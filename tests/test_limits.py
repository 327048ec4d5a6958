"""The limits of one delivery."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import pytest

from holdfast.errors import ConfigurationError
from holdfast.limits import LEAST, Limits, limits_from_json

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_one_limit_is_set_and_the_others_stay(name: str) -> None:
    least = getattr(LEAST, name)
    assert limits_from_json({name: least}) == replace(Limits(), **{name: least})


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_below_which_no_ordinary_file_could_be_read_is_refused_by_name(name: str) -> None:
    least = getattr(LEAST, name)
    expected = f"'limits.{name}' must be a whole number from {least:,} to "
    with pytest.raises(ConfigurationError, match=expected) as caught:
        limits_from_json({name: least - 1})
    assert (caught.value.column, caught.value.hint) == (name, f"without this key it is {getattr(Limits(), name):,}")


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_that_no_system_could_keep_is_refused_too(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'limits.{name}' must be a whole number from"):
        limits_from_json({name: 10**30})


def test_every_limit_as_set_without_a_word_is_one_that_could_be_set() -> None:
    assert limits_from_json(asdict(Limits())) == Limits()


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
def test_a_limit_is_a_whole_number(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"'limits.{name}' must be a whole number from ") as caught:
        limits_from_json({name: value})
    assert caught.value.column == name


def test_an_unknown_limit_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown key 'limits\.memory'") as caught:
        limits_from_json({"memory": 5})
    assert caught.value.hint == "did you mean 'memory_bytes'?"
    with pytest.raises(ConfigurationError) as caught:
        limits_from_json({"zzz": 5})
    assert caught.value.hint == f"known: {', '.join(NAMES)}"
