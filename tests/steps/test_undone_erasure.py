"""An erasure that was a mistake: the client is taken again, erased rows are not restored, and how they come back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.dataset import table_of
from holdfast.errors import InputOutputError, UsageError
from holdfast.records import to_json
from holdfast.session import reading
from holdfast.steps import process
from holdfast.steps.assessment import assess
from holdfast.steps.datasets import deliveries, tidy
from holdfast.steps.erasure import erase, undo_erasure
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import list_quarantine, repair, replay, waive
from holdfast.steps.status import status
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
GONE = "zorgon-7"
REASON = "case 17"
MISTAKE = "case 17 was a mistake"


def line_of(client: str, number: int) -> str:
    return f"{client},{number},{10 * number},{number + 1},{number % 2}"


def rows_of(workspace: Workspace) -> list[str]:
    return (workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:]


def digest_of(workspace: Workspace) -> str:
    dataset = status(workspace).dataset
    assert dataset is not None
    return dataset.digest


def configured(workspace: Workspace, **settings: object) -> Workspace:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return Workspace.open(workspace.root)


@pytest.fixture
def erased(ingested: Workspace, deliver: Deliver) -> Workspace:
    """A workspace from which a client was erased that one of its files held."""
    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    erase(ingested, GONE, REASON)
    return ingested


@pytest.fixture
def fed(ingested: Workspace, deliver: Deliver, tmp_path: Path) -> Workspace:
    """A workspace that has taken the client from a folder of others."""
    branches = tmp_path / "branches"
    branches.mkdir()
    deliver(branches, "march.csv", [line_of(GONE, 1), line_of("e1", 2)])
    workspace = configured(ingested, sources=[{"name": "branches", "folder": f"file://{branches}"}])
    ingest(workspace)
    return workspace


def test_the_tombstone_is_gone_and_the_client_is_taken_again(erased: Workspace, deliver: Deliver) -> None:
    undo_erasure(erased, GONE, MISTAKE)
    deliver(erased.input_folder, "later.csv", [line_of(GONE, 5)])
    record = ingest(erased)
    assert (record.accepted, record.erased) == (1, 0)
    assert line_of(GONE, 5) in rows_of(erased)


def test_erased_rows_are_not_restored(erased: Workspace) -> None:
    before = rows_of(erased)
    record = undo_erasure(erased, GONE, MISTAKE)
    assert rows_of(erased) == before
    assert record.deliver_again == ("practicedata/new.csv",)
    assert ingest(erased).files == ()
    assert rows_of(erased) == before


def test_the_original_file_delivered_again_brings_the_rows_back(erased: Workspace, deliver: Deliver) -> None:
    undo_erasure(erased, GONE, MISTAKE)
    deliver(erased.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(erased)
    assert sorted(rows_of(erased)[-2:]) == sorted([line_of(GONE, 1), line_of("e1", 2)])


def test_a_file_of_others_that_still_holds_the_client_is_read_again(fed: Workspace) -> None:
    before = rows_of(fed)
    erase(fed, GONE, REASON)
    assert ingest(fed).files == ()
    record = undo_erasure(fed, GONE, MISTAKE)
    assert (record.read_again, record.deliver_again) == (("branches/march.csv",), ())
    assert ingest(fed).accepted > 0
    assert sorted(rows_of(fed)) == sorted(before)
    assert ingest(fed).files == ()


def test_what_was_left_out_of_a_file_after_the_erasure_is_read_again(erased: Workspace, deliver: Deliver) -> None:
    deliver(erased.input_folder, "later.csv", [line_of(GONE, 5), line_of("e2", 5)])
    assert ingest(erased).erased == 1
    assert "practicedata/later.csv" in undo_erasure(erased, GONE, MISTAKE).read_again
    ingest(erased)
    assert {line_of(GONE, 5), line_of("e2", 5)} <= set(rows_of(erased))


def test_a_file_that_is_read_again_keeps_its_place_among_the_others(fed: Workspace, deliver: Deliver) -> None:
    """Where the last row counts, read as the newest it would win over what came since."""
    workspace = configured(fed, conflicts="latest")
    deliver(workspace.input_folder, "april.csv", [line_of("e1", 9)])
    ingest(workspace)
    deliver(workspace.input_folder, "may.csv", [line_of("e3", 9)])
    ingest(workspace)
    tidy(workspace)
    before, number = rows_of(workspace), {file.name: file.number for file in deliveries(workspace).deliveries}
    erase(workspace, GONE, REASON)
    undo_erasure(workspace, GONE, MISTAKE)
    record = ingest(workspace)
    assert [(file.name, file.number) for file in record.files] == [("march.csv", number["march.csv"])]
    assert rows_of(workspace) == before
    assert ingest(workspace).files == ()


def test_what_was_done_to_rows_of_other_clients_still_holds(fed: Workspace, deliver: Deliver) -> None:
    branches = fed.root.parent / "branches"
    deliver(branches, "june.csv", [line_of(GONE, 3), "e4,wrong,1,1,0", "e5,wrong,1,1,0"])
    june = ingest(fed).files[0].number
    repair(fed, f"{june}:3", {"lastmonth_activity": "7"})
    replay(fed)
    waive(fed, [f"{june}:4"], "a test client of ours")
    before = sorted(rows_of(fed))
    erase(fed, GONE, REASON)
    undo_erasure(fed, GONE, MISTAKE)
    ingest(fed)
    (held,) = list_quarantine(fed).deliveries
    assert (held.delivery, held.open, held.replayed, held.waived) == (june, 0, 1, 1)
    assert sorted(rows_of(fed)) == before


def test_a_file_that_lies_there_no_more_keeps_the_rows_of_the_others(fed: Workspace) -> None:
    erase(fed, GONE, REASON)
    undo_erasure(fed, GONE, MISTAKE)
    (fed.root.parent / "branches" / "march.csv").unlink()
    assert ingest(fed).files == ()
    assert line_of("e1", 2) in rows_of(fed)


@pytest.mark.parametrize("watermark", [{}, {"watermark": "changed", "overlap": 10}])
def test_a_table_is_read_again_from_its_beginning(ingested: Workspace, watermark: dict[str, Any]) -> None:
    file = ingested.root / "crm.sqlite"
    with closing(sqlite3.connect(file)) as database, database:
        columns = "corporation, lastmonth_activity, lastyear_activity, number_of_employees, exited"
        database.execute(f"CREATE TABLE clients ({columns}, changed)")
        rows = [(GONE, 1, 10, 2, 1, 100), ("e1", 2, 20, 3, 0, 5000)]
        database.executemany("INSERT INTO clients VALUES (?, ?, ?, ?, ?, ?)", rows)
    crm = {"name": "crm", "database": "sqlite:///crm.sqlite", "table": "clients"} | watermark
    workspace = configured(ingested, sources=[crm])
    ingest(workspace)
    before = rows_of(workspace)
    erase(workspace, GONE, REASON)
    ingest(workspace)
    assert line_of(GONE, 1) not in rows_of(workspace)
    assert undo_erasure(workspace, GONE, MISTAKE).read_again == ("the table of source 'crm'",)
    ingest(workspace)
    assert sorted(rows_of(workspace)) == sorted(before)
    assert ingest(workspace).accepted == 0


def test_no_two_datasets_with_other_rows_have_the_same_digest(fed: Workspace) -> None:
    """The deliveries are the same bytes each time: only what was erased and undone tells these datasets apart."""
    with_client, seen = rows_of(fed), {digest_of(fed): rows_of(fed)}
    for _ in range(2):
        erase(fed, GONE, REASON)
        ingest(fed)
        assert seen.setdefault(digest_of(fed), rows_of(fed)) == rows_of(fed) != with_client
        undo_erasure(fed, GONE, MISTAKE)
        assert seen.setdefault(digest_of(fed), rows_of(fed)) == rows_of(fed)
        ingest(fed)
        assert sorted(seen.setdefault(digest_of(fed), rows_of(fed))) == sorted(rows_of(fed)) == sorted(with_client)
    erase(fed, "c1-0", REASON)
    assert seen.setdefault(digest_of(fed), rows_of(fed)) == rows_of(fed)


def test_a_dataset_that_lacks_another_client_has_another_digest(ingested: Workspace, deliver: Deliver) -> None:
    """As many are erased as before, and the file, which could tell the two apart, is not there any more."""
    file = deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2), line_of("e2", 2)])
    ingest(ingested)
    erase(ingested, GONE, REASON)
    without_one, rows = digest_of(ingested), rows_of(ingested)
    undo_erasure(ingested, GONE, MISTAKE)
    file.unlink()
    erase(ingested, "e1", REASON)
    assert rows_of(ingested) != rows
    assert digest_of(ingested) != without_one


def test_lists_and_decisions_go_on_after_it(running: Workspace, deliver: Deliver) -> None:
    deliver(running.input_folder, "new.csv", [line_of(GONE, 2)])
    process.run(running)
    erase(running, GONE, REASON)
    undo_erasure(running, GONE, MISTAKE)
    deliver(running.input_folder, "new.csv", [line_of(GONE, 2)])
    assert process.run(running).decision.action == "keep"
    assess(running)
    assert GONE in (running.model_folder / "assessment.csv").read_text()
    assert process.run(running).decision.action == "nothing"


def test_it_is_an_act_in_the_ledger_and_a_receipt_with_actor_moment_and_reason(erased: Workspace) -> None:
    record = undo_erasure(erased, GONE, MISTAKE)
    assert all((record.actor, record.undone, record.reason == MISTAKE))
    assert json.loads((erased.root / record.receipt).read_text()) == json.loads(json.dumps(to_json(record)))
    with closing(sqlite3.connect(erased.ledger_file)) as ledger:
        acts = ledger.execute("SELECT act, json_extract(receipt, '$.reason') FROM erasures ORDER BY id").fetchall()
    assert acts == [("erased", REASON), ("undone", MISTAKE)]
    assert status(erased).runs[0].command == "erase --undo"


def test_neither_the_receipt_nor_the_ledger_names_the_client(erased: Workspace) -> None:
    undo_erasure(erased, GONE, MISTAKE)
    assert not [path for path in erased.root.rglob("*") if path.is_file() and GONE.encode() in path.read_bytes()]


def test_the_client_can_be_erased_again(erased: Workspace, deliver: Deliver) -> None:
    undo_erasure(erased, GONE, MISTAKE)
    deliver(erased.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(erased)
    receipt = erase(erased, GONE, "case 18")
    assert (receipt.rows, receipt.remaining) == (1, ())
    assert line_of(GONE, 1) not in rows_of(erased)
    deliver(erased.input_folder, "later.csv", [line_of(GONE, 9)])
    assert ingest(erased).erased == 1


def test_other_erased_clients_stay_erased(erased: Workspace, deliver: Deliver) -> None:
    erase(erased, "c1-0", REASON)
    undo_erasure(erased, GONE, MISTAKE)
    deliver(erased.input_folder, "later.csv", [line_of(GONE, 5), line_of("c1-0", 5)])
    record = ingest(erased)
    assert (record.accepted, record.erased) == (1, 1)


def test_an_erasure_that_was_never_finished_can_be_undone(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.steps import erasure

    deliver(ingested.input_folder, "new.csv", [line_of(GONE, 1), line_of("e1", 2)])
    ingest(ingested)
    with monkeypatch.context() as patch:

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(erasure, "clean_quarantine", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(ingested, GONE, REASON)
    undo_erasure(ingested, GONE, MISTAKE)
    with reading(ingested) as (ledger, _):
        assert ledger.unfinished_erasures() == ()
    assert list(ingested.state_folder.glob("erasing-*")) == []
    ingest(ingested)
    assert line_of(GONE, 1) in rows_of(ingested)


def test_interrupted_and_called_again_it_is_undone(fed: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.store.ledger import Ledger

    before = rows_of(fed)
    erase(fed, GONE, REASON)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "undo_erasure", killed)
        with pytest.raises(KeyboardInterrupt):
            undo_erasure(fed, GONE, MISTAKE)
    ingest(fed)
    assert line_of(GONE, 1) not in rows_of(fed)
    undo_erasure(fed, GONE, MISTAKE)
    ingest(fed)
    assert sorted(rows_of(fed)) == sorted(before)


@pytest.mark.parametrize("client", ["c1-0", "nobody"])
def test_a_client_who_is_not_erased_is_refused(erased: Workspace, client: str) -> None:
    with pytest.raises(UsageError, match="this client is not erased"):
        undo_erasure(erased, client, MISTAKE)


def test_where_nobody_was_ever_erased_there_is_nothing_to_undo(ingested: Workspace) -> None:
    with pytest.raises(UsageError, match="this client is not erased"):
        undo_erasure(ingested, GONE, MISTAKE)


def test_it_needs_a_reason_that_does_not_name_the_client(erased: Workspace) -> None:
    for reason in ("", f"{GONE} is a friend"):
        with pytest.raises(UsageError):
            undo_erasure(erased, GONE, reason)


def test_without_the_key_it_cannot_be_told_who_is_meant(erased: Workspace) -> None:
    erased.erasure_key_file.unlink()
    for call in (undo_erasure, erase):
        with pytest.raises(InputOutputError, match="the key of the erased clients is gone"):
            call(erased, GONE, MISTAKE)
    assert not erased.erasure_key_file.exists()


@pytest.mark.parametrize("undone", [False, True])
def test_lost_rows_of_another_delivery_stop_neither_an_erasure_nor_its_undoing(
    fed: Workspace, deliver: Deliver, *, undone: bool
) -> None:
    deliver(fed.input_folder, "other.csv", [line_of("e9", 9)])
    lost = ingest(fed).files[0].number
    if undone:
        erase(fed, GONE, REASON)
    for part in table_of(fed).parts():
        if part.first == lost:
            part.path.unlink()
    (fed.input_folder / "other.csv").rename(fed.root.parent / "other.csv")
    if undone:
        assert undo_erasure(fed, GONE, MISTAKE).read_again == ("branches/march.csv",)
    else:
        assert erase(fed, GONE, REASON).rows == 1
    assert not (fed.output_folder / "finaldata.csv").exists()
    (fed.root.parent / "other.csv").rename(fed.input_folder / "other.csv")
    ingest(fed)
    assert line_of("e9", 9) in rows_of(fed)
    assert (line_of(GONE, 1) in rows_of(fed)) == undone
