"""Weights: floors, fallback, scale, diagnostics and their alarms."""

import warnings

import numpy as np
import pandas as pd
import pytest
from censoring_reference import delayed, durations

from trueness.censoring import (
    BeranCensoring,
    CensoringWarning,
    KaplanMeierCensoring,
    NeighborsCensoring,
    PositivityWarning,
    censoring_weights,
)
from trueness.weighting import concentration, quantiles

X, TIME, EVENT = durations(400)


def weigh(time=TIME, event=EVENT, X=None, **options):
    return censoring_weights(time, event, X, **({"positivity": "ignore"} | options))


class Given:
    """A model of censoring that was told the answer."""

    def __init__(self, values):
        self.values = values

    def fit(self, X, time, event):
        return self

    def survival(self, X, times, side="right"):
        return self.values[X[:, 0].astype(int)]


# ---------------------------------------------------------------------------------- scale


def test_scales():
    plain = weigh(horizon=5.0)
    assert plain.weights.sum() == pytest.approx(1.0)
    event = EVENT & (TIME.max() > TIME)
    uncut = weigh(event=event)
    assert uncut.weights.sum() < 0.999
    hajek = weigh(event=event, normalize="hajek")
    assert hajek.weights.sum() == pytest.approx(1.0, abs=1e-14)
    assert hajek.weights / hajek.weights.max() == pytest.approx(uncut.weights / uncut.weights.max())
    unit = weigh(event=event, normalize="mean1")
    assert unit.weights[unit.known].mean() == pytest.approx(1.0, abs=1e-14)
    # What is reported does not depend on the scale.
    assert unit.diagnostics == hajek.diagnostics == uncut.diagnostics


def test_case_weights_multiply_and_zero_is_left_out():
    case = np.random.default_rng(0).integers(0, 3, 400)
    found = weigh(sample_weight=case, horizon=5.0)
    repeated = weigh(np.repeat(TIME, case), np.repeat(EVENT, case), horizon=5.0)
    assert found.weights.sum() == pytest.approx(repeated.weights.sum(), abs=1e-12)
    by_row = np.add.reduceat(repeated.weights, np.r_[0, np.cumsum(case[case > 0])[:-1]])
    assert found.weights[case > 0] == pytest.approx(by_row, abs=1e-12)
    assert not found.known[case == 0].any()
    assert found.diagnostics.n_known == (found.known).sum()


# ------------------------------------------------------------------------- floor, fallback


def test_floors():
    exact = weigh(floor=0)
    assert exact.diagnostics.n_floored == 0
    small = exact.survival[EVENT]
    found = weigh(floor=0.3)
    low = EVENT & (exact.survival < 0.3)
    assert found.survival[EVENT] == pytest.approx(np.maximum(small, 0.3))
    assert found.diagnostics.n_floored == low.sum() > 0
    share = found.weights[low].sum() / found.weights.sum()
    assert found.diagnostics.floored_share == pytest.approx(share)
    assert found.diagnostics.survival_quantiles["min"] == small.min()
    # Reported before floors: they must not hide themselves.
    assert found.diagnostics.weight_sum == pytest.approx(exact.weights.sum())


def test_the_floor_depends_on_the_number_of_rows():
    assert weigh().diagnostics.floor == 0.05
    assert weigh(TIME[:25], EVENT[:25]).diagnostics.floor == 0.2
    capped = weigh(floor="quantile")
    exact = weigh(floor=0).weights
    cap = np.quantile(exact[EVENT], 0.99)
    assert capped.weights == pytest.approx(np.minimum(exact, cap))
    for wrong in (-0.1, 1.0, "low"):
        with pytest.raises(ValueError, match=r"floor"):
            weigh(floor=wrong)


