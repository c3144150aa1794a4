"""Reference distributions of estimates: normal, t, or t with df that differ by parameter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
# None is the normal distribution, a number serves all parameters, an array has one for each.
DegreesOfFreedom = float | Array | None


def read_df(df: ArrayLike | None, n_params: int) -> DegreesOfFreedom:
    """Return degrees of freedom as a float, a read-only array of shape (k,), or None.

    Raises
    ------
    ValueError
        If there are neither one nor k of them.
    """
    if df is None:
        return None
    values = np.array(df, dtype=float)
    if values.ndim == 0:
        return float(values)
    if values.shape != (n_params,):
        raise ValueError(
            f"df has shape {values.shape}; it needs to be a number or have shape ({n_params},)."
        )
    values.setflags(write=False)
    return values


def distribution(df: DegreesOfFreedom) -> Any:
    """Return the frozen distribution that statistics are referred to."""
    return stats.norm() if df is None else stats.t(df)


def smallest(df: DegreesOfFreedom, involved: NDArray[np.bool_] | None = None) -> float | None:
    """Return the smallest df, of all parameters or of those involved."""
    if df is None or isinstance(df, float):
        return df
    chosen = df if involved is None or not involved.any() else df[involved]
    return float(chosen.min())


def mapped(df: DegreesOfFreedom, jacobian: Array) -> DegreesOfFreedom:
    """Return the df of functions of the parameters: the smallest of those that enter each.

    Parameters
    ----------
    df : float, ndarray of shape (k,) or None
    jacobian : ndarray of shape (r, k)
    """
    if df is None or isinstance(df, float):
        return df
    return np.array([smallest(df, row != 0.0) for row in jacobian], dtype=float)


def smaller(one: DegreesOfFreedom, other: DegreesOfFreedom) -> DegreesOfFreedom:
    """Return the smaller df of two results, parameter by parameter."""
    if one is None or other is None:
        return other if one is None else one
    least = np.minimum(one, other)
    return float(least) if np.ndim(least) == 0 else least


def spread_of(df: float | Array) -> str:
    """Write degrees of freedom as a number, or as a range where they differ in print."""
    low, high = (_shown(float(value)) for value in (np.min(df), np.max(df)))
    return low if low == high else f"{low} to {high}"


def _shown(df: float) -> str:
    """Write one number: tenths matter only where there are few."""
    return f"{df:,.0f}" if df >= 100.0 else f"{df:.1f}".removesuffix(".0")


def described(df: DegreesOfFreedom) -> str:
    """Name the reference distribution for a header."""
    return "normal reference" if df is None else f"t({spread_of(df)}) reference"
