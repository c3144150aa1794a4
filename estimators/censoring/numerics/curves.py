"""Product-limit curves of all rows together: counts, values, leave-one-out, Greenwood.

At a tied time events happen before censorings, so that a row with an event at v is no longer at
risk of being censored at v. For both kinds of curve the factor of a time is (what is left after it)
/ (what is left and what fell out), in whole numbers without weights, so that the last one is
exactly zero where nothing is left.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]
Side = Literal["left", "right"]
Of = Literal["censoring", "event"]


class Counts(NamedTuple):
    """Rows, or their weights, by distinct time.

    Attributes
    ----------
    times : ndarray of shape (m,)
        Distinct times, increasing.
    codes : ndarray of int of shape (n,)
        Position of each row's time among them.
    events, censored : ndarray of shape (m,)
        What ends at each time.
    later : ndarray of shape (m,)
        What is under observation at the time and goes on after it.
    """

    times: Array
    codes: Codes
    events: Array
    censored: Array
    later: Array

    def at_risk(self, of: Of) -> Array:
        """Return what is at risk of an event, or of being censored, at each time."""
        risk = self.later + self.censored
        return risk + self.events if of == "event" else risk

    def rest(self, of: Of) -> Array:
        """Return what was at risk at each time and is left after it."""
        return self.later + self.censored if of == "event" else self.later

    def jumps(self, of: Of) -> Array:
        """Return what falls out of the curve at each time."""
        return self.events if of == "event" else self.censored


def count(
    time: Array, event: Mask, weight: Array | None = None, entry: Array | None = None
) -> Counts:
    """Count what ends and what goes on at each distinct time.

    Parameters
    ----------
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    weight : ndarray of shape (n,), default=None
        Case weights.
    entry : ndarray of shape (n,), default=None
        A row is under observation at v if entry < v <= time.

    Returns
    -------
    Counts
    """
    times, codes, totals = _distinct(time)
    m = len(times)
    if weight is None and m == len(time):
        events = np.empty(m)
        events[codes] = event
        censored, later = 1.0 - events, np.arange(m - 1.0, -1.0, -1.0)
    elif weight is None:
        events = _sums(codes, event, m)
        censored = totals - events
        later = _after(totals)
    else:
        events = _sums(codes, weight * event, m)
        censored = _sums(codes, weight * ~event, m)
        later = _after(events + censored)
    if entry is not None:
        # A row is missing from the times up to its entry, the first `seen` of the distinct ones.
        seen = np.searchsorted(times, entry, side="right")
        absent = _after(_sums(seen, weight, m + 1))[:-1]
        # Sums of weights in another order: what should be zero must be.
        later = later - absent
        later[np.abs(later) <= 1e-12 * np.abs(absent)] = 0.0
    return Counts(times, codes, events, censored, later)


def _sums(codes: Codes, weight: Any, m: int) -> Array:
    """Sum weights by code."""
    return np.asarray(np.bincount(codes, weights=weight, minlength=m), dtype=np.float64)


def _after(totals: Array) -> Array:
    """Sum what comes after each position, from the end, so that nothing is subtracted."""
    sums = np.zeros(len(totals))
    sums[:-1] = totals[:0:-1].cumsum()[::-1]
    return sums


def _distinct(time: Array) -> tuple[Array, Codes, Array]:
    """Return distinct times, the code of each row, and the number of rows of each code."""
    low, high = float(time.min()), float(time.max())
    if low.is_integer() and high - low <= 4.0 * len(time) + 100.0:
        whole = (time - low).astype(np.intp)
        if np.array_equal(whole, time - low):
            sizes = np.bincount(whole)
            present = np.flatnonzero(sizes)
            if len(present) < len(sizes):
                whole = (np.cumsum(sizes > 0) - 1)[whole]
            return np.asarray(present + low, dtype=np.float64), whole, sizes[present].astype(float)
    order = np.argsort(time)
    sorted_times = time[order]
    is_new = np.empty(len(time), dtype=bool)
    is_new[0] = True
    np.not_equal(sorted_times[1:], sorted_times[:-1], out=is_new[1:])
    codes = np.empty(len(time), dtype=np.intp)
    if is_new.all():
        codes[order] = np.arange(len(time))
        return sorted_times, codes, np.ones(len(time))
    codes[order] = np.cumsum(is_new) - 1
    starts = np.flatnonzero(is_new)
    totals: Array = np.diff(np.append(starts, len(time))).astype(float)
    return sorted_times[starts], codes, totals


def survival(counts: Counts, of: Of = "censoring") -> Array:
    r"""Return the product-limit curve from each distinct time on.

    .. math::

        G(u) = \prod_{v \le u} \Bigl(1 - \frac{D_c(v)}{R(v) - D_e(v)}\Bigr), \qquad
        S(u) = \prod_{v \le u} \Bigl(1 - \frac{D_e(v)}{R(v)}\Bigr)

    Parameters
    ----------
    counts : Counts
    of : {"censoring", "event"}

    Returns
    -------
    ndarray of shape (m,)
    """
    return _product(counts.rest(of), counts.jumps(of))


def without_one(counts: Counts, of: Of = "censoring", weight: float = 1.0) -> Array:
    """Return the curve that a row under observation beyond each time sees without itself.

    Before a row's own time the row is at risk and never falls out, so that one product with the
    risk reduced by its weight serves all rows of one weight that were never out of observation.

    Parameters
    ----------
    counts : Counts
    of : {"censoring", "event"}
    weight : float, default=1.0
        Weight of the row that is left out.

    Returns
    -------
    ndarray of shape (m,)
    """
    rest = counts.rest(of) - weight
    # Rounding of fractional weights must not leave a row where there is none.
    rest[rest <= 1e-9 * weight] = 0.0
    return _product(rest, counts.jumps(of))


def _product(rest: Array, jumps: Array) -> Array:
    """Return the cumulative product of rest / (rest + jumps); 1 where nothing falls out."""
    factors = np.ones(len(rest))
    np.divide(rest, rest + jumps, out=factors, where=jumps > 0.0)
    return np.cumprod(factors, out=factors)


def greenwood(counts: Counts, of: Of = "censoring") -> Array:
    r"""Return Greenwood's standard errors of the curve; NaN from where it is zero.

    .. math::

        \widehat{\mathrm{var}}\, S(u) = S(u)^2 \sum_{v \le u} \frac{D(v)}{R(v) (R(v) - D(v))}

    Parameters
    ----------
    counts : Counts
    of : {"censoring", "event"}

    Returns
    -------
    ndarray of shape (m,)
    """
    risk, jumps = counts.at_risk(of), counts.jumps(of)
    terms = np.zeros(len(risk))
    product = risk * counts.rest(of)
    np.divide(jumps, product, out=terms, where=product > 0.0)
    curve = survival(counts, of)
    return np.where(curve > 0.0, curve * np.sqrt(np.cumsum(terms)), np.nan)


def cumulative_hazard(counts: Counts, of: Of = "censoring") -> Array:
    r"""Return the Nelson-Aalen estimate :math:`\sum_{v \le u} D(v) / R(v)` at the distinct times.

    Parameters
    ----------
    counts : Counts
    of : {"censoring", "event"}

    Returns
    -------
    ndarray of shape (m,)
    """
    risk, jumps = counts.at_risk(of), counts.jumps(of)
    terms = np.zeros(len(risk))
    np.divide(jumps, risk, out=terms, where=jumps > 0.0)
    return np.cumsum(terms)


def evaluate(times: Array, values: Array, at: Any, side: Side, start: float = 1.0) -> Array:
    """Evaluate a step function with jumps at ``times`` and value ``start`` before them."""
    found = np.searchsorted(times, at, side=side)
    result: Array = np.concatenate([[start], values])[found]
    return result


def at_rows(values: Array, codes: Codes, side: Side, start: float = 1.0) -> Array:
    """Evaluate a curve at the rows' own times, whose positions are known."""
    if side == "right":
        return values[codes]
    # One shifted copy instead of a search: the rows are many.
    return np.concatenate([[start], values[:-1]])[codes]


