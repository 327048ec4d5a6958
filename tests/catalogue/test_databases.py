"""The fault catalogue of database sources, E1 to E7: each fault as a fixture with its expected outcome.

Each stands beside a folder that delivers a good file, which has to be taken whatever happens to the database. Of a
reading that fails, no row and no trace stays. What a fault does to a table that moves has a test of its own.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from holdfast.errors import SourceUnreachable
from holdfast.records import IngestRecord, to_json
from holdfast.session import exit_status_of
from holdfast.sources import database as database_module
from holdfast.sources import snapshot as snapshot_module
from holdfast.steps.ingestion import ingest
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from tests.real_databases import Database, Proxy

TABLE = "corporation varchar(600), lastmonth_activity int, lastyear_activity int, number_of_employees int, exited int"
NAMES = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited")
ROWS = 900
LONG = 500
"""So many characters has each client's name: all of them together are more than a network keeps on its way."""
REST = "1 AS lastmonth_activity, 2 AS lastyear_activity, 3 AS number_of_employees, 0 AS exited"
SECRET = "c4nary-bird"
FILE = "good,1,2,3,0"
PATIENCE = 20

EXPIRED = """
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFhcc+Ekddzxa5vqUBpjbpnp71SD3uIaV0MoVgFWktqboAoGCCqGSM49
AwEHoUQDQgAEXH8n/4Ympjr3/+kAQAqqd2y1nryGpRiCsDWOZ0NCSTLU72zedbob
mNfc6kJ1FNKZzTsD1xsx0fPFi74T085g2Q==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBZjCCAQugAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwHhcNMjAwMTAxMDAwMDAwWhcNMjAwMTAyMDAwMDAwWjAUMRIwEAYDVQQDDAls
b2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARcfyf/hiamOvf/6QBA
Cqp3bLWevIalGIKwNY5nQ0JJMtTvbN51uhuY19zqQnUU0pnNOwPXGzHR88WLvhPT
zmDZo04wTDAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDwYDVR0TAQH/BAUw
AwEB/zAdBgNVHQ4EFgQU6uJcOwfXcjweZj6fPrbQJrqK1e0wCgYIKoZIzj0EAwID
SQAwRgIhAJ27yvnmQoZ+0ty5gJHD3FFwcmLu1KT+FWf7nPKl4qbOAiEAmjXlri59
SkssVyVse+AbQCm6bm/P6JBUXCRCPvcQaw0=
-----END CERTIFICATE-----
"""
"""A certificate of localhost for the second of January 2020 and the day before, with its key, which guards nothing."""


@dataclass(frozen=True)
class Place:
    """Where a fault is provoked: a company, and how a database of a kind is had."""

    company: Workspace
    database: Callable[[str], Database]
    proxy_to: Callable[[Database], Proxy]

    def filled(self, kind: str) -> Database:
        """A database in whose table `clients` there are many clients with long names."""
        database = self.database(kind)
        database.run(f"CREATE TABLE clients ({TABLE})")
        database.insert("clients", [client(f"client {n:0>{LONG}}") for n in range(ROWS)])
        return database


Provoked = AbstractContextManager[dict[str, object]]


@dataclass(frozen=True, kw_only=True)
class Fixture:
    """A fault, and what is to become of an ingestion in which it is met.

    `provoke`: makes the fault, and gives the keys of the source. `status`: the exit status. `says`: a part of the
    message, of the source or of the delivery that is refused. `rows`: how many of the table are in the dataset.
    `quarantined`: the columns and rules of the rows that are not.
    """

    fault: str
    provoke: Callable[[Place], Provoked]
    status: int
    says: str = ""
    hint: str = ""
    rows: int = 0
    quarantined: tuple[tuple[str | None, str], ...] = ()


def client(name: str | None, **more: object) -> dict[str, Any]:
    return dict(zip(NAMES, (name, 1, 2, 3, 0), strict=True)) | more


def source(url: str, **keys: object) -> dict[str, object]:
    return {"database": url, "table": None if "query" in keys else "clients"} | keys


def address(database: Database, **changed: Any) -> str:
    url = sa.make_url(database.url).set(**changed)
    return str(url.render_as_string(hide_password=False))


# ---- E1: unreachable


@contextmanager
def closed_port(scheme: str, _: Place) -> Iterator[dict[str, object]]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    yield source(f"{scheme}://clerk@127.0.0.1:{port}/company")


