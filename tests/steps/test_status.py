"""Status: one screen that knows what is there, from an empty workspace to a running one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.engines.duckdb import DuckDBEngine
from holdfast.intake.unfinished import AT_WORK
from holdfast.session import begin
from holdfast.sourcelist import FolderSource
from holdfast.steps import deployment
from holdfast.steps.datasets import tidy
from holdfast.steps.erasure import erase
from holdfast.steps.ingestion import ingest
from holdfast.steps.process import run
from holdfast.steps.quarantine import repair, replay, waive
from holdfast.steps.status import SHOWN_DELIVERIES, status
from holdfast.store.files import digest_of_file
from holdfast.store.ledger import Ledger
from holdfast.store.releases import current_id
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
ReadOnly = Callable[[Path], None]


@pytest.fixture(autouse=True)
def no_crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crontab of whoever runs the tests is no part of them."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_an_empty_workspace_says_what_to_do_next(company: Workspace) -> None:
    shown = status(company)
    assert (shown.release, shown.scorecard, shown.dataset, shown.decision) == (None, None, None, None)
    assert shown.waiting_files == ("dataset1.csv", "dataset2.csv")
    assert any("holdfast run" in step for step in shown.next)


def test_a_running_workspace_shows_release_score_data_and_decision(running: Workspace) -> None:
    shown = status(running)
    assert shown.release is not None
    assert shown.release.id == current_id(running.deployment_folder)
    assert shown.scorecard is not None
    assert shown.scorecard.f1.value == shown.release.f1
    assert shown.dataset is not None
    assert (shown.dataset.rows, shown.dataset.deliveries) == (300, 2)
    assert shown.decision is not None
    assert shown.decision.action == "train"
    assert shown.waiting_files == ()
    assert [file.name for file in shown.deliveries] == ["dataset1.csv", "dataset2.csv"]
    assert [each.command for each in shown.runs] == ["run"]


def test_a_new_file_waits(running: Workspace, deliver: Deliver) -> None:
    deliver(running.input_folder, "new.csv", ["n,1,2,3,0"])
    assert status(running).waiting_files == ("new.csv",)


def test_a_changed_file_waits_under_its_old_name(running: Workspace, deliver: Deliver) -> None:
    deliver(running.input_folder, "dataset1.csv", ["n,1,2,3,0"])
    assert status(running).waiting_files == ("dataset1.csv",)


def test_a_file_that_was_refused_does_not_wait(running: Workspace) -> None:
    (running.input_folder / "bad.csv").write_bytes(b"\xff\xfe")
    ingest(running)
    assert status(running).waiting_files == ()


def test_an_interrupted_run_is_said(
    running: Workspace, deliver: Deliver, clients: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    deliver(running.input_folder, "moved.csv", clients(100, 5, moved=True))
    monkeypatch.setattr(deployment, "deploy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(running)
    assert any("takes it up again" in step for step in status(running).next)


def test_looking_changes_nothing_and_needs_no_input_folder(running: Workspace) -> None:
    files = [path for path in running.root.rglob("*") if path.is_file() and "-" not in path.suffix]
    before = {path: digest_of_file(path) for path in files}
    assert status(replace(running, input_folder=running.root / "nowhere")).waiting_files == ()
    assert {path: digest_of_file(path) for path in files} == before


def refused(workspace: Workspace, deliver: Deliver) -> Workspace:
    """The workspace with three refused rows in its first delivery: 1:2, 1:3 and 1:4."""
    for path in workspace.input_folder.iterdir():
        path.unlink()
    deliver(workspace.input_folder, "a.csv", [*("c,x,1,1,0" for _ in range(3)), "d,1,1,1,0"])
    ingest(workspace)
    return workspace


def held_rows(workspace: Workspace) -> list[str]:
    return [step for step in status(workspace).next if "quarantine" in step]


def test_rows_in_quarantine_wait_for_a_decision_or_to_be_taken_in(company: Workspace, deliver: Deliver) -> None:
    refused(company, deliver)
    assert held_rows(company) == ["3 rows in quarantine wait for a decision: holdfast quarantine list"]
    waive(company, ["1:2"], "a test client")
    repair(company, "1:3", {"lastmonth_activity": "1"})
    assert held_rows(company) == [
        "1 row in quarantine waits for a decision: holdfast quarantine list",
        "1 repaired row waits to be taken in: holdfast quarantine replay",
    ]
    replay(company)
    waive(company, ["1"], "the rest too")
    assert held_rows(company) == []


def test_rows_of_erased_clients_do_not_wait(company: Workspace, deliver: Deliver) -> None:
    refused(company, deliver)
    erase(company, "c", "case 1")
    assert held_rows(company) == []


def test_only_the_latest_deliveries_are_shown_and_the_earlier_ones_counted(
    company: Workspace, deliver: Deliver
) -> None:
    for number in range(SHOWN_DELIVERIES):
        deliver(company.input_folder, f"day{number}.csv", [f"c{number},1,1,1,0"])
    ingest(company)
    shown = status(company)
    assert [len(shown.deliveries), shown.earlier_deliveries] == [SHOWN_DELIVERIES, 2]


# ---- an ingestion that did not end


class Killed(BaseException):
    """In the place of a kill -9: nothing of ours catches it."""


def killed(monkeypatch: pytest.MonkeyPatch, workspace: Workspace, owner: object, name: str) -> None:
    """An ingestion that ends before it calls this function."""

    def dying(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dying)
        with pytest.raises(Killed):
            ingest(workspace)


def unfinished(workspace: Workspace) -> list[str]:
    return [step for step in status(workspace).next if "did not end" in step or "at work" in step]


def test_a_delivery_that_only_the_table_knows_is_told_until_the_next_ingestion(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unfinished(ingested) == []
    deliver(ingested.input_folder, "new.csv", ["n,1,2,3,0"])
    killed(monkeypatch, ingested, Ledger, "record_delivery")
    before = sorted(ingested.output_folder.rglob("*"))
    assert unfinished(ingested) == [
        "the last ingestion did not end (the dataset has 1 delivery that the ledger does not know): "
        "run holdfast ingest to finish it"
    ]
    assert sorted(ingested.output_folder.rglob("*")) == before
    ingest(ingested)
    assert unfinished(ingested) == []


def test_rows_that_finaldata_does_not_show_are_told_until_the_next_ingestion(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(ingested.input_folder, "new.csv", ["n,1,2,3,0"])
    killed(monkeypatch, ingested, DuckDBEngine, "write_csv")
    (told,) = unfinished(ingested)
    assert "finaldata.csv does not show the dataset as it is" in told
    ingest(ingested)
    assert unfinished(ingested) == []


def test_finaldata_that_is_gone_is_told(ingested: Workspace) -> None:
    (ingested.output_folder / "finaldata.csv").unlink()
    assert len(unfinished(ingested)) == 1


def test_while_a_command_is_at_work_nothing_is_called_unfinished(ingested: Workspace) -> None:
    (ingested.output_folder / "finaldata.csv").unlink()
    with begin(ingested, "ingest"):
        assert unfinished(ingested) == [AT_WORK]


def test_another_input_folder_or_rule_is_nothing_unfinished(ingested: Workspace) -> None:
    other = replace(ingested, input_folder=ingested.root / "sourcedata")
    assert unfinished(other) == []
    assert unfinished(replace(ingested, conflicts="quarantine")) == []


def test_an_undisturbed_workspace_has_nothing_unfinished(running: Workspace, deliver: Deliver) -> None:
    deliver(running.input_folder, "dataset1.csv", ["n,1,2,3,0"])
    ingest(running)
    erase(running, "c2-1", "case 1")
    tidy(running)
    assert unfinished(running) == []


# ---- what cannot be read


def test_a_file_that_may_not_be_read_is_named_whoever_looks(ingested: Workspace, read_only: ReadOnly) -> None:
    path = ingested.input_folder / "locked.csv"
    path.write_text("corporation\n")
    path.chmod(0)
    read_only(ingested.input_folder)
    shown = status(ingested)
    assert shown.waiting_files == ("locked.csv",)
    assert "locked.csv: cannot read: Permission denied" in shown.next
    assert not any("takes" in step for step in shown.next)
    ingest(ingested)
    path.chmod(0o444)
    told = "locked.csv: the last ingestion could not read it (cannot read: Permission denied)"
    assert told in status(ingested).next
    ingest(ingested)
    assert not any("locked.csv" in step for step in status(ingested).next)


def test_a_file_that_was_left_for_the_next_time_is_named_with_the_reason(ingested: Workspace, deliver: Deliver) -> None:
    path = deliver(ingested.input_folder, "half.csv", ["n,1,2,3,0"])
    path.write_text(path.read_text().rstrip("\n"))
    ingest(replace(ingested, unfinished_seconds=1000))
    assert any(step.startswith("half.csv: left for the next time") for step in status(ingested).next)
    path.unlink()
    assert not any("half.csv" in step for step in status(ingested).next)


def test_a_source_that_did_not_answer_is_named(ingested: Workspace) -> None:
    away = FolderSource(name="crm", folder="crm")
    ingest(replace(ingested, sources=(away,)))
    assert any(step.startswith("crm: the last ingestion could not read it") for step in status(ingested).next)
