"""The ledger: every run, delivery, model, score, release, decision and assessment, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from holdfast.errors import CannotWrite, ConfigurationError, InputOutputError
from holdfast.records import (
    Assessment,
    Decision,
    Release,
    RunSummary,
    Scorecard,
    SourceFile,
    TrainRecord,
    from_json,
    to_json,
)
from holdfast.store import migrations
from holdfast.store.tables import assessments, decisions, deliveries, models, releases, runs, scores

Row = sa.Row[Any]
PRIMARY = 0xFF
"""The part of SQLite's error codes that says what went wrong; the rest says where."""
UNWRITABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
LONGEST_WAIT = 10
"""Seconds that a command waits for another one to finish writing."""
A_MOMENT = 0.02


class PastDecision(NamedTuple):
    """A decision, whether it was carried out to its end, and the release that was then in production."""

    decision: Decision
    finished: bool
    release: str | None


class Ledger:
    """One open ledger; use as a context manager. Every public method is one transaction.

    Without a file it is an empty one in memory.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._engine = sa.create_engine(sa.URL.create("sqlite", database=None if file is None else str(file)))
        sa.event.listen(self._engine, "connect", _make_durable)
        sa.event.listen(self._engine, "begin", _begin)
        try:
            with self._database_errors():
                migrations.upgrade(self._engine)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._engine.dispose()

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

    def record_delivery(self, run: str, source: str, schema_digest: str, file: SourceFile) -> None:
        """Keep a delivery. The delivery that it supersedes stops being current in the same transaction."""
        where = (deliveries.c.source == source) & (deliveries.c.schema_digest == schema_digest)
        with self._database_errors(), self._engine.begin() as connection:
            if file.supersedes:
                superseded = deliveries.update().where(where, deliveries.c.digest == file.supersedes)
                connection.execute(superseded.values(current=False))
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
                    record=_text(file),
                )
            )

    def deliveries(self, source: str, schema_digest: str) -> tuple[SourceFile, ...]:
        """Every delivery of one input folder, oldest first."""
        where = (deliveries.c.source == source) & (deliveries.c.schema_digest == schema_digest)
        query = sa.select(deliveries.c.record).where(where).order_by(deliveries.c.number)
        return tuple(from_json(SourceFile, json.loads(row.record)) for row in self._rows(query))

    def current_deliveries(self, source: str, schema_digest: str) -> tuple[SourceFile, ...]:
        """The accepted deliveries that no later one has superseded: those the dataset is made of."""
        where = (deliveries.c.source == source) & (deliveries.c.schema_digest == schema_digest) & deliveries.c.current
        query = sa.select(deliveries.c.record).where(where).order_by(deliveries.c.number)
        return tuple(from_json(SourceFile, json.loads(row.record)) for row in self._rows(query))

    def withdraw_delivery(self, number: int) -> None:
        """A delivery stops being current: its rows have to be taken again."""
        self._write(deliveries.update().where(deliveries.c.number == number).values(current=False))

    # ---- models and scores

    def record_model(self, run: str, created: str, dataset_digest: str, record: TrainRecord) -> None:
        """Keep a training. The same data gives the same model: it is then kept once."""
        values = {
            "digest": record.model_digest,
            "run": run,
            "created": created,
            "dataset_digest": dataset_digest,
            "record": _text(record),
        }
        self._write(models.insert().prefix_with("OR REPLACE").values(**values))

    def record_score(self, run: str, created: str, kind: str, card: Scorecard) -> None:
        """Keep a scorecard; `kind` is "test" (the test data) or "unseen" (new rows, scored by the deployed model)."""
        values = {
            "run": run,
            "created": created,
            "kind": kind,
            "model_digest": card.model_digest,
            "f1": card.f1.value,
            "record": _text(card),
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
        values = {"id": release.id, "run": run, "created": release.created, "record": _text(release)}
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
            "record": _text(decision),
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

    def last_assessment(self) -> str | None:
        """When the latest assessment was made, or None."""
        rows = self._rows(sa.select(assessments.c.created).order_by(assessments.c.id.desc()).limit(1))
        return str(rows[0].created) if rows else None

    # ---- the database

    def _rows(self, query: sa.Select[Any]) -> Sequence[Row]:
        with self._database_errors(), self._engine.connect() as connection:
            return connection.execute(query).all()

    def _write(self, statement: sa.Insert | sa.Update) -> None:
        with self._database_errors(), self._engine.begin() as connection:
            connection.execute(statement)

    @contextmanager
    def _database_errors(self) -> Iterator[None]:
        try:
            yield
        except migrations.NewerLedger as newer:
            hint = "use the Holdfast version that wrote it, or a newer one"
            raise ConfigurationError(str(newer), file=str(self._file), hint=hint) from None
        except sa.exc.DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & PRIMARY
            kind = CannotWrite if code in UNWRITABLE else InputOutputError
            raise kind(f"the ledger: {error.orig}", file=str(self._file)) from error


def _make_durable(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # `_begin` begins: Python would leave CREATE TABLE outside the transaction
    for pragma in (f"busy_timeout = {1000 * LONGEST_WAIT}", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    _let_readers_read(connection)


def _let_readers_read(connection: Any) -> None:
    """Change to write-ahead logging, which SQLite does not wait for when many open a new file at once."""
    give_up = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(A_MOMENT)
        else:
            return


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")


def _text(record: object) -> str:
    return json.dumps(to_json(record))
