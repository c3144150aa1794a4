"""Label budgets: exact where the variance is known, honest where it is not."""

import warnings

import numpy as np
import pytest
from labelling_data import varying
from numpy.testing import assert_allclose
from scipy.stats import norm

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    GoldSample,
    final_wave,
    label_budget,
    next_wave,
    prior_budget,
)
from trueness.dsl.numerics.budget import (
    EqualCurve,
    HeldOutSizes,
    StratifiedCurve,
    UnequalCurve,
    error_for_power,
    labels_for,
)

N = 4000


def simple(n=200, seed=0, noise=0.7, **options):
    """A linear model and a pilot; errors of one size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    y = x + rng.normal(size=N)
    machine = y + noise * rng.normal(size=N)
    sample = GoldSample.simple_random(N, n, random_state=seed)
    model = DSLLinearRegression(**({"learner": None} | options))
    return model.fit(
        x[:, None], np.where(sample.drawn, y, np.nan), surrogates=machine, gold_sample=sample
    )


@pytest.fixture(scope="module")
def pilot():
    return simple()


def test_standard_errors_at_the_pilot_are_those_of_the_pilot(pilot):
    """The curve goes through the fit: the same variance formula, up to smoothing."""
    for fit in (pilot, simple(tuning=None), simple(tuning="scalar"), simple(target="population")):
        budget = label_budget(fit, standard_error=0.05, target=["intercept", "x1"])
        curve = budget.curve([200])
        own = fit.results_.std_errors
        assert_allclose(curve[curve["allocation"] == "equal"]["standard_error"], own, rtol=0.12)


def test_numbers_invert_the_curve(pilot):
    budget = label_budget(pilot, standard_error=0.04, allocations=["equal", "optimal"])
    for row in budget.table.itertuples():
        curve = budget.curve([row.labels])
        found = curve[curve["allocation"] == row.allocation]["standard_error"].item()
        assert found == pytest.approx(0.04, rel=1e-4)
    row = budget.table.iloc[0]
    assert row["low"] < row["labels"] < row["high"]
    census = budget.curve([N]).iloc[0]
    assert census["standard_error"] == pytest.approx(row["limit"], rel=1e-9)


def test_what_is_wanted(pilot):
    """Widths and powers are standard errors in other words."""
    options = {"allocations": ["equal"], "n_resamples": 0}
    plain = label_budget(pilot, standard_error=0.05, **options).table["labels"][0]
    width = 2 * norm.ppf(0.975) * 0.05
    assert label_budget(pilot, width=width, **options).table["labels"][0] == pytest.approx(plain)
    ratio = 0.2 / 0.05
    power = norm.cdf(ratio - norm.ppf(0.975)) + norm.cdf(-ratio - norm.ppf(0.975))
    for effect in (0.2, -0.2):
        found = label_budget(pilot, power=power, effect=effect, **options).table["labels"][0]
        assert found == pytest.approx(plain, rel=1e-6)
    by_name = label_budget(
        pilot,
        standard_error={"x1": 0.05, "intercept": 0.06},
        target=["x1", "intercept"],
        **options,
    )
    assert by_name.table["standard_error"].tolist() == [0.05, 0.06]
    assert error_for_power(1.0, 0.5, 0.95) == pytest.approx(1 / norm.ppf(0.975), rel=1e-3)


def test_the_census_limit(pilot):
    budget = label_budget(pilot, standard_error=0.01)
    assert budget.table["labels"].isna().all()
    limit = budget.table["limit"][0]
    assert limit == pytest.approx(1 / np.sqrt(N), rel=0.15)  # residual of size 1
    assert f"with every row labelled it is {limit:.4g}" in repr(budget)
    assert "impossible" in repr(budget)
    # These rows alone can be known exactly.
    finite = label_budget(simple(target="population"), standard_error=0.01)
    assert finite.table["labels"].notna().all() and (finite.table["limit"] == 0).all()


def test_clusters_raise_the_limit():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(100), N // 100)
    x = rng.normal(size=100)[group]
    y = x + rng.normal(size=100)[group] + rng.normal(size=N)
    sample = GoldSample.simple_random(N, 300, random_state=0)
    model = DSLLinearRegression(learner=None)
    given = {"surrogates": y + rng.normal(size=N), "gold_sample": sample}
    gold = np.where(sample.drawn, y, np.nan)
    options = {"standard_error": 0.2, "allocations": ["equal"]}
    alone = label_budget(model.fit(x[:, None], gold, **given), **options)
    together = label_budget(model.fit(x[:, None], gold, clusters=group, **given), **options)
    assert together.table["limit"][0] > 3 * alone.table["limit"][0]
    own = model.results_.std_errors[1]
    assert together.curve([300])["standard_error"][0] == pytest.approx(own, rel=0.05)


def test_optimal_allocation_needs_fewer_labels():
    fit = varying(seed=2, n_pilot=200)[-1]
    budget = label_budget(fit, standard_error=0.05, target="x1", cost=2.0)
    labels = budget.table.set_index("allocation")["labels"]
    assert labels["optimal"] < 0.8 * labels["equal"]
    assert_allclose(budget.table["cost"], 2 * budget.table["labels"])
    assert "may cost other coefficients" in repr(budget)


def test_curves_agree_where_they_must():
    """Equal sizes give the equal curve; strata without differences the simple random one."""
    rng = np.random.default_rng(0)
    squares = rng.exponential(size=(40, 2))
    weight = np.full(40, 25.0)
    parts = tuple((np.arange(fold, 40, 4), np.ones(1000 + 10), None) for fold in range(4))
    unequal = UnequalCurve(
        weight[:, None] * squares, HeldOutSizes(parts, 1000, 1000), 0.0, None, weight
    )
    equal = EqualCurve(squares.mean(axis=0), 1000)
    for n in (20.0, 100.0, 999.0):
        assert_allclose(unequal.variance(n), equal.variance(n), rtol=0.02)
    rows = np.array([200.0, 800.0])
    strata = StratifiedCurve(rows, np.tile(equal.spread, (2, 1)), rows)
    assert_allclose(strata.variance(100.0), equal.variance(100.0), rtol=1e-9)
    assert np.isnan(labels_for(equal, 0, 1.0, 0.9, 1000))
    assert labels_for(strata, 0, 0.0, 1e-9, 1000) == pytest.approx(1000)
    assert labels_for(strata, 0, 0.0, 10.0, 1000) == 10.0


def test_strata():
    fit = varying(seed=2, n_pilot=300)[-1]
    X, _, _, scale, *_ = varying(seed=2, n_pilot=300)
    strata = np.digitize(scale * np.abs(X[:, 0]), [0.3, 0.8, 2.0])
    budget = label_budget(
        fit,
        standard_error=0.06,
        target="x1",
        strata=strata,
        allocations=["equal", "proportional", "neyman"],
    )
    labels = budget.table.set_index("allocation")["labels"]
    assert labels["neyman"] < 0.9 * labels["equal"]
    assert labels["proportional"] < 1.1 * labels["equal"]


def test_rare_outcomes_are_flagged():
    rng = np.random.default_rng(3)
    x = rng.normal(size=N)
    y = (rng.random(N) < 1 / (1 + np.exp(3.2 - 0.5 * x))).astype(float)
    machine = np.where(rng.random(N) < 0.03, 1 - y, y)
    sample = GoldSample.simple_random(N, 150, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = DSLLogisticRegression(learner=None).fit(
            x[:, None], np.where(sample.drawn, y, np.nan), surrogates=machine, gold_sample=sample
        )
    budget = label_budget(fit, standard_error=0.1)
    assert not budget.table["reliable"].any()
    assert "Not reliable: only" in repr(budget)
    assert label_budget(simple(), standard_error=0.1).table["reliable"].all()


def test_figure(pilot):
    budget = label_budget(pilot, standard_error=0.05, target=["intercept", "x1"])
    figure = budget.plot("Budget")
    axes = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title() for ax in axes] == ["intercept", "x1"]
    assert len(axes[0].get_lines()) == 5  # two allocations, wanted, limit, the pilot
    assert axes[0].get_xscale() == "log"


def test_assumed_machine():
    """The formulas written out; a perfect machine needs next to nothing."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=N)
    p = 1 / (1 + np.exp(0.3 - 0.8 * x))
    y = rng.random(N) < p
    machine = np.where(rng.random(N) < np.where(y, 0.1, 0.2), ~y, y).astype(float)
    options = {"standard_error": 0.15, "target": ["intercept", "x1"]}
    found = prior_budget(x[:, None], machine, sensitivity=0.9, specificity=0.8, **options)
    design = np.column_stack([np.ones(N), x])
    information = design.T @ (design * (p * (1 - p))[:, None]) / N
    assert_allclose(found.limits, np.diag(np.linalg.inv(information)) / N, rtol=0.1)
    # v is the variance of y given the machine's label and x, averaged over the label.
    a, b = 0.9, 0.8
    one = 1 - b + (a + b - 1) * p
    post = np.stack([p * a / one, p * (1 - a) / (1 - one)])
    v = one * post[0] * (1 - post[0]) + (1 - one) * post[1] * (1 - post[1])
    inverse = np.linalg.inv(information)
    spread = np.diag(inverse @ (design.T @ (design * v[:, None]) / N) @ inverse)
    assert_allclose(found.curves["equal"].spread, spread, rtol=0.1)
    exact = prior_budget(x[:, None], y.astype(float), sensitivity=1.0, specificity=1.0, **options)
    assert (exact.table["labels"] == 10).all()
    assert "before any label" in repr(found) and "sensitivity 0.9" in repr(found)


