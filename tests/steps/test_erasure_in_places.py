"""Erasure wherever a workspace keeps things: folders out of its root, links, copies, and files of others."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.records import ErasureReceipt, to_json
from holdfast.steps import process
from holdfast.steps.assessment import assess
from holdfast.steps.datasets import export, history
from holdfast.steps.erasure import erase, plan_erasure
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import repair, show_quarantine, waive
from holdfast.steps.reporting import report
from holdfast.steps.tracing import trace_client
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
GONE = "zorgon-7"
REASON = "case 17"
WRITTEN = ("output_folder_path", "output_model_path", "prod_deployment_path")


def line_of(client: str, number: int) -> str:
    return f"{client},{number},{10 * number},{number + 1},{number % 2}"


def configured(workspace: Workspace, **settings: object) -> Workspace:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return Workspace.open(workspace.root)


def found_below(folder: Path, client: str = GONE) -> list[str]:
    """Every file below the folder whose bytes, or values in Parquet, hold the client's id."""
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
        data = path.read_bytes()
        data += repr(pq.read_table(path).to_pydict()).encode() if data.startswith(b"PAR1") else b""
        found += [path.relative_to(folder).as_posix()] if client.encode() in data else []
    return found


def left(receipt: ErasureReceipt) -> dict[str, str]:
    return {each.place: each.reason for each in receipt.remaining}


def lived_in(workspace: Workspace, deliver: Deliver) -> None:
    """The client is in everything that a workspace writes."""
    deliver(workspace.input_folder, "new.csv", [line_of(GONE, 2), line_of("e1", 2), f"{GONE},many,1,1,0"])
    process.run(workspace)
    assess(workspace)


# ---- folders out of the root


@pytest.fixture
def spread(company: Workspace, tmp_path: Path, deliver: Deliver) -> tuple[Workspace, Path]:
    """A workspace that writes to folders out of its root."""
    outside = tmp_path / "outside"
    workspace = configured(company, **{key: f"file://{outside / key.partition('_')[0]}" for key in WRITTEN[:1]})
    workspace = configured(
        workspace,
        output_folder_path=f"file://{outside}/data",
        output_model_path=f"file://{outside}/models",
        prod_deployment_path=f"file://{outside}/production",
    )
    lived_in(workspace, deliver)
    return workspace, outside


def test_what_lies_out_of_the_root_is_cleaned_and_searched_like_what_lies_in_it(
    spread: tuple[Workspace, Path],
) -> None:
    workspace, outside = spread
    before = found_below(outside)
    assert {"data/finaldata.csv", "data/quarantine/000003.parquet", "models/assessment.json"} <= set(before)
    receipt = erase(workspace, GONE, REASON)
    assert (found_below(outside), found_below(workspace.root)) == ([], [])
    assert (receipt.remaining, receipt.elsewhere) == ((), ())
    assert receipt.searched == tuple(
        map(str, (workspace.root, outside / "data", outside / "models", outside / "production"))
    )
    assert str(outside / "models" / "assessment.csv") in receipt.cleaned
    assert ingest(workspace).files == ()


def test_what_cannot_be_cleaned_out_of_the_root_is_told(spread: tuple[Workspace, Path]) -> None:
    workspace, outside = spread
    (outside / "models" / "mine.txt").write_text(f"about {GONE}")
    assert left(erase(workspace, GONE, REASON)) == {str(outside / "models" / "mine.txt"): "not one of Holdfast's files"}


def test_an_input_folder_out_of_the_root_is_told_of_and_not_changed(
    company: Workspace, tmp_path: Path, deliver: Deliver
) -> None:
    shutil.copytree(company.input_folder, tmp_path / "drop")
    workspace = configured(company, input_folder_path=f"file://{tmp_path}/drop")
    file = deliver(tmp_path / "drop", "new.csv", [line_of(GONE, 2), line_of("e1", 2)])
    ingest(workspace)
    before = file.read_bytes()
    receipt = erase(workspace, GONE, REASON)
    assert file.read_bytes() == before
    (told,) = receipt.elsewhere
    assert (told.place, told.reason) == (str(file), "belongs to the input folder, which Holdfast only reads")
    assert receipt.remaining == ()
    assert (ingest(workspace).files, found_below(workspace.root)) == ((), [])


