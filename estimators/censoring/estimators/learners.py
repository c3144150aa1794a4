"""Learners by name."""

from __future__ import annotations

from typing import Any

from sklearn import config_context
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ... import learners
from ...learners import Task

NAMES = ("linear", "boosting", "forest")


class LearnerWarning(UserWarning):
    """A learner is used in another way than one might think."""


def resolve_learner(learner: Any, task: Task) -> Any:
    """Return a scikit-learn estimator for a name, and an estimator as it is.

    Parameters
    ----------
    learner : {"linear", "boosting", "forest"} or scikit-learn estimator
    task : {"regression", "probability"}

    Raises
    ------
    ValueError
        If the name is unknown, or a classifier is given for a regression.
    TypeError
        If the learner is not an estimator.
    """
    if isinstance(learner, str):
        if learner not in NAMES:
            raise ValueError(
                f"learner={learner!r} is not one of {', '.join(map(repr, NAMES))}; pass one of "
                "these or a scikit-learn estimator."
            )
        if learner == "forest":
            forest = RandomForestRegressor if task == "regression" else RandomForestClassifier
            # Leaves of one row would follow the noise that large weights carry.
            return forest(n_estimators=200, min_samples_leaf=10)
        if learner == "linear":
            with config_context(enable_metadata_routing=True):
                # Means and scales of the weighted rows: those of the population they stand for.
                scaler = StandardScaler().set_fit_request(sample_weight=True)
            linear = Ridge() if task == "regression" else LogisticRegression(max_iter=1000)
            return make_pipeline(scaler, linear)
    (found,) = learners.candidates(learner, task, is_sparse=False).values()
    return found
