"""Cross-fitting inside the estimators: repeats, parallel runs, out-of-fold predictions."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone

from trueness.crossfit import crossfit
from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLMean
from trueness.dsl.engine import mean_share
from trueness.simulations.dsl import make_egami2024


@pytest.fixture(scope="module")
def observed():
    return make_egami2024(n_rows=1500, n_labels=250, random_state=3).observed


def test_repeats_combine_by_medians(observed):
    """Section 3.1 of the method, written out over fits of each split's own predictions."""
    model = DSLLogisticRegression(tuning=None, learner="linear", n_repeats=5, random_state=5)
    combined = clone(model).fit(**observed).results_
    features = np.hstack([observed["surrogates"], observed["X"]])
    splits = crossfit(
        features,
        observed["y"][:, None],
        learner="linear",
        tasks=["probability"],
        n_repeats=5,
        random_state=5,
    )
    single = [
        DSLLogisticRegression(tuning=None, learner=None)
        .fit(**{**observed, "surrogates": prediction})
        .results_
        for prediction in splits.predictions
    ]
    betas, covs = np.stack([r.params for r in single]), np.stack([r.cov for r in single])
    centre = np.median(betas, axis=0)
    gaps = betas - centre
    np.testing.assert_allclose(combined.params, centre, rtol=1e-9)
    variances = np.median(np.diagonal(covs, axis1=1, axis2=2) + gaps**2, axis=0)
    np.testing.assert_allclose(combined.std_errors**2, variances, rtol=1e-9)
    outer = np.einsum("si,sj->sij", gaps, gaps)
    np.testing.assert_allclose(combined.cov, np.median(covs + outer, axis=0), rtol=1e-6)
    np.testing.assert_allclose(combined.split_cov, np.median(outer, axis=0), rtol=1e-6)
    mean_influence = np.mean([r.influence for r in single], axis=0)
    np.testing.assert_allclose(combined.influence, mean_influence, rtol=1e-6, atol=1e-9)


def test_every_repeat_draws_its_own_folds(observed):
    model = DSLLogisticRegression(tuning=None, learner="linear", n_repeats=6, random_state=5).fit(
        **observed
    )
    assert len(np.unique(model.diagnostics_.learner_losses)) == 6
    assert (model.diagnostics_.split_std > 0).all()


def test_results_do_not_depend_on_workers(observed):
    model = DSLLogisticRegression(tuning=None, learner="auto", n_repeats=2, random_state=5)
    one = clone(model).fit(**observed).results_
    two = clone(model).set_params(n_jobs=2).fit(**observed).results_
    np.testing.assert_array_equal(one.params, two.params)
    np.testing.assert_array_equal(one.cov, two.cov)


def test_random_state_fixes_the_fit(observed):
    model = DSLLogisticRegression(tuning=None, learner="linear", n_repeats=1)
    fits = [clone(model).set_params(random_state=s).fit(**observed).coef_ for s in (1, 1, 2)]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


class Recorder(RegressorMixin, BaseEstimator):
    """Remembers which rows (first feature) it has learned from; predicts their mean target."""

    seen = []  # noqa: RUF012 - shared by the clones on purpose

    def fit(self, X, y):
        self.rows_ = set(X[:, 0])
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        Recorder.seen.append((self.rows_, set(X[:, 0])))
        return np.full(len(X), self.mean_)


def test_no_row_is_predicted_by_a_learner_that_saw_its_cluster():
    rng = np.random.default_rng(0)
    n = 600
    clusters = np.column_stack([rng.integers(0, 30, n), rng.integers(0, 20, n)])
    y = np.where(rng.random(n) < 0.5, rng.normal(size=n), np.nan)
    Recorder.seen.clear()
    DSLMean(tuning=None, learner=Recorder(), n_repeats=1, random_state=0).fit(
        np.zeros((n, 1)), y, surrogates=np.arange(n), clusters=clusters
    )
    assert len(Recorder.seen) == 25
    predicted = [row for _, rows in Recorder.seen for row in rows]
    assert sorted(predicted) == list(range(n))
    for learned, rows in Recorder.seen:
        learned, rows = (clusters[np.array(sorted(r), dtype=int)] for r in (learned, rows))
        for way in (0, 1):
            assert not set(learned[:, way]) & set(rows[:, way])


def test_binary_outcome_of_a_linear_model_learns_a_probability(observed):
    seen = {}

    class Probe(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            seen["target"] = np.unique(y)
            return self

        def predict(self, X):
            return np.zeros(len(X))

    DSLLinearRegression(tuning=None, learner=Probe(), n_repeats=1, random_state=0).fit(**observed)
    np.testing.assert_array_equal(seen["target"], [0.0, 1.0])
    linear = DSLLinearRegression(tuning=None, learner="linear", n_repeats=1, random_state=0).fit(
        **observed
    )
    assert linear.diagnostics_.learner_losses[0] < 0.25


def test_header_says_what_the_table_rests_on(observed):
    model = DSLLogisticRegression(tuning=None, learner="linear", n_repeats=2, random_state=5).fit(
        **observed
    )
    header = model.results_.header
    assert header["Gold labels"] == f"{model.diagnostics_.n_labelled:,} (" + (
        f"{model.diagnostics_.n_labelled / 1500:.1%})"
    )
    assert header["Learner"] == "linear (2 splits)"
    assert header["Sampling"] == "Poisson"
    assert header["Covariance"] == "HC0, normal reference"
    for fact in header.values():
        assert fact in model.summary()


def test_shares_of_the_variance_are_averaged_over_repeats():
    shares = [np.array([0.2, 0.9]), np.array([0.4, 0.8])]
    np.testing.assert_allclose(mean_share(shares), [0.3, 0.85])
    # What has no such share in one repeat has none.
    assert mean_share([shares[0], None]) is None
    assert mean_share([]) is None
