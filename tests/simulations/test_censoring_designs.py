"""Designs of censored durations: the law is the law of the draws, the truth their mean."""

from itertools import pairwise

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.integrate import dblquad, quad
from sklearn.base import clone

from trueness.simulations import make_censored_durations
from trueness.simulations.censoring.durations import DESIGNS
from trueness.simulations.study import SimulationStudy

N = 60_000
# What may cut observation off, one by one and together.
ENDS = {
    "random": {},
    "ties": {"time_unit": 0.25},
    "administrative": {"administrative": 2.5},
    "accrual": {"administrative": 4.0, "accrual": 2.0},
    "lost": {"lost_after": 1.0},
    "all": {"time_unit": 0.2, "administrative": 2.6, "accrual": 1.0, "lost_after": 1.2},
}
over_designs = pytest.mark.parametrize("design", DESIGNS)
over_ends = pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS)
POINTS = np.array([[-0.8, 0.3, 0.5, 0.9], [0.1, -0.6, 0.2, 0.0], [0.7, 0.4, -0.9, -0.3]])


def draw(**options):
    return make_censored_durations(**({"n_rows": N, "random_state": 5} | options))


def within(estimate, value, std_error, limit=4.0):
    assert abs(estimate - value) < limit * std_error, (estimate, value, std_error)


def share_within(flags, probability, limit=4.0):
    error = np.sqrt(probability * (1 - probability) / len(flags))
    within(np.mean(flags), probability, error + 1e-12, limit)


# ----------------------------------------------------------------------------------------- form


@over_ends
def test_observed_is_the_smaller_time_and_which_it_was(ends):
    sample = draw(n_rows=500, **ends)
    y, c = sample.complete.durations, sample.complete.censoring_times
    observed = sample.observed["y"]
    assert observed.dtype.names == ("event", "time")
    np.testing.assert_array_equal(observed["time"], np.minimum(y, c))
    np.testing.assert_array_equal(observed["event"], y <= c)
    # Known is what an observer can tell: an event before the horizon, or still there at it.
    seen = (observed["event"] & (observed["time"] <= 3)) | (observed["time"] >= 3)
    np.testing.assert_array_equal(sample.complete.known, seen)
    np.testing.assert_array_equal(
        sample.complete.restricted[seen], observed["time"][seen].clip(max=3)
    )
    assert list(sample.observed["X"]) == ["x1", "x2", "x3", "x4"]
    assert sample.observed["X"].abs().max(axis=None) < 1
    assert sample.params["design"] == "exp_pos" and "random_state" not in sample.params
    assert set(sample.truth) == set(sample.truth_error)
    assert "Parameters" in sample.DESCR


def test_each_part_has_its_stream():
    base = draw(n_rows=50)
    harder, wider = draw(n_rows=50, level=0.7), draw(n_rows=50, n_features=9)
    for other in (harder, wider):
        np.testing.assert_array_equal(other.complete.durations, base.complete.durations)
        np.testing.assert_array_equal(other.observed["X"].iloc[:, :4], base.observed["X"])
    # The same noise on another scale.
    ratio = harder.complete.censoring_times / base.complete.censoring_times
    np.testing.assert_allclose(ratio, harder.law.scale / base.law.scale)
    assert ratio[0] < 1


def test_random_states():
    def times(state):
        return make_censored_durations(n_rows=20, random_state=state).observed["y"]["time"]

    np.testing.assert_array_equal(times(3), times(3))
    assert not np.array_equal(times(3), times(4))
    sequence, generator = np.random.SeedSequence(7), np.random.default_rng(7)
    np.testing.assert_array_equal(times(sequence), times(sequence))
    assert not np.array_equal(times(generator), times(generator))


def test_a_study_runs_over_the_designs():
    def naive(sample, random_state):
        z = sample.observed["y"]["time"].clip(max=sample.params["horizon"])
        return [{"term": "mean", "estimate": z.mean()}]

    grid = {"design": ["exp_ind", "cos_neg"], "level": [0.2, 0.5], "n_rows": [300]}
    study = SimulationStudy(make_censored_durations, {"naive": naive}, grid, n_replicates=3)
    frame = study.run(progress=False)
    assert (frame["error"] == "").all()
    bias = (frame["estimate"] - frame["estimand"]).groupby(frame["level"]).mean()
    assert bias[0.5] < bias[0.2] < 0


# ------------------------------------------------------------------------------ laws and draws


