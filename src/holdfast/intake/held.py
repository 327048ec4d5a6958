"""Refused rows as they stand: what was refused of a delivery, joined with what was done about it since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from holdfast.dataset import quarantine_of
from holdfast.records import EVERY_LINE, QuarantineAct, QuarantinedRow, SourceFile
from holdfast.session import Session, utc
from holdfast.sources.repaired import RowText
from holdfast.store.quarantine import (
    contradicting_batches,
    contradictions_beside,
    counted,
    held_batches,
    held_count,
    replace_texts,
)
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger

CONTRADICTION = "contradicts "
"""How the rule begins that a contradicting row broke."""
FORGOTTEN = "[forgotten]"
"""What stands for a text that was let go."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many refused rows stand how (open, repaired, waived, replayed; beside them unlabelled ones, which were
    taken without their label), and how many of the open ones broke which rule.
    """

    states: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        """How many rows were refused."""
        return self.states.total() - self.states["unlabelled"]


class Quarantine:
    """The quarantine of a workspace, delivery by delivery."""

    def __init__(self, workspace: Workspace, ledger: Ledger) -> None:
        self._workspace = workspace
        self._ledger = ledger

    @cached_property
    def _alike(self) -> Mapping[int, tuple[int, ...]]:
        return self._ledger.alike()

    @cached_property
    def _acted_on(self) -> frozenset[int]:
        return self._ledger.acted_on()

    def of(self, file: SourceFile) -> Held:
        """What is held of one delivery."""
        alike = self._alike.get(file.number, (file.number,))
        return Held(self._workspace, self._ledger, file, self._acted_on.intersection(alike))

    def waiting(self, files: Sequence[SourceFile]) -> tuple[int, int]:
        """How many rows of some deliveries are open, and how many are repaired and wait to be taken in."""
        states: Counter[str] = Counter()
        for file in files:
            states.update(self.of(file).tally().states)
        return states["open"], states["repaired"]


class Held:
    """The rows of one delivery that are in quarantine. They are gone through a batch at a time, each time anew, so
    that memory does not grow with them.

    What was done to the same rows under another schema holds here too: `acted_on` are the deliveries of the same rows
    to which anything was done.
    """

    def __init__(self, workspace: Workspace, ledger: Ledger, file: SourceFile, acted_on: Collection[int]) -> None:
        self._ledger = ledger
        self._file = file
        self._acted_on = acted_on
        self._path = quarantine_of(workspace, file)

    @property
    def total(self) -> int:
        """How many rows there are, those that were taken without their label included."""
        return held_count(self._path)

    def rows(self, line: int | None = None) -> Iterator[QuarantinedRow]:
        """The rows, or those of one line: one that was refused, or taken without its label; it may be both."""
        for batch in self._batches(line):
            acts = self._acts(batch)
            everywhere = acts.get(EVERY_LINE)
            for file, place, column, rule, text, kept in zip(
                *(each.to_pylist() for each in batch.columns), strict=True
            ):
                act = None if kept else acts.get(place, everywhere)
                yield QuarantinedRow(
                    id=f"{self._file.number}:{place}",
                    delivery=self._file.number,
                    file=file,
                    line=place,
                    column=column,
                    rule=rule,
                    text=text,
                    kept=kept,
                    state=act.act if act else "open",
                    repaired=act.text if act else None,
                    reason=act.reason if act else None,
                )

    def repaired(self) -> Iterator[RowText]:
        """The new texts of the rows that were repaired and wait to be taken in."""
        for batch in self._batches() if self._acted_on else ():
            repairs = self._ledger.repairs(self._file.number, self._acted_on, _lines(batch))
            refused = batch.filter(pc.invert(batch.column("kept"))) if repairs else batch.slice(0, 0)
            for line in refused.column("line").to_pylist():
                if line in repairs:
                    yield RowText(line, repairs[line])

    def settled(self) -> Iterator[int]:
        """The lines of the rows that contradicted an earlier one, and that somebody has dealt with since."""
        for batch in contradicting_batches(self._path) if self._acted_on else ():
            states = zip(batch.column("line").to_pylist(), self._states(batch), strict=True)
            yield from (line for line, state in states if state != "open")

    def tally(self) -> Tally:
        """How the rows stand, counted."""
        tally = Tally()
        if not self._may_hold_rows:
            return tally
        for batch in self._batches():
            kept = batch.column("kept")
            refused = batch.filter(pc.invert(kept))
            tally.states["unlabelled"] += kept.true_count
            states = self._states(refused)
            tally.states.update(states)
            still_open = refused.filter(pa.array([state == "open" for state in states], pa.bool_()))
            tally.rules.update(counted(_rules(still_open)))
        return tally

    def forget(self, until: str, *, superseded: bool = False) -> int:
        """Let go of the texts of rows that were taken in or let go until that time; of all rows if the delivery was
        `superseded` and is as old. Returns how many there were; their places and rules stay.
        """
        is_old = self._file.received <= until
        if not self._acted_on and not (is_old and (superseded or self._file.unlabelled)):
            return 0

        def gone(batch: pa.RecordBatch) -> pa.BooleanArray:
            if superseded:
                return pa.repeat(pa.scalar(is_old), batch.num_rows)
            acts = self._acts(batch)
            settled = {line: act.act != "repaired" and act.created <= until for line, act in acts.items()}
            everywhere = settled.get(EVERY_LINE, False)
            rows = zip(batch.column("line").to_pylist(), batch.column("kept").to_pylist(), strict=True)
            return pa.array([is_old if kept else settled.get(line, everywhere) for line, kept in rows], pa.bool_())

        return replace_texts(self._path, gone, FORGOTTEN)

    @property
    def _may_hold_rows(self) -> bool:
        return bool(self._file.quarantined or self._file.unlabelled or contradictions_beside(self._path).is_file())

    def _acts(self, batch: pa.RecordBatch) -> dict[int, QuarantineAct]:
        return self._ledger.acts(self._file.number, self._acted_on, _lines(batch)) if self._acted_on else {}

    def _states(self, refused: pa.RecordBatch) -> list[str]:
        if not self._acted_on or not refused.num_rows:
            return ["open"] * refused.num_rows
        acts = self._ledger.states(self._file.number, self._acted_on, _lines(refused))
        everywhere = acts.get(EVERY_LINE, "open")
        return [acts.get(line, everywhere) for line in refused.column("line").to_pylist()]

    def _batches(self, line: int | None = None) -> Iterator[pa.RecordBatch]:
        for batch in held_batches(self._path):
            found = batch if line is None else batch.filter(pc.equal(batch.column("line"), line))
            if found.num_rows:
                yield found


def forget_settled(session: Session, days: int) -> int:
    """Let go of the texts of refused rows that were taken in or let go at least so many `days` ago, of those that
    were taken without their label, and of those of superseded deliveries; returns how many rows there were.

    Places, rules and what was done stay, and so does every row that is open, or repaired and not yet taken in.
    """
    ledger = session.ledger
    until = utc(datetime.now(UTC) - timedelta(days=days))
    superseded, alike, acted_on = ledger.superseded(), ledger.alike(), ledger.acted_on()
    rows = 0
    for file in ledger.every_delivery():
        if file.status == "accepted":
            numbers = alike.get(file.number, (file.number,))
            held = Held(session.workspace, ledger, file, acted_on.intersection(numbers))
            rows += held.forget(until, superseded=file.number in superseded)
            if not acted_on.isdisjoint(numbers):
                ledger.forget_repairs(numbers, until, every=superseded.issuperset(numbers))
    return rows


def _lines(batch: pa.RecordBatch) -> tuple[int, int]:
    extremes = pc.min_max(batch.column("line"))
    return extremes["min"].as_py(), extremes["max"].as_py()


def _rules(rows: pa.RecordBatch) -> pa.StringArray:
    """The rule that each row broke, as it is counted."""
    rule = rows.column("rule")
    rule = pc.if_else(pc.starts_with(rule, CONTRADICTION), "contradicts an earlier row", rule)
    return pc.binary_join_element_wise(rows.column("column"), rule, ": ", null_handling="skip")
