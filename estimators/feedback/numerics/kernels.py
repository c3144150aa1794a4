"""Loops over sparse rows and score blocks: numpy at first, numba where it is there and pays.

Every kernel works on a range of rows that nobody else writes, so that its result does not depend
on the number of threads. Kernels are compiled without numba's own threads: they release the
interpreter lock and run in a pool, which needs no threading layer and survives forks.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Below these many multiplications the import of numba costs more than it saves.
WORTH_COMPILING = 2**25


class Kernels(NamedTuple):
    """Compiled functions of a range of rows."""

    times: Callable[..., None]
    times_values: Callable[..., None]
    logistic: Callable[..., None]
    largest: Callable[..., None]


@cache
def compiled() -> Kernels | None:
    """Return kernels compiled by numba, or None without the extra ``fast``."""
    try:
        import numba
    except ImportError:
        return None
    compile_ = numba.njit(nogil=True, cache=True, error_model="numpy")
    return Kernels(
        compile_(_times), compile_(_times_values), compile_(_logistic), compile_(_largest)
    )


def kernels_for(work: float) -> Kernels | None:
    """Return compiled kernels if there are any and so many multiplications are worth them."""
    return compiled() if work >= WORTH_COMPILING else None


def in_threads(
    kernel: Callable[..., None], arguments: tuple[Any, ...], n_rows: int, n_threads: int
) -> None:
    """Call a kernel on ranges of rows, several at once."""
    if n_threads == 1:
        kernel(*arguments, 0, n_rows)
        return
    # More ranges than threads, as rows have unequal lengths.
    edges = np.linspace(0, n_rows, 8 * n_threads + 1).astype(int)
    with ThreadPoolExecutor(n_threads) as pool:
        calls = [
            pool.submit(kernel, *arguments, int(first), int(last))
            for first, last in pairwise(edges)
        ]
        for call in calls:
            call.result()


# What follows is compiled; the numpy versions of it are where the kernels are called.


def _times(indptr: Array, indices: Array, dense: Array, out: Array, first: int, last: int) -> None:
    """Add up, for each sparse row, the dense rows that it names."""
    width = dense.shape[1]
    for row in range(first, last):
        for j in range(width):
            out[row, j] = 0.0
        for at in range(indptr[row], indptr[row + 1]):
            column = indices[at]
            for j in range(width):
                out[row, j] += dense[column, j]


def _times_values(
    indptr: Array, indices: Array, values: Array, dense: Array, out: Array, first: int, last: int
) -> None:
    """Add up, for each sparse row, the dense rows that it names, times their values."""
    width = dense.shape[1]
    for row in range(first, last):
        for j in range(width):
            out[row, j] = 0.0
        for at in range(indptr[row], indptr[row + 1]):
            column, value = indices[at], values[at]
            for j in range(width):
                out[row, j] += value * dense[column, j]


def _logistic(scores: Array, sums: Array, first: int, last: int) -> None:
    """Turn rows of scores s into 1/(1 + exp(-s)); ``sums`` gets the row sums of log(1 + exp(s))."""
    one = scores.dtype.type(1.0)
    for row in range(first, last):
        total = 0.0
        for j in range(scores.shape[1]):
            s = scores[row, j]
            small = np.exp(-abs(s))
            total += max(s, 0.0) + np.log1p(small)
            scores[row, j] = (one if s >= 0 else small) / (one + small)
        sums[row] = total


def _largest(scores: Array, columns: Array, values: Array, first: int, last: int) -> None:
    """Find the largest scores of each row in falling order; among equal ones, the first columns."""
    n = columns.shape[1]
    for row in range(first, last):
        filled = 0
        least = -np.inf
        for j in range(scores.shape[1]):
            s = scores[row, j]
            # Columns rise, so that a later one never displaces an equal score.
            if s > least or (filled < n and s > -np.inf):
                at = filled if filled < n else n - 1
                while at > 0 and values[row, at - 1] < s:
                    values[row, at] = values[row, at - 1]
                    columns[row, at] = columns[row, at - 1]
                    at -= 1
                values[row, at] = s
                columns[row, at] = j
                if filled < n:
                    filled += 1
                if filled == n:
                    least = values[row, n - 1]
        for at in range(filled, n):
            values[row, at] = -np.inf
            columns[row, at] = -1