def test_rows_without_neighbours_get_the_marginal_curve():
    x = X[:, :1].copy()
    x[7] = 50.0
    event = EVENT.copy()
    event[7] = True
    model = BeranCensoring(bandwidth=0.3)
    found = weigh(X=x, event=event, model=model, floor=0)
    # So far away that all kernel weights are zero.
    assert found.diagnostics.n_fallback >= 1
    marginal = KaplanMeierCensoring().fit(None, TIME, event).survival(None, TIME, "left")
    assert found.survival[7] == pytest.approx(marginal[7], abs=1e-15)
    curves = found.model.training_curves(TIME, "left")
    few = found.known & ((curves.support < 5.0) | (curves.values[:, 0] == 0.0))
    assert few[7]
    assert found.diagnostics.n_fallback == few.sum()
    assert found.survival[few] == pytest.approx(marginal[few], abs=1e-15)
    assert found.diagnostics.fallback_share == pytest.approx(
        found.weights[few].sum() / found.weights.sum()
    )
    # Without any neighbour the product is 1, which says nothing.
    assert curves.values[7, 0] == 1.0
    assert weigh(X=x, event=event, model=model, floor=0, min_neighbors=0).survival[7] == 1.0


def zero_survival():
    """Rows 0-9 are alone in their stratum: row 9 outlives the others, all of them censored."""
    time = np.r_[np.arange(1.0, 11.0), TIME]
    event = np.r_[np.zeros(9), 1, EVENT & (TIME.max() > TIME)].astype(bool)
    stratum = pd.DataFrame({"place": ["a"] * 10 + ["b"] * len(TIME)})
    return time, event, stratum


def test_zero_survival_raises_warns_or_is_only_counted():
    time, event, stratum = zero_survival()
    options = {"X": stratum, "model": BeranCensoring(bandwidth=1.0), "floor": 0}
    with pytest.raises(ValueError, match=r"on 1 of \d+ known rows \(row 9\).*positivity='warn'"):
        weigh(time, event, **options, positivity="raise")
    with pytest.warns(PositivityWarning, match="1 of .* were given the marginal curve"):
        found = weigh(time, event, **options, positivity="warn")
    assert found.diagnostics.n_fallback == 1
    assert np.isfinite(found.weights).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet = weigh(time, event, **options, positivity="ignore")
    assert quiet.diagnostics.alarms == found.diagnostics.alarms
    with pytest.raises(ValueError, match="positivity='quiet' must be one of"):
        weigh(positivity="quiet")
    with pytest.raises(ValueError, match="normalize='sum' must be one of"):
        weigh(normalize="sum")


def test_nobody_left_under_observation_is_said():
    # Two rows early, both gone, one censored; all others enter later.
    time, entry = np.r_[1.0, 2.0, TIME + 5.0], np.r_[0.0, 0.0, np.full(400, 4.0)]
    event = np.r_[True, False, EVENT]
    with pytest.raises(ValueError, match="nobody was left under observation earlier"):
        weigh(time, event, entry=entry, floor=0)
    assert np.isfinite(weigh(time, event, entry=entry).weights).all()


# ------------------------------------------------------------------------------ no target


def test_no_event_and_all_censored_early():
    with pytest.raises(ValueError, match="No row has its event: all 3 are censored"):
        weigh([1.0, 2.0, 3.0], [0, 0, 0])
    with pytest.raises(ValueError, match=r"All 3 rows are censored before the horizon 3"):
        weigh(
            [1.0, 2.0, 3.0],
            [0, 0, 0],
            horizon=3.0,
            entry=[0.0, 0.0, 2.999],
            sample_weight=[1, 1, 0],
        )
    with pytest.raises(ValueError, match=r"largest allowed is"):
        weigh(horizon=1e6)
    # No event, but all are watched to the horizon by somebody.
    assert weigh([1.0, 2.0, 3.0], [0, 0, 0], horizon=2.0).weights.sum() == pytest.approx(1.0)


# ---------------------------------------------------------------------------- diagnostics


