"""Client rows from a table or query of a database, read in one snapshot: all of them, or those since a watermark."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.sql.elements import quoted_name

from holdfast.errors import ConfigurationError, FileRefused, excerpt, nearest
from holdfast.limits import Limits
from holdfast.records import RejectedRow
from holdfast.schema import Schema
from holdfast.sourcelist import DatabaseSource
from holdfast.sources.faults import ReadingInterrupted
from holdfast.sources.fetched import Fetched, Objects, RowsDigest
from holdfast.sources.header import match_header
from holdfast.sources.parsed import Cells, ParsedBatch, cast_cells
from holdfast.sources.snapshot import DatabaseAddress, Snapshot
from holdfast.sources.typed import BOOLEANS, as_csv, boolean_words
from holdfast.sources.watermark import Mark, marks_of, read_back, start_of_overlap, written

__all__ = ["DatabaseAddress", "DatabaseRead", "ReadingInterrupted", "columns_of"]

ATTEMPTS = 3
PAUSE_SECONDS = 0.2
FIRST_FETCH = 500
LARGEST_FETCH = 10_000
BATCH_BYTES = 8 << 20
SHOWN_NAMES = 12
ANY_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"

Texts = dict[str, pa.StringArray]
T = TypeVar("T")


def columns_of(source: DatabaseSource, address: DatabaseAddress) -> tuple[str, ...]:
    """The columns of the source's table or query, under its own names. Raises what entering a `DatabaseRead` does."""

    def begin() -> tuple[str, ...]:
        snapshot = Snapshot(source, address)
        try:
            return snapshot.columns(_table(source))
        finally:
            snapshot.close()

    return _patiently(begin)


