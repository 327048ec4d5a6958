"""Releases: immutable folders and one pointer. A reader pins a release once and stays in it.

prod_deployment_path/
    releases/0001-1f2e3d4c/   trainedmodel.pkl latestscore.txt ingestedfiles.txt model.json release.json
    current -> releases/0001-1f2e3d4c          the one commit point: a rename
    trainedmodel.pkl -> current/trainedmodel.pkl   and the brief's two other files, likewise
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import ModelFileDamaged, from_os_error
from holdfast.records import Release, from_json, to_json
from holdfast.store.files import digest_of, sync_folder, write_file

BRIEF_FILES = ("trainedmodel.pkl", "latestscore.txt", "ingestedfiles.txt")
MODEL_FILE = "model.json"
RELEASE_FILE = "release.json"
POINTER = "current"
ROLL_BACK = "deploy again (holdfast deploy)"


@dataclass(frozen=True, slots=True)
class PinnedRelease:
    """One release, read from its own folder whatever the pointer does meanwhile."""

    folder: Path
    release: Release

    def read(self, name: str) -> bytes:
        """The bytes of one of the release's files.

        Raises ModelFileDamaged when they are not the bytes that were released.
        """
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelFileDamaged(f"cannot read: {error.strerror}", file=str(path), hint=ROLL_BACK) from None
        if digest_of(data) != self.release.files[name]:
            raise ModelFileDamaged("not the bytes that were released", file=str(path), hint=ROLL_BACK)
        return data


def pin_current(deployment: Path) -> PinnedRelease | None:
    """The release in production now, or None before the first one."""
    try:
        folder = deployment / (deployment / POINTER).readlink()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise from_os_error(error, "read", str(deployment / POINTER)) from None
    path = folder / RELEASE_FILE
    try:
        release = from_json(Release, json.loads(path.read_bytes()))
    except (OSError, ValueError):
        raise ModelFileDamaged("the release's record is not readable", file=str(path), hint=ROLL_BACK) from None
    return PinnedRelease(folder, release)


def current_id(deployment: Path) -> str | None:
    """The id of the release in production, at the cost of reading one link."""
    try:
        return (deployment / POINTER).readlink().name
    except OSError:
        return None


def next_number(deployment: Path) -> int:
    """One more than the highest release number so far."""
    folder = deployment / "releases"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return max((int(name.split("-")[0]) for name in names if re.match(r"\d{4,}-", name)), default=0) + 1


def publish(deployment: Path, release: Release, files: Mapping[str, bytes]) -> None:
    """Write `release` to a folder of its own, make it durable, then let the pointer show it.

    Killed at any point, production shows the old release or the new one.
    """
    folder = deployment / "releases" / release.id
    unfinished = folder.with_name(f".{release.id}.tmp")
    try:
        for leftover in (unfinished, folder):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name, data in files.items():
            write_file(unfinished / name, data)
        write_file(unfinished / RELEASE_FILE, (json.dumps(to_json(release), indent=1) + "\n").encode())
        unfinished.rename(folder)
        sync_folder(folder.parent)
        earlier = _keep_plain_files(deployment)
        for name in BRIEF_FILES:
            if name not in earlier:
                _link(deployment / name, f"{POINTER}/{name}")
        _link(deployment / POINTER, f"releases/{release.id}")
        for name in earlier:
            _link(deployment / name, f"{POINTER}/{name}")
    except OSError as error:
        raise from_os_error(error, "write", str(folder)) from error


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and str(path.readlink()) == target:
        return
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)
    sync_folder(path.parent)


def _keep_plain_files(deployment: Path) -> tuple[str, ...]:
    """Copy files that were there before the first release to a folder of their own; returns their names."""
    plain = [name for name in BRIEF_FILES if (deployment / name).is_file() and not (deployment / name).is_symlink()]
    for name in plain:
        kept = deployment / "before_holdfast" / name
        kept.parent.mkdir(exist_ok=True)
        shutil.copy2(deployment / name, kept)
    return tuple(plain)
