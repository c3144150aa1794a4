r"""Influence of the estimated censoring curve on weighted sums, by rows.

A weighted sum is :math:`\bar U = \sum_i a_i U_i / \sum_i a_i` with contributions
:math:`U_i = k_i \phi_i / \hat G(z_i- | x_i)`: row i is known (:math:`k_i = 1`) and stands for
those like it that were censored. Its derivative in the case weight :math:`a_i` has, beside
:math:`U_i - \bar U`, a term for what row i does to :math:`\hat G`. Those terms are computed here,
for the product-limit curve and for a Cox model. Leaving them out makes standard errors too wide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def marginal_terms(
    contributions: Array,
    known_time: Array,
    time: Array,
    event: Flags,
    *,
    weight: Array | None = None,
    entry: Array | None = None,
) -> Array:
    r"""Return what each row does to a weighted sum through the product-limit censoring curve.

    With risk sets :math:`R(v)` for censoring (events at v have left before), :math:`D(v)`
    censorings and :math:`\kappa(v) = \sum_j a_j U_j 1\{z_j > v\}`,

    .. math::

        \mathrm{term}_i = (1 - d_i) f(t_i) - \sum_{v: i \text{ at risk}} f(v) D(v) / R(v), \qquad
        f(v) = \kappa(v) / (R(v) - D(v)),

    and :math:`f = 0` where everybody at risk is censored. It is the exact derivative of
    :math:`\sum_j a_j U_j` in :math:`a_i` through :math:`\hat G`, ties included.

    Parameters
    ----------
    contributions : ndarray of shape (n, k)
        :math:`U_i`; zero on rows that are not known, or whose weight does not depend on the curve.
    known_time : ndarray of shape (n,)
        :math:`z_i`, the time at whose left limit the curve weights row i: the smaller of the
        observed time and the horizon.
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    weight : ndarray of shape (n,), default=None
        Positive case weights; ones if None.
    entry : ndarray of shape (n,), default=None
        Times of delayed entry; a row is at risk after its own.

    Returns
    -------
    ndarray of shape (n, k)
    """
    weight = np.ones(len(time)) if weight is None else weight
    jumps = np.unique(time[~event])
    if not len(jumps):
        return np.zeros_like(contributions)
    position = np.searchsorted(jumps, time)
    censored = np.bincount(position[~event], weight[~event], minlength=len(jumps))
    beyond = _mass_beyond(weight[:, None], time, jumps)[:, 0]
    if entry is not None:  # those who come later are not yet at risk
        beyond -= _mass_from(weight[:, None], entry, jumps)[:, 0]
    stays = beyond > 1e-12 * weight.sum()
    effect = np.zeros((len(jumps), contributions.shape[1]))
    later = _mass_beyond(weight[:, None] * contributions, known_time, jumps)
    effect[stays] = later[stays] / beyond[stays, None]
    hazard = censored / np.where(stays, beyond + censored, 1.0)
    accumulated = _accumulate(effect * hazard[:, None])
    terms = -accumulated[position + ~event]
    if entry is not None:
        terms += accumulated[np.searchsorted(jumps, entry, side="right")]
    terms[~event] += effect[position[~event]]
    return terms


def cox_terms(
    contributions: Array,
    known_time: Array,
    time: Array,
    event: Flags,
    covariates: Array,
    coef: Array,
    *,
    weight: Array | None = None,
    penalty: Array | None = None,
) -> Array:
    r"""Return what each row does to a weighted sum through a Cox model of censoring.

    The curve is :math:`G(v | x) = \exp\{-H_0(v) e^{g'x}\}` with Breslow's :math:`H_0`, fitted to
    the same rows. With :math:`q(v) = \sum_i a_i U_i e^{g'x_i} 1\{z_i > v\}`,

    .. math::

        \mathrm{term}_j = \int \frac{q}{S_0}\, dM_j + \Big[\sum_i a_i U_i e^{g'x_i}
        \Big(H_0(z_i-)\, x_i - \int_0^{z_i-} E\, dH_0\Big)\Big]' I^{-1} L_j,

    where :math:`S_0`, :math:`E`, :math:`M_j`, :math:`L_j` and :math:`I` are the risk total, mean
    covariate, martingale residual, score residual and information of the censoring model.

    Parameters
    ----------
    contributions : ndarray of shape (n, k)
    known_time : ndarray of shape (n,)
    time : ndarray of shape (n,)
    event : ndarray of bool of shape (n,)
    covariates : ndarray of shape (n, p)
        As the model saw them.
    coef : ndarray of shape (p,)
        :math:`g`.
    weight : ndarray of shape (n,), default=None
        Positive case weights; ones if None.
    penalty : ndarray of shape (p, p), default=None
        What a ridge penalty adds to the information.

    Returns
    -------
    ndarray of shape (n, k)
    """
    weight = np.ones(len(time)) if weight is None else weight
    jumps = np.unique(time[~event])
    if not len(jumps):
        return np.zeros_like(contributions)
    # Centred covariates leave every product below unchanged and keep the exponentials small.
    x = covariates - covariates.mean(axis=0)
    relative = np.exp(x @ coef)
    position = np.searchsorted(jumps, time)
    upto = position + ~event  # how many jumps a row was at risk for
    risk = weight * relative
    at_risk = _mass_at_risk(np.column_stack([risk, risk[:, None] * x]), upto, len(jumps))
    total, mean = at_risk[:, 0], at_risk[:, 1:] / at_risk[:, :1]
    increments = np.bincount(position[~event], weight[~event], minlength=len(jumps)) / total
    hazard = _accumulate(increments[:, None])[:, 0]
    mean_hazard = _accumulate(increments[:, None] * mean)

    score = -relative[:, None] * (x * hazard[upto, None] - mean_hazard[upto])
    score[~event] += x[~event] - mean[position[~event]]
    information = (x * (risk * hazard[upto])[:, None]).T @ x
    information -= (mean * (increments * total)[:, None]).T @ mean
    if penalty is not None:
        information = information + penalty

    weighted = (risk[:, None]) * contributions
    before = np.searchsorted(jumps, known_time)  # jumps before the known time
    q = _mass_beyond(weighted, known_time, jumps) / total[:, None]
    martingale = -relative[:, None] * _accumulate(q * increments[:, None])[upto]
    martingale[~event] += q[position[~event]]
    slope = (x * hazard[before, None] - mean_hazard[before]).T @ weighted
    return martingale + score @ np.linalg.lstsq(information, slope, rcond=None)[0]


def _accumulate(values: Array) -> Array:
    """Return cumulative sums over rows, with a row of zeros in front."""
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    return total


def _suffix_sums(values: Array) -> Array:
    """Return sums from each row to the last, with a row of zeros at the end."""
    return _accumulate(values[::-1])[::-1]


def _mass_beyond(values: Array, time: Array, jumps: Array) -> Array:
    """Sum the values of rows whose time lies after each jump."""
    order = np.argsort(time)
    return _suffix_sums(values[order])[np.searchsorted(time[order], jumps, side="right")]


def _mass_from(values: Array, time: Array, jumps: Array) -> Array:
    """Sum the values of rows whose time lies at or after each jump."""
    order = np.argsort(time)
    return _suffix_sums(values[order])[np.searchsorted(time[order], jumps)]


def _mass_at_risk(values: Array, upto: NDArray[np.intp], n_jumps: int) -> Array:
    """Sum the values of rows at risk for each jump: those with more than its number."""
    columns = [np.bincount(upto, column, minlength=n_jumps + 1) for column in values.T]
    return _suffix_sums(np.column_stack(columns))[1:-1]
