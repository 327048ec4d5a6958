"""A client is erased: from dataset, history, quarantine, exports, assessments, delivered files and the record."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from holdfast import records
from holdfast.dataset import write_out_what_is_there
from holdfast.erasing.advance import InAdvance
from holdfast.erasing.files import clean_files
from holdfast.erasing.mentioned import mentioned_in_advance
from holdfast.erasing.remnants import elsewhere, remaining, searched
from holdfast.erasing.tables import Rows, clean_tables, remember_rows, rows_by_part, rows_in
from holdfast.erasing.texts import clean_ledger, clean_logs, clean_quarantine
from holdfast.erasing.unknown import refuse_unknown
from holdfast.erasing.work import Work
from holdfast.errors import UsageError
from holdfast.intake.erased import erased_clients, erased_from
from holdfast.intake.reconciling import reconcile
from holdfast.lineage import resting_on, traced_models
from holdfast.progress import Progress, silent
from holdfast.records import ErasurePlan, ErasureReceipt, ErasureUndone, SourceFile, to_json
from holdfast.session import Session, begin, reading, utc_now
from holdfast.store.files import write_file
from holdfast.store.releases import current_id
from holdfast.store.scrubbing.mention import Mention
from holdfast.store.tombstones import Tombstones, make_key
from holdfast.workspace import RECEIPTS, Workspace, current_user

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger


def erase(
    workspace: Workspace, client: str, reason: str, progress: Progress = silent, *, in_advance: bool = False
) -> ErasureReceipt:
    """Remove a client from every place of the workspace, and keep later deliveries from bringing it back.

    The tombstone comes first: whatever happens then, the client is not taken in again, and calling this once more
    finishes what was begun. Raises UsageError, and has written nothing, for a reason that is empty or names the
    client, and, unless it is erased `in_advance`, for an id that is a word of Holdfast's own record or occurs nowhere.

    `in_advance` a client of whom the datasets have no row is kept out, and rows with exactly this id are removed: a
    client whom no delivery knew cannot be in models and reports, and where an id is also a word, its occurrence in a
    document is no evidence. Files that mention the id are told, and left as they are. A client of whom there are rows
    is erased as always.
    """
    mention = _meant(client, reason)
    with reading(workspace, progress) as (ledger, _):
        _refuse_unmeant(_work_on(mention, workspace, ledger, progress, in_advance=in_advance), in_advance)
    with begin(workspace, "erase", progress) as session:
        reconcile(session)
        work = _work_on(mention, session.workspace, session.ledger, session.progress, in_advance=in_advance)
        tombstone = Tombstones(make_key(workspace.erasure_key_file), frozenset()).tombstone_of(client)
        session.ledger.begin_erasure(session.run_id, utc_now(), tombstone)
        found, note = rows_by_part(work), _note(workspace, tombstone)
        rows = remember_rows(note, found)
        told = _told(work, rows, tombstone)
        clean_tables(work, found)
        clean_quarantine(work)
        session.journal.close()  # a log that is cleaned becomes another file: it is opened anew
        clean_files(work)
        clean_logs(work)
        clean_ledger(work)
        write_out_what_is_there(session)  # from what the ledger tells now
        clean_ledger(work)
        about: dict[str, Any] = {"tombstone": tombstone, "reason": reason, "erased": utc_now(), "actor": current_user()}
        name = _receipt_name(workspace, tombstone)
        receipt = ErasureReceipt(**about, **told, **_done(work, rows), receipt=name, seconds=session.seconds)
        write_file(workspace.root / receipt.receipt, json.dumps(to_json(receipt), indent=1).encode())
        session.ledger.finish_erasure(session.run_id, receipt)
        note.unlink()
        session.result = receipt
        return receipt


def plan_erasure(
    workspace: Workspace, client: str, progress: Progress = silent, *, in_advance: bool = False
) -> ErasurePlan:
    """What erasing a client would change; changes nothing.

    Files are cleaned one by one in the state folder, and the copies thrown away. Raises UsageError where
    `erase` does.
    """
    start, mention = time.perf_counter(), _meant(client, None)
    with reading(workspace, progress) as (ledger, _):
        work = _work_on(mention, workspace, ledger, progress, in_advance=in_advance, trial=True)
        _refuse_unmeant(work, in_advance)
        found = rows_by_part(work)
        rows: Rows = set().union(*found.values())
        told = _told(work, rows, erased_from(workspace, ledger).tombstone_of(client))
        for clean in (clean_quarantine, clean_files, clean_logs, clean_ledger):
            clean(work)
        clean_tables(work, found)
        return ErasurePlan(**told, **_done(work, rows), seconds=time.perf_counter() - start)


def undo_erasure(workspace: Workspace, client: str, reason: str) -> ErasureUndone:
    """Take the tombstone of a client away: later deliveries of it are taken again.

    Erased rows do not come back by this. Files and tables that may still hold them, because they are no part of the
    workspace or came after the erasure, are read again by the next ingestion; files of the workspace were cleaned,
    and have to be delivered again. Raises UsageError for a client who is not erased, and a reason that is empty or
    names the client.
    """
    _meant(client, reason)
    with begin(workspace, "erase --undo") as session:
        reconcile(session)
        ledger, tombstone = session.ledger, erased_clients(session).tombstone_of(client)
        if tombstone is None:
            hint = f"ids are compared exactly, letter by letter; the receipts of erasures lie in {RECEIPTS}/"
            raise UsageError("this client is not erased: there is nothing to undo", hint=hint)
        note = _note(workspace, tombstone)
        held = {number for number, _ in rows_in(note)}.union(
            *(each.get("deliveries", ()) for each in ledger.receipts(tombstone))
        )
        again, cleaned = _to_read_again(session, held)
        undone = ErasureUndone(
            tombstone=tombstone,
            reason=reason,
            undone=utc_now(),
            actor=current_user(),
            read_again=again,
            deliver_again=cleaned,
            receipt=_receipt_name(workspace, tombstone),
            seconds=session.seconds,
        )
        ledger.undo_erasure(session.run_id, undone.undone, tombstone, undone)
        write_file(workspace.root / undone.receipt, json.dumps(to_json(undone), indent=1).encode())
        note.unlink(missing_ok=True)
        write_out_what_is_there(session)
        session.result = undone
        return undone


def _work_on(
    mention: Mention, workspace: Workspace, ledger: Ledger, progress: Progress, *, in_advance: bool, trial: bool = False
) -> Work:
    """The work of an erasure; in advance, of one that touches rows alone, unless there are rows of the client."""
    work = Work(workspace=workspace, ledger=ledger, mention=mention, progress=progress, trial=trial)
    if not in_advance or rows_by_part(work):
        return work
    begun = erased_from(workspace, ledger).tombstone_of(mention.client)
    if begun and rows_in(_note(workspace, begun)):
        return work
    return InAdvance(workspace=workspace, ledger=ledger, mention=mention, progress=progress, trial=trial)


def _meant(client: str, reason: str | None) -> Mention:
    mention = Mention(client)
    if reason is not None and not reason.strip():
        raise UsageError("an erasure needs a reason", hint='--reason "request of 20 November"')
    if reason is not None and mention.in_text(reason):
        raise UsageError("the reason names the client, and the receipt must not", hint="give a case number instead")
    return mention


def _refuse_unmeant(work: Work, in_advance: bool) -> None:
    """Refuse an id that would break the record, and one that nobody has; a client erased before is known."""
    client, longest = work.mention.client, work.workspace.limits.field_characters
    if len(client) > longest:
        hint = "ids are compared exactly: copy it from the file or the list"
        raise UsageError(f"no client can have an id of {len(client):,} characters: a field has {longest:,}", hint=hint)
    is_syntax = client.isascii() and not any(character.isalnum() for character in client)
    is_word = is_syntax or client in _own_words(work.workspace, work.ledger)
    if is_word and not isinstance(work, InAdvance):  # in advance the record is not touched
        hint = "nothing was erased; deliver its files again without the client, and delete the old ones"
        raise UsageError(
            "this id is a word or a sign of Holdfast's own record, which would break without it", hint=hint
        )
    erased_before = erased_from(work.workspace, work.ledger).tombstone_of(work.mention.client)
    if not (in_advance or erased_before or rows_by_part(work)):
        refuse_unknown(work)


def _own_words(workspace: Workspace, ledger: Ledger) -> set[str]:
    """What the record calls its own things: fields, states, columns, folders and sources."""
    kinds = [kind for kind in vars(records).values() if is_dataclass(kind)]
    states = (value for kind in kinds for hint in get_type_hints(kind).values() for value in get_args(hint))
    named = {workspace.source, *workspace.schema.names, *(file.folder for file in ledger.every_delivery())}
    named |= {each.name for kind in kinds for each in fields(kind)}
    return named | {state for state in states if isinstance(state, str)}


def _note(workspace: Workspace, tombstone: str) -> Path:
    """Where it is noted which rows an erasure found, until it is complete."""
    return workspace.state_folder / f"erasing-{tombstone}"


def _told(work: Work, rows: Rows, tombstone: str | None) -> dict[str, Any]:
    """What rests on the client's rows, those that were erased before included."""
    resting, _ = resting_on(work.ledger, {delivery for delivery, _ in rows})
    receipts = work.ledger.receipts(tombstone) if tombstone else ()
    learned = {each.digest for each in resting}.union(each["digest"] for told in receipts for each in told["models"])
    models = tuple(each for each in traced_models(work.ledger) if each.digest in learned)
    release = current_id(work.workspace.deployment_folder)
    serves = any(release in model.releases for model in models)
    unknown = release if release not in {each.id for each in work.ledger.releases()} else None
    return {
        "rows": len(rows),
        "models": models,
        "in_production": release if serves else None,
        "unknown": unknown,
    }


