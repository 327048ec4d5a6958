"""A workspace: its root, the five folders and the settings. The only reader of config.json and the environment."""

from __future__ import annotations

import getpass
import itertools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

from holdfast.errors import ConfigurationError, UsageError, excerpt, from_os_error, nearest
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA, Schema, schema_from_json
from holdfast.settings import check_settings
from holdfast.sourcelist import DatabaseSource, FolderSource, Source

CONFIG_NAME = "config.json"
RECEIPTS = "erasures"
STANDARD_DATA_FOLDERS = ("practicedata", "sourcedata", "testdata", "ingesteddata")
READ_ONLY_KEYS = ("input_folder_path", "test_data_path")
FOLDER_KEYS = (*READ_ONLY_KEYS, "output_folder_path", "output_model_path", "prod_deployment_path")
WHERE_PYTHON_IS = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")


Conflicts = Literal["latest", "quarantine", "keep"]


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
    sources: tuple[Source, ...]
    conflicts: Conflicts
    settle_seconds: float
    unfinished_seconds: float
    history_days: int
    limits: Limits

    @classmethod
    def open(cls, path: str | os.PathLike[str] = ".") -> Workspace:
        """The workspace at `path`.

        Raises ConfigurationError when config.json is missing, malformed, or names a folder that cannot be meant.
        """
        root = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        config = root / CONFIG_NAME
        settings = check_settings(_read_config(config), str(config))

        folders = {key: resolve_folder(root, settings[key], key, str(config)) for key in FOLDER_KEYS}
        for source in settings["sources"]:
            if isinstance(source, FolderSource):
                folders[f"sources: {source.name}"] = resolve_folder(root, source.folder, source.name, str(config))
        _refuse_shared_folders(folders, str(config))
        schema = BRIEF_SCHEMA if settings["schema"] is None else schema_from_json(settings["schema"])
        workspace = cls(
            root=root,
            input_folder=folders["input_folder_path"],
            output_folder=folders["output_folder_path"],
            test_folder=folders["test_data_path"],
            model_folder=folders["output_model_path"],
            deployment_folder=folders["prod_deployment_path"],
            state_folder=root / ".holdfast",
            promotion=settings["promotion"],
            capacity=settings["capacity"],
            holdout=settings["holdout"],
            port=settings["port"],
            schema=schema,
            sources=settings["sources"],
            conflicts=settings["conflicts"] or _usual_conflict_rule(schema, settings["sources"]),
            settle_seconds=settings["settle_seconds"],
            unfinished_seconds=settings["unfinished_seconds"],
            history_days=settings["history_days"],
            limits=settings["limits"],
        )
        _refuse_name_of_input_folder(workspace, str(config))
        return workspace

    @property
    def ledger_file(self) -> Path:
        """The ledger's SQLite file."""
        return self.state_folder / "ledger.sqlite"

    @property
    def erasure_key_file(self) -> Path:
        """The key of the tombstones of erased clients."""
        return self.state_folder / "erasure.key"

    @property
    def receipts_folder(self) -> Path:
        """Where the receipts of erasures go."""
        return self.root / RECEIPTS

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
        standard = (self.root / name for name in STANDARD_DATA_FOLDERS)
        delivered = (self.test_folder, self.input_folder, *self.source_folders)
        return tuple(dict.fromkeys((*delivered, self.output_folder, *standard)))

    @property
    def databases(self) -> tuple[DatabaseSource, ...]:
        """The sources that are database tables."""
        return tuple(source for source in self.sources if isinstance(source, DatabaseSource))

    @property
    def source_folders(self) -> tuple[Path, ...]:
        """The folders of `sources`."""
        return tuple(self.folder_of(source) for source in self.sources if isinstance(source, FolderSource))

    def folder_of(self, source: FolderSource) -> Path:
        """The folder that a source names."""
        return resolve_folder(self.root, source.folder, source.name, str(self.root / CONFIG_NAME))

    def refuse_own_place(self, path: Path) -> None:
        """Raises UsageError when a file that somebody wants written would lie among the workspace's own files."""
        place = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        folders = (*self.data_folders, self.deployment_folder, self.state_folder)
        if place == self.root / CONFIG_NAME or any(place.is_relative_to(folder) for folder in folders):
            hint = "name a place beside them, or outside"
            raise UsageError("this is where the workspace keeps its own files", file=str(place), hint=hint)

    def show(self, path: Path) -> str:
        """A path as messages show it: relative to the workspace where it lies inside."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def existing(self, folder: Path, key: str) -> Path:
        """`folder` if it exists.

        Raises ConfigurationError naming the key and the most similar folder otherwise.
        """
        if _is_folder(folder):
            return folder
        close = nearest(folder.name, _folders_in(folder.parent))
        raise ConfigurationError(
            "this folder does not exist",
            file=str(folder),
            column=key,
            hint=f"did you mean '{close}'?" if close else f"create it, or correct '{key}' in config.json",
        )


def _usual_conflict_rule(schema: Schema, sources: tuple[Source, ...]) -> Conflicts:
    """A client at a time is told once, and a table holds one row of a client; the brief's files repeat clients."""
    told_once = schema.time is not None or any(isinstance(source, DatabaseSource) for source in sources)
    return "latest" if told_once else "keep"


