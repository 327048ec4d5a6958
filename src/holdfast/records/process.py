"""The full process: what was seen, what was decided, what was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.records.data import IngestRecord
from holdfast.records.model import Metric, Release, Scorecard, TrainRecord
from holdfast.records.watching import CallRecord, Diagnosis, ReportRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that the decision rests on. `unseen` rows are those the deployed model has not learned from.

    `unusable` says why the release in production cannot go on: its files were changed, or the schema was.
    """

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
    unusable: str | None
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
