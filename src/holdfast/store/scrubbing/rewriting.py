"""A new file in the place of an old one, with its mode, owner and modification time, unless others changed the old."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from holdfast.errors import InputOutputError
from holdfast.store.files import replacing, sync_file

ATTEMPTS = 3

Result = TypeVar("Result")


class Changed(InputOutputError):
    """Somebody else replaced or changed the file while it was being read: its new bytes stay."""


class _Untouched(Exception):
    """Nothing was removed, so the old file stays."""


def rewrite(
    path: Path, write: Callable[[Path], int | None], into: Path | None = None, seen: os.stat_result | None = None
) -> int | None:
    """Let `write` make a new file at the path that it is given, and return how many things it left out.

    The new file takes the place of `path` in one step, unless `write` returns 0, or None for what it cannot clean.
    With `into` it is written there, and `path` stays. `seen`: the state of the file that was read, where that was
    opened before. Raises Changed where others have put another file there or changed this one since; CannotWrite,
    NotPermitted or InputOutputError. Then `path` is as it was, or as they left it.
    """

    def write_privately(new: Path) -> int | None:
        new.touch(mode=0o600)  # nobody may read meanwhile what only some may read afterwards
        return write(new)

    return write_privately(into) if into is not None else take_place(path, write_privately, seen)


def take_place(path: Path, write: Callable[[Path], int | None], seen: os.stat_result | None = None) -> int | None:
    """As `rewrite`, for a `write` that makes its file itself, readable by its owner alone, or makes none."""
    removed: int | None = 0
    try:
        with replacing(path) as new:
            seen = seen or path.stat(follow_symlinks=False)
            removed = write(new)
            _leave_unless(removed)
            os.chown(new, seen.st_uid, seen.st_gid)
            shutil.copystat(path, new)
            sync_file(new)  # which takes its time, and nothing may come between looking and replacing
            _refuse_changed(path, seen)
    except _Untouched:
        pass
    return removed


def until_unchanged(clean: Callable[[], Result]) -> Result:
    """What `clean` returns, called anew, ATTEMPTS times in all, when others have changed the file meanwhile.

    Raises Changed when they did so every time.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return clean()
        except Changed:
            continue
    return clean()


def _refuse_changed(path: Path, seen: os.stat_result) -> None:
    try:
        unchanged = _identity(path.stat(follow_symlinks=False)) == _identity(seen)
    except FileNotFoundError:
        unchanged = False
    if not unchanged:
        hint = "erase again when nobody writes to it"
        raise Changed("others changed it while it was being cleaned", file=str(path), hint=hint)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _leave_unless(removed: int | None) -> None:
    if not removed:
        raise _Untouched
