"""The full process: the decision, and what becomes of a run that is refused, interrupted, killed or run twice."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import Busy, ConfigurationError, NoUsableData
from holdfast.records import Metric, Observation, ReportRecord
from holdfast.schema import Schema
from holdfast.serving import predict
from holdfast.session import reading
from holdfast.steps import deployment, diagnostics, ingestion, process, reporting, scoring, training
from holdfast.steps.process import decide
from holdfast.store import lastrun
from holdfast.store.files import digest_of_file, locked
from holdfast.store.ledger import PastDecision
from holdfast.store.releases import current_id
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
Clients = Callable[..., list[str]]


class Stranger(http.server.SimpleHTTPRequestHandler):
    """A server that is not the API."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


# ---- the decision


def metric(value: float | None) -> Metric:
    return Metric(value=value, low=None, high=None, n=100)


SEEN = Observation(
    source="sourcedata",
    new_files=("a.csv",),
    refused_files=(),
    dataset_digest="new",
    dataset_rows=400,
    release="0001-m",
    release_learned_from="old",
    deployed_f1=0.7,
    unseen_rows=100,
    unseen_exited=30,
    unseen_f1=metric(0.6),
    unusable=None,
    decided_before=False,
    unfinished=False,
)
FIRST: dict[str, Any] = {
    "release": None,
    "release_learned_from": None,
    "deployed_f1": None,
    "unseen_rows": 0,
    "unseen_exited": 0,
    "unseen_f1": None,
}
NOTHING_UNSEEN: dict[str, Any] = {"unseen_rows": 0, "unseen_exited": 0, "unseen_f1": None}
BEFORE: dict[str, Any] = {"decided_before": True, "new_files": ()}


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        ({}, "retrain", "below the 0.700 that it was deployed with"),
        ({"unseen_f1": metric(0.8)}, "keep", "not below the 0.700"),
        ({"unseen_f1": metric(0.7)}, "keep", "not below the 0.700"),
        ({"unseen_f1": metric(0.0)}, "retrain", "0.000"),
        ({"unseen_f1": None, "unseen_exited": 0}, "keep", "F1 cannot be measured"),
        ({"deployed_f1": None}, "keep", "F1 cannot be measured"),
        (NOTHING_UNSEEN, "keep", "has learned from every labelled row"),
        (FIRST, "train", "no model is deployed yet"),
        (FIRST | BEFORE, "nothing", "decided on before"),
        (FIRST | BEFORE | {"decided_before": False, "unfinished": True}, "train", "no model is deployed yet"),
        (BEFORE, "nothing", "decided on before"),
        ({"decided_before": True}, "retrain", "below"),
        (BEFORE | {"decided_before": False}, "retrain", "below"),
        ({"unfinished": True}, "retrain", "below"),
        ({"unfinished": True, "release_learned_from": "new"} | NOTHING_UNSEEN, "finish", "interrupted run"),
        ({"release_learned_from": "new"} | NOTHING_UNSEEN, "keep", "every labelled row"),
    ],
)
def test_each_observation_leads_to_its_decision(changes: dict[str, Any], action: str, reason: str) -> None:
    decision = decide(replace(SEEN, **changes), "raw")
    assert decision.action == action
    assert any(reason in each for each in decision.reasons), decision.reasons


def test_a_decision_says_what_arrived_and_what_was_refused() -> None:
    reasons = decide(replace(SEEN, refused_files=("b.csv", "c.csv")), "raw").reasons
    assert reasons[:2] == ("1 new file in sourcedata: a.csv", "2 files refused: b.csv, c.csv")
    assert decide(replace(SEEN, new_files=()), "raw").reasons[0] == "no new file in sourcedata"


OBSERVATIONS = st.builds(
    replace,
    st.just(SEEN),
    new_files=st.sampled_from([(), ("a.csv",)]),
    release=st.sampled_from([None, "0001-m"]),
    release_learned_from=st.sampled_from([None, "old", "new"]),
    deployed_f1=st.none() | st.floats(0, 1),
    unseen_rows=st.integers(0, 3),
    unseen_exited=st.integers(0, 3),
    unseen_f1=st.none() | st.builds(metric, st.none() | st.floats(0, 1)),
    unusable=st.none(),
    decided_before=st.booleans(),
    unfinished=st.booleans(),
)


