"""The full process, in the brief's order: observe, decide, act. The decision is made before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.errors import (
    ConfigurationError,
    InputOutputError,
    ModelFileDamaged,
    NothingDeployed,
    SourceUnreachable,
    UsageError,
)
from holdfast.progress import Progress, silent
from holdfast.records import Action, CallRecord, Decision, IngestRecord, Metric, Observation, RunRecord
from holdfast.render.words import count
from holdfast.session import Session, begin, utc_now
from holdfast.store import lastrun
from holdfast.store.files import locked
from holdfast.store.journal import Journal
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.engines.base import View
    from holdfast.records import Diagnosis, Release, ReportRecord, Scorecard, SourceFile, TrainRecord
    from holdfast.records.data import Identity
    from holdfast.serving import Deployed

LOW_RECALL = 0.1


def run(workspace: Workspace, progress: Progress = silent) -> RunRecord:
    """Ingest what is new; if the deployed model has decayed, retrain, rescore, redeploy; then diagnose, report, call.

    Raises what the steps raise; the deployed model then stays. A run that was interrupted or refused is taken up
    again by the next one. An API that is not running costs a notice.
    """
    quiet = _nothing_new(workspace)
    if quiet is not None:
        return quiet
    with begin(workspace, "run", progress) as session:
        from holdfast.steps.ingestion import ingest

        taken = ingest(session)
        decision = decide(observe(session, taken), workspace.promotion)
        session.worked = decision.action != "nothing"
        if session.worked:
            session.ledger.record_decision(session.run_id, utc_now(), decision)
        record = _act(session, decision, taken)
        _finish(session)
        if not (taken.deferred or taken.unreachable):  # those have to be looked at again
            lastrun.save(workspace, decision)
        session.result = replace(record, diagnosis=None)
        return record


def rehearse(workspace: Workspace, progress: Progress = silent) -> RunRecord:
    """What `run` would decide now, worked out on a throw-away copy: nothing in the workspace changes."""
    from holdfast.scratch import scratch_copy
    from holdfast.steps.ingestion import ingest

    with ExitStack() as stack:
        stack.enter_context(locked(workspace.state_folder / "lock"))
        copy = stack.enter_context(scratch_copy(workspace, with_history=True))
        session = stack.enter_context(begin(copy, "rehearse", progress))
        taken = ingest(session)
        decision = decide(observe(session, taken), workspace.promotion)
        return replace(_no_action(decision, taken, session.seconds), dry_run=True)


def measure(workspace: Workspace, progress: Progress = silent) -> dict[str, float]:
    """Seconds of ingestion, training and scoring, measured now on a throw-away copy without history."""
    from holdfast.scratch import scratch_copy
    from holdfast.steps.ingestion import ingest
    from holdfast.steps.scoring import score
    from holdfast.steps.training import train

    with ExitStack() as stack:
        stack.enter_context(locked(workspace.state_folder / "lock"))
        copy = stack.enter_context(scratch_copy(workspace, with_history=False))
        session = stack.enter_context(begin(copy, "measure", progress))
        return {
            "ingest": ingest(session).seconds,
            "train": train(session).seconds,
            "score": score(session).seconds,
        }


def _finish(session: Session) -> None:
    from holdfast.store.releases import current_id

    session.ledger.finish_decision(session.run_id, current_id(session.workspace.deployment_folder))


def observe(session: Session, taken: IngestRecord) -> Observation:
    """What the decision rests on; scores the deployed model on the rows that it has not learned from."""
    from holdfast.store.releases import current_id

    workspace = session.workspace
    current, unusable = _in_production(workspace)
    release = current_id(workspace.deployment_folder)
    last = session.ledger.last_decision(workspace.source)
    dataset = last.decision.observation.dataset_digest if last else None
    rows, exited, f1 = _unseen(session, current) if current else (0, 0, None)
    decided = bool(last and last.finished and (dataset, last.release) == (taken.dataset.digest, release))
    return Observation(
        source=workspace.source,
        new_files=tuple(file.name for file in taken.files if file.status == "accepted"),
        refused_files=tuple(file.name for file in taken.files if file.status == "refused"),
        dataset_digest=taken.dataset.digest,
        dataset_rows=taken.dataset.rows,
        release=release,
        release_learned_from=current.release.dataset_digest if current else None,
        deployed_f1=current.release.f1 if current else None,
        unseen_rows=rows,
        unseen_exited=exited,
        unseen_f1=f1,
        unusable=unusable,
        decided_before=decided,
        unfinished=bool(last and not last.finished),
    )


def _in_production(workspace: Workspace) -> tuple[Deployed | None, str | None]:
    """The release in production, its three names put right; or None and, if there is one, why it cannot go on."""
    from holdfast.serving import deployed
    from holdfast.store.releases import repair

    try:
        current = deployed(workspace)
    except NothingDeployed:
        return None, None
    except (ModelFileDamaged, ConfigurationError) as error:
        return None, error.message
    if not current.pinned.is_whole:
        return None, "its files are not those that were released"
    repair(workspace.deployment_folder)
    return current, None


def decide(seen: Observation, policy: str) -> Decision:
    """The brief's decision, as a pure function of what was observed.

    Policy "raw": retrain and redeploy when the deployed model's F1 on rows that it has not seen is below the F1
    that it was deployed with.
    """

    def decision(action: Action, *reasons: str) -> Decision:
        return Decision(action=action, policy=policy, reasons=(*_arrivals(seen), *reasons), observation=seen)

    if seen.dataset_rows == 0:
        return decision("nothing", "there is no usable row yet")
    if seen.unusable:
        return decision("train", f"the release in production cannot go on: {seen.unusable}")
    if seen.decided_before and not seen.new_files and not seen.unfinished:
        return decision("nothing", "this data was decided on before")
    if seen.release is None:
        return decision("train", "no model is deployed yet")
    if seen.unfinished and seen.release_learned_from == seen.dataset_digest:
        return decision("finish", f"an interrupted run had deployed {seen.release}; its last steps are taken up again")
    if seen.unseen_rows == 0:
        return decision("keep", f"release {seen.release} has learned from every labelled row")
    if seen.unseen_f1 is None or seen.deployed_f1 is None:
        found = f"{seen.unseen_exited:,} of {seen.unseen_rows:,} exited"
        return decision("keep", f"F1 cannot be measured on the rows that release {seen.release} has not seen ({found})")
    unseen = count(seen.unseen_rows, "row", "rows")
    measured = f"F1 of release {seen.release} on {unseen} that it has not seen: {_f1(seen.unseen_f1)}"
    if seen.unseen_f1.value is not None and seen.unseen_f1.value < seen.deployed_f1:
        verdict = f"below the {seen.deployed_f1:.3f} that it was deployed with: retrain, rescore, redeploy"
        return decision("retrain", measured, verdict)
    return decision("keep", measured, f"not below the {seen.deployed_f1:.3f} that it was deployed with: keep it")


def _arrivals(seen: Observation) -> tuple[str, ...]:
    new, refused = len(seen.new_files), len(seen.refused_files)
    arrived = f"{new} new file{'s' * (new != 1)} in {seen.source}: {', '.join(seen.new_files[:5])}"
    refusal = f"{refused} file{'s' * (refused != 1)} refused: {', '.join(seen.refused_files[:5])}"
    return (arrived if new else f"no new file in {seen.source}", *([refusal] if refused else []))


def _f1(metric: Metric) -> str:
    if metric.value is None:
        return "undefined"
    interval = "" if metric.low is None or metric.high is None else f" ({metric.low:.3f} to {metric.high:.3f})"
    return f"{metric.value:.3f}{interval}"


def _nothing_new(workspace: Workspace) -> RunRecord | None:
    """The record of a run that finds everything as the last one left it, without opening ledger or engine."""
    with locked(workspace.state_folder / "lock"):
        last = lastrun.unchanged(workspace) if workspace.input_folder.is_dir() else None
        if last is None:
            return None
        seen = replace(last.observation, new_files=(), refused_files=(), decided_before=True, unfinished=False)
        decision = decide(seen, workspace.promotion)
        journal = Journal(workspace.log_folder)
        journal.write("done", utc_now(), command="run", decision=decision.action, reasons=decision.reasons)
        journal.close()
        return _no_action(decision, None, 0.0)


def _unseen(session: Session, current: Deployed) -> tuple[int, int, Metric | None]:
    """Labelled rows that the release has not learned from: how many, how many exited, and its F1 on them."""
    import pyarrow as pa

    from holdfast.dataset import current_view
    from holdfast.evaluation import judge, scorecard

    workspace = session.workspace
    unseen = _unseen_deliveries(session, current)
    if not unseen:
        return 0, 0, None
    seen = _learned_from(session, current.release, unseen)
    rows = pa.Table.from_batches(list(session.engine.distinct(current_view(workspace), unseen, seen)))
    judgement = judge(current.model, rows, workspace)
    if not len(judgement.exited):
        return 0, 0, None
    card = scorecard(current.model, judgement, workspace, f"{workspace.source}: rows not learned from", "")
    session.ledger.record_score(session.run_id, utc_now(), "unseen", card)
    return card.rows, card.exited, card.f1 if card.f1.value is not None else None


def _unseen_deliveries(session: Session, current: Deployed) -> frozenset[int]:
    """The numbers of the deliveries that the release has not learned from, under this number or another one.

    After a lost ledger they are known by their bytes alone, and no longer by how they were read.
    """
    from holdfast.dataset import current_files
    from holdfast.store.brieffiles import dataset_in, deliveries_in

    files, digest = current_files(session), current.release.dataset_digest
    record = current.pinned.read("ingestedfiles.txt").decode("utf-8", "replace")
    if dataset_in(record) != digest:  # a model of a file that was changed by hand has not learned from deliveries
        return frozenset(file.number for file in files)
    known = session.ledger.dataset(digest)
    if known is None:
        learned = deliveries_in(record)
        return frozenset(file.number for file in files if learned.isdisjoint((file.digest, *file.former)))
    numbers = frozenset(known.deliveries)
    delivered = session.ledger.deliveries(session.workspace.source, session.workspace.schema.digest)
    seen = {identity for file in delivered if file.number in numbers for identity in _identities(file)}
    return frozenset(file.number for file in files if seen.isdisjoint(_identities(file)))


def _identities(file: SourceFile) -> list[Identity]:
    return [(digest, file.read_as) for digest in (file.digest, *file.former)]


def _learned_from(session: Session, release: Release, unseen: frozenset[int]) -> View:
    """The rows that a release has learned from: the dataset as it was then, or what is left of it."""
    from holdfast.dataset import current_view

    workspace = session.workspace
    known = session.ledger.dataset(release.dataset_digest)
    if known and known.record.version is not None and known.record.source == workspace.source:
        try:
            return current_view(workspace, known.record.version)
        except (InputOutputError, UsageError):  # expired, or rows of it were erased
            pass
    return replace(current_view(workspace), without=unseen)


def _act(session: Session, decision: Decision, taken: IngestRecord) -> RunRecord:
    """Carry out a decision: train, score and deploy if it says so, then diagnose, report and call."""
    if decision.action in {"nothing", "keep"}:
        return _no_action(decision, taken, session.seconds)
    from holdfast.evaluation import prepare_to_read_test_data
    from holdfast.steps.diagnostics import diagnose
    from holdfast.steps.reporting import report

    prepare_to_read_test_data(session.workspace, session.readers)
    learned, card, release = _renew(session, decision) if decision.action != "finish" else (None, None, None)
    diagnosis: Diagnosis = diagnose(session, fresh_packages=False)
    reported: ReportRecord = report(session)
    called, notices = _called(session)
    if card:
        notices = (*_cautions(session, decision, card), *notices)
    return RunRecord(
        dry_run=False,
        decision=decision,
        ingest=taken,
        train=learned,
        score=card,
        release=release,
        diagnosis=diagnosis,
        report=reported,
        call=called,
        notices=notices,
        seconds=session.seconds,
    )


def _renew(session: Session, decision: Decision) -> tuple[TrainRecord, Scorecard, Release]:
    from holdfast.steps.deployment import deploy
    from holdfast.steps.scoring import score
    from holdfast.steps.training import train

    return train(session), score(session), deploy(session, reason="; ".join(decision.reasons))


def _cautions(session: Session, decision: Decision, card: Scorecard) -> Iterator[str]:
    """What speaks against the new model, which the policy does not ask about."""
    before = next((r for r in session.ledger.releases() if r.id == decision.observation.release), None)
    champion = session.ledger.score_of(before.model_digest, "test") if before else None
    if champion and champion.data_digest == card.data_digest and (champion.f1.value or 0) > (card.f1.value or 0):
        yield f"on the same test data the new model is worse: F1 {_f1(card.f1)}, before {_f1(champion.f1)}"
    recall = card.metrics["recall"].value
    if recall is not None and recall < LOW_RECALL:
        yield f"this model predicts few exits: it finds {recall:.1%} of those in the test data; trust its order only"


def _called(session: Session) -> tuple[CallRecord | None, tuple[str, ...]]:
    from holdfast.steps.calling import call

    try:
        return call(session), ()
    except SourceUnreachable:
        return None, ("the API is not running, so apireturns.txt was not written (optional: holdfast serve)",)


def _no_action(decision: Decision, taken: IngestRecord | None, seconds: float) -> RunRecord:
    return RunRecord(
        dry_run=False,
        decision=decision,
        ingest=taken,
        train=None,
        score=None,
        release=None,
        diagnosis=None,
        report=None,
        call=None,
        notices=(),
        seconds=seconds,
    )
