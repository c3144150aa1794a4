r"""Squared loss over all pairs: alternating least squares in which rows share one Gram matrix.

.. math::

    F = \sum_{u,i} c_i (s_{ui} - w_{ui} / c_i)^2
      + \lambda\,(\lVert P\rVert^2 + \lVert Q\rVert^2 + \lVert a\rVert^2 + \lVert b\rVert^2)

with sparse W. All users have the matrix :math:`Q'CQ + \lambda I` in common, so that a sweep costs
:math:`O(nk + (U + I)k^2 + k^3)` for n clicks and no system is solved per row. Without item weights
(:math:`c = 1`) the items have one in common too; with them their matrices
:math:`c_i P'P + \lambda I` have common eigenvectors. The objective of a sweep is a by-product:

.. math:: \sum c_i s_{ui}^2 = \langle P'P,\, Q'CQ\rangle, \qquad
          \sum w_{ui} s_{ui} = \langle Q,\, W'P\rangle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from .factors import Factors, Report, Solution, has_settled
from .labels import Labels

Array = NDArray[Any]


def alternating_least_squares(
    labels: Labels,
    start: Factors,
    *,
    regularization: float,
    item_weights: Array | None = None,
    max_iter: int,
    tol: float,
    report: Report | None = None,
) -> Solution:
    r"""Minimise the squared loss over all pairs.

    Parameters
    ----------
    labels : Labels
        :math:`W`; with item weights, :math:`w_{ui}` is already multiplied by :math:`c_i`.
    start : Factors
        Only the items' matter. They are overwritten.
    regularization : float
        :math:`\lambda`.
    item_weights : ndarray of shape (n_items,), default=None
        :math:`c`, positive.
    max_iter : int
        Most sweeps.
    tol : float
        Relative change of the objective at which to stop.
    report : callable, default=None
        Called after every sweep.
    """
    factors = start
    constant = _constant(labels, item_weights)
    objective: list[float] = []
    for _ in range(max_iter):
        factors.users[:, factors.user_free] = solve_users(
            labels, factors, regularization, item_weights
        )
        factors.center_users()
        products = labels.transposed_times(factors.users)
        _solve_items(products, factors, regularization, item_weights)
        factors.center_items()
        objective.append(_objective(products, factors, regularization, item_weights, constant))
        if report is not None:
            report()
        if has_settled(objective, tol):
            return Solution(factors, objective, True)
    return Solution(factors, objective, False)


def solve_users(
    labels: Labels, factors: Factors, regularization: float, item_weights: Array | None = None
) -> Array:
    r"""Return the best free columns of users, :math:`(WD - 1o'CD)(D'CD + \lambda I)^{-1}`.

    D are the columns of items that they multiply, o those that have the fixed coefficient 1.
    """
    free = factors.user_free
    gram = weighted_gram(factors.items, item_weights)
    products = labels.times(factors.items)[:, free]
    if factors.has_bias:
        products = products - gram[-1, free].astype(products.dtype)
    inverse = _inverse(gram[free][:, free], regularization)
    return np.asarray(products @ inverse.astype(products.dtype))


def squared_objective(
    labels: Labels, factors: Factors, regularization: float, item_weights: Array | None = None
) -> float:
    """Return the objective at any factors."""
    products = labels.transposed_times(factors.users)
    constant = _constant(labels, item_weights)
    return _objective(products, factors, regularization, item_weights, constant)


def weighted_gram(rows: Array, weights: Array | None = None) -> Array:
    """Return the sum of the (weighted) outer products of rows, in double precision."""
    weighted = rows if weights is None else rows * weights[:, None].astype(rows.dtype)
    return np.asarray(weighted.T @ rows, dtype=float)


def _solve_items(
    products: Array, factors: Factors, regularization: float, item_weights: Array | None
) -> None:
    free, dtype = factors.item_free, products.dtype
    gram = weighted_gram(factors.users)
    right = products[:, free]
    if factors.has_bias:
        offset = gram[factors.rank, free].astype(dtype)
        right -= offset if item_weights is None else np.outer(item_weights.astype(dtype), offset)
        right[:, -1] += dtype.type(regularization * factors.intercept)
    gram = gram[free][:, free]
    if item_weights is None:
        factors.items[:, free] = right @ _inverse(gram, regularization).astype(dtype)
        return
    values, vectors = linalg.eigh(gram)
    curvature = np.outer(item_weights, np.maximum(values, 0.0)) + regularization
    scale = np.divide(1.0, curvature, out=np.zeros_like(curvature), where=curvature > 0.0)
    vectors = vectors.astype(dtype)
    factors.items[:, free] = (right @ vectors * scale.astype(dtype)) @ vectors.T


def _objective(
    products: Array,
    factors: Factors,
    regularization: float,
    item_weights: Array | None,
    constant: float,
) -> float:
    squares = np.vdot(weighted_gram(factors.users), weighted_gram(factors.items, item_weights))
    crossed = np.einsum("ij,ij->", factors.items, products, dtype=float)
    penalty = regularization * factors.squared_norm()
    return float(squares - 2.0 * crossed + constant + penalty)


def _constant(labels: Labels, item_weights: Array | None) -> float:
    if item_weights is None:
        return labels.sum_squares()
    assert labels.item_values is not None
    squares = labels.item_values.astype(float) ** 2 / item_weights
    return float(np.diff(labels.item_indptr) @ squares)


def _inverse(gram: Array, regularization: float) -> Array:
    shifted = gram + regularization * np.eye(len(gram))
    try:
        return np.asarray(linalg.cho_solve(linalg.cho_factor(shifted), np.eye(len(gram))))
    except linalg.LinAlgError:  # singular, which only happens without a penalty
        return np.asarray(linalg.pinvh(shifted))
