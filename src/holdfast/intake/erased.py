"""The clients who were erased, as ingestion has to know them: by keyed tombstones, not by name."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import InputOutputError
from holdfast.session import Session
from holdfast.store.tombstones import LOST_KEY, Tombstones, read_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """Key and tombstones of the erased clients; without a key nobody was ever erased."""

    key: bytes | None
    tombstones: frozenset[str]

    def recogniser(self) -> Tombstones | None:
        """What recognises their ids, if there are any."""
        return Tombstones(self.key, self.tombstones) if self.key and self.tombstones else None


def erased_clients(session: Session) -> Erased:
    """The tombstones of all erased clients.

    Raises InputOutputError when there are some and their key is gone.
    """
    path = session.workspace.erasure_key_file
    key, tombstones = read_key(path), session.ledger.tombstones()
    if tombstones and key is None:
        raise InputOutputError("the key of the erased clients is gone", file=str(path), hint=LOST_KEY)
    return Erased(key=key, tombstones=tombstones)
