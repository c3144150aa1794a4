"""Allocation of labels: known limits, gains where errors vary, no losses where they do not."""

import numpy as np
import pandas as pd
import pytest
from labelling_data import N, varying
from numpy.testing import assert_allclose, assert_array_equal

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    GoldSample,
    optimal_allocation,
    prior_allocation,
    stratum_spread,
)
from trueness.dsl.labelling.allocation import gate
from trueness.dsl.labelling.errors import LabelErrors, errors_of
from trueness.dsl.labelling.prior import logistic_fit
from trueness.dsl.labelling.targets import read_targets
from trueness.dsl.numerics.label_sizes import (
    SizeModel,
    design_ratio,
    further_probabilities,
    mixed_probabilities,
    target_sizes,
)


@pytest.fixture(scope="module")
def pilot():
    return varying()


def test_the_best_probabilities_are_best():
    """No exchange of probability between two rows lowers the variance (Neyman's condition)."""
    rng = np.random.default_rng(0)
    size, cost = rng.exponential(size=40) + 0.1, rng.exponential(size=40) + 0.5
    chance = mixed_probabilities(size, 8.0, 0.0, cost, least=0.01)
    inside = (chance > 0.01 * 8 / 40 + 1e-9) & (chance < 1.0)
    slope = size**2 / chance**2 / cost  # gain of a label per cost
    assert inside.sum() > 30
    assert_allclose(slope[inside], slope[inside][0], rtol=1e-8)
    assert_allclose(chance.sum(), 8.0)


def test_mixing_bounds_the_loss():
    """Whatever was believed of the errors: never above one over the share."""
    rng = np.random.default_rng(1)
    for share in (0.1, 0.2, 0.5, 1.0):
        size = np.exp(3 * rng.normal(size=500))
        chance = mixed_probabilities(size, 50, share)
        assert chance.min() >= share * 50 / 500
        truth = np.exp(3 * rng.normal(size=(500, 20)))
        assert design_ratio(truth, chance).max() <= 1 / share + 1e-12
    assert_allclose(chance, 0.1)


def test_sizes_of_several_targets():
    """Of one target |h| sqrt(v); of all, a row counts the more the more of any it carries."""
    rng = np.random.default_rng(2)
    loading, v = rng.normal(size=(50, 3)), rng.exponential(size=50)
    one = target_sizes(loading[:, :1], v)
    assert_allclose(one**2 * (loading[:, 0] ** 2 * v).mean(), loading[:, 0] ** 2 * v)
    squares = loading**2 * v[:, None]
    assert_allclose(target_sizes(loading, v) ** 2, (squares / squares.mean(axis=0)).sum(axis=1))
    assert_allclose(target_sizes(None, squares), target_sizes(loading, v))
    chance = mixed_probabilities(target_sizes(loading, v), 5, 0.0, least=0.0)
    total = design_ratio(squares, chance).mean()
    for _ in range(50):  # A-optimal: no other probabilities have a smaller sum
        other = mixed_probabilities(np.exp(rng.normal(size=50)) * chance, 5, 0.0, least=0.0)
        assert design_ratio(squares, other).mean() >= total - 1e-12


def test_further_waves_add_up():
    rng = np.random.default_rng(3)
    before = rng.uniform(0.01, 0.2, size=300)
    size = rng.exponential(size=300)
    for share in (0.0, 0.2, 1.0):
        chance = further_probabilities(size, before, 30, share)
        assert chance.min() >= 0.0 and chance.max() <= 1.0
        assert_allclose(((1 - before) * chance).sum(), 30, rtol=1e-9)
    alone = further_probabilities(size, np.zeros(300), 30, 0.0)
    assert_allclose(alone, mixed_probabilities(size, 30, 0.0, least=0.0))
    # Together with the first wave the best probabilities, where those allow it.
    chance = further_probabilities(size, np.full(300, 0.01), 30, 0.0)
    pooled = 1 - 0.99 * (1 - chance)
    inside = (pooled > 0.01 + 1e-9) & (pooled < 1)
    assert_allclose((pooled / size)[inside], (pooled / size)[inside][0], rtol=1e-8)


@pytest.mark.parametrize("kind", ["forest", "ridge"])
def test_sizes_of_errors_are_learned(kind):
    rng = np.random.default_rng(4)
    features = rng.normal(size=(2000, 2))
    truth = np.exp(features[:, 0])
    squares = truth * rng.normal(size=2000) ** 2
    model = SizeModel(kind, 0).fit(features, squares, np.ones(2000))
    found = model.predict(features)
    assert np.corrcoef(np.log(found), features[:, 0])[0, 1] > 0.9
    assert found.mean() == pytest.approx(squares.mean(), rel=0.1)
    assert found.min() >= 0.1 * squares.mean()
    constant = SizeModel(kind, 0).fit(features, np.zeros(2000), np.ones(2000))
    assert_array_equal(constant.predict(features), 1.0)


