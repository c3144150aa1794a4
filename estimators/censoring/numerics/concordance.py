"""Concordance under censoring, exactly and in n log n: counting by bits of the time order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]


class Partners(NamedTuple):
    """What the rows outlive each event, in the order of the events' rows.

    Attributes
    ----------
    rows : ndarray of int of shape (m,)
        The rows with an event.
    concordant : ndarray of shape (m,)
        Weight of the partners with smaller risk, and half of that with the same risk.
    comparable : ndarray of shape (m,)
        Weight of all partners: rows with a longer time, or censored at the same time.
    """

    rows: Codes
    concordant: Array
    comparable: Array


def partners(time: Array, event: Flags, risk: Array, weight: Array | None = None) -> Partners:
    r"""Count, for every event, the rows that outlive it and those of them with smaller risk.

    The partners of event i are :math:`A_i = \{t_j > t_i\} \cup \{t_j = t_i, d_j = 0\}`. Rows are
    put in the order of time (events first, tied events by rising risk, so that these never count
    for each other), and then, for each row, the later rows with smaller risk are counted by
    `later_and_smaller`.

    Parameters
    ----------
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    risk : ndarray of shape (n,)
        Larger for those expected to have the event sooner.
    weight : ndarray of shape (n,), default=None
        How much a row counts as a partner; one if None.

    Returns
    -------
    Partners
    """
    n = len(time)
    by_risk = np.argsort(risk, kind="stable")
    rank = np.empty(n, dtype=np.intp)
    changed = np.empty(n, dtype=bool)
    changed[:1] = False
    np.not_equal(risk[by_risk[1:]], risk[by_risk[:-1]], out=changed[1:])
    rank[by_risk] = np.cumsum(changed)
    order = _time_order(time, event, by_risk)
    sorted_time, sorted_event, sorted_rank = time[order], event[order], rank[order]
    mass = None if weight is None else weight[order]

    # Positions in the order of (risk, position): those of one risk keep the order of time.
    positions = np.argsort(sorted_rank, kind="stable")
    smaller = later_and_smaller(positions, mass)
    later = _later_with_same_risk(positions, sorted_time, sorted_event, sorted_rank, mass)
    starts = np.flatnonzero(np.r_[True, sorted_time[1:] != sorted_time[:-1]])
    lengths = np.diff(np.append(starts, n))
    events_before = np.concatenate([[0], np.cumsum(sorted_event)])
    first_partner = starts + events_before[starts + lengths] - events_before[starts]
    total = _mass_from(mass, n)[np.repeat(first_partner, lengths)]

    chosen = np.flatnonzero(sorted_event)
    return Partners(order[chosen], (smaller + 0.5 * later)[chosen], total[chosen])


def _time_order(time: Array, event: Flags, by_risk: Codes) -> Codes:
    """Order rows by time, events before censorings, tied events by risk."""
    order = np.argsort(time, kind="stable")
    ordered = time[order]
    if not (ordered[1:] == ordered[:-1]).any():
        return order
    # Stable sorts of what is already in the order of the next key.
    order = by_risk[np.argsort(~event[by_risk], kind="stable")]
    return order[np.argsort(time[order], kind="stable")]


def later_and_smaller(positions: Codes, weight: Array | None = None) -> Array:
    """Count, for each position, the larger positions that come before it in a list.

    The list is split by one bit of the positions after the other, from the highest: among
    positions that agree in all higher bits, those with a zero are smaller than those with a one,
    so that the ones in front of a zero are what it has to count. The split is stable and its
    blocks start where their smallest position is, so that every level is a few operations on
    whole arrays.

    Parameters
    ----------
    positions : ndarray of int of shape (n,)
        A permutation of 0, ..., n-1.
    weight : ndarray of shape (n,), default=None
        Weight of each position; one if None.

    Returns
    -------
    ndarray of shape (n,)
        One count (sum of weights) for each position 0, ..., n-1.
    """
    n = len(positions)
    kind: type[np.signedinteger[Any]] = np.int32 if n < 2**31 else np.int64
    current: NDArray[np.signedinteger[Any]] = positions.astype(kind)
    here = np.arange(n, dtype=kind)
    counts = np.zeros(n, dtype=np.int64 if weight is None else np.float64)
    ones_until = np.zeros(n + 1, dtype=kind)
    for bit in range(max(n - 1, 1).bit_length() - 1, -1, -1):
        block = (current >> (bit + 1)) << (bit + 1)
        is_one = (current >> bit) & 1
        np.cumsum(is_one, out=ones_until[1:])
        ones = ones_until[:-1] - ones_until[block]
        zero = is_one == 0
        if weight is None:
            counts[current[zero]] += ones[zero]
        else:
            mass = np.concatenate([[0.0], np.cumsum(weight[current] * is_one)])
            counts[current[zero]] += (mass[:-1] - mass[block])[zero]
        target = np.where(zero, here - ones, block + (1 << bit) + ones)
        split = np.empty_like(current)
        split[target] = current
        current = split
    return counts.astype(np.float64)


def _mass_from(mass: Array | None, n: int) -> Array:
    """Return the weight of the positions from each one on, shape (n + 1,)."""
    if mass is None:
        return np.arange(n, -1, -1, dtype=np.float64)
    return np.append(np.cumsum(mass[::-1])[::-1], 0.0)


def _later_with_same_risk(
    positions: Codes, time: Array, event: Flags, rank: Codes, mass: Array | None
) -> Array:
    """Return the weight of later rows with the same risk, events of the same time aside."""
    n = len(positions)
    ranks, times, events = rank[positions], time[positions], event[positions]
    new_risk = np.r_[True, ranks[1:] != ranks[:-1]]
    if new_risk.all():
        return np.zeros(n)
    new_run = new_risk | np.r_[True, (times[1:] != times[:-1]) | ~events[1:]]
    after_run = np.append(np.flatnonzero(new_run)[1:], n)[np.cumsum(new_run) - 1]
    after_risk = np.append(np.flatnonzero(new_risk)[1:], n)[np.cumsum(new_risk) - 1]
    total = np.arange(n + 1.0) if mass is None else np.append(0.0, np.cumsum(mass[positions]))
    later = np.empty(n)
    later[positions] = total[after_risk] - total[after_run]
    return later


def ratio_of_pairs(pairs: Partners, pair_weight: Array) -> float:
    """Return the weighted share of concordant pairs; NaN if there is no pair.

    Parameters
    ----------
    pairs : Partners
    pair_weight : ndarray of shape (m,)
        Weight of each event of ``pairs``; zero to leave it out.
    """
    total = pair_weight @ pairs.comparable
    return float(pair_weight @ pairs.concordant / total) if total > 0.0 else np.nan


def blockwise_concordance(
    time: Array,
    event: Flags,
    risk: Array,
    rows: Codes,
    event_weight: Array,
    partner_weight: Array,
) -> tuple[float, float]:
    r"""Sum pairs whose weights do not separate, for some events and all rows.

    .. math::

        \sum_{i \in \mathrm{rows}} a_i \sum_{j \in A_i} b_{ij}
        \{1(r_i > r_j) + \tfrac12 1(r_i = r_j)\}, \qquad \sum_i a_i \sum_{j \in A_i} b_{ij}

    Parameters
    ----------
    time, event, risk : ndarray of shape (n,)
    rows : ndarray of int of shape (m,)
        Rows with an event, few enough for m x n numbers in memory.
    event_weight : ndarray of shape (m,)
        :math:`a_i`.
    partner_weight : ndarray of shape (m, n)
        :math:`b_{ij}`.

    Returns
    -------
    concordant, comparable : float
    """
    later = time > time[rows, None]
    later |= (time == time[rows, None]) & ~event
    mass = np.where(later, partner_weight, 0.0)
    wins = (risk < risk[rows, None]) + 0.5 * (risk == risk[rows, None])
    total = mass.sum(axis=1)
    return float(event_weight @ np.einsum("ij,ij->i", mass, wins)), float(event_weight @ total)


def dynamic_auc(risk: Array, case_weight: Array, control_weight: Array) -> float:
    r"""Return the weighted chance that a case has a larger risk than a control.

    .. math::

        \frac{\sum_i \sum_j a_i b_j \{1(r_i > r_j) + \tfrac12 1(r_i = r_j)\}}
        {\sum_i a_i \sum_j b_j}

    Parameters
    ----------
    risk : ndarray of shape (n,)
    case_weight, control_weight : ndarray of shape (n,)
        :math:`a_i` and :math:`b_j`, zero on rows that are not cases or not controls.

    Returns
    -------
    float
        NaN without cases or without controls.
    """
    total = case_weight.sum() * control_weight.sum()
    if not total > 0.0:
        return np.nan
    _, level = np.unique(risk, return_inverse=True)
    cases, controls = (np.bincount(level, part) for part in (case_weight, control_weight))
    below = np.cumsum(controls) - controls
    return float(cases @ (below + 0.5 * controls) / total)
