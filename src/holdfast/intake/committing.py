"""Deliveries that have been read become part of the dataset: counted together, then committed one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from holdfast.intake.history import History
from holdfast.records import Dataset, RejectedRow, SourceFile
from holdfast.schema import DELIVERY, LINE, Schema
from holdfast.session import Session
from holdfast.sources.typed import as_csv
from holdfast.store.deltatable import DatasetTable, Part, part_name
from holdfast.store.files import replacing
from holdfast.store.quarantine import QuarantineWriter, contradictions_beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A delivery that has been read: its record so far, its part, and the deliveries whose place it takes.

    Without a part it is a copy of another one, which brings no rows. `news_only`: it does not become a part of the
    dataset when all its rows are known already.
    """

    file: SourceFile
    part: Path | None = None
    superseded: tuple[SourceFile, ...] = ()
    news_only: bool = False


def part_path(session: Session, file: SourceFile) -> Path:
    """Where the part of a new delivery belongs."""
    return table_of(session.workspace).folder / part_name(file.number, file.number, file.digest)


def commit(session: Session, history: History, fresh: Sequence[Fresh]) -> tuple[SourceFile, ...]:
    """Count what some deliveries bring, and make each a part of the dataset; returns their complete records.

    For each delivery there is one commit of the table and, after it, one of the ledger: what a crash leaves between
    the two, `reconcile` mends.
    """
    if not fresh:
        return ()
    workspace, ledger = session.workspace, session.ledger
    table = table_of(workspace)
    leaving = frozenset(file.number for each in fresh for file in each.superseded)
    parts = [part.path for part in table.parts()] + [each.part for each in fresh if each.part]
    view = replace(view_of(workspace, parts), without=leaving)
    before = _before(session, history)
    since = fresh[0].file.number if before and not leaving else 0
    arrived = {each.delivery: each for each in session.engine.arrivals(view, since)}
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
        ledger.record_delivery(session.run_id, workspace.source, workspace.schema.digest, files[-1])
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
    if arrival is None:
        return file
    notices = list(file.notices)
    if arrival.replaced:
        notices.append(f"{file.name}: {arrival.replaced:,} rows take the place of earlier rows of the same client")
    if arrival.conflicting:
        notices.append(f"{file.name}: {arrival.conflicting:,} rows contradict earlier rows of the same client")
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
    parts = table.parts() if leaving else ()
    touched = [part for part in parts if part.holds(leaving)]
    kept = [path for part in touched if (path := _without(session, table, part, leaving))]
    added = [*filter(None, [fresh.part]), *kept]
    version = table.commit("delivery", add=added, remove=touched, delivery=file, left=leaving)
    return replace(file, version=version)


def _without(session: Session, table: DatasetTable, part: Part, leaving: frozenset[int]) -> Path | None:
    """A new part with the rows of `part` but for those of some deliveries; None when there are no others."""
    if part.first == part.last:
        return None
    path = table.fresh_path(part.first, part.last)
    with replacing(path) as temporary:
        session.engine.rewrite(replace(view_of(session.workspace, [part.path]), without=leaving), temporary)
    return path


def judge_anew(session: Session, history: History) -> Iterator[str]:
    """Where another rule for conflicts is in force than before, judge all rows by it; what to say of that."""
    for told in rule_changed(session, history.current):
        quarantine_contradictions(session, current_view(session.workspace), history.current, 0)
        yield told


def quarantine_contradictions(session: Session, view: View, deliveries: Sequence[SourceFile], since: int) -> None:
    """Keep the rows that contradict earlier ones, beside the other refused rows of their deliveries.

    When an earlier delivery leaves, all are judged anew (`since` 0): what its rows contradicted may count now.
    """
    workspace, files = session.workspace, {file.number: file for file in deliveries}
    for file in deliveries:
        if file.number >= since:
            contradictions_beside(quarantine_of(workspace, file)).unlink(missing_ok=True)
    if view.conflicts != "quarantine":
        return
    with ExitStack() as stack:
        writers: dict[int, QuarantineWriter] = {}
        for batch in session.engine.contradictions(view, since):
            for row in batch.to_pylist():
                file = files[row[DELIVERY]]
                if file.number not in writers:
                    path = contradictions_beside(quarantine_of(workspace, file))
                    writers[file.number] = stack.enter_context(QuarantineWriter(stack.enter_context(replacing(path))))
                writers[file.number].add([_contradicting(row, file, files[row["_first_delivery"]], view.schema)])


def _contradicting(row: dict[str, Any], file: SourceFile, first: SourceFile, schema: Schema) -> RejectedRow:
    """A row as quarantine keeps it; its text is written anew from its values."""
    key = ", ".join(column.name for column in (schema.client, schema.time) if column)
    text = as_csv(_cell(row.get(name), name, schema) for name in file.header)
    rule = f"contradicts line {row['_first_line']} of {first.name}, which has the same {key}"
    return RejectedRow(file=file.name, line=row[LINE], column=None, rule=rule, text=text)


def _cell(value: object, name: str, schema: Schema) -> str:
    if value is None:
        return ""
    target = schema.target
    return (target.exited if value else target.stayed) if name == target.name else str(value)
