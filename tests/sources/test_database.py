"""Reading database sources: every row accounted for, since a watermark or all, in one snapshot."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import ConfigurationError, FileRefused
from holdfast.limits import Limits
from holdfast.records import RejectedRow
from holdfast.schema import BRIEF_SCHEMA, LINE, Column, Schema
from holdfast.sourcelist import DatabaseSource
from holdfast.sources import database as database_module
from holdfast.sources.database import DatabaseAddress, DatabaseRead, columns_of
from holdfast.sources.parsed import Delivered

if TYPE_CHECKING:
    from tests.real_databases import Database

COLUMNS = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited")
TABLE = "corporation varchar(40), lastmonth_activity int, lastyear_activity int, number_of_employees int, exited int"
CRM = DatabaseSource(name="crm", table="clients")
SINCE = DatabaseSource(name="crm", table="clients", watermark="changed", overlap=0)
NOON = datetime.fromisoformat("2026-01-31T12:00:00.123456")
NEW_YEAR = datetime.fromisoformat("2025-01-01")


@dataclass(frozen=True)
class Read:
    """What became of a reading."""

    rows: list[dict[str, Any]]
    lines: list[int]
    rejected: list[RejectedRow]
    of: DatabaseRead

    @property
    def clients(self) -> list[str]:
        return [row["corporation"] for row in self.rows]


def read(
    address: DatabaseAddress, source: DatabaseSource = CRM, since: str | None = None, schema: Schema = BRIEF_SCHEMA
) -> Read:
    rows: list[dict[str, Any]] = []
    rejected: list[RejectedRow] = []
    with DatabaseRead(source, address, schema, since) as reading:
        delivered: Delivered = reading
        for batch in delivered:
            rows += batch.rows.to_pylist()
            rejected += batch.rejected
    return Read(rows, [row.pop(LINE) for row in rows], rejected, reading)


def refusal(address: DatabaseAddress, source: DatabaseSource = CRM, since: str | None = None) -> str:
    with pytest.raises((ConfigurationError, FileRefused)) as caught:
        read(address, source, since)
    assert caught.value.file == "crm"
    return str(caught.value)


def client(name: str | None, exited: int | None = 0, **more: Any) -> dict[str, Any]:
    return dict(zip(COLUMNS, (name, 1, 2, 3, exited), strict=True)) | more


@pytest.fixture
def filled(database: Database) -> Database:
    """Two clients in a table of the brief's columns."""
    database.run(f"CREATE TABLE clients ({TABLE})")
    database.insert("clients", [client("acme", 1), client("Smith, Ltd", None)])
    return database


def changing(database: Database, kind: str, marks: Sequence[object]) -> Database:
    """A table whose column `changed` is of this kind; its clients are called 0, 1, 2 …"""
    database.run(f"CREATE TABLE clients ({TABLE}, changed {kind})")
    database.insert("clients", [client(str(place), changed=mark) for place, mark in enumerate(marks)])
    return database


# ---- rows and columns


def test_the_rows_of_a_table_are_read(filled: Database) -> None:
    assert sorted(read(filled.address).rows, key=str) == [client("Smith, Ltd", None), client("acme", 1)]


def test_rows_are_numbered_as_they_come(filled: Database) -> None:
    assert read(filled.address).lines == [1, 2]


def test_a_table_without_rows_gives_one_empty_batch(database: Database) -> None:
    database.run(f"CREATE TABLE clients ({TABLE})")
    with DatabaseRead(CRM, database.address, BRIEF_SCHEMA) as reading:
        [batch] = list(reading)
    assert batch.rows.num_rows == 0
    assert batch.rows.schema.names == [*COLUMNS, LINE]


def test_a_row_without_a_client_is_refused_with_its_line_and_text(database: Database) -> None:
    database.run(f"CREATE TABLE clients ({TABLE})")
    database.insert("clients", [client(None)])
    [refused] = read(database.address).rejected
    assert (refused.file, refused.line, refused.column, refused.rule) == ("crm", 1, "corporation", "missing")
    assert refused.text == ",1,2,3,0"


