"""Training: the brief's model and nothing else, the same data the same bytes, and the old model kept on a refusal."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

from holdfast.errors import CandidateRefused, NoUsableData
from holdfast.risk.linear import log_odds, probability
from holdfast.schema import BRIEF_SCHEMA, Schema, schema_from_json
from holdfast.session import reading
from holdfast.steps.ingestion import ingest
from holdfast.steps.scoring import trained_model
from holdfast.steps.training import train
from holdfast.store.files import digest_of_file
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
FEATURES = ["lastmonth_activity", "lastyear_activity", "number_of_employees"]
WITH_SCIKIT_LEARN_ALONE = """
import json, pickle, sys
import numpy, pandas
answers = []
for place in sys.argv[1:]:
    model = pickle.load(open(f"{place}/practicemodels/trainedmodel.pkl", "rb"))
    frame = pandas.read_csv(f"{place}/ingesteddata/finaldata.csv")
    frame = frame[["lastmonth_activity", "lastyear_activity", "number_of_employees"]]
    answers.append([type(model).__name__, model.predict(frame).tolist(), model.predict_proba(frame)[:, 1].tolist()])
assert not [name for name in sys.modules if name.startswith("holdfast")]
print(json.dumps(answers))
"""
WITH_GAPS = schema_from_json(
    {
        "client": "corporation",
        "target": "exited",
        "features": {
            "lastmonth_activity": {"type": "integer", "missing_allowed": True},
            "lastyear_activity": {"type": "number", "missing_allowed": True},
            "number_of_employees": {"type": "number"},
        },
    }
)


def final_data(workspace: Workspace, lines: list[str]) -> Workspace:
    """A hand-made finaldata.csv, without an ingestion."""
    header = ",".join(workspace.schema.names)
    workspace.output_folder.mkdir(exist_ok=True)
    (workspace.output_folder / "finaldata.csv").write_text("".join(f"{line}\n" for line in (header, *lines)))
    return workspace


def fitted_directly(workspace: Workspace) -> LogisticRegression:
    """The recipe of the brief's training.py."""
    frame = pd.read_csv(workspace.output_folder / "finaldata.csv")
    model = LogisticRegression(solver="liblinear", C=1.0, random_state=0, max_iter=100)
    return model.fit(frame[FEATURES], frame["exited"])


def pickle_of(workspace: Workspace) -> Path:
    return workspace.model_folder / "trainedmodel.pkl"


