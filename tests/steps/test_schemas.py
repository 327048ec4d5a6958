"""The schema shown, found by looking, and held against a file, with nothing taken in."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from holdfast.errors import FileRefused, InputOutputError, NotPermitted, UsageError
from holdfast.records import from_json, to_json
from holdfast.records.contract import BrokenRule, SchemaCheck, SchemaInferred, SchemaShow
from holdfast.render.contract import check_lines
from holdfast.schema import schema_to_json
from holdfast.sources.inference import Roles
from holdfast.steps.ingestion import ingest
from holdfast.steps.initialisation import init_empty, init_from
from holdfast.steps.schemas import EXAMPLES, check_file, infer_from, show_schema
from holdfast.workspace import CONFIG_NAME, Workspace

CONTRACT = {
    "client": "id",
    "target": {"column": "left", "exited": "yes", "stayed": "no"},
    "time": {"column": "day", "earliest": "2020-01-01"},
    "value": {"column": "worth", "unit": "EUR", "minimum": 0},
    "features": {
        "visits": {"type": "integer", "unit": "visits a month", "minimum": 0, "missing_allowed": True},
        "region": {"categories": ["north", "south"]},
    },
}
HEADER = "id,day,worth,visits,region,left"
GOOD = "a,2024-05-01,10.5,3,north,no"


def workspace_with(folder: Path, **keys: Any) -> Workspace:
    init_empty(folder)
    config = json.loads((folder / CONFIG_NAME).read_text()) | keys
    (folder / CONFIG_NAME).write_text(json.dumps(config))
    return Workspace.open(folder)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a schema of its own, which nobody changes."""
    return workspace_with(tmp_path_factory.mktemp("schema"), schema=CONTRACT)


@pytest.fixture
def checked(shared: Workspace, tmp_path: Path) -> Callable[..., SchemaCheck]:
    """`checked(*rows, header=…)`: a file with these rows against the schema."""

    def check_rows(*rows: str, header: str = HEADER) -> SchemaCheck:
        file = tmp_path / "march.csv"
        file.write_text("".join(f"{line}\n" for line in (header, *rows)))
        return check_file(shared, file)

    return check_rows


def only_rule(record: SchemaCheck) -> BrokenRule:
    (rule,) = record.broken
    return rule


# ---- show


def test_without_a_schema_the_briefs_columns_are_shown_as_such(tmp_path: Path) -> None:
    record = show_schema(workspace_with(tmp_path))
    assert (record.origin, record.client_in_file) == ("brief", True)
    assert [column.name for column in record.columns if column.learned] == [
        "lastmonth_activity",
        "lastyear_activity",
        "number_of_employees",
    ]


def test_a_schema_of_config_json_is_shown_with_all_that_it_says(shared: Workspace) -> None:
    record = show_schema(shared)
    assert (record.origin, record.digest) == ("config.json", shared.schema.digest)
    columns = {column.name: column for column in record.columns}
    assert (columns["worth"].unit, columns["worth"].minimum, columns["worth"].missing_allowed) == ("EUR", 0, True)
    assert (columns["day"].role, columns["day"].earliest, columns["day"].latest) == ("time", "2020-01-01", None)
    assert (columns["left"].exited, columns["left"].stayed, columns["left"].learned) == ("yes", "no", False)
    assert columns["region"].categories == ("north", "south")
    assert columns["id"].exited is None


def test_a_schema_like_the_briefs_that_stands_in_config_json_comes_from_there(tmp_path: Path) -> None:
    written = schema_to_json(workspace_with(tmp_path / "a").schema)
    assert show_schema(workspace_with(tmp_path / "b", schema=written)).origin == "config.json"


# ---- infer


def test_what_is_inferred_is_what_init_writes(tmp_path: Path) -> None:
    table = tmp_path / "churn.csv"
    table.write_text("customer_id,visits,churned\n" + "".join(f"k{i},{i % 9}.5,{i % 2}\n" for i in range(60)))
    record = infer_from(table, Roles())
    init_from(tmp_path / "company", table, Roles())
    assert record.schema == json.loads((tmp_path / "company" / CONFIG_NAME).read_text())["schema"]
    assert [column.name for column in record.columns] == ["customer_id", "visits", "churned"]
    assert not record.is_the_briefs


