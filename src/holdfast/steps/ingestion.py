"""New data in the input folder becomes finaldata.csv, with every row accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from holdfast.dataset import current_files, describe, part_of, parts_of, quarantine_of, withdraw_lost, write_out
from holdfast.errors import FileRefused, HoldfastError, InputOutputError, NotPermitted, NoUsableData
from holdfast.records import IngestRecord, RejectedRow, SourceFile
from holdfast.session import Progress, Session, begin, silent, utc_now
from holdfast.sources.csvfile import CsvFile
from holdfast.sources.files import digest_of_delivery, list_folder, open_regular
from holdfast.store.files import replacing
from holdfast.store.quarantine import QuarantineWriter
from holdfast.workspace import Workspace

SHOWN_REJECTS = 20


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the input folder, identified by its bytes."""

    path: Path
    digest: str
    size: int


class _Moving(Exception):
    """A file changed or vanished between being found and being read; the next run looks again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one new file, and the first of its refused rows."""

    file: SourceFile
    rejected: tuple[RejectedRow, ...] = ()


def ingest(where: Workspace | Session, progress: Progress = silent) -> IngestRecord:
    """Take every new file of the input folder, then bring finaldata.csv and ingestedfiles.txt up to date.

    A bad row goes to quarantine, a bad file is refused; neither stops the others. Files that were taken before
    are recognised by their bytes, whatever their name; a changed file under an old name supersedes its
    predecessor. Raises NoUsableData when there is no row at all, ConfigurationError when the folder is missing.
    """
    with begin(where, "ingest", progress) as session:
        found, notices = look(session.workspace)
        withdraw_lost(session, {file.digest for file in found})
        history = History.of(session)
        taken: list[Taken] = []
        postponed: list[str] = []
        for file in found:
            if not history.knows(file):
                try:
                    taken.append(_take(session, file, history, found))
                except _Moving as error:
                    postponed.append(f"{file.path.name}: left for the next time, {error}")
                else:
                    history.add(taken[-1].file)
        write_out(session)
        record = _record(session, len(found) - len(taken) - len(postponed), taken, (*notices, *postponed))
        session.worked = bool(taken)
        session.result = record
        if record.dataset.rows == 0:
            raise _nothing_usable(session.workspace, record)
        return record


def look(workspace: Workspace) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """The files that lie in the input folder, and notices about those that cannot be taken at all."""
    listing = list_folder(workspace.existing(workspace.input_folder, "input_folder_path"))
    notices = [f"{name}: left alone, {why}" for name, why in listing.left_alone]
    found = []
    for path in listing.files:
        try:
            found.append(Found(path, digest_of_delivery(path), path.stat().st_size))
        except (InputOutputError, NotPermitted) as error:
            notices.append(f"{path.name}: left alone, {error.message}")
        except FileNotFoundError:
            notices.append(f"{path.name}: left alone, it has just vanished")
    return tuple(found), tuple(notices)


class History:
    """The deliveries of this input folder so far: by their bytes, with the name that each was last seen under."""

    def __init__(self, deliveries: Sequence[SourceFile], current: Sequence[SourceFile]) -> None:
        self._current = {file.digest: file for file in current}
        self._seen = {(file.name, file.digest): file for file in deliveries}
        self._by_digest = {file.digest: file for file in deliveries}
        self._names = {file.digest: file.name for file in deliveries}

    @classmethod
    def of(cls, session: Session) -> History:
        """The history that the ledger keeps."""
        deliveries = session.ledger.deliveries(session.workspace.source, session.workspace.schema.digest)
        return cls(deliveries, current_files(session))

    def knows(self, found: Found) -> bool:
        """True if this very file was dealt with, and its rows were not superseded since."""
        earlier = self._seen.get((found.path.name, found.digest))
        return earlier is not None and (earlier.status == "refused" or found.digest in self._current)

    def twin(self, found: Found) -> SourceFile | None:
        """The delivery of which this file is a copy under another name."""
        earlier = self._by_digest.get(found.digest)
        refused = earlier is not None and earlier.status == "refused"
        return earlier if refused else self._current.get(found.digest)

    def superseded_by(self, found: Found, lying: Sequence[Found]) -> SourceFile | None:
        """The current delivery last seen under this name, unless its bytes still lie in the folder."""
        present = {file.digest for file in lying}
        same_name = (f for d, f in self._current.items() if self._names[d] == found.path.name and d not in present)
        return next(same_name, None)

    def parts_without(self, workspace: Workspace, superseded: SourceFile | None) -> list[Path]:
        """The parts of the dataset, but for a delivery that is about to be superseded."""
        return parts_of(workspace, [file for file in self._current.values() if file != superseded])

    def add(self, file: SourceFile) -> None:
        """A file was dealt with."""
        self._seen[file.name, file.digest] = self._by_digest[file.digest] = file
        self._names[file.digest] = file.name
        if file.supersedes:
            del self._current[file.supersedes]
        if file.status == "accepted":
            self._current[file.digest] = file


