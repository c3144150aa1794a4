"""Clicks: from rows of a log, or a matrix in any form, to a matrix of ones with names."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from ..validation import first_rows, to_pandas
from .alarms import FeedbackWarning

Codes = NDArray[np.integer[Any]]

BINARISE = (
    "A click is 1 and everything else 0. Binarise first: X > 0 for counts, X >= 4 for ratings of "
    "which 4 and more are liked; or make the matrix from rows by clicks_to_matrix(users, items)."
)


@dataclass(frozen=True, repr=False)
class ClickMatrix:
    """Clicks with the names of their users and items.

    Attributes
    ----------
    matrix : csr_array of shape (n_users, n_items)
        1 where the user clicked on the item.
    users, items : Index
        Names of rows and columns.
    counts : ndarray of shape (n_clicks,)
        How often each pair was there, in the order of ``matrix.data``.
    """

    matrix: Any
    users: pd.Index[Any]
    items: pd.Index[Any]
    counts: Codes

    @property
    def n_repeats(self) -> int:
        """Number of rows that repeated a pair."""
        return int(self.counts.sum()) - len(self.counts)

    def __repr__(self) -> str:
        n_users, n_items = self.matrix.shape
        return (
            f"ClickMatrix: {self.matrix.nnz:,} clicks of {n_users:,} users on {n_items:,} items "
            f"({self.matrix.nnz / (n_users * n_items):.2%} of pairs; {self.n_repeats:,} rows "
            "repeated a pair)"
        )


def clicks_to_matrix(
    users: Any,
    items: Any,
    *,
    user_names: Any = None,
    item_names: Any = None,
    repeats: Literal["warn", "ignore", "raise"] = "warn",
) -> ClickMatrix:
    """Make a matrix from rows of a click log.

    Parameters
    ----------
    users, items : array-like of shape (n_rows,)
        Who clicked on what; numbers or text, from any frame.
    user_names, item_names : array-like, default=None
        All users and items in the order of the rows and columns to be, also such without a click;
        by default those that occur, sorted.
    repeats : {"warn", "ignore", "raise"}, default="warn"
        What to do where a pair occurs again. It counts once; ``counts`` has how often it occurred.

    Returns
    -------
    ClickMatrix

    Raises
    ------
    ValueError
        If there are no rows, lengths differ, a user or item is missing, a name is not among those
        given or is given twice, or a pair occurs again and ``repeats="raise"``.

    Warns
    -----
    FeedbackWarning
        If a pair occurs again.

    Examples
    --------
    >>> from trueness.feedback import clicks_to_matrix
    >>> clicks = clicks_to_matrix(["ann", "bob", "ann"], ["tea", "tea", "milk"])
    >>> clicks
    ClickMatrix: 3 clicks of 2 users on 2 items (75.00% of pairs; 0 rows repeated a pair)
    >>> clicks.matrix.toarray().tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    >>> list(clicks.items)
    ['milk', 'tea']
    """
    if repeats not in ("warn", "ignore", "raise"):
        raise ValueError(f"repeats={repeats!r} must be 'warn', 'ignore' or 'raise'.")
    rows, row_names = _codes(users, user_names, "users")
    columns, column_names = _codes(items, item_names, "items")
    if len(rows) != len(columns):
        raise ValueError(f"users has {len(rows):,} rows, items has {len(columns):,}.")
    shape = (len(row_names), len(column_names))
    ones = np.ones(len(rows), dtype=np.int64)
    counted: Any = sparse.coo_array((ones, (rows, columns)), shape=shape).tocsr()
    counted.sum_duplicates()
    matrix = sparse.csr_array(
        (np.ones(counted.nnz, dtype=np.float32), counted.indices, counted.indptr), shape=shape
    )
    found = ClickMatrix(matrix, row_names, column_names, counted.data)
    if found.n_repeats and repeats != "ignore":
        message = (
            f"{found.n_repeats:,} of {len(rows):,} rows repeat a pair of user and item. A pair "
            "counts once here; `counts` has how often it occurred."
        )
        if repeats == "raise":
            raise ValueError(message)
        warnings.warn(message, FeedbackWarning, stacklevel=2)
    return found


def _codes(values: Any, names: Any, role: str) -> tuple[Codes, pd.Index[Any]]:
    series = pd.Series(to_pandas(values))
    if not len(series):
        raise ValueError(f"{role}: there are no rows, so there is nothing to make a matrix from.")
    missing = series.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"{role}: missing in {missing.sum():,} of {len(series):,} rows ({first_rows(missing)})."
            " Remove these rows first; a click needs to be somebody's, on something."
        )
    if names is None:
        codes, found = pd.factorize(series)
        names = pd.Index(found)
        try:
            order = names.argsort()
        except TypeError:  # of several kinds; they stay in the order in which they come
            return codes.astype(np.int32), names
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return place[codes], names[order]
    index = pd.Index(to_pandas(names))
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise ValueError(f"{role}: {twice!r} is twice among the names.")
    codes = index.get_indexer(pd.Index(series))
    unknown = codes < 0
    if unknown.any():
        raise ValueError(
            f"{role}: {unknown.sum():,} of {len(series):,} rows ({first_rows(unknown)}, for example"
            f" {series[unknown].iloc[0]!r}) are not among the {len(index):,} names given."
        )
    return codes.astype(np.int32), index


def read_clicks(X: Any, role: str = "X") -> Any:
    """Return clicks as a canonical compressed row matrix of ones.

    Index arrays and ones are shared with ``X`` where they can be.

    Parameters
    ----------
    X : ClickMatrix, sparse matrix or array of shape (n_users, n_items)

    Returns
    -------
    csr_matrix of shape (n_users, n_items)

    Raises
    ------
    ValueError
        If it is not a matrix, has no row, column or click, or an entry is missing, infinite,
        negative or neither 0 nor 1.
    """
    matrix = X.matrix if isinstance(X, ClickMatrix) else X
    if not sparse.issparse(matrix):
        matrix = np.asarray(to_pandas(matrix))
    if matrix.ndim != 2:
        raise ValueError(
            f"{role} must be a matrix of users x items, got {matrix.ndim} dimension(s). Rows of a "
            "click log become one by clicks_to_matrix(users, items)."
        )
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"{role} must hold numbers, got {matrix.dtype}. {BINARISE}")
    if 0 in matrix.shape:
        n_users, n_items = matrix.shape
        raise ValueError(f"{role} is empty: {n_users:,} users and {n_items:,} items.")
    clicks: Any = sparse.csr_matrix(matrix)
    if not clicks.has_canonical_format:
        if clicks is matrix or np.shares_memory(clicks.data, matrix.data):
            clicks = clicks.copy()
        clicks.sum_duplicates()
    _check_values(clicks, role)
    if clicks.data.size and not clicks.data.all():
        if np.shares_memory(clicks.data, getattr(matrix, "data", clicks.data)):
            clicks = clicks.copy()
        clicks.eliminate_zeros()
    if not clicks.nnz:
        raise ValueError(f"{role} has no click: all {len(clicks.indptr) - 1:,} rows are empty.")
    return clicks


def _check_values(clicks: Any, role: str) -> None:
    data = clicks.data
    if (
        data.dtype == bool
        or not data.size
        or (data.min() >= 0 and data.max() <= 1 and _whole(data))
    ):
        return
    wrongs = (
        ("missing (NaN)", np.isnan(data)),
        ("infinite", np.isinf(data)),
        ("negative", data < 0),
        ("neither 0 nor 1", (data != 0) & (data != 1)),
    )
    for word, mask in wrongs:
        if mask.any():
            at = int(np.argmax(mask))
            row = int(np.searchsorted(clicks.indptr, at, side="right")) - 1
            raise ValueError(
                f"{role}: {mask.sum():,} of {len(data):,} stored entries are {word}, for example "
                f"{data[at]:g} at user {row}, item {clicks.indices[at]}. {BINARISE}"
            )


def _whole(data: NDArray[Any]) -> bool:
    return data.dtype.kind != "f" or bool(((data == 0) | (data == 1)).all())
