"""The histogram that the report shows for a feature, and the edges that suit one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from holdfast.records import ColumnSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Clients by value of one column, those who stayed apart from those who exited.

    `edges` increase; bin i runs from edge i to edge i + 1, the last one including its end, so `stayed` and
    `exited` are one shorter. Edges of a constant ratio, after an optional first edge of 0, mean a log axis.
    """

    column: str
    edges: tuple[float, ...]
    stayed: tuple[int, ...]
    exited: tuple[int, ...]


def histogram_edges(summary: ColumnSummary, bins: int = 24) -> tuple[float, ...]:
    """Edges that suit a column: log-spaced when it is skewed, round numbers otherwise; () without numbers.

    Skewed means: nothing below 0, and a maximum above ten times the median. The first edge is at most the
    minimum and the last at least the maximum. Of whole numbers no bin is narrower than 1, because a bin that
    lies between two of them is always empty.

    >>> summary = ColumnSummary(column="visits", rows=3, missing=0, missing_percent=0.0, refused_missing=0,
    ...     mean=4.0, median=4.0, standard_deviation=2.0, minimum=2.0, maximum=6.0)
    >>> histogram_edges(summary)
    (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    """
    low, middle, high = summary.minimum, summary.median, summary.maximum
    if low is None or middle is None or high is None or not math.isfinite(high - low):
        return ()
    whole = float(low).is_integer() and float(high).is_integer()
    if low >= 0 and high > 10 * middle > 0:
        return _log_edges(low, middle, high, bins, whole=whole)
    width = _round_up((high - low) / bins) if high > low else 1.0
    if whole:
        width = max(width, 1.0)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    return tuple(step * width for step in range(first, last + 1))


def _log_edges(low: float, middle: float, high: float, bins: int, *, whole: bool) -> tuple[float, ...]:
    start = low if low > 0 else 1.0 if whole else middle / 10
    ratio = (high / start) ** (1 / bins)
    if whole:
        ratio = max(ratio, 1 + 1 / start)
    edges = [0.0, start] if low < start else [start]
    while edges[-1] < high:
        edges.append(edges[-1] * ratio)
    return tuple(edges)


def _round_up(width: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, … at the scale of `width`."""
    scale: float = 10.0 ** math.floor(math.log10(width))
    return next(step * scale for step in (1, 2, 5, 10, 20) if step * scale >= width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Where edges stand on an axis: at their values, or on a log axis at their logarithms to base 10.

    On a log axis whose first edge is 0, that edge stands one bin before the second, and `has_zero` is True.
    """

    places: tuple[float, ...]
    is_log: bool
    has_zero: bool

    def value(self, place: float) -> float:
        """The value that stands at a place.

        >>> axis_of((1.0, 10.0, 100.0, 1000.0)).value(2.0)
        100.0
        """
        if not self.is_log:
            return place
        return 0.0 if self.has_zero and place < self.places[1] else 10.0**place


def axis_of(edges: Sequence[float]) -> Axis:
    """The axis for these edges: a log axis exactly when they are log-spaced.

    >>> axis_of((0.0, 1.0, 10.0, 100.0)).places
    (-1.0, 0.0, 1.0, 2.0)
    """
    has_zero = edges[0] == 0
    positive = edges[1:] if has_zero else edges
    linear = Axis(places=tuple(edges), is_log=False, has_zero=has_zero)
    if len(positive) < 3 or positive[0] <= 0:
        return linear
    logs = tuple(math.log10(edge) for edge in positive)
    steps = [b - a for a, b in pairwise(logs)]
    if max(steps) - min(steps) > 1e-3 * max(steps):
        return linear
    zero = (logs[0] - steps[0],) if has_zero else ()
    return Axis(places=zero + logs, is_log=True, has_zero=has_zero)


def median_place(places: Sequence[float], counts: Sequence[int]) -> float:
    """The median as a place on the axis, each bin taken as evenly filled; the last place without counts.

    >>> median_place((0.0, 1.0, 2.0), (1, 3))
    1.3333333333333333
    """
    half = sum(counts) / 2
    below = 0.0
    for i, clients in enumerate(counts):
        if clients and below + clients >= half:
            return places[i] + (places[i + 1] - places[i]) * (half - below) / clients
        below += clients
    return places[-1]
