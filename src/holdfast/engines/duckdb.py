"""The default engine: DuckDB, inside this process, with memory that does not grow with the rows."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import accumulate, chain
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.engines.base import Arrival, View
from holdfast.engines.progress import watched
from holdfast.engines.sql import quoted
from holdfast.engines.summary import summarise_relation
from holdfast.errors import CannotWrite, InputOutputError, from_os_error
from holdfast.machine import cores
from holdfast.progress import Progress, silent
from holdfast.records import ColumnSummary, Occurrence
from holdfast.schema import DELIVERY, LINE, Column, Schema

BATCH_ROWS = 100_000
MEMORY = "500MB"
MOST_ROWS = 2**62
FEW = 1_000_000
"""So many rows are compared with each other in no time."""
MOST_BITS = 1_000_000_000
"""More than these DuckDB does not aggregate."""
OUT = "(duplicate OR conflicting OR replaced_by IS NOT NULL)"
"""What `_judge` says of the rows that do not count."""

SQL_TYPES = {
    "text": "VARCHAR",
    "category": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "date": "DATE",
    "label": "TINYINT",
}


FAILURES = (duckdb.Error, pa.ArrowException, OSError, UnicodeDecodeError, RuntimeError)
"""What DuckDB raises over a damaged file, itself or through Arrow; the last two when even the message is no text."""


class DuckDBEngine:
    """One connection with its own spill folder, made in `spill_in` or where the system keeps temporary files.

    What it worked out about a view, it keeps until it is closed. `progress` is told how far long queries are.
    """

    def __init__(self, spill_in: Path | None = None, progress: Progress = silent) -> None:
        self._progress = progress
        self._spill = Path(tempfile.mkdtemp(prefix="spill-", dir=spill_in))
        self._connection = duckdb.connect(
            config={
                "temp_directory": str(self._spill),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "memory_limit": MEMORY,
                "threads": cores(),
            }
        )
        # Cells such as 1e400 and dates must read the same on every machine. The bar is drawn by others.
        settings = "SET TimeZone = 'UTC'; SET enable_progress_bar = true; SET enable_progress_bar_print = false"
        self._connection.execute(settings)
        self._judged: dict[tuple[View, int], str] = {}

    def __enter__(self) -> DuckDBEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def arrivals(self, view: View, since: int = 0) -> tuple[Arrival, ...]:
        """What each delivery numbered `since` or higher did to the view, in order of arrival."""
        target, new = quoted(view.schema.target.name), _rows(view, since)
        judged = self._judge(view, since)
        rows = self._all(
            f"WITH delivered AS (SELECT {DELIVERY} AS d, count(*) AS n, count(*) FILTER ({target} = 1) AS exited, "
            f"count(*) - count({target}) AS unlabelled FROM {new} GROUP BY {DELIVERY}), "
            "changes AS ("
            # A row that stays out takes its label with it; a replaced one is taken back by the delivery that did so.
            f"SELECT d, duplicate, conflicting, false AS replaced, label FROM {judged} "
            f"WHERE d >= {since} AND (duplicate OR conflicting) "
            f"UNION ALL SELECT replaced_by, false, false, true, label FROM {judged} WHERE replaced_by >= {since}), "
            "changed AS (SELECT d, count(*) FILTER (duplicate) AS duplicate, count(*) FILTER (conflicting) AS "
            "conflicting, count(*) FILTER (replaced) AS replaced, count(*) FILTER (label = 1) AS exited, "
            "count(*) - count(label) AS unlabelled FROM changes GROUP BY d) "
            "SELECT d, n, coalesce(duplicate, 0), coalesce(conflicting, 0), coalesce(replaced, 0), "
            "delivered.exited - coalesce(changed.exited, 0), delivered.unlabelled - coalesce(changed.unlabelled, 0) "
            "FROM delivered LEFT JOIN changed USING (d) ORDER BY d"
        )
        names = ("delivery", "rows", "duplicate", "conflicting", "replaced", "exited", "unlabelled")
        return tuple(Arrival(**dict(zip(names, row, strict=True))) for row in rows)

    def contradictions(self, view: View, since: int = 0) -> Iterator[pa.RecordBatch]:
        """The conflicting rows that arrived `since`, and where the rows stand that they contradict."""
        yield from self._batches(
            f"SELECT {_names(view.schema, 'r')}, {DELIVERY}, {LINE}, j.first_d AS _first_delivery, j.first_l AS "
            f"_first_line FROM {_rows(view, since)} r JOIN {self._judge(view, since)} j ON j.d = {DELIVERY} AND "
            f"j.l = {LINE} WHERE j.conflicting ORDER BY {DELIVERY}, {LINE}"
        )

    def write_csv(self, view: View, destination: Path, since: int = 0) -> None:
        """Write the view's rows with a header and no index, in order of arrival; or only those arrived `since`."""
        columns = ", ".join(_written(column) for column in view.schema.columns)
        query = f"SELECT {columns} FROM {self._in_order(view, since)}"
        dialect = f"FORMAT csv, HEADER {not since}, DELIMITER ',', QUOTE '\"', ESCAPE '\"'"
        with _explained(writing=True), self._watched("writing rows", view, since):
            self._connection.execute(f"COPY ({query}) TO {_text(str(destination))} ({dialect})")

    def distinct(self, view: View, deliveries: frozenset[int], without: View) -> Iterator[pa.RecordBatch]:
        """The rows that the view has from some deliveries and that are not in `without`, in order of arrival."""
        names = view.schema.names
        same = " AND ".join(f"old.{quoted(c)} IS NOT DISTINCT FROM new.{quoted(c)}" for c in names)
        numbers = ", ".join(map(str, sorted(deliveries))) or "NULL"
        others = _rows(without) if without.conflicts == "keep" else self._survivors(without)
        yield from self._batches(
            f"SELECT {_names(view.schema)} FROM {self._survivors(view)} new WHERE {DELIVERY} IN ({numbers}) AND NOT "
            f"EXISTS (SELECT 1 FROM {others} old WHERE {same}) ORDER BY {DELIVERY}, {LINE}"
        )

    def overtaken(self, view: View, delivery: int, later: frozenset[int]) -> Iterator[pa.RecordBatch]:
        """The rows of a delivery whose key a row of the `later` ones has too, and the latest of those."""
        same = " AND ".join(f"old.{quoted(c)} IS NOT DISTINCT FROM new.{quoted(c)}" for c in view.key)
        numbers, rows = ", ".join(map(str, sorted(later))) or "NULL", _rows(view)
        yield from self._batches(
            f"SELECT old.{LINE}, max(new.{DELIVERY}) AS {DELIVERY} FROM {rows} old JOIN {rows} new ON {same} "
            f"WHERE old.{DELIVERY} = {delivery} AND new.{DELIVERY} IN ({numbers}) GROUP BY old.{LINE} ORDER BY ALL"
        )

    def newest(self, view: View) -> Iterator[pa.RecordBatch]:
        """The newest row of each client: by the time column where there is one, then by arrival."""
        client = quoted(view.schema.client.name)
        time = f"{quoted(view.schema.time.name)} DESC NULLS LAST, " if view.schema.time else ""
        # A replaced row loses against its successor here in any case, and a row that arrives again is new again.
        rows = self._survivors(view) if view.conflicts == "quarantine" else _rows(view)
        yield from self._batches(
            f"SELECT {_names(view.schema)} FROM {rows} QUALIFY row_number() OVER "
            f"(PARTITION BY {client} ORDER BY {time}{DELIVERY} DESC, {LINE} DESC) = 1 ORDER BY {client}"
        )

    def summarise(self, view: View) -> tuple[ColumnSummary, ...]:
        """Statistics of every column of the view, exact at any size."""
        with _explained(), self._watched("summarising rows", view):
            return summarise_relation(self._connection, self._survivors(view), view.schema)

    def rewrite(self, view: View, destination: Path) -> int:
        """Write all rows of the view's deliveries, duplicates too, as one part; returns their number."""
        rows, expected = 0, self._count(view)
        batches = self._batches(f"SELECT * FROM {_rows(view)}")
        first = next(batches)
        try:
            with pq.ParquetWriter(destination, first.schema, compression="zstd") as writer:
                for batch in chain([first], batches):
                    writer.write_batch(batch)
                    rows += batch.num_rows
                    self._progress("merging files", rows, expected)
        except OSError as error:
            raise from_os_error(error, "write", str(destination)) from error
        return rows

    def occurrences(self, view: View, *, client: str | None = None, row: int | None = None) -> tuple[Occurrence, ...]:
        """Where the rows of a client, or the `row`-th row of the view (from 1), were delivered, in that order."""
        names, rows = view.schema.names, _rows(view)
        if client is not None:
            wanted = f"{quoted(view.schema.client.name)} = {_text(client)}"
        else:
            if row is None or not 1 <= row <= MOST_ROWS:
                return ()
            picked = self._all(f"SELECT {_names(view.schema)} FROM {self._in_order(view)} LIMIT 1 OFFSET {row - 1}")
            if not picked:
                return ()
            wanted = " AND ".join(
                f"{quoted(name)} IS NOT DISTINCT FROM {_literal(value)}"
                for name, value in zip(names, picked[0], strict=True)
            )
        found = self._all(
            f"SELECT {DELIVERY}, {LINE}, coalesce(j.duplicate, false), coalesce(j.conflicting, false), j.replaced_by, "
            f"{_names(view.schema, 'r')} FROM (SELECT * FROM {rows} WHERE {wanted}) r LEFT JOIN "
            f"{self._judge(view, 0)} j ON j.d = {DELIVERY} AND j.l = {LINE} ORDER BY {DELIVERY}, {LINE}"
        )
        return tuple(_occurrence(names, each) for each in found)

    # ---- views

    def _survivors(self, view: View, since: int = 0) -> str:
        """The rows that count, as a table of SQL, in any order."""
        return (
            f"(SELECT r.* FROM {_rows(view, since)} r ANTI JOIN (SELECT d, l FROM {self._judge(view, since)} "
            f"WHERE {OUT}) j ON j.d = {DELIVERY} AND j.l = {LINE})"
        )

    def _in_order(self, view: View, since: int = 0) -> str:
        """The rows that count, as a table of SQL, in order of arrival.

        A join does not keep the order of rows, a filter does: the lines that do not count are bits in a row of bits.
        """
        rows, out = _rows(view, since), f"{self._judge(view, since)} WHERE {OUT} AND d >= {since}"
        if not self._all(f"SELECT 1 FROM {out} LIMIT 1"):
            return rows
        lines = dict(self._all(f"SELECT {DELIVERY}, 1 + max({LINE}) FROM {rows} GROUP BY {DELIVERY}"))
        first = list(accumulate((lines.get(delivery, 0) for delivery in range(max(lines) + 1)), initial=0))
        if first[-1] > MOST_BITS:
            return f"(SELECT * FROM {self._survivors(view, since)} ORDER BY {DELIVERY}, {LINE})"
        with _explained():
            self._connection.execute(f"SET VARIABLE first_bits = {first}")
            place = "getvariable('first_bits')[1 + {}] + {}"
            bits = f"SELECT bitstring_agg({place.format('d', 'l')}, 0, {first[-1]}) FROM {out}"
            self._connection.execute(f"SET VARIABLE out_bits = ({bits})")
        place = f"({place.format(DELIVERY, LINE)})::INTEGER"
        return f"(SELECT * FROM {rows} WHERE get_bit(getvariable('out_bits'), {place}) = 0)"

    def _judge(self, view: View, since: int) -> str:
        """A table of the rows that share their key with others: duplicate, conflicting, replaced by which delivery.

        `since` leaves out keys that no delivery from there on has. First the keys' hashes are counted, which takes
        little memory; then only rows whose hash is suspect are compared, which is exact.
        """
        if (view, since) not in self._judged:
            name = f"judged_{len(self._judged)}"
            with _explained(), self._watched("comparing rows", view):
                hashed = self._suspect(view, since)
                # Not a temporary table, which the cursors of `_batches` would not see.
                self._connection.execute(f"CREATE TABLE {name} AS {_judgement(view, hashed)}")
                self._connection.execute("DROP TABLE suspects")
            self._judged[view, since] = name
        return self._judged[view, since]

    def _suspect(self, view: View, since: int) -> str:
        """Make the table `suspects`, and say which columns its hashes are of.

        Hashing the client alone is cheaper and finds few where few clients repeat; else the whole key is hashed.
        """
        client = quoted(view.schema.client.name)
        key = ", ".join(quoted(name) for name in view.key)
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE suspects AS {_suspects(view, since, client)}")
        if key == client or self._all("SELECT coalesce(sum(n), 0) FROM suspects")[0][0] < FEW:
            return client
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE suspects AS {_suspects(view, since, key)}")
        return key

    def _watched(self, what: str, view: View, since: int = 0) -> AbstractContextManager[None]:
        if self._progress is silent:
            return nullcontext()
        return watched(self._connection, self._progress, what, self._count(view, since))

    def _count(self, view: View, since: int = 0) -> int:
        return int(self._all(f"SELECT count(*) FROM {_rows(view, since)}")[0][0])

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        with _explained():
            return self._connection.execute(query).fetchall()

    def _batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """The answer, a batch at a time; one empty batch when there is no row."""
        with _explained():
            answer = self._connection.cursor().sql(query).to_arrow_reader(BATCH_ROWS)
            empty = True
            for batch in answer:
                yield batch
                empty = False
            if empty:
                yield pa.RecordBatch.from_pylist([], answer.schema)


