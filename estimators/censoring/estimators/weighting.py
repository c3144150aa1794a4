"""Handing weights to a learner, whatever it is wrapped in."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import get_scorer
from sklearn.utils.validation import has_fit_parameter

Array = NDArray[np.float64]


def fit_weighted(learner: Any, X: Any, y: Any, weight: Array) -> Any | None:
    """Fit a clone of a learner with weights, or return None if a part of it takes none.

    Inside pipelines, searches, bagging, voting and stacking the weights go to every predictor,
    and to its score where a search has one; transformers (a scaler, say) do not see them. Requests
    that the user has set are kept. A learner that passes metadata on is fitted under metadata
    routing, whatever the global setting is.

    Parameters
    ----------
    learner : scikit-learn estimator
        Left untouched.
    X, y : array or frame
    weight : ndarray of shape (n,)

    Returns
    -------
    fitted clone, or None
    """
    model = clone(learner)
    if not _passes_metadata_on(model):
        if not has_fit_parameter(model, "sample_weight"):
            return None
        # Some learners that weigh rows refuse to do so while routing is on.
        with config_context(enable_metadata_routing=False):
            return model.fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        if not _request_weights(model):
            return None
        return model.fit(X, y, sample_weight=weight)


def takes_weights(learner: Any) -> bool:
    """Whether every predictor inside a learner is given the weights by `fit_weighted`."""
    if not _passes_metadata_on(learner):
        return bool(has_fit_parameter(learner, "sample_weight"))
    with config_context(enable_metadata_routing=True):
        return _request_weights(clone(learner))


def learner_name(learner: Any) -> str:
    """Return the class of a learner, of the last step of a pipeline."""
    while hasattr(learner, "steps"):
        learner = learner.steps[-1][1]
    return type(learner).__name__


def _passes_metadata_on(learner: Any) -> bool:
    """Whether a learner is made of other learners."""
    return any(_can_fit(part) for part in learner.get_params(deep=True).values())


def _request_weights(model: Any) -> bool:
    """Set unset requests for weights inside a model; return whether every predictor takes them."""
    _name_default_learners(model)
    parts = [model, *(part for part in model.get_params(deep=True).values() if _can_fit(part))]
    for part in parts:
        is_predictor = is_regressor(part) or is_classifier(part)
        if has_fit_parameter(part, "sample_weight") and hasattr(part, "set_fit_request"):
            if _request(part, "fit") is None:
                part.set_fit_request(sample_weight=is_predictor)
            if hasattr(part, "set_score_request") and _request(part, "score") is None:
                part.set_score_request(sample_weight=is_predictor)
        if is_predictor and not _passes_metadata_on(part) and not _request(part, "fit"):
            return False
        scoring = getattr(part, "scoring", None)
        if isinstance(scoring, str) or hasattr(scoring, "set_score_request"):
            part.scoring = _weighted_scorer(scoring)
    try:
        return bool(model.get_metadata_routing().consumes("fit", ["sample_weight"]))
    except NotImplementedError:  # scikit-learn's answer for what cannot pass weights on
        return False


def _can_fit(part: Any) -> bool:
    return hasattr(part, "fit") and not isinstance(part, type)


def _request(part: Any, method: str) -> Any:
    """Return what a part requests of the weights: True, False, or None if nobody said."""
    requests = getattr(part, "_metadata_request", None)
    requests = part._get_metadata_request() if requests is None else requests
    return getattr(requests, method).requests.get("sample_weight")


def _weighted_scorer(scoring: Any) -> Any:
    scorer = get_scorer(scoring) if isinstance(scoring, str) else deepcopy(scoring)
    request = scorer._get_metadata_request().score.requests
    if "sample_weight" in request and request["sample_weight"] is None:
        scorer.set_score_request(sample_weight=True)
    return scorer


def _name_default_learners(model: Any) -> None:
    """Fill in the final learner of a stack, which cannot request anything while it is None."""
    from sklearn.ensemble import StackingClassifier, StackingRegressor
    from sklearn.linear_model import LogisticRegression, RidgeCV

    for part in [model, *model.get_params(deep=True).values()]:
        if isinstance(part, StackingRegressor) and part.final_estimator is None:
            part.final_estimator = RidgeCV()
        if isinstance(part, StackingClassifier) and part.final_estimator is None:
            part.final_estimator = LogisticRegression()
