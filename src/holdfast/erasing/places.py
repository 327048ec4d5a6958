"""Where a workspace keeps things, and whose each of them is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from holdfast import records
from holdfast.dataset import FINAL_DATA, INGESTED_FILES
from holdfast.sourcelist import FolderSource
from holdfast.store.releases import BEFORE, BRIEF_FILES, POINTER
from holdfast.store.scrubbing import everything_below
from holdfast.store.scrubbing.databases import LOGS
from holdfast.workspace import CONFIG_NAME, Workspace

PARTS_OF_OUTPUT = ("dataset", "quarantine")
PARTS_OF_PRODUCTION = ("releases", POINTER, BEFORE, *BRIEF_FILES)
MADE_AGAIN = ("confusionmatrix.png", "report.html")
"""What `holdfast report` makes anew: it is deleted where it cannot be cleaned."""
MADE_IN_MODEL_FOLDER = (
    "apireturns.txt",
    "assessment.csv",
    "assessment.json",
    "diagnostics.json",
    "latestscore.txt",
    *MADE_AGAIN,
)
MODEL = ("model.json", "trainedmodel.pkl")
"""A model is known by its digest: with one byte changed it would be refused."""
PRINTED = (
    records.Assessment,
    records.DatasetSummary,
    records.IngestRecord,
    records.Lineage,
    records.Predictions,
    records.QuarantineList,
    records.QuarantineShow,
    records.RunRecord,
    records.SchemaCheck,
    records.Status,
)
"""The records that `--json` and `assess --out` write, and that may mention a client."""

Whose = Literal["ours", "kept", "source", "company", "others"]
"""Holdfast's own; what Holdfast reads and never changes (configuration, scripts, models in production); a source's
database; anything else in the workspace's folders; and what lies around the workspace."""


class Place(NamedTuple):
    """A folder to search, and what below it is not part of it. `source`: whose it is, if not the workspace's."""

    folder: Path
    skip: frozenset[str]
    source: str | None


class Places:
    """The folders of a workspace, those that it only reads, and whose each file in them is.

    Its own are its root and what it writes to, wherever that lies: a link or a `file://` URL may lead out of the
    root. A folder of deliveries or of test data out of the root belongs to others. `is_record` tells whether a JSON
    file holds a record that Holdfast printed: see `is_printed`.
    """

    def __init__(self, workspace: Workspace, is_record: Callable[[Path], bool] | None = None) -> None:
        self._workspace = workspace
        self._is_record = is_record or is_printed
        written = (workspace.output_folder, workspace.model_folder, workspace.deployment_folder)
        lying = [each for each in (*written, workspace.state_folder, workspace.log_folder) if each.is_dir()]
        self.own = _apart([workspace.root, *lying])
        self._sources = {folder: name for folder, name in _read(workspace) if not _lies_in(folder, workspace.root)}
        self.others = _apart(list(self._sources))
        self._around = [folder for folder in self.own[1:] if _lies_in(workspace.root, folder)]

    def __iter__(self) -> Iterator[Place]:
        """The workspace's own, then those of others; together they hold no file twice."""
        for folder in (*self.own, *self.others):
            yield Place(folder, self._apart_from(folder), self._sources.get(folder))

    def files(self) -> Iterator[Path]:
        """Every regular file in the workspace's own folders."""
        for place in self:
            if place.source is None:
                yield from (path for path in everything_below(place.folder, place.skip) if is_regular(path))

    def whose(self, path: Path) -> Whose:
        """Whose a file is, by its place and name, or for JSON by what it holds."""
        workspace = self._workspace
        if path == workspace.root / CONFIG_NAME or (path.parent == workspace.root and path.suffix == ".py"):
            return "kept"
        if _is_part(path, workspace.deployment_folder, PARTS_OF_PRODUCTION) or self._is_model(path):
            return "kept"
        if path in self.databases:
            return "source"
        if self.is_ours(path) or (path.suffix.lower() == ".json" and self._is_record(path)):
            return "ours"
        inside = [folder for folder in self.own if folder not in self._around]
        return "company" if any(path.is_relative_to(folder) for folder in inside) else "others"

    def is_leftover(self, path: Path) -> bool:
        """True for what a killed command left of a file that it was writing."""
        name = path.name.removesuffix(".rows").removesuffix(".tmp")
        return name != path.name and name.startswith(".") and self.is_ours(path.with_name(name[1:]))

    @cached_property
    def databases(self) -> dict[Path, str]:
        """The SQLite files that are sources, each with the source's name."""
        found = {}
        for source in self._workspace.databases:
            scheme, mark, rest = (source.database or "").partition(":///")
            if mark and rest and scheme.partition("+")[0] == "sqlite":
                found[self._workspace.root / rest] = source.name
        return found

    @cached_property
    def ledger(self) -> frozenset[Path]:
        """The ledger, and what SQLite keeps beside it."""
        file = self._workspace.ledger_file
        return frozenset(file.with_name(f"{file.name}{ending}") for ending in ("", *LOGS))

    @cached_property
    def quarantine(self) -> tuple[Path, ...]:
        """The files of refused rows."""
        return tuple(sorted((self._workspace.output_folder / "quarantine").glob("[0-9]*.parquet")))

    def _apart_from(self, folder: Path) -> frozenset[str]:
        """Where the other folders lie below one of them."""
        below = (each for each in (*self.own, *self.others) if each != folder and _lies_in(each, folder))
        return frozenset(_real(each).relative_to(_real(folder)).as_posix() for each in below)

    def _is_model(self, path: Path) -> bool:
        return path.parent == self._workspace.model_folder and path.name in MODEL

    def is_ours(self, path: Path) -> bool:
        """True for a file that only Holdfast writes, by its place and name."""
        workspace = self._workspace
        for folder in (workspace.state_folder, workspace.log_folder, workspace.receipts_folder):
            if path.is_relative_to(folder):
                return True
        if _is_part(path, workspace.output_folder, PARTS_OF_OUTPUT):
            return True
        named = {workspace.output_folder: (FINAL_DATA, INGESTED_FILES), workspace.model_folder: MADE_IN_MODEL_FOLDER}
        return path.name in named.get(path.parent, ())


def is_regular(path: Path) -> bool:
    """True for a file that is no link."""
    return path.is_file() and not path.is_symlink()


def _read(workspace: Workspace) -> Iterator[tuple[Path, str]]:
    """The folders that Holdfast only reads, as sentences call them."""
    yield workspace.input_folder, "the input folder"
    yield workspace.test_folder, "the test data"
    for source in workspace.sources:
        if isinstance(source, FolderSource):
            yield workspace.folder_of(source), f"source '{source.name}'"


def _apart(folders: list[Path]) -> tuple[Path, ...]:
    """Those that do not lie in one before them."""
    found: list[Path] = []
    for folder in folders:
        if not any(_lies_in(folder, each) for each in found):
            found.append(folder)
    return tuple(found)


def _lies_in(path: Path, folder: Path) -> bool:
    return _real(path).is_relative_to(_real(folder))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_part(path: Path, folder: Path, parts: tuple[str, ...]) -> bool:
    return path.is_relative_to(folder) and path.relative_to(folder).parts[:1] in {(part,) for part in parts}


def is_printed(path: Path) -> bool:
    """True for a JSON file that holds one of Holdfast's records, wherever somebody had it written."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return any(_is_one_of(kind, data) for kind in PRINTED)


def _is_one_of(kind: type[Any], data: Any) -> bool:
    try:
        records.from_json(kind, data)
    except ValueError:
        return False
    return True
