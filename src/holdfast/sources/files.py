"""Delivered files: found, opened without following links, and identified by their bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from holdfast.errors import FileRefused, LocationRefused, excerpt, from_os_error, nearest
from holdfast.sources.kinds import ENDINGS, kind_of_name

BLOCK = 1 << 20
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

CONTROL = "[\x00-\x1f\x7f\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
"""Characters that act on a terminal or a page instead of showing themselves."""

UNSPEAKABLE = re.compile(rf"{CONTROL}|[\ud800-\udfff\\]")
"""They, bytes that are not UTF-8, and the backslash that stands for both in the name of a file."""

SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": "\\\\"}


def name_of(path: Path) -> str:
    r"""The name of a file as records hold it and people see it: no two names have the same.

    Control characters, and bytes that are not UTF-8, are written as `\n` or as the bytes that they are, like `\xff`;
    a backslash is written twice. In a shell, `$'...'` around it gives the name back.

    >>> name_of(Path("bad\udcff\n=cmd.csv"))
    'bad\\xff\\n=cmd.csv'
    """
    return UNSPEAKABLE.sub(_escaped, path.name)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return SHORT.get(character) or "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """The files of a folder that can be deliveries, in name order, and what else lies there (name, why it is left)."""

    files: tuple[Path, ...]
    left_alone: tuple[tuple[str, str], ...]


def list_folder(folder: Path) -> FolderListing:
    """The files of `folder` that can be deliveries: regular, not hidden, named as a kind that Holdfast reads.

    Raises NotPermitted or InputOutputError when the folder cannot be read.
    """
    files, left_alone = [], []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise from_os_error(error, "read", str(folder)) from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        reason = _why_left_alone(entry)
        if reason:
            left_alone.append((name_of(Path(entry.path)), reason))
        else:
            files.append(Path(entry.path))
    return FolderListing(files=tuple(files), left_alone=tuple(left_alone))


def _why_left_alone(entry: os.DirEntry[str]) -> str | None:
    if kind_of_name(entry.name) is None:
        return f"not a {', '.join(ENDINGS)} file"
    if entry.is_symlink():
        return "a link, not a file: copy the file itself here"
    return None if entry.is_file(follow_symlinks=False) else "not a regular file"


def open_regular(path: Path) -> BinaryIO:
    """`path` opened for reading, if it is a regular file and no link.

    Raises FileRefused for anything else, NotPermitted or InputOutputError when the system says no.
    """
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileRefused("a link, not a file", file=name_of(path), hint="copy the file itself here") from None
        known = from_os_error(error, "read", name_of(path))
        if isinstance(error, FileNotFoundError):
            known.hint = did_you_mean(path.name, path.parent)
        raise known from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileRefused("not a regular file", file=name_of(path))
    return os.fdopen(descriptor, "rb")


def open_beneath(root: Path, relative: PurePosixPath) -> BinaryIO:
    """The regular file at `relative` below `root`, walked one component at a time so that no link is followed.

    Raises LocationRefused when a component is a link, a parent reference, or not there.
    """
    if relative.is_absolute() or ".." in relative.parts:
        raise LocationRefused("a location is relative and does not go up", file=excerpt(str(relative)))
    try:
        descriptor = _walk(root, relative)
    except (OSError, ValueError):
        message = "there is no regular file at this location"
        hint = did_you_mean(relative.name, root) or "name a CSV file of a data folder"
        raise LocationRefused(message, file=excerpt(str(relative)), hint=hint) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LocationRefused("not a regular file", file=excerpt(str(relative)))
    return os.fdopen(descriptor, "rb")


def did_you_mean(name: str, folder: Path) -> str | None:
    """The hint that names the data file of `folder` most like `name`, if there is one."""
    files = list_folder(folder).files if folder.is_dir() else ()
    # By their stems: the common ending would make any two file names look alike. Of one stem the same kind counts.
    files = tuple(sorted(files, key=lambda path: kind_of_name(path.name) == kind_of_name(name)))
    stems = {path.stem: name_of(path) for path in files}
    close = nearest(Path(name).stem, stems)
    return f"did you mean '{stems[close]}'?" if close else None


def _walk(root: Path, relative: PurePosixPath) -> int:
    """A descriptor of the file, from the root down, each folder held open while the next name is looked up in it."""
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in relative.parts[:-1]:
            inner = os.open(part, OPEN_FLAGS | os.O_DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = inner
        return os.open(relative.name, OPEN_FLAGS, dir_fd=directory)
    finally:
        os.close(directory)


def read_block(stream: BinaryIO, name: str, size: int = BLOCK) -> bytes:
    """The next bytes of a delivered file, at most `size`; raises InputOutputError when the system cannot read them."""
    try:
        return stream.read(size)
    except OSError as error:
        raise from_os_error(error, "read", name) from None


def digest_of_delivery(path: Path) -> str:
    """SHA-256 of a delivered file, opened as `open_regular` does."""
    hasher = hashlib.sha256()
    with open_regular(path) as stream:
        while block := read_block(stream, name_of(path)):
            hasher.update(block)
    return hasher.hexdigest()
