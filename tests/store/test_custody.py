"""What datasets were made of, what was done to refused rows, and who was erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.records import EVERY_LINE, Dataset, QuarantineAct, SourceFile
from holdfast.store.custody import ROWS_AT_ONCE, KnownDataset
from holdfast.store.ledger import Ledger
from holdfast.store.tables import numbers_in, ranges_of

NOW = "2026-01-31T10:00:00Z"
SOURCE, SCHEMA = "sourcedata", "5" * 64
CLIENT = "Müller & Söhne"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


# ---- datasets


def known(digest: str, version: int | None = 3, deliveries: tuple[int, ...] = (1, 4)) -> KnownDataset:
    record = Dataset(
        source=SOURCE, digest=digest, version=version, rows=300, exited=20, unlabelled=1, deliveries=len(deliveries)
    )
    return KnownDataset(record=record, created=NOW, deliveries=deliveries)


@given(st.sets(st.integers(1, 60)).map(sorted))
def test_numbers_come_back_from_their_ranges(numbers: list[int]) -> None:
    assert numbers_in(ranges_of(numbers)) == tuple(numbers)


def test_many_neighbours_are_kept_in_few_characters() -> None:
    assert len(ranges_of(range(1, 100_000))) < 10


@pytest.mark.parametrize("each", [known("d"), known("d", None), known("d", 0, ())])
def test_a_dataset_comes_back_as_it_was(ledger: Ledger, each: KnownDataset) -> None:
    assert ledger.dataset("d") is None
    ledger.record_dataset("run", NOW, SCHEMA, each)
    assert ledger.dataset("d") == each
    assert ledger.dataset("e") is None


def test_a_dataset_is_kept_once_with_its_latest_version(ledger: Ledger) -> None:
    for version in (3, 7):
        ledger.record_dataset("run", NOW, SCHEMA, known("d", version))
    assert ledger.dataset("d") == known("d", 7)


# ---- quarantined rows


def act(
    line: int, kind: Literal["repaired", "waived", "replayed"] = "repaired", delivery: int = 1, **changes: Any
) -> QuarantineAct:
    text = "a,1,0" if kind == "repaired" else None
    plain = QuarantineAct(
        delivery=delivery, line=line, act=kind, text=text, reason=None, replayed_as=None, actor="ada", created=NOW
    )
    return replace(plain, **changes)


def repaired(line: int, text: str = "a,1,0", delivery: int = 1, **changes: Any) -> QuarantineAct:
    return act(line, delivery=delivery, text=text, **changes)


def waived(line: int = EVERY_LINE, delivery: int = 1, **changes: Any) -> QuarantineAct:
    return act(line, "waived", delivery, **changes)


def replayed(line: int, delivery: int = 1, **changes: Any) -> QuarantineAct:
    return act(line, "replayed", delivery, replayed_as=9, **changes)


def test_what_was_done_to_a_row_comes_back_as_it_was(ledger: Ledger) -> None:
    done = [act(2, text='"ä",\n1'), act(7, "waived", reason="it's old"), act(9, "replayed", replayed_as=4)]
    ledger.record_acts("run", done)
    assert ledger.acts(1) == {each.line: each for each in done}


def test_the_latest_act_on_a_row_counts(ledger: Ledger) -> None:
    ledger.record_acts("run-1", [act(2, text="first"), act(3)])
    ledger.record_acts("run-2", [act(2, text="second"), act(2, "replayed", created="2020-01-01T00:00:00Z")])
    found = ledger.acts(1)
    assert {line: each.act for line, each in found.items()} == {2: "replayed", 3: "repaired"}


def test_acts_on_rows_of_another_delivery_are_others(ledger: Ledger) -> None:
    ledger.record_acts("run", [act(2), act(2, "waived", delivery=2)])
    assert [ledger.acts(number)[2].act for number in (1, 2)] == ["repaired", "waived"]
    assert ledger.acts(3) == {}


def test_acts_that_cannot_all_be_kept_are_not_kept_at_all(ledger: Ledger) -> None:
    def breaking_off() -> Iterator[QuarantineAct]:
        yield from (act(line) for line in range(1, ROWS_AT_ONCE + 5))
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        ledger.record_acts("run", breaking_off())
    assert ledger.acts(1) == {}


def test_acts_on_some_lines_come_alone_and_with_one_on_every_line(ledger: Ledger) -> None:
    ledger.record_acts("run", [waived(), *(repaired(line) for line in range(1, 9))])
    assert set(ledger.acts(1, lines=(3, 5))) == {EVERY_LINE, 3, 4, 5}
    assert set(ledger.acts(2, lines=(3, 5))) == set()


def test_what_kind_of_act_counts_is_told_alone(ledger: Ledger) -> None:
    ledger.record_acts("run", [repaired(1), waived(2), repaired(3), replayed(3), repaired(4, delivery=2), waived()])
    for question in ({}, {"alike": (2,)}, {"lines": (2, 4)}):
        assert ledger.states(1, **question) == {
            line: each.act for line, each in ledger.acts(1, **question).items()
        }  # fmt: skip


def test_an_act_on_every_line_takes_the_place_of_others_but_of_rows_that_were_taken_in(ledger: Ledger) -> None:
    ledger.record_acts("run-1", [repaired(2), waived(3), repaired(4), replayed(4)])
    ledger.record_acts("run-2", [waived()])
    ledger.record_acts("run-3", [repaired(5)])
    assert ledger.states(1) == {EVERY_LINE: "waived", 4: "replayed", 5: "repaired"}


def test_what_was_done_to_the_same_rows_elsewhere_holds(ledger: Ledger) -> None:
    ledger.record_acts("run", [repaired(2), waived(3, reason="old"), repaired(4), replayed(4), repaired(5, delivery=3)])
    assert {line: (each.act, each.text) for line, each in ledger.acts(2, alike=(1, 2)).items()} == {
        2: ("repaired", "a,1,0"), 3: ("waived", None), 4: ("repaired", "a,1,0"),
    }  # fmt: skip


def test_a_row_that_was_taken_in_here_stays_so_whatever_is_done_elsewhere(ledger: Ledger) -> None:
    ledger.record_acts("run", [repaired(2), replayed(2), repaired(2, "b", delivery=3), waived(2, delivery=3)])
    ledger.record_acts("run", [waived(delivery=3)])
    assert ledger.states(1, alike=(1, 3))[2] == "replayed"


def test_a_row_that_was_taken_in_elsewhere_can_be_let_go_here(ledger: Ledger) -> None:
    ledger.record_acts("run", [repaired(2), replayed(2), waived()])
    assert ledger.states(3, alike=(1, 3))[2] == "repaired"
    ledger.record_acts("run", [waived(delivery=3)])
    assert ledger.states(3, alike=(1, 3)) == {EVERY_LINE: "waived"}
    assert ledger.states(1, alike=(1, 3))[2] == "replayed"


def file(number: int, digest: str = "d", **changes: Any) -> SourceFile:
    plain = SourceFile(
        number=number, name="a.csv", folder=SOURCE, digest=digest, size=9, received=NOW, status="accepted"
    )
    return replace(plain, **changes)


def test_the_same_bytes_under_another_schema_are_alike(ledger: Ledger) -> None:
    for number, schema in ((1, SCHEMA), (2, "6" * 64), (3, "7" * 64)):
        ledger.record_delivery("run", SOURCE, schema, file(number))
    assert ledger.alike() == dict.fromkeys((1, 2, 3), (1, 2, 3))


@pytest.mark.parametrize(
    "other",
    [
        {"digest": "e"},
        {"read_as": "another sheet"},
        {"header": ("a", "b")},
        {"former": ("before an erasure its lines were others",)},
    ],
)
def test_what_is_read_otherwise_is_not_alike(ledger: Ledger, other: dict[str, Any]) -> None:
    ledger.record_delivery("run", SOURCE, SCHEMA, file(1))
    ledger.record_delivery("run", SOURCE, "6" * 64, file(2, **other))
    assert ledger.alike() == {1: (1,), 2: (2,)}


def test_what_was_refused_is_a_table_or_came_to_another_folder_is_not_alike(ledger: Ledger) -> None:
    ledger.record_delivery("run", SOURCE, SCHEMA, file(1))
    ledger.record_delivery("run", "practicedata", SCHEMA, file(2))
    ledger.record_delivery("run", SOURCE, SCHEMA, file(3, status="duplicate"))
    ledger.record_delivery("run", SOURCE, SCHEMA, file(4, digest="t", size=0))
    assert ledger.alike() == {1: (1,), 2: (2,)}


def test_a_delivery_that_was_superseded_is_no_part_of_a_dataset(ledger: Ledger) -> None:
    ledger.record_delivery("run", SOURCE, SCHEMA, file(1))
    ledger.record_delivery("run", SOURCE, SCHEMA, file(2, digest="e", supersedes=1))
    ledger.record_delivery("run", SOURCE, SCHEMA, file(3, digest="f", status="refused"))
    assert ledger.superseded() == {1}


OLD, CUT, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"


def texts(ledger: Ledger, delivery: int = 1) -> list[tuple[int, str | None]]:
    with sqlite3.connect(ledger._file or "") as connection:
        query = "SELECT line, text FROM quarantine_acts WHERE act = 'repaired' AND delivery = ? ORDER BY id"
        return connection.execute(query, [delivery]).fetchall()


def test_a_repaired_text_is_let_go_once_its_row_was_settled_for_long(ledger: Ledger) -> None:
    ledger.record_acts("run", [repaired(2, created=OLD), repaired(3, created=OLD), repaired(4, created=OLD)])
    ledger.record_acts("run", [replayed(2, created=OLD), waived(3, created=OLD), waived(4, created=NEW)])
    assert ledger.forget_repairs((1,), CUT) == 2
    assert texts(ledger) == [(2, None), (3, None), (4, "a,1,0")]
    assert ledger.states(1) == {2: "replayed", 3: "waived", 4: "waived"}


def test_a_repair_that_waits_is_not_let_go_however_old(ledger: Ledger) -> None:
    ledger.record_acts("run", [repaired(2, "a", created=OLD), waived(created=OLD), repaired(2, "b", created=OLD)])
    assert ledger.forget_repairs((1,), CUT) == 1
    assert texts(ledger) == [(2, None), (2, "b")]
    assert ledger.states(1)[2] == "repaired"


def test_a_repair_is_let_go_when_its_row_was_settled_in_a_delivery_that_is_alike(ledger: Ledger) -> None:
    ledger.record_acts("run", [repaired(2, created=OLD), replayed(2, delivery=3, created=OLD)])
    assert ledger.forget_repairs((1,), CUT) == 0
    assert ledger.forget_repairs((1, 3), CUT) == 1
    assert ledger.states(1, alike=(1, 3)) == {}


def test_every_repair_of_a_superseded_delivery_is_let_go_in_time(ledger: Ledger) -> None:
    ledger.record_acts(
        "run", [repaired(2, created=OLD), repaired(3, created=NEW), repaired(2, delivery=2, created=OLD)]
    )
    assert ledger.forget_repairs((1,), CUT, every=True) == 1
    assert texts(ledger) == [(2, None), (3, "a,1,0")]
    assert texts(ledger, 2) == [(2, "a,1,0")]


def test_nothing_done_is_nothing_kept(ledger: Ledger) -> None:
    ledger.record_acts("run", [])
    assert ledger.acts(1) == {}


# ---- erased clients


def test_a_client_counts_as_erased_from_the_moment_that_the_erasure_begins(ledger: Ledger) -> None:
    assert ledger.tombstones() == frozenset()
    ledger.begin_erasure("run-1", NOW, "t1")
    assert ledger.tombstones() == {"t1"}
    ledger.finish_erasure("run-1", {"rows": 2})
    ledger.begin_erasure("run-2", NOW, "t1")
    ledger.begin_erasure("run-3", NOW, "t2")
    assert ledger.tombstones() == {"t1", "t2"}


def test_an_erasure_is_unfinished_until_it_is_finished_or_begun_anew(ledger: Ledger) -> None:
    assert ledger.unfinished_erasures() == ()
    ledger.begin_erasure("run-1", "monday", "t1")
    ledger.begin_erasure("run-2", "tuesday", "t2")
    assert ledger.unfinished_erasures() == ("monday", "tuesday")
    ledger.begin_erasure("run-3", "wednesday", "t1")
    assert ledger.unfinished_erasures() == ("tuesday", "wednesday")
    ledger.finish_erasure("run-3", {})
    assert ledger.unfinished_erasures() == ("tuesday",)


def test_a_second_erasure_of_a_client_may_be_unfinished_though_the_first_was_not(ledger: Ledger) -> None:
    ledger.begin_erasure("run-1", "monday", "t1")
    ledger.finish_erasure("run-1", {})
    ledger.begin_erasure("run-2", "tuesday", "t1")
    assert ledger.unfinished_erasures() == ("tuesday",)


def test_a_tombstone_that_was_taken_away_counts_no_more_and_may_be_set_again(ledger: Ledger) -> None:
    for run, tombstone in (("run-1", "t1"), ("run-2", "t2")):
        ledger.begin_erasure(run, NOW, tombstone)
        ledger.finish_erasure(run, {"rows": 2})
    ledger.undo_erasure("run-3", NOW, "t1", {"reason": "a mistake"})
    assert ledger.tombstones() == {"t2"}
    ledger.begin_erasure("run-4", NOW, "t1")
    assert ledger.tombstones() == {"t1", "t2"}


def test_changes_of_tombstones_only_grow_and_erasing_again_is_none(ledger: Ledger) -> None:
    counts = [ledger.tombstone_changes()]
    for run, act in enumerate(("erase", "erase", "undo", "erase", "undo")):
        if act == "erase":
            ledger.begin_erasure(f"run-{run}", NOW, "t1")
        else:
            ledger.undo_erasure(f"run-{run}", NOW, "t1", {})
        counts.append(ledger.tombstone_changes())
    ledger.begin_erasure("run-9", NOW, "t2")
    assert [*counts, ledger.tombstone_changes()] == [0, 1, 1, 2, 3, 4, 5]


def test_an_unfinished_erasure_that_was_undone_is_not_waited_for(ledger: Ledger) -> None:
    ledger.begin_erasure("run-1", "monday", "t1")
    ledger.undo_erasure("run-2", "tuesday", "t1", {})
    assert ledger.unfinished_erasures() == ()


def test_the_receipts_of_a_client_come_back_oldest_first(ledger: Ledger) -> None:
    for run, rows in (("run-1", 2), ("run-2", 0)):
        ledger.begin_erasure(run, NOW, "t1")
        ledger.finish_erasure(run, {"rows": rows})
    ledger.begin_erasure("run-3", NOW, "t1")
    ledger.undo_erasure("run-4", NOW, "t1", {"reason": "a mistake"})
    assert ledger.receipts("t1") == ({"rows": 2}, {"rows": 0})
    assert ledger.receipts("t2") == ()


def with_client(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if CLIENT.encode() in path.read_bytes()]


def test_every_text_that_names_a_client_is_rewritten_and_leaves_no_trace(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record_acts("run", [act(2, text=f"{CLIENT},1,0"), act(3, text="another,1,0", reason=f"for {CLIENT}")])
    ledger.record_acts("run", [act(4, text="another")])
    assert with_client(tmp_path)
    assert ledger.redact(lambda text, _: text.replace(CLIENT, "[erased]"), trial=True) == 2
    assert with_client(tmp_path)
    assert ledger.redact(lambda text, _: text.replace(CLIENT, "[erased]")) == 2
    assert [(each.text, each.reason) for each in ledger.acts(1).values()] == [
        ("[erased],1,0", None),
        ("another,1,0", "for [erased]"),
        ("another", None),
    ]
    assert with_client(tmp_path) == []


def test_where_nobody_is_named_nothing_is_rewritten(ledger: Ledger) -> None:
    ledger.record_acts("run", [act(2, text="another")])
    assert ledger.redact(lambda text, _: "[erased]" if CLIENT in text else text) == 0
    assert ledger.acts(1) == {2: act(2, text="another")}


def test_digests_and_names_that_we_gave_are_never_rewritten(ledger: Ledger) -> None:
    ledger.record_dataset("run", NOW, SCHEMA, known("a" * 64))
    ledger.redact(lambda text, _: "[erased]" if text == "a" * 64 else text)
    assert ledger.dataset("a" * 64) is not None


def test_only_a_repaired_row_is_judged_as_a_row_of_its_delivery(ledger: Ledger) -> None:
    ledger.record_acts("run", [act(2, text="row", delivery=7), act(3, "waived", reason="a reason", delivery=8)])
    seen: dict[str, int | None] = {}

    def look(text: str, delivery: int | None) -> str:
        seen[text] = delivery
        return text

    assert ledger.redact(look) == 0
    assert {text: seen[text] for text in ("row", "a reason")} == {"row": 7, "a reason": None}


def test_a_failed_rewriting_changes_nothing(ledger: Ledger) -> None:
    ledger.record_acts("run", [act(2, text=CLIENT), act(3, text=f"{CLIENT}!")])

    def failing(text: str, _: int | None) -> str:
        if text.endswith("!"):
            raise RuntimeError
        return "[erased]"

    with pytest.raises(RuntimeError):
        ledger.redact(failing)
    assert ledger.acts(1)[2].text == CLIENT


def test_a_delivery_whose_file_was_cleaned_is_still_the_same_delivery(ledger: Ledger) -> None:
    file = SourceFile(number=1, name="a.csv", folder="in", digest="a", size=1, received=NOW, status="accepted")
    ledger.record_delivery("run", SOURCE, SCHEMA, file)
    cleaned = replace(file, digest="b", former=("a",))
    ledger.redigest(cleaned)
    assert ledger.current_deliveries(SOURCE, SCHEMA) == ledger.every_delivery() == (cleaned,)
    successor = replace(file, number=2, digest="c", supersedes=1)
    ledger.record_delivery("run", SOURCE, SCHEMA, successor)
    assert ledger.current_deliveries(SOURCE, SCHEMA) == (successor,)
