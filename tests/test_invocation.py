"""Progress on a terminal: rows done, of how many, how fast; and nothing at all where nobody watches."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from holdfast.frontdoor import main
from holdfast.invocation import BAR_WIDTH, MEASURABLE_SECONDS, ProgressBar, Stage


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def test_rows_are_told_with_their_number_and_their_pace() -> None:
    stage = Stage("reading a.csv", 10.0, done=1_250_000, total=10_000_000)
    assert stage.text(12.0) == "reading a.csv  1,250,000 of about 10,000,000 rows  625,000 rows/s"


def test_an_unknown_number_of_rows_is_left_out() -> None:
    assert Stage("reading crm", 10.0, done=500).text(11.0) == "reading crm  500 rows  500 rows/s"


def test_more_rows_than_expected_make_no_nonsense() -> None:
    assert "of about" not in Stage("reading a.csv", 10.0, done=500, total=400).text(11.0)


def test_the_pace_of_the_first_moment_is_not_told() -> None:
    assert "rows/s" not in Stage("reading a.csv", 10.0, done=500).text(10.0 + MEASURABLE_SECONDS / 2)


@pytest.mark.parametrize(("seconds", "shown"), [(0.2, "0:00"), (9.9, "0:09"), (75, "1:15"), (3661, "61:01")])
def test_a_stage_without_a_count_tells_its_time(seconds: float, shown: str) -> None:
    assert Stage("training", 10.0).text(10.0 + seconds) == f"training  {shown}"


def test_a_file_name_cannot_act_on_the_terminal() -> None:
    assert Stage("reading \x1b[2J\u202e.csv", 0.0, done=2).text(0.0) == "reading \\x1b[2J\\u202e.csv  2 rows"


@pytest.mark.parametrize(
    ("what", "done", "goes_on"),
    [
        ("reading a.csv", 600, True),
        ("reading b.csv", 600, True),
        ("reading b.csv", 0, False),
        ("writing finaldata.csv", 600, False),
    ],
)
def test_a_stage_goes_on_while_it_does_the_same_and_gets_further(what: str, done: int, goes_on: bool) -> None:
    stage = Stage("reading a.csv", 10.0, done=500).next(what, done, None, 20.0)
    assert stage.began == (10.0 if goes_on else 20.0)
    assert (stage.what, stage.done) == (what, done)


def drawn(monkeypatch: pytest.MonkeyPatch, columns: int) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    bar = ProgressBar(shown=True)
    bar("reading a.csv", 50, 100)
    console = Console(file=io.StringIO(), width=columns)
    console.print(bar.drawn())
    bar.stop()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_bar_shows_how_much_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    line = drawn(monkeypatch, 100)
    assert "━" in line[:BAR_WIDTH]
    assert "reading a.csv  50 of about 100 rows" in line


def test_a_narrow_terminal_shows_the_words_without_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    line = drawn(monkeypatch, 50)
    assert line.startswith("reading a.csv  50 of about 100 rows")
    assert len(line.splitlines()) == 1


def test_nothing_is_drawn_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar(shown=False)
    bar("reading a.csv", 50, 100)
    bar.stop()
    assert capsys.readouterr() == ("", "")


def test_a_bar_that_never_showed_can_be_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressBar(shown=True).stop()
    assert capsys.readouterr() == ("", "")


# ---- arguments

OTHER = os.fsdecode(b"a\xffb")
"""An argument that is no UTF-8, as Python gives it."""


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["lineage", "client", OTHER], "CLIENT"),
        (["lineage", "model", OTHER], "DIGEST"),
        (["dataset", "export", f"{OTHER}.csv"], "OUT"),
        (["assess", "--out", f"{OTHER}.csv"], "--out"),
        (["init", OTHER], "DIRECTORY"),
        (["demo-data", OTHER], "DIRECTORY"),
        (["status", "--workspace", OTHER], "--workspace"),
        (["deploy", "--reason", OTHER], "--reason"),
        (["erase", OTHER], "CLIENT"),
        (["quarantine", "show", "1", "--out", OTHER], "--out"),
        (["quarantine", "repair", "1:2", "--set", "visits=1", "--set", f"client={OTHER}"], "--set"),
        (["quarantine", "waive", "1", OTHER, "--reason", "x"], "DELIVERY[:LINE]..."),
        (["schema", "infer", "a.csv", "--target", OTHER], "--target"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_an_argument_that_is_no_utf_8_is_a_usage_error_and_changes_nothing(
    arguments: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--json"]) == 64
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["message"].partition(" is not UTF-8 text: ")[0]) == ("usage", name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_name_is_no_utf_8_is_no_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / OTHER).mkdir()
    monkeypatch.chdir(tmp_path / OTHER)
    assert main(["status"]) == 64
    assert "--workspace is not UTF-8 text" in capsys.readouterr().err


def test_a_file_to_be_read_may_have_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"{OTHER}.csv"
    path.write_text("id,visits,churn\n" + "".join(f"c{row},{row},{row % 2}\n" for row in range(9)))
    assert main(["schema", "infer", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == r"a\xffb.csv"


@pytest.mark.parametrize(
    "arguments", [["init", ""], ["demo-data", ""], ["status", "--workspace", ""], ["schema", "infer", ""]]
)
def test_an_empty_path_is_not_this_folder(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 64
    assert "the path is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
