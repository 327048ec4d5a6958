"""One client in Excel workbooks: its rows emptied, and every place where it may still be."""

from __future__ import annotations

import codecs
import os
import posixpath
import re
import shutil
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO
from xml.parsers import expat

from holdfast.store.scrubbing.cells import SheetRows
from holdfast.store.scrubbing.kinds import Opaque
from holdfast.store.scrubbing.markup import Editor
from holdfast.store.scrubbing.mention import BLOCK, Erasure, Mention
from holdfast.store.scrubbing.rewriting import rewrite
from holdfast.store.scrubbing.workbookparts import (
    CommentsWithout,
    SheetWithout,
    StringsOf,
    UsedStrings,
    WithoutCalcChain,
)

WORKBOOK = "xl/workbook.xml"
CONTENT_TYPES = "[content_types].xml"
SHARED_STRINGS = "sharedstrings.xml"
CALC_CHAIN = "calcchain.xml"
"""The order of calculation, which names cells that are no more; spreadsheet programs make it anew."""
SHEET = re.compile(r"xl/\w*sheets/[^/]+\.xml")
"""Parts that hold the rows, by their usual names."""
COMMENTS = ("/comments", "/threadedComment")
MARKUP = (".xml", ".rels", ".vml")
DECORATION = ("[Content_Types].xml", "xl/styles.xml", "xl/theme/")
"""Parts that hold nothing a person entered."""
ENTERED = frozenset({"author", "caption", "display", "displayName", "location", "name", "Target", "tooltip", "v"})
"""Attributes that hold what a person entered; of the others many look like ids: r="C10", count="42"."""
SILENT = frozenset(
    {"f", "formula", "formula1", "formula2", "Application", "AppVersion", "DocSecurity", "TotalTime", "i4"}
)
"""Elements whose text is not what a person entered, or names cells."""
ENCRYPTED = 1
"""A bit of a member's flags."""
RUN = re.compile(rb"<(?:[\w.-]{1,12}:)?r[\s>]")
LONGEST_RUN_TAG = 16
JOINED = frozenset({"si", "is", "text"})
"""Elements whose text may be cut into runs of different fonts."""


def clean_workbook(path: Path, erasure: Erasure, seen: os.stat_result | None = None) -> int | None:
    """Write the workbook again with the client's rows emptied; returns how many there were. `seen`: see `rewrite`.

    The first row of a sheet that is not empty is its header. Emptied are the rows whose cell under a client column is
    read as the id, and of the rows that name no client there (or in a sheet of Holdfast's own that has no such
    column) those in which a cell mentions it. None for a workbook that mentions it elsewhere than in rows (in a pivot
    table's cache, a defined name, the comment on another row), and for somebody else's that mentions it in a sheet
    that is no table of clients, and there alone.

    No other cell moves or changes, nor does its formula or its stored result, which may have been worked out from
    what is gone. Comments on the rows are emptied, too.
    """
    found = {part.lower(): _rows_of(rows, erasure) for part, rows in erasure.cells.sheets(path)}
    gone = {part: rows for part, rows in found.items() if rows}
    if not gone:
        with zipfile.ZipFile(path) as archive:
            elsewhere = None in found.values() or _found(archive, archive.infolist(), erasure.mention)
        return None if elsewhere else 0
    return rewrite(path, lambda new: _write_without(path, new, gone, erasure), erasure.into, seen)


def is_workbook(path: Path) -> bool:
    """True if a zip archive is an Excel workbook."""
    with zipfile.ZipFile(path) as archive:
        return WORKBOOK in archive.namelist()


def workbook_mentions(path: Path, erasure: Erasure) -> bool:
    """True if a part of the workbook, its name, or a comment mentions the client, or a cell is read as its id.

    The texts are looked at as a spreadsheet program reads them. Raises BadZipFile for what is encrypted.
    """
    with zipfile.ZipFile(path) as archive:
        if any(map(erasure.mention.in_bytes, notes_of(archive))):
            return True
        if _found(archive, archive.infolist(), erasure.mention):
            return True
    try:
        return any(_names_client(rows, erasure) for _, rows in erasure.cells.sheets(path))
    except Opaque:  # so nobody reads an id in it
        return False


def notes_of(archive: zipfile.ZipFile) -> Iterator[bytes]:
    """What an archive tells of its members: their names, and comments."""
    yield archive.comment
    for member in archive.infolist():
        yield from (member.filename.encode(), member.comment)


def refuse_encrypted(member: zipfile.ZipInfo) -> None:
    """Raises BadZipFile for a member of an archive that is encrypted."""
    if member.flag_bits & ENCRYPTED:
        raise zipfile.BadZipFile("a member is encrypted")


def _found(archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo], mention: Mention) -> bool:
    """True if one of the members mentions the client."""
    for member in members:
        refuse_encrypted(member)
        with archive.open(member) as stream:
            if member.filename.endswith(MARKUP):
                if member.filename.startswith(DECORATION) or not _is_worth_parsing(archive, member, mention):
                    continue
                if any(map(mention.in_text, _texts(stream, numbers=not mention.is_short_number))):
                    return True
            elif mention.in_stream(stream):
                return True
    return False


def _is_worth_parsing(archive: zipfile.ZipFile, member: zipfile.ZipInfo, mention: Mention) -> bool:
    """False if the parsed part cannot mention the client: its bytes do not, and no text in it is cut into runs."""
    with archive.open(member) as stream:
        if mention.occurs(stream):
            return True
    with archive.open(member) as stream:
        end = b""
        while block := stream.read(BLOCK):
            if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or RUN.search(end + block):
                return True
            end = block[-LONGEST_RUN_TAG:]
    return False


