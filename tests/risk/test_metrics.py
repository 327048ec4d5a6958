"""The scorecard against scikit-learn, and the laws that its numbers and intervals obey."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, rankdata
from sklearn import metrics as independent

from holdfast.records import Confusion, Metric
from holdfast.risk import metrics
from holdfast.risk.metrics import METRICS, FloatArray, IntArray, confusion, curves, scores, undefined

Clients = tuple[IntArray, FloatArray]


def clients(*, most: int = 60) -> st.SearchStrategy[Clients]:
    """Outcomes and log-odds, which in half of the examples have seven values at most."""
    tied, distinct = st.integers(-3, 3).map(lambda step: step / 2), st.floats(-5, 5)
    pairs = [st.tuples(st.integers(0, 1), log_odds) for log_odds in (tied, distinct)]
    rows = st.one_of(*(st.lists(pair, min_size=1, max_size=most) for pair in pairs))
    return rows.map(lambda row: (np.array([y for y, _ in row]), np.array([x for _, x in row], float)))


def company(n: int, seed: int, *, slope: float = 1.0, shift: float = 0.0) -> Clients:
    """Clients with normal true log-odds, which the model sees stretched by `slope`, moved by `shift`."""
    random = np.random.default_rng(seed)
    truth = random.normal(-1.0, 1.2, n)
    exited = (random.random(n) < probability(truth)).astype(np.int64)
    return exited, slope * truth + shift


def probability(log_odds: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def values(exited: IntArray, log_odds: FloatArray, capacity: int) -> dict[str, float | None]:
    return {name: metric.value for name, metric in scores(exited, log_odds, capacity).items()}


def width(metric: Metric) -> float:
    assert metric.low is not None
    assert metric.high is not None
    return metric.high - metric.low


# ---- values


@given(clients())
@settings(deadline=None)
def test_the_scorecard_agrees_with_scikit_learn(sample: Clients) -> None:
    exited, log_odds = sample
    assume(0 < exited.sum() < len(exited))
    predicted, risk = (log_odds > 0).astype(int), probability(log_odds)
    card = values(exited, log_odds, capacity=1)
    expected = {
        "f1": independent.f1_score(exited, predicted),
        "recall": independent.recall_score(exited, predicted),
        "roc_auc": independent.roc_auc_score(exited, log_odds),
        "average_precision": independent.average_precision_score(exited, log_odds),
        "log_loss": independent.log_loss(exited, risk),
        "brier": independent.brier_score_loss(exited, risk),
    }
    if predicted.any():
        expected["precision"] = independent.precision_score(exited, predicted)
    assert {name: card[name] for name in expected} == pytest.approx(expected, abs=1e-12, rel=1e-12)


@given(clients())
@settings(deadline=None)
def test_the_confusion_matrix_agrees_with_scikit_learn(sample: Clients) -> None:
    exited, log_odds = sample
    predicted = (log_odds > 0).astype(int)
    expected = independent.confusion_matrix(exited, predicted, labels=[0, 1]).ravel().tolist()
    assert confusion(exited, predicted) == Confusion(
        stayed_predicted_stayed=expected[0],
        stayed_predicted_exited=expected[1],
        exited_predicted_stayed=expected[2],
        exited_predicted_exited=expected[3],
    )


def test_the_metrics_come_in_the_order_of_the_scorecard() -> None:
    assert tuple(scores(*company(50, seed=0), capacity=5)) == METRICS


@given(clients(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_rows_changes_nothing_not_even_an_interval(sample: Clients, random: Any) -> None:
    exited, log_odds = sample
    order = list(range(len(exited)))
    random.shuffle(order)
    assert scores(exited[order], log_odds[order], capacity=3) == scores(exited, log_odds, capacity=3)
    assert curves(exited[order], log_odds[order]) == curves(exited, log_odds)


@given(clients(), st.integers(1, 70))
@settings(deadline=None)
def test_doubling_every_row_and_the_capacity_changes_no_value(sample: Clients, capacity: int) -> None:
    exited, log_odds = sample
    doubled = values(np.tile(exited, 2), np.tile(log_odds, 2), 2 * capacity)
    assert doubled == pytest.approx(values(exited, log_odds, capacity), abs=1e-12)


@given(clients())
@settings(deadline=None)
def test_flipping_the_labels_and_the_sign_of_the_log_odds_keeps_the_roc_auc(sample: Clients) -> None:
    exited, log_odds = sample
    flipped = scores(1 - exited, -log_odds, capacity=1)["roc_auc"].value
    assert flipped == pytest.approx(scores(exited, log_odds, capacity=1)["roc_auc"].value, abs=1e-12)


@given(st.lists(st.integers(0, 1), min_size=2, max_size=40), st.floats(-5, 5), st.integers(1, 50))
@settings(deadline=None)
def test_a_constant_score_is_no_better_than_chance(labels: list[int], log_odds: float, capacity: int) -> None:
    exited = np.array(labels)
    assume(0 < exited.sum() < len(exited))
    card = values(exited, np.full(len(exited), log_odds), capacity)
    share = exited.mean()
    assert card["roc_auc"] == pytest.approx(0.5)
    assert card["lift_at_capacity"] == pytest.approx(1.0)
    assert card["precision_at_capacity"] == pytest.approx(share)
    assert card["average_precision"] == pytest.approx(share)
    assert card["calibration_error"] == pytest.approx(abs(share - probability(np.array(log_odds))))


@pytest.mark.parametrize("name", ["f1", "precision", "recall", "roc_auc", "average_precision"])
def test_a_perfect_model_scores_one_on(name: str) -> None:
    exited = np.repeat([0, 1], [30, 20])
    metric = scores(exited, np.where(exited == 1, 2.0, -2.0), capacity=20)[name]
    assert metric == Metric(value=1.0, low=1.0, high=1.0, n=50)


@given(clients(most=5), st.integers(1, 5))
@settings(deadline=None, max_examples=50)
def test_at_capacity_ties_count_as_the_mean_over_all_orders(sample: Clients, capacity: int) -> None:
    exited, log_odds = sample
    called = min(capacity, len(exited))
    found = []
    for order in map(list, permutations(range(len(exited)))):
        riskiest_first = np.argsort(-log_odds[order], kind="stable")
        found.append(exited[order][riskiest_first][:called].sum())
    card, exits = values(exited, log_odds, capacity), exited.sum()
    assert card["precision_at_capacity"] == pytest.approx(np.mean(found) / called)
    if exits:
        assert card["recall_at_capacity"] == pytest.approx(np.mean(found) / exits)
        assert card["lift_at_capacity"] == pytest.approx(np.mean(found) / called / exited.mean())


def test_a_capacity_above_the_number_of_clients_calls_everyone() -> None:
    sample = company(40, seed=1)
    assert scores(*sample, capacity=1_000_000) == scores(*sample, capacity=40)


@given(st.integers(1, 6), st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_without_ties_the_calibration_error_is_that_of_fifteen_equal_slices(size: int, seed: int) -> None:
    exited, log_odds = company(15 * size, seed)
    risk = probability(log_odds)
    slices = np.array_split(np.argsort(log_odds), 15)
    expected = np.mean([abs(exited[rows].mean() - risk[rows].mean()) for rows in slices])
    assert values(exited, log_odds, capacity=1)["calibration_error"] == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 400), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_ties_are_in_the_calibration_bin_of_their_middle_rank(n: int, seed: int) -> None:
    exited, log_odds = company(n, seed)
    log_odds = log_odds.round(1)
    middle = rankdata(-log_odds, method="average") - 0.5
    slices = np.floor(15 * middle / n)
    surplus = exited - probability(log_odds)
    expected = sum(abs(surplus[slices == place].sum()) for place in range(15)) / n
    assert values(exited, log_odds, capacity=1)["calibration_error"] == pytest.approx(expected, abs=1e-12)


def test_extreme_log_odds_stay_finite() -> None:
    card = scores(np.array([0, 1, 0, 1]), np.array([800.0, -800.0, -800.0, 800.0]), capacity=2)
    assert card["log_loss"].value == 400.0
    assert card["brier"].value == 0.5
    ends = [(metric.low, metric.high) for metric in card.values()]
    assert np.isfinite(np.array(ends, float)).all()


# ---- what is undefined


@pytest.mark.parametrize(
    ("exited", "log_odds", "names"),
    [
        (
            [0, 0, 0],
            [-1.0, -2.0, -3.0],
            {
                "f1",
                "precision",
                "recall",
                "roc_auc",
                "average_precision",
                "lift_at_capacity",
                "recall_at_capacity",
            },
        ),
        (
            [0, 0, 0],
            [1.0, -2.0, -3.0],
            {"recall", "roc_auc", "average_precision", "lift_at_capacity", "recall_at_capacity"},
        ),
        ([1, 1, 1], [1.0, -2.0, -3.0], {"roc_auc", "average_precision"}),
        ([1, 0, 0], [-1.0, -2.0, -3.0], {"precision"}),
        ([1, 0, 0], [1.0, -2.0, -3.0], set()),
        ([], [], set(METRICS)),
    ],
    ids=[
        "no exits, none predicted",
        "no exits",
        "exits only",
        "none predicted",
        "both classes",
        "no clients",
    ],
)
def test_exactly_what_has_no_value_is_undefined(exited: list[int], log_odds: list[float], names: set[str]) -> None:
    card = scores(np.array(exited, int), np.array(log_odds, float), capacity=2)
    assert {name for name, metric in card.items() if metric == undefined(len(exited))} == names
    assert {name for name, metric in card.items() if metric.value is None} == names


def test_an_f1_without_a_right_prediction_is_zero_not_undefined() -> None:
    assert scores(np.array([1, 0, 0]), np.array([-1.0, -2.0, -3.0]), capacity=1)["f1"].value == 0.0


def test_a_metric_undefined_on_most_samples_has_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LARGEST_SAMPLE", 10)
    exited = np.eye(100, dtype=int)[0]  # one exit, drawn into every tenth sample
    recall = scores(exited, np.linspace(2, -2, 100), capacity=20)["recall"]
    assert recall == Metric(value=1.0, low=None, high=None, n=100)


def test_a_capacity_below_one_client_of_a_sample_has_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LARGEST_SAMPLE", 10)
    exited, log_odds = company(100, seed=0)
    deep, shallow = (scores(exited, log_odds, capacity)["precision_at_capacity"] for capacity in (10, 9))
    assert deep.low is not None
    assert shallow.value is not None
    assert shallow.low is None


@pytest.mark.parametrize(
    ("exited", "log_odds", "capacity", "message"),
    [
        ([0, 1], [0.0], 1, "shape"),
        ([0, 2], [0.0, 1.0], 1, "0 or 1"),
        ([0, 1], [0.0, float("nan")], 1, "finite"),
        ([0, 1], [0.0, 1.0], 0, "capacity"),
    ],
)
def test_other_arrays_and_capacities_are_refused(
    exited: list[int], log_odds: list[float], capacity: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        scores(np.array(exited), np.array(log_odds), capacity)


def test_a_confusion_matrix_needs_a_prediction_per_outcome() -> None:
    with pytest.raises(ValueError, match="outcomes"):
        confusion(np.array([0, 1]), np.array([1]))


# ---- intervals


@pytest.fixture(scope="module")
def coverage() -> dict[str, float]:
    """How often the interval of each metric holds the truth, over 200 companies of 400 clients."""
    exited, log_odds = company(1_000_000, seed=0)
    predicted, risk = log_odds > 0, probability(log_odds)
    called = log_odds >= np.quantile(log_odds, 0.9)
    truth = {
        "f1": independent.f1_score(exited, predicted),
        "precision": exited[predicted].mean(),
        "recall": exited[predicted].sum() / exited.sum(),
        "roc_auc": independent.roc_auc_score(exited, log_odds),
        "average_precision": independent.average_precision_score(exited, log_odds),
        "log_loss": independent.log_loss(exited, risk),
        "brier": np.mean(risk * (1 - risk)),
        "calibration_error": 0.0,
        "lift_at_capacity": exited[called].mean() / exited.mean(),
        "precision_at_capacity": exited[called].mean(),
        "recall_at_capacity": exited[called].sum() / exited.sum(),
    }
    cards = [scores(*company(400, seed), capacity=40, seed=seed) for seed in range(1, 201)]
    return {name: float(np.mean([holds(card[name], true) for card in cards])) for name, true in truth.items()}


def holds(metric: Metric, truth: float | None) -> bool:
    assert truth is not None
    assert metric.low is not None
    assert metric.high is not None
    return metric.low <= truth <= metric.high


@pytest.mark.parametrize("name", [name for name in METRICS if name != "calibration_error"])
def test_intervals_hold_the_truth_as_often_as_they_say(name: str, coverage: dict[str, float]) -> None:
    assert 0.88 <= coverage[name] <= 0.99


def test_the_calibration_interval_of_a_calibrated_model_reaches_zero(coverage: dict[str, float]) -> None:
    assert coverage["calibration_error"] >= 0.93


def test_the_calibration_interval_of_a_miscalibrated_model_excludes_zero() -> None:
    metric = scores(*company(2000, seed=3, shift=1.0), capacity=100)["calibration_error"]
    assert metric.low is not None
    assert metric.low > 0.1


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_intervals_contain_the_value(slope: float) -> None:
    card = scores(*company(1000, seed=2, slope=slope), capacity=100)
    assert [name for name, metric in card.items() if not holds(metric, metric.value)] == []


@pytest.mark.parametrize("name", METRICS)
def test_intervals_halve_with_four_times_the_clients(name: str) -> None:
    few, many = (scores(*company(n, seed=4), capacity=n // 10)[name] for n in (1000, 4000))
    assert 0.35 < width(many) / width(few) < 0.7


def test_above_the_largest_sample_intervals_are_those_of_the_full_bootstrap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sample = company(8000, seed=5, slope=1.5)
    full = scores(*sample, capacity=800)
    monkeypatch.setattr(metrics, "LARGEST_SAMPLE", 1000)
    small = scores(*sample, capacity=800)
    for name in METRICS:
        assert small[name].value == full[name].value
        assert holds(small[name], small[name].value), name
        assert width(small[name]) == pytest.approx(width(full[name]), rel=0.25), name


def test_the_seed_decides_the_intervals_and_nothing_else() -> None:
    sample = company(300, seed=6)
    first, again, other = (scores(*sample, capacity=30, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert [metric.value for metric in first.values()] == [metric.value for metric in other.values()]
    assert all(first[name].low != other[name].low for name in ("roc_auc", "brier", "log_loss"))


# ---- curves


@given(clients())
@settings(deadline=None)
def test_curves_agree_with_scikit_learn(sample: Clients) -> None:
    exited, log_odds = sample
    assume(0 < exited.sum() < len(exited))
    drawn = curves(exited, log_odds)
    false_positive, true_positive, _ = independent.roc_curve(exited, log_odds, drop_intermediate=False)
    precision, recall, _ = independent.precision_recall_curve(exited, log_odds)
    assert np.array(drawn.roc) == pytest.approx(np.column_stack([false_positive, true_positive]))
    # scikit-learn lists the lowest score first and adds a point (0, 1) that no score attains
    assert np.array(drawn.precision_recall) == pytest.approx(np.column_stack([recall, precision])[-2::-1])


@given(clients())
@settings(deadline=None)
def test_the_lift_curve_passes_through_the_lift_at_each_capacity(sample: Clients) -> None:
    exited, log_odds = sample
    assume(exited.any())
    share, lift = curves(exited, log_odds).lift[0]
    called = round(share * len(exited))
    assert lift == pytest.approx(scores(exited, log_odds, called)["lift_at_capacity"].value)


def test_long_curves_keep_their_ends_and_at_most_two_hundred_points() -> None:
    exited, log_odds = company(5000, seed=7)
    drawn = curves(exited, log_odds)
    assert len(drawn.roc) == len(drawn.precision_recall) == len(drawn.lift) == 200
    assert (drawn.roc[0], drawn.roc[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert drawn.precision_recall[-1] == (1.0, exited.mean())
    assert drawn.lift[0][0] == 1 / 5000
    assert drawn.lift[-1] == (1.0, 1.0)


def test_the_area_under_the_drawn_roc_is_the_roc_auc() -> None:
    exited, log_odds = company(5000, seed=8)
    x, y = np.array(curves(exited, log_odds).roc).T
    assert np.trapezoid(y, x) == pytest.approx(values(exited, log_odds, 1)["roc_auc"], abs=1e-3)


@pytest.mark.parametrize(("label", "has_lift"), [(0, False), (1, True)])
def test_with_one_class_only_the_defined_curves_have_points(label: int, has_lift: bool) -> None:
    drawn = curves(np.full(4, label), np.arange(4.0))
    assert drawn.roc == drawn.precision_recall == ()
    assert bool(drawn.lift) == has_lift
    assert sum(part.n for part in drawn.calibration) == 4


def test_no_clients_have_no_curves() -> None:
    drawn = curves(np.array([], int), np.array([], float))
    assert (drawn.roc, drawn.precision_recall, drawn.lift, drawn.calibration, drawn.rows) == (
        (),
        (),
        (),
        (),
        0,
    )


@given(clients())
@settings(deadline=None)
def test_every_client_is_in_one_calibration_bin(sample: Clients) -> None:
    exited, log_odds = sample
    bins = curves(exited, log_odds).calibration
    assert len(bins) <= 10
    assert sum(part.n for part in bins) == len(exited)
    assert sum(part.n * part.observed for part in bins) == pytest.approx(exited.sum())
    assert sum(part.n * part.predicted for part in bins) == pytest.approx(probability(log_odds).sum())


@given(clients())
@settings(deadline=None)
def test_calibration_bins_go_from_the_lowest_risk_to_the_highest(sample: Clients) -> None:
    predicted = [part.predicted for part in curves(*sample).calibration]
    assert (np.diff(predicted) > -1e-12).all()


@given(clients())
@settings(deadline=None)
def test_clients_with_equal_scores_share_a_calibration_bin(sample: Clients) -> None:
    exited, log_odds = sample
    bins = curves(exited, np.repeat(log_odds[:1], len(exited))).calibration
    assert [part.n for part in bins] == [len(exited)]


@given(clients())
@settings(deadline=None)
def test_calibration_intervals_are_wilsons(sample: Clients) -> None:
    for part in curves(*sample).calibration:
        expected = binomtest(round(part.n * part.observed), part.n).proportion_ci(0.95, method="wilson")
        assert (part.low, part.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert part.low <= part.observed <= part.high