def test_a_folder_of_deliveries_in_a_written_folder_out_of_the_root_still_belongs_to_others(
    company: Workspace, tmp_path: Path, deliver: Deliver
) -> None:
    shutil.copytree(company.input_folder, tmp_path / "shared" / "drop")
    urls = {"output_folder_path": f"file://{tmp_path}/shared", "input_folder_path": f"file://{tmp_path}/shared/drop"}
    workspace = configured(company, **urls)
    file = deliver(tmp_path / "shared" / "drop", "new.csv", [line_of(GONE, 2)])
    ingest(workspace)
    receipt = erase(workspace, GONE, REASON)
    assert [each.place for each in receipt.elsewhere] == [str(file)]
    assert found_below(tmp_path / "shared") == ["drop/new.csv"]


def test_a_written_folder_that_is_a_link_out_of_the_root_is_cleaned(
    company: Workspace, tmp_path: Path, deliver: Deliver
) -> None:
    for folder in (company.output_folder, company.model_folder):
        shutil.move(folder, tmp_path / f"disk-{folder.name}")
        folder.symlink_to(tmp_path / f"disk-{folder.name}")
    lived_in(company, deliver)
    assert found_below(tmp_path / f"disk-{company.model_folder.name}")
    receipt = erase(company, GONE, REASON)
    assert receipt.remaining == ()
    assert found_below(tmp_path) == []
    assert "ingesteddata/finaldata.csv" in receipt.cleaned


def test_an_input_folder_that_is_a_link_out_of_the_root_is_told_of(
    company: Workspace, tmp_path: Path, deliver: Deliver
) -> None:
    shutil.move(company.input_folder, tmp_path / "drop")
    company.input_folder.symlink_to(tmp_path / "drop")
    deliver(tmp_path / "drop", "new.csv", [line_of(GONE, 2)])
    ingest(company)
    receipt = erase(company, GONE, REASON)
    assert [each.place for each in receipt.elsewhere] == [str(company.input_folder / "new.csv")]
    assert receipt.remaining == ()


def test_around_the_workspace_only_holdfasts_own_files_are_cleaned(
    company: Workspace, tmp_path: Path, deliver: Deliver
) -> None:
    workspace = configured(company, output_folder_path=f"file://{tmp_path}")
    deliver(tmp_path, "of-others.csv", [line_of(GONE, 1)])
    deliver(workspace.input_folder, "new.csv", [line_of(GONE, 2)])
    ingest(workspace)
    receipt = erase(workspace, GONE, REASON)
    assert left(receipt) == {str(tmp_path / "of-others.csv"): "not one of Holdfast's files"}
    assert found_below(tmp_path) == ["of-others.csv"]


# ---- copies of what Holdfast keeps


@pytest.mark.parametrize("client", [GONE, "12"])
def test_copies_of_the_ledger_are_cleaned(ingested: Workspace, deliver: Deliver, client: str) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(client, 1), line_of("e1", 2), f"{client},many,1,1,0"])
    ingest(ingested)
    repair(ingested, "3:4", {"lastmonth_activity": "1"})
    backup = ingested.root / "backup"
    backup.mkdir()
    copies = [ingested.ledger_file.with_name("ledger.sqlite.bak"), backup / "ledger.sqlite", backup / "old.db"]
    for copy in copies:
        shutil.copy(ingested.ledger_file, copy)
    before = [texts_of(copy, "record") for copy in copies]
    receipt = erase(ingested, client, REASON)
    assert receipt.remaining == ()
    for copy in copies:
        assert receipt.cleaned[ingested.show(copy)] >= 1
        assert not [text for text in texts_of(copy, "text") if text.startswith(f"{client},")]
    assert [len(texts_of(copy, "record")) for copy in copies] == [len(texts) for texts in before]
    assert all(texts for texts in before)


def test_of_a_copy_of_the_ledger_only_what_is_the_clients_is_changed(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", ["12,1,1,1,0", "d,12,much,12,0", "e,12,12,12,0"])
    ingest(ingested)
    repair(ingested, "3:3", {"lastyear_activity": "12"})
    copy = ingested.ledger_file.with_name("ledger.sqlite.bak")
    shutil.copy(ingested.ledger_file, copy)
    assert erase(ingested, "12", REASON).remaining == ()
    assert texts_of(copy, "text") == ["d,12,12,12,0"]


def test_a_copy_with_its_log_is_cleaned_with_it(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [f"{GONE},many,1,1,0", line_of("e1", 2)])
    ingest(ingested)
    copy = ingested.root / "ledger.db"
    with closing(sqlite3.connect(ingested.ledger_file)) as ledger:
        ledger.execute("PRAGMA wal_autocheckpoint = 0")
        ledger.execute("UPDATE runs SET error = ?", (f"about {GONE}",))
        ledger.commit()
        for ending in ("", "-wal"):
            shutil.copy(f"{ingested.ledger_file}{ending}", f"{copy}{ending}")
    assert GONE.encode() in Path(f"{copy}-wal").read_bytes()
    assert erase(ingested, GONE, REASON).remaining == ()
    assert found_below(ingested.root) == []


@pytest.mark.parametrize("client", [GONE, "12"])
def test_a_database_of_others_is_told_of_by_its_values_and_not_changed(
    ingested: Workspace, deliver: Deliver, client: str
) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(client, 1), line_of("e1", 2)])
    ingest(ingested)
    for name, values in (("holds.sqlite", (client, 5)), ("none.sqlite", ("[1,12,3]", 12))):
        with closing(sqlite3.connect(ingested.root / name)) as database, database:
            database.execute("CREATE TABLE clients (who TEXT, visits INTEGER)")
            database.execute("INSERT INTO clients VALUES (?, ?)", values)
    before = (ingested.root / "holds.sqlite").read_bytes()
    told = left(erase(ingested, client, REASON))
    assert list(told) == ["holds.sqlite"]
    assert told["holds.sqlite"].startswith("not one of Holdfast's files")
    assert (ingested.root / "holds.sqlite").read_bytes() == before


