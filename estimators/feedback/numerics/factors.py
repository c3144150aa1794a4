r"""Factors, biases and how they make scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]
Report = Callable[[], None]


@dataclass
class Factors:
    r"""Scores of low rank, in extended columns.

    With biases, :math:`s_{ui} = \mu + a_u + b_i + p_u'q_i` is one inner product,

    .. math:: s_{ui} = (p_u, a_u, 1)'(q_i, 1, \mu + b_i),

    so that every solver works on extended rows of which some columns are not free. Without biases
    there are only p and q.

    Attributes
    ----------
    users : ndarray of shape (n_users, k) or (n_users, k + 2)
    items : ndarray of shape (n_items, k) or (n_items, k + 2)
    intercept : float
        :math:`\mu`, zero without biases.
    has_bias : bool
    """

    users: Array
    items: Array
    intercept: float
    has_bias: bool

    @property
    def rank(self) -> int:
        """Number of factors k."""
        return int(self.users.shape[1]) - 2 * self.has_bias

    @property
    def user_factors(self) -> Array:
        """P, of shape (n_users, k)."""
        return self.users[:, : self.rank]

    @property
    def item_factors(self) -> Array:
        """Q, of shape (n_items, k)."""
        return self.items[:, : self.rank]

    @property
    def user_biases(self) -> Array:
        """Biases a of users, zero without biases."""
        return self.users[:, -2] if self.has_bias else np.zeros(len(self.users), self.users.dtype)

    @property
    def item_biases(self) -> Array:
        """Biases b of items, zero without biases."""
        if not self.has_bias:
            return np.zeros(len(self.items), self.items.dtype)
        return np.asarray(self.items[:, -1] - self.items.dtype.type(self.intercept))

    @property
    def user_free(self) -> slice:
        """Columns of users that are free, and of the items they multiply."""
        return slice(0, self.rank + self.has_bias)

    @property
    def item_free(self) -> Any:
        """Columns of items that are free, and of the users they multiply."""
        rank = self.rank
        return np.append(np.arange(rank), rank + 1) if self.has_bias else slice(0, rank)

    def copy(self) -> Factors:
        """Return factors that share nothing with these."""
        return Factors(self.users.copy(), self.items.copy(), self.intercept, self.has_bias)

    def squared_norm(self) -> float:
        """Return what is penalised: the sum of squares of factors and biases, not of the mean."""
        total = _sum_squares(self.user_factors) + _sum_squares(self.item_factors)
        if self.has_bias:
            total += _sum_squares(self.user_biases) + _sum_squares(self.item_biases)
        return total

    def center_users(self) -> None:
        """Move the mean of the users' biases into the intercept; no score changes."""
        if self.has_bias:
            shift = self.users[:, -2].mean(dtype=float)
            self.users[:, -2] -= shift
            self.items[:, -1] += shift
            self.intercept += float(shift)

    def center_items(self) -> None:
        """Make the intercept the mean of the items' own levels; no score changes."""
        if self.has_bias:
            self.intercept = float(self.items[:, -1].mean(dtype=float))


class Solution(NamedTuple):
    """Where a solver ended.

    Attributes
    ----------
    factors : Factors
    objective : list of float
        At the start and after every sweep.
    converged : bool
        Whether a sweep changed the objective by less than the tolerance.
    """

    factors: Factors
    objective: list[float]
    converged: bool


def start_factors(
    shape: tuple[int, int],
    rank: int,
    *,
    fit_bias: bool,
    intercept: float,
    dtype: DTypeLike,
    rng: np.random.Generator,
    scale: float | None = None,
) -> Factors:
    """Return random factors to start from; biases are zero.

    Factors are normal with standard deviation ``scale``, by default 0.1/sqrt(k), small enough that
    all scores start near the intercept.
    """
    scale = 0.1 / np.sqrt(rank) if scale is None else scale
    width = rank + 2 * fit_bias
    users, items = (_normal(rng, (n, width), rank, scale, np.dtype(dtype)) for n in shape)
    if fit_bias:
        users[:, -2], users[:, -1] = 0.0, 1.0
        items[:, -2], items[:, -1] = 1.0, intercept
    return Factors(users, items, float(intercept) if fit_bias else 0.0, fit_bias)


def has_settled(objective: list[float], tol: float) -> bool:
    """Whether the last sweep changed the objective by no more than ``tol`` of its size."""
    if len(objective) < 2:
        return False
    before, after = objective[-2:]
    return abs(before - after) <= tol * max(abs(before), abs(after), np.finfo(float).tiny)


def _normal(
    rng: np.random.Generator, shape: tuple[int, int], rank: int, scale: float, dtype: np.dtype[Any]
) -> Array:
    out = np.zeros(shape, dtype=dtype)
    kind: Any = np.float32 if dtype == np.float32 else np.float64
    out[:, :rank] = rng.standard_normal((shape[0], rank), dtype=kind)
    out[:, :rank] *= dtype.type(scale)
    return out


def _sum_squares(values: Array) -> float:
    letters = "ij"[: values.ndim]
    return float(np.einsum(f"{letters},{letters}->", values, values, dtype=float))