def entered_before(
    at: Array, time: Array, event: Mask, entry: Array, weight: Array | None = None
) -> Array:
    r"""Return the estimated probability of having entered before each time.

    Of all rows, :math:`R(v) / n` are under observation at v, which estimates
    :math:`S(v-) G(v-) H(v)` up to a constant; dividing by the first two leaves the third.

    Parameters
    ----------
    at : ndarray of shape (q,)
    time, entry : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    ndarray of shape (q,)
        1 where nobody is under observation.
    """
    counts = count(time, event, weight, entry)
    case = np.ones(len(time)) if weight is None else weight
    watched = _weight_from(time, case, at) - _weight_from(entry, case, at)
    alive = evaluate(counts.times, survival(counts, "event"), at, "left")
    free = evaluate(counts.times, survival(counts, "censoring"), at, "left")
    product = case.sum() * alive * free
    entered = np.ones(len(at))
    np.divide(watched, product, out=entered, where=(product > 0.0) & (watched > 0.0))
    return entered


def _weight_from(values: Array, weight: Array, at: Array) -> Any:
    """Sum the weight of rows whose value is at least each time."""
    order = np.argsort(values)
    sums = np.append(weight[order][::-1].cumsum()[::-1], 0.0)
    return sums[np.searchsorted(values[order], at, side="left")]


def normalized(weight: Array, known: Mask, normalize: str) -> Array:
    """Scale weights to sum 1, to mean 1 over the known rows, or not at all.

    Parameters
    ----------
    weight : ndarray of shape (n,)
    known : ndarray of bool of shape (n,)
    normalize : {"none", "hajek", "mean1"}

    Returns
    -------
    ndarray of shape (n,)
    """
    if normalize == "none":
        return weight
    scaled = weight / weight.sum()
    return scaled if normalize == "hajek" else scaled * known.sum()
