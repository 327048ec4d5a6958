"""The ledger's part on data in custody: what datasets were made of, what was done to refused rows, who was erased."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from holdfast.records import Dataset, QuarantineAct, SourceFile, from_json
from holdfast.store.database import Database, json_text
from holdfast.store.tables import datasets, deliveries, erasures, metadata, quarantine_acts

SPOKEN = ("error", "name", "reason", "receipt", "record", "text")
"""The columns in which a client may be mentioned; the others hold digests, times, and names that we gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDataset:
    """A dataset that was written out: its record, and the numbers of the deliveries that it is made of."""

    record: Dataset
    created: str
    deliveries: tuple[int, ...]


class Custody(Database):
    """Datasets, acts on quarantined rows, and erasures. Every public method is one transaction."""

    # ---- datasets

    def record_dataset(self, run: str, created: str, schema_digest: str, known: KnownDataset) -> None:
        """Keep what a dataset is made of; the same dataset is kept once, with its latest version."""
        values = {
            "digest": known.record.digest,
            "run": run,
            "created": created,
            "source": known.record.source,
            "schema_digest": schema_digest,
            "version": known.record.version,
            "deliveries": json.dumps(known.deliveries),
            "record": json_text(known.record),
        }
        self._write(datasets.insert().prefix_with("OR REPLACE").values(**values))

    def dataset(self, digest: str) -> KnownDataset | None:
        """The dataset with this digest, if it was ever written out."""
        rows = self._rows(sa.select(datasets).where(datasets.c.digest == digest))
        if not rows:
            return None
        record = from_json(Dataset, json.loads(rows[0].record))
        return KnownDataset(record=record, created=rows[0].created, deliveries=tuple(json.loads(rows[0].deliveries)))

    def dataset_under_another_schema(self, source: str, schema_digest: str) -> Dataset | None:
        """The latest dataset of an input folder that has another schema than this one."""
        where = (datasets.c.source == source) & (datasets.c.schema_digest != schema_digest)
        rows = self._rows(sa.select(datasets.c.record).where(where).order_by(datasets.c.created.desc()).limit(1))
        return from_json(Dataset, json.loads(rows[0].record)) if rows else None

    # ---- quarantined rows

    def record_acts(self, run: str, acts: Sequence[QuarantineAct]) -> None:
        """Keep what was done to quarantined rows; the latest act on a row counts."""
        rows = [
            {
                "run": run,
                "created": act.created,
                "actor": act.actor,
                "delivery": act.delivery,
                "line": act.line,
                "act": act.act,
                "text": act.text,
                "reason": act.reason,
                "replayed_as": act.replayed_as,
            }
            for act in acts
        ]
        if rows:
            self._write(quarantine_acts.insert(), rows)

    def acts(self, delivery: int) -> dict[int, QuarantineAct]:
        """The latest act on each row of a delivery that something was done to, by line."""
        query = sa.select(quarantine_acts).where(quarantine_acts.c.delivery == delivery).order_by(quarantine_acts.c.id)
        return {
            row.line: QuarantineAct(
                delivery=row.delivery,
                line=row.line,
                act=row.act,
                text=row.text,
                reason=row.reason,
                replayed_as=row.replayed_as,
                actor=row.actor,
                created=row.created,
            )
            for row in self._rows(query)
        }

    # ---- erased clients

    def begin_erasure(self, run: str, created: str, tombstone: str) -> None:
        """From now on this client's rows are not taken; what is already there is about to be removed."""
        values = {"run": run, "created": created, "tombstone": tombstone, "finished": False, "receipt": None}
        self._write(erasures.insert().values(**values))

    def finish_erasure(self, run: str, receipt: object) -> None:
        """The erasure of this run is complete."""
        done = erasures.update().where(erasures.c.run == run).values(finished=True, receipt=json_text(receipt))
        self._write(done)

    def tombstones(self) -> frozenset[str]:
        """The tombstones of all erased clients."""
        return frozenset(row.tombstone for row in self._rows(sa.select(erasures.c.tombstone)))

    def unfinished_erasures(self) -> tuple[str, ...]:
        """When erasures began that were never completed, and not begun anew since."""
        latest = sa.select(sa.func.max(erasures.c.id)).group_by(erasures.c.tombstone)
        query = sa.select(erasures.c.created).where(~erasures.c.finished, erasures.c.id.in_(latest))
        return tuple(row.created for row in self._rows(query.order_by(erasures.c.id)))

    def redact(self, mentioned: Callable[[str], bool], redacted: Callable[[str], str]) -> int:
        """Rewrite every text in which a client is `mentioned`, and leave no trace of the old ones in the file.

        Returns how many texts were rewritten.
        """
        count = 0
        with self._database_errors(), self._engine.begin() as connection:
            for table in metadata.sorted_tables:
                key = next(iter(table.primary_key.columns))
                for column in (each for each in table.columns if each.name in SPOKEN):
                    for row in connection.execute(sa.select(key, column).where(column.is_not(None))).all():
                        if mentioned(row[1]):
                            new = {column.name: redacted(row[1])}
                            connection.execute(table.update().where(key == row[0]).values(new))
                            count += 1
        self._forget_deleted_pages()
        return count

    def redigest(self, file: SourceFile) -> None:
        """A delivered file has other bytes, because a client was erased from it: it is still the same delivery."""
        values = {"digest": file.digest, "record": json_text(file)}
        self._write(deliveries.update().where(deliveries.c.number == file.number).values(**values))
