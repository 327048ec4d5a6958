"""How good predicted risks are: the scorecard with its intervals, the confusion matrix and curves.

A prediction is a client's log-odds of exit x, of which the probability is 1 / (1 + exp(-x)); the client is
predicted to exit when x > 0. What is undefined on the given clients (an F1 when nobody exited and nobody was
predicted to, an area under a curve with one class) is None with its n, never a 0 that looks like a result.

Clients with equal log-odds cannot be told apart, so nothing here depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from holdfast.records import CalibrationBin, Confusion, Curves, Metric

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
FloatArray: TypeAlias = npt.NDArray[np.float64]

REPLICATES = 400
"""How many bootstrap samples an interval rests on."""

LARGEST_SAMPLE = 50_000
"""The most clients that one bootstrap sample draws."""

METRICS = (
    "f1",
    "precision",
    "recall",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "calibration_error",
    "lift_at_capacity",
    "precision_at_capacity",
    "recall_at_capacity",
)
"""The scorecard's names, in order."""

CALIBRATION_ERROR_BINS = 15
CURVE_BINS = 10
CURVE_POINTS = 200

_NORMAL_QUANTILE = 1.959963984540054  # of 0.975: a 95 % interval
_BLOCK = 50_000  # weights held at a time: small enough for the processor's cache, large enough for NumPy


def undefined(n: int) -> Metric:
    """The metric that has no value on these n clients.

    >>> undefined(3)
    Metric(value=None, low=None, high=None, n=3)
    """
    return Metric(value=None, low=None, high=None, n=n)


def confusion(exited: IntArray, predicted: IntArray) -> Confusion:
    """Counts of clients by what happened and what was predicted; both arrays are 0 or 1, of shape (n,).

    Raises ValueError for arrays of different lengths.

    >>> confusion(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))  # doctest: +NORMALIZE_WHITESPACE
    Confusion(stayed_predicted_stayed=1, stayed_predicted_exited=1,
              exited_predicted_stayed=0, exited_predicted_exited=2)
    """
    if exited.shape != predicted.shape:
        raise ValueError(f"{exited.shape} outcomes for {predicted.shape} predictions")
    counts = np.bincount(2 * exited.astype(np.intp) + predicted.astype(np.intp), minlength=4).tolist()
    return Confusion(
        stayed_predicted_stayed=counts[0],
        stayed_predicted_exited=counts[1],
        exited_predicted_stayed=counts[2],
        exited_predicted_exited=counts[3],
    )


