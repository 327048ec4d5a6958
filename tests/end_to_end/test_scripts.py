"""The ten scripts of a workspace as a user of the course project runs them: from anywhere, practice then source."""

from __future__ import annotations

import ast
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOLDFAST = (sys.executable, "-m", "holdfast")
ORDER = ("ingestion", "training", "scoring", "deployment", "diagnostics", "reporting", "fullprocess")
SCRIPTS = (*ORDER, "app", "apicalls", "wsgi")
ELSEWHERE = "/"


def script(workspace: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One script, started from another directory in an environment like cron's."""
    return subprocess.run(
        [sys.executable, str(workspace / f"{name}.py"), *arguments],
        cwd=ELSEWHERE,
        env={"HOME": os.environ.get("HOME", "/"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def practised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after the seven scripts that end by themselves have run on practice data."""
    workspace = tmp_path_factory.mktemp("company") / "demo"
    done = subprocess.run([*HOLDFAST, "init", str(workspace), "--demo"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ORDER:
        done = script(workspace, name)
        assert (name, done.returncode, done.stderr) == (name, 0, "")
    return workspace


@pytest.fixture(scope="module")
def switched(practised: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same workspace after its configuration was switched to source data and the full process has run."""
    workspace = tmp_path_factory.mktemp("later") / "demo"
    shutil.copytree(practised, workspace, symlinks=True)
    config = json.loads((workspace / "config.json").read_text())
    config |= {"input_folder_path": "/sourcedata/", "output_model_path": "/models/"}
    (workspace / "config.json").write_text(json.dumps(config))
    done = script(workspace, "fullprocess")
    assert (done.returncode, done.stderr) == (0, "")
    assert "decision: retrain" in done.stdout
    return workspace


def test_a_workspace_has_the_ten_scripts(practised: Path) -> None:
    assert {path.stem for path in practised.glob("*.py")} == set(SCRIPTS)


def test_a_script_is_about_five_lines(practised: Path) -> None:
    for path in practised.glob("*.py"):
        code = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith('"""')]
        assert len(code) <= 5, path.name


def test_the_configuration_has_the_five_keys_and_begins_with_practice(practised: Path) -> None:
    config = json.loads((practised / "config.json").read_text())
    assert config == {
        "input_folder_path": "practicedata",
        "output_folder_path": "ingesteddata",
        "test_data_path": "testdata",
        "output_model_path": "practicemodels",
        "prod_deployment_path": "production_deployment",
    }


def test_finaldata_holds_every_distinct_row_of_the_practice_files(practised: Path) -> None:
    delivered = [
        line for path in sorted((practised / "practicedata").iterdir()) for line in path.read_text().splitlines()
    ]
    final = (practised / "ingesteddata" / "finaldata.csv").read_text().splitlines()
    assert final[0] == "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"
    assert len(final) == len(set(final))
    assert set(final) == set(delivered)


def test_ingestedfiles_is_a_python_list_of_file_names(practised: Path) -> None:
    text = (practised / "ingesteddata" / "ingestedfiles.txt").read_text()
    assert ast.literal_eval(text) == ["dataset1.csv", "dataset2.csv"]


def test_latestscore_is_the_number_alone(practised: Path) -> None:
    assert 0.3 < float((practised / "practicemodels" / "latestscore.txt").read_text()) < 1


def test_production_holds_the_same_bytes_as_the_originals(practised: Path) -> None:
    production = practised / "production_deployment"
    for name, folder in (("trainedmodel.pkl", "practicemodels"), ("latestscore.txt", "practicemodels")):
        assert (production / name).read_bytes() == (practised / folder / name).read_bytes()
    assert (production / "ingestedfiles.txt").read_bytes() == (
        practised / "ingesteddata/ingestedfiles.txt"
    ).read_bytes()


def test_the_deployed_pickle_predicts_with_scikit_learn_alone(practised: Path) -> None:
    code = """
import pickle, sys, warnings
warnings.simplefilter("error")
import pandas
model = pickle.load(open("production_deployment/trainedmodel.pkl", "rb"))
rows = pandas.read_csv("testdata/testdata.csv")
print(model.predict(rows[["lastmonth_activity", "lastyear_activity", "number_of_employees"]]).sum())
assert not [name for name in sys.modules if name.startswith("holdfast")]
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=practised, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answered = json.loads((practised / "practicemodels" / "diagnostics.json").read_text())["predictions"]["predictions"]
    assert int(done.stdout) == sum(answer["prediction"] for answer in answered)


def test_diagnostics_saves_everything_that_the_brief_asks_for(practised: Path) -> None:
    saved = json.loads((practised / "practicemodels" / "diagnostics.json").read_text())
    numbers = {column["column"]: column for column in saved["columns"] if column["mean"] is not None}
    assert set(numbers) == {"lastmonth_activity", "lastyear_activity", "number_of_employees"}
    assert all({"median", "standard_deviation", "missing_percent"} <= set(column) for column in numbers.values())
    assert [timing["step"] for timing in saved["timings"]] == ["ingest", "train", "score"]
    assert all(timing["seconds"] > 0 for timing in saved["timings"])
    assert (practised / "logs" / "outdated.txt").read_text().strip()


def test_reporting_draws_the_confusion_matrix_and_one_page(practised: Path) -> None:
    assert (practised / "practicemodels" / "confusionmatrix.png").read_bytes().startswith(b"\x89PNG")
    assert 10_000 < (practised / "practicemodels" / "report.html").stat().st_size < 1_000_000


def test_the_world_has_moved_and_the_full_process_redeploys(practised: Path, switched: Path) -> None:
    def score(folder: Path) -> float:
        return float((folder / "production_deployment" / "latestscore.txt").read_text())

    assert len(list((switched / "production_deployment" / "releases").iterdir())) == 2
    assert score(switched) > score(practised)
    assert ast.literal_eval((switched / "production_deployment" / "ingestedfiles.txt").read_text()) == [
        "dataset3.csv",
        "dataset4.csv",
    ]


def test_a_second_full_process_finds_nothing_new(switched: Path) -> None:
    done = script(switched, "fullprocess")
    assert done.returncode == 0
    assert "decision: nothing" in done.stdout


def test_the_list_ranks_every_current_client(switched: Path) -> None:
    done = subprocess.run(
        [*HOLDFAST, "assess", "--workspace", str(switched), "--top", "5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with (switched / "models" / "assessment.csv").open(newline="") as stream:
        ranked = list(csv.DictReader(stream))
    with (switched / "ingesteddata" / "finaldata.csv").open(newline="") as stream:
        stayed = {row["corporation"] for row in csv.DictReader(stream) if row["exited"] == "0"}
    assert {row["client"] for row in ranked} == stayed
    assert [float(row["probability"]) for row in ranked] == sorted(
        (float(r["probability"]) for r in ranked), reverse=True
    )
    assert ranked[0]["client"] in done.stdout
