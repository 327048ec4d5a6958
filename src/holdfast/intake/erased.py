"""The clients who were erased, as ingestion has to know them: by keyed tombstones, not by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import InputOutputError
from holdfast.session import Session
from holdfast.store.tombstones import LOST_KEY, Tombstones, read_key
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """Key and tombstones of the erased clients; without a key nobody was ever erased."""

    key: bytes | None
    tombstones: frozenset[str]

    def recogniser(self) -> Tombstones | None:
        """What recognises their ids, if there are any."""
        return Tombstones(self.key, self.tombstones) if self.key and self.tombstones else None

    def tombstone_of(self, client: str) -> str | None:
        """The tombstone of a client who is erased; None for anybody else."""
        tombstone = Tombstones(self.key, frozenset()).tombstone_of(client) if self.key else None
        return tombstone if tombstone in self.tombstones else None


def erased_clients(session: Session) -> Erased:
    """The tombstones of all erased clients.

    Raises InputOutputError when there are some and their key is gone.
    """
    return erased_from(session.workspace, session.ledger)


def erased_from(workspace: Workspace, ledger: Ledger) -> Erased:
    """The same, for who only reads."""
    path = workspace.erasure_key_file
    key, tombstones = read_key(path), ledger.tombstones()
    if tombstones and key is None:
        raise InputOutputError("the key of the erased clients is gone", file=str(path), hint=LOST_KEY)
    return Erased(key=key, tombstones=tombstones)
