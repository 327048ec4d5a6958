"""Refused rows: listed, shown, repaired, let go, and taken in again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.dataset import current_files, describe, write_out
from holdfast.errors import UsageError, excerpt, nearest
from holdfast.intake.committing import judge_anew
from holdfast.intake.erased import erased_clients
from holdfast.intake.held import FORGOTTEN, Held, Quarantine, forget_settled
from holdfast.intake.history import History
from holdfast.intake.reconciling import reconcile
from holdfast.intake.repairing import Corrected, checked, keep_repairs, refuse_taken
from holdfast.intake.replaying import replay_rows
from holdfast.intake.settling import settle
from holdfast.progress import Progress, silent
from holdfast.records import (
    EVERY_LINE,
    IngestRecord,
    QuarantineAct,
    QuarantinedDelivery,
    QuarantineDone,
    QuarantinedRow,
    QuarantineList,
    QuarantineShow,
    SourceFile,
)
from holdfast.session import Session, begin, reading, utc_now
from holdfast.sources.apart import open_corrected_apart
from holdfast.sources.corrections import LONGEST_CELL, UNICODE, Corrections, table_header, table_row
from holdfast.sources.files import name_of, open_regular
from holdfast.sources.repaired import RowText, fields_of
from holdfast.sources.typed import as_csv
from holdfast.store.files import replacing
from holdfast.workspace import Workspace, current_user

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger

ID = re.compile(r"([0-9]{1,18})(?::([0-9]{1,18}))?")
SHOWN_RULES = 5
ROWS_OF_A_SHEET = 1_048_576
"""More than spreadsheet programs open."""

NOTHING = "no repaired row waits to be taken in"


def list_quarantine(workspace: Workspace) -> QuarantineList:
    """Every current delivery with refused rows, and every file that was refused as a whole and not let go since."""
    with reading(workspace) as (ledger, _):
        quarantine = Quarantine(workspace, ledger)
        deliveries = ledger.deliveries(workspace.source, workspace.schema.digest)
        current = {file.number for file in ledger.current_deliveries(workspace.source, workspace.schema.digest)}
        held = [_counted(quarantine, file) for file in deliveries if file.number in current]
        latest = {(file.folder, file.name): file for file in deliveries}
        waived = ledger.acted_on()
        return QuarantineList(
            deliveries=tuple(each for each in held if each.quarantined or each.unlabelled),
            refused=tuple(f for f in latest.values() if f.status == "refused" and f.number not in waived),
        )


def show_quarantine(
    workspace: Workspace, which: str, *, limit: int | None = None, out: Path | None = None
) -> QuarantineShow:
    """The refused rows of a delivery, or one row of it (`which`: delivery, or delivery:line), with their texts.

    `limit`: how many of them at most; `total` counts all. With `out` those that were not taken in yet are written to
    a CSV file, with their line numbers, to be repaired there. Raises UsageError for a delivery that is not in
    quarantine, and a place among the workspace's own files.
    """
    if out is not None:
        workspace.refuse_own_place(out)
        if out.suffix.lower() != ".csv":
            raise UsageError("rows to be corrected are written as .csv", file=str(out), hint="name it corrections.csv")
        if out.exists():
            raise UsageError("this file is there already", file=str(out), hint="corrections may be in it: name another")
    with reading(workspace) as (ledger, _):
        ((file, line),) = _meant(ledger, workspace, [which])
        held = Quarantine(workspace, ledger).of(file)
        rows = tuple(islice(held.rows(line), limit))
        if not rows:
            raise UsageError(f"nothing of delivery {which} is in quarantine", hint="holdfast quarantine list")
        return QuarantineShow(
            delivery=file.number,
            name=file.name,
            header=file.header,
            file=None if out is None else str(out),
            total=len(rows) if line is not None else held.total,
            rows=rows,
            notices=() if out is None else _write(out, file, held.rows(line)),
        )


def repair(workspace: Workspace, which: str, changes: Mapping[str, str]) -> QuarantineDone:
    """Give cells of one refused row (`delivery:line`) new values; `replay` then takes it in.

    Raises UsageError for a row that is not in quarantine or was taken in, a column that it does not have, or values
    that still break a rule, which it names.
    """
    with begin(workspace, "quarantine repair") as session:
        ((file, line),) = _current(session, which)
        held = Quarantine(workspace, session.ledger).of(file)
        row = None if line is None else next((row for row in held.rows(line) if not row.kept), None)
        if row is None:
            raise UsageError(
                f"no row {which} is in quarantine", hint="name one like 3:17; see holdfast quarantine list"
            )
        refuse_taken(row)
        done = keep_repairs(session, file, [RowText(row.line, _changed(file, row, changes))])
        session.result = done
        return done


def repair_from(workspace: Workspace, which: str, corrected: Path, progress: Progress = silent) -> QuarantineDone:
    """Repair rows of a delivery from a table that `show_quarantine` wrote and somebody corrected (see `Corrections`).

    Rows that were left as they were are passed over. The file is read by a reading process, within the limits of
    deliveries. Raises UsageError as `repair` does, and FileRefused for what is no regular file, for one of another
    form, or with a line that is not in quarantine; nothing is changed then.
    """
    with open_regular(corrected) as stream, begin(workspace, "quarantine repair", progress) as session:
        ((file, line),) = _current(session, which)
        if line is not None:
            hint = f"holdfast quarantine repair {file.number} --from {name_of(corrected)}; rows may be left out of it"
            raise UsageError("a table corrects rows of a whole delivery", hint=hint)
        name, limits = name_of(corrected), workspace.limits
        with (
            open_corrected_apart(session.readers, stream, name, file.header, limits) as table,
            Corrections(table, workspace.state_folder) as corrections,
        ):
            changed = Corrected(file, corrections, workspace.schema)
            rows = changed.among(Quarantine(workspace, session.ledger).of(file).rows())
            done = keep_repairs(session, file, rows, corrections)
        session.result = done = replace(done, notices=changed.notices())
        return done


def waive(workspace: Workspace, which: Sequence[str], reason: str) -> QuarantineDone:
    """Let refused rows go: they stay out of the dataset and are no longer open. A later repair takes this back.

    `which`: rows (delivery:line) or whole deliveries, with what is yet to contradict an earlier row of others; of a
    file that was refused as a whole, the delivery. Raises UsageError for what is not in quarantine; nothing is let go
    then.
    """
    if not reason.strip():
        raise UsageError("letting rows go needs a reason", hint='--reason "a test client of ours"')
    with begin(workspace, "quarantine waive") as session:
        quarantine = Quarantine(workspace, session.ledger)
        found = _meant(session.ledger, workspace, which)
        _current(session, *(each for each, (file, _) in zip(which, found, strict=True) if file.status != "refused"))
        whole = {file.number for file, line in found if line is None}
        waived: dict[str, int] = {}
        acts: list[QuarantineAct] = []
        for each, (file, line) in zip(which, found, strict=True):
            is_file = file.status == "refused" and line is None
            rows = int(is_file) or _waiting(quarantine.of(file), line)
            if not rows:
                raise UsageError(f"nothing of {each} is waiting in quarantine", hint="holdfast quarantine list")
            name = str(file.number) if line is None else f"{file.number}:{line}"
            if name not in waived and (line is None or file.number not in whole):
                waived[name] = rows
                acts.append(_waiver(file, line, reason))
        session.ledger.record_acts(session.run_id, acts)
        session.result = done = QuarantineDone(
            act="waived",
            rows=sum(waived.values()),
            ids=tuple(waived),
            notices=(),
            next="holdfast quarantine list",
        )
        return done


def replay(where: Workspace | Session, progress: Progress = silent, *, which: str | None = None) -> IngestRecord:
    """Take in the rows that were repaired; then write finaldata.csv.

    Each delivery's rows become a delivery of their own, with the lines that they had. A row is taken in once, however
    often this is called. Raises UsageError for a delivery that is not part of the dataset.
    """
    with begin(where, "quarantine replay", progress) as session:
        told = reconcile(session)
        settle(session)
        history, erased = History.of(session), erased_clients(session)
        told += tuple(judge_anew(session, history))
        quarantine = Quarantine(session.workspace, session.ledger)
        taken: list[SourceFile] = []
        left: list[str] = []
        for file in [_current(session, which)[0][0]] if which else current_files(session):
            held = quarantine.of(file)
            if next(held.repaired(), None):
                replayed = replay_rows(session, history, file, _Repaired(held), erased)
                taken += replayed.files
                left += (*_overtaken(file, replayed.overtaken), *_left(session, file, held))
        session.worked = write_out(session) or bool(taken)
        notices = (*told, *(notice for file in taken for notice in file.notices), *left)
        session.result = record = _record(session, taken, notices if taken or left else (*notices, NOTHING))
        return record


def forget(where: Workspace | Session, days: int) -> QuarantineDone:
    """Let go of the texts of refused rows that were taken in or let go at least so many `days` ago, of those that
    were taken without their label, and of those of superseded deliveries. Rows that wait for somebody stay.
    """
    with begin(where, "quarantine forget") as session:
        rows = forget_settled(session, days)
        session.worked = bool(rows)
        session.result = done = QuarantineDone(
            act="forgotten", rows=rows, ids=(), notices=(), next="holdfast quarantine list"
        )
        return done


def _record(session: Session, taken: Sequence[SourceFile], notices: Sequence[str]) -> IngestRecord:
    workspace = session.workspace
    return IngestRecord(
        dataset=describe(workspace, session.ledger, session.engine, current_files(session)),
        files=tuple(taken),
        known=0,
        rows=sum(file.rows for file in taken),
        accepted=sum(file.accepted for file in taken),
        duplicate=sum(file.duplicate for file in taken),
        quarantined=sum(file.quarantined for file in taken),
        erased=sum(file.erased for file in taken),
        refused=0,
        rejected=(),
        deferred=(),
        unreachable=(),
        notices=tuple(notices),
        seconds=session.seconds,
    )


def _meant(ledger: Ledger, workspace: Workspace, which: Sequence[str]) -> list[tuple[SourceFile, int | None]]:
    """The deliveries, each with the line if one is given, that ids mean."""
    files = {file.number: file for file in ledger.deliveries(workspace.source, workspace.schema.digest)}
    meant = []
    for each in which:
        match = ID.fullmatch(each.strip())
        file = files.get(int(match[1])) if match else None
        if match is None or file is None:
            hint = "name a delivery like 3 or a row of it like 3:17; see holdfast quarantine list"
            raise UsageError(f"there is no delivery '{excerpt(each)}'", hint=hint)
        meant.append((file, int(match[2]) if match[2] else None))
    return meant


def _current(session: Session, *which: str) -> list[tuple[SourceFile, int | None]]:
    """Like `_meant`, but only deliveries that the dataset is made of: of others no row can be taken in."""
    meant = _meant(session.ledger, session.workspace, which)
    current = {each.number for each in current_files(session)}
    for file, _ in meant:
        if file.number not in current:
            hint = "it was refused as a whole, is a copy of another one, or was superseded"
            raise UsageError(f"delivery {file.number} ({file.name}) is not part of the dataset", hint=hint)
    return meant


def _counted(quarantine: Quarantine, file: SourceFile) -> QuarantinedDelivery:
    tally = quarantine.of(file).tally()
    return QuarantinedDelivery(
        delivery=file.number,
        name=file.name,
        folder=file.folder,
        received=file.received,
        quarantined=tally.refused,
        open=tally.states["open"],
        repaired=tally.states["repaired"],
        waived=tally.states["waived"],
        replayed=tally.states["replayed"],
        unlabelled=tally.states["unlabelled"],
        rules=tuple(tally.rules.most_common(SHOWN_RULES)),
    )


def _changed(file: SourceFile, row: QuarantinedRow, changes: Mapping[str, str]) -> str:
    """The row's text with some cells changed; a row with the wrong number of fields needs all of them."""
    for column in changes:
        if column not in file.header:
            close = nearest(column, file.header)
            hint = f"did you mean '{close}'?" if close else f"it has: {', '.join(file.header)}"
            raise UsageError(f"{file.name} has no column '{excerpt(column)}'", hint=hint)
    fields = fields_of(row.repaired or row.text)
    if fields is None or len(fields) != len(file.header):
        missing = [column for column in file.header if column not in changes]
        if missing:
            hint = f"set these too: {', '.join(missing)}"
            raise UsageError(f"the fields of row {row.id} cannot be told apart: {excerpt(row.text)}", hint=hint)
        fields = [""] * len(file.header)
    return as_csv([changes.get(column, field) for column, field in zip(file.header, fields, strict=True)])


