"""The dataset at any version: its statistics, its history, a copy of it, and its upkeep."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from holdfast.dataset import ask, current_view, summary_of, table_of
from holdfast.engines.base import View
from holdfast.errors import InputOutputError, NoUsableData, UsageError
from holdfast.intake.reconciling import reconcile
from holdfast.intake.upkeep import compact
from holdfast.progress import Progress, silent
from holdfast.records import DatasetExport, DatasetHistory, DatasetSummary, DeliveryList, Upkeep
from holdfast.session import begin, reading
from holdfast.store.files import replacing
from holdfast.workspace import Workspace

T = TypeVar("T")

MADE = "made"
"""The purpose of the version with which a table begins: it holds no rows yet."""


def summarise(workspace: Workspace, as_of: int | None = None, progress: Progress = silent) -> DatasetSummary:
    """Statistics of every column of the dataset, now or as of a version.

    Raises NoUsableData when nothing has been ingested, or nothing had been then, UsageError for a version that never
    was, InputOutputError for one that can no longer be read.
    """
    start = time.perf_counter()
    with reading(workspace, progress) as (ledger, engine):
        columns, version = _asked(workspace, as_of, lambda version: summary_of(workspace, ledger, engine, version))
        return DatasetSummary(
            source=workspace.source,
            version=version,
            rows=columns[0].rows if columns else 0,
            columns=columns,
            seconds=time.perf_counter() - start,
        )


def history(workspace: Workspace) -> DatasetHistory:
    """Every version of the dataset, and which of them can still be read."""
    table = table_of(workspace)
    versions = tuple(replace(each, rows=0) if each.purpose == MADE else each for each in table.versions())
    return DatasetHistory(source=workspace.source, versions=versions, readable=tuple(sorted(table.readable())))


def deliveries(workspace: Workspace) -> DeliveryList:
    """Every delivery to the dataset so far, copies and refused ones included; changes nothing."""
    with reading(workspace) as (ledger, _):
        dataset = workspace.source, workspace.schema.digest
        current = tuple(file.number for file in ledger.current_deliveries(*dataset))
        return DeliveryList(source=workspace.source, deliveries=ledger.deliveries(*dataset), current=current)


def export(workspace: Workspace, out: Path, as_of: int | None = None, progress: Progress = silent) -> DatasetExport:
    """Write the dataset, now or as of a version, to a .csv file: what finaldata.csv was then.

    Raises as `summarise` does, and UsageError for another kind of file or a place among the workspace's own files.
    """
    start = time.perf_counter()
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow links
    if out.suffix != ".csv":
        raise UsageError("the dataset is exported as .csv", file=str(out), hint="name the file like march.csv")
    workspace.refuse_own_place(out)
    with reading(workspace, progress) as (_, engine):

        def write(view: View) -> int:
            if not view.parts:
                raise NoUsableData("there is no dataset yet", hint="run: holdfast ingest")
            engine.write_csv(view, temporary)
            return sum(each.added for each in engine.arrivals(view))

        with replacing(out) as temporary:
            rows, version = _asked(workspace, as_of, lambda version: ask(workspace, write, version))
    return DatasetExport(file=str(out), version=version, rows=rows, seconds=time.perf_counter() - start)


def _asked(workspace: Workspace, as_of: int | None, question: Callable[[int | None], T]) -> tuple[T, int | None]:
    """What a question about a version is answered, and the number of that version.

    The latest is asked for by its number, for another may come meanwhile. Readers hold no lock: if its files are
    deleted meanwhile, which erasing does, the one that is then the latest is asked for.
    """
    if as_of is not None and not current_view(workspace, as_of).parts:
        hint = "holdfast dataset versions tells which delivery came with which version"
        raise NoUsableData(f"version {as_of} of the dataset has no rows", hint=hint)
    version = table_of(workspace).version if as_of is None else as_of
    try:
        return question(version), version
    except InputOutputError:
        latest = table_of(workspace).version
        if as_of is not None or latest == version:
            raise
        return question(latest), latest


def tidy(workspace: Workspace) -> Upkeep:
    """Merge the dataset's small files and delete those that no kept version needs."""
    with begin(workspace, "dataset tidy") as session:
        reconcile(session)
        table = table_of(workspace)
        merged = compact(session, table)
        deleted = table.forget(workspace.history_days)
        session.result = done = Upkeep(merged=merged, deleted=deleted, parts=len(table.parts()), version=table.version)
        return done
