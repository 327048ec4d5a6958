"""Quarantine in a terminal: what is held, the rows themselves, and the command that comes next."""

from __future__ import annotations

import csv
import io
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from holdfast.records import QuarantinedDelivery, QuarantineDone, QuarantinedRow, QuarantineList, QuarantineShow
from holdfast.render.deliveries import SHOWN_REFUSALS, refusals
from holdfast.render.terminal import Lines, Table, minute, notes
from holdfast.render.words import count, plain

SHOWN_IDS = 12
ALL = "holdfast quarantine list --all"
LONGEST_FIELDS = 1000


def list_lines(record: QuarantineList, limit: int | None = None) -> Lines:
    """What a terminal shows of everything in quarantine.

    With a `limit` only deliveries in which something waits, and of more than so many the first and last.
    """
    if not record.deliveries and not record.refused:
        yield "nothing is in quarantine: every row was taken in"
        return
    yield _totals(record)
    shown = [each for each in record.deliveries if limit is None or each.open or each.repaired]
    if shown:
        yield _deliveries(shown, limit)
    others = len(record.deliveries) - len(shown)
    if others:
        other = "other " if shown else ""
        yield f"nothing waits in {count(others, f'{other}delivery', f'{other}deliveries')}: {ALL}"
    yield from refusals(record.refused, limit and SHOWN_REFUSALS)
    yield from _next_of_list(record)


def _totals(record: QuarantineList) -> str:
    open_rows = sum(each.open for each in record.deliveries)
    deliveries = count(len(record.deliveries), "delivery", "deliveries")
    totals = [f"quarantine: {count(open_rows, 'open row', 'open rows')}, {deliveries}"]
    if record.refused:
        totals.append(f"{count(len(record.refused), 'file', 'files')} refused as a whole")
    return ", ".join(totals)


def _deliveries(deliveries: Sequence[QuarantinedDelivery], limit: int | None) -> Table:
    several = len({each.folder for each in deliveries}) > 1
    longest = max(len(str(each.delivery)) for each in deliveries)
    counted = ("refused", "open", "repaired", "waived", "replayed", "unlabelled")
    headings = ("delivery", "source", "received (UTC)", *counted, "rules that open rows break")
    rows = [
        (
            f"{each.delivery:>{longest}} {each.name}",
            each.folder if several else "",
            minute(each.received),
            f"{each.quarantined:,}",
            f"{each.open:,}",
            *(f"{rows:,}" if rows else "" for rows in (each.repaired, each.waived, each.replayed, each.unlabelled)),
            _broken(each),
        )
        for each in deliveries
    ]
    return Table(headings, rows, numbers=(3, 4, 5, 6, 7, 8), most=limit, rest=ALL)


def _broken(delivery: QuarantinedDelivery) -> str:
    """The rules that open rows break, the most frequent first."""
    rules = [f"{rule} ({rows:,})" for rule, rows in delivery.rules]
    others = delivery.open - sum(rows for _, rows in delivery.rules)
    return ", ".join([*rules, *([f"others ({others:,})"] if others > 0 else [])])


def _next_of_list(record: QuarantineList) -> Iterator[str]:
    still_open = [each for each in record.deliveries if each.open]
    repaired = sum(each.repaired for each in record.deliveries)
    if still_open:
        yield f"next: holdfast quarantine show {still_open[-1].delivery}"
    if repaired:
        yield f"next: holdfast quarantine replay takes {count(repaired, 'repaired row', 'repaired rows')} in"


# ---- rows


def show_lines(record: QuarantineShow) -> Lines:
    """What a terminal shows of quarantined rows: their texts, one a line; of a single row every field."""
    rows, shown = count(record.total, "row", "rows"), len(record.rows)
    which = f", the first {shown:,} of them" if shown < record.total else _states(record.rows)
    yield f"delivery {record.delivery}, {plain(record.name)}: {rows} in quarantine{which}"
    fields = _fields(record) if record.total == 1 else None
    if fields is not None:
        yield _told(record.rows[0])
        yield fields
    else:
        yield f"fields: {plain(','.join(record.header), LONGEST_FIELDS)}"
        yield _texts(record.rows)
    if record.file:
        yield f"written to {plain(record.file)}: correct the fields there, leave the first line and column as they are"
        yield from notes(record.notices)
        yield f"next: holdfast quarantine repair {record.delivery} --from {shlex.quote(plain(record.file))}"
        return
    if shown < record.total:
        more = count(record.total - shown, "more row", "more rows")
        yield f"and {more}: --limit {record.total} shows all; --out FILE.csv writes all to a file, to be corrected"
    yield from _next_of_rows(record)


