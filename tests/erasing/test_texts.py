"""Texts of the ledger: a repaired row is judged by its columns, any other text by its words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.erasing.texts import REDACTED, redacted
from holdfast.errors import FileRefused
from holdfast.intake.storing import is_of_erased
from holdfast.sources.typed import as_csv
from holdfast.store.scrubbing.mention import Erasure, Mention
from holdfast.store.tombstones import Tombstones

HEADER = ("visits", "client", "note")
KEY = bytes(32)
WORDS = st.sampled_from(["acme", "acme-2", "b", "7", "", "we met acme", "x y"])


@dataclass
class Held:
    """As much of an erasure's work as judging a text needs."""

    mention: Mention
    headers: dict[int, tuple[str, ...]]
    columns: frozenset[str] = frozenset({"client"})

    @property
    def workspace(self) -> Any:
        return SimpleNamespace(schema=SimpleNamespace(client=SimpleNamespace(name="client")))

    @property
    def erasure(self) -> Erasure:
        return Erasure(self.mention, self.columns)


def judged(text: str, delivery: int | None = None, client: str = "acme") -> str:
    return redacted(cast(Any, Held(Mention(client), {3: HEADER})), text, delivery)


def left_out(text: str, client: str) -> bool:
    """Whether ingestion would take a refused row for the erased client's."""
    tombstone = Tombstones(KEY, frozenset()).tombstone_of(client)
    return is_of_erased(text, HEADER, "client", Tombstones(KEY, frozenset({tombstone})))


IDS = st.sampled_from(
    ["acme", "a b", "Miller, Sons", 'say "hi"', "Müller & Söhne", "12", "12345", "x;y", "e\u0301", "Co."]
)
PIECES = st.sampled_from(
    ["acme", "12", "12345", "x", "", "Miller", " Sons", "we met acme.", "a b", '"', "x;y", "Co.", "é"]
)


@given(IDS, st.lists(PIECES, max_size=5), st.data())
def test_what_ingestion_takes_for_a_refused_row_of_the_client_erasure_removes_and_nothing_else(
    client: str, pieces: list[str], data: st.DataObject
) -> None:
    pieces.insert(data.draw(st.integers(0, len(pieces))), data.draw(st.sampled_from([client, as_csv([client]), ""])))
    text = data.draw(st.sampled_from([",", ";", " ", ', "'])).join(pieces)
    assert (judged(text, 3, client) == REDACTED) is left_out(text, client)
    assert judged(text, 3, client) in {REDACTED, text}


@given(IDS, st.sampled_from(["{},1,2,3", "0,1,2,3,{}", '{},"x', "{}", "x y {} z,1,2,3", "1,,we met {} on Monday"]))
def test_a_row_that_names_nobody_is_the_clients_wherever_its_id_stands_in_it(client: str, row: str) -> None:
    if not (client.isdigit() and len(client) < 5):
        assert left_out(row.format(client), client)
        assert judged(row.format(client), 3, client) == REDACTED


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


def record_of(**told: str) -> str:
    return json.dumps({"files": [{"error": FileRefused("no header", file="a.csv").record("run") | told}]})


@pytest.mark.parametrize("excerpt", ["acme,1,2", "1,acme\\nx", '"acme,7', "1,2,acm…", "x,we met acm…"])
def test_an_excerpt_of_a_refused_file_that_may_hold_the_client_is_blanked(excerpt: str) -> None:
    told = json.loads(judged(record_of(value_excerpt=excerpt)))["files"][0]["error"]["value_excerpt"]
    assert "ac" not in told


@pytest.mark.parametrize("excerpt", ["beta,1,2", "1,2,bet…", "acme-2,1", "1,acmes…", "b,1,…"])
def test_an_excerpt_that_cannot_hold_the_client_stays(excerpt: str) -> None:
    assert judged(record_of(value_excerpt=excerpt)) == record_of(value_excerpt=excerpt)


def test_an_id_whose_excerpt_shows_escapes_is_known() -> None:
    client = "Müller\u00a0& Söhne"
    shown = FileRefused("x", value=f"{client},1").record()["value_excerpt"]
    assert json.loads(judged(record_of(value_excerpt=shown), client=client)) == json.loads(
        record_of(value_excerpt=REDACTED)
    )


def test_of_a_message_of_a_refused_file_the_id_alone_is_blanked() -> None:
    before, after = (record_of(message=f"Found: {name}, 1, acme-2") for name in ("acme", REDACTED))
    assert json.loads(judged(before)) == json.loads(after)