def test_the_text_of_a_refused_row_is_csv_in_the_order_of_the_header(database: Database) -> None:
    database.run("CREATE TABLE clients (changed int, exited int, lastyear_activity int, number_of_employees int, "
                 "corporation varchar(40), lastmonth_activity int)")  # fmt: skip
    database.insert("clients", [client('a "quoted", name', changed=7, lastmonth_activity=-1)])
    result = read(database.address, SINCE)
    [fields] = csv.reader(io.StringIO(result.rejected[0].text))
    assert dict(zip(result.of.header, fields, strict=True)) == {
        "changed": "7",
        "exited": "0",
        "lastyear_activity": "2",
        "number_of_employees": "3",
        "corporation": 'a "quoted", name',
        "lastmonth_activity": "-1",
    }


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=5),
    st.binary(max_size=3).filter(is_text),
    st.sampled_from([0, 1, 2, "0", "1", 5, "acme", "2", 7.0]),
)


@settings(max_examples=50)
@given(st.lists(st.tuples(*[CELLS] * 5), max_size=12))
def test_rows_read_are_rows_accepted_and_rows_rejected(rows: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "company.db")
        with sqlite3.connect(path) as connection:
            connection.execute(f"CREATE TABLE clients ({', '.join(COLUMNS)})")
            connection.executemany("INSERT INTO clients VALUES (?, ?, ?, ?, ?)", rows)
        connection.close()
        result = read(DatabaseAddress(url=f"sqlite:///{path}"))
    lines = result.lines + [row.line for row in result.rejected]
    assert sorted(lines) == list(range(1, len(rows) + 1))
    assert result.of.rows == len(rows)


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), min_size=1, max_size=9)))
def test_client_ids_come_out_as_they_went_in(ids: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "company.db")
        with sqlite3.connect(path) as connection:
            connection.execute(f"CREATE TABLE clients ({TABLE})")
            connection.executemany("INSERT INTO clients VALUES (?, 1, 2, 3, 0)", [(name,) for name in ids])
        connection.close()
        assert read(DatabaseAddress(url=f"sqlite:///{path}")).clients == ids


def test_values_of_every_usual_type_are_read(postgresql: Database) -> None:
    postgresql.run(
        """CREATE TABLE clients AS SELECT '0b9a6ad8-3ad9-4f0a-9a3f-6a3f0b9a6ad8'::uuid AS corporation,
        12::smallint AS lastmonth_activity, 9007199254740993::bigint AS lastyear_activity,
        42.00::numeric AS number_of_employees, true AS exited, 'gold'::text AS tier, 0.1::float8 AS share,
        timestamptz '2026-01-31 23:30:00-05' AS joined"""
    )
    extra = (
        Column(name="joined", role="time", type="date"),
        Column(name="tier", role="feature", type="category"),
        Column(name="share", role="feature", type="number"),
    )
    schema = Schema(columns=(*BRIEF_SCHEMA.columns[:-1], *extra, BRIEF_SCHEMA.target))
    assert read(postgresql.address, schema=schema).rows == [
        {
            "corporation": "0b9a6ad8-3ad9-4f0a-9a3f-6a3f0b9a6ad8",
            "lastmonth_activity": 12,
            "lastyear_activity": 9007199254740993,
            "number_of_employees": 42,
            "joined": date(2026, 2, 1),
            "tier": "gold",
            "share": 0.1,
            "exited": 1,
        }
    ]


def test_columns_are_renamed_as_the_source_says(filled: Database) -> None:
    filled.run("ALTER TABLE clients RENAME COLUMN corporation TO company")
    source = DatabaseSource(name="crm", table="clients", columns=(("company", "corporation"),))
    result = read(filled.address, source)
    assert sorted(result.clients) == ["Smith, Ltd", "acme"]
    assert result.of.header == COLUMNS


def test_columns_that_the_schema_does_not_have_are_noticed_and_not_read(filled: Database) -> None:
    filled.run("ALTER TABLE clients ADD COLUMN note varchar(9)")
    result = read(filled.address)
    assert result.of.notices == ("crm: 1 column not in the schema is left out: note",)
    assert result.of.header == COLUMNS


def test_a_watermark_beside_the_schema_is_read_without_a_notice(database: Database) -> None:
    result = read(changing(database, "int", [1]).address, SINCE)
    assert result.of.notices == ()
    assert result.of.header == (*COLUMNS, "changed")


