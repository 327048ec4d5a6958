"""Releases: immutable folders and one pointer. A reader pins a release once and stays in it.

prod_deployment_path/
    releases/0001-1f2e3d4c/   trainedmodel.pkl latestscore.txt ingestedfiles.txt model.json release.json
    current -> releases/0001-1f2e3d4c          the one commit point: a rename
    trainedmodel.pkl -> current/trainedmodel.pkl   and the brief's two other files, likewise
    before_holdfast/          the brief's files as they were before the first release; `current` shows it meanwhile
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
BEFORE = "before_holdfast"
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
        if digest_of(data) != self.release.files.get(name):
            raise ModelFileDamaged("not the bytes that were released", file=str(path), hint=ROLL_BACK)
        return data

    @property
    def is_whole(self) -> bool:
        """True if every file still holds the bytes that were released."""
        try:
            return all(self.read(name) for name in self.release.files)
        except ModelFileDamaged:
            return False


def pin_current(deployment: Path) -> PinnedRelease | None:
    """The release in production now, or None before the first one.

    Raises ModelFileDamaged when its record cannot be read.
    """
    pointer = deployment / POINTER
    try:
        target = Path(POINTER) if _is_copied(pointer) else pointer.readlink()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise from_os_error(error, "read", str(pointer)) from None
    if target.name == BEFORE:
        return None
    folder = deployment / target
    path = folder / RELEASE_FILE
    try:
        release = from_json(Release, json.loads(path.read_bytes()))
    except (OSError, ValueError, ArithmeticError, RecursionError):
        raise ModelFileDamaged("the release's record is not readable", file=str(path), hint=ROLL_BACK) from None
    return PinnedRelease(folder, release)


def current_id(deployment: Path) -> str | None:
    """The id of the release in production, at the cost of reading one link."""
    pointer = deployment / POINTER
    if _is_copied(pointer):
        pinned = pin_current(deployment)
        return pinned.release.id if pinned else None
    try:
        name = pointer.readlink().name
    except OSError:
        return None
    return None if name == BEFORE else name


def _is_copied(pointer: Path) -> bool:
    """True where a copy of the workspace that followed its links put a folder in the pointer's place."""
    return pointer.is_dir() and not pointer.is_symlink()


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
        for leftover in folder.parent.glob(".*.tmp"):
            shutil.rmtree(leftover)
        unfinished.mkdir(parents=True)
        for name, data in files.items():
            write_file(unfinished / name, data)
        write_file(unfinished / RELEASE_FILE, (json.dumps(to_json(release), indent=1) + "\n").encode())
        unfinished.rename(folder)
        sync_folder(folder.parent)
        _show_brief_files(deployment)
        _link(deployment / POINTER, f"releases/{release.id}")
    except OSError as error:
        raise from_os_error(error, "write", str(folder)) from error


def repair(deployment: Path) -> None:
    """Let the brief's three names show the current release again, whatever has been put in their place."""
    pointer = deployment / POINTER
    try:
        if _is_copied(pointer) and (deployment / "releases" / str(current_id(deployment))).is_dir():
            _link(pointer, f"releases/{current_id(deployment)}")
        _show_brief_files(deployment)
    except OSError as error:
        raise from_os_error(error, "write", str(deployment)) from error


def _show_brief_files(deployment: Path) -> None:
    """A plain file that stands in the way is kept in a folder of its own.

    Before the first release the pointer shows that folder: then the three names change together, at the swap.
    """
    plain = [name for name in BRIEF_FILES if (deployment / name).is_file() and not (deployment / name).is_symlink()]
    for name in plain:
        write_file(deployment / BEFORE / name, (deployment / name).read_bytes())
    if plain and not (deployment / POINTER).is_symlink():
        _link(deployment / POINTER, BEFORE)
    for name in BRIEF_FILES:
        _link(deployment / name, f"{POINTER}/{name}")


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and str(path.readlink()) == target:
        return
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    if _is_copied(path):
        shutil.rmtree(path)
    temporary.replace(path)
    sync_folder(path.parent)
