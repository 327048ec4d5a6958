"""Diagnosis: numbers that pandas agrees with, timings from history, and packages only as far as they are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from holdfast.errors import NoUsableData
from holdfast.records import Diagnosis, PackageCheck, PackageVersion, from_json
from holdfast.session import utc_now
from holdfast.steps import diagnostics
from holdfast.steps.diagnostics import current_diagnosis, diagnose, outdated_text, summarise
from holdfast.steps.ingestion import ingest
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
OLD = (
    PackageVersion(package="click", version="7.1.2", latest="8.0.3", type="wheel"),
    PackageVersion(package="Flask-with-a-long-name", version="1.1.2", latest="2.0.2", type="sdist"),
)


def check(checked: str = "2026-01-31T10:00:00Z", outdated: tuple[PackageVersion, ...] = OLD) -> PackageCheck:
    message = f"{len(outdated)} of 30 packages have a newer version"
    return PackageCheck(checked=checked, reachable=True, message=message, examined=30, outdated=outdated)


UNREACHABLE = PackageCheck(
    checked="2026-01-31T10:00:00Z", reachable=False, message="no index", examined=30, outdated=()
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The times at which the package index was asked; it answers at once."""
    times: list[str] = []

    def answer(checked: str) -> PackageCheck:
        times.append(checked)
        return check(checked)

    monkeypatch.setattr(diagnostics, "check_packages", answer)
    return times


# ---- the data


def test_statistics_are_those_of_pandas(ingested: Workspace) -> None:
    frame = pd.read_csv(ingested.output_folder / "finaldata.csv")
    columns = {column.column: column for column in summarise(ingested)}
    assert list(columns) == list(frame.columns)
    for name in ("lastmonth_activity", "lastyear_activity", "number_of_employees"):
        column, series = columns[name], frame[name]
        assert column.rows == 300
        assert column.mean == pytest.approx(series.mean(), rel=1e-12)
        assert column.median == series.median()
        assert column.standard_deviation == pytest.approx(series.std(), rel=1e-12)
        assert (column.minimum, column.maximum) == (series.min(), series.max())
    assert columns["corporation"].mean is None


def test_missing_cells_and_rows_refused_for_them_are_counted(ingested: Workspace, deliver: Deliver) -> None:
    deliver(
        ingested.input_folder, "a.csv", ["u1,1,2,3,", "u2,1,2,3,", "x1,,2,3,0", "x2,,2,3,1", "x3,1,,3,0", ",1,2,3,0"]
    )
    ingest(ingested)
    columns = {column.column: column for column in summarise(ingested)}
    assert (columns["exited"].missing, columns["exited"].rows) == (2, 302)
    assert columns["exited"].missing_percent == pytest.approx(100 * 2 / 302)
    refused = {name: column.refused_missing for name, column in columns.items()}
    expected = {
        "corporation": 1,
        "lastmonth_activity": 2,
        "lastyear_activity": 1,
        "number_of_employees": 0,
        "exited": 0,
    }
    assert refused == expected


def test_there_is_no_summary_without_data(company: Workspace) -> None:
    with pytest.raises(NoUsableData):
        summarise(company)


# ---- the diagnosis


@pytest.mark.usefixtures("asked")
def test_a_diagnosis_is_saved_as_it_is(running: Workspace) -> None:
    diagnosis = diagnose(running)
    saved = json.loads((running.model_folder / "diagnostics.json").read_text())
    assert from_json(Diagnosis, saved) == diagnosis
    assert (running.log_folder / "outdated.txt").read_text() == outdated_text(diagnosis.packages)
    assert diagnosis.predictions is not None
    assert (diagnosis.predictions.rows, diagnosis.dataset_rows) == (150, 300)


@pytest.mark.usefixtures("asked")
def test_what_is_not_there_yet_is_a_notice(company: Workspace) -> None:
    diagnosis = diagnose(company)
    assert (diagnosis.release, diagnosis.predictions, diagnosis.columns, diagnosis.dataset_rows) == (None, None, (), 0)
    assert any("no model is deployed yet" in notice for notice in diagnosis.notices)
    assert any("no dataset yet" in notice for notice in diagnosis.notices)


@pytest.mark.usefixtures("asked")
def test_timings_come_from_the_history_of_work(running: Workspace) -> None:
    ingest(running)  # finds nothing to do: no timing
    timings = {timing.step: timing for timing in diagnose(running).timings}
    assert {name: timing.runs for name, timing in timings.items()} == {"ingest": 1, "train": 1, "score": 1}
    assert all(timing.seconds == timing.median_seconds is not None for timing in timings.values())
    measured = {timing.step: timing for timing in diagnose(running, measured={"train": 1.5}).timings}
    assert (measured["train"].measured_now, measured["ingest"].measured_now) == (1.5, None)


def test_looking_at_the_diagnosis_asks_nobody_and_writes_nothing(running: Workspace, asked: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in running.root.rglob("*") if path.parent.name != ".holdfast"}
    assert current_diagnosis(running).dataset_rows == 300
    assert asked == []
    after = {path: path.stat().st_mtime_ns for path in running.root.rglob("*") if path.parent.name != ".holdfast"}
    assert {path for path in before if before[path] != after[path]} <= {running.root / ".holdfast"}


def test_before_the_first_check_the_packages_are_not_known(running: Workspace) -> None:
    (running.state_folder / "packages.json").unlink()
    packages = current_diagnosis(running).packages
    assert (packages.reachable, packages.message) == (False, "not checked yet: run holdfast diagnose")


# ---- packages


def test_an_answer_is_good_for_a_day(running: Workspace, asked: list[str]) -> None:
    diagnose(running, fresh_packages=True)
    diagnose(running, fresh_packages=False)
    assert len(asked) == 1
    diagnose(running, fresh_packages=True)
    assert len(asked) == 2


@pytest.mark.parametrize("content", ["{", "null", json.dumps({"checked": "yesterday"}), "[]"])
def test_a_damaged_answer_counts_as_none(running: Workspace, asked: list[str], content: str) -> None:
    (running.state_folder / "packages.json").write_text(content)
    packages = diagnose(running, fresh_packages=False).packages
    assert (packages.reachable, packages.message) == (False, "not checked yet: run holdfast diagnose")
    assert not asked


def test_the_full_process_never_waits_for_the_package_index(running: Workspace, asked: list[str]) -> None:
    (running.state_folder / "packages.json").unlink(missing_ok=True)
    diagnose(running, fresh_packages=False)
    assert not asked
    assert "not checked yet" in (running.log_folder / "outdated.txt").read_text()


@pytest.mark.usefixtures("asked")
def test_silence_of_the_index_is_said_and_not_an_empty_list(
    running: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnostics, "check_packages", lambda _: UNREACHABLE)
    assert diagnose(running).packages == UNREACHABLE
    assert (running.log_folder / "outdated.txt").read_text() == "no index (2026-01-31T10:00:00Z)\n"


def test_outdated_packages_are_the_briefs_table() -> None:
    assert outdated_text(check()).splitlines() == [
        "Package                Version Latest Type",
        "---------------------- ------- ------ -----",
        "click                  7.1.2   8.0.3  wheel",
        "Flask-with-a-long-name 1.1.2   2.0.2  sdist",
    ]


def test_when_nothing_is_outdated_that_is_said() -> None:
    text = outdated_text(replace(check(utc_now()), outdated=(), message="0 of 30 packages have a newer version"))
    assert text.startswith("0 of 30 packages have a newer version (")