def test_a_column_that_was_dropped_is_named(filled: Database) -> None:
    filled.run("ALTER TABLE clients DROP COLUMN lastyear_activity")
    assert "no column 'lastyear_activity'. Found: corporation, lastmonth_activity" in refusal(filled.address)


def test_a_column_of_nearly_the_right_name_is_suggested(filled: Database) -> None:
    filled.run("ALTER TABLE clients RENAME COLUMN corporation TO corporations")
    assert "did you mean 'corporations'?" in refusal(filled.address)


def test_a_column_whose_type_changed_is_judged_row_by_row(postgresql: Database) -> None:
    postgresql.run(f"CREATE TABLE clients ({TABLE})")
    postgresql.insert("clients", [client("acme"), client("bolt")])
    postgresql.run("ALTER TABLE clients ALTER COLUMN lastmonth_activity TYPE text USING 'unknown'")
    assert {row.rule for row in read(postgresql.address).rejected} == {"not a whole number"}


def test_cells_that_hold_more_than_one_value_refuse_the_table(postgresql: Database) -> None:
    postgresql.run(f"CREATE TABLE clients ({TABLE})", "ALTER TABLE clients ALTER COLUMN exited TYPE int[] USING '{1}'")
    postgresql.run("INSERT INTO clients VALUES ('acme', 1, 2, 3, '{0, 1}')")
    assert "column exited: cells of the type int4[]" in refusal(postgresql.address)


def test_a_field_of_too_many_characters_is_refused_with_its_row(database: Database) -> None:
    database.run(
        f"CREATE TABLE clients ({TABLE.replace('varchar(40)', 'mediumtext' if database.kind == 'mariadb' else 'text')})"
    )
    longest = Limits().field_characters
    database.insert("clients", [client("a"), client("x" * (longest + 1)), client("ü" * (longest // 2))])
    result = read(database.address)
    [refused] = result.rejected
    assert (refused.column, refused.rule) == ("corporation", "longer than 65,536 characters")
    assert sorted([*result.lines, refused.line]) == [1, 2, 3]


def test_a_renamed_column_that_is_not_there_is_named(filled: Database) -> None:
    source = DatabaseSource(name="crm", table="clients", columns=(("exitted", "exited"),))
    assert "column exitted: there is no such column\nHint: did you mean 'exited'?" in refusal(filled.address, source)


def test_the_columns_of_a_source_are_told(filled: Database) -> None:
    assert columns_of(CRM, filled.address) == COLUMNS


def test_names_are_quoted(database: Database) -> None:
    quote = "`" if database.kind == "mariadb" else '"'
    name = f"{quote}Clients; of 2026{quote}"
    database.run(f"CREATE TABLE {name} ({TABLE}, {quote}last change{quote} int)")
    database.run(f"INSERT INTO {name} VALUES ('acme', 1, 2, 3, 0, 5)")
    source = DatabaseSource(name="crm", table="Clients; of 2026", watermark="last change")
    assert read(database.address, source).of.watermark == "5"


def test_a_table_may_stand_in_a_schema(postgresql: Database) -> None:
    postgresql.run("CREATE SCHEMA sales", f"CREATE TABLE sales.clients ({TABLE})")
    assert read(postgresql.address, DatabaseSource(name="crm", table="sales.clients")).rows == []


# ---- queries


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM clients WHERE corporation LIKE 'ac%' AND corporation <> ':a:b \\ %s %(x)s'",
        "SELECT * FROM clients WHERE exited = 1;",
        "SELECT * FROM clients WHERE exited = 1 -- those who left",
        "WITH gone AS (SELECT * FROM clients WHERE exited = 1) SELECT * FROM gone",
    ],
)
def test_a_query_is_taken_as_it_is(filled: Database, query: str) -> None:
    assert read(filled.address, DatabaseSource(name="crm", query=query)).clients == ["acme"]


def test_a_query_may_cast(postgresql: Database) -> None:
    postgresql.run(f"CREATE TABLE clients ({TABLE}, changed text)")
    postgresql.insert("clients", [client("acme", changed="2026-01-31 12:00")])
    query = f"SELECT {', '.join(COLUMNS)}, changed::timestamp AS changed FROM clients"
    source = DatabaseSource(name="crm", query=query, watermark="changed")
    assert read(postgresql.address, source).of.watermark == "2026-01-31T12:00:00"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM clients",
        "DROP TABLE clients",
        "SELECT * FROM clients; DROP TABLE clients",
        "SELECT 1) AS delivered; COMMIT; DROP TABLE clients; --",
        "SELECT * FROM clients) AS delivered UNION DELETE FROM clients --",
        "WITH gone AS (DELETE FROM clients RETURNING *) SELECT * FROM gone",
    ],
)
def test_a_query_that_is_not_one_select_is_refused(filled: Database, query: str) -> None:
    assert "query" in refusal(filled.address, DatabaseSource(name="crm", query=query))
    assert len(read(filled.address).rows) == 2


