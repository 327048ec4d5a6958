"""Physical lines, one at a time or as blocks, each counted once."""

from __future__ import annotations

import errno
import hashlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import FileRefused, InputOutputError
from holdfast.sources import lines as lines_module
from holdfast.sources.lines import Lines
from holdfast.sources.unpacking import Hashed


def lines_of(data: bytes) -> Lines:
    return Lines(Hashed(io.BytesIO(data), "march.csv"), "march.csv")


@settings(deadline=None)
@given(st.binary(max_size=60).map(lambda data: data.replace(b"\r", b"\n")), st.integers(1, 20), st.data())
def test_lines_and_blocks_together_are_the_file(data: bytes, size: int, choice: st.DataObject) -> None:
    text = b"id,x" + data.decode("latin-1").encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", size)
        lines, taken = lines_of(text), b""
        while block := lines.block():
            if choice.draw(st.booleans()):
                lines.take(block, block.count(b"\n") + (not block.endswith(b"\n")))
                taken += block
            else:
                taken += next(lines).encode()
    assert taken == text
    assert lines.count == text.count(b"\n") + (not text.endswith(b"\n"))
    assert lines.digest == hashlib.sha256(text).hexdigest()


def test_a_record_remembers_its_lines() -> None:
    lines = lines_of(b"a\nb\nc\n")
    next(lines)
    lines.start_record()
    assert (next(lines), next(lines)) == ("b\n", "c\n")
    assert (lines.text, lines.first, lines.spanned, lines.count) == ("b\nc\n", 2, 2, 3)


def test_the_end_is_noticed_only_when_a_line_is_asked_for_in_vain() -> None:
    lines = lines_of(b"a\n")
    next(lines)
    assert not lines.exhausted
    assert list(lines) == []
    assert lines.exhausted


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfa\n", b"a\n"])
def test_a_byte_order_mark_is_left_out(data: bytes) -> None:
    assert list(lines_of(data)) == ["a\n"]


def test_lines_may_end_in_carriage_returns() -> None:
    assert list(lines_of(b"a\rb\rc")) == ["a\r", "b\r", "c"]


def test_lines_of_one_record_may_not_add_up_to_too_much() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "LONGEST_RECORD", 10)
        lines = lines_of(b"1234567\n" * 5)
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
            take_all(lines_of(b"a\nb\n" + b"x" * 101 + tail))


# ---- what the bytes are


TABLE = b"corporation,exited\nacme,0\n"


def refusal(data: bytes) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        take_all(lines_of(data))
    assert caught.value.file == "march.csv"
    return caught.value


@pytest.mark.parametrize(
    ("data", "newline", "count", "unfinished"),
    [
        (b"a,b\n1,2\n", "\n", 2, False),
        (b"a,b\n1,2", "\n", 2, True),
        (b"a,b\r\n1,2\r\n", "\n", 2, False),
        (b"a,b\r\n1,2\r", "\n", 2, True),
        (b"a,b\r1,2\r", "\r", 2, False),
        (b"a,b\r1,2", "\r", 2, True),
        (b"a,b", "\n", 1, True),
        (b'a,"b\n"\r1,2\r', "\r", 3, False),
        (b'\r\ra,b\r1,"2\r\n"\r', "\r", 5, False),
        (b'a,"b\r"\n1,2\n', "\n", 2, False),
        (b"a,b\r\r\n1,2\r\r\n", "\n", 2, False),
    ],
)
def test_the_beginning_tells_how_lines_end(data: bytes, newline: str, count: int, unfinished: bool) -> None:
    lines = lines_of(data)
    assert lines.newline == newline
    take_all(lines)
    assert (lines.count, lines.unfinished) == (count, unfinished)


def test_zero_bytes_are_refused() -> None:
    assert str(refusal(b"")) == "march.csv: the file is empty\nHint: the first line has to name the columns"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_wide_text_is_refused_by_name_with_or_without_a_mark(encoding: str) -> None:
    assert "UTF-16" in refusal(TABLE.decode().encode(encoding)).message


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("blocks", [0, 1, 2])
@pytest.mark.parametrize("quoted", ['"ac\nme",0', '"ac\r\nme",0'])
def test_latin_1_is_refused_with_its_line_and_byte(end: str, blocks: int, quoted: str) -> None:
    lines = ["corporation,exited", quoted, "", *["acme,0"] * (1 + blocks * 4096 // 7)]
    before = "".join(line + end for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", 4096)
        error = refusal((before + "Müller,0" + end).encode("latin-1"))
    assert error.row == len(lines) + 2
    assert f"at byte {len(before) + 2}" in error.message
    assert error.value == "b'\\xfc'"


@pytest.mark.parametrize("size", range(len(TABLE), len(TABLE) + 5))
def test_a_character_cut_in_two_by_a_block_is_whole(size: int) -> None:
    text = TABLE + "ä€🦊\n".encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", size)
        assert "".join(lines_of(text)).encode() == text


@pytest.mark.parametrize("character", ["é", "€", "🦊"])
def test_a_character_cut_off_at_the_end_is_refused_with_its_byte(character: str) -> None:
    error = refusal(TABLE + character.encode()[:-1])
    assert error.row == 3
    assert f"at byte {len(TABLE) + 1}" in error.message


class Failing(io.BytesIO):
    """A disk that gives out after the first read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_a_failing_disk_is_an_input_output_error() -> None:
    lines = Lines(Hashed(Failing(TABLE), "march.csv"), "march.csv")
    with pytest.raises(InputOutputError, match="cannot read: Input/output error") as caught:
        take_all(lines)
    assert (caught.value.file, caught.value.exit_status) == ("march.csv", 74)
