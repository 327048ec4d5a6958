"""A workspace: how it was made, how it stands."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.records.data import Dataset, SourceFile
from holdfast.records.model import Release, Scorecard
from holdfast.records.process import Decision


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
    """One screen: what is deployed, how good it is, what came in, what happens next.

    `deliveries`: the latest ones; `earlier_deliveries`: how many came before them.
    """

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
    earlier_deliveries: int = 0
