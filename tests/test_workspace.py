"""config.json read once: five folders, each with one meaning, or an error that says which key and why."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import ConfigurationError, HoldfastError, InputOutputError, NotPermitted, excerpt
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA
from holdfast.workspace import Workspace, current_user, folder_of, resolve_folder, secret

FIVE = {
    "input_folder_path": "practicedata",
    "output_folder_path": "ingesteddata",
    "test_data_path": "testdata",
    "output_model_path": "practicemodels",
    "prod_deployment_path": "production_deployment",
}


def workspace(root: Path, **changed: Any) -> Workspace:
    (root / "config.json").write_text(json.dumps(FIVE | changed))
    return Workspace.open(root)


def refusal(root: Path, content: str | bytes | dict[str, Any]) -> ConfigurationError:
    if isinstance(content, dict):
        content = json.dumps(FIVE | content)
    (root / "config.json").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigurationError) as caught:
        Workspace.open(root)
    assert caught.value.file == str(root / "config.json")
    return caught.value


# ---- folders


def test_five_keys_make_a_workspace(tmp_path: Path) -> None:
    opened = workspace(tmp_path)
    assert (opened.root, opened.input_folder, opened.test_folder) == (
        tmp_path,
        tmp_path / "practicedata",
        tmp_path / "testdata",
    )
    assert (opened.model_folder, opened.deployment_folder) == (
        tmp_path / "practicemodels",
        tmp_path / "production_deployment",
    )
    assert (opened.schema, opened.promotion, opened.source) == (BRIEF_SCHEMA, "raw", "practicedata")


@pytest.mark.parametrize("value", ["data", "/data", "data/", "/data/", "//data//", "./data", "data/."])
def test_slashes_at_either_end_make_no_difference(tmp_path: Path, value: str) -> None:
    assert workspace(tmp_path, input_folder_path=value).input_folder == tmp_path / "data"


@settings(deadline=None)
@given(st.lists(st.text("abc äß-_.'\"%[]*?", min_size=1).filter(lambda part: part.strip(". ")), min_size=1, max_size=3))
def test_a_folder_of_any_name_lies_below_the_workspace(parts: list[str]) -> None:
    root = Path("/nowhere/company")
    assert resolve_folder(root, "/".join(parts), "key", "config.json") == root.joinpath(*parts)


def test_a_file_url_names_a_folder_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "it's 100% elsewhere"
    for url in (
        elsewhere.as_uri(),
        f"file://localhost{elsewhere.as_uri()[7:]}",
        elsewhere.as_uri().replace("file", "FILE", 1),
    ):
        assert workspace(tmp_path, input_folder_path=url).input_folder == elsewhere


@pytest.mark.parametrize("value", ["/tmp", "/tmp/", "//tmp", "/"])
def test_a_value_that_is_an_absolute_folder_too_is_refused_with_both_readings(tmp_path: Path, value: str) -> None:
    error = refusal(tmp_path, {"input_folder_path": value})
    assert error.column == "input_folder_path"
    assert f"can be read in two ways: the workspace's folder {tmp_path}" in error.message
    assert error.message.endswith(f", or {Path(value)}")
    assert error.hint
    assert error.hint.startswith(f"write {value.strip('/') or '.'!r} for the first, 'file:///")


def test_each_reading_can_be_written_as_the_hint_says(tmp_path: Path) -> None:
    (tmp_path / "it's 100%").mkdir()
    value = str(tmp_path / "it's 100%")
    hint = refusal(tmp_path, {"input_folder_path": value}).hint
    assert hint
    second = hint.split("'file://")[1].split("' for")[0]
    assert workspace(tmp_path, input_folder_path=f"file://{second}").input_folder == Path(value)
    assert workspace(tmp_path, input_folder_path=value.strip("/")).input_folder == tmp_path / value.strip("/")


@pytest.mark.parametrize("value", ["../data", "data/../../x", "..", "/../etc", "data/.."])
def test_a_value_that_goes_up_is_refused(tmp_path: Path, value: str) -> None:
    error = refusal(tmp_path, {"output_folder_path": value})
    assert error.message == f"'output_folder_path' leaves the workspace: {value!r}"
    assert error.hint == "write file:///… for a folder outside the workspace"


@pytest.mark.parametrize(
    "value",
    [
        *("s3://bucket/data", "https://example.org/x", "file://server/share", "file://", "file://relative"),
        *("file:///a?b", "file:///a#b", "file:///a%00b", "http://[::1", "://x", "file://localhosts/x"),
    ],
)
def test_a_place_that_cannot_be_reached_is_refused(tmp_path: Path, value: str) -> None:
    error = refusal(tmp_path, {"input_folder_path": value})
    assert error.message == f"'input_folder_path' names a place that Holdfast cannot reach: {value}"
    assert error.hint == "use a folder name or file:///absolute/path"


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("output_folder_path", "input_folder_path"),
        ("output_folder_path", "test_data_path"),
        ("output_model_path", "input_folder_path"),
        ("prod_deployment_path", "output_model_path"),
        ("prod_deployment_path", "output_folder_path"),
    ],
)
def test_what_is_written_does_not_lie_where_something_else_does(tmp_path: Path, key: str, other: str) -> None:
    error = refusal(tmp_path, {key: f"/{FIVE[other]}/"})
    assert f"'{key}'" in error.message
    assert f"'{other}'" in error.message
    assert error.message.endswith(f"are the same folder: {tmp_path / FIVE[other]}")


def test_test_data_may_lie_where_new_data_does(tmp_path: Path) -> None:
    assert workspace(tmp_path, test_data_path="practicedata").test_folder == tmp_path / "practicedata"


def test_a_folder_that_exists_is_returned(tmp_path: Path) -> None:
    opened = workspace(tmp_path)
    opened.input_folder.mkdir()
    assert opened.existing(opened.input_folder, "input_folder_path") == opened.input_folder


def test_a_folder_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "practice-data").mkdir()
    opened = workspace(tmp_path)
    with pytest.raises(ConfigurationError, match="this folder does not exist") as caught:
        opened.existing(opened.input_folder, "input_folder_path")
    assert (caught.value.column, caught.value.hint) == ("input_folder_path", "did you mean 'practice-data'?")


@pytest.mark.parametrize("name", ["deep/down", "x" * 300, "config.json"])
def test_a_folder_that_cannot_exist_is_refused_with_advice(tmp_path: Path, name: str) -> None:
    opened = workspace(tmp_path, input_folder_path=name)
    with pytest.raises(ConfigurationError) as caught:
        opened.existing(opened.input_folder, "input_folder_path")
    assert caught.value.hint == "create it, or correct 'input_folder_path' in config.json"


# ---- sources


def test_sources_add_folders_to_those_that_data_may_lie_in(tmp_path: Path) -> None:
    sources = [
        {"name": "branches", "folder": "/branchdata/"},
        {"name": "crm", "database": "sqlite:///crm.db", "table": "clients"},
        {"name": "elsewhere", "folder": "file:///srv/exports"},
    ]
    opened = workspace(tmp_path, sources=sources)
    assert opened.source_folders == (tmp_path / "branchdata", Path("/srv/exports"))
    assert [source.name for source in opened.databases] == ["crm"]
    assert set(opened.source_folders) <= set(opened.data_folders)


@pytest.mark.parametrize("folder", ["../branches", "s3://bucket/branches", "/tmp"])
def test_the_folder_of_a_source_is_one_that_can_be_meant(tmp_path: Path, folder: str) -> None:
    assert refusal(tmp_path, {"sources": [{"name": "branches", "folder": folder}]}).column == "branches"


@pytest.mark.parametrize("key", ["output_folder_path", "output_model_path", "prod_deployment_path"])
@pytest.mark.parametrize("name", ["branches", "input_folder_path"])
def test_a_source_is_no_folder_that_is_written_to(tmp_path: Path, key: str, name: str) -> None:
    error = refusal(tmp_path, {"sources": [{"name": name, "folder": FIVE[key]}]})
    assert error.message.endswith(f"are the same folder: {tmp_path / FIVE[key]}")


def test_a_source_does_not_have_the_name_of_the_input_folder(tmp_path: Path) -> None:
    error = refusal(tmp_path, {"sources": [{"name": "practicedata", "folder": "branches"}]})
    assert error.message == "the source 'practicedata' has the name of the input folder"


BRIEF_TABLE = {"client": "corporation", "target": "exited", "features": {"employees": {}}}
CRM = {"name": "crm", "database": "sqlite:///crm.db", "table": "clients"}


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({}, "keep"),
        ({"sources": [{"name": "branches", "folder": "branches"}]}, "keep"),
        ({"sources": [CRM]}, "latest"),
        ({"schema": BRIEF_TABLE | {"time": "month"}}, "latest"),
        ({"schema": BRIEF_TABLE}, "keep"),
        ({"conflicts": "quarantine"}, "quarantine"),
        ({"sources": [CRM], "conflicts": "keep"}, "keep"),
    ],
)
def test_the_usual_rule_for_conflicts_depends_on_what_rows_are_told_apart_by(
    tmp_path: Path, settings: dict[str, Any], rule: str
) -> None:
    assert workspace(tmp_path, **settings).conflicts == rule


def test_how_long_files_are_waited_for_and_what_they_may_be_is_set(tmp_path: Path) -> None:
    opened = workspace(tmp_path, settle_seconds=0, unfinished_seconds=5, history_days=7, limits={"columns": 9})
    assert (opened.settle_seconds, opened.unfinished_seconds, opened.history_days) == (0, 5, 7)
    assert opened.limits == Limits(columns=9)


def test_a_secret_comes_from_the_environment_and_is_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_PASSWORD", "hush")
    assert secret("CRM_PASSWORD") == "hush"
    monkeypatch.setenv("CRM_PASSWORD", "")
    with pytest.raises(ConfigurationError, match="the environment variable CRM_PASSWORD is not set"):
        secret("CRM_PASSWORD")


@pytest.fixture
def nobody() -> Iterator[None]:
    """For the length of a test this process is a user whom nothing is permitted to."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can become someone else")
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def opened(tmp_path: Path) -> Workspace:
    """A workspace without folders."""
    return workspace(tmp_path)


