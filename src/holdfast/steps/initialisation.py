"""A new workspace: folders, config.json and the ten scripts, empty, with the demo company, or from a table."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError, from_os_error
from holdfast.progress import Progress, silent
from holdfast.records import InitRecord
from holdfast.schema import Schema, is_the_briefs, schema_to_json
from holdfast.sources.files import name_of
from holdfast.sources.inference import Roles, infer_schema
from holdfast.sources.kinds import kind_of_name
from holdfast.store.files import write_file
from holdfast.workspace import CONFIG_NAME

FOLDERS = (
    "practicedata",
    "sourcedata",
    "testdata",
    "ingesteddata",
    "models",
    "practicemodels",
    "production_deployment",
)
PRACTICE = {
    "input_folder_path": "practicedata",
    "output_folder_path": "ingesteddata",
    "test_data_path": "testdata",
    "output_model_path": "practicemodels",
    "prod_deployment_path": "production_deployment",
}
"""The five keys as the brief begins: practice first."""

SOURCE = PRACTICE | {"input_folder_path": "sourcedata", "output_model_path": "models"}
HOLDOUT = 0.2


@dataclass(slots=True)
class _Made:
    root: Path
    created: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)

    def folder(self, name: str) -> None:
        exists = (self.root / name).is_dir()
        (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.left_alone if exists else self.created).append(f"{name}/")

    def file(self, name: str, data: bytes) -> None:
        path = self.root / name
        if path.exists() or path.is_symlink():
            self.left_alone.append(name)
            return
        write_file(path, data)
        self.created.append(name)

    def record(self, notices: tuple[str, ...], *following: str) -> InitRecord:
        return InitRecord(
            workspace=str(self.root),
            created=tuple(self.created),
            left_alone=tuple(self.left_alone),
            notices=notices,
            next=following,
        )


def init_empty(folder: Path) -> InitRecord:
    """A workspace without data. Nothing that exists is overwritten."""
    made = _lay_out(folder, PRACTICE)
    return made.record((), "put CSV files into practicedata/ and testdata/", f"holdfast run --workspace {folder}")


def init_demo(folder: Path, progress: Progress = silent) -> InitRecord:
    """A workspace with the demo company's ten thousand clients. Data that exists is left alone."""
    from holdfast.democompany import DemoOptions, write_demo

    made = _lay_out(folder, PRACTICE)
    existing = [name for name in FOLDERS[:3] if any((made.root / name).iterdir())]
    if existing:
        notice = f"{', '.join(existing)}: data is there already, the demo company's was not written"
        return made.record((notice,), f"holdfast status --workspace {folder}")
    demo = write_demo(made.root, DemoOptions(), progress)
    made.created += list(demo.files)
    switch = "in config.json, sourcedata for practicedata and models for practicemodels: the world has moved; run again"
    return made.record((), f"holdfast run --workspace {folder}", switch)


def init_from(folder: Path, table: Path, roles: Roles) -> InitRecord:
    """A workspace for the table in a file of any kind: its schema by looking, and a copy of the file in sourcedata/.

    What its name does not tell to be a delivery is called .csv, and not hidden, in the copy.

    Raises ConfigurationError when there is a config.json already, UsageError when the target cannot be found.
    """
    root = folder.absolute()
    if (root / CONFIG_NAME).exists():
        hint = "choose another folder, or edit the schema of this one"
        raise ConfigurationError("there is a workspace here already", file=str(root / CONFIG_NAME), hint=hint)
    schema, notices = infer_schema(table, roles)
    config: dict[str, Any] = dict(SOURCE)
    if not is_the_briefs(schema):
        config["schema"] = schema_to_json(schema)
    made = _lay_out(folder, config | {"holdout": HOLDOUT})
    name = table.name.lstrip(".")
    copy = made.root / "sourcedata" / (name if kind_of_name(name) else f"{name}.csv")
    if copy.exists():
        made.left_alone.append(f"sourcedata/{name_of(copy)}")
    else:
        try:
            shutil.copyfile(table, copy)
        except OSError as error:
            raise from_os_error(error, "write", str(copy)) from None
        made.created.append(f"sourcedata/{name_of(copy)}")
    held_out = f"{HOLDOUT:.0%} of the clients are held out of training to score on, as testdata/ is empty"
    return made.record(
        (_found(schema), *notices, held_out),
        f"holdfast run --workspace {folder}",
        f"holdfast assess --workspace {folder} --top 20",
    )


def _found(schema: Schema) -> str:
    """What looking at the table came to, in one line."""
    target, time = schema.target, schema.time
    value = next((column.name for column in schema.columns if column.role == "value"), "none")
    client = schema.client.name if schema.client_in_file else "none, every row is one"
    unused = [column.name for column in schema.categories]
    numbers = [column.name for column in schema.features]
    return (
        f"found: client {client}; exited when {target.name} is {target.exited}; time {time.name if time else 'none'}; "
        f"value {value}; the model learns from {len(numbers)} numbers ({', '.join(numbers)})"
        + (f" and does not use {len(unused)} categories ({', '.join(unused)})" if unused else "")
    )


def _lay_out(folder: Path, config: dict[str, Any]) -> _Made:
    made = _Made(folder.absolute())
    try:
        for name in FOLDERS:
            made.folder(name)
    except OSError as error:
        raise from_os_error(error, "write", str(made.root)) from None
    made.file(CONFIG_NAME, (json.dumps(config, indent=2) + "\n").encode())
    for script in sorted(resources.files("holdfast").joinpath("starter").iterdir(), key=lambda each: each.name):
        if script.name.endswith(".py"):
            made.file(script.name, script.read_bytes())
    return made