def _waiting(held: Held, line: int | None) -> int:
    """How many of the rows, or of those of one line, are not taken in."""
    if line is None:
        tally = held.tally()
        return tally.refused - tally.states["replayed"]
    return sum(not row.kept and row.state != "replayed" for row in held.rows(line))


def _waiver(file: SourceFile, line: int | None, reason: str) -> QuarantineAct:
    return QuarantineAct(
        delivery=file.number,
        line=EVERY_LINE if line is None else line,
        act="waived",
        text=None,
        reason=reason,
        replayed_as=None,
        actor=current_user(),
        created=utc_now(),
    )


def _write(out: Path, file: SourceFile, rows: Iterable[QuarantinedRow]) -> tuple[str, ...]:
    """Write the rows that were not taken in as a table; returns what is to be known of it."""
    written = left_out = 0
    with replacing(out.absolute()) as temporary, temporary.open("w", encoding=UNICODE, newline="") as stream:
        stream.write(f"{table_header(file.header)}\r\n")
        for row in rows:
            if not row.kept and row.state != "replayed" and FORGOTTEN not in {row.text, row.repaired}:
                rule = f"{row.column}: {row.rule}" if row.column else row.rule
                record = table_row(row.line, rule, row.repaired or row.text, len(file.header))
                written += record is not None
                left_out += record is None
                stream.write(f"{record}\r\n" if record is not None else "")
    return tuple(_notices_of_table(written, left_out))


