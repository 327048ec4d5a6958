"""Text to values by the schema's own rules, many rows at a time. A refused cell names its rule; none is guessed.

`read_with_care` is what a cell means. `read` says the same sooner: the bytes of most cells tell at once that they are
a number or a harmless text, and of the others each distinct one is read with care once.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.errors import excerpt
from holdfast.schema import Column
from holdfast.sources.files import CONTROL
from holdfast.sources.typed import EXACT_IN_FLOAT

Mask = NDArray[np.bool_]
Rules = dict[str, Mask]
"""Rules that were broken, each with its rows."""

BLANKS = " \t"
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
"""How a missing number, date or label is written. Client ids and categories are never read this way."""

INTEGER = r"^[+-]?[0-9]{1,18}(\.0+)?$"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
DATE = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|\+00:00)?)?$"
LARGEST_INTEGER = 10**18
"""No whole number that INTEGER admits reaches it."""

EXACTLY = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

SHOWN_CATEGORIES = 8

ARROW_TYPES = {
    "text": pa.string(),
    "category": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "label": pa.int8(),
}


@dataclass(frozen=True, slots=True)
class CastColumn:
    """Values of one column (null where missing or refused) and the rules that were broken, each with its rows."""

    values: pa.Array
    broken: tuple[tuple[str, Mask], ...]


def cast(texts: pa.StringArray, column: Column) -> CastColumn:
    """The column's values, with every refused cell accounted for. A null counts as an empty cell.

    >>> from holdfast.schema import BRIEF_SCHEMA
    >>> result = cast(pa.array(["12", "-1", "1.5"]), BRIEF_SCHEMA.columns[1])
    >>> result.values.to_pylist()
    [12, None, None]
    >>> [(rule, mask.tolist()) for rule, mask in result.broken]
    [('not a whole number', [False, False, True]), ('below the minimum 0', [False, True, False])]
    """
    values, broken = read(texts.fill_null("") if texts.null_count else texts, column)
    bounded = within_bounds(values, column)
    return CastColumn(bounded.values, (*broken.items(), *bounded.broken))


def within_bounds(values: pa.Array, column: Column) -> CastColumn:
    """Values of the column's Arrow type without those beyond its bounds and dates, or outside its categories."""
    broken = _outside(values, column)
    for mask in broken.values():
        values = _nulled(values, mask)
    return CastColumn(values, tuple(broken.items()))


# ---- what a cell means


def read_with_care(texts: pa.StringArray, column: Column) -> tuple[pa.Array, Rules]:
    """The values of texts without nulls, before bounds and categories are looked at, and the rules broken so far."""
    if column.type in {"text", "category"}:
        return _text(texts, column)
    trimmed = pc.utf8_trim(texts, characters=BLANKS)
    missing = _mask(pc.is_in(trimmed, value_set=pa.array(MISSING)))
    reader = {"integer": _integer, "number": _number, "date": _date, "label": _label}[column.type]
    values, rules = reader(trimmed, ~missing, column)
    if column.missing_allowed:
        return values, _broken(rules)
    return _nulled(values, missing), _broken({"missing": missing} | rules)


def _text(texts: pa.StringArray, column: Column) -> tuple[pa.Array, Rules]:
    refused = "\x00" if column.role == "ignored" else CONTROL
    control, empty = _mask(pc.match_substring_regex(texts, refused)), _mask(pc.equal(texts, ""))
    required = column.role == "client" or not column.missing_allowed
    rules = {"control character": control} | ({"missing": empty} if required else {})
    return _nulled(texts, control | empty), _broken(rules)


def _integer(texts: pa.StringArray, present: Mask, _column: Column) -> tuple[pa.Array, Rules]:
    valid = _mask(pc.match_substring_regex(texts, INTEGER)) & present
    digits = pc.replace_substring_regex(_nulled(texts, ~valid), r"^\+|\.0+$", "")
    return pc.cast(digits, pa.int64()), {"not a whole number": present & ~valid}


def _number(texts: pa.StringArray, present: Mask, _column: Column) -> tuple[pa.Array, Rules]:
    valid = _mask(pc.match_substring_regex(texts, NUMBER)) & present
    values = pc.cast(_nulled(texts, ~valid), pa.float64())
    numbers = values.to_numpy(zero_copy_only=False)
    infinite = np.isinf(numbers)
    changed = ((numbers == 0) | (np.abs(numbers) >= EXACT_IN_FLOAT)) & ~infinite
    for row in np.flatnonzero(changed).tolist():
        changed[row] = not is_held(texts[row].as_py(), numbers[row])
    return _nulled(values, infinite | changed), {
        "not a number": present & ~valid,
        "not a finite number": infinite,
        "not exact in floating point": changed & (numbers != 0),
        "rounds to 0 in floating point": changed & (numbers == 0),
    }