def scores(exited: IntArray, log_odds: FloatArray, capacity: int, seed: int = 0) -> dict[str, Metric]:
    """The scorecard of n clients: each metric of METRICS with its 95 % interval, in that order.

    `exited` is 0 or 1 and `log_odds` is finite, both of shape (n,); `capacity`, at least 1, is how many
    clients can be called (more than n counts as n). Raises ValueError otherwise. With y for exited, x for
    log-odds, p for probability and TP for the clients who exited and were predicted to:

    | metric | range | formula | undefined without |
    |---|---|---|---|
    | f1 | 0 to 1, high is good | 2 TP / (predicted exits + exits) | exits, real or predicted |
    | precision | 0 to 1, high is good | TP / predicted exits | predicted exits |
    | recall | 0 to 1, high is good | TP / exits | exits |
    | roc_auc | 0 to 1, 0.5 is chance | P(x of an exit > x of a stay) + P(equal) / 2 | both classes |
    | average_precision | 0 to 1, high is good | sum over x of precision times rise in recall | both classes |
    | log_loss | 0 up, low is good | mean of log(1 + exp(-x)) for exits, log(1 + exp(x)) for stays | clients |
    | brier | 0 to 1, low is good | mean of (p - y)^2 | clients |
    | calibration_error | 0 to 1, low is good | sum over bins of abs(sum of y - p) / n | clients |
    | lift_at_capacity | 0 up, 1 is chance | precision_at_capacity / share of exits | exits |
    | precision_at_capacity | 0 to 1, high is good | exits among the called / called | clients |
    | recall_at_capacity | 0 to 1, high is good | exits among the called / exits | exits |

    Ties: those called have the highest x, and clients tied at the cut count with their mean, the expected
    value under random order among them. The calibration error (Naeini, Cooper and Hauskrecht 2015) has 15
    bins of equal mass; clients with equal x go together into the bin of their middle rank.

    Intervals: percentile bootstrap over clients (Efron and Tibshirani 1993, chapter 13): 400 samples of n
    clients with replacement, the same samples for every metric. Samples on which a metric is undefined are
    left out; when they are more than half, low and high are None. Above 50,000 clients a sample has
    m = 50,000, and its deviation from the value is scaled by sqrt(m / n): the m out of n bootstrap (Bickel,
    Goetze and van Zwet 1997). The called keep their share of the sample; when that is below one client, the
    metrics at capacity have no interval. Equal seeds give equal intervals.

    Chance alone makes a calibration error positive and a sample's larger still, so percentiles would
    exclude the truth. Its interval is the value plus and minus the 95 % quantile of the distance (the same
    sum) between the bins' gaps in a sample and in the data; by the triangle inequality this errs on the
    wide side.

    >>> card = scores(np.array([0, 1, 0, 1]), np.array([-2.0, -1.0, 0.5, 3.0]), capacity=1)
    >>> card["f1"].value, card["roc_auc"].value, card["lift_at_capacity"].value
    (0.5, 0.75, 2.0)
    """
    ranked = _rank(exited, log_odds)
    if capacity < 1:
        raise ValueError(f"capacity must be at least 1, found {capacity}")
    n = len(exited)
    if n == 0:
        return dict.fromkeys(METRICS, undefined(0))
    once = np.ones((1, n))
    gaps = _calibration_gaps(_steps(ranked, once))
    depth, size = min(capacity, n), min(n, LARGEST_SAMPLE)
    values = _measure(ranked, once, depth, np.zeros_like(gaps))
    samples = [_measure(drawn, times, depth * size / n, gaps) for drawn, times in _resample(ranked, seed)]
    card = {}
    for name in METRICS:
        value = float(values[name][0])
        measured = np.concatenate([sample[name] for sample in samples])
        if name == "calibration_error":
            reach = np.concatenate([-measured, measured]) * (size / n) ** 0.5
            card[name] = _metric(value, np.clip(value + reach, 0.0, 1.0), n)
        else:
            card[name] = _metric(value, value + (measured - value) * (size / n) ** 0.5, n)
    return card


