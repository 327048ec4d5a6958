"""The ledger's SQLite file: durable, released when closed, and without traces of what was removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import Busy, InputOutputError
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
    return tmp_path / "it's a [ledger]?.sqlite"


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
