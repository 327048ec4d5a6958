"""New files of the folders are taken in: read by child processes, a group at a time, and committed in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from holdfast.dataset import next_number, quarantine_of
from holdfast.errors import FileRefused, HoldfastError, InputOutputError, NotPermitted
from holdfast.intake.committing import Fresh, commit, part_path
from holdfast.intake.erased import Erased
from holdfast.intake.finding import Found, Lying
from holdfast.intake.history import History
from holdfast.intake.reading_files import Request, store_files
from holdfast.intake.storing import Destination, Stored
from holdfast.machine import cores
from holdfast.records import RejectedRow, SourceFile
from holdfast.records.data import Identity
from holdfast.render.words import count
from holdfast.session import Session, utc_now
from holdfast.sources.files import digest_of_delivery, open_regular
from holdfast.sources.parsed import Reading
from holdfast.sources.readers import ReaderKilled, Readers
from holdfast.store.files import move_into_place, unfinished

GROUP_BYTES = 1 << 30
GROUP_FILES = 500
"""So much is read before it is committed: a crash costs no more than that."""

SECOND_READER_BYTES = 8 << 20
"""From so many bytes on, another reading process pays."""


@dataclass(slots=True)
class Taken:
    """What was taken so far: the deliveries, the first refused rows, and files that moved away meanwhile."""

    files: list[SourceFile] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)


def take_files(session: Session, history: History, lying: Lying, erased: Erased) -> Taken:
    """Deal with every file that lies there and is not known yet."""
    taken = Taken()
    new = [file for file in lying.files if not history.knows(file)]
    for group in _groups(sorted(new, key=history.turn)):
        _Group(session, history, lying, erased, taken).take(group)
    return taken


def _worth(files: Sequence[Found]) -> int:
    """How many reading processes pay for these files."""
    paid = 1 + sum(file.size for file in files) // SECOND_READER_BYTES
    return max(1, min(cores(), len(files), paid))


def _groups(files: Sequence[Found]) -> Iterator[list[Found]]:
    group: list[Found] = []
    for file in files:
        if group and (sum(each.size for each in group) + file.size > GROUP_BYTES or len(group) == GROUP_FILES):
            yield group
            group = []
        group.append(file)
    if group:
        yield group


@dataclass(slots=True)
class _Group:
    """Files that are read and committed together."""

    session: Session
    history: History
    lying: Lying
    erased: Erased
    taken: Taken
    leaving: set[int] = field(default_factory=set)

    def take(self, files: Sequence[Found]) -> None:
        """Read those that are no copies of others, then commit all in their order."""
        number = next_number(self.session)
        entries = [self._entry(file, number + place) for place, file in enumerate(files)]
        originals: dict[Identity, tuple[Found, SourceFile]] = {}
        for file, entry in zip(files, entries, strict=True):
            if self.history.twin(file.identity) is None and self.history.refused_twin(file) is None:
                originals.setdefault(file.identity, (file, self._as_before(file, entry)))
        outcomes = self._read(list(originals.values()))
        fresh: list[Fresh] = []
        again: list[Found] = []
        for file, entry in zip(files, entries, strict=True):
            original, outcome = originals.get(file.identity), outcomes.get(file.identity)
            is_original = original is not None and original[0] is file
            if original and is_original and isinstance(outcome, Stored):
                fresh.append(self._fresh(*original, outcome))
            elif not is_original and isinstance(outcome, FileRefused) and not self.history.refused_twin(file):
                again.append(file)
            else:
                self._commit(fresh)
                fresh = []
                self._settle(file, entry, outcome)
        self._commit(fresh)
        if again:
            self.take(again)

    def _entry(self, file: Found, number: int) -> SourceFile:
        return SourceFile(
            number=number,
            name=file.name,
            folder=file.folder,
            digest=file.digest,
            size=file.size,
            received=utc_now(),
            status="refused",
            read_as=file.refused_as,
        )

    def _as_before(self, file: Found, entry: SourceFile) -> SourceFile:
        """What comes again because its rows were lost is the delivery that it was: what was done to its refused rows
        still holds, and so does what was learned from it.
        """
        before = self.history.withdrawn(file)
        if before is None:
            return entry
        return replace(
            entry,
            number=before.number,
            received=before.received,
            former=before.former,
            supersedes=before.supersedes,
        )

    def _read(self, files: Sequence[tuple[Found, SourceFile]]) -> dict[Identity, Stored | HoldfastError]:
        """What became of each file."""
        outcomes: dict[Identity, Stored | HoldfastError] = {}
        with ExitStack() as stack:
            requests = []
            for file, entry in files:
                try:
                    stream = stack.enter_context(open_regular(file.path))
                except (FileRefused, InputOutputError, NotPermitted) as error:  # it could be read a moment ago
                    outcomes[file.identity] = _Moving(error.message)
                else:
                    requests.append(self._request(file, entry, stream))
            readable = [file for file, _ in files if file.identity not in outcomes]
            # They end before the rows are compared: what they hold would count as well.
            readers = stack.enter_context(Readers(_worth(readable)))
            for file, outcome in zip(readable, store_files(readers, requests, self.session.progress), strict=True):
                outcomes[file.identity] = self._checked(file, outcome)
        return outcomes

    def _request(self, file: Found, entry: SourceFile, stream: BinaryIO) -> Request:
        part, quarantine = self._part(file, entry), quarantine_of(self.session.workspace, entry)
        for folder in (part.parent, quarantine.parent):
            folder.mkdir(parents=True, exist_ok=True)
        return Request(
            stream=stream,
            name=file.name,
            reading=Reading(
                schema=self.session.workspace.schema,
                limits=self.session.workspace.limits,
                renamed=dict(file.columns),
                sheet=file.sheet,
            ),
            destination=Destination(delivery=entry.number, part=unfinished(part), quarantine=unfinished(quarantine)),
            erased=self.erased,
        )

    def _checked(self, file: Found, outcome: Stored | HoldfastError) -> Stored | HoldfastError:
        """The outcome, unless the bytes that were read are not those that were found."""
        if isinstance(outcome, ReaderKilled):
            return _Moving(outcome.message)
        if isinstance(outcome, FileRefused):
            return _Moving("it changed while it was read") if _changed(file) else outcome
        if isinstance(outcome, Stored) and outcome.digest != file.digest:
            return _Moving("it changed while it was read")
        if isinstance(outcome, InputOutputError | NotPermitted) and outcome.file == file.name:
            return _Moving(outcome.message)
        return outcome

    def _part(self, file: Found, entry: SourceFile) -> Path:
        return part_path(self.session, entry, came_before=self.history.withdrawn(file) is not None)

    def _fresh(self, file: Found, entry: SourceFile, stored: Stored) -> Fresh:
        """The delivery as it will be committed, its two files in their places."""
        part, quarantine = self._part(file, entry), quarantine_of(self.session.workspace, entry)
        for path in (part, quarantine):  # refused rows never without the part
            move_into_place(unfinished(path), path)
        superseded = self._superseded(file)
        self.taken.rejected += stored.shown
        complete = replace(
            stored.told_in(entry),
            status="accepted",
            read_as=file.read_as,
        )
        return Fresh(file=_superseding(complete, superseded), part=part, superseded=superseded)

    def _superseded(self, file: Found) -> tuple[SourceFile, ...]:
        """What leaves for this file, unless it leaves already for another of the group: they were copies."""
        superseded = tuple(
            each for each in self.history.superseded_by(file, self.lying) if each.number not in self.leaving
        )
        self.leaving.update(each.number for each in superseded)
        return superseded

    def _commit(self, fresh: Sequence[Fresh]) -> None:
        self.taken.files += commit(self.session, self.history, fresh)

    def _settle(self, file: Found, entry: SourceFile, outcome: Stored | HoldfastError | None) -> None:
        """Record a file that gives no rows: a copy of another one, a refused one, or one that moved away."""
        if isinstance(outcome, _Moving):
            self.taken.deferred.append(f"{file.name}: left for the next time, {outcome.message}")
            return
        if isinstance(outcome, HoldfastError) and not isinstance(outcome, FileRefused):
            raise outcome
        twin = self.history.twin(file.identity) or self.history.refused_twin(file)
        if twin:
            entry = _copy_of(twin, entry)
        elif isinstance(outcome, FileRefused):
            entry = replace(entry, error=self.erased.told(outcome.record(self.session.run_id)))
        # A file that moved to another's name, as in a rotation, takes nobody's place; a copy of one that stayed does.
        changed = self.lying.copies[file.identity] > 1 and entry.status == "duplicate"
        superseded = self._superseded(file) if changed else ()
        if superseded:
            self._commit([Fresh(file=_superseding(entry, superseded), superseded=superseded)])
            return
        workspace = self.session.workspace
        self.session.ledger.record_delivery(self.session.run_id, workspace.source, workspace.schema.digest, entry)
        self.history.add(entry)
        self.taken.files.append(entry)


class _Moving(HoldfastError):
    """A file changed or vanished between being found and being read; the next run looks again."""


def _changed(file: Found) -> bool:
    try:
        return digest_of_delivery(file.path) != file.digest
    except (FileRefused, InputOutputError, NotPermitted):  # gone
        return True


def _superseding(entry: SourceFile, superseded: Sequence[SourceFile]) -> SourceFile:
    if not superseded:
        return entry
    gone = count(superseded[0].rows, "row leaves", "rows leave")
    told = (
        f"{entry.name}: supersedes the delivery of {superseded[0].received}, whose {gone} the dataset; "
        f"it has {count(entry.rows, 'row', 'rows')}"
    )
    return replace(entry, supersedes=superseded[0].number, notices=(*entry.notices, told))


def _copy_of(twin: SourceFile, entry: SourceFile) -> SourceFile:
    same = f"{entry.name}: the same bytes as {twin.name}"
    if twin.status == "refused":
        return replace(entry, error=twin.error, notices=(same,))
    return replace(
        entry, status="duplicate", rows=twin.rows, duplicate=twin.rows, read_as=twin.read_as, notices=(same,)
    )
