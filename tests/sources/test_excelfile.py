"""Delivered Excel workbooks: the rows and verdicts of a CSV file with the same cells."""

from __future__ import annotations

import datetime
import hashlib
import io
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import FileRefused
from holdfast.limits import Limits
from holdfast.records import RejectedRow
from holdfast.schema import BRIEF_SCHEMA, LINE, Schema, schema_from_json
from holdfast.sources import excelfile
from holdfast.sources.csvfile import CsvFile
from holdfast.sources.excelfile import FAILED, ExcelDelivery
from holdfast.sources.parquetfile import ParquetDelivery
from holdfast.sources.parsed import Delivered, Reading
from holdfast.sources.unpacking import Hashed

BRIEF = Reading(schema=BRIEF_SCHEMA)
HEADER: list[object] = list(BRIEF_SCHEMA.names)
GOOD: list[object] = ["acme", 1, 2, 3, 1]
DATED = schema_from_json(
    {
        "client": "id",
        "time": "day",
        "target": {"column": "left", "exited": "1", "stayed": "0"},
        "features": {
            "visits": {"type": "integer", "minimum": 0},
            "spend": {"type": "number", "missing_allowed": True},
            "plan": {"type": "category"},
        },
    }
)


@dataclass(frozen=True)
class Read:
    """What became of a delivery."""

    rows: list[dict[str, Any]]
    lines: list[int]
    rejected: list[RejectedRow]
    unlabelled: list[RejectedRow]
    counted: int
    notices: tuple[str, ...]

    @property
    def refusals(self) -> list[tuple[int, str | None, str]]:
        return [(row.line, row.column, row.rule) for row in self.rejected]


def result(delivery: Delivered) -> Read:
    batches = list(delivery)
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    return Read(
        rows,
        [row.pop(LINE) for row in rows],
        [row for batch in batches for row in batch.rejected],
        [row for batch in batches for row in batch.unlabelled],
        delivery.rows,
        delivery.notices,
    )


