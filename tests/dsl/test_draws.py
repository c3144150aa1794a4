"""Draws of sampling units: exact sizes, and inclusion as often as the probabilities say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2, norm

from trueness.dsl.numerics.allocation import allocate, fill, largest_remainder, neyman_shares
from trueness.dsl.numerics.draws import pivotal, poisson, rank, shuffled, simple_random

N = 60
LEVEL = 1e-3
REPLICATES = [4_000, pytest.param(20_000, marks=pytest.mark.slow)]
STRATA = np.repeat([0, 1, 2], [10, 20, 30])


def stacked(draw, n_replicates, groups=None):
    """Draw many times at once: every replicate has groups of its own. Shape (B, N)."""
    groups = np.zeros(N, dtype=int) if groups is None else groups
    copies = groups + (groups.max() + 1) * np.arange(n_replicates)[:, None]
    return draw(copies.ravel()).reshape(n_replicates, -1)


def unequal(total=12, groups=None):
    size = np.exp(np.random.default_rng(3).normal(size=N))
    groups = np.zeros(N, dtype=int) if groups is None else groups
    totals = np.array([total]) if groups.max() == 0 else np.array([3, 4, 5])
    return fill(size, totals, groups)


def z_scores(drawn, probability):
    frequency = drawn.mean(axis=0)
    certain = probability == 1.0
    assert_array_equal(frequency[certain], 1.0)
    spread = np.sqrt(probability * (1 - probability) / len(drawn))
    return (frequency - probability)[~certain] / spread[~certain]


def assert_frequencies(drawn, probability, groups=None):
    """Two-sided z-tests of all units, and of their sum of squares where sizes are fixed."""
    z = z_scores(drawn, probability)
    assert np.abs(z).max() < norm.isf(LEVEL / (2 * len(z)))
    df, scale = len(z), np.ones(len(z))
    if groups is not None:
        # A fixed number ties the units of a group: each square still has mean one.
        groups = groups[probability < 1.0]
        sizes = np.bincount(groups)
        df -= (sizes > 0).sum()
        scale = ((sizes - 1) / np.maximum(sizes, 1))[groups]
    statistic = (scale * z**2).sum()
    assert chi2.ppf(LEVEL / 2, df) < statistic < chi2.isf(LEVEL / 2, df)


@pytest.mark.parametrize("n_replicates", REPLICATES)
def test_poisson_frequencies(n_replicates):
    rng = np.random.default_rng(1)
    probability = unequal()
    drawn = poisson(np.tile(probability, n_replicates), rng).reshape(n_replicates, N)
    assert_frequencies(drawn, probability)
    assert np.ptp(drawn.sum(axis=1)) > 0


@pytest.mark.parametrize("n_replicates", REPLICATES)
def test_simple_random_frequencies(n_replicates):
    rng, sizes = np.random.default_rng(2), np.array([2, 5, 30])

    def draw(groups):
        return simple_random(groups, np.tile(sizes, n_replicates), rng)

    drawn = stacked(draw, n_replicates, STRATA)
    assert_frequencies(drawn, (sizes / np.bincount(STRATA))[STRATA], STRATA)
    for group, size in enumerate(sizes):
        assert_array_equal(drawn[:, group == STRATA].sum(axis=1), size)


@pytest.mark.parametrize("groups", [None, STRATA], ids=["one group", "strata"])
@pytest.mark.parametrize("n_replicates", REPLICATES)
def test_pivotal_frequencies(n_replicates, groups):
    rng, probability = np.random.default_rng(5), unequal(groups=groups)

    def draw(copies):
        return pivotal(np.tile(probability, n_replicates), copies, rng)

    drawn = stacked(draw, n_replicates, groups)
    one = np.zeros(N, dtype=int) if groups is None else groups
    assert_frequencies(drawn, probability, one)
    for group in np.unique(one):
        expected = round(probability[one == group].sum())
        assert_array_equal(drawn[:, one == group].sum(axis=1), expected)


@pytest.mark.parametrize("fixed", [True, False], ids=["pivotal", "simple random"])
def test_equal_probabilities_make_all_pairs_equally_likely(fixed):
    """Also neighbours, and units that can only meet in a late round."""
    n, size, n_replicates = 11, 4, 40_000
    rng, groups = np.random.default_rng(6), np.repeat(np.arange(40_000), 11)
    if fixed:
        drawn = pivotal(np.full(len(groups), size / n), groups, rng)
    else:
        drawn = simple_random(groups, np.full(n_replicates, size), rng)
    drawn = drawn.reshape(n_replicates, n).astype(float)
    both = (drawn.T @ drawn / n_replicates)[np.triu_indices(n, 1)]
    expected = size * (size - 1) / (n * (n - 1))
    z = (both - expected) / np.sqrt(expected * (1 - expected) / n_replicates)
    assert np.abs(z).max() < norm.isf(LEVEL / (2 * len(z)))


@pytest.mark.parametrize("seed", range(20))
def test_pivotal_sizes_are_exact(seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(7), rng.integers(3, 200, size=7)))
    size = np.exp(rng.choice([0.1, 1.0, 4.0]) * rng.normal(size=len(groups)))
    totals = rng.integers(1, np.bincount(groups) + 1)
    probability = fill(size, totals, groups)
    drawn = pivotal(probability, groups, rng)
    assert_array_equal(np.bincount(groups, drawn), totals)
    assert drawn[probability == 1.0].all()


def test_pivotal_with_a_sum_that_is_not_whole():
    """The number drawn is one of the two next to it, and probabilities stay exact."""
    n_replicates = 20_000
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.45, 0.9])
    groups = np.repeat(np.arange(n_replicates), 6)
    drawn = pivotal(np.tile(probability, n_replicates), groups, np.random.default_rng(7))
    drawn = drawn.reshape(n_replicates, 6)
    assert set(drawn.sum(axis=1)) == {2, 3}
    assert np.abs(z_scores(drawn, probability)).max() < norm.isf(LEVEL / 12)


def test_pivotal_keeps_what_is_decided():
    probability = np.array([0.0, 1.0, 0.5, 0.5, 0.0, 1.0])
    drawn = pivotal(probability, np.zeros(6, dtype=int), np.random.default_rng(0))
    assert_array_equal(drawn[[0, 1, 4, 5]], [False, True, False, True])
    assert drawn.sum() == 3
    assert_array_equal(probability, [0.0, 1.0, 0.5, 0.5, 0.0, 1.0])


def test_ranks_and_order():
    groups = np.random.default_rng(0).integers(0, 5, size=50)
    order = shuffled(groups, np.random.default_rng(1))
    assert_array_equal(np.sort(order), np.arange(50))
    assert_array_equal(groups[order], np.sort(groups))
    places = rank(groups[order])
    for group in range(5):
        assert_array_equal(places[groups[order] == group], np.arange((groups == group).sum()))
    assert len(rank(np.array([], dtype=int))) == 0


@pytest.mark.parametrize("low", [0.0, 0.02])
@pytest.mark.parametrize("spread", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("seed", range(5))
def test_fill_meets_totals_between_limits(seed, spread, low):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(4), rng.integers(5, 300, size=4)))
    size = np.exp(spread * rng.normal(size=len(groups)))
    rows = np.bincount(groups)
    totals = rng.integers(np.maximum(np.ceil(low * rows), 1), rows + 1)
    shares = fill(size, totals, groups, low=low)
    assert_allclose(np.bincount(groups, shares), totals, rtol=1e-10)
    assert shares.min() >= low and shares.max() <= 1.0
    # Between the limits shares are proportional to size, one factor for each group; who is at the
    # lower limit has no larger a size than that, who is at the upper one no smaller.
    for group in range(4):
        share, own = shares[groups == group], size[groups == group]
        inside = (share > low + 1e-9) & (share < 1.0)
        if not inside.any():
            continue
        factor = share[inside] / own[inside]
        assert_allclose(factor, factor[0], rtol=1e-8)
        assert (own[share == 1.0] * factor[0] >= 1 - 1e-8).all()
        assert (own[share <= low] * factor[0] <= low + 1e-8).all()


def test_fill_takes_all():
    size = np.array([1.0, 5.0, 1e-9, 2.0])
    assert_array_equal(fill(size, np.array([4]), np.zeros(4, dtype=int)), 1.0)


def test_fill_with_zero_sizes():
    """They get the minimum, and more only when all others are certain; then equal shares."""
    groups = np.zeros(10, dtype=int)
    size = np.array([0.0] * 6 + [1.0, 2.0, 3.0, 4.0])
    few = fill(size, np.array([2]), groups, low=0.05)
    assert_allclose(few[:6], 0.05)
    assert_allclose(few[6:], 0.17 * np.arange(1, 5))
    many = fill(size, np.array([7]), groups, low=0.05)
    assert_allclose(many, [0.5] * 6 + [1.0] * 4)


def test_fill_does_not_mix_scales_of_groups():
    groups = np.repeat([0, 1], 3)
    size = np.array([1.0, 2.0, 3.0, 1e-20, 2e-20, 3e-20])
    shares = fill(size, np.array([1, 1]), groups)
    assert_allclose(shares[3:], shares[:3])
    assert_allclose(shares[:3], np.arange(1, 4) / 6)


def test_largest_remainder():
    assert_array_equal(largest_remainder(np.array([1.5, 1.5, 3.0]), 6), [2, 1, 3])
    nearly = np.array([0.1, 0.2, 0.3]) * 10
    assert_array_equal(largest_remainder(nearly, 6), [1, 2, 3])
    rng = np.random.default_rng(0)
    for _ in range(50):
        shares = rng.dirichlet(np.ones(8)) * 37
        whole = largest_remainder(shares, 37)
        assert whole.sum() == 37
        assert np.abs(whole - shares).max() < 1.0


def test_allocate_stays_between_limits():
    rng = np.random.default_rng(1)
    for _ in range(50):
        most = rng.integers(1, 400, size=12)
        least = np.minimum(most, 2)
        total = int(rng.integers(least.sum(), most.sum() + 1))
        sizes = allocate(most * rng.exponential(size=12), total, least=least, most=most)
        assert sizes.sum() == total
        assert (sizes >= least).all() and (sizes <= most).all()


def test_neyman_shares_have_the_smallest_variance():
    """No exchange of a label between two strata makes the mean more precise."""
    rows = np.array([400, 300, 300])
    spread, cost = np.array([1.0, 2.0, 0.5]), np.ones(3)

    def variance(sizes):
        return ((rows * spread) ** 2 * (1 / sizes - 1 / rows)).sum()

    ideal = fill(neyman_shares(rows, spread, cost), np.array([100]), np.zeros(3, int), high=rows)
    for one in range(3):
        for other in range(3):
            moved = ideal.copy()
            moved[one] += 1.0
            moved[other] -= 1.0
            assert one == other or variance(moved) > variance(ideal)


def test_neyman_shares_with_costs():
    """At the same cost in all, cheap labels are bought more often."""
    rows, spread, cost = np.array([500, 500]), np.ones(2), np.array([1.0, 4.0])
    sizes = neyman_shares(rows, spread, cost) / 10

    def variance(first):
        second = (sizes @ cost - first * cost[0]) / cost[1]
        return 500**2 / first + 500**2 / second

    assert variance(sizes[0]) < min(variance(sizes[0] + 2), variance(sizes[0] - 2))
