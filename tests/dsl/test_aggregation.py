"""Labels of documents carried up to units: no bias, right variances, refusals."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from trueness.dsl import (
    DesignWarning,
    DSLLinearRegression,
    GoldSample,
    aggregate_labels,
    unit_regression,
)

U = 150


def documents(seed=0, unequal=False, share=0.3):
    """Units of 3 to 15 documents; what they say depends on the unit, as does its outcome."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(U), rng.integers(3, 16, U))
    z = rng.normal(size=U)
    level = 0.6 * z + rng.normal(size=U)
    y = level[unit] + rng.normal(size=len(unit))
    machine = 0.7 * y + 0.3 + 0.6 * rng.normal(size=len(unit))
    size = np.exp(0.5 * y) if unequal else np.ones(len(unit))
    sample = GoldSample.poisson(
        len(unit), n=share * len(unit), size=size, minimum=0.05, random_state=seed
    )
    gold = np.where(sample.drawn, y, np.nan)
    mean = np.bincount(unit, y) / np.bincount(unit)
    outcome = 1 + 0.8 * mean + 0.3 * z + 0.5 * rng.normal(size=U)
    return unit, z, y, machine, sample, gold, mean, outcome


@pytest.mark.parametrize("unequal", [False, True])
def test_values_are_unbiased_and_their_variance_right(unequal):
    """Over draws of the same documents."""
    unit, _, y, machine, *_ = documents(0, unequal)
    found, variance = [], []
    size = np.exp(0.5 * y) if unequal else np.ones(len(unit))
    for seed in range(600):
        sample = GoldSample.poisson(
            len(y), n=0.3 * len(y), size=size, minimum=0.05, random_state=seed
        )
        gold = np.where(sample.drawn, y, np.nan)
        unit_labels = aggregate_labels(gold, machine, unit, gold_sample=sample)
        found.append(unit_labels.values)
        variance.append(unit_labels.variance())
    found = np.array(found)
    mean = np.bincount(unit, y) / np.bincount(unit)
    z = (found.mean(axis=0) - mean) / (found.std(axis=0, ddof=1) / np.sqrt(600))
    assert np.abs(z).max() < 4.2  # the largest of 150
    ratio = np.mean(variance, axis=0).sum() / found.var(axis=0, ddof=1).sum()
    assert ratio == pytest.approx(1.0, abs=0.05)


def test_all_labels_give_the_means():
    unit, z, y, machine, _, _, mean, outcome = documents(1)
    sample = GoldSample.from_design(len(y), 1.0, np.ones(len(y), bool), is_fixed=False)
    unit_labels = aggregate_labels(y, machine, unit, gold_sample=sample)
    assert_allclose(unit_labels.values, mean)
    assert_allclose(unit_labels.variance(), 0.0)
    results = unit_regression(outcome, {"tone": unit_labels, "z": z})
    plain = DSLLinearRegression(covariance="HC1").fit(np.column_stack([mean, z]), outcome).results_
    assert_allclose(results.params, plain.params)
    assert_allclose(results.std_errors, plain.std_errors)
    assert results.df == plain.df


