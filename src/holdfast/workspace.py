"""A workspace: its root, the five folders and the settings. The only reader of config.json and the environment."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from holdfast.errors import ConfigurationError, from_os_error, nearest
from holdfast.schema import BRIEF_SCHEMA, Schema, schema_from_json
from holdfast.settings import check_settings

CONFIG_NAME = "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One company's folder. Everything that Holdfast reads or writes is found from here."""

    root: Path
    input_folder: Path
    output_folder: Path
    test_folder: Path
    model_folder: Path
    deployment_folder: Path
    state_folder: Path
    promotion: str
    capacity: int
    holdout: float
    port: int
    schema: Schema

    @classmethod
    def open(cls, path: str | os.PathLike[str] = ".") -> Workspace:
        """The workspace at `path`.

        Raises ConfigurationError when config.json is missing, malformed, or names a folder that cannot be meant.
        """
        root = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        config = root / CONFIG_NAME
        settings = check_settings(_read_config(config), str(config))

        def folder(key: str) -> Path:
            return resolve_folder(root, settings[key], key, str(config))

        return cls(
            root=root,
            input_folder=folder("input_folder_path"),
            output_folder=folder("output_folder_path"),
            test_folder=folder("test_data_path"),
            model_folder=folder("output_model_path"),
            deployment_folder=folder("prod_deployment_path"),
            state_folder=root / ".holdfast",
            promotion=settings["promotion"],
            capacity=settings["capacity"],
            holdout=settings["holdout"],
            port=settings["port"],
            schema=BRIEF_SCHEMA if settings["schema"] is None else schema_from_json(settings["schema"]),
        )

    @property
    def ledger_file(self) -> Path:
        """The ledger's SQLite file."""
        return self.state_folder / "ledger.sqlite"

    @property
    def log_folder(self) -> Path:
        """Where structured logs and outdated.txt go."""
        return self.root / "logs"

    @property
    def source(self) -> str:
        """The input folder's name: the dataset belongs to it, so practice and source data never mix."""
        return self.show(self.input_folder)

    @property
    def data_folders(self) -> tuple[Path, ...]:
        """The folders that a file location given over HTTP may lie in."""
        return (self.test_folder, self.input_folder, self.output_folder)

    def show(self, path: Path) -> str:
        """A path as messages show it: relative to the workspace where it lies inside."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def existing(self, folder: Path, key: str) -> Path:
        """`folder` if it exists.

        Raises ConfigurationError naming the key and the most similar folder otherwise.
        """
        if folder.is_dir():
            return folder
        siblings = [p.name for p in folder.parent.iterdir() if p.is_dir()] if folder.parent.is_dir() else []
        close = nearest(folder.name, siblings)
        raise ConfigurationError(
            "this folder does not exist",
            file=str(folder),
            column=key,
            hint=f"did you mean '{close}'?" if close else f"create it, or correct '{key}' in config.json",
        )


def resolve_folder(root: Path, value: str, key: str, config: str) -> Path:
    """The folder that a value of config.json means: below the workspace, or elsewhere as a file:// URL.

    `/ingesteddata/`, `ingesteddata` and `ingesteddata/` are the same folder of the workspace.
    """
    if "://" in value:
        return _folder_of_url(value, key, config)
    inside = root.joinpath(*Path(value.strip("/")).parts)
    if ".." in Path(value).parts:
        hint = "write file:///… for a folder outside the workspace"
        raise ConfigurationError(f"'{key}' leaves the workspace: {value!r}", file=config, column=key, hint=hint)
    absolute = Path(value)
    if value.startswith("/") and value.strip("/") and absolute.is_dir() and absolute != inside:
        raise ConfigurationError(
            f"'{key}' can be read in two ways: the workspace's folder {inside}, or {absolute}",
            file=config,
            column=key,
            value=value,
            hint=f"write {value.strip('/')!r} for the first, 'file://{absolute}' for the second",
        )
    return inside


def _folder_of_url(value: str, key: str, config: str) -> Path:
    url = urlsplit(value)
    if url.scheme != "file" or url.netloc not in {"", "localhost"}:
        message = f"'{key}' names a place that Holdfast cannot reach: {url.scheme}://"
        raise ConfigurationError(message, file=config, column=key, hint="use a folder name or file:///absolute/path")
    return Path(unquote(url.path))


def _read_config(config: Path) -> Any:
    try:
        text = config.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = f"make a workspace here: holdfast init {config.parent}"
        raise ConfigurationError("there is no config.json in this folder", file=str(config), hint=hint) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError("not UTF-8 text", file=str(config), value=str(error.object[:40])) from None
    except OSError as error:
        raise from_os_error(error, "read", str(config)) from None
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text else ""
        raise ConfigurationError(
            f"not valid JSON: {error.msg} at character {error.colno}",
            file=str(config),
            row=error.lineno,
            value=line,
            hint="every key and text in double quotes, a comma between entries, none after the last",
        ) from None
    except ConfigurationError as error:
        raise ConfigurationError(error.message, file=str(config), column=error.column) from None
    except RecursionError:
        raise ConfigurationError("nested too deeply", file=str(config)) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"the key '{name}' is given twice", column=name)
    return dict(pairs)


def folder_of(script: str) -> Path:
    """The folder that a script lies in: a script's own folder is its workspace, wherever it is started from."""
    return Path(script).absolute().parent


def current_user() -> str:
    """Who is running this process, for the record of releases."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"uid {os.getuid()}"
