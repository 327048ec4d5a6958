"""The structured log: one event is one line, and no disk that is full or missing stops the work."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.store import journal as journal_module
from holdfast.store.journal import FILE_NAME, OLD_FILES, Journal

HOSTILE = st.text(st.characters()) | st.sampled_from(["\n{}\n", "\r", "\x1b[2J", "\u2028", "\x00", "%s %d", "\udce9"])
ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from holdfast.store.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
journal = Journal(Path(sys.argv[1]))
for number in range(10):
    journal.write("event", "now", number=number, text="x" * 60)
journal.close()
print("went on")
"""


def lines_in(folder: Path) -> list[dict[str, Any]]:
    content = (folder / FILE_NAME).read_bytes()
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content[:-1].split(b"\n")]


@given(st.lists(st.dictionaries(st.sampled_from(["file", "message", "value"]), HOSTILE), min_size=1, max_size=5))
def test_one_event_is_one_line_whatever_its_values(events: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name))
        for fields in events:
            journal.write("done", "2026-01-31T10:00:00Z", **fields)
        journal.close()
        expected = [{"time": "2026-01-31T10:00:00Z", "event": "done"} | fields for fields in events]
        assert lines_in(Path(name)) == expected
        assert all(line.isascii() and line.isprintable() for line in (Path(name) / FILE_NAME).read_text().splitlines())


def test_a_value_that_has_no_json_form_is_written_as_text(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write("done", "now", path=Path("a"))
    journal.close()
    assert lines_in(tmp_path)[0]["path"] == "a"


def test_later_journals_write_on_below(tmp_path: Path) -> None:
    for number in range(3):
        journal = Journal(tmp_path / "logs")
        journal.write("done", "now", number=number)
        journal.close()
    assert [line["number"] for line in lines_in(tmp_path / "logs")] == [0, 1, 2]


def test_a_journal_that_writes_nothing_makes_nothing(tmp_path: Path) -> None:
    Journal(tmp_path / "logs").close()
    assert not (tmp_path / "logs").exists()


def test_old_lines_make_room_for_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LARGEST_FILE", 1000)
    journal = Journal(tmp_path)
    for number in range(200):
        journal.write("done", "now", number=number)
    journal.close()
    assert len(list(tmp_path.iterdir())) == OLD_FILES + 1
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    assert lines_in(tmp_path)[-1]["number"] == 199


def test_a_log_folder_that_is_a_file_costs_one_line_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("")
    journal = Journal(tmp_path / "logs")
    for _ in range(3):
        journal.write("done", "now")
    journal.close()
    assert capsys.readouterr().err.count("\n") == 1


def test_a_full_log_disk_costs_one_line_on_standard_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, tmp_path], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert done.stderr.count("\n") == 1
    assert "cannot write the log" in done.stderr
    assert json.loads((tmp_path / FILE_NAME).read_bytes().split(b"\n")[0])["number"] == 0
