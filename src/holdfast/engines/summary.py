"""Statistics of every column of a DuckDB relation: exact at any size, in memory that does not grow with the rows.

One look at all columns tells rows, ranges and means. Then each column is grouped by value, which DuckDB spills to disk
when it must, and one walk over the groups in order of value tells everything else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from holdfast.engines.sql import quoted
from holdfast.records import ColumnHistogram, ColumnSummary, Quantile, ValueCount
from holdfast.schema import Column, Schema

if TYPE_CHECKING:
    import duckdb

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
MOST_BINS = 20
MOST_FREQUENT = 10
FEW_VALUES = 20
"""A numeric column with at most so many different values lists the most frequent."""
FEWEST_CLIENTS = 10
"""A text is listed only where the rows of at least so many clients have it: then it is no client's own."""
MONTHS_OF_PERIODS = (1, 12, 120, 1_200, 12_000)
MOST_PERIODS = 36
GROUPS_AT_ONCE = 100_000

Values = NDArray[Any]
Counts = NDArray[np.int64]


def summarise_relation(
    connection: duckdb.DuckDBPyConnection, relation: str, schema: Schema
) -> tuple[ColumnSummary, ...]:
    """Statistics of every column of the schema, in its order; `refused_missing` is left at 0.

    `relation` is SQL that can stand after FROM: a table's name or a SELECT in parentheses, with the schema's columns
    as text and category VARCHAR, integer BIGINT, number DOUBLE, date DATE, label TINYINT. It is read once for all
    columns and once for each, so one that is dear to compute should be a table. Nothing is left in the database.
    Raises what DuckDB raises.

    The most frequent values are listed of categories, labels, and numbers with at most 20 different ones. A column
    of text can hold what somebody wrote about one client: of it only values are listed that the rows of at least 10
    clients have (10 rows, where the schema has no client), and of the client column none.

    >>> import duckdb
    >>> from holdfast.schema import BRIEF_SCHEMA
    >>> with duckdb.connect() as connection:
    ...     row = "SELECT 'a' AS corporation, 1 AS lastmonth_activity, 2 AS lastyear_activity, 3 AS number_of_employees"
    ...     found = summarise_relation(connection, f"({row}, 1::TINYINT AS exited)", BRIEF_SCHEMA)
    >>> found[3].mean, found[4].top
    (3.0, (ValueCount(value='1', rows=1),))
    """
    rows, looks = _look(connection, relation, schema)
    return tuple(
        _summary(connection, relation, schema, column, _without_values(column, rows, look.present), look)
        for column, look in zip(schema.columns, looks, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at all columns tells of one: values present, smallest, largest, roughly the mean."""

    present: int
    low: Any
    high: Any
    mean: Any


def _look(connection: duckdb.DuckDBPyConnection, relation: str, schema: Schema) -> tuple[int, list[_Look]]:
    measures = ["count(*)"]
    for column in schema.columns:
        name = quoted(column.name)
        ordered = column.is_numeric or column.type == "date"
        measures += [f"count({name})"]
        measures += [f"min({name})", f"max({name})"] if ordered else ["NULL", "NULL"]
        measures += [f"favg({name}::DOUBLE)"] if column.is_numeric else ["NULL"]
    ((rows, *found),) = connection.execute(f"SELECT {', '.join(measures)} FROM {relation}").fetchall()
    return rows, [_Look(*found[i : i + 4]) for i in range(0, len(found), 4)]


def _without_values(column: Column, rows: int, present: int) -> ColumnSummary:
    return ColumnSummary(
        column=column.name,
        rows=rows,
        missing=rows - present,
        missing_percent=100.0 * (rows - present) / rows if rows else 0.0,
        refused_missing=0,
        mean=None,
        median=None,
        standard_deviation=None,
        minimum=None,
        maximum=None,
    )


def _summary(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    schema: Schema,
    column: Column,
    counted: ColumnSummary,
    look: _Look,
) -> ColumnSummary:
    if not look.present:
        return counted
    if column.is_numeric:
        return _of_numbers(_groups(connection, relation, column), counted, look, whole=column.type == "integer")
    if column.type == "date":
        return _of_dates(_groups(connection, relation, column), counted, look)
    if column.role == "client":
        name = quoted(column.name)
        ((distinct,),) = connection.execute(f"SELECT count(DISTINCT {name}) FROM {relation}").fetchall()
        return replace(counted, distinct=distinct)
    if column.type == "text":
        client = next((each.name for each in schema.columns if each.role == "client"), None)
        return _of_words(connection, _grouped_by_client(relation, column, client), column, counted)
    return _of_words(connection, f"SELECT *, rows AS clients FROM ({_grouped(relation, column)})", column, counted)


def _grouped(relation: str, column: Column) -> str:
    name = quoted(column.name)
    return f"SELECT {name} AS value, count(*) AS rows FROM {relation} WHERE {name} IS NOT NULL GROUP BY 1"


def _grouped_by_client(relation: str, column: Column, client: str | None) -> str:
    """The same, with how many clients have each value; two groupings, which spill to disk, and no set for each."""
    if client is None:
        return f"SELECT *, rows AS clients FROM ({_grouped(relation, column)})"
    name = quoted(column.name)
    by_client = f"SELECT {name} AS value, count(*) AS rows FROM {relation} WHERE {name} IS NOT NULL"
    grouped = f"{by_client} GROUP BY {name}, {quoted(client)}"
    return f"SELECT value, sum(rows)::BIGINT AS rows, count(*) AS clients FROM ({grouped}) GROUP BY 1"


def _groups(connection: duckdb.DuckDBPyConnection, relation: str, column: Column) -> Iterator[tuple[Values, Counts]]:
    """The column's different values in increasing order, with the rows of each, many at a time."""
    answer = connection.sql(f"{_grouped(relation, column)} ORDER BY 1")
    for batch in answer.to_arrow_reader(GROUPS_AT_ONCE):
        yield batch.column(0).to_numpy(zero_copy_only=False), batch.column(1).to_numpy()


# ---- words


def _of_words(
    connection: duckdb.DuckDBPyConnection, grouped: str, column: Column, counted: ColumnSummary
) -> ColumnSummary:
    listed = f"FILTER (clients >= {FEWEST_CLIENTS})" if column.type == "text" else ""
    order = "{'before': -rows, 'value': value}"
    query = f"SELECT count(*), min({order}, {MOST_FREQUENT}) {listed} FROM ({grouped})"
    ((distinct, top),) = connection.execute(query).fetchall()
    labels = {1: column.exited, 0: column.stayed} if column.type == "label" else {}
    counts = (ValueCount(value=labels.get(each["value"], each["value"]), rows=-each["before"]) for each in top or ())
    return replace(counted, distinct=distinct, top=tuple(counts))


# ---- dates


def _of_dates(groups: Iterator[tuple[Values, Counts]], counted: ColumnSummary, look: _Look) -> ColumnSummary:
    first, last = (12 * day.year + day.month - 1 for day in (look.low, look.high))
    months = next(each for each in MONTHS_OF_PERIODS if last // each - first // each < MOST_PERIODS)
    counts = np.zeros(last // months - first // months + 1, np.int64)
    distinct = 0
    for days, rows in groups:
        since_year_0 = days.astype("datetime64[M]").astype(np.int64) + 12 * 1970
        np.add.at(counts, since_year_0 // months - first // months, rows)
        distinct += len(days)
    periods = (
        ValueCount(value=_period(number * months, months), rows=count)
        for number, count in enumerate(counts.tolist(), start=first // months)
    )
    return replace(
        counted,
        earliest=look.low.isoformat(),
        latest=look.high.isoformat(),
        distinct=distinct,
        periods=tuple(periods),
    )


def _period(start: int, months: int) -> str:
    """A period as text, by its first month since the year 0 and its length.

    >>> _period(2026 * 12, 1), _period(2026 * 12, 12), _period(2020 * 12, 120)
    ('2026-01', '2026', '2020-2029')
    """
    year, month = divmod(start, 12)
    if months == 1:
        return f"{year:04}-{month + 1:02}"
    return f"{year:04}" if months == 12 else f"{year:04}-{year + months // 12 - 1:04}"


# ---- numbers


def _of_numbers(
    groups: Iterator[tuple[Values, Counts]], counted: ColumnSummary, look: _Look, *, whole: bool
) -> ColumnSummary:
    edges = _whole_edges(look.low, look.high) if whole else _decimal_edges(look.low, look.high)
    walk = _Walk(look, edges, whole=whole)
    for values, rows in groups:
        walk.add(values, rows)
    mean, deviation = walk.moments()
    quantiles = tuple(Quantile(share=percent / 100, value=walk.quantile(percent)) for percent in PERCENTILES)
    return replace(
        counted,
        mean=mean,
        median=walk.quantile(50),
        standard_deviation=deviation,
        minimum=look.low,
        maximum=look.high,
        quantiles=quantiles,
        histogram=ColumnHistogram(edges=tuple(edges), counts=walk.counts()),
        distinct=walk.distinct,
        top=walk.top(),
    )


def _whole_edges(low: int, high: int) -> list[int]:
    """Edges of at most 20 bins that hold equally many whole numbers; the last edge lies beyond `high`.

    >>> _whole_edges(0, 5), _whole_edges(1, 40)[:3]
    ([0, 1, 2, 3, 4, 5, 6], [1, 3, 5])
    """
    numbers = high - low + 1
    width = -(-numbers // MOST_BINS)
    return [low + step * width for step in range(-(-numbers // width) + 1)]


def _decimal_edges(low: float, high: float) -> list[float]:
    """Edges of 20 equally wide bins from `low` to `high`; of fewer when floats lie no closer together.

    >>> _decimal_edges(0.0, 1.0)[:3], _decimal_edges(2.5, 2.5)
    ([0.0, 0.05, 0.1], [2.5, 2.5])
    """
    if low == high:
        return [low, high]
    shares = np.arange(MOST_BINS + 1) / MOST_BINS
    # Not low + share * (high - low): that difference may be larger than any float.
    edges: list[float] = np.unique(np.clip(low * (1 - shares) + high * shares, low, high)).tolist()
    return edges


class _Walk:
    """What is learned on the way through a column's different values, in increasing order."""

    def __init__(self, look: _Look, edges: Sequence[float], *, whole: bool) -> None:
        self.look, self.whole = look, whole
        self.rows = 0
        self.distinct = 0
        ranks = {rank for percent in PERCENTILES for rank in _ranks(percent, look.present)}
        self.ranks = np.array(sorted(ranks), np.int64)
        self.at_rank: list[float] = []
        self.inner_edges = np.array(edges[1:-1], np.int64 if whole else np.float64)
        self.below = np.zeros(len(self.inner_edges), np.int64)
        self.centre = _centre(look, whole=whole)
        self.reach = float(max(look.high - self.centre, self.centre - look.low))
        self.first_moments: list[float] = []
        self.second_moments: list[float] = []
        self.few: list[tuple[float, int]] = []

    def add(self, values: Values, rows: Counts) -> None:
        """Go on over these values, larger than all before, with the rows of each."""
        passed = np.concatenate([[0], np.cumsum(rows)])
        end = self.rows + int(passed[-1])
        here = self.ranks[(self.ranks >= self.rows) & (self.ranks < end)] - self.rows
        self.at_rank += values[np.searchsorted(passed, here, side="right") - 1].tolist()
        self.below += passed[np.searchsorted(values, self.inner_edges, side="left")]
        if self.reach:
            self._measure(values, rows)
        self.rows = end
        self.distinct += len(values)
        if self.distinct <= FEW_VALUES:
            self.few += zip(values.tolist(), rows.tolist(), strict=True)

    def _measure(self, values: Values, rows: Counts) -> None:
        """Moments about the centre, in units of the reach: far from zero they keep their digits, and none overflows."""
        exact = self.look.high - self.look.low < 2**63
        offsets = ((values if exact else values.astype(np.float64)) - self.centre) / self.reach
        self.first_moments.append(float(np.sum(rows * offsets)))
        self.second_moments.append(float(np.sum(rows * offsets * offsets)))

    def moments(self) -> tuple[float, float | None]:
        """Mean and standard deviation (n - 1): the two-pass algorithm with its correction for an inexact centre.

        Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
        """
        n, first = self.look.present, math.fsum(self.first_moments)
        mean = self.centre + self.reach * (first / n)
        if n == 1:
            return mean, None
        deviation = self.reach * math.sqrt(max(math.fsum(self.second_moments) - first * first / n, 0.0) / (n - 1))
        return mean, deviation if deviation < math.inf else None

    def quantile(self, percent: int) -> float:
        """Rank percent / 100 * (n - 1), counted from 0, interpolated without any rounding but the last."""
        values = dict(zip(self.ranks.tolist(), self.at_rank, strict=True))
        low, high = (Fraction(values[rank]) for rank in _ranks(percent, self.look.present))
        share = Fraction(percent * (self.look.present - 1) % 100, 100)
        between = low + (high - low) * share
        return int(between) if self.whole and between.denominator == 1 else float(between)

    def counts(self) -> tuple[int, ...]:
        """Rows in each bin."""
        return tuple(end - start for start, end in pairwise([0, *self.below.tolist(), self.rows]))

    def top(self) -> tuple[ValueCount, ...]:
        """The most frequent values, if there are few."""
        if self.distinct > FEW_VALUES:
            return ()
        frequent = sorted(self.few, key=lambda pair: (-pair[1], pair[0]))[:MOST_FREQUENT]
        # Minus zero is zero: which of them stands for both depends on the order of rows.
        return tuple(ValueCount(value=str(value + 0), rows=rows) for value, rows in frequent)


def _ranks(percent: int, rows: int) -> tuple[int, int]:
    """The ranks, counted from 0, between which a percentile lies; twice the same where it is a value."""
    return percent * (rows - 1) // 100, -(-percent * (rows - 1) // 100)


def _centre(look: _Look, *, whole: bool) -> float:
    """A number close to the mean: a whole one between whole numbers, so that offsets from it are exact."""
    centre: float = look.mean
    # The sum of the largest floats is none, and neither is the distance between some.
    if not max(look.high - centre, centre - look.low) < math.inf:
        centre = look.low / 2 + look.high / 2
    inside: float = min(max(round(centre) if whole else centre, look.low), look.high)
    return inside
