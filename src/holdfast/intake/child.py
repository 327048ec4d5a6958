"""The process in which strangers' files are read: `python -P -m holdfast.intake.child DESCRIPTOR`.

It gets questions and sends answers, one JSON object a line, over the socket with that descriptor; the file comes with
the question as an open descriptor. It ends when the other side does. What it is asked for is the rows of a file (a
delivery or a corrected table), sent back a batch at a time, to store them in a part of the dataset, or what a function
says of the file.
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
from importlib import import_module
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from holdfast.errors import HoldfastError
from holdfast.intake.storing import Destination, Passing, store
from holdfast.limits import Limits
from holdfast.records import to_json
from holdfast.sources.apart import answer_at_the_end, answer_of_batch, answer_that_opened, reading_in
from holdfast.sources.correctedfile import CorrectedFile
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import DeliveredFile
from holdfast.sources.readers import Answer
from holdfast.store.files import could_not_write, finished
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
                _limit(Limits(**words["limits"]), wanted=words["wanted"])
                last = {"done": ASKED_FOR[words["wanted"]](connection, words, stream)}
        except HoldfastError as error:
            last = {"error": error.record()}
        except MemoryError:
            last = {"memory": True}
        except OSError as error:  # what is read raises errors of ours: it is the part that cannot be written
            written = Path(words["part" if "part" in words else "name"])
            last = {"error": could_not_write(error, finished(written)).record()}
        except Exception:  # noqa: BLE001 - the front door of this process: the other side shows the bug
            last = {"bug": traceback.format_exc()}
        _send(connection, Answer(last))


def _send_rows(connection: socket.socket, words: Words, stream: BinaryIO) -> Mapping[str, Any]:
    """The file's rows, a batch at a time."""
    return _send_all(connection, open_delivery(stream, words["name"], reading_in(words)))


def _send_corrections(connection: socket.socket, words: Words, stream: BinaryIO) -> Mapping[str, Any]:
    """The corrected table's rows, a batch at a time."""
    return _send_all(connection, CorrectedFile(stream, words["name"], words["header"], Limits(**words["limits"])))


def _send_all(connection: socket.socket, delivered: DeliveredFile) -> Mapping[str, Any]:
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


def _call(_connection: socket.socket, words: Words, _stream: BinaryIO) -> Mapping[str, Any]:
    """What a function, named with its module, returns; for the commands of a higher floor."""
    module, _, function = words["function"].rpartition(".")
    return {"result": getattr(import_module(module), function)(**words["given"])}


ASKED_FOR: dict[str, Callable[[socket.socket, Words, BinaryIO], Mapping[str, Any]]] = {
    "rows": _send_rows,
    "corrections": _send_corrections,
    "part": _store_part,
    "call": _call,
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


def _limit(limits: Limits, *, wanted: str) -> None:
    """The system itself ends this process, or denies it memory, when a file asks for more than it may."""
    spent = sum(os.times()[:2])
    # Addresses are not memory: readers and writers reserve some for each column. The parent watches what is used.
    addresses = limits.memory_bytes + limits.columns * ADDRESSES_PER_COLUMN
    # A part holds what was counted row by row; what is unpacked to be searched is counted by nobody else.
    largest_file = {"rows": 0, "corrections": 0, "part": resource.RLIM_INFINITY}.get(wanted, limits.unpacked_bytes)
    bounds = {
        resource.RLIMIT_CPU: int(spent) + limits.seconds + 1,
        resource.RLIMIT_AS: addresses,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: largest_file,
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


class _WithoutPandas(MetaPathFinder):
    """Arrow loads pandas where it is installed, only to ask of each value whether it is one of pandas': 0.2 s."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002 - as given
        """Nothing of any other module."""
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


if __name__ == "__main__":
    renounce()
    sys.meta_path.insert(0, _WithoutPandas())
    # Arrow's own allocator reserves a gigabyte of addresses, which the limit on memory would count.
    pa.set_memory_pool(pa.system_memory_pool())
    threading.Thread(target=end_with_parent, daemon=True).start()
    serve(socket.socket(fileno=int(sys.argv[1])))
