"""The client table: its columns, their roles, types, bounds and labels. The brief's table is the default."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, TypeGuard

from holdfast.errors import ConfigurationError, nearest

Role = Literal["client", "target", "time", "value", "feature", "ignored"]
Type = Literal["text", "integer", "number", "category", "date", "label"]

ROWS_AS_CLIENTS = "client"
"""Name of the client column in a table that has none: each row is then a client of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: what it means (role), how its text is read (type), what it is measured in, which values are refused.

    `minimum`, `maximum`: of a number. `earliest`, `latest`: of a date, like 2026-01-31. `categories`: all that a
    category can be; empty: any text. `exited`, `stayed`: the two labels of the target.
    """

    name: str
    role: Role
    type: Type
    minimum: float | None = None
    maximum: float | None = None
    missing_allowed: bool = False
    exited: str = "1"
    stayed: str = "0"
    unit: str | None = None
    categories: tuple[str, ...] = ()
    earliest: str | None = None
    latest: str | None = None

    @property
    def is_numeric(self) -> bool:
        """True for integer and number columns."""
        return self.type in {"integer", "number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns of the client table, in order. `client_in_file` is False when rows carry no client id."""

    columns: tuple[Column, ...]
    client_in_file: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """All column names, in the order of finaldata.csv."""
        return tuple(column.name for column in self.columns)

    @property
    def delivered(self) -> tuple[Column, ...]:
        """The columns that a delivered file has to have."""
        return tuple(c for c in self.columns if self.client_in_file or c.role != "client")

    @property
    def client(self) -> Column:
        """The column that tells clients apart."""
        return self._only("client")

    @property
    def target(self) -> Column:
        """The column that says whether the client exited (1) or stayed (0)."""
        return self._only("target")

    @property
    def time(self) -> Column | None:
        """The column that dates a row, if there is one."""
        return next((c for c in self.columns if c.role == "time"), None)

    @property
    def features(self) -> tuple[Column, ...]:
        """The numeric features, in the order in which the model sees them."""
        return tuple(c for c in self.columns if c.role in {"feature", "value"} and c.is_numeric)

    @property
    def categories(self) -> tuple[Column, ...]:
        """The categorical features: kept in the dataset; the logistic model does not use them."""
        return tuple(c for c in self.columns if c.role == "feature" and c.type == "category")

    @property
    def numeric(self) -> tuple[Column, ...]:
        """The columns that summary statistics are made of."""
        return tuple(c for c in self.columns if c.is_numeric)

    @property
    def digest(self) -> str:
        """SHA-256 of what decides how rows are read: data taken in under another one is another dataset.

        A unit decides nothing of that.
        """
        text = json.dumps([*(_identity(column) for column in self.columns), self.client_in_file])
        return hashlib.sha256(text.encode()).hexdigest()

    def _only(self, role: Role) -> Column:
        return next(c for c in self.columns if c.role == role)


def _identity(column: Column) -> list[object]:
    """What the digest is made of. What was added to schemas later counts only where it is used."""
    first = ("name", "role", "type", "minimum", "maximum", "missing_allowed", "exited", "stayed")
    later = {field: getattr(column, field) for field in ("categories", "earliest", "latest")}
    used = {field: value for field, value in later.items() if value}
    return [*(getattr(column, field) for field in first), *([used] if used else [])]


BRIEF_SCHEMA = Schema(
    columns=(
        Column(name="corporation", role="client", type="text"),
        Column(name="lastmonth_activity", role="feature", type="integer", minimum=0),
        Column(name="lastyear_activity", role="feature", type="integer", minimum=0),
        Column(name="number_of_employees", role="feature", type="integer", minimum=0),
        Column(name="exited", role="target", type="label", missing_allowed=True),
    )
)
"""The brief's five columns."""


def is_the_briefs(schema: Schema) -> bool:
    """True if the brief's own schema takes every cell that this one takes, but for values out of bounds.

    >>> is_the_briefs(BRIEF_SCHEMA)
    True
    """
    brief = {column.name: column for column in BRIEF_SCHEMA.columns}
    target = schema.target
    return (
        set(schema.names) == set(brief)
        and all((c.role, c.type) == (brief[c.name].role, brief[c.name].type) for c in schema.columns)
        and not any(column.missing_allowed for column in schema.features)
        and (target.exited, target.stayed) == ("1", "0")
    )


