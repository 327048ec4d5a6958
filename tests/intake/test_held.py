"""Refused rows as they stand: joined with what was done to them, counted, and let go in time, a batch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.dataset import quarantine_of
from holdfast.intake.held import FORGOTTEN, Held, Quarantine, forget_settled
from holdfast.records import EVERY_LINE, QuarantineAct, RejectedRow, SourceFile
from holdfast.session import Session, begin
from holdfast.store import quarantine as store
from holdfast.store.ledger import Ledger
from holdfast.store.quarantine import QuarantineWriter, contradictions_beside
from holdfast.workspace import Workspace

OLD, NOW = "2020-01-01T00:00:00Z", "2026-01-31T10:00:00Z"
LINES = range(2, 12)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three rows: whatever holds for one batch has to hold across several."""
    monkeypatch.setattr(store, "BATCH_ROWS", 3)


def delivery(number: int = 1, **changed: object) -> SourceFile:
    usual = {"name": "a.csv", "folder": "practicedata", "digest": "d", "size": 9, "received": NOW, "quarantined": 9}
    return SourceFile(number=number, status="accepted", **(usual | changed))  # type: ignore[arg-type]


def rejected(line: int, column: str | None = "visits", rule: str = "missing") -> RejectedRow:
    return RejectedRow(file="a.csv", line=line, column=column, rule=rule, text=f"c{line},,1")


def act(line: int, kind: str, number: int = 1, created: str = NOW) -> QuarantineAct:
    return QuarantineAct(
        delivery=number,
        line=line,
        act=kind,  # type: ignore[arg-type]
        text=f"c{line},7,1" if kind == "repaired" else None,
        reason=None,
        replayed_as=9 if kind == "replayed" else None,
        actor="ada",
        created=created,
    )


@pytest.fixture
def session(company: Workspace) -> Iterator[Session]:
    with begin(company, "held") as session:
        yield session


