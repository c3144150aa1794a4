r"""Krippendorff's alpha, for many sets of weights of the units at once.

.. math:: \alpha = 1 - \frac{D_o}{D_e}, \qquad D_o = \frac1n \sum_{c,k} o_{ck}\, \delta^2_{ck},
    \qquad D_e = \frac{1}{n (n - 1)} \sum_{c,k} n_c n_k\, \delta^2_{ck}

over units with :math:`m_u \ge 2` labels, with the coincidences
:math:`o_{ck} = \sum_u n_{uc} (n_{uk} - 1\{c = k\}) / (m_u - 1)`, :math:`n_c = \sum_k o_{ck}` and
:math:`n = \sum_c n_c`. Differences :math:`\delta^2` are :math:`1\{c \ne k\}` (nominal),
:math:`(c - k)^2` (interval), and
:math:`(\sum_{g=c}^{k} n_g - (n_c + n_k)/2)^2` (ordinal).

Arrays in, arrays out; nothing here knows about users.

References
----------
Krippendorff, K. (2019). *Content Analysis* (4th ed.), chapter 12. Sage.
https://doi.org/10.4135/9781071878781
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Scale = Literal["nominal", "ordinal", "interval"]


def krippendorff(values: Array, scale: Scale, weights: Array) -> Array:
    """Return alpha for each set of weights.

    Parameters
    ----------
    values : ndarray of shape (U, K)
        Labels as numbers, NaN where a coder did not label; every unit has two or more.
    scale : {"nominal", "ordinal", "interval"}
    weights : ndarray of shape (b, U)
        Of the units.

    Returns
    -------
    ndarray of shape (b,)
        NaN where all labels are the same, so that nothing could disagree.

    Examples
    --------
    >>> twice = np.array([[1.0, 1.0], [2.0, 2.0], [1.0, 2.0], [2.0, 2.0]])
    >>> krippendorff(twice, "nominal", np.ones((1, 4))).round(3)
    array([0.533])
    """
    count = (~np.isnan(values)).sum(axis=1)
    if scale == "interval":
        return _interval(values, count, weights)
    levels = np.unique(values[~np.isnan(values)])
    numbers = (values[:, :, None] == levels).sum(axis=1).astype(float)
    pairs = numbers[:, :, None] * numbers[:, None, :]
    pairs[:, np.arange(len(levels)), np.arange(len(levels))] -= numbers
    pairs /= (count - 1)[:, None, None]
    together = np.einsum("bu,uck->bck", weights, pairs, optimize=True)
    sizes = together.sum(axis=2)
    total = sizes.sum(axis=1)
    distance = _distances(sizes, scale)
    observed = (together * distance).sum(axis=(1, 2)) / total
    products = sizes[:, :, None] * sizes[:, None, :]
    expected = (products * distance).sum(axis=(1, 2)) / (total * (total - 1.0))
    return _ratio(observed, expected)


def _interval(values: Array, count: NDArray[np.intp], weights: Array) -> Array:
    """Return alpha from sums of squares, whatever the number of distinct values."""
    values = values - np.nanmean(values)
    first, second = np.nansum(values, axis=1), np.nansum(values**2, axis=1)
    within = 2.0 * (count * second - first**2) / (count - 1)
    total = weights @ count
    observed = weights @ within / total
    spread = 2.0 * (total * (weights @ second) - (weights @ first) ** 2)
    return _ratio(observed, spread / (total * (total - 1.0)))


def _distances(sizes: Array, scale: Scale) -> Array:
    n_sets, n_levels = sizes.shape
    if scale == "nominal":
        return np.broadcast_to(1.0 - np.eye(n_levels), (n_sets, n_levels, n_levels))
    middle = np.cumsum(sizes, axis=1) - sizes / 2.0
    return (middle[:, :, None] - middle[:, None, :]) ** 2


def _ratio(observed: Array, expected: Array) -> Array:
    usable = expected > 0.0
    return np.where(usable, 1.0 - observed / np.where(usable, expected, 1.0), np.nan)
