"""XML with some elements replaced and every other byte as it was, in one pass and little memory."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import IO, NoReturn
from xml.parsers import expat

from holdfast.store.scrubbing.kinds import Opaque
from holdfast.store.scrubbing.mention import BLOCK

Attributes = Mapping[str, str]

ENCODINGS = {"utf-8", "utf8", "us-ascii", "ascii"}
"""In others what is put in would have to be written otherwise; spreadsheet programs write none of them."""


class Editor:
    """What replaces elements; a subclass says which, and by what. Names of tags are told without their prefixes."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.XmlDeclHandler = _refuse_other_encodings
        self._parser.StartDoctypeDeclHandler = _refuse_document_type
        self._pending = bytearray()
        self._offset = 0
        self._depth = 0
        self._prefix = ""
        self._ended = False
        self._sink: IO[bytes]

    def edit(self, source: IO[bytes], sink: IO[bytes]) -> None:
        """Copy a document. Raises Opaque for one in an encoding other than UTF-8, or with a document type."""
        self._sink = sink
        while block := source.read(BLOCK):
            if not self._offset and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                _refuse_other_encodings("", "UTF-16", 0)
            self._pending += block
            self._parser.Parse(block, False)
            self._pass(kept=not (self._depth or self._ended))
        self._parser.Parse(b"", True)
        sink.write(self._pending)

    def replaces(self, tag: str, attributes: Attributes, /) -> bool:
        """True if the element that begins is to be replaced, with all in it."""
        raise NotImplementedError

    def begins_inside(self, tag: str, attributes: Attributes, /) -> None:
        """An element begins in one that is replaced."""

    def ends_inside(self, tag: str, text: str, /) -> None:
        """It ends, with this text right before its end tag; the replaced element itself ends so, too."""

    def replacement(self, _prefix: str, /) -> str:
        """What takes the element's place; the prefix is that of its tags, with the colon."""
        return ""

    def _start(self, tag: str, attributes: Attributes) -> None:
        self._settle()
        prefix, colon, name = tag.rpartition(":")
        self._pieces: list[str] = []
        if self._depth:
            self._depth += 1
            self.begins_inside(name, attributes)
        elif self.replaces(name, attributes):
            self._pass(kept=True)
            self._depth, self._prefix = 1, prefix + colon

    def _end(self, tag: str) -> None:
        self._settle()
        name = tag.rpartition(":")[2]
        if not self._depth:
            return
        self.ends_inside(name, "".join(self._pieces))
        self._pieces = []
        self._depth -= 1
        if not self._depth:
            self._sink.write(self.replacement(self._prefix).encode())
            self._ended = True

    def _text(self, text: str) -> None:
        if self._depth:
            self._pieces.append(text)

    def _settle(self) -> None:
        """The end of the replaced element's last tag is known when the next one begins."""
        if self._ended:
            self._pass(kept=False)
            self._ended = False

    def _pass(self, *, kept: bool) -> None:
        """Come to where the parser is; what lies before that is written, or is not."""
        size = max(self._parser.CurrentByteIndex - self._offset, 0)
        if kept:
            self._sink.write(self._pending[:size])
        del self._pending[:size]
        self._offset += size


def _refuse_other_encodings(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding and encoding.lower() not in ENCODINGS:
        raise Opaque(f"a part of it is in the encoding {encoding}")


def _refuse_document_type(*_: object) -> NoReturn:
    raise Opaque("a part of it declares a document type, as XML bombs do and workbooks never")