def is_held(text: str, number: float) -> bool:
    """True if the float64 nearest to what `text` says, a finite decimal number, may stand for it.

    It may where it is off by no more than half a unit of the last digit, or half of 1 if that is a decimal place: so
    a whole number is held exactly or not at all, and 0.1 and 1e23 are held. Only 0 may become 0.

    >>> is_held("9007199254740993", 2.0**53), is_held("9007199254740992.3", 2.0**53), is_held("1e-400", 0.0)
    (False, True, False)
    """
    if 0 < abs(number) < EXACT_IN_FLOAT:
        return True
    said = Decimal(text)
    if number == 0:
        return said == 0
    last = max(0, int(said.as_tuple().exponent))
    return EXACTLY.subtract(Decimal(number), said).copy_abs() <= Decimal((0, (5,), last - 1))


def _date(texts: pa.StringArray, present: Mask, _column: Column) -> tuple[pa.Array, Rules]:
    valid = _mask(pc.match_substring_regex(texts, DATE)) & present
    days = pc.utf8_slice_codeunits(texts, 0, 10)
    parsed = pc.strptime(_nulled(days, ~valid), format="%Y-%m-%d", unit="s", error_is_null=True)
    # strptime lets 31 February become 3 March: a date is valid only if it reads back as it was written.
    same = _mask(pc.equal(pc.strftime(parsed, format="%Y-%m-%d"), days))
    return pc.cast(_nulled(parsed, ~same), pa.date32()), {"not a date like 2026-01-31": present & ~same}


def _label(texts: pa.StringArray, present: Mask, column: Column) -> tuple[pa.Array, Rules]:
    exited = _mask(pc.is_in(texts, value_set=_spellings(column.exited)))
    stayed = _mask(pc.is_in(texts, value_set=_spellings(column.stayed)))
    values = pa.array(exited.astype(np.int8), mask=~(exited | stayed))
    return values, {f"not {column.stayed} or {column.exited}": present & ~(exited | stayed)}


def _spellings(label: str) -> pa.Array:
    """A whole-number label may also come as a decimal, as pandas writes a column with gaps."""
    return pa.array([label, f"{label}.0"] if re.fullmatch(r"-?[0-9]+", label) else [label])


def _outside(values: pa.Array, column: Column) -> Rules:
    """The broken rules among those that say which values a column may have."""
    rules = {}
    if column.minimum is not None:
        least = _bound(column, math.ceil(column.minimum), column.minimum)
        rules[f"below the minimum {column.minimum:.15g}"] = pc.less(values, least)
    if column.maximum is not None:
        most = _bound(column, math.floor(column.maximum), column.maximum)
        rules[f"above the maximum {column.maximum:.15g}"] = pc.greater(values, most)
    if column.earliest is not None:
        rules[f"before {column.earliest}"] = pc.less(values, pa.scalar(date.fromisoformat(column.earliest)))
    if column.latest is not None:
        rules[f"after {column.latest}"] = pc.greater(values, pa.scalar(date.fromisoformat(column.latest)))
    if column.categories:
        known = pc.is_in(values, value_set=pa.array(column.categories))
        rules[_category_rule(column.categories)] = pc.and_(pc.is_valid(values), pc.invert(known))
    return _broken({rule: _mask(condition) for rule, condition in rules.items()})


def _category_rule(categories: tuple[str, ...]) -> str:
    shown = ", ".join(map(excerpt, categories[:SHOWN_CATEGORIES]))
    more = len(categories) - SHOWN_CATEGORIES
    return f"not one of the categories: {shown}" + (f" and {more} more" if more > 0 else "")


def _bound(column: Column, rounded: int, exact: float) -> pa.Scalar:
    """Whole numbers are compared as such: as floats they lose their last digits from 2**53 on."""
    if column.type == "integer":
        return pa.scalar(min(max(rounded, -LARGEST_INTEGER), LARGEST_INTEGER), pa.int64())
    return pa.scalar(float(exact), pa.float64())


# ---- the same, sooner


