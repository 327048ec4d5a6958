"""Whole files as one table."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from holdfast.errors import FileRefused, InputOutputError
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sources.table import batches_of, empty_table, read_files

HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"


def write(folder: Path, name: str, *rows: str, header: str = HEADER) -> Path:
    (folder / name).write_text(header + "".join(f"{row}\n" for row in rows))
    return folder / name


def test_the_rows_of_all_files_come_in_order(tmp_path: Path) -> None:
    paths = [write(tmp_path, "b.csv", "beta,1,2,3,0", "gamma,1,2,3,"), write(tmp_path, "a.csv", "alpha,4,5,6,1")]
    table = read_files(paths, BRIEF_SCHEMA)
    assert table.rows.column("corporation").to_pylist() == ["beta", "gamma", "alpha"]
    assert table.rows.column_names == list(BRIEF_SCHEMA.names)
    assert table.names == ("b.csv", "a.csv")


def test_rejected_rows_and_notices_of_all_files_are_kept(tmp_path: Path) -> None:
    bad = write(tmp_path, "a.csv", "acme,x,2,3,0", "beta,1,2,3,0")
    noted = write(tmp_path, "b.csv", "note,acme,1,2,-3,1", header="note," + HEADER)
    table = read_files([bad, noted], BRIEF_SCHEMA)
    assert [(row.file, row.line, row.column) for row in table.rejected] == [
        ("a.csv", 2, "lastmonth_activity"),
        ("b.csv", 2, "number_of_employees"),
    ]
    assert table.notices == ("b.csv: 1 column not in the schema is left out: note",)


def test_a_wrong_label_costs_the_row_its_label_alone_and_is_told(tmp_path: Path) -> None:
    table = read_files([write(tmp_path, "a.csv", "acme,1,2,3,9", "beta,1,2,3,1", "gamma,1,2,3,")], BRIEF_SCHEMA)
    assert table.rows.column("exited").to_pylist() == [None, 1, None]
    assert table.rejected == ()
    assert table.notices == ("a.csv: 1 label is not 0 or 1, which counts as missing",)


def test_the_digest_of_one_file_is_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "acme,1,2,3,0")
    assert read_files([path], BRIEF_SCHEMA).digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_digest_of_two_files_is_of_both(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a.csv", "acme,1,2,3,0"), write(tmp_path, "b.csv", "acme,1,2,3,0")
    third = write(tmp_path, "c.csv", "acme,1,2,3,1")
    digests = {read_files(pair, BRIEF_SCHEMA).digest for pair in ([first, second], [first, third], [first])}
    assert len(digests) == 3


def test_no_files_are_no_rows_of_the_schema() -> None:
    table = read_files([], BRIEF_SCHEMA)
    assert table.rows.equals(empty_table(BRIEF_SCHEMA))
    assert table.rows.num_rows == 0


def test_an_empty_table_has_the_types_of_a_read_one(tmp_path: Path) -> None:
    assert (
        read_files([write(tmp_path, "a.csv", "acme,1,2,3,0")], BRIEF_SCHEMA).rows.schema
        == empty_table(BRIEF_SCHEMA).schema
    )


def test_a_refused_file_is_raised(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"a\.csv: the file is empty"):
        read_files([write(tmp_path, "a.csv", header="")], BRIEF_SCHEMA)


def test_a_vanished_file_is_raised(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="No such file"):
        read_files([tmp_path / "a.csv"], BRIEF_SCHEMA)


def test_one_file_comes_in_batches_with_line_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "acme,1,2,3,0", "bad", "beta,1,2,3,0")
    (batch,) = batches_of(path, BRIEF_SCHEMA)
    assert batch.column("_line").to_pylist() == [2, 4]