def test_a_number_in_a_client_column_of_a_database_is_an_id(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of("12", 1), line_of("e1", 2)])
    ingest(ingested)
    with closing(sqlite3.connect(ingested.root / "crm.sqlite")) as database, database:
        database.execute("CREATE TABLE clients (corporation INTEGER, visits INTEGER)")
        database.execute("INSERT INTO clients VALUES (12, 5)")
    crm = {"name": "crm", "database": "sqlite:///crm.sqlite", "table": "clients"}
    receipt = erase(configured(ingested, sources=[crm]), "12", REASON)
    (told,) = receipt.remaining
    assert (told.place, told.next) == ("crm.sqlite", "delete the client there")
    assert told.reason == "belongs to source 'crm', which Holdfast only reads"


def test_a_damaged_copy_of_the_ledger_is_told_of(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [f"{GONE},many,1,1,0", line_of("e1", 2)])
    ingest(ingested)
    copy = ingested.ledger_file.with_name("ledger.sqlite.bak")
    copy.write_bytes(ingested.ledger_file.read_bytes()[:-5000] + GONE.encode())
    assert list(left(erase(ingested, GONE, REASON))) == [".holdfast/ledger.sqlite.bak"]


def test_copies_of_quarantine_are_cleaned(ingested: Workspace, deliver: Deliver) -> None:
    rows = [f"{GONE},many,1,1,0", "other-1,many,1,1,0", line_of("e1", 2)]
    deliver(ingested.input_folder, "new.csv", rows)
    ingest(ingested)
    copy = ingested.root / "backup" / "quarantine" / "000003.parquet"
    copy.parent.mkdir(parents=True)
    shutil.copy(ingested.output_folder / "quarantine" / "000003.parquet", copy)
    assert erase(ingested, GONE, REASON).remaining == ()
    assert pq.read_table(copy)["text"].to_pylist() == ["other-1,many,1,1,0"]