def test_numbers_of_the_diagnostics():
    found = weigh(horizon=4.0, X=X, model="cox")
    d = found.diagnostics
    kept = found.weights[found.known]
    assert (d.n_rows, d.n_events, d.n_censored) == (400, EVENT.sum(), (~EVENT).sum())
    assert d.n_known == (EVENT | (TIME >= 4.0)).sum() == len(kept)
    assert d.effective_size == pytest.approx(kept.sum() ** 2 / (kept**2).sum())
    assert d.effective_share == pytest.approx(d.effective_size / len(kept))
    assert d.largest_share == pytest.approx(kept.max() / kept.sum())
    top = np.sort(kept)[-(len(kept) // 100) :]
    assert d.top_share == pytest.approx(top.sum() / kept.sum())
    marginal = KaplanMeierCensoring().fit(None, TIME, EVENT)
    assert d.survival_at_horizon == marginal.survival(None, [4.0], "left")[0]
    assert d.weight_sum == pytest.approx((1 / 400 / found.survival[found.known]).sum())
    assert d.horizon == 4.0
    assert d.model == "Cox"
    assert d.event_given
    assert not d.neighbors
    frame = d.to_frame().set_index("quantity")["value"]
    assert frame["known rows"] == d.n_known
    neighbors = weigh(X=X, model=NeighborsCensoring(n_neighbors=33), horizon=4.0).diagnostics
    assert neighbors.neighbors == {"min": 33.0, "5%": 33.0, "50%": 33.0}


def test_balance_before_and_after_by_hand():
    frame = pd.DataFrame({"a": 10.0 + 3.0 * X[:, 0], "b": np.where(X[:, 1] > 0, "yes", "no")})
    found = weigh(horizon=4.0, X=frame, model="cox")
    table = found.diagnostics.balance.set_index("covariate")
    a = frame["a"].to_numpy()
    (mean, known, weighted, before, after) = table.loc["a"]
    assert mean == pytest.approx(a.mean())
    assert known == pytest.approx(a[found.known].mean())
    assert weighted == pytest.approx(found.weights @ a / found.weights.sum())
    assert before == pytest.approx((known - mean) / a.std())
    assert after == pytest.approx((weighted - mean) / a.std())
    (name,) = table.index[1:]
    assert name in ("b=yes", "b=no")


def test_weights_given_covariates_balance_what_marginal_ones_do_not():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (800, 3))
    duration = np.exp(x[:, 1]) * rng.exponential(size=800)
    censored = 1.5 * np.exp(1.5 * x[:, 0]) * rng.exponential(size=800)
    time, event = np.minimum(duration, censored), duration <= censored
    after = {
        model: weigh(time, event, x, model=model, horizon=1.0).diagnostics.balance["after"]
        for model in ("km", "cox", "beran", "neighbors", "forest")
    }
    assert abs(after["km"][0]) > 0.2
    for model in ("cox", "beran", "neighbors", "forest"):
        assert abs(after[model][0]) < 0.5 * abs(after["km"][0])


def test_dependence_is_found_where_it_is():
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (800, 2))
    duration = rng.exponential(size=800)
    p_values = {}
    for slope in (0.0, 1.0):
        censored = np.exp(slope * x[:, 0]) * rng.exponential(size=800)
        found = weigh(np.minimum(duration, censored), duration <= censored, x)
        p_values[slope] = found.diagnostics.dependence.p_value
        assert found.diagnostics.dependence.df == 2
        assert found.diagnostics.dependence.n_rows == 800
    assert p_values[0.0] > 0.01
    assert p_values[1.0] < 1e-6


def test_p_values_of_the_test_of_dependence_are_uniform():
    rng = np.random.default_rng(4)
    p_values = []
    for _ in range(40):
        x = rng.normal(size=(80, 2))
        duration, censored = rng.exponential(size=80), rng.exponential(size=80)
        model = KaplanMeierCensoring().fit(
            None, np.minimum(duration, censored), duration <= censored
        )
        p_values.append(model.dependence(x).p_value)
    # Binomial limits for 40 draws at one half, left with probability 0.002.
    assert 11 <= (np.array(p_values) < 0.5).sum() <= 29


# ------------------------------------------------------------------------------- alarms


def alarms(**options):
    return " ".join(weigh(**options).diagnostics.alarms)


def test_no_alarm_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = weigh(horizon=2.0, positivity="warn")
    assert found.diagnostics.alarms == ()


