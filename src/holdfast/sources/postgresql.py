"""Rows of PostgreSQL as the text that COPY makes of them: Arrow reads it far sooner than Python makes objects of cells.

What the server writes is what `as_text` would write of the same values, or is made so here. A date that Python cannot
hold (`infinity`, the year 20000) stays the text that it is, so that it is refused with its row alone.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from io import SEEK_END, BytesIO
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from holdfast.errors import FileRefused
from holdfast.sources.fetched import texts_of
from holdfast.sources.typed import READABLE, as_text
from holdfast.sources.watermark import Mark, is_later

# The numbers of PostgreSQL's own types, which are the same on every server.
BOOLEAN, BYTES, TEXT, JSON, NUMERIC, DATE, TIMESTAMP, TIMESTAMP_IN_UTC, JSONB, UUID = (
    (16, 17, 25, 114, 1700, 1082, 1114, 1184, 3802, 2950)
)  # fmt: skip
INTEGERS = (20, 21, 23, 26)
FLOATS = (700, 701)
OBJECTS = (BYTES, JSON, JSONB)
"""Types of which the driver makes objects; they may be texts or numbers."""
WRITTEN = (BOOLEAN, NUMERIC, DATE, TIMESTAMP, TIMESTAMP_IN_UTC, UUID, *INTEGERS, *FLOATS, *OBJECTS)

NOT_TEXT = {BOOLEAN: pa.bool_(), **dict.fromkeys(FLOATS, pa.float64())}
"""Types that are read as what they are."""

EXAMPLES: dict[int, Mark] = {
    **dict.fromkeys(INTEGERS, 0),
    **dict.fromkeys(FLOATS, 0.0),
    NUMERIC: Decimal(0),
    DATE: date.min,
    TIMESTAMP: datetime.fromisoformat("0001-01-01"),
    TIMESTAMP_IN_UTC: datetime.fromisoformat("0001-01-01T00:00Z"),
}
"""A watermark of each type that can be one."""

BEFORE_ALL = re.compile(r"-inf(inity)?|.* BC", re.IGNORECASE)
AFTER_ALL = re.compile(r"inf(inity)?|nan|[0-9]{5,}-.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Type:
    """A column's type: its number in PostgreSQL, its name, and what makes an object of a cell, if that is needed."""

    number: int
    name: str
    load: Callable[[bytes], object] | None = None
    readable: bool = True

    @staticmethod
    def numbered(number: int, driver: Any) -> Type:
        """The type as the `driver`, a connection of psycopg, knows it; types unknown to it are text."""
        adapters = driver.adapters
        known, loader = adapters.types.get(number), adapters.get_loader(number, 0)
        name = f"{known.name}[]" if known and known.array_oid == number else known.name if known else "unknown"
        load = loader(number, driver).load if number in OBJECTS else None
        return Type(number, name, load, number in WRITTEN or loader in (None, adapters.get_loader(TEXT, 0)))


@dataclass(frozen=True, slots=True)
class Copied:
    """A column of copied rows. As a watermark it is in order, without one first."""

    cells: pa.Array
    type: Type

    def __len__(self) -> int:
        return len(self.cells)

    def texts(self, column: str, file: str, booleans: tuple[str, str]) -> pa.StringArray:
        """The cells as `as_text` writes them. Raises FileRefused where they are no single text, number or date."""
        if not self.type.readable and pc.any(pc.not_equal(self.cells, "")).as_py():
            message = f"cells of the type {self.type.name} cannot be read"
            raise FileRefused(message, file=file, column=column, hint=READABLE)
        if self.type.load:
            load = self.type.load
            cells = [load(text.encode()) if text else None for text in self.cells.to_pylist()]
            return texts_of(cells, column, file, booleans)
        if not pa.types.is_string(self.cells.type):
            return as_text(self.cells, column, file, booleans=booleans)
        write = WRITERS.get(self.type.number)
        return write(self.cells) if write else self.cells

    def greatest(self, now: datetime) -> tuple[Mark | None, int]:
        """The greatest watermark that is not after `now`, and how many are; what is beyond all dates is after it.

        Raises ValueError for cells that can be no watermarks.
        """
        for after, place in enumerate(range(len(self) - 1, -1, -1)):
            side, mark = self._mark(place)
            if side < 0 or (mark is not None and not is_later(mark, now)):
                return mark, after
        return None, len(self)

    def until(self, mark: Mark) -> int:
        """How many rows there are up to the last one that has no watermark, or none after `mark`."""

        def is_after(place: int) -> bool:
            side, found = self._mark(place)
            return side > 0 if found is None else found > mark  # type: ignore[operator]

        return bisect_left(range(len(self)), True, key=is_after)

    def _mark(self, place: int) -> tuple[int, Mark | None]:
        """The watermark of a row; or else on which side of all others it is: -1 before them, 1 after them."""
        cell = self.cells[place].as_py()
        text = "" if cell is None else str(cell)
        if not text or BEFORE_ALL.fullmatch(text):
            return -1, None
        if self.type.number not in EXAMPLES:
            raise ValueError(f"'{text}' of the type {self.type.name}")
        if AFTER_ALL.fullmatch(text):
            return 1, None
        return 0, _read(text, EXAMPLES[self.type.number])


