"""A new workspace: everything there, nothing overwritten, and a table of any shape ready to run."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from holdfast.errors import CannotWrite, ConfigurationError, UsageError
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sources.inference import Roles
from holdfast.steps.ingestion import ingest
from holdfast.steps.initialisation import FOLDERS, init_empty, init_from
from holdfast.steps.scoring import score
from holdfast.steps.training import train
from holdfast.workspace import CONFIG_NAME, Workspace

Deliver = Callable[..., Path]
SCRIPTS = {
    "ingestion.py",
    "training.py",
    "scoring.py",
    "deployment.py",
    "diagnostics.py",
    "reporting.py",
    "app.py",
    "wsgi.py",
    "apicalls.py",
    "fullprocess.py",
}
FIVE_KEYS = {
    "input_folder_path": "practicedata",
    "output_folder_path": "ingesteddata",
    "test_data_path": "testdata",
    "output_model_path": "practicemodels",
    "prod_deployment_path": "production_deployment",
}
CHURN = "customer_id,visits,plan,churned\n" + "".join(
    f"k{i},{i % 9}.5,{'ab'[i % 2]},{'yes' if i % 3 else 'no'}\n" for i in range(60)
)


def test_an_empty_workspace_has_the_folders_the_five_keys_and_the_ten_scripts(tmp_path: Path) -> None:
    record = init_empty(tmp_path / "new" / "company")
    root = tmp_path / "new" / "company"
    assert {path.name for path in root.iterdir()} == {*FOLDERS, CONFIG_NAME, *SCRIPTS}
    assert json.loads((root / CONFIG_NAME).read_text()) == FIVE_KEYS
    assert record.workspace == str(root)
    assert Workspace.open(root).schema == BRIEF_SCHEMA


def test_a_script_is_short_and_says_which_command_it_is(tmp_path: Path) -> None:
    init_empty(tmp_path)
    for name in SCRIPTS:
        text = (tmp_path / name).read_text()
        assert len(text.splitlines()) <= 8
        compile(text, name, "exec")


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "sourcedata").mkdir()
    (tmp_path / "sourcedata" / "mine.csv").write_text("mine")
    (tmp_path / "training.py").write_text("mine")
    (tmp_path / CONFIG_NAME).write_text("{}")
    (tmp_path / "app.py").symlink_to("nowhere")
    record = init_empty(tmp_path)
    assert {"sourcedata/", "training.py", CONFIG_NAME, "app.py"} <= set(record.left_alone)
    assert (tmp_path / "training.py").read_text() == "mine"
    assert (tmp_path / CONFIG_NAME).read_text() == "{}"
    assert (tmp_path / "sourcedata" / "mine.csv").read_text() == "mine"
    assert (tmp_path / "app.py").is_symlink()


def test_a_second_time_makes_nothing(tmp_path: Path) -> None:
    first = init_empty(tmp_path)
    second = init_empty(tmp_path)
    assert second.created == ()
    assert set(second.left_alone) == set(first.created)


def test_a_file_where_the_workspace_should_be_is_a_known_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite):
        init_empty(tmp_path / "file")


# ---- from a table


def test_a_table_of_another_shape_is_ready_to_run(tmp_path: Path) -> None:
    (tmp_path / "churn.csv").write_text(CHURN)
    record = init_from(tmp_path / "company", tmp_path / "churn.csv", Roles())
    workspace = Workspace.open(tmp_path / "company")
    assert (workspace.schema.client.name, workspace.schema.target.name) == ("customer_id", "churned")
    assert (workspace.schema.target.exited, workspace.schema.target.stayed) == ("yes", "no")
    assert (tmp_path / "company" / "sourcedata" / "churn.csv").read_text() == CHURN
    assert "sourcedata/churn.csv" in record.created
    assert workspace.source == "sourcedata"
    assert ingest(workspace).quarantined == 0
    assert train(workspace).held_out > 0
    assert score(workspace).rows > 0


def test_the_briefs_own_table_needs_no_schema(
    tmp_path: Path, deliver: Deliver, clients: Callable[..., list[str]]
) -> None:
    table = deliver(tmp_path, "clients.csv", clients(50, 1))
    init_from(tmp_path / "company", table, Roles())
    config = json.loads((tmp_path / "company" / CONFIG_NAME).read_text())
    assert config == FIVE_KEYS | {"input_folder_path": "sourcedata", "output_model_path": "models", "holdout": 0.2}


@pytest.mark.parametrize(
    "line", ["c{0},{1}.5,{1},{1},{2}", "c{0},{1},{1},{1},{3}", "c{0},,{1},{1},{2}"], ids=["numbers", "labels", "gaps"]
)
def test_the_briefs_columns_with_other_contents_get_a_schema_of_their_own(
    tmp_path: Path, deliver: Deliver, line: str
) -> None:
    lines = [line.format(i, i % 7, i % 2, ("no", "yes")[i % 2]) for i in range(50)]
    whole = ["w,1.5,1,1,1"] if "{3}" not in line else []
    table = deliver(tmp_path, "clients.csv", [*lines, *whole])
    init_from(tmp_path / "company", table, Roles())
    record = ingest(Workspace.open(tmp_path / "company"))
    assert (record.quarantined, record.rows) == (0, 50 + len(whole))


def test_a_table_that_is_not_called_csv_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "churn.txt").write_text(CHURN)
    init_from(tmp_path / "company", tmp_path / "churn.txt", Roles())
    assert ingest(Workspace.open(tmp_path / "company")).accepted == 60


@pytest.mark.parametrize("name", ["churn.csv.gz", "churn.parquet", "Churn.XLSX", ".churn.csv", "bad\udcff\n.csv"])
def test_a_table_of_any_kind_is_copied_as_what_it_is_and_ready_to_run(tmp_path: Path, name: str) -> None:
    frame, table = pd.read_csv(io.StringIO(CHURN)), tmp_path / name
    if name.endswith("parquet"):
        frame.to_parquet(table)
    elif name.endswith("XLSX"):
        with table.open("wb") as stream:
            frame.to_excel(stream, index=False, engine="openpyxl")
    else:
        table.write_bytes(gzip.compress(CHURN.encode()) if name.endswith("gz") else CHURN.encode())
    record = init_from(tmp_path / "company", table, Roles())
    (copy,) = (tmp_path / "company" / "sourcedata").iterdir()
    assert copy.name == name.lstrip(".")
    assert copy.read_bytes() == table.read_bytes()
    assert all(created.isprintable() for created in record.created)
    taken = ingest(Workspace.open(tmp_path / "company"))
    assert (taken.accepted, taken.quarantined) == (60, 0)


def test_a_workspace_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "churn.csv").write_text(CHURN)
    init_empty(tmp_path / "company")
    with pytest.raises(ConfigurationError, match="a workspace here already"):
        init_from(tmp_path / "company", tmp_path / "churn.csv", Roles())


def test_a_table_without_a_target_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("name,amount\nx,1\ny,2\n")
    with pytest.raises(UsageError):
        init_from(tmp_path / "company", tmp_path / "table.csv", Roles())
    assert not (tmp_path / "company").exists()


def test_roles_that_are_given_are_taken(tmp_path: Path) -> None:
    text = CHURN.replace("churned", "outcome").replace("customer_id", "name")
    (tmp_path / "table.csv").write_text(text)
    init_from(tmp_path / "company", tmp_path / "table.csv", Roles(client="name", target="outcome"))
    schema = Workspace.open(tmp_path / "company").schema
    assert (schema.client.name, schema.target.name) == ("name", "outcome")


@pytest.mark.parametrize(
    ("given", "exited", "stayed"), [("Active", "Active", "Dormant"), (" dormant", "Dormant", "Active")]
)
def test_the_value_that_means_exited_is_taken_as_given(tmp_path: Path, given: str, exited: str, stayed: str) -> None:
    (tmp_path / "table.csv").write_text(CHURN.replace(",yes", ",Active").replace(",no", ",Dormant"))
    record = init_from(tmp_path / "company", tmp_path / "table.csv", Roles(exited=given))
    target = Workspace.open(tmp_path / "company").schema.target
    assert (target.exited, target.stayed) == (exited, stayed)
    assert not any("is taken to mean" in notice for notice in record.notices)


def test_a_value_that_the_target_does_not_hold_is_answered_with_those_that_it_does(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(CHURN)
    with pytest.raises(UsageError, match="does not hold this value") as caught:
        init_from(tmp_path / "company", tmp_path / "table.csv", Roles(exited="Churned"))
    assert (caught.value.column, caught.value.value) == ("churned", "Churned")
    assert {"'no'", "'yes'"} <= set(str(caught.value.hint).replace(":", " ").split())
    assert not (tmp_path / "company").exists()
