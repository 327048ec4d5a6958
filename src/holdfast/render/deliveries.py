"""Deliveries in a terminal: what came in, what became of every row, and what to do about those that did not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from holdfast.records import Dataset, DeliveryList, IngestRecord, SourceFile
from holdfast.render.terminal import Lines, Table, notes
from holdfast.render.words import count, plain

SHOWN_DELIVERIES = 12
SHOWN_REFUSALS = 8
SHOWN_REJECTS = 8
ALL_DELIVERIES = "holdfast dataset deliveries --all"


def ingest_lines(record: IngestRecord) -> Lines:
    """What a terminal shows of an ingestion: its deliveries, every trouble, and the dataset that they led to."""
    if record.files or record.known:
        yield _heading(record)
    if record.files:
        yield deliveries_table(record.files, home=record.dataset.source)
    yield from refusals([file for file in record.files if file.status == "refused"])
    yield from _rejected(record)
    yield from pending(record)
    yield from notes(record.notices)
    yield f"{dataset_text(record.dataset)} ({conservation(record)}; {record.seconds:.1f} s)"
    yield from _next(record)


def _heading(record: IngestRecord) -> str:
    if record.files and all(file.repairs for file in record.files):
        return f"from quarantine: rows of {count(len(record.files), 'delivery', 'deliveries')}"
    others = {file.folder: None for file in record.files if file.folder != record.dataset.source}
    sources = plain(", ".join((record.dataset.source, *others)))
    if others:
        new = count(len(record.files), "new delivery", "new deliveries")
        return f"{sources}: {new}, {count(record.known, 'file', 'files')} known already"
    return f"{sources}: {count(len(record.files), 'new file', 'new files')}, {record.known:,} known already"


def delivery_lines(record: DeliveryList, limit: int | None = None) -> Lines:
    """What a terminal shows of everything that was ever delivered to a dataset; of more than `limit` first and last."""
    if not record.deliveries:
        yield f"{plain(record.source)}: nothing has been delivered yet; holdfast ingest takes files in"
        return
    accepted = count(len(record.current), "delivery", "deliveries")
    total = count(len(record.deliveries), "delivery", "deliveries")
    yield f"{plain(record.source)}: {total}; the dataset is made of {accepted}"
    yield deliveries_table(record.deliveries, home=record.source, current=record.current, most=limit)


def deliveries_table(
    files: Sequence[SourceFile],
    *,
    home: str | None = None,
    current: Collection[int] | None = None,
    most: int | None = SHOWN_DELIVERIES,
) -> Table:
    """Deliveries with their counts; with their sources if those are several, `home` among them. Where it is known
    which are `current`, the others are marked.
    """
    several = len({file.folder for file in files} | ({home} if home else set())) > 1
    longest = max((len(str(file.number)) for file in files), default=0)
    headings = ("delivery", "source", "rows", "accepted", "duplicate", "quarantined", "erased", "replacing", "")
    rows = [
        (
            f"{file.number or '':>{longest}} {file.name}",
            file.folder if several else "",
            *(f"{counted:,}" for counted in (file.rows, file.accepted, file.duplicate, file.quarantined)),
            *(f"{counted:,}" if counted else "" for counted in (file.erased, file.replaced)),
            _remark(file, left=current is not None and file.number not in current),
        )
        for file in files
    ]
    return Table(headings, rows, numbers=(2, 3, 4, 5, 6, 7), most=most, rest=ALL_DELIVERIES)


def _remark(file: SourceFile, *, left: bool) -> str:
    """What is not said by the counts."""
    if file.status == "accepted" and left:
        return "left the dataset"
    if file.status == "refused":
        return "refused"
    if file.status == "duplicate":
        return "a copy" if file.watermark is None else "nothing new"
    if file.repairs is not None:
        return f"repairs delivery {file.repairs}"
    return "supersedes an older one" if file.supersedes else ""


def refusals(files: Sequence[SourceFile], most: int | None = SHOWN_REFUSALS) -> Iterator[str]:
    """Why files were refused as a whole, and what to do; of more than `most` the first."""
    for file in files[:most]:
        error = file.error or {}
        place = f" line {error['row']}" if error.get("row") else ""
        number = f" (delivery {file.number})" if file.number else ""
        yield f"refused: {plain(file.name)}{number}{place}: {_explained(error)}"
    if most is not None and len(files) > most:
        others = count(len(files) - most, "more refused file", "more refused files")
        yield f"and {others}: holdfast quarantine list --all"


def _explained(error: Mapping[str, Any]) -> str:
    hint = f" Hint: {error['hint']}" if error.get("hint") else ""
    return plain(f"{str(error.get('message')).removesuffix('.')}.{hint}", 1000)


def _rejected(record: IngestRecord) -> Iterator[str]:
    shown = record.rejected[:SHOWN_REJECTS]
    for row in shown:
        where = f"{plain(row.file)} line {row.line}" + (f", {plain(row.column)}" if row.column else "")
        yield f"quarantined: {where}: {plain(row.rule)}: {plain(row.text, 100)}"
    if record.quarantined > len(shown) > 0:
        others = count(record.quarantined - len(shown), "more quarantined row", "more quarantined rows")
        held = [file.number for file in record.files if file.quarantined]
        yield f"and {others}: holdfast quarantine " + (f"show {held[0]}" if len(held) == 1 else "list")


def pending(record: IngestRecord) -> Iterator[str]:
    """What did not come in this time and is looked for again: files to wait for, sources that did not answer."""
    yield from notes(record.deferred, "waiting")
    for error in record.unreachable:
        yield f"not read: {plain(str(error.get('file')))}: {_explained(error)}"


def dataset_text(data: Dataset) -> str:
    """The size of a dataset, in words."""
    unlabelled = f", {data.unlabelled:,} without a label" if data.unlabelled else ""
    version = "" if data.version is None else f", version {data.version}"
    return f"dataset: {count(data.rows, 'row', 'rows')}, {data.exited:,} exited{unlabelled}{version}"


def conservation(record: IngestRecord) -> str:
    """Where the rows went that were read: nothing is lost."""
    erased = f" + {record.erased:,} erased" if record.erased else ""
    return (
        f"{record.rows:,} read = {record.accepted:,} accepted + {record.duplicate:,} duplicate"
        f" + {record.quarantined:,} quarantined{erased}"
    )


def _next(record: IngestRecord) -> Iterator[str]:
    """Where to see what was refused, if anything was."""
    held = [file.number for file in record.files if file.quarantined]
    if len(held) == 1 and not record.refused:
        yield f"next: holdfast quarantine show {held[0]}, then repair or waive these rows"
    elif held or record.refused:
        yield "next: holdfast quarantine list"
