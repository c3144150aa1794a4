"""What comes with every row: surrogates, probabilities, clusters, weights, fixed effects."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from .frames import (
    as_frame,
    check_finite,
    check_rows,
    check_unique,
    is_number,
    read_series,
    to_float,
)
from .words import first_rows

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

    def rows(self, positions: Codes) -> Features:
        """Return some of the rows."""
        raw = None if self.raw is None else self.raw.iloc[positions]
        return Features(self.matrix[positions], self.names, raw)


def read_features(
    data: Any, n_rows: int, role: str, default_name: str, *, drop_first: bool = False
) -> Features:
    """Return columns as numbers; categories become indicators, one for each level.

    Two levels have one indicator; so does every level but the first with ``drop_first``, where
    the columns stand beside a constant.

    Raises
    ------
    ValueError
        If the number of rows is wrong or values are missing or infinite.
    """
    if sparse.issparse(data):
        return _sparse_features(data, n_rows, role, default_name)
    frame = as_frame(data, role, default_name)
    check_rows(len(frame), n_rows, role)
    missing = frame.isna().to_numpy()
    if missing.any():
        counts = missing.sum(axis=0)
        worst = ", ".join(
            f"column {frame.columns[j]!r} on {counts[j]:,} ({first_rows(missing[:, j])})"
            for j in np.flatnonzero(counts)[:5]
        )
        raise ValueError(
            f"{role}: missing values (NaN) in {worst} of {n_rows:,} rows. Every row needs its "
            "value, labelled or not; rows are never dropped in silence. Fill them, for "
            "example with a category of their own, or remove the rows first."
        )
    blocks, names = [], []
    for name in frame.columns:
        if is_number(frame[name]):
            blocks.append(frame[name].to_numpy(dtype=float)[:, None])
            names.append(name)
        else:
            block, levels = _indicators(frame[name], role, drop_first)
            blocks.append(block)
            names.extend(f"{name}={level}" for level in levels)
    check_unique(pd.Index(names), role)
    matrix = np.hstack(blocks) if blocks else np.empty((n_rows, 0))
    check_finite(matrix, names, role)
    return Features(matrix, tuple(names), frame)


def _indicators(column: pd.Series[Any], role: str, drop_first: bool) -> tuple[Array, list[str]]:
    levels = sorted(column.astype(str).unique())
    if len(levels) > MAX_LEVELS:
        raise ValueError(
            f"{role}: column {column.name!r} is text with {len(levels):,} different values, too "
            f"many for indicator columns (at most {MAX_LEVELS}). Leave it out, or turn it into "
            "numbers first (for texts: embeddings or a sparse matrix of word counts)."
        )
    kept = levels[1:] if len(levels) == 2 or drop_first else levels
    text = column.astype(str).to_numpy()
    return np.column_stack([text == level for level in kept]).astype(float), kept


def _sparse_features(data: Any, n_rows: int, role: str, default_name: str) -> Features:
    check_rows(data.shape[0], n_rows, role)
    matrix = sparse.csr_array(data, dtype=float)
    if not np.isfinite(matrix.data).all():
        raise ValueError(f"{role}: the sparse matrix holds NaN or infinite values.")
    names = tuple(f"{default_name}{j + 1}" for j in range(matrix.shape[1]))
    return Features(matrix, names, None)


def read_probability(values: Any, n_rows: int) -> Array:
    """Return known sampling probabilities, one per row.

    Raises
    ------
    ValueError
        If one is missing or lies outside (0, 1].
    """
    if np.ndim(values) == 0:
        values = np.full(n_rows, values)
    probability = to_float(
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
    frame = as_frame(clusters, "clusters", "cluster")
    check_rows(len(frame), n_rows, "clusters")
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


def encode_effects(effects: Any, n_rows: int) -> tuple[tuple[str, ...], Codes]:
    """Return names of fixed effects and their level codes 0, 1, ..., shape (n, n_effects).

    Raises
    ------
    ValueError
        If a value is missing.
    """
    frame = as_frame(effects, "fixed_effects", "effect")
    check_rows(len(frame), n_rows, "fixed_effects")
    codes = np.empty(frame.shape, dtype=np.intp)
    for j, name in enumerate(frame.columns):
        codes[:, j], _ = pd.factorize(frame[name])
        missing = codes[:, j] < 0
        if missing.any():
            raise ValueError(
                f"fixed_effects: column {name!r} is missing on {missing.sum():,} of {n_rows:,} "
                f"rows ({first_rows(missing)}). Give these rows a level of their own or remove "
                "them."
            )
    return tuple(frame.columns), codes


def read_weights(values: Any, n_rows: int) -> Array:
    """Return analysis weights, not negative, not all zero.

    Raises
    ------
    ValueError
        If one is missing, negative or infinite, or all are zero.
    """
    if isinstance(values, Real):
        values = np.full(n_rows, values)
    weight = to_float(read_series(values, "sample_weight", n_rows), "sample_weight")
    for word, mask in (
        ("missing", np.isnan(weight)),
        ("infinite", np.isinf(weight)),
        ("negative", weight < 0.0),
    ):
        if mask.any():
            raise ValueError(
                f"sample_weight is {word} on {mask.sum():,} of {n_rows:,} rows "
                f"({first_rows(mask)}). A weight says how much a row counts: a positive number, "
                "or zero to leave the row out."
            )
    if not weight.any():
        raise ValueError("sample_weight is zero on every row, so nothing is left to estimate from.")
    return weight
