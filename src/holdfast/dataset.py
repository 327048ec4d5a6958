"""The dataset of one input folder: its Delta table, the ledger's record of it, and the two files written from it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.engines.base import View
from holdfast.errors import InputOutputError, NoUsableData
from holdfast.records import ColumnSummary, Dataset, SourceFile
from holdfast.session import Session, utc_now
from holdfast.store.brieffiles import dataset_in, final_data_in, ingested_files_text
from holdfast.store.custody import KnownDataset
from holdfast.store.files import digest_of_file, replacing, write_file
from holdfast.store.quarantine import missing_by_column
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.engines.base import Engine
    from holdfast.store.deltatable import DatasetTable
    from holdfast.store.ledger import Ledger

FINAL_DATA = "finaldata.csv"
INGESTED_FILES = "ingestedfiles.txt"
COPIED_AT_ONCE = 1 << 20


def table_of(workspace: Workspace) -> DatasetTable:
    """The Delta table of the input folder under the present schema."""
    from holdfast.store.deltatable import DatasetTable

    name = re.sub(r"[^a-z0-9]+", "-", workspace.source.lower()).strip("-") or "data"
    identity = hashlib.sha256(f"{workspace.source}\n{workspace.schema.digest}".encode()).hexdigest()
    folder = workspace.output_folder / "dataset" / f"{name}-{identity[:8]}"
    return DatasetTable(folder, workspace.history_days)


def view_of(workspace: Workspace, parts: Sequence[Path]) -> View:
    """The rows of some parts under the workspace's schema and rule for conflicts."""
    return View(parts=tuple(parts), schema=workspace.schema, conflicts=workspace.conflicts)


def current_view(workspace: Workspace, version: int | None = None) -> View:
    """The dataset's rows, now or at a version.

    Raises UsageError for a version that never was, InputOutputError for one that can no longer be read.
    """
    return view_of(workspace, [part.path for part in table_of(workspace).parts(version)])


def quarantine_of(workspace: Workspace, file: SourceFile) -> Path:
    """Where the refused rows of a delivery are kept."""
    return workspace.output_folder / "quarantine" / f"{file.number:06d}.parquet"


def current_files(session: Session) -> tuple[SourceFile, ...]:
    """The deliveries that the dataset is made of, oldest first.

    Raises InputOutputError when the kept rows of one are gone.
    """
    workspace = session.workspace
    files = session.ledger.current_deliveries(workspace.source, workspace.schema.digest)
    for lost in _lost(workspace, files):
        message = f"the rows of {lost.name} ({lost.rows:,} read on {lost.received}) are gone"
        hint = f"restore this folder, or put {lost.name} back into {lost.folder} and run: holdfast ingest"
        raise InputOutputError(message, file=workspace.show(table_of(workspace).folder), hint=hint)
    return files


def reconcile(session: Session) -> None:
    """Bring the ledger up to date with the table: a crash may have come between the two commits of a delivery."""
    workspace, ledger = session.workspace, session.ledger
    # Where another folder's delivery was given the number meanwhile, `withdraw_lost` lets the rows go.
    known = {file.number for file in ledger.every_delivery()}
    current = ledger.current_deliveries(workspace.source, workspace.schema.digest)
    lost = {file.number for file in _lost(workspace, current)}
    # What is lost here may lie in another output folder, whose table counts versions of its own.
    latest = max((file.version or 0 for file in current if file.number not in lost), default=0)
    for file in table_of(workspace).delivered_after(latest):
        if file.number not in known:
            ledger.record_delivery(session.run_id, workspace.source, workspace.schema.digest, file)


def withdraw_lost(session: Session, lying: Collection[str]) -> tuple[SourceFile, ...]:
    """Let deliveries be taken again whose rows are gone, if all that is lost can come again.

    It can if its digest is among the files `lying` there, or if it was read from a table.
    So a new output_folder_path fills itself, and a deleted folder is made anew. Parts that hold no current delivery
    leave the table: they are gone, or were left by an output folder that was changed and is now the old one again.
    Returns the deliveries that are to be taken again.
    """
    workspace, ledger = session.workspace, session.ledger
    lost = _lost(workspace, ledger.current_deliveries(workspace.source, workspace.schema.digest))
    tables = {source.name for source in workspace.databases}
    can_return = all(file.digest in lying or file.repairs or file.folder in tables for file in lost)
    again = tuple(lost) if can_return else ()
    read_again = {file.folder for file in again} & tables
    for file in ledger.current_deliveries(workspace.source, workspace.schema.digest):
        if file in again or file.folder in read_again:  # a table is read from its beginning
            ledger.withdraw_delivery(file.number)
    current = [file.number for file in ledger.current_deliveries(workspace.source, workspace.schema.digest)]
    table = table_of(workspace)
    unused = [part for part in table.parts() if not any(part.first <= number <= part.last for number in current)]
    if unused:
        table.commit("withdrawal", remove=unused)
    return again


def _lost(workspace: Workspace, files: Sequence[SourceFile]) -> list[SourceFile]:
    if not files:
        return []
    parts = [part for part in table_of(workspace).parts() if part.path.is_file()]
    return [file for file in files if not any(part.first <= file.number <= part.last for part in parts)]


