"""Pictures: a record goes in, one <svg> element or one PNG comes out, the same bytes for the same record.

The only module that imports matplotlib, and only when something is drawn. The title of a plot says what to
conclude from it, where a number allows. A curve that is undefined becomes a plot with the reason in words.
"""

from __future__ import annotations

import hashlib
import io
import math
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.records import Confusion, Curves, Metric
from holdfast.render import words
from holdfast.render.histogram import Axis, Histogram, axis_of, median_place
from holdfast.render.svg import inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, QUIET, GRID, ACCENT, PAPER = "#1d2630", "#5d6975", "#b9c2cb", "#e2e6ea", "#0b5cad", "#fffffe"
PALETTE = {"ink": INK, "muted": MUTED, "quiet": QUIET, "grid": GRID, "accent": ACCENT, "paper": PAPER}
"""Every colour of the SVG plots, by use. They are attributes, so that a page can restyle them one by one."""

LONGEST_HISTORY = 60
"""How many scorings, the newest, `score_history_svg` draws at most."""

WIDE, NARROW, HEIGHT = 10.6, 5.2, 3.5
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "holdfast",
    "text.parse_math": False,
    "font.size": 8.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePoint:
    """One scoring: when (ISO UTC), on which labelled set, how good, and whether that model was deployed."""

    created: str
    data: str
    f1: Metric
    model_digest: str
    deployed: bool


# ---- the confusion matrix


def confusion_matrix_png(confusion: Confusion, title: str) -> bytes:
    """The confusion matrix as a PNG of 1,000 x 800 pixels: counts, and shares of what really happened.

    Colour is the share of the row, from light to dark in one hue, which asks for no colour vision.
    """
    rows = (
        (confusion.stayed_predicted_stayed, confusion.stayed_predicted_exited),
        (confusion.exited_predicted_stayed, confusion.exited_predicted_exited),
    )
    shares = [[cell / max(sum(row), 1) for cell in row] for row in rows]
    with _figure(10.0, 8.0) as figure:
        from matplotlib.colors import LinearSegmentedColormap

        figure.set_facecolor("white")
        axes = figure.add_axes((0.15, 0.13, 0.69, 0.69))
        colours = LinearSegmentedColormap.from_list("share", ["#f1f6fb", "#8db7df", "#0b4a8c"])
        image = axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
        _confusion_cells(axes, rows, shares)
        bar = figure.colorbar(image, cax=figure.add_axes((0.87, 0.13, 0.022, 0.69)), ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["0 %", "50 %", "100 %"], fontsize=13)
        bar.outline.set_visible(False)
        heading = textwrap.fill(words.plain(title), 64, max_lines=2, placeholder=" …")
        figure.text(0.15, 0.93, heading, fontsize=19, weight="bold", va="center")
        figure.text(0.15, 0.845, "Number of clients, and share of the row", fontsize=14, color=MUTED)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _confusion_cells(axes: Axes, rows: Sequence[Sequence[int]], shares: Sequence[Sequence[float]]) -> None:
    axes.set_xticks([0, 1], ["predicted: stayed", "predicted: exited"], fontsize=16, color=INK)
    axes.set_yticks([0, 1], ["stayed", "exited"], fontsize=16, color=INK)
    axes.set_xlabel("What the model predicted", fontsize=14, labelpad=14)
    axes.set_ylabel("What happened", fontsize=14, labelpad=14)
    axes.tick_params(size=0, pad=10)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.axhline(0.5, color="white", linewidth=5)
    axes.axvline(0.5, color="white", linewidth=5)
    for i, row in enumerate(rows):
        for j, clients in enumerate(row):
            colour = "white" if shares[i][j] > 0.72 else INK
            share = words.percent(100 * shares[i][j]) if sum(row) else "no such clients"
            axes.text(j, i - 0.03, f"{clients:,}", ha="center", fontsize=36, weight="bold", color=colour)
            axes.text(j, i + 0.11, share, ha="center", fontsize=18, color=colour)


# ---- the curves


