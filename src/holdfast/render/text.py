"""A record as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from holdfast.errors import excerpt
from holdfast.records import (
    Assessment,
    CallRecord,
    ClientRisk,
    DatasetExport,
    DatasetHistory,
    DatasetSummary,
    DeliveryList,
    DemoRecord,
    Diagnosis,
    ErasurePlan,
    ErasureReceipt,
    ErasureUndone,
    IngestRecord,
    InitRecord,
    Lineage,
    Metric,
    QuarantineDone,
    QuarantineList,
    QuarantineShow,
    Release,
    ReportRecord,
    RunRecord,
    Schedule,
    SchemaCheck,
    SchemaInferred,
    SchemaShow,
    Scorecard,
    Status,
    Timing,
    TrainRecord,
    Upkeep,
)
from holdfast.render.contract import check_lines, inferred_lines, schema_lines
from holdfast.render.datasets import export_lines, history_lines, upkeep_lines
from holdfast.render.deliveries import (
    ALL_DELIVERIES,
    dataset_text,
    deliveries_table,
    delivery_lines,
    ingest_lines,
    pending,
)
from holdfast.render.quarantine import done_lines, list_lines, show_lines
from holdfast.render.summary import summary_lines
from holdfast.render.terminal import Lines, Table, notes, write
from holdfast.render.tracing import lineage_lines, plan_lines, receipt_lines, undone_lines
from holdfast.render.words import count, plain

SHOWN_PACKAGES = 10
SHOWN_REASONS = 3
LONGEST_SENTENCE = 1000


def print_record(record: Any, limit: int | None = None) -> None:
    """Write a record to standard output; `limit` is the most entries of a list to show."""
    of_list = LISTS.get(type(record))
    write(of_list(record, limit) if of_list else RENDERERS[type(record)](record))


def metric_text(metric: Metric) -> str:
    """A number with its interval.

    >>> metric_text(Metric(value=0.61234, low=0.58, high=0.64, n=2000))
    '0.612 (0.580 to 0.640)'
    >>> metric_text(Metric(value=None, low=None, high=None, n=3))
    'undefined on these rows'
    """
    if metric.value is None:
        return "undefined on these rows"
    interval = "" if metric.low is None or metric.high is None else f" ({metric.low:.3f} to {metric.high:.3f})"
    return f"{metric.value:.3f}{interval}"


# ---- model


def _train(record: TrainRecord) -> Lines:
    exited = f"{record.exited:,} of whom exited ({record.exited / record.rows:.1%})"
    yield f"trained on {count(record.rows, 'client', 'clients')}, {exited}, in {record.seconds:.1f} s"
    coefficients = [*zip(record.features, record.coefficients, strict=True), ("(intercept)", record.intercept)]
    cells = [(feature, f"{coefficient:+.6g}") for feature, coefficient in coefficients]
    yield Table(("feature", "coefficient (log-odds per unit)"), cells, numbers=(1,))
    if record.held_out:
        yield f"held out to score on: {count(record.held_out, 'client', 'clients')}"
    if record.left_out:
        yield f"left out, as they have no label: {count(record.left_out, 'row', 'rows')}"
    yield from notes(record.notices)


def _score(card: Scorecard) -> Lines:
    yield f"F1 {metric_text(card.f1)} on {count(card.rows, 'client', 'clients')}, {card.exited:,} exited ({card.data})"
    cells = [(_metric_name(name, card.capacity), metric_text(metric)) for name, metric in card.metrics.items()]
    yield Table(("metric", "value (95 % interval)"), cells, numbers=(1,))
    yield from notes(card.notices)


def _metric_name(name: str, capacity: int) -> str:
    """A metric's name in words.

    >>> _metric_name("lift_at_capacity", 100)
    'lift at capacity 100'
    """
    return name.replace("_", " ").replace("at capacity", f"at capacity {capacity:,}")


def _in_production(release: Release) -> str:
    before = f", replacing {release.parent}" if release.parent else ""
    return f"in production: release {release.id}, F1 {release.f1:.3f}{before}"


def _release(release: Release) -> Lines:
    yield _in_production(release)
    yield f"by {plain(release.actor)} at {release.created}: {plain(release.reason, LONGEST_SENTENCE)}"


# ---- watching


def _diagnosis(record: Diagnosis) -> Lines:
    if record.predictions:
        exits = sum(each.prediction for each in record.predictions.predictions)
        of = f"{count(record.predictions.rows, 'row', 'rows')} of {record.predictions.location}"
        yield f"release {record.release} predicts {count(exits, 'exit', 'exits')} among {of}"
    cells = [
        (each.column, f"{each.missing_percent:.2f}", *map(_figure, (each.mean, each.median, each.standard_deviation)))
        for each in record.columns
    ]
    yield Table(("column", "missing %", "mean", "median", "standard deviation"), cells, numbers=(1, 2, 3, 4))
    refused = {column.column: column.refused_missing for column in record.columns if column.refused_missing}
    if refused:
        counts = (f"{excerpt(name)} {count(rows, 'row', 'rows')}" for name, rows in refused.items())
        yield f"in quarantine because empty: {', '.join(counts)}"
    yield "; ".join(_timing(timing) for timing in record.timings)
    packages = record.packages
    yield f"packages: {packages.message} ({packages.checked})"
    if packages.outdated:
        cells = [(each.package, each.version, each.latest, each.type) for each in packages.outdated]
        yield Table(("Package", "Version", "Latest", "Type"), cells, most=SHOWN_PACKAGES)
    yield from notes(record.notices)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}"


def _timing(timing: Timing) -> str:
    if timing.measured_now is not None:
        return f"{timing.step} {timing.measured_now:.2f} s (measured now)"
    if timing.seconds is None:
        return f"{timing.step} never ran"
    return f"{timing.step} {timing.seconds:.2f} s (median of {timing.runs}: {timing.median_seconds or 0:.2f} s)"


def _report(record: ReportRecord) -> Lines:
    yield f"report: {record.report} ({record.size / 1024:.0f} kB), {record.confusion_matrix}"


def _call(record: CallRecord) -> Lines:
    yield f"{len(record.answers)} answers of {record.address} -> {record.file}"


def _run(record: RunRecord) -> Lines:
    decision = record.decision
    yield f"decision: {decision.action}" + (" (dry run: nothing was changed)" if record.dry_run else "")
    yield from (f"  - {plain(reason, LONGEST_SENTENCE)}" for reason in decision.reasons)
    if record.ingest and record.ingest.files and not record.dry_run:
        yield from ingest_lines(record.ingest)
    elif record.ingest:
        yield from pending(record.ingest)
    if record.train and record.score:
        rows = f"{count(record.train.rows, 'client', 'clients')}, {record.train.exited:,} exited"
        yield f"trained on {rows}; F1 on the test data: {metric_text(record.score.f1)}, n = {record.score.rows:,}"
    if record.release:
        yield _in_production(record.release)
    if record.report:
        yield from _report(record.report)
    if record.call:
        yield from _call(record.call)
    told = (*(record.train.notices if record.train else ()), *(record.score.notices if record.score else ()))
    yield from notes((*told, *record.notices))


# ---- the list


def _assessment(record: Assessment, limit: int | None) -> Lines:
    shown = record.clients[:limit]
    total = f"{len(record.clients):,} current clients, {record.expected_exits:,.0f} expected to exit"
    yield f"{total}; the {len(shown)} to call first (release {record.release}):"
    cells = [
        (str(each.rank), each.client, _percent(each.probability), ", ".join(_reasons(each, record.features)))
        for each in shown
    ]
    yield Table(("rank", "client", "probability", "strongest contributions"), cells, numbers=(0, 2))
    yield "In brackets: the contribution to the log-odds of exit, against a typical client; + raises the risk."
    yield f"the whole list: {', '.join(record.files)}"
    yield from notes(record.notices)


def _percent(probability: float) -> str:
    """A probability in percent; what is not certain is not shown as if it were.

    >>> _percent(0.99999), _percent(0.25)
    ('>99.9%', '25.0%')
    """
    return ">99.9%" if probability > 0.9995 else f"{probability:.1%}"


def _reasons(client: ClientRisk, features: Sequence[str]) -> Iterator[str]:
    parts = zip(features, client.values, client.contributions, strict=True)
    for feature, value, contribution in sorted(parts, key=lambda part: -abs(part[2]))[:SHOWN_REASONS]:
        shown = "missing" if value is None else f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
        yield f"{excerpt(feature)} {shown} ({contribution:+.2f})"


# ---- the workspace


def _init(record: InitRecord) -> Lines:
    yield f"workspace {record.workspace}: {len(record.created)} created, {len(record.left_alone)} left alone"
    if record.created:
        yield f"created: {', '.join(record.created)}"
    if record.left_alone:
        yield f"left alone, as it was there: {', '.join(record.left_alone)}"
    yield from notes(record.notices)
    yield from (f"next: {step}" for step in record.next)


def _demo(record: DemoRecord) -> Lines:
    cells = [(name, f"{rows:,}", f"{record.exited[name]:.1%}") for name, rows in record.files.items()]
    yield Table(("file", "rows", "exited"), cells, numbers=(1, 2))
    yield f"written to {record.folder} in {record.seconds:.1f} s"


def _schedule(record: Schedule) -> Lines:
    yield record.message
    if record.line:
        yield record.line


def _status(record: Status) -> Lines:
    yield f"workspace {record.workspace}, data from {record.source}"
    if record.release:
        yield from _release(record.release)
    else:
        yield "in production: nothing yet"
    if record.scorecard:
        card = record.scorecard
        parts = [f"{name} {metric_text(card.metrics[key])}" for name, key in (("F1", "f1"), ("ROC AUC", "roc_auc"))]
        yield f"how good: {', '.join(parts)} on {count(card.rows, 'client', 'clients')}"
    if record.dataset:
        yield f"{dataset_text(record.dataset)}, from {count(record.dataset.deliveries, 'delivery', 'deliveries')}"
    if record.deliveries:
        yield deliveries_table(record.deliveries, home=record.source)
    if record.earlier_deliveries:
        earlier = count(record.earlier_deliveries, "earlier delivery", "earlier deliveries")
        yield f"{earlier}: {ALL_DELIVERIES}"
    if record.decision:
        yield f"last decision: {record.decision.action}; {record.decision.reasons[-1]}"
    if record.runs:
        yield "last commands: " + ", ".join(f"{run.command} {run.status} {run.started}" for run in record.runs[:4])
    yield from (f"next: {step}" for step in record.next)


LISTS: dict[type, Callable[[Any, int | None], Lines]] = {
    Assessment: _assessment,
    DeliveryList: delivery_lines,
    QuarantineList: list_lines,
}
"""Records of which as many entries are shown as are asked for."""

RENDERERS: dict[type, Callable[[Any], Lines]] = {
    IngestRecord: ingest_lines,
    TrainRecord: _train,
    Scorecard: _score,
    Release: _release,
    Diagnosis: _diagnosis,
    ReportRecord: _report,
    CallRecord: _call,
    RunRecord: _run,
    InitRecord: _init,
    DemoRecord: _demo,
    Schedule: _schedule,
    Status: _status,
    SchemaShow: schema_lines,
    SchemaInferred: inferred_lines,
    SchemaCheck: check_lines,
    DatasetSummary: summary_lines,
    DatasetHistory: history_lines,
    DatasetExport: export_lines,
    Upkeep: upkeep_lines,
    QuarantineShow: show_lines,
    QuarantineDone: done_lines,
    Lineage: lineage_lines,
    ErasurePlan: plan_lines,
    ErasureReceipt: receipt_lines,
    ErasureUndone: undone_lines,
}