@contextmanager
def black_hole(scheme: str, _: Place) -> Iterator[dict[str, object]]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield source(f"{scheme}://clerk@127.0.0.1:{server.getsockname()[1]}/company")


@contextmanager
def answered_by(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """The port of a server that deals so with each connection in turn."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with closing(server.accept()[0]) as line, suppress(OSError):
                        answer(line)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


@contextmanager
def another_kind_of_server(scheme: str, _: Place) -> Iterator[dict[str, object]]:
    with answered_by(lambda line: line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9)) as port:
        yield source(f"{scheme}://clerk@127.0.0.1:{port}/company")


# ---- E2: slow


@contextmanager
def one_byte_at_a_time(kind: str, place: Place) -> Iterator[dict[str, object]]:
    database = place.filled(kind)
    proxy = place.proxy_to(database)
    proxy.pause = 0.005
    yield source(database.through(proxy.port).url, seconds=1)


SLOW = {
    "postgresql": "SELECT pg_sleep(60)::text AS corporation",
    "mariadb": "SELECT sleep(60) AS corporation",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS corporation",
}


@contextmanager
def long_statement(kind: str, place: Place) -> Iterator[dict[str, object]]:
    rows = " FROM n" if kind == "sqlite" else ""
    yield source(place.database(kind).url, query=f"{SLOW[kind]}, {REST}{rows}", seconds=1)


# ---- E3: dropped


@contextmanager
def dropped(kind: str, share: float, place: Place) -> Iterator[dict[str, object]]:
    """Each reading breaks off after a share of all that the server says."""
    database = place.filled(kind)
    proxy = place.proxy_to(database)
    through = database.through(proxy.port)
    whole = said_in_a_reading(through.url, proxy)
    connected, real = proxy._connect, int(whole * share)

    def connect() -> socket.socket:
        proxy.cut_after = real
        return connected()

    proxy._connect = connect
    yield source(through.url)


def said_in_a_reading(url: str, proxy: Proxy) -> int:
    """How many bytes the server says in a reading of the whole table."""
    from holdfast.schema import BRIEF_SCHEMA
    from holdfast.sourcelist import DatabaseSource

    address = database_module.DatabaseAddress(url=url)
    with database_module.DatabaseRead(DatabaseSource(name="crm", table="clients"), address, BRIEF_SCHEMA) as reading:
        assert sum(batch.rows.num_rows for batch in reading) == ROWS
    return proxy.passed


@contextmanager
def dropped_once(kind: str, place: Place) -> Iterator[dict[str, object]]:
    database = place.filled(kind)
    proxy = place.proxy_to(database)
    through = database.through(proxy.port)
    proxy.cut_after = said_in_a_reading(through.url, proxy) // 2
    connected = proxy._connect

    def connect() -> socket.socket:
        if proxy.cut_after == 0:  # it has been cut once
            proxy.cut_after = None
        return connected()

    proxy._connect = connect
    yield source(through.url)


# ---- E4: locks


@contextmanager
def locked_file(seconds: float | None, place: Place) -> Iterator[dict[str, object]]:
    database = place.filled("sqlite")
    file = sqlite3.connect(str(sa.make_url(database.url).database), isolation_level=None, check_same_thread=False)
    with closing(file) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(seconds or PATIENCE, writer.rollback)
        release.start()
        yield source(database.url)
        release.cancel()
        release.join()


@contextmanager
def locked_table(seconds: float | None, place: Place) -> Iterator[dict[str, object]]:
    database = place.filled("postgresql")
    database.run("ALTER DATABASE postgres SET lock_timeout = '100ms'")
    with database.engine().connect() as writer:
        writer.exec_driver_sql("LOCK TABLE clients IN ACCESS EXCLUSIVE MODE")
        release = threading.Timer(seconds or PATIENCE, writer.rollback)
        release.start()
        yield source(database.url)
        release.cancel()
        release.join()


# ---- E5: altered, and not allowed


def altered(kind: str, *statements: str, rows: int = 1) -> Callable[[Place], Provoked]:
    """A table of few clients to which something is done."""

    @contextmanager
    def provoke(place: Place) -> Iterator[dict[str, object]]:
        database = place.database(kind)
        database.run(f"CREATE TABLE clients ({TABLE})")
        database.insert("clients", [client(f"client {n}") for n in range(rows)])
        database.run(*statements)
        yield source(database.url)

    return provoke


def not_permitted(kind: str, table: str) -> Callable[[Place], Provoked]:
    @contextmanager
    def provoke(place: Place) -> Iterator[dict[str, object]]:
        database = place.filled(kind)
        database.run("CREATE VIEW seen AS SELECT * FROM clients")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CRM_PASSWORD", "s3cret-clerk")
            url = address(database, username="clerk", password=None)
            yield source(url, password_from="CRM_PASSWORD") | {"table": table}

    return provoke


# ---- E7: passwords and certificates


def wrong_password(kind: str, *, in_url: bool) -> Callable[[Place], Provoked]:
    @contextmanager
    def provoke(place: Place) -> Iterator[dict[str, object]]:
        database = place.filled(kind)
        with pytest.MonkeyPatch.context() as patch:
            if in_url:
                patch.setenv("CRM_DATABASE", address(database, username="clerk", password=SECRET))
                yield {"database_from": "CRM_DATABASE", "table": "clients"}
            else:
                patch.setenv("CRM_PASSWORD", SECRET)
                url = address(database, username="clerk", password=None)
                yield source(url, password_from="CRM_PASSWORD")

    return provoke


@contextmanager
def expired_certificate(place: Place) -> Iterator[dict[str, object]]:
    file = place.company.root.with_name("expired.pem")
    file.write_text(EXPIRED)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def answer(line: socket.socket) -> None:
        line.settimeout(PATIENCE)
        line.recv(8)  # the request for TLS
        line.sendall(b"S")
        with suppress(ssl.SSLError), context.wrap_socket(line, server_side=True) as secure:
            secure.recv(1)

    with answered_by(answer) as port, pytest.MonkeyPatch.context() as patch:
        options = f"sslmode=verify-full&sslrootcert={file}"
        patch.setenv("CRM_DATABASE", f"postgresql://clerk:{SECRET}@localhost:{port}/company?{options}")
        yield {"database_from": "CRM_DATABASE", "table": "clients"}


# ---- the table of them


def bound(provoke: Callable[..., Provoked], *first: object) -> Callable[[Place], Provoked]:
    return lambda place: provoke(*first, place)


def fixtures() -> Iterator[Fixture]:
    """E1 to E7, as far as they lie still."""
    away, late = "the database does not answer", "was not read within 1 seconds, so reading was cut off"
    for scheme in ("postgresql", "mysql", "mariadb"):
        for fault, provoke in (
            ("a closed port", closed_port),
            ("a server that says nothing", black_hole),
            ("a server of another kind", another_kind_of_server),
        ):
            yield Fixture(fault=f"E1 {fault}, {scheme}", provoke=bound(provoke, scheme), status=69, says=away)
    for kind in ("postgresql", "mariadb", "sqlite"):
        yield Fixture(
            fault=f"E2 a long statement, {kind}",
            provoke=bound(long_statement, kind),
            status=69,
            says=f"the query {late}",
        )
    for kind in ("postgresql", "mariadb"):
        slow = bound(one_byte_at_a_time, kind)
        yield Fixture(fault=f"E2 one byte at a time, {kind}", provoke=slow, status=69)
        for share in (0.0, 0.02, 0.4, 0.8):
            cut = bound(dropped, kind, share)
            yield Fixture(fault=f"E3 dropped after {share:.0%}, {kind}", provoke=cut, status=69)
        once = bound(dropped_once, kind)
        yield Fixture(fault=f"E3 dropped once in the middle, {kind}", provoke=once, status=0, rows=ROWS)
        yield from refused_by(kind)
    for fault, lock in (("file, sqlite", locked_file), ("table, postgresql", locked_table)):
        short, long = bound(lock, 0.15), bound(lock, None)
        yield Fixture(fault=f"E4 a {fault}, locked for a moment", provoke=short, status=0, rows=ROWS)
        yield Fixture(fault=f"E4 a {fault}, locked for long", provoke=long, status=69, says="'clients' is locked")
    for kind in ("postgresql", "mariadb", "sqlite"):
        yield from altered_tables(kind)
    yield Fixture(fault="E7 an expired certificate", provoke=expired_certificate, status=69, says=away)


def altered_tables(kind: str) -> Iterator[Fixture]:
    """E5, of any kind of database."""
    yield Fixture(
        fault=f"E5 a dropped column, {kind}",
        provoke=altered(kind, "ALTER TABLE clients DROP COLUMN lastyear_activity"),
        status=3,
        says="no column 'lastyear_activity'",
    )
    yield Fixture(
        fault=f"E5 a renamed column, {kind}",
        provoke=altered(kind, "ALTER TABLE clients RENAME COLUMN corporation TO corporations"),
        status=3,
        says="no column 'corporation'",
        hint="did you mean 'corporations'?",
    )
    yield Fixture(
        fault=f"E5 another order of columns and a new one, {kind}",
        provoke=altered(
            kind,
            "CREATE TABLE others AS SELECT exited, 'x' AS note, corporation, number_of_employees, lastyear_activity, "
            "lastmonth_activity FROM clients",
            "DROP TABLE clients",
            "ALTER TABLE others RENAME TO clients",
        ),
        status=0,
        rows=1,
    )
    yield Fixture(
        fault=f"E5 a column of another type, {kind}",
        provoke=altered(
            kind,
            "CREATE TABLE others AS SELECT corporation, CASE corporation WHEN 'client 0' THEN 'many' ELSE '5' END AS "
            "lastmonth_activity, lastyear_activity, number_of_employees, exited FROM clients",
            "DROP TABLE clients",
            "ALTER TABLE others RENAME TO clients",
            rows=3,
        ),
        status=3,
        rows=2,
        quarantined=(("lastmonth_activity", "not a whole number"),),
    )
    yield Fixture(
        fault=f"E5 NULL in the key, {kind}",
        provoke=altered(kind, "UPDATE clients SET corporation = NULL WHERE corporation = 'client 0'", rows=3),
        status=3,
        rows=2,
        quarantined=(("corporation", "missing"),),
    )
    yield Fixture(
        fault=f"E5 a dropped table, {kind}",
        provoke=altered(kind, "ALTER TABLE clients RENAME TO client"),
        status=78,
        says="the table 'clients' does not exist",
        hint="did you mean 'client'?",
    )


def refused_by(kind: str) -> Iterator[Fixture]:
    """E5 and E7, by servers that ask who wants to know."""
    for table in ("clients", "seen"):
        name = "a view" if table == "seen" else "a table"
        yield Fixture(
            fault=f"E5 {name} without permission, {kind}",
            provoke=not_permitted(kind, table),
            status=77,
            says=f"the table '{table}' may not be read by this user: ",
            hint="let the user SELECT from it",
        )
    for place, in_url in (("in a variable", False), ("in the URL", True)):
        yield Fixture(
            fault=f"E7 a rotated password {place}, {kind}",
            provoke=wrong_password(kind, in_url=in_url),
            status=77,
            says="the database does not let this user in",
        )


FIXTURES = tuple(fixtures())


# ---- their outcomes


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for longer than a test needs."""
    monkeypatch.setattr(database_module, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(snapshot_module, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(snapshot_module, "CONNECT_SECONDS", 2)


@pytest.fixture
def place(company: Workspace, request: pytest.FixtureRequest, proxy_to: Callable[[Database], Proxy]) -> Place:
    """A company into whose inbox a good file was delivered."""
    for path in company.input_folder.iterdir():
        path.unlink()
    good = company.input_folder / "good.csv"
    good.write_text(f"{','.join(NAMES)}\n{FILE}\n")
    os.utime(good, (1_700_000_000, 1_700_000_000))
    return Place(company, request.getfixturevalue, proxy_to)


def fed_by(company: Workspace, keys: dict[str, object]) -> Workspace:
    path = company.root / "config.json"
    own = {key: value for key, value in {"name": "crm", **keys}.items() if value is not None}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sources": [own]}))
    return Workspace.open(company.root)


def of_the_table(workspace: Workspace) -> list[str]:
    rows = (workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:]
    assert rows[0] == FILE, "the good file is taken whatever happens"
    return rows[1:]


def told_of_the_source(record: IngestRecord) -> dict[str, Any]:
    refused = [file.error for file in record.files if file.folder == "crm" and file.error]
    found = [*record.unreachable, *refused]
    return dict(found[0]) if found else {"message": "", "hint": ""}


def seen_anywhere(workspace: Workspace, text: str) -> list[Path]:
    files = (path for path in workspace.root.rglob("*") if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]


@pytest.mark.parametrize("number", range(len(FIXTURES)), ids=[fixture.fault for fixture in FIXTURES])
def test_the_outcome_of(
    place: Place, number: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    fixture = FIXTURES[number]
    with fixture.provoke(place) as keys:
        workspace = fed_by(place.company, keys)
        begun = time.monotonic()
        record = ingest(workspace)
        assert time.monotonic() - begun < PATIENCE
    told = told_of_the_source(record)
    assert exit_status_of(record) == fixture.status, told
    assert fixture.says in told["message"]
    assert fixture.hint in (told["hint"] or "")
    assert len(of_the_table(workspace)) == fixture.rows
    assert tuple((row.column, row.rule) for row in record.rejected) == fixture.quarantined
    assert [file.rows for file in record.files if file.folder == "crm" and file.status == "accepted"] == (
        [fixture.rows + len(fixture.quarantined)] if fixture.rows else []
    )
    for secret in (SECRET, "s3cret-clerk"):
        assert secret not in json.dumps(to_json(record)) + "".join(capfd.readouterr()) + caplog.text
        assert seen_anywhere(workspace, secret) == []


# ---- faults that move


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_e3_wherever_the_connection_breaks_off_all_rows_are_taken_or_none(
    place: Place, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "FIRST_FETCH", 100)
    place.filled(database.kind)
    proxy = place.proxy_to(database)
    url = database.through(proxy.port).url
    whole, outcomes = said_in_a_reading(url, proxy), set()
    workspace = fed_by(place.company, source(url))
    for cut in range(0, whole + whole // 10, whole // 10):
        proxy.cut_after = cut
        record = ingest(workspace)
        outcomes.add(exit_status_of(record))
        assert len(of_the_table(workspace)) in {0, ROWS}
        assert len(of_the_table(workspace)) == (ROWS if 0 in outcomes else 0)
    assert outcomes == {0, SourceUnreachable.exit_status}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_e5_a_table_that_is_altered_while_it_is_read_is_taken_as_it_was(
    place: Place, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.filled(database.kind)
    monkeypatch.setattr(database_module, "FIRST_FETCH", 100)
    monkeypatch.setattr(database_module, "LARGEST_FETCH", 100)
    real = database_module.DatabaseRead.__iter__
    changes: list[str] = []

    def altering(reading: database_module.DatabaseRead) -> Iterator[Any]:
        for batch in real(reading):
            if not changes:
                changes.append("UPDATE clients SET lastmonth_activity = 99")
                database.run(*changes, "DELETE FROM clients WHERE corporation LIKE '%%9'")
            yield batch

    monkeypatch.setattr(database_module.DatabaseRead, "__iter__", altering)
    workspace = fed_by(place.company, source(database.url))
    assert exit_status_of(ingest(workspace)) == 0
    rows = of_the_table(workspace)
    assert (len(rows), {row.split(",", 1)[1] for row in rows}) == (ROWS, {"1,2,3,0"})


@pytest.mark.parametrize("database", ["postgresql", "mariadb", "sqlite"], indirect=True)
def test_e6_after_a_failover_to_a_replica_that_lags_no_row_is_lost_or_doubled(place: Place, database: Database) -> None:
    database.run(f"CREATE TABLE clients ({TABLE}, changed int)")
    database.insert("clients", [client("a", changed=10), client("b", changed=11)])
    workspace = fed_by(place.company, source(database.url, watermark="changed", overlap=5))
    ingest(workspace)
    database.run("UPDATE clients SET lastmonth_activity = 7, changed = 12 WHERE corporation = 'a'")
    ingest(workspace)
    database.run("UPDATE clients SET lastmonth_activity = 1, changed = 10 WHERE corporation = 'a'")
    for file in ingest(workspace).files:
        assert (file.watermark, file.rows) == ("12", file.accepted + file.duplicate), "it never moves back"
    database.run("UPDATE clients SET lastmonth_activity = 7, changed = 12 WHERE corporation = 'a'")
    database.insert("clients", [client("c", changed=13)])
    [file] = ingest(workspace).files
    assert file.watermark == "13"
    assert sorted(of_the_table(workspace)) == ["a,7,2,3,0", "b,1,2,3,0", "c,1,2,3,0"]
    assert ingest(workspace).files == ()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_e7_after_a_rotation_the_new_password_is_used_without_a_restart(
    place: Place, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.filled("postgresql")
    database.run("GRANT SELECT ON clients TO clerk")
    keys = source(address(database, username="clerk", password=None), password_from="CRM_PASSWORD")
    workspace, found = fed_by(place.company, keys), []
    for password in (SECRET, "s3cret-clerk"):
        monkeypatch.setenv("CRM_PASSWORD", password)
        found.append((exit_status_of(ingest(workspace)), len(of_the_table(workspace))))
    assert found == [(77, 0), (0, ROWS)]