class Copying:
    """A query whose rows come by COPY, in the transaction that `driver`, a connection of psycopg, has begun.

    `types`: the numbers of its columns' types.
    """

    def __init__(self, driver: Any, query: str, types: Sequence[int]) -> None:
        self._names = [str(place) for place, _ in enumerate(types)]
        self._types = [Type.numbered(number, driver) for number in types]
        self._driver = driver
        self._open = ExitStack()
        self._copy = self._open.enter_context(driver.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT csv)"))
        self._rows = self._all_rows()

    def fetch(self, most: int) -> Sequence[Copied]:
        """The next rows, so many at most, as columns; nothing at the end. Raises UnicodeError for what is no UTF-8."""
        data = BytesIO(b"%s\n" % ",".join(self._names).encode())
        header = data.seek(0, SEEK_END)
        data.writelines(islice(self._rows, most))
        return self._columns(data) if data.tell() > header else ()

    def close(self) -> None:
        """Let go of it."""
        self._open.close()

    def _all_rows(self) -> Iterator[bytes | memoryview]:
        # The driver's own loop takes more than twice the time. It is asked only where there is something to wait for.
        get = self._driver.pgconn.get_copy_data
        while (found := get(True))[0] >= 0:
            row = found[1] if found[0] else self._copy.read()
            if not row:
                return
            yield row
        from psycopg import errors, generators, pq

        for result in self._driver.wait(generators.fetch_many(self._driver.pgconn)):
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise errors.error_from_result(result)

    def _columns(self, data: BytesIO) -> list[Copied]:
        read_as = [NOT_TEXT.get(kind.number, pa.string()) for kind in self._types]
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(data.getbuffer()),
                read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=data.tell() + 1),
                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict(zip(self._names, read_as, strict=True)),
                    null_values=[""],
                    true_values=["t"],
                    false_values=["f"],
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise UnicodeError(str(error)) from None
        return [Copied(cells.combine_chunks(), kind) for cells, kind in zip(table.columns, self._types, strict=True)]


def _read(text: str, like: Mark) -> Mark:
    if isinstance(like, datetime):
        return datetime.fromisoformat(text)
    return date.fromisoformat(text) if isinstance(like, date) else type(like)(text)


def _numerics(cells: pa.StringArray) -> pa.StringArray:
    return pc.replace_substring_regex(cells, r"\.0+$|^NaN$", "")


def _timestamps(cells: pa.StringArray) -> pa.StringArray:
    midnight = pc.ends_with(cells, " 00:00:00")
    return pc.if_else(midnight, pc.utf8_slice_codeunits(cells, 0, -9), cells) if midnight.true_count else cells


def _timestamps_in_utc(cells: pa.StringArray) -> pa.StringArray:
    return pc.replace_substring_regex(cells, r"\+00$", "Z")


WRITERS: dict[int, Callable[[pa.StringArray], pa.StringArray]] = {
    NUMERIC: _numerics,
    TIMESTAMP: _timestamps,
    TIMESTAMP_IN_UTC: _timestamps_in_utc,
}
