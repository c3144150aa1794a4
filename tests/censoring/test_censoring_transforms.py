"""Outcomes that replace censored durations: identities, brute force, finite differences."""

import numpy as np
import pytest

from trueness.censoring.numerics.transforms import (
    Curves,
    buckley_james,
    doubly_robust,
    koul_susarla_van_ryzin,
    leurgans,
    mean_beyond,
    mean_beyond_grid,
    pseudo_observations,
)


def product_limit(time, event, of, weight=None, entry=None):
    """Kaplan-Meier written out time by time; censorings come after events of the same time."""
    weight = np.ones(len(time)) if weight is None else weight
    entry = np.full(len(time), -1.0) if entry is None else entry
    grid, values, level = np.unique(time), [], 1.0
    for now in grid:
        risk = weight[(time >= now) & (entry < now)].sum()
        died = weight[(time == now) & event].sum()
        left = weight[(time == now) & ~event].sum()
        if of == "event":
            level *= 1.0 - died / risk
        elif risk - died > 1e-9:
            level *= 1.0 - left / (risk - died)
        values.append(level)
    return Curves(grid, np.array(values)[None])


def tied_sample(seed, n=80):
    rng = np.random.default_rng(seed)
    duration = rng.integers(0, 12, n).astype(float)
    censoring = rng.integers(0, 15, n).astype(float)
    time, event = np.minimum(duration, censoring), duration <= censoring
    horizon = min(7.5, time.max())
    restricted = np.minimum(time, horizon)
    known = (event & (time <= horizon)) | (time >= horizon)
    return time, event, horizon, restricted, known


def different_curves(seed, n, grid, lowest=0.05):
    """Falling step functions, another for every row."""
    rng = np.random.default_rng(seed)
    drops = rng.uniform(0.0, 0.25, (n, len(grid))) * (rng.random((n, len(grid))) < 0.7)
    return Curves(grid, np.maximum(np.cumprod(1.0 - drops, axis=1), lowest))


@pytest.mark.parametrize("seed", range(6))
def test_with_marginal_curves_all_outcomes_average_to_the_restricted_mean(seed):
    time, event, horizon, restricted, known = tied_sample(seed)
    censoring = product_limit(time, event, "censoring").floored(0.0)
    survival = product_limit(time, event, "event")
    target = survival.integral(np.array([horizon]))[0]
    outcomes = {
        "ksv": koul_susarla_van_ryzin(restricted, known, censoring.at(restricted, "left")),
        "leurgans": leurgans(restricted, censoring),
        "bj": buckley_james(restricted, known, mean_beyond(survival, restricted, horizon)),
        "dr": doubly_robust(restricted, known, censoring, survival, horizon),
        "pseudo": pseudo_observations(time, event, horizon),
    }
    for name, outcome in outcomes.items():
        assert outcome.mean() == pytest.approx(target, rel=1e-12), name
    # To first order the jackknife is the doubly robust outcome with both curves marginal; with
    # product-limit curves it is the same number.
    np.testing.assert_allclose(outcomes["pseudo"], outcomes["dr"], rtol=0, atol=1e-11)
    assert np.ptp(outcomes["dr"]) > 1.0


def test_the_worked_example_has_its_restricted_mean():
    # S = 7/8, 3/4, 3/4, 9/16 after times 1, 2, 3, 4; up to 4.5 the area is
    # 1 + 7/8 + 2 * 3/4 + .5 * 9/16 = 3.65625.
    time = np.array([1.0, 2, 2, 3, 4, 4, 5, 6])
    event = np.array([1, 1, 0, 0, 1, 0, 1, 0], dtype=bool)
    survival = product_limit(time, event, "event")
    assert survival.integral(np.array([4.5]))[0] == 3.65625
    censoring = product_limit(time, event, "censoring").floored(0.0)
    restricted = np.minimum(time, 4.5)
    known = np.array([1, 1, 0, 0, 1, 0, 1, 1], dtype=bool)
    outcome = doubly_robust(restricted, known, censoring, survival, 4.5)
    assert outcome.mean() == pytest.approx(3.65625, rel=1e-14)


def written_out(restricted, known, censoring, survival, horizon):
    """Equation (5) row by row: the sum over jumps at which the row is at risk of censoring."""
    outcomes = []
    for i, (z, k) in enumerate(zip(restricted, known, strict=True)):
        g, s, grid = censoring.values[i], survival.values[i], censoring.grid

        def value(curve, time, strict, grid=grid):
            seen = curve[grid < time] if strict else curve[grid <= time]
            return seen[-1] if len(seen) else 1.0

        def beyond(time, s=s, grid=grid, value=value):
            knots = np.unique(np.concatenate([[time], grid[(grid > time) & (grid < horizon)]]))
            ends = np.append(knots[1:], horizon)
            area = sum(value(s, a, False) * (b - a) for a, b in zip(knots, ends, strict=True))
            return time + area / value(s, time, False)

        total = k * z / value(g, z, True) + (1 - k) * beyond(z) / value(g, z, False)
        for v in grid[(grid < z) | ((grid == z) & (not k))]:
            hazard = 1.0 - value(g, v, False) / value(g, v, True)
            total -= beyond(v) / value(g, v, False) * hazard
        outcomes.append(total)
    return np.array(outcomes)


