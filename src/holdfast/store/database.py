"""The ledger's SQLite file: opened, brought up to date, read and written one transaction at a time."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from holdfast.errors import Busy, CannotWrite, ConfigurationError, InputOutputError
from holdfast.records import to_json
from holdfast.store import migrations

Row = sa.Row[Any]
PRIMARY = 0xFF
"""The part of SQLite's error codes that says what went wrong; the rest says where."""
UNWRITABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
LONGEST_WAIT = 10
"""Seconds that a command waits for another one to finish writing."""
A_MOMENT = 0.02


class Database:
    """One open database; use as a context manager. Without a file it is an empty one in memory."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._engine = sa.create_engine(sa.URL.create("sqlite", database=None if file is None else str(file)))
        sa.event.listen(self._engine, "connect", _make_durable)
        sa.event.listen(self._engine, "begin", _begin)
        try:
            with self._database_errors():
                migrations.upgrade(self._engine)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._engine.dispose()

    def _rows(self, query: sa.Executable, values: Mapping[str, Any] | None = None) -> Sequence[Row]:
        with self._database_errors(), self._engine.connect() as connection:
            return connection.execute(query, values).all()

    def _write(self, statement: sa.Insert | sa.Update, rows: Sequence[dict[str, Any]] | None = None) -> None:
        with self._database_errors(), self._engine.begin() as connection:
            connection.execute(statement, rows)

    def _forget_deleted_pages(self) -> None:
        """Write the file anew, so that nothing that was deleted or overwritten is left in it or beside it.

        Raises Busy when another process has been reading for so long that something may be left.
        """
        with self._database_errors(), self._engine.connect() as connection:
            driver = connection.connection.driver_connection
            if driver is not None:
                driver.execute("ROLLBACK") if driver.in_transaction else None
                driver.execute("VACUUM")
                if driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                    message = "another process is reading the ledger: what was removed may still lie beside it"
                    raise Busy(message, file=str(self._file), hint="stop it, then run the same command again")

    @contextmanager
    def _database_errors(self) -> Iterator[None]:
        try:
            yield
        except migrations.NewerLedger as newer:
            hint = "use the Holdfast version that wrote it, or a newer one"
            raise ConfigurationError(str(newer), file=str(self._file), hint=hint) from None
        except sa.exc.DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & PRIMARY
            kind = CannotWrite if code in UNWRITABLE else InputOutputError
            raise kind(f"the ledger: {error.orig}", file=str(self._file)) from error


def json_text(record: object) -> str:
    """A record as the text of its JSON form."""
    return json.dumps(to_json(record))


def _make_durable(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # `_begin` begins: Python would leave CREATE TABLE outside the transaction
    for pragma in (
        f"busy_timeout = {1000 * LONGEST_WAIT}",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
    _let_readers_read(connection)


def _let_readers_read(connection: Any) -> None:
    """Change to write-ahead logging, which SQLite does not wait for when many open a new file at once."""
    give_up = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(A_MOMENT)
        else:
            return


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")
