"""Small factor models by stochastic gradients, to make up probabilities from real ratings."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ..streams import Rng

Array = NDArray[np.float64]
Codes = NDArray[np.integer]


def fit_factors(
    users: Codes,
    items: Codes,
    targets: Array,
    shape: tuple[int, int],
    *,
    link: Literal["identity", "logistic"],
    n_factors: int,
    n_iterations: int,
    batch_size: int,
    learning_rate: float,
    rng: Rng,
) -> Array:
    r"""Return :math:`PQ'` after some steps of Adam on the mean loss of random batches.

    Squared error of :math:`p_u'q_i`, or cross-entropy of its logistic function. The gradients in
    the score are 2(s - t) and :math:`\sigma(s) - t`. There is no penalty: few steps are the only
    restraint, as in the recipe that this serves.

    Parameters
    ----------
    users, items : ndarray of int of shape (n,)
        Pairs to draw batches from, with replacement.
    targets : ndarray of shape (n,)
    shape : tuple of int
        Users, items.
    link : {"identity", "logistic"}
    n_factors, n_iterations, batch_size : int
    learning_rate : float
    rng : Generator

    Returns
    -------
    ndarray of shape (n_users, n_items)
    """
    sides = [_start(n, n_factors, rng) for n in shape]
    first, second = ([np.zeros_like(side) for side in sides] for _ in range(2))
    for step in range(1, n_iterations + 1):
        batch = rng.integers(len(targets), size=batch_size)
        rows = users[batch], items[batch]
        picked = [side[row] for side, row in zip(sides, rows, strict=True)]
        scores = np.einsum("ij,ij->i", *picked)
        slope = expit(scores) if link == "logistic" else 2.0 * scores
        slope -= targets[batch] * (1.0 if link == "logistic" else 2.0)
        slope /= batch_size
        for side, row, other, m, v in zip(
            sides, rows, reversed(picked), first, second, strict=True
        ):
            gradient = np.zeros_like(side)
            np.add.at(gradient, row, slope[:, None] * other)
            _adam(side, gradient, m, v, step, learning_rate)
    return np.asarray(sides[0] @ sides[1].T)


def _start(n: int, n_factors: int, rng: Rng) -> Array:
    """Return factors that are uniform within the limits of Glorot and Bengio (2010)."""
    limit = np.sqrt(6.0 / (n + n_factors))
    return rng.uniform(-limit, limit, size=(n, n_factors))


def _adam(values: Array, gradient: Array, m: Array, v: Array, step: int, rate: float) -> None:
    """Move values by one step of Adam (Kingma and Ba 2015); its two moments move, too."""
    m += 0.1 * (gradient - m)
    v += 0.001 * (gradient**2 - v)
    values -= rate * (m / (1.0 - 0.9**step)) / (np.sqrt(v / (1.0 - 0.999**step)) + 1e-8)
