"""Rows that contradicted others and were dealt with stay out of the dataset, whatever becomes of those others."""

from __future__ import annotations

from collections.abc import Sequence, Set

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.dataset import SETTLED, settled_places
from holdfast.intake.held import Quarantine
from holdfast.records import SourceFile
from holdfast.schema import DELIVERY, LINE
from holdfast.session import Session
from holdfast.store.files import replacing

PLACES = pa.schema([(DELIVERY, pa.int64()), (LINE, pa.int64())])


def settle(session: Session) -> None:
    """Note which rows were repaired, waived or taken in since the last time: from now on they are out of every view.

    Before rows are judged anew: a row whose contradiction has left would count beside what it was repaired to. The
    ledger keeps them; where the output folder was lost, it tells the new one, and a lost ledger is told by the folder.
    """
    workspace, ledger = session.workspace, session.ledger
    known = ledger.settled()
    found = set[tuple[int, int]]()
    if ledger.acted_on():
        quarantine = Quarantine(workspace, ledger)
        current = ledger.current_deliveries(workspace.source, workspace.schema.digest)
        found = {(file.number, line) for file in current for line in quarantine.of(file).settled()}
    _note(session, known | found)


def settle_alike(session: Session, files: Sequence[SourceFile]) -> None:
    """Note the rows of new deliveries that were dealt with when the same bytes came under another schema."""
    known = session.ledger.settled()
    if not known:
        return
    others = [each for each in session.ledger.every_delivery() if _has_lines(each)]
    new = set[tuple[int, int]]()
    for file in filter(_has_lines, files):
        alike = {
            each.number
            for each in others
            if (each.folder, each.identity, each.header) == (file.folder, file.identity, file.header)
        }
        new |= {(file.number, line) for number, line in known if number in alike}
    _note(session, known | new)


def forget_lines(session: Session, delivery: int) -> None:
    """A file comes again from which a client was erased since, so that its rows stand in other lines: what was done to
    those of its old lines holds no longer.
    """
    session.ledger.forget_lines(delivery)
    places = frozenset(place for place in settled_places(session.workspace) if place[0] != delivery)
    for path in (session.workspace.output_folder / "quarantine").glob(SETTLED):
        path.unlink()
    _note(session, places)


def _has_lines(file: SourceFile) -> bool:
    """True unless its rows come in any order, as those of a table, or lines went from it with an erased client."""
    return file.status == "accepted" and file.size > 0 and not file.former and not file.repairs


def _note(session: Session, places: Set[tuple[int, int]]) -> None:
    told = settled_places(session.workspace)
    if places or told:
        session.ledger.settle(places | told)
    new = sorted(places - told)
    if new:
        folder = session.workspace.output_folder / "quarantine"
        folder.mkdir(parents=True, exist_ok=True)
        numbers = (int(path.stem.rpartition("-")[2]) for path in folder.glob(SETTLED))
        columns = [pa.array(numbers_of, pa.int64()) for numbers_of in zip(*new, strict=True)]
        with replacing(folder / f"settled-{1 + max(numbers, default=0):06d}.parquet") as path:
            pq.write_table(pa.Table.from_arrays(columns, schema=PLACES), path)
