"""Doubly robust outcomes for the probability of outliving a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..estimators.outcomes import MAX_VALUES, TrainingCurves, common_grid, thinned
from ..horizon import Restricted
from ..numerics.transforms import Curves
from ..targets import CensoredRows

Array = NDArray[np.float64]


def survival_outcomes(
    rows: CensoredRows,
    restricted: Restricted,
    censoring: TrainingCurves,
    event: TrainingCurves,
    floor: float,
) -> Array:
    """Return an outcome for every row that stands for its survival beyond the horizon.

    Parameters
    ----------
    rows : CensoredRows
    restricted : Restricted
        Of `trueness.censoring.horizon.survives`.
    censoring, event : TrainingCurves
    floor : float
        Least survival of censoring to divide by.

    Returns
    -------
    ndarray of shape (n,)
    """
    horizon = restricted.horizon
    assert horizon is not None
    sources = (censoring, event)
    all_shared = all(source.is_shared for source in sources)
    grid, is_exact = common_grid([source.jumps for source in sources], rows.time, horizon)
    steps = all(source.jumps is not None for source in sources)
    if not is_exact and not all_shared:
        grid, steps = thinned(grid, horizon), False
    result = np.empty(len(rows))
    size = len(rows) if all_shared else max(1, MAX_VALUES // len(grid))
    for start in range(0, len(rows), size):
        chosen = np.arange(start, min(start + size, len(rows)))
        g = Curves(grid, censoring.values(chosen, grid), steps).floored(floor)
        s = Curves(grid, event.values(chosen, grid), steps)
        result[chosen] = doubly_robust_survival(restricted.take(chosen), g, s)
    return result


def doubly_robust_survival(restricted: Restricted, censoring: Curves, event: Curves) -> Array:
    r"""Augmented inverse-weighted survival indicator, whose mean is right if either curve is.

    With :math:`m(s) = P(Y > u | Y > s) = S(u) / S(s)` and the row's weight taken at
    :math:`v = t-` for events by u and at :math:`v = u` for rows beyond,

    .. math:: Z^* = \frac{k\, 1\{Y > u\} + (1 - k)\, m(t)}{G(v)} - \int_{(0, v]} m(s)\, d(1/G)(s).

    Parameters
    ----------
    restricted : Restricted
        Of `trueness.censoring.horizon.survives`.
    censoring : Curves
        G, positive.
    event : Curves
        S, on the same grid, which does not go beyond u.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    Rubin, D. and van der Laan, M. J. (2007). A doubly robust censoring unbiased transformation.
    International Journal of Biostatistics 3(1). https://doi.org/10.2202/1557-4679.1052
    """
    at, horizon = restricted.at, restricted.horizon
    assert horizon is not None
    n = len(at)
    ends = event.at(np.full(len(event.values), horizon))
    ahead = _share(ends[:, None], event.values)
    start = ends[:, None]  # before the grid the whole survival lies ahead
    if not event.steps:
        ahead = (np.hstack([start, ahead[:, :-1]]) + ahead) / 2
    inverse = np.hstack([np.ones((len(censoring.values), 1)), 1.0 / censoring.values])
    parts = np.cumsum(ahead * np.diff(inverse, axis=1), axis=1)
    parts = np.hstack([np.zeros((len(parts), 1)), parts])
    last = np.searchsorted(censoring.grid, at, side="left")
    outcome = np.where(restricted.known, restricted.target, 0.0)
    open_rows = ~restricted.known
    own_ends = np.broadcast_to(ends, (n,)) if len(ends) == 1 else ends
    beyond = _share(own_ends, event.at(np.minimum(at, horizon)))
    outcome[open_rows] = beyond[open_rows]
    weight = 1.0 / censoring.at(at, "left")
    own = np.arange(n)
    integral = parts[own if len(parts) > 1 else 0, last]
    # What a sampled curve rises between the last point of the grid and the row's time.
    integral = integral + beyond * (weight - inverse[own if len(inverse) > 1 else 0, last])
    return outcome * weight - integral


def _share(above: Array, below: Array) -> Array:
    """Return a quotient, zero where the denominator is."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0.0)
