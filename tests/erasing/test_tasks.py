"""What ingestion makes of a cell is what is searched and cleaned, whatever type the file gives it."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.erasing.tasks import DeliveredCells, erasure_in, words_of_erasure
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import Reading
from holdfast.store.scrubbing import clean, holds
from holdfast.store.scrubbing.mention import Erasure, Mention

ONE, OTHER = (uuid.UUID(int=number << 70 | number) for number in (0x1234567890, 0x99))
STAMP = datetime(2026, 3, 1, 9, 30, 0, 250_000)  # noqa: DTZ001 - a column without a zone
ZONE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

CELLS: dict[str, pa.Array] = {
    "text": pa.array(["acme", "other", None]),
    "large text": pa.array(["acme", "other", None], pa.large_string()),
    "text view": pa.array(["acme", "other", None], pa.string_view()),
    "bytes": pa.array([b"acme", b"other", None]),
    "large bytes": pa.array([b"acme", b"other", None], pa.large_binary()),
    "bytes view": pa.array([b"acme", b"other", None], pa.binary_view()),
    "dictionary of texts": pa.array(["acme", "other", None]).dictionary_encode(),
    "dictionary of numbers": pa.array([70001, 5, None]).dictionary_encode(),
    "whole number": pa.array([70001, 5, None], pa.int64()),
    "short whole number": pa.array([42, 5, None], pa.int16()),
    "unsigned number": pa.array([2**63, 5, None], pa.uint64()),
    "negative number": pa.array([-70001, 5, None], pa.int32()),
    "floating-point number": pa.array([70001.0, 5.5, None], pa.float64()),
    "number with a fraction": pa.array([0.25, 5.5, None], pa.float64()),
    "large floating-point number": pa.array([1e300, 5.5, None], pa.float64()),
    "not a number": pa.array([70001.0, 5.0, float("nan")], pa.float32()),
    "half-precision number": pa.array([12.5, 5.0, None], pa.float16()),
    "decimal": pa.array([Decimal("70001.50"), Decimal(5), None], pa.decimal128(10, 2)),
    "whole decimal": pa.array([Decimal(70001), Decimal(5), None], pa.decimal128(10, 2)),
    "large decimal": pa.array([Decimal(10) ** 40, Decimal(5), None], pa.decimal256(60, 5)),
    "date": pa.array([date(2026, 3, 1), date(2026, 3, 2), None], pa.date32()),
    "date in milliseconds": pa.array([date(2026, 3, 1), date(2026, 3, 2), None], pa.date64()),
    "timestamp": pa.array([STAMP, ZONE.replace(tzinfo=None), None], pa.timestamp("us")),
    "timestamp at midnight": pa.array([datetime(2026, 3, 1), STAMP, None], pa.timestamp("ms")),  # noqa: DTZ001
    "timestamp with a zone": pa.array([ZONE, ZONE.replace(hour=3), None], pa.timestamp("s", "Europe/Berlin")),
    "boolean": pa.array([True, False, None]),
    "UUID": pa.array([ONE.bytes, OTHER.bytes, None], pa.uuid()),
}


def ids_of(data: bytes) -> list[str]:
    """The ids that ingestion reads."""
    delivered = open_delivery(io.BytesIO(data), "a.parquet", Reading(schema=BRIEF_SCHEMA))
    accepted, refused = list[str](), 0
    for parsed in delivered:
        accepted += parsed.rows[BRIEF_SCHEMA.client.name].to_pylist()
        refused += len(parsed.rejected)
    assert refused == 1, "the row without an id"
    return accepted


def parquet(cells: pa.Array, **options: Any) -> bytes:
    columns = {name: pa.array([1, 0, 1]) for name in BRIEF_SCHEMA.names}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns | {BRIEF_SCHEMA.client.name: cells}), sink, **options)
    return sink.getvalue()


def erasure(client: str) -> Erasure:
    told = words_of_erasure(Erasure(Mention(client), frozenset({BRIEF_SCHEMA.client.name}), own=False), Limits())
    return erasure_in(told)


@pytest.fixture(params=[True, False], ids=["with dictionary", "plain"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"use_dictionary": request.param, "store_schema": request.param}


@pytest.mark.parametrize("kind", CELLS)
def test_an_id_of_every_type_that_ingestion_reads_is_found_and_removed(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    data, path = parquet(CELLS[kind], **options), tmp_path / "a.parquet"
    path.write_bytes(data)
    ids = ids_of(data)
    assert len(set(ids)) == 2
    for gone, stays in (ids, ids[::-1]):
        path.write_bytes(data)
        assert holds(path, erasure(gone)), gone
        assert clean(path, erasure(gone)) == 1
        assert ids_of(path.read_bytes()) == [stays]
        assert not holds(path, erasure(gone))
        assert holds(path, erasure(stays))
        assert (
            pq.read_schema(path).field(BRIEF_SCHEMA.client.name).type
            == pq.read_schema(io.BytesIO(data)).field(BRIEF_SCHEMA.client.name).type
        )


def test_a_uuid_is_found_in_any_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"parent": CELLS["UUID"], "n": [1, 2, 3]}), path)
    assert holds(path, erasure(str(ONE)))
    assert not holds(path, erasure(str(uuid.UUID(int=5))))


def test_an_erasure_is_told_as_it_is() -> None:
    told = Erasure(
        Mention("Müller & Söhne"),
        frozenset({"client", "corporation"}),
        own=False,
        into=Path("/x/new"),
        headers=frozenset({("client", "n")}),
        cells=DeliveredCells(Limits(columns=7)),
        copies=Path("/x/.holdfast"),
    )
    heard = erasure_in(words_of_erasure(told, Limits(columns=7)))
    assert heard.mention.client == told.mention.client
    assert (heard.columns, heard.own, heard.into, heard.headers) == (told.columns, told.own, told.into, told.headers)
    assert (heard.cells, heard.copies) == (told.cells, told.copies)
