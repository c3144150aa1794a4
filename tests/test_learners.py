"""Learners: defaults, adaptation of a user's learner, seeding."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import BaggingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from trueness import learners

SEED = np.random.SeedSequence(1)


@pytest.fixture(autouse=True)
def one_thread():
    """Keep learners on one thread, as cross-fitting does."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(150, 3))
    return (
        x,
        x @ [1.0, -1.0, 0.5] + rng.normal(size=150),
        (x[:, 0] + rng.normal(size=150) > 0) * 1.0,
    )


def fit(learner, x, y, task="regression", seed=SEED):
    return learners.fit(learner, x, y, task=task, seed=seed)


class Refuses(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        raise AssertionError("must not be fitted")

    def predict(self, X):
        raise AssertionError("must not predict")


class Fixed(ClassifierMixin, BaseEstimator):
    """Gives class 1 a probability of 0.2, and remembers the labels it saw."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if y.dtype.kind != "i":
            raise AssertionError("labels must arrive as integers")
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def predict_proba(self, X):
        return np.tile([0.8, 0.2], (len(X), 1))


class NeedsColumnTargets(RegressorMixin, BaseEstimator):
    """Some regressors return predictions of shape (m, 1)."""

    def fit(self, X, y):
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        return np.full((len(X), 1), self.mean_)


# ---------------------------------------------------------------------- predictions


def test_regressors_predict_as_in_scikit_learn(data):
    x, y, _ = data
    expected = Ridge(alpha=2.0).fit(x[:100], y[:100]).predict(x[100:])
    assert_allclose(fit(Ridge(alpha=2.0), x[:100], y[:100])(x[100:]), expected, rtol=1e-14)


def test_classifiers_predict_the_probability_of_class_one(data):
    x, _, d = data
    expected = LogisticRegression().fit(x, d).predict_proba(x)[:, 1]
    predicted = fit(LogisticRegression(), x, d, "probability")(x)
    assert_allclose(predicted, expected, rtol=1e-12)
    assert np.corrcoef(predicted, d)[0, 1] > 0.3
    assert_array_equal(fit(Fixed(), x, d, "probability")(x[:4]), 0.2)


def test_classifiers_without_probabilities_predict_their_class(data):
    x, _, d = data
    predicted = fit(LinearSVC(random_state=0), x, d, "probability")(x)
    assert_array_equal(predicted, LinearSVC(random_state=0).fit(x, d).predict(x))
    assert set(predicted) == {0.0, 1.0}


def test_regressors_may_learn_a_probability(data):
    x, _, d = data
    expected = LinearRegression().fit(x, d).predict(x)
    assert_allclose(fit(LinearRegression(), x, d, "probability")(x), expected, rtol=1e-12)


def test_predictions_are_flat_floats(data):
    x, y, d = data
    for predictor in (
        fit(NeedsColumnTargets(), x, y),
        fit(LinearSVC(), x, d, "probability"),
        fit(Refuses(), x, np.ones(150)),
    ):
        predicted = predictor(x[:7])
        assert predicted.shape == (7,)
        assert predicted.dtype == np.float64


@pytest.mark.parametrize("task", ["regression", "probability"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_target_is_predicted_without_fitting(data, task, value):
    predictor = fit(Refuses(), data[0], np.full(150, value), task)
    assert_array_equal(predictor(data[0][:5]), value)
    assert_array_equal(predictor(sparse.csr_array(data[0][:5])), value)


def test_a_classifier_inside_a_pipeline_or_a_search_is_recognised(data):
    x, _, d = data
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3)
    for learner in (pipeline, search):
        predicted = fit(learner, x, d, "probability")(x)
        assert ((predicted > 0) & (predicted < 1)).all()
        with pytest.raises(ValueError, match="is a classifier"):
            learners.candidates(learner, "regression", is_sparse=False)


# ---------------------------------------------------------------------- the user's learner


def test_the_users_learner_is_left_alone(data):
    x, y, _ = data
    inner = DecisionTreeRegressor(splitter="random")
    learner = make_pipeline(StandardScaler(), BaggingRegressor(inner, n_estimators=3))
    before = repr(learner.get_params())
    fit(learner, x, y)
    assert repr(learner.get_params()) == before
    assert not hasattr(learner[-1], "estimators_")
    assert not hasattr(learner[0], "mean_")


def test_every_unset_random_state_is_seeded_and_set_ones_are_kept():
    inner = make_pipeline(StandardScaler(), DecisionTreeRegressor())
    learner = make_pipeline(StandardScaler(), BaggingRegressor(inner))
    model = learners.seeded(learner, np.random.SeedSequence(2))
    outer = model[-1].random_state
    nested = model[-1].estimator[-1].random_state
    assert isinstance(outer, int)
    assert isinstance(nested, int)
    assert outer != nested
    kept = learners.seeded(RandomForestRegressor(random_state=5), np.random.SeedSequence(2))
    assert kept.random_state == 5
    assert learners.seeded(Ridge(random_state=0), SEED).random_state == 0
    assert learners.seeded(LinearRegression(), SEED).get_params() == LinearRegression().get_params()


def test_the_seed_alone_decides(data):
    x, y, _ = data
    learner = make_pipeline(StandardScaler(), BaggingRegressor(DecisionTreeRegressor(max_depth=3)))
    one, same, other = (fit(learner, x, y, seed=np.random.SeedSequence(s))(x) for s in (3, 3, 4))
    assert_array_equal(one, same)
    assert not np.array_equal(one, other)


# ---------------------------------------------------------------------- defaults


@pytest.mark.parametrize("task", ["regression", "probability"])
def test_names_of_the_defaults(task):
    assert list(learners.candidates("auto", task, is_sparse=False)) == ["linear", "boosting"]
    assert list(learners.candidates("auto", task, is_sparse=True)) == ["linear"]
    assert list(learners.candidates("linear", task, is_sparse=True)) == ["linear"]
    assert list(learners.candidates("boosting", task, is_sparse=False)) == ["boosting"]
    assert list(learners.candidates(Ridge(), "regression", is_sparse=True)) == ["Ridge"]


@pytest.mark.parametrize("name", ["linear", "boosting"])
def test_defaults_learn_and_give_probabilities(data, name):
    x, y, d = data
    model = learners.candidates(name, "regression", is_sparse=False)[name]
    assert np.corrcoef(fit(model, x, y)(x), y)[0, 1] > 0.7
    model = learners.candidates(name, "probability", is_sparse=False)[name]
    predicted = fit(model, x, d, "probability")(x)
    assert ((predicted > 0) & (predicted < 1)).all()
    assert predicted.mean() == pytest.approx(d.mean(), abs=0.05)


def test_the_linear_default_does_not_depend_on_units(data):
    x, y, d = data
    units = np.array([1e-4, 1.0, 1e5])
    for task, target in [("regression", y), ("probability", d)]:
        model = learners.candidates("linear", task, is_sparse=False)["linear"]
        plain = fit(model, x, target, task)(x)
        assert_allclose(fit(model, x * units, target, task)(x * units), plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
def test_sparse_features_predict_as_dense_ones(data, container):
    x, y, d = data
    x = np.where(np.abs(x) > 0.7, x, 0.0)
    for task, target in [("regression", y), ("probability", d)]:
        model = learners.candidates("auto", task, is_sparse=True)["linear"]
        dense = fit(model, x, target, task)(x)
        assert_allclose(fit(model, container(x), target, task)(container(x)), dense, atol=2e-3)


# ---------------------------------------------------------------------- errors


def test_unknown_names_and_objects():
    with pytest.raises(ValueError, match="learner='lasso' is not one of 'auto', 'linear', 'boost"):
        learners.candidates("lasso", "regression", is_sparse=False)
    for thing in (3, object(), StandardScaler(), lambda x: x):
        with pytest.raises(TypeError, match=f"scikit-learn estimator.*got {type(thing).__name__}"):
            learners.candidates(thing, "regression", is_sparse=False)


def test_a_class_in_place_of_an_instance():
    with pytest.raises(TypeError, match=r"(?i)instance|LogisticRegression\(\)"):
        learners.candidates(LogisticRegression, "probability", is_sparse=False)


def test_boosting_on_sparse_features():
    with pytest.raises(ValueError, match="needs dense features.*TruncatedSVD"):
        learners.candidates("boosting", "regression", is_sparse=True)


def test_a_classifier_for_a_numeric_target():
    with pytest.raises(ValueError, match=r"LogisticRegression\(\) is a classifier.*regressor"):
        learners.candidates(LogisticRegression(), "regression", is_sparse=False)
