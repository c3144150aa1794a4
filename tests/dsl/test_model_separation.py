"""Multinomial and Poisson models without a finite solution say so and name the columns."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from trueness.dsl import (
    DSLLogisticRegression,
    DSLPoissonRegressor,
    SeparationWarning,
)

N = 400
CLASSES = np.array(["left", "middle", "right"])


@pytest.fixture
def X():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N)})
    return frame.assign(rare=(np.arange(N) < 12).astype(float))


@pytest.fixture
def classes():
    return np.random.default_rng(4).integers(0, 3, N)


@pytest.fixture
def counts():
    return np.random.default_rng(5).poisson(1.0, N).astype(float)


def infinite(model):
    """Return the signs of infinite estimates by term, and check that nothing else is a number."""
    results = model.results_
    assert np.isnan(results.std_errors).all()
    assert not np.isfinite(results.params).any()
    assert not model.diagnostics_.converged
    named = dict(zip(results.names, results.params, strict=True))
    away = {name: np.sign(value) for name, value in named.items() if np.isinf(value)}
    assert set(away) == set(model.diagnostics_.separated)
    return away


def test_multinomial_class_that_a_column_excludes(X, classes):
    """'middle' never occurs on rare rows: one equation runs away, downwards."""
    classes[:12] = np.arange(12) % 2 * 2
    model = DSLLogisticRegression()
    with pytest.warns(SeparationWarning, match=r"'middle: rare' separate"):
        model.fit(X, CLASSES[classes])
    assert infinite(model) == {"middle: rare": -1.0}
    assert np.isfinite(model.coef_).all()
    assert model.predict_proba(X)[:12, 1].max() < 1e-6


def test_multinomial_class_that_a_column_determines(X, classes):
    classes[:12] = 2
    model = DSLLogisticRegression()
    with pytest.warns(SeparationWarning, match="'right: rare'"):
        model.fit(X, CLASSES[classes])
    assert infinite(model)["right: rare"] == 1.0
    assert (model.predict(X)[:12] == "right").all()


def test_multinomial_reference_class_that_a_column_determines(X, classes):
    classes[:12] = 0
    model = DSLLogisticRegression()
    with pytest.warns(SeparationWarning, match="rare'"):
        model.fit(X, CLASSES[classes])
    away = infinite(model)
    assert away == {"middle: rare": -1.0, "right: rare": -1.0}


def test_multinomial_complete_separation(X):
    bands = np.digitize(X["a"], [-0.5, 0.5])
    model = DSLLogisticRegression()
    with pytest.warns(SeparationWarning, match="'1: a'"):
        model.fit(X[["a", "b"]], bands)
    away = infinite(model)
    assert away["1: a"] == away["2: a"] == 1.0
    assert model.score(X[["a", "b"]], bands) > 0.99


def test_multinomial_without_separation_is_found(X, classes):
    """One contrary row keeps the solution finite, far out as it may be."""
    classes[:12] = 2
    classes[0], classes[1] = 0, 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DSLLogisticRegression().fit(X, classes)
    theirs = sm.MNLogit(classes, sm.add_constant(X)).fit(
        disp=0, method="newton", tol=1e-14, maxiter=100
    )
    expected = np.asarray(theirs.params).T.ravel()
    np.testing.assert_allclose(model.results_.params, expected, rtol=1e-8)


def test_poisson_column_with_zero_counts_only(X, counts):
    counts[:12] = 0
    model = DSLPoissonRegressor()
    with pytest.warns(SeparationWarning, match="'rare' separate"):
        model.fit(X, counts)
    assert infinite(model) == {"rare": -1.0}
    assert model.predict(X)[:12].max() < 1e-6


def test_poisson_nothing_counted(X):
    model = DSLPoissonRegressor()
    with pytest.warns(SeparationWarning, match="'intercept'"):
        model.fit(X[["a"]], np.zeros(N))
    assert infinite(model)["intercept"] == -1.0


def test_poisson_direction_of_several_columns(X, counts):
    """Zero counts wherever two dummies overlap is no separation; an empty side is."""
    side = np.where(np.arange(N) < 40, 1.0, 0.0)
    counts[:40] = 0
    frame = X[["a"]].assign(first=side, second=side * (np.arange(N) % 2))
    model = DSLPoissonRegressor()
    with pytest.warns(SeparationWarning, match="'first'"):
        model.fit(frame, counts)
    assert infinite(model)["first"] == -1.0


@pytest.mark.parametrize("many_zeros", [0.5, 0.95])
def test_poisson_with_many_zeros_is_no_separation(X, many_zeros):
    """No positive count on one side of a continuous column leaves the other side to fit."""
    rng = np.random.default_rng(6)
    counts = np.where(X["a"] > np.quantile(X["a"], 1 - many_zeros), 0.0, 1 + rng.poisson(1, N))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DSLPoissonRegressor().fit(X[["a", "b"]], counts)
    family = sm.families.Poisson()
    theirs = sm.GLM(counts, sm.add_constant(X[["a", "b"]]), family=family).fit(
        tol=1e-14, maxiter=200
    )
    np.testing.assert_allclose(model.results_.params, theirs.params, rtol=1e-7)


def two_traits(seed, outcomes=2):
    """Two predicted dummies and their product; no gold row with both has a positive outcome."""
    rng = np.random.default_rng(seed)
    n = 1500
    p, q = (rng.random((2, n)) < [[0.4], [0.3]]).astype(float)
    wrong = rng.random((3, n)) < 0.1
    p_hat, q_hat = np.where(wrong[0], 1 - p, p), np.where(wrong[1], 1 - q, q)
    y = rng.integers(0, outcomes, n).astype(float)
    y[p * q == 1] = 0.0
    machine = np.where(wrong[2], rng.integers(0, outcomes, n), y)
    machine[p_hat * q_hat == 1] = 0.0
    drawn = rng.random(n) < 0.3
    gold = pd.DataFrame({"p": p, "q": q, "pq": p * q})
    gold[~drawn] = np.nan
    surrogates = np.column_stack([machine, p_hat, q_hat, p_hat * q_hat])
    return gold, np.where(drawn, y, np.nan), surrogates


@pytest.mark.parametrize(
    ("estimator", "outcomes"),
    [(DSLLogisticRegression, 2), (DSLPoissonRegressor, 2), (DSLLogisticRegression, 3)],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_empty_cell_of_a_predicted_interaction(estimator, outcomes, seed):
    """The table of outcome by both traits has an empty cell: the product runs to -infinity."""
    gold, y, surrogates = two_traits(seed, outcomes)
    model = estimator(learner=None, predicted_features=["p", "q", "pq"])
    with pytest.warns(SeparationWarning, match="pq' separate"):
        model.fit(gold, y, surrogates=surrogates)
    away = infinite(model)
    assert all(term.endswith("pq") and sign == -1.0 for term, sign in away.items())
    assert len(away) == max(outcomes - 1, 1)


def test_predicted_interaction_without_any_gold_row():
    """Nobody labelled has both traits: refused, as nothing could be learned of the product."""
    gold, y, surrogates = two_traits(0)
    both = gold["pq"] == 1
    gold[both], y[both] = np.nan, np.nan
    model = DSLLogisticRegression(learner=None, predicted_features=["p", "q", "pq"])
    with pytest.raises(ValueError, match="'pq' is constant among the labelled rows"):
        model.fit(gold, y, surrogates=surrogates)


@pytest.mark.parametrize("estimator", [DSLPoissonRegressor, DSLLogisticRegression])
def test_gold_labels_alone_may_be_separated(estimator):
    """Unlabelled rows far beyond the labelled ones do not hide it."""
    rng = np.random.default_rng(3)
    n = 600
    shift = np.where(np.arange(n) < 30, -1.0, 0.0)
    drawn = (rng.random(n) < 0.5) | (np.arange(n) < 10)
    shift[~drawn & (np.arange(n) >= 500)] = 1.0
    y, machine = (rng.random((2, n)) < 0.4).astype(float)
    y[:30] = machine[:30] = 0.0
    X = pd.DataFrame({"a": rng.normal(size=n), "shift": shift})
    model = estimator(learner=None).fit(X, np.where(drawn, y, np.nan), surrogates=machine)
    assert model.diagnostics_.converged
    assert np.isnan(model.diagnostics_.gain).all()
    with pytest.warns(SeparationWarning, match="'shift'"):
        alone = model.compare_labels()["Gold only"]
    assert alone.params[2] == np.inf
