"""The crontab: one line per workspace, and not a byte of anyone else's lines changed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from crontab import CronTab

from holdfast.errors import CannotWrite, UsageError
from holdfast.store import crontab
from holdfast.store.crontab import cron_command, cron_times, install_schedule, remove_schedule, show_schedule

OTHERS = """\
# my jobs
MAILTO=
FOO = bar
PATH="/a b:/bin"

0 5 * * 1 tar -zcf "/var/back%s" /home # weekly\x20
~5 * * * * not for python-crontab
@reboot echo hi
"""
PROGRAM = """\
#!/bin/sh
case "$1" in
  -l) if [ -f {table} ]; then cat {table}; else echo "no crontab for me" >&2; exit 1; fi ;;
  -) cat > {table} ;;
  *) exit 9 ;;
esac
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a stand-in for the program `crontab` keeps the user's table."""
    folder = tmp_path / "bin"
    folder.mkdir()
    table = tmp_path / "table"
    (folder / "crontab").write_text(PROGRAM.format(table=table))
    (folder / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return table


ROOT = Path("/srv/company")


def test_a_first_line_makes_a_crontab(table: Path) -> None:
    schedule = install_schedule(ROOT, "10m")
    assert (schedule.installed, schedule.every) == (True, "*/10 * * * *")
    assert table.read_text() == f"*/10 * * * * {cron_command(ROOT)} # holdfast: /srv/company\n"
    assert schedule.line == table.read_text().rstrip("\n")


def test_the_lines_of_others_stay_as_they_are(table: Path) -> None:
    table.write_text(OTHERS)
    install_schedule(ROOT, "10m")
    assert table.read_text().startswith(OTHERS)
    remove_schedule(ROOT)
    assert table.read_text() == OTHERS


def test_bytes_that_are_not_utf8_stay_as_they_are(table: Path) -> None:
    table.write_bytes(b"# caf\xe9\n")
    install_schedule(ROOT, "10m")
    remove_schedule(ROOT)
    assert table.read_bytes() == b"# caf\xe9\n"


def test_installing_again_replaces_the_line(table: Path) -> None:
    install_schedule(ROOT, "10m")
    assert install_schedule(ROOT, "2h").every == "0 */2 * * *"
    assert len(table.read_text().splitlines()) == 1


def test_each_workspace_has_a_line_of_its_own(table: Path) -> None:
    install_schedule(ROOT, "10m")
    install_schedule(ROOT / "sub", "5m")
    install_schedule(Path("/other/srv/company"), "1h")
    remove_schedule(ROOT / "sub")
    assert show_schedule(ROOT).every == "*/10 * * * *"
    assert show_schedule(ROOT / "sub").installed is False
    assert len(table.read_text().splitlines()) == 2


def test_a_workspace_without_a_line_is_told_how_to_get_one(table: Path) -> None:
    schedule = show_schedule(ROOT)
    assert (schedule.installed, schedule.every, schedule.line) == (False, None, None)
    assert "holdfast schedule install" in schedule.message
    assert not table.exists()


@pytest.mark.usefixtures("table")
def test_removing_where_there_is_nothing_is_fine() -> None:
    assert remove_schedule(ROOT).installed is False


@pytest.mark.parametrize("name", ["my co", "100% & more", "it's", "a #b", "ünï", 'quo"te', "$HOME", "-rf", "`x`"])
def test_a_line_that_cron_reads_runs_in_the_folder_meant(table: Path, tmp_path: Path, name: str) -> None:
    """The line as cron hands it to the shell, with a program that prints its arguments in Holdfast's place."""
    root = tmp_path / name
    root.mkdir()
    install_schedule(root, "10m")
    command = table.read_text().rstrip("\n").split(None, 5)[5].split(" # holdfast: ")[0]
    # man 5 crontab: a percent sign not escaped with a backslash ends the command; \% stands for a percent sign.
    assert "%" not in command.replace("\\%", "")
    shown = command.replace("\\%", "%").replace(f"{shlex.quote(sys.executable)} -m holdfast", "printf '%s\\n'")
    subprocess.run(["/bin/sh", "-c", shown], check=True, env={}, cwd="/")
    log = (root / "logs" / "cron.log").read_text()
    assert log == f"run\n--quiet\n--workspace\n{root}\n"
    assert show_schedule(root).installed


@pytest.mark.usefixtures("table")
def test_the_command_is_good_in_an_empty_environment() -> None:
    assert Path(sys.executable).is_absolute()
    assert f"; {sys.executable} -m holdfast run --quiet --workspace /srv/company >> " in cron_command(ROOT)


def test_a_folder_name_with_a_line_break_is_refused(table: Path) -> None:
    with pytest.raises(UsageError):
        install_schedule(Path("/srv/a\n* * * * * rm"), "10m")
    assert not table.exists()


@pytest.mark.parametrize(
    ("every", "times"),
    [
        ("1m", "* * * * *"),
        ("5m", "*/5 * * * *"),
        ("30m", "*/30 * * * *"),
        ("1h", "0 * * * *"),
        ("12h", "0 */12 * * *"),
        ("1d", "0 0 * * *"),
    ],
)
def test_an_interval_becomes_five_fields_that_mean_it(every: str, times: str) -> None:
    assert cron_times(every) == times
    minutes = int(every[:-1]) * {"m": 1, "h": 60, "d": 1440}[every[-1]]
    job = CronTab(tab=f"{times} true")[0]
    assert job.frequency_per_day() * minutes == 1440


@pytest.mark.parametrize("every", ["7m", "60m", "0m", "24h", "5h", "2d", "10", "m", "", "-5m", "1.5h", "10 m", "٣m"])
def test_an_interval_that_cron_cannot_keep_evenly_is_refused(every: str) -> None:
    with pytest.raises(UsageError) as caught:
        cron_times(every)
    assert caught.value.exit_status == 64


def test_without_the_program_installing_fails_and_showing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotWrite, match="install cron"):
        install_schedule(ROOT, "10m")
    assert "no crontab program" in show_schedule(ROOT).message


