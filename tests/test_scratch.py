"""A throw-away copy: it knows what the workspace knows, and whatever is done in it stays in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from holdfast.dataset import table_of
from holdfast.intake.upkeep import compact
from holdfast.scratch import scratch_copy
from holdfast.session import begin, reading
from holdfast.steps.ingestion import ingest
from holdfast.steps.training import train
from holdfast.store.files import digest_of_file
from holdfast.workspace import Workspace


def files_of(workspace: Workspace) -> dict[str, str]:
    paths = [path for path in workspace.root.rglob("*") if path.is_file() and path.parent.name != "logs"]
    return {str(path): digest_of_file(path) for path in paths if not path.name.startswith("ledger.sqlite-")}


def test_a_copy_with_history_has_nothing_new_to_take(ingested: Workspace) -> None:
    with scratch_copy(ingested, with_history=True) as copy:
        record = ingest(copy)
    assert (record.files, record.known, record.dataset.rows) == ((), 2, 300)


def test_a_copy_without_history_takes_everything(ingested: Workspace) -> None:
    with scratch_copy(ingested, with_history=False) as copy:
        record = ingest(copy)
    assert (len(record.files), record.dataset.rows) == (2, 300)


def test_work_in_a_copy_changes_nothing_outside(
    ingested: Workspace, deliver: Callable[..., Path], clients: Callable[..., list[str]]
) -> None:
    deliver(ingested.input_folder, "new.csv", clients(50, 8))
    deliver(ingested.input_folder, "dataset1.csv", clients(50, 9))
    before = files_of(ingested)
    with scratch_copy(ingested, with_history=True) as copy:
        assert ingest(copy).dataset.rows == 250
        train(copy)
    assert files_of(ingested) == before
    with reading(ingested) as (ledger, _):
        assert len(ledger.deliveries(ingested.source, ingested.schema.digest)) == 2


def test_the_log_of_the_copied_dataset_grows_without_touching_the_original(
    ingested: Workspace, deliver: Callable[..., Path], clients: Callable[..., list[str]]
) -> None:
    DeltaTable(str(table_of(ingested).folder)).create_checkpoint()
    deliver(ingested.input_folder, "new.csv", clients(50, 8))
    before = files_of(ingested)
    with scratch_copy(ingested, with_history=True) as copy:
        ingest(copy)
        DeltaTable(str(table_of(copy).folder)).create_checkpoint()
        with begin(copy, "test") as session:
            assert compact(session, table_of(copy)) == 3
        DeltaTable(str(table_of(copy).folder)).create_checkpoint()
        assert table_of(copy).version == 4
    assert files_of(ingested) == before
    assert table_of(ingested).version == 2


def test_a_copy_reads_the_same_data_and_production_and_writes_elsewhere(company: Workspace) -> None:
    with scratch_copy(company, with_history=True) as copy:
        same = (copy.input_folder, copy.test_folder, copy.deployment_folder, copy.schema)
        assert same == (company.input_folder, company.test_folder, company.deployment_folder, company.schema)
        elsewhere = {copy.output_folder, copy.model_folder, copy.state_folder}
        assert not elsewhere & {company.output_folder, company.model_folder, company.state_folder}


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_a_copy_is_gone_at_the_end_however_it_comes(company: Workspace, error: type[BaseException] | None) -> None:
    def work() -> None:
        with scratch_copy(company, with_history=False):
            if error:
                raise error

    if error:
        with pytest.raises(error):
            work()
    else:
        work()
    assert not list(company.state_folder.glob("scratch-*"))


def test_where_files_cannot_have_two_names_they_are_copied(
    ingested: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    with scratch_copy(ingested, with_history=True) as copy:
        assert ingest(copy).known == 2


def test_a_workspace_in_which_nothing_was_done_can_be_copied(company: Workspace) -> None:
    untouched = replace(company, state_folder=company.root / "state")
    with scratch_copy(untouched, with_history=True) as copy:
        assert ingest(copy).dataset.rows == 300
