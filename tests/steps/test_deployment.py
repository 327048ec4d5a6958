"""Deployment: what was trained and scored goes into production as one, and nothing else does."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import CandidateRefused, HoldfastError, ModelFileDamaged
from holdfast.serving import predict
from holdfast.session import reading
from holdfast.steps.deployment import deploy
from holdfast.steps.ingestion import ingest
from holdfast.steps.scoring import score
from holdfast.steps.training import train
from holdfast.store.files import digest_of
from holdfast.store.modelfile import read_model
from holdfast.store.releases import BRIEF_FILES, pin_current
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]


class Evil:
    """What unpickles to an act."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (sys.exit, ("unpickled",))


class Watch:
    """Counts what Python unpickles, while it is switched on."""

    def __init__(self) -> None:
        self.on = False
        self.found: list[object] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.on and event == "pickle.find_class":
            self.found.append(arguments)


@pytest.fixture(scope="module")
def watch() -> Watch:
    hook = Watch()
    sys.addaudithook(hook)
    return hook


def production(workspace: Workspace) -> dict[str, bytes]:
    """The bytes of everything in production."""
    found = sorted(path for path in workspace.deployment_folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found}


def test_the_three_files_go_into_production_as_they_are(scored: Workspace) -> None:
    release = deploy(scored, reason="approved")
    for name in BRIEF_FILES:
        folder = scored.output_folder if name == "ingestedfiles.txt" else scored.model_folder
        data = (folder / name).read_bytes()
        assert (scored.deployment_folder / name).read_bytes() == data
        assert release.files[name] == digest_of(data)
    assert (release.number, release.parent, release.reason) == (1, None, "approved")
    model = read_model(scored.model_folder / "model.json")
    assert (release.f1, release.dataset_digest) == (
        float((scored.model_folder / "latestscore.txt").read_text()),
        model.dataset_digest,
    )


def test_a_release_goes_to_the_ledger(scored: Workspace) -> None:
    release = deploy(scored)
    with reading(scored) as (ledger, _):
        assert ledger.releases() == (release,)


def test_deploying_what_is_deployed_changes_nothing(scored: Workspace) -> None:
    first = deploy(scored)
    before = production(scored)
    assert deploy(scored, reason="again") == first
    assert production(scored) == before


def test_a_new_model_is_a_new_release_that_names_the_one_before(
    scored: Workspace, deliver: Deliver, clients: Callable[..., list[str]]
) -> None:
    first = deploy(scored)
    deliver(scored.input_folder, "new.csv", clients(80, 7))
    ingest(scored)
    train(scored)
    score(scored)
    second = deploy(scored)
    assert (second.number, second.parent) == (2, first.id)
    assert second.model_digest != first.model_digest


def unscored(workspace: Workspace, deliver: Deliver) -> None:
    deliver(workspace.input_folder, "new.csv", [f"n{i},{i},{i},{i},{i % 2}" for i in range(30)])
    ingest(workspace)
    train(workspace)


def swapped_pickle(workspace: Workspace, _: Deliver) -> None:
    (workspace.model_folder / "trainedmodel.pkl").write_bytes(pickle.dumps(Evil()))


def edited_score(workspace: Workspace, _: Deliver) -> None:
    (workspace.model_folder / "latestscore.txt").write_text("0.99\n")


def newer_record(workspace: Workspace, deliver: Deliver) -> None:
    deliver(workspace.input_folder, "new.csv", ["n,1,1,1,0"])
    ingest(workspace)


def missing_pickle(workspace: Workspace, _: Deliver) -> None:
    (workspace.model_folder / "trainedmodel.pkl").unlink()


def missing_score(workspace: Workspace, _: Deliver) -> None:
    (workspace.model_folder / "latestscore.txt").unlink()


def missing_record(workspace: Workspace, _: Deliver) -> None:
    (workspace.output_folder / "ingestedfiles.txt").unlink()


PROBLEMS = (
    unscored,
    swapped_pickle,
    edited_score,
    newer_record,
    missing_pickle,
    missing_score,
    missing_record,
)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.__name__)
@pytest.mark.parametrize("released", [False, True])
def test_files_that_do_not_belong_together_are_refused_and_production_stays(
    scored: Workspace, deliver: Deliver, problem: Callable[[Workspace, Deliver], None], *, released: bool
) -> None:
    if released:
        deploy(scored)
    before = production(scored)
    problem(scored, deliver)
    with pytest.raises(CandidateRefused) as caught:
        deploy(scored)
    assert caught.value.exit_status == 5
    assert production(scored) == before


def test_a_changed_model_file_is_refused_and_production_stays(scored: Workspace) -> None:
    deploy(scored)
    before = production(scored)
    path = scored.model_folder / "model.json"
    path.write_text(path.read_text().replace("0.", "1.", 1))
    with pytest.raises(ModelFileDamaged):
        deploy(scored)
    assert production(scored) == before


@pytest.mark.parametrize("name", ["model.json", "release.json", "trainedmodel.pkl", "latestscore.txt"])
@pytest.mark.parametrize("damage", [b"", b"{", None])
def test_deploying_again_replaces_a_damaged_release(scored: Workspace, name: str, damage: bytes | None) -> None:
    first = deploy(scored)
    path = scored.deployment_folder / "current" / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    second = deploy(scored)
    assert (second.number, second.parent) == (2, first.id)
    assert predict(scored).rows == 150


def test_deploying_again_shows_the_release_where_a_plain_file_was_put(scored: Workspace) -> None:
    deploy(scored)
    path = scored.deployment_folder / "latestscore.txt"
    path.unlink()
    path.write_text("0.99\n")
    deploy(scored)
    assert path.read_bytes() == (scored.model_folder / "latestscore.txt").read_bytes()


def test_files_from_before_holdfast_are_kept(scored: Workspace) -> None:
    for name in BRIEF_FILES:
        (scored.deployment_folder / name).write_text("from before")
    deploy(scored)
    assert {path.read_text() for path in (scored.deployment_folder / "before_holdfast").iterdir()} == {"from before"}
    assert (scored.deployment_folder / "latestscore.txt").read_text() != "from before"


def test_no_pickle_is_ever_opened(scored: Workspace, watch: Watch) -> None:
    """An evil pickle in each place: it is refused by its digest, or not needed at all, and never unpickled."""
    deploy(scored)
    evil = pickle.dumps(Evil())
    (scored.model_folder / "trainedmodel.pkl").write_bytes(evil)
    (scored.deployment_folder / "current" / "trainedmodel.pkl").write_bytes(evil)
    pinned = pin_current(scored.deployment_folder)
    watch.found.clear()
    watch.on = True
    try:
        with pytest.raises(HoldfastError):
            score(scored)
        with pytest.raises(HoldfastError):
            deploy(scored)
        assert predict(scored).rows == 150
        assert pinned is not None
        with pytest.raises(ModelFileDamaged):
            pinned.read("trainedmodel.pkl")
    finally:
        watch.on = False
    assert watch.found == []
    watch.on = True
    with pytest.raises(SystemExit):
        pickle.loads(evil)
    watch.on = False
    assert watch.found, "the watch works"
