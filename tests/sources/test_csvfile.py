"""Delivered CSV files: every line is accepted, or refused with its place, its rule and its text; none is lost."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.errors import FileRefused
from holdfast.limits import Limits
from holdfast.records import RejectedRow
from holdfast.schema import BRIEF_SCHEMA, LINE, Column, Schema
from holdfast.sources import csvfile as csvfile_module
from holdfast.sources import lines as lines_module
from holdfast.sources.csvfile import UNFINISHED, CsvFile
from holdfast.sources.parsed import ParsedBatch, Reading
from holdfast.sources.unpacking import Hashed

HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"
QUOTING = "quoting: a quote stands only around a field, or twice inside one"
OPEN_QUOTE = "a quote opens in this line and is not closed properly"
NOTE = Column(name="note", role="ignored", type="text", missing_allowed=True)
NOTES = Schema(columns=(*BRIEF_SCHEMA.columns[:-1], NOTE, BRIEF_SCHEMA.target))
LONGEST_FIELD = Limits().field_characters
BRIEF = Reading(schema=BRIEF_SCHEMA)


@dataclass(frozen=True)
class Outcome:
    """What became of a file."""

    rows: list[dict[str, Any]]
    lines: list[int]
    rejected: list[RejectedRow]
    unlabelled: list[RejectedRow]
    counted: int
    notices: tuple[str, ...]
    digest: str

    @property
    def clients(self) -> list[str]:
        return [row["corporation"] for row in self.rows]

    @property
    def refusals(self) -> list[tuple[int, str | None, str]]:
        return [(row.line, row.column, row.rule) for row in self.rejected]


def opened(data: bytes | str, reading: Reading = BRIEF) -> CsvFile:
    stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return CsvFile(Hashed(stream, "march.csv"), "march.csv", reading)


def read(data: bytes | str, reading: Reading = BRIEF) -> Outcome:
    file = opened(data, reading)
    rows: list[dict[str, Any]] = []
    rejected: list[RejectedRow] = []
    unlabelled: list[RejectedRow] = []
    for parsed in file:
        rows += parsed.rows.to_pylist()
        rejected += parsed.rejected
        unlabelled += parsed.unlabelled
    lines = [row.pop(LINE) for row in rows]
    return Outcome(rows, lines, rejected, unlabelled, file.rows, file.notices, file.digest)


def refusal(data: bytes | str, reading: Reading = BRIEF) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        read(data, reading)
    assert caught.value.file == "march.csv"
    return caught.value


def read_or_refusal(data: bytes) -> Outcome | str:
    try:
        return read(data)
    except FileRefused as error:
        return str(error)


def written(rows: Sequence[Sequence[object]], end: str = "\n", **dialect: Any) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator=end, **dialect).writerows(rows)
    return stream.getvalue()


# ---- laws

UNWANTED = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
CLEAN_TEXT = st.text(
    st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters=UNWANTED), min_size=1, max_size=12
)
IDS = st.one_of(
    CLEAN_TEXT, st.sampled_from(["NA", "null", "None", "0012", "1e5", "TRUE", " a ", '"', '""', "a,b", "🦊", "-"])
)


@settings(deadline=None)
@given(
    st.lists(IDS, max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
)
def test_client_ids_come_out_byte_for_byte(ids: list[str], end: str, quoting: int, mark: bool) -> None:
    data = written([HEADER.strip().split(","), *([name, 1, 2, 3, 0] for name in ids)], end, quoting=quoting)
    assert read(data.encode("utf-8-sig" if mark else "utf-8")).clients == ids


TOKENS = [
    "acme",
    "1",
    "0",
    ",",
    ",1,2,3,0\n",
    "\n",
    "\r",
    "\r\n",
    '"',
    '""',
    '","',
    " ",
    "-1",
    "\0",
    "NA",
    "ü",
    "\ufeff",
]
ROWS = ["x,1,2,3,1\n", '"a\nb",1,2,3,0\n', '"c, d",1,2,3,\n', "y,1,2,3\n"]
PIECES = st.sampled_from([*(token.encode() for token in TOKENS + ROWS), b"\xff"])
FILES = st.lists(PIECES, max_size=25).map(lambda pieces: HEADER.encode() + b"".join(pieces))
SWAPPED = bytes.maketrans(b"\r\n", b"\n\r")
ANY_FILES = FILES | FILES.map(lambda data: data.translate(SWAPPED))
"""Files whose lines end in line feeds, and files whose lines end in carriage returns."""


def covered(reading: Outcome, data: bytes) -> list[int]:
    """The physical lines that accepted and rejected rows account for, blank ones left out."""
    texts = data.decode().split("\n")
    spans = [(line, 1) for line in reading.lines] + [(row.line, row.text.count("\n") + 1) for row in reading.rejected]
    return [n for line, span in spans for n in range(line, line + span) if texts[n - 1].strip("\r")]


@settings(deadline=None)
@given(FILES)
def test_every_line_of_any_file_is_accepted_or_rejected_once(data: bytes) -> None:
    reading = read_or_refusal(data)
    if isinstance(reading, Outcome):
        assert reading.counted == len(reading.rows) + len(reading.rejected)
        lines = data.decode().split("\n")
        assert sorted(covered(reading, data)) == [n for n in range(2, len(lines) + 1) if lines[n - 1].strip("\r")]


@settings(deadline=None)
@given(FILES)
def test_the_text_of_a_rejected_row_is_its_lines(data: bytes) -> None:
    reading = read_or_refusal(data)
    if isinstance(reading, Outcome):
        lines = data.decode().split("\n")
        for row in reading.rejected:
            span = row.text.count("\n") + 1
            assert row.text == "\n".join(lines[row.line - 1 : row.line - 1 + span]).rstrip("\r")


@settings(deadline=None)
@given(ANY_FILES, st.integers(len(HEADER), len(HEADER) + 40))
@example(HEADER.replace("\n", "\r").encode() + b"\n", len(HEADER))
def test_the_size_of_the_blocks_changes_nothing_once_the_first_holds_a_line(data: bytes, size: int) -> None:
    """Of several faults that refuse a file, any may be told."""
    whole = read_or_refusal(data)
    ends = data[len(HEADER) - 1 :]
    size += len(ends) - len(ends.lstrip(b"\r"))  # the line feed after carriage returns belongs to them
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", size)
        in_blocks = read_or_refusal(data)
    refused_anyhow = isinstance(whole, str) and not _is_utf8(data)
    assert isinstance(in_blocks, str) if refused_anyhow else in_blocks == whole


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(deadline=None)
@given(ANY_FILES, st.integers(1, 6))
def test_the_number_of_lines_looked_at_together_changes_nothing(data: bytes, lines: int) -> None:
    whole = read_or_refusal(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvfile_module, "BATCH_LINES", lines)
        assert read_or_refusal(data) == whole


@pytest.mark.parametrize("row", ["acme,1,2,3,0", "x", "acme,x,2,3,0", '"acme",1,2,3,0', 'ac"me,1,2,3,0'])
def test_only_so_many_lines_are_looked_at_together(row: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvfile_module, "BATCH_LINES", 10)
        batches = list(opened(HEADER + "good,1,2,3,0\n" + f"{row}\n" * 34))
    assert [batch.rows.num_rows + len(batch.rejected) for batch in batches] == [10, 10, 10, 5]


def read_record_by_record(self: CsvFile, block: bytes) -> ParsedBatch | None:
    """Stands in for splitting a block."""
    return None


@settings(deadline=None)
@given(ANY_FILES)
def test_splitting_a_block_and_reading_it_record_by_record_give_the_same(data: bytes) -> None:
    split = read_or_refusal(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvFile, "_split", read_record_by_record)
        assert read_or_refusal(data) == split


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**18 - 1), st.integers(0, 9), st.integers(0, 9), st.integers(0, 1)), max_size=30
    )
)
def test_numbers_are_kept_exactly_and_in_order(numbers: list[tuple[int, int, int, int]]) -> None:
    reading = read(HEADER + written([(f"c{i}", *row) for i, row in enumerate(numbers)]))
    assert [tuple(row.values())[1:] for row in reading.rows] == numbers
    assert reading.lines == list(range(2, len(numbers) + 2))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_file_cut_anywhere_gives_only_true_rows(end: str, quoting: int) -> None:
    clients = [("acme", 12, 120, 7, 0), ('a "b", c', 345, 6, 78, 1), ("ü", 9, 10, 11, "")]
    data = written([HEADER.strip().split(","), *clients], end, quoting=quoting).encode()
    rows = read(data).rows
    assert len(rows) == 3
    for length in range(len(data)):
        reading = read_or_refusal(data[:length])
        if isinstance(reading, Outcome):
            assert reading.rows == rows[: len(reading.rows)]


# ---- the dialect


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_lines_may_end_in_any_of_the_usual_ways(end: str) -> None:
    reading = read((HEADER + "acme,1,2,3,0\nbeta,4,5,6,1\n").replace("\n", end))
    assert (reading.clients, reading.lines) == (["acme", "beta"], [2, 3])


NOTED = HEADER.replace("exited", "note,exited").strip().split(",")
CELLS = st.sampled_from(["", "a", ",", '"', "x" * 20, "one\ntwo", "\n", "a\r\nb", "\r\n\r\n", "\n\n"])
TABLE_ROWS = st.one_of(
    st.tuples(st.just("acme"), st.sampled_from(["1", "x", "2"]), st.just("2"), st.just("3"), CELLS, st.just("0")),
    st.tuples(CELLS, CELLS),
    st.tuples(),  # an empty line
)


def quoted(cell: str) -> str:
    escaped = cell.replace('"', '""')
    return f'"{escaped}"' if set(cell) & set(',"\r\n') else cell


def outcome_with(end: str, rows: Sequence[Sequence[str]], before: str = "") -> Outcome | str:
    """What becomes of a table written with this line end, but for its digest."""
    lines = (",".join(map(quoted, row)) + end for row in [NOTED, *rows])
    try:
        return replace(read(before + "".join(lines), Reading(schema=NOTES)), digest="")
    except FileRefused as error:
        return f"{error.message} (line {error.row})"


@settings(deadline=None)
@given(st.lists(TABLE_ROWS, max_size=8), st.booleans(), st.integers(1, 200))
@example([(), ("acme", "1", "2", "3", "one\ntwo", "0"), ("acme", "x", "2", "3", "", "0")], True, 200)
@example([("a", "one\ntwo")], False, 200)
def test_a_table_has_the_same_verdicts_and_line_numbers_whatever_its_lines_end_in(
    rows: list[tuple[str, ...]], blank: bool, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", len(HEADER) + 10 + size)
        feed, both, carriage = (outcome_with(end, rows, end * blank) for end in ("\n", "\r\n", "\r"))
    assert feed == both == carriage


def test_lines_that_end_in_a_carriage_return_may_hold_others_in_quotes() -> None:
    row = 'acme,1,2,3,"{}",0'
    ends = ["a\rb", "a\nb", "a\r\nb", "c"]
    reading = read("\r".join([",".join(NOTED), *(row.format(end) for end in ends), ""]), Reading(schema=NOTES))
    assert [row["note"] for row in reading.rows] == ends
    assert reading.lines == [2, 4, 6, 8]


@pytest.mark.parametrize("rest", ["acme,1,2,3,0\nbeta,1,2,3,0\n", "acme,1,2,3,0\racme,1,2,3,0\r\nbeta,1,2,3,0\r\n"])
def test_a_file_in_which_two_things_end_lines_is_refused(rest: str) -> None:
    error = refusal(HEADER.replace("\n", "\r") + "good,1,2,3,0\r" + rest)
    assert error.message == "a line feed stands outside of quotes, where other lines end in carriage returns alone"
    assert error.row == 3 + rest[: rest.index("\n")].count("\r")


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    assert read(("\ufeff" + HEADER + "acme,1,2,3,0\n").encode()).clients == ["acme"]


def test_a_second_byte_order_mark_is() -> None:
    assert "no column 'corporation'" in refusal("\ufeff\ufeff" + HEADER).message


def test_a_byte_order_mark_later_on_is_a_control_character() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", 1)
        assert read(HEADER + "\ufeffacme,1,2,3,0\n").refusals == [(2, "corporation", "control character")]


def test_a_doubled_quote_is_one_quote() -> None:
    assert read(HEADER + '"the ""big"" one",1,2,3,0\n').clients == ['the "big" one']


def test_a_quoted_line_end_belongs_to_its_field_and_the_next_row_keeps_its_line() -> None:
    text = HEADER.replace("exited", "note,exited") + 'acme,1,2,3,"one\ntwo",0\nbeta,1,2,3,,1\nbad,x,2,3,,1\n'
    reading = read(text, Reading(schema=NOTES))
    assert [row["note"] for row in reading.rows] == ["one\ntwo", None]
    assert reading.lines == [2, 4]
    assert reading.refusals == [(5, "lastmonth_activity", "not a whole number")]


def test_blank_lines_are_no_rows_and_count_as_lines() -> None:
    reading = read("\n\n" + HEADER + "\nacme,1,2,3,0\n\r\n\nbad,1,2,3\n\n")
    assert (reading.lines, reading.refusals) == ([5], [(8, None, "fields: 4 instead of 5")])
    assert reading.counted == 2


def test_a_client_id_with_a_line_end_is_quarantined_with_all_its_lines() -> None:
    reading = read(HEADER + '"ac\nme",1,2,3,0\nbeta,1,2,3,0\n')
    assert reading.refusals == [(2, "corporation", "control character")]
    assert reading.rejected[0].text == '"ac\nme",1,2,3,0'
    assert reading.clients == ["beta"]


# ---- quotes that are wrong


@pytest.mark.parametrize(
    "row", ['"acme"x,1,2,3,0', 'ac"me,1,2,3,0', ' "acme",1,2,3,0', 'acme",1,2,3,0', 'acme,1,2,"3"4,0']
)
def test_broken_quoting_inside_a_line_costs_that_row_only(row: str) -> None:
    reading = read(HEADER + f"before,1,2,3,0\n{row}\nafter,1,2,3,0\n")
    assert reading.clients == ["before", "after"]
    assert reading.refusals == [(3, None, QUOTING)]
    assert reading.rejected[0].text == row


@pytest.mark.parametrize("opened", range(2, 8))
def test_an_unclosed_quote_refuses_the_file_and_names_its_line(opened: int) -> None:
    rows = [f"c{n},1,2,3,0\n" for n in range(2, 8)]
    rows[opened - 2] = f'"c{opened},1,2,3,0\n'
    error = refusal(HEADER + "".join(rows))
    assert OPEN_QUOTE in error.message
    assert error.row == opened
    assert error.value
    assert error.value.startswith(f'"c{opened}')


@pytest.mark.parametrize("opened", range(2, 7))
@pytest.mark.parametrize(
    "closing", ['"c7",1,2,3,0\n', 'c7,1,2,3,"0"\n', 'c7,1,"2"\n', 'c7,1,2,3,0"\n', '"c7,1,2,3,0\n']
)
def test_a_quote_closed_by_accident_in_a_later_line_refuses_the_file(opened: int, closing: str) -> None:
    rows = [f"c{n},1,2,3,0\n" for n in range(2, 7)] + [closing, "c8,1,2,3,0\n"]
    rows[opened - 2] = f'"c{opened},1,2,3,0\n'
    error = refusal(HEADER + "".join(rows))
    assert OPEN_QUOTE in error.message
    assert error.row == opened


def test_an_unclosed_quote_is_found_before_it_swallows_a_large_file() -> None:
    error = refusal(HEADER + '"open,1,2,3,0\n' + "acme,1,2,3,0\n" * 500_000)
    assert error.row == 2


def test_a_quote_that_is_closed_and_opened_again_in_every_line_does_not_swallow_a_large_file() -> None:
    error = refusal(HEADER + 'open,"\n' + '","\n' * 2_000_000)
    assert error.row == 2


def test_a_quote_open_in_the_cut_off_last_line_costs_that_line_only() -> None:
    reading = read(HEADER + 'acme,1,2,3,0\n"be')
    assert (reading.clients, reading.refusals) == (["acme"], [(3, None, UNFINISHED)])


def test_a_carriage_return_inside_a_line_is_broken_quoting() -> None:
    reading = read(HEADER + "acme,1,2,3,0\rbeta,1,2,3,0\ngamma,1,2,3,0\n")
    assert reading.clients == ["gamma"]
    assert reading.refusals == [(2, None, "quoting: a carriage return stands in a field without quotes")]


def test_a_blank_line_does_not_make_up_for_a_carriage_return() -> None:
    reading = read(HEADER + "acme,1,2,3,0\rbeta,1,2,3,0\n\n")
    assert (reading.clients, [row.line for row in reading.rejected]) == ([], [2])


# ---- rows that are wrong


@pytest.mark.parametrize(
    ("row", "found"), [("acme,1,2,3", 4), ("acme,1,2,3,0,", 6), ("acme", 1), ("   ", 1), (",,,,,,", 7)]
)
def test_a_ragged_row_is_quarantined(row: str, found: int) -> None:
    reading = read(HEADER + f"before,1,2,3,0\n{row}\nafter,1,2,3,0\n")
    assert reading.clients == ["before", "after"]
    assert reading.refusals == [(3, None, f"fields: {found} instead of 5")]


@pytest.mark.parametrize("block", [10, 1 << 20])
@pytest.mark.parametrize("quote", ["", '"'])
def test_one_field_too_many_in_every_row_refuses_the_file(block: int, quote: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", block)
        error = refusal(HEADER + f"{quote}acme{quote},1,2,3,0,9\n" * 20)
    assert error.message == "no row has as many fields as the header; 6 instead of 5 in this one"
    assert error.row == 2


def test_wrong_numbers_of_fields_in_every_row_refuse_the_file_even_if_they_differ() -> None:
    assert refusal(HEADER + "acme,1,2\nbeta,1,2,3\n").row == 2


def test_a_last_line_without_an_end_is_not_trusted() -> None:
    reading = read(HEADER + "acme,1,2,3,0\nbeta,1,2,3,0")
    assert (reading.clients, reading.refusals) == (["acme"], [(3, None, UNFINISHED)])


@pytest.mark.parametrize(
    ("row", "column", "rule"),
    [
        ("acme,NaN,2,3,0", "lastmonth_activity", "missing"),
        ("acme,,2,3,0", "lastmonth_activity", "missing"),
        ("acme,inf,2,3,0", "lastmonth_activity", "not a whole number"),
        ("acme,1e400,2,3,0", "lastmonth_activity", "not a whole number"),
        ("acme,1,-1,3,0", "lastyear_activity", "below the minimum 0"),
        ('acme,1,"1,5",3,0', "lastyear_activity", "not a whole number"),
        ("acme,1,2,seven,0", "number_of_employees", "not a whole number"),
        (",1,2,3,0", "corporation", "missing"),
        ("a\0b,1,2,3,0", "corporation", "control character"),
        ("\x1b[31macme,1,2,3,0", "corporation", "control character"),
    ],
)
def test_a_wrong_value_is_quarantined_with_its_column_and_rule(row: str, column: str, rule: str) -> None:
    reading = read(HEADER + f"before,1,2,3,0\n{row}\nafter,1,2,3,0\n")
    assert reading.clients == ["before", "after"]
    assert reading.refusals == [(3, column, rule)]
    assert reading.rejected[0].text == row


@pytest.mark.parametrize("label", ["yes", "0.7", "2", "10", "1.5", "TRUE", "٣"])
def test_a_row_with_a_label_that_is_none_keeps_its_place_without_it_and_is_told(label: str) -> None:
    reading = read(HEADER + f"before,1,2,3,0\nacme,1,2,3,{label}\nafter,1,2,3,1\n")
    assert [(row["corporation"], row["exited"]) for row in reading.rows] == [
        ("before", 0),
        ("acme", None),
        ("after", 1),
    ]
    assert [(row.line, row.column, row.rule) for row in reading.unlabelled] == [(3, "exited", "not 0 or 1")]
    assert reading.unlabelled[0].text == f"acme,1,2,3,{label}"
    assert (reading.rejected, reading.counted) == ([], 3)


def test_a_wrong_label_in_a_row_that_is_refused_is_not_told_too() -> None:
    reading = read(HEADER + "acme,-1,2,3,maybe\n")
    assert reading.refusals == [(2, "lastmonth_activity", "below the minimum 0")]
    assert reading.unlabelled == []


def test_a_row_is_quarantined_once_for_its_first_wrong_column() -> None:
    assert read(HEADER + ",x,-1,y,9\n").refusals == [(2, "corporation", "missing")]


def test_a_row_without_a_label_is_accepted() -> None:
    assert read(HEADER + "acme,1,2,3,\n").rows[0]["exited"] is None


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_huge_field_is_quarantined_and_its_neighbours_are_not(quote: str) -> None:
    huge = quote + "x" * (LONGEST_FIELD + 1) + quote
    reading = read(HEADER + f"before,1,2,3,0\n{huge},1,2,3,0\nafter,1,2,3,0\n")
    assert reading.clients == ["before", "after"]
    assert reading.refusals == [(3, "corporation", "longer than 65,536 characters")]
    assert reading.rejected[0].text == f"{huge},1,2,3,0"


def test_a_field_of_64_kib_is_accepted() -> None:
    assert read(HEADER + "x" * LONGEST_FIELD + ",1,2,3,0\n").clients == ["x" * LONGEST_FIELD]


def test_a_field_beyond_what_the_parser_takes_is_quarantined() -> None:
    reading = read(HEADER + "x" * 200_000 + ",1,2,3,0\nacme,1,2,3,0\n")
    assert reading.refusals == [(2, None, "longer than 65,536 characters, or badly quoted")]
    assert reading.clients == ["acme"]


@pytest.mark.parametrize("before", [0, 100_000])
def test_a_huge_line_refuses_the_file_and_is_named(before: int) -> None:
    error = refusal(HEADER + "acme,1,2,3,0\n" * before + "x" * 5_000_000 + "\n")
    assert error.message == "a row longer than 4,194,304 bytes"
    assert error.row == before + 2


# ---- few rows


@pytest.mark.parametrize("data", [HEADER, HEADER.strip(), HEADER + "\n\n"])
def test_a_header_alone_gives_one_empty_batch(data: str) -> None:
    file = opened(data)
    assert [(batch.rows.num_rows, batch.rejected) for batch in file] == [(0, ())]
    assert file.rows == 0


def test_one_row_is_enough() -> None:
    assert read(HEADER + "acme,1,2,3,0\n").counted == 1


@pytest.mark.parametrize("data", [b"\n\n\n", b"\xef\xbb\xbf", b"\r\n", b"   \n"])
def test_a_file_of_nothing_but_blanks_is_refused(data: bytes) -> None:
    nothing = f"no columns {', '.join(map(repr, BRIEF_SCHEMA.names))}. Found:    "
    assert refusal(data).message in {"there is no line with column names", nothing}


# ---- the header


@pytest.mark.parametrize("header", ['"corporation,exited\n', '"corporation"x,exited\n', 'corp"oration,exited\n'])
def test_a_header_that_is_not_csv_is_refused(header: str) -> None:
    error = refusal(header + "acme,1\n")
    assert (error.message, error.row) == ("the first line is not CSV", 1)


def test_the_line_of_the_header_is_named_where_blank_lines_stand_before_it() -> None:
    assert refusal("\n\nname,size\nacme,1\n").row == 3


def test_columns_are_found_by_name_in_any_order() -> None:
    reading = read("exited,note,corporation,number_of_employees,lastyear_activity,lastmonth_activity\n1,x,acme,3,2,1\n")
    assert list(reading.rows[0].values()) == ["acme", 1, 2, 3, 1]
    assert reading.notices == ("march.csv: 1 column not in the schema is left out: note",)


def test_a_quoted_line_end_in_a_column_that_is_left_out_is_fine() -> None:
    assert read(HEADER.strip() + ',note\nacme,1,2,3,0,"a\nb"\nbeta,1,2,3,0,c\n').lines == [2, 4]


def test_a_target_may_be_left_out_where_it_is_not_required() -> None:
    reading = read(HEADER.replace(",exited", "") + "acme,1,2,3\n", replace(BRIEF, target_required=False))
    assert reading.rows[0]["exited"] is None


def test_rows_without_a_client_column_are_their_own_clients() -> None:
    rowwise = Reading(schema=Schema(columns=BRIEF_SCHEMA.columns, client_in_file=False))
    reading = read(HEADER.removeprefix("corporation,") + "1,2,3,0\n\n4,5,6,1\n", rowwise)
    assert reading.clients == ["march.csv:2", "march.csv:4"]


def test_rows_that_carry_the_name_they_were_given_keep_it() -> None:
    rowwise = Reading(schema=Schema(columns=BRIEF_SCHEMA.columns, client_in_file=False))
    assert read(HEADER + "march.csv:2,1,2,3,0\n", rowwise).clients == ["march.csv:2"]


def test_columns_may_have_other_names_in_the_file() -> None:
    renamed = {"Company": "corporation", "left us": "exited"}
    text = HEADER.replace("corporation", "Company").replace("exited", "left us") + "acme,1,2,3,1\nbeta,x,2,3,1\n"
    file = opened(text, replace(BRIEF, renamed=renamed))
    assert file.header == BRIEF_SCHEMA.names
    (batch,) = file
    assert batch.rows.column("corporation").to_pylist() == ["acme"]
    assert [row.column for row in batch.rejected] == ["lastmonth_activity"]


# ---- limits


def limited(**limits: int) -> Reading:
    return replace(BRIEF, limits=Limits(**limits))


def test_a_thousand_columns_are_read_and_no_more() -> None:
    extra = [f"x{n}" for n in range(1_000 - len(BRIEF_SCHEMA.names))]
    header = ",".join([*BRIEF_SCHEMA.names, *extra])
    assert len(opened(header).header) == 1_000
    assert refusal(f"{header},y").message == "1,001 columns; at most 1,000 are read"
    assert refusal(",".join(f"x{n}" for n in range(2_000))).message == "2,000 columns; at most 1,000 are read"


@pytest.mark.parametrize("rows", [4, 5])
def test_the_limit_on_cells_is_a_number_that_is_still_taken(rows: int) -> None:
    text = HEADER + "acme,1,2,3,0\n" * rows
    if rows == 4:
        assert read(text, limited(cells=20)).counted == 4
    else:
        assert refusal(text, limited(cells=20)).message == "more than 20 cells (rows times columns)"


def test_rows_that_are_refused_count_as_cells_too() -> None:
    assert "more than 20 cells" in refusal(HEADER + "x\n" * 4 + "acme,1,2,3,0\n", limited(cells=20)).message


def test_the_limit_on_characters_is_that_of_the_reading() -> None:
    reading = read(HEADER + "12345,1,2,3,0\n123456,1,2,3,0\n", limited(field_characters=5))
    assert reading.clients == ["12345"]
    assert reading.refusals == [(3, "corporation", "longer than 5 characters")]


# ---- the bytes


@settings(deadline=None)
@given(FILES)
def test_the_digest_is_that_of_all_the_bytes_that_were_read(data: bytes) -> None:
    reading = read_or_refusal(data)
    if isinstance(reading, Outcome):
        assert reading.digest == hashlib.sha256(data).hexdigest()


class Growing(io.BytesIO):
    """A file that somebody writes to whenever it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if len(self.getvalue()) < 300:
            place = self.tell()
            self.seek(0, io.SEEK_END)
            self.write(b"late,1,2,3,0\n")
            self.seek(place)
        return data


def test_the_digest_of_a_file_that_grows_meanwhile_is_that_of_the_rows_that_came() -> None:
    stream = Growing((HEADER + "acme,1,2,3,0\n").encode())
    file = CsvFile(Hashed(stream, "march.csv"), "march.csv", BRIEF)
    assert sum(batch.rows.num_rows for batch in file) == stream.getvalue().count(b"\n") - 1
    assert file.digest == hashlib.sha256(stream.getvalue()).hexdigest()
