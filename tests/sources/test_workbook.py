"""Workbooks as strangers' archives: what is one, what is in it, and what is refused before it does harm."""

from __future__ import annotations

import base64
import io
import random
import re
import zipfile
from collections.abc import Mapping

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import FileRefused
from holdfast.limits import Limits
from holdfast.sources.workbook import LONGEST_TAG, MOST_ENTRIES, Sheet, Workbook
from holdfast.sources.workbookxml import Row

KIND = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT = "http://purl.oclc.org/ooxml/officeDocument/relationships"
ENTITIES = "".join(f'<!ENTITY l{depth} "{f"&l{depth - 1};" * 10}">' for depth in range(1, 10))
LAUGHS = f'<!DOCTYPE sst [<!ENTITY l0 "ha">{ENTITIES}]>'


def related(kind: str = KIND, **targets: str) -> str:
    tags = (f'<Relationship Id="{name}" Type="{kind}/{name}" Target="{target}"/>' for name, target in targets.items())
    return f"<Relationships>{''.join(tags)}</Relationships>"


def parts() -> dict[str, str]:
    """A small workbook: one sheet with a text, a number and a date."""
    return {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": related(officeDocument="xl/workbook.xml"),
        "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="March" r:id="worksheet"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": related(
            worksheet="worksheets/sheet1.xml", sharedStrings="/xl/sharedStrings.xml", styles="styles.xml"
        ),
        "xl/styles.xml": '<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
        "xl/sharedStrings.xml": "<sst><si><t>alpha</t></si></sst>",
        "xl/worksheets/sheet1.xml": '<worksheet><sheetData><row><c t="s"><v>0</v></c><c><v>7</v></c>'
        '<c s="1"><v>46053</v></c></row></sheetData></worksheet>',
    }


ROW: Row = (1, {1: "alpha", 2: "7", 3: "2026-01-31"})