def test_a_folder_that_may_not_be_looked_into_does_not_exist(opened: Workspace, nobody: None) -> None:
    with pytest.raises(ConfigurationError, match="this folder does not exist"):
        opened.existing(opened.input_folder, "input_folder_path")


def test_a_configuration_that_may_not_be_read_is_not_permitted(tmp_path: Path, nobody: None) -> None:
    with pytest.raises(NotPermitted):
        Workspace.open(tmp_path)


def test_paths_are_shown_relative_to_the_workspace(tmp_path: Path) -> None:
    opened = workspace(tmp_path)
    assert opened.show(tmp_path / "practicedata" / "a.csv") == "practicedata/a.csv"
    assert opened.show(Path("/srv/x")) == "/srv/x"


def test_the_workspace_may_be_named_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    assert Workspace.open(tmp_path.name).root == tmp_path


# ---- config.json


def test_a_missing_configuration_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no config\.json in this folder") as caught:
        Workspace.open(tmp_path)
    assert caught.value.hint == f"make a workspace here: holdfast init {tmp_path}"
    assert caught.value.exit_status == 78


def test_a_folder_in_place_of_the_configuration_is_an_input_output_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(InputOutputError, match="cannot read"):
        Workspace.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", 1, "not valid JSON: Expecting value at character 1"),
        ("{", 1, "not valid JSON: Expecting property name enclosed in double quotes at character 2"),
        ('{"a": 1,\n', 2, "at character 1"),
        ('{"a": 1,\n}', 2, "at character 1"),
        ('{\n  "a": 1\n  "b": 2\n}', 3, "not valid JSON: Expecting ',' delimiter at character 3"),
        ("{'a': 1}", 1, "at character 2"),
        ('{"a": "\u2028\u2028",\r\n "b" 2}', 2, "at character 6"),
        ('{"a": 1} trailing', 1, "not valid JSON: Extra data at character 10"),
        ('{"a": "\n"}', 1, "Invalid control character"),
    ],
)
def test_malformed_json_is_refused_with_line_and_character(
    tmp_path: Path, content: str, line: int, message: str
) -> None:
    error = refusal(tmp_path, content)
    assert error.row == line
    assert message in error.message
    assert error.value == excerpt(content.split("\n")[line - 1])


