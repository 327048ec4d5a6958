"""Quarantine: refused rows are listed, repaired, let go and taken in again, each once, and nothing else changes."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import FileRefused, InputOutputError, UsageError
from holdfast.records import EVERY_LINE, IngestRecord, QuarantinedDelivery, QuarantinedRow, SourceFile
from holdfast.schema import Schema
from holdfast.session import exit_status_of, reading
from holdfast.steps.datasets import tidy
from holdfast.steps.erasure import erase, undo_erasure
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import forget, list_quarantine, repair, repair_from, replay, show_quarantine, waive
from holdfast.steps.tracing import trace_client
from holdfast.store.ledger import Ledger
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
LINES = (
    "c1,1,10,2,0",
    "c2,two,20,3,1",
    "c3,3,30,4,0",
    '"c4",4,forty,5,1',
    "c5,5,50",
    'c6,"6\n6",60,7,0',
    "c7,7,70,8,1",
    "c8,8,80,-1,0",
)
"""Rows of the brief's table. They begin in the lines 2 to 7, 9 and 10 of their file."""
GOOD = ["c1,1,10,2,0", "c3,3,30,4,0", "c7,7,70,8,1"]
REFUSED = {3: LINES[1], 5: LINES[3], 6: LINES[4], 7: LINES[5], 10: LINES[7]}
CORRECTIONS = {
    3: ["c2", "2", "20", "3", "1"],
    5: ["c4", "4", "40", "5", "1"],
    6: ["c5", "5", "50", "6", "0"],
    7: ["c6", "6", "60", "7", "0"],
    10: ["c8", "8", "80", "1", "0"],
}


