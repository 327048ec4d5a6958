"""A delivery is opened as the kind that it is."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from holdfast.errors import FileRefused
from holdfast.schema import BRIEF_SCHEMA, LINE, schema_from_json
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import Reading

NAMES = list(BRIEF_SCHEMA.names)
ROWS: list[list[object]] = [["acme", 1, 2, 3, 0], ["beta", 4, 5, 6, 1]]
TABLE: list[list[object]] = [[*NAMES], *ROWS]
CSV = "".join(",".join(map(str, row)) + "\n" for row in TABLE).encode()


def parquet() -> bytes:
    stream = io.BytesIO()
    columns = {name: [row[place] for row in ROWS] for place, name in enumerate(NAMES)}
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def excel(table: Sequence[Sequence[object]] = TABLE) -> bytes:
    book, stream = Workbook(), io.BytesIO()
    for row in table:
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


KINDS = [
    ("a.csv", CSV),
    ("a.csv.gz", gzip.compress(CSV, mtime=0)),
    ("a.parquet", parquet()),
    ("a.xlsx", excel()),
    ("a", CSV),
]


@pytest.mark.parametrize(("name", "data"), KINDS, ids=[name for name, _ in KINDS])
def test_every_kind_gives_the_same_rows_and_the_digest_of_its_bytes(name: str, data: bytes) -> None:
    file = open_delivery(io.BytesIO(data), name, Reading(schema=BRIEF_SCHEMA))
    rows = [row for parsed in file for row in parsed.rows.to_pylist()]
    assert [[row[column] for column in NAMES] for row in rows] == ROWS
    first = 1 if name.endswith("parquet") else 2
    assert [row[LINE] for row in rows] == [first, first + 1]
    assert (file.name, file.rows, file.notices, file.header) == (name, 2, (), BRIEF_SCHEMA.names)
    assert file.digest == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", [name for name, _ in KINDS[:4]])
@pytest.mark.parametrize(("true_name", "data"), KINDS[:4], ids=[name for name, _ in KINDS[:4]])
def test_a_file_named_for_another_kind_is_refused(name: str, true_name: str, data: bytes) -> None:
    if name != true_name:
        told = "not an Excel workbook" if name.endswith("xlsx") else "begins with"
        with pytest.raises(FileRefused, match=told):
            open_delivery(io.BytesIO(data), name, Reading(schema=BRIEF_SCHEMA))


AMOUNTS = schema_from_json({"client": "id", "target": "left", "features": {"amount": {"type": "number"}}})
INEXACT, VANISHED = "not exact in floating point", "rounds to 0 in floating point"


def verdicts(data: bytes, name: str) -> list[Any]:
    """Of each row its amount, or why it was refused."""
    found: dict[int, Any] = {}
    for parsed in open_delivery(io.BytesIO(data), name, Reading(schema=AMOUNTS)):
        rows = parsed.rows
        found |= dict(zip(rows.column(LINE).to_pylist(), rows.column("amount").to_pylist(), strict=True))
        found |= {row.line: row.rule for row in parsed.rejected}
    return [found[line] for line in sorted(found)]


@pytest.mark.parametrize("quote", ["", '"'], ids=["a block at once", "record by record"])
@pytest.mark.parametrize(
    ("amounts", "kind", "expected"),
    [
        ([2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 7], pa.int64(), [2.0**53, INEXACT, 2.0**53 + 2, INEXACT, 7]),
        ([2**64 - 1, 2**63], pa.uint64(), [INEXACT, 2.0**63]),
        ([Decimal(10**22), Decimal(10**22 + 1)], pa.decimal128(38, 0), [1e22, INEXACT]),
        ([Decimal("0.1"), Decimal(2**53 + 1), Decimal("1.5")], pa.decimal128(38, 12), [0.1, INEXACT, 1.5]),
        ([2.0**60, 1e23, 5e-324, 0.1], pa.float64(), [2.0**60, 1e23, 5e-324, 0.1]),
        (["1e-400", "1e400", "-0", "1e23"], pa.string(), [VANISHED, "not a finite number", 0, 1e23]),
    ],
    ids=str,
)
def test_a_number_has_the_same_verdict_in_every_kind(
    amounts: list[object], kind: pa.DataType, expected: list[object], quote: str
) -> None:
    csv = "".join(f"{quote}c{quote},{amount},0\n" for amount in amounts)
    columns = {"id": ["c"] * len(amounts), "amount": pa.array(amounts, kind), "left": [0] * len(amounts)}
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    book = excel([["id", "amount", "left"], *(["c", str(amount), 0] for amount in amounts)])
    assert verdicts(f"id,amount,left\n{csv}\n".encode(), "a.csv") == expected
    assert verdicts(stream.getvalue(), "a.parquet") == expected
    assert verdicts(book, "a.xlsx") == expected
