"""What the errors of database drivers mean, whichever database they come from, and what to do about each."""

from __future__ import annotations

import re
from typing import Literal

from holdfast.errors import (
    ConfigurationError,
    FileRefused,
    HoldfastError,
    NotPermitted,
    SourceUnreachable,
    printable,
)
from holdfast.sourcelist import DatabaseSource

Meaning = Literal[
    "driver",
    "sign-in",
    "permission",
    "database",
    "missing",
    "statement",
    "locked",
    "late",
    "value",
    "damaged",
    "lost",
    "broken off",
]

LONGEST_DETAIL = 300

# By SQLSTATE, or by its class, the first two characters: PostgreSQL's are the finer ones.
STATES: dict[str, Meaning] = {
    "22": "value",
    "25006": "statement",
    "25P03": "late",
    "28": "sign-in",
    "3D": "database",
    "3F": "missing",
    "40": "locked",
    "42": "statement",
    "42501": "permission",
    "42P01": "missing",
    "55P03": "locked",
    "57014": "late",
    "XX001": "damaged",
    "XX002": "damaged",
}
MYSQL: dict[int, Meaning] = {
    1044: "permission",
    1045: "sign-in",
    1049: "database",
    1054: "statement",
    1142: "permission",
    1143: "permission",
    1146: "missing",
    1205: "locked",
    1213: "locked",
    1227: "permission",
    1356: "permission",
    1370: "permission",
    1698: "sign-in",
    1969: "late",
    3024: "late",
}
SQLITE: dict[int, Meaning] = {
    1: "statement",
    3: "permission",
    5: "locked",
    6: "locked",
    9: "late",
    11: "damaged",
    14: "database",
    23: "permission",
    26: "damaged",
}
# Where a driver hands on no code. The wording is the server's, in its language: another one counts as unreachable.
WORDINGS: tuple[tuple[str, Meaning], ...] = (
    (
        r"authentication failed|no password supplied|no pg_hba\.conf entry|role .* (does not exist|not permitted)",
        "sign-in",
    ),
    (r"permission denied", "permission"),
    (r"database .* does not exist", "database"),
    (r"no such table", "missing"),
    (r"decode to UTF-8", "value"),
    (r"package is required", "driver"),
)
# By the classes of Python and of PEP 249, for what is left.
CLASSES: dict[str, Meaning] = {
    "ImportError": "driver",
    "UnicodeError": "value",
    "DataError": "value",
    "ProgrammingError": "statement",
    "NotSupportedError": "statement",
}


EXTRAS = {"postgresql": "postgres", "mysql": "mysql"}
"""Of Holdfast, by the database that they are for."""


class ReadingInterrupted(SourceUnreachable):
    """A reading broke off although the database had answered; reading once more, from the start, may succeed."""


ANSWERS: dict[Meaning, tuple[type[HoldfastError], str, str]] = {
    "driver": (
        ConfigurationError,
        "a package that this database needs is not installed",
        "install it: pip install 'holdfast[{extra}]'",
    ),
    "sign-in": (
        NotPermitted,
        "the database does not let this user in",
        "check the user in the URL, and the password in the variable that 'password_from' names",
    ),
    "permission": (NotPermitted, "{what} may not be read by this user", "let the user SELECT from it"),
    "database": (ConfigurationError, "this database cannot be opened", "check the URL"),
    "missing": (ConfigurationError, "{what} does not exist", "check its name, and the schema before it"),
    "statement": (
        ConfigurationError,
        "{what} cannot be read",
        "a query has to be one SELECT statement, as this database understands it",
    ),
    "locked": (ReadingInterrupted, "{what} is locked", "try again when others are done with it"),
    "late": (
        SourceUnreachable,
        "{what} was not read within {seconds:g} seconds, so reading was cut off",
        "allow more 'seconds', or let a 'watermark' with an index leave less to read",
    ),
    "value": (FileRefused, "{what} holds a value that cannot be read", "cast its column to text in a 'query'"),
    "damaged": (FileRefused, "the database is damaged", "restore it; nothing of it was taken"),
    "broken off": (ReadingInterrupted, "the connection broke off while {what} was read", "try again"),
    "lost": (SourceUnreachable, "the database does not answer", "check that it runs, and the host and port in the URL"),
}


def fault(meaning: Meaning, detail: str, source: DatabaseSource, kind: str) -> HoldfastError:
    """The error to raise for `source`, a database of the `kind` postgresql, mysql or sqlite; `detail` is the driver's.

    >>> source = DatabaseSource(name="crm", table="clients")
    >>> str(fault("permission", "permission denied for table clients", source, "postgresql")).splitlines()[0]
    "crm: the table 'clients' may not be read by this user: permission denied for table clients"
    """
    error, message, hint = ANSWERS[meaning]
    what = f"the table '{printable(source.table)}'" if source.table else "the query"
    text = message.format(what=what, seconds=source.seconds)
    hint = hint.format(extra=EXTRAS.get(kind, kind))
    return error(f"{text}: {detail}" if detail else text, file=source.name, hint=hint)


def meaning_of(error: BaseException) -> Meaning:
    """What an error of psycopg, PyMySQL or sqlite3 means, by its code where it has one.

    >>> import sqlite3
    >>> meaning_of(sqlite3.ProgrammingError("wrong number of bindings"))
    'statement'
    """
    number, state = error.args[0] if error.args else None, getattr(error, "sqlstate", None)
    if isinstance(number, int) and number in MYSQL:
        return MYSQL[number]
    if isinstance(state, str):
        return STATES.get(state) or STATES.get(state[:2]) or _by_class(error)
    for pattern, meaning in WORDINGS:
        if re.search(pattern, str(error)):
            return meaning
    code = getattr(error, "sqlite_errorcode", None)
    return (SQLITE.get(code & 0xFF) if isinstance(code, int) else None) or _by_class(error)


def _by_class(error: BaseException) -> Meaning:
    names = [base.__name__ for base in type(error).__mro__]
    return next((meaning for name, meaning in CLASSES.items() if name in names), "lost")


def detail_of(error: BaseException) -> str:
    """The first line of the driver's own words.

    >>> detail_of(Exception(1045, "Access denied"))
    'Access denied'
    """
    lines = str(error.args[-1] if error.args else "").strip().splitlines()
    text = printable(lines[0]) if lines else type(error).__name__
    return text if len(text) <= LONGEST_DETAIL else text[: LONGEST_DETAIL - 1] + "…"
