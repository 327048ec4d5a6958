"""Text that a spreadsheet program would run as a formula, and the mark that keeps it from doing so."""

from __future__ import annotations

import re

FORMULA = re.compile(r"'*[=+\-@\t\r\0]")
"""How a formula begins; also after apostrophes, so that the mark can be told from an apostrophe of the text's own."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: one that begins like a formula gets a leading apostrophe.

    >>> safe_cell("=HYPERLINK()"), safe_cell("acme"), safe_cell("-5")
    ("'=HYPERLINK()", 'acme', "'-5")
    """
    return f"'{text}" if FORMULA.match(text) else text


def safe_field(text: str) -> str:
    """Like `safe_cell`, for fields of any column: a number is no formula.

    >>> safe_field("=HYPERLINK()"), safe_field("-5"), safe_field("-5+3")
    ("'=HYPERLINK()", '-5', "'-5+3")
    """
    return text if NUMBER.fullmatch(text) else safe_cell(text)


def meant_by(cell: str) -> str:
    """The text of which `safe_cell` or `safe_field` made this cell.

    >>> meant_by("'=HYPERLINK()"), meant_by("acme"), meant_by("-5"), meant_by("'tis")
    ('=HYPERLINK()', 'acme', '-5', "'tis")
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
