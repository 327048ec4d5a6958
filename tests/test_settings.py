"""The table of settings: defaults, ranges, and the nearest name for an unknown key."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.errors import ConfigurationError
from holdfast.settings import SETTINGS, check_settings

AS_WRITTEN: dict[str, object] = {"limits": {}}
"""How config.json says a default that is no JSON itself."""

PATHS = {setting.name: f"folder{n}" for n, setting in enumerate(SETTINGS) if setting.required}


def refusal(**changed: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        check_settings(PATHS | changed, "config.json")
    assert caught.value.file == "config.json"
    return caught.value


def test_the_briefs_five_keys_are_a_complete_configuration() -> None:
    assert list(PATHS) == [
        "input_folder_path",
        "output_folder_path",
        "test_data_path",
        "output_model_path",
        "prod_deployment_path",
    ]
    assert check_settings(PATHS, "config.json") == PATHS | {
        setting.name: setting.default for setting in SETTINGS if not setting.required
    }


def test_every_default_keeps_its_own_rule() -> None:
    for setting in SETTINGS:
        if setting.default is not None:
            assert setting.check(AS_WRITTEN.get(setting.name, setting.default)) == setting.default


def test_every_setting_has_one_name_and_a_sentence_of_help() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert all(setting.help.endswith(".") for setting in SETTINGS)


@pytest.mark.parametrize("name", PATHS)
def test_a_missing_folder_key_is_named_with_what_it_is_for(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the key '{name}' is missing") as caught:
        check_settings({key: value for key, value in PATHS.items() if key != name}, "config.json")
    assert caught.value.column == name
    assert caught.value.hint
    assert caught.value.hint.startswith(f'add "{name}": "…" (')


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    error = refusal(input_folder="x")
    assert (error.column, error.hint) == ("input_folder", "did you mean 'input_folder_path'?")


def test_an_unknown_key_like_no_other_is_answered_with_all() -> None:
    hint = refusal(zzz=1).hint
    assert hint
    assert hint.startswith("known keys: input_folder_path, ")


@pytest.mark.parametrize("data", [None, [], "x", 5, [PATHS]])
def test_settings_are_an_object(data: object) -> None:
    with pytest.raises(ConfigurationError, match="must be a JSON object with the five folder keys"):
        check_settings(data, "config.json")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *[("input_folder_path", value) for value in ("", "  ", 5, None, ["x"], "a\0b", "\ud800", "\udc80")],
        *[("port", value) for value in (0, 65536, "8000", 8000.0, True, None)],
        *[("capacity", value) for value in (0, -1, 10**7, "ten", False)],
        *[("holdout", value) for value in (-0.1, 0.51, "0.2", float("nan"), True, 10**400)],
        *[("promotion", value) for value in ("RAW", "auto", None, 1, ["raw"])],
        *[("conflicts", value) for value in ("Latest", "newest", None, 1, True, ["keep"])],
        *[("settle_seconds", value) for value in (-0.1, 86_401, "1", True, None, float("nan"))],
        *[("unfinished_seconds", value) for value in (-1, 10**6, "60", False)],
        *[("history_days", value) for value in (-1, 36_501, 1.5, "7", True)],
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(name: str, wrong: object) -> None:
    error = refusal(**{name: wrong})
    assert error.column == name
    assert error.message.startswith(f"'{name}' must ")
    assert ", found " in error.message
    assert error.message.isprintable()
    assert error.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("port", 1), ("port", 65535), ("capacity", 1), ("holdout", 0), ("holdout", 0.5), ("promotion", "raw")],
        *[("conflicts", "latest"), ("conflicts", "quarantine"), ("conflicts", "keep")],
        *[("settle_seconds", 0), ("settle_seconds", 86_400), ("unfinished_seconds", 0), ("unfinished_seconds", 0.5)],
        *[("history_days", 0), ("history_days", 36_500)],
    ],
)
def test_the_ends_of_a_range_are_in_it(name: str, value: object) -> None:
    assert check_settings(PATHS | {name: value}, "config.json")[name] == value


def test_a_long_value_is_shown_short() -> None:
    assert len(refusal(port="x" * 10_000).message) < 120


def test_a_fault_inside_the_schema_names_the_file_and_the_column() -> None:
    error = refusal(schema={"target": "left", "features": {"visits": {"type": "integr"}}})
    assert (error.file, error.column, error.hint) == ("config.json", "visits", "did you mean 'integer'?")


def test_faults_inside_limits_and_sources_name_the_file_and_the_nearest_key() -> None:
    error = refusal(limits={"cell": 5})
    assert (error.file, error.column, error.hint) == ("config.json", "cell", "did you mean 'cells'?")
    error = refusal(sources=[{"name": "branches", "folder": "b", "sheets": "x"}])
    assert (error.file, error.column, error.hint) == ("config.json", "sheets", "did you mean 'sheet'?")