def test_scales_are_those_of_the_description():
    x1, x2, x3, _ = POINTS.T
    logs = {
        "exp": x1 - 0.5 * x2 + 0.5 * x3,
        "wei": 0.8 * np.sin(np.pi * x1) + 0.5 * x2**2 - 0.3 * x3,
        "cos": 0.6 * np.cos(np.pi * x1) + 0.5 * x2 - 0.3 * x3,
    }
    for outcome, log in logs.items():
        law = draw(design=f"{outcome}_neg", n_rows=1).law
        np.testing.assert_allclose(law.duration_scale(POINTS), np.exp(log))
        assert law.shape == (1 if outcome == "exp" else 2)
        driver = np.cos(np.pi * x1) if outcome == "cos" else x1
        np.testing.assert_allclose(law.censoring_scale(POINTS), law.scale * np.exp(-1.5 * driver))


@over_designs
@pytest.mark.parametrize("time_unit", [None, 0.25, 0.7])
def test_regression_is_the_integral_of_the_survival_curve(design, time_unit):
    law = draw(design=design, n_rows=1, level=None, time_unit=time_unit).law
    breaks = None if time_unit is None else np.arange(time_unit, 3.5, time_unit)
    for horizon in (0.5, 3.0, 3.3):
        inside = None if breaks is None else breaks[breaks < horizon]
        for x, m in zip(POINTS, law.regression(POINTS, horizon), strict=True):
            area, _ = quad(lambda u, x=x: law.survival([x], [u])[0], 0, horizon, points=inside)
            assert m == pytest.approx(area, abs=1e-7)
    np.testing.assert_array_equal(law.regression(POINTS), law.regression(POINTS, 3.0))


@over_designs
@pytest.mark.parametrize("ends", [{}, {"time_unit": 0.4}, {"accrual": 2.0}])
def test_curves_are_those_of_the_draws(design, ends):
    law = draw(design=design, n_rows=1, administrative=3.2, lost_after=1.6, **ends).law
    rng = np.random.default_rng(11)
    times = np.array([0.0, 0.2, 0.4, 0.8, 1.0, 1.2, 1.6, 2.0, 3.2, 3.6])
    for point in POINTS:
        X = np.tile(point, (N, 1))
        y = law.durations(X, rng.standard_exponential(N))
        c = law.censoring_times(X, rng.standard_exponential(N), rng.random(N))
        curves = {(law.survival, "right"): y[:, None] > times + 1e-9}
        curves[law.survival, "left"] = y[:, None] >= times - 1e-9
        curves[law.censoring_survival, "right"] = c[:, None] > times + 1e-9
        curves[law.censoring_survival, "left"] = c[:, None] >= times - 1e-9
        for (curve, side), outlasts in curves.items():
            for value, flags in zip(curve([point], times[None], side)[0], outlasts.T, strict=True):
                share_within(flags, value)
        within(np.minimum(y, 3).mean(), law.regression([point])[0], np.minimum(y, 3).std() / N**0.5)


@over_designs
@pytest.mark.parametrize("time_unit", [None, 0.4])
@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantiles_invert_the_survival_curve(design, time_unit, q):
    law = draw(design=design, n_rows=1, time_unit=time_unit).law
    u = law.quantile(POINTS, q)
    assert (law.survival(POINTS, u) <= 1 - q + 1e-12).all()
    assert (law.survival(POINTS, u, side="left") >= 1 - q - 1e-12).all()


def test_times_of_several_columns_are_those_of_single_ones():
    law = draw(n_rows=1, administrative=4.0, accrual=3.0, lost_after=2.0).law
    times = np.array([0.5, 2.0, 3.7])
    for curve in (law.survival, law.censoring_survival):
        table = curve(POINTS, np.tile(times, (3, 1)))
        for j, u in enumerate(times):
            np.testing.assert_array_equal(table[:, j], curve(POINTS, np.full(3, u)))


def test_ties_are_rounded_up_exactly():
    sample = draw(n_rows=2000, time_unit=0.1, administrative=2.95)
    for times in (sample.complete.durations, sample.complete.censoring_times):
        steps = times / 0.1
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
        assert times.min() >= 0.1
    y = sample.observed["y"]
    events, censorings = (set(np.round(y["time"][y["event"] == d] * 10)) for d in (True, False))
    assert len(events & censorings) > 20


# --------------------------------------------------------------------------------- dependence