@pytest.fixture(scope="module")
def with_gaps(make_company: Callable[[Path], Workspace], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose schema allows gaps, with a model that learned from data with gaps."""
    company = make_company(tmp_path_factory.mktemp("gaps") / "company")
    workspace = final_data(replace(company, schema=WITH_GAPS), gaps(200, WITH_GAPS))
    train(workspace)
    return workspace


@pytest.fixture(scope="module")
def opened_elsewhere(company_that_scored: Path, with_gaps: Workspace) -> list[tuple[str, list[int], list[float]]]:
    """Type, predictions and probabilities of two pickles in a process that has scikit-learn and not Holdfast."""
    command = [sys.executable, "-c", WITH_SCIKIT_LEARN_ALONE, str(company_that_scored), str(with_gaps.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [tuple(answer) for answer in json.loads(done.stdout)]


def test_the_model_is_scikit_learns_fitted_by_the_briefs_recipe(ingested: Workspace) -> None:
    record = train(ingested)
    direct = fitted_directly(ingested)
    assert list(record.coefficients) == direct.coef_[0].tolist()
    assert record.intercept == direct.intercept_[0]
    assert (record.rows, record.converged, record.features) == (300, True, tuple(FEATURES))
    with pickle_of(ingested).open("rb") as stream:
        unpickled = pickle.load(stream)
    assert unpickled.get_params() == direct.get_params()


def test_the_pickle_predicts_with_scikit_learn_alone(
    company_that_scored: Path, opened_elsewhere: list[tuple[str, list[int], list[float]]]
) -> None:
    workspace = Workspace.open(company_that_scored)
    frame = pd.read_csv(workspace.output_folder / "finaldata.csv")
    direct = fitted_directly(workspace)
    kind, predictions, probabilities = opened_elsewhere[0]
    assert kind == "LogisticRegression"
    assert predictions == direct.predict(frame[FEATURES]).tolist()
    assert_allclose(probabilities, direct.predict_proba(frame[FEATURES])[:, 1], rtol=1e-12)


def test_the_model_file_scores_as_the_pickle_does(ingested: Workspace) -> None:
    train(ingested)
    values = pd.read_csv(ingested.output_folder / "finaldata.csv")[FEATURES]
    ours = probability(log_odds(trained_model(ingested), values.to_numpy(dtype=float)))
    assert_allclose(ours, fitted_directly(ingested).predict_proba(values)[:, 1], rtol=0, atol=1e-12)


def test_the_same_data_gives_the_same_model_and_the_same_bytes(ingested: Workspace) -> None:
    first = train(ingested)
    digests = [digest_of_file(ingested.model_folder / name) for name in ("trainedmodel.pkl", "model.json")]
    assert train(ingested).model_digest == first.model_digest
    assert [digest_of_file(ingested.model_folder / name) for name in ("trainedmodel.pkl", "model.json")] == digests


def test_another_process_comes_to_the_same_bytes(ingested: Workspace) -> None:
    train(ingested)
    digest = digest_of_file(pickle_of(ingested))
    code = "import sys; from holdfast.frontdoor import enter; enter(['train', '--quiet', '--workspace', sys.argv[1]])"
    subprocess.run([sys.executable, "-c", code, str(ingested.root)], check=True, timeout=120)
    assert digest_of_file(pickle_of(ingested)) == digest


def test_the_model_names_the_dataset_it_learned_from(ingested: Workspace) -> None:
    taken = ingest(ingested)
    train(ingested)
    assert trained_model(ingested).dataset_digest == taken.dataset.digest


def test_a_training_is_kept_in_the_ledger(ingested: Workspace) -> None:
    train(ingested)
    with reading(ingested) as (ledger, _):
        assert len(ledger.seconds_of("train")) == 1


# ---- which rows


def test_a_hand_made_final_data_needs_no_ingestion(company: Workspace, clients: Callable[..., list[str]]) -> None:
    final_data(company, clients(50, 9))
    assert train(company).rows == 50
    assert trained_model(company).dataset_digest == digest_of_file(company.output_folder / "finaldata.csv")


def test_a_final_data_changed_by_hand_is_not_taken_for_the_dataset(ingested: Workspace) -> None:
    taken = ingest(ingested)
    path = ingested.output_folder / "finaldata.csv"
    path.write_text(path.read_text() + "by hand,1,2,3,0\n")
    assert train(ingested).rows == 301
    assert trained_model(ingested).dataset_digest not in {taken.dataset.digest, ""}


def test_rows_without_a_label_are_left_out_and_counted(company: Workspace, clients: Callable[..., list[str]]) -> None:
    lines = clients(50, 9)
    final_data(company, [*lines[:25], "u1,1,2,3,", "u2,4,5,6,", *lines[25:]])
    record = train(company)
    assert (record.rows, record.left_out) == (50, 2)
    final_data(company, lines)
    assert train(company).coefficients == record.coefficients


def test_rows_that_break_the_schema_are_left_out_and_said(
    company: Workspace, clients: Callable[..., list[str]]
) -> None:
    final_data(company, [*clients(50, 9), "bad,none,2,3,0"])
    record = train(company)
    assert record.rows == 50
    assert any("1 row of finaldata.csv breaks the schema and was left out" in notice for notice in record.notices)


def test_held_out_clients_are_not_learned_from(ingested: Workspace) -> None:
    for path in ingested.test_folder.iterdir():
        path.unlink()
    record = train(replace(ingested, holdout=0.25))
    assert 0 < record.held_out < 300
    assert record.rows + record.held_out == 300


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], "0 clients that exited and 0 that stayed"),
        (["a,1,2,3,0", "b,2,3,4,0"], "0 clients that exited and 2 that stayed"),
        (["a,1,2,3,1"], "1 client that exited and 0 that stayed"),
        (["a,1,2,3,", "b,1,2,3,"], "0 clients that exited and 0 that stayed"),
    ],
)
def test_data_that_no_model_can_learn_from_keeps_the_old_model(scored: Workspace, lines: list[str], found: str) -> None:
    before = {path: path.read_bytes() for path in scored.model_folder.iterdir()}
    with pytest.raises(NoUsableData, match=found) as caught:
        train(final_data(scored, lines))
    assert caught.value.exit_status == 4
    assert {path: path.read_bytes() for path in scored.model_folder.iterdir()} == before


def test_without_a_dataset_there_is_nothing_to_learn_from(company: Workspace) -> None:
    with pytest.raises(NoUsableData, match="holdfast ingest"):
        train(company)


# ---- missing and extreme values


def gaps(count: int, schema: Schema) -> list[str]:
    random = np.random.default_rng(5)
    lines = []
    for number in range(count):
        month, year, staff = random.integers(0, 100), random.normal(50, 20), random.exponential(30)
        cells = ["" if random.random() < 0.2 else str(value) for value in (month, year)]
        lines.append(f"c{number},{cells[0]},{cells[1]},{staff!r},{int(random.random() < (0.2 + 0.006 * month))}")
    assert schema.names == ("corporation", *FEATURES, "exited")
    return lines


def test_missing_values_are_scored_as_the_pickled_pipeline_scores_them(
    with_gaps: Workspace, opened_elsewhere: list[tuple[str, list[int], list[float]]]
) -> None:
    kind, _, probabilities = opened_elsewhere[1]
    values = pd.read_csv(with_gaps.output_folder / "finaldata.csv")[FEATURES].to_numpy(dtype=float)
    assert np.isnan(values).any()
    assert kind == "Pipeline"
    assert_allclose(probability(log_odds(trained_model(with_gaps), values)), probabilities, rtol=0, atol=1e-12)


def test_a_feature_that_is_always_missing_still_gives_a_model(company: Workspace) -> None:
    lines = [f"c{i},,{i},{i},{i % 2}" for i in range(40)]
    workspace = final_data(replace(company, schema=WITH_GAPS), lines)
    train(workspace)
    assert trained_model(workspace).rows == 40


EXTREMES = {
    "whole numbers beyond what a float holds": (BRIEF_SCHEMA, ["999999999999999999", "9007199254740993", "0"]),
    "nearly all the same": (BRIEF_SCHEMA, ["7", "7", "7"]),
    "far apart": (WITH_GAPS, ["1e-300", "1e300", "-1e300"]),
    "far below zero, where the solver soon would not end": (WITH_GAPS, ["-2e30", "-1.1e30", "-5"]),
    "at the end of the floats": (WITH_GAPS, ["1.7e308", "-1.7e308", "1.7e308"]),
    "tiny": (WITH_GAPS, ["5e-324", "-5e-324", "0"]),
}


@pytest.mark.parametrize("case", EXTREMES)
def test_extreme_values_give_a_model_that_works_or_a_refusal(company: Workspace, case: str) -> None:
    schema, extremes = EXTREMES[case]
    lines = [f"c{i},{i},{i * i},{i % 7},{i % 2}" for i in range(30)]
    if schema is WITH_GAPS:
        lines += [f"e{i},1,{value},{value},{i % 2}" for i, value in enumerate(extremes * 3)]
    else:
        lines += [f"e{i},{value},{value},{value},{i % 2}" for i, value in enumerate(extremes * 3)]
    workspace = final_data(replace(company, schema=schema), lines)
    try:
        train(workspace)
    except CandidateRefused:
        assert not pickle_of(workspace).exists()
        return
    model = trained_model(workspace)
    assert all(0 <= row.probability <= 1 for row in model.golden)


def test_a_model_of_a_file_that_is_not_the_dataset_says_so(ingested: Workspace) -> None:
    path = ingested.output_folder / "finaldata.csv"
    assert train(ingested).notices == ()
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line[:-1] + str(1 - int(line[-1])) for line in lines[1:])]) + "\n")
    assert train(ingested).notices == (
        "finaldata.csv is not what ingestion makes of the deliveries: holdfast ingest writes it anew",
    )


def test_a_model_of_an_older_dataset_says_so(ingested: Workspace, deliver: Deliver) -> None:
    path = ingested.output_folder / "finaldata.csv"
    older, record = path.read_bytes(), (ingested.output_folder / "ingestedfiles.txt").read_bytes()
    deliver(ingested.input_folder, "later.csv", ["new,1,2,3,0"])
    ingest(ingested)
    path.write_bytes(older)
    (ingested.output_folder / "ingestedfiles.txt").write_bytes(record)
    assert any("is not what ingestion makes of the deliveries" in notice for notice in train(ingested).notices)
