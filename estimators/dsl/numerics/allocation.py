r"""Shares of a sample: probabilities in proportion to a size, and whole numbers per stratum.

Arrays in, arrays out; nothing here knows about users.

References
----------
Neyman, J. (1934). On the two different aspects of the representative method. *Journal of the Royal
Statistical Society, 97*(4), 558-625. https://doi.org/10.2307/2342192
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

# Sums of shares are met to this relative precision.
TOLERANCE = 1e-12
MAX_STEPS = 400
# Sizes of zero become this share of their group's largest: they matter once all others are full.
SMALLEST_SIZE = 1e-30
# What is nearer to the upper limit than this share of it is there but for rounding.
FULL = 1e-9


def fill(
    size: Array,
    totals: Array | Codes,
    groups: Codes,
    *,
    low: Array | float = 0.0,
    high: Array | Codes | float = 1.0,
) -> Array:
    r"""Share out totals in proportion to a size, between limits ("water-filling").

    .. math:: x_i = \min(\max(\kappa_g s_i, l_i), h_i), \qquad \sum_{i \in g} x_i = n_g

    With :math:`l = 0` and :math:`h = 1` these are inclusion probabilities proportional to size:
    where :math:`\kappa_g s_i` exceeds one the unit is certain, and the others share the rest.

    Parameters
    ----------
    size : ndarray of shape (n,)
        Not negative; a group of zeros shares equally.
    totals : ndarray of shape (G,)
        Between the sums of the lower and of the upper limits of each group.
    groups : ndarray of int of shape (n,)
        Group of each unit, 0, ..., G-1.
    low, high : float or ndarray of shape (n,), default=0 and 1

    Returns
    -------
    ndarray of shape (n,)
        Units at a limit have it exactly.

    Examples
    --------
    >>> fill(np.array([1.0, 2.0, 3.0, 30.0]), np.array([2.0]), np.zeros(4, dtype=int))
    array([0.16666667, 0.33333333, 0.5       , 1.        ])
    """
    wanted = np.asarray(totals, dtype=float)
    largest = np.zeros_like(wanted)
    np.maximum.at(largest, groups, size)
    scale_of = np.where(largest > 0.0, largest, 1.0)[groups]
    size = np.maximum(size / scale_of, SMALLEST_SIZE)

    def sums(values: Array) -> Array:
        totals: Array = np.bincount(groups, values, minlength=len(wanted)).astype(float)
        return totals

    # Safeguarded Newton steps on a piecewise linear function: exact once no unit changes sides.
    scale = wanted / sums(size)
    least, most = np.zeros_like(wanted), np.full_like(wanted, 2.0 * np.max(high / size))
    shares = size
    for step in range(MAX_STEPS):
        free = scale[groups] * size
        shares = np.clip(free, low, high)
        gap = wanted - sums(shares)
        if (np.abs(gap) <= TOLERANCE * np.maximum(wanted, 1.0)).all():
            break
        least = np.where(gap > 0.0, scale, least)
        most = np.where(gap < 0.0, scale, most)
        slope = sums(np.where((free > low) & (free < high), size, 0.0))
        newton = scale + gap / np.where(slope > 0.0, slope, 1.0)
        usable = (slope > 0.0) & (newton > least) & (newton < most) & (step % 8 < 7)
        proposal = np.where(usable, newton, (least + most) / 2.0)
        scale = np.where(gap == 0.0, scale, proposal)
    return np.where(shares > (1.0 - FULL) * np.asarray(high), high, shares)


def largest_remainder(shares: Array, total: int) -> Codes:
    """Round shares that sum to a whole number: down, then up where most was cut off.

    Examples
    --------
    >>> largest_remainder(np.array([2.5, 3.2, 4.3]), 10)
    array([3, 3, 4])
    """
    # What is whole but for rounding must not be cut.
    whole = np.floor(shares + 1e-9)
    missing = round(total - whole.sum())
    order = np.argsort(whole - shares, kind="stable")
    whole[order[:missing]] += 1.0
    return whole.astype(np.intp)


def allocate(shares: Array, total: int, *, least: Codes, most: Codes) -> Codes:
    """Divide a sample among strata in proportion to shares, in whole numbers between limits.

    Parameters
    ----------
    shares : ndarray of shape (G,)
        Say numbers of rows, or those times standard deviations.
    total : int
        Between the sums of the limits.
    least, most : ndarray of int of shape (G,)

    Examples
    --------
    >>> rows = np.array([20, 300, 680])
    >>> allocate(rows.astype(float), 50, least=np.array([2, 2, 2]), most=rows)
    array([ 2, 15, 33])
    """
    one_group = np.zeros(len(shares), dtype=np.intp)
    ideal = fill(
        shares, np.array([total]), one_group, low=least.astype(float), high=most.astype(float)
    )
    return largest_remainder(ideal, total)


def neyman_shares(rows: Codes, spread: Array, cost: Array) -> Array:
    r"""Return :math:`N_h S_h / \sqrt{c_h}`, the best shares for the mean at given cost.

    Examples
    --------
    >>> neyman_shares(np.array([100, 100]), np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    array([100., 300.])
    """
    return rows * spread / np.sqrt(cost)