@given(OBSERVATIONS)
def test_it_never_retrains_without_labelled_rows_that_the_model_has_not_seen(seen: Observation) -> None:
    if seen.unseen_rows == 0 or seen.unseen_f1 is None:
        assert decide(seen, "raw").action != "retrain"


@given(OBSERVATIONS)
def test_it_never_retrains_a_model_that_did_not_get_worse(seen: Observation) -> None:
    if decide(seen, "raw").action == "retrain":
        assert seen.unseen_f1 is not None
        assert seen.unseen_f1.value is not None
        assert seen.deployed_f1 is not None
        assert seen.unseen_f1.value < seen.deployed_f1


@given(OBSERVATIONS)
def test_the_decision_depends_on_nothing_else_and_carries_what_it_rests_on(seen: Observation) -> None:
    assert decide(seen, "raw") == decide(replace(seen), "raw")
    assert decide(seen, "raw").observation == seen
    assert len(decide(seen, "raw").reasons) >= 2


# ---- whole runs


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without the pictures, and deliveries that are settled at once."""
    record = ReportRecord(report="", confusion_matrix="", size=0, notices=(), seconds=0.0)
    monkeypatch.setattr(reporting, "report", lambda *_: record)
    monkeypatch.setattr(lastrun, "SETTLED_AFTER_SECONDS", 0.0)


@pytest.fixture
def moved(running: Workspace, deliver: Deliver, clients: Clients) -> Workspace:
    """A workspace with a deployed model, in which data of a world that has moved waits."""
    deliver(running.input_folder, "moved.csv", clients(150, 5, moved=True))
    return running


def easy_clients() -> list[str]:
    """Clients about whom every model is right."""
    return [f"e{i},{m},{10 * m},5,{int(m == 0)}" for i, m in enumerate([0, 499] * 20)]


def outcome_of(workspace: Workspace) -> dict[str, str]:
    files = (
        workspace.output_folder / "finaldata.csv",
        workspace.model_folder / "model.json",
        workspace.deployment_folder / "trainedmodel.pkl",
        workspace.deployment_folder / "latestscore.txt",
    )
    return {path.name: digest_of_file(path) for path in files}


def last_decision(workspace: Workspace) -> PastDecision:
    with reading(workspace) as (ledger, _):
        found = ledger.last_decision(workspace.source)
    assert found is not None
    return found


def test_the_first_run_makes_everything(running: Workspace) -> None:
    made = {path.name for path in running.model_folder.iterdir()}
    assert made >= {"trainedmodel.pkl", "latestscore.txt", "diagnostics.json", "confusionmatrix.png", "report.html"}
    assert current_id(running.deployment_folder) is not None
    decision, finished, _ = last_decision(running)
    assert (decision.action, finished) == ("train", True)


@pytest.mark.usefixtures("quick")
def test_a_run_with_nothing_new_decides_to_do_nothing(running: Workspace) -> None:
    before = outcome_of(running)
    for _ in range(2):
        record = process.run(running)
        assert (record.decision.action, record.train, record.report) == ("nothing", None, None)
    assert outcome_of(running) == before


@pytest.mark.usefixtures("quick")
def test_data_that_the_model_is_right_about_keeps_it(running: Workspace, deliver: Deliver) -> None:
    release = current_id(running.deployment_folder)
    deliver(running.input_folder, "easy.csv", easy_clients())
    record = process.run(running)
    seen = record.decision.observation
    assert (record.decision.action, seen.unseen_rows, seen.unseen_exited) == ("keep", 40, 20)
    assert seen.unseen_f1 is not None
    assert seen.unseen_f1.value == 1.0
    assert current_id(running.deployment_folder) == release
    assert process.run(running).decision.action == "nothing"


@pytest.mark.usefixtures("quick")
def test_data_of_a_world_that_moved_retrains_rescores_and_redeploys(moved: Workspace) -> None:
    release = current_id(moved.deployment_folder)
    record = process.run(moved)
    assert record.decision.action == "retrain"
    assert record.train is not None
    assert record.score is not None
    assert record.release is not None
    assert (record.train.rows, record.release.parent) == (450, release)
    assert record.train.model_digest == record.score.model_digest == record.release.model_digest
    assert record.release.reason == "; ".join(record.decision.reasons)
    assert process.run(moved).decision.action == "nothing"


@pytest.mark.usefixtures("quick")
def test_rows_that_the_model_learned_from_are_not_unseen_in_another_file(
    running: Workspace, deliver: Deliver, clients: Clients
) -> None:
    deliver(running.input_folder, "again.csv", [*clients(150, 1)[:100], *easy_clients()])
    assert process.run(running).decision.observation.unseen_rows == 40


@pytest.mark.usefixtures("quick")
def test_unlabelled_rows_are_no_evidence(running: Workspace, deliver: Deliver) -> None:
    deliver(running.input_folder, "later.csv", [f"u{i},1,2,3," for i in range(30)])
    record = process.run(running)
    assert (record.decision.action, record.decision.observation.unseen_rows) == ("keep", 0)


@pytest.mark.usefixtures("quick")
def test_without_an_api_the_run_ends_well_and_says_so(moved: Workspace) -> None:
    record = process.run(moved)
    assert record.call is None
    assert any("the API is not running" in notice for notice in record.notices)


@pytest.mark.usefixtures("quick")
def test_a_refused_candidate_keeps_the_old_model_every_time(running: Workspace, deliver: Deliver) -> None:
    before = outcome_of(running)
    source = replace(running, input_folder=running.root / "sourcedata")
    deliver(source.input_folder, "stayed.csv", [f"s{i},1,10,{i},0" for i in range(30)])
    with pytest.raises(NoUsableData) as caught:
        process.run(source)
    assert caught.value.exit_status == 4
    assert {name: outcome_of(running)[name] for name in before if name != "finaldata.csv"} == {
        name: digest for name, digest in before.items() if name != "finaldata.csv"
    }
    with pytest.raises(NoUsableData):
        process.run(source)


@pytest.mark.usefixtures("quick")
def test_a_refusal_ends_when_its_reason_is_gone(one_class: Workspace, deliver: Deliver) -> None:
    for _ in range(2):
        with pytest.raises(NoUsableData):
            process.run(one_class)
    deliver(one_class.input_folder, "gone.csv", [f"g{i},1,100,{i},1" for i in range(30)])
    assert process.run(one_class).decision.action == "train"


@pytest.mark.usefixtures("quick")
def test_test_data_that_comes_later_ends_the_refusal(running: Workspace, deliver: Deliver) -> None:
    fresh = replace(running, test_folder=running.root / "later", deployment_folder=running.root / "elsewhere")
    fresh.test_folder.mkdir()
    with pytest.raises(NoUsableData):
        process.run(fresh)
    deliver(fresh.test_folder, "test.csv", ["t1,1,100,1,1", "t2,400,4000,1,0"])
    assert process.run(fresh).decision.action == "train"


@pytest.mark.usefixtures("quick")
def test_a_damaged_release_is_noticed_and_replaced_by_the_next_run(running: Workspace) -> None:
    process.run(running)
    (running.deployment_folder / "current" / "model.json").write_bytes(b"{}")
    decision = process.run(running).decision
    assert decision.action == "train"
    assert "not the bytes that were released" in decision.reasons[-1]
    assert predict(running).release == current_id(running.deployment_folder)


@pytest.mark.usefixtures("quick")
def test_a_file_that_vanished_from_production_is_shown_again(running: Workspace) -> None:
    process.run(running)
    (running.deployment_folder / "trainedmodel.pkl").unlink()
    process.run(running)
    assert (running.deployment_folder / "trainedmodel.pkl").is_file()


@pytest.mark.usefixtures("quick")
def test_a_changed_schema_trains_anew_and_nothing_is_served_until_then(running: Workspace) -> None:
    columns = running.schema.columns
    swapped = replace(running, schema=Schema(columns=(columns[0], columns[2], columns[1], *columns[3:])))
    with pytest.raises(ConfigurationError, match="another schema"):
        predict(swapped)
    decision = process.run(swapped).decision
    assert decision.action == "train"
    assert "another schema" in decision.reasons[-1]
    assert predict(swapped).rows > 0


@pytest.mark.usefixtures("quick")
def test_a_deleted_dataset_folder_and_a_new_file_do_not_stop_the_process(
    running: Workspace, deliver: Deliver, clients: Callable[..., list[str]]
) -> None:
    process.run(running)
    shutil.rmtree(running.output_folder)
    deliver(running.input_folder, "new.csv", clients(50, 77))
    assert process.run(running).decision.action in {"keep", "retrain"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("follow", [True, False])
def test_a_copy_of_the_workspace_works_whether_links_were_followed_or_not(
    running: Workspace, tmp_path: Path, *, follow: bool
) -> None:
    process.run(running)
    shutil.copytree(running.root, tmp_path / "copy", symlinks=not follow)
    copy = Workspace.open(tmp_path / "copy")
    assert predict(copy).rows == predict(running).rows
    process.run(copy)
    assert (copy.deployment_folder / "current").is_symlink()
    assert current_id(copy.deployment_folder) == current_id(running.deployment_folder)


@pytest.mark.usefixtures("quick")
def test_a_stranger_on_the_port_of_the_api_does_not_fail_the_run(moved: Workspace) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        record = process.run(replace(moved, port=stranger.server_port))
        stranger.shutdown()
    assert record.call is None
    assert any("the API is not running" in notice for notice in record.notices)


@pytest.mark.usefixtures("quick")
def test_a_production_folder_that_was_emptied_gets_a_model_again(running: Workspace) -> None:
    process.run(running)
    shutil.rmtree(running.deployment_folder)
    assert process.run(running).decision.action == "train"
    assert current_id(running.deployment_folder) is not None


@pytest.mark.usefixtures("quick")
def test_a_bad_file_is_said_in_the_decision_and_stops_nothing(moved: Workspace) -> None:
    (moved.input_folder / "bad.csv").write_bytes(b"\xff\xfe")
    record = process.run(moved)
    assert record.decision.action == "retrain"
    assert "1 file refused: bad.csv" in record.decision.reasons


@pytest.mark.usefixtures("quick")
def test_a_delivery_that_arrives_during_a_run_is_taken_by_the_next(
    running: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = process.observe

    def observe(*arguments: Any) -> Observation:
        deliver(running.input_folder, "arrived.csv", easy_clients())
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(process, "observe", observe)
        process.run(running)
    assert process.run(running).decision.observation.new_files == ("arrived.csv",)


@pytest.mark.usefixtures("quick")
def test_a_missing_input_folder_is_a_configuration_error(running: Workspace) -> None:
    with pytest.raises(ConfigurationError):
        process.run(replace(running, input_folder=running.root / "nowhere"))


@pytest.mark.usefixtures("quick")
def test_a_missing_test_folder_does_not_disturb_a_run_that_needs_none(running: Workspace) -> None:
    assert process.run(replace(running, test_folder=running.root / "nowhere")).decision.action == "nothing"


# ---- interrupted

STEPS = (
    (ingestion, "ingest"),
    (training, "train"),
    (scoring, "score"),
    (deployment, "deploy"),
    (diagnostics, "diagnose"),
)


@pytest.fixture(scope="module")
def undisturbed(
    company_that_ran: Path, tmp_path_factory: pytest.TempPathFactory, deliver: Deliver, clients: Clients
) -> dict[str, str]:
    """What a run on the data of the world that moved comes to when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed") / "company"
    shutil.copytree(company_that_ran, folder, symlinks=True)
    workspace = Workspace.open(folder)
    deliver(workspace.input_folder, "moved.csv", clients(150, 5, moved=True))
    process.run(workspace)
    return outcome_of(workspace)


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _, step in STEPS])
@pytest.mark.usefixtures("quick")
def test_a_run_interrupted_after_any_step_is_finished_by_the_next(
    moved: Workspace, undisturbed: dict[str, str], monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    real = getattr(module, step)

    def interrupted(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            process.run(moved)
    record = process.run(moved)
    assert record.decision.action == ("finish" if step in {"deploy", "diagnose"} else "retrain")
    assert outcome_of(moved) == undisturbed
    assert last_decision(moved).finished is True
    assert process.run(moved).decision.action == "nothing"


@pytest.mark.usefixtures("quick")
def test_a_run_that_fails_at_its_report_is_taken_up_again(moved: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise OSError(28, "No space left on device", "report.html")

    with monkeypatch.context() as patch:
        patch.setattr(reporting, "report", failing)
        with pytest.raises(OSError, match="No space"):
            process.run(moved)
    assert process.run(moved).decision.action == "finish"


def test_twenty_killed_runs_converge_to_what_an_undisturbed_one_gives(moved: Workspace, tmp_path: Path) -> None:
    script = Path(__file__).with_name("kill_runs.py")
    command = [sys.executable, str(script), str(moved.root), str(tmp_path), "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    undisturbed, *rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert undisturbed["status"] == 0
    deaths = [death for each in rounds for death in each["deaths"]]
    assert len(deaths) == 20
    assert sum(status == -9 for status, _ in deaths) >= 5, "too few were killed at work to mean anything"
    assert all(whole for _, whole in deaths), "production was one release at every moment"
    for each in rounds:
        assert (each["status"], each["whole"], each["left"]) == (0, True, [])
        assert each["state"] == undisturbed["state"]


# ---- two at once


def test_a_run_beside_another_one_is_refused_at_once(moved: Workspace) -> None:
    with locked(moved.state_folder / "lock"):
        with pytest.raises(Busy):
            process.run(moved)
        with pytest.raises(Busy):
            process.rehearse(moved)


def test_of_two_runs_started_together_one_works_and_one_exits_75(company: Workspace) -> None:
    command = [sys.executable, "-m", "holdfast", "run", "--quiet", "--workspace", str(company.root)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [run.communicate(timeout=120) for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 75]
    busy = answers[[run.returncode for run in runs].index(75)]
    assert "another run is at work" in busy[1]


# ---- looking without touching


def files_of(workspace: Workspace) -> dict[str, str]:
    """Every file but logs, the lock, and what SQLite keeps beside its file."""
    apart = {"holdfast.jsonl", "lock", "ledger.sqlite-wal", "ledger.sqlite-shm"}
    files = [path for path in workspace.root.rglob("*") if path.is_file() and path.name not in apart]
    return {str(path): digest_of_file(path) for path in files}


@pytest.mark.usefixtures("quick")
def test_a_dry_run_changes_nothing_and_decides_as_the_run_after_it(moved: Workspace) -> None:
    before = files_of(moved)
    rehearsed = process.rehearse(moved)
    assert files_of(moved) == before
    assert (rehearsed.dry_run, rehearsed.release) == (True, None)
    decision = process.run(moved).decision
    assert (rehearsed.decision.action, rehearsed.decision.reasons) == (decision.action, decision.reasons)


def test_a_dry_run_works_before_anything_else_has(company: Workspace) -> None:
    before = files_of(company)
    assert process.rehearse(company).decision.action == "train"
    assert files_of(company) == before


def test_measuring_gives_seconds_and_changes_nothing(running: Workspace) -> None:
    before = files_of(running)
    measured = process.measure(running)
    assert set(measured) == {"ingest", "train", "score"}
    assert all(0 < seconds < 60 for seconds in measured.values())
    assert files_of(running) == before


FAST_PATH = """
import json, sys
from pathlib import Path
from holdfast.store import lastrun
from holdfast.steps import process
from holdfast.workspace import Workspace
lastrun.SETTLED_AFTER_SECONDS = 0.0
record = process.run(Workspace.open(Path(sys.argv[1])))
heavy = ("duckdb", "sqlalchemy", "sklearn", "pandas", "numpy", "pyarrow", "matplotlib", "flask", "rich", "alembic")
print(json.dumps([record.decision.action, [name for name in heavy if name in sys.modules]]))
"""


@pytest.mark.usefixtures("quick")
def test_a_second_run_with_nothing_new_imports_nothing_heavy(running: Workspace) -> None:
    process.run(running)
    command = [sys.executable, "-c", FAST_PATH, str(running.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == ["nothing", []]
    events = (running.log_folder / "holdfast.jsonl").read_text().splitlines()
    assert json.loads(events[-1])["decision"] == "nothing", "it writes one line to the log"
