"""What weights can tell about themselves, whatever they correct."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def concentration(weight: Array) -> dict[str, Any]:
    r"""Return effective size and shares of positive weights.

    Parameters
    ----------
    weight : ndarray of shape (k,)

    Returns
    -------
    dict
        Keys ``effective_size``, ``effective_share``, ``largest_share`` and ``top_share``.
    """
    total = float(weight.sum())
    size = total**2 / float(weight @ weight)
    n_top = max(1, len(weight) // 100)
    top = np.partition(weight, len(weight) - n_top)[-n_top:]
    return {
        "effective_size": size,
        "effective_share": size / len(weight),
        "largest_share": float(weight.max()) / total,
        "top_share": float(top.sum()) / total,
    }


def quantiles(values: Array, probabilities: tuple[float, ...]) -> dict[str, float]:
    """Return the minimum and some quantiles by name, as ``{"min": ..., "5%": ...}``."""
    ordered = np.sort(values)  # faster than the partitions of numpy's quantiles
    found = np.interp(np.array(probabilities) * (len(values) - 1), np.arange(len(values)), ordered)
    names = [f"{100 * p:g}%" for p in probabilities]
    return {"min": float(ordered[0])} | dict(zip(names, map(float, found), strict=True))
