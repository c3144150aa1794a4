"""Further waves of labels: valid whatever the rule looks at, and nothing drawn twice."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from trueness.dsl import DSLLinearRegression, GoldSample, next_wave
from trueness.dsl.labelling.waves import wave_weights

N = 1200
METHODS = pytest.mark.parametrize("method", ["pooled", "martingale"])


def data(seed=0, n_rows=N):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 2))
    y = 1 + 0.5 * X[:, 0] - 0.5 * X[:, 1] + rng.normal(size=n_rows)
    return X, y, y + np.exp(0.7 * X[:, 0]) * rng.normal(size=n_rows)


def fit(sample, X, y, machine, **options):
    model = DSLLinearRegression(**({"learner": None} | options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(
            X, np.where(sample.drawn, y, np.nan), surrogates=machine, gold_sample=sample
        )


def waves(sizes, X, y, machine, seed, **options):
    sample = GoldSample.poisson(len(y), n=sizes[0], random_state=seed)
    for number, n in enumerate(sizes[1:]):
        sample = next_wave(
            sample, fit(sample, X, y, machine), n, random_state=10 * seed + number,
            **({"target": "x1", "learner": "ridge"} | options),
        )  # fmt: skip
    return sample


@METHODS
def test_what_a_wave_is(method):
    X, y, machine = data()
    sample = waves((100, 80, 60), X, y, machine, 1, method=method)
    assert sample.wave_drawn.shape == (N, 3)
    assert sample.wave_drawn.sum(axis=1).max() == 1  # nobody is drawn twice
    assert_allclose(sample.probability, 1 - (1 - sample.wave_probability).prod(axis=1))
    before = 1 - (1 - sample.wave_probability[:, :2]).prod(axis=1)
    if method == "pooled":
        # The size was planned before anything was drawn.
        assert_allclose(((1 - before) * sample.wave_probability[:, 2]).sum(), 60, rtol=1e-6)
        assert_array_equal(np.bincount(sample.folds), N // 5)
        assert_array_equal(sample.design().probability, sample.probability)
    else:
        left = ~sample.wave_drawn[:, :2].any(axis=1)
        assert_allclose(sample.wave_probability[left, 2].sum(), 60, rtol=1e-6)
        a = wave_weights([100, 80, 60], N)
        p, drawn = sample.wave_probability, sample.wave_drawn
        written_out = np.select(
            [drawn[:, 0], drawn[:, 1], drawn[:, 2]],
            [a[0] / p[:, 0] + a[1] + a[2], a[1] / p[:, 1] + a[2], a[2] / p[:, 2]],
        )
        weight = 1 / sample.design().probability[sample.drawn]
        assert_allclose(weight, written_out[sample.drawn])
    assert "in waves" in repr(sample)
    far = np.abs(X[:, 0]) > 1
    second = sample.wave_probability[:, 1]
    assert second[far].mean() > 1.5 * second[~far].mean()


@pytest.mark.parametrize("sizes", [(100, 200), (50, 70, 90), (100, 1, 300, 30)])
def test_equal_waves_have_the_weights_of_one_sample(sizes):
    weights = wave_weights(list(sizes), 1000)
    assert_allclose(weights.sum(), 1)
    before = np.cumsum([0, *sizes[:-1]])
    chance = np.array(sizes) / (1000 - before)
    for wave in range(len(sizes)):
        assert_allclose(weights[wave] / chance[wave] + weights[wave + 1 :].sum(), 1000 / sum(sizes))


def test_a_fold_does_not_depend_on_its_own_labels():
    """Other labels in a fold change the probabilities of the other folds alone."""
    X, y, machine = data()
    first = GoldSample.poisson(N, n=150, random_state=3)
    rng = np.random.default_rng(5)
    for learner in (None, "linear"):
        probe = next_wave(first, fit(first, X, y, machine, learner=learner), 100, random_state=4)
        inside = probe.folds == 2
        other = np.where(inside, y + 5 * rng.normal(size=N), y)
        again = next_wave(
            first, fit(first, X, other, machine, learner=learner), 100, random_state=4
        )
        assert_array_equal(again.folds, probe.folds)
        one, two = probe.wave_probability[:, 1], again.wave_probability[:, 1]
        if learner is None:  # seeds of learners aside
            assert_array_equal(one[inside], two[inside])
        assert_allclose(one[inside], two[inside], rtol=1e-9)
        assert np.abs(one[~inside] - two[~inside]).max() > 1e-3


@METHODS
@pytest.mark.parametrize("n_replicates", [50, pytest.param(1500, marks=pytest.mark.slow)])
def test_weights_have_expectation_one(method, n_replicates):
    """For all rows together, for rows that tend to be drawn, and weighted by what labels say."""
    X, y, machine = data(1, 600)
    found = []
    for seed in range(n_replicates):
        sample = waves((80, 60, 40), X, y, machine, seed, method=method)
        weight = np.where(sample.drawn, 1 / sample.design().probability, 0)
        error = (y - machine) ** 2
        error = np.minimum(error / error.mean(), 5)
        found.append(
            [
                weight.mean(),
                weight[np.abs(X[:, 0]) > 1].mean(),
                (weight * error).sum() / error.sum(),
            ]
        )
    z = (np.mean(found, axis=0) - 1) / (np.std(found, axis=0, ddof=1) / np.sqrt(n_replicates))
    assert np.abs(z).max() < norm.isf(1e-3 / 6)


@METHODS
def test_coverage_after_three_waves(method):
    """A short version of vignettes/evidence/gold_waves.py."""
    truth, n_replicates, covered = np.array([1, 0.5, -0.5]), 40, 0
    for seed in range(n_replicates):
        X, y, machine = data(seed)
        sample = waves((100, 80, 80), X, y, machine, seed, method=method)
        low, high = fit(sample, X, y, machine).conf_int().to_numpy()[:, -2:].T
        covered += np.mean((low <= truth) & (truth <= high))
    spread = np.sqrt(0.95 * 0.05 / n_replicates)  # of the mean over coefficients at most
    assert abs(covered / n_replicates - 0.95) < 3.3 * spread


def test_gate_and_all_coefficients():
    X, y, machine = data()
    first = GoldSample.poisson(N, n=150, random_state=3)
    model = fit(first, X, y, machine)
    for method in ("pooled", "martingale"):
        options = {"mix": "gate", "learner": "ridge", "method": method, "cost": np.ones(N)}
        sample = next_wave(first, model, 100, random_state=1, **options)
        assert 60 < sample.wave_drawn[:, 1].sum() < 140


@pytest.fixture(scope="module")
def ready():
    X, y, machine = data()
    first = GoldSample.poisson(N, n=150, random_state=3)
    model = fit(first, X, y, machine)
    second = next_wave(first, model, 100, learner="ridge", random_state=1)
    return X, y, machine, first, model, second


def test_a_wave_is_not_drawn_twice(ready):
    X, y, machine, first, model, second = ready
    with pytest.raises(ValueError, match="drawn already: the sample has 2 waves.*earlier ones"):
        next_wave(second, model, 50, random_state=2)
    both = fit(second, X, y, machine)
    with pytest.raises(ValueError, match="labels, but the sample drew"):
        next_wave(first, both, 50, random_state=2)
    with pytest.raises(ValueError, match="drawn by method='pooled'; keep to it"):
        next_wave(second, both, 50, method="martingale", random_state=2)
    with pytest.raises(ValueError, match="have no gold label"):  # the last wave's are missing
        DSLLinearRegression(learner=None).fit(
            X, np.where(first.drawn, y, np.nan), surrogates=machine, gold_sample=second
        )


def test_other_samples_are_refused(ready):
    X, y, machine, first, model, _ = ready
    fixed = GoldSample.simple_random(N, 150, random_state=0)
    with pytest.raises(ValueError, match="Waves are independent draws.*GoldSample.poisson"):
        next_wave(fixed, fit(fixed, X, y, machine), 50, random_state=0)
    with pytest.raises(ValueError, match="must be a GoldSample, got a dict"):
        next_wave({}, model, 50, random_state=0)
    with pytest.raises(ValueError, match="not possible with 1,050 rows|not possible with"):
        next_wave(first, model, N, random_state=0)
    with pytest.raises(ValueError, match="'bayes' is not one of"):
        next_wave(first, model, 50, method="bayes", random_state=0)
    with pytest.raises(ValueError, match="mix=0 could leave rows"):
        next_wave(first, model, 50, method="martingale", mix=0.0, random_state=0)
    with pytest.raises(ValueError, match="no coefficient 'x9'"):
        next_wave(first, model, 50, target="x9", random_state=0)
    closed = replace(first, settings=(("closed", True),))
    with pytest.raises(ValueError, match="closed by final_wave"):
        next_wave(closed, model, 50, random_state=0)
    plain = DSLLinearRegression(learner=None).fit(
        X, np.where(first.drawn, y, np.nan), surrogates=machine
    )
    with pytest.raises(ValueError, match="gold_sample=sample, so that its waves count"):
        next_wave(first, plain, 50, random_state=0)


@METHODS
def test_waves_are_saved(method, tmp_path):
    X, y, machine = data()
    sample = waves((150, 80), X, y, machine, 1, method=method)
    sample.save(tmp_path / "waves.csv")
    again = GoldSample.load(tmp_path / "waves.csv")
    assert again.hash == sample.hash
    model = fit(again, X, y, machine)
    one = next_wave(again, model, 50, method=method, learner="ridge", random_state=2)
    other = next_wave(sample, model, 50, method=method, learner="ridge", random_state=2)
    assert one.hash == other.hash
