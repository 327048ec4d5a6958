"""Lineage: every row leads to the deliveries and lines that say it, and every model and list to its deliveries."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.errors import UsageError
from holdfast.records import Lineage, TracedRow
from holdfast.steps.assessment import assess
from holdfast.steps.datasets import tidy
from holdfast.steps.erasure import erase
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import repair, replay
from holdfast.steps.tracing import trace_assessment, trace_client, trace_delivery, trace_model, trace_row
from holdfast.steps.training import train
from holdfast.store.ledger import Ledger
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
Fields = tuple[str, ...]
COLUMNS = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited")
LATER = "later,5,50,6,1"


def fields_of(client: str, number: int) -> tuple[str, int, int, int, int]:
    return client, number, 10 * number, number + 1, number % 2


def line_of(client: str, number: int) -> str:
    return ",".join(map(str, fields_of(client, number)))


def configured(workspace: Workspace, **settings: object) -> Workspace:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return Workspace.open(workspace.root)


@pytest.fixture(scope="module")
def company_of_all_kinds(
    make_company: Callable[[Path], Workspace], deliver: Deliver, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Deliveries of all kinds, in which rows repeat, replace each other, and wait in quarantine."""
    workspace = make_company(tmp_path_factory.mktemp("built") / "company")
    folder = workspace.input_folder
    for path in folder.iterdir():
        path.unlink()
    lines = ["first,0,0,1,0", '"comma, inc",3,30,4,0', "broken,x,1,1,0", line_of("again", 2), line_of("again", 2)]
    deliver(folder, "a.csv", lines)
    packed = "".join(f"{line}\n" for line in (",".join(COLUMNS), line_of("packed", 4), line_of("again", 2)))
    (folder / "b.csv.gz").write_bytes(gzip.compress(packed.encode()))
    rows = [fields_of("column", 7), fields_of("again", 2), ("Zoë", 1, 2, 3, None)]
    pq.write_table(pa.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))), folder / "c.parquet")
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (COLUMNS, fields_of("sheet", 8), fields_of("replaced", 9)):
        book.active.append(list(row))
    book.save(folder / "d.xlsx")
    with closing(sqlite3.connect(workspace.root / "crm.sqlite")) as database, database:
        database.execute(f"CREATE TABLE clients ({', '.join(COLUMNS)}, changed INTEGER)")
        told = [(*fields_of("table", 6), 1), (*fields_of("replaced", 10), 2)]
        database.executemany("INSERT INTO clients VALUES (?, ?, ?, ?, ?, ?)", told)
    source = {"name": "crm", "database": "sqlite:///crm.sqlite", "table": "clients", "watermark": "changed"}
    ingest(configured(workspace, sources=[source]))
    return workspace.root