SCHEMA_KEYS = ("client", "target", "time", "value", "features", "ignored")
TARGET_KEYS = ("column", "exited", "stayed")
TIME_KEYS = ("column", "earliest", "latest")
FEATURE_KEYS = ("type", "unit", "minimum", "maximum", "categories", "missing_allowed")
VALUE_KEYS = ("column", "type", "unit", "minimum", "maximum", "missing_allowed")
FEATURE_TYPES: tuple[Type, ...] = ("integer", "number", "category")
VALUE_TYPES: tuple[Type, ...] = ("integer", "number")
DELIVERY, LINE = "_delivery", "_line"
RESERVED = (DELIVERY, LINE, "_first_delivery", "_first_line")
"""Names of the columns that say where a row came from."""


def schema_from_json(data: object) -> Schema:
    """The schema that the `schema` key of config.json describes.

    Raises ConfigurationError, naming the key at fault and the nearest known one.

    >>> table = {"client": "id", "target": {"column": "left", "exited": "yes", "stayed": "no"},
    ...          "features": {"visits": {"type": "integer", "unit": "visits a month"}}}
    >>> schema_from_json(table).names
    ('id', 'visits', 'left')
    """
    keys = _mapping(data, "schema", SCHEMA_KEYS)
    for required in ("target", "features"):
        if required not in keys:
            raise ConfigurationError(f"the key 'schema' has no '{required}'", column=required)
    client = keys.get("client")
    name = ROWS_AS_CLIENTS if client is None else _text(client, "schema.client")
    columns = [Column(name=name, role="client", type="text")]
    if keys.get("time") is not None:
        columns.append(_time(keys["time"]))
    if keys.get("value") is not None:
        columns.append(_value(keys["value"]))
    features = keys["features"]
    if not isinstance(features, Mapping) or not features:
        raise ConfigurationError("'schema.features' must name at least one column", column="features")
    columns += [_feature(name, rules) for name, rules in features.items()]
    ignored = keys.get("ignored", [])
    if not isinstance(ignored, list | tuple):
        raise ConfigurationError(
            f"'schema.ignored' must be a list of column names, found {ignored!r}", column="ignored"
        )
    columns += [
        Column(name=_text(name, "schema.ignored"), role="ignored", type="text", missing_allowed=True)
        for name in ignored
    ]
    columns.append(_target(keys["target"]))
    _refuse_twins([column.name for column in columns])
    return Schema(columns=tuple(columns), client_in_file=client is not None)


def _refuse_twins(names: Sequence[str]) -> None:
    """Engines tell columns apart by name without regard to case."""
    seen = {name: name for name in RESERVED}
    for name in names:
        twin = seen.setdefault(name.casefold(), name)
        if twin in RESERVED:
            raise ConfigurationError("a column cannot have this name: Holdfast uses it", column=name)
        if twin != name:
            raise ConfigurationError(f"'{twin}' and '{name}' differ only in case", column=name)
        if names.count(name) > 1:
            raise ConfigurationError("this column is named twice in 'schema'", column=name)


def schema_to_json(schema: Schema) -> dict[str, Any]:
    """The inverse of `schema_from_json`: what `holdfast init --from` writes into config.json."""
    target = schema.target
    data: dict[str, Any] = {
        "client": schema.client.name if schema.client_in_file else None,
        "target": {"column": target.name, "exited": target.exited, "stayed": target.stayed},
    }
    for column in schema.columns:
        if column.role in {"time", "value"}:
            rules = _rules(column)
            data[column.role] = {"column": column.name, **rules} if rules else column.name
    data["features"] = {c.name: {"type": c.type, **_rules(c)} for c in schema.columns if c.role == "feature"}
    ignored = [c.name for c in schema.columns if c.role == "ignored"]
    return data | ({"ignored": ignored} if ignored else {})


def _rules(column: Column) -> dict[str, Any]:
    """What the column says that is not usual for its role."""
    usual = Column(name=column.name, role=column.role, type="number", missing_allowed=column.role == "value")
    keys = {"time": TIME_KEYS, "value": VALUE_KEYS}.get(column.role, FEATURE_KEYS[1:])
    given = {key: getattr(column, key) for key in keys if key != "column"}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in given.items()
        if value != getattr(usual, key)
    }


def _time(data: object) -> Column:
    name, given = _described(data, "time", TIME_KEYS)
    earliest, latest = (_day(given.get(key), key, name) for key in ("earliest", "latest"))
    if earliest is not None and latest is not None and earliest > latest:
        raise ConfigurationError(f"earliest {earliest} is after latest {latest}", column=name)
    return Column(name=name, role="time", type="date", earliest=earliest, latest=latest)


def _value(data: object) -> Column:
    name, given = _described(data, "value", VALUE_KEYS)
    kind = _type(given.get("type", "number"), name, VALUE_TYPES)
    return _ruled(Column(name=name, role="value", type=kind, missing_allowed=True), given)


