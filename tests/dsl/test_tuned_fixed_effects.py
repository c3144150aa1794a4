"""Tuned fits with fixed effects are weighted means of two fits, each made on its own."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from tuned_written_out import (
    Moments,
    Sampling,
    centres,
    design_terms,
    deviations,
    drawn_units,
    factors,
)
from written_out import dummies

from trueness.dsl import DSLLinearRegression
from trueness.dsl.solutions import gold_solution

N, N_LABELS = 600, 200
SRS = {"learner": None, "design": "srswor"}


@pytest.fixture
def data():
    rng = np.random.default_rng(12)
    X = pd.DataFrame(rng.normal(size=(N, 2)), columns=["a", "b"])
    y = 0.3 + X.to_numpy() @ [0.8, -0.5] + rng.normal(size=N)
    return {
        "X": X,
        "y": y,
        "machine": y + 0.4 - 0.3 * X["a"].to_numpy() + 0.8 * rng.normal(size=N),
        "drawn": np.isin(np.arange(N), rng.permutation(N)[:N_LABELS]),
        "noise": rng.normal(size=N),
    }


def grouped(data, n_levels):
    """Add effects of levels; each level has two labels, so that no row has leverage 1."""
    rng = np.random.default_rng(4)
    level = rng.integers(0, n_levels, N)
    level[np.flatnonzero(data["drawn"])] = np.arange(N_LABELS) % n_levels
    data["y"] = data["y"] + rng.normal(size=n_levels)[level]
    data["machine"] = data["machine"] + rng.normal(size=n_levels)[level]
    return level


@pytest.mark.parametrize("tuning", ["diagonal", "scalar", "matrix"])
def test_fixed_effects_and_predicted_covariates_weigh_two_fits(data, tuning):
    level, drawn = grouped(data, 60), data["drawn"]
    X = data["X"].assign(b=data["X"]["b"].where(drawn))
    hat = data["X"]["b"] + 0.5 * data["noise"]
    y = np.where(drawn, data["y"], np.nan)
    arguments = {"surrogates": np.column_stack([data["machine"], hat]), "fixed_effects": level}
    ours, plain = (
        DSLLinearRegression(tuning=kind, predicted_features="b", **SRS).fit(X, y, **arguments)
        for kind in (tuning, None)
    )
    gold = DSLLinearRegression().fit(X[drawn], y[drawn], fixed_effects=level[drawn])
    weights = ours.diagnostics_.tuning_weights
    weights = weights if weights.ndim == 2 else np.diag(weights)
    assert (np.diag(weights) > 0.05).all()
    mixed = gold.coef_ + weights @ (plain.coef_ - gold.coef_)
    assert_allclose(ours.coef_, mixed, rtol=1e-8)


@pytest.mark.parametrize("target", ["superpopulation", "population"])
@pytest.mark.parametrize("n_levels", [10, 60])
def test_fixed_effects_weigh_two_fits(data, n_levels, target):
    """beta_0 + Lambda (beta_1 - beta_0), with the weights and errors of both influence values."""
    level = grouped(data, n_levels)
    drawn, X = data["drawn"], data["X"].to_numpy()
    y = np.where(drawn, data["y"], np.nan)
    arguments = {"surrogates": data["machine"], "fixed_effects": level}
    ours, plain = (
        DSLLinearRegression(tuning=tuning, target=target, **SRS).fit(X, y, **arguments)
        for tuning in ("diagonal", None)
    )
    gold = DSLLinearRegression().fit(X[drawn], y[drawn], fixed_effects=level[drawn])
    weights = ours.diagnostics_.tuning_weights
    mixed = gold.coef_ + weights * (plain.coef_ - gold.coef_)
    assert_allclose(ours.coef_, mixed, rtol=1e-8)

    def influence(rows):
        D = dummies(level[:, None][rows])
        within = X[rows] - D @ np.linalg.lstsq(D, X[rows], rcond=None)[0]
        return within @ np.linalg.inv(within.T @ within), within, D

    bread, within, D = influence(drawn)
    full = np.column_stack([D, X[drawn]])
    residual = y[drawn] - full @ np.linalg.lstsq(full, y[drawn], rcond=None)[0]
    share = N_LABELS / N
    # n influence values: those of the labelled rows alone, expanded to the frame.
    psi = N * share * bread * residual[:, None]
    every, _, _ = influence(np.ones(N, dtype=bool))
    own = N * every[drawn] * (data["y"] - data["machine"])[drawn, None]
    # The root of what the effects leave of an error, and all of what the slopes leave.
    of_effects = np.einsum("ij,ij->i", D @ np.linalg.pinv(D.T @ D), D)
    of_slopes = np.einsum("ij,ij->i", bread, within)
    starred = psi / (np.sqrt(1 - of_effects) * (1 - of_slopes))[:, None]
    sampling = Sampling(np.full(N, share), True)
    units = drawn_units(sampling, drawn)
    change = starred - own
    pairs = ((starred, starred), (starred, change), (change, change))
    from_labels = Moments(*(design_terms(units, *pair, is_fixed=True) for pair in pairs))
    assert_allclose(weights, np.diag(from_labels.weights("diagonal")), rtol=1e-7)
    own_starred = np.array(
        [
            starred[u] - from_labels.weights("diagonal", u) @ (starred[u] - own[u])
            for u in range(N_LABELS)
        ]
    )
    z, c = deviations(units, own_starred, is_fixed=True), factors(units, is_fixed=True)[0]
    if target == "population":
        assert_allclose(ours.results_.cov, c * z.T @ z / N**2, rtol=1e-7)
        return
    pseudo = data["machine"] + drawn / share * (data["y"] - data["machine"])
    D = np.column_stack([dummies(level[:, None]), X])
    rest = pseudo - D @ np.linalg.lstsq(D, pseudo, rcond=None)[0]
    errors = psi - weights * (psi - own)
    moments = weights * N * every * rest[:, None]
    moments[drawn] += (1 - weights) * psi / share
    centre, before = (of(units, errors, is_fixed=True) for of in (centres, deviations))
    moments += share * centre[0]
    moments[drawn] += (np.sqrt(c + share) - 1) * before - centre + (1 - share) * (z - before)
    assert_allclose(ours.results_.cov, moments.T @ moments / N**2, rtol=1e-7)


def test_errors_of_unequal_labels_keep_what_effects_leave_of_them(data):
    """Over the root of (I - P)(I - P)', P weighted by 1 / probability, then HC3 of slopes."""
    level = grouped(data, 40)
    X, drawn = data["X"].to_numpy(), data["drawn"]
    chance = np.random.default_rng(3).uniform(0.1, 0.6, N)
    ours = DSLLinearRegression(learner=None, normalize=False).fit(
        data["X"],
        np.where(drawn, data["y"], np.nan),
        surrogates=data["machine"],
        sampling_probability=chance,
        fixed_effects=level,
    )
    parts = gold_solution(ours._fitted.data, small_sample=True).parts
    root = np.sqrt(1 / chance[drawn])
    D = dummies(level[drawn][:, None])
    P = D @ np.linalg.pinv(D * root[:, None]) * root
    within = X[drawn] - P @ X[drawn]
    total = within.T @ (within * root[:, None] ** 2)
    full = np.column_stack([D, X[drawn]]) * root[:, None]
    residual = data["y"][drawn] - (full / root[:, None]) @ np.linalg.pinv(full) @ (
        data["y"][drawn] * root
    )
    left = ((np.eye(N_LABELS) - P) ** 2).sum(axis=1)
    of_slopes = root**2 * np.einsum("ij,jk,ik->i", within, np.linalg.inv(total), within)
    starred = within * (residual / np.sqrt(left) / (1 - of_slopes))[:, None]
    assert np.abs(left - 1 + np.diag(P)).max() > 0.02  # not what plain HC2 would divide by
    assert_allclose(parts.errors, within * residual[:, None], rtol=1e-7, atol=1e-9)
    assert_allclose(parts.errors + parts.correction, starred, rtol=1e-7, atol=1e-9)
