"""Labelled clients to judge models on, and a model's scorecard on them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from holdfast.dataset import FINAL_DATA
from holdfast.errors import NoUsableData
from holdfast.records import Curves, RiskModel, Scorecard
from holdfast.risk.linear import log_odds
from holdfast.risk.metrics import confusion, curves, scores
from holdfast.risk.rows import client_ids, feature_values, labels
from holdfast.sources.files import list_folder
from holdfast.sources.parsed import Reading
from holdfast.sources.readers import Readers
from holdfast.sources.table import TableRead, read_deliveries, read_files
from holdfast.store.modelfile import model_digest
from holdfast.workspace import Workspace

HASH_STEPS = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Labelled rows as a model sees them: log-odds (n,) beside what happened (n,)."""

    log_odds: NDArray[np.float64]
    exited: NDArray[np.int8]

    @property
    def curves(self) -> Curves:
        """What the report draws."""
        return curves(self.exited, self.log_odds)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestData:
    """The test rows: read from the files of `test_data_path`, or held out of finaldata.csv."""

    table: TableRead
    description: str
    held_out: bool


def holdout_mask(workspace: Workspace, clients: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows (n,) belong to clients that are kept out of training, by a hash of their id.

    All False when the setting `holdout` is 0 or the test folder holds files of its own.
    """
    if workspace.holdout == 0 or _test_files(workspace):
        return np.zeros(len(clients), dtype=bool)
    hashes = (hashlib.blake2b(client.encode("utf-8", "surrogatepass"), digest_size=4).digest() for client in clients)
    shares = np.fromiter((int.from_bytes(h) for h in hashes), dtype=np.float64, count=len(clients)) / HASH_STEPS
    mask: NDArray[np.bool_] = shares < workspace.holdout
    return mask


def read_test_data(workspace: Workspace, readers: Readers) -> TestData:
    """The labelled clients that models are scored on; the files of `test_data_path` are read by `readers`.

    Raises NoUsableData when there are none, FileRefused for a test file that cannot be read.
    """
    files = _test_files(workspace)
    if files:
        table = read_deliveries(files, Reading(schema=workspace.schema, limits=workspace.limits), readers)
        names = ", ".join(table.names)
        return TestData(table=table, description=f"{workspace.show(workspace.test_folder)}: {names}", held_out=False)
    folder = workspace.existing(workspace.test_folder, "test_data_path")
    if workspace.holdout == 0:
        hint = 'put labelled clients there, or set "holdout" to score on a share of the clients themselves'
        raise NoUsableData("there is no CSV file to score on", file=workspace.show(folder), hint=hint)
    final_data = workspace.output_folder / FINAL_DATA
    if not final_data.is_file():
        raise NoUsableData("there is no dataset yet", file=workspace.show(final_data), hint="run: holdfast ingest")
    table = read_files([final_data], workspace.schema)
    mask = holdout_mask(workspace, client_ids(table.rows, workspace.schema))
    held_out = TableRead(
        rows=table.rows.filter(pa.array(mask)),
        rejected=(),
        notices=(),
        digest=table.digest,
        names=table.names,
    )
    share = f"{workspace.holdout:.0%} of the clients, held out of training by a hash of their id"
    return TestData(table=held_out, description=share, held_out=True)


def prepare_to_read_test_data(workspace: Workspace, readers: Readers) -> None:
    """Let the process that is to read the test files start while something else is done."""
    if _test_files(workspace):
        readers.prepare()


def judge(model: RiskModel, rows: pa.Table, workspace: Workspace) -> Judgement:
    """The model's log-odds for the labelled rows."""
    known, exited = labels(rows, workspace.schema)
    return Judgement(log_odds=log_odds(model, feature_values(rows, workspace.schema)[known]), exited=exited)


def scorecard(model: RiskModel, judgement: Judgement, workspace: Workspace, data: str, data_digest: str) -> Scorecard:
    """Every metric of `model` on the judged rows, each with n and a 95 % interval."""
    return Scorecard(
        model_digest=model_digest(model),
        data=data,
        data_digest=data_digest,
        rows=len(judgement.exited),
        exited=int(judgement.exited.sum()),
        capacity=workspace.capacity,
        confusion=confusion(judgement.exited, (judgement.log_odds > 0).astype(np.int8)),
        metrics=scores(judgement.exited, judgement.log_odds, workspace.capacity),
        overlap=0,
        quarantined=0,
        notices=(),
        seconds=0.0,
    )


def _test_files(workspace: Workspace) -> tuple[Path, ...]:
    return list_folder(workspace.test_folder).files if workspace.test_folder.is_dir() else ()
