"""The ledger's SQLite file: opened, brought up to date, read and written one transaction at a time."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from holdfast.errors import Busy, CannotWrite, ConfigurationError, InputOutputError, from_os_error
from holdfast.records import to_json
from holdfast.store import migrations

Row = sa.Row[Any]
PRIMARY = 0xFF
"""The part of SQLite's error codes that says what went wrong; the rest says where."""
UNWRITABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
NO_ROOM = "free some disk space, then run again"
LONGEST_WAIT = 10
"""Seconds that a command waits for another one to finish writing."""
A_MOMENT = 0.02
COPIES_TRIED = 5


class Database:
    """One open database; use as a context manager. Without a file it is an empty one in memory.

    `read_only`: neither made, nor brought up to date, nor changed; whoever may read the file and its folder can.
    """

    def __init__(self, file: Path | None, *, read_only: bool = False) -> None:
        self._file = file
        self._engine = _engine_to_read(file) if file and read_only else _engine_to_write(file)
        try:
            with self._database_errors():
                if not (file and read_only):
                    migrations.upgrade(self._engine)
                elif not migrations.is_made(self._engine):
                    self.close()
                    self._engine = _engine_to_write(None)
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
        except migrations.OlderLedger as older:
            hint = "holdfast ingest brings it up to date; whoever may write in this folder can run it"
            raise ConfigurationError(str(older), file=str(self._file), hint=hint) from None
        except sa.exc.DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & PRIMARY
            kind = CannotWrite if code in UNWRITABLE else InputOutputError
            step = NO_ROOM if code == sqlite3.SQLITE_FULL else _way_back(self._file) if code in DAMAGED else None
            raise kind(f"the ledger: {error.orig}", file=str(self._file), hint=step) from error


def json_text(record: object) -> str:
    """A record as the text of its JSON form."""
    return json.dumps(to_json(record))


def _way_back(file: Path | None) -> str | None:
    """What to do about a damaged ledger: put a copy back, or do without what only it knew."""
    from holdfast.store.ledgercopies import copies_beside

    if file is None:
        return None
    name, copies = file.name, copies_beside(file)
    if copies:
        beside = f"and delete {name}-wal and {name}-shm, if they are there"
        told = ", ".join(map(str, copies))
        return f"copy one of them over {name}, {beside}; then run holdfast ingest. Copies of the ledger: {told}"
    lost = "models, scores and what was done to refused rows are not known then"
    return (
        f"put a backup of {name} back; or move it away and run holdfast ingest, which learns from the dataset: {lost}"
    )


def _engine_to_write(file: Path | None) -> sa.Engine:
    engine = sa.create_engine(sa.URL.create("sqlite", database=None if file is None else str(file)))
    sa.event.listen(engine, "connect", _make_durable)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _engine_to_read(file: Path) -> sa.Engine:
    try:
        file.open("rb").close()
    except OSError as error:
        raise from_os_error(error, "read", str(file)) from None
    engine = sa.create_engine("sqlite://", creator=lambda: _connection_to_read(file), poolclass=sa.QueuePool)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _connection_to_read(file: Path) -> sqlite3.Connection:
    """The file, which SQLite reads with a log beside it; or a copy in memory, for who may not write beside it."""
    for _ in range(COPIES_TRIED):
        try:
            return _that_only_reads(file, "mode=rw")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY not in UNWRITABLE:
                raise
        copy = _copy_in_memory(file)
        if copy:
            return copy
        time.sleep(A_MOMENT)
    message = "what was written last is not in it yet, but in a log beside it that only a writer can merge"
    hint = "let somebody who may write in this folder run: holdfast status"
    raise InputOutputError(message, file=str(file), hint=hint)


def _copy_in_memory(file: Path) -> sqlite3.Connection | None:
    """None if the file was changed meanwhile, or if something is in a log that SQLite would have had to merge."""
    log, before = file.with_name(f"{file.name}-wal"), file.stat()
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        with closing(_that_only_reads(file, "immutable=1")) as source:
            source.backup(copy)
    except BaseException:
        copy.close()
        raise
    after = file.stat()
    if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size) and not _holds_something(log):
        return copy
    copy.close()
    return None


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _that_only_reads(file: Path, how: str) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=LONGEST_WAIT)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


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
