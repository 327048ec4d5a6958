"""New files are taken in their order, whatever happens to some of them; copies and changes are told apart."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.dataset import table_of
from holdfast.errors import CannotWrite, HoldfastError, InputOutputError, NoUsableData
from holdfast.intake import taking
from holdfast.intake.reading_files import Request, store_files
from holdfast.intake.storing import Stored
from holdfast.limits import Limits
from holdfast.records import IngestRecord, SourceFile
from holdfast.session import exit_status_of, reading
from holdfast.sourcelist import FolderSource
from holdfast.sources.readers import Readers
from holdfast.steps.ingestion import ingest
from holdfast.workspace import CONFIG_NAME, Workspace

Deliver = Callable[..., Path]
HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"


def row(client: str, month: int = 1, label: int = 0) -> str:
    return f"{client},{month},2,3,{label}"


def rows_of(workspace: Workspace) -> list[str]:
    return (workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:]


def history_of(workspace: Workspace) -> tuple[SourceFile, ...]:
    with reading(workspace) as (ledger, _):
        return ledger.deliveries(workspace.source, workspace.schema.digest)


def told(record: IngestRecord) -> list[tuple[int, str, str]]:
    return [(file.number, file.name, file.status) for file in record.files]


# ---- order


@pytest.fixture
def three_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several reading processes even for small files."""
    monkeypatch.setattr(taking, "SECOND_READER_BYTES", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)


def test_files_read_side_by_side_keep_order_and_numbers(
    empty: Workspace, deliver: Deliver, three_readers: None
) -> None:
    long = [f'"long {n}",1,2,3,0' for n in range(20_000)]
    for name, lines in (("a", long), ("b", [row("b")]), ("c", ["bad"]), ("d", [row("d")]), ("e", long), ("f", [])):
        deliver(empty.input_folder, f"{name}.csv", lines)
    record = ingest(empty)
    assert told(record) == [
        (1, "a.csv", "accepted"),
        (2, "b.csv", "accepted"),
        (3, "c.csv", "refused"),
        (4, "d.csv", "accepted"),
        (5, "e.csv", "duplicate"),
        (6, "f.csv", "accepted"),
    ]
    rows = rows_of(empty)
    assert [rows[0], rows[19_999], *rows[20_000:]] == ["long 0,1,2,3,0", "long 19999,1,2,3,0", row("b"), row("d")]
    assert history_of(empty) == record.files


@pytest.mark.parametrize("limit", ["files", "bytes"])
def test_groups_of_files_give_what_one_gives(
    empty: Workspace, deliver: Deliver, make_company: Callable[[Path], Workspace], limit: str
) -> None:
    together = make_company(empty.root.with_name("together"))
    for workspace in (empty, together):
        for path in workspace.input_folder.iterdir():
            path.unlink()
        for number in range(7):
            deliver(workspace.input_folder, f"{number}.csv", [row("same"), row(f"c{number // 2}"), row(f"c{number}")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taking, *(("GROUP_FILES", 2) if limit == "files" else ("GROUP_BYTES", 250)))
        in_groups = ingest(empty)
    at_once = ingest(together)
    assert told(in_groups) == told(at_once)
    assert in_groups.dataset == at_once.dataset
    assert rows_of(empty) == rows_of(together)


def test_files_are_grouped_by_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "GROUP_FILES", 3)
    monkeypatch.setattr(taking, "GROUP_BYTES", 100)
    sizes = [10, 10, 10, 10, 95, 200, 50, 50, 1]
    files: Sequence[Any] = [type("File", (), {"size": size})() for size in sizes]
    groups = [[file.size for file in group] for group in taking._groups(files)]
    assert groups == [[10, 10, 10], [10], [95], [200], [50, 50], [1]]


# ---- copies


def test_two_copies_that_arrive_together_are_one_delivery_and_a_duplicate(empty: Workspace, deliver: Deliver) -> None:
    for name in ("a.csv", "b.csv"):
        deliver(empty.input_folder, name, [row("acme"), "bad,x,2,3,0"])
    record = ingest(empty)
    assert told(record) == [(1, "a.csv", "accepted"), (2, "b.csv", "duplicate")]
    assert [(f.rows, f.accepted, f.duplicate, f.quarantined) for f in record.files] == [(2, 1, 0, 1), (2, 0, 2, 0)]
    assert "b.csv: the same bytes as a.csv" in record.notices
    assert ingest(empty).files == ()


