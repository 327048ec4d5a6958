"""The ledger's tables. Their history is in `migrations/`; a test compares the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()


def _column(name: str, kind: type[sa.types.TypeEngine[Any]] = sa.Text, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null)


def _number(name: str = "id") -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=True)


runs = sa.Table(
    "runs",
    metadata,
    _number("number"),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    _column("parent", null=True),
    _column("command"),
    _column("actor"),
    _column("started"),
    _column("seconds", sa.Float),
    _column("status"),
    _column("exit_status", sa.Integer),
    _column("worked", sa.Boolean),
    _column("error", null=True),
    _column("record", null=True),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _column("run"),
    _column("source"),
    _column("schema_digest"),
    _column("digest"),
    _column("name"),
    _column("status"),
    _column("current", sa.Boolean),
    _column("record"),
    sa.Index("deliveries_by_source", "source", "schema_digest", "number"),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    _column("run"),
    _column("created"),
    _column("dataset_digest"),
    _column("record"),
)

scores = sa.Table(
    "scores",
    metadata,
    _number(),
    _column("run"),
    _column("created"),
    _column("kind"),
    _column("model_digest"),
    _column("f1", sa.Float, null=True),
    _column("record"),
    sa.Index("scores_by_model", "model_digest", "kind"),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _column("run"),
    _column("created"),
    _column("record"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    _number(),
    _column("run"),
    _column("created"),
    _column("source"),
    _column("dataset_digest"),
    _column("finished", sa.Boolean),
    _column("release", null=True),
    _column("record"),
)

assessments = sa.Table(
    "assessments",
    metadata,
    _number(),
    _column("run"),
    _column("created"),
    _column("release"),
    _column("dataset_digest"),
    _column("digest"),
    _column("record"),
)

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    _column("run"),
    _column("created"),
    _column("source"),
    _column("schema_digest"),
    _column("version", sa.Integer, null=True),
    _column("deliveries"),
    _column("record"),
)

quarantine_acts = sa.Table(
    "quarantine_acts",
    metadata,
    _number(),
    _column("run"),
    _column("created"),
    _column("actor"),
    _column("delivery", sa.Integer),
    _column("line", sa.Integer),
    _column("act"),
    _column("text", null=True),
    _column("reason", null=True),
    _column("replayed_as", sa.Integer, null=True),
    sa.Index("quarantine_acts_by_row", "delivery", "line"),
)

settled_rows = sa.Table(
    "settled_rows",
    metadata,
    sa.Column("delivery", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
)

erasures = sa.Table(
    "erasures",
    metadata,
    _number(),
    _column("run"),
    _column("created"),
    _column("tombstone"),
    sa.Column("act", sa.Text, nullable=False, server_default="erased"),
    _column("finished", sa.Boolean),
    _column("receipt", null=True),
    sa.Index("erasures_by_tombstone", "tombstone"),
)


def ranges_of(numbers: Sequence[int]) -> str:
    """Numbers in growing order, as the ledger keeps them: runs of neighbours by their ends.

    >>> ranges_of([1, 2, 3, 7, 9, 10])
    '1-3,7,9-10'
    """
    ends: list[list[int]] = []
    for number in numbers:
        if ends and number == ends[-1][1] + 1:
            ends[-1][1] = number
        else:
            ends.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ends)


def numbers_in(ranges: str) -> tuple[int, ...]:
    """The numbers again.

    >>> numbers_in("1-3,7,9-10")
    (1, 2, 3, 7, 9, 10)
    """
    ends = [run.partition("-") for run in ranges.split(",") if run]
    return tuple(number for first, _, last in ends for number in range(int(first), int(last or first) + 1))
