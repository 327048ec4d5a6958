"""Logistic regression: fitting the brief's model, and scoring from its numbers alone.

log-odds = intercept + sum_j coefficient_j * value_j, probability = 1 / (1 + exp(-log-odds)).
A missing value counts as the training median of its feature.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import CandidateRefused
from holdfast.records import RiskModel

Floats = NDArray[np.float64]
LARGEST_VALUE = 1e30


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedLogistic:
    """A fitted model as numbers, and as the pickle of the plain scikit-learn object that gave them."""

    intercept: float
    coefficients: tuple[float, ...]
    typical: tuple[float, ...]
    converged: bool
    pickled: bytes


def fit_logistic(values: Floats, exited: NDArray[np.int8], names: Sequence[str]) -> FittedLogistic:
    """The brief's model: scikit-learn's LogisticRegression(solver="liblinear", C=1.0, random_state=0) on raw values.

    `values` (n, k) may hold NaN, which is filled with the column's median (the pickled object is then a pipeline
    that does the same); `exited` (n,) is 0 or 1 and has both classes. Raises CandidateRefused when a value is
    beyond 1e30, with which the solver would not end, or a coefficient is not finite.
    """
    import pandas as pd
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    for name, column in zip(names, values.T, strict=True):
        if (np.abs(column) > LARGEST_VALUE).any():
            hint = f"correct the data, or give the column a maximum in the schema, at most {LARGEST_VALUE:g}"
            raise CandidateRefused("a value too large to learn from", column=name, hint=hint)
    frame = pd.DataFrame(values, columns=pd.Index(names))
    classifier = LogisticRegression(solver="liblinear", C=1.0, random_state=0, max_iter=100)
    estimator = classifier
    if np.isnan(values).any():
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        estimator = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), classifier)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(frame, exited)
    coefficients = classifier.coef_[0]
    if not (np.isfinite(coefficients).all() and np.isfinite(classifier.intercept_).all()):
        raise CandidateRefused(
            "training gave a coefficient that is not a finite number", hint="look for extreme values"
        )
    return FittedLogistic(
        intercept=float(classifier.intercept_[0]),
        coefficients=tuple(float(c) for c in coefficients),
        typical=tuple(_median(column) for column in values.T),
        converged=not any(issubclass(w.category, ConvergenceWarning) for w in caught),
        pickled=pickle.dumps(estimator),
    )


def _median(column: Floats) -> float:
    present = column[~np.isnan(column)]
    return float(np.median(present)) if present.size else 0.0


def log_odds(model: RiskModel, values: Floats) -> Floats:
    """The log-odds of exit (n,) for `values` (n, k) in the order of `model.features`; NaN means missing."""
    filled = np.where(np.isnan(values), np.array(model.typical), values)
    result: Floats = model.intercept + filled @ np.array(model.coefficients)
    return result


def probability(log_odds: Floats) -> Floats:
    """1 / (1 + exp(-log_odds)) without overflow.

    >>> probability(np.array([-800.0, 0.0, 800.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(log_odds))
    result: Floats = np.where(log_odds >= 0, 1 / (1 + small), small / (1 + small))
    return result


def contributions(model: RiskModel, values: Floats) -> tuple[float, Floats]:
    """The log-odds of a typical client, and per row and feature (n, k) coefficient x (value - typical value).

    Their sum is the row's log-odds exactly, up to rounding. A missing value contributes 0.
    """
    coefficients, typical = np.array(model.coefficients), np.array(model.typical)
    filled = np.where(np.isnan(values), typical, values)
    return float(model.intercept + typical @ coefficients), (filled - typical) * coefficients
