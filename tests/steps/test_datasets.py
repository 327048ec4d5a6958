"""The dataset at any version: what it was then can be read, copied and counted until it expires, and is then told."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.dataset import ask, summary_of
from holdfast.errors import InputOutputError, NoUsableData, UsageError
from holdfast.steps import datasets
from holdfast.steps.datasets import deliveries, export, history, summarise, tidy
from holdfast.steps.erasure import erase
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import repair, replay
from holdfast.store.ledger import Ledger
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]


def final_data(workspace: Workspace) -> bytes:
    return (workspace.output_folder / "finaldata.csv").read_bytes()


@pytest.fixture(scope="module")
def company_with_a_past(
    make_company: Callable[[Path], Workspace], deliver: Deliver, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[int, bytes]]:
    """A workspace in which rows came, repeated, replaced others and left; and finaldata.csv at each version."""
    workspace = make_company(tmp_path_factory.mktemp("built") / "company")
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"conflicts": "latest"}))
    workspace = Workspace.open(workspace.root)
    for path in workspace.input_folder.iterdir():
        path.unlink()
    saved: dict[int, bytes] = {}

    def save() -> None:
        saved[history(workspace).versions[-1].version] = final_data(workspace)

    deliveries = (
        ("a.csv", ["a1,1,1,1,0", "a2,2,2,2,1", "a3,three,3,3,0"]),
        ("b.csv", ["b1,1,1,1,0", "a1,1,1,1,0", "a2,2,2,22,0"]),  # a row repeated, and one that replaces another
        ("a.csv", ["a1,9,9,9,1", "a4,four,4,4,0"]),  # supersedes
        ("c.csv", ["c1,1,1,1,0", "b1,7,7,7,1"]),
    )
    for name, lines in deliveries:
        deliver(workspace.input_folder, name, lines)
        ingest(workspace)
        save()
    repair(workspace, "3:3", {"lastmonth_activity": "4"})
    replay(workspace)
    save()
    tidy(workspace)
    save()
    deliver(workspace.input_folder, "b.csv", ["b2,1,1,1,0"])  # supersedes what was merged
    ingest(workspace)
    save()
    return workspace.root, saved


@pytest.fixture
def aged(company_with_a_past: tuple[Path, dict[int, bytes]], tmp_path: Path) -> Workspace:
    shutil.copytree(company_with_a_past[0], tmp_path / "company")
    return Workspace.open(tmp_path / "company")


@pytest.fixture
def saved(company_with_a_past: tuple[Path, dict[int, bytes]]) -> dict[int, bytes]:
    return company_with_a_past[1]


def exported(workspace: Workspace, version: int | None) -> bytes:
    out = workspace.root / "exports" / f"{version}.csv"
    told = export(workspace, out, version)
    assert told.version == (history_end(workspace) if version is None else version)
    assert told.rows == len(out.read_bytes().splitlines()) - 1
    return out.read_bytes()


def history_end(workspace: Workspace) -> int:
    return history(workspace).versions[-1].version


def test_an_export_as_of_a_version_is_what_finaldata_was_then(aged: Workspace, saved: dict[int, bytes]) -> None:
    assert sorted(saved) == [1, 2, 3, 4, 5, 6, 7]
    assert len(set(saved.values())) == 6, "each version differs from the others, but that compaction changes no row"
    assert {version: exported(aged, version) for version in saved} == saved
    assert exported(aged, None) == final_data(aged)


def test_a_version_is_read_by_the_rule_for_conflicts_of_that_time(aged: Workspace, saved: dict[int, bytes]) -> None:
    otherwise = replace(aged, conflicts="keep")
    assert {version: exported(otherwise, version) for version in saved} == saved


def test_a_summary_as_of_a_version_counts_the_refused_rows_of_its_own_deliveries(
    aged: Workspace, deliver: Deliver
) -> None:
    before = summarise(aged, as_of=7)
    deliver(aged.input_folder, "late.csv", ["late,,1,1,0"])
    ingest(aged)
    missing = {each.column: each.refused_missing for each in summarise(aged).columns}
    assert missing["lastmonth_activity"] == 1
    assert summarise(aged, as_of=7).columns == before.columns


def test_the_history_names_every_version_its_purpose_and_its_delivery(aged: Workspace) -> None:
    told = history(aged)
    assert [each.purpose for each in told.versions] == ["made", *["delivery"] * 5, "compaction", "delivery"]
    names = [None, "a.csv", "b.csv", "a.csv", "c.csv", "a.csv (repaired)", None, "b.csv"]
    assert [each.name for each in told.versions] == names
    assert told.readable == tuple(range(8))


def test_a_summary_is_of_the_version_that_is_asked_for(aged: Workspace, saved: dict[int, bytes]) -> None:
    for version in (2, 7):
        rows = list(csv.DictReader(saved[version].decode().splitlines()))
        told = summarise(aged, version)
        (column,) = (each for each in told.columns if each.column == "lastmonth_activity")
        assert (told.version, told.rows) == (version, len(rows))
        assert column.mean == pytest.approx(statistics.mean(float(row["lastmonth_activity"]) for row in rows))
    assert summarise(aged).version == 7


@pytest.mark.parametrize("version", [8, 10**9, -1])
def test_a_version_that_never_was_is_answered_with_those_that_are(aged: Workspace, version: int) -> None:
    for read in (lambda: exported(aged, version), lambda: summarise(aged, version)):
        with pytest.raises(UsageError, match=f"there is no version {version} of the dataset") as caught:
            read()
        assert caught.value.hint == "the versions are 0 to 7"


def test_expired_versions_are_told_and_the_latest_stays(aged: Workspace) -> None:
    expired = replace(aged, history_days=0)
    before = final_data(aged)
    done = tidy(expired)
    assert done.deleted > 0
    assert history_end(aged) in history(aged).readable
    assert 1 not in history(aged).readable
    with pytest.raises(InputOutputError, match="version 1 of the dataset can no longer be read"):
        exported(aged, 1)
    with pytest.raises(InputOutputError, match="version 1 of the dataset can no longer be read"):
        summarise(aged, 1)
    assert exported(aged, None) == before
    assert ingest(aged).files == ()


def test_versions_that_held_an_erased_client_are_read_without_it_and_the_others_stay(
    aged: Workspace, saved: dict[int, bytes]
) -> None:
    receipt = erase(aged, "a2", "case 1")
    assert (receipt.unreadable_versions, 1 in receipt.changed_versions) == ((), True)
    assert set(saved) <= set(history(aged).readable)
    for version, before in saved.items():
        lines = [line for line in before.splitlines(keepends=True) if not line.startswith(b"a2,")]
        assert exported(aged, version) == b"".join(lines)
        assert version in receipt.changed_versions or exported(aged, version) == before
    assert b"a2," not in exported(aged, None)


def test_tidying_merges_small_files_and_changes_no_row(aged: Workspace) -> None:
    before = final_data(aged)
    done = tidy(aged)
    assert (done.merged, done.parts, done.version) == (2, 1, 8)
    assert (tidy(aged).merged, tidy(aged).version) == (0, 8)
    assert exported(aged, None) == before
    assert ingest(aged).files == ()
    assert final_data(aged) == before


def test_the_dataset_is_exported_as_csv_only(aged: Workspace) -> None:
    with pytest.raises(UsageError, match=r"exported as \.csv"):
        export(aged, aged.root / "out.parquet")


@pytest.mark.parametrize("place", ["sourcedata/x.csv", "ingesteddata/finaldata.csv", "exports/../practicedata/x.csv"])
def test_an_export_does_not_go_where_the_workspace_keeps_its_own_files(aged: Workspace, place: str) -> None:
    before = final_data(aged)
    with pytest.raises(UsageError, match="this is where the workspace keeps its own files"):
        export(aged, aged.root / place)
    assert final_data(aged) == before


def test_without_a_dataset_there_is_nothing_to_read_and_that_is_said(company: Workspace) -> None:
    with pytest.raises(NoUsableData, match="there is no dataset yet"):
        export(company, company.root / "out.csv")
    with pytest.raises(NoUsableData, match="there is no dataset yet"):
        summarise(company)
    with pytest.raises(UsageError, match="there is no version 1") as caught:
        export(company, company.root / "out.csv", 1)
    assert caught.value.hint == "there is no version yet"
    assert (history(company).versions, history(company).readable) == ((), ())
    assert not (company.root / "out.csv").exists()


def test_everything_that_was_ever_delivered_is_told_and_what_of_it_is_current(aged: Workspace) -> None:
    told = deliveries(aged)
    assert [file.name for file in told.deliveries] == ["a.csv", "b.csv", "a.csv", "c.csv", "a.csv (repaired)", "b.csv"]
    assert told.current == (3, 4, 5, 6)


def test_a_workspace_without_deliveries_has_none(company: Workspace) -> None:
    assert (deliveries(company).deliveries, deliveries(company).current) == ((), ())


def test_of_a_version_without_rows_everything_says_so(aged: Workspace) -> None:
    for read in (lambda: exported(aged, 0), lambda: summarise(aged, 0)):
        with pytest.raises(NoUsableData, match="version 0 of the dataset has no rows") as caught:
            read()
        assert caught.value.hint == "holdfast dataset versions tells which delivery came with which version"
    assert [each.rows for each in history(aged).versions if each.purpose == "made"] == [0]


def test_a_version_that_comes_meanwhile_is_not_told_for_the_one_that_was_read(
    aged: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_ingested(read: Callable[..., Any]) -> Callable[..., Any]:
        def reading_first(*arguments: Any) -> Any:
            answer = read(*arguments)
            deliver(aged.input_folder, "d.csv", [f"d{len(list(aged.output_folder.rglob('*.json')))},1,1,1,0"])
            ingest(aged)
            return answer

        return reading_first

    version, rows = history_end(aged), len(final_data(aged).splitlines()) - 1
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "summary_of", then_ingested(summary_of))
        told = summarise(aged)
    assert (told.version, told.rows) == (version, rows)
    version, rows = history_end(aged), len(final_data(aged).splitlines()) - 1
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "ask", then_ingested(ask))
        copied = export(aged, aged.root / "exports" / "now.csv")
    assert (copied.version, copied.rows) == (version, rows)


def test_after_a_kill_summary_and_export_tell_the_version_that_they_read(
    aged: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    version, rows = history_end(aged), len(final_data(aged).splitlines()) - 1
    deliver(aged.input_folder, "d.csv", ["d1,1,1,1,0"])
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_delivery", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(aged)
    told, copied = summarise(aged), export(aged, aged.root / "exports" / "now.csv")
    assert (told.version, told.rows) == (copied.version, copied.rows) == (version + 1, rows + 1)
    assert summarise(aged, version).rows == rows
