"""Several horizons at once: rows stacked for one learner, curves put in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from ..horizon import Restricted
from ..models.covariates import take_rows

Array = NDArray[np.float64]

HORIZON_COLUMN = "horizon"


def falling_curves(survival: Array) -> Array:
    """Return curves that do not rise from left to right, and those that do not as they are.

    Parameters
    ----------
    survival : ndarray of shape (n, m)

    Returns
    -------
    ndarray of shape (n, m)
    """
    below = np.minimum.accumulate(survival, axis=1)
    above = np.maximum.accumulate(survival[:, ::-1], axis=1)[:, ::-1]
    return (below + above) / 2


def with_horizon(X: Any, horizon: float) -> Any:
    """Return X with the horizon as a last column.

    Raises
    ------
    ValueError
        If a frame has a column of that name already.
    """
    if isinstance(X, pd.DataFrame):
        if HORIZON_COLUMN in X.columns:
            raise ValueError(
                f"X has a column {HORIZON_COLUMN!r}, the name that stacked=True gives to the "
                "horizon; rename it, or use stacked=False."
            )
        return X.assign(**{HORIZON_COLUMN: horizon})
    if sparse.issparse(X):
        matrix: Any = X
        column: Any = sparse.csr_array(np.full((matrix.shape[0], 1), horizon))
        return sparse.hstack([matrix, column]).tocsr()
    array = np.asarray(X)
    return np.column_stack([array, np.full(len(array), horizon)])


def one_horizon(
    X: Any, target: Restricted, weight: Array | None
) -> tuple[Any, NDArray[np.intp], Array]:
    """Return rows, labels and weights of the rows that are known at a horizon."""
    full = np.ones(len(target.target)) if weight is None else weight
    kept = np.flatnonzero(full > 0.0)
    # Every horizon counts the same, however few rows are known at it.
    return take_rows(X, kept), target.target[kept].astype(np.intp), full[kept] / full.sum()


def stack_horizons(
    parts: list[tuple[Any, NDArray[np.intp], Array]], horizons: Array
) -> tuple[Any, NDArray[np.intp], Array]:
    """Put the known rows of all horizons on top of each other, the horizon beside each."""
    blocks = [with_horizon(X, float(u)) for (X, _, _), u in zip(parts, horizons, strict=True)]
    if isinstance(blocks[0], pd.DataFrame):
        tall: Any = pd.concat(blocks, ignore_index=True)
    elif sparse.issparse(blocks[0]):
        tall = sparse.vstack(blocks).tocsr()
    else:
        tall = np.vstack(blocks)
    labels = np.concatenate([label for _, label, _ in parts])
    return tall, labels, np.concatenate([weight for _, _, weight in parts])