def test_missing_mass_without_a_horizon():
    time, event = np.arange(1.0, 41.0), np.r_[np.ones(30), np.zeros(10)]
    assert "25.0% of all weight is missing" in alarms(time=time, event=event, floor=0)
    assert "missing" not in alarms(time=time, event=event, floor=0, horizon=31.0)


@pytest.mark.parametrize(
    ("total", "word"),
    [(1.0, None), (0.96, None), (1.04, None), (0.93, "not quite 1"), (1.07, "not quite 1"),
     (0.88, "far from 1"), (1.2, "far from 1")],
)  # fmt: skip
def test_sums_of_weights(total, word):
    # Everybody is known, so that the sum is one over the survival that the model says.
    time, event, values = np.arange(1.0, 101.0), np.ones(100), np.ones(100)
    if total > 1.0:
        values[:] = 1.0 / total
    else:
        event[: round(100 * (1.0 - total))] = 0
    model = Given(values)
    found = weigh(time, event, np.arange(100.0)[:, None], model=model, horizon=100.0)
    assert found.diagnostics.weight_sum == pytest.approx(total)
    said = " ".join(found.diagnostics.alarms)
    assert (word in said) if word else ("sum to" not in said)


def test_few_rows_with_most_of_the_weight():
    time, event = np.arange(1.0, 201.0), np.ones(200)
    x = np.arange(200.0)[:, None]
    values = np.full(200, 1.0)
    values[:3] = 0.01
    found = weigh(time, event, x, model=Given(values), floor=0)
    said = " ".join(found.diagnostics.alarms)
    assert "one row has 20.1% of all weight" in said
    assert "200 known rows are worth only" in said
    assert "falls to 0.01" in said
    floored = " ".join(weigh(time, event, x, model=Given(values)).diagnostics.alarms)
    assert "3 of 200 known rows had a survival of censoring below the floor 0.0707" in floored
    assert "falls to" not in floored


def test_alarms_are_one_warning_that_names_the_model():
    time, event = np.arange(1.0, 41.0), np.r_[np.ones(30), np.zeros(10)]
    with pytest.warns(PositivityWarning, match=r"\(Kaplan-Meier\): .*\.$") as caught:
        weigh(time, event, positivity="warn")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert issubclass(PositivityWarning, CensoringWarning)


def test_concentration_and_quantiles_by_hand():
    found = concentration(np.array([1.0, 1.0, 2.0]))
    assert found["effective_size"] == pytest.approx(16 / 6)
    assert found["effective_share"] == pytest.approx(16 / 18)
    assert (found["largest_share"], found["top_share"]) == (0.5, 0.5)
    values = np.random.default_rng(0).normal(size=137)
    expected = np.quantile(values, [0.01, 0.5])
    assert list(quantiles(values, (0.01, 0.5)).values())[1:] == pytest.approx(expected)


# ------------------------------------------------------------------------- delayed entry


def test_late_entry_does_not_bias_the_mean():
    rng = np.random.default_rng(5)
    duration, entry = rng.exponential(size=40_000), rng.uniform(0.0, 1.5, 40_000)
    entry[rng.random(40_000) < 0.3] = 0.0
    censored = entry + rng.exponential(2.0, 40_000)
    time, event = np.minimum(duration, censored), duration <= censored
    seen = time > entry
    found = weigh(time[seen], event[seen], entry=entry[seen], horizon=2.0, floor=0)
    # E min(Y, 2) = 1 - exp(-2); the standard error is about 0.008.
    assert found.weights @ found.target == pytest.approx(1.0 - np.exp(-2.0), abs=0.03)
    blind = weigh(time[seen], event[seen], horizon=2.0, floor=0)
    assert blind.weights @ blind.target > 1.0 - np.exp(-2.0) + 0.1


def test_local_models_take_entries_too():
    entry = delayed(TIME)
    for model in ("beran", "neighbors", "forest", "cox"):
        found = weigh(X=X, model=model, entry=entry, horizon=4.0, random_state=0)
        assert found.weights.sum() == pytest.approx(1.0, abs=0.1)


def test_levels_of_the_event_can_be_named():
    words = np.where(EVENT, "dead", "alive")
    assert np.array_equal(weigh(event=words, event_level="dead").weights, weigh().weights)