def _done(work: Work, rows: Rows) -> dict[str, Any]:
    """What was changed, and what a search finds afterwards."""
    folders, files = searched(work)
    left, mentioned = mentioned_in_advance(work) if isinstance(work, InAdvance) else (remaining(work), ())
    return {
        "in_advance": isinstance(work, InAdvance),
        "mentioned": mentioned,
        "deliveries": tuple(sorted(work.deliveries | {delivery for delivery, _ in rows})),
        "cleaned": work.cleaned,
        "deleted": tuple(work.deleted),
        "changed_versions": work.changed,
        "unreadable_versions": work.unreadable,
        "searched": folders,
        "files_searched": files,
        "remaining": left,
        "elsewhere": elsewhere(work),
    }


def _receipt_name(workspace: Workspace, tombstone: str) -> str:
    """A name of its own: a client may be erased again, and the first receipt stays."""
    names = (f"{RECEIPTS}/{tombstone[:12]}-{number}.json" for number in itertools.count(1))
    return next(name for name in names if not (workspace.root / name).exists())


# ---- undoing


def _to_read_again(session: Session, held: Collection[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Let the next ingestion read again what may still hold an erased client.

    `held`: the deliveries from which its rows were erased. A file is read again as the delivery that it is, a table
    from its beginning. Returns what is read again, and which files were
    cleaned, so that only their originals hold the client.
    """
    files = session.ledger.every_delivery()
    held = {*held, *(file.repairs or 0 for file in files if file.number in held)}
    meant = [file for file in files if file.status == "accepted" and (file.number in held or file.erased)]
    tables = {source.name for source in session.workspace.databases} & {file.folder for file in meant}
    read = [file for file in files if file.folder in tables]
    again = [file for file in meant if file.folder not in tables and not file.repairs]
    cleaned = [file for file in again if file.former and not file.erased]
    again = [file for file in again if file not in cleaned]
    for file in (*again, *read):
        session.ledger.outdate_delivery(file.number)
    told = (f"the table of source '{name}'" for name in sorted(tables))
    return (*told, *_names(again)), tuple(_names(cleaned))


def _names(files: Collection[SourceFile]) -> Iterator[str]:
    yield from dict.fromkeys(f"{file.folder}/{file.name}" for file in files)
