"""Predictions, summaries, timings, packages, reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.records.data import RejectedRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The deployed model's answer for one row."""

    client: str
    probability: float
    prediction: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The deployed model's answers for every row of a location, and what could not be read there."""

    release: str
    location: str
    rows: int
    quarantined: int
    predictions: tuple[Prediction, ...]
    rejected: tuple[RejectedRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """One column of the dataset. `refused_missing`: rows in quarantine because this column was empty."""

    column: str
    rows: int
    missing: int
    missing_percent: float
    refused_missing: int
    mean: float | None
    median: float | None
    standard_deviation: float | None
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of one step: the last run and the median of the last hundred, or measured just now."""

    step: str
    seconds: float | None
    median_seconds: float | None
    runs: int
    measured_now: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageVersion:
    """A package that Holdfast depends on and that has a newer version."""

    package: str
    version: str
    latest: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCheck:
    """Which dependencies are outdated. `reachable` False: no package index answered, so nothing is known."""

    checked: str
    reachable: bool
    message: str
    examined: int
    outdated: tuple[PackageVersion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The deployed model's predictions, the dataset's summary, timings and outdated packages."""

    created: str
    release: str | None
    predictions: Predictions | None
    dataset_rows: int
    columns: tuple[ColumnSummary, ...]
    timings: tuple[Timing, ...]
    packages: PackageCheck
    notices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRecord:
    """Where the report was written."""

    report: str
    confusion_matrix: str
    size: int
    notices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """The API's four answers, combined. `file` is where they were written."""

    address: str
    answers: dict[str, Any]
    file: str
    seconds: float
