"""Erasure: no byte of the client is left, no other row is lost, and nothing brings the client back."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from holdfast.dataset import table_of
from holdfast.erasing import apart, files, tables, texts
from holdfast.erasing.work import Work
from holdfast.errors import ConfigurationError, InputOutputError, NotPermitted, UsageError
from holdfast.records import ErasureReceipt, to_json
from holdfast.session import begin, exit_status_of, reading
from holdfast.steps import erasure, process
from holdfast.steps.assessment import assess
from holdfast.steps.datasets import export, history
from holdfast.steps.erasure import erase, plan_erasure
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import list_quarantine, repair, replay, show_quarantine
from holdfast.steps.status import status
from holdfast.steps.training import train
from holdfast.store.deltatable import DatasetTable
from holdfast.store.ledger import Ledger
from holdfast.store.releases import current_id
from holdfast.store.tombstones import Tombstones, make_key
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
COLUMNS = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited")
GONE = "zorgon-7"
REASON = "case 17"
BAD = (
    f"{GONE},many,1,1,0",  # quarantined
    f"{GONE},1,1",
    "other-1,many,1,1,0",
)
EXCEL_COLUMNS = {"Company": "corporation"} | {name.title(): name for name in COLUMNS[1:]}


def configured(workspace: Workspace, **settings: object) -> Workspace:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return Workspace.open(workspace.root)


def emptied(workspace: Workspace) -> Workspace:
    for path in workspace.input_folder.iterdir():
        path.unlink()
    return workspace


def row_of(client: str, number: int) -> tuple[str, int, int, int, int]:
    return client, number, 10 * number, number + 1, number % 2


def line_of(client: str, number: int) -> str:
    return ",".join(map(str, row_of(client, number)))


def gzipped(path: Path, lines: list[str]) -> None:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in (",".join(COLUMNS), *lines)).encode()))


def parquet(path: Path, rows: list[tuple[str, int, int, int, int]]) -> None:
    pq.write_table(pa.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))), path)


def workbook(path: Path, rows: list[tuple[str, int, int, int, int]]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (list(EXCEL_COLUMNS), *map(list, rows)):
        sheet.append(row)
    book.save(path)


def rows_in_workbook(path: Path) -> list[tuple[Any, ...]]:
    return list(openpyxl.load_workbook(path, read_only=True).active.iter_rows(values_only=True))


def places_left(receipt: ErasureReceipt) -> list[str]:
    return [each.place for each in receipt.remaining]


def final_data(workspace: Workspace) -> bytes:
    return (workspace.output_folder / "finaldata.csv").read_bytes()


def without(data: bytes, client: str) -> bytes:
    """A CSV file without the lines of a client, which is in the first field."""
    lines = data.decode().splitlines(keepends=True)
    return "".join(line for line in lines if next(csv.reader([line]))[0] != client).encode()


# ---- a search of our own: raw bytes, and what is packed in them


def found_below(folder: Path, client: str) -> list[str]:
    """Every file below the folder whose name, bytes, or unpacked bytes hold the client's id."""
    needle = client.encode()
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in paths if needle in b"\n".join(said_by(path))]


def said_by(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield path.name.encode()
    yield data  # every page of an SQLite file, too
    if data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    if data.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name)
    if data.startswith(b"PAR1"):
        file = pq.ParquetFile(path)
        yield repr(file.metadata.metadata).encode()
        yield repr(file.read().to_pydict()).encode()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.xlsx", f"{GONE}.txt"])
def test_the_search_of_these_tests_finds_the_client_in_every_kind_of_file(tmp_path: Path, name: str) -> None:
    path, rows = tmp_path / name, [row_of(GONE, 1)]
    writers: dict[str, Callable[[], object]] = {
        "a.csv": lambda: path.write_text(line_of(GONE, 1)),
        "a.csv.gz": lambda: gzipped(path, [line_of(GONE, 1)]),
        "a.parquet": lambda: parquet(path, rows),
        "a.xlsx": lambda: workbook(path, rows),
        f"{GONE}.txt": lambda: path.write_text(""),
    }
    writers[name]()
    assert found_below(tmp_path, GONE) == [name]
    assert found_below(tmp_path, "somebody else") == []


# ---- one client, everywhere


@dataclass(frozen=True)
class Erased:
    """A workspace before and after the client was erased from it, and the receipt."""

    before: Workspace
    after: Workspace
    receipt: ErasureReceipt
    practice_model: str


