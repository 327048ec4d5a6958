"""One delivery, read to its end: its good rows into a part of the dataset, the others into a quarantine file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.errors import HoldfastError
from holdfast.records import RejectedRow, SourceFile
from holdfast.schema import Schema
from holdfast.sources.parsed import Delivered, ParsedBatch
from holdfast.sources.repaired import fields_of
from holdfast.store.parts import PartWriter
from holdfast.store.quarantine import QuarantineWriter
from holdfast.store.tombstones import Tombstones

SHOWN_REJECTS = 20


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
    refused_before: frozenset[str] = frozenset()


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


def is_of_erased(text: str, header: Sequence[str], client: str, erased: Tombstones) -> bool:
    """True if a refused row is that of a client who was erased; `client` is the column of ids in the `header`.

    Where its fields cannot be told apart, any of them may be the client's.
    """
    fields = fields_of(text)
    if fields is None or len(fields) != len(header):
        fields = [*(fields or ()), *re.split('[,;"\t\r\n]', text)]
    elif client in header:
        fields = [fields[header.index(client)]]
    return bool(erased.mask(pa.array(fields)).any())


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
            known = tuple(row for row in parsed.rejected if not self._of_erased(row))
            self.erased += len(parsed.rejected) - len(known)
            rejected = self._new(known)
            self.repeated += len(known) - len(rejected)
            quarantine.add(rejected)
            unlabelled = tuple(row for row in parsed.unlabelled if not self._of_erased(row))
            quarantine.add(self._new(unlabelled), kept=True)
            self.shown += rejected[: SHOWN_REJECTS - len(self.shown)]
            self._strange_labels += len(parsed.unlabelled)
            self._first_strange = self._first_strange or next(iter(parsed.unlabelled), None)
            batch = self._without_erased(parsed)
            self.unlabelled += batch.column(self._schema.target.name).null_count
            self._decomposed += decomposed(batch.column(self._schema.client.name))
            progress(self._delivered.rows)
            yield batch

    def _of_erased(self, row: RejectedRow) -> bool:
        erased, client = self._passing.erased, self._schema.client.name
        return erased is not None and is_of_erased(row.text, self._delivered.header, client, erased)

    def _new(self, rejected: tuple[RejectedRow, ...]) -> tuple[RejectedRow, ...]:
        before = self._passing.refused_before
        return tuple(row for row in rejected if row.text not in before) if before else rejected

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
            labels = "1 label is" if self._strange_labels == 1 else f"{self._strange_labels:,} labels are"
            yield f"{name}: {labels} {first.rule}, from line {first.line} on; rows like that are kept without a label"
        if self._decomposed:
            yield notice_of_decomposed(name, self._decomposed)
        if self.erased:
            yield f"{name}: {self.erased} rows of erased clients were left out"


def notice_of_decomposed(name: str, ids: int) -> str:
    """That so many client ids of a file would change under Unicode normal form C."""
    return (
        f"{name}: {ids} client ids are not in Unicode's composed form; they may look like others that are, and are "
        "other clients"
    )


def decomposed(clients: pa.StringArray) -> int:
    """How many ids would change under Unicode normal form C."""
    if clients.nbytes == 0 or pc.all(pc.string_is_ascii(clients)).as_py():
        return 0
    return int(pc.sum(pc.not_equal(pc.utf8_normalize(clients, "NFC"), clients)).as_py() or 0)
