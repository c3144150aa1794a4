r"""Adam on all pairs or on samples of them, as the losses were first trained.

A sample has half its pairs from the clicks and half from the others, both drawn uniformly with
replacement, where classes are balanced [1]_, and is uniform over all pairs otherwise. The mean loss
of a balanced sample estimates that of all pairs with clicks weighted by :math:`(UI - n)/n`.
Penalties are those of sums over all pairs: what is minimised is the mean loss plus
:math:`\frac{\lambda}{2N}\lVert\cdot\rVert^2` (:math:`\frac{\lambda}{N}` for squared loss), N the
total weight of all pairs.

References
----------
.. [1] Saito, Y., Yaginuma, S., Nishino, Y., Sakata, H. and Nakata, K. (2020). Unbiased recommender
   learning from missing-not-at-random implicit feedback. *WSDM '20*, 501-509.
   https://doi.org/10.1145/3336191.3371783
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from .dense import Risk
from .factors import Factors, Report, Solution, has_settled
from .gradient import Gradient, objective_gradient
from .labels import Labels
from .losses import pair_losses

Array = NDArray[Any]

DECAY = 0.9, 0.999
EPSILON = 1e-8
# Steps whose mean loss is compared where single ones are of samples.
WINDOW = 25


def adam(
    labels: Labels,
    start: Factors,
    *,
    risk: Risk,
    regularization: float,
    balanced: bool,
    learning_rate: float,
    batch_size: int | None,
    max_iter: int,
    tol: float,
    rng: np.random.Generator,
    report: Report | None = None,
) -> Solution:
    r"""Minimise a loss by Adam.

    Parameters
    ----------
    labels, start, regularization, max_iter, tol, report
        As in `alternating_least_squares`; an iteration is one step. The start is overwritten.
    risk : Risk
        Loss and weights, as they are over all pairs.
    balanced : bool
        Whether a sample is half clicks.
    learning_rate : float
    batch_size : int, or None
        Pairs in a sample; None takes all pairs in every step.
    rng : Generator
        For the samples.
    """
    factors = start
    total = _total_weight(labels, risk)
    sampler = None if batch_size is None else PairSampler(labels, batch_size, balanced, rng)
    user_free, item_free, dtype = factors.user_free, factors.item_free, factors.users.dtype
    users = Moments(factors.users[:, user_free])
    items = Moments(factors.items[:, item_free])
    intercept = Moments(0.0)
    steps: list[float] = []
    objective: list[float] = []
    for step in range(1, max_iter + 1):
        if sampler is None:
            found = objective_gradient(labels, factors, risk, regularization)
        else:
            found = sampler.gradient(factors, risk, regularization, total)
        steps.append(found.value)
        rate = learning_rate * np.sqrt(1 - DECAY[1] ** step) / (1 - DECAY[0] ** step)
        factors.users[:, user_free] -= users.step(found.users / total, rate).astype(dtype)
        factors.items[:, item_free] -= items.step(found.items / total, rate).astype(dtype)
        if factors.has_bias:
            shift = float(intercept.step(found.intercept / total, rate))
            factors.intercept -= shift
            factors.items[:, -1] -= dtype.type(shift)
        if report is not None:
            report()
        objective.append(found.value if sampler is None else float(np.mean(steps[-WINDOW:])))
        if sampler is None and has_settled(objective, tol):
            return Solution(factors, objective, True)
        # A window that is no better than the one before is taken for the end.
        window_ends = sampler is not None and step >= 2 * WINDOW and step % WINDOW == 0
        if window_ends and has_settled([objective[-WINDOW - 1], objective[-1]], tol):
            return Solution(factors, objective, True)
    return Solution(factors, objective, False)


class PairSampler:
    """Samples of pairs and gradients from them.

    Parameters
    ----------
    labels : Labels
    size : int
        Pairs in a sample.
    balanced : bool
        Whether half of them are clicks.
    rng : Generator
    """

    def __init__(self, labels: Labels, size: int, balanced: bool, rng: np.random.Generator) -> None:
        self.labels, self.size, self.balanced, self.rng = labels, size, balanced, rng
        rows = np.repeat(np.arange(labels.shape[0], dtype=np.int64), np.diff(labels.indptr))
        self.keys = rows * labels.shape[1] + labels.indices
        self.values = labels.click_values()

    def draw(self) -> tuple[Array, Array, Array, Array]:
        """Return users, items, pseudo-labels and whether each pair is a click."""
        n_pairs = self.labels.shape[0] * self.labels.shape[1]
        if not self.balanced:
            keys = self.rng.integers(n_pairs, size=self.size)
            at, clicked = self._find(keys)
        else:
            at = self.rng.integers(len(self.keys), size=self.size // 2)
            others = self._unlabelled(self.size - len(at), n_pairs)
            clicked = np.arange(self.size) < len(at)
            keys = np.concatenate([self.keys[at], others])
            at = np.concatenate([at, np.zeros(len(others), dtype=at.dtype)])
        users, items = np.divmod(keys, self.labels.shape[1])
        return users, items, np.where(clicked, self.values[at], 0.0), clicked

    def gradient(
        self, factors: Factors, risk: Risk, regularization: float, total: float
    ) -> Gradient:
        """Return the objective and its gradient over all pairs, estimated from a sample."""
        users, items, w, clicked = self.draw()
        P, Q = factors.users[users], factors.items[items]
        scores = np.einsum("ij,ij->i", P, Q, dtype=float)
        weights = np.where(clicked, risk.click_weight, risk.unlabelled_weight)
        if self.balanced:  # the draw has the weights in it
            weights = np.ones(len(users))
        scale = total / weights.sum()
        losses, slopes = _losses(scores, w, risk.loss)
        value = scale * float(weights @ losses)
        slopes = scale * weights * slopes
        by_user = _scatter(users, slopes, Q[:, factors.user_free], len(factors.users))
        by_item = _scatter(items, slopes, P[:, factors.item_free], len(factors.items))
        intercept = float(slopes.sum()) if factors.has_bias else 0.0
        penalty = regularization * (2.0 if risk.loss == "squared" else 1.0)
        value += 0.5 * penalty * factors.squared_norm()
        by_user += penalty * factors.users[:, factors.user_free]
        free = factors.items[:, factors.item_free]
        if factors.has_bias:
            free[:, -1] = factors.item_biases  # an index by numbers made a copy
        return Gradient(value, by_user, by_item + penalty * free, intercept)

    def _find(self, keys: Array) -> tuple[Array, Array]:
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, self.keys[at] == keys

    def _unlabelled(self, n: int, n_pairs: int) -> Array:
        if n_pairs == len(self.keys):
            raise ValueError("Every pair is a click, so there are no other pairs to draw from.")
        drawn = np.empty(0, dtype=np.int64)
        while len(drawn) < n:
            keys = self.rng.integers(n_pairs, size=n)
            drawn = np.concatenate([drawn, keys[~self._find(keys)[1]]])
        return drawn[:n]


def _losses(scores: Array, w: Array, loss: Any) -> tuple[Array, Array]:
    """Return losses under pseudo-labels, and their derivatives."""
    if loss == "squared":  # up to the constant w - w^2, as in the sum over all pairs
        return (scores - w) ** 2, 2.0 * (scores - w)
    one, zero = pair_losses(scores, loss)
    q = expit(scores)
    if loss == "cross_entropy":
        return w * one + (1.0 - w) * zero, q - w
    return w * one + (1.0 - w) * zero, 2.0 * q * (1.0 - q) * (q - w)


def _scatter(rows: Array, slopes: Array, values: Array, n_rows: int) -> Array:
    sums: Any = sparse.coo_array((slopes, (rows, np.arange(len(rows)))), (n_rows, len(rows)))
    return np.asarray(sums.tocsr() @ values)


def _total_weight(labels: Labels, risk: Risk) -> float:
    n_unlabelled = labels.shape[0] * labels.shape[1] - labels.n_clicks
    return risk.click_weight * labels.n_clicks + risk.unlabelled_weight * n_unlabelled


class Moments:
    """Running means of a gradient and of its squares, which make steps of Adam.

    Parameters
    ----------
    like : ndarray or float
        Something of the shape of the gradient.
    """

    def __init__(self, like: Any) -> None:
        self.first: Any = np.zeros(np.shape(like))
        self.second: Any = np.zeros(np.shape(like))

    def step(self, gradient: Any, rate: float) -> Any:
        """Return by how much to lower the parameters."""
        self.first += (1.0 - DECAY[0]) * (gradient - self.first)
        self.second += (1.0 - DECAY[1]) * (gradient**2 - self.second)
        return rate * self.first / (np.sqrt(self.second) + EPSILON)
