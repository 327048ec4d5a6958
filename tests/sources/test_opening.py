"""A delivery is opened as the kind that it is."""

from __future__ import annotations

import gzip
import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from holdfast.errors import FileRefused
from holdfast.schema import BRIEF_SCHEMA, LINE
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


def excel() -> bytes:
    book, stream = Workbook(), io.BytesIO()
    for row in TABLE:
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
