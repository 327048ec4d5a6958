"""An Excel workbook (.xlsx) as a stranger's file: its sheets, and the cells of a sheet as text, row by row.

A workbook is a zip archive of XML parts (ECMA-376). Only what tells the values of cells is read: number formats,
because they make a number a date, and the stored results of formulas. Macros are never run. Parts are parsed as
streams; a document type declaration, in which XML bombs are laid, is refused.
"""

from __future__ import annotations

import os
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO
from xml.parsers import expat

from holdfast.errors import FileRefused
from holdfast.limits import Limits
from holdfast.sources.unpacking import damage_refused, refuse_unpacked
from holdfast.sources.workbookxml import (
    SINCE_1900,
    SINCE_1904,
    Attributes,
    Cells,
    Handler,
    Row,
    Strings,
    Tags,
    formats_of,
)

BLOCK = 1 << 20
LONGEST_TAG = 8 << 20
MOST_ENTRIES = 10_000

OLD_MARK = b"\xd0\xcf\x11\xe0"
"""Old workbooks (.xls) and encrypted new ones begin so."""

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    expat.ExpatError,
    EOFError,
    NotImplementedError,
    OverflowError,
    LookupError,
    ValueError,
    OSError,
)
"""What the readers of zip archives and XML raise for bytes that are none."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of cells: its name, whether it is shown, and its part of the archive."""

    name: str
    visible: bool
    part: str


class Workbook:
    """The sheets of a workbook, at once, and their rows on demand. `has_macros`: it holds some, which nobody runs.

    `without_result`: how many formulas in the rows read so far were stored without their result.

    Raises FileRefused for what is no workbook, for a damaged, encrypted or binary one, and for one that unpacks to
    more than `limits` allow. MemoryError passes through.
    """

    def __init__(self, stream: BinaryIO, name: str, limits: Limits) -> None:
        self.name = name
        self.without_result = 0
        with self._damage_refused():
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            if stream.read(len(OLD_MARK)) == OLD_MARK:
                hint = "open it in Excel and save it as .xlsx, without a password"
                raise FileRefused("an old Excel workbook (.xls), or one with a password", file=name, hint=hint)
            self._archive = zipfile.ZipFile(stream)
            entries = self._archive.infolist()
            _check_entries(entries)
            refuse_unpacked(sum(entry.file_size for entry in entries), size, limits, name)
            self._entries = {entry.filename.replace("\\", "/").lower(): entry for entry in entries}
            self._refuse_other_archives()
            self.has_macros = any(entry.endswith("vbaproject.bin") for entry in self._entries)
            self.sheets = self._read_structure()

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """The rows of a sheet that are not empty, in its own order, their cells as `typed.as_text` would write them.

        Booleans stay booleans: the column tells how they are written. A number is a date if its format says so and it
        can be one; a time without a date is hours:minutes:seconds, and so is a duration. A whole number with a format
        of zeros alone, such as 00000, has as many digits. Other formats do not count.
        """
        with self._damage_refused():
            strings = Strings()
            for part in self._strings:
                for _ in self._parse(part, strings):
                    pass
        cells = Cells(strings.texts, self._formats, self._epoch)
        blocks = self._parse(sheet.part, cells)
        more = True
        while more:
            with self._damage_refused():
                more = next(blocks, False)
            yield from cells.rows
            cells.rows.clear()
            self.without_result = cells.without_result

    def _damage_refused(self) -> AbstractContextManager[None]:
        return damage_refused("an Excel workbook", self.name, DAMAGE)

    def _refuse_other_archives(self) -> None:
        if "xl/workbook.bin" in self._entries:
            message, hint = "a binary Excel workbook (.xlsb)", "open it in Excel and save it as .xlsx"
        elif "content.xml" in self._entries and "mimetype" in self._entries:
            message, hint = "an OpenDocument file, not an Excel workbook", "save it as .xlsx"
        elif "[content_types].xml" not in self._entries:
            message, hint = "a zip archive, not an Excel workbook", "unpack it, and deliver the files in it"
        else:
            return
        raise FileRefused(message, file=self.name, hint=hint)

    def _read_structure(self) -> tuple[Sheet, ...]:
        mains = [part for kind, part in self._related("").values() if kind == "officeDocument"]
        tags = self._tags(mains[0]) if mains else []
        if not any(tag == "workbook" for tag, _ in tags):
            hint = "it may be a document or a presentation"
            raise FileRefused("not an Excel workbook", file=self.name, hint=hint)
        related = self._related(mains[0])
        dates = [attributes.get("date1904") for tag, attributes in tags if tag == "workbookPr"]
        self._epoch = SINCE_1904 if dates and dates[0] in {"1", "true"} else SINCE_1900
        self._strings = [part for kind, part in related.values() if kind == "sharedStrings"]
        styles = [part for kind, part in related.values() if kind == "styles"]
        self._formats = formats_of(self._tags(styles[0])) if styles else {}
        sheets = []
        for tag, attributes in tags:
            if tag == "sheet":
                identity = next((value for key, value in attributes.items() if key.endswith(":id")), "")
                if identity not in related:
                    raise ValueError(f"there is no part for the sheet {attributes['name']}")
                kind, part = related[identity]
                if kind == "worksheet":
                    visible = attributes.get("state", "visible") == "visible"
                    sheets.append(Sheet(attributes["name"], visible, part))
        return tuple(sheets)

    def _related(self, part: str) -> dict[str, tuple[str, str]]:
        """The kind and name of each part that `part` names as related to it, by the identity that it uses for it."""
        folder, name = posixpath.split(part)
        found = {}
        for tag, attributes in self._tags(posixpath.join(folder, "_rels", f"{name}.rels")):
            if tag == "Relationship" and attributes.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, attributes["Target"])).lstrip("/")
                found[attributes["Id"]] = attributes["Type"].rpartition("/")[2], target
        return found

    def _tags(self, part: str) -> Sequence[tuple[str, Attributes]]:
        tags = Tags()
        for _ in self._parse(part, tags):
            pass
        return tags.found

    def _parse(self, part: str, handler: Handler) -> Iterator[bool]:
        """Parse a part of the archive, a block at a time; yields True after each."""
        entry = self._entries.get(part.lower())
        if entry is None:
            raise ValueError(f"there is no {part} in it")
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = handler.start, handler.end
        parser.CharacterDataHandler = handler.pieces.append
        parser.StartDoctypeDeclHandler = _refuse_document_type
        fed = 0
        with self._archive.open(entry) as stream:
            while block := stream.read(BLOCK):
                parser.Parse(block)
                fed += len(block)
                # Expat looks at an unfinished tag again from its start with every block.
                if fed - max(parser.CurrentByteIndex, 0) > LONGEST_TAG:
                    raise ValueError(f"a tag of more than {LONGEST_TAG:,} bytes")
                yield True
            parser.Parse(b"", True)
            yield True


def _check_entries(entries: Sequence[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"{len(entries):,} files in one archive")
    names = set()
    for entry in entries:
        if entry.flag_bits & 1:
            raise ValueError("it is encrypted")
        # Python unpacks other methods a whole block at once, however large that becomes.
        if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError(f"compression method {entry.compress_type}")
        if entry.filename.lower() in names:
            raise ValueError(f"two files called {entry.filename}")
        names.add(entry.filename.lower())


def _refuse_document_type(*_: object) -> None:
    raise ValueError("it declares a document type, as XML bombs do and workbooks never")
