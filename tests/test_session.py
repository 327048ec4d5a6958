"""A command at work: locked, recorded in ledger and log however it ends, and clean after those that were killed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from holdfast.errors import (
    Busy,
    CannotWrite,
    HoldfastError,
    InputOutputError,
    NotPermitted,
    NoUsableData,
    SourceUnreachable,
)
from holdfast.records import Dataset, IngestRecord, Metric
from holdfast.session import Session, begin, exit_status_of, reading, utc_now
from holdfast.store.ledger import Ledger
from holdfast.workspace import Workspace


def runs_of(workspace: Workspace) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(workspace.ledger_file)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM runs ORDER BY number")]


def events_of(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workspace.log_folder / "holdfast.jsonl").read_text().splitlines()]


def attempt(workspace: Workspace, error: BaseException | None = None, command: str = "test") -> None:
    with begin(workspace, command):
        if error:
            raise error


def test_a_command_that_ends_well_is_recorded_as_done(company: Workspace) -> None:
    attempt(company)
    (run,) = runs_of(company)
    assert (run["command"], run["status"], run["exit_status"], run["worked"]) == ("test", "done", 0, 1)
    assert [event["event"] for event in events_of(company)] == ["started", "done"]
    assert {event["run"] for event in events_of(company)} == {run["id"]}


@pytest.mark.parametrize(
    ("error", "status", "exit_status"),
    [
        (NoUsableData("no rows", file="a.csv", row=3), "refused", 4),
        (CannotWrite("disk full"), "failed", 73),
        (KeyboardInterrupt(), "interrupted", 130),
        (ValueError("a bug"), "failed", 70),
        (PermissionError(13, "Permission denied", "a.csv"), "failed", 77),
    ],
)
def test_a_command_that_ends_badly_is_recorded_with_its_status(
    company: Workspace, error: BaseException, status: str, exit_status: int
) -> None:
    with pytest.raises(type(error)):
        attempt(company, error)
    (run,) = runs_of(company)
    assert (run["status"], run["exit_status"]) == (status, exit_status)
    assert events_of(company)[-1]["event"] == status


def test_the_error_is_recorded_with_its_place_and_the_run(company: Workspace) -> None:
    with pytest.raises(NoUsableData):
        attempt(company, NoUsableData("no rows", file="a.csv", row=3, hint="deliver some"))
    (run,) = runs_of(company)
    cause = json.loads(run["error"])
    assert cause == events_of(company)[-1]["error"]
    assert (cause["code"], cause["file"], cause["row"], cause["run_id"]) == ("no-usable-data", "a.csv", 3, run["id"])


def test_when_the_record_cannot_be_written_the_first_error_is_the_one_that_counts(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InputOutputError("the ledger: database or disk is full")

    monkeypatch.setattr(Ledger, "record_run", full)
    with pytest.raises(CannotWrite, match="finaldata"):
        attempt(company, CannotWrite("cannot write finaldata.csv"))
    assert events_of(company)[-1]["event"] == "unrecorded"


def test_a_result_is_recorded_with_the_beginning_of_its_lists(company: Workspace) -> None:
    with begin(company, "test") as session:
        session.result = {"rows": tuple(range(1000)), "f1": Metric(value=0.5, low=None, high=None, n=3)}
    record = json.loads(runs_of(company)[0]["record"])
    assert record == {"rows": list(range(100)), "f1": {"value": 0.5, "low": None, "high": None, "n": 3}}


def test_a_step_inside_a_command_is_a_run_of_its_own_that_names_its_parent(company: Workspace) -> None:
    with begin(company, "run") as outer:
        with begin(outer, "ingest") as inner:
            inner.worked = False
            inner.result = {"inner": 1}
        assert (outer.worked, outer.result) == (True, None)
    step, command = runs_of(company)
    assert (step["command"], step["parent"], step["worked"]) == ("ingest", command["id"], 0)
    assert (command["command"], command["parent"], command["worked"]) == ("run", None, 1)


def test_a_step_that_fails_inside_a_command_that_goes_on_is_recorded_alone(company: Workspace) -> None:
    def step(outer: Session) -> None:
        with begin(outer, "call"):
            raise NoUsableData("nothing")

    with begin(company, "run") as outer, pytest.raises(NoUsableData):
        step(outer)
    assert [(run["command"], run["status"]) for run in runs_of(company)] == [("call", "refused"), ("run", "done")]


def test_two_commands_do_not_work_at_once_and_the_second_leaves_no_trace(company: Workspace) -> None:
    with begin(company, "first"), pytest.raises(Busy):
        attempt(company, command="second")
    assert [run["command"] for run in runs_of(company)] == ["first"]


def test_looking_goes_on_while_a_command_is_at_work(company: Workspace) -> None:
    with begin(company, "first"), reading(company) as (ledger, _):
        assert ledger.runs() == ()


def test_looking_at_an_untouched_workspace_makes_nothing_in_it(company: Workspace) -> None:
    before = sorted(company.root.rglob("*"))
    with reading(company) as (ledger, _):
        assert ledger.runs() == ()
    assert sorted(company.root.rglob("*")) == before


def test_what_killed_commands_left_is_removed(company: Workspace) -> None:
    left = [
        company.state_folder / "scratch-x" / "output" / "dataset" / "practicedata-0" / "000001-abc.parquet",
        company.state_folder / "spill-x" / "duckdb_temp_storage.tmp",
        company.state_folder / "copies-x" / "member",
        company.output_folder / "dataset" / "practicedata-0" / ".000001-abc.parquet.tmp",
        company.output_folder / "quarantine" / ".000001.parquet.tmp",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left")
    kept = company.output_folder / "dataset" / "practicedata-0" / "000001-abc.parquet"
    kept.write_text("kept")
    attempt(company)
    assert not any(path.exists() for path in left)
    assert not list(company.state_folder.glob("*-x"))
    assert kept.read_text() == "kept"


def test_what_a_command_that_failed_did_not_finish_is_removed_before_its_end_is_recorded(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = company.output_folder / "dataset" / "practicedata-0" / ".000001-abc.parquet.tmp"
    half.parent.mkdir(parents=True)
    record_run, there = Ledger.record_run, []

    def recorded(ledger: Ledger, run: dict[str, Any]) -> None:
        there.append(half.exists())
        record_run(ledger, run)

    def failing() -> None:
        with begin(company, "test"):
            half.write_text("half")
            raise CannotWrite("the disk is full")

    monkeypatch.setattr(Ledger, "record_run", recorded)
    with pytest.raises(CannotWrite):
        failing()
    assert there == [False]


def test_a_log_folder_that_is_a_file_stops_nothing(company: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    company.log_folder.write_text("")
    attempt(company)
    assert runs_of(company)[0]["status"] == "done"
    assert capsys.readouterr().err.count("\n") == 1


def test_a_state_folder_that_is_a_file_is_a_known_error(company: Workspace) -> None:
    (company.state_folder / "packages.json").unlink()
    company.state_folder.rmdir()
    company.state_folder.write_text("")
    with pytest.raises(HoldfastError) as caught:
        attempt(company)
    assert caught.value.exit_status in {73, 74}


def ingestion(**counted: Any) -> IngestRecord:
    nothing = Dataset(source="x", digest="0", version=None, rows=0, exited=0, unlabelled=0, deliveries=0)
    numbers = dict.fromkeys(("known", "rows", "accepted", "duplicate", "quarantined", "erased", "refused"), 0)
    lists: dict[str, Any] = dict.fromkeys(("files", "rejected", "deferred", "unreachable", "notices"), ())
    return IngestRecord(dataset=nothing, seconds=0.0, **(numbers | lists | counted))


UNREACHABLE = SourceUnreachable("the database does not answer").record()
NOT_PERMITTED = NotPermitted("the view may not be read").record()


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (ingestion(rows=5, accepted=5), 0),
        (ingestion(rows=5, duplicate=5, erased=0, deferred=("a.csv: left for the next time",)), 0),
        (ingestion(rows=5, accepted=4, quarantined=1), 3),
        (ingestion(refused=1), 3),
        (ingestion(unreachable=(UNREACHABLE,)), 69),
        (ingestion(refused=1, quarantined=1, unreachable=(NOT_PERMITTED, UNREACHABLE)), 77),
        (None, 0),
        ({"rows": 1}, 0),
    ],
)
def test_the_exit_status_says_what_became_of_the_data(record: object, status: int) -> None:
    assert exit_status_of(record) == status


def test_a_result_with_quarantined_rows_is_recorded_with_its_exit_status(company: Workspace) -> None:
    with begin(company, "ingest") as session:
        session.result = ingestion(rows=1, quarantined=1)
    assert runs_of(company)[0]["exit_status"] == 3


def test_the_time_of_every_record_is_utc_to_the_second() -> None:
    assert len(utc_now()) == len("2026-01-31T10:00:00Z")
    assert utc_now().endswith("Z")
