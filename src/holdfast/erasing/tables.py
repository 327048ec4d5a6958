"""One client taken out of the tables of the datasets, and out of their earlier versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.dataset import table_of
from holdfast.erasing.work import Work
from holdfast.errors import InputOutputError
from holdfast.schema import DELIVERY, LINE
from holdfast.store.files import replacing, write_file
from holdfast.store.scrubbing import scrub_file
from holdfast.store.scrubbing.kinds import explained

Rows = set[tuple[int, int]]
"""Where delivered rows stood: delivery and line."""


def rows_by_part(work: Work) -> dict[Path, Rows]:
    """The client's rows in every file of every dataset's table, earlier versions included."""
    parts = [part for table in work.tables() for part in sorted(table.folder.glob("*.parquet"))]
    found = {part: set(_rows(part, work)) for part in parts}
    return {part: rows for part, rows in found.items() if rows}


def remember_rows(note: Path, found: Mapping[Path, Rows]) -> Rows:
    """All rows that were found, with those that the note tells of, which then tells of all.

    When an interrupted erasure is called again, they are gone from the tables already.
    """
    rows = rows_in(note).union(*found.values())
    write_file(note, json.dumps(sorted(rows)).encode())
    return rows


def rows_in(note: Path) -> Rows:
    """The rows that the note tells of; none where there is no note."""
    return {(row[0], row[1]) for row in json.loads(note.read_bytes())} if note.is_file() else set()


def clean_tables(work: Work, found: Mapping[Path, Rows]) -> None:
    """The present version gets new parts without the client; earlier ones are read from old parts without the client.

    Delta's log tells of each part how long it is, which is right for the new ones. Of the old ones it is not any
    more: Holdfast reads them all the same, and other programs do not.
    """
    own = table_of(work.workspace).folder
    for table in work.tables():
        held = {part: rows for part, rows in found.items() if part.parent == table.folder}
        marked = table.folder == own and table.version is not None  # a backup from before is known by its version
        if not (held or marked):
            continue
        work.progress("erasing from the dataset", 0, None)
        before = table.readable() if table.folder == own else frozenset()
        touched = table.needing({part.name for part in held}.__contains__) & before
        present = [part for part in table.parts() if part.path in held]
        work.count(table.folder, sum(len(held[part.path]) for part in present))
        if work.trial:
            work.clean |= held.keys()
            lost: frozenset[int] = frozenset()
        else:
            if present or marked:
                fresh = [_copy_without(part.path, table.fresh_path(part.first, part.last), work) for part in present]
                table.commit("erasure", add=fresh, remove=present)
            _clean_old_parts(list(held), work)
            lost = before - table.readable()
        if table.folder == own:
            work.changed, work.unreadable = tuple(sorted(touched - lost)), tuple(sorted(lost))


def _rows(part: Path, work: Work) -> Iterator[tuple[int, int]]:
    """Delivery and line of each of the client's rows in one file of a table."""
    with explained(part), pq.ParquetFile(part) as file:
        for name in work.columns.intersection(file.schema_arrow.names):
            for batch in file.iter_batches(columns=[name, DELIVERY, LINE]):
                rows = batch.filter(pc.equal(batch.column(name), work.mention.client))
                yield from zip(rows.column(DELIVERY).to_pylist(), rows.column(LINE).to_pylist(), strict=True)


def _copy_without(part: Path, copy: Path, work: Work) -> Path:
    """Write a part without the client's rows, under a name of its own."""
    with replacing(copy) as new:
        if not scrub_file(part, work.mention.client, work.columns, into=new):
            raise InputOutputError("this part of the dataset cannot be cleaned", file=work.show(part))
    return copy


def _clean_old_parts(parts: Sequence[Path], work: Work) -> None:
    for part in parts:
        if scrub_file(part, work.mention.client, work.columns) is None:
            part.unlink()
            work.deleted.append(work.show(part))
