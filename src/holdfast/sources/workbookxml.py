"""The XML of an Excel workbook (ECMA-376): its tags, its shared texts, and the cells of a sheet as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from holdfast.sources.casting import NUMBER, is_held
from holdfast.sources.typed import EXACT_IN_FLOAT

MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384

DATE_FORMATS = {str(number) for number in (*range(14, 23), *range(27, 37), 45, 47, *range(50, 59))}
DURATION_FORMATS = {"46"}
"""The built-in number formats (18.8.30) that show dates or times, and durations."""

NOT_FORMAT = re.compile(r'"[^"]*"|\\.|[_*].|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
DATE_LETTERS = re.compile("[dmyhs]", re.IGNORECASE)
DURATION_LETTERS = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)

ZEROS = re.compile("0{2,20}")
"""A format of client numbers: 00012."""

ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
WHOLE = re.compile("-?[0-9]+")
DECIMAL = re.compile(NUMBER)

SINCE_1900 = datetime(1899, 12, 30)  # noqa: DTZ001 - a workbook knows no zones
SINCE_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
FEBRUARY_29_1900 = 60
"""A day that there never was, but in Excel's count of days since 1900."""
MILLISECONDS_A_DAY = 86_400_000

Attributes = Mapping[str, str]


class FailedFormula(str):
    """The text of a cell whose formula failed, such as #N/A."""

    __slots__ = ()


Cell = str | bool
Row = tuple[int, dict[int, Cell]]
"""The number of a row, and those of its cells that are not empty, by the number of their column; both from 1."""


class Handler(Protocol):
    """What is told of the tags of a part; the text since it was last cleared stands in `pieces`."""

    pieces: list[str]

    def start(self, tag: str, attributes: Attributes) -> None:
        """A tag opens; its name may have a prefix."""

    def end(self, tag: str) -> None:
        """A tag closes."""


class Tags:
    """All tags in order, with their attributes, without the prefixes of their names."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Attributes]] = []
        self.pieces: list[str] = []

    def start(self, tag: str, attributes: Attributes) -> None:
        """Note it."""
        self.found.append((tag.rpartition(":")[2], attributes))

    def end(self, _tag: str) -> None:
        """Forget the text in it."""
        self.pieces.clear()


class Strings:
    """The texts that cells share, in order; formatted ones without their format, and without phonetic guides."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.pieces: list[str] = []
        self._text: list[str] = []
        self._phonetic = False

    def start(self, tag: str, _attributes: Attributes) -> None:
        """A shared text (`si`) begins, a phonetic guide (`rPh`), or a piece of text (`t`)."""
        tag = tag.rpartition(":")[2]
        if tag == "si":
            self._text.clear()
        elif tag == "rPh":
            self._phonetic = True
        self.pieces.clear()

    def end(self, tag: str) -> None:
        """One of them ends."""
        tag = tag.rpartition(":")[2]
        if tag == "t" and not self._phonetic:
            self._text += self.pieces
        elif tag == "rPh":
            self._phonetic = False
        elif tag == "si":
            self.texts.append(_unescaped("".join(self._text)))


class Cells:
    """The rows of a sheet, as they are completed."""

    def __init__(self, strings: Sequence[str], formats: Mapping[str, str], epoch: datetime) -> None:
        self.rows: list[Row] = []
        self.pieces: list[str] = []
        self.without_result = 0
        self._strings = strings
        self._formats = formats
        self._epoch = epoch
        self._columns: dict[str, int] = {}
        self._row: dict[int, Cell] = {}
        self._number = self._column = 0
        self._attributes: Attributes = {}
        self._value: str | None = None
        self._inline: list[str] = []
        self._formula = self._phonetic = False

    def start(self, tag: str, attributes: Attributes) -> None:
        """A row begins, a cell (`c`), its value (`v`), formula (`f`) or a piece of its text (`t`)."""
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        if tag == "c":
            self._attributes, self._value, self._formula = attributes, None, False
            self._inline.clear()
        elif tag == "f":
            self._formula = True
        elif tag == "rPh":
            self._phonetic = True
        elif tag == "row":
            self._number = int(attributes.get("r", self._number + 1))
            if not 1 <= self._number <= MOST_ROWS:
                raise ValueError(f"a row {self._number}")
            self._row, self._column = {}, 0
        self.pieces.clear()

    def end(self, tag: str) -> None:
        """One of them ends."""
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        if tag == "v":
            self._value = "".join(self.pieces)
        elif tag == "c":
            self._end_cell()
        elif tag == "t" and not self._phonetic:
            self._inline += self.pieces
        elif tag == "rPh":
            self._phonetic = False
        elif tag == "row" and self._row:
            self.rows.append((self._number, self._row))

    def _end_cell(self) -> None:
        place = self._attributes.get("r")
        self._column = self._column_of(place) if place else self._column + 1
        if self._column > MOST_COLUMNS:
            raise ValueError(f"a cell in column {self._column}")
        cell = self._cell(self._attributes.get("t", "n"))
        if cell == "":
            return
        if self._column in self._row:
            raise ValueError(f"two cells at {place}")
        self._row[self._column] = cell

    def _column_of(self, place: str) -> int:
        letters = place.rstrip("0123456789")
        if letters not in self._columns:
            if not re.fullmatch("[A-Z]{1,3}", letters):
                raise ValueError(f"a cell at {place}")
            column = 0
            for letter in letters:
                column = 26 * column + ord(letter) - ord("A") + 1
            self._columns[letters] = column
        return self._columns[letters]

    def _shared(self, number: str) -> str:
        try:
            return self._strings[int(number) if number.isdecimal() else len(self._strings)]
        except (LookupError, ValueError):
            raise ValueError(f"there is no shared text {number}") from None

    def _cell(self, kind: str) -> Cell:
        value = self._value
        if kind == "inlineStr":
            return _unescaped("".join(self._inline))
        if not value:
            self.without_result += self._formula and (value is None or kind != "str")
            return ""
        if kind == "s":
            return self._shared(value)
        if kind == "n":
            shown = self._formats.get(self._attributes.get("s", "0"))
            return _shown(_number(value), shown, self._epoch) if shown else _number(value)
        if kind == "b":
            return value.strip() in {"1", "true"}
        if kind == "e":
            return FailedFormula(value)
        return _iso(value) if kind == "d" else _unescaped(value)


