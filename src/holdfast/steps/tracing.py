"""Lineage: from a row, a client, a model or an assessment back to deliveries and lines, and on to what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from holdfast.dataset import ask, table_of
from holdfast.errors import UsageError, excerpt
from holdfast.lineage import resting_on, traced_assessments, traced_models
from holdfast.records import (
    Lineage,
    Occurrence,
    SourceFile,
    TracedAssessment,
    TracedModel,
    TracedRow,
)
from holdfast.session import reading
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger

SHORTEST_DIGEST = 6


def trace_client(workspace: Workspace, client: str) -> Lineage:
    """Every delivered row of a client, and the models and assessments that rest on one of its deliveries.

    Raises UsageError when the dataset has no such client.
    """
    with reading(workspace) as (ledger, engine):
        found = ask(workspace, lambda view: engine.occurrences(view, client=client))
        if not found:
            hint = "client ids are compared exactly, letter by letter; rows in quarantine are in: holdfast quarantine"
            raise UsageError(f"no row of client '{excerpt(client)}' is in the dataset", hint=hint)
        return _of_rows(workspace, ledger, f"client {client}", found)


def trace_row(workspace: Workspace, row: int) -> Lineage:
    """Where the `row`-th row of finaldata.csv (from 1, the header not counted) was delivered, each time that it was.

    Raises UsageError when there is no such row.
    """
    with reading(workspace) as (ledger, engine):
        found = ask(workspace, lambda view: engine.occurrences(view, row=row))
        if not found:
            raise UsageError(f"finaldata.csv has no row {row}", hint="rows are counted from 1, without the header")
        return _of_rows(workspace, ledger, f"row {row} of finaldata.csv", found)


def trace_model(workspace: Workspace, digest: str) -> Lineage:
    """The deliveries that a model learned from, its releases and its assessments.

    `digest`: at least six characters of the model's digest, or the id of a release. Raises UsageError when no model,
    or more than one, is meant.
    """
    with reading(workspace) as (ledger, _):
        released = {release.id: release.model_digest for release in ledger.releases()}
        wanted = released.get(digest, digest)
        models = traced_models(ledger)
        meant = [m for m in models if m.digest.startswith(wanted) and len(wanted) >= SHORTEST_DIGEST]
        if len(meant) != 1:
            known = ", ".join([model.digest[:12] for model in models[-5:]] + list(released)[-5:]) or "none"
            raise UsageError(
                f"'{excerpt(digest)}' is not one model or release",
                hint=f"the first six characters at least; known: {known}",
            )
        model = meant[0]
        assessments = tuple(each for each in traced_assessments(ledger) if each.model == model.digest)
        deliveries, notices = _deliveries_of(ledger, model.dataset_digest)
        return _lineage(f"model {model.digest[:12]}", (), deliveries, (model,), assessments, notices)


def trace_assessment(workspace: Workspace, number: int | None) -> Lineage:
    """The deliveries that an assessment (default: the latest) rests on, and the model that made it.

    Raises UsageError when there is no such assessment.
    """
    with reading(workspace) as (ledger, _):
        made = traced_assessments(ledger)
        meant = [each for each in made if number in {None, each.number}][-1:]
        if not meant:
            raise UsageError("there is no such assessment", hint=f"there are {len(made)}: holdfast assess makes one")
        assessment = meant[0]
        models = tuple(model for model in traced_models(ledger) if model.digest == assessment.model)
        deliveries, notices = _deliveries_of(ledger, assessment.dataset_digest)
        return _lineage(f"assessment {assessment.number}", (), deliveries, models, meant, notices)


def trace_delivery(workspace: Workspace, number: int) -> Lineage:
    """A delivery, and the models and assessments that rest on it.

    Raises UsageError when there is no such delivery.
    """
    with reading(workspace) as (ledger, _):
        files = ledger.deliveries(workspace.source, workspace.schema.digest)
        meant = tuple(file for file in files if file.number == number)
        if not meant:
            raise UsageError(f"there is no delivery {number}", hint="holdfast status lists the latest ones")
        models, assessments = resting_on(ledger, {number})
        return _lineage(f"delivery {number}", (), meant, models, assessments, tuple(_relations(meant[0], files)))


def _relations(file: SourceFile, files: Sequence[SourceFile]) -> Iterator[str]:
    """How a delivery hangs together with others."""
    for other in files:
        if other.supersedes == file.number:
            yield f"superseded by delivery {other.number} ({other.name})"
        if other.repairs == file.number:
            yield f"repaired rows of it are delivery {other.number}"


def _of_rows(workspace: Workspace, ledger: Ledger, subject: str, found: Sequence[Occurrence]) -> Lineage:
    numbers = sorted({each.delivery for each in found})
    files = {file.number: file for file in ledger.deliveries(workspace.source, workspace.schema.digest)}
    if not files.keys() >= set(numbers):  # a crash came between the table and the ledger
        files |= {file.number: file for file in table_of(workspace).delivered_after(0)}
    rows = tuple(_traced(each, files[each.delivery]) for each in found)
    models, assessments = resting_on(ledger, numbers)
    deliveries = [files[number] for number in numbers]
    notices = [
        f"{file.name}: lines are those of the file as it was delivered; a client was erased from it since"
        for file in deliveries
        if file.former
    ]
    return _lineage(subject, rows, deliveries, models, assessments, notices)


def _traced(found: Occurrence, file: SourceFile) -> TracedRow:
    return TracedRow(
        delivery=file.number,
        file=file.name,
        folder=file.folder,
        received=file.received,
        line=found.line,
        state=found.state,
        replaced_by=found.replaced_by,
        values=found.values,
    )


def _lineage(
    subject: str,
    rows: Sequence[TracedRow],
    deliveries: Sequence[SourceFile],
    models: Sequence[TracedModel],
    assessments: Sequence[TracedAssessment],
    notices: Sequence[str],
) -> Lineage:
    return Lineage(
        subject=subject,
        rows=tuple(rows),
        deliveries=tuple(deliveries),
        models=tuple(models),
        assessments=tuple(assessments),
        notices=tuple(notices),
    )


def _deliveries_of(ledger: Ledger, dataset: str) -> tuple[list[SourceFile], tuple[str, ...]]:
    """The deliveries that a dataset was made of; a notice where that is not known."""
    known = ledger.dataset(dataset)
    if known is None:
        return [], (f"dataset {dataset[:12]} was not written by ingestion: its deliveries are not known",)
    files = {file.number: file for file in ledger.every_delivery()}
    return [files[number] for number in known.deliveries if number in files], ()