def test_a_function_that_writes_is_stopped_by_the_transaction(postgresql: Database) -> None:
    postgresql.run(
        f"CREATE TABLE clients ({TABLE})",
        "CREATE FUNCTION empty() RETURNS SETOF clients LANGUAGE sql AS 'DELETE FROM clients RETURNING *'",
    )
    postgresql.insert("clients", [client("acme")])
    message = refusal(postgresql.address, DatabaseSource(name="crm", query="SELECT * FROM empty()"))
    assert "cannot execute DELETE in a read-only transaction" in message
    assert read(postgresql.address).clients == ["acme"]


# ---- watermarks

MARKS: dict[str, tuple[list[Any], str]] = {
    "int": ([1, 2, 2, 9], "9"),
    "bigint": ([-(2**63), 0, 2**62], str(2**62)),
    "numeric(30,10)": (["1.5", "12345678901234567890.0123456789"], "12345678901234567890.0123456789"),
    "double precision": ([0.1, 0.2, 1e300], "1e+300"),
    "date": ([date(2025, 12, 31), date(2026, 1, 31)], "2026-01-31"),
    "timestamp(6)": ([NOON, NOON + timedelta(microseconds=1)], "2026-01-31T12:00:00.123457"),
}


@pytest.mark.parametrize("kind", MARKS)
@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_the_watermark_is_the_greatest_value_to_the_last_digit(database: Database, kind: str) -> None:
    marks, expected = MARKS[kind]
    assert read(changing(database, kind, marks).address, SINCE).of.watermark == expected


@pytest.mark.parametrize("kind", MARKS)
@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_without_an_overlap_rows_of_the_last_watermark_are_read_again(database: Database, kind: str) -> None:
    marks, since = MARKS[kind]
    result = read(changing(database, kind, marks).address, SINCE, since)
    assert result.clients == [str(len(marks) - 1)]
    assert result.of.watermark == since


def test_a_time_with_a_zone_is_written_in_utc(postgresql: Database) -> None:
    postgresql.run("ALTER DATABASE postgres SET TimeZone = 'Asia/Tokyo'")
    result = read(changing(postgresql, "timestamptz", ["2026-01-31 12:00:00.000001-05"]).address, SINCE)
    assert result.of.watermark == "2026-01-31T17:00:00.000001+00:00"
    assert read(postgresql.address, SINCE, result.of.watermark).clients == ["0"]
    assert read(postgresql.address, SINCE, "2026-01-31T17:00:00.000002+00:00").clients == []


def test_what_a_query_makes_of_a_time_does_not_depend_on_the_zone_of_the_server(postgresql: Database) -> None:
    postgresql.run("ALTER DATABASE postgres SET TimeZone = 'Asia/Tokyo'")
    query = """SELECT (timestamptz '2026-01-31 12:00:00-05')::text AS corporation, 1 AS lastmonth_activity,
        2 AS lastyear_activity, 3 AS number_of_employees, 0 AS exited"""
    assert read(postgresql.address, DatabaseSource(name="crm", query=query)).clients == ["2026-01-31 17:00:00+00"]


