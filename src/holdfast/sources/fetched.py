"""Fetched rows: their cells as the text that the schema's rules read, and their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import NoneType
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.errors import FileRefused
from holdfast.sources.typed import BOOLEANS, as_text
from holdfast.sources.watermark import Mark, greatest, marks_of


class Fetched(Protocol):
    """A column of fetched rows."""

    def __len__(self) -> int: ...

    def texts(self, column: str, file: str, booleans: tuple[str, str]) -> pa.StringArray:
        """The cells as text, of which one in `column` of `file` may be refused by FileRefused."""

    def greatest(self, now: datetime) -> tuple[Mark | None, int]:
        """The greatest watermark that is not after `now`, and how many are.

        Raises ValueError for cells that cannot be watermarks, TypeError for those that cannot be compared.
        """

    def until(self, mark: Mark) -> int:
        """How many rows there are up to the last one that has no watermark, or none after `mark`; raises the same."""


@dataclass(frozen=True, slots=True)
class Objects:
    """A column of Python objects. `dates_as_texts`: its watermarks may be texts."""

    values: Sequence[object]
    dates_as_texts: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def texts(self, column: str, file: str, booleans: tuple[str, str]) -> pa.StringArray:
        """The cells as text (see `texts_of`)."""
        return texts_of(self.values, column, file, booleans)

    def greatest(self, now: datetime) -> tuple[Mark | None, int]:
        """The greatest watermark that is not after `now`, and how many are."""
        return greatest(marks_of(self.values, texts=self.dates_as_texts), now)

    def until(self, mark: Mark) -> int:
        """How many rows there are up to the last one that has no watermark, or none after `mark`."""
        for place in range(len(self.values), 0, -1):
            marks = marks_of(self.values[place - 1 : place], texts=self.dates_as_texts)
            if not marks or marks[0] <= mark:  # type: ignore[operator]
                return place
        return 0


def texts_of(values: Sequence[object], column: str, file: str, booleans: tuple[str, str] = BOOLEANS) -> pa.StringArray:
    """A column's cells as text, as `as_text` writes them; a cell's text does not depend on the cells beside it.

    The cells may be of several types, as SQLite keeps them. Raises FileRefused for what is no text, number, boolean
    or date.

    >>> texts_of([1, None, "two", 3.5], "visits", "crm").to_pylist()
    ['1', '', 'two', '3.5']
    """
    kinds = set(map(type, values)) - {NoneType}
    if len(kinds) > 1:
        # Each cell is empty in all parts but one.
        parts = [
            texts_of([value if type(value) is kind else None for value in values], column, file, booleans)
            for kind in kinds
        ]
        return pc.binary_join_element_wise(*parts, "")
    [kind] = kinds or {str}
    if kind is str:
        return pc.fill_null(pa.array(values, pa.string()), "")
    if kind is Decimal:
        # In an Arrow array all of them would get as many places as the longest.
        places = pa.array([None if value is None else format(value, "f") for value in values], pa.string())
        return pc.fill_null(pc.replace_substring_regex(places, r"\.0+$", ""), "")
    try:
        return as_text(pa.array(values), column, file, booleans=booleans)
    except OverflowError:  # whole numbers of more than 64 bits
        return pa.array(["" if value is None else str(value) for value in values], pa.string())
    except pa.ArrowException:
        message = f"cells of the type {kind.__name__} cannot be read"
        raise FileRefused(message, file=file, column=column, hint="cast the column to text in a 'query'") from None


class RowsDigest:
    """SHA-256 over a header and rows in any order: of the header, the number of rows, and the sum of their digests.

    A row's digest is SHA-256 of its fields with tabs between them; a tab or backslash in a field has a backslash
    before it. Digests are added as numbers modulo 2**256.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._rows = 0

    def add(self, columns: Sequence[pa.StringArray]) -> None:
        """Count in rows, given as columns of text."""
        joined = pc.binary_join_element_wise(*map(_escaped, columns), "\t")
        digests = b"".join([hashlib.sha256(row).digest() for row in joined.cast(pa.binary()).to_pylist()])
        parts = np.frombuffer(digests, ">u4").reshape(-1, 8).sum(axis=0, dtype=np.uint64)
        self._sum += sum(part << 32 * place for place, part in enumerate(reversed(parts.tolist())))
        self._rows += len(joined)

    def of(self, header: Sequence[str]) -> str:
        """The digest of what was added, under `header`."""
        text = json.dumps([list(header), self._rows, f"{self._sum % 2**256:064x}"])
        return hashlib.sha256(text.encode()).hexdigest()


def _escaped(texts: pa.StringArray) -> pa.StringArray:
    data = texts.buffers()[2]
    if data and any(mark in data.to_pybytes() for mark in (b"\t", b"\\")):
        return pc.replace_substring_regex(texts, r"([\t\\])", r"\\\1")
    return texts
