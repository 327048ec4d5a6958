"""The model in production, verified before it answers, and its answers for the rows of a file location."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from holdfast.errors import LocationRefused, NothingDeployed, NoUsableData, excerpt, nearest
from holdfast.records import Prediction, Predictions, Release, RiskModel
from holdfast.risk.linear import log_odds, probability
from holdfast.risk.rows import client_ids, feature_values
from holdfast.sources.files import list_folder, open_beneath
from holdfast.sources.table import TableRead, read_streams
from holdfast.store.modelfile import parse_model
from holdfast.store.releases import MODEL_FILE, PinnedRelease, pin_current
from holdfast.workspace import Workspace


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

    Raises NothingDeployed before the first release, ModelFileDamaged when its files are not those released.
    """
    pinned = pin_current(workspace.deployment_folder)
    if pinned is None:
        raise NothingDeployed("no model is deployed yet", hint="run: holdfast run")
    model = parse_model(pinned.read(MODEL_FILE), workspace.show(pinned.folder / MODEL_FILE))
    return Deployed(pinned, model)


def predict(workspace: Workspace, location: str | None = None) -> Predictions:
    """Prediction, probability and client of every row at `location`: a CSV file or folder of the workspace's data.

    A location is relative to the workspace; the workspace's own absolute path may stand before it; a bare file name
    is looked for in the data folders; None means the test data. Raises LocationRefused for anything outside the
    data folders, NothingDeployed before the first release, FileRefused for a file that cannot be read.
    """
    current = deployed(workspace)
    folder, relative = resolve(workspace, location)
    with ExitStack() as stack:
        streams = [(name, stack.enter_context(stream)) for name, stream in _streams(folder, relative)]
        if not streams:
            raise NoUsableData("there is no CSV file at this location", file=workspace.show(folder))
        table = read_streams(streams, workspace.schema, target_required=False)
    return answers(workspace, current, table, workspace.show(folder / relative))


def answers(workspace: Workspace, current: Deployed, table: TableRead, location: str) -> Predictions:
    """The release's predictions for the rows of `table`, in their order."""
    odds = log_odds(current.model, feature_values(table.rows, workspace.schema))
    rows = zip(client_ids(table.rows, workspace.schema), probability(odds).tolist(), (odds > 0).tolist(), strict=True)
    return Predictions(
        release=current.release.id,
        location=location,
        rows=table.rows.num_rows,
        quarantined=len(table.rejected),
        predictions=tuple(Prediction(client=c, probability=p, prediction=int(exits)) for c, p, exits in rows),
        rejected=table.rejected,
    )


def resolve(workspace: Workspace, location: str | None) -> tuple[Path, PurePosixPath]:
    """The data folder that `location` lies in and the path below it ("." for the folder itself).

    Decides on the text alone; `open_beneath` then walks the path without following a link.
    """
    if location is None:
        return workspace.existing(workspace.test_folder, "test_data_path"), PurePosixPath()
    path = _relative_to_root(workspace, location)
    for folder in workspace.data_folders:
        below = folder.relative_to(workspace.root) if folder.is_relative_to(workspace.root) else None
        if below is not None and path.is_relative_to(PurePosixPath(below)):
            return folder, path.relative_to(PurePosixPath(below))
    if len(path.parts) == 1:
        holding = [folder for folder in workspace.data_folders if (folder / path).is_file()]
        if holding:
            return holding[0], path
    shown = [workspace.show(folder) for folder in workspace.data_folders]
    close = nearest(path.parts[0], shown) if path.parts else None
    hint = (
        f"did you mean '{close}'?" if close else f"a CSV file of {', '.join(shown)}, or no location for the test data"
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


def _streams(folder: Path, relative: PurePosixPath) -> list[tuple[str, BinaryIO]]:
    if relative.parts:
        return [(relative.name, open_beneath(folder, relative))]
    return [(path.name, open_beneath(folder, PurePosixPath(path.name))) for path in list_folder(folder).files]