@pytest.fixture(scope="module")
def company_with_refusals(
    make_company: Callable[[Path], Workspace], deliver: Deliver, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    workspace = make_company(tmp_path_factory.mktemp("built") / "company")
    for path in workspace.input_folder.iterdir():
        path.unlink()
    deliver(workspace.input_folder, "a.csv", LINES)
    ingest(workspace)
    return workspace.root


@pytest.fixture
def held(company_with_refusals: Path, tmp_path: Path) -> Workspace:
    """A workspace whose delivery 1, a.csv, has three good rows and five that were refused."""
    shutil.copytree(company_with_refusals, tmp_path / "company")
    return Workspace.open(tmp_path / "company")


def configured(workspace: Workspace, **settings: object) -> Workspace:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return Workspace.open(workspace.root)


def rows_of(workspace: Workspace) -> list[str]:
    return (workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:]


def only(workspace: Workspace) -> QuarantinedDelivery:
    (delivery,) = list_quarantine(workspace).deliveries
    return delivery


def states(workspace: Workspace, which: str = "1") -> dict[int, str]:
    return {row.line: row.state for row in show_quarantine(workspace, which).rows}


def row_in(workspace: Workspace, which: str) -> QuarantinedRow:
    (row,) = show_quarantine(workspace, which).rows
    return row


def deliveries_to(workspace: Workspace) -> tuple[SourceFile, ...]:
    with reading(workspace) as (ledger, _):
        return ledger.deliveries(workspace.source, workspace.schema.digest)


def taken_by(record: IngestRecord) -> SourceFile:
    (file,) = record.files
    return file


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def corrected(workspace: Workspace, corrections: dict[int, list[str]], which: str = "1") -> Path:
    """What `show --out` writes, with some rows corrected as a spreadsheet program would leave them."""
    path = workspace.root / "corrections.csv"
    show_quarantine(workspace, which, out=path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream)
    rows = [[*row[:2], *corrections.get(int(row[0]), row[2:])] for row in rows]
    width = len(header)
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([header, *(row + [""] * (width - len(row)) for row in rows)])
    return path


# ---- looking


def test_the_list_counts_refused_rows_and_the_rules_they_broke(held: Workspace) -> None:
    delivery = only(held)
    assert (delivery.delivery, delivery.name, delivery.quarantined, delivery.open) == (1, "a.csv", 5, 5)
    assert ("lastmonth_activity: not a whole number", 2) in delivery.rules
    assert sum(number for _, number in delivery.rules) == 5


def test_the_list_names_files_that_were_refused_as_a_whole_until_they_are_mended(
    held: Workspace, deliver: Deliver
) -> None:
    (held.input_folder / "b.csv").write_text("who,what\na,b\n")
    ingest(held)
    assert [file.name for file in list_quarantine(held).refused] == ["b.csv"]
    deliver(held.input_folder, "b.csv", ["d1,1,1,1,0"])
    ingest(held)
    assert list_quarantine(held).refused == ()


def test_a_row_without_a_usable_label_is_listed_as_kept_and_needs_no_repair(held: Workspace, deliver: Deliver) -> None:
    deliver(held.input_folder, "b.csv", ["d1,1,1,1,perhaps"])
    ingest(held)
    delivery = list_quarantine(held).deliveries[1]
    assert (delivery.quarantined, delivery.open, delivery.unlabelled) == (0, 0, 1)
    row = row_in(held, "2:2")
    assert (row.kept, row.text) == (True, "d1,1,1,1,perhaps")
    with pytest.raises(UsageError, match="no row 2:2 is in quarantine"):
        repair(held, "2:2", {"exited": "0"})


def test_a_refused_row_is_shown_with_its_place_its_rule_and_its_very_text(held: Workspace) -> None:
    shown = show_quarantine(held, "1")
    assert shown.total == 5
    assert {row.line: row.text for row in shown.rows} == REFUSED
    first = shown.rows[0]
    assert (first.id, first.file, first.column) == ("1:3", "a.csv", "lastmonth_activity")
    assert first.rule == "not a whole number"


def test_the_first_rows_are_shown_and_the_total_is_told(held: Workspace) -> None:
    shown = show_quarantine(held, "1", limit=2)
    assert (len(shown.rows), shown.total) == (2, 5)


def test_one_row_is_shown_alone(held: Workspace) -> None:
    assert row_in(held, "1:6").text == "c5,5,50"


def test_looking_changes_nothing(held: Workspace) -> None:
    before = files_below(held.root)
    list_quarantine(held)
    show_quarantine(held, "1")
    assert files_below(held.root) == before


def test_what_is_not_in_quarantine_is_not_shown_but_explained(held: Workspace, deliver: Deliver) -> None:
    deliver(held.input_folder, "b.csv", ["d1,1,1,1,0"])
    ingest(held)
    for which in ("2", "1:2", "99", "a.csv", "", "1:", "-1", "1:3:4"):
        with pytest.raises(UsageError) as caught:
            show_quarantine(held, which)
        assert "holdfast quarantine list" in str(caught.value)


# ---- one row repaired


def test_a_repaired_row_is_taken_in_with_the_line_that_it_had(held: Workspace) -> None:
    done = repair(held, "1:3", {"lastmonth_activity": "2"})
    assert (done.act, done.ids) == ("repaired", ("1:3",))
    assert rows_of(held) == GOOD
    assert states(held)[3] == "repaired"
    replay(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1"]
    assert states(held)[3] == "replayed"
    (traced,) = trace_client(held, "c2").rows
    assert (traced.file, traced.line, traced.delivery) == ("a.csv (repaired)", 3, 2)


def test_a_row_can_be_repaired_in_steps_and_again(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    repair(held, "1:3", {"number_of_employees": "33", "corporation": "c2, Ltd"})
    replay(held)
    assert rows_of(held)[-1] == '"c2, Ltd",2,20,33,1'


def test_the_original_text_stays_beside_the_repaired_one(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    row = row_in(held, "1:3")
    assert (row.text, row.repaired) == ("c2,two,20,3,1", "c2,2,20,3,1")


def test_a_misspelt_column_is_answered_with_the_nearest_one(held: Workspace) -> None:
    with pytest.raises(UsageError, match="did you mean 'lastmonth_activity'"):
        repair(held, "1:3", {"lastmont_activity": "2"})
    with pytest.raises(UsageError, match="it has: corporation, lastmonth_activity"):
        repair(held, "1:3", {"zzz": "2"})


def test_a_repair_that_still_breaks_a_rule_changes_nothing(held: Workspace) -> None:
    for value in ("zwei", "", "1e400", "2,5", "-1"):
        with pytest.raises(UsageError, match="row 1:3 would still be refused: column lastmonth_activity") as caught:
            repair(held, "1:3", {"lastmonth_activity": value})
        assert "nothing was changed" in str(caught.value)
    assert states(held)[3] == "open"
    assert replay(held).files == ()


def test_only_a_row_in_quarantine_can_be_repaired(held: Workspace) -> None:
    for which in ("1", "1:2", "1:99", "1:8"):
        with pytest.raises(UsageError, match=f"no row {which} is in quarantine"):
            repair(held, which, {"lastmonth_activity": "2"})


def test_a_row_with_the_wrong_number_of_fields_needs_all_of_them(held: Workspace) -> None:
    with pytest.raises(UsageError, match="cannot be told apart") as caught:
        repair(held, "1:6", {"number_of_employees": "6", "exited": "0"})
    assert caught.value.hint == "set these too: corporation, lastmonth_activity, lastyear_activity"
    columns = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited")
    repair(held, "1:6", dict(zip(columns, CORRECTIONS[6], strict=True)))
    replay(held)
    assert rows_of(held) == [*GOOD, "c5,5,50,6,0"]


def test_a_row_with_a_line_end_in_a_field_is_repaired_like_any_other(held: Workspace) -> None:
    repair(held, "1:7", {"lastmonth_activity": "66"})
    replay(held)
    assert rows_of(held) == [*GOOD, "c6,66,60,7,0"]


# ---- many rows repaired


def test_many_rows_are_written_out_corrected_and_brought_back(held: Workspace) -> None:
    done = repair_from(held, "1", corrected(held, CORRECTIONS))
    assert done.rows == 5
    file = taken_by(replay(held))
    assert (file.rows, file.accepted) == (5, 5)
    assert rows_of(held) == [*GOOD, *(",".join(fields) for fields in CORRECTIONS.values())]
    assert set(states(held).values()) == {"replayed"}


def test_the_corrections_name_lines_and_fields_as_far_as_they_can_be_told_apart(held: Workspace) -> None:
    path = held.root / "corrections.csv"
    show_quarantine(held, "1", out=path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header[:3] == ["_line", "_rule", "corporation"]
    assert rows[0] == ["3", "lastmonth_activity: not a whole number", "c2", "two", "20", "3", "1"]
    assert rows[2] == ["6", "fields: 3 instead of 5", "c5,5,50"]
    assert rows[3][2:] == ["c6", "6\n6", "60", "7", "0"]


def test_rows_that_were_left_as_they_were_are_passed_over(held: Workspace) -> None:
    done = repair_from(held, "1", corrected(held, {3: CORRECTIONS[3]}))
    assert done.ids == ("1:3",)
    assert [line for line, state in states(held).items() if state == "repaired"] == [3]


def test_a_table_is_for_a_whole_delivery(held: Workspace) -> None:
    with pytest.raises(UsageError, match="a table corrects rows of a whole delivery"):
        repair_from(held, "1:3", corrected(held, CORRECTIONS))


def test_one_row_that_is_still_broken_keeps_all_corrections_out(held: Workspace) -> None:
    broken = CORRECTIONS | {5: ["c4", "4", "vierzig", "5", "1"]}
    with pytest.raises(UsageError, match="row 1:5 would still be refused: column lastyear_activity"):
        repair_from(held, "1", corrected(held, broken))
    assert set(states(held).values()) == {"open"}


def test_corrections_of_rows_that_were_repaired_before_show_the_repaired_fields(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    path = corrected(held, {})
    assert "3,lastmonth_activity: not a whole number,c2,2,20,3,1" in path.read_text("utf-8-sig")
    assert repair_from(held, "1", path).rows == 0


def test_rows_may_be_left_out_of_the_corrections_and_empty_lines_do_not_matter(held: Workspace) -> None:
    path = corrected(held, CORRECTIONS)
    header, first, *_ = path.read_text("utf-8-sig").splitlines()
    path.write_text(f"{header}\n{first}\n\n,,,,,,\n")
    assert repair_from(held, "1", path).ids == ("1:3",)


def test_corrections_that_cannot_be_meant_are_refused_and_change_nothing(held: Workspace) -> None:
    path = corrected(held, {})
    header = path.read_text("utf-8-sig").splitlines()[0]
    refused = (
        ("_line,_rule,corporation\n", "the first line has to be _line,_rule,corporation,lastmonth_activity"),
        ("", "the first line has to be"),
        (f"{header}\n2,,c1,1,10,2,0\n", "'2' is no line of a.csv in quarantine"),
        (f"{header}\nabc,,c1,1,10,2,0\n", "'abc' is no line number"),
        (f"{header}\n3,,c2,2,20,3,1\n3,,c2,9,20,3,1\n", "line 3 is there twice"),
        (f'{header}\n3,,c2,"2,20,3,1\n', "not CSV"),
    )
    for text, message in refused:
        path.write_text(text)
        with pytest.raises(FileRefused) as caught:
            repair_from(held, "1", path)
        assert message in str(caught.value)
    assert set(states(held).values()) == {"open"}


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a link", "a folder", "nothing"])
def test_corrections_come_from_a_regular_file_alone(held: Workspace, kind: str) -> None:
    path = held.root / "corrections.csv"
    make: dict[str, Callable[[], object]] = {
        "a pipe": lambda: os.mkfifo(path),
        "a device": lambda: path.symlink_to("/dev/zero"),
        "a link": lambda: path.symlink_to(held.input_folder / "a.csv"),
        "a folder": path.mkdir,
        "nothing": lambda: None,
    }
    make[kind]()
    with pytest.raises(InputOutputError) as caught:
        repair_from(held, "1", path if kind != "a device" else Path("/dev/zero"))
    assert caught.value.file == ("zero" if kind == "a device" else "corrections.csv")


def test_corrections_keep_the_limits_of_deliveries(held: Workspace) -> None:
    path = corrected(held, {3: CORRECTIONS[3]})
    path.write_text(path.read_text("utf-8-sig") + "".join(f"{line},,a,b,c,d,e\n" for line in range(1_000, 2_000)))
    with pytest.raises(FileRefused, match="more than 1,000 cells"):
        repair_from(configured(held, limits={"cells": 1_000}), "1", path)
    assert set(states(held).values()) == {"open"}


def as_windows(path: Path) -> Path:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))
    with path.open("w", encoding="windows-1252", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows(rows)
    return path


def test_corrections_saved_as_a_german_excel_does_are_read_and_that_is_said(held: Workspace) -> None:
    done = repair_from(held, "1", as_windows(corrected(held, {3: ["Müller", "2", "20", "3", "1"]})))
    assert done.ids == ("1:3",)
    assert "corrections.csv is not UTF-8: it was read as Windows-1252" in done.notices
    assert row_in(held, "1:3").repaired == "Müller,2,20,3,1"


def test_letters_that_the_encoding_may_have_changed_are_refused(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2", "corporation": "Müller"})
    with pytest.raises(FileRefused, match="'Müller' became 'M\\?ller', perhaps by the file's encoding") as caught:
        repair_from(held, "1", as_windows(corrected(held, {3: ["M?ller", "2", "20", "3", "1"], 5: ["é", *"1111"]})))
    assert (caught.value.row, caught.value.column) == (2, "corporation")
    assert states(held)[5] == "open"


def test_what_was_changed_is_told_by_column(held: Workspace) -> None:
    changed = {3: CORRECTIONS[3], 5: CORRECTIONS[5], 6: CORRECTIONS[6]}
    done = repair_from(held, "1", corrected(held, changed | {7: ["c6", "5", "60", "7", "0"]}))
    assert done.notices == (
        "changed, by column: lastmonth_activity (2), lastyear_activity (1), whole rows (1)",
    )  # fmt: skip


def test_a_correction_that_is_still_refused_is_found_in_its_file(held: Workspace) -> None:
    broken = {5: ["c4", "4", "31.01.2026", "5", "1"], 7: ["c6", "1e5", "60", "7", "0"]}
    with pytest.raises(UsageError) as caught:
        repair_from(held, "1", corrected(held, broken))
    assert str(caught.value).startswith(
        "corrections.csv, line 3: row 1:5 would still be refused: column lastyear_activity: not a whole "
        "number; so would 1 other row\n"
    )


def test_a_number_in_another_spelling_mends_a_cell_that_was_refused_and_no_other(
    held: Workspace, deliver: Deliver
) -> None:
    deliver(held.input_folder, "b.csv", ["007,1e2,2e2,3,0", "008,x,2.0,3,0"])
    ingest(held)
    path = held.root / "b-corrections.csv"
    show_quarantine(held, "2", out=path)
    path.write_text(path.read_text("utf-8-sig").replace("007,1e2,2e2", "7,100,200").replace("008,x,2.0", "8,x,2"))
    assert repair_from(held, "2", path).ids == ("2:2",)
    assert row_in(held, "2:2").repaired == "007,100,200,3,0"


def test_the_text_of_a_row_can_be_mended_where_it_stands_in_one_cell(held: Workspace) -> None:
    repair_from(held, "1", corrected(held, {6: ["c5,5,50,6,0"]}))
    replay(held)
    assert rows_of(held) == [*GOOD, "c5,5,50,6,0"]


def test_no_field_of_the_corrections_is_a_formula_and_numbers_stay_numbers(held: Workspace, deliver: Deliver) -> None:
    lines = ['"=HYPERLINK(""http://x"")",x,-5,+1,0', "'tis,x,@x,\t2,-1-1"]
    deliver(held.input_folder, "b.csv", lines)
    ingest(held)
    path = held.root / "b-corrections.csv"
    show_quarantine(held, "2", out=path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        _, first, second = csv.reader(stream)
    assert first[2:] == ['\'=HYPERLINK("http://x")', "x", "-5", "+1", "0"]
    assert second[2:] == ["'tis", "x", "'@x", "'\t2", "'-1-1"]
    assert repair_from(held, "2", path).rows == 0


def test_where_no_row_waits_to_be_corrected_the_table_says_so(held: Workspace) -> None:
    repair_from(held, "1", corrected(held, CORRECTIONS))
    replay(held)
    shown = show_quarantine(held, "1", out=held.root / "nothing.csv")
    assert shown.notices == ("there is no row in it, as none waits to be corrected",)


def test_a_table_of_more_rows_than_spreadsheet_programs_open_is_told(
    held: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.steps.quarantine.ROWS_OF_A_SHEET", 5)
    shown = show_quarantine(held, "1", out=held.root / "many.csv")
    assert shown.notices == ("spreadsheet programs open 5 rows at most, and this table has 6",)


def test_a_row_with_a_text_that_no_cell_holds_is_left_out_of_the_corrections(held: Workspace, deliver: Deliver) -> None:
    deliver(held.input_folder, "b.csv", ["d1,x,1,1,0", "d" * 40_000 + ",x,1,1,0"])
    ingest(held)
    shown = show_quarantine(held, "2", out=held.root / "b-corrections.csv")
    assert (held.root / "b-corrections.csv").read_text("utf-8-sig").count("\n") == 2
    assert shown.notices[0].startswith("1 of the rows is not in it, as no cell of a spreadsheet holds 32,767")


def test_corrections_are_not_written_where_the_workspace_keeps_its_own_files(held: Workspace) -> None:
    before = files_below(held.root)
    for place in ("sourcedata/c.csv", "ingesteddata/finaldata.csv", "config.json", "models/../config.json"):
        with pytest.raises(UsageError, match="where the workspace keeps its own files"):
            show_quarantine(held, "1", out=held.root / place)
    assert files_below(held.root) == before


# ---- rows let go


def test_waived_rows_stay_out_and_are_no_longer_open(held: Workspace) -> None:
    repair(held, "1:5", {"lastyear_activity": "40"})
    done = waive(held, ["1:3", "1:5"], "test clients")
    assert (done.act, done.ids) == ("waived", ("1:3", "1:5"))
    assert replay(held).files == ()
    assert rows_of(held) == GOOD
    assert (only(held).open, only(held).waived) == (3, 2)
    assert row_in(held, "1:3").reason == "test clients"


def test_a_whole_delivery_can_be_waived(held: Workspace) -> None:
    assert waive(held, ["1"], "of no use").rows == 5
    assert only(held).open == 0


def test_a_whole_delivery_is_waived_by_one_act_however_many_rows_it_has(held: Workspace) -> None:
    assert waive(held, ["1:3", "1", "1:5"], "of no use").ids == ("1",)
    with reading(held) as (ledger, _):
        assert [(line, act.act, act.reason) for line, act in ledger.acts(1).items()] == [
            (EVERY_LINE, "waived", "of no use")
        ]
    assert {row.reason for row in show_quarantine(held, "1").rows} == {"of no use"}


def test_a_file_that_was_refused_as_a_whole_can_be_let_go(held: Workspace) -> None:
    (held.input_folder / "b.csv").write_text("<html>")
    ingest(held)
    (refused,) = list_quarantine(held).refused
    assert waive(held, [str(refused.number)], "a wrong export").ids == (str(refused.number),)
    assert list_quarantine(held).refused == ()


def test_a_row_can_be_repaired_after_its_whole_delivery_was_waived(held: Workspace) -> None:
    waive(held, ["1"], "of no use")
    repair(held, "1:3", {"lastmonth_activity": "2"})
    assert states(held) == {3: "repaired", 5: "waived", 6: "waived", 7: "waived", 10: "waived"}
    replay(held)
    waive(held, ["1"], "of no use, really")
    assert states(held)[3] == "replayed"


def test_nothing_of_a_delivery_is_left_to_waive_once_all_was_taken_in(held: Workspace) -> None:
    repair_from(held, "1", corrected(held, CORRECTIONS))
    replay(held)
    with pytest.raises(UsageError, match="nothing of 1 is waiting in quarantine"):
        waive(held, ["1"], "too late")


def test_a_repair_takes_a_waiver_back(held: Workspace) -> None:
    waive(held, ["1:3"], "test client")
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1"]


def test_a_waiver_needs_a_reason(held: Workspace) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        waive(held, ["1:3"], " ")


def test_waiving_what_is_not_in_quarantine_waives_nothing_at_all(held: Workspace) -> None:
    for which in ("1:2", "1:99", "7"):
        with pytest.raises(UsageError):
            waive(held, ["1:3", which], "no")
    assert set(states(held).values()) == {"open"}


def test_rows_that_were_taken_in_can_neither_be_waived_nor_repaired_again(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    with pytest.raises(UsageError, match="1:3"):
        waive(held, ["1:3"], "too late")
    with pytest.raises(UsageError, match="row 1:3 was taken in already"):
        repair(held, "1:3", {"lastmonth_activity": "22"})
    assert states(held)[3] == "replayed"


def test_an_older_table_of_corrections_leaves_rows_alone_that_were_taken_in_since(
    held: Workspace, tmp_path: Path
) -> None:
    out = tmp_path / "corrections.csv"
    show_quarantine(held, "1", out=out)
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    done = repair_from(held, "1", out)
    assert done.rows == 0
    assert any("1 row of the table was taken in before" in notice for notice in done.notices)
    assert states(held)[3] == "replayed"


@pytest.mark.parametrize("name", ["corrections.xlsx", "corrections", "corrections.csv.gz"])
def test_a_table_of_corrections_is_csv_and_has_such_a_name(held: Workspace, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"written as \.csv"):
        show_quarantine(held, "1", out=tmp_path / name)
    assert not (tmp_path / name).exists()


# ---- taken in again


def test_a_replay_accounts_for_every_row(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    repair(held, "1:5", {"corporation": "c1", "lastmonth_activity": "1", "lastyear_activity": "10",
                         "number_of_employees": "2", "exited": "0"})  # fmt: skip
    record = replay(held)
    file = taken_by(record)
    assert (file.rows, file.accepted, file.duplicate, file.repairs) == (2, 1, 1, 1)
    assert record.dataset.rows == len(rows_of(held)) == 4
    assert exit_status_of(record) == 0


def test_a_replay_with_nothing_to_take_in_says_so_and_leaves_no_file(held: Workspace) -> None:
    before = set(files_below(held.output_folder))
    record = replay(held)
    assert (record.files, record.notices) == ((), ("no repaired row waits to be taken in",))
    assert set(files_below(held.output_folder)) == before


def test_a_second_replay_changes_nothing(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    first = replay(held)
    before = files_below(held.output_folder)
    second = replay(held)
    assert second.files == ()
    assert second.dataset == first.dataset
    assert files_below(held.output_folder) == before


def test_each_replay_takes_what_was_repaired_since_the_last_one(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    repair(held, "1:10", {"number_of_employees": "1"})
    assert taken_by(replay(held)).rows == 1
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1", "c8,8,80,1,0"]


def test_one_delivery_can_be_replayed_alone(held: Workspace, deliver: Deliver) -> None:
    deliver(held.input_folder, "b.csv", ["d1,1,1,1,0", "d2,x,1,1,0"])
    ingest(held)
    repair(held, "1:3", {"lastmonth_activity": "2"})
    repair(held, "2:3", {"lastmonth_activity": "2"})
    assert taken_by(replay(held, which="2")).repairs == 2
    assert states(held)[3] == "repaired"


def test_killed_after_the_commit_the_next_replay_takes_no_row_twice(
    held: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_delivery", killed)
        with pytest.raises(KeyboardInterrupt):
            replay(held)
    assert states(held)[3] == "repaired"
    replay(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1"]
    assert states(held)[3] == "replayed"
    assert [file.rows for file in deliveries_to(held)] == [8, 1]


def test_killed_before_finaldata_is_written_the_next_ingestion_writes_it(
    held: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("holdfast.steps.quarantine.write_out", killed)
        with pytest.raises(KeyboardInterrupt):
            replay(held)
    ingest(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1"]


def test_ingestion_finds_nothing_new_after_a_replay(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    taken = replay(held)
    record = ingest(held)
    assert (record.files, record.known, record.dataset) == ((), 1, taken.dataset)


def test_replayed_rows_survive_compaction(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    assert tidy(held).merged == 2
    repair(held, "1:10", {"number_of_employees": "1"})
    replay(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1", "c8,8,80,1,0"]


# ---- deliveries that are superseded, lost, or read by another schema


def test_superseding_a_delivery_takes_its_repaired_rows_with_it(held: Workspace, deliver: Deliver) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    deliver(held.input_folder, "a.csv", ["c9,9,90,9,0"])
    ingest(held)
    assert rows_of(held) == ["c9,9,90,9,0"]
    assert list_quarantine(held).deliveries == ()


def test_superseding_takes_rows_with_it_that_were_repaired_twice_and_merged(held: Workspace, deliver: Deliver) -> None:
    held = configured(held, conflicts="quarantine")
    ingest(held)
    repair(held, "1:3", {"lastmonth_activity": "2", "corporation": "c1"})
    assert taken_by(replay(held)).quarantined == 1
    repair(held, "2:3", {"corporation": "c2"})
    replay(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1"]
    tidy(held)
    deliver(held.input_folder, "a.csv", ["c9,9,90,9,0"])
    ingest(held)
    assert rows_of(held) == ["c9,9,90,9,0"]


def test_rows_of_a_superseded_delivery_are_history(held: Workspace, deliver: Deliver) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    deliver(held.input_folder, "a.csv", ["c9,9,90,9,0"])
    ingest(held)
    for act in (
        lambda: repair(held, "1:5", {"lastyear_activity": "40"}),
        lambda: waive(held, ["1:5"], "gone"),
        lambda: replay(held, which="1"),
    ):
        with pytest.raises(UsageError, match=r"delivery 1 \(a\.csv\) is not part of the dataset"):
            act()
    assert replay(held).files == ()
    assert rows_of(held) == ["c9,9,90,9,0"]
    assert states(held)[5] == "open"


def widened(workspace: Workspace) -> Workspace:
    """The same workspace; fewer than no employees are now allowed."""

    def wider(schema: Schema) -> Schema:
        columns = [
            replace(column, minimum=-10) if column.name == "number_of_employees" else column
            for column in schema.columns
        ]
        return replace(schema, columns=tuple(columns))

    return replace(workspace, schema=wider(workspace.schema))


def test_a_wider_bound_takes_the_files_in_anew_with_rows_that_keep_it_now(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    wider = widened(held)
    record = ingest(wider)
    assert (record.accepted, record.quarantined) == (4, 4)
    assert rows_of(wider) == [*GOOD, "c8,8,80,-1,0"]
    assert (only(wider).open, only(wider).repaired) == (3, 1)


def test_repairs_and_waivers_hold_under_another_schema(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    repair(held, "1:5", {"lastyear_activity": "40"})
    waive(held, ["1:6"], "cut short")
    wider = widened(held)
    record = ingest(wider)
    assert "2 of the refused rows were repaired before: holdfast quarantine replay takes them in" in record.notices
    number = only(wider).delivery
    assert states(wider, str(number)) == {3: "repaired", 5: "repaired", 6: "waived", 7: "open"}
    assert row_in(wider, f"{number}:6").reason == "cut short"
    replay(wider)
    assert sorted(rows_of(wider)) == sorted([*GOOD, "c8,8,80,-1,0", "c2,2,20,3,1", "c4,4,40,5,1"])
    assert replay(wider).files == ()


def test_a_delivery_that_was_waived_as_a_whole_stays_so_under_another_schema(held: Workspace) -> None:
    waive(held, ["1"], "of no use")
    ingest(widened(held))
    assert (only(widened(held)).open, only(widened(held)).waived) == (0, 4)


def test_a_repair_that_breaks_a_rule_of_the_new_schema_waits_and_that_is_said(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    repair(held, "1:5", {"lastyear_activity": "40"})

    def stricter(column: Any) -> Any:
        return replace(column, maximum=1) if column.name == "lastmonth_activity" else column

    strict = replace(held, schema=replace(held.schema, columns=tuple(map(stricter, held.schema.columns))))
    ingest(strict)
    number = only(strict).delivery
    record = replay(strict)
    assert record.files == ()
    assert record.notices == (
        "a.csv: 2 repaired rows break a rule by now and were not taken in, the first in line 3: lastmonth_activity: "
        f"above the maximum 1; repair them again, or waive them: holdfast quarantine show {number}:3",
    )
    assert states(strict, str(number))[3] == "repaired"
    repair(strict, f"{number}:3", {"lastmonth_activity": "1"})
    assert taken_by(replay(strict)).rows == 1


def test_a_delivery_that_comes_back_after_it_was_superseded_is_repaired_as_before(
    held: Workspace, deliver: Deliver
) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    before = (held.input_folder / "a.csv").read_bytes()
    deliver(held.input_folder, "a.csv", ["c9,9,90,9,0"])
    ingest(held)
    (held.input_folder / "a.csv").write_bytes(before)
    ingest(held)
    assert rows_of(held) == GOOD
    assert only(held).repaired == 1
    replay(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1"]


def test_going_back_to_the_narrow_bound_brings_the_repairs_back(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    ingest(widened(held))
    ingest(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1"]
    assert states(held)[3] == "replayed"


# ---- contradictions


@pytest.fixture
def contradicted(held: Workspace, deliver: Deliver) -> Workspace:
    """A workspace in which line 3 of delivery 2 contradicts line 2 of delivery 1, under the rule "quarantine"."""
    held = configured(held, conflicts="quarantine")
    deliver(held.input_folder, "b.csv", ["d1,1,10,2,0", "c1,1,10,99,0", "d1,1,10,2,0"])
    ingest(held)
    return held


def test_a_contradiction_names_the_line_that_it_contradicts(contradicted: Workspace) -> None:
    row = row_in(contradicted, "2:3")
    assert (row.text, row.kept) == ("c1,1,10,99,0", False)
    assert row.rule == "contradicts line 2 of a.csv, which has the same corporation"
    assert rows_of(contradicted) == [*GOOD, "d1,1,10,2,0"]


def test_a_contradiction_is_not_replayed_as_it_is(contradicted: Workspace) -> None:
    assert replay(contradicted).files == ()
    assert rows_of(contradicted) == [*GOOD, "d1,1,10,2,0"]


def test_a_contradiction_that_was_about_another_client_is_repaired(contradicted: Workspace) -> None:
    repair(contradicted, "2:3", {"corporation": "d3"})
    assert taken_by(replay(contradicted)).accepted == 1
    assert rows_of(contradicted) == [*GOOD, "d1,1,10,2,0", "d3,1,10,99,0"]


def test_a_contradiction_that_is_corrected_to_agree_is_a_duplicate(contradicted: Workspace) -> None:
    repair(contradicted, "2:3", {"number_of_employees": "2"})
    assert taken_by(replay(contradicted)).duplicate == 1
    assert rows_of(contradicted) == [*GOOD, "d1,1,10,2,0"]


def test_a_repaired_row_that_contradicts_another_goes_to_quarantine_again(contradicted: Workspace) -> None:
    repair(contradicted, "1:3", {"lastmonth_activity": "2", "corporation": "c7"})
    record = replay(contradicted)
    file = taken_by(record)
    assert (file.rows, file.accepted, file.quarantined) == (1, 0, 1)
    assert exit_status_of(record) == 3
    assert (
        row_in(contradicted, f"{file.number}:3").rule == "contradicts line 9 of a.csv, which has the same corporation"
    )
    assert replay(contradicted).files == ()


def test_one_line_may_be_in_quarantine_twice_kept_without_its_label_and_contradicting(
    held: Workspace, deliver: Deliver
) -> None:
    held = configured(held, conflicts="quarantine")
    deliver(held.input_folder, "b.csv", ["c1,5,5,5,perhaps", "d1,1,1,1,0"])
    ingest(held)
    rows = show_quarantine(held, "2:2").rows
    assert sorted(row.kept for row in rows) == [False, True]
    repair(held, "2:2", {"corporation": "d2", "exited": "1"})
    replay(held)
    assert rows_of(held) == [*GOOD, "d1,1,1,1,0", "d2,5,5,5,1"]
    assert {row.kept: row.state for row in show_quarantine(held, "2:2").rows} == {True: "open", False: "replayed"}


# ---- texts let go


def test_texts_of_settled_rows_are_let_go_and_the_rows_stay_accounted_for(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2"})
    replay(held)
    waive(held, ["1:5"], "a test client")
    assert forget(held, 1).rows == 0
    done = forget(held, 0)
    assert (done.act, done.rows) == ("forgotten", 2)
    delivery = only(held)
    assert (delivery.quarantined, delivery.open, delivery.waived, delivery.replayed) == (5, 3, 1, 1)
    assert (row_in(held, "1:3").text, row_in(held, "1:3").rule) == ("[forgotten]", "not a whole number")
    assert forget(held, 0).rows == 0
    for path in (*held.output_folder.rglob("quarantine/*"), *held.state_folder.glob("ledger*")):
        assert b"forty" not in path.read_bytes(), path
        assert b"c2,2,20,3,1" not in path.read_bytes(), path


def test_a_row_whose_text_was_let_go_is_not_in_the_corrections_and_is_repaired_with_all_its_fields(
    held: Workspace,
) -> None:
    waive(held, ["1:3"], "a test client")
    forget(held, 0)
    assert "c2" not in corrected(held, {}).read_text("utf-8-sig")
    with pytest.raises(UsageError, match=r"cannot be told apart: \[forgotten\]"):
        repair(held, "1:3", {"lastmonth_activity": "2"})
    columns = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees", "exited")
    repair(held, "1:3", dict(zip(columns, CORRECTIONS[3], strict=True)))
    replay(held)
    assert rows_of(held) == [*GOOD, "c2,2,20,3,1"]


# ---- erased clients


def test_an_erased_client_is_not_brought_back_by_a_replay(held: Workspace) -> None:
    repair(held, "1:3", {"lastmonth_activity": "2", "corporation": "c20"})
    repair(held, "1:5", {"lastyear_activity": "40"})
    erase(held, "c20", "case 1")
    erase(held, "c4", "case 2")
    replay(held)
    assert rows_of(held) == GOOD


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_row_is_not_repaired_to_name_an_erased_client_and_the_id_is_written_nowhere(held: Workspace) -> None:
    erase(held, "zorgon-7", "case 1", in_advance=True)
    with pytest.raises(UsageError, match="row 1:3 would be that of a client who was erased") as caught:
        repair(held, "1:3", {"lastmonth_activity": "2", "corporation": "zorgon-7"})
    assert "zorgon-7" not in str(caught.value)
    assert "holdfast erase --undo takes an erased client in again" in str(caught.value.hint)
    assert b"zorgon-7" not in everything_below(held.root)
    assert replay(held).files == ()
    undo_erasure(held, "zorgon-7", "a mistake")
    repair(held, "1:3", {"lastmonth_activity": "2", "corporation": "zorgon-7"})
    assert taken_by(replay(held)).accepted == 1


def test_a_table_with_a_row_of_an_erased_client_corrects_no_row(held: Workspace) -> None:
    erase(held, "zorgon-7", "case 1", in_advance=True)
    path = corrected(held, {3: CORRECTIONS[3], 5: ["zorgon-7", *CORRECTIONS[5][1:]]})
    with pytest.raises(UsageError, match="row 1:5 would be that of a client who was erased") as caught:
        repair_from(held, "1", path)
    assert (caught.value.file, caught.value.row) == ("corrections.csv", 3)
    path.unlink()
    assert b"zorgon-7" not in everything_below(held.root)
    assert only(held).repaired == 0
