"""Weighted scores of predicted durations and survival probabilities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def weighted_mean(values: Array, weight: Array) -> float:
    r"""Return :math:`\sum_i W_i v_i / \sum_i W_i`; rows of weight zero may hold anything."""
    kept = weight > 0.0
    return float(weight[kept] @ values[kept] / weight[kept].sum())


def mean_squared(target: Array, prediction: Array, weight: Array) -> float:
    """Return the weighted mean squared error."""
    return weighted_mean((target - prediction) ** 2, weight)


def mean_absolute(target: Array, prediction: Array, weight: Array) -> float:
    """Return the weighted mean absolute error."""
    return weighted_mean(np.abs(target - prediction), weight)


def mean_bias(target: Array, prediction: Array, weight: Array) -> float:
    """Return the weighted mean of prediction minus target."""
    return weighted_mean(prediction - target, weight)


def mean_pinball(target: Array, prediction: Array, weight: Array, quantile: float) -> float:
    r"""Return the weighted mean of :math:`(q - 1\{z_i < f_i\})(z_i - f_i)`.

    Raises
    ------
    ValueError
        If the quantile is not between 0 and 1.
    """
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"quantile={quantile!r} must lie between 0 and 1.")
    gap = target - prediction
    loss = np.where(gap >= 0.0, quantile * gap, (quantile - 1.0) * gap)
    return weighted_mean(loss, weight)


def weighted_quantile(values: Array, weight: Array, quantile: float) -> float:
    """Return the smallest value with at least that share of the weight at or below it."""
    kept = weight > 0.0
    order = np.argsort(values[kept], kind="stable")
    share = np.cumsum(weight[kept][order]) / weight[kept].sum()
    # Rounding of the sum must not move a quantile by a whole row.
    place = min(int(np.searchsorted(share, quantile - 1e-12)), len(order) - 1)
    return float(values[kept][order][place])


def r_squared(target: Array, prediction: Array, weight: Array) -> float:
    r"""Return :math:`1 - \sum_i W_i (z_i - f_i)^2 / \sum_i W_i (z_i - \bar z)^2`.

    The weighted mean :math:`\bar z` is that of the same rows. NaN if they do not vary.
    """
    spread = weighted_mean((target - weighted_mean(target, weight)) ** 2, weight)
    if spread <= 0.0:
        return np.nan
    return 1.0 - weighted_mean((target - prediction) ** 2, weight) / spread


def calibration_line(target: Array, prediction: Array, weight: Array) -> tuple[float, float]:
    """Return intercept and slope of the weighted regression of target on prediction.

    A calibrated prediction has 0 and 1. NaN if the predictions do not vary.
    """
    mean_target, mean_prediction = (weighted_mean(v, weight) for v in (target, prediction))
    centred = prediction - mean_prediction
    spread = weighted_mean(centred**2, weight)
    if spread <= 1e-24 * max(mean_prediction**2, np.finfo(float).tiny):
        return np.nan, np.nan
    slope = weighted_mean(centred * (target - mean_target), weight) / spread
    return mean_target - slope * mean_prediction, slope


def calibration_slope(target: Array, prediction: Array, weight: Array) -> float:
    """Return the slope of `calibration_line`."""
    return calibration_line(target, prediction, weight)[1]


def survival_weights(
    time: Array, event: Flags, at: float, own: Array, common: Array
) -> tuple[Array, Array]:
    r"""Return weights of rows known to have had the event by u, and to have outlived it.

    .. math::

        \frac{1\{t_i \le u, d_i = 1\}}{G(t_i- | x_i)}, \qquad \frac{1\{t_i > u\}}{G(u | x_i)}

    Parameters
    ----------
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    at : float
        u.
    own : ndarray of shape (n,)
        :math:`G(t_i- | x_i)`; used on rows with an event until u.
    common : ndarray of shape (n,)
        :math:`G(u | x_i)`; used on rows beyond u.

    Returns
    -------
    cases, controls : ndarray of shape (n,)
    """
    beyond = time > at
    failed = event & ~beyond
    cases, controls = np.zeros(len(time)), np.zeros(len(time))
    cases[failed] = 1.0 / own[failed]
    controls[beyond] = 1.0 / common[beyond]
    return cases, controls


def brier(survival: Array, cases: Array, controls: Array, weight: Array | None = None) -> float:
    r"""Return the mean squared error of probabilities of outliving a time.

    .. math:: \frac1n \sum_i \{W^-_i s_i^2 + W^+_i (1 - s_i)^2\}

    Parameters
    ----------
    survival : ndarray of shape (n,)
        :math:`s_i`.
    cases, controls : ndarray of shape (n,)
        :math:`W^-` and :math:`W^+` of `survival_weights`.
    weight : ndarray of shape (n,), default=None
        Case weights.
    """
    losses = cases * survival**2 + controls * (1.0 - survival) ** 2
    return float(np.average(losses, weights=weight))


def average_over(times: Array, values: Array) -> float:
    r"""Return the trapezoid integral of values over times, divided by their length.

    A single time has its value for an average.
    """
    if len(times) == 1:
        return float(values[0])
    return float(np.trapezoid(values, times) / (times[-1] - times[0]))


class CalibrationGroups(NamedTuple):
    """Predicted and observed means by groups of the prediction.

    Attributes
    ----------
    rows : ndarray of int of shape (g,)
        Rows in each group.
    known : ndarray of int of shape (g,)
        Rows with positive weight.
    predicted : ndarray of shape (g,)
        Mean prediction of all rows of the group.
    observed : ndarray of shape (g,)
        Weighted mean of the target; NaN without a known row.
    std_error : ndarray of shape (g,)
        Of ``observed``, with the weights taken as given.
    """

    rows: NDArray[np.intp]
    known: NDArray[np.intp]
    predicted: Array
    observed: Array
    std_error: Array


def calibration_groups(
    target: Array, prediction: Array, weight: Array, case_weight: Array, n_groups: int
) -> CalibrationGroups:
    """Compare predicted and observed means in groups of equally many rows by prediction.

    Rows with the same prediction stay in one group, so that there may be fewer groups.

    Parameters
    ----------
    target, prediction : ndarray of shape (n,)
    weight : ndarray of shape (n,)
        Of the target: zero on rows that are not known. Includes the case weight.
    case_weight : ndarray of shape (n,)
        Of the prediction.
    n_groups : int

    Returns
    -------
    CalibrationGroups
    """
    cuts = np.quantile(prediction, np.arange(1, n_groups) / n_groups, method="inverted_cdf")
    # inverted_cdf gives observed predictions, each the last of its group.
    group = np.searchsorted(np.unique(cuts), prediction)
    group = np.unique(group, return_inverse=True)[1]
    number = int(group.max()) + 1

    def total(values: Array) -> Array:
        return np.bincount(group, values, minlength=number).astype(np.float64)

    kept = weight > 0.0
    clean = np.where(kept, target, 0.0)
    mass = total(weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = total(weight * clean) / mass
        residual = np.where(kept, weight * (clean - observed[group]), 0.0)
        std_error = np.sqrt(total(residual**2)) / mass
    return CalibrationGroups(
        np.bincount(group, minlength=number),
        np.bincount(group[kept], minlength=number),
        total(case_weight * prediction) / total(case_weight),
        observed,
        std_error,
    )
