"""The key `sources`: folders and tables that feed the dataset, or the key at fault by name."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.errors import ConfigurationError
from holdfast.sourcelist import DatabaseSource, FolderSource, sources_from_json

TABLE = {"name": "crm", "database": "postgresql://reader@db/crm", "table": "clients"}
FOLDER = {"name": "branches", "folder": "branchdata"}


def refusal(*entries: object) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        sources_from_json(list(entries))
    return caught.value


def table(**changed: Any) -> dict[str, Any]:
    return {key: value for key, value in (TABLE | changed).items() if value is not None}


def test_folders_and_tables_come_in_their_order() -> None:
    columns = {"Company": "corporation"}
    folder, database = sources_from_json([FOLDER | {"columns": columns, "sheet": "May"}, TABLE])
    assert folder == FolderSource(
        name="branches", folder="branchdata", columns=(("Company", "corporation"),), sheet="May"
    )
    assert database == DatabaseSource(name="crm", database="postgresql://reader@db/crm", table="clients")


def test_a_table_says_what_is_read_of_it_and_how_long_it_may_take() -> None:
    (source,) = sources_from_json(
        [table(table=None, query="SELECT 1", watermark="changed", overlap=60, seconds=5, password_from="CRM_PASSWORD")]
    )
    assert isinstance(source, DatabaseSource)
    assert (source.query, source.watermark, source.overlap, source.seconds) == ("SELECT 1", "changed", 60.0, 5.0)
    assert source.password_from == "CRM_PASSWORD"


def test_no_source_is_fine() -> None:
    assert sources_from_json([]) == ()


@pytest.mark.parametrize("data", [None, {}, "x", 5, FOLDER])
def test_sources_are_a_list(data: object) -> None:
    with pytest.raises(ConfigurationError, match="'sources' must be a list of objects"):
        sources_from_json(data)


def test_an_entry_is_an_object() -> None:
    assert refusal(FOLDER, "branches").message == "source 2 must be an object"


@pytest.mark.parametrize("name", [None, "", "Branches", "1st", "a b", "a/b", "x" * 41, 5, "ä"])
def test_a_name_is_short_and_plain(name: object) -> None:
    error = refusal(FOLDER | {"name": name})
    assert error.message.startswith("source 1 needs a 'name'")
    assert error.hint == "lower-case letters, digits, - and _, beginning with a letter"


def test_no_two_sources_have_one_name() -> None:
    assert refusal(FOLDER, table(name="branches")).message == "two sources are called 'branches'"


@pytest.mark.parametrize(
    ("entry", "key", "nearest"),
    [
        (FOLDER | {"colums": {}}, "colums", "did you mean 'columns'?"),
        (FOLDER | {"watermark": "x"}, "watermark", "known: name, folder, columns, sheet"),
        (table(tabel="x"), "tabel", "did you mean 'table'?"),
        (table(password="x"), "password", "did you mean 'password_from'?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(entry: dict[str, Any], key: str, nearest: str) -> None:
    error = refusal(entry)
    assert (error.column, error.hint) == (key, nearest)


@pytest.mark.parametrize(
    ("entry", "one", "other"),
    [
        ({"name": "crm"}, "database", "database_from"),
        (table(database=None), "database", "database_from"),
        (table(database_from="CRM_URL"), "database", "database_from"),
        (table(table=None), "table", "query"),
        (table(query="SELECT 1"), "table", "query"),
    ],
)
def test_a_database_and_what_is_read_of_it_are_named_once(entry: dict[str, Any], one: str, other: str) -> None:
    assert refusal(entry).message == f"source 'crm' needs either '{one}' or '{other}'"


@pytest.mark.parametrize(
    "url",
    ["postgresql://reader:secret@db/crm", "postgresql+psycopg://reader:se/cr:et@db/crm", "MySQL://:secret@db/crm"],
)
def test_a_password_is_not_taken_from_the_configuration_nor_shown(url: str) -> None:
    error = refusal(table(database=url))
    assert (error.message, error.column) == ("source 'crm': a password does not belong in config.json", "database")
    assert "password_from" in str(error.hint)
    assert "secret" not in str(error)
    assert "se/cr:et" not in str(error)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=reader&password=hush", "password"),
        ("PassWd=hush", "PassWd"),
        ("sslmode=require&sslpassword=hush", "sslpassword"),
        ("sslpassword=", "sslpassword"),
        ("p%61ssword=hush", "password"),
        ("oauth_client_secret=hush", "oauth_client_secret"),
        ("scram_client_key=hush", "scram_client_key"),
    ],
)
def test_neither_is_any_other_secret_in_the_query_part_of_a_url(query: str, found: str) -> None:
    error = refusal(table(database=f"postgresql://reader@db/crm?{query}"))
    assert error.message == f"source 'crm': a password does not belong in config.json; the URL has '{found}'"
    assert "database_from" in str(error.hint)
    assert "hush" not in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///crm.db",
        "sqlite:////srv/a:b@c.db",
        "postgresql://reader@db:5432/crm",
        "postgresql:///crm",
        "postgresql://reader@db/crm?passfile=/etc/crm.pass&sslmode=verify-full&sslkey=/etc/crm.key",
    ],
)
def test_a_url_without_a_password_is_fine(url: str) -> None:
    (source,) = sources_from_json([table(database=url)])
    assert isinstance(source, DatabaseSource)
    assert source.database == url


@pytest.mark.parametrize("value", [5, "", " ", ["x"], "a\0b", True])
@pytest.mark.parametrize("key", ["database", "database_from", "password_from", "table", "watermark"])
def test_a_text_of_a_table_is_a_text(key: str, value: object) -> None:
    entry = table(**{key: value})
    if key == "database_from":
        del entry["database"]
    error = refusal(entry)
    assert (error.column, error.message.startswith(f"source 'crm': '{key}' must be a text")) == (key, True)


@pytest.mark.parametrize(("key", "value"), [("folder", 5), ("folder", None), ("folder", ""), ("sheet", 5)])
def test_a_text_of_a_folder_is_a_text(key: str, value: object) -> None:
    assert refusal(FOLDER | {key: value}).column == key


@pytest.mark.parametrize("value", ["5", True, -1, float("nan"), float("inf"), None])
@pytest.mark.parametrize("key", ["overlap", "seconds"])
def test_a_number_is_a_number_in_its_range(key: str, value: object) -> None:
    assert refusal(TABLE | {key: value}).column == key


@pytest.mark.parametrize("value", [1, "true", None])
def test_whether_a_table_may_be_empty_is_true_or_false(value: object) -> None:
    assert refusal(TABLE | {"may_be_empty": value}).message == "source 'crm': 'may_be_empty' must be true or false"


@pytest.mark.parametrize("columns", [[], "x", {"Company": 5}, {"Company": ""}, {"Company": None}])
def test_columns_are_an_object_of_texts(columns: object) -> None:
    for entry in (FOLDER, TABLE):
        assert refusal(entry | {"columns": columns}).message.endswith("'columns' must be an object of texts")


def test_two_columns_do_not_get_one_name() -> None:
    error = refusal(FOLDER | {"columns": {"Company": "corporation", "Firm": "corporation"}})
    assert error.message == "source 'branches': two columns get the same name"
