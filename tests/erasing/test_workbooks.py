"""A workbook without a client's rows: nothing else moves, and ingestion reads the same other rows."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.comments import Comment

from holdfast.erasing.tasks import DeliveredCells
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sources.opening import open_delivery
from holdfast.sources.parsed import Reading
from holdfast.store.scrubbing import clean, holds
from holdfast.store.scrubbing.kinds import Opaque
from holdfast.store.scrubbing.markup import Editor
from holdfast.store.scrubbing.mention import Erasure, Mention
from holdfast.store.scrubbing.workbookparts import CommentsWithout, SheetWithout, StringsOf, WithoutCalcChain

NAMES = BRIEF_SCHEMA.names
OPEN_XML = "http://schemas.openxmlformats.org"
MAIN = f'xmlns="{OPEN_XML}/spreadsheetml/2006/main"'
KINDS = f"{OPEN_XML}/officeDocument/2006/relationships"


def erasure(client: str = "acme", *, own: bool = False) -> Erasure:
    columns = frozenset({BRIEF_SCHEMA.client.name})
    return Erasure(Mention(client), columns, own, cells=DeliveredCells(Limits()))


def rows_read(data: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """What ingestion takes, each row with its line, and the texts of what it refuses."""
    delivered = open_delivery(io.BytesIO(data), "a.xlsx", Reading(schema=BRIEF_SCHEMA))
    taken, refused = [], []
    for parsed in delivered:
        taken += parsed.rows.to_pylist()
        refused += [row.text for row in parsed.rejected]
    return taken, refused


def relations(**targets: str) -> str:
    each = (f'<Relationship Id="{name}" Type="{KINDS}/{name}" Target="{to}"/>' for name, to in targets.items())
    return f'<Relationships xmlns="{OPEN_XML}/package/2006/relationships">{"".join(each)}</Relationships>'


def as_excel_saves(sheet: str, strings: str = "", **others: str) -> bytes:
    """A workbook with one sheet, as Excel writes it, with a part for each of the others."""
    members = {
        "[Content_Types].xml": f'<Types xmlns="{OPEN_XML}/package/2006/content-types"><Default Extension="xml" '
        'ContentType="application/xml"/><Override PartName="/xl/calcChain.xml" ContentType="x"/></Types>',
        "_rels/.rels": relations(officeDocument="xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{KINDS}"><sheets>'
        '<sheet name="Data" sheetId="1" r:id="worksheet"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations(
            worksheet="worksheets/sheet1.xml", sharedStrings="sharedStrings.xml", calcChain="calcChain.xml"
        ),
        "xl/calcChain.xml": f'<calcChain {MAIN}><c r="B2" i="1"/></calcChain>',
        "xl/sharedStrings.xml": f"<sst {MAIN}>{strings}</sst>",
        "xl/worksheets/sheet1.xml": f'<worksheet {MAIN} xmlns:r="{KINDS}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**members, **others}.items():
            archive.writestr(name, text)
    return sink.getvalue()


def cells(row: int, client: str, *others: str) -> str:
    """A row of a sheet: its client, and the insides of its other cells."""
    inside = "".join(f'<c r="{chr(66 + place)}{row}">{each}</c>' for place, each in enumerate(others))
    return f'<row r="{row}" ht="15"><c r="A{row}" t="inlineStr"><is><t>{client}</t></is></c>{inside}</row>'


HEADER = "".join(
    f'<c r="{chr(65 + place)}1" t="inlineStr"><is><t>{name}</t></is></c>' for place, name in enumerate(NAMES)
)


def table(*rows: str) -> str:
    return f'<row r="1">{HEADER}</row>{"".join(rows)}'


def members_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def cleaned(path: Path, data: bytes, client: str = "acme") -> dict[str, bytes]:
    path.write_bytes(data)
    assert clean(path, erasure(client))
    return members_of(path.read_bytes())


SHEET = "xl/worksheets/sheet1.xml"
PLAIN = ("<v>1</v>", "<v>2</v>", "<v>3</v>", "<v>0</v>")


def test_every_other_byte_of_a_sheet_stays(tmp_path: Path) -> None:
    row = cells(3, "other", "<f>B2*2</f><v>84</v>", *PLAIN[1:])
    total = "<f>SUM(B2:B3)</f><v>126</v>"
    data = as_excel_saves(table(cells(2, "acme", "<f>6*7</f><v>42</v>", *PLAIN[1:]), row, cells(4, "sum", total)))
    after = cleaned(tmp_path / "a.xlsx", data)
    expected = table('<row r="2" ht="15"></row>', row, cells(4, "sum", total))
    assert f"<sheetData>{expected}</sheetData>" in after[SHEET].decode()


def test_parts_that_say_nothing_of_the_rows_stay_as_they_are(tmp_path: Path) -> None:
    parts = {"xl/drawings/drawing1.xml": "<x/>", "xl/media/image1.png": "\x89PNG", "customXml/item1.xml": "<y/>"}
    data = as_excel_saves(table(cells(2, "acme", *PLAIN), cells(3, "other", *PLAIN)), **parts)
    before, after = members_of(data), cleaned(tmp_path / "a.xlsx", data)
    edited = {SHEET, "[Content_Types].xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml", "xl/calcChain.xml"}
    assert {name: after[name] for name in before if name not in edited} == {
        name: before[name] for name in before if name not in edited
    }
    assert "xl/calcChain.xml" not in after, "it names cells that are no more"
    assert b"calcChain" not in after["[Content_Types].xml"] + after["xl/_rels/workbook.xml.rels"]


def test_a_shared_text_goes_with_the_last_row_that_uses_it_and_no_number_changes(tmp_path: Path) -> None:
    def shared(row: int, place: int) -> str:
        return cells(row, "x", *PLAIN).replace(
            f'<c r="A{row}" t="inlineStr"><is><t>x</t></is></c>', f'<c r="A{row}" t="s"><v>{place}</v></c>'
        )

    strings = "<si><t>acme</t></si><si><r><t>ac</t></r><r><t>me</t></r></si><si><t>other</t></si>"
    data = as_excel_saves(table(shared(2, 0), shared(3, 2), shared(4, 1), shared(5, 2)), strings)
    after = cleaned(tmp_path / "a.xlsx", data)
    assert b"<si><t/></si><si><t/></si><si><t>other</t></si>" in after["xl/sharedStrings.xml"]
    taken, refused = rows_read((tmp_path / "a.xlsx").read_bytes())
    assert [(row[NAMES[0]], row["_line"]) for row in taken] == [("other", 3), ("other", 5)]
    assert refused == []
    assert not holds(tmp_path / "a.xlsx", erasure())


def test_a_formula_that_others_share_with_a_row_that_goes_is_written_out(tmp_path: Path) -> None:
    master = '<f t="shared" ref="B2:B4" si="0">C2*2+$C$1&amp;"x"</f><v>4</v>'
    data = as_excel_saves(
        table(
            cells(2, "acme", master),
            cells(3, "other", '<f t="shared" si="0"/><v>6</v>'),
            cells(4, "third", '<f t="shared" si="0"></f><v>8</v>'),
        )
    )
    sheet = cleaned(tmp_path / "a.xlsx", data)[SHEET].decode()
    assert '<c r="B3"><f>C3*2+$C$1&amp;"x"</f><v>6</v></c>' in sheet
    assert '<c r="B4"><f>C4*2+$C$1&amp;"x"</f><v>8</v></c>' in sheet


def test_a_shared_formula_that_begins_in_another_row_stays_shared(tmp_path: Path) -> None:
    rest = cells(3, "other", '<f t="shared" ref="B3:B4" si="0">C3*2</f><v>6</v>')
    rest += cells(4, "third", '<f t="shared" si="0"/><v>8</v>')
    after = cleaned(tmp_path / "a.xlsx", as_excel_saves(table(cells(2, "acme", *PLAIN), rest)))
    assert rest in after[SHEET].decode()


def test_a_formula_that_fills_other_rows_too_stays_without_its_result(tmp_path: Path) -> None:
    spread = '<f t="array" ref="B2:B3">C2:C3*2</f><v>4</v>'
    alone = '<f t="array" ref="C2">D2*"acme"</f><v>4</v>'
    other = cells(3, "other", "<v>6</v>", "<v>7</v>")
    after = cleaned(tmp_path / "a.xlsx", as_excel_saves(table(cells(2, "acme", spread, alone), other)))
    kept = '<row r="2" ht="15"><c r="B2"><f t="array" ref="B2:B3">C2:C3*2</f></c></row>'
    assert kept + other in after[SHEET].decode()


def test_comments_and_links_on_a_row_that_goes_say_nothing_any_more(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (NAMES, ("acme", 1, 2, 3, 0), ("other", 1, 2, 3, 0)):
        sheet.append(list(row))
    sheet["B2"].comment = Comment("acme called", "clerk")
    sheet["B3"].comment = Comment("other called", "clerk")
    path, sink = tmp_path / "a.xlsx", io.BytesIO()
    book.save(sink)
    path.write_bytes(sink.getvalue())
    assert holds(path, erasure())
    assert clean(path, erasure()) == 1
    assert not holds(path, erasure())
    after = openpyxl.load_workbook(path).active
    assert after is not None
    assert after["B3"].comment is not None
    assert after["B3"].comment.text == "other called"
    link = '<hyperlinks><hyperlink ref="A2" r:id="x" display="acme"/></hyperlinks>'
    assert edited(SheetWithout({2}), f'<w xmlns:r="u">{link}</w>') == (
        '<w xmlns:r="u"><hyperlinks><hyperlink ref="A2" r:id="x"/></hyperlinks></w>'
    )


@pytest.mark.parametrize(
    ("form", "value", "client"),
    [("00000", 42, "00042"), ("General", 70001.0, "70001"), ("yyyy-mm-dd", date(2026, 3, 1), "2026-03-01")],
)
def test_an_id_is_what_ingestion_makes_of_a_cell(tmp_path: Path, form: str, value: Any, client: str) -> None:
    book, sink = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in (NAMES, (value, 1, 2, 3, 0), ("other", 1, 2, 3, 0)):
        sheet.append(list(row))
    sheet["A2"].number_format = form
    book.save(sink)
    path = tmp_path / "a.xlsx"
    path.write_bytes(sink.getvalue())
    assert [row[NAMES[0]] for row in rows_read(sink.getvalue())[0]] == [client, "other"]
    assert holds(path, erasure(client))
    assert clean(path, erasure(client)) == 1
    assert not holds(path, erasure(client))
    assert [row[NAMES[0]] for row in rows_read(path.read_bytes())[0]] == ["other"]


IDS = st.sampled_from(["acme", "acme-2", "b", "c & d", "<e>", "Müller"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(IDS, st.integers(0, 9)), min_size=1, max_size=8), st.integers(0, 7))
def test_ingestion_reads_the_same_rows_at_the_same_lines_but_for_the_client(
    rows: list[tuple[str, int]], chosen: int
) -> None:
    client = rows[chosen % len(rows)][0]
    book, sink = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(NAMES))
    for name, number in rows:
        sheet.append([name, number, 10 * number, 5, number % 2])
    book.save(sink)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.xlsx"
        path.write_bytes(sink.getvalue())
        assert clean(path, erasure(client)) == sum(name == client for name, _ in rows)
        taken, refused = rows_read(path.read_bytes())
        assert clean(path, erasure(client)) == 0
    before, _ = rows_read(sink.getvalue())
    assert (taken, refused) == ([row for row in before if row[NAMES[0]] != client], [])


def test_a_pivot_tables_cache_cannot_be_cleaned(tmp_path: Path) -> None:
    data = as_excel_saves(
        table(cells(2, "acme", *PLAIN)), **{"xl/pivotCache/pivotCacheRecords1.xml": '<r><s v="acme"/></r>'}
    )
    path = tmp_path / "a.xlsx"
    path.write_bytes(data)
    assert clean(path, erasure()) is None
    assert path.read_bytes() == data


# ---- parts


def edited(editor: Editor, text: str) -> str:
    sink = io.BytesIO()
    editor.edit(io.BytesIO(text.encode()), sink)
    return sink.getvalue().decode()


@pytest.mark.parametrize("prefix", ["", "x:"])
def test_names_may_have_prefixes(prefix: str) -> None:
    def tagged(text: str) -> str:
        return re.sub(r"<(/?)(?=[a-z])", rf"<\1{prefix}", text)

    sheet = tagged(
        '<w><row r="1"><c r="A1"><f t="shared" si="0" ref="A1:A2">B1</f></c></row>'
        '<row r="2"><c r="A2"><f t="shared" si="0"/></c></row></w>'
    )
    head = sheet.replace("w>", 'w xmlns:x="u">', 1)
    assert edited(SheetWithout({1}), head) == tagged(
        '<w><row r="1"></row><row r="2"><c r="A2"><f>B2</f></c></row></w>'
    ).replace("w>", 'w xmlns:x="u">', 1)


def test_rows_and_cells_may_lack_their_addresses() -> None:
    sheet = (
        "<w><row><c/></row><row><c/><c><f t='shared' si='1' ref='B2:B3'>A2</f></c></row>"
        "<row><c/><c><f t='shared' si='1'/></c></row></w>"
    )
    assert edited(SheetWithout({2}), sheet) == "<w><row><c/></row><row></row><row><c/><c><f>A3</f></c></row></w>"


def test_spaces_comments_and_what_is_unknown_between_tags_stay() -> None:
    sheet = (
        '<?xml version="1.0"?>\r\n<w>\r\n <row r="1"> <c r="A1"/> </row>\r\n <!-- x -->'
        '<row r="2"><c r="A2"><v>1</v></c></row>\r\n</w>\r\n'
    )
    after = edited(SheetWithout({2}), sheet)
    assert after == sheet.replace('<c r="A2"><v>1</v></c>', "")


def test_a_document_is_edited_across_the_borders_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = "".join(f'<row r="{row}"><c r="A{row}"><v>{row}</v></c></row>' for row in range(1, 40))
    expected = "".join(
        f'<row r="{row}"></row>' if row % 3 else f'<row r="{row}"><c r="A{row}"><v>{row}</v></c></row>'
        for row in range(1, 40)
    )
    gone = {row for row in range(1, 40) if row % 3}
    for block in (1, 7, 64):
        monkeypatch.setattr("holdfast.store.scrubbing.markup.BLOCK", block)
        assert edited(SheetWithout(gone), f"<w>{sheet}</w>") == f"<w>{expected}</w>"


def test_threaded_comments_are_emptied_too() -> None:
    text = (
        '<ThreadedComments><threadedComment ref="B2"><text>a &amp; b</text></threadedComment>'
        '<threadedComment ref="B3"><text>c</text></threadedComment></ThreadedComments>'
    )
    assert edited(CommentsWithout({2}), text) == text.replace("<text>a &amp; b</text>", "<text/>")


def test_unused_texts_become_empty_ones() -> None:
    text = "<sst><si><t>a</t></si><si><t>b</t></si><si><r><t>c</t></r></si></sst>"
    assert edited(StringsOf({1}), text) == "<sst><si><t/></si><si><t>b</t></si><si><t/></si></sst>"


def test_the_order_of_calculation_leaves_the_lists_of_parts() -> None:
    text = '<Types><Override PartName="/xl/calcChain.xml" ContentType="x"/><Override PartName="/a"/></Types>'
    assert edited(WithoutCalcChain(), text) == '<Types><Override PartName="/a"/></Types>'


@pytest.mark.parametrize(
    "head",
    ['<?xml version="1.0" encoding="ISO-8859-1"?>', '<!DOCTYPE w [<!ENTITY a "b">]>'],
    ids=["encoding", "doctype"],
)
def test_what_cannot_be_edited_byte_by_byte_is_refused(head: str) -> None:
    with pytest.raises(Opaque):
        edited(SheetWithout({1}), f"{head}<w/>")


def test_a_part_in_utf_16_is_refused() -> None:
    with pytest.raises(Opaque):
        SheetWithout({1}).edit(io.BytesIO("<w/>".encode("utf-16")), io.BytesIO())
