"""Ingestion: every row accounted for, whatever is delivered, renamed, changed, deleted or interrupted."""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import ConfigurationError, InputOutputError, NoUsableData
from holdfast.intake.finding import look as look_at
from holdfast.records import IngestRecord, SourceFile
from holdfast.session import exit_status_of, reading
from holdfast.steps import ingestion
from holdfast.steps.ingestion import ingest
from holdfast.store.files import digest_of_file
from holdfast.store.ledger import Ledger
from holdfast.store.quarantine import held_rows
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
GOOD = tuple(f"c{i},{i},{10 * i},{i + 1},{i % 2}" for i in range(12))
UNLABELLED = ("u1,1,2,3,", "u2,4,5,6,")
STRANGE_LABELS = ("s1,1,2,3,2", "s2,4,5,6,maybe", "s3,7,8,9,0.5")
BAD = ("x1,none,1,1,0", "x2,1,1,1", "x3,1,1,1,0,9", "x4,-1,1,1,1", ",1,1,1,1", 'x"5,1,1,1,0', "x6,1,1,1e400,2")
ANY_LINE = GOOD + UNLABELLED + STRANGE_LABELS + BAD


def emptied(workspace: Workspace) -> Workspace:
    for path in workspace.input_folder.iterdir():
        path.unlink()
    return workspace


def rows_of(workspace: Workspace) -> list[str]:
    header, *rows = (workspace.output_folder / "finaldata.csv").read_text().splitlines()
    assert header == "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"
    return rows


def names_of(workspace: Workspace) -> list[str]:
    names: list[str] = ast.literal_eval((workspace.output_folder / "ingestedfiles.txt").read_text())
    return names


def history_of(workspace: Workspace) -> tuple[SourceFile, ...]:
    with reading(workspace) as (ledger, _):
        return ledger.deliveries(workspace.source, workspace.schema.digest)


def file_of(record: IngestRecord, name: str) -> SourceFile:
    return next(file for file in record.files if file.name == name)


def is_conserved(counted: IngestRecord | SourceFile) -> bool:
    return counted.rows == counted.accepted + counted.duplicate + counted.quarantined + counted.erased


def parts_of(workspace: Workspace) -> list[Path]:
    """The files of the dataset's Delta table that hold rows."""
    parts = list((workspace.output_folder / "dataset").glob("*/*.parquet"))
    assert parts
    return parts


# ---- rows


