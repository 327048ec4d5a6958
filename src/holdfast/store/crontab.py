"""The user's crontab: one marked line per workspace, edited through python-crontab."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import CannotWrite, UsageError
from holdfast.records import Schedule

if TYPE_CHECKING:
    from crontab import CronItem, CronTab

MARK = "holdfast"
UNITS = {"m": ("minutes", 60), "h": ("hours", 24)}
NOT_SCHEDULED = "not scheduled: holdfast schedule install --every 10m runs it by cron"


def install_schedule(root: Path, every: str) -> Schedule:
    """Run the full process of the workspace at `root` every so many minutes or hours ("10m", "2h", "1d").

    Replaces an earlier line of the same workspace. Raises UsageError for an interval that cron cannot keep evenly.
    """
    times = cron_times(every)
    table = _user_crontab()
    _remove(table, root)
    job = table.new(command=cron_command(root), comment=_mark(root))
    job.setall(times)
    _write(table)
    return show_schedule(root)


def show_schedule(root: Path) -> Schedule:
    """The line of the workspace at `root`, if there is one."""
    try:
        found = list(_user_crontab().find_comment(_mark(root)))
    except CannotWrite as error:
        return Schedule(installed=False, every=None, line=None, message=f"not scheduled: {error.message}")
    if not found:
        return Schedule(installed=False, every=None, line=None, message=NOT_SCHEDULED)
    times = str(found[0].slices)
    return Schedule(installed=True, every=times, line=str(found[0]), message=f"cron runs the full process: {times}")


def remove_schedule(root: Path) -> Schedule:
    """Take the workspace's line out of the crontab."""
    table = _user_crontab()
    _remove(table, root)
    _write(table)
    return show_schedule(root)


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
        raise UsageError("cron cannot keep this interval evenly", value=every, hint=hint)
    step = f"*/{number}" if number > 1 else "*"
    return f"{step} * * * *" if unit == "m" else f"0 {step} * * *"


def cron_command(root: Path) -> str:
    """The command, good in an empty environment: absolute interpreter, absolute workspace, output to a log."""
    parts = [sys.executable, "-m", "holdfast", "run", "--quiet", "--workspace", str(root)]
    log = shlex.quote(str(root / "logs" / "cron.log"))
    # Cron reads % as a line end, even inside quotes.
    return f"{shlex.join(parts)} >> {log} 2>&1".replace("%", r"\%")


def _mark(root: Path) -> str:
    return f"{MARK}: {root}"


def _user_crontab() -> CronTab:
    from crontab import CronTab

    try:
        return CronTab(user=True)
    except OSError as error:
        hint = "install cron (Debian: apt-get install cron)"
        raise CannotWrite(f"the crontab cannot be read: {error}", hint=hint) from None


def _remove(table: CronTab, root: Path) -> None:
    jobs: list[CronItem] = list(table.find_comment(_mark(root)))
    for job in jobs:
        table.remove(job)


def _write(table: CronTab) -> None:
    try:
        table.write()
    except OSError as error:
        raise CannotWrite(f"the crontab cannot be written: {error}", hint="is cron installed?") from None
