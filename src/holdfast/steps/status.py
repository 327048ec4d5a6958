"""One screen: what is deployed, how good it is, what came in, what happens next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.dataset import describe
from holdfast.errors import FileRefused, InputOutputError, NotPermitted
from holdfast.intake.held import Quarantine
from holdfast.intake.unfinished import unfinished_text
from holdfast.records import Release, SourceFile, Status
from holdfast.render.words import count
from holdfast.session import reading
from holdfast.sources.files import list_folder, name_of, open_regular
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
        waiting = _waiting(workspace, deliveries)
        last = ledger.last_decision(workspace.source)
        return Status(
            workspace=str(workspace.root),
            source=workspace.source,
            release=release,
            scorecard=ledger.score_of(release.model_digest, "test") if release else None,
            dataset=describe(workspace, ledger, engine, files) if files else None,
            waiting_files=waiting.names,
            deliveries=deliveries[-SHOWN_DELIVERIES:],
            earlier_deliveries=max(len(deliveries) - SHOWN_DELIVERIES, 0),
            decision=last.decision if last else None,
            assessed=ledger.last_assessment(),
            runs=ledger.runs(),
            next=(
                *_next(workspace, release, waiting, last, whole=pinned is None or pinned.is_whole),
                *_troubles(workspace, ledger, waiting),
                *_held_rows(workspace, ledger, files),
                *(f"the erasure begun {each} was not finished: call it again" for each in ledger.unfinished_erasures()),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Files that are not known as they lie there: those to be taken in, and why the others cannot be read now."""

    files: tuple[str, ...]
    unreadable: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.files, *self.unreadable)


def _waiting(workspace: Workspace, deliveries: Sequence[SourceFile]) -> _Waiting:
    """What waits in the input folder and in the folders of `sources`."""
    seen = {(file.name, file.size) for file in deliveries}
    files: list[str] = []
    unreadable: dict[str, str] = {}
    for folder in (workspace.input_folder, *workspace.source_folders):
        try:
            lying = list_folder(folder).files if folder.is_dir() else ()
        except (NotPermitted, InputOutputError) as error:
            unreadable[f"{workspace.show(folder)}/"] = error.message
            continue
        for path in lying:
            try:
                with open_regular(path) as stream:
                    size = os.fstat(stream.fileno()).st_size
            except (FileRefused, NotPermitted, InputOutputError) as error:
                unreadable |= {name_of(path): error.message} if os.path.lexists(path) else {}
                continue
            if (name_of(path), size) not in seen:
                files.append(name_of(path))
    return _Waiting(tuple(files), unreadable)


def _troubles(workspace: Workspace, ledger: Ledger, waiting: _Waiting) -> Iterator[str]:
    """What stands in the way: an ingestion that did not end, files and sources that were not read."""
    unfinished = unfinished_text(workspace, ledger)
    if unfinished:
        yield unfinished
    yield from (f"{name}: {why}" for name, why in waiting.unreadable.items())
    last = ledger.last_result("ingest") or {}
    for file in last.get("files", ()):
        if not file["number"] and file["name"] in waiting.files:
            yield f"{file['name']}: the last ingestion could not read it ({file['error']['message']})"
    for text in last.get("deferred", ()):
        if any(text.startswith(f"{name}: ") for name in waiting.files):
            yield text
    for error in last.get("unreachable", ()):
        yield f"{error['file']}: the last ingestion could not read it ({error['message']})"


def _held_rows(workspace: Workspace, ledger: Ledger, files: Sequence[SourceFile]) -> Iterator[str]:
    """What waits in quarantine: for somebody to decide, or to be taken in."""
    still_open, repaired = Quarantine(workspace, ledger).waiting(files)
    if still_open:
        rows = count(still_open, "row in quarantine waits", "rows in quarantine wait")
        yield f"{rows} for a decision: holdfast quarantine list"
    if repaired:
        rows = count(repaired, "repaired row waits", "repaired rows wait")
        yield f"{rows} to be taken in: holdfast quarantine replay"


def _next(
    workspace: Workspace,
    release: Release | None,
    waiting: _Waiting,
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
    if waiting.files:
        files, them = count(len(waiting.files), "file waits", "files wait"), "it" if len(waiting.files) == 1 else "them"
        steps.append(f"{files} in {workspace.source}: holdfast run takes {them} in")
    steps.append(
        "holdfast assess lists whom to call first" if release else "holdfast run trains and deploys the first model"
    )
    return tuple(steps)
