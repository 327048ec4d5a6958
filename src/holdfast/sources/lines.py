"""The physical lines of a delivered file: many at once as a block of whole lines, or one at a time."""

from __future__ import annotations

import codecs
from typing import BinaryIO

from holdfast.errors import FileRefused
from holdfast.sources.files import read_block

BLOCK = 2 << 20
LONGEST_RECORD = 4 << 20


class Lines:
    """Lines that end in `newline`, counted as they are taken; iterating takes one, and remembers it for the record.

    A byte order mark is left out. Raises FileRefused for a line, or the lines of one record, of more than 4 MiB.
    """

    def __init__(self, stream: BinaryIO, name: str, newline: str) -> None:
        self._stream = stream
        self._name = name
        self._newline = newline.encode()
        self._block = b""
        self._taken = 0  # bytes of the block
        self._rest = read_block(stream, name, len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
        self._record: list[str] = []
        self._length = 0
        self.count = 0
        self.first = 1
        self.exhausted = False

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
        return len(self._record)

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
        self.count += 1
        self._record.append(line.decode())
        return self._record[-1]

    def _next_block(self) -> bytes:
        data, end = self._rest, 0
        while not end:
            more = read_block(self._stream, self._name, BLOCK)
            data += more
            end = data.rfind(self._newline) + 1 if more else len(data)
            if not more:
                break
            if not end and len(data) > LONGEST_RECORD:
                self._refuse_length(self.count + 1)
        self._rest = data[end:]
        return data[:end]

    def _refuse_length(self, line: int) -> None:
        raise FileRefused(f"a row longer than {LONGEST_RECORD:,} bytes", file=self._name, row=line)