def archive(contents: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as target:
        for name, content in contents.items():
            target.writestr(name, content)
    return stream.getvalue()


def rows(data: bytes, limits: Limits | None = None) -> list[Row]:
    book = Workbook(io.BytesIO(data), "march.xlsx", limits or Limits())
    return [row for sheet in book.sheets for row in book.rows(sheet)]


def refusal(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(FileRefused) as caught:
        rows(data, limits)
    assert caught.value.file == "march.xlsx"
    return caught.value.message


# ---- what is in it


def test_a_workbook_gives_its_sheets_and_their_rows() -> None:
    book = Workbook(io.BytesIO(archive(parts())), "march.xlsx", Limits())
    assert book.sheets == (Sheet("March", True, "xl/worksheets/sheet1.xml"),)
    assert list(book.rows(book.sheets[0])) == [ROW]
    assert not book.has_macros


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.text(st.characters(blacklist_categories=["C"]), max_size=8).filter(lambda text: not text.startswith("=")),
)


@given(st.lists(st.lists(CELLS, max_size=4), max_size=6))
def test_what_openpyxl_writes_is_read(table: list[list[str | int | bool | None]]) -> None:
    book = openpyxl.Workbook()
    for line, cells in enumerate(table, 1):
        for column, cell in enumerate(cells, 1):
            book.active.cell(line, column, cell)
    stream = io.BytesIO()
    book.save(stream)
    expected = [
        (line, {column: cell for column, cell in enumerate(map(as_cell, cells), 1) if cell != ""})
        for line, cells in enumerate(table, 1)
    ]
    assert rows(stream.getvalue()) == [(line, cells) for line, cells in expected if cells]


def as_cell(value: str | int | bool | None) -> str | bool:
    return value if isinstance(value, bool) else "" if value is None else str(value)


def test_sheets_keep_their_order_and_hidden_ones_are_known() -> None:
    book = openpyxl.Workbook()
    for name in ("b", "a & c", "z"):
        book.create_sheet(name)
    book["Sheet"].sheet_state, book["z"].sheet_state = "hidden", "veryHidden"
    stream = io.BytesIO()
    book.save(stream)
    sheets = Workbook(stream, "march.xlsx", Limits()).sheets
    assert [(sheet.name, sheet.visible) for sheet in sheets] == [
        ("Sheet", False),
        ("b", True),
        ("a & c", True),
        ("z", False),
    ]


def test_a_sheet_of_a_chart_is_none_of_cells() -> None:
    book = openpyxl.Workbook()
    book.create_chartsheet("chart", 0)
    stream = io.BytesIO()
    book.save(stream)
    assert [sheet.name for sheet in Workbook(stream, "march.xlsx", Limits()).sheets] == ["Sheet"]


def test_parts_are_found_whatever_the_case_slashes_and_prefixes_of_their_names() -> None:
    prefixed = {name: re.sub(r"<(/?)(?=[a-zA-Z])", r"<\1x:", xml) for name, xml in parts().items()}
    assert rows(archive({name.replace("/", "\\").upper(): xml for name, xml in prefixed.items()})) == [ROW]


def test_a_strict_workbook_is_read() -> None:
    assert rows(archive({name: xml.replace(KIND, STRICT) for name, xml in parts().items()})) == [ROW]


def test_a_workbook_in_utf16_is_read() -> None:
    assert rows(archive({name: xml.encode("utf-16") for name, xml in parts().items()})) == [ROW]


def test_a_workbook_may_do_without_shared_texts_and_styles() -> None:
    sheet = '<worksheet><sheetData><row><c t="str"><v>a</v></c></row></sheetData></worksheet>'
    bare = {name: xml for name, xml in parts().items() if "sharedStrings" not in name and "styles" not in name}
    bare |= {"xl/_rels/workbook.xml.rels": related(worksheet="worksheets/sheet1.xml")}
    assert rows(archive(bare | {"xl/worksheets/sheet1.xml": sheet})) == [(1, {1: "a"})]


def test_the_days_count_from_1904_where_the_workbook_says_so() -> None:
    old = parts()["xl/workbook.xml"].replace("<sheets>", '<workbookPr date1904="1"/><sheets>')
    assert rows(archive(parts() | {"xl/workbook.xml": old}))[0][1][3] == "2030-02-01"


def test_macros_are_told_of_and_the_cells_read_all_the_same() -> None:
    data = archive(parts() | {"xl/vbaProject.bin": "Sub Auto_Open()"})
    assert Workbook(io.BytesIO(data), "march.xlsx", Limits()).has_macros
    assert rows(data) == [ROW]


def test_links_to_other_files_are_not_followed() -> None:
    outside = '<Relationship Id="o" Type="x/styles" Target="http://example.com/styles.xml" TargetMode="External"/>'
    rels = parts()["xl/_rels/workbook.xml.rels"].replace("<Relationships>", f"<Relationships>{outside}")
    assert rows(archive(parts() | {"xl/_rels/workbook.xml.rels": rels})) == [ROW]


# ---- what is none


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"march.csv": "a,b"}, "a zip archive, not an Excel workbook"),
        ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": ""}, "an OpenDocument file"),
        ({"[Content_Types].xml": "", "xl/workbook.bin": ""}, "a binary Excel workbook"),
        (
            {
                "[Content_Types].xml": "<Types/>",
                "_rels/.rels": related(officeDocument="word/document.xml"),
                "word/document.xml": "<document/>",
            },
            "not an Excel workbook",
        ),
        ({"[Content_Types].xml": "<Types/>", "_rels/.rels": related()}, "not an Excel workbook"),
    ],
)
def test_another_kind_of_archive_is_called_what_it_is(contents: Mapping[str, str], message: str) -> None:
    assert refusal(archive(contents)).startswith(message)


def test_old_and_encrypted_workbooks_are_called_what_they_are() -> None:
    assert "an old Excel workbook (.xls), or one with a password" in refusal(b"\xd0\xcf\x11\xe0" + bytes(512))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"a,b\n1,2\n", b"<html></html>"])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert refusal(data).startswith("not an Excel workbook, or a damaged one")


@pytest.mark.parametrize("part", [name for name in parts() if not name.startswith("[")])
def test_a_part_that_is_missing_is_named(part: str) -> None:
    contents = {name: xml for name, xml in parts().items() if name != part}
    assert f"there is no {part}" in refusal(archive(contents))


def test_a_sheet_without_a_part_is_named() -> None:
    rels = parts()["xl/_rels/workbook.xml.rels"].replace('Id="worksheet"', 'Id="other"')
    assert "no part for the sheet March" in refusal(archive(parts() | {"xl/_rels/workbook.xml.rels": rels}))


