r"""Exact gradients of all losses, and minimisation by them.

The penalty is :math:`\lambda\lVert\cdot\rVert^2` for squared loss and
:math:`\tfrac{\lambda}{2}\lVert\cdot\rVert^2` for the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from .dense import Risk, dense_gradient
from .factors import Factors, Report, Solution
from .labels import Labels
from .squared import weighted_gram
from .weighted import BATCH

Array = NDArray[Any]


class Gradient(NamedTuple):
    r"""The objective and its derivatives by the free columns of users and items and the intercept.

    The items' last column is b, not :math:`\mu + b`.
    """

    value: float
    users: Array
    items: Array
    intercept: float


def objective_gradient(
    labels: Labels, factors: Factors, risk: Risk, regularization: float
) -> Gradient:
    """Return the penalised objective and its gradient."""
    if risk.loss == "squared":
        value, by_user, by_item = _squared(labels, factors, risk.click_weight)
        penalty = 2.0 * regularization
    else:
        value, by_user, by_item = dense_gradient(labels, factors, risk)
        penalty = regularization
    value += 0.5 * penalty * factors.squared_norm()
    users = by_user[:, factors.user_free]
    items = by_item[:, factors.item_free]
    intercept = float(items[:, -1].sum(dtype=float)) if factors.has_bias else 0.0
    users = users + penalty * factors.users[:, factors.user_free]
    free = factors.items[:, factors.item_free]
    if factors.has_bias:
        free = np.column_stack([free[:, :-1], factors.item_biases])
    return Gradient(value, users, items + penalty * free, intercept)


def quasi_newton(
    labels: Labels,
    start: Factors,
    *,
    risk: Risk,
    regularization: float,
    max_iter: int,
    tol: float,
    report: Report | None = None,
    fixed_items: bool = False,
) -> Solution:
    r"""Minimise by L-BFGS with exact gradients.

    Parameters
    ----------
    labels, start, regularization, max_iter, tol, report
        As in `alternating_least_squares`; the start is left as it is.
    risk : Risk
        Loss and weights.
    fixed_items : bool, default=False
        Whether only users are free.
    """
    factors = start.copy()
    objective: list[float] = []

    def evaluate(point: Array) -> tuple[float, Array]:
        _unpack(point, factors, fixed_items)
        with np.errstate(over="ignore", invalid="ignore"):  # where a loss is unbounded
            found = objective_gradient(labels, factors, risk, regularization)
        return found.value, _join(found.users, found.items, found.intercept, start, fixed_items)

    def after(intermediate_result: Any) -> None:
        objective.append(float(intermediate_result.fun))
        if report is not None:
            report()

    users, items = factors.users[:, factors.user_free], factors.items[:, factors.item_free]
    if factors.has_bias:
        items = np.column_stack([items[:, :-1], factors.item_biases])
    first = _join(users, items, factors.intercept, start, fixed_items)
    options = {"maxiter": max_iter, "maxfun": 4 * max_iter, "ftol": tol, "gtol": 0.0, "maxcor": 20}
    solver: Any = minimize  # whose types know no callback with this argument
    found = solver(evaluate, first, jac=True, method="L-BFGS-B", callback=after, options=options)
    _unpack(found.x, factors, fixed_items)
    return Solution(factors, objective or [float(found.fun)], bool(found.success))


def _squared(labels: Labels, factors: Factors, click_weight: float) -> tuple[float, Array, Array]:
    gram_users, gram_items = weighted_gram(factors.users), weighted_gram(factors.items)
    products = labels.times(factors.items)
    crossed = np.einsum("ij,ij->", factors.users, products, dtype=float)
    value = float(np.vdot(gram_users, gram_items) - 2.0 * crossed + labels.sum_squares())
    by_user = 2.0 * (factors.users @ gram_items - products)
    by_item = 2.0 * (factors.items @ gram_users - labels.transposed_times(factors.users))
    if click_weight != 1.0:
        residual = click_scores(labels, factors) - labels.click_values()
        value += (click_weight - 1.0) * float(np.vdot(residual, residual))
        slopes = 2.0 * (click_weight - 1.0) * residual
        extra: Any = sparse.csr_array((slopes, labels.indices, labels.indptr), shape=labels.shape)
        by_user += extra @ factors.items
        by_item += extra.T @ factors.users
    return value, by_user, by_item


def click_scores(labels: Labels, factors: Factors) -> Array:
    """Return the scores of all clicks, in the order of rows."""
    users = np.repeat(np.arange(labels.shape[0]), np.diff(labels.indptr))
    scores = np.empty(labels.n_clicks, dtype=labels.dtype)
    step = max(1, BATCH // factors.users.shape[1])
    for first in range(0, labels.n_clicks, step):
        part = slice(first, first + step)
        P, Q = factors.users[users[part]], factors.items[labels.indices[part]]
        scores[part] = np.einsum("ij,ij->i", P, Q)
    return scores


def _join(
    users: Array, items: Array, intercept: float, factors: Factors, fixed_items: bool
) -> Array:
    if fixed_items:
        return users.ravel().astype(float)
    last = [intercept] if factors.has_bias else []
    return np.concatenate([users.ravel(), items.ravel(), last]).astype(float)


def _unpack(point: Array, factors: Factors, fixed_items: bool) -> None:
    width = factors.rank + factors.has_bias
    n_users = len(factors.users)
    split = n_users * width
    factors.users[:, factors.user_free] = point[:split].reshape(n_users, width)
    if fixed_items:
        return
    items = point[split : split + len(factors.items) * width].reshape(-1, width)
    factors.items[:, factors.item_free] = items
    if factors.has_bias:
        factors.intercept = float(point[-1])
        factors.items[:, -1] += factors.items.dtype.type(factors.intercept)
