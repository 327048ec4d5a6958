"""Quarantined rows of one delivery are taken in: as a delivery of their own, with the lines that they had."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.dataset import quarantine_of
from holdfast.intake.committing import Fresh, commit, part_path
from holdfast.intake.erased import Erased
from holdfast.intake.history import History
from holdfast.intake.storing import Destination, Passing, store
from holdfast.records import QuarantineAct, SourceFile
from holdfast.session import Session, utc_now
from holdfast.sources.repaired import RepairedRows, RowText
from holdfast.store.files import replacing
from holdfast.workspace import current_user


def replay_rows(
    session: Session, history: History, origin: SourceFile, texts: Sequence[RowText], erased: Erased
) -> tuple[SourceFile, ...]:
    """Take in those of a delivery's rows that keep the schema; returns the delivery that they became, if any did.

    The table's commit comes first and is known by the rows' digest; rows that a crash left unmarked are marked by
    the next call.
    """
    workspace, ledger = session.workspace, session.ledger
    name = origin.name if origin.repairs else f"{origin.name} (repaired)"
    longest = workspace.limits.field_characters
    rows = RepairedRows(texts, origin.header, name, workspace.schema, origin.digest, longest=longest)
    twin = history.twin(rows.digest)
    if twin:
        for _ in rows:
            pass
        _mark(session, origin, rows.taken, twin.number)
        return ()
    file = SourceFile(
        number=ledger.next_delivery(),
        name=rows.name,
        folder=origin.folder,
        digest=rows.digest,
        size=sum(len(row.text.encode()) for row in texts),
        received=utc_now(),
        status="accepted",
        repairs=origin.repairs or origin.number,  # rows repaired twice leave with the file that they stood in, too
    )
    part, quarantine = part_path(session, file), quarantine_of(workspace, file)
    with replacing(quarantine) as new_quarantine, replacing(part) as new_part:
        destination = Destination(delivery=file.number, part=new_part, quarantine=new_quarantine)
        stored = store(rows, workspace.schema, destination, Passing(erased=erased.recogniser()), lambda _: None)
    if not stored.rows:
        part.unlink()
        quarantine.unlink()
        return ()
    committed = commit(session, history, [Fresh(file=stored.told_in(file), part=part)])
    _mark(session, origin, rows.taken, file.number)
    return committed


def _mark(session: Session, origin: SourceFile, lines: Sequence[int], number: int) -> None:
    acts = [
        QuarantineAct(
            delivery=origin.number,
            line=line,
            act="replayed",
            text=None,
            reason=None,
            replayed_as=number,
            actor=current_user(),
            created=utc_now(),
        )
        for line in lines
    ]
    session.ledger.record_acts(session.run_id, acts)
