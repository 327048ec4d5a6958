"""Where rows, models and assessments come from, and what is left of a client who was erased."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.records.data import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRow:
    """One delivered row: its delivery, file and line, its values as text, and whether it counts (see Occurrence)."""

    delivery: int
    file: str
    folder: str
    received: str
    line: int
    state: str
    replaced_by: int | None
    values: dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedModel:
    """A model, the dataset that it learned from, and the releases that put it into production."""

    digest: str
    created: str
    dataset_digest: str
    version: int | None
    rows: int
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedAssessment:
    """An assessment: when, by which release and model, on which dataset."""

    number: int
    created: str
    release: str
    model: str
    dataset_digest: str
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What something comes from, and what came of it. `subject` says what was asked for, in words.

    `deliveries`: the files and table readings that it rests on, oldest first.
    """

    subject: str
    rows: tuple[TracedRow, ...]
    deliveries: tuple[SourceFile, ...]
    models: tuple[TracedModel, ...]
    assessments: tuple[TracedAssessment, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """The proof that a client was erased, without naming the client: only the keyed `tombstone` tells who.

    `cleaned`: files and how many rows, lines or values left each. `deleted`: files that were removed as a whole.
    `models`: those that learned from the client's rows, `in_production` the one that serves. `unreadable_versions`:
    versions of the dataset that are gone with the rows. `elsewhere`: places outside the workspace that Holdfast
    reads and does not clean. `remaining`: files in which the byte search still found the client: none, or the
    erasure is not complete.
    """

    tombstone: str
    reason: str
    erased: str
    actor: str
    rows: int
    cleaned: dict[str, int]
    deleted: tuple[str, ...]
    models: tuple[TracedModel, ...]
    in_production: str | None
    unreadable_versions: tuple[int, ...]
    elsewhere: tuple[str, ...]
    remaining: tuple[str, ...]
    files_searched: int
    receipt: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetExport:
    """The dataset at a version, written to a file."""

    file: str
    version: int | None
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """What keeping the dataset in order did: files merged, files deleted that no kept version needs."""

    merged: int
    deleted: int
    parts: int
    version: int | None
