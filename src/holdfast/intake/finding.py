"""What lies in the folders: files that are whole and still, identified by their bytes."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import FileRefused, HoldfastError, InputOutputError, NotPermitted, SourceUnreachable
from holdfast.limits import Limits
from holdfast.records.data import Identity
from holdfast.sourcelist import FolderSource
from holdfast.sources.files import digest_of_delivery, list_folder, name_of, open_regular
from holdfast.sources.kinds import kind_of_name, refuse_what_is_not_csv
from holdfast.workspace import Workspace

TAIL = 1 << 16
"""As far from its end an Excel workbook may have its closing record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file of an input folder, identified by its bytes. `folder` is the folder or source that it belongs to."""

    path: Path
    folder: str
    digest: str
    size: int
    columns: tuple[tuple[str, str], ...] = ()
    sheet: str | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def read_as(self) -> str:
        """A digest of what the source says about reading it; empty where it says nothing."""
        return _digest(self.columns, self.sheet) if self.columns or self.sheet else ""

    @property
    def identity(self) -> Identity:
        """What its delivery is recognised by."""
        return self.digest, self.read_as

    @property
    def refused_as(self) -> str:
        """The same, with the limits that it may break."""
        return f"{self.read_as}+{_digest(self.limits)}"

    @property
    def name(self) -> str:
        """The file's name, as records hold it."""
        return name_of(self.path)


@dataclass(frozen=True, kw_only=True)
class Lying:
    """What was found: files that can be read, notices about others, files to wait for, names that cannot be read,
    and why a source's folder could not be looked into.
    """

    files: tuple[Found, ...]
    notices: tuple[str, ...]
    deferred: tuple[str, ...]
    unreadable: tuple[tuple[str, str, HoldfastError], ...]
    absent: tuple[HoldfastError, ...]

    @cached_property
    def copies(self) -> Counter[Identity]:
        """How many files lie there with the same bytes, to be read in the same way."""
        return Counter(file.identity for file in self.files)


Known = Callable[[Found], bool]


def look(workspace: Workspace, known: Known) -> Lying:
    """The files that lie in the input folder and in the folders of `sources`.

    A file that is not `known` is deferred when it is still changing, or has lately changed and does not end as a
    whole file does. One pause of at most `settle_seconds` is made for files that have just been written.
    """
    files: list[Found] = []
    notices: list[str] = []
    unreadable: list[tuple[str, str, HoldfastError]] = []
    absent: list[HoldfastError] = []
    for folder, source, label in _folders(workspace):
        try:
            listing = list_folder(folder)
        except (NotPermitted, InputOutputError) as error:
            if source is None:
                raise
            absent.append(_absent(folder, source, error))
            continue
        notices += [f"{name}: left alone, {why}" for name, why in listing.left_alone]
        for path in listing.files:
            try:
                files.append(_identified(path, source, label, workspace.limits))
            except FileNotFoundError:
                notices.append(f"{name_of(path)}: left alone, it has just vanished")
            except (FileRefused, NotPermitted, InputOutputError) as error:
                if not os.path.lexists(path):
                    notices.append(f"{name_of(path)}: left alone, it has just vanished")
                else:
                    unreadable.append((name_of(path), label, error))
    deferred = dict(_unsettled(workspace, [file for file in files if not known(file)]))
    return Lying(
        files=tuple(file for file in files if file.path not in deferred),
        notices=tuple(notices),
        deferred=tuple(deferred.values()),
        unreadable=tuple(unreadable),
        absent=tuple(absent),
    )


def _folders(workspace: Workspace) -> Iterator[tuple[Path, FolderSource | None, str]]:
    yield workspace.existing(workspace.input_folder, "input_folder_path"), None, workspace.source
    for source in workspace.sources:
        if isinstance(source, FolderSource):
            yield workspace.folder_of(source), source, source.name


def _absent(folder: Path, source: FolderSource, error: HoldfastError) -> HoldfastError:
    """Why a source is passed over whose folder is not there, or cannot be looked into."""
    if isinstance(error, NotPermitted):
        return error
    message = f"the folder {folder} " + (error.message if os.path.lexists(folder) else "does not exist")
    hint = f"is it mounted? Or correct 'folder' of source '{source.name}' in config.json"
    return SourceUnreachable(message, file=source.name, hint=hint)


def _identified(path: Path, source: FolderSource | None, label: str, limits: Limits) -> Found:
    return Found(
        path=path,
        folder=label,
        digest=digest_of_delivery(path),
        size=path.stat().st_size,
        columns=source.columns if source else (),
        sheet=source.sheet if source else None,
        limits=limits,
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _unsettled(workspace: Workspace, files: Sequence[Found]) -> Iterator[tuple[Path, str]]:
    """New files that may still be on their way, and what to say of them."""
    seen = {file.path: _state(file.path) for file in files}
    young = [age for state in seen.values() if state and (age := state.age) < workspace.settle_seconds]
    if young:
        time.sleep(workspace.settle_seconds - min(young))
    for file in files:
        try:
            why = _why_wait(workspace, file.path, seen[file.path])
        except (FileRefused, NotPermitted, InputOutputError) as error:  # it could be read a moment ago
            why = error.message
        if why:
            yield file.path, f"{file.name}: left for the next time, {why}"


def _why_wait(workspace: Workspace, path: Path, before: _State | None) -> str | None:
    if before is None or _state(path) != before:
        return "it is still being written"
    if before.age < workspace.unfinished_seconds and not _ends_whole(path):
        wait = f"it is waited for until it has been left alone for {workspace.unfinished_seconds:g} seconds"
        return f"it does not end as a whole file does; {wait}"
    return None


class _State(NamedTuple):
    """What changes when a file is written."""

    inode: int
    size: int
    modified: float
    changed: float

    @property
    def age(self) -> float:
        """Seconds since it was last written; a time that has not come yet says nothing, then its inode's counts."""
        now = time.time()
        return max(0.0, now - (self.modified if self.modified <= now else self.changed))


def _state(path: Path) -> _State | None:
    try:
        status = path.lstat()
    except OSError:  # gone, which is a change too
        return None
    return _State(status.st_ino, status.st_size, status.st_mtime, status.st_ctime)


def _ends_whole(path: Path) -> bool:
    """True unless the file's last bytes show that more has to come."""
    with open_regular(path) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
        tail = stream.read()
        stream.seek(0)
        beginning = stream.read(TAIL)
    kind = kind_of_name(path.name)
    if kind == "csv" and _is_no_csv(beginning, path.name):
        return True
    if kind == "parquet":
        return tail.endswith(b"PAR1") or not tail
    if kind == "excel":
        return b"PK\x05\x06" in tail or not tail
    return kind == "gzip" or not tail or tail.endswith((b"\n", b"\r"))


def _is_no_csv(beginning: bytes, name: str) -> bool:
    """True if a file is to be refused whatever follows: there is nothing to wait for."""
    try:
        refuse_what_is_not_csv(beginning, name)
    except FileRefused:
        return True
    return False
