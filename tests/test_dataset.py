"""The dataset: what its version rests on, and where its parts are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.dataset import (
    current_files,
    dataset_digest,
    describe,
    part_of,
    parts_of,
    quarantine_of,
    withdraw_lost,
    write_out,
)
from holdfast.errors import InputOutputError
from holdfast.records import SourceFile
from holdfast.schema import schema_from_json
from holdfast.session import begin
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


def test_the_version_changes_with_deliveries_their_order_schema_and_folder(company: Workspace) -> None:
    other = schema_from_json({"client": "corporation", "target": "exited", "features": {"x": {}}})
    digests = [
        dataset_digest(company, [A, B]),
        dataset_digest(company, [B, A]),
        dataset_digest(company, [A]),
        dataset_digest(company, []),
        dataset_digest(replace(company, schema=other), [A, B]),
        dataset_digest(replace(company, input_folder=company.root / "sourcedata"), [A, B]),
    ]
    assert len(set(digests)) == len(digests)


def test_the_version_is_that_of_the_bytes_whatever_the_files_are_called(company: Workspace) -> None:
    assert dataset_digest(company, [A]) == dataset_digest(company, [replace(A, name="renamed.csv", number=7)])


def test_parts_and_quarantine_of_deliveries_lie_apart_in_the_output_folder(company: Workspace) -> None:
    paths = [*parts_of(company, [A, B]), quarantine_of(company, A), quarantine_of(company, B)]
    assert len(set(paths)) == 4
    assert all(path.is_relative_to(company.output_folder) for path in paths)


def test_a_dataset_is_described_by_its_rows_and_files(ingested: Workspace) -> None:
    with begin(ingested, "test") as session:
        described = describe(session)
        assert described.digest == dataset_digest(ingested, current_files(session))
    assert (described.rows, described.unlabelled, described.files) == (300, 0, ("dataset1.csv", "dataset2.csv"))


def test_a_dataset_of_nothing_has_no_rows(company: Workspace) -> None:
    with begin(company, "test") as session:
        assert (describe(session).rows, describe(session).files) == (0, ())
        assert write_out(session) is False
    assert not (company.output_folder / "finaldata.csv").exists()


def test_the_record_names_the_dataset_and_the_file_that_was_written_with_it(ingested: Workspace) -> None:
    text = (ingested.output_folder / "ingestedfiles.txt").read_text()
    with begin(ingested, "test") as session:
        assert dataset_in(text) == describe(session).digest
        assert write_out(session) is False
    assert final_data_in(text) == digest_of_file(ingested.output_folder / "finaldata.csv")


def test_outputs_that_do_not_show_the_dataset_are_written_again(ingested: Workspace) -> None:
    (ingested.output_folder / "finaldata.csv").write_text("edited")
    with begin(ingested, "test") as session:
        assert write_out(session) is True
        assert write_out(session) is False


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
