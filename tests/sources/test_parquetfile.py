"""Delivered Parquet files: the rows and verdicts of a CSV file with the same cells, and no trust in the bytes."""

from __future__ import annotations

import datetime
import errno
import hashlib
import io
import random
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import FileRefused, InputOutputError
from holdfast.limits import Limits
from holdfast.records import RejectedRow
from holdfast.schema import BRIEF_SCHEMA, LINE, Column, Schema, schema_from_json
from holdfast.sources.csvfile import CsvFile
from holdfast.sources.parquetfile import BATCH_ROWS, ParquetDelivery
from holdfast.sources.parsed import Reading
from holdfast.sources.typed import as_csv
from holdfast.sources.unpacking import Hashed

BRIEF = Reading(schema=BRIEF_SCHEMA)
NOTE = Column(name="note", role="ignored", type="text", missing_allowed=True)
DATED = schema_from_json(
    {
        "client": "id",
        "time": "day",
        "target": {"column": "left", "exited": "1", "stayed": "0"},
        "features": {
            "visits": {"type": "integer", "minimum": 0},
            "spend": {"type": "number", "missing_allowed": True},
            "plan": {"type": "category"},
        },
    }
)


@dataclass(frozen=True)
class Read:
    """What became of a delivery."""

    rows: list[dict[str, Any]]
    lines: list[int]
    rejected: list[RejectedRow]
    unlabelled: list[RejectedRow]
    counted: int

    @property
    def refusals(self) -> list[tuple[int, str | None, str]]:
        return [(row.line, row.column, row.rule) for row in self.rejected]


def read(delivery: ParquetDelivery | CsvFile) -> Read:
    rows: list[dict[str, Any]] = []
    rejected: list[RejectedRow] = []
    unlabelled: list[RejectedRow] = []
    for parsed in delivery:
        rows += parsed.rows.to_pylist()
        rejected += parsed.rejected
        unlabelled += parsed.unlabelled
    return Read(rows, [row.pop(LINE) for row in rows], rejected, unlabelled, delivery.rows)


def written(table: pa.Table | Mapping[str, object], **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(dict(table)), stream, **options)
    return stream.getvalue()


def opened(data: bytes, reading: Reading = BRIEF) -> ParquetDelivery:
    return ParquetDelivery(io.BytesIO(data), "march.parquet", reading)


def refusal(data: bytes, reading: Reading = BRIEF) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        read(opened(data, reading))
    assert caught.value.file == "march.parquet"
    return caught.value


def brief(rows: int = 3, **columns: object) -> dict[str, object]:
    """A table that keeps the brief's schema, with some columns replaced."""
    plain: dict[str, object] = {name: [1] * rows for name in BRIEF_SCHEMA.names}
    return plain | {"corporation": [f"c{row}" for row in range(rows)]} | columns


# ---- the same as CSV

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=6)
CELL = st.one_of(TEXT, st.integers(-2, 9).map(str), st.sampled_from(["NA", "1.0", "0012", "1e5", "x", ' "q", ', ""]))


GOOD_ROW = st.tuples(TEXT, *[st.integers(0, 99).map(str)] * 3, st.sampled_from(["0", "1", ""])).map(list)


@given(st.lists(st.one_of(GOOD_ROW, st.lists(CELL, min_size=5, max_size=5)), max_size=6))
def test_texts_get_the_rows_and_verdicts_of_a_csv_file(rows: list[list[str]]) -> None:
    lines = "".join(as_csv(row) + "\r\n" for row in [list(BRIEF_SCHEMA.names), *rows]).encode()
    columns = zip(*rows, strict=True) if rows else [()] * 5
    table = pa.table([pa.array(list(cells), pa.string()) for cells in columns], names=list(BRIEF_SCHEMA.names))
    csv_file = read(CsvFile(Hashed(io.BytesIO(lines), "march.csv"), "march.csv", BRIEF))
    parquet = read(opened(written(table)))
    assert parquet.rows == csv_file.rows
    assert [row.text for row in parquet.rejected] == [row.text for row in csv_file.rejected]
    assert [row[1:] for row in parquet.refusals] == [row[1:] for row in csv_file.refusals]
    assert len(parquet.unlabelled) == len(csv_file.unlabelled)
    assert parquet.counted == csv_file.counted == len(rows)


DAYS = st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1))
SPEND = st.one_of(st.none(), st.floats(-1e9, 1e9))


