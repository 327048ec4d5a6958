"""The dataset of one input folder: its Delta table, the ledger's record of it, and the two files written from it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

from holdfast.engines.base import View
from holdfast.errors import InputOutputError, NoUsableData
from holdfast.records import ColumnSummary, Dataset, SourceFile
from holdfast.render.words import count
from holdfast.session import Session, utc_now
from holdfast.store.brieffiles import dataset_in, final_data_in, ingested_files_text
from holdfast.store.custody import KnownDataset
from holdfast.store.files import digest_of_file, replacing, write_file
from holdfast.store.quarantine import missing_by_column
from holdfast.workspace import Conflicts, Workspace

if TYPE_CHECKING:
    from holdfast.engines.base import Engine
    from holdfast.store.deltatable import DatasetTable
    from holdfast.store.ledger import Ledger

T = TypeVar("T")

FINAL_DATA = "finaldata.csv"
INGESTED_FILES = "ingestedfiles.txt"
SETTLED = "settled-*.parquet"
"""Files in quarantine that name rows which contradicted others until somebody dealt with them."""
COPIED_AT_ONCE = 1 << 20


def table_of(workspace: Workspace) -> DatasetTable:
    """The Delta table of the input folder under the present schema."""
    return table_for(workspace, workspace.source, workspace.schema.digest)


def table_for(workspace: Workspace, source: str, schema_digest: str) -> DatasetTable:
    """The Delta table of an input folder under a schema."""
    from holdfast.store.deltatable import DatasetTable

    name = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-") or "data"
    identity = hashlib.sha256(f"{source}\n{schema_digest}".encode()).hexdigest()
    folder = workspace.output_folder / "dataset" / f"{name}-{identity[:8]}"
    return DatasetTable(folder, workspace.history_days, workspace.conflicts)


def view_of(workspace: Workspace, parts: Sequence[Path]) -> View:
    """The rows of some parts under the workspace's schema and rule for conflicts."""
    settled = tuple(sorted((workspace.output_folder / "quarantine").glob(SETTLED)))
    return View(parts=tuple(parts), schema=workspace.schema, conflicts=workspace.conflicts, settled=settled)


def current_view(workspace: Workspace, version: int | None = None) -> View:
    """The dataset's rows, now or at a version, then by the rule for conflicts that was in force.

    Raises UsageError for a version that never was, InputOutputError for one that can no longer be read.
    """
    table = table_of(workspace)
    view = view_of(workspace, [part.path for part in table.parts(version)])
    rule = None if version is None else table.rule(version)
    return replace(view, conflicts=next((each for each in get_args(Conflicts) if each == rule), view.conflicts))


def ask(workspace: Workspace, question: Callable[[View], T], version: int | None = None) -> T:
    """What a question about the dataset's rows is answered, now or at a version; raises as `current_view` does.

    Readers hold no lock: if a part was deleted after the table was opened, because files were merged or a client was
    erased, the table is opened afresh and asked once more.
    """
    view = current_view(workspace, version)
    try:
        return question(view)
    except InputOutputError:
        afresh = current_view(workspace, version)
        if afresh == view:
            raise
        return question(afresh)


def quarantine_of(workspace: Workspace, file: SourceFile) -> Path:
    """Where the refused rows of a delivery are kept."""
    return quarantine_numbered(workspace, file.number)


def quarantine_numbered(workspace: Workspace, number: int) -> Path:
    """Where the refused rows of the delivery with this number are kept."""
    return workspace.output_folder / "quarantine" / f"{number:06d}.parquet"


def next_number(session: Session) -> int:
    """The number of the next delivery: above all that the ledger, a table of any dataset, or quarantine knows.

    The ledger alone may have been lost since, and the number of another dataset's delivery would be given again.
    """
    from holdfast.store.deltatable import part_numbers

    output = session.workspace.output_folder
    parts = (part_numbers(path.name) for path in (output / "dataset").glob("*/*.parquet"))
    held = (path.name.partition(".")[0] for path in (output / "quarantine").glob("*.parquet"))
    told = [*(numbers[1] for numbers in parts if numbers), *(int(number) for number in held if number.isdecimal())]
    return max(session.ledger.next_delivery(), 1 + max(told, default=0))


def current_files(session: Session) -> tuple[SourceFile, ...]:
    """The deliveries that the dataset is made of, oldest first.

    Raises InputOutputError when the kept rows of one are gone.
    """
    workspace = session.workspace
    files = session.ledger.current_deliveries(workspace.source, workspace.schema.digest)
    for lost in lost_deliveries(workspace, files):
        message = f"the rows of {lost.name} ({lost.rows:,} read on {lost.received}) are gone"
        hint = f"restore this folder, or put {lost.name} back into {lost.folder} and run: holdfast ingest"
        raise InputOutputError(message, file=workspace.show(table_of(workspace).folder), hint=hint)
    return files


def lost_deliveries(workspace: Workspace, files: Sequence[SourceFile]) -> list[SourceFile]:
    """Those of some deliveries whose kept rows are gone."""
    if not files:
        return []
    parts = [part for part in table_of(workspace).parts() if part.path.is_file()]
    return [file for file in files if not any(part.holds([file.number]) for part in parts)]