@pytest.fixture(scope="module")
def lived(
    make_company: Callable[[Path], Workspace],
    clients: Callable[..., list[str]],
    deliver: Deliver,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Workspace, str]:
    """A company that has the client in practice and source data of all kinds, and in everything made of them."""
    practice = make_company(tmp_path_factory.mktemp("built") / "company")
    deliver(practice.input_folder, "more.csv", [line_of(GONE, 1), *BAD])
    ingest(practice)
    practice_model = train(practice).model_digest
    service = practice.root / "service"
    service.mkdir()
    source = configured(
        practice,
        input_folder_path="sourcedata",
        output_model_path="models",
        sources=[{"name": "service", "folder": "service", "columns": EXCEL_COLUMNS}],
    )
    workbook(service / "book.xlsx", [row_of("book-1", 1), row_of(GONE, 2), row_of("book-2", 3)])
    folder = source.input_folder
    deliver(folder, "plain.csv", [*clients(200, 5), line_of(GONE, 3), *BAD])
    gzipped(folder / "packed.csv.gz", [line_of("packed-1", 1), line_of(GONE, 4), line_of(f"{GONE[:-2]}-6", 4)])
    parquet(folder / "columns.parquet", [row_of("columns-1", 1), row_of(GONE, 5), row_of("columns-2", 2)])
    deliver(source.test_folder, "testdata.csv", [*clients(80, 6), line_of(GONE, 6)])
    ingest(source)
    train(source)
    deliver(folder, "plain.csv", [*clients(201, 5), line_of(GONE, 7), *BAD])  # supersedes
    ingest(source)
    (delivery,) = (each.delivery for each in list_quarantine(source).deliveries)
    repair(source, f"{delivery}:204", {"lastmonth_activity": "7"})
    replay(source)
    process.run(source)
    assess(source)
    assess(source, out=source.root / "list.json")
    export(source, source.root / "exports" / "now.csv")
    show_quarantine(source, f"{delivery}", out=source.root / "corrections.csv")
    with (source.log_folder / "holdfast.jsonl").open("a") as log:
        log.write(json.dumps({"event": "note", "value": f"who is {GONE}?"}) + "\n")
    return source, practice_model


@pytest.fixture(scope="module")
def erased(lived: tuple[Workspace, str], tmp_path_factory: pytest.TempPathFactory) -> Erased:
    before, practice_model = lived
    folder = tmp_path_factory.mktemp("erased") / "company"
    shutil.copytree(before.root, folder, symlinks=True)
    after = Workspace.open(folder)
    return Erased(before, after, erase(after, GONE, REASON), practice_model)


@pytest.fixture
def afterwards(erased: Erased, tmp_path: Path) -> Workspace:
    """A copy of the workspace after the erasure, to go on with."""
    shutil.copytree(erased.after.root, tmp_path / "company", symlinks=True)
    return Workspace.open(tmp_path / "company")


def test_before_the_erasure_the_client_is_in_every_corner(erased: Erased) -> None:
    places = found_below(erased.before.root, GONE)
    corners = {
        ".holdfast/ledger.sqlite",
        "corrections.csv",
        "exports/now.csv",
        "ingesteddata/finaldata.csv",
        "list.json",
        "logs/holdfast.jsonl",
        "models/assessment.csv",
        "practicedata/more.csv",
        "service/book.xlsx",
        "sourcedata/columns.parquet",
        "sourcedata/packed.csv.gz",
        "sourcedata/plain.csv",
        "testdata/testdata.csv",
    }
    assert corners <= set(places)
    assert len([place for place in places if place.startswith("ingesteddata/dataset/")]) >= 5
    assert len([place for place in places if place.startswith("ingesteddata/quarantine/")]) >= 3


def test_after_the_erasure_no_byte_of_the_client_is_left(erased: Erased) -> None:
    assert found_below(erased.after.root, GONE) == []
    assert erased.receipt.remaining == ()
    assert exit_status_of(erased.receipt) == 0


def test_the_receipt_does_not_name_the_client(erased: Erased) -> None:
    assert GONE not in json.dumps(to_json(erased.receipt))
    written = json.loads((erased.after.root / erased.receipt.receipt).read_text())
    assert written["tombstone"] == erased.receipt.tombstone
    assert written["reason"] == REASON


