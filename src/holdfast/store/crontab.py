"""The user's crontab: one marked line per workspace. The lines of others stay as they are, byte for byte."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import CannotWrite, UsageError, excerpt
from holdfast.records import Schedule

if TYPE_CHECKING:
    from crontab import CronItem

MARK = "holdfast"
UNITS = {"m": ("minutes", 60), "h": ("hours", 24)}
NOT_SCHEDULED = "not scheduled: holdfast schedule install --every 10m runs it by cron"
NOTHING_YET = "no crontab for"
PROCESSES = Path("/proc")
DAEMONS = {"cron", "crond", "fcron", "dcron"}
NO_DAEMON = "no cron daemon is seen to run here, and without one nothing happens: start it (Debian: service cron start)"


def install_schedule(root: Path, every: str) -> Schedule:
    """Run the full process of the workspace at `root` every so many minutes or hours ("10m", "2h", "1d").

    Replaces an earlier line of the same workspace. Where no cron daemon runs, the message says so. Raises UsageError
    for an interval that cron cannot keep evenly, or a folder name that no line can hold, CannotWrite when there is no
    crontab to be had.
    """
    job = _job(root, cron_times(every))
    _write([*(line for line in _lines() if not _is_ours(line, root)), job.render()])
    return show_schedule(root)


def show_schedule(root: Path) -> Schedule:
    """The line of the workspace at `root`, if there is one."""
    from crontab import CronTab

    try:
        ours = [line for line in _lines() if _is_ours(line, root)]
    except CannotWrite as error:
        return Schedule(installed=False, every=None, line=None, message=f"not scheduled: {error.message}")
    if not ours:
        return Schedule(installed=False, every=None, line=None, message=NOT_SCHEDULED)
    times = str(CronTab(tab=ours[0])[0].slices)
    runs = f"cron runs the full process: {times}"
    message = runs if _is_daemon_running() else f"cron is to run the full process: {times}; {NO_DAEMON}"
    return Schedule(installed=True, every=times, line=ours[0], message=message)


def remove_schedule(root: Path) -> Schedule:
    """Take the workspace's line out of the crontab."""
    lines = _lines()
    others = [line for line in lines if not _is_ours(line, root)]
    if others != lines:
        _write(others)
    return replace(show_schedule(root), message="removed: not scheduled any more")


def cron_times(every: str) -> str:
    """The five time fields of a crontab line.

    >>> cron_times("10m"), cron_times("2h"), cron_times("1d")
    ('*/10 * * * *', '0 */2 * * *', '0 0 * * *')
    """
    match = re.fullmatch(r"([1-9][0-9]*)([mhd])", every)
    number, unit = (int(match[1]), match[2]) if match else (0, "")
    if unit == "d" and number == 1:
        return "0 0 * * *"
    if unit not in UNITS or UNITS[unit][1] % number or number >= UNITS[unit][1]:
        hint = "minutes that divide an hour (1m 2m 5m 10m 15m 20m 30m), hours that divide a day (1h 2h 6h 12h), or 1d"
        raise UsageError(f"cron cannot keep an interval of '{excerpt(every)}' evenly", value=every, hint=hint)
    step = f"*/{number}" if number > 1 else "*"
    return f"{step} * * * *" if unit == "m" else f"0 {step} * * *"


def cron_command(root: Path) -> str:
    """The command, good in an empty environment: absolute interpreter, absolute workspace, output to a log."""
    parts = [sys.executable, "-m", "holdfast", "run", "--quiet", "--workspace", str(root)]
    logs = root / "logs"
    return f"mkdir -p {shlex.quote(str(logs))}; {shlex.join(parts)} >> {shlex.quote(str(logs / 'cron.log'))} 2>&1"


def _job(root: Path, times: str) -> CronItem:
    """The line, through python-crontab: it escapes %, which cron reads as a line end, even inside quotes."""
    from crontab import CronItem

    if "\n" in str(root):
        raise UsageError("a crontab cannot hold this folder's name", value=str(root), hint="rename the folder")
    job = CronItem(command=cron_command(root), comment=_mark(root))
    job.setall(times)
    return job


def _is_daemon_running() -> bool:
    """False if all processes can be seen and none is a cron daemon."""
    if not (PROCESSES / "1" / "comm").is_file():  # it shows nothing, or only the processes of this user
        return True
    for name in PROCESSES.glob("[0-9]*/comm"):
        with suppress(OSError):  # it has just ended
            if name.read_text("utf-8", "replace").strip() in DAEMONS:
                return True
    return False


def _mark(root: Path) -> str:
    return f"{MARK}: {root}"


def _is_ours(line: str, root: Path) -> bool:
    return line.endswith(f" # {_mark(root)}")


def _lines() -> list[str]:
    """The crontab as it is. (CronTab would reformat the lines of others, and drop those that it does not know.)"""
    done = _crontab("-l")
    if done.returncode and NOTHING_YET not in done.stderr:
        raise CannotWrite(f"the crontab cannot be read: {done.stderr.strip()}")
    return done.stdout.removesuffix("\n").split("\n") if done.stdout else []


def _write(lines: list[str]) -> None:
    done = _crontab("-", text="".join(f"{line}\n" for line in lines))
    if done.returncode:
        raise CannotWrite(f"the crontab cannot be written: {done.stderr.strip()}")


def _crontab(argument: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("crontab")
    if program is None:
        raise CannotWrite("there is no crontab program", hint="install cron (Debian: apt-get install cron)")
    return subprocess.run(
        [program, argument],
        input=text,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
