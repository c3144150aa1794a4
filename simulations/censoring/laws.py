"""The joint law of a duration and its censoring time, given covariates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma, gammainc

Array: TypeAlias = NDArray[np.float64]
Side: TypeAlias = Literal["left", "right"]

# Rows whose first covariate exceeds this are the ones that `lost_after` takes out of sight.
LOST_ABOVE = 0.5
# Multiples of the time unit are recognised up to this share of it.
_WHOLE = 1e-9


def _exp_scale(x: Array) -> Array:
    return np.asarray(np.exp(x[:, 0] - 0.5 * x[:, 1] + 0.5 * x[:, 2]))


def _wei_scale(x: Array) -> Array:
    return np.asarray(np.exp(0.8 * np.sin(np.pi * x[:, 0]) + 0.5 * x[:, 1] ** 2 - 0.3 * x[:, 2]))


def _cos_scale(x: Array) -> Array:
    return np.asarray(np.exp(0.6 * np.cos(np.pi * x[:, 0]) + 0.5 * x[:, 1] - 0.3 * x[:, 2]))


# Scale of the duration and shape of its Weibull law.
_OUTCOMES: dict[str, tuple[Callable[[Array], Array], float]] = {
    "exp": (_exp_scale, 1.0),
    "wei": (_wei_scale, 2.0),
    "cos": (_cos_scale, 2.0),
}
OUTCOMES = tuple(_OUTCOMES)


@dataclass(frozen=True)
class DurationLaw:
    r"""The law of durations Y and censoring times C, independent given covariates X.

    Y is Weibull with shape k and scale :math:`\lambda(x)`, C is exponential with scale
    :math:`c\,e^{s h(x_1)}`, cut off where the fields below say so.

    Parameters
    ----------
    outcome : {"exp", "wei", "cos"}
        Scale and shape of Y; see `make_censored_durations`.
    slope : float
        Strength s with which censoring depends on the first covariate.
    scale : float
        Factor c of the censoring times; infinite for none.
    horizon : float
        Durations are restricted to this in `regression`.
    time_unit : float or None, default=None
        Both times are rounded up to multiples of it.
    administrative : float or None, default=None
        Nobody is observed beyond this time.
    accrual : float, default=0.0
        Rows enter over a period of this length, so that observation ends at a time that is uniform
        on ``[administrative - accrual, administrative]``.
    lost_after : float or None, default=None
        Rows with a first covariate above 0.5 are not observed beyond this time.

    Examples
    --------
    >>> law = DurationLaw("exp", slope=0.0, scale=2.0, horizon=3.0)
    >>> law.survival([[0.0, 0.0, 0.0]], [1.0]).round(4), law.regression([[0.0, 0.0, 0.0]]).round(4)
    (array([0.3679]), array([0.9502]))
    """

    outcome: str
    slope: float
    scale: float
    horizon: float
    time_unit: float | None = None
    administrative: float | None = None
    accrual: float = 0.0
    lost_after: float | None = None

    # ------------------------------------------------------------------------ durations

    @property
    def shape(self) -> float:
        """Shape k of the Weibull law of the durations before rounding."""
        return _OUTCOMES[self.outcome][1]

    def duration_scale(self, X: ArrayLike) -> Array:
        r"""Return the scale :math:`\lambda(x)` of the durations, shape (n,)."""
        return _OUTCOMES[self.outcome][0](first_covariates(X))

    def durations(self, X: ArrayLike, noise: Array) -> Array:
        """Return the durations that standard exponential variates of shape (n,) give."""
        return self.rounded(self.duration_scale(X) * noise ** (1 / self.shape))

    def survival(self, X: ArrayLike, times: ArrayLike, side: Side = "right") -> Array:
        """Return P(Y > u | x), or P(Y >= u | x) with ``side="left"``.

        Parameters
        ----------
        X : array-like of shape (n, d)
        times : array-like of shape (n,) or (n, m)
            One time u per row, or m of them.
        side : {"right", "left"}, default="right"

        Returns
        -------
        ndarray of the shape of ``times``
        """
        u = np.maximum(self._reached(np.asarray(times, float), side), 0.0)
        scale = _beside(self.duration_scale(X), u)
        return np.asarray(np.exp(-((u / scale) ** self.shape)))

    def quantile(self, X: ArrayLike, q: float) -> Array:
        """Return the q-quantile of Y given x, shape (n,): the least u with P(Y <= u | x) >= q."""
        scale = self.duration_scale(X)
        return self.rounded(scale * (-np.log1p(-q)) ** (1 / self.shape))

    def regression(self, X: ArrayLike, horizon: float | None = None) -> Array:
        r"""Return E[min(Y, horizon) | x], shape (n,).

        Exactly: :math:`(\lambda/k)\Gamma(1/k)P(1/k,(\tau/\lambda)^k)` with P the regularised lower
        incomplete gamma function, or with rounded times a sum over their values.

        Parameters
        ----------
        X : array-like of shape (n, d)
        horizon : float, default=None
            None takes that of the law.
        """
        tau = self.horizon if horizon is None else horizon
        scale, k = self.duration_scale(X), self.shape
        if self.time_unit is None:
            return np.asarray(scale / k * gamma(1 / k) * gammainc(1 / k, (tau / scale) ** k))
        starts, widths = self._steps(tau)
        total = np.zeros(len(scale))
        for start, width in zip(starts, widths, strict=True):  # no table of rows by times
            total += width * np.exp(-((start / scale) ** k))
        return total

    # ------------------------------------------------------------------- censoring times

    def censoring_scale(self, X: ArrayLike) -> Array:
        """Return the scale of the exponential part of the censoring times, shape (n,)."""
        x1 = first_covariates(X)[:, 0]
        return np.asarray(self.scale * np.exp(self.slope * self.driver(x1)))

    def driver(self, x1: Array) -> Array:
        """Return h(x1), on which the log scale of the censoring times depends."""
        return np.asarray(np.cos(np.pi * x1) if self.outcome == "cos" else x1)

    def censoring_times(self, X: ArrayLike, noise: Array, entry: Array) -> Array:
        """Return the censoring times, infinite where nothing censors.

        Parameters
        ----------
        X : array-like of shape (n, d)
        noise : ndarray of shape (n,)
            Standard exponential variates.
        entry : ndarray of shape (n,)
            Shares in [0, 1] of the accrual period that had passed when the row entered.
        """
        with np.errstate(invalid="ignore"):  # 0 times infinity
            times = self.censoring_scale(X) * noise
        times = np.where(np.isnan(times), np.inf, times)
        if self.administrative is not None:
            times = np.minimum(times, self.administrative - self.accrual * entry)
        if self.lost_after is not None:
            lost = first_covariates(X)[:, 0] > LOST_ABOVE
            times = np.where(lost, np.minimum(times, self.lost_after), times)
        return self.rounded(times)

    def censoring_survival(self, X: ArrayLike, times: ArrayLike, side: Side = "right") -> Array:
        """Return G(u | x) = P(C > u | x), or P(C >= u | x) with ``side="left"``.

        Parameters and result are those of `survival`.
        """
        given = np.asarray(times, float)
        u = self._reached(given, side)
        # Rounding up turns P(C >= u) into P(C > u - unit) of the times before it.
        still = np.less if side == "right" or self.time_unit is not None else np.less_equal
        alive = np.asarray(np.exp(-np.maximum(u, 0.0) / _beside(self.censoring_scale(X), u)))
        if self.administrative is not None:
            a = self.administrative
            if self.accrual > 0:
                alive = alive * np.clip((a - u) / self.accrual, 0.0, 1.0)
            else:
                alive = alive * still(u, a)
        if self.lost_after is not None:
            lost = _beside(first_covariates(X)[:, 0] > LOST_ABOVE, u)
            alive = alive * (~lost | still(u, self.lost_after))
        return alive

    # ----------------------------------------------------------------------------- ticks

    def rounded(self, times: Array) -> Array:
        """Return times rounded up to multiples of the unit, if there is one."""
        if self.time_unit is None:
            return times
        return np.asarray(self.time_unit * np.maximum(np.ceil(times / self.time_unit - _WHOLE), 1))

    def _reached(self, times: Array, side: Side) -> Array:
        """Time before rounding that one must exceed to exceed (or reach) a given time after it."""
        if self.time_unit is None:
            return times
        if side == "right":
            return np.asarray(self.time_unit * np.floor(times / self.time_unit + _WHOLE))
        return np.asarray(self.time_unit * (np.ceil(times / self.time_unit - _WHOLE) - 1))

    def _steps(self, tau: float) -> tuple[Array, Array]:
        """Return starts and widths of the steps of the curve of rounded times up to tau."""
        assert self.time_unit is not None
        n_steps = int(np.ceil(tau / self.time_unit - _WHOLE))
        starts: Array = self.time_unit * np.arange(n_steps, dtype=float)
        return starts, np.asarray(np.diff(np.append(starts, tau)))


def first_covariates(X: ArrayLike) -> Array:
    """Return the three columns that the designs use; columns that are missing are 0."""
    x: Array = np.asarray(X, dtype=float)[:, :3]
    if x.shape[1] == 3:
        return x
    return np.column_stack([x, np.zeros((len(x), 3 - x.shape[1]))])


def _beside(values: NDArray[Any], times: Array) -> NDArray[Any]:
    """One value per row, in a shape that goes with times of shape (n,) or (n, m)."""
    return values if times.ndim == 1 else values[:, None]