def score_history_svg(history: Sequence[ScorePoint]) -> str:
    """F1 of every scoring in order of time, with its interval; filled points are of deployed models."""
    defined = sorted((point for point in history if point.f1.value is not None), key=lambda p: p.created)
    points = defined[-LONGEST_HISTORY:]
    if not points:
        return _sentence("score-history", "F1 over time", "No F1 has been measured yet.", WIDE)
    last = points[-1]
    scorings = words.count(len(defined), "scoring", "scorings")
    shown = f"the last {len(points)} of {scorings}" if len(points) < len(defined) else scorings

    def draw(axes: Axes) -> None:
        for name in sorted({point.data for point in points}):
            scores = [(i, point) for i, point in enumerate(points) if point.data == name]
            _scores_on(axes, scores, len(points), ACCENT if name == last.data else MUTED)
        axes.set(xlim=(-0.5, len(points) - 0.5), ylabel="F1, with its 95 % interval")
        axes.set_ylim(*_room(axes.dataLim.ymin, axes.dataLim.ymax))
        ticks = [i for i in range(len(points)) if (len(points) - 1 - i) % math.ceil(len(points) / 10) == 0]
        axes.set_xticks(ticks, [words.plain(points[i].created[:16]).replace("T", "\n") for i in ticks])

    subtitle = f"{shown}, oldest first · a filled point was deployed, a hollow one was not"
    return _svg("score-history", f"The last scoring came to F1 {words.metric(last.f1)}", subtitle, draw, WIDE)


def _room(low: float, high: float) -> tuple[float, float]:
    """Limits in tenths around scores, at least 0.3 apart, so that noise never fills the picture."""
    first = math.floor(10 * min(low, high - 0.2))
    last = max(math.ceil(10 * high + 0.3), first + 3)
    return max(first, 0) / 10, min(last, 10) / 10


def _scores_on(axes: Axes, scores: Sequence[tuple[int, ScorePoint]], count: int, colour: str) -> None:
    """The scores on one labelled set at their places among all `count`, its name above the last one."""
    values = [point.f1.value or 0.0 for _, point in scores]
    axes.plot([i for i, _ in scores], values, color=colour, linewidth=1, alpha=0.5)
    known = [(i, p.f1.low, p.f1.high) for i, p in scores if p.f1.low is not None and p.f1.high is not None]
    places, lows, highs = zip(*known, strict=True) if known else ((), (), ())
    axes.vlines(places, lows, highs, color=colour, linewidth=2.5, alpha=0.3)
    for deployed, fill in ((True, colour), (False, PAPER)):
        marks = [(i, value) for (i, p), value in zip(scores, values, strict=True) if p.deployed is deployed]
        axes.plot(*_xy(marks), "o", markersize=5, color=colour, markerfacecolor=fill)
    i, point = scores[-1]
    top = (i, max(point.f1.high or 0.0, values[-1]))
    left = i > count / 2
    _label(axes, words.plain(point.data, 48), top, (-4, 5), colour, left=left)


def roc_svg(curves: Curves, area: Metric) -> str:
    """The ROC curve: the share of exits found, against the share of stayers named in vain."""
    if not curves.roc:
        return _sentence("roc", f"ROC curve: {words.UNDEFINED}", _why_undefined(curves))

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], ":", color=MUTED, linewidth=1)
        axes.text(0.57, 0.53, "a random order: 0.50", color=MUTED, va="top")
        axes.plot(*_xy(curves.roc), color=ACCENT, linewidth=1.8, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1.005))
        axes.set(xlabel="false positive rate: stays named as exits", ylabel="true positive rate: exits found")

    return _svg("roc", f"ROC AUC {words.metric(area)}", _clients(curves), draw)


def precision_recall_svg(curves: Curves, average_precision: Metric) -> str:
    """The precision-recall curve, with the share of exits that any random list would reach."""
    if not curves.precision_recall:
        return _sentence("precision-recall", f"Precision and recall: {words.UNDEFINED}", _why_undefined(curves))
    chance = curves.exited / max(curves.rows, 1)

    def draw(axes: Axes) -> None:
        axes.axhline(chance, linestyle=":", color=MUTED, linewidth=1)
        below = chance > 0.1
        place = chance - 0.02 if below else chance + 0.02
        axes.text(0.01, place, f"a random list: {chance:.2f}", color=MUTED, va="top" if below else "bottom")
        axes.plot(*_xy(curves.precision_recall), color=ACCENT, linewidth=1.8, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1.005))
        axes.set_xlabel("recall: share of exits found")
        axes.set_ylabel("precision: share of named that exited")

    title = f"Average precision {words.metric(average_precision)}"
    return _svg("precision-recall", title, _clients(curves), draw)


