"""Refused rows: listed, shown, repaired, let go, and taken in again."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from holdfast.dataset import current_files, describe, quarantine_of, reconcile, write_out
from holdfast.errors import FileRefused, UsageError, excerpt, from_os_error, nearest
from holdfast.intake.erased import erased_clients
from holdfast.intake.history import History
from holdfast.intake.replaying import replay_rows
from holdfast.records import (
    IngestRecord,
    QuarantineAct,
    QuarantinedDelivery,
    QuarantineDone,
    QuarantinedRow,
    QuarantineList,
    QuarantineShow,
    SourceFile,
)
from holdfast.session import Progress, Session, begin, reading, silent, utc_now
from holdfast.sources.repaired import RepairedRows, RowText, fields_of
from holdfast.sources.typed import as_csv
from holdfast.store.files import write_file
from holdfast.store.quarantine import HeldRow, held_rows
from holdfast.workspace import Workspace, current_user

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger

ID = re.compile(r"([0-9]+)(?::([0-9]+))?")
LINE_COLUMN = "_line"
SHOWN_RULES = 5
CONTRADICTION = "contradicts "
NOTHING = "no repaired row waits to be taken in"
NEXT = "holdfast quarantine replay takes repaired rows in"


def list_quarantine(workspace: Workspace) -> QuarantineList:
    """Every current delivery with refused rows, and every file that was refused as a whole; changes nothing."""
    with reading(workspace) as (ledger, _):
        deliveries = ledger.deliveries(workspace.source, workspace.schema.digest)
        current = {file.number for file in ledger.current_deliveries(workspace.source, workspace.schema.digest)}
        held = [_counted(workspace, ledger, file) for file in deliveries if file.number in current]
        latest = {(file.folder, file.name): file for file in deliveries}
        return QuarantineList(
            deliveries=tuple(each for each in held if each.quarantined or each.unlabelled),
            refused=tuple(file for file in latest.values() if file.status == "refused"),
        )


def show_quarantine(
    workspace: Workspace, which: str, *, limit: int | None = None, out: Path | None = None
) -> QuarantineShow:
    """The refused rows of a delivery, or one row of it (`which`: delivery, or delivery:line), with their texts.

    With `out` those that were not taken in yet are written to a CSV file, with their line numbers, to be repaired
    there. Raises UsageError for a delivery that is not in quarantine, and a place among the workspace's own files.
    """
    if out is not None:
        workspace.refuse_own_place(out)
        if out.exists():
            raise UsageError("this file is there already", file=str(out), hint="corrections may be in it: name another")
    with reading(workspace) as (ledger, _):
        file, line = _found(workspace, ledger, which)
        rows = [row for row in _rows(workspace, ledger, file) if line in {None, row.line}]
    if not rows:
        raise UsageError(f"nothing of delivery {which} is in quarantine", hint="holdfast quarantine list")
    if out is not None:
        _write(out, file, [row for row in rows if not row.kept and row.state != "replayed"])
    shown = tuple(rows if limit is None else rows[:limit])
    return QuarantineShow(
        delivery=file.number,
        name=file.name,
        header=file.header,
        file=None if out is None else str(out),
        total=len(rows),
        rows=shown,
    )


def repair(workspace: Workspace, which: str, changes: Mapping[str, str]) -> QuarantineDone:
    """Give cells of one refused row (`delivery:line`) new values; `replay` then takes it in.

    Raises UsageError for a row that is not in quarantine or was taken in, a column that it does not have, or values
    that still break a rule, which it names.
    """
    with begin(workspace, "quarantine repair") as session:
        file, line = _current(session, which)
        rows = {row.line: row for row in _rows(workspace, session.ledger, file) if not row.kept}
        if line is None or line not in rows:
            raise UsageError(
                f"no row {which} is in quarantine", hint="name one like 3:17; see holdfast quarantine list"
            )
        _refuse_taken(rows[line])
        text = _changed(file, rows[line], changes)
        return _repaired(session, file, [RowText(line, text)])


def repair_from(workspace: Workspace, which: str, corrected: Path) -> QuarantineDone:
    """Repair rows of a delivery from a CSV file that `show_quarantine` wrote and somebody corrected.

    Rows that were left as they were are passed over. Raises UsageError as `repair` does, and FileRefused for a file
    of another form, or with a line that is not in quarantine; nothing is changed then.
    """
    with begin(workspace, "quarantine repair") as session:
        file, _ = _current(session, which)
        rows = {row.line: row for row in _rows(workspace, session.ledger, file) if not row.kept}
        changed = _corrected(corrected, file, rows)
        for each in changed:
            _refuse_taken(rows[each.line])
        return _repaired(session, file, changed)


def waive(workspace: Workspace, which: Sequence[str], reason: str) -> QuarantineDone:
    """Let refused rows go: they stay out of the dataset and are no longer open. A later repair takes this back.

    `which`: rows (delivery:line) or whole deliveries. Raises UsageError for what is not in quarantine; nothing is
    let go then.
    """
    if not reason.strip():
        raise UsageError("letting rows go needs a reason", hint='--reason "a test client of ours"')
    with begin(workspace, "quarantine waive") as session:
        acts: dict[str, QuarantineAct] = {}
        for each in which:
            file, line = _current(session, each)
            rows = [row for row in _rows(workspace, session.ledger, file) if line in {None, row.line}]
            waiting = [row for row in rows if not row.kept and row.state != "replayed"]
            if not waiting:
                raise UsageError(f"nothing of {each} is waiting in quarantine", hint="holdfast quarantine list")
            acts |= {row.id: _act(file, row.line, "waived", reason=reason) for row in waiting}
        session.ledger.record_acts(session.run_id, list(acts.values()))
        done = QuarantineDone(
            act="waived", rows=len(acts), ids=tuple(acts), notices=(), next="holdfast quarantine list"
        )
        session.result = done
        return done


def replay(where: Workspace | Session, progress: Progress = silent, *, which: str | None = None) -> IngestRecord:
    """Take in the rows that were repaired; then write finaldata.csv.

    Each delivery's rows become a delivery of their own, with the lines that they had. A row is taken in once, however
    often this is called. Raises UsageError for a delivery that is not part of the dataset.
    """
    with begin(where, "quarantine replay", progress) as session:
        workspace, ledger = session.workspace, session.ledger
        reconcile(session)
        history, erased = History.of(session), erased_clients(session)
        files = [_current(session, which)[0]] if which else list(current_files(session))
        taken: list[SourceFile] = []
        for file in files:
            rows = [row for row in _rows(workspace, ledger, file) if row.state == "repaired"]
            if rows:
                texts = [RowText(row.line, row.repaired or row.text) for row in rows]
                taken += replay_rows(session, history, file, texts, erased)
        session.worked = write_out(session) or bool(taken)
        record = _record(session, taken)
        session.result = record
        return record


def _record(session: Session, taken: Sequence[SourceFile]) -> IngestRecord:
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
        notices=tuple(notice for file in taken for notice in file.notices) if taken else (NOTHING,),
        seconds=session.seconds,
    )


def _found(workspace: Workspace, ledger: Ledger, which: str) -> tuple[SourceFile, int | None]:
    """The delivery, and the line if one is given, that an id means."""
    match = ID.fullmatch(which.strip())
    deliveries = ledger.deliveries(workspace.source, workspace.schema.digest)
    file = next((file for file in deliveries if match and file.number == int(match[1])), None)
    if match is None or file is None:
        hint = "name a delivery like 3 or a row of it like 3:17; see holdfast quarantine list"
        raise UsageError(f"there is no delivery '{excerpt(which)}'", hint=hint)
    return file, int(match[2]) if match[2] else None


def _current(session: Session, which: str) -> tuple[SourceFile, int | None]:
    """Like `_found`, but only a delivery that the dataset is made of: of others no row can be taken in."""
    file, line = _found(session.workspace, session.ledger, which)
    if file.number not in {each.number for each in current_files(session)}:
        hint = "it was refused, is a copy of another one, or was superseded; see holdfast quarantine list"
        raise UsageError(f"delivery {file.number} ({file.name}) is not part of the dataset", hint=hint)
    return file, line


def _rows(workspace: Workspace, ledger: Ledger, file: SourceFile) -> Iterator[QuarantinedRow]:
    acts = ledger.acts(file.number)
    for held in held_rows(quarantine_of(workspace, file)):
        yield _row(file, held, None if held.kept else acts.get(held.row.line))


def _row(file: SourceFile, held: HeldRow, act: QuarantineAct | None) -> QuarantinedRow:
    row = held.row
    return QuarantinedRow(
        id=f"{file.number}:{row.line}",
        delivery=file.number,
        file=row.file,
        line=row.line,
        column=row.column,
        rule=row.rule,
        text=row.text,
        kept=held.kept,
        state=act.act if act else "open",
        repaired=act.text if act else None,
        reason=act.reason if act else None,
    )


def _counted(workspace: Workspace, ledger: Ledger, file: SourceFile) -> QuarantinedDelivery:
    states: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    for row in _rows(workspace, ledger, file) if file.quarantined or file.unlabelled else ():
        states["unlabelled" if row.kept else row.state] += 1
        if row.state == "open" and not row.kept:
            rules[_rule(row)] += 1
    return QuarantinedDelivery(
        delivery=file.number,
        name=file.name,
        folder=file.folder,
        received=file.received,
        quarantined=states.total() - states["unlabelled"],
        open=states["open"],
        repaired=states["repaired"],
        waived=states["waived"],
        replayed=states["replayed"],
        unlabelled=states["unlabelled"],
        rules=tuple(rules.most_common(SHOWN_RULES)),
    )


def _rule(row: QuarantinedRow) -> str:
    """The rule that a row broke, as it is counted."""
    if row.rule.startswith(CONTRADICTION):
        return "contradicts an earlier row"
    return f"{row.column}: {row.rule}" if row.column else row.rule


def _refuse_taken(row: QuarantinedRow) -> None:
    if row.state == "replayed":
        hint = "deliver the file again, corrected: its rows then take the place of these"
        raise UsageError(f"row {row.id} was taken in already", hint=hint)


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


def _repaired(session: Session, file: SourceFile, texts: Sequence[RowText]) -> QuarantineDone:
    """Keep the new texts, if every one of them keeps the schema."""
    check = RepairedRows(texts, file.header, file.name, session.workspace.schema, file.digest)
    for _ in check:
        pass
    for row in check.refused:
        where = f"column {row.column}: " if row.column else ""
        message = f"row {file.number}:{row.line} would still be refused: {where}{row.rule}"
        raise UsageError(message, hint=f"its text would be: {excerpt(row.text)}; nothing was changed")
    session.ledger.record_acts(session.run_id, [_act(file, row.line, "repaired", text=row.text) for row in texts])
    ids = tuple(f"{file.number}:{row.line}" for row in texts)
    done = QuarantineDone(act="repaired", rows=len(texts), ids=ids, notices=(), next=NEXT)
    session.result = done
    return done


def _act(
    file: SourceFile,
    line: int,
    act: Literal["repaired", "waived"],
    *,
    text: str | None = None,
    reason: str | None = None,
) -> QuarantineAct:
    return QuarantineAct(
        delivery=file.number,
        line=line,
        act=act,
        text=text,
        reason=reason,
        replayed_as=None,
        actor=current_user(),
        created=utc_now(),
    )


def _write(out: Path, file: SourceFile, rows: Sequence[QuarantinedRow]) -> None:
    """The rows as a table that a spreadsheet opens: their lines, then their fields as far as they can be told apart."""
    lines = [[LINE_COLUMN, *file.header], *([str(row.line), *_cells(row.repaired or row.text, file)] for row in rows)]
    write_file(out.absolute(), "".join(f"{as_csv(line)}\r\n" for line in lines).encode())


def _cells(text: str, file: SourceFile) -> list[str]:
    fields = fields_of(text)
    return fields if fields and len(fields) == len(file.header) else [text]


def _corrected(path: Path, file: SourceFile, rows: Mapping[int, QuarantinedRow]) -> list[RowText]:
    """The rows of a corrected file that were changed, by the lines that they had in the delivery."""
    header, *records = _records(path) or [[]]
    expected = [LINE_COLUMN, *file.header]
    if header != expected:
        hint = f"write it with: holdfast quarantine show {file.number} --out {path.name}"
        raise FileRefused(f"the first line has to be {','.join(expected)}", file=str(path), row=1, hint=hint)
    found: dict[int, list[str]] = {}
    for number, fields in enumerate(records, 2):
        if not any(fields):  # an empty line, or a line of a spreadsheet without a cell
            continue
        line = int(fields[0]) if fields[0].isdecimal() else None
        if line is None or line not in rows:
            message = f"'{excerpt(fields[0])}' is no line of {file.name} in quarantine"
            raise FileRefused(message, file=str(path), row=number, column=LINE_COLUMN)
        if line in found:
            raise FileRefused(f"line {line} is there twice", file=str(path), row=number, column=LINE_COLUMN)
        found[line] = fields[1:]
    return [RowText(line, as_csv(cells)) for line, cells in found.items() if _differ(cells, rows[line], file)]


def _records(path: Path) -> list[list[str]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except OSError as error:
        raise from_os_error(error, "read", str(path)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileRefused(f"not CSV in UTF-8: {error}", file=str(path)) from None


def _differ(cells: Sequence[str], row: QuarantinedRow, file: SourceFile) -> bool:
    """True unless these are the cells that were written out; a spreadsheet may have added empty ones, or left some."""
    shown = [_cells(text, file) for text in (row.text, row.repaired) if text is not None]
    return _filled(cells) not in map(_filled, shown)


def _filled(cells: Sequence[str]) -> list[str]:
    """The cells up to the last one that is not empty."""
    return list(cells[: max((place for place, cell in enumerate(cells, 1) if cell), default=0)])
