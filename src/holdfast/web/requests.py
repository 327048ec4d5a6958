"""What a request asks for: fields of the query and of a strict JSON body. A field that is not known is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from holdfast.errors import UsageError, excerpt, nearest

LOCATION_FIELDS = ("filename", "filepath", "data_path", "dataset_path")
"""The names under which a file location may come: those that client scripts of this course use."""

LARGEST_BODY = 64 << 10
"""Bytes. A location needs far less."""

EXAMPLE = 'like {"filename": "testdata.csv"}'


def location_in(request: Request) -> str | None:
    """The file location that a request names, or None when it names none.

    Raises UsageError for a location that is not text, for two different ones, and as `fields_in` does.
    """
    found = set()
    for name, value in fields_in(request, LOCATION_FIELDS):
        if not isinstance(value, str):
            raise UsageError(f"'{name}' must be text", column=name, value=json.dumps(value))
        found.add(value)
    if len(found) > 1:
        raise UsageError("more than one location is given", hint=f"give one of {', '.join(LOCATION_FIELDS)}")
    return found.pop() if found else None


def fields_in(request: Request, known: Sequence[str]) -> list[tuple[str, Any]]:
    """Every field of the query, then of the body, with its value.

    Raises UsageError for a field that is not `known` and for a body that is not one strict JSON object;
    UnsupportedMediaType for a body that is not declared as JSON; RequestEntityTooLarge above LARGEST_BODY.
    """
    fields = [*_query(request), *_body(request).items()]
    for name, _ in fields:
        if name not in known:
            raise UsageError("unknown field", column=excerpt(name), hint=_what_is_known(name, known))
    return fields


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that `body` holds, read strictly.

    Raises UsageError for anything but UTF-8, for a key given twice, for NaN, infinities and numbers beyond a float,
    for nesting too deep to follow, and for JSON that is no object.

    >>> parse_object(b'{"filename": "testdata.csv"}')
    {'filename': 'testdata.csv'}
    """
    try:
        data = json.loads(
            body.decode(),
            object_pairs_hook=_without_repetition,
            parse_constant=_refuse_number,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        raise UsageError("the body is not UTF-8 text") from None
    except RecursionError:
        raise UsageError("the body is nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"the body is not JSON: {_reason(error)}", hint=EXAMPLE) from None
    if not isinstance(data, dict):
        raise UsageError("the body is not a JSON object", hint=EXAMPLE)
    return data


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')}, at character {error.pos + 1}"
    return "a number with too many digits"


def _query(request: Request) -> Iterable[tuple[str, str]]:
    try:
        return request.args.items(multi=True)
    except UnicodeDecodeError:
        raise UsageError("the query is not UTF-8 text") from None


def _body(request: Request) -> dict[str, Any]:
    body = request.get_data()
    if not body:
        return {}
    if len(body) > LARGEST_BODY:  # without a length in its header, a body is cut off behind the limit
        raise RequestEntityTooLarge
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("a body must be JSON: Content-Type: application/json, in UTF-8")
    return parse_object(body)


def _what_is_known(name: str, known: Sequence[str]) -> str:
    if not known:
        return "this endpoint takes no fields"
    close = nearest(name, known)
    return f"did you mean '{close}'?" if close else f"known fields: {', '.join(known)}"


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError("this key is given twice", column=excerpt(name))
        found[name] = value
    return found


def _refuse_number(text: str) -> NoReturn:
    raise UsageError("not a finite number", value=text)


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        _refuse_number(text)
    return value
