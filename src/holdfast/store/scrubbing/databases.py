"""One client in SQLite databases: the values that mention it, and the remains of deleted ones."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from holdfast.store.copies import folder_for_copies
from holdfast.store.scrubbing.kinds import BEGINNING, Opaque, kind_of
from holdfast.store.scrubbing.mention import Erasure, Mention

LOGS = ("-wal", "-shm", "-journal")
"""What SQLite adds to a database's name for the files that it keeps beside it."""

Value = bytes | int | float | None


def database_mentions(path: Path, erasure: Erasure) -> bool:
    """True if a value of an SQLite database mentions the client, or deleted rows may.

    A text is looked at like a file of its kind: JSON by its strings, others by their words and fields. A whole number
    mentions the client where it equals the id, if the id is no short number or the column is one of clients.

    Rows are stored with nothing between their values, so deleted ones are found by comparing: characters of the id
    that occur more often in the file than in a copy that holds the live rows alone are remains. A short number is
    not looked for among remains, where its digits occur by chance.
    """
    mention = erasure.mention
    with path.open("rb") as stream:
        occurrences = 0 if mention.is_short_number else mention.count(stream)
    try:
        with _opened(path, erasure.copies) as database:
            if any(_mentions(name, value, mention, erasure.columns) for name, value in _values(database)):
                return True
            return bool(occurrences) and occurrences > _live_occurrences(database, erasure)
    except sqlite3.Error as error:
        if mention.is_short_number:
            hint = "look at it yourself, and remove it if it is not needed"
            raise Opaque(f"this database cannot be looked through: {error}", file=str(path), hint=hint) from error
        return occurrences > 0  # it cannot be understood, so every occurrence counts


def database_of_log(path: Path) -> Path | None:
    """The database beside a file that SQLite keeps for it, if that is there."""
    names = (path.name.removesuffix(ending) for ending in LOGS if path.name.endswith(ending))
    found = (path.with_name(name) for name in names)
    return next((database for database in found if database.is_file()), None)


@contextmanager
def _opened(path: Path, copies: Path | None) -> Iterator[sqlite3.Connection]:
    """The database as it lies there, with what its log holds: opening it in the usual way would change files."""
    log = path.with_name(f"{path.name}-wal")
    if not log.is_file() or not log.stat().st_size:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database:
            yield database
        return
    with folder_for_copies(copies) as folder:
        for file, name in ((path, "copy"), (log, "copy-wal")):
            shutil.copyfile(file, folder / name)
        with closing(sqlite3.connect(folder / "copy")) as database:
            yield database


def text_mentions(text: bytes, mention: Mention) -> bool:
    """True if a text that stands by itself, as in a cell of a database, mentions the client."""
    return mention.in_stream(io.BytesIO(text), json=kind_of(text[:BEGINNING]) == "json")


def _mentions(name: str, value: Value, mention: Mention, columns: frozenset[str]) -> bool:
    if isinstance(value, bytes):
        return text_mentions(value, mention)
    is_id = name in columns or not mention.is_short_number
    return is_id and isinstance(value, int) and str(value) == mention.client


def _live_occurrences(database: sqlite3.Connection, erasure: Erasure) -> int:
    database.execute("PRAGMA secure_delete = ON")  # else the copy has remains of its own
    with folder_for_copies(erasure.copies) as folder:
        copy = folder / "live.sqlite"
        database.execute("VACUUM INTO ?", (str(copy),))
        with copy.open("rb") as stream:
            return erasure.mention.count(stream)


def _values(database: sqlite3.Connection) -> Iterator[tuple[str, Value]]:
    database.text_factory = bytes
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in [(b"sqlite_master",), *tables]:
        quoted = table.decode().replace('"', '""')
        rows = database.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - quoted
        names = [column for column, *_ in rows.description]
        for row in rows:
            yield from zip(names, row, strict=True)