def workbook(*table: Sequence[object], change: Callable[[openpyxl.Workbook], object] | None = None) -> bytes:
    """A workbook whose first sheet holds `table`, `change`d afterwards."""
    book = openpyxl.Workbook()
    for line, cells in enumerate(table, 1):
        for column, cell in enumerate(cells, 1):
            book.active.cell(line, column, cell)
    if change:
        change(book)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def rewritten(data: bytes, pattern: str, by: str, part: str = "sheet1.xml") -> bytes:
    """The workbook with the XML of a part changed by a regular expression."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            content = source.read(name).decode()
            target.writestr(name, re.sub(pattern, by, content) if name.endswith(part) else content)
    return stream.getvalue()


def opened(data: bytes, reading: Reading = BRIEF) -> ExcelDelivery:
    return ExcelDelivery(io.BytesIO(data), "march.xlsx", reading)


def read(data: bytes, reading: Reading = BRIEF) -> Read:
    return result(opened(data, reading))


def refusal(data: bytes, reading: Reading = BRIEF) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        read(data, reading)
    assert caught.value.file == "march.xlsx"
    return caught.value


def limited(**limits: int) -> Reading:
    return Reading(schema=BRIEF_SCHEMA, limits=Limits(**limits))


# ---- the same as CSV and Parquet

TEXT = st.text(st.characters(blacklist_categories=["C", "Zl", "Zp"]), min_size=1, max_size=8)
IDS = TEXT.filter(lambda text: not re.match("=|#", text) and not re.search("_x[0-9a-fA-F]{4}_", text))
ROWS = st.tuples(
    IDS,
    st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1)),
    st.integers(-5, 10**9),
    st.one_of(st.none(), st.integers(-(10**9), 10**9).map(lambda thousandths: thousandths / 1_000)),
    st.sampled_from(["gold", "blue", "", "0012"]),
    st.booleans(),
)


@settings(max_examples=40)
@given(st.lists(ROWS, max_size=6))
def test_one_table_gives_the_same_rows_and_verdicts_as_csv_parquet_and_excel(rows: list[tuple[Any, ...]]) -> None:
    reading = Reading(schema=DATED)
    order = ["id", "day", "visits", "spend", "plan", "left"]
    kinds = [pa.string(), pa.date32(), pa.int64(), pa.float64(), pa.string(), pa.bool_()]
    columns = zip(*rows, strict=True) if rows else [()] * len(order)
    arrays = [pa.array(list(cells), kind) for cells, kind in zip(columns, kinds, strict=True)]
    stream = io.BytesIO()
    pq.write_table(pa.table(arrays, names=order), stream)
    lines = [order, *([*row[:5], int(row[5])] for row in rows)]
    text = "".join(",".join('"' + as_text(cell).replace('"', '""') + '"' for cell in line) + "\n" for line in lines)
    of_csv = result(CsvFile(Hashed(io.BytesIO(text.encode()), "march.csv"), "march.csv", reading))
    of_excel = read(workbook(order, *rows), reading)
    of_parquet = result(ParquetDelivery(stream, "march.parquet", reading))
    assert of_excel.rows == of_parquet.rows == of_csv.rows
    assert of_excel.lines == of_csv.lines == [line + 1 for line in of_parquet.lines]
    assert of_excel.refusals == of_csv.refusals
    assert [row.text for row in of_excel.rejected] == [row.text for row in of_parquet.rejected]


def as_text(cell: object) -> str:
    return "" if cell is None else str(cell)


@given(st.lists(IDS, max_size=6))
def test_client_ids_come_out_byte_for_byte(ids: list[str]) -> None:
    assert [row["corporation"] for row in read(workbook(HEADER, *([name, 1, 2, 3, 0] for name in ids))).rows] == ids


def test_numbers_as_ids_are_written_as_whole_numbers() -> None:
    ids = [12, 12.0, 10**15, 0.5, True]
    rows = read(workbook(HEADER, *([name, 1, 2, 3, 0] for name in ids))).rows
    assert [row["corporation"] for row in rows] == ["12", "12", "1000000000000000", "0.5", "true"]


def test_ids_shown_with_leading_zeros_have_them() -> None:
    def zeros(book: openpyxl.Workbook) -> None:
        book.active["A2"].number_format = "00000"

    assert read(workbook(HEADER, [12, 1, 2, 3, 0], change=zeros)).rows[0]["corporation"] == "00012"


def test_columns_of_mixed_types_are_read_cell_by_cell() -> None:
    table = [HEADER, ["a", 1, "2", 3.0, True], ["b", "x", 2, 3, "1"], ["c", 1, 2.5, 3, False], ["d", 1, 2, 3, "maybe"]]
    outcome = read(workbook(*table))
    assert [tuple(row.values()) for row in outcome.rows] == [("a", 1, 2, 3, 1), ("d", 1, 2, 3, None)]
    rule = "not a whole number"
    assert outcome.refusals == [(3, "lastmonth_activity", rule), (4, "lastyear_activity", rule)]
    assert [(row.line, row.text) for row in outcome.unlabelled] == [(5, "d,1,2,3,maybe")]


def test_dates_and_moments_are_days() -> None:
    moment = datetime.datetime(2026, 1, 31, 23, 30)  # noqa: DTZ001
    table: list[list[object]] = [
        ["id", "day", "visits", "spend", "plan", "left"],
        ["a", moment, 1, 0.5, "x", 1],
        ["b", 46053, 1, 1, "x", 1],
    ]
    outcome = read(workbook(*table), Reading(schema=DATED))
    assert [row["day"] for row in outcome.rows] == [datetime.date(2026, 1, 31)]
    assert outcome.refusals == [(3, "day", "not a date like 2026-01-31")]


def test_a_time_is_no_number() -> None:
    assert read(workbook(HEADER, ["a", datetime.time(12), 2, 3, 0])).refusals == [
        (2, "lastmonth_activity", "not a whole number")
    ]


# ---- the sheet


def test_the_first_sheet_that_is_shown_is_read_and_told_of_where_there_are_more() -> None:
    def more(book: openpyxl.Workbook) -> None:
        book.create_sheet("hidden", 0).sheet_state = "hidden"
        book.create_sheet("notes").append(["nothing"])

    outcome = read(workbook(HEADER, GOOD, change=more))
    assert [row["corporation"] for row in outcome.rows] == ["acme"]
    assert outcome.notices == (
        "march.xlsx: the sheet 'Sheet' is read, of hidden, Sheet, notes; "
        "the key 'sheet' of a source, or --sheet, names another",
    )


def test_the_sheet_that_the_source_names_is_read_hidden_or_not() -> None:
    def hidden(book: openpyxl.Workbook) -> None:
        sheet = book.create_sheet("clients")
        sheet.sheet_state = "hidden"
        for row in (HEADER, ["beta", 1, 2, 3, 0]):
            sheet.append(row)

    outcome = read(workbook(["nothing"], change=hidden), Reading(schema=BRIEF_SCHEMA, sheet="clients"))
    assert ([row["corporation"] for row in outcome.rows], outcome.notices) == (["beta"], ())


def test_a_sheet_that_is_not_there_is_refused_with_those_that_are() -> None:
    error = refusal(workbook(HEADER, GOOD), Reading(schema=BRIEF_SCHEMA, sheet="Sheets"))
    assert (error.message, error.hint) == ("no sheet 'Sheets'. Found: Sheet", "did you mean 'Sheet'?")


def test_a_workbook_that_shows_no_sheet_is_refused() -> None:
    data = rewritten(workbook(HEADER, GOOD), 'state="visible"', 'state="hidden"', part="xl/workbook.xml")
    assert refusal(data).message == "no sheet is shown. Found: Sheet"


def test_an_empty_sheet_is_refused() -> None:
    assert refusal(workbook()).message == "the sheet 'Sheet' is empty"


def test_a_sheet_with_column_names_alone_gives_one_empty_batch() -> None:
    [batch] = list(opened(workbook(HEADER)))
    assert (batch.rows.num_rows, batch.rejected) == (0, ())


# ---- rows and columns


def test_empty_rows_are_skipped_and_the_others_keep_their_numbers() -> None:
    empty = [None] * 5
    outcome = read(workbook(empty, empty, HEADER, empty, GOOD, ["", None], ["b", -1, 2, 3, 0], empty))
    assert (outcome.lines, outcome.refusals) == ([5], [(7, "lastmonth_activity", "below the minimum 0")])
    assert outcome.counted == 2


def test_a_table_may_begin_in_any_column() -> None:
    outcome = read(workbook([None, None, *HEADER], [None, None, *GOOD]))
    assert [row["corporation"] for row in outcome.rows] == ["acme"]
    assert outcome.notices == ()


def test_cells_beside_the_table_are_left_out_with_a_notice() -> None:
    outcome = read(workbook(HEADER, [*GOOD, None, "checked by Anna"], [*[None] * 6, "on Monday"]))
    assert (outcome.counted, len(outcome.rows)) == (1, 1)
    assert outcome.notices == ("march.xlsx: 2 cells beside the named columns are left out",)


def test_a_refused_row_keeps_all_its_cells_as_csv() -> None:
    delivery = opened(workbook(["note", *HEADER], ['a "b", c', "acme", -1, 2.5, 3, True]))
    [row] = result(delivery).rejected
    assert delivery.header == ("note", *HEADER)
    assert row.text == '"a ""b"", c",acme,-1,2.5,3,1'
    assert delivery.notices == ("march.xlsx: 1 column not in the schema is left out: note",)


def test_columns_are_renamed_as_the_source_says() -> None:
    reading = Reading(schema=BRIEF_SCHEMA, renamed={"Company": "corporation"})
    delivery = opened(workbook(["Company", *HEADER[1:]], GOOD), reading)
    assert delivery.header == tuple(HEADER)
    assert result(delivery).rows[0]["corporation"] == "acme"


def test_a_missing_column_is_named_with_the_row_of_the_names() -> None:
    error = refusal(workbook([None], HEADER[1:], GOOD[1:]))
    assert error.row == 2
    assert "no column 'corporation'" in error.message


def test_rows_are_their_own_clients_where_the_schema_has_none() -> None:
    reading = Reading(schema=Schema(columns=BRIEF_SCHEMA.columns, client_in_file=False))
    assert read(workbook(HEADER[1:], GOOD[1:]), reading).rows[0]["corporation"] == "march.xlsx:2"


def test_rows_out_of_order_are_all_read() -> None:
    data = rewritten(workbook(HEADER, GOOD, ["beta", 1, 2, 3, 0]), r'(<row r="|r="[A-E])2"', r'\g<1>9"')
    outcome = read(data)
    assert (outcome.lines, [row["corporation"] for row in outcome.rows]) == ([9, 3], ["acme", "beta"])


def test_a_sheet_that_gives_its_size_wrongly_is_read_to_its_end() -> None:
    data = rewritten(workbook(HEADER, GOOD), '<dimension ref="[^"]*"', '<dimension ref="A1"')
    assert len(read(data).rows) == 1


def test_many_rows_come_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excelfile, "BATCH_CELLS", 50)
    assert [batch.rows.num_rows for batch in opened(workbook(HEADER, *[GOOD] * 25))] == [10, 10, 5]


def test_the_digest_is_of_the_files_bytes() -> None:
    data = workbook(HEADER, GOOD)
    delivery = opened(data)
    result(delivery)
    assert delivery.digest == hashlib.sha256(data).hexdigest()


# ---- formulas


def test_formulas_without_results_are_empty_cells_with_a_notice() -> None:
    outcome = read(workbook(HEADER, ["a", "=1+1", 2, 3, 0], ["b", 1, 2, 3, "=NOT(1)"]))
    assert outcome.refusals == [(2, "lastmonth_activity", "missing")]
    assert [row["exited"] for row in outcome.rows] == [None]
    assert outcome.notices == (
        "march.xlsx: 2 formulas stored without their results are read as empty cells; "
        "open the workbook in Excel and save it",
    )


def test_the_stored_result_of_a_formula_is_its_value() -> None:
    data = rewritten(workbook(HEADER, ["a", "=3+4", 2, 3, 0]), r"<f>3\+4</f><v ?/>", "<f>3+4</f><v>7</v>")
    outcome = read(data)
    assert ([row["lastmonth_activity"] for row in outcome.rows], outcome.notices) == ([7], ())


def test_a_failed_formula_is_no_client_and_no_number() -> None:
    outcome = read(workbook(HEADER, ["#REF!", 1, 2, 3, 0], ["b", "#N/A", 2, 3, 0]))
    assert outcome.refusals == [(2, "corporation", FAILED), (3, "lastmonth_activity", "not a whole number")]
    assert [row.text for row in outcome.rejected] == ["#REF!,1,2,3,0", "b,#N/A,2,3,0"]


def test_macros_are_told_of_and_not_run() -> None:
    stream = io.BytesIO(workbook(HEADER, GOOD))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"")
    outcome = read(stream.getvalue())
    assert (len(outcome.rows), outcome.notices) == (1, ("march.xlsx: it holds macros, which are not run",))


# ---- limits


def test_too_many_columns_are_refused() -> None:
    wide = workbook([*HEADER, *(f"extra{number}" for number in range(16))])
    assert refusal(wide, limited(columns=20)).message == "21 columns; at most 20 are read"


def test_too_many_cells_are_refused() -> None:
    data = workbook(HEADER, *[GOOD] * 20)
    assert refusal(data, limited(cells=99)).message == "more than 99 cells (rows times columns)"
    assert len(read(data, limited(cells=100)).rows) == 20


def test_a_value_longer_than_a_field_may_be_refuses_its_row_alone() -> None:
    outcome = read(workbook(HEADER, ["éééé", 1, 2, 3, 0], ["12345", -1, 2, 3, 0], GOOD), limited(field_characters=4))
    assert outcome.lines == [2, 4]
    assert outcome.refusals == [(3, "corporation", "longer than 4 characters")]
    assert outcome.rejected[0].text == "12345,-1,2,3,0"


def test_one_long_text_that_every_row_means_is_refused() -> None:
    table = [HEADER, *(["x" * 32_767, 1, 2, 3, 0] for _ in range(400))]
    assert refusal(workbook(*table)).message.startswith("unpacks to more than")


# ---- damage


def test_a_mutated_workbook_is_read_or_refused_and_nothing_else() -> None:
    data, chance, outcomes = workbook(HEADER, *[GOOD] * 5), random.Random(7), set()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    values = [match.span() for match in re.finditer(r'(?<=")[^"<>]*(?=")|(?<=>)[^<>]+(?=<)', sheet)]
    odd = ["", "-1", "9" * 30, "1e400", "NaN", "A0", "XFE1", "b", "s", "d", "e", "str", "inlineStr", "&#10;", "_x0000_"]
    for _ in range(300):
        start, end = chance.choice(values)
        changed = sheet[:start] + chance.choice(odd) + sheet[end:]
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
            for name in source.namelist():
                target.writestr(name, changed if name.endswith("sheet1.xml") else source.read(name))
        try:
            outcome = read(stream.getvalue())
            assert outcome.counted == len(outcome.rows) + len(outcome.rejected)
            outcomes.add("read")
        except FileRefused:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