def test_doubly_robust_outcomes_are_the_textbook_sum_over_jumps():
    _, _, horizon, restricted, known = tied_sample(3)
    grid = np.arange(0.0, 8.0)
    censoring = different_curves(1, 80, grid)
    survival = different_curves(2, 80, grid)
    expected = written_out(restricted, known, censoring, survival, horizon)
    outcome = doubly_robust(restricted, known, censoring, survival, horizon)
    np.testing.assert_allclose(outcome, expected, rtol=1e-12)


def test_means_beyond_a_time_agree_on_and_off_the_grid():
    grid = np.array([0.0, 0.5, 2.0, 3.0])
    survival = different_curves(4, 5, grid)
    on_grid = mean_beyond_grid(survival, 4.0)
    for j, point in enumerate(grid):
        expected = mean_beyond(survival, np.full(5, point), 4.0)
        np.testing.assert_allclose(on_grid[:, j], expected, rtol=1e-14)
    # By hand: S = 1/2 on [1, 3), 1/4 on [3, 4]; beyond 2: 2 + (1/2 + 1/4) / (1/2) = 3.5.
    simple = Curves(np.array([1.0, 3.0]), np.array([[0.5, 0.25]]))
    assert mean_beyond(simple, np.array([2.0]), 4.0)[0] == 3.5
    dead = Curves(np.array([1.0, 2.0]), np.array([[0.5, 0.0]]))
    assert mean_beyond(dead, np.array([2.5]), 4.0)[0] == 2.5


@pytest.mark.parametrize("floor", [0.0, 0.1, 0.5])
def test_an_outcome_that_is_constant_is_returned_whatever_the_floor(floor):
    # The sum of the weight of a known row and its integral is 1: with an event curve under which
    # everybody lasts to the horizon, m is the horizon itself, and so is every outcome that is
    # known to reach it.
    grid = np.arange(0.0, 8.0)
    censoring = different_curves(5, 40, grid, lowest=0.0)
    censoring.values[:10, 5:] = 0.0
    everybody = Curves(grid, np.ones((1, 8)))
    restricted = np.full(40, 7.5)
    outcome = doubly_robust(
        restricted, np.ones(40, dtype=bool), censoring.floored(floor), everybody, 7.5
    )
    np.testing.assert_allclose(outcome, 7.5, rtol=1e-12)
    unknown = doubly_robust(
        np.full(40, 3.0), np.zeros(40, dtype=bool), censoring.floored(floor), everybody, 7.5
    )
    np.testing.assert_allclose(unknown, 7.5, rtol=1e-12)


