"""The deliveries so far: by their bytes, and by the names that they were seen under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.dataset import current_files
from holdfast.intake.finding import Found, Lying
from holdfast.records import SourceFile
from holdfast.records.data import Identity
from holdfast.session import Session
from holdfast.sources.kinds import Kind, kind_of_name

Place = tuple[str, str]
"""A folder or source, and a name in it."""

NEVER = 2**63
"""Later than every delivery so far."""


class History:
    """The deliveries to one dataset so far, and which of them it is made of now.

    `last_came`: when the bytes came last that were delivered from this input folder under any schema, as the number
    of that delivery.
    """

    def __init__(
        self, deliveries: Sequence[SourceFile], current: Sequence[SourceFile], last_came: Mapping[str, int]
    ) -> None:
        self._current = {file.number: file for file in current}
        self._twins = {file.identity: file.number for file in current}
        self._last: dict[Place, Identity] = {}
        self._refusals: dict[tuple[Place, str], SourceFile] = {}
        self._refused: dict[tuple[str, Kind | None, str, str], SourceFile] = {}
        self._last_came = last_came
        placed = {*self._current, *(file.supersedes for file in deliveries)}
        self._withdrawn = {
            file.identity: file for file in deliveries if file.status == "accepted" and file.number not in placed
        }
        for file in deliveries:
            self._note(file)

    @classmethod
    def of(cls, session: Session) -> History:
        """The history that the ledger keeps."""
        source = session.workspace.source
        deliveries = session.ledger.deliveries(source, session.workspace.schema.digest)
        return cls(deliveries, current_files(session), session.ledger.last_came(source))

    @property
    def current(self) -> tuple[SourceFile, ...]:
        """The deliveries that the dataset is made of, oldest first."""
        return tuple(self._current[number] for number in sorted(self._current))

    def knows(self, found: Found) -> bool:
        """True if this very file was dealt with, its rows were not superseded since, and it is not outdated."""
        place = found.folder, found.name
        if self._last.get(place) == found.identity:
            return self.twin(found.identity) is not None
        refusal = self._refusals.get((place, found.digest))
        return refusal is not None and refusal.read_as == found.refused_as

    def twin(self, identity: Identity) -> SourceFile | None:
        """The current delivery with these bytes, read in this way."""
        file = self._current.get(self._twins.get(identity, 0))
        return None if file is None or file.outdated else file

    def refused_twin(self, found: Found) -> SourceFile | None:
        """The refused delivery of which a file is a copy under another name.

        What was refused elsewhere, or as a file of another kind, may be readable here and now.
        """
        return self._refused.get((found.folder, kind_of_name(found.name), found.digest, found.refused_as))

    def withdrawn(self, found: Found) -> SourceFile | None:
        """The delivery that this file is, if its rows were lost or outdated: it comes again under its old number."""
        return self._withdrawn.get(found.identity)

    def turn(self, found: Found) -> int:
        """When a file's turn is, among others that are to be taken: as it came before, or after all those.

        Where the last row counts, another order would give another dataset.
        """
        before = self.withdrawn(found)
        return before.number if before else self._last_came.get(found.digest, NEVER)

    def superseded_by(self, found: Found, lying: Lying) -> tuple[SourceFile, ...]:
        """The current delivery that was the last one under this name, and what repaired it; unless the same bytes are
        still to be read in the same way under any name.
        """
        identity = self._last.get((found.folder, found.name), ("", ""))
        last = self._current.get(self._twins.get(identity, 0))
        if last is None or last.repairs or lying.copies[identity]:
            return ()
        return self.with_repairs([last])

    def with_repairs(self, files: Sequence[SourceFile]) -> tuple[SourceFile, ...]:
        """Some current deliveries, those that hold repaired rows of theirs, and so on."""
        numbers = {file.number for file in files}
        repairs: list[SourceFile] = []
        for file in self.current:  # a repair comes after what it repairs
            if file.repairs in numbers:
                numbers.add(file.number)
                repairs.append(file)
        return (*files, *repairs)

    def add(self, file: SourceFile, superseded: Sequence[SourceFile] = ()) -> None:
        """A file was dealt with."""
        self._note(file)
        for gone in superseded:
            del self._current[gone.number]
        if file.status == "accepted":
            self._current[file.number] = file
            self._twins[file.identity] = file.number
            self._withdrawn.pop(file.identity, None)

    def _note(self, file: SourceFile) -> None:
        """Of a name its last bytes count; what was refused does not change them."""
        place = file.folder, file.name
        if file.status == "refused":
            self._refusals[place, file.digest] = self._refused[_as_read(file)] = file
        else:
            self._last[place] = file.identity


def _as_read(file: SourceFile) -> tuple[str, Kind | None, str, str]:
    return file.folder, kind_of_name(file.name), file.digest, file.read_as
