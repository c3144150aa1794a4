r"""Performance measures and their Monte Carlo standard errors.

Every measure here is a smooth function of means over replicates, or a quantile, so that it has an
influence function; its Monte Carlo standard error is the standard error of the mean influence. For
bias, coverage and power this gives the formulas of Morris, White and Crowther (2019, table 6). For
spreads and their ratios it replaces their kurtosis of the normal distribution by that of the
estimates, and their independence of estimate and standard error by the observed covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from .groups import Array, Groups, Mask, Ordered, density_slope, window

# Makes the median absolute deviation of a normal distribution its standard deviation.
_MAD_SCALE = float(1 / ndtri(0.75))


@dataclass(frozen=True)
class Measure:
    """One measure of every group.

    Attributes
    ----------
    value : ndarray of shape (n_groups,)
        The measure.
    mcse : ndarray of shape (n_groups,)
        Its Monte Carlo standard error.
    n : ndarray of shape (n_groups,)
        Number of replicates behind it.
    """

    value: Array
    mcse: Array
    n: Array

    @classmethod
    def of(cls, groups: Groups, value: Array, influence: Array) -> Measure:
        """Return a measure from the influence of every replicate on it."""
        return cls(value, groups.std_error(influence), groups.sizes)


@dataclass(frozen=True)
class Replicates:
    """The usable estimates of a study; unknown numbers are NaN.

    Attributes
    ----------
    groups : Groups
        Cell, method and term of each estimate.
    estimate, estimand, std_error, conf_low, conf_high, p_value : ndarray of shape (m,)
        As in the frame of the study.
    """

    groups: Groups
    estimate: Array
    estimand: Array
    std_error: Array
    conf_low: Array
    conf_high: Array
    p_value: Array

    @property
    def error(self) -> Array:
        """Return estimate minus estimand, NaN where there is no estimand."""
        return self.estimate - self.estimand

    @property
    def deviation(self) -> Array:
        """Return estimate minus estimand, or the estimate where there is no estimand.

        Its spread is that of the estimates where the estimand is the same in all replicates. Where
        each replicate has its own, the estimates are meant to follow it.
        """
        return self.estimate - np.where(np.isnan(self.estimand), 0.0, self.estimand)

    @cached_property
    def ordered(self) -> Ordered:
        """Return the deviations sorted within groups."""
        return self.groups.sorted(self.deviation)


def proportion(groups: Groups, holds: Mask) -> Measure:
    """Return the share of replicates where something holds, with its binomial standard error."""
    share = groups.mean(holds)
    mcse = np.sqrt(share * (1 - share) / np.maximum(groups.sizes, 1))
    return Measure(share, mcse, groups.sizes)


def average(groups: Groups, x: Array) -> Measure:
    """Return the mean of the numbers that are known."""
    known = ~np.isnan(x)
    groups, x = groups.select(known), x[known]
    return Measure.of(groups, groups.mean(x), x)


def root(square: Measure) -> Measure:
    """Return the square root of a measure by the delta method."""
    value = np.sqrt(square.value)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Measure(value, np.where(value == 0, 0.0, square.mcse / (2 * value)), square.n)


def middle(groups: Groups, x: Array) -> Measure:
    """Return the median of the numbers that are known."""
    known = ~np.isnan(x)
    groups = groups.select(known)
    ordered = groups.sorted(x[known])
    return Measure(ordered.median(), ordered.median_std_error(), groups.sizes)


def median_bias(data: Replicates) -> Measure:
    """Return the median of the errors of groups that have an estimand."""
    n_known = data.groups.sum(~np.isnan(data.estimand))
    value, mcse = (
        np.where(n_known > 0, numbers, np.nan)
        for numbers in (data.ordered.median(), data.ordered.median_std_error())
    )
    return Measure(value, mcse, n_known)


def relative_error(data: Replicates) -> Array:
    """Return (estimate - estimand) / estimand, NaN where the estimand is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(data.estimand == 0, np.nan, data.error / data.estimand)


