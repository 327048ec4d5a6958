"""Publishes a release and dies, or meets a failing disk, at every call that changes a file: one fork per call.

    python kill_points.py FOLDER

Writes one JSON line per kill point: what happened and what production showed afterwards. `test_releases.py` judges.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.records import Release
from holdfast.store.files import digest_of
from holdfast.store.releases import BRIEF_FILES, MODEL_FILE, next_number, pin_current, publish

CHANGING = (*((os, name) for name in ("mkdir", "rename", "replace", "symlink", "unlink", "fsync")), (io, "open"))
WAYS = ("kill", "ENOSPC")
STARTS = ("plain files", "a release")
GOT_OVER_IT = 100


def contents_of(word: str) -> dict[str, bytes]:
    return {name: f"{word} {name}".encode() * 50 for name in (*BRIEF_FILES, MODEL_FILE)}


def publish_next(deployment: Path, word: str) -> None:
    files, number = contents_of(word), next_number(deployment)
    publish(
        deployment,
        Release(
            id=f"{number:04d}-{word}",
            number=number,
            model_digest=word,
            dataset_digest="d",
            f1=0.5,
            files={name: digest_of(data) for name, data in files.items()},
            parent=None,
            actor="test",
            reason="test",
            created="2026-01-31T10:00:00Z",
        ),
        files,
    )


def shown(deployment: Path) -> dict[str, Any]:
    """What production shows to a reader that pins, and to one that opens the brief's files."""
    pinned = pin_current(deployment)
    whole = pinned is not None and pinned.is_whole
    paths = [deployment / name for name in BRIEF_FILES]
    plain = [path.read_text().split()[0] if path.exists() else None for path in paths]
    left = sorted(path.name for path in deployment.rglob("*.tmp"))
    return {"pinned": pinned.release.model_digest if pinned else None, "whole": whole, "plain": plain, "left": left}


def failing_at(point: int, way: str) -> list[str]:
    """From here on the `point`-th changing call kills the process or raises; later ones work. Returns their log."""
    calls: list[str] = []

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls.append(real.__name__)
            if len(calls) == point:
                if way == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise OSError(getattr(errno, way), os.strerror(getattr(errno, way)))
            return real(*arguments, **named)

        return call

    for module, name in CHANGING:
        setattr(module, name, counted(getattr(module, name)))
    return calls


def prepare(deployment: Path, start: str) -> None:
    deployment.mkdir()
    if start == "plain files":
        for name, data in contents_of("plain").items():
            if name in BRIEF_FILES:
                (deployment / name).write_bytes(data)
    if start == "a release":
        publish_next(deployment, "old")


def attempt(deployment: Path, point: int, way: str) -> int:
    """The exit status of a forked process that publishes with a fault: 0 when it ended before the fault came."""
    child = os.fork()
    if child == 0:
        calls = failing_at(point, way)
        try:
            publish_next(deployment, "new")
        except HoldfastError as error:
            os._exit(error.exit_status)
        os._exit(0 if len(calls) < point else GOT_OVER_IT)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path) -> None:
    # What a kill leaves does not depend on the disk: fsync is a kill point, but not waited for.
    setattr(os, "fsync", lambda _: None)  # noqa: B010
    for start in STARTS:
        original = folder / "original"
        prepare(original, start)
        for way in WAYS:
            status, point = -1, 0
            while status:
                point += 1
                deployment = folder / "deployment"
                shutil.copytree(original, deployment, symlinks=True)
                status = attempt(deployment, point, way)
                after = shown(deployment)
                publish_next(deployment, "rerun")
                line = {"start": start, "way": way, "point": point, "status": status, "after": after}
                sys.stdout.write(json.dumps(line | {"rerun": shown(deployment)}) + "\n")
                shutil.rmtree(deployment)
        shutil.rmtree(original)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
