"""A schema by looking: which column is the client, which the target, and what the others hold."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from holdfast.errors import FileRefused, UsageError, excerpt, nearest
from holdfast.schema import ROWS_AS_CLIENTS, Column, Schema, schema_from_json, schema_to_json
from holdfast.sources.apart import open_apart
from holdfast.sources.casting import BLANKS, DATE, INTEGER, MISSING, cast
from holdfast.sources.files import name_of, open_regular
from holdfast.sources.header import OTHER_DELIMITERS, notice_of_unused
from holdfast.sources.opening import can_be_named
from holdfast.sources.parsed import WHOLE_TABLE, DeliveredFile, Reading
from holdfast.sources.readers import Readers
from holdfast.sources.typed import ANSWERS

SHOWN_LABELS = 5
MOST_CATEGORIES = 1_000
MOST_VALUES = 10_000
"""As many different values of a column are counted; whether they repeat has shown itself by then."""

ANSWER_NAMES = ("exited", "churn", "churned", "attrition")
TARGET_NAMES = (*ANSWER_NAMES, "left", "leaves", "cancelled", "canceled", "closed")
CLIENT_NAMES = ("corporation", "client", "customer", "company", "account", "user", "member")
ID_NAMES = ("id", "clientnum", "clientid", "customerid", "companyid", "accountid", "userid", "memberid")
VALUE_NAMES = ("contract_value", "annual_value", "revenue", "annual_revenue", "contract_amount", "arr", "mrr")
TIME_NAMES = ("date", "snapshot", "month", "period", "day")
EXITED_LABELS = (
    "1.0",
    *(true for true, _ in ANSWERS),
    "exited",
    "churned",
    "churn",
    "left",
    "closed",
    "attrited",
    "cancelled",
    "canceled",
    "terminated",
    "gekündigt",
    "lost",
)

ANOTHER = "--exited names another"
NUMBERS = Column(name="", role="feature", type="number", missing_allowed=True)
"""A column of numbers, whatever it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What the user gave: column names for the roles, and which value of the target means that the client exited.

    None means: find it.
    """

    client: str | None = None
    target: str | None = None
    time: str | None = None
    value: str | None = None
    exited: str | None = None


@dataclass(slots=True)
class Look:
    """What the cells of one column look like."""

    name: str
    cells: int = 0
    missing: int = 0
    integers: bool = True
    numbers: bool = True
    dates: bool = True
    values: Counter[str] = field(default_factory=Counter)
    counted: int = 0

    def add(self, cells: pa.StringArray) -> None:
        """Look at some more cells."""
        trimmed = pc.utf8_trim(cells.fill_null(""), characters=BLANKS)
        present = trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=pa.array(MISSING))))
        counts = pc.value_counts(present)
        values = counts.field("values")
        self.cells += len(cells)
        self.missing += len(cells) - len(present)
        self.integers = self.integers and _all_match(values, INTEGER)
        self.numbers = self.numbers and not cast(values, NUMBERS).broken
        self.dates = self.dates and _all_match(values, DATE)
        if len(self.values) < MOST_VALUES:
            self.values.update(dict(zip(values.to_pylist(), counts.field("counts").to_pylist(), strict=True)))
            self.counted = self.cells

    @property
    def many(self) -> bool:
        """True if there are more values than a category has."""
        return len(self.values) > MOST_CATEGORIES

    @property
    def type(self) -> str:
        """integer, number, date or category."""
        if not self.values:
            return "category"
        return "integer" if self.integers else "number" if self.numbers else "date" if self.dates else "category"

    @property
    def looks_unique(self) -> bool:
        """True if (nearly) every cell is another one, as ids are."""
        return len(self.values) >= 0.95 * self.counted > 0


def infer_schema(path: Path, roles: Roles, sheet: str | None = None) -> tuple[Schema, tuple[str, ...]]:
    """The schema of the table at `path`, of any kind that can be a delivery, as `schema_of` finds it.

    It is read by a reading process. `sheet`: the one to look at in a workbook. Raises FileRefused when the file is no
    table, and what `schema_of` raises.
    """
    reading = Reading(schema=WHOLE_TABLE, sheet=sheet)
    name = name_of(path)
    with Readers(1) as readers, open_regular(path) as stream, open_apart(readers, stream, name, reading) as table:
        return schema_of(table, roles)


def schema_of(table: DeliveredFile, roles: Roles) -> tuple[Schema, tuple[str, ...]]:
    """The schema of a table that was opened whole (WHOLE_TABLE), and notices about what was guessed or left out.

    Raises FileRefused for a table of one column, UsageError when no target can be found or a named column is not
    there or not what it is named for, ConfigurationError when two columns have the same name but for case.
    """
    looks, notices = _look_at(table)
    _check_roles(looks, roles, table.name)
    target = _target(looks, roles, table.name, notices)
    rest = {name: look for name, look in looks.items() if name != target.name}
    time = roles.time or next((name for name, look in rest.items() if _is_time(look)), None)
    value = roles.value or next((n for n, look in rest.items() if look.numbers and n.casefold() in VALUE_NAMES), None)
    others = {name: look for name, look in rest.items() if name not in {time, value}}
    client = roles.client or _client(others, dated=time is not None)
    if client is None:
        notices.append("no column looks like a client id: every row counts as a client of its own (--client names one)")
    columns = [Column(name=client or ROWS_AS_CLIENTS, role="client", type="text")]
    columns += [Column(name=time, role="time", type="date")] if time else []
    columns += [Column(name=value, role="value", type="number", missing_allowed=True)] if value else []
    columns += [_feature(look, notices) for name, look in others.items() if name != client]
    if not any(column.role == "feature" for column in columns):
        raise UsageError("no column is left to learn from", file=table.name, hint="; ".join(notices) or None)
    schema = Schema(columns=(*columns, target), client_in_file=client is not None)
    # What is returned is what config.json can say.
    return schema_from_json(schema_to_json(schema)), tuple(notices)


def _look_at(table: DeliveredFile) -> tuple[dict[str, Look], list[str]]:
    """Every column of the table, and what was left out in reading it."""
    _refuse_one_column(table)
    looks = {column: Look(column) for column in table.names if can_be_named(column)}
    rejected = 0
    for parsed in table:
        rejected += len(parsed.rejected)
        for look in looks.values():
            look.add(parsed.rows.column(look.name))
    left_out = [column for column in table.names if column not in looks]
    one = "1 column is left out: it has no name"
    those = one if len(left_out) == 1 else f"{len(left_out):,} columns are left out: they have no name"
    notices = [f"{those}, or one that Holdfast uses itself"] if left_out else []
    notices += [each for each in table.notices if each != notice_of_unused(table.name, left_out)]
    if rejected:
        notices.append(f"{rejected:,} of {table.rows:,} rows cannot be read: ingestion will quarantine them")
    return looks, notices


def _refuse_one_column(table: DeliveredFile) -> None:
    if len(table.names) < 2:
        header = "".join(table.names)
        word = next((word for mark, word in OTHER_DELIMITERS.items() if mark in header), None)
        hint = f"the fields look separated by {word}; save the file with commas" if word else "a table has several"
        hint = "; ".join([hint, *table.notices])
        raise FileRefused("only one column", file=table.name, value=header, hint=hint)


def _check_roles(looks: dict[str, Look], roles: Roles, file: str) -> None:
    given = [column for role, column in asdict(roles).items() if role != "exited" and column is not None]
    for column in given:
        if column not in looks:
            close = nearest(column, looks)
            hint = f"did you mean '{excerpt(close)}'?" if close else f"found: {', '.join(map(excerpt, looks))}"
            raise UsageError("this file has no such column", file=file, column=column, hint=hint)
        if given.count(column) > 1:
            raise UsageError("this column is named for two roles", file=file, column=column)
    if roles.time and looks[roles.time].type != "date":
        raise UsageError("the time column does not hold dates like 2026-01-31", file=file, column=roles.time)
    if roles.value and not looks[roles.value].numbers:
        raise UsageError("the value column does not hold numbers", file=file, column=roles.value)


def _is_time(look: Look) -> bool:
    return look.type == "date" and look.missing == 0 and _like(look.name, TIME_NAMES)


def _target(looks: dict[str, Look], roles: Roles, file: str, notices: list[str]) -> Column:
    labels = {name: _labels(look) for name, look in looks.items()}
    likely = [name for name in looks if _like(name, TARGET_NAMES) and len(labels[name]) == 2]
    candidates = [roles.target] if roles.target else likely
    if not candidates:
        hint = "name it: --target COLUMN (a column that says whether the client exited, with two values)"
        two = [name for name in looks if len(labels[name]) == 2][:SHOWN_LABELS]
        hint += f"; two values: {', '.join(map(excerpt, two))}" if two else ""
        hint = "; ".join([hint, *notices])
        raise UsageError("no column looks like the target", file=file, hint=hint)
    name = candidates[0]
    if len(labels[name]) != 2:
        shown = ", ".join([*map(excerpt, labels[name][:SHOWN_LABELS]), *["…"] * (len(labels[name]) > SHOWN_LABELS)])
        found = f"found {len(labels[name]):,}: {shown}" if shown else "found none"
        raise UsageError(f"the target needs two values, {found}", file=file, column=name)
    exited = _exited(name, labels[name], notices) if roles.exited is None else _meant(roles, name, labels[name], file)
    stayed = next(label for label in labels[name] if label != exited)
    return Column(name=name, role="target", type="label", missing_allowed=True, exited=exited, stayed=stayed)


def _exited(name: str, labels: list[str], notices: list[str]) -> str:
    """The value of the target that means, by its look, that the client exited; of two that tell nothing the rarer."""
    exited = next((label for label in labels if label.casefold().partition(" ")[0] in EXITED_LABELS), None)
    if exited is None:
        exited = labels[1]
        notices.append(f"'{name}': '{exited}', the rarer value, is taken to mean that the client exited ({ANOTHER})")
    elif not _like(name, TARGET_NAMES):
        notices.append(f"'{name}': '{exited}' is taken to mean that the client exited ({ANOTHER})")
    return exited


def _meant(roles: Roles, name: str, labels: list[str], file: str) -> str:
    """The value of the target that the user named, in the file's own letters."""
    given = str(roles.exited).strip(BLANKS)
    alike = [label for label in labels if given in (label, f"{label}.0") or label.casefold() == given.casefold()]
    if not alike or (len(alike) > 1 and given not in alike):
        hint = f"it holds {' and '.join(repr(excerpt(label)) for label in labels)}: name one of them with --exited"
        raise UsageError("the target does not hold this value", file=file, column=name, value=given, hint=hint)
    return given if given in alike else alike[0]


