"""A throw-away copy of a workspace: for measuring steps and for deciding without acting."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from holdfast.workspace import Workspace


@contextmanager
def scratch_copy(workspace: Workspace, *, with_history: bool) -> Iterator[Workspace]:
    """A workspace that reads the same input, test data and production, and writes to a folder of its own.

    With its history it knows what the real one has ingested; without, everything is new to it.
    The folder is removed at the end.
    """
    workspace.state_folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=workspace.state_folder))
    try:
        copy = replace(
            workspace,
            output_folder=folder / "output",
            model_folder=folder / "models",
            state_folder=folder / "state",
        )
        for new in (copy.output_folder, copy.model_folder, copy.state_folder):
            new.mkdir()
        if with_history:
            _copy_history(workspace, copy)
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy_history(workspace: Workspace, copy: Workspace) -> None:
    if workspace.ledger_file.is_file():
        with (
            closing(sqlite3.connect(workspace.ledger_file)) as original,
            closing(sqlite3.connect(copy.ledger_file)) as twin,
        ):
            original.backup(twin)
    if workspace.erasure_key_file.is_file():
        shutil.copy2(workspace.erasure_key_file, copy.erasure_key_file)
    for name in ("dataset", "quarantine"):
        if (workspace.output_folder / name).is_dir():
            shutil.copytree(workspace.output_folder / name, copy.output_folder / name, copy_function=_linked)


def _linked(source: str, destination: str) -> None:
    """Parts never change once written, so a second name for the same bytes is a copy."""
    try:
        os.link(source, destination)
    except OSError:  # another file system
        shutil.copy2(source, destination)
