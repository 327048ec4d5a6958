"""The brief's own file formats."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InputOutputError
from holdfast.records import SourceFile
from holdfast.store.brieffiles import (
    dataset_in,
    deliveries_in,
    final_data_in,
    ingested_files_text,
    read_score,
    score_text,
)
from holdfast.store.files import digest_of

NAMES = st.text(st.characters(blacklist_characters="\0"), min_size=1, max_size=20)


def delivery(name: str, number: int = 1) -> SourceFile:
    return SourceFile(
        number=number,
        name=name,
        folder="sourcedata",
        digest=digest_of(name.encode("utf-8", "surrogatepass")),
        size=10,
        received="2026-01-31T10:00:00Z",
        status="accepted",
        rows=4,
        accepted=3,
        duplicate=1,
    )


@given(st.lists(NAMES, max_size=5))
def test_the_record_is_a_python_list_of_the_names_whatever_they_are(names: list[str]) -> None:
    text = ingested_files_text("d" * 64, "f" * 64, [delivery(name) for name in names])
    assert ast.literal_eval(text) == names
    assert ast.literal_eval(text.encode().decode()) == names


@given(st.lists(NAMES, max_size=5))
def test_the_record_gives_back_dataset_final_data_and_deliveries(names: list[str]) -> None:
    files = [delivery(name) for name in names]
    text = ingested_files_text("d" * 64, "f" * 64, files)
    assert dataset_in(text) == "d" * 64
    assert final_data_in(text) == "f" * 64
    assert deliveries_in(text) == {file.digest for file in files}


def test_the_record_holds_folder_rows_and_time_of_each_delivery() -> None:
    line = ingested_files_text("d" * 64, "f" * 64, [delivery("march.csv")]).splitlines()[-1]
    assert "2026-01-31T10:00:00Z rows=4 accepted=3 folder='sourcedata' name='march.csv'" in line


@pytest.mark.parametrize("text", ["", "['a.csv']\n", "# dataset", "# delivery\n"])
def test_a_record_that_holdfast_did_not_write_names_no_dataset(text: str) -> None:
    assert dataset_in(text) is None
    assert final_data_in(text) is None
    assert deliveries_in(text) == frozenset()


@given(st.floats(0, 1))
def test_a_score_comes_back_to_the_last_bit(score: float) -> None:
    assert float(score_text(score)) == score


@given(st.floats(0, 1))
def test_the_score_file_holds_the_number_alone(score: float) -> None:
    assert score_text(score).strip() == repr(score)


def test_a_score_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "latestscore.txt").write_text(score_text(0.625))
    assert read_score(tmp_path / "latestscore.txt") == 0.625


@pytest.mark.parametrize("content", [b"", b"nan", b"inf", b"-0.1", b"1.01", b"0.5 0.6", b"F1 = 0.5", b"\xff", b"0,5"])
def test_what_is_no_score_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "latestscore.txt").write_bytes(content)
    with pytest.raises(InputOutputError):
        read_score(tmp_path / "latestscore.txt")


def test_a_missing_score_is_refused_with_the_step_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="holdfast score"):
        read_score(tmp_path / "latestscore.txt")
