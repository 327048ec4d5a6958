"""What counts as a mention of a client in bytes and in text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from json import loads
from pathlib import Path
from typing import Any, Protocol

from holdfast.errors import ConfigurationError
from holdfast.store.scrubbing.cells import CellReader, PlainCells

BLOCK = 1 << 20
WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
SHORT_NUMBER = 4
"""So many digits, or fewer, are not told apart from any other number."""
NEIGHBOURHOOD = 16
"""Bytes before and after a place that are enough to judge it."""
LONGEST_SPELLING = 24
"""Bytes of one character, however it is escaped."""

# How writers of JSON, CSV, HTML and XML spell a character that is special to them; nested JSON escapes twice.
ESCAPES = r"\\{1,4}"
NAMED = {
    '"': rf'""|{ESCAPES}"|&quot;|',
    "'": "&apos;|",
    "&": "&amp;|",
    "<": "&lt;|",
    ">": "&gt;|",
    "/": rf"{ESCAPES}/|",
    "\\": r"\\{2,8}|",
    "\n": rf"{ESCAPES}n|",
    "\r": rf"{ESCAPES}r|",
    "\t": rf"{ESCAPES}t|",
}
ESCAPE_BEFORE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|[nrtbf])\Z")
ESCAPE_AFTER = re.compile(rb"\\{1,4}u([0-9a-fA-F]{4})")
FIELD_BEFORE = re.compile(rb'(?:\A|[,;\t"\r\n]|\\[nrt]|<t>)\Z')
FIELD_AFTER = re.compile(rb'\\{0,4}"|[,;\t\r\n]|\\[nrt]|</t>|\Z')
FILE_ENDING = re.compile(rb"(?:\.(?:csv|gz|html|jsonl?|parquet|pdf|txt|xlsx)){1,2}", re.IGNORECASE)
"""What follows an id where a file is named after a client."""
SENTENCE_END = re.compile(rb"\.{1,3}(?:[\s\"'<>)\\]|\Z)")
JSON_TOKEN = re.compile(rb"null|true|false|NaN|-?(?:Infinity|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
"""What stands in JSON without quotes."""
PARSED = 16 << 20
"""So many bytes of JSON are parsed to tell its strings from what else is in it."""
STRING_AFTER = re.compile(rb'\\{0,4}"')


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whom to erase, and the names of the columns and keys under which a client id stands.

    `own`: the file is Holdfast's own. In a file of somebody else only a table of clients is cleaned. `into`: where
    the cleaned file is written, while the file itself stays as it is. `headers`: the columns of deliveries, by which
    a row is known that is kept as text. `cells`: what ingestion makes of cells that are no text. `copies`: where
    copies are put that are needed for a moment (see `folder_for_copies`).
    """

    mention: Mention
    columns: frozenset[str]
    own: bool = True
    into: Path | None = None
    headers: frozenset[tuple[str, ...]] = frozenset()
    cells: CellReader = field(default_factory=PlainCells)
    copies: Path | None = None

    def names_client(self, fields: Sequence[str]) -> bool:
        """True if the fields of a row name the client, in the columns of a delivery with as many."""
        headers = (header for header in self.headers if len(header) == len(fields))
        named = (field for each in headers for field, name in zip(fields, each, strict=True) if name in self.columns)
        return self.mention.client in named


WIDE = ("utf-16-le", "utf-16-be")
"""Encodings that a file may have without saying so, of two bytes a character or more."""
ENCODINGS = ("cp1252", *WIDE)
"""And that of Windows in Western Europe, which has every letter of Latin-1 in the same place."""
SHORTEST_WIDE = 4
"""Fewer bytes occur in pictures and programs by chance."""


class Stream(Protocol):
    """What can be read a block at a time."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`; none at the end."""