def _suspects(view: View, since: int, hashed: str) -> str:
    """The hashes of columns in which more than one row agrees, one of them arrived `since`, and how many do."""

    def counted(hashes: str) -> str:
        return f"SELECT h, count(*) AS n FROM ({hashes}) GROUP BY h"

    hashes = f"SELECT hash({hashed}) AS h FROM {_rows(view, since)}"
    if not since:
        return f"{counted(hashes)} HAVING count(*) > 1"
    old = f"SELECT h FROM (SELECT hash({hashed}) AS h FROM {_rows(view)} WHERE {DELIVERY} < {since})"
    return (
        f"WITH fresh AS ({counted(hashes)}), met AS ({counted(f'{old} WHERE h IN (SELECT h FROM fresh)')}), "
        "together AS (SELECT h, fresh.n + coalesce(met.n, 0) AS n FROM fresh LEFT JOIN met USING (h)) "
        "SELECT h, n FROM together WHERE n > 1"
    )


def _judgement(view: View, hashed: str) -> str:
    """The query whose answer `_judge` keeps: rows whose hash is among the suspects, compared with each other.

    Columns are known by their numbers here: nothing that is counted can have the name of one of them.
    """
    schema = view.schema
    numbers = {name: f"c{number}" for number, name in enumerate(schema.names)}
    key = ", ".join(numbers[name] for name in view.key)
    same = f"row_number() OVER (PARTITION BY {', '.join(numbers.values())} ORDER BY d, l) > 1"
    if view.conflicts == "latest":
        others = [numbers[name] for name in schema.names if name not in view.key]
        same = " AND ".join(["place > 1", *(f"{c} IS NOT DISTINCT FROM lag({c}) OVER arrived" for c in others)])
    conflicting = "place > 1 AND NOT same" if view.conflicts == "quarantine" else "false"
    next_one = f"CASE WHEN NOT same THEN lead(d) OVER (PARTITION BY same, {key} ORDER BY d, l) END"
    columns = ", ".join(f"{quoted(name)} AS {number}" for name, number in numbers.items())
    return (
        f"WITH suspect AS (SELECT {columns}, {DELIVERY} AS d, {LINE} AS l FROM (SELECT * FROM {_rows(view)} "
        f"WHERE hash({hashed}) IN (SELECT h FROM suspects))), "
        f"placed AS (SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY d, l) AS place FROM suspect), "
        f"compared AS (SELECT *, {same} AS same, first_value(d) OVER arrived AS first_d, first_value(l) OVER arrived "
        f"AS first_l FROM placed WINDOW arrived AS (PARTITION BY {key} ORDER BY d, l)) "
        f"SELECT d, l, same AS duplicate, {conflicting} AS conflicting, first_d, first_l, "
        f"{next_one if view.conflicts == 'latest' else 'NULL::BIGINT'} AS replaced_by, "
        f"{numbers[schema.target.name]} AS label FROM compared"
    )


