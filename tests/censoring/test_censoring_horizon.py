"""Horizons: which rows are known, and how far the data reach."""

import numpy as np
import pytest
from censoring_reference import delayed, durations

from trueness.censoring import CoxCensoring, KaplanMeierCensoring, censoring_weights
from trueness.censoring.horizon import choose_horizon, restrict, round_down, survives, weight_sums
from trueness.censoring.targets import read_rows


def exponential(n, slope, seed=0, share=1.0):
    """Durations and censoring times whose logarithms depend on the first covariate."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (n, 4))
    duration = np.exp(x[:, 0] - 0.5 * x[:, 1] + 0.5 * x[:, 2]) * rng.exponential(size=n)
    censored = share * np.exp(slope * x[:, 0]) * rng.exponential(size=n)
    return x, read_rows(np.minimum(duration, censored), duration <= censored)


def test_rows_watched_at_the_horizon_are_known_though_censored_later():
    rows = read_rows([1.0, 2.0, 3.0, 3.0, 4.0, 5.0], [1, 0, 1, 0, 1, 0])
    found = restrict(rows, 3.0)
    assert found.target.tolist() == [1, 2, 3, 3, 3, 3]
    assert found.known.tolist() == [True, False, True, True, True, True]
    assert found.at.tolist() == found.target.tolist()
    unrestricted = restrict(rows, None)
    assert unrestricted.known.tolist() == rows.event.tolist()
    assert unrestricted.target.tolist() == rows.time.tolist()


def test_survival_beyond_the_horizon():
    rows = read_rows([1.0, 2.0, 3.0, 3.0, 4.0, 5.0], [1, 0, 1, 0, 1, 0])
    found = survives(rows, 3.0)
    assert found.known.tolist() == [True, False, True, False, True, True]
    assert found.target[found.known].tolist() == [0, 0, 1, 1]
    model = KaplanMeierCensoring().fit_rows(None, rows)
    # Rows with an event weigh 1 / G(t-), later ones 1 / G(3).
    weights = model.survival(None, found.at, "left")[found.known]
    expected = [1.0, model.survival(None, [3.0], "left")[0], *model.survival(None, [3.0, 3.0])]
    assert weights.tolist() == expected
    assert weights[1] != weights[2]


def test_the_marginal_rule():
    _, rows = exponential(2000, 0.0)
    choice = choose_horizon("auto", rows)
    curve = KaplanMeierCensoring().fit_rows(None, rows).curve()
    assert curve(choice.marginal, "left") >= 0.2
    later = rows.time[rows.time > choice.marginal]
    assert (curve(later, "left") < 0.2).all()
    assert choice.value == round_down(choice.marginal)
    more = choose_horizon("auto", rows, g_min=0.05)
    assert more.value > choice.value
    alone = choose_horizon("auto", rows, g_min=1e-9)
    assert (rows.time >= alone.marginal).sum() == 20


def test_few_rows_need_a_fifth_of_them_at_risk():
    _, time, event = durations(40)
    rows = read_rows(time, event)
    choice = choose_horizon("auto", rows, g_min=1e-9)
    assert (rows.time >= choice.marginal).sum() >= 8
    assert (rows.time > choice.marginal).sum() < 8


def test_the_sum_of_weights_lowers_the_horizon_where_some_are_never_seen():
    x, rows = exponential(1500, -1.5, share=0.4)
    model = CoxCensoring().fit_rows(x, rows)
    choice = choose_horizon("auto", rows, model=model)
    grid, sums = choice.weight_sums.T
    assert grid == pytest.approx(choice.marginal * np.arange(1, 9) / 8)
    assert sums == pytest.approx(weight_sums(rows, model, grid))
    failed = np.abs(sums - 1.0) > 0.05
    assert failed.any()
    assert choice.value == round_down(grid[failed.argmax() - 1])
    assert choice.value < choose_horizon("auto", rows).value
    found = censoring_weights(
        rows.time, rows.event, x, model="cox", horizon="auto", positivity="ignore"
    )
    assert found.horizon == choice.value


def test_the_sum_of_weights_changes_nothing_where_censoring_is_independent():
    for seed in range(5):
        x, rows = exponential(1000, 0.0, seed)
        model = CoxCensoring().fit_rows(x, rows)
        assert choose_horizon("auto", rows, model=model).value == choose_horizon("auto", rows).value


def test_nothing_is_restricted_where_nobody_is_censored():
    choice = choose_horizon("auto", read_rows([1.0, 2.0, 3.0]))
    assert choice.value is None
    assert "no row is censored" in choice.reason


def test_administrative_censoring_is_the_horizon_and_is_not_rounded():
    rows = read_rows(
        np.r_[np.arange(1.0, 60.0), np.full(40, 365.0)], np.r_[np.ones(59), np.zeros(40)]
    )
    assert choose_horizon("auto", rows).value == 365.0


def test_late_entries_leave_few_at_risk_at_first():
    _, time, event = durations(300)
    rows = read_rows(time, event, entry=delayed(time))
    assert choose_horizon("auto", rows).value > 0.0


def test_all_weight_sums_of_the_marginal_curve_are_one():
    _, rows = exponential(500, 0.0)
    model = KaplanMeierCensoring().fit_rows(None, rows)
    assert weight_sums(rows, model, np.array([0.1, 0.5, 1.0])) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "down"),
    [(1862.0, 1800.0), (0.0347, 0.034), (2.0, 2.0), (0.1, 0.1), (99.9, 99.0), (100.0, 100.0),
     (0.29, 0.29), (1e6, 1e6), (7.0, 7.0), (0.057, 0.057)],
)  # fmt: skip
def test_rounding_down_to_two_digits(value, down):
    assert round_down(value) == pytest.approx(down, rel=1e-12)


def test_horizons_that_cannot_be():
    rows = read_rows([1.0, 2.0, 7.0], [1, 0, 1])
    with pytest.raises(ValueError, match=r"past the last time.*The largest allowed is 7\."):
        choose_horizon(8.0, rows)
    assert choose_horizon(7.0, rows).value == 7.0
    assert choose_horizon(None, rows).value is None
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="positive, finite"):
            choose_horizon(wrong, rows)
    with pytest.raises(ValueError, match="'auto', a positive number, or None"):
        choose_horizon("none", rows)
    with pytest.raises(ValueError, match="All durations are zero"):
        choose_horizon("auto", read_rows([0.0, 0.0], [1, 0]))
