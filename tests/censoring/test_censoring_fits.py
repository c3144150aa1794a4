"""Weighted regressions solve their equations and agree with other software."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, QuantileRegressor

from trueness.censoring.numerics.fits import linear_fit, logistic_fit, quantile_fit


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(8)
    x = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    z = x @ [1.0, 0.5, -0.3] + rng.gumbel(size=300)
    weight = rng.uniform(0.5, 3.0, 300) * (rng.random(300) < 0.7)
    z[weight == 0] = np.nan  # must not be touched
    return x, z, weight


def assert_same(fit, model):
    np.testing.assert_allclose(fit.coef, np.append(model.intercept_, model.coef_), atol=1e-6)
    assert fit.converged


def test_linear(sample):
    x, z, weight = sample
    kept = weight > 0
    fit = linear_fit(x, z, weight, 300.0)
    assert_same(fit, LinearRegression().fit(x[kept, 1:], z[kept], weight[kept]))
    np.testing.assert_allclose(weight @ fit.score, 0, atol=1e-10)
    np.testing.assert_allclose(fit.curvature, (x * weight[:, None]).T @ x / 300)


def test_logistic(sample):
    x, z, weight = sample
    kept = weight > 0
    binary = (z > 1).astype(float)
    fit = logistic_fit(x, binary, weight, 300.0)
    model = LogisticRegression(C=np.inf, tol=1e-12).fit(x[kept, 1:], binary[kept], weight[kept])
    assert_same(fit, model)
    np.testing.assert_allclose(weight @ fit.score, 0, atol=1e-8)


def test_logistic_takes_targets_outside_the_unit_interval(sample):
    x, z, weight = sample
    outcome = np.where(weight > 0, 0.4 * z, 0.0)
    assert outcome.max() > 1 and outcome.min() < 0
    fit = logistic_fit(x, outcome, weight, 300.0)
    assert fit.converged
    np.testing.assert_allclose(weight @ fit.score, 0, atol=1e-8)


def test_separation_is_not_called_converged(sample):
    x, _, weight = sample
    assert not logistic_fit(x, (x[:, 1] > 0).astype(float), weight, 300.0).converged


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.8])
def test_quantile(sample, quantile):
    x, z, weight = sample
    kept = weight > 0
    fit = quantile_fit(x, z, weight, 300.0, quantile)
    model = QuantileRegressor(quantile=quantile, alpha=0.0)
    assert_same(fit, model.fit(x[kept, 1:], z[kept], weight[kept]))
    # At a minimum the scores differ from zero by no more than the rows that are passed through.
    passed = np.abs(z - x @ fit.coef) < 1e-8
    slack = (weight[passed, None] * np.abs(x[passed])).sum(axis=0)
    assert (np.abs(weight @ fit.score) <= slack + 1e-8).all()
    assert passed.sum() == 3


def test_curvature_of_the_median_is_the_density():
    rng = np.random.default_rng(2)
    z = rng.normal(size=20000)
    fit = quantile_fit(np.ones((20000, 1)), z, np.ones(20000), 20000.0, 0.5)
    # The kernel smooths the density at its mode from 0.399 to 0.399 / sqrt(1 + h^2), h = 0.110.
    assert fit.curvature[0, 0] == pytest.approx(0.3965, abs=0.012)
