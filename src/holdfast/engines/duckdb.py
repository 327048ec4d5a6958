"""The default engine: DuckDB, inside this process, with memory that does not grow with the rows."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.engines.base import DELIVERY, LINE
from holdfast.errors import CannotWrite, InputOutputError
from holdfast.records import ColumnSummary
from holdfast.schema import Column, Schema

BATCH_ROWS = 100_000
SQL_TYPES = {
    "text": "VARCHAR",
    "category": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "date": "DATE",
    "label": "TINYINT",
}


class DuckDBEngine:
    """One connection with its own spill folder, made in `spill_in` or where the system keeps temporary files."""

    def __init__(self, spill_in: Path | None = None) -> None:
        self._spill = Path(tempfile.mkdtemp(prefix="spill-", dir=spill_in))
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
        with ExitStack() as stack:
            writer: pq.ParquetWriter | None = None
            for batch in batches:
                number = pa.repeat(pa.scalar(delivery, pa.int64()), batch.num_rows)
                stamped = batch.append_column(DELIVERY, number)
                if writer is None:
                    writer = stack.enter_context(pq.ParquetWriter(destination, stamped.schema, compression="zstd"))
                writer.write_batch(stamped)
                rows += batch.num_rows
        return rows

    def count_new(self, part: Path, earlier: Sequence[Path], schema: Schema) -> int:
        """How many distinct rows of `part` are in none of the `earlier` parts."""
        columns = _names(schema)
        query = f"SELECT {columns} FROM {_rows([part], schema)} EXCEPT SELECT {columns} FROM {_rows(earlier, schema)}"
        return int(self._one(f"SELECT count(*) FROM ({query})")[0])

    def write_csv(self, parts: Sequence[Path], schema: Schema, destination: Path) -> None:
        """Write the distinct rows of all parts, in order of arrival, with a header and no index."""
        columns = ", ".join(_written(column) for column in schema.columns)
        query = f"SELECT {columns} FROM ({_distinct(parts, schema)}) ORDER BY {DELIVERY}, {LINE}"
        dialect = "FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"'"
        with _explained(writing=True):
            self._connection.execute(f"COPY ({query}) TO {_text(str(destination))} ({dialect})")

    def distinct(self, parts: Sequence[Path], without: Sequence[Path], schema: Schema) -> Iterator[pa.RecordBatch]:
        """The distinct rows of `parts` that are not in the parts `without`, in order of arrival."""
        same = " AND ".join(f"old.{_quoted(c)} IS NOT DISTINCT FROM new.{_quoted(c)}" for c in schema.names)
        yield from self._batches(
            f"SELECT {_names(schema)} FROM ({_distinct(parts, schema)}) new "
            f"WHERE NOT EXISTS (SELECT 1 FROM {_rows(without, schema)} old WHERE {same}) ORDER BY {DELIVERY}, {LINE}"
        )

    def newest(self, parts: Sequence[Path], schema: Schema) -> Iterator[pa.RecordBatch]:
        """The newest row of each client: by the time column where there is one, then by arrival."""
        client = _quoted(schema.client.name)
        time = f"{_quoted(schema.time.name)} DESC NULLS LAST, " if schema.time else ""
        yield from self._batches(
            f"SELECT {_names(schema)} FROM {_rows(parts, schema)} QUALIFY row_number() OVER "
            f"(PARTITION BY {client} ORDER BY {time}{DELIVERY} DESC, {LINE} DESC) = 1 ORDER BY {client}"
        )

    def count(self, parts: Sequence[Path], schema: Schema) -> tuple[int, int, int]:
        """Distinct rows of all parts: their number, how many exited, how many have no label."""
        target = _quoted(schema.target.name)
        rows, exited, labelled = self._one(
            f"SELECT count(*), count(*) FILTER ({target} = 1), count({target}) FROM ({_distinct(parts, schema)})"
        )
        return rows, exited, rows - labelled

    def summarise(self, batches: Iterable[pa.RecordBatch], schema: Schema) -> tuple[ColumnSummary, ...]:
        """Rows, missing cells, mean, median, standard deviation (n - 1), minimum and maximum per column."""
        rest = iter(batches)
        first = next(rest, None)
        if first is None:
            return ()
        measures = [f"count({_quoted(column.name)})" for column in schema.columns]
        for column in schema.numeric:
            name = f"{_quoted(column.name)}::DOUBLE"
            # Measured from a value of the column, the deviation keeps its digits where the mean is far from zero.
            centred = f"{name} - {_text(repr(_any_value(first, column)))}::DOUBLE"
            measures += [f"favg({name})", f"median({name})", f"stddev_samp({centred})", f"min({name})", f"max({name})"]
        stream = pa.RecordBatchReader.from_batches(first.schema, _chained(first, rest))
        with _explained():
            relation = self._connection.from_arrow(stream)
            (answer,) = relation.aggregate(", ".join(["count(*)", *measures])).fetchall()
        return _summaries(schema, list(answer))

    def _one(self, query: str) -> tuple[int, ...]:
        with _explained():
            (row,) = self._connection.execute(query).fetchall()
        return tuple(int(value) for value in row)

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


@contextmanager
def _explained(*, writing: bool = False) -> Iterator[None]:
    """What the disk, the memory or a damaged file did to DuckDB, as an error of ours."""
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.OutOfMemoryException) as error:
        reason = str(error).splitlines()[0]
        hint = "check that the disk has space and that the files of the output folder are whole"
        if writing and isinstance(error, duckdb.IOException):
            raise CannotWrite(f"the dataset cannot be written: {reason}", hint=hint) from error
        raise InputOutputError(f"the dataset cannot be read: {reason}", hint=hint) from error


def _rows(parts: Sequence[Path], schema: Schema) -> str:
    """All rows of some parts, as a table of SQL."""
    if not parts:
        nothing = [f"NULL::{SQL_TYPES[column.type]} AS {_quoted(column.name)}" for column in schema.columns]
        nothing += [f"NULL::BIGINT AS {name}" for name in (DELIVERY, LINE)]
        return f"(SELECT {', '.join(nothing)} WHERE false)"
    # A folder called k=v is not a column, and one called [2026]* is no pattern.
    paths = ", ".join(_text(re.sub(r"[*?[]", r"[\g<0>]", str(part))) for part in parts)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def _distinct(parts: Sequence[Path], schema: Schema) -> str:
    """Distinct rows at their first arrival."""
    columns = _names(schema)
    return (
        f"SELECT {columns}, min({DELIVERY}) AS {DELIVERY}, arg_min({LINE}, ({DELIVERY}, {LINE})) AS {LINE} "
        f"FROM {_rows(parts, schema)} GROUP BY {columns}"
    )


def _written(column: Column) -> str:
    """A column as finaldata.csv shows it: labels in the words of the table that they came from."""
    name = _quoted(column.name)
    if column.type != "label":
        return name
    return f"CASE {name} WHEN 1 THEN {_text(column.exited)} WHEN 0 THEN {_text(column.stayed)} END AS {name}"


def _any_value(batch: pa.RecordBatch, column: Column) -> float:
    present = batch.column(column.name).drop_null()
    return float(present[0].as_py()) if len(present) else 0.0


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


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