def _take(session: Session, found: Found, history: History, lying: Sequence[Found]) -> Taken:
    """Deal with one new file; the ledger's row is the commit point."""
    entry = SourceFile(
        number=session.ledger.next_delivery(),
        name=found.path.name,
        folder=session.workspace.source,
        digest=found.digest,
        size=found.size,
        received=utc_now(),
        status="refused",
    )
    twin = history.twin(found)
    try:
        taken = Taken(_copy_of(twin, entry)) if twin else _take_rows(session, found, entry, history, lying)
    except FileRefused as error:
        _refuse_if_moving(found)
        taken = Taken(replace(entry, error=error.record(session.run_id)))
    workspace = session.workspace
    session.ledger.record_delivery(session.run_id, workspace.source, workspace.schema.digest, taken.file)
    return taken


def _copy_of(twin: SourceFile, entry: SourceFile) -> SourceFile:
    same = f"{entry.name}: the same bytes as {twin.name}"
    if twin.status == "refused":
        return replace(entry, error=twin.error, notices=(same,))
    return replace(entry, status="duplicate", rows=twin.rows, duplicate=twin.rows, notices=(same,))


def _take_rows(session: Session, found: Found, entry: SourceFile, history: History, lying: Sequence[Found]) -> Taken:
    workspace, schema = session.workspace, session.workspace.schema
    superseded = history.superseded_by(found, lying)
    part, quarantine = part_of(workspace, entry), quarantine_of(workspace, entry)
    with (
        _open(found) as stream,
        replacing(part) as new_part,
        replacing(quarantine) as new_quarantine,
        QuarantineWriter(new_quarantine) as writer,
    ):
        file = CsvFile(stream, schema, entry.name)
        rows = _Rows(session, file, writer)
        valid = session.engine.write_part(rows.accepted(), entry.number, new_part)
        _refuse_if_moving(found)
    new = session.engine.count_new(part, history.parts_without(workspace, superseded), schema)
    if file.rows != valid + writer.rows:
        raise HoldfastError(f"{file.rows} rows read, {valid + writer.rows} accounted for", file=entry.name)
    notices = [*file.notices]
    if superseded:
        notices.append(f"{entry.name}: supersedes the delivery of {superseded.received}, whose rows leave the dataset")
    if file.rows == 0:
        notices.append(f"{entry.name}: a header and no rows")
    return Taken(
        replace(
            entry,
            status="accepted",
            rows=file.rows,
            accepted=new,
            duplicate=valid - new,
            quarantined=writer.rows,
            unlabelled=rows.unlabelled,
            supersedes=superseded.digest if superseded else None,
            notices=tuple(notices),
        ),
        tuple(rows.shown),
    )


def _open(found: Found) -> BinaryIO:
    try:
        return open_regular(found.path)
    except (InputOutputError, NotPermitted) as error:  # it could be read a moment ago
        raise _Moving(error.message) from None


def _refuse_if_moving(found: Found) -> None:
    """Raises _Moving unless the file is still the one that was found: what was read may be neither old nor new."""
    try:
        same = digest_of_delivery(found.path) == found.digest
    except (InputOutputError, NotPermitted) as error:
        raise _Moving(error.message) from None
    if not same:
        raise _Moving("it changed while it was read")


class _Rows:
    """The accepted rows of a file on their way into a part; the refused ones go to quarantine as they pass."""

    def __init__(self, session: Session, file: CsvFile, quarantine: QuarantineWriter) -> None:
        self._session = session
        self._file = file
        self._quarantine = quarantine
        self.unlabelled = 0
        self.shown: list[RejectedRow] = []

    def accepted(self) -> Iterator[pa.RecordBatch]:
        """The accepted rows, a batch at a time."""
        for parsed in self._file:
            self._quarantine.add(parsed.rejected)
            self.shown += parsed.rejected[: SHOWN_REJECTS - len(self.shown)]
            self.unlabelled += parsed.rows.column(self._file.schema.target.name).null_count
            self._session.progress(f"reading {self._file.name}", self._file.rows, self._file.examination.lines)
            yield parsed.rows


def _record(session: Session, known: int, taken: Sequence[Taken], notices: Sequence[str]) -> IngestRecord:
    files = tuple(each.file for each in taken)
    return IngestRecord(
        dataset=describe(session),
        files=files,
        known=known,
        rows=sum(file.rows for file in files),
        accepted=sum(file.accepted for file in files),
        duplicate=sum(file.duplicate for file in files),
        quarantined=sum(file.quarantined for file in files),
        refused=sum(file.status == "refused" for file in files),
        rejected=tuple(row for each in taken for row in each.rejected)[:SHOWN_REJECTS],
        notices=(*notices, *(notice for file in files for notice in file.notices)),
        seconds=session.seconds,
    )


def _nothing_usable(workspace: Workspace, record: IngestRecord) -> NoUsableData:
    folder = workspace.show(workspace.input_folder)
    if not record.files and not record.known:
        return NoUsableData(
            "there is no CSV file in this folder",
            file=folder,
            hint="put files with client data there, then run again",
        )
    refusals = [f"{f.name}: {f.error['message']}" for f in record.files if f.error]
    rows = [f"{r.file} line {r.line}: {r.column or 'row'}, {r.rule}" for r in record.rejected]
    found = "; ".join((refusals + rows)[:5]) or "they hold no rows"
    message = f"none of the {len(record.files) + record.known} files gave a usable row ({found})"
    return NoUsableData(message, file=folder, hint="the rules are in the schema; holdfast status lists every delivery")
