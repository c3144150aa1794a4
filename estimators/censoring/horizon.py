r"""The horizon up to which durations are compared, and the rows known at it.

Beyond the last censoring time the data say nothing about durations, so that :math:`E[Y | X]` is
rarely identified. The target is :math:`\min(Y, \tau)`: a row is known when its event was seen by
the horizon, or when it was still under observation at it, censored later or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .numerics.curves import Counts, count, evaluate, survival
from .targets import CensoredRows

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

G_MIN = 0.2
MIN_AT_RISK = 20
SUM_TOLERANCE = 0.05
N_GRID = 8


@dataclass(frozen=True)
class Restricted:
    """Targets of rows and at which time their censoring matters.

    Attributes
    ----------
    target : ndarray of shape (n,)
        min(time, horizon), or 1 and 0 for being free of the event after the horizon; of no meaning
        where a row is not known.
    known : ndarray of bool of shape (n,)
        Whether censoring has left the target visible.
    at : ndarray of shape (n,)
        The row's weight is one over the left limit of the censoring survival here.
    horizon : float, or None
    """

    target: Array
    known: Mask
    at: Array
    horizon: float | None

    def take(self, rows: Any) -> Restricted:
        """Return some of the rows."""
        return Restricted(self.target[rows], self.known[rows], self.at[rows], self.horizon)


def restrict(rows: CensoredRows, horizon: float | None) -> Restricted:
    r"""Return :math:`z_i = \min(t_i, \tau)` and whether it is :math:`\min(Y_i, \tau)`.

    Parameters
    ----------
    rows : CensoredRows
    horizon : float or None
        None leaves durations as they are; rows with an event are known.

    Returns
    -------
    Restricted
    """
    if horizon is None:
        return Restricted(rows.time, rows.event, rows.time, None)
    target = np.minimum(rows.time, horizon)
    return Restricted(target, rows.event | (rows.time >= horizon), target, horizon)


def survives(rows: CensoredRows, horizon: float) -> Restricted:
    r"""Return :math:`1\{Y_i > u\}` where it is known.

    Rows with an event by u are known and weigh :math:`1 / G(t_i-)`, rows under observation after
    u weigh :math:`1 / G(u)`, the left limit just after u.

    Parameters
    ----------
    rows : CensoredRows
    horizon : float

    Returns
    -------
    Restricted
    """
    later = rows.time > horizon
    known = later | rows.event
    at = np.where(later, np.nextafter(horizon, np.inf), rows.time)
    return Restricted(later.astype(float), known, at, horizon)


@dataclass(frozen=True)
class HorizonChoice:
    """How a horizon was found.

    Attributes
    ----------
    value : float, or None
        None: durations are not restricted.
    reason : str
        For headers and messages.
    marginal : float, or None
        What the rule of marginal survival alone would have taken, before rounding.
    weight_sums : ndarray of shape (m, 2), or None
        Candidate horizons and the mean of known / survival at each, under the model that was used.
    """

    value: float | None
    reason: str
    marginal: float | None = None
    weight_sums: Array | None = None


def choose_horizon(
    horizon: Any,
    rows: CensoredRows,
    *,
    model: Any = None,
    g_min: float = G_MIN,
    min_at_risk: int = MIN_AT_RISK,
) -> HorizonChoice:
    r"""Turn what the user said into a horizon.

    ``"auto"`` takes the smaller of two and rounds it down to two digits: the largest observed
    time with marginal :math:`G(\tau-) \ge` ``g_min`` and ``min_at_risk`` rows at risk; and, with a
    conditional model, the last of eight horizons up to there before the weights first fail to sum
    to one within 0.05. Where no row is censored nothing is restricted; where none is censored
    before the first rule's time nothing is rounded.

    Parameters
    ----------
    horizon : {"auto"}, float or None
    rows : CensoredRows
    model : CensoringModel, default=None
        A fitted model of these rows that depends on covariates, for the second rule.
    g_min : float, default=0.2
    min_at_risk : int, default=20
        At most a fifth of the rows.

    Returns
    -------
    HorizonChoice

    Raises
    ------
    ValueError
        If the horizon is not positive or lies past the last time of the data.
    """
    if horizon is None:
        return HorizonChoice(None, "none")
    if isinstance(horizon, str):
        if horizon != "auto":
            raise ValueError(f"horizon={horizon!r} must be 'auto', a positive number, or None.")
        return _automatic(rows, model, g_min, min_at_risk)
    value = float(horizon)
    if not (np.isfinite(value) and value > 0.0):
        raise ValueError(f"horizon={horizon} must be a positive, finite time.")
    last = float(rows.time.max())
    if value > last:
        raise ValueError(
            f"horizon={value:g} lies past the last time in the data, so that nothing is known "
            f"about it. The largest allowed is {last:.10g}."
        )
    return HorizonChoice(value, "given")


def _automatic(rows: CensoredRows, model: Any, g_min: float, min_at_risk: int) -> HorizonChoice:
    if rows.n_censored == 0:
        return HorizonChoice(None, "no row is censored")
    counts = count(rows.time, rows.event, rows.weight, rows.entry)
    marginal = _marginal_rule(rows, counts, g_min, min_at_risk)
    survived = float(evaluate(counts.times, survival(counts), marginal, "left"))
    reason = f"survival of censoring at least {g_min:g}"
    if survived == 1.0:
        return HorizonChoice(marginal, "no row is censored before it", marginal)
    value, sums = marginal, None
    if model is not None:
        grid = marginal * np.arange(1, N_GRID + 1) / N_GRID
        sums = np.column_stack([grid, weight_sums(rows, model, grid)])
        failed = np.abs(sums[:, 1] - 1.0) > SUM_TOLERANCE
        if failed.any():
            value = float(grid[max(int(failed.argmax()) - 1, 0)])
            reason = "weights given covariates sum to 1 within 0.05"
    return HorizonChoice(round_down(value), reason, marginal, sums)


def _marginal_rule(rows: CensoredRows, counts: Counts, g_min: float, min_at_risk: int) -> float:
    """Return the largest observed time that leaves enough survival and enough rows."""
    needed = min(min_at_risk, max(1, len(rows) // 5))
    left = np.concatenate([[1.0], survival(counts)[:-1]])
    row_counts = count(rows.time, rows.event, None, rows.entry)
    enough = (left >= g_min) & (row_counts.at_risk("event") >= needed)
    enough &= counts.times > 0.0
    if not enough.any():
        # Left truncation with nobody at risk at first, or hardly any rows.
        enough = counts.times > 0.0
        if not enough.any():
            raise ValueError("All durations are zero; there is no time to choose a horizon from.")
        return float(counts.times[enough][0])
    return float(counts.times[enough].max())


def weight_sums(rows: CensoredRows, model: Any, grid: Array) -> Array:
    r"""Return :math:`\frac1n \sum_i k_i(\tau) / \hat G(z_i(\tau)- | x_i)` for several horizons.

    Its expectation is 1 if the model of censoring holds.

    Parameters
    ----------
    rows : CensoredRows
    model : CensoringModel
        Fitted to these rows.
    grid : ndarray of shape (m,)

    Returns
    -------
    ndarray of shape (m,)
    """
    case = rows.case_weight
    sums = np.empty(len(grid))
    for j, horizon in enumerate(grid):
        restricted = restrict(rows, float(horizon))
        survived = model.training_survival(restricted.at, side="left")
        shown = restricted.known & (survived > 0.0)
        sums[j] = np.sum(case[shown] / survived[shown]) / case.sum()
    return sums


def round_down(value: float, digits: int = 2) -> float:
    """Round a positive number down to some significant digits.

    Examples
    --------
    >>> from trueness.censoring.horizon import round_down
    >>> round_down(1862.0), round_down(0.0347), round_down(2.0)
    (1800.0, 0.034, 2.0)
    """
    power = int(np.floor(np.log10(value))) - digits + 1
    # Powers of ten are exact only upwards; 1e-12 keeps 2.0 from becoming 1.9.
    scaled = value / 10.0**power if power >= 0 else value * 10.0**-power
    whole = np.floor(scaled * (1.0 + 1e-12))
    return float(whole * 10.0**power if power >= 0 else whole / 10.0**-power)
