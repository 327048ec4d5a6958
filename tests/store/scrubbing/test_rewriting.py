"""A new file takes the place of the one that was read, and of no other."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.store.scrubbing import scrub_file
from holdfast.store.scrubbing.rewriting import ATTEMPTS, Changed, rewrite, take_place, until_unchanged

COLUMNS = frozenset({"corporation"})
OLD = b"corporation,n\nc1,1\nc2,2\n"
TICK = 0.02
"""More than a file system's clock needs to go on."""

NEW = b"corporation,n\nc1,1\nc2,2\nc3,3\n"


def parquet(*clients: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"corporation": clients}), sink)
    return sink.getvalue()


KINDS = {
    "csv": (OLD, NEW),
    "gzip": (gzip.compress(OLD), gzip.compress(NEW)),
    "parquet": (parquet("c1", "c2"), parquet("c1", "c2", "c3")),
}


def renamed_over(path: Path, data: bytes) -> None:
    new = path.with_name("delivered")
    new.write_bytes(data)
    new.replace(path)


def rewritten(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def replaced_by_a_link(path: Path, data: bytes) -> None:
    path.unlink()
    path.with_name("elsewhere").write_bytes(data)
    path.symlink_to("elsewhere")


def same_size_and_time(path: Path, data: bytes) -> None:
    """As `rsync --inplace --times` does it."""
    before = path.stat()
    time.sleep(TICK)
    path.write_bytes(data[: before.st_size])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """`meanwhile(act)`: what somebody else does once the new file is written, before it is in place."""

    def during(act: Callable[[], None]) -> None:
        real = shutil.copystat

        def copystat(*arguments: Path) -> None:
            real(*arguments)
            act()

        monkeypatch.setattr(shutil, "copystat", copystat)

    return during


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [renamed_over, rewritten])
def test_a_file_that_others_bring_while_the_old_one_is_cleaned_stays(
    tmp_path: Path,
    meanwhile: Callable[[Callable[[], None]], None],
    kind: str,
    change: Callable[[Path, bytes], None],
) -> None:
    path, (old, new) = tmp_path / "file", KINDS[kind]
    path.write_bytes(old)
    meanwhile(lambda: change(path, new))
    with pytest.raises(Changed) as caught:
        scrub_file(path, "c1", COLUMNS)
    assert (caught.value.file, caught.value.hint) == (str(path), "erase again when nobody writes to it")
    assert path.read_bytes() == new
    assert not path.with_name(".file.tmp").exists()


@pytest.mark.parametrize("change", [replaced_by_a_link, same_size_and_time])
def test_any_change_is_seen(
    tmp_path: Path, meanwhile: Callable[[Callable[[], None]], None], change: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    meanwhile(lambda: change(path, b"corporation,n\nc1,1\nc4,2\n"))
    with pytest.raises(Changed):
        scrub_file(path, "c1", COLUMNS)
    assert path.read_bytes() == b"corporation,n\nc1,1\nc4,2\n"


def test_a_file_that_is_deleted_meanwhile_does_not_come_back(
    tmp_path: Path, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    meanwhile(path.unlink)
    with pytest.raises(Changed):
        scrub_file(path, "c1", COLUMNS)
    assert list(tmp_path.iterdir()) == []


def test_what_was_seen_before_the_writing_counts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    seen = path.stat()
    renamed_over(path, NEW)

    def write(new: Path) -> int:
        new.write_bytes(b"cleaned")
        return 1

    with pytest.raises(Changed):
        rewrite(path, write, seen=seen)
    assert path.read_bytes() == NEW
    assert rewrite(path, write) == 1
    assert path.read_bytes() == b"cleaned"


def test_where_nothing_is_removed_no_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    assert take_place(path, lambda new: int(new.exists())) == 0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("changes", range(ATTEMPTS))
def test_it_is_begun_again_when_others_changed_the_file(changes: int) -> None:
    left = iter(range(changes))

    def clean() -> str:
        if next(left, None) is not None:
            raise Changed("once more")
        return "done"

    assert until_unchanged(clean) == "done"


def test_it_is_given_up_when_others_change_it_every_time() -> None:
    tried: list[int] = []

    def clean() -> None:
        tried.append(1)
        raise Changed("once more")

    with pytest.raises(Changed):
        until_unchanged(clean)
    assert len(tried) == ATTEMPTS
