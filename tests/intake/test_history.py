"""The deliveries so far: what is known, what is a copy, and what takes whose place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.intake.finding import Found, Lying
from holdfast.intake.history import History
from holdfast.limits import Limits
from holdfast.records import SourceFile


def file(number: int, name: str, digest: str, **changed: Any) -> SourceFile:
    entry = SourceFile(
        number=number,
        name=name,
        folder="practicedata",
        digest=digest,
        size=1,
        received="2026-01-31T10:00:00Z",
        status="accepted",
    )
    return replace(entry, **changed)


def lies(name: str, digest: str, folder: str = "practicedata") -> Found:
    return Found(path=Path("/data") / name, folder=folder, digest=digest, size=1)


A = file(1, "a.csv", "A")
B = file(2, "b.csv", "B")
REFUSED = file(3, "c.csv", "C", status="refused", read_as=lies("c.csv", "C").refused_as)
HISTORY = (A, B, REFUSED)


def history(*deliveries: SourceFile, current: tuple[SourceFile, ...] | None = None) -> History:
    accepted = tuple(each for each in deliveries if each.status == "accepted")
    return History(deliveries, accepted if current is None else current, {})


def lying(*files: Found) -> Lying:
    """These files, and nothing else, lie in the folders."""
    return Lying(files=files, notices=(), deferred=(), unreadable=(), absent=())


def test_the_current_deliveries_come_oldest_first() -> None:
    assert history(B, A).current == (A, B)


# ---- known


def test_a_file_is_known_by_folder_name_and_bytes() -> None:
    past = history(*HISTORY)
    assert past.knows(lies("a.csv", "A"))
    assert past.knows(lies("c.csv", "C"))
    for other in (lies("b.csv", "A"), lies("a.csv", "B"), lies("a.csv", "A", "branches")):
        assert not past.knows(other)


def test_a_superseded_file_that_lies_there_again_is_not_known() -> None:
    assert not history(*HISTORY, current=(B,)).knows(lies("a.csv", "A"))


def test_a_copy_is_known_as_long_as_its_original_is_current() -> None:
    copy = file(4, "copy.csv", "A", status="duplicate")
    assert history(A, copy).knows(lies("copy.csv", "A"))
    assert not history(A, copy, current=()).knows(lies("copy.csv", "A"))


def test_a_refused_file_is_not_known_once_limits_or_its_source_say_otherwise() -> None:
    past, found = history(*HISTORY), lies("c.csv", "C")
    assert past.knows(found)
    assert not past.knows(replace(found, limits=Limits(columns=7)))
    assert not past.knows(replace(found, columns=(("Firm", "corporation"),)))
    assert not past.knows(replace(found, sheet="May"))


def test_an_accepted_file_is_not_known_once_its_source_says_to_read_it_otherwise() -> None:
    past, found = history(*HISTORY), lies("a.csv", "A")
    assert past.knows(replace(found, limits=Limits(columns=7)))
    otherwise = replace(found, columns=(("Firm", "corporation"),))
    assert not past.knows(otherwise)
    assert past.superseded_by(otherwise, lying(otherwise)) == (A,)


# ---- copies


def test_the_twin_of_a_file_is_the_current_delivery_with_its_bytes() -> None:
    assert history(*HISTORY).twin(A.identity) == A
    assert history(*HISTORY, current=(B,)).twin(A.identity) is None
    assert history(*HISTORY).twin(("C", "")) is None


def test_a_refused_twin_lay_in_the_same_folder_as_a_file_of_the_same_kind() -> None:
    past = history(*HISTORY)
    assert past.refused_twin(lies("copy.csv", "C")) == REFUSED
    assert past.refused_twin(lies("copy.CSV", "C")) == REFUSED
    assert past.refused_twin(lies("copy.xlsx", "C")) is None
    assert past.refused_twin(lies("copy.csv", "C", "branches")) is None
    assert past.refused_twin(lies("copy.csv", "A")) is None


def test_what_was_just_refused_is_a_twin_too() -> None:
    past = history(A)
    past.add(REFUSED)
    assert past.refused_twin(lies("copy.csv", "C")) == REFUSED
    assert past.current == (A,)


# ---- supersedes


def test_a_changed_file_takes_the_place_of_the_one_that_had_its_name() -> None:
    changed = lies("a.csv", "A2")
    assert history(*HISTORY).superseded_by(changed, lying(changed)) == (A,)


def test_another_name_or_folder_takes_nobodys_place() -> None:
    for other in (lies("z.csv", "A2"), lies("a.csv", "A2", "branches")):
        assert history(*HISTORY).superseded_by(other, lying(other)) == ()


def test_a_file_whose_bytes_still_lie_somewhere_keeps_its_place() -> None:
    changed = lies("a.csv", "A2")
    assert history(*HISTORY).superseded_by(changed, lying(changed, lies("moved.csv", "A"))) == ()
    assert history(*HISTORY).superseded_by(changed, lying(changed, lies("moved.csv", "A", "branches"))) == ()


@pytest.mark.parametrize("name", ["a.csv", "copy.csv"])
def test_a_file_with_two_names_gives_up_its_place_to_a_changed_one_under_either(name: str) -> None:
    copy = file(4, "copy.csv", "A", status="duplicate")
    just_copied = history(*HISTORY)
    just_copied.add(copy)
    for past in (just_copied, history(*HISTORY, copy)):
        changed = lies(name, "A2")
        assert past.superseded_by(changed, lying(changed)) == (A,)
        other = lies("copy.csv" if name == "a.csv" else "a.csv", "A")
        assert past.superseded_by(changed, lying(changed, other)) == ()


def test_a_name_that_other_bytes_have_had_since_is_no_longer_that_of_a_file() -> None:
    """So it is in a rotation: the first file has lain under every name in turn."""
    second, moved = file(4, "a.csv", "A2"), file(3, "a.1.csv", "A", status="duplicate")
    past = history(A, moved, second)
    third = lies("a.csv", "A3")
    assert past.superseded_by(third, lying(third, lies("a.1.csv", "A2"))) == ()
    assert past.superseded_by(third, lying(third)) == (second,)


def test_bytes_that_come_back_under_a_name_are_not_known_until_they_were_noted() -> None:
    swapped = file(4, "b.csv", "A", status="duplicate"), file(5, "a.csv", "B", status="duplicate")
    past = history(A, B, *swapped)
    back = lies("a.csv", "A")
    assert not past.knows(back)
    past.add(file(6, "a.csv", "A", status="duplicate"))
    assert past.knows(back)
    changed = lies("a.csv", "C")
    assert past.superseded_by(changed, lying(changed, lies("b.csv", "B"))) == (A,)


def test_a_copy_does_not_take_the_place_of_its_own_bytes() -> None:
    past = history(A, file(4, "copy.csv", "A", status="duplicate"))
    past.add(file(5, "a.csv", "A"), (A,))
    copy = lies("copy.csv", "A")
    assert past.superseded_by(copy, lying(copy, lies("a.csv", "A"))) == ()


def test_a_refused_file_does_not_take_a_name_from_the_one_before_it() -> None:
    past = history(A, file(4, "a.csv", "X", status="refused"))
    changed = lies("a.csv", "A2")
    assert past.knows(lies("a.csv", "A"))
    assert past.superseded_by(changed, lying(changed)) == (A,)


def test_what_was_refused_had_no_place_to_take() -> None:
    changed = lies("c.csv", "C2")
    assert history(*HISTORY).superseded_by(changed, lying(changed)) == ()


def test_the_repaired_rows_of_a_delivery_go_with_it() -> None:
    repaired = file(4, "a.csv (repaired)", "R", repairs=1)
    others = file(5, "b.csv (repaired)", "S", repairs=2)
    past = history(A, B, repaired, others)
    changed = lies("a.csv", "A2")
    assert past.superseded_by(changed, lying(changed)) == (A, repaired)
    assert past.with_repairs([B]) == (B, others)


def test_repaired_rows_are_no_file_that_could_be_changed() -> None:
    repaired = file(4, "a.csv (repaired)", "R", repairs=1)
    changed = lies("a.csv (repaired)", "R2")
    assert history(A, repaired).superseded_by(changed, lying(changed)) == ()


def test_what_was_superseded_is_current_no_more() -> None:
    past = history(A, B)
    new = file(4, "a.csv", "A2", supersedes=1)
    past.add(new, (A,))
    assert past.current == (B, new)
    assert past.twin(A.identity) is None


def test_two_readings_of_the_same_rows_are_two_deliveries() -> None:
    """A table may have had the same rows before; each reading leaves by its own number."""
    first, second = file(1, "clients at noon", "T"), file(2, "clients at one", "T")
    past = history(first, second)
    assert past.current == (first, second)
    past.add(file(3, "clients at two", "U", supersedes=1), (first,))
    assert [each.number for each in past.current] == [2, 3]


# ---- tables
