"""Rows that contradicted others and were dealt with stay out of the dataset, whatever becomes of those others."""

from __future__ import annotations

from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.dataset import SETTLED
from holdfast.intake.held import Quarantine
from holdfast.schema import DELIVERY, LINE
from holdfast.session import Session
from holdfast.store.files import replacing

PLACES = pa.schema([(DELIVERY, pa.int64()), (LINE, pa.int64())])


def settle(session: Session) -> None:
    """Note which rows were repaired, waived or taken in since the last time: from now on they are out of every view.

    Before rows are judged anew: a row whose contradiction has left would count beside what it was repaired to.
    """
    workspace, ledger = session.workspace, session.ledger
    acted_on = ledger.acted_on()
    if not acted_on:
        return
    folder = workspace.output_folder / "quarantine"
    files = sorted(folder.glob(SETTLED))
    quarantine = Quarantine(workspace, ledger)
    current = ledger.current_deliveries(workspace.source, workspace.schema.digest)
    found = {(file.number, line) for file in current for line in quarantine.of(file).settled()}
    known = {tuple(row.values()) for row in chain.from_iterable(pq.read_table(path).to_pylist() for path in files)}
    new = sorted(found - known)
    if new:
        columns = [pa.array(numbers, pa.int64()) for numbers in zip(*new, strict=True)]
        number = 1 + max((int(path.stem.rpartition("-")[2]) for path in files), default=0)
        with replacing(folder / f"settled-{number:06d}.parquet") as path:
            pq.write_table(pa.Table.from_arrays(columns, schema=PLACES), path)