def test_two_copies_of_a_bad_file_are_refused_alike(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "good.csv", [row("acme")])
    for name in ("a.csv", "b.csv"):
        (empty.input_folder / name).write_text("nothing\n")
    record = ingest(empty)
    assert told(record) == [(1, "a.csv", "refused"), (2, "b.csv", "refused"), (3, "good.csv", "accepted")]
    assert record.files[0].error is not None
    assert record.files[1].error == record.files[0].error
    assert ingest(empty).files == ()


@pytest.mark.parametrize("together", [True, False])
def test_a_file_named_for_what_it_is_not_is_taken_once_it_is_named_for_what_it_is(
    empty: Workspace, deliver: Deliver, together: bool
) -> None:
    deliver(empty.input_folder, "good.csv", [row("acme")])
    data = gzip.compress(f"{HEADER}\n{row('zipped')}\n".encode())
    (empty.input_folder / "a.csv").write_bytes(data)
    if not together:
        assert ingest(empty).refused == 1
    (empty.input_folder / "b.csv.gz").write_bytes(data)
    record = ingest(empty)
    assert {file.name: file.status for file in record.files}["b.csv.gz"] == "accepted"
    assert sorted(rows_of(empty)) == [row("acme"), row("zipped")]
    assert ingest(empty).files == ()


# ---- changes


