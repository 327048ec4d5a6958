"""New data in folders and databases becomes the dataset and finaldata.csv, with every row accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from holdfast.dataset import current_files, describe, write_out
from holdfast.errors import HoldfastError, NoUsableData
from holdfast.intake.committing import judge_anew
from holdfast.intake.erased import erased_clients
from holdfast.intake.finding import Lying, look
from holdfast.intake.held import Quarantine
from holdfast.intake.history import History
from holdfast.intake.reading_tables import take_tables
from holdfast.intake.reconciling import reconcile, withdraw_lost, withdraw_outdated
from holdfast.intake.settling import settle
from holdfast.intake.storing import SHOWN_REJECTS
from holdfast.intake.taking import Taken, take_files
from holdfast.intake.upkeep import keep_up
from holdfast.progress import Progress, silent
from holdfast.records import IngestRecord, SourceFile
from holdfast.render.words import count
from holdfast.session import Session, begin, utc_now
from holdfast.workspace import Workspace


def ingest(where: Workspace | Session, progress: Progress = silent) -> IngestRecord:
    """Take in every new file, and every new row of the tables; then write finaldata.csv and ingestedfiles.txt.

    A bad row goes to quarantine, a bad file is refused, a source that does not answer is named; none stops the
    others. Files that were taken before are recognised by their bytes, whatever their name; a changed file under an
    old name supersedes its predecessor. Raises NoUsableData when there is no row at all, ConfigurationError when a
    folder is missing.
    """
    with begin(where, "ingest", progress) as session:
        workspace = session.workspace
        told = reconcile(session)
        settle(session)
        earlier = session.ledger.deliveries(workspace.source, workspace.schema.digest)
        current = session.ledger.current_deliveries(workspace.source, workspace.schema.digest)
        last_came = session.ledger.last_came(workspace.source)
        lying = look(workspace, History(earlier, current, last_came).knows)
        again = withdraw_lost(session, lying.files)
        withdraw_outdated(session, lying.files)
        history, erased = History(earlier, current_files(session), last_came), erased_clients(session)
        told += tuple(judge_anew(session, history))
        known = sum(history.knows(file) for file in lying.files)
        taken = take_files(session, history, lying, erased)
        taken.files += _unreadable(session, lying)
        unreachable = (*lying.absent, *take_tables(session, history, erased, taken))
        write_out(session)
        if taken.files:
            keep_up(session)
        losses = _losses(workspace, again, taken.files)
        notices = (*told, *_beginnings(session, earlier), *losses, *_repaired(session, taken.files), *lying.notices)
        record = _record(session, known, replace(lying, notices=notices), taken, unreachable)
        session.worked = bool(taken.files)
        session.result = record
        if record.dataset.rows == 0 and not (record.deferred or record.unreachable):
            raise _nothing_usable(workspace, record)
        return record


def _beginnings(session: Session, earlier: Sequence[SourceFile]) -> Iterator[str]:
    """What to say when the first deliveries of a dataset come in, and the same folder had another one before."""
    workspace = session.workspace
    before = None if earlier else session.ledger.dataset_under_another_schema(workspace.source, workspace.schema.digest)
    if before:
        yield (
            "the schema has changed, so a new dataset begins; the one of before "
            f"({count(before.rows, 'row', 'rows')}) comes back with the old schema"
        )


def _losses(workspace: Workspace, again: Sequence[SourceFile], taken: Sequence[SourceFile]) -> Iterator[str]:
    """What became of deliveries whose rows were gone: which have come again, and which have not."""
    accepted = [file for file in taken if file.status == "accepted"]
    tables = {source.name for source in workspace.databases}
    back, read = {file.identity for file in accepted}, {file.folder for file in accepted} & tables
    delivered = [file for file in again if not file.repairs]
    missing = [file for file in delivered if file.identity not in back and file.folder not in read]
    if delivered:
        they = f"{len(delivered) - len(missing)} of them" if missing else "they"
        gone = f"the rows of {count(len(delivered), 'delivery', 'deliveries')} were gone"
        yield f"{gone} from {workspace.show(workspace.output_folder)}: {they} have been taken in anew"
    if missing:
        sources = dict.fromkeys(file.folder if file.folder in tables else file.name for file in missing)
        yield f"missing until they can be read again: {', '.join(sources)}"
    repaired = sum(file.accepted for file in again if file.repairs)
    if repaired:
        are = "is" if repaired == 1 else "are"
        yield f"{repaired:,} of the rows had been repaired by hand, and {are} in quarantine again"


def _repaired(session: Session, taken: Sequence[SourceFile]) -> Iterator[str]:
    """That rows were refused which had been repaired when they came before: under another schema, or before a loss."""
    refused = [file for file in taken if file.quarantined]
    quarantine = Quarantine(session.workspace, session.ledger)
    repaired = sum(1 for file in refused for _ in quarantine.of(file).repaired())
    if repaired:
        were, them = ("was", "it") if repaired == 1 else ("were", "them")
        yield f"{repaired:,} of the refused rows {were} repaired before: holdfast quarantine replay takes {them} in"


def _unreadable(session: Session, lying: Lying) -> list[SourceFile]:
    """Files that cannot even be opened are refused, each time anew until somebody mends or removes them."""
    return [
        SourceFile(
            number=0,
            name=name,
            folder=folder,
            digest="",
            size=0,
            received=utc_now(),
            status="refused",
            error=error.record(session.run_id),
        )
        for name, folder, error in lying.unreadable
    ]


def _record(
    session: Session, known: int, lying: Lying, taken: Taken, unreachable: Sequence[HoldfastError]
) -> IngestRecord:
    files, workspace = tuple(taken.files), session.workspace
    current = session.ledger.current_deliveries(workspace.source, workspace.schema.digest)
    return IngestRecord(
        dataset=describe(workspace, session.ledger, session.engine, current),
        files=files,
        known=known,
        rows=sum(file.rows for file in files),
        accepted=sum(file.accepted for file in files),
        duplicate=sum(file.duplicate for file in files),
        quarantined=sum(file.quarantined for file in files),
        erased=sum(file.erased for file in files),
        refused=sum(file.status == "refused" for file in files),
        rejected=tuple(taken.rejected[:SHOWN_REJECTS]),
        deferred=(*lying.deferred, *taken.deferred),
        unreachable=tuple(error.record(session.run_id) for error in unreachable),
        notices=(*lying.notices, *(notice for file in files for notice in file.notices)),
        seconds=session.seconds,
    )


def _nothing_usable(workspace: Workspace, record: IngestRecord) -> NoUsableData:
    folder = workspace.show(workspace.input_folder)
    if not record.files and not record.known:
        return NoUsableData(
            "there is no data file in this folder",
            file=folder,
            hint="put CSV, Parquet or Excel files with client data there, then run again",
        )
    refusals = [f"{f.name}: {f.error['message']}" for f in record.files if f.error]
    rows = [f"{r.file} line {r.line}: {r.column or 'row'}, {r.rule}" for r in record.rejected]
    found = "; ".join((refusals + rows)[:5]) or "they hold no rows"
    files = len(record.files) + record.known
    message = f"{'the file' if files == 1 else f'all {files:,} files'} gave no usable row ({found})"
    return NoUsableData(message, file=folder, hint="the rules are in the schema; holdfast status lists every delivery")
