"""The error tree: one exit status each, one shape, and nothing in a message that acts on a terminal."""

from __future__ import annotations

import errno
import inspect
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import errors
from holdfast.errors import (
    EXCERPT_LENGTH,
    CannotWrite,
    FileRefused,
    HoldfastError,
    InputOutputError,
    NotPermitted,
    excerpt,
    from_os_error,
    nearest,
)

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HoldfastError)]
DRAWN = dict(re.findall(r"^[│├└─ ]*([A-Z]\w+) +(\d+)  ", errors.__doc__ or "", re.MULTILINE))


@pytest.mark.parametrize("kind", TREE)
def test_the_drawing_at_the_top_shows_every_error_with_its_exit_status(kind: type[HoldfastError]) -> None:
    assert DRAWN[kind.__name__] == str(kind.exit_status)


def test_the_drawing_shows_nothing_else() -> None:
    assert set(DRAWN) == {kind.__name__ for kind in TREE}


def test_every_error_has_a_code_of_its_own() -> None:
    assert len({kind.code for kind in TREE}) == len(TREE)


@pytest.mark.parametrize("kind", TREE)
def test_every_error_keeps_the_exit_status_of_its_kind_or_narrows_it(kind: type[HoldfastError]) -> None:
    parent = kind.__mro__[1]
    assert parent in {HoldfastError, Exception} or kind.exit_status == getattr(parent, "exit_status", None)


PARTS = st.fixed_dictionaries(
    {},
    optional={
        "file": st.text(min_size=1, max_size=9),
        "row": st.integers(0, 10**6),
        "column": st.text(min_size=1, max_size=9),
        "value": st.text(max_size=99),
        "hint": st.text(min_size=1, max_size=9),
    },
)


@settings(deadline=None)
@given(PARTS)
def test_the_record_of_an_error_has_every_field_and_survives_json(parts: dict[str, object]) -> None:
    record = FileRefused("wrong", **parts).record("run-1")  # type: ignore[arg-type]
    assert list(record) == ["code", "message", "file", "row", "column", "value_excerpt", "run_id", "hint"]
    assert json.loads(json.dumps(record)) == record
    assert (record["code"], record["message"], record["run_id"]) == ("file-refused", "wrong", "run-1")
    assert (record["file"], record["row"], record["hint"]) == (parts.get("file"), parts.get("row"), parts.get("hint"))


def test_an_error_reads_as_place_message_and_hint() -> None:
    error = FileRefused("no such column", file="march.csv", row=3, column="exited", hint="rename it")
    assert str(error) == "march.csv, line 3, column exited: no such column\nHint: rename it"
    assert str(HoldfastError("wrong")) == "wrong"


@settings(deadline=None)
@given(st.text())
def test_an_excerpt_is_printable_and_short(text: str) -> None:
    assert excerpt(text).isprintable()
    assert len(excerpt(text)) <= EXCERPT_LENGTH


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N"]), max_size=EXCERPT_LENGTH))
def test_a_short_plain_text_is_its_own_excerpt(text: str) -> None:
    assert excerpt(text) == text


def test_half_a_character_can_be_shown() -> None:
    assert excerpt("\udc80") == "\\udc80"


@settings(deadline=None)
@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=5))
def test_the_nearest_is_one_of_the_choices_or_none(word: str, choices: list[str]) -> None:
    assert nearest(word, choices) in {*choices, None}


@pytest.mark.parametrize("word", ["Exited", " exited ", "exitd", "EXITED"])
def test_the_nearest_overlooks_case_blanks_and_a_slip(word: str) -> None:
    assert nearest(word, ["corporation", "exited"]) == "exited"


def test_nothing_is_near_to_something_else() -> None:
    assert nearest("zzz", ["corporation", "exited"]) is None


@pytest.mark.parametrize(
    ("number", "doing", "kind"),
    [
        (errno.EACCES, "read", NotPermitted),
        (errno.EPERM, "write", NotPermitted),
        (errno.ENOSPC, "write", CannotWrite),
        (errno.EDQUOT, "write", CannotWrite),
        (errno.EFBIG, "write", CannotWrite),
        (errno.EROFS, "write", CannotWrite),
        (errno.ENOENT, "write", CannotWrite),
        (errno.ENOENT, "read", InputOutputError),
        (errno.EIO, "write", InputOutputError),
        (errno.EIO, "read", InputOutputError),
    ],
)
def test_an_error_of_the_system_becomes_one_of_ours(number: int, doing: str, kind: type[HoldfastError]) -> None:
    error = from_os_error(OSError(number, "reason"), doing, "finaldata.csv")
    assert type(error) is kind
    assert (error.message, error.file) == (f"cannot {doing}: reason", "finaldata.csv")


def test_an_error_of_the_system_without_words_is_named() -> None:
    assert from_os_error(TimeoutError(), "read", "x").message == "cannot read: TimeoutError"
