"""Reading processes: what a file does to them is the file's fault, and costs no other file anything."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from holdfast.errors import CannotWrite, FileRefused, HoldfastError
from holdfast.intake import readers
from holdfast.intake.child import ADDRESSES_PER_COLUMN
from holdfast.intake.erased import Erased
from holdfast.intake.readers import Child, ReaderKilled, Readers, Request
from holdfast.intake.storing import Destination, Stored
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA
from holdfast.store.files import locked
from holdfast.store.quarantine import held_rows
from holdfast.store.tombstones import Tombstones

HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"
ROWS = "acme,1,2,3,0\nbeta,x,2,3,1\ngamma,4,5,6,1\n"
NOBODY = Erased(key=None, tombstones=frozenset())


@dataclass
class Desk:
    """Where requests are made."""

    folder: Path
    stack: ExitStack
    numbers: Iterator[int]

    def request(self, text: str = HEADER + ROWS, name: str = "a.csv", **changed: Any) -> Request:
        """A request to read a file with this text."""
        number = next(self.numbers)
        path = self.folder / f"{number}-{name}"
        path.write_text(text)
        request = Request(
            stream=self.stack.enter_context(path.open("rb")),
            name=name,
            schema=BRIEF_SCHEMA,
            limits=Limits(),
            destination=Destination(
                delivery=number,
                part=self.folder / f"{number}.parquet",
                quarantine=self.folder / f"{number}.quarantine.parquet",
            ),
            erased=NOBODY,
        )
        return replace(request, **changed)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack, itertools.count(1))


def nothing(_rows: int, _share: float) -> None:
    """Progress that nobody watches."""


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


def pid_of(child: Child) -> int:
    return child._process.pid


def refusal(child: Child, request: Request) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        child.read(request, nothing)
    assert caught.value.file == request.name
    return caught.value


# ---- one file


def test_a_file_is_read_into_its_part_and_its_quarantine(child: Child, desk: Desk) -> None:
    request = desk.request()
    seen: list[tuple[int, float]] = []
    stored = child.read(request, lambda rows, share: seen.append((rows, share)))
    assert (stored.rows, stored.valid, stored.quarantined) == (3, 2, 1)
    assert stored.header == BRIEF_SCHEMA.names
    assert [(row.line, row.column) for row in stored.shown] == [(3, "lastmonth_activity")]
    assert pq.read_table(request.destination.part).column("corporation").to_pylist() == ["acme", "gamma"]
    assert [held.row.text for held in held_rows(request.destination.quarantine)] == ["beta,x,2,3,1"]
    assert seen == [(3, 1.0)]


def test_what_the_request_says_reaches_the_child(child: Child, desk: Desk) -> None:
    key = bytes(32)
    tombstones = frozenset({Tombstones(key, frozenset()).tombstone_of("acme")})
    text = (HEADER + ROWS).replace("corporation", "Company")
    request = desk.request(
        text, renamed={"Company": "corporation"}, erased=Erased(key=key, tombstones=tombstones), name="ä\n=cmd.csv"
    )
    stored = child.read(request, nothing)
    assert (stored.rows, stored.valid, stored.quarantined, stored.erased) == (3, 1, 1, 1)
    assert refusal(child, replace(desk.request(), limits=Limits(columns=4))).message.startswith("5 columns; at most 4")


def test_one_child_reads_many_files_and_a_refused_one_is_not_its_end(child: Child, desk: Desk) -> None:
    assert child.read(desk.request(), nothing).rows == 3
    assert refusal(child, desk.request("nothing\n")).message.startswith("no columns 'corporation'")
    assert child.read(desk.request(), nothing).rows == 3
    assert child.alive


def test_a_long_request_arrives_whole(child: Child, desk: Desk) -> None:
    key = bytes(32)
    of = Tombstones(key, frozenset()).tombstone_of
    request = desk.request(erased=Erased(key=key, tombstones=frozenset(of(f"client {n}") for n in range(10_000))))
    assert len(str(request.message())) > 300_000, "more than a socket holds"
    assert child.read(request, nothing).rows == 3


# ---- files that harm


def dying(child: Child, request: Request, *signals: int) -> FileRefused:
    """What becomes of a file whose reader is sent these signals while it reads."""
    os.kill(pid_of(child), signal.SIGSTOP)  # it cannot be too quick for them

    def send() -> None:
        for each in (*signals, signal.SIGCONT):
            os.kill(pid_of(child), each)

    sender = threading.Timer(0.2, send)
    sender.start()
    try:
        return refusal(child, request)
    finally:
        sender.join()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGSEGV, "the process that read it died (SIGSEGV)"),
        (signal.SIGBUS, "the process that read it died (SIGBUS)"),
        (signal.SIGABRT, "reading it took more than 2,147,483,648 bytes of memory"),
        (signal.SIGXCPU, "reading it took more than 3,600 seconds of computing"),
    ],
)
def test_a_file_whose_reader_is_killed_by_a_signal_is_refused(
    child: Child, desk: Desk, number: int, message: str
) -> None:
    assert dying(child, desk.request(), number).message == message
    assert not child.alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_file_whose_reader_is_killed_from_outside_is_not_refused(child: Child, desk: Desk, number: int) -> None:
    with pytest.raises(ReaderKilled, match="ended from outside"):
        dying(child, desk.request(), number)
    assert not child.alive


def test_a_file_that_asks_for_too_much_memory_is_refused(child: Child, desk: Desk) -> None:
    text = HEADER + "".join(f"client {number},1,2,3,0\n" for number in range(200_000))
    error = refusal(child, desk.request(text, limits=Limits(memory_bytes=48 << 20)))
    assert error.message == "reading it took more than 50,331,648 bytes of memory"
    assert error.hint
    assert "limits.memory_bytes" in error.hint


def test_the_limits_of_one_file_are_not_those_of_the_next(child: Child, desk: Desk) -> None:
    assert child.read(desk.request(limits=Limits(memory_bytes=1 << 30, seconds=9)), nothing).rows == 3
    soft, _ = resource.prlimit(pid_of(child), resource.RLIMIT_AS)
    columns = Limits().columns * ADDRESSES_PER_COLUMN
    assert soft == (1 << 30) + columns
    assert child.read(desk.request(), nothing).rows == 3
    assert resource.prlimit(pid_of(child), resource.RLIMIT_AS)[0] == Limits().memory_bytes + columns
    assert resource.prlimit(pid_of(child), resource.RLIMIT_CPU)[0] >= Limits().seconds


def test_a_file_that_takes_too_long_is_refused_and_its_reader_ended(child: Child, desk: Desk) -> None:
    os.kill(pid_of(child), signal.SIGSTOP)
    error = refusal(child, desk.request(limits=Limits(seconds=1)))
    assert error.message == "reading it took more than 1 seconds"
    assert error.hint
    assert "limits.seconds" in error.hint
    assert not child.alive
    assert not child.running


def test_a_bug_of_the_reader_is_shown_and_is_not_the_files_fault(child: Child, desk: Desk) -> None:
    broken: Any = Limits(columns="many")  # type: ignore[arg-type]
    with pytest.raises(HoldfastError, match="the reading process failed:\nTraceback") as caught:
        child.read(desk.request(limits=broken), nothing)
    assert "TypeError" in caught.value.message
    assert caught.value.exit_status == 70
    assert not child.alive


def test_a_part_that_cannot_be_written_is_not_the_files_fault(child: Child, desk: Desk) -> None:
    request = desk.request(HEADER + "".join(f"client {number},1,2,3,0\n" for number in range(50_000)))
    assert child.read(desk.request(), nothing).rows == 3
    resource.prlimit(pid_of(child), resource.RLIMIT_FSIZE, (10_000, 10_000))
    with pytest.raises(CannotWrite, match="cannot write: ") as caught:
        child.read(request, nothing)
    assert caught.value.file == str(request.destination.part)
    assert caught.value.exit_status == 73


# ---- parent and child


def test_a_child_ends_when_its_parent_is_killed() -> None:
    program = (
        "import os, signal\n"
        "from holdfast.intake.readers import Child\n"
        "print(Child()._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    child, waited = int(done.stdout), time.monotonic() + 20
    while is_running(child) and time.monotonic() < waited:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def opened_by(pid: int) -> list[str]:
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that this loop had opened
            links.append(str(path.readlink()))
    return links


def test_a_child_inherits_neither_the_lock_nor_an_open_file(tmp_path: Path, desk: Desk) -> None:
    with ExitStack() as stack:
        with locked(tmp_path / "lock"), (tmp_path / "open").open("w"):
            child = Child()
            stack.callback(child.end)
            assert child.read(desk.request(), nothing).rows == 3
            ours = set(opened_by(os.getpid()))
            assert {str(tmp_path / "lock"), str(tmp_path / "open")} <= ours
            shared = ours & set(opened_by(pid_of(child)))
            assert {link for link in shared if not link.startswith("pipe:")} <= {"/dev/null"}
        with locked(tmp_path / "lock"):
            assert child.running, "the lock is free although a child lives on"


def test_a_child_keeps_no_file_open_that_it_has_read(child: Child, desk: Desk) -> None:
    child.read(desk.request(), nothing)
    before = len(opened_by(pid_of(child)))
    for text in (HEADER + ROWS, "nothing\n", HEADER):
        with suppress(FileRefused):
            child.read(desk.request(text), nothing)
    assert len(opened_by(pid_of(child))) == before


def test_what_the_keyboard_interrupts_is_the_parent_alone(child: Child) -> None:
    assert os.getsid(pid_of(child)) != os.getsid(0)


# ---- several files


def test_outcomes_come_in_the_order_of_the_files_however_long_each_takes(desk: Desk) -> None:
    long = HEADER + '"a client",1,2,3,0\n' * 30_000
    texts = [long, HEADER + ROWS, "nothing\n", HEADER, long]
    with Readers(3) as readers:
        outcomes = list(readers.read([desk.request(text, f"{n}.csv") for n, text in enumerate(texts)], silent))
    rows = [outcome.rows if isinstance(outcome, Stored) else outcome.file for outcome in outcomes]
    assert rows == [30_000, 3, "2.csv", 0, 30_000]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """The reading processes that are started from now on."""
    children: list[Child] = []

    def start() -> Child:
        children.append(Child())
        return children[-1]

    monkeypatch.setattr(readers, "Child", start)
    return children


def test_no_more_children_are_started_than_allowed_and_all_are_ended(desk: Desk, started: list[Child]) -> None:
    with Readers(2) as pool:
        list(pool.read([desk.request() for _ in range(6)], silent))
        list(pool.read([desk.request() for _ in range(6)], silent))
        assert 1 <= len(started) <= 2
    assert not any(child.running for child in started)


def test_a_child_that_was_killed_between_two_files_costs_none_of_them(desk: Desk, started: list[Child]) -> None:
    with Readers(1) as pool:
        list(pool.read([desk.request()], silent))
        os.kill(pid_of(started[0]), signal.SIGKILL)
        started[0]._process.wait(10)
        (outcome,) = pool.read([desk.request()], silent)
    assert isinstance(outcome, Stored)
    assert len(started) == 2


def test_a_file_that_kills_its_reader_costs_no_other_file(desk: Desk, started: list[Child]) -> None:
    huge = HEADER + "".join(f"client {number},1,2,3,0\n" for number in range(200_000))
    requests = [desk.request(), desk.request(huge, limits=Limits(memory_bytes=48 << 20)), desk.request()]
    with Readers(1) as pool:
        first, second, third = pool.read(requests, silent)
    assert isinstance(first, Stored)
    assert isinstance(second, FileRefused)
    assert isinstance(third, Stored)
    assert len(started) == 2


def test_an_interruption_ends_all_children(desk: Desk, started: list[Child]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    long = HEADER + '"a client",1,2,3,0\n' * 300_000

    def read() -> None:
        with Readers(2) as pool:
            list(pool.read([desk.request(long) for _ in range(4)], interrupted))

    with pytest.raises(KeyboardInterrupt):
        read()
    assert started
    assert not any(child.running for child in started)


def test_progress_tells_rows_and_how_many_there_will_be_about(desk: Desk) -> None:
    told: list[tuple[str, int, int | None]] = []
    long = HEADER + '"a client",1,2,3,0\n' * 700_000
    with Readers(1) as pool:
        list(pool.read([desk.request(long)], lambda *each: told.append(each)))
    known = [(done, total) for _, done, total in told if total]
    assert known
    assert [done for done, _ in known] == sorted(done for done, _ in known)
    assert all(done <= total for done, total in known)
    assert all(0.5 < total / 700_000 < 2 for _, total in known)