# ---- what does harm


@pytest.mark.parametrize("part", [name for name in parts() if not name.startswith("[")])
def test_a_document_type_is_refused_in_every_part(part: str) -> None:
    bomb = LAUGHS + parts()[part].replace("alpha", "&l9;")
    assert "it declares a document type" in refusal(archive(parts() | {part: bomb}))


def test_an_archive_that_says_that_it_unpacks_to_too_much_is_refused() -> None:
    data = archive(parts() | {"xl/media/image1.png": bytes(12_000_000)})
    assert refusal(data) == "unpacks to more than 10,000,000 bytes"
    assert refusal(archive(parts()), Limits(unpacked_bytes=100)) == "unpacks to more than 100 bytes"


def test_an_archive_that_unpacks_to_more_than_it_says_is_refused() -> None:
    large = parts() | {"xl/sharedStrings.xml": "<sst>" + " " * 100_000 + "</sst>"}
    data = bytearray(archive(large))
    length = (100_011).to_bytes(4, "little")
    place = data.rindex(length)
    data[place : place + 4] = (10).to_bytes(4, "little")
    assert "Bad CRC-32" in refusal(bytes(data))


def test_a_tag_that_never_ends_is_refused() -> None:
    noise = base64.b64encode(random.Random(4).randbytes(LONGEST_TAG)).decode()
    sheet = parts()["xl/worksheets/sheet1.xml"].replace("<sheetData>", f"<!--{noise}--><sheetData>")
    assert "a tag of more than 8,388,608 bytes" in refusal(archive(parts() | {"xl/worksheets/sheet1.xml": sheet}))


def test_a_long_text_is_no_long_tag() -> None:
    noise = base64.b64encode(random.Random(4).randbytes(LONGEST_TAG)).decode()
    assert rows(archive(parts() | {"xl/sharedStrings.xml": f"<sst><si><t>{noise}</t></si></sst>"}))[0][1][1] == noise


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(method: int) -> None:
    assert "compression method" in refusal(archive(parts(), method))


def test_an_archive_without_compression_is_read() -> None:
    assert rows(archive(parts(), zipfile.ZIP_STORED)) == [ROW]


def test_an_encrypted_part_is_refused() -> None:
    data = bytearray(archive(parts()))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    assert "it is encrypted" in refusal(bytes(data))


def test_two_parts_of_one_name_are_refused() -> None:
    assert "two files called" in refusal(archive(parts() | {"XL/workbook.xml": "<workbook/>"}))


def test_too_many_parts_are_refused() -> None:
    assert "10,001 files" in refusal(archive({str(number): "" for number in range(MOST_ENTRIES + 1)}))


# ---- damage


def test_a_workbook_cut_short_anywhere_is_refused() -> None:
    data = archive(parts())
    for length in range(0, len(data), 5):
        refusal(data[:length])


def changed(data: bytes, chance: random.Random) -> bytes:
    """`data` with a few bytes changed, removed or repeated."""
    result = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5])):
        place = chance.randrange(len(result))
        match chance.randrange(4):
            case 0:
                result[place] ^= 1 << chance.randrange(8)
            case 1:
                result[place] = chance.choice(b'019<>"&/ -.eE')
            case 2:
                del result[place : place + chance.randrange(1, 12)]
            case 3:
                result[place:place] = result[place : place + chance.randrange(1, 40)]
    return bytes(result)


def outcome(data: bytes) -> str:
    try:
        rows(data)
    except FileRefused:
        return "refused"
    return "read"


def test_a_mutated_archive_is_read_or_refused_and_nothing_else() -> None:
    chance, data = random.Random(21), archive(parts())
    assert {outcome(changed(data, chance)) for _ in range(300)} == {"read", "refused"}


@pytest.mark.parametrize("part", [name for name in parts() if not name.startswith("[")])
def test_a_mutated_part_is_read_or_refused_and_nothing_else(part: str) -> None:
    chance, whole = random.Random(part), parts()[part].encode()
    outcomes = {outcome(archive(parts() | {part: changed(whole, chance)})) for _ in range(60)}
    assert outcomes == {"read", "refused"}
