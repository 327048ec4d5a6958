"""What PostgreSQL writes by COPY: the very texts that its driver's objects would become; odd dates refuse one row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from holdfast.errors import FileRefused
from holdfast.schema import BRIEF_SCHEMA, Column, Schema
from holdfast.sourcelist import DatabaseSource
from holdfast.sources.database import DatabaseRead
from holdfast.sources.fetched import texts_of
from holdfast.sources.parsed import ParsedBatch
from holdfast.sources.postgresql import Copied, Copying, Type
from holdfast.sources.watermark import Mark

if TYPE_CHECKING:
    from tests.real_databases import Database

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
BOOLEANS = ("yes", "no")
REST = "1 AS lastmonth_activity, 2 AS lastyear_activity, 3 AS number_of_employees, 0 AS exited"
JOINED = Column(name="joined", role="time", type="date")
DATED = Schema(columns=(*BRIEF_SCHEMA.columns[:-1], JOINED, BRIEF_SCHEMA.target))

CELLS = {
    "boolean": ["true", "false"],
    "smallint": ["-32768", "0", "7"],
    "integer": ["-2147483648", "12"],
    "bigint": ["-9223372036854775808", "9007199254740993"],
    "numeric": ["0", "1.50", "12.00", "-0.0000000001", "123456789012345678901234567890.5", "1e30", "Infinity"],
    "numeric(12,4)": ["0", "1.5", "-7"],
    "real": ["0.1", "1e10", "NaN", "-Infinity", "16777217"],
    "double precision": ["0.1", "12", "-0.0", "1e15", "9007199254740992", "1e300", "5e-324", "NaN", "Infinity"],
    "text": ["", " a ", "a,b", 'say "no"', "two\nlines", "\r", "\\.", "\ufeffmark", "tab\there", "ü🦊", "NULL", "t"],
    "varchar(20)": ["", "a", "\\N"],
    "char(4)": ["ab"],
    "name": ["pg_class"],
    "date": ["2026-01-31", "0001-01-01", "9999-12-31"],
    "timestamp": ["2026-01-31", "2026-01-31 12:30", "2026-01-31 23:59:59.5", "2026-01-31 00:00:00.000001"],
    "timestamp(0)": ["2026-01-31", "2026-01-31 12:30:10"],
    "timestamptz": ["2026-01-31 23:30-05", "2026-01-31 00:00+00", "2026-01-31 12:30:10.25+00"],
    "uuid": ["0B9A6AD8-3ad9-4f0a-9a3f-6a3f0b9a6ad8"],
    "bytea": ["caf\u00e9", ""],
    "json": ["12", '"acme"', "null", "1.5"],
    "jsonb": ["12", '"acme"', "true"],
    "money": ["12.50"],
    "mood": ["glad", "sad"],
}
"""Of each type, cells as SQL writes them."""
REFUSED = {
    "integer[]": "{1,2}",
    "time": "12:00",
    "interval": "1 day",
    "int4range": "[1,2)",
    "inet": "127.0.0.1",
    "json": '{"a": 1}',
    "bytea": r"\xff",
}


@pytest.fixture
def driver(postgresql: Database) -> Iterator[Any]:
    """A connection of the driver."""
    connection = postgresql.engine().raw_connection()
    yield connection.driver_connection
    connection.close()


def copied(driver: Any, kind: str, cells: list[str]) -> Copied:
    numbers = [driver.execute(f"SELECT NULL::{kind}").description[0].type_code]
    [column] = Copying(driver, selected(kind, cells), numbers).fetch(99)
    assert isinstance(column, Copied)
    return column


def selected(kind: str, cells: list[str]) -> str:
    written = ", ".join(f"({place}, {literal(cell)})" for place, cell in enumerate([*cells, None]))
    return f"SELECT cell::{kind} FROM (VALUES {written}) AS given (place, cell) ORDER BY place"


def literal(cell: str | None) -> str:
    return "NULL" if cell is None else "'" + cell.replace("'", "''") + "'"


@pytest.mark.parametrize("kind", CELLS)
def test_copied_cells_are_the_texts_of_the_objects_that_the_driver_makes(driver: Any, kind: str) -> None:
    driver.execute("CREATE TYPE mood AS ENUM ('glad', 'sad'); SET TIME ZONE 'UTC'")
    objects = [row[0] for row in driver.execute(selected(kind, CELLS[kind]))]
    texts = copied(driver, kind, CELLS[kind]).texts("visits", "crm", BOOLEANS)
    assert texts.to_pylist() == texts_of(objects, "visits", "crm", BOOLEANS).to_pylist()


def test_a_decimal_that_is_no_number_is_empty_as_a_floating_point_one_is(driver: Any) -> None:
    texts = [copied(driver, kind, ["NaN", "1"]).texts("visits", "crm", BOOLEANS) for kind in ("numeric", "float8")]
    assert [column.to_pylist() for column in texts] == [["", "1", ""]] * 2


@pytest.mark.parametrize("kind", REFUSED)
def test_cells_that_are_no_single_value_are_refused_unless_all_are_empty(driver: Any, kind: str) -> None:
    assert copied(driver, kind, []).texts("visits", "crm", BOOLEANS).to_pylist() == [""]
    with pytest.raises(FileRefused) as caught:
        copied(driver, kind, [REFUSED[kind]]).texts("visits", "crm", BOOLEANS)
    assert caught.value.column == "visits"


def test_text_that_is_not_utf8_is_refused(postgresql: Database) -> None:
    with postgresql.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS odd")
        connection.exec_driver_sql("CREATE DATABASE odd ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    url = sa.make_url(postgresql.url).set(database="odd").render_as_string(hide_password=False)
    address = type(postgresql)("postgresql", url).address
    query = rf"SELECT convert_from('\x636166e9', 'SQL_ASCII') AS corporation, {REST}"
    with (
        pytest.raises(FileRefused, match="holds a value that cannot be read"),
        DatabaseRead(DatabaseSource(name="crm", query=query), address, BRIEF_SCHEMA) as reading,
    ):
        list(reading)


# ---- dates beyond those of Python

ODD_DATES = ("infinity", "-infinity", "0044-03-15 BC", "20000-01-01")


def dated(database: Database, kind: str) -> ParsedBatch:
    cells = ", ".join(f"('{cell}')" for cell in ("2026-01-31", *ODD_DATES))
    query = f"SELECT cell AS corporation, {REST}, cell::{kind} AS joined FROM (VALUES {cells}) AS given (cell)"
    with DatabaseRead(DatabaseSource(name="crm", query=query), database.address, DATED) as reading:
        [batch] = reading
    return batch


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_a_date_that_python_cannot_hold_refuses_its_row_alone_with_its_text(postgresql: Database, kind: str) -> None:
    batch = dated(postgresql, kind)
    assert batch.rows.column("corporation").to_pylist() == ["2026-01-31"]
    assert [(row.column, row.rule) for row in batch.rejected] == [("joined", "not a date like 2026-01-31")] * 4
    for row, cell in zip(batch.rejected, ODD_DATES, strict=True):
        assert row.text.startswith(f"{cell},1,2,3,0,{cell.removesuffix(' BC')}")


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_watermarks_beyond_all_dates_hide_no_change(postgresql: Database, kind: str) -> None:
    postgresql.run(f"CREATE TABLE clients AS SELECT 'x'::text AS corporation, {REST}, NULL::{kind} AS changed LIMIT 0")
    for cell in ("2026-01-31", *ODD_DATES):
        postgresql.run(f"INSERT INTO clients SELECT '{cell}', {REST}, '{cell}'")
    source = DatabaseSource(name="crm", table="clients", watermark="changed", overlap=0)
    with DatabaseRead(source, postgresql.address, BRIEF_SCHEMA) as reading:
        [batch] = reading
    assert batch.rows.num_rows == 5
    assert reading.watermark is not None
    assert reading.watermark.startswith("2026-01-31")
    [notice] = reading.notices
    assert notice.startswith("crm: 2 rows have a watermark in the future")
    with DatabaseRead(source, postgresql.address, BRIEF_SCHEMA, reading.watermark) as again:
        [batch] = again
    assert set(batch.rows.column("corporation").to_pylist()) == {"2026-01-31", "infinity", "20000-01-01"}


@pytest.mark.parametrize(
    ("number", "cells", "expected"),
    [
        (20, ["", "3", "4"], (4, 0)),
        (701, [None, 1.5, float("inf"), float("nan")], (1.5, 2)),
        (701, [float("-inf")], (None, 0)),
        (1082, ["2026-01-31", "2026-02-05", "infinity"], ("2026-01-31", 2)),
        (1082, ["", ""], (None, 0)),
        (1082, ["-infinity"], (None, 0)),
        (1082, ["infinity"], (None, 1)),
        (1082, [], (None, 0)),
    ],
)
def test_the_greatest_watermark_is_the_last_that_is_not_in_the_future(
    number: int, cells: list[Any], expected: tuple[object, int]
) -> None:
    most, after = Copied(pa.array(cells), Type(number, "any")).greatest(NOW)
    assert (str(most) if number == 1082 and most else most, after) == expected


@pytest.mark.parametrize(
    ("number", "cells", "mark", "expected"),
    [
        (20, ["", "3", "4", "9"], 4, 3),
        (20, [], 4, 0),
        (1082, ["", "-infinity", "0044-03-15 BC", "2026-01-31", "infinity"], date(2026, 1, 31), 4),
        (1082, ["2026-01-31", "20000-01-01"], date(2026, 1, 30), 0),
        (701, [None, 1.5, float("nan")], 2.0, 2),
    ],
)
def test_rows_until_a_watermark_are_those_up_to_the_last_without_a_later_one(
    number: int, cells: list[Any], mark: Mark, expected: int
) -> None:
    assert Copied(pa.array(cells), Type(number, "any")).until(mark) == expected
