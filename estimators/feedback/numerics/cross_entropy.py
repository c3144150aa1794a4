r"""Cross-entropy over all pairs, by majorisation and minimisation.

.. math::

    F = \sum_{u,i} \log(1 + e^{s_{ui}}) - \sum_{clicks} w_{ui} s_{ui}
      + \tfrac{\lambda}{2}\,
        (\lVert P\rVert^2 + \lVert Q\rVert^2 + \lVert a\rVert^2 + \lVert b\rVert^2)

The curvature of the first sum is at most a quarter [1]_, which gives all users one matrix:

.. math:: p_u \leftarrow p_u - (\tfrac14 Q'Q + \lambda I)^{-1}
          \{Q'(\sigma(Qp_u) - w_u) + \lambda p_u\}

never increases F, needs no step size and costs O(UIk).

On clicks with :math:`w > 1` the loss falls without end as the score grows. F is still bounded if
:math:`\lambda \ge \sigma_{max}(E)`, :math:`E = \max(W - 1, 0)` on clicks: there
:math:`\log(1 + e^s) - ws \ge -(w - 1)s`, elsewhere the loss is not negative, and
:math:`\langle E, PQ'\rangle \le \sigma_{max}(E)\,\lVert PQ'\rVert_*`, while the penalty is at least
:math:`\lambda\lVert PQ'\rVert_*`. With a free intercept the unlabelled pairs must pay for it, each
:math:`t = \sum E / |\{Y = 0\}| \le 1`, and the matrix becomes :math:`E - t\,1\{Y = 0\}`.

References
----------
.. [1] Böhning, D. and Lindsay, B. G. (1988). Monotonicity of quadratic-approximation algorithms.
   *Annals of the Institute of Statistical Mathematics* 40, 641-663.
   https://doi.org/10.1007/BF00049423
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator

from .dense import Risk, dense_value, derivative_blocks
from .factors import Factors, Report, Solution, has_settled
from .labels import Labels
from .spectral import largest_singular_value
from .squared import weighted_gram

Array = NDArray[Any]

RISK = Risk("cross_entropy")


def majorise_minimise(
    labels: Labels,
    start: Factors,
    *,
    regularization: float,
    max_iter: int,
    tol: float,
    report: Report | None = None,
) -> Solution:
    r"""Minimise the cross-entropy over all pairs.

    Parameters
    ----------
    labels : Labels
        :math:`W`.
    start : Factors
        They are overwritten.
    regularization : float
        :math:`\lambda`.
    max_iter : int
        Most sweeps over users and items.
    tol : float
        Relative change of the objective at which to stop.
    report : callable, default=None
        Called after every sweep.
    """
    factors = start
    objective: list[float] = []
    for _ in range(max_iter):
        value = update_users(labels, factors, regularization)
        objective.append(value)
        if has_settled(objective, tol):
            return Solution(factors, objective, True)
        factors.center_users()
        _update_items(labels, factors, regularization)
        factors.center_items()
        if report is not None:
            report()
    objective.append(cross_entropy_objective(labels, factors, regularization))
    return Solution(factors, objective, has_settled(objective, tol))


def cross_entropy_objective(labels: Labels, factors: Factors, regularization: float) -> float:
    """Return the objective."""
    value = dense_value(labels, factors, RISK)
    return value + 0.5 * regularization * factors.squared_norm()


def update_users(labels: Labels, factors: Factors, regularization: float) -> float:
    """Improve users given items; return the objective before."""
    free = factors.user_free
    value = 0.5 * regularization * factors.squared_norm()
    inverse = _inverse(weighted_gram(factors.items[:, free]), regularization, labels)
    design = factors.items[:, free]
    lam = labels.dtype.type(regularization)
    for block in derivative_blocks(labels, factors, RISK):
        old = factors.users[block.rows, free]
        factors.users[block.rows, free] = old - (block.derivative @ design + lam * old) @ inverse
        value += block.value
    return value


def _update_items(labels: Labels, factors: Factors, regularization: float) -> None:
    free = factors.item_free
    design = factors.users[:, free]
    inverse = _inverse(weighted_gram(design), regularization, labels)
    gradient = np.zeros((labels.shape[1], design.shape[1]), dtype=labels.dtype)
    for block in derivative_blocks(labels, factors, RISK, with_value=False):
        gradient += block.derivative.T @ design[block.rows]
    old = factors.items[:, free]
    centred = old.copy()
    if factors.has_bias:
        centred[:, -1] -= labels.dtype.type(factors.intercept)
    gradient += labels.dtype.type(regularization) * centred
    factors.items[:, free] = old - gradient @ inverse


def bound_needed(
    labels: Labels,
    *,
    fit_bias: bool,
    rng: np.random.Generator,
    weights: Array | None = None,
    click_weight: float = 1.0,
) -> float:
    r"""Return the least penalty that surely bounds the objective from below; infinity if none does.

    Parameters
    ----------
    labels : Labels
    fit_bias : bool
        Whether there is an intercept.
    rng : Generator
        For the first vector of the iteration.
    weights : ndarray of shape (n_clicks,), default=None
        Other pseudo-labels of the clicks.
    click_weight : float, default=1.0
        What the loss of a click is multiplied by, and with it E.
    """
    excess = (labels.click_values() if weights is None else weights).astype(float) - 1.0
    excess = click_weight * np.maximum(excess, 0.0)
    if not excess.any():
        return 0.0
    E: Any = sparse.csr_array((excess, labels.indices, labels.indptr), shape=labels.shape)
    if not fit_bias:
        return largest_singular_value(E, rng)
    n_unlabelled = labels.shape[0] * labels.shape[1] - labels.n_clicks
    share = excess.sum() / n_unlabelled if n_unlabelled else np.inf
    if share > 1.0:
        return np.inf
    clicks = sparse.csr_array((np.ones(len(excess)), labels.indices, labels.indptr), labels.shape)
    both = E + share * clicks  # E - t (1 1' - Y)
    operator: Any = LinearOperator(
        labels.shape,
        matvec=lambda v: both @ v.ravel() - share * v.sum(),
        rmatvec=lambda v: both.T @ v.ravel() - share * v.sum(),
        dtype=float,
    )
    return largest_singular_value(operator, rng)


def _inverse(gram: Array, regularization: float, labels: Labels) -> Array:
    curvature = 0.25 * gram + regularization * np.eye(len(gram))
    # Without a penalty the matrix may be singular; the step is then taken where it is not.
    return np.asarray(linalg.pinvh(curvature)).astype(labels.dtype)
