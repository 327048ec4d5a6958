"""Reading processes: what a file does to them is the file's fault; they know nothing and outlive nobody."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from holdfast.errors import FileRefused, HoldfastError
from holdfast.intake.child import ADDRESSES_PER_COLUMN, OPEN_FILES
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sources import readers
from holdfast.sources.apart import words_of_reading
from holdfast.sources.parsed import Reading
from holdfast.sources.readers import KEPT_BYTES, Answer, Child, Question, ReaderKilled, Readers, _Inbox
from holdfast.store.files import locked
from holdfast.workspace import WHERE_PYTHON_IS

HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"
ROWS = "acme,1,2,3,0\nbeta,x,2,3,1\ngamma,4,5,6,1\n"


@dataclass
class Desk:
    """Where questions are asked."""

    folder: Path
    stack: ExitStack

    def opened(self, text: str, name: str) -> BinaryIO:
        """A file with this text."""
        path = self.folder / f"{len(list(self.folder.iterdir()))}-{name}"
        path.write_text(text)
        return self.stack.enter_context(path.open("rb"))

    def question(self, text: str = HEADER + ROWS, name: str = "a.csv", **limits: Any) -> Question:
        """What are the rows of a file with this text?"""
        reading = Reading(schema=BRIEF_SCHEMA, limits=Limits(**limits))
        wanted = {"wanted": "rows", **words_of_reading(reading)}
        return Question(stream=self.opened(text, name), name=name, limits=reading.limits, wanted=wanted)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        folder = tmp_path / "desk"
        folder.mkdir()
        yield Desk(folder, stack)


@pytest.fixture
def child() -> Iterator[Child]:
    """A reading process."""
    child: Child = readers.Child()  # one that is kept between tests
    yield child
    child.end()


def rows(child: Child, question: Question) -> int:
    """How many rows the file has."""
    return max(int(answer.words.get("rows", 0)) for answer in child.ask(question))


def pid_of(child: Child) -> int:
    return child._process.pid


def refusal(child: Child, question: Question) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        rows(child, question)
    assert caught.value.file == question.name
    return caught.value


# ---- one process


def test_every_answer_comes_and_the_last_one_is_known(child: Child, desk: Desk) -> None:
    answers = list(child.ask(desk.question()))
    assert ["done" in answer.words for answer in answers] == [False, False, True]
    assert child.at_rest
    assert child.running


def test_one_process_reads_many_files_and_a_refused_one_is_not_its_end(child: Child, desk: Desk) -> None:
    assert rows(child, desk.question()) == 3
    assert refusal(child, desk.question("nothing\n")).message.startswith("no columns 'corporation'")
    assert child.at_rest
    assert rows(child, desk.question()) == 3


def test_a_process_that_still_has_something_to_say_is_not_at_rest(child: Child, desk: Desk) -> None:
    answers = child.ask(desk.question())
    next(answers)
    assert not child.at_rest


def test_a_long_question_arrives_whole_however_busy_the_process_is(child: Child, desk: Desk) -> None:
    assert rows(child, desk.question()) == 3
    question = desk.question()
    long = replace(question, wanted={**question.wanted, "renamed": {f"column {n}": f"c{n}" for n in range(40_000)}})
    assert len(long.line()) > 500_000, "more than a socket holds"
    os.kill(pid_of(child), signal.SIGSTOP)
    waker = threading.Timer(1, os.kill, (pid_of(child), signal.SIGCONT))
    waker.start()
    assert rows(child, long) == 3
    waker.join()


# ---- what it knows


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def test_a_process_does_not_inherit_what_others_keep_secret_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    monkeypatch.setenv("CRM_PASSWORD", "hush")
    monkeypatch.setenv("HOME", "/home/somebody")
    child = Child()
    try:
        assert rows(child, desk.question()) == 3
        known = environment_of(pid_of(child))
    finally:
        child.end()
    assert known.keys() <= {*readers.MEMORY_IS_KEPT, *WHERE_PYTHON_IS, "LC_CTYPE"}
    assert "hush" not in str(known)


def test_a_process_is_told_where_python_is_and_in_which_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    child = Child()
    try:
        known = environment_of(pid_of(child))
    finally:
        child.end()
    assert (known["LC_ALL"], known["PYTHONPATH"]) == ("C.UTF-8", "/nowhere")


def test_holdfast_runs_without_any_environment() -> None:
    program = (
        "import io, tempfile\n"
        "from holdfast.schema import BRIEF_SCHEMA\n"
        "from holdfast.sources.parsed import Reading\n"
        "from holdfast.sources.readers import Readers\n"
        "from holdfast.sources.apart import open_apart\n"
        "stream = tempfile.TemporaryFile()\n"
        f"stream.write({(HEADER + ROWS).encode()!r})\n"
        "stream.seek(0)\n"
        "with Readers(1) as readers, open_apart(readers, stream, 'a.csv', Reading(schema=BRIEF_SCHEMA)) as delivered:\n"
        "    print(sum(len(parsed.rows) for parsed in delivered))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "")


def limits_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[:2] for line in lines}


def status_of(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def test_a_process_leaves_no_core_gains_no_right_and_writes_nothing_when_it_is_asked_for_rows(desk: Desk) -> None:
    child = Child()
    try:
        assert rows(child, desk.question()) == 3
        limits, status = limits_of(pid_of(child)), status_of(pid_of(child))
    finally:
        child.end()
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max file size"][0] == "0"
    assert limits["Max open files"][0] == str(OPEN_FILES)
    assert status["NoNewPrivs"] == "1"


def test_a_process_inherits_neither_the_lock_nor_an_open_file(tmp_path: Path, desk: Desk) -> None:
    with ExitStack() as stack:
        with locked(tmp_path / "lock"), (tmp_path / "open").open("w"):
            child = Child()
            stack.callback(child.end)
            assert rows(child, desk.question()) == 3
            ours = set(opened_by(os.getpid()))
            assert {str(tmp_path / "lock"), str(tmp_path / "open")} <= ours
            shared = ours & set(opened_by(pid_of(child)))
            assert {link for link in shared if not link.startswith("pipe:")} <= {"/dev/null"}
        with locked(tmp_path / "lock"):
            assert child.running, "the lock is free although a child lives on"


def opened_by(pid: int) -> list[str]:
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that this loop had opened
            links.append(str(path.readlink()))
    return links


def test_a_process_keeps_no_file_open_that_it_has_read(child: Child, desk: Desk) -> None:
    rows(child, desk.question())
    before = len(opened_by(pid_of(child)))
    for text in (HEADER + ROWS, "nothing\n", HEADER):
        with suppress(FileRefused):
            rows(child, desk.question(text))
    assert len(opened_by(pid_of(child))) == before


def test_what_the_keyboard_interrupts_is_the_parent_alone(child: Child) -> None:
    assert os.getsid(pid_of(child)) != os.getsid(0)


# ---- files that harm


def after(child: Child, seconds: float, *signals: int) -> threading.Timer:
    """Signals for a process that stands still until then."""
    os.kill(pid_of(child), signal.SIGSTOP)  # it cannot be too quick for them

    def send() -> None:
        for each in (*signals, signal.SIGCONT):
            os.kill(pid_of(child), each)

    sender = threading.Timer(seconds, send)
    sender.start()
    return sender


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGSEGV, "the process that read it died (SIGSEGV)"),
        (signal.SIGBUS, "the process that read it died (SIGBUS)"),
        (signal.SIGABRT, "reading it took more than 2,147,483,648 bytes of memory"),
        (signal.SIGXCPU, "reading it took more than 3,600 seconds of computing"),
    ],
)
def test_a_file_whose_reader_dies_of_it_is_refused(child: Child, desk: Desk, number: int, message: str) -> None:
    sender = after(child, 0.2, number)
    assert refusal(child, desk.question()).message == message
    sender.join()
    assert not child.alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_file_whose_reader_is_killed_from_outside_is_not_refused(child: Child, desk: Desk, number: int) -> None:
    sender = after(child, 0.2, number)
    with pytest.raises(ReaderKilled, match="ended from outside") as caught:
        rows(child, desk.question())
    sender.join()
    assert (caught.value.file, caught.value.exit_status) == ("a.csv", 74)
    assert not child.alive


def test_a_file_that_asks_for_too_much_memory_is_refused(child: Child, desk: Desk) -> None:
    text = HEADER + "".join(f"client {number},1,2,3,0\n" for number in range(200_000))
    error = refusal(child, desk.question(text, memory_bytes=48 << 20))
    assert error.message == "reading it took more than 50,331,648 bytes of memory"
    assert "limits.memory_bytes" in str(error.hint)


def test_the_limits_of_one_file_are_not_those_of_the_next(child: Child, desk: Desk) -> None:
    assert rows(child, desk.question(memory_bytes=1 << 30, seconds=9)) == 3
    columns = Limits().columns * ADDRESSES_PER_COLUMN
    assert resource.prlimit(pid_of(child), resource.RLIMIT_AS)[0] == (1 << 30) + columns
    assert rows(child, desk.question()) == 3
    assert resource.prlimit(pid_of(child), resource.RLIMIT_AS)[0] == Limits().memory_bytes + columns
    assert resource.prlimit(pid_of(child), resource.RLIMIT_CPU)[0] >= Limits().seconds


def test_a_file_that_takes_too_long_is_refused_and_its_reader_ended(child: Child, desk: Desk) -> None:
    os.kill(pid_of(child), signal.SIGSTOP)
    error = refusal(child, desk.question(seconds=1))
    assert error.message == "reading it took more than 1 seconds"
    assert "limits.seconds" in str(error.hint)
    assert not child.running


def test_a_bug_of_the_reader_is_shown_and_is_not_the_files_fault(child: Child, desk: Desk) -> None:
    with pytest.raises(HoldfastError, match="the reading process failed:\nTraceback") as caught:
        rows(child, desk.question(columns="many"))
    assert "TypeError" in caught.value.message
    assert caught.value.exit_status == 70
    assert not child.alive


def test_a_process_that_cannot_start_is_no_fault_of_the_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PROGRAM", "holdfast.nowhere")
    child = Child()
    with pytest.raises(HoldfastError, match="the reading process ended with exit status 1") as caught:
        rows(child, desk.question())
    assert not isinstance(caught.value, FileRefused)
    assert "-m holdfast.nowhere 0" in str(caught.value.hint)


def answering(line: bytes, *, most: int = 1_000) -> Answer | None:
    """What is made of a line that comes from a reading process, which then hangs up."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(line)
        theirs.shutdown(socket.SHUT_WR)
        return _Inbox(ours, most, lambda: None).next()


