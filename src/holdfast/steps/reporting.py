"""Pictures and one page about the model, the data and the decisions: confusionmatrix.png and report.html."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from holdfast.dataset import FINAL_DATA, summary_of
from holdfast.errors import NoUsableData
from holdfast.evaluation import Judgement, judge, read_test_data, scorecard
from holdfast.progress import Progress, silent
from holdfast.records import ColumnSummary, Release, ReportRecord, RiskModel, Scorecard
from holdfast.render.document import Report, report_html
from holdfast.render.histogram import Histogram, histogram_edges
from holdfast.render.plots import ScorePoint, confusion_matrix_png
from holdfast.render.words import count
from holdfast.risk.rows import feature_values, labels
from holdfast.schema import Schema
from holdfast.serving import deployed
from holdfast.session import Session, begin, utc_now
from holdfast.sources.table import batches_of
from holdfast.store.files import write_file
from holdfast.store.modelfile import model_digest, read_model
from holdfast.store.releases import MODEL_FILE, current_id
from holdfast.workspace import Workspace

REPORT = "report.html"
CONFUSION_MATRIX = "confusionmatrix.png"
SHOWN_DECISIONS = 12
SHOWN_DELIVERIES = 40


def report(where: Workspace | Session, progress: Progress = silent) -> ReportRecord:
    """Write confusionmatrix.png and report.html to output_model_path, about the model in production.

    Before the first release they are about the trained model. Raises NoUsableData when there is nothing to score
    on, ModelFileDamaged when there is no model at all.
    """
    with begin(where, "report", progress) as session:
        workspace = session.workspace
        session.progress("reporting", 0, None)
        model, release = _model(workspace)
        test = read_test_data(workspace, session.readers)
        judgement = judge(model, test.table.rows, workspace)
        if not len(judgement.exited):
            raise NoUsableData("no labelled row to report on", file=test.description)
        card = session.ledger.score_of(model_digest(model), "test")
        if card is None or card.data_digest != test.table.digest:
            card = scorecard(model, judgement, workspace, test.description, test.table.digest)
        page = report_html(_report(session, model, release, card, judgement)).encode()
        picture = confusion_matrix_png(card.confusion, f"{count(card.rows, 'client', 'clients')} of {card.data}")
        targets = {workspace.model_folder / CONFUSION_MATRIX: picture, workspace.model_folder / REPORT: page}
        for target, data in targets.items():
            write_file(target, data)
        record = ReportRecord(
            report=workspace.show(workspace.model_folder / REPORT),
            confusion_matrix=workspace.show(workspace.model_folder / CONFUSION_MATRIX),
            size=len(page),
            notices=(),
            seconds=session.seconds,
        )
        session.result = record
        return record


def _model(workspace: Workspace) -> tuple[RiskModel, Release | None]:
    if current_id(workspace.deployment_folder) is None:
        return read_model(workspace.model_folder / MODEL_FILE), None
    current = deployed(workspace)
    return current.model, current.release


def _report(
    session: Session, model: RiskModel, release: Release | None, card: Scorecard, judgement: Judgement
) -> Report:
    workspace, ledger = session.workspace, session.ledger
    columns = summary_of(workspace, ledger, session.engine)
    released = {each.model_digest for each in ledger.releases()}
    deviations = {column.column: column.standard_deviation or 0.0 for column in columns}
    return Report(
        company=workspace.root.name,
        created=utc_now(),
        release=release,
        scorecard=card,
        curves=judgement.curves,
        score_history=tuple(
            ScorePoint(
                created=when,
                data=each.data,
                f1=each.f1,
                model_digest=each.model_digest,
                deployed=each.model_digest in released,
            )
            for when, each in ledger.scores()
        ),
        columns=columns,
        histograms=_histograms(workspace, columns),
        coefficients=tuple(
            (name, coefficient, coefficient * deviations.get(name, 0.0))
            for name, coefficient in zip(model.features, model.coefficients, strict=True)
        ),
        decisions=ledger.decisions(SHOWN_DECISIONS),
        deliveries=ledger.deliveries(workspace.source, workspace.schema.digest)[-SHOWN_DELIVERIES:],
        notices=card.notices,
    )


def _histograms(workspace: Workspace, columns: Sequence[ColumnSummary]) -> tuple[Histogram, ...]:
    """Labelled clients by value of each feature, stayed and exited apart: one pass over finaldata.csv."""
    schema = workspace.schema
    edges = {c.column: histogram_edges(c) for c in columns if c.column in {f.name for f in schema.features}}
    empty = {
        name: Histogram(column=name, edges=e, stayed=(0,) * (len(e) - 1), exited=(0,) * (len(e) - 1))
        for name, e in edges.items()
        if e
    }
    if not empty:
        return ()
    for batch in batches_of(workspace.output_folder / FINAL_DATA, schema):
        known, exited = labels(batch, schema)
        values = feature_values(batch, schema)[known]
        empty = {name: _added(histogram, values, exited, schema) for name, histogram in empty.items()}
    return tuple(empty.values())


def _added(histogram: Histogram, values: NDArray[np.float64], exited: NDArray[np.int8], schema: Schema) -> Histogram:
    column = values[:, [feature.name for feature in schema.features].index(histogram.column)]

    def counted(earlier: tuple[int, ...], label: int) -> tuple[int, ...]:
        here = column[(exited == label) & ~np.isnan(column)]
        counts, _ = np.histogram(here, bins=np.array(histogram.edges))
        return tuple(int(count) for count in np.array(earlier) + counts)

    return replace(histogram, stayed=counted(histogram.stayed, 0), exited=counted(histogram.exited, 1))