def dataset_digest(workspace: Workspace, files: Sequence[SourceFile], erased: int) -> str:
    """The dataset's identity: SHA-256 of its schema, the rule for conflicts, the deliveries in it, and how
    they were read, in order of arrival, the rows of them that were dealt with, and how often a client was `erased`, or
    that undone, so far.
    """
    numbers = {file.number for file in files}
    settled = (place for place in sorted(settled_places(workspace)) if place[0] in numbers)
    parts = [workspace.source, workspace.schema.digest, workspace.conflicts, str(erased)]
    parts += (f"{file.digest}{file.read_as}{' outdated' if file.outdated else ''}" for file in files)
    parts += (f"settled {delivery}:{line}" for delivery, line in settled)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def settled_places(workspace: Workspace) -> frozenset[tuple[int, int]]:
    """The rows (delivery and line) that contradicted others until somebody dealt with them, in the output folder."""
    files = sorted((workspace.output_folder / "quarantine").glob(SETTLED))
    if not files:
        return frozenset()
    import pyarrow.parquet as pq

    rows = (pq.read_table(file) for file in files)
    return frozenset(place for each in rows for place in zip(*(column.to_pylist() for column in each), strict=True))


def describe(workspace: Workspace, ledger: Ledger, engine: Engine, files: Sequence[SourceFile]) -> Dataset:
    """The dataset that these deliveries make up: as the ledger knows it, or counted."""
    digest = dataset_digest(workspace, files, ledger.tombstone_changes())
    known = ledger.dataset(digest)
    if known and known.record.version is not None:
        return known.record
    empty = Dataset(source=workspace.source, digest=digest, version=None, rows=0, exited=0, unlabelled=0, deliveries=0)
    if not files:
        return empty
    arrived = ask(workspace, engine.arrivals)
    return replace(
        empty,
        version=table_of(workspace).version,
        rows=sum(each.added for each in arrived),
        exited=sum(each.exited for each in arrived),
        unlabelled=sum(each.unlabelled for each in arrived),
        deliveries=len(files),
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
    digest = dataset_digest(workspace, files, session.ledger.tombstone_changes())
    text = record.read_text("utf-8", "replace") if record.is_file() else ""
    whole = final_data.is_file() and final_data_in(text) == digest_of_file(final_data)
    known = session.ledger.dataset(digest)
    if files and (known is None or known.record.version is None):  # after a crash, an erasure, a backup, a new rule
        remember(session, describe(workspace, session.ledger, session.engine, files), files)
    if not files or (whole and dataset_in(text) == digest):
        return False
    view, since = current_view(workspace), _arrived_on_top(session, dataset_in(text), files) if whole else 0
    with replacing(final_data) as temporary:
        if since:
            _append(session.engine, view, since, final_data, temporary)
        else:
            session.engine.write_csv(view, temporary)
    write_file(record, ingested_files_text(digest, digest_of_file(final_data), files).encode())
    return True


def write_out_what_is_there(session: Session) -> None:
    """As `write_out`; where rows of a delivery are gone, finaldata.csv goes too: it may show what is there no more."""
    workspace = session.workspace
    if lost_deliveries(workspace, session.ledger.current_deliveries(workspace.source, workspace.schema.digest)):
        (workspace.output_folder / FINAL_DATA).unlink(missing_ok=True)
    else:
        write_out(session)


def rule_changed(session: Session, files: Sequence[SourceFile]) -> Iterator[str]:
    """What to say if finaldata.csv shows these deliveries under another rule for conflicts than is in force now."""
    workspace, ledger = session.workspace, session.ledger
    record, erased = workspace.output_folder / INGESTED_FILES, ledger.tombstone_changes()
    shown = dataset_in(record.read_text("utf-8", "replace")) if record.is_file() else None
    before = ledger.dataset(shown) if shown else None
    for rule in (rule for rule in get_args(Conflicts) if rule != workspace.conflicts):
        if before and shown == dataset_digest(replace(workspace, conflicts=rule), files, erased):
            rows = count(describe(workspace, ledger, session.engine, files).rows, "row", "rows")
            yield (
                f"rows that contradict each other: the rule was '{rule}' and is '{workspace.conflicts}' now, so the "
                f"dataset has {rows} instead of {before.record.rows:,}; 'conflicts' in config.json sets it"
            )


def _arrived_on_top(session: Session, shown: str | None, files: Sequence[SourceFile]) -> int:
    """The first delivery that the dataset `shown` by finaldata.csv lacks, if all that it lacks came on top; or 0."""
    known = session.ledger.dataset(shown) if shown else None
    numbers = tuple(file.number for file in files)
    if known is None or not known.deliveries or numbers[: len(known.deliveries)] != known.deliveries:
        return 0
    added = files[len(known.deliveries) :]
    # The same deliveries may still be another dataset: under another rule, or without an erased client.
    same_kind = (
        dataset_digest(session.workspace, files[: len(known.deliveries)], session.ledger.tombstone_changes())
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
    columns = ask(workspace, lambda view: engine.summarise(view) if view.parts else None, version)
    if columns is None:
        folder = workspace.show(workspace.output_folder)
        raise NoUsableData("there is no dataset yet", file=folder, hint="run: holdfast ingest")
    files: Iterable[SourceFile] = ledger.current_deliveries(workspace.source, workspace.schema.digest)
    if version is not None:
        files = table_of(workspace).standing(version).values()
    refused = missing_by_column([path for file in files if (path := quarantine_of(workspace, file)).is_file()])
    return tuple(replace(column, refused_missing=refused.get(column.column, 0)) for column in columns)
