"""The deliveries so far: by their bytes, and by the names that they were seen under."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.dataset import current_files
from holdfast.intake.finding import Found, Lying
from holdfast.records import SourceFile
from holdfast.session import Session
from holdfast.sources.kinds import Kind, kind_of_name

Place = tuple[str, str]
"""A folder or source, and a name in it."""


class History:
    """The deliveries to one dataset so far, and which of them it is made of now."""

    def __init__(self, deliveries: Sequence[SourceFile], current: Sequence[SourceFile]) -> None:
        self._current = {file.digest: file for file in current}
        self._digests: dict[Place, str] = {}
        self._places: dict[str, Place] = {}
        self._refusals: dict[tuple[Place, str], SourceFile] = {}
        self._refused: dict[tuple[str, Kind | None, str, str], SourceFile] = {}
        for file in deliveries:
            self._note(file)

    @classmethod
    def of(cls, session: Session) -> History:
        """The history that the ledger keeps."""
        deliveries = session.ledger.deliveries(session.workspace.source, session.workspace.schema.digest)
        return cls(deliveries, current_files(session))

    @property
    def current(self) -> tuple[SourceFile, ...]:
        """The deliveries that the dataset is made of, oldest first."""
        return tuple(sorted(self._current.values(), key=lambda file: file.number))

    def knows(self, found: Found) -> bool:
        """True if this very file was dealt with, and its rows were not superseded since."""
        place = found.folder, found.name
        if self._digests.get(place) == found.digest:
            return self.twin_of(found) is not None
        refusal = self._refusals.get((place, found.digest))
        return refusal is not None and refusal.read_as == found.refused_as

    def twin(self, digest: str) -> SourceFile | None:
        """The current delivery with this digest."""
        return self._current.get(digest)

    def twin_of(self, found: Found) -> SourceFile | None:
        """The current delivery of which a file is a copy; not itself, when its source now says to read it otherwise."""
        current = self.twin(found.digest)
        otherwise = current and current.read_as != found.read_as
        return None if otherwise and self._places[found.digest] == (found.folder, found.name) else current

    def refused_twin(self, found: Found) -> SourceFile | None:
        """The refused delivery of which a file is a copy under another name.

        What was refused elsewhere, or as a file of another kind, may be readable here and now.
        """
        return self._refused.get((found.folder, kind_of_name(found.name), found.digest, found.refused_as))

    def superseded_by(self, found: Found, lying: Lying) -> tuple[SourceFile, ...]:
        """The current delivery whose bytes were the last ones under this name, and what repaired it; unless those
        bytes still lie there under any name.

        The same file read in another way is superseded by itself.
        """
        last = self._current.get(self._digests.get((found.folder, found.name), ""))
        if last is None or last.repairs:
            return ()
        stays = self.twin_of(found) if last.digest == found.digest else lying.copies[last.digest]
        return () if stays else self.with_repairs([last])

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
            del self._current[gone.digest]
        if file.status == "accepted":
            self._current[file.digest] = file

    def _note(self, file: SourceFile) -> None:
        """Of a name its last bytes count, of some bytes their last name; what was refused changes neither."""
        place = file.folder, file.name
        if file.status == "refused":
            self._refusals[place, file.digest] = self._refused[_as_read(file)] = file
        else:
            self._digests[place], self._places[file.digest] = file.digest, place


def _as_read(file: SourceFile) -> tuple[str, Kind | None, str, str]:
    return file.folder, kind_of_name(file.name), file.digest, file.read_as
