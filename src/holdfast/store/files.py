"""Files written whole or not at all, identified by their bytes, and the workspace's lock."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.errors import Busy, HoldfastError, from_os_error

BLOCK = 1 << 20
A_MOMENT = 0.02
FULL = {errno.ENOSPC, errno.EDQUOT}


def digest_of(data: bytes) -> str:
    """SHA-256 in hexadecimal.

    >>> digest_of(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; when the block ends well it takes the place of `path` in one step.

    A reader sees the old file or the new one. Raises CannotWrite, NotPermitted or InputOutputError.
    """
    temporary = unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        yield temporary
        move_into_place(temporary, path)
    except OSError as error:
        raise could_not_write(error, path) from error
    finally:
        with suppress(OSError):  # where it could not be made it cannot be removed
            temporary.unlink()


def unfinished(path: Path) -> Path:
    """Where a file is written that is not complete yet; the next run removes what a killed one left there."""
    return path.with_name(f".{path.name}.tmp")


def finished(path: Path) -> Path:
    """What the file at a path that `unfinished` gave is to become; any other path as it is.

    >>> finished(unfinished(Path("out/data.csv"))).name, finished(Path("data.csv")).name
    ('data.csv', 'data.csv')
    """
    name = path.name
    return path.with_name(name[1 : -len(".tmp")]) if name.startswith(".") and name.endswith(".tmp") else path


def move_into_place(written: Path, path: Path) -> None:
    """Make the file `written` durable, then give it the name `path` in one step.

    Raises CannotWrite, NotPermitted or InputOutputError.
    """
    try:
        sync_file(written)
        written.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise could_not_write(error, path) from error


def could_not_write(error: OSError, path: Path) -> HoldfastError:
    """The error to raise when `path` could not be written, for a full disk with what is known of the bytes.

    It is CannotWrite, NotPermitted or InputOutputError.
    """
    if error.errno not in FULL:
        return from_os_error(error, "write", str(path))
    known = from_os_error(OSError(error.errno, os.strerror(error.errno)), "write", str(path))
    with suppress(OSError):  # it is told without the rest
        known.message += f" ({shutil.disk_usage(path.parent).free:,} bytes are free there"
        written = unfinished(path).stat().st_size if unfinished(path).exists() else 0
        known.message += f", {written:,} were written)" if written else ")"
    return known


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the exclusive lock at `path`; the system releases it when this process ends, however it ends.

    Raises Busy at once when another process holds it. The descriptor is not inherited by child processes. The
    file's modification time is when the lock was taken.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise from_os_error(error, "write", str(path)) from None
    try:
        try:
            _lock(descriptor)
        except BlockingIOError:
            holder = os.pread(descriptor, 40, 0).decode("ascii", "replace").strip() or "another process"
            message = f"another run is at work in this workspace ({holder})"
            raise Busy(message, hint="let it finish; nothing was done") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """True if a process holds the lock at `path` now; False where nobody does, or nobody may be asked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int) -> None:
    """Take the lock; once more after a moment, for which `is_locked` may have had it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(A_MOMENT)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
