"""The dataset as a Delta table: one commit per delivery, old versions readable, and nobody's id in the log."""

from __future__ import annotations

import datetime
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import CannotWrite, ConfigurationError, HoldfastError, InputOutputError, UsageError
from holdfast.records import SourceFile
from holdfast.store import deltatable
from holdfast.store.deltatable import LOG, PART, DatasetTable, Part, part_name
from holdfast.store.parts import PartWriter

MARK = "client-that-nobody-may-find"
A_DAY = 86_400_000
HISTORY = 365
RULE = "latest"


def delivery(number: int, digest: str | None = None, **changes: Any) -> SourceFile:
    usual = SourceFile(
        number=number,
        name=f"{number}.csv",
        folder="in",
        digest=digest or f"{number:064x}",
        size=1,
        received="2026-01-31T10:00:00Z",
        status="accepted",
        rows=2,
        accepted=2,
    )
    return replace(usual, **changes)


def write(path: Path, number: int, clients: Sequence[str] = ("a", "b"), client: str = "client") -> Path:
    """A part of one delivery with a row for each client."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        client: pa.array(clients, pa.string()),
        "month": pa.array([datetime.date(2026, 1, 31)] * len(clients), pa.date32()),
        "visits": pa.array([None] * len(clients), pa.int64()),
        "worth": pa.array([0.5] * len(clients), pa.float64()),
        "churn": pa.array([1] * len(clients), pa.int8()),
        "_line": pa.array(range(2, len(clients) + 2), pa.int64()),
    }
    rows = pa.record_batch(columns)
    with PartWriter(path, rows.schema, number) as part:
        part.add(rows)
    return path


def deliver(table: DatasetTable, number: int, **changes: Any) -> int:
    """Commit a delivery of two rows; returns the version."""
    file = delivery(number, **changes)
    path = write(table.folder / part_name(number, number, file.digest[-8:]), number, (f"{MARK}-{number}", "b"))
    return table.commit("delivery", add=[path], delivery=file)


def merge(table: DatasetTable, parts: Sequence[Part]) -> int:
    """Commit a compaction of some parts into one; returns the version."""
    path = table.fresh_path(parts[0].first, parts[-1].last)
    pq.write_table(pa.concat_tables([pq.read_table(part.path) for part in parts]), path)
    return table.commit("compaction", add=[path], remove=parts)


def rows_of(parts: Sequence[Part]) -> list[Any]:
    """The delivery and line of every row, in the order of the parts."""
    rows = [row for part in parts for row in pq.read_table(part.path).to_pylist()]
    return [(row["_delivery"], row["_line"]) for row in rows]


def log_entry(table: DatasetTable, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (table.folder / LOG / f"{version:020d}.json").read_text().splitlines()]


@pytest.fixture
def table(tmp_path: Path) -> DatasetTable:
    """A table that is not there yet."""
    return DatasetTable(tmp_path / "dataset" / "sourcedata-01234567", HISTORY, RULE)


@pytest.fixture
def filled(table: DatasetTable) -> DatasetTable:
    """A table of three deliveries."""
    for number in (1, 2, 3):
        deliver(table, number)
    return again(table)


def again(table: DatasetTable) -> DatasetTable:
    """The same table, as the next command opens it."""
    return DatasetTable(table.folder, HISTORY, RULE)


# ---- commits


def test_a_table_that_is_not_there_has_nothing_and_is_not_made_by_looking(table: DatasetTable) -> None:
    assert (table.version, table.parts(), table.versions(), table.delivered_after(0)) == (None, (), (), ())
    assert (table.left_after(0), table.standing()) == ({}, {})
    assert (table.forget(0), table.readable()) == (0, frozenset())
    assert not table.folder.exists()


def test_every_delivery_is_one_commit(table: DatasetTable) -> None:
    assert [deliver(table, number) for number in (1, 2, 3)] == [1, 2, 3]
    assert [table.version, again(table).version] == [3, 3]
    assert [(each.purpose, each.delivery, each.name, each.rows) for each in again(table).versions()] == [
        ("made", None, None, None),
        ("delivery", 1, "1.csv", 2),
        ("delivery", 2, "2.csv", 2),
        ("delivery", 3, "3.csv", 2),
    ]


def test_versions_tell_when_they_were_committed(filled: DatasetTable) -> None:
    times = [each.committed for each in filled.versions()]
    assert times == sorted(times)
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", time) for time in times)


def test_the_digest_of_a_delivery_is_the_application_transaction(filled: DatasetTable) -> None:
    plain = DeltaTable(str(filled.folder))
    assert [plain.transaction_version(f"{number:064x}") for number in (1, 2, 3, 4)] == [1, 2, 3, None]


def test_a_delivery_is_committed_once(filled: DatasetTable) -> None:
    before = filled.parts()
    assert deliver(filled, 2) == 2
    assert (again(filled).version, again(filled).parts()) == (3, before)


def test_bytes_that_are_taken_anew_are_another_commit(filled: DatasetTable) -> None:
    assert deliver(filled, 4, digest=delivery(2).digest) == 4


def test_parts_come_in_order_of_arrival(table: DatasetTable) -> None:
    numbers = [1, 2, 99, 999_999, 1_000_000, 12_345_678]
    for number in numbers:
        deliver(table, number)
    parts = again(table).parts()
    assert [(part.first, part.last) for part in parts] == [(number, number) for number in numbers]
    assert rows_of(parts) == [(number, line) for number in numbers for line in (2, 3)]


@given(first=st.integers(1, 10**7), more=st.integers(0, 10**7), digest=st.from_regex(r"[0-9a-f]{8,64}", fullmatch=True))
def test_the_name_of_a_part_tells_its_deliveries(first: int, more: int, digest: str) -> None:
    match = PART.fullmatch(part_name(first, first + more, digest))
    assert match
    assert (int(match[1]), int(match[2] or match[1])) == (first, first + more)


def test_a_commit_that_somebody_else_came_before_is_not_made(filled: DatasetTable) -> None:
    assert filled.version == 3
    deliver(again(filled), 4)
    with pytest.raises(CannotWrite, match="somebody else wrote to the dataset") as caught:
        deliver(filled, 5)
    assert caught.value.file == str(filled.folder)
    assert (again(filled).version, len(again(filled).parts())) == (4, 4)
    assert deliver(again(filled), 5) == 5


def test_a_commit_is_made_where_a_crash_came_before_the_first(table: DatasetTable) -> None:
    (table.folder / LOG).mkdir(parents=True)
    assert (table.version, table.parts(), table.versions()) == (None, (), ())
    assert deliver(again(table), 1) == 1


def test_a_commit_is_on_the_disk_before_the_ledger_can_know_of_it(
    table: DatasetTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    for number in range(1, 50):
        deliver(table, number)
    log = table.folder / LOG
    assert {*log.iterdir(), log, table.folder} == set(synced)


def test_a_table_that_cannot_be_made_is_said_so(table: DatasetTable) -> None:
    table.folder.mkdir(parents=True)
    (table.folder / LOG).write_text("a file stands in its place")
    with pytest.raises(CannotWrite, match="the dataset cannot be written:"):
        deliver(table, 1)


def test_a_part_that_is_not_there_is_not_committed(filled: DatasetTable) -> None:
    with pytest.raises(CannotWrite):
        filled.commit("delivery", add=[filled.fresh_path(4, 4)], delivery=delivery(4))
    assert again(filled).version == 3


def test_an_empty_delivery_is_a_commit_too(table: DatasetTable) -> None:
    path = write(table.folder / part_name(1, 1, "0" * 8), 1, ())
    assert table.commit("delivery", add=[path], delivery=delivery(1, rows=0)) == 1
    assert DeltaTable(str(table.folder)).to_pyarrow_table().num_rows == 0


@pytest.mark.parametrize("name", ["it's [a] k=v", "100%", "ü 名", "a b#c?d", "~", "a:b"])
def test_the_table_may_lie_in_any_folder(tmp_path: Path, name: str) -> None:
    table = DatasetTable(tmp_path / name / name, HISTORY, RULE)
    deliver(table, 1)
    first = again(table).parts()
    assert first == (Part(table.folder / part_name(1, 1, "0" * 7 + "1"), 1, 1),)
    merge(table, first)
    assert (len(table.parts()), table.parts(1), table.forget(0)) == (1, first, 1)
    assert rows_of(again(table).parts()) == [(1, 2), (1, 3)]


@pytest.mark.parametrize("name", ["My%20Files", "back\\slash", "new\nline", "tab\t"])
def test_a_folder_that_deltalake_would_misread_is_refused_by_name(tmp_path: Path, name: str) -> None:
    table = DatasetTable(tmp_path / name / "table", HISTORY, RULE)
    with pytest.raises(ConfigurationError, match="the dataset cannot lie in a folder whose path has"):
        deliver(table, 1)
    (tmp_path / name / "table" / LOG).mkdir()
    with pytest.raises(ConfigurationError):
        again(table).parts()


@pytest.mark.parametrize("name", ["a b", "a,b;c", "{x}", "(y)", "a=b", "a.b", 'say "x"', "it's", "ä 名", "`t`", "a\tb"])
def test_columns_may_have_any_name(table: DatasetTable, name: str) -> None:
    path = write(table.folder / part_name(1, 1, "0" * 8), 1, client=name)
    table.commit("delivery", add=[path], delivery=delivery(1))
    assert DeltaTable(str(table.folder)).to_pyarrow_table().column(name).to_pylist() == ["a", "b"]


# ---- versions


def test_superseded_parts_leave_the_current_version_and_stay_readable_at_the_old_one(filled: DatasetTable) -> None:
    first, second, third = filled.parts()
    path = write(filled.folder / part_name(4, 4, "0" * 8), 4)
    assert filled.commit("delivery", add=[path], remove=[second], delivery=delivery(4)) == 4
    assert filled.parts() == again(filled).parts() == (first, third, Part(path, 4, 4))
    assert again(filled).parts(3) == (first, second, third)
    assert rows_of(again(filled).parts(3)) == [(1, 2), (1, 3), (2, 2), (2, 3), (3, 2), (3, 3)]
    assert again(filled).parts(0) == ()


def test_merging_parts_is_a_version_in_which_no_row_changed(filled: DatasetTable) -> None:
    before = rows_of(filled.parts())
    merge(filled, filled.parts()[:2])
    assert rows_of(filled.parts()) == before
    assert [(part.first, part.last) for part in filled.parts()] == [(1, 2), (3, 3)]
    assert {action["dataChange"] for line in log_entry(filled, 4) for action in line.values() if "path" in action} == {
        False
    }


def test_rows_that_leave_without_a_delivery_are_a_change(filled: DatasetTable) -> None:
    filled.commit("erasure", remove=filled.parts()[:1])
    assert [line["remove"]["dataChange"] for line in log_entry(filled, 4) if "remove" in line] == [True]


@pytest.mark.parametrize("version", [-1, 4, 10**6])
def test_a_version_that_never_was_is_a_usage_error(filled: DatasetTable, version: int) -> None:
    with pytest.raises(UsageError, match=f"no version {version} of the dataset") as caught:
        filled.parts(version)
    assert caught.value.hint == "the versions are 0 to 3"


def test_before_the_first_commit_there_is_no_version(table: DatasetTable) -> None:
    with pytest.raises(UsageError, match="there is no version yet"):
        table.parts(0)


def test_a_version_whose_files_are_gone_can_no_longer_be_read(filled: DatasetTable) -> None:
    filled.commit("erasure", remove=filled.parts()[:1])
    filled.forget(0)
    assert len(filled.parts(4)) == 2
    for version in (1, 2, 3):
        with pytest.raises(InputOutputError, match=f"version {version} of the dataset can no longer be read"):
            filled.parts(version)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(data=st.data())
def test_the_readable_versions_are_those_whose_parts_can_be_had(tmp_path: Path, data: st.DataObject) -> None:
    table = DatasetTable(Path(tempfile.mkdtemp(dir=tmp_path)) / "table", HISTORY, RULE)
    for number in range(1, data.draw(st.integers(1, 6)) + 1):
        deliver(table, number)
        what = data.draw(st.sampled_from(["nothing", "merge", "remove"]))
        if what == "merge":
            merge(table, table.parts()[-2:])
        elif what == "remove":
            table.commit("erasure", remove=table.parts()[: data.draw(st.integers(0, 2))])
    for path in data.draw(st.lists(st.sampled_from(sorted(table.folder.glob("*.parquet"))), max_size=2, unique=True)):
        path.unlink()

    def can_be_had(version: int) -> bool:
        try:
            again(table).parts(version)
        except InputOutputError:
            return False
        return True

    assert again(table).readable() == {each.version for each in table.versions() if can_be_had(each.version)}


def test_the_versions_that_need_a_part_are_those_in_which_it_is(filled: DatasetTable) -> None:
    merge(filled, filled.parts()[:2])
    for name in {part.path.name for version in range(5) for part in filled.parts(version)}:
        having = {version for version in range(5) if name in [part.path.name for part in filled.parts(version)]}
        assert again(filled).needing(name.__eq__) == having
    assert filled.needing("no part".__eq__) == frozenset()


def test_the_readable_versions_are_told_without_opening_the_table_again(
    filled: DatasetTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert filled.version == 3
    monkeypatch.setattr(deltatable, "DeltaTable", None)
    assert filled.readable() == {0, 1, 2, 3}


def test_deliveries_after_a_version_come_back_as_they_were_with_their_version(table: DatasetTable) -> None:
    error = {"code": "x", "row": 3, "hint": None}
    changes: dict[str, Any] = {
        "notices": ("ü “x”", "\n\x1b"),
        "header": ("a", "b,c"),
        "error": error,
        "supersedes": 7,
    }
    deliver(table, 1, **changes)
    merge(table, table.parts())
    deliver(table, 7, watermark="2026", repairs=1)
    files = [delivery(1, version=1, **changes), delivery(7, version=3, watermark="2026", repairs=1)]
    assert list(again(table).delivered_after(0)) == files
    assert list(again(table).delivered_after(1)) == list(again(table).delivered_after(2)) == files[1:]
    assert again(table).delivered_after(3) == again(table).delivered_after(9) == ()


def test_what_left_with_the_commits_after_a_version_is_told(filled: DatasetTable) -> None:
    first, second, _ = filled.parts()
    filled.commit("withdrawal", remove=[first], left=[1])
    path = write(filled.folder / part_name(4, 4, "0" * 8), 4)
    filled.commit("delivery", add=[path], remove=[second], delivery=delivery(4), left={2})
    assert [again(filled).left_after(version) for version in (0, 3, 4, 5, 9)] == [
        {1: 4, 2: 5},
        {1: 4, 2: 5},
        {2: 5},
        {},
        {},
    ]


def test_a_part_holds_the_deliveries_that_its_name_covers() -> None:
    part = Part(Path("000002-000004-00000000.parquet"), 2, 4)
    assert [part.holds([number]) for number in (1, 2, 3, 4, 5)] == [False, True, True, True, False]
    assert part.holds([9, 3])
    assert not part.holds([])


def test_a_table_that_is_open_stays_at_its_version(filled: DatasetTable) -> None:
    before = filled.parts()
    deliver(again(filled), 4)
    assert (filled.version, filled.parts()) == (3, before)


# ---- upkeep


def files_in(table: DatasetTable) -> set[str]:
    return {path.name for path in table.folder.glob("*.parquet")}


def test_only_files_that_no_kept_version_needs_are_deleted_and_no_version_is_added(
    filled: DatasetTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = filled.parts()
    real = deltatable._now
    monkeypatch.setattr(deltatable, "_now", lambda: real() - 3 * A_DAY)
    filled.commit("erasure", remove=[first])
    monkeypatch.undo()
    filled.commit("erasure", remove=[second])
    assert [filled.forget(days) for days in (4, 2, 2, 1)] == [0, 1, 0, 0]
    assert files_in(filled) == {second.path.name, third.path.name}
    assert (filled.version, again(filled).version, len(again(filled).parts(4))) == (5, 5, 2)
    assert filled.forget(0) == 1
    assert filled.parts() == again(filled).parts() == (third,)


def test_a_file_is_deleted_though_a_checkpoint_came_first(
    filled: DatasetTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = deltatable._now
    monkeypatch.setattr(deltatable, "_now", lambda: real() - 3 * HISTORY * A_DAY)
    filled.commit("erasure", remove=filled.parts()[:1])
    DeltaTable(str(filled.folder)).create_checkpoint()
    assert again(filled).forget(HISTORY) == 1
    assert len(files_in(filled)) == 2


def test_what_is_not_in_the_table_is_left_alone(filled: DatasetTable) -> None:
    (filled.folder / "notes.txt").write_text("mine")
    orphan = write(filled.fresh_path(4, 4), 4)
    assert filled.forget(0) == 0
    assert orphan.is_file()


def test_after_fifty_commits_a_checkpoint_is_enough_to_open_the_table(table: DatasetTable) -> None:
    for number in range(1, 56):
        deliver(table, number)
    log = table.folder / LOG
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    parts, versions = again(table).parts(), again(table).versions()
    assert (len(parts), len(versions), len(again(table).parts(7))) == (55, 56, 7)
    assert [file.number for file in again(table).delivered_after(45)] == list(range(46, 56))
    for path in log.glob("*.json"):
        if path.stem < checkpoint.name[:20]:
            path.unlink()
    assert again(table).parts() == parts


# ---- what others see


def test_the_table_opens_in_plain_deltalake_and_gives_the_same_rows(filled: DatasetTable) -> None:
    merge(filled, filled.parts()[:2])
    for version in (None, 3, 1):
        plain = DeltaTable(str(filled.folder), version=version).to_pyarrow_table()
        found = sorted((row["_delivery"], row["_line"], row["client"]) for row in plain.to_pylist())
        own = [row for part in filled.parts(version) for row in pq.read_table(part.path).to_pylist()]
        assert found == [(row["_delivery"], row["_line"], row["client"]) for row in own]


def test_the_files_of_the_table_open_in_plain_duckdb(filled: DatasetTable) -> None:
    files = DeltaTable(str(filled.folder)).file_uris()
    with duckdb.connect() as connection:
        found = connection.execute("SELECT _delivery, _line FROM read_parquet($1) ORDER BY ALL", [files]).fetchall()
    assert found == rows_of(filled.parts())


def test_the_table_opens_with_duckdbs_own_extension(filled: DatasetTable) -> None:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        try:
            connection.execute("LOAD delta")
        except duckdb.Error:
            pytest.skip("DuckDB's extension for Delta tables is not installed")
        query = f"SELECT _delivery, _line FROM delta_scan('{filled.folder}') ORDER BY ALL"
        assert connection.execute(query).fetchall() == rows_of(filled.parts())


def test_a_file_that_somebody_else_put_into_the_table_is_named(filled: DatasetTable) -> None:
    write_deltalake(str(filled.folder), pq.read_table(filled.parts()[0].path), mode="append")
    with pytest.raises(InputOutputError, match="not a file that Holdfast wrote") as caught:
        again(filled).parts()
    assert Path(str(caught.value.file)).name not in {part.path.name for part in filled.parts()}
    assert [each.purpose for each in again(filled).versions()][-1] == "WRITE"
    assert again(filled).readable() == {0, 1, 2, 3}


# ---- nobody's id in the log


def test_no_client_is_in_any_byte_of_the_log(table: DatasetTable) -> None:
    for number in range(1, 56):
        deliver(table, number)
    merge(table, table.parts()[:10])
    DeltaTable(str(table.folder)).create_checkpoint()
    log = sorted((table.folder / LOG).iterdir())
    assert sum(path.name.endswith(".checkpoint.parquet") for path in log) == 2
    assert not [path.name for path in log if MARK.encode() in path.read_bytes()]
    unpacked = [str(pq.read_table(path).to_pylist()) for path in log if path.suffix == ".parquet"]
    assert not [text for text in unpacked if MARK in text]
    assert all("_delivery" in text for text in unpacked), "the texts are there, and packed no longer"


def test_the_log_has_statistics_of_the_deliveries_only(filled: DatasetTable) -> None:
    added = [line["add"] for version in (1, 2, 3) for line in log_entry(filled, version) if "add" in line]
    assert [json.loads(each["stats"]) for each in added] == [
        {"numRecords": 2, "minValues": {"_delivery": number}, "maxValues": {"_delivery": number}}
        for number in (1, 2, 3)
    ]


# ---- a damaged log


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with a checkpoint in the middle of its log."""
    table = DatasetTable(tmp_path_factory.mktemp("whole") / "table", HISTORY, RULE)
    for number in (1, 2):
        deliver(table, number)
    deliver(table, 3)
    return table.folder


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_log_gives_an_answer_or_a_known_error(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path)) / "table"
    shutil.copytree(whole, folder)
    path = data.draw(st.sampled_from(sorted((folder / LOG).iterdir())))
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    ways = (content[:place], content[:place] + content[place + 20 :], content.replace(b'"', b"'"), b"", None)
    changed = data.draw(st.sampled_from([*ways, content[:place] + b"\xff" + content[place + 1 :]]))
    path.unlink()
    if changed is not None:
        path.write_bytes(changed)
    reading: list[Any] = [DatasetTable.parts, DatasetTable.versions, lambda table: table.delivered_after(0)]
    reading += [lambda table: table.parts(1), lambda table: table.version, DatasetTable.readable]
    for question in reading:
        with suppress(InputOutputError, UsageError):
            question(DatasetTable(folder, HISTORY, RULE))
    writing_ways = (lambda table: deliver(table, 4), lambda table: table.forget(0), lambda table: table.commit("x"))
    for writing in writing_ways:
        with suppress(CannotWrite, InputOutputError):
            writing(DatasetTable(folder, HISTORY, RULE))


