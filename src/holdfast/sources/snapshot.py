"""One read-only snapshot of a database: how it is opened, how long it may last, and what its failures are called."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, quote_plus

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool

from holdfast.errors import ConfigurationError, HoldfastError, from_os_error, nearest, printable
from holdfast.sourcelist import DatabaseSource, names_a_secret
from holdfast.sources.faults import Meaning, detail_of, fault, meaning_of
from holdfast.sources.fetched import Fetched, Objects
from holdfast.sources.postgresql import EXAMPLES, Copying

CONNECT_SECONDS = 5
LOCK_SECONDS = 2
LONGEST_SECONDS = 2_000_000
"""More than three weeks: about as long as a server can be told to wait."""

DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "sqlite": "sqlite+pysqlite",
}
ISOLATION: dict[str, dict[str, Any]] = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    "mysql": {"isolation_level": "REPEATABLE READ"},
    "sqlite": {"sqlite_raw_colnames": True},
}
SETTINGS = {
    "postgresql": (
        "SET LOCAL DateStyle = 'ISO, YMD'",
        "SET LOCAL extra_float_digits = 3",
        "SET LOCAL statement_timeout = {ms}",
        "SET LOCAL idle_in_transaction_session_timeout = {ms}",
        "SET LOCAL TIME ZONE 'UTC'",
    ),
    "mysql": (
        "SET SESSION net_write_timeout = {seconds}",
        "SET SESSION time_zone = '+00:00'",
        "SET SESSION {timeout}",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
    "sqlite": ("BEGIN",),
}
"""What is said first, with the time that is left."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAddress:
    """Where a database is, as an SQLAlchemy URL, and the password if that is kept elsewhere. Its repr shows neither."""

    url: str = field(repr=False)
    password: str | None = field(default=None, repr=False)


