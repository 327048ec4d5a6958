"""Where a workspace keeps things, and whose each file is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.erasing.places import MADE_IN_MODEL_FOLDER, MODEL, Places
from holdfast.records import to_json
from holdfast.steps.assessment import assess
from holdfast.steps.quarantine import list_quarantine
from holdfast.steps.status import status
from holdfast.workspace import Workspace


def configured(workspace: Workspace, **settings: object) -> Workspace:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return Workspace.open(workspace.root)


def test_everything_that_is_written_to_the_model_folder_is_known_as_holdfasts_own(running: Workspace) -> None:
    assess(running)
    written = {path.name for path in running.model_folder.iterdir()}
    assert written <= {*MADE_IN_MODEL_FOLDER, *MODEL}
    assert {"assessment.json", "diagnostics.json", "report.html", "model.json"} <= written


def test_everything_that_a_run_leaves_in_a_workspace_is_holdfasts_own_or_never_changed(running: Workspace) -> None:
    assess(running)
    places = Places(running)
    theirs = [path for path in places.files() if places.whose(path) == "company"]
    delivered = [running.input_folder, running.test_folder]
    assert [path for path in theirs if path.parent not in delivered] == []


@pytest.mark.parametrize(
    ("place", "whose"),
    [
        ("config.json", "kept"),
        ("training.py", "kept"),
        ("lib/training.py", "company"),
        ("practicemodels/model.json", "kept"),
        ("models/model.json", "company"),
        ("production_deployment/releases/0001-x/notes.txt", "kept"),
        ("production_deployment/latestscore.txt", "kept"),
        ("production_deployment/mine.csv", "company"),
        ("ingesteddata/finaldata.csv", "ours"),
        ("ingesteddata/finaldata.csv.bak", "company"),
        ("ingesteddata/quarantine/000001.parquet", "ours"),
        ("practicemodels/assessment.csv", "ours"),
        ("practicemodels/mine.json", "company"),
        ("logs/cron.log.3", "ours"),
        (".holdfast/lastrun.json", "ours"),
        ("erasures/0123-1.json", "ours"),
        ("practicedata/dataset1.csv", "company"),
    ],
)
def test_a_file_is_somebodys_by_its_place_and_name(company: Workspace, place: str, whose: str) -> None:
    assert Places(company).whose(company.root / place) == whose


def test_a_record_that_somebody_had_printed_to_a_file_is_holdfasts_own(running: Workspace) -> None:
    for number, record in enumerate((assess(running), status(running), list_quarantine(running))):
        path = running.root / f"{number}.json"
        path.write_text(json.dumps(to_json(record)))
        assert Places(running).whose(path) == "ours"


@pytest.mark.parametrize("data", ["[]", "{}", "3", '{"deliveries": "acme", "refused": []}', "no JSON", "[" * 99_999])
def test_other_json_is_not(company: Workspace, data: str) -> None:
    path = company.root / "mine.json"
    path.write_text(data)
    assert Places(company).whose(path) == "company"


def test_no_file_lies_in_two_places(company: Workspace, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    (outer / "models").mkdir(parents=True)
    urls = {"output_folder_path": f"file://{outer}", "output_model_path": f"file://{outer}/models"}
    workspace = configured(company, **urls)
    for path in (outer / "a", outer / "models" / "b"):
        path.write_text("")
    files = list(Places(workspace).files())
    assert len(files) == len(set(files))
    assert {outer / "a", outer / "models" / "b"} <= set(files)


def test_a_folder_that_is_not_there_is_no_place(company: Workspace, tmp_path: Path) -> None:
    workspace = configured(company, output_folder_path=f"file://{tmp_path}/nowhere")
    assert [place.folder for place in Places(workspace)] == [company.root]
