"""A new file in the place of an old one, with its mode, owner and modification time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from holdfast.store.files import replacing


class _Untouched(Exception):
    """Nothing was removed, so the old file stays."""


def rewrite(path: Path, write: Callable[[Path], int | None], into: Path | None = None) -> int | None:
    """Let `write` make a new file at the path that it is given, and return how many things it left out.

    The new file takes the place of `path` in one step, unless `write` returns 0, or None for what it cannot clean.
    With `into` it is written there, and `path` stays. Raises CannotWrite, NotPermitted or InputOutputError, and then
    `path` is as it was.
    """
    if into is not None:
        return write(into)
    removed: int | None = 0
    try:
        with replacing(path) as new:
            new.touch(mode=0o600, exist_ok=False)  # nobody may read meanwhile what only some may read afterwards
            removed = write(new)
            _leave_unless(removed)
            old = path.stat(follow_symlinks=False)
            os.chown(new, old.st_uid, old.st_gid)
            shutil.copystat(path, new)
    except _Untouched:
        pass
    return removed


def _leave_unless(removed: int | None) -> None:
    if not removed:
        raise _Untouched
