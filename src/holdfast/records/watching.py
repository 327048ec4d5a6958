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
class ValueCount:
    """A value, or a period of time, as text, and how many rows have it."""

    value: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """The value below which a `share` (0 to 1) of the rows lies, by linear interpolation between ordered values."""

    share: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnHistogram:
    """Rows by value, in at most 20 bins of equal width; `counts` is one shorter than `edges`.

    Bin i runs from edge i up to, but without, edge i + 1; the last one includes its end. Each bin of a whole-number
    column holds equally many whole numbers, so the last edge lies beyond the maximum. Of a constant column of
    decimals both edges are its value.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """One column of the dataset, exact at any size. `refused_missing`: rows in quarantine because it was empty.

    Numbers have `mean`, `median`, `standard_deviation` (n - 1), `minimum`, `maximum`, `quantiles` at the shares 0.01,
    0.05, 0.25, 0.5, 0.75, 0.95 and 0.99, and a `histogram`; whole numbers stay whole where they are values of the
    column. Dates have `earliest` and `latest` like 2026-01-31 and their rows by `periods`, without gaps: months like
    2026-01, or years, or longer spans like 2020-2029, whichever needs at most 36 of them.

    `distinct`: how many different values there are; missing is none. `top`: the most frequent ones, at most 10, ties
    in the order of the values; of categories and labels (in the schema's words), of numbers with at most 20 different
    values, and of texts that rows of at least 10 clients have. The client column has none: it would say nothing.

    What does not apply is None or (), as is everything but `distinct` of a column without values. Neither the
    deviation of one row nor one beyond the largest float is a number; it is None too.
    """

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
    quantiles: tuple[Quantile, ...] = ()
    histogram: ColumnHistogram | None = None
    earliest: str | None = None
    latest: str | None = None
    periods: tuple[ValueCount, ...] = ()
    distinct: int = 0
    top: tuple[ValueCount, ...] = ()


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
