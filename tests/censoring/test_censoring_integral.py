"""Integrals over Kaplan-Meier curves: values, exact influence, groups, input."""

import numpy as np
import pandas as pd
import pytest

from trueness.censoring import (
    HorizonWarning,
    KaplanMeierCensoring,
    censoring_weights,
    km_integral,
    survival_target,
)

N = 90


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(21)
    time = np.ceil(6 * rng.exponential(1.0, N)) / 3
    return survival_target(time, rng.random(N) < 0.6), rng.normal(size=(N, 2))


def event_curve(y):
    return KaplanMeierCensoring(of="event").fit(None, y["time"], y["event"]).curve_


def test_the_restricted_mean_is_the_area_under_the_curve(sample):
    y, _ = sample
    found = km_integral(y, horizon=3.5)
    assert found.names == ("mean",)
    assert found.params[0] == pytest.approx(event_curve(y).integral(3.5), rel=1e-13)
    weights = censoring_weights(y["time"], y["event"], horizon=3.5, floor=0.0)
    assert found.params[0] == pytest.approx(weights.weights @ weights.target, rel=1e-13)


def test_survival_has_greenwoods_errors(sample):
    y, _ = sample
    curve = event_curve(y)
    times = curve.times[:-2]
    found = km_integral(y, "survival", times=times)
    np.testing.assert_allclose(found.params, curve.values[:-2], rtol=1e-12)
    np.testing.assert_allclose(found.std_errors, curve.std_errors[:-2], rtol=1e-10)
    assert found.names[0] == f"S({times[0]:g})"


def test_worked_example():
    """E1 with horizon 4.5: 1 + 7/8 + 2 * 3/4 + 1/2 * 9/16 = 3.65625."""
    y = survival_target([1, 2, 2, 3, 4, 4, 5, 6], [1, 1, 0, 0, 1, 0, 1, 0])
    assert km_integral(y, horizon=4.5).params[0] == 3.65625
    # Without a horizon the last event is at 5, and 9/32 of the mass is missing.
    with pytest.warns(HorizonWarning, match="28.1% of the distribution lies beyond"):
        found = km_integral(y, horizon=None)
    assert found.params[0] == pytest.approx((1 + 2) / 8 + 4 * 3 / 16 + 5 * 9 / 32)
    with pytest.warns(HorizonWarning):
        ratio = km_integral(y, horizon=None, normalize="hajek")
    assert ratio.params[0] == pytest.approx(found.params[0] / (23 / 32))


@pytest.mark.parametrize("normalize", ["none", "hajek"])
@pytest.mark.parametrize("horizon", [3.0, None])
@pytest.mark.filterwarnings("ignore::trueness.censoring.HorizonWarning")
def test_influence_is_the_derivative_in_case_weights(sample, normalize, horizon):
    y, x = sample
    options = {"X": x, "horizon": horizon, "normalize": normalize, "names": ["a", "b"]}

    def values(z, x):
        return np.column_stack([z**2, np.cos(z) * x[:, 0]])

    weight = np.random.default_rng(3).uniform(0.5, 2.0, N)
    found = km_integral(y, values, sample_weight=weight, **options)
    step = 1e-5
    for i in range(0, N, 7):
        up, down = weight.copy(), weight.copy()
        up[i] += step
        down[i] -= step
        slope = (
            km_integral(y, values, sample_weight=up, **options).params
            - km_integral(y, values, sample_weight=down, **options).params
        ) / (2 * step)
        # The sum of all case weights times the derivative, and once more the weight itself.
        np.testing.assert_allclose(
            found.influence[i] / weight[i] * weight.mean(), slope * weight.sum(), atol=1e-6
        )
    cov = found.influence.T @ found.influence / N**2
    np.testing.assert_allclose(found.cov, cov, rtol=1e-12)


