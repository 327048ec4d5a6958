"""Statistics of a relation, compared with NumPy, with plain Python and with themselves."""

from __future__ import annotations

import datetime
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.engines import summary as engine
from holdfast.engines.summary import PERCENTILES, summarise_relation
from holdfast.records import ColumnSummary
from holdfast.schema import Column, Schema, Type

ARROW_TYPES: dict[Type, pa.DataType] = {
    "text": pa.string(),
    "category": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "label": pa.int8(),
}
KINDS = tuple(ARROW_TYPES)
CLIENT = Column(name="client", role="client", type="text")
TARGET = Column(name="churn", role="target", type="label", exited="left", stayed="here")
CONNECTION = duckdb.connect()
EXAMPLES = settings(max_examples=50, deadline=None)
FEWER = settings(max_examples=20, deadline=None)
LARGEST = np.finfo(np.float64).max


def schema_of(column: Column) -> Schema:
    return Schema(columns=(CLIENT, column, TARGET))


def summary(values: Sequence[Any], kind: Type = "number") -> Any:
    """The summary of one column with these values."""
    column = Column(name="x", role="feature", type=kind, exited="left", stayed="here")
    CONNECTION.register("rows", pa.table({"x": pa.array(values, ARROW_TYPES[kind])}))
    (found,) = summarise_relation(CONNECTION, "rows", Schema(columns=(column,)))
    return found


def kind_of(values: Sequence[float]) -> Type:
    return "integer" if isinstance(values[0], int) else "number"


def pairs(counts: Sequence[Any]) -> list[tuple[str, int]]:
    return [(each.value, each.rows) for each in counts]


def near(value: float | None, size: float = 0.0) -> Any:
    """The same but for the last digits of a sum of numbers up to `size`."""
    return None if value is None else pytest.approx(value, rel=1e-12, abs=1e-15 * size)


def size_of(values: Sequence[Any]) -> float:
    return max((abs(value) for value in values if isinstance(value, int | float)), default=0)


def quantiles(found: ColumnSummary) -> list[float]:
    return [each.value for each in found.quantiles]


FLOATS = st.one_of(
    st.floats(-1e6, 1e6),
    st.floats(1e12, 1.001e12),
    st.sampled_from([0.0, -0.0, 0.1, 1 / 3, 1e-300, -7.5]),
)
SOME_FLOATS = st.lists(FLOATS, min_size=1, max_size=60)
INTEGERS = st.one_of(st.integers(-5, 5), st.integers(-1000, 1000), st.integers(-(10**18), 10**18))
SOME_INTEGERS = st.lists(INTEGERS, min_size=1, max_size=60)
DATES = st.lists(st.dates(datetime.date(1000, 1, 1)) | st.dates(datetime.date(2024, 1, 1), datetime.date(2026, 1, 1)))
TEXTS = st.lists(st.sampled_from(["Berlin", "berlin", "é", "e\u0301", "🦊", " ", "NULL", "it's", '"', "[b]"]))
LABELS = st.lists(st.sampled_from([0, 1]))
COLUMNS: dict[Type, st.SearchStrategy[list[Any]]] = {
    "text": TEXTS,
    "category": TEXTS,
    "integer": SOME_INTEGERS,
    "number": SOME_FLOATS,
    "date": DATES,
    "label": LABELS,
}


# ---- numbers


@EXAMPLES
@given(SOME_FLOATS | SOME_INTEGERS)
def test_moments_agree_with_exact_arithmetic(values: list[float]) -> None:
    found, size = summary(values, kind_of(values)), size_of(values)
    assert found.mean == near(statistics.mean(values), size)
    assert found.standard_deviation == near(statistics.stdev(values) if len(values) > 1 else None, size)
    assert (found.minimum, found.maximum) == (min(values), max(values))
    assert float(found.minimum) <= found.mean <= float(found.maximum)


@EXAMPLES
@given(SOME_FLOATS | st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=300))
def test_quantiles_agree_with_numpy(values: list[float]) -> None:
    expected = np.quantile(np.array(values, float), np.array(PERCENTILES) / 100)
    found = summary([float(value) for value in values])
    assert [each.share for each in found.quantiles] == [percent / 100 for percent in PERCENTILES]
    assert quantiles(found) == pytest.approx(expected.tolist(), rel=1e-12, abs=1e-13 * size_of(values))
    assert found.median == quantiles(found)[3]