@pytest.mark.parametrize(
    ("kind", "marks", "overlap", "expected"),
    [
        ("int", [1, 7, 8, 10], 2.5, ["1", "2", "3"]),
        ("numeric(9,2)", ["1", "7.49", "7.5", "10"], 2.5, ["2", "3"]),
        ("date", [date(2026, 1, day) for day in (1, 28, 29, 31)], 86_401, ["2", "3"]),
        ("timestamp(6)", [NOON - timedelta(seconds=back) for back in (9, 2.6, 2.5, 0)], 2.5, ["2", "3"]),
    ],
)
@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_rows_since_the_overlap_are_read_again(
    database: Database, kind: str, marks: list[Any], overlap: float, expected: list[str]
) -> None:
    source = DatabaseSource(name="crm", table="clients", watermark="changed", overlap=overlap)
    last = read(changing(database, kind, marks).address, source).of.watermark
    assert read(database.address, source, last).clients == expected


def test_rows_without_a_watermark_are_always_read_and_come_first(database: Database) -> None:
    changing(database, "int", [5, None, 1, None])
    assert read(database.address, SINCE, "5").clients == ["1", "3", "0"]


def test_rows_that_may_have_been_read_before_come_first_and_are_counted(database: Database) -> None:
    changing(database, "int", [5, None, 1, None, 6, 9])
    source = DatabaseSource(name="crm", table="clients", watermark="changed", overlap=2)
    assert [read(database.address, source, since).of.again for since in (None, "5", "6", "99")] == [0, 3, 4, 2]
    assert read(database.address, source, "2026-01-31").of.again == 6, "all of them, where the type has changed"


def test_a_table_without_any_watermark_keeps_the_last_one(database: Database) -> None:
    result = read(changing(database, "int", [None]).address, SINCE, "17")
    assert (result.clients, result.of.watermark) == (["0"], "17")


def test_the_watermark_never_moves_back(database: Database) -> None:
    """As when a replica that lags behind takes over: what it does not have yet will be read when it has."""
    source = DatabaseSource(name="crm", table="clients", watermark="changed", overlap=7)
    result = read(changing(database, "int", [1, 2, 3]).address, source, "9")
    assert (result.clients, result.of.watermark) == (["1", "2"], "9")
    database.insert("clients", [client("late", changed=9)])
    assert read(database.address, source, "9").clients == ["1", "2", "late"]


def test_a_watermark_in_the_future_hides_no_change(database: Database) -> None:
    changing(
        database,
        "timestamp(6)" if database.kind == "postgresql" else "datetime(6)",
        [NOON, datetime.fromisoformat("2999-01-01")],
    )
    result = read(database.address, SINCE)
    assert result.of.watermark == "2026-01-31T12:00:00.123456"
    assert result.of.notices == ("crm: 1 row has a watermark in the future, which is read again each time",)
    database.insert("clients", [client("next", changed=NOON + timedelta(hours=1))])
    assert set(read(database.address, SINCE, result.of.watermark).clients) >= {"next", "1"}


@pytest.mark.parametrize("since", ["2026-01-31", "20260131", "soon", "2026-01-31T12:00:00+00:00"])
@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_after_a_change_of_its_type_everything_is_read_again(database: Database, since: str) -> None:
    changing(database, "timestamp(6)", [NOON - timedelta(days=900), NOON])
    result = read(database.address, SINCE, since)
    assert result.clients == ["0", "1"]
    assert result.of.watermark == "2026-01-31T12:00:00.123456"
    assert "another type than before" in result.of.notices[0]


@pytest.mark.parametrize("kind", ["varchar(40)", "time", "boolean"])
def test_a_watermark_of_another_type_is_refused(postgresql: Database, kind: str) -> None:
    postgresql.run(f"CREATE TABLE clients ({TABLE}, changed {kind})")
    cell = {"varchar(40)": "'2026-01-31'", "time": "'12:00'", "boolean": "true"}[kind]
    postgresql.run(f"INSERT INTO clients VALUES ('acme', 1, 2, 3, 0, {cell})")
    assert "column changed: the watermark holds '" in refusal(postgresql.address, SINCE)


def test_a_watermark_column_that_is_not_there_is_named(filled: Database) -> None:
    filled.run("ALTER TABLE clients ADD COLUMN changed_at int")
    assert "column changed: there is no such column\nHint: did you mean 'changed_at'?" in refusal(filled.address, SINCE)


