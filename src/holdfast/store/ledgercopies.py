"""Copies of the ledger that somebody made, as backups are: known by what is in them, and cleaned where they lie."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from holdfast.errors import CannotWrite, NotPermitted
from holdfast.store.custody import SPOKEN
from holdfast.store.database import LONGEST_WAIT

SQLITE = b"SQLite format 3\0"
TABLES = frozenset({"alembic_version", "runs", "deliveries", "models", "assessments"})
"""Tables that every ledger has, whatever its version."""


def is_ledger(path: Path) -> bool:
    """True if a file is a ledger, of whatever version and name; False for what cannot be read."""
    try:
        with path.open("rb") as stream:
            if stream.read(len(SQLITE)) != SQLITE:
                return False
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database:
            return set(_tables(database)) >= TABLES
    except (OSError, sqlite3.Error):
        return False


def copies_beside(file: Path) -> tuple[Path, ...]:
    """The files in the ledger's folder, and in the one above, that are ledgers too, the latest first."""
    folders = (file.parent, file.parent.parent)
    lying = [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_file()]
    copies = [path for path in lying if path != file and is_ledger(path)]
    return tuple(sorted(copies, key=lambda path: path.stat().st_mtime, reverse=True))


def redact_copy(path: Path, redacted: Callable[[str, int | None], str]) -> int:
    """Let `redacted` rewrite every text of a copy that may mention a client, as `Custody.redact` does in the ledger.

    Returns how many texts changed; none of the old ones is left in the file or in a log beside it. The copy keeps the
    tables of the version that wrote it. Raises NotPermitted for a copy that may not be changed, CannotWrite where
    SQLite cannot do it, as for a damaged one.
    """
    if not os.access(path, os.W_OK):
        raise NotPermitted("cannot write: Permission denied", file=str(path))
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=LONGEST_WAIT)) as database:
            database.execute("PRAGMA secure_delete = ON")
            database.execute("BEGIN IMMEDIATE")
            count = sum(_redact_table(database, table, redacted) for table in list(_tables(database)))
            database.execute("COMMIT" if count else "ROLLBACK")
            if count:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return count
    except sqlite3.Error as error:
        raise CannotWrite(f"this copy of the ledger cannot be cleaned: {error}", file=str(path)) from error


def _redact_table(database: sqlite3.Connection, table: str, redacted: Callable[[str, int | None], str]) -> int:
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
    count = 0
    for column in (name for name in SPOKEN if name in columns):
        row_of = "delivery" if (table, column) == ("quarantine_acts", "text") else "NULL"
        is_text = f"typeof({column}) = 'text'"
        query = f"SELECT rowid, {column}, {row_of} FROM {table} WHERE {is_text}"  # noqa: S608 - our names
        found = ((row, text, redacted(text, delivery)) for row, text, delivery in database.execute(query))
        changed = [(new, row) for row, text, new in found if new != text]
        database.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", changed)  # noqa: S608 - our names
        count += len(changed)
    return count


def _tables(database: sqlite3.Connection) -> Iterator[str]:
    """The tables that are named like ours: a name is part of a statement."""
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
        if name.replace("_", "").isalpha() and not name.startswith("sqlite_"):
            yield name
