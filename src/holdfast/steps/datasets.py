"""The dataset at any version: its statistics, its history, a copy of it, and its upkeep."""

from __future__ import annotations

import os
import time
from pathlib import Path

from holdfast.dataset import ask, summary_of, table_of
from holdfast.engines.base import View
from holdfast.errors import NoUsableData, UsageError
from holdfast.intake.reconciling import reconcile
from holdfast.intake.upkeep import compact
from holdfast.progress import Progress, silent
from holdfast.records import DatasetExport, DatasetHistory, DatasetSummary, DeliveryList, Upkeep
from holdfast.session import begin, reading
from holdfast.store.files import replacing
from holdfast.workspace import Workspace


def summarise(workspace: Workspace, as_of: int | None = None, progress: Progress = silent) -> DatasetSummary:
    """Statistics of every column of the dataset, now or as of a version.

    Raises NoUsableData when nothing has been ingested, UsageError for a version that never was, InputOutputError for
    one that can no longer be read.
    """
    start = time.perf_counter()
    with reading(workspace, progress) as (ledger, engine):
        columns = summary_of(workspace, ledger, engine, as_of)
        version = table_of(workspace).version if as_of is None else as_of
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
    return DatasetHistory(source=workspace.source, versions=table.versions(), readable=tuple(sorted(table.readable())))


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
            rows = ask(workspace, write, as_of)
        version = table_of(workspace).version if as_of is None else as_of
    return DatasetExport(file=str(out), version=version, rows=rows, seconds=time.perf_counter() - start)


def tidy(workspace: Workspace) -> Upkeep:
    """Merge the dataset's small files and delete those that no kept version needs."""
    with begin(workspace, "dataset tidy") as session:
        reconcile(session)
        table = table_of(workspace)
        merged = compact(session, table)
        deleted = table.forget(workspace.history_days)
        session.result = done = Upkeep(merged=merged, deleted=deleted, parts=len(table.parts()), version=table.version)
        return done
