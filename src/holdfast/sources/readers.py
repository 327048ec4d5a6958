"""Processes in which strangers' files are read: started with next to nothing, limited, watched, kept for the next."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from holdfast import errors
from holdfast.errors import FileRefused, HoldfastError, InputOutputError
from holdfast.limits import Limits
from holdfast.workspace import environment_of_readers

PROGRAM = "holdfast.intake.child"
"""What such a process runs. It is named here and imported nowhere."""

MEMORY_IS_KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(16 << 20),
}
"""For glibc: what one batch let go the next one takes up, instead of asking the system anew (10 % of the time)."""

GRACE_SECONDS = 5
"""How long a process may take to end after it was asked to."""

LOOK_EVERY = 0.1
BLOCK = 1 << 18
KEPT_BYTES = 256 << 20
"""A process that holds more memory than this after a file is not kept for the next."""

KILLERS = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
LAST_WORDS = frozenset({"done", "error", "memory", "bug"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a reading process is asked: a file, already opened, the limits that it has to keep, and what is `wanted`."""

    stream: BinaryIO
    name: str
    limits: Limits
    wanted: Mapping[str, Any]

    def line(self) -> bytes:
        """What goes over the wire, but for the file."""
        told = {"name": self.name, "limits": asdict(self.limits), **self.wanted}
        return json.dumps(told).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that a reading process says of a file, and the bytes that belong to it."""

    words: Mapping[str, Any]
    data: bytes = b""


class ReaderKilled(InputOutputError):
    """A reading process was ended by somebody else, such as the system for want of memory: nobody knows why."""


class Child:
    """One reading process. It knows nothing of this one's secrets, and ends when this one does."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=MEMORY_IS_KEPT | environment_of_readers(),
                stdin=subprocess.PIPE,  # which ends when this process does
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which then ends the child
            )
        self._socket = ours
        self.at_rest = True

    def ask(self, question: Question) -> Iterator[Answer]:
        """Every answer to the question, the last one with the word `done`.

        Raises FileRefused when the file cannot be taken, or asked for more memory or time than the limits allow;
        ReaderKilled when others ended the process; HoldfastError for a bug of its own. Once the last answer has come,
        or the file was refused for what it is, the process is `at_rest` and can be asked again; otherwise it is gone,
        or, where not all answers were waited for, has to be ended.
        """
        deadline = time.monotonic() + question.limits.seconds
        self.at_rest = False
        try:
            self._send(question)
            inbox = _Inbox(self._socket, question.limits.memory_bytes, lambda: self._watch(question, deadline))
            while answer := inbox.next():
                if not LAST_WORDS & answer.words.keys():
                    yield answer
                    continue
                self.at_rest = not answer.words.keys() & {"memory", "bug"}
                yield self._last(answer, question)
                return
        except TimeoutError:
            self.end()
            hint = "deliver it in parts, or raise limits.seconds in config.json"
            message = f"reading it took more than {question.limits.seconds:,} seconds"
            raise FileRefused(message, file=question.name, hint=hint) from None
        except ConnectionError:
            pass
        except MemoryError:
            self.end()
            raise _too_much_memory(question) from None
        raise self._died(question)

    @property
    def alive(self) -> bool:
        """True until the process was ended or has died."""
        return self._socket.fileno() >= 0

    @property
    def running(self) -> bool:
        """True until the process ends, whoever ends it."""
        return self._process.poll() is None

    @property
    def memory(self) -> int:
        """The memory that the process holds, in bytes; 0 where the system does not tell."""
        try:
            statistics = Path(f"/proc/{self._process.pid}/statm").read_text()
            return int(statistics.split()[1]) * resource.getpagesize()
        except (OSError, IndexError):  # it has just ended, or there is no such file system
            return 0

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._socket.close()
        self._process.kill()
        self._process.communicate(timeout=GRACE_SECONDS)

    def _send(self, question: Question) -> None:
        line = question.line()
        self._socket.settimeout(question.limits.seconds)
        sent = socket.send_fds(self._socket, [line], [question.stream.fileno()])
        self._socket.sendall(line[sent:])
        self._socket.settimeout(LOOK_EVERY)

    def _watch(self, question: Question, deadline: float) -> None:
        """Raises TimeoutError, or MemoryError, when reading takes longer or more memory than it may."""
        if time.monotonic() > deadline:
            raise TimeoutError
        if self.memory > question.limits.memory_bytes:
            raise MemoryError

    def _last(self, answer: Answer, question: Question) -> Answer:
        words = answer.words
        if "error" in words:
            raise _error(words["error"])
        if "done" not in words:
            self.end()
            if "memory" in words:
                raise _too_much_memory(question)
            raise HoldfastError(f"the reading process failed:\n{words['bug']}", file=question.name)
        return answer

    def _died(self, question: Question) -> HoldfastError:
        """Why the process is gone: what the file made it do is the file's fault, what others did is not."""
        self._socket.close()
        file, hint = question.name, "the file may be damaged or made to do harm"
        try:
            self._process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.end()
            return FileRefused("the process that read it no longer made sense", file=file, hint=hint)
        status = self._process.returncode
        if status >= 0:
            hint = f"see why by starting it: {sys.executable} -P -m {PROGRAM} 0"
            return HoldfastError(f"the reading process ended with exit status {status}", file=file, hint=hint)
        if status == -signal.SIGXCPU:
            message = f"reading it took more than {question.limits.seconds:,} seconds of computing"
            return FileRefused(message, file=file, hint="deliver it in parts, or raise limits.seconds")
        name = signal.Signals(-status).name
        if -status in KILLERS:
            return ReaderKilled(f"the process that read it was ended from outside ({name})", file=file)
        if status == -signal.SIGABRT:
            return _too_much_memory(question)
        return FileRefused(f"the process that read it died ({name})", file=file, hint=hint)


