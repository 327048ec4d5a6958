"""The XML of a workbook: what its cells mean, by the standard and as openpyxl has it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TypeVar
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from holdfast.sources.typed import as_text
from holdfast.sources.workbookxml import (
    SINCE_1900,
    SINCE_1904,
    Cell,
    Cells,
    FailedFormula,
    Handler,
    Row,
    Strings,
    Tags,
    formats_of,
)

Told = TypeVar("Told", bound=Handler)

SHARED = ("alpha", "beta")
FORMATS = {"1": "date", "2": "duration", "3": "00000"}


def fed(handler: Told, xml: str) -> Told:
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = handler.start, handler.end
    parser.CharacterDataHandler = handler.pieces.append
    parser.Parse(f"<root>{xml}</root>".encode(), True)
    return handler


def cells(xml: str, epoch: datetime.datetime = SINCE_1900) -> Cells:
    return fed(Cells(SHARED, FORMATS, epoch), xml)


def rows(xml: str) -> list[Row]:
    return cells(xml).rows


def cell(xml: str, epoch: datetime.datetime = SINCE_1900) -> Cell:
    """The one cell of a row."""
    [(_, found)] = cells(f"<row>{xml}</row>", epoch).rows
    return found[1]


def number(text: object, style: int = 0, epoch: datetime.datetime = SINCE_1900) -> Cell:
    return cell(f'<c s="{style}"><v>{text}</v></c>', epoch)


def formats(xml: str) -> Mapping[str, str]:
    return formats_of(fed(Tags(), xml).found)


# ---- kinds of cells


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ('<c t="s"><v>1</v></c>', "beta"),
        ('<c t="str"><f>A1</f><v>a &amp; b</v></c>', "a & b"),
        ('<c t="inlineStr"><is><t xml:space="preserve"> a </t></is></c>', " a "),
        ('<c t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r><rPh><t>c</t></rPh></is></c>', "ab"),
        ('<c t="b"><v>1</v></c>', True),
        ('<c t="b"><v>0</v></c>', False),
        ('<c t="e"><v>#N/A</v></c>', "#N/A"),
        ('<c t="d"><v>2026-01-31T00:00:00</v></c>', "2026-01-31"),
        ('<c t="d"><v>2026-01-31T10:20:30.5</v></c>', "2026-01-31 10:20:30.5"),
        ('<c t="d"><v>soon</v></c>', "soon"),
        ("<c><v>12</v></c>", "12"),
        ('<c t="n"><v>12.0</v></c>', "12"),
        ("<c><v> 0012 </v></c>", "12"),
        ("<c><v>-0</v></c>", "0"),
        ("<c><v>-007</v></c>", "-7"),
        ("<c><v>1.5E+2</v></c>", "150"),
        ("<c><v>0.1</v></c>", "0.1"),
        ("<c><v>12345678901234567890</v></c>", "12345678901234567890"),
        ("<c><v>1.2345678901234567E+19</v></c>", "1.2345678901234567e+19"),
        ("<c><v>9007199254740993.0</v></c>", "9007199254740993.0"),
        ("<c><v>9.007199254740993E+15</v></c>", "9.007199254740993E+15"),
        ("<c><v>1E-400</v></c>", "1E-400"),
        ("<c><v>0E-400</v></c>", "0"),
        ("<c><v>1E+400</v></c>", "1E+400"),
        ("<c><v>1_000</v></c>", "1_000"),
        ("<c><v>nan</v></c>", "nan"),
    ],
)
def test_every_kind_of_cell_is_read(xml: str, expected: Cell) -> None:
    assert cell(xml) == expected


@pytest.mark.parametrize("xml", ["<c/>", "<c><v/></c>", '<c t="s"/>', '<c t="str"><v></v></c>', '<c t="inlineStr"/>'])
def test_an_empty_cell_is_none_and_a_row_of_them_neither(xml: str) -> None:
    assert rows(f"<row>{xml}</row>") == []


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(2.0**53)
@example(-(2.0**53) + 1)
def test_numbers_are_written_like_those_of_other_files(value: float) -> None:
    text = number(repr(value))
    [other] = as_text(pa.array([value]), "visits", "march.parquet").to_pylist()
    assert float(text) == float(other) == value
    assert text == other or not value.is_integer()


def test_the_failure_of_a_formula_is_told_from_a_text() -> None:
    assert isinstance(cell('<c t="e"><v>#REF!</v></c>'), FailedFormula)
    assert not isinstance(cell('<c t="str"><v>#REF!</v></c>'), FailedFormula)


@pytest.mark.parametrize("place", ["2", "-1", "x", "9" * 5_000])
def test_a_shared_text_that_is_not_there_is_an_error(place: str) -> None:
    with pytest.raises(ValueError, match="there is no shared text"):
        cell(f'<c t="s"><v>{place}</v></c>')


@pytest.mark.parametrize(
    ("xml", "without_result"),
    [
        ("<c><f>A1</f></c>", 1),
        ("<c><f>A1</f><v></v></c>", 1),
        ('<c t="str"><f>A1</f></c>', 1),
        ('<c t="str"><f>A1</f><v></v></c>', 0),
        ("<c><f>A1</f><v>7</v></c>", 0),
        ("<c><v></v></c>", 0),
    ],
)
def test_formulas_without_their_result_are_counted(xml: str, without_result: int) -> None:
    assert cells(f"<row>{xml}</row>").without_result == without_result


# ---- places


@given(st.integers(1, 16_384))
def test_a_cell_stands_in_the_column_of_its_letters(column: int) -> None:
    assert rows(f'<row><c r="{get_column_letter(column)}1"><v>7</v></c></row>') == [(1, {column: "7"})]


def test_rows_and_cells_without_a_place_follow_the_ones_before() -> None:
    xml = '<row r="4"><c r="C4"><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c></row>'
    assert rows(xml) == [(4, {3: "1", 4: "2"}), (5, {1: "3"})]


def test_rows_out_of_order_are_all_there() -> None:
    xml = "".join(f'<row r="{row}"><c><v>{row}</v></c></row>' for row in (9, 2, 3))
    assert rows(xml) == [(9, {1: "9"}), (2, {1: "2"}), (3, {1: "3"})]


def test_names_of_tags_may_have_a_prefix() -> None:
    xml = '<x:row r="2"><x:c t="inlineStr"><x:is><x:t>a</x:t></x:is></x:c></x:row>'
    assert rows(xml) == [(2, {1: "a"})]


@pytest.mark.parametrize(
    "xml",
    [
        '<row r="0"><c><v>1</v></c></row>',
        '<row r="1048577"/>',
        '<row r="x"/>',
        '<row><c r="XFE1"/></row>',
        '<row><c r="a1"/></row>',
        '<row><c r="1"/></row>',
        '<row><c r="XFD1"/><c/></row>',
        '<row><c r="B1"><v>1</v></c><c r="B1"><v>2</v></c></row>',
    ],
)
def test_places_that_cannot_be_are_an_error(xml: str) -> None:
    with pytest.raises(ValueError, match=r"row|cell|literal"):
        rows(xml)


# ---- texts


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("a_x000D_b", "a\rb"),
        ("_x005F_x000D_", "_x000D_"),
        ("_x00e9_", "é"),
        ("_xD83D_", "_xD83D_"),
        ("a_xyz_b", "a_xyz_b"),
        ("x005F_", "x005F_"),
    ],
)
def test_escaped_characters_are_themselves_again(stored: str, text: str) -> None:
    assert cell(f'<c t="str"><v>{stored}</v></c>') == text
    assert cell(f'<c t="inlineStr"><is><t>{stored}</t></is></c>') == text
    assert fed(Strings(), f"<si><t>{stored}</t></si>").texts == [text]


@given(st.lists(st.text(st.characters(blacklist_categories=["C"]), max_size=8)))
def test_shared_texts_keep_their_order_and_characters(texts: list[str]) -> None:
    xml = "".join(f"<si><t>{escape(text)}</t></si>\n" for text in texts)
    assert fed(Strings(), xml).texts == texts


def test_shared_texts_lose_their_format_and_their_phonetic_guide() -> None:
    xml = "<si><r><rPr><b/></rPr><t>a</t></r><r><t> b</t></r><rPh><t>c</t></rPh><phoneticPr/></si><si><t/></si>"
    assert fed(Strings(), xml).texts == ["a b", ""]


# ---- dates


@given(st.integers(1, 2_958_465))
@example(59)
@example(61)
def test_a_day_is_the_one_that_openpyxl_has(days: int) -> None:
    assert number(days, 1) == from_excel(days, WINDOWS_EPOCH).date().isoformat()


@given(st.floats(1, 2_958_465))
def test_a_moment_is_the_one_that_openpyxl_has_to_the_millisecond(days: float) -> None:
    moment = datetime.datetime.fromisoformat(str(number(repr(days), 1)))
    assert abs(moment - from_excel(days, WINDOWS_EPOCH)) <= datetime.timedelta(milliseconds=1)


def test_the_days_of_a_workbook_may_count_from_1904() -> None:
    assert number(45_000, 1, SINCE_1904) == from_excel(45_000, MAC_EPOCH).date().isoformat()


def test_a_time_without_a_date_is_a_time() -> None:
    assert number(0.5, 1) == "12:00:00"
    assert number(0, 1) == "00:00:00"


def test_a_duration_may_be_longer_than_a_day_and_negative() -> None:
    assert number(1.75, 2) == "42:00:00"
    assert number(-0.25, 2) == "-06:00:00"
    assert number("1.0000001157407407", 2) == "24:00:00.01"


@pytest.mark.parametrize("text", ["-1", "2958466000", "1E+300", "x"])
def test_a_number_that_is_no_date_stays_a_number(text: str) -> None:
    assert number(text, 1) == number(text)


def test_the_last_day_is_one() -> None:
    assert number(2_958_465, 1) == "9999-12-31"
    assert number(2_958_466, 1) == "2958466"


def test_a_format_of_zeros_gives_a_client_number_its_digits() -> None:
    assert [number(text, 3) for text in ("12", "123456", "-3", "1.5")] == ["00012", "123456", "-3", "1.5"]


# ---- formats


@pytest.mark.parametrize("identity", range(60))
def test_the_built_in_formats_of_dates_are_known(identity: int) -> None:
    shown = formats(f'<cellXfs><xf numFmtId="{identity}"/></cellXfs>').get("0")
    if identity in BUILTIN_FORMATS:
        assert (shown in {"date", "duration"}) == is_date_format(BUILTIN_FORMATS[identity])
        assert (shown == "duration") == is_timedelta_format(BUILTIN_FORMATS[identity])
    else:  # those of east Asian languages, which openpyxl does not know
        assert (shown == "date") == (identity in {*range(27, 37), *range(50, 59)})


@pytest.mark.parametrize(
    "code",
    [
        "yyyy-mm-dd",
        "dd.mm.yy;@",
        "[$-407]d. mmmm yyyy",
        "h:mm AM/PM",
        "[h]:mm:ss",
        "[mm]:ss",
        "General",
        "0.00",
        '0 "days"',
        "[Red]0.00",
        "#,##0 [$USD]",
        "0.00E+00",
        '"\u20ac" #,##0',
        "@",
    ],
)
def test_formats_are_told_apart_as_openpyxl_does(code: str) -> None:
    xml = f'<numFmt numFmtId="164" formatCode={quoteattr(code)}/><cellXfs><xf numFmtId="164"/></cellXfs>'
    shown = formats(xml).get("0")
    assert (shown is not None) == is_date_format(code)
    assert (shown == "duration") == is_timedelta_format(code)


def test_only_the_formats_of_cells_count() -> None:
    xml = '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
    assert formats(xml) == {"1": "date"}


def test_a_format_of_zeros_is_kept_as_it_is() -> None:
    xml = '<numFmt numFmtId="165" formatCode="000000"/><cellXfs><xf numFmtId="165"/><xf numFmtId="1"/></cellXfs>'
    assert formats(xml) == {"0": "000000"}
