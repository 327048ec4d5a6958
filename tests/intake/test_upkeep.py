"""Few files and a bounded history: merging changes no row, and old versions go when their time has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.dataset import current_view, table_of
from holdfast.errors import InputOutputError
from holdfast.intake import upkeep
from holdfast.intake.upkeep import compact, keep_up
from holdfast.session import Session, begin
from holdfast.steps.ingestion import ingest
from holdfast.store.deltatable import Part
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]


@pytest.fixture
def five(empty: Workspace, deliver: Deliver) -> Workspace:
    """A workspace that has taken five files, which share rows and clients."""
    for number in range(5):
        lines = [f"c{number},{number},2,3,{number % 2}", f"c{number // 2},7,2,3,0", f"same,{number},2,3,1", "bad"]
        deliver(empty.input_folder, f"{number}.csv", lines)
    ingest(empty)
    return empty


def seen(session: Session) -> list[object]:
    """What engines tell of the dataset under each rule for conflicts."""
    found: list[object] = []
    for rule in ("latest", "quarantine", "keep"):
        view = replace(current_view(session.workspace), conflicts=rule)
        csv = session.workspace.root / "view.csv"
        session.engine.write_csv(view, csv)
        contradictions = [row for batch in session.engine.contradictions(view) for row in batch.to_pylist()]
        found += [csv.read_bytes(), session.engine.arrivals(view), contradictions]
    return found


def test_merging_changes_no_row_and_no_count(five: Workspace) -> None:
    final_data = (five.output_folder / "finaldata.csv").read_bytes()
    with begin(five, "test") as session:
        before, version = seen(session), table_of(five).version
        assert compact(session, table_of(five)) == 5
        assert [(part.first, part.last) for part in table_of(five).parts()] == [(1, 5)]
        assert table_of(five).version == (version or 0) + 1
    with begin(five, "test") as session:
        assert seen(session) == before
    assert ingest(five).known == 5
    assert (five.output_folder / "finaldata.csv").read_bytes() == final_data


def test_what_was_merged_is_still_there_in_the_version_before(five: Workspace) -> None:
    with begin(five, "test") as session:
        compact(session, table_of(five))
    assert [part.first for part in table_of(five).parts(version=5)] == [1, 2, 3, 4, 5]


def test_many_files_are_merged_by_the_ingestion_that_makes_them_many(
    five: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "MOST_PARTS", 5)
    assert ingest(five).known == 5
    assert len(table_of(five).parts()) == 5, "nothing new, nothing to do"
    deliver(five.input_folder, "5.csv", ["c5,1,2,3,0"])
    ingest(five)
    assert [(part.first, part.last) for part in table_of(five).parts()] == [(1, 6)]
    deliver(five.input_folder, "6.csv", ["c6,1,2,3,0"])
    ingest(five)
    assert [(part.first, part.last) for part in table_of(five).parts()] == [(1, 6), (7, 7)]


def test_old_versions_go_after_their_time(five: Workspace, deliver: Deliver) -> None:
    forgetful = replace(five, history_days=0)
    with begin(forgetful, "test") as session:
        compact(session, table_of(forgetful))
    deliver(forgetful.input_folder, "5.csv", ["c5,1,2,3,0"])
    ingest(forgetful)
    with pytest.raises(InputOutputError, match="version 5 of the dataset can no longer be read"):
        table_of(forgetful).parts(version=5)
    assert len(table_of(forgetful).parts()) == 2
    assert len(list(table_of(forgetful).folder.glob("*.parquet"))) == 2


def test_versions_whose_time_has_not_come_stay(five: Workspace, deliver: Deliver) -> None:
    with begin(five, "test") as session:
        compact(session, table_of(five))
        assert keep_up(session) == 0
    assert len(table_of(five).parts(version=5)) == 5


@settings(deadline=None)
@given(st.lists(st.integers(0, 14), max_size=12))
def test_only_small_neighbours_are_merged_and_all_of_them(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    parts = [Part(folder / f"{number}.parquet", number, number) for number in range(len(sizes))]
    for part, size in zip(parts, sizes, strict=True):
        part.path.write_bytes(bytes(size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "LARGE_BYTES", 10)
        runs = upkeep._small_neighbours(parts)
    for run in runs:
        numbers = [part.first for part in run]
        assert len(run) > 1
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), "neighbours in order of arrival"
        assert all(sizes[number] < 10 for number in numbers)
        assert sum(sizes[number] for number in numbers) <= 20
    merged = [part.first for run in runs for part in run]
    assert merged == sorted(set(merged))
    for number in range(len(sizes) - 1):
        if sizes[number] + sizes[number + 1] <= 10 and max(sizes[number : number + 2]) < 10:
            assert {number, number + 1} & set(merged), "two small neighbours that fit are not both left alone"
