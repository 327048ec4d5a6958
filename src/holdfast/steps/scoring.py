"""The trained model's F1 on the test data, for latestscore.txt, and its full scorecard for the ledger."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from holdfast.dataset import current_view
from holdfast.engines.base import View
from holdfast.errors import ConfigurationError, ModelFileDamaged, NoUsableData
from holdfast.evaluation import TestData, judge, read_test_data, scorecard
from holdfast.progress import Progress, silent
from holdfast.records import RiskModel, Scorecard
from holdfast.render.words import count
from holdfast.schema import LINE
from holdfast.serving import Deployed
from holdfast.session import Session, begin, utc_now
from holdfast.sources.readers import Readers
from holdfast.store.brieffiles import score_text
from holdfast.store.files import digest_of_file, write_file
from holdfast.store.modelfile import read_model
from holdfast.store.parts import PartWriter
from holdfast.store.releases import BRIEF_FILES, MODEL_FILE
from holdfast.workspace import Workspace

MODEL_PICKLE, LATEST_SCORE, _ = BRIEF_FILES


def score(where: Workspace | Session, progress: Progress = silent) -> Scorecard:
    """Score the trained model on the test data and write its F1 to latestscore.txt.

    Raises ModelFileDamaged when there is no trained model that can be trusted, NoUsableData when there are no
    labelled test rows or F1 is undefined on them (nobody exited and nobody was predicted to).
    """
    with begin(where, "score", progress) as session:
        workspace = session.workspace
        model = trained_model(workspace)
        session.progress("scoring", 0, None)
        test = read_test_data(workspace, session.readers)
        card = _card(model, test, workspace)
        overlap = 0 if test.held_out else _overlap(session, test)
        card = replace(card, overlap=overlap, seconds=session.seconds)
        card = replace(card, notices=(*card.notices, *_overlap_notice(overlap)))
        if card.f1.value is None:
            raise NoUsableData("F1 is undefined: nobody in the test data exited", file=test.description)
        write_file(workspace.model_folder / LATEST_SCORE, score_text(card.f1.value).encode())
        session.ledger.record_score(session.run_id, utc_now(), "test", card)
        session.result = card
        return card


def score_deployed(workspace: Workspace, current: Deployed, readers: Readers) -> Scorecard:
    """The scorecard of a model in production on the test data, which `readers` read; writes nothing."""
    return _card(current.model, read_test_data(workspace, readers), workspace)


def trained_model(workspace: Workspace) -> RiskModel:
    """The model in output_model_path, once its two files are known to belong together."""
    model = read_model(workspace.model_folder / MODEL_FILE)
    pickle = workspace.model_folder / MODEL_PICKLE
    if not pickle.is_file() or digest_of_file(pickle) != model.pickle_digest:
        message = f"{MODEL_PICKLE} and {MODEL_FILE} do not belong together (an interrupted training, or a changed file)"
        raise ModelFileDamaged(message, file=str(pickle), hint="run: holdfast train")
    if model.schema_digest != workspace.schema.digest:
        message = "this model was trained on another schema than config.json describes"
        raise ConfigurationError(message, file=str(pickle), hint="run: holdfast train")
    return model


def _card(model: RiskModel, test: TestData, workspace: Workspace) -> Scorecard:
    judgement = judge(model, test.table.rows, workspace)
    if not len(judgement.exited):
        raise NoUsableData(
            "no labelled row to score on", file=test.description, hint="test data needs the target column"
        )
    card = scorecard(model, judgement, workspace, test.description, test.table.digest)
    refused = len(test.table.rejected)
    left_out = "breaks the schema and was left out", "break the schema and were left out"
    notice = (count(refused, f"test row {left_out[0]}", f"test rows {left_out[1]}"),) if refused else ()
    return replace(card, quarantined=refused, notices=(*test.table.notices, *notice))


def _overlap(session: Session, test: TestData) -> int:
    """How many distinct test rows are also rows of the dataset."""
    dataset = current_view(session.workspace)
    if not dataset.parts:
        return 0
    copy = session.workspace.state_folder / "test_rows.parquet"
    rows = test.table.rows.append_column(LINE, pa.array(range(test.table.rows.num_rows), pa.int64()))
    view = View(parts=(copy,), schema=dataset.schema, conflicts="keep")

    def distinct(without: View) -> int:
        return sum(batch.num_rows for batch in session.engine.distinct(view, frozenset({0}), without))

    try:
        with PartWriter(copy, rows.schema, delivery=0) as part:
            for batch in rows.to_batches():
                part.add(batch)
        return distinct(replace(view, parts=())) - distinct(dataset)
    finally:
        copy.unlink(missing_ok=True)


def _overlap_notice(overlap: int) -> tuple[str, ...]:
    return (f"{overlap} test rows are also in the training data: the score flatters",) if overlap else ()