def test_errors_are_those_of_the_estimate(pilot):
    """Influence times residual is psi, and their total the design part of the variance."""
    X, _, _, _, sample, fit = pilot
    errors = errors_of(fit, "a test")
    assert_array_equal(errors.labelled, np.flatnonzero(sample.drawn))
    design = np.column_stack([np.ones(N), X])
    assert_allclose(errors.loading, design @ np.linalg.inv(design.T @ design / N).T, rtol=1e-9)
    # With one weight for all coefficients they are the same thing.
    weight = np.diag(fit._fitted.fit.weights[0].matrix)
    assert np.ptp(weight) < 0.3
    product = errors.loading[errors.labelled] * errors.residual[:, None]
    for j in range(3):
        assert np.corrcoef(product[:, j], errors.psi[:, j])[0, 1] > 0.97


def test_gain_where_errors_vary(pilot):
    _, _, _, scale, _, fit = pilot
    allocation = optimal_allocation(fit, 300, target="x1")
    loading = errors_of(fit, "a test").loading
    truth = loading**2 * scale[:, None] ** 2
    found = design_ratio(truth, allocation.probability)
    assert found[1] < 0.7
    assert_allclose(allocation.probability.sum(), 300)
    table = allocation.table.set_index("term")
    assert table["targeted"].tolist() == [False, True, False]
    assert abs(table["variance_ratio"]["x1"] - found[1]) < 0.2
    assert allocation.draw(N, random_state=1).n_drawn == 300
    text = repr(allocation)
    assert "300 labels to 3,000 rows" in text and "x1" in text


def test_what_is_not_targeted_may_lose():
    """The slope alone needs the rows far out, which costs the mean."""
    fit = varying(seed=3, spread=0.0, tuning=None)[-1]
    allocation = optimal_allocation(fit, 300, target="x1", learner="constant", mix=0.0)
    ratio = allocation.table.set_index("term")["variance_ratio"]
    assert ratio["x1"] == pytest.approx((2 / np.pi), abs=0.05)  # (E|x|)^2 / E x^2
    assert ratio["intercept"] > 1.2
    assert "expected to become less precise: intercept" in repr(allocation)
    everything = optimal_allocation(fit, 300, learner="constant", mix=0.0)
    assert everything.table["targeted"].all()
    assert everything.table["variance_ratio"].mean() < 1.0


def errors_without_pattern(seed, n_rows=2000, n_pilot=100):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_rows, 2))
    rows = np.sort(rng.choice(n_rows, n_pilot, replace=False))
    residual = rng.normal(size=n_pilot)
    ones = np.ones((n_rows, 1))
    weight = np.full(n_pilot, n_rows / n_pilot)
    return LabelErrors(("mean",), residual[:, None], ones, residual, features, rows, weight)


def test_gate_keeps_equal_probabilities_where_nothing_is_to_be_gained():
    shares = [gate(errors_without_pattern(seed), 200, "ridge", seed) for seed in range(12)]
    assert np.mean(np.array(shares) == 1.0) > 0.8
    fit = varying(seed=5)[-1]
    assert optimal_allocation(fit, 300, target="x1").mix < 1.0


def test_costs_make_expensive_labels_rarer(pilot):
    fit = pilot[-1]
    cost = np.where(np.arange(N) % 2, 4.0, 1.0)
    even = optimal_allocation(fit, 300, target="x1", mix=0.0)
    dear = optimal_allocation(fit, 300, target="x1", mix=0.0, cost=cost)
    inside = (dear.probability < 1) & (dear.probability > 0.011)
    inside &= even.probability > 0.011
    quotient = dear.probability / even.probability
    expensive = np.median(quotient[inside & (cost == 4)])
    assert np.median(quotient[inside & (cost == 1)]) / expensive == pytest.approx(2.0, rel=0.02)


def test_predicted_covariates_and_classes():
    """Products are learned where the influence is not known on every row."""
    rng = np.random.default_rng(6)
    t = (rng.random(N) < 0.4).astype(float)
    y = t + rng.normal(size=N)
    machine = np.where(rng.random(N) < 0.25, 1 - t, t)
    sample = GoldSample.simple_random(N, 200, random_state=1)
    X = np.column_stack([np.where(sample.drawn, t, np.nan), rng.normal(size=N)])
    fit = DSLLinearRegression(learner=None, predicted_features=[0]).fit(
        X, y, surrogates=machine, gold_sample=sample
    )
    assert errors_of(fit, "a test").loading is None
    allocation = optimal_allocation(fit, 300, target=["x1"])
    assert_allclose(allocation.probability.sum(), 300)
    labels = np.where(sample.drawn, t, np.nan)
    fit = DSLLogisticRegression(learner=None).fit(
        X[:, 1:], labels, surrogates=machine, gold_sample=sample
    )
    assert errors_of(fit, "a test").loading is not None
    assert optimal_allocation(fit, 300).n == pytest.approx(300)


def test_neyman_for_a_coefficient(pilot):
    X, _, _, _, _, fit = pilot
    strata = np.digitize(X[:, 0], [-1, 1])
    spread = stratum_spread(fit, strata, "x1")
    assert set(spread) == {0, 1, 2}
    assert min(spread[0], spread[2]) > 1.5 * spread[1]  # far out the slope is decided
    sample = GoldSample.stratified(N, strata, 200, "neyman", spread=spread, random_state=0)
    rate = sample.by_stratum().set_index("stratum")["mean_probability"]
    assert min(rate[0], rate[2]) > 1.5 * rate[1]