def curves(exited: IntArray, log_odds: FloatArray) -> Curves:
    """The points that the report draws for n clients, at most 200 per curve, its first and last always kept.

    `exited` is 0 or 1 and `log_odds` is finite, both of shape (n,); ValueError otherwise. One point per
    distinct score, from the highest down: `roc` from (0, 0) to (1, 1); `precision_recall` and `lift` from
    the clients with the highest score to all clients. With one class `roc` and `precision_recall` are
    empty; without exits `lift` is. `calibration` has up to 10 bins of equal mass, lowest risk first,
    clients with equal log-odds together in the bin of their middle rank; low and high are the Wilson 95 %
    interval of the observed share (Wilson 1927).

    >>> curves(np.array([0, 1, 0, 1]), np.array([-2.0, -1.0, 0.5, 3.0])).precision_recall
    ((0.5, 1.0), (0.5, 0.5), (1.0, 0.6666666666666666), (1.0, 0.5))
    """
    ranked = _rank(exited, log_odds)
    n, exits = len(exited), int(np.sum(exited))
    if n == 0:
        return Curves(roc=(), precision_recall=(), lift=(), calibration=(), rows=0, exited=0)
    steps = _steps(ranked, np.ones((1, n)))
    called, found = steps.called[0], steps.exits[0]
    both = 0 < exits < n
    return Curves(
        roc=_points(np.append(0, called - found) / (n - exits), np.append(0, found) / exits) if both else (),
        precision_recall=_points(found / exits, found / called) if both else (),
        lift=_points(called / n, (found * n) / (called * exits)) if exits else (),
        calibration=_calibration(steps),
        rows=n,
        exited=exits,
    )


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Clients from the highest log-odds to the lowest, exits after stays among equals."""

    log_odds: FloatArray  # (n,)
    exited: FloatArray  # (n,), 0 or 1
    terms: FloatArray  # (4, n), what metrics sum over clients: see _terms

    def take(self, rows: IntArray) -> _Ranked:
        """The clients at these increasing positions."""
        return _Ranked(self.log_odds[rows], self.exited[rows], self.terms[:, rows])


@dataclass(frozen=True, slots=True)
class _Steps:
    """Going down the ranking one distinct score at a time, in several samples at once: (samples, scores).

    `called` and `exits` count clients and exits down to and including a score, `called_here` and `exits_here`
    those at that score alone. `probability` (scores,) is the predicted one.
    """

    called: FloatArray
    exits: FloatArray
    called_here: FloatArray
    exits_here: FloatArray
    probability: FloatArray


def _rank(exited: IntArray, log_odds: FloatArray) -> _Ranked:
    if exited.ndim != 1 or exited.shape != log_odds.shape:
        raise ValueError(f"outcomes of shape {exited.shape} for log-odds of shape {log_odds.shape}")
    if not np.isfinite(log_odds).all():
        raise ValueError("log-odds must be finite")
    if not ((exited == 0) | (exited == 1)).all():
        raise ValueError("outcomes must be 0 or 1")
    order = np.lexsort((exited, -log_odds))
    x, y = log_odds[order].astype(np.float64), exited[order].astype(np.float64)
    return _Ranked(x, y, _terms(x, y))


def _terms(x: FloatArray, y: FloatArray) -> FloatArray:
    """Per client: predicted to exit, and rightly so, log loss, squared error; (4, n)."""
    predicted = x > 0
    log_loss = np.logaddexp(0.0, np.where(y == 1, -x, x))
    return np.stack([predicted, predicted * y, log_loss, (_probability(x) - y) ** 2])


def _probability(x: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _resample(ranked: _Ranked, seed: int) -> Iterator[tuple[_Ranked, FloatArray]]:
    """Blocks of bootstrap samples: clients, and how often each was drawn, (samples in the block, clients)."""
    random = np.random.default_rng(seed)
    n = len(ranked.exited)
    if n > LARGEST_SAMPLE:
        for _ in range(REPLICATES):
            rows, times = np.unique(random.integers(0, n, LARGEST_SAMPLE, dtype=np.int32), return_counts=True)
            yield ranked.take(rows), times[np.newaxis].astype(np.float64)
        return
    block = max(1, _BLOCK // n)
    for start in range(0, REPLICATES, block):
        samples = min(block, REPLICATES - start)
        drawn = random.integers(0, n, (samples, n))
        drawn += n * np.arange(samples)[:, np.newaxis]
        times = np.bincount(drawn.ravel(), minlength=samples * n)
        yield ranked, times.reshape(samples, n).astype(np.float64)


def _steps(ranked: _Ranked, weights: FloatArray) -> _Steps:
    x = ranked.log_odds
    first = np.flatnonzero(np.append(True, x[1:] != x[:-1]))  # of each distinct score
    called_here, exits_here = weights, weights * ranked.exited
    if len(first) < len(x):
        called_here = np.add.reduceat(called_here, first, axis=1)
        exits_here = np.add.reduceat(exits_here, first, axis=1)
    return _Steps(
        called=np.cumsum(called_here, axis=1),
        exits=np.cumsum(exits_here, axis=1),
        called_here=called_here,
        exits_here=exits_here,
        probability=_probability(x[first]),
    )


def _measure(ranked: _Ranked, weights: FloatArray, depth: float, gaps: FloatArray) -> dict[str, FloatArray]:
    """Every metric by name, (samples,), NaN where undefined; `depth` clients of a sample can be called.

    The calibration error is the distance of the sample's calibration gaps from `gaps`.
    """
    steps = _steps(ranked, weights)
    size, exits = steps.called[:, -1], steps.exits[:, -1]
    predicted, right, log_loss, brier = _sums("sn,kn->ks", weights, ranked.terms)
    found = _exits_within(steps, depth)
    return {
        "f1": _ratio(2 * right, predicted + exits),
        "precision": _ratio(right, predicted),
        "recall": _ratio(right, exits),
        "roc_auc": _roc_auc(steps),
        "average_precision": _average_precision(steps),
        "log_loss": log_loss / size,
        "brier": brier / size,
        "calibration_error": np.abs(_calibration_gaps(steps) - gaps).sum(axis=1),
        "lift_at_capacity": _ratio(found * size, depth * exits),
        "precision_at_capacity": found / depth,
        "recall_at_capacity": _ratio(found, exits),
    }


def _sums(axes: str, left: FloatArray, right: FloatArray) -> FloatArray:
    """Sums of products, not by BLAS: its threads make last digits depend on the machine and wait when it is busy."""
    sums: FloatArray = np.einsum(axes, left, right)
    return sums


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """NaN where the whole is 0."""
    ratio = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def _roc_auc(steps: _Steps) -> FloatArray:
    """Pairs of a stay and an exit with the higher score, equal ones counting half, among all such pairs.

    Counted twice over: the pairs of anyone with an exit, less the pairs in which both exited.
    """
    exits, size = steps.exits[:, -1], steps.called[:, -1]
    with_anyone = _sums("sn,sn->s", steps.called_here, 2 * steps.exits - steps.exits_here)
    return _ratio(with_anyone - exits**2, 2 * exits * (size - exits))


def _average_precision(steps: _Steps) -> FloatArray:
    """Precision at each score, weighted by the exits at it: scikit-learn's sum, without interpolation."""
    exits, size = steps.exits[:, -1], steps.called[:, -1]
    precision = np.maximum(steps.called, 1.0)  # where nobody was drawn yet, no exit was
    np.divide(steps.exits, precision, out=precision)
    return np.where(exits < size, _ratio(_sums("sn,sn->s", steps.exits_here, precision), exits), np.nan)