def test_what_a_killed_command_left_is_deleted(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    leftover = ingested.output_folder / ".finaldata.csv.tmp"
    leftover.write_text(f"{GONE},1\n")
    receipt = erase(ingested, GONE, REASON)
    assert (receipt.deleted, leftover.exists()) == (("ingesteddata/.finaldata.csv.tmp",), False)


# ---- files that are named after the client


@pytest.fixture
def named(running: Workspace, deliver: Deliver) -> Workspace:
    """A workspace with a delivery that is named after the client, and everything that tells of deliveries."""
    rows = [line_of(GONE, 2), line_of("e1", 2), "other-1,many,1,1,0"]
    deliver(running.input_folder, f"{GONE}.csv", rows)
    ingest(running)
    assess(running)
    report(running)
    return running


def test_a_delivery_that_is_named_after_the_client_is_named_nowhere_any_more(named: Workspace) -> None:
    before = found_below(named.root)
    log = [place for place in before if "_delta_log" in place]
    assert {"ingesteddata/ingestedfiles.txt", ".holdfast/ledger.sqlite", *log} <= set(before)
    assert log
    receipt = erase(named, GONE, REASON)
    assert left(receipt) == {"practicedata/[erased].csv": "its name, or where it links to, mentions the client"}
    assert found_below(named.root) == []
    assert GONE not in json.dumps(to_json(receipt))


def test_after_the_file_was_renamed_nothing_is_left_and_nothing_is_read_again(named: Workspace) -> None:
    before = (named.output_folder / "finaldata.csv").read_bytes()
    erase(named, GONE, REASON)
    (named.input_folder / f"{GONE}.csv").rename(named.input_folder / "renamed.csv")
    assert ingest(named).accepted == 0
    assert erase(named, GONE, REASON).remaining == ()
    assert found_below(named.root) == []
    after = (named.output_folder / "finaldata.csv").read_bytes()
    assert after == before.replace(f"{line_of(GONE, 2)}\n".encode(), b"")


def test_the_table_and_its_history_can_still_be_read(named: Workspace, tmp_path: Path) -> None:
    erase(named, GONE, REASON)
    versions = history(named)
    assert [each.version for each in versions.versions] == list(versions.readable)
    assert "[erased]" in [each.name for each in versions.versions]
    for version in versions.readable[1:]:
        export(named, tmp_path / f"{version}.csv", version)


def test_a_dry_run_tells_of_names_too(named: Workspace) -> None:
    plan = plan_erasure(named, GONE)
    receipt = erase(named, GONE, REASON)
    assert [each.place for each in plan.remaining] == [f"practicedata/{GONE}.csv"]
    assert {place.replace(GONE, "[erased]"): removed for place, removed in plan.cleaned.items()} == receipt.cleaned
    assert plan.deleted == receipt.deleted


# ---- ids that are short numbers


def test_refused_rows_in_the_record_and_in_printed_records_are_known_by_their_columns(
    ingested: Workspace, deliver: Deliver
) -> None:
    """A number stands in many a row: only rows in whose client column it stands are the client's."""
    deliver(ingested.input_folder, "new.csv", ["12,5,50,7,0", "12,many,1,1,0", "other,12,many,12,0"])
    for name, record in {
        "ingest": ingest(ingested),
        "lineage": trace_client(ingested, "12"),
        "quarantine": show_quarantine(ingested, "3"),
    }.items():
        (ingested.root / f"{name}.json").write_text(json.dumps(to_json(record)))
    shutil.copy(ingested.ledger_file, ingested.root / "ledger.old")
    assert erase(ingested, "12", REASON).remaining == ()
    for path in (ingested.ledger_file, *ingested.root.glob("*.json"), ingested.root / "ledger.old"):
        data = path.read_bytes()
        assert (b'"12' in data, b"12,many" in data.replace(b"other,12,many", b"")) == (False, False), path
    assert b"other,12,many,12,0" in (ingested.root / "quarantine.json").read_bytes()
    assert json.loads((ingested.root / "lineage.json").read_text())["rows"] == []


# ---- sentences are no rows


SENTENCE = f"we met {GONE}, twice, then they left, were sad, and wrote"
"""As many commas as the header of a delivery."""


def texts_of(ledger: Path, column: str) -> list[str]:
    with closing(sqlite3.connect(ledger)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = []
        for table in tables:
            if column in [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]:
                found += [text for (text,) in database.execute(f"SELECT {column} FROM {table}") if text is not None]
        return found


def test_a_sentence_in_the_ledger_with_as_many_commas_as_a_row_is_no_row(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2), "other,many,1,1,0"])
    ingest(ingested)
    waive(ingested, ["3:4"], SENTENCE)
    assert SENTENCE in texts_of(ingested.ledger_file, "reason")
    assert erase(ingested, GONE, REASON).remaining == ()
    assert texts_of(ingested.ledger_file, "reason") == ["[erased]"]
    assert found_below(ingested.root) == []