def _texts(stream: IO[bytes], *, numbers: bool) -> Iterator[str]:
    """The texts of a part of a workbook that a person entered, with the `numbers` or without, as they come."""
    part = _Part(numbers=numbers)
    while block := stream.read(BLOCK):
        part.parser.Parse(block, False)
        yield from part.take()
    part.parser.Parse(b"", True)
    yield from part.take()


class _Part:
    """One XML part of a workbook, as its parser reads it."""

    def __init__(self, *, numbers: bool) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._values = {"n", "str", "d"} if numbers else {"str"}  # "s" is a place among the shared strings
        self._numbers = numbers
        self._found: list[str] = []
        self._pieces: list[str] = []
        self._joining = 0
        self._silent = False
        self._cell = "n"

    def take(self) -> list[str]:
        """What was found since the last time."""
        found, self._found = self._found, []
        return found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        self._joining += name in JOINED
        if name == "c":
            self._cell = attributes.get("t", "n")
        self._silent = name in SILENT or (name == "v" and self._cell not in self._values)
        if name != "n" or self._numbers:  # a number in the cache of a pivot table
            entered = (attributes[key] for key in attributes if key.rpartition(":")[2] in ENTERED)
            self._found += entered

    def _end(self, name: str) -> None:
        self._silent = False
        self._joining -= name.rpartition(":")[2] in JOINED
        if self._pieces and not self._joining:
            self._found.append("".join(self._pieces))
            self._pieces = []

    def _text(self, text: str) -> None:
        if not self._silent:
            self._pieces.append(text)


# ---- which rows


def _rows_of(rows: SheetRows, erasure: Erasure) -> frozenset[int] | None:
    """The rows to empty; None for somebody else's sheet that is no table of clients and mentions this one."""
    places: list[int] | None = None
    gone: set[int] = set()
    for number, cells in rows:
        if places is None:
            places = [place for place, name in cells.items() if name in erasure.columns]
            if places:
                continue
        clients = {cells[place] for place in places if cells.get(place)}
        if erasure.mention.client in clients or (not clients and any(map(erasure.mention.in_text, cells.values()))):
            gone.add(number)
    return None if gone and not places and not erasure.own else frozenset(gone)


def _names_client(rows: SheetRows, erasure: Erasure) -> bool:
    """True if a cell under a client column is read as the id."""
    _, header = next(rows, (0, {}))
    places = [place for place, name in header.items() if name in erasure.columns]
    return any(cells.get(place) == erasure.mention.client for _, cells in rows for place in places)


# ---- the new workbook


def _write_without(path: Path, new: Path, gone: Mapping[str, Collection[int]], erasure: Erasure) -> int | None:
    with zipfile.ZipFile(path) as old:
        editors = _editors(old, gone)
        with zipfile.ZipFile(new, "w") as fresh:
            fresh.comment = old.comment
            for member in old.infolist():
                name = _name_of(member)
                if not name.endswith(CALC_CHAIN):
                    with old.open(member) as source, fresh.open(_as(member), "w") as sink:
                        if name in editors:
                            editors[name].edit(source, sink)
                        else:
                            shutil.copyfileobj(source, sink, BLOCK)
    with zipfile.ZipFile(new) as archive:
        others = [each for each in archive.infolist() if not (_name_of(each) in gone or _holds_rows(_name_of(each)))]
        elsewhere = any(map(erasure.mention.in_bytes, notes_of(archive))) or _found(archive, others, erasure.mention)
        return None if elsewhere else sum(map(len, gone.values()))


def _editors(archive: zipfile.ZipFile, gone: Mapping[str, Collection[int]]) -> dict[str, Editor]:
    """What edits each part that is not copied as it is."""
    members = {_name_of(member): member for member in archive.infolist()}
    used: set[int] = set()
    editors: dict[str, Editor] = {}
    for name, member in members.items():
        if name in gone or SHEET.fullmatch(name):
            with archive.open(member) as source, Path(os.devnull).open("wb") as nowhere:
                UsedStrings(gone.get(name, ()), used).edit(source, nowhere)
        if name == CONTENT_TYPES or name.endswith(".rels"):
            editors[name] = WithoutCalcChain()
    for name in members:
        if name.endswith(SHARED_STRINGS):
            editors[name] = StringsOf(used)
    for part, rows in gone.items():
        editors[part] = SheetWithout(rows)
        folder, name = posixpath.split(part)
        related = members.get(posixpath.join(folder, "_rels", f"{name}.rels"))
        for target in _comments(archive, related, folder) if related else ():
            editors[target] = CommentsWithout(rows)
    return editors


def _comments(archive: zipfile.ZipFile, relations: zipfile.ZipInfo, folder: str) -> list[str]:
    """The parts with the comments on a sheet."""
    found: list[str] = []

    def start(_tag: str, attributes: dict[str, str]) -> None:
        if attributes.get("Type", "").endswith(COMMENTS):
            place = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
            found.append(place.lstrip("/").lower())

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse(archive.read(relations), True)
    return found


def _name_of(member: zipfile.ZipInfo) -> str:
    """The name of a part: letters in either case are the same."""
    return member.filename.replace("\\", "/").lower()


def _holds_rows(name: str) -> bool:
    return name.endswith(SHARED_STRINGS) or bool(SHEET.fullmatch(name))


def _as(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """A new member like it."""
    twin = zipfile.ZipInfo(member.filename, member.date_time)
    twin.compress_type, twin.external_attr, twin.comment = member.compress_type, member.external_attr, member.comment
    twin.file_size = member.file_size  # which tells whether it needs the format for large ones
    return twin
