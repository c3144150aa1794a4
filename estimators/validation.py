"""The border where user input becomes arrays and names, and where messages about data are made.

Frames may be pandas, polars, Arrow or anything else that narwhals reads; matrices may be numpy or
scipy sparse. Behind this module there are only float64 arrays, integer codes and lists of names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, column_or_1d

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

# Text columns with more levels than this are texts or identifiers, not categories.
MAX_LEVELS = 500


@dataclass(frozen=True)
class Features:
    """Columns that a learner sees.

    Attributes
    ----------
    matrix : ndarray or csr_array of shape (n, q)
    names : tuple of str
        One per column; categories are named ``column=level``.
    raw : DataFrame or None
        The columns as the user gave them; None for a sparse matrix.
    """

    matrix: Any
    names: tuple[str, ...]
    raw: pd.DataFrame | None


# ---------------------------------------------------------------------- words for messages


def first_rows(mask: NDArray[np.bool_], most: int = 3) -> str:
    """Name the first rows where a mask holds, as in ``rows 4, 8, 15, ...``."""
    rows = np.flatnonzero(mask)
    shown = ", ".join(str(row) for row in rows[:most])
    return ("row " if len(rows) == 1 else "rows ") + shown + (", ..." if len(rows) > most else "")


def did_you_mean(name: str, available: Iterable[str]) -> str:
    """Return a hint with the nearest available name, or the list of them."""
    names = [str(item) for item in available]
    near = difflib.get_close_matches(
        str(name).lower(), [item.lower() for item in names], n=1, cutoff=0.5
    )
    if near:
        return f" Did you mean {next(item for item in names if item.lower() == near[0])!r}?"
    return f" There are: {', '.join(map(repr, names[:20]))}{', ...' if len(names) > 20 else ''}."


def check_level(level: float) -> float:
    """Return a confidence level, or raise if it is not inside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level} must lie between 0 and 1, for example 0.95.")
    return level


# ---------------------------------------------------------------------- frames and columns


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
        _check_unique(X.columns.map(str), "X")
        text = [str(c) for c in X.columns if not _is_number(X[c])]
        if text:
            raise ValueError(
                f"X: {_columns(text)} not numeric. Turn categories into indicator columns, for "
                "example by pandas.get_dummies(X, drop_first=True, dtype=float)."
            )
        # Nullable and Arrow-backed columns turn into object arrays unless told otherwise.
        return X.astype(float)
    return X


def _is_number(column: pd.Series[Any]) -> bool:
    if column.dtype == object:  # numbers with gaps, decimals, booleans from other libraries
        kinds = ("boolean", "integer", "floating", "mixed-integer-float", "decimal")
        return pd.api.types.infer_dtype(column, skipna=True) in kinds
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))


def _check_unique(names: pd.Index[Any], role: str) -> None:
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise ValueError(f"{role}: two columns are named {twice!r}; rename one.")