@settings(deadline=None)
@given(st.text(max_size=30), st.binary(max_size=30))
def test_any_content_gives_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, data: bytes
) -> None:
    root = tmp_path_factory.mktemp("company")
    for content in (text.encode("utf-8", "surrogatepass"), data, b'{"input_folder_path": ' + data):
        (root / "config.json").write_bytes(content)
        with pytest.raises(ConfigurationError):
            Workspace.open(root)


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(FIVE).encode())
    assert Workspace.open(tmp_path).root == tmp_path


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, json.dumps(FIVE).encode("utf-16")).message == "not UTF-8 text"


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, json.dumps(FIVE)[:-1] + ', "test_data_path": "x"}')
    assert (error.message, error.column) == ("the key 'test_data_path' is given twice", "test_data_path")


def test_a_key_given_twice_deep_inside_is_refused(tmp_path: Path) -> None:
    text = json.dumps(FIVE)[:-1] + ', "schema": {"target": "a", "target": "b"}}'
    assert refusal(tmp_path, text).message == "the key 'target' is given twice"


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_a_json_number_is_refused(tmp_path: Path, constant: str) -> None:
    assert (
        refusal(tmp_path, json.dumps(FIVE)[:-1] + f', "holdout": {constant}}}').message
        == f"{constant} is not a JSON number"
    )


def test_a_number_with_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    text = json.dumps(FIVE)[:-1] + f', "port": {"9" * 5000}}}'
    assert refusal(tmp_path, text).message == "a number has too many digits"


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[" * 100_000).message == "nested too deeply"


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"prod_deployement_path": "x"}).hint == "did you mean 'prod_deployment_path'?"


@pytest.mark.parametrize("key", FIVE)
@pytest.mark.parametrize("value", [None, 5, [], {}, "", "\0"])
def test_a_folder_of_the_wrong_type_is_refused(tmp_path: Path, key: str, value: object) -> None:
    assert refusal(tmp_path, {key: value}).column == key


def test_every_refusal_is_one_of_ours(tmp_path: Path) -> None:
    with pytest.raises(HoldfastError):
        Workspace.open(tmp_path / "nowhere" / "at" / "all")


# ---- who and where


def test_a_script_lies_in_its_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of("ingestion.py") == folder_of(str(tmp_path / "ingestion.py")) == tmp_path


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    assert current_user() == getpass.getuser()
    monkeypatch.setattr(getpass, "getuser", nameless)
    assert current_user() == f"uid {os.getuid()}"