@pytest.fixture
def mixed(company_of_all_kinds: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(company_of_all_kinds, tmp_path / "company")
    return Workspace.open(tmp_path / "company")


def final_rows(workspace: Workspace) -> list[Fields]:
    with (workspace.output_folder / "finaldata.csv").open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert tuple(header) == COLUMNS
    return [tuple(row) for row in rows]


def values_of(row: TracedRow) -> Fields:
    return tuple(row.values[name] or "" for name in COLUMNS)


def said_at(delivered: Path, line: int) -> Fields:
    """The fields of a line of a delivered file: a row of Parquet or of a table counts from 1, of a sheet with it."""
    if delivered.suffix == ".parquet":
        fields: list[Any] = list(pq.read_table(delivered).to_pylist()[line - 1].values())
    elif delivered.suffix == ".xlsx":
        sheet = openpyxl.load_workbook(delivered).active
        fields = [cell.value for cell in sheet[line]]
    elif delivered.suffix == ".sqlite":
        with closing(sqlite3.connect(delivered)) as database:
            told = database.execute(f"SELECT {', '.join(COLUMNS)} FROM clients ORDER BY changed")
            fields = list(told.fetchall()[line - 1])
    else:
        data = delivered.read_bytes()
        text = (gzip.decompress(data) if delivered.suffix == ".gz" else data).decode()
        (fields,) = csv.reader([text.splitlines()[line - 1]])
    return tuple("" if field is None else str(field) for field in fields)


def traces(workspace: Workspace) -> Iterator[tuple[Fields, Lineage]]:
    """Every row of finaldata.csv and its lineage."""
    for number, row in enumerate(final_rows(workspace), 1):
        yield row, trace_row(workspace, number)


def places(lineage: Lineage) -> list[tuple[str, int, str]]:
    return [(row.file, row.line, row.state) for row in lineage.rows]


# ---- rows


def test_every_row_of_finaldata_leads_to_lines_that_say_it(mixed: Workspace) -> None:
    seen = set()
    for row, lineage in traces(mixed):
        assert [values_of(each) for each in lineage.rows if each.state == "current"] == [row]
        for each in lineage.rows:
            delivered = mixed.root / "crm.sqlite" if each.folder == "crm" else mixed.input_folder / each.file
            assert said_at(delivered, each.line) == values_of(each) == row
            seen.add(delivered.suffix)
    assert seen == {".csv", ".gz", ".parquet", ".xlsx", ".sqlite"}


def test_compaction_changes_no_lineage(mixed: Workspace) -> None:
    clients = ("again", "replaced", "Zoë")
    before = [trace_client(mixed, client) for client in clients]
    assert tidy(mixed).merged == 5
    assert [trace_client(mixed, client) for client in clients] == before


def test_a_repeated_row_lists_every_place_where_it_was_delivered(mixed: Workspace) -> None:
    lineage = trace_client(mixed, "again")
    assert places(lineage) == [
        ("a.csv", 5, "current"),
        ("a.csv", 6, "duplicate"),
        ("b.csv.gz", 3, "duplicate"),
        ("c.parquet", 2, "duplicate"),
    ]
    assert [file.name for file in lineage.deliveries] == ["a.csv", "b.csv.gz", "c.parquet"]


def test_a_replaced_row_names_the_delivery_that_replaced_it(mixed: Workspace) -> None:
    old, new = trace_client(mixed, "replaced").rows
    assert (old.file, old.line, old.state, old.replaced_by) == ("d.xlsx", 3, "replaced", new.delivery)
    assert (new.folder, new.line, new.state) == ("crm", 2, "current")


def test_a_missing_cell_is_none(mixed: Workspace) -> None:
    (row,) = trace_client(mixed, "Zoë").rows
    assert row.values["exited"] is None


def test_a_repaired_row_is_found_under_the_line_that_it_had(mixed: Workspace) -> None:
    repair(mixed, "1:4", {"lastmonth_activity": "1"})
    replay(mixed)
    assert places(trace_client(mixed, "broken")) == [("a.csv (repaired)", 4, "current")]
    assert trace_delivery(mixed, 1).notices == ("repaired rows of it are delivery 6",)


def test_rows_of_a_superseded_delivery_are_no_longer_found(mixed: Workspace, deliver: Deliver) -> None:
    deliver(mixed.input_folder, "a.csv", ["first,0,0,1,0", LATER])
    ingest(mixed)
    with pytest.raises(UsageError, match="no row of client 'comma, inc'"):
        trace_client(mixed, "comma, inc")
    assert places(trace_client(mixed, "again")) == [("b.csv.gz", 3, "current"), ("c.parquet", 2, "duplicate")]


def test_after_an_erasure_rows_lead_to_the_lines_as_delivered_and_that_is_said(mixed: Workspace) -> None:
    others = ("first", "again", "table")
    before = [trace_client(mixed, client).rows for client in others]
    erase(mixed, "comma, inc", "case 1")
    assert [trace_client(mixed, client).rows for client in others] == before
    notice = "a.csv: lines are those of the file as it was delivered; a client was erased from it since"
    assert trace_client(mixed, "first").notices == (notice,)
    with pytest.raises(UsageError):
        trace_client(mixed, "comma, inc")


def test_a_row_is_found_between_the_commit_and_its_record(
    mixed: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    deliver(mixed.input_folder, "e.csv", [LATER])
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_delivery", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(mixed)
    assert places(trace_client(mixed, "later")) == [("e.csv", 2, "current")]


def test_a_client_that_is_not_there_is_told(mixed: Workspace) -> None:
    for client in ("nobody", "FIRST", "first ", "", "broken", "'; DROP TABLE clients; --"):
        with pytest.raises(UsageError, match="is in the dataset") as caught:
            trace_client(mixed, client)
        assert "compared exactly" in str(caught.value.hint)


def test_a_row_that_is_not_there_is_told(mixed: Workspace) -> None:
    for row in (0, -1, 10, 10**12):
        with pytest.raises(UsageError, match=f"finaldata.csv has no row {row}"):
            trace_row(mixed, row)


def test_in_a_workspace_in_which_nothing_has_happened_nothing_is_found(company: Workspace) -> None:
    asked: tuple[tuple[Callable[..., Lineage], object], ...] = (
        (trace_client, "c1-0"),
        (trace_row, 1),
        (trace_model, "abcdef"),
        (trace_assessment, None),
        (trace_delivery, 1),
    )
    for trace, what in asked:
        with pytest.raises(UsageError):
            trace(company, what)
    assert not company.ledger_file.exists()


# ---- models, assessments, deliveries


@pytest.fixture(scope="module")
def company_with_two_models(
    company_that_ran: Path,
    clients: Callable[..., list[str]],
    deliver: Deliver,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The first model is deployed and made a list; the second one learned from delivery 3, too; 1 was superseded."""
    folder = tmp_path_factory.mktemp("built") / "company"
    shutil.copytree(company_that_ran, folder, symlinks=True)
    workspace = Workspace.open(folder)
    assess(workspace)
    deliver(workspace.input_folder, "more.csv", clients(50, 8))
    ingest(workspace)
    train(workspace)
    assess(workspace)
    deliver(workspace.input_folder, "dataset1.csv", clients(20, 9))
    ingest(workspace)
    return folder


@pytest.fixture
def two_models(company_with_two_models: Path) -> Workspace:
    """Not to be changed."""
    return Workspace.open(company_with_two_models)


def numbers(lineage: Lineage) -> list[int]:
    return [file.number for file in lineage.deliveries]


def test_a_model_leads_to_the_deliveries_that_it_learned_from(two_models: Workspace) -> None:
    first, second = trace_delivery(two_models, 1).models
    assert numbers(trace_model(two_models, first.digest)) == [1, 2]
    assert numbers(trace_model(two_models, second.digest)) == [1, 2, 3]
    assert (first.rows, second.rows) == (300, 350)


def test_a_model_is_known_by_the_beginning_of_its_digest_or_by_a_release(two_models: Workspace) -> None:
    whole = trace_model(two_models, trace_delivery(two_models, 1).models[0].digest)
    (model,) = whole.models
    (release,) = model.releases
    assert trace_model(two_models, model.digest[:6]) == whole
    assert trace_model(two_models, release) == whole
    assert len(whole.assessments) == 2, "both lists were made by the release"


@pytest.mark.parametrize("digest", ["", "abc", "0001", "no such model", "0" * 64])
def test_an_unknown_model_is_answered_with_those_that_are_known(two_models: Workspace, digest: str) -> None:
    models = trace_delivery(two_models, 1).models
    with pytest.raises(UsageError, match="is not one model or release") as caught:
        trace_model(two_models, digest)
    hint = str(caught.value.hint)
    assert all(model.digest[:12] in hint for model in models)
    assert models[0].releases[0] in hint


def test_a_list_leads_to_its_model_and_the_deliveries_behind_it(two_models: Workspace) -> None:
    latest, first = trace_assessment(two_models, None), trace_assessment(two_models, 1)
    assert (latest.subject, numbers(latest), numbers(first)) == ("assessment 2", [1, 2, 3], [1, 2])
    assert latest.models == first.models == trace_delivery(two_models, 1).models[:1]


@pytest.mark.parametrize("number", [0, 3, -1])
def test_an_unknown_list_is_answered_with_how_many_there_are(two_models: Workspace, number: int) -> None:
    with pytest.raises(UsageError, match="there is no such assessment") as caught:
        trace_assessment(two_models, number)
    assert "there are 2" in str(caught.value.hint)


def test_a_delivery_leads_to_all_that_rests_on_it(two_models: Workspace) -> None:
    found = {number: trace_delivery(two_models, number) for number in (1, 2, 3, 4)}
    assert {number: len(each.models) for number, each in found.items()} == {1: 2, 2: 2, 3: 1, 4: 0}
    assert {number: len(each.assessments) for number, each in found.items()} == {1: 2, 2: 2, 3: 1, 4: 0}
    assert numbers(found[1]) == [1]
    assert (found[1].notices, found[2].notices) == (("superseded by delivery 4 (dataset1.csv)",), ())


def test_a_client_leads_to_the_models_and_lists_that_rest_on_its_deliveries(two_models: Workspace) -> None:
    old, new = trace_client(two_models, "c2-0"), trace_client(two_models, "c8-0")
    assert (len(old.models), len(old.assessments)) == (2, 2)
    assert (len(new.models), len(new.assessments)) == (1, 1)


def test_an_unknown_delivery_is_told(two_models: Workspace) -> None:
    with pytest.raises(UsageError, match="there is no delivery 5"):
        trace_delivery(two_models, 5)


def test_a_model_trained_after_an_erasure_leads_to_its_deliveries(running: Workspace) -> None:
    erase(running, "c1-0", "case 1")
    model = trace_model(running, train(running).model_digest)
    assert (numbers(model), model.notices) == ([1, 2], ())
    assess(running)
    assert numbers(trace_assessment(running, None)) == [1, 2]
