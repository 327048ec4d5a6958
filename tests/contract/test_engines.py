"""What every engine has to answer, compared with plain Python."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.engines.base import LINE, Engine
from holdfast.engines.duckdb import DuckDBEngine
from holdfast.errors import CannotWrite, InputOutputError
from holdfast.records import ColumnSummary
from holdfast.schema import BRIEF_SCHEMA, Column, Schema
from holdfast.sources.casting import ARROW_TYPES
from holdfast.sources.table import read_files

Row = tuple[Any, ...]
ENGINES: dict[str, Callable[[Path], DuckDBEngine]] = {"duckdb": DuckDBEngine}
SAME_ENGINE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)

SCHEMA = Schema(
    columns=(
        Column(name="client", role="client", type="text"),
        Column(name="month", role="time", type="date"),
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


def batch(rows: Sequence[Row], schema: Schema = SCHEMA, first_line: int = 2) -> pa.RecordBatch:
    """Rows as a delivery's batch: the schema's columns and the line of each row."""
    arrays = {c.name: pa.array([row[i] for row in rows], ARROW_TYPES[c.type]) for i, c in enumerate(schema.columns)}
    return pa.record_batch({**arrays, LINE: pa.array(range(first_line, first_line + len(rows)), pa.int64())})


class Parts:
    """Deliveries written as parts of a folder, numbered in order of arrival."""

    def __init__(self, engine: Engine, folder: Path, schema: Schema = SCHEMA) -> None:
        self.engine, self.folder, self.schema = engine, folder, schema
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, *deliveries: Sequence[Row]) -> list[Path]:
        """One part for each of the `deliveries`."""
        paths = []
        for number, rows in enumerate(deliveries):
            path = self.folder / f"{number}.parquet"
            halves = [batch(rows[:1], self.schema), batch(rows[1:], self.schema, 3)]
            assert self.engine.write_part(halves, number, path) == len(rows)
            paths.append(path)
        return paths


def rows_of(batches: Iterable[pa.RecordBatch]) -> list[Row]:
    return [tuple(row.values()) for each in batches for row in each.to_pylist()]


def unique(rows: Sequence[Row]) -> list[Row]:
    """Distinct rows in order of first arrival."""
    return list(dict.fromkeys(rows))


DAY = datetime.date(2026, 1, 31)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "A", "NA", "0012", "b,c", 'say "x"', " ", "é", "e\u0301", "🦊", "1e5", "=1+1"]),
        st.sampled_from([DAY, DAY - datetime.timedelta(31), datetime.date(1000, 1, 1), datetime.date(9999, 12, 31)]),
        st.sampled_from([None, 0, -1, 2**53 + 1, 10**18 - 1]),
        st.one_of(st.none(), st.sampled_from([0.1, 1e16, -2.5e-300]), st.floats(allow_nan=False, allow_infinity=False)),
        st.sampled_from([None, "Berlin", "NULL", "-", '"'])),
    max_size=8,
).flatmap(lambda rows: st.tuples(*[st.sampled_from([(*row, None), (*row, 0), (*row, 1)]) for row in rows]))  # fmt: skip
DELIVERIES = st.lists(ROWS, max_size=3)


# ---- rows


@SAME_ENGINE
@given(deliveries=DELIVERIES, without=ROWS)
def test_distinct_rows_come_in_order_of_arrival(
    engine: Engine, tmp_path: Path, deliveries: list[Sequence[Row]], without: Sequence[Row]
) -> None:
    parts = Parts(engine, tmp_path / "parts").write(*deliveries)
    others = Parts(engine, tmp_path / "others").write(without)
    everything = unique([row for rows in deliveries for row in rows])
    assert rows_of(engine.distinct(parts, [], SCHEMA)) == everything
    assert rows_of(engine.distinct(parts, others, SCHEMA)) == [row for row in everything if row not in without]


@SAME_ENGINE
@given(deliveries=DELIVERIES)
def test_making_rows_distinct_twice_changes_nothing(
    engine: Engine, tmp_path: Path, deliveries: list[Sequence[Row]]
) -> None:
    once = rows_of(engine.distinct(Parts(engine, tmp_path / "parts").write(*deliveries), [], SCHEMA))
    assert rows_of(engine.distinct(Parts(engine, tmp_path / "again").write(once), [], SCHEMA)) == once


@SAME_ENGINE
@given(rows=ROWS, deliveries=DELIVERIES)
def test_new_rows_are_those_that_no_earlier_part_has(
    engine: Engine, tmp_path: Path, rows: Sequence[Row], deliveries: list[Sequence[Row]]
) -> None:
    earlier = Parts(engine, tmp_path / "earlier").write(*deliveries)
    (part,) = Parts(engine, tmp_path / "part").write(rows)
    known = [row for each in deliveries for row in each]
    assert engine.count_new(part, earlier, SCHEMA) == len([row for row in unique(rows) if row not in known])
    assert engine.count_new(part, [], SCHEMA) == len(unique(rows))
    assert engine.count_new(part, [*earlier, part], SCHEMA) == 0


@SAME_ENGINE
@given(deliveries=DELIVERIES)
def test_the_newest_row_of_a_client_is_the_latest_dated_then_the_last_arrived(
    engine: Engine, tmp_path: Path, deliveries: list[Sequence[Row]]
) -> None:
    newest: dict[str, Row] = {}
    for row in (row for rows in deliveries for row in rows):
        if row[0] not in newest or row[1] >= newest[row[0]][1]:
            newest[row[0]] = row
    parts = Parts(engine, tmp_path / "parts").write(*deliveries)
    assert rows_of(engine.newest(parts, SCHEMA)) == [newest[client] for client in sorted(newest, key=str.encode)]


def test_without_dates_the_last_arrived_row_is_the_newest(engine: Engine, tmp_path: Path) -> None:
    parts = Parts(engine, tmp_path, BRIEF_SCHEMA)
    paths = parts.write([("a", 1, 1, 1, 0), ("a", 2, 2, 2, 1)], [("b", 3, 3, 3, 0), ("b", 3, 3, 3, None)])
    assert rows_of(engine.newest(paths, BRIEF_SCHEMA)) == [("a", 2, 2, 2, 1), ("b", 3, 3, 3, None)]


def test_a_row_without_a_date_is_older_than_any_other(engine: Engine, tmp_path: Path) -> None:
    dated, undated = ("a", DAY, 1, None, None, 0), ("a", None, 2, None, None, 0)
    paths = Parts(engine, tmp_path).write([dated], [undated])
    assert rows_of(engine.newest(paths, SCHEMA)) == [dated]


@SAME_ENGINE
@given(deliveries=DELIVERIES)
def test_rows_exits_and_missing_labels_are_counted(
    engine: Engine, tmp_path: Path, deliveries: list[Sequence[Row]]
) -> None:
    labels = [row[-1] for row in unique([row for rows in deliveries for row in rows])]
    parts = Parts(engine, tmp_path / "parts").write(*deliveries)
    assert engine.count(parts, SCHEMA) == (len(labels), labels.count(1), labels.count(None))


def test_missing_cells_are_the_same_as_each_other(engine: Engine, tmp_path: Path) -> None:
    empty = ("a", DAY, None, None, None, None)
    first, second = Parts(engine, tmp_path).write([empty, empty], [empty])
    assert engine.count_new(second, [first], SCHEMA) == 0
    assert rows_of(engine.distinct([first, second], [], SCHEMA)) == [empty]
    assert rows_of(engine.distinct([second], [first], SCHEMA)) == []


def test_no_parts_are_no_rows(engine: Engine, tmp_path: Path) -> None:
    assert rows_of(engine.distinct([], [], SCHEMA)) == rows_of(engine.newest([], SCHEMA)) == []
    assert engine.count([], SCHEMA) == (0, 0, 0)
    engine.write_csv([], SCHEMA, tmp_path / "finaldata.csv")
    assert (tmp_path / "finaldata.csv").read_text() == "client,month,visits,worth,city,churn\n"


@pytest.mark.parametrize("schema", [SCHEMA, BRIEF_SCHEMA])
def test_an_answer_without_rows_still_has_its_columns(engine: Engine, tmp_path: Path, schema: Schema) -> None:
    (part,) = Parts(engine, tmp_path, schema).write([])
    for parts in ([], [part]):
        for answer in (engine.distinct(parts, parts, schema), engine.newest(parts, schema)):
            (empty,) = answer
            assert empty.schema.names == list(schema.names)
            assert [field.type for field in empty.schema] == [ARROW_TYPES[column.type] for column in schema.columns]


def test_a_failed_part_is_closed(engine: Engine, tmp_path: Path) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield batch([("a", DAY, 1, 1.0, "x", 0)])
        raise ValueError("the source gave out")

    with pytest.raises(ValueError, match="gave out"):
        engine.write_part(failing(), 1, tmp_path / "part.parquet")
    open_files = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
    assert tmp_path / "part.parquet" not in open_files


# ---- finaldata.csv


@SAME_ENGINE
@given(deliveries=DELIVERIES)
def test_what_is_written_as_csv_is_read_back_the_same(
    engine: Engine, tmp_path: Path, deliveries: list[Sequence[Row]]
) -> None:
    parts = Parts(engine, tmp_path / "parts").write(*deliveries)
    engine.write_csv(parts, SCHEMA, tmp_path / "finaldata.csv")
    table = read_files([tmp_path / "finaldata.csv"], SCHEMA)
    assert not table.rejected
    assert not table.notices
    assert rows_of(table.rows.to_batches()) == unique([row for rows in deliveries for row in rows])


NOTES = ["two\nlines", "crlf\r\n", "\r", "\n", "tab\t", '"\n"', ",\n,", " ", "#", "\ufeffx"]


@pytest.mark.parametrize("note", NOTES)
def test_a_note_of_several_lines_is_read_back_the_same(engine: Engine, tmp_path: Path, note: str) -> None:
    ignored = Column(name="note", role="ignored", type="text", missing_allowed=True)
    schema = Schema(columns=(ignored, *SCHEMA.columns))
    rows = [(note, "a", DAY, 1, 0.5, "x", 1), (None, "b", DAY, 1, 0.5, "x", 0)]
    engine.write_csv(Parts(engine, tmp_path, schema).write(rows), schema, tmp_path / "finaldata.csv")
    assert rows_of(read_files([tmp_path / "finaldata.csv"], schema).rows.to_batches()) == rows


def test_labels_are_written_in_the_words_of_their_table(engine: Engine, tmp_path: Path) -> None:
    rows = [("a", DAY, 1, 0.5, "x", 1), ("b", DAY, 1, 0.5, "x", 0), ("c", DAY, 1, 0.5, None, None)]
    engine.write_csv(Parts(engine, tmp_path).write(rows), SCHEMA, tmp_path / "finaldata.csv")
    assert (tmp_path / "finaldata.csv").read_text().splitlines()[1:] == [
        "a,2026-01-31,1,0.5,x,Yes",
        "b,2026-01-31,1,0.5,x,No",
        "c,2026-01-31,1,0.5,,",
    ]


def test_the_csv_file_is_replaced_whole(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "finaldata.csv").write_text("older and longer\n" * 100)
    engine.write_csv([], SCHEMA, tmp_path / "finaldata.csv")
    assert (tmp_path / "finaldata.csv").read_text().count("\n") == 1


# ---- hostile names

HOSTILE_NAMES = [
    'say "x"',
    "a b",
    "select",
    "1",
    "ä;--",
    "$part",
    "%s",
    "{x}",
    "a,b",
    "it's",
    "count(*)",
    "a.b",
    "?",
    "x",
]


def hostile_schema() -> Schema:
    client, *features, target = (
        Column(name=name, role="feature", type="integer", missing_allowed=True) for name in HOSTILE_NAMES
    )
    return Schema(
        columns=(
            Column(name=client.name, role="client", type="text"),
            *features,
            Column(name=target.name, role="target", type="label", exited="it's", stayed='"no"', missing_allowed=True),
        )
    )


def test_columns_may_have_any_name(engine: Engine, tmp_path: Path) -> None:
    schema = hostile_schema()
    rows = [(f"c{n}", *range(n, n + len(HOSTILE_NAMES) - 2), n % 2) for n in range(3)]
    parts = Parts(engine, tmp_path, schema).write(rows, rows[:1])
    assert engine.count_new(parts[1], parts[:1], schema) == 0
    assert engine.count(parts, schema) == (3, 1, 0)
    assert rows_of(engine.distinct(parts, [], schema)) == rows_of(engine.newest(parts, schema)) == rows
    engine.write_csv(parts, schema, tmp_path / "finaldata.csv")
    assert rows_of(read_files([tmp_path / "finaldata.csv"], schema).rows.to_batches()) == rows
    means = {each.column: each.mean for each in engine.summarise([batch(rows, schema)], schema)}
    assert means["a b"] == 1.0
    assert means["?"] == 12.0


FOLDERS = ["it's", 'say "x"', "100%", "ü 名", "[2026]", "[!a]", "a*b", "**", "what?", "{a,b}", "k=v", "client=b"]
FOLDERS += ["back\\slash", "$HOME", "~", "new\nline", "x;y"]


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_may_have_any_name(engine: Engine, tmp_path: Path, name: str) -> None:
    for neighbour in ("2", "b", "aab", "whatx", "a"):
        Parts(engine, tmp_path / neighbour).write([("wrong", DAY, 1, 1.0, "x", 0)])
    rows = [("a", DAY, 1, 1.0, "x", 0), ("c", DAY, 2, 2.0, "y", 1)]
    folder = tmp_path / name
    parts = Parts(engine, folder).write(rows, rows[:1])
    assert rows_of(engine.distinct(parts, [], SCHEMA)) == rows_of(engine.newest(parts, SCHEMA)) == rows
    assert engine.count_new(parts[1], parts[:1], SCHEMA) == 0
    engine.write_csv(parts, SCHEMA, folder / "finaldata.csv")
    assert rows_of(read_files([folder / "finaldata.csv"], SCHEMA).rows.to_batches()) == rows


def test_an_engine_may_spill_into_any_folder(tmp_path: Path) -> None:
    (tmp_path / "it's [100%] *").mkdir()
    for make in ENGINES.values():
        with make(tmp_path / "it's [100%] *") as engine:
            assert engine.count([], SCHEMA) == (0, 0, 0)
        assert not list((tmp_path / "it's [100%] *").iterdir())


# ---- what can go wrong


def test_a_part_that_is_gone_is_an_input_output_error(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="the dataset cannot be read:"):
        engine.count([tmp_path / "gone.parquet"], SCHEMA)


def test_a_damaged_part_is_an_input_output_error(engine: Engine, tmp_path: Path) -> None:
    (path,) = Parts(engine, tmp_path).write([("a", DAY, 1, 1.0, "x", 0)])
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputOutputError, match="the dataset cannot be read:"):
        rows_of(engine.newest([path], SCHEMA))


def test_a_file_that_cannot_be_written_is_said_so(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="the dataset cannot be written:"):
        engine.write_csv([], SCHEMA, tmp_path / "nowhere" / "finaldata.csv")


# ---- statistics

VALUES = st.one_of(
    st.none(),
    st.floats(-1e6, 1e6),
    st.floats(allow_nan=False, allow_infinity=False, min_value=1e12, max_value=1.001e12),
)


def summary(engine: Engine, values: Sequence[float | None], split: int = 1) -> ColumnSummary:
    rows = [("a", DAY, None, value, None, None) for value in values]
    bounds = [0, *range(split, len(rows), split), len(rows)]
    batches = [batch(rows[low:high]) for low, high in pairwise(bounds)]
    return next(each for each in engine.summarise(batches, SCHEMA) if each.column == "worth")


@SAME_ENGINE
@given(values=st.lists(VALUES, min_size=1, max_size=40), split=st.integers(1, 40))
def test_statistics_agree_with_numpy(engine: Engine, values: list[float | None], split: int) -> None:
    present = np.array([value for value in values if value is not None])
    found = summary(engine, values, split)
    assert (found.rows, found.missing) == (len(values), len(values) - len(present))
    assert found.missing_percent == pytest.approx(100 * found.missing / found.rows, rel=1e-12, abs=0)
    if not len(present):
        assert {found.mean, found.median, found.minimum, found.maximum, found.standard_deviation} == {None}
        return
    size = np.abs(present).max()
    assert found.mean == pytest.approx(math.fsum(present) / len(present), rel=1e-12, abs=1e-15 * size)
    assert found.median == pytest.approx(np.median(present), rel=1e-12, abs=0)
    assert (found.minimum, found.maximum) == (present.min(), present.max())
    if len(present) == 1:
        assert found.standard_deviation is None
    else:
        expected = present.std(ddof=1, mean=math.fsum(present) / len(present))
        assert found.standard_deviation == pytest.approx(expected, rel=1e-12, abs=1e-15 * size)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_statistics_of_many_rows_agree_with_numpy_far_from_zero_too(engine: Engine, offset: float) -> None:
    values = offset + np.random.default_rng(1).integers(0, 1000, 50_000)
    found = summary(engine, values.tolist(), 10_000)
    assert found.mean == pytest.approx(np.mean(values), rel=1e-12, abs=0)
    assert found.standard_deviation == pytest.approx(np.std(values, ddof=1), rel=1e-12, abs=0)


def test_the_mean_of_very_many_rows_keeps_its_digits(engine: Engine) -> None:
    many = 1_000_000
    arrays = {column.name: pa.nulls(many, ARROW_TYPES[column.type]) for column in SCHEMA.columns}
    arrays["worth"] = pa.repeat(pa.scalar(0.1), many)
    found = {each.column: each for each in engine.summarise([pa.record_batch(arrays)], SCHEMA)}["worth"]
    assert found.mean == pytest.approx(0.1, rel=1e-14, abs=0)


def test_a_constant_column_does_not_deviate(engine: Engine) -> None:
    found = summary(engine, [0.1] * 1000)
    assert found.mean == pytest.approx(0.1, rel=1e-15, abs=0)
    assert (found.median, found.standard_deviation) == (0.1, 0.0)


def test_the_deviation_of_one_row_is_undefined(engine: Engine) -> None:
    assert summary(engine, [5.0]).standard_deviation is None


@pytest.mark.parametrize("values", [[1.7e308, 1.7e308], [1.7e308, -1.7e308], [5e-324, None]])
def test_extreme_values_do_not_stop_the_statistics(engine: Engine, values: list[float | None]) -> None:
    assert summary(engine, values).maximum == values[0]


def test_columns_without_numbers_have_counts_only(engine: Engine) -> None:
    rows = [("a", DAY, 1, 1.0, None, None), ("b", DAY, None, 2.0, "x", 1)]
    found = {each.column: each for each in engine.summarise([batch(rows)], SCHEMA)}
    assert [(found[name].missing, found[name].mean) for name in ("client", "city", "churn")] == [
        (0, None),
        (1, None),
        (1, None),
    ]
    assert list(found) == list(SCHEMA.names)


def test_nothing_has_no_statistics(engine: Engine) -> None:
    assert engine.summarise([], SCHEMA) == ()
    assert {each.rows for each in engine.summarise([batch([])], SCHEMA)} == {0}
