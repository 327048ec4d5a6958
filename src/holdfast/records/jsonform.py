"""The one JSON form of every record, and the way back."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable
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
    try:
        record: Record = _reader(typing.cast(Any, kind))(data)
    except _Misfit as misfit:
        raise ValueError(f"{'.'.join((kind.__name__, *misfit.place))}: {misfit}") from None
    return record


class _Misfit(ValueError):
    """Data that are not of the kind expected; `place` leads to them."""

    place: tuple[str, ...] = ()


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What reads data of a kind: worked out once, a history holds many records of a kind."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return _as_it_is
    if origin in {types.UnionType, typing.Union}:
        return _optional(_reader(arguments[0]))
    if origin is Literal:
        return _checking(lambda data: data in arguments)
    if origin is tuple:
        return _list(arguments)
    if origin is dict:
        return _object(_reader(arguments[1]))
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind)
    return _number if kind is float else _checking(lambda data: type(data) is kind)


def _as_it_is(data: Any) -> Any:
    return data


def _optional(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda data: None if data is None else inner(data)


def _checking(fits: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        if not fits(data):
            raise _unlike(data)
        return data

    return read


def _list(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    each = _reader(kinds[0]) if kinds[-1] is Ellipsis else None
    readers = () if each else tuple(map(_reader, kinds))

    def read(data: Any) -> Any:
        if not isinstance(data, list | tuple) or not (each or len(data) == len(readers)):
            raise _unlike(data)
        return tuple(map(each, data)) if each else tuple(one(value) for one, value in zip(readers, data, strict=True))

    return read


def _object(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _unlike(data)
        return {key: _within(key, inner, value) for key, value in data.items()}

    return read


def _record(kind: type[Any]) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in typing.get_type_hints(kind).items()}
    required = {field.name for field in fields(kind) if field.default is MISSING}

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _unlike(data)
        if not required <= data.keys() <= readers.keys():
            raise _Misfit(f"expected the fields {sorted(readers)}, found {sorted(data)}")
        return kind(**{name: _within(name, readers[name], value) for name, value in data.items()})

    return read


def _within(name: str, read: Callable[[Any], Any], data: Any) -> Any:
    try:
        return read(data)
    except _Misfit as misfit:
        misfit.place = (name, *misfit.place)
        raise


def _number(data: Any) -> float:
    if not isinstance(data, int | float) or isinstance(data, bool):
        raise _unlike(data)
    try:
        return float(data)
    except OverflowError:
        raise _Misfit("a number beyond what a float holds") from None


def _unlike(data: Any) -> _Misfit:
    return _Misfit(f"cannot be {data!r:.40}")