def calibration_svg(curves: Curves, error: Metric) -> str:
    """Predicted risk against the share that really exited, in groups of similar risk, with 95 % intervals."""
    groups = curves.calibration
    if not groups:
        return _sentence("calibration", f"Calibration: {words.UNDEFINED}", _why_undefined(curves))
    agreeing = sum(group.low <= group.predicted <= group.high for group in groups)
    top = min(1.0, 1.05 * max(max(group.high, group.predicted) for group in groups)) or 1.0

    def draw(axes: Axes) -> None:
        axes.plot([0, top], [0, top], ":", color=MUTED, linewidth=1)
        axes.text(0.99, 0.04, "dotted: exits as predicted", transform=axes.transAxes, color=MUTED, ha="right")
        lows, highs = [group.low for group in groups], [group.high for group in groups]
        axes.vlines([g.predicted for g in groups], lows, highs, color=ACCENT, linewidth=2.5, alpha=0.3)
        points = [(group.predicted, group.observed) for group in groups]
        axes.plot(*_xy(points), "o", color=ACCENT, markersize=4.5)
        axes.set(xlim=(0, top), ylim=(0, top), xlabel="predicted risk, mean of the group")
        axes.set_ylabel("share that exited, 95 % interval")

    subtitle = f"in {agreeing} of {len(groups)} groups of clients the prediction lies within the interval"
    return _svg("calibration", f"Calibration error {words.metric(error)}", subtitle, draw)


def lift_svg(curves: Curves, lift: Metric, capacity: int) -> str:
    """How many times as many exits as chance are among the clients called, by how many are called.

    The list that the team can call, the `capacity` riskiest clients, is marked with its `lift`.
    """
    if not curves.lift:
        return _sentence("lift", f"Lift: {words.UNDEFINED}", _why_undefined(curves))
    called = capacity / max(curves.rows, 1)

    def draw(axes: Axes) -> None:
        axes.axhline(1, linestyle=":", color=MUTED, linewidth=1)
        axes.text(0.5, 0.95, "a random list: 1", color=MUTED, va="top", ha="center")
        axes.plot(*_xy(curves.lift), color=ACCENT, linewidth=1.8)
        if called <= 1 and lift.value is not None:
            axes.plot([called, called], [0, lift.value], color=ACCENT, linewidth=0.8)
            axes.plot(called, lift.value, "o", color=ACCENT, markersize=5)
            text = f"the {capacity:,} riskiest: {words.metric_value(lift)}"
            _label(axes, text, (called, lift.value), (6, 6), ACCENT, left=called > 0.6)
        axes.set(xlim=(0, 1), xlabel="share of clients called, riskiest first")
        axes.set_ylabel("times as many exits as chance")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(_as_percent)

    return _svg("lift", f"Lift {words.metric(lift)} in the {capacity:,} riskiest", _clients(curves), draw)


# ---- the features


