"""The client table: its columns, their roles, types, bounds and labels. The brief's table is the default."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from holdfast.errors import ConfigurationError, nearest

Role = Literal["client", "target", "time", "value", "feature", "ignored"]
Type = Literal["text", "integer", "number", "category", "date", "label"]

ROWS_AS_CLIENTS = "client"
"""Name of the client column in a table that has none: each row is then a client of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: what it means (role), how its text is read (type), and which values are refused."""

    name: str
    role: Role
    type: Type
    minimum: float | None = None
    maximum: float | None = None
    missing_allowed: bool = False
    exited: str = "1"
    stayed: str = "0"

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
        """SHA-256 of the schema; data taken in under another schema is another dataset."""
        text = json.dumps(
            [[getattr(c, field) for field in Column.__dataclass_fields__] for c in self.columns] + [self.client_in_file]
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def _only(self, role: Role) -> Column:
        return next(c for c in self.columns if c.role == role)


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

SCHEMA_KEYS = ("client", "target", "time", "value", "features", "ignored")
TARGET_KEYS = ("column", "exited", "stayed")
FEATURE_KEYS = ("type", "minimum", "maximum", "missing_allowed")
FEATURE_TYPES = ("integer", "number", "category")
RESERVED = ("_delivery", "_line")
"""Names of the columns that say where a row came from."""


def schema_from_json(data: object) -> Schema:
    """The schema that the `schema` key of config.json describes.

    Raises ConfigurationError, naming the key at fault and the nearest known one.

    >>> table = {"client": "id", "target": {"column": "left", "exited": "yes", "stayed": "no"},
    ...          "features": {"visits": {"type": "integer"}}}
    >>> schema_from_json(table).names
    ('id', 'visits', 'left')
    """
    keys = _mapping(data, "schema", SCHEMA_KEYS)
    for required in ("target", "features"):
        if required not in keys:
            raise ConfigurationError(f"the key 'schema' has no '{required}'", column=required)
    client = keys.get("client")
    columns = [
        Column(
            name=ROWS_AS_CLIENTS if client is None else _text(client, "schema.client"),
            role="client",
            type="text",
        )
    ]
    if keys.get("time") is not None:
        columns.append(Column(name=_text(keys["time"], "schema.time"), role="time", type="date"))
    if keys.get("value") is not None:
        value = _text(keys["value"], "schema.value")
        columns.append(Column(name=value, role="value", type="number", missing_allowed=True))
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
    roles = {column.role: column.name for column in schema.columns}
    target = schema.target
    data: dict[str, Any] = {
        "client": schema.client.name if schema.client_in_file else None,
        "target": {"column": target.name, "exited": target.exited, "stayed": target.stayed},
    }
    data |= {role: roles[role] for role in ("time", "value") if role in roles}
    data["features"] = {c.name: _rules(c) for c in schema.columns if c.role == "feature"}
    ignored = [c.name for c in schema.columns if c.role == "ignored"]
    return data | ({"ignored": ignored} if ignored else {})


def _rules(column: Column) -> dict[str, Any]:
    rules = {
        "type": column.type,
        "minimum": column.minimum,
        "maximum": column.maximum,
        "missing_allowed": column.missing_allowed or None,
    }
    return {key: value for key, value in rules.items() if value is not None}


def _feature(name: str, rules: object) -> Column:
    given = _mapping(rules, f"schema.features.{name}", FEATURE_KEYS)
    kind = given.get("type", "number")
    if kind not in FEATURE_TYPES:
        raise ConfigurationError(
            f"type {kind!r} is not one of {', '.join(FEATURE_TYPES)}",
            column=name,
            hint=_did_you_mean(str(kind), FEATURE_TYPES),
        )
    minimum, maximum = (_bound(given.get(bound), bound, name, kind) for bound in ("minimum", "maximum"))
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ConfigurationError(f"the minimum {minimum} is above the maximum {maximum}", column=name)
    missing_allowed = given.get("missing_allowed", False)
    if not isinstance(missing_allowed, bool):
        raise ConfigurationError(f"missing_allowed must be true or false, found {missing_allowed!r}", column=name)
    return Column(
        name=_text(name, "schema.features"),
        role="feature",
        type=kind,
        minimum=minimum,
        maximum=maximum,
        missing_allowed=missing_allowed,
    )


def _bound(value: object, bound: str, column: str, kind: str) -> float | None:
    if value is None:
        return None
    if kind == "category":
        raise ConfigurationError(f"a category has no {bound}", column=column)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ConfigurationError(f"{bound} must be a number, found {value!r:.40}", column=column)
    return value


def _target(data: object) -> Column:
    if isinstance(data, str):
        return Column(name=data, role="target", type="label", missing_allowed=True)
    given = _mapping(data, "schema.target", TARGET_KEYS)
    if "column" not in given:
        raise ConfigurationError("'schema.target' has no 'column'", column="target")
    exited, stayed = (_label(given.get(label, default), label) for label, default in (("exited", "1"), ("stayed", "0")))
    if exited == stayed:
        raise ConfigurationError("'exited' and 'stayed' are the same label", column="target", value=exited)
    name = _text(given["column"], "schema.target.column")
    return Column(name=name, role="target", type="label", missing_allowed=True, exited=exited, stayed=stayed)


def _label(value: object, key: str) -> str:
    if not isinstance(value, str | int):
        raise ConfigurationError(f"'schema.target.{key}' must be a text or a whole number, found {value!r}", column=key)
    return str(value)


def _mapping(data: object, key: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"'{key}' must be an object with the keys {', '.join(known)}", column=key)
    for name in data:
        if name not in known:
            raise ConfigurationError(f"unknown key '{key}.{name}'", column=name, hint=_did_you_mean(name, known))
    return data


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"'{key}' must be a column name, found {value!r}", column=key)
    return value


def _did_you_mean(word: str, choices: tuple[str, ...]) -> str:
    close = nearest(word, choices)
    return f"did you mean '{close}'?" if close else f"known: {', '.join(choices)}"
