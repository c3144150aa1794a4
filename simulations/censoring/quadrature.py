"""Integrals over the covariates: the censoring level, its calibration, and the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from .laws import LOST_ABOVE, Array, DurationLaw

# Gauss-Legendre nodes of the first covariate below and above the value where rows may get lost,
# of each other covariate, and of each panel of time.
_ORDERS = (28, 16, 16, 14)
_COARSE = (22, 12, 12, 14)
# Short times matter most where scales are small: panels of time halve towards zero.
_HALVINGS = 16
# The calibrated scale lies within these powers of e around the horizon.
_REACH = 40.0


@dataclass(frozen=True)
class Grid:
    """Nodes of the covariates that matter, and weights that sum to one.

    Attributes
    ----------
    x : ndarray of shape (n, 3)
        The first covariate varies slowest.
    weight : ndarray of shape (n,)
    n_first : int
        Number of nodes of the first covariate.
    """

    x: Array
    weight: Array
    n_first: int

    def mean(self, values: Array) -> float:
        """Return the mean over the covariates."""
        return float(self.weight @ values)


@lru_cache
def covariate_grid(n_features: int, orders: tuple[int, ...] = _ORDERS) -> Grid:
    """Return the grid for covariates that are independent and uniform on (-1, 1)."""
    below, above, other, _ = orders
    first = _joined([_legendre(-1.0, LOST_ABOVE, below), _legendre(LOST_ABOVE, 1.0, above)])
    rest = [
        _legendre(-1.0, 1.0, other) if j < n_features else (np.zeros(1), np.full(1, 2.0))
        for j in (1, 2)
    ]
    axes = np.meshgrid(first[0], rest[0][0], rest[1][0], indexing="ij")
    weights = np.meshgrid(first[1] / 2, rest[0][1] / 2, rest[1][1] / 2, indexing="ij")
    x = np.stack(axes, axis=-1).reshape(-1, 3)
    return Grid(x, np.prod(weights, axis=0).ravel(), len(first[0]))


def _legendre(low: float, high: float, order: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = (high - low) / 2
    return low + half * (nodes + 1), half * weights


def _joined(pieces: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    nodes, weights = zip(*pieces, strict=True)
    return np.concatenate(nodes), np.concatenate(weights)


# ------------------------------------------------------------------------------ level


def censored_share(law: DurationLaw, n_features: int, orders: tuple[int, ...] = _ORDERS) -> float:
    r"""Return P(C < min(Y, horizon)), the share of rows whose restricted duration is unknown.

    One minus the mean of :math:`G(\min(Y,\tau)-\mid X)` over the law of Y and X.
    """
    return _share(law, *_ends(law, n_features, orders))


def _ends(law: DurationLaw, n_features: int, orders: tuple[int, ...]) -> tuple[Array, ...]:
    """Where min(Y, horizon) lies, with masses given the first covariate.

    Returns
    -------
    x : ndarray of shape (n_first, 3)
        Rows with each value of the first covariate, which alone moves censoring.
    times : ndarray of shape (m,)
    mass : ndarray of shape (n_first, m)
        Sums to one over everything.
    """
    grid = covariate_grid(n_features, orders)
    tau = law.horizon
    rows = np.arange(grid.n_first) * (len(grid.x) // grid.n_first)
    if law.time_unit is not None:
        starts, _ = law._steps(tau)
        times = np.append(starts[1:], tau)
        before = np.column_stack([_mean_survival(law, grid, u) for u in starts])
        after = np.column_stack([before[:, 1:], np.zeros(grid.n_first)])
        return grid.x[rows], times, before - after
    nodes, widths = _joined([_legendre(a, b, orders[3]) for a, b in _panels(law)])
    density = np.column_stack([_mean_density(law, grid, u) for u in nodes])
    mass = np.column_stack([density * widths, _mean_survival(law, grid, tau)])
    return grid.x[rows], np.append(nodes, tau), mass


def _panels(law: DurationLaw) -> list[tuple[float, float]]:
    """Intervals of time between which the integrand may have kinks."""
    tau = law.horizon
    breaks = {0.0, tau, *(tau / 2**j for j in range(1, _HALVINGS + 1))}
    if law.administrative is not None:
        breaks |= {law.administrative, law.administrative - law.accrual}
    if law.lost_after is not None:
        breaks.add(law.lost_after)
    inside = sorted(b for b in breaks if 0.0 <= b <= tau)
    return list(pairwise(inside))


def _by_first(grid: Grid, values: Array) -> Array:
    return (grid.weight * values).reshape(grid.n_first, -1).sum(axis=1)


def _mean_survival(law: DurationLaw, grid: Grid, u: float) -> Array:
    return _by_first(grid, law.survival(grid.x, np.full(len(grid.x), u)))


def _mean_density(law: DurationLaw, grid: Grid, u: float) -> Array:
    scale, k = law.duration_scale(grid.x), law.shape
    ratio = u / scale
    return _by_first(grid, k / scale * ratio ** (k - 1) * np.exp(-(ratio**k)))


def _share(law: DurationLaw, x: Array, times: Array, mass: Array) -> float:
    known = law.censoring_survival(x, np.tile(times, (len(x), 1)), side="left")
    return 1.0 - float(np.sum(mass * known))


@lru_cache(maxsize=512)
def calibrate(law: DurationLaw, n_features: int, level: float | None) -> DurationLaw:
    """Return the law with the scale of censoring times at which the level is reached.

    Parameters
    ----------
    law : DurationLaw
        Its scale is ignored.
    n_features : int
    level : float or None
        Share of rows with C < min(Y, horizon); None draws no exponential censoring times.

    Raises
    ------
    ValueError
        If the ends of observation alone censor more than that.
    """
    open_ended = replace(law, scale=np.inf)
    if level is None:
        return open_ended
    ends = _ends(law, n_features, _ORDERS)
    least = _share(open_ended, *ends)
    if level <= least:
        if level > least - 1e-12:
            return open_ended
        raise ValueError(
            f"level={level:g} cannot be reached: the ends of observation (administrative, "
            f"lost_after) alone censor {least:.1%} before the horizon. Give a higher level or None."
        )

    def excess(log_scale: float) -> float:
        return _share(replace(law, scale=law.horizon * np.exp(log_scale)), *ends) - level

    if excess(-_REACH) < 0:  # rounding up keeps the shortest durations in sight
        raise ValueError(
            f"level={level:g} cannot be reached: with time_unit={law.time_unit:g} events at the "
            "first multiple are always seen. Give a lower level or a shorter unit."
        )
    root = brentq(excess, -_REACH, _REACH, xtol=1e-13)
    return replace(law, scale=law.horizon * float(np.exp(root)))


# ------------------------------------------------------------------------------ truth


@lru_cache(maxsize=512)
def truths(law: DurationLaw, n_features: int) -> tuple[tuple[str, float, float], ...]:
    """Return name, value and error of each estimand.

    ``mean``, the mean of min(Y, horizon); ``survival``, P(Y > horizon); ``median`` of Y;
    ``intercept``, ``x1``, ..., the best linear prediction of min(Y, horizon) from the covariates.
    """
    fine = _truths(law, n_features, _ORDERS)
    coarse = _truths(law, n_features, _COARSE)
    return tuple((name, fine[name], abs(fine[name] - coarse[name])) for name in fine)


def _truths(law: DurationLaw, n_features: int, orders: tuple[int, ...]) -> dict[str, float]:
    grid = covariate_grid(n_features, orders)
    m = law.regression(grid.x)
    at_horizon = law.survival(grid.x, np.full(len(grid.x), law.horizon))
    values = {"mean": grid.mean(m), "survival": grid.mean(at_horizon), "median": _median(law, grid)}
    # Covariates are uncorrelated with mean 0 and variance 1/3.
    slopes = [3 * grid.mean(m * grid.x[:, j]) if j < 3 else 0.0 for j in range(n_features)]
    return values | {"intercept": values["mean"]} | {f"x{j + 1}": b for j, b in enumerate(slopes)}


def _median(law: DurationLaw, grid: Grid) -> float:
    smooth = replace(law, time_unit=None)

    def excess(u: float) -> float:
        return grid.mean(smooth.survival(grid.x, np.full(len(grid.x), u))) - 0.5

    # Rounding up keeps the order, so the median is that of the times before it, rounded.
    median = brentq(excess, 0.0, 100.0, xtol=1e-13)
    return float(law.rounded(np.array([median]))[0])
