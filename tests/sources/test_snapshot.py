"""What goes wrong between Holdfast and a database: each fault has its name, its time limit, and tells no secret."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from holdfast.errors import ConfigurationError, FileRefused, HoldfastError, SourceUnreachable
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sourcelist import DatabaseSource
from holdfast.sources import database as database_module
from holdfast.sources import snapshot as snapshot_module
from holdfast.sources.database import DatabaseAddress, DatabaseRead, ReadingInterrupted

if TYPE_CHECKING:
    from tests.real_databases import Database, Proxy

TABLE = "corporation varchar(600), lastmonth_activity int, lastyear_activity int, number_of_employees int, exited int"
CRM = DatabaseSource(name="crm", table="clients")
CANARY = "c4nary/üñ bird"
ROWS = 3_000
SERVERS = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
ProxyTo = Callable[["Database"], "Proxy"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for longer than a test needs."""
    monkeypatch.setattr(database_module, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(snapshot_module, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(snapshot_module, "CONNECT_SECONDS", 2)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.fixture
def filled(database: Database) -> Database:
    """Three thousand clients, whose names alone are more than a network keeps on its way."""
    database.run(f"CREATE TABLE clients ({TABLE})")
    names = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited")
    database.insert("clients", [dict(zip(names, (f"client {n:0>500}", 1, 2, 3, 0), strict=True)) for n in range(ROWS)])
    return database


def count(address: DatabaseAddress, source: DatabaseSource = CRM) -> int:
    with DatabaseRead(source, address, BRIEF_SCHEMA) as reading:
        return sum(batch.rows.num_rows for batch in reading)


def count_after(change: Callable[[], object], address: DatabaseAddress, source: DatabaseSource = CRM) -> int:
    """The rows of a reading in which something happens before the first of them is fetched."""
    with DatabaseRead(source, address, BRIEF_SCHEMA) as reading:
        change()
        return sum(batch.rows.num_rows for batch in reading)


def failure(address: DatabaseAddress, source: DatabaseSource = CRM) -> HoldfastError:
    """The error of a reading, which has to come in good time."""
    start = time.monotonic()
    with pytest.raises(HoldfastError) as caught:
        count(address, source)
    assert time.monotonic() - start < 10
    assert caught.value.file == "crm"
    return caught.value


def within(seconds: float, query: str | None = None) -> DatabaseSource:
    table = "clients" if query is None else None
    return DatabaseSource(name="crm", table=table, query=query, seconds=seconds)


# ---- E2: slow


@SERVERS
def test_a_trickle_of_bytes_is_cut_off_in_time(filled: Database, proxy_to: ProxyTo) -> None:
    proxy = proxy_to(filled)
    with pytest.raises(SourceUnreachable, match="was not read within 1 seconds") as caught:
        count_after(lambda: setattr(proxy, "pause", 0.05), filled.through(proxy.port), within(1))
    assert not isinstance(caught.value, ReadingInterrupted)


@SERVERS
def test_a_connection_that_falls_silent_is_cut_off_in_time(filled: Database, proxy_to: ProxyTo) -> None:
    proxy = proxy_to(filled)
    with pytest.raises(SourceUnreachable, match="was not read within 1 seconds"):
        count_after(lambda: setattr(proxy, "pause", 60), filled.through(proxy.port), within(1))


@SERVERS
def test_a_server_that_falls_silent_while_it_is_asked_is_cut_off_in_time(filled: Database, proxy_to: ProxyTo) -> None:
    proxy = proxy_to(filled)
    proxy.pause = 0.02
    assert isinstance(failure(filled.through(proxy.port), within(1)), SourceUnreachable)


def test_a_statement_is_ended_at_the_server(postgresql: Database) -> None:
    rest = "1 AS lastmonth_activity, 2 AS lastyear_activity, 3 AS number_of_employees, 0 AS exited"
    failure(postgresql.address, within(1, f"SELECT pg_sleep(60)::text AS corporation, {rest}"))
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(60)%%' AND pid <> pg_backend_pid()"
    until = time.monotonic() + 5
    with postgresql.engine().connect() as connection:
        while connection.exec_driver_sql(running).scalar() and time.monotonic() < until:
            connection.rollback()
            time.sleep(0.05)
        assert connection.exec_driver_sql(running).scalar() == 0


def test_the_time_of_those_who_take_the_rows_counts(filled: Database) -> None:
    with pytest.raises(SourceUnreachable, match="was not read within 1 seconds"):
        count_after(lambda: time.sleep(1.2), filled.address, within(1))


# ---- E3: dropped


@SERVERS
def test_a_reading_that_broke_off_may_be_tried_again(filled: Database, proxy_to: ProxyTo) -> None:
    proxy = proxy_to(filled)
    with pytest.raises(ReadingInterrupted, match="the connection broke off while the table 'clients' was read"):
        count_after(lambda: setattr(proxy, "cut_after", 0), filled.through(proxy.port))
    proxy.cut_after = None
    assert count(filled.through(proxy.port)) == ROWS


def test_a_server_that_ends_the_session_interrupts(postgresql: Database) -> None:
    postgresql.run(
        f"CREATE TABLE clients ({TABLE})",
        "INSERT INTO clients SELECT repeat('c', 500), 1, 2, 3, 0 FROM generate_series(1, 9000)",
    )
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"  # noqa: E501
    with pytest.raises(ReadingInterrupted, match="the connection broke off"):
        count_after(lambda: postgresql.run(others), postgresql.address)


@SERVERS
def test_who_leaves_early_does_not_wait_for_the_other_rows(filled: Database, proxy_to: ProxyTo) -> None:
    proxy = proxy_to(filled)
    with DatabaseRead(CRM, filled.through(proxy.port), BRIEF_SCHEMA) as reading:
        next(iter(reading))
        proxy.pause = 0.05
        start = time.monotonic()
    assert time.monotonic() - start < 1


# ---- E4: locks


def file_of(database: Database) -> str:
    return str(sa.make_url(database.url).database)


def filled_file(sqlite: Database) -> str:
    sqlite.run(f"CREATE TABLE clients ({TABLE})", "INSERT INTO clients VALUES ('acme', 1, 2, 3, 0)")
    return file_of(sqlite)


def test_a_table_that_is_being_altered_is_waited_for_no_longer_than_allowed(postgresql: Database) -> None:
    postgresql.run(f"CREATE TABLE clients ({TABLE})")
    with postgresql.engine().connect() as writer:
        writer.exec_driver_sql("ALTER TABLE clients DROP COLUMN exited")
        assert "was not read within 1 seconds" in str(failure(postgresql.address, within(1)))


# ---- E5: what is not there, or not allowed


@pytest.fixture
def clerk(database: Database) -> DatabaseAddress:
    """The database as the clerk sees it, who has to give a password and may read the table `branches`."""
    database.run(f"CREATE TABLE clients ({TABLE})", f"CREATE TABLE branches ({TABLE})")
    database.run("CREATE VIEW seen AS SELECT * FROM clients", "GRANT SELECT ON branches TO clerk")
    url = sa.make_url(database.url).set(username="clerk", password=None)
    return DatabaseAddress(url=url.render_as_string(hide_password=False), password="s3cret-clerk")


@SERVERS
def test_a_table_that_may_be_read_is_read(clerk: DatabaseAddress) -> None:
    assert count(clerk, DatabaseSource(name="crm", table="branches")) == 0


def test_a_missing_table_is_named_with_the_nearest_one(filled: Database) -> None:
    error = failure(filled.address, DatabaseSource(name="crm", table="client"))
    assert type(error) is ConfigurationError
    assert str(error).startswith("crm: the table 'client' does not exist: ")
    assert error.hint == "did you mean 'clients'?"


def test_a_missing_table_is_looked_for_in_its_schema(postgresql: Database) -> None:
    postgresql.run("CREATE SCHEMA sales", f"CREATE TABLE sales.clients ({TABLE})")
    error = failure(postgresql.address, DatabaseSource(name="crm", table="sales.client"))
    assert error.hint == "did you mean 'sales.clients'?"


@pytest.mark.parametrize("query", ["SELECT misspelt FROM clients", "SELECT corporation FROM misspelt"])
def test_what_a_query_cannot_find_is_named(filled: Database, query: str) -> None:
    error = failure(filled.address, DatabaseSource(name="crm", query=query))
    assert type(error) is ConfigurationError
    assert str(error).startswith("crm: the query cannot be read: ")
    assert "misspelt" in str(error)


@SERVERS
def test_a_missing_database_is_named(database: Database) -> None:
    url = sa.make_url(database.url).set(database="kompany")
    error = failure(DatabaseAddress(url=url.render_as_string(hide_password=False)))
    assert type(error) is ConfigurationError
    assert "kompany" in str(error)


@pytest.mark.parametrize("text", [b"caf\xe9"])
def test_text_that_is_not_utf8_is_refused(sqlite: Database, text: bytes) -> None:
    sqlite.run(f"CREATE TABLE clients ({TABLE})")
    with closing(sqlite3.connect(file_of(sqlite))) as writer:
        writer.execute("INSERT INTO clients VALUES (CAST(? AS TEXT), 1, 2, 3, 0)", (text,))
        writer.commit()
    assert type(failure(sqlite.address)) is FileRefused


# ---- SQLite files


def test_a_missing_file_is_named_and_not_made(tmp_path: Path) -> None:
    (tmp_path / "company.db").touch()
    error = failure(DatabaseAddress(url=f"sqlite:///{tmp_path / 'compnay.db'}"))
    assert type(error) is ConfigurationError
    assert error.hint == "did you mean 'company.db'?"
    assert [path.name for path in tmp_path.iterdir()] == ["company.db"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_not_a_file_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "company.db")
    assert type(failure(DatabaseAddress(url=f"sqlite:///{tmp_path / 'company.db'}"))) is ConfigurationError


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "company.db").write_bytes(b"corporation,exited\n" * 99)
    assert type(failure(DatabaseAddress(url=f"sqlite:///{tmp_path / 'company.db'}"))) is FileRefused


def test_a_file_name_may_have_any_character(sqlite: Database, tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%20 ü&mode=rwc.db"
    Path(filled_file(sqlite)).rename(path)
    assert count(DatabaseAddress(url=sa.URL.create("sqlite", database=str(path)).render_as_string())) == 1


def test_nothing_can_be_written_to_a_file_or_beside_it(sqlite: Database, tmp_path: Path) -> None:
    before = Path(filled_file(sqlite)).read_bytes()
    snapshot = snapshot_module.Snapshot(CRM, sqlite.address)
    try:
        assert snapshot._connection
        with pytest.raises(sa.exc.OperationalError, match="readonly"):
            snapshot._connection.exec_driver_sql("DELETE FROM clients")
    finally:
        snapshot.close()
    assert Path(file_of(sqlite)).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["company.db"]


@SERVERS
def test_nothing_can_be_written_to_a_server(filled: Database) -> None:
    snapshot = snapshot_module.Snapshot(CRM, filled.address)
    try:
        assert snapshot._connection
        with pytest.raises(sa.exc.DBAPIError, match=r"(?i)read.only"):
            snapshot._connection.exec_driver_sql("DELETE FROM clients")
    finally:
        snapshot.close()
    assert count(filled.address) == ROWS


# ---- one snapshot


def test_two_statements_of_one_snapshot_see_the_same_rows(database: Database) -> None:
    if database.kind == "sqlite":
        database.run("PRAGMA journal_mode = WAL")
    database.run(f"CREATE TABLE clients ({TABLE})")
    rows = sa.select(sa.func.count()).select_from(sa.table("clients"))
    snapshot = snapshot_module.Snapshot(CRM, database.address)
    try:
        before = snapshot.first(rows)
        database.run("INSERT INTO clients VALUES ('acme', 1, 2, 3, 0)")
        assert snapshot.first(rows) == before == (0,)
    finally:
        snapshot.close()


# ---- addresses and drivers


@pytest.mark.parametrize(
    "url", ["", "company", "oracle://clerk@host/x", "postgresql://clerk@host:port/x", "sqlite://", "sqlite:///:memory:"]
)
def test_what_is_no_address_of_a_database_is_refused(url: str) -> None:
    assert type(failure(DatabaseAddress(url=url))) is ConfigurationError


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_an_option_that_the_driver_does_not_know_is_refused(scheme: str) -> None:
    error = failure(DatabaseAddress(url=f"{scheme}://clerk@127.0.0.1/company?colour=blue"))
    assert type(error) is ConfigurationError
    assert "colour" in str(error)


@pytest.mark.parametrize(
    ("scheme", "module", "extra"), [("postgresql", "psycopg", "postgres"), ("mysql", "pymysql", "mysql")]
)
def test_a_missing_driver_is_named_with_the_extra_that_has_it(
    scheme: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    error = failure(DatabaseAddress(url=f"{scheme}://clerk@127.0.0.1/company"))
    assert type(error) is ConfigurationError
    assert error.hint == f"install it: pip install 'holdfast[{extra}]'"


# ---- E7: passwords


@SERVERS
def test_a_password_may_stand_in_the_url(clerk: DatabaseAddress) -> None:
    url = sa.make_url(clerk.url).set(password="s3cret-clerk").render_as_string(hide_password=False)
    assert count(DatabaseAddress(url=url), DatabaseSource(name="crm", table="branches")) == 0


ODD_PLACES = (
    "{password}",
    "postgresql://clerk:{password}@127.0.0.1:1/company",
    "postgresql://clerk:{password}@127.0.0.1:port/company",
    "postgresql://clerk@127.0.0.1:1/company?password={password}",
    "postgresql://clerk:x@127.0.0.1:1/company?options={password}",
    "mysql://clerk:{password}@127.0.0.1:1/company",
    "mysql://clerk@127.0.0.1:1/company?password={password}",
    "mysql://clerk:{password}@127.0.0.1/company?colour=blue",
    "oracle://clerk:{password}@127.0.0.1/company",
)


def told(error: BaseException) -> str:
    """All that anyone gets to see of an error."""
    lines = traceback.format_exception(error)
    return "\n".join([str(error), repr(error), *lines, repr(getattr(error, "record", dict)())])


@pytest.mark.parametrize("form", ODD_PLACES)
def test_no_error_tells_the_password(
    form: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "c4nary-bird"
    address = DatabaseAddress(url=form.format(password=secret))
    seen = told(failure(address)) + repr(address) + str(address) + caplog.text + "".join(capfd.readouterr())
    assert secret not in seen


@SERVERS
@pytest.mark.parametrize("place", ["url", "password"])
def test_no_refusal_by_the_server_tells_the_password(
    clerk: DatabaseAddress, place: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    address = DatabaseAddress(url=clerk.url, password=CANARY)
    if place == "url":
        url = sa.make_url(clerk.url).set(password=CANARY).render_as_string(hide_password=False)
        address = DatabaseAddress(url=url)
    seen = told(failure(address)) + repr(address) + caplog.text + "".join(capfd.readouterr())
    assert CANARY not in seen
    assert sa.URL.create("x", password=CANARY).render_as_string(hide_password=False) not in seen


@SERVERS
def test_a_password_that_the_server_repeats_as_a_name_is_hidden(database: Database) -> None:
    url = sa.make_url(database.url).set(username="c4nary-bird")
    address = DatabaseAddress(url=url.render_as_string(hide_password=False), password="c4nary-bird")
    seen = told(failure(address))
    assert "***" in seen
    assert "c4nary-bird" not in seen
