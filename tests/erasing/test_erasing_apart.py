"""Files of others are read apart: what one of them does to its reader is told of that file, and stops nothing."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.erasing import apart
from holdfast.erasing.apart import WHAT_TO_DO, clean_into, holds_client
from holdfast.erasing.work import Work
from holdfast.errors import InputOutputError, NotPermitted
from holdfast.progress import silent
from holdfast.sources import readers
from holdfast.sources.readers import Child
from holdfast.steps.erasure import plan_erasure
from holdfast.store.scrubbing.kinds import Opaque
from holdfast.store.scrubbing.mention import Mention
from holdfast.workspace import Workspace

GONE = "zorgon-7"


def work_on(workspace: Workspace, client: str = GONE, **limits: int) -> Work:
    """An erasure that asks no ledger for what deliveries are called."""
    limited = replace(workspace, limits=replace(workspace.limits, **limits))
    work = Work(workspace=limited, ledger=cast(Any, None), mention=Mention(client), progress=silent)
    work.headers = {}
    return work


def parquet_bomb(megabytes: int) -> bytes:
    """A file of some kilobytes that unpacks to so much in one page."""
    sink = io.BytesIO()
    table = pa.table(
        {"corporation": ["e1"] * megabytes, "note": pa.array(["x" * (1 << 20)] * megabytes, pa.large_string())}
    )
    pq.write_table(table, sink, compression="zstd", use_dictionary=False, data_page_size=1 << 30)
    return sink.getvalue()


def refusal(work: Work, path: Path) -> Opaque:
    with pytest.raises(Opaque) as caught:
        holds_client(work, path)
    assert (caught.value.file, caught.value.hint) == (str(path), WHAT_TO_DO)
    return caught.value


@pytest.mark.parametrize("text", [f"corporation\n{GONE}\n", "corporation\ne1\n"])
def test_a_file_of_others_is_searched_as_in_this_process(company: Workspace, text: str) -> None:
    path = company.root / "notes.txt"
    path.write_text(text)
    assert holds_client(work_on(company), path) == (GONE in text)


def test_nothing_of_others_is_opened_in_this_process(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path, *_: Any) -> bool:
        raise AssertionError(f"{path} was searched here")

    path = company.root / "notes.txt"
    path.write_text(GONE)
    monkeypatch.setattr(apart, "holds", opened)
    monkeypatch.setattr(apart, "clean", opened)
    work = work_on(company)
    assert holds_client(work, path)
    assert clean_into(work, path, company.root / "new", own=False) is None


def test_a_file_is_cleaned_into_another_that_its_owner_alone_can_read(company: Workspace, tmp_path: Path) -> None:
    path, new = company.input_folder / "a.csv", tmp_path / "new"
    path.write_text(f"corporation,n\n{GONE},1\ne1,2\n")
    assert clean_into(work_on(company), path, new, own=False) == 1
    assert (new.read_text(), new.stat().st_mode & 0o777) == ("corporation,n\ne1,2\n", 0o600)
    assert GONE in path.read_text()


def test_a_link_and_a_folder_hold_nothing(company: Workspace) -> None:
    (company.root / "link").symlink_to(company.root / "config.json")
    assert not holds_client(work_on(company), company.root / "link")
    assert not holds_client(work_on(company), company.input_folder)


def test_a_file_that_takes_more_memory_than_allowed_cannot_be_looked_through(company: Workspace) -> None:
    path = company.input_folder / "bomb.parquet"
    path.write_bytes(parquet_bomb(400))
    error = refusal(work_on(company, memory_bytes=256 << 20), path)
    assert error.message == "not within the limits: reading it took more than 268,435,456 bytes of memory"


def test_a_file_that_takes_more_time_than_allowed_cannot_be_looked_through(company: Workspace) -> None:
    path = company.root / "bomb.gz"
    block = gzip.compress(bytes(100 << 20))
    with path.open("wb") as file:
        for _ in range(40):
            file.write(block)
    error = refusal(work_on(company, seconds=1), path)
    assert error.message.startswith("not within the limits: reading it took more than 1 seconds")


TASKS = """
import os, signal
def mentioned(path, erasure):
    if path.endswith("deadly"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.endswith("confusing"):
        raise IndexError("a table that ends in the middle")
    if path.endswith("copied"):
        os.makedirs(os.path.join(erasure["copies"], "copies-x"))
        os.kill(os.getpid(), signal.SIGSEGV)
    return True
"""


@pytest.fixture
def strange_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading processes with parsers that fail."""
    (tmp_path / "strange_tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(apart, "TASKS", "strange_tasks")
    monkeypatch.setattr(readers, "Child", Child)


@pytest.mark.usefixtures("strange_readers")
def test_a_parser_that_dies_or_fails_over_a_file_stops_nothing(company: Workspace) -> None:
    work = work_on(company)
    for name in ("deadly", "confusing", "copied", "harmless"):
        (company.root / name).write_text("x")
    assert refusal(work, company.root / "deadly").message == (
        "not within the limits: the process that read it died (SIGSEGV)"
    )
    assert refusal(work, company.root / "confusing").message == (
        "not within the limits: IndexError: a table that ends in the middle"
    )
    assert holds_client(work, company.root / "harmless")
    work.readers.end()


@pytest.mark.usefixtures("strange_readers")
def test_the_copies_of_a_parser_that_died_are_removed_at_once(company: Workspace) -> None:
    work = work_on(company)
    (company.root / "copied").write_text("x")
    refusal(work, company.root / "copied")
    assert list(company.state_folder.glob("copies-*")) == []
    work.readers.end()


def test_a_file_that_may_not_be_read_is_that_kind_of_error(company: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = company.root / "notes.txt"
    path.write_text("x")
    monkeypatch.setattr("os.open", refused)
    with pytest.raises(NotPermitted):
        holds_client(work_on(company), path)


def test_what_is_damaged_is_told_as_such(company: Workspace) -> None:
    path = company.root / "damaged.gz"
    path.write_bytes(gzip.compress(b"x" * 1000)[:-10])
    with pytest.raises(InputOutputError, match="cannot be looked through"):
        holds_client(work_on(company), path)


def test_a_bomb_is_left_with_a_reason_and_a_next_step_and_the_rest_goes_on(
    ingested: Workspace, deliver: Callable[..., Path]
) -> None:
    small = replace(ingested, limits=replace(ingested.limits, memory_bytes=256 << 20))
    deliver(small.input_folder, "new.csv", [f"{GONE},1,10,2,1", "e1,2,20,3,0"])
    (small.input_folder / "bomb.parquet").write_bytes(parquet_bomb(400))
    plan = plan_erasure(small, GONE, in_advance=True)
    assert plan.cleaned == {"practicedata/new.csv": 1}
    assert [(each.place, each.reason, each.next) for each in plan.remaining] == [
        (
            "practicedata/bomb.parquet",
            "it could not be read: not within the limits: reading it took more than 268,435,456 bytes of memory",
            WHAT_TO_DO,
        )
    ]
