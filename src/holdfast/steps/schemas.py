"""The schema: what it is, what a file's would be, and what would become of a file under it. Nothing is taken in."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from holdfast.engines.base import View
from holdfast.errors import UsageError, excerpt, nearest
from holdfast.intake.storing import decomposed, notice_of_decomposed
from holdfast.progress import Progress, silent
from holdfast.records import RejectedRow
from holdfast.records.contract import (
    BrokenCell,
    BrokenRule,
    CheckedColumn,
    SchemaCheck,
    SchemaColumn,
    SchemaInferred,
    SchemaShow,
)
from holdfast.render.words import count
from holdfast.schema import BRIEF_SCHEMA, LINE, Column, Schema, is_the_briefs, schema_to_json
from holdfast.session import reading
from holdfast.sourcelist import FolderSource
from holdfast.sources.apart import open_apart
from holdfast.sources.files import name_of, open_regular
from holdfast.sources.inference import Roles, infer_schema
from holdfast.sources.kinds import ENDINGS, kind_of_name
from holdfast.sources.parsed import Delivered, ParsedBatch, Reading
from holdfast.sources.readers import Readers
from holdfast.store.parts import PartWriter
from holdfast.workspace import Workspace

EXAMPLES = 3
LOOKED_AT = 100
"""For each rule the first rows with different excerpts are examples, looked for among so many."""


def show_schema(workspace: Workspace) -> SchemaShow:
    """Every column that the workspace's deliveries are read by."""
    schema = workspace.schema
    return SchemaShow(
        workspace=str(workspace.root),
        origin="brief" if schema is BRIEF_SCHEMA else "config.json",
        digest=schema.digest,
        client_in_file=schema.client_in_file,
        columns=_columns(schema),
    )


def infer_from(file: Path, roles: Roles, sheet: str | None = None) -> SchemaInferred:
    """The schema of the table in `file` by looking, as `holdfast init --from` would write it.

    `sheet`: the one to look at in a workbook, else the first that is shown.
    Raises FileRefused when the file is no table, UsageError when no target can be found or a role does not fit.
    """
    schema, findings = infer_schema(file, roles, sheet)
    return SchemaInferred(
        file=name_of(file),
        is_the_briefs=is_the_briefs(schema),
        schema=schema_to_json(schema),
        client_in_file=schema.client_in_file,
        columns=_columns(schema),
        findings=findings,
    )


def check_file(workspace: Workspace, file: Path, source: str | None = None, progress: Progress = silent) -> SchemaCheck:
    """What ingestion would make of `file`, row by row, but for what the dataset has already and who was erased.

    `source`: the folder source whose column names and sheet are meant; without it the one whose folder the file is in.
    Raises FileRefused when no row of the file could be taken, UsageError when there is no such source, and for a file
    that ingestion passes over because of its name.
    """
    clock = time.perf_counter()
    meant = _source(workspace, file, source)
    name = name_of(file)
    with TemporaryDirectory(prefix="holdfast-") as folder, open_regular(file) as stream:
        _refuse_passed_over(name)
        part = Path(folder) / "rows.parquet"
        with Readers(1) as readers, open_apart(readers, stream, name, _reading(workspace, meant)) as delivered:
            found = _Findings(workspace.schema, delivered.header)
            _keep(_looked_at(delivered, found, progress), part)
        found.compare(workspace, part)
    return SchemaCheck(
        file=name,
        digest=delivered.digest,
        source=meant.name if meant else None,
        rows=delivered.rows,
        **found.counts(),
        columns=tuple(found.column(column) for column in workspace.schema.columns),
        broken=found.rules(),
        extra=tuple(column for column in delivered.names if column not in workspace.schema.names),
        notices=(*delivered.notices, *found.notices(name)),
        seconds=time.perf_counter() - clock,
    )


def _columns(schema: Schema) -> tuple[SchemaColumn, ...]:
    return tuple(
        SchemaColumn(
            name=column.name,
            role=column.role,
            type=column.type,
            unit=column.unit,
            minimum=column.minimum,
            maximum=column.maximum,
            earliest=column.earliest,
            latest=column.latest,
            categories=column.categories,
            missing_allowed=column.missing_allowed,
            exited=column.exited if column.role == "target" else None,
            stayed=column.stayed if column.role == "target" else None,
            learned=column in schema.features,
        )
        for column in schema.columns
    )


def _refuse_passed_over(name: str) -> None:
    if name.startswith(".") or kind_of_name(name) is None:
        what = "a hidden file" if name.startswith(".") else f"not a {', '.join(ENDINGS)} file"
        raise UsageError(f"ingestion passes over it: {what}", file=name, hint="name it for what it is")


def _looked_at(delivered: Delivered, found: _Findings, progress: Progress) -> Iterator[pa.RecordBatch]:
    """The rows that keep the schema, a batch at a time, after they have been looked at."""
    for parsed in delivered:
        found.add(parsed)
        progress(f"checking {excerpt(delivered.name)}", delivered.rows, None)
        yield parsed.rows


def _keep(batches: Iterator[pa.RecordBatch], part: Path) -> None:
    first = next(batches)
    with PartWriter(part, first.schema, 1) as writer:
        for batch in chain([first], batches):
            writer.add(batch)


