r"""Sums over all pairs of losses that need every score, block of users by block.

With weights c of clicks and :math:`c_0` of all other pairs,

.. math::

    F = \sum_{Y_{ui} = 1} c\,\{w_{ui}\delta_1(s_{ui}) + (1 - w_{ui})\delta_0(s_{ui})\}
      + \sum_{Y_{ui} = 0} c_0\,\delta_0(s_{ui}).

:math:`R = \partial F / \partial S` is never held beyond a block; what solvers need of it are
:math:`RQ` and :math:`R'P`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from .factors import Factors
from .kernels import in_threads, kernels_for
from .labels import Labels
from .ranking import blocks

Array = NDArray[Any]

# Multiplications that one logistic function is worth.
LOGISTIC_WORK = 8.0


class Risk(NamedTuple):
    """A loss over all pairs.

    Attributes
    ----------
    loss : {"cross_entropy", "squared_sigmoid"}
    click_weight, unlabelled_weight : float
    """

    loss: str
    click_weight: float = 1.0
    unlabelled_weight: float = 1.0


class Block(NamedTuple):
    """Some users: their rows, the derivative of the risk by their scores, their part of it."""

    rows: slice
    derivative: Array
    value: float


def derivative_blocks(
    labels: Labels, factors: Factors, risk: Risk, *, with_value: bool = True
) -> Iterator[Block]:
    """Yield blocks of users; factors of users may be changed when their block has been seen."""
    turn = _cross_entropy if risk.loss == "cross_entropy" else _squared_sigmoid
    kernels = kernels_for(LOGISTIC_WORK * labels.shape[0] * labels.shape[1])
    compiled = None if kernels is None else kernels.logistic
    for rows in blocks(*labels.shape, labels.dtype.itemsize):
        scores = factors.users[rows] @ factors.items.T
        cells, weights = _clicks(labels, rows)
        value = turn(scores, cells, weights, risk, with_value, compiled, labels.n_threads)
        yield Block(rows, scores, value)


def dense_value(labels: Labels, factors: Factors, risk: Risk) -> float:
    """Return the risk."""
    return sum(block.value for block in derivative_blocks(labels, factors, risk))


def dense_gradient(labels: Labels, factors: Factors, risk: Risk) -> tuple[float, Array, Array]:
    """Return the risk, RQ and R'P over extended columns."""
    by_user = np.empty_like(factors.users)
    by_item = np.zeros_like(factors.items)
    value = 0.0
    for block in derivative_blocks(labels, factors, risk):
        by_user[block.rows] = block.derivative @ factors.items
        by_item += block.derivative.T @ factors.users[block.rows]
        value += block.value
    return value, by_user, by_item


def logistic_in_place(scores: Array, compiled: Callable[..., None] | None, n_threads: int) -> float:
    """Turn scores s into 1/(1 + exp(-s)) and return the sum of log(1 + exp(s))."""
    if compiled is not None:
        sums = np.empty(len(scores))
        in_threads(compiled, (scores, sums), len(scores), n_threads)
        return float(sums.sum())
    total = softplus_sum(scores)
    expit(scores, out=scores)
    return total


def softplus_sum(scores: Array) -> float:
    """Return the sum of log(1 + exp(s))."""
    small = np.exp(-np.abs(scores))
    total = np.log1p(small, out=small).sum(dtype=float) + np.maximum(scores, 0.0).sum(dtype=float)
    return float(total)


def _clicks(labels: Labels, rows: slice) -> tuple[tuple[Array, Array], Array]:
    pointers = labels.indptr[rows.start : rows.stop + 1]
    inside = slice(pointers[0], pointers[-1])
    columns = labels.indices[inside]
    if labels.values is not None:
        weights = labels.values[inside]
    else:
        assert labels.item_values is not None
        weights = labels.item_values[columns]
    users = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
    return (users, columns), weights


def _cross_entropy(
    scores: Array,
    cells: tuple[Array, Array],
    weights: Array,
    risk: Risk,
    with_value: bool,
    compiled: Callable[..., None] | None,
    n_threads: int,
) -> float:
    # F = sum softplus(s) - sum of w s where all weights are one.
    heavy, light = risk.click_weight, risk.unlabelled_weight
    clicked = scores[cells].astype(float)
    value = 0.0
    if with_value or compiled is not None:
        value = light * logistic_in_place(scores, compiled, n_threads)
        value += float(np.sum((heavy - light) * np.logaddexp(0.0, clicked)))
        value -= float(np.sum(heavy * weights * clicked))
    else:
        expit(scores, out=scores)
    if light != 1.0:
        scores *= scores.dtype.type(light)
    scores[cells] = heavy * (expit(clicked) - weights)
    return value


def _squared_sigmoid(
    scores: Array,
    cells: tuple[Array, Array],
    weights: Array,
    risk: Risk,
    with_value: bool,
    compiled: Callable[..., None] | None,
    n_threads: int,
) -> float:
    # delta_0 = q^2 and delta_1 - delta_0 = 1 - 2q with q the logistic function of s.
    heavy, light = risk.click_weight, risk.unlabelled_weight
    if compiled is None:
        expit(scores, out=scores)
    else:
        logistic_in_place(scores, compiled, n_threads)
    clicked = scores[cells].astype(float)
    squares = clicked**2
    value = light * float(np.einsum("ij,ij->", scores, scores, dtype=float))
    value += float(np.sum((heavy - light) * squares + heavy * weights * (1.0 - 2.0 * clicked)))
    scores *= scores.dtype.type(2.0 * light) * scores * (1.0 - scores)
    slope = clicked * (1.0 - clicked)
    scores[cells] = 2.0 * heavy * slope * (clicked - weights)
    return value
