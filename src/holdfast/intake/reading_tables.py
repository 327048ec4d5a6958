"""Rows of database tables are taken in: what changed since the last reading, from one snapshot, as one delivery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.dataset import next_number, quarantine_of, table_of, view_of
from holdfast.errors import ConfigurationError, FileRefused, HoldfastError, NotPermitted, SourceUnreachable
from holdfast.intake.committing import Fresh, commit, part_path
from holdfast.intake.erased import Erased
from holdfast.intake.history import History
from holdfast.intake.storing import Destination, Passing, Stored, store
from holdfast.intake.taking import Taken
from holdfast.records import SourceFile
from holdfast.schema import LINE
from holdfast.session import Session, utc_now
from holdfast.sourcelist import DatabaseSource
from holdfast.sources.database import DatabaseAddress, DatabaseRead, ReadingInterrupted
from holdfast.store.files import move_into_place, replacing, unfinished
from holdfast.store.parts import copy_part
from holdfast.store.quarantine import known_texts
from holdfast.workspace import secret

READINGS = 2
"""A reading that breaks off is begun once more, from its start."""


def take_tables(session: Session, history: History, erased: Erased, taken: Taken) -> tuple[HoldfastError, ...]:
    """Read every database source; returns why those that could not be read were passed over."""
    problems: list[HoldfastError] = []
    for source in session.workspace.databases:
        try:
            _Table(session, history, erased, source).take(taken)
        except (SourceUnreachable, NotPermitted, ConfigurationError) as error:
            error.file = error.file or source.name
            problems.append(error)
    return tuple(problems)


@dataclass(slots=True)
class _Table:
    """One database source, to be read once."""

    session: Session
    history: History
    erased: Erased
    source: DatabaseSource

    def take(self, taken: Taken) -> None:
        """Read what is new and commit it; a table whose columns are not the schema's is refused."""
        readings, current = self._readings(), {file.number for file in self.history.current}
        held = [file for file in readings if file.number in current]
        last = readings[-1] if held else None  # without its rows nothing is known of the source
        entry = self._entry()
        part, quarantine = part_path(self.session, entry), quarantine_of(self.session.workspace, entry)
        for folder in (part.parent, quarantine.parent):
            folder.mkdir(parents=True, exist_ok=True)
        destination = Destination(delivery=entry.number, part=unfinished(part), quarantine=unfinished(quarantine))
        try:
            stored, watermark = self._read(destination, last)
            if last and stored.digest == last.digest and not last.outdated:
                return
            if last and not self.source.watermark and not self.source.may_be_empty:
                self._refuse_nothing(stored, held[-1])
            for path in (part, quarantine):  # refused rows never without the part
                move_into_place(unfinished(path), path)
        except FileRefused as error:
            told = self.erased.told(error.record(self.session.run_id))
            taken.files.append(replace(entry, number=0, status="refused", error=told))
            return
        finally:
            for path in (part, quarantine):
                unfinished(path).unlink(missing_ok=True)
        superseded = () if self.source.watermark else self.history.with_repairs(held[-1:])
        file = replace(
            stored.told_in(entry),
            digest=stored.digest,
            supersedes=superseded[0].number if superseded else None,
            watermark=watermark,
        )
        news_only = self.source.watermark is not None
        taken.files += commit(
            self.session, self.history, [Fresh(file=file, part=part, superseded=superseded, news_only=news_only)]
        )
        taken.rejected += stored.shown

    def _refuse_nothing(self, stored: Stored, before: SourceFile) -> None:
        """A table that had rows and has none is more likely a fault than the truth: what was read before is kept."""
        if before.rows and not stored.rows:
            message = f"it has no rows any more; the {before.rows:,} that were read on {before.received} are kept"
            hint = 'if it is meant to be empty, write "may_be_empty": true into this source'
            raise FileRefused(message, file=self.source.name, hint=hint)

    def _readings(self) -> tuple[SourceFile, ...]:
        """Every reading of this source so far; repaired rows of one are none."""
        workspace = self.session.workspace
        deliveries = self.session.ledger.deliveries(workspace.source, workspace.schema.digest)
        return tuple(f for f in deliveries if f.folder == self.source.name and f.status != "refused" and not f.repairs)

    def _entry(self) -> SourceFile:
        now = utc_now()
        return SourceFile(
            number=next_number(self.session),
            name=f"{self.source.table or 'query'} at {now}",
            folder=self.source.name,
            digest="0" * 64,
            size=0,
            received=now,
            status="accepted",
        )

    def _read(self, destination: Destination, last: SourceFile | None) -> tuple[Stored, str | None]:
        """One reading in one snapshot; begun once more when the connection breaks in it."""
        since = last.watermark if last and self.source.watermark and not last.outdated else None
        known = known_texts(self._refused_before()) if since else None
        workspace = self.session.workspace
        for attempt in range(1, READINGS + 1):
            try:
                with DatabaseRead(
                    self.source, self._address(), workspace.schema, since, longest=workspace.limits.field_characters
                ) as rows:
                    stored = store(
                        rows,
                        workspace.schema,
                        destination,
                        Passing(erased=self.erased.recogniser(), refused_before=known),
                        self._progress,
                    )
                return self._without_repeated(stored, destination, rows.again), rows.watermark
            except ReadingInterrupted:
                if attempt == READINGS:
                    raise
        raise AssertionError("a reading either ends or raises")

    def _refused_before(self) -> Iterator[Path]:
        """Where the rows of this source are that are in quarantine already: in the overlap they come again."""
        for file in self._readings():
            if file.quarantined or file.unlabelled:
                yield quarantine_of(self.session.workspace, file)

    def _without_repeated(self, stored: Stored, destination: Destination, again: int) -> Stored:
        """Take out of the part what the first `again` rows only repeat of earlier readings: that it was read once more
        makes no row newer than what others have delivered since.
        """
        current = {file.number for file in self.history.current}
        earlier = frozenset(file.number for file in self._readings() if file.number in current)
        if not (again and stored.valid and earlier):
            return stored
        parts = [part.path for part in table_of(self.session.workspace).parts() if part.holds(earlier)]
        view = view_of(self.session.workspace, [*parts, destination.part])
        found = self.session.engine.repeated(view, destination.delivery, again, earlier)
        lines = np.concatenate([batch.column(LINE).to_numpy() for batch in found])
        if not len(lines):
            return stored
        label, unlabelled = self.session.workspace.schema.target.name, 0

        def stays(rows: pa.RecordBatch) -> NDArray[np.bool_]:
            nonlocal unlabelled
            gone = np.isin(rows.column(LINE).to_numpy(), lines)
            unlabelled += rows.column(label).filter(pa.array(gone)).null_count
            return ~gone

        with replacing(destination.part) as copy:
            copy_part(destination.part, copy, stays)
        return replace(
            stored,
            valid=stored.valid - len(lines),
            repeated=stored.repeated + len(lines),
            unlabelled=stored.unlabelled - unlabelled,
        )

    def _address(self) -> DatabaseAddress:
        source, root = self.source, self.session.workspace.root
        url = secret(source.database_from) if source.database_from else source.database or ""
        scheme, mark, rest = url.partition(":///")
        if scheme.partition("+")[0] == "sqlite" and mark and not rest.startswith("/"):
            url = f"{scheme}:///{root / rest}"
        password = secret(source.password_from) if source.password_from else None
        return DatabaseAddress(url=url, password=password)

    def _progress(self, rows: int) -> None:
        self.session.progress(f"reading {self.source.name}", rows, None)
