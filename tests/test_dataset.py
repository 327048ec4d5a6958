"""The dataset: what its version rests on, where its parts are, and the two files written from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.dataset import (
    ask,
    current_files,
    current_view,
    dataset_digest,
    describe,
    quarantine_of,
    remember,
    summary_of,
    table_of,
    write_out,
)
from holdfast.engines.base import View
from holdfast.engines.duckdb import DuckDBEngine
from holdfast.errors import InputOutputError, NoUsableData, UsageError
from holdfast.records import Dataset, SourceFile
from holdfast.schema import schema_from_json
from holdfast.session import Session, begin
from holdfast.steps.datasets import export, summarise, tidy
from holdfast.steps.ingestion import ingest
from holdfast.steps.tracing import trace_client, trace_row
from holdfast.store.brieffiles import dataset_in, final_data_in
from holdfast.store.files import digest_of_file
from holdfast.store.ledger import Ledger
from holdfast.workspace import CONFIG_NAME, Workspace

Deliver = Callable[..., Path]


def delivery(number: int, digest: str) -> SourceFile:
    return SourceFile(
        number=number,
        name="a.csv",
        folder="practicedata",
        digest=digest,
        size=1,
        received="2026-01-31T10:00:00Z",
        status="accepted",
    )


A, B = delivery(1, "a" * 64), delivery(2, "b" * 64)


def with_settings(workspace: Workspace, **settings: Any) -> Workspace:
    """The workspace after its config.json was changed."""
    path = workspace.root / CONFIG_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return Workspace.open(workspace.root)


def described(session: Session) -> Dataset:
    return describe(session.workspace, session.ledger, session.engine, current_files(session))


def final_data(workspace: Workspace) -> bytes:
    return (workspace.output_folder / "finaldata.csv").read_bytes()


def lines_of(workspace: Workspace) -> list[str]:
    return final_data(workspace).decode().splitlines()


# ---- identity and places


def test_the_version_changes_with_what_decides_the_rows(company: Workspace) -> None:
    other = schema_from_json({"client": "corporation", "target": "exited", "features": {"x": {}}})
    digests = [
        dataset_digest(company, [A, B], 0),
        dataset_digest(company, [B, A], 0),
        dataset_digest(company, [A], 0),
        dataset_digest(company, [], 0),
        dataset_digest(company, [A, B], 1),
        dataset_digest(replace(company, conflicts="latest"), [A, B], 0),
        dataset_digest(replace(company, schema=other), [A, B], 0),
        dataset_digest(replace(company, input_folder=company.root / "sourcedata"), [A, B], 0),
    ]
    assert len(set(digests)) == len(digests)


def test_the_version_is_that_of_the_bytes_whatever_the_files_are_called(company: Workspace) -> None:
    renamed = replace(A, name="renamed.csv", number=7, version=9)
    assert dataset_digest(company, [A], 0) == dataset_digest(company, [renamed], 0)


def test_every_input_folder_and_schema_has_a_table_of_its_own(company: Workspace) -> None:
    other = schema_from_json({"client": "corporation", "target": "exited", "features": {"x": {}}})
    sourcedata = replace(company, input_folder=company.root / "sourcedata")
    folders = [table_of(each).folder for each in (company, sourcedata, replace(company, schema=other))]
    assert len(set(folders)) == 3
    assert all(folder.is_relative_to(company.output_folder) for folder in folders)


TWINS = [("data 2026", "data-2026"), ("Data", "data"), ("a/b", "a-b"), ("数据", "顧客"), ("naïve", "na-ve")]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_input_folders_with_similar_names_have_tables_of_their_own(company: Workspace, one: str, other: str) -> None:
    first, second = (replace(company, input_folder=company.root / name) for name in (one, other))
    assert table_of(first).folder != table_of(second).folder


def test_refused_rows_of_deliveries_lie_apart_in_the_output_folder(company: Workspace) -> None:
    paths = [quarantine_of(company, A), quarantine_of(company, B)]
    assert len(set(paths)) == 2
    assert all(path.is_relative_to(company.output_folder) for path in paths)


# ---- its description


def test_a_dataset_is_described_by_its_rows_and_deliveries(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        found = described(session)
        assert found.digest == dataset_digest(ingested, current_files(session), 0)
    assert (found.rows, found.unlabelled, found.deliveries) == (300, 0, 2)
    assert found.exited == sum(line.endswith(",1") for line in lines_of(ingested))


def test_a_dataset_that_the_ledger_does_not_know_is_counted(ingested: Workspace) -> None:
    with begin(ingested, "test") as session, Ledger(None) as empty:
        files = current_files(session)
        assert describe(ingested, empty, session.engine, files) == described(session)


def test_what_the_ledger_remembers_of_a_dataset_is_not_counted_again(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        known = replace(described(session), rows=7)
        remember(session, known, current_files(session))
        assert described(session) == known
        found = session.ledger.dataset(known.digest)
        assert found
        assert found.deliveries == tuple(file.number for file in current_files(session))


def test_a_dataset_of_nothing_has_no_rows(company: Workspace) -> None:
    with begin(company, "test") as session:
        assert (described(session).rows, described(session).deliveries) == (0, 0)
        assert write_out(session) is False
    assert not (company.output_folder / "finaldata.csv").exists()


def test_statistics_are_those_of_the_version_asked_for(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        rows = {
            version: {column.rows for column in summary_of(ingested, session.ledger, session.engine, version)}
            for version in (None, 1, 2)
        }
    assert rows == {None: {300}, 1: {150}, 2: {300}}


def test_statistics_count_the_rows_that_were_refused_for_an_empty_cell(company: Workspace, deliver: Deliver) -> None:
    deliver(company.input_folder, "gaps.csv", ["x,,1,1,0", "y,,1,1,0", "z,1,1,,0", "w,1,1,1,0"])
    ingest(company)
    with begin(company, "test") as session:
        summary = summary_of(company, session.ledger, session.engine)
    missing = {column.column: column.refused_missing for column in summary if column.refused_missing}
    assert missing == {"lastmonth_activity": 2, "number_of_employees": 1}


def test_nothing_has_no_statistics(company: Workspace) -> None:
    with begin(company, "test") as session, pytest.raises(NoUsableData, match="there is no dataset yet"):
        summary_of(company, session.ledger, session.engine)


def test_a_version_that_never_was_is_a_usage_error(ingested: Workspace) -> None:
    with pytest.raises(UsageError):
        current_view(ingested, 3)


def test_a_dataset_of_nothing_has_no_parts(company: Workspace) -> None:
    assert current_view(company).parts == ()


# ---- finaldata.csv and ingestedfiles.txt


def test_the_record_names_the_dataset_and_the_file_that_was_written_with_it(ingested: Workspace) -> None:
    text = (ingested.output_folder / "ingestedfiles.txt").read_text()
    with begin(ingested, "test") as session:
        assert dataset_in(text) == described(session).digest
        assert write_out(session) is False
    assert final_data_in(text) == digest_of_file(ingested.output_folder / "finaldata.csv")


@pytest.mark.parametrize("name", ["finaldata.csv", "ingestedfiles.txt"])
@pytest.mark.parametrize(
    "change", [Path.unlink, lambda path: path.write_text("edited"), lambda path: path.write_text("")]
)
def test_outputs_that_do_not_show_the_dataset_are_written_again(
    ingested: Workspace, name: str, change: Callable[[Path], object]
) -> None:
    before = final_data(ingested)
    change(ingested.output_folder / name)
    with begin(ingested, "test") as session:
        assert write_out(session) is True
        assert write_out(session) is False
    assert final_data(ingested) == before


@contextmanager
def watched(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """From which delivery on the rows were written, each time."""
    written: list[int] = []
    real = session.engine.write_csv

    def noted(view: Any, destination: Path, since: int = 0) -> None:
        written.append(since)
        real(view, destination, since)

    with monkeypatch.context() as patch:
        patch.setattr(session.engine, "write_csv", noted)
        yield written


def taken(
    workspace: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch, name: str, lines: Sequence[str]
) -> list[int]:
    """Deliver and ingest a file; from which delivery on finaldata.csv was written."""
    deliver(workspace.input_folder, name, lines)
    with begin(workspace, "test") as session, watched(session, monkeypatch) as written:
        ingest(session)
    return written


def test_rows_on_top_are_appended_and_the_file_is_as_if_written_anew(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = final_data(ingested)
    repeated = lines_of(ingested)[1]
    assert taken(ingested, deliver, monkeypatch, "new.csv", ["x,1,1,1,0", repeated, "y,2,2,2,1", "x,1,1,1,0"]) == [3]
    assert final_data(ingested) == before + b"x,1,1,1,0\ny,2,2,2,1\n"
    appended = final_data(ingested)
    (ingested.output_folder / "finaldata.csv").unlink()
    with begin(ingested, "test") as session:
        assert write_out(session)
    assert final_data(ingested) == appended


def test_a_superseded_delivery_is_a_reason_to_write_all_rows_anew(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = lines_of(ingested)[151:]
    assert taken(ingested, deliver, monkeypatch, "dataset1.csv", ["x,1,1,1,0"]) == [0]
    assert lines_of(ingested)[1:] == [*second, "x,1,1,1,0"]


TIMED = {
    "client": "corporation",
    "time": "month",
    "target": "exited",
    "features": {"visits": {"type": "integer"}},
}


@pytest.fixture
def timed(company: Workspace) -> Workspace:
    """A workspace whose rows are dated, with one delivery taken in."""
    shutil.rmtree(company.input_folder)
    company.input_folder.mkdir()
    workspace = with_settings(company, schema=TIMED)
    assert workspace.conflicts == "latest"
    tell(workspace, "1.csv", "a,2026-01-31,1,0", "b,2026-01-31,1,0")
    ingest(workspace)
    return workspace


def tell(workspace: Workspace, name: str, *lines: str) -> None:
    (workspace.input_folder / name).write_text("\n".join(["corporation,month,visits,exited", *lines, ""]))


def test_a_replaced_row_is_a_reason_to_write_all_rows_anew(timed: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, line, since in (("2.csv", "c,2026-01-31,1,1", [2]), ("3.csv", "a,2026-01-31,2,1", [0])):
        tell(timed, name, line)
        with begin(timed, "test") as session, watched(session, monkeypatch) as written:
            ingest(session)
        assert written == since
    assert lines_of(timed)[1:] == ["b,2026-01-31,1,0", "c,2026-01-31,1,1", "a,2026-01-31,2,1"]


def test_another_rule_for_conflicts_is_another_dataset_of_the_same_deliveries(timed: Workspace) -> None:
    tell(timed, "2.csv", "a,2026-01-31,2,1", "c,2026-01-31,1,1")
    ingest(timed)
    shown = {}
    for rule in ("latest", "quarantine", "keep", "latest"):
        workspace = with_settings(timed, conflicts=rule)
        with begin(workspace, "test") as session:
            write_out(session)
            assert described(session).rows == len(lines_of(workspace)) - 1
        shown[rule] = [line.replace("2026-01-31,", "") for line in lines_of(workspace)[1:]]
    assert shown == {
        "latest": ["b,1,0", "a,2,1", "c,1,1"],
        "quarantine": ["a,1,0", "b,1,0", "c,1,1"],
        "keep": ["a,1,0", "b,1,0", "a,2,1", "c,1,1"],
    }


# ---- readers without a lock


def merge_and_forget(workspace: Workspace) -> None:
    tidy(workspace)
    table_of(workspace).forget(0)


def meddled(monkeypatch: pytest.MonkeyPatch, workspace: Workspace, name: str) -> list[str]:
    """Before the first answer of an engine's method the dataset's files are merged and the old ones deleted."""
    asked: list[str] = []
    real = getattr(DuckDBEngine, name)

    def method(*given: Any, **named: Any) -> Any:
        asked.append(name)
        if len(asked) == 1:
            merge_and_forget(workspace)
        return real(*given, **named)

    monkeypatch.setattr(DuckDBEngine, name, method)
    return asked


@pytest.mark.parametrize(
    ("method", "question"),
    [
        ("summarise", lambda workspace: summarise(workspace).rows),
        ("occurrences", lambda workspace: trace_row(workspace, 7).rows[0].values),
        ("occurrences", lambda workspace: trace_client(workspace, "c2-7").rows[0].values),
        ("write_csv", lambda workspace: export(workspace, workspace.root.with_name("out.csv")).rows),
    ],
)
def test_a_reader_asks_again_when_files_were_deleted_meanwhile(
    ingested: Workspace, monkeypatch: pytest.MonkeyPatch, method: str, question: Callable[[Workspace], object]
) -> None:
    expected = question(ingested)
    asked = meddled(monkeypatch, ingested, method)
    assert question(ingested) == expected
    assert len(asked) == 2


def test_a_reader_of_a_version_that_was_let_go_meanwhile_is_told_so(
    ingested: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    meddled(monkeypatch, ingested, "summarise")
    with pytest.raises(InputOutputError, match="version 1 of the dataset can no longer be read"):
        summarise(ingested, 1)


def test_a_reader_of_damaged_files_asks_once(ingested: Workspace) -> None:
    asked: list[View] = []

    def question(view: View) -> None:
        asked.append(view)
        raise InputOutputError("the disk is broken")

    with pytest.raises(InputOutputError, match="the disk is broken"):
        ask(ingested, question)
    assert len(asked) == 1
