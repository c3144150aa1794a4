"""The classifier: probabilities of outliving horizons from censored durations."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from trueness.censoring import (
    CensoredClassifier,
    KaplanMeierCensoring,
    LearnerWarning,
    survival_target,
)
from trueness.censoring.estimators.classifier import falling_curves
from trueness.simulations.censoring import make_censored_durations

HORIZONS = [0.5, 1.0, 2.0]


@pytest.fixture(scope="module")
def sample():
    return make_censored_durations(design="exp_pos", n_rows=500, level=0.4, random_state=3)


@pytest.fixture(scope="module")
def ties():
    return make_censored_durations(
        design="wei_ind", n_rows=300, level=0.3, time_unit=0.25, random_state=4
    )


@pytest.mark.parametrize("stacked", [False, True])
def test_with_the_marginal_curve_the_share_is_that_of_kaplan_meier(ties, stacked):
    X, y = ties.observed["X"], ties.observed["y"]
    model = CensoredClassifier(
        DummyClassifier(strategy="prior"),
        horizon=1.5 if stacked else HORIZONS,
        censoring="km",
        floor=0.0,
        stacked=stacked,
    ).fit(X, y)
    curve = KaplanMeierCensoring(of="event").fit(None, y["time"], y["event"]).curve()
    expected = curve(np.atleast_1d(model.horizon_))
    found = np.atleast_2d(model.predict_survival(X[:1]))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # An event exactly at the horizon has happened by it.
    assert np.isin(1.5, y["time"][y["event"]])


def test_weights_are_the_inverse_chance_to_be_known(ties):
    X, y = ties.observed["X"], ties.observed["y"]
    model = CensoredClassifier(LogisticRegression(), horizon=1.0, censoring="km", floor=0.0)
    model.fit(X, y)
    g = KaplanMeierCensoring().fit(None, y["time"], y["event"])
    died, alive = y["event"] & (y["time"] <= 1.0), y["time"] > 1.0
    weight = np.where(alive, 1 / g.curve()(1.0), died / g.survival(None, y["time"], side="left"))
    kept = weight > 0
    scaled = weight[kept] / weight[kept].mean()
    direct = LogisticRegression().fit(X[kept], alive[kept].astype(int), sample_weight=scaled)
    np.testing.assert_allclose(model.predict_proba(X), direct.predict_proba(X), atol=1e-9)
    np.testing.assert_array_equal(model.predict(X), direct.predict(X))
    assert (~y["event"] & (y["time"] <= 1.0)).sum() == len(y) - model.diagnostics_.n_known > 0


def test_probabilities_are_nearer_the_truth_than_those_of_known_rows(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    model = CensoredClassifier(
        LogisticRegression(), horizon=HORIZONS, censoring="cox", random_state=0
    ).fit(X, y)
    found = model.predict_survival(X)
    assert found.shape == (500, 3)
    np.testing.assert_array_equal(model.horizon_, HORIZONS)
    for j, u in enumerate(HORIZONS):
        truth = sample.law.survival(X, np.full(len(X), u))
        known = (y["time"] > u) | y["event"]
        dropped = LogisticRegression().fit(X[known], y["time"][known] > u).predict_proba(X)[:, 1]
        naive = LogisticRegression().fit(X, y["time"] > u).predict_proba(X)[:, 1]
        error = np.mean((found[:, j] - truth) ** 2)
        assert error < 0.5 * np.mean((dropped - truth) ** 2)
        assert error < 0.5 * np.mean((naive - truth) ** 2)


def test_one_learner_for_all_horizons(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    options = dict(horizon=HORIZONS, censoring="cox", stacked=True, random_state=0)
    model = CensoredClassifier("linear", **options).fit(X, y)
    survival = model.predict_survival(X)
    assert len(model.learners_) == 1
    assert (np.diff(survival, axis=1) < 0).all()
    for j, u in enumerate(HORIZONS):
        truth = sample.law.survival(X, np.full(len(X), u))
        assert np.mean((survival[:, j] - truth) ** 2) < 0.25 * truth.var()
    as_array = CensoredClassifier("linear", **options).fit(X.to_numpy(), y)
    np.testing.assert_allclose(as_array.predict_survival(X.to_numpy()), survival, rtol=1e-9)
    thin = sparse.csr_array(X.to_numpy())
    plain = make_pipeline(StandardScaler(with_mean=False), LogisticRegression())
    as_sparse = CensoredClassifier(plain, **options | dict(censoring="km")).fit(thin, y)
    assert as_sparse.predict_survival(thin).shape == (500, 3)
    taken = X.rename(columns={"x4": "horizon"})
    with pytest.raises(ValueError, match="X has a column 'horizon'"):
        CensoredClassifier("linear", **options).fit(taken, y)


def test_stacked_horizons_count_the_same(ties):
    X, y = ties.observed["X"], ties.observed["y"]
    options = dict(horizon=HORIZONS, censoring="km", floor=0.0)
    model = CensoredClassifier(DummyClassifier(strategy="prior"), stacked=True, **options)
    curve = KaplanMeierCensoring(of="event").fit(None, y["time"], y["event"]).curve()
    found = model.fit(X, y).predict_survival(X[:1])[0]
    np.testing.assert_allclose(found, curve(HORIZONS).mean(), rtol=1e-12)


def test_survival_never_rises_over_horizons(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    grid = np.linspace(0.2, 1.0, 9)
    model = CensoredClassifier(
        DecisionTreeClassifier(max_depth=3), horizon=grid, censoring="km", random_state=0
    )
    model.fit(X[:150], y[:150])
    raw = np.column_stack([learner.predict_proba(X)[:, 1] for learner in model.learners_])
    assert (np.diff(raw, axis=1) > 0).any()
    assert (np.diff(model.predict_survival(X), axis=1) <= 0).all()
    np.testing.assert_allclose(
        falling_curves(np.array([[0.9, 0.5, 0.7, 0.1]])), [[0.9, 0.6, 0.6, 0.1]]
    )
    falling = np.array([[0.9, 0.5, 0.5, 0.1]])
    np.testing.assert_array_equal(falling_curves(falling), falling)


def test_horizons_come_in_any_order_and_once(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    model = CensoredClassifier(LogisticRegression(), horizon=(2.0, 0.5, 2.0), censoring="km")
    model.fit(X, y)
    np.testing.assert_array_equal(model.horizon_, [0.5, 2.0])
    assert list(model.diagnostics_by_horizon_) == [0.5, 2.0]
    assert model.diagnostics_ is not model.diagnostics_by_horizon_[0.5]
    assert model.diagnostics_.horizon == 2.0
    assert model.predict(X).shape == (500, 2)
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError, match="predict_proba"):
        model.predict_proba(X)


def test_without_censoring_the_learner_is_fitted_as_it_is(sample):
    X, durations = sample.observed["X"], sample.complete.durations
    label = (durations > 1.0).astype(int)
    weight = np.random.default_rng(0).exponential(size=len(X))
    for more in ({}, {"sample_weight": weight}):
        model = CensoredClassifier(LogisticRegression(), horizon=1.0).fit(X, durations, **more)
        plain = LogisticRegression().fit(X, label, **more)
        np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
        np.testing.assert_array_equal(model.predict(X), plain.predict(X))
        share = np.average(label, **{"weights": more.get("sample_weight")})
        expected = 1 - brier_score_loss(
            label, plain.predict_proba(X)[:, 1], **more
        ) / brier_score_loss(label, np.full(len(X), share), **more)
        assert model.score(X, durations, **more) == pytest.approx(expected, rel=1e-10)
    assert model.censoring_model_ is None
    assert model.diagnostics_.event_given is False


def test_the_score_rewards_the_truth(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    model = CensoredClassifier(LogisticRegression(), horizon=1.0, censoring="cox").fit(X, y)
    flat = CensoredClassifier(DummyClassifier(), horizon=1.0, censoring="cox").fit(X, y)
    assert flat.score(X, y) == pytest.approx(0.0, abs=0.01)
    assert model.score(X, y) > 0.1
    several = CensoredClassifier(LogisticRegression(), horizon=HORIZONS, censoring="cox")
    singles = []
    for u in HORIZONS:
        one = clone(several).set_params(horizon=u).fit(X, y)
        singles.append(one.score(X, y))
    assert min(singles) < several.fit(X, y).score(X, y) < max(singles)


def test_learners_without_probabilities_or_weights(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    options = dict(horizon=1.0, censoring="km", random_state=0)
    votes = CensoredClassifier(LinearSVC(), **options).fit(X, y)
    assert not hasattr(votes, "predict_proba")
    assert not hasattr(votes, "predict_survival")
    assert set(votes.predict(X)) == {0, 1}
    assert votes.score(X, y) < 1.0
    near = CensoredClassifier(KNeighborsClassifier(15), n_resamples=5, **options)
    with pytest.warns(LearnerWarning, match="KNeighborsClassifier does not take sample_weight"):
        near.fit(X, y)
    assert near.predict_proba(X).shape == (500, 2)


def test_horizons_that_cannot_be_are_refused(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    last, first = y["time"].max(), y["time"][y["event"]].min()
    for horizon, message in [
        (None, "horizon=None: CensoredClassifier predicts whether"),
        ("auto", "horizon='auto': CensoredClassifier predicts whether"),
        ([], "horizon is empty"),
        (-1.0, "horizon=-1.0 must be a positive"),
        ([1.0, 2 * last], "past the last time in the data"),
        (float(last), "No row is known to outlive the horizon"),
        (first / 2, f"No event is seen by the horizon .* the first event is at {first:g}"),
    ]:
        with pytest.raises(ValueError, match=message):
            CensoredClassifier(LogisticRegression(), horizon=horizon, censoring="km").fit(X, y)


def test_entries_and_named_events(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    words = np.where(y["event"], "dead", "alive")
    model = CensoredClassifier(
        LogisticRegression(), horizon=1.0, censoring="km", event_level="dead"
    ).fit(X, y["time"], event=words)
    expected = CensoredClassifier(LogisticRegression(), horizon=1.0, censoring="km").fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    entry = np.random.default_rng(0).uniform(0.0, 0.6, len(y))
    seen = y["time"] > entry
    late = survival_target(y["time"][seen], y["event"][seen], entry[seen])
    options = dict(horizon=1.0, censoring="km", positivity="ignore")
    truncated = CensoredClassifier(LogisticRegression(), **options).fit(X[seen], late)
    ignored = CensoredClassifier(LogisticRegression(), **options).fit(X[seen], y[seen])
    truth = sample.law.survival(X, np.full(len(X), 1.0)).mean()
    error, bias = (abs(fit.predict_survival(X).mean() - truth) for fit in (truncated, ignored))
    assert error < 0.5 * bias