def test_assumed_share_of_variance():
    rng = np.random.default_rng(5)
    x = rng.normal(size=N)
    half, none = (
        prior_budget(x[:, None], r2=r2, residual_std=2.0, standard_error=0.1) for r2 in (0.5, 0.0)
    )
    assert_allclose(half.curves["equal"].spread * 2, none.curves["equal"].spread)
    assert_allclose(none.curves["equal"].variance(N / 2), none.limits, rtol=1e-12)  # 2/N - 1/N
    finite = prior_budget(
        x[:, None], r2=0.5, residual_std=2.0, standard_error=0.001, finite_population=True
    )
    assert finite.table["labels"].notna().all()


def waves(n=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    y = x + rng.normal(size=N)
    machine = y + 0.7 * rng.normal(size=N)
    first = GoldSample.poisson(N, n=n, random_state=1)
    fit = DSLLinearRegression(learner=None).fit(
        x[:, None], np.where(first.drawn, y, np.nan), surrogates=machine, gold_sample=first
    )
    return first, fit


def test_the_final_wave_closes_the_sample():
    first, fit = waves()
    wanted = 0.75 * fit.results_.std_errors[1]
    last = final_wave(first, fit, standard_error=wanted, learner="ridge", random_state=0)
    needed = label_budget(fit, standard_error=wanted, allocations=["equal"]).table["labels"][0]
    assert abs(last.n_drawn - needed) < 5 * np.sqrt(needed)
    with pytest.raises(ValueError, match="closed by final_wave"):
        next_wave(last, fit, 50, random_state=0)
    enough = final_wave(first, fit, standard_error=1.0, random_state=0)
    assert enough.n_drawn == first.n_drawn and enough.parameters["closed"]
    with pytest.raises(ValueError, match="more than most=10"):
        final_wave(first, fit, standard_error=wanted, most=10, random_state=0)
    with pytest.raises(ValueError, match="with every row labelled it is"):
        final_wave(first, fit, standard_error=0.001, random_state=0)
    few, early = waves(n=60)
    with pytest.raises(ValueError, match="too few for a look: it takes 100 labels"):
        final_wave(few, early, standard_error=0.1, random_state=0)


REFUSED = {
    "nothing": ({}, "State one of"),
    "two": ({"standard_error": 1, "width": 1}, "State one of"),
    "power alone": ({"power": 0.8}, "power goes with effect"),
    "effect alone": ({"width": 1, "effect": 1}, "power goes with effect"),
    "power one": ({"power": 1.0, "effect": 1}, "below 1"),
    "power of nothing": ({"power": 0.05, "effect": 1}, "must lie above 0.05"),
    "effect zero": ({"power": 0.8, "effect": 0}, "anything but 0"),
    "negative": ({"standard_error": -1}, "must be a number, and positive"),
    "nan": ({"width": np.nan}, "must be a number"),
    "level": ({"width": 1, "level": 95}, "between 0 and 1"),
    "unknown": ({"width": 1, "target": "x7"}, "no coefficient 'x7'"),
    "names": ({"width": {"x2": 1.0}}, "must name the targets 'x1'"),
    "allocation": ({"width": 1, "allocations": "best"}, "'best' is not one of"),
    "no allocation": ({"width": 1, "allocations": []}, "empty"),
    "strata": ({"width": 1, "allocations": ["neyman"]}, "needs strata"),
    "cost": ({"width": 1, "cost": 0.0}, "must be positive"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(options, message, pilot):
    with pytest.raises(ValueError, match=message):
        label_budget(pilot, **options)


ASSUMED = {
    "nothing": ({}, "sensitivity is missing"),
    "no surrogate": ({"sensitivity": 0.9, "specificity": 0.9}, "surrogate is missing"),
    "guessing": ({"sensitivity": 0.5, "specificity": 0.5}, "no better than guessing"),
    "above one": ({"sensitivity": 1.5, "specificity": 0.9}, "sensitivity=1.5 must"),
    "r2": ({"r2": 1.2, "residual_std": 1}, "r2=1.2 must"),
    "r2 alone": ({"r2": 0.2}, "needs both"),
    "both": ({"r2": 0.2, "residual_std": 1, "sensitivity": 0.9}, "one or the other"),
    "impossible": (
        {"surrogate": [1.0] * 30 + [0.0], "sensitivity": 0.9, "specificity": 0.9},
        "says 1 on 96.8% of the rows, which is not possible",
    ),
    "no labels": (
        {"surrogate": np.linspace(0, 1, 31), "sensitivity": 0.9, "specificity": 0.9},
        "0 or 1",
    ),
}


@pytest.mark.parametrize(("options", "message"), ASSUMED.values(), ids=ASSUMED)
def test_assumptions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        prior_budget(np.arange(31.0)[:, None], standard_error=0.1, **options)


def test_units_are_refused():
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    units = np.repeat(np.arange(60), 10)
    sample = GoldSample.clusters(600, units, 20, random_state=0)
    y = np.where(sample.drawn, x + rng.normal(size=600), np.nan)
    fit = DSLLinearRegression(learner=None).fit(x[:, None], y, surrogates=x, gold_sample=sample)
    with pytest.raises(ValueError, match="units of several rows"):
        label_budget(fit, standard_error=0.1)
