"""The clients who were erased, as ingestion has to know them: by keyed tombstones, not by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import InputOutputError
from holdfast.intake.named import told_without
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

    def told(self, error: Mapping[str, Any]) -> dict[str, Any]:
        """The record of an error about a file as it may be kept: without erased clients (see `told_without`).

        Of a value that was cut off nobody can tell whose id it begins, so it goes.
        """
        erased = self.recogniser()
        if erased is None:
            return dict(error)
        return told_without(error, partial(_erased_among, erased, self.tombstones), lambda _: True)

    def tombstone_of(self, client: str) -> str | None:
        """The tombstone of a client who is erased; None for anybody else."""
        tombstone = Tombstones(self.key, frozenset()).tombstone_of(client) if self.key else None
        return tombstone if tombstone in self.tombstones else None


def erased_clients(session: Session) -> Erased:
    """The tombstones of all erased clients. A ledger that lost them learns them again from the receipts.

    Raises InputOutputError when there are some and their key is gone.
    """
    _learn_from_receipts(session)
    return erased_from(session.workspace, session.ledger)


def erased_from(workspace: Workspace, ledger: Ledger) -> Erased:
    """The same, for who only reads."""
    path = workspace.erasure_key_file
    key, tombstones = read_key(path), ledger.tombstones()
    if tombstones and key is None:
        raise InputOutputError("the key of the erased clients is gone", file=str(path), hint=LOST_KEY)
    return Erased(key=key, tombstones=tombstones)


def _erased_among(erased: Tombstones, tombstones: Set[str], ids: Set[str]) -> Set[str]:
    return {each for each in ids if erased.tombstone_of(each) in tombstones}


def _learn_from_receipts(session: Session) -> None:
    """Enter erasures of which only the receipts tell: the ledger is a new one, or came from a backup."""
    known = session.ledger.every_tombstone()
    paths = sorted(session.workspace.receipts_folder.glob("*.json"), key=lambda path: (len(path.name), path.name))
    # The last receipt about a client may be that of an erasure undone.
    last = {receipt["tombstone"]: receipt for receipt in map(_receipt_in, paths) if receipt}
    for tombstone, receipt in last.items():
        if tombstone not in known and "erased" in receipt:
            session.ledger.restore_erasure(session.run_id, receipt["erased"], tombstone, receipt)


def _receipt_in(path: Path) -> dict[str, Any] | None:
    """What a receipt says; None for a file that is none."""
    try:
        receipt = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return receipt if isinstance(receipt, dict) and isinstance(receipt.get("tombstone"), str) else None
