"""Outcomes with gaps: numbers and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from .frames import read_series, to_float
from .words import first_rows

Array = NDArray[np.float64]


def read_outcome(y: Any, n_rows: int) -> Array:
    """Return a numeric outcome; NaN marks rows without a gold label.

    Raises
    ------
    ValueError
        If y is missing, not numeric, infinite, or no row is labelled.
    """
    values = to_float(_require_y(y, n_rows), "y")
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(
            "Input y contains infinity or a value too large for dtype('float64'). "
            f"({first_rows(infinite)}; use NaN for rows without a gold label)"
        )
    _check_any_label(~np.isnan(values))
    return values


def read_classes(y: Any, n_rows: int) -> tuple[Array, NDArray[Any]]:
    """Return classes as codes 0, 1, ... and NaN, and the classes in sorted order.

    Raises
    ------
    ValueError
        If y is missing, continuous, or has one class only.
    """
    column = _require_y(y, n_rows)
    labelled = column.notna().to_numpy()
    if pd.api.types.is_float_dtype(column) and np.isinf(column.to_numpy(dtype=float)).any():
        raise ValueError("Input y contains infinity or a value too large for dtype('float64').")
    _check_any_label(labelled)
    known = np.asarray(column[labelled].tolist())
    check_classification_targets(known)
    classes, codes = np.unique(known, return_inverse=True)
    if len(classes) == 1:
        raise ValueError(
            f"y holds one class only among the {labelled.sum():,} labelled rows: "
            f"{classes.tolist()[0]!r}. A logistic regression needs at least two; label more rows."
        )
    outcome = np.full(n_rows, np.nan)
    outcome[labelled] = codes
    return outcome, classes


def _require_y(y: Any, n_rows: int) -> pd.Series[Any]:
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None. Rows without a "
            "gold label hold NaN."
        )
    return read_series(y, "y", n_rows)


def _check_any_label(labelled: NDArray[np.bool_]) -> None:
    if not labelled.any():
        raise ValueError(
            f"No row is labelled: y is missing on all {len(labelled):,} rows. At least some rows "
            "need a gold label."
        )
