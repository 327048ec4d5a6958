"""Typed cells, from Parquet, Excel or a database, as the text that the schema's rules read (`casting.py`)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from holdfast.errors import FileRefused, excerpt
from holdfast.schema import Column

EXACT_IN_FLOAT = 2**53
"""Whole numbers below it are exact as floating-point numbers; from it on, one may stand for its neighbours."""

BOOLEANS = ("true", "false")
ANSWERS = (
    BOOLEANS,
    ("1", "0"),
    ("yes", "no"),
    ("y", "n"),
    ("t", "f"),
    ("ja", "nein"),
    ("j", "n"),
    ("oui", "non"),
    ("sí", "no"),
    ("si", "no"),
    ("sim", "não"),
    ("tak", "nie"),
)
"""Words that say true and false."""

UUID_FORM = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
TEXTS = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view())
SPECIAL = re.compile(r'["\r\n]')
"""Characters for which CSV quotes a field; commas aside."""

READABLE = "text, whole and decimal numbers, booleans, dates and timestamps are read"


def as_text(
    array: pa.Array | pa.ChunkedArray, column: str, file: str, *, booleans: tuple[str, str] = BOOLEANS
) -> pa.StringArray:
    """Every cell as the text that it would have in a CSV file; null becomes the empty text, as does NaN.

    Whole numbers and decimals are exact; a decimal that is whole has no fraction. A floating-point number that is
    whole and below 2**53 is written as one (12.0 is "12"), any other as the shortest text that reads back the same,
    with an exponent from 2**53 on: it may not be the number that was meant, so no integer column takes it. Dates are
    ISO 8601; a timestamp is in UTC, has a fraction only where that is not zero, and is a mere date at midnight unless
    it has a zone. `booleans` are the words for true and false (see `boolean_words`). Binary cells are text if they
    are UTF-8, as some writers of Parquet mean them.

    Raises FileRefused, naming `column` and its type, for what is no single cell of text, number, boolean or date.

    >>> as_text(pa.array([12.0, 0.5, None]), "employees", "march.parquet").to_pylist()
    ['12', '0.5', '']
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    try:
        texts = _texts_or_nulls(array, column, file, booleans)
    except pa.ArrowInvalid:
        message = f"cells of the type {excerpt(str(array.type))} that are not UTF-8 text"
        raise FileRefused(message, file=file, column=column, hint=READABLE) from None
    return pc.fill_null(texts, "")


def can_be_text(kind: pa.DataType) -> bool:
    """True if cells of this type can be read as text.

    >>> can_be_text(pa.decimal128(10, 2)), can_be_text(pa.list_(pa.int8()))
    (True, False)
    """
    if kinds.is_dictionary(kind):
        return can_be_text(kind.value_type)
    return kinds.is_boolean(kind) or _writer(kind) is not None


def boolean_words(column: Column) -> tuple[str, str]:
    """The words for true and false in `column`: its labels, where those are such words (ANSWERS), in any case.

    >>> boolean_words(Column(name="left", role="target", type="label", exited="Yes", stayed="No"))
    ('Yes', 'No')
    """
    if column.type == "label":
        labels = {label.casefold(): label for label in (column.exited, column.stayed)}
        for true, false in ANSWERS:
            if labels.keys() == {true, false}:
                return labels[true], labels[false]
    return BOOLEANS


def as_csv(cells: Iterable[str]) -> str:
    r"""The cells of one row as a line of CSV, without its end: how the text of a refused row is kept.

    >>> as_csv(["Smith, Ltd", "12", ""])
    '"Smith, Ltd",12,'
    """
    texts = list(cells)
    plain = ",".join(texts)
    if plain and plain.count(",") == len(texts) - 1 and not SPECIAL.search(plain):  # as most are
        return plain
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(texts)
    return line.getvalue().removesuffix("\r\n")


def _texts_or_nulls(array: pa.Array, column: str, file: str, booleans: tuple[str, str]) -> pa.StringArray:
    if kinds.is_dictionary(array.type):
        return as_text(array.dictionary, column, file, booleans=booleans).take(array.indices)
    if kinds.is_boolean(array.type):
        return pc.if_else(array, *booleans)
    write = _writer(array.type)
    if write is None:
        message = f"cells of the type {excerpt(str(array.type))} cannot be read"
        raise FileRefused(message, file=file, column=column, hint=READABLE)
    return write(array)


def _writer(kind: pa.DataType) -> Callable[[pa.Array], pa.StringArray] | None:
    if kinds.is_integer(kind) or kinds.is_date(kind) or kinds.is_null(kind):
        return _plain
    if kinds.is_floating(kind):
        return _floats
    if kinds.is_decimal(kind):
        return _decimals
    if kinds.is_timestamp(kind):
        return _timestamps
    if kind == pa.uuid():
        return _uuids
    return _texts if kind in TEXTS else None


def _plain(array: pa.Array) -> pa.StringArray:
    return pc.cast(array, pa.string())


def _texts(array: pa.Array) -> pa.StringArray:
    # Arrow's reader of Parquet does not look whether text is UTF-8; the way over bytes does.
    return pc.cast(pc.cast(array, pa.large_binary()), pa.string())


def _floats(array: pa.Array) -> pa.StringArray:
    if kinds.is_float16(array.type):
        array = pc.cast(array, pa.float32())
    numbers = array.to_numpy(zero_copy_only=False)
    whole = (np.abs(numbers) < EXACT_IN_FLOAT) & (np.trunc(numbers) == numbers)
    written = pc.cast(pa.array(np.where(whole, numbers, 0).astype(np.int64), mask=~whole), pa.string())
    if whole.all():
        return written
    others = pa.array(numbers, mask=whole | np.isnan(numbers))
    return pc.coalesce(written, pc.cast(others, pa.string()))


def _decimals(array: pa.Array) -> pa.StringArray:
    # Arrow writes a zero with many places as 0E-10.
    return pc.replace_substring_regex(pc.cast(array, pa.string()), r"^(0)E-[0-9]+$|\.0+$", r"\1")


def _timestamps(array: pa.Array) -> pa.StringArray:
    # Arrow counts from 1970 in UTC whatever the zone: that only says how to show it.
    instants = array.view(pa.timestamp(array.type.unit))
    try:
        texts = pc.cast(pc.cast(instants, pa.timestamp("s")), pa.string())
    except pa.ArrowInvalid:  # some have a fraction of a second
        texts = pc.ascii_rtrim(pc.ascii_rtrim(pc.cast(instants, pa.string()), "0"), ".")
    if array.type.tz:
        return pc.binary_join_element_wise(texts, "Z", "")
    return pc.if_else(pc.ends_with(texts, " 00:00:00"), pc.utf8_slice_codeunits(texts, 0, -9), texts)


def _uuids(array: pa.Array) -> pa.StringArray:
    storage, length = array.storage, len(array)
    digits = np.frombuffer(storage.buffers()[1], np.uint8)[16 * storage.offset :][: 16 * length].tobytes().hex()
    texts = np.full((length, len(UUID_FORM)), ord("-"), np.uint8)
    places = [place for place, character in enumerate(UUID_FORM) if character != "-"]
    texts[:, places] = np.frombuffer(digits.encode(), np.uint8).reshape(length, len(places))
    written = pa.Array.from_buffers(pa.binary(len(UUID_FORM)), length, [None, pa.py_buffer(texts)])
    return pc.if_else(array.is_null(), pa.scalar(None, pa.string()), pc.cast(written, pa.string()))
