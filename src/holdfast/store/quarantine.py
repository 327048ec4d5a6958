"""Refused rows, kept with their place and original text: Parquet files, one or two per delivery."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from holdfast.errors import InputOutputError
from holdfast.records import RejectedRow
from holdfast.store.scrubbing.rewriting import rewrite

COLUMNS = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("rule", pa.string()),
        ("text", pa.string()),
        ("kept", pa.bool_()),
    ]
)
DIGEST = pa.field("digest", pa.binary(16))
"""Of a text that was let go, so that it is known again: the beginning of its SHA-256."""
STORED = COLUMNS.append(DIGEST)
BATCH_ROWS = 10_000
COMPRESSION = "zstd"


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row in quarantine; `kept` rows were taken without the cell in question."""

    row: RejectedRow
    kept: bool


class QuarantineWriter:
    """Writes refused rows as they come, so that memory does not grow with them; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._writer = _writer(path)
        self._waiting: list[HeldRow] = []
        self.rows = 0

    def __enter__(self) -> QuarantineWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._write(len(self._waiting))
        finally:
            self._writer.close()

    def add(self, rejected: Sequence[RejectedRow], *, kept: bool = False) -> None:
        """Keep some refused rows; or, `kept`, rows that were taken without a cell, which are not counted."""
        self._waiting += [HeldRow(row, kept) for row in rejected]
        self.rows += 0 if kept else len(rejected)
        self._write(len(self._waiting) // BATCH_ROWS * BATCH_ROWS)

    def _write(self, rows: int) -> None:
        """Write the first rows that wait. They are written many at a time: each time costs a row group."""
        for start in range(0, rows, BATCH_ROWS):
            held = self._waiting[start : start + BATCH_ROWS]
            columns = [[getattr(each.row, name) for each in held] for name in COLUMNS.names[:-1]]
            arrays = zip([*columns, [each.kept for each in held]], COLUMNS.types, strict=True)
            digests = pa.nulls(len(held), DIGEST.type)
            batch = pa.RecordBatch.from_arrays([*(pa.array(*each) for each in arrays), digests], schema=STORED)
            self._writer.write_batch(batch)
        del self._waiting[:rows]


def contradictions_beside(path: Path) -> Path:
    """Where the rows of a delivery are kept that contradict earlier ones: beside its other refused rows."""
    return path.with_suffix(".conflicts.parquet")


def held_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows that the quarantine file at `path` and the one beside it hold, as COLUMNS; none where there is no file.

    Batches are small, so memory does not grow with the rows.
    """
    if path.is_file():
        yield from _batches(path, COLUMNS.names)
    yield from contradicting_batches(path)


def contradicting_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows that contradict earlier ones, of those that `held_batches` gives."""
    if (beside := contradictions_beside(path)).is_file():
        yield from _batches(beside, COLUMNS.names)


def held_rows(path: Path) -> Iterator[HeldRow]:
    """The same, row by row."""
    for batch in held_batches(path):
        for file, line, column, rule, text, kept in zip(*(each.to_pylist() for each in batch.columns), strict=True):
            yield HeldRow(RejectedRow(file=file, line=line, column=column, rule=rule, text=text), kept)


def held_count(path: Path) -> int:
    """How many rows they are."""
    count = 0
    for file in (path, contradictions_beside(path)):
        if file.is_file():
            with _explained(file):
                count += pq.read_metadata(file).num_rows
    return count


class KnownTexts:
    """Texts that are known again by their digests of 16 bytes, which are all that is kept of them in memory."""

    def __init__(self, digests: Iterable[Sequence[bytes]]) -> None:
        together = bytearray()
        for some in digests:
            together += b"".join(some)
        self._digests = _sortable(together)
        self._digests.sort()

    @classmethod
    def of(cls, texts: Sequence[str]) -> KnownTexts:
        """So many texts, known."""
        return cls([_digests(texts)])

    def mask(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Which of some texts (n,) are known."""
        found = _sortable(b"".join(_digests(texts)))
        if not len(self._digests):
            return np.zeros(len(found), dtype=bool)
        places = np.searchsorted(self._digests, found)
        known: NDArray[np.bool_] = self._digests[np.minimum(places, len(self._digests) - 1)] == found
        return known


