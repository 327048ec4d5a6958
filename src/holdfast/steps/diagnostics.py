"""How model, data, steps and packages are: predictions, summaries, missing shares, timings, newer versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from holdfast.dataset import summary_of
from holdfast.errors import FileRefused, ModelFileDamaged, NothingDeployed, NoUsableData
from holdfast.progress import Progress, silent
from holdfast.records import ColumnSummary, Diagnosis, PackageCheck, Predictions, Timing, from_json, to_json
from holdfast.serving import deployed, predict_with
from holdfast.session import Session, begin, reading, utc_now
from holdfast.sources.packages import check_packages
from holdfast.sources.readers import Readers
from holdfast.store.files import write_file
from holdfast.store.releases import current_id
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.engines.base import Engine
    from holdfast.store.ledger import Ledger

DIAGNOSIS = "diagnostics.json"
OUTDATED = "outdated.txt"
PACKAGES = "packages.json"
TIMED_STEPS = ("ingest", "train", "score")
NOT_CHECKED = "not checked yet: run holdfast diagnose"


def diagnose(
    where: Workspace | Session,
    progress: Progress = silent,
    *,
    measured: Mapping[str, float] | None = None,
    fresh_packages: bool = True,
) -> Diagnosis:
    """Everything that the brief asks to watch, saved as diagnostics.json and logs/outdated.txt.

    `measured`: seconds of each step, when they were measured for this diagnosis. With `fresh_packages` False
    the package index is not asked: its last answer is told again, with its date.
    """
    with begin(where, "diagnose", progress) as session:
        workspace = session.workspace
        session.progress("diagnosing", 0, None)
        packages = _packages(workspace, fresh=fresh_packages)
        diagnosis = _diagnosis(workspace, session.ledger, session.engine, packages, measured or {})
        predictions, notices = _predictions(workspace, session.readers)
        diagnosis = replace(
            diagnosis,
            predictions=predictions,
            notices=(*diagnosis.notices, *notices),
            seconds=session.seconds,
        )
        write_file(workspace.model_folder / DIAGNOSIS, (json.dumps(to_json(diagnosis), indent=1) + "\n").encode())
        write_file(workspace.log_folder / OUTDATED, outdated_text(packages).encode())
        session.result = replace(diagnosis, predictions=None)
        return diagnosis


def current_diagnosis(workspace: Workspace) -> Diagnosis:
    """The diagnosis as of now, without predictions, without asking the package index, without writing anything."""
    packages = _packages(workspace, fresh=False)
    with reading(workspace) as (ledger, engine):
        diagnosis = _diagnosis(workspace, ledger, engine, packages, {})
    return replace(diagnosis, notices=(*diagnosis.notices, *_release_notices(workspace)))


def summarise(workspace: Workspace) -> tuple[ColumnSummary, ...]:
    """Rows, missing cells, mean, median, standard deviation and range of every column of finaldata.csv.

    Raises NoUsableData when nothing has been ingested.
    """
    with reading(workspace) as (ledger, engine):
        return summary_of(workspace, ledger, engine)


def outdated_text(packages: PackageCheck) -> str:
    r"""The brief's table: Package, Version, Latest, Type; or the sentence that says why there is none.

    >>> outdated_text(PackageCheck(checked="today", reachable=False, message="no index", examined=0, outdated=()))
    'no index (today)\n'
    """
    if not packages.reachable or not packages.outdated:
        return f"{packages.message} ({packages.checked})\n"
    rows = [("Package", "Version", "Latest", "Type")]
    rows += [(each.package, each.version, each.latest, each.type) for each in packages.outdated]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    rows.insert(1, ("-" * widths[0], "-" * widths[1], "-" * widths[2], "-" * widths[3]))
    lines = (" ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _diagnosis(
    workspace: Workspace,
    ledger: Ledger,
    engine: Engine,
    packages: PackageCheck,
    measured: Mapping[str, float],
) -> Diagnosis:
    columns: tuple[ColumnSummary, ...] = ()
    notices: tuple[str, ...] = ()
    try:
        columns = summary_of(workspace, ledger, engine)
    except NoUsableData as error:
        notices = (f"no summary: {error.message}",)
    return Diagnosis(
        created=utc_now(),
        release=current_id(workspace.deployment_folder),
        predictions=None,
        dataset_rows=columns[0].rows if columns else 0,
        columns=columns,
        timings=tuple(_timing(ledger, step, measured.get(step)) for step in TIMED_STEPS),
        packages=packages,
        notices=notices,
        seconds=0.0,
    )


def _predictions(workspace: Workspace, readers: Readers) -> tuple[Predictions | None, tuple[str, ...]]:
    """The deployed model's predictions for the test data, or the notice that says why there are none."""
    try:
        return predict_with(readers, workspace), ()
    except (NothingDeployed, NoUsableData, FileRefused) as error:
        return None, (f"no predictions: {error.message}",)


def _release_notices(workspace: Workspace) -> tuple[str, ...]:
    """What is wrong with the release in production, if anything is."""
    try:
        deployed(workspace)
    except (NothingDeployed, ModelFileDamaged) as error:
        return (error.message,)
    return ()


def _timing(ledger: Ledger, step: str, measured: float | None) -> Timing:
    seconds = ledger.seconds_of(step)
    return Timing(
        step=step,
        seconds=seconds[0] if seconds else None,
        median_seconds=median(seconds) if seconds else None,
        runs=len(seconds),
        measured_now=measured,
    )


def _packages(workspace: Workspace, *, fresh: bool) -> PackageCheck:
    if not fresh:
        return _last_package_check(workspace) or _not_checked()
    check = check_packages(utc_now())
    write_file(workspace.state_folder / PACKAGES, json.dumps(to_json(check)).encode())
    return check


def _not_checked() -> PackageCheck:
    return PackageCheck(checked=utc_now(), reachable=False, message=NOT_CHECKED, examined=0, outdated=())


def _last_package_check(workspace: Workspace) -> PackageCheck | None:
    path: Path = workspace.state_folder / PACKAGES
    try:
        return from_json(PackageCheck, json.loads(path.read_bytes()))
    except (OSError, ValueError):  # none yet, or not one of ours: it is written anew
        return None
