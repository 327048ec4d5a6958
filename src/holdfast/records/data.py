"""Deliveries, refused rows, the dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


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