def test_before_any_label():
    rng = np.random.default_rng(7)
    x = rng.normal(size=N)
    x -= x.mean()  # so that the intercept is a mean
    doubt = np.full(N, 0.5)
    doubt[: N // 2] = 0.01
    allocation = prior_allocation(x[:, None], doubt, 300, target="intercept", mix=0.2)
    rate = [allocation.probability[half].mean() for half in (slice(N // 2), slice(N // 2, N))]
    v = np.maximum(doubt * (1 - doubt), 0.1 * (doubt * (1 - doubt)).mean())
    size = mixed_probabilities(np.sqrt(v), 300, 0.2)
    assert_allclose(allocation.probability, size)
    assert rate[1] > 2 * rate[0]
    two = pd.DataFrame({"a": x, "b": x + np.repeat([0.1, 2.0], N // 2)})
    several = prior_allocation(pd.DataFrame({"x": x}), two, 300, target="x", model="linear")
    assert "disagreement of 2 surrogates" in several.source
    slope = prior_allocation(x[:, None], doubt, 300, target="x1", model="logistic")
    assert slope.table["term"].tolist() == ["intercept", "x1"]


def test_logistic_fit_recovers():
    rng = np.random.default_rng(8)
    design = np.column_stack([np.ones(4000), rng.normal(size=4000)])
    p = 1 / (1 + np.exp(-(design @ [0.3, 1.0])))
    assert_allclose(logistic_fit(design, p), [0.3, 1.0], atol=1e-4)
    assert_allclose(logistic_fit(design, 0.1 + 0.7 * p, 0.1, 0.8), [0.3, 1.0], atol=1e-3)


def test_targets():
    names = ("intercept", "x1", "topic: a")
    assert_array_equal(read_targets(None, names)[0], np.eye(3))
    matrix, shown = read_targets(["topic: a", "x1 - intercept"], names)
    assert_array_equal(matrix, [[0, 0, 1], [-1, 1, 0]])
    assert shown == ("topic: a", "x1 - intercept")
    assert_array_equal(read_targets([0.0, 1.0, 1.0], names)[0], [[0, 1, 1]])
    with pytest.raises(ValueError, match="no coefficient 'x2'. Did you mean 'x1'"):
        read_targets("x2", names)
    with pytest.raises(ValueError, match="no combination"):
        read_targets("x1 = 1", names)


REFUSED = {
    "above": ({"n": N + 1}, "not possible with 3,000 rows"),
    "none": ({"n": 0}, "not possible"),
    "unknown target": ({"target": "x3"}, "no coefficient 'x3'"),
    "cost negative": ({"cost": np.linspace(-1, 1, N)}, "cost is negative"),
    "cost missing": ({"cost": np.full(N, np.nan)}, "cost is missing"),
    "cost zero": ({"cost": np.zeros(N)}, "must be positive"),
    "cost short": ({"cost": [1.0, 2.0]}, "cost has 2 entries"),
    "learner": ({"learner": "net"}, "'net' is not one of"),
    "mix": ({"mix": 1.5}, "mix=1.5 must be"),
    "mix text": ({"mix": "door"}, "mix='door' must be"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(options, message, pilot):
    with pytest.raises(ValueError, match=message):
        optimal_allocation(pilot[-1], **({"n": 300} | options))


def test_fits_that_cannot_serve():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 1)), rng.normal(size=200)
    complete = DSLLinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="Every row is labelled already"):
        optimal_allocation(complete, 50)
    y[20:] = np.nan
    with pytest.warns(UserWarning, match="are few"):
        few = DSLLinearRegression(learner=None).fit(X, y, surrogates=X[:, 0])
    with pytest.raises(ValueError, match="20 labels say too little"):
        optimal_allocation(few, 50)
    y = np.where(np.arange(200) < 100, 1.0, np.nan) * X[:, 0] + rng.normal(size=200)
    effects = DSLLinearRegression(learner=None).fit(
        X, y, surrogates=X[:, 0], fixed_effects=np.arange(200) % 5
    )
    with pytest.raises(ValueError, match="fixed effects"):
        optimal_allocation(effects, 50)
    with pytest.raises(ValueError, match="has 3 entries|rows"):
        prior_allocation(X, [0.1, 0.2, 0.3], 50)
    with pytest.raises(ValueError, match="only if it is a probability"):
        prior_allocation(X, np.arange(200) % 2, 50)
    with pytest.raises(ValueError, match="agree on every row"):
        prior_allocation(X, np.ones((200, 2)), 50)
    with pytest.raises(ValueError, match="'probit' is not one of"):
        prior_allocation(X, np.linspace(0.1, 0.9, 200), 50, model="probit")
    with pytest.raises(ValueError, match="collinear"):
        prior_allocation(np.ones((200, 1)), np.linspace(0.1, 0.9, 200), 50)
