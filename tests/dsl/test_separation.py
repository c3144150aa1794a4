"""Where no finite logit exists the estimates say so; where one exists it is found."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from trueness.dsl import DSLLogisticRegression, SeparationWarning


def covariates(seed, n=300):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    return frame, (rng.random(n) < 0.5).astype(float)


def test_quasi_separation_names_the_column():
    X, y = covariates(0)
    X["rare"] = (np.arange(len(X)) < 12).astype(float)
    y[:12] = 1.0
    model = DSLLogisticRegression(tuning=None)
    with pytest.warns(SeparationWarning, match=r"'rare' separate"):
        model.fit(X, y)
    assert model.results_.params[3] == np.inf
    assert np.isnan(model.results_.std_errors).all()
    assert np.isnan(model.results_.params[:3]).all()
    assert model.diagnostics_.separated == ("rare",)
    assert not model.diagnostics_.converged
    assert (model.predict(X.iloc[:12]) == 1.0).all()
    assert "inf" in model.summary()


def test_complete_separation():
    X, _ = covariates(1)
    y = (X["a"] > 0.1).astype(float)
    model = DSLLogisticRegression(tuning=None)
    with pytest.warns(SeparationWarning, match="'a'"):
        model.fit(X, y)
    assert np.isinf(model.results_.params[1])
    assert model.score(X, y) > 0.99


def test_cell_without_positive_labels_among_partly_labelled_rows():
    """The pseudo-outcomes of a cell can average below zero: the root lies at minus infinity."""
    rng = np.random.default_rng(2)
    n = 2000
    X = pd.DataFrame({"a": rng.normal(size=n), "cell": (rng.random(n) < 0.05).astype(float)})
    truth = (rng.random(n) < 0.5).astype(float)
    truth[X["cell"] == 1] = 0.0
    machine = np.where(rng.random(n) < 0.1, 1 - truth, truth)
    y = np.where(rng.random(n) < 0.4, truth, np.nan)
    machine[np.isnan(y) & (X["cell"] == 1)] = 0.0
    model = DSLLogisticRegression(tuning=None, learner=None)
    with pytest.warns(SeparationWarning, match="'cell'"):
        model.fit(X, y, surrogates=machine)
    assert model.results_.params[2] == -np.inf


def test_large_but_finite_estimates_are_not_called_separated():
    """One contrary row among thousands keeps the maximum finite, far out as it is."""
    rng = np.random.default_rng(3)
    n = 20_000
    X = np.column_stack([rng.normal(size=n), np.arange(n) < n // 2]).astype(float)
    y = X[:, 1].copy()
    y[0], y[-1] = 0.0, 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DSLLogisticRegression(tuning=None).fit(X, y)
    theirs = sm.Logit(y, sm.add_constant(X)).fit(disp=0, tol=1e-14, maxiter=200)
    np.testing.assert_allclose(model.results_.params, theirs.params, rtol=1e-8)
    assert model.coef_[0, 1] > 15


def test_extreme_rows_do_not_look_like_separation():
    """An outlier with a linear predictor beyond 30 is legitimate."""
    X, _ = covariates(4, n=2000)
    X.loc[0, "a"] = 80.0
    rng = np.random.default_rng(4)
    y = (rng.random(2000) < 1 / (1 + np.exp(-X["a"]))).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DSLLogisticRegression(tuning=None).fit(X, y)
    assert np.abs(model.decision_function(X)).max() > 30
    theirs = sm.Logit(y, sm.add_constant(X)).fit(disp=0, tol=1e-14)
    np.testing.assert_allclose(model.results_.params, theirs.params, rtol=1e-8)


def test_separation_in_some_splits_only_is_still_separation():
    """A finite median over splits would hide the splits without a solution."""
    rng = np.random.default_rng(17)
    n = 400
    X = pd.DataFrame({"a": rng.normal(size=n), "cell": (np.arange(n) < 16).astype(float)})
    truth = (rng.random(n) < 0.5).astype(float)
    truth[:16] = 0.0
    truth[0] = 1.0
    machine = truth + rng.normal(scale=0.8, size=n)
    y = np.where(np.arange(n) % 3 == 0, truth, np.nan)
    model = DSLLogisticRegression(tuning=None, learner="linear", n_repeats=20, random_state=0)
    with pytest.warns(SeparationWarning, match=r"in \d+ of 20 splits"):
        model.fit(X, y, surrogates=machine)
    assert not np.isfinite(model.results_.params[2])
