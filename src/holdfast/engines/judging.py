"""The rows of a view in SQL, and the judgement which of them count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from holdfast.engines.base import View
from holdfast.engines.sql import quoted, text
from holdfast.schema import DELIVERY, LINE, Schema

SQL_TYPES = {
    "text": "VARCHAR",
    "category": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "date": "DATE",
    "label": "TINYINT",
}


def rows_of(view: View, since: int = 0) -> str:
    """All rows of a view's deliveries, or those arrived `since`, as a table of SQL."""
    table = _table(view.parts, view.schema)
    conditions = [f"{DELIVERY} >= {since}"] if since else []
    conditions += [f"{DELIVERY} NOT IN ({', '.join(map(str, sorted(view.without)))})"] if view.without else []
    return f"(SELECT * FROM {table} WHERE {' AND '.join(conditions)})" if conditions else table


def settled(view: View) -> str:
    """The places of the settled rows, as a table of SQL."""
    return f"(SELECT DISTINCT {DELIVERY} AS d, {LINE} AS l FROM {_parquet(view.settled)})"


def _table(parts: tuple[Path, ...], schema: Schema) -> str:
    if not parts:
        nothing = [f"NULL::{SQL_TYPES[column.type]} AS {quoted(column.name)}" for column in schema.columns]
        nothing += [f"NULL::BIGINT AS {name}" for name in (DELIVERY, LINE)]
        return f"(SELECT {', '.join(nothing)} WHERE false)"
    return _parquet(parts)


def _parquet(files: tuple[Path, ...]) -> str:
    # A folder called k=v is not a column, and one called [2026]* is no pattern.
    paths = ", ".join(text(re.sub(r"[*?[]", r"[\g<0>]", str(file))) for file in files)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def hash_of(columns: str) -> str:
    """The hash of some columns of a row: 32 bits, which seldom agree where the columns do not."""
    return f"(hash({columns}) >> 32)::UINTEGER"


def hashes(view: View, since: int, columns: str, share: str) -> str:
    """The query for the hashes of the rows arrived `since`, and of those before that have the hash of one of them.

    `share` is a condition that is true of rows with some hashes.
    """

    def of(rows: str) -> str:
        return f"SELECT {hash_of(columns)} AS h FROM (SELECT * FROM {rows} WHERE {share})"

    new = of(rows_of(view, since))
    old = of(f"(SELECT * FROM {rows_of(view)} WHERE {DELIVERY} < {since})")
    return f"{new} UNION ALL SELECT h FROM ({old}) WHERE h IN ({new})" if since else new


def judgement(view: View, hashed: str) -> str:
    """The query for the rows that share their key with others, and what becomes of each: `d` and `l` are its place,
    `gone` are settled rows and those equal to them.

    Only rows are compared whose hash, that of the columns `hashed`, is in the table `suspects`. Columns are known by
    their numbers here: nothing that is counted can have the name of one of them.
    """
    schema = view.schema
    numbers = {name: f"c{number}" for number, name in enumerate(schema.names)}
    key = ", ".join(numbers[name] for name in view.key)
    same = "place > 1"
    if view.conflicts == "quarantine":
        same = f"row_number() OVER (PARTITION BY {', '.join(numbers.values())} ORDER BY d, l) > 1"
    elif view.conflicts == "latest":
        others = [numbers[name] for name in schema.names if name not in view.key]
        same = " AND ".join(["place > 1", *(f"{c} IS NOT DISTINCT FROM lag({c}) OVER arrived" for c in others)])
    conflicting = "place > 1 AND NOT same" if view.conflicts == "quarantine" else "false"
    next_one = f"CASE WHEN NOT same THEN lead(d) OVER (PARTITION BY same, {key} ORDER BY d, l) END"
    columns = ", ".join(f"{quoted(name)} AS {number}" for name, number in numbers.items())
    label = numbers[schema.target.name]
    settling = _Settling.of(view, numbers, label)
    return (
        f"WITH suspect AS (SELECT {columns}, {DELIVERY} AS d, {LINE} AS l FROM (SELECT * FROM {rows_of(view)} "
        f"WHERE {hash_of(hashed)} IN (SELECT h FROM suspects))), {settling.told}"
        f"placed AS (SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY d, l) AS place "
        f"FROM {settling.counting}), "
        f"compared AS (SELECT *, {same} AS same, first_value(d) OVER arrived AS first_d, first_value(l) OVER arrived "
        f"AS first_l FROM placed WINDOW arrived AS (PARTITION BY {key} ORDER BY d, l)) "
        f"SELECT d, l, same AS duplicate, {conflicting} AS conflicting, first_d, first_l, "
        f"{next_one if view.conflicts == 'latest' else 'NULL::BIGINT'} AS replaced_by, "
        f"{label} AS label, false AS gone FROM compared{settling.gone}"
    )


class _Settling(NamedTuple):
    """Parts of `judgement`: which of the suspects equal a settled row, those that may count, and those that do not."""

    told: str
    counting: str
    gone: str

    @classmethod
    def of(cls, view: View, numbers: Mapping[str, str], label: str) -> _Settling:
        if not view.settled:
            return cls("", "suspect", "")
        told = (
            f"noted AS (SELECT suspect.*, t.l IS NOT NULL AS settled FROM suspect LEFT JOIN {settled(view)} t "
            f"USING (d, l)), told AS (SELECT *, bool_or(settled) OVER (PARTITION BY {', '.join(numbers.values())}) AS "
            "gone FROM noted), "
        )
        same = " AND ".join(f"one.{numbers[name]} IS NOT DISTINCT FROM told.{numbers[name]}" for name in view.key)
        gone = (
            f" UNION ALL SELECT told.d, told.l, NOT settled, settled, one.d, one.l, NULL, told.{label}, true FROM told "
            f"LEFT JOIN (SELECT * FROM placed WHERE place = 1) one ON {same} WHERE gone"
        )
        return cls(told, "(SELECT * EXCLUDE (settled, gone) FROM told WHERE NOT gone)", gone)
