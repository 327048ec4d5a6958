"""Scoring: the F1 that scikit-learn computes, on rows that the model has not learned from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from holdfast.errors import ConfigurationError, FileRefused, ModelFileDamaged, NoUsableData
from holdfast.schema import schema_from_json
from holdfast.serving import deployed
from holdfast.session import reading
from holdfast.sources.readers import Readers
from holdfast.steps.scoring import score, score_deployed, trained_model
from holdfast.steps.training import train
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
FEATURES = ["lastmonth_activity", "lastyear_activity", "number_of_employees"]


@pytest.fixture
def trained(scored: Workspace) -> Workspace:
    """A workspace with a trained model that was not scored."""
    (scored.model_folder / "latestscore.txt").unlink()
    return scored


def expected(workspace: Workspace, frame: pd.DataFrame) -> tuple[list[int], list[float]]:
    """What the brief's model, fitted directly, predicts for a frame, and with which probability."""
    learned = pd.read_csv(workspace.output_folder / "finaldata.csv")
    model = LogisticRegression(solver="liblinear", C=1.0, random_state=0, max_iter=100)
    model.fit(learned[FEATURES], learned["exited"])
    return model.predict(frame[FEATURES]).tolist(), model.predict_proba(frame[FEATURES])[:, 1].tolist()


def only_test_file(workspace: Workspace, deliver: Deliver, lines: list[str]) -> Workspace:
    for path in workspace.test_folder.iterdir():
        path.unlink()
    deliver(workspace.test_folder, "testdata.csv", lines)
    return workspace


def test_f1_is_that_of_scikit_learn(trained: Workspace) -> None:
    card = score(trained)
    frame = pd.read_csv(trained.test_folder / "testdata.csv")
    predictions, probabilities = expected(trained, frame)
    assert card.f1.value == pytest.approx(f1_score(frame["exited"], predictions), abs=1e-15)
    assert card.metrics["roc_auc"].value == pytest.approx(roc_auc_score(frame["exited"], probabilities), abs=1e-12)
    counted = card.confusion
    assert confusion_matrix(frame["exited"], predictions).ravel().tolist() == [
        counted.stayed_predicted_stayed,
        counted.stayed_predicted_exited,
        counted.exited_predicted_stayed,
        counted.exited_predicted_exited,
    ]
    assert (card.rows, card.exited, card.f1.n) == (150, int(frame["exited"].sum()), 150)


def test_the_latest_score_holds_the_number_alone(trained: Workspace) -> None:
    card = score(trained)
    text = (trained.model_folder / "latestscore.txt").read_text()
    assert float(text) == card.f1.value
    assert text == f"{card.f1.value!r}\n"


def test_the_scorecard_goes_to_the_ledger(trained: Workspace) -> None:
    card = score(trained)
    with reading(trained) as (ledger, _):
        kept = ledger.score_of(card.model_digest, "test")
    assert kept is not None
    assert kept.metrics == card.metrics


def test_all_test_files_count(trained: Workspace, deliver: Deliver, clients: Callable[..., list[str]]) -> None:
    deliver(trained.test_folder, "more.csv", clients(50, 11))
    card = score(trained)
    assert card.rows == 200
    assert card.data == "testdata: more.csv, testdata.csv"


def test_unlabelled_and_broken_test_rows_are_left_out_and_said(
    trained: Workspace, deliver: Deliver, clients: Callable[..., list[str]]
) -> None:
    only_test_file(trained, deliver, [*clients(50, 11), "u,1,2,3,", "x,none,1,1,0"])
    card = score(trained)
    assert (card.rows, card.quarantined) == (50, 1)
    assert "1 test row breaks the schema and was left out" in card.notices


# ---- overlap and hold-out


