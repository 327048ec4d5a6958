"""One client taken out of quarantined rows, of the texts of the ledger and its copies, and of the logs of tables."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.erasing.work import MARK, Work
from holdfast.sources.repaired import fields_of
from holdfast.store.deltatable import LOG, RECORD
from holdfast.store.scrubbing.databases import text_mentions
from holdfast.store.scrubbing.documents import clean_json
from holdfast.store.scrubbing.kinds import explained, kind_of
from holdfast.store.scrubbing.mention import Erasure
from holdfast.store.scrubbing.rewriting import rewrite

REDACTED = MARK
COLUMNS = frozenset({"file", "line", "column", "rule", "text"})
"""What every file of quarantine has, whatever its version."""
NAMING = frozenset({"file", "rule"})
"""Those that name deliveries."""

Header = tuple[str, ...]


def clean_quarantine(work: Work) -> None:
    """Refused rows of the client, known by their texts."""
    for path in work.places.quarantine:
        if _of_client(work, path):
            work.deliveries.add(_delivery(path) or 0)
        with tempfile.TemporaryDirectory() as folder:
            removed = clean_held(work, path, Path(folder) / "copy" if work.trial else None)
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
    for table in work.tables():
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
    text is, whatever its commas, and mentions the client or does not.
    """
    if not work.mention.occurs_in(text.encode()):
        return text
    header = None if delivery is None else work.headers.get(delivery)
    if header:
        return REDACTED if _belongs(text, work.erasure, header) else text
    cleaned = clean_json(text.encode(), work.erasure)
    if cleaned and not text_mentions(cleaned[0], work.mention):
        return cleaned[0].decode()
    return REDACTED if text_mentions(text.encode(), work.mention) else text


def _of_client(work: Work, path: Path) -> int:
    return sum(not stays for batch in _batches(path) for stays in _staying(work, path, batch))


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
            kept = batch.filter(pa.array(_staying(work, path, batch), pa.bool_()))
            nameless = _nameless(work, kept)
            writer.write_batch(nameless)
            removed += batch.num_rows - kept.num_rows + (0 if nameless.equals(kept) else kept.num_rows)
    return removed


def _nameless(work: Work, rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of others, which a file may hold that is named after the client."""
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


def _staying(work: Work, path: Path, batch: pa.RecordBatch) -> list[bool]:
    header = work.headers.get(_delivery(path) or 0, ())
    return [not _belongs(text, work.erasure, header) for text in batch.column("text").to_pylist()]


def _delivery(path: Path) -> int | None:
    """The number of the delivery whose refused rows a file holds, by its name."""
    number = path.name.partition(".")[0]
    return int(number) if number.isdecimal() else None


def _belongs(text: str, erasure: Erasure, header: Header) -> bool:
    """True if a row is the client's, by the client that it names; where that cannot be told, by any mention."""
    if not erasure.mention.in_text(text):
        return False
    fields = fields_of(text) or []
    if len(fields) == len(header):
        named = {field for field, name in zip(fields, header, strict=True) if name in erasure.columns}
        if any(named):
            return erasure.mention.client in named
    return True
