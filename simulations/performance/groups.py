"""Means, variances, medians and densities of many groups at once, on flat arrays.

A study has thousands of groups (cell x method x term) of hundreds of numbers. Nothing here loops
over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Groups:
    """The group of each number.

    Attributes
    ----------
    codes : ndarray of shape (m,)
        Number of the group, from 0.
    n_groups : int
        Number of groups; some may be empty.
    """

    codes: Codes
    n_groups: int

    @cached_property
    def sizes(self) -> Array:
        """Count the numbers of each group."""
        return np.bincount(self.codes, minlength=self.n_groups).astype(np.float64)

    def select(self, mask: Mask) -> Groups:
        """Return the groups of the numbers where the mask holds."""
        if mask.all():
            return self  # with its sizes
        return Groups(self.codes[mask], self.n_groups)

    def spread(self, per_group: Array) -> Array:
        """Give every number the value of its group."""
        return per_group[self.codes]

    def sum(self, x: NDArray[np.generic]) -> Array:
        """Return the sum of each group."""
        sums = np.bincount(self.codes, weights=x, minlength=self.n_groups)
        return sums.astype(np.float64, copy=False)  # integers where there is nothing to sum

    def mean(self, x: NDArray[np.generic]) -> Array:
        """Return the mean of each group, NaN where it is empty."""
        with np.errstate(invalid="ignore"):
            return self.sum(x) / self.sizes

    def centre(self, x: Array) -> Array:
        """Subtract the mean of its group from every number."""
        with np.errstate(invalid="ignore"):  # infinite intervals have an infinite mean
            return x - self.spread(self.mean(x))

    def variance(self, x: Array) -> Array:
        """Return the unbiased variance of each group, NaN below two numbers."""
        squares = self.sum(self.centre(x) ** 2)
        return np.where(self.sizes > 1, squares / np.maximum(self.sizes - 1, 1), np.nan)

    def std_error(self, influence: Array) -> Array:
        """Return the standard error of a statistic from the influence of every number on it."""
        return np.sqrt(self.variance(influence) / np.maximum(self.sizes, 1))

    def sorted(self, x: Array) -> Ordered:
        """Sort the numbers within their groups."""
        # Complex numbers sort by their real part, then by their imaginary part.
        pairs = np.empty(len(x), dtype=np.complex128)
        pairs.real, pairs.imag = self.codes, x
        pairs.sort()
        return Ordered(pairs.imag, self.sizes)


@dataclass(frozen=True)
class Ordered:
    """Numbers sorted within groups that lie one after the other.

    Attributes
    ----------
    values : ndarray of shape (m,)
        The numbers.
    sizes : ndarray of shape (n_groups,)
        How many each group has.
    """

    values: Array
    sizes: Array

    def at(self, place: Array) -> Array:
        """Interpolate the order statistic at a place from 0 to size - 1 of each group."""
        result = np.full(len(self.sizes), np.nan)
        filled = self.sizes > 0
        if not filled.any():
            return result
        start = (np.cumsum(self.sizes) - self.sizes)[filled]
        last = self.sizes[filled] - 1
        place = np.clip(place[filled], 0, last)
        low = np.floor(place)
        high = np.minimum(low + 1, last)
        below, above = (self.values[(start + k).astype(np.intp)] for k in (low, high))
        with np.errstate(invalid="ignore"):  # infinite neighbours
            step = np.where(below == above, 0.0, above - below)
        result[filled] = below + (place - low) * step
        return result

    def median(self) -> Array:
        """Return the median of each group."""
        return self.at((self.sizes - 1) / 2)

    def sparsity(self) -> Array:
        """Return 1 / density at the median, from the distance of order statistics around it."""
        # Half-width n^(3/4) / 2: wide enough to be steady (7% at n = 1000), narrow enough to be
        # biased by less than 1% there for the normal distribution.
        half = np.minimum(self.sizes**0.75 / 2, (self.sizes - 1) / 2)
        middle = (self.sizes - 1) / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            width = self.at(middle + half) - self.at(middle - half)
            return np.where(half > 0, width * self.sizes / (2 * half), np.nan)

    def median_std_error(self) -> Array:
        """Return the standard error of the median of each group."""
        return self.sparsity() / (2 * np.sqrt(np.maximum(self.sizes, 1)))


def density_slope(groups: Groups, x: Array, at: Array, width: Array) -> Array:
    """Return the density of each group at one point, from the share of numbers around it.

    Parameters
    ----------
    groups : Groups
        Groups of the numbers.
    x : ndarray of shape (m,)
        The numbers.
    at, width : ndarray of shape (n_groups,)
        Where, and half the width of the window.
    """
    inside = np.abs(x - groups.spread(at)) <= groups.spread(width)
    with np.errstate(invalid="ignore", divide="ignore"):
        return groups.mean(inside) / (2 * width)


def window(scale: Array, sizes: Array) -> Array:
    """Return half the width of a window for densities of numbers with this spread."""
    return scale * np.maximum(sizes, 1) ** -0.2
