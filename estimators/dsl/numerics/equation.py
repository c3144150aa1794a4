r"""The estimating equation of design-based supervised learning.

With predictions :math:`\hat D_i`, gold data :math:`D_i` on labelled rows, weights
:math:`w_i = R_i / \pi_i` and analysis weights :math:`a_i`, the estimate solves

.. math:: \frac1N \sum_i \tilde m_i(\beta) = 0, \qquad
    \tilde m_i = a_i \{(1 - w_i)\, m(\hat D_i; \beta) + w_i\, m(D_i; \beta)\},

and row i has the influence value :math:`J^{-1} \tilde m_i(\hat\beta)` with
:math:`J = \frac1N \sum_i a_i [(1 - w_i) H(\hat D_i) + w_i H(D_i)]`,
:math:`H = -\partial m / \partial \beta'`. Because :math:`E[w_i | D_i, \hat D_i] = 1`, the
equation is unbiased for :math:`E\, a\, m(D; \beta) = 0` whatever the predictions. Limits: all rows
labelled, the textbook estimator with the HC0 (CR0) sandwich; no weight on the predictions, the
gold-only estimator that weights by :math:`1/\pi_i`.

Arrays in, arrays out; nothing here knows about users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .models import MomentModel, Sample

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Problem:
    """One estimating equation: a model, two versions of the data, and the labels' design.

    Attributes
    ----------
    model : MomentModel
    predicted : Sample
        All n rows, with predictions in place of gold values.
    gold : Sample
        The labelled rows only; none of them where nothing is predicted.
    labelled : ndarray of int of shape (n_labelled,)
        Their positions.
    probability : ndarray of shape (n_labelled,)
        Their sampling probabilities.
    sample_weight : ndarray of shape (n,), or None
        Analysis weights; all 1 if None.
    share : float
        Weight of the predictions: 1 for design-based supervised learning, 0 for gold-only.
    """

    model: MomentModel
    predicted: Sample
    gold: Sample
    labelled: Codes
    probability: Array
    sample_weight: Array | None = None
    share: float = 1.0

    @property
    def n_rows(self) -> int:
        """Number of rows, labelled or not."""
        return len(self.predicted.outcome)

    @cached_property
    def analysis_weight(self) -> Array:
        """Analysis weights of all rows, shape (n,)."""
        return np.ones(self.n_rows) if self.sample_weight is None else self.sample_weight

    @cached_property
    def predicted_at_gold(self) -> Sample:
        """The labelled rows as they are predicted."""
        return self.predicted.rows(self.labelled)

    @cached_property
    def gold_weight(self) -> Array:
        r""":math:`a_i w_i` of the labelled rows."""
        return self.analysis_weight[self.labelled] / self.probability

    def combine(self, predicted: Array, gold: Array) -> Array:
        """Return ``a * (share * (1 - w) * predicted + w * gold)`` row by row."""
        axes = (slice(None), *[None] * (predicted.ndim - 1))
        weight = (1.0 / self.probability)[axes]
        combined = self.share * predicted
        combined[self.labelled] = (1.0 - weight) * combined[self.labelled] + weight * gold
        if self.sample_weight is not None:
            combined *= self.sample_weight[axes]
        return combined

    def weighted_sum(self, term: Callable[[Sample, Array], Array]) -> Array:
        """Return the sum over rows of ``a * (share * (1 - w) * term(predicted) + w * term(gold))``.

        ``term`` takes a sample and weights of shape (n, 1) and returns its weighted sum. Only
        labelled rows are visited twice, which are few.
        """
        total = term(self.predicted, self.share * self.analysis_weight[:, None])
        if len(self.labelled):
            weight = self.gold_weight[:, None]
            total = total + term(self.gold, weight)
            total = total - term(self.predicted_at_gold, self.share * weight)
        return total

    def moments(self, beta: Array) -> Array:
        r"""Return :math:`\tilde m_i`, shape (n, p)."""
        return self.combine(
            self.model.moment(self.predicted, beta), self.model.moment(self.gold, beta)
        )

    def mean_moment(self, beta: Array) -> Array:
        """Return the mean of the moments, shape (p,), without those of every row."""
        total = self.weighted_sum(lambda part, w: self.model.total(part, beta, w[:, 0]))
        return total / self.n_rows

    def errors(self, beta: Array) -> Array:
        r"""Return :math:`e_i = a_i (m_i - \hat m_i)` of the labelled rows, whose draw is random."""
        gap = self.model.moment(self.gold, beta) - self.share * self.model.moment(
            self.predicted_at_gold, beta
        )
        return gap if self.sample_weight is None else gap * self.sample_weight[self.labelled, None]

    def jacobian(self, beta: Array) -> Array:
        """Return J, shape (p, p)."""
        total = self.weighted_sum(lambda part, w: self.model.information(part, beta, w[:, 0]))
        return total / self.n_rows

    def bound(self) -> Problem:
        """Return the problem with what its model first has to estimate."""
        return replace(self, model=self.model.bind(self))
