"""An SVG file becomes an element of a page."""

from __future__ import annotations

from xml.etree import ElementTree

from holdfast.render.svg import inline

FILE = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 200">
 <defs><style type="text/css">*{stroke-linejoin: round}</style></defs>
 <g id="figure_1">
  <defs><path id="m1" d="M 0.123456 1.999999 &#10;L 2 3"/></defs>
  <use xlink:href="#m1" x="57.681818" style="stroke: #0b5cad; stroke-width: 0.8"/>
  <text style="font-size: 10px; font-family: 'DejaVu Sans', sans-serif"
    transform="rotate(-0 1 2)">a &lt; 0.123456</text>
  <path clip-path="url(#c1)" d="M 1 1"/>
 </g>
 <defs><clipPath id="c1"><rect x="1"/></clipPath></defs>
</svg>"""


def element() -> ElementTree.Element:
    return ElementTree.fromstring(inline(FILE, "roc", "ROC curve"))


def test_only_the_element_remains() -> None:
    assert inline(FILE, "roc", "ROC curve").startswith("<svg ")


def test_the_only_address_is_the_namespace() -> None:
    assert inline(FILE, "roc", "ROC curve").count("://") == 1


def test_ids_and_what_refers_to_them_begin_with_the_name() -> None:
    text = inline(FILE, "roc", "ROC curve")
    assert all(part in text for part in ('id="roc-m1"', 'href="#roc-m1"', 'id="roc-c1"', "url(#roc-c1)"))


def test_group_ids_go() -> None:
    assert "figure_1" not in inline(FILE, "roc", "ROC curve")


def test_style_sheets_that_would_reach_the_page_go() -> None:
    assert "<style" not in inline(FILE, "roc", "ROC curve")


def test_styles_become_attributes() -> None:
    (use,) = element().findall(".//{*}use")
    assert (use.get("stroke"), use.get("stroke-width"), use.get("style")) == ("#0b5cad", "0.8", None)


def test_the_font_is_the_pages() -> None:
    (text,) = element().findall(".//{*}text")
    assert (text.get("font-family"), text.get("font-size")) == (None, "10px")


def test_coordinates_are_rounded_and_text_is_not() -> None:
    path = element().findall(".//{*}path")[0]
    (text,) = element().findall(".//{*}text")
    assert (path.get("d"), text.text) == ("M 0.12 2.00 L 2 3", "a < 0.123456")


def test_the_label_is_there_for_who_cannot_see_the_picture() -> None:
    label = 'of "this" & <that>'
    assert ElementTree.fromstring(inline(FILE, "roc", label)).get("aria-label") == label