def _calibration_gaps(steps: _Steps) -> FloatArray:
    """Exits less expected exits in each bin of equal mass, as shares of all clients; (samples, bins)."""
    samples, bins = len(steps.called), CALIBRATION_ERROR_BINS
    surplus = steps.called_here * -steps.probability
    surplus += steps.exits_here
    places = _bins(steps, bins)
    places += bins * np.arange(samples)[:, np.newaxis]
    sums = np.bincount(places.ravel(), surplus.ravel(), minlength=bins * samples)
    return sums.reshape(samples, bins) / steps.called[:, -1:]


def _bins(steps: _Steps, bins: int) -> IntArray:
    """The bin of equal mass, 0 = highest risk, that holds each score's middle rank; (samples, scores)."""
    place = steps.called_here / -2
    place += steps.called
    place *= bins
    place /= steps.called[:, -1:]  # dividing last keeps whole quotients exact
    return np.minimum(place, bins - 1, out=place).astype(np.intp)


def _exits_within(steps: _Steps, depth: float) -> FloatArray:
    """Expected exits among the `depth` highest scores, (samples,); NaN for less than one client."""
    sample = np.arange(len(steps.called))
    cut = np.sum(steps.called < depth, axis=1)  # the score that the last one called has
    above = steps.called[sample, cut] - steps.called_here[sample, cut]
    tied = steps.exits_here[sample, cut]
    found = steps.exits[sample, cut] - tied + (depth - above) * tied / steps.called_here[sample, cut]
    return found if depth >= 1 else np.full(found.shape, np.nan)


def _metric(value: float, sampled: FloatArray, n: int) -> Metric:
    if np.isnan(value):
        return undefined(n)
    defined = sampled[~np.isnan(sampled)]
    if 2 * len(defined) < len(sampled):
        return Metric(value=value, low=None, high=None, n=n)
    low, high = np.quantile(defined, (0.025, 0.975)).tolist()
    return Metric(value=value, low=low, high=high, n=n)


def _points(x: FloatArray, y: FloatArray) -> tuple[tuple[float, float], ...]:
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), CURVE_POINTS)).round().astype(np.intp))
    return tuple(zip(x[keep].tolist(), y[keep].tolist(), strict=True))


def _calibration(steps: _Steps) -> tuple[CalibrationBin, ...]:
    bins = _bins(steps, CURVE_BINS)[0]
    called, exits = steps.called_here[0], steps.exits_here[0]
    totals = (np.bincount(bins, weights).tolist() for weights in (called, exits, called * steps.probability))
    lowest_first = reversed(list(zip(*totals, strict=True)))
    return tuple(_calibration_bin(n, found, expected) for n, found, expected in lowest_first if n)


def _calibration_bin(n: float, exits: float, expected: float) -> CalibrationBin:
    """A bin with Wilson's interval: the shares s with |exits / n - s| <= z sqrt(s (1 - s) / n)."""
    share, square = exits / n, _NORMAL_QUANTILE**2 / n
    centre = (share + square / 2) / (1 + square)
    reach = (square * share * (1 - share) + square**2 / 4) ** 0.5 / (1 + square)
    return CalibrationBin(
        predicted=expected / n,
        observed=share,
        low=max(0.0, min(share, centre - reach)),
        high=min(1.0, max(share, centre + reach)),
        n=int(n),
    )
