"""What every model of censoring is: one protocol for weights, scores and transforms."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ...validation.frames import check_rows
from ..diagnostics import CensoringWarning, DependenceTest
from ..numerics.curves import count, evaluate, greenwood, survival
from ..steps import StepFunction
from ..targets import CensoredRows, read_rows
from .covariates import Covariates, n_rows

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Side = Literal["left", "right"]
Of = Literal["censoring", "event"]


class Curves(NamedTuple):
    r"""Values of curves and on how much they rest.

    Attributes
    ----------
    values : ndarray of shape (q, m)
    support : ndarray of shape (q,), or None
        Effective number of neighbours, :math:`(\sum b)^2 / \sum b^2`; None where all
        rows count.
    """

    values: Array
    support: Array | None = None


class CensoringModel(BaseEstimator, ABC):
    r"""Base class of models of the censoring survival :math:`G(u | x) = P(C > u | X = x)`.

    Every model is fitted to durations and to whether they ended in *the event of interest*; the
    indicator is never flipped by the caller. At a tied time events happen before censorings.
    With ``of="event"`` the same class estimates the survival of the event,
    :math:`S(u | x) = P(Y > u | X = x)`.

    Attributes
    ----------
    last_time_ : float
        Last time of which the data say anything.
    rows_ : CensoredRows
        What the model was fitted to.
    """

    of: Of
    _needs_covariates = True

    def fit(
        self,
        X: Any,
        time: Any,
        event: Any,
        *,
        entry: Any = None,
        sample_weight: Any = None,
        clusters: Any = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame, or None
            Covariates; a model without covariates ignores them.
        time : array-like of shape (n,)
            Time of the event or of censoring, whichever came first.
        event : array-like of shape (n,)
            1 where the event of interest was seen, 0 where the row was censored.
        entry : array-like of shape (n,), default=None
            Time from which a row was under observation.
        sample_weight : array-like of shape (n,), default=None
            Case weights.
        clusters : array-like of shape (n,), default=None
            Rows of one cluster are left out together.

        Returns
        -------
        CensoringModel
            The fitted model itself.

        Raises
        ------
        ValueError
            If durations are missing or negative, events are not 0 and 1, covariates are missing,
            or lengths differ.
        """
        if self.of not in ("censoring", "event"):
            raise ValueError(f"of={self.of!r} must be 'censoring' or 'event'.")
        rows = read_rows(time, event, entry=entry, sample_weight=sample_weight, clusters=clusters)
        return self.fit_rows(X, rows)

    def fit_rows(self, X: Any, rows: CensoredRows) -> Self:
        """Fit the model to rows that have been validated already.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame, or None
        rows : CensoredRows

        Returns
        -------
        CensoringModel
            The fitted model itself.
        """
        self.rows_ = rows
        self._counts = count(rows.time, rows.event, rows.weight, rows.entry)
        self._values = survival(self._counts, self.of)
        self.last_time_ = float(self._counts.times[-1])
        if self._needs_covariates:
            if X is None:
                raise ValueError(
                    f"{type(self).__name__} needs covariates X; without covariates use "
                    "KaplanMeierCensoring."
                )
            categorical = getattr(self, "categorical", None)
            self.covariates_ = Covariates.learn(X, len(rows), rows.weight, categorical)
            self.n_features_in_ = len(self.covariates_.names)
            if self.covariates_.constant:
                shown = ", ".join(map(repr, self.covariates_.constant[:5]))
                warnings.warn(
                    f"{type(self).__name__}: constant covariates say nothing about censoring and "
                    f"are left out: {shown}.",
                    CensoringWarning,
                    stacklevel=3,
                )
            self._fit(X, rows)
        else:
            self._fit(None, rows)
        return self

    @abstractmethod
    def _fit(self, X: Any, rows: CensoredRows) -> None:
        """Learn from validated rows."""

    @abstractmethod
    def _curves(self, X: Any, times: Array, side: Side) -> Curves:
        """Return values at times of shape (q, m), or (1, m) for all rows of X."""

    @abstractmethod
    def _training_curves(self, rows: Codes, times: Array, side: Side) -> Curves:
        """Return values for some of the training rows as they should be used."""

    @property
    def name(self) -> str:
        """Words for headers."""
        return type(self).__name__

    # What only some callers ask for is made when they do: rows may be millions.

    @property
    def jump_times_(self) -> Array:
        """Times at which the curve can jump, increasing."""
        return self._counts.times[self._counts.jumps(self.of) > 0.0]

    @property
    def marginal_(self) -> StepFunction:
        """The Kaplan-Meier curve of all rows, with Greenwood's standard errors."""
        jumps = self._counts.jumps(self.of) > 0.0
        return StepFunction(
            self._counts.times[jumps],
            self._values[jumps],
            greenwood(self._counts, self.of)[jumps],
            last=self.last_time_,
            label="Kaplan-Meier",
        )

    def survival(self, X: Any, times: Any, side: Side = "right") -> Array:
        """Return the survival of rows at their own times.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame, or None
            Covariates; None for a model without them.
        times : array-like of shape (n,) or (n, m)
            One or m times for each row.
        side : {"right", "left"}, default="right"
            Whether jumps at the times themselves have happened: P(C > t) or P(C >= t).

        Returns
        -------
        ndarray of the shape of times

        Warns
        -----
        CensoringWarning
            If a time lies past the last one of the data; the value there is returned.
        """
        at = self._check_times(times)
        grid = at.reshape(len(at), -1)
        if X is not None:
            check_rows(n_rows(X), len(at), "times")
        return self._curves(X, grid, side).values.reshape(at.shape)

    def survival_grid(self, X: Any, grid: Any, side: Side = "right") -> Array:
        """Return the survival of rows at common times.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame, or None
        grid : array-like of shape (m,)
        side : {"right", "left"}, default="right"

        Returns
        -------
        ndarray of shape (n, m)
            One row if X is None.
        """
        at = self._check_times(grid)[None, :]
        n = 1 if X is None else n_rows(X)
        return np.broadcast_to(self._curves(X, at, side).values, (n, at.shape[1])).copy()

    def values_at(self, X: Any, times: Array, side: Side = "right") -> Array:
        """Return the survival of rows at common or own times, without any check.

        Parameters
        ----------
        X : array-like of shape (q, p) or frame
        times : ndarray of shape (1, m) or (q, m)
        side : {"right", "left"}, default="right"

        Returns
        -------
        ndarray of shape (q, m), or (1, m) if the model has no covariates and times are common
        """
        return self._curves(X, times, side).values

    def training_survival(self, times: Any, side: Side = "right") -> Array:
        """Return the survival of the training rows, each without its own influence if possible.

        Parameters
        ----------
        times : array-like of shape (n,) or (n, m)
            One or m times for each training row.
        side : {"right", "left"}, default="right"

        Returns
        -------
        ndarray of the shape of times
        """
        return self.training_curves(times, side).values.reshape(np.shape(times))

    def training_curves(self, times: Any, side: Side = "right", rows: Any = None) -> Curves:
        """Return the same with the effective number of neighbours of each row.

        Parameters
        ----------
        times : array-like of shape (n,) or (n, m)
            One or m times for each training row, whichever of them are asked for.
        side : {"right", "left"}, default="right"
        rows : array-like of int, default=None
            Positions of the training rows that are asked for; all if None.

        Returns
        -------
        Curves
            Values of shape (len(rows), m).
        """
        at = self._check_times(times)
        check_rows(len(at), len(self.rows_), "times")
        chosen = np.arange(len(at)) if rows is None else np.asarray(rows, dtype=np.intp)
        grid = at.reshape(len(at), -1)
        return self._training_curves(chosen, grid if rows is None else grid[chosen], side)

    def training_grid(self, grid: Any, side: Side = "right", rows: Any = None) -> Array:
        """Return the survival of training rows at common times, as ``training_survival`` does.

        Parameters
        ----------
        grid : array-like of shape (m,)
        side : {"right", "left"}, default="right"
        rows : array-like of int, default=None
            Positions of training rows; all if None.

        Returns
        -------
        ndarray of shape (len(rows), m)
        """
        at = self._check_times(grid)[None, :]
        chosen = np.arange(len(self.rows_)) if rows is None else np.asarray(rows, dtype=np.intp)
        values = self._training_curves(chosen, at, side).values
        return np.broadcast_to(values, (len(chosen), at.shape[1])).copy()

    def training_values(self, rows: Codes, times: Array, side: Side = "right") -> Array:
        """Return the survival of some training rows at common or own times.

        Parameters
        ----------
        rows : ndarray of int of shape (q,)
        times : ndarray of shape (1, m) or (q, m)
        side : {"right", "left"}, default="right"

        Returns
        -------
        ndarray of shape (q, m)
        """
        values = self._training_curves(rows, times, side).values
        return np.broadcast_to(values, (len(rows), times.shape[1]))

    def curve(self, x: Any = None) -> StepFunction:
        """Return the curve at one point, or without covariates.

        Parameters
        ----------
        x : array-like of shape (p,) or a frame of one row, default=None
            Values of the covariates.

        Returns
        -------
        StepFunction
        """
        if self._needs_covariates and x is None:
            raise ValueError(f"{type(self).__name__} depends on covariates; pass their values, x.")
        values = self.survival_grid(self._one_row(x), self.jump_times_)[0]
        return StepFunction(self.jump_times_, values, last=self.last_time_, label=self.name)

    def _one_row(self, x: Any) -> Any:
        if not self._needs_covariates:
            return None
        return x if np.ndim(x) == 2 else self.covariates_.as_row(x)

    def _check_times(self, times: Any) -> Array:
        check_is_fitted(self, "rows_")
        at = np.asarray(times, dtype=float)
        if at.ndim not in (1, 2):
            raise ValueError(f"times must have one or two dimensions, got {at.ndim}.")
        if np.isnan(at).any():
            raise ValueError(f"times: {np.isnan(at).sum():,} are missing (NaN).")
        if at.size and at.max() > self.last_time_:
            past = np.unique(at[at > self.last_time_])
            # The next float after the last time stands for "just after" and asks nothing new.
            if past[-1] > np.nextafter(self.last_time_, np.inf):
                warnings.warn(
                    f"Survival was asked for at {past[-1]:g}, past the last time in the data, "
                    f"{self.last_time_:g}; its value there is returned.",
                    CensoringWarning,
                    stacklevel=3,
                )
        return at

    def marginal(self, times: Array, side: Side = "right") -> Array:
        """Return the curve of all rows without covariates.

        Parameters
        ----------
        times : ndarray of any shape
        side : {"right", "left"}, default="right"

        Returns
        -------
        ndarray of the shape of times
        """
        return evaluate(self._counts.times, self._values, times, side)

    def dependence(self, X: Any) -> DependenceTest | None:
        """Test whether censoring depends on covariates, once for the rows of the model.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame

        Returns
        -------
        DependenceTest or None
            None where nobody is censored, covariates do not vary, or there is no maximum.
        """
        from .cox import dependence_test

        if not hasattr(self, "_dependence"):
            self._dependence = dependence_test(X, self.rows_, self.of)
        return self._dependence
