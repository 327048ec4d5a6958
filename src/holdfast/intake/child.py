"""The process in which strangers' files are read: `python -m holdfast.intake.child DESCRIPTOR`.

It gets requests and sends answers, one JSON object a line, over the socket with that descriptor; the file comes with
the request as an open descriptor. It ends when the other side does.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import pyarrow as pa

from holdfast.errors import HoldfastError, from_os_error
from holdfast.intake.storing import Destination, Passing, store
from holdfast.limits import Limits
from holdfast.records import to_json
from holdfast.schema import schema_from_json
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import Reading
from holdfast.store.tombstones import Tombstones

ADDRESSES_PER_COLUMN = 8 << 20
LONGEST_REQUEST = 16 << 20


def serve(connection: socket.socket) -> None:
    """Answer requests until the other side hangs up."""
    while request := _receive(connection):
        message, descriptor = request
        try:
            answer = {"stored": to_json(_store(connection, message, descriptor))}
        except HoldfastError as error:
            answer = {"error": error.record()}
        except MemoryError:
            answer = {"memory": True}
        except OSError as error:  # what is read raises errors of ours: it is the part that cannot be written
            answer = {"error": from_os_error(error, "write", message["part"]).record()}
        except Exception:  # noqa: BLE001 - the front door of this process: the other side shows the bug
            answer = {"bug": traceback.format_exc()}
        _send(connection, answer)


def _store(connection: socket.socket, message: dict[str, Any], descriptor: int) -> object:
    limits = Limits(**message["limits"])
    _limit(limits)
    schema = schema_from_json(message["schema"])
    reading = Reading(schema=schema, limits=limits, renamed=message["renamed"], sheet=message["sheet"])
    tombstones = frozenset(message["tombstones"])
    erased = Tombstones(bytes.fromhex(message["key"]), tombstones) if tombstones else None
    destination = Destination(
        delivery=message["delivery"], part=Path(message["part"]), quarantine=Path(message["quarantine"])
    )
    with os.fdopen(descriptor, "rb") as stream:
        size = os.fstat(descriptor).st_size

        def progress(rows: int) -> None:
            _send(connection, {"rows": rows, "share": stream.tell() / size if size else 1.0})

        delivered = open_delivery(stream, message["name"], reading)
        return store(delivered, schema, destination, Passing(erased=erased), progress)


def end_with_parent() -> None:
    """Wait until the parent is gone, however it went, and end this process in the middle of whatever it does."""
    sys.stdin.buffer.read()
    os._exit(1)


def _limit(limits: Limits) -> None:
    """The system itself ends this process, or denies it memory, when a file asks for more than it may."""
    spent = sum(os.times()[:2])
    # Addresses are not memory: readers and writers reserve some for each column. The parent watches what is used.
    addresses = limits.memory_bytes + limits.columns * ADDRESSES_PER_COLUMN
    seconds = int(spent) + limits.seconds + 1
    for kind, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, addresses)):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _receive(connection: socket.socket) -> tuple[dict[str, Any], int] | None:
    data, descriptors, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, 1)
    while data and not data.endswith(b"\n"):
        more = connection.recv(LONGEST_REQUEST)
        data = data + more if more else b""
    return (json.loads(data), descriptors[0]) if data else None


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    # Arrow's own allocator reserves a gigabyte of addresses, which the limit on memory would count.
    pa.set_memory_pool(pa.system_memory_pool())
    threading.Thread(target=end_with_parent, daemon=True).start()
    serve(socket.socket(fileno=int(sys.argv[1])))
