"""The memory of erased clients: a keyed hash of each id, which recognises the id and cannot be turned back into it."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.errors import ConfigurationError, InputOutputError, from_os_error
from holdfast.store.files import sync_folder

KEY_BYTES = 32
TOMBSTONE_BYTES = 16
SAMPLE = 8_192
LOST_KEY = (
    "restore this file from a backup; without it erased clients are no longer recognised, and a delivery that "
    "names one brings the client back"
)


def read_key(path: Path) -> bytes | None:
    """The key of all tombstones, 32 bytes; None where nothing was ever erased.

    Raises InputOutputError when the file is damaged or cannot be read, NotPermitted when access is denied.
    """
    try:
        with path.open("rb") as stream:
            key = stream.read(KEY_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os_error(error, "read", str(path)) from None
    if len(key) != KEY_BYTES or not any(key):
        message = f"this is not the key of the erased clients: {KEY_BYTES} random bytes"
        raise InputOutputError(message, file=str(path), hint=LOST_KEY)
    return key


def make_key(path: Path) -> bytes:
    """The key at `path`; where there is none it is made from 32 random bytes, readable by its owner alone.

    An existing key is never replaced, and a crash leaves a whole key or none. Raises InputOutputError for a damaged
    key, CannotWrite or NotPermitted where none can be made.
    """
    if known := read_key(path):
        return known
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(KEY_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
            # A link, unlike a rename, never takes the place of a key that another process has made meanwhile.
            os.link(temporary, path)
            sync_folder(path.parent)
        finally:
            os.unlink(temporary)  # noqa: PTH108 - a name, as mkstemp gives it
    except FileExistsError:
        pass
    except OSError as error:
        raise from_os_error(error, "write", str(path)) from error
    made = read_key(path)
    if made is None:
        raise InputOutputError("the key of the erased clients vanished while it was made", file=str(path))
    return made


class Tombstones:
    """Who was erased: `key` is what `read_key` gives, `erased` are tombstones, as `tombstone_of` made them.

    Raises ConfigurationError for a key that is not 32 bytes, or a tombstone that is not one.

    >>> unknown = Tombstones(bytes(range(32)), frozenset())
    >>> known = Tombstones(bytes(range(32)), frozenset([unknown.tombstone_of("acme")]))
    >>> known.mask(pa.array(["acme", "acme-2", None])).tolist()
    [True, False, False]
    """

    def __init__(self, key: bytes, erased: frozenset[str]) -> None:
        if len(key) != KEY_BYTES:
            raise ConfigurationError(f"the key of the erased clients has {KEY_BYTES} bytes, this one has {len(key)}")
        # Copying a state that has taken the key in is a third faster than keying a new one for each id.
        self._keyed = hashlib.blake2b(key=key, digest_size=TOMBSTONE_BYTES)
        self._erased = frozenset(_digest(tombstone) for tombstone in erased)

    def tombstone_of(self, client: str) -> str:
        """BLAKE2b (RFC 7693) of the id's UTF-8 bytes under the key, 16 bytes in hexadecimal."""
        state = self._keyed.copy()
        state.update(client.encode())
        return state.hexdigest()

    def mask(self, clients: pa.StringArray) -> NDArray[np.bool_]:
        """Which rows (n,) belong to a client that was erased; a missing id does not."""
        if not self._erased or not len(clients):
            return np.zeros(len(clients), dtype=bool)
        if not _repeats(clients):
            return self._among(clients)
        encoded = clients.dictionary_encode()
        known = self._among(encoded.dictionary)
        places = encoded.indices.fill_null(len(known)).to_numpy()
        mask: NDArray[np.bool_] = np.append(known, False)[places]
        return mask

    def _among(self, clients: pa.StringArray) -> NDArray[np.bool_]:
        ids = clients.cast(pa.binary()).to_numpy(zero_copy_only=False).tolist()
        return np.fromiter(self._found(ids), dtype=bool, count=len(ids))

    def _found(self, ids: Iterable[bytes | None]) -> Iterator[bool]:
        copy, erased = self._keyed.copy, self._erased
        for client in ids:
            if client is None:
                yield False
                continue
            state = copy()
            state.update(client)
            yield state.digest() in erased


def _digest(tombstone: str) -> bytes:
    try:
        digest = bytes.fromhex(tombstone)
    except ValueError:
        digest = b""
    if len(digest) != TOMBSTONE_BYTES:
        raise ConfigurationError("this is not a tombstone of an erased client", value=tombstone)
    return digest


def _repeats(clients: pa.StringArray) -> bool:
    """True if it is likely that fewer than half of the ids are distinct; finding those takes half as long as hashing.

    k draws from n / 2 values show (n / 2) (1 - exp(-2 k / n)) distinct ones on average. The draws are the same each
    time, and have no period: an evenly spread sample would miss what repeats once a month.
    """
    n = len(clients)
    k = min(n, SAMPLE)
    drawn = clients.take(pa.array(np.random.default_rng(0).integers(n, size=k)))
    distinct: int = pc.count_distinct(drawn).as_py()
    return distinct < (n / 2) * (1 - math.exp(-2 * k / n))
