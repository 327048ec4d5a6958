"""Whether any trace of a client is left, in one file or below a folder."""

from __future__ import annotations

import codecs
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Literal, NamedTuple

from holdfast.errors import InputOutputError, NotPermitted, from_os_error
from holdfast.store.copies import folder_for_copies
from holdfast.store.scrubbing.databases import database_mentions, database_of_log
from holdfast.store.scrubbing.kinds import BEGINNING, Kind, Opaque, kind_of, opened, unpacked
from holdfast.store.scrubbing.mention import BLOCK, ENCODINGS, WIDE, Erasure, Mention
from holdfast.store.scrubbing.parquet import parquet_mentions
from holdfast.store.scrubbing.workbooks import is_workbook, notes_of, refuse_encrypted, workbook_mentions

SHORTEST_IN_PACKED_BYTES = 4
"""Fewer bytes occur in compressed data by chance."""
PACKED = ("gzip", "bzip2", "xz", "zip", "tar", "parquet")
DEEPEST = 4
"""Archives in archives are looked into so deep."""
SUFFIX = re.compile(r"\.[A-Za-z]+\Z")


class Trace(NamedTuple):
    """A place that still tells of a client: by its name, by what it holds; or it cannot be looked through.

    Then `why` says why not, and `then` what to do, where more is known than that.
    """

    path: Path
    by: Literal["name", "content", "unreadable"]
    why: str = ""
    then: str = ""


def mentions(path: Path, client: str, columns: frozenset[str] = frozenset()) -> bool:
    """True if the file still holds the client: in its raw bytes, or in what they pack or encode.

    That is: inside gzip, bzip2 and xz, in the members of zip and tar archives, and in what is packed in them in turn;
    in workbooks; in the values, dictionaries, statistics and metadata of Parquet files; in text in UTF-16, Latin-1 or
    Windows-1252, whether it says so or not; in the live rows and in the remains of deleted ones of an SQLite database
    (whose log, while it holds anything, counts by every occurrence of the id's characters, even inside a longer
    word). What else is compressed is not unpacked: the streams of a PDF, the pixels of a picture. An id that is a
    short number counts as a number only in one of `columns`, and of a database only as a value.

    Memory does not grow with the file. Rows of a database that may hold remains, and members of archives that are
    packed themselves, are copied for a moment into the system's folder for temporary files; `holds` can be told of
    another. A link, a folder or a device holds nothing.

    Raises InputOutputError or NotPermitted for a file that cannot be read, or looked through to its end.
    """
    return holds(path, Erasure(Mention(client), columns))


def holds(path: Path, erasure: Erasure) -> bool:
    """As `mentions`, with cells read and copies kept as the erasure says."""
    return _Search(erasure).finds(path)


@dataclass(frozen=True, slots=True)
class _Search:
    """Looking for a client in one file, `depth` archives deep."""

    erasure: Erasure
    depth: int = 0

    @property
    def mention(self) -> Mention:
        """What is looked for."""
        return self.erasure.mention

    def finds(self, path: Path) -> bool:
        mention = self.mention
        with opened(path) as stream:
            if stream is None:
                return False
            kind = kind_of(stream.read(BEGINNING))
            stream.seek(0)
            if kind == "sqlite log":
                seen_with_it = mention.is_short_number and database_of_log(path)
                return not seen_with_it and mention.count(stream) > 0
            if kind == "sqlite":
                raw = not mention.is_short_number and mention.in_stream(stream)
                return raw or database_mentions(path, self.erasure)
            if kind == "packed" or self.depth > DEEPEST:
                hint = "unpack it and look at it yourself, and remove it if it is not needed"
                raise Opaque("this is packed in a way that cannot be unpacked here", file=str(path), hint=hint)
            says_something = kind not in PACKED or len(mention.data) >= SHORTEST_IN_PACKED_BYTES
            if says_something and mention.in_stream(stream, json=kind == "json", encodings=_encodings(kind)):
                return True
            stream.seek(0)
            return self._finds_inside(path, stream, kind)

    def _finds_inside(self, path: Path, stream: BinaryIO, kind: Kind) -> bool:
        if kind in {"gzip", "bzip2", "xz"}:
            return self._finds_in(unpacked(stream, kind))
        if kind == "utf-16":
            return self.mention.in_stream(codecs.EncodedFile(stream, "utf-8", "utf-16", errors="replace"))
        if kind == "parquet":
            return parquet_mentions(path, self.erasure)
        if kind == "tar":
            return self._finds_in_tar(stream)
        if kind == "zip":
            return workbook_mentions(path, self.erasure) if is_workbook(path) else self._finds_in_zip(path)
        return False

    def _finds_in_tar(self, stream: BinaryIO) -> bool:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if any(map(self.mention.in_text, (member.name, member.linkname, *member.pax_headers.values()))):
                    return True
                inside = archive.extractfile(member) if member.isfile() else None
                if inside and self._finds_in(inside):
                    return True
        return False

    def _finds_in_zip(self, path: Path) -> bool:
        with zipfile.ZipFile(path) as archive:
            if any(map(self.mention.in_bytes, notes_of(archive))):
                return True
            for member in archive.infolist():
                refuse_encrypted(member)
                with archive.open(member) as inside:
                    if self._finds_in(inside):
                        return True
        return False

    def _finds_in(self, stream: IO[bytes]) -> bool:
        """Look into a member; one that is more than text becomes a file for a moment."""
        beginning = stream.read(BEGINNING)
        whole, kind = _Rest(beginning, stream), kind_of(beginning)
        if kind in {"text", "json", "markup", "binary"}:
            return self.mention.in_stream(whole, json=kind == "json", encodings=_encodings(kind))
        with folder_for_copies(self.erasure.copies) as folder:
            copy = folder / "member"
            with copy.open("wb") as file:
                while block := whole.read(BLOCK):
                    file.write(block)
            return replace(self, depth=self.depth + 1).finds(copy)


