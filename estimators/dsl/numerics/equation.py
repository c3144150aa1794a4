r"""The estimating equation of design-based supervised learning, its root and its covariance.

With predictions :math:`\hat D_i`, gold data :math:`D_i` on labelled rows and weights
:math:`w_i = R_i / \pi_i`, the estimate solves

.. math:: \frac1N \sum_i \tilde m_i(\beta) = 0, \qquad
    \tilde m_i = (1 - w_i)\, m(\hat D_i; \beta) + w_i\, m(D_i; \beta),

and row i has the influence value :math:`J^{-1} \tilde m_i(\hat\beta)` with
:math:`J = \frac1N \sum_i [(1 - w_i) H(\hat D_i) + w_i H(D_i)]`,
:math:`H = -\partial m / \partial \beta'`. Because :math:`E[w_i | D_i, \hat D_i] = 1`, the
equation is unbiased for :math:`E\, m(D; \beta) = 0` whatever the predictions. Limits: all rows
labelled, the textbook estimator with the HC0 (CR0) sandwich; no weight on the predictions, the
gold-only estimator that weights by :math:`1/\pi_i`.

Arrays in, arrays out; nothing here knows about users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class Sample(NamedTuple):
    """Design matrix (n, k) and outcome (n,) of one version (predicted or gold) of the data."""

    design: Array
    outcome: Array


@dataclass(frozen=True)
class IndexModel:
    r"""Moments of a model with one linear predictor.

    .. math:: m = X (Y - \mu(X'\beta)), \qquad H = \mu'(X'\beta)\, X X'

    Attributes
    ----------
    mean : callable
        The inverse link :math:`\mu`.
    slope : callable
        Its derivative as a function of the linear predictor.
    bounded : bool
        Whether :math:`\mu` has limits, so that a root may lie at infinity (separation).
    """

    mean: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    bounded: bool

    def moment(self, sample: Sample, beta: Array) -> Array:
        """Return the moments, shape (n, k)."""
        residual = sample.outcome - self.mean(sample.design @ beta)
        return sample.design * residual[:, None]

    def curvature(self, sample: Sample, beta: Array) -> Array:
        """Return c with :math:`H_i = c_i X_i X_i'`, shape (n,)."""
        return self.slope(sample.design @ beta)


def _logistic_slope(predictor: Array) -> Array:
    probability = expit(predictor)
    return probability * (1.0 - probability)


LINEAR = IndexModel(lambda eta: eta, np.ones_like, bounded=False)
LOGISTIC = IndexModel(lambda eta: expit(eta), _logistic_slope, bounded=True)


@dataclass(frozen=True)
class Problem:
    """One estimating equation: a model, two versions of the data, and the labels' design.

    Attributes
    ----------
    model : IndexModel
    predicted : Sample
        All n rows, with predictions in place of gold values.
    gold : Sample
        The labelled rows only.
    labelled : ndarray of int of shape (n_labelled,)
        Their positions.
    probability : ndarray of shape (n_labelled,)
        Their sampling probabilities.
    share : float
        Weight of the predictions: 1 for design-based supervised learning, 0 for gold-only.
    """

    model: IndexModel
    predicted: Sample
    gold: Sample
    labelled: Codes
    probability: Array
    share: float = 1.0

    @property
    def n_rows(self) -> int:
        """Number of rows, labelled or not."""
        return len(self.predicted.outcome)

    def combine(self, predicted: Array, gold: Array) -> Array:
        """Return ``share * (1 - w) * predicted + w * gold`` row by row."""
        axes = (slice(None), *[None] * (predicted.ndim - 1))
        weight = (1.0 / self.probability)[axes]
        combined = self.share * predicted
        combined[self.labelled] = (1.0 - weight) * combined[self.labelled] + weight * gold
        return combined

    def moments(self, beta: Array) -> Array:
        r"""Return :math:`\tilde m_i`, shape (n, k)."""
        return self.combine(
            self.model.moment(self.predicted, beta), self.model.moment(self.gold, beta)
        )

    def errors(self, beta: Array) -> Array:
        r"""Return :math:`e_i = m_i - \hat m_i` of the labelled rows, whose draw is random."""
        rows = Sample(*(part[self.labelled] for part in self.predicted))
        return self.model.moment(self.gold, beta) - self.share * self.model.moment(rows, beta)

    def row_information(self, beta: Array) -> Array:
        """Return c with :math:`J_i = c_i X_i X_i'`; gold and predicted rows share their design."""
        return self.combine(
            self.model.curvature(self.predicted, beta), self.model.curvature(self.gold, beta)
        )

    def jacobian(self, beta: Array) -> Array:
        """Return J, shape (k, k)."""
        design = self.predicted.design
        return design.T @ (design * self.row_information(beta)[:, None]) / self.n_rows