def resolve_folder(root: Path, value: str, key: str, config: str) -> Path:
    """The folder that a value of config.json means: below the workspace, or elsewhere as a file:// URL.

    `/ingesteddata/`, `ingesteddata` and `ingesteddata/` are the same folder of the workspace. Raises
    ConfigurationError for a value that leaves the workspace, that is an absolute folder too, or a URL of another kind.
    """
    if "://" in value:
        return _folder_of_url(value, key, config)
    inside = root.joinpath(*Path(value.strip("/")).parts)
    if ".." in Path(value).parts:
        hint = "write file:///… for a folder outside the workspace"
        raise ConfigurationError(f"'{key}' leaves the workspace: {value!r}", file=config, column=key, hint=hint)
    absolute = Path(value)
    if value.startswith("/") and absolute != inside and _is_folder(absolute):
        raise ConfigurationError(
            f"'{key}' can be read in two ways: the workspace's folder {inside}, or {absolute}",
            file=config,
            column=key,
            value=value,
            hint=f"write {value.strip('/') or '.'!r} for the first, 'file://{quote(str(absolute))}' for the second",
        )
    return inside


def _folder_of_url(value: str, key: str, config: str) -> Path:
    scheme, _, rest = value.partition("://")
    path = rest.removeprefix("localhost")
    if scheme.lower() != "file" or not path.startswith("/") or re.search("[?#]|%00", path):
        message = f"'{key}' names a place that Holdfast cannot reach: {excerpt(value)}"
        raise ConfigurationError(message, file=config, column=key, hint="use a folder name or file:///absolute/path")
    return Path(unquote(path))


def _refuse_shared_folders(folders: dict[str, Path], config: str) -> None:
    """What Holdfast writes must not become what it reads, and a release must not lie among other files."""
    for (key, folder), (other, twin) in itertools.combinations(folders.items(), 2):
        if folder == twin and {key, other} & {"output_folder_path", "output_model_path", "prod_deployment_path"}:
            message = f"'{key}' and '{other}' are the same folder: {folder}"
            raise ConfigurationError(message, file=config, column=other, hint="give each of them a folder of its own")


def _refuse_name_of_input_folder(workspace: Workspace, config: str) -> None:
    """Deliveries are known by the source or folder that they came from: no two may have one name."""
    if any(source.name == workspace.source for source in workspace.sources):
        message = f"the source '{workspace.source}' has the name of the input folder"
        raise ConfigurationError(message, file=config, column="sources", hint="give it another name")


def _is_folder(path: Path) -> bool:
    """Like Path.is_dir, but False also where access is denied or the name is too long."""
    return os.path.isdir(path)  # noqa: PTH112


def _folders_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:  # only a hint depends on it
        return []


def _read_config(config: Path) -> Any:
    try:
        text = config.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = f"make a workspace here: holdfast init {config.parent}"
        raise ConfigurationError("there is no config.json in this folder", file=str(config), hint=hint) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError("not UTF-8 text", file=str(config), value=repr(error.object[:40])) from None
    except OSError as error:
        raise from_os_error(error, "read", str(config)) from None
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        raise ConfigurationError(
            f"not valid JSON: {error.msg} at character {error.colno}",
            file=str(config),
            row=error.lineno,
            value=line,
            hint="every key and text in double quotes, a comma between entries, none after the last",
        ) from None
    except ConfigurationError as error:
        raise ConfigurationError(error.message, file=str(config), column=error.column) from None
    except ValueError:  # Python's limit on the digits of a whole number
        raise ConfigurationError("a number has too many digits", file=str(config)) from None
    except RecursionError:
        raise ConfigurationError("nested too deeply", file=str(config)) from None


def _no_constant(name: str) -> None:
    raise ConfigurationError(f"{name} is not a JSON number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"the key '{name}' is given twice", column=name)
    return dict(pairs)


def folder_of(script: str) -> Path:
    """The folder that a script lies in: a script's own folder is its workspace, wherever it is started from."""
    return Path(script).absolute().parent


def secret(name: str) -> str:
    """The environment variable `name`, where config.json says that a secret is.

    Raises ConfigurationError when it is not set.
    """
    value = os.environ.get(name)
    if not value:
        hint = f"set it where the command runs, for cron in the crontab: {name}=…"
        raise ConfigurationError(f"the environment variable {name} is not set", column=name, hint=hint)
    return value


def environment_of_readers() -> dict[str, str]:
    """All that a reading process gets to know of this one's environment: where Python and its packages are, and the
    locale, in which names of files are encoded. Whatever else is there, passwords say, is none of its business.
    """
    return {name: os.environ[name] for name in WHERE_PYTHON_IS if name in os.environ}


def current_user() -> str:
    """Who is running this process, for the record of releases."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"uid {os.getuid()}"