def _states(rows: Sequence[QuarantinedRow]) -> str:
    """How many rows stand how, where they do not all stand alike."""
    states = Counter("unlabelled" if row.kept else row.state for row in rows)
    return f": {', '.join(f'{number:,} {state}' for state, number in states.items())}" if len(states) > 1 else ""


def _texts(rows: Sequence[QuarantinedRow]) -> Table:
    cells = [(row.id, _rule(row), row.text, row.repaired or "", _state(row)) for row in rows]
    return Table(("row", "rule", "text", "repaired text", "now"), cells)


def _rule(row: QuarantinedRow) -> str:
    return f"{row.column}: {row.rule}" if row.column else row.rule


def _state(row: QuarantinedRow) -> str:
    """How a row stands, in words; nothing for a row that is still open, as most are."""
    if row.kept:
        return "unlabelled"
    if row.state == "waived":
        return f"waived: {row.reason}" if row.reason else "waived"
    return {"open": "", "repaired": "repaired, to be replayed", "replayed": "taken in"}[row.state]


def _told(row: QuarantinedRow) -> str:
    state = _state(row)
    return plain(f"row {row.id}: {_rule(row)}" + (f"; {state}" if state else ""))


def _fields(record: QuarantineShow) -> Table | None:
    """The fields of the only row, by name; None where they cannot be told apart."""
    row = record.rows[0]
    original, repaired = _split(row.text), _split(row.repaired) if row.repaired else [""] * len(record.header)
    if len(original) != len(record.header) or len(repaired) != len(record.header):
        return None
    marks = [row.rule if name == row.column else "" for name in record.header]
    cells = list(zip(record.header, original, marks, repaired, strict=True))
    return Table(("column", "field", "rule", "repaired"), cells)


def _split(text: str) -> list[str]:
    """The fields of a row, or nothing if they cannot be told apart."""
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return []
    return lines[0] if len(lines) == 1 else []


def _next_of_rows(record: QuarantineShow) -> Iterator[str]:
    still_open = [row for row in record.rows if row.state == "open" and not row.kept]
    if still_open:
        first = still_open[0]
        change = shlex.quote(f"{plain(first.column)}=VALUE") if first.column else "COLUMN=VALUE"
        yield f"next: holdfast quarantine repair {first.id} --set {change}"
        yield f"or:   holdfast quarantine waive {first.id} --reason WHY"
    if len(still_open) > 1:
        show, repair = (f"holdfast quarantine {act} {record.delivery}" for act in ("show", "repair"))
        yield f"or:   {show} --out FILE.csv, correct the file, {repair} --from FILE.csv"
    if any(row.state == "repaired" for row in record.rows):
        yield f"next: holdfast quarantine replay {record.delivery}"


# ---- what was done


def done_lines(record: QuarantineDone) -> Lines:
    """What a terminal shows of rows that were repaired or waived."""
    if not record.rows:
        yield {
            "repaired": "no row was repaired: none of them was changed",
            "waived": "no row was waived: none of them is open",
            "forgotten": "no text was let go: nothing was settled that long ago",
        }[record.act]
    elif record.act == "forgotten":
        yield f"let go of the texts of {count(record.rows, 'row', 'rows')}"
    else:
        yield f"{record.act} {count(record.rows, 'row', 'rows')}: {_which(record)}"
    yield from notes(record.notices)
    if record.rows and record.act != "forgotten":
        yield f"next: {plain(record.next)}"


def _which(record: QuarantineDone) -> str:
    """The rows, or deliveries as a whole; of very many the first, and what shows the others."""
    shown = [each if ":" in each else f"all of delivery {each}" for each in record.ids[:SHOWN_IDS]]
    rows = all(":" in each for each in record.ids)
    others = (record.rows if rows else len(record.ids)) - len(shown)
    if others <= 0:
        return ", ".join(shown)
    numbers = list(dict.fromkeys(each.partition(":")[0] for each in record.ids))
    show = f"holdfast quarantine show {numbers[0]}" if len(numbers) == 1 else "holdfast quarantine list"
    return f"{', '.join(shown)} and {others:,} more ({show})"
