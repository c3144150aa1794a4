"""Censoring given covariates by the leaves that rows share in a random forest."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.ensemble import RandomForestRegressor

from ..numerics.curves import count, cumulative_hazard, evaluate
from ..numerics.local import chunks, listed_curves, sort_rows
from ..targets import CensoredRows
from .base import Array, CensoringModel, Codes, Curves, Of, Side
from .selection import folds_of, generator

APPLIED = 5000


class ForestCensoring(CensoringModel):
    r"""Kaplan-Meier curve of censoring with the weights of a random forest.

    The product-limit curve of `BeranCensoring` with

    .. math::

        b_j(x) = \frac1B \sum_{b=1}^B \frac{1\{x_j \in L_b(x)\}}{|L_b(x)|}

    where :math:`L_b(x)` is the leaf of x in tree b. Trees are grown on the martingale residuals
    of censoring, :math:`(1 - d_i) - \hat\Lambda_C(t_i)`. The curve of a training row uses the
    trees that were grown without it, and no leaf counts the row itself; with clusters, the trees
    of a forest grown without its fold of clusters.

    Parameters
    ----------
    n_estimators : int, default=150
        Trees.
    min_samples_leaf : int, default=15
    max_features : float, int or str, default=1.0
        Covariates tried at a split, as in scikit-learn.
    n_folds : int, default=5
        Parts of the clusters, where there are clusters.
    of : {"censoring", "event"}, default="censoring"
        Whose survival is estimated.
    random_state : int, Generator, RandomState or None, default=None
    n_jobs : int, default=None
        Processes that grow trees.

    Attributes
    ----------
    forest_ : RandomForestRegressor
    last_time_ : float
        Last time of which the data say anything.
    rows_ : CensoredRows
        What the model was fitted to.

    References
    ----------
    Meinshausen, N. (2006). Quantile regression forests. *Journal of Machine Learning Research* 7,
    983-999. https://jmlr.org/papers/v7/meinshausen06a.html

    Ausset, G., Clémençon, S. and Portier, F. (2022). Empirical risk minimization under random
    censorship. *Journal of Machine Learning Research* 23, 1-59. https://jmlr.org/papers/v23/19-450.html

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import ForestCensoring
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(300, 2))
    >>> duration, censored = rng.exponential(size=300), rng.exponential(np.exp(x[:, 0]))
    >>> model = ForestCensoring(n_estimators=30, random_state=0)
    >>> model = model.fit(x, np.minimum(duration, censored), duration <= censored)
    >>> low, high = model.survival([[-1.0, 0.0], [1.0, 0.0]], [0.5, 0.5])
    >>> bool(low < high)
    True
    """

    def __init__(
        self,
        *,
        n_estimators: int = 150,
        min_samples_leaf: int = 15,
        max_features: Any = 1.0,
        n_folds: int = 5,
        of: Of = "censoring",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.n_folds = n_folds
        self.of = of
        self.random_state = random_state
        self.n_jobs = n_jobs

    @property
    def name(self) -> str:
        """Words for headers."""
        return f"Forest ({self.n_estimators:,} trees)"

    def _fit(self, X: Any, rows: CensoredRows) -> None:
        rng = generator(self.random_state)
        self._order = sort_rows(rows.time, rows.event, rows.weight, rows.entry, self.of)
        self._design = self.covariates_.design(X)
        signal = martingale_residuals(rows, self.of)
        everyone = np.arange(len(rows))
        self._whole = _Leaves(self._grow(everyone, signal, rng), self._design, self._order.order)
        self.forest_ = self._whole.forest
        self._folds: list[tuple[Codes, _Leaves]] = []
        if rows.clusters is not None:
            for predict, train in folds_of(rows, self.n_folds, rng):
                is_train = np.isin(self._order.order, train)
                forest = self._grow(train, signal, rng)
                leaves = _Leaves(forest, self._design, self._order.order, is_train)
                self._folds.append((predict, leaves))

    def _grow(self, rows: Codes, signal: Array, rng: np.random.Generator) -> Any:
        forest = RandomForestRegressor(
            n_estimators=self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            bootstrap=True,
            random_state=int(rng.integers(2**31 - 1)),
            n_jobs=self.n_jobs,
        )
        weight = self.rows_.weight
        return forest.fit(
            self._design[rows], signal[rows], None if weight is None else weight[rows]
        )

    def _curves(self, X: Any, times: Array, side: Side) -> Curves:
        return self._local_curves(self._whole, self.covariates_.design(X), times, side)

    def _training_curves(self, rows: Codes, times: Array, side: Side) -> Curves:
        if not self._folds:
            return self._local_curves(self._whole, self._design[rows], times, side, rows)
        values = np.empty((len(rows), times.shape[1]))
        support = np.empty(len(rows))
        for predict, leaves in self._folds:
            here = np.flatnonzero(np.isin(rows, predict))
            at = times if len(times) == 1 else times[here]
            part = self._local_curves(leaves, self._design[rows[here]], at, side)
            values[here], support[here] = part.values, part.support
        return Curves(values, support)

    def _local_curves(
        self, leaves: _Leaves, design: Array, times: Array, side: Side, own: Codes | None = None
    ) -> Curves:
        values = np.empty((len(design), times.shape[1]))
        support = np.empty(len(design))
        # Two leaves' rows for each tree are what lists are long at most, or nearly.
        width = min(len(self._order), 2 * self.n_estimators * self.min_samples_leaf)
        for start in range(0, len(design), APPLIED):
            # Finding leaves has a cost for each call, lists have one for each row.
            found = leaves.forest.apply(design[start : start + APPLIED])
            for part in chunks(len(found), 4 * width + times.shape[1]):
                whole = slice(start + part.start, start + part.stop)
                listed, weights = leaves.lists(found[part], None if own is None else own[whole])
                at = times if len(times) == 1 else times[whole]
                values[whole], support[whole] = listed_curves(
                    self._order, listed, weights, at, side
                )
        return Curves(values, support)


class _Leaves:
    """Which rows share the leaves of a forest."""

    def __init__(self, forest: Any, design: Array, order: Codes, is_member: Any = None) -> None:
        self.forest = forest
        self._order = order
        leaves = forest.apply(design[order])
        # Numbers of leaves that differ between trees.
        sizes = [tree.tree_.node_count for tree in forest.estimators_]
        self._offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._shape = (len(order), int(np.sum(sizes)))
        members = np.ones(len(order)) if is_member is None else is_member.astype(float)
        table = self._table(leaves, np.broadcast_to(members[:, None], leaves.shape))
        self._sizes = np.asarray(table.sum(axis=0)).ravel()
        self._members = table.T.tocsr()

    def _table(self, leaves: Codes, values: Array) -> Any:
        """Return values by point and leaf, as a sparse matrix."""
        n, n_trees = leaves.shape
        columns = (leaves + self._offsets).ravel()
        bounds = np.arange(0, n * n_trees + 1, n_trees)
        return sparse.csr_array((values.ravel(), columns, bounds), shape=(n, self._shape[1]))

    def lists(self, leaves: Codes, own: Codes | None) -> tuple[Codes, Array]:
        """Return the rows in leaves of points, by position in time, and their weights.

        Parameters
        ----------
        leaves : ndarray of int of shape (q, n_trees)
        own : ndarray of int of shape (q,), or None
            Which rows the points are, if they are rows.

        Returns
        -------
        listed : ndarray of int of shape (q, k)
            Filled up with n.
        weights : ndarray of shape (q, k)
        """
        sizes = self._sizes[leaves + self._offsets]
        if own is None:
            share = np.ones(leaves.shape)
        else:
            share, sizes = self._out_of_bag[own].astype(float), sizes - 1.0
        share = np.where(sizes > 0.0, share / np.maximum(sizes, 1.0), 0.0)
        # Zeros that are stored would fill the lists.
        points = self._table(leaves, share)
        points.eliminate_zeros()
        weights = (points @ self._members).tocsr()
        weights.eliminate_zeros()
        weights.sort_indices()
        listed, local = _rectangular(weights, len(self._order))
        if own is not None:
            local[listed == self._ranks[own][:, None]] = 0.0
        return listed, local

    @property
    def _ranks(self) -> Codes:
        ranks = np.empty(len(self._order), dtype=np.intp)
        ranks[self._order] = np.arange(len(self._order))
        return ranks

    @property
    def _out_of_bag(self) -> Any:
        """Whether each row was left out of each tree, shape (n, n_trees)."""
        if not hasattr(self, "_left_out"):
            left_out = np.ones((len(self._order), len(self.forest.estimators_)), dtype=bool)
            for b, drawn in enumerate(self.forest.estimators_samples_):
                left_out[drawn, b] = False
            self._left_out = left_out
        return self._left_out


def _rectangular(matrix: Any, fill: int) -> tuple[Codes, Array]:
    """Return columns and values of a sparse matrix as full arrays, filled up at the end."""
    lengths = np.diff(matrix.indptr)
    width = max(1, int(lengths.max(initial=0)))
    inside = np.arange(width) < lengths[:, None]
    columns = np.full(inside.shape, fill, dtype=np.intp)
    values = np.zeros(inside.shape)
    columns[inside], values[inside] = matrix.indices, matrix.data
    return columns, values


def martingale_residuals(rows: CensoredRows, of: Of) -> Array:
    r"""Return :math:`1\{\text{fell out}\} - (\hat\Lambda(t_i) - \hat\Lambda(e_i))`.

    Parameters
    ----------
    rows : CensoredRows
    of : {"censoring", "event"}

    Returns
    -------
    ndarray of shape (n,)
    """
    counts = count(rows.time, rows.event, rows.weight, rows.entry)
    hazard = cumulative_hazard(counts, of)
    # A row with an event at v is not at risk of being censored at v.
    at_own = hazard[counts.codes]
    if of == "censoring":
        before = np.concatenate([[0.0], hazard])[counts.codes]
        at_own = np.where(rows.event, before, at_own)
    if rows.entry is not None:
        at_own = at_own - evaluate(counts.times, hazard, rows.entry, "right", start=0.0)
    fell = rows.event if of == "event" else ~rows.event
    residuals: Array = fell - at_own
    return residuals
