"""Ledger and tables are brought into line: after a crash between them, and when one of them came from a backup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.dataset import (
    lost_deliveries,
    quarantine_numbered,
    table_for,
    table_of,
    view_of,
    write_out_what_is_there,
)
from holdfast.intake.committing import judge_what_was_left, parts_without, quarantine_contradictions
from holdfast.intake.erased import erased_clients
from holdfast.intake.finding import Found
from holdfast.intake.replaying import taken_in
from holdfast.intake.settling import settle
from holdfast.intake.storing import is_of_erased
from holdfast.records import SourceFile
from holdfast.render.words import count
from holdfast.schema import DELIVERY
from holdfast.session import Session, utc_now
from holdfast.store.deltatable import DatasetTable, part_numbers
from holdfast.store.files import replacing
from holdfast.store.parts import copy_part, part_batches
from holdfast.store.quarantine import contradictions_beside, drop_rows
from holdfast.store.tombstones import Tombstones

if TYPE_CHECKING:
    from holdfast.store.ledger import Claims

Mask = NDArray[np.bool_]


def reconcile(session: Session) -> tuple[str, ...]:
    """Bring the ledger and the table into line with each other; returns what whoever reads the record should know.

    A crash may have come between the two commits of a delivery, and the ledger may have come from a backup: it learns
    from the table what it lacks. If the output folder came from a backup, what is no longer current and who was
    erased leave it again.
    """
    workspace, table = session.workspace, table_of(session.workspace)
    if table.version is None:
        return ()
    begun = workspace.state_folder / "mending"  # so that it is begun again where it was killed
    dataset = _Dataset(session, table, workspace.source, workspace.schema.digest)
    claims = session.ledger.claims(dataset.source, dataset.schema_digest)
    told: tuple[str, ...] = ()
    if begun.exists() or dataset.is_another(claims):
        begun.touch()
        told = (_mend_all(session),)
        begun.unlink()
        table = table_of(workspace)
    else:
        was_empty = not session.ledger.numbers()
        dataset.learn(claims.delivered_in)
        told = _restored(dataset) if was_empty else ()
        judge_what_was_left(session)
    _sweep(session, table)
    return told


def _restored(dataset: _Dataset) -> tuple[str, ...]:
    """That the ledger was lost, if it learned anything."""
    known = len(dataset.current)
    again = f"{count(known, 'delivery was', 'deliveries were')} entered again from the dataset's own log"
    lost = "models, scores and what was done to refused rows before are not known any more"
    return (f"the ledger was empty: {again}; {lost}",) if known else ()


def withdraw_lost(session: Session, lying: Sequence[Found]) -> tuple[SourceFile, ...]:
    """Let deliveries be taken again whose rows are gone, if all that is lost can come again.

    It can if it is among the files `lying` there, or another file under its name, or if it was read from a table. So a
    new output_folder_path fills itself, and a deleted folder is made anew. Parts that hold no current delivery leave
    the table: they are gone, or were left by an output folder that was changed and is now the old one again. Returns
    the deliveries that are to be taken again.
    """
    workspace, ledger, table = session.workspace, session.ledger, table_of(session.workspace)
    own = workspace.source, workspace.schema.digest
    current = ledger.current_deliveries(*own)
    lost = lost_deliveries(workspace, current)
    tables, here = {source.name for source in workspace.databases}, {file.identity for file in lying}
    changed = {(file.folder, file.name) for file in lying}  # what lies under its name now would supersede it
    can_return = all(
        file.identity in here or (file.folder, file.name) in changed or file.repairs or file.folder in tables
        for file in lost
    )
    again = tuple(lost) if can_return else ()
    read_again = {file.folder for file in again} & tables
    leaving = {f.number for f in (*again, *(f for f in current if f.folder in read_again))}  # tables from the beginning
    for number in sorted(leaving):
        ledger.withdraw_delivery(number)
    if again and table.version is None:
        ledger.forget_versions(*own, {})
    staying = {file.number for file in current} - leaving
    unused = [part for part in table.parts() if not part.holds(staying)]
    if unused:
        known = [file.number for file in ledger.deliveries(*own)]
        left = [number for number in known if any(part.holds([number]) for part in unused)]
        table.commit("withdrawal", remove=unused, left=left)
    return again


def withdraw_outdated(session: Session, lying: Sequence[Found]) -> None:
    """Let files that lie there be read again, each as the delivery that it is, because an erasure was undone."""
    workspace, table = session.workspace, table_of(session.workspace)
    current = session.ledger.current_deliveries(workspace.source, workspace.schema.digest)
    here = {file.identity for file in lying}
    leaving = [file.number for file in current if file.outdated and file.identity in here]
    if leaving:
        touched, kept = parts_without(session, table, leaving, apart=True)
        table.commit("withdrawal", add=kept, remove=touched, left=leaving)
        for number in leaving:
            session.ledger.withdraw_delivery(number)


def _sweep(session: Session, table: DatasetTable) -> None:
    """Remove what a killed command left: parts that were never committed, and the refused rows beside them."""
    known = session.ledger.numbers()
    committed = {part.path for part in table.parts()}
    for path in table.folder.glob("*.parquet"):
        numbers = part_numbers(path.name)
        if numbers and known.isdisjoint(numbers) and path not in committed:
            held = quarantine_numbered(session.workspace, numbers[0])
            for leftover in (contradictions_beside(held), held, path):
                leftover.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Dataset:
    """The deliveries of one input folder under one schema, as the ledger and their table know them."""

    session: Session
    table: DatasetTable
    source: str
    schema_digest: str

    @property
    def current(self) -> tuple[SourceFile, ...]:
        return self.session.ledger.current_deliveries(self.source, self.schema_digest)

    def is_another(self, claims: Claims) -> bool:
        """True if the table is not the one that the ledger knows: it came from a backup, or lies in another folder."""
        if claims.delivery:
            told = self.table.delivered_after(claims.delivered_in - 1)
            if not told or told[0].number != claims.delivery:
                return True
        return (self.table.version or 0) < claims.latest

    def learn(self, since: int) -> None:
        """Tell the ledger what came to the table after a version, and what left it."""
        ledger, left = self.session.ledger, self.table.left_after(since)
        delivered = self.table.delivered_after(since)
        known = {file.number: file for file in ledger.every_delivery()} if delivered or left else {}
        superseded, current = {file.supersedes for file in known.values()}, {file.number for file in self.current}
        last = {file.number: file for file in delivered}
        for file in (each for each in delivered if each is last[each.number]):
            before, version = known.get(file.number), file.version or 0
            came_again = before is None or (
                file.digest == before.digest and version > max(left.get(file.number, 0), before.version or 0)
            )
            if came_again and file.number not in current | superseded:
                acts = tuple(taken_in(self.session, file, self.current)) if file.repairs else ()
                ledger.record_delivery(self.session.run_id, self.source, self.schema_digest, file, acts)
                known[file.number] = file
        for file in self.current if left else ():
            if left.get(file.number, 0) > (known[file.number].version or 0):
                ledger.withdraw_delivery(file.number)

    def mend(self, erased: Tombstones | None) -> _Rows:
        """Take out what is no longer current and who was erased, and let the ledger forget versions that are gone.

        Old versions are read without erased clients from then on. Returns the rows that were taken out.
        """
        self.learn(0)
        current, table = [file.number for file in self.current], self.table
        leaving = _Leaving(np.array(current, np.int64), self.session.workspace.schema.client.name, erased)
        found = {part: leaving.count(part.path) for part in table.parts() if part.path.is_file()}
        old = [part for part, rows in found.items() if rows.superseded or rows.erased]
        fresh = []
        for part in (part for part in old if part.holds(current)):
            fresh.append(table.fresh_path(part.first, part.last))
            with replacing(fresh[-1]) as path:
                copy_part(part.path, path, leaving.staying)
        if old:
            left = frozenset[int]().union(*(rows.deliveries for rows in found.values()))
            table.commit("withdrawal", add=fresh, remove=old, left=left)
        kept = {part.path for part in table.parts()}
        for path in table.folder.glob("*.parquet"):
            if part_numbers(path.name) and path not in kept and leaving.count(path).erased:
                with replacing(path) as cleaned:
                    copy_part(path, cleaned, leaving.not_erased)
        delivered = {file.number: file.version or 0 for file in table.delivered_after(0)}
        self.session.ledger.forget_versions(self.source, self.schema_digest, delivered)
        return _Rows(sum(each.superseded for each in found.values()), sum(each.erased for each in found.values()))


# ---- a dataset that came from a backup


class _Rows(NamedTuple):
    """Rows to take out: of deliveries that are no longer current, and of erased clients; and those deliveries."""

    superseded: int
    erased: int
    deliveries: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Leaving:
    """What does not belong in a part. `client` is the column of ids; tables under another schema may have another."""

    current: NDArray[np.int64]
    client: str
    erased: Tombstones | None

    def count(self, part: Path) -> _Rows:
        superseded, erased, deliveries = 0, 0, set()
        for batch in part_batches(part):
            old, theirs = self._of(batch)
            superseded += int(np.count_nonzero(old))
            erased += int(np.count_nonzero(theirs))
            deliveries.update(np.unique(batch.column(DELIVERY).to_numpy()[old]).tolist())
        return _Rows(superseded, erased, frozenset(deliveries))

    def staying(self, batch: pa.RecordBatch) -> Mask:
        old, theirs = self._of(batch)
        return ~(old | theirs)

    def not_erased(self, batch: pa.RecordBatch) -> Mask:
        return ~self._of(batch)[1]

    def _of(self, batch: pa.RecordBatch) -> tuple[Mask, Mask]:
        theirs: Mask = np.zeros(batch.num_rows, dtype=bool)
        if self.erased:
            texts = [name for name in batch.schema.names if pa.types.is_string(batch.schema.field(name).type)]
            for name in [self.client] if self.client in texts else texts:
                theirs |= self.erased.mask(batch.column(name))
        return ~np.isin(batch.column(DELIVERY).to_numpy(), self.current) & ~theirs, theirs


def _mend_all(session: Session) -> str:
    """Mend the tables of all datasets in the output folder, and its quarantine; returns what to say of it."""
    workspace, ledger = session.workspace, session.ledger
    session.progress("mending the dataset", 0, None)
    settle(session)
    erased = erased_clients(session).recogniser()
    superseded = gone = 0
    for source, schema_digest in ledger.sources():
        table = table_for(workspace, source, schema_digest)
        if table.version is not None:
            rows = _Dataset(session, table, source, schema_digest).mend(erased)
            superseded, gone = superseded + rows.superseded, gone + rows.erased
    gone += _clean_quarantine(session, erased) if erased else 0
    parts = [part.path for part in table_of(workspace).parts() if part.path.is_file()]
    current = ledger.current_deliveries(workspace.source, workspace.schema.digest)
    quarantine_contradictions(session, view_of(workspace, parts), current, 0)
    write_out_what_is_there(session)
    told = (
        f"{workspace.show(workspace.output_folder)} was not as the record knows it, as when a backup was put back: "
        f"{count(superseded, 'row', 'rows')} of superseded deliveries and {gone:,} of erased clients were taken out of "
        "it again"
    )
    session.journal.write("mended", utc_now(), run=session.run_id, told=told)
    return told


def _clean_quarantine(session: Session, erased: Tombstones) -> int:
    """Take the refused rows of erased clients out of quarantine; returns how many."""
    headers = {file.number: file.header for file in session.ledger.every_delivery()}
    client, rows = session.workspace.schema.client.name, 0
    for path in (session.workspace.output_folder / "quarantine").glob("[0-9]*.parquet"):
        header = headers.get(int(path.name.partition(".")[0]), ())

        def theirs(batch: pa.RecordBatch, header: Sequence[str] = header) -> pa.BooleanArray:
            texts = batch.column("text").to_pylist()
            return pa.array([is_of_erased(text, header, client, erased) for text in texts], pa.bool_())

        rows += drop_rows(path, theirs)
    return rows
