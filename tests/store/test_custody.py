"""What datasets were made of, what was done to refused rows, and who was erased."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from holdfast.records import Dataset, QuarantineAct, SourceFile
from holdfast.store.custody import KnownDataset
from holdfast.store.ledger import Ledger

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
        source=SOURCE, digest=digest, version=version, rows=300, exited=20, unlabelled=1, files=("a.csv", "ü.csv")
    )
    return KnownDataset(record=record, created=NOW, deliveries=deliveries)


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
    plain = QuarantineAct(
        delivery=delivery, line=line, act=kind, text=None, reason=None, replayed_as=None, actor="ada", created=NOW
    )
    return replace(plain, **changes)


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


def with_client(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if CLIENT.encode() in path.read_bytes()]


def test_every_text_that_names_a_client_is_rewritten_and_leaves_no_trace(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record_acts("run", [act(2, text=f"{CLIENT},1,0"), act(3, text="another,1,0", reason=f"for {CLIENT}")])
    ledger.record_acts("run", [act(4, text="another")])
    assert with_client(tmp_path)
    assert ledger.redact(lambda text: CLIENT in text, lambda text: text.replace(CLIENT, "[erased]")) == 2
    assert [(each.text, each.reason) for each in ledger.acts(1).values()] == [
        ("[erased],1,0", None),
        ("another,1,0", "for [erased]"),
        ("another", None),
    ]
    assert with_client(tmp_path) == []


def test_where_nobody_is_named_nothing_is_rewritten(ledger: Ledger) -> None:
    ledger.record_acts("run", [act(2, text="another")])
    assert ledger.redact(lambda text: CLIENT in text, lambda _: "[erased]") == 0
    assert ledger.acts(1) == {2: act(2, text="another")}


def test_digests_and_names_that_we_gave_are_never_rewritten(ledger: Ledger) -> None:
    ledger.record_dataset("run", NOW, SCHEMA, known("a" * 64))
    ledger.redact(lambda text: text == "a" * 64, lambda _: "[erased]")
    assert ledger.dataset("a" * 64) is not None


def test_a_failed_rewriting_changes_nothing(ledger: Ledger) -> None:
    ledger.record_acts("run", [act(2, text=CLIENT), act(3, text=f"{CLIENT}!")])

    def failing(text: str) -> str:
        if text.endswith("!"):
            raise RuntimeError
        return "[erased]"

    with pytest.raises(RuntimeError):
        ledger.redact(lambda text: CLIENT in text, failing)
    assert ledger.acts(1)[2].text == CLIENT


def test_a_delivery_whose_file_was_cleaned_is_still_the_same_delivery(ledger: Ledger) -> None:
    file = SourceFile(number=1, name="a.csv", folder="in", digest="a", size=1, received=NOW, status="accepted")
    ledger.record_delivery("run", SOURCE, SCHEMA, file)
    cleaned = replace(file, digest="b", former=("a",))
    ledger.redigest(cleaned)
    assert ledger.current_deliveries(SOURCE, SCHEMA) == ledger.every_delivery() == (cleaned,)
    successor = replace(file, number=2, digest="c", supersedes="b")
    ledger.record_delivery("run", SOURCE, SCHEMA, successor)
    assert ledger.current_deliveries(SOURCE, SCHEMA) == (successor,)
