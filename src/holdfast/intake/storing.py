"""One delivery, read to its end: its good rows into a part of the dataset, the others into a quarantine file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.errors import HoldfastError
from holdfast.intake.named import ids_named_in
from holdfast.records import RejectedRow, SourceFile
from holdfast.render.words import count
from holdfast.schema import Schema
from holdfast.sources.parsed import Delivered, ParsedBatch
from holdfast.store.parts import PartWriter
from holdfast.store.quarantine import KnownTexts, QuarantineWriter
from holdfast.store.tombstones import Tombstones

SHOWN_REJECTS = 20
ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the rows of the delivery with this number go."""

    delivery: int
    part: Path
    quarantine: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Rows that are passed over: those of erased clients, and refused ones whose text was refused before."""

    erased: Tombstones | None = None
    refused_before: KnownTexts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of a delivery's rows: `rows` = `valid` + `quarantined` + `erased` + `repeated`.

    `digest` and `header` are those of `Delivered`; `shown` are the first of the refused rows.
    """

    digest: str
    header: tuple[str, ...]
    rows: int
    valid: int
    quarantined: int
    erased: int
    repeated: int
    unlabelled: int
    notices: tuple[str, ...]
    shown: tuple[RejectedRow, ...]

    def told_in(self, entry: SourceFile) -> SourceFile:
        """The delivery's record with what became of its rows; which of the valid ones are new is not known yet."""
        return replace(
            entry,
            header=self.header,
            rows=self.rows,
            duplicate=self.repeated,
            quarantined=self.quarantined,
            erased=self.erased,
            unlabelled=self.unlabelled,
            notices=self.notices,
        )


def store(
    delivered: Delivered,
    schema: Schema,
    destination: Destination,
    passing: Passing,
    progress: Callable[[int], None],
) -> Stored:
    """Read a delivery and write its rows where they go; `progress` is called with the rows read so far.

    Raises what reading raises; the two files are then of no use.
    """
    rows = _Rows(delivered, schema, passing)
    with QuarantineWriter(destination.quarantine) as quarantine:
        batches = rows.kept(quarantine, progress)
        first = next(batches)
        with PartWriter(destination.part, first.schema, destination.delivery) as part:
            part.add(first)
            for batch in batches:
                part.add(batch)
    if delivered.rows != part.rows + quarantine.rows + rows.erased + rows.repeated:
        accounted = f"{part.rows} + {quarantine.rows} + {rows.erased} + {rows.repeated}"
        raise HoldfastError(f"{delivered.rows} rows read, {accounted} accounted for", file=delivered.name)
    return Stored(
        digest=delivered.digest,
        header=delivered.header,
        rows=delivered.rows,
        valid=part.rows,
        quarantined=quarantine.rows,
        erased=rows.erased,
        repeated=rows.repeated,
        unlabelled=rows.unlabelled,
        notices=(*delivered.notices, *rows.notices()),
        shown=tuple(rows.shown),
    )


def is_of_erased(text: str | None, header: Sequence[str], client: str, erased: Tombstones) -> bool:
    """True if a refused row is that of a client who was erased; `client` is the column of ids in the `header`.

    Who that may be, `ids_named_in` tells.
    """
    return bool(are_of_erased([text], header, client, erased)[0])


def are_of_erased(
    texts: Sequence[str | None], header: Sequence[str], client: str, erased: Tombstones
) -> NDArray[np.bool_]:
    """The same for many rows (n,): the ids of some thousand rows are looked up at once."""
    theirs = np.zeros(len(texts), dtype=bool)
    for first in range(0, len(texts), ROWS_AT_ONCE):
        named = [ids_named_in(text, header, client) for text in texts[first : first + ROWS_AT_ONCE]]
        rows = np.repeat(np.arange(len(named)), [len(ids) for ids in named]) + first
        theirs[rows[erased.mask(pa.array([each for ids in named for each in ids], pa.string()))]] = True
    return theirs


class _Rows:
    """The rows of a delivery as they pass, and what is counted on the way."""

    def __init__(self, delivered: Delivered, schema: Schema, passing: Passing) -> None:
        self._delivered = delivered
        self._schema = schema
        self._passing = passing
        self._strange_labels = 0
        self._first_strange: RejectedRow | None = None
        self._decomposed = 0
        self.erased = 0
        self.repeated = 0
        self.unlabelled = 0
        self.shown: list[RejectedRow] = []

    def kept(self, quarantine: QuarantineWriter, progress: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """The good rows, a batch at a time; the others go to `quarantine` as they pass."""
        for parsed in self._delivered:
            known = self._of_others(parsed.rejected)
            self.erased += len(parsed.rejected) - len(known)
            rejected = self._new(known)
            self.repeated += len(known) - len(rejected)
            quarantine.add(rejected)
            quarantine.add(self._new(self._of_others(parsed.unlabelled)), kept=True)
            self.shown += rejected[: SHOWN_REJECTS - len(self.shown)]
            self._strange_labels += len(parsed.unlabelled)
            self._first_strange = self._first_strange or next(iter(parsed.unlabelled), None)
            batch = self._without_erased(parsed)
            self.unlabelled += batch.column(self._schema.target.name).null_count
            self._decomposed += decomposed(batch.column(self._schema.client.name))
            progress(self._delivered.rows)
            yield batch

    def _of_others(self, refused: tuple[RejectedRow, ...]) -> tuple[RejectedRow, ...]:
        """Refused rows but for those of erased clients."""
        erased, client = self._passing.erased, self._schema.client.name
        if erased is None or not refused:
            return refused
        theirs = are_of_erased([row.text for row in refused], self._delivered.header, client, erased)
        return tuple(row for row, gone in zip(refused, theirs, strict=True) if not gone)

    def _new(self, rejected: tuple[RejectedRow, ...]) -> tuple[RejectedRow, ...]:
        before = self._passing.refused_before
        if before is None or not rejected:
            return rejected
        known = before.mask([row.text for row in rejected])
        return tuple(row for row, again in zip(rejected, known, strict=True) if not again)

    def _without_erased(self, parsed: ParsedBatch) -> pa.RecordBatch:
        if self._passing.erased is None:
            return parsed.rows
        mask = self._passing.erased.mask(parsed.rows.column(self._schema.client.name))
        gone = int(np.count_nonzero(mask))
        self.erased += gone
        return parsed.rows.filter(pa.array(~mask)) if gone else parsed.rows

    def notices(self) -> Iterator[str]:
        """What the reader of the record should know of the rows that were taken."""
        name = self._delivered.name
        if self._delivered.rows == 0:
            yield f"{name}: a header and no rows"
        if first := self._first_strange:
            labels = count(self._strange_labels, "label is", "labels are")
            yield f"{name}: {labels} {first.rule}, from line {first.line} on; rows like that are kept without a label"
        if self._decomposed:
            yield notice_of_decomposed(name, self._decomposed)
        if self.erased:
            yield f"{name}: {count(self.erased, 'row of an erased client was', 'rows of erased clients were')} left out"


def notice_of_decomposed(name: str, ids: int) -> str:
    """That so many client ids of a file would change under Unicode normal form C."""
    return (
        f"{name}: {count(ids, 'client id is', 'client ids are')} not in Unicode's composed form; they may look like "
        "others that are, and are other clients"
    )


def decomposed(clients: pa.StringArray) -> int:
    """How many ids would change under Unicode normal form C."""
    if clients.nbytes == 0 or pc.all(pc.string_is_ascii(clients)).as_py():
        return 0
    return int(pc.sum(pc.not_equal(pc.utf8_normalize(clients, "NFC"), clients)).as_py() or 0)
