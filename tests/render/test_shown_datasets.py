"""What a terminal shows of the dataset's versions, of a copy of one, and of its upkeep."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from holdfast.records import DatasetExport, DatasetHistory, DatasetVersion, Upkeep
from holdfast.render.datasets import SHOWN_VERSIONS, export_lines, history_lines, upkeep_lines
from holdfast.render.terminal import Lines


def shown(lines: Lines, width: int = 160) -> str:
    console = Console(width=width, file=io.StringIO())
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def version(number: int, **changed: Any) -> DatasetVersion:
    usual: dict[str, Any] = {"purpose": "delivery", "delivery": number + 10, "name": f"day{number}.csv", "rows": 1000}
    return DatasetVersion(version=number, committed="2026-06-14T10:20:33Z", **(usual | changed))


def history(*versions: DatasetVersion, readable: tuple[int, ...] | None = None) -> str:
    still = tuple(each.version for each in versions) if readable is None else readable
    return shown(history_lines(DatasetHistory(source="sourcedata", versions=versions, readable=still)))


def test_a_version_is_shown_with_its_moment_its_delivery_and_its_rows() -> None:
    line = history(version(3)).splitlines()[3]
    assert line.split() == ["3", "2026-06-14", "10:20", "delivery", "13", "day3.csv", "1,000"]


def test_a_version_without_a_delivery_says_what_it_was_made_for() -> None:
    text = history(version(3, purpose="compaction", delivery=None, name=None, rows=None))
    assert text.splitlines()[3].split() == ["3", "2026-06-14", "10:20", "compaction"]


def test_versions_that_can_no_longer_be_read_are_marked_and_counted() -> None:
    text = history(version(1), version(2), version(3), readable=(3,))
    assert text.startswith("sourcedata: 3 versions, 2 of which can no longer be read\n")
    assert [line.rstrip().endswith("no longer readable") for line in text.splitlines()[3:6]] == [True, True, False]


def test_the_latest_readable_version_can_be_exported_next() -> None:
    assert history(version(1), version(2)).endswith("next: holdfast dataset export FILE.csv --as-of 2\n")


def test_of_very_many_versions_the_first_and_last_are_shown() -> None:
    text = history(*(version(number) for number in range(5000)))
    assert text.startswith("sourcedata: 5,000 versions, all readable\n")
    assert text.count(".csv") == SHOWN_VERSIONS + 1
    assert "day4999.csv" in text


def test_a_dataset_without_a_version_says_how_to_make_the_first() -> None:
    assert "holdfast ingest makes the first" in history()


def test_an_export_says_where_it_is_and_what_is_in_it() -> None:
    record = DatasetExport(file="/srv/march.csv", version=3, rows=10_000, seconds=0.21)
    assert shown(export_lines(record)) == "wrote /srv/march.csv: 10,000 rows, version 3 (0.2 s)\n"


def test_upkeep_says_what_became_of_the_files() -> None:
    text = shown(upkeep_lines(Upkeep(merged=40, deleted=3, parts=1, version=41)))
    assert text.startswith("merged 40 files, deleted 3 files that no kept version needs\n")
    assert "now in 1 file (version 41)" in text


def test_upkeep_with_nothing_to_do_says_so() -> None:
    text = shown(upkeep_lines(Upkeep(merged=0, deleted=0, parts=2, version=5)))
    assert text == "nothing to do: the dataset is in 2 files (version 5)\n"


def test_names_from_outside_are_no_markup_and_cannot_act_on_the_terminal() -> None:
    nasty = "[bold]\x1b[31m\u202e"
    for text in (
        history(version(1, name=nasty, purpose=nasty)),
        shown(export_lines(DatasetExport(file=nasty, version=1, rows=1, seconds=0))),
    ):
        assert "[bold]" in text
        assert not {"\x1b", "\u202e"} & set(text)