def _feature(name: str, rules: object) -> Column:
    given = _mapping(rules, f"schema.features.{name}", FEATURE_KEYS)
    kind = _type(given.get("type", "category" if "categories" in given else "number"), name, FEATURE_TYPES)
    return _ruled(Column(name=_text(name, "schema.features"), role="feature", type=kind), given)


def _described(data: object, role: str, known: tuple[str, ...]) -> tuple[str, Mapping[str, Any]]:
    """A column by its name alone, or as an object with the key `column` and its rules."""
    if not isinstance(data, Mapping):
        return _text(data, f"schema.{role}"), {}
    given = _mapping(data, f"schema.{role}", known)
    if "column" not in given:
        raise ConfigurationError(f"'schema.{role}' has no 'column'", column=role)
    return _text(given["column"], f"schema.{role}.column"), given


def _type(kind: object, name: str, known: tuple[Type, ...]) -> Type:
    for each in known:
        if kind == each:
            return each
    message = f"type {kind!r} is not one of {', '.join(known)}"
    raise ConfigurationError(message, column=name, hint=_did_you_mean(str(kind), known))


def _ruled(column: Column, given: Mapping[str, Any]) -> Column:
    """The column with the rules that are given, as far as its type has them."""
    for key in given:
        if (key == "categories") if column.is_numeric else (key in {"minimum", "maximum", "unit"}):
            raise ConfigurationError(f"a column of type {column.type} has no {key}", column=column.name)
    minimum, maximum = (_bound(given.get(key), key, column.name) for key in ("minimum", "maximum"))
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ConfigurationError(f"the minimum {minimum} is above the maximum {maximum}", column=column.name)
    missing_allowed = given.get("missing_allowed", column.missing_allowed)
    if not isinstance(missing_allowed, bool):
        message = f"missing_allowed must be true or false, found {missing_allowed!r}"
        raise ConfigurationError(message, column=column.name)
    return replace(
        column,
        minimum=minimum,
        maximum=maximum,
        missing_allowed=missing_allowed,
        unit=_unit(given.get("unit"), column.name),
        categories=_categories(given.get("categories"), column.name),
    )


def _bound(value: object, bound: str, column: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ConfigurationError(f"{bound} must be a number, found {value!r:.40}", column=column)
    return value


def _day(value: object, key: str, column: str) -> str | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise ConfigurationError(f"{key} must be a date like 2026-01-31, found {value!r:.40}", column=column)


def _unit(value: object, column: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and value.strip() and value.isprintable():
        return value
    raise ConfigurationError(f'unit must be a text like "EUR", found {value!r:.40}', column=column)


def _categories(values: object, column: str) -> tuple[str, ...]:
    if values is None:
        return ()
    if not isinstance(values, list | tuple) or not values:
        raise ConfigurationError(f"categories must be a list of texts, found {values!r:.40}", column=column)
    for value in values:
        if not _is_text(value):
            raise ConfigurationError(f"a category must be a text, found {value!r:.40}", column=column)
        if values.count(value) > 1:
            raise ConfigurationError(f"the category {value!r:.40} is named twice", column=column)
    return tuple(values)


def _target(data: object) -> Column:
    name, given = _described(data, "target", TARGET_KEYS)
    exited, stayed = (_label(given.get(label, default), label) for label, default in (("exited", "1"), ("stayed", "0")))
    if exited == stayed:
        raise ConfigurationError("'exited' and 'stayed' are the same label", column="target", value=exited)
    return Column(name=name, role="target", type="label", missing_allowed=True, exited=exited, stayed=stayed)


def _label(value: object, key: str) -> str:
    if isinstance(value, int) or value == "" or _is_text(value):
        return str(value)
    raise ConfigurationError(f"'schema.target.{key}' must be a text or a whole number, found {value!r}", column=key)


def _mapping(data: object, key: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"'{key}' must be an object with the keys {', '.join(known)}", column=key)
    for name in data:
        if name not in known:
            raise ConfigurationError(f"unknown key '{key}.{name}'", column=name, hint=_did_you_mean(name, known))
    return data


def _text(value: object, key: str) -> str:
    if not _is_text(value):
        raise ConfigurationError(f"'{key}' must be a column name, found {value!r}", column=key)
    return value


def _is_text(value: object) -> TypeGuard[str]:
    """True for a text with something in it, and without halves of characters, which JSON can say and no file holds."""
    return isinstance(value, str) and value != "" and not any("\ud800" <= character <= "\udfff" for character in value)


def _did_you_mean(word: str, choices: tuple[str, ...]) -> str:
    close = nearest(word, choices)
    return f"did you mean '{close}'?" if close else f"known: {', '.join(choices)}"
