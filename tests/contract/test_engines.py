"""What every engine has to answer, compared with a reference that goes through the rows one by one."""

from __future__ import annotations

import datetime
import errno
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.engines import duckdb as duckdb_engine
from holdfast.engines.base import Arrival, Engine, View
from holdfast.engines.duckdb import DuckDBEngine
from holdfast.errors import CannotWrite, InputOutputError
from holdfast.schema import BRIEF_SCHEMA, DELIVERY, LINE, Column, Schema
from holdfast.sources.casting import ARROW_TYPES
from holdfast.sources.table import read_files
from holdfast.store.parts import PartWriter

Row = tuple[Any, ...]
Rule = Literal["keep", "latest", "quarantine"]
Deliveries = Mapping[int, Sequence[Row]]
RULES: tuple[Rule, ...] = ("keep", "latest", "quarantine")
ENGINES: dict[str, Callable[[Path], DuckDBEngine]] = {"duckdb": DuckDBEngine}
SAME_ENGINE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
FEWER = settings(SAME_ENGINE, max_examples=10)

SCHEMA = Schema(
    columns=(
        Column(name="client", role="client", type="text"),
        Column(name="month", role="time", type="date", missing_allowed=True),
        Column(name="visits", role="feature", type="integer", missing_allowed=True),
        Column(name="worth", role="value", type="number", missing_allowed=True),
        Column(name="city", role="feature", type="category", missing_allowed=True),
        Column(name="churn", role="target", type="label", missing_allowed=True, exited="Yes", stayed="No"),
    )
)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Every engine in turn."""
    with ENGINES[request.param](tmp_path) as each:
        yield each


# ---- the reference


@dataclass(slots=True)
class Judged:
    """A delivered row and what became of it; `first`: the place of the row that it contradicts."""

    delivery: int
    line: int
    row: Row
    state: str = "current"
    replaced_by: int | None = None
    first: tuple[int, int] | None = None


def judged(deliveries: Deliveries, rule: Rule, schema: Schema = SCHEMA) -> list[Judged]:
    """Every row in order of arrival, judged as the docstring of View says."""
    width = len(schema.columns) if rule == "keep" else 2 if schema.time else 1
    counting: dict[Row, Judged] = {}
    told: dict[Row, set[Row]] = {}
    all_of_them = []
    for delivery, rows in sorted(deliveries.items()):
        for line, row in zip(lines(len(rows)), rows, strict=True):
            new = Judged(delivery, line, row)
            all_of_them.append(new)
            old = counting.setdefault(row[:width], new)
            if old is new:
                told[row[:width]] = {row}
                continue
            if row in ({old.row} if rule == "latest" else told[row[:width]]):
                new.state = "duplicate"
            elif rule == "latest":
                old.state, old.replaced_by = "replaced", delivery
                counting[row[:width]] = new
            else:
                new.state, new.first = "conflicting", (old.delivery, old.line)
                told[row[:width]].add(row)
    return all_of_them


def counting(deliveries: Deliveries, rule: Rule, since: int = 0) -> list[Row]:
    """The rows that count, in order of arrival."""
    return [each.row for each in judged(deliveries, rule) if each.state == "current" and each.delivery >= since]


def expected_arrivals(deliveries: Deliveries, rule: Rule) -> list[Arrival]:
    entries = judged(deliveries, rule)

    def of(number: int) -> Arrival:
        own = [each for each in entries if each.delivery == number]
        came = [each.row[-1] for each in own if each.state in {"current", "replaced"}]
        went = [each.row[-1] for each in entries if each.replaced_by == number]
        return Arrival(
            delivery=number,
            rows=len(own),
            duplicate=sum(each.state == "duplicate" for each in own),
            conflicting=sum(each.state == "conflicting" for each in own),
            replaced=len(went),
            exited=came.count(1) - went.count(1),
            unlabelled=came.count(None) - went.count(None),
        )

    return [of(number) for number, rows in sorted(deliveries.items()) if rows]


# ---- deliveries


def lines(rows: int) -> range:
    """Where the rows of a delivery stand: every second line, from line 0."""
    return range(0, 2 * rows, 2)


def batch(rows: Sequence[Row], schema: Schema = SCHEMA) -> pa.RecordBatch:
    """Rows as a delivery's batch: the schema's columns and the line of each row."""
    arrays = {c.name: pa.array([row[i] for row in rows], ARROW_TYPES[c.type]) for i, c in enumerate(schema.columns)}
    return pa.record_batch({**arrays, LINE: pa.array(lines(len(rows)), pa.int64())})


def write_part(path: Path, rows: pa.RecordBatch, delivery: int, cuts: Sequence[int] = (1,)) -> Path:
    """A part of one delivery, with a new row group at each cut."""
    bounds = [0, *(cut for cut in cuts if cut < rows.num_rows), rows.num_rows]
    with PartWriter(path, rows.schema, delivery) as part:
        for low, high in pairwise(bounds):
            part.add(rows.slice(low, high - low))
    return path


def view_in(folder: Path, deliveries: Deliveries, rule: Rule = "latest", schema: Schema = SCHEMA) -> View:
    """A view of some deliveries, a part for each, in a new folder."""
    own = Path(tempfile.mkdtemp(dir=folder))
    parts = [write_part(own / f"{n:06d}.parquet", batch(rows, schema), n) for n, rows in sorted(deliveries.items())]
    return View(parts=tuple(parts), schema=schema, conflicts=rule)


def settling(folder: Path, view: View, places: Sequence[tuple[int, int]]) -> View:
    """The same view, in which the rows at these places are settled."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "settled.parquet"
    named = {DELIVERY: [number for number, _ in places], LINE: [line for _, line in places]}
    pq.write_table(pa.table({name: pa.array(numbers, pa.int64()) for name, numbers in named.items()}), path)
    return replace(view, settled=(path,))


