"""Deliveries, refused rows, the dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Identity = tuple[str, str]
"""The digest of a file's bytes, and one of how they are read."""


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
    """One delivery, the `number`-th. `rows` = `accepted` + `duplicate` + `quarantined` + `erased`, always.

    `name`: the file, or the reading of a table. `folder`: the folder or source that it came from. `header`: its
    columns, as in the original text of refused rows.
    `status`: accepted, duplicate (its bytes are known already) or refused (`error` says why; nothing was taken).
    `replaced`: accepted rows that took the place of an earlier row of the same client and time. `unlabelled`: rows
    without a usable label. `erased`: rows of clients who were erased.
    `former`: its digests before clients were erased from the file itself. `read_as`: a digest of the source's names
    of columns and sheet, and, where it was refused, of the limits: under others it is read again.
    `outdated`: an erasure was undone since, so it is to be read again, as the same delivery.
    `supersedes`: the number of the delivery that this one replaces. `repairs`: the number of the delivery whose
    quarantined rows these are. `watermark`: up to where a table has been read. `version`: the dataset's version
    that holds its rows. What became of its rows is told as it was when they came: what is superseded later, or
    contradicted no longer, does not change it.
    """

    number: int
    name: str
    folder: str
    digest: str
    size: int
    received: str
    status: Literal["accepted", "duplicate", "refused"]
    header: tuple[str, ...] = ()
    rows: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    erased: int = 0
    replaced: int = 0
    unlabelled: int = 0
    former: tuple[str, ...] = ()
    read_as: str = ""
    outdated: bool = False
    supersedes: int | None = None
    repairs: int | None = None
    watermark: str | None = None
    version: int | None = None
    notices: tuple[str, ...] = ()
    error: dict[str, Any] | None = None

    @property
    def identity(self) -> Identity:
        """What it is recognised by: its bytes, and how they are read. Two sources may read one file in two ways."""
        return self.digest, self.read_as


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The current rows of one input folder at one version (`digest` of the deliveries in it, so many `deliveries`)."""

    source: str
    digest: str
    version: int | None
    rows: int
    exited: int
    unlabelled: int
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRecord:
    """What one ingestion took in. `known` counts files that had been taken before.

    `deferred`: files that may still be on their way, and what they are waited for. `unreachable`: sources that did
    not answer; the others were taken in.
    """

    dataset: Dataset
    files: tuple[SourceFile, ...]
    known: int
    rows: int
    accepted: int
    duplicate: int
    quarantined: int
    erased: int
    refused: int
    rejected: tuple[RejectedRow, ...]
    deferred: tuple[str, ...]
    unreachable: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One delivered row of a client: where it stood, its values as text, and whether it counts.

    `state`: current, duplicate (of a row before it), replaced (by the delivery `replaced_by`), or conflicting
    (it contradicts an earlier row, and the rule is to quarantine it).
    """

    delivery: int
    line: int
    state: Literal["current", "duplicate", "replaced", "conflicting"]
    replaced_by: int | None
    values: dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryList:
    """Everything that was ever delivered to a dataset, oldest first, and the numbers of the deliveries that it is made
    of now.
    """

    source: str
    deliveries: tuple[SourceFile, ...]
    current: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """One version of the dataset: when it was committed, what for, and the delivery that it took in, if it did."""

    version: int
    committed: str
    purpose: str
    delivery: int | None
    name: str | None
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetHistory:
    """Every version of the dataset, oldest first; `readable` are those whose rows are still there."""

    source: str
    versions: tuple[DatasetVersion, ...]
    readable: tuple[int, ...]
