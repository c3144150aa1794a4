"""Missing covariates, which some learners accept and models of censoring do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from ...validation.frames import is_number

# Stands for a category that is not known.
UNKNOWN = "(missing)"


@dataclass(frozen=True)
class GapFilling:
    """How gaps in covariates are filled for models of censoring; the learner sees them as they are.

    A number becomes the median of its column, and an indicator of the gap is added if the column
    had gaps in the fit; a category becomes a level of its own.

    Attributes
    ----------
    medians : dict
        Of numeric columns, by position.
    indicated : tuple of int
        Positions of the numeric columns with gaps in the fit.
    """

    medians: dict[int, float]
    indicated: tuple[int, ...]

    def fill(self, X: Any) -> Any:
        """Return X without gaps; X itself if it never had any.

        Parameters
        ----------
        X : array, frame or sparse matrix of shape (n, p)

        Returns
        -------
        array or frame of shape (n, p + q)
        """
        missing = _missing(X)
        if missing is None or not (self.indicated or missing.any()):
            return X
        frame = _frame(X).copy()
        for j in map(int, np.flatnonzero(missing.any(axis=0))):
            name = frame.columns[j]
            if j in self.medians:
                frame[name] = frame[name].astype(float).fillna(self.medians[j])
            else:
                frame[name] = frame[name].astype(object).where(~missing[:, j], UNKNOWN)
        names = list(frame.columns)
        for j in self.indicated:
            frame[f"{names[j]} missing"] = missing[:, j].astype(float)
        return frame


def learn_filling(X: Any) -> GapFilling:
    """Learn medians of the columns, and which of them have gaps.

    Parameters
    ----------
    X : array, frame or sparse matrix of shape (n, p)

    Returns
    -------
    GapFilling
    """
    missing = _missing(X)
    if missing is None:
        return GapFilling({}, ())
    frame = _frame(X)
    medians: dict[int, float] = {}
    for j in range(frame.shape[1]):
        column = frame.iloc[:, j]
        if is_number(column) and not missing[:, j].all():
            medians[j] = float(column.astype(float).median())
    return GapFilling(medians, tuple(j for j in medians if missing[:, j].any()))


def _missing(X: Any) -> NDArray[np.bool_] | None:
    """Return where X has gaps, None if it is a matrix that can have none."""
    if sparse.issparse(X):
        return None
    if isinstance(X, np.ndarray) and X.dtype.kind in "biu":
        return None
    return _frame(X).isna().to_numpy()


def _frame(X: Any) -> pd.DataFrame:
    if isinstance(X, pd.DataFrame):
        return X.rename(columns=str)
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiub":
        return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    frame = pd.DataFrame(np.array(X, dtype=object)).infer_objects()
    return frame.rename(columns=lambda j: f"x{j}")
