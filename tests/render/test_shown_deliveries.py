"""What a terminal shows of an ingestion: every row accounted for, every trouble named, and what comes next."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from holdfast.records import Dataset, DeliveryList, IngestRecord, RejectedRow, SourceFile
from holdfast.render.deliveries import SHOWN_DELIVERIES, SHOWN_REFUSALS, delivery_lines, ingest_lines
from holdfast.render.terminal import Lines


def shown(record: IngestRecord, width: int = 160) -> str:
    return shown_lines(ingest_lines(record), width)


def shown_lines(lines: Lines, width: int = 160) -> str:
    console = Console(width=width, file=io.StringIO())
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def delivery(number: int = 1, **changed: Any) -> SourceFile:
    usual: dict[str, Any] = {"name": "march.csv", "folder": "sourcedata", "status": "accepted", "rows": 100}
    return SourceFile(number=number, digest="d", size=9, received="2026-06-14T10:20:33Z", **(usual | changed))


def refused(name: str = "x.csv", **error: Any) -> SourceFile:
    return delivery(3, name=name, rows=0, status="refused", error={"message": "an open quote"} | error)


def ingested(*files: SourceFile, **changed: Any) -> IngestRecord:
    data = Dataset(source="sourcedata", digest="d", version=7, rows=10_000, exited=3_330, unlabelled=0, deliveries=1)
    counts = dict.fromkeys(["known", "rows", "accepted", "duplicate", "quarantined", "erased"], 0)
    lists: dict[str, Any] = dict.fromkeys(["rejected", "deferred", "unreachable", "notices"], ())
    number = sum(file.status == "refused" for file in files)
    return IngestRecord(dataset=data, files=files, refused=number, seconds=1.25, **(counts | lists | changed))


def heading_of_the_table(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("delivery"))


# ---- the account


def test_the_rows_that_were_read_add_up() -> None:
    text = shown(ingested(delivery(), rows=10_025, accepted=10_000, duplicate=25))
    assert "10,025 read = 10,000 accepted + 25 duplicate + 0 quarantined;" in text


def test_rows_of_erased_clients_are_part_of_the_account_when_there_are_any() -> None:
    assert "+ 0 quarantined + 3 erased;" in shown(ingested(delivery(), rows=3, erased=3))


def test_the_dataset_is_told_with_its_version() -> None:
    assert "dataset: 10,000 rows, 3,330 exited, version 7 (" in shown(ingested(delivery()))


def test_rows_without_a_label_are_told() -> None:
    record = ingested(delivery())
    assert ", 12 without a label," in shown(replace(record, dataset=replace(record.dataset, unlabelled=12)))


# ---- deliveries


def test_one_source_is_named_once() -> None:
    text = shown(ingested(delivery(), known=2))
    assert text.startswith("sourcedata: 1 new file, 2 known already\n")
    assert "source" not in heading_of_the_table(text)


def test_several_sources_are_named_for_each_delivery() -> None:
    text = shown(ingested(delivery(1), delivery(2, folder="branches"), delivery(3, folder="crm"), known=1))
    assert text.startswith("sourcedata, branches, crm: 3 new deliveries, 1 file known already\n")
    assert "source" in heading_of_the_table(text)


def test_a_source_other_than_the_input_folder_is_named_even_when_it_is_the_only_one() -> None:
    assert "source" in heading_of_the_table(shown(ingested(delivery(folder="crm"))))


def test_a_delivery_is_shown_with_the_number_that_commands_take() -> None:
    lines = shown(ingested(delivery(9), delivery(10, name="april.csv"))).splitlines()
    assert [line.split()[:2] for line in lines[3:5]] == [["9", "march.csv"], ["10", "april.csv"]]


@pytest.mark.parametrize(
    ("file", "remark"),
    [
        (delivery(status="duplicate"), "a copy"),
        (delivery(status="duplicate", watermark="17"), "nothing new"),
        (delivery(supersedes=1), "supersedes an older one"),
        (delivery(repairs=3), "repairs delivery 3"),
        (refused(), "refused"),
    ],
)
def test_what_the_counts_do_not_say_stands_beside_them(file: SourceFile, remark: str) -> None:
    line = shown(ingested(file)).splitlines()[3]
    assert line.rstrip().endswith(remark)


@pytest.mark.parametrize(("column", "counted"), [("erased", {"erased": 4}), ("replacing", {"replaced": 4})])
def test_rare_counts_have_a_column_only_when_there_are_any(column: str, counted: dict[str, int]) -> None:
    assert column in heading_of_the_table(shown(ingested(delivery(**counted))))
    assert column not in heading_of_the_table(shown(ingested(delivery())))


def test_of_many_deliveries_the_first_and_last_are_shown() -> None:
    text = shown(ingested(*(delivery(number, name=f"day{number}.csv") for number in range(1, 501))))
    assert text.startswith("sourcedata: 500 new files")
    assert text.count("day") == SHOWN_DELIVERIES
    assert "day500.csv" in text
    assert "for the other 488: holdfast dataset deliveries --all\n" in text


def everything(*files: SourceFile, current: tuple[int, ...] = (), limit: int | None = None) -> str:
    record = DeliveryList(source="sourcedata", deliveries=files, current=current)
    return shown_lines(delivery_lines(record, limit))


def test_everything_that_was_delivered_can_be_listed() -> None:
    text = everything(*(delivery(number, name=f"day{number}.csv") for number in range(1, 501)), current=(500,))
    assert text.startswith("sourcedata: 500 deliveries; the dataset is made of 1 delivery\n")
    assert text.count("day") == 500


def test_a_delivery_that_left_the_dataset_is_marked() -> None:
    lines = everything(delivery(1), delivery(2, supersedes=1), current=(2,)).splitlines()
    assert [line.rstrip().rpartition("   ")[2] for line in lines[3:5]] == [
        "left the dataset",
        "supersedes an older one",
    ]


def test_where_nothing_was_delivered_that_is_said() -> None:
    assert everything() == "sourcedata: nothing has been delivered yet; holdfast ingest takes files in\n"


def test_rows_that_come_back_from_quarantine_are_told_as_such() -> None:
    text = shown(ingested(delivery(4, repairs=3), delivery(5, repairs=2)))
    assert text.startswith("from quarantine: rows of 2 deliveries\n")


def test_a_replay_of_nothing_does_not_speak_of_new_files() -> None:
    assert "new file" not in shown(ingested(notices=("no row in quarantine can be taken in as it is",)))


# ---- troubles


def test_a_refused_file_is_shown_with_its_line_and_what_to_do() -> None:
    text = shown(ingested(refused(row=7, hint="close it")))
    assert "refused: x.csv (delivery 3) line 7: an open quote. Hint: close it" in text


def test_of_very_many_refused_files_the_first_are_explained_and_the_others_counted() -> None:
    text = shown(ingested(*(refused(f"{number}.csv") for number in range(SHOWN_REFUSALS + 100))))
    assert text.count("an open quote") == SHOWN_REFUSALS
    assert "and 100 more refused files: holdfast quarantine list --all\n" in text


def rejected(line: int = 17) -> RejectedRow:
    return RejectedRow(file="march.csv", line=line, column="visits", rule="missing", text="acme,,1")


def test_a_quarantined_row_is_shown_with_place_rule_and_text() -> None:
    text = shown(ingested(delivery(quarantined=1), quarantined=1, rejected=(rejected(),)))
    assert "quarantined: march.csv line 17, visits: missing: acme,,1" in text


@pytest.mark.parametrize(("quarantined", "said"), [(30, "and 22 more quarantined rows"), (9, "and 1 more quarantined")])
def test_quarantined_rows_that_are_not_shown_are_counted(quarantined: int, said: str) -> None:
    rows = tuple(rejected(line) for line in range(quarantined))
    text = shown(ingested(delivery(quarantined=quarantined), quarantined=quarantined, rejected=rows))
    assert said in text
    assert ": holdfast quarantine show 1\n" in text


def test_quarantined_rows_of_several_deliveries_are_to_be_found_in_the_list() -> None:
    files = delivery(1, quarantined=20), delivery(2, quarantined=20)
    rows = tuple(rejected(line) for line in range(20))
    text = shown(ingested(*files, quarantined=40, rejected=rows))
    assert "and 32 more quarantined rows: holdfast quarantine list\n" in text


def test_a_file_that_is_waited_for_is_named() -> None:
    text = shown(ingested(delivery(), deferred=("a.csv: left for the next time, it is still being written",)))
    assert "waiting: a.csv: left for the next time, it is still being written" in text


def test_a_source_that_did_not_answer_is_named_with_what_to_do() -> None:
    error = {"file": "crm", "message": "the database does not answer", "hint": "check that it runs"}
    text = shown(ingested(delivery(), unreachable=(error,)))
    assert "not read: crm: the database does not answer. Hint: check that it runs" in text


# ---- what comes next


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ((delivery(4, quarantined=2),), "holdfast quarantine show 4, then repair or waive these rows"),
        ((delivery(4, quarantined=2), delivery(5, quarantined=1)), "holdfast quarantine list"),
        ((delivery(4, quarantined=2), refused()), "holdfast quarantine list"),
        ((refused(),), "holdfast quarantine list"),
    ],
)
def test_what_was_refused_can_be_looked_at_next(files: tuple[SourceFile, ...], command: str) -> None:
    quarantined = sum(file.quarantined for file in files)
    assert shown(ingested(*files, quarantined=quarantined)).endswith(f"\nnext: {command}\n")


def test_when_nothing_was_refused_nothing_comes_next() -> None:
    assert "next:" not in shown(ingested(delivery()))


@pytest.mark.parametrize("width", [40, 80, 160])
def test_texts_from_outside_are_no_markup_and_cannot_act_on_the_terminal(width: int) -> None:
    nasty = "[bold]\x1b[31m\u202e"
    error = {"file": nasty, "message": nasty, "hint": nasty}
    record = ingested(
        delivery(name=nasty, folder=nasty),
        replace(refused(nasty), error=error),
        quarantined=1,
        rejected=(RejectedRow(file=nasty, line=1, column=nasty, rule=nasty, text=nasty),),
        deferred=(nasty,),
        unreachable=(error,),
        notices=(nasty,),
    )
    text = shown(record, width)
    assert text.count("[bold]") >= 10
    assert not {"\x1b", "\u202e"} & set(text)