def keep(session: Session, file: SourceFile, rows: list[RejectedRow], kept: list[RejectedRow] | None = None) -> Path:
    path = quarantine_of(session.workspace, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with QuarantineWriter(path) as quarantine:
        quarantine.add(rows)
        quarantine.add(kept or [], kept=True)
    return path


def of(session: Session, file: SourceFile) -> Held:
    return Quarantine(session.workspace, session.ledger).of(file)


def state_of(done: list[str]) -> str:
    """What a row's state is after some acts, told in the simplest way."""
    state = "open"
    for each in done:
        state = state if state == "replayed" else each
    return state


ACTS = st.lists(st.tuples(st.sampled_from([EVERY_LINE, *LINES]), st.sampled_from(["repaired", "waived", "replayed"])))
"""Acts in the order in which they are done; nothing more is done to a row that was taken in."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(acts=ACTS)
def test_each_row_stands_as_the_latest_act_on_it_says(company: Workspace, acts: list[tuple[int, str]]) -> None:
    acts = [(line, "waived" if line == EVERY_LINE else kind) for line, kind in acts]
    acts = [each for place, each in enumerate(acts) if (each[0], "replayed") not in acts[:place]]
    with begin(company, "held") as session, Ledger(None) as ledger:
        keep(session, delivery(), [rejected(line) for line in LINES])
        for line, kind in acts:
            ledger.record_acts("run", [act(line, kind)])
        held = Quarantine(company, ledger).of(delivery())
        expected = {line: state_of([kind for place, kind in acts if place in {line, EVERY_LINE}]) for line in LINES}
        assert {row.line: row.state for row in held.rows()} == expected
        assert +held.tally().states == Counter(expected.values())
        assert [row.line for row in held.repaired()] == [line for line in LINES if expected[line] == "repaired"]


def test_the_rows_of_one_line_come_alone(session: Session) -> None:
    keep(session, delivery(), [rejected(line) for line in LINES], [rejected(7, "exited", "not 0 or 1")])
    assert [(row.line, row.kept) for row in of(session, delivery()).rows(7)] == [(7, False), (7, True)]


def test_a_row_that_was_taken_without_its_label_is_counted_apart_and_nothing_is_done_to_it(session: Session) -> None:
    keep(session, delivery(), [rejected(2)], [rejected(2, "exited", "not 0 or 1")])
    session.ledger.record_acts("run", [act(2, "waived")])
    held = of(session, delivery())
    assert (held.tally().states, held.tally().refused) == (Counter(waived=1, unlabelled=1), 1)
    assert {row.kept: row.state for row in held.rows()} == {False: "waived", True: "open"}


def test_open_rows_are_counted_by_the_rule_that_they_broke(session: Session) -> None:
    rows = [rejected(2), rejected(3), rejected(4, None, "fields: 3 instead of 5"), rejected(5, "staff")]
    keep(session, delivery(), [*rows, rejected(6, None, "contradicts line 2"), rejected(7, None, "contradicts line 3")])
    session.ledger.record_acts("run", [act(3, "waived")])
    assert of(session, delivery()).tally().rules == {
        "visits: missing": 1, "staff: missing": 1, "fields: 3 instead of 5": 1, "contradicts an earlier row": 2,
    }  # fmt: skip


def test_contradictions_count_although_the_delivery_had_no_refused_row_when_it_came(session: Session) -> None:
    file = delivery(quarantined=0)
    path = keep(session, file, [])
    assert of(session, file).tally().refused == 0
    with QuarantineWriter(contradictions_beside(path)) as quarantine:
        quarantine.add([rejected(4, None, "contradicts line 2")])
    assert of(session, file).tally().refused == 1
    assert of(session, file).total == 1


def test_what_waits_is_counted_over_deliveries(session: Session) -> None:
    files = [delivery(1, digest="d"), delivery(2, digest="e")]
    for file in files:
        keep(session, file, [rejected(line) for line in LINES])
    session.ledger.record_acts("run", [act(2, "repaired"), act(3, "waived"), act(4, "replayed"), act(2, "waived", 2)])
    assert Quarantine(session.workspace, session.ledger).waiting(files) == (16, 1)


def test_what_was_done_under_another_schema_holds(session: Session) -> None:
    for number, schema in ((1, "s" * 64), (2, "t" * 64)):
        session.ledger.record_delivery("run", "practicedata", schema, delivery(number))
        keep(session, delivery(number), [rejected(line) for line in LINES])
    session.ledger.record_acts("run", [act(2, "repaired"), act(3, "waived"), act(4, "repaired"), act(4, "replayed")])
    assert {row.line: row.state for row in of(session, delivery(2)).rows() if row.state != "open"} == {
        2: "repaired", 3: "waived", 4: "repaired",
    }  # fmt: skip
    assert [(row.line, row.text) for row in of(session, delivery(2)).repaired()] == [(2, "c2,7,1"), (4, "c4,7,1")]


def test_memory_does_not_grow_with_the_rows(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(session, delivery(), [rejected(line) for line in LINES])
    session.ledger.record_acts("run", [act(line, "repaired") for line in LINES])
    most = 0
    seen = Ledger.repairs

    def watched(*arguments: object) -> dict[int, str]:
        nonlocal most
        found = seen(*arguments)  # type: ignore[arg-type]
        most = max(most, len(found))
        return found

    monkeypatch.setattr(Ledger, "repairs", watched)
    assert len(list(of(session, delivery()).repaired())) == len(LINES)
    assert most == 3


# ---- let go in time


def taken_in(session: Session, *files: SourceFile) -> None:
    for file in files:
        session.ledger.record_delivery("run", "practicedata", "s" * 64, file)


def let_go(session: Session, file: SourceFile) -> list[int]:
    return [row.line for row in of(session, file).rows() if row.text == FORGOTTEN]


def test_texts_of_rows_that_were_settled_long_ago_are_let_go(session: Session) -> None:
    taken_in(session, delivery())
    keep(session, delivery(), [rejected(line) for line in range(2, 8)])
    settled = [act(2, "waived", created=OLD), act(3, "repaired", created=OLD), act(3, "replayed", created=OLD)]
    waiting = [act(4, "repaired", created=OLD), act(5, "waived", created=OLD), act(5, "repaired", created=OLD)]
    session.ledger.record_acts("run", [*settled, *waiting, act(6, "waived", created="2999-01-01T00:00:00Z")])
    before = {row.line: (row.rule, row.state) for row in of(session, delivery()).rows()}
    assert forget_settled(session, 365) == 2
    assert let_go(session, delivery()) == [2, 3]
    assert {row.line: (row.rule, row.state) for row in of(session, delivery()).rows()} == before
    assert forget_settled(session, 365) == 0


def test_texts_of_a_delivery_that_was_waived_as_a_whole_are_let_go_but_for_later_repairs(session: Session) -> None:
    taken_in(session, delivery())
    keep(session, delivery(), [rejected(line) for line in LINES])
    session.ledger.record_acts("run", [act(EVERY_LINE, "waived", created=OLD), act(5, "repaired", created=OLD)])
    assert forget_settled(session, 365) == len(LINES) - 1
    assert let_go(session, delivery()) == [line for line in LINES if line != 5]


def test_rows_taken_without_a_label_and_those_of_superseded_deliveries_are_let_go_by_their_age(
    session: Session,
) -> None:
    old = delivery(1, received=OLD)
    taken_in(session, old, delivery(2, digest="e", supersedes=1))
    taken_in(session, delivery(3, digest="f", received=OLD, unlabelled=1), delivery(4, digest="g", unlabelled=1))
    keep(session, old, [rejected(2)])
    session.ledger.record_acts("run", [act(2, "repaired", created=OLD)])
    for number in (2, 3, 4):
        keep(session, delivery(number), [rejected(2)], [rejected(3, "exited")])
    assert forget_settled(session, 365) == 2
    assert [let_go(session, delivery(number)) for number in (1, 2, 3, 4)] == [[2], [], [3], []]
    assert list(of(session, old).repaired()) == []


def test_contradictions_are_let_go_like_the_others(session: Session) -> None:
    taken_in(session, delivery())
    path = keep(session, delivery(), [])
    with QuarantineWriter(contradictions_beside(path)) as quarantine:
        quarantine.add([rejected(4, None, "contradicts line 2"), rejected(5, None, "contradicts line 2")])
    session.ledger.record_acts("run", [act(4, "waived", created=OLD)])
    assert forget_settled(session, 365) == 1
    assert let_go(session, delivery()) == [4]
