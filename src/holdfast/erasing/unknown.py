"""Whether a client is known at all, so that a slip of the pen does not keep somebody out."""

from __future__ import annotations

import string
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.erasing.files import what_is_left
from holdfast.erasing.places import is_regular
from holdfast.erasing.remnants import places_mentioning
from holdfast.erasing.texts import rows_in_quarantine
from holdfast.erasing.work import Work
from holdfast.errors import HoldfastError, UsageError, excerpt, nearest
from holdfast.store.scrubbing import Trace

LONGEST_NAME = 200
"""In a longer id nobody looks for a slip of the pen."""
SAMPLE = 10_000
"""So many ids show which characters ids are made of."""


def refuse_unknown(work: Work) -> None:
    """Raises UsageError for an id that occurs nowhere: in no refused row, no file and no name of one.

    Databases are not asked. An id that is a short number has to be a client's, in a table of clients.
    """
    if rows_in_quarantine(work) or any(_is_known_by(work, trace) for trace in _traces(work)):
        return
    close = nearest_client(work)
    meant = f"did you mean '{excerpt(close)}'? " if close else ""
    asked = "databases are not searched; " if work.workspace.databases else ""
    hint = f"{meant}{asked}ids are compared exactly; to keep out a client who may yet be delivered, add --in-advance"
    raise UsageError(f"'{excerpt(work.mention.client)}' occurs nowhere in the workspace: nothing was erased", hint=hint)


def nearest_client(work: Work) -> str | None:
    """A client of the dataset whose id is one slip of the pen from the one that is looked for, if there is one."""
    tables = work.tables() if len(work.mention.client) <= LONGEST_NAME else []
    name = work.workspace.schema.client.name
    found: set[str] = set()
    wanted: pa.Array | None = None
    for part in tables[0].parts() if tables else ():
        with pq.ParquetFile(part.path) as file:
            for batch in file.iter_batches(columns=[name]):
                ids = batch.column(0)
                wanted = wanted if wanted is not None else _slips(work.mention.client, ids)
                found.update(ids.filter(pc.is_in(_plain(ids), wanted)).to_pylist())
    return nearest(work.mention.client, sorted(found))


def _traces(work: Work) -> Iterator[Trace]:
    for place in work.places:
        if place.source is None or place.folder.is_dir():
            yield from places_mentioning(work, place)


def _is_known_by(work: Work, trace: Trace) -> bool:
    """True unless a trace says nothing of a client: a word of the configuration, or a number."""
    if trace.by == "unreadable" or (is_regular(trace.path) and work.places.whose(trace.path) == "kept"):
        return False
    if not work.mention.is_short_number:
        return True
    try:
        return trace.by == "content" and bool(what_is_left(work, trace.path))
    except HoldfastError:
        return False


def _plain(ids: pa.Array) -> pa.Array:
    return pc.utf8_lower(pc.utf8_trim_whitespace(ids))


def _slips(client: str, ids: pa.Array) -> pa.Array:
    """What an id becomes with one character left out, put in, changed, or swapped with the next; and itself."""
    word = client.strip().lower()
    seen = "".join(ids.slice(0, SAMPLE).drop_null().to_pylist()).lower()
    letters = sorted({*string.ascii_lowercase, *string.digits, *"-_. ", *word, *seen})
    splits = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    without = {before + after[1:] for before, after in splits}
    swapped = {before + after[1] + after[0] + after[2:] for before, after in splits if len(after) > 1}
    changed = {before + letter + after[1:] for before, after in splits if after for letter in letters}
    longer = {before + letter + after for before, after in splits for letter in letters}
    return pa.array(sorted(without | swapped | changed | longer), pa.string())
