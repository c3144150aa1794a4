r"""Absorbing fixed effects: what is left of columns when all their dummies are partialled out.

With the dummy columns D of all effects and analysis weights W, the projection is
:math:`P = D (D'WD)^+ D'W` and the within transformation :math:`x - Px`. By Frisch, Waugh and
Lovell, regressions of transformed columns have the slopes of regressions with dummies.

The effect with the most levels is eliminated by its group means. What remains is a linear system
in the levels of the other effects, for two effects the Laplacian of a graph that joins levels
which meet in a level of the first. It is solved by a dense Cholesky factor when it is small, by
conjugate gradients when they converge fast, and else by a sparse factor. Every solution is
refined on the rows themselves until the residuals no longer change, so that all three ways are
exact to rounding.

Arrays in, arrays out; nothing here knows about users.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .level_system import (
    DENSE_BLOCK,
    EPS,
    ConjugateGradients,
    DenseFactor,
    Solver,
    SparseFactor,
    System,
    distinct_effects,
    independent,
    indicators,
)

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

# A change of the fitted values below this share of the residuals is not worth applying.
REFINED = 1e-13
# Badly connected levels magnify rounding; changes may then stop falling below this share of the
# column.
ROUNDING = 1e-10
MAX_REFINEMENTS = 30
# Largest ratio of two weights at which the solutions were found exact, dense and other.
DENSE_SPAN, LARGE_SPAN = 1e10, 1e6
# Random signs over which leverages in large systems are averaged.
SIGN_DRAWS = 400
# Rows up to which sums over all pairs of rows are exact.
EXACT_ROWS = 1000


class FixedEffects:
    r"""The projection onto the dummies of one or more fixed effects.

    .. math:: P x = D \hat\theta, \qquad
        \hat\theta = \arg\min_\theta \sum_i w_i (x_i - D_i \theta)^2

    Parameters
    ----------
    codes : ndarray of int of shape (n, m)
        Level of each row in each of m effects; column j has all of 0, ..., L_j - 1.
    weight : ndarray of shape (n,), default=None
        Positive analysis weights; None weighs all rows alike.
    dense_levels : int, default=2500
        Up to this many levels outside the largest effect, a dense factor is used.
    max_iterations : int, default=500
        Conjugate gradients are used for larger systems if a trial needs no more iterations; else
        a sparse factor. 0 always takes the factor.

    Attributes
    ----------
    rank : int
        Rank of D. Exact for one and two effects, and for more when the dense factor is used.
        Otherwise an upper limit: each other effect loses one level for every set of its levels
        that the largest effect connects.
    rank_is_exact : bool

    Raises
    ------
    ValueError
        If the weights differ by so many orders of magnitude that several effects cannot be told
        apart exactly: by more than 1e10, or 1e6 without the dense factor.
    MemoryError
        If the sparse factor does not fit.

    References
    ----------
    Guimarães, P., & Portugal, P. (2010). A simple feasible procedure to fit models with
    high-dimensional fixed effects. *Stata Journal, 10*, 628-649.
    https://doi.org/10.1177/1536867X1101000406

    Examples
    --------
    >>> import numpy as np
    >>> unit, year = [0, 0, 1, 1, 2], [0, 1, 0, 1, 1]
    >>> effects = FixedEffects(np.column_stack([unit, year]))
    >>> effects.rank
    4
    >>> np.round(effects.within(np.array([1.0, 2.0, 3.0, 6.0, 9.0])), 12)
    array([ 0.5, -0.5, -0.5,  0.5,  0. ])
    """

    def __init__(
        self,
        codes: Codes,
        weight: Array | None = None,
        *,
        dense_levels: int = 2500,
        max_iterations: int = 500,
    ) -> None:
        first, *others = distinct_effects(codes)
        ones = np.ones(len(codes))
        self._weight = ones if weight is None else weight
        self._first = first
        self._first_sums = indicators([first], self._weight).T
        self._totals = np.bincount(first, self._weight)[:, None]
        self._solver: Solver | None = None
        self.rank = len(self._totals)
        self.rank_is_exact = True
        if not others:
            return
        self._dummies = indicators(others, ones)
        self._sums = self._dummies.T if weight is None else indicators(others, weight).T
        self._system = system = System.of(first, others, self._weight)
        kept = system.grounded
        is_small = system.n_levels <= dense_levels
        _check_span(self._weight, DENSE_SPAN if is_small else LARGE_SPAN)
        if is_small:
            schur = system.dense()
            if len(others) > 1:
                # Weights do not change which levels are redundant; counts tell it most clearly.
                counts = schur if weight is None else System.of(first, others, ones).dense()
                kept = kept[independent(counts[np.ix_(kept, kept)])]
            self._solver = DenseFactor(schur, kept)
        else:
            self._solver = self._solver_of_large_system(max_iterations)
            self.rank_is_exact = len(others) == 1
        self.rank += len(kept)

    def _solver_of_large_system(self, max_iterations: int) -> Solver:
        """Return conjugate gradients where they solve a random column fast, else a sparse factor.

        Gradients are slow on badly connected graphs, whose factors are sparse; on well connected
        ones it is the other way round.
        """
        gradients = ConjugateGradients(self._system, 4 * max_iterations)
        trial = np.random.default_rng(0).normal(size=(len(self._first), 1))
        floor = 4.0 * EPS * self._norm(trial)
        self._demean(trial)
        if gradients.iterate(self._sums @ trial, floor, max_iterations)[1]:
            return gradients
        return SparseFactor(self._system)

    def within(self, columns: Array) -> Array:
        """Return the within transformation :math:`x - Px` of each column.

        More accurate than subtracting `project` where the effects explain nearly everything.

        Parameters
        ----------
        columns : ndarray of shape (n,) or (n, k)

        Returns
        -------
        ndarray of the same shape

        Raises
        ------
        RuntimeError
            If the solution does not reach the accuracy of rounding.
        """
        columns = np.asarray(columns, dtype=np.float64)
        residual = np.array(columns.reshape(len(columns), -1), order="C")
        size = self._norm(residual - residual.mean(axis=0))
        self._demean(residual)
        if self._solver is None:
            self._demean(residual)  # what the rounding of large means has left
        else:
            self._refine(residual, size, self._solver)
        return residual.reshape(columns.shape)

    def project(self, columns: Array) -> Array:
        """Return :math:`Px`, the fitted values of each column on all dummies.

        Parameters
        ----------
        columns : ndarray of shape (n,) or (n, k)

        Returns
        -------
        ndarray of the same shape
        """
        return np.asarray(columns, dtype=np.float64) - self.within(columns)

    def leverage(self, rows: Codes) -> Array:
        r"""Return the diagonal of P on some rows: how much each is fitted to itself.

        Exact where a dense factor is used. On larger systems it is averaged over random signs,
        as :math:`P_{ii} = E\,(Pr)_i^2` under unit weights (Kline, Saggio and Sølvsten 2020,
        https://doi.org/10.3982/ECTA16410); with `SIGN_DRAWS` draws a value is known to about 7
        percent, and sums over many rows far better.

        Parameters
        ----------
        rows : ndarray of int of shape (m,)

        Returns
        -------
        ndarray of shape (m,)
        """
        weight = self._weight[rows]
        diagonal: Array = weight / self._totals[self._first[rows], 0]
        if self._solver is None:
            return diagonal
        if not isinstance(self._solver, DenseFactor):
            return self._leverage_by_signs(rows)
        means = self._first_sums @ self._dummies
        step = max(1, DENSE_BLOCK // means.shape[1])
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            within = self._dummies[part].toarray()
            within -= means[self._first[part]].toarray() / self._totals[self._first[part]]
            levels = self._solver.solve(within.T, np.zeros(len(part)))
            share = np.einsum("ij,ji->i", within, levels)
            diagonal[start : start + step] += weight[start : start + step] * share
        return diagonal

    def _leverage_by_signs(self, rows: Codes) -> Array:
        rng = np.random.default_rng(0)
        root = np.sqrt(self._weight)[:, None]
        total = np.zeros(len(rows))
        block = 8
        for _ in range(SIGN_DRAWS // block):
            signs = rng.choice([-1.0, 1.0], size=(len(self._first), block))
            fitted = self.project(signs / root)[rows] * root[rows]
            total += (fitted**2).sum(axis=1)
        return np.minimum(total / SIGN_DRAWS, 1.0)

    def residual_share(self) -> Array:
        r"""Return the share of each row's variance that residuals keep, shape (n,).

        This is the diagonal of :math:`(I - P)(I - P)'`: the variance of residuals of independent
        errors with variance one. Without weights it is one minus the leverage. With weights P is
        not symmetric, so that a heavy row keeps less, and a light one takes from heavy ones.
        Exact for one effect and up to `EXACT_ROWS` rows; beyond averaged over random signs.
        """
        n = len(self._weight)
        if self._solver is None:
            total, squares = self._totals[:, 0], np.bincount(self._first, self._weight**2)
            own = self._weight / total[self._first]
            return np.asarray(1.0 - 2.0 * own + (squares / total**2)[self._first])
        rng, block = np.random.default_rng(0), 8
        is_exact = n <= EXACT_ROWS
        kept, n_columns = np.zeros(n), n if is_exact else SIGN_DRAWS
        for first in range(0, n_columns, block):
            size = min(block, n_columns - first)
            columns = np.eye(n, size, -first) if is_exact else rng.choice([-1.0, 1.0], (n, size))
            kept += (self.within(columns) ** 2).sum(axis=1)
        return kept if is_exact else kept / SIGN_DRAWS

    def _refine(self, residual: Array, size: Array, solver: Solver) -> None:
        """Subtract, in place, the other effects from rows without means in the first effect.

        Each round solves the normal equations of what the last has left, so that errors of the
        solution shrink to the rounding of the residuals themselves.
        """
        earlier = previous = np.full(len(size), np.inf)
        settled = np.zeros(len(size), dtype=np.bool_)
        for _ in range(MAX_REFINEMENTS):
            levels = solver.solve(self._sums @ residual, 4.0 * EPS * size)
            change = self._system.norm(levels)
            settled |= change <= np.maximum(REFINED * self._norm(residual), EPS * size)
            settled |= (change > 0.5 * earlier) & (change <= ROUNDING * size)
            if settled.all():
                return
            levels[:, settled] = 0.0
            residual -= self._dummies @ levels
            self._demean(residual)
            earlier, previous = previous, change
        raise RuntimeError(
            "The fixed effects could not be absorbed to the accuracy of rounding: column "
            f"{np.argmin(settled)} (counted from 0) still changed after {MAX_REFINEMENTS} rounds. "
            "Leave out effects that nearly coincide, or trim extreme weights."
        )

    def _demean(self, residual: Array) -> None:
        """Subtract, in place, the means within the effect with the most levels."""
        means = self._first_sums @ residual
        means /= self._totals
        residual -= means.take(self._first, axis=0)

    def _norm(self, columns: Array) -> Array:
        """Return the norm of each column under the weights, shape (k,)."""
        return np.sqrt(np.einsum("i,ij,ij->j", self._weight, columns, columns))


def isolated_rows(codes: Codes) -> Flags:
    """Find rows that are alone in a level of some effect, once such rows are left out.

    The effects fit such a row exactly, so that it tells nothing about slopes. Leaving it out may
    leave another row alone. Rows whose leverage is one because they are the only bridge between
    two parts of the data are not found.

    Parameters
    ----------
    codes : ndarray of int of shape (n, m)
        Level of each row in each effect.

    Returns
    -------
    ndarray of bool of shape (n,)

    References
    ----------
    Correia, S. (2015). Singletons, cluster-robust standard errors and fixed effects: A bad mix.
    Duke University.

    Examples
    --------
    >>> isolated_rows(np.array([[0, 0], [0, 1], [1, 1], [2, 0], [2, 0]])).tolist()
    [True, True, True, False, False]
    """
    n, m = codes.shape
    levels = codes + np.concatenate([[0], np.cumsum(codes.max(axis=0) + 1)[:-1]])
    count = np.bincount(levels.ravel())
    # The sum of the positions of a level's rows is the position of its last row.
    positions = np.bincount(levels.ravel(), np.repeat(np.arange(n), m)).astype(np.intp)
    isolated = np.zeros(n, dtype=np.bool_)
    rows = np.unique(positions[count == 1])
    while rows.size:
        isolated[rows] = True
        touched = levels[rows].ravel()
        np.subtract.at(count, touched, 1)
        np.subtract.at(positions, touched, np.repeat(rows, m))
        rows = np.unique(positions[touched[count[touched] == 1]])
    return isolated


def constant_within(codes: Codes, column: Array, *, tolerance: float = 1e-10) -> Flags:
    """Tell within which effects a column is constant, so that the effect alone explains it.

    Parameters
    ----------
    codes : ndarray of int of shape (n, m)
        Level of each row in each effect; column j has all of 0, ..., L_j - 1.
    column : ndarray of shape (n,)
    tolerance : float, default=1e-10
        Largest variation within levels, relative to all variation of the column.

    Returns
    -------
    ndarray of bool of shape (m,)

    Examples
    --------
    >>> codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> constant_within(codes, np.array([3.0, 3.0, 5.0, 5.0])).tolist()
    [True, False]
    """
    deviation = column - column.mean()
    limit = tolerance * np.linalg.norm(deviation)
    return np.array(
        [np.linalg.norm(_residual_of_one(effect, deviation)) <= limit for effect in codes.T]
    )


def _residual_of_one(effect: Codes, column: Array) -> Array:
    means = np.bincount(effect, column) / np.bincount(effect)
    return column - means[effect]


def _check_span(weight: Array, limit: float) -> None:
    span = float(weight.max() / weight.min())
    if span > limit:
        raise ValueError(
            f"The largest weight is {span:.3g} times the smallest; these fixed effects can be "
            f"absorbed exactly up to a ratio of {limit:.3g}. Trim the weights, or drop rows that "
            "weigh next to nothing."
        )
