"""Replaying: rows of one delivery that are given as text become a delivery, once, with the lines that they had."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.dataset import current_files, quarantine_of, table_of
from holdfast.errors import UsageError
from holdfast.intake.erased import erased_clients
from holdfast.intake.history import History
from holdfast.intake.replaying import replay_rows
from holdfast.records import SourceFile
from holdfast.session import Session, begin
from holdfast.sources.repaired import RowText
from holdfast.steps.erasure import erase
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import repair, replay
from holdfast.store.ledger import Ledger
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
GOOD = (RowText(3, "a,1,1,1,0"), RowText(4, "b,2,2,2,1"), RowText(6, '"c, d",3,3,3,'))
BROKEN = (RowText(5, "e,x,1,1,0"), RowText(7, "f,1,1"), RowText(8, '"g,1,1,1,0'))


@pytest.fixture(scope="module")
def company_with_a_delivery(
    make_company: Callable[[Path], Workspace], deliver: Deliver, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    workspace = make_company(tmp_path_factory.mktemp("built") / "company")
    for path in workspace.input_folder.iterdir():
        path.unlink()
    deliver(workspace.input_folder, "origin.csv", ["first,1,1,1,0", *["x,x,x,x,x"] * 8])
    ingest(workspace)
    return workspace.root


@pytest.fixture
def workspace(company_with_a_delivery: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(company_with_a_delivery, tmp_path / "company")
    return Workspace.open(tmp_path / "company")


@pytest.fixture
def session(workspace: Workspace) -> Iterator[Session]:
    with begin(workspace, "replay") as session:
        yield session


def replayed(session: Session, rows: Sequence[RowText], origin: int = 0) -> tuple[SourceFile, ...]:
    history, erased = History.of(session), erased_clients(session)
    return replay_rows(session, history, current_files(session)[origin], rows, erased).files


def marked(session: Session, delivery: int = 1) -> dict[int, int | None]:
    """The lines that are marked as replayed, and by which delivery."""
    acts = session.ledger.acts(delivery)
    return {line: act.replayed_as for line, act in acts.items() if act.act == "replayed"}


def lines_in(session: Session, delivery: int) -> list[int]:
    (part,) = (part for part in table_of(session.workspace).parts() if part.first == delivery)
    lines: list[int] = pq.read_table(part.path)["_line"].to_pylist()
    return lines


def test_rows_that_keep_the_schema_become_a_delivery_with_their_lines(session: Session) -> None:
    (file,) = replayed(session, [*GOOD, *BROKEN])
    assert (file.name, file.number, file.repairs, file.folder) == ("origin.csv (repaired)", 2, 1, "practicedata")
    assert (file.rows, file.accepted, file.quarantined, file.unlabelled) == (3, 3, 0, 1)
    assert lines_in(session, 2) == [3, 4, 6]
    assert marked(session) == {3: 2, 4: 2, 6: 2}


@settings(max_examples=5, deadline=None)
@given(rows=st.lists(st.sampled_from(GOOD + BROKEN), unique=True, max_size=6))
def test_a_row_is_taken_if_and_only_if_it_keeps_the_schema(
    company_with_a_delivery: Path, tmp_path_factory: pytest.TempPathFactory, rows: list[RowText]
) -> None:
    folder = tmp_path_factory.mktemp("copied") / "company"
    shutil.copytree(company_with_a_delivery, folder)
    with begin(Workspace.open(folder), "replay") as session:
        files = replayed(session, rows)
        kept = {row.line for row in rows if row in GOOD}
        assert [file.rows for file in files] == ([len(kept)] if kept else [])
        assert set(marked(session)) == kept


def test_rows_that_were_taken_in_and_lost_wait_again(session: Session) -> None:
    replayed(session, GOOD)
    session.ledger.withdraw_delivery(2)
    assert marked(session) == {}


@pytest.mark.parametrize("step", ["record_delivery", "record_dataset"])
def test_a_row_of_a_replay_that_was_killed_cannot_be_repaired_to_something_else(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It would be there twice: as it was taken in, and as it was repaired afterwards."""
    repair(workspace, "1:3", dict.fromkeys(workspace.schema.names, "1"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, step, killed)
        with pytest.raises(KeyboardInterrupt):
            replay(workspace)
    ingest(workspace)
    with pytest.raises(UsageError, match="was taken in already"):
        repair(workspace, "1:3", {"corporation": "2"})
    assert (replay(workspace).rows, ingest(workspace).dataset.rows) == (0, 2)


def test_a_lost_ledger_learns_which_rows_were_taken_in(workspace: Workspace) -> None:
    repair(workspace, "1:3", dict.fromkeys(workspace.schema.names, "1"))
    replay(workspace)
    workspace.ledger_file.unlink()
    ingest(workspace)
    with pytest.raises(UsageError, match="was taken in already"):
        repair(workspace, "1:3", {"corporation": "2"})


def test_where_no_row_can_be_taken_nothing_is_left_behind(session: Session) -> None:
    before = sorted(session.workspace.output_folder.rglob("*"))
    assert replayed(session, BROKEN) == ()
    assert sorted(session.workspace.output_folder.rglob("*")) == before
    assert session.ledger.next_delivery() == 2


def test_rows_of_a_repaired_delivery_count_as_repairs_of_the_first_one(session: Session) -> None:
    replayed(session, GOOD[:1])
    (file,) = replayed(session, GOOD[1:], origin=1)
    assert (file.name, file.repairs) == ("origin.csv (repaired)", 1)


def test_a_field_that_is_too_long_for_the_limits_is_not_taken(session: Session) -> None:
    session.workspace = replace(session.workspace, limits=replace(session.workspace.limits, field_characters=3))
    assert replayed(session, [RowText(3, "long,1,1,1,0")]) == ()
    assert [file.accepted for file in replayed(session, [RowText(3, "abc,1,1,1,0")])] == [1]


def test_rows_of_an_erased_client_are_counted_and_marked_and_left_out(workspace: Workspace) -> None:
    erase(workspace, "a", "case 1")
    with begin(workspace, "replay") as session:
        (file,) = replayed(session, GOOD)
        assert (file.rows, file.accepted, file.erased) == (3, 2, 1)
        assert lines_in(session, 2) == [4, 6]
        assert set(marked(session)) == {3, 4, 6}


def test_a_contradiction_goes_to_the_quarantine_of_the_new_delivery(workspace: Workspace) -> None:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"conflicts": "quarantine"}))
    with begin(Workspace.open(workspace.root), "replay") as session:
        (file,) = replayed(session, [RowText(3, "first,2,2,2,1"), GOOD[1]])
        assert (file.rows, file.accepted, file.quarantined) == (2, 1, 1)
        beside = quarantine_of(session.workspace, file).with_suffix(".conflicts.parquet")
        assert pq.read_table(beside)["line"].to_pylist() == [3]