@EXAMPLES
@given(SOME_FLOATS)
def test_a_histogram_agrees_with_numpy(values: list[float]) -> None:
    found = summary(values)
    edges, counts = found.histogram.edges, found.histogram.counts
    assert counts == tuple(np.histogram(values, edges)[0]) if len(edges) > 1 else counts == (len(values),)
    assert (edges[0], edges[-1]) == (min(values), max(values))
    assert len(counts) <= 20
    if len(counts) == 20:
        assert edges == pytest.approx(np.linspace(edges[0], edges[-1], 21), abs=1e-15 * max(map(abs, edges)))


@EXAMPLES
@given(SOME_FLOATS | SOME_INTEGERS)
def test_every_number_is_in_one_bin_and_counted_once_as_distinct(values: list[float]) -> None:
    found = summary(values, kind_of(values))
    assert sum(found.histogram.counts) == len(values)
    assert found.distinct == len(set(values))


@EXAMPLES
@given(SOME_INTEGERS)
def test_whole_numbers_stay_exact(values: list[int]) -> None:
    found, ordered = summary(values, "integer"), sorted(values)
    assert (found.minimum, found.maximum) == (ordered[0], ordered[-1])
    for percent, value in zip(PERCENTILES, quantiles(found), strict=True):
        rank, rest = divmod(percent * (len(ordered) - 1), 100)
        exact = ordered[rank] + (ordered[min(rank + 1, len(ordered) - 1)] - ordered[rank]) * Fraction(rest, 100)
        assert value == (int(exact) if exact.denominator == 1 else float(exact))


def test_whole_numbers_that_no_float_holds_are_values_too() -> None:
    found = summary([2**53 + 1] * 3, "integer")
    assert {found.median, *quantiles(found)} == {2**53 + 1}


def test_quantiles_at_the_ends_of_batches_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "GROUPS_AT_ONCE", 2048)
    found = summary(range(100 * 2048 + 1), "integer")
    assert quantiles(found) == [2048 * percent for percent in PERCENTILES]


@EXAMPLES
@given(SOME_INTEGERS)
def test_each_bin_of_whole_numbers_holds_equally_many(values: list[int]) -> None:
    histogram = summary(values, "integer").histogram
    bins = list(pairwise(histogram.edges))
    assert len({end - start for start, end in bins}) == 1
    assert histogram.counts == tuple(sum(start <= value < end for value in values) for start, end in bins)
    assert len(bins) <= 20
    assert histogram.counts[-1] > 0


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_many_numbers_far_from_zero_agree_with_numpy(offset: float) -> None:
    values = offset + np.random.default_rng(1).normal(size=250_000)
    found = summary(pa.array(values))
    assert found.mean == pytest.approx(math.fsum(values) / len(values), rel=1e-15)
    assert found.standard_deviation == pytest.approx(np.std(values - offset, ddof=1), rel=1e-12)
    expected = np.quantile(values, np.array(PERCENTILES) / 100).tolist()
    assert quantiles(found) == pytest.approx(expected, rel=1e-15, abs=1e-15)
    assert found.histogram.counts == tuple(np.histogram(values, found.histogram.edges)[0])
    assert found.distinct == len(np.unique(values))
    assert found.top == ()


def test_the_deviation_of_large_whole_numbers_keeps_their_last_digits() -> None:
    values = [10**18 + step for step in (0, 1, 2, 3, 4, 100)]
    found = summary(values, "integer")
    assert found.standard_deviation == pytest.approx(statistics.stdev([0, 1, 2, 3, 4, 100]), rel=1e-12)


@pytest.mark.parametrize("values", [[-(2**63), -1, 0, 2**63 - 1], [-(2**63), *[2**63 - 1] * 3]])
def test_the_whole_range_of_whole_numbers_can_be_summarised(values: list[int]) -> None:
    found = summary(values, "integer")
    assert (found.minimum, found.maximum) == (values[0], values[-1])
    assert found.median == Fraction(values[1] + values[2], 2)
    assert found.mean == near(sum(values) / 4, size_of(values))
    assert found.standard_deviation == near(statistics.stdev(values))
    assert sum(found.histogram.counts) == 4


def test_numbers_too_close_for_twenty_bins_have_fewer() -> None:
    edges = [1.0, np.nextafter(1.0, 2.0), np.nextafter(np.nextafter(1.0, 2.0), 2.0)]
    found = summary([edges[0], edges[2], edges[2]])
    assert found.histogram.edges == tuple(edges)
    assert found.histogram.counts == (1, 2)


def test_a_mean_of_very_many_equal_numbers_keeps_its_digits() -> None:
    found = summary(pa.repeat(pa.scalar(0.1), 1_000_000))
    assert (found.mean, found.median, found.standard_deviation) == (0.1, 0.1, 0.0)
    assert (found.histogram.edges, found.histogram.counts) == ((0.1, 0.1), (1_000_000,))


