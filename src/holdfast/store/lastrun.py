"""What the last complete run saw. While nothing of it has changed there is nothing to do, and that is cheap to know."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.records import Decision, from_json, to_json
from holdfast.store.files import write_file
from holdfast.workspace import CONFIG_NAME, Workspace

SETTLED_AFTER_SECONDS = 2.0
"""A file changed more recently could change again within one tick of the file system's clock."""

OUTPUTS = (
    "finaldata.csv",
    "ingestedfiles.txt",
    "trainedmodel.pkl",
    "model.json",
    "latestscore.txt",
    "current",
    "current/model.json",
)


def fingerprint(workspace: Workspace) -> str | None:
    """A digest of everything that a run's outcome rests on, from names and file states alone.

    None when a database is a source, which has to be asked; or when a delivery changed after the run that now holds
    the lock began, or so shortly before that its state cannot be trusted: that run may not have seen it.
    """
    if workspace.databases:
        return None
    try:
        began = (workspace.state_folder / "lock").stat().st_mtime_ns
        states = list(_states(workspace))
    except FileNotFoundError:  # a folder that is not there, or a delivery that has just left
        return None
    newest = max(changed for _, changed in states)
    if began - newest < SETTLED_AFTER_SECONDS * 1e9:
        return None
    parts = [text for text, _ in states] + [_outputs(workspace)]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def save(workspace: Workspace, decision: Decision) -> None:
    """Note that this decision was carried out to its end."""
    seen = fingerprint(workspace)
    path = _path(workspace)
    if seen is None:
        path.unlink(missing_ok=True)
        return
    write_file(path, json.dumps({"fingerprint": seen, "decision": to_json(decision)}).encode())


def unchanged(workspace: Workspace) -> Decision | None:
    """The last run's decision, if nothing has changed since it was carried out."""
    try:
        saved = json.loads(_path(workspace).read_bytes())
        if saved["fingerprint"] != fingerprint(workspace):
            return None
        return from_json(Decision, saved["decision"])
    except (OSError, ValueError, KeyError, TypeError):  # no note, or not one of ours: look at everything
        return None


def _path(workspace: Workspace) -> Path:
    return workspace.state_folder / "lastrun.json"


def _states(workspace: Workspace) -> Iterator[tuple[str, int]]:
    """Each configured or delivered file as text, and when it last changed (nanoseconds)."""
    config = (workspace.root / CONFIG_NAME).stat()
    yield _text(CONFIG_NAME, config), config.st_ctime_ns
    for folder in (workspace.input_folder, workspace.test_folder, *workspace.source_folders):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            state = entry.stat(follow_symlinks=False)
            yield _text(entry.path, state), state.st_ctime_ns


def _outputs(workspace: Workspace) -> str:
    folders = (workspace.output_folder, workspace.model_folder, workspace.deployment_folder)
    paths = [folder / name for folder in folders for name in OUTPUTS]
    return "\n".join(_text(str(path), path.lstat()) for path in paths if os.path.lexists(path))


def _text(name: str, state: os.stat_result) -> str:
    return f"{name} {state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
