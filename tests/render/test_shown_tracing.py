"""What a terminal shows of lineage, and of an erasure: enough for one client and for a model of 500 deliveries."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from holdfast.records import (
    ErasurePlan,
    ErasureReceipt,
    ErasureUndone,
    Lineage,
    Remnant,
    SourceFile,
    TracedAssessment,
    TracedModel,
    TracedRow,
)
from holdfast.render.deliveries import SHOWN_DELIVERIES
from holdfast.render.terminal import Lines
from holdfast.render.tracing import SHOWN_ROWS, lineage_lines, plan_lines, receipt_lines, spans, undone_lines


def shown(lines: Lines, width: int = 160) -> str:
    console = Console(width=width, file=io.StringIO())
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


MOMENT = "2026-06-14T10:20:33Z"


def row(line: int = 2, **changed: Any) -> TracedRow:
    usual: dict[str, Any] = {"delivery": 8, "file": "march.csv", "folder": "sourcedata", "state": "current"}
    rest: dict[str, Any] = {"replaced_by": None, "values": {"client": "acme", "visits": "7"}}
    return TracedRow(line=line, received=MOMENT, **(usual | rest | changed))


def delivery(number: int = 8, **changed: Any) -> SourceFile:
    usual: dict[str, Any] = {"name": f"day{number}.csv", "folder": "sourcedata", "status": "accepted"}
    return SourceFile(number=number, digest="d", size=9, received=MOMENT, **(usual | changed))


def model(digest: str = "c17ee777f2c4059a", releases: tuple[str, ...] = ("0001-c17ee777",)) -> TracedModel:
    return TracedModel(
        digest=digest, created=MOMENT, dataset_digest="ab" * 32, version=5, rows=10_000, releases=releases
    )


def assessment(number: int) -> TracedAssessment:
    return TracedAssessment(
        number=number, created=MOMENT, release="0001-c17ee777", model="c17e" * 16, dataset_digest="ab" * 32, version=5
    )


def lineage(**changed: Any) -> str:
    usual: dict[str, Any] = dict.fromkeys(["rows", "deliveries", "models", "assessments", "notices"], ())
    return shown(lineage_lines(Lineage(subject="client acme", **(usual | changed))))


# ---- lineage


def test_the_rows_of_a_client_are_counted_with_how_many_count() -> None:
    text = lineage(rows=(row(2), row(3, state="duplicate"), row(4, state="replaced", replaced_by=9)))
    assert text.startswith("client acme: 3 delivered rows; 1 current\n")


def test_a_row_is_shown_with_delivery_line_and_values() -> None:
    line = lineage(rows=(row(),)).splitlines()[3]
    assert line.split() == ["8:2", "march.csv", "2026-06-14", "10:20", "current", "acme", "7"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"state": "replaced", "replaced_by": 9}, "replaced by delivery 9"),
        ({"state": "duplicate"}, "same as before"),
        ({"state": "conflicting"}, "contradicts, not taken"),
    ],
)
def test_what_became_of_a_row_is_said_in_words(changed: dict[str, Any], words: str) -> None:
    assert words in lineage(rows=(row(**changed),))


def test_a_missing_value_is_told_from_an_empty_place() -> None:
    assert lineage(rows=(row(values={"client": "acme", "visits": None}),)).splitlines()[3].split()[-1] == "missing"


def test_many_columns_are_told_by_name_in_one_place() -> None:
    values = {f"column{number}": str(number) for number in range(30)}
    text = lineage(rows=(row(values=values),))
    assert "column0 0, column1 1" in text
    assert "values" in text.splitlines()[1]


def test_of_many_rows_the_first_and_last_are_shown_and_all_are_counted() -> None:
    text = lineage(rows=tuple(row(line) for line in range(1000)))
    assert text.startswith("client acme: 1,000 delivered rows; here the first and last; 1,000 current\n")
    assert text.count("march.csv") == SHOWN_ROWS
    assert "8:999" in text


def test_of_500_deliveries_the_first_and_last_are_shown_and_all_are_counted() -> None:
    text = lineage(deliveries=tuple(delivery(number) for number in range(1, 501)))
    assert "500 deliveries from sourcedata; here the first and last\n" in text
    assert f"⋮ {500 - SHOWN_DELIVERIES} more" in text
    assert "day1.csv" in text
    assert "day500.csv" in text


def test_deliveries_of_several_sources_are_shown_with_their_sources() -> None:
    text = lineage(deliveries=(delivery(1), delivery(2, folder="crm")))
    assert "2 deliveries from 2 sources\n" in text
    assert any(line.split()[:3] == ["2", "day2.csv", "crm"] for line in text.splitlines())


def test_a_model_is_shown_with_its_dataset_and_its_releases() -> None:
    text = lineage(models=(model(),))
    line = next(line for line in text.splitlines() if line.startswith("c17ee777f2c4"))
    assert line.split() == ["c17ee777f2c4", "2026-06-14", "10:20", "10,000", "abababababab", "5", "0001-c17ee777"]


def test_a_model_that_was_never_deployed_is_told_as_such() -> None:
    assert "never deployed" in lineage(models=(model(releases=()),))


def test_an_assessment_is_shown_with_its_release_and_model() -> None:
    text = lineage(assessments=(assessment(12),))
    assert any(line.split()[:4] == ["12", "2026-06-14", "10:20", "0001-c17ee777"] for line in text.splitlines())


def test_when_nothing_rests_on_it_that_is_said() -> None:
    text = lineage(rows=(row(),))
    assert "no model has learned from it" in text
    assert "no assessment rests on it" in text


def test_notices_come_last() -> None:
    assert lineage(models=(model(),), notices=("some deliveries are not known",)).endswith(
        "\nnote: some deliveries are not known\n"
    )


# ---- erasure


def facts(**changed: Any) -> dict[str, Any]:
    empty = ("deliveries", "deleted", "models", "changed_versions", "unreadable_versions", "elsewhere", "remaining")
    usual: dict[str, Any] = dict.fromkeys(empty, ()) | {"in_production": None, "seconds": 1.0}
    found = {"rows": 3, "cleaned": {"ingesteddata/finaldata.csv": 1}, "searched": ("/srv/acme",), "files_searched": 42}
    return usual | found | changed


def receipt(**changed: Any) -> str:
    about = {"tombstone": "3f" * 32, "reason": "request of 20 November", "erased": MOMENT, "actor": "anna"}
    return shown(receipt_lines(ErasureReceipt(**facts(**about, receipt="erasures/3f3f3f3f3f3f.json") | changed)))


def plan(**changed: Any) -> str:
    return shown(plan_lines(ErasurePlan(**facts(**changed))))


def undone(**changed: Any) -> str:
    about: dict[str, Any] = {"tombstone": "3f" * 32, "undone": MOMENT, "actor": "anna", "receipt": "erasures/3f-2.json"}
    usual: dict[str, Any] = {"reason": "case 18", "read_again": (), "deliver_again": (), "seconds": 1.0}
    return shown(undone_lines(ErasureUndone(**(about | usual | changed))))


def left(place: str, reason: str = "not one of Holdfast's files", then: str = "delete it") -> Remnant:
    return Remnant(place=place, reason=reason, next=then)


def test_a_complete_erasure_begins_with_the_search_that_proves_it() -> None:
    assert receipt().startswith("erased: 42 files searched, no trace of the client is left\n")


def test_an_incomplete_erasure_begins_with_that_and_says_of_each_place_why_and_what_to_do() -> None:
    text = receipt(remaining=(left("notes.txt"), left("crm.sqlite", "belongs to source 'crm'", "delete it there")))
    assert text.startswith("NOT ERASED EVERYWHERE: 42 files searched, STILL FOUND in 2 places, see below\n")
    (line,) = (line for line in text.splitlines() if line.startswith("crm.sqlite"))
    assert "belongs to source 'crm'" in line
    assert "delete it there" in line
    assert "run the same command again" in text


UNREAD = "it could not be read: Permission denied"


def test_what_could_not_be_searched_is_not_said_to_hold_the_client() -> None:
    text = receipt(remaining=(left("notes.txt"), left("old.zip", UNREAD)))
    assert text.startswith(
        "NOT ERASED EVERYWHERE: 41 files searched, STILL FOUND in 1 place, 1 place COULD NOT BE SEARCHED, see below\n"
    )
    found, unsearched = text.index("still found in"), text.index("COULD NOT BE SEARCHED  ")
    assert found < text.index("\nnotes.txt") < unsearched < text.index("\nold.zip")


def test_where_all_that_is_left_could_not_be_searched_the_client_is_perhaps_erased() -> None:
    text = receipt(remaining=(left("old.zip", UNREAD),))
    assert text.startswith("PERHAPS NOT ERASED EVERYWHERE: 41 files searched, 1 place COULD NOT BE SEARCHED, see below")
    assert "found in" not in text.lower()


def test_a_client_who_is_erased_in_advance_is_kept_out_and_files_that_mention_the_id_are_listed() -> None:
    text = receipt(rows=0, cleaned={}, in_advance=True, mentioned=(left("notes.txt", "the id occurs in it"),))
    first, *_ = text.splitlines()
    assert first == (
        "kept out from now on: the dataset has no row of the client; 42 files searched, the id occurs in 1 place, "
        "see below"
    )
    assert f"kept out since {MOMENT} by anna: request of 20 November" in text
    assert any(line.startswith("notes.txt") for line in text.splitlines())
    assert "run the same command again" not in text


def test_a_plan_in_advance_says_that_the_client_would_be_kept_out() -> None:
    second = plan(rows=0, cleaned={}, in_advance=True).splitlines()[1]
    assert second == "the dataset has no row of the client, who would be kept out"


def test_of_very_many_places_where_the_client_still_is_the_others_are_counted() -> None:
    assert "⋮ 88 more" in receipt(remaining=tuple(left(f"file{number}") for number in range(100)))


def test_the_receipt_names_tombstone_reason_actor_moment_and_file() -> None:
    text = receipt()
    assert all(
        fact in text
        for fact in ("3f" * 32, "request of 20 November", "anna", MOMENT, "receipt: erasures/3f3f3f3f3f3f.json")
    )


@pytest.mark.parametrize(
    ("rows", "words"), [(0, "had no row of the client"), (1, "had 1 delivered row of"), (3, "had 3 delivered rows of")]
)
def test_how_many_rows_there_were_is_said(rows: int, words: str) -> None:
    assert words in receipt(rows=rows)


def test_what_was_removed_is_shown_place_by_place() -> None:
    text = receipt(cleaned={"a.csv": 1200, "b.csv": 2}, deleted=("models/report.html",))
    assert any(line.split() == ["a.csv", "1,200"] for line in text.splitlines())
    assert "deleted as a whole: models/report.html" in text


def test_versions_that_changed_and_versions_that_are_gone_are_named() -> None:
    text = receipt(changed_versions=(1, 2, 3, 4, 7), unreadable_versions=(8,))
    assert "read without the client from now on: versions 1 to 4, 7 of the dataset\n" in text
    assert "no longer readable: version 8 of the dataset\n" in text


def test_a_model_in_production_that_learned_from_the_client_is_to_be_replaced() -> None:
    text = receipt(models=(model(),), in_production="0001-c17ee777")
    assert "1 model has learned from the client:\n" in text
    assert "next: release 0001-c17ee777 serves a model that learned from the client" in text


def test_of_a_release_that_a_lost_ledger_does_not_know_nothing_is_claimed() -> None:
    text = receipt(unknown="0001-c17ee777")
    assert "whether release 0001-c17ee777, which is in production, learned from the client is not known" in " ".join(
        text.split()
    )
    assert "no model has learned from the client that the ledger knows" in " ".join(text.split())


def test_models_that_are_not_in_production_need_no_replacing() -> None:
    text = receipt(models=(model(), model("d" * 64)))
    assert "2 models have learned from the client; none of them is in production:\n" in text
    assert "next:" not in text
    assert "1 model has learned from the client; it is not in production:\n" in receipt(models=(model(),))


def test_without_a_model_that_is_said() -> None:
    assert "no model has learned from the client\n" in receipt()


def test_places_of_others_are_told_with_the_reason() -> None:
    text = receipt(elsewhere=(left("/srv/crm/a.csv", "belongs to source 'branches'", "delete the client there"),))
    assert text.startswith(
        "erased from the workspace: 42 files searched, no trace of the client is left in it; 1 place of others, "
        "see below\n"
    )
    (line,) = (line for line in text.splitlines() if line.startswith("/srv/crm/a.csv"))
    assert "belongs to source 'branches'" in line


def test_a_plan_says_first_that_nothing_was_changed_and_then_what_would_be() -> None:
    text = plan(changed_versions=(1, 2), models=(model(),))
    assert text.startswith("dry run: nothing was changed\nthe dataset had 3 delivered rows of the client\n")
    assert "would be removed from" in text
    assert "would be read without the client: versions 1, 2 of the dataset\n" in text
    assert "c17ee777f2c4" in text


def test_a_plan_names_what_would_be_left() -> None:
    assert any(line.startswith("notes.txt") for line in plan(remaining=(left("notes.txt"),)).splitlines())


def test_an_undone_erasure_says_plainly_that_rows_do_not_come_back_by_it() -> None:
    first, second, *_ = undone().splitlines()
    assert "later deliveries of the client are taken again" in first
    assert "rows that were erased did not come back by this" in first
    assert second == f"undone {MOMENT} by anna: case 18"


def test_an_undone_erasure_says_how_rows_come_back() -> None:
    text = undone(read_again=("crm/march.csv",), deliver_again=("sourcedata/a.csv",))
    assert "deliver the original again, this file was cleaned: sourcedata/a.csv\n" in text
    assert "holdfast ingest reads this again: crm/march.csv\n" in text
    assert "deliver the client's rows" in undone()


@given(st.sets(st.integers(0, 60), min_size=1))
def test_spans_name_exactly_the_numbers_that_were_given(numbers: set[int]) -> None:
    named: set[int] = set()
    for part in spans(sorted(numbers)).split(", "):
        first, _, last = part.partition(" to ")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == numbers


@pytest.mark.parametrize("width", [40, 80, 160])
def test_texts_from_outside_are_no_markup_and_cannot_act_on_the_terminal(width: int) -> None:
    nasty = "[bold]\x1b[31m\u202e"
    traced = Lineage(
        subject=nasty,
        rows=(row(file=nasty, folder=nasty, values={nasty: nasty}), row(folder="b")),
        deliveries=(delivery(name=nasty, folder=nasty),),
        models=(),
        assessments=(),
        notices=(nasty,),
    )
    for text in (
        shown(lineage_lines(traced), width),
        receipt(reason=nasty, cleaned={nasty: 1}, remaining=(left(nasty, nasty, nasty),)),
    ):
        assert "[bold]" in text
        assert not {"\x1b", "\u202e"} & set(text)