def test_the_receipt_counts_every_delivered_row_of_every_dataset(erased: Erased) -> None:
    assert erased.receipt.rows == 7, "practice 1, Excel 1, CSV 2 in two versions and 1 repaired, gzip 1, Parquet 1"


def test_the_receipt_lists_every_model_that_learned_from_the_client(erased: Erased) -> None:
    with reading(erased.after) as (ledger, _):
        models = {record.model_digest for _, record, _ in ledger.models()}
    assert {model.digest for model in erased.receipt.models} == models
    assert erased.practice_model in models
    assert erased.receipt.in_production is not None


def test_every_earlier_version_can_still_be_read_and_is_as_it_was_but_for_the_client(
    erased: Erased, tmp_path: Path
) -> None:
    for version in history(erased.before).readable[1:]:
        before, after = (
            export(each, tmp_path / f"{name}-{version}.csv", version)
            for name, each in (("before", erased.before), ("after", erased.after))
        )
        expected = without(Path(before.file).read_bytes(), GONE)
        assert sorted(Path(after.file).read_bytes().splitlines()) == sorted(expected.splitlines())


def test_the_receipt_says_which_earlier_versions_are_read_without_the_client(erased: Erased, tmp_path: Path) -> None:
    held = []
    for version in history(erased.before).readable[1:]:
        then = export(erased.before, tmp_path / f"{version}.csv", version)
        held += [version] if GONE.encode() in Path(then.file).read_bytes() else []
    assert set(held) <= set(erased.receipt.changed_versions)
    assert erased.receipt.unreadable_versions == ()


def test_the_table_as_it_is_now_can_be_read_by_other_programs(erased: Erased) -> None:
    table = DeltaTable(str(table_of(erased.after).folder)).to_pyarrow_table()
    assert GONE not in table["corporation"].to_pylist()
    assert table.num_rows > 200


def test_finaldata_loses_the_clients_lines_and_no_other_byte(erased: Erased) -> None:
    assert final_data(erased.after) == without(final_data(erased.before), GONE)
    assert len(final_data(erased.after)) < len(final_data(erased.before))


@pytest.mark.parametrize("place", ["sourcedata/plain.csv", "practicedata/more.csv", "testdata/testdata.csv"])
def test_a_delivered_file_loses_the_clients_lines_and_no_other_byte(erased: Erased, place: str) -> None:
    assert (erased.after.root / place).read_bytes() == without((erased.before.root / place).read_bytes(), GONE)


def test_a_gzip_file_keeps_the_other_lines(erased: Erased) -> None:
    data = gzip.decompress((erased.after.input_folder / "packed.csv.gz").read_bytes())
    assert data.decode().splitlines()[1:] == [line_of("packed-1", 1), line_of("zorgon-6", 4)]


def test_a_parquet_file_keeps_the_other_rows_and_its_schema(erased: Erased) -> None:
    after, before = (pq.read_table(w.input_folder / "columns.parquet") for w in (erased.after, erased.before))
    assert after.equals(before.take([0, 2]))


def test_a_workbook_keeps_the_other_rows_where_they_are(erased: Erased) -> None:
    rows = rows_in_workbook(erased.after.root / "service" / "book.xlsx")
    emptied = (None,) * len(EXCEL_COLUMNS)
    assert rows == [tuple(EXCEL_COLUMNS), row_of("book-1", 1), emptied, row_of("book-2", 3)]


def test_other_clients_rows_stay_in_quarantine(erased: Erased) -> None:
    for workspace, clients in ((erased.before, {GONE, "other-1"}), (erased.after, {"other-1"})):
        held = [pq.read_table(path) for path in (workspace.output_folder / "quarantine").iterdir()]
        assert {text.split(",")[0] for table in held for text in table["text"].to_pylist()} == clients


