"""Which of the packages that Holdfast depends on have a newer version, asked of the package index that pip uses."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Sequence

from packaging.requirements import Requirement

from holdfast.records import PackageCheck, PackageVersion

SECONDS = 90
NO_INDEX = "no package index reachable: nothing is known about newer versions"
PIP = (
    sys.executable,
    "-m",
    "pip",
    "--disable-pip-version-check",
    "--no-input",
    "--retries",
    "0",
    "--timeout",
    "5",
)


def dependencies(package: str = "holdfast") -> frozenset[str]:
    """The names of everything that `package` needs to run, directly or not, as installed here.

    >>> "numpy" in dependencies()
    True
    """
    found: set[str] = set()
    waiting = [package]
    while waiting:
        for line in _requirements(waiting.pop()):
            requirement = Requirement(line)
            name = _plain(requirement.name)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and name not in found:
                found.add(name)
                waiting.append(name)
    return frozenset(name for name in found if _installed(name))


def check_packages(checked: str) -> PackageCheck:
    """The outdated ones among Holdfast's dependencies; `checked` is the time to note.

    An index that does not answer gives `reachable` False and a sentence, never an empty list that looks like news.
    """
    names = dependencies()
    if _run(("index", "versions", "pip")) is None:
        return PackageCheck(checked=checked, reachable=False, message=NO_INDEX, examined=len(names), outdated=())
    others = sorted({_plain(each.name) for each in importlib.metadata.distributions()} - names)
    excluded = [part for name in others for part in ("--exclude", name)]
    answer = _run(("list", "--outdated", "--format", "json", *excluded))
    if answer is None:
        return PackageCheck(checked=checked, reachable=False, message=NO_INDEX, examined=len(names), outdated=())
    outdated = tuple(
        PackageVersion(
            package=entry["name"],
            version=entry["version"],
            latest=entry["latest_version"],
            type=entry["latest_filetype"],
        )
        for entry in sorted(json.loads(answer), key=lambda entry: entry["name"].lower())
        if _plain(entry["name"]) in names
    )
    message = f"{len(outdated)} of {len(names)} packages have a newer version"
    return PackageCheck(checked=checked, reachable=True, message=message, examined=len(names), outdated=outdated)


def _run(arguments: Sequence[str]) -> str | None:
    """Pip's output, or None when it failed or took too long."""
    try:
        done = subprocess.run([*PIP, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


def _requirements(package: str) -> Sequence[str]:
    try:
        return importlib.metadata.requires(package) or ()
    except importlib.metadata.PackageNotFoundError:
        return ()


def _installed(package: str) -> bool:
    return bool(list(importlib.metadata.distributions(name=package)))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
