"""Intervals for means and first differences after the fit."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from scipy.special import softmax
from scipy.stats import norm

from trueness.dsl import (
    DSLEstimator,
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLMean,
    DSLPoissonRegressor,
)
from trueness.dsl.diagnostics import SeparationWarning

RTOL = 1e-8
N = 700
COLUMNS = ["estimate", "std_error", "conf_low", "conf_high"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    X = pd.DataFrame(rng.normal(size=(N, 2)), columns=["a", "b"])
    index = 0.3 + X["a"] - 0.5 * X["b"]
    y = pd.DataFrame(
        {
            "linear": index + rng.normal(size=N),
            "logistic": (rng.random(N) < 1 / (1 + np.exp(-index))).astype(float),
            "poisson": rng.poisson(np.exp(0.5 * index)).astype(float),
            "multinomial": (
                np.column_stack([np.zeros(N), index, -0.5 * index]) + rng.gumbel(size=(N, 3))
            ).argmax(axis=1),
        }
    )
    return X, y


@pytest.fixture(scope="module")
def rows():
    index = ["low", "middle", "high"]
    return pd.DataFrame({"a": [-2.0, 0.1, 4.0], "b": [0.5, -1.0, 0.0]}, index=index)


def with_constant(frame):
    return np.column_stack([np.ones(len(frame)), frame])


THEIRS = {
    "linear": (DSLLinearRegression, sm.families.Gaussian()),
    "logistic": (DSLLogisticRegression, sm.families.Binomial()),
    "poisson": (DSLPoissonRegressor, sm.families.Poisson()),
}


@pytest.mark.parametrize("model", THEIRS)
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_intervals_equal_statsmodels(data, rows, model, level):
    X, y = data
    estimator, family = THEIRS[model]
    ours = estimator().fit(X, y[model]).predict_interval(rows, level)
    fitted = sm.GLM(y[model].to_numpy(), with_constant(X), family).fit(tol=1e-14, cov_type="HC0")
    theirs = fitted.get_prediction(with_constant(rows)).summary_frame(alpha=1 - level)
    assert list(ours.columns) == COLUMNS
    assert list(ours.index) == ["low", "middle", "high"]
    np.testing.assert_allclose(ours, theirs, rtol=RTOL)


def test_intervals_use_the_reference_of_the_results(data, rows):
    X, y = data
    ours = DSLLinearRegression(covariance="HC3").fit(X, y["linear"]).predict_interval(rows)
    fitted = sm.OLS(y["linear"].to_numpy(), with_constant(X)).fit(cov_type="HC3", use_t=True)
    prediction = fitted.get_prediction(with_constant(rows))
    expected = [prediction.predicted_mean, prediction.se_mean, *prediction.conf_int().T]
    np.testing.assert_allclose(ours, np.column_stack(expected), rtol=RTOL)
    normal = norm.ppf(0.975) * ours["std_error"]
    assert (ours["conf_high"] - ours["estimate"] > 1.001 * normal).all()


def test_multinomial_intervals_are_those_of_the_log_odds(data, rows):
    X, y = data
    classes = np.array(["x", "y", "z"])
    fit = DSLLogisticRegression().fit(X, classes[y["multinomial"]])
    ours = fit.predict_interval(rows)
    assert list(ours.columns) == ["class", *COLUMNS]
    assert list(ours["class"]) == [*classes] * 3
    assert list(ours.index[::3]) == ["low", "middle", "high"]

    def probabilities(beta):
        equations = np.vstack([np.zeros(3), beta.reshape(2, 3)])
        return softmax(with_constant(rows) @ equations.T, axis=1).ravel()

    names = [f"cell {i}" for i in range(9)]
    means = fit.results_.delta_method(probabilities, names)
    odds = fit.results_.delta_method(lambda b: np.log(1 / (1 / probabilities(b) - 1)), names)
    bounds = 1 / (1 + np.exp(-odds.conf_int()))
    np.testing.assert_allclose(ours["estimate"], means.params, rtol=RTOL)
    np.testing.assert_allclose(ours["std_error"], means.std_errors, rtol=1e-7)
    np.testing.assert_allclose(ours[["conf_low", "conf_high"]], bounds, rtol=1e-7)
    np.testing.assert_allclose(ours["estimate"].groupby(level=0).sum(), 1.0, rtol=1e-14)


def test_intervals_stay_in_range_far_out(data):
    X, y = data
    far = pd.DataFrame({"a": [900.0, -900.0], "b": 0.0})
    fits = {
        "logistic": DSLLogisticRegression().fit(X, y["logistic"]),
        "multinomial": DSLLogisticRegression().fit(X, y["multinomial"]),
    }
    for fit in fits.values():
        frame = fit.predict_interval(far)[COLUMNS]
        assert np.isfinite(frame).all(axis=None)
        assert ((frame >= 0) & (frame <= 1)).all(axis=None)
        assert (frame["conf_low"] <= frame["estimate"]).all()
        assert (frame["estimate"] <= frame["conf_high"]).all()


def test_the_second_of_two_classes_is_predicted(data, rows):
    X, y = data
    fit = DSLLogisticRegression().fit(X, np.where(y["logistic"] == 1, "no", "a"))
    expected = fit.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(fit.predict_interval(rows)["estimate"], expected, rtol=1e-12)


# ---------------------------------------------------------------------- first differences


MODELS = {
    "linear": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
    "multinomial": DSLLogisticRegression,
}


def partly_labelled(data, model):
    X, y = data
    rng = np.random.default_rng(5)
    truth, machine = y[model], y[model] + rng.integers(-1, 2, N)
    if model == "multinomial":
        truth = truth.map(dict(enumerate("xyz")))
    fit = MODELS[model](learner="linear", n_repeats=2, random_state=1)
    return fit.fit(X, truth.where(rng.random(N) < 0.5), surrogates=machine)


@pytest.mark.parametrize("model", MODELS)
def test_first_differences_are_differences_of_means(data, rows, model):
    fit = partly_labelled(data, model)
    start = rows.assign(a=rows["a"] - 1)
    ours = fit.first_differences(start, rows)

    def difference(beta):
        ends = [with_constant(frame) for frame in (start, rows)]
        if model == "multinomial":
            equations = np.vstack([np.zeros(3), beta.reshape(2, 3)])
            low, high = (softmax(X @ equations.T, axis=1) for X in ends)
            return (high - low).T.ravel()
        link = {"linear": lambda e: e, "logistic": lambda e: 1 / (1 + np.exp(-e))}
        low, high = (link.get(model, np.exp)(X @ beta) for X in ends)
        return high - low

    names = list(rows.index)
    if model == "multinomial":
        names = [f"{label}: {name}" for label in "xyz" for name in rows.index]
    assert list(ours.names) == names
    expected = fit.results_.delta_method(difference, names)
    np.testing.assert_allclose(ours.params, expected.params, rtol=RTOL)
    for field in ("cov", "influence", "split_cov"):
        values = getattr(expected, field)
        np.testing.assert_allclose(
            getattr(ours, field), values, rtol=1e-6, atol=1e-8 * np.abs(values).max()
        )
    assert ours.n_params == fit.results_.n_params
    assert ours.header == fit.results_.header


def test_first_differences_do_without_the_fixed_effects(data, rows):
    X, y = data
    units = np.arange(N) % 30
    absorbed = DSLLinearRegression(covariance="CR1").fit(
        X, y["linear"], fixed_effects=units, clusters=units
    )
    ours = absorbed.first_differences(rows - 1, rows)
    slopes = absorbed.results_.linear_combination(np.ones((1, 2)))
    np.testing.assert_allclose(ours.params, np.repeat(slopes.params, 3), rtol=1e-12)
    np.testing.assert_allclose(ours.std_errors, np.repeat(slopes.std_errors, 3), rtol=1e-12)
    assert (ours.df, ours.n_params) == (absorbed.results_.df, absorbed.results_.n_params)
    with pytest.raises(ValueError, match="absorbed.*ask for first_differences"):
        absorbed.predict_interval(rows)


def test_names_of_rows(data, rows):
    X, y = data
    fit = DSLLinearRegression().fit(X, y["linear"])
    plain = fit.first_differences(rows.reset_index(drop=True), rows.reset_index(drop=True))
    assert plain.names == ("row 0", "row 1", "row 2")
    arrow_like = pl.from_pandas(rows)
    assert fit.first_differences(arrow_like, arrow_like).names == plain.names
    assert fit.first_differences(rows, rows.set_axis([10, 20, 30])).names == ("10", "20", "30")
    with pytest.raises(ValueError, match="two rows of its index are named 'x'"):
        fit.first_differences(rows, rows.set_axis(["x", "y", "x"]))
    with pytest.raises(ValueError, match="X_from has 3 rows and X_to 2"):
        fit.first_differences(rows, rows[:2])
    with pytest.raises(ValueError, match="column 'b' is NaN on 1"):
        fit.first_differences(rows, rows.replace(-1.0, np.nan))


# ---------------------------------------------------------------------- no answer


def questions(model, rows):
    return [
        lambda: model.predict_interval(rows),
        lambda: model.first_differences(rows, rows),
        lambda: model.average_marginal_effects(),
    ]


def test_separated_models_have_no_answer(rows):
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(80, 2)), columns=["a", "b"])
    with pytest.warns(SeparationWarning):
        fit = DSLLogisticRegression().fit(X, (X["a"] > 0).astype(int))
    for question in questions(fit, rows):
        with pytest.raises(ValueError, match="no finite solution.*'a'.* separate the classes"):
            question()


def test_moments_without_a_mean_have_no_answer(data, rows):
    X, y = data
    score = lambda X, y, theta: X * (y - X @ theta)[:, None]  # noqa: E731
    fit = DSLEstimator(score, fit_intercept=True).fit(X, y["linear"])
    for question in questions(fit, rows):
        with pytest.raises(ValueError, match="says nothing of the mean"):
            question()
    assert not hasattr(DSLMean(), "average_marginal_effects")


def test_unknown_level(data, rows):
    X, y = data
    with pytest.raises(ValueError, match="level"):
        DSLLinearRegression().fit(X, y["linear"]).predict_interval(rows, 95)