def test_corrected_moments_written_out():
    unit, z, _, machine, sample, gold, _, outcome = documents(2)
    unit_labels = aggregate_labels(gold, machine, unit, gold_sample=sample)
    results = unit_regression(outcome, {"tone": unit_labels, "z": z})
    design = np.column_stack([np.ones(U), unit_labels.values, z])
    noise = np.zeros((U, 3, 3))
    weight = np.where(sample.drawn, (1 - sample.probability) / sample.probability**2, 0)
    gap = np.where(sample.drawn, np.nan_to_num(gold) - machine, 0)
    size = np.bincount(unit)
    noise[:, 1, 1] = np.bincount(unit, weight * gap**2) / size**2
    beta = np.linalg.solve(design.T @ design - noise.sum(axis=0), design.T @ outcome)
    assert_allclose(results.params, beta)
    moments = design * (outcome - design @ beta)[:, None] + noise @ beta
    assert_allclose(moments.sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("unequal", [False, True])
def test_coverage(unequal):
    """A short version of vignettes/evidence/gold_units.py, and the mean of labels as a foil."""
    n_replicates, covered, attenuated = 150, [], []
    for seed in range(n_replicates):
        unit, z, _, machine, sample, gold, _, outcome = documents(seed, unequal)
        unit_labels = aggregate_labels(gold, machine, unit, gold_sample=sample)
        results = unit_regression(outcome, {"tone": unit_labels, "z": z})
        low, high = results.conf_int().to_numpy()[:, -2:].T
        covered.append(((low <= [1, 0.8, 0.3]) & (high >= [1, 0.8, 0.3])).mean())
        results = unit_regression(unit_labels, {"z": z})
        low, high = results.conf_int().to_numpy()[:, -2:].T
        covered.append(low[1] <= 0.6 <= high[1])
        known = unit_labels.n_labelled > 0
        means = np.bincount(unit, np.nan_to_num(gold))[known] / unit_labels.n_labelled[known]
        attenuated.append(np.polyfit(means, outcome[known], 1)[0])
    assert abs(np.mean(covered) - 0.95) < 3.3 * np.sqrt(0.95 * 0.05 / n_replicates)
    assert np.mean(attenuated) < 0.8 + 0.3 * 0.6  # both explain the outcome; still too small


def test_outcome_and_covariate_from_the_same_documents():
    """What both share in the draw is taken out; left in, the slope would be biased."""
    found, naive = [], []
    for seed in range(120):
        unit, _, y, machine, sample, gold, mean, _ = documents(seed)
        rng = np.random.default_rng(1000 + seed)
        other = mean[unit] - 0.5 * (y - mean[unit]) + 0.3 * rng.normal(size=len(y))
        tone = aggregate_labels(gold, machine, unit, gold_sample=sample)
        anger = aggregate_labels(
            np.where(sample.drawn, other, np.nan), np.zeros(len(y)), unit, gold_sample=sample
        )
        truth = np.polyfit(mean, np.bincount(unit, other) / np.bincount(unit), 1)[0]
        found.append(unit_regression(anger, {"tone": tone}).params[1] - truth)
        naive.append(unit_regression(anger, {"tone": tone.values}).params[1] - truth)
    error = np.std(found, ddof=1) / np.sqrt(120)
    assert abs(np.mean(found)) < 3.3 * error
    assert abs(np.mean(naive)) > 6 * error


def test_models_that_are_linear_in_the_outcome():
    rng = np.random.default_rng(1003)
    unit, z, _, _, sample, _, _, _ = documents(3)
    p = 1 / (1 + np.exp(-(0.2 + 0.8 * z)))
    y = (rng.random(len(unit)) < p[unit]).astype(float)
    machine = np.where(rng.random(len(unit)) < 0.1, 1 - y, y)
    share = aggregate_labels(np.where(sample.drawn, y, np.nan), machine, unit, gold_sample=sample)
    assert share.values.min() < 0 or share.values.max() > 1
    results = unit_regression(share, {"z": z}, model="logistic")
    assert (np.abs(results.params - [0.2, 0.8]) < 4 * results.std_errors).all()
    assert np.isfinite(unit_regression(share, {"z": z}, model="poisson").params).all()


def test_units_are_aligned_by_name():
    unit, z, _, machine, sample, gold, _, outcome = documents(4)
    names = np.array([f"u{k:03d}" for k in range(U)])
    unit_labels = aggregate_labels(gold, machine, names[unit], gold_sample=sample)
    assert_array_equal(unit_labels.names, names)
    table = unit_labels.to_frame()
    assert table["n_documents"].sum() == len(unit)
    assert table["n_labelled"].sum() == sample.n_drawn
    plain = unit_regression(outcome, {"tone": unit_labels, "z": z})
    order = np.random.default_rng(0).permutation(U)
    turned = pd.Series(z[order], index=names[order])
    again = unit_regression(
        pd.Series(outcome[order], index=names[order]), {"tone": unit_labels, "z": turned}
    )
    assert_allclose(again.params, plain.params)
    with pytest.raises(ValueError, match="z has no value of unit 'u000'"):
        unit_regression(outcome, {"tone": unit_labels, "z": pd.Series(z[1:], index=names[1:])})


def test_refused():
    unit, z, _, machine, sample, gold, _, outcome = documents(5)
    unit_labels = aggregate_labels(gold, machine, unit, gold_sample=sample)
    assert "150 units of 3 to 15 documents" in repr(unit_labels)
    whole = GoldSample.clusters(len(unit), unit, 20, random_state=0)
    with pytest.raises(ValueError, match="Where whole units are labelled, take each unit's mean"):
        aggregate_labels(gold, machine, unit, gold_sample=whole)
    with pytest.raises(ValueError, match="not linear in it.*Label whole units"):
        unit_regression((outcome > 1) * 1.0, {"tone": unit_labels}, model="logistic")
    with pytest.raises(ValueError, match="'probit' is not one of"):
        unit_regression(outcome, {"tone": unit_labels}, model="probit")
    with pytest.raises(ValueError, match="Neither the outcome nor a covariate"):
        unit_regression(outcome, {"z": z})
    with pytest.raises(ValueError, match="have no gold label"):
        aggregate_labels(np.full(len(unit), np.nan), machine, unit, gold_sample=sample)
    with pytest.raises(ValueError, match="prediction is missing"):
        aggregate_labels(gold, gold, unit, gold_sample=sample)
    with pytest.raises(ValueError, match="there are 150 units"):
        unit_regression(outcome[1:], {"tone": unit_labels})
    with pytest.raises(ValueError, match="must be a GoldSample, got dict"):
        aggregate_labels(gold, machine, unit, gold_sample={})
    other = aggregate_labels(gold, machine, unit // 2, gold_sample=sample)
    with pytest.raises(ValueError, match="different units"):
        unit_regression(other, {"tone": unit_labels})
    useless = aggregate_labels(gold, 50 * machine, unit, gold_sample=sample)
    with pytest.raises(ValueError, match="as large as all their variation"):
        unit_regression(outcome, {"tone": useless})


def test_large_weights_are_warned_of():
    unit, _, y, machine, *_ = documents(6)
    sample = GoldSample.poisson(len(y), np.linspace(0.01, 0.5, len(y)), random_state=0)
    chance = sample.probability
    assert (chance[sample.drawn] < 0.02).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tone = aggregate_labels(
            np.where(sample.drawn, y, np.nan), machine, unit, gold_sample=sample
        )
    with pytest.warns(DesignWarning, match="single ones decide the correction"):
        unit_regression(np.zeros(U), {"tone": tone})
