"""Refused rows, kept with their place and original text."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from holdfast.records import RejectedRow, to_json
from holdfast.store.quarantine import QuarantineWriter, missing_by_column


def row(line: int, column: str | None = "visits", rule: str = "missing", text: str = "a,,1") -> RejectedRow:
    return RejectedRow(file="march.csv", line=line, column=column, rule=rule, text=text)


def test_refused_rows_are_kept_in_order_with_their_original_text(tmp_path: Path) -> None:
    rows = [row(2, text='"ä, \x1b[31m"'), row(7, column=None, rule="fields: 3 instead of 5", text="")]
    with QuarantineWriter(tmp_path / "q.parquet") as quarantine:
        quarantine.add(rows[:1])
        quarantine.add([])
        quarantine.add(rows[1:])
    assert quarantine.rows == 2
    assert pq.read_table(tmp_path / "q.parquet").to_pylist() == [to_json(each) for each in rows]


def test_a_file_without_refused_rows_is_an_empty_table(tmp_path: Path) -> None:
    with QuarantineWriter(tmp_path / "q.parquet"):
        pass
    assert pq.read_table(tmp_path / "q.parquet").num_rows == 0
    assert missing_by_column([tmp_path / "q.parquet"]) == {}


def test_rows_refused_for_an_empty_cell_are_counted_by_column_over_all_files(tmp_path: Path) -> None:
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for path in paths:
        with QuarantineWriter(path) as quarantine:
            quarantine.add([row(2), row(3), row(4, column="staff"), row(5, rule="not a number")])
    assert missing_by_column(paths) == {"visits": 4, "staff": 2}


def test_nothing_is_missing_where_there_are_no_files() -> None:
    assert missing_by_column([]) == {}


def test_an_error_in_the_middle_closes_the_file(tmp_path: Path) -> None:
    quarantine = QuarantineWriter(tmp_path / "q.parquet")

    def failing() -> None:
        with quarantine:
            quarantine.add([row(2)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert pq.read_table(tmp_path / "q.parquet").num_rows == 1
