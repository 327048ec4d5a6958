"""The key `sources` of config.json: the folders and database tables that feed the dataset beside the input folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from holdfast.errors import ConfigurationError, excerpt, nearest

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
PASSWORD_IN_URL = re.compile(r"^[^:]*://[^:/@]*:[^@]+@")
SECRET_NAME = re.compile(r"pass(?!file)|pwd|secret|token|scram_.*_key", re.IGNORECASE)
FOLDER_KEYS = ("name", "folder", "columns", "sheet")
DATABASE_KEYS = (
    "name",
    "database",
    "database_from",
    "password_from",
    "table",
    "query",
    "watermark",
    "overlap",
    "columns",
    "seconds",
    "may_be_empty",
)
DEFAULT_OVERLAP = 3_600
DEFAULT_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """A folder of CSV, Parquet and Excel files. `columns` renames theirs (delivered name, schema's name)."""

    name: str
    folder: str
    columns: tuple[tuple[str, str], ...] = ()
    sheet: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSource:
    """A table or query of a database, by SQLAlchemy URL; secrets are named, never written here.

    `database_from`, `password_from`: environment variables with the URL or the password. `watermark`: a column that
    grows with every change; only rows from `overlap` (seconds, or steps of a whole number) before its last value
    are read again. Without it the whole table is read each time, and replaces what was read before; but not with
    nothing, unless it `may_be_empty`. `seconds`: the longest that one reading may take.
    """

    name: str
    database: str | None = None
    database_from: str | None = None
    password_from: str | None = None
    table: str | None = None
    query: str | None = None
    watermark: str | None = None
    overlap: float = DEFAULT_OVERLAP
    columns: tuple[tuple[str, str], ...] = field(default=())
    seconds: float = DEFAULT_SECONDS
    may_be_empty: bool = False


Source = FolderSource | DatabaseSource


def sources_from_json(data: object) -> tuple[Source, ...]:
    """The sources that the key `sources` names, in order.

    Raises ConfigurationError, naming the source and the key at fault, and the nearest known key.

    >>> sources_from_json([{"name": "branches", "folder": "branches"}])[0].folder
    'branches'
    """
    if not isinstance(data, list | tuple):
        raise ConfigurationError("'sources' must be a list of objects", column="sources")
    sources = tuple(_source(entry, place) for place, entry in enumerate(data, 1))
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two sources are called '{name}'", column="sources")
    return sources


def _source(entry: object, place: int) -> Source:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"source {place} must be an object", column="sources")
    name = entry.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        hint = "lower-case letters, digits, - and _, beginning with a letter"
        raise ConfigurationError(f"source {place} needs a 'name', found {name!r:.40}", column="sources", hint=hint)
    known = FOLDER_KEYS if "folder" in entry else DATABASE_KEYS
    for key in entry:
        if key not in known:
            close = nearest(str(key), known)
            hint = f"did you mean '{close}'?" if close else f"known: {', '.join(known)}"
            raise ConfigurationError(f"source '{name}': unknown key '{key}'", column=str(key), hint=hint)
    return _folder(name, entry) if "folder" in entry else _database(name, entry)


def _folder(name: str, entry: Mapping[str, Any]) -> FolderSource:
    folder = _text(name, entry, "folder")
    if folder is None:
        raise ConfigurationError(f"source '{name}': 'folder' must be the name of a folder", column="folder")
    return FolderSource(name=name, folder=folder, columns=_columns(name, entry), sheet=_text(name, entry, "sheet"))


def _database(name: str, entry: Mapping[str, Any]) -> DatabaseSource:
    texts = {key: _text(name, entry, key) for key in DATABASE_KEYS[1:7]}
    for one, other in (("database", "database_from"), ("table", "query")):
        if (texts[one] is None) == (texts[other] is None):
            hint = "a source is a 'folder', or a 'database' with a 'table' or a 'query'"
            raise ConfigurationError(f"source '{name}' needs either '{one}' or '{other}'", column=one, hint=hint)
    _refuse_secrets(name, texts["database"] or "")
    return DatabaseSource(
        name=name,
        **texts,
        columns=_columns(name, entry),
        overlap=_number(name, entry, "overlap", DEFAULT_OVERLAP, least=0),
        seconds=_number(name, entry, "seconds", DEFAULT_SECONDS, least=1),
        may_be_empty=_truth(name, entry, "may_be_empty"),
    )


def names_a_secret(parameter: str) -> bool:
    """True if a parameter of a database URL is a password or something like it, and not the path of a file with one.

    >>> names_a_secret("sslpassword"), names_a_secret("passfile"), names_a_secret("sslkey")
    (True, False, False)
    """
    return bool(SECRET_NAME.search(parameter))


def _refuse_secrets(name: str, url: str) -> None:
    message = f"source '{name}': a password does not belong in config.json"
    if PASSWORD_IN_URL.search(url):
        hint = "take it out of the URL, set an environment variable, and name that in 'password_from'"
        raise ConfigurationError(message, column="database", hint=hint)
    secrets = [key for key, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True) if names_a_secret(key)]
    if secrets:
        hint = "set an environment variable to the whole URL, and name that in 'database_from' instead of 'database'"
        found = f"{message}; the URL has '{excerpt(secrets[0])}'"
        raise ConfigurationError(found, column="database", hint=hint)


def _text(name: str, entry: Mapping[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip() or "\0" in value):
        raise ConfigurationError(f"source '{name}': '{key}' must be a text, found {value!r:.40}", column=key)
    return value


def _number(name: str, entry: Mapping[str, Any], key: str, default: float, *, least: float) -> float:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise ConfigurationError(f"source '{name}': '{key}' must be a number from {least}", column=key)
    return float(value)


def _truth(name: str, entry: Mapping[str, Any], key: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"source '{name}': '{key}' must be true or false", column=key)
    return value


def _columns(name: str, entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    columns = entry.get("columns", {})
    if not isinstance(columns, Mapping) or not all(isinstance(meant, str) and meant for meant in columns.values()):
        hint = 'like {"Company": "corporation"}: the delivered name, then the name in the schema'
        raise ConfigurationError(f"source '{name}': 'columns' must be an object of texts", column="columns", hint=hint)
    if len(set(columns.values())) < len(columns):
        raise ConfigurationError(f"source '{name}': two columns get the same name", column="columns")
    return tuple(columns.items())