def _labels(look: Look) -> list[str]:
    """The values of a column that may be the target, the most frequent first; 1.0 is 1."""
    counts: Counter[str] = Counter()
    for value, count in look.values.items():
        counts[re.sub(r"^(-?[0-9]+)\.0$", r"\1", value)] += count
    return [label for label, _ in counts.most_common()]


def _client(looks: dict[str, Look], *, dated: bool) -> str | None:
    """The first column that is named as an id, or else one that may be an id and tells the rows apart.

    Where rows are dated an id repeats, so having many values is enough.
    """
    likely = [
        look
        for name, look in looks.items()
        if _like(name, CLIENT_NAMES + ID_NAMES) and look.type in {"integer", "category"} and len(look.values) > 2
    ]
    named = (look.name for look in likely if _is_id(look.name))
    telling = (look.name for look in likely if look.looks_unique or (dated and look.many))
    return next(named, None) or next(telling, None)


def _is_id(name: str) -> bool:
    """True for id, client, corporation, clientnum, customer_id, but not for plan_id or customer_age."""
    alone = name.casefold() in {"client", "corporation", *ID_NAMES}
    return alone or (_like(name, ID_NAMES) and _like(name, CLIENT_NAMES))


def _feature(look: Look, notices: list[str]) -> Column:
    kind = look.type
    why = ""
    if len(look.values) < 2:
        why = "it always holds the same"
    elif _like(look.name, ANSWER_NAMES):
        why = "by its name it may tell the answer"
    elif kind == "date":
        why = "it is a second date"
    elif kind == "category" and (look.many or look.looks_unique):
        why = "nearly every row has another text"
    if why:
        notices.append(f"'{look.name}' is kept out of the model: {why}")
        return Column(name=look.name, role="ignored", type="text", missing_allowed=True)
    return Column(
        name=look.name,
        role="feature",
        type="integer" if kind == "integer" else "number" if kind == "number" else "category",
        missing_allowed=look.missing > 0 or kind == "category",
    )


def _like(name: str, words: tuple[str, ...]) -> bool:
    """True if one of the words of a column's name is among `words`: customerID, Client-No and churn_flag are."""
    split = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]+", name)
    return any(part.casefold() in words for part in [name, *split])


def _all_match(texts: pa.StringArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())