# ---- rows that others came after


def ruled(workspace: Workspace, rule: str) -> Workspace:
    """The workspace under a rule for conflicts."""
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"conflicts": rule}))
    return Workspace.open(workspace.root)


def rows_shown(workspace: Workspace) -> list[str]:
    return (workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:]


def test_a_repaired_row_does_not_win_over_one_that_a_later_delivery_brought(
    workspace: Workspace, deliver: Deliver
) -> None:
    workspace = ruled(workspace, "latest")
    deliver(workspace.input_folder, "second.csv", ["a,2,2,2,1", "z,9,9,9,1"])
    deliver(workspace.input_folder, "third.csv", ["a,3,3,3,1"])
    ingest(workspace)
    with begin(workspace, "replay") as session:
        history, erased = History.of(session), erased_clients(session)
        done = replay_rows(session, history, current_files(session)[0], GOOD, erased)
        (file,), acts = done.files, session.ledger.acts(1)
    assert (file.rows, file.accepted, done.overtaken) == (2, 2, 1)
    assert {line: act.act for line, act in acts.items()} == {3: "waived", 4: "replayed", 6: "replayed"}
    assert acts[3].reason == "delivery 3 (third.csv) has a later row of the same corporation"
    ingest(workspace)
    assert [row for row in rows_shown(workspace) if row.startswith("a,")] == ["a,3,3,3,1"]


def test_where_every_repaired_row_was_overtaken_none_becomes_a_delivery(workspace: Workspace, deliver: Deliver) -> None:
    workspace = ruled(workspace, "latest")
    deliver(workspace.input_folder, "second.csv", ["a,2,2,2,1", "b,3,3,3,1"])
    ingest(workspace)
    before = sorted(workspace.output_folder.rglob("*"))
    with begin(workspace, "replay") as session:
        done = replay_rows(session, History.of(session), current_files(session)[0], GOOD[:2], erased_clients(session))
        assert (done.files, done.overtaken) == ((), 2)
    assert sorted(workspace.output_folder.rglob("*")) == before


def test_rows_of_one_delivery_do_not_overtake_each_other_however_late_they_are_repaired(workspace: Workspace) -> None:
    with begin(ruled(workspace, "latest"), "replay") as session:
        replayed(session, [RowText(3, "a,1,1,1,0")])
        (file,) = replayed(session, [RowText(4, "a,2,2,2,0")])
        assert (file.accepted, file.replaced) == (1, 1)


@pytest.mark.parametrize("rule", ["keep", "quarantine"])
def test_under_other_rules_nothing_overtakes_a_repaired_row(workspace: Workspace, deliver: Deliver, rule: str) -> None:
    workspace = ruled(workspace, rule)
    deliver(workspace.input_folder, "second.csv", ["a,2,2,2,1"])
    ingest(workspace)
    with begin(workspace, "replay") as session:
        done = replay_rows(session, History.of(session), current_files(session)[0], GOOD, erased_clients(session))
        assert ([file.rows for file in done.files], done.overtaken) == ([3], 0)


def test_a_dated_row_is_overtaken_by_one_of_its_month_alone(workspace: Workspace) -> None:
    month = {"client": "corporation", "time": "month", "target": "exited", "features": {"visits": {"type": "integer"}}}
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": month}))
    workspace = Workspace.open(workspace.root)
    for name, rows in (("1.csv", "a,2026-01-31,x,0\na,2026-02-28,x,0"), ("2.csv", "a,2026-02-28,2,0")):
        (workspace.input_folder / name).write_text(f"corporation,month,visits,exited\nb,2026-01-31,1,0\n{rows}\n")
    ingest(workspace)
    repaired = [RowText(3, "a,2026-01-31,1,0"), RowText(4, "a,2026-02-28,1,0")]
    with begin(workspace, "replay") as session:
        origin = next(file for file in current_files(session) if file.name == "1.csv")
        done = replay_rows(session, History.of(session), origin, repaired, erased_clients(session))
        reasons = {line: act.reason for line, act in session.ledger.acts(origin.number).items()}
    assert ([file.rows for file in done.files], done.overtaken) == ([1], 1)
    assert reasons == {
        3: None,
        4: f"delivery {origin.number + 1} (2.csv) has a later row of the same corporation and month",
    }
