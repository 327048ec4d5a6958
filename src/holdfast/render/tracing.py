"""Lineage and erasure in a terminal: what comes from where, and the proof that a client is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from holdfast.records import ErasureReceipt, Lineage, TracedAssessment, TracedModel, TracedRow
from holdfast.render.deliveries import SHOWN_DELIVERIES, deliveries_table
from holdfast.render.terminal import Lines, Table, minute, notes, several
from holdfast.render.words import count, plain

SHOWN_ROWS = 20
SHOWN_MODELS = 8
SHOWN_VALUES = 8
SHOWN_PLACES = 12
DIGEST = 12
"""Characters of a digest that tell things apart."""


def lineage_lines(record: Lineage) -> Lines:
    """What a terminal shows of where something comes from, and what came of it."""
    current = sum(row.state == "current" for row in record.rows)
    delivered = several(len(record.rows), "delivered row", "delivered rows", SHOWN_ROWS)
    yield plain(record.subject) + (f": {delivered}; {current:,} current" if record.rows else "")
    if record.rows:
        yield _rows(record.rows)
    yield from _deliveries(record)
    yield from _models(record.models)
    yield from _assessments(record.assessments)
    yield from notes(record.notices)


def _rows(rows: Sequence[TracedRow]) -> Table:
    """Delivered rows; their values in columns, or together where those would be too many."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    in_columns = len(names) <= SHOWN_VALUES
    several_sources = len({row.folder for row in rows}) > 1
    cells = [
        (
            f"{row.delivery}:{row.line}",
            row.file,
            row.folder if several_sources else "",
            minute(row.received),
            _state(row),
            *([_value(row, name) for name in names] if in_columns else [_values(row)]),
        )
        for row in rows
    ]
    headings = ("row", "file", "source", "received (UTC)", "", *(names if in_columns else ["values"]))
    return Table(headings, cells, numbers=tuple(range(5, len(headings))) if in_columns else (), most=SHOWN_ROWS)


def _state(row: TracedRow) -> str:
    if row.state == "replaced" and row.replaced_by is not None:
        return f"replaced by delivery {row.replaced_by}"
    return {"duplicate": "same as before", "conflicting": "contradicts, not taken"}.get(row.state, row.state)


def _value(row: TracedRow, name: str) -> str:
    value = row.values.get(name)
    return "missing" if value is None else value


def _values(row: TracedRow) -> str:
    return ", ".join(f"{name} {_value(row, name)}" for name in row.values)


def _deliveries(record: Lineage) -> Lines:
    files = record.deliveries
    if files:
        folders = {file.folder for file in files}
        source = plain(files[0].folder) if len(folders) == 1 else f"{len(folders)} sources"
        yield ""
        yield several(len(files), f"delivery from {source}", f"deliveries from {source}", SHOWN_DELIVERIES)
        yield deliveries_table(files)


def _models(models: Sequence[TracedModel]) -> Lines:
    yield ""
    if not models:
        yield "no model has learned from it"
        return
    one, many = "model, with the dataset that it learned from", "models, each with the dataset that it learned from"
    yield several(len(models), one, many, SHOWN_MODELS)
    yield _models_table(models)


def _models_table(models: Sequence[TracedModel]) -> Table:
    cells = [
        (
            model.digest[:DIGEST],
            minute(model.created),
            f"{model.rows:,}",
            model.dataset_digest[:DIGEST],
            "" if model.version is None else str(model.version),
            ", ".join(model.releases) or "never deployed",
        )
        for model in models
    ]
    headings = ("model", "trained (UTC)", "rows", "dataset", "version", "releases")
    return Table(headings, cells, numbers=(2, 4), most=SHOWN_MODELS)


def _assessments(assessments: Sequence[TracedAssessment]) -> Lines:
    yield ""
    if not assessments:
        yield "no assessment rests on it"
        return
    one, many = "assessment, with the model that made it", "assessments, each with the model that made it"
    yield several(len(assessments), one, many, SHOWN_MODELS)
    cells = [
        (
            str(each.number),
            minute(each.created),
            each.release,
            each.model[:DIGEST],
            each.dataset_digest[:DIGEST],
            "" if each.version is None else str(each.version),
        )
        for each in assessments
    ]
    headings = ("assessment", "made (UTC)", "release", "model", "dataset", "version")
    yield Table(headings, cells, numbers=(0, 5), most=SHOWN_MODELS)


# ---- erasure


def receipt_lines(record: ErasureReceipt) -> Lines:
    """What a terminal shows of an erasure: the verdict, who, when and why, what went where, and what is left to do."""
    yield _verdict(record)
    yield f"tombstone {plain(record.tombstone)}: it names nobody, and keeps later deliveries from bringing them back"
    yield f"erased {plain(record.erased)} by {plain(record.actor)}: {plain(record.reason, 1000)}"
    rows = count(record.rows, "delivered row", "delivered rows") if record.rows else "no row"
    yield f"the dataset had {rows} of the client"
    yield from _removed(record)
    if record.unreadable_versions:
        versions = spans(record.unreadable_versions)
        yield f"versions of the dataset that can no longer be read, as they held rows of the client: {versions}"
    yield from _learned(record)
    if record.elsewhere:
        places = "; ".join(map(plain, record.elsewhere))
        yield f"not cleaned, as Holdfast only reads there (erase the client there too): {places}"
    yield f"receipt: {plain(record.receipt)} ({record.seconds:.1f} s)"
    yield from _next(record)


def _verdict(record: ErasureReceipt) -> str:
    searched = f"{count(record.files_searched, 'file', 'files')} searched"
    if not record.remaining:
        return f"erased: {searched}, no trace of the client"
    places = ", ".join(plain(place) for place in record.remaining[:SHOWN_PLACES])
    others = len(record.remaining) - SHOWN_PLACES
    more = f" and {count(others, 'other file', 'other files')}" if others > 0 else ""
    return f"NOT ERASED EVERYWHERE: {searched}, STILL FOUND in {places}{more}"


def _removed(record: ErasureReceipt) -> Lines:
    if record.cleaned:
        cells = [(place, f"{removed:,}") for place, removed in record.cleaned.items()]
        yield Table(("removed from", "rows, lines or values"), cells, numbers=(1,), most=SHOWN_PLACES)
    yield from notes(record.deleted, "deleted as a whole")


def spans(numbers: Sequence[int]) -> str:
    """Growing numbers, in words.

    >>> spans((1, 2, 3, 5, 8, 9))
    '1 to 3, 5, 8, 9'
    """
    starts = [numbers[0], *(after for before, after in pairwise(numbers) if after != before + 1)]
    ends = [*(before for before, after in pairwise(numbers) if after != before + 1), numbers[-1]]
    texts = []
    for start, end in zip(starts, ends, strict=True):
        texts += [f"{start} to {end}"] if end > start + 1 else [str(number) for number in range(start, end + 1)]
    return ", ".join(texts)


def _learned(record: ErasureReceipt) -> Lines:
    if not record.models:
        yield "no model has learned from the client"
        return
    serving = "" if record.in_production else "; none of them is in production"
    yield f"{count(len(record.models), 'model has', 'models have')} learned from the client{serving}:"
    yield _models_table(record.models)


def _next(record: ErasureReceipt) -> Iterator[str]:
    if record.remaining:
        yield "next: see to these files, then run the same command again: it finishes what was begun"
    if record.in_production:
        yield (
            f"next: release {plain(record.in_production)} serves a model that learned from the client: "
            "holdfast train, score and deploy replace it"
        )
