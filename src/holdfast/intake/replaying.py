"""Quarantined rows of one delivery are taken in: as a delivery of their own, with the lines that they had."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc

from holdfast.dataset import next_number, quarantine_of, table_of, view_of
from holdfast.intake.committing import Fresh, commit, part_path
from holdfast.intake.erased import Erased
from holdfast.intake.held import Quarantine
from holdfast.intake.history import History
from holdfast.intake.storing import Destination, Passing, store
from holdfast.records import QuarantineAct, SourceFile
from holdfast.schema import DELIVERY, LINE
from holdfast.session import Session, utc_now
from holdfast.sources.repaired import RepairedRows, RowText
from holdfast.store.files import replacing
from holdfast.store.parts import part_batches
from holdfast.workspace import current_user


class Replayed(NamedTuple):
    """The delivery that repaired rows became, if any did, and how many were let go because later ones came since."""

    files: tuple[SourceFile, ...]
    overtaken: int = 0


def replay_rows(
    session: Session, history: History, origin: SourceFile, texts: Iterable[RowText], erased: Erased
) -> Replayed:
    """Take in those of a delivery's rows that keep the schema.

    Where the latest row of a key counts, a row is let go (waived) if a delivery after that in which it stood first
    has brought one with the same key: taken in now, it would count as the newest.
    `texts` are gone through several times, and never held in memory all at once.
    The table's commit comes first; that its rows were taken in is recorded with the delivery, if need be by the next
    command (see `taken_in`).
    """
    workspace = session.workspace
    name = origin.name if origin.repairs else f"{origin.name} (repaired)"
    reading = f"reading {name}"
    longest = workspace.limits.field_characters
    rows = RepairedRows(texts, origin.header, name, workspace.schema, origin.digest, longest=longest)
    file = SourceFile(
        number=next_number(session),
        name=rows.name,
        folder=origin.folder,
        digest=rows.digest,
        size=rows.size,
        received=utc_now(),
        status="accepted",
        repairs=origin.repairs or origin.number,  # rows repaired twice leave with the file that they stood in, too
    )
    part, quarantine = part_path(session, file), quarantine_of(workspace, file)
    with replacing(quarantine) as new_quarantine, replacing(part) as new_part:
        destination = Destination(delivery=file.number, part=new_part, quarantine=new_quarantine)
        passing = Passing(erased=erased.recogniser())
        stored = store(rows, workspace.schema, destination, passing, lambda n: session.progress(reading, n, None))
        overtaken = _overtaken(session, history, file, new_part)
    if overtaken or not stored.rows:
        part.unlink()
        quarantine.unlink()
    if overtaken:
        _waive(session, origin, overtaken)
        others = replay_rows(session, history, origin, _Others(texts, overtaken.keys()), erased)
        return others._replace(overtaken=len(overtaken))
    if not stored.rows:
        return Replayed(())
    acts = _acts_on(origin, rows.taken, file.number)
    return Replayed(commit(session, history, [Fresh(file=stored.told_in(file), part=part, acts=acts)]))


def taken_in(session: Session, file: SourceFile, current: Sequence[SourceFile]) -> Iterator[QuarantineAct]:
    """What a delivery of repaired rows did to the refused ones, where a crash or a lost ledger left that unrecorded.

    They may have been refused twice: with the delivery in which they stood first, and when they were taken in.
    """
    quarantine = Quarantine(session.workspace, session.ledger)
    lines = _lines_of(session, file)
    for origin in (each for each in reversed(current) if file.repairs in (each.number, each.repairs)):
        repaired = {row.line for row in quarantine.of(origin).repaired()}
        told = lines if origin.number == file.repairs else lines & repaired
        yield from _acts_on(origin, sorted(told), file.number)
        lines -= told


def _lines_of(session: Session, file: SourceFile) -> set[int]:
    lines: set[int] = set()
    for part in table_of(session.workspace).parts():
        for batch in part_batches(part.path) if part.holds([file.number]) and part.path.is_file() else ():
            own = batch.filter(pc.equal(batch.column(DELIVERY), file.number))
            lines.update(own.column(LINE).to_pylist())
    return lines


@dataclass(frozen=True, slots=True)
class _Others:
    """Rows but for those of some lines, gone through as often as they are needed."""

    texts: Iterable[RowText]
    lines: Container[int]

    def __iter__(self) -> Iterator[RowText]:
        return (row for row in self.texts if row.line not in self.lines)


def _overtaken(session: Session, history: History, file: SourceFile, part: Path) -> dict[int, SourceFile]:
    """The lines of repaired rows whose key a later delivery has brought too, with the latest such delivery.

    Repaired rows came when the delivery did in which they had stood first.
    """
    workspace = session.workspace
    if workspace.conflicts != "latest":
        return {}
    origin = file.repairs or file.number
    later = {each.number: each for each in history.current if (each.repairs or each.number) > origin}
    parts = [each.path for each in table_of(workspace).parts() if each.holds(later)]
    view = view_of(workspace, [*parts, part])
    found = (
        row for batch in session.engine.overtaken(view, file.number, frozenset(later)) for row in batch.to_pylist()
    )
    return {row[LINE]: later[row[DELIVERY]] for row in found}


def _acts_on(origin: SourceFile, lines: Iterable[int], number: int) -> Iterator[QuarantineAct]:
    done = _act(origin)
    return (replace(done, line=line, replayed_as=number) for line in lines)


def _waive(session: Session, origin: SourceFile, overtaken: Mapping[int, SourceFile]) -> None:
    done, key = replace(_act(origin), act="waived"), " and ".join(view_of(session.workspace, []).key)
    why = {
        file.number: f"delivery {file.number} ({file.name}) has a later row of the same {key}"
        for file in overtaken.values()
    }
    acts = (replace(done, line=line, reason=why[file.number]) for line, file in overtaken.items())
    session.ledger.record_acts(session.run_id, acts)


def _act(origin: SourceFile) -> QuarantineAct:
    """What is done to a row of a delivery, by whom and when."""
    return QuarantineAct(
        delivery=origin.number,
        line=0,
        act="replayed",
        text=None,
        reason=None,
        replayed_as=None,
        actor=current_user(),
        created=utc_now(),
    )
