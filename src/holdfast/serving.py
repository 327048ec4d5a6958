"""The model in production, verified before it answers, and its answers for the rows of a file location."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from holdfast.errors import (
    ConfigurationError,
    LocationRefused,
    NothingDeployed,
    NoUsableData,
    TooLarge,
    excerpt,
    nearest,
)
from holdfast.limits import Limits
from holdfast.records import Prediction, Predictions, RejectedRow, Release, RiskModel
from holdfast.risk.linear import log_odds, probability
from holdfast.risk.rows import client_ids, feature_values
from holdfast.schema import Schema
from holdfast.sources.apart import open_apart
from holdfast.sources.files import did_you_mean, list_folder, name_of, open_beneath
from holdfast.sources.parsed import Reading
from holdfast.sources.readers import Readers
from holdfast.store.modelfile import parse_model
from holdfast.store.releases import MODEL_FILE, PinnedRelease, pin_current
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

ON_THE_COMMAND_LINE = "clients in any number are ranked on the command line: holdfast assess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The most that one call of `predict` takes: bytes and rows of all files together, seconds to read each."""

    bytes: int
    rows: int
    seconds: int = 120


@dataclass(frozen=True, slots=True)
class Deployed:
    """One release and the model in it."""

    pinned: PinnedRelease
    model: RiskModel

    @property
    def release(self) -> Release:
        """Who, when, why, and the digests."""
        return self.pinned.release


def deployed(workspace: Workspace) -> Deployed:
    """The model in production now.

    Raises NothingDeployed before the first release, ModelFileDamaged when its files are not those released,
    ConfigurationError when the schema has changed since it was trained.
    """
    pinned = pin_current(workspace.deployment_folder)
    if pinned is None:
        raise NothingDeployed("no model is deployed yet", hint="run: holdfast run")
    model = parse_model(pinned.read(MODEL_FILE), workspace.show(pinned.folder / MODEL_FILE))
    if model.schema_digest != workspace.schema.digest:
        message = f"release {pinned.release.id} was trained on another schema than config.json describes"
        raise ConfigurationError(message, hint="run: holdfast run (it trains anew), or restore the schema")
    return Deployed(pinned, model)


def predict(workspace: Workspace, location: str | None = None, limit: Limit | None = None) -> Predictions:
    """Prediction, probability and client of every row at `location`: a data file or folder of the workspace.

    A location is relative to the workspace; the workspace's own absolute path may stand before it; a bare file name
    is looked for in the data folders; None means the test data, or finaldata.csv where test clients are held out of
    it. Raises LocationRefused for anything outside the data folders, NothingDeployed before the first release,
    FileRefused for a file that cannot be read, TooLarge as soon as more than `limit` has been found.
    """
    with Readers(1) as readers:
        return predict_with(readers, workspace, location, limit)


def predict_with(
    readers: Readers, workspace: Workspace, location: str | None = None, limit: Limit | None = None
) -> Predictions:
    """What `predict` answers, the files read by these reading processes."""
    current = deployed(workspace)
    folder, relative = resolve(workspace, location)
    shown = workspace.show(folder / relative)
    predictions: list[Prediction] = []
    rejected: list[RejectedRow] = []
    with ExitStack() as stack:
        streams = [(name, stack.enter_context(stream)) for name, stream in _streams(folder, relative)]
        if not streams:
            raise NoUsableData("there is no data file at this location", file=shown)
        size = sum(os.fstat(stream.fileno()).st_size for _, stream in streams)
        if limit and size > limit.bytes:
            raise TooLarge(f"more than {limit.bytes:,} bytes", file=shown, hint=ON_THE_COMMAND_LINE)
        reading = Reading(schema=workspace.schema, limits=_limits(workspace, limit), target_required=False)
        for name, stream in streams:
            with open_apart(readers, stream, name, reading) as delivered:
                for parsed in delivered:
                    predictions += _predictions(current.model, parsed.rows, workspace.schema)
                    rejected += parsed.rejected
                    if limit and len(predictions) + len(rejected) > limit.rows:
                        raise TooLarge(f"more than {limit.rows:,} rows", file=shown, hint=ON_THE_COMMAND_LINE)
    return Predictions(
        release=current.release.id,
        location=shown,
        rows=len(predictions),
        quarantined=len(rejected),
        predictions=tuple(predictions),
        rejected=tuple(rejected),
    )


