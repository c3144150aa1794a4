"""Turning a surrogate into an outcome, and group columns into a design."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..learners import Task
from ..validation import Features, first_rows, select_columns

Array = NDArray[np.float64]


def task_of(outcome: Array) -> Task:
    """Return what to learn: a probability if all known outcomes are 0 or 1, else a mean."""
    known = outcome[~np.isnan(outcome)]
    return "probability" if np.isin(known, (0.0, 1.0)).all() else "regression"


def surrogate_as_outcome(
    surrogates: Features, classes: NDArray[Any] | None, column: str | None = None
) -> Array:
    """Return one surrogate on the scale of the outcome.

    Parameters
    ----------
    surrogates : Features
    classes : ndarray of shape (2,), or None
        The classes of a binary outcome; their order gives 0 and 1. Numbers that are not classes
        pass as they are if the classes are 0 and 1 (say predicted probabilities).
    column : str, default=None
        Which one; None if there must be exactly one.

    Raises
    ------
    ValueError
        If there are several surrogates and none is named, or the values do not fit the outcome.
    """
    frame = surrogates.raw
    if frame is None:
        raise ValueError("A sparse matrix of surrogates cannot stand for the outcome itself.")
    if column is None and frame.shape[1] != 1:
        raise ValueError(
            f"learner=None takes the surrogate as it is and needs exactly one, got "
            f"{frame.shape[1]} ({', '.join(map(repr, frame.columns[:6]))}). Choose one column or "
            "a learner."
        )
    values = select_columns(frame, [column or frame.columns[0]], "surrogates").iloc[:, 0]
    is_number = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
    if classes is None:
        if not is_number:
            raise ValueError(
                f"Surrogate {values.name!r} holds text, for example {values.iloc[0]!r}, but the "
                "outcome is numeric; use a learner or recode it."
            )
        return values.to_numpy(dtype=float)
    unknown = ~values.isin(list(classes)).to_numpy()
    if not unknown.any():
        return (values == classes[1]).to_numpy(dtype=float)
    if is_number and classes.dtype.kind in "biuf" and list(classes) == [0, 1]:
        return values.to_numpy(dtype=float)
    known = ", ".join(map(repr, classes.tolist()))
    raise ValueError(
        f"Surrogate {values.name!r} has values that are not classes of y ({known}) on "
        f"{unknown.sum():,} rows ({first_rows(unknown)}, for example "
        f"{values[unknown].iloc[0]!r}); recode it or use a learner."
    )


def group_design(
    frame: pd.DataFrame, by: Sequence[str]
) -> tuple[Array, tuple[str, ...], pd.DataFrame]:
    """Return indicator columns of groups, their names and their levels.

    Raises
    ------
    ValueError
        If a group column is missing or has missing values.
    """
    keys = select_columns(frame, by, "by")
    missing = keys.isna().any(axis=1).to_numpy()
    if missing.any():
        raise ValueError(
            f"by: {', '.join(map(repr, by))} missing on {missing.sum():,} of {len(frame):,} rows "
            f"({first_rows(missing)}). Give these rows a group of their own or remove them."
        )
    grouped = keys.groupby(list(by), sort=True, observed=True)
    levels = keys.drop_duplicates()
    levels = levels.sort_values(list(by)).reset_index(drop=True)
    numbers = grouped.ngroup().to_numpy()
    names = tuple(
        ", ".join(f"{name}={level}" for name, level in zip(by, row, strict=True))
        for row in levels[list(by)].itertuples(index=False)
    )
    return (numbers[:, None] == np.arange(len(levels))).astype(float), names, levels
