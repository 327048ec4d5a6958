"""Releases: production shows one whole release, whatever happens to whoever publishes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError, InputOutputError, ModelFileDamaged
from holdfast.records import Release
from holdfast.store.files import digest_of
from holdfast.store.releases import (
    BRIEF_FILES,
    MODEL_FILE,
    RELEASE_FILE,
    current_id,
    next_number,
    pin_current,
    publish,
    repair,
)

NAMES = (*BRIEF_FILES, MODEL_FILE)
GOT_OVER_IT = 100
"""The status of a process that met a fault which did not matter."""


def published(deployment: Path, word: str) -> Release:
    files = {name: f"{word} {name}".encode() for name in NAMES}
    number = next_number(deployment)
    release = Release(
        id=f"{number:04d}-{word}",
        number=number,
        model_digest=word,
        dataset_digest="d",
        f1=0.5,
        files={name: digest_of(data) for name, data in files.items()},
        parent=current_id(deployment),
        actor="test",
        reason="test",
        created="2026-01-31T10:00:00Z",
    )
    publish(deployment, release, files)
    return release


def test_there_is_no_release_before_the_first(tmp_path: Path) -> None:
    assert pin_current(tmp_path) is None
    assert pin_current(tmp_path / "not there") is None
    assert current_id(tmp_path) is None
    assert next_number(tmp_path / "not there") == 1


def test_a_published_release_is_pinned_with_its_files(tmp_path: Path) -> None:
    release = published(tmp_path, "a")
    pinned = pin_current(tmp_path)
    assert pinned is not None
    assert pinned.release == release
    assert pinned.is_whole
    assert {name: pinned.read(name) for name in NAMES} == {name: f"a {name}".encode() for name in NAMES}
    assert current_id(tmp_path) == "0001-a"


def test_the_briefs_files_show_the_current_release(tmp_path: Path) -> None:
    for word in ("a", "b"):
        published(tmp_path, word)
        assert [(tmp_path / name).read_text() for name in BRIEF_FILES] == [f"{word} {name}" for name in BRIEF_FILES]


def test_a_pinned_reader_stays_in_its_release(tmp_path: Path) -> None:
    published(tmp_path, "a")
    pinned = pin_current(tmp_path)
    published(tmp_path, "b")
    assert pinned is not None
    assert pinned.read(MODEL_FILE) == f"a {MODEL_FILE}".encode()


def test_numbers_go_on_from_the_highest_there_is(tmp_path: Path) -> None:
    (tmp_path / "releases" / "0041-x").mkdir(parents=True)
    (tmp_path / "releases" / "unrelated").mkdir()
    assert published(tmp_path, "a").number == 42


def test_a_release_is_never_written_again(tmp_path: Path) -> None:
    release = published(tmp_path, "a")
    with pytest.raises(HoldfastError):
        publish(tmp_path, release, dict.fromkeys(NAMES, b"other"))
    pinned = pin_current(tmp_path)
    assert pinned is not None
    assert pinned.is_whole


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_file_of_a_release_is_not_read(tmp_path: Path, name: str) -> None:
    published(tmp_path, "a")
    (tmp_path / "current" / name).write_bytes(b"changed")
    pinned = pin_current(tmp_path)
    assert pinned is not None
    with pytest.raises(ModelFileDamaged):
        pinned.read(name)
    assert not pinned.is_whole


def test_a_missing_file_of_a_release_is_not_read(tmp_path: Path) -> None:
    published(tmp_path, "a")
    (tmp_path / "current" / MODEL_FILE).unlink()
    pinned = pin_current(tmp_path)
    assert pinned is not None
    with pytest.raises(ModelFileDamaged):
        pinned.read(MODEL_FILE)


def test_a_file_that_the_release_does_not_list_is_not_read(tmp_path: Path) -> None:
    published(tmp_path, "a")
    (tmp_path / "current" / "other").write_bytes(b"")
    pinned = pin_current(tmp_path)
    assert pinned is not None
    with pytest.raises(ModelFileDamaged):
        pinned.read("other")


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[" * 100_000, b'{"id": "x"}', b"\xff"])
def test_an_unreadable_record_of_a_release_is_a_known_error(tmp_path: Path, content: bytes) -> None:
    published(tmp_path, "a")
    (tmp_path / "current" / RELEASE_FILE).write_bytes(content)
    with pytest.raises(ModelFileDamaged):
        pin_current(tmp_path)


def test_a_number_too_large_for_a_float_in_the_record_is_a_known_error(tmp_path: Path) -> None:
    published(tmp_path, "a")
    record = tmp_path / "current" / RELEASE_FILE
    record.write_text(record.read_text().replace("0.5", "1" + "0" * 400))
    with pytest.raises(ModelFileDamaged):
        pin_current(tmp_path)


def test_a_pointer_that_is_no_link_is_a_known_error(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(InputOutputError):
        pin_current(tmp_path)


def test_plain_files_from_before_are_kept(tmp_path: Path) -> None:
    for name in BRIEF_FILES:
        (tmp_path / name).write_text(f"plain {name}")
    published(tmp_path, "a")
    kept = tmp_path / "before_holdfast"
    assert {path.name: path.read_text() for path in kept.iterdir()} == {n: f"plain {n}" for n in BRIEF_FILES}
    assert (tmp_path / BRIEF_FILES[0]).read_text() == f"a {BRIEF_FILES[0]}"


def test_repairing_shows_the_release_where_a_plain_file_was_put(tmp_path: Path) -> None:
    published(tmp_path, "a")
    name = BRIEF_FILES[0]
    (tmp_path / name).unlink()
    (tmp_path / name).write_text("put there by hand")
    repair(tmp_path)
    assert (tmp_path / name).read_text() == f"a {name}"
    assert (tmp_path / "before_holdfast" / name).read_text() == "put there by hand"
    assert current_id(tmp_path) == "0001-a"


def test_readers_never_see_a_mixed_set_while_two_hundred_releases_swap(tmp_path: Path) -> None:
    published(tmp_path, "r0")
    finished = threading.Event()
    reads: list[list[set[str]]] = [[], []]

    def read(seen: list[set[str]]) -> None:
        while not finished.is_set():
            pinned = pin_current(tmp_path)
            assert pinned is not None
            words = {pinned.read(name).decode().split()[0] for name in NAMES}
            seen.append(words | {pinned.release.model_digest})

    readers = [threading.Thread(target=read, args=(seen,)) for seen in reads]
    for reader in readers:
        reader.start()
    for number in range(200):
        published(tmp_path, f"r{number + 1}")
    finished.set()
    for reader in readers:
        reader.join()
    assert all(len(seen) > 10 for seen in reads)
    assert all(len(words) == 1 for seen in reads for words in seen)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What production showed after publishing was stopped at each of its calls, and after publishing again."""
    script = Path(__file__).with_name("kill_points.py")
    folder = tmp_path_factory.mktemp("kill_points")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


