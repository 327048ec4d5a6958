"""Files in the workspace: what others bring meanwhile stays, no copy is left behind."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.steps.erasure import erase
from holdfast.steps.ingestion import ingest
from holdfast.store.scrubbing import mentions
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
GONE = "zorgon-7"
LINES = [f"{GONE},1,10,2,1", "e1,2,20,3,0"]
NAMES = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited")


# ---- what others bring meanwhile


@pytest.fixture
def delivered(ingested: Workspace, deliver: Deliver) -> Path:
    """A delivery that holds the client, and was taken in."""
    path = deliver(ingested.input_folder, "new.csv", LINES)
    ingest(ingested)
    return path


def brought_meanwhile(monkeypatch: pytest.MonkeyPatch, path: Path, texts: list[str]) -> None:
    """Each time that the file is about to be replaced, somebody renames the next of these over it."""
    real, waiting = os.chown, iter(texts)

    def chown(new: Path, *arguments: int) -> None:
        real(new, *arguments)
        if new.name == f".{path.name}.tmp" and (text := next(waiting, None)) is not None:
            path.with_name("on its way").write_text(text)
            path.with_name("on its way").replace(path)

    monkeypatch.setattr(os, "chown", chown)


def test_a_file_that_is_renamed_over_a_delivery_meanwhile_is_not_lost_and_cleaned_in_its_turn(
    ingested: Workspace, delivered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = delivered.read_text()
    with monkeypatch.context() as patch:
        brought_meanwhile(patch, delivered, [f"{text}f1,3,30,4,0\n"])
        receipt = erase(ingested, GONE, "case 17")
    assert receipt.remaining == ()
    assert delivered.read_text() == f"{text.replace(LINES[0] + chr(10), '')}f1,3,30,4,0\n"
    assert [file.accepted for file in ingest(ingested).files] == [2]


def test_a_file_that_others_replace_every_time_is_left_to_them_and_told(
    ingested: Workspace, delivered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = delivered.read_text()
    with monkeypatch.context() as patch:
        brought_meanwhile(patch, delivered, [f"{text}f{number},3,30,4,0\n" for number in range(9)])
        receipt = erase(ingested, GONE, "case 17")
    assert [(each.place, each.reason, each.next) for each in receipt.remaining] == [
        (
            "practicedata/new.csv",
            "it could not be changed: others changed it while it was being cleaned",
            "erase again when nobody writes to it",
        )
    ]
    assert delivered.read_text() == f"{text}f2,3,30,4,0\n"
    assert not list(delivered.parent.glob(".*"))
    assert erase(ingested, GONE, "case 17").remaining == ()
    assert GONE not in delivered.read_text()


# ---- copies


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from holdfast.erasing import apart, tasks
from holdfast.steps import erasure
from holdfast.store.scrubbing import databases, searching
from holdfast.workspace import Workspace

def killed(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

place, name = sys.argv[3].split(".")
setattr({"databases": databases, "files": __import__("holdfast.erasing.files").erasing.files}[place], name, killed)
apart.ask = lambda work, path, function, **given: getattr(tasks, function)(str(path), **given)
call = getattr(erasure, sys.argv[2])
call(Workspace.open(sys.argv[1]), "zorgon-7", *(["case 17"] if call is erasure.erase else []))
"""


@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("erase", "databases._live_occurrences"),
        ("plan_erasure", "files.clean_into"),
        ("plan_erasure", "files.redact_copy"),
    ],
)
def test_copies_of_a_killed_search_or_cleaning_are_in_the_workspace_and_the_next_command_removes_them(
    ingested: Workspace, deliver: Deliver, tmp_path: Path, command: str, place: str
) -> None:
    deliver(ingested.input_folder, "new.csv", LINES)
    ingest(ingested)
    with closing(sqlite3.connect(ingested.root / "crm.db")) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE calls (note)")
        database.execute("INSERT INTO calls VALUES (?)", (f"x{GONE}x",))
    with (
        closing(sqlite3.connect(ingested.ledger_file)) as ledger,
        closing(sqlite3.connect(ingested.root / "b.db")) as copy,
    ):
        ledger.backup(copy)
    outside = tmp_path / "temporary"
    outside.mkdir()
    arguments = [sys.executable, "-c", KILLED, str(ingested.root), command, place]
    killed = subprocess.run(arguments, check=False, env={**os.environ, "TMPDIR": str(outside)})
    assert killed.returncode == -signal.SIGKILL
    assert [path for path in outside.rglob("*") if path.is_file()] == []
    ingest(ingested)
    assert list(ingested.state_folder.glob("copies-*")) == []


# ---- in a reading process


def test_what_a_reader_fails_over_is_told_with_the_file(ingested: Workspace, deliver: Deliver) -> None:
    deliver(ingested.input_folder, "new.csv", LINES)
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/notes.xml", f"<x>{GONE}</x>")
    (ingested.input_folder / "broken.xlsx").write_bytes(book.getvalue())
    receipt = erase(ingested, GONE, "case 17")
    assert [each.place for each in receipt.remaining] == ["practicedata/broken.xlsx"]


def test_a_delivery_is_cleaned_in_a_reading_process_with_its_mode(ingested: Workspace) -> None:
    path = ingested.input_folder / "new.parquet"
    columns = [[GONE, "e1"], [1, 2], [10, 20], [2, 3], [1, 0]]
    pq.write_table(pa.table(dict(zip(NAMES, columns, strict=True))), path)
    path.chmod(0o640)
    ingest(ingested)
    assert erase(ingested, GONE, "case 17").remaining == ()
    assert (pq.read_table(path)["corporation"].to_pylist(), path.stat().st_mode & 0o777) == (["e1"], 0o640)
    assert not mentions(path, GONE)
    assert ingest(ingested).files == ()
