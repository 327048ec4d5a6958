"""Physical lines, one at a time or as blocks, each counted once."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import FileRefused
from holdfast.sources import lines as lines_module
from holdfast.sources.lines import Lines


@settings(deadline=None)
@given(st.binary(max_size=60).map(lambda data: data.replace(b"\r", b"\n")), st.integers(1, 20), st.data())
def test_lines_and_blocks_together_are_the_file(data: bytes, size: int, choice: st.DataObject) -> None:
    text = data.decode("latin-1").encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", size)
        lines, taken = Lines(io.BytesIO(text), "march.csv", "\n"), b""
        while block := lines.block():
            if choice.draw(st.booleans()):
                lines.take(block, block.count(b"\n") + (not block.endswith(b"\n")))
                taken += block
            else:
                taken += next(lines).encode()
    assert taken == text
    assert lines.count == text.count(b"\n") + (text != b"" and not text.endswith(b"\n"))


def test_a_record_remembers_its_lines() -> None:
    lines = Lines(io.BytesIO(b"a\nb\nc\n"), "march.csv", "\n")
    next(lines)
    lines.start_record()
    assert (next(lines), next(lines)) == ("b\n", "c\n")
    assert (lines.text, lines.first, lines.spanned, lines.count) == ("b\nc\n", 2, 2, 3)


def test_the_end_is_noticed_only_when_a_line_is_asked_for_in_vain() -> None:
    lines = Lines(io.BytesIO(b"a\n"), "march.csv", "\n")
    next(lines)
    assert not lines.exhausted
    assert list(lines) == []
    assert lines.exhausted


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfa\n", b"a\n"])
def test_a_byte_order_mark_is_left_out(data: bytes) -> None:
    assert list(Lines(io.BytesIO(data), "march.csv", "\n")) == ["a\n"]


def test_lines_may_end_in_carriage_returns() -> None:
    assert list(Lines(io.BytesIO(b"a\rb\rc"), "march.csv", "\r")) == ["a\r", "b\r", "c"]


def test_lines_of_one_record_may_not_add_up_to_too_much() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "LONGEST_RECORD", 10)
        lines = Lines(io.BytesIO(b"1234567\n" * 5), "march.csv", "\n")
        for _ in range(2):
            lines.start_record()
            next(lines)
        with pytest.raises(FileRefused, match=r"march\.csv, line 2: a row longer than 10 bytes"):
            next(lines)


def take_all(lines: Lines) -> None:
    """Every line as a record of its own."""
    while lines.block():
        lines.start_record()
        next(lines)


@pytest.mark.parametrize("tail", [b"", b"\nafter\n"])
@pytest.mark.parametrize("size", [5, 1000])
def test_a_line_that_is_too_long_is_refused_by_its_number(tail: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "LONGEST_RECORD", 100)
        patch.setattr(lines_module, "BLOCK", size)
        with pytest.raises(FileRefused, match=r"march\.csv, line 3: a row longer than 100 bytes"):
            take_all(Lines(io.BytesIO(b"a\nb\n" + b"x" * 101 + tail), "march.csv", "\n"))
