"""Covariates of censoring models: numbers to be scaled and categories to be matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from ... import validation
from ...validation.frames import check_rows, is_number

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Covariates:
    """What was learned about the columns of X.

    Attributes
    ----------
    names : tuple of str
        All columns, in order.
    numeric : tuple of int
        Positions of the columns that are numbers and vary.
    means, scales : ndarray of shape (len(numeric),)
        Weighted means and standard deviations.
    levels : dict
        Levels of the categorical columns that vary, by position.
    constant : tuple of str
        Columns with a single value, which are left out.
    """

    names: tuple[str, ...]
    numeric: tuple[int, ...]
    means: Array
    scales: Array
    levels: dict[int, tuple[Any, ...]]
    constant: tuple[str, ...]

    @classmethod
    def learn(
        cls,
        X: Any,
        n_rows: int,
        weight: Array | None = None,
        categorical: Sequence[int | str] | None = None,
    ) -> Covariates:
        """Learn names, scales and levels.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame
        n_rows : int
        weight : ndarray of shape (n,), default=None
        categorical : sequence of column names or positions, default=None
            Columns that are categories though they are numbers; text always is.

        Raises
        ------
        ValueError
            If the number of rows is wrong or values are missing or infinite.
        """
        frame = _as_columns(X)
        check_rows(len(frame), n_rows, "X")
        names = tuple(map(str, frame.columns))
        chosen = set(validation.column_positions(categorical, names, "categorical"))
        numeric, levels, constant = [], {}, []
        for j, name in enumerate(names):
            column = frame.iloc[:, j]
            found = pd.unique(column)
            if len(found) < 2:
                constant.append(name)
            elif j in chosen or not is_number(column):
                levels[j] = tuple(found.tolist())
            else:
                numeric.append(j)
        matrix = _numbers(frame, numeric)
        share = np.full(n_rows, 1.0 / n_rows) if weight is None else weight / weight.sum()
        means = share @ matrix
        scales = np.sqrt(share @ (matrix - means) ** 2)
        # All the weight may lie on rows of one value.
        scales[scales == 0.0] = 1.0
        return cls(names, tuple(numeric), means, scales, levels, tuple(constant))

    def as_row(self, x: Any) -> Any:
        """Return the values of one row in the form of X."""
        values = np.array([x] if np.ndim(x) == 0 else list(x), dtype=object)[None, :]
        return pd.DataFrame(values, columns=list(self.names)[: values.shape[1]]).infer_objects()

    def _columns(self, X: Any) -> pd.DataFrame:
        frame = _as_columns(X)
        if frame.shape[1] != len(self.names):
            raise ValueError(
                f"X has {frame.shape[1]} features, but the model of censoring is expecting "
                f"{len(self.names)} features as input."
            )
        return frame

    def scaled(self, X: Any, standardize: bool = True) -> Array:
        """Return the numeric columns, with mean 0 and standard deviation 1 in the training rows.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame
        standardize : bool, default=True

        Returns
        -------
        ndarray of shape (n, q)
        """
        matrix = _numbers(self._columns(X), self.numeric)
        return (matrix - self.means) / self.scales if standardize else matrix

    def codes(self, X: Any) -> Codes:
        """Return codes of the categorical columns; -1 for a level that was never seen.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame

        Returns
        -------
        ndarray of int of shape (n, c)
        """
        frame = self._columns(X)
        codes = [
            pd.Index(list(levels)).get_indexer(pd.Index(frame.iloc[:, j].tolist()))
            for j, levels in self.levels.items()
        ]
        return np.column_stack(codes) if codes else np.empty((len(frame), 0), dtype=np.intp)

    def design(self, X: Any, *, drop_first: bool = False, standardize: bool = True) -> Array:
        """Return scaled numbers and indicators of levels side by side.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame
        drop_first : bool, default=False
            Leave out the first level of each, where columns stand in a linear predictor.
        standardize : bool, default=True

        Returns
        -------
        ndarray of shape (n, q)
        """
        codes = self.codes(X)
        blocks = [self.scaled(X, standardize)]
        for column, levels in zip(codes.T, self.levels.values(), strict=True):
            first = 1 if drop_first or len(levels) == 2 else 0
            blocks.append((column[:, None] == np.arange(first, len(levels))).astype(float))
        return np.hstack(blocks)

    @property
    def design_names(self) -> tuple[str, ...]:
        """Names of the columns of ``design(X, drop_first=True)``."""
        names = [self.names[j] for j in self.numeric]
        for j, levels in self.levels.items():
            names += [f"{self.names[j]}={level}" for level in levels[1:]]
        return tuple(names)


def _as_columns(X: Any) -> pd.DataFrame:
    """Return X as a frame without missing or infinite values."""
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "fiub":
        matrix = X.astype(float, copy=False)
        frame = pd.DataFrame(matrix, columns=[f"x{j}" for j in range(matrix.shape[1])], copy=False)
        validation.check_finite(matrix, list(frame.columns), "X")
        return frame
    if sparse.issparse(X):
        dense: Any = X
        return _as_columns(dense.toarray())
    X = validation.to_pandas(X)
    if not isinstance(X, pd.DataFrame) and np.ndim(X) == 1:
        raise ValueError(
            "X: Expected 2D array, got 1D array instead. Reshape your data with "
            "X.reshape(-1, 1) if it is one covariate."
        )
    frame = validation.as_frame(X, "X", "x")
    missing = frame.isna().to_numpy()
    if missing.any():
        j = int(missing.any(axis=0).argmax())
        raise ValueError(
            f"X: column {frame.columns[j]!r} is missing (NaN) on {missing[:, j].sum():,} of "
            f"{len(frame):,} rows ({validation.first_rows(missing[:, j])}). A model of censoring "
            "needs every covariate; impute the values or remove the rows first."
        )
    numbers = [name for name in frame.columns if is_number(frame[name])]
    validation.check_finite(frame[numbers].to_numpy(dtype=float), numbers, "X")
    return frame


def _numbers(frame: pd.DataFrame, positions: Sequence[int]) -> Array:
    matrix = frame.iloc[:, list(positions)].to_numpy(dtype=float)
    return np.ascontiguousarray(matrix)


def take_rows(X: Any, rows: Codes) -> Any:
    """Return some rows of an array, sparse matrix, frame or list."""
    X = validation.to_pandas(X)
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows]
    matrix: Any = X if hasattr(X, "shape") else validation.to_array(X)
    return matrix[rows]


def n_rows(X: Any) -> int:
    """Count the rows of an array, sparse matrix, frame or list."""
    shape = getattr(X, "shape", None)
    return int(shape[0]) if shape else len(X)
