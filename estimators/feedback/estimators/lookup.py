"""From what users of a model say to rows and columns, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from ...validation import did_you_mean, to_pandas
from ..clicks import ClickMatrix

Array = NDArray[Any]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Recommendations:
    """The best items of each user, or the nearest neighbours of each item or user.

    Attributes
    ----------
    queries : ndarray of shape (m,)
        Users, or items, in the order asked for.
    found : ndarray of shape (m, n)
        Items, or users, the best first and equal ones in the order of the columns of the clicks;
        names if the model knows some. Where there are too few, -1, or None among names.
    scores : ndarray of shape (m, n)
        NaN where there are too few.
    kind : tuple of str
        What the two are, for the columns of the frame.
    """

    queries: Array
    found: Array
    scores: Array
    kind: tuple[str, str] = ("user", "item")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per recommendation: who, what, rank from 1, score."""
        m, n = self.found.shape
        frame = pd.DataFrame(
            {
                self.kind[0]: np.repeat(self.queries, n),
                self.kind[1]: self.found.ravel(),
                "rank": np.tile(np.arange(1, n + 1), m),
                "score": self.scores.ravel(),
            }
        )
        return frame[frame["score"].notna()].reset_index(drop=True)


def positions(values: Any, names: pd.Index[Any] | None, n: int, role: str) -> Codes:
    """Return rows (or columns) of names, or of numbers where there are no names.

    Raises
    ------
    ValueError
        If one is unknown or out of range.
    """
    given = np.atleast_1d(np.asarray(to_pandas(values)))
    if given.ndim != 1:
        raise ValueError(f"{role} must be one-dimensional, got shape {given.shape}.")
    if names is not None:
        found = names.get_indexer(pd.Index(given))
        if (found < 0).any():
            unknown = given[np.argmax(found < 0)]
            hint = did_you_mean(str(unknown), names) if isinstance(unknown, str) else ""
            raise ValueError(
                f"{role}: {(found < 0).sum():,} of {len(given):,} are not among the {n:,} of the "
                f"fit, for example {unknown!r}.{hint}"
            )
        return np.asarray(found)
    if not given.size:
        return np.empty(0, dtype=np.intp)
    if given.dtype.kind not in "iu":
        raise ValueError(
            f"{role} must be row or column numbers (integers), got {given.dtype}. Fit to the result"
            " of clicks_to_matrix(users, items) to use names."
        )
    wrong = (given < 0) | (given >= n)
    if wrong.any():
        raise ValueError(
            f"{role}: {wrong.sum():,} of {len(given):,} are out of range, for example "
            f"{given[np.argmax(wrong)]}; the fit had {n:,}, numbered 0 to {n - 1:,}."
        )
    return given.astype(np.intp)


def pair_positions(
    pairs: Any, users: pd.Index[Any] | None, items: pd.Index[Any] | None, shape: tuple[int, int]
) -> tuple[Codes, Codes]:
    """Return rows and columns of pairs, given as two columns.

    Raises
    ------
    ValueError
        If there are not two columns, or a user or item is unknown.
    """
    pairs = to_pandas(pairs)
    if isinstance(pairs, pd.DataFrame):
        n_columns, columns = pairs.shape[1], [pairs.iloc[:, j] for j in range(pairs.shape[1])]
    elif isinstance(pairs, tuple) and len(pairs) == 2:
        n_columns, columns = 2, list(pairs)
    else:
        # A list of mixed pairs must not turn its numbers into text.
        array = np.asarray(pairs, dtype=object if isinstance(pairs, list) else None)
        n_columns = array.shape[1] if array.ndim == 2 else 0
        columns = [pd.Series(array[:, j]).infer_objects() for j in range(n_columns)]
    if n_columns != 2:
        raise ValueError(
            "pairs must have two columns, users and items: an array of shape (m, 2), a frame with "
            "two columns, or a tuple of two arrays."
        )
    row = positions(columns[0], users, shape[0], "pairs, users")
    column = positions(columns[1], items, shape[1], "pairs, items")
    if len(row) != len(column):
        raise ValueError(f"pairs: {len(row):,} users, but {len(column):,} items.")
    return row, column


def named(found: Codes, names: pd.Index[Any] | None) -> Array:
    """Return names of rows or columns, None for -1; numbers as they are without names."""
    if names is None:
        return found
    if (found >= 0).all():
        return np.asarray(names.to_numpy()[found])
    out = np.full(found.shape, None, dtype=object)
    out[found >= 0] = names.to_numpy()[found[found >= 0]]
    return out


def check_same_items(model: Any, X: Any, n_items: int) -> None:
    """Raise unless clicks of new users are on the items of the fit."""
    if n_items != len(model.item_factors_):
        raise ValueError(
            f"X has {n_items:,} items, the fit had {len(model.item_factors_):,}. New users are "
            "folded in on the items of the fit, in their order."
        )
    both_named = model.item_names_ is not None and isinstance(X, ClickMatrix)
    if both_named and not model.item_names_.equals(X.items):
        raise ValueError(
            "X has other items than the fit, or in another order. Make it by "
            "clicks_to_matrix(users, items, item_names=model.item_names_)."
        )


def excluded_cells(
    clicks: Any, rows: Codes | None, extra: Any, chosen: Codes | None, shape: tuple[int, int]
) -> tuple[Array, Array] | None:
    """Return, per asked row, the columns that it must not get, among the chosen ones.

    Parameters
    ----------
    clicks : csr_matrix, or None
        Seen items of all users.
    rows : ndarray of int, or None
        Users asked for; None for all, in order.
    extra : sparse matrix of shape (m, n_items), or None
        More of them for each asked user.
    chosen : ndarray of int, or None
        Columns to which scores are restricted.
    shape : tuple of int
        Asked users, all items.
    """
    parts = []
    if clicks is not None:
        parts.append(clicks if rows is None else clicks[rows])
    if extra is not None:
        if extra.shape != shape:
            raise ValueError(
                f"exclude has shape {extra.shape}; a matrix must have one row per asked user and "
                f"one column per item, {shape}."
            )
        parts.append(sparse.csr_matrix(extra != 0))
    if not parts:
        return None
    cells: Any = parts[0] if len(parts) == 1 else sparse.csr_matrix((parts[0] + parts[1]) != 0)
    if chosen is not None:
        cells = cells[:, chosen]
    return cells.indptr, cells.indices
