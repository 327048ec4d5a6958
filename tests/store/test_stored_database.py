"""The ledger's SQLite file: durable, released when closed, and without traces of what was removed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import Busy, CannotWrite, ConfigurationError, InputOutputError, NotPermitted
from holdfast.records import RejectedRow
from holdfast.store import database
from holdfast.store.database import Database, json_text
from holdfast.store.tables import releases

SECRET = "a-client-who-was-erased"


class Open(Database):
    """A database whose tools can be reached."""

    def keep(self, name: str, record: str) -> None:
        values = {"id": name, "run": "r", "created": "now", "record": record}
        self._write(releases.insert().prefix_with("OR REPLACE").values(**values))

    def kept(self) -> list[str]:
        return [row.record for row in self._rows(releases.select().order_by(releases.c.id))]

    def forget(self) -> None:
        self._write(releases.update().values(record="gone"))
        self._forget_deleted_pages()

    def pragma(self, name: str) -> Any:
        with self._engine.connect() as connection:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "it's a [ledger]?.sqlite"


@pytest.fixture
def opened(file: Path) -> Iterator[Open]:
    with Open(file) as each:
        yield each


def with_secret(folder: Path) -> list[str]:
    """The files that hold the secret."""
    return [path.name for path in folder.iterdir() if SECRET.encode() in path.read_bytes()]


def test_without_a_file_it_is_an_empty_one_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Open(None) as first, Open(None) as second:
        first.keep("1", "x")
        assert (first.kept(), second.kept()) == (["x"], [])
        first.forget()
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_on_the_disk_when_it_is_acknowledged(opened: Open) -> None:
    full = 2
    assert (opened.pragma("journal_mode"), opened.pragma("synchronous")) == ("wal", full)


def test_closing_releases_the_file(file: Path) -> None:
    with Open(file) as opened:
        opened.keep("1", "x")
    descriptors = [path.resolve() for path in Path("/proc/self/fd").iterdir()]
    assert file not in descriptors
    assert [path.name for path in file.parent.iterdir()] == [file.name], "no log of writes is left beside it"


def test_what_is_removed_leaves_no_trace_in_the_file_or_beside_it(opened: Open, file: Path) -> None:
    for number in range(200):
        opened.keep(str(number), f"{SECRET} {number}" * 40)
    assert with_secret(file.parent)
    opened.forget()
    assert with_secret(file.parent) == []
    assert set(opened.kept()) == {"gone"}


def test_what_is_overwritten_a_row_at_a_time_leaves_no_trace_either(opened: Open, file: Path) -> None:
    opened.keep("1", SECRET)
    opened.keep("1", "short")
    opened.forget()
    assert with_secret(file.parent) == []


def test_a_reader_that_keeps_old_pages_alive_is_noticed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LONGEST_WAIT", 0)
    with Open(file) as opened, closing(sqlite3.connect(file)) as reader:
        opened.keep("1", SECRET)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM releases").fetchall()
        with pytest.raises(Busy, match="may still lie beside it") as caught:
            opened.forget()
        assert caught.value.file == str(file)
        reader.rollback()
        opened.forget()
        assert with_secret(file.parent) == []


def test_a_writer_that_does_not_come_to_an_end_is_a_known_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LONGEST_WAIT", 0)
    with Open(file) as opened, closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(InputOutputError, match="the ledger: database is locked") as caught:
            opened.keep("1", "x")
        assert caught.value.file == str(file)
        other.execute("ROLLBACK")
        opened.keep("1", "x")
        assert opened.kept() == ["x"]


def test_a_record_is_kept_as_the_text_of_its_json_form() -> None:
    row = RejectedRow(file="ä.csv", line=2, column=None, rule="missing", text='"')
    expected = '{"file": "\\u00e4.csv", "line": 2, "column": null, "rule": "missing", "text": "\\""}'
    assert json_text(row) == expected


# ---- damaged


@pytest.mark.parametrize("read_only", [False, True])
def test_of_a_damaged_file_the_copies_are_named_and_how_to_put_one_back(file: Path, *, read_only: bool) -> None:
    with Open(file) as written:
        written.keep("1", "x")
    copies = [file.with_name("monday.sqlite"), file.parent.parent / "tuesday.backup"]
    for copy in copies:
        shutil.copy(file, copy)
    file.write_bytes(b"<<<<<<< HEAD\n" * 1000)
    file.with_name("notes.txt").write_text("no ledger")
    with pytest.raises(InputOutputError) as caught:
        Open(file, read_only=read_only)
    hint = str(caught.value.hint)
    assert all(str(copy) in hint for copy in copies)
    assert "notes.txt" not in hint
    assert f"copy one of them over {file.name}, and delete {file.name}-wal and {file.name}-shm" in hint


def test_of_a_damaged_file_without_copies_it_is_told_what_a_new_one_can_learn(file: Path) -> None:
    file.write_bytes(b"<<<<<<< HEAD\n" * 1000)
    with pytest.raises(InputOutputError) as caught:
        Open(file)
    assert "move it away" in str(caught.value.hint)
    assert "holdfast ingest" in str(caught.value.hint)


def test_of_a_full_disk_it_is_told_what_to_do(opened: Open) -> None:
    with opened._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(CannotWrite, match="full") as caught:
        opened.keep("1", "x" * 1_000_000)
    assert caught.value.hint == "free some disk space, then run again"


# ---- opened for reading


def test_reading_changes_nothing_and_leaves_nothing_beside_the_file(file: Path) -> None:
    with Open(file) as written:
        written.keep("1", "x")
    before = file.read_bytes()
    with Open(file, read_only=True) as opened:
        assert opened.kept() == ["x"]
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == before


def test_what_is_open_for_reading_cannot_be_written(file: Path) -> None:
    Open(file).close()
    with Open(file, read_only=True) as opened, pytest.raises(CannotWrite, match="readonly"):
        opened.keep("1", "x")


def test_who_may_not_write_in_the_folder_can_read(file: Path, read_only: Callable[[Path], None]) -> None:
    with Open(file) as written:
        written.keep("1", "x")
    read_only(file.parent)
    with Open(file, read_only=True) as opened:
        assert opened.kept() == ["x"]


def test_who_may_not_write_can_read_what_a_killed_command_left(
    file: Path, tmp_path: Path, read_only: Callable[[Path], None]
) -> None:
    left = tmp_path / "left"
    with Open(file) as written:
        written.keep("1", "x")
        shutil.copytree(file.parent, left)
    read_only(left)
    with Open(left / file.name, read_only=True) as opened:
        assert opened.kept() == ["x"]


def test_who_may_not_write_reads_on_while_another_writes(file: Path, read_only: Callable[[Path], None]) -> None:
    with Open(file) as writer:
        writer.keep("1", "x")
        descriptors = [path.name for path in file.parent.iterdir()]
        read_only(file.parent)
        with Open(file, read_only=True) as opened:
            assert opened.kept() == ["x"]
            writer.keep("2", "y")
            assert opened.kept() == ["x", "y"]
        assert [path.name for path in file.parent.iterdir()] == descriptors


def test_a_log_that_only_a_writer_could_read_is_not_passed_over(
    file: Path, tmp_path: Path, read_only: Callable[[Path], None]
) -> None:
    left = tmp_path / "left"
    with Open(file) as written:
        written.keep("1", "x")
        shutil.copytree(file.parent, left)
    (left / f"{file.name}-shm").unlink()
    read_only(left)
    with pytest.raises(InputOutputError, match="not in it yet") as caught:
        Open(left / file.name, read_only=True)
    assert "holdfast status" in str(caught.value.hint)


def test_a_file_that_may_not_be_read_is_named(file: Path, read_only: Callable[[Path], None]) -> None:
    Open(file).close()
    file.chmod(0)
    read_only(file.parent)
    with pytest.raises(NotPermitted, match="cannot read") as caught:
        Open(file, read_only=True)
    assert caught.value.file == str(file)


def test_reading_does_not_bring_an_older_file_up_to_date(file: Path) -> None:
    Open(file).close()
    with closing(sqlite3.connect(file)) as plain, plain:
        plain.execute("UPDATE alembic_version SET version_num = '0002'")
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="0002") as caught:
        Open(file, read_only=True)
    assert "holdfast ingest" in str(caught.value.hint)
    assert file.read_bytes() == before


def test_a_file_in_which_nothing_was_made_yet_reads_as_an_empty_one(file: Path) -> None:
    file.touch()
    with Open(file, read_only=True) as opened:
        assert opened.kept() == []
    assert file.read_bytes() == b""