def test_a_watermark_needs_clients_that_can_be_told_apart(filled: Database) -> None:
    schema = Schema(
        columns=(Column(name="client", role="client", type="text"), *BRIEF_SCHEMA.columns[1:]), client_in_file=False
    )
    source = DatabaseSource(name="crm", table="clients", watermark="lastmonth_activity")
    with pytest.raises(ConfigurationError, match="cannot be told apart"):
        read(filled.address, source, schema=schema)


def test_a_watermark_may_be_a_column_of_the_schema(filled: Database) -> None:
    source = DatabaseSource(name="crm", table="clients", watermark="lastyear_activity")
    result = read(filled.address, source)
    assert (result.of.header, result.of.watermark) == (COLUMNS, "2")


# ---- watermarks of SQLite, which are texts where they are dates


@pytest.mark.parametrize(
    ("mark", "written"),
    [
        ("2026-01-31", "2026-01-31T00:00:00"),
        ("2026-01-31 12:00", "2026-01-31T12:00:00"),
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500000"),
        (1769860800, "1769860800"),
        (0.25, "0.25"),
    ],
)
def test_sqlite_keeps_dates_as_text_or_numbers(sqlite: Database, mark: object, written: str) -> None:
    result = read(changing(sqlite, "", [mark]).address, SINCE)
    assert result.of.watermark == written
    assert read(sqlite.address, SINCE, written).clients == ["0"]


def test_dates_as_text_are_read_from_the_day_of_the_overlap(sqlite: Database) -> None:
    marks = ["2026-01-29 23:00", "2026-01-30", "2026-01-30T01:00:00Z", "2026-01-30 23:00:00.5", "2026-01-31 00:30"]
    source = DatabaseSource(name="crm", table="clients", watermark="changed", overlap=3_600)
    last = read(changing(sqlite, "text", marks).address, source).of.watermark
    assert sorted(read(sqlite.address, source, last).clients) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("mark", ["31.01.2026", "2026-01-31 12:00+02:00", "2026-13-01", "", b"2026-01-31"])
@pytest.mark.parametrize("since", [None, "2026-01-30T00:00:00"])
def test_a_text_that_is_no_date_is_refused_however_old(sqlite: Database, mark: object, since: str | None) -> None:
    changing(sqlite, "", ["2026-01-31 12:00", mark])
    assert "the watermark holds '" in refusal(sqlite.address, SINCE, since)


@pytest.mark.parametrize("since", [None, "2026-01-30T00:00:00", "4"])
def test_dates_and_numbers_cannot_be_compared(sqlite: Database, since: str | None) -> None:
    changing(sqlite, "", ["2026-01-31 12:00", 5])
    assert "cannot be compared" in refusal(sqlite.address, SINCE, since)


SPELLINGS: dict[str, tuple[str, float, Callable[[int], object]]] = {
    "whole numbers": ("int", 3, lambda tick: tick),
    "decimals": ("real", 3, lambda tick: tick / 8),
    "dates": ("text", 3 * 86_400, lambda tick: f"{NEW_YEAR.date() + timedelta(days=tick)}"),
    "times": ("text", 3 * 3_600, lambda tick: f"{NEW_YEAR + timedelta(hours=tick)}"),
    "times with a T": (
        "text",
        3 * 3_600,
        lambda tick: f"{NEW_YEAR + timedelta(hours=tick):%Y-%m-%dT%H:%MZ}",
    ),
}
STEPS = st.one_of(
    st.just("read"),
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3)), st.integers(0, 99)),
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=25)
@given(steps=st.lists(STEPS, max_size=25))
def test_readings_since_the_watermark_see_every_change_whatever_the_cut(spelling: str, steps: list[Any]) -> None:
    """A change may become visible late, by no more than the overlap, or have no watermark at all."""
    kind, overlap, mark_at = SPELLINGS[spelling]
    source = DatabaseSource(name="crm", table="clients", watermark="changed", overlap=overlap)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "company.db")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"CREATE TABLE clients (corporation PRIMARY KEY, {TABLE.split(', ', 1)[1]}, changed {kind})")
        known: dict[str, int] = {}
        since: str | None = None
        clock = 3
        for step in [*steps, "read"]:
            if step == "read":
                result = read(DatabaseAddress(url=f"sqlite:///{path}"), source, since)
                known |= {row["corporation"]: row["lastmonth_activity"] for row in result.rows}
                since = result.of.watermark
            else:
                name, passed, late, activity = step
                clock += passed
                mark = None if late is None else mark_at(clock - late)
                row = (f"client {name}", activity, 0, 0, 0, mark)
                connection.execute("REPLACE INTO clients VALUES (?, ?, ?, ?, ?, ?)", row)
                connection.commit()
        expected = dict(connection.execute("SELECT corporation, lastmonth_activity FROM clients").fetchall())
        connection.close()
    assert known == expected


