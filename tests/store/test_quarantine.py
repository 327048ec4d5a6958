"""Refused rows, kept with their place and original text."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import InputOutputError
from holdfast.records import RejectedRow, to_json
from holdfast.store import quarantine as module
from holdfast.store.quarantine import (
    BATCH_ROWS,
    HeldRow,
    KnownTexts,
    QuarantineWriter,
    contradictions_beside,
    held_batches,
    held_count,
    held_rows,
    known_texts,
    missing_by_column,
    replace_texts,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
ROWS = st.lists(
    st.builds(
        RejectedRow, file=TEXT, line=st.integers(1, 2**62), column=st.none() | TEXT, rule=TEXT, text=TEXT
    ),
    max_size=5,
)  # fmt: skip
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def row(line: int, column: str | None = "visits", rule: str = "missing", text: str = "a,,1") -> RejectedRow:
    return RejectedRow(file="march.csv", line=line, column=column, rule=rule, text=text)


def write(path: Path, rows: Sequence[RejectedRow] = (), kept: Sequence[RejectedRow] = ()) -> Path:
    """A quarantine file with some rows that were refused and some that were taken without a cell."""
    with QuarantineWriter(path) as quarantine:
        quarantine.add(rows)
        quarantine.add(kept, kept=True)
    return path


# ---- keeping


@SAME_FOLDER
@given(batches=st.lists(st.tuples(ROWS, st.booleans()), max_size=4))
def test_rows_are_kept_in_order_with_their_original_text(
    tmp_path: Path, batches: list[tuple[list[RejectedRow], bool]]
) -> None:
    with QuarantineWriter(tmp_path / "q.parquet") as quarantine:
        for rows, kept in batches:
            quarantine.add(rows, kept=kept)
    assert list(held_rows(tmp_path / "q.parquet")) == [HeldRow(each, kept) for rows, kept in batches for each in rows]
    assert quarantine.rows == sum(len(rows) for rows, kept in batches if not kept)


def test_any_reader_of_parquet_files_can_read_them(tmp_path: Path) -> None:
    rows = [row(2, text='"ä, \x1b[31m"'), row(7, column=None, rule="fields: 3 instead of 5", text="")]
    found = pq.read_table(write(tmp_path / "q.parquet", rows[:1], rows[1:])).to_pylist()
    beside = [{"kept": False, "digest": None}, {"kept": True, "digest": None}]
    assert found == [to_json(each) | more for each, more in zip(rows, beside, strict=True)]


def test_a_file_without_refused_rows_is_an_empty_table(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet")
    assert pq.read_table(path).num_rows == 0
    assert missing_by_column([path]) == {}
    assert list(held_rows(path)) == []


def test_an_error_in_the_middle_closes_the_file(tmp_path: Path) -> None:
    quarantine = QuarantineWriter(tmp_path / "q.parquet")

    def failing() -> None:
        with quarantine:
            quarantine.add([row(2)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert pq.read_table(tmp_path / "q.parquet").num_rows == 1


def test_rows_that_come_one_by_one_are_written_many_at_a_time(tmp_path: Path) -> None:
    with QuarantineWriter(tmp_path / "q.parquet") as quarantine:
        for line in range(BATCH_ROWS + 5):
            quarantine.add([row(line)])
    groups = pq.ParquetFile(tmp_path / "q.parquet").metadata
    assert [groups.row_group(place).num_rows for place in range(groups.num_row_groups)] == [BATCH_ROWS, 5]
    assert quarantine.rows == groups.num_rows


def test_many_rows_at_once_are_written_and_read_in_batches(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet", [row(line) for line in range(2 * BATCH_ROWS + 1)])
    assert [batch.num_rows for batch in held_batches(path)] == [BATCH_ROWS, BATCH_ROWS, 1]


# ---- other texts


def replaced(path: Path, *lines: int) -> int:
    return replace_texts(path, lambda batch: pc.is_in(batch.column("line"), value_set=pa.array(lines)), "gone")


def test_chosen_rows_of_both_files_get_another_text_and_keep_all_else(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet", [row(2), row(3)], [row(4)])
    write(contradictions_beside(path), [row(5), row(6)])
    before = list(held_rows(path))
    assert replaced(path, 3, 4, 6) == 3
    after = list(held_rows(path))
    assert [each.row.text == "gone" for each in after] == [False, True, True, False, True]
    assert [replace(each.row, text="") for each in after] == [replace(each.row, text="") for each in before]
    assert [each.kept for each in after] == [each.kept for each in before]


def test_where_no_text_changes_no_file_is_touched(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet", [row(2)])
    before = path.stat()
    assert replaced(path, 9) == 0
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert replaced(path, 2) == 1
    assert replaced(path, 2) == 0


def test_the_old_text_is_in_no_file_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPRESSION", "none")
    path = write(tmp_path / "q.parquet", [row(2, text="secret")])
    assert b"secret" in path.read_bytes()
    replaced(path, 2)
    assert [file.name for file in tmp_path.iterdir() if b"secret" in file.read_bytes()] == []


# ---- texts that are known again


@given(st.lists(TEXT), st.lists(TEXT))
def test_the_texts_that_are_known_are_those_that_were_given(given_ones: list[str], others: list[str]) -> None:
    known = KnownTexts.of(given_ones)
    assert known.mask(given_ones).all()
    assert known.mask(others).tolist() == [text in set(given_ones) for text in others]


def test_texts_of_several_files_are_known_even_after_they_were_let_go(tmp_path: Path) -> None:
    texts = [f"client {number}" for number in range(600)]  # some digests of so many end with a zero
    path = write(tmp_path / "1.parquet", [row(line, text=text) for line, text in enumerate(texts)])
    other = write(tmp_path / "2.parquet", [row(2, text="b")], [row(3, text="c")])
    write(contradictions_beside(other), [row(4, text="d")])
    replace_texts(path, lambda batch: pc.less(batch.column("line"), 590), "gone")
    replace_texts(path, lambda batch: pc.less(batch.column("line"), 595), "gone")
    known = known_texts([path, other, tmp_path / "none.parquet"])
    assert known.mask([*texts, "b", "c", "d"]).all()
    assert known.mask(["", "a", "client 600"]).tolist() == [False] * 3


def test_a_file_of_an_earlier_version_is_read_and_written_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet", [row(2, text="one"), row(3, text="two")])
    pq.write_table(pq.read_table(path).drop_columns(["kept", "digest"]), path)
    assert known_texts([path]).mask(["one", "two", "three"]).tolist() == [True, True, False]
    assert replaced(path, 2) == 1
    assert known_texts([path]).mask(["one", "two", "three"]).tolist() == [True, True, False]


# ---- reading


def test_rows_are_counted_in_both_files(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet", [row(2), row(3)], [row(4)])
    assert held_count(path) == 3
    write(contradictions_beside(path), [row(9)])
    assert held_count(path) == 4
    assert held_count(tmp_path / "gone.parquet") == 0


def test_rows_that_contradict_earlier_ones_lie_beside_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "000001-abcdef01.parquet", [row(2)])
    write(contradictions_beside(path), [row(9, rule="contradicts line 2")])
    assert contradictions_beside(path) != path
    assert [each.row.line for each in held_rows(path)] == [2, 9]


def test_where_there_is_no_file_there_are_no_rows(tmp_path: Path) -> None:
    assert list(held_rows(tmp_path / "gone.parquet")) == []


def test_what_the_first_version_of_holdfast_kept_can_still_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet", [row(2)])
    pq.write_table(pq.read_table(path).drop_columns(["kept"]), path)
    assert list(held_rows(path)) == [HeldRow(row(2), False)]
    assert missing_by_column([path]) == {"visits": 1}


def test_rows_refused_for_an_empty_cell_are_counted_by_column_over_all_files(tmp_path: Path) -> None:
    rows = [row(2), row(3), row(4, column="staff"), row(5, rule="not a number")]
    paths = [write(tmp_path / name, rows) for name in ("1.parquet", "2.parquet")]
    assert missing_by_column(paths) == {"visits": 4, "staff": 2}


def test_nothing_is_missing_where_there_are_no_files() -> None:
    assert missing_by_column([]) == {}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "q.parquet", [row(2)])
    path.write_bytes(path.read_bytes()[:-4])
    for question in (lambda: list(held_rows(path)), lambda: missing_by_column([path]), lambda: held_count(path)):
        with pytest.raises(InputOutputError, match="the refused rows cannot be read:") as caught:
            question()
        assert caught.value.file == str(path)


@SAME_FOLDER
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_changed_byte_gives_rows_or_a_known_error(tmp_path: Path, place: float, change: int) -> None:
    path = write(tmp_path / "q.parquet", [row(2), row(3)])
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= change
    path.write_bytes(content)
    with suppress(InputOutputError):
        list(held_rows(path))
    with suppress(InputOutputError):
        missing_by_column([path])