@pytest.mark.usefixtures("table")
def test_a_table_that_cannot_be_read_is_not_written(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "crontab"
    program.write_text("#!/bin/sh\necho 'you are not allowed to use this program' >&2\nexit 1\n")
    with pytest.raises(CannotWrite, match="not allowed"):
        install_schedule(ROOT, "10m")


def test_a_table_that_is_not_accepted_is_told(table: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "crontab"
    program.write_text(program.read_text().replace(f"cat > {table}", "echo 'bad minute' >&2; exit 1"))
    with pytest.raises(CannotWrite, match="bad minute"):
        install_schedule(ROOT, "10m")


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for /proc, with the first process in it."""
    folder = tmp_path / "proc"
    monkeypatch.setattr(crontab, "PROCESSES", folder)
    run(folder, 1, "init")
    return folder


def run(processes: Path, number: int, name: str) -> None:
    (processes / str(number)).mkdir(parents=True)
    (processes / str(number) / "comm").write_text(f"{name}\n")


@pytest.mark.usefixtures("table")
def test_that_no_cron_daemon_runs_is_told_with_the_next_step(processes: Path) -> None:
    run(processes, 17, "cronjob-editor")
    told = install_schedule(ROOT, "10m").message
    assert told.startswith("cron is to run the full process: */10 * * * *; no cron daemon is seen to run here")
    assert "service cron start" in told
    assert show_schedule(ROOT).message == told


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("name", ["cron", "crond"])
def test_a_cron_daemon_that_runs_is_seen(processes: Path, name: str) -> None:
    run(processes, 17, name)
    assert install_schedule(ROOT, "10m").message == "cron runs the full process: */10 * * * *"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("hidden", ["everything", "the processes of others"])
def test_where_processes_cannot_be_seen_nothing_is_said_of_them(processes: Path, hidden: str) -> None:
    shutil.rmtree(processes if hidden == "everything" else processes / "1")
    assert install_schedule(ROOT, "10m").message == "cron runs the full process: */10 * * * *"