def test_a_log_that_cannot_be_read_says_what_to_do(filled: DatasetTable) -> None:
    entry = filled.folder / LOG / f"{2:020d}.json"
    entry.write_bytes(entry.read_bytes()[:100])
    with pytest.raises(InputOutputError, match="the dataset cannot be read:") as caught:
        again(filled).parts()
    assert caught.value.file == str(filled.folder)
    assert str(caught.value.hint).startswith("restore this folder from a backup")


def test_a_record_in_the_log_that_is_not_as_it_was_is_an_input_output_error(filled: DatasetTable) -> None:
    entry = filled.folder / LOG / f"{2:020d}.json"
    entry.write_text(entry.read_text().replace('\\"folder\\"', '\\"fulder\\"'))
    with pytest.raises(InputOutputError, match="the dataset cannot be read:"):
        again(filled).delivered_after(0)
    assert len(again(filled).parts()) == 3


@pytest.mark.parametrize("question", [DatasetTable.parts, DatasetTable.versions])
def test_a_log_of_nothing_but_noise_is_an_input_output_error(table: DatasetTable, question: Any) -> None:
    (table.folder / LOG).mkdir(parents=True)
    (table.folder / LOG / f"{0:020d}.json").write_bytes(secrets.token_bytes(100))
    with pytest.raises(HoldfastError) as caught:
        question(table)
    assert isinstance(caught.value, InputOutputError)