EXTREMES = [
    ([LARGEST, LARGEST], LARGEST, LARGEST, 0.0),
    ([LARGEST, -LARGEST], 0.0, 0.0, None),
    ([-LARGEST] * 9 + [LARGEST], -0.8 * LARGEST, -LARGEST, LARGEST * math.sqrt(0.4)),
    ([-LARGEST, LARGEST, -LARGEST / 2], -LARGEST / 6, -LARGEST / 2, None),
    ([LARGEST / 2, -LARGEST, LARGEST], LARGEST / 6, LARGEST / 2, None),
    ([5e-324, 0.0], 5e-324, 5e-324, 5e-324),
    ([1e-200, 3e-200], 2e-200, 2e-200, math.sqrt(2) * 1e-200),
    ([1e200, 3e200], 2e200, 2e200, math.sqrt(2) * 1e200),
]


@pytest.mark.parametrize(("values", "mean", "median", "deviation"), EXTREMES)
def test_only_a_deviation_beyond_the_largest_number_is_none(
    values: list[float], mean: float, median: float, deviation: float | None
) -> None:
    found = summary(values)
    assert found.mean == pytest.approx(mean, rel=1e-12, abs=5e-324)
    assert found.median == pytest.approx(median, rel=1e-12, abs=5e-324)
    assert found.standard_deviation == near(deviation, 5e-309)
    assert sum(found.histogram.counts) == len(values)


@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0]])
def test_minus_zero_is_zero(zeros: list[float]) -> None:
    found = summary(zeros)
    assert (found.distinct, pairs(found.top)) == (1, [("0.0", 2)])
    assert str(found.median) == "0.0"


# ---- words, labels, dates


@EXAMPLES
@given(TEXTS)
def test_the_most_frequent_categories_come_first_and_ties_in_their_order(values: list[str]) -> None:
    found, counted = summary(values, "category"), Counter(values)
    assert found.distinct == len(counted)
    assert pairs(found.top) == sorted(counted.items(), key=lambda pair: (-pair[1], pair[0].encode()))[:10]


def test_at_most_ten_values_are_listed() -> None:
    found = summary([f"{number:02}" for number in range(12) for _ in range(number + 1)], "category")
    assert pairs(found.top)[:2] == [("11", 12), ("10", 11)]
    assert (len(found.top), found.distinct) == (10, 12)


def test_a_text_is_listed_when_ten_clients_have_it_and_not_because_one_has_it_in_many_rows() -> None:
    clients = [
        *("ann" for _ in range(30)),
        *(f"c{number}" for number in range(10)),
        *(f"c{number}" for number in range(9)),
    ]
    texts = ["call Ann"] * 30 + ["n/a"] * 10 + ["moved"] * 9
    CONNECTION.register("rows", pa.table({"client": clients, "x": texts, "churn": [0] * 49}))
    note = summarise_relation(CONNECTION, "rows", schema_of(Column(name="x", role="ignored", type="text")))[1]
    assert (pairs(note.top), note.distinct) == ([("n/a", 10)], 3)


def test_rows_of_a_client_count_in_what_is_listed() -> None:
    clients = [f"c{number % 10}" for number in range(25)]
    CONNECTION.register("rows", pa.table({"client": clients, "x": ["n/a"] * 25, "churn": [0] * 25}))
    note = summarise_relation(CONNECTION, "rows", schema_of(Column(name="x", role="ignored", type="text")))[1]
    assert pairs(note.top) == [("n/a", 25)]


def test_where_no_column_names_clients_a_text_is_listed_when_ten_rows_have_it() -> None:
    found = summary(["call Ann"] * 9 + ["n/a"] * 10, "text")
    assert (pairs(found.top), found.distinct) == ([("n/a", 10)], 2)


def test_clients_are_counted_and_never_listed() -> None:
    CONNECTION.register("rows", pa.table({"client": ["a", "a", "b"], "x": [1.0, 2.0, 3.0], "churn": [1, 0, None]}))
    client = summarise_relation(CONNECTION, "rows", schema_of(Column(name="x", role="feature", type="number")))[0]
    assert (client.column, client.distinct, client.top) == ("client", 2, ())


def test_labels_are_counted_in_the_words_of_their_table() -> None:
    found = summary([1, 0, 0, None], "label")
    assert pairs(found.top) == [("here", 2), ("left", 1)]
    assert (found.distinct, found.missing, found.mean, found.histogram) == (2, 1, None, None)


