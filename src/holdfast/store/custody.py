"""The ledger's part on data in custody: what datasets were made of, what was done to refused rows, who was erased."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from holdfast.records import EVERY_LINE, Dataset, QuarantineAct, SourceFile, from_json
from holdfast.store.database import Database, Row, json_text
from holdfast.store.tables import (
    datasets,
    deliveries,
    erasures,
    metadata,
    numbers_in,
    quarantine_acts,
    ranges_of,
    settled_rows,
)

ROWS_AT_ONCE = 10_000
DONE_TO = ("id", "delivery", "line", "act")
"""The columns that tell what was done to which row."""
ERASED, UNDONE = "erased", "undone"
"""What was done about a client: a tombstone was set, or taken away."""

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
            "deliveries": ranges_of(known.deliveries),
            "record": json_text(known.record),
        }
        self._write(datasets.insert().prefix_with("OR REPLACE").values(**values))

    def dataset(self, digest: str) -> KnownDataset | None:
        """The dataset with this digest, if it was ever written out."""
        rows = self._rows(sa.select(datasets).where(datasets.c.digest == digest))
        if not rows:
            return None
        record = from_json(Dataset, json.loads(rows[0].record))
        return KnownDataset(record=record, created=rows[0].created, deliveries=numbers_in(rows[0].deliveries))

    def dataset_under_another_schema(self, source: str, schema_digest: str) -> Dataset | None:
        """The latest dataset of an input folder that has another schema than this one."""
        where = (datasets.c.source == source) & (datasets.c.schema_digest != schema_digest)
        rows = self._rows(sa.select(datasets.c.record).where(where).order_by(datasets.c.created.desc()).limit(1))
        return from_json(Dataset, json.loads(rows[0].record)) if rows else None

    # ---- quarantined rows

    def record_acts(self, run: str, acts: Iterable[QuarantineAct]) -> None:
        """Keep what was done to quarantined rows, all of it or, where `acts` raises, nothing."""
        with self._database_errors(), self._engine.begin() as connection:
            self._insert_acts(connection, run, acts)

    def _insert_acts(self, connection: sa.Connection, run: str, acts: Iterable[QuarantineAct]) -> None:
        columns = [column.name for column in quarantine_acts.columns if column.name not in {"id", "run"}]
        values = attrgetter(*columns)
        # As SQL for the driver: SQLAlchemy would take as long to look at every row as SQLite to keep it.
        insert = str(quarantine_acts.insert().compile(self._engine, column_keys=["run", *columns]))
        entries = ((run, *values(act)) for act in acts)
        while some := list(islice(entries, ROWS_AT_ONCE)):
            connection.exec_driver_sql(insert, some)

    def acts(
        self, delivery: int, alike: Collection[int] = (), lines: tuple[int, int] | None = None
    ) -> dict[int, QuarantineAct]:
        """What counts of all that was done to a delivery's rows, by line; `lines`: only from one line to another.

        The latest act on a row counts. One on every row of a delivery stands at EVERY_LINE, and counts for each row
        that has no other, which was none of those taken in before. `alike` are other deliveries with the same rows in
        the same lines: what was done there counts here too, but a row that was taken in there is a repaired one here.
        """
        names = (*DONE_TO, "text", "reason", "replayed_as", "actor", "created")
        return {line: _act(row) for line, row in self._acts(names, delivery, alike, lines).items()}

    def states(
        self, delivery: int, alike: Collection[int] = (), lines: tuple[int, int] | None = None
    ) -> dict[int, str]:
        """What kind of act counts, as in `acts`, and sooner."""
        return {line: row[3] for line, row in self._acts(DONE_TO, delivery, alike, lines).items()}

    def repairs(
        self, delivery: int, alike: Collection[int] = (), lines: tuple[int, int] | None = None
    ) -> dict[int, str]:
        """The texts of rows that are repaired and not taken in, as in `acts`, and sooner."""
        found = self._acts((*DONE_TO, "text"), delivery, alike, lines)
        return {line: row[4] for line, row in found.items() if row[3] == "repaired"}

    def _acts(
        self, names: tuple[str, ...], delivery: int, alike: Collection[int], lines: tuple[int, int] | None
    ) -> dict[int, Any]:
        others = tuple(set(alike) - {delivery})
        query = _acts_query(names, some_lines=lines is not None, others=bool(others))
        first, last = lines or (None, None)
        told = {"delivery": delivery, "others": others or None, "first": first, "last": last}
        return _counting(delivery, self._rows(query, {key: value for key, value in told.items() if value is not None}))

    def acted_on(self) -> frozenset[int]:
        """The deliveries to whose rows anything was done."""
        return frozenset(row.delivery for row in self._rows(sa.select(quarantine_acts.c.delivery).distinct()))

    def alike(self) -> dict[int, tuple[int, ...]]:
        """The accepted files, each with all those that have the same rows in the same lines: the same bytes from the
        same input folder, read in the same way, under any schema. Rows of a table come in any order: it has none.
        """
        told = [sa.func.json_extract(deliveries.c.record, f"$.{name}") for name in ("former", "read_as", "header")]
        is_file = sa.func.json_extract(deliveries.c.record, "$.size") > 0
        query = sa.select(deliveries.c.number, deliveries.c.source, deliveries.c.digest, *told)
        same: dict[tuple[Any, ...], list[int]] = {}
        for row in self._rows(query.where(deliveries.c.status == "accepted", is_file)):
            same.setdefault(tuple(row[1:]), []).append(row.number)
        return {number: tuple(numbers) for numbers in same.values() for number in numbers}

    def superseded(self) -> frozenset[int]:
        """The accepted deliveries that no dataset is made of any more."""
        where = (deliveries.c.status == "accepted") & ~deliveries.c.current
        return frozenset(row.number for row in self._rows(sa.select(deliveries.c.number).where(where)))

    def forget_repairs(self, alike: Collection[int], until: str, *, every: bool = False) -> int:
        """Let go of the texts of repairs to some deliveries that are alike, where the row was taken in or let go until
        that time; of `every` repair that is as old. Returns how many there were.
        """
        repair, later = quarantine_acts.c, quarantine_acts.alias().c
        settled = sa.exists().where(
            later.delivery.in_(alike),
            later.line.in_([repair.line, EVERY_LINE]),
            later.id > repair.id,
            later.act != "repaired",
            later.created <= until,
        )
        old = repair.delivery.in_(alike) & repair.text.is_not(None) & (repair.created <= until)
        with self._database_errors(), self._engine.begin() as connection:
            gone = quarantine_acts.update().where(old if every else old & settled).values(text=None)
            return connection.execute(gone).rowcount

    def settle(self, places: Collection[tuple[int, int]]) -> None:
        """Keep which rows (delivery and line) contradicted others until somebody dealt with them."""
        new = [{"delivery": delivery, "line": line} for delivery, line in set(places) - self.settled()]
        if new:
            with self._database_errors(), self._engine.begin() as connection:
                connection.execute(settled_rows.insert(), new)

    def forget_lines(self, delivery: int) -> None:
        """Let go of what was done to the rows of a delivery, known by their lines."""
        with self._database_errors(), self._engine.begin() as connection:
            for table in (quarantine_acts, settled_rows):
                connection.execute(table.delete().where(table.c.delivery == delivery))

    def settled(self) -> frozenset[tuple[int, int]]:
        """Those rows."""
        return frozenset((row.delivery, row.line) for row in self._rows(sa.select(settled_rows)))

    # ---- erased clients

    def begin_erasure(self, run: str, created: str, tombstone: str) -> None:
        """From now on this client's rows are not taken; what is already there is about to be removed."""
        self._write(erasures.insert().values(run=run, created=created, tombstone=tombstone, act=ERASED, finished=False))

    def finish_erasure(self, run: str, receipt: object) -> None:
        """The erasure of this run is complete."""
        done = erasures.update().where(erasures.c.run == run).values(finished=True, receipt=json_text(receipt))
        self._write(done)

    def undo_erasure(self, run: str, created: str, tombstone: str, receipt: object) -> None:
        """From now on this client's rows are taken again."""
        values = {"run": run, "created": created, "tombstone": tombstone, "act": UNDONE, "finished": True}
        self._write(erasures.insert().values(**values, receipt=json_text(receipt)))

    def tombstones(self) -> frozenset[str]:
        """The tombstones of all clients who are erased now."""
        return frozenset(tombstone for tombstone, act in self._erasures()[0].items() if act == ERASED)

    def tombstone_changes(self) -> int:
        """How often a tombstone was set or taken away so far.

        It only grows: datasets of the same deliveries that lack different clients are told apart by it.
        """
        return self._erasures()[1]

    def _erasures(self) -> tuple[dict[str, str], int]:
        """What was done last about each tombstone, and how often that changed something."""
        latest: dict[str, str] = {}
        changes = 0
        for row in self._rows(sa.select(erasures.c.tombstone, erasures.c.act).order_by(erasures.c.id)):
            changes += latest.get(row.tombstone, UNDONE) != row.act
            latest[row.tombstone] = row.act
        return latest, changes

    def every_tombstone(self) -> frozenset[str]:
        """The tombstones of all clients who were ever erased, whether that was undone or not."""
        return frozenset(self._erasures()[0])

    def restore_erasure(self, run: str, created: str, tombstone: str, receipt: object) -> None:
        """An erasure that was completed is known again, from its receipt."""
        values = {"run": run, "created": created, "tombstone": tombstone, "act": ERASED, "finished": True}
        self._write(erasures.insert().values(**values, receipt=json_text(receipt)))

    def receipts(self, tombstone: str) -> tuple[dict[str, Any], ...]:
        """What was written about the finished erasures of a client, oldest first."""
        where = (erasures.c.tombstone == tombstone) & (erasures.c.act == ERASED) & erasures.c.receipt.is_not(None)
        rows = self._rows(sa.select(erasures.c.receipt).where(where).order_by(erasures.c.id))
        return tuple(json.loads(row.receipt) for row in rows)

    def unfinished_erasures(self) -> tuple[str, ...]:
        """When erasures began that were never completed, and neither begun anew nor undone since."""
        latest = sa.select(sa.func.max(erasures.c.id)).group_by(erasures.c.tombstone)
        query = sa.select(erasures.c.created).where(~erasures.c.finished, erasures.c.id.in_(latest))
        return tuple(row.created for row in self._rows(query.order_by(erasures.c.id)))

    def redact(self, redacted: Callable[[str, int | None], str], *, trial: bool = False) -> int:
        """Let `redacted` rewrite every text that may mention a client, and leave no trace of the old ones in the file.

        It is given the text and, for a repaired row, the number of the delivery that the row stood in. Returns how
        many texts it changed; in a `trial` the ledger keeps them all.
        """
        count = 0
        with self._database_errors(), self._engine.begin() as connection:
            for table in metadata.sorted_tables:
                key = next(iter(table.primary_key.columns))
                for column in (each for each in table.columns if each.name in SPOKEN):
                    row_of = quarantine_acts.c.delivery if column is quarantine_acts.c.text else sa.null()
                    texts = connection.execute(sa.select(key, column, row_of).where(column.is_not(None)))
                    found = ((place, text, redacted(text, delivery)) for place, text, delivery in texts)
                    changed = [(place, new) for place, text, new in found if new != text]
                    count += len(changed)
                    for place, new in changed if not trial else ():
                        connection.execute(table.update().where(key == place).values({column.name: new}))
        if not trial:
            self._forget_deleted_pages()
        return count

    def redigest(self, file: SourceFile) -> None:
        """A delivered file has other bytes, because a client was erased from it: it is still the same delivery."""
        values = {"digest": file.digest, "record": json_text(file)}
        self._write(deliveries.update().where(deliveries.c.number == file.number).values(**values))


