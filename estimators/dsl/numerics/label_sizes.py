r"""Inclusion probabilities that make chosen coefficients precise.

The design variance of a coefficient under independent draws is
:math:`\sum_i \psi_i^2 (1/\pi_i - 1) / N^2`. Given a number of labels it is smallest for

.. math:: \pi_i = \min(\max(\kappa s_i / \sqrt{c_i}, l), 1), \qquad
    s_i^2 = \sum_c h_{ic}^2 v_i / V_c, \qquad V_c = \frac1N \sum_i h_{ic}^2 v_i,

with :math:`v_i` the expected squared error and :math:`c_i` the cost of a label. A mixture
:math:`\tau n/N + (1 - \tau) \pi_i` is never worse than :math:`1/\tau` times equal probabilities,
whatever was learned of v.

Arrays in, arrays out; nothing here knows about users.

References
----------
Neyman, J. (1934). On the two different aspects of the representative method. *Journal of the Royal
Statistical Society, 97*(4), 558-625. https://doi.org/10.2307/2342192
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from .allocation import fill

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

# Sizes of errors below this share of their mean are raised to it.
FLOOR = 0.1
# Lower limit of probabilities as a share of the equal one.
LEAST_SHARE = 0.1
N_TREES, LEAST_LEAF = 50, 10
# Rows at a time, so that copies stay small.
BLOCK = 100_000


class SizeModel:
    r"""The expected square of an error as a function of features.

    Parameters
    ----------
    kind : {"forest", "ridge"}
        Means of squares in the leaves of a random forest (at least 10 labels each), or a ridge
        regression of :math:`\log(r^2 + 0.05 \overline{r^2})`, scaled to the mean of the squares.
    seed : int
    """

    def __init__(self, kind: str, seed: int) -> None:
        self.kind = kind
        self.seed = seed
        self.model: RandomForestRegressor | Pipeline | None = None
        self.mean = 1.0
        self.scale = 1.0

    def fit(self, features: Array, squares: Array, weight: Array) -> SizeModel:
        """Learn from labelled rows, weighted by one over their probabilities."""
        self.mean = float(np.average(squares, weights=weight))
        self.model = None
        if self.mean <= 0.0 or not features.shape[1]:
            return self  # no error was seen, or nothing tells rows apart
        if self.kind == "forest":
            forest = RandomForestRegressor(
                N_TREES, min_samples_leaf=LEAST_LEAF, random_state=self.seed, n_jobs=1
            )
            self.model = forest.fit(features, squares, sample_weight=weight)
        else:
            ridge = make_pipeline(StandardScaler(), Ridge(1.0))
            logs = np.log(squares + 0.05 * self.mean)
            self.model = ridge.fit(features, logs, ridge__sample_weight=weight)
            fitted = np.exp(self.model.predict(features))
            self.scale = self.mean / float(np.average(fitted, weights=weight))
        return self

    def predict(self, features: Array) -> Array:
        """Return expected squares, shape (n,), at least a tenth of their mean."""
        if self.model is None:
            return np.full(len(features), self.mean if self.mean > 0.0 else 1.0)
        size = np.empty(len(features))
        for first in range(0, len(features), BLOCK):
            rows = slice(first, first + BLOCK)
            size[rows] = self.model.predict(features[rows])
        if self.kind == "ridge":
            size = self.scale * np.exp(np.minimum(size, np.log(self.mean) + 10.0))
        return np.maximum(size, FLOOR * self.mean)


def target_sizes(loading: Array | None, variances: Array) -> Array:
    r"""Return :math:`s_i` for several coefficients together.

    Parameters
    ----------
    loading : ndarray of shape (n, q), or None
        :math:`h_i`.
    variances : ndarray of shape (n,) or (n, q)
        :math:`v_i` where there is a loading, else expected squares of each :math:`\psi_j`.

    Examples
    --------
    >>> target_sizes(np.array([[1.0], [3.0]]), np.array([4.0, 4.0]))
    array([0.4472136 , 1.34164079])
    """
    squares = variances if loading is None else loading**2 * variances[:, None]
    squares = squares.reshape(len(squares), -1)
    means = squares.mean(axis=0)
    usable = means > 0.0
    return np.sqrt((squares[:, usable] / means[usable]).sum(axis=1))


def mixed_probabilities(
    size: Array, n: float, mix: float, cost: Array | None = None, least: float = LEAST_SHARE
) -> Array:
    r"""Return :math:`\tau n / N + (1 - \tau) \pi_i` with the best :math:`\pi_i`, summing to n.

    Examples
    --------
    >>> mixed_probabilities(np.array([1.0, 3.0]), 1.0, 0.2)
    array([0.3, 0.7])
    """
    n_rows = len(size)
    equal = n / n_rows
    if cost is not None:
        size = size / np.sqrt(cost)
    best = fill(size, np.array([n]), np.zeros(n_rows, dtype=np.intp), low=least * equal)
    return mix * equal + (1.0 - mix) * best


def further_probabilities(
    size: Array, before: Array, n: float, mix: float, cost: Array | None = None
) -> Array:
    r"""Return the probabilities of a further wave that bring the sum of waves near the best ones.

    With :math:`\pi_{<t}` the probability of being labelled before, the wave is to have
    :math:`\sum_i (1 - \pi_{<t,i}) p_{ti} = n`, whatever was drawn before, and
    :math:`\pi_i = 1 - (1 - \pi_{<t,i})(1 - p_{ti})` is to be proportional to the size where it can
    be, mixed with equal :math:`p_t`.

    Examples
    --------
    >>> further_probabilities(np.array([1.0, 3.0]), np.array([0.2, 0.2]), 0.4, 0.0)
    array([0. , 0.5])
    """
    if cost is not None:
        size = size / np.sqrt(cost)
    group = np.zeros(len(size), dtype=np.intp)
    room = 1.0 - before
    n = min(n, float(room.sum()))  # no more than there is
    total = np.array([before.sum() + n])
    best = fill(size, total, group, low=before)
    left = np.where(room > 0.0, room, 1.0)
    own = np.where(room > 0.0, (best - before) / left, 0.0)
    return np.clip((1.0 - mix) * own + mix * n / room.sum(), 0.0, 1.0)


def design_ratio(squares: Array, probability: Array) -> Array:
    r"""Return :math:`\sum \psi^2 (1/\pi - 1)` over the same with equal probabilities, shape (q,).

    Examples
    --------
    >>> design_ratio(np.array([[1.0], [9.0]]), np.array([0.25, 0.75])).round(3)
    array([0.6])
    """
    equal = probability.mean()
    denominator = squares.sum(axis=0) * (1.0 / equal - 1.0)
    above = (squares * (1.0 / probability - 1.0)[:, None]).sum(axis=0)
    return np.where(denominator > 0.0, above / np.where(denominator > 0.0, denominator, 1.0), 1.0)