def rows_of(batches: Iterable[pa.RecordBatch]) -> list[Row]:
    return [tuple(row.values()) for each in batches for row in each.to_pylist()]


def written(engine: Engine, view: View, since: int = 0) -> bytes:
    """What `write_csv` writes."""
    path = view.parts[0].with_name("written.csv") if view.parts else Path(tempfile.mkdtemp()) / "written.csv"
    engine.write_csv(view, path, since)
    return path.read_bytes()


def read_back(folder: Path, text: bytes, schema: Schema = SCHEMA) -> list[Row]:
    """The rows that a finaldata.csv of these bytes shows to a reader."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "finaldata.csv"
    path.write_bytes(text)
    table = read_files([path], schema)
    assert not table.rejected
    assert not table.notices
    return rows_of(table.rows.to_batches())


def answers(engine: Engine, view: View, since: int = 0) -> list[Any]:
    """Everything that an engine says of a view, without the names of its columns."""
    found = [engine.occurrences(view, client=client) for client in CLIENTS]
    text = written(engine, view, since)
    return [
        engine.arrivals(view, since),
        text if since else text.partition(b"\n")[2],
        rows_of(engine.contradictions(view, since)),
        rows_of(engine.newest(view)),
        rows_of(engine.overtaken(view, 1, LATER)),
        rows_of(engine.distinct(view, LATER, replace(view, without=view.without | LATER))),
        [(one.delivery, one.line, one.state, one.replaced_by, *one.values.values()) for each in found for one in each],
        [(each.rows, each.missing, each.mean, each.distinct) for each in engine.summarise(view)],
    ]


LATER = frozenset({2, 3})
CLIENTS = ["a", "A", "0012"]
DAY = datetime.date(2026, 1, 31)
ROW = st.tuples(
    st.sampled_from(["a", *CLIENTS]),
    st.sampled_from([DAY, DAY, None, DAY - datetime.timedelta(31)]),
    st.sampled_from([None, 0, 2**53 + 1]),
    st.sampled_from([None, 0.0, -0.0, 0.30000000000000004]),
    st.sampled_from([None, "NULL"]),
    st.sampled_from([None, 0, 1]),
)
POOL = st.lists(ROW, min_size=1, max_size=5)


def drawn_from(pool: Sequence[Row]) -> st.SearchStrategy[dict[int, list[Row]]]:
    return st.lists(st.lists(st.sampled_from(pool), max_size=5), max_size=4).map(lambda rows: dict(enumerate(rows, 1)))


DELIVERIES = POOL.flatmap(drawn_from)
RULE = st.sampled_from(RULES)
EXAMPLE: Deliveries = {
    1: [("a", DAY, 1, 0.5, "x", 0), ("a", DAY, 2, 0.5, "x", 1), ("A", None, 1, None, None, None)],
    2: [("a", DAY, 1, 0.5, "x", 0), ("A", None, 1, None, None, None)],
    3: [("0012", DAY, None, 1.5, "it's", 1), ("a", DAY, 1, 0.5, "x", 0), ("A", None, 1, -0.0, None, 1)],
}
"""Rows that repeat, contradict and replace each other, within a delivery and between them."""


# ---- what counts


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE)
@example(deliveries=EXAMPLE, rule="keep")
@example(deliveries=EXAMPLE, rule="latest")
@example(deliveries=EXAMPLE, rule="quarantine")
def test_every_delivery_says_what_it_did_to_the_view(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule
) -> None:
    assert list(engine.arrivals(view_in(tmp_path, deliveries, rule))) == expected_arrivals(deliveries, rule)


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE, since=st.integers(1, 4))
@example(deliveries=EXAMPLE, rule="latest", since=2)
@example(deliveries=EXAMPLE, rule="quarantine", since=3)
def test_the_last_deliveries_alone_say_the_same_as_when_all_are_counted(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, since: int
) -> None:
    expected = [each for each in expected_arrivals(deliveries, rule) if each.delivery >= since]
    assert list(engine.arrivals(view_in(tmp_path, deliveries, rule), since)) == expected


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE)
def test_what_deliveries_did_adds_up_to_what_is_written(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule
) -> None:
    view = view_in(tmp_path, deliveries, rule)
    arrived = engine.arrivals(view)
    labels = [row[-1] for row in read_back(tmp_path, written(engine, view))]
    assert len(labels) == sum(each.accepted - each.replaced for each in arrived)
    assert labels.count(1) == sum(each.exited for each in arrived)
    assert labels.count(None) == sum(each.unlabelled for each in arrived)


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE)
def test_what_is_written_as_csv_is_read_back_the_same_in_order_of_arrival(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule
) -> None:
    text = written(engine, view_in(tmp_path, deliveries, rule))
    assert read_back(tmp_path, text) == counting(deliveries, rule)


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE, since=st.integers(1, 4))
@example(deliveries=EXAMPLE, rule="quarantine", since=2)
@example(deliveries=EXAMPLE, rule="keep", since=3)
def test_rows_that_only_came_on_top_can_be_appended(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, since: int
) -> None:
    view = view_in(tmp_path, deliveries, rule)
    head = written(engine, replace(view, parts=()))
    earlier = replace(view, parts=view.parts[: since - 1])
    on_top = written(engine, view, since)
    assert read_back(tmp_path, head + on_top) == counting(deliveries, rule, since)
    if not any(each.delivery < since <= (each.replaced_by or 0) for each in judged(deliveries, rule)):
        assert written(engine, earlier) + on_top == written(engine, view)


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE, since=st.integers(0, 4))
@example(deliveries=EXAMPLE, rule="quarantine", since=0)
@example(deliveries=EXAMPLE, rule="quarantine", since=2)
def test_contradictions_are_told_with_the_row_that_they_contradict(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, since: int
) -> None:
    found = rows_of(engine.contradictions(view_in(tmp_path, deliveries, rule), since))
    assert found == [
        (*each.row, each.delivery, each.line, *each.first)
        for each in judged(deliveries, rule)
        if each.first and each.delivery >= since
    ]


@FEWER
@given(deliveries=DELIVERIES, rule=RULE, left_out=st.frozensets(st.integers(1, 4)))
def test_deliveries_that_are_left_out_might_as_well_not_have_come(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, left_out: frozenset[int]
) -> None:
    view = view_in(tmp_path, deliveries, rule)
    kept = [part for number, part in enumerate(view.parts, 1) if number not in left_out]
    assert answers(engine, replace(view, without=left_out)) == answers(engine, replace(view, parts=tuple(kept)))


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE, data=st.data())
@example(deliveries=EXAMPLE, rule="quarantine", data=None)
@example(deliveries=EXAMPLE, rule="latest", data=None)
def test_settled_rows_and_those_equal_to_them_might_as_well_not_have_come(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, data: st.DataObject | None
) -> None:
    places = [(n, line) for n, rows in deliveries.items() for line in lines(len(rows))]
    chosen = (
        places[1::2] if data is None else data.draw(st.lists(st.sampled_from(places), unique=True)) if places else []
    )
    gone = {deliveries[number][line // 2] for number, line in chosen}
    view = settling(tmp_path, view_in(tmp_path, deliveries, rule), chosen)
    others = {number: [row for row in rows if row not in gone] for number, rows in deliveries.items()}
    assert read_back(tmp_path, written(engine, view)) == counting(others, rule)
    assert rows_of(engine.newest(view)) == rows_of(engine.newest(view_in(tmp_path, others, rule)))
    arrived = {each.delivery: each for each in engine.arrivals(view)}
    for each in expected_arrivals(others, rule):
        here = arrived[each.delivery]
        assert (here.accepted, here.replaced, here.exited) == (each.accepted, each.replaced, each.exited)
    settled = {(row[-4], row[-3]) for row in rows_of(engine.contradictions(view))}
    assert settled >= set(chosen)
    assert rule == "quarantine" or settled == set(chosen)


def test_a_settled_row_still_tells_what_it_contradicts_and_no_more_once_that_has_left(
    engine: Engine, tmp_path: Path
) -> None:
    deliveries = {1: [("a", DAY, 1, 0.5, "x", 0)], 2: [("a", DAY, 2, 0.5, "x", 0)]}
    view = settling(tmp_path, view_in(tmp_path, deliveries, "quarantine"), [(2, 0)])
    assert [row[-4:] for row in rows_of(engine.contradictions(view))] == [(2, 0, 1, 0)]
    left = replace(view, without=frozenset({1}))
    assert [row[-4:] for row in rows_of(engine.contradictions(left))] == [(2, 0, None, None)]


@SAME_ENGINE
@given(pool=POOL, data=st.data(), numbers=st.frozensets(st.integers(0, 4)), rules=st.tuples(RULE, RULE))
def test_distinct_rows_are_those_of_some_deliveries_that_another_view_does_not_have(
    engine: Engine, tmp_path: Path, pool: Sequence[Row], data: st.DataObject, numbers: frozenset[int], rules: Any
) -> None:
    deliveries, others = data.draw(drawn_from(pool)), data.draw(drawn_from(pool))
    known = counting(others, rules[1])
    entries = [each for each in judged(deliveries, rules[0]) if each.state == "current" and each.delivery in numbers]
    view, without = view_in(tmp_path, deliveries, rules[0]), view_in(tmp_path, others, rules[1])
    assert rows_of(engine.distinct(view, numbers, without)) == [one.row for one in entries if one.row not in known]


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE, number=st.integers(1, 4), later=st.frozensets(st.integers(1, 4)))
@example(deliveries=EXAMPLE, rule="latest", number=1, later=frozenset({2, 3}))
def test_a_row_is_overtaken_by_the_last_of_some_deliveries_that_has_its_key(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, number: int, later: frozenset[int]
) -> None:
    width = len(SCHEMA.columns) if rule == "keep" else 2
    last = {row[:width]: each for each in sorted(later) for row in deliveries.get(each, ())}
    own = deliveries.get(number, ())
    expected = [
        (line, last[row[:width]]) for line, row in zip(lines(len(own)), own, strict=True) if row[:width] in last
    ]
    assert rows_of(engine.overtaken(view_in(tmp_path, deliveries, rule), number, later)) == expected


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE, until=st.integers(0, 8), earlier=st.frozensets(st.integers(1, 3)))
@example(deliveries=EXAMPLE, rule="latest", until=9, earlier=frozenset({1}))
@example(deliveries=EXAMPLE, rule="latest", until=9, earlier=frozenset({1, 2}))
def test_rows_of_a_key_are_repeated_if_all_of_them_are_known_and_the_last_of_them_was_said_last(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, until: int, earlier: frozenset[int]
) -> None:
    width = len(SCHEMA.columns) if rule == "keep" else 2
    number = max(deliveries, default=1)
    earlier -= {number}
    known = [row for each in sorted(earlier) for row in deliveries.get(each, ())]
    own = deliveries.get(number, ())
    again = [(line, row) for line, row in zip(lines(len(own)), own, strict=True) if line <= until]
    expected = []
    for line, row in again:
        same = [other for _, other in again if other[:width] == row[:width]]
        said = [other for other in known if other[:width] == row[:width]]
        if said and said[-1] == same[-1] and set(same) <= set(said):
            expected.append((line,))
    assert rows_of(engine.repeated(view_in(tmp_path, deliveries, rule), number, until, earlier)) == expected


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE)
def test_the_newest_row_of_a_client_is_the_latest_dated_then_the_last_arrived(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule
) -> None:
    newest: dict[str, Row] = {}
    for each in judged(deliveries, rule):
        rank = each.row[1] or datetime.date.min
        counts = each.state == "current" or rule != "quarantine"  # where a duplicate may be one of a contradiction
        if counts and rank >= (newest.get(each.row[0], each.row)[1] or datetime.date.min):
            newest[each.row[0]] = each.row
    found = rows_of(engine.newest(view_in(tmp_path, deliveries, rule)))
    assert found == [newest[client] for client in sorted(newest, key=str.encode)]


def test_a_contradiction_that_is_delivered_again_is_a_duplicate(engine: Engine, tmp_path: Path) -> None:
    first, second = ("a", DAY, 1, None, None, 0), ("a", DAY, 2, None, "x", 1)
    deliveries: Deliveries = {1: [first, second], 2: [second, first], 3: [second]}
    for since in (0, 2):
        view = view_in(tmp_path, deliveries, "quarantine")
        found = [(each.delivery, each.duplicate, each.conflicting) for each in engine.arrivals(view, since)]
        assert found == [(1, 0, 1), (2, 2, 0), (3, 1, 0)][bool(since) :]
        assert len(rows_of(engine.contradictions(view, since))) == (0 if since else 1)


def test_a_row_that_contradicts_an_earlier_one_is_not_the_newest(engine: Engine, tmp_path: Path) -> None:
    first, second = ("a", DAY, 1, None, None, 0), ("a", DAY, 2, None, None, 1)
    assert rows_of(engine.newest(view_in(tmp_path, {1: [first], 2: [second]}, "quarantine"))) == [first]
    assert rows_of(engine.newest(view_in(tmp_path, {1: [first], 2: [second]}, "latest"))) == [second]


def test_a_row_that_arrives_again_is_the_newest_again(engine: Engine, tmp_path: Path) -> None:
    first, second = ("a", DAY, 1, None, None, 0), ("a", DAY, 2, None, None, 1)
    for rule in ("keep", "latest"):
        deliveries = {1: [first], 2: [second], 3: [first]}
        assert rows_of(engine.newest(view_in(tmp_path, deliveries, rule))) == [first]


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE)
@example(deliveries=EXAMPLE, rule="latest")
@example(deliveries=EXAMPLE, rule="quarantine")
def test_every_delivered_row_of_a_client_is_found_with_what_became_of_it(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule
) -> None:
    view = view_in(tmp_path, deliveries, rule)
    for client in (*CLIENTS, "it's"):
        found = engine.occurrences(view, client=client)
        expected = [each for each in judged(deliveries, rule) if each.row[0] == client]
        assert [(e.delivery, e.line, e.state, e.replaced_by) for e in found] == [
            (e.delivery, e.line, e.state, e.replaced_by) for e in expected
        ]
        texts = [tuple(None if value is None else str(value) for value in each.row) for each in expected]
        assert [tuple(each.values.values()) for each in found] == texts
        assert all(tuple(each.values) == SCHEMA.names for each in found)


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE, row=st.integers(-1, 6))
def test_every_time_that_a_row_of_the_view_was_delivered_is_found(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, row: int
) -> None:
    shown = counting(deliveries, rule)
    wanted = shown[row - 1] if 0 < row <= len(shown) else None
    found = engine.occurrences(view_in(tmp_path, deliveries, rule), row=row)
    assert [(each.delivery, each.line, each.state) for each in found] == [
        (each.delivery, each.line, each.state) for each in judged(deliveries, rule) if each.row == wanted
    ]


@FEWER
@given(worth=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5, unique=True))
def test_a_row_is_found_by_any_number_in_it(engine: Engine, tmp_path: Path, worth: list[float]) -> None:
    view = view_in(tmp_path, {1: [("a", DAY, 1, each, None, None) for each in worth]}, "keep")
    assert [each.line for row in range(1, len(worth) + 1) for each in engine.occurrences(view, row=row)] == [
        *lines(len(worth))
    ]


@SAME_ENGINE
@given(deliveries=DELIVERIES, rule=RULE)
def test_statistics_are_those_of_the_rows_that_count(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule
) -> None:
    columns = list(zip(*counting(deliveries, rule), strict=True)) or [()] * len(SCHEMA.columns)
    for found, values in zip(engine.summarise(view_in(tmp_path, deliveries, rule)), columns, strict=True):
        present = [value for value in values if value is not None]
        assert (found.rows, found.missing, found.distinct) == (
            len(values),
            len(values) - len(present),
            len(set(present)),
        )
        if found.column == "visits":
            assert found.mean == (pytest.approx(math.fsum(present) / len(present)) if present else None)


@FEWER
@given(deliveries=DELIVERIES, rule=RULE, since=st.integers(0, 4), data=st.data())
def test_merging_parts_changes_no_answer(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, since: int, data: st.DataObject
) -> None:
    view = view_in(tmp_path, deliveries, rule)
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(view.parts))] * 2)))
    merged = Path(tempfile.mkdtemp(dir=tmp_path)) / "merged.parquet"
    rows = engine.rewrite(replace(view, parts=view.parts[low:high]), merged)
    assert rows == sum(len(deliveries[number]) for number in range(low + 1, high + 1))
    compacted = replace(view, parts=(*view.parts[:low], merged, *view.parts[high:]))
    assert answers(engine, compacted, since) == answers(engine, view, since)


@FEWER
@given(deliveries=DELIVERIES, left_out=st.frozensets(st.integers(1, 4)))
def test_deliveries_leave_when_a_part_is_rewritten_without_them(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, left_out: frozenset[int]
) -> None:
    view = replace(view_in(tmp_path, deliveries), without=left_out)
    rewritten = Path(tempfile.mkdtemp(dir=tmp_path)) / "rewritten.parquet"
    kept = [(*row, line, n) for n, rows in deliveries.items() if n not in left_out for row, line in with_lines(rows)]
    assert engine.rewrite(view, rewritten) == len(kept)
    assert rows_of(pq.read_table(rewritten).to_batches()) == kept


def with_lines(rows: Sequence[Row]) -> Iterator[tuple[Row, int]]:
    return zip(rows, lines(len(rows)), strict=True)


# ---- other ways to the same answer


@FEWER
@given(deliveries=DELIVERIES, rule=RULE, since=st.integers(0, 4))
def test_many_suspects_are_judged_like_few(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, since: int
) -> None:
    expected = answers(engine, view_in(tmp_path, deliveries, rule), since)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb_engine, "FEW", 1)
        assert answers(engine, view_in(tmp_path, deliveries, rule), since) == expected


@FEWER
@given(deliveries=DELIVERIES, rule=RULE, since=st.integers(0, 4))
def test_hashes_that_are_looked_at_in_shares_find_the_same(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, since: int
) -> None:
    expected = answers(engine, view_in(tmp_path, deliveries, rule), since)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb_engine, "HASHES_AT_ONCE", 2)
        assert answers(engine, view_in(tmp_path, deliveries, rule), since) == expected


@FEWER
@given(deliveries=DELIVERIES, rule=RULE, since=st.integers(0, 4))
def test_more_lines_than_there_can_be_bits_are_written_the_same(
    engine: Engine, tmp_path: Path, deliveries: Deliveries, rule: Rule, since: int
) -> None:
    view = view_in(tmp_path, deliveries, rule)
    expected = written(engine, view, since)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb_engine, "MOST_BITS", 0)
        assert written(engine, view, since) == expected


PARTS = {1: (100_000, 7), 2: (5_000, 3), 7: (150_000, 2), 8: (45_000, 20)}
"""Deliveries by number: how many rows, in how many row groups."""


def many_rows(folder: Path, rule: Rule) -> tuple[View, list[int]]:
    """A view of some 300,000 rows that often repeat and contradict each other, and the clients that count, in order."""
    random = np.random.default_rng(1)
    clients = random.integers(0, 200_000, sum(rows for rows, _ in PARTS.values()))
    activity = random.integers(0, 2, len(clients))
    places: dict[tuple[int, ...], int] = {}
    parts, start = [], 0
    for number, (rows, groups) in PARTS.items():
        own, active = clients[start : start + rows], activity[start : start + rows]
        columns = {"corporation": pa.array(own.astype(str)), "lastmonth_activity": pa.array(active)}
        columns |= {name: pa.repeat(pa.scalar(1, pa.int64()), rows) for name in BRIEF_SCHEMA.names[2:4]}
        columns |= {"exited": pa.repeat(pa.scalar(0, pa.int8()), rows), LINE: pa.array(range(2, rows + 2))}
        cuts = sorted(random.integers(1, rows, groups - 1).tolist())
        parts.append(write_part(folder / f"{number:06d}.parquet", pa.record_batch(columns), number, cuts))
        for place, row in enumerate(zip(own.tolist(), active.tolist(), strict=True), start):
            key = row if rule == "keep" else row[:1]
            stays = rule != "latest" or activity[places.get(key, place)] == row[1]
            places[key] = places.get(key, place) if stays else place
        start += rows
    shown = clients[sorted(places.values())].tolist()
    return View(parts=tuple(parts), schema=BRIEF_SCHEMA, conflicts=rule), shown


@pytest.fixture
def two_threads(engine: Engine) -> Engine:
    """An engine that works with two threads, however many the machine has."""
    if isinstance(engine, DuckDBEngine):
        engine._connection.execute("SET threads = 2")
    return engine


@pytest.mark.parametrize("rule", RULES)
def test_many_rows_in_unequal_parts_are_written_in_order_of_arrival(
    two_threads: Engine, tmp_path: Path, rule: Rule
) -> None:
    view, shown = many_rows(tmp_path, rule)
    two_threads.write_csv(view, tmp_path / "finaldata.csv")
    found = pc.read_csv(tmp_path / "finaldata.csv").column("corporation").to_pylist()
    assert found == shown
    assert two_threads.occurrences(view, row=len(shown))[-1].values["corporation"] == str(shown[-1])


def test_many_rows_are_merged_in_order_of_arrival(two_threads: Engine, tmp_path: Path) -> None:
    view, _ = many_rows(tmp_path, "keep")
    assert two_threads.rewrite(view, tmp_path / "merged.parquet") == sum(rows for rows, _ in PARTS.values())
    merged = pq.read_table(tmp_path / "merged.parquet")
    assert merged.equals(pa.concat_tables([pq.read_table(part) for part in view.parts]))


def test_many_answers_are_told_a_batch_at_a_time_in_order_of_arrival(two_threads: Engine, tmp_path: Path) -> None:
    view, shown = many_rows(tmp_path, "latest")
    nothing = replace(view, parts=())
    batches = list(two_threads.distinct(view, frozenset(PARTS), nothing))
    assert len(batches) > 1
    assert [int(row[0]) for row in rows_of(batches)] == shown


# ---- names


HOSTILE_NAMES = ["d", "l", "n", "h", "r", "j", "c0", "c1", "label", "place", "same", "duplicate", "conflicting"]
HOSTILE_NAMES += ["replaced", "replaced_by", "exited", "unlabelled", "delivered", "judged_0", "suspects", "old", "new"]
HOSTILE_NAMES += ["filename", "file_row_number", "rowid", "first_l", "first_bits", "out_bits", "value", "rows"]
HOSTILE_NAMES += ['say "x"', "a b", "select", "1", "ä;--", "$part", "%s", "x{}", "a,b", "it's", "count(*)", "a.b", "?"]


@pytest.fixture(scope="module")
def plain_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[Rule, list[Any]]:
    """What is said of the example under its plain names."""
    folder = tmp_path_factory.mktemp("plain")
    with DuckDBEngine(folder) as engine:
        return {rule: answers(engine, view_in(folder, EXAMPLE, rule), 2) for rule in RULES}


@pytest.mark.parametrize("first", range(0, len(HOSTILE_NAMES), 2))
def test_columns_may_have_any_name(
    engine: Engine, tmp_path: Path, plain_answers: dict[Rule, list[Any]], first: int
) -> None:
    """Each name is that of three columns in turn."""
    names = (HOSTILE_NAMES * 2)[first : first + len(SCHEMA.columns)]
    columns = [replace(column, name=name) for column, name in zip(SCHEMA.columns, names, strict=True)]
    schema = replace(SCHEMA, columns=tuple(columns))
    for rule in RULES:
        view = view_in(tmp_path, EXAMPLE, rule, schema)
        assert answers(engine, view, 2) == plain_answers[rule]
        assert list(engine.arrivals(view)) == expected_arrivals(EXAMPLE, rule)
        assert read_back(tmp_path, written(engine, view), schema) == counting(EXAMPLE, rule)


FOLDERS = ["it's", 'say "x"', "100%", "ü 名", "[2026]", "[!a]", "a*b", "**", "what?", "{a,b}", "k=v", "client=b"]
FOLDERS += ["back\\slash", "$HOME", "~", "new\nline", "x;y"]


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_may_have_any_name(engine: Engine, tmp_path: Path, name: str) -> None:
    plain = view_in(tmp_path, EXAMPLE)
    for neighbour in ("2", "b", "aab", "whatx", "a", name):
        (tmp_path / neighbour).mkdir(exist_ok=True)
        for part in plain.parts:
            wrong = part.name.replace("1", "3") if neighbour != name else part.name
            (tmp_path / neighbour / part.name).write_bytes(part.with_name(wrong).read_bytes())
    view = replace(plain, parts=tuple(tmp_path / name / part.name for part in plain.parts))
    assert answers(engine, view) == answers(engine, plain)
    engine.rewrite(view, tmp_path / name / "merged.parquet")
    assert pq.read_metadata(tmp_path / name / "merged.parquet").num_rows == sum(map(len, EXAMPLE.values()))


def test_an_engine_may_spill_into_any_folder(tmp_path: Path) -> None:
    (tmp_path / "it's [100%] *").mkdir()
    for make in ENGINES.values():
        with make(tmp_path / "it's [100%] *") as engine:
            assert engine.arrivals(View(parts=(), schema=SCHEMA, conflicts="keep")) == ()
        assert not list((tmp_path / "it's [100%] *").iterdir())


# ---- few rows, and none


def test_without_dates_the_client_alone_is_the_key(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, {1: [("a", 1, 1, 1, 0), ("a", 2, 2, 2, 1)], 2: [("a", 2, 2, 2, 1)]}, schema=BRIEF_SCHEMA)
    assert view.key == ("corporation",)
    assert [(e.duplicate, e.replaced) for e in engine.arrivals(view)] == [(0, 1), (1, 0)]
    assert rows_of(engine.newest(view)) == [("a", 2, 2, 2, 1)]


def test_accepted_rows_are_those_that_are_neither_duplicate_nor_conflicting() -> None:
    arrival = Arrival(delivery=1, rows=9, duplicate=2, conflicting=3, replaced=4, exited=0, unlabelled=0)
    assert arrival.accepted == 4


def test_columns_are_known_by_their_names_not_by_their_places(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, EXAMPLE)
    expected = answers(engine, view)
    moved = pq.read_table(view.parts[1])
    path = view.parts[1].with_name("000002-moved.parquet")
    pq.write_table(moved.select(moved.schema.names[::-1]), path)
    assert answers(engine, replace(view, parts=(view.parts[0], path, view.parts[2]))) == expected


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("schema", [SCHEMA, BRIEF_SCHEMA])
def test_an_answer_without_rows_still_has_its_columns(
    engine: Engine, tmp_path: Path, schema: Schema, rule: Rule
) -> None:
    numbers = {name: pa.int64() for name in ("_first_delivery", "_first_line", DELIVERY, LINE)}
    expected = {column.name: ARROW_TYPES[column.type] for column in schema.columns}
    part = view_in(tmp_path, {1: []}, rule, schema)
    for view in (part, replace(part, parts=())):
        for answer in (engine.distinct(view, frozenset({1}), view), engine.newest(view), engine.contradictions(view)):
            (empty,) = answer
            found = {field.name: field.type for field in empty.schema}
            assert found in (expected, expected | numbers)
            assert tuple(found)[: len(schema.names)] == schema.names
        assert written(engine, view).decode() == ",".join(schema.names) + "\n"
        assert {each.rows for each in engine.summarise(view)} == {0}


def test_a_rewritten_part_has_the_types_of_a_written_one(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, EXAMPLE)
    for number, left in enumerate((view, replace(view, without=frozenset(EXAMPLE)))):
        engine.rewrite(left, tmp_path / f"{number}.parquet")
        assert pq.read_schema(tmp_path / f"{number}.parquet").equals(pq.read_schema(view.parts[0]))


def test_an_answer_goes_on_while_others_are_asked(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, EXAMPLE, "quarantine")
    answer = engine.contradictions(view)
    first = next(answer)
    assert engine.arrivals(view)
    assert written(engine, view)
    assert len(rows_of([first, *answer])) == 2


# ---- finaldata.csv


NOTES = ["two\nlines", "crlf\r\n", "\r", "\n", "tab\t", '"\n"', ",\n,", " ", "#", "\ufeffx", "NULL"]


@pytest.mark.parametrize("note", NOTES)
def test_a_note_of_several_lines_is_read_back_the_same(engine: Engine, tmp_path: Path, note: str) -> None:
    ignored = Column(name="note", role="ignored", type="text", missing_allowed=True)
    schema = Schema(columns=(ignored, *SCHEMA.columns))
    rows = [(note, "a", DAY, 1, 0.5, "x", 1), (None, "b", DAY, 1, 0.5, "x", 0)]
    view = view_in(tmp_path, {1: rows}, "keep", schema)
    assert read_back(tmp_path, written(engine, view), schema) == rows
    assert engine.occurrences(view, row=1)[0].values["note"] == note


TEXTS = ["a", "NA", "0012", "b,c", 'say "x"', " ", "é", "e\u0301", "🦊", "1e5", "=1+1", "it's", "-", "\\", "''"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_client_may_be_called_anything(engine: Engine, tmp_path: Path, text: str) -> None:
    rows = [(text, DAY, 1, 1.0, text, 0), ("another", DAY, 1, 1.0, None, 1)]
    view = view_in(tmp_path, {1: rows})
    assert read_back(tmp_path, written(engine, view)) == rows
    assert [each.line for each in engine.occurrences(view, client=text)] == [0]
    assert [each.line for each in engine.occurrences(view, row=1)] == [0]


@FEWER
@given(
    visits=st.lists(st.integers(-(10**18) + 1, 10**18 - 1), min_size=3, max_size=3),
    worth=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
    months=st.lists(st.dates(datetime.date(1000, 1, 1)), min_size=3, max_size=3),
)
def test_any_value_is_written_and_read_back_the_same(
    engine: Engine, tmp_path: Path, visits: list[int], worth: list[float], months: list[datetime.date]
) -> None:
    rows = [(f"c{n}", months[n], visits[n], worth[n], None, None) for n in range(3)]
    assert read_back(tmp_path, written(engine, view_in(tmp_path, {1: rows}))) == rows


def test_labels_are_written_in_the_words_of_their_table(engine: Engine, tmp_path: Path) -> None:
    rows = [("a", DAY, 1, 0.5, "x", 1), ("b", DAY, 1, 0.5, "x", 0), ("c", DAY, 1, 0.5, None, None)]
    assert written(engine, view_in(tmp_path, {1: rows})).decode().splitlines()[1:] == [
        "a,2026-01-31,1,0.5,x,Yes",
        "b,2026-01-31,1,0.5,x,No",
        "c,2026-01-31,1,0.5,,",
    ]


def test_the_csv_file_is_replaced_whole(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, {1: []})
    view.parts[0].with_name("written.csv").write_text("older and longer\n" * 100)
    assert written(engine, view).count(b"\n") == 1


# ---- what can go wrong


def ask(engine: Engine, view: View, folder: Path) -> dict[str, Callable[[], object]]:
    """Every question that reads parts, by name."""
    return {
        "arrivals": lambda: engine.arrivals(view),
        "contradictions": lambda: rows_of(engine.contradictions(view)),
        "write_csv": lambda: engine.write_csv(view, folder / "asked.csv"),
        "distinct": lambda: rows_of(engine.distinct(view, frozenset({1}), replace(view, parts=()))),
        "overtaken": lambda: rows_of(engine.overtaken(view, 1, LATER)),
        "newest": lambda: rows_of(engine.newest(view)),
        "summarise": lambda: engine.summarise(view),
        "rewrite": lambda: engine.rewrite(view, folder / "asked.parquet"),
        "occurrences": lambda: engine.occurrences(view, client="a"),
    }


QUESTIONS = list(ask(DuckDBEngine.__new__(DuckDBEngine), View(parts=(), schema=SCHEMA, conflicts="keep"), Path()))


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_part_that_is_gone_is_an_input_output_error(engine: Engine, tmp_path: Path, question: str) -> None:
    view = View(parts=(tmp_path / "gone.parquet",), schema=SCHEMA, conflicts="keep")
    with pytest.raises(InputOutputError, match="the dataset cannot be read:"):
        ask(engine, view, tmp_path)[question]()


@pytest.mark.parametrize("question", QUESTIONS)
@FEWER
@given(data=st.data(), rule=RULE)
def test_a_damaged_part_is_an_input_output_error_if_it_is_noticed(
    engine: Engine, tmp_path: Path, question: str, data: st.DataObject, rule: Rule
) -> None:
    view = view_in(tmp_path, EXAMPLE, rule)
    whole = bytearray(view.parts[1].read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 255))
    whole[place] ^= change
    end = data.draw(st.sampled_from([len(whole), place]))
    view.parts[1].write_bytes(whole[:end])
    with suppress(InputOutputError):
        ask(engine, view, tmp_path)[question]()


def test_a_truncated_part_is_an_input_output_error(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, EXAMPLE)
    view.parts[1].write_bytes(view.parts[1].read_bytes()[:-4])
    with pytest.raises(InputOutputError, match="the dataset cannot be read:"):
        rows_of(engine.newest(view))


def test_an_engine_answers_after_it_could_not(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, EXAMPLE)
    expected = answers(engine, view_in(tmp_path, EXAMPLE))
    whole = view.parts[1].read_bytes()
    for size in range(0, len(whole), 50):
        view.parts[1].write_bytes(whole[:size])
        with pytest.raises(InputOutputError):
            engine.arrivals(view)
    view.parts[1].write_bytes(whole)
    assert answers(engine, view) == expected


def test_an_engine_answers_after_it_failed_half_way(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, EXAMPLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb_engine, "judgement", lambda *_: "SELECT error('the disk is full')")
        with pytest.raises(InputOutputError, match="the disk is full"):
            engine.arrivals(view)
    assert list(engine.arrivals(view)) == expected_arrivals(EXAMPLE, "latest")


@pytest.mark.parametrize("question", ["write_csv", "rewrite"])
def test_a_file_that_cannot_be_written_is_said_so(engine: Engine, tmp_path: Path, question: str) -> None:
    view = view_in(tmp_path, EXAMPLE)
    with pytest.raises(CannotWrite, match=r"cannot (be written|write):"):
        ask(engine, view, tmp_path / "nowhere")[question]()


@pytest.mark.parametrize("question", ["write_csv", "rewrite"])
def test_a_full_disk_is_told_as_the_system_tells_it(engine: Engine, tmp_path: Path, question: str) -> None:
    for name in ("asked.csv", "asked.parquet"):
        (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        ask(engine, view_in(tmp_path, EXAMPLE), tmp_path)[question]()
    assert caught.value.errno == errno.ENOSPC


def test_a_failed_rewriting_leaves_no_file_open(engine: Engine, tmp_path: Path) -> None:
    view = view_in(tmp_path, EXAMPLE)
    view.parts[1].write_bytes(view.parts[1].read_bytes()[:-4])
    with pytest.raises(InputOutputError):
        engine.rewrite(view, tmp_path / "rewritten.parquet")
    open_files = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
    assert not {tmp_path / "rewritten.parquet", *view.parts} & set(open_files)