def known_texts(paths: Iterable[Path]) -> KnownTexts:
    """The texts that the quarantine files at `paths` and those beside them hold, or held before they were let go."""

    def digests() -> Iterator[Sequence[bytes]]:
        for path in paths:
            for file in (path, contradictions_beside(path)):
                for batch in _batches(file, ["text", DIGEST.name]) if file.is_file() else ():
                    let_go = batch.column(DIGEST.name)
                    yield _digests(batch.column("text").filter(let_go.is_null()).to_pylist())
                    yield let_go.drop_null().to_pylist()

    return KnownTexts(digests())


def _digests(texts: Sequence[str | None]) -> list[bytes]:
    return [hashlib.sha256((text or "").encode()).digest()[: DIGEST.type.byte_width] for text in texts]


def _sortable(digests: bytes | bytearray) -> NDArray[np.bytes_]:
    return np.frombuffer(digests, f"S{DIGEST.type.byte_width}")


def missing_by_column(paths: Sequence[Path]) -> dict[str, int]:
    """How many rows of these quarantine files were refused because a column was empty."""
    counts: Counter[str] = Counter()
    for path in paths:
        for batch in _batches(path, ["column", "rule"]):
            missing = batch.filter(pc.equal(batch.column("rule"), "missing")).column("column")
            counts.update(counted(missing))
    return dict(counts)


def counted(texts: pa.StringArray) -> dict[str, int]:
    """How often each text is there."""
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(texts).to_pylist()}


def replace_texts(path: Path, which: Callable[[pa.RecordBatch], pa.BooleanArray], text: str) -> int:
    """Give the rows that `which` picks from each batch another text, in both files; returns how many were changed.

    A file without such rows is untouched; a new one takes its place in one step.
    """
    return sum(_replace_texts(file, which, text) for file in (path, contradictions_beside(path)) if file.is_file())


def _replace_texts(file: Path, which: Callable[[pa.RecordBatch], pa.BooleanArray], text: str) -> int:
    place, beside = (STORED.get_field_index(name) for name in ("text", DIGEST.name))

    def write(new: Path) -> int:
        changed = 0
        with _writer(new) as writer:
            for batch in _batches(file, STORED.names):
                old = batch.column(place)
                chosen = pc.fill_null(pc.and_(which(batch), pc.not_equal(old, text)), False)
                changed += chosen.true_count
                texts = pc.if_else(chosen, pa.scalar(text), old)
                let_go = pa.array(_digests(old.filter(chosen).to_pylist()), DIGEST.type)
                digests = pc.replace_with_mask(batch.column(beside), chosen, let_go)
                written = batch.set_column(place, STORED.field(place), texts)
                writer.write_batch(written.set_column(beside, DIGEST, digests))
        return changed

    return rewrite(file, write) or 0


def drop_rows(file: Path, which: Callable[[pa.RecordBatch], pa.BooleanArray]) -> int:
    """Take the rows that `which` picks from each batch out of one file; returns how many there were.

    A file without such rows is untouched; a new one takes its place in one step.
    """

    def write(new: Path) -> int:
        gone = 0
        with _writer(new) as writer:
            for batch in _batches(file, STORED.names):
                chosen = which(batch)
                gone += chosen.true_count
                writer.write_batch(batch.filter(pc.invert(chosen)))
        return gone

    return rewrite(file, write) or 0


def _writer(path: Path) -> pq.ParquetWriter:
    # Without statistics: they would keep texts of rows that were erased.
    return pq.ParquetWriter(path, STORED, compression=COMPRESSION, write_statistics=False)


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with _explained(path), pq.ParquetFile(path) as file:
        found = [name for name in columns if name in file.schema_arrow.names]
        wanted = pa.schema([STORED.field(name) for name in columns])
        for read in file.iter_batches(batch_size=BATCH_ROWS, columns=found, use_threads=False):
            read.validate(full=True)  # a damaged text is found here, where it can be explained
            batch = read
            for name in columns if len(found) < len(columns) else ():  # earlier versions of Holdfast had fewer
                if name not in found:
                    lacking = pa.scalar(False if name == "kept" else None, STORED.field(name).type)
                    batch = batch.append_column(name, pa.repeat(lacking, read.num_rows))
            yield batch.select(list(columns)).cast(wanted)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, ValueError, TypeError, KeyError) as error:  # the last three: of its entries
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        hint = "restore this file from a backup, or remove it: only refused rows are in it"
        raise InputOutputError(f"the refused rows cannot be read: {reason}", file=str(path), hint=hint) from error
