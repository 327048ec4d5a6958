"""The dataset of one input folder: the parts of its current deliveries, and the two files written from them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InputOutputError, NoUsableData
from holdfast.records import ColumnSummary, Dataset, SourceFile
from holdfast.session import Session
from holdfast.sources.table import batches_of
from holdfast.store.brieffiles import dataset_in, final_data_in, ingested_files_text
from holdfast.store.files import digest_of_file, replacing, write_file
from holdfast.store.quarantine import missing_by_column
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.engines.base import Engine
    from holdfast.store.ledger import Ledger

FINAL_DATA = "finaldata.csv"
INGESTED_FILES = "ingestedfiles.txt"


def part_of(workspace: Workspace, file: SourceFile) -> Path:
    """Where the accepted rows of a delivery are kept."""
    return workspace.output_folder / "deliveries" / f"{file.number:06d}-{file.digest[:8]}.parquet"


def quarantine_of(workspace: Workspace, file: SourceFile) -> Path:
    """Where the refused rows of a delivery are kept."""
    return workspace.output_folder / "quarantine" / f"{file.number:06d}-{file.digest[:8]}.parquet"


def parts_of(workspace: Workspace, files: Sequence[SourceFile]) -> list[Path]:
    """The parts of some deliveries."""
    return [part_of(workspace, file) for file in files]


def current_files(session: Session) -> tuple[SourceFile, ...]:
    """The deliveries that the dataset is made of, oldest first.

    Raises InputOutputError when the kept rows of one are gone.
    """
    files = session.ledger.current_deliveries(session.workspace.source, session.workspace.schema.digest)
    for lost in _lost(session.workspace, files):
        message = f"the rows of {lost.name} ({lost.rows:,} read on {lost.received}) are gone"
        place = session.workspace.show(part_of(session.workspace, lost))
        hint = f"restore this file, or put {lost.name} back into {lost.folder} and run: holdfast ingest"
        raise InputOutputError(message, file=place, hint=hint)
    return files


def withdraw_lost(session: Session, lying: Collection[str]) -> None:
    """Let deliveries be taken again whose rows are gone, if their digest is among the files `lying` there.

    So a new output_folder_path fills itself, and a deleted folder is made anew.
    """
    files = session.ledger.current_deliveries(session.workspace.source, session.workspace.schema.digest)
    for lost in _lost(session.workspace, files):
        if lost.digest in lying:
            session.ledger.withdraw_delivery(lost.number)


def _lost(workspace: Workspace, files: Sequence[SourceFile]) -> list[SourceFile]:
    return [file for file in files if not part_of(workspace, file).is_file()]


def dataset_digest(workspace: Workspace, files: Sequence[SourceFile]) -> str:
    """The dataset's version: SHA-256 of its schema and of the deliveries in it, in order of arrival."""
    parts = [workspace.source, workspace.schema.digest, *(file.digest for file in files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def describe(session: Session) -> Dataset:
    """The dataset as it is now."""
    workspace, files = session.workspace, current_files(session)
    rows, exited, unlabelled = session.engine.count(parts_of(workspace, files), workspace.schema)
    return Dataset(
        source=workspace.source,
        digest=dataset_digest(workspace, files),
        rows=rows,
        exited=exited,
        unlabelled=unlabelled,
        files=tuple(file.name for file in files),
    )


def write_out(session: Session) -> bool:
    """Write finaldata.csv, then ingestedfiles.txt, unless both show the current dataset; True if they were written.

    ingestedfiles.txt names the dataset and the digest of finaldata.csv, so a change of either is noticed here.
    """
    workspace, files = session.workspace, current_files(session)
    final_data, record = workspace.output_folder / FINAL_DATA, workspace.output_folder / INGESTED_FILES
    digest = dataset_digest(workspace, files)
    if not files or _shows(record, final_data, digest):
        return False
    with replacing(final_data) as temporary:
        session.engine.write_csv(parts_of(workspace, files), workspace.schema, temporary)
    write_file(record, ingested_files_text(digest, digest_of_file(final_data), files).encode())
    return True


def _shows(record: Path, final_data: Path, dataset: str) -> bool:
    if not (record.is_file() and final_data.is_file()):
        return False
    text = record.read_text("utf-8", "replace")
    return dataset_in(text) == dataset and final_data_in(text) == digest_of_file(final_data)


def summary_of(workspace: Workspace, ledger: Ledger, engine: Engine) -> tuple[ColumnSummary, ...]:
    """Rows, missing cells, mean, median, standard deviation and range of every column of finaldata.csv.

    Raises NoUsableData when nothing has been ingested.
    """
    final_data = workspace.output_folder / FINAL_DATA
    if not final_data.is_file():
        raise NoUsableData("there is no dataset yet", file=workspace.show(final_data), hint="run: holdfast ingest")
    files = ledger.current_deliveries(workspace.source, workspace.schema.digest)
    refused = missing_by_column([path for file in files if (path := quarantine_of(workspace, file)).is_file()])
    columns = engine.summarise(batches_of(final_data, workspace.schema), workspace.schema)
    return tuple(replace(column, refused_missing=refused.get(column.column, 0)) for column in columns)