def _limits(workspace: Workspace, limit: Limit | None) -> Limits:
    limits = workspace.limits
    if limit is None:
        return limits
    unpacked, seconds = min(limits.unpacked_bytes, limit.bytes), min(limits.seconds, limit.seconds)
    return replace(limits, unpacked_bytes=unpacked, seconds=seconds)


def _predictions(model: RiskModel, rows: pa.RecordBatch, schema: Schema) -> Iterator[Prediction]:
    """The model's answers for some rows, in their order."""
    odds = log_odds(model, feature_values(rows, schema))
    answers = zip(client_ids(rows, schema), probability(odds).tolist(), (odds > 0).tolist(), strict=True)
    return (Prediction(client=c, probability=p, prediction=int(exits)) for c, p, exits in answers)


def resolve(workspace: Workspace, location: str | None) -> tuple[Path, PurePosixPath]:
    """The data folder that `location` lies in and the path below it ("." for the folder itself).

    Decides on the text alone; `open_beneath` then walks the path without following a link.
    """
    if location is None:
        folder = workspace.existing(workspace.test_folder, "test_data_path")
        no_test_files = workspace.holdout > 0 and not list_folder(folder).files
        return (workspace.output_folder, PurePosixPath("finaldata.csv")) if no_test_files else (folder, PurePosixPath())
    path = _relative_to_root(workspace, location)
    for folder in workspace.data_folders:
        below = folder.relative_to(workspace.root) if folder.is_relative_to(workspace.root) else None
        if below is not None and path.is_relative_to(PurePosixPath(below)):
            return folder, path.relative_to(PurePosixPath(below))
    if len(path.parts) == 1:
        for folder in workspace.data_folders:
            if _is_regular_file(folder / path):
                return folder, path
    shown = [workspace.show(folder) for folder in workspace.data_folders]
    files = (did_you_mean(path.name, folder) for folder in workspace.data_folders)
    close = nearest(path.parts[0], shown) if path.parts else None
    hint = (
        f"did you mean '{close}'?"
        if close
        else next((each for each in files if each), None)
        or f"a CSV file of {', '.join(shown)}, or no location for the test data"
    )
    raise LocationRefused("not a location of the workspace's data", file=excerpt(location), hint=hint)


def _relative_to_root(workspace: Workspace, location: str) -> PurePosixPath:
    printable = location.isprintable() and location.strip() and "\\" not in location
    if not printable or ":" in location.split("/", 1)[0]:
        hint = "name a CSV file relative to the workspace, like testdata/testdata.csv; URLs are not opened"
        raise LocationRefused("not a file location", file=excerpt(location), hint=hint)
    root = workspace.root.as_posix().rstrip("/") + "/"
    path = PurePosixPath(location.removeprefix(root).strip("/"))
    if ".." in path.parts:
        raise LocationRefused("a location cannot go up", file=excerpt(location), hint="leave out the '..'")
    return path


def _is_regular_file(path: Path) -> bool:
    """Decided without following a link, so nothing is told about what lies outside."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:  # not there, or a name that no file can have
        return False


def _streams(folder: Path, relative: PurePosixPath) -> Iterator[tuple[str, BinaryIO]]:
    if relative.parts:
        if not folder.is_dir():
            raise LocationRefused("there is no such folder yet", file=excerpt(folder.name), hint="run: holdfast run")
        yield relative.name, open_beneath(folder, relative)
        return
    for path in list_folder(folder).files:
        yield name_of(path), open_beneath(folder, PurePosixPath(path.name))
