"""The physical lines of a delivered file: many at once as a block of whole lines, or one at a time."""

from __future__ import annotations

import codecs
import re
from typing import NoReturn, Protocol

from holdfast.errors import FileRefused
from holdfast.sources.kinds import refuse_what_is_not_csv

BLOCK = 4 << 20
LONGEST_RECORD = 4 << 20

FIRST_LINE = re.compile(rb'(?:"[^"]*+"|[^"\r\n])*+')
FEED = re.compile(rb"\r*\n")
LONE_FEED = re.compile(rb"(?<=[^\r])\n")


class Bytes(Protocol):
    """Bytes that come one after the other, and are hashed as they come."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""

    @property
    def digest(self) -> str:
        """SHA-256 of what was read so far."""


class Lines:
    """Lines of UTF-8 text, counted as they are taken; iterating takes one, and remembers it for the record.

    Lines end as the first one does: in a line feed, or in a carriage return alone (see `line_end`). A byte order mark
    is left out. Raises FileRefused for what is no text, for bytes that are not UTF-8, naming the line, and for
    a line, or the lines of one record, of more than 4 MiB.

    Where lines end in carriage returns, a line feed counts as a line too: it can only stand in quotes, and in a file
    whose lines end in line feeds it would have counted.
    """

    def __init__(self, stream: Bytes, name: str) -> None:
        self._stream = stream
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._newline = b"\n"
        self._bytes = 0
        self._block = self._rest = b""
        self._taken = 0  # bytes of the block
        self.count = 0
        self._rest = self._pull()
        if not self._rest:
            raise FileRefused("the file is empty", file=name, hint="the first line has to name the columns")
        self._rest = self._rest.removeprefix(codecs.BOM_UTF8)
        self._record: list[str] = []
        self._length = 0
        self.first = 1
        self.exhausted = False

    @property
    def newline(self) -> str:
        """What ends a line."""
        return self._newline.decode()

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes that were read."""
        return self._stream.digest

    def block(self) -> bytes:
        """The lines that come next, whole ones, a few megabytes at most, without taking them; empty at the end."""
        if self._taken == len(self._block):
            self._block, self._taken = self._next_block(), 0
        return self._block[self._taken :]

    def take(self, block: bytes, lines: int) -> None:
        """Count the block just looked at, which has so many lines, as taken."""
        self._taken += len(block)
        self.count += lines

    def start_record(self) -> None:
        """The next line is the first of a record."""
        self._record, self._length = [], 0
        self.first = self.count + 1

    @property
    def text(self) -> str:
        """The lines of the record so far."""
        return "".join(self._record)

    @property
    def spanned(self) -> int:
        """The number of lines of the record so far."""
        return self.count + 1 - self.first

    @property
    def unfinished(self) -> bool:
        """True if the line taken last has no end: the file may have been cut short in it."""
        return bool(self._record) and not self._record[-1].endswith(self.newline)

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if self._taken == len(self._block):
            self._block, self._taken = self._next_block(), 0
            if not self._block:
                self.exhausted = True
                raise StopIteration
        end = self._block.find(self._newline, self._taken) + 1 or len(self._block)
        line = self._block[self._taken : end]
        self._length += len(line)
        if self._length > LONGEST_RECORD:
            self._refuse_length(self.first)
        self._taken = end
        self.count += self._ends_in(line) + (not line.endswith(self._newline))
        self._record.append(line.decode())
        return self._record[-1]

    def _next_block(self) -> bytes:
        data = self._rest
        end = data.rfind(self._newline) + 1
        while not end:
            more = self._pull()
            data += more
            end = data.rfind(self._newline) + 1 if more else len(data)
            if not more:
                break
            if not end and len(data) > LONGEST_RECORD:
                self._refuse_length(self.count + 1)
        self._rest = data[end:]
        return data[:end]

    def _pull(self) -> bytes:
        """The next bytes of the file, known to be UTF-8."""
        block = self._stream.read(BLOCK)
        if block and not self._bytes:  # before its encoding: another kind of file is no UTF-8 text either
            refuse_what_is_not_csv(block, self._name)
            self._newline = line_end(block)
        try:
            if not block or self._decoder.getstate()[0] or not block.isascii():
                self._decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            self._refuse_encoding(error, self._bytes + len(block))
        self._bytes += len(block)
        return block

    def _ends_in(self, data: bytes) -> int:
        """How many lines end in `data`, which begins with one."""
        if self._newline == b"\n":
            return data.count(b"\n")
        return data.count(b"\r") + len(LONE_FEED.findall(data))

    def _refuse_encoding(self, error: UnicodeDecodeError, read: int) -> NoReturn:
        """Refuse bytes that are not UTF-8; `error.object` are the last of those `read`."""
        before, wrong = error.object[: error.start], error.object[error.start : error.start + 1]
        pending = self._block[self._taken :] + self._rest + before
        place = read - len(error.object) + error.start + 1
        raise FileRefused(
            f"not UTF-8 text (perhaps Latin-1 or Windows-1252) at byte {place}",
            file=self._name,
            row=self.count + self._ends_in(pending) + 1,
            value=repr(wrong),
            hint="save it as CSV UTF-8, then deliver it again",
        ) from None

    def _refuse_length(self, line: int) -> NoReturn:
        raise FileRefused(f"a row longer than {LONGEST_RECORD:,} bytes", file=self._name, row=line)


def line_end(beginning: bytes) -> bytes:
    r"""What ends the lines of CSV text, judged by the first one: a line feed, or a carriage return that none follows.

    >>> line_end(b'client,"note\nof March"\racme,'), line_end(b"client,note\r\nacme,")
    (b'\r', b'\n')
    """
    line = FIRST_LINE.match(beginning)
    end = line.end() if line else 0
    return b"\r" if beginning[end : end + 1] == b"\r" and not FEED.match(beginning, end) else b"\n"