@settings(max_examples=6, deadline=None)
@given(files=st.lists(st.lists(st.sampled_from(ANY_LINE), max_size=12), min_size=1, max_size=3))
def test_every_row_is_accepted_duplicate_or_quarantined(
    make_company: Callable[[Path], Workspace], deliver: Deliver, files: list[list[str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = emptied(make_company(Path(folder) / "company"))
        deliver(workspace.input_folder, "a first.csv", ["first,1,1,1,0", "first,1,1,1,0"])
        for number, lines in enumerate(files):
            deliver(workspace.input_folder, f"{number}.csv", lines)
        record = ingest(workspace)
        assert is_conserved(record)
        assert all(is_conserved(file) for file in record.files)
        taken = {line for lines in files for line in lines} - set(BAD)
        accepted = {f"{line.rpartition(',')[0]}," if line in STRANGE_LABELS else line for line in taken}
        for file in record.files:  # a file in which every row has the wrong number of fields is refused whole
            if file.status == "refused":
                assert not set(files[int(file.name[:-4])]) - set(BAD)
        assert sorted(rows_of(workspace)) == sorted(accepted | {"first,1,1,1,0"})
        assert record.accepted == record.dataset.rows == len(accepted) + 1
        assert record.dataset.unlabelled == sum(line.endswith(",") for line in accepted)


def texts_of(workspace: Workspace) -> Callable[[str], str]:
    return lambda name: (workspace.input_folder / name).read_text()


@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_any_order_of_partial_deliveries_gives_the_rows_of_one_delivery_at_once(
    make_company: Callable[[Path], Workspace], deliver: Deliver, data: st.DataObject
) -> None:
    files = data.draw(st.lists(st.lists(st.sampled_from(GOOD + BAD), min_size=1), min_size=1, max_size=4))
    order = data.draw(st.permutations(range(len(files))))
    together = data.draw(st.lists(st.booleans(), min_size=len(files), max_size=len(files)))
    with tempfile.TemporaryDirectory() as folder:
        bit_by_bit = emptied(make_company(Path(folder) / "one"))
        at_once = emptied(make_company(Path(folder) / "two"))
        for workspace in (bit_by_bit, at_once):
            deliver(workspace.input_folder, "first.csv", ["first,1,1,1,0"])
        for number, with_the_next in zip(order, together, strict=True):
            deliver(bit_by_bit.input_folder, f"{number}.csv", files[number])
            deliver(at_once.input_folder, f"{number}.csv", files[number])
            if not with_the_next:
                ingest(bit_by_bit)
        assert ingest(bit_by_bit).dataset.rows == ingest(at_once).dataset.rows
        assert sorted(rows_of(bit_by_bit)) == sorted(rows_of(at_once))
        # Of two files with the same bytes the one that came first gives the name.
        assert sorted(map(texts_of(bit_by_bit), names_of(bit_by_bit))) == sorted(
            map(texts_of(at_once), names_of(at_once))
        )


def test_rows_come_out_in_order_of_arrival(company: Workspace, deliver: Deliver) -> None:
    emptied(company)
    deliver(company.input_folder, "b.csv", ["z,1,1,1,0", "y,1,1,1,0"])
    deliver(company.input_folder, "c.csv", ["x,1,1,1,0", "z,1,1,1,0"])
    ingest(company)
    deliver(company.input_folder, "a.csv", ["w,1,1,1,0"])
    ingest(company)
    assert [row[0] for row in rows_of(company)] == ["z", "y", "x", "w"]


def test_client_ids_come_out_as_they_came_in(company: Workspace, deliver: Deliver) -> None:
    emptied(company)
    plain = ["NA", "null", "0012", "12", "1e5", "TRUE", "a ", "a", "ä😀", "a'b", "=1+1", "nan", "None", "-"]
    lines = [f"{client},1,2,3,0" for client in (*plain, '"a,b"', '"say ""hi"""')]
    deliver(company.input_folder, "a.csv", lines)
    ingest(company)
    assert rows_of(company) == lines


def test_a_bad_row_never_stops_the_good_ones(company: Workspace, deliver: Deliver) -> None:
    emptied(company)
    deliver(company.input_folder, "a.csv", [GOOD[0], *BAD, GOOD[1]])
    record = ingest(company)
    assert rows_of(company) == list(GOOD[:2])
    assert [row.line for row in record.rejected] == list(range(3, 3 + len(BAD)))


def test_a_row_with_a_strange_label_is_kept_without_it_counted_and_told(company: Workspace, deliver: Deliver) -> None:
    emptied(company)
    deliver(company.input_folder, "a.csv", [GOOD[0], STRANGE_LABELS[0], UNLABELLED[0], STRANGE_LABELS[1]])
    record = ingest(company)
    assert rows_of(company) == [GOOD[0], "s1,1,2,3,", UNLABELLED[0], "s2,4,5,6,"]
    assert (record.accepted, record.quarantined, record.dataset.unlabelled) == (4, 0, 3)
    assert file_of(record, "a.csv").unlabelled == 3
    assert "a.csv: 2 labels are not 0 or 1, from line 3 on; rows like that are kept without a label" in record.notices
    kept = list(held_rows(company.output_folder / "quarantine" / "000001.parquet"))
    assert [(held.kept, held.row.line, held.row.text) for held in kept] == [
        (True, 3, STRANGE_LABELS[0]),
        (True, 5, STRANGE_LABELS[1]),
    ]
    assert exit_status_of(record) == 0


def test_refused_rows_are_kept_in_a_file_named_by_the_number_of_the_delivery(
    company: Workspace, deliver: Deliver
) -> None:
    emptied(company)
    deliver(company.input_folder, "a.csv", [GOOD[0], *BAD])
    deliver(company.input_folder, "b.csv", [GOOD[1]])
    record = ingest(company)
    folder = company.output_folder / "quarantine"
    assert sorted(path.name for path in folder.iterdir()) == ["000001.parquet", "000002.parquet"]
    assert [held.row.text for held in held_rows(folder / "000001.parquet")] == list(BAD)
    assert list(held_rows(folder / "000002.parquet")) == []
    assert exit_status_of(record) == 3


def test_a_bad_file_never_stops_the_other_files(company: Workspace) -> None:
    (company.input_folder / "a.csv").write_bytes(b"\xff\xfea\x00")
    (company.input_folder / "b.csv").write_text("corporation;lastmonth_activity\n")
    (company.input_folder / "c.csv").write_text("")
    record = ingest(company)
    assert record.refused == 3
    assert record.dataset.rows == 300
    assert names_of(company) == ["dataset1.csv", "dataset2.csv"]
    assert all(file_of(record, f"{name}.csv").error for name in "abc")


def test_a_refused_file_is_not_read_again_until_it_changes(company: Workspace, deliver: Deliver) -> None:
    bad = company.input_folder / "a.csv"
    bad.write_text("nothing\n1\n")
    assert ingest(company).refused == 1
    assert ingest(company).files == ()
    deliver(company.input_folder, "a.csv", GOOD)
    assert ingest(company).dataset.rows == 300 + len(GOOD)


def test_a_header_without_rows_is_taken_and_said(company: Workspace, deliver: Deliver) -> None:
    deliver(company.input_folder, "a.csv", [])
    record = ingest(company)
    assert file_of(record, "a.csv").status == "accepted"
    assert "a.csv: a header and no rows" in record.notices


# ---- files


def test_a_file_is_known_by_its_bytes(company: Workspace) -> None:
    assert len(ingest(company).files) == 2
    os.utime(company.input_folder / "dataset1.csv", (0, 0))
    record = ingest(company)
    assert (record.files, record.known, record.dataset.rows) == ((), 2, 300)


def test_a_renamed_copy_is_a_duplicate_delivery(ingested: Workspace) -> None:
    (ingested.input_folder / "copy.csv").write_bytes((ingested.input_folder / "dataset1.csv").read_bytes())
    record = ingest(ingested)
    copy = file_of(record, "copy.csv")
    assert (copy.status, copy.rows, copy.duplicate) == ("duplicate", 150, 150)
    assert (record.accepted, record.dataset.rows) == (0, 300)
    assert ingest(ingested).files == (), "and then it is known"


def test_a_renamed_file_loses_nothing(ingested: Workspace) -> None:
    (ingested.input_folder / "dataset1.csv").rename(ingested.input_folder / "renamed.csv")
    assert ingest(ingested).dataset.rows == 300


def test_a_changed_file_under_an_old_name_supersedes_and_its_old_rows_leave(
    company: Workspace, deliver: Deliver
) -> None:
    first = ingest(company)
    deliver(company.input_folder, "dataset1.csv", GOOD)
    record = ingest(company)
    assert file_of(record, "dataset1.csv").supersedes == file_of(first, "dataset1.csv").number
    assert record.dataset.rows == 150 + len(GOOD)
    assert set(GOOD) <= set(rows_of(company))
    assert not any(row.startswith("c1-") for row in rows_of(company))
    assert any("supersedes" in notice for notice in record.notices)
    assert len(history_of(company)) == 3, "the old delivery stays in the history"


def test_rows_that_two_files_share_stay_when_one_of_them_is_superseded(company: Workspace, deliver: Deliver) -> None:
    emptied(company)
    deliver(company.input_folder, "a.csv", GOOD[:2])
    deliver(company.input_folder, "b.csv", GOOD[1:3])
    ingest(company)
    deliver(company.input_folder, "a.csv", GOOD[3:4])
    ingest(company)
    assert sorted(rows_of(company)) == sorted(GOOD[1:4])


def test_a_bad_file_under_an_old_name_supersedes_nothing(ingested: Workspace) -> None:
    (ingested.input_folder / "dataset1.csv").write_text("nothing\n")
    record = ingest(ingested)
    assert (record.refused, record.dataset.rows) == (1, 300)


def test_rotated_files_lose_nothing(company: Workspace, deliver: Deliver) -> None:
    emptied(company)
    folder = company.input_folder
    for day in range(4):
        for number in reversed(range(1, 3)):
            older = folder / f"export.{number}.csv"
            if older.exists():
                older.replace(folder / f"export.{number + 1}.csv")
        if day:
            (folder / "export.csv").rename(folder / "export.1.csv")
        deliver(folder, "export.csv", GOOD[3 * day : 3 * day + 3])
        record = ingest(company)
        assert record.dataset.rows == 3 * (day + 1)
    assert sorted(rows_of(company)) == sorted(GOOD)
    assert not any(file.supersedes for file in history_of(company))


def test_a_changed_file_supersedes_though_a_copy_of_it_has_come_and_gone(company: Workspace, deliver: Deliver) -> None:
    original = company.input_folder / "dataset1.csv"
    copy = company.input_folder / "copy.csv"
    copy.write_bytes(original.read_bytes())
    assert ingest(company).dataset.rows == 300
    copy.unlink()
    deliver(company.input_folder, "dataset1.csv", GOOD)
    assert ingest(company).dataset.rows == 150 + len(GOOD)


def test_superseded_content_that_is_delivered_again_comes_back(ingested: Workspace, deliver: Deliver) -> None:
    old = (ingested.input_folder / "dataset1.csv").read_bytes()
    before = sorted(rows_of(ingested))
    deliver(ingested.input_folder, "dataset1.csv", GOOD)
    ingest(ingested)
    (ingested.input_folder / "dataset1.csv").write_bytes(old)
    ingest(ingested)
    assert sorted(rows_of(ingested)) == before


def test_superseded_content_comes_back_under_another_name_too(ingested: Workspace, deliver: Deliver) -> None:
    old = (ingested.input_folder / "dataset1.csv").read_bytes()
    deliver(ingested.input_folder, "dataset1.csv", GOOD)
    ingest(ingested)
    (ingested.input_folder / "old.csv").write_bytes(old)
    assert ingest(ingested).dataset.rows == 300 + len(GOOD)


def test_a_deleted_file_stays_in_the_dataset(ingested: Workspace) -> None:
    emptied(ingested)
    record = ingest(ingested)
    assert record.dataset.rows == 300
    assert names_of(ingested) == ["dataset1.csv", "dataset2.csv"]


def test_links_folders_and_other_files_are_named_and_left_alone(company: Workspace) -> None:
    folder = company.input_folder
    (folder / "link.csv").symlink_to(folder / "dataset1.csv")
    (folder / "folder.csv").mkdir()
    (folder / "notes.txt").write_text("")
    os.mkfifo(folder / "pipe.csv")
    record = ingest(company)
    assert record.dataset.rows == 300
    for name in ("link.csv", "folder.csv", "notes.txt", "pipe.csv"):
        assert any(name in notice for notice in record.notices)


def test_a_file_that_may_not_be_read_is_named_and_the_others_go_on(
    company: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(company.input_folder, "secret.csv", GOOD)
    real = os.open

    def forbidding(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("secret.csv"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", forbidding)
        record = ingest(company)
    assert record.dataset.rows == 300
    assert (record.refused, exit_status_of(record)) == (1, 3)
    error = file_of(record, "secret.csv").error
    assert error is not None
    assert error["message"] == "cannot read: Permission denied"
    assert ingest(company).dataset.rows == 300 + len(GOOD), "as soon as it may be read it is taken"


def after_the_look(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Something happens to the folder after its files were listed and before they are read."""

    def look(workspace: Workspace, known: Any) -> Any:
        found = look_at(workspace, known)
        act()
        return found

    monkeypatch.setattr(ingestion, "look", look)


def test_a_file_that_vanishes_after_the_look_is_named_and_the_others_go_on(
    company: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_the_look(monkeypatch, (company.input_folder / "dataset1.csv").unlink)
    record = ingest(company)
    assert record.dataset.rows == 150
    (deferred,) = record.deferred
    assert deferred.startswith("dataset1.csv: left for the next time, cannot read: No such file")
    assert exit_status_of(record) == 0


def test_a_file_that_changes_after_the_look_is_left_for_the_next_time(
    company: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = (company.input_folder / "dataset1.csv").read_bytes()
    with monkeypatch.context() as patch:
        after_the_look(patch, lambda: deliver(company.input_folder, "dataset1.csv", GOOD))
        record = ingest(company)
        assert [file.name for file in record.files] == ["dataset2.csv"]
        assert record.deferred == ("dataset1.csv: left for the next time, it changed while it was read",)
    (company.input_folder / "dataset1.csv").write_bytes(original)
    assert ingest(company).dataset.rows == 300, "the bytes seen first were not refused for good"


# ---- interruptions and repairs


@pytest.mark.parametrize("at", [1, 2])
def test_killed_between_rows_and_ledger_nothing_is_lost_and_the_next_run_converges(
    company: Workspace, make_company: Callable[[Path], Workspace], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    real, calls = Ledger.record_delivery, []

    def killed(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == at:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_delivery", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(company)
    assert len(history_of(company)) == at - 1
    record = ingest(company)
    untouched = make_company(company.root.with_name("untouched"))
    expected = ingest(untouched)
    assert record.dataset == expected.dataset
    assert digest_of_file(company.output_folder / "finaldata.csv") == digest_of_file(
        untouched.output_folder / "finaldata.csv"
    )


@pytest.mark.parametrize("name", ["finaldata.csv", "ingestedfiles.txt"])
@pytest.mark.parametrize("change", ["deleted", "changed", "emptied"])
def test_an_output_is_restored(ingested: Workspace, name: str, change: str) -> None:
    path = ingested.output_folder / name
    before = path.read_bytes()
    if change == "deleted":
        path.unlink()
    else:
        path.write_bytes(b"" if change == "emptied" else b"corporation\nsomeone else\n")
    ingest(ingested)
    assert path.read_bytes() == before


def test_nothing_is_written_when_nothing_is_new(ingested: Workspace) -> None:
    before = {path: path.stat().st_ino for path in ingested.output_folder.iterdir()}
    ingest(ingested)
    assert {path: path.stat().st_ino for path in ingested.output_folder.iterdir()} == before


def test_lost_rows_are_taken_again_from_the_files_that_are_there(ingested: Workspace) -> None:
    before = rows_of(ingested)
    for part in parts_of(ingested):
        part.unlink()
    assert ingest(ingested).dataset.rows == 300
    assert rows_of(ingested) == before


def test_a_new_output_folder_fills_itself(ingested: Workspace) -> None:
    before = sorted(rows_of(ingested))
    moved = replace(ingested, output_folder=ingested.root / "elsewhere")
    ingest(moved)
    assert sorted(rows_of(moved)) == before


def test_lost_rows_whose_file_is_gone_are_an_error_that_names_them(ingested: Workspace) -> None:
    (ingested.input_folder / "dataset1.csv").unlink()
    for part in parts_of(ingested):
        part.unlink()
    with pytest.raises(InputOutputError, match=r"dataset1\.csv"):
        ingest(ingested)


def test_damaged_rows_are_a_known_error(ingested: Workspace, deliver: Deliver) -> None:
    for part in parts_of(ingested):
        part.write_bytes(b"damaged")
    deliver(ingested.input_folder, "new.csv", GOOD)
    with pytest.raises(InputOutputError):
        ingest(ingested)


# ---- folders


def test_switching_the_input_folder_switches_the_dataset_and_back(ingested: Workspace, deliver: Deliver) -> None:
    practice = (ingested.output_folder / "finaldata.csv").read_bytes()
    source = replace(ingested, input_folder=ingested.root / "sourcedata")
    deliver(source.input_folder, "s.csv", GOOD)
    assert ingest(source).dataset.rows == len(GOOD)
    assert rows_of(source) == list(GOOD)
    assert names_of(source) == ["s.csv"]
    record = ingest(ingested)
    assert (record.files, record.known) == ((), 2)
    assert (ingested.output_folder / "finaldata.csv").read_bytes() == practice


def test_a_switch_that_is_killed_half_way_and_taken_back_shows_the_right_data(
    ingested: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = (ingested.output_folder / "finaldata.csv").read_bytes()
    source = replace(ingested, input_folder=ingested.root / "sourcedata")
    deliver(source.input_folder, "s.csv", GOOD)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("holdfast.dataset.ingested_files_text", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(source)
    assert (ingested.output_folder / "finaldata.csv").read_bytes() != practice
    ingest(ingested)
    assert (ingested.output_folder / "finaldata.csv").read_bytes() == practice


def test_the_same_file_in_two_folders_belongs_to_both_datasets(ingested: Workspace) -> None:
    source = replace(ingested, input_folder=ingested.root / "sourcedata")
    for path in ingested.input_folder.iterdir():
        (source.input_folder / path.name).write_bytes(path.read_bytes())
    assert ingest(source).dataset.rows == 300


def test_an_empty_folder_has_no_usable_data(company: Workspace) -> None:
    with pytest.raises(NoUsableData) as caught:
        ingest(emptied(company))
    assert caught.value.exit_status == 4


@pytest.mark.parametrize("lines", [[], list(BAD)])
def test_files_without_a_usable_row_are_no_usable_data(
    company: Workspace, deliver: Deliver, lines: Iterable[str]
) -> None:
    emptied(company)
    deliver(company.input_folder, "a.csv", list(lines))
    with pytest.raises(NoUsableData, match="the file gave no usable row"):
        ingest(company)


def test_a_missing_folder_is_a_configuration_error_that_names_the_nearest(company: Workspace) -> None:
    misspelt = replace(company, input_folder=company.root / "practisedata")
    with pytest.raises(ConfigurationError, match="did you mean 'practicedata'") as caught:
        ingest(misspelt)
    assert caught.value.exit_status == 78
    assert caught.value.column == "input_folder_path"


def test_a_rotation_of_fixed_depth_keeps_every_row(company: Workspace, deliver: Deliver) -> None:
    emptied(company)
    folder = company.input_folder
    for client in "abcd":
        (folder / "export.2.csv").unlink(missing_ok=True)
        for old, new in (("export.1.csv", "export.2.csv"), ("export.csv", "export.1.csv")):
            if (folder / old).exists():
                (folder / old).rename(folder / new)
        deliver(folder, "export.csv", [f"{client},1,2,3,0"])
        record = ingest(company)
    assert record.dataset.rows == 4


def test_a_file_of_as_many_columns_as_are_allowed_is_taken(company: Workspace) -> None:
    emptied(company)
    extra = [f"x{number}" for number in range(company.limits.columns - 5)]
    header = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"
    lines = [",".join([header, *extra]), *(f"w{row},1,2,3,0" + ",7" * len(extra) for row in range(200))]
    (company.input_folder / "wide.csv").write_text("".join(f"{line}\n" for line in lines))
    assert ingest(company).accepted == 200
