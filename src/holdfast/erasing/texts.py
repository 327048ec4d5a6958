"""One client taken out of quarantined rows, of the texts of the ledger and its copies, and of the logs of tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.erasing.advance import InAdvance
from holdfast.erasing.work import MARK, Work
from holdfast.errors import printable
from holdfast.intake.named import ids_named_in, told_without
from holdfast.store.copies import folder_for_copies
from holdfast.store.deltatable import LOG, RECORD
from holdfast.store.scrubbing.databases import text_mentions
from holdfast.store.scrubbing.documents import clean_json
from holdfast.store.scrubbing.kinds import explained, kind_of
from holdfast.store.scrubbing.rewriting import rewrite

REDACTED = MARK
EXCERPT_KEY = "value_excerpt"
"""The records of errors have it."""
COLUMNS = frozenset({"file", "line", "column", "rule", "text"})
"""What every file of quarantine has, whatever its version."""
NAMING = frozenset({"file", "rule"})
"""Those that name deliveries."""


def clean_quarantine(work: Work) -> None:
    """Refused rows of the client, known by their texts."""
    for path in work.places.quarantine:
        if _of_client(work, path):
            work.deliveries.add(_delivery(path) or 0)
        with folder_for_copies(work.copies) as folder:
            removed = clean_held(work, path, folder / "copy" if work.trial else None)
        work.count(path, removed)
        if removed and work.trial:
            work.clean.add(path)


def is_quarantine(path: Path) -> bool:
    """True if a file is one of quarantine's, or a copy of one."""
    try:
        with path.open("rb") as stream:
            return kind_of(stream.read(len(b"PAR1"))) == "parquet" and set(pq.read_schema(path).names) >= COLUMNS
    except (OSError, pa.ArrowException):
        return False


def clean_held(work: Work, path: Path, into: Path | None = None) -> int | None:
    """Take the client's rows out of a file of quarantine, or of a copy of one; returns how many there were."""
    return rewrite(path, partial(_clean, work, path), into)


def rows_in_quarantine(work: Work) -> int:
    """How many refused rows of the client there are."""
    return sum(_of_client(work, path) for path in work.places.quarantine)


def clean_ledger(work: Work) -> None:
    """Every text of the ledger but for the repaired rows of others, which may mention the client.

    What is written to the ledger afterwards would lie beside it.
    """
    changed = work.ledger.redact(lambda text, delivery: redacted(work, text, delivery), trial=work.trial)
    work.count(work.workspace.ledger_file, changed)
    work.clean |= work.places.ledger if work.trial else set()


def clean_logs(work: Work) -> None:
    """What the logs of the tables tell of deliveries that are named after the client.

    A log tells of files, and beside that, in a note of ours, of the delivery that each commit was for. Only the note
    is changed: readers of the table have no use for it.
    """
    for table in () if isinstance(work, InAdvance) else work.tables():
        for path in sorted((table.folder / LOG).glob("*.json")):
            lines = [_without_note(work, line) for line in path.read_bytes().splitlines(keepends=True)]
            removed = sum(found for _, found in lines)
            work.count(path, removed)
            if removed and work.trial:
                work.clean.add(path)
            elif removed:
                rewrite(path, partial(_write, b"".join(line for line, _ in lines), removed))


def redacted(work: Work, text: str, delivery: int | None) -> str:
    """A text of the ledger without the client: JSON loses the values, anything else is gone as a whole.

    Only the repaired row of a `delivery`, whose columns are known, is judged by the client that it names. Any other
    text is, whatever its commas, and mentions the client or does not; in advance it stays, but for excerpts of files.
    """
    text = _without_excerpts(work, text) if delivery is None else text
    if not work.mention.occurs_in(text.encode()):
        return text
    header = None if delivery is None else work.headers.get(delivery)
    if isinstance(work, InAdvance) and not header:
        return text
    if header:
        return REDACTED if work.mention.client in ids_named_in(text, header, _client_column(work, header)) else text
    cleaned = clean_json(text.encode(), work.erasure)
    if cleaned and text_mentions(cleaned[0], work.mention):  # in keys; a record stays one, whatever is in it
        return json.dumps(_without_keys(work, json.loads(cleaned[0])))
    if cleaned:
        return cleaned[0].decode()
    return REDACTED if text_mentions(text.encode(), work.mention) else text