class _Inbox:
    """What comes from a reading process, one answer at a time, none of more than `most` bytes."""

    def __init__(self, connection: socket.socket, most: int, watch: Callable[[], None]) -> None:
        self._connection = connection
        self._most = most
        self._watch = watch
        self._looked = 0.0
        self._data = bytearray()

    def next(self) -> Answer | None:
        """The next answer; None when the process has hung up."""
        searched = 0
        while (end := self._data.find(b"\n", searched)) < 0:
            searched = len(self._data)
            if not self._receive():
                return None
        words = _words(self._taken(end + 1))
        size = words.get("bytes", 0)
        while len(self._data) < size:
            if not self._receive():
                return None
        return Answer(words, self._taken(size))

    def _taken(self, size: int) -> bytes:
        taken = bytes(memoryview(self._data)[:size])
        del self._data[:size]
        return taken

    def _receive(self) -> bool:
        """Wait for more; False at the end. Raises what watching raises, and MemoryError."""
        while True:
            if time.monotonic() - self._looked >= LOOK_EVERY:
                self._watch()
                self._looked = time.monotonic()
            try:
                more = self._connection.recv(BLOCK)
            except TimeoutError:
                continue
            self._data += more
            if len(self._data) > self._most:
                raise MemoryError
            return bool(more)


class Readers:
    """Up to `most` reading processes at a time, started when needed and kept for the next file.

    A context manager, which ends them; so do forgetting it and the end of this process, however it comes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._free = threading.BoundedSemaphore(most)
        self._idle: list[Child] = []
        self._children: set[Child] = set()
        self._end = weakref.finalize(self, _end_all, self._children)

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End all of them, whatever they are doing; new ones are started when they are needed."""
        self._idle.clear()
        _end_all(self._children)

    def prepare(self) -> None:
        """Start one now, if there is none: it will be ready sooner."""
        if not self._children:
            self._idle.append(self._started())

    @contextmanager
    def lend(self) -> Iterator[Child]:
        """One of them, for one file at a time; waits until one is free."""
        with self._free:
            child = self._waiting() or self._started()
            try:
                yield child
            finally:
                if child.alive and child.at_rest and child.memory <= KEPT_BYTES:
                    self._idle.append(child)
                else:
                    self._children.discard(child)
                    child.end()

    def _waiting(self) -> Child | None:
        while self._idle:
            try:
                child = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if child.running:
                return child
            self._children.discard(child)
            child.end()
        return None

    def _started(self) -> Child:
        child = Child()
        self._children.add(child)
        return child


def _end_all(children: set[Child]) -> None:
    while children:
        children.pop().end()


def _words(line: bytes) -> dict[str, Any]:
    """What a line says; ConnectionError where it is none that the program would send."""
    try:
        words = json.loads(line)
    except ValueError:
        words = None
    if not isinstance(words, dict) or not isinstance(words.get("bytes", 0), int):
        raise ConnectionError
    return words


def _error(record: Mapping[str, Any]) -> HoldfastError:
    """The error that the process met, of the same kind."""
    kinds = (FileRefused, errors.InputOutputError, errors.CannotWrite, errors.NotPermitted, HoldfastError)
    kind = next(kind for kind in kinds if kind.code == record["code"] or kind is HoldfastError)
    return kind(
        record["message"],
        file=record["file"],
        row=record["row"],
        column=record["column"],
        value=record["value_excerpt"],
        hint=record["hint"],
    )


def _too_much_memory(question: Question) -> FileRefused:
    message = f"reading it took more than {question.limits.memory_bytes:,} bytes of memory"
    hint = "deliver it in parts, or raise limits.memory_bytes in config.json"
    return FileRefused(message, file=question.name, hint=hint)
