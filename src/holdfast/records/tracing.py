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
class Remnant:
    """A place that still mentions an erased client, or was not searched: why, and what to do `next`."""

    place: str
    reason: str
    next: str

    @property
    def is_found(self) -> bool:
        """False for a place that could not be searched, and where the client may be or not."""
        return not self.reason.startswith("it could not be read")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasurePlan:
    """What an erasure changes, or would change.

    `rows`: delivered rows of the client in the datasets; `deliveries`: those that held the client, refused rows too.
    `cleaned`: files and how many rows, lines or values left each. `deleted`: files that were removed as a whole.
    `models`: those that learned from the client's rows, `in_production` the release that serves one. `unknown`: the
    release in production, where a lost ledger knows nothing of its model.
    `changed_versions`: earlier versions of the dataset that are read without the client from now on;
    `unreadable_versions`: those that are gone. `searched`: the folders in which every file was searched byte by byte,
    `files_searched` how many files. `remaining`: what is left in them: nothing, or the erasure is not complete.
    `elsewhere`: what belongs to others, where Holdfast only reads.

    `in_advance`: the datasets had no row of the client, who is kept out from now on; rows were removed that have
    exactly this id, and nothing else. `mentioned`: files in which the id occurs, perhaps as a word, and which were
    left as they are.
    """

    rows: int
    deliveries: tuple[int, ...]
    cleaned: dict[str, int]
    deleted: tuple[str, ...]
    models: tuple[TracedModel, ...]
    in_production: str | None
    changed_versions: tuple[int, ...]
    unreadable_versions: tuple[int, ...]
    searched: tuple[str, ...]
    files_searched: int
    remaining: tuple[Remnant, ...]
    elsewhere: tuple[Remnant, ...]
    seconds: float
    in_advance: bool = False
    mentioned: tuple[Remnant, ...] = ()
    unknown: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt(ErasurePlan):
    """The proof that a client was erased, without naming the client: only the keyed `tombstone` tells who.

    `receipt`: the file that it is written to. What was changed and what is left: see ErasurePlan.
    """

    tombstone: str
    reason: str
    erased: str
    actor: str
    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureUndone:
    """A tombstone was taken away: later deliveries of the client are taken again. Erased rows did not come back.

    `read_again`: files and tables that the next ingestion reads again, because they may still hold the client's rows.
    `deliver_again`: files of the workspace from which the client was erased; their originals bring the rows back.
    """

    tombstone: str
    reason: str
    undone: str
    actor: str
    read_again: tuple[str, ...]
    deliver_again: tuple[str, ...]
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
