"""The largest scores of each row, in blocks that fit the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernels import compiled, in_threads

Array = NDArray[Any]
Sparse = tuple[Array, Array]

BLOCK_BYTES = 2**25
# Below these many scores the import of numba costs more than it saves.
WORTH_COMPILING = 2**24
# Parts of a row, per wanted column, whose maxima bound the wanted scores from below.
PARTS = 32


def top_columns(
    rows: Array,
    columns: Array,
    n: int,
    *,
    excluded: Sparse | None = None,
    banned: Array | None = None,
    n_threads: int = 1,
) -> tuple[Array, Array]:
    """Return the n columns with the largest inner products with each row.

    Parameters
    ----------
    rows : ndarray of shape (m, k)
    columns : ndarray of shape (q, k)
    n : int
    excluded : tuple of ndarray, default=None
        ``indptr`` and ``indices`` of columns that a row must not get.
    banned : ndarray of int, default=None
        Columns that no row gets.
    n_threads : int, default=1

    Returns
    -------
    found : ndarray of int of shape (m, n)
        In falling order of scores, then rising order of columns; -1 where there are too few.
    scores : ndarray of shape (m, n)
        Minus infinity where there are too few.
    """
    n_rows, n_columns = len(rows), len(columns)
    found = np.empty((n_rows, n), dtype=np.intp)
    values = np.empty((n_rows, n), dtype=rows.dtype)
    kernels = compiled() if n_rows * n_columns >= WORTH_COMPILING else None
    for part in blocks(n_rows, n_columns, rows.itemsize):
        scores = rows[part] @ columns.T
        if excluded is not None:
            scores[_cells(excluded, part)] = -np.inf
        if banned is not None:
            scores[:, banned] = -np.inf
        if kernels is None:
            found[part], values[part] = largest(scores, n)
        else:
            arguments = (scores, found[part], values[part])
            in_threads(kernels.largest, arguments, len(scores), n_threads)
    return found, values


def largest(scores: Array, n: int) -> tuple[Array, Array]:
    """Return columns and values of the n largest scores of each row, the reference of the kernel.

    Columns are split into parts. The n-th largest of their maxima is a lower bound of the n-th
    largest score, and hardly any others pass it; those few are sorted.
    """
    n_rows, n_columns = scores.shape
    bound = np.full(n_rows, np.finfo(scores.dtype).min)
    n_parts = min(PARTS * n, n_columns)
    depth = n_columns // max(n_parts, 1)
    if depth > 1:
        parts = scores[:, : depth * n_parts].reshape(n_rows, depth, n_parts).max(axis=1)
        bound = np.maximum(bound, np.partition(parts, n_parts - n, axis=1)[:, n_parts - n])
    at, columns = np.divmod(np.flatnonzero(scores >= bound[:, None]), max(n_columns, 1))
    passed = scores[at, columns]
    order = np.lexsort((columns, -passed, at))
    at, columns, passed = at[order], columns[order], passed[order]
    rank = np.arange(len(at)) - np.searchsorted(at, np.arange(n_rows))[at]
    kept = rank < n
    found = np.full((n_rows, n), -1, dtype=np.intp)
    values = np.full((n_rows, n), -np.inf, dtype=scores.dtype)
    found[at[kept], rank[kept]] = columns[kept]
    values[at[kept], rank[kept]] = passed[kept]
    return found, values


def blocks(n_rows: int, n_columns: int, itemsize: int) -> Iterator[slice]:
    """Yield ranges of rows whose scores fit into a block."""
    size = max(1, BLOCK_BYTES // (itemsize * max(n_columns, 1)))
    for first in range(0, n_rows, size):
        yield slice(first, min(first + size, n_rows))


def _cells(excluded: Sparse, part: slice) -> tuple[Array, Array]:
    indptr, indices = excluded
    lengths = np.diff(indptr[part.start : part.stop + 1])
    return np.repeat(np.arange(len(lengths)), lengths), indices[
        indptr[part.start] : indptr[part.stop]
    ]
