"""Deliveries that have been read become part of the dataset: counted together, then committed one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from holdfast.dataset import (
    current_view,
    dataset_digest,
    quarantine_of,
    remember,
    rule_changed,
    table_of,
    view_of,
)
from holdfast.engines.base import Arrival, View
from holdfast.errors import HoldfastError
from holdfast.intake.held import CONTRADICTION
from holdfast.intake.history import History
from holdfast.intake.settling import forget_lines, settle_alike
from holdfast.records import Dataset, QuarantineAct, RejectedRow, SourceFile
from holdfast.render.words import count
from holdfast.schema import DELIVERY, LINE, Schema
from holdfast.session import Session
from holdfast.sources.typed import as_csv
from holdfast.store.deltatable import DatasetTable, Part, part_name
from holdfast.store.files import replacing
from holdfast.store.quarantine import QuarantineWriter, contradictions_beside

UNJUDGED = "unjudged"
"""This file of the state folder is there while rows are judged that are not all committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A delivery that has been read: its record so far, its part, and the deliveries whose place it takes.

    Without a part it is a copy of another one, which brings no rows. `news_only`: it does not become a part of the
    dataset when all its rows are known already. `acts`: what was done to refused rows by taking it in.
    """

    file: SourceFile
    part: Path | None = None
    superseded: tuple[SourceFile, ...] = ()
    news_only: bool = False
    acts: Iterable[QuarantineAct] = ()


def part_path(session: Session, file: SourceFile, *, came_before: bool = False) -> Path:
    """Where the part of a new delivery belongs, or of one that comes again: earlier versions may need the old part."""
    digest = hashlib.sha256(f"{file.digest} {session.run_id}".encode()).hexdigest() if came_before else file.digest
    return table_of(session.workspace).folder / part_name(file.number, file.number, digest)


def commit(session: Session, history: History, fresh: Sequence[Fresh]) -> tuple[SourceFile, ...]:
    """Count what some deliveries bring, and make each a part of the dataset; returns their complete records.

    For each delivery there is one commit of the table and, after it, one of the ledger: what a crash leaves between
    the two, `reconcile` mends.
    """
    if not fresh:
        return ()
    workspace, ledger = session.workspace, session.ledger
    for each in fresh:
        if each.file.former:
            forget_lines(session, each.file.number)
    settle_alike(session, [each.file for each in fresh])
    table = table_of(workspace)
    leaving = frozenset(file.number for each in fresh for file in each.superseded)
    parts = [part.path for part in table.parts()] + [each.part for each in fresh if each.part]
    view = replace(view_of(workspace, parts), without=leaving)
    before = _before(session, history)
    first = min(each.file.number for each in fresh)
    on_top = all(file.number < first for file in history.current[-1:])
    since = first if before and on_top and not leaving else 0
    arrived = {each.delivery: each for each in session.engine.arrivals(view, since)}
    unjudged = workspace.state_folder / UNJUDGED
    if not since:
        unjudged.touch()
    quarantine_contradictions(session, view, [*history.current, *(each.file for each in fresh)], since)
    files = []
    for each in fresh:
        file = _counted(each.file, arrived.get(each.file.number))
        if each.part and each.news_only and not (file.accepted or file.quarantined):
            each.part.unlink()
            files.append(replace(file, status="duplicate"))
        else:
            files.append(_commit(session, table, file, each))
        history.add(files[-1], each.superseded)
        ledger.record_delivery(session.run_id, workspace.source, workspace.schema.digest, files[-1], each.acts)
    unjudged.unlink(missing_ok=True)
    dataset = _after(session, history, before if since else None, tuple(arrived.values()))
    remember(session, replace(dataset, version=table.version), history.current)
    return tuple(files)


def _before(session: Session, history: History) -> Dataset | None:
    """The dataset before these deliveries, if it is known."""
    known = session.ledger.dataset(_digest(session, history))
    return known.record if known else None


def _after(session: Session, history: History, before: Dataset | None, arrived: Sequence[Arrival]) -> Dataset:
    """The dataset with these deliveries: the one before and what they changed, or all that ever arrived."""
    return Dataset(
        source=session.workspace.source,
        digest=_digest(session, history),
        version=None,
        rows=(before.rows if before else 0) + sum(each.added for each in arrived),
        exited=(before.exited if before else 0) + sum(each.exited for each in arrived),
        unlabelled=(before.unlabelled if before else 0) + sum(each.unlabelled for each in arrived),
        deliveries=len(history.current),
    )


def _digest(session: Session, history: History) -> str:
    return dataset_digest(session.workspace, history.current, session.ledger.tombstone_changes())


def _counted(file: SourceFile, arrival: Arrival | None) -> SourceFile:
    """The delivery's record with what became of its good rows."""
    good = arrival.rows if arrival else 0
    if good + file.duplicate + file.quarantined + file.erased != file.rows:
        counted = f"{good} + {file.duplicate} + {file.quarantined} + {file.erased}"
        raise HoldfastError(f"{file.rows} rows read, {counted} counted", file=file.name)
    if arrival is None:
        return file
    notices = list(file.notices)
    if arrival.replaced:
        rows = count(arrival.replaced, "row takes", "rows take")
        notices.append(f"{file.name}: {rows} the place of earlier rows of the same client")
    if arrival.conflicting:
        rows = count(arrival.conflicting, "row contradicts", "rows contradict")
        notices.append(f"{file.name}: {rows} earlier rows of the same client")
    return replace(
        file,
        accepted=arrival.accepted,
        duplicate=file.duplicate + arrival.duplicate,
        quarantined=file.quarantined + arrival.conflicting,
        replaced=arrival.replaced,
        notices=tuple(notices),
    )


