"""Files written whole or not at all, and the workspace's lock."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import Busy, CannotWrite, HoldfastError, InputOutputError
from holdfast.store.files import digest_of, digest_of_file, is_locked, locked, replacing, write_file

HOLD = """
import subprocess, sys, time
from pathlib import Path
from holdfast.store.files import locked
with locked(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(60)
"""


@given(st.binary())
def test_the_digest_of_bytes_is_their_sha256(data: bytes) -> None:
    assert digest_of(data) == hashlib.sha256(data).hexdigest()


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 1_000_000)
    assert digest_of_file(tmp_path / "file") == digest_of(b"abc" * 1_000_000)


def test_a_file_is_written_with_the_folders_above_it(tmp_path: Path) -> None:
    write_file(tmp_path / "new" / "folder" / "file", b"data")
    assert (tmp_path / "new" / "folder" / "file").read_bytes() == b"data"


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def failing() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_what_a_killed_writer_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_bytes(b"left behind")
    write_file(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 73), (errno.EDQUOT, 73), (errno.EIO, 74)])
def test_a_failing_disk_leaves_the_old_file_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, status: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    calls = []

    def failing(*arguments: object) -> None:
        calls.append(arguments)
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(HoldfastError) as caught:
            write_file(path, b"new")
    assert caught.value.exit_status == status
    assert caught.value.file == str(path)
    assert len(calls) == 1, "a failed fsync is not tried again: the kernel may have dropped the page"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_of_a_full_disk_it_is_told_how_far_the_file_got_and_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.csv"

    def too_much() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"x" * 12_345)
            raise OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space left on device")

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=67))
    with pytest.raises(CannotWrite) as caught:
        too_much()
    assert caught.value.file == str(path)
    assert (
        caught.value.message == "cannot write: No space left on device (67 bytes are free there, 12,345 were written)"
    )
    assert caught.value.hint == "free some disk space, then run again"
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_a_known_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((CannotWrite, InputOutputError)) as caught:
        write_file(tmp_path / "file" / "inside", b"")
    assert caught.value.file == str(tmp_path / "file" / "inside")


def test_a_lock_is_held_by_one_at_a_time_and_then_free(tmp_path: Path) -> None:
    lock = tmp_path / "state" / "lock"
    with locked(lock), pytest.raises(Busy, match=f"process {os.getpid()}"), locked(lock):
        pytest.fail("two hold the lock")
    with locked(lock):
        pass


def test_a_lock_is_looked_at_without_taking_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert (is_locked(lock), lock.exists()) == (False, False)
    with locked(lock):
        assert is_locked(lock)
    assert not is_locked(lock)


def test_who_only_looks_at_the_lock_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        pass
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            is_locked(tmp_path / "lock")
            time.sleep(0.001)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(200):
            with locked(tmp_path / "lock"):
                pass
    finally:
        looking.set()
        looker.join()


def test_the_time_of_the_lock_file_is_when_the_lock_was_taken(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        pass
    os.utime(tmp_path / "lock", (0, 0))
    with locked(tmp_path / "lock"):
        assert abs((tmp_path / "lock").stat().st_mtime - time.time()) < 5


def test_killing_the_holder_frees_the_lock_although_its_child_lives_on(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(Busy), locked(lock):
                pytest.fail("two hold the lock")
            holder.kill()
            holder.wait(timeout=10)
            os.kill(child, 0)  # the child is there
            with locked(lock):
                pass
        finally:
            os.kill(child, signal.SIGKILL)
