"""The parts of an Excel workbook (ECMA-376) in which a client's rows leave something: edited, each in its own way."""

from __future__ import annotations

import re
from collections.abc import Collection
from xml.sax.saxutils import escape, quoteattr

from holdfast.store.scrubbing.kinds import Opaque
from holdfast.store.scrubbing.markup import Attributes, Editor

CELL = re.compile("([A-Z]{1,3})([0-9]{1,7})")
SHOWN = ("display", "tooltip")
"""Attributes of a link that hold what a person reads."""


class SheetWithout(Editor):
    """A sheet without the cells of some `rows`. Every other cell keeps its place, formula and stored result.

    A formula that other rows share with a row that goes is written out in them. One that fills other rows as well
    stays where it is, without its result. Links on cells of the rows lose their texts.
    """

    def __init__(self, rows: Collection[int]) -> None:
        super().__init__()
        self._rows = rows
        self._row = 0
        self._column = 0
        self._place = ""
        self._shared: dict[str, tuple[str, str]] = {}
        self._cell: Attributes = {}
        self._formula: Attributes = {}
        self._instead = ""

    def replaces(self, tag: str, attributes: Attributes, /) -> bool:
        """The cells of the rows, formulas that refer to a shared one in them, and links on them."""
        self._instead = ""
        if tag == "row":
            self._row, self._column = int(attributes.get("r", self._row + 1)), 0
        elif tag == "c":
            self._enter(attributes)
            return self._row in self._rows
        elif tag == "f" and attributes.get("t") == "shared":
            return self._refers_to_one_gone(attributes)
        elif tag == "hyperlink" and self._all_gone(attributes.get("ref", "")):
            kept = (f" {name}={quoteattr(value)}" for name, value in attributes.items() if name not in SHOWN)
            self._instead = f"hyperlink{''.join(kept)}/>"
            return True
        return False

    def begins_inside(self, tag: str, attributes: Attributes, /) -> None:
        """A formula in a cell that goes."""
        if tag == "f":
            self._formula = attributes

    def ends_inside(self, tag: str, text: str, /) -> None:
        """Its text is known."""
        if tag != "f" or self._row not in self._rows:
            return
        formula = self._formula
        if formula.get("t") == "shared" and text:
            self._shared[formula.get("si", "")] = self._place, text
        elif formula.get("t") in {"array", "dataTable"} and not self._all_gone(formula.get("ref", self._place)):
            told = "".join(f" {name}={quoteattr(value)}" for name, value in formula.items())
            style = f" s={quoteattr(self._cell['s'])}" if "s" in self._cell else ""
            self._instead = f'c r="{self._place}"{style}><{{prefix}}f{told}>{escape(text)}</{{prefix}}f></{{prefix}}c>'

    def replacement(self, prefix: str, /) -> str:
        """Nothing; or the formula, or the link, that stays."""
        return f"<{prefix}{self._instead}".replace("{prefix}", prefix) if self._instead else ""

    def _enter(self, attributes: Attributes) -> None:
        found = CELL.fullmatch(attributes.get("r", ""))
        self._column = _number_of(found[1]) if found else self._column + 1
        self._place = found[0] if found else f"{_letters_of(self._column)}{self._row}"
        self._cell = attributes

    def _refers_to_one_gone(self, attributes: Attributes) -> bool:
        number = attributes.get("si", "")
        if "ref" in attributes:  # it is defined anew
            self._shared.pop(number, None)
        if number not in self._shared:
            return False
        self._instead = f"f>{escape(_moved(*self._shared[number], self._place))}</{{prefix}}f>"
        return True

    def _all_gone(self, area: str) -> bool:
        """True if all rows of an area such as A2:C4 go."""
        rows = [int(row) for _, row in CELL.findall(area)]
        return bool(rows) and all(row in self._rows for row in range(min(rows), max(rows) + 1))


class CommentsWithout(Editor):
    """Comments, threaded ones too, of which those on cells of some `rows` lose their text."""

    def __init__(self, rows: Collection[int]) -> None:
        super().__init__()
        self._rows = rows
        self._on_one = False

    def replaces(self, tag: str, attributes: Attributes, /) -> bool:
        """The text of such a comment."""
        if tag in {"comment", "threadedComment"}:
            found = CELL.match(attributes.get("ref", ""))
            self._on_one = found is not None and int(found[2]) in self._rows
        return tag == "text" and self._on_one

    def replacement(self, prefix: str, /) -> str:
        """An empty text."""
        return f"<{prefix}text/>"


class StringsOf(Editor):
    """The table of texts that cells share: only those that are `used` stay, each under its number."""

    def __init__(self, used: Collection[int]) -> None:
        super().__init__()
        self._used = used
        self._number = -1

    def replaces(self, tag: str, _attributes: Attributes, /) -> bool:
        """A text that no cell uses."""
        self._number += tag == "si"
        return tag == "si" and self._number not in self._used

    def replacement(self, prefix: str, /) -> str:
        """An empty text."""
        return f"<{prefix}si><{prefix}t/></{prefix}si>"


class WithoutCalcChain(Editor):
    """A list of parts without the order of calculation, which names cells, and which spreadsheet programs make anew."""

    def replaces(self, tag: str, attributes: Attributes, /) -> bool:
        """What names that part."""
        told = attributes.get("PartName", "") if tag == "Override" else attributes.get("Type", "")
        return tag in {"Override", "Relationship"} and told.lower().endswith(("/calcchain.xml", "/calcchain"))


class UsedStrings(Editor):
    """Nothing is replaced: the numbers of the shared texts that cells out of some `rows` use are noted in `found`."""

    def __init__(self, rows: Collection[int], found: set[int]) -> None:
        super().__init__()
        self._rows = rows
        self._row = 0
        self._found = found
        self._is_shared = False

    def replaces(self, tag: str, attributes: Attributes, /) -> bool:
        """The value of a cell with a shared text, so that it is told."""
        if tag == "row":
            self._row = int(attributes.get("r", self._row + 1))
        elif tag == "c":
            self._is_shared = attributes.get("t") == "s" and self._row not in self._rows
        return tag == "v" and self._is_shared

    def ends_inside(self, _tag: str, text: str, /) -> None:
        """The number."""
        if text.strip().isdecimal():
            self._found.add(int(text))


def _moved(origin: str, formula: str, place: str) -> str:
    """A formula as it reads in another cell."""
    from openpyxl.formula.tokenizer import TokenizerError
    from openpyxl.formula.translate import Translator, TranslatorError

    try:
        return str(Translator(f"={formula}", origin).translate_formula(place)).removeprefix("=")
    except (TokenizerError, TranslatorError, ValueError) as error:
        raise Opaque(f"a formula that rows share cannot be read: {error}") from error


def _number_of(letters: str) -> int:
    """The number of a column, from 1.

    >>> _number_of("A"), _number_of("AB")
    (1, 28)
    """
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _letters_of(number: int) -> str:
    """The letters of a column.

    >>> _letters_of(1), _letters_of(28)
    ('A', 'AB')
    """
    letters = ""
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters
