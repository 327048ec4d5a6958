"""Whom a refused row may belong to: by its column of ids where that can be told, by what it mentions where not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.intake.named import LOOKED_THROUGH, ids_named_in, told_without
from holdfast.sources.typed import as_csv
from holdfast.store.scrubbing.mention import Mention

HEADER = ("visits", "client", "note")
TEXTS = st.text(st.sampled_from("ab1 ,;\"'.-é\u0301&\n"), max_size=12)


def named(text: str | None) -> set[str]:
    return set(ids_named_in(text, HEADER, "client"))


@given(TEXTS, TEXTS.filter(bool), TEXTS)
def test_a_row_whose_fields_are_told_apart_is_that_of_the_client_in_its_column(
    visits: str, client: str, note: str
) -> None:
    assert named(as_csv([visits, client, note])) == {client}


@given(TEXTS.filter(bool), st.lists(TEXTS, min_size=3, max_size=5))
def test_where_there_are_too_many_fields_each_of_them_may_be_the_id(client: str, others: list[str]) -> None:
    assert named(as_csv([*others, client])) >= {client, *others} - {""}


@given(TEXTS)
def test_only_what_the_text_mentions_may_be_the_id(text: str) -> None:
    for each in ids_named_in(text, (), ""):
        assert Mention(each).occurs_in(text.encode()), each


@pytest.mark.parametrize("text", ["12,,7 visits", "12,,12", "1,,see 77"])
def test_where_the_fields_are_told_apart_a_short_number_is_a_value(text: str) -> None:
    assert not any(each.isdigit() for each in named(text))


def test_where_they_are_not_a_short_number_is_an_id_only_as_a_whole_field() -> None:
    assert "12" in named("12,x")
    assert "12" not in named("a 12 b,x")
    assert "12345" in named("a 12345 b,x")


@pytest.mark.parametrize(
    "text",
    ['"Miller, Sons",1', "Miller, Sons,1,2,3", 'x,"met Miller, Sons.', "see Miller, Sons;1", "1,,Miller, Sons,4"],
)
def test_an_id_of_several_words_is_found_across_separators(text: str) -> None:
    assert "Miller, Sons" in named(text)


def test_words_end_where_their_marks_do() -> None:
    assert "cafe" not in named("cafe\u0301,1")
    assert "cafe\u0301" in named("the cafe\u0301,1")


def test_a_text_that_was_let_go_names_nobody() -> None:
    assert named(None) == set()


def test_a_broken_row_of_millions_of_words_takes_no_memory_of_their_number() -> None:
    start = time.perf_counter()
    found = ids_named_in("a b " * (4 * LOOKED_THROUGH), (), "")
    assert len(found) < LOOKED_THROUGH
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("key", ["message", "column", "value_excerpt", "hint"])
def test_of_an_error_every_text_that_may_come_from_a_file_is_looked_at(key: str) -> None:
    told = told_without({key: "acme", "file": "acme.csv", "row": 3}, {"acme"}.intersection, lambda _: False)
    assert told == {key: "[erased]", "file": "acme.csv", "row": 3}
