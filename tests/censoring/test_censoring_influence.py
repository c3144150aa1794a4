"""Influence of the estimated curve: exact derivatives in case weights, ties included."""

import numpy as np
import pytest

from trueness.censoring.numerics import curves
from trueness.censoring.numerics.influence import cox_terms, marginal_terms

N = 50


@pytest.fixture(scope="module", params=[0, 1, 2])
def rows(request):
    """Tied durations with a horizon, case weights, and two columns to be summed."""
    rng = np.random.default_rng(request.param)
    x = rng.normal(size=(N, 2))
    time = np.ceil(8 * rng.exponential(size=N)) / 4
    event = rng.random(N) < 0.6
    horizon = 3.0
    z = np.minimum(time, horizon)
    known = (event & (time <= horizon)) | (time >= horizon)
    phi = np.column_stack([z, np.sin(z) * x[:, 0]])
    weight = rng.uniform(0.5, 2.0, N)
    return x, time, event, z, known, phi, weight


def derivative(function, weight, step=1e-5):
    """Return central differences of a function of the case weights, one row per weight."""
    rows = []
    for i in range(len(weight)):
        up, down = weight.copy(), weight.copy()
        up[i] += step
        down[i] -= step
        rows.append((function(up) - function(down)) / (2 * step))
    return np.array(rows)


def product_limit(time, event, at, weight, entry=None):
    """The censoring curve just before each time, written out."""
    entry = np.full(len(time), -1.0) if entry is None else entry
    curve = np.ones(len(at))
    for v in np.unique(time[~event]):
        falls = weight[(time == v) & ~event].sum()
        stays = weight[(time > v) & (entry < v)].sum()
        curve[at > v] *= stays / (stays + falls)
    return curve


def cox(x, time, event, at, weight):
    """Breslow's partial likelihood by Newton steps, and the curves just before each time."""
    jumps = np.unique(time[~event])
    at_risk = [(time > v) | ((time == v) & ~event) for v in jumps]
    falls = [(time == v) & ~event for v in jumps]
    coef = np.zeros(x.shape[1])
    for _ in range(25):
        risk = weight * np.exp(x @ coef)
        score, information = np.zeros(len(coef)), np.zeros((len(coef),) * 2)
        for here, out in zip(at_risk, falls, strict=True):
            share = risk[here] / risk[here].sum()
            mean = share @ x[here]
            total = weight[out].sum()
            score += weight[out] @ x[out] - total * mean
            information += total * ((x[here] * share[:, None]).T @ x[here] - np.outer(mean, mean))
        coef = coef + np.linalg.solve(information, score)
    risk = weight * np.exp(x @ coef)
    hazard = np.zeros(len(at))
    for v, here, out in zip(jumps, at_risk, falls, strict=True):
        hazard[at > v] += weight[out].sum() / risk[here].sum()
    return coef, np.exp(-hazard * np.exp(x @ coef))


def test_marginal_terms_are_the_derivative(rows):
    _, time, event, z, known, phi, weight = rows

    def total(a):
        return (a * known / product_limit(time, event, z, a)) @ phi

    contributions = (known / product_limit(time, event, z, weight))[:, None] * phi
    terms = marginal_terms(contributions, z, time, event, weight=weight)
    np.testing.assert_allclose(contributions + terms, derivative(total, weight), atol=1e-7)
    assert np.abs(terms).max() > 0.1  # or else the test would say nothing


def test_marginal_terms_with_delayed_entry(rows):
    _, time, event, z, known, phi, weight = rows
    entry = np.random.default_rng(5).uniform(0, 1, N) * (time - 0.2) * 0.6

    def total(a):
        return (a * known / product_limit(time, event, z, a, entry)) @ phi

    curve = product_limit(time, event, z, weight, entry)
    contributions = (known / curve)[:, None] * phi
    terms = marginal_terms(contributions, z, time, event, weight=weight, entry=entry)
    np.testing.assert_allclose(contributions + terms, derivative(total, weight), atol=1e-7)


def test_cox_terms_are_the_derivative(rows):
    x, time, event, z, known, phi, weight = rows

    def total(a):
        return (a * known / cox(x, time, event, z, a)[1]) @ phi

    coef, curve = cox(x, time, event, z, weight)
    contributions = (known / curve)[:, None] * phi
    terms = cox_terms(contributions, z, time, event, x + 10.0, coef, weight=weight)
    expected = derivative(total, weight)
    np.testing.assert_allclose(contributions + terms, expected, atol=1e-7 * np.abs(expected).max())


def test_sums_of_survival_indicators_have_greenwoods_errors(rows):
    _, time, event, *_ = rows
    counts = curves.count(time, event)
    survival, errors = curves.survival(counts, "event"), curves.greenwood(counts, "event")
    left = product_limit(time, event, time, np.ones(N))
    for u, value, error in zip(counts.times[:-3], survival[:-3], errors[:-3], strict=True):
        # The mass of events until u is 1 - S(u), so both have one standard error.
        mass = np.divide(event & (time <= u), left, out=np.zeros(N), where=left > 0)
        terms = marginal_terms(mass[:, None], time, time, event)[:, 0]
        influence = mass - mass.mean() + terms
        assert mass.mean() == pytest.approx(1 - value, abs=1e-12)
        assert np.sqrt((influence**2).sum()) / N == pytest.approx(error, rel=1e-10)


def test_without_censoring_there_is_nothing_to_add(rows):
    x, time, _, z, _, phi, _ = rows
    everyone = np.ones(N, dtype=bool)
    assert not marginal_terms(phi, z, time, everyone).any()
    assert not cox_terms(phi, z, time, everyone, x, np.zeros(2)).any()
