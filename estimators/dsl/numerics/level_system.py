"""Levels of fixed effects as a linear system, and three ways to solve it.

Arrays in, arrays out; nothing here knows about users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpstrf
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import SuperLU, splu

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
# A csr_array; type stubs do not know that its product with an array is an array.
Sparse: TypeAlias = Any

EPS = float(np.finfo(np.float64).eps)
CG_TOLERANCE = 1e-9
# Keeps the sparse factor of three or more effects regular; refinement removes its influence.
RIDGE = 1e-10
DENSE_BLOCK = 2**23


def distinct_effects(codes: Codes) -> list[Codes]:
    """Return the effects, most levels first, without those nested in another one.

    A nested effect has its dummies among the sums of the finer effect's dummies.
    """
    order = np.argsort(-codes.max(axis=0), kind="stable")
    kept: list[Codes] = []
    for effect in (np.ascontiguousarray(codes[:, j]) for j in order):
        if not any(_is_nested(effect, finer) for finer in kept):
            kept.append(effect)
    return kept


def _is_nested(coarse: Codes, fine: Codes) -> bool:
    representative = np.empty(int(fine.max()) + 1, dtype=np.intp)
    representative[fine] = coarse
    return bool(np.array_equal(representative[fine], coarse))


def offsets(effects: list[Codes]) -> Codes:
    """Return the number of the first level of each effect, and the number of all levels."""
    return np.cumsum([0, *(int(effect.max()) + 1 for effect in effects)])


def indicators(effects: list[Codes], values: Array) -> Sparse:
    """Return the dummy columns of all effects side by side, times a value for each row."""
    n, m = len(values), len(effects)
    first = offsets(effects)
    columns = np.column_stack([effect + first[j] for j, effect in enumerate(effects)])
    starts = np.arange(0, n * m + 1, m)
    return sparse.csr_array(
        (np.repeat(values, m), columns.ravel(), starts), shape=(n, int(first[-1]))
    )


def crosstab(rows: Codes, columns: Codes, weight: Array) -> Sparse:
    """Return the total weight of each pair of levels."""
    return sparse.coo_array((weight, (rows, columns))).tocsr()


@dataclass(frozen=True)
class System:
    r"""Normal equations of the other effects R once the first effect A is eliminated.

    .. math:: S = R'WR - B'B, \qquad B = (A'WA)^{-1/2} A'WR

    S is the sum of graph Laplacians within effects, plus blocks between effects.

    Attributes
    ----------
    shares : csr_array of shape (L_A, L_R)
        The matrix B.
    gram : csr_array of shape (L_R, L_R)
        The matrix R'WR.
    diagonal : ndarray of shape (L_R,)
        Diagonal of S, summed without cancellation.
    effect : ndarray of int of shape (L_R,)
        Effect of each level.
    component : ndarray of int of shape (L_R,)
        Levels of one effect that levels of the first effect connect; their dummies add up to
        dummies of the first effect.
    """

    shares: Sparse
    gram: Sparse
    diagonal: Array
    effect: Codes
    component: Codes

    @classmethod
    def of(cls, first: Codes, others: list[Codes], weight: Array) -> System:
        """Assemble the system from the codes."""
        totals = np.bincount(first, weight)
        cells = [crosstab(first, other, weight) for other in others]
        n_components = 0
        components: list[Codes] = []
        for cell in cells:
            components.append(components_of(cell) + n_components)
            n_components = int(components[-1].max()) + 1
        cross = sparse.hstack(cells, format="csr")
        rows = np.repeat(np.arange(len(totals)), np.diff(cross.indptr))
        outside: Array = cross.data * (1.0 - cross.data / totals[rows])
        cross.data /= np.sqrt(totals[rows])
        gram = [[crosstab(one, two, weight) for two in others] for one in others]
        return cls(
            shares=cross,
            gram=sparse.block_array(gram, format="csr"),
            diagonal=np.bincount(cross.indices, outside).astype(np.float64),
            effect=np.repeat(np.arange(len(cells)), [cell.shape[1] for cell in cells]),
            component=np.concatenate(components),
        )

    @property
    def n_effects(self) -> int:
        """Number of the other effects."""
        return int(self.effect[-1]) + 1

    @property
    def n_levels(self) -> int:
        """Number of levels, L_R."""
        return len(self.effect)

    @property
    def grounded(self) -> Codes:
        """All levels but one of each component, which span the same columns beside A."""
        grounds = np.unique(self.component, return_index=True)[1]
        return np.setdiff1d(np.arange(self.n_levels), grounds)

    def apply(self, levels: Array) -> Array:
        """Return S times the columns."""
        return self.gram @ levels - self.shares.T @ (self.shares @ levels)

    def norm(self, levels: Array) -> Array:
        """Return the norm, over rows under the weights, of the fitted values of each column."""
        return np.sqrt(np.maximum(np.einsum("ij,ij->j", levels, self.apply(levels)), 0.0))

    def dense(self) -> Array:
        """Return S, shape (L_R, L_R)."""
        schur = self.gram.toarray() - self._dense_product()
        # Rows of a Laplacian sum to zero: diagonals from the rest of the row lose no digits.
        np.fill_diagonal(schur, 0.0)
        for effect in range(self.n_effects):
            block = np.flatnonzero(self.effect == effect)
            inside = schur[block[0] : block[-1] + 1, block[0] : block[-1] + 1]
            np.fill_diagonal(inside, -inside.sum(axis=1))
        return schur

    def _dense_product(self) -> Array:
        """Return B'B by sparse or by dense products, whichever takes fewer operations."""
        n_first, n_levels = self.shares.shape
        sparse_cost = 50.0 * float(np.sum(np.diff(self.shares.indptr).astype(float) ** 2))
        if sparse_cost < n_first * float(n_levels) ** 2:
            return (self.shares.T @ self.shares).toarray()
        product = np.zeros((n_levels, n_levels))
        step = max(1, DENSE_BLOCK // n_levels)
        for start in range(0, n_first, step):
            rows = self.shares[start : start + step].toarray()
            product += rows.T @ rows
        return product


def components_of(cells: Sparse) -> Codes:
    """Return numbers 0, 1, ... of the sets of columns that rows connect."""
    n_rows = cells.shape[0]
    graph = sparse.block_array([[None, cells], [cells.T, None]], format="csr")
    return connected_components(graph, directed=False)[1][n_rows:].astype(np.intp)


# ---------------------------------------------------------------------- solvers


class Solver(Protocol):
    """A way to solve the system."""

    def solve(self, sums: Array, floor: Array) -> Array:
        """Return a solution of S levels = sums, shape (L_R, k); the floor is its rounding."""


class DenseFactor:
    """Cholesky factor of the rows and columns of S that are kept."""

    def __init__(self, schur: Array, kept: Codes) -> None:
        self._kept = kept
        self._factor = cho_factor(schur[np.ix_(kept, kept)])

    def solve(self, sums: Array, floor: Array) -> Array:
        """Return a solution of S levels = sums, shape (L_R, k)."""
        levels = np.zeros_like(sums)
        levels[self._kept] = cho_solve(self._factor, sums[self._kept])
        return levels


class SparseFactor:
    """Sparse factor of the normal equations of the first and the grounded other levels."""

    def __init__(self, system: System) -> None:
        self._kept = kept = system.grounded
        self._n_first = system.shares.shape[0]
        gram, shares = system.gram[kept][:, kept], system.shares[:, kept]
        if system.n_effects > 1:
            ridge = RIDGE * system.diagonal[kept] + 64.0 * EPS * gram.diagonal()
            gram = gram + sparse.diags_array(ridge)
        grid: list[list[Any]] = [[sparse.eye_array(self._n_first), shares], [shares.T, gram]]
        normal = sparse.block_array(grid, format="csc")
        # A minimum degree order leaves few entries to fill in, but takes long where levels meet
        # very many others; these come last.
        crowded = np.diff(normal.indptr) > 10.0 * np.sqrt(normal.shape[0])
        rest = np.flatnonzero(~crowded)
        order = np.argsort(_factor(normal[rest][:, rest], "MMD_AT_PLUS_A").perm_c)
        self._order = np.concatenate([rest[order], np.flatnonzero(crowded)])
        self._factor = _factor(normal[self._order][:, self._order], "NATURAL")

    def solve(self, sums: Array, floor: Array) -> Array:
        """Return a solution of S levels = sums, shape (L_R, k)."""
        padded = np.zeros((len(self._order), sums.shape[1]))
        padded[self._n_first :] = sums[self._kept]
        padded[self._order] = self._factor.solve(padded[self._order])
        levels = np.zeros_like(sums)
        levels[self._kept] = padded[self._n_first :]
        return levels


def _factor(matrix: Any, order: Literal["MMD_AT_PLUS_A", "NATURAL"]) -> SuperLU[np.float64]:
    """Factor a positive definite matrix without pivoting."""
    return splu(
        matrix.tocsc(),
        permc_spec=order,
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


class ConjugateGradients:
    """Conjugate gradients with the diagonal of S as preconditioner, for all columns at once."""

    def __init__(self, system: System, max_iterations: int) -> None:
        self._system = system
        self._max_iterations = max_iterations
        self._component_sums = indicators([system.component], np.ones(system.n_levels)).T
        self._component_size = np.bincount(system.component)[:, None]
        # A level that is a component of its own is explained by the first effect.
        alone = self._component_size[system.component, 0] == 1
        self._inverse = np.where(alone, 0.0, 1.0 / np.where(alone, 1.0, system.diagonal))[:, None]

    def solve(self, sums: Array, floor: Array) -> Array:
        """Return a solution of S levels = sums, shape (L_R, k)."""
        return self.iterate(sums, floor, self._max_iterations)[0]

    def iterate(self, sums: Array, floor: Array, limit: int) -> tuple[Array, bool]:
        """Return the levels and whether the residuals have converged."""
        levels = np.zeros_like(sums)
        residual = self._without_kernel(sums)
        direction = self._inverse * residual
        energy = np.einsum("ij,ij->j", residual, direction)
        target = np.maximum(CG_TOLERANCE**2 * energy, floor**2)
        for _ in range(limit):
            if np.all(energy <= target):
                return levels, True
            image = self._system.apply(direction)
            curvature = np.einsum("ij,ij->j", direction, image)
            step = _ratio(energy, curvature)
            levels += step * direction
            residual -= step * image
            scaled = self._inverse * residual
            previous, energy = energy, np.einsum("ij,ij->j", residual, scaled)
            direction = scaled + _ratio(energy, previous) * direction
        return levels, bool(np.all(energy <= target))

    def _without_kernel(self, sums: Array) -> Array:
        """Remove rounding in directions in which S vanishes: components sum to zero."""
        excess = (self._component_sums @ sums) / self._component_size
        return sums - excess[self._system.component]


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Divide; columns that are solved exactly get 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0.0)


def independent(schur: Array) -> Codes:
    """Return positions of a largest set of independent columns, by pivoted Cholesky."""
    diagonal = np.diag(schur)
    scale = 1.0 / np.sqrt(diagonal)
    tolerance = 10.0 * EPS * len(schur)
    _, pivots, rank, _ = dpstrf(schur * scale[:, None] * scale, tol=tolerance)
    return np.sort(pivots[:rank] - 1).astype(np.intp)
