"""Tuned marginal effects, and what tuned estimates do not depend on."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import root
from scipy.special import expit
from tuned_written_out import (
    Sampling,
    Tuned,
    design_terms,
    drawn_units,
    unit_totals,
)
from written_out import MODELS, Version, relative_residual

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, GoldSample

N = 500
TUNINGS = ("diagonal", "scalar", "matrix", None)
MEANS = {"linear": lambda e: e, "logistic": expit}
ESTIMATORS = {"linear": DSLLinearRegression, "logistic": DSLLogisticRegression}


@pytest.fixture
def data():
    rng = np.random.default_rng(21)
    unit = np.repeat(np.arange(50), 10)
    a, b = rng.normal(size=(2, N)) + 0.3 * rng.normal(size=50)[unit]
    y = 0.2 + 0.7 * a - 0.5 * b + rng.normal(size=N)
    return {
        "X": pd.DataFrame({"a": a, "b": b}),
        "linear": y,
        "logistic": (y > 0).astype(float),
        "b_hat": 0.8 * b + 0.2 * y + 0.4 * rng.normal(size=N),
        "noise": rng.normal(size=N),
        "unit": unit,
        "stratum": (a > 0).astype(int),
    }


def machine_of(data, model):
    if model == "linear":
        return data["linear"] + 0.4 - 0.3 * data["X"]["a"].to_numpy() + 0.7 * data["noise"]
    return np.where(data["noise"] > 1, 1 - data["logistic"], data["logistic"])


DESIGNS = {
    "simple_random": lambda data: GoldSample.simple_random(N, 220, random_state=1),
    "stratified": lambda data: GoldSample.stratified(
        N, data["stratum"], allocation=[140, 80], random_state=2
    ),
    "whole units": lambda data: GoldSample.clusters(N, data["unit"], 24, random_state=3),
}


def fit(model, data, sample, X=None, **options):
    """Fit with gaps in y and in the column b."""
    X = data["X"] if X is None else X
    shown = X.assign(b=X["b"].where(sample.drawn))
    surrogates = np.column_stack([machine_of(data, model), data["b_hat"]])
    y = np.where(sample.drawn, data[model], np.nan)
    estimator = ESTIMATORS[model](learner=None, predicted_features="b", **options)
    return estimator.fit(shown, y, surrogates=surrogates, gold_sample=sample)


def equation(model, data, sample):
    hat = data["X"].assign(b=data["b_hat"])
    frames = ((hat, machine_of(data, model)), (data["X"], data[model]))
    parts = [Version(np.column_stack([np.ones(N), frame]), y) for frame, y in frames]
    units = data["unit"] if sample.units is not None else None
    groups = data["stratum"] if sample.strata is not None else None
    sampling = Sampling(sample.probability, True, groups, units)
    return Tuned.of(model, *parts, sample.drawn, sampling)


# ---------------------------------------------------------------------- marginal effects


def slopes(model, part, beta):
    """Return the derivative of the mean by each covariate, shape (n, 2)."""
    index = part.design @ beta
    slope = np.ones(N) if model == "linear" else expit(index) * (1 - expit(index))
    return slope[:, None] * beta[1:]


@pytest.mark.parametrize("tuning", ["diagonal", "scalar", "matrix"])
@pytest.mark.parametrize("draw", DESIGNS)
def test_effects_solve_their_own_tuned_equation(data, draw, tuning):
    """Coefficients and averages stacked, each with its weights, and C_D of the stacked errors."""
    sample = DESIGNS[draw](data)
    if draw == "whole units" and tuning == "matrix":
        # Too few units: the fit falls back to diagonal weights, which the other cells test.
        pytest.skip("a matrix of weights needs more units")
    fitted = fit("logistic", data, sample, tuning=tuning, target="population")
    effects = fitted.average_marginal_effects()
    reference = equation("logistic", data, sample)
    answer = reference.answer(tuning, target="population")
    beta, p = answer.params, 3
    hat, true = (slopes("logistic", part, beta) for part in (reference.predicted, reference.gold))
    w = (sample.drawn / sample.probability)[:, None]

    def average(at, share):
        parts = (slopes("logistic", part, at) for part in (reference.predicted, reference.gold))
        predicted, gold = parts
        return (share * (1 - w) * predicted + w * gold).mean(axis=0)

    def gradient(share):
        steps = 1e-3 * np.eye(p)
        rise = lambda s, k: average(beta + k * s, share) - average(beta - k * s, share)  # noqa: E731
        columns = [(8 * rise(s, 1) - rise(s, 2)) / (12 * 1e-3) for s in steps]
        return np.column_stack(columns)

    units = drawn_units(reference.sampling, sample.drawn)
    loading = gradient(1.0) @ np.linalg.inv(answer.jacobian)
    target = unit_totals(units, true + answer.errors @ loading.T)
    machine = unit_totals(units, hat)
    cross, square = (
        np.diagonal(design_terms(units, left, machine, is_fixed=True).sum(axis=0))
        for left in (target, machine)
    )
    share = np.clip(cross / square, 0, 1)
    assert ((share > 0.05) & (share < 1.0)).any()

    def stacked(theta):
        beta, tau = theta[:p], theta[p:]
        predicted, gold = (
            slopes("logistic", part, beta) - tau for part in (reference.predicted, reference.gold)
        )
        averages = share * (1 - w) * predicted + w * gold
        return np.hstack([reference.moments(answer.gamma, beta), averages])

    start = np.append(beta, true.mean(axis=0))
    theta = root(lambda t: stacked(t).mean(axis=0), start, tol=1e-13).x
    assert relative_residual(stacked(theta)) < 1e-9
    assert_allclose(effects.params, theta[p:], rtol=1e-7)
    tau, loading = theta[p:], gradient(share) @ np.linalg.inv(answer.jacobian)
    total = (share * (1 - w) + w).sum(axis=0)
    own = unit_totals(units, true - tau - share * (hat - tau))
    errors = own + answer.starred @ loading.T
    cov = design_terms(units, errors, errors, is_fixed=True).sum(axis=0) / np.outer(total, total)
    assert_allclose(effects.cov, cov, rtol=1e-6)


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("draw", DESIGNS)
def test_linear_effects_are_the_tuned_coefficients(data, draw, tuning):
    if draw == "whole units" and tuning == "matrix":
        # Too few units: the fit falls back to diagonal weights, which the other cells test.
        pytest.skip("a matrix of weights needs more units")
    fitted = fit("linear", data, DESIGNS[draw](data), tuning=tuning)
    effects = fitted.average_marginal_effects()
    assert_allclose(effects.params, fitted.results_.params[1:], rtol=1e-8)
    assert_allclose(effects.cov, fitted.results_.cov[1:, 1:], rtol=1e-7)


def test_the_unit_of_a_variable_is_the_unit_of_its_tuned_effect(data):
    sample = DESIGNS["simple_random"](data)
    scaled = data["X"].assign(a=0.1 * data["X"]["a"])
    effects, usual = (
        fit("logistic", data, sample, X).average_marginal_effects() for X in (scaled, data["X"])
    )
    assert_allclose(effects.params, usual.params * [10, 1], rtol=1e-6)
    assert_allclose(effects.std_errors, usual.std_errors * [10, 1], rtol=1e-6)


# ---------------------------------------------------------------------- invariance


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("model", ESTIMATORS)
def test_units_of_columns_do_not_matter(data, model, tuning):
    sample = DESIGNS["stratified"](data)
    usual = fit(model, data, sample, tuning=tuning).results_
    scale = np.array([1.0, 1e3, 1e-2])
    X = data["X"] * [1e-3, 1e2]
    data["b_hat"] = data["b_hat"] * 1e2
    ours = fit(model, data, sample, X, tuning=tuning).results_
    assert_allclose(ours.params, usual.params * scale, rtol=1e-7)
    assert_allclose(ours.cov, usual.cov * np.outer(scale, scale), rtol=1e-6)


def known_covariates(model, data, sample, X, tuning):
    y = np.where(sample.drawn, data[model], np.nan)
    estimator = ESTIMATORS[model](learner=None, tuning=tuning)
    fitted = estimator.fit(X, y, surrogates=machine_of(data, model), gold_sample=sample)
    return fitted.results_


@pytest.mark.parametrize("model", ESTIMATORS)
def test_only_matrices_of_weights_do_without_a_basis(data, model):
    """Another basis X A turns the coefficients by A^-1, as matrix weights and no weights do.

    Weights of single coefficients, and of sums of their relative variances, belong to a basis.
    """
    sample, X = DESIGNS["simple_random"](data), data["X"].to_numpy()
    mixing = np.array([[1.0, 0.8, -1.5], [0.0, 1.0, 0.7], [0.0, -0.4, 2.0]])
    turned = (np.column_stack([np.ones(N), X]) @ mixing)[:, 1:]
    back = np.linalg.inv(mixing)
    for tuning in TUNINGS:
        usual, ours = (known_covariates(model, data, sample, Z, tuning) for Z in (X, turned))
        gap = np.abs(mixing @ ours.params - usual.params).max()
        if tuning in ("matrix", None):
            assert gap < 1e-8
            assert_allclose(ours.cov, back @ usual.cov @ back.T, rtol=1e-6)
        else:
            assert 1e-6 < gap < usual.std_errors.max()


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("draw", ["simple_random", "stratified"])
@pytest.mark.parametrize("model", ESTIMATORS)
def test_the_tuned_moments_vanish(data, model, draw, tuning):
    """With the weights that the fit reports, in moments made anew."""
    sample = DESIGNS[draw](data)
    fitted = fit(model, data, sample, tuning=tuning)
    reference = equation(model, data, sample)
    nothing = np.zeros((3, 3))
    at = reference.solve(nothing, np.zeros(3))
    if tuning is not None:
        at, _, _ = reference.round(tuning, at)
    base = reference.jacobian(nothing, at)
    weights = fitted.diagnostics_.tuning_weights
    weights = np.ones(3) if weights is None else weights
    weights = np.diag(weights) if weights.ndim == 1 else weights
    gamma = base @ weights @ np.linalg.inv(base)
    assert relative_residual(reference.moments(gamma, fitted.results_.params)) < 1e-8
    assert max(fitted.diagnostics_.residuals) <= 1e-10
    assert reference.moment is MODELS[model][0]


@pytest.mark.parametrize("tuning", TUNINGS)
def test_the_order_of_rows_does_not_matter(data, tuning):
    drawn = np.random.default_rng(5).random(N) < 0.5
    order = np.random.default_rng(6).permutation(N)
    fits = []
    for rows in (np.arange(N), order):
        X = data["X"].assign(b=data["X"]["b"].where(drawn)).iloc[rows]
        y = np.where(drawn, data["linear"], np.nan)[rows]
        surrogates = np.column_stack([machine_of(data, "linear"), data["b_hat"]])[rows]
        model = DSLLinearRegression(
            learner=None, tuning=tuning, predicted_features="b", design="stratified"
        )
        model.fit(X, y, surrogates=surrogates, strata=data["stratum"][rows])
        fits.append(model.results_)
    assert_allclose(fits[1].params, fits[0].params, rtol=1e-9)
    assert_allclose(fits[1].cov, fits[0].cov, rtol=1e-8)
    assert_allclose(fits[1].influence, fits[0].influence[order], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_frames_agree_to_the_bit(data, tuning):
    drawn = np.random.default_rng(5).random(N) < 0.5
    machine, y = machine_of(data, "linear"), np.where(drawn, data["linear"], np.nan)
    fits = []
    for frame, series in ((pd.DataFrame, pd.Series), (pl.DataFrame, pl.Series)):
        model = DSLLinearRegression(learner=None, tuning=tuning, design="stratified")
        X = frame({name: data["X"][name].to_numpy() for name in data["X"]})
        names = np.array(["low", "high"])[data["stratum"]]
        model.fit(X, series(y), surrogates=series(machine), strata=series(names))
        fits.append(model.results_)
    assert_array_equal(fits[0].params, fits[1].params)
    assert_array_equal(fits[0].cov, fits[1].cov)