class Snapshot:
    """One read-only transaction, in which everything that is read belongs together, of at most `source.seconds`.

    `kind`: `postgresql`, `mysql` (MariaDB too) or `sqlite`. Opening and reading raise ConfigurationError,
    NotPermitted, FileRefused or SourceUnreachable; ReadingInterrupted where one more attempt is worth it. No message
    holds the password.
    """

    def __init__(self, source: DatabaseSource, address: DatabaseAddress) -> None:
        self._source = source
        self._url = _url_of(address, source.name)
        self._secrets = _secrets_of(self._url)
        self._ends = time.monotonic() + min(source.seconds, LONGEST_SECONDS)
        self._deadline: _Deadline | None = None
        self._driver: Any = None
        self._connection: sa.Connection | None = None
        self._cursor: Any = None
        self._copying: Copying | None = None
        self._types: dict[str, int] = {}  # of PostgreSQL
        self._errors: tuple[type[Exception], ...] = (sa.exc.DBAPIError, ImportError, UnicodeError)
        self.kind = self._url.get_backend_name().replace("mariadb", "mysql")
        try:
            with self._translated():
                self._open()
        except HoldfastError:
            self.close()
            raise

    def columns(self, table: sa.FromClause) -> tuple[str, ...]:
        """The names of a table's columns, in its order."""
        with self._translated():
            result = self._execute(sa.select(sa.text("*")).select_from(table).where(sa.false()))
            if self.kind == "postgresql":
                self._types = {name: cast(int, number) for name, number, *_ in result.cursor.description}
            return tuple(result.keys())

    def first(self, statement: sa.Select[Any]) -> Row | None:
        """The first row of a statement."""
        with self._translated():
            row = self._execute(statement.limit(1)).first()
            return None if row is None else tuple(row)

    def example(self, column: sa.ColumnClause[Any], table: sa.FromClause) -> object:
        """A value of a column's type, None where there is none; the table's `columns` have been read."""
        if self.kind == "postgresql":
            return EXAMPLES.get(self._types[column.name])
        row = self.first(sa.select(column).select_from(table).where(column.is_not(None)))
        return row and row[0]

    def stream(self, statement: sa.Select[Any]) -> Callable[[int], Sequence[Fetched]]:
        """A function that fetches the statement's next rows, so many at most, as columns; none at the end.

        The columns of its table have been read.
        """
        with self._translated():
            rows = self._copied(statement) if self.kind == "postgresql" else self._fetched(statement)

        def fetch(most: int) -> Sequence[Fetched]:
            with self._translated():
                columns = rows(most)
            if self._deadline and self._deadline.passed:
                raise fault("late", "", self._source, self.kind)
            return columns

        return fetch

    def _copied(self, statement: sa.Select[Any]) -> Callable[[int], Sequence[Fetched]]:
        # COPY takes no parameters. Of two styles of them, this one leaves percent signs as they are.
        dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
        query = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        types = [self._types[column.name] for column in statement.selected_columns]
        self._copying = Copying(self._driver, str(query), types)
        return self._copying.fetch

    def _fetched(self, statement: sa.Select[Any]) -> Callable[[int], Sequence[Fetched]]:
        result = self._execute(statement, stream_results=True)
        # SQLAlchemy has fetched one row ahead. Its own rows cost more than all the rest; the others go by them.
        waiting = [tuple(row) for row in result.fetchmany(1)]

        def fetch(most: int) -> Sequence[Fetched]:
            rows = [waiting.pop()] if waiting else []
            if result.cursor and most > len(rows):
                rows += result.cursor.fetchmany(most - len(rows))
            places = range(len(rows[0]) if rows else 0)
            return [Objects([*map(itemgetter(place), rows)], self.kind == "sqlite") for place in places]

        return fetch

    def close(self) -> None:
        """Hang up, which ends the transaction: nothing was written, and nobody waits for rows not yet fetched."""
        if self._deadline:
            self._deadline.cancel()
        if self.kind == "mysql" and self._driver and self._driver._result:
            # PyMySQL reads all remaining rows before it lets go of them, even where the connection is broken.
            self._driver._result.unbuffered_active = False
        if self._connection:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
        if self._copying:
            with contextlib.suppress(*self._errors):
                self._copying.close()
            self._copying = None
        for each in (self._driver, self._cursor):  # SQLAlchemy leaves them open where the connection broke off
            if each:
                with contextlib.suppress(*self._errors):
                    each.close()
        self._driver = self._cursor = None

    def _execute(self, statement: sa.Select[Any], **options: bool) -> sa.CursorResult[Any]:
        assert self._connection  # noqa: S101 - nothing is read from a snapshot that did not open
        return self._connection.execute(statement, execution_options=options)

    def _open(self) -> None:
        engine = sa.create_engine(self._url, poolclass=NullPool, hide_parameters=True)
        dialect = engine.dialect
        self._errors += (dialect.loaded_dbapi.Error,)
        sa.event.listen(engine, "do_connect", self._connect)
        sa.event.listen(engine, "before_cursor_execute", self._remember)
        self._connection = engine.connect().execution_options(**ISOLATION[self.kind])
        seconds = max(1, round(self._ends - time.monotonic()))
        mariadb = getattr(dialect, "is_mariadb", False)
        timeout = f"max_statement_time = {seconds}" if mariadb else f"max_execution_time = {1_000 * seconds}"
        for setting in SETTINGS[self.kind]:
            self._connection.exec_driver_sql(setting.format(seconds=seconds, ms=1_000 * seconds, timeout=timeout))

    def _connect(self, dialect: sa.Dialect, _record: Any, arguments: list[Any], settings: dict[str, Any]) -> Any:
        """The driver's connection, which is cut off when its time is over, whatever it is waiting for."""
        connect = {"postgresql": _to_postgresql, "mysql": _to_mysql, "sqlite": _to_sqlite}[self.kind]
        try:
            self._driver = connect(dialect.loaded_dbapi, arguments, settings)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise self._fault("database", error) from None
        except RuntimeError as error:
            raise self._fault("driver", error) from None
        left = self._ends - time.monotonic()
        self._deadline = _Deadline(left, *_cutter(self._driver, self.kind))
        return self._driver

    def _remember(self, _connection: Any, cursor: Any, *_: Any) -> None:
        self._cursor = cursor

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of SQLAlchemy and of the driver become Holdfast's own."""
        try:
            yield
        except self._errors as error:
            cause = getattr(error, "orig", None) or error
            meaning = meaning_of(cause)
            if self._deadline and self._deadline.passed:
                meaning = "late"
            elif meaning == "lost" and self._connection:
                meaning = "broken off"
            elif meaning == "missing" and not self._source.table:
                meaning = "statement"
            problem = self._fault(meaning, cause)
            if meaning == "missing":
                problem.hint = self._nearest_table(self._source.table or "") or problem.hint
            raise problem from None

    def _fault(self, meaning: Meaning, cause: BaseException) -> HoldfastError:
        detail = detail_of(cause)
        for secret in self._secrets:
            detail = detail.replace(secret, "***")
        return fault(meaning, detail, self._source, self.kind)

    def _nearest_table(self, table: str) -> str | None:
        schema, _, name = table.rpartition(".")
        assert self._connection  # noqa: S101 - a table was looked for
        try:
            self._connection.rollback()
            inspector = sa.inspect(self._connection)
            names = inspector.get_table_names(schema or None) + inspector.get_view_names(schema or None)
        except sa.exc.SQLAlchemyError:  # only a hint depends on it
            return None
        close = nearest(name, names)
        return f"did you mean '{schema}.{close}'?" if close and schema else close and f"did you mean '{close}'?"


