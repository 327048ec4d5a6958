"""The dataset: what its version rests on, where its rows are, and how ledger and table agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
from holdfast.session import Session, begin, reading
from holdfast.steps.ingestion import ingest
from holdfast.store.brieffiles import dataset_in, final_data_in
from holdfast.store.files import digest_of_file
from holdfast.workspace import Workspace


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


def described(session: Session) -> Dataset:
    return describe(session.workspace, session.ledger, session.engine, current_files(session))


def part_of(workspace: Workspace, file: SourceFile) -> Path:
    return next(part.path for part in table_of(workspace).parts() if part.first <= file.number <= part.last)


def test_the_version_changes_with_deliveries_their_order_schema_folder_rule_and_erasures(company: Workspace) -> None:
    other = schema_from_json({"client": "corporation", "target": "exited", "features": {"x": {}}})
    digests = [
        dataset_digest(company, [A, B], 0),
        dataset_digest(company, [B, A], 0),
        dataset_digest(company, [A], 0),
        dataset_digest(company, [], 0),
        dataset_digest(company, [A, B], 1),
        dataset_digest(replace(company, schema=other), [A, B], 0),
        dataset_digest(replace(company, conflicts="latest"), [A, B], 0),
        dataset_digest(replace(company, input_folder=company.root / "sourcedata"), [A, B], 0),
    ]
    assert len(set(digests)) == len(digests)


def test_the_version_is_that_of_the_bytes_whatever_the_files_are_called(company: Workspace) -> None:
    assert dataset_digest(company, [A], 0) == dataset_digest(company, [replace(A, name="renamed.csv", number=7)], 0)


def test_the_table_of_a_dataset_is_its_own(company: Workspace) -> None:
    other = schema_from_json({"client": "corporation", "target": "exited", "features": {"x": {}}})
    folders = [
        table_of(each).folder
        for each in (
            company,
            replace(company, schema=other),
            replace(company, input_folder=company.root / "sourcedata"),
            replace(company, output_folder=company.root / "elsewhere"),
        )
    ]
    assert len(set(folders)) == len(folders)
    assert folders[0].is_relative_to(company.output_folder / "dataset")


def test_quarantine_of_deliveries_lies_apart_in_the_output_folder(company: Workspace) -> None:
    assert quarantine_of(company, A) == company.output_folder / "quarantine" / "000001.parquet"
    assert quarantine_of(company, B) == company.output_folder / "quarantine" / "000002.parquet"


def test_a_dataset_is_described_by_its_rows_and_files(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        known = described(session)
        assert known.digest == dataset_digest(ingested, current_files(session), 0)
        unknown = replace(ingested, conflicts="latest")
        counted = describe(unknown, session.ledger, session.engine, current_files(session))
    assert (known.rows, known.unlabelled, known.files) == (300, 0, ("dataset1.csv", "dataset2.csv"))
    assert counted == replace(known, digest=counted.digest), "what the ledger does not know is counted"
    assert counted.digest != known.digest


def test_a_dataset_of_nothing_has_no_rows(company: Workspace) -> None:
    with begin(company, "test") as session:
        assert (described(session).rows, described(session).files) == (0, ())
        assert write_out(session) is False
    assert not (company.output_folder / "finaldata.csv").exists()


def test_the_record_names_the_dataset_and_the_file_that_was_written_with_it(ingested: Workspace) -> None:
    text = (ingested.output_folder / "ingestedfiles.txt").read_text()
    with begin(ingested, "test") as session:
        assert dataset_in(text) == described(session).digest
        assert write_out(session) is False
    assert final_data_in(text) == digest_of_file(ingested.output_folder / "finaldata.csv")


def test_outputs_that_do_not_show_the_dataset_are_written_again(ingested: Workspace) -> None:
    (ingested.output_folder / "finaldata.csv").write_text("edited")
    with begin(ingested, "test") as session:
        assert write_out(session) is True
        assert write_out(session) is False


def test_what_is_written_out_can_be_traced_to_its_deliveries(ingested: Workspace) -> None:
    other_rule = replace(ingested, conflicts="quarantine")
    with begin(other_rule, "test") as session:
        digest = dataset_digest(other_rule, current_files(session), 0)
        assert session.ledger.dataset(digest) is None
        assert write_out(session) is True
        known = session.ledger.dataset(digest)
    assert known is not None
    assert (known.deliveries, known.record.rows, known.record.version) == ((1, 2), 300, 2)


def test_a_part_that_is_gone_is_an_error_until_its_file_can_be_taken_again(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        first, second = current_files(session)
        part_of(ingested, first).unlink()
        with pytest.raises(InputOutputError, match=r"dataset1\.csv"):
            current_files(session)
        withdraw_lost(session, {second.digest})
        with pytest.raises(InputOutputError, match=r"dataset1\.csv"):
            current_files(session)
        withdraw_lost(session, {first.digest, second.digest})
        assert current_files(session) == (second,)


def test_deliveries_are_withdrawn_together_or_not_at_all(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        first, second = current_files(session)
        for file in (first, second):
            part_of(ingested, file).unlink()
        withdraw_lost(session, {first.digest})
        current = session.ledger.current_deliveries(ingested.source, ingested.schema.digest)
        assert current == (first, second)


def test_parts_without_a_current_delivery_leave_the_table(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        first, second = current_files(session)
        session.ledger.withdraw_delivery(first.number)
        withdraw_lost(session, set())
        assert [part.first for part in table_of(ingested).parts()] == [second.number]
        version = table_of(ingested).version
        withdraw_lost(session, set())
        assert table_of(ingested).version == version, "and nothing is committed when there are none"


def test_a_delivery_that_only_the_table_knows_is_told_to_the_ledger(ingested: Workspace) -> None:
    with reading(ingested) as (ledger, _):
        expected = ledger.deliveries(ingested.source, ingested.schema.digest)
    for path in ingested.state_folder.glob("ledger.sqlite*"):
        path.unlink()
    with begin(ingested, "test") as session:
        reconcile(session)
        assert session.ledger.deliveries(ingested.source, ingested.schema.digest) == expected
        reconcile(session)
        assert session.ledger.deliveries(ingested.source, ingested.schema.digest) == expected


def test_statistics_are_those_of_the_current_rows_or_of_a_version(
    ingested: Workspace, deliver: Callable[..., Path]
) -> None:
    deliver(ingested.input_folder, "c.csv", ["c,1000000,2,3,0", "d,x,2,3,0", "e,,2,3,0"])
    ingest(ingested)
    with reading(ingested) as (ledger, engine):
        now = {column.column: column for column in summary_of(ingested, ledger, engine)}
        before = {column.column: column for column in summary_of(ingested, ledger, engine, version=2)}
        with pytest.raises(UsageError, match="there is no version 99"):
            summary_of(ingested, ledger, engine, version=99)
    assert (now["lastmonth_activity"].rows, before["lastmonth_activity"].rows) == (301, 300)
    assert now["lastmonth_activity"].refused_missing == 1


def test_there_are_no_statistics_of_nothing(company: Workspace) -> None:
    with reading(company) as (ledger, engine), pytest.raises(NoUsableData, match="there is no dataset yet"):
        summary_of(company, ledger, engine)


def test_the_current_view_is_that_of_the_table(ingested: Workspace) -> None:
    assert current_view(ingested).parts == tuple(part.path for part in table_of(ingested).parts())
    assert len(current_view(ingested, version=1).parts) == 1


def test_a_dataset_is_remembered_with_the_numbers_of_its_deliveries(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        remember(session, replace(described(session), digest="f" * 64), [B, A])
        known = session.ledger.dataset("f" * 64)
    assert known is not None
    assert known.deliveries == (2, 1)
