"""The dataset: what its version rests on, where its parts are, and the two files written from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from holdfast.dataset import (
    current_files,
    current_view,
    dataset_digest,
    describe,
    quarantine_of,
    reconcile,
    remember,
    summary_of,
    table_of,
    withdraw_lost,
    write_out,
)
from holdfast.errors import InputOutputError, NoUsableData, UsageError
from holdfast.records import Dataset, SourceFile
from holdfast.schema import schema_from_json
from holdfast.session import Session, begin
from holdfast.steps.ingestion import ingest
from holdfast.store.brieffiles import dataset_in, final_data_in
from holdfast.store.deltatable import part_name
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


def test_a_dataset_is_described_by_its_rows_and_files(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        found = described(session)
        assert found.digest == dataset_digest(ingested, current_files(session), 0)
    assert (found.rows, found.unlabelled, found.files) == (300, 0, ("dataset1.csv", "dataset2.csv"))
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
        assert (described(session).rows, described(session).files) == (0, ())
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


# ---- the table and the ledger


def commit_only(workspace: Workspace, number: int, digest: str = "c" * 64) -> SourceFile:
    """What a crash leaves between the two commits of a delivery: the table has it, the ledger has not."""
    table = table_of(workspace)
    path = table.folder / part_name(number, number, digest)
    first = pq.read_table(table.parts()[0].path).slice(0, 0)
    pq.write_table(first, path)
    file = replace(delivery(number, digest), folder=workspace.source)
    return replace(file, version=table.commit("delivery", add=[path], delivery=file))


def test_a_delivery_that_only_the_table_knows_is_entered_into_the_ledger(ingested: Workspace) -> None:
    lost_entry = commit_only(ingested, 3)
    with begin(ingested, "test") as session:
        assert len(current_files(session)) == 2
        reconcile(session)
        assert current_files(session)[2:] == (lost_entry,)
        reconcile(session)
        assert len(current_files(session)) == 3
        assert session.ledger.next_delivery() == 4


def test_two_deliveries_that_only_the_table_knows_come_in_their_order(ingested: Workspace) -> None:
    entries = commit_only(ingested, 3), commit_only(ingested, 4, "d" * 64)
    with begin(ingested, "test") as session:
        reconcile(session)
        assert current_files(session)[2:] == entries


@pytest.mark.parametrize("fixture", ["company", "ingested"])
def test_where_both_know_the_same_nothing_is_done(request: pytest.FixtureRequest, fixture: str) -> None:
    with begin(request.getfixturevalue(fixture), "test") as session:
        before = session.ledger.every_delivery()
        reconcile(session)
        assert session.ledger.every_delivery() == before


class Killed(BaseException):
    """What ends a process between two commits."""


def ingest_until_the_ledger_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed after the table's commit of a delivery and before the ledger's."""

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_delivery", killed)
        with pytest.raises(Killed):
            ingest(workspace)


def test_a_run_that_was_killed_between_the_two_commits_is_as_if_it_had_not_been(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines_of(ingested)
    deliver(ingested.input_folder, "new.csv", ["x,1,1,1,0"])
    ingest_until_the_ledger_is_told(ingested, monkeypatch)
    taken_in = ingest(ingested)
    assert (taken_in.dataset.rows, lines_of(ingested)) == (301, [*before, "x,1,1,1,0"])
    with begin(ingested, "test") as session:
        assert [file.version for file in current_files(session)] == [1, 2, 3]


def test_a_new_table_is_reconciled_though_the_old_one_had_more_versions(ingested: Workspace) -> None:
    for number in range(3, 8):
        commit_only(ingested, number, f"{number}" * 64)
    with begin(ingested, "test") as session:
        reconcile(session)
    shutil.rmtree(ingested.output_folder)
    ingested.output_folder.mkdir()
    with begin(ingested, "test") as session:
        withdraw_lost(session, {file.digest for file in session.ledger.every_delivery()})
    ingest(ingested)
    missed = commit_only(ingested, 10)
    with begin(ingested, "test") as session:
        reconcile(session)
        assert current_files(session)[-1] == missed


def test_a_crash_is_mended_though_another_input_folder_was_used_in_between(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines_of(ingested)
    deliver(ingested.input_folder, "new.csv", ["x,1,1,1,0"])
    ingest_until_the_ledger_is_told(ingested, monkeypatch)
    other = with_settings(ingested, input_folder_path="sourcedata")
    deliver(other.input_folder, "other.csv", ["y,1,1,1,0"])
    ingest(other)
    assert lines_of(other)[1:] == ["y,1,1,1,0"]
    back = with_settings(ingested, input_folder_path="practicedata")
    ingest(back)
    assert lines_of(back) == [*before, "x,1,1,1,0"]


def test_a_part_that_is_gone_is_an_error_until_its_file_can_be_taken_again(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        first, second = current_files(session)
        table_of(ingested).parts()[0].path.unlink()
        with pytest.raises(InputOutputError, match=r"dataset1\.csv"):
            current_files(session)
        withdraw_lost(session, {second.digest})
        with pytest.raises(InputOutputError, match=r"dataset1\.csv"):
            current_files(session)
        withdraw_lost(session, {first.digest, second.digest})
        assert current_files(session) == (second,)


def test_a_part_that_is_gone_is_made_again_from_its_file(ingested: Workspace) -> None:
    before = sorted(lines_of(ingested))
    table_of(ingested).parts()[0].path.unlink()
    assert ingest(ingested).dataset.rows == 300
    assert sorted(lines_of(ingested)) == before


def test_a_deleted_output_folder_is_made_again_from_the_files(ingested: Workspace) -> None:
    before = final_data(ingested)
    shutil.rmtree(ingested.output_folder)
    ingested.output_folder.mkdir()
    assert ingest(ingested).dataset.rows == 300
    assert final_data(ingested) == before
