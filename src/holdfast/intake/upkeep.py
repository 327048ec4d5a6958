"""The dataset's files are kept few, and versions older than the retention time are let go."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.dataset import table_of, view_of
from holdfast.session import Session
from holdfast.store.deltatable import DatasetTable, Part
from holdfast.store.files import replacing

MOST_PARTS = 32
"""More files than this are merged into fewer: opening each costs time in every query."""

LARGE_BYTES = 64 << 20
"""A file of this size stays as it is."""


def keep_up(session: Session) -> int:
    """Compact the dataset when it has become many files, and delete files that no kept version needs.

    Returns how many files were merged. Reading gives the same rows before and after.
    """
    workspace = session.workspace
    table = table_of(workspace)
    merged = compact(session, table) if len(table.parts()) > MOST_PARTS else 0
    table.forget(workspace.history_days)
    return merged


def compact(session: Session, table: DatasetTable) -> int:
    """Merge neighbouring small files of the dataset; returns how many were merged."""
    merged = 0
    for neighbours in _small_neighbours(table.parts()):
        path = table.fresh_path(neighbours[0].first, neighbours[-1].last)
        with replacing(path) as temporary:
            session.engine.rewrite(view_of(session.workspace, [part.path for part in neighbours]), temporary)
        table.commit("compaction", add=[path], remove=neighbours)
        merged += len(neighbours)
    return merged


def _small_neighbours(parts: Sequence[Part]) -> list[list[Part]]:
    """Runs of small parts that follow each other in order of arrival."""
    runs: list[list[Part]] = [[]]
    size = 0
    for part in parts:
        bytes_of_part = part.path.stat().st_size
        if bytes_of_part >= LARGE_BYTES or size + bytes_of_part > 2 * LARGE_BYTES:
            runs.append([])
            size = 0
        if bytes_of_part < LARGE_BYTES:
            runs[-1].append(part)
            size += bytes_of_part
    return [run for run in runs if len(run) > 1]