def test_a_sentence_in_a_log_with_as_many_commas_as_a_row_is_no_row(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    log = ingested.log_folder / "cron.log"
    log.write_text(f"we met others, twice, they left, sad, and wrote\n{SENTENCE}\nthe end\n")
    erase(ingested, GONE, REASON)
    assert log.read_text() == "we met others, twice, they left, sad, and wrote\nthe end\n"


def test_a_repaired_row_is_judged_by_the_columns_of_its_own_delivery(ingested: Workspace, deliver: Deliver) -> None:
    """Two deliveries have their columns in another order: what is an id in one is a number in the other."""
    deliver(ingested.input_folder, "a.csv", [line_of("12", 1), "12,many,5,1,0"])
    other = ingested.input_folder / "b.csv"
    header = "lastmonth_activity,corporation,lastyear_activity,number_of_employees,exited"
    other.write_text(f"{header}\n12,bertha,many,3,0\n7,anton,8,3,0\n")
    ingest(ingested)
    repair(ingested, "3:3", {"lastmonth_activity": "4"})
    repair(ingested, "4:2", {"lastyear_activity": "9"})
    erase(ingested, "12", REASON)
    assert texts_of(ingested.ledger_file, "text") == ["[erased]", "12,bertha,9,3,0"]


# ---- JSON and tables of others


MINE = '{"client": "zorgon-7",   "note": ["zorgon-7", 1]}'


@pytest.mark.parametrize("place", ["mine.json", "notes/mine.jsonl", "practicemodels/mine.json", "ingesteddata/x.json"])
def test_json_of_others_is_told_of_and_not_changed(ingested: Workspace, deliver: Deliver, place: str) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    mine = ingested.root / place
    mine.parent.mkdir(exist_ok=True)
    mine.write_text(MINE)
    assert left(erase(ingested, GONE, REASON)) == {place: "not one of Holdfast's files"}
    assert mine.read_text() == MINE


def test_holdfasts_own_json_is_cleaned_wherever_somebody_had_it_written(running: Workspace, deliver: Deliver) -> None:
    deliver(running.input_folder, "new.csv", [line_of(GONE, 2), line_of("e1", 2)])
    ingest(running)
    assess(running)
    out = running.root / "somewhere"
    out.mkdir()
    assess(running, out=out / "list.json")
    (out / "lineage.json").write_text(json.dumps(to_json(trace_client(running, GONE))))
    (running.log_folder / "holdfast.jsonl.1").write_text(json.dumps({"event": "x", "told": f"{GONE} came"}) + "\n")
    assert len(found_below(out)) == 2
    assert erase(running, GONE, REASON).remaining == ()
    assert found_below(running.root) == []
    assert json.loads((out / "list.json").read_text())["clients"]


def test_a_table_of_others_without_a_client_column_is_told_of_and_not_changed(
    ingested: Workspace, deliver: Deliver
) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    table = ingested.root / "mine.parquet"
    pq.write_table(pa.table({"who": [GONE, "e1"], "notes": ["x", "y"]}), table)
    before = table.read_bytes()
    assert left(erase(ingested, GONE, REASON)) == {"mine.parquet": "not one of Holdfast's files"}
    assert table.read_bytes() == before


def test_a_model_in_production_is_never_changed(running: Workspace, deliver: Deliver) -> None:
    deliver(running.input_folder, "new.csv", [line_of(GONE, 2), line_of("e1", 2)])
    ingest(running)
    release = running.deployment_folder / "current"
    notes = release / "ingestedfiles.txt"
    notes.write_text(f"{notes.read_text()}# {GONE}\n")
    before = notes.read_bytes()
    receipt = erase(running, GONE, REASON)
    assert "would be refused with one byte changed" in receipt.remaining[0].reason
    assert notes.read_bytes() == before


# ---- reasons


def test_each_place_that_is_left_has_a_reason_and_says_what_to_do(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    (ingested.root / "notes.txt").write_text(f"{GONE} called")
    (ingested.root / "broken.gz").write_bytes(b"\x1f\x8b\x08 not gzip")
    (ingested.root / f"{GONE}.txt").write_text("")
    (ingested.root / "link").symlink_to(f"old/{GONE}.csv")
    (ingested.root / "mine.py").write_text(f"CLIENT = '{GONE}'\n")
    (ingested.log_folder / "page.html").write_text(f"<p>{GONE}</p>")
    (ingested.root / "backup.7z").write_bytes(b"7z\xbc\xaf\x27\x1c...")
    receipt = erase(ingested, GONE, REASON)
    told = {each.place: (each.reason, each.next) for each in receipt.remaining}
    assert set(told) == {
        "notes.txt",
        "broken.gz",
        "[erased].txt",
        "link",
        "mine.py",
        "logs/page.html",
        "backup.7z",
    }
    assert all(reason and then for reason, then in told.values())
    assert told["broken.gz"][0].startswith("it could not be read: ")
    assert told["backup.7z"][0].startswith("it could not be read: this is packed in a way")
    assert told["link"][1] == "rename it or delete it, and erase again"
    assert told["mine.py"] == ("it is a script of yours, which Holdfast never changes", "edit it")
    assert told["logs/page.html"] == ("this kind of file cannot be cleaned", "delete it")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_of_with_the_reason(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    locked = ingested.root / "locked.csv"
    locked.write_text("x")
    locked.chmod(0)
    assert left(erase(ingested, GONE, REASON)) == {"locked.csv": "it could not be read: Permission denied"}


def test_a_folder_of_a_source_that_is_away_is_told_of(ingested: Workspace, deliver: Deliver, tmp_path: Path) -> None:
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    sources = [{"name": "branches", "folder": f"file://{tmp_path}/nowhere"}]
    workspace = configured(ingested, sources=sources)
    assert plan_erasure(workspace, GONE).elsewhere[0].place == str(tmp_path / "nowhere")
    (told,) = erase(workspace, GONE, REASON).elsewhere
    assert "could not be looked into" in told.reason
