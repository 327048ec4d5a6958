"""The default engine: DuckDB, inside this process, with memory that does not grow with the rows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.engines.base import DELIVERY, LINE
from holdfast.records import ColumnSummary
from holdfast.schema import Column, Schema

BATCH_ROWS = 100_000


class DuckDBEngine:
    """One connection with its own spill folder; use as a context manager."""

    def __init__(self, spill_beside: Path) -> None:
        self._spill = Path(tempfile.mkdtemp(prefix="spill-", dir=spill_beside))
        self._connection = duckdb.connect(
            config={
                "temp_directory": str(self._spill),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "memory_limit": "1GB",
            }
        )
        # Cells such as 1e400 and dates must read the same on every machine.
        self._connection.execute("SET TimeZone = 'UTC'")

    def __enter__(self) -> DuckDBEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def write_part(self, batches: Iterable[pa.RecordBatch], delivery: int, destination: Path) -> int:
        """Write one delivery's rows as a part; returns their number."""
        rows = 0
        writer: pq.ParquetWriter | None = None
        for batch in batches:
            number = pa.repeat(pa.scalar(delivery, pa.int64()), batch.num_rows)
            stamped = batch.append_column(DELIVERY, number)
            writer = writer or pq.ParquetWriter(destination, stamped.schema, compression="zstd")
            writer.write_batch(stamped)
            rows += batch.num_rows
        if writer:
            writer.close()
        return rows

    def count_new(self, part: Path, earlier: Sequence[Path], schema: Schema) -> int:
        """How many distinct rows of `part` are in none of the `earlier` parts."""
        columns = _names(schema)
        query = f"SELECT DISTINCT {columns} FROM read_parquet($part)"
        parameters: dict[str, object] = {"part": [str(part)]}
        if earlier:
            query += f" EXCEPT SELECT {columns} FROM read_parquet($earlier)"
            parameters["earlier"] = _paths(earlier)
        return int(self._one(f"SELECT count(*) FROM ({query})", parameters)[0])

    def write_csv(self, parts: Sequence[Path], schema: Schema, destination: Path) -> None:
        """Write the distinct rows of all parts, in order of arrival, with a header and no index."""
        query = f"SELECT {_names(schema)} FROM ({_distinct(schema)}) ORDER BY {DELIVERY}, {LINE}"
        target = str(destination).replace("'", "''")
        self._connection.execute(
            f"COPY ({query}) TO '{target}' (FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"')",
            {"parts": _paths(parts)},
        )

    def distinct(self, parts: Sequence[Path], without: Sequence[Path], schema: Schema) -> Iterator[pa.RecordBatch]:
        """The distinct rows of `parts` that are not in the parts `without`, in order of arrival."""
        columns = _names(schema)
        parameters: dict[str, object] = {"parts": _paths(parts)}
        unseen = ""
        if without:
            same = " AND ".join(f"old.{_quoted(c)} IS NOT DISTINCT FROM new.{_quoted(c)}" for c in schema.names)
            unseen = f"WHERE NOT EXISTS (SELECT 1 FROM read_parquet($without) old WHERE {same})"
            parameters["without"] = _paths(without)
        query = f"SELECT {columns} FROM ({_distinct(schema)}) new {unseen} ORDER BY {DELIVERY}, {LINE}"
        yield from self._batches(query, parameters)

    def newest(self, parts: Sequence[Path], schema: Schema) -> Iterator[pa.RecordBatch]:
        """The newest row of each client: by the time column where there is one, then by arrival."""
        client = _quoted(schema.client.name)
        time = f"{_quoted(schema.time.name)} DESC NULLS LAST, " if schema.time else ""
        query = (
            f"SELECT {_names(schema)} FROM read_parquet($parts) QUALIFY row_number() OVER "
            f"(PARTITION BY {client} ORDER BY {time}{DELIVERY} DESC, {LINE} DESC) = 1 ORDER BY {client}"
        )
        yield from self._batches(query, {"parts": _paths(parts)})

    def count(self, parts: Sequence[Path], schema: Schema) -> tuple[int, int, int]:
        """Distinct rows of all parts: their number, how many exited, how many have no label."""
        if not parts:
            return 0, 0, 0
        target = _quoted(schema.target.name)
        rows, exited, labelled = self._one(
            f"SELECT count(*), count(*) FILTER ({target} = 1), count({target}) FROM ({_distinct(schema)})",
            {"parts": _paths(parts)},
        )
        return rows, exited, rows - labelled

    def summarise(self, batches: Iterable[pa.RecordBatch], schema: Schema) -> tuple[ColumnSummary, ...]:
        """Rows, missing cells, mean, median, standard deviation (n - 1), minimum and maximum per column."""
        stream = iter(batches)
        first = next(stream, None)
        if first is None:
            return ()
        rows = pa.RecordBatchReader.from_batches(first.schema, _chained(first, stream))
        relation = self._connection.from_arrow(rows)
        measures = [f"count({_quoted(column.name)})" for column in schema.columns]
        for column in schema.numeric:
            name = f"{_quoted(column.name)}::DOUBLE"
            measures += [f"{function}({name})" for function in ("avg", "median", "stddev_samp", "min", "max")]
        (answer,) = relation.aggregate(", ".join(["count(*)", *measures])).fetchall()
        return _summaries(schema, list(answer))

    def _one(self, query: str, parameters: dict[str, object]) -> tuple[int, ...]:
        (row,) = self._connection.execute(query, parameters).fetchall()
        return tuple(int(value) for value in row)

    def _batches(self, query: str, parameters: dict[str, object]) -> Iterator[pa.RecordBatch]:
        yield from self._connection.cursor().sql(query, params=parameters).to_arrow_reader(BATCH_ROWS)


def _distinct(schema: Schema) -> str:
    """Distinct rows at their first arrival."""
    columns = _names(schema)
    return (
        f"SELECT {columns}, min({DELIVERY}) AS {DELIVERY}, arg_min({LINE}, ({DELIVERY}, {LINE})) AS {LINE} "
        f"FROM read_parquet($parts) GROUP BY {columns}"
    )


def _summaries(schema: Schema, answer: list[float | None]) -> tuple[ColumnSummary, ...]:
    rows = int(answer[0] or 0)
    present = dict(zip(schema.names, answer[1:], strict=False))
    measured = answer[1 + len(schema.names) :]
    numbers = {column.name: measured[5 * i : 5 * i + 5] for i, column in enumerate(schema.numeric)}
    return tuple(_summary(column, rows, int(present[column.name] or 0), numbers) for column in schema.columns)


def _summary(column: Column, rows: int, present: int, numbers: dict[str, list[float | None]]) -> ColumnSummary:
    mean, median, deviation, low, high = numbers.get(column.name, [None] * 5)
    return ColumnSummary(
        column=column.name,
        rows=rows,
        missing=rows - present,
        missing_percent=100.0 * (rows - present) / rows if rows else 0.0,
        refused_missing=0,
        mean=mean,
        median=median,
        standard_deviation=deviation,
        minimum=low,
        maximum=high,
    )


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _names(schema: Schema) -> str:
    return ", ".join(_quoted(name) for name in schema.names)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _paths(parts: Sequence[Path]) -> list[str]:
    return [str(part) for part in parts]