def test_without_censoring_it_is_the_mean():
    rng = np.random.default_rng(0)
    time = rng.exponential(size=50)
    found = km_integral(survival_target(time, np.ones(50)))
    assert found.params[0] == pytest.approx(time.mean())
    assert found.std_errors[0] == pytest.approx(time.std() / np.sqrt(50))
    assert found.header["Horizon"] == "none"


def test_groups_have_curves_of_their_own(sample):
    y, x = sample
    group = np.where(x[:, 0] > 0.3, "high", "low")
    found = km_integral(y, by=group, horizon=2.5)
    assert found.names == ("group=high", "group=low")
    for g, label in enumerate(("high", "low")):
        alone = km_integral(y[group == label], horizon=2.5)
        assert found.params[g] == pytest.approx(alone.params[0], rel=1e-13)
        assert found.std_errors[g] == pytest.approx(alone.std_errors[0], rel=1e-12)
    gap = found.linear_combination("`group=low` - `group=high`")
    assert gap.std_errors[0] == pytest.approx(np.hypot(*found.std_errors), rel=1e-12)
    several = km_integral(
        y, "survival", times=[1, 2], by=pd.DataFrame({"arm": group, "sex": x[:, 1] > 0})
    )
    assert len(several.params) == 8
    assert several.names[0] == "arm=high, sex=False: S(1)"


def test_case_weights_count_rows_and_zero_leaves_them_out(sample):
    y, x = sample
    times = np.random.default_rng(1).integers(0, 3, N)
    weighted = km_integral(y, horizon=3.0, sample_weight=times)
    repeated = km_integral(np.repeat(y, times), horizon=3.0)
    assert weighted.params[0] == pytest.approx(repeated.params[0], rel=1e-13)
    assert weighted.n_obs == (times > 0).sum()
    scaled = km_integral(y, horizon=3.0, sample_weight=7.5 * times)
    np.testing.assert_allclose(scaled.std_errors, weighted.std_errors, rtol=1e-12)
    by = km_integral(y, horizon=2.0, by=x[:, 0] > 0, sample_weight=times * (x[:, 0] > 0))
    assert by.names == ("group=True",)


def test_clusters_of_copies_have_the_errors_of_one_copy(sample):
    y, _ = sample
    once = km_integral(y, horizon=3.0)
    copies = km_integral(np.tile(y, 3), horizon=3.0, clusters=np.tile(np.arange(N), 3))
    np.testing.assert_allclose(copies.std_errors, once.std_errors, rtol=1e-12)
    assert copies.header["Covariance"].startswith("CR0, clustered (90 clusters)")


def test_the_automatic_horizon_is_printed(sample):
    y, _ = sample
    text = km_integral(y).summary()
    assert "Horizon" in text and "Kaplan-Meier" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"functional": "median"}, "'mean', 'survival' or callable"),
        ({"functional": "survival"}, "needs times"),
        ({"functional": "survival", "times": 1e6}, "is not identified: the last row is censored"),
        ({"times": 1.0}, 'times belong to functional="survival"'),
        ({"horizon": 1e6}, "past the last time"),
        ({"functional": lambda z: z[:5]}, "one row of values"),
        ({"functional": lambda z: np.log(z - 1), "horizon": 2.0}, "not finite on"),
        ({"normalize": "mean1"}, "normalize='mean1'"),
        ({"names": ["a", "b"]}, "2 names were given for 1 values"),
        ({"by": [None] + ["a"] * (N - 1)}, "by is missing on 1 of 90 rows"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_bad_input_is_named(sample, options, message):
    y, _ = sample
    y = y.copy()
    y["event"][y["time"].argmax()] = False
    with pytest.raises(ValueError, match=message):
        km_integral(y, **options)


def test_events_and_entry_are_asked_about(sample):
    y, _ = sample
    with pytest.raises(ValueError, match="without events"):
        km_integral(y["time"])
    late = survival_target(y["time"], y["event"], y["time"] / 2)
    with pytest.raises(ValueError, match="delayed entry"):
        km_integral(late)
