"""Debian's cron daemon really fires the scheduled run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HOLDFAST = (sys.executable, "-m", "holdfast")
CRON = shutil.which("cron", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
LONGEST_WAIT = 150

pytestmark = [
    pytest.mark.skipif(CRON is None, reason="cron is not installed (Debian: apt-get install cron)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="starting the cron daemon needs root"),
]


def holdfast(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HOLDFAST, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def daemon() -> Iterator[None]:
    """A running cron daemon; one that was running before is left running."""
    if subprocess.run(["pgrep", "-x", "cron"], capture_output=True, check=False).returncode == 0:
        yield
        return
    process = subprocess.Popen([str(CRON), "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    yield
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A workspace with data, whose path has a space and a percent sign in it; its crontab line is removed after."""
    folder = tmp_path / "50% of clients"
    assert holdfast("init", str(folder)).returncode == 0
    for name in ("practicedata", "sourcedata", "testdata"):
        (folder / name).rmdir()
    assert holdfast("demo-data", str(folder), "--rows", "500").returncode == 0
    yield folder
    holdfast("schedule", "remove", "--workspace", str(folder))


@pytest.mark.usefixtures("daemon")
def test_cron_runs_the_full_process_in_its_empty_environment(workspace: Path) -> None:
    installed = holdfast("schedule", "install", "--every", "1m", "--workspace", str(workspace))
    assert installed.returncode == 0, installed.stderr
    assert sys.executable in holdfast("schedule", "show", "--workspace", str(workspace)).stdout
    deadline = time.monotonic() + LONGEST_WAIT
    report = workspace / "practicemodels" / "report.html"
    while not report.exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    log = workspace / "logs" / "cron.log"
    assert report.exists(), log.read_text() if log.exists() else "cron never ran the line"
    assert (workspace / "production_deployment" / "trainedmodel.pkl").exists()
    assert log.read_text() == ""
    removed = holdfast("schedule", "remove", "--workspace", str(workspace))
    assert "not scheduled" in removed.stdout