@over_designs
def test_censoring_depends_on_the_first_covariate_as_named(design):
    sample = draw(design=design, level=0.3)
    outcome, dependence = design.split("_")
    x1 = sample.observed["X"]["x1"]
    driver = np.cos(np.pi * x1) if outcome == "cos" else x1
    slope = sm.OLS(np.log(sample.complete.censoring_times), sm.add_constant(driver)).fit()
    expected = {"ind": 0.0, "pos": 1.5, "neg": -1.5}[dependence]
    within(slope.params.iloc[1], expected, slope.bse.iloc[1])
    # Positive dependence: those who last long are observed long.
    if expected:
        longer = np.corrcoef(sample.complete.durations, driver)[0, 1]
        assert abs(longer) > 0.2 and np.sign(longer) == 1
    other = sm.OLS(np.log(sample.complete.censoring_times), sample.observed["X"]).fit()
    assert np.abs(other.tvalues.iloc[1:]).max() < 4


@pytest.mark.parametrize("design", ["exp_pos", "wei_neg", "cos_neg"])
def test_naive_and_complete_case_means_are_wrong_and_the_true_weights_right(design):
    sample = draw(design=design)
    y, known, z = sample.observed["y"], sample.complete.known, sample.complete.restricted
    weight = known / sample.complete.censoring_survival
    truth, error = sample.truth["mean"], 5 * z.std() / np.sqrt(N)
    assert y["time"].clip(max=3).mean() < truth - error
    assert z[known].mean() < truth - error
    within(weight.mean(), 1.0, weight.std() / N**0.5)
    within((weight * z).mean(), truth, (weight * z).std() / N**0.5)
    # The weights of the other dependence do not do.
    other = draw(design=design.split("_")[0] + "_ind").law
    wrong = known / other.censoring_survival(sample.observed["X"], z, side="left")
    assert abs((wrong * z).sum() / wrong.sum() - truth) > error


# ----------------------------------------------------------------------------------- the level


@over_designs
@over_ends
def test_the_share_of_censoring_is_the_level(design, ends):
    level = 0.7 if ends.get("lost_after") else 0.5
    share_within(~draw(design=design, level=level, **ends).complete.known, level)


@pytest.mark.parametrize("design", ["exp_neg", "wei_pos", "cos_neg"])
@pytest.mark.parametrize(("level", "horizon"), [(0.05, 3.0), (0.6, 1.0), (0.95, 20.0)])
def test_the_level_by_adaptive_quadrature(design, level, horizon):
    """With one covariate: P(C < min(Y, tau)) is the mean of S against the law of C."""
    law = draw(design=design, n_rows=1, n_features=1, level=level, horizon=horizon).law

    def integrand(u, x1):
        x = np.array([[x1]])
        rate = 1 / law.censoring_scale(x)[0]
        return 0.5 * rate * np.exp(-rate * u) * law.survival(x, [u], side="left")[0]

    pieces = [0.0, horizon / 500, horizon / 50, horizon / 10, horizon]
    shares = [dblquad(integrand, -1, 1, a, b)[0] for a, b in pairwise(pieces)]
    assert sum(shares) == pytest.approx(level, abs=1e-7)


def test_the_level_with_lost_rows_by_adaptive_quadrature():
    """Lost rows add the mass that reaches the time at which they are lost."""
    law = draw(design="exp_neg", n_rows=1, n_features=1, level=0.5, lost_after=1.1).law

    def by_first(x1):
        x, end = np.array([[x1]]), 1.1 if x1 > 0.5 else 3.0
        rate = 1 / law.censoring_scale(x)[0]
        seen = quad(lambda u: rate * np.exp(-rate * u) * law.survival(x, [u])[0], 0, end)[0]
        at_end = np.exp(-rate * end) * law.survival(x, [end])[0] if x1 > 0.5 else 0.0
        return 0.5 * (seen + at_end)

    share = quad(by_first, -1, 0.5)[0] + quad(by_first, 0.5, 1)[0]
    assert share == pytest.approx(0.5, abs=1e-9)


def test_no_random_censoring():
    sample = draw(level=None)
    assert sample.complete.known.all() and sample.observed["y"]["event"].all()
    assert sample.law.scale == np.inf
    late = draw(level=None, administrative=3.0)
    assert late.complete.known.all() and not late.observed["y"]["event"].all()
    early = draw(level=None, administrative=2.0)
    share_within(early.complete.known, 1 - _mean_survival(early.law, 2.0))
    assert (early.complete.censoring_survival[early.complete.restricted > 2] == 0).all()


