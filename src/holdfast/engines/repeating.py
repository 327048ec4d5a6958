"""The question which rows of a delivery only repeat what earlier deliveries of the same source said last, in SQL."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.engines.base import View
from holdfast.engines.sql import quoted
from holdfast.schema import DELIVERY, LINE


def repeating(rows: str, view: View, delivery: int, lines: int, earlier: frozenset[int]) -> str:
    """The lines, in order, of those of a delivery's first `lines` that bring nothing; `rows` is the view's table.

    Of the rows that share a key, all do or none does. They do if the `earlier` deliveries have every one of them, and
    the last of them is the last that those said about the key. Columns are known by their numbers: nothing that is
    counted can have the name of one of them.
    """
    numbers = {name: f"c{number}" for number, name in enumerate(view.schema.names)}
    columns = ", ".join(f"{quoted(name)} AS {number}" for name, number in numbers.items())
    key = [numbers[name] for name in view.key]
    same_key, same_row = (_same("a", "b", names) for names in (key, numbers.values()))
    last = f"QUALIFY row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY d DESC, l DESC) = 1"
    others = ", ".join(map(str, sorted(earlier))) or "NULL"
    return (
        f"WITH rows AS (SELECT {columns}, {DELIVERY} AS d, {LINE} AS l FROM {rows}), "
        f"again AS (SELECT * FROM rows WHERE d = {delivery} AND l <= {lines}), "
        f"known AS (SELECT * FROM rows a WHERE d IN ({others}) AND EXISTS (SELECT 1 FROM again b WHERE {same_key})), "
        f"said AS (SELECT * FROM known {last}), says AS (SELECT * FROM again {last}), "
        f"unchanged AS (SELECT * FROM says a WHERE EXISTS (SELECT 1 FROM said b WHERE {same_row})), "
        f"new AS (SELECT * FROM again a WHERE NOT EXISTS (SELECT 1 FROM known b WHERE {same_row})) "
        f"SELECT l AS {LINE} FROM again a WHERE EXISTS (SELECT 1 FROM unchanged b WHERE {same_key}) "
        f"AND NOT EXISTS (SELECT 1 FROM new b WHERE {same_key}) ORDER BY l"
    )


def _same(one: str, other: str, names: Iterable[str]) -> str:
    return " AND ".join(f"{one}.{name} IS NOT DISTINCT FROM {other}.{name}" for name in names)