class DatabaseRead:
    """One reading of a database source, a context manager; iterating reads its rows, once.

    `since`: the `watermark` of the reading before, or None. With it, the rows are read whose watermark is not before
    `since` less the source's overlap, and those that have none; without it, all. Rows come in the order of their
    watermarks, those without one first; from a source without a watermark column, all rows in no particular order.
    A field has at most `longest` characters; there may be any number of rows, since they are streamed, from a place
    that the configuration names, in memory that does not grow with them.

    Once entered, `header` names the columns that are read. After the last batch, `notices`, `rows`, `digest`, `again`
    and `watermark` are complete: the greatest watermark met, never less than `since`, nor later than now. Those of the
    first `again` rows may have been read before, with `since`; all others are new.

    Entering and reading raise ConfigurationError, NotPermitted, SourceUnreachable or FileRefused, with the source's
    name as file; as ReadingInterrupted, where a new DatabaseRead with the same arguments may well succeed.
    """

    def __init__(
        self,
        source: DatabaseSource,
        address: DatabaseAddress,
        schema: Schema,
        since: str | None = None,
        *,
        longest: int = Limits().field_characters,
    ) -> None:
        self.name = source.name
        self.header: tuple[str, ...] = ()
        self.notices: tuple[str, ...] = ()
        self.rows = 0
        self.again = 0
        self.watermark = since
        self._since: Mark | None = None
        self._is_first = since is None
        self._source = source
        self._address = address
        self._schema = schema
        self._longest = longest
        self._delivered: tuple[str, ...] = ()  # the header under the table's own names
        self._greatest: Mark | None = None
        self._in_future = 0
        self._bytes = 1
        self._digest = RowsDigest()
        self._snapshot: Snapshot | None = None
        self._fetch: Callable[[int], Sequence[Fetched]] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the header and the rows that were read, watermarks included, whatever their order."""
        return self._digest.of(self.header)

    def __enter__(self) -> DatabaseRead:
        _patiently(self._begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def __iter__(self) -> Iterator[ParsedBatch]:
        assert self._fetch  # noqa: S101 - it has been entered
        size = FIRST_FETCH
        while columns := self._fetch(size):
            yield self._parse(columns)
            size = max(1, min(LARGEST_FETCH, BATCH_BYTES * len(columns[0]) // self._bytes))
        if not self.rows:
            yield self._parse([Objects(()) for _ in self.header])
        if self._in_future:
            those = "1 row has" if self._in_future == 1 else f"{self._in_future:,} rows have"
            self._notice(f"{those} a watermark in the future, which is read again each time")

    def _begin(self) -> None:
        self._snapshot = Snapshot(self._source, self._address)
        try:
            table = _table(self._source)
            self._read_header(self._snapshot.columns(table))
            self._fetch = self._snapshot.stream(self._statement(table, self._snapshot))
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        if self._snapshot:
            self._snapshot.close()
            self._snapshot = None

    def _notice(self, text: str) -> None:
        self.notices += (f"{self.name}: {text}",)

    # ---- what is asked for

    def _read_header(self, delivered: Sequence[str]) -> None:
        watermark, renamed = self._source.watermark, dict(self._source.columns)
        for column in (*renamed, *((watermark,) if watermark else ())):
            if column not in delivered:
                close = nearest(column, delivered)
                hint = f"did you mean '{excerpt(close)}'?" if close else f"found: {_shown(delivered)}"
                raise ConfigurationError("there is no such column", file=self.name, column=column, hint=hint)
        names = [(column, renamed.get(column, column)) for column in delivered]
        wanted = self._schema.names
        self._match([name for column, name in names if column != watermark or name in wanted])
        read = [(column, name) for column, name in names if column == watermark or name in wanted]
        self._delivered = tuple(column for column, _ in read)
        self.header = tuple(name for _, name in read)
        if watermark and self._schema.client.name not in self.header:
            message = "rows without a client id cannot be told apart when they are read again"
            raise ConfigurationError(message, file=self.name, column="watermark", hint="leave the watermark out")

    def _match(self, names: Sequence[str]) -> None:
        try:
            self.notices = match_header(names, self._schema, self.name, line=None)[1]
        except FileRefused as error:
            close = nearest(error.column or "", set(names) - set(self._schema.names))
            meant = f"did you mean '{excerpt(close)}'? " if close else ""
            error.hint = f"{meant}The key 'columns' of the source says what a column is called in the schema"
            raise

    def _statement(self, table: sa.FromClause, snapshot: Snapshot) -> sa.Select[Any]:
        columns = [_column(name) for name in self._delivered]
        statement = sa.select(*columns).select_from(table)
        if self._source.watermark is None:
            return statement
        mark = _column(self._source.watermark)
        # Where a client comes twice, the row known to be the latest has to be the last.
        # To all but PostgreSQL, what is missing comes first by itself.
        first = mark.nulls_first() if snapshot.kind == "postgresql" else mark
        statement = statement.order_by(first, *columns)
        if self.watermark is None:
            return statement
        example = snapshot.example(mark, table)
        changed = None if example is None else self._changed(mark, example, self.watermark)
        return statement if changed is None else statement.where(sa.or_(mark.is_(None), changed))

    def _changed(self, mark: sa.ColumnClause[Any], example: object, since: str) -> sa.ColumnElement[bool] | None:
        """The condition that a watermark is not before the overlap; None where everything is to be read."""
        like = self._mark(example)
        self._greatest = self._since = read_back(since, like)
        if self._since is None:
            self._notice(f"the watermark '{self._source.watermark}' has another type than before: all rows are read")
            return None
        start = start_of_overlap(self._since, self._source.overlap)
        if start is None:
            return None
        if isinstance(example, str):
            # A mere day comes before every spelling of a time on it, letter by letter.
            return sa.or_(mark >= cast(date, start).isoformat()[:10], mark.op("NOT GLOB")(ANY_DAY))
        return mark >= sa.literal(start, _type_of(start))

    def _mark(self, example: object) -> Mark:
        assert self._snapshot  # noqa: S101 - it has been fetched from there
        with self._explained():
            return marks_of([example], texts=self._snapshot.kind == "sqlite")[0]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What a watermark cannot be, as an error of ours."""
        hint = "it has to be a column of whole or decimal numbers, dates or times; a 'query' can cast it"
        try:
            yield
        except ValueError as error:
            message = f"the watermark holds {error}"
        except TypeError:
            message = "the watermark holds values that cannot be compared with each other"
            hint = "a 'query' can cast them to one type"
        else:
            return
        raise ConfigurationError(message, file=self.name, column=self._source.watermark, hint=hint)

    # ---- what comes

    def _parse(self, columns: Sequence[Fetched]) -> ParsedBatch:
        if self._source.watermark:
            self._advance(columns[self._delivered.index(self._source.watermark)])
        texts = {name: self._texts(cells, name) for name, cells in zip(self.header, columns, strict=True)}
        self._digest.add(list(texts.values()))
        self._bytes = 1 + sum(column.nbytes for column in texts.values())
        rows = len(columns[0])
        lines = np.arange(self.rows + 1, self.rows + 1 + rows)
        self.rows += rows
        rejected = [
            self._too_long(texts, row, int(lines[row]), name) for row, name in _long(texts, self._longest).items()
        ]
        if rejected:
            kept = np.delete(np.arange(rows), [row.line - int(lines[0]) for row in rejected])
            texts, lines = {name: column.take(pa.array(kept)) for name, column in texts.items()}, lines[kept]
        wanted = {name: column for name, column in texts.items() if name in self._schema.names}
        cells = Cells(texts=wanted, lines=lines, text_of=lambda row: _csv_of(texts, row))
        return cast_cells(cells, self._schema, self.name, rejected)

    def _texts(self, cells: Fetched, name: str) -> pa.StringArray:
        column = next((column for column in self._schema.columns if column.name == name), None)
        return cells.texts(name, self.name, boolean_words(column) if column else BOOLEANS)

    def _too_long(self, texts: Texts, row: int, line: int, name: str) -> RejectedRow:
        rule = f"longer than {self._longest:,} characters"
        return RejectedRow(file=self.name, line=line, column=excerpt(name), rule=rule, text=_csv_of(texts, row))

    def _advance(self, marks: Fetched) -> None:
        with self._explained():
            if not self._is_first:
                known = len(marks) if self._since is None else marks.until(self._since)
                self.again = self.rows + known if known else self.again
            most, in_future = marks.greatest(datetime.now(UTC))
            self._in_future += in_future
            if most is not None and (self._greatest is None or most > self._greatest):  # type: ignore[operator]
                self._greatest = most
                self.watermark = written(most)


