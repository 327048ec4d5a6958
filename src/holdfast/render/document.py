"""The report: a frozen record goes in, one self-contained HTML page comes out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.records import ColumnSummary, Curves, Decision, Metric, Release, Scorecard, SourceFile
from holdfast.render import plots, words
from holdfast.render.histogram import Histogram
from holdfast.render.plots import ScorePoint

LONGEST_TEXT = 2_000
"""Any text that came from outside is cut here, so that no single cell fills the page."""

ACTIONS = {
    "nothing": "Nothing to do",
    "keep": "Keep the deployed model",
    "train": "Train the first model",
    "retrain": "Retrain",
    "finish": "Finish an interrupted run",
}
"""Every decision in the reader's words."""

MEASURES = {
    "f1": ("F1", "Precision and recall in one number: 1 is perfect, 0 names nobody rightly."),
    "precision": ("Precision", "Of the clients it predicted to exit, the share that did."),
    "recall": ("Recall", "Of the clients that exited, the share it had predicted."),
    "roc_auc": ("ROC AUC", "How often an exit is ranked above a stay: 1 is always, 0.5 is a coin."),
    "average_precision": (
        "Average precision",
        "Precision averaged over lists of every length; a random order comes to {share:.2f}.",
    ),
    "log_loss": (
        "Log loss",
        "The price of wrong probabilities, low is good; the same guess for everyone costs {entropy:.2f}.",
    ),
    "brier": (
        "Brier score",
        "Squared error of the probabilities, low is good; the same guess for everyone has {variance:.2f}.",
    ),
    "calibration_error": (
        "Calibration error",
        "How far predicted risks lie from what happened, on average: 0 is perfect.",
    ),
    "lift_at_capacity": (
        "Lift",
        "Exits among the {listed:,} riskiest, against as many clients at random: 1 is no better.",
    ),
    "precision_at_capacity": (
        "Precision of the list",
        "Of the {listed:,} riskiest clients, the share that exited.",
    ),
    "recall_at_capacity": (
        "Recall of the list",
        "Of all exits, the share among the {listed:,} riskiest clients.",
    ),
}
"""Every metric of a scorecard: its name and one sentence on what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that the report shows. The order of history, decisions and deliveries does not matter.

    `company` is the workspace folder's name; `created` and the moments of `decisions` are ISO times in UTC.
    `scorecard` and `curves` are of the same model and labelled set. `coefficients` are (feature, coefficient,
    effect of one standard deviation in log-odds).
    """

    company: str
    created: str
    release: Release | None
    scorecard: Scorecard
    curves: Curves
    score_history: tuple[ScorePoint, ...]
    columns: tuple[ColumnSummary, ...]
    histograms: tuple[Histogram, ...]
    coefficients: tuple[tuple[str, float, float], ...]
    decisions: tuple[tuple[str, Decision], ...]
    deliveries: tuple[SourceFile, ...]
    notices: tuple[str, ...]


def report_html(report: Report) -> str:
    """The report as one HTML page, the same for the same record: no script, nothing fetched, text escaped.

    It is made for light and dark screens, for paper and for screen readers. Raises ValueError when a
    histogram's counts do not fit its edges.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("holdfast", "render"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    card, cautions = report.scorecard, tuple(_cautions(report))
    environment.filters |= {name: getattr(words, name) for name in ("moment", "number", "percent")}
    return environment.get_template("report.html.j2").render(
        report=report,
        headline=_headline(report),
        verdict=tuple(_verdict(report)),
        cautions=cautions,
        notices=[notice for notice in report.notices if notice not in cautions],
        tiles=_tiles(card),
        measures=[_measure(name, metric, card) for name, metric in card.metrics.items()],
        confusion=_confusion(card),
        plots=_plots(report),
        drivers=_drivers(report.coefficients),
        decisions=[(when, ACTIONS[made.action], made.reasons) for when, made in _newest(report)],
        deliveries=sorted(report.deliveries, key=lambda delivery: delivery.received, reverse=True),
        palette=plots.PALETTE,
    )


def _shown(value: object) -> object:
    """What the template writes: plain text without control characters; markup made here stays as it is."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return words.plain(str(value), LONGEST_TEXT) if is_text else value


# ---- the verdict


def _headline(report: Report) -> str:
    """The one sentence that a board should take home."""
    card = report.scorecard
    if report.release is None:
        return "No model is in production yet"
    name = f"Release {report.release.number}"
    if report.release.model_digest != card.model_digest:
        return f"{name} is in production; the scores here are of another model"
    lift = _metric(card, "lift_at_capacity")
    if lift.value is None or card.capacity >= card.rows:
        return f"{name} is in production; how well its list finds exits cannot be told yet"
    called = f"Calling the {card.capacity:,} riskiest of {card.rows:,} clients"
    times = f"{words.metric_value(lift)} times as many exits as chance"
    interval = words.metric_interval(lift)
    if interval:
        times += f" ({interval})"
    if lift.low is not None and lift.low > 1:
        return f"{called} finds {times}"
    return f"{called} is not shown to beat chance: it finds {times}"