# ---- values


def _unescaped(text: str) -> str:
    """With the characters that XML cannot hold, which Excel writes as _x000D_."""
    if "_x" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        code = int(match[1], 16)
        return match[0] if 0xD800 <= code <= 0xDFFF else chr(code)

    return ESCAPED.sub(character, text)


def formats_of(tags: Sequence[tuple[str, Attributes]]) -> dict[str, str]:
    """How the styles that cells name show a number, by the tags of the part with the styles.

    As a "date", as a "duration", or with at least as many digits as the zeros say; other styles are left out.
    """
    codes: dict[str, str] = {}
    section, found, styles = "", {}, 0
    for tag, attributes in tags:
        if tag == "numFmt":
            codes[attributes["numFmtId"]] = attributes["formatCode"]
        elif tag in {"cellStyleXfs", "cellXfs"}:
            section = tag
        elif tag == "xf" and section == "cellXfs":
            shown = _shown_as(attributes.get("numFmtId", "0"), codes)
            if shown:
                found[str(styles)] = shown
            styles += 1
    return found


def _shown_as(number: str, codes: Mapping[str, str]) -> str | None:
    if number not in codes:
        return "duration" if number in DURATION_FORMATS else "date" if number in DATE_FORMATS else None
    if ZEROS.fullmatch(codes[number]):
        return codes[number]
    letters = NOT_FORMAT.sub("", codes[number]).partition(";")[0]
    if DURATION_LETTERS.search(letters):
        return "duration"
    return "date" if DATE_LETTERS.search(letters) else None


def _number(text: str) -> str:
    """A number as `typed.as_text` writes it; what is none stays as it is, for the schema to refuse."""
    if text.isdecimal() and text.isascii() and text[0] != "0":
        return text
    text = text.strip()
    if WHOLE.fullmatch(text):
        digits = text.lstrip("-0")
        return f"-{digits}" if digits and text[0] == "-" else digits or "0"
    value = float(text) if DECIMAL.fullmatch(text) else np.inf
    if not (np.isfinite(value) and is_held(text, value)):
        return text
    if not value.is_integer():
        return repr(value)
    return str(int(value)) if abs(value) < EXACT_IN_FLOAT else np.format_float_scientific(value, trim="-")


def _shown(number: str, shown: str, epoch: datetime) -> str:
    """The number in the form of its format, if it can have it."""
    if shown not in {"date", "duration"}:
        return number.zfill(len(shown)) if number.isdecimal() else number
    if not DECIMAL.fullmatch(number):
        return number
    try:
        return _moment(float(number), shown, epoch) or number
    except OverflowError:
        return number


def _moment(days: float, shown: str, epoch: datetime) -> str | None:
    """The days as a date, time or duration; None, or OverflowError, if they are none."""
    passed = round(abs(days) * MILLISECONDS_A_DAY)
    if shown == "duration":
        return ("-" if days < 0 else "") + _clock(passed)
    if days < 0:
        return None
    if days < 1:
        return _clock(passed)
    if epoch == SINCE_1900 and days < FEBRUARY_29_1900:
        passed += MILLISECONDS_A_DAY
    return _written(epoch + timedelta(milliseconds=passed))


def _clock(passed: int) -> str:
    seconds, milliseconds = divmod(passed, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return _plain_fraction(f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}")


def _iso(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return text if moment.tzinfo else _written(moment)


def _written(moment: datetime) -> str:
    return _plain_fraction(moment.isoformat(" ")).removesuffix(" 00:00:00")


def _plain_fraction(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
