r"""Outcomes that stand in for censored durations and have their conditional mean.

With :math:`z = \min(t, \tau)`, k = 1 where :math:`\min(Y, \tau)` is known, G the survival of the
censoring time and :math:`m(s, x) = E[\min(Y, \tau) | Y > s, x]`. Curves of many rows share a grid
of times, and rows come in blocks: nothing here is larger than rows times grid points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Side = Literal["left", "right"]


@dataclass(frozen=True)
class Curves:
    """Survival curves on a common grid; each is 1 before the first point.

    Attributes
    ----------
    grid : ndarray of shape (m,)
        Increasing times, not negative.
    values : ndarray of shape (n, m) or (1, m)
        Values at the points of the grid, from the right; a single row is shared by all rows.
    steps : bool
        True: the curves jump at points of the grid and nowhere else. False: the points are a
        sample of a finer curve, which is taken to be linear between them.
    """

    grid: Array
    values: Array
    steps: bool = True

    def at(self, times: Array, side: Side = "right") -> Array:
        """Return each row's curve at its own time, its left limit for ``side="left"``.

        Parameters
        ----------
        times : ndarray of shape (n,)
        side : {"right", "left"}, default="right"

        Returns
        -------
        ndarray of shape (n,)
        """
        return _interpolated(self.grid, _with_start(self.values, 1.0), times, side, self.steps)

    def floored(self, floor: float) -> Curves:
        """Return the curves with values below a floor raised to it.

        A curve that reaches zero is held at its last positive value, also without a floor:
        terms in which one would divide by zero drop out.
        """
        values = np.maximum(self.values, floor)
        if (values <= 0.0).any():
            # Curves fall, so the least positive value of a row is the last one.
            values = np.minimum.accumulate(np.where(values > 0.0, values, 1.0), axis=1)
        return Curves(self.grid, values, self.steps)

    def continued(self, common: Array) -> Curves:
        """Return the curves with those that reach zero going on like a common curve.

        A local estimate that has run out of rows says nothing about what lies ahead.

        Parameters
        ----------
        common : ndarray of shape (m,)
            Values of the common curve on the grid.

        Returns
        -------
        Curves
        """
        ended = self.values <= 0.0
        rows = np.flatnonzero(ended.any(axis=1))
        if not len(rows):
            return self
        values = self.values.copy()
        first = ended[rows].argmax(axis=1)
        padded, shared = _with_start(values[rows], 1.0), np.concatenate([[1.0], common])
        factor = _ratio(common[None, :], shared[first][:, None])
        values[rows] = np.where(
            ended[rows], padded[np.arange(len(rows)), first][:, None] * factor, values[rows]
        )
        return Curves(self.grid, values, self.steps)

    def inverse(self) -> Curves:
        """Return one over the curves."""
        return Curves(self.grid, 1.0 / self.values, self.steps)

    def integral(self, times: Array) -> Array:
        r"""Return each row's :math:`\int_0^t f(s)\, ds` up to its own time.

        Parameters
        ----------
        times : ndarray of shape (n,)

        Returns
        -------
        ndarray of shape (n,)
        """
        return _integral_to(self, self._running_integral(), times)

    def _running_integral(self) -> Array:
        """Return the integrals up to every point of the grid, shape (n, m)."""
        values = _with_start(self.values, 1.0)
        before, after = values[:, :-1], values[:, 1:]
        heights = before if self.steps else (before + after) / 2
        return np.cumsum(heights * np.diff(self.grid, prepend=0.0), axis=1)


def mean_beyond(event: Curves, times: Array, horizon: float) -> Array:
    r"""Return the expected restricted duration of rows that lasted beyond a time.

    .. math:: m(s, x) = E[\min(Y, \tau) | Y > s, x] = s + \int_s^\tau S(u|x)\,du \big/ S(s|x)

    Where S(s|x) is zero, nobody is expected to last beyond s and s itself is returned.

    Parameters
    ----------
    event : Curves
        S, the survival of the duration.
    times : ndarray of shape (n,)
        One time s per row, at most the horizon.
    horizon : float

    Returns
    -------
    ndarray of shape (n,)
    """
    running = event._running_integral()
    ahead = _integral_to(event, running, np.full(len(times), horizon))
    ahead -= _integral_to(event, running, times)
    return times + _ratio(ahead, event.at(times))


def mean_beyond_grid(event: Curves, horizon: float) -> Array:
    """Return `mean_beyond` at every point of the grid, shape (n, m) or (1, m)."""
    running = event._running_integral()
    whole = _integral_to(event, running, np.full(len(running), horizon))
    return event.grid + _ratio(np.maximum(whole[:, None] - running, 0.0), event.values)


def koul_susarla_van_ryzin(restricted: Array, known: Bools, censoring_left: Array) -> Array:
    r"""Inverse-weighted outcome :math:`k z / G(z-|x)`; zero for rows that are not known.

    Parameters
    ----------
    restricted : ndarray of shape (n,)
        :math:`z = \min(t, \tau)`.
    known : ndarray of bool of shape (n,)
    censoring_left : ndarray of shape (n,)
        :math:`G(z-|x)`.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Koul, H., Susarla, V. and Van Ryzin, J. (1981). Regression analysis with randomly
    right-censored data. Annals of Statistics 9(6), 1276-1288.
    https://doi.org/10.1214/aos/1176345644
    """
    outcome = np.zeros(len(restricted))
    outcome[known] = restricted[known] / censoring_left[known]
    return outcome


def leurgans(restricted: Array, censoring: Curves) -> Array:
    r"""Synthetic outcome :math:`\int_0^z ds / G(s|x)`.

    Parameters
    ----------
    restricted : ndarray of shape (n,)
    censoring : Curves
        G, positive before each row's time.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Leurgans, S. (1987). Linear models, random censoring and synthetic data. Biometrika 74(2),
    301-309. https://doi.org/10.1093/biomet/74.2.301
    """
    return censoring.floored(0.0).inverse().integral(restricted)


def buckley_james(restricted: Array, known: Bools, beyond: Array) -> Array:
    """Outcome k z + (1 - k) m(z, x): what is not known is replaced by its expectation.

    Parameters
    ----------
    restricted : ndarray of shape (n,)
    known : ndarray of bool of shape (n,)
    beyond : ndarray of shape (n,)
        m(z, x); see `mean_beyond`.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Buckley, J. and James, I. (1979). Linear regression with censored data. Biometrika 66(3),
    429-436. https://doi.org/10.1093/biomet/66.3.429
    """
    return np.where(known, restricted, beyond)


def doubly_robust(
    restricted: Array, known: Bools, censoring: Curves, event: Curves, horizon: float
) -> Array:
    r"""Augmented inverse-weighted outcome, whose mean is right if either G or m is.

    .. math::

        Z^* = \frac{k z}{G(z-)} + \frac{(1 - k)\, m(z)}{G(z)}
            - \int_{(0, z]} \frac{m(s)}{G(s)}\, d\Lambda_C(s)

    where an event is not at risk of censoring at its own time. As
    :math:`d\Lambda_C / G = d(1/G)`, and as the jump at a row's own censoring time enters twice
    with opposite signs,

    .. math:: Z^* = \frac{k z + (1 - k)\, m(z)}{G(z-)} - \int_{(0, z)} m(s)\, d(1/G)(s),

    which never divides by G(z) = 0. With :math:`m \equiv 1` both parts sum to 1 for every row.

    Parameters
    ----------
    restricted : ndarray of shape (n,)
    known : ndarray of bool of shape (n,)
    censoring : Curves
        G, positive (see `Curves.floored`).
    event : Curves
        S, from which m follows, on the same grid.
    horizon : float
        :math:`\tau`.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Rubin, D. and van der Laan, M. J. (2007). A doubly robust censoring unbiased transformation.
    International Journal of Biostatistics 3(1). https://doi.org/10.2202/1557-4679.1052
    """
    beyond = mean_beyond(event, restricted, horizon)
    inverse = censoring.inverse()
    # An integrable curve starts at 1; so does 1/G.
    rises = np.diff(_with_start(inverse.values, 1.0), axis=1)
    on_grid = mean_beyond_grid(event, horizon)
    if not censoring.steps:
        start = mean_beyond(event, np.zeros(len(on_grid)), horizon)
        on_grid = (np.column_stack([start, on_grid[:, :-1]]) + on_grid) / 2
    parts = np.cumsum(on_grid * rises, axis=1)
    last = np.searchsorted(censoring.grid, restricted, side="left")
    integral = _pick(_with_start(parts, 0.0), last)
    at_left = censoring.at(restricted, "left")
    # What a sampled curve rises between the last point of the grid and z; nothing for steps.
    integral += beyond * (1.0 / at_left - _pick(_with_start(inverse.values, 1.0), last))
    return buckley_james(restricted, known, beyond) / at_left - integral


def pseudo_observations(
    time: Array,
    event: Bools,
    horizon: float,
    *,
    weight: Array | None = None,
    entry: Array | None = None,
) -> Array:
    r"""Pseudo-observations of the restricted mean by the infinitesimal jackknife.

    .. math:: \theta + n\,\frac{\partial\theta}{\partial a_i} = \theta - n \sum_v
        \frac{\int_v^\tau \hat S(u)\,du}{R(v) - D(v)} \Big\{dN_i(v) - Y_i(v)\frac{D(v)}{R(v)}\Big\},
        \qquad \theta = \int_0^\tau \hat S(u)\,du

    with case weights a, D(v) events among the R(v) rows at risk at v. Their weighted mean is
    :math:`\theta`; they are valid outcomes of a regression if censoring does not depend on X.

    Parameters
    ----------
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    horizon : float
        Not beyond the last time.
    weight : ndarray of shape (n,), default=None
        Case weights, positive; n becomes their sum.
    entry : ndarray of shape (n,), default=None
        Rows are at risk after this time.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Andersen, P. K., Klein, J. P. and Rosthøj, S. (2003). Generalised linear models for correlated
    pseudo-observations, with applications to multi-state models. Biometrika 90(1), 15-27.
    https://doi.org/10.1093/biomet/90.1.15
    """
    weight = np.ones(len(time)) if weight is None else weight
    grid, position = np.unique(time[event & (time <= horizon)], return_inverse=True)
    died = np.flatnonzero(event & (time <= horizon))
    if not len(grid):
        return np.full(len(time), horizon)
    deaths = np.bincount(position, weights=weight[died])
    at_risk = _mass_from(time, weight, grid)
    if entry is not None:
        at_risk = at_risk - _mass_from(entry, weight, grid)
    survival: Array = np.cumprod(1.0 - deaths / at_risk, dtype=np.float64)
    curve = Curves(grid, survival[None])
    running = curve._running_integral()[0]
    theta = float(curve.integral(np.array([horizon]))[0])
    stays = at_risk - deaths
    # Zero after the last death of all: nothing lies ahead, whatever the weights.
    alive = stays > 1e-12 * at_risk
    leverage = np.zeros(len(grid))
    leverage[alive] = (theta - running[alive]) / stays[alive]
    hazard = np.concatenate([[0.0], np.cumsum(leverage * deaths / at_risk)])
    exposure = hazard[np.searchsorted(grid, time, side="right")]
    if entry is not None:
        exposure -= hazard[np.searchsorted(grid, entry, side="right")]
    derivative = exposure
    derivative[died] -= leverage[position]
    return theta + weight.sum() * derivative


def _mass_from(values: Array, weight: Array, grid: Array) -> Array:
    """Return the weight of values that are not below each point of a grid."""
    order = np.argsort(values, kind="stable")
    # Sums from the largest value down: no digits are lost where few rows are left.
    upward = np.concatenate([np.cumsum(weight[order][::-1])[::-1], [0.0]])
    return upward[np.searchsorted(values[order], grid, side="left")]


def _with_start(values: Array, start: float) -> Array:
    return np.concatenate([np.full((len(values), 1), start), values], axis=1)


def _pick(values: Array, columns: NDArray[np.intp]) -> Array:
    """Return one column per row; a single row of values is shared."""
    if len(values) == 1:
        return values[0, columns]
    return values[np.arange(len(values)), columns]


def _interpolated(grid: Array, values: Array, times: Array, side: Side, steps: bool) -> Array:
    """Return values at times; values have a first column for what holds before the grid."""
    upper = np.searchsorted(grid, times, side="right" if side == "right" else "left")
    low = _pick(values, upper)
    if steps:
        return low
    last = np.minimum(upper, len(grid) - 1)
    start = np.where(upper > 0, grid[np.maximum(upper - 1, 0)], 0.0)
    width = grid[last] - start
    share = np.clip(
        np.divide(times - start, width, out=np.zeros(len(times)), where=width > 0), 0, 1
    )
    # Beyond the grid a curve stays where it was.
    high = _pick(values, np.minimum(upper + 1, len(grid)))
    return low + np.where(upper < len(grid), share, 0.0) * (high - low)


def _integral_to(curves: Curves, running: Array, times: Array) -> Array:
    last = np.searchsorted(curves.grid, times, side="right")
    start = np.concatenate([[0.0], curves.grid])[last]
    low = _pick(_with_start(curves.values, 1.0), last)
    height = low if curves.steps else (low + curves.at(times)) / 2
    return _pick(_with_start(running, 0.0), last) + height * (times - start)


def _ratio(above: Array, below: Array) -> Array:
    """Return a quotient, zero where the denominator is."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0.0)
