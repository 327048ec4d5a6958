"""The trained model, its score and the ingestion record go into production together, as one release."""

from __future__ import annotations

from holdfast.dataset import FINAL_DATA, INGESTED_FILES
from holdfast.errors import CandidateRefused, ModelFileDamaged
from holdfast.progress import Progress, silent
from holdfast.records import Release, RiskModel
from holdfast.session import Session, begin, utc_now
from holdfast.store.brieffiles import dataset_in, read_score
from holdfast.store.files import digest_of, digest_of_file
from holdfast.store.modelfile import model_digest, read_model
from holdfast.store.releases import BRIEF_FILES, MODEL_FILE, current_id, next_number, pin_current, publish, repair
from holdfast.workspace import Workspace, current_user

BY_HAND = "deployed by hand"


def deploy(where: Workspace | Session, progress: Progress = silent, *, reason: str = BY_HAND) -> Release:
    """Publish trainedmodel.pkl, latestscore.txt and ingestedfiles.txt (and model.json) as one release.

    Deploying what is deployed already changes nothing. Raises CandidateRefused when the three files do not belong
    together: a model that was not scored, or a score or record of something else.
    """
    with begin(where, "deploy", progress) as session:
        workspace = session.workspace
        files = _files(workspace)
        model = read_model(workspace.model_folder / MODEL_FILE)
        f1 = _f1(session, model_digest(model))
        digests = {name: digest_of(data) for name, data in files.items()}
        if digests[BRIEF_FILES[0]] != model.pickle_digest:
            raise CandidateRefused("trainedmodel.pkl is not the model that was scored", hint="run: holdfast train")
        _refuse_other_data(workspace, model, files[INGESTED_FILES].decode("utf-8", "replace"))
        current = _whole_release(workspace)
        if current and current.files == digests:
            session.worked = False
            repair(workspace.deployment_folder)
            session.ledger.record_release(session.run_id, current)
            return current
        number = next_number(workspace.deployment_folder)
        release = Release(
            id=f"{number:04d}-{model_digest(model)[:8]}",
            number=number,
            model_digest=model_digest(model),
            dataset_digest=model.dataset_digest,
            f1=f1,
            files=digests,
            parent=current_id(workspace.deployment_folder),
            actor=current_user(),
            reason=reason,
            created=utc_now(),
        )
        publish(workspace.deployment_folder, release, files)
        session.ledger.record_release(session.run_id, release)
        session.result = release
        return release


def _files(workspace: Workspace) -> dict[str, bytes]:
    sources = {name: workspace.model_folder / name for name in (*BRIEF_FILES[:2], MODEL_FILE)}
    sources[INGESTED_FILES] = workspace.output_folder / INGESTED_FILES
    files = {}
    for name, path in sources.items():
        if not path.is_file():
            hint = "run first: holdfast ingest, holdfast train, holdfast score"
            raise CandidateRefused("this file of a release is missing", file=str(path), hint=hint)
        files[name] = path.read_bytes()
    return files


def _refuse_other_data(workspace: Workspace, model: RiskModel, record: str) -> None:
    """The ingestion record of a release is the one of the data that its model learned from.

    finaldata.csv may have been made by hand: then the model has to be of the file that lies there.
    """
    final_data = workspace.output_folder / FINAL_DATA
    by_hand = final_data.is_file() and digest_of_file(final_data) == model.dataset_digest
    if dataset_in(record) != model.dataset_digest and not by_hand:
        message = "this records other data than the trained model has learned from"
        file = str(workspace.output_folder / INGESTED_FILES)
        raise CandidateRefused(message, file=file, hint="run: holdfast train, then holdfast score")


def _whole_release(workspace: Workspace) -> Release | None:
    """The release in production, unless its files are not those that were released."""
    try:
        current = pin_current(workspace.deployment_folder)
    except ModelFileDamaged:
        return None
    return current.release if current and current.is_whole else None


def _f1(session: Session, digest: str) -> float:
    """The score in latestscore.txt, if it is the one that this model got."""
    path = session.workspace.model_folder / BRIEF_FILES[1]
    f1 = read_score(path)
    card = session.ledger.score_of(digest, "test")
    if card is None or card.f1.value != f1:
        raise CandidateRefused("the trained model has not been scored", file=str(path), hint="run: holdfast score")
    return f1
