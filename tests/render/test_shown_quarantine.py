"""What a terminal shows of quarantine: what is open, the rows with their texts, and the command that comes next."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from holdfast.records import (
    QuarantinedDelivery,
    QuarantineDone,
    QuarantinedRow,
    QuarantineList,
    QuarantineShow,
    SourceFile,
)
from holdfast.render.quarantine import done_lines, list_lines, show_lines
from holdfast.render.terminal import Lines


def shown(lines: Lines, width: int = 160) -> str:
    console = Console(width=width, file=io.StringIO())
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# ---- everything in quarantine


def held(number: int = 3, **changed: Any) -> QuarantinedDelivery:
    counts = dict.fromkeys(["quarantined", "open", "repaired", "waived", "replayed", "unlabelled"], 0)
    texts: dict[str, Any] = {"name": "march.csv", "folder": "sourcedata", "received": "2026-06-14T10:20:33Z"}
    return QuarantinedDelivery(delivery=number, **(texts | counts | {"rules": ()} | changed))


def listed(*deliveries: QuarantinedDelivery, refused: tuple[SourceFile, ...] = ()) -> QuarantineList:
    return QuarantineList(deliveries=deliveries, refused=refused)


def refused_file() -> SourceFile:
    error = {"message": "the fields look separated by semicolons", "row": 1, "hint": "save the file with commas"}
    return SourceFile(
        number=8, name="b.csv", folder="sourcedata", digest="d", size=9, received="now", status="refused", error=error
    )


def test_an_empty_quarantine_is_good_news() -> None:
    assert shown(list_lines(listed())) == "nothing is in quarantine: every row was taken in\n"


def test_what_is_open_is_counted_over_all_deliveries() -> None:
    text = shown(list_lines(listed(held(3, open=1200), held(4, open=34), refused=(refused_file(),))))
    assert text.startswith("quarantine: 1,234 open rows, 2 deliveries, 1 file refused as a whole\n")


def test_a_delivery_is_listed_with_the_rules_that_its_open_rows_break() -> None:
    rules = (("visits: missing", 20), ("fields: 3 instead of 5", 4))
    text = shown(list_lines(listed(held(quarantined=26, open=26, rules=rules))))
    assert "visits: missing (20), fields: 3 instead of 5 (4), others (2)" in text


@pytest.mark.parametrize("state", ["repaired", "waived", "replayed", "unlabelled"])
def test_rows_in_a_state_are_counted_where_there_are_any(state: str) -> None:
    heading = shown(list_lines(listed(held(quarantined=9, **{state: 5})))).splitlines()[1]
    assert state in heading
    assert state not in shown(list_lines(listed(held(quarantined=9, open=9)))).splitlines()[1]


def test_a_file_that_was_refused_as_a_whole_is_explained() -> None:
    text = shown(list_lines(listed(refused=(refused_file(),))))
    assert (
        "refused: b.csv (delivery 8) line 1: the fields look separated by semicolons. Hint: save the file with commas"
        in text
    )


def test_the_rows_of_the_latest_delivery_with_open_ones_come_next() -> None:
    text = shown(list_lines(listed(held(3, open=1), held(4, open=2), held(5, waived=1))))
    assert "next: holdfast quarantine show 4\n" in text


def test_repaired_rows_are_to_be_replayed_next() -> None:
    text = shown(list_lines(listed(held(3, repaired=2), held(4, repaired=1))))
    assert "next: holdfast quarantine replay takes 3 repaired rows in\n" in text


def test_when_all_is_dealt_with_nothing_comes_next() -> None:
    assert "next:" not in shown(list_lines(listed(held(quarantined=3, waived=1, replayed=2))))


def test_a_short_list_leaves_out_what_is_dealt_with_and_says_how_to_see_it() -> None:
    record = listed(held(1, waived=5, name="settled.csv"), held(2, open=1), held(3, repaired=1), held(4, unlabelled=1))
    text = shown(list_lines(record, 20))
    assert "settled.csv" not in text
    assert "nothing waits in 2 other deliveries: holdfast quarantine list --all\n" in text
    assert "settled.csv" in shown(list_lines(record))


def test_of_very_many_deliveries_the_first_and_last_are_listed_and_the_command_for_the_others() -> None:
    record = listed(*(held(number, open=1, name=f"{number}.csv") for number in range(1, 101)))
    text = shown(list_lines(record, 20))
    assert ("10.csv" in text, "50.csv" in text, "91.csv" in text) == (True, False, True)
    assert "for the other 80: holdfast quarantine list --all\n" in text
    assert "50.csv" in shown(list_lines(record))


def test_of_very_many_refused_files_the_first_are_explained_and_the_command_for_the_others() -> None:
    record = listed(refused=tuple(refused_file() for _ in range(30)))
    assert "and 22 more refused files: holdfast quarantine list --all\n" in shown(list_lines(record, 20))
    assert shown(list_lines(record)).count("refused: b.csv") == 30


# ---- rows


def row(line: int = 17, **changed: Any) -> QuarantinedRow:
    usual: dict[str, Any] = {"column": "visits", "rule": "not a whole number", "text": "acme,seven,0", "kept": False}
    rest: dict[str, Any] = {"state": "open", "repaired": None, "reason": None}
    return QuarantinedRow(id=f"3:{line}", delivery=3, file="march.csv", line=line, **(usual | rest | changed))


def rows(*those: QuarantinedRow, total: int | None = None, header: tuple[str, ...] = ("id", "visits", "exited")) -> str:
    record = QuarantineShow(
        delivery=3, name="march.csv", header=header, total=len(those) if total is None else total, rows=those
    )
    return shown(show_lines(record))


def line_of(text: str, what: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(what))


def test_how_the_rows_stand_is_counted_where_they_do_not_stand_alike() -> None:
    text = rows(row(16), row(17), row(18, state="waived"), row(19, kept=True))
    assert text.startswith("delivery 3, march.csv: 4 rows in quarantine: 2 open, 1 waived, 1 unlabelled\n")
    assert rows(row(16), row(17)).startswith("delivery 3, march.csv: 2 rows in quarantine\n")


def test_a_row_is_one_line_with_id_rule_and_text() -> None:
    line = line_of(rows(row(17), row(18, text="b,eight,1")), "3:17")
    assert [cell.strip() for cell in line.split("   ") if cell.strip()] == [
        "3:17", "visits: not a whole number", "acme,seven,0",
    ]  # fmt: skip


def test_the_fields_of_the_texts_are_named() -> None:
    assert "fields: id,visits,exited\n" in rows(row(17), row(18))


def test_the_repaired_text_stands_beside_the_original_one() -> None:
    line = line_of(rows(row(17, state="repaired", repaired="acme,7,0"), row(18)), "3:17")
    assert line.index("acme,seven,0") < line.index("acme,7,0") < line.index("repaired, to be replayed")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"state": "waived", "reason": "a test client"}, "waived: a test client"),
        ({"state": "replayed"}, "taken in"),
        ({"kept": True}, "unlabelled"),
    ],
)
def test_how_a_row_stands_that_is_not_open_is_said_in_words(changed: dict[str, Any], words: str) -> None:
    assert line_of(rows(row(17, **changed), row(18)), "3:17").rstrip().endswith(words)


def test_rows_that_are_not_shown_are_counted_with_how_to_see_them() -> None:
    text = rows(row(17), row(18), total=25)
    assert text.startswith("delivery 3, march.csv: 25 rows in quarantine, the first 2 of them\n")
    assert "and 23 more rows: --limit 25 shows all; --out FILE.csv writes all to a file" in text


def test_a_single_row_is_shown_field_by_field_with_the_rule_beside_the_cell() -> None:
    text = rows(row(text='"acme, inc",seven,0'))
    assert line_of(text, "id").split(maxsplit=1)[1].strip() == "acme, inc"
    assert line_of(text, "visits").rstrip().endswith("not a whole number")


def test_a_single_repaired_row_shows_both_fields() -> None:
    assert line_of(rows(row(state="repaired", repaired="acme,7,0")), "visits").split()[-1] == "7"


@pytest.mark.parametrize("text", ["acme,seven", 'acme,"seven,0', "a,b\nc,d,e", ""])
def test_a_single_row_whose_fields_cannot_be_told_apart_is_shown_as_it_is(text: str) -> None:
    assert "fields: id,visits,exited\n" in rows(row(text=text))


def test_a_row_of_several_lines_is_shown_in_one() -> None:
    assert '"acme\\nBerlin",seven' in line_of(rows(row(17, text='"acme\nBerlin",seven'), row(18)), "3:17")


# ---- what comes next


def test_the_first_open_row_can_be_repaired_or_waived_next() -> None:
    text = rows(row(16, state="waived"), row(17), row(18))
    assert "next: holdfast quarantine repair 3:17 --set visits=VALUE\n" in text
    assert "or:   holdfast quarantine waive 3:17 --reason WHY\n" in text


def test_a_column_with_a_blank_is_quoted_as_a_shell_needs_it() -> None:
    assert "--set 'last visits=VALUE'\n" in rows(row(column="last visits"))


def test_several_open_rows_can_be_corrected_in_a_file() -> None:
    assert "holdfast quarantine repair 3 --from FILE.csv" in rows(row(17), row(18))
    assert "--from FILE.csv" not in rows(row(17), row(18, state="waived"))


def test_repaired_rows_can_be_replayed_next() -> None:
    assert rows(row(state="repaired", repaired="acme,7,0")).endswith("next: holdfast quarantine replay 3\n")


@pytest.mark.parametrize("changed", [{"state": "waived"}, {"state": "replayed"}, {"kept": True}])
def test_rows_that_are_dealt_with_need_nothing_next(changed: dict[str, Any]) -> None:
    text = rows(row(17, **changed), row(18, **changed))
    assert "next:" not in text
    assert "or:" not in text


# ---- what was done


def done(**changed: Any) -> str:
    usual: dict[str, Any] = {"act": "repaired", "rows": 2, "ids": ("3:17", "3:18"), "notices": (), "next": "replay"}
    return shown(done_lines(QuarantineDone(**(usual | changed))))


def test_the_rows_that_were_dealt_with_are_named() -> None:
    assert done() == "repaired 2 rows: 3:17, 3:18\nnext: replay\n"


def test_of_very_many_rows_the_first_are_named_and_the_others_counted() -> None:
    ids = tuple(f"3:{line}" for line in range(1000))
    assert "3:11 and 988 more (holdfast quarantine show 3)\n" in done(rows=1000, ids=ids[:100])


def test_deliveries_that_were_waived_as_a_whole_are_named() -> None:
    assert done(act="waived", rows=1001, ids=("3", "4:2")).startswith("waived 1,001 rows: all of delivery 3, 4:2\n")


def test_of_very_many_ids_of_several_deliveries_the_list_shows_the_others() -> None:
    ids = tuple(f"{number}" for number in range(100))
    assert "all of delivery 11 and 88 more (holdfast quarantine list)\n" in done(act="waived", rows=10**6, ids=ids)


def test_how_many_texts_were_let_go_is_said() -> None:
    assert done(act="forgotten", rows=3, ids=()) == "let go of the texts of 3 rows\n"


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("repaired", "no row was repaired: none of them was changed"),
        ("waived", "no row was waived: none of them is open"),
        ("forgotten", "no text was let go: nothing was settled that long ago"),
    ],
)
def test_when_no_row_was_dealt_with_the_reason_is_said(act: str, why: str) -> None:
    assert done(act=act, rows=0, ids=()) == f"{why}\n"


@pytest.mark.parametrize("width", [40, 80, 160])
def test_texts_from_outside_are_no_markup_and_cannot_act_on_the_terminal(width: int) -> None:
    nasty = "[bold]\x1b[31m\u202e"
    bad = row(column=nasty, rule=nasty, text=nasty, state="waived", reason=nasty)
    repaired = row(18, column=nasty, rule=nasty, text=nasty, state="repaired", repaired=nasty)
    records = [
        list_lines(listed(held(name=nasty, folder=nasty, open=1, rules=((nasty, 1),)), held(folder="b"))),
        show_lines(QuarantineShow(delivery=3, name=nasty, header=(nasty,), total=2, rows=(bad, repaired))),
        show_lines(QuarantineShow(delivery=3, name=nasty, header=(nasty,), total=1, rows=(row(column=nasty),))),
    ]
    for lines in records:
        text = shown(lines, width)
        assert "[bold]" in text
        assert not {"\x1b", "\u202e"} & set(text)
