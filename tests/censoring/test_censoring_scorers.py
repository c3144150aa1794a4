"""Scores and folds in scikit-learn's cross-validation."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate

from trueness.censoring import (
    CensoredClassifier,
    CensoredLinearRegression,
    CensoredRegressor,
    CensoredScorer,
    CensoredStratifiedKFold,
    KaplanMeierCensoring,
    concordance_index_ipcw,
    cumulative_dynamic_auc,
    ipcw_brier_score,
    ipcw_integrated_brier_score,
    ipcw_mean_pinball_loss,
    ipcw_mean_squared_error,
    ipcw_r2_score,
    survival_target,
)

N, HORIZON = 200, 2.0


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(N, 2))
    duration = np.exp(x[:, 0] / 2) * rng.weibull(2, N)
    censored = 3 * rng.random(N)
    return x, survival_target(np.minimum(duration, censored), duration <= censored)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def fitted(sample):
    options = {"censoring": "km", "horizon": HORIZON}
    return CensoredRegressor(LinearRegression(), method="weights", **options).fit(*sample)


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("neg_mean_squared_error", lambda *a, **k: -ipcw_mean_squared_error(*a, **k)),
        ("r2", ipcw_r2_score),
        (
            "neg_mean_pinball_loss",
            lambda *a, **k: -ipcw_mean_pinball_loss(*a, quantile=0.3, **k),
        ),
        ("concordance", lambda y, f, **k: concordance_index_ipcw(y, -f, **k)),
    ],
)
def test_scores_of_durations(sample, fitted, metric, score):
    x, y = sample
    expected = score(y, fitted.predict(x), censoring="km", horizon=HORIZON)
    scorer = CensoredScorer(metric, censoring="km", quantile=0.3)  # horizon of the estimator
    assert scorer(fitted, x, y) == pytest.approx(expected, rel=1e-14)


def test_scores_of_survival(sample):
    x, y = sample
    model = CensoredClassifier(horizon=[0.5, 1.0], censoring="km").fit(x, y)
    survival, times = model.predict_survival(x), [0.5, 1.0]
    options = {"censoring": "km"}
    expected = {
        "neg_brier_score": -ipcw_brier_score(y, survival, times, **options).mean(),
        "neg_integrated_brier_score": -ipcw_integrated_brier_score(y, survival, times, **options),
        "auc": cumulative_dynamic_auc(y, 1 - survival, times, **options).mean(),
    }
    for metric, value in expected.items():
        assert CensoredScorer(metric, **options)(model, x, y) == pytest.approx(value, rel=1e-14)


def test_a_learner_that_takes_times_is_asked_for_them(sample):
    x, y = sample

    class Exponential(BaseEstimator):
        def predict_survival(self, X, times):
            return np.exp(-np.exp(-X[:, :1] / 2) * times)

    expected = -ipcw_brier_score(y, np.exp(-np.exp(-x[:, :1] / 2) * [1.0]), 1.0, censoring="km")[0]
    scorer = CensoredScorer("neg_brier_score", censoring="km", times=1.0)
    assert scorer(Exponential(), x, y) == pytest.approx(expected, rel=1e-14)


def test_cross_validation_scores_every_fold_by_itself(sample):
    x, y = sample
    model = CensoredRegressor(LinearRegression(), method="weights", censoring="km", horizon=HORIZON)
    folds = list(CensoredStratifiedKFold(3).split(x, y))
    scorer = CensoredScorer("neg_mean_squared_error", censoring="km", horizon=HORIZON)
    expected = []
    for train, test in folds:
        prediction = clone(model).fit(x[train], y[train]).predict(x[test])
        expected.append(
            -ipcw_mean_squared_error(y[test], prediction, censoring="km", horizon=HORIZON)
        )
    found = cross_val_score(model, x, y, cv=CensoredStratifiedKFold(3), scoring=scorer)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    several = cross_validate(
        model,
        x,
        y,
        cv=folds,
        scoring={"mse": scorer, "c": CensoredScorer("concordance", censoring="km")},
    )
    np.testing.assert_allclose(several["test_mse"], expected, rtol=1e-12)
    assert (several["test_c"] > 0.5).all()


@pytest.mark.usefixtures("routing")
def test_events_are_routed_without_asking(sample):
    x, y = sample
    model = CensoredRegressor(LinearRegression(), method="weights", censoring="km", horizon=HORIZON)
    scorer = CensoredScorer("neg_mean_squared_error", censoring="km", horizon=HORIZON)
    cv = KFold(3, shuffle=True, random_state=0)
    expected = cross_val_score(model, x, y, cv=cv, scoring=scorer)
    found = cross_val_score(
        model, x, y["time"], cv=cv, scoring=scorer, params={"event": y["event"]}
    )
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    search = GridSearchCV(
        model.set_params(learner=LinearRegression()),
        {"learner__fit_intercept": [True, False]},
        scoring=scorer,
        cv=cv,
    ).fit(x, y["time"], event=y["event"])
    assert search.best_params_ == {"learner__fit_intercept": True}
    assert search.best_score_ == pytest.approx(expected.mean(), rel=1e-12)


def test_durations_without_events_are_refused(sample, fitted):
    x, y = sample
    scorer = CensoredScorer("r2", censoring="km")
    with pytest.raises(ValueError, match="without events"):
        scorer(fitted, x, y["time"])


def test_the_referee_is_named_and_can_be_shared(sample, fitted):
    x, y = sample
    with pytest.raises(TypeError, match="censoring"):
        CensoredScorer("r2")
    shared = KaplanMeierCensoring().fit(None, y["time"], y["event"])
    half = slice(0, N // 2)
    own = CensoredScorer("r2", censoring="km")(fitted, x[half], y[half])
    pooled = CensoredScorer("r2", censoring=shared)(fitted, x[half], y[half])
    assert own != pooled
    expected = ipcw_r2_score(y[half], fitted.predict(x[half]), censoring=shared, horizon=HORIZON)
    assert pooled == pytest.approx(expected, rel=1e-14)


def test_scorers_are_cloned_and_pickled(sample, fitted):
    x, y = sample
    scorer = CensoredScorer("concordance", censoring="cox", horizon=1.5)
    for other in (clone(scorer), pickle.loads(pickle.dumps(scorer))):
        assert other(fitted, x, y) == scorer(fitted, x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "mse"}, "metric='mse' is not one of"),
        ({"metric": "auc"}, "has no predict_survival"),
        ({"metric": "r2", "horizon": -1.0}, "horizon=-1.0"),
    ],
)
def test_bad_options_are_named(sample, fitted, options, message):
    with pytest.raises(ValueError, match=message):
        CensoredScorer(censoring="km", **options)(fitted, *sample)


def test_scores_of_estimates(sample):
    x, y = sample
    model = CensoredLinearRegression(method="weights", censoring="km", horizon=HORIZON).fit(x, y)
    scorer = CensoredScorer("r2", censoring="km")
    assert model.score(x, y) == pytest.approx(scorer(model, x, y), rel=1e-12)


# ------------------------------------------------------------------------- folds


@pytest.mark.parametrize("shuffle", [False, True])
def test_folds_share_events_and_durations(sample, shuffle):
    x, y = sample
    order = np.argsort(y["time"])  # the worst case for folds of consecutive rows
    x, y = x[order], y[order]
    cv = CensoredStratifiedKFold(4, n_bins=5, shuffle=shuffle, random_state=0 if shuffle else None)
    tests = [test for _, test in cv.split(x, y)]
    assert sorted(np.concatenate(tests)) == list(range(N))
    events = [y["event"][test].sum() for test in tests]
    assert max(events) - min(events) <= 5  # at most one in each stratum
    medians = [np.median(y["time"][test]) for test in tests]
    assert max(medians) - min(medians) < 0.25  # more than 1 in plain folds
    assert cv.get_n_splits() == 4


def test_every_fold_has_its_share_of_short_and_long_durations(sample):
    x, y = sample
    limits = np.quantile(y["time"][y["event"]], [0.25, 0.5, 0.75])
    counts = []
    for _, test in CensoredStratifiedKFold(4, n_bins=4).split(x, y):
        events = y[test][y["event"][test]]
        counts.append(np.bincount(np.searchsorted(limits, events["time"]), minlength=4))
    assert np.ptp(counts, axis=0).max() <= 2  # a row at a limit may be on either side


def test_folds_of_every_form_of_durations_agree(sample):
    x, y = sample
    cv = CensoredStratifiedKFold(3)
    expected = [test.tolist() for _, test in cv.split(x, y)]
    frame = pd.DataFrame({"time": y["time"], "event": y["event"]})
    assert [test.tolist() for _, test in cv.split(x, frame)] == expected
    apart = cv.split(x, y["time"], event=y["event"])
    assert [test.tolist() for _, test in apart] == expected


def test_few_events_are_no_stratum_of_their_own():
    y = survival_target(np.arange(1, 21), np.arange(20) < 2)
    tests = [test for _, test in CensoredStratifiedKFold(5).split(np.zeros(20), y)]
    assert [len(test) for test in tests] == [4] * 5
    few = survival_target(np.arange(1, 8), [1, 1, 1, 0, 0, 0, 0])
    tests = [test for _, test in CensoredStratifiedKFold(5).split(np.zeros(7), few)]
    assert sorted(np.concatenate(tests)) == list(range(7))


def test_folds_refuse_bad_options(sample):
    with pytest.raises(ValueError, match="n_bins=0"):
        next(CensoredStratifiedKFold(n_bins=0).split(*sample))