def empirical_se(data: Replicates) -> Measure:
    r"""Return the standard deviation s of the estimates over replicates.

    With the fourth central moment :math:`\mu_4`, the variance of :math:`s^2` is
    :math:`\{\mu_4 - s^4 (n - 3) / (n - 1)\} / n`.
    """
    groups = data.groups
    n, variance = groups.sizes, groups.variance(data.deviation)
    fourth = groups.mean(groups.centre(data.deviation) ** 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Never negative in the population; two-point distributions come close to zero.
        of_variance = np.maximum(fourth - variance**2 * (n - 3) / (n - 1), 0.0) / n
    return root(Measure(variance, np.sqrt(of_variance), n))


def se_ratio(data: Replicates) -> Measure:
    r"""Return model SE / empirical SE over the replicates that have a standard error.

    The logarithm is :math:`\frac12 \log \overline{SE^2} - \frac12 \log s^2`, so that a replicate
    has the influence :math:`\frac12 \{SE^2 / \overline{SE^2} - (x - \bar x)^2 / s^2\}`.
    """
    known = ~np.isnan(data.std_error)
    groups = data.groups.select(known)
    squared = data.std_error[known] ** 2
    centred = groups.centre(data.deviation[known])
    model, empirical = groups.mean(squared), groups.variance(centred)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(model / empirical)
        influence = squared / groups.spread(model) - centred**2 / groups.spread(empirical)
    return Measure.of(groups, ratio, groups.spread(ratio) * influence / 2)


def mad_se(data: Replicates) -> Measure:
    r"""Return the median absolute deviation d of the estimates, scaled to the normal distribution.

    Estimating the median m shifts d by :math:`\{f(m-d) - f(m+d)\} / \{f(m-d) + f(m+d)\}` per unit,
    which vanishes only for symmetric densities f.
    """
    groups = data.groups
    centred = data.deviation - groups.spread(data.ordered.median())
    ordered = groups.sorted(np.abs(centred))
    mad = ordered.median()
    half = window(_MAD_SCALE * mad, groups.sizes)
    zero = np.zeros_like(mad)
    left, right, centre = (density_slope(groups, centred, at, half) for at in (-mad, mad, zero))
    with np.errstate(invalid="ignore", divide="ignore"):
        # 1 / density of |x - m| at d is steadier from its own order statistics than by windows.
        sparsity = ordered.sparsity()
        tilt = np.nan_to_num((left - right) / centre)
        influence = (
            np.sign(np.abs(centred) - groups.spread(mad)) + groups.spread(tilt) * np.sign(centred)
        ) * groups.spread(sparsity)
    return Measure.of(groups, _MAD_SCALE * mad, _MAD_SCALE * influence / 2)


def has_interval(data: Replicates) -> Mask:
    """Return where both ends of the interval are known; they may be infinite."""
    return ~(np.isnan(data.conf_low) | np.isnan(data.conf_high))


def coverage(data: Replicates) -> Measure:
    """Return the share of intervals that hold the estimand."""
    known = has_interval(data) & ~np.isnan(data.estimand)
    low, truth, high = (a[known] for a in (data.conf_low, data.estimand, data.conf_high))
    return proportion(data.groups.select(known), (low <= truth) & (truth <= high))


def bias_eliminated_coverage(data: Replicates) -> Measure:
    """Return the share of intervals that hold the mean of the estimates.

    The mean is itself estimated; the share changes with it where the density of the lower ends
    there is not that of the upper ends.
    """
    known = has_interval(data)
    groups, x = data.groups.select(known), data.deviation[known]
    shift = data.estimate[known] - x
    low, high = data.conf_low[known] - shift, data.conf_high[known] - shift
    mean = groups.mean(x)

    def holds(point: Array) -> Mask:
        return (low <= groups.spread(point)) & (groups.spread(point) <= high)

    half = window(np.sqrt(groups.variance(x)), groups.sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (groups.mean(holds(mean + half)) - groups.mean(holds(mean - half))) / (2 * half)
    covers = holds(mean)
    influence = covers + groups.spread(np.nan_to_num(slope)) * groups.centre(x)
    return Measure.of(groups, groups.mean(covers), influence)


def rejection_rate(data: Replicates, alpha: float) -> Measure:
    """Return the share of p values of at most alpha."""
    known = ~np.isnan(data.p_value)
    return proportion(data.groups.select(known), data.p_value[known] <= alpha)


def all_measures(data: Replicates, alpha: float) -> dict[str, Measure]:
    """Return every measure that rests on estimates, by name."""
    groups = data.groups
    mse = average(groups, data.error**2)
    width = np.where(has_interval(data), data.conf_high - data.conf_low, np.nan)
    return {
        "mean_estimate": average(groups, data.estimate),
        "bias": average(groups, data.error),
        "relative_bias": average(groups, relative_error(data)),
        "median_bias": median_bias(data),
        "empirical_se": empirical_se(data),
        "mad_se": mad_se(data),
        "model_se": root(average(groups, data.std_error**2)),
        "median_se": middle(groups, data.std_error),
        "se_ratio": se_ratio(data),
        "mse": mse,
        "rmse": root(mse),
        "coverage": coverage(data),
        "bias_eliminated_coverage": bias_eliminated_coverage(data),
        "rejection_rate": rejection_rate(data, alpha),
        "mean_width": average(groups, width),
    }


def wilson(share: Array, n: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Return Wilson's score interval of a proportion, NaN where n is zero."""
    z2 = ndtri((1 + level) / 2) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    # Exactly zero and one at the ends, which rounding misses.
    low = np.where(share == 0, 0.0, centre - half)
    return low, np.where(share == 1, 1.0, centre + half)
