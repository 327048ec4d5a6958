"""Text to values by the schema's own rules, many rows at a time. A refused cell names its rule; none is guessed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from holdfast.schema import Column
from holdfast.sources.files import CONTROL

Mask = NDArray[np.bool_]

BLANKS = " \t"
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
"""How a missing number, date or label is written. Client ids and categories are never read this way."""

INTEGER = r"^[+-]?[0-9]{1,18}(\.0+)?$"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
DATE = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|\+00:00)?)?$"
LARGEST_INTEGER = 10**18
"""No whole number that INTEGER admits reaches it."""

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
    """Values of one column (null where missing or refused) and the rules broken, each with its rows."""

    values: pa.Array
    broken: tuple[tuple[str, Mask], ...]


def cast(texts: pa.StringArray, column: Column) -> CastColumn:
    """The column's values, with every refused cell accounted for.

    >>> from holdfast.schema import BRIEF_SCHEMA
    >>> result = cast(pa.array(["12", "-1", "1.5"]), BRIEF_SCHEMA.columns[1])
    >>> result.values.to_pylist()
    [12, None, None]
    >>> [(rule, mask.tolist()) for rule, mask in result.broken if mask.any()]
    [('not a whole number', [False, False, True]), ('below the minimum 0', [False, True, False])]
    """
    if column.type in {"text", "category"}:
        return _text(texts, column)
    trimmed = pc.utf8_trim(texts, characters=BLANKS)
    missing = _mask(pc.is_in(trimmed, value_set=pa.array(MISSING)))
    rules: list[tuple[str, Mask]] = []
    if not column.missing_allowed:
        rules.append(("missing", missing))
    values, wrong = {"integer": _integer, "number": _number, "date": _date, "label": _label}[column.type](
        trimmed, ~missing, column
    )
    rules += wrong + _out_of_bounds(values, column)
    refused = np.logical_or.reduce([mask for _, mask in rules]) if rules else np.zeros(len(texts), bool)
    return CastColumn(values=_nulled(values, refused), broken=tuple(rules))


def _text(texts: pa.StringArray, column: Column) -> CastColumn:
    refused = "\x00" if column.role == "ignored" else CONTROL
    rules = [("control character", _mask(pc.match_substring_regex(texts, refused)))]
    empty = _mask(pc.equal(texts, ""))
    if column.role != "client" and column.missing_allowed:
        return CastColumn(values=_nulled(texts, empty), broken=tuple(rules))
    rules.append(("missing", empty))
    return CastColumn(values=texts, broken=tuple(rules))


def _integer(texts: pa.StringArray, present: Mask, _column: Column) -> tuple[pa.Array, list[tuple[str, Mask]]]:
    valid = _mask(pc.match_substring_regex(texts, INTEGER)) & present
    digits = pc.replace_substring_regex(_nulled(texts, ~valid), r"^\+|\.0+$", "")
    return pc.cast(digits, pa.int64()), [("not a whole number", present & ~valid)]


def _number(texts: pa.StringArray, present: Mask, _column: Column) -> tuple[pa.Array, list[tuple[str, Mask]]]:
    valid = _mask(pc.match_substring_regex(texts, NUMBER)) & present
    values = pc.cast(_nulled(texts, ~valid), pa.float64())
    infinite = _mask(pc.is_inf(values))
    return values, [("not a number", present & ~valid), ("not a finite number", infinite)]


def _date(texts: pa.StringArray, present: Mask, _column: Column) -> tuple[pa.Array, list[tuple[str, Mask]]]:
    valid = _mask(pc.match_substring_regex(texts, DATE)) & present
    days = pc.utf8_slice_codeunits(texts, 0, 10)
    parsed = pc.strptime(_nulled(days, ~valid), format="%Y-%m-%d", unit="s", error_is_null=True)
    # strptime lets 31 February become 3 March: a date is valid only if it reads back as it was written.
    same = _mask(pc.equal(pc.strftime(parsed, format="%Y-%m-%d"), days))
    return pc.cast(_nulled(parsed, ~same), pa.date32()), [("not a date like 2026-01-31", present & ~same)]


def _label(texts: pa.StringArray, present: Mask, column: Column) -> tuple[pa.Array, list[tuple[str, Mask]]]:
    exited = _mask(pc.is_in(texts, value_set=_spellings(column.exited)))
    stayed = _mask(pc.is_in(texts, value_set=_spellings(column.stayed)))
    values = pa.array(exited.astype(np.int8), mask=~(exited | stayed))
    return values, [(f"not {column.stayed} or {column.exited}", present & ~(exited | stayed))]


def _spellings(label: str) -> pa.Array:
    """A whole-number label may also come as a decimal, as pandas writes a column with gaps."""
    return pa.array([label, f"{label}.0"] if re.fullmatch(r"-?[0-9]+", label) else [label])


def _out_of_bounds(values: pa.Array, column: Column) -> list[tuple[str, Mask]]:
    rules = []
    if column.minimum is not None:
        least = _bound(column, math.ceil(column.minimum), column.minimum)
        rules.append((f"below the minimum {column.minimum:.15g}", _mask(pc.less(values, least))))
    if column.maximum is not None:
        most = _bound(column, math.floor(column.maximum), column.maximum)
        rules.append((f"above the maximum {column.maximum:.15g}", _mask(pc.greater(values, most))))
    return rules


def _bound(column: Column, rounded: int, exact: float) -> pa.Scalar:
    """Whole numbers are compared as such: as floats they lose their last digits from 2**53 on."""
    if column.type == "integer":
        return pa.scalar(min(max(rounded, -LARGEST_INTEGER), LARGEST_INTEGER), pa.int64())
    return pa.scalar(float(exact), pa.float64())


def _mask(condition: pa.BooleanArray) -> Mask:
    mask: Mask = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return mask


def _nulled(values: pa.Array, where: Mask) -> pa.Array:
    return pc.if_else(pa.array(where), pa.scalar(None, values.type), values)
