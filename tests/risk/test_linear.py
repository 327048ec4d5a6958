"""Logistic regression: scikit-learn's numbers, scored without scikit-learn, and taken apart without a remainder."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from holdfast.errors import CandidateRefused
from holdfast.records import RiskModel
from holdfast.risk.linear import contributions, fit_logistic, log_odds, probability

Floats = NDArray[np.float64]
VALUES = arrays(np.float64, (4, 3), elements=st.floats(-1e6, 1e6))
COEFFICIENTS = st.tuples(*[st.floats(-10, 10)] * 3)


def model_of(coefficients: tuple[float, ...], intercept: float, typical: tuple[float, ...]) -> RiskModel:
    return RiskModel(
        features=tuple(f"x{i}" for i in range(len(coefficients))),
        intercept=intercept,
        coefficients=coefficients,
        typical=typical,
        golden=(),
        rows=1,
        exited=1,
        dataset_digest="",
        schema_digest="",
        pickle_digest="",
        versions={},
    )


def data(count: int = 200) -> tuple[Floats, NDArray[np.int8]]:
    random = np.random.default_rng(3)
    values = random.normal(size=(count, 3)) * [1.0, 10.0, 100.0]
    exited = (random.random(count) < 1 / (1 + np.exp(-values[:, 0] + 0.1 * values[:, 1]))).astype(np.int8)
    return values, exited


# ---- fitting


def test_the_fit_is_scikit_learns() -> None:
    values, exited = data()
    fitted = fit_logistic(values, exited, ["a", "b", "c"])
    direct = LogisticRegression(solver="liblinear", C=1.0, random_state=0, max_iter=100).fit(values, exited)
    assert fitted.coefficients == tuple(direct.coef_[0])
    assert fitted.intercept == direct.intercept_[0]
    assert fitted.converged


def test_the_gradient_of_the_penalised_likelihood_vanishes_at_the_fit() -> None:
    """liblinear minimises |w|^2 / 2 + sum log(1 + exp(-y z)), the intercept penalised like a coefficient."""
    values, exited = data()
    standard = values / [1.0, 10.0, 100.0]
    fitted = fit_logistic(standard, exited, ["a", "b", "c"])
    weights = np.array([*fitted.coefficients, fitted.intercept])
    with_ones = np.column_stack([standard, np.ones(len(standard))])
    gradient = weights + with_ones.T @ (probability(with_ones @ weights) - exited)
    # Its stopping rule is relative to the gradient at zero.
    at_zero = with_ones.T @ (0.5 - exited)
    assert np.linalg.norm(gradient) < 1e-3 * np.linalg.norm(at_zero)


def test_the_pickle_is_the_plain_object_with_the_names_of_the_columns() -> None:
    values, exited = data()
    unpickled = pickle.loads(fit_logistic(values, exited, ["a", "b", "c"]).pickled)
    assert type(unpickled) is LogisticRegression
    assert list(unpickled.feature_names_in_) == ["a", "b", "c"]


def test_the_same_data_gives_the_same_bytes() -> None:
    values, exited = data()
    names = ["alpha", "beta", "gamma"]
    first = fit_logistic(values, exited, names)
    second = fit_logistic(values.copy(), exited.copy(), ["".join(list(name)) for name in names])
    assert first == second


def test_missing_values_count_as_the_median() -> None:
    values, exited = data()
    values[::7, 1] = np.nan
    filled = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
    with_gaps, without = (fit_logistic(each, exited, ["a", "b", "c"]) for each in (values, filled))
    assert with_gaps.coefficients == without.coefficients
    assert with_gaps.typical == tuple(np.nanmedian(values, axis=0))


def test_typical_values_are_the_medians() -> None:
    values, exited = data()
    assert_allclose(fit_logistic(values, exited, ["a", "b", "c"]).typical, np.median(values, axis=0), rtol=1e-15)


def test_a_column_without_any_value_is_typically_zero() -> None:
    values, exited = data()
    values[:, 1] = np.nan
    fitted = fit_logistic(values, exited, ["a", "b", "c"])
    assert fitted.typical[1] == 0.0
    assert fitted.coefficients[1] == 0.0


@pytest.mark.parametrize("extreme", [1.1e30, -1.1e30, 1e100, 1.7e308])
def test_values_with_which_the_solver_would_not_end_are_refused(extreme: float) -> None:
    values, exited = data(40)
    values[::2, 1] = extreme
    with pytest.raises(CandidateRefused) as caught:
        fit_logistic(values, exited, ["a", "b", "c"])
    assert caught.value.exit_status == 5


# ---- scoring


@given(VALUES, COEFFICIENTS, st.floats(-10, 10))
def test_the_log_odds_are_the_weighted_sum(values: Floats, coefficients: tuple[float, ...], intercept: float) -> None:
    model = model_of(coefficients, intercept, (0.0, 0.0, 0.0))
    for row, odds in zip(values.tolist(), log_odds(model, values).tolist(), strict=True):
        terms = [c * v for c, v in zip(coefficients, row, strict=True)]
        assert odds == pytest.approx(math.fsum([intercept, *terms]), rel=1e-9, abs=1e-6)


@given(VALUES, COEFFICIENTS)
def test_a_missing_value_scores_as_the_typical_one(values: Floats, coefficients: tuple[float, ...]) -> None:
    model = model_of(coefficients, 0.5, (1.0, 2.0, 3.0))
    gaps, filled = values.copy(), values.copy()
    gaps[:, 1], filled[:, 1] = np.nan, 2.0
    assert log_odds(model, gaps).tolist() == log_odds(model, filled).tolist()


def test_no_rows_have_no_scores() -> None:
    assert log_odds(model_of((1.0,), 0.0, (0.0,)), np.empty((0, 1))).shape == (0,)


@given(arrays(np.float64, 5, elements=st.floats(-1e308, 1e308)))
def test_a_probability_is_one_and_its_opposite_is_the_rest(odds: Floats) -> None:
    risk = probability(odds)
    assert ((risk >= 0) & (risk <= 1)).all()
    assert_allclose(risk + probability(-odds), 1.0, rtol=0, atol=1e-15)


@given(st.floats(-30, 30))
def test_the_log_odds_of_a_probability_are_the_log_odds_it_came_from(odds: float) -> None:
    risk = float(probability(np.array([odds]))[0])
    assert math.log(risk) - math.log(float(probability(np.array([-odds]))[0])) == pytest.approx(odds, abs=1e-9)


@given(arrays(np.float64, 20, elements=st.floats(-50, 50)))
def test_more_odds_never_mean_less_probability(odds: Floats) -> None:
    assert (np.diff(probability(np.sort(odds))) >= 0).all()


# ---- contributions


@given(VALUES, COEFFICIENTS, st.floats(-10, 10), st.tuples(*[st.floats(-1e3, 1e3)] * 3))
def test_base_and_contributions_add_up_to_the_log_odds(
    values: Floats, coefficients: tuple[float, ...], intercept: float, typical: tuple[float, ...]
) -> None:
    model = model_of(coefficients, intercept, typical)
    base, shares = contributions(model, values)
    assert shares.shape == values.shape
    assert_allclose(base + shares.sum(axis=1), log_odds(model, values), rtol=1e-9, atol=1e-6)


def test_a_typical_client_has_no_contributions_and_the_base_as_log_odds() -> None:
    model = model_of((1.0, -2.0), 0.5, (3.0, 4.0))
    base, shares = contributions(model, np.array([[3.0, 4.0], [np.nan, np.nan]]))
    assert shares.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert base == log_odds(model, np.array([[3.0, 4.0]]))[0] == 0.5 + 3.0 - 8.0


def test_a_contribution_has_the_sign_of_its_effect() -> None:
    model = model_of((1.0, -2.0), 0.0, (0.0, 0.0))
    _, shares = contributions(model, np.array([[1.0, 1.0]]))
    assert shares.tolist() == [[1.0, -2.0]]