# ---- one snapshot


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("source", [CRM, SINCE])
def test_a_reading_does_not_see_what_is_written_meanwhile(
    database: Database, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("FIRST_FETCH", 2), ("LARGEST_FETCH", 3)):
        monkeypatch.setattr(database_module, name, size)
    changing(database, "int", range(20))
    found = []
    with DatabaseRead(source, database.address, BRIEF_SCHEMA) as reading:
        for place, batch in enumerate(reading):
            found += batch.rows.to_pylist()
            database.insert("clients", [client(f"new {place}", changed=100 + place)])
            database.run("UPDATE clients SET lastmonth_activity = 99, changed = changed + 100 WHERE changed < 100")
    assert sorted(int(row["corporation"]) for row in found) == list(range(20))
    assert {row["lastmonth_activity"] for row in found} == {1}
    assert reading.watermark in {None, "19"}


def test_sqlite_readers_see_one_snapshot_beside_a_writer(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "FIRST_FETCH", 2)
    sqlite.run("PRAGMA journal_mode = WAL")
    changing(sqlite, "int", range(20))
    found = []
    with DatabaseRead(SINCE, sqlite.address, BRIEF_SCHEMA) as reading:
        for batch in reading:
            found += batch.rows.to_pylist()
            sqlite.run("UPDATE clients SET lastmonth_activity = 99, changed = changed + 100")
    assert {row["lastmonth_activity"] for row in found} == {1}
    assert reading.watermark == "19"


def test_rows_are_fetched_a_few_at_a_time(postgresql: Database) -> None:
    """A table of a thousand million rows gives its first ones at once, and the others are not waited for."""
    query = "SELECT 'c' || generate_series(1, 1000000000) AS corporation, 1 AS lastmonth_activity, 2 AS lastyear_activity, 3 AS number_of_employees, 0 AS exited"  # noqa: E501
    with DatabaseRead(DatabaseSource(name="crm", query=query), postgresql.address, BRIEF_SCHEMA) as reading:
        first = next(iter(reading))
    assert first.rows.num_rows == database_module.FIRST_FETCH


def test_long_rows_are_fetched_fewer_at_a_time(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "FIRST_FETCH", 2)
    monkeypatch.setattr(database_module, "BATCH_BYTES", 5_000)
    sqlite.run(f"CREATE TABLE clients ({TABLE})")
    sqlite.insert("clients", [client("x" * 1_000)] * 10)
    with DatabaseRead(CRM, sqlite.address, BRIEF_SCHEMA) as reading:
        sizes = [batch.rows.num_rows for batch in reading]
    assert sizes[0] == 2
    assert max(sizes) <= 5
    assert sum(sizes) == 10


# ---- digests


def test_the_same_rows_have_the_same_digest_in_any_order(database: Database) -> None:
    database.run(f"CREATE TABLE clients ({TABLE})", f"CREATE TABLE others ({TABLE})")
    rows = [client(str(number), number % 2) for number in range(50)]
    database.insert("clients", rows)
    database.insert("others", rows[::-1])
    assert (
        read(database.address).of.digest == read(database.address, DatabaseSource(name="x", table="others")).of.digest
    )


def test_a_changed_value_changes_the_digest(filled: Database) -> None:
    before = read(filled.address).of.digest
    filled.run("UPDATE clients SET lastmonth_activity = 7 WHERE corporation = 'acme'")
    assert read(filled.address).of.digest != before


def test_a_row_changed_there_and_back_has_another_digest(database: Database) -> None:
    """Its watermark tells: otherwise the change back would pass for a delivery that was taken before."""
    before = read(changing(database, "int", [1]).address, SINCE).of.digest
    database.run("UPDATE clients SET changed = 2")
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert read(database.address, SINCE).of.digest != before
