"""The report: self-contained, deterministic, harmless whatever the names, plain about what is unknown."""

from __future__ import annotations

import math
import re
from dataclasses import fields, is_dataclass, replace
from functools import cache
from html.parser import HTMLParser
from typing import Any, get_args, get_type_hints

import pytest

from holdfast.records import (
    CalibrationBin,
    ColumnSummary,
    Confusion,
    Curves,
    Decision,
    Metric,
    Observation,
    Release,
    Scorecard,
    SourceFile,
)
from holdfast.render.document import ACTIONS, MEASURES, Report, report_html
from holdfast.render.histogram import Histogram
from holdfast.render.plots import ScorePoint

MODEL = "a1" * 32
EXITS = 0.25
SHARES = [i / 100 for i in range(1, 101)]
# A model whose ROC curve is x ** 0.4: x of the stays, x ** 0.4 of the exits and `called` of all are named.
CALLED = [(x, x**0.4, EXITS * x**0.4 + (1 - EXITS) * x) for x in SHARES]
CURVES = Curves(
    roc=((0.0, 0.0), *((x, found) for x, found, _ in CALLED)),
    precision_recall=tuple((found, EXITS * found / called) for _, found, called in CALLED),
    lift=tuple((called, found / called) for _, found, called in CALLED),
    calibration=(CalibrationBin(predicted=0.25, observed=0.26, low=0.2, high=0.3, n=2000),),
    rows=2000,
    exited=500,
)


def metric(value: float | None, n: int = 2000) -> Metric:
    return Metric(value=value, low=value and value - 0.04, high=value and value + 0.04, n=n)


CARD = Scorecard(
    model_digest=MODEL,
    data="testdata",
    data_digest="d" * 64,
    rows=2000,
    exited=500,
    capacity=100,
    confusion=Confusion(
        stayed_predicted_stayed=1350,
        stayed_predicted_exited=150,
        exited_predicted_stayed=200,
        exited_predicted_exited=300,
    ),
    metrics={name: metric(0.63) for name in MEASURES} | {"lift_at_capacity": metric(2.52)},
    overlap=0,
    quarantined=7,
    notices=(),
    seconds=0.1,
)
RELEASE = Release(
    id="0003-a1",
    number=3,
    model_digest=MODEL,
    dataset_digest="d" * 64,
    f1=0.63,
    files={},
    parent=None,
    actor="cron",
    reason="F1 on new clients fell below the recorded one",
    created="2026-06-14T06:00:00+00:00",
)
OBSERVATION = Observation(
    source="sourcedata",
    new_files=(),
    refused_files=(),
    dataset_digest="d" * 64,
    dataset_rows=9000,
    release=None,
    release_learned_from=None,
    deployed_f1=None,
    unseen_rows=0,
    unseen_exited=0,
    unseen_f1=None,
    unusable=None,
    decided_before=False,
    unfinished=False,
)


def decision(day: int) -> tuple[str, Decision]:
    made = Decision(action="keep", policy="raw", reasons=(f"reason of day {day}",), observation=OBSERVATION)
    return f"2026-06-{day:02d}T06:00:00+00:00", made


def delivery(day: int) -> SourceFile:
    return SourceFile(
        number=day,
        name=f"delivery-{day:03d}.csv",
        folder="sourcedata",
        digest="e" * 64,
        size=1000,
        received=f"2026-06-{day % 28 + 1:02d}T05:00:00+00:00",
        status="accepted",
        rows=1000,
        accepted=900,
        duplicate=80,
        quarantined=20,
        notices=("12 rows without label",),
    )


def column(name: str) -> ColumnSummary:
    return ColumnSummary(
        column=name,
        rows=9000,
        missing=90,
        missing_percent=1.0,
        refused_missing=2,
        mean=304.2,
        median=149.0,
        standard_deviation=518.0,
        minimum=0.0,
        maximum=12_120.0,
    )


def histogram(name: str) -> Histogram:
    edges = (0.0, *(2.0**i for i in range(14)))
    counts = tuple(range(1, 15))
    return Histogram(column=name, edges=edges, stayed=counts, exited=counts[::-1])


def sample(*, features: int = 3, decisions: int = 5, deliveries: int = 5) -> Report:
    names = [f"feature_{i}" for i in range(features)]
    return Report(
        company="demo",
        created="2026-06-14T06:00:20+00:00",
        release=RELEASE,
        scorecard=CARD,
        curves=CURVES,
        score_history=tuple(
            ScorePoint(created=decision(day)[0], data="testdata", f1=metric(0.6), model_digest=MODEL, deployed=True)
            for day in range(1, 15)
        ),
        columns=tuple(column(name) for name in names),
        histograms=tuple(histogram(name) for name in names),
        coefficients=tuple((name, -0.02, -0.5 + i / 10) for i, name in enumerate(names)),
        decisions=tuple(decision(day % 28 + 1) for day in range(decisions)),
        deliveries=tuple(delivery(day) for day in range(1, deliveries + 1)),
        notices=("measured on a copy",),
    )