BEFORE = {"plain files": "plain", "a release": "old"}


def judged(outcomes: list[dict[str, Any]], fine: Callable[[dict[str, Any]], bool]) -> None:
    assert len(outcomes) > 200, "too few kill points to mean anything"
    assert not [outcome for outcome in outcomes if not fine(outcome)]


def test_stopped_at_any_call_production_shows_the_old_release_or_the_new_one(outcomes: list[dict[str, Any]]) -> None:
    def fine(outcome: dict[str, Any]) -> bool:
        old = "old" if outcome["start"] == "a release" else None
        after = outcome["after"]
        return after["pinned"] in {old, "new"} and after["whole"] == (after["pinned"] is not None)

    judged(outcomes, fine)


def test_stopped_at_any_call_the_briefs_files_are_all_old_or_all_new(outcomes: list[dict[str, Any]]) -> None:
    def fine(outcome: dict[str, Any]) -> bool:
        return outcome["after"]["plain"] in ([BEFORE[outcome["start"]]] * 3, ["new"] * 3)

    judged(outcomes, fine)


def test_a_call_that_fails_is_told_with_its_status(outcomes: list[dict[str, Any]]) -> None:
    told = {"kill": -9, "ENOSPC": 73}

    def fine(outcome: dict[str, Any]) -> bool:
        done = outcome["after"]["pinned"] == "new"
        return outcome["status"] == told[outcome["way"]] or (outcome["status"] in {0, GOT_OVER_IT} and done)

    judged(outcomes, fine)


def test_publishing_again_converges_and_leaves_nothing_behind(outcomes: list[dict[str, Any]]) -> None:
    whole = {"pinned": "rerun", "whole": True, "plain": ["rerun"] * 3, "left": []}
    judged(outcomes, lambda outcome: outcome["rerun"] == whole)