def _mean_survival(law, u):
    X = np.random.default_rng(3).uniform(-1, 1, (N, 3))
    return law.survival(X, np.full(N, u)).mean()


def test_positivity_fails_where_rows_are_lost():
    sample = draw(lost_after=1.0)
    lost = (sample.observed["X"]["x1"] > 0.5).to_numpy()
    share_within(lost, 0.25)
    assert sample.observed["y"]["time"][lost].max() == 1.0
    assert sample.observed["y"]["time"][~lost].max() > 2.5
    weight = np.divide(
        sample.complete.known,
        sample.complete.censoring_survival,
        out=np.zeros(N),
        where=sample.complete.known,
    )
    # What cannot be seen is the mass of lost rows beyond that time.
    unseen = np.mean(lost * sample.law.survival(sample.observed["X"], np.full(N, 1.0)))
    assert unseen > 0.1
    within(weight.mean(), 1 - unseen, weight.std() / N**0.5)


# ----------------------------------------------------------------------------------- the truth


@over_designs
@pytest.mark.parametrize("time_unit", [None, 0.5])
def test_truths_are_those_of_large_complete_samples(design, time_unit):
    sample = draw(design=design, n_features=5, time_unit=time_unit)
    z, y = sample.complete.restricted, sample.complete.durations
    truth = sample.truth
    fit = sm.OLS(z, sm.add_constant(sample.observed["X"])).fit(cov_type="HC0")
    for name, value in fit.params.items():
        within(value, truth["intercept" if name == "const" else name], fit.bse[name])
    assert truth["intercept"] == truth["mean"] and truth["x5"] == 0
    share_within(y > 3, truth["survival"])
    below, upto = np.mean(y < truth["median"] - 1e-9), np.mean(y < truth["median"] + 1e-9)
    assert below < 0.5 + 2 / N**0.5 and upto > 0.5 - 2 / N**0.5
    assert max(sample.truth_error.values()) < 1e-8


def test_truth_with_one_covariate_by_adaptive_quadrature():
    sample = draw(design="wei_pos", n_features=1, n_rows=1)
    law = sample.law

    def moment(power):
        return quad(lambda a: a**power * law.regression([[a]])[0] / 2, -1, 1)[0]

    assert sample.truth["mean"] == pytest.approx(moment(0), abs=1e-10)
    assert sample.truth["x1"] == pytest.approx(3 * moment(1), abs=1e-10)
    assert set(sample.truth) == {"mean", "survival", "median", "intercept", "x1"}


# ------------------------------------------------------------------------------ the true models


def test_true_models_take_the_place_of_estimated_ones():
    sample = draw(n_rows=30, time_unit=0.25)
    X, y = sample.observed["X"], sample.observed["y"]
    z = sample.complete.restricted
    model = clone(sample.censoring_model).fit(X, y["time"], y["event"])
    expected = sample.complete.censoring_survival
    np.testing.assert_array_equal(model.survival(X, z, side="left"), expected)
    np.testing.assert_array_equal(model.training_survival(z, side="left"), expected)
    outcome = clone(sample.outcome_model).fit(X, y["time"], y["event"])
    table = outcome.survival_grid(X, [0.5, 2.0])
    np.testing.assert_array_equal(table[:, 1], sample.law.survival(X, np.full(30, 2.0)))
    assert table.shape == (30, 2) and (table[:, 0] > table[:, 1]).all()


# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"design": "exp"}, "design='exp' is unknown"),
        ({"n_rows": 0}, "n_rows=0 is not allowed"),
        ({"n_features": 1.5}, "n_features=1.5 is not allowed"),
        ({"level": 1.0}, "level=1.0 is not allowed; give a number from 0.0 to 0.99"),
        ({"horizon": 0.0}, "horizon=0.0 is not allowed; give a positive number"),
        ({"horizon": np.inf}, "horizon=inf is not allowed"),
        ({"time_unit": -1.0}, "time_unit=-1.0 is not allowed"),
        ({"accrual": 1.0}, "give administrative, too"),
        ({"administrative": 1.0, "accrual": 1.5}, r"from 0.0 to 1.0 \(administrative\)"),
        ({"administrative": 0.5, "level": 0.1}, "alone censor [0-9.]+% before the horizon"),
        ({"time_unit": 3.0}, "events at the first multiple are always seen"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make_censored_durations(**options)