def _encodings(kind: Kind) -> tuple[str, ...]:
    """The encodings besides UTF-8 that bytes of a kind may be in; packed bytes are none of a text."""
    if kind in {"text", "json", "markup"}:
        return ENCODINGS
    return WIDE if kind == "binary" else ()


class _Rest:
    """A stream whose beginning was read already, from its start."""

    def __init__(self, beginning: bytes, stream: IO[bytes]) -> None:
        self._beginning = beginning
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`."""
        if self._beginning:
            block, self._beginning = self._beginning[:size], self._beginning[size:]
            return block
        return self._stream.read(size)


def traces(
    root: Path, client: str, skip: frozenset[str] = frozenset(), finds: Callable[[Path], bool] | None = None
) -> Iterator[Trace]:
    """Every file below `root` that mentions the client, or whose name does, and what cannot be looked through.

    Names of folders, and where links lead to, count too; links are not followed. `skip`: paths of files
    and folders below `root`, as `logs/old`, that are left out. `finds` looks into a file, as `mentions` does, which
    is asked without it. In the order of their paths.
    """
    mention = Mention(client)
    for path in everything_below(root, skip):
        found = _trace(path, mention, finds or (lambda path: mentions(path, client)))
        if found:
            yield found


def everything_below(root: Path, skip: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Every file, folder and link below a folder, but for what to `skip`, in the order of their paths.

    Raises NotPermitted or InputOutputError where the folder itself cannot be looked into.
    """
    return _everything_below(root, root, skip)


def _everything_below(folder: Path, root: Path, skip: frozenset[str]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        if folder == root:
            raise from_os_error(error, "read", str(root)) from error
        return  # it was found to be unreadable when it was looked at itself
    for entry in entries:
        path = Path(entry.path)
        if path.relative_to(root).as_posix() not in skip:
            yield path
            if entry.is_dir(follow_symlinks=False):
                yield from _everything_below(path, root, skip)


def _trace(path: Path, mention: Mention, finds: Callable[[Path], bool]) -> Trace | None:
    try:
        target = str(path.readlink()) if path.is_symlink() else ""
        if any(name_mentions(name, mention) for name in (path.name, *PurePosixPath(target).parts)):
            return Trace(path, "name")
        if path.is_dir() and not path.is_symlink():
            os.scandir(path).close()
            return None
        return Trace(path, "content") if finds(path) else None
    except OSError as error:
        return Trace(path, "unreadable", error.strerror or type(error).__name__) if os.path.lexists(path) else None
    except (InputOutputError, NotPermitted) as error:
        return Trace(path, "unreadable", error.message, error.hint or "") if os.path.lexists(path) else None


def name_mentions(name: str, mention: Mention) -> bool:
    """True if a file name does, with or without the dot before it and the endings after it."""
    name = os.fsencode(name).decode("utf-8", "replace").removeprefix(".")
    while not mention.in_text(name):
        shorter = SUFFIX.sub("", name)
        if shorter == name:
            return False
        name = shorter
    return True
