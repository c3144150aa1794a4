"""The estimators follow scikit-learn's contract, and its silent traps make a noise."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from trueness.censoring import CensoredClassifier, CensoredRegressor
from trueness.censoring.splitting import CensoredStratifiedKFold
from trueness.simulations.censoring import make_censored_durations

ESTIMATORS = [CensoredRegressor(), CensoredClassifier(LogisticRegression(), horizon=1.0)]


def failing(estimator):
    """Checks that cannot apply, with the reason."""
    if isinstance(estimator, CensoredRegressor):
        return {}
    labels = "the target is a duration; classes are on which side of the horizon it lies"
    outside = "the horizon, 1, does not lie between the numbers that the check takes for labels"
    return {
        "check_classifiers_classes": labels,
        "check_classifiers_train": labels,
        "check_classifiers_regression_target": labels,
        "check_classifier_data_not_an_array": outside,
        "check_estimators_dtypes": outside,
        "check_estimator_sparse_array": outside,
        "check_estimator_sparse_matrix": outside,
        "check_fit2d_1feature": outside,
        "check_sample_weights_not_overwritten": outside,
        "check_sample_weights_shape": outside,
    }


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=failing)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def sample():
    return make_censored_durations(design="exp_pos", n_rows=240, level=0.4, random_state=5)


def regressor(**options):
    defaults = dict(method="weights", censoring="km", horizon=1.5)
    return CensoredRegressor(Ridge(), **(defaults | options))


# ------------------------------------------------------------- what travels with the target


def test_the_structured_target_goes_through_the_tools(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    model = regressor()
    scores = cross_val_score(model, X, y, cv=KFold(3, shuffle=True, random_state=0))
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    for score, (train, test) in zip(scores, folds, strict=True):
        # The censoring model is that of the training fold.
        again = clone(model).fit(X.iloc[train], y[train])
        assert again.censoring_model_.rows_.time.tolist() == y["time"][train].tolist()
        assert score == again.score(X.iloc[test], y[test])
    assert cross_val_predict(model, X, y, cv=3).shape == (240,)
    search = GridSearchCV(model, {"learner__alpha": [0.1, 10.0]}, cv=3).fit(X, y)
    assert np.isfinite(search.best_score_)
    assert search.score(X, y) == search.best_estimator_.score(X, y)
    assert learning_curve(model, X, y, cv=3, train_sizes=[0.5, 1.0])[2].shape == (2, 3)
    fitted = clone(model).fit(X, y)
    importance = permutation_importance(fitted, X, y, n_repeats=3, random_state=0)
    assert importance.importances_mean.argmax() == 0
    chosen = SequentialFeatureSelector(model, n_features_to_select=1, cv=3).fit(X, y)
    assert chosen.get_support()[0]
    train, _, y_train, _ = train_test_split(X, y, random_state=0)
    assert clone(model).fit(train, y_train).diagnostics_.n_rows == 180
    inside = make_pipeline(StandardScaler(), model).fit(X, y)
    assert inside.score(X, y) == pytest.approx(fitted.score(X, y), abs=0.01)
    votes = VotingRegressor([("a", model), ("b", clone(model))])
    assert BaggingRegressor(model, n_estimators=3).fit(X, y).predict(X).shape == (240,)
    with pytest.raises(TypeError):  # scikit-learn's own score knows nothing of events
        votes.fit(X, y).score(X, y)


def test_pickles_predict_the_same(sample):
    X = sample.observed["X"]
    for model in (
        regressor(method="doubly_robust", censoring="cox", outcome="beran"),
        CensoredClassifier(LogisticRegression(), horizon=[0.5, 1.0], censoring="cox"),
    ):
        model.fit(**sample.observed)
        again = pickle.loads(pickle.dumps(model))
        expected = model.score(**sample.observed)
        assert again.score(**sample.observed) == expected
        np.testing.assert_array_equal(again.learner_.predict(X), model.learner_.predict(X))


def test_the_classifier_goes_through_the_tools(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    model = CensoredClassifier(LogisticRegression(), horizon=0.8, censoring="km")
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y["event"]))
    assert np.isfinite(cross_val_score(model, X, y, cv=folds)).all()
    # scikit-learn takes each pair of time and event for a class of its own.
    with pytest.raises(ValueError, match="n_splits=3 cannot be greater than the number of members"):
        cross_val_score(model, X, y, cv=3)
    splitter = CensoredStratifiedKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(model, {"learner__C": [0.1, 10.0]}, cv=splitter).fit(X, y)
    assert search.predict_proba(X).shape == (240, 2)


# ------------------------------------------------------------- silent traps


def test_a_forgotten_event_is_recorded_and_noticed_by_the_score(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    naive = regressor().fit(X, y["time"])
    assert naive.diagnostics_.event_given is False
    np.testing.assert_array_equal(naive.predict(X), Ridge().fit(X, y["time"]).predict(X))
    assert np.isfinite(naive.score(X, y["time"]))
    with pytest.raises(ValueError, match="was fitted to durations without events"):
        naive.score(X, y)
    with pytest.raises(ValueError, match="was fitted to durations without events"):
        naive.score(X, y["time"], event=y["event"])


@pytest.mark.parametrize("kind", [CensoredRegressor, CensoredClassifier])
def test_scores_without_events_are_refused(sample, kind):
    X, y = sample.observed["X"], sample.observed["y"]
    learner = Ridge() if kind is CensoredRegressor else LogisticRegression()
    model = kind(learner, horizon=1.0, censoring="km").fit(X, y["time"], event=y["event"])
    with pytest.raises(ValueError, match="asked to score durations without events"):
        model.score(X, y["time"])
    assert model.score(X, y["time"], event=y["event"]) == model.score(X, y)


def test_without_routing_a_search_over_durations_is_not_silent(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    search = GridSearchCV(regressor(), {"learner__alpha": [0.1, 10.0]}, cv=2)
    # Events reach the fits and not the scores, which would take censored times for true ones.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, y["time"], event=y["event"])
    assert "Scoring failed" in str(caught[0].message)
    assert np.isnan(search.cv_results_["mean_test_score"]).all()
    search.set_params(error_score="raise")
    with pytest.raises(ValueError, match="asked to score durations without events"):
        search.fit(X, y["time"], event=y["event"])


@pytest.mark.parametrize("weighted", [False, True])
def test_with_routing_events_reach_fits_and_scores_by_default(sample, weighted):
    X, y = sample.observed["X"], sample.observed["y"]
    more = {"sample_weight": np.linspace(0.5, 1.5, len(y))} if weighted else {}
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(regressor(), {"learner__alpha": [0.1, 10.0]}, cv=3)
        search.fit(X, y["time"], event=y["event"], **more)
        if not weighted:
            beside = GridSearchCV(regressor(), {"learner__alpha": [0.1, 10.0]}, cv=3).fit(X, y)
            for key in ("mean_test_score", "std_test_score"):
                np.testing.assert_array_equal(search.cv_results_[key], beside.cv_results_[key])
        assert np.isfinite(search.best_score_)
        pipeline = make_pipeline(StandardScaler(), regressor())
        pipeline.fit(X, y["time"], event=y["event"])
        assert pipeline[-1].diagnostics_.n_censored > 0
        clusters = np.arange(len(y)) // 2
        assert regressor().fit(X, y, clusters=clusters).diagnostics_.n_rows == len(y)


def test_a_transformed_target_outside_needs_routing_to_see_events(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    outside = TransformedTargetRegressor(regressor(), func=np.sqrt, inverse_func=np.square)
    with config_context(enable_metadata_routing=True):
        outside.fit(X, y["time"], event=y["event"])
    assert outside.regressor_.diagnostics_.n_censored == (~y["event"]).sum()
    # It cannot transform a structured array, and says so.
    with pytest.raises((TypeError, ValueError)):
        clone(outside).fit(X, y)
    # A frame it would transform, events and all: two bare columns are refused.
    frame = pd.DataFrame({"time": y["time"], "event": y["event"].astype(float)})
    with pytest.raises(ValueError, match="two columns without names"):
        TransformedTargetRegressor(regressor(), func=np.sqrt, inverse_func=np.square).fit(X, frame)


def test_transforming_the_target_inside_weighs_rows_of_logs(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    learner = TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp)
    inside = CensoredRegressor(learner, censoring="km", horizon=1.5)
    inside.fit(X, y)
    assert inside.method_ == "weights"
    assert (inside.predict(X) > 0).all()


def test_a_stack_of_regressors_refuses_structured_targets(sample):
    stack = StackingRegressor([("a", regressor())], cv=2)
    with pytest.raises((TypeError, ValueError)):
        stack.fit(**sample.observed)


def test_two_bare_columns_are_refused_everywhere(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    bare = np.column_stack([y["time"], y["event"]])
    for model in (regressor(), CensoredClassifier(horizon=1.0)):
        with pytest.raises(ValueError, match="two columns without names"):
            model.fit(X, bare)
    with pytest.raises(ValueError, match="two columns without names"):
        cross_val_score(regressor(), X, bare, cv=2)


def test_predictions_before_fitting_are_refused(sample):
    for model in (regressor(), CensoredClassifier(LogisticRegression(), horizon=1.0)):
        with pytest.raises(NotFittedError):
            model.predict(sample.observed["X"])
        with pytest.raises(NotFittedError):
            model.score(**sample.observed)


def test_a_test_fold_with_the_only_censored_rows_is_scored():
    rng = np.random.default_rng(0)
    X, time = rng.normal(size=(60, 2)), rng.exponential(size=60)
    event = np.ones(60, dtype=int)
    event[-2:] = 0
    frame = pd.DataFrame({"time": time, "event": event})
    model = regressor().fit(X[:40], frame[:40])
    assert model.method_ == "complete"
    assert np.isfinite(model.score(X[40:], frame[40:]))


def test_tags_say_what_targets_and_inputs_are_possible():
    tags = regressor().__sklearn_tags__()
    assert tags.target_tags.positive_only
    assert tags.estimator_type == "regressor"
    assert not tags.input_tags.allow_nan
    assert CensoredRegressor("boosting").__sklearn_tags__().input_tags.allow_nan
    assert CensoredClassifier("linear", horizon=1.0).__sklearn_tags__().estimator_type == (
        "classifier"
    )
