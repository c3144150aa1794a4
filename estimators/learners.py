"""Learners of nuisance functions: the defaults, and how a user's learner is adapted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

Array = NDArray[np.float64]
Task = Literal["regression", "probability"]
Predictor = Callable[[Any], Array]
CHOICES = ("auto", "linear", "boosting")


def candidates(learner: Any, task: Task, *, is_sparse: bool) -> dict[str, Any]:
    """Return the learners to choose from by cross-validated loss, by name.

    Parameters
    ----------
    learner : {"auto", "linear", "boosting"} or scikit-learn estimator
        "auto" offers a regularised linear model and gradient boosting; any estimator stands
        alone.
    task : {"regression", "probability"}
        Whether a conditional mean or a probability of a binary target is learned.
    is_sparse : bool
        Whether the features are a sparse matrix, which boosting cannot take.

    Raises
    ------
    ValueError
        If the name is unknown, boosting is asked for on sparse features, or a classifier is
        given for a regression.
    TypeError
        If the learner is not an estimator.
    """
    if isinstance(learner, str):
        if learner not in CHOICES:
            raise ValueError(
                f"learner={learner!r} is not one of {', '.join(map(repr, CHOICES))}; pass one of "
                "these, a scikit-learn estimator, or None to take the surrogate as it is."
            )
        if learner == "boosting" and is_sparse:
            raise ValueError(
                'learner="boosting" needs dense features; the surrogates are a sparse matrix. '
                'Use learner="linear", or reduce them first (e.g. TruncatedSVD).'
            )
        names = ["linear", "boosting"] if learner == "auto" and not is_sparse else [learner]
        names = ["linear" if name == "auto" else name for name in names]
        return {name: _default(name, task, is_sparse=is_sparse) for name in names}
    if isinstance(learner, type):
        raise TypeError(f"learner is a class; pass an instance, {learner.__name__}().")
    if not (
        hasattr(learner, "fit") and hasattr(learner, "predict") and hasattr(learner, "get_params")
    ):
        raise TypeError(
            f"learner must be a scikit-learn estimator, a name or None, "
            f"got {type(learner).__name__}."
        )
    if task == "regression" and is_classifier(learner):
        raise ValueError(
            f"learner={type(learner).__name__}() is a classifier, but the target is numeric; "
            "pass a regressor."
        )
    return {type(learner).__name__: learner}


def _default(name: str, task: Task, *, is_sparse: bool) -> Any:
    if name == "linear":
        scaler = MaxAbsScaler() if is_sparse else StandardScaler()
        if task == "regression":
            return make_pipeline(scaler, RidgeCV(alphas=np.logspace(-2, 4, 13)))
        return make_pipeline(scaler, LogisticRegression(C=1.0, max_iter=1000))
    boosting = (
        HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    )
    # Small trees and leaves of ten: gold samples have hundreds of rows, not thousands.
    return boosting(
        max_iter=100,
        learning_rate=0.08,
        max_leaf_nodes=6,
        min_samples_leaf=10,
        early_stopping=False,
    )


def fit(
    learner: Any, features: Any, target: Array, *, task: Task, seed: np.random.SeedSequence
) -> Predictor:
    """Fit a clone of a learner and return the function that predicts new rows.

    A classifier predicts the probability of class 1 (its class if it has no probabilities). A
    target with a single value is predicted by that value: any fixed prediction keeps the
    estimators that use it valid, and most learners refuse to fit.

    Parameters
    ----------
    learner : scikit-learn estimator
        Left untouched.
    features : array or sparse matrix of shape (n, q)
    target : ndarray of shape (n,)
    task : {"regression", "probability"}
    seed : SeedSequence
        Fills every ``random_state`` of the learner that is None.

    Returns
    -------
    callable
        Maps new features of shape (m, q) to predictions of shape (m,).
    """
    if np.all(target == target[0]):
        return partial(_constant, float(target[0]))
    model = seeded(clone(learner), seed)
    if task == "regression" or not is_classifier(model):
        return partial(_values, model.fit(features, target))
    return partial(_probabilities, model.fit(features, target.astype(int)))


def _constant(value: float, features: Any) -> Array:
    return np.full(features.shape[0], value)


def _values(model: Any, features: Any) -> Array:
    return np.asarray(model.predict(features), dtype=float).ravel()


def _probabilities(model: Any, features: Any) -> Array:
    if not hasattr(model, "predict_proba"):
        return _values(model, features)
    return np.asarray(model.predict_proba(features)[:, 1], dtype=float)


def seeded(model: BaseEstimator, seed: np.random.SeedSequence) -> BaseEstimator:
    """Set every unset ``random_state`` of a model, nested ones too, from one seed."""
    unset = sorted(
        name
        for name, value in model.get_params(deep=True).items()
        if (name == "random_state" or name.endswith("__random_state")) and value is None
    )
    states = seed.generate_state(max(len(unset), 1))
    return model.set_params(
        **{name: int(state) for name, state in zip(unset, states, strict=False)}
    )