def dataset_digest(workspace: Workspace, files: Sequence[SourceFile], erased: int) -> str:
    """The dataset's identity: SHA-256 of its schema, the rule for conflicts, the deliveries in it, and how
    they were read, in order of arrival, and the number of clients `erased` so far.
    """
    parts = [workspace.source, workspace.schema.digest, workspace.conflicts, str(erased)]
    return hashlib.sha256("\n".join([*parts, *(file.digest + file.read_as for file in files)]).encode()).hexdigest()


def describe(workspace: Workspace, ledger: Ledger, engine: Engine, files: Sequence[SourceFile]) -> Dataset:
    """The dataset that these deliveries make up: as the ledger knows it, or counted."""
    digest = dataset_digest(workspace, files, len(ledger.tombstones()))
    known = ledger.dataset(digest)
    if known:
        return known.record
    empty = Dataset(source=workspace.source, digest=digest, version=None, rows=0, exited=0, unlabelled=0, files=())
    if not files:
        return empty
    arrived = engine.arrivals(current_view(workspace))
    return replace(
        empty,
        version=table_of(workspace).version,
        rows=sum(each.added for each in arrived),
        exited=sum(each.exited for each in arrived),
        unlabelled=sum(each.unlabelled for each in arrived),
        files=tuple(file.name for file in files),
    )


def remember(session: Session, dataset: Dataset, files: Sequence[SourceFile]) -> None:
    """Keep in the ledger what a dataset is made of, so that models and assessments can be traced to deliveries."""
    known = KnownDataset(record=dataset, created=utc_now(), deliveries=tuple(file.number for file in files))
    session.ledger.record_dataset(session.run_id, known.created, session.workspace.schema.digest, known)


def write_out(session: Session) -> bool:
    """Write finaldata.csv, then ingestedfiles.txt, unless both show the current dataset; True if they were written.

    ingestedfiles.txt names the dataset and the digest of finaldata.csv, so a change of either is noticed here.
    Rows that only came on top are appended to a copy of the old file; otherwise all are written anew.
    """
    workspace, files = session.workspace, current_files(session)
    final_data, record = workspace.output_folder / FINAL_DATA, workspace.output_folder / INGESTED_FILES
    digest = dataset_digest(workspace, files, len(session.ledger.tombstones()))
    text = record.read_text("utf-8", "replace") if record.is_file() else ""
    whole = final_data.is_file() and final_data_in(text) == digest_of_file(final_data)
    if files and session.ledger.dataset(digest) is None:  # after a crash, another rule for conflicts, or an erasure
        remember(session, describe(workspace, session.ledger, session.engine, files), files)
    if not files or (whole and dataset_in(text) == digest):
        return False
    session.progress(f"writing {FINAL_DATA}", 0, None)
    view, since = current_view(workspace), _arrived_on_top(session, dataset_in(text), files) if whole else 0
    with replacing(final_data) as temporary:
        if since:
            _append(session.engine, view, since, final_data, temporary)
        else:
            session.engine.write_csv(view, temporary)
    write_file(record, ingested_files_text(digest, digest_of_file(final_data), files).encode())
    return True


def _arrived_on_top(session: Session, shown: str | None, files: Sequence[SourceFile]) -> int:
    """The first delivery that the dataset `shown` by finaldata.csv lacks, if all that it lacks came on top; or 0."""
    known = session.ledger.dataset(shown) if shown else None
    numbers = tuple(file.number for file in files)
    if known is None or not known.deliveries or numbers[: len(known.deliveries)] != known.deliveries:
        return 0
    added = files[len(known.deliveries) :]
    # The same deliveries may still be another dataset: under another rule, or without an erased client.
    same_kind = (
        dataset_digest(session.workspace, files[: len(known.deliveries)], len(session.ledger.tombstones()))
        == known.record.digest
    )
    return added[0].number if added and same_kind and not any(file.replaced for file in added) else 0


def _append(engine: Engine, view: View, since: int, old: Path, destination: Path) -> None:
    """The old file and, after it, the rows that arrived since."""
    rows = destination.with_name(f"{destination.name}.rows")
    try:
        engine.write_csv(view, rows, since)
        with destination.open("wb") as whole:
            for path in (old, rows):
                with path.open("rb") as stream:
                    shutil.copyfileobj(stream, whole, COPIED_AT_ONCE)
    finally:
        rows.unlink(missing_ok=True)


def summary_of(
    workspace: Workspace, ledger: Ledger, engine: Engine, version: int | None = None
) -> tuple[ColumnSummary, ...]:
    """Statistics of every column of the dataset, now or at a version.

    Raises NoUsableData when nothing has been ingested, UsageError or InputOutputError for a version that is not there.
    """
    view = current_view(workspace, version)
    if not view.parts:
        folder = workspace.show(workspace.output_folder)
        raise NoUsableData("there is no dataset yet", file=folder, hint="run: holdfast ingest")
    files = ledger.current_deliveries(workspace.source, workspace.schema.digest)
    refused = missing_by_column([path for file in files if (path := quarantine_of(workspace, file)).is_file()])
    columns = engine.summarise(view)
    return tuple(replace(column, refused_missing=refused.get(column.column, 0)) for column in columns)
