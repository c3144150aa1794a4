"""Outcomes that replace censored durations, from models of censoring and of the event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from ...crossfit import draw_folds
from ..horizon import Restricted
from ..models import (
    AutoCensoring,
    CensoringModel,
    CoxCensoring,
    CrossFittedCensoring,
    KaplanMeierCensoring,
)
from ..models.covariates import take_rows
from ..numerics import transforms
from ..numerics.transforms import Curves
from ..targets import CensoredRows

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

# Curves of single rows are followed exactly on grids up to this size, sampled on longer ones.
MAX_GRID = 1000
# Values of curves that are held at a time.
MAX_VALUES = 2_000_000


@dataclass(frozen=True)
class TrainingCurves:
    """Survival curves of the rows of a fit, made without the row itself where it matters.

    Attributes
    ----------
    values : callable
        Maps positions of rows and a grid to an array of shape (len(rows), len(grid)), or
        (1, len(grid)) if the curve is that of all rows.
    jumps : ndarray, or None
        Times of all jumps; None for curves of another kind.
    is_shared : bool
        Whether all rows have one curve.
    """

    values: Callable[[Codes, Array], Array]
    jumps: Array | None
    is_shared: bool


def training_curves(
    model: CensoringModel, X: Any, rows: CensoredRows, *, n_folds: int, rng: np.random.Generator
) -> TrainingCurves:
    """Return curves of the training rows as an outcome may use them.

    The Kaplan-Meier curve is that of all rows. Models that leave the row itself out, or the trees
    that know it, are asked for those curves; a Cox model is fitted anew outside each fold.

    Parameters
    ----------
    model : CensoringModel
        Fitted to the rows.
    X : array or frame of shape (n, p)
    rows : CensoredRows
    n_folds : int
    rng : Generator
        Draws the folds.

    Returns
    -------
    TrainingCurves
    """
    chosen = model.model_ if isinstance(model, AutoCensoring) else model
    if isinstance(chosen, KaplanMeierCensoring) and not chosen.leave_one_out:
        return TrainingCurves(
            lambda _, grid: chosen.survival_grid(None, grid), chosen.jump_times_, True
        )
    if isinstance(chosen, CoxCensoring):
        values = _cross_fitted(chosen, X, rows, n_folds, rng)
        return TrainingCurves(values, chosen.jump_times_, False)
    # What users bring may fall anywhere.
    jumps = None if isinstance(chosen, CrossFittedCensoring) else chosen.jump_times_
    return TrainingCurves(lambda some, grid: chosen.training_grid(grid, rows=some), jumps, False)


def _cross_fitted(
    model: CensoringModel, X: Any, rows: CensoredRows, n_folds: int, rng: np.random.Generator
) -> Callable[[Codes, Array], Array]:
    """Fit clones of a model outside each fold; return what they say of the rows in it."""
    everything = np.ones(len(rows), dtype=bool)
    n_folds = min(n_folds, max(len(rows) // 2, 2))
    folds = draw_folds(everything, rows.clusters, n_folds, rng, rows.event)
    fold_of = np.empty(len(rows), dtype=np.intp)
    fitted = []
    with threadpool_limits(1):
        for number, fold in enumerate(folds):
            fold_of[fold.predict] = number
            outside = clone(model)
            fitted.append(outside.fit_rows(take_rows(X, fold.train), rows.take(fold.train)))

    def values(chosen: Codes, grid: Array) -> Array:
        found = np.empty((len(chosen), len(grid)))
        for number in np.unique(fold_of[chosen]):
            here = fold_of[chosen] == number
            # Rows outside a fold may end before those in it: what was said last is said then.
            within = np.minimum(grid, fitted[number].last_time_)
            found[here] = fitted[number].survival_grid(take_rows(X, chosen[here]), within)
        return found

    return values


def outcomes(
    method: str,
    rows: CensoredRows,
    restricted: Restricted,
    censoring: TrainingCurves | None,
    event: TrainingCurves | None,
    floor: float,
) -> Array:
    """Return an outcome for every row that stands for its restricted duration.

    Parameters
    ----------
    method : {"doubly_robust", "buckley_james", "leurgans", "ksv", "pseudo"}
    rows : CensoredRows
    restricted : Restricted
        With its horizon; without one, durations up to the last time are meant.
    censoring, event : TrainingCurves, or None
        What the method needs of them.
    floor : float
        Least survival of censoring to divide by.

    Returns
    -------
    ndarray of shape (n,)
    """
    horizon = restricted.horizon
    horizon = float(rows.time.max()) if horizon is None else horizon
    if method == "pseudo":
        return transforms.pseudo_observations(
            rows.time, rows.event, horizon, weight=rows.weight, entry=rows.entry
        )
    sources = [source for source in (censoring, event) if source is not None]
    grid, is_exact = common_grid([source.jumps for source in sources], rows.time, horizon)
    if not is_exact and not all(source.is_shared for source in sources):
        grid, steps = thinned(grid, horizon), False
    else:
        steps = all(source.jumps is not None for source in sources)
    common = None if event is None else _marginal_survival(rows, grid)
    result = np.empty(len(rows))
    size = max(1, MAX_VALUES // max(len(grid), 1))
    size = len(rows) if all(source.is_shared for source in sources) else size
    for start in range(0, len(rows), size):
        chosen = np.arange(start, min(start + size, len(rows)))
        target, known = restricted.target[chosen], restricted.known[chosen]
        g = s = None
        if censoring is not None:
            g = Curves(grid, censoring.values(chosen, grid), steps).floored(floor)
        if event is not None:
            assert common is not None
            s = Curves(grid, event.values(chosen, grid), steps).continued(common)
        result[chosen] = _one_block(method, target, known, g, s, horizon)
    return result


def _one_block(
    method: str,
    target: Array,
    known: NDArray[np.bool_],
    g: Curves | None,
    s: Curves | None,
    horizon: float,
) -> Array:
    if method == "buckley_james":
        assert s is not None
        beyond = transforms.mean_beyond(s, target, horizon)
        return transforms.buckley_james(target, known, beyond)
    assert g is not None
    if method == "leurgans":
        return transforms.leurgans(target, g)
    if method == "ksv":
        return transforms.koul_susarla_van_ryzin(target, known, g.at(target, "left"))
    assert s is not None
    return transforms.doubly_robust(target, known, g, s, horizon)


def common_grid(jumps: list[Array | None], time: Array, horizon: float) -> tuple[Array, bool]:
    """Return all times up to the horizon at which a curve may jump, and whether they are few.

    Curves without known jumps are looked at wherever something happened.
    """
    parts = [time if part is None else part for part in jumps]
    grid = np.unique(np.concatenate(parts))
    grid = grid[grid <= horizon]
    if not len(grid):
        grid = np.array([horizon])
    return grid, len(grid) <= MAX_GRID


def thinned(grid: Array, horizon: float) -> Array:
    """Return a sample of a long grid, evenly over its points, up to the horizon."""
    chosen = grid[np.linspace(0, len(grid) - 1, MAX_GRID).astype(np.intp)]
    return np.union1d(chosen, [horizon])


def _marginal_survival(rows: CensoredRows, grid: Array) -> Array:
    model = KaplanMeierCensoring(of="event").fit_rows(None, rows)
    curve: Array = model.survival_grid(None, grid)[0]
    return curve
