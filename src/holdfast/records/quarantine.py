"""What is in quarantine, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.records.data import SourceFile

State = Literal["open", "repaired", "waived", "replayed"]

EVERY_LINE = 0
"""Where an act names no line because it is one on every row of a delivery that was not taken in before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineAct:
    """What somebody did to one quarantined row: repaired it (`text` is the new one), waived it, or replayed it.

    `line` 0: to every row of the delivery that had not been taken in. `text` is None once it was let go.
    `replayed_as`: the number of the delivery that took the row in.
    """

    delivery: int
    line: int
    act: Literal["repaired", "waived", "replayed"]
    text: str | None
    reason: str | None
    replayed_as: int | None
    actor: str
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRow:
    """A refused row, or one that was taken without a cell (`kept`), and how it stands.

    `id`: delivery:line, as the commands take it. `text`: the original; `repaired`: the text that it was given since.
    """

    id: str
    delivery: int
    file: str
    line: int
    column: str | None
    rule: str
    text: str
    kept: bool
    state: State
    repaired: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedDelivery:
    """A delivery with refused rows: how many are still open, how many were dealt with, and the rules they broke."""

    delivery: int
    name: str
    folder: str
    received: str
    quarantined: int
    open: int
    repaired: int
    waived: int
    replayed: int
    unlabelled: int
    rules: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineList:
    """Everything in quarantine: deliveries with refused rows, and files that were refused as a whole."""

    deliveries: tuple[QuarantinedDelivery, ...]
    refused: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineShow:
    """Refused rows with their original text, whose fields `header` names; the first of `total`. `file`: a table of
    them that was written, to be corrected; `notices` say what is not in it.
    """

    delivery: int
    name: str
    header: tuple[str, ...]
    total: int
    rows: tuple[QuarantinedRow, ...]
    file: str | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineDone:
    """What a command did to quarantined rows: how many, and what comes next.

    `ids`: the first of these rows, or deliveries that are meant as a whole. "forgotten": their texts were let go.
    """

    act: Literal["repaired", "waived", "forgotten"]
    rows: int
    ids: tuple[str, ...]
    notices: tuple[str, ...]
    next: str
