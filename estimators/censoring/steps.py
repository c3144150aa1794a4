"""Step functions: what every survival curve is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from .. import validation

Array = NDArray[np.float64]
Side = Literal["left", "right"]


@dataclass(frozen=True, eq=False)
class StepFunction:
    r"""A survival curve that is constant between jumps and continuous from the right.

    .. math::

        G(u) = P(C > u), \qquad G(u-) = P(C \ge u)

    Called with ``side="right"`` it returns the first, with ``side="left"`` the second. Beyond
    ``last`` the data say nothing, and the last value is returned.

    Parameters
    ----------
    times : array-like of shape (m,)
        Where it can jump, increasing.
    values : array-like of shape (m,)
        Its values from each of these times on.
    std_errors : array-like of shape (m,), default=None
        Standard errors of the values.
    last : float, default=None
        The last time of which the data say anything; the last jump if None.
    start : float, default=1.0
        Its value before the first jump.
    label : str, default=""
        What it is a curve of, for figures.

    Raises
    ------
    ValueError
        If times are not increasing or lengths differ.

    Examples
    --------
    >>> from trueness.censoring import StepFunction
    >>> curve = StepFunction([2.0, 5.0], [0.5, 0.25])
    >>> curve([1.0, 2.0, 7.0]).tolist()
    [1.0, 0.5, 0.25]
    >>> curve([1.0, 2.0, 7.0], side="left").tolist()
    [1.0, 1.0, 0.25]
    >>> curve.integral(4.0)
    3.0
    """

    times: Array
    values: Array
    std_errors: Array | None = None
    last: float | None = None
    start: float = 1.0
    label: str = ""

    def __post_init__(self) -> None:
        times = np.array(self.times, dtype=float)
        values = np.array(self.values, dtype=float)
        if times.ndim != 1 or times.shape != values.shape:
            raise ValueError(
                f"times and values must be of one length, got {times.shape} and {values.shape}."
            )
        if np.isnan(times).any() or (np.diff(times) <= 0.0).any():
            raise ValueError("times must be increasing, each of them once.")
        errors = None if self.std_errors is None else np.array(self.std_errors, dtype=float)
        if errors is not None and errors.shape != times.shape:
            raise ValueError(f"std_errors has shape {errors.shape}, times has {times.shape}.")
        last = self.last
        if last is None:
            last = float(times[-1]) if len(times) else np.inf
        for array in (times, values) if errors is None else (times, values, errors):
            array.flags.writeable = False
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "std_errors", errors)
        object.__setattr__(self, "last", float(last))

    def __call__(self, u: ArrayLike, side: Side = "right") -> Any:
        """Evaluate the curve.

        Parameters
        ----------
        u : float or array-like of any shape
            Times.
        side : {"right", "left"}, default="right"
            Whether jumps at the times themselves have happened or not.

        Returns
        -------
        float or ndarray of the shape of u
        """
        times = np.asarray(u, dtype=float)
        found = self._extended(self.values)[np.searchsorted(self.times, times, side=side)]
        return float(found) if times.ndim == 0 else found

    def _extended(self, values: Array) -> Array:
        return np.concatenate([[self.start], values])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StepFunction):
            return NotImplemented
        return (
            np.array_equal(self.times, other.times)
            and np.array_equal(self.values, other.values)
            and (self.start, self.last) == (other.start, other.last)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        title = f" {self.label!r}" if self.label else ""
        final = self.values[-1] if len(self.values) else self.start
        return f"<StepFunction{title}: {len(self.times):,} jumps, {final:.3g} at {self.last:.6g}>"

    def integral(self, upper: float, lower: float = 0.0) -> float:
        r"""Integrate the curve: :math:`\int_{lower}^{upper} G(u) du`.

        Of a survival curve from zero this is the restricted mean :math:`E[\min(Y, upper)]`.

        Parameters
        ----------
        upper, lower : float
            Limits; ``lower=0.0`` by default.

        Returns
        -------
        float
        """
        inside = self.times[(self.times > lower) & (self.times < upper)]
        edges = np.concatenate([[lower], inside, [upper]])
        return float(np.diff(edges) @ self(edges[:-1]))

    def quantile(self, probability: float) -> float:
        r"""Return the first time at which :math:`1 - G(u) \ge` probability.

        Parameters
        ----------
        probability : float
            Between 0 and 1; 0.5 for the median.

        Returns
        -------
        float
            Infinite if the curve does not fall that far.
        """
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"probability={probability} must lie between 0 and 1.")
        # Rounding of a long product must not move a quantile by a whole step.
        reached = np.flatnonzero(1.0 - self.values >= probability - 1e-12)
        return float(self.times[reached[0]]) if len(reached) else np.inf

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        r"""Return pointwise intervals, symmetric on the scale :math:`\log(-\log G)`.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        DataFrame
            Columns ``conf_low`` and ``conf_high``, one row for each jump; NaN where the curve is 0
            or 1.

        Raises
        ------
        ValueError
            If the curve has no standard errors.
        """
        validation.check_level(level)
        if self.std_errors is None:
            raise ValueError("This curve has no standard errors; only Kaplan-Meier curves do.")
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(self.values)
            spread = norm.ppf(0.5 + level / 2.0) * self.std_errors / np.abs(self.values * log)
            low, high = self.values ** np.exp(spread), self.values ** np.exp(-spread)
        inside = (self.values > 0.0) & (self.values < 1.0)
        limits = {"conf_low": low, "conf_high": high}
        return pd.DataFrame({name: np.where(inside, v, np.nan) for name, v in limits.items()})

    def to_frame(self) -> pd.DataFrame:
        """Return jumps as a frame with columns ``time``, ``survival`` and, if known, errors.

        Returns
        -------
        DataFrame
        """
        columns = {"time": self.times, "survival": self.values}
        if self.std_errors is not None:
            columns["std_error"] = self.std_errors
        return pd.DataFrame(columns)
