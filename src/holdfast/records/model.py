"""The model, its scores and its releases."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRow:
    """Feature values and the probability that the model gave for them when it was trained."""

    values: tuple[float | None, ...]
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskModel:
    """What scores: log-odds of exit = intercept + sum of coefficient x value, as data only.

    `typical` holds the training medians: they stand in for missing values, and contributions are measured from them.
    """

    features: tuple[str, ...]
    intercept: float
    coefficients: tuple[float, ...]
    typical: tuple[float, ...]
    golden: tuple[GoldenRow, ...]
    rows: int
    exited: int
    dataset_digest: str
    schema_digest: str
    pickle_digest: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecord:
    """What one training learned from and came to."""

    model_digest: str
    features: tuple[str, ...]
    intercept: float
    coefficients: tuple[float, ...]
    rows: int
    exited: int
    left_out: int
    held_out: int
    converged: bool
    notices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number with its 95 % interval and the rows it rests on. `value` None: undefined on these rows."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Counts of clients by what was predicted and what happened."""

    stayed_predicted_stayed: int
    stayed_predicted_exited: int
    exited_predicted_stayed: int
    exited_predicted_exited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """How one model does on one named set of labelled clients. `overlap` counts rows it was also trained on."""

    model_digest: str
    data: str
    data_digest: str
    rows: int
    exited: int
    capacity: int
    confusion: Confusion
    metrics: dict[str, Metric]
    overlap: int
    quarantined: int
    notices: tuple[str, ...]
    seconds: float

    @property
    def f1(self) -> Metric:
        """The F1 score of the class "exited"."""
        return self.metrics["f1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Clients of similar predicted risk: the mean prediction beside the share that exited, with its interval."""

    predicted: float
    observed: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What the report draws, each as (x, y) points, at most 200 of them.

    `roc`: false and true positive rate. `precision_recall`: recall and precision. `lift`: share of clients
    called, riskiest first, and how many times more exits are among them than among as many clients at random.
    """

    roc: tuple[tuple[float, float], ...]
    precision_recall: tuple[tuple[float, float], ...]
    lift: tuple[tuple[float, float], ...]
    calibration: tuple[CalibrationBin, ...]
    rows: int
    exited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is in production: the digests of its files, with who, when, why, and what it replaced."""

    id: str
    number: int
    model_digest: str
    dataset_digest: str
    f1: float
    files: dict[str, str]
    parent: str | None
    actor: str
    reason: str
    created: str
