"""What an erasure works with, and what it has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.dataset import table_of
from holdfast.erasing.apart import ask
from holdfast.erasing.places import Places
from holdfast.erasing.tasks import DeliveredCells, words_of_erasure
from holdfast.errors import HoldfastError
from holdfast.progress import Progress
from holdfast.sources.readers import Readers
from holdfast.store.deltatable import DatasetTable
from holdfast.store.scrubbing.mention import Erasure, Mention
from holdfast.store.scrubbing.searching import name_mentions
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger

MARK = "[erased]"


@dataclass(kw_only=True)
class Work:
    """One client being erased from a workspace. In a `trial` nothing is changed, and everything is counted.

    `deliveries`: those that held the client. `cleaned`: places and how much left each. `changed`, `unreadable`:
    earlier versions of the dataset. `refused`: files that could not be changed, and why. `clean`: files that a trial
    found to hold nothing of the client once they are cleaned.
    """

    workspace: Workspace
    ledger: Ledger
    mention: Mention
    progress: Progress
    trial: bool = False
    deliveries: set[int] = field(default_factory=set)
    cleaned: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    changed: tuple[int, ...] = ()
    unreadable: tuple[int, ...] = ()
    refused: dict[Path, HoldfastError] = field(default_factory=dict)
    clean: set[Path] = field(default_factory=set)

    @cached_property
    def places(self) -> Places:
        """The folders of the workspace, and whose each file in them is."""
        return Places(self.workspace, self._is_record)

    @cached_property
    def columns(self) -> frozenset[str]:
        """What the column of client ids is called: in the schema, in Holdfast's own lists, and as it is delivered."""
        schema = self.workspace.schema
        name = schema.client.name
        delivered = (given for source in self.workspace.sources for given, meant in source.columns if meant == name)
        return frozenset({name, *delivered, *{"client"}.difference(schema.names)})

    @cached_property
    def erasure(self) -> Erasure:
        """Whom to erase, as scrubbing takes it."""
        cells = DeliveredCells(self.workspace.limits)
        return Erasure(self.mention, self.columns, headers=self.known_headers, cells=cells, copies=self.copies)

    @cached_property
    def told_erasure(self) -> dict[str, Any]:
        """The same, as a reading process is told."""
        return words_of_erasure(self.erasure, self.workspace.limits)

    @property
    def copies(self) -> Path:
        """Where copies of client data lie for a moment; the next command removes what a killed one left there."""
        return self.workspace.state_folder

    @cached_property
    def readers(self) -> Readers:
        """The processes in which files of others are read."""
        return Readers(1)

    @cached_property
    def headers(self) -> dict[int, tuple[str, ...]]:
        """The columns of each delivery."""
        return {file.number: file.header for file in self.ledger.every_delivery()}

    @cached_property
    def known_headers(self) -> frozenset[tuple[str, ...]]:
        """The columns that deliveries have."""
        return frozenset(self.headers.values())

    def tables(self) -> list[DatasetTable]:
        """The tables of every dataset in the output folder, the present one first."""
        folder = self.workspace.output_folder / "dataset"
        own = table_of(self.workspace)
        others = [each for each in sorted(folder.glob("*")) if each != own.folder and each.is_dir()]
        days, rule = self.workspace.history_days, self.workspace.conflicts
        return [own, *(DatasetTable(each, days, rule) for each in others)] if folder.is_dir() else []

    def show(self, path: Path) -> str:
        """A path as messages show it, but for the client's name: a receipt must not tell it."""
        return self.nameless(Path(self.workspace.show(path)))

    def nameless(self, path: Path) -> str:
        """A path in which what is named after the client has a mark instead; of a trial there is no receipt."""
        client = self.mention.client
        if self.trial:
            return str(path)
        return str(Path(*(n.replace(client, MARK) if name_mentions(n, self.mention) else n for n in path.parts)))

    def _is_record(self, path: Path) -> bool:
        try:
            return bool(ask(self, path, "is_record"))
        except HoldfastError:  # it is looked at again, and told of, when it is searched
            return False

    def count(self, path: Path, removed: int | None) -> None:
        """Note how many rows, lines or values left a place, if any did."""
        if removed:
            place = self.show(path)
            self.cleaned[place] = self.cleaned.get(place, 0) + removed