@dataclass(frozen=True, slots=True)
class _Plain:
    """What plain cells are made of: bytes from `low` to `high`, or at least none that is `odd`; up to `longest`."""

    low: int
    high: int
    odd: Mask
    longest: int = 1 << 31


def _all_but(plain: bytes) -> Mask:
    return ~np.isin(np.arange(256), list(plain))


DIGITS = _Plain(ord("0"), ord("9"), _all_but(b"-0123456789"), longest=18)
# The slash makes it one range: that it is no part of a number is found by the cast. With 300 digits a number neither
# overflows nor becomes 0.
DECIMALS = _Plain(ord("-"), ord("9"), _all_but(b"-./0123456789"), longest=300)
# In UTF-8 every character of CONTROL begins with one of these bytes.
HARMLESS = _Plain(0x20, 0x7E, np.isin(np.arange(256), [*range(0x20), 0x7F, 0xC2, 0xD8, 0xE2, 0xEF]))
NOT_NUL = _Plain(0x01, 0xFF, np.arange(256) == 0)


def read(texts: pa.StringArray, column: Column) -> tuple[pa.Array, Rules]:
    """What `read_with_care` gives, sooner."""
    values, odd = _read_plain(texts, column)
    if not odd.any():
        return values, {}
    rest = texts.filter(pa.array(odd)).dictionary_encode()
    careful, rules = read_with_care(rest.dictionary, column)
    values = pc.replace_with_mask(values, pa.array(odd), careful.take(rest.indices))
    broken = {rule: np.zeros(len(texts), dtype=bool) for rule in rules}
    for rule, mask in rules.items():
        broken[rule][odd] = mask[rest.indices.to_numpy()]
    return values, broken


def _read_plain(texts: pa.StringArray, column: Column) -> tuple[pa.Array, Mask]:
    """The values of the cells that are plain, and which ones are odd."""
    kind = ARROW_TYPES[column.type]
    nothing = pa.nulls(len(texts), kind), np.ones(len(texts), dtype=bool)
    if column.type == "date" or not len(texts):  # dates repeat: reading the distinct ones is soon done
        return nothing
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    if column.type == "label":
        return _plain_labels(data, offsets, column) or nothing
    odd = _odd(data, offsets, _plain_for(column))
    try:
        values = pc.cast(_nulled(texts, odd) if odd.any() else texts, kind)
    except pa.ArrowInvalid:  # such as 1.2.3: the characters of a number, and none all the same
        return nothing
    if column.type == "number":  # straight from memory: whatever stands there for an odd cell, it stays odd
        numbers = np.frombuffer(values.buffers()[1], np.float64)[values.offset : values.offset + len(values)]
        if not -EXACT_IN_FLOAT < numbers.min() <= numbers.max() < EXACT_IN_FLOAT:
            odd |= ~(np.abs(numbers) < EXACT_IN_FLOAT)
    return values, odd


def _plain_for(column: Column) -> _Plain:
    if column.type in {"text", "category"}:
        return NOT_NUL if column.role == "ignored" else HARMLESS
    return DIGITS if column.type == "integer" else DECIMALS


def _odd(data: NDArray[np.uint8], offsets: NDArray[np.int32], plain: _Plain) -> Mask:
    lengths = np.diff(offsets)
    odd: Mask = (lengths == 0) | (lengths > plain.longest)
    if data.size and not plain.low <= data.min() <= data.max() <= plain.high:
        places = np.flatnonzero(plain.odd.take(data)) + offsets[0]
        odd[np.searchsorted(offsets, places, side="right") - 1] = True
    return odd


def _plain_labels(data: NDArray[np.uint8], offsets: NDArray[np.int32], column: Column) -> tuple[pa.Array, Mask] | None:
    """Labels like 0 and 1, where all cells are one byte long."""
    labels = column.exited + column.stayed
    if len(column.exited) != 1 or len(column.stayed) != 1 or not (labels.isascii() and labels.isalnum()):
        return None
    if np.any(np.diff(offsets) != 1):
        return None
    exited, stayed = (data == ord(label) for label in labels)
    return pa.array(exited.view(np.int8)), ~(exited | stayed)


def _broken(rules: Rules) -> Rules:
    return {rule: mask for rule, mask in rules.items() if mask.any()}


def _mask(condition: pa.BooleanArray) -> Mask:
    mask: Mask = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return mask


def _nulled(values: pa.Array, where: Mask) -> pa.Array:
    return pc.if_else(pa.array(where), pa.scalar(None, values.type), values)
