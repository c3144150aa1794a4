"""Errors without the leverage of their own rows: brute force, and rows left out."""

import numpy as np
import pytest
from scipy import linalg

from trueness.censoring.numerics.fits import linear_fit, quantile_fit
from trueness.censoring.numerics.influence import marginal_terms
from trueness.censoring.numerics.leverage import POWERS, leverage_free_meat

N = 60


@pytest.fixture(scope="module")
def rows():
    """A weighted fit with a few heavy rows, and terms of a curve that is not there."""
    rng = np.random.default_rng(4)
    x = np.column_stack([np.ones(N), rng.normal(size=(N, 2))])
    z = x @ [1.0, 0.5, -0.3] + rng.gumbel(size=N)
    weight = rng.exponential(size=N) ** 3 * (rng.random(N) < 0.7)
    return x, z, weight, rng.normal(size=(N, 3))


def by_hand(own, terms, x, information, power, groups):
    """The matrix function, written out."""
    total = (x * information[:, None]).T @ x
    middle = np.zeros_like(total)
    for group in groups:
        block = (x[group] * information[group, None]).T @ x[group]
        room = np.eye(len(total)) - block @ np.linalg.inv(total)
        factor = np.linalg.inv(room) if power == 1.0 else np.linalg.inv(linalg.sqrtm(room).real)
        moment = factor @ own[group].sum(axis=0) + terms[group].sum(axis=0)
        middle += np.outer(moment, moment)
    return middle


@pytest.mark.parametrize("kind", POWERS)
def test_moments_are_divided_by_what_leverage_leaves(rows, kind):
    x, z, weight, terms = rows
    fit = linear_fit(x, z, weight, float(N))
    own = weight[:, None] * fit.score
    codes = np.random.default_rng(1).integers(0, 20, N) if kind.startswith("CR") else None
    groups = [[i] for i in range(N)] if codes is None else [codes == g for g in range(20)]
    found = leverage_free_meat(own, terms, x, fit.information, kind, codes)
    expected = by_hand(own, terms, x, fit.information, POWERS[kind], groups)
    np.testing.assert_allclose(found.total, expected, rtol=1e-8)
    assert found.n_saturated == 0
    plain = leverage_free_meat(own, terms, x, fit.information, kind[:2] + "0", codes).total
    assert np.abs(found.total / plain - 1).max() > 0.2  # or else the test would say nothing


@pytest.mark.parametrize("kind", ["2", "3"])
def test_clusters_of_one_row_are_rows(rows, kind):
    x, z, weight, terms = rows
    fit = linear_fit(x, z, weight, float(N))
    own = weight[:, None] * fit.score
    by_row = leverage_free_meat(own, terms, x, fit.information, f"HC{kind}")
    by_cluster = leverage_free_meat(own, terms, x, fit.information, f"CR{kind}", np.arange(N))
    np.testing.assert_allclose(by_cluster.total, by_row.total, rtol=1e-9)


def test_hc3_is_leaving_out_rows_of_known_weight(rows):
    x, z, weight, _ = rows
    fit = linear_fit(x, z, weight, float(N))
    own = weight[:, None] * fit.score
    middle = leverage_free_meat(own, np.zeros_like(own), x, fit.information, "HC3").total
    inverse = np.linalg.inv(fit.curvature * N)
    moved = []
    for i in range(N):
        others = weight.copy()
        others[i] = 0.0
        moved.append(linear_fit(x, z, others, float(N)).coef - fit.coef)
    np.testing.assert_allclose(inverse @ middle @ inverse, np.transpose(moved) @ moved, rtol=1e-8)


def test_hc3_is_near_to_leaving_out_rows_with_their_part_in_the_curve():
    """Censoring at random; the last rows weigh ten times the first."""
    rng = np.random.default_rng(6)
    n = 120
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    duration, censored = rng.weibull(1.5, n), rng.exponential(0.8, n)
    time, event = np.minimum(duration, censored), duration <= censored
    target = np.minimum(time, 1.5)
    known = event | (time >= 1.5)

    def weights(kept):
        curve = np.ones(n)
        for v in np.sort(time[~event & kept]):
            at_risk = (kept & (time >= v)).sum()
            curve[target > v] *= 1 - 1 / at_risk
        return known * kept / curve

    everybody = np.ones(n, dtype=bool)
    weight = weights(everybody)
    assert weight.max() > 5
    fit = linear_fit(x, target, weight, float(n))
    own = weight[:, None] * fit.score
    terms = marginal_terms(own, target, time, event)
    inverse = np.linalg.inv(fit.curvature * n)
    errors = {}
    for kind in ("HC0", "HC2", "HC3"):
        middle = leverage_free_meat(own, terms, x, fit.information, kind).total
        errors[kind] = np.sqrt(np.diag(inverse @ middle @ inverse))
    moved = []
    for i in range(n):
        kept = everybody.copy()
        kept[i] = False
        moved.append(linear_fit(x, target, weights(kept), float(n)).coef)
    jackknife = np.sqrt(((moved - np.mean(moved, axis=0)) ** 2).sum(axis=0))
    assert (errors["HC0"] < 0.97 * jackknife).all()
    assert (errors["HC0"] < errors["HC2"]).all()
    assert (errors["HC2"] < errors["HC3"]).all()
    np.testing.assert_allclose(errors["HC3"], jackknife, rtol=0.03)


def test_a_row_alone_in_a_direction_is_counted_and_left_out(rows):
    x, z, weight, terms = rows
    alone = np.zeros(N)
    alone[np.argmax(weight)] = 1.0
    x = np.column_stack([x, alone])
    terms = np.column_stack([terms, terms[:, 0]])
    fit = linear_fit(x, z, weight, float(N))
    own = weight[:, None] * fit.score
    found = leverage_free_meat(own, terms, x, fit.information, "HC3")
    assert found.n_saturated == 1
    clustered = leverage_free_meat(own, terms, x, fit.information, "CR3", np.arange(N))
    assert clustered.n_saturated == 1
    np.testing.assert_allclose(found.total, clustered.total, rtol=1e-7)


def test_leverage_of_quantiles_sums_to_the_number_of_coefficients(rows):
    x, z, weight, _ = rows
    fit = quantile_fit(x, z, weight, float(N), 0.5)
    total = (x * fit.information[:, None]).T @ x
    np.testing.assert_allclose(total, fit.curvature * N)
    leverage = fit.information * np.einsum("ij,jk,ik->i", x, np.linalg.inv(total), x)
    assert leverage.sum() == pytest.approx(3.0)
    assert (leverage[weight == 0] == 0).all()