def _commit(session: Session, table: DatasetTable, file: SourceFile, fresh: Fresh) -> SourceFile:
    leaving = frozenset(superseded.number for superseded in fresh.superseded)
    touched, kept = parts_without(session, table, leaving)
    added = [*filter(None, [fresh.part]), *kept]
    version = table.commit("delivery", add=added, remove=touched, delivery=file, left=leaving)
    return replace(file, version=version)


def parts_without(
    session: Session, table: DatasetTable, leaving: Collection[int], *, apart: bool = False
) -> tuple[list[Part], list[Path]]:
    """The parts that hold some deliveries, and new ones that hold what else is in them.

    `apart`: none goes across a delivery that leaves, which will come again between those before and after it.
    """
    touched = [part for part in table.parts() if part.holds(leaving)] if leaving else []
    kept = []
    for part in touched:
        numbers = range(part.first, part.last + 1)
        staying = [number for number in numbers if number not in leaving]
        runs = groupby(enumerate(staying), lambda place: place[1] - place[0] if apart else 0)
        for run in ([number for _, number in places] for _, places in runs):
            path, others = table.fresh_path(run[0], run[-1]), frozenset(numbers).difference(run)
            with replacing(path) as temporary:
                view = replace(view_of(session.workspace, [part.path]), without=others)
                rows = session.engine.rewrite(view, temporary)
            kept += [path] if rows else []
    return touched, kept


def judge_what_was_left(session: Session) -> None:
    """Judge all rows again, if a command was killed after it had judged them and before it had committed them all."""
    unjudged, workspace = session.workspace.state_folder / UNJUDGED, session.workspace
    if unjudged.exists():
        current = session.ledger.current_deliveries(workspace.source, workspace.schema.digest)
        quarantine_contradictions(session, current_view(workspace), current, 0)
        unjudged.unlink()


def judge_anew(session: Session, history: History) -> Iterator[str]:
    """Where another rule for conflicts is in force than before, judge all rows by it; what to say of that."""
    for told in rule_changed(session, history.current):
        quarantine_contradictions(session, current_view(session.workspace), history.current, 0)
        yield told


def quarantine_contradictions(session: Session, view: View, deliveries: Sequence[SourceFile], since: int) -> None:
    """Keep the rows that contradict earlier ones, beside the other refused rows of their deliveries.

    When an earlier delivery leaves, all are judged anew (`since` 0): what its rows contradicted may count now. A row
    that somebody has dealt with stays beside them.
    """
    workspace, files = session.workspace, {file.number: file for file in deliveries}
    for file in deliveries:
        if file.number >= since:
            contradictions_beside(quarantine_of(workspace, file)).unlink(missing_ok=True)
    if view.conflicts != "quarantine" and not view.settled:
        return
    with ExitStack() as stack:
        writers: dict[int, QuarantineWriter] = {}
        for batch in session.engine.contradictions(view, since):
            for row in batch.to_pylist():
                file = files[row[DELIVERY]]
                if file.number not in writers:
                    path = contradictions_beside(quarantine_of(workspace, file))
                    writers[file.number] = stack.enter_context(QuarantineWriter(stack.enter_context(replacing(path))))
                first = files.get(row["_first_delivery"])
                writers[file.number].add([_contradicting(row, file, first, view.schema)])


def _contradicting(row: dict[str, Any], file: SourceFile, first: SourceFile | None, schema: Schema) -> RejectedRow:
    """A row as quarantine keeps it; its text is written anew from its values."""
    key = ", ".join(column.name for column in (schema.client, schema.time) if column)
    text = as_csv(_cell(row.get(name), name, schema) for name in file.header)
    rule = f"{CONTRADICTION}no row any more; it was dealt with before"
    if first:
        rule = f"{CONTRADICTION}line {row['_first_line']} of {first.name}, which has the same {key}"
    return RejectedRow(file=file.name, line=row[LINE], column=None, rule=rule, text=text)


def _cell(value: object, name: str, schema: Schema) -> str:
    if value is None:
        return ""
    target = schema.target
    return (target.exited if value else target.stayed) if name == target.name else str(value)
