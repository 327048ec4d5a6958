"""The list: every current client once, riskiest first, with reasons that add up."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import NothingDeployed, NoUsableData, UsageError
from holdfast.formulas import safe_cell
from holdfast.records import Assessment, ClientRisk, from_json
from holdfast.schema import schema_from_json
from holdfast.session import reading
from holdfast.steps.assessment import assess, list_csv
from holdfast.steps.deployment import deploy
from holdfast.steps.ingestion import ingest
from holdfast.steps.scoring import score
from holdfast.steps.training import train
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]


@pytest.fixture
def small(running: Workspace, deliver: Deliver) -> Workspace:
    """A workspace whose dataset is small and known, with the model that learned from the larger one."""
    source = replace(running, input_folder=running.root / "sourcedata")
    lines = ["a,400,4000,10,0", "b,10,100,20,0", "gone,10,100,20,1", "c,200,2000,30,", "back,10,100,20,1"]
    deliver(source.input_folder, "1.csv", lines)
    deliver(source.input_folder, "2.csv", ["a,5,50,10,0", "back,100,900,20,0", "d,200,2000,30,0"])
    ingest(source)
    return source


def by_client(assessment: Assessment) -> dict[str, ClientRisk]:
    return {client.client: client for client in assessment.clients}


def test_the_newest_row_of_each_client_counts(small: Workspace) -> None:
    values = {name: client.values for name, client in by_client(assess(small)).items()}
    assert values["a"] == (5.0, 50.0, 10.0)
    assert values["back"] == (100.0, 900.0, 20.0)


def test_clients_that_exited_are_absent_and_unlabelled_ones_are_there(small: Workspace) -> None:
    assert set(by_client(assess(small))) == {"a", "b", "c", "d", "back"}


def test_ranks_count_from_one_by_falling_risk_and_ties_go_by_client(small: Workspace) -> None:
    clients = assess(small).clients
    assert [client.rank for client in clients] == [1, 2, 3, 4, 5]
    assert [(-c.probability, c.client) for c in clients] == sorted((-c.probability, c.client) for c in clients)
    same = by_client(assess(small))
    assert same["c"].probability == same["d"].probability
    assert same["d"].rank == same["c"].rank + 1


def test_contributions_and_base_add_up_to_the_log_odds(running: Workspace) -> None:
    assessment = assess(running)
    for client in assessment.clients:
        odds = assessment.base + math.fsum(client.contributions)
        assert odds == pytest.approx(math.log(client.probability / (1 - client.probability)), abs=1e-9)
    assert assessment.expected_exits == pytest.approx(math.fsum(c.probability for c in assessment.clients))


def test_the_list_names_what_it_rests_on(small: Workspace) -> None:
    assessment = assess(small)
    assert assessment.release == (small.deployment_folder / "current").readlink().name
    with reading(small) as (ledger, _):
        assert ledger.last_assessment() == assessment.created


def test_the_same_data_gives_the_same_list(small: Workspace) -> None:
    assert assess(small).clients == assess(small).clients


# ---- files


def test_the_json_file_is_the_record(small: Workspace) -> None:
    assessment = assess(small)
    assert from_json(Assessment, json.loads((small.model_folder / "assessment.json").read_text())) == assessment


def test_the_csv_file_holds_every_client_in_order(small: Workspace) -> None:
    assessment = assess(small)
    rows = list(csv.DictReader(io.StringIO((small.model_folder / "assessment.csv").read_bytes().decode(), newline="")))
    assert [row["client"] for row in rows] == [client.client for client in assessment.clients]
    for row, client in zip(rows, assessment.clients, strict=True):
        assert int(row["rank"]) == client.rank
        assert float(row["probability"]) == pytest.approx(client.probability, abs=1e-6)
        assert [float(row[name]) for name in assessment.features] == list(client.values)
        shares = [float(row[f"contribution_{name}"]) for name in assessment.features]
        assert shares == pytest.approx(client.contributions, abs=1e-6)


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")']


def test_client_ids_that_look_like_formulas_get_an_apostrophe_and_numbers_stay_numbers(
    running: Workspace, deliver: Deliver
) -> None:
    quoted = [client.replace('"', '""') for client in FORMULAS]
    deliver(running.input_folder, "new.csv", [f'"{client}",1,2,3,0' for client in quoted])
    ingest(running)
    assess(running)
    rows = list(
        csv.DictReader(io.StringIO((running.model_folder / "assessment.csv").read_bytes().decode(), newline=""))
    )
    written = {row["client"]: row for row in rows}
    for formula in FORMULAS:
        assert f"'{formula}" in written
        assert formula not in written
    number = next(value for row in rows for name, value in row.items() if value.startswith("-"))
    assert float(number) < 0


@given(st.text())
def test_no_cell_begins_like_a_formula_and_its_text_is_kept(text: str) -> None:
    cell = safe_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\0"))
    assert cell in {text, f"'{text}"}


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"])), min_size=1, max_size=4, unique=True))
def test_a_list_of_any_client_ids_reads_back_as_csv(ids: list[str]) -> None:
    clients = tuple(
        ClientRisk(client=name, rank=rank, probability=0.5, values=(None, -1.5), contributions=(0.0, -2.0))
        for rank, name in enumerate(ids, 1)
    )
    assessment = Assessment(
        release="0001-m",
        model_digest="m",
        dataset_digest="d",
        created="now",
        features=("x", "=y"),
        base=0.0,
        expected_exits=1.0,
        clients=clients,
        files=(),
        notices=(),
        seconds=0.0,
    )
    header, *rows = csv.reader(io.StringIO(list_csv(assessment), newline=""), strict=True)
    assert header == ["rank", "client", "probability", "x", "'=y", "contribution_x", "contribution_=y"]
    assert [row[1] for row in rows] == [safe_cell(name) for name in ids]
    assert all(row[3:5] == ["", "-1.5"] for row in rows)


@pytest.mark.parametrize("name", ["clients.csv", "clients.json"])
def test_the_list_goes_to_a_file_elsewhere_if_one_is_named(small: Workspace, tmp_path: Path, name: str) -> None:
    for kept in ("assessment.csv", "assessment.json"):
        (small.model_folder / kept).unlink(missing_ok=True)
    (tmp_path / "lists").mkdir()
    assessment = assess(small, out=tmp_path / "lists" / name)
    text = (tmp_path / "lists" / name).read_bytes().decode()
    assert (json.loads(text)["clients"][0]["client"] if name.endswith("json") else text.split(",")[0]) in {"a", "rank"}
    assert not (small.model_folder / "assessment.csv").exists()
    assert assessment.files == (str(tmp_path / "lists" / name),)


@pytest.mark.parametrize("name", ["testdata/testdata.csv", "practicedata/new.csv", "ingesteddata/finaldata.csv"])
def test_a_list_does_not_go_where_the_workspace_keeps_its_own_files(small: Workspace, name: str) -> None:
    path = small.root / name
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(UsageError):
        assess(small, out=str(path))
    assert (path.read_bytes() if path.exists() else None) == before


def test_the_configuration_is_not_overwritten_by_a_list(small: Workspace) -> None:
    with pytest.raises(UsageError):
        assess(small, out=small.root / "config.json")


def test_a_list_makes_no_folder(small: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        assess(small, out=tmp_path / "nowhere" / "clients.csv")


@pytest.mark.parametrize("name", ["clients.txt", "clients", "clients.parquet"])
def test_another_kind_of_file_is_a_usage_error_and_nothing_is_written(
    small: Workspace, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError) as caught:
        assess(small, out=tmp_path / name)
    assert caught.value.exit_status == 64
    assert not (tmp_path / name).exists()


# ---- nothing to list


def test_before_the_first_release_there_is_no_list(ingested: Workspace) -> None:
    with pytest.raises(NothingDeployed):
        assess(ingested)


def test_without_data_there_is_no_list(running: Workspace) -> None:
    with pytest.raises(NoUsableData, match="holdfast ingest"):
        assess(replace(running, input_folder=running.root / "sourcedata"))


def test_when_everybody_has_exited_there_is_no_list(running: Workspace, deliver: Deliver) -> None:
    source = replace(running, input_folder=running.root / "sourcedata")
    deliver(source.input_folder, "1.csv", ["a,1,2,3,1"])
    ingest(source)
    with pytest.raises(NoUsableData):
        assess(source)


def test_the_newest_row_is_by_date_where_there_is_one(company: Workspace) -> None:
    features = {"visits": {"type": "number", "missing_allowed": True}}
    schema = schema_from_json({"client": "id", "target": "left", "time": "day", "features": features})
    workspace = replace(company, schema=schema, holdout=0.3)
    for folder in (workspace.input_folder, workspace.test_folder):
        for path in folder.iterdir():
            path.unlink()
    lines = [f"c{i},2026-01-{i % 28 + 1:02},{i},{i % 2}" for i in range(60)]
    lines += ["late,2026-03-01,7,0", "late,2026-02-01,8,0", "gap,2026-02-01,,0"]
    (workspace.input_folder / "a.csv").write_text("".join(f"{line}\n" for line in ("id,day,visits,left", *lines)))
    for step in (ingest, train, score, deploy):
        step(workspace)
    assessment = assess(workspace)
    assert by_client(assessment)["late"].values == (7.0,)
    assert by_client(assessment)["gap"].values == (None,)
    assert (workspace.model_folder / "assessment.csv").read_text().splitlines()[-1]
