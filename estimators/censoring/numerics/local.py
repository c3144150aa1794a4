r"""Product-limit curves with local weights: kernels, neighbours, leaves of forests.

At a point x with weights :math:`b_j(x) \ge 0` of the rows,

.. math::

    \hat G(u- | x) = \prod_{j: d_j = 0,\, t_j < u}
        \Bigl(1 - \frac{b_j}{\sum_{l \ge j} b_l}\Bigr)

in the order of times, events before censorings at a tie: factors of tied rows telescope to those
of the grouped product. Sums run from the end, so that nothing is subtracted and the last factor is
exactly zero. Points are worked through in chunks; nothing of the size rows x rows is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curves import Of, Side

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]

# Elements of a chunk of points x rows: a few of these fit into a processor's cache.
CHUNK_ELEMENTS = 400_000
# Rounding left by sums in different orders, relative to the sums.
ROUNDING = 1e-13


@dataclass(frozen=True)
class TimeOrder:
    """Rows in the order of time, events before censorings at a tie.

    Attributes
    ----------
    order : ndarray of int of shape (n,)
        Row at each position.
    time : ndarray of shape (n,)
        In order.
    jumps : ndarray of bool of shape (n,)
        Whether the curve jumps at the position: rows censored, or with the event.
    weight : ndarray of shape (n,), or None
        Case weights, in order.
    absent : ndarray of int of shape (n,), or None
        The row at a position is not under observation at the positions before this one.
    """

    order: Codes
    time: Array
    jumps: Mask
    weight: Array | None = None
    absent: Codes | None = None

    def __len__(self) -> int:
        return len(self.order)

    def positions(self, times: Array, side: Side) -> Codes:
        """Return how many positions lie before times, or up to them."""
        return np.searchsorted(self.time, times, side=side)

    def ranks(self) -> Codes:
        """Return the position of each row."""
        ranks = np.empty(len(self.order), dtype=np.intp)
        ranks[self.order] = np.arange(len(self.order))
        return ranks


def sort_rows(
    time: Array,
    event: Mask,
    weight: Array | None = None,
    entry: Array | None = None,
    of: Of = "censoring",
) -> TimeOrder:
    """Sort rows by time, events first.

    Parameters
    ----------
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    weight, entry : ndarray of shape (n,), default=None
    of : {"censoring", "event"}
        Of what the curve is.

    Returns
    -------
    TimeOrder
    """
    order = np.lexsort((~event, time))
    sorted_times = time[order]
    # Under observation at v if entry < v: absent at every time up to the entry.
    absent = None
    if entry is not None:
        absent = np.searchsorted(sorted_times, entry[order], side="right")
    jumps = event[order] if of == "event" else ~event[order]
    return TimeOrder(order, sorted_times, jumps, None if weight is None else weight[order], absent)


def chunks(n_points: int, n_columns: int) -> Iterator[slice]:
    """Yield slices of points so that points x columns stays small."""
    step = max(1, CHUNK_ELEMENTS // max(n_columns, 1))
    for start in range(0, n_points, step):
        yield slice(start, min(start + step, n_points))


# ------------------------------------------------------------------------------- all rows


def dense_curves(
    order: TimeOrder, weights_of: Callable[[slice], Array], times: Array, n_points: int, side: Side
) -> tuple[Array, Array]:
    """Return curves at points from weights of all rows.

    Parameters
    ----------
    order : TimeOrder
    weights_of : callable
        Maps a slice of points to weights of the rows **in order**, shape (points, n); they are
        overwritten.
    times : ndarray of shape (q, m) or (1, m)
    n_points : int
    side : {"left", "right"}

    Returns
    -------
    values : ndarray of shape (q, m)
    support : ndarray of shape (q,)
        Effective number of rows.
    """
    jumps = np.flatnonzero(order.jumps)
    # Number of jumps before each asked time: the position in the product over jumps.
    n_before = np.concatenate([[0], np.cumsum(order.jumps)])[order.positions(times, side)]
    values = np.empty((n_points, times.shape[1]))
    support = np.empty(n_points)
    for part in chunks(n_points, len(order)):
        local = weights_of(part)
        if order.weight is not None:
            local *= order.weight
        support[part] = effective_number(local)
        before = n_before if len(n_before) == 1 else n_before[part]
        product = _dense_product(local, order, jumps)
        values[part] = np.take_along_axis(
            product, np.broadcast_to(before, (len(local), before.shape[1])), axis=1
        )
    return values, support


def _dense_product(local: Array, order: TimeOrder, jumps: Codes) -> Array:
    """Return the product over the first 0, 1, 2, ... jumps, shape (points, jumps + 1)."""
    sums = np.cumsum(local[:, ::-1], axis=1)[:, ::-1][:, jumps]
    at_risk, falling = sums, local[:, jumps]
    if order.absent is not None:
        by_absence = np.argsort(order.absent, kind="stable")
        late = np.cumsum(local[:, by_absence[::-1]], axis=1)[:, ::-1]
        late = np.concatenate([late, np.zeros((len(late), 1))], axis=1)
        first = np.searchsorted(order.absent[by_absence], jumps, side="right")
        at_risk = at_risk - late[:, first]
    product = np.ones((len(local), len(jumps) + 1))
    np.cumprod(_factors(falling, at_risk, sums), axis=1, out=product[:, 1:])
    return product


def _factors(falling: Array, at_risk: Array, sums: Array) -> Array:
    """Return 1 - falling / at_risk; 1 where nothing falls out."""
    if at_risk is not sums:
        # Late entries were subtracted. Who falls out is at risk, so that less is only rounding.
        alone = at_risk <= falling + ROUNDING * sums
        at_risk = np.where(alone, falling, at_risk)
    share = np.zeros(falling.shape)
    np.divide(falling, at_risk, out=share, where=falling > 0.0)
    return np.subtract(1.0, share, out=share)


def effective_number(local: Array) -> Array:
    r"""Return :math:`(\sum_j b_j)^2 / \sum_j b_j^2` by row; 0 where all weights are zero."""
    total, squares = local.sum(axis=1), np.einsum("ij,ij->i", local, local)
    number = np.zeros(len(local))
    np.divide(total**2, squares, out=number, where=squares > 0.0)
    return number


def without_own_group(
    order: TimeOrder, groups: Codes, rows: Codes, times: Array, side: Side
) -> Array:
    """Return marginal curves of rows, each without the rows of its own group.

    Parameters
    ----------
    order : TimeOrder
    groups : ndarray of int of shape (n,) or (n, 2)
        Rows that share a code in any column are left out together.
    rows : ndarray of int of shape (q,)
    times : ndarray of shape (q, m) or (1, m)
    side : {"left", "right"}

    Returns
    -------
    ndarray of shape (q, m)
    """

    def weights_of(part: slice) -> Array:
        return other_groups(groups[order.order], groups[rows[part]]).astype(float)

    return dense_curves(order, weights_of, times, len(rows), side)[0]


def other_groups(groups: Codes, own: Codes) -> Mask:
    """Return whether rows share no group with points, shape (points, rows)."""
    groups, own = groups.reshape(len(groups), -1), own.reshape(len(own), -1)
    others = groups[None, :, 0] != own[:, None, 0]
    for j in range(1, groups.shape[1]):
        others &= groups[None, :, j] != own[:, None, j]
    return others


# ----------------------------------------------------------------------------- few rows each


def listed_curves(
    order: TimeOrder, listed: Codes, weights: Array | None, times: Array, side: Side
) -> tuple[Array, Array]:
    """Return curves at points from lists of their neighbours.

    Parameters
    ----------
    order : TimeOrder
    listed : ndarray of int of shape (q, k)
        Positions in the time order, not necessarily sorted; n fills up short lists.
    weights : ndarray of shape (q, k), or None
        Local weights; all the same if None.
    times : ndarray of shape (q, m) or (1, m)
    side : {"left", "right"}

    Returns
    -------
    values : ndarray of shape (q, m)
    support : ndarray of shape (q,)
    """
    n, (q, k) = len(order), listed.shape
    plain = weights is None and order.weight is None and order.absent is None
    if plain and (k == 0 or int(listed.max(initial=0)) < n):
        listed = np.sort(listed, axis=1)
        factors = np.where(order.jumps[listed], _equal_factors(k), 1.0)
        support = np.full(q, float(k))
    else:
        listed, local = _in_order(order, listed, weights)
        is_jump = np.append(order.jumps, False)[listed]
        sums = at_risk = np.cumsum(local[:, ::-1], axis=1)[:, ::-1]
        if order.absent is not None:
            at_risk = sums - _late(order, listed, local)
        factors = _factors(np.where(is_jump, local, 0.0), at_risk, sums)
        support = effective_number(local)
    positions = order.positions(times, side)
    if times.shape == (q, 1):
        # The usual question, one time for each row, needs no product of the rest.
        return np.prod(factors, axis=1, where=listed < positions)[:, None], support
    product = np.ones((q, k + 1))
    np.cumprod(factors, axis=1, out=product[:, 1:])
    return np.take_along_axis(product, _below(listed, positions, n), axis=1), support


def _equal_factors(k: int) -> Array:
    """Return 1 - 1 / (number of rows from here to the end)."""
    return 1.0 - 1.0 / np.arange(k, 0, -1.0)


def _in_order(order: TimeOrder, listed: Codes, weights: Array | None) -> tuple[Codes, Array]:
    """Return neighbours by time and their weights, zero where a list was filled up."""
    if weights is None:
        listed = np.sort(listed, axis=1)
        local = np.ones(listed.shape)
    else:
        by_time = np.argsort(listed, axis=1, kind="stable")
        listed = np.take_along_axis(listed, by_time, axis=1)
        local = np.take_along_axis(weights, by_time, axis=1)
    local[listed == len(order)] = 0.0
    if order.weight is not None:
        local *= np.append(order.weight, 0.0)[listed]
    return listed, local


def _below(listed: Codes, positions: Codes, n: int) -> Codes:
    """Count the neighbours below positions in every row of sorted lists, shape (q, m)."""
    q, k = listed.shape
    # One search for all rows: a row's offset keeps its keys apart from those of others.
    offsets = np.arange(q)[:, None] * (n + 1)
    keys = (listed + offsets).ravel()
    found = np.searchsorted(keys, positions + offsets, side="left")
    return found - np.arange(q)[:, None] * k


def _late(order: TimeOrder, listed: Codes, local: Array) -> Array:
    """Sum the weights of neighbours that have not entered yet at each neighbour's time."""
    assert order.absent is not None
    absent = np.append(order.absent, 0)[listed]
    by_absence = np.argsort(absent, axis=1, kind="stable")
    late = np.zeros((len(listed), listed.shape[1] + 1))
    ordered = np.take_along_axis(local, by_absence, axis=1)
    late[:, :-1] = np.cumsum(ordered[:, ::-1], axis=1)[:, ::-1]
    absent = np.take_along_axis(absent, by_absence, axis=1)
    # Absent at a position means that one's own bound lies above it.
    first = _below(absent, listed + 1, len(order) + 1)
    return np.take_along_axis(late, first, axis=1)
