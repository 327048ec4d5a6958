"""The default engine: DuckDB, inside this process, with memory that does not grow with the rows."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from holdfast.engines.arrays import as_arrow, as_numpy
from holdfast.engines.base import Arrival, View
from holdfast.engines.csvlines import csv_lines
from holdfast.engines.judging import hash_of, hashes, judgement, rows_of, settled
from holdfast.engines.progress import watched
from holdfast.engines.repeating import repeating
from holdfast.engines.sql import quoted, text
from holdfast.engines.summary import summarise_relation
from holdfast.errors import CannotWrite, InputOutputError, from_os_error
from holdfast.machine import cores
from holdfast.progress import Progress, silent
from holdfast.records import ColumnSummary, Occurrence
from holdfast.schema import DELIVERY, LINE, Column, Schema

BATCH_ROWS = 100_000
LINES_AT_ONCE = 16_384
"""Fewer than in other batches: a note of many kilobytes may stand in each, and is copied several times."""
MEMORY = "500MB"
MOST_ROWS = 2**62
FEW = 1_000_000
"""So many rows are compared with each other in no time."""
HASHES_AT_ONCE = 1 << 25
"""So many hashes are sorted at once, 4 bytes each; of more rows the hashes are looked at in shares."""
MOST_BITS = 1_000_000_000
"""So many lines are told apart by a bit each; where there are more, rows are sorted."""
OUT = "(duplicate OR conflicting OR replaced_by IS NOT NULL)"
"""What `judgement` says of the rows that do not count."""

FULL = os.strerror(errno.ENOSPC)

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
        target, new = quoted(view.schema.target.name), rows_of(view, since)
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
            f"_first_line FROM {rows_of(view, since)} r JOIN {self._judge(view, since)} j ON j.d = {DELIVERY} AND "
            f"j.l = {LINE} WHERE j.conflicting ORDER BY {DELIVERY}, {LINE}"
        )

    def write_csv(self, view: View, destination: Path, since: int = 0) -> None:
        """Write the view's rows with a header and no index, in order of arrival; or only those arrived `since`."""
        columns = ", ".join(_written(column) for column in view.schema.columns)
        rows, expected = 0, self._count(view, since)
        try:
            with destination.open("wb") as file:
                if not since:
                    file.write(csv_lines(next(self._batches(f"SELECT {', '.join(map(text, view.schema.names))}"))))
                for batch in self._in_order(view, columns, since):
                    file.write(csv_lines(batch))
                    rows += batch.num_rows
                    self._progress("writing rows", rows, expected)
        except OSError as error:
            raise _not_written(error, destination) from error

    def distinct(self, view: View, deliveries: frozenset[int], without: View) -> Iterator[pa.RecordBatch]:
        """The rows that the view has from some deliveries and that are not in `without`, in order of arrival."""
        names = view.schema.names
        same = " AND ".join(f"old.{quoted(c)} IS NOT DISTINCT FROM new.{quoted(c)}" for c in names)
        numbers = ", ".join(map(str, sorted(deliveries))) or "NULL"
        as_delivered = without.conflicts == "keep" and not without.settled
        others = rows_of(without) if as_delivered else self._survivors(without)
        yield from self._batches(
            f"SELECT {_names(view.schema)} FROM {self._survivors(view)} new WHERE {DELIVERY} IN ({numbers}) AND NOT "
            f"EXISTS (SELECT 1 FROM {others} old WHERE {same}) ORDER BY {DELIVERY}, {LINE}"
        )

    def overtaken(self, view: View, delivery: int, later: frozenset[int]) -> Iterator[pa.RecordBatch]:
        """The rows of a delivery whose key a row of the `later` ones has too, and the latest of those."""
        same = " AND ".join(f"old.{quoted(c)} IS NOT DISTINCT FROM new.{quoted(c)}" for c in view.key)
        numbers, rows = ", ".join(map(str, sorted(later))) or "NULL", rows_of(view)
        yield from self._batches(
            f"SELECT old.{LINE}, max(new.{DELIVERY}) AS {DELIVERY} FROM {rows} old JOIN {rows} new ON {same} "
            f"WHERE old.{DELIVERY} = {delivery} AND new.{DELIVERY} IN ({numbers}) GROUP BY old.{LINE} ORDER BY ALL"
        )

    def repeated(self, view: View, delivery: int, lines: int, earlier: frozenset[int]) -> Iterator[pa.RecordBatch]:
        """Which of the first `lines` of a delivery only repeat what the `earlier` ones said last."""
        yield from self._batches(repeating(rows_of(view), view, delivery, lines, earlier))

    def newest(self, view: View) -> Iterator[pa.RecordBatch]:
        """The newest row of each client: by the time column where there is one, then by arrival."""
        client = quoted(view.schema.client.name)
        time = f"{quoted(view.schema.time.name)} DESC NULLS LAST, " if view.schema.time else ""
        # A replaced row loses against its successor here in any case, and a row that arrives again is new again.
        rows = self._survivors(view, out="gone") if view.settled else rows_of(view)
        if view.conflicts == "quarantine":
            rows = self._survivors(view)
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
        batches = self._batches(f"SELECT * FROM {rows_of(view)}")
        first = next(batches)
        try:
            with pq.ParquetWriter(destination, first.schema, compression="zstd") as writer:
                for batch in chain([first], batches):
                    writer.write_batch(batch)
                    rows += batch.num_rows
                    self._progress("merging files", rows, expected)
        except OSError as error:
            raise _not_written(error, destination) from error
        return rows

    def occurrences(self, view: View, *, client: str | None = None, row: int | None = None) -> tuple[Occurrence, ...]:
        """Where the rows of a client, or the `row`-th row of the view (from 1), were delivered, in that order."""
        names, rows = view.schema.names, rows_of(view)
        if client is not None:
            wanted = f"{quoted(view.schema.client.name)} = {text(client)}"
        else:
            if row is None or not 1 <= row <= MOST_ROWS:
                return ()
            picked = self._picked(view, row - 1)
            if picked is None:
                return ()
            wanted = " AND ".join(
                f"{quoted(name)} IS NOT DISTINCT FROM {_literal(value)}"
                for name, value in zip(names, picked, strict=True)
            )
        found = self._all(
            f"SELECT {DELIVERY}, {LINE}, coalesce(j.duplicate, false), coalesce(j.conflicting, false), j.replaced_by, "
            f"{_names(view.schema, 'r')} FROM (SELECT * FROM {rows} WHERE {wanted}) r LEFT JOIN "
            f"{self._judge(view, 0)} j ON j.d = {DELIVERY} AND j.l = {LINE} ORDER BY {DELIVERY}, {LINE}"
        )
        return tuple(_occurrence(names, each) for each in found)

    # ---- views

    def _survivors(self, view: View, since: int = 0, out: str = OUT) -> str:
        """The rows that count, or all of which the judgement does not say `out`, as a table of SQL, in any order."""
        return (
            f"(SELECT r.* FROM {rows_of(view, since)} r ANTI JOIN (SELECT d, l FROM {self._judge(view, since)} "
            f"WHERE {out}) j ON j.d = {DELIVERY} AND j.l = {LINE})"
        )

    def _in_order(self, view: View, columns: str, since: int = 0) -> Iterator[pa.RecordBatch]:
        """Columns of the rows that count, in order of arrival.

        A join would not keep the order of rows: the lines that do not count are bits in a row of bits.
        """
        with _explained():
            rows = rows_of(view, since)
            lines = dict(self._all(f"SELECT {DELIVERY}, 1 + max({LINE}) FROM {rows} GROUP BY {DELIVERY}"))
            first = np.cumsum([0, *(lines.get(delivery, 0) for delivery in range(max(lines, default=0) + 1))])
            if first[-1] > MOST_BITS:
                survivors = self._survivors(view, since)
                yield from self._batches(
                    f"SELECT {columns} FROM {survivors} ORDER BY {DELIVERY}, {LINE}", LINES_AT_ONCE
                )
                return
            bits = np.zeros(first[-1] // 8 + 1, np.uint8)
            for batch in self._batches(f"SELECT d, l FROM {self._judge(view, since)} WHERE {OUT} AND d >= {since}"):
                places = _places(batch, first)
                np.bitwise_or.at(bits, places >> 3, (128 >> (places & 7)).astype(np.uint8))
            query = f"SELECT {columns}, {DELIVERY}, {LINE} FROM {rows}"
            for batch in self._batches(query, LINES_AT_ONCE):
                yield _that_count(batch.select(range(batch.num_columns - 2)), _places(batch, first), bits)

    def _judge(self, view: View, since: int) -> str:
        """A table of the rows that share their key with others: duplicate, conflicting, replaced by which delivery.

        `since` leaves out keys that no delivery from there on has. First the keys' hashes are counted, which takes
        little memory; then only rows whose hash is suspect are compared, which is exact.
        """
        if (view, since) not in self._judged:
            name = f"judged_{len(self._judged)}"
            with _explained(), self._watched("comparing rows", view):
                hashed, suspects = self._suspects(view, since)
                self._connection.register("suspects", pa.table({"h": as_arrow(suspects)}))
                # Not a temporary table, which the cursors of `_batches` would not see.
                self._connection.execute(f"CREATE TABLE {name} AS {judgement(view, hashed)}")
                self._connection.unregister("suspects")
            self._judged[view, since] = name
        return self._judged[view, since]

    def _suspects(self, view: View, since: int) -> tuple[str, NDArray[np.uint32]]:
        """Some columns, and the hashes of them that more than one row has, or a settled one.

        Hashing the client alone is cheaper and finds few where few clients repeat; else the whole key is hashed.
        """
        hashed, key = quoted(view.schema.client.name), ", ".join(quoted(name) for name in view.key)
        suspects, rows = self._shared_hashes(view, since, hashed)
        if key != hashed and rows >= FEW:
            hashed, (suspects, rows) = key, self._shared_hashes(view, since, key)
        if view.settled and not since:  # they do not count, though no other row agrees with them
            places = f"SELECT d, l FROM {settled(view)}"
            query = f"SELECT {hash_of(hashed)} AS h FROM {rows_of(view)} WHERE ({DELIVERY}, {LINE}) IN ({places})"
            suspects = np.concatenate([suspects, *(as_numpy(batch.column(0)) for batch in self._batches(query))])
        return hashed, suspects

    def _shared_hashes(self, view: View, since: int, columns: str) -> tuple[NDArray[np.uint32], int]:
        """The hashes of some columns that more than one row has, one of them arrived `since`; and of how many rows.

        Sorting them takes less than half the time of a table of all hashes with their counts, as DuckDB makes it.
        """
        shares = 1 + self._count(view) // HASHES_AT_ONCE
        repeated, rows = [], 0
        for share in range(shares):
            query = hashes(view, since, columns, f"hash({columns}) % {shares} = {share}" if shares > 1 else "true")
            found = [as_numpy(batch.column(0)) for batch in self._batches(query)]
            of_share = np.concatenate(found)
            of_share.sort()
            again = of_share[1:] == of_share[:-1]
            second = again & ~np.append(False, again[:-1])
            repeated.append(of_share[1:][second])
            rows += int(again.sum() + second.sum())
        return np.concatenate(repeated), rows

    def _watched(self, what: str, view: View, since: int = 0) -> AbstractContextManager[None]:
        if self._progress is silent:
            return nullcontext()
        return watched(self._connection, self._progress, what, self._count(view, since))

    def _picked(self, view: View, place: int) -> list[Any] | None:
        """The values of the row of the view at this place, from 0; None when it has fewer rows."""
        for batch in self._in_order(view, _names(view.schema)):
            if place < batch.num_rows:
                return [column[place].as_py() for column in batch.columns]
            place -= batch.num_rows
        return None

    def _count(self, view: View, since: int = 0) -> int:
        return int(self._all(f"SELECT count(*) FROM {rows_of(view, since)}")[0][0])

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        with _explained():
            return self._connection.execute(query).fetchall()

    def _batches(self, query: str, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The answer, a batch at a time; one empty batch when there is no row."""
        with _explained():
            answer = self._connection.cursor().sql(query).to_arrow_reader(rows)
            empty = True
            for batch in answer:
                yield batch
                empty = False
            if empty:
                nothing = [pa.nulls(0, field.type) for field in answer.schema]
                yield pa.RecordBatch.from_arrays(nothing, schema=answer.schema)


@contextmanager
def _explained() -> Iterator[None]:
    """What the disk, the memory or a damaged file did to DuckDB, as an error of ours."""
    try:
        yield
    except FAILURES as error:
        if FULL in str(error):  # DuckDB has no number of the system's error
            hint = "free some disk space, then run again"
            raise CannotWrite(f"temporary files of a large query cannot be written: {FULL}", hint=hint) from error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        hint = "check that the disk has space and that the files of the output folder are whole"
        raise InputOutputError(f"the dataset cannot be read: {reason}", hint=hint) from error


def _not_written(error: OSError, destination: Path) -> Exception:
    if error.errno == errno.ENOSPC:  # whoever wants the file knows its name
        return error
    return from_os_error(error, "write", str(destination))


def _places(rows: pa.RecordBatch, first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which bits stand for rows, whose last two columns are delivery and line; `first`: where each delivery begins."""
    delivery, line = map(as_numpy, rows.columns[-2:])
    places: NDArray[np.int64] = first[delivery] + line
    return places


def _that_count(rows: pa.RecordBatch, places: NDArray[np.int64], bits: NDArray[np.uint8]) -> pa.RecordBatch:
    """The rows whose bit is not set: those of a batch lie close together, so all bits between them are unpacked."""
    if not rows.num_rows:
        return rows
    low, high = places.min() >> 3, places.max() >> 3
    out = np.unpackbits(bits[low : high + 1]).view(bool)[places - 8 * low]
    return rows.filter(as_arrow(~out)) if out.any() else rows


def _written(column: Column) -> str:
    """A column as finaldata.csv shows it: labels in the words of the table that they came from."""
    name = quoted(column.name)
    if column.type in {"number", "date"}:
        return f"{name}::VARCHAR"
    if column.type != "label" or (column.exited, column.stayed) == ("1", "0"):
        return name
    return f"CASE {name} WHEN 1 THEN {text(column.exited)} WHEN 0 THEN {text(column.stayed)} END"


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
    return "NULL" if value is None else repr(value) + "::DOUBLE" if isinstance(value, float) else text(str(value))


def _names(schema: Schema, table: str = "") -> str:
    return ", ".join(f"{table}.{quoted(name)}" if table else quoted(name) for name in schema.names)
