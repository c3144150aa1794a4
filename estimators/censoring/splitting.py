"""Folds for censored durations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.validation import _num_samples

from .targets import read_target

Codes = NDArray[np.intp]


class CensoredStratifiedKFold(StratifiedKFold):
    """Folds with equal shares of events, and of short and long durations.

    scikit-learn's ``StratifiedKFold`` takes classes only; durations with events are put into
    strata here: events and censorings apart, each cut at quantiles of its times.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    n_bins : int, default=4
        Groups of durations within events and within censorings; 1 spreads events alone.
    shuffle : bool, default=False
        Whether to shuffle rows within strata.
    random_state : int, RandomState or None, default=None
        Seeds the shuffling.

    See Also
    --------
    CensoredScorer

    Examples
    --------
    >>> from trueness.censoring import CensoredStratifiedKFold, survival_target
    >>> y = survival_target([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 0, 0, 1, 1, 0, 0])
    >>> folds = CensoredStratifiedKFold(n_splits=2).split(range(8), y)
    >>> [y["event"][test].sum().item() for _, test in folds]
    [2, 2]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        n_bins: int = 4,
        shuffle: bool = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(n_splits=n_splits, shuffle=shuffle, random_state=random_state)
        self.n_bins = n_bins

    def split(
        self, X: Any, y: Any, groups: Any = None, *, event: Any = None
    ) -> Iterator[tuple[Codes, Codes]]:
        """Yield positions of training and test rows.

        Parameters
        ----------
        X : array or frame of shape (n, p)
            Only its number of rows matters.
        y : structured array, frame, or array of shape (n,)
            Durations and events as made by `survival_target`; plain durations need ``event``, or
            are all taken for events.
        groups : object, default=None
            Ignored; here for compatibility.
        event : array of shape (n,), default=None
            1 for an event, 0 for censoring, where ``y`` does not say.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If the input is invalid, or there are fewer rows than folds.
        """
        del groups
        n_rows = _num_samples(X)
        rows, _ = read_target(y, event, n_rows=n_rows)
        strata = self._strata(rows.time, rows.event)
        if strata is None:
            random_state = self.random_state
            plain = KFold(self.n_splits, shuffle=self.shuffle, random_state=random_state)
            yield from plain.split(np.empty((n_rows, 1)))
        else:
            yield from super().split(np.empty((n_rows, 1)), strata)

    def _strata(self, time: NDArray[np.float64], event: NDArray[np.bool_]) -> Codes | None:
        """Return strata of at least as many rows as there are folds; None if there is only one."""
        if not isinstance(self.n_bins, int | np.integer) or self.n_bins < 1:
            raise ValueError(f"n_bins={self.n_bins!r} must be a positive integer.")
        strata = np.zeros(len(time), dtype=np.intp)
        start = 0
        for kind in (True, False):
            chosen = np.flatnonzero(event == kind)
            if len(chosen) < self.n_splits:
                # Too few for a stratum of their own: they join the last one.
                strata[chosen] = max(start - 1, 0)
                continue
            bins = min(int(self.n_bins), len(chosen) // self.n_splits)
            by_time = chosen[np.argsort(time[chosen], kind="stable")]
            for number, part in enumerate(np.array_split(by_time, bins)):
                strata[part] = start + number
            start += bins
        return strata if start > 1 else None