@given(st.lists(st.tuples(DAYS, st.integers(-5, 10**9), SPEND, st.booleans()), min_size=1, max_size=6))
def test_typed_columns_get_the_rows_and_verdicts_of_their_csv_form(
    rows: list[tuple[datetime.date, int, float | None, bool]],
) -> None:
    days, visits, spend, left = (list(cells) for cells in zip(*rows, strict=True))
    table = pa.table(
        {
            "id": [f"c{row}" for row in range(len(rows))],
            "day": pa.array(days, pa.date32()),
            "visits": pa.array(visits, pa.int64()),
            "spend": pa.array(spend, pa.float64()),
            "plan": pa.array(["gold"] * len(rows)).dictionary_encode(),
            "left": left,
        }
    )
    lines = ["id,day,visits,spend,plan,left"]
    for row, (day, visit, spent, gone) in enumerate(rows):
        lines.append(f"c{row},{day},{visit},{'' if spent is None else repr(spent)},gold,{int(gone)}")
    data = "".join(f"{line}\n" for line in lines).encode()
    reading = Reading(schema=DATED)
    csv_file = read(CsvFile(Hashed(io.BytesIO(data), "march.csv"), "march.csv", reading))
    parquet = read(opened(written(table), reading))
    assert parquet.rows == csv_file.rows
    assert [(line + 1, *rest) for line, *rest in parquet.refusals] == csv_file.refusals


@given(st.lists(st.text(st.characters(blacklist_categories=["C", "Zl", "Zp"]), min_size=1, max_size=12), max_size=8))
def test_client_ids_come_out_byte_for_byte(ids: list[str]) -> None:
    data = written(brief(len(ids), corporation=pa.array(ids, pa.string())))
    assert [row["corporation"] for row in read(opened(data)).rows] == ids


def test_columns_are_found_by_name_and_others_are_left_out_with_a_notice() -> None:
    table = pa.table(brief()).select(list(reversed(BRIEF_SCHEMA.names)))
    delivery = opened(written(table.append_column("tags", [[["a"], [], None]])))
    assert delivery.header == tuple(reversed(BRIEF_SCHEMA.names))
    assert delivery.notices == ("march.parquet: 1 column not in the schema is left out: tags",)
    assert read(delivery).lines == [1, 2, 3]


def test_a_refused_row_keeps_its_cells_as_csv_in_the_order_of_the_header() -> None:
    table = pa.table(brief(note=["x, y", None, None], lastmonth_activity=[1, -4, 2]))
    schema = Schema(columns=(*BRIEF_SCHEMA.columns[:-1], NOTE, BRIEF_SCHEMA.target))
    delivery = opened(written(table.select(["note", *BRIEF_SCHEMA.names])), Reading(schema=schema))
    [row] = read(delivery).rejected
    assert delivery.header == ("note", *BRIEF_SCHEMA.names)
    assert (row.line, row.column, row.rule) == (2, "lastmonth_activity", "below the minimum 0")
    assert row.text == ",c1,-4,1,1,1"


def test_renamed_columns_are_known_by_the_schemas_names() -> None:
    table = pa.table(brief()).rename_columns(["Company", *BRIEF_SCHEMA.names[1:]])
    delivery = opened(written(table), Reading(schema=BRIEF_SCHEMA, renamed={"Company": "corporation"}))
    assert delivery.header == BRIEF_SCHEMA.names
    assert [row["corporation"] for row in read(delivery).rows] == ["c0", "c1", "c2"]


def test_rows_without_label_are_told_of_and_taken() -> None:
    outcome = read(opened(written(brief(exited=["1", "maybe", None]))))
    assert [row["exited"] for row in outcome.rows] == [1, None, None]
    assert [(row.line, row.text) for row in outcome.unlabelled] == [(2, "c1,1,1,1,maybe")]


def test_a_file_for_predictions_may_lack_the_target() -> None:
    table = pa.table(brief()).drop_columns(["exited"])
    outcome = read(opened(written(table), Reading(schema=BRIEF_SCHEMA, target_required=False)))
    assert [row["exited"] for row in outcome.rows] == [None] * 3


def test_rows_are_their_own_clients_where_the_schema_has_none() -> None:
    schema = Schema(columns=BRIEF_SCHEMA.columns, client_in_file=False)
    outcome = read(opened(written(pa.table(brief()).drop_columns(["corporation"])), Reading(schema=schema)))
    assert [row["corporation"] for row in outcome.rows] == [f"march.parquet:{line}" for line in (1, 2, 3)]


def test_the_digest_is_of_the_files_bytes() -> None:
    data = written(brief())
    delivery = opened(data)
    read(delivery)
    assert delivery.digest == hashlib.sha256(data).hexdigest()


