"""A record as people read it in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.errors import excerpt
from holdfast.records import (
    Assessment,
    CallRecord,
    ClientRisk,
    DemoRecord,
    Diagnosis,
    IngestRecord,
    InitRecord,
    Metric,
    Release,
    ReportRecord,
    RunRecord,
    Schedule,
    Scorecard,
    SourceFile,
    Status,
    Timing,
    TrainRecord,
)

if TYPE_CHECKING:
    from rich.table import Table

Lines = Iterator["str | Table"]
SHOWN_FILES = 12
SHOWN_REJECTS = 8
SHOWN_PACKAGES = 10
SHOWN_REASONS = 3


def print_record(record: Any, limit: int | None = None) -> None:
    """Write a record to standard output; `limit` is the most clients of a list to show."""
    lines = _assessment(record, limit) if isinstance(record, Assessment) else RENDERERS[type(record)](record)
    console = None
    for line in lines:
        if isinstance(line, str):
            sys.stdout.write(f"{line}\n")
        else:
            from rich.console import Console

            sys.stdout.flush()
            console = console or Console(width=None if sys.stdout.isatty() else 160)
            with console.capture() as captured:
                console.print(line)
            sys.stdout.writelines(f"{row.rstrip()}\n" for row in captured.get().splitlines())
    sys.stdout.flush()


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


def _table(*columns: str, numbers: tuple[int, ...] = ()) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place in numbers else "left", no_wrap=place in numbers)
    return table


def _safe(text: str) -> str:
    """Text from outside: no control characters, and no square bracket that rich would take for markup."""
    return excerpt(text).replace("[", "\\[")


# ---- data


def _ingest(record: IngestRecord) -> Lines:
    new, known = len(record.files), record.known
    yield f"{record.dataset.source}: {new} new file{'s' * (new != 1)}, {known} known already"
    if record.files:
        table = _table("file", "rows", "accepted", "duplicate", "quarantined", "", numbers=(1, 2, 3, 4))
        for file in record.files[:SHOWN_FILES]:
            table.add_row(*_delivery(file))
        yield table
    if new > SHOWN_FILES:
        yield f"and {new - SHOWN_FILES} more files"
    yield from (_refusal(file) for file in record.files if file.status == "refused")
    for row in record.rejected[:SHOWN_REJECTS]:
        where = f"{excerpt(row.file)} line {row.line}" + (f", {row.column}" if row.column else "")
        yield f"quarantined: {where}: {row.rule}: {excerpt(row.text)}"
    if record.quarantined > SHOWN_REJECTS:
        yield f"and {record.quarantined - SHOWN_REJECTS:,} more quarantined rows"
    yield from (f"note: {notice}" for notice in record.notices)
    data = record.dataset
    yield (
        f"dataset: {data.rows:,} rows, {data.exited:,} exited"
        + (f", {data.unlabelled:,} without a label" if data.unlabelled else "")
        + f" ({record.rows:,} read = {record.accepted:,} accepted + {record.duplicate:,} duplicate"
        + f" + {record.quarantined:,} quarantined; {record.seconds:.1f} s)"
    )


def _delivery(file: SourceFile) -> tuple[str, ...]:
    counts = tuple(f"{count:,}" for count in (file.rows, file.accepted, file.duplicate, file.quarantined))
    remark = {"accepted": "", "duplicate": "a copy", "refused": "refused"}[file.status]
    return (_safe(file.name), *counts, remark)


def _refusal(file: SourceFile) -> str:
    error = file.error or {}
    place = f" line {error['row']}" if error.get("row") else ""
    hint = f" Hint: {error['hint']}" if error.get("hint") else ""
    return f"refused: {excerpt(file.name)}{place}: {error.get('message')}.{hint}"


def _safe_sentence(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


# ---- model


def _train(record: TrainRecord) -> Lines:
    exited = f"{record.exited:,} of whom exited ({record.exited / record.rows:.1%})"
    yield f"trained on {record.rows:,} clients, {exited}, in {record.seconds:.1f} s"
    table = _table("feature", "coefficient (log-odds per unit)", numbers=(1,))
    for feature, coefficient in zip(record.features, record.coefficients, strict=True):
        table.add_row(_safe(feature), f"{coefficient:+.6g}")
    table.add_row("(intercept)", f"{record.intercept:+.6g}")
    yield table
    if record.held_out:
        yield f"{record.held_out:,} clients were held out to score on"
    if record.left_out:
        yield f"{record.left_out:,} rows without a label were left out"
    yield from (f"note: {notice}" for notice in record.notices)


def _score(card: Scorecard) -> Lines:
    yield f"F1 {metric_text(card.f1)} on {card.rows:,} clients, {card.exited:,} exited ({card.data})"
    table = _table("metric", "value (95 % interval)", numbers=(1,))
    for name, metric in card.metrics.items():
        table.add_row(_metric_name(name, card.capacity), metric_text(metric))
    yield table
    yield from (f"note: {notice}" for notice in card.notices)


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
    yield f"by {_safe_sentence(release.actor)} at {release.created}: {_safe_sentence(release.reason)}"


# ---- watching


def _diagnosis(record: Diagnosis) -> Lines:
    if record.predictions:
        exits = sum(each.prediction for each in record.predictions.predictions)
        of = f"{record.predictions.rows:,} rows of {record.predictions.location}"
        yield f"release {record.release} predicts {exits:,} exits among {of}"
    table = _table("column", "missing %", "mean", "median", "standard deviation", numbers=(1, 2, 3, 4))
    for column in record.columns:
        figures = (_figure(each) for each in (column.mean, column.median, column.standard_deviation))
        table.add_row(_safe(column.column), f"{column.missing_percent:.2f}", *figures)
    yield table
    refused = {column.column: column.refused_missing for column in record.columns if column.refused_missing}
    if refused:
        yield "in quarantine because empty: " + ", ".join(f"{name} {count:,} rows" for name, count in refused.items())
    yield "; ".join(_timing(timing) for timing in record.timings)
    packages = record.packages
    yield f"packages: {packages.message} ({packages.checked})"
    if packages.outdated:
        table = _table("Package", "Version", "Latest", "Type")
        for each in packages.outdated[:SHOWN_PACKAGES]:
            table.add_row(each.package, each.version, each.latest, each.type)
        yield table
    yield from (f"note: {notice}" for notice in record.notices)


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
    yield from (f"  - {_safe_sentence(reason)}" for reason in decision.reasons)
    if record.ingest and record.ingest.files and not record.dry_run:
        yield from _ingest(record.ingest)
    if record.train and record.score:
        rows = f"{record.train.rows:,} clients, {record.train.exited:,} exited"
        yield f"trained on {rows}; F1 on the test data: {metric_text(record.score.f1)}, n = {record.score.rows:,}"
    if record.release:
        yield _in_production(record.release)
    if record.report:
        yield from _report(record.report)
    if record.call:
        yield from _call(record.call)
    told = (*(record.train.notices if record.train else ()), *(record.score.notices if record.score else ()))
    yield from (f"note: {notice}" for notice in (*told, *record.notices))


# ---- the list


def _assessment(record: Assessment, limit: int | None) -> Lines:
    shown = record.clients[:limit]
    total = f"{len(record.clients):,} current clients, {record.expected_exits:,.0f} expected to exit"
    yield f"{total}; the {len(shown)} to call first (release {record.release}):"
    table = _table("rank", "client", "probability", "strongest contributions", numbers=(0, 2))
    table.columns[1].min_width = max(len(excerpt(client.client)) for client in shown)
    for client in shown:
        reasons = ", ".join(_reasons(client, record.features))
        table.add_row(str(client.rank), _safe(client.client), _percent(client.probability), reasons)
    yield table
    yield "In brackets: the contribution to the log-odds of exit, against a typical client; + raises the risk."
    yield f"the whole list: {', '.join(record.files)}"
    yield from (f"note: {notice}" for notice in record.notices)


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
        yield f"{_safe(feature)} {shown} ({contribution:+.2f})"


# ---- the workspace


def _init(record: InitRecord) -> Lines:
    yield f"workspace {record.workspace}: {len(record.created)} created, {len(record.left_alone)} left alone"
    if record.created:
        yield f"created: {', '.join(record.created)}"
    if record.left_alone:
        yield f"left alone, as it was there: {', '.join(record.left_alone)}"
    yield from (f"note: {notice}" for notice in record.notices)
    yield from (f"next: {step}" for step in record.next)


def _demo(record: DemoRecord) -> Lines:
    table = _table("file", "rows", "exited", numbers=(1, 2))
    for name, rows in record.files.items():
        table.add_row(name, f"{rows:,}", f"{record.exited[name]:.1%}")
    yield table
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
        yield f"how good: {', '.join(parts)} on {card.rows:,} clients"
    if record.dataset:
        data = record.dataset
        yield f"dataset: {data.rows:,} rows of {len(data.files)} files, {data.exited:,} exited"
    if record.deliveries:
        table = _table("delivery", "rows", "accepted", "duplicate", "quarantined", "", numbers=(1, 2, 3, 4))
        for file in record.deliveries:
            table.add_row(*_delivery(file))
        yield table
    if record.decision:
        yield f"last decision: {record.decision.action}; {record.decision.reasons[-1]}"
    if record.runs:
        yield "last commands: " + ", ".join(f"{run.command} {run.status} {run.started}" for run in record.runs[:4])
    yield from (f"next: {step}" for step in record.next)


RENDERERS: dict[type, Callable[[Any], Lines]] = {
    IngestRecord: _ingest,
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
}
