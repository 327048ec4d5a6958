"""The one JSON form of every record, and the way back."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar

Record = TypeVar("Record")


def to_json(record: Any) -> Any:
    """The JSON form of a record: objects, lists, strings, numbers; what has no number is null.

    >>> from holdfast.records import Metric
    >>> to_json(Metric(value=float("nan"), low=None, high=None, n=3))
    {'value': None, 'low': None, 'high': None, 'n': 3}
    """
    if is_dataclass(record):
        return {field.name: to_json(getattr(record, field.name)) for field in fields(record)}
    if isinstance(record, dict):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, tuple | list):
        return [to_json(value) for value in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record


def from_json(kind: type[Record], data: Any) -> Record:
    """The record of type `kind` whose JSON form is `data`: the inverse of `to_json`.

    Raises ValueError when `data` is not the JSON form of such a record: a field unknown or mistyped, or missing
    although it has no default (an older version may have written it before the field was there).

    >>> from holdfast.records import Metric
    >>> from_json(Metric, to_json(Metric(value=0.5, low=None, high=None, n=3))).value
    0.5
    """
    record: Record = _read(kind, data, kind.__name__)
    return record


def _read(kind: Any, data: Any, place: str) -> Any:
    if kind is Any:
        return data
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return None if data is None else _read(arguments[0], data, place)
    if origin is Literal:
        return _checked(data, data in arguments, place)
    if origin is tuple and isinstance(data, list | tuple):
        return tuple(_read(inner, value, place) for inner, value in _paired(arguments, data))
    if origin is dict and isinstance(data, dict):
        return {key: _read(arguments[1], value, f"{place}.{key}") for key, value in data.items()}
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(data, dict):
        hints, required = _fields_of(kind)
        if not required <= set(data) <= set(hints):
            raise ValueError(f"{place}: expected the fields {sorted(hints)}, found {sorted(data)}")
        return kind(**{name: _read(hints[name], data[name], f"{place}.{name}") for name in data})
    if kind is float:
        numeric = isinstance(data, int | float) and not isinstance(data, bool)
        try:
            return float(_checked(data, numeric, place))
        except OverflowError:
            raise ValueError(f"{place}: a number beyond what a float holds") from None
    return _checked(data, isinstance(kind, type) and type(data) is kind, place)


@cache
def _fields_of(kind: type[Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """The types of a record's fields, and which have no default: worked out once, a history holds many of a kind."""
    required = frozenset(field.name for field in fields(kind) if field.default is MISSING)
    return typing.get_type_hints(kind), required


def _paired(kinds: tuple[Any, ...], values: Any) -> list[tuple[Any, Any]]:
    if kinds[-1] is Ellipsis:
        return [(kinds[0], value) for value in values]
    return list(zip(kinds, values, strict=True))


def _checked(data: Any, fits: bool, place: str) -> Any:
    if not fits:
        raise ValueError(f"{place}: cannot be {data!r:.40}")
    return data
