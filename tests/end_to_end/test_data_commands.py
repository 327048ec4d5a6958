"""The commands about data as a user calls them: what they print, what they write, and the status they end with."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import NotPermitted
from holdfast.frontdoor import main
from holdfast.records import to_json
from holdfast.steps.datasets import history
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import list_quarantine, show_quarantine
from holdfast.steps.tracing import trace_client, trace_delivery, trace_row
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
HOLDFAST = (sys.executable, "-m", "holdfast")
GOOD = ["acme,1,10,2,0", "berta,2,20,3,1", "carla,3,30,4,0"]
REFUSED = ["dora,four,40,5,1", "emil,5,fifty,6,0", "fritz,6,60"]


@pytest.fixture(scope="module")
def company_with_refusals(
    make_company: Callable[[Path], Workspace], deliver: Deliver, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    workspace = make_company(tmp_path_factory.mktemp("built") / "company")
    for path in workspace.input_folder.iterdir():
        path.unlink()
    deliver(workspace.input_folder, "a.csv", [*GOOD, *REFUSED])
    ingest(workspace)
    return workspace.root


@pytest.fixture
def held(company_with_refusals: Path, tmp_path: Path) -> Workspace:
    """A workspace with three rows in the dataset and three in quarantine: 1:5, 1:6 and 1:7."""
    shutil.copytree(company_with_refusals, tmp_path / "company")
    return Workspace.open(tmp_path / "company")


class Shell:
    """Calls commands in this process, as the front door does."""

    def __init__(self, workspace: Workspace, capture: pytest.CaptureFixture[str]) -> None:
        self._workspace = workspace
        self._capture = capture

    def __call__(self, line: str, *more: str) -> tuple[int, str]:
        """The exit status and everything that was printed. `more` are arguments with spaces."""
        status = main([*line.split(), *more, "--workspace", str(self._workspace.root)])
        printed = self._capture.readouterr()
        return status, printed.out + printed.err

    def record(self, line: str, *more: str) -> Any:
        """The record that a command prints with --json."""
        status = main([*line.split(), *more, "--workspace", str(self._workspace.root), "--json"])
        printed = self._capture.readouterr()
        assert printed.err == ""
        return json.loads(printed.out) | {"status": status}


@pytest.fixture
def holdfast(held: Workspace, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(held, capsys)


def rows_of(workspace: Workspace) -> list[str]:
    return (workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:]


def as_json(record: object) -> Any:
    return json.loads(json.dumps(to_json(record)))


# ---- quarantine


def test_from_a_refused_row_to_a_repaired_one(holdfast: Shell, held: Workspace) -> None:
    status, printed = holdfast("quarantine list")
    assert (status, "3 open rows" in printed, "lastmonth_activity: not a whole number" in printed) == (0, True, True)
    status, printed = holdfast("quarantine show 1")
    assert (status, "dora,four,40,5,1" in printed, "quarantine repair 1:5" in printed) == (0, True, True)
    assert holdfast("quarantine repair 1:5 --set lastmonth_activity=4")[0] == 0
    status, printed = holdfast("quarantine replay")
    assert (status, "repairs delivery 1" in printed) == (0, True)
    assert rows_of(held) == [*GOOD, "dora,4,40,5,1"]
    assert "4 rows" in holdfast("ingest")[1]


def test_many_rows_are_corrected_in_a_file(holdfast: Shell, held: Workspace, tmp_path: Path) -> None:
    corrections = tmp_path / "corrections.csv"
    assert holdfast(f"quarantine show 1 --out {corrections}")[0] == 0
    text = corrections.read_text()
    corrections.write_text(text.replace("four", "4").replace("fifty", "50").replace('"fritz,6,60"', "fritz,6,60,7,1"))
    assert holdfast.record(f"quarantine repair 1 --from {corrections}")["ids"] == ["1:5", "1:6", "1:7"]
    assert holdfast.record("quarantine replay")["accepted"] == 3
    assert rows_of(held) == [*GOOD, "dora,4,40,5,1", "emil,5,50,6,0", "fritz,6,60,7,1"]


def test_rows_are_let_go_with_a_reason(holdfast: Shell) -> None:
    assert holdfast.record("quarantine waive 1:5 1:6 --reason", "test clients")["rows"] == 2
    listed = holdfast.record("quarantine list")["deliveries"][0]
    assert (listed["open"], listed["waived"]) == (1, 2)
    assert holdfast("quarantine waive 1:7")[0] == 64, "a reason is asked for"


def test_a_list_is_short_and_can_be_had_in_full(holdfast: Shell) -> None:
    holdfast("quarantine waive 1 --reason", "of no use")
    assert "nothing waits in 1 delivery: holdfast quarantine list --all\n" in holdfast("quarantine list")[1]
    assert "a.csv" in holdfast("quarantine list --all")[1]


def test_as_many_rows_are_shown_as_are_asked_for(holdfast: Shell) -> None:
    assert "and 2 more rows: --limit 3 shows all" in holdfast("quarantine show 1 --limit 1")[1]
    assert len(holdfast.record("quarantine show 1 --limit 2")["rows"]) == 2


def test_texts_of_settled_rows_are_let_go_in_time(holdfast: Shell) -> None:
    holdfast("quarantine waive 1:5 --reason", "a test client")
    assert "no text was let go" in holdfast("quarantine forget --days 30")[1]
    assert holdfast("quarantine forget --days 0") == (0, "let go of the texts of 1 row\n")
    assert "dora" not in holdfast("quarantine show 1")[1]


def test_everything_that_was_delivered_is_listed(holdfast: Shell) -> None:
    status, printed = holdfast("dataset deliveries --all")
    assert (status, "1 delivery; the dataset is made of 1 delivery" in printed, "1 a.csv" in printed) == (0, True, True)
    assert holdfast.record("dataset deliveries")["current"] == [1]


def test_a_replay_that_takes_nothing_in_is_no_failure_and_says_so(holdfast: Shell) -> None:
    status, printed = holdfast("quarantine replay")
    assert (status, "no repaired row waits to be taken in" in printed) == (0, True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("quarantine show 7", "there is no delivery '7'"),
        ("quarantine show 1:2", "nothing of delivery 1:2 is in quarantine"),
        ("quarantine repair 1:5", "either --set COLUMN=VALUE or --from FILE"),
        ("quarantine repair 1:5 --set a=b --from c.csv", "either --set COLUMN=VALUE or --from FILE"),
        ("quarantine repair 1:5 --set lastmonth_activity", "is not COLUMN=VALUE"),
        ("quarantine repair 1:5 --set lastmonth=4", "did you mean 'lastmonth_activity'"),
        ("quarantine repair 1:5 --set lastmonth_activity=vier", "would still be refused"),
        ("quarantine replay 7", "there is no delivery '7'"),
        ("quarantine waive 9 --reason x", "there is no delivery '9'"),
        ("lineage client nobody", "no row of client 'nobody'"),
        ("lineage row 4", "finaldata.csv has no row 4"),
        ("lineage row 0", "0 is not in the range"),
        ("lineage model 1b9d4f", "known: none"),
        ("lineage assessment", "there is no such assessment"),
        ("lineage delivery 9", "there is no delivery 9"),
        ("summary --as-of 9", "the versions are 0 to 1"),
        ("dataset export out.txt", "the dataset is exported as .csv"),
        ("dataset export {root}/sourcedata/x.csv", "where the workspace keeps its own files"),
        ("erase acme", "--reason"),
        ("erase acme --reason acme", "the reason names the client"),
        ("erase acme --undo", "--reason"),
        ("erase acme --undo --reason x", "this client is not erased"),
        ("erase acme --undo --dry-run --reason x", "--undo goes with --reason alone"),
        ("erase", "CLIENT"),
    ],
)
def test_what_cannot_be_meant_is_answered_with_64_and_what_is_known(
    holdfast: Shell, held: Workspace, line: str, message: str
) -> None:
    status, printed = holdfast(line.replace("{root}", str(held.root)))
    assert (status, message in " ".join(printed.split())) == (64, True), printed
    assert rows_of(held) == GOOD


def test_a_corrected_file_of_another_form_is_a_refused_file(holdfast: Shell, held: Workspace) -> None:
    status, printed = holdfast(f"quarantine repair 1 --from {held.input_folder / 'a.csv'}")
    assert (status, "the first line has to be _line,_rule,corporation" in printed) == (74, True)


# ---- the dataset


def test_versions_are_listed_summed_up_and_exported(holdfast: Shell, held: Workspace, deliver: Deliver) -> None:
    before = (held.output_folder / "finaldata.csv").read_bytes()
    deliver(held.input_folder, "b.csv", ["gerd,7,70,8,1"])
    assert holdfast("ingest")[0] == 0
    status, printed = holdfast("dataset versions")
    assert (status, "a.csv" in printed, "b.csv" in printed) == (0, True, True)
    assert [holdfast.record(f"summary --as-of {version}")["rows"] for version in (1, 2)] == [3, 4]
    out = held.root / "then.csv"
    assert holdfast.record(f"dataset export {out} --as-of 1")["rows"] == 3
    assert out.read_bytes() == before
    assert holdfast.record("dataset tidy")["merged"] == 2


def test_without_a_dataset_a_summary_is_no_usable_data(company: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert Shell(company, capsys)("summary")[0] == 4
    assert Shell(company, capsys).record("dataset versions")["versions"] == []


def test_a_file_is_checked_before_it_is_delivered(
    holdfast: Shell, held: Workspace, deliver: Deliver, tmp_path: Path
) -> None:
    assert holdfast(f"schema check {deliver(tmp_path, 'good.csv', GOOD)}")[0] == 0
    status, printed = holdfast(f"schema check {deliver(tmp_path, 'bad.csv', [*GOOD, *REFUSED])}")
    assert (status, "not a whole number" in printed) == (3, True)
    assert "corporation" in holdfast("schema show")[1]
    assert rows_of(held) == GOOD


# ---- lineage and erasure


def test_a_client_is_traced_erased_and_not_brought_back(holdfast: Shell, held: Workspace, deliver: Deliver) -> None:
    status, printed = holdfast("lineage client acme")
    assert (status, "1:2" in printed, "a.csv" in printed) == (0, True, True)
    status, printed = holdfast("erase acme --reason", "case 17")
    assert (status, "no trace of the client" in printed, "acme" in printed) == (0, True, False)
    assert rows_of(held) == GOOD[1:]
    deliver(held.input_folder, "b.csv", [GOOD[0], "gerd,7,70,8,1"])
    assert holdfast.record("ingest")["erased"] == 1
    assert rows_of(held) == [*GOOD[1:], "gerd,7,70,8,1"]
    assert holdfast("lineage client acme")[0] == 64


def test_an_id_with_a_slip_of_the_pen_is_refused_with_the_id_that_may_be_meant(
    holdfast: Shell, held: Workspace
) -> None:
    status, printed = holdfast("erase acne --reason", "case 18")
    assert (status, "'acne' occurs nowhere" in printed, "did you mean 'acme'?" in printed) == (64, True, True)
    assert rows_of(held) == GOOD
    assert not held.erasure_key_file.exists()


def test_somebody_who_is_not_there_yet_can_be_kept_out(holdfast: Shell, held: Workspace, deliver: Deliver) -> None:
    status, printed = holdfast("erase nobody --in-advance --reason", "case 18")
    assert status == 0
    assert "the dataset has no row of the client" in printed
    assert "no model has learned from the client" in printed
    deliver(held.input_folder, "b.csv", ["nobody,7,70,8,1"])
    assert holdfast.record("ingest")["erased"] == 1
    assert rows_of(held) == GOOD


def test_a_dry_run_says_what_would_be_erased_and_changes_nothing(holdfast: Shell, held: Workspace) -> None:
    status, printed = holdfast("erase acme --dry-run")
    assert status == 0
    assert "dry run: nothing was changed" in printed
    assert "would be removed from" in printed
    assert rows_of(held) == GOOD


def test_an_erasure_is_undone_and_the_client_is_taken_again(holdfast: Shell, held: Workspace, deliver: Deliver) -> None:
    holdfast("erase acme --reason", "case 17")
    status, printed = holdfast("erase acme --undo --reason", "a mistake: case 17b")
    assert status == 0
    assert "rows that were erased did not come back by this" in printed
    assert rows_of(held) == GOOD[1:]
    deliver(held.input_folder, "b.csv", GOOD[:1])
    assert holdfast.record("ingest")["accepted"] == 1
    assert sorted(rows_of(held)) == sorted(GOOD)


def test_an_erasure_that_leaves_a_trace_ends_with_3_and_names_the_file(holdfast: Shell, held: Workspace) -> None:
    (held.root / "minutes.pdf").write_bytes(b"%PDF-1.4 about acme")
    status, printed = holdfast("erase acme --reason", "case 17")
    assert (status, "NOT ERASED EVERYWHERE" in printed, "minutes.pdf" in printed) == (3, True, True)


def test_without_the_key_of_the_erased_clients_ingestion_ends_with_74(holdfast: Shell, held: Workspace) -> None:
    holdfast("erase acme --reason", "case 17")
    held.erasure_key_file.unlink()
    error = holdfast.record("ingest")["error"]
    assert (error["code"], error["message"]) == ("input-output", "the key of the erased clients is gone")


# ---- the record


def test_with_json_a_command_prints_its_record_and_nothing_else(holdfast: Shell, held: Workspace) -> None:
    asked: dict[str, object] = {
        "quarantine list": list_quarantine(held),
        "quarantine show 1:5": show_quarantine(held, "1:5"),
        "dataset versions": history(held),
        "lineage client acme": trace_client(held, "acme"),
        "lineage row 2": trace_row(held, 2),
        "lineage delivery 1": trace_delivery(held, 1),
    }
    for line, record in asked.items():
        assert holdfast.record(line) == as_json(record) | {"status": 0}


def test_with_json_an_error_is_a_record_too(holdfast: Shell) -> None:
    answer = holdfast.record("lineage client nobody")
    assert answer["status"] == 64
    assert answer["error"]["code"] == "usage"
    assert "compared exactly" in answer["error"]["hint"]


def test_with_quiet_a_command_prints_nothing_but_errors(holdfast: Shell) -> None:
    assert holdfast("quarantine list --quiet") == (0, "")
    status, printed = holdfast("quarantine show 9 --quiet")
    assert (status, "there is no delivery" in printed) == (64, True)


def test_a_database_that_is_away_ends_ingestion_with_69_and_its_password_is_not_shown(
    holdfast: Shell, held: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_DATABASE", "postgresql+psycopg://clerk:s3cret@127.0.0.1:1/company")
    path = held.root / "config.json"
    source = {"name": "crm", "database_from": "CRM_DATABASE", "table": "clients"}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sources": [source]}))
    record = holdfast.record("ingest")
    assert (record["status"], record["dataset"]["rows"]) == (69, 3)
    status, printed = holdfast("ingest")
    assert (status, "crm" in printed, "s3cret" in printed) == (69, True, False)


def test_as_processes_of_their_own_the_commands_do_the_same(
    held: Workspace,
) -> None:
    def called(*arguments: str) -> tuple[int, Any]:
        done = subprocess.run(
            [*HOLDFAST, *arguments, "--json"], cwd=held.root, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    (held.input_folder / "b.csv").write_text((held.input_folder / "a.csv").read_text() + "gerd,7,70,8,1\n")
    status, record = called("ingest")
    assert (status, record["accepted"], record["duplicate"], record["quarantined"]) == (3, 1, 3, 3)
    assert called("lineage", "client", "nobody")[0] == 64


# ---- who may read and not write


READING = (
    "status",
    "summary",
    "summary --as-of 1",
    "dataset versions",
    "dataset deliveries",
    "quarantine list",
    "quarantine show 1",
    "lineage client acme",
    "lineage row 1",
    "lineage delivery 1",
    "schema show",
)


@pytest.mark.parametrize("line", READING)
def test_who_may_not_write_gets_the_same_answer(
    holdfast: Shell, held: Workspace, read_only: Callable[[Path], None], line: str
) -> None:
    def without_time(answer: tuple[int, str]) -> tuple[int, str]:
        return answer[0], re.sub(r"[0-9.]+ s\b", "", answer[1])

    before = without_time(holdfast(line))
    assert before[0] == 0
    read_only(held.root)
    assert without_time(holdfast(line)) == before


def test_who_may_not_write_exports_to_another_folder(
    holdfast: Shell, held: Workspace, read_only: Callable[[Path], None], tmp_path: Path
) -> None:
    read_only(held.root)
    status, _ = holdfast(f"dataset export {tmp_path / 'out.csv'}")
    assert status == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == rows_of(held)


def test_who_may_not_write_is_told_so_by_a_command_that_writes(
    holdfast: Shell, held: Workspace, read_only: Callable[[Path], None]
) -> None:
    read_only(held.root)
    status, text = holdfast("ingest")
    assert status == NotPermitted.exit_status
    assert "Permission denied" in text
