"""The schema as a contract: what it says, what it would say about a file, and whether a file keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from holdfast.errors import DONE, DONE_WITH_QUARANTINE


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaColumn:
    """One column of a schema: its role, how its text is read, its unit, and which values are taken.

    `minimum`, `maximum`: of a number. `earliest`, `latest`: of a date. `categories`: empty when any text will do.
    `exited`, `stayed`: the labels of the target. `learned`: whether the model learns from it.
    """

    name: str
    role: str
    type: str
    unit: str | None
    minimum: float | None
    maximum: float | None
    earliest: str | None
    latest: str | None
    categories: tuple[str, ...]
    missing_allowed: bool
    exited: str | None
    stayed: str | None
    learned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaShow:
    """The schema of a workspace. `origin`: config.json, or the brief's five columns where config.json has no schema.

    `client_in_file` is False when rows carry no client id and each of them is a client of its own.
    """

    workspace: str
    origin: Literal["config.json", "brief"]
    digest: str
    client_in_file: bool
    columns: tuple[SchemaColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaInferred:
    """The schema that a file seems to have. `schema`: what to put under that key of config.json.

    `is_the_briefs`: the file is the brief's table, for which config.json needs no schema. `findings`: what was guessed
    or left out, and why.
    """

    file: str
    is_the_briefs: bool
    schema: dict[str, Any]
    client_in_file: bool
    columns: tuple[SchemaColumn, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenCell:
    """Where a rule was broken, and the beginning of the cell; of the whole row where no single cell is at fault."""

    line: int
    excerpt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """A rule of the schema that some rows of a file break, and the first of them that look different.

    `quarantined`: they would go to quarantine; if False they would be taken in without their label. A row counts
    once, for the first rule that it breaks.
    """

    column: str | None
    rule: str
    quarantined: bool
    rows: int
    examples: tuple[BrokenCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedColumn:
    """A column of the schema in the accepted rows of a file. `refused`: rows that it would send to quarantine.

    `minimum` and `maximum` of numbers, `earliest` and `latest` of dates; None when there is no value.
    """

    name: str
    role: str
    type: str
    unit: str | None
    missing: int
    refused: int
    minimum: float | None
    maximum: float | None
    earliest: str | None
    latest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaCheck:
    """A file against the schema, without taking anything in: `rows` = `accepted` + `duplicate` + `quarantined`.

    Its rows are compared with each other by the workspace's rule for conflicts, and not with those of the dataset.
    `exited` + `stayed` + `unlabelled`: the rows that keep the schema, be they duplicates or contradict others.
    `extra`: columns of the file that are not in the schema and would be left out. `broken`: the most frequent first.
    """

    file: str
    digest: str
    source: str | None
    rows: int
    accepted: int
    quarantined: int
    exited: int
    stayed: int
    unlabelled: int
    columns: tuple[CheckedColumn, ...]
    broken: tuple[BrokenRule, ...]
    extra: tuple[str, ...]
    notices: tuple[str, ...]
    seconds: float
    duplicate: int = 0

    @property
    def keeping(self) -> int:
        """Rows that keep the schema."""
        return self.exited + self.stayed + self.unlabelled

    @property
    def exit_status(self) -> int:
        """0, or 3 when some rows would go to quarantine."""
        return DONE_WITH_QUARANTINE if self.quarantined else DONE
