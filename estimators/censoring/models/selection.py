"""Choosing among candidates by the Brier score of rows that were left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...crossfit import draw_folds, seed_sequence
from ..horizon import choose_horizon
from ..numerics.bandwidth import BrierScore, prepare_brier
from ..numerics.curves import Of
from ..targets import CensoredRows

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

TIE = 1e-12


class Candidate(NamedTuple):
    """A model to choose, its score, and how to go on with it.

    Attributes
    ----------
    name : str
        For the table.
    score : float
        NaN if it could not be fitted.
    value : object
        Bandwidth, number of neighbours, or model.
    note : str
        Why there is no score.
    """

    name: str
    score: float
    value: Any
    note: str = ""


def best(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the least score; of equal ones the first, which is the simplest.

    Parameters
    ----------
    candidates : sequence of Candidate
        The simplest first.

    Returns
    -------
    Candidate
    """
    chosen = candidates[0]
    for candidate in candidates[1:]:
        if candidate.score < chosen.score - TIE:
            chosen = candidate
    return chosen


def selection_table(candidates: Sequence[Candidate], chosen: Candidate) -> pd.DataFrame:
    """Return names, scores and choice as a frame.

    Parameters
    ----------
    candidates : sequence of Candidate
    chosen : Candidate

    Returns
    -------
    DataFrame
        Columns ``candidate``, ``brier``, ``chosen`` and ``note``.
    """
    return pd.DataFrame(
        {
            "candidate": [candidate.name for candidate in candidates],
            "brier": [candidate.score for candidate in candidates],
            "chosen": [candidate is chosen for candidate in candidates],
            "note": [candidate.note for candidate in candidates],
        }
    )


def scoring(
    rows: CensoredRows, horizon: float | None, of: Of, rng: np.random.Generator
) -> BrierScore:
    """Prepare scores up to a horizon; up to the automatic one if there is none.

    Parameters
    ----------
    rows : CensoredRows
    horizon : float or None
    of : {"censoring", "event"}
    rng : Generator

    Returns
    -------
    BrierScore
    """
    if horizon is None:
        horizon = choose_horizon("auto", rows).value
    last = float(rows.time.max())
    return prepare_brier(
        rows.time,
        rows.event,
        last if horizon is None else min(horizon, last),
        rng,
        weight=rows.weight,
        entry=rows.entry,
        of=of,
    )


def generator(random_state: Any) -> np.random.Generator:
    """Return a generator from whatever scikit-learn or numpy take as a random state."""
    return np.random.default_rng(seed_sequence(random_state))


def crossfitted(
    fit: Callable[[Codes], Callable[[Codes], Array]],
    rows: CensoredRows,
    wanted: Codes,
    n_columns: int,
    n_folds: int,
    rng: np.random.Generator,
) -> Array:
    """Evaluate wanted rows by models fitted without their fold.

    Parameters
    ----------
    fit : callable
        Maps training rows to a function that maps rows to values of shape (len(rows), n_columns).
    rows : CensoredRows
    wanted : ndarray of int
    n_columns, n_folds : int
    rng : Generator

    Returns
    -------
    ndarray of shape (len(wanted), n_columns)
    """
    values = np.full((len(wanted), n_columns), np.nan)
    position = np.full(len(rows), -1)
    position[wanted] = np.arange(len(wanted))
    for predict, train in folds_of(rows, n_folds, rng):
        here = predict[position[predict] >= 0]
        if len(here):
            values[position[here]] = fit(train)(here)
    return values


def folds_of(
    rows: CensoredRows, n_folds: int, rng: np.random.Generator
) -> list[tuple[Codes, Codes]]:
    """Split rows, or clusters, with equal shares of events.

    Parameters
    ----------
    rows : CensoredRows
    n_folds : int
        Fewer if there are few rows or clusters.
    rng : Generator

    Returns
    -------
    list of (predict, train)

    Raises
    ------
    ValueError
        If there are fewer than four rows.
    """
    n = len(rows)
    most = n // 2
    if rows.clusters is not None:
        columns = rows.clusters.reshape(n, -1)
        most = min(most, int((columns.max(axis=0) + 1).min()))
    if most < 2:
        raise ValueError(f"{n} rows are too few to fit a model of censoring on one part of them.")
    everyone = np.ones(n, dtype=bool)
    strata = rows.event.astype(float)
    return [
        (fold.predict, fold.train)
        for fold in draw_folds(everyone, rows.clusters, min(n_folds, most), rng, strata)
    ]
