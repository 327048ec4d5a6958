"""Copies for a moment: gone at the end, swept when their process was killed, left alone while they are in use."""

from __future__ import annotations

import errno
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import CannotWrite
from holdfast.store.copies import folder_for_copies, sweep

KILLED = """
import os, signal, sys
from pathlib import Path
from holdfast.store.copies import folder_for_copies
with folder_for_copies(Path(sys.argv[1])) as folder:
    (folder / "copy").write_text("acme,1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_at_the_end_nothing_is_left(tmp_path: Path) -> None:
    with folder_for_copies(tmp_path / "state") as folder:
        (folder / "copy").write_text("acme,1")
        assert folder.parent == tmp_path / "state"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    with folder_for_copies(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_may_look_at_copies(tmp_path: Path) -> None:
    with folder_for_copies(tmp_path) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.read_text() for path in tmp_path.glob("*/copy")] == ["acme,1"]
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_use_is_not_swept(tmp_path: Path) -> None:
    with folder_for_copies(tmp_path) as folder:
        (folder / "copy").write_text("acme,1")
        sweep(tmp_path)
        assert (folder / "copy").read_text() == "acme,1"


def test_a_link_with_the_name_of_such_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("x")
    (tmp_path / "copies-x").symlink_to("data")
    sweep(tmp_path)
    assert (tmp_path / "data" / "file").read_text() == "x"


def test_of_a_place_that_may_only_be_read_copies_lie_elsewhere(
    tmp_path: Path, read_only: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("state", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    read_only(tmp_path / "state")
    with folder_for_copies(tmp_path / "state") as folder:
        assert folder.parent == tmp_path / "elsewhere"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(CannotWrite) as caught, folder_for_copies(tmp_path):
        pass
    assert caught.value.file == str(tmp_path)
