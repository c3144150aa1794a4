"""Fixed effects of small groups with a predicted covariate: no bias, and honest intervals."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import binomtest

from trueness.dsl import DSLLinearRegression

N_UNITS, N_PERIODS, PROBABILITY, SLOPE = 600, 4, 0.3, 1.0
N = N_UNITS * N_PERIODS
UNIT, PERIOD = np.repeat(np.arange(N_UNITS), N_PERIODS), np.tile(np.arange(N_PERIODS), N_UNITS)
N_REPLICATES = 150


class Panel(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    machine_x: np.ndarray
    machine_y: np.ndarray
    drawn: np.ndarray


def draw(seed, ways):
    """Errors of the machine outcome depend on the covariate, errors of the covariate on effects."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(size=N_UNITS)[UNIT]
    if ways == 2:
        effect = effect + np.array([0.0, 1.0, -0.5, 0.3])[PERIOD]
    x = 0.5 * effect + rng.normal(size=N)
    y = SLOPE * x + effect + rng.normal(size=N)
    machine_x = x + 0.2 * effect + 0.5 * rng.normal(size=N)
    machine_y = y + 0.2 * x + 0.3 * rng.normal(size=N)
    return Panel(x, y, machine_x, machine_y, rng.random(N) < PROBABILITY)


def within(values, ways):
    """Subtract the means of units, or of units and periods: exact, as the panel is balanced."""
    table = values.reshape(N_UNITS, N_PERIODS)
    left = table - table.mean(axis=1, keepdims=True)
    return (left - (ways == 2) * left.mean(axis=0)).ravel()


def slope_by_hand(panel, ways, corrected):
    """Return the root for one covariate, with or without the gaps' products taken out."""
    weight = panel.drawn / PROBABILITY

    def parts(gold, machine):
        pseudo = machine + weight * (gold - machine)
        mean = pseudo - within(pseudo, ways)
        return machine - mean, gold - mean, gold - machine

    x, y = parts(panel.x, panel.machine_x), parts(panel.y, panel.machine_y)
    n_parameters = N_UNITS + (ways == 2) * (N_PERIODS - 1)
    own = n_parameters / N * (weight**2 - weight) * corrected
    shares = (1 - weight, weight, own)
    xx, xy = (
        sum(np.sum(share * a * b) for share, a, b in zip(shares, x, other, strict=True))
        for other in (x, y)
    )
    return xy / xx


def fit(panel, ways):
    gold = lambda values: np.where(panel.drawn, values, np.nan)  # noqa: E731
    return (
        DSLLinearRegression(tuning=None, learner=None, predicted_features=0, normalize=False)
        .fit(
            gold(panel.x)[:, None],
            gold(panel.y),
            surrogates=np.column_stack([panel.machine_y, panel.machine_x]),
            sampling_probability=PROBABILITY,
            fixed_effects=np.column_stack([UNIT, PERIOD])[:, :ways],
            clusters=UNIT,
        )
        .results_
    )


def standardized_bias(estimates):
    return (np.mean(estimates) - SLOPE) / (np.std(estimates, ddof=1) / np.sqrt(len(estimates)))


@pytest.mark.parametrize("ways", [1, 2])
def test_no_bias_and_honest_intervals(ways):
    panels = [draw(seed, ways) for seed in range(N_REPLICATES)]
    fits = [fit(panel, ways) for panel in panels]
    estimates = np.array([results.params[0] for results in fits])
    by_hand = [slope_by_hand(panel, ways, corrected=True) for panel in panels]
    np.testing.assert_allclose(estimates, by_hand, rtol=1e-9)
    assert abs(standardized_bias(estimates)) < 3.3
    uncorrected = [slope_by_hand(panel, ways, corrected=False) for panel in panels]
    assert abs(standardized_bias(uncorrected)) > 10.0
    intervals = np.array([results.conf_int().to_numpy()[0] for results in fits], dtype=float)
    covered = (intervals[:, 0] < SLOPE) & (intervals[:, 1] > SLOPE)
    assert binomtest(int(covered.sum()), N_REPLICATES, 0.95).pvalue > 0.01
    # The standard errors are those of the estimates, which has 6 percent of Monte Carlo error.
    std_errors = np.array([results.std_errors[0] for results in fits])
    assert 0.8 < np.sqrt(np.mean(std_errors**2)) / estimates.std(ddof=1) < 1.2


@pytest.mark.parametrize("ways", [1, 2])
def test_nothing_is_taken_out_where_only_the_outcome_is_predicted(ways):
    """The root of the plain equation, which is least squares on the corrected outcome."""
    panel = draw(0, ways)
    results = (
        DSLLinearRegression(tuning=None, learner=None, normalize=False)
        .fit(
            panel.x[:, None],
            np.where(panel.drawn, panel.y, np.nan),
            surrogates=panel.machine_y,
            sampling_probability=PROBABILITY,
            fixed_effects=np.column_stack([UNIT, PERIOD])[:, :ways],
        )
        .results_
    )
    known = panel._replace(machine_x=panel.x)
    np.testing.assert_allclose(results.params, slope_by_hand(known, ways, False), rtol=1e-9)
    np.testing.assert_allclose(results.params, slope_by_hand(known, ways, True), rtol=1e-9)