def test_the_briefs_table_is_recognised(company: Workspace) -> None:
    assert infer_from(company.test_folder / "testdata.csv", Roles()).is_the_briefs


def test_a_role_that_was_named_is_taken_over(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("name,gone,visits\n" + "".join(f"k{i},{'ab'[i % 2]},{i}\n" for i in range(20)))
    assert infer_from(table, Roles(client="name", target="gone")).schema["client"] == "name"


def test_a_file_without_a_target_has_no_schema(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(UsageError, match="no column looks like the target"):
        infer_from(table, Roles())


# ---- check


def test_a_file_that_keeps_the_schema_is_taken_whole(checked: Callable[..., SchemaCheck]) -> None:
    record = checked(GOOD, "b,2024-05-02,,,south,yes")
    assert (record.rows, record.accepted, record.quarantined, record.exit_status) == (2, 2, 0, 0)
    assert (record.exited, record.stayed, record.unlabelled, record.broken) == (1, 1, 0, ())


@pytest.mark.parametrize(
    ("row", "column", "rule", "shown"),
    [
        ("a,2024-05-01,10.5,seven,north,no", "visits", "not a whole number", "seven"),
        ("a,2024-05-01,10.5,-3,north,no", "visits", "below the minimum 0", "-3"),
        ("a,2019-05-01,10.5,3,north,no", "day", "before 2020-01-01", "2019-05-01"),
        ('a,2024-05-01,10.5,3,"no,rth",no', "region", "not one of the categories: north, south", "no,rth"),
        (",2024-05-01,10.5,3,north,no", "id", "missing", ""),
        ("a,2024-05-01,10.5,3,north\x1b[31m,no", "region", "control character", "north\\x1b[31m"),
    ],
)
def test_a_broken_rule_is_shown_with_its_line_and_the_cell(
    checked: Callable[..., SchemaCheck], row: str, column: str, rule: str, shown: str
) -> None:
    record = checked(GOOD, row)
    found = only_rule(record)
    assert (found.column, found.rule, found.quarantined, found.rows) == (column, rule, True, 1)
    assert [(example.line, example.excerpt) for example in found.examples] == [(3, shown)]
    assert (record.accepted, record.quarantined, record.exit_status) == (1, 1, 3)
    assert [each.name for each in record.columns if each.refused] == [column]


def test_where_no_cell_is_at_fault_the_row_is_shown(checked: Callable[..., SchemaCheck]) -> None:
    found = only_rule(checked(GOOD, "a,b"))
    assert (found.column, found.rule, found.examples[0].excerpt) == (None, "fields: 2 instead of 6", "a,b")


def test_a_strange_label_leaves_the_row_unlabelled_and_out_of_quarantine(checked: Callable[..., SchemaCheck]) -> None:
    record = checked(GOOD, f"{GOOD}t sure", GOOD.removesuffix("no"))
    found = only_rule(record)
    assert (found.column, found.rule, found.quarantined) == ("left", "not no or yes", False)
    assert (record.accepted, record.duplicate) == (2, 1)  # both have no label
    assert (record.stayed, record.unlabelled, record.exit_status) == (1, 2, 0)


def test_the_examples_of_a_rule_are_the_first_that_differ(checked: Callable[..., SchemaCheck]) -> None:
    cells = ["x", "x", "y", "z", "w"]
    found = only_rule(checked(GOOD, *(f"a,2024-05-01,10.5,{cell},north,no" for cell in cells)))
    assert found.rows == 5
    assert [(example.line, example.excerpt) for example in found.examples] == [(3, "x"), (5, "y"), (6, "z")]
    assert len(found.examples) == EXAMPLES


def test_the_rule_that_most_rows_break_comes_first(checked: Callable[..., SchemaCheck]) -> None:
    rows = ["a,2024-05-01,10.5,x,north,no", *["a,2024-05-01,-1,3,north,no"] * 2]
    assert [rule.rows for rule in checked(GOOD, *rows).broken] == [2, 1]


def test_a_column_shows_what_is_missing_and_between_which_values_it_lies(checked: Callable[..., SchemaCheck]) -> None:
    rows = ["b,2026-01-01,2,,south,yes", "c,2021-01-01,,7,south,", "d,2022-01-01,1e9,x,south,yes"]
    columns = {column.name: column for column in checked(GOOD, *rows).columns}
    assert (columns["day"].earliest, columns["day"].latest, columns["day"].minimum) == (
        "2021-01-01",
        "2026-01-01",
        None,
    )
    assert (columns["worth"].minimum, columns["worth"].maximum, columns["worth"].missing) == (2, 10.5, 1)
    assert (columns["visits"].minimum, columns["visits"].maximum, columns["visits"].missing) == (3, 7, 1)
    assert columns["left"].missing == 1
    assert (columns["worth"].unit, columns["id"].minimum) == ("EUR", None)


def test_a_file_with_a_header_alone_keeps_the_schema(checked: Callable[..., SchemaCheck]) -> None:
    record = checked()
    assert (record.rows, record.exit_status, record.columns[1].earliest) == (0, 0, None)


def test_columns_that_the_schema_does_not_know_are_named(checked: Callable[..., SchemaCheck]) -> None:
    assert checked(f"x,{GOOD},y", header=f"note,{HEADER},remark").extra == ("note", "remark")


def test_a_missing_column_is_named_with_the_one_that_may_be_meant(checked: Callable[..., SchemaCheck]) -> None:
    with pytest.raises(FileRefused, match="visits") as caught:
        checked(GOOD, header=HEADER.replace("visits", "vists"))
    assert "vists" in str(caught.value.hint)


def test_a_file_that_is_no_table_is_refused(checked: Callable[..., SchemaCheck]) -> None:
    with pytest.raises(FileRefused, match="begins with '%PDF"):
        checked(header="%PDF-1.7")


def test_a_file_that_is_not_there_is_answered_with_the_nearest(shared: Workspace, tmp_path: Path) -> None:
    (tmp_path / "march.csv").write_text(HEADER)
    with pytest.raises(InputOutputError) as caught:
        check_file(shared, tmp_path / "marsh.csv")
    assert caught.value.hint == "did you mean 'march.csv'?"


ROWS = st.sampled_from(
    [
        GOOD,
        "b,2024-05-02,,,south,yes",
        "c,2024-05-02,,,south,perhaps",
        "d,2024-05-02,x,y,south,yes",
        "e,2024-05-02,1,-1,,",
        "f,1,2",
        'g,"2024-05-02",1,1,"north",no',
        'h,2024-05-02,1,1,"nor"th,no',
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(ROWS, max_size=12))
def test_every_row_is_accounted_for(checked: Callable[..., SchemaCheck], rows: list[str]) -> None:
    record = checked(GOOD, *rows)
    assert record.rows == 1 + len(rows) == record.accepted + record.duplicate + record.quarantined
    assert record.keeping == record.exited + record.stayed + record.unlabelled == record.accepted + record.duplicate
    assert record.quarantined == sum(rule.rows for rule in record.broken if rule.quarantined)
    assert record.keeping == 1 + sum(row[0] in "abcg" for row in rows)


SIMILAR = st.builds(
    "{},2024-05-0{},1,{},north,{}".format, *map(st.sampled_from, ("ab", "12", "12x", ("no", "yes", "")))
)


@pytest.mark.parametrize("conflicts", ["latest", "quarantine", "keep"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5, deadline=None)
@given(rows=st.lists(SIMILAR, max_size=9))
def test_a_check_is_what_ingestion_does_with_the_file_alone(
    tmp_path_factory: pytest.TempPathFactory, conflicts: str, rows: list[str]
) -> None:
    workspace = workspace_with(tmp_path_factory.mktemp("alone"), schema=CONTRACT, conflicts=conflicts)
    file = workspace.input_folder / "march.csv"
    file.write_text("".join(f"{line}\n" for line in (HEADER, GOOD, *rows)))
    check = check_file(workspace, file)
    (taken,) = ingest(workspace).files
    assert (check.digest, check.rows, check.accepted) == (taken.digest, taken.rows, taken.accepted)
    assert (check.duplicate, check.quarantined) == (taken.duplicate, taken.quarantined)
    assert (check.unlabelled, check.exit_status) == (taken.unlabelled, 3 if taken.quarantined else 0)
    replaced = [notice for notice in taken.notices if "the place of earlier rows" in notice]
    assert list(check.notices) == replaced


def test_rows_that_contradict_earlier_ones_are_a_rule_of_their_own(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, schema=CONTRACT, conflicts="quarantine")
    file = tmp_path / "march.csv"
    rows = (GOOD, GOOD.replace("10.5", "11"), GOOD, GOOD.replace("10.5", "12"))
    file.write_text("".join(f"{line}\n" for line in (HEADER, *rows)))
    record = check_file(workspace, file)
    assert (record.accepted, record.duplicate, record.quarantined, record.exit_status) == (1, 1, 2, 3)
    rule = only_rule(record)
    assert (rule.column, rule.rule) == (None, "contradicts an earlier row, which has the same id, day")
    assert [(example.line, example.excerpt) for example in rule.examples] == [
        (3, "a, 2024-05-01"),
        (5, "a, 2024-05-01"),
    ]


def test_duplicates_are_told(checked: Callable[..., SchemaCheck]) -> None:
    first, *_, verdict = (line for line in check_lines(checked(GOOD, GOOD)) if isinstance(line, str))
    assert first.startswith("march.csv: 2 rows = 1 accepted + 1 duplicate + 0 quarantined")
    assert verdict == "verdict: it keeps the schema; every row but 1 duplicate would be taken in"


@pytest.mark.parametrize("name", ["notes.txt", "march.xls", "march.csv.bz2", "march", ".march.csv"])
def test_a_file_that_ingestion_passes_over_gets_no_verdict(shared: Workspace, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(f"{HEADER}\n{GOOD}\n")
    with pytest.raises(UsageError, match="ingestion passes over it"):
        check_file(shared, tmp_path / name)


@pytest.mark.parametrize("name", ["march.csv", "notes.txt"])
def test_a_file_that_may_not_be_read_is_not_permitted(
    shared: Workspace, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text(HEADER)
    real = os.open

    def forbidding(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", forbidding)
    with pytest.raises(NotPermitted) as caught:
        check_file(shared, tmp_path / name)
    assert (caught.value.file, caught.value.exit_status) == (name, 77)


def test_nothing_of_the_file_is_left_behind(
    checked: Callable[..., SchemaCheck], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    checked(GOOD)
    assert [path.name for path in tmp_path.iterdir()] == ["march.csv"]


def test_a_file_of_many_batches_is_added_up(shared: Workspace, tmp_path: Path) -> None:
    file, told = tmp_path / "large.csv", []
    rows = [f"c{i},2024-05-01,{i},{i},north,{'yes' if i % 4 else 'no'}" for i in range(150_000)]
    rows[7] = rows[-7] = "bad,2024-05-01,1,x,north,no"
    file.write_text("".join(f"{line}\n" for line in (HEADER, *rows)))
    record = check_file(shared, file, progress=lambda what, done, total: told.append((what, done, total)))
    assert (record.rows, record.quarantined) == (150_000, 2)
    assert (record.columns[2].minimum, record.columns[2].maximum) == (0, 149_999)
    assert [example.line for example in only_rule(record).examples] == [9]
    assert len(told) > 1
    assert told[-1] == ("checking large.csv", 150_000, None)


def test_a_compressed_file_is_checked_like_the_file_in_it(shared: Workspace, tmp_path: Path) -> None:
    (tmp_path / "march.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n{GOOD}\n".encode()))
    assert check_file(shared, tmp_path / "march.csv.gz").accepted == 1


def test_checking_changes_nothing_in_the_workspace(company: Workspace) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in company.root.rglob("*") if path.is_file()}

    before = files()
    assert check_file(company, company.input_folder / "dataset1.csv").accepted == 150
    show_schema(company)
    assert files() == before


# ---- sources

BRANCHES = {"name": "branches", "folder": "branches", "columns": {"kunde": "id", "besuche": "visits"}}
RENAMED = HEADER.replace("id", "kunde", 1).replace("visits", "besuche")


def test_a_file_in_the_folder_of_a_source_has_the_column_names_of_that_source(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, schema=CONTRACT, sources=[BRANCHES])
    (tmp_path / "branches").mkdir()
    file = tmp_path / "branches" / "march.csv"
    file.write_text(f"{RENAMED}\n{GOOD}\n{GOOD.replace(',3,', ',x,')}\n")
    record = check_file(workspace, file)
    assert (record.source, record.accepted, only_rule(record).column) == ("branches", 1, "visits")
    assert only_rule(record).examples[0].excerpt == "x"


@pytest.mark.parametrize("folder", ["branches", "linked", "file://{}/x/../branches"])
@pytest.mark.parametrize("given_as", ["branches/march.csv", "x/../branches/march.csv", "linked/march.csv"])
def test_the_folder_of_a_source_is_known_however_its_path_is_written(
    tmp_path: Path, folder: str, given_as: str
) -> None:
    workspace = workspace_with(tmp_path, schema=CONTRACT, sources=[BRANCHES | {"folder": folder.format(tmp_path)}])
    for made in ("branches", "x"):
        (tmp_path / made).mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "branches")
    (tmp_path / "branches" / "march.csv").write_text(f"{RENAMED}\n{GOOD}\n")
    assert check_file(workspace, tmp_path / given_as).source == "branches"


def test_a_file_elsewhere_may_be_checked_as_one_of_a_source(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, schema=CONTRACT, sources=[BRANCHES])
    (tmp_path / "march.csv").write_text(f"{RENAMED}\n{GOOD}\n")
    assert check_file(workspace, tmp_path / "march.csv", "branches").accepted == 1
    with pytest.raises(FileRefused, match="no column"):
        check_file(workspace, tmp_path / "march.csv")


def test_a_source_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, schema=CONTRACT, sources=[BRANCHES])
    with pytest.raises(UsageError) as caught:
        check_file(workspace, tmp_path / "march.csv", "branch")
    assert caught.value.hint == "did you mean 'branches'?"


# ---- records


def test_the_records_survive_the_way_through_json(
    shared: Workspace, company: Workspace, checked: Callable[..., SchemaCheck]
) -> None:
    shown = show_schema(shared)
    assert from_json(SchemaShow, to_json(shown)) == shown
    inferred = infer_from(company.test_folder / "testdata.csv", Roles())
    assert from_json(SchemaInferred, to_json(inferred)) == inferred
    record = checked(GOOD, "a,b", GOOD.replace(",3,", ",x,"))
    assert from_json(SchemaCheck, to_json(record)) == record


# ---- the documentation

PAGE = (Path(__file__).parents[2] / "docs" / "schema.md").read_text(encoding="utf-8")


def block_of(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def test_the_documentation_shows_what_a_check_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = workspace_with(tmp_path, **json.loads(block_of("json")))
    names = "customerID,Churn,snapshot_date,contract_value,tenure,MonthlyCharges,TotalCharges,Contract,notes"
    plans = ("Month-to-month", "One year", "Two year")
    rows: list[list[Any]] = [
        [
            f"{i:04}",
            "No" if i % 4 else "Yes",
            f"2026-03-{i % 31 + 1:02}",
            i * 10,
            i % 72,
            20.5 + i % 90,
            i * 2.5,
            plans[i % 3],
            "",
        ]
        for i in range(1000)
    ]
    wrong = {(11, 6): "NA", (57, 4): "6 months", (303, 4): "n/a", (304, 4): "n/a", (411, 7): "Two years", (500, 1): "?"}
    for (row, column), cell in {**wrong, (700, 2): "2062-03-01"}.items():
        rows[row][column] = cell
    file = tmp_path / "march.csv"
    file.write_text("".join(",".join(map(str, row)) + "\n" for row in ([names], *rows)))
    console = Console(width=160)
    for line in check_lines(check_file(workspace, file)):
        console.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))
    printed = "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())
    assert re.sub(r"[0-9.]+ s;", "0.1 s;", printed) == block_of("text")
