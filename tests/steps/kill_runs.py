"""Kills the full process at random moments, over and over, then lets it finish; says what came of it, as JSON lines.

    python kill_runs.py WORKSPACE FOLDER ROUNDS

Every round starts from a copy of WORKSPACE, in which new data waits, and kills four runs before the one that ends.
The modules are imported once; every run is a fork.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from holdfast.records import ReportRecord
from holdfast.steps import process, reporting
from holdfast.store.files import digest_of_file
from holdfast.store.releases import BRIEF_FILES, current_id, pin_current
from holdfast.workspace import Workspace

KILLS = 4
HEAVY = ("duckdb", "sklearn.linear_model", "pandas", "holdfast.steps.training", "holdfast.steps.deployment")


def quick_report(*_: Any) -> ReportRecord:
    """In the place of the pictures, which take most of a run's time and change nothing else."""
    return ReportRecord(report="", confusion_matrix="", size=0, notices=(), seconds=0.0)


def started(workspace: Workspace) -> int:
    """A run of the full process in a fork; it ends with 0 unless something goes wrong."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            process.run(workspace)
            status = 0
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state_of(workspace: Workspace) -> dict[str, Any]:
    """What the outcome of a run is judged by."""
    files = [workspace.output_folder / "finaldata.csv", workspace.model_folder / "model.json"]
    paths = [*files, *(workspace.deployment_folder / name for name in BRIEF_FILES[:2])]
    return {path.name: digest_of_file(path) for path in paths}


def whole(workspace: Workspace) -> bool:
    """True if production is one release, all of it, for readers who pin and for readers of the brief's files."""
    pinned = pin_current(workspace.deployment_folder)
    if pinned is None or not pinned.is_whole:
        return False
    digests = {name: digest_of_file(workspace.deployment_folder / name) for name in BRIEF_FILES}
    return all(pinned.release.files[name] == digest for name, digest in digests.items())


def copied(original: Path, folder: Path) -> Workspace:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder, symlinks=True)
    return Workspace.open(folder)


def say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")


def main(original: Path, folder: Path, rounds: int) -> None:
    for module in HEAVY:
        importlib.import_module(module)
    reporting.report = quick_report  # type: ignore[assignment]
    setattr(os, "fsync", lambda _: None)  # noqa: B010 - a kill leaves to the disk what was written
    moments = random.Random(7)
    undisturbed = copied(original, folder / "undisturbed")
    began = time.monotonic()
    say(
        status=ended(started(undisturbed)),
        state=state_of(undisturbed),
        release=current_id(undisturbed.deployment_folder),
    )
    seconds = time.monotonic() - began
    for _ in range(rounds):
        workspace = copied(original, folder / "killed")
        deaths = []
        for _ in range(KILLS):
            child = started(workspace)
            time.sleep(moments.uniform(0, 1.1 * seconds))
            os.kill(child, signal.SIGKILL)
            deaths.append([ended(child), whole(workspace)])
        status = ended(started(workspace))
        left = [str(path) for path in workspace.root.rglob("*") if path.name.endswith(".tmp")]
        say(deaths=deaths, status=status, state=state_of(workspace), whole=whole(workspace), left=left)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
