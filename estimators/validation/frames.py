"""Frames, matrices and single columns in whatever form users have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .words import did_you_mean, first_rows, plural_columns

Array = NDArray[np.float64]


def to_pandas(data: Any) -> Any:
    """Turn any frame or series that narwhals knows into pandas; leave everything else alone."""
    if isinstance(data, pd.DataFrame | pd.Series):
        return data
    native = nw.from_native(data, pass_through=True, allow_series=True)
    if isinstance(native, nw.LazyFrame):
        raise ValueError(f"A lazy {type(data).__name__} has no rows yet; call collect() first.")
    if not isinstance(native, nw.DataFrame | nw.Series):
        return data
    return native.to_pandas()


def select_columns(frame: pd.DataFrame, names: Sequence[str], role: str) -> pd.DataFrame:
    """Return named columns of a frame, or say which is missing and what is near."""
    for name in names:
        if name not in frame.columns:
            raise ValueError(
                f"{role}: no column is named {name!r}.{did_you_mean(name, frame.columns)}"
            )
    return frame[list(names)]


def dense_or_frame(X: Any) -> Any:
    """Prepare X for scikit-learn's own validation: pandas for frames, dense for sparse matrices.

    Raises
    ------
    ValueError
        If columns of a frame are not numbers.
    """
    if sparse.issparse(X):
        matrix: Any = X
        return matrix.toarray()
    X = to_pandas(X)
    if isinstance(X, pd.DataFrame):
        check_unique(X.columns.map(str), "X")
        text = [str(c) for c in X.columns if not is_number(X[c])]
        if text:
            raise ValueError(
                f"X: {plural_columns(text)} not numeric. Turn categories into indicator columns, "
                "for example by pandas.get_dummies(X, drop_first=True, dtype=float)."
            )
        # Nullable and Arrow-backed columns turn into object arrays unless told otherwise.
        return X.astype(float)
    return X


def is_number(column: pd.Series[Any]) -> bool:
    """Whether a column holds numbers or booleans, gaps aside."""
    if column.dtype == object:  # numbers with gaps, decimals, booleans from other libraries
        kinds = ("boolean", "integer", "floating", "mixed-integer-float", "decimal")
        return pd.api.types.infer_dtype(column, skipna=True) in kinds
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))


def check_unique(names: pd.Index[Any], role: str) -> None:
    """Raise if two columns have one name."""
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise ValueError(f"{role}: two columns are named {twice!r}; rename one.")


def check_finite(matrix: Array, names: Sequence[str], role: str, advice: str = "") -> None:
    """Raise if a matrix has NaN or infinite entries, naming columns, counts and first rows."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(matrix.sum()):  # which it is not if any entry is not
            return
    problems = []
    for name, column in zip(names, matrix.T, strict=True):
        for word, mask in (("NaN", np.isnan(column)), ("infinite (inf)", np.isinf(column))):
            if mask.any():
                problems.append(f"column {name!r} is {word} on {mask.sum():,} ({first_rows(mask)})")
    if problems:
        raise ValueError(
            f"{role}: of {len(matrix):,} rows, {'; '.join(problems[:5])}. Rows are never dropped "
            f"in silence: impute these values or remove the rows first.{advice}"
        )


def check_not_infinite(matrix: Array, names: Sequence[str], role: str) -> None:
    """Raise if a matrix with gaps has infinite entries."""
    check_finite(np.where(np.isnan(matrix), 0.0, matrix), names, role)


def read_series(values: Any, role: str, n_rows: int) -> pd.Series[Any]:
    """Return one row-aligned column as a pandas series.

    Raises
    ------
    ValueError
        If it is not one-dimensional or has another length.
    """
    values = to_pandas(values)
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if not isinstance(values, pd.Series):
        values = pd.Series(_one_column(values, role)).infer_objects()
    check_rows(len(values), n_rows, role)
    return values.reset_index(drop=True)


def _one_column(values: Any, role: str) -> NDArray[Any]:
    # A list with None or NaN among words must not turn into an array of words.
    is_list = isinstance(values, list | tuple)
    array = np.array(values, dtype=object) if is_list else np.asarray(values)
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise ValueError(
            f"{role} should be a 1d array, got an array of shape {array.shape} instead."
        )
    column: NDArray[Any] = column_or_1d(array, warn=True)
    return column


def check_rows(n: int, n_rows: int, role: str) -> None:
    """Raise if something row-aligned has another number of rows than X."""
    try:
        check_consistent_length(np.empty(n), np.empty(n_rows))
    except ValueError:
        raise ValueError(
            f"Found inconsistent numbers of rows: {role} has {n:,}, X has {n_rows:,}."
        ) from None


def to_float(column: pd.Series[Any], role: str) -> Array:
    """Return a column of numbers as floats, NaN where they are missing."""
    if pd.api.types.is_complex_dtype(column):
        raise ValueError(f"Complex data not supported: {role}.")
    try:
        if pd.api.types.is_datetime64_any_dtype(column):
            raise TypeError
        return column.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        known = column[column.notna()]
        example = next(v for v in known if not isinstance(v, int | float | np.number))
        raise ValueError(
            f"{role} must be numbers (NaN where unknown); found {example!r}, a "
            f"{type(example).__name__}."
        ) from None


def as_frame(data: Any, role: str, default_name: str) -> pd.DataFrame:
    """Return one or several columns as a frame with unique text names."""
    data = to_pandas(data)
    if isinstance(data, pd.Series):
        data = data.to_frame(default_name if data.name is None else str(data.name))
    if not isinstance(data, pd.DataFrame):
        array = np.array(data, dtype=object) if isinstance(data, list | tuple) else np.asarray(data)
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2:
            raise ValueError(f"{role} must have one or two dimensions, got {array.ndim}.")
        width = array.shape[1]
        columns = [default_name] if width == 1 else [f"{default_name}{j + 1}" for j in range(width)]
        data = pd.DataFrame(array, columns=columns).infer_objects()
    data = data.reset_index(drop=True)
    data.columns = data.columns.map(str)
    check_unique(data.columns, role)
    if any(pd.api.types.is_complex_dtype(dtype) for dtype in data.dtypes):
        raise ValueError(f"Complex data not supported: {role}.")
    return data


def to_array(data: Any) -> NDArray[Any]:
    """Return array-likes as an array; a list with gaps among words keeps its objects."""
    if isinstance(data, list | tuple):
        return np.array(data, dtype=object)
    return np.asarray(data)


def column_positions(columns: Any, names: Sequence[str], role: str) -> list[int]:
    """Return positions of columns given by name or position, one or several.

    Raises
    ------
    ValueError
        If there is no such column, or one is given twice.
    """
    wanted: list[Any]
    wanted = [columns] if isinstance(columns, str | int | np.integer) else list(columns or ())
    positions = []
    for column in wanted:
        is_position = isinstance(column, int | np.integer) and not isinstance(column, bool)
        if is_position and -len(names) <= column < len(names):
            positions.append(int(column) % len(names))
        elif column in names:
            positions.append(list(names).index(column))
        else:
            raise ValueError(f"{role}: X has no column {column!r}.{did_you_mean(column, names)}")
    if len(set(positions)) < len(positions):
        raise ValueError(f"{role}: a column is named twice.")
    return positions