def feature_svg(histogram: Histogram) -> str:
    """The values of one feature: of the clients who stayed in grey, of those who exited in colour.

    Each group is drawn as shares of itself, with a line at its median (read off the bins, so to two digits).
    """
    name = "feature-" + hashlib.sha256(histogram.column.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    column = words.plain(histogram.column, 50)
    both = (("stayed", MUTED, histogram.stayed), ("exited", ACCENT, histogram.exited))
    groups = [(word, colour, counts) for word, colour, counts in both if sum(counts)]
    if not groups:
        return _sentence(name, column, "No labelled client has a number in this column.")
    axis = axis_of(histogram.edges)

    def draw(axes: Axes) -> None:
        peak = 0.0
        for _, colour, counts in groups:
            shares = [clients / sum(counts) for clients in counts]
            axes.stairs(shares, axis.places, fill=True, color=colour, alpha=0.25)
            axes.stairs(shares, axis.places, color=colour, linewidth=1.2)
            peak = max(peak, *shares)
        axes.set(xlim=(axis.places[0], axis.places[-1]), ylim=(0, peak * 1.4), ylabel="share of the group")
        medians = [(word, colour, median_place(axis.places, counts)) for word, colour, counts in groups]
        _median_lines(axes, axis, medians, peak)
        axes.yaxis.set_major_formatter(_as_percent)
        axes.locator_params(axis="y", nbins=5)
        _value_ticks(axes, axis)

    subtitle = ", ".join(f"{sum(counts):,} clients who {word}" for word, _, counts in reversed(groups))
    return _svg(name, column, subtitle, draw)


def _median_lines(axes: Axes, axis: Axis, medians: Sequence[tuple[str, str, float]], peak: float) -> None:
    """A line with words at each median; the words turn away from each other where there is room."""
    low, width = axis.places[0], axis.places[-1] - axis.places[0]
    ordered = sorted(medians, key=lambda median: median[2])
    limits = [0.35, 0.65] if len(ordered) == 2 else [0.5]
    lefts = [place - low > limit * width for (_, _, place), limit in zip(ordered, limits, strict=True)]
    # Words that cross the other median's line stand above its end.
    heights = [1.1, 1.25] if lefts[0] else [1.25, 1.1]
    for (word, colour, place), left, height in zip(ordered, lefts, heights, strict=False):
        top = peak * (height + 0.08)
        axes.plot([place, place], [0, top], color=colour, linewidth=1, linestyle=(0, (3, 2)))
        value = float(f"{axis.value(place):.2g}")
        text = f"{word}: median about {words.short_number(value)}"
        _label(axes, text, (place, peak * height), (4, 0), colour, left=left)


def _value_ticks(axes: Axes, axis: Axis) -> None:
    if not axis.is_log:
        axes.xaxis.set_major_formatter(lambda value, _: words.short_number(value))
        return
    first, last = axis.places[1 if axis.has_zero else 0], axis.places[-1]
    powers = [power for power in range(-320, 320) if first - 1e-9 <= power <= last + 1e-9]
    ticks = [(float(power), words.short_number(10.0**power)) for power in powers[:: 1 + len(powers) // 8]]
    zero = []
    if axis.has_zero:
        zero = [((axis.places[0] + axis.places[1]) / 2, "0")]
        ticks = [tick for tick in ticks if tick[0] - zero[0][0] > 0.04 * (last - axis.places[0])]
    axes.set_xticks([place for place, _ in zero + ticks], [word for _, word in zero + ticks])


# ---- how every plot is made


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    """A figure in Holdfast's style, whatever style is set for matplotlib outside, in inches of 100 pixels."""
    import matplotlib
    from matplotlib.figure import Figure

    defaults = matplotlib.rcParamsDefault
    style: Any = {key: defaults[key] for key in defaults if not key.startswith("backend")} | _STYLE
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # A name in a script that the drawing font lacks is shown in the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield Figure(figsize=(width, height), dpi=100)


def _svg(name: str, title: str, subtitle: str, draw: Callable[[Axes], None], width: float = NARROW) -> str:
    """An <svg> element with a title, one line below it, and what `draw` puts on the axes."""
    with _headed(title, subtitle, width, HEIGHT) as figure:
        axes = figure.add_axes((0.6 / width, 0.52 / HEIGHT, 1 - 0.8 / width, 1 - 1.12 / HEIGHT))
        draw(axes)
        return _element(figure, name, f"{title}. {subtitle}")


def _sentence(name: str, title: str, sentence: str, width: float = NARROW) -> str:
    """In place of a plot that cannot be drawn: the reason."""
    with _headed(title, textwrap.fill(sentence, 68), width, 0.8) as figure:
        return _element(figure, name, f"{title}. {sentence}")


@contextmanager
def _headed(title: str, subtitle: str, width: float, height: float) -> Iterator[Figure]:
    with _figure(width, height) as figure:
        figure.text(0, 1 - 0.22 / height, title, fontsize=11, weight="bold")
        figure.text(0, 1 - 0.32 / height, subtitle, color=MUTED, va="top")
        yield figure


def _element(figure: Figure, name: str, label: str) -> str:
    text = io.StringIO()
    nothing_added = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing_added)
    return inline(text.getvalue(), name, label)


def _label(
    axes: Axes, text: str, place: tuple[float, float], offset: tuple[float, float], colour: str, *, left: bool
) -> None:
    """Words beside a place, `offset` points away from it, to its right or to its left."""
    across, up = offset
    side, across = ("right", -across) if left else ("left", across)
    axes.annotate(text, place, (across, up), textcoords="offset points", ha=side, color=colour, weight="bold")


def _as_percent(share: float, _: object) -> str:
    return f"{100 * share:.3g} %"


def _xy(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _clients(curves: Curves) -> str:
    return f"{words.count(curves.rows, 'client', 'clients')}, {curves.exited:,} of them exited"


def _why_undefined(curves: Curves) -> str:
    if curves.rows == 0:
        return "There are no labelled clients to measure on."
    if curves.exited == 0:
        return f"None of the {curves.rows:,} labelled clients exited, so there is nothing to find."
    if curves.exited == curves.rows:
        return f"All of the {curves.rows:,} labelled clients exited, so there is nothing to tell apart."
    return f"The {curves.rows:,} labelled clients are too few."
