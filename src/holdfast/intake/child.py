"""The process in which strangers' files are read: `python -P -m holdfast.intake.child DESCRIPTOR`.

It gets questions and sends answers, one JSON object a line, over the socket with that descriptor; the file comes with
the question as an open descriptor. It ends when the other side does. What it is asked for is the rows of a file, sent
back a batch at a time, or to store them in a part of the dataset.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from holdfast.errors import HoldfastError, from_os_error
from holdfast.intake.storing import Destination, Passing, store
from holdfast.limits import Limits
from holdfast.records import to_json
from holdfast.sources.apart import answer_at_the_end, answer_of_batch, answer_that_opened, reading_in
from holdfast.sources.opening import open_delivery
from holdfast.sources.readers import Answer
from holdfast.store.tombstones import Tombstones

ADDRESSES_PER_COLUMN = 8 << 20
LONGEST_QUESTION = 16 << 20
OPEN_FILES = 128
NO_NEW_PRIVILEGES = 38
"""PR_SET_NO_NEW_PRIVS of <linux/prctl.h>."""

Words = dict[str, Any]


def serve(connection: socket.socket) -> None:
    """Answer questions until the other side hangs up."""
    while question := _receive(connection):
        words, descriptor = question
        last: Words
        try:
            with os.fdopen(descriptor, "rb") as stream:
                _limit(Limits(**words["limits"]), writes=words["wanted"] == "part")
                last = {"done": ASKED_FOR[words["wanted"]](connection, words, stream)}
        except HoldfastError as error:
            last = {"error": error.record()}
        except MemoryError:
            last = {"memory": True}
        except OSError as error:  # what is read raises errors of ours: it is the part that cannot be written
            last = {"error": from_os_error(error, "write", str(words.get("part", words["name"]))).record()}
        except Exception:  # noqa: BLE001 - the front door of this process: the other side shows the bug
            last = {"bug": traceback.format_exc()}
        _send(connection, Answer(last))


def _send_rows(connection: socket.socket, words: Words, stream: BinaryIO) -> Mapping[str, Any]:
    """The file's rows, a batch at a time."""
    delivered = open_delivery(stream, words["name"], reading_in(words))
    _send(connection, answer_that_opened(delivered))
    for parsed in delivered:
        _send(connection, answer_of_batch(parsed, delivered.rows))
    return answer_at_the_end(delivered)


def _store_part(connection: socket.socket, words: Words, stream: BinaryIO) -> Mapping[str, Any]:
    """What became of the file's rows, which were written where they belong."""
    reading = reading_in(words)
    tombstones = frozenset(words["tombstones"])
    erased = Tombstones(bytes.fromhex(words["key"]), tombstones) if tombstones else None
    destination = Destination(
        delivery=words["delivery"], part=Path(words["part"]), quarantine=Path(words["quarantine"])
    )
    size = os.fstat(stream.fileno()).st_size

    def progress(rows: int) -> None:
        _send(connection, Answer({"rows": rows, "share": stream.tell() / size if size else 1.0}))

    delivered = open_delivery(stream, words["name"], reading)
    stored: Words = to_json(store(delivered, reading.schema, destination, Passing(erased=erased), progress))
    return stored


ASKED_FOR: dict[str, Callable[[socket.socket, Words, BinaryIO], Mapping[str, Any]]] = {
    "rows": _send_rows,
    "part": _store_part,
}


def end_with_parent() -> None:
    """Wait until the parent is gone, however it went, and end this process in the middle of whatever it does."""
    sys.stdin.buffer.read()
    os._exit(1)


def renounce() -> None:
    """Leave no image of the memory behind, with clients' data in it, and never gain a right by starting a program."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _limit(limits: Limits, *, writes: bool) -> None:
    """The system itself ends this process, or denies it memory, when a file asks for more than it may."""
    spent = sum(os.times()[:2])
    # Addresses are not memory: readers and writers reserve some for each column. The parent watches what is used.
    addresses = limits.memory_bytes + limits.columns * ADDRESSES_PER_COLUMN
    bounds = {
        resource.RLIMIT_CPU: int(spent) + limits.seconds + 1,
        resource.RLIMIT_AS: addresses,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: resource.RLIM_INFINITY if writes else 0,
    }
    for kind, most in bounds.items():
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (_lesser(most, hard), hard))


def _lesser(one: int, other: int) -> int:
    """The lesser of two limits, of which either may be none."""
    return min((limit for limit in (one, other) if limit != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)


def _receive(connection: socket.socket) -> tuple[Words, int] | None:
    data, descriptors, _, _ = socket.recv_fds(connection, LONGEST_QUESTION, 1)
    while data and not data.endswith(b"\n"):
        more = connection.recv(LONGEST_QUESTION)
        data = data + more if more else b""
    return (json.loads(data), descriptors[0]) if data else None


def _send(connection: socket.socket, answer: Answer) -> None:
    connection.sendall(json.dumps(answer.words).encode() + b"\n")
    if answer.data:
        connection.sendall(answer.data)


if __name__ == "__main__":
    renounce()
    # Arrow's own allocator reserves a gigabyte of addresses, which the limit on memory would count.
    pa.set_memory_pool(pa.system_memory_pool())
    threading.Thread(target=end_with_parent, daemon=True).start()
    serve(socket.socket(fileno=int(sys.argv[1])))