@EXAMPLES
@given(st.lists(st.integers(0, 30), min_size=1, max_size=80))
def test_numbers_are_listed_exactly_when_there_are_few_of_them(values: list[int]) -> None:
    counted = Counter(values)
    expected = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:10] if len(counted) <= 20 else []
    assert pairs(summary(values, "integer").top) == [(str(value), rows) for value, rows in expected]


@pytest.mark.parametrize(("different", "listed"), [(19, 10), (20, 10), (21, 0)])
def test_twenty_different_numbers_are_few(different: int, listed: int) -> None:
    assert len(summary([0, *range(different)], "integer").top) == listed


@EXAMPLES
@given(DATES.filter(len))
def test_dates_have_a_range_and_periods_without_gaps(values: list[datetime.date]) -> None:
    found = summary(values, "date")
    assert (found.earliest, found.latest) == (str(min(values)), str(max(values)))
    assert found.distinct == len(set(values))
    assert sum(period.rows for period in found.periods) == len(values)
    assert found.periods[0].rows > 0
    assert found.periods[-1].rows > 0
    assert len(found.periods) <= 36


@EXAMPLES
@given(st.lists(st.dates(datetime.date(2024, 1, 1), datetime.date(2026, 12, 31)), min_size=1))
def test_up_to_three_years_of_dates_are_counted_by_month(values: list[datetime.date]) -> None:
    months = Counter(f"{value:%Y-%m}" for value in values)
    periods = dict(pairs(summary(values, "date").periods))
    assert {period: rows for period, rows in periods.items() if rows} == months


@pytest.mark.parametrize(
    ("years", "periods"),
    [((2021, 2024), 4), ((2020, 2055), 36), ((2020, 2056), 4), ((1000, 1999), 10), ((1000, 9999), 9)],
)
def test_longer_times_are_counted_by_longer_periods(years: tuple[int, int], periods: int) -> None:
    found = summary([datetime.date(years[0], 1, 1), datetime.date(years[1], 12, 31)], "date")
    assert len(found.periods) == periods
    assert [found.periods[0].rows, found.periods[-1].rows] == [1, 1]


def test_periods_are_named_by_their_years() -> None:
    found = summary([datetime.date(1999, 12, 31), datetime.date(2050, 1, 1)], "date")
    assert [period.value for period in found.periods][:2] == ["1990-1999", "2000-2009"]


# ---- laws


@pytest.mark.parametrize("kind", KINDS)
@FEWER
@given(data=st.data())
def test_the_order_of_rows_changes_nothing(kind: Type, data: st.DataObject) -> None:
    values = data.draw(st.builds(lambda some: [*some, None], COLUMNS[kind]))
    found, again = summary(values, kind), summary(data.draw(st.permutations(values)), kind)
    assert again.mean == near(found.mean, size_of(values))
    assert again.standard_deviation == near(found.standard_deviation, size_of(values))
    same = {"mean": None, "standard_deviation": None}
    assert replace(again, **same) == replace(found, **same)


@pytest.mark.parametrize("kind", KINDS)
@FEWER
@given(data=st.data())
def test_every_row_twice_doubles_the_counts_and_leaves_mean_and_median(kind: Type, data: st.DataObject) -> None:
    values = data.draw(st.builds(lambda some: [*some, None], COLUMNS[kind]))
    once, twice = summary(values, kind), summary([*values, *values], kind)
    assert twice.mean == near(once.mean, size_of(values))
    assert (twice.median, twice.distinct, twice.earliest) == (once.median, once.distinct, once.earliest)
    assert (twice.rows, twice.missing) == (2 * once.rows, 2 * once.missing)
    assert pairs(twice.periods) == [(value, 2 * rows) for value, rows in pairs(once.periods)]
    if kind != "text":
        assert pairs(twice.top) == [(value, 2 * rows) for value, rows in pairs(once.top)]
    if once.histogram:
        assert twice.histogram.edges == once.histogram.edges
        assert twice.histogram.counts == tuple(2 * count for count in once.histogram.counts)


# ---- few rows, none, and no values


@pytest.mark.parametrize("kind", KINDS)
def test_of_no_rows_everything_is_nothing(kind: Type) -> None:
    found = summary([], kind)
    assert (found.rows, found.missing, found.missing_percent, found.distinct) == (0, 0, 0.0, 0)
    assert {found.mean, found.median, found.minimum, found.histogram, found.earliest} == {None}
    assert (found.quantiles, found.top, found.periods) == ((), (), ())


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_without_values_is_missing_and_nothing_else(kind: Type) -> None:
    found = summary([None, None, None], kind)
    assert (found.rows, found.missing, found.missing_percent, found.distinct) == (3, 3, 100.0, 0)
    assert {found.mean, found.median, found.minimum, found.histogram, found.earliest} == {None}
    assert (found.quantiles, found.top, found.periods) == ((), (), ())


