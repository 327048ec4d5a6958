"""The reading process from inside: one last word to each question, whatever happens, until the other side hangs up."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from holdfast.errors import FileRefused
from holdfast.intake import child
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA, schema_to_json
from holdfast.sources.readers import LAST_WORDS

TABLE = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\nacme,1,2,3,0\n"


class Line:
    """Our end of the line to `serve`, which runs in a thread."""

    def __init__(self, folder: Path) -> None:
        self.ours, theirs = socket.socketpair()
        self.folder = folder
        self.told: list[dict[str, Any]] = []
        self.thread = threading.Thread(target=child.serve, args=(theirs,))
        self.thread.start()
        self._theirs = theirs
        self._answers = self.ours.makefile("rb")

    def send(self, text: str = TABLE, **changed: Any) -> bytes:
        """A question about a file with this text."""
        path = self.folder / "a.csv"
        path.write_text(text)
        message = {
            "wanted": "part",
            "name": "a.csv",
            "schema": schema_to_json(BRIEF_SCHEMA),
            "limits": asdict(Limits()),
            "delivery": 1,
            "part": str(self.folder / "part.parquet"),
            "quarantine": str(self.folder / "quarantine.parquet"),
            "renamed": {},
            "sheet": None,
            "target_required": True,
            "key": "",
            "tombstones": [],
        }
        line = json.dumps(message | changed).encode() + b"\n"
        with path.open("rb") as stream:
            socket.send_fds(self.ours, [line[:10]], [stream.fileno()])
        return line[10:]

    def ask(self, text: str = TABLE, **changed: Any) -> dict[str, Any]:
        """The last word on such a question."""
        self.ours.sendall(self.send(text, **changed))
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next last word, `done` for one that all went well."""
        answer: dict[str, Any] = {}
        while not answer.keys() & LAST_WORDS:
            answer = json.loads(self._answers.readline())
            self.told.append(answer)
            self._answers.read(answer.get("bytes", 0))
        return answer

    def hang_up(self) -> None:
        """End the conversation."""
        self._answers.close()
        self.ours.close()
        self.thread.join(10)
        self._theirs.close()


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setattr(child, "_limit", lambda _, **_options: None)  # this process goes on
    line = Line(tmp_path)
    yield line
    line.hang_up()


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_each_question_gets_one_last_word(line: Line) -> None:
    for _ in range(3):
        assert line.ask()["done"]["valid"] == 1


def test_whoever_asks_for_rows_gets_them_before_the_last_word_and_nothing_is_written(line: Line) -> None:
    done = line.ask(TABLE + "beta,x,2,3,0\n", wanted="rows")["done"]
    opened, batch, _ = line.told
    assert (opened["header"], opened["notices"]) == (list(BRIEF_SCHEMA.names), [])
    assert (batch["rows"], [row["line"] for row in batch["rejected"]], batch["unlabelled"]) == (2, [3], [])
    assert done["digest"] == hashlib.sha256((line.folder / "a.csv").read_bytes()).hexdigest()
    assert [path.name for path in line.folder.iterdir()] == ["a.csv"]


def test_a_question_for_something_else_is_a_bug(line: Line) -> None:
    assert "KeyError: 'secrets'" in line.ask(wanted="secrets")["bug"]


def test_a_question_may_arrive_in_pieces(line: Line) -> None:
    rest = line.send()
    for start in range(0, len(rest), 100):
        line.ours.sendall(rest[start : start + 100])
    assert line.answer()["done"]["valid"] == 1


def test_a_refusal_is_answered_as_the_error_that_it_is(line: Line) -> None:
    error = line.ask("nothing\n")["error"]
    assert (error["code"], error["file"], error["row"]) == ("file-refused", "a.csv", 1)
    assert line.ask()["done"]["valid"] == 1


@pytest.mark.parametrize("error", [MemoryError(), pa.ArrowMemoryError("malloc of size 64 failed")])
def test_a_lack_of_memory_is_answered(line: Line, monkeypatch: pytest.MonkeyPatch, error: MemoryError) -> None:
    monkeypatch.setattr(child, "store", failing(error))
    assert line.ask() == {"memory": True}


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "cannot-write"), (errno.EACCES, "not-permitted"), (errno.EIO, "input-output")]
)
def test_a_part_that_cannot_be_written_is_answered_with_its_path(
    line: Line, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    monkeypatch.setattr(child, "store", failing(OSError(number, os.strerror(number))))
    error = line.ask()["error"]
    assert (error["code"], error["file"]) == (code, str(line.folder / "part.parquet"))


def test_what_a_function_says_of_a_file_is_the_answer(line: Line) -> None:
    answer = line.ask(wanted="call", function="posixpath.join", given={"a": "x"})
    assert answer == {"done": {"result": "x"}}


def test_a_bug_is_answered_with_where_it_is(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "store", failing(ZeroDivisionError("a bug")))
    answer = line.ask()
    assert answer["bug"].startswith("Traceback")
    assert "ZeroDivisionError: a bug" in answer["bug"]


def test_a_parent_that_hangs_up_in_the_middle_of_a_question_ends_the_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_limit", lambda _, **_options: None)
    line = Line(tmp_path)
    line.send()
    line.hang_up()
    assert not line.thread.is_alive()


def test_the_descriptor_of_a_file_is_closed_after_it_was_read(line: Line) -> None:
    line.ask()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for text in (TABLE, "nothing\n", TABLE):
        line.ask(text)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_error_of_ours_in_storing_is_answered_too(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "store", failing(FileRefused("unpacks to more than 10 bytes", file="a.csv")))
    assert line.ask()["error"]["message"] == "unpacks to more than 10 bytes"