def _source(workspace: Workspace, file: Path, name: str | None) -> FolderSource | None:
    sources = {source.name: source for source in workspace.sources if isinstance(source, FolderSource)}
    if name is None:
        folder = file.parent.resolve()
        return next((source for source in sources.values() if workspace.folder_of(source).resolve() == folder), None)
    if name not in sources:
        close = nearest(name, sources)
        hint = f"did you mean '{close}'?" if close else f"known: {', '.join(sources) or 'none'}"
        raise UsageError(f"config.json has no folder source '{excerpt(name)}'", hint=hint)
    return sources[name]


def _reading(workspace: Workspace, source: FolderSource | None) -> Reading:
    if source is None:
        return Reading(schema=workspace.schema, limits=workspace.limits)
    return Reading(schema=workspace.schema, limits=workspace.limits, renamed=dict(source.columns), sheet=source.sheet)


class _Rule(NamedTuple):
    column: str | None
    rule: str
    quarantined: bool


@dataclass(slots=True)
class _Findings:
    """What has been seen in a file so far."""

    schema: Schema
    header: Sequence[str]
    duplicate: int = 0
    conflicting: int = 0
    replaced: int = 0
    labels: Counter[int | None] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    least: dict[str, Any] = field(default_factory=dict)
    most: dict[str, Any] = field(default_factory=dict)
    broken: Counter[_Rule] = field(default_factory=Counter)
    decomposed: int = 0
    examples: dict[_Rule, list[BrokenCell]] = field(default_factory=dict)

    def add(self, parsed: ParsedBatch) -> None:
        self.decomposed += decomposed(parsed.rows.column(self.schema.client.name))
        for column in self.schema.columns:
            self._look_at(column, parsed.rows.column(column.name))
        for row in parsed.rejected:
            self._count(row, quarantined=True)
        for row in parsed.unlabelled:
            self._count(row, quarantined=False)

    def _look_at(self, column: Column, values: pa.Array) -> None:
        self.missing[column.name] += values.null_count
        if column.role == "target":
            self.labels.update({count["values"]: count["counts"] for count in pc.value_counts(values).to_pylist()})
        elif column.is_numeric or column.type == "date":
            extremes = pc.min_max(values).as_py()
            if extremes["min"] is not None:
                self.least[column.name] = min(extremes["min"], self.least.get(column.name, extremes["min"]))
                self.most[column.name] = max(extremes["max"], self.most.get(column.name, extremes["max"]))

    def _count(self, row: RejectedRow, *, quarantined: bool) -> None:
        rule = _Rule(row.column, row.rule, quarantined)
        self.broken[rule] += 1
        examples = self.examples.setdefault(rule, [])
        if len(examples) < EXAMPLES and self.broken[rule] <= LOOKED_AT:
            shown = excerpt(_cell(row, self.header))
            if shown not in [example.excerpt for example in examples]:
                examples.append(BrokenCell(line=row.line, excerpt=shown))

    def compare(self, workspace: Workspace, part: Path) -> None:
        """Compare the rows that keep the schema with each other, as ingestion would if there were no others."""
        view = View(parts=(part,), schema=self.schema, conflicts=workspace.conflicts)
        with reading(workspace) as (_, engine):
            for arrival in engine.arrivals(view):
                self.duplicate, self.conflicting = arrival.duplicate, arrival.conflicting
                self.replaced = arrival.replaced
            if self.conflicting:
                rule = _Rule(None, f"contradicts an earlier row, which has the same {', '.join(view.key)}", True)
                self.broken[rule] = self.conflicting
                first = next(engine.contradictions(view)).slice(0, EXAMPLES).to_pylist()
                shown = [(row[LINE], excerpt(", ".join(str(row[name]) for name in view.key))) for row in first]
                self.examples[rule] = [BrokenCell(line=line, excerpt=key) for line, key in shown]

    def notices(self, name: str) -> Iterator[str]:
        if self.decomposed:
            yield notice_of_decomposed(name, self.decomposed)
        if self.replaced:
            rows = count(self.replaced, "row takes", "rows take")
            yield f"{name}: {rows} the place of earlier rows of the same client"

    def counts(self) -> dict[str, int]:
        return {
            "accepted": self.labels.total() - self.duplicate - self.conflicting,
            "duplicate": self.duplicate,
            "quarantined": sum(rows for rule, rows in self.broken.items() if rule.quarantined),
            "exited": self.labels[1],
            "stayed": self.labels[0],
            "unlabelled": self.labels[None],
        }

    def column(self, column: Column) -> CheckedColumn:
        extremes = (self.least.get(column.name), self.most.get(column.name))
        earliest, latest = (each.isoformat() if isinstance(each, date) else None for each in extremes)
        minimum, maximum = (None if isinstance(each, date) else each for each in extremes)
        return CheckedColumn(
            name=column.name,
            role=column.role,
            type=column.type,
            unit=column.unit,
            missing=self.missing[column.name],
            refused=sum(n for rule, n in self.broken.items() if rule.quarantined and rule.column == column.name),
            minimum=minimum,
            maximum=maximum,
            earliest=earliest,
            latest=latest,
        )

    def rules(self) -> tuple[BrokenRule, ...]:
        return tuple(
            BrokenRule(**rule._asdict(), rows=rows, examples=tuple(self.examples[rule]))
            for rule, rows in self.broken.most_common()
        )


def _cell(row: RejectedRow, header: Sequence[str]) -> str:
    """The cell at fault, if the row can be split; otherwise the row."""
    if row.column in header:
        try:
            fields = next(csv.reader(row.text.splitlines(keepends=True), strict=True), [])
        except csv.Error:
            return row.text
        if len(fields) == len(header):
            return fields[header.index(row.column)]
    return row.text
