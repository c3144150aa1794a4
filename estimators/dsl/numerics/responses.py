r"""The mean of the outcome at given covariates, as a function of the parameters.

.. math:: \mu_j(x; \beta) = f(\eta_j(x; \beta))

with an increasing f, so that an interval for the index :math:`\eta_j` turns into one for the mean
that stays within its range.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from .models import (
    LINEAR,
    LOGISTIC,
    IndexModel,
    MomentModel,
    MultinomialModel,
    TwoStageModel,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Response(ABC):
    """Means of one outcome, or of the indicators of all classes.

    Attributes
    ----------
    link_inverse : callable
        f, from the index to the mean.
    slope : callable
        Its derivative.
    n_outcomes : int
    """

    link_inverse: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    n_outcomes: int = 1

    @abstractmethod
    def index(self, design: Array, beta: Array, j: int) -> Array:
        r"""Return :math:`\eta_j` of every row, shape (n,)."""

    @abstractmethod
    def index_gradient(self, design: Array, beta: Array, j: int) -> Array:
        r"""Return :math:`\partial \eta_j / \partial \beta'` of every row, shape (n, p)."""

    def mean(self, design: Array, beta: Array) -> Array:
        """Return the means, shape (n, n_outcomes)."""
        indices = [self.index(design, beta, j) for j in range(self.n_outcomes)]
        return self.link_inverse(np.column_stack(indices))

    def gradient(self, design: Array, beta: Array, j: int) -> Array:
        r"""Return :math:`\partial \mu_j / \partial \beta'` of every row, shape (n, p)."""
        slope = self.slope(self.index(design, beta, j))
        return slope[:, None] * self.index_gradient(design, beta, j)

    def total_gradient(self, design: Array, beta: Array, weight: Array) -> Array:
        """Return the weighted sums of the gradients, shape (n_outcomes, p)."""
        return np.stack([weight @ self.gradient(design, beta, j) for j in range(self.n_outcomes)])


@dataclass(frozen=True)
class SingleIndex(Response):
    r"""Models with one linear predictor, :math:`\eta = x'\beta`."""

    def index(self, design: Array, beta: Array, j: int) -> Array:
        """Return the linear predictor."""
        del j
        return design @ beta

    def index_gradient(self, design: Array, beta: Array, j: int) -> Array:
        """Return the design."""
        del beta, j
        return design

    def total_gradient(self, design: Array, beta: Array, weight: Array) -> Array:
        """Return the weighted sum of the gradients without those of every row, shape (1, p)."""
        return ((weight * self.slope(design @ beta)) @ design)[None]


@dataclass(frozen=True)
class ClassProbabilities(Response):
    r"""The multinomial logit, each class by its log odds against all others.

    .. math:: \eta_j = x'\beta_j - \log \sum_{l \ne j} \exp(x'\beta_l), \qquad \beta_0 = 0
    """

    def index(self, design: Array, beta: Array, j: int) -> Array:
        """Return the log odds of class j."""
        predictors = self._predictors(design, beta)
        return predictors[:, j] - logsumexp(np.delete(predictors, j, axis=1), axis=1)

    def index_gradient(self, design: Array, beta: Array, j: int) -> Array:
        """Return the derivative of the log odds of class j."""
        predictors = self._predictors(design, beta)
        shares = softmax(np.delete(predictors, j, axis=1), axis=1)
        weight = np.insert(-shares, j, 1.0, axis=1)[:, 1:]
        return (weight[:, :, None] * design[:, None, :]).reshape(len(design), -1)

    def _predictors(self, design: Array, beta: Array) -> Array:
        equations = beta.reshape(self.n_outcomes - 1, -1)
        return np.hstack([np.zeros((len(design), 1)), design @ equations.T])


def response_of(model: MomentModel, n_classes: int = 0) -> Response | None:
    """Return the means that a model implies; None where it says nothing of them."""
    if isinstance(model, MultinomialModel):
        return ClassProbabilities(LOGISTIC.mean, LOGISTIC.slope, n_classes)
    if isinstance(model, TwoStageModel):
        model = LINEAR
    if isinstance(model, IndexModel):
        return SingleIndex(model.mean, model.slope)
    return None
