"""Erased clients as ingestion knows them: recognised, left out of every delivery, and never without their key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import InputOutputError
from holdfast.intake.erased import Erased, erased_clients
from holdfast.session import begin
from holdfast.sources.typed import as_csv
from holdfast.steps import erasure
from holdfast.steps.ingestion import ingest
from holdfast.store.tombstones import Tombstones, make_key
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]


def erase(workspace: Workspace, client: str) -> str:
    """Only the tombstone: the rows that are there already stay."""
    key = make_key(workspace.erasure_key_file)
    tombstone = Tombstones(key, frozenset()).tombstone_of(client)
    with begin(workspace, "test") as session:
        session.ledger.begin_erasure(session.run_id, "2026-01-31T10:00:00Z", tombstone)
    return tombstone


def test_where_nobody_was_erased_nobody_is_recognised(empty: Workspace) -> None:
    with begin(empty, "test") as session:
        erased = erased_clients(session)
    assert erased == Erased(key=None, tombstones=frozenset())
    assert erased.recogniser() is None


def test_an_erased_client_is_recognised_by_its_tombstone(empty: Workspace) -> None:
    tombstone = erase(empty, "acme")
    with begin(empty, "test") as session:
        erased = erased_clients(session)
    assert erased.tombstones == {tombstone}
    recogniser = erased.recogniser()
    assert recogniser is not None
    assert recogniser.tombstone_of("acme") == tombstone


def test_without_its_key_nothing_is_taken(empty: Workspace, deliver: Deliver) -> None:
    erase(empty, "acme")
    empty.erasure_key_file.unlink()
    deliver(empty.input_folder, "a.csv", ["acme,1,2,3,0"])
    with pytest.raises(InputOutputError, match="the key of the erased clients is gone") as caught:
        ingest(empty)
    assert caught.value.file == str(empty.erasure_key_file)


def test_rows_of_an_erased_client_are_left_out_and_counted_whatever_file_they_come_in(
    empty: Workspace, deliver: Deliver
) -> None:
    erase(empty, "acme")
    deliver(empty.input_folder, "a.csv", ["acme,1,2,3,0", "beta,1,2,3,1", "beta,1,2,3,1", "acme,4,5,6,1", "bad"])
    record = ingest(empty)
    (file,) = record.files
    assert (file.rows, file.accepted, file.duplicate, file.quarantined, file.erased) == (5, 1, 1, 1, 2)
    assert (empty.output_folder / "finaldata.csv").read_text().splitlines()[1:] == ["beta,1,2,3,1"]
    assert "a.csv: 2 rows of erased clients were left out" in record.notices
    for path in empty.output_folder.rglob("*"):
        assert not path.is_file() or b"acme" not in path.read_bytes(), path


def test_a_lost_ledger_learns_from_the_receipts_who_was_erased(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", ["acme,1,2,3,0", "beta,1,2,3,1"])
    ingest(empty)
    erasure.erase(empty, "acme", "case 17")
    for path in empty.state_folder.glob("ledger.sqlite*"):
        path.unlink()
    deliver(empty.input_folder, "again.csv", ["acme,1,2,3,0", "gamma,1,2,3,1"])
    assert ingest(empty).erased == 1


def test_a_lost_ledger_does_not_erase_a_client_whose_erasure_was_undone(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", ["acme,1,2,3,0", "beta,1,2,3,1"])
    ingest(empty)
    erasure.erase(empty, "acme", "case 17")
    erasure.undo_erasure(empty, "acme", "a mistake")
    for path in empty.state_folder.glob("ledger.sqlite*"):
        path.unlink()
    deliver(empty.input_folder, "again.csv", ["acme,1,2,3,0", "gamma,1,2,3,1"])
    assert ingest(empty).erased == 0


def test_what_is_no_receipt_erases_nobody(empty: Workspace) -> None:
    empty.receipts_folder.mkdir()
    for number, text in enumerate(["", "[]", '{"tombstone": 7}', "{}"]):
        (empty.receipts_folder / f"{number}.json").write_text(text)
    with begin(empty, "test") as session:
        assert erased_clients(session).tombstones == frozenset()


@pytest.mark.parametrize("client", ["Smith, Ltd", "acme;co", 'say "hi"'])
def test_a_broken_row_of_an_erased_client_is_left_out_whatever_its_id_holds(
    empty: Workspace, deliver: Deliver, client: str
) -> None:
    erase(empty, client)
    deliver(empty.input_folder, "a.csv", ["beta,1,2,3,1", as_csv([client, "1", "2", "3", "0", "EXTRA"])])
    record = ingest(empty)
    assert (record.erased, record.quarantined) == (1, 0)