def _columns(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    return f"column {shown} is" if len(names) == 1 else f"columns {shown} are"


def check_finite(matrix: Array, names: Sequence[str], role: str) -> None:
    """Raise if a matrix has NaN or infinite entries, naming columns, counts and first rows."""
    if np.isfinite(matrix).all():
        return
    problems = []
    for name, column in zip(names, matrix.T, strict=True):
        for word, mask in (("NaN", np.isnan(column)), ("infinite (inf)", np.isinf(column))):
            if mask.any():
                problems.append(f"column {name!r} is {word} on {mask.sum():,} ({first_rows(mask)})")
    if problems:
        raise ValueError(
            f"{role}: of {len(matrix):,} rows, {'; '.join(problems[:5])}. Rows are never dropped "
            "in silence: impute these values or remove the rows first."
        )


# ---------------------------------------------------------------------- outcomes


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
    _check_rows(len(values), n_rows, role)
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


def _check_rows(n: int, n_rows: int, role: str) -> None:
    try:
        check_consistent_length(np.empty(n), np.empty(n_rows))
    except ValueError:
        raise ValueError(
            f"Found inconsistent numbers of rows: {role} has {n:,}, X has {n_rows:,}."
        ) from None


def _to_float(column: pd.Series[Any], role: str) -> Array:
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


def read_outcome(y: Any, n_rows: int) -> Array:
    """Return a numeric outcome; NaN marks rows without a gold label.

    Raises
    ------
    ValueError
        If y is missing, not numeric, infinite, or no row is labelled.
    """
    values = _to_float(_require_y(y, n_rows), "y")
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(
            "Input y contains infinity or a value too large for dtype('float64'). "
            f"({first_rows(infinite)}; use NaN for rows without a gold label)"
        )
    _check_any_label(~np.isnan(values))
    return values


def read_classes(y: Any, n_rows: int) -> tuple[Array, NDArray[Any]]:
    """Return a binary outcome as 0, 1 and NaN, and the two classes.

    Raises
    ------
    ValueError
        If y is missing, continuous, or has another number of classes than two.
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
            f"{classes.tolist()[0]!r}. A logistic regression needs both; label more rows."
        )
    if len(classes) > 2:
        raise ValueError(
            "Only binary classification is supported. The type of the target is "
            f"{type_of_target(known)}: y has {len(classes)} values "
            f"({', '.join(map(str, classes[:5]))}{', ...' if len(classes) > 5 else ''})."
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


# ---------------------------------------------------------------------- surrogates


def read_features(data: Any, n_rows: int, role: str, default_name: str) -> Features:
    """Return columns for a learner; categories become indicator columns.

    Raises
    ------
    ValueError
        If the number of rows is wrong or values are missing or infinite.
    """
    if sparse.issparse(data):
        return _sparse_features(data, n_rows, role, default_name)
    frame = _as_frame(data, role, default_name)
    _check_rows(len(frame), n_rows, role)
    missing = frame.isna().to_numpy()
    if missing.any():
        counts = missing.sum(axis=0)
        worst = ", ".join(
            f"column {frame.columns[j]!r} on {counts[j]:,} ({first_rows(missing[:, j])})"
            for j in np.flatnonzero(counts)[:5]
        )
        raise ValueError(
            f"{role}: missing values (NaN) in {worst} of {n_rows:,} rows. Every row needs its "
            "surrogate, labelled or not; rows are never dropped in silence. Fill them, for "
            "example with a category of their own, or remove the rows first."
        )
    blocks, names = [], []
    for name in frame.columns:
        if _is_number(frame[name]):
            blocks.append(frame[name].to_numpy(dtype=float)[:, None])
            names.append(name)
        else:
            block, levels = _indicators(frame[name], role)
            blocks.append(block)
            names.extend(f"{name}={level}" for level in levels)
    _check_unique(pd.Index(names), role)
    matrix = np.hstack(blocks) if blocks else np.empty((n_rows, 0))
    check_finite(matrix, names, role)
    return Features(matrix, tuple(names), frame)


def _as_frame(data: Any, role: str, default_name: str) -> pd.DataFrame:
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
    _check_unique(data.columns, role)
    if any(pd.api.types.is_complex_dtype(dtype) for dtype in data.dtypes):
        raise ValueError(f"Complex data not supported: {role}.")
    return data


def _indicators(column: pd.Series[Any], role: str) -> tuple[Array, list[str]]:
    levels = sorted(column.astype(str).unique())
    if len(levels) > MAX_LEVELS:
        raise ValueError(
            f"{role}: column {column.name!r} is text with {len(levels):,} different values, too "
            f"many for indicator columns (at most {MAX_LEVELS}). Leave it out, or turn it into "
            "numbers first (for texts: embeddings or a sparse matrix of word counts)."
        )
    kept = levels[1:] if len(levels) == 2 else levels
    text = column.astype(str).to_numpy()
    return np.column_stack([text == level for level in kept]).astype(float), kept


def _sparse_features(data: Any, n_rows: int, role: str, default_name: str) -> Features:
    _check_rows(data.shape[0], n_rows, role)
    matrix = sparse.csr_array(data, dtype=float)
    if not np.isfinite(matrix.data).all():
        raise ValueError(f"{role}: the sparse matrix holds NaN or infinite values.")
    names = tuple(f"{default_name}{j + 1}" for j in range(matrix.shape[1]))
    return Features(matrix, names, None)


# ---------------------------------------------------------------------- the sampling of labels


def read_probability(values: Any, n_rows: int) -> Array:
    """Return known sampling probabilities, one per row.

    Raises
    ------
    ValueError
        If one is missing or lies outside (0, 1].
    """
    if np.ndim(values) == 0:
        values = np.full(n_rows, values)
    probability = _to_float(
        read_series(values, "sampling_probability", n_rows), "sampling_probability"
    )
    missing = np.isnan(probability)
    if missing.any():
        raise ValueError(
            f"sampling_probability is missing on {missing.sum():,} of {n_rows:,} rows "
            f"({first_rows(missing)}). Every row of the frame needs the probability with which "
            "it could have been drawn for labelling, drawn or not."
        )
    outside = (probability <= 0.0) | (probability > 1.0)
    if outside.any():
        raise ValueError(
            f"sampling_probability lies outside (0, 1] on {outside.sum():,} of {n_rows:,} rows "
            f"({first_rows(outside)}, for example {probability[outside][0]:g}). A row that could "
            "never be drawn cannot be represented by the gold labels."
        )
    return probability


def encode_clusters(clusters: Any, n_rows: int) -> Codes:
    """Return cluster codes 0, 1, ...; two columns stand for two-way clustering.

    Returns
    -------
    ndarray of int of shape (n,) or (n, 2)

    Raises
    ------
    ValueError
        If a value is missing, there are more than two columns, or there is only one cluster.
    """
    frame = _as_frame(clusters, "clusters", "cluster")
    _check_rows(len(frame), n_rows, "clusters")
    if frame.shape[1] not in (1, 2):
        raise ValueError(f"clusters: one or two columns are possible, got {frame.shape[1]}.")
    codes = []
    for name in frame.columns:
        missing = frame[name].isna().to_numpy()
        if missing.any():
            raise ValueError(
                f"clusters: column {name!r} is missing on {missing.sum():,} of {n_rows:,} rows "
                f"({first_rows(missing)}). Give these rows a cluster of their own or remove them."
            )
        code, levels = pd.factorize(frame[name])
        if len(levels) < 2:
            raise ValueError(f"clusters: all rows are in one cluster ({levels[0]!r}).")
        codes.append(code)
    return np.column_stack(codes) if len(codes) == 2 else codes[0].astype(np.intp)