def _act(row: Row) -> QuarantineAct:
    return QuarantineAct(
        delivery=row.delivery,
        line=row.line,
        act=row.act,
        text=row.text,
        reason=row.reason,
        replayed_as=row.replayed_as,
        actor=row.actor,
        created=row.created,
    )


@cache
def _acts_query(names: tuple[str, ...], *, some_lines: bool, others: bool) -> sa.Executable:
    """What was done to rows of a `delivery`, the latest of each line, and of `others`, everything; in its order.

    Made once: that takes longer than to answer it.
    """
    each = quarantine_acts.c
    # A repair whose text was let go has nothing to say any more, nor a row that was taken in and is lost.
    speaking = (each.act != "repaired") | each.text.is_not(None)
    lost = sa.select(deliveries.c.number).where(deliveries.c.status == "accepted", ~deliveries.c.current)
    counting = each.replayed_as.is_(None) | each.replayed_as.not_in(lost)
    between = each.line.between(sa.bindparam("first"), sa.bindparam("last"))
    parts: list[sa.ColumnElement[bool]] = []
    for where in [speaking & between, speaking & (each.line == EVERY_LINE)] if some_lines else [speaking]:
        latest = sa.select(sa.func.max(each.id)).where(each.delivery == sa.bindparam("delivery"), where, counting)
        parts.append(each.id.in_(latest.group_by(each.line)))
        if others:
            parts.append(each.delivery.in_(sa.bindparam("others", expanding=True)) & where)
    return sa.union_all(*(sa.select(*(each[name] for name in names)).where(part) for part in parts)).order_by("id")


def _counting(delivery: int, acts: Iterable[Any]) -> dict[int, Any]:
    """Of acts in the order in which they were done, those that count for a delivery, by line: see `Custody.acts`."""
    counting: dict[int, Any] = {}
    taken: set[tuple[int, int]] = set()
    for row in acts:
        number, line, act = row[1], row[2], row[3]  # by place: by name it takes many times as long
        if act == "replayed":
            taken.add((number, line))
            if number == delivery:
                counting[line] = row
        elif line == EVERY_LINE:
            counting = {
                place: other for place, other in counting.items() if {(number, place), (delivery, place)} & taken
            }
            counting[EVERY_LINE] = row
        elif (delivery, line) not in taken:
            counting[line] = row
    return counting
