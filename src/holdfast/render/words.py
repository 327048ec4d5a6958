"""Numbers and times as people read them, the same in every picture and document."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from holdfast.records import Metric

UNDEFINED = "undefined on these rows"
NONE = "\N{EN DASH}"


def plain(text: str, longest: int = 300) -> str:
    r"""Text that came from outside, safe to print: control characters escaped, cut at `longest` characters.

    >>> plain("a\x00b\u202ec")
    'a\\x00b\\u202ec'
    """
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def metric(value: Metric) -> str:
    """A metric and its 95 % interval.

    >>> metric(Metric(value=0.62, low=0.58, high=0.664, n=2000))
    '0.62 (0.58 to 0.66)'
    >>> metric(Metric(value=None, low=None, high=None, n=3))
    'undefined on these rows'
    """
    if value.value is None or not math.isfinite(value.value):
        return UNDEFINED
    interval = metric_interval(value)
    return f"{metric_value(value)} ({interval})" if interval else metric_value(value)


def metric_value(value: Metric) -> str:
    """The metric alone, with as many decimals as its interval.

    >>> metric_value(Metric(value=0.0123, low=0.009, high=0.05, n=2000))
    '0.012'
    """
    if value.value is None or not math.isfinite(value.value):
        return UNDEFINED
    return f"{value.value:.{_decimals(value)}f}"


def metric_interval(value: Metric) -> str:
    """The 95 % interval alone; an empty text when there is none.

    >>> metric_interval(Metric(value=0.62, low=0.58, high=0.664, n=2000))
    '0.58 to 0.66'
    """
    if value.value is None or value.low is None or value.high is None:
        return ""
    places = _decimals(value)
    return f"{value.low:.{places}f} to {value.high:.{places}f}"


def _decimals(value: Metric) -> int:
    return 2 if max(abs(value.value or 0), abs(value.high or 0)) >= 0.1 else 3


def number(value: float | None) -> str:
    """A number with three or more significant digits and commas between thousands; a dash for none.

    >>> number(12345.6), number(3.14159), number(0.000123), number(None) == NONE
    ('12,346', '3.14', '0.000123', True)
    """
    if value is None or not math.isfinite(value):
        return NONE
    if value != 0 and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.3g}"
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def short_number(value: float) -> str:
    """A number for the axis of a plot.

    >>> short_number(0.5), short_number(1500), short_number(12000), short_number(3e6)
    ('0.5', '1,500', '12k', '3M')
    """
    for size, unit, word in ((1e9, 1e9, "bn"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= size:
            return f"{value / unit:,.4g}{word}"
    return f"{value:,.4g}"


def percent(value: float) -> str:
    """A share of a hundred.

    >>> percent(0), percent(0.04), percent(12.345), percent(100)
    ('0 %', '< 0.1 %', '12.3 %', '100 %')
    """
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.1f}".removesuffix(".0") + " %"


def count(things: int, one: str, many: str) -> str:
    """So many things, in the right number.

    >>> count(1, "client", "clients"), count(12345, "client", "clients")
    ('1 client', '12,345 clients')
    """
    return f"{things:,} {one if things == 1 else many}"


def moment(text: str) -> str:
    """An ISO time as a date and a time of day in UTC; any other text as it is.

    >>> moment("2026-06-14T10:20:33Z")
    '14 June 2026, 10:20 UTC'
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"
