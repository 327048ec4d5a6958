"""The schema in a terminal: its columns, the text to put into config.json, and how a file keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.errors import excerpt
from holdfast.records.contract import (
    BrokenRule,
    CheckedColumn,
    SchemaCheck,
    SchemaColumn,
    SchemaInferred,
    SchemaShow,
)
from holdfast.render.words import count, percent, plain

if TYPE_CHECKING:
    from rich.table import Table

Lines = Iterator["str | Table"]
SHOWN_RULES = 12
SHOWN_CATEGORIES = 6
EVERY_ROW_A_CLIENT = "no column tells clients apart: every row is a client of its own"


def schema_lines(record: SchemaShow) -> Lines:
    """What a terminal shows of a workspace's schema."""
    where = (
        "config.json" if record.origin == "config.json" else "the brief's five columns (config.json has no 'schema')"
    )
    yield f"schema of {plain(record.workspace)}: {where}, digest {record.digest[:8]}"
    yield from _columns(record.columns, client_in_file=record.client_in_file)


def inferred_lines(record: SchemaInferred) -> Lines:
    """What a terminal shows of the schema that a file seems to have."""
    file = excerpt(record.file)
    yield f"{file} looks like this:"
    yield from _columns(record.columns, client_in_file=record.client_in_file)
    yield from (f"found: {plain(finding)}" for finding in record.findings)
    if record.is_the_briefs:
        yield "this is the brief's table: config.json needs no 'schema'"
    else:
        yield "put this into config.json, with units, bounds and categories where you know them:"
        yield ""
        yield from (f"  {line}" for line in pasteable(record.schema))
        yield ""
    yield "next: holdfast schema check FILE in a workspace with this schema, or holdfast init DIR --from FILE"


def pasteable(schema: dict[str, Any]) -> Iterator[str]:
    r"""The key `schema` of config.json with one column a line, as people keep it.

    >>> print(*pasteable({"client": "id", "features": {"visits": {"type": "integer"}}}), sep="\n")
    "schema": {
      "client": "id",
      "features": {
        "visits": {"type": "integer"}
      }
    }
    """
    yield '"schema": {'
    for place, (key, value) in enumerate(schema.items(), 1):
        comma = "," if place < len(schema) else ""
        if key == "features":
            yield f'  "{key}": {{'
            features = [f"    {_json(name)}: {_json(rules)}" for name, rules in value.items()]
            yield from (f"{feature}," for feature in features[:-1])
            yield features[-1]
            yield f"  }}{comma}"
        else:
            yield f"  {_json(key)}: {_json(value)}{comma}"
    yield "}"


def check_lines(record: SchemaCheck) -> Lines:
    """What a terminal shows of a file that was checked against the schema."""
    how = f", read as the source {record.source}" if record.source else ""
    twice = f" + {record.duplicate:,} duplicate" if record.duplicate else ""
    parts = f"{record.accepted:,} accepted{twice} + {record.quarantined:,} quarantined"
    rows = f"{count(record.rows, 'row', 'rows')} = {parts}"
    yield f"{excerpt(record.file)}{how}: {rows} ({record.seconds:.1f} s; nothing was taken in)"
    yield _checked(record)
    if record.accepted:
        yield _labels(record)
    if record.broken:
        yield _rules(record.broken[:SHOWN_RULES])
    if len(record.broken) > SHOWN_RULES:
        others = count(len(record.broken) - SHOWN_RULES, "more rule", "more rules")
        yield f"and {others}, each broken by fewer rows: --json"
    yield from (f"note: {plain(notice)}" for notice in record.notices)
    yield _verdict(record)


# ---- a schema


def _columns(columns: Sequence[SchemaColumn], *, client_in_file: bool) -> Lines:
    delivered = [column for column in columns if client_in_file or column.role != "client"]
    cells = [(c.name, c.role, c.type, c.unit or "", _taken(c), _if_missing(c)) for c in delivered]
    yield _table(("column", "role", "type", "unit", "taken", "if missing"), cells)
    if not client_in_file:
        yield EVERY_ROW_A_CLIENT
    learned = [excerpt(column.name) for column in columns if column.learned]
    yield f"the model learns from {count(len(learned), 'column', 'columns')}: {', '.join(learned) or 'none'}"


