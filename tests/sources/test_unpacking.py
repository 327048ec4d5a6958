"""Bytes hashed as they are read, and gzip archives unpacked within their limits."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import random
import zlib
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import FileRefused, InputOutputError, NotPermitted
from holdfast.limits import Limits
from holdfast.sources.unpacking import (
    UNRATED,
    Hashed,
    Unpacked,
    damage_refused,
    digest_of,
    most_unpacked,
    refuse_unpacked,
)

LIMITS = Limits()
LINES = b"".join(b"client%d,%d,1,2,0\n" % (i, i * i) for i in range(2_000))


class Broken(io.BytesIO):
    """A stream that the system cannot read."""

    def read(self, *_: Any) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


def unpacked(archive: bytes, limits: Limits = LIMITS, size: int = 1_000) -> bytes:
    stream = Unpacked(io.BytesIO(archive), "march.csv.gz", limits)
    return b"".join(iter(lambda: stream.read(size), b""))


def refusal(archive: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(FileRefused) as caught:
        unpacked(archive, limits)
    assert caught.value.file == "march.csv.gz"
    return caught.value.message


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- what comes out


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 300))
def test_every_member_comes_out_as_it_went_in(members: list[bytes], size: int) -> None:
    archive = b"".join(map(gzip.compress, members))
    assert unpacked(archive, size=size) == b"".join(members)


@given(st.binary(max_size=500), st.integers(1, 100))
def test_the_digest_is_of_the_compressed_bytes(data: bytes, size: int) -> None:
    archive = gzip.compress(data)
    stream = Unpacked(io.BytesIO(archive), "march.csv.gz", LIMITS)
    while stream.read(size):
        pass
    assert (stream.digest, stream.position) == (digest(archive), len(archive))


def test_zeros_after_the_archive_are_padding() -> None:
    archive = gzip.compress(LINES) + bytes(512)
    stream = Unpacked(io.BytesIO(archive), "march.csv.gz", LIMITS)
    assert b"".join(iter(lambda: stream.read(4096), b"")) == LINES
    assert stream.position == len(archive)


# ---- what is refused


def test_other_bytes_after_the_archive_are_refused() -> None:
    assert refusal(gzip.compress(LINES) + b"rest").startswith("not a gzip archive, or a damaged one")


def test_an_archive_cut_short_anywhere_is_refused() -> None:
    archive = gzip.compress(LINES[:300])
    for length in range(1, len(archive)):
        refusal(archive[:length])


def test_an_archive_with_another_checksum_is_refused() -> None:
    archive = bytearray(gzip.compress(LINES))
    archive[-8] ^= 1
    assert "CRC check failed" in refusal(bytes(archive))


def test_a_mutated_archive_never_unpacks_to_something_else() -> None:
    chance, archive, outcomes = random.Random(20), gzip.compress(LINES), set()
    for _ in range(400):
        mutated = bytearray(archive)
        mutated[chance.randrange(10, len(archive))] ^= 1 << chance.randrange(8)
        try:
            outcomes.add(unpacked(bytes(mutated)) == LINES)
        except FileRefused:
            outcomes.add(True)
    assert outcomes == {True}


def test_a_bomb_is_refused_before_it_has_unpacked() -> None:
    bomb = gzip.compress(bytes(60_000_000))
    stream = Unpacked(io.BytesIO(bomb), "march.csv.gz", LIMITS)
    with pytest.raises(FileRefused, match="unpacks to more than 10,000,000 bytes") as caught:
        deque(iter(lambda: stream.read(1 << 20), b""), maxlen=0)
    assert stream.position < len(bomb) / 3
    assert "limits.ratio" in str(caught.value.hint)


def test_an_archive_may_be_told_to_unpack_to_less() -> None:
    assert refusal(gzip.compress(LINES), Limits(unpacked_bytes=10_000)) == "unpacks to more than 10,000 bytes"


def test_a_small_file_may_unpack_to_ten_megabytes() -> None:
    zeros = bytes(UNRATED)
    assert unpacked(gzip.compress(zeros), Limits(ratio=1), size=1 << 20) == zeros


@given(st.integers(0, 10**12), st.integers(1, 1_000), st.integers(1, 10**12))
def test_what_a_file_may_unpack_to_grows_with_it_up_to_the_limit(packed: int, ratio: int, most: int) -> None:
    limits = Limits(ratio=ratio, unpacked_bytes=most)
    allowed = most_unpacked(packed, limits)
    assert allowed <= most_unpacked(packed + 1, limits) <= most
    refuse_unpacked(allowed, packed, limits, "march.csv.gz")
    with pytest.raises(FileRefused):
        refuse_unpacked(allowed + 1, packed, limits, "march.csv.gz")


# ---- the system


def test_an_error_of_the_system_is_not_the_files_fault() -> None:
    for stream in (Hashed(Broken(), "march.csv"), Unpacked(Broken(), "march.csv.gz", LIMITS)):
        with pytest.raises(InputOutputError, match="cannot read: Input/output error"):
            stream.read(10)


def test_an_error_of_the_system_within_a_reader_is_raised_as_what_it_is() -> None:
    with pytest.raises(NotPermitted), damage_refused("a Parquet file", "march.parquet", (OSError,)):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_seek_to_nowhere_is_damage() -> None:
    with pytest.raises(FileRefused), damage_refused("a Parquet file", "march.parquet", (OSError,)):
        raise OSError(errno.EINVAL, "Invalid argument")


def test_an_error_that_is_not_the_readers_passes_through() -> None:
    with pytest.raises(TypeError), damage_refused("a Parquet file", "march.parquet", (zlib.error,)):
        raise TypeError


def test_a_lack_of_memory_passes_through() -> None:
    with pytest.raises(MemoryError), damage_refused("a Parquet file", "march.parquet", (MemoryError,)):
        raise MemoryError


# ---- plain streams


@given(st.binary(max_size=300), st.integers(1, 100))
def test_a_hashed_stream_gives_its_bytes_and_their_digest(data: bytes, size: int) -> None:
    stream = Hashed(io.BytesIO(data), "march.csv")
    assert b"".join(iter(lambda: stream.read(size), b"")) == data
    assert (stream.digest, stream.position) == (digest(data), len(data))


def test_the_digest_of_a_stream_is_of_all_its_bytes_wherever_it_stands() -> None:
    stream = io.BytesIO(LINES)
    stream.seek(100)
    assert digest_of(stream, "march.csv") == digest(LINES)
