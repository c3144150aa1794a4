"""How much to smooth: Brier scores of left-out rows, and bandwidths from effective neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curves import Of, count, evaluate, survival

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]

N_TIMES = 5
MAX_SCORED = 1000
# Rows on which the median number of neighbours is taken, and elements of rows x rows for it.
MAX_PROBED = 500
PROBE_ELEMENTS = 2_000_000
TOLERANCE = 0.01
WIDEST = 1e4


@dataclass(frozen=True)
class BrierScore:
    r"""Squared errors of survival probabilities of rows that did not make them.

    .. math::

        \sum_{i, m} \omega_i(u_m) \bigl(1\{t_i > u_m\} - \hat G(u_m | x_i)\bigr)^2, \qquad
        \omega_i(u) = \frac{1\{t_i \le u, d_i = 0\}}{\hat S(t_i)} + \frac{1\{t_i > u\}}{\hat S(u)}

    over the total weight: censoring at v is seen if the event comes later, which has the
    probability :math:`S(v)`. For curves of the event the roles are swapped, with
    :math:`\hat G(t_i-)` in the place of :math:`\hat S(t_i)`.

    Attributes
    ----------
    rows : ndarray of int of shape (q,)
        Rows that are scored.
    times : ndarray of shape (1, m) or (q, m + 1)
        At which curves are to be given; with delayed entry the last column is the entry.
    outcome, omega : ndarray of shape (q, m)
    has_entry : bool
    """

    rows: Codes
    times: Array
    outcome: Array
    omega: Array
    has_entry: bool

    def __call__(self, predicted: Array) -> float:
        """Return the score of curves at ``times``, shape (q, m) or (q, m + 1)."""
        if self.has_entry:
            # Who is in the data had not fallen out before the entry.
            given = predicted[:, -1:]
            predicted = np.divide(
                predicted[:, :-1], given, out=np.zeros(self.omega.shape), where=given > 0.0
            )
        errors = (self.outcome - predicted) ** 2
        return float((self.omega * errors).sum() / self.omega.sum())


def prepare_brier(
    time: Array,
    event: Mask,
    horizon: float,
    rng: np.random.Generator,
    *,
    weight: Array | None = None,
    entry: Array | None = None,
    of: Of = "censoring",
    n_times: int = N_TIMES,
    max_scored: int = MAX_SCORED,
) -> BrierScore:
    """Choose rows and times to score and weigh them.

    Parameters
    ----------
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    horizon : float
        Times to score are quantiles of the durations up to here.
    rng : Generator
        For the rows, if there are more than ``max_scored``.
    weight, entry : ndarray of shape (n,), default=None
    of : {"censoring", "event"}
    n_times, max_scored : int, default=5 and 1000

    Returns
    -------
    BrierScore
    """
    n = len(time)
    rows = np.arange(n) if n <= max_scored else np.sort(rng.choice(n, max_scored, replace=False))
    counts = count(time, event, weight, entry)
    other: Of = "event" if of == "censoring" else "censoring"
    seen = survival(counts, other)
    grid = np.unique(np.quantile(time[time <= horizon], np.arange(1, n_times + 1) / (n_times + 1)))
    # Where nobody is left on the other side nothing can be seen.
    grid = grid[evaluate(counts.times, seen, grid, "right") > 0.0]
    at, fell = time[rows], (event if of == "event" else ~event)[rows]
    # A tied censoring comes after the event: seen if the event is later, C1.
    chance = evaluate(counts.times, seen, at, "right" if of == "censoring" else "left")
    outcome = (at[:, None] > grid).astype(float)
    omega = np.zeros(outcome.shape)
    np.divide(1.0, chance[:, None], out=omega, where=(chance > 0.0)[:, None] & fell[:, None])
    omega = np.where(outcome > 0.0, 1.0 / evaluate(counts.times, seen, grid, "right"), omega)
    times = grid[None, :]
    if entry is not None:
        entered = entry[rows]
        omega *= evaluate(counts.times, seen, entered, "right")[:, None] * (entered[:, None] < grid)
        times = np.column_stack([np.broadcast_to(grid, omega.shape), entered])
    if weight is not None:
        omega *= weight[rows, None]
    return BrierScore(rows, times, outcome, omega, entry is not None)


def probe_rows(n: int, rng: np.random.Generator) -> Codes:
    """Return some rows at which to count neighbours.

    Parameters
    ----------
    n : int
    rng : Generator

    Returns
    -------
    ndarray of int
    """
    size = min(n, MAX_PROBED, max(50, PROBE_ELEMENTS // n))
    return np.sort(rng.choice(n, size, replace=False))


def bandwidths_for(
    neighbors_at: Callable[[float], float], targets: Sequence[float]
) -> dict[float, float]:
    """Return bandwidths that give wanted median numbers of effective neighbours.

    Parameters
    ----------
    neighbors_at : callable
        Maps a bandwidth to the median effective number, which rises with it.
    targets : sequence of float
        Increasing.

    Returns
    -------
    dict
        Bandwidth by target; targets that no bandwidth reaches are left out.
    """
    found: dict[float, float] = {}
    widest = neighbors_at(WIDEST)
    low = 1e-3
    for target in targets:
        # A shade below the most there can be is reached at widths that smooth everything.
        if target > 0.95 * widest:
            break
        low = found[target] = _bisect(neighbors_at, target, low)
    return found


def _bisect(neighbors_at: Callable[[float], float], target: float, low: float) -> float:
    high = max(2.0 * low, 0.5)
    while neighbors_at(high) < target:
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        number = neighbors_at(middle)
        if abs(number - target) <= TOLERANCE * target or high / low < 1.0 + 1e-9:
            return middle
        low, high = (middle, high) if number < target else (low, middle)
    return high


def normal_reference(n: int, d: int) -> float:
    r"""Return :math:`(4 / (d + 2))^{1/(d+4)} n^{-1/(d+4)}`, in standard deviations.

    Parameters
    ----------
    n, d : int

    Returns
    -------
    float
    """
    return float((4.0 / (d + 2.0)) ** (1.0 / (d + 4.0)) * n ** (-1.0 / (d + 4.0)))