def _taken(column: SchemaColumn) -> str:
    """Which values a column takes, in words."""
    if column.exited is not None:
        return f"{excerpt(column.exited)}: exited, {excerpt(column.stayed or '')}: stayed"
    if column.categories:
        shown = ", ".join(map(excerpt, column.categories[:SHOWN_CATEGORIES]))
        more = len(column.categories) - SHOWN_CATEGORIES
        return f"{shown} and {more:,} more" if more > 0 else shown
    bounds = [column.earliest, column.latest] if column.type == "date" else [column.minimum, column.maximum]
    low, high = (None if bound is None else bound if isinstance(bound, str) else f"{bound:,.15g}" for bound in bounds)
    if low is None and high is None:
        return {"integer": "any whole number", "number": "any number", "date": "any day"}.get(column.type, "any text")
    return f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}"


def _if_missing(column: SchemaColumn) -> str:
    if column.role == "target":
        return "unlabelled"
    return "taken" if column.missing_allowed else "refused"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


# ---- a file


def _checked(record: SchemaCheck) -> Table:
    cells = []
    for column in record.columns:
        missing = percent(100 * column.missing / record.keeping) if column.missing else ""
        refused = f"{column.refused:,}" if column.refused else ""
        cells.append((column.name, column.type, column.unit or "", missing, *_extremes(column), refused))
    headings = ("column", "type", "unit", "missing", "smallest", "largest", "refused")
    return _table(headings, cells, numbers=(3, 4, 5, 6))


def _extremes(column: CheckedColumn) -> tuple[str, str]:
    if column.type == "date":
        return column.earliest or "", column.latest or ""
    low, high = ("" if each is None else _figure(each) for each in (column.minimum, column.maximum))
    return low, high


def _figure(value: float) -> str:
    """A value of a column: to the digit, or to six of them where it is no whole number.

    >>> _figure(12345678), _figure(109.5), _figure(0.1 + 0.2)
    ('12,345,678', '109.5', '0.3')
    """
    return f"{int(value):,}" if value == int(value) and abs(value) < 1e18 else f"{value:,.6g}"


def _labels(record: SchemaCheck) -> str:
    labelled = record.exited + record.stayed
    share = f" ({percent(100 * record.exited / labelled)} of {labelled:,} with a label)" if labelled else ""
    without = f"; {count(record.unlabelled, 'row', 'rows')} without a label: scored, not learned from"
    return f"{record.exited:,} exited{share}" + (without if record.unlabelled else "")


def _rules(rules: Sequence[BrokenRule]) -> Table:
    cells = []
    for rule in rules:
        fate = "quarantined" if rule.quarantined else "unlabelled"
        first = ", ".join(f"line {example.line:,}: {example.excerpt or 'empty'}" for example in rule.examples)
        cells.append((f"{rule.rows:,}", rule.column or "", rule.rule, fate, first))
    return _table(("rows", "column", "rule", "they are", "first of them"), cells, numbers=(0,))


def _verdict(record: SchemaCheck) -> str:
    if not record.rows:
        return "verdict: it keeps the schema, and it has no rows"
    if not record.quarantined:
        twice = f" but {count(record.duplicate, 'duplicate', 'duplicates')}" if record.duplicate else ""
        return f"verdict: it keeps the schema; every row{twice} would be taken in"
    if not record.accepted:
        return "verdict: no row would be taken in"
    share = percent(100 * record.quarantined / record.rows)
    quarantined = count(record.quarantined, "row", "rows")
    return f"verdict: {quarantined} ({share}) would go to quarantine, the others would be taken in"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: tuple[int, ...] = ()) -> Table:
    """A table of texts that may come from outside. Columns' names stay whole; units are left out if there are none."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    shown = [place for place, heading in enumerate(headings) if heading != "unit" or any(row[place] for row in rows)]
    for place in shown:
        table.add_column(headings[place], justify="right" if place in numbers else "left", no_wrap=place in numbers)
        if headings[place] == "column":
            table.columns[-1].min_width = max((len(excerpt(row[place])) for row in rows), default=0)
    for row in rows:
        cells = (excerpt(row[place]) if headings[place] == "column" else plain(row[place]) for place in shown)
        table.add_row(*map(Text, cells))
    return table