def test_the_log_goes_on_in_the_cleaned_file(erased: Erased) -> None:
    events = [json.loads(line) for line in (erased.after.log_folder / "holdfast.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events if event.get("command") == "erase"] == ["started", "done"]


def test_the_next_ingestion_finds_nothing_new_and_the_dataset_as_it_was(afterwards: Workspace) -> None:
    before = final_data(afterwards)
    record = ingest(afterwards)
    assert (record.files, record.deferred) == ((), ())
    assert record.dataset.rows == len(before.splitlines()) - 1
    assert final_data(afterwards) == before


def test_the_practice_data_too_is_as_it_was_but_for_the_client(afterwards: Workspace) -> None:
    practice = configured(afterwards, input_folder_path="practicedata", output_model_path="practicemodels", sources=[])
    record = ingest(practice)
    assert record.files == ()
    assert record.dataset.rows == 300
    assert GONE.encode() not in final_data(practice)


def test_the_full_process_does_not_take_cleaned_files_for_new_evidence(afterwards: Workspace) -> None:
    record = process.run(afterwards)
    assert record.decision.observation.new_files == ()
    assert record.decision.action == "keep"
    assert process.run(afterwards).decision.action == "nothing"


def test_the_old_file_delivered_again_stays_erased_and_is_counted(erased: Erased, afterwards: Workspace) -> None:
    before = final_data(afterwards)
    for name in ("plain.csv", "packed.csv.gz", "columns.parquet"):
        shutil.copy(erased.before.input_folder / name, afterwards.input_folder / f"again-{name}")
    shutil.copy(erased.before.root / "service" / "book.xlsx", afterwards.root / "service" / "again.xlsx")
    record = ingest(afterwards)
    assert (record.erased, record.accepted) == (6, 0), "two of them would have been refused"
    assert all(file.rows == file.accepted + file.duplicate + file.quarantined + file.erased for file in record.files)
    assert final_data(afterwards) == before
    assert {place.split("/")[0] for place in found_below(afterwards.root, GONE)} == {"sourcedata", "service"}


def test_the_old_file_under_its_old_name_supersedes_and_stays_erased(erased: Erased, afterwards: Workspace) -> None:
    shutil.copy(erased.before.input_folder / "columns.parquet", afterwards.input_folder)
    record = ingest(afterwards)
    assert record.erased == 1
    assert sorted(final_data(afterwards).splitlines()) == sorted(without(final_data(erased.before), GONE).splitlines())


def test_erasing_again_cleans_what_was_delivered_again_and_keeps_the_first_receipt(
    erased: Erased, afterwards: Workspace
) -> None:
    first = (afterwards.root / erased.receipt.receipt).read_bytes()
    shutil.copy(erased.before.input_folder / "columns.parquet", afterwards.input_folder)
    ingest(afterwards)
    second = erase(afterwards, GONE, "case 18")
    assert second.tombstone == erased.receipt.tombstone
    assert second.models == plan_erasure(afterwards, GONE).models == erased.receipt.models
    assert second.in_production == erased.receipt.in_production
    assert (second.rows, list(second.cleaned)) == (0, ["sourcedata/columns.parquet"])
    assert found_below(afterwards.root, GONE) == []
    assert (afterwards.root / erased.receipt.receipt).read_bytes() == first


# ---- a dry run


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def test_a_dry_run_tells_what_the_erasure_then_does_and_changes_nothing(
    lived: tuple[Workspace, str], erased: Erased, tmp_path: Path
) -> None:
    shutil.copytree(lived[0].root, tmp_path / "company", symlinks=True)
    workspace = Workspace.open(tmp_path / "company")
    before = state_of(workspace.root)
    plan = plan_erasure(workspace, GONE)
    assert state_of(workspace.root) == before
    done = erased.receipt
    assert (plan.rows, plan.deliveries, plan.cleaned) == (done.rows, done.deliveries, done.cleaned)
    assert (plan.models, plan.in_production) == (done.models, done.in_production)
    assert (plan.changed_versions, plan.unreadable_versions) == (done.changed_versions, ())
    assert (plan.deleted, plan.remaining, plan.elsewhere) == (done.deleted, (), ())


def test_a_dry_run_names_what_would_be_left_and_why(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    (ingested.root / "notes.txt").write_text(f"{GONE} called")
    (ingested.root / f"{GONE}.md").write_text("")
    plan = plan_erasure(ingested, GONE)
    assert [(each.place, each.reason) for each in plan.remaining] == [
        ("notes.txt", "not one of Holdfast's files"),
        (f"{GONE}.md", "its name, or where it links to, mentions the client"),
    ]
    after = erase(ingested, GONE, REASON).remaining
    assert [each.place for each in after] == ["notes.txt", "[erased].md"]
    assert [each.reason for each in after] == [each.reason for each in plan.remaining]


def test_a_dry_run_of_an_id_that_is_a_short_number_leaves_others_numbers_alone(
    company: Workspace, deliver: Deliver
) -> None:
    emptied(company)
    deliver(company.input_folder, "a.csv", ["12,1,1,1,0", "b,12,12,12,1", "d,12,much,12,0"])
    ingest(company)
    plan = plan_erasure(company, "12")
    receipt = erase(company, "12", REASON)
    assert (plan.rows, plan.cleaned, plan.remaining) == (1, receipt.cleaned, ())


def test_a_dry_run_in_a_workspace_where_nothing_was_run_makes_no_file(company: Workspace, deliver: Deliver) -> None:
    deliver(company.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    before = state_of(company.root)
    assert plan_erasure(company, GONE).cleaned == {"practicedata/new.csv": 1}
    assert state_of(company.root) == before


# ---- interruptions


@pytest.fixture(scope="module")
def small(
    make_company: Callable[[Path], Workspace], deliver: Deliver, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    workspace = emptied(make_company(tmp_path_factory.mktemp("built") / "company"))
    lines = [line_of(f"c{number}", number) for number in range(20)]
    deliver(workspace.input_folder, "a.csv", [*lines, line_of(GONE, 1), *BAD])
    ingest(workspace)
    repair(workspace, "1:25", {"lastmonth_activity": "1"})
    replay(workspace)
    train(workspace)
    gzipped(workspace.input_folder / "b.csv.gz", [line_of("d1", 1), line_of(GONE, 2)])
    ingest(workspace)
    return workspace


STEPS: tuple[tuple[object, str], ...] = (
    (Ledger, "begin_erasure"),
    (tables, "write_file"),
    (tables, "_copy_without"),
    (DatasetTable, "commit"),
    (tables, "_clean_old_parts"),
    (texts, "_clean"),
    (Ledger, "redigest"),
    (files, "_delivered_without"),
    (erasure, "clean_files"),
    (erasure, "write_out_what_is_there"),
    (Ledger, "redact"),
    (erasure, "remaining"),
    (erasure, "write_file"),
    (Ledger, "finish_erasure"),
)


@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _, name in STEPS])
def test_killed_before_or_after_any_step_a_second_call_completes_the_erasure(
    small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    shutil.copytree(small.root, tmp_path / "company")
    workspace = Workspace.open(tmp_path / "company")
    expected = without(final_data(workspace), GONE)
    real = getattr(place, name)

    def killed_before(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    def killed_after(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        raise KeyboardInterrupt

    for killed in (killed_before, killed_after):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, killed)
            with pytest.raises(KeyboardInterrupt):
                erase(workspace, GONE, REASON)
    receipt = erase(workspace, GONE, REASON)
    assert (found_below(workspace.root, GONE), receipt.remaining) == ([], ())
    assert final_data(workspace) == expected
    assert (receipt.rows, len(receipt.models)) == (2, 1), "what was removed before the crash is in the receipt"
    with reading(workspace) as (ledger, _):
        assert ledger.unfinished_erasures() == ()
    assert ingest(workspace).files == (), "no cleaned file is taken for a new one, and repaired rows stay"
    assert final_data(workspace) == expected


def test_interrupted_right_after_the_tombstone_the_client_is_not_taken_in_any_more(
    small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deliver: Deliver
) -> None:
    shutil.copytree(small.root, tmp_path / "company")
    workspace = Workspace.open(tmp_path / "company")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "clean_tables", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(workspace, GONE, REASON)
    deliver(workspace.input_folder, "c.csv", [line_of(GONE, 9), line_of("e1", 9)])
    record = ingest(workspace)
    assert (record.accepted, record.erased) == (1, 1)


# ---- ids of every kind


IDS = ("ab", "abc", "a,b", 'say "hi"', "客户 9", "12", "012", "=1+1", "a\\b", "<a&b>")


def test_ids_that_hold_other_ids_commas_quotes_or_anything_else_are_told_apart(
    company: Workspace, deliver: Deliver
) -> None:
    emptied(company)
    quoted = {client: '"' + client.replace('"', '""') + '"' for client in IDS}
    lines = [f"{quoted[client]},12,{number},120,0" for number, client in enumerate(IDS)]
    deliver(company.input_folder, "a.csv", [*lines, *(f"{quoted[client]},many,12,120,0" for client in IDS)])
    ingest(company)
    delivered = company.input_folder / "a.csv"
    for number, client in enumerate(IDS):
        expected, expected_file = without(final_data(company), client), without(delivered.read_bytes(), client)
        receipt = erase(company, client, REASON)
        assert (client, receipt.remaining, receipt.rows) == (client, (), 1)
        assert final_data(company) == expected
        assert delivered.read_bytes() == expected_file
        held = pq.read_table(company.output_folder / "quarantine" / "000001.parquet").num_rows
        assert held == len(IDS) - number - 1


def test_a_number_that_is_somebodys_id_stays_where_it_is_a_number(company: Workspace, deliver: Deliver) -> None:
    emptied(company)
    deliver(company.input_folder, "a.csv", ["12,1,1,1,0", "b,12,12,12,1", "c,12,many,12,0", "d,12,much,12,0"])
    ingest(company)
    repair(company, "1:4", {"lastyear_activity": "12"})
    receipt = erase(company, "12", REASON)
    assert receipt.rows == 1
    replay(company)
    assert final_data(company).splitlines()[1:] == [b"b,12,12,12,1", b"c,12,12,12,0"]
    assert show_quarantine(company, "1:5").rows[0].text == "d,12,much,12,0"


def test_a_row_of_another_client_that_mentions_the_erased_one_stays_and_is_reported(
    company: Workspace, deliver: Deliver
) -> None:
    emptied(company)
    features = {"partner": {"type": "category"}, "visits": {"type": "integer"}}
    company = configured(company, schema={"client": "corporation", "target": "exited", "features": features})
    rows = [f"{GONE},x,1,0", f"b,{GONE},2,1", f"c,{GONE},many,0", f"{GONE},y,many,0"]
    (company.input_folder / "a.csv").write_text("\n".join(["corporation,partner,visits,exited", *rows, ""]))
    ingest(company)
    receipt = erase(company, GONE, REASON)
    assert final_data(company).splitlines()[1:] == [f"b,{GONE},2,1".encode()]
    assert [row.text for row in show_quarantine(company, "1").rows] == [f"c,{GONE},many,0"]
    assert {"ingesteddata/finaldata.csv", "practicedata/a.csv", "ingesteddata/quarantine/000001.parquet"} <= set(
        places_left(receipt)
    )
    assert {each.reason for each in receipt.remaining} == {"a row of another client mentions this one"}
    assert exit_status_of(receipt) == 3


@pytest.mark.parametrize("client", ["zorgon-7", "Miller, Sons", 'say "hi"', "a b", "12", "71234", "Müller & Söhne"])
def test_a_refused_row_is_the_clients_for_ingestion_exactly_where_it_is_for_erasure(
    company: Workspace, deliver: Deliver, tmp_path: Path, client: str
) -> None:
    quoted = '"' + client.replace('"', '""') + '"'
    broken = [f"{quoted},many,1,1,0", f"{quoted},1", f"{client},1", f"x,1,2,we met {client},0,1", f"x,{quoted},many"]
    nameless = [f",1,2,{quoted},0", f",,,we met {client} today,0", f"{client};1;2;3;0", ",1,2,3,0", "12,1,2", "x,12,1"]
    others = [f"b,many,{client.replace(',', ';')},1,0", "Miller,1,2", "a,b,c", "zorgon-77,1", "=12,1", "b,12,many,1,0"]
    deliver(emptied(company).input_folder, "a.csv", ["ok,1,2,3,0", *broken, *nameless, *others])
    shutil.copytree(company.root, tmp_path / "second")
    second = Workspace.open(tmp_path / "second")
    ingest(company)
    erase(company, client, REASON)
    assert client in (second.input_folder / "a.csv").read_text().replace('""', '"')
    with begin(second, "test") as session:
        tombstone = Tombstones(make_key(second.erasure_key_file), frozenset()).tombstone_of(client)
        session.ledger.begin_erasure(session.run_id, "2026-01-31T10:00:00Z", tombstone)
    record = ingest(second)
    held = [[row.text for row in show_quarantine(each, "1").rows] for each in (company, second)]
    assert held[0] == held[1]
    assert record.erased == len(broken + nameless + others) - len(held[1]) > 0
    assert set(held[1]) >= {"Miller,1,2", "a,b,c", "zorgon-77,1", "b,12,many,1,0"} - {f"{client},1"}


# ---- what is asked for


@pytest.mark.parametrize("reason", ["", " \n"])
def test_an_erasure_needs_a_reason(ingested: Workspace, reason: str) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        erase(ingested, "c1-0", reason)


def test_a_reason_that_names_the_client_is_refused_before_anything_is_done(ingested: Workspace) -> None:
    before = final_data(ingested)
    with pytest.raises(UsageError, match="the reason names the client"):
        erase(ingested, "c1-0", "c1-0 has asked for it")
    assert final_data(ingested) == before
    with reading(ingested) as (ledger, _):
        assert ledger.tombstones() == frozenset()


def test_a_lost_ledger_does_not_know_whether_the_release_learned_from_the_client(
    running: Workspace, deliver: Deliver
) -> None:
    deliver(running.input_folder, "new.csv", [line_of(GONE, 1)])
    ingest(running)
    running.ledger_file.unlink()
    ingest(running)
    receipt = erase(running, GONE, REASON)
    assert receipt.unknown == current_id(running.deployment_folder)
    assert (receipt.models, receipt.in_production) == ((), None)


@pytest.mark.parametrize("client", ["null", "true", "10000", "300", "12345", "1e5", "-1"])
def test_an_id_that_json_writes_without_quotes_does_not_damage_the_record(
    ingested: Workspace, deliver: Deliver, client: str
) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(client, 1), *(f"n{n},1,2,3,0" for n in range(9_999))])
    assert ingest(ingested).accepted == 10_000
    before = status(ingested)
    receipt = erase(ingested, client, REASON)
    assert receipt.rows == 1
    after = status(ingested)
    assert [file.rows for file in after.deliveries] == [file.rows for file in before.deliveries]
    assert ingest(ingested).files == ()
    assert not [line for line in final_data(ingested).decode().splitlines() if line.startswith(f"{client},")]


@pytest.mark.parametrize("sign", [" ", ",", '"', "{"])
def test_in_advance_a_sign_leaves_the_record_as_it_is(ingested: Workspace, sign: str) -> None:
    before = final_data(ingested)
    erase(ingested, sign, REASON, in_advance=True)
    assert status(ingested).deliveries
    assert final_data(ingested) == before
    assert ingest(ingested).files == ()


def test_an_id_that_no_field_can_hold_is_refused(ingested: Workspace) -> None:
    with pytest.raises(UsageError, match=r"no client can have an id of 70,000 characters: a field has 65,536"):
        erase(ingested, "x" * 70_000, REASON)


def test_a_long_id_is_looked_for_and_no_slip_of_the_pen_in_it(ingested: Workspace) -> None:
    with pytest.raises(UsageError, match="occurs nowhere"):
        erase(ingested, "x" * 60_000, REASON)


def test_an_id_that_is_a_word_of_the_record_is_refused_because_the_record_would_break(ingested: Workspace) -> None:
    before = final_data(ingested)
    for word in ("accepted", "corporation", "practicedata", "digest", " ", ":", "{}", '"'):
        with pytest.raises(UsageError, match="a word or a sign of Holdfast's own record"):
            erase(ingested, word, REASON)
    assert ingest(ingested).files == ()
    assert final_data(ingested) == before


def test_an_empty_id_is_refused(ingested: Workspace) -> None:
    with pytest.raises(ConfigurationError):
        erase(ingested, "", REASON)


def test_a_client_that_is_not_there_is_kept_out_from_now_on(ingested: Workspace, deliver: Deliver) -> None:
    before = final_data(ingested)
    receipt = erase(ingested, GONE, REASON, in_advance=True)
    assert (receipt.rows, receipt.cleaned, receipt.models) == (0, {}, ())
    assert final_data(ingested) == before
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    record = ingest(ingested)
    assert (record.accepted, record.erased) == (1, 1)
    assert any("of erased clients" in notice or "of an erased client" in notice for notice in record.notices)
    assert GONE.encode() not in final_data(ingested)


def test_a_client_can_be_erased_before_anything_was_ingested(company: Workspace, deliver: Deliver) -> None:
    deliver(company.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    receipt = erase(company, GONE, REASON)
    assert receipt.cleaned == {"practicedata/new.csv": 1}
    assert ingest(company).dataset.rows == 301


def test_a_client_that_is_only_in_quarantine_is_erased(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of("e1", 2), *BAD])
    ingest(ingested)
    receipt = erase(ingested, GONE, REASON)
    assert receipt.rows == 0
    assert found_below(ingested.root, GONE) == []


def test_a_repair_that_names_the_client_is_erased_with_it(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of("e1", 2), "?,many,1,1,0"])
    ingest(ingested)
    repair(ingested, "3:3", {"corporation": GONE, "lastmonth_activity": "1"})
    erase(ingested, GONE, REASON)
    assert found_below(ingested.root, GONE) == []
    assert replay(ingested).accepted == 0


def test_what_belongs_to_a_source_is_searched_and_told_and_not_changed(
    ingested: Workspace, deliver: Deliver, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    held = deliver(elsewhere, "held.csv", [line_of(GONE, 1), line_of("e1", 2)])
    deliver(elsewhere, "other.csv", [line_of("e2", 2)])
    before = held.read_bytes()
    sources = [
        {"name": "branches", "folder": f"file://{elsewhere}"},
        {"name": "crm", "database": "sqlite:///crm.sqlite", "table": "clients"},
    ]
    receipt = erase(configured(ingested, sources=sources), GONE, REASON)
    assert [each.place for each in receipt.elsewhere] == ["the database of source 'crm'", str(held)]
    assert "belongs to source 'branches'" in receipt.elsewhere[1].reason
    assert all(each.next == "delete the client there" for each in receipt.elsewhere)
    assert (receipt.searched, receipt.remaining) == ((str(ingested.root), str(elsewhere)), ())
    assert held.read_bytes() == before


def test_a_file_that_may_not_be_changed_is_named_and_the_rest_is_erased(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    deliver(ingested.root, "locked.csv", [line_of(GONE, 1)])

    real = apart.clean_into

    def forbidding(work: Work, path: Path, *arguments: Any, **named: Any) -> int | None:
        if path.name == "locked.csv":
            raise NotPermitted("cannot write: Permission denied", file=str(path))
        return real(work, path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(files, "clean_into", forbidding)
        receipt = erase(ingested, GONE, REASON)
    assert places_left(receipt) == ["locked.csv"]
    assert receipt.remaining[0].reason == "it could not be changed: cannot write: Permission denied"
    assert found_below(ingested.root, GONE) == ["locked.csv"]
    assert erase(ingested, GONE, REASON).remaining == ()


@pytest.mark.parametrize("client", [GONE, "12"])
def test_what_somebody_else_wrote_is_not_changed_but_reported(
    ingested: Workspace, deliver: Deliver, client: str
) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(client, 1), line_of("e1", 2)])
    ingest(ingested)
    notes = ingested.root / "notes.txt"
    notes.write_text(f"called on Monday\n{client},said no\n")
    receipt = erase(ingested, client, REASON)
    doubt = "; the number in it may mean something else" if client == "12" else ""
    assert [(each.place, each.reason) for each in receipt.remaining] == [
        ("notes.txt", f"not one of Holdfast's files{doubt}")
    ]
    assert notes.read_text().endswith(f"{client},said no\n")


def test_the_configuration_and_the_scripts_are_not_touched_but_reported(ingested: Workspace) -> None:
    (ingested.root / "service").mkdir()
    source = configured(ingested, sources=[{"name": "service", "folder": "service"}])
    before = {path: path.read_bytes() for path in (*source.root.glob("*.py"), source.root / "config.json")}
    receipt = erase(source, "service", REASON)
    assert ("config.json", "edit it") in [(each.place, each.next) for each in receipt.remaining]
    assert {path: path.read_bytes() for path in before} == before
    assert Workspace.open(source.root).sources == source.sources


# ---- the key


def test_without_the_key_nothing_is_taken_in(ingested: Workspace) -> None:
    erase(ingested, "c1-0", REASON)
    ingested.erasure_key_file.unlink()
    with pytest.raises(InputOutputError, match="the key of the erased clients is gone") as caught:
        ingest(ingested)
    assert caught.value.exit_status == 74
    assert "restore this file from a backup" in str(caught.value.hint)


def test_a_damaged_key_is_told_apart_from_a_lost_one(ingested: Workspace) -> None:
    erase(ingested, "c1-0", REASON)
    ingested.erasure_key_file.write_bytes(b"short")
    with pytest.raises(InputOutputError, match="this is not the key of the erased clients"):
        ingest(ingested)


def test_the_key_is_for_its_owner_alone(ingested: Workspace) -> None:
    erase(ingested, "c1-0", REASON)
    assert ingested.erasure_key_file.stat().st_mode & 0o077 == 0