class Mention:
    r"""The mentions of one client: its exact UTF-8 bytes with no letter, digit, `_`, `-` or `.` before or after them,
    but for the ending of a file that is named after the client, and the dot of a sentence that ends with it. (A whole
    field that is the id and a dot is another id.)

    A character that JSON, CSV, HTML or XML escape is also found in its escaped form, and an escape before or after
    the id counts as the character that it stands for. An id of one to four digits is mentioned only by a whole CSV
    field or JSON string that equals it, because every number would be a mention.

    Raises ConfigurationError for an id that is empty or cannot be written in UTF-8.

    >>> mention = Mention("c1")
    >>> [mention.in_text(text) for text in ("c1,5,0", "it was c1.", r"a\nc1", "c1.csv", "c10", "c1-2", "abc1", "c1.5")]
    [True, True, True, True, False, False, False, False]
    >>> [Mention("42").in_text(text) for text in ("42,5,0", '{"client": "42"}', '{"rows": 42}', "42 rows")]
    [True, True, False, False]
    """

    def __init__(self, client: str) -> None:
        if not client:
            raise ConfigurationError("an empty client id cannot be looked for")
        try:
            self.data = client.encode()
        except UnicodeEncodeError:
            raise ConfigurationError("this client id is not valid UTF-8", value=client) from None
        self.client = client
        self.is_short_number = self.data.isdigit() and len(self.data) <= SHORT_NUMBER
        self.spellings = "".join(_spellings(character) for character in client)
        """A regular expression, also in RE2's dialect, for the id in every escaped form."""
        self.is_plain = self.spellings == re.escape(client)

    def in_text(self, text: str) -> bool:
        """True if the text mentions the client."""
        return self.in_bytes(text.encode("utf-8", "surrogatepass"))

    def in_bytes(self, data: bytes) -> bool:
        """True if the bytes mention the client."""
        return any(self._stands_alone(data, start, end) for start, end in self.places(data))

    def in_stream(self, stream: Stream, *, json: bool = False, encodings: Sequence[str] = ()) -> bool:
        """True if the stream mentions the client, in UTF-8 or in one of the other `encodings`; read in blocks.

        In `json` only whole strings are short numbers, and what stands out of strings is nobody's id: a count is no
        client. Text that cannot be parsed, and more than PARSED bytes, is searched as any other.
        """
        if json and self.is_short_number:
            return any(self._judged(stream, self._is_a_string))
        if json and JSON_TOKEN.fullmatch(self.data):
            beginning = _read(stream, PARSED + 1)
            found = self._in_strings(beginning) if len(beginning) <= PARSED else None
            if found is not None:
                return found
            stream = _Resumed(beginning, stream)
        watched = _Watched(stream, [_Elsewhere(self, data, encoding) for data, encoding in self._encoded(encodings)])
        return any(self._judged(watched, self._stands_alone)) or watched.found

    def _in_strings(self, data: bytes) -> bool | None:
        """Whether a string or a key of JSON, or of a JSON text a line, mentions the client; None for anything else."""
        try:
            return any(map(self.in_text, _strings(loads(data))))
        except (ValueError, RecursionError):
            pass
        try:
            return any(map(self.in_text, _strings([loads(line) for line in data.splitlines() if line.strip()])))
        except (ValueError, RecursionError):
            return None

    def _encoded(self, encodings: Sequence[str]) -> Iterator[tuple[bytes, str]]:
        """The id's bytes in those of the encodings that can write it, and otherwise than UTF-8."""
        for encoding in encodings:
            try:
                data = self.client.encode(encoding)
            except UnicodeEncodeError:
                continue
            if data != self.data and (encoding not in WIDE or len(data) >= SHORTEST_WIDE):
                yield data, encoding

    def occurs_in(self, data: bytes) -> bool:
        """True if the id's characters occur in the bytes, whatever stands before and after them."""
        return any(True for _ in self.places(data))

    def occurs(self, stream: Stream) -> bool:
        """True if they occur in the stream."""
        return any(self._judged(stream, lambda *_: True))

    def count(self, stream: Stream) -> int:
        """How often they do."""
        return sum(1 for _ in self._judged(stream, lambda *_: True))

    def places(self, data: bytes, begin: int = 0) -> Iterator[tuple[int, int]]:
        """Start and end of every occurrence from `begin` on, whatever its neighbours; they may overlap."""
        while True:
            if self.is_plain:
                start = data.find(self.data, begin)
                end = start + len(self.data)
            else:
                match = self._pattern.search(data, begin)
                start, end = match.span() if match else (-1, -1)
            if start < 0:
                return
            yield start, end
            begin = start + 1

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        return re.compile(self.spellings.encode())

    def _judged(self, stream: Stream, judge: Callable[[bytes, int, int], bool]) -> Iterator[bool]:
        """The judgement on every place, each made once, when enough of what follows it has been read."""
        longest = LONGEST_SPELLING * len(self.client)
        data, offset, begin = b"", 0, 0  # `offset` of data in the stream, and where in the stream to go on
        while True:
            block = stream.read(BLOCK)
            data += block
            for start, end in self.places(data, begin - offset):
                if block and end + NEIGHBOURHOOD > len(data):
                    break
                yield judge(data, start, end)
                begin = offset + start + 1
            if not block:
                return
            begin = max(begin, offset + len(data) - longest - NEIGHBOURHOOD)
            kept = max(0, begin - NEIGHBOURHOOD - offset)
            data, offset = data[kept:], offset + kept

    def _stands_alone(self, data: bytes, start: int, end: int) -> bool:
        if self.is_short_number:
            return bool(FIELD_BEFORE.search(data, max(0, start - 3), start) and FIELD_AFTER.match(data, end))
        if _word_before(data, start):
            return False
        ending = FILE_ENDING.match(data, end)
        if not _word_after(data, end) or (ending and not _word_after(data, ending.end())):
            return True
        return bool(SENTENCE_END.match(data, end) and not FIELD_BEFORE.search(data, max(0, start - 3), start))

    @staticmethod
    def _is_a_string(data: bytes, start: int, end: int) -> bool:
        return data[start - 1 : start] == b'"' and bool(STRING_AFTER.match(data, end))


