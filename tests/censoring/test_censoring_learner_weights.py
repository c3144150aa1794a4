"""Weights reach the learner wherever it sits, or rows are drawn by weight."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from trueness.censoring.estimators.resampling import WeightedResampling
from trueness.censoring.estimators.weighting import fit_weighted, learner_name, takes_weights


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(120, 3))
    y = np.exp(0.5 * X[:, 0] + 0.3 * rng.normal(size=120))
    return X, y, rng.exponential(size=120) ** 2


def direct(X, y, weight):
    return Ridge().fit(X, y, sample_weight=weight).predict(X)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda ridge: ridge,
        lambda ridge: make_pipeline("passthrough", ridge),
        lambda ridge: make_pipeline("passthrough", make_pipeline("passthrough", ridge)),
        lambda ridge: GridSearchCV(ridge, {"alpha": [1.0]}, cv=2),
        lambda ridge: GridSearchCV(ridge, {"alpha": [1.0]}, cv=2, scoring="r2"),
        lambda ridge: GridSearchCV(
            ridge, {"alpha": [1.0]}, cv=2, scoring=make_scorer(mean_absolute_error)
        ),
        lambda ridge: VotingRegressor([("a", ridge), ("b", Ridge())]),
        lambda ridge: TransformedTargetRegressor(ridge),
    ],
    ids=["bare", "pipeline", "nested", "search", "named scorer", "scorer", "voting", "target"],
)
def test_weights_reach_the_learner_inside(rows, wrap, routing):
    learner = wrap(Ridge())
    with config_context(enable_metadata_routing=routing):
        assert takes_weights(learner)
        fitted = fit_weighted(learner, *rows)
    np.testing.assert_allclose(fitted.predict(rows[0]), direct(*rows), rtol=1e-10)
    assert np.abs(direct(*rows) - Ridge().fit(*rows[:2]).predict(rows[0])).max() > 0.01
    if hasattr(learner, "scoring"):
        assert learner.scoring != "r2" or isinstance(learner.scoring, str)  # left untouched


def test_scalers_do_not_see_the_weights_unless_they_ask(rows):
    X, y, weight = rows
    fitted = fit_weighted(make_pipeline(StandardScaler(), Ridge()), X, y, weight)
    np.testing.assert_allclose(fitted[0].mean_, X.mean(axis=0))
    with config_context(enable_metadata_routing=True):
        asking = StandardScaler().set_fit_request(sample_weight=True)
    fitted = fit_weighted(make_pipeline(asking, Ridge()), X, y, weight)
    np.testing.assert_allclose(fitted[0].mean_, np.average(X, axis=0, weights=weight))


def test_a_search_validates_with_the_weights(rows):
    X, y, weight = rows
    # The weights single out rows on which only small penalties fit; without them large ones win.
    steep = X[:, 0] * 3.0
    y = np.where(weight > 1.0, steep, y.mean())
    grid = {"alpha": [1e-3, 1e4]}
    alone = GridSearchCV(Ridge(), grid, cv=3).fit(X, y)
    strong = np.where(weight > 1.0, 1e4, 1e-4)
    weighted = fit_weighted(GridSearchCV(Ridge(), grid, cv=3), X, y, strong)
    assert weighted.best_params_ == {"alpha": 1e-3}
    assert weighted.best_score_ > 0.99 > alone.best_score_


@pytest.mark.parametrize(
    "learner",
    [
        RidgeCV(),
        AdaBoostRegressor(n_estimators=3),
        BaggingRegressor(DecisionTreeRegressor(), n_estimators=3, random_state=0),
        StackingRegressor([("a", make_pipeline(StandardScaler(), Ridge()))]),
        make_pipeline(StandardScaler(), RidgeCV()),
    ],
    ids=learner_name,
)
def test_learners_with_their_own_ways_take_weights(rows, learner):
    X, y, weight = rows
    heavy = np.where(np.arange(120) < 60, 1.0, 1e-9)
    assert takes_weights(learner)
    fitted = fit_weighted(learner, X, y, heavy)
    rest = np.abs(fitted.predict(X) - fit_weighted(learner, X, y, weight).predict(X))
    assert rest.max() > 1e-3


@pytest.mark.parametrize(
    "learner",
    [
        KNeighborsRegressor(),
        make_pipeline(StandardScaler(), KNeighborsRegressor()),
        GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [3, 5]}),
        VotingRegressor([("a", Ridge()), ("b", KNeighborsRegressor())]),
    ],
    ids=learner_name,
)
def test_learners_without_weights_are_recognised_wherever_they_are(rows, learner):
    # Voting would hand weights to the ridge, and fit the neighbours without: half a correction.
    assert not takes_weights(learner)
    assert fit_weighted(learner, *rows) is None


def test_a_request_that_was_declined_is_not_overruled(rows):
    with config_context(enable_metadata_routing=True):
        ridge = Ridge().set_fit_request(sample_weight=False)
    assert fit_weighted(make_pipeline("passthrough", ridge), *rows) is None


def test_stacked_classifiers_get_a_final_learner_that_takes_weights(rows):
    X, y, weight = rows
    learner = StackingClassifier([("a", LogisticRegression())], cv=2)
    fitted = fit_weighted(learner, X, (y > np.median(y)).astype(int), weight)
    assert isinstance(fitted.final_estimator_, LogisticRegression)
    assert learner.final_estimator is None


def test_resampled_fits_average_to_the_weighted_one(rows):
    X, y, weight = rows
    model = WeightedResampling(LinearRegression(), n_resamples=400, random_state=1)
    weighted = LinearRegression().fit(X, y, sample_weight=weight)
    plain = LinearRegression().fit(X, y)
    predicted = model.fit(X, y, weight).predict(X)
    error, bias = (
        np.sqrt(np.mean((predictions - weighted.predict(X)) ** 2))
        for predictions in (predicted, plain.predict(X))
    )
    assert error < 0.35 * bias
    assert model.n_drawn_ == int(np.ceil(weight.sum() ** 2 / (weight**2).sum()))
    again = WeightedResampling(LinearRegression(), n_resamples=400, random_state=1)
    np.testing.assert_array_equal(again.fit(X, y, weight).predict(X), predicted)


def test_rows_without_weight_are_never_drawn(rows):
    X, y, _ = rows
    weight = (np.arange(120) < 40).astype(float)
    broken = np.where(weight > 0, y, np.nan)
    model = WeightedResampling(KNeighborsRegressor(), n_resamples=5, random_state=0)
    assert np.isfinite(model.fit(X, broken, weight).predict(X)).all()


@pytest.mark.parametrize("learner", [KNeighborsClassifier(3), LinearSVC()], ids=learner_name)
def test_resampled_classifiers_average_probabilities_or_votes(rows, learner):
    X, _, weight = rows
    label = np.where(X[:, 0] > 0, "long", "short")
    model = WeightedResampling(learner, n_resamples=9, random_state=0).fit(X, label, weight)
    probability = model.predict_proba(X)
    assert list(model.classes_) == ["long", "short"]
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    assert (model.predict(X) == label).mean() > 0.85
    assert len(np.unique(probability)) > 2


def test_a_class_that_a_sample_lacks_has_no_probability_there(rows):
    X = rows[0]
    label = np.arange(120) == 0
    weight = np.where(label, 0.02, 1.0)
    model = WeightedResampling(KNeighborsClassifier(1), n_resamples=20, random_state=0)
    model.fit(X, label.astype(int), weight)
    assert min(len(one.classes_) for one in model.estimators_) == 1
    probability = model.predict_proba(X)
    assert probability.shape == (120, 2)
    assert probability[5, 0] == 1.0
