"""Lineage and erasure in a terminal: what comes from where, and the proof that a client is gone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from holdfast.records import (
    ErasurePlan,
    ErasureReceipt,
    ErasureUndone,
    Lineage,
    Remnant,
    TracedAssessment,
    TracedModel,
    TracedRow,
)
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
    yield f"tombstone {plain(record.tombstone)}: it names nobody; later rows of the client are known by it and left out"
    done = "kept out since" if record.in_advance else "erased"
    yield f"{done} {plain(record.erased)} by {plain(record.actor)}: {plain(record.reason, 1000)}"
    yield from _changed(record, "removed from", "read without the client from now on", "no longer readable")
    yield f"receipt: {plain(record.receipt)} ({record.seconds:.1f} s)"
    if record.remaining:
        yield "next: see to the places above, then run the same command again: it finishes what was begun"
    if record.in_production:
        yield (
            f"next: release {plain(record.in_production)} serves a model that learned from the client: "
            "holdfast train, score and deploy replace it"
        )


def plan_lines(record: ErasurePlan) -> Lines:
    """What a terminal shows of an erasure that was only tried: what would go where, and what would be left."""
    yield "dry run: nothing was changed"
    if record.in_advance:
        yield "the dataset has no row of the client, who would be kept out"
    yield from _changed(
        record, "would be removed from", "would be read without the client", "would no longer be readable"
    )
    if record.remaining:
        yield "next: see to the places above; without --dry-run the rest is erased"


def undone_lines(record: ErasureUndone) -> Lines:
    """What a terminal shows when an erasure was undone: what it does, what it does not, and how rows come back."""
    yield "undone: later deliveries of the client are taken again; rows that were erased did not come back by this"
    yield f"undone {plain(record.undone)} by {plain(record.actor)}: {plain(record.reason, 1000)}"
    yield f"receipt: {plain(record.receipt)} ({record.seconds:.1f} s)"
    yield from notes(record.deliver_again, "next: deliver the original again, this file was cleaned")
    yield from notes(record.read_again, "next: holdfast ingest reads this again")
    if not (record.read_again or record.deliver_again):
        yield "next: deliver the client's rows; no file or table that was taken before had any"


def _changed(record: ErasurePlan, removed: str, read: str, lost: str) -> Lines:
    """What an erasure changed, or would change, and what is left."""
    if record.rows or not record.in_advance:
        rows = count(record.rows, "delivered row", "delivered rows") if record.rows else "no row"
        yield f"the dataset had {rows} of the client"
    if record.cleaned:
        cells = [(place, f"{number:,}") for place, number in record.cleaned.items()]
        yield Table((removed, "rows, lines or values"), cells, numbers=(1,), most=SHOWN_PLACES)
    yield from notes(record.deleted, "deleted as a whole")
    if record.changed_versions:
        yield f"{read}: {_versions(record.changed_versions)}"
    if record.unreadable_versions:
        yield f"{lost}: {_versions(record.unreadable_versions)}"
    yield from _learned(record)
    yield from _remnants([each for each in record.remaining if each.is_found], "still found in")
    yield from _remnants([each for each in record.remaining if not each.is_found], "COULD NOT BE SEARCHED")
    yield from _remnants(record.elsewhere, "belongs to others")
    yield from _remnants(record.mentioned, "the id occurs in")


def _versions(versions: Sequence[int]) -> str:
    return f"{'version' if len(versions) == 1 else 'versions'} {spans(versions)} of the dataset"


def _remnants(places: Sequence[Remnant], heading: str) -> Lines:
    if places:
        cells = [(each.place, each.reason, each.next) for each in places]
        yield Table((heading, "why", "what to do"), cells, most=SHOWN_PLACES)


def _verdict(record: ErasureReceipt) -> str:
    found = sum(each.is_found for each in record.remaining)
    unsearched = len(record.remaining) - found
    searched = f"{count(record.files_searched - unsearched, 'file', 'files')} searched"
    left = [f"STILL FOUND in {count(found, 'place', 'places')}"] if found else []
    left += [f"{count(unsearched, 'place', 'places')} COULD NOT BE SEARCHED"] if unsearched else []
    if record.in_advance:
        left += [f"the id occurs in {count(len(record.mentioned), 'place', 'places')}"] if record.mentioned else []
        told = ", ".join((searched, *left)) + (", see below" if left else "")
        return f"kept out from now on: the dataset has no row of the client; {told}"
    if left:
        verdict = "NOT ERASED EVERYWHERE" if found else "PERHAPS NOT ERASED EVERYWHERE"
        return f"{verdict}: {', '.join((searched, *left))}, see below"
    if record.elsewhere:
        places = f"{count(len(record.elsewhere), 'place', 'places')} of others, see below"
        return f"erased from the workspace: {searched}, no trace of the client is left in it; {places}"
    return f"erased: {searched}, no trace of the client is left"


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


def _learned(record: ErasurePlan) -> Lines:
    if record.unknown:
        yield (
            f"whether release {plain(record.unknown)}, which is in production, learned from the client is not known, "
            "as the ledger was lost since: train and deploy anew"
        )
        yield ""
    if not record.models:
        yield "no model has learned from the client" + (" that the ledger knows" if record.unknown else "")
        return
    not_serving = "; it is not in production" if len(record.models) == 1 else "; none of them is in production"
    serving = "" if record.in_production else not_serving
    yield f"{count(len(record.models), 'model has', 'models have')} learned from the client{serving}:"
    yield _models_table(record.models)