def test_a_file_changed_into_a_copy_of_another_one_gives_up_its_rows(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", [row("old"), row("both")])
    deliver(empty.input_folder, "b.csv", [row("new"), row("both")])
    ingest(empty)
    deliver(empty.input_folder, "a.csv", [row("new"), row("both")])
    record = ingest(empty)
    assert rows_of(empty) == [row("new"), row("both")]
    assert (record.dataset.rows, record.dataset.deliveries) == (2, 1)
    (file,) = record.files
    assert (file.status, file.duplicate, file.supersedes) == ("duplicate", 2, history_of(empty)[0].number)
    assert any("a.csv: supersedes the delivery of" in notice for notice in record.notices)
    assert ingest(empty).files == ()
    deliver(empty.input_folder, "b.csv", [row("newer")])
    ingest(empty)
    assert rows_of(empty) == [row("new"), row("both"), row("newer")], "the bytes still lie there as a.csv"


def answering(monkeypatch: pytest.MonkeyPatch, error: HoldfastError) -> None:
    """The first file of each reading ends in this error, whatever it holds."""
    read = store_files

    def answer(readers: Readers, requests: Sequence[Request], progress: Any) -> Iterator[Stored | HoldfastError]:
        for place, outcome in enumerate(read(readers, requests, progress)):
            yield error if place == 0 else outcome

    monkeypatch.setattr(taking, "store_files", answer)


def test_a_file_that_can_suddenly_not_be_read_is_left_for_the_next_time_and_the_others_are_taken(
    empty: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        deliver(empty.input_folder, f"{name}.csv", [row(name)])
    with monkeypatch.context() as patch:
        answering(patch, InputOutputError("cannot read: Input/output error", file="a.csv"))
        record = ingest(empty)
    assert record.deferred == ("a.csv: left for the next time, cannot read: Input/output error",)
    assert rows_of(empty) == [row("b")]
    ingest(empty)
    assert rows_of(empty) == [row("b"), row("a")]


@pytest.mark.parametrize("error", [CannotWrite("disk full", file="/out/part.parquet"), HoldfastError("a bug")])
def test_what_is_not_the_files_fault_ends_the_command_and_files_before_it_are_kept(
    empty: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch, error: HoldfastError
) -> None:
    for name in ("b", "c"):
        deliver(empty.input_folder, f"{name}.csv", [row(name)])
    ingest(empty)
    deliver(empty.input_folder, "d.csv", [row("d")])
    with monkeypatch.context() as patch:
        answering(patch, error)
        with pytest.raises(type(error)):
            ingest(empty)
    assert [file.name for file in history_of(empty)] == ["b.csv", "c.csv"]
    ingest(empty)
    assert rows_of(empty) == [row("b"), row("c"), row("d")]


def test_a_bug_of_the_reading_process_is_shown_to_the_user(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", [row("acme")])
    broken: Any = Limits(columns="many")  # type: ignore[arg-type]
    with pytest.raises(HoldfastError, match="TypeError") as caught:
        ingest(replace(empty, limits=broken))
    assert caught.value.exit_status == 70
    assert ingest(empty).dataset.rows == 1, "the file is taken as soon as the bug is gone"


# ---- limits


def configured(workspace: Workspace, **keys: Any) -> Workspace:
    config = workspace.root / CONFIG_NAME
    config.write_text(json.dumps(json.loads(config.read_text()) | keys))
    return Workspace.open(workspace.root)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"columns": 4}, "5 columns; at most 4 are read"),
        ({"cells": 9}, "more than 9 cells (rows times columns)"),
        ({"unpacked_bytes": 100}, "unpacks to more than 100 bytes"),
        ({"memory_bytes": 1 << 20}, "reading it took more than 1,048,576 bytes of memory"),
    ],
)
def test_the_limits_of_the_workspace_reach_the_reading_process(
    empty: Workspace, limits: dict[str, int], message: str
) -> None:
    workspace = replace(empty, limits=Limits(**limits))
    text = f"{HEADER}\n{row('acme')}\n{row('beta')}\n"
    (empty.input_folder / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(NoUsableData, match=message.split("(", maxsplit=1)[0]):
        ingest(workspace)
    (file,) = history_of(workspace)
    assert file.error is not None
    assert file.error["message"] == message


def test_a_file_that_broke_a_limit_is_read_again_when_the_limit_is_raised(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", [row("acme")])
    strict = configured(empty, limits={"columns": 4})
    with pytest.raises(NoUsableData, match="at most 4 are read"):
        ingest(strict)
    with pytest.raises(NoUsableData, match="the file gave no usable row"):
        ingest(strict)
    assert len(history_of(strict)) == 1, "nothing was read again"
    record = ingest(configured(empty, limits={"columns": 5}))
    assert told(record) == [(2, "a.csv", "accepted")]


def test_a_field_longer_than_the_limits_allow_costs_its_row(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", [row("acme"), row("acme & sons")])
    record = ingest(replace(empty, limits=Limits(field_characters=5)))
    assert [(each.line, each.rule) for each in record.rejected] == [(3, "longer than 5 characters")]


# ---- sources


@pytest.fixture
def with_branches(empty: Workspace) -> Workspace:
    """A workspace that two more folders feed, whose columns have other names."""
    for name in ("north", "south"):
        (empty.root / name).mkdir()
    columns = {"Firm": "corporation", "Left": "exited"}
    sources = [{"name": name, "folder": name, "columns": columns} for name in ("north", "south")]
    return configured(empty, sources=sources)


def branch_delivery(folder: Path, name: str, *rows: str) -> None:
    header = HEADER.replace("corporation", "Firm").replace("exited", "Left")
    (folder / name).write_text("".join(f"{line}\n" for line in (header, *rows)))


def test_folders_of_sources_feed_the_same_dataset_with_their_columns_renamed(
    with_branches: Workspace, deliver: Deliver
) -> None:
    deliver(with_branches.input_folder, "z.csv", [row("main")])
    branch_delivery(with_branches.root / "north", "b.csv", row("northern", label=1), "bad,x,2,3,0")
    names = ["Left", "number_of_employees", "Firm", "lastyear_activity", "lastmonth_activity"]
    cells = dict(zip(names, ([0], [3], ["southern"], [2], [1]), strict=True))
    pq.write_table(pa.table(cells), with_branches.root / "south" / "a.parquet")
    record = ingest(with_branches)
    assert rows_of(with_branches) == [row("main"), row("northern", label=1), row("southern")]
    assert [(file.folder, file.name) for file in record.files] == [
        ("practicedata", "z.csv"),
        ("north", "b.csv"),
        ("south", "a.parquet"),
    ]
    assert record.files[1].header == tuple(HEADER.split(","))
    assert record.dataset.rows == 3


def test_files_of_one_name_in_two_sources_do_not_take_each_others_place(
    with_branches: Workspace, deliver: Deliver
) -> None:
    deliver(with_branches.input_folder, "a.csv", [row("main")])
    for name in ("north", "south"):
        branch_delivery(with_branches.root / name, "a.csv", row(name))
    ingest(with_branches)
    branch_delivery(with_branches.root / "north", "a.csv", row("north again"))
    record = ingest(with_branches)
    assert rows_of(with_branches) == [row("main"), row("south"), row("north again")]
    assert [file.folder for file in record.files] == ["north"]


def test_a_file_that_moves_to_another_source_is_a_copy(with_branches: Workspace) -> None:
    branch_delivery(with_branches.root / "north", "a.csv", row("acme"))
    ingest(with_branches)
    (with_branches.root / "north" / "a.csv").rename(with_branches.root / "south" / "a.csv")
    record = ingest(with_branches)
    assert [(file.folder, file.status) for file in record.files] == [("south", "duplicate")]
    assert rows_of(with_branches) == [row("acme")]


def test_a_file_refused_in_the_wrong_folder_is_taken_in_the_right_one(with_branches: Workspace) -> None:
    branch_delivery(with_branches.root / "north", "good.csv", row("good"))
    branch_delivery(with_branches.input_folder, "a.csv", row("acme"))
    record = ingest(with_branches)
    assert (record.refused, exit_status_of(record)) == (1, 3)
    (with_branches.input_folder / "a.csv").rename(with_branches.root / "south" / "a.csv")
    record = ingest(with_branches)
    assert [(file.folder, file.status) for file in record.files] == [("south", "accepted")]
    assert rows_of(with_branches) == [row("good"), row("acme")]


def test_files_are_read_again_when_their_source_calls_their_columns_otherwise(with_branches: Workspace) -> None:
    path = with_branches.root / "north" / "a.csv"
    path.write_text("Firm,Left,a,b,number_of_employees\nacme,1,5,6,3\n")
    columns = {"Firm": "corporation", "Left": "exited", "a": "lastmonth_activity", "b": "lastyear_activity"}
    swapped = columns | {"a": "lastyear_activity", "b": "lastmonth_activity"}
    for names, row_of_it in ((columns, "acme,5,6,3,1"), (swapped, "acme,6,5,3,1"), (columns, "acme,5,6,3,1")):
        workspace = configured(with_branches, sources=[{"name": "north", "folder": "north", "columns": names}])
        record = ingest(workspace)
        assert rows_of(workspace) == [row_of_it]
        assert (record.dataset.rows, len(record.files)) == (1, 1)
        assert ingest(workspace).files == ()


def test_one_sheet_may_be_named_for_a_whole_source(empty: Workspace) -> None:
    import openpyxl

    (empty.root / "books").mkdir()
    book = openpyxl.Workbook()
    for sheet, client in ((book.active, "wrong"), (book.create_sheet("May"), "right")):
        sheet.append(HEADER.split(","))
        sheet.append([client, 1, 2, 3, 0])
    book.save(empty.root / "books" / "a.xlsx")
    ingest(replace(empty, sources=(FolderSource(name="books", folder="books", sheet="May"),)))
    assert rows_of(empty) == [row("right")]


# ---- what comes again


def test_two_sources_read_two_sheets_of_one_workbook(empty: Workspace) -> None:
    import openpyxl

    (empty.root / "books").mkdir()

    def write(**clients: str) -> None:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, client in clients.items():
            sheet = book.create_sheet(name)
            sheet.append(HEADER.split(","))
            sheet.append([client, 1, 2, 3, 0])
        book.save(empty.root / "books" / "a.xlsx")

    sources = tuple(FolderSource(name=name, folder="books", sheet=name) for name in ("May", "June"))
    workspace = replace(empty, sources=sources)
    write(May="m", June="j")
    assert [file.status for file in ingest(workspace).files] == ["accepted", "accepted"]
    assert rows_of(workspace) == [row("m"), row("j")]
    assert ingest(workspace).files == ()
    write(May="m", June="changed")
    assert len(ingest(workspace).files) == 2
    assert rows_of(workspace) == [row("m"), row("changed")]


@pytest.fixture
def disordered(empty: Workspace, deliver: Deliver) -> Workspace:
    """The last delivery of client x is the first by its name."""
    workspace = replace(empty, conflicts="latest")
    for name, month in (("z.csv", 1), ("m.csv", 2), ("a.csv", 3)):
        deliver(workspace.input_folder, name, [row("x", month), row(name)])
        ingest(workspace)
    assert row("x", 3) in rows_of(workspace)
    return workspace


def test_deliveries_that_were_lost_come_again_in_their_order_and_under_their_numbers(disordered: Workspace) -> None:
    before, rows = history_of(disordered), rows_of(disordered)
    shutil.rmtree(disordered.output_folder)
    disordered.output_folder.mkdir()
    record = ingest(disordered)
    assert rows_of(disordered) == rows
    assert told(record) == [(1, "z.csv", "accepted"), (2, "m.csv", "accepted"), (3, "a.csv", "accepted")]
    assert [(file.number, file.received) for file in history_of(disordered)] == [
        (file.number, file.received) for file in before
    ]
    assert ingest(disordered).files == ()


def test_a_delivery_that_was_lost_alone_comes_again_between_the_others(disordered: Workspace) -> None:
    rows = rows_of(disordered)
    table_of(disordered).parts()[1].path.unlink()
    assert told(ingest(disordered)) == [(2, "m.csv", "accepted")]
    assert rows_of(disordered) == rows


def test_deliveries_under_another_schema_come_in_the_order_in_which_they_came(disordered: Workspace) -> None:
    rows = rows_of(disordered)
    columns = tuple(
        replace(column, maximum=10.0**9) if column.type == "integer" else column for column in disordered.schema.columns
    )
    other = replace(disordered, schema=replace(disordered.schema, columns=columns))
    record = ingest(other)
    assert [file.name for file in record.files] == ["z.csv", "m.csv", "a.csv"]
    assert rows_of(other) == rows


def test_what_was_superseded_is_not_what_comes_again_with_the_same_bytes(empty: Workspace, deliver: Deliver) -> None:
    for month in (1, 2, 1):
        deliver(empty.input_folder, "a.csv", [row("x", month)])
        ingest(empty)
    assert [(file.number, file.supersedes) for file in history_of(empty)] == [(1, None), (2, 1), (3, 2)]
    assert rows_of(empty) == [row("x", 1)]


def test_a_lost_delivery_that_is_refused_by_now_keeps_its_record(disordered: Workspace) -> None:
    (lost,) = (file for file in history_of(disordered) if file.name == "m.csv")
    table_of(disordered).parts()[1].path.unlink()
    stricter = replace(disordered, limits=replace(disordered.limits, columns=3))
    (refused,) = ingest(stricter).files
    assert (refused.status, refused.number) == ("refused", 4)
    assert lost in history_of(disordered)
    (again,) = ingest(disordered).files
    assert (again.status, again.number) == ("accepted", 2)


def test_two_copies_that_change_at_once_supersede_their_delivery_once(empty: Workspace, deliver: Deliver) -> None:
    for name in ("f.csv", "k.csv"):
        deliver(empty.input_folder, name, [row("a"), row("b")])
    ingest(empty)
    deliver(empty.input_folder, "f.csv", [row("a", 10)])
    deliver(empty.input_folder, "k.csv", [row("a", 20)])
    record = ingest(empty)
    assert [file.status for file in record.files] == ["accepted", "accepted"]
    assert rows_of(empty) == [row("a", 10), row("a", 20)]


def test_deliveries_that_were_lost_are_counted_whatever_order_their_bytes_came_in(
    empty: Workspace, deliver: Deliver
) -> None:
    """The bytes of one came last under another schema."""
    for name in ("g.csv", "a.csv", "b.csv"):
        deliver(empty.input_folder, name, [row(name), row(f"{name} too", label=1)])
        ingest(empty)
    columns = tuple(
        replace(column, maximum=10.0**9) if column.type == "integer" else column for column in empty.schema.columns
    )
    other = replace(empty, schema=replace(empty.schema, columns=columns))
    (empty.input_folder / "a.csv").rename(empty.root / "a.csv")
    ingest(other)
    (empty.root / "a.csv").rename(empty.input_folder / "a.csv")
    ingest(other)
    for part in table_of(empty).parts():
        if part.first > 1:
            part.path.unlink()
    record = ingest(empty)
    assert [(file.number, file.accepted) for file in record.files] == [(2, 2), (3, 2)]
    assert (record.dataset.rows, record.dataset.exited) == (6, 3)


def test_a_file_that_was_corrected_when_its_rows_were_lost_is_taken_as_it_is_now(disordered: Workspace) -> None:
    shutil.rmtree(disordered.output_folder)
    disordered.output_folder.mkdir()
    (disordered.input_folder / "m.csv").write_text(f"{HEADER}\n{row('corrected')}\n")
    record = ingest(disordered)
    assert [file.status for file in record.files] == ["accepted"] * 3
    assert {row("corrected"), row("x", 3)} <= set(rows_of(disordered))
    assert ingest(disordered).files == ()
