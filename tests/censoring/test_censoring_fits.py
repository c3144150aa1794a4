"""Weighted regressions solve their equations and agree with other software."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression, QuantileRegressor

from trueness.censoring.numerics.fits import (
    linear_fit,
    logistic_fit,
    quantile_fit,
    quantile_point,
)


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
    np.testing.assert_allclose(fit.information, weight)


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
    x = np.column_stack([np.ones(8000), rng.normal(size=8000)])
    fit = quantile_fit(x, rng.normal(size=8000), np.ones(8000), 8000.0, 0.5)
    # Between two quantiles 0.1 apart lie some 800 rows, so that 0.399 is known to 3.5 percent.
    assert fit.curvature[0, 0] == pytest.approx(0.399, abs=0.04)


@pytest.mark.parametrize("quantile", [0.3, 0.5])
def test_density_follows_the_covariates(quantile):
    """Scales from one to three: a common density would be off by half at the ends."""
    rng = np.random.default_rng(5)
    n = 5000
    x = np.column_stack([np.ones(n), rng.random(n)])
    scale = 1.0 + 2.0 * x[:, 1]
    weight = rng.uniform(0.5, 3.0, n)
    fit = quantile_fit(x, 5.0 + scale * rng.normal(size=n), weight, float(n), quantile)
    expected = weight * norm.pdf(norm.ppf(quantile)) / scale
    np.testing.assert_allclose(fit.information, expected, rtol=0.2)


def test_crossing_quantiles_do_not_make_a_density():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(40), rng.normal(size=40) ** 3])
    z = x[:, 0] + rng.normal(size=40) / (1 + np.abs(x[:, 1]))
    fit = quantile_fit(x, z, np.ones(40), 40.0, 0.5)
    assert (fit.information > 0).all()
    # They do cross far out, and no density is more than four times that of the middle.
    assert fit.information.max() / np.median(fit.information) == pytest.approx(4.0, abs=0.5)


def test_ties_at_the_median_are_stepped_over():
    rng = np.random.default_rng(3)
    months = np.ceil(2 * rng.exponential(size=3000))
    fit = quantile_fit(np.ones((3000, 1)), months, np.ones(3000), 3000.0, 0.5)
    assert fit.coef[0] == 2.0
    # The second month holds the 0.40 to 0.63 quantiles, and the step is 0.07.
    assert fit.curvature[0, 0] == pytest.approx((months == 2).mean(), rel=0.5)


def test_point_estimates_take_one_fit(sample):
    x, z, weight = sample
    fit, point = quantile_fit(x, z, weight, 300.0, 0.3), quantile_point(x, z, weight, 0.3)
    np.testing.assert_array_equal(point.coef, fit.coef)
    assert point.converged
    assert np.isnan(point.curvature).all()