def test_rows_that_the_model_has_learned_from_are_counted_and_said(
    trained: Workspace, deliver: Deliver, clients: Callable[..., list[str]]
) -> None:
    only_test_file(trained, deliver, [*clients(50, 11), *clients(150, 1)[:30], *clients(150, 1)[:5]])
    card = score(trained)
    assert card.overlap == 30
    assert any("30 test rows are also in the training data" in notice for notice in card.notices)


def test_separate_test_data_has_no_overlap_and_no_notice(trained: Workspace) -> None:
    card = score(trained)
    assert (card.overlap, card.notices) == (0, ())


def test_held_out_clients_are_scored_on_and_never_learned_from(scored: Workspace) -> None:
    for path in scored.test_folder.iterdir():
        path.unlink()
    workspace = replace(scored, holdout=0.3)
    learned = train(workspace)
    card = score(workspace)
    assert (card.rows, card.overlap) == (learned.held_out, 0)
    assert card.rows + learned.rows == 300
    assert "held out" in card.data


def test_test_files_come_before_the_hold_out(scored: Workspace) -> None:
    workspace = replace(scored, holdout=0.3)
    assert train(workspace).held_out == 0
    assert score(workspace).rows == 150


def test_without_test_files_and_hold_out_there_is_nothing_to_score_on(scored: Workspace) -> None:
    for path in scored.test_folder.iterdir():
        path.unlink()
    with pytest.raises(NoUsableData, match='"holdout"') as caught:
        score(scored)
    assert caught.value.exit_status == 4


def test_a_missing_test_folder_is_a_configuration_error(scored: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'testdata'"):
        score(replace(scored, test_folder=scored.root / "testdta"))


# ---- nothing to score


@pytest.mark.parametrize("lines", [[], ["u1,1,2,3,", "u2,1,2,3,"], ["x,none,1,1,0"]])
def test_without_a_labelled_row_there_is_no_score(trained: Workspace, deliver: Deliver, lines: list[str]) -> None:
    with pytest.raises(NoUsableData, match="no labelled row"):
        score(only_test_file(trained, deliver, lines))
    assert not (trained.model_folder / "latestscore.txt").exists()


def test_an_undefined_f1_is_no_score_and_the_old_one_stays(scored: Workspace, deliver: Deliver) -> None:
    before = (scored.model_folder / "latestscore.txt").read_bytes()
    with pytest.raises(NoUsableData, match="F1 is undefined") as caught:
        score(only_test_file(scored, deliver, ["s1,499,4999,1,0", "s2,498,4990,1,0"]))
    assert caught.value.exit_status == 4
    assert (scored.model_folder / "latestscore.txt").read_bytes() == before


def test_a_test_file_that_cannot_be_read_is_an_error(trained: Workspace) -> None:
    (trained.test_folder / "bad.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(FileRefused, match=r"bad\.csv"):
        score(trained)


def test_without_a_trained_model_there_is_nothing_to_score(ingested: Workspace) -> None:
    with pytest.raises(ModelFileDamaged, match="holdfast train"):
        score(ingested)


@pytest.mark.parametrize("name", ["trainedmodel.pkl", "model.json"])
def test_a_changed_model_is_not_scored(trained: Workspace, name: str) -> None:
    path = trained.model_folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelFileDamaged):
        score(trained)


def test_a_model_of_another_schema_is_not_scored(trained: Workspace) -> None:
    config = json.loads((trained.root / "config.json").read_text())
    features = {name: {"type": "number"} for name in FEATURES}
    config["schema"] = {"client": "corporation", "target": "exited", "features": features}
    with pytest.raises(ConfigurationError, match="another schema"):
        trained_model(replace(trained, schema=schema_from_json(config["schema"])))


# ---- in production


def test_the_deployed_model_is_scored_without_writing(running: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in running.model_folder.iterdir()}
    with Readers(1) as readers:
        card = score_deployed(running, deployed(running), readers)
    assert repr(card.f1.value) == (running.deployment_folder / "latestscore.txt").read_text().strip()
    assert {path: path.stat().st_mtime_ns for path in running.model_folder.iterdir()} == before
