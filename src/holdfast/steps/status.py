"""One screen: what is deployed, how good it is, what came in, what happens next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from holdfast.dataset import describe
from holdfast.records import Release, SourceFile, Status
from holdfast.session import reading
from holdfast.sources.files import list_folder
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
        waiting = tuple(path.name for path in lying if (path.name, path.stat().st_size) not in seen)
        last = ledger.last_decision(workspace.source)
        return Status(
            workspace=str(workspace.root),
            source=workspace.source,
            release=release,
            scorecard=ledger.score_of(release.model_digest, "test") if release else None,
            dataset=describe(workspace, ledger, engine, files) if files else None,
            waiting_files=waiting,
            deliveries=deliveries[-SHOWN_DELIVERIES:],
            decision=last.decision if last else None,
            assessed=ledger.last_assessment(),
            runs=ledger.runs(),
            next=(
                *_next(workspace, release, waiting, last, whole=pinned is None or pinned.is_whole),
                *_open_rows(ledger, files),
                *(f"the erasure begun {each} was not finished: call it again" for each in ledger.unfinished_erasures()),
            ),
        )


def _open_rows(ledger: Ledger, files: Sequence[SourceFile]) -> Iterator[str]:
    """What waits in quarantine for somebody to decide."""
    settled = {"waived", "replayed"}
    refused = [file for file in files if file.quarantined]
    done = sum(act.act in settled for file in refused for act in ledger.acts(file.number).values())
    rows = sum(file.quarantined for file in refused) - done
    if rows > 0:
        yield f"{rows:,} row{'s' * (rows != 1)} in quarantine wait for a decision: holdfast quarantine list"


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