def _patiently(begin: Callable[[], T]) -> T:
    """What `begin` returns, tried a few times while others hold locks or the connection breaks off."""
    for attempt in range(1, ATTEMPTS):
        try:
            return begin()
        except ReadingInterrupted:
            time.sleep(PAUSE_SECONDS * random.uniform(attempt - 0.5, attempt + 0.5))  # noqa: S311 - no secret
    return begin()


def _table(source: DatabaseSource) -> sa.FromClause:
    """The source's table, or its query in brackets: nothing but a SELECT can stand there."""
    if source.table is not None:
        schema, _, name = source.table.rpartition(".")
        return sa.table(quoted_name(name, True), schema=quoted_name(schema, True) if schema else None)
    query = (source.query or "").strip().removesuffix(";")
    if ";" in query:
        hint = "one SELECT statement; for a semicolon in a text, make a view in the database"
        raise ConfigurationError("the query has a semicolon", file=source.name, column="query", hint=hint)
    # The line end closes a comment; a colon would otherwise begin the name of a parameter.
    return sa.text(f"{query}\n".replace(":", r"\:")).columns().subquery("delivered")


def _column(name: str) -> sa.ColumnClause[Any]:
    return sa.column(quoted_name(name, True))


def _type_of(mark: Mark) -> sa.types.TypeEngine[Any]:
    if isinstance(mark, datetime):
        return sa.DateTime(timezone=mark.tzinfo is not None)
    if isinstance(mark, date):
        return sa.Date()
    if isinstance(mark, int) and -(2**63) <= mark < 2**63:
        return sa.BigInteger()
    return sa.Double() if isinstance(mark, float) else sa.Numeric()


def _long(texts: Texts, longest: int) -> dict[int, str]:
    """The rows with a field of too many characters, and its column."""
    long: dict[int, str] = {}
    for name, column in texts.items():
        if (pc.max(pc.binary_length(column)).as_py() or 0) > longest:
            for row in np.flatnonzero(pc.greater(pc.utf8_length(column), longest)).tolist():
                long.setdefault(row, name)
    return dict(sorted(long.items()))


def _csv_of(texts: Texts, row: int) -> str:
    return as_csv(column[row].as_py() for column in texts.values())


def _shown(names: Sequence[str]) -> str:
    return ", ".join(map(excerpt, names[:SHOWN_NAMES])) + (", …" if len(names) > SHOWN_NAMES else "")
