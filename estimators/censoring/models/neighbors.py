"""Censoring given covariates by nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ..numerics.bandwidth import BrierScore
from ..numerics.kernels import KERNELS
from ..numerics.local import chunks, listed_curves, sort_rows
from ..targets import CensoredRows
from .base import Array, CensoringModel, Codes, Curves, Of, Side
from .beran import EFFECTIVE_NEIGHBORS
from .kaplan_meier import KaplanMeierCensoring
from .selection import Candidate, best, generator, scoring, selection_table

# Ties at the last distance are broken by this order, never by that of the rows, which may be time.
TREE_SEED = 5


class NeighborsCensoring(CensoringModel):
    r"""Kaplan-Meier curve of censoring among the nearest neighbours.

    The product-limit curve of `BeranCensoring` with :math:`b_j(x) = 1` for the k rows nearest to x
    in the Euclidean distance of standardised covariates (categories as indicators), or with
    :math:`b_j(x) = K(\rho_j / \rho_{(k)})` for distances :math:`\rho`.

    Parameters
    ----------
    n_neighbors : {"brier", "rule"} or int, default="brier"
        "brier" takes from ``candidates``, and from the curve without covariates, what predicts
        rows best that are left out; "rule" is max(20, n^(2/3)).
    kernel : str, default="uniform"
        One of ``"uniform"``, ``"gaussian"``, ``"epanechnikov"``,
        ``"triangular"``, ``"biweight"`` and ``"tricube"``.
    standardize : bool, default=True
        Whether numeric covariates are divided by their standard deviations.
    leave_one_out : bool, default=True
        Whether a training row is not its own neighbour, nor are rows of its cluster.
    candidates : sequence of int, default=(15, 30, 60, 120, 240, 480)
        Numbers of neighbours to choose from.
    horizon : float, default=None
        Time up to which candidates are scored; the automatic one if None.
    of : {"censoring", "event"}, default="censoring"
        Whose survival is estimated.
    random_state : int, Generator, RandomState or None, default=None
        For the rows on which candidates are scored, where there are more than 1,000.

    Attributes
    ----------
    n_neighbors_ : int
        The number of rows if the curve without covariates was chosen.
    selection_ : DataFrame or None
        Scores of the candidates.
    last_time_ : float
        Last time of which the data say anything.
    rows_ : CensoredRows
        What the model was fitted to.

    References
    ----------
    Beran, R. (1981). Nonparametric regression with randomly censored survival data. Technical
    report, University of California, Berkeley.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import NeighborsCensoring
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> duration, censored = rng.exponential(size=200), rng.exponential(np.exp(x[:, 0]))
    >>> model = NeighborsCensoring(n_neighbors=40)
    >>> model = model.fit(x, np.minimum(duration, censored), duration <= censored)
    >>> low, high = model.survival([[-1.0, 0.0], [1.0, 0.0]], [0.5, 0.5])
    >>> bool(low < high)
    True
    """

    def __init__(
        self,
        *,
        n_neighbors: Any = "brier",
        kernel: str = "uniform",
        standardize: bool = True,
        leave_one_out: bool = True,
        candidates: Sequence[int] = EFFECTIVE_NEIGHBORS,
        horizon: float | None = None,
        of: Of = "censoring",
        random_state: Any = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.kernel = kernel
        self.standardize = standardize
        self.leave_one_out = leave_one_out
        self.candidates = candidates
        self.horizon = horizon
        self.of = of
        self.random_state = random_state

    @property
    def name(self) -> str:
        """Words for headers."""
        if not hasattr(self, "n_neighbors_"):
            return "Nearest neighbours"
        if self._is_marginal:
            return "Nearest neighbours (all rows alike: Kaplan-Meier)"
        return f"Nearest neighbours ({self.n_neighbors_:,}, {self.kernel})"

    @property
    def _is_marginal(self) -> bool:
        return self.n_neighbors_ >= len(self.rows_)

    def _fit(self, X: Any, rows: CensoredRows) -> None:
        self._check_options(len(rows))
        self.prepare(X, rows)
        self.selection_ = None
        if isinstance(self.n_neighbors, str) and self.n_neighbors == "brier":
            score = scoring(rows, self.horizon, self.of, generator(self.random_state))
            found = [self.marginal_candidate(score), *self.score_candidates(score)]
            chosen = best(found)
            self.selection_ = selection_table(found, chosen)
            self.n_neighbors_ = chosen.value
        elif isinstance(self.n_neighbors, str):
            self.n_neighbors_ = int(max(20.0, len(rows) ** (2 / 3)))
        else:
            self.n_neighbors_ = int(self.n_neighbors)

    def prepare(self, X: Any, rows: CensoredRows) -> None:
        """Read covariates, sort rows and build the tree; what comes before the choice of k.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame
        rows : CensoredRows
        """
        self._points = self._as_points(X)
        self._order = sort_rows(rows.time, rows.event, rows.weight, rows.entry, self.of)
        # Only rows that count can be neighbours, in an order that means nothing.
        able = np.arange(len(rows)) if rows.weight is None else np.flatnonzero(rows.weight > 0.0)
        self._shuffled = np.random.default_rng(TREE_SEED).permutation(able)
        self._tree = cKDTree(self._points[self._shuffled])
        self._ranks = self._order.ranks()
        # Of the largest cluster every row might have to be passed over.
        clusters = rows.clusters
        self._most_passed = 1
        if clusters is not None:
            sizes = [np.bincount(column).max() for column in clusters.reshape(len(rows), -1).T]
            self._most_passed = int(sum(sizes))

    def _as_points(self, X: Any) -> Array:
        return self.covariates_.design(X, standardize=self.standardize)

    # ------------------------------------------------------------------- number of neighbours

    def marginal_candidate(self, score: BrierScore) -> Candidate:
        """Score the leave-one-out curve without covariates.

        Parameters
        ----------
        score : BrierScore

        Returns
        -------
        Candidate
        """
        model = KaplanMeierCensoring(leave_one_out=True, of=self.of).fit_rows(None, self.rows_)
        values = model.training_values(score.rows, score.times)
        return Candidate("Kaplan-Meier", score(values), len(self.rows_))

    def score_candidates(self, score: BrierScore) -> list[Candidate]:
        """Score numbers of neighbours, the largest first, with one search for all of them.

        Parameters
        ----------
        score : BrierScore

        Returns
        -------
        list of Candidate
        """
        sizes = sorted({int(k) for k in self.candidates if k < 0.8 * len(self._shuffled)})
        values = {k: np.empty((len(score.rows), score.times.shape[1])) for k in sizes}
        for part in chunks(len(score.rows), 4 * sizes[-1]) if sizes else ():
            rows = score.rows[part]
            listed, distance = self._search(self._points[rows], sizes[-1], rows)
            times = score.times if len(score.times) == 1 else score.times[part]
            for k in sizes:
                weights = self._weights(distance[:, :k])
                values[k][part] = listed_curves(
                    self._order, listed[:, :k], weights, times, "right"
                )[0]
        return [Candidate(f"{k} neighbours", score(values[k]), k) for k in reversed(sizes)]

    # ---------------------------------------------------------------------------- curves

    def _search(self, points: Array, k: int, own: Codes | None) -> tuple[Codes, Array]:
        """Return positions in time, nearest first, and distances; short lists end with n."""
        n, able = len(self._order), len(self._shuffled)
        if own is None or not self.leave_one_out:
            distance, found = self._query(points, min(k, able))
            return self._ranks[found], distance
        distance, found = self._query(points, min(k + self._most_passed, able))
        others = self._others(found, own)
        # The k nearest of the others come first, in their order.
        first = np.argsort(~others, axis=1, kind="stable")[:, :k]
        listed = np.where(others, self._ranks[found], n)
        listed = np.take_along_axis(listed, first, axis=1)
        return listed, np.take_along_axis(distance, first, axis=1)

    def _query(self, points: Array, k: int) -> tuple[Array, Codes]:
        distance, found = self._tree.query(points, k=np.arange(1, k + 1))
        return np.asarray(distance), self._shuffled[np.asarray(found)]

    def _others(self, found: Codes, own: Codes) -> Any:
        clusters = self.rows_.clusters
        if clusters is None:
            return found != own[:, None]
        codes = clusters.reshape(len(clusters), -1)
        return (codes[found] != codes[own][:, None, :]).all(axis=2)

    def _weights(self, distance: Array) -> Array | None:
        if self.kernel == "uniform":
            return None
        furthest = distance[:, -1:].copy()
        furthest[furthest == 0.0] = 1.0
        return KERNELS[self.kernel](np.square(distance / furthest))

    def _local_curves(self, points: Array, times: Array, side: Side, own: Codes | None) -> Curves:
        values = np.empty((len(points), times.shape[1]))
        support = np.empty(len(points))
        width = 4 * (self.n_neighbors_ + self._most_passed) + times.shape[1]
        for part in chunks(len(points), width):
            rows = None if own is None else own[part]
            listed, distance = self._search(points[part], self.n_neighbors_, rows)
            at = times if len(times) == 1 else times[part]
            values[part], support[part] = listed_curves(
                self._order, listed, self._weights(distance), at, side
            )
        return Curves(values, support)

    def _curves(self, X: Any, times: Array, side: Side) -> Curves:
        if self._is_marginal:
            return Curves(self.marginal(times, side))
        return self._local_curves(self._as_points(X), times, side, None)

    def _training_curves(self, rows: Codes, times: Array, side: Side) -> Curves:
        if self._is_marginal:
            return Curves(self.marginal(times, side))
        return self._local_curves(self._points[rows], times, side, rows)

    def _check_options(self, n: int) -> None:
        if self.kernel not in KERNELS:
            raise ValueError(
                f"kernel={self.kernel!r} must be one of {', '.join(map(repr, KERNELS))}."
            )
        k = self.n_neighbors
        if isinstance(k, str):
            if k not in ("brier", "rule"):
                raise ValueError(f"n_neighbors={k!r} must be 'brier', 'rule' or a number.")
        elif not (1 <= k <= n):
            raise ValueError(f"n_neighbors={k} must lie between 1 and the number of rows, {n:,}.")
