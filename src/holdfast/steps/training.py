"""finaldata.csv becomes a trained model: trainedmodel.pkl for the brief, model.json to serve from."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.dataset import FINAL_DATA, INGESTED_FILES, dataset_digest
from holdfast.errors import NoUsableData
from holdfast.evaluation import holdout_mask
from holdfast.intake.reconciling import reconcile
from holdfast.progress import Progress, silent
from holdfast.records import GoldenRow, RiskModel, TrainRecord
from holdfast.render.words import count
from holdfast.risk.linear import FittedLogistic, fit_logistic, log_odds, probability
from holdfast.risk.rows import client_ids, feature_values, labels
from holdfast.schema import Schema
from holdfast.session import Session, begin, utc_now
from holdfast.sources.table import TableRead, read_files
from holdfast.store.brieffiles import dataset_in, final_data_in
from holdfast.store.files import digest_of, write_file
from holdfast.store.modelfile import model_bytes, model_digest
from holdfast.store.releases import MODEL_FILE
from holdfast.workspace import Workspace

MODEL_PICKLE = "trainedmodel.pkl"
GOLDEN_ROWS = 5
SMALLEST_CLASS = 1
LEARNED_WITH = ("numpy", "scikit-learn")


def train(where: Workspace | Session, progress: Progress = silent) -> TrainRecord:
    """Fit the brief's logistic regression to the labelled rows of finaldata.csv.

    Writes trainedmodel.pkl, then model.json: a model counts once model.json is there. Raises NoUsableData, and
    keeps the old model, when there are no labelled rows, no numeric feature, or labels of one class only.
    """
    with begin(where, "train", progress) as session:
        workspace = session.workspace
        reconcile(session)
        final_data = workspace.output_folder / FINAL_DATA
        if not final_data.is_file():
            raise NoUsableData("there is no dataset yet", file=str(final_data), hint="run: holdfast ingest")
        table = read_files([final_data], workspace.schema)
        session.progress("training", 0, None)
        learned_from = _LearningRows(workspace, table)
        fitted = fit_logistic(learned_from.values, learned_from.exited, [c.name for c in workspace.schema.features])
        model = _model(workspace, learned_from, fitted, _dataset_digest(workspace, table))
        write_file(workspace.model_folder / MODEL_PICKLE, fitted.pickled)
        write_file(workspace.model_folder / MODEL_FILE, model_bytes(model))
        record = _record(session, table, learned_from, model, fitted)
        session.ledger.record_model(session.run_id, utc_now(), model.dataset_digest, record)
        session.result = record
        return record


class _LearningRows:
    """The rows that a model learns from: labelled, and not held out for scoring."""

    def __init__(self, workspace: Workspace, table: TableRead) -> None:
        schema = workspace.schema
        known, exited = labels(table.rows, schema)
        held_out = holdout_mask(workspace, client_ids(table.rows, schema))
        self.values: NDArray[np.float64] = feature_values(table.rows, schema)[known & ~held_out]
        self.exited: NDArray[np.int8] = exited[~held_out[known]]
        self.unlabelled = int((~known).sum())
        self.held_out = int((known & held_out).sum())
        self._refuse_the_unusable(workspace, schema)

    def _refuse_the_unusable(self, workspace: Workspace, schema: Schema) -> None:
        file = workspace.show(workspace.output_folder / FINAL_DATA)
        if not schema.features:
            raise NoUsableData("the schema has no numeric feature to learn from", file=file)
        counts = {name: int((self.exited == label).sum()) for name, label in (("exited", 1), ("stayed", 0))}
        for name, clients in counts.items():
            if clients < SMALLEST_CLASS:
                exited = count(counts["exited"], "client", "clients")
                found = f"{exited} that exited and {counts['stayed']:,} that stayed"
                hint = "ingest data with both outcomes; the old model is kept"
                raise NoUsableData(f"no client that {name}: a model needs both ({found})", file=file, hint=hint)


def _model(workspace: Workspace, rows: _LearningRows, fitted: FittedLogistic, dataset_digest: str) -> RiskModel:
    unproven = RiskModel(
        features=tuple(column.name for column in workspace.schema.features),
        intercept=fitted.intercept,
        coefficients=fitted.coefficients,
        typical=fitted.typical,
        golden=(),
        rows=len(rows.exited),
        exited=int(rows.exited.sum()),
        dataset_digest=dataset_digest,
        schema_digest=workspace.schema.digest,
        pickle_digest=digest_of(fitted.pickled),
        versions={name: version(name) for name in LEARNED_WITH},
    )
    return _with_golden_rows(unproven, rows.values[:GOLDEN_ROWS])


def _with_golden_rows(model: RiskModel, values: NDArray[np.float64]) -> RiskModel:
    golden = tuple(
        GoldenRow(values=tuple(None if np.isnan(v) else float(v) for v in row), probability=float(p))
        for row, p in zip(values, probability(log_odds(model, values)), strict=True)
    )
    return replace(model, golden=golden)


def _dataset_digest(workspace: Workspace, table: TableRead) -> str:
    """The dataset's version, or the digest of finaldata.csv when ingestion did not write it as it is."""
    record: Path = workspace.output_folder / INGESTED_FILES
    text = record.read_text("utf-8", "replace") if record.is_file() else ""
    return dataset_in(text) or table.digest if final_data_in(text) == table.digest else table.digest


def _record(
    session: Session, table: TableRead, rows: _LearningRows, model: RiskModel, fitted: FittedLogistic
) -> TrainRecord:
    notices = list(table.notices)
    files = session.ledger.current_deliveries(session.workspace.source, session.workspace.schema.digest)
    current = dataset_digest(session.workspace, files, session.ledger.tombstone_changes())
    if files and model.dataset_digest != current:
        notices.append(f"{FINAL_DATA} is not what ingestion makes of the deliveries: holdfast ingest writes it anew")
    if not fitted.converged:
        notices.append("the solver stopped before it converged: extreme values in a feature make it so")
    if table.rejected:
        one = f"row of {FINAL_DATA} breaks the schema and was left out"
        many = f"rows of {FINAL_DATA} break the schema and were left out"
        notices.append(count(len(table.rejected), one, many))
    unused = [column.name for column in session.workspace.schema.categories]
    if unused:
        notices.append(f"categories are kept in the dataset but not used by this model: {', '.join(unused)}")
    return TrainRecord(
        model_digest=model_digest(model),
        features=model.features,
        intercept=model.intercept,
        coefficients=model.coefficients,
        rows=model.rows,
        exited=model.exited,
        left_out=rows.unlabelled,
        held_out=rows.held_out,
        converged=fitted.converged,
        notices=tuple(notices),
        seconds=session.seconds,
    )