EMPTY = replace(
    sample(),
    release=None,
    scorecard=replace(
        CARD,
        rows=0,
        exited=0,
        confusion=Confusion(
            stayed_predicted_stayed=0,
            stayed_predicted_exited=0,
            exited_predicted_stayed=0,
            exited_predicted_exited=0,
        ),
        metrics={name: metric(None, 0) for name in MEASURES},
    ),
    curves=Curves(roc=(), precision_recall=(), lift=(), calibration=(), rows=0, exited=0),
    score_history=(),
    columns=(),
    histograms=(),
    coefficients=(),
    decisions=(),
    deliveries=(),
    notices=(),
)


class Page(HTMLParser):
    """The page as a browser takes it apart: elements, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "an element is never closed"
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in {"meta", "br"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "elements cross"

    def handle_data(self, data: str) -> None:
        self.text += f" {data}" if self._open and self._open[-1] != "style" else ""

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


@cache
def ordinary() -> str:
    """The page of the ordinary record, made once for the tests that only read it."""
    return report_html(sample())


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7*7 }} $\\frac{1}$ \x00\u202e\udc80.csv"


def with_every_text(record: Any, text: str) -> Any:
    """The same record with every text in it replaced, save for those with a fixed choice of words."""
    if isinstance(record, str):
        return text
    if isinstance(record, tuple):
        return tuple(with_every_text(each, text) for each in record)
    if isinstance(record, dict):
        return {key: with_every_text(value, text) for key, value in record.items()}
    if not is_dataclass(record) or isinstance(record, type):
        return record
    changed = {f.name: with_every_text(getattr(record, f.name), text) for f in fields(record)}
    return replace(record, **{name: value for name, value in changed.items() if name not in {"action", "status"}})


def hostile() -> Report:
    refused = replace(delivery(1), status="refused", error={"message": "", "hint": ""})
    report = replace(sample(features=1), deliveries=(delivery(2), refused))
    card = replace(CARD, notices=("",), metrics=CARD.metrics | {HOSTILE: metric(0.5)})
    changed: Report = with_every_text(replace(report, scorecard=card), HOSTILE)
    return changed


@cache
def hostile_page() -> str:
    return report_html(hostile())


def test_the_page_is_the_same_for_the_same_record() -> None:
    assert report_html(sample()) == ordinary()


def test_the_page_refers_to_nothing_outside_itself() -> None:
    page = Page(ordinary())
    assert not page.values("src")
    assert all(value.startswith("#") for value in page.values("href"))
    assert not {"link", "script", "img", "iframe", "object", "form", "base", "a"} & set(page.tags)


def test_the_page_names_no_address_but_namespaces() -> None:
    html = re.sub(r' xmlns="http://www\.w3\.org/[^"]*"', "", ordinary())
    assert not re.search(r"https?:|@import|//\w", html)


def test_the_page_forbids_the_browser_to_fetch_or_run_anything() -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert policy in Page(ordinary()).values("content")


def test_no_two_elements_of_the_page_have_the_same_id() -> None:
    ids = Page(ordinary()).values("id")
    assert len(ids) > 10
    assert len(ids) == len(set(ids))


def test_hostile_texts_add_no_element_and_no_handler() -> None:
    page = Page(hostile_page())
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_a_hostile_file_name_is_shown_as_text() -> None:
    named = replace(sample(), deliveries=(replace(delivery(1), name="<script>alert(1)</script>.csv"),))
    html = report_html(named)
    assert "<script>alert(1)</script>.csv" in Page(html).text
    assert "<script" not in html


def test_what_looks_like_a_template_is_shown_as_it_is() -> None:
    assert "{{ 7*7 }}" in Page(hostile_page()).text


def test_the_page_of_hostile_texts_has_no_control_character_and_can_be_encoded() -> None:
    html = hostile_page()
    assert html.encode()
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", html)


def test_the_page_stays_small_with_much_to_show() -> None:
    assert len(report_html(sample(features=20, decisions=50, deliveries=100)).encode()) < 500_000


def test_an_ordinary_page_is_below_a_hundred_kilobytes() -> None:
    assert len(ordinary().encode()) < 100_000


def test_a_text_without_end_does_not_fill_the_page() -> None:
    endless = replace(sample(), notices=("x" * 1_000_000,))
    assert len(report_html(endless)) < 100_000


def test_every_metric_is_shown_with_its_interval_and_clients() -> None:
    text = Page(ordinary()).text
    assert all(f"{name} " in text for name, _ in MEASURES.values())
    assert "2.52 2.48 to 2.56 2,000" in text


def test_an_unknown_metric_is_shown_by_its_key() -> None:
    card = replace(CARD, metrics=CARD.metrics | {"money_caught": metric(0.42)})
    assert "Money caught 0.42 0.38 to 0.46 2,000" in Page(report_html(replace(sample(), scorecard=card))).text


def test_undefined_metrics_are_said_in_words() -> None:
    text = Page(report_html(EMPTY)).text
    assert text.count("undefined on these rows") >= len(MEASURES)
    assert not re.search(r"\b(None|nan|inf)\b", text)


def test_an_empty_report_says_what_is_missing() -> None:
    text = Page(report_html(EMPTY)).text
    assert "No model is in production yet" in text
    assert "No decision has been taken yet." in text
    assert "Nothing has been delivered yet." in text
    assert "No F1 has been measured yet." in text


def headline(report: Report) -> str:
    found = re.search(r"<h1>(.*)</h1>", report_html(report))
    assert found
    return found[1]


def test_the_headline_says_how_far_the_list_beats_chance() -> None:
    words = "Calling the 100 riskiest of 2,000 clients finds 2.52 times as many exits as chance (2.48 to 2.56)"
    assert headline(sample()) == words


def test_the_headline_claims_nothing_when_the_interval_reaches_chance() -> None:
    weak = replace(CARD, metrics=CARD.metrics | {"lift_at_capacity": metric(1.03)})
    assert "is not shown to beat chance" in headline(replace(sample(), scorecard=weak))


def test_the_headline_claims_nothing_when_everybody_fits_on_the_list() -> None:
    assert "cannot be told yet" in headline(replace(sample(), scorecard=replace(CARD, capacity=2000)))


def test_scores_of_another_model_are_not_credited_to_the_release() -> None:
    other = replace(sample(), scorecard=replace(CARD, model_digest="b2" * 32))
    assert "the scores here are of another model" in headline(other)
    assert "not the one in production" in Page(report_html(other)).text


def test_the_last_decision_and_its_reasons_stand_at_the_top() -> None:
    report = replace(sample(), decisions=(decision(3), decision(9), decision(5)))
    top = Page(report_html(report)).text.split("Scores")[0]
    assert "Keep the deployed model, 9 June 2026, 06:00 UTC. reason of day 9" in top


def test_decisions_and_deliveries_are_shown_newest_first() -> None:
    text = Page(ordinary()).text.split("Last decisions")[1]
    for kind in (r"reason of day (\d+)", r"delivery-(\d+)"):
        days = [int(day) for day in re.findall(kind, text)]
        assert len(days) == 5
        assert days == sorted(days, reverse=True)


def test_the_rows_of_all_deliveries_are_accounted_for() -> None:
    text = Page(report_html(sample(deliveries=12))).text
    assert "12,000 rows delivered: 10,800 accepted, 960 duplicate, 240 quarantined" in text


def test_a_refused_delivery_says_why() -> None:
    refused = replace(delivery(1), status="refused", notices=(), error={"message": "no column 'exited'"})
    assert "refused no column 'exited'" in Page(report_html(replace(sample(), deliveries=(refused,)))).text


def test_a_notice_of_the_score_is_said_once() -> None:
    card = replace(CARD, notices=("some test rows are also in the training data",))
    report = replace(sample(), scorecard=card, notices=card.notices)
    assert Page(report_html(report)).text.count("also in the training data") == 1


def test_features_are_listed_by_the_strength_of_their_effect() -> None:
    coefficients = (("weak", 1.0, 0.1), ("strong", 0.001, -0.7), ("none", 0.0, 0.0))
    page = Page(report_html(replace(sample(), coefficients=coefficients)))
    text = page.text.split("What moves the risk")[1]
    assert text.index("strong") < text.index("weak") < text.index("none unchanged")


def test_an_effect_is_told_as_what_it_does_to_the_odds() -> None:
    text = Page(report_html(replace(sample(), coefficients=(("visits", 0.1, math.log(1.5)),)))).text
    assert "visits multiplied by 1.50" in text


@pytest.mark.parametrize("effect", [1e6, -1e6])
def test_an_effect_beyond_all_numbers_is_told_in_log_odds(effect: float) -> None:
    assert f"log-odds {effect:+.0f}" in Page(report_html(replace(sample(), coefficients=(("x", 1.0, effect),)))).text


def test_every_decision_has_its_words() -> None:
    assert set(get_args(get_type_hints(Decision)["action"])) == set(ACTIONS)


def test_counts_that_do_not_fit_the_edges_are_an_error() -> None:
    wrong = replace(histogram("visits"), edges=(0.0, 1.0))
    with pytest.raises(ValueError, match="mismatch"):
        report_html(replace(sample(), histograms=(wrong,)))
