"""Copies of the ledger: known by what is in them, cleaned where they lie, whatever version wrote them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.errors import CannotWrite
from holdfast.records import QuarantineAct
from holdfast.store.ledger import Ledger
from holdfast.store.ledgercopies import is_ledger, redact_copy

NOW = "2026-01-31T10:00:00Z"
CLIENT = "Müller & Söhne"


def cleaned(text: str, _delivery: int | None) -> str:
    return text.replace(CLIENT, "[erased]")


def act(line: int, text: str | None, reason: str | None = None) -> QuarantineAct:
    return QuarantineAct(
        delivery=4,
        line=line,
        act="repaired",
        text=text,
        reason=reason,
        replayed_as=None,
        actor="ada",
        created=NOW,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of a ledger with two texts that name the client."""
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.record_acts("run", [act(2, f"{CLIENT},1"), act(3, "another,1", f"for {CLIENT}"), act(4, "another")])
    shutil.copy(tmp_path / "ledger.sqlite", tmp_path / "ledger.sqlite.bak")
    return tmp_path / "ledger.sqlite.bak"


def test_a_ledger_is_known_by_its_tables_whatever_its_name(copy: Path, tmp_path: Path) -> None:
    assert is_ledger(copy)
    for name, make in (("text", "x"), ("empty", ""), ("damaged", "SQLite format 3\0 and no more")):
        (tmp_path / name).write_text(make)
        assert not is_ledger(tmp_path / name)
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as database, database:
        database.execute("CREATE TABLE runs (id)")
    assert not is_ledger(tmp_path / "other.sqlite")
    assert not is_ledger(tmp_path / "nowhere")


def test_every_text_is_rewritten_and_no_byte_of_the_old_ones_is_left(copy: Path, tmp_path: Path) -> None:
    assert redact_copy(copy, cleaned) == 2
    assert redact_copy(copy, cleaned) == 0
    beside = [path for path in tmp_path.iterdir() if path.name.startswith(copy.name)]
    assert beside == [copy]
    assert CLIENT.encode() not in copy.read_bytes()
    with Ledger(copy) as ledger:
        assert [(each.text, each.reason) for each in ledger.acts(4).values()] == [
            ("[erased],1", None),
            ("another,1", "for [erased]"),
            ("another", None),
        ]


def test_a_repaired_row_comes_with_the_number_of_its_delivery(copy: Path) -> None:
    seen: dict[str, int | None] = {}

    def look(text: str, delivery: int | None) -> str:
        seen[text] = delivery
        return text

    assert redact_copy(copy, look) == 0
    assert (seen[f"{CLIENT},1"], seen[f"for {CLIENT}"]) == (4, None)


def test_a_copy_that_an_older_version_wrote_keeps_its_tables(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as database, database:
        database.execute("DROP TABLE erasures")
        database.execute("ALTER TABLE runs ADD COLUMN unknown")
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    before = layout(copy)
    assert redact_copy(copy, cleaned) == 2
    assert layout(copy) == before


def layout(copy: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(copy)) as database:
        tables = database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return [*tables, *database.execute("SELECT version_num FROM alembic_version").fetchall()]


def test_a_failed_rewriting_changes_nothing(copy: Path) -> None:
    before = copy.read_bytes()

    def failing(text: str, _: int | None) -> str:
        if text.startswith("for"):
            raise RuntimeError
        return "[erased]"

    with pytest.raises(RuntimeError):
        redact_copy(copy, failing)
    assert copy.read_bytes() == before


def test_a_damaged_copy_cannot_be_cleaned_and_says_so(copy: Path) -> None:
    data = copy.read_bytes()
    copy.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    with pytest.raises(CannotWrite, match="this copy of the ledger cannot be cleaned"):
        redact_copy(copy, cleaned)
