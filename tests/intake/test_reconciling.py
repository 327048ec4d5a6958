"""Ledger and table agree again: after a crash between their commits, and after one of them came from a backup."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from holdfast.dataset import current_files, describe, next_number, quarantine_of, table_of
from holdfast.errors import InputOutputError
from holdfast.intake import reconciling
from holdfast.intake.finding import Found
from holdfast.intake.reconciling import reconcile, withdraw_lost
from holdfast.records import Dataset, SourceFile
from holdfast.session import begin, reading
from holdfast.steps.assessment import assess
from holdfast.steps.datasets import export, tidy
from holdfast.steps.erasure import erase
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import replay
from holdfast.steps.training import train
from holdfast.store.deltatable import DatasetTable, part_name
from holdfast.store.ledger import Ledger
from holdfast.store.quarantine import held_rows
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]


def delivery(number: int, digest: str) -> SourceFile:
    return SourceFile(
        number=number,
        name="a.csv",
        folder="practicedata",
        digest=digest,
        size=1,
        received="2026-01-31T10:00:00Z",
        status="accepted",
    )


def final_data(workspace: Workspace) -> bytes:
    return (workspace.output_folder / "finaldata.csv").read_bytes()


def lines_of(workspace: Workspace) -> list[str]:
    return final_data(workspace).decode().splitlines()


# ---- a crash between the table and the ledger


def commit_only(workspace: Workspace, number: int, digest: str = "c" * 64) -> SourceFile:
    """What a crash leaves between the two commits of a delivery: the table has it, the ledger has not."""
    table = table_of(workspace)
    path = table.folder / part_name(number, number, digest)
    first = pq.read_table(table.parts()[0].path).slice(0, 0)
    pq.write_table(first, path)
    file = replace(delivery(number, digest), folder=workspace.source)
    return replace(file, version=table.commit("delivery", add=[path], delivery=file))


def test_a_delivery_that_only_the_table_knows_is_entered_into_the_ledger(ingested: Workspace) -> None:
    lost_entry = commit_only(ingested, 3)
    with begin(ingested, "test") as session:
        assert len(current_files(session)) == 2
        reconcile(session)
        assert current_files(session)[2:] == (lost_entry,)
        reconcile(session)
        assert len(current_files(session)) == 3
        assert session.ledger.next_delivery() == 4


def test_two_deliveries_that_only_the_table_knows_come_in_their_order(ingested: Workspace) -> None:
    entries = commit_only(ingested, 3), commit_only(ingested, 4, "d" * 64)
    with begin(ingested, "test") as session:
        reconcile(session)
        assert current_files(session)[2:] == entries


@pytest.mark.parametrize("fixture", ["company", "ingested"])
def test_where_both_know_the_same_nothing_is_done(request: pytest.FixtureRequest, fixture: str) -> None:
    with begin(request.getfixturevalue(fixture), "test") as session:
        before = session.ledger.every_delivery()
        reconcile(session)
        assert session.ledger.every_delivery() == before


class Killed(BaseException):
    """What ends a process between two commits."""


def killed(*_: object, **__: object) -> None:
    """Does not return."""
    raise Killed


def ingest_until_the_ledger_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed after the table's commit of a delivery and before the ledger's."""

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_delivery", killed)
        with pytest.raises(Killed):
            ingest(workspace)


