"""One client in Excel workbooks: its rows taken out, and every place where it may still be."""

from __future__ import annotations

import codecs
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from holdfast.store.scrubbing.mention import BLOCK, Erasure, Mention
from holdfast.store.scrubbing.rewriting import rewrite

WORKBOOK = "xl/workbook.xml"
MACROS = "xl/vbaProject.bin"
ROWS = ("xl/worksheets/sheet", "xl/sharedStrings.xml")
"""Parts that hold the rows."""
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


def clean_workbook(path: Path, erasure: Erasure) -> int | None:
    """Write the workbook again without the client's rows; returns how many there were.

    The first row of a sheet that is not empty is its header. Removed are the rows whose cell under a client column
    is the id, and of the rows that name no client there (or in a sheet of Holdfast's own that has no such column)
    those in which a cell mentions it. None for a workbook that mentions it elsewhere than in rows (in a pivot table's
    cache, a defined name, a comment that stays), and for somebody else's that mentions it in a sheet that is no table
    of clients, and there alone.

    The rows below move up. Formulas are not adjusted to that, and lose the values computed last until a spreadsheet
    program opens the workbook; what openpyxl does not know (some charts, pictures, extensions) is lost.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if not _found(archive, archive.infolist(), erasure.mention, loosely=True):
            return 0
    return rewrite(path, lambda new: _write_without(path, new, erasure, macros=MACROS in names), erasure.into)


def is_workbook(path: Path) -> bool:
    """True if a zip archive is an Excel workbook."""
    with zipfile.ZipFile(path) as archive:
        return WORKBOOK in archive.namelist()


def workbook_mentions(path: Path, mention: Mention) -> bool:
    """True if a part of the workbook, its name, or a comment mentions the client.

    The texts are looked at as a spreadsheet program reads them. Raises BadZipFile for what is encrypted.
    """
    with zipfile.ZipFile(path) as archive:
        return any(map(mention.in_bytes, notes_of(archive))) or _found(archive, archive.infolist(), mention)


def notes_of(archive: zipfile.ZipFile) -> Iterator[bytes]:
    """What an archive tells of its members: their names, and comments."""
    yield archive.comment
    for member in archive.infolist():
        yield from (member.filename.encode(), member.comment)


def refuse_encrypted(member: zipfile.ZipInfo) -> None:
    """Raises BadZipFile for a member of an archive that is encrypted."""
    if member.flag_bits & ENCRYPTED:
        raise zipfile.BadZipFile("a member is encrypted")


def _found(
    archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo], mention: Mention, *, loosely: bool = False
) -> bool:
    """True if one of the members mentions the client; `loosely`: if the id's characters occur in it."""
    for member in members:
        refuse_encrypted(member)
        with archive.open(member) as stream:
            if member.filename.endswith(MARKUP):
                if member.filename.startswith(DECORATION) or not _is_worth_parsing(archive, member, mention):
                    continue
                texts = _texts(stream, numbers=loosely or not mention.is_short_number)
                if any(mention.client in text if loosely else mention.in_text(text) for text in texts):
                    return True
            elif mention.occurs(stream) if loosely else mention.in_stream(stream):
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


# ---- the new workbook


def _write_without(path: Path, new: Path, erasure: Erasure, *, macros: bool) -> int | None:
    from openpyxl import load_workbook

    with path.open("rb") as stream, warnings.catch_warnings():  # by name, openpyxl would judge by the name
        warnings.simplefilter("ignore")  # what openpyxl says that it will lose is said in the contract
        try:
            book = load_workbook(stream, keep_vba=macros, rich_text=True)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise zipfile.BadZipFile(f"not a workbook: {error}") from error
        found = [_clean_sheet(sheet, erasure) for sheet in book.worksheets]
        book.save(new)
        book.close()
    removed = sum(each for each in found if each)
    if not removed and None in found:
        return None
    with zipfile.ZipFile(new) as archive:
        others = [member for member in archive.infolist() if not member.filename.startswith(ROWS)]
        return None if _found(archive, others, erasure.mention) else removed


def _clean_sheet(sheet: Any, erasure: Erasure) -> int | None:
    """How many rows were removed; None for somebody else's sheet that is no table of clients and mentions this one."""
    rows = enumerate(sheet.iter_rows(values_only=True), start=1)
    places: list[int] | None = None
    gone: list[int] = []
    for number, row in rows:
        cells = [_as_text(cell) for cell in row]
        if places is None and any(cells):
            places = [place for place, name in enumerate(cells) if name in erasure.columns]
            if places:
                continue
        if _belongs(cells, places or [], erasure.mention):
            gone.append(number)
    if gone and not places and not erasure.own:
        return None
    for first, count in _runs_from_the_end(gone):
        sheet.delete_rows(first, count)
    return len(gone)


def _belongs(cells: list[str], places: list[int], mention: Mention) -> bool:
    clients = [cells[place] for place in places]
    if any(clients):
        return mention.client in clients
    return any(mention.in_text(cell) for cell in cells)


def _as_text(cell: object) -> str:
    """A cell as a person reads it: whole numbers without a fraction."""
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _runs_from_the_end(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First number and length of each run of consecutive numbers, the last run first.

    >>> _runs_from_the_end([2, 3, 7])
    [(7, 1), (2, 2)]
    """
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs[::-1]
