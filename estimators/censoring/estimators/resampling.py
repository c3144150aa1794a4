"""Weights for learners that take none: averaged fits on samples drawn by weight."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import _safe_indexing

from ...crossfit import seed_sequence
from ...learners import seeded

Array = NDArray[np.float64]


class WeightedResampling(BaseEstimator):
    r"""Average of a learner's fits on rows drawn with probability proportional to their weights.

    A sample has :math:`(\sum w)^2 / \sum w^2` rows, the effective number of the weighted ones, so
    that drawing adds about as much noise as a single fit with the weights would have; the average
    of several takes most of it out again.

    Parameters
    ----------
    learner : scikit-learn estimator
    n_resamples : int, default=20
    random_state : int, Generator, SeedSequence, RandomState or None, default=None
        Seeds the draws, and random states of the learner that are not set.

    Attributes
    ----------
    estimators_ : list
        Fitted clones of the learner.
    n_drawn_ : int
        Rows in each sample.
    classes_ : ndarray
        Of a classifier.
    """

    def __init__(self, learner: Any, *, n_resamples: int = 20, random_state: Any = None) -> None:
        self.learner = learner
        self.n_resamples = n_resamples
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Array) -> Self:
        """Fit the learner on every sample.

        Parameters
        ----------
        X : array or frame of shape (n, p)
        y : array of shape (n,)
        sample_weight : ndarray of shape (n,)

        Returns
        -------
        Self
        """
        share = sample_weight / sample_weight.sum()
        self.n_drawn_ = max(int(np.ceil(1.0 / np.sum(share**2) - 1e-9)), 2)
        classes = np.unique(y)
        self.estimators_ = []
        for stream in seed_sequence(self.random_state).spawn(self.n_resamples):
            rng = np.random.default_rng(stream)
            rows = rng.choice(len(share), size=self.n_drawn_, p=share)
            rows = np.sort(rows)
            model = seeded(clone(self.learner), stream)
            self.estimators_.append(model.fit(_safe_indexing(X, rows), _safe_indexing(y, rows)))
        if hasattr(self.estimators_[0], "classes_"):
            self.classes_ = classes
        return self

    def predict(self, X: Any) -> Array:
        """Average the predictions; of a classifier, return the more probable class."""
        if hasattr(self, "classes_"):
            return self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        return np.mean([model.predict(X) for model in self.estimators_], axis=0)

    def predict_proba(self, X: Any) -> Array:
        """Average the probabilities of classes, or votes of learners that have none.

        A class that a sample happens not to contain has probability zero there.
        """
        total: Array | float = 0.0
        for model in self.estimators_:
            if hasattr(model, "predict_proba"):
                seen = model.predict_proba(X)
            else:
                seen = (model.predict(X)[:, None] == model.classes_).astype(float)
            wide = np.zeros((len(seen), len(self.classes_)))
            wide[:, np.searchsorted(self.classes_, model.classes_)] = seen
            total = total + wide
        return np.asarray(total / len(self.estimators_))