class _Deadline:
    """Calls `cut` when the time is over; `passed` tells that it did. `release` is called when no one needs it more."""

    def __init__(self, seconds: float, cut: Callable[[], object], release: Callable[[], object]) -> None:
        self.passed = False
        self._cut = cut
        self._release = release
        self._timer = threading.Timer(max(0, seconds), self._pass)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Let it never pass, or wait until it has."""
        self._timer.cancel()
        self._timer.join()
        self._release()

    def _pass(self) -> None:
        self.passed = True
        with contextlib.suppress(OSError):  # the other side has hung up already
            self._cut()


def _cutter(driver: Any, kind: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """What cuts a connection off from another thread, and what releases that again."""
    if kind == "sqlite":
        return driver.interrupt, lambda: None
    # A handle of its own, since the driver may close its socket at any time.
    descriptor = driver.fileno() if kind == "postgresql" else driver._sock.fileno()
    line = socket.socket(fileno=os.dup(descriptor))
    return functools.partial(line.shutdown, socket.SHUT_RDWR), line.close


def _to_postgresql(driver: Any, arguments: Sequence[Any], settings: dict[str, Any]) -> Any:
    settings |= {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8"}
    return driver.connect(*arguments, **settings)


def _to_mysql(driver: Any, arguments: Sequence[Any], settings: dict[str, Any]) -> Any:
    connection = driver.connect(*arguments, **settings, connect_timeout=CONNECT_SECONDS, defer_connect=True)

    def cut() -> None:
        if connection._sock:
            connection._sock.shutdown(socket.SHUT_RDWR)

    # The driver's own limit ends where the server has been reached; one that then says nothing is waited for.
    deadline = _Deadline(CONNECT_SECONDS, cut, lambda: None)
    try:
        connection.connect()
    finally:
        deadline.cancel()
    return connection


def _to_sqlite(driver: Any, arguments: Sequence[str], _settings: dict[str, Any]) -> Any:
    path = Path(arguments[0])
    return driver.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        timeout=LOCK_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _url_of(address: DatabaseAddress, name: str) -> sa.URL:
    """The URL with the driver that Holdfast uses, and the password."""
    try:
        url = sa.make_url(address.url)
        kind = url.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        url, kind = None, ""
    if url is None or kind not in DRIVERS:
        hint = "like postgresql://user@host/database, mysql://user@host/database or sqlite:///folder/file.db"
        raise ConfigurationError("this is not the URL of a database that can be read", file=name, hint=hint) from None
    if kind == "sqlite":
        _check_file(url.database, name)
    url = url.set(drivername=DRIVERS[kind])
    return url if address.password is None else url.set(password=address.password)


def _check_file(database: str | None, name: str) -> None:
    if not database or database == ":memory:":
        raise ConfigurationError("the URL names no file", file=name, hint="like sqlite:///folder/file.db")
    path = Path(database)
    try:
        if not path.is_file():
            close = (
                nearest(path.name, [other.name for other in path.parent.iterdir()]) if path.parent.is_dir() else None
            )
            hint = f"did you mean '{close}'?" if close else "check the path in the URL"
            raise ConfigurationError(f"there is no file '{printable(str(path))}'", file=name, hint=hint)
        path.open("rb").close()
    except OSError as error:
        raise from_os_error(error, "read", name) from None


def _secrets_of(url: sa.URL) -> tuple[str, ...]:
    """What no message may hold, the longest first."""
    secrets = {str(url.password)} if url.password else set()
    secrets |= {text for key in url.query if names_a_secret(key) for text in url.normalized_query[key]}
    spelt = {form for secret in secrets for form in (secret, quote(secret, safe=""), quote_plus(secret))}
    return tuple(sorted(spelt - {""}, key=len, reverse=True))
