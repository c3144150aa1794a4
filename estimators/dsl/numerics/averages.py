r"""Averages of functions of the parameters over the rows, estimated after the parameters.

The equation of averages :math:`\tau` of a function h of data and parameters is stacked with the
moments of the model:

.. math:: \sum_i a_i \{\lambda (1 - w_i)\, [h - \tau](\hat D_i; \beta)
    + w_i\, [h - \tau](D_i; \beta)\} = 0.

Its derivative is block triangular, so that the parameters can be concentrated out:
:math:`\tau` alone has the moments

.. math:: a_i (\tilde h_i - \tilde 1_i \tau) + G J^{-1} \tilde m_i, \qquad
    G = \frac1N \sum_i a_i\, \partial \tilde h_i / \partial \beta'.

With power tuning each average has a weight :math:`\lambda` of its own, the one that minimises the
design variance given the parameters' part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .design import Draw
from .equation import Problem
from .variance import Parts

Array = NDArray[np.float64]


class Averages(NamedTuple):
    r"""What is averaged, at the root of the model.

    ``predicted`` and ``gold`` hold :math:`h(\hat D_i; \hat\beta)`, shape (n, q), and
    :math:`h(D_i; \hat\beta)` of the labelled rows; ``gradient`` is the mean of
    :math:`\partial \tilde h_i / \partial \beta'` at full weight of the predictions, shape
    (q, p), and ``gold_gradient`` that at no weight.
    """

    predicted: Array
    gold: Array
    gradient: Array
    gold_gradient: Array

    def weighted_gradient(self, share: Array) -> Array:
        """Return G for shares of shape (q,)."""
        return self.gold_gradient + share[:, None] * (self.gradient - self.gold_gradient)


def average_shares(problem: Problem, of_model: Parts, averages: Averages, draw: Draw) -> Array:
    r"""Return the optimal weight of the predictions in each average, clipped to [0, 1].

    .. math:: \lambda = \frac{C_D(h + G J^{-1} e, \hat h)}{C_D(\hat h, \hat h)}

    1 where gold and predicted values agree on all labelled rows, so that nothing is at stake.
    """
    weight = problem.analysis_weight[problem.labelled, None]
    gold, predicted = averages.gold * weight, averages.predicted[problem.labelled] * weight
    size = np.abs(gold).max(axis=0, initial=0.0)
    agrees = np.abs(gold - predicted).max(axis=0, initial=0.0) <= 1e-12 * size
    rest = of_model.errors @ _loading(of_model, averages.gradient)
    target = draw.contributions(draw.totals(gold + rest))
    machine = draw.contributions(draw.totals(predicted))
    square = (machine**2).sum(axis=0)
    usable = (square > 0.0) & ~agrees
    ratio = (target * machine).sum(axis=0) / np.where(usable, square, 1.0)
    return np.where(usable, np.clip(ratio, 0.0, 1.0), 1.0)


def average_solution(
    problem: Problem, of_model: Parts, averages: Averages, share: Array, draw: Draw
) -> tuple[Array, Parts]:
    """Return the averages, shape (q,), and what their variance is made of.

    Parameters
    ----------
    problem : Problem
        Of the model.
    of_model : Parts
        Of its root.
    averages : Averages
    share : ndarray of shape (q,)
        Weight of the predictions in each average.
    draw : Draw
    """
    loading = _loading(of_model, averages.weighted_gradient(share))
    combined = problem.combine(averages.predicted, averages.gold, share)
    ones = problem.combine(np.ones_like(averages.predicted), np.ones_like(averages.gold), share)
    total = ones.sum(axis=0)
    tau = combined.sum(axis=0) / total
    moments = combined - ones * tau + of_model.moments @ loading
    weight = problem.analysis_weight[problem.labelled, None]
    gap = averages.gold - tau - share * (averages.predicted[problem.labelled] - tau)
    correction = None if of_model.correction is None else of_model.correction @ loading
    parts = Parts(
        moments,
        np.diag(total / problem.n_rows),
        gap * weight + of_model.errors @ loading,
        problem.labelled,
        correction,
    )
    return tau, parts


def _loading(of_model: Parts, gradient: Array) -> Array:
    return np.linalg.inv(of_model.jacobian).T @ gradient.T