def test_bytes_that_belong_to_an_answer_come_with_it() -> None:
    assert answering(b'{"rows": 2, "bytes": 3}\nabc{') == Answer({"rows": 2, "bytes": 3}, b"abc")


@pytest.mark.parametrize("line", [b"", b"{", b'{"rows": 2}', b'{"bytes": 4}\nabc'])
def test_an_answer_that_breaks_off_is_none(line: bytes) -> None:
    assert answering(line) is None


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b"1\n", b'{"bytes": "many"}\n', b"\xff\n"])
def test_an_answer_that_the_program_would_never_give_breaks_the_line(line: bytes) -> None:
    with pytest.raises(ConnectionError):
        answering(line)


def test_an_answer_larger_than_a_process_may_be_is_not_waited_for() -> None:
    with pytest.raises(MemoryError):
        answering(b"x" * 2_000)


# ---- parent and child


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def ends_soon(pid: int) -> bool:
    waited = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < waited:
        time.sleep(0.02)
    return not is_running(pid)


@pytest.mark.parametrize("way", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(1)", "sys.exit()", "pass"])
def test_a_process_ends_when_its_parent_does_however_that_ends(way: str) -> None:
    program = (
        "import os, signal, sys\n"
        "from holdfast.sources.readers import Readers\n"
        "readers = Readers(1)\n"
        "readers.prepare()\n"
        "print(next(iter(readers._children))._process.pid, flush=True)\n"
        f"{way}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert ends_soon(int(done.stdout))


# ---- several


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """The reading processes that are started from now on, and are really ended."""
    children: list[Child] = []

    def start() -> Child:
        children.append(Child())
        return children[-1]

    monkeypatch.setattr(readers, "Child", start)
    return children


def ask(pool: Readers, question: Question) -> int:
    with pool.lend() as child:
        return rows(child, question)


def test_a_process_is_kept_for_the_next_file_and_ended_at_the_end(desk: Desk, started: list[Child]) -> None:
    with Readers(2) as pool:
        for _ in range(3):
            assert ask(pool, desk.question()) == 3
    assert len(started) == 1
    assert not started[0].running


def test_no_more_processes_read_at_once_than_allowed_and_the_others_wait(desk: Desk, started: list[Child]) -> None:
    questions = [desk.question() for _ in range(6)]
    counted: list[int] = []
    with Readers(2) as pool:
        threads = [threading.Thread(target=lambda q=q: counted.append(ask(pool, q))) for q in questions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counted == [3] * 6
    assert 1 <= len(started) <= 2
    assert not any(child.running for child in started)


def test_a_process_that_was_killed_between_two_files_costs_none_of_them(desk: Desk, started: list[Child]) -> None:
    with Readers(1) as pool:
        ask(pool, desk.question())
        os.kill(pid_of(started[0]), signal.SIGKILL)
        started[0]._process.wait(10)
        assert ask(pool, desk.question()) == 3
    assert len(started) == 2


def test_a_file_that_kills_its_reader_costs_no_other_file(desk: Desk, started: list[Child]) -> None:
    huge = HEADER + "".join(f"client {number},1,2,3,0\n" for number in range(200_000))
    with Readers(1) as pool:
        with pytest.raises(FileRefused):
            ask(pool, desk.question(huge, memory_bytes=48 << 20))
        assert ask(pool, desk.question()) == 3
    assert len(started) == 2


def test_a_process_that_was_not_heard_out_is_ended(desk: Desk, started: list[Child]) -> None:
    with Readers(1) as pool:
        with pool.lend() as child:
            next(child.ask(desk.question()))
        assert not child.running
        assert ask(pool, desk.question()) == 3


def test_a_process_that_holds_much_memory_is_not_kept(
    desk: Desk, started: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Readers(1) as pool:
        ask(pool, desk.question())
        assert started[0].memory < KEPT_BYTES
        monkeypatch.setattr(readers, "KEPT_BYTES", 1_000)
        ask(pool, desk.question())
        assert not started[0].running


def test_a_process_may_be_started_before_it_is_needed(desk: Desk, started: list[Child]) -> None:
    with Readers(1) as pool:
        pool.prepare()
        pool.prepare()
        assert len(started) == 1
        assert ask(pool, desk.question()) == 3
    assert len(started) == 1


def test_processes_that_nobody_can_lend_any_more_are_ended(desk: Desk, started: list[Child]) -> None:
    pool = Readers(1)
    ask(pool, desk.question())
    del pool
    gc.collect()
    assert not started[0].running


def test_a_question_is_one_line(desk: Desk) -> None:
    question = replace(desk.question(), name="new\nline\udcff.csv")
    assert question.line().count(b"\n") == 1
    assert json.loads(question.line())["name"] == "new\nline\udcff.csv"
