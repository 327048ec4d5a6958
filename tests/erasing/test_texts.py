"""Texts of the ledger: a repaired row is judged by its columns, any other text by its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.erasing.texts import REDACTED, redacted
from holdfast.store.scrubbing.mention import Erasure, Mention

HEADER = ("visits", "client", "note")
WORDS = st.sampled_from(["acme", "acme-2", "b", "7", "", "we met acme", "x y"])


@dataclass
class Held:
    """As much of an erasure's work as judging a text needs."""

    mention: Mention
    headers: dict[int, tuple[str, ...]]

    @property
    def erasure(self) -> Erasure:
        return Erasure(self.mention, frozenset({"client"}))


def judged(text: str, delivery: int | None = None, client: str = "acme") -> str:
    return redacted(cast(Any, Held(Mention(client), {3: HEADER})), text, delivery)


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_a_sentence_is_judged_by_its_words_whatever_its_commas(words: list[str]) -> None:
    text = ", ".join(words)
    mentioned = any("acme" in word.split() for word in words)
    assert (judged(text) == REDACTED) is mentioned
    assert mentioned or judged(text) == text


@given(WORDS, WORDS, WORDS)
def test_a_row_is_the_clients_that_its_client_column_names(visits: str, client: str, note: str) -> None:
    row = f"{visits},{client},{note}"
    mentioned = "acme" in " ".join((visits, client, note)).split()
    gone = client == "acme" if client else mentioned
    assert judged(row, 3) == (REDACTED if gone else row)


@pytest.mark.parametrize("text", ["acme,7", "acme,7,x,y", '7,"acme', "acme"])
def test_a_row_whose_fields_cannot_be_told_apart_is_gone_if_it_mentions_the_client(text: str) -> None:
    assert judged(text, 3) == REDACTED


def test_a_row_of_a_delivery_that_is_not_known_is_judged_by_its_words() -> None:
    assert (judged("7,b,acme", 9), judged("7,b,c", 9)) == (REDACTED, "7,b,c")


def test_json_loses_the_values_and_keeps_the_rest() -> None:
    assert judged('{"error": "about acme", "rows": 3}') == '{"error": "[erased]", "rows": 3}'
    assert judged('[{"client": "acme"}, {"client": "b"}]') == '[{"client": "b"}]'


def test_of_a_short_number_only_whole_strings_and_fields_are_mentions() -> None:
    assert judged('{"counts": [1,42,3], "rows": 42}', client="42") == '{"counts": [1,42,3], "rows": 42}'
    assert judged('{"client": "42", "rows": 42}', client="42") == '{"client": "[erased]", "rows": 42}'
    assert judged("42 rows", client="42") == "42 rows"
