"""Whether any trace of a client is left, in one file or below a folder."""

from __future__ import annotations

import codecs
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from holdfast.errors import InputOutputError, NotPermitted, from_os_error
from holdfast.store.scrubbing.kinds import BEGINNING, kind_of, opened, unpacked
from holdfast.store.scrubbing.mention import Mention
from holdfast.store.scrubbing.parquet import parquet_mentions
from holdfast.store.scrubbing.workbooks import zip_mentions

SHORTEST_IN_PACKED_BYTES = 4
"""Fewer bytes occur in compressed data by chance."""
PACKED = ("gzip", "zip", "parquet")
SUFFIX = re.compile(r"\.[A-Za-z]+\Z")


def mentions(path: Path, client: str) -> bool:
    """True if the file still holds the client: in its raw bytes, or in what they pack or encode.

    That is: inside gzip (one level), in the members of zip archives and workbooks, in the values, dictionaries,
    statistics and metadata of Parquet files, in UTF-16 text, in the live rows and in the remains of deleted ones of
    an SQLite database (whose log, while it holds anything, counts by every occurrence of the id's characters, even
    inside a longer word). What else is compressed is not unpacked: the streams of a PDF, the pixels of a picture.
    Memory does not grow with the file; of a database that may hold remains, the live rows are copied for a moment
    into the system's folder for temporary files. A link, a folder or a device holds nothing.

    Raises InputOutputError or NotPermitted for a file that cannot be read, or looked through to its end.
    """
    mention = Mention(client)
    with opened(path) as stream:
        if stream is None:
            return False
        kind = kind_of(stream.read(BEGINNING))
        stream.seek(0)
        if kind == "sqlite log":
            return mention.count(stream) > 0
        says_something = kind not in PACKED or len(mention.data) >= SHORTEST_IN_PACKED_BYTES
        if says_something and mention.in_stream(stream, json=kind == "json"):
            return True
        if kind == "gzip":
            return _gzip_mentions(stream, mention)
        if kind == "utf-16":
            stream.seek(0)
            return mention.in_stream(codecs.EncodedFile(stream, "utf-8", "utf-16", errors="replace"))
        others = {"parquet": parquet_mentions, "zip": zip_mentions, "sqlite": _database_mentions}
        return kind in others and others[kind](path, mention)


def traces(root: Path, client: str, skip: frozenset[str] = frozenset()) -> tuple[Path, ...]:
    """Every file below `root` that mentions the client, or whose name does, and what cannot be looked through.

    Names of folders, and where links lead to, count too; links are not followed. `skip`: paths of files and folders
    below `root`, as `logs/old`, that are left out. In the order of their paths.
    """
    mention = Mention(client)
    return tuple(path for path in _everything_below(root, root, skip) if _is_trace(path, mention))


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


def _is_trace(path: Path, mention: Mention) -> bool:
    try:
        target = str(path.readlink()) if path.is_symlink() else ""
        if any(_name_mentions(name, mention) for name in (path.name, *PurePosixPath(target).parts)):
            return True
        if path.is_dir() and not path.is_symlink():
            os.scandir(path).close()
            return False
        return mentions(path, mention.client)
    except (OSError, InputOutputError, NotPermitted):
        return os.path.lexists(path)


def _name_mentions(name: str, mention: Mention) -> bool:
    """True if a file name does, with or without the dot before it and the endings after it."""
    name = os.fsencode(name).decode("utf-8", "replace").removeprefix(".")
    while not mention.in_text(name):
        shorter = SUFFIX.sub("", name)
        if shorter == name:
            return False
        name = shorter
    return True


def _gzip_mentions(stream: BinaryIO, mention: Mention) -> bool:
    stream.seek(0)
    inside = unpacked(stream, "gzip")
    kind = kind_of(inside.read(BEGINNING))
    inside.seek(0)
    return mention.in_stream(inside, json=kind == "json")


def _database_mentions(path: Path, mention: Mention) -> bool:
    """True if a value of an SQLite database mentions the client, or deleted rows may.

    Rows are stored with nothing between their values, so deleted ones are found by comparing: characters of the id
    that occur more often in the file than in a copy that holds the live rows alone are remains.
    """
    with path.open("rb") as stream:
        occurrences = mention.count(stream)
    try:
        # As it lies there: reading it in the usual way would make files beside it.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database:
            database.text_factory = bytes
            if any(mention.in_bytes(value) for value in _values(database)):
                return True
            if not occurrences:
                return False
            database.execute("PRAGMA secure_delete = ON")  # else the copy has remains of its own
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "live.sqlite"
                database.execute("VACUUM INTO ?", (str(copy),))
                with copy.open("rb") as stream:
                    return occurrences > mention.count(stream)
    except sqlite3.Error:  # it cannot be understood, so every occurrence counts
        return occurrences > 0


def _values(database: sqlite3.Connection) -> Iterator[bytes]:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in [(b"sqlite_master",), *tables]:
        quoted = table.decode().replace('"', '""')
        for row in database.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608 - quoted
            yield from (value for value in row if isinstance(value, bytes))