def test_a_run_that_was_killed_between_the_two_commits_is_as_if_it_had_not_been(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines_of(ingested)
    deliver(ingested.input_folder, "new.csv", ["x,1,1,1,0"])
    ingest_until_the_ledger_is_told(ingested, monkeypatch)
    taken_in = ingest(ingested)
    assert (taken_in.dataset.rows, lines_of(ingested)) == (301, [*before, "x,1,1,1,0"])
    with begin(ingested, "test") as session:
        assert [file.version for file in current_files(session)] == [1, 2, 3]


def test_a_new_table_is_reconciled_though_the_old_one_had_more_versions(ingested: Workspace) -> None:
    for number in range(3, 8):
        commit_only(ingested, number, f"{number}" * 64)
    with begin(ingested, "test") as session:
        reconcile(session)
    shutil.rmtree(ingested.output_folder)
    ingested.output_folder.mkdir()
    with begin(ingested, "test") as session:
        withdraw_lost(session, [found(file) for file in session.ledger.every_delivery()])
    ingest(ingested)
    missed = commit_only(ingested, 10)
    with begin(ingested, "test") as session:
        reconcile(session)
        assert current_files(session)[-1] == missed


def test_a_crash_is_mended_though_another_input_folder_was_used_in_between(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines_of(ingested)
    deliver(ingested.input_folder, "new.csv", ["x,1,1,1,0"])
    ingest_until_the_ledger_is_told(ingested, monkeypatch)
    other = replace(ingested, input_folder=ingested.root / "sourcedata")
    deliver(other.input_folder, "other.csv", ["y,1,1,1,0"])
    ingest(other)
    assert lines_of(other)[1:] == ["y,1,1,1,0"]
    ingest(ingested)
    assert lines_of(ingested) == [*before, "x,1,1,1,0"]


def test_a_part_that_is_gone_is_an_error_until_its_file_can_be_taken_again(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        first, second = current_files(session)
        table_of(ingested).parts()[0].path.unlink()
        with pytest.raises(InputOutputError, match=r"dataset1\.csv"):
            current_files(session)
        withdraw_lost(session, [found(second)])
        with pytest.raises(InputOutputError, match=r"dataset1\.csv"):
            current_files(session)
        withdraw_lost(session, [found(first), found(second)])
        assert current_files(session) == (second,)


def test_a_part_that_is_gone_is_made_again_from_its_file(ingested: Workspace) -> None:
    before = sorted(lines_of(ingested))
    table_of(ingested).parts()[0].path.unlink()
    assert ingest(ingested).dataset.rows == 300
    assert sorted(lines_of(ingested)) == before


def test_a_deleted_output_folder_is_made_again_from_the_files(ingested: Workspace) -> None:
    before = final_data(ingested)
    shutil.rmtree(ingested.output_folder)
    ingested.output_folder.mkdir()
    assert ingest(ingested).dataset.rows == 300
    assert final_data(ingested) == before


# ---- an output folder from a backup


def found(file: SourceFile) -> Found:
    """The file of a delivery, as it lies there."""
    return Found(path=Path(file.name), folder=file.folder, digest=file.digest, size=file.size)


def history_of(workspace: Workspace) -> tuple[SourceFile, ...]:
    with reading(workspace) as (ledger, _):
        return ledger.deliveries(workspace.source, workspace.schema.digest)


def current_of(workspace: Workspace) -> tuple[SourceFile, ...]:
    with reading(workspace) as (ledger, _):
        return ledger.current_deliveries(workspace.source, workspace.schema.digest)


def back_up(workspace: Workspace) -> Path:
    backup = workspace.root.with_name("backup")
    shutil.copytree(workspace.output_folder, backup)
    return backup


def put_back(workspace: Workspace, backup: Path) -> None:
    shutil.rmtree(workspace.output_folder)
    shutil.copytree(backup, workspace.output_folder)


def clients_in(folder: Path) -> set[str]:
    """Every client id in any part, and every text in quarantine."""
    parts = [pq.read_table(path).column("corporation").to_pylist() for path in folder.glob("dataset/*/*.parquet")]
    texts = [pq.read_table(path).column("text").to_pylist() for path in folder.glob("quarantine/*.parquet")]
    return {text for column in (*parts, *texts) for text in column}


GONE_ROWS = {"gone", "gone,x,2,3,0", "gone,9,9"}


@pytest.fixture
def merged(empty: Workspace, deliver: Deliver) -> Workspace:
    """A workspace of four deliveries in one part, one of them refused rows of a client that is also in the others."""
    for name, rows in {
        "a.csv": ["a,1,2,3,0", "gone,1,2,3,1"],
        "b.csv": ["b,1,2,3,0", "gone,x,2,3,0", "x,y,2,3,0"],
        "c.csv": ["c,1,2,3,1", "gone,9,9"],
        "d.csv": ["d,1,2,3,0"],
    }.items():
        deliver(empty.input_folder, name, rows)
    ingest(empty)
    tidy(empty)
    assert len(table_of(empty).parts()) == 1
    return empty


@pytest.fixture
def moved_on(merged: Workspace, deliver: Deliver) -> tuple[Workspace, Path]:
    """The same after a file was changed and a client erased, and the output folder of before."""
    backup = back_up(merged)
    deliver(merged.input_folder, "b.csv", ["b,7,7,7,1"])
    ingest(merged)
    erase(merged, "gone", "case 1")
    return merged, backup


def test_rows_of_superseded_deliveries_and_erased_clients_do_not_come_back_with_a_backup(
    moved_on: tuple[Workspace, Path],
) -> None:
    workspace, backup = moved_on
    shown, files = lines_of(workspace), current_of(workspace)
    put_back(workspace, backup)
    assert clients_in(workspace.output_folder) & GONE_ROWS
    record = ingest(workspace)
    assert sorted(lines_of(workspace)) == sorted(shown)
    assert record.dataset.rows == len(shown) - 1
    assert not clients_in(workspace.output_folder) & GONE_ROWS
    assert "x,y,2,3,0" in clients_in(workspace.output_folder)
    assert [file.name for file in current_of(workspace)] == [file.name for file in files]
    (notice,) = (each for each in record.notices if "backup" in each)
    assert "1 row of superseded deliveries and 3 of erased clients were taken out" in notice


def test_what_a_backup_brought_is_told_once(moved_on: tuple[Workspace, Path], deliver: Deliver) -> None:
    workspace, backup = moved_on
    put_back(workspace, backup)
    ingest(workspace)
    deliver(workspace.input_folder, "e.csv", ["e,1,2,3,0"])
    for _ in range(2):
        record = ingest(workspace)
        assert not [notice for notice in record.notices if "backup" in notice]
    assert record.dataset == describe_anew(workspace)


def describe_anew(workspace: Workspace) -> Dataset:
    """The dataset as it is counted, not as the ledger remembers it."""
    with begin(workspace, "test") as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.ledger, "dataset", lambda _: None)
        return describe(workspace, session.ledger, session.engine, current_files(session))


def test_rows_that_a_backup_lacks_are_taken_again(merged: Workspace, deliver: Deliver) -> None:
    backup = back_up(merged)
    deliver(merged.input_folder, "e.csv", ["e,1,2,3,0"])
    ingest(merged)
    shown = lines_of(merged)
    put_back(merged, backup)
    record = ingest(merged)
    assert [file.name for file in record.files] == ["e.csv"]
    assert lines_of(merged) == shown


def test_a_delivery_that_a_backup_lacks_and_that_lies_nowhere_is_an_error_that_names_it(
    merged: Workspace, deliver: Deliver
) -> None:
    backup = back_up(merged)
    late = deliver(merged.input_folder, "e.csv", ["e,1,2,3,0"])
    ingest(merged)
    late.unlink()
    put_back(merged, backup)
    for _ in range(2):
        with pytest.raises(InputOutputError, match=r"the rows of e\.csv"):
            ingest(merged)
        assert not (merged.output_folder / "finaldata.csv").exists(), "it may show who was erased"
    deliver(merged.input_folder, "e.csv", ["e,1,2,3,0"])
    assert ingest(merged).dataset.rows == 6


def test_after_an_error_over_a_lost_folder_an_old_backup_is_not_believed(
    moved_on: tuple[Workspace, Path], deliver: Deliver
) -> None:
    workspace, backup = moved_on
    shown = lines_of(workspace)
    (workspace.input_folder / "d.csv").unlink()
    shutil.rmtree(workspace.output_folder)
    workspace.output_folder.mkdir()
    with pytest.raises(InputOutputError, match=r"the rows of .* are gone"):
        ingest(workspace)
    put_back(workspace, backup)
    ingest(workspace)
    assert sorted(lines_of(workspace)) == sorted(shown)
    assert not clients_in(workspace.output_folder) & GONE_ROWS


def test_a_backup_over_a_folder_that_was_made_anew_is_not_believed(moved_on: tuple[Workspace, Path]) -> None:
    """The new table has as many versions as the old one, or more."""
    workspace, backup = moved_on
    shown = lines_of(workspace)
    shutil.rmtree(workspace.output_folder)
    workspace.output_folder.mkdir()
    ingest(workspace)
    put_back(workspace, backup)
    ingest(workspace)
    assert sorted(lines_of(workspace)) == sorted(shown)
    assert not clients_in(workspace.output_folder) & GONE_ROWS


def test_an_output_folder_that_was_made_anew_is_no_backup(moved_on: tuple[Workspace, Path]) -> None:
    workspace, _ = moved_on
    shutil.rmtree(workspace.output_folder)
    workspace.output_folder.mkdir()
    for _ in range(2):
        assert not [notice for notice in ingest(workspace).notices if "backup" in notice]
    with begin(workspace, "test") as session:
        claims = session.ledger.claims(workspace.source, workspace.schema.digest)
    assert (claims.latest, claims.delivery, claims.delivered_in) == (4, 5, 4)


def test_a_client_of_whom_nothing_but_refused_rows_was_there_stays_erased(merged: Workspace, deliver: Deliver) -> None:
    deliver(merged.input_folder, "e.csv", ["e,1,2,3,0", "nobody,x,2,3,0"])
    ingest(merged)
    backup = back_up(merged)
    erase(merged, "nobody", "case 2")
    put_back(merged, backup)
    record = ingest(merged)
    assert "nobody,x,2,3,0" not in clients_in(merged.output_folder)
    assert any("1 of erased clients" in notice for notice in record.notices)


def test_every_version_that_a_backup_brings_is_read_without_erased_clients(
    moved_on: tuple[Workspace, Path], tmp_path: Path
) -> None:
    workspace, backup = moved_on
    put_back(workspace, backup)
    ingest(workspace)
    for version in sorted(table_of(workspace).readable() - {0}):
        export(workspace, tmp_path / f"{version}.csv", version)
        assert "gone" not in (tmp_path / f"{version}.csv").read_text()


def test_other_datasets_of_the_folder_are_mended_too(merged: Workspace, deliver: Deliver) -> None:
    other = replace(merged, input_folder=merged.root / "sourcedata")
    for name in ("s.csv", "t.csv"):
        deliver(other.input_folder, name, [f"{name},1,2,3,0", "gone,1,2,3,1"])
    ingest(other)
    tidy(other)
    backup = back_up(other)
    deliver(other.input_folder, "t.csv", ["t,1,2,3,0"])
    ingest(other)
    ingest(merged)
    erase(merged, "gone", "case 3")
    put_back(merged, backup)
    ingest(merged)
    assert not clients_in(merged.output_folder) & GONE_ROWS
    record = ingest(other)
    assert sorted(lines_of(other)[1:]) == ["s.csv,1,2,3,0", "t,1,2,3,0"]
    assert not [notice for notice in record.notices if "backup" in notice]


def test_contradictions_that_count_again_with_a_backup_are_judged_anew(empty: Workspace, deliver: Deliver) -> None:
    workspace = replace(empty, conflicts="quarantine")
    deliver(workspace.input_folder, "a.csv", ["a,1,1,1,0"])
    deliver(workspace.input_folder, "b.csv", ["a,2,2,2,0"])
    ingest(workspace)
    tidy(workspace)
    backup = back_up(workspace)
    deliver(workspace.input_folder, "a.csv", ["z,1,1,1,0"])
    ingest(workspace)
    shown = lines_of(workspace)
    put_back(workspace, backup)
    ingest(workspace)
    assert lines_of(workspace) == shown == [shown[0], "a,2,2,2,0", "z,1,1,1,0"]
    assert not list((workspace.output_folder / "quarantine").glob("*.conflicts.parquet"))


@pytest.mark.parametrize("command", [assess, tidy, train, lambda workspace: erase(workspace, "d", "case 4"), replay])
def test_whichever_command_comes_first_does_not_believe_a_backup(
    running: Workspace, deliver: Deliver, command: Callable[[Workspace], object]
) -> None:
    deliver(running.input_folder, "e.csv", ["gone,1,2,3,0", "d,1,2,3,0"])
    ingest(running)
    tidy(running)
    backup = back_up(running)
    erase(running, "gone", "case 1")
    put_back(running, backup)
    command(running)
    assert not clients_in(running.output_folder) & GONE_ROWS
    assert "gone" not in final_data(running).decode()
    log = (running.log_folder / "holdfast.jsonl").read_text()
    assert '"event": "mended"' in log


STEPS: tuple[tuple[Any, str], ...] = (
    (DatasetTable, "commit"),
    (Ledger, "forget_versions"),
    (Ledger, "record_delivery"),
    (Ledger, "record_run"),
    (reconciling, "copy_part"),
    (reconciling, "drop_rows"),
    (reconciling, "write_out_what_is_there"),
    (reconciling, "quarantine_contradictions"),
)


def killed_before(workspace: Workspace, at: int) -> int:
    """Ingest, killed before the `at`-th step; how many steps there were."""
    passed = []

    def around(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **named: Any) -> Any:
            passed.append(name)
            if len(passed) == at:
                raise Killed
            return real(*given, **named)

        return step

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        for owner, name in STEPS:
            patch.setattr(owner, name, around(name, getattr(owner, name)))
        ingest(workspace)
    return len(passed)


def test_mending_that_is_killed_at_any_step_is_done_in_the_end(moved_on: tuple[Workspace, Path]) -> None:
    workspace, backup = moved_on
    shown = lines_of(workspace)
    put_back(workspace, backup)
    for at in itertools.count(1):
        root = workspace.root.with_name(f"trial-{at}")
        shutil.copytree(workspace.root, root)
        trial = Workspace.open(root)
        if killed_before(trial, at) < at:
            break
        killed_before(trial, 0)
        assert sorted(lines_of(trial)) == sorted(shown), at
        assert not clients_in(trial.output_folder) & GONE_ROWS, at
    assert at > len(STEPS)


# ---- a ledger from a backup, or none


def without_ledger(workspace: Workspace) -> None:
    for path in workspace.state_folder.glob("ledger.sqlite*"):
        path.unlink()


@pytest.mark.parametrize("compacted", [False, True])
def test_a_ledger_that_was_lost_is_made_again_from_the_table(
    empty: Workspace, deliver: Deliver, compacted: bool
) -> None:
    for name in "abc":
        deliver(empty.input_folder, f"{name}.csv", [f"{name},1,2,3,0"])
    ingest(empty)
    if compacted:
        tidy(empty)
    deliver(empty.input_folder, "b.csv", ["new,1,2,3,0"])
    (empty.input_folder / "c.csv").unlink()
    ingest(empty)
    shown, files = lines_of(empty), current_of(empty)
    without_ledger(empty)
    record = ingest(empty)
    assert (record.files, lines_of(empty), current_of(empty)) == ((), shown, files)
    assert record.notices[0].startswith("the ledger was empty: 3 deliveries were entered again")


def test_a_delivery_that_left_and_came_again_is_there_once_when_the_ledger_was_lost(
    empty: Workspace, deliver: Deliver
) -> None:
    for name in "ab":
        deliver(empty.input_folder, f"{name}.csv", [f"{name},1,2,3,0"])
    ingest(empty)
    table_of(empty).parts()[0].path.unlink()
    ingest(empty)
    shown, files = lines_of(empty), current_of(empty)
    (empty.input_folder / "a.csv").unlink()
    without_ledger(empty)
    record = ingest(empty)
    assert (record.files, lines_of(empty), current_of(empty)) == ((), shown, files)


def test_a_delivery_that_left_a_backup_does_not_come_back_when_the_ledger_is_lost_later(
    merged: Workspace, deliver: Deliver
) -> None:
    backup = back_up(merged)
    deliver(merged.input_folder, "b.csv", ["b,7,7,7,1"])
    ingest(merged)
    put_back(merged, backup)
    ingest(merged)
    shown, files = lines_of(merged), current_of(merged)
    without_ledger(merged)
    record = ingest(merged)
    assert (record.files, lines_of(merged), current_of(merged)) == ((), shown, files)


def test_an_older_ledger_learns_what_was_superseded_although_a_file_was_cleaned_since(
    merged: Workspace, deliver: Deliver
) -> None:
    """Whom to erase it does not know, so it takes a cleaned file for a changed one."""
    old = merged.ledger_file.read_bytes()
    erase(merged, "gone", "case 6")
    deliver(merged.input_folder, "a.csv", ["a,7,7,7,1"])
    ingest(merged)
    shown = lines_of(merged)
    without_ledger(merged)
    merged.ledger_file.write_bytes(old)
    ingest(merged)
    assert sorted(lines_of(merged)) == sorted(shown)


def test_an_older_ledger_learns_that_an_output_folder_was_made_anew(ingested: Workspace) -> None:
    old = ingested.ledger_file.read_bytes()
    shutil.rmtree(ingested.output_folder)
    ingested.output_folder.mkdir()
    ingest(ingested)
    shown, files = lines_of(ingested), current_of(ingested)
    without_ledger(ingested)
    ingested.ledger_file.write_bytes(old)
    for path in ingested.input_folder.iterdir():
        path.unlink()
    record = ingest(ingested)
    assert (record.files, lines_of(ingested)) == ((), shown)
    assert [file.number for file in current_of(ingested)] == [file.number for file in files]


# ---- numbers


def test_a_lost_ledger_costs_no_other_dataset_a_delivery(ingested: Workspace, deliver: Deliver) -> None:
    other = replace(ingested, input_folder=ingested.root / "sourcedata")
    delivered = deliver(other.input_folder, "s.csv", ["s,1,2,3,0", "bad"])
    ingest(other)
    delivered.unlink()
    without_ledger(ingested)
    deliver(ingested.input_folder, "new.csv", ["x,1,1,1,0"])
    (file,) = ingest(ingested).files
    assert file.number == 4
    record = ingest(other)
    assert (record.dataset.rows, lines_of(other)[1:]) == (1, ["s,1,2,3,0"])
    assert [held.row.text for held in held_rows(quarantine_of(other, current_of(other)[0]))] == ["bad"]


def test_a_number_that_only_quarantine_knows_is_not_given_again(ingested: Workspace) -> None:
    (ingested.output_folder / "quarantine" / "000041.conflicts.parquet").touch()
    (ingested.output_folder / "quarantine" / "notes.parquet").touch()
    with begin(ingested, "test") as session:
        assert next_number(session) == 42


def test_what_a_killed_command_left_is_removed_and_its_number_given_again(
    ingested: Workspace, deliver: Deliver
) -> None:
    deliver(ingested.input_folder, "new.csv", ["x,1,1,1,0", "bad"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatasetTable, "commit", killed)
        with pytest.raises(Killed):
            ingest(ingested)
    (ingested.input_folder / "new.csv").unlink()
    left = list(ingested.output_folder.rglob("000003*"))
    assert len(left) == 2
    ingest(ingested)
    assert not [path for path in left if path.exists()]
    with begin(ingested, "test") as session:
        assert next_number(session) == 3
