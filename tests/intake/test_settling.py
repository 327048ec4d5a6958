"""Rows that contradicted others and were dealt with stay out, whatever becomes of the rows that they contradicted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.dataset import SETTLED, table_of
from holdfast.steps.erasure import erase
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import list_quarantine, repair, replay, waive
from holdfast.workspace import Conflicts, Workspace

Deliver = Callable[..., Path]


def rows_of(workspace: Workspace) -> list[str]:
    return sorted((workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:])


@pytest.fixture
def contradicted(empty: Workspace, deliver: Deliver) -> Workspace:
    """Two departments say two things of client a, and the first one was believed."""
    workspace = replace(empty, conflicts="quarantine")
    deliver(workspace.input_folder, "first.csv", ["a,1,1,1,0"])
    deliver(workspace.input_folder, "second.csv", ["a,2,2,2,0", "b,1,1,1,0"])
    ingest(workspace)
    assert rows_of(workspace) == ["a,1,1,1,0", "b,1,1,1,0"]
    return workspace


def first_leaves(workspace: Workspace, deliver: Deliver) -> Workspace:
    """The first department takes its row back."""
    deliver(workspace.input_folder, "first.csv", ["c,1,1,1,0"])
    ingest(workspace)
    return workspace


def test_a_row_that_nobody_dealt_with_counts_once_what_it_contradicted_has_left(
    contradicted: Workspace, deliver: Deliver
) -> None:
    assert rows_of(first_leaves(contradicted, deliver)) == ["a,2,2,2,0", "b,1,1,1,0", "c,1,1,1,0"]


def test_a_row_that_was_waived_stays_out_when_what_it_contradicted_has_left(
    contradicted: Workspace, deliver: Deliver
) -> None:
    waive(contradicted, ["2:2"], "a slip of the pen")
    assert rows_of(first_leaves(contradicted, deliver)) == ["b,1,1,1,0", "c,1,1,1,0"]
    (held,) = list_quarantine(contradicted).deliveries
    assert (held.delivery, held.quarantined, held.waived, held.open) == (2, 1, 1, 0)


def test_a_delivery_that_was_waived_as_a_whole_stays_waived(contradicted: Workspace, deliver: Deliver) -> None:
    waive(contradicted, ["2"], "a slip of the pen")
    assert rows_of(first_leaves(contradicted, deliver)) == ["b,1,1,1,0", "c,1,1,1,0"]


@pytest.mark.parametrize("before", [replay, first_leaves], ids=["taken in before", "taken in afterwards"])
def test_a_row_that_was_repaired_does_not_come_back_beside_its_repaired_form(
    contradicted: Workspace, deliver: Deliver, before: Callable[..., object]
) -> None:
    repair(contradicted, "2:2", {"corporation": "z"})
    if before is replay:
        replay(contradicted)
        first_leaves(contradicted, deliver)
    else:
        first_leaves(contradicted, deliver)
        replay(contradicted)
    assert rows_of(contradicted) == ["b,1,1,1,0", "c,1,1,1,0", "z,2,2,2,0"]
    assert list_quarantine(contradicted).deliveries[-1].replayed == 1


@pytest.mark.parametrize("rule", ["latest", "keep"])
def test_a_waived_row_stays_out_under_another_rule(contradicted: Workspace, rule: Conflicts) -> None:
    waive(contradicted, ["2:2"], "a slip of the pen")
    workspace = replace(contradicted, conflicts=rule)
    ingest(workspace)
    assert rows_of(workspace) == ["a,1,1,1,0", "b,1,1,1,0"]
    (held,) = list_quarantine(workspace).deliveries
    assert (held.quarantined, held.waived) == (1, 1)


def test_the_same_row_delivered_again_is_a_duplicate_of_the_one_that_was_waived(
    contradicted: Workspace, deliver: Deliver
) -> None:
    waive(contradicted, ["2:2"], "a slip of the pen")
    first_leaves(contradicted, deliver)
    deliver(contradicted.input_folder, "third.csv", ["a,2,2,2,0", "d,1,1,1,0"])
    record = ingest(contradicted)
    assert (record.accepted, record.duplicate, record.quarantined) == (1, 1, 0)
    assert rows_of(contradicted) == ["b,1,1,1,0", "c,1,1,1,0", "d,1,1,1,0"]


def test_rows_are_noted_once(contradicted: Workspace) -> None:
    waive(contradicted, ["2:2"], "a slip of the pen")
    for _ in range(3):
        ingest(contradicted)
    assert len(list((contradicted.output_folder / "quarantine").glob(SETTLED))) == 1


def test_where_nothing_was_done_nothing_is_noted(contradicted: Workspace, deliver: Deliver) -> None:
    first_leaves(contradicted, deliver)
    assert not list((contradicted.output_folder / "quarantine").glob(SETTLED))


# ---- when something is lost


def lose_output(workspace: Workspace) -> None:
    shutil.rmtree(workspace.output_folder)
    workspace.output_folder.mkdir()


def test_a_new_output_folder_knows_what_was_waived_and_repaired(contradicted: Workspace, deliver: Deliver) -> None:
    deliver(contradicted.input_folder, "third.csv", ["a,3,3,3,0"])
    ingest(contradicted)
    waive(contradicted, ["2:2"], "a slip of the pen")
    repair(contradicted, "3:2", {"corporation": "z"})
    replay(contradicted)
    first_leaves(contradicted, deliver)
    before = rows_of(contradicted)
    lose_output(contradicted)
    ingest(contradicted)
    replay(contradicted)
    assert rows_of(contradicted) == before == ["b,1,1,1,0", "c,1,1,1,0", "z,3,3,3,0"]


def test_a_new_output_folder_under_another_rule_knows_it_too(contradicted: Workspace) -> None:
    waive(contradicted, ["2:2"], "a slip of the pen")
    workspace = replace(contradicted, conflicts="latest")
    ingest(workspace)
    lose_output(workspace)
    ingest(workspace)
    assert rows_of(workspace) == ["a,1,1,1,0", "b,1,1,1,0"]


def test_a_lost_ledger_is_told_by_the_output_folder(contradicted: Workspace, deliver: Deliver) -> None:
    waive(contradicted, ["2:2"], "a slip of the pen")
    ingest(contradicted)
    contradicted.ledger_file.unlink()
    ingest(contradicted)
    assert rows_of(first_leaves(contradicted, deliver)) == ["b,1,1,1,0", "c,1,1,1,0"]


def test_what_was_waived_stays_out_under_another_schema(contradicted: Workspace, deliver: Deliver) -> None:
    waive(contradicted, ["2:2"], "a slip of the pen")
    first_leaves(contradicted, deliver)
    columns = tuple(
        replace(column, maximum=10.0**9) if column.type == "integer" else column
        for column in contradicted.schema.columns
    )
    other = replace(contradicted, schema=replace(contradicted.schema, columns=columns))
    ingest(other)
    assert rows_of(other) == ["b,1,1,1,0", "c,1,1,1,0"]


def test_rows_of_a_file_that_became_shorter_by_an_erasure_are_not_taken_for_others(
    empty: Workspace, deliver: Deliver
) -> None:
    workspace = replace(empty, conflicts="quarantine")
    deliver(workspace.input_folder, "a.csv", ["x,1,1,1,0"])
    deliver(workspace.input_folder, "b.csv", ["erin,9,9,9,0", "x,2,2,2,0", "z,5,5,5,1"])
    ingest(workspace)
    waive(workspace, ["2:3"], "a slip of the pen")
    ingest(workspace)
    erase(workspace, "erin", "case 17")
    ingest(workspace)
    for part in table_of(workspace).parts():
        if part.first == 2:
            part.path.unlink()
    record = ingest(workspace)
    assert rows_of(workspace) == ["x,1,1,1,0", "z,5,5,5,1"]
    assert (record.dataset.rows, record.accepted, record.quarantined) == (2, 1, 1)