@pytest.mark.parametrize(("value", "kind"), [(5.5, "number"), (-3, "integer")])
def test_one_row_is_its_own_mean_and_deviates_from_nothing(value: float, kind: Type) -> None:
    found = summary([value], kind)
    assert {found.mean, found.median, found.minimum, found.maximum, *quantiles(found)} == {value}
    assert found.standard_deviation is None
    assert (found.histogram.counts, pairs(found.top)) == ((1,), [(str(value), 1)])


@EXAMPLES
@given(st.lists(st.none() | st.integers(0, 9), min_size=1))
def test_missing_values_are_counted_and_take_no_part(values: list[int | None]) -> None:
    found, present = summary(values, "integer"), [value for value in values if value is not None]
    assert (found.rows, found.missing) == (len(values), values.count(None))
    assert found.missing_percent == pytest.approx(100 * values.count(None) / len(values))
    assert found.mean == near(statistics.fmean(present) if present else None)


# ---- the relation

HOSTILE_NAMES = ["value", "rows", 'say "x"', "a b", "select", "1", "ä;--", "count(*)", "a.b", "?", "{x}", "it's"]


def test_columns_may_have_any_name_and_keep_their_order() -> None:
    features = [Column(name=name, role="feature", type="integer") for name in HOSTILE_NAMES]
    schema = Schema(columns=(CLIENT, *features, TARGET))
    columns = {name: [place, place] for place, name in enumerate(HOSTILE_NAMES)}
    CONNECTION.register("hostile", pa.table({"client": ["a", "b"], **columns, "churn": pa.array([0, 1], pa.int8())}))
    found = summarise_relation(CONNECTION, "hostile", schema)
    assert [each.column for each in found] == list(schema.names)
    assert [each.mean for each in found[1:-1]] == list(range(len(HOSTILE_NAMES)))


def test_a_relation_may_be_a_select_in_parentheses() -> None:
    schema = schema_of(Column(name="x", role="feature", type="integer"))
    relation = "(SELECT 'c' || x AS client, x, 1::TINYINT AS churn, 7 AS other FROM range(101) t(x))"
    _, numbers, labels = summarise_relation(CONNECTION, relation, schema)
    assert (numbers.median, quantiles(numbers)) == (50, [1, 5, 25, 50, 75, 95, 99])
    assert pairs(labels.top) == [("left", 101)]


# ---- size

MANY = 1_000_000
LARGE = f"(SELECT 'client ' || i AS client, (i * 7919 % {MANY}) / 8 AS x, 0::TINYINT AS churn FROM range({MANY}) t(i))"


@pytest.fixture
def small_memory(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with room for few of the groups, and a folder to spill to."""
    with duckdb.connect(config={"memory_limit": "60MB", "threads": "2", "temp_directory": str(tmp_path)}) as each:
        yield each


def summarise_large(connection: duckdb.DuckDBPyConnection) -> tuple[ColumnSummary, ...]:
    return summarise_relation(connection, LARGE, schema_of(Column(name="x", role="feature", type="number")))


def test_what_does_not_fit_into_memory_is_exact_too(small_memory: duckdb.DuckDBPyConnection) -> None:
    clients, numbers, _ = summarise_large(small_memory)
    assert (clients.distinct, numbers.distinct) == (MANY, MANY)
    expected = [percent * (MANY - 1) / 800 for percent in PERCENTILES]
    assert quantiles(numbers) == pytest.approx(expected, rel=1e-15)
    assert numbers.mean == pytest.approx((MANY - 1) / 16, rel=1e-15)
    assert numbers.standard_deviation == pytest.approx(math.sqrt(MANY * (MANY + 1) / 12) / 8, rel=1e-13)
    assert numbers.histogram
    assert set(numbers.histogram.counts) == {MANY // 20}


def test_without_a_place_to_spill_to_the_same_does_not_fit(small_memory: duckdb.DuckDBPyConnection) -> None:
    small_memory.execute("SET temp_directory = ''")
    with pytest.raises(duckdb.OutOfMemoryException):
        summarise_large(small_memory)
    assert small_memory.execute("SELECT 1").fetchall() == [(1,)]


def test_nothing_is_left_in_the_database(small_memory: duckdb.DuckDBPyConnection) -> None:
    summarise_large(small_memory)
    for objects in ("duckdb_tables()", "duckdb_views() WHERE NOT internal"):
        assert small_memory.execute(f"SELECT count(*) FROM {objects}").fetchall() == [(0,)]
