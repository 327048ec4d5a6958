"""Copies of client data that are needed for a moment: where a later command finds them, should this one be killed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.errors import from_os_error

PREFIX = "copies-"
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def folder_for_copies(where: Path | None = None) -> Iterator[Path]:
    """A new folder below `where`, for its owner alone, which is removed with all in it at the end of the block.

    It is locked by this process, however that ends: `sweep` leaves those alone that are in use. Without `where`, and
    where nobody may write there, it lies in the system's folder for temporary files, which nobody sweeps. Raises
    CannotWrite, NotPermitted or InputOutputError.
    """
    made = where is not None and not where.exists()
    try:
        folder = _made_in(where)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise from_os_error(error, "write", str(where or tempfile.gettempdir())) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
        if where is not None and made:
            with suppress(OSError):  # others have put something into it meanwhile
                where.rmdir()


def _made_in(where: Path | None) -> Path:
    if where is not None:
        try:
            where.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=PREFIX, dir=where))
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
    return Path(tempfile.mkdtemp(prefix=PREFIX))


def sweep(where: Path) -> None:
    """Remove the copies below `where` that killed processes left."""
    for folder in where.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process was quicker
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)
