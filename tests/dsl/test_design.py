"""Design variances: unbiased over all possible samples, and as the formula has them."""

import itertools
from math import comb

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from trueness.dsl.numerics import SamplingDesign

POPULATION = np.array([[1.0, 0.2], [4.0, -1.0], [-2.0, 3.0], [0.5, 0.5], [7.0, 1.0], [3.0, -4.0]])


def variance(design, labelled, values):
    """Return C_D of the labelled rows' values."""
    draw = design.draw(np.asarray(labelled))
    rows = draw.contributions(draw.totals(values))
    return rows.T @ rows


def drawn_from(n_rows, probability, is_fixed):
    """Return the contributions of a sample that has just these probabilities."""
    design = SamplingDesign(probability, is_fixed=is_fixed)
    return design.draw(np.arange(n_rows)).contributions


# ---------------------------------------------------------------------- rows


def test_srs_is_the_textbook_variance_of_a_total():
    rng = np.random.default_rng(4)
    n_rows, n = 1000, 70
    values = rng.normal(2.0, 3.0, size=(n, 2))
    design = SamplingDesign(np.full(n_rows, n / n_rows), is_fixed=True)
    textbook = n_rows**2 * (1 - n / n_rows) * np.cov(values.T) / n
    assert_allclose(variance(design, np.arange(n), values), textbook, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_srs_estimator_is_unbiased_over_all_samples(n):
    """All samples of size n of six rows: E(estimated variance) = variance of the total."""
    design = SamplingDesign(np.full(6, n / 6), is_fixed=True)
    samples = [list(s) for s in itertools.combinations(range(6), n)]
    totals = np.array([POPULATION[s].sum(axis=0) * 6 / n for s in samples])
    assert len(samples) == comb(6, n)
    mean = np.mean([variance(design, s, POPULATION[s]) for s in samples], axis=0)
    assert_allclose(mean, np.cov(totals.T, bias=True), rtol=1e-10, atol=1e-12)


def test_poisson_estimator_is_unbiased_over_all_samples():
    probability = np.array([0.1, 0.9, 0.5, 1.0, 0.3, 0.7])
    design = SamplingDesign(probability)
    expanded = POPULATION / probability[:, None]
    mean, first, second = np.zeros((2, 2)), np.zeros(2), np.zeros((2, 2))
    for drawn in itertools.product([False, True], repeat=6):
        drawn = np.array(drawn)
        chance = np.prod(np.where(drawn, probability, 1 - probability))
        total = expanded[drawn].sum(axis=0)
        first, second = first + chance * total, second + chance * np.outer(total, total)
        if drawn.any():
            mean += chance * variance(design, np.flatnonzero(drawn), POPULATION[drawn])
    assert_allclose(first, POPULATION.sum(axis=0))
    assert_allclose(mean, second - np.outer(first, first), rtol=1e-10)


def test_stratified_estimator_is_unbiased_over_all_samples():
    """Two of rows 0-3, both of rows 4-5, and two of rows 6-9."""
    rng = np.random.default_rng(1)
    values, stratum = rng.normal(1.0, 2.0, (10, 2)), np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
    design = SamplingDesign(np.where(stratum == 1, 1.0, 0.5), is_fixed=True, groups=stratum)
    estimates, totals = [], []
    for first in itertools.combinations(range(4), 2):
        for last in itertools.combinations(range(6, 10), 2):
            rows = [*first, 4, 5, *last]
            estimates.append(variance(design, rows, values[rows]))
            totals.append((values[rows] / design.probability[rows, None]).sum(axis=0))
    truth = np.cov(np.transpose(totals), bias=True)
    assert_allclose(np.mean(estimates, axis=0), truth, rtol=1e-10)


@pytest.mark.parametrize("is_fixed", [True, False])
def test_certain_rows_contribute_nothing_and_are_not_counted(is_fixed):
    rng = np.random.default_rng(5)
    values = rng.normal(size=(10, 2))
    probability = np.r_[np.full(7, 0.25), np.ones(3)]
    draws = drawn_from(10, probability, is_fixed)(values)
    assert_array_equal(draws[7:], 0.0)
    alone = drawn_from(7, probability[:7], is_fixed)(values[:7])
    assert_allclose(draws[:7], alone, rtol=1e-12)


@pytest.mark.parametrize("is_fixed", [True, False])
def test_a_census_has_no_design_variance(is_fixed):
    draws = drawn_from(6, np.ones(6), is_fixed)(POPULATION)
    assert draws.shape == POPULATION.shape
    assert_array_equal(draws, 0.0)


def test_unequal_probabilities_of_fixed_size_follow_hajek_and_deville():
    rng = np.random.default_rng(6)
    values, probability = rng.normal(1.0, 1.0, (9, 1)), rng.uniform(0.1, 0.9, 9)
    contributions = drawn_from(9, probability, True)
    z = values[:, 0] / probability
    c = (1 - probability) * 9 / 8
    centre = np.sum(c * z) / np.sum(c)
    expected = np.sum(c * (z - centre) ** 2)
    assert np.sum(contributions(values) ** 2) == pytest.approx(expected, rel=1e-12)
    # Values proportional to the probabilities: the total does not vary at all.
    assert_allclose(contributions(3.0 * probability[:, None]), 0.0, atol=1e-12)


def test_rescaled_probabilities_above_one_are_certain():
    draws = drawn_from(3, np.array([0.4, 1.02, 0.3]), False)(POPULATION[:3])
    assert_array_equal(draws[1], 0.0)
    assert np.isfinite(draws).all()


def test_a_group_with_one_random_unit_counts_as_an_independent_draw():
    values = POPULATION[:4]
    design = SamplingDesign(np.full(4, 0.4), is_fixed=True, groups=np.array([0, 0, 0, 1]))
    draws = design.draw(np.arange(4)).contributions(values)
    assert_allclose(draws[3], np.sqrt(0.6) * values[3] / 0.4, rtol=1e-12)
    alone = drawn_from(3, np.full(3, 0.4), True)(values[:3])
    assert_allclose(draws[:3], alone, rtol=1e-12)


# ---------------------------------------------------------------------- units

UNITS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 4])


