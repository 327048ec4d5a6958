"""One client's lines taken out of CSV, JSON lines and other text; all other bytes stay as they are."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from holdfast.formulas import safe_cell
from holdfast.store.scrubbing.documents import clean_json
from holdfast.store.scrubbing.mention import BLOCK, Erasure, Mention

LONGEST_RECORD = 4 << 20
"""A quote that is not closed in so many bytes is taken for a stray one."""

# RFC 4180: a quote stands only around a field, or twice inside such a field.
QUOTED = rb'"[^"]*+(?:""[^"]*+)*+"'
FIELD = re.compile(rb'%b|[^",\r\n]*+' % QUOTED)
RECORD = rb"(?:%b)(?:,(?:%b))*+" % (FIELD.pattern, FIELD.pattern)
ENDS = {b"\n": rb"(?:\r?\n|\Z)", b"\r": rb"(?:\r|\Z)"}
UNCLOSED = re.compile(rb'(?:(?:%b),)*+"[^"]*+(?:""[^"]*+)*+\Z' % FIELD.pattern)
FIELD_OF_A_LINE = rb'(?:"[^"\r\n]*+(?:""[^"\r\n]*+)*+"|[^",\r\n]*+)'
ONE_RECORD_A_LINE = re.compile(rb"(?:%b(?:,%b)*+(?:\r?\n|\r))*+" % (FIELD_OF_A_LINE, FIELD_OF_A_LINE))

Edit = Callable[[bytes], bytes]
"""What a line becomes: itself, other bytes, or none."""


class Lines:
    """A stream in blocks of whole lines, and what its lines end in: line feeds, or carriage returns alone."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._rest = source.read(BLOCK)
        self.newline = b"\r" if b"\r" in self._rest and b"\n" not in self._rest else b"\n"

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        pieces = [self._rest]
        while block := self._source.read(BLOCK):
            end = block.rfind(self.newline) + 1
            pieces.append(block[:end])
            if end:
                self._rest = block[end:]
                return b"".join(pieces)
            pieces[-1] = block
        self._rest = b""
        if not any(pieces):
            raise StopIteration
        return b"".join(pieces)


def clean_text(source: BinaryIO, sink: BinaryIO, erasure: Erasure) -> int | None:
    """Copy text without what belongs to the client; returns how many records or lines were removed.

    With a client column in its header it is CSV: the client's records are removed, and of the records that cannot be
    parsed, or name no client at all, those that mention it. Otherwise every line that mentions it is removed; or
    none where the text is not Holdfast's own: None says then that it cannot be cleaned.
    """
    lines = Lines(source)
    first = next(lines, b"")
    header = _header(first, lines.newline)
    places = [place for place, name in enumerate(header.names) if name in erasure.columns]
    if not places and not erasure.own:
        return None
    if not places:
        mention, edit = erasure.mention, _without_mention(erasure.mention)
        blocks = itertools.chain([first], lines)
        return sum(_edit_lines(block, sink, mention, edit, lines.newline) for block in blocks)
    sink.write(first[: header.end])
    table = _Table(erasure, lines.newline, len(header.names), places)
    return table.clean(itertools.chain([first[header.end :]], lines), sink)


def clean_json_lines(source: BinaryIO, sink: BinaryIO, erasure: Erasure) -> int:
    """Copy JSON lines; returns how many things were removed.

    A line about the client (an object whose client key is the id) is dropped; in other lines what belongs to it is
    removed or redacted as in a document. A line that is not JSON is dropped if it mentions the client.
    """
    removed = 0

    def edit(line: bytes) -> bytes:
        nonlocal removed
        cleaned = clean_json(line, erasure, whole=True)
        if cleaned is None:
            gone = erasure.mention.in_bytes(line)
            cleaned = (b"" if gone else line), int(gone)
        removed += cleaned[1]
        return cleaned[0]

    lines = Lines(source)
    for block in lines:
        _edit_lines(block, sink, erasure.mention, edit, lines.newline)
    return removed


def _without_mention(mention: Mention) -> Edit:
    return lambda line: b"" if mention.in_bytes(line) else line


