"""The dataset's versions in a terminal: its history, a copy of one, and what keeping it in order did."""

from __future__ import annotations

from holdfast.records import DatasetExport, DatasetHistory, Upkeep
from holdfast.render.terminal import Lines, Table, minute
from holdfast.render.words import count, plain

SHOWN_VERSIONS = 40


def history_lines(record: DatasetHistory) -> Lines:
    """What a terminal shows of the dataset's versions."""
    source = plain(record.source)
    if not record.versions:
        yield f"{source}: the dataset has no version yet; holdfast ingest makes the first"
        return
    lost = len(record.versions) - len(record.readable)
    gone = f", {lost:,} of which can no longer be read" if lost else ", all readable"
    yield f"{source}: {count(len(record.versions), 'version', 'versions')}{gone}"
    readable = set(record.readable)
    rows = [
        (
            str(each.version),
            minute(each.committed),
            each.purpose,
            "" if each.delivery is None else f"{each.delivery} {each.name or ''}",
            "" if each.rows is None else f"{each.rows:,}",
            "" if each.version in readable else "no longer readable",
        )
        for each in record.versions
    ]
    headings = ("version", "committed (UTC)", "purpose", "delivery", "rows delivered", "")
    yield Table(headings, rows, numbers=(0, 4), most=SHOWN_VERSIONS)
    if with_rows := readable - {each.version for each in record.versions if each.delivery is None and each.rows == 0}:
        yield f"next: holdfast dataset export FILE.csv --as-of {max(with_rows)}"


def export_lines(record: DatasetExport) -> Lines:
    """What a terminal shows of a copy of the dataset."""
    version = "" if record.version is None else f", version {record.version}"
    yield f"wrote {plain(record.file)}: {count(record.rows, 'row', 'rows')}{version} ({record.seconds:.1f} s)"


def upkeep_lines(record: Upkeep) -> Lines:
    """What a terminal shows of the dataset's upkeep."""
    files = count(record.parts, "file", "files")
    version = "" if record.version is None else f" (version {record.version})"
    if not record.merged and not record.deleted:
        yield f"nothing to do: the dataset is in {files}{version}"
        return
    deleted = count(record.deleted, "file", "files")
    yield f"merged {count(record.merged, 'file', 'files')}, deleted {deleted} that no kept version needs"
    yield f"the dataset is now in {files}{version}; its rows are the same"