def _without_keys(work: Work, told: Any) -> Any:
    if isinstance(told, list):
        return [_without_keys(work, each) for each in told]
    if not isinstance(told, dict):
        return told
    keys = {key: REDACTED if work.mention.in_text(key) else key for key in told}
    return {keys[key]: _without_keys(work, each) for key, each in told.items()}


def _without_excerpts(work: Work, text: str) -> str:
    """JSON whose records of errors tell nothing of the client, nor hold an excerpt that its id may be cut off in."""
    if EXCERPT_KEY not in text:
        return text
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return text
    told = _told(work, record)
    return text if told == record else json.dumps(told)


def _told(work: Work, told: Any) -> Any:
    if isinstance(told, list):
        return [_told(work, each) for each in told]
    if not isinstance(told, dict):
        return told
    if EXCERPT_KEY in told:
        client = work.mention.client
        of = {EXCERPT_KEY: told[EXCERPT_KEY]} if isinstance(work, InAdvance) else told
        return {**told, **told_without(of, {client}.intersection, partial(_may_begin, client))}
    return {key: _told(work, each) for key, each in told.items()}


def _may_begin(client: str, text: str) -> bool:
    """True if the id may be what a text ends with the beginning of."""
    shown = printable(client)
    return any(shown.startswith(text[place:]) for place in range(len(text)) if not text[place - 1 : place].isalnum())


def _of_client(work: Work, path: Path) -> int:
    return sum(_staying(work, path, batch).false_count for batch in _batches(path))


def _without_note(work: Work, line: bytes) -> tuple[bytes, int]:
    """A line of a table's log without the client, and how many values were removed from the note in it."""
    told = json.loads(line) if work.mention.in_bytes(line) else {}
    note = told.get("commitInfo", {}).get(RECORD)
    cleaned = clean_json(note.encode(), work.erasure) if note else None
    if not cleaned or not cleaned[1]:
        return line, 0
    told["commitInfo"][RECORD] = cleaned[0].decode()
    return f"{json.dumps(told, separators=(',', ':'))}\n".encode(), cleaned[1]


def _write(data: bytes, removed: int, new: Path) -> int:
    new.write_bytes(data)
    return removed


def _clean(work: Work, path: Path, new: Path) -> int:
    removed = 0
    with (
        explained(path),
        pq.ParquetFile(path) as file,
        pq.ParquetWriter(new, file.schema_arrow, compression="zstd", write_statistics=False) as writer,
    ):
        for batch in file.iter_batches():
            kept = batch.filter(_staying(work, path, batch))
            nameless = _nameless(work, kept)
            writer.write_batch(nameless)
            removed += batch.num_rows - kept.num_rows + (0 if nameless.equals(kept) else kept.num_rows)
    return removed


def _nameless(work: Work, rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of others, which a file may hold that is named after the client."""
    if isinstance(work, InAdvance):
        return rows
    for name in NAMING.intersection(rows.schema.names):
        texts = rows.column(name).to_pylist()
        cleaned = [REDACTED if text and work.mention.in_text(text) else text for text in texts]
        if cleaned != texts:
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), pa.array(cleaned, rows.schema.field(place).type))
    return rows


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with explained(path), pq.ParquetFile(path) as file:
        yield from file.iter_batches(columns=["text"])


def _staying(work: Work, path: Path, batch: pa.RecordBatch) -> pa.BooleanArray:
    """Which rows are not the client's. Only of texts in which the id's characters occur the fields are looked at."""
    header, mention = work.headers.get(_delivery(path) or 0, ()), work.mention
    texts, column = batch.column("text"), _client_column(work, header)
    occurs = pc.match_substring if mention.is_plain else pc.match_substring_regex
    found = occurs(texts, mention.client if mention.is_plain else mention.spellings)
    staying = np.ones(len(texts), dtype=bool)
    for place in np.flatnonzero(found.fill_null(False).to_numpy(zero_copy_only=False)):
        staying[place] = mention.client not in ids_named_in(texts[int(place)].as_py(), header, column)
    return pa.array(staying)


def _client_column(work: Work, header: Sequence[str]) -> str:
    """The column of ids in a delivery: the schema's; in one of an earlier schema, any other that ids stand in."""
    own = work.workspace.schema.client.name
    return own if own in header else next((name for name in header if name in work.columns), own)


def _delivery(path: Path) -> int | None:
    """The number of the delivery whose refused rows a file holds, by its name."""
    number = path.name.partition(".")[0]
    return int(number) if number.isdecimal() else None