def _edit_lines(block: bytes, sink: BinaryIO, mention: Mention, edit: Edit, newline: bytes) -> int:
    """Copy whole lines, each in which the id occurs as `edit` has it; returns how many changed."""
    written = changed = 0
    for place, _ in mention.places(block):
        if place < written:
            continue
        start = block.rfind(newline, written, place) + 1 or written
        end = block.find(newline, place) + 1 or len(block)
        line = block[start:end]
        edited = edit(line)
        sink.write(block[written:start] + edited)
        changed += edited != line
        written = end
    sink.write(block[written:])
    return changed


class _Header(NamedTuple):
    names: tuple[str, ...]
    end: int


def _header(block: bytes, newline: bytes) -> _Header:
    """The names in the first record that is not blank, and where it ends; no names where it is not CSV."""
    begin = len(codecs.BOM_UTF8) if block.startswith(codecs.BOM_UTF8) else 0
    begin = len(block) - len(block[begin:].lstrip(b"\r\n"))
    match = re.compile(RECORD + ENDS[newline]).match(block, begin)
    if not match:
        return _Header((), 0)
    return _Header(tuple(name.decode("utf-8", "replace") for name in _fields(match.group())), match.end())


def _fields(record: bytes) -> list[bytes]:
    """The fields of a well-formed record, without their quotes."""
    record = record.rstrip(b"\r\n")
    if b'"' not in record:
        return record.split(b",")
    fields, begin = [], 0
    while True:
        match = FIELD.match(record, begin)
        text = match.group() if match else b""
        fields.append(text[1:-1].replace(b'""', b'"') if text.startswith(b'"') else text)
        begin += len(text) + 1
        if begin > len(record):
            return fields


class _Table:
    """The CSV records of a table of so many `columns`, with client ids in some `places`."""

    def __init__(self, erasure: Erasure, newline: bytes, columns: int, places: list[int]) -> None:
        self._mention = erasure.mention
        # In a table that was made for spreadsheets, an id that begins like a formula has an apostrophe.
        self._written = {erasure.mention.data, safe_cell(erasure.mention.client).encode()}
        self._newline = newline
        self._record = re.compile(RECORD + ENDS[newline])
        self._columns = columns
        self._places = places
        self._removed = 0

    def clean(self, blocks: Iterator[bytes], sink: BinaryIO) -> int:
        """Copy the records without the client's; returns how many were removed."""
        rest = b""
        for block in blocks:
            data = rest + block
            if b'"' not in data or ONE_RECORD_A_LINE.fullmatch(data):
                _edit_lines(data, sink, self._mention, self._edited, self._newline)
                rest = b""
            else:
                rest = self._clean_records(data, sink)
        if rest:
            self._clean_records(rest, sink, final=True)
        return self._removed

    def _clean_records(self, data: bytes, sink: BinaryIO, *, final: bool = False) -> bytes:
        """Copy records that may span lines; returns the unfinished one at the end, unless this is the `final` piece."""
        occurs = self._mention.occurs_in(data)
        begin = written = 0
        while begin < len(data):
            match = self._record.match(data, begin)
            if match:
                end = match.end()
            elif not final and len(data) - begin <= LONGEST_RECORD and UNCLOSED.match(data, begin):
                break
            else:
                end = data.find(self._newline, begin) + 1 or len(data)
            if occurs and self._mention.occurs_in(data[begin:end]) and not self._edited(data[begin:end]):
                sink.write(data[written:begin])
                written = end
            begin = end
        sink.write(data[written:begin])
        return data[begin:]

    def _edited(self, record: bytes) -> bytes:
        gone = self._belongs(record)
        self._removed += gone
        return b"" if gone else record

    def _belongs(self, record: bytes) -> bool:
        is_simple = b'"' not in record and b"\r" not in record
        if is_simple or self._record.fullmatch(record):
            fields = _fields(record)
            if len(fields) == self._columns:
                clients = [fields[place] for place in self._places]
                if any(clients):
                    return not self._written.isdisjoint(clients)
        return self._mention.in_bytes(record)
