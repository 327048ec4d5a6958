"""One screen: what is deployed, how good it is, what came in, what happens next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from holdfast.dataset import describe
from holdfast.intake.held import Quarantine
from holdfast.records import Release, SourceFile, Status
from holdfast.session import reading
from holdfast.sources.files import list_folder, name_of
from holdfast.store.crontab import show_schedule
from holdfast.store.releases import pin_current
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger, PastDecision

SHOWN_DELIVERIES = 6


def status(workspace: Workspace) -> Status:
    """How the workspace stands; changes nothing."""
    pinned = pin_current(workspace.deployment_folder)
    release = pinned.release if pinned else None
    with reading(workspace) as (ledger, engine):
        files = ledger.current_deliveries(workspace.source, workspace.schema.digest)
        deliveries = ledger.deliveries(workspace.source, workspace.schema.digest)
        seen = {(file.name, file.size) for file in deliveries}
        folders = (folder for folder in (workspace.input_folder, *workspace.source_folders) if folder.is_dir())
        lying = [path for folder in folders for path in list_folder(folder).files]
        waiting = tuple(name_of(path) for path in lying if (name_of(path), path.stat().st_size) not in seen)
        last = ledger.last_decision(workspace.source)
        return Status(
            workspace=str(workspace.root),
            source=workspace.source,
            release=release,
            scorecard=ledger.score_of(release.model_digest, "test") if release else None,
            dataset=describe(workspace, ledger, engine, files) if files else None,
            waiting_files=waiting,
            deliveries=deliveries[-SHOWN_DELIVERIES:],
            earlier_deliveries=max(len(deliveries) - SHOWN_DELIVERIES, 0),
            decision=last.decision if last else None,
            assessed=ledger.last_assessment(),
            runs=ledger.runs(),
            next=(
                *_next(workspace, release, waiting, last, whole=pinned is None or pinned.is_whole),
                *_held_rows(workspace, ledger, files),
                *(f"the erasure begun {each} was not finished: call it again" for each in ledger.unfinished_erasures()),
            ),
        )


def _held_rows(workspace: Workspace, ledger: Ledger, files: Sequence[SourceFile]) -> Iterator[str]:
    """What waits in quarantine: for somebody to decide, or to be taken in."""
    still_open, repaired = Quarantine(workspace, ledger).waiting(files)
    if still_open:
        rows = "1 row in quarantine waits" if still_open == 1 else f"{still_open:,} rows in quarantine wait"
        yield f"{rows} for a decision: holdfast quarantine list"
    if repaired:
        rows = "1 repaired row waits" if repaired == 1 else f"{repaired:,} repaired rows wait"
        yield f"{rows} to be taken in: holdfast quarantine replay"


def _next(
    workspace: Workspace,
    release: Release | None,
    waiting: tuple[str, ...],
    last: PastDecision | None,
    *,
    whole: bool,
) -> tuple[str, ...]:
    schedule = show_schedule(workspace.root)
    steps = [schedule.message]
    if not whole:
        steps.append("the release in production is damaged: holdfast deploy puts it back")
    if last and not last.finished:
        steps.append("the last decision was not carried out to its end: the next run takes it up again")
    if waiting:
        files = "1 file waits" if len(waiting) == 1 else f"{len(waiting)} files wait"
        steps.append(f"{files} in {workspace.source}: holdfast run takes them in")
    steps.append(
        "holdfast assess lists whom to call first" if release else "holdfast run trains and deploys the first model"
    )
    return tuple(steps)
