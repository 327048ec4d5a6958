"""An id that nobody has is refused, with the one that may be meant; unless somebody is erased in advance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.erasing.unknown import nearest_client
from holdfast.erasing.work import Work
from holdfast.errors import UsageError
from holdfast.progress import silent
from holdfast.session import exit_status_of, reading
from holdfast.steps import erasure
from holdfast.steps.erasure import erase, plan_erasure
from holdfast.steps.ingestion import ingest
from holdfast.store.scrubbing.mention import Mention
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
REASON = "case 17"
CLIENTS = ("acme-holding", "beta gmbh", "Müller & Söhne", "c1000200", "c1000201", "42")


def line_of(client: str, number: int) -> str:
    return f'"{client}",{number},{10 * number},{number + 1},{number % 2}'


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def known(company: Workspace, deliver: Deliver) -> Workspace:
    for path in company.input_folder.iterdir():
        path.unlink()
    deliver(company.input_folder, "a.csv", [line_of(client, 7) for client in CLIENTS])
    ingest(company)
    return company


@pytest.mark.parametrize("call", [lambda w, c: erase(w, c, REASON), plan_erasure], ids=["erase", "dry run"])
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("acme-holdin", "acme-holding"),
        ("acme-holdingg", "acme-holding"),
        ("acme-hodling", "acme-holding"),
        ("acme_holding", "acme-holding"),
        ("Beta GmbH", "beta gmbh"),
        (" beta gmbh", "beta gmbh"),
        ("Müller & Sohne", "Müller & Söhne"),
    ],
)
def test_a_slip_of_the_pen_is_refused_with_the_client_that_may_be_meant_and_nothing_is_written(
    known: Workspace, typed: str, meant: str, call: Callable[[Workspace, str], Any]
) -> None:
    before = state_of(known.root)
    with pytest.raises(UsageError, match="occurs nowhere in the workspace: nothing was erased") as caught:
        call(known, typed)
    assert f"did you mean '{meant}'?" in str(caught.value.hint)
    assert "--in-advance" in str(caught.value.hint)
    assert state_of(known.root) == before


def test_where_no_client_is_near_none_is_suggested(known: Workspace) -> None:
    with pytest.raises(UsageError, match="occurs nowhere") as caught:
        erase(known, "somebody else", REASON)
    assert "did you mean" not in str(caught.value.hint)


def test_in_advance_a_client_is_kept_out(known: Workspace, deliver: Deliver) -> None:
    receipt = erase(known, "acme-holdin", REASON, in_advance=True)
    assert (receipt.rows, receipt.remaining) == (0, ())
    deliver(known.input_folder, "b.csv", [line_of("acme-holdin", 1), line_of("new", 1)])
    record = ingest(known)
    assert (record.accepted, record.erased) == (1, 1)


# ---- in advance


@pytest.fixture
def written(running: Workspace) -> Workspace:
    """A workspace in which the full process has run, with documents in which words stand."""
    (running.root / "notes.txt").write_text("the report of Monday\n")
    with (running.log_folder / "cron.log").open("a") as log:
        log.write("see the report\n")
    return running


@pytest.mark.parametrize("word", ["the", "report", "model"])
def test_in_advance_a_document_in_which_the_id_is_a_word_stays_and_is_listed(written: Workspace, word: str) -> None:
    made = (written.model_folder, written.log_folder, written.deployment_folder)
    before = [state_of(folder) for folder in made]
    assert any(word.encode() in data for data in before[0].values())
    plan = plan_erasure(written, word, in_advance=True)
    receipt = erase(written, word, REASON, in_advance=True)
    log = written.log_folder / "holdfast.jsonl"
    after = [state_of(folder) for folder in made]
    for each in (*before, *after):
        each.pop(str(log), None)
    assert after == before
    assert (receipt.in_advance, receipt.rows, receipt.deleted, receipt.cleaned) == (True, 0, (), {})
    assert (receipt.remaining, exit_status_of(receipt)) == ((), 0)
    mentioned = {each.place for each in receipt.mentioned}
    report = "practicemodels/[erased].html" if word == "report" else "practicemodels/report.html"  # no name is told
    assert mentioned >= {report, *(("notes.txt", "logs/cron.log") if word != "model" else ())}
    assert not any(place.endswith((".py", "config.json")) for place in mentioned)
    assert 0 < len(plan.mentioned) <= len(receipt.mentioned)
    assert (written.root / "notes.txt").read_text() == "the report of Monday\n"


def test_in_advance_the_record_keeps_its_words(known: Workspace) -> None:
    (known.input_folder / "b.csv").write_text("no,header\n1,2\n")
    (before,) = ingest(known).files
    erase(known, "columns", REASON, in_advance=True)
    with reading(known) as (ledger, _):
        after = ledger.every_delivery()[-1]
    assert after.error == before.error
    assert "no columns" in str(before.error)


def test_in_advance_rows_of_exactly_this_id_are_removed_wherever_they_wait(known: Workspace, deliver: Deliver) -> None:
    deliver(known.input_folder, "b.csv", [line_of("report", 1), line_of("new", 1)])
    deliver(known.root, "exported.csv", [line_of("report", 1), line_of("report-2", 1)])
    deliver(known.input_folder, "c.csv", ["report,many,1,1,0", line_of("newer", 1)])
    receipt = erase(known, "report", REASON, in_advance=True)
    assert receipt.cleaned == {"exported.csv": 1, "practicedata/b.csv": 1, "practicedata/c.csv": 1}
    assert "report-2" in (known.root / "exported.csv").read_text()
    assert (ingest(known).accepted, receipt.in_advance) == (2, True)


def test_in_advance_a_refused_row_and_an_excerpt_of_a_refused_file_are_removed(
    known: Workspace, deliver: Deliver
) -> None:
    deliver(known.input_folder, "b.csv", ["nobody-9,many,1,1,0", line_of("new", 1)])
    deliver(known.input_folder, "c.csv", ["nobody-9,1", "x,1"])
    ingest(known)
    for path in known.input_folder.glob("[bc].csv"):
        path.unlink()
    receipt = erase(known, "nobody-9", REASON, in_advance=True)
    assert receipt.cleaned == {"ingesteddata/quarantine/000002.parquet": 1, ".holdfast/ledger.sqlite": 2}
    assert not any(b"nobody-9" in data for data in state_of(known.root).values())
    assert receipt.mentioned == ()


def test_a_client_of_whom_there_are_rows_is_erased_everywhere_though_in_advance_was_said(known: Workspace) -> None:
    (known.log_folder / "cron.log").write_text("acme-holding called\n")
    receipt = erase(known, "acme-holding", REASON, in_advance=True)
    assert (receipt.in_advance, receipt.rows, receipt.mentioned) == (False, 1, ())
    assert (known.log_folder / "cron.log").read_text() == ""


def test_an_interrupted_erasure_is_finished_as_it_was_begun(known: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (known.log_folder / "cron.log").write_text("acme-holding called\n")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "clean_files", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(known, "acme-holding", REASON)
    receipt = erase(known, "acme-holding", REASON, in_advance=True)
    assert (receipt.in_advance, receipt.rows) == (False, 1)
    assert (known.log_folder / "cron.log").read_text() == ""


def test_a_file_that_cannot_be_searched_is_left_in_advance_too(known: Workspace) -> None:
    (known.root / "old.zip").write_bytes(b"PK\x03\x04 and no more")
    receipt = erase(known, "nobody-9", REASON, in_advance=True)
    assert [(each.place, each.is_found) for each in receipt.remaining] == [("old.zip", False)]
    assert exit_status_of(receipt) == 3


# ---- who is known


def test_a_client_erased_before_is_known_though_nothing_is_left(known: Workspace) -> None:
    first = erase(known, "beta gmbh", REASON)
    assert erase(known, "beta gmbh", "case 18").tombstone == first.tombstone


@pytest.mark.parametrize(
    "place", ["exports/old.csv", "notes.txt", "mine.json", "logs/cron.log", "nobody-9.md", "testdata/testdata.csv"]
)
def test_a_client_who_is_only_in_a_file_or_in_its_name_is_known(known: Workspace, place: str) -> None:
    path = known.root / place
    path.parent.mkdir(exist_ok=True)
    path.write_text('["nobody-9"]\n')
    assert erase(known, "nobody-9", REASON).rows == 0


def test_a_client_who_is_only_in_quarantine_is_known(known: Workspace, deliver: Deliver) -> None:
    deliver(known.input_folder, "b.csv", ["nobody-9,many,1,1,0", line_of("new", 1)])
    ingest(known)
    (known.input_folder / "b.csv").unlink()
    assert erase(known, "nobody-9", REASON).cleaned.keys() >= {"ingesteddata/quarantine/000002.parquet"}


def test_a_client_who_is_only_in_an_earlier_version_is_known(known: Workspace, deliver: Deliver) -> None:
    deliver(known.input_folder, "b.csv", [line_of("nobody-9", 1), line_of("new", 1)])
    ingest(known)
    deliver(known.input_folder, "b.csv", [line_of("new", 1), line_of("newer", 1)])
    ingest(known)
    receipt = erase(known, "nobody-9", REASON)
    assert (receipt.rows, receipt.changed_versions) == (1, (2,))


def test_a_client_who_waits_in_a_folder_of_others_is_known(known: Workspace, deliver: Deliver, tmp_path: Path) -> None:
    branches = tmp_path / "branches"
    branches.mkdir()
    deliver(branches, "b.csv", [line_of("nobody-9", 1)])
    config = known.root / "config.json"
    sources = [{"name": "branches", "folder": f"file://{branches}"}]
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sources": sources}))
    assert erase(Workspace.open(known.root), "nobody-9", REASON).elsewhere[0].place == str(branches / "b.csv")


def test_a_word_of_the_configuration_or_of_a_script_is_no_client(known: Workspace) -> None:
    (known.root / "mine.py").write_text("print('hopping')\n")
    for word in ("hopping", "settle_seconds"):
        with pytest.raises(UsageError, match="occurs nowhere"):
            erase(known, word, REASON)


def test_a_number_that_occurs_as_a_number_is_no_client(known: Workspace) -> None:
    with pytest.raises(UsageError, match="occurs nowhere"):
        erase(known, "70", REASON)
    assert erase(known, "42", REASON).rows == 1


@given(st.data())
def test_every_single_slip_is_seen_through(nearby: Work, data: st.DataObject) -> None:
    client = data.draw(st.sampled_from(["acme-holding", "c1000200"]))
    place = data.draw(st.integers(0, len(client) - 2))
    letter = data.draw(st.sampled_from("qz5-"))
    kinds = {
        "left out": client[:place] + client[place + 1 :],
        "put in": client[:place] + letter + client[place:],
        "changed": client[:place] + letter + client[place + 1 :],
        "swapped": client[:place] + client[place + 1] + client[place] + client[place + 2 :],
    }
    typed = kinds[data.draw(st.sampled_from(sorted(kinds)))]
    nearby.mention = Mention(typed)
    found = nearest_client(nearby)
    assert found is not None
    assert found[:2] == client[:2] or place < 2


@pytest.fixture(scope="module")
def nearby(
    make_company: Callable[[Path], Workspace], deliver: Deliver, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    company = make_company(tmp_path_factory.mktemp("built") / "company")
    deliver(company.input_folder, "a.csv", [line_of(client, 7) for client in CLIENTS])
    ingest(company)
    with reading(company) as (ledger, _):
        yield Work(workspace=company, ledger=ledger, mention=Mention("x"), progress=silent)
