"""The deliveries so far: by their bytes, with the name that each was last seen under."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.dataset import current_files
from holdfast.intake.finding import Found, Lying
from holdfast.records import SourceFile
from holdfast.session import Session
from holdfast.sources.kinds import Kind, kind_of_name


class History:
    """The deliveries to one dataset so far, and which of them it is made of now."""

    def __init__(self, deliveries: Sequence[SourceFile], current: Sequence[SourceFile]) -> None:
        self._current = {file.digest: file for file in current}
        self._seen = {(file.folder, file.name, file.digest): file for file in deliveries}
        self._names = {file.digest: (file.folder, file.name) for file in deliveries}
        self._refused = {_as_read(file): file for file in deliveries if file.status == "refused"}

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
        earlier = self._seen.get((found.folder, found.name, found.digest))
        if earlier is None or earlier.status == "refused":
            return earlier is not None and earlier.read_as == found.refused_as
        return self.twin_of(found) is not None

    def twin(self, digest: str) -> SourceFile | None:
        """The current delivery with this digest."""
        return self._current.get(digest)

    def twin_of(self, found: Found) -> SourceFile | None:
        """The current delivery of which a file is a copy; not itself, when its source now says to read it otherwise."""
        current = self.twin(found.digest)
        otherwise = current and current.read_as != found.read_as
        return None if otherwise and self._names[found.digest] == (found.folder, found.name) else current

    def refused_twin(self, found: Found) -> SourceFile | None:
        """The refused delivery of which a file is a copy under another name.

        What was refused elsewhere, or as a file of another kind, may be readable here and now.
        """
        return self._refused.get((found.folder, kind_of_name(found.name), found.digest, found.refused_as))

    def superseded_by(self, found: Found, lying: Lying) -> tuple[SourceFile, ...]:
        """The current delivery last seen under this name, unless its bytes still lie there, and what repaired it.

        The same file read in another way is superseded by itself.
        """
        place = found.folder, found.name
        left = (f for d, f in self._current.items() if d == found.digest or not lying.copies[d])
        gone = [file for file in left if self._names[file.digest] == place and not file.repairs]
        return self.with_repairs(gone[:1])

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
        self._seen[file.folder, file.name, file.digest] = file
        self._names[file.digest] = file.folder, file.name
        for gone in superseded:
            del self._current[gone.digest]
        if file.status == "accepted":
            self._current[file.digest] = file
        elif file.status == "refused":
            self._refused[_as_read(file)] = file


def _as_read(file: SourceFile) -> tuple[str, Kind | None, str, str]:
    return file.folder, kind_of_name(file.name), file.digest, file.read_as
