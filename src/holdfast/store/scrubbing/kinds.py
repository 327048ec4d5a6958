"""What kind of file this is, by its bytes, and opening it without following a link."""

from __future__ import annotations

import bz2
import codecs
import errno
import gzip
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast
from xml.parsers.expat import ExpatError

import pyarrow as pa

from holdfast.errors import InputOutputError, from_os_error

Kind = Literal[
    "gzip",
    "bzip2",
    "xz",
    "tar",
    "zip",
    "packed",
    "parquet",
    "sqlite",
    "sqlite log",
    "utf-16",
    "markup",
    "json",
    "text",
    "binary",
]
"""What a file is; "packed" in a way that cannot be unpacked here."""

BEGINNING = 64 << 10
MARKS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "packed"),  # Zstandard
    (b"\x04\x22\x4d\x18", "packed"),  # LZ4
    (b"7z\xbc\xaf\x27\x1c", "packed"),
    (b"Rar!\x1a\x07", "packed"),
    (b"SQLite format 3\0", "sqlite"),
    (b"\x37\x7f\x06\x82", "sqlite log"),
    (b"\x37\x7f\x06\x83", "sqlite log"),
    (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", "sqlite log"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"%PDF", "binary"),
)
TAR = slice(257, 262), b"ustar"
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
MOST_CONTROL = 0.1
"""A text in UTF-8 may hold some control characters; a tenth of them makes it something else."""

NOT_REGULAR = (errno.ELOOP, errno.ENXIO)
DAMAGE = (
    EOFError,
    ExpatError,
    NotImplementedError,  # a way of packing, or a type, that is not known
    gzip.BadGzipFile,
    lzma.LZMAError,
    pa.ArrowInvalid,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class Opaque(InputOutputError):
    """The bytes cannot be looked through: damaged, encrypted, or packed in a way that is not known."""


def kind_of(beginning: bytes) -> Kind:
    r"""The kind that the first bytes of a file tell.

    >>> kind_of(b"corporation,exited\nc1,0\n"), kind_of(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    ('text', 'binary')
    """
    for mark, kind in MARKS:
        if beginning.startswith(mark):
            return kind
    if beginning[TAR[0]] == TAR[1]:
        return "tar"
    if not _is_text(beginning):
        return "binary"
    start = beginning.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"<"):
        return "markup"
    return "json" if start.startswith((b"{", b"[")) else "text"


def _is_text(beginning: bytes) -> bool:
    controls = len(CONTROL.findall(beginning))
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)  # which may end in the middle of a character
    except UnicodeDecodeError:
        return controls == 0
    return controls <= MOST_CONTROL * len(beginning)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO | None]:
    """A regular file opened for reading; None for a link, a folder, a device, which have no bytes of their own.

    What goes wrong with reading in the block is told as Opaque, NotPermitted or InputOutputError.
    """
    with explained(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in NOT_REGULAR:
                raise
            yield None
            return
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            yield None
            return
        with os.fdopen(descriptor, "rb") as stream:
            yield stream


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raises Opaque, NotPermitted or InputOutputError for what libraries and the system raise in the block."""
    try:
        yield
    except DAMAGE as error:
        raise _opaque(path, error) from error
    except OSError as error:
        if error.errno is None:  # Arrow's way of saying it
            raise _opaque(path, error) from error
        raise from_os_error(error, "read", str(path)) from error


def _opaque(path: Path, error: Exception) -> Opaque:
    hint = "look at it yourself, and remove it if it is not needed"
    return Opaque(f"this cannot be looked through: {error}", file=str(path), hint=hint)


def unpacked(stream: BinaryIO, kind: Kind) -> BinaryIO:
    """What is inside a file that is packed as a whole, or the stream itself."""
    if kind == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    if kind == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(stream))
    return cast(BinaryIO, lzma.LZMAFile(stream)) if kind == "xz" else stream
