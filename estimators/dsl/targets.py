"""The variables that are predicted: their gold values, and what a learner says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..learners import Task
from ..validation import first_rows

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A variable known on the labelled rows only.

    Attributes
    ----------
    name : str
    values : ndarray of shape (n,)
        Numbers, or positions in ``levels``; NaN on rows that are not labelled.
    levels : tuple or None
        The categories in order; None for a number. Two categories have one column of predictions
        (the probability of the second), more have one each.
    """

    name: str
    values: Array
    levels: tuple[Any, ...] | None = None

    @property
    def n_columns(self) -> int:
        """Number of columns of predictions."""
        return 1 if self.levels is None or len(self.levels) == 2 else len(self.levels)

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """Which rows have a gold value."""
        return ~np.isnan(self.values)

    @property
    def task(self) -> Task:
        """Return what to learn: a probability if all known values are 0 or 1, else a mean."""
        known = self.values[self.is_labelled]
        is_binary = self.levels is not None or np.isin(known, (0.0, 1.0)).all()
        return "probability" if is_binary else "regression"

    def to_learn(self, labelled: NDArray[np.bool_]) -> Array:
        """Return what a learner is to predict, shape (n, n_columns), NaN where not labelled."""
        values = np.where(labelled, self.values, np.nan)
        if self.n_columns == 1:
            return values[:, None]
        indicators = (values[:, None] == np.arange(self.n_columns)).astype(float)
        indicators[~labelled] = np.nan
        return indicators

    def probabilities(self, columns: Array) -> Array:
        """Turn predicted columns of a category into probabilities, shape (n, n_levels).

        One column for each class was learned on its own, so that rows need not add up to 1.
        """
        if self.n_columns == 1:
            return np.hstack([1.0 - columns, columns])
        shares = np.maximum(columns, 0.0)
        totals = shares.sum(axis=1, keepdims=True)
        return np.where(
            totals > 0.0, shares / np.where(totals > 0.0, totals, 1.0), 1 / shares.shape[1]
        )


def surrogate_as_target(column: pd.Series[Any], target: Target) -> Array:
    """Return one surrogate as it is, in the place of predictions, shape (n, n_columns).

    Numbers between the classes pass for a binary target with classes 0 and 1 (say predicted
    probabilities).

    Raises
    ------
    ValueError
        If its values do not fit the target.
    """
    is_number = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    if target.levels is None:
        if not is_number:
            raise ValueError(
                f"Surrogate {column.name!r} holds text, for example {column.iloc[0]!r}, but "
                f"{target.name!r} is numeric; use a learner or recode it."
            )
        return column.to_numpy(dtype=float)[:, None]
    codes = level_codes(column, target.levels)
    unknown = np.isnan(codes)
    if not unknown.any():
        every_row = np.ones(len(codes), dtype=bool)
        return Target(target.name, codes, target.levels).to_learn(every_row)
    if is_number and list(target.levels) == [0, 1]:
        return column.to_numpy(dtype=float)[:, None]
    known = ", ".join(map(repr, target.levels[:6])) + (", ..." if len(target.levels) > 6 else "")
    raise ValueError(
        f"Surrogate {column.name!r} has values that are not classes of {target.name} ({known}) on "
        f"{unknown.sum():,} rows ({first_rows(unknown)}, for example "
        f"{column[unknown].tolist()[0]!r}); recode it or use a learner."
    )


def level_codes(column: pd.Series[Any], levels: Sequence[Any]) -> Array:
    """Return positions of values in levels as floats; NaN for values that are none of them."""
    positions = pd.Index(levels).get_indexer(pd.Index(column))
    return np.where(positions >= 0, positions, np.nan).astype(float)
