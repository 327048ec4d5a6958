"""Refused rows, kept with their place and original text."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import InputOutputError
from holdfast.records import RejectedRow, to_json
from holdfast.store.quarantine import HeldRow, QuarantineWriter, contradictions_beside, held_rows, missing_by_column

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
    assert found == [to_json(rows[0]) | {"kept": False}, to_json(rows[1]) | {"kept": True}]


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


# ---- reading


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
    for question in (lambda: list(held_rows(path)), lambda: missing_by_column([path])):
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