class _Resumed:
    """A stream of which the beginning was read already."""

    def __init__(self, beginning: bytes, rest: Stream) -> None:
        self._beginning = beginning
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`."""
        block, self._beginning = self._beginning[:size], self._beginning[size:]
        return block or self._rest.read(size)


def _read(stream: Stream, size: int) -> bytes:
    blocks: list[bytes] = []
    while size > 0 and (block := stream.read(min(size, BLOCK))):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _strings(value: Any) -> Iterator[str]:
    """The strings of a JSON value, keys too; of one that is JSON itself, its strings."""
    if isinstance(value, str):
        try:
            within = loads(value) if value[:1] in {"{", "["} else value
        except (ValueError, RecursionError):
            within = value
        yield from [value] if within is value else _strings(within)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


class _Elsewhere:
    """A client's id in another encoding than UTF-8, looked for in blocks."""

    def __init__(self, mention: Mention, data: bytes, encoding: str) -> None:
        self._mention = mention
        self._id = data
        self._encoding = encoding
        self._width = 2 if encoding in WIDE else 1
        self._kept = b""
        self.found = False

    def look_at(self, block: bytes) -> None:
        """Look at the next block; at an empty one in the end."""
        around = NEIGHBOURHOOD * self._width
        data = self._kept + block
        end = len(data) - around * bool(block)
        start = data.find(self._id, 0, end)
        while start >= 0 and not self.found:
            first = start - min(start, around) // self._width * self._width
            text = data[first : start + len(self._id) + around].decode(self._encoding, "replace")
            self.found = self._mention.in_text(text)
            start = data.find(self._id, start + 1, end)
        self._kept = data[-(len(self._id) + 2 * around) :]


class _Watched:
    """A stream whose blocks are also looked at in other encodings."""

    def __init__(self, stream: Stream, others: Sequence[_Elsewhere]) -> None:
        self._stream = stream
        self._others = others

    @property
    def found(self) -> bool:
        """True if the id was found in one of them."""
        return any(other.found for other in self._others)

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`."""
        block = self._stream.read(size)
        for other in self._others:
            other.look_at(block)
        return block


def _spellings(character: str) -> str:
    if character.isascii() and character.isprintable() and character not in NAMED:
        return re.escape(character)
    units = character.encode("utf-16-be").hex()
    escaped = "".join(rf"{ESCAPES}u(?i:{units[i : i + 4]})" for i in range(0, len(units), 4))
    entities = f"&#0{{0,4}}{ord(character)};|&#[xX]0{{0,4}}(?i:{ord(character):x});"
    return f"(?:{NAMED.get(character, '')}{escaped}|{entities}|{re.escape(character)})"


def _word_before(data: bytes, start: int) -> bool:
    if start == 0:
        return False
    if data[start - 1] >= 0x80:
        tail = data[max(0, start - 4) : start]
        return any(_is_word(tail[-width:]) for width in range(2, 5))
    escape = ESCAPE_BEFORE.search(data, max(0, start - 6), start)
    if escape:
        return escape[1] is not None and _is_word(_unit(escape[1]))
    return data[start - 1] in WORD


def _word_after(data: bytes, end: int) -> bool:
    if end == len(data):
        return False
    if data[end] >= 0x80:
        return any(_is_word(data[end : end + width]) for width in range(2, 5))
    escape = ESCAPE_AFTER.match(data, end)
    return _is_word(_unit(escape[1])) if escape else data[end] in WORD


def _unit(hexadecimal: bytes) -> bytes:
    return chr(int(hexadecimal, 16)).encode("utf-8", "surrogatepass")


def _is_word(data: bytes) -> bool:
    """True if the bytes are one character of a word; a combining mark belongs to its letter."""
    try:
        character = data.decode()
    except UnicodeDecodeError:
        return False
    return len(character) == 1 and (character in "_-." or unicodedata.category(character)[0] in "LMN")