@pytest.fixture
def values():
    return np.random.default_rng(8).normal(1.0, 2.0, (len(UNITS), 2))


def test_whole_units_are_unbiased_over_all_samples(values):
    design = SamplingDesign(np.full(len(UNITS), 3 / 5), is_fixed=True, units=UNITS)
    estimates, totals = [], []
    for drawn in itertools.combinations(range(5), 3):
        rows = np.flatnonzero(np.isin(UNITS, drawn))
        estimates.append(variance(design, rows, values[rows]))
        totals.append(values[rows].sum(axis=0) * 5 / 3)
    truth = np.cov(np.transpose(totals), bias=True)
    assert_allclose(np.mean(estimates, axis=0), truth, rtol=1e-10)


def test_two_stages_are_unbiased_over_all_samples(values):
    """Three of five units, then two rows in each: both stages together (population target)."""
    size = np.bincount(UNITS)
    within = (2 / size)[UNITS]
    design = SamplingDesign(
        within * 3 / 5, is_fixed=True, units=UNITS, unit_probability=np.full(len(UNITS), 3 / 5)
    )
    mean, first, second = np.zeros((2, 2)), np.zeros(2), np.zeros((2, 2))
    for drawn in itertools.combinations(range(5), 3):
        pairs = [list(itertools.combinations(np.flatnonzero(u == UNITS), 2)) for u in drawn]
        chance = 1 / (10 * np.prod([len(options) for options in pairs]))
        for chosen in itertools.product(*pairs):
            rows = np.concatenate(chosen)
            draw = design.draw(rows)
            stages = draw.contributions(draw.totals(values[rows]))
            rest = draw.contributions_within(values[rows])
            mean += chance * (stages.T @ stages + rest.T @ rest)
            total = (values[rows] / design.probability[rows, None]).sum(axis=0)
            first, second = first + chance * total, second + chance * np.outer(total, total)
    assert_allclose(first, values.sum(axis=0), rtol=1e-10)
    assert_allclose(mean, second - np.outer(first, first), rtol=1e-9)


def test_totals_of_units_expand_by_the_second_stage(values):
    chance = np.where(UNITS == 2, 1.0, 0.5)
    within = np.where(np.arange(len(UNITS)) % 2, 0.4, 0.8)
    design = SamplingDesign(chance * within, True, None, UNITS, chance)
    rows = np.flatnonzero(np.isin(UNITS, [1, 2, 4]))
    draw = design.draw(rows)
    expected = [(values / within[:, None])[u == UNITS].sum(axis=0) for u in (1, 2, 4)]
    assert_allclose(draw.totals(values[rows]), expected, rtol=1e-12)
    assert_allclose(draw.probability, [0.5, 1.0, 0.5])
    assert draw.df == 1.0  # two units that were left to chance, less their mean
    shared = draw.spread(draw.totals(values[rows]))
    again = [shared[UNITS[rows] == u].sum(axis=0) for u in (1, 2, 4)]
    assert_allclose(again, expected, rtol=1e-12)


def test_what_is_expected_of_units_adds_up_to_what_was_drawn(values):
    """Sums of pi_u A_g over the frame equal sums of A_g over the drawn units, group by group."""
    groups = (UNITS > 2).astype(int)
    chance = np.where(groups == 1, 1.0 / 2, 2.0 / 3)
    design = SamplingDesign(chance, True, groups, UNITS)
    rows = np.flatnonzero(np.isin(UNITS, [0, 2, 3]))
    draw = design.draw(rows)
    centre = np.column_stack([draw.groups + 1.0, 5.0 - draw.groups])
    expected = design.expected(centre, draw)
    for g, n_drawn in ((0, 2), (1, 1)):
        total = expected[groups == g].sum(axis=0)
        assert_allclose(total, n_drawn * np.array([g + 1.0, 5.0 - g]), rtol=1e-12)


# ---------------------------------------------------------------------- some of the rows


def test_part_of_a_simple_random_sample_is_one_of_its_own_rows():
    design = SamplingDesign(np.full(10, 0.4), is_fixed=True)
    part = design.take(np.arange(5), np.array([0, 1, 4, 9]))
    assert part.is_fixed
    assert_allclose(part.probability, 3 / 5)
    strata = SamplingDesign(np.full(10, 0.4), is_fixed=True, groups=np.repeat([0, 1], 5))
    part = strata.take(np.array([0, 1, 2, 8, 9]), np.array([0, 1, 8, 5]))
    assert_allclose(part.probability, [2 / 3] * 3 + [1 / 2] * 2)
    assert_array_equal(part.groups, [0, 0, 0, 1, 1])


def test_part_of_an_unequal_sample_counts_as_independent_draws():
    design = SamplingDesign(np.linspace(0.1, 0.7, 10), is_fixed=True)
    part = design.take(np.arange(5), np.array([0, 4, 9]))
    assert not part.is_fixed
    assert_allclose(part.probability, design.probability[:5])
    everything = design.take(np.arange(10), np.array([0, 4, 9]))
    assert everything.is_fixed