def test_a_curve_at_zero_keeps_its_last_positive_value():
    curves = Curves(np.arange(3.0), np.array([[0.8, 0.4, 0.0], [0.9, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    held = curves.floored(0.0)
    np.testing.assert_array_equal(held.values, [[0.8, 0.4, 0.4], [0.9, 0.9, 0.9], [1, 1, 1]])
    np.testing.assert_array_equal(
        curves.floored(0.5).values, [[0.8, 0.5, 0.5], [0.9, 0.5, 0.5], [0.5, 0.5, 0.5]]
    )
    all_censored_last = np.array([1.0, 2.0, 2.0])
    known = np.array([True, False, False])
    censoring = Curves(np.array([1.0, 2.0]), np.array([[1.0, 0.0]])).floored(0.0)
    survival = Curves(np.array([1.0, 2.0]), np.array([[2 / 3, 2 / 3]]))
    outcome = doubly_robust(all_censored_last, known, censoring, survival, 2.5)
    # Rows 2 and 3 are replaced by m(2) = 2 + .5, and no weight is infinite.
    np.testing.assert_allclose(outcome, [1.0, 2.5, 2.5], rtol=1e-14)


def test_left_limits_and_values_differ_only_at_jumps():
    curve = Curves(np.array([1.0, 2.0]), np.array([[0.5, 0.25]]))
    times = np.array([0.0, 1.0, 1.5, 2.0, 9.0])
    np.testing.assert_array_equal(curve.at(times, "left"), [1, 1, 0.5, 0.5, 0.25])
    np.testing.assert_array_equal(curve.at(times, "right"), [1, 0.5, 0.5, 0.25, 0.25])
    np.testing.assert_array_equal(curve.integral(times), [0, 1, 1.25, 1.5, 3.25])
    sampled = Curves(np.array([1.0, 2.0]), np.array([[0.5, 0.25]]), steps=False)
    np.testing.assert_allclose(sampled.at(times), [1, 0.5, 0.375, 0.25, 0.25])
    np.testing.assert_allclose(sampled.at(times, "left"), [1, 0.5, 0.375, 0.25, 0.25])
    np.testing.assert_allclose(sampled.integral(times[:4]), [0, 0.75, 0.75 + 0.21875, 1.125])


@pytest.mark.parametrize("with_entry", [False, True])
def test_pseudo_observations_are_derivatives_in_the_case_weights(with_entry):
    time, event, horizon, _, _ = tied_sample(11, n=60)
    rng = np.random.default_rng(12)
    weight = rng.uniform(0.5, 2.0, 60)
    entry = np.where(rng.random(60) < 0.4, time - rng.integers(1, 4, 60), -1.0)
    entry = entry if with_entry else None

    def mean(weights):
        curve = product_limit(time, event, "event", weights, entry)
        return curve.integral(np.array([horizon]))[0]

    pseudo = pseudo_observations(time, event, horizon, weight=weight, entry=entry)
    assert np.average(pseudo, weights=weight) == pytest.approx(mean(weight), rel=1e-12)
    step = 1e-5
    for i in range(0, 60, 7):
        bump = step * (np.arange(60) == i)
        slope = (mean(weight + bump) - mean(weight - bump)) / (2 * step)
        expected = mean(weight) + weight.sum() * slope
        assert pseudo[i] == pytest.approx(expected, abs=1e-6)


def test_pseudo_observations_without_an_event_are_the_horizon():
    np.testing.assert_array_equal(
        pseudo_observations(np.array([3.0, 4.0]), np.zeros(2, dtype=bool), 3.0), [3.0, 3.0]
    )


def exponential_sample(n=40_000):
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, n)
    scale, rate = np.exp(x), np.exp(-0.5 * x) / 1.5
    duration, censoring = scale * rng.exponential(size=n), rng.exponential(size=n) / rate
    time, event, horizon = np.minimum(duration, censoring), duration <= censoring, 1.5
    truth = scale * (1 - np.exp(-horizon / scale))
    restricted = np.minimum(time, horizon)
    known = (event & (time <= horizon)) | (time >= horizon)
    return restricted, known, scale, rate, truth, horizon


def sampled(rate, horizon, m):
    grid = np.linspace(0, horizon, m + 1)[1:]
    return Curves(grid, np.exp(-rate[:, None] * grid), steps=False)


def test_the_mean_is_right_if_either_curve_is_and_wrong_if_neither():
    restricted, known, scale, rate, truth, horizon = exponential_sample()
    right, wrong = sampled(rate, horizon, 100), sampled(2 * rate, horizon, 100)
    event, bad_event = sampled(1 / scale, horizon, 100), sampled(2 / scale, horizon, 100)
    for censoring, survival, is_right in [
        (right, event, True),
        (right, bad_event, True),
        (wrong, event, True),
        (wrong, bad_event, False),
    ]:
        error = doubly_robust(restricted, known, censoring, survival, horizon) - truth
        z_value = error.mean() / (error.std() / np.sqrt(len(error)))
        assert (abs(z_value) < 3.5) == is_right
    for outcome in (
        leurgans(restricted, right),
        koul_susarla_van_ryzin(restricted, known, right.at(restricted, "left")),
        buckley_james(restricted, known, mean_beyond(event, restricted, horizon)),
    ):
        error = outcome - truth
        assert abs(error.mean()) < 3.5 * error.std() / np.sqrt(len(error))


def test_a_coarse_sample_of_smooth_curves_changes_outcomes_little():
    restricted, known, scale, rate, _, horizon = exponential_sample(2000)
    outcomes = [
        doubly_robust(
            restricted, known, sampled(rate, horizon, m), sampled(1 / scale, horizon, m), horizon
        )
        for m in (20, 40, 4000)
    ]
    coarse, finer = (np.abs(outcome - outcomes[2]).max() for outcome in outcomes[:2])
    assert coarse < 0.01
    assert finer < 0.3 * coarse  # the trapezoid rule is of second order


def test_a_curve_at_zero_goes_on_like_the_common_one():
    grid = np.arange(1.0, 5.0)
    curves = Curves(grid, np.array([[0.9, 0.6, 0.0, 0.0], [0.8, 0.7, 0.6, 0.5], [0.0, 0, 0, 0]]))
    common = np.array([0.8, 0.5, 0.4, 0.1])
    # From its last positive value on, it keeps the ratio to the common curve; from 1 if none is.
    expected = [[0.9, 0.6, 0.6 * 0.4 / 0.5, 0.6 * 0.1 / 0.5], [0.8, 0.7, 0.6, 0.5], common]
    np.testing.assert_allclose(curves.continued(common).values, expected, rtol=1e-14)
    assert curves.values[0, 2] == 0.0
    positive = Curves(grid, common[None])
    assert positive.continued(common) is positive
