"""The true survival curves in the place of an estimated model."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .laws import Array, DurationLaw, Side


class KnownSurvival(BaseEstimator):
    """The true conditional survival curve of censoring times or durations; fitting changes nothing.

    Parameters
    ----------
    law : DurationLaw
        Where the curves come from.
    of : {"censoring", "event"}, default="censoring"
        The curve of C or that of Y.

    Examples
    --------
    >>> from trueness.simulations import make_censored_durations
    >>> sample = make_censored_durations(n_rows=3, random_state=0)
    >>> X, y = sample.observed.values()
    >>> model = sample.censoring_model.fit(X, y["time"], y["event"])
    >>> model.survival(X, y["time"], side="left").shape
    (3,)
    """

    def __init__(self, law: DurationLaw, *, of: Literal["censoring", "event"] = "censoring"):
        self.law = law
        self.of = of

    def fit(self, X: Any, time: Any, event: Any, **_: Any) -> Self:
        """Keep the covariates, for `training_survival`."""
        self._X = np.asarray(X, dtype=float)
        return self

    def survival(self, X: ArrayLike, times: ArrayLike, side: Side = "right") -> Array:
        """Return the probability of outlasting given times, of shape (n,) or (n, m)."""
        curve = self.law.censoring_survival if self.of == "censoring" else self.law.survival
        return curve(X, times, side)

    def survival_grid(self, X: ArrayLike, grid: ArrayLike, side: Side = "right") -> Array:
        """Return the probabilities of outlasting the same times in all rows, shape (n, m)."""
        times = np.asarray(grid, dtype=float)
        return self.survival(X, np.broadcast_to(times, (len(np.asarray(X)), len(times))), side)

    def training_survival(self, times: ArrayLike, side: Side = "right") -> Array:
        """Return `survival` for the rows of the fit."""
        return self.survival(self._X, times, side)
