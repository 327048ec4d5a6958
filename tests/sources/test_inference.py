"""A schema by looking: roles, types and labels, and what is left out with which notice."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import ConfigurationError, FileRefused, HoldfastError, InputOutputError, UsageError
from holdfast.schema import Schema, schema_from_json, schema_to_json
from holdfast.sources import lines
from holdfast.sources.files import open_regular
from holdfast.sources.inference import MOST_VALUES, Look, Roles, infer_schema, schema_of
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import WHOLE_TABLE, Reading
from holdfast.sources.table import read_files

PUBLIC_TABLES = Path(__file__).parents[2].parent / "shared" / "quality" / "data"


@dataclass(frozen=True)
class Expected:
    """What a person sees in a public table."""

    client: str | None
    target: str
    exited: str
    stayed: str
    time: str | None = None


TABLES = {
    "bank_churners": Expected("CLIENTNUM", "Attrition_Flag", "Attrited Customer", "Existing Customer"),
    "bank_modelling": Expected("CustomerId", "churn", "1", "0"),
    "cdnow_monthly": Expected("customer_id", "churned", "1", "0", "snapshot_date"),
    "ecommerce": Expected("CustomerID", "Churn", "1", "0"),
    "gym": Expected(None, "Churn", "1", "0"),
    "internet_isp": Expected("id", "churn", "1", "0"),
    "ola_monthly": Expected("driver_id", "leaves", "1", "0", "snapshot_date"),
    "telco_ibm": Expected("customerID", "Churn", "Yes", "No"),
    "telecom_bigml": Expected(None, "Churn", "True", "False"),
    "telecom_iranian": Expected(None, "Churn", "1", "0"),
}


def write(folder: Path, header: str, rows: Sequence[str], name: str = "clients.csv") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in (header, *rows)), encoding="utf-8", newline="")
    return path


def clients(count: int = 40) -> list[str]:
    """Rows of `id,visits,churn`."""
    return [f"c{n},{n % 7},{int(n % 3 == 0)}" for n in range(count)]


def inferred(path: Path, **roles: str) -> tuple[Schema, str]:
    schema, notices = infer_schema(path, Roles(**roles))
    return schema, "\n".join(notices)


def roles_of(schema: Schema) -> dict[str, str]:
    return {column.name: column.role for column in schema.columns}


# ---- public tables


@pytest.fixture(params=TABLES)
def public(request: pytest.FixtureRequest) -> Path:
    path = PUBLIC_TABLES / f"{request.param}.csv"
    if not path.is_file():
        pytest.skip("the public churn tables are not beside the project (../shared/quality/data)")
    return path


def test_a_public_table_is_understood_and_read_whole(public: Path) -> None:
    schema, _ = inferred(public)
    client = schema.client.name if schema.client_in_file else None
    time = schema.time.name if schema.time else None
    assert Expected(client, schema.target.name, schema.target.exited, schema.target.stayed, time) == TABLES[public.stem]
    table = read_files([public], schema)
    assert not table.rejected
    assert table.rows.num_rows > 1_000
    assert schema.features


def test_columns_that_are_the_answer_are_kept_out_of_the_model() -> None:
    path = PUBLIC_TABLES / "bank_churners.csv"
    if not path.is_file():
        pytest.skip("the public churn tables are not beside the project (../shared/quality/data)")
    schema, notices = inferred(path)
    assert not [column.name for column in schema.features if "Attrition" in column.name]
    assert notices.count("by its name it may tell the answer") == 2


# ---- laws

CELLS = st.one_of(
    st.integers(-5, 5).map(str), st.sampled_from(["", "NA", "1.5", "2026-01-31", "a", "b c", '"', "1e3", "+1"])
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS, st.sampled_from(["0", "1", "1.0", ""])), min_size=2, max_size=30),
    st.sampled_from(["id", "size", "churn_date"]),
    st.integers(5, 200),
)
def test_a_table_is_read_whole_under_its_own_schema(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]], third: str, block: int
) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path = write(tmp_path_factory.mktemp("table"), f"a,b,{third},churn", quoted)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "BLOCK", block)
            with open_regular(path) as stream:
                schema, _ = schema_of(open_delivery(stream, path.name, Reading(schema=WHOLE_TABLE)), Roles())
    except UsageError:
        return
    assert schema_from_json(schema_to_json(schema)) == schema
    empty_ids = {row.line for row in read_files([path], schema).rejected}
    assert not empty_ids or schema.client_in_file


def test_integers_are_integers_to_the_last_row(tmp_path: Path) -> None:
    rows = [f"c{n},{n},{n % 2}" for n in range(20_000)]
    assert inferred(write(tmp_path, "id,visits,churn", rows))[0].features[0].type == "integer"
    rows[-1] = "c,1.5,0"
    assert inferred(write(tmp_path, "id,visits,churn", rows))[0].features[0].type == "number"


def test_the_values_of_a_column_are_counted_up_to_a_limit() -> None:
    look = Look("id")
    for start in range(0, 50_000, 1_000):
        look.add(pa.array([str(n) for n in range(start, start + 1_000)]))
    assert (len(look.values), look.cells, look.looks_unique, look.many) == (MOST_VALUES, 50_000, True, True)


# ---- the target


def test_the_target_is_named_like_one_and_has_two_values(tmp_path: Path) -> None:
    rows = [f"c{n},{n % 3},{n % 5},{n % 2}" for n in range(30)]
    schema, _ = inferred(write(tmp_path, "id,churned_products,visits,churn", rows))
    assert schema.target.name == "churn"


@pytest.mark.parametrize(
    ("exited", "stayed"),
    [
        ("Yes", "No"),
        ("True", "False"),
        ("churned", "active"),
        ("Left", "Here"),
        ("1", "0"),
        ("1", "-1"),
        ("Attrited Client", "x"),
    ],
)
def test_the_label_that_means_exit_is_known_even_when_it_is_the_more_frequent_one(
    tmp_path: Path, exited: str, stayed: str
) -> None:
    rows = [f"c{n},{n % 7},{stayed if n % 3 == 0 else exited}" for n in range(30)]
    schema, notices = inferred(write(tmp_path, "id,visits,churn", rows))
    assert (schema.target.exited, schema.target.stayed, notices) == (exited, stayed, "")


def test_of_unknown_labels_the_rarer_one_means_exit_and_that_is_said(tmp_path: Path) -> None:
    rows = [f"c{n},{n % 7},{'A' if n % 3 else 'B'}" for n in range(30)]
    schema, notices = inferred(write(tmp_path, "id,visits,churn", rows))
    assert (schema.target.exited, schema.target.stayed) == ("B", "A")
    assert notices == "'churn': 'B', the rarer value, is taken to mean that the client exited (--exited names another)"


def test_a_target_that_is_not_named_like_one_is_said_how_it_is_read(tmp_path: Path) -> None:
    rows = [f"c{n},{n % 7},{n % 2}" for n in range(30)]
    schema, notices = inferred(write(tmp_path, "id,visits,active", rows), target="active")
    assert schema.target.name == "active"
    assert notices == "'active': '1' is taken to mean that the client exited (--exited names another)"


def test_labels_may_have_blanks_around_them_be_decimals_or_be_missing(tmp_path: Path) -> None:
    cells = ["0", " 0", "1", "1.0", "", "NA", "0.0", "0"]
    path = write(tmp_path, "id,visits,churn", [f"c{n},{n},{cells[n % 8]}" for n in range(40)])
    schema, _ = inferred(path)
    assert (schema.target.exited, schema.target.stayed) == ("1", "0")
    assert not read_files([path], schema).rejected


def test_a_label_that_ends_in_point_zero_and_is_no_number_stays_as_it_is(tmp_path: Path) -> None:
    rows = [f"c{n},{n % 7},{'v1.0' if n % 3 else 'v2.0'}" for n in range(30)]
    assert inferred(write(tmp_path, "id,visits,churn", rows))[0].target.exited == "v2.0"


def test_without_a_likely_target_the_user_is_asked_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column looks like the target") as caught:
        inferred(write(tmp_path, "id,visits", ["a,1", "b,2"]))
    assert caught.value.hint
    assert "--target COLUMN" in caught.value.hint


@pytest.mark.parametrize(("values", "found"), [("0", 1), ("012", 3)])
def test_a_named_target_needs_two_values(tmp_path: Path, values: str, found: int) -> None:
    rows = [f"c{n},{n % 7},{values[n % len(values)]}" for n in range(30)]
    with pytest.raises(UsageError, match=f"the target needs two values, found {found}"):
        inferred(write(tmp_path, "id,visits,state", rows), target="state")


# ---- the client


@pytest.mark.parametrize(
    "name",
    ["id", "customerID", "customerid", "CustomerId", "client_no", "CLIENTNUM", "corporation", "user id", "Member-ID"],
)
def test_a_column_named_like_an_id_that_tells_rows_apart_is_the_client(tmp_path: Path, name: str) -> None:
    assert (
        inferred(write(tmp_path, f"visits,{name},churn", [f"{n % 7},c{n},{n % 2}" for n in range(30)]))[0].client.name
        == name
    )


@pytest.mark.parametrize("name", ["id", "customer_id", "corporation", "client"])
def test_an_id_may_repeat(tmp_path: Path, name: str) -> None:
    rows = [f"c{n % 10},{n % 7},{n % 2}" for n in range(50)]
    schema, _ = inferred(write(tmp_path, f"{name},visits,churn", rows))
    assert (schema.client.name, schema.client_in_file) == (name, True)


def test_ids_are_not_read_as_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "id,visits,churn", [*clients(), "NA,1,0", "null,2,1", "0012,3,0", "1e5,4,1"])
    schema, _ = inferred(path)
    assert read_files([path], schema).rows.column("id").to_pylist()[-4:] == ["NA", "null", "0012", "1e5"]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("account_balance", "{}.5"),
        ("customer_age", "3"),
        ("plan_id", "p1"),
        ("member_since_date", "2026-01-{:02}"),
        ("visits", "{}"),
    ],
)
def test_what_only_sounds_like_an_id_is_not_the_client(tmp_path: Path, name: str, cell: str) -> None:
    rows = [f"{cell.format(n + 1)},{n % 7},{n % 2}" for n in range(28)]
    schema, notices = inferred(write(tmp_path, f"{name},size,churn", rows))
    assert not schema.client_in_file
    assert "every row counts as a client of its own" in notices


def test_where_rows_are_dated_a_client_has_several(tmp_path: Path) -> None:
    rows = [f"d{n % 1500},2026-0{1 + n // 1500}-28,{n % 7},{n % 2}" for n in range(4500)]
    schema, _ = inferred(write(tmp_path, "driver_id,month_end_date,trips,left", rows))
    assert (schema.client.name, schema.time and schema.time.name) == ("driver_id", "month_end_date")


# ---- other roles


def test_dates_with_gaps_are_not_the_time(tmp_path: Path) -> None:
    rows = [f"c{n},{'' if n % 5 == 0 else '2026-01-31'},{n % 7},{n % 2}" for n in range(30)]
    path = write(tmp_path, "id,last_visit_date,visits,churn", rows)
    schema, _ = inferred(path)
    assert schema.time is None
    assert not read_files([path], schema).rejected


@pytest.mark.parametrize("name", ["contract_value", "MRR", "annual_revenue"])
def test_money_is_recognised_by_its_name(tmp_path: Path, name: str) -> None:
    rows = [f"c{n},{n * 10}.5,{n % 7},{n % 2}" for n in range(30)]
    assert roles_of(inferred(write(tmp_path, f"id,{name},visits,churn", rows))[0])[name] == "value"


def test_roles_that_the_user_names_win(tmp_path: Path) -> None:
    rows = [f"c{n},d{n},2026-01-01,{n},{n % 7},{n % 2},{n % 2}" for n in range(30)]
    path = write(tmp_path, "id,code,day,worth,visits,churn,gone", rows)
    schema, _ = inferred(path, client="code", target="gone", time="day", value="worth")
    named = {name: role for name, role in roles_of(schema).items() if name in {"code", "gone", "day", "worth"}}
    assert named == {"code": "client", "gone": "target", "day": "time", "worth": "value"}


@pytest.mark.parametrize("role", ["client", "target", "time", "value"])
def test_a_named_column_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path, role: str) -> None:
    with pytest.raises(UsageError, match="this file has no such column") as caught:
        inferred(write(tmp_path, "id,visits,churn", clients()), **{role: "vists"})
    assert (caught.value.column, caught.value.hint) == ("vists", "did you mean 'visits'?")


def test_a_column_has_one_role(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="named for two roles"):
        inferred(write(tmp_path, "id,visits,churn", clients()), client="id", target="id")


@pytest.mark.parametrize(("role", "message"), [("time", "does not hold dates"), ("value", "does not hold numbers")])
def test_a_named_column_has_to_hold_what_it_is_named_for(tmp_path: Path, role: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        inferred(write(tmp_path, "id,visits,churn", clients()), **{role: "id"})


# ---- features


def test_types_are_what_the_cells_hold(tmp_path: Path) -> None:
    rows = [f"c{n},{n},{n}.5,{'ab'[n % 2]},{'' if n % 9 == 0 else n},{n % 2}" for n in range(30)]
    schema, _ = inferred(write(tmp_path, "id,whole,decimal,word,gaps,churn", rows))
    features = {c.name: (c.type, c.missing_allowed) for c in schema.columns if c.role == "feature"}
    assert features == {
        "whole": ("integer", False),
        "decimal": ("number", False),
        "word": ("category", True),
        "gaps": ("integer", True),
    }


@pytest.mark.parametrize(
    ("name", "cell", "why"),
    [
        ("always", "7", "it always holds the same"),
        ("empty", "", "it always holds the same"),
        ("since", "2025-03-{:02}", "it is a second date"),
        ("remark", "text {}", "nearly every row has another text"),
        ("churn_score", "0.{}", "by its name it may tell the answer"),
    ],
)
def test_a_column_that_teaches_nothing_is_kept_out_and_named(tmp_path: Path, name: str, cell: str, why: str) -> None:
    rows = [f"c{n},{cell.format(n + 1)},{n % 7},{n % 2}" for n in range(28)]
    schema, notices = inferred(write(tmp_path, f"id,{name},visits,churn", rows))
    assert roles_of(schema)[name] == "ignored"
    assert f"'{name}' is kept out of the model: {why}" in notices


def test_a_free_text_with_line_ends_does_not_cost_its_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "id,remark,visits,churn", [f'c{n},"line {n}\nand more",{n % 7},{n % 2}' for n in range(30)])
    schema, _ = inferred(path)
    assert read_files([path], schema).rows.num_rows == 30


def test_columns_without_a_name_of_their_own_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, ",id,visits,_line,churn,", [f"{n},c{n},{n % 7},{n},{n % 2}," for n in range(30)])
    schema, notices = inferred(path)
    assert schema.names == ("id", "visits", "churn")
    assert notices == "3 columns are left out: they have no name, or one that Holdfast uses itself"
    assert not read_files([path], schema).rejected


def test_a_table_without_a_feature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column is left to learn from"):
        inferred(write(tmp_path, "id,churn", [f"c{n},{n % 2}" for n in range(30)]))


@pytest.mark.parametrize("odd", [str(2**63 + 1), "1e-400", "1e400"])
def test_a_column_is_of_numbers_only_if_each_of_them_can_be_taken(tmp_path: Path, odd: str) -> None:
    rows = [f"{row},{number}" for row, number in zip(clients(), ["1.5", odd, "2"] * 14, strict=False)]
    path = write(tmp_path, "id,visits,churn,amount", rows)
    schema, _ = inferred(path)
    assert roles_of(schema)["amount"] == "feature"
    assert [column.type for column in schema.columns if column.name == "amount"] == ["category"]
    assert not read_files([path], schema).rejected


# ---- other kinds of files


def in_every_kind(folder: Path) -> list[Path]:
    """One table as CSV, compressed, as Parquet and as a workbook, with the types that they have there."""
    table = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in range(40)],
            "month": ["2026-01-31" if n % 2 else "2026-02-28" for n in range(40)],
            "visits": [n % 7 for n in range(40)],
            "spent": [n / 8 for n in range(40)],
            "plan": [("basic", "gold")[n % 2] for n in range(40)],
            "churned": [n % 3 == 0 for n in range(40)],
        }
    )
    text = table.assign(churned=table["churned"].map({True: "true", False: "false"})).to_csv(index=False)
    paths = [folder / name for name in ("a.csv", "a.csv.gz", "a.parquet", "a.xlsx")]
    paths[0].write_text(text)
    paths[1].write_bytes(gzip.compress(text.encode()))
    dated = table.assign(month=pd.to_datetime(table["month"]))
    dated.to_parquet(paths[2])
    dated.to_excel(paths[3], index=False)
    return paths


def test_every_kind_of_file_is_looked_at_with_the_same_findings(tmp_path: Path) -> None:
    found = [infer_schema(path, Roles()) for path in in_every_kind(tmp_path)]
    assert found == [found[0]] * 4
    schema, notices = found[0]
    assert (schema.client.name, schema.time and schema.time.name) == ("customer_id", "month")
    assert (schema.target.exited, schema.target.stayed, notices) == ("true", "false", ())
    for path in in_every_kind(tmp_path):
        assert not read_files([path], schema).rejected


def test_the_sheet_that_is_meant_can_be_named(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["nothing", "here"])
    sheet = book.create_sheet("Clients")
    for line in ["id,visits,churn", *clients()]:
        sheet.append(line.split(","))
    book.save(tmp_path / "a.xlsx")
    schema, notices = infer_schema(tmp_path / "a.xlsx", Roles(), "Clients")
    assert (schema.names, notices) == (("id", "visits", "churn"), ())
    with pytest.raises(UsageError, match="no column looks like the target"):
        infer_schema(tmp_path / "a.xlsx", Roles())
    with pytest.raises(FileRefused, match="no sheet 'clients'") as caught:
        infer_schema(tmp_path / "a.xlsx", Roles(), "clients")
    assert caught.value.hint == "did you mean 'Clients'?"


def test_columns_of_a_parquet_file_that_are_no_text_are_left_out_and_named(tmp_path: Path) -> None:
    columns = {
        "id": [f"c{n}" for n in range(40)],
        "visits": [n % 7 for n in range(40)],
        "churn": [n % 2 for n in range(40)],
    }
    pq.write_table(pa.table({**columns, "tags": [["a"]] * 40}), tmp_path / "a.parquet")
    schema, notices = infer_schema(tmp_path / "a.parquet", Roles())
    assert schema.names == ("id", "visits", "churn")
    assert notices == ("a.parquet: 1 column not in the schema is left out: tags",)


@pytest.mark.parametrize("name", ["a.parquet", "a.xlsx", "a.csv.gz"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileRefused, match="not a"):
        infer_schema(write(tmp_path, "id,visits,churn", clients(), name), Roles())


def test_a_table_is_looked_at_by_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(*_: object) -> None:
        raise AssertionError("it was opened in this process")

    monkeypatch.setattr("holdfast.sources.opening.open_delivery", here)
    assert infer_schema(write(tmp_path, "id,visits,churn", clients()), Roles())[0].names == ("id", "visits", "churn")


# ---- files that are no tables


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", FileRefused, "the file is empty"),
        ("\n\n", FileRefused, "there is no line with column names"),
        ("id\n1\n", FileRefused, "only one column"),
        ("id;visits;churn\n1;2;0\n", FileRefused, "only one column"),
        ('"id,visits\n', FileRefused, "the first line is not CSV"),
        ("id,visits,visits,churn\na,1,1,0\n", FileRefused, "more than once"),
        ('id,visits,churn\n"a,1,0\n', FileRefused, "a quote opens"),
        ("id,visits,churn\na,1,0,9\n", FileRefused, "no row has as many fields"),
        ("id,Visits,visits,churn\n" + "a,1,1,0\nb,2,2,1\n", ConfigurationError, "differ only in case"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, text: str, error: type[HoldfastError], message: str
) -> None:
    (tmp_path / "clients.csv").write_text(text)
    with pytest.raises(error, match=message):
        inferred(tmp_path / "clients.csv")


def test_semicolons_are_recognised(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as caught:
        inferred(write(tmp_path, "id;visits;churn", ["1;2,5;0"]))
    assert caught.value.hint == "the fields look separated by semicolons; save the file with commas"


def test_a_file_that_is_not_there_is_an_input_output_error(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="No such file"):
        inferred(tmp_path / "clients.csv")


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    _, notices = inferred(write(tmp_path, "id,visits,churn", [*clients(), "short,1"]))
    assert notices == "1 of 41 rows cannot be read: ingestion will quarantine them"


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_as_in_any_delivery(tmp_path: Path, end: str) -> None:
    path = write(tmp_path, "id,visits,churn", clients())
    path.write_bytes(path.read_bytes().replace(b"\n", end.encode()))
    assert inferred(path)[0].names == ("id", "visits", "churn")