def _notices_of_table(written: int, left_out: int) -> Iterator[str]:
    if not written and not left_out:
        yield "there is no row in it, as none waits to be corrected"
    if left_out:
        yield (
            f"{left_out:,} of the rows {'is' if left_out == 1 else 'are'} not in it, as no cell of a spreadsheet holds "
            f"{LONGEST_CELL:,} characters: repair with --set, or waive"
        )
    if written >= ROWS_OF_A_SHEET:
        yield f"spreadsheet programs open {ROWS_OF_A_SHEET:,} rows at most, and this table has {written + 1:,}"


class _Repaired:
    """The repaired texts of a delivery's rows, gone through as often as they are needed."""

    def __init__(self, held: Held) -> None:
        self._held = held

    def __iter__(self) -> Iterator[RowText]:
        return self._held.repaired()


def _overtaken(file: SourceFile, rows: int) -> Iterator[str]:
    """That some repaired rows of a delivery were let go, because later deliveries have brought newer ones."""
    if rows:
        yield (
            f"{file.name}: {rows:,} repaired rows were let go, because later deliveries have rows of the same key: "
            f"holdfast quarantine show {file.number}"
        )


def _left(session: Session, file: SourceFile, held: Held) -> Iterator[str]:
    """That some repaired rows of a delivery were not taken in, because the schema or the limits have changed since."""
    left = checked(session, file, held.repaired())
    if left.refused:
        first = left.refused[0]
        where = f"{first.column}: " if first.column else ""
        yield (
            f"{file.name}: {left.refusals:,} repaired rows break a rule by now and were not taken in, the first in "
            f"line {first.line}: {where}{first.rule}; repair them again, or waive them: "
            f"holdfast quarantine show {file.number}:{first.line}"
        )
