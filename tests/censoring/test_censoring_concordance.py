"""Concordance by bits of the time order equals the definition written out."""

import numpy as np
import pytest

from trueness.censoring.numerics.concordance import (
    blockwise_concordance,
    dynamic_auc,
    later_and_smaller,
    partners,
    ratio_of_pairs,
)


def tied_case(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 70))
    time = rng.integers(0, 9, n).astype(float)
    risk = rng.integers(0, 7, n).astype(float)
    event = rng.random(n) < rng.uniform(0.1, 0.9)
    weight = rng.uniform(0.2, 3.0, n) if seed % 2 else None
    return time, event, risk, weight


def written_out(time, event, risk, weight):
    """Concordant and comparable weight of every row."""
    weight = np.ones(len(time)) if weight is None else weight
    concordant, comparable = np.zeros(len(time)), np.zeros(len(time))
    for i in np.flatnonzero(event):
        for j in range(len(time)):
            if time[j] > time[i] or (time[j] == time[i] and not event[j]):
                comparable[i] += weight[j]
                concordant[i] += weight[j] * ((risk[j] < risk[i]) + 0.5 * (risk[j] == risk[i]))
    return concordant, comparable


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_partners_of_tied_rows(start):
    for seed in range(start, start + 50):
        time, event, risk, weight = tied_case(seed)
        pairs = partners(time, event, risk, weight)
        concordant, comparable = written_out(time, event, risk, weight)
        assert sorted(pairs.rows) == np.flatnonzero(event).tolist()
        np.testing.assert_allclose(pairs.concordant, concordant[pairs.rows], atol=1e-12)
        np.testing.assert_allclose(pairs.comparable, comparable[pairs.rows], atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 64, 65, 1000])
def test_counts_in_a_permutation(n):
    positions = np.random.default_rng(n).permutation(n)
    expected = np.zeros(n)
    for place, value in enumerate(positions):
        expected[value] = (positions[:place] > value).sum()
    np.testing.assert_array_equal(later_and_smaller(positions), expected)


def test_blocks_of_rows_give_the_same_sums():
    time, event, risk, weight = tied_case(13)
    pairs = partners(time, event, risk, weight)
    own = np.random.default_rng(1).uniform(1, 2, len(pairs.rows))
    shared = np.broadcast_to(weight, (len(pairs.rows), len(time)))
    sums = blockwise_concordance(time, event, risk, pairs.rows, own, shared)
    assert sums[0] / sums[1] == pytest.approx(ratio_of_pairs(pairs, own), abs=1e-12)


def test_no_pair_has_no_ratio():
    time, event = np.array([1.0, 2.0]), np.array([False, True])
    pairs = partners(time, event, np.zeros(2))
    assert np.isnan(ratio_of_pairs(pairs, np.ones(1)))
    assert np.isnan(dynamic_auc(time, np.zeros(2), np.ones(2)))


def test_auc_is_the_weighted_share_of_ordered_pairs():
    rng = np.random.default_rng(3)
    risk = rng.integers(0, 5, 40).astype(float)
    is_case = rng.random(40) < 0.4
    cases, controls = is_case * rng.random(40), ~is_case * rng.random(40)
    wins = (risk[:, None] > risk) + 0.5 * (risk[:, None] == risk)
    expected = cases @ wins @ controls / (cases.sum() * controls.sum())
    assert dynamic_auc(risk, cases, controls) == pytest.approx(expected, abs=1e-14)
