"""Rows of the data behind a formula: their fixed effects, and those with missing values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..validation import select_columns
from .columns import Codes, Mask, check_complete
from .parsing import ParsedFormula

# ---------------------------------------------------------------------- fixed effects


class FixedEffectCodes(NamedTuple):
    """Codes 0, ..., L-1 of shape (n, m), and name and number of levels of each effect."""

    codes: Codes
    names: tuple[str, ...]
    n_levels: tuple[int, ...]


def fixed_effect_codes(parsed: ParsedFormula, frame: pd.DataFrame) -> FixedEffectCodes:
    """Encode fixed effects as 0, 1, ... in order of appearance.

    Parameters
    ----------
    parsed : ParsedFormula
        With m fixed effects; several columns in one stand for their combinations.
    frame : DataFrame of n rows

    Returns
    -------
    FixedEffectCodes
        ``codes`` of shape (n, m), ``names`` such as ``"firm"`` or ``"firm:year"``, ``n_levels``.

    Raises
    ------
    ValueError
        If a column does not exist or has missing values.

    Examples
    --------
    >>> from trueness.formula import parse
    >>> frame = pd.DataFrame({"firm": ["a", "b", "a"], "year": [2001, 2001, 2002]})
    >>> effects = fixed_effect_codes(parse("y ~ x | firm + firm:year"), frame)
    >>> effects.codes.tolist()
    [[0, 0], [1, 1], [0, 2]]
    >>> effects.names, effects.n_levels
    (('firm', 'firm:year'), (2, 3))
    """
    effects = parsed.fixed_effects
    codes = np.empty((len(frame), len(effects)), dtype=np.intp)
    for j, effect in enumerate(effects):
        codes[:, j] = _combination(select_columns(frame, effect, "fixed effects"))
    n_levels = tuple(int(column.max(initial=-1)) + 1 for column in codes.T)
    return FixedEffectCodes(codes, tuple(":".join(effect) for effect in effects), n_levels)


def _combination(columns: pd.DataFrame) -> Codes:
    combined = np.zeros(len(columns), dtype=np.intp)
    for name in columns:
        check_complete(columns[name], str(name))
        codes, levels = pd.factorize(columns[name])
        # Numbered anew after every column, the codes stay far below the largest integer.
        combined = pd.factorize(combined * len(levels) + codes)[0]
    return combined


# ---------------------------------------------------------------------- missing values


class CompleteRows(NamedTuple):
    """Rows without missing values, and what was lost.

    ``mask`` has shape (n,); ``lost`` counts the rows with a missing value in each column that has
    any; ``n_lost`` counts the rows lost altogether.
    """

    mask: Mask
    lost: dict[str, int]
    n_lost: int


def complete_rows(frame: pd.DataFrame, columns: Sequence[str]) -> CompleteRows:
    """Find the rows without missing values in some columns, for listwise deletion.

    Parameters
    ----------
    frame : DataFrame of n rows
    columns : sequence of str
        A column that is named twice counts once.

    Returns
    -------
    CompleteRows
        ``mask``, ``lost`` by column and ``n_lost``. A row that misses two columns counts in both,
        so ``lost`` can sum to more than ``n_lost``.

    Raises
    ------
    ValueError
        If a column does not exist.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [1.0, np.nan, np.nan], "z": ["a", None, "b"], "t": [1, 2, 3]})
    >>> rows = complete_rows(frame, ["x", "z", "t"])
    >>> rows.mask.tolist(), rows.lost, rows.n_lost
    ([True, False, False], {'x': 2, 'z': 1}, 2)
    """
    mask = np.ones(len(frame), dtype=bool)
    lost = {}
    for name in columns:
        missing = select_columns(frame, [name], "formula")[name].isna().to_numpy()
        if missing.any():
            lost[name] = int(missing.sum())
            mask &= ~missing
    return CompleteRows(mask, lost, int((~mask).sum()))