def test_a_file_without_rows_gives_one_empty_batch() -> None:
    for data in (written(pa.table(brief()).slice(0, 0)), written(pa.table(brief()).schema.empty_table())):
        [batch] = list(opened(data))
        assert (batch.rows.num_rows, batch.rejected) == (0, ())


def test_a_row_group_without_rows_does_not_end_the_file() -> None:
    stream, table = io.BytesIO(), pa.table(brief())
    with pq.ParquetWriter(stream, table.schema) as writer:
        for rows in (table, table.slice(0, 0), table):
            writer.write_table(rows)
    assert read(opened(stream.getvalue())).lines == [1, 2, 3, 4, 5, 6]


def test_batches_stay_small_however_large_the_row_groups_are() -> None:
    rows = 3 * BATCH_ROWS + 1
    constant = {name: pa.array([7], pa.int8()).take(pa.array([0] * rows)) for name in BRIEF_SCHEMA.names}
    batches = list(opened(written(constant, row_group_size=rows)))
    assert max(batch.rows.num_rows for batch in batches) <= BATCH_ROWS
    assert sum(batch.rows.num_rows for batch in batches) == rows


def test_batches_of_long_texts_are_smaller_still() -> None:
    notes = pa.array([f"{row:05}" * 2_000 for row in range(BATCH_ROWS // 4)])
    data = written(brief(len(notes), note=notes), use_dictionary=False, compression="none")
    schema = Schema(columns=(*BRIEF_SCHEMA.columns, NOTE))
    assert max(batch.rows.num_rows for batch in opened(data, Reading(schema=schema))) < BATCH_ROWS // 8


# ---- types


def test_the_types_of_other_writers_are_read() -> None:
    table = pa.table(
        {
            "id": pa.array([b"a", b"b"], pa.binary()),
            "day": pa.array(np.array(["2026-01-31T23:30:00", "NaT"], "datetime64[ns]")),
            "visits": pa.array([Decimal("12.00"), Decimal("1.50")]),
            "spend": pa.array([0.5, None], pa.float32()),
            "plan": pa.array(["gold", "gold"]).dictionary_encode(),
            "left": pa.array([True, False]),
        }
    )
    outcome = read(opened(written(table, use_deprecated_int96_timestamps=True), Reading(schema=DATED)))
    day = datetime.date(2026, 1, 31)
    assert outcome.rows == [{"id": "a", "day": day, "spend": 0.5, "visits": 12, "plan": "gold", "left": 1}]
    assert outcome.refusals == [(2, "day", "missing")]


def test_numbers_as_ids_are_written_as_whole_numbers() -> None:
    outcome = read(opened(written(brief(corporation=[12.0, 10.0, None]))))
    assert [row["corporation"] for row in outcome.rows] == ["12", "10"]
    assert outcome.refusals == [(3, "corporation", "missing")]


def test_a_column_of_lists_is_refused_before_a_row_is_read() -> None:
    with pytest.raises(FileRefused, match="cells of the type list<element: int64> cannot be read") as caught:
        opened(written(brief(lastyear_activity=[[1], [2], [3]])))
    assert caught.value.column == "lastyear_activity"


def test_a_missing_column_is_named() -> None:
    error = refusal(written(pa.table(brief()).drop_columns(["lastyear_activity"])))
    assert "no column 'lastyear_activity'" in error.message


def test_a_column_that_comes_twice_is_refused() -> None:
    table = pa.table(brief()).append_column("exited", [[1, 1, 1]])
    assert refusal(written(table)).message == "this column appears more than once"


# ---- limits


def test_too_many_cells_are_refused_by_the_footer_alone() -> None:
    data = written(brief(200))
    limits = Limits(cells=999)
    with pytest.raises(FileRefused, match="more than 999 cells"):
        opened(data, Reading(schema=BRIEF_SCHEMA, limits=limits))
    assert opened(data, Reading(schema=BRIEF_SCHEMA, limits=Limits(cells=1_000))).rows == 0


def test_too_many_columns_are_refused() -> None:
    wide = brief() | {f"extra{number}": [0, 0, 0] for number in range(16)}
    reading = Reading(schema=BRIEF_SCHEMA, limits=Limits(columns=20))
    assert refusal(written(wide), reading).message == "21 columns; at most 20 are read"


def test_a_file_that_unpacks_to_too_much_is_refused_by_the_footer_alone() -> None:
    data = written({name: np.zeros(300_000) for name in BRIEF_SCHEMA.names}, use_dictionary=False, compression="zstd")
    with pytest.raises(FileRefused, match="unpacks to more than"):
        opened(data)


def test_a_value_longer_than_a_field_may_be_refuses_its_row_alone() -> None:
    reading = Reading(schema=BRIEF_SCHEMA, limits=Limits(field_characters=5))
    outcome = read(opened(written(brief(corporation=["ééééé", "123456", "c"])), reading))
    assert outcome.lines == [1, 3]
    assert outcome.refusals == [(2, "corporation", "longer than 5 characters")]
    assert outcome.rejected[0].text == "123456,1,1,1,1"


def test_a_row_is_refused_once_and_in_its_place() -> None:
    reading = Reading(schema=BRIEF_SCHEMA, limits=Limits(field_characters=5))
    table = brief(4, corporation=["a", "123456", "c", "d"], lastmonth_activity=[-1, -1, -1, 1])
    outcome = read(opened(written(table), reading))
    assert [line for line, *_ in outcome.refusals] == [1, 2, 3]
    assert outcome.counted == len(outcome.rows) + len(outcome.rejected) == 4


def test_a_value_longer_than_any_row_may_be_refuses_the_file() -> None:
    assert "longer than 4,194,304 bytes" in refusal(written(brief(corporation=["a", "b", "x" * 5_000_000]))).message


def test_one_long_text_that_every_row_means_is_refused() -> None:
    data = written(brief(2_000, corporation=pa.array(["x" * 30_000] * 2_000).dictionary_encode()))
    assert len(data) < 10_000
    assert refusal(data).message == "unpacks to more than 10,000,000 bytes"


# ---- damage


def test_a_file_cut_short_anywhere_is_refused() -> None:
    data = written(brief(20))
    for length in range(0, len(data), 3):
        refusal(data[:length])


def test_what_is_no_parquet_file_is_refused_with_the_reason() -> None:
    assert refusal(b"PAR1" + bytes(100)).message.startswith("not a Parquet file, or a damaged one: Parquet magic")


def test_a_page_with_another_checksum_is_refused() -> None:
    data = bytearray(written(brief(50), write_page_checksum=True, compression="none", use_dictionary=False))
    data[data.index(b"c17")] ^= 1
    assert "CRC checksum verification failed" in refusal(bytes(data)).message


def test_a_footer_that_promises_other_rows_is_refused() -> None:
    data = bytearray(written(brief(1_000), store_schema=False))
    place = data.index(b"\x16\xd0\x0f", data.index(b"schema"))  # 1,000, as Thrift's compact protocol writes it
    data[place + 1] += 2
    assert refusal(bytes(data)).message == "the footer promises 1,001 rows; there are 1,000"


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with a few bytes changed, moved or cut, as often in the footer as before it."""
    changed = bytearray(data)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for _ in range(chance.choice([1, 1, 2, 5])):
        place = min(chance.choice([chance.randrange(len(data)), chance.randrange(footer, len(data))]), len(changed) - 1)
        match chance.randrange(4):
            case 0:
                changed[place] ^= 1 << chance.randrange(8)
            case 1:
                changed[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
            case 2:
                del changed[place : place + chance.randrange(8)]
            case 3:
                changed[place:place] = changed[: chance.randrange(8)]
    return bytes(changed)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_a_mutated_file_is_read_or_refused_and_nothing_else(version: str, compression: str) -> None:
    day = pa.array([datetime.date(2026, 1, 1 + row) for row in range(30)])
    columns = {"day": day, "visits": day.cast(pa.int32()), "spend": [row / 7 for row in range(30)], "left": [True] * 30}
    table = pa.table({"id": [f"c{row}" for row in range(30)], "plan": pa.array(["a", "b"] * 15), **columns})
    chance, outcomes = random.Random(f"{version} {compression}"), set()
    for dictionary in (True, False):
        data = written(table, compression=compression, data_page_version=version, use_dictionary=dictionary)
        for _ in range(60):
            try:
                outcome = read(opened(mutated(data, chance), Reading(schema=DATED)))
                assert outcome.counted == len(outcome.rows) + len(outcome.rejected)
                outcomes.add("read")
            except FileRefused:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}


class Failing(io.BytesIO):
    """A stream that the system can read at first."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > 4:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_an_error_of_the_system_is_not_the_files_fault() -> None:
    with pytest.raises(InputOutputError, match="cannot read: Input/output error"):
        read(ParquetDelivery(Failing(written(brief(50))), "march.parquet", BRIEF))
