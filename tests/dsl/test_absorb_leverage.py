"""Leverages of absorbed effects are the diagonal of the hat matrix of their dummies."""

import numpy as np
import pytest
from written_out import dummies, hat_diagonal

from trueness.dsl.numerics import absorb
from trueness.dsl.numerics.absorb import SIGN_DRAWS, FixedEffects

N = 400


def effects_of(n_effects, *, n_units=70):
    """Levels of unequal sizes; some units and firms have a single row."""
    rng = np.random.default_rng(7)
    unit = (n_units * rng.random(N) ** 2).astype(int)
    firm, year, place = rng.integers(0, 25, N), rng.integers(0, 9, N), rng.integers(0, 4, N)
    codes = np.column_stack([unit, firm, year, place])[:, :n_effects]
    return np.column_stack([np.unique(column, return_inverse=True)[1] for column in codes.T])


def weight_of(weighted):
    return np.random.default_rng(8).uniform(0.1, 5.0, N) if weighted else None


def hat(codes, weight):
    return hat_diagonal(dummies(codes), np.ones(len(codes)) if weight is None else weight)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_effects", [1, 2, 3, 4])
def test_leverage_is_the_hat_diagonal(n_effects, weighted):
    codes, weight = effects_of(n_effects), weight_of(weighted)
    effects = FixedEffects(codes, weight)
    expected = hat(codes, weight)
    np.testing.assert_allclose(effects.leverage(np.arange(N)), expected, rtol=0, atol=1e-11)
    assert expected.sum() == pytest.approx(effects.rank, rel=1e-12)  # the reference itself


@pytest.mark.parametrize("n_effects", [1, 2, 3])
def test_rows_may_be_any_in_any_order(n_effects, monkeypatch):
    monkeypatch.setattr(absorb, "DENSE_BLOCK", 100)  # a few rows at a time
    codes, weight = effects_of(n_effects), weight_of(True)
    rows = np.random.default_rng(9).choice(N, 137, replace=False)
    leverage = FixedEffects(codes, weight).leverage(rows)
    np.testing.assert_allclose(leverage, hat(codes, weight)[rows], rtol=0, atol=1e-11)
    assert FixedEffects(codes, weight).leverage(rows[:0]).shape == (0,)


def test_rows_alone_in_a_level_have_leverage_one():
    codes = effects_of(2)
    codes[:, 0] += 1
    codes[0, 0] = 0
    assert FixedEffects(codes).leverage(np.array([0])) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_effects", [1, 2, 3])
def test_nested_and_redundant_effects_change_nothing(n_effects, weighted):
    codes, weight = effects_of(n_effects), weight_of(weighted)
    more = np.column_stack([codes, codes[:, 0] // 5, codes[:, 0]])
    rows = np.arange(N)
    expected = FixedEffects(codes, weight).leverage(rows)
    actual = FixedEffects(more, weight).leverage(rows)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("max_iterations", [0, 10_000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_effects", [2, 3])
def test_random_signs_in_large_systems(n_effects, weighted, max_iterations):
    codes, weight = effects_of(n_effects), weight_of(weighted)
    effects = FixedEffects(codes, weight, dense_levels=0, max_iterations=max_iterations)
    expected = hat(codes, weight)
    leverage = effects.leverage(np.arange(N))
    # The square of a sum of random signs, mean P, has at most the variance 2 P^2 of a normal's.
    error = (leverage - expected) / (expected * np.sqrt(2 / SIGN_DRAWS))
    spread = np.sqrt((error**2).mean())
    assert np.abs(error).max() < 5.0
    assert 0.4 < spread < 1.1  # "about 7 percent", and less where a level has few rows
    assert abs(leverage.sum() / expected.sum() - 1.0) < 0.01
    assert leverage.max() <= 1.0


def test_random_signs_are_those_of_the_rows_asked_for():
    """One draw of signs serves all rows, so that results do not depend on which are labelled."""
    effects = FixedEffects(effects_of(2), weight_of(True), dense_levels=0)
    rows = np.array([5, 300, 17])
    np.testing.assert_array_equal(effects.leverage(rows), effects.leverage(np.arange(N))[rows])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_effects", [1, 2, 3])
def test_residuals_keep_a_share_of_the_variance(n_effects, weighted):
    """The diagonal of (I - P)(I - P)', with P from dense least squares."""
    codes, weight = effects_of(n_effects), weight_of(weighted)
    root = np.sqrt(np.ones(N) if weight is None else weight)
    D = dummies(codes)
    P = D @ np.linalg.pinv(D * root[:, None]) * root
    rest = np.eye(N) - P
    effects = FixedEffects(codes, weight)
    share = effects.residual_share()
    np.testing.assert_allclose(share, (rest**2).sum(axis=1), rtol=0, atol=1e-11)
    one_minus_leverage = 1.0 - effects.leverage(np.arange(N))
    gap = np.abs(share - one_minus_leverage).max()
    assert gap > 0.05 if weighted else gap < 1e-11


def test_shares_of_many_rows_are_averaged_over_signs(monkeypatch):
    """Five errors of a mean of 400 squares, whose variance is at most two."""
    codes, weight = effects_of(2), weight_of(True)
    exact = FixedEffects(codes, weight).residual_share()
    monkeypatch.setattr(absorb, "EXACT_ROWS", N - 1)
    share = FixedEffects(codes, weight).residual_share()
    error = np.abs(share - exact)
    assert 0.0 < error.max() < 5.0 * np.sqrt(2 / SIGN_DRAWS) * exact.max()
    assert error.mean() < np.sqrt(2 / SIGN_DRAWS)
