"""What the last complete run saw: a change of anything, or a doubt, means looking at everything again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.records import Decision, Observation
from holdfast.store import lastrun
from holdfast.store.files import locked
from holdfast.workspace import CONFIG_NAME, Workspace

DECISION = Decision(
    action="keep",
    policy="raw",
    reasons=("good enough",),
    observation=Observation(
        source="practicedata",
        new_files=(),
        refused_files=(),
        dataset_digest="d",
        dataset_rows=300,
        release="0001-m",
        release_learned_from="d",
        deployed_f1=0.75,
        unseen_rows=0,
        unseen_exited=0,
        unseen_f1=None,
        unusable=None,
        decided_before=True,
        unfinished=False,
    ),
)


def begin_run(workspace: Workspace, *, seconds_later: float = 60) -> None:
    """As a run begins it takes the lock; here some time after the last delivery."""
    with locked(workspace.state_folder / "lock"):
        pass
    changes = [path.lstat().st_ctime_ns for path in workspace.root.rglob("*") if path.parent.name != ".holdfast"]
    began = max(changes) + int(seconds_later * 1e9)
    os.utime(workspace.state_folder / "lock", ns=(began, began))


@pytest.fixture
def noted(company: Workspace) -> Workspace:
    """A workspace whose last run was noted."""
    begin_run(company)
    lastrun.save(company, DECISION)
    return company


def note_of(workspace: Workspace) -> Path:
    return workspace.state_folder / "lastrun.json"


def test_the_decision_comes_back_while_nothing_has_changed(noted: Workspace) -> None:
    begin_run(noted)
    assert lastrun.unchanged(noted) == DECISION


def test_nothing_is_known_before_the_first_run(company: Workspace) -> None:
    begin_run(company)
    assert lastrun.unchanged(company) is None


@pytest.mark.parametrize("seconds", [-5, 0, 1.9])
def test_a_delivery_less_than_two_seconds_older_than_the_run_is_not_trusted(company: Workspace, seconds: float) -> None:
    begin_run(company, seconds_later=seconds)
    lastrun.save(company, DECISION)
    assert not note_of(company).exists()


def test_a_delivery_two_seconds_older_than_the_run_is_trusted(company: Workspace) -> None:
    begin_run(company, seconds_later=2.1)
    lastrun.save(company, DECISION)
    assert lastrun.unchanged(company) == DECISION


def test_a_run_during_which_something_arrived_forgets_the_note_of_an_earlier_one(
    noted: Workspace, deliver: Callable[..., Path]
) -> None:
    begin_run(noted)
    deliver(noted.input_folder, "arrived.csv", ["a,1,1,1,0"])
    os.utime(noted.state_folder / "lock", ns=(0, 0))
    lastrun.save(noted, DECISION)
    assert not note_of(noted).exists()


def a_new_delivery(workspace: Workspace) -> None:
    (workspace.input_folder / "new.csv").write_text("x")


def a_new_test_file(workspace: Workspace) -> None:
    (workspace.test_folder / "new.csv").write_text("x")


def a_removed_delivery(workspace: Workspace) -> None:
    (workspace.input_folder / "dataset1.csv").unlink()


def a_renamed_delivery(workspace: Workspace) -> None:
    (workspace.input_folder / "dataset1.csv").rename(workspace.input_folder / "renamed.csv")


def a_touched_delivery(workspace: Workspace) -> None:
    os.utime(workspace.input_folder / "dataset1.csv", (10, 10))


def a_replaced_delivery(workspace: Workspace) -> None:
    path = workspace.input_folder / "dataset1.csv"
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)


def a_delivery_of_the_same_size_and_time(workspace: Workspace) -> None:
    path = workspace.input_folder / "dataset1.csv"
    state = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)


def a_changed_configuration(workspace: Workspace) -> None:
    path = workspace.root / CONFIG_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"capacity": 7}))


def a_new_final_data(workspace: Workspace) -> None:
    (workspace.output_folder / "finaldata.csv").write_text("x")


def a_new_model(workspace: Workspace) -> None:
    (workspace.model_folder / "model.json").write_text("x")


def a_new_release(workspace: Workspace) -> None:
    (workspace.deployment_folder / "current").symlink_to("releases/0002-x")


CHANGES = (
    a_new_delivery,
    a_new_test_file,
    a_removed_delivery,
    a_renamed_delivery,
    a_touched_delivery,
    a_replaced_delivery,
    a_delivery_of_the_same_size_and_time,
    a_changed_configuration,
    a_new_final_data,
    a_new_model,
    a_new_release,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_it_notices(noted: Workspace, change: Callable[[Workspace], None]) -> None:
    change(noted)
    begin_run(noted)
    assert lastrun.unchanged(noted) is None


@pytest.mark.parametrize("folder", ["practicedata", "testdata"])
def test_a_missing_folder_is_noticed_and_never_noted(noted: Workspace, folder: str) -> None:
    shutil.rmtree(noted.root / folder)
    begin_run(noted)
    assert lastrun.unchanged(noted) is None
    lastrun.save(noted, DECISION)
    assert not note_of(noted).exists()


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b'{"fingerprint": 1}', b'"x"', b"\xff"])
def test_a_damaged_note_means_looking_at_everything(noted: Workspace, content: bytes) -> None:
    note_of(noted).write_bytes(content)
    begin_run(noted)
    assert lastrun.unchanged(noted) is None


def test_a_note_whose_decision_cannot_be_read_means_looking_at_everything(noted: Workspace) -> None:
    note = json.loads(note_of(noted).read_text()) | {"decision": {"action": "celebrate"}}
    note_of(noted).write_text(json.dumps(note))
    begin_run(noted)
    assert lastrun.unchanged(noted) is None
