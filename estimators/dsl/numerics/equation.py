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

Power tuning puts a matrix :math:`\Gamma` before what is predicted,

.. math:: \tilde m_i = a_i \{\Gamma (1 - w_i)\, m(\hat D_i; \beta) + w_i\, m(D_i; \beta)\},

which leaves the equation unbiased: 1 is the estimator above, 0 the gold-only one.

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
    r"""One estimating equation: a model, two versions of the data, and the labels' design.

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
    share : float, or ndarray of shape (p, p)
        :math:`\Gamma`, the weight of the predictions: 1 for design-based supervised learning, 0 for
        gold-only.
    dummy_leverage : ndarray of shape (n_labelled,), or None
        Leverage of the labelled rows on absorbed effects, where regressors or instruments are
        predicted; see `gap_weight`.
    """

    model: MomentModel
    predicted: Sample
    gold: Sample
    labelled: Codes
    probability: Array
    sample_weight: Array | None = None
    share: float | Array = 1.0
    dummy_leverage: Array | None = None

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

    def combine(self, predicted: Array, gold: Array, share: float | Array | None = None) -> Array:
        """Return ``a * (share * (1 - w) * predicted + w * gold)`` row by row.

        A share of shape (q,) holds one for each column.
        """
        if share is None:
            assert isinstance(self.share, float)
            share = self.share
        return self._combine_in_place(share * np.asarray(predicted, dtype=float), gold)

    def _combine_in_place(self, predicted: Array, gold: Array) -> Array:
        axes = (slice(None), *[None] * (predicted.ndim - 1))
        weight = (1.0 / self.probability)[axes]
        predicted[self.labelled] = (1.0 - weight) * predicted[self.labelled] + weight * gold
        if self.sample_weight is not None:
            predicted *= self.sample_weight[axes]
        return predicted

    def weighted_sum(self, term: Callable[[Sample, Array], Array]) -> Array:
        """Return the sum over rows of ``a * (share * (1 - w) * term(predicted) + w * term(gold))``.

        ``term`` takes a sample and weights of shape (n, 1) and returns its weighted sum, of shape
        (p,) or (p, p) where the share is a matrix. Only labelled rows are visited twice, which are
        few.
        """
        weight = self.gold_weight[:, None]
        total = np.zeros(())
        if np.any(self.share):  # a share of zero spares the rows that are not labelled
            total = term(self.predicted, self.analysis_weight[:, None])
            if len(self.labelled):
                total = total - term(self.predicted_at_gold, weight)
            total = self.share @ total if isinstance(self.share, np.ndarray) else self.share * total
        if len(self.labelled):
            total = total + term(self.gold, weight)
        if self.dummy_leverage is not None:
            total = total + term(self.gap, self.gap_weight[:, None])
        return total

    def shared(self, rows: Array) -> Array:
        r"""Return :math:`\Gamma x_i` of the rows :math:`x_i` of an array of shape (n, p)."""
        if isinstance(self.share, np.ndarray):
            return rows @ self.share.T
        return rows if self.share == 1.0 else self.share * rows

    @cached_property
    def gap(self) -> Sample:
        """Gold minus predicted values of the labelled rows."""
        known, guessed = self.gold, self.predicted_at_gold
        instruments = None
        if known.instruments is not None and guessed.instruments is not None:
            instruments = known.instruments - guessed.instruments
        return Sample(known.design - guessed.design, known.outcome - guessed.outcome, instruments)

    @cached_property
    def gap_weight(self) -> Array:
        r"""Weights :math:`c_i = a_i P_{ii} (w_i^2 - w_i)` of the products of gaps.

        After effects are absorbed the equation holds products of corrected data,
        :math:`\tilde x_i = \hat x_i + w_i \Delta x_i`, with their projection
        :math:`P\tilde x`. Row i enters both, and its own labelling noise has the expected square
        :math:`E(w_i - 1)^2 = E(w_i^2 - w_i)`. Without :math:`c_i\, m(\Delta D_i; \beta)` added
        to its moment, predicted regressors would be biased by as much as their errors times the
        leverage :math:`P_{ii}` of the effects, which does not vanish when groups stay small.
        """
        assert self.dummy_leverage is not None
        weight = 1.0 / self.probability
        analysis = self.analysis_weight[self.labelled]
        return analysis * self.dummy_leverage * (weight**2 - weight)

    def moments(self, beta: Array) -> Array:
        r"""Return :math:`\tilde m_i`, shape (n, p)."""
        predicted, gold = (self.model.moment(part, beta) for part in (self.predicted, self.gold))
        combined = self.shared(predicted)
        if combined is predicted and not self.model.owns_moments:
            combined = predicted.copy()
        combined = self._combine_in_place(combined, gold)
        if self.dummy_leverage is not None:
            own = self.model.moment(self.gap, beta) * self.gap_weight[:, None]
            combined[self.labelled] += own
        return combined

    def mean_moment(self, beta: Array) -> Array:
        """Return the mean of the moments, shape (p,), without those of every row."""
        total = self.weighted_sum(lambda part, w: self.model.total(part, beta, w[:, 0]))
        return total / self.n_rows

    def errors(self, beta: Array) -> Array:
        r"""Return :math:`e_i = a_i (m_i - \Gamma \hat m_i)` of the labelled rows."""
        gap = self.model.moment(self.gold, beta) - self.shared(
            self.model.moment(self.predicted_at_gold, beta)
        )
        if self.dummy_leverage is not None:
            share = self.dummy_leverage * (1.0 / self.probability - 1.0)
            gap = gap + share[:, None] * self.model.moment(self.gap, beta)
        return gap if self.sample_weight is None else gap * self.sample_weight[self.labelled, None]

    def jacobian(self, beta: Array) -> Array:
        """Return J, shape (p, p)."""
        total = self.weighted_sum(lambda part, w: self.model.information(part, beta, w[:, 0]))
        return total / self.n_rows

    def bound(self) -> Problem:
        """Return the problem with what its model first has to estimate."""
        return replace(self, model=self.model.bind(self))
