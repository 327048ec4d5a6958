"""The ledger: every run, delivery, model, score, release, decision and assessment, in one SQLite file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from holdfast.records import (
    Assessment,
    Decision,
    QuarantineAct,
    Release,
    RunSummary,
    Scorecard,
    SourceFile,
    TrainRecord,
    from_json,
    to_json,
)
from holdfast.store.custody import Custody
from holdfast.store.database import json_text
from holdfast.store.tables import assessments, datasets, decisions, deliveries, models, releases, runs, scores


class PastDecision(NamedTuple):
    """A decision, whether it was carried out to its end, and the release that was then in production."""

    decision: Decision
    finished: bool
    release: str | None


class AssessmentHead(NamedTuple):
    """An assessment without its list: number, time, release, model and dataset."""

    number: int
    created: str
    release: str
    model: str
    dataset: str


class Claims(NamedTuple):
    """The greatest version that a dataset is known to have had, the latest delivery to it, and the version with which
    that came; 0 where nothing is known.
    """

    latest: int
    delivery: int
    delivered_in: int


class Ledger(Custody):
    """One open ledger; use as a context manager. Every public method is one transaction.

    Without a file it is an empty one in memory.
    """

    # ---- runs

    def record_run(self, run: dict[str, Any]) -> None:
        """Keep one finished run of a step: the columns of the table `runs`."""
        self._write(runs.insert().values(**run))

    def runs(self, limit: int = 8) -> tuple[RunSummary, ...]:
        """The latest commands (not the steps inside them), newest first."""
        query = sa.select(runs).where(runs.c.parent.is_(None)).order_by(runs.c.number.desc()).limit(limit)
        return tuple(
            RunSummary(
                command=r.command,
                started=r.started,
                seconds=r.seconds,
                status=r.status,
                exit_status=r.exit_status,
            )
            for r in self._rows(query)
        )

    def last_result(self, step: str) -> dict[str, Any] | None:
        """The JSON form of what the latest run of `step` came to, as far as the history keeps it; None for none."""
        query = sa.select(runs.c.record).where(runs.c.command == step, runs.c.record.is_not(None))
        rows = self._rows(query.order_by(runs.c.number.desc()).limit(1))
        found: dict[str, Any] | None = json.loads(rows[0].record) if rows else None
        return found

    def seconds_of(self, step: str, limit: int = 100) -> tuple[float, ...]:
        """How long the latest successful runs of `step` took, newest first."""
        query = (
            sa.select(runs.c.seconds)
            .where(runs.c.command == step, runs.c.status == "done", runs.c.worked)
            .order_by(runs.c.number.desc())
            .limit(limit)
        )
        return tuple(row.seconds for row in self._rows(query))

    # ---- deliveries

    def next_delivery(self) -> int:
        """The number that the next delivery gets."""
        last = self._rows(sa.select(sa.func.max(deliveries.c.number)))[0][0]
        return int(last or 0) + 1

    def record_delivery(
        self, run: str, source: str, schema_digest: str, file: SourceFile, acts: Iterable[QuarantineAct] = ()
    ) -> None:
        """Keep a delivery. The one that it supersedes, and what repaired that, stop being current with it.

        One that was withdrawn comes again under its number. `acts`: what was done to refused rows with it.
        """
        own = (deliveries.c.source == source) & (deliveries.c.schema_digest == schema_digest)
        where = own & deliveries.c.current
        with self._database_errors(), self._engine.begin() as connection:
            if file.supersedes:
                superseded = {file.supersedes}
                repairs = sa.func.json_extract(deliveries.c.record, "$.repairs")
                query = sa.select(deliveries.c.number, repairs).where(where, repairs.is_not(None))
                for number, repaired in connection.execute(query.order_by(deliveries.c.number)):
                    superseded |= {number} if repaired in superseded else set()
                gone = deliveries.update().where(where, deliveries.c.number.in_(superseded))
                connection.execute(gone.values(current=False))
            withdrawn = own & ~deliveries.c.current & (deliveries.c.digest == file.digest)
            connection.execute(deliveries.delete().where(withdrawn, deliveries.c.number == file.number))
            self._insert_acts(connection, run, acts)
            connection.execute(
                deliveries.insert().values(
                    number=file.number,
                    run=run,
                    source=source,
                    schema_digest=schema_digest,
                    digest=file.digest,
                    name=file.name,
                    status=file.status,
                    current=file.status == "accepted",
                    record=json_text(file),
                )
            )

    def deliveries(self, source: str, schema_digest: str) -> tuple[SourceFile, ...]:
        """Every delivery of one input folder, oldest first."""
        where = (deliveries.c.source == source) & (deliveries.c.schema_digest == schema_digest)
        query = sa.select(deliveries.c.record).where(where).order_by(deliveries.c.number)
        return tuple(from_json(SourceFile, json.loads(row.record)) for row in self._rows(query))

    def every_delivery(self) -> tuple[SourceFile, ...]:
        """Every delivery to any dataset of the workspace, oldest first."""
        rows = self._rows(sa.select(deliveries.c.record).order_by(deliveries.c.number))
        return tuple(from_json(SourceFile, json.loads(row.record)) for row in rows)

    def current_deliveries(self, source: str, schema_digest: str) -> tuple[SourceFile, ...]:
        """The accepted deliveries that no later one has superseded: those the dataset is made of."""
        where = (deliveries.c.source == source) & (deliveries.c.schema_digest == schema_digest) & deliveries.c.current
        query = sa.select(deliveries.c.record).where(where).order_by(deliveries.c.number)
        return tuple(from_json(SourceFile, json.loads(row.record)) for row in self._rows(query))

    def withdraw_delivery(self, number: int) -> None:
        """A delivery stops being current: its rows have to be taken again."""
        self._write(deliveries.update().where(deliveries.c.number == number).values(current=False))

    def outdate_delivery(self, number: int) -> None:
        """A file has to be read again, though its bytes are known."""
        record = sa.func.json_set(deliveries.c.record, "$.outdated", sa.func.json("true"))
        self._write(deliveries.update().where(deliveries.c.number == number).values(record=record))

    def last_came(self, source: str) -> dict[str, int]:
        """By digest, the number of the last accepted delivery of these bytes to an input folder, under any schema."""
        where = (deliveries.c.source == source) & (deliveries.c.status == "accepted")
        query = sa.select(deliveries.c.digest, sa.func.max(deliveries.c.number).label("last")).where(where)
        return {row.digest: row.last for row in self._rows(query.group_by(deliveries.c.digest))}

    def numbers(self) -> frozenset[int]:
        """The numbers of all deliveries to any dataset of the workspace."""
        return frozenset(row.number for row in self._rows(sa.select(deliveries.c.number)))

    def sources(self) -> tuple[tuple[str, str], ...]:
        """The input folder and the schema's digest of every dataset that there were deliveries to."""
        rows = self._rows(sa.select(deliveries.c.source, deliveries.c.schema_digest).distinct())
        return tuple((row.source, row.schema_digest) for row in rows)

    def claims(self, source: str, schema_digest: str) -> Claims:
        """What is known of the versions of a dataset's table."""
        version = sa.func.json_extract(deliveries.c.record, "$.version")
        delivered = (
            sa.select(deliveries.c.number, version)
            .where(deliveries.c.source == source, deliveries.c.schema_digest == schema_digest, version.is_not(None))
            .order_by(deliveries.c.number.desc())
            .limit(1)
        )
        where = (datasets.c.source == source) & (datasets.c.schema_digest == schema_digest)
        latest = self._rows(sa.select(sa.func.max(datasets.c.version)).where(where))[0][0]
        return Claims(latest or 0, *next(iter(self._rows(delivered)), (0, 0)))

    def forget_versions(self, source: str, schema_digest: str, delivered: Mapping[int, int]) -> None:
        """A dataset has another table than the one that was known, as when it was put back from a backup.

        `delivered`: the versions of that table which deliveries came with, by number. No delivery keeps another one,
        and no dataset a later one than the last on which the ledger and the table agree.
        """
        record, known = deliveries.c.record, datasets.c
        where = (deliveries.c.source == source) & (deliveries.c.schema_digest == schema_digest)
        with self._database_errors(), self._engine.begin() as connection:
            query = sa.select(deliveries.c.number, sa.func.json_extract(record, "$.version")).where(where)
            found = [(number, version, delivered.get(number)) for number, version in connection.execute(query)]
            for number, _, version in (each for each in found if each[1] != each[2]):
                changed = deliveries.update().where(deliveries.c.number == number)
                connection.execute(changed.values(record=sa.func.json_set(record, "$.version", version)))
            agreed = max((version for _, before, version in found if version and version == before), default=0)
            later = (known.source == source) & (known.schema_digest == schema_digest) & (known.version > agreed)
            unversioned = sa.func.json_set(known.record, "$.version", None)
            connection.execute(datasets.update().where(later).values(version=None, record=unversioned))

    # ---- models and scores

    def record_model(self, run: str, created: str, dataset_digest: str, record: TrainRecord) -> None:
        """Keep a training. The same data gives the same model: it is then kept once."""
        values = {
            "digest": record.model_digest,
            "run": run,
            "created": created,
            "dataset_digest": dataset_digest,
            "record": json_text(record),
        }
        self._write(models.insert().prefix_with("OR REPLACE").values(**values))

    def models(self) -> tuple[tuple[str, TrainRecord, str], ...]:
        """Every model, oldest first: when it was trained, its record, and the digest of the dataset."""
        rows = self._rows(sa.select(models).order_by(models.c.created, models.c.digest))
        return tuple((r.created, from_json(TrainRecord, json.loads(r.record)), r.dataset_digest) for r in rows)

    def record_score(self, run: str, created: str, kind: str, card: Scorecard) -> None:
        """Keep a scorecard; `kind` is "test" (the test data) or "unseen" (new rows, scored by the deployed model)."""
        values = {
            "run": run,
            "created": created,
            "kind": kind,
            "model_digest": card.model_digest,
            "f1": card.f1.value,
            "record": json_text(card),
        }
        self._write(scores.insert().values(**values))

    def scores(self, limit: int = 200) -> tuple[tuple[str, Scorecard], ...]:
        """When, and the scorecard: the latest `limit`, oldest first."""
        rows = self._rows(sa.select(scores.c.created, scores.c.record).order_by(scores.c.id.desc()).limit(limit))
        return tuple((row.created, from_json(Scorecard, json.loads(row.record))) for row in reversed(rows))

    def score_of(self, model_digest: str, kind: str) -> Scorecard | None:
        """The latest scorecard of one model on one kind of data ("test" or "unseen")."""
        where = (scores.c.model_digest == model_digest) & (scores.c.kind == kind)
        rows = self._rows(sa.select(scores.c.record).where(where).order_by(scores.c.id.desc()).limit(1))
        return from_json(Scorecard, json.loads(rows[0].record)) if rows else None

    # ---- releases

    def record_release(self, run: str, release: Release) -> None:
        """Keep a release."""
        values = {"id": release.id, "run": run, "created": release.created, "record": json_text(release)}
        self._write(releases.insert().prefix_with("OR REPLACE").values(**values))

    def releases(self) -> tuple[Release, ...]:
        """Every release, oldest first."""
        rows = self._rows(sa.select(releases.c.record).order_by(releases.c.created, releases.c.id))
        return tuple(from_json(Release, json.loads(row.record)) for row in rows)

    # ---- decisions

    def record_decision(self, run: str, created: str, decision: Decision) -> None:
        """Keep a decision before it is acted on."""
        values = {
            "run": run,
            "created": created,
            "source": decision.observation.source,
            "dataset_digest": decision.observation.dataset_digest,
            "finished": False,
            "record": json_text(decision),
        }
        self._write(decisions.insert().values(**values))

    def finish_decision(self, run: str, release: str | None) -> None:
        """Note that the decision of this run has been carried out, and which release is in production since."""
        self._write(decisions.update().where(decisions.c.run == run).values(finished=True, release=release))

    def last_decision(self, source: str) -> PastDecision | None:
        """The latest decision about one input folder's data."""
        query = sa.select(decisions).where(decisions.c.source == source).order_by(decisions.c.id.desc()).limit(1)
        rows = self._rows(query)
        return (
            PastDecision(from_json(Decision, json.loads(rows[0].record)), rows[0].finished, rows[0].release)
            if rows
            else None
        )

    def decisions(self, limit: int = 10) -> tuple[tuple[str, Decision], ...]:
        """When, and the decision: the latest `limit`, newest first."""
        query = sa.select(decisions.c.created, decisions.c.record).order_by(decisions.c.id.desc()).limit(limit)
        return tuple((row.created, from_json(Decision, json.loads(row.record))) for row in self._rows(query))

    # ---- assessments

    def record_assessment(self, run: str, assessment: Assessment, digest: str) -> None:
        """Keep an assessment: its head; the list itself is in the files that `digest` identifies."""
        head = to_json(replace(assessment, clients=())) | {"clients": len(assessment.clients)}
        values = {
            "run": run,
            "created": assessment.created,
            "release": assessment.release,
            "dataset_digest": assessment.dataset_digest,
            "digest": digest,
            "record": json.dumps(head),
        }
        self._write(assessments.insert().values(**values))

    def assessments(self) -> tuple[AssessmentHead, ...]:
        """Every assessment, oldest first."""
        rows = self._rows(sa.select(assessments).order_by(assessments.c.id))
        return tuple(
            AssessmentHead(r.id, r.created, r.release, json.loads(r.record)["model_digest"], r.dataset_digest)
            for r in rows
        )

    def last_assessment(self) -> str | None:
        """When the latest assessment was made, or None."""
        rows = self._rows(sa.select(assessments.c.created).order_by(assessments.c.id.desc()).limit(1))
        return str(rows[0].created) if rows else None