def _verdict(report: Report) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What is deployed, how good it is, what was decided last: a name, a sentence, and the reasons."""
    release, card = report.release, report.scorecard
    if release is None:
        yield "In production", "Nothing yet. The scores below are of a model that is not deployed.", ()
    else:
        deployed = f"Release {release.number}, deployed by {release.actor} on {words.moment(release.created)}."
        yield "In production", deployed, (release.reason,) if release.reason else ()
    yield "How good", _how_good(card), ()
    newest = _newest(report)
    if newest:
        when, decision = newest[0]
        yield "Last decision", f"{ACTIONS[decision.action]}, {words.moment(when)}.", decision.reasons
    else:
        yield "Last decision", "Nothing has been decided yet.", ()


def _how_good(card: Scorecard) -> str:
    clients = words.count(card.rows, "labelled client", "labelled clients")
    f1 = _metric(card, "f1")
    measured = "undefined" if f1.value is None else words.metric(f1)
    parts = [f"F1 is {measured} on {clients}, of whom {card.exited:,} exited ({card.data})."]
    precision, recall = _metric(card, "precision_at_capacity"), _metric(card, "recall_at_capacity")
    if precision.value is not None and recall.value is not None:
        parts.append(
            f"Of the {_listed(card):,} ranked riskiest, {words.percent(100 * precision.value)} exited, "
            f"against {words.percent(100 * card.exited / max(card.rows, 1))} of all; "
            f"that is {words.percent(100 * recall.value)} of all exits."
        )
    return " ".join(parts)


def _cautions(report: Report) -> Iterator[str]:
    """What anyone who quotes these scores has to know."""
    if report.release is not None and report.release.model_digest != report.scorecard.model_digest:
        yield "The scores on this page are of a model that is not the one in production."
    yield from report.scorecard.notices


def _tiles(card: Scorecard) -> list[tuple[str, str, str]]:
    """The numbers at the top: value, what it is, and how sure it is."""
    riskiest = f"the {_listed(card):,} riskiest"
    names = {
        "f1": "F1",
        "roc_auc": "ROC AUC",
        "lift_at_capacity": f"times as many exits as chance, in {riskiest}",
        "precision_at_capacity": f"share of {riskiest} that exited",
    }
    return [_tile(_metric(card, name), label) for name, label in names.items()]


def _tile(metric: Metric, label: str) -> tuple[str, str, str]:
    clients = words.count(metric.n, "client", "clients")
    if metric.value is None:
        return "undefined", label, clients
    interval = words.metric_interval(metric)
    sureness = f"{interval} (95 %)" if interval else "no interval"
    return words.metric_value(metric), label, f"{sureness}, {clients}"


# ---- tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A row of the score table."""

    name: str
    value: str
    interval: str
    n: int
    meaning: str


def _measure(name: str, metric: Metric, card: Scorecard) -> Measure:
    label, meaning = MEASURES.get(name, (name.replace("_", " ").capitalize(), ""))
    share = card.exited / card.rows if card.rows else 0.0
    return Measure(
        name=label,
        value=words.metric_value(metric),
        interval=words.metric_interval(metric) or words.NONE,
        n=metric.n,
        meaning=meaning.format(
            share=share,
            entropy=sum(-p * math.log(p) for p in (share, 1 - share) if 0 < p < 1),
            variance=share * (1 - share),
            listed=_listed(card),
        ),
    )


def _listed(card: Scorecard) -> int:
    """How many clients the team's list has among the labelled ones."""
    return min(card.capacity, card.rows)


def _metric(card: Scorecard, name: str) -> Metric:
    return card.metrics.get(name, Metric(value=None, low=None, high=None, n=card.rows))


def _newest(report: Report) -> list[tuple[str, Decision]]:
    return sorted(report.decisions, key=lambda entry: entry[0], reverse=True)


def _confusion(card: Scorecard) -> list[tuple[str, list[tuple[int, float]]]]:
    """What happened, then counts by prediction (stayed, exited) with their percentage of the row."""
    counts = card.confusion
    rows = {
        "stayed": (counts.stayed_predicted_stayed, counts.stayed_predicted_exited),
        "exited": (counts.exited_predicted_stayed, counts.exited_predicted_exited),
    }
    return [(word, [(cell, 100 * cell / max(sum(row), 1)) for cell in row]) for word, row in rows.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A feature's weight. `bar` is its share, in percent, of the strongest effect, `raises` its direction."""

    feature: str
    effect: str
    coefficient: float
    bar: float
    raises: bool


def _drivers(coefficients: tuple[tuple[str, float, float], ...]) -> list[Driver]:
    """The features, strongest effect first."""
    strongest = max((abs(effect) for _, _, effect in coefficients), default=0.0) or 1.0
    return [
        Driver(
            feature=feature,
            effect=_odds(effect),
            coefficient=coefficient,
            bar=100 * abs(effect) / strongest,
            raises=effect > 0,
        )
        for feature, coefficient, effect in sorted(coefficients, key=lambda entry: -abs(entry[2]))
    ]


def _odds(effect: float) -> str:
    """What a change in log-odds does to the odds.

    >>> _odds(math.log(1.5)), _odds(0.0)
    ('multiplied by 1.50', 'unchanged')
    """
    if effect == 0:
        return "unchanged"
    if abs(effect) > 100:
        return f"log-odds {effect:+.0f}"
    return f"multiplied by {words.number(math.exp(effect))}"


def _plots(report: Report) -> dict[str, list[str]]:
    card, curves = report.scorecard, report.curves
    return {
        "history": [plots.score_history_svg(report.score_history)],
        "curves": [
            plots.roc_svg(curves, _metric(card, "roc_auc")),
            plots.precision_recall_svg(curves, _metric(card, "average_precision")),
            plots.calibration_svg(curves, _metric(card, "calibration_error")),
            plots.lift_svg(curves, _metric(card, "lift_at_capacity"), card.capacity),
        ],
        "features": [plots.feature_svg(histogram) for histogram in report.histograms],
    }
