"""The nouns of Holdfast: frozen records, each with one JSON form from which every rendering is made."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar

Record = TypeVar("Record")


def to_json(record: Any) -> Any:
    """The JSON form of a record: objects, lists, strings, numbers; what has no number is null.

    >>> to_json(Metric(value=float("nan"), low=None, high=None, n=3))
    {'value': None, 'low': None, 'high': None, 'n': 3}
    """
    if is_dataclass(record):
        return {field.name: to_json(getattr(record, field.name)) for field in fields(record)}
    if isinstance(record, dict):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, tuple | list):
        return [to_json(value) for value in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record


def from_json(kind: type[Record], data: Any) -> Record:
    """The record of type `kind` whose JSON form is `data`: the inverse of `to_json`.

    Raises ValueError when `data` is not the JSON form of such a record: a field missing, unknown or mistyped.

    >>> from_json(Metric, to_json(Metric(value=0.5, low=None, high=None, n=3))).value
    0.5
    """
    record: Record = _read(kind, data, kind.__name__)
    return record


def _read(kind: Any, data: Any, place: str) -> Any:
    if kind is Any:
        return data
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return None if data is None else _read(arguments[0], data, place)
    if origin is Literal:
        return _checked(data, data in arguments, place)
    if origin is tuple and isinstance(data, list | tuple):
        return tuple(_read(inner, value, place) for inner, value in _paired(arguments, data))
    if origin is dict and isinstance(data, dict):
        return {key: _read(arguments[1], value, f"{place}.{key}") for key, value in data.items()}
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(data, dict):
        hints = typing.get_type_hints(kind)
        if set(data) != set(hints):
            raise ValueError(f"{place}: expected the fields {sorted(hints)}, found {sorted(data)}")
        return kind(**{name: _read(hint, data[name], f"{place}.{name}") for name, hint in hints.items()})
    if kind is float:
        numeric = isinstance(data, int | float) and not isinstance(data, bool)
        return float(_checked(data, numeric, place))
    return _checked(data, isinstance(kind, type) and type(data) is kind, place)


def _paired(kinds: tuple[Any, ...], values: Any) -> list[tuple[Any, Any]]:
    if kinds[-1] is Ellipsis:
        return [(kinds[0], value) for value in values]
    return list(zip(kinds, values, strict=True))


def _checked(data: Any, fits: bool, place: str) -> Any:
    if not fits:
        raise ValueError(f"{place}: cannot be {data!r:.40}")
    return data


# ---- data


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """A row that was refused: where it stands, which rule it broke, and its original text."""

    file: str
    line: int
    column: str | None
    rule: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One delivery, the `number`-th. `rows` = `accepted` + `duplicate` + `quarantined`, always.

    `status`: accepted, duplicate (its bytes are known already) or refused (`error` says why; nothing was taken).
    `supersedes` is the digest of the delivery under the same name that this one replaces.
    """

    number: int
    name: str
    folder: str
    digest: str
    size: int
    received: str
    status: Literal["accepted", "duplicate", "refused"]
    rows: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    unlabelled: int = 0
    supersedes: str | None = None
    notices: tuple[str, ...] = ()
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The de-duplicated client rows of one input folder at one version (`digest` of the deliveries in it)."""

    source: str
    digest: str
    rows: int
    exited: int
    unlabelled: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRecord:
    """What one ingestion took in. `known` counts files that had been taken before."""

    dataset: Dataset
    files: tuple[SourceFile, ...]
    known: int
    rows: int
    accepted: int
    duplicate: int
    quarantined: int
    refused: int
    rejected: tuple[RejectedRow, ...]
    notices: tuple[str, ...]
    seconds: float


# ---- model


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRow:
    """Feature values and the probability that the model gave for them when it was trained."""

    values: tuple[float | None, ...]
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskModel:
    """What scores: log-odds of exit = intercept + sum of coefficient x value, as data only.

    `medians` fill missing values; `reference` (training means) is where contributions are measured from.
    """

    features: tuple[str, ...]
    intercept: float
    coefficients: tuple[float, ...]
    medians: tuple[float, ...]
    reference: tuple[float, ...]
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


# ---- the list


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRisk:
    """One client: probability of exit, rank (1 = call first), feature values and their contributions.

    Contributions are in log-odds and, with the assessment's `base`, sum to the log-odds of `probability`.
    """

    client: str
    rank: int
    probability: float
    values: tuple[float | None, ...]
    contributions: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Every current client scored by one release at one dataset version, riskiest first."""

    release: str
    model_digest: str
    dataset_digest: str
    created: str
    features: tuple[str, ...]
    base: float
    expected_exits: float
    clients: tuple[ClientRisk, ...]
    files: tuple[str, ...]
    notices: tuple[str, ...]
    seconds: float


# ---- watching


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


# ---- the full process


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that the decision rests on. `unseen` rows are those the deployed model has not learned from."""

    source: str
    new_files: tuple[str, ...]
    refused_files: tuple[str, ...]
    dataset_digest: str
    dataset_rows: int
    release: str | None
    release_learned_from: str | None
    deployed_f1: float | None
    unseen_rows: int
    unseen_exited: int
    unseen_f1: Metric | None
    decided_before: bool
    unfinished: bool


Action = Literal["nothing", "keep", "train", "retrain", "finish"]
"""What the full process can decide to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the full process will do, and every reason, before it does it.

    `action`: nothing, keep (the deployed model), train (the first model), retrain, or finish (an interrupted run).
    """

    action: Action
    policy: str
    reasons: tuple[str, ...]
    observation: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of the full process: the decision and the records of the steps that it led to."""

    dry_run: bool
    decision: Decision
    ingest: IngestRecord | None
    train: TrainRecord | None
    score: Scorecard | None
    release: Release | None
    diagnosis: Diagnosis | None
    report: ReportRecord | None
    call: CallRecord | None
    notices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """The API's four answers, combined. `file` is where they were written."""

    address: str
    answers: dict[str, Any]
    file: str
    seconds: float


# ---- the workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class InitRecord:
    """What `holdfast init` made, what it found and left alone, and what to type next."""

    workspace: str
    created: tuple[str, ...]
    left_alone: tuple[str, ...]
    notices: tuple[str, ...]
    next: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRecord:
    """The demo company's files: rows and share of exits in each."""

    folder: str
    files: dict[str, int]
    exited: dict[str, float]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The crontab lines of this workspace."""

    installed: bool
    every: str | None
    line: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One line of the ledger's history of commands."""

    command: str
    started: str
    seconds: float
    status: str
    exit_status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One screen: what is deployed, how good it is, what came in, what happens next."""

    workspace: str
    source: str
    release: Release | None
    scorecard: Scorecard | None
    dataset: Dataset | None
    waiting_files: tuple[str, ...]
    deliveries: tuple[SourceFile, ...]
    decision: Decision | None
    assessed: str | None
    runs: tuple[RunSummary, ...]
    next: tuple[str, ...]
