"""Erased clients as ingestion knows them: recognised, left out of every delivery, and never without their key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import FileRefused, InputOutputError
from holdfast.intake.erased import Erased, erased_clients
from holdfast.session import begin
from holdfast.sources.typed import as_csv
from holdfast.steps import erasure
from holdfast.steps.ingestion import ingest
from holdfast.store.tombstones import Tombstones, make_key
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
KEY = bytes(range(32))


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


def errors_of(*clients: str) -> Erased:
    none = Tombstones(KEY, frozenset())
    return Erased(key=KEY, tombstones=frozenset(map(none.tombstone_of, clients)))


def error(**told: str | None) -> dict[str, Any]:
    return FileRefused("not CSV", file="a.csv", row=3).record("run") | told


def test_where_nobody_was_erased_an_error_is_kept_as_it_is() -> None:
    told = error(message="Found: acme, 1", value_excerpt="Müller & Söhne Holding Gesellschaft für…")
    assert Erased(key=None, tombstones=frozenset()).told(told) == told


@pytest.mark.parametrize(
    "excerpt",
    ["acme,1,2", "1,2,acme", '"acme,1,2,3,0\\nx,1', "we met acme.,1", "acme", "b;acme;c", "x,1,2\\nacme,1,2"],
)
def test_an_excerpt_that_names_an_erased_client_is_blanked(excerpt: str) -> None:
    assert errors_of("acme").told(error(value_excerpt=excerpt)) == error(value_excerpt="[erased]")


def test_an_excerpt_of_others_stays() -> None:
    told = error(value_excerpt="b,1,2", message="Found: b, 1, 2", hint="did you mean 'b'?")
    assert errors_of("acme").told(told) == told


def test_in_a_message_and_a_hint_the_id_alone_is_blanked() -> None:
    told = errors_of("acme").told(error(message="no column. Found: acme, 1, acme-2", hint="did you mean 'acme'?"))
    assert (told["message"], told["hint"]) == (
        "no column. Found: [erased], 1, acme-2",
        "did you mean '[erased]'?",
    )


def test_of_a_value_that_was_cut_off_nothing_is_kept_as_nobody_knows_whose_it_is() -> None:
    cut = errors_of("acme").told(error(value_excerpt='1,x,"Miller, Sons and their childr…'))
    assert cut["value_excerpt"] == "1,x,…"
    whole = error(value_excerpt="a field of somebody else, another one,…")
    assert errors_of("acme").told(whole) == whole


def test_an_id_that_is_shown_with_escapes_is_known() -> None:
    client = "Müller\u00a0& Söhne"
    shown = FileRefused("x", value=f"{client},1,2").record()
    assert "\\xa0" in shown["value_excerpt"]
    assert errors_of(client).told(shown)["value_excerpt"] == "[erased]"


@pytest.mark.parametrize("text", ["zorgon-7,1,2\n", "zorgon-7,1,2,3,0\nb,1,2,3,0\n", None])
def test_a_file_that_is_refused_as_a_whole_does_not_bring_an_erased_client_into_the_record(
    empty: Workspace, deliver: Deliver, text: str | None
) -> None:
    deliver(empty.input_folder, "a.csv", ["zorgon-7,1,2,3,0", "beta,1,2,3,1"])
    ingest(empty)
    erasure.erase(empty, "zorgon-7", "case 17")
    if text:
        (empty.input_folder / "b.csv").write_text(text)
    else:
        deliver(empty.input_folder, "b.csv", ["zorgon-7,1,2"])
    (file,) = ingest(empty).files
    assert file.status == "refused"
    (empty.input_folder / "b.csv").unlink()
    places = [path for path in empty.root.rglob("*") if path.is_file() and b"zorgon" in path.read_bytes()]
    assert [path for path in places if path.suffix != ".tmp"] == []
