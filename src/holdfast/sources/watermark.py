"""Watermarks: how far a column that grows with every change has been read, and from where to read on."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation

from holdfast.errors import excerpt

Mark = int | float | Decimal | date
"""One value of a watermark column; a `datetime`, with a zone or without, is a `date` too."""

SECONDS_OF_A_DAY = 86_400
EARLIEST_ZONE = timedelta(hours=14)
"""Clocks without a zone may stand this far before UTC."""

ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?)(Z|\+00:?00)?")
LEAST_INTEGER = -(2**63)
EXACT = Context(prec=200, rounding=ROUND_FLOOR)


def marks_of(values: Iterable[object], *, texts: bool = False) -> list[Mark]:
    """The watermarks in a column's cells, without the empty ones.

    Where `texts` may be watermarks, they have to be dates, or dates and times in UTC or of no zone, by ISO 8601: so
    SQLite keeps them. Raises ValueError for a cell that cannot be one.

    >>> marks_of([3, None, 4])
    [3, 4]
    """
    found = [value for value in values if value is not None]
    if set(map(type, found)) <= {int, date, datetime}:
        return found  # type: ignore[return-value]
    return [_mark(value, texts) for value in found]


def _mark(value: object, texts: bool) -> Mark:
    if texts and isinstance(value, str) and (found := ISO.fullmatch(value)):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(found[1])
    if type(value) in {int, date, datetime} or (type(value) in {float, Decimal} and math.isfinite(value)):  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    raise ValueError(f"'{excerpt(str(value))}' of the type {type(value).__name__}")


def written(mark: Mark) -> str:
    """The text of a watermark, from which `read_back` makes the same again; a time with a zone is in UTC.

    >>> written(datetime(2026, 1, 31, 12, 30, tzinfo=UTC))
    '2026-01-31T12:30:00+00:00'
    """
    if isinstance(mark, datetime) and mark.tzinfo:
        return mark.astimezone(UTC).isoformat()
    return mark.isoformat() if isinstance(mark, date) else str(mark)


def read_back(text: str, like: Mark) -> Mark | None:
    """The watermark that was `written`, if it can be compared with `like`; None when the column's type has changed.

    >>> read_back("17", 4), read_back("17", date(2026, 1, 31))
    (17, None)
    """
    try:
        if isinstance(like, datetime):
            moment = datetime.fromisoformat(text)
            return moment if written(moment) == text and bool(moment.tzinfo) == bool(like.tzinfo) else None
        if isinstance(like, date):
            day = date.fromisoformat(text)
            return day if written(day) == text else None
        if re.fullmatch("-?[0-9]+", text):
            return int(text)
        exact = isinstance(like, Decimal) or str(float(text)) != text
        return Decimal(text) if exact else float(text)
    except (ValueError, InvalidOperation):
        return None


def start_of_overlap(mark: Mark, overlap: float) -> Mark | None:
    """Where reading begins again: `overlap` before `mark`, never after; None where no value lies so far back.

    `overlap` is in seconds for times, in seconds rounded up to days for dates, and in the column's unit for numbers.

    >>> start_of_overlap(date(2026, 1, 31), 3_600)
    datetime.date(2026, 1, 30)
    """
    try:
        if isinstance(mark, datetime):
            return mark - timedelta(seconds=overlap)
        if isinstance(mark, date):
            return mark - timedelta(days=math.ceil(overlap / SECONDS_OF_A_DAY))
    except OverflowError:
        return None
    if isinstance(mark, int):
        return max(mark - math.ceil(overlap), min(mark, LEAST_INTEGER))
    if isinstance(mark, float):
        return math.nextafter(mark - overlap, -math.inf)
    return EXACT.subtract(mark, Decimal(overlap))


def greatest(marks: Collection[Mark], now: datetime) -> tuple[Mark | None, int]:
    """The greatest of the watermarks that are not after `now`, a time in UTC, and how many are.

    What is dated in the future by mistake must not hide the changes made until then, so it does not count. Raises
    TypeError for watermarks that cannot be compared.

    >>> greatest([date(2026, 1, 31), date(9999, 12, 31)], datetime(2026, 2, 1, tzinfo=UTC))
    (datetime.date(2026, 1, 31), 1)
    """
    most = max(marks, default=None)
    if most is None or not is_later(most, now):
        return most, 0
    timely = [mark for mark in marks if not is_later(mark, now)]
    return max(timely, default=None), len(marks) - len(timely)


def is_later(mark: Mark, now: datetime) -> bool:
    """True if a watermark lies after `now`, a time in UTC; where it has no zone, in any zone. Numbers never do.

    >>> is_later(date(9999, 12, 31), datetime(2026, 2, 1, tzinfo=UTC))
    True
    """
    if isinstance(mark, datetime):
        return mark > now if mark.tzinfo else mark > (now + EARLIEST_ZONE).replace(tzinfo=None)
    return isinstance(mark, date) and mark > (now + EARLIEST_ZONE).date()
