"""The one table of settings: it feeds validation, `--help` and the reference page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import ConfigurationError, excerpt, nearest
from holdfast.limits import Limits, limits_from_json
from holdfast.schema import schema_from_json
from holdfast.sourcelist import sources_from_json


def _path(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be the name of a folder")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not contain a NUL character or half of a character")
    return value


def _promotion(value: object) -> str:
    if value != "raw":
        raise ValueError('must be "raw", the only promotion policy of this version')
    return "raw"


def _whole_number(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


_days = _whole_number(0, 36_500)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 0.5:
        raise ValueError("must be a number from 0 to 0.5")
    return float(value)


def _conflicts(value: object) -> str:
    if value not in CONFLICT_RULES:
        raise ValueError(f"must be one of {', '.join(CONFLICT_RULES)}")
    return str(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
        raise ValueError("must be a number of seconds from 0 to 86400")
    return float(value)


def _schema(value: object) -> object:
    schema_from_json(value)
    return value


CONFLICT_RULES = ("latest", "quarantine", "keep")


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of config.json. `default` None with `required` False means: not set."""

    name: str
    type: str
    default: Any
    help: str
    check: Callable[[object], Any]
    required: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("input_folder_path", "folder", None, "Where new client data is delivered.", _path, required=True),
    Setting(
        "output_folder_path",
        "folder",
        None,
        "Where finaldata.csv, ingestedfiles.txt and the dataset are kept.",
        _path,
        required=True,
    ),
    Setting("test_data_path", "folder", None, "Labelled clients that models are scored on.", _path, required=True),
    Setting(
        "output_model_path",
        "folder",
        None,
        "Where trained models, scores, reports and lists are written.",
        _path,
        required=True,
    ),
    Setting(
        "prod_deployment_path",
        "folder",
        None,
        "The model in production, one release at a time.",
        _path,
        required=True,
    ),
    Setting(
        "promotion",
        "text",
        "raw",
        "When the full process retrains and redeploys: `raw` compares the deployed model's F1 on the new data with "
        "its recorded F1, as the brief tells.",
        _promotion,
    ),
    Setting(
        "capacity",
        "whole number",
        100,
        "How many clients the team can call: the default length of lists, and the depth at which lift, precision "
        "and recall are measured.",
        _whole_number(1, 1_000_000),
    ),
    Setting(
        "holdout",
        "share",
        0.0,
        "Share of clients, chosen by a hash of their id, that is kept out of training and scored on when "
        "`test_data_path` holds no file.",
        _share,
    ),
    Setting("port", "whole number", 8000, "The loopback port of the API.", _whole_number(1, 65535)),
    Setting(
        "schema",
        "object",
        None,
        "The client table, when it is not the brief's: see the page on schemas.",
        _schema,
    ),
    Setting(
        "sources",
        "list",
        (),
        "Folders and database tables that feed the dataset beside `input_folder_path`: see the page on deliveries.",
        sources_from_json,
    ),
    Setting(
        "conflicts",
        "text",
        None,
        "What becomes of rows that tell different things of one client at one time: `latest` (the row that arrived "
        "last counts), `quarantine` (the first counts, the others are refused) or `keep` (all count). Default: "
        "`latest` where the schema has a time column or a database is a source, else `keep`, as in the brief.",
        _conflicts,
    ),
    Setting(
        "settle_seconds",
        "seconds",
        1.0,
        "How long a delivered file must have been left alone before it is read: it may still be on its way.",
        _seconds,
    ),
    Setting(
        "unfinished_seconds",
        "seconds",
        60.0,
        "How long a file whose last line has no end is waited for; then it is read without that line.",
        _seconds,
    ),
    Setting("history_days", "whole number", 365, "How long earlier versions of the dataset stay readable.", _days),
    Setting("limits", "object", Limits(), "What one delivery may be: see the page on deliveries.", limits_from_json),
)


def check_settings(data: object, file: str) -> dict[str, Any]:
    """All settings by name, defaults filled in.

    Raises ConfigurationError (with `file`) for an unknown key, a missing required key or a value out of range.
    """
    if not isinstance(data, Mapping):
        raise ConfigurationError("must be a JSON object with the five folder keys", file=file)
    known = {setting.name: setting for setting in SETTINGS}
    for name in data:
        if name not in known:
            close = nearest(str(name), known)
            hint = f"did you mean '{close}'?" if close else f"known keys: {', '.join(known)}"
            raise ConfigurationError(f"unknown key '{name}'", file=file, column=str(name), hint=hint)
    return {setting.name: _value(setting, data, file) for setting in SETTINGS}


def _value(setting: Setting, data: Mapping[str, object], file: str) -> object:
    if setting.name not in data:
        if setting.required:
            hint = f'add "{setting.name}": "…" ({setting.help})'
            raise ConfigurationError(f"the key '{setting.name}' is missing", file=file, column=setting.name, hint=hint)
        return setting.default
    try:
        return setting.check(data[setting.name])
    except ValueError as error:
        message = f"'{setting.name}' {error}, found {excerpt(repr(data[setting.name]))}"
        raise ConfigurationError(message, file=file, column=setting.name, hint=setting.help) from None
    except ConfigurationError as error:
        raise ConfigurationError(
            error.message, file=file, column=error.column, value=error.value, hint=error.hint
        ) from None
