"""A schema by looking: which column is the client, which the target, and what the others hold."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.errors import FileRefused, UsageError, nearest
from holdfast.schema import ROWS_AS_CLIENTS, Column, Schema
from holdfast.sources.casting import BLANKS, DATE, INTEGER, MISSING, NUMBER
from holdfast.sources.files import examine, open_regular

MOST_CATEGORIES = 1_000
TARGET_NAMES = (
    "exited",
    "churn",
    "churned",
    "attrition",
    "left",
    "leaves",
    "cancelled",
    "canceled",
    "closed",
)
CLIENT_NAMES = (
    "corporation",
    "client",
    "customer",
    "company",
    "account",
    "clientnum",
    "id",
    "user",
    "member",
)
VALUE_NAMES = ("contract_value", "annual_value", "revenue", "annual_revenue", "contract_amount", "arr", "mrr")
TIME_NAMES = ("date", "snapshot", "month", "period", "day")
EXITED_LABELS = (
    "1",
    "1.0",
    "yes",
    "y",
    "true",
    "t",
    "exited",
    "churned",
    "churn",
    "left",
    "closed",
    "attrited",
    "lost",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Column names that the user gave for the roles; None means: find it."""

    client: str | None = None
    target: str | None = None
    time: str | None = None
    value: str | None = None


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
    many: bool = False

    def add(self, cell: str) -> None:
        """Look at one more cell."""
        self.cells += 1
        text = cell.strip(BLANKS)
        if text in MISSING:
            self.missing += 1
            return
        self.integers = self.integers and bool(re.match(INTEGER, text))
        self.numbers = self.numbers and bool(re.match(NUMBER, text))
        self.dates = self.dates and bool(re.match(DATE, text))
        self.values[cell] += 1
        self.many = self.many or len(self.values) > MOST_CATEGORIES

    @property
    def type(self) -> str:
        """integer, number, date or category."""
        if not self.values:
            return "category"
        return "integer" if self.integers else "number" if self.numbers else "date" if self.dates else "category"

    @property
    def looks_unique(self) -> bool:
        """True if (nearly) every cell is another one, as ids are."""
        return len(self.values) >= 0.95 * self.cells > 0


def infer_schema(path: Path, roles: Roles) -> tuple[Schema, tuple[str, ...]]:
    """The schema of the table at `path`, and notices about what was guessed or left out.

    Raises FileRefused when the file is no table, UsageError when no target can be found or a named column is not
    there.
    """
    looks = {look.name: look for look in _look_at(path)}
    for column in (roles.client, roles.target, roles.time, roles.value):
        if column is not None and column not in looks:
            close = nearest(column, looks)
            hint = f"did you mean '{close}'?" if close else f"found: {', '.join(looks)}"
            raise UsageError("this file has no such column", file=path.name, column=column, hint=hint)
    notices: list[str] = []
    target = _target(looks, roles.target, path.name, notices)
    rest = {name: look for name, look in looks.items() if name != target.name}
    time = roles.time or next((n for n, look in rest.items() if look.type == "date" and _like(n, TIME_NAMES)), None)
    client = _client(rest, roles.client, dated=time is not None)
    if client is None:
        notices.append("no column looks like a client id: every row counts as a client of its own (--client names one)")
    value = roles.value or next((n for n, look in rest.items() if look.numbers and n.casefold() in VALUE_NAMES), None)
    columns = [Column(name=client or ROWS_AS_CLIENTS, role="client", type="text")]
    columns += [Column(name=time, role="time", type="date")] if time else []
    columns += [Column(name=value, role="value", type="number", missing_allowed=True)] if value else []
    columns += [_feature(look, notices) for name, look in rest.items() if name not in {client, time, value}]
    return Schema(columns=(*columns, target), client_in_file=client is not None), tuple(notices)


def _look_at(path: Path) -> list[Look]:
    with open_regular(path) as stream:
        examine(stream, path.name)
        reader = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), strict=True)
        header = next(reader)
        if len(header) < 2:
            raise FileRefused(
                "only one column", file=path.name, row=1, hint="the fields have to be separated by commas"
            )
        looks = [Look(name) for name in header]
        try:
            for row in reader:
                if len(row) == len(looks):
                    for look, cell in zip(looks, row, strict=True):
                        look.add(cell)
        except csv.Error as error:
            raise FileRefused(f"not CSV: {error}", file=path.name, row=reader.line_num) from None
    return looks


def _target(looks: dict[str, Look], named: str | None, file: str, notices: list[str]) -> Column:
    candidates = (
        [named] if named else [n for n, look in looks.items() if _like(n, TARGET_NAMES) and len(look.values) == 2]
    )
    if not candidates:
        hint = "name it: --target COLUMN (a column that says whether the client exited, with two values)"
        raise UsageError("no column looks like the target", file=file, hint=hint)
    name = candidates[0]
    values = [value.strip(BLANKS) for value, _ in looks[name].values.most_common()]
    if len(values) != 2:
        raise UsageError(f"the target needs two values, found {len(values)}", file=file, column=name)
    exited = next((v for v in values if v.casefold().split()[0] in EXITED_LABELS), None)
    if exited is None:
        exited = values[1]
        notices.append(f"'{name}': '{exited}', the rarer value, is taken to mean that the client exited")
    stayed = next(value for value in values if value != exited)
    return Column(
        name=name,
        role="target",
        type="label",
        missing_allowed=True,
        exited=exited.removesuffix(".0"),
        stayed=stayed.removesuffix(".0"),
    )


def _client(looks: dict[str, Look], named: str | None, *, dated: bool) -> str | None:
    """The first column that is named like an id and tells rows apart (or clients, where rows are dated)."""
    if named:
        return named
    likely = (n for n, look in looks.items() if _like(n, CLIENT_NAMES) and (look.looks_unique or (dated and look.many)))
    return next(likely, None)


def _feature(look: Look, notices: list[str]) -> Column:
    kind = look.type
    why = ""
    if len(look.values) < 2:
        why = "it always holds the same"
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
