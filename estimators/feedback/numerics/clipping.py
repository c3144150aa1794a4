"""What clipping of propensities does to an estimated loss, from the clicks alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class ClippedRisk(NamedTuple):
    """Bias and variance of a clipped loss, one value for each clip."""

    bias: Array
    bias_variance: Array
    variance: Array


def estimate_clipping(propensity: Array, slope: Array, clips: Array, n_pairs: int) -> ClippedRisk:
    r"""Estimate bias and variance of the clipped loss at given scores.

    Every click of a pair with probability :math:`\theta\gamma` stands for :math:`1/(\theta\gamma)`
    pairs, so that with :math:`d = \delta_1 - \delta_0` and :math:`\bar\theta = \max(\theta, M)` the
    sums over pairs of the known formulas become sums over clicks:

    .. math::

        |D|^{-1} \sum_D \gamma\Bigl(\frac{\theta}{\bar\theta} - 1\Bigr) d
            = E\,|D|^{-1}\sum_{\text{clicks}} \Bigl(\frac{1}{\bar\theta} - \frac{1}{\theta}\Bigr) d,
        \qquad
        |D|^{-2} \sum_D \frac{\theta\gamma(1 - \theta\gamma)}{\bar\theta^2} d^2
            \le E\,|D|^{-2}\sum_{\text{clicks}} \frac{d^2}{\bar\theta^2}.

    The excess of the second is the share of pairs that are clicked.

    Parameters
    ----------
    propensity : ndarray of shape (n_clicks,)
    slope : ndarray of shape (n_clicks,)
        d at the clicks.
    clips : ndarray of shape (m,)
    n_pairs : int

    Returns
    -------
    ClippedRisk
        Bias, its own sampling variance, and the variance of the loss, each of shape (m,).
    """
    bias, noise, variance = np.empty((3, len(clips)))
    full = 1.0 / propensity
    for k, clip in enumerate(clips):  # no table of clicks by clips
        weight = 1.0 / np.maximum(propensity, clip)
        change = (weight - full) * slope
        bias[k], noise[k] = change.sum(), change @ change
        variance[k] = np.sum((weight * slope) ** 2)
    return ClippedRisk(bias / n_pairs, noise / n_pairs**2, variance / n_pairs**2)
