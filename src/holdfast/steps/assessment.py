"""Every current client ranked by the deployed model: whom to call first, and why."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from holdfast.dataset import current_files, current_view, describe
from holdfast.errors import NoUsableData, UsageError
from holdfast.formulas import safe_cell
from holdfast.intake.reconciling import reconcile
from holdfast.progress import Progress, silent
from holdfast.records import Assessment, ClientRisk, to_json
from holdfast.risk.linear import contributions, log_odds, probability
from holdfast.risk.rows import client_ids, feature_values
from holdfast.schema import Schema
from holdfast.serving import Deployed, deployed
from holdfast.session import Session, begin, utc_now
from holdfast.store.files import digest_of, write_file
from holdfast.workspace import Workspace

LIST_NAME = "assessment"


def assess(where: Workspace | Session, progress: Progress = silent, *, out: Path | str | None = None) -> Assessment:
    """Score every current client (the newest row of each, unless it says that the client exited).

    Writes assessment.csv and assessment.json to output_model_path, or one file to `out` (.csv or .json).
    Raises NothingDeployed before the first release, NoUsableData when there is no current client.
    """
    with begin(where, "assess", progress) as session:
        workspace = session.workspace
        targets = _targets(workspace, None if out is None else Path(out).absolute())
        current = deployed(workspace)
        reconcile(session)
        files = current_files(session)
        rows = _current_clients(session, workspace.schema) if files else None
        if rows is None or rows.num_rows == 0:
            raise NoUsableData("there is no current client to assess", hint="run: holdfast ingest")
        session.progress("assessing", rows.num_rows, rows.num_rows)
        dataset = describe(workspace, session.ledger, session.engine, files)
        assessment = _assessment(workspace, current, rows, dataset.digest)
        assessment = replace(
            assessment, files=tuple(workspace.show(target) for target in targets), seconds=session.seconds
        )
        contents = {".csv": list_csv(assessment).encode(), ".json": _json(assessment)}
        for target in targets:
            write_file(target, contents[target.suffix])
        session.ledger.record_assessment(session.run_id, assessment, digest_of(contents[".csv"]))
        session.result = replace(assessment, clients=assessment.clients[:20])
        return assessment


def list_csv(assessment: Assessment) -> str:
    """The list as CSV (RFC 4180): rank, client, probability, each feature, and each feature's contribution.

    Text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    contributing = [f"contribution_{feature}" for feature in assessment.features]
    writer.writerow(
        [safe_cell(name) for name in ("rank", "client", "probability", *assessment.features, *contributing)]
    )
    for client in assessment.clients:
        numbers = ("" if value is None else _plain(value) for value in client.values)
        shares = (f"{share:.6f}" for share in client.contributions)
        writer.writerow([client.rank, safe_cell(client.client), f"{client.probability:.6f}", *numbers, *shares])
    return text.getvalue()


def _targets(workspace: Workspace, out: Path | None) -> tuple[Path, ...]:
    if out is None:
        return tuple(workspace.model_folder / f"{LIST_NAME}{suffix}" for suffix in (".csv", ".json"))
    if out.suffix not in {".csv", ".json"}:
        raise UsageError("a list is written as .csv or .json", file=str(out), hint="name the file like clients.csv")
    workspace.refuse_own_place(out)
    if not out.parent.is_dir():
        raise UsageError("there is no such folder", file=str(out.parent), hint="make it first")
    return (out,)


def _current_clients(session: Session, schema: Schema) -> pa.Table:
    batches = list(session.engine.newest(current_view(session.workspace)))
    rows = pa.Table.from_batches(batches)
    gone = pc.fill_null(pc.equal(rows.column(schema.target.name), 1), False)
    return rows.filter(pc.invert(gone))


def _assessment(workspace: Workspace, current: Deployed, rows: pa.Table, digest: str) -> Assessment:
    values = feature_values(rows, workspace.schema)
    risk = probability(log_odds(current.model, values))
    base, shares = contributions(current.model, values)
    ids, risks = client_ids(rows, workspace.schema), risk.tolist()
    # Equal risks are ordered by client id, so that the same data gives the same list.
    order = sorted(range(len(ids)), key=lambda row: (-risks[row], ids[row]))
    return Assessment(
        release=current.release.id,
        model_digest=current.release.model_digest,
        dataset_digest=digest,
        created=utc_now(),
        features=current.model.features,
        base=base,
        expected_exits=float(risk.sum()),
        clients=tuple(
            ClientRisk(client=client, rank=rank, probability=p, values=_row(numbers), contributions=tuple(parts))
            for rank, (client, p, numbers, parts) in enumerate(
                zip(
                    [ids[row] for row in order],
                    risk[order].tolist(),
                    values[order].tolist(),
                    shares[order].tolist(),
                    strict=True,
                ),
                1,
            )
        ),
        files=(),
        notices=(),
        seconds=0.0,
    )


def _row(numbers: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(number) else number for number in numbers)


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _json(assessment: Assessment) -> bytes:
    return (json.dumps(to_json(assessment)) + "\n").encode()
