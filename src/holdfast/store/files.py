"""Files written whole or not at all, identified by their bytes, and the workspace's lock."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.errors import Busy, from_os_error

BLOCK = 1 << 20


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
        raise from_os_error(error, "write", str(path)) from error
    finally:
        with suppress(OSError):  # where it could not be made it cannot be removed
            temporary.unlink()


def unfinished(path: Path) -> Path:
    """Where a file is written that is not complete yet; the next run removes what a killed one left there."""
    return path.with_name(f".{path.name}.tmp")


def move_into_place(finished: Path, path: Path) -> None:
    """Make the file `finished` durable, then give it the name `path` in one step.

    Raises CannotWrite, NotPermitted or InputOutputError.
    """
    try:
        _sync(finished)
        finished.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise from_os_error(error, "write", str(path)) from error


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


def _sync(path: Path) -> None:
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
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 40, 0).decode("ascii", "replace").strip() or "another process"
            message = f"another run is at work in this workspace ({holder})"
            raise Busy(message, hint="let it finish; nothing was done") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)
