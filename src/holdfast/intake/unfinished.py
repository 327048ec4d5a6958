"""What an ingestion that was killed left for the next one to finish: looked at and told; nothing is mended here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from holdfast.dataset import FINAL_DATA, INGESTED_FILES, dataset_digest, table_of
from holdfast.records import SourceFile
from holdfast.render.words import count
from holdfast.store.brieffiles import dataset_in
from holdfast.store.files import is_locked
from holdfast.workspace import Conflicts, Workspace

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger

AT_WORK = "a command is at work: what it takes in shows here when it has ended"


def unfinished_text(workspace: Workspace, ledger: Ledger) -> str | None:
    """That the last ingestion did not end, in what that shows, and what finishes it; None when it did.

    Where another command is at work at this moment, that is said instead. Reads the log of the dataset's table, the
    ledger and ingestedfiles.txt, and changes nothing.
    """
    found = next(_left_to_do(workspace, ledger), None)
    if found is None:
        return None
    if is_locked(workspace.state_folder / "lock"):
        return AT_WORK
    return f"the last ingestion did not end ({found}): run holdfast ingest to finish it"


def _left_to_do(workspace: Workspace, ledger: Ledger) -> Iterator[str]:
    dataset = workspace.source, workspace.schema.digest
    claims, current, table = ledger.claims(*dataset), ledger.current_deliveries(*dataset), table_of(workspace)
    if (workspace.state_folder / "mending").exists():
        yield "the dataset is being mended"
    known = ledger.numbers()
    came = [file for file in table.delivered_after(claims.delivered_in) if file.number not in known]
    if came:
        yield f"the dataset has {count(len(came), 'delivery', 'deliveries')} that the ledger does not know"
    left = table.left_after(claims.delivered_in)
    if any(left.get(file.number, 0) > (file.version or 0) for file in current):
        yield "deliveries left the dataset that the ledger still counts"
    if current and not ledger.unfinished_erasures() and not _shown(workspace, ledger, current):
        yield f"{FINAL_DATA} does not show the dataset as it is"


def _shown(workspace: Workspace, ledger: Ledger, files: Sequence[SourceFile]) -> bool:
    """False if finaldata.csv shows these deliveries as they were before; another dataset there is not unfinished."""
    final_data, record = workspace.output_folder / FINAL_DATA, workspace.output_folder / INGESTED_FILES
    shown = dataset_in(record.read_text("utf-8", "replace")) if record.is_file() else None
    if shown is None or not final_data.is_file():
        return False
    erased = ledger.tombstone_changes()
    if any(shown == dataset_digest(replace(workspace, conflicts=rule), files, erased) for rule in get_args(Conflicts)):
        return True
    before = ledger.dataset(shown)
    ours = {file.number for file in ledger.deliveries(workspace.source, workspace.schema.digest)}
    return before is not None and ours.isdisjoint(before.deliveries)
