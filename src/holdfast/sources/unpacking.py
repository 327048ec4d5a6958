"""The bytes of a delivery, hashed as they are read, and those of a gzip-compressed one unpacked within its limits."""

from __future__ import annotations

import errno
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from holdfast.errors import FileRefused, from_os_error, printable
from holdfast.limits import Limits
from holdfast.sources.files import BLOCK, read_block

UNRATED = 10_000_000
"""What any file may unpack to, however small it is: `Limits.ratio` is for what goes beyond."""

SHOWN_REASON = 160


def most_unpacked(packed: int, limits: Limits) -> int:
    """The most bytes that `packed` bytes may unpack to.

    >>> most_unpacked(1_000_000, Limits(ratio=200))
    200000000
    """
    return min(limits.unpacked_bytes, max(UNRATED, packed * limits.ratio))


def refuse_unpacked(unpacked: int, packed: int, limits: Limits, name: str) -> None:
    """Raises FileRefused when `packed` bytes of the file have become, or say that they become, too many."""
    most = most_unpacked(packed, limits)
    if unpacked > most:
        message = f"unpacks to more than {most:,} bytes"
        hint = "the keys limits.ratio and limits.unpacked_bytes of config.json set how much a file may unpack to"
        raise FileRefused(message, file=name, hint=hint)


@contextmanager
def damage_refused(what: str, file: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """What a reader says, in one of its `errors`, of bytes that are not `what` they should be, as FileRefused.

    An error of the system itself is raised as what it is, and MemoryError passes through.

    >>> with damage_refused("a gzip archive", "march.csv.gz", (zlib.error,)):
    ...     zlib.decompress(b"a,b")
    Traceback (most recent call last):
    holdfast.errors.FileRefused: march.csv.gz: not a gzip archive, or a damaged one: Error -3 while ...
    """
    try:
        yield
    except MemoryError:
        raise
    except errors as error:
        # A seek to where a damaged file says that something stands is an invalid argument.
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise from_os_error(error, "read", file) from None
        reason = printable(str(error))[:SHOWN_REASON]
        message = f"not {what}, or a damaged one: {reason}"
        raise FileRefused(message, file=file, hint="write it anew, then deliver it again") from None


def digest_of(stream: BinaryIO, name: str) -> str:
    """SHA-256 of all bytes of `stream`, which is left at its end."""
    hashed = Hashed(stream, name)
    stream.seek(0)
    while hashed.read(BLOCK):
        pass
    return hashed.digest


class Hashed:
    """A stream read once, from where it stands: `digest` is the SHA-256 of what was read, `position` its length.

    Raises InputOutputError or NotPermitted when the system cannot read it.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._hasher = hashlib.sha256()
        self.position = 0

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        block = read_block(self._stream, self._name, size)
        self._hasher.update(block)
        self.position += len(block)
        return block

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes read so far."""
        return self._hasher.hexdigest()


class Unpacked:
    """What a gzip-compressed stream unpacks to, member after member; `digest` and `position` are of the archive.

    Zeros after the last member are padding. Raises FileRefused for any other bytes there, for an archive that is
    damaged or cut short, and for one that unpacks to more than `limits` allow; InputOutputError as `Hashed` does.

    >>> import io
    >>> Unpacked(io.BytesIO(gzip.compress(b"a,b")), "march.csv.gz", Limits()).read(2)
    b'a,'
    """

    def __init__(self, stream: BinaryIO, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._packed = Hashed(stream, name)
        self._archive = gzip.GzipFile(fileobj=cast(BinaryIO, self._packed), mode="rb")  # it only reads
        self._unpacked = 0

    def read(self, size: int) -> bytes:
        """The next unpacked bytes, at most `size`; none at the end, when all of the archive has been read."""
        with damage_refused("a gzip archive", self._name, (EOFError, gzip.BadGzipFile, zlib.error)):
            block: bytes = self._archive.read(size)
        self._unpacked += len(block)
        refuse_unpacked(self._unpacked, self._packed.position, self._limits, self._name)
        return block

    @property
    def digest(self) -> str:
        """SHA-256 of the compressed bytes read so far."""
        return self._packed.digest

    @property
    def position(self) -> int:
        """The number of compressed bytes read so far."""
        return self._packed.position