@contextmanager
def _explained(*, writing: bool = False) -> Iterator[None]:
    """What the disk, the memory or a damaged file did to DuckDB, as an error of ours."""
    try:
        yield
    except FAILURES as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        hint = "check that the disk has space and that the files of the output folder are whole"
        if writing and isinstance(error, duckdb.IOException):
            raise CannotWrite(f"the dataset cannot be written: {reason}", hint=hint) from error
        raise InputOutputError(f"the dataset cannot be read: {reason}", hint=hint) from error


def _rows(view: View, since: int = 0) -> str:
    """All rows of a view's deliveries, or those arrived `since`, as a table of SQL."""
    table = _table(view.parts, view.schema)
    conditions = [f"{DELIVERY} >= {since}"] if since else []
    conditions += [f"{DELIVERY} NOT IN ({', '.join(map(str, sorted(view.without)))})"] if view.without else []
    return f"(SELECT * FROM {table} WHERE {' AND '.join(conditions)})" if conditions else table


def _table(parts: tuple[Path, ...], schema: Schema) -> str:
    if not parts:
        nothing = [f"NULL::{SQL_TYPES[column.type]} AS {quoted(column.name)}" for column in schema.columns]
        nothing += [f"NULL::BIGINT AS {name}" for name in (DELIVERY, LINE)]
        return f"(SELECT {', '.join(nothing)} WHERE false)"
    # A folder called k=v is not a column, and one called [2026]* is no pattern.
    paths = ", ".join(_text(re.sub(r"[*?[]", r"[\g<0>]", str(part))) for part in parts)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def _written(column: Column) -> str:
    """A column as finaldata.csv shows it: labels in the words of the table that they came from."""
    name = quoted(column.name)
    if column.type != "label" or (column.exited, column.stayed) == ("1", "0"):
        return name
    return f"CASE {name} WHEN 1 THEN {_text(column.exited)} WHEN 0 THEN {_text(column.stayed)} END AS {name}"


def _occurrence(names: tuple[str, ...], row: tuple[Any, ...]) -> Occurrence:
    delivery, line, duplicate, conflicting, replaced_by, *values = row
    return Occurrence(
        delivery=delivery,
        line=line,
        state="duplicate" if duplicate else "conflicting" if conflicting else "replaced" if replaced_by else "current",
        replaced_by=replaced_by,
        values={name: None if value is None else str(value) for name, value in zip(names, values, strict=True)},
    )


def _literal(value: Any) -> str:
    return "NULL" if value is None else repr(value) + "::DOUBLE" if isinstance(value, float) else _text(str(value))


def _names(schema: Schema, table: str = "") -> str:
    return ", ".join(f"{table}.{quoted(name)}" if table else quoted(name) for name in schema.names)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
