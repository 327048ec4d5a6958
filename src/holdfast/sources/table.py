"""Whole files as one table of accepted rows, for data that is read at once: test data, finaldata.csv."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from holdfast.records import RejectedRow
from holdfast.schema import LINE, Schema
from holdfast.sources.apart import open_apart
from holdfast.sources.casting import ARROW_TYPES
from holdfast.sources.files import name_of, open_regular
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import Delivered, Reading
from holdfast.sources.readers import Readers


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRead:
    """The accepted rows of some files, the rejected ones, notices, and the digest of all their bytes."""

    rows: pa.Table
    rejected: tuple[RejectedRow, ...]
    notices: tuple[str, ...]
    digest: str
    names: tuple[str, ...]


def read_files(paths: Iterable[Path], schema: Schema) -> TableRead:
    """Every accepted row of the files at `paths`, which are Holdfast's own: they are read in this process.

    Raises FileRefused for a file that cannot be taken.
    """
    return _read(paths, lambda stream, name: nullcontext(open_delivery(stream, name, Reading(schema=schema))), schema)


def read_deliveries(paths: Iterable[Path], reading: Reading, readers: Readers) -> TableRead:
    """Every accepted row of the files at `paths`, which may be anybody's: one of `readers` reads them.

    Raises FileRefused for a file that cannot be taken, or that asks for more than its limits allow.
    """
    return _read(paths, lambda stream, name: open_apart(readers, stream, name, reading), reading.schema)


def _read(
    paths: Iterable[Path], opened: Callable[[BinaryIO, str], AbstractContextManager[Delivered]], schema: Schema
) -> TableRead:
    batches: list[pa.RecordBatch] = []
    rejected: list[RejectedRow] = []
    notices: list[str] = []
    names: list[str] = []
    digests: list[str] = []
    for path in paths:
        name = name_of(path)
        with open_regular(path) as stream, opened(stream, name) as file:
            unlabelled: list[RejectedRow] = []
            for parsed in file:
                batches.append(parsed.rows)
                rejected += parsed.rejected
                unlabelled += parsed.unlabelled
            digests.append(file.digest)
        names.append(name)
        notices += file.notices
        if unlabelled:
            those = "1 label is" if len(unlabelled) == 1 else f"{len(unlabelled):,} labels are"
            notices.append(f"{name}: {those} {unlabelled[0].rule}, which counts as missing")
    return TableRead(
        rows=pa.Table.from_batches(batches).drop_columns([LINE]) if batches else empty_table(schema),
        rejected=tuple(rejected),
        notices=tuple(notices),
        digest=digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest(),
        names=tuple(names),
    )


def empty_table(schema: Schema) -> pa.Table:
    """No rows, the schema's columns."""
    return pa.table({column.name: pa.array([], ARROW_TYPES[column.type]) for column in schema.columns})


def batches_of(path: Path, schema: Schema) -> Iterator[pa.RecordBatch]:
    """The accepted rows of one of Holdfast's own files, a batch at a time."""
    with open_regular(path) as stream:
        for parsed in open_delivery(stream, path.name, Reading(schema=schema)):
            yield parsed.rows
