r"""Weighted squared loss: one small system per row.

.. math::

    F = c\sum_{(u,i): Y_{ui} = 1} (s_{ui} - t_{ui})^2 + c_0\sum_{(u,i): Y_{ui} = 0} s_{ui}^2
      + \lambda\,(\lVert P\rVert^2 + \lVert Q\rVert^2 + \lVert a\rVert^2 + \lVert b\rVert^2)

The matrix of a user is :math:`c_0 D'D + (c - c_0)\sum_{i: Y_{ui}=1} d_i d_i' + \lambda I`: what all
share, plus the user's clicks [1]_. Rows with about as many clicks are solved together.

References
----------
.. [1] Hu, Y., Koren, Y. and Volinsky, C. (2008). Collaborative filtering for implicit feedback
   datasets. *ICDM 2008*, 263-272. https://doi.org/10.1109/ICDM.2008.22
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .factors import Factors, Report, Solution, has_settled
from .labels import Labels
from .squared import weighted_gram

Array = NDArray[Any]
Side = tuple[Array, Array, Array]

# Numbers that are gathered at a time.
BATCH = 2**22


def weighted_least_squares(
    labels: Labels,
    start: Factors,
    *,
    click_weight: float,
    unlabelled_weight: float = 1.0,
    regularization: float,
    max_iter: int,
    tol: float,
    report: Report | None = None,
) -> Solution:
    r"""Minimise the weighted squared loss by alternating exact solutions.

    Parameters
    ----------
    labels : Labels
        Targets t at the clicks.
    start : Factors
        Only the items' matter. They are overwritten.
    click_weight, unlabelled_weight : float
        c and :math:`c_0`.
    regularization : float
        :math:`\lambda`, positive.
    max_iter, tol, report
        As in `alternating_least_squares`.
    """
    factors = start
    weights = click_weight, unlabelled_weight
    by_user, by_item = _sides(labels)
    objective: list[float] = []
    for _ in range(max_iter):
        update_users(by_user, factors, weights, regularization)
        factors.center_users()
        on_clicks = _update_items(by_item, factors, weights, regularization)
        factors.center_items()
        shared = np.vdot(weighted_gram(factors.users), weighted_gram(factors.items))
        penalty = regularization * factors.squared_norm()
        objective.append(float(unlabelled_weight * shared + on_clicks + penalty))
        if report is not None:
            report()
        if has_settled(objective, tol):
            return Solution(factors, objective, True)
    return Solution(factors, objective, False)


def fold_in_weighted(
    labels: Labels, factors: Factors, weights: tuple[float, float], regularization: float
) -> None:
    """Set users to their optimum given items."""
    update_users(_sides(labels)[0], factors, weights, regularization)


def update_users(
    side: Side, factors: Factors, weights: tuple[float, float], regularization: float
) -> None:
    """Set users to their optimum given items, which multiply the fixed column of ones too."""
    offset = factors.items[:, -1] if factors.has_bias else None
    design = factors.items[:, factors.user_free]
    factors.users[:, factors.user_free], _ = _solve_rows(
        side, design, offset, weights, regularization, 0.0
    )


def _update_items(
    side: Side, factors: Factors, weights: tuple[float, float], regularization: float
) -> float:
    offset = factors.user_biases if factors.has_bias else None
    design = factors.users[:, factors.item_free]
    level = factors.intercept
    solved, loss = _solve_rows(side, design, offset, weights, regularization, level)
    factors.items[:, factors.item_free] = solved
    return loss


def _sides(labels: Labels) -> tuple[Side, Side]:
    if labels.values is not None:
        assert labels.values_by_item is not None
        targets = labels.values, labels.values_by_item
    else:
        assert labels.item_values is not None
        lengths = np.diff(labels.item_indptr)
        targets = labels.click_values(), np.repeat(labels.item_values, lengths)
    return (
        (labels.indptr, labels.indices, targets[0]),
        (labels.item_indptr, labels.item_indices, targets[1]),
    )


def _solve_rows(
    side: Side,
    design: Array,
    offset: Array | None,
    weights: tuple[float, float],
    regularization: float,
    level: float,
) -> tuple[Array, float]:
    r"""Solve all rows; return them and what clicks add to the objective.

    The last coefficient is penalised around ``level``, all others around zero. What clicks add is
    :math:`\sum (c - c_0) s^2 - 2 c t s + c t^2`.
    """
    indptr, indices, targets = side
    heavy, light = weights
    width = design.shape[1]
    shared = light * weighted_gram(design) + regularization * np.eye(width)
    constant = np.zeros(width)
    constant[-1] = regularization * level
    if offset is not None:
        constant -= light * (design.T @ offset)
    out = np.empty((len(indptr) - 1, width), dtype=design.dtype)
    loss = 0.0
    lengths = np.diff(indptr)
    for rows in _batches(lengths, width):
        at = indptr[rows][:, None] + np.arange(lengths[rows[-1]])
        inside = np.arange(lengths[rows[-1]]) < lengths[rows][:, None]
        at = np.where(inside, at, 0)
        columns, t = indices[at], np.where(inside, targets[at], 0.0)
        D = design[columns] * inside[:, :, None].astype(design.dtype)
        o = 0.0 if offset is None else np.where(inside, offset[columns], 0.0)
        left = shared + (heavy - light) * (D.transpose(0, 2, 1) @ D)
        right = constant + ((heavy * t - (heavy - light) * o)[:, None, :] @ D)[:, 0]
        solved = np.linalg.solve(left, right[:, :, None])[:, :, 0]
        s = (D @ solved[:, :, None])[:, :, 0] + o
        loss += float(np.sum((heavy - light) * s**2 - 2.0 * heavy * t * s + heavy * t**2))
        out[rows] = solved
    return out, loss


def _batches(lengths: Array, width: int) -> list[Array]:
    """Return rows in groups of about one length, rising, so that little is padded."""
    order = np.argsort(lengths, kind="stable")
    groups, first = [], 0
    while first < len(order):
        # A group may hold twice as many clicks per row at its end as at its start.
        limit = max(2 * lengths[order[first]], 16)
        most = max(1, BATCH // (width * int(max(limit, width))))
        last = first + int(np.searchsorted(lengths[order[first : first + most]], limit, "right"))
        groups.append(order[first : max(last, first + 1)])
        first = max(last, first + 1)
    return groups
