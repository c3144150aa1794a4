r"""How standard errors shrink with labels.

With :math:`\psi_i = J^{-1} e_i` the errors of the labels in terms of a coefficient, and A the part
of the variance that labelling every row would leave (zero for a finite population),

.. math:: se^2(n) = A + D(n), \qquad D(n) = B \Big(\frac1n - \frac1N\Big)

for equal probabilities, with B the variance of :math:`\psi`; for unequal ones and independent
strata

.. math:: D(n) = \frac{1}{N^2} \sum_i \psi_i^2 \Big(\frac{1}{\pi_i(n)} - 1\Big), \qquad
    D(n) = \sum_h \frac{N_h^2}{N^2} \Big(\frac1{n_h} - \frac1{N_h}\Big) S_h^2.

Arrays in, arrays out; nothing here knows about users.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from .allocation import fill
from .label_sizes import mixed_probabilities

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

# No budget has fewer labels.
FEWEST = 10.0


class DesignCurve(ABC):
    """The design variance of coefficients as a function of the number of labels."""

    @abstractmethod
    def variance(self, n: float) -> Array:
        """Return D(n), shape (q,)."""

    def cost(self, n: float) -> float:
        """Return the expected cost of n labels that cost 1 on average over all rows."""
        return n


@dataclass(frozen=True)
class EqualCurve(DesignCurve):
    r"""Equal probabilities: :math:`B (1/n - 1/N)`.

    Examples
    --------
    >>> EqualCurve(np.array([4.0]), 1000).variance(500.0)
    array([0.004])
    """

    spread: Array
    n_rows: int

    def variance(self, n: float) -> Array:
        """Return D(n)."""
        return self.spread * (1.0 / n - 1.0 / self.n_rows)


@dataclass(frozen=True)
class HeldOutSizes:
    """Sizes of the labelled rows, each learned without its own fold, beside rows of the frame.

    Attributes
    ----------
    parts : tuple of (positions, sizes, costs)
        For each fold the positions of its labelled rows, the sizes of some rows of the frame with
        those of the labelled rows last, and their costs or None.
    n_some : int
        Rows of the frame in each part.
    n_rows : int
    """

    parts: tuple[tuple[Codes, Array, Array | None], ...]
    n_some: int
    n_rows: int

    def probabilities(self, n: float, mix: float) -> Array:
        """Return what each labelled row's probability would be with n labels."""
        chance = np.empty(sum(len(outside) for outside, _, _ in self.parts))
        for outside, size, cost in self.parts:
            expected = n * len(size) / self.n_rows
            chance[outside] = mixed_probabilities(size, expected, mix, cost)[self.n_some :]
        return chance


@dataclass(frozen=True)
class UnequalCurve(DesignCurve):
    r"""Optimal probabilities, evaluated out of fold on the labels of a pilot.

    Attributes
    ----------
    squares : ndarray of shape (n_labelled, q)
        :math:`w_i \psi_i^2`, scaled so that equal probabilities have the variance of `EqualCurve`.
    sizes : HeldOutSizes
    mix : float
    costs : ndarray of shape (n_labelled,), or None
        Of the labelled rows, relative to the mean of all rows.
    weight : ndarray of shape (n_labelled,)
    """

    squares: Array
    sizes: HeldOutSizes
    mix: float
    costs: Array | None
    weight: Array

    def variance(self, n: float) -> Array:
        """Return D(n)."""
        chance = self.sizes.probabilities(n, self.mix)
        total: Array = (1.0 / chance - 1.0) @ self.squares
        return total / self.sizes.n_rows**2

    def cost(self, n: float) -> float:
        """Return the expected cost: rows with cheap labels are drawn more often."""
        if self.costs is None:
            return n
        share = self.weight * self.sizes.probabilities(n, self.mix)
        return float(n * (share @ self.costs) / share.sum())


@dataclass(frozen=True)
class StratifiedCurve(DesignCurve):
    """Simple random samples in strata, in proportion to rows or after Neyman.

    Attributes
    ----------
    rows : ndarray of shape (H,)
    spread : ndarray of shape (H, q)
        Variances within strata.
    shares : ndarray of shape (H,)
        What labels are divided in proportion to.
    """

    rows: Array
    spread: Array
    shares: Array

    def variance(self, n: float) -> Array:
        """Return D(n)."""
        least = np.minimum(self.rows, 2.0)
        one_group = np.zeros(len(self.rows), dtype=np.intp)
        total = np.array([max(n, least.sum())])
        sizes = fill(self.shares, total, one_group, low=least, high=self.rows)
        factor = self.rows**2 / self.rows.sum() ** 2 * (1.0 / sizes - 1.0 / self.rows)
        found: Array = factor @ self.spread
        return found


def labels_for(curve: DesignCurve, column: int, limit: float, wanted: float, n_rows: int) -> float:
    r"""Return the number of labels that gives a standard error, or NaN if no number does.

    Examples
    --------
    >>> curve = EqualCurve(np.array([4.0]), 1000)
    >>> labels_for(curve, 0, 0.001, 0.005**0.5, 1000)
    500.0
    >>> labels_for(curve, 0, 0.001, 0.0009**0.5, 1000)
    nan
    """
    room = wanted**2 - limit
    if room < 0.0:
        return float("nan")
    if isinstance(curve, EqualCurve):
        spread = float(curve.spread[column])
        return (
            min(max(1.0 / (room / spread + 1.0 / n_rows), FEWEST), n_rows) if spread > 0 else FEWEST
        )

    def gap(log_n: float) -> float:
        return float(curve.variance(np.exp(log_n))[column]) - room

    low, high = np.log(FEWEST), np.log(n_rows)
    if gap(low) <= 0.0:
        return FEWEST
    if gap(high) >= 0.0:
        return float(n_rows)
    return float(np.exp(brentq(gap, low, high, xtol=1e-6)))


def error_for_power(effect: float, power: float, level: float) -> float:
    r"""Return the standard error with which a two-sided test has some power.

    .. math:: \Phi(|\beta| / se - z) + \Phi(-|\beta| / se - z) = \text{power}

    Examples
    --------
    >>> round(error_for_power(0.28, 0.8, 0.95), 3)  # 2.8 standard errors
    0.1
    """
    z = norm.ppf(0.5 + level / 2.0)

    def gap(ratio: float) -> float:
        return float(norm.cdf(ratio - z) + norm.cdf(-ratio - z) - power)

    return abs(effect) / float(brentq(gap, 0.0, z + 10.0))


def kurtosis_ratio(psi: Array, weight: Array) -> Array:
    r"""Return :math:`E \psi^4 / (E \psi^2)^2` of each column, centred.

    Examples
    --------
    >>> kurtosis_ratio(np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.ones(4))
    array([1.])
    """
    share = weight / weight.sum()
    centred = psi - share @ psi
    square = share @ centred**2
    fourth: Array = share @ centred**4
    return fourth / np.where(square > 0.0, square, 1.0) ** 2
