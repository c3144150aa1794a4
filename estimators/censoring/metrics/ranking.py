"""Scores of the ranking of rows: concordance and time-dependent areas under the curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import validation
from ..numerics.concordance import (
    blockwise_concordance,
    dynamic_auc,
    partners,
    ratio_of_pairs,
)
from .referee import (
    Referee,
    appoint,
    check_horizon,
    read_grid,
    read_predictions,
    read_scored,
)

Array = NDArray[np.float64]

# Up to this many pairs of an event and another row, weights that do not separate are summed
# pair by pair; beyond it in bins.
EXACT_PAIRS = 4_000_000
BLOCK = 2_000_000
N_BINS = 64
ROWS_PER_BIN = 8


def concordance_index(
    y_true: Any, risk: Any, *, event: Any = None, sample_weight: Any = None
) -> float:
    r"""Harrell's concordance: the share of pairs in the right order, as they were observed.

    .. math::

        \frac{\sum_i d_i \sum_{j \in A_i} \{1(r_i > r_j) + \frac12 1(r_i = r_j)\}}
        {\sum_i d_i |A_i|}, \qquad A_i = \{t_j > t_i\} \cup \{t_j = t_i, d_j = 0\}

    It is not weighted, and its limit depends on the distribution of censoring; use it for
    reference only.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    risk : array of shape (n,)
        Larger for those expected to have the event sooner; the negative of a predicted duration.
    event : array of shape (n,), default=None
        1 for an event, 0 for censoring, where ``y_true`` does not say.
    sample_weight : array of shape (n,), default=None
        Case weights; a pair counts by their product.

    Returns
    -------
    float
        NaN if no pair can be compared.

    Raises
    ------
    ValueError
        If the input is invalid.

    References
    ----------
    Harrell, F. E., Califf, R. M., Pryor, D. B., Lee, K. L. and Rosati, R. A. (1982). Evaluating
    the yield of medical tests. JAMA 247(18), 2543-2546.
    https://doi.org/10.1001/jama.1982.03320430047030

    Examples
    --------
    >>> from trueness.censoring import concordance_index, survival_target
    >>> y = survival_target([1, 2, 3, 4], [1, 0, 1, 1])
    >>> concordance_index(y, [4, 2, 1, 3])
    0.75
    """
    rows = read_scored(y_true, event, sample_weight=sample_weight)
    order = read_predictions(risk, len(rows), "risk")
    pairs = partners(rows.time, rows.event, order, rows.weight)
    return ratio_of_pairs(pairs, rows.case_weight[pairs.rows])


def concordance_index_ipcw(
    y_true: Any,
    risk: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
    n_bins: int | None = None,
) -> float:
    r"""Uno's concordance: the share of pairs in the right order, weighted for censoring.

    .. math::

        \frac{\sum_{i: d_i = 1, t_i < \tau} \sum_{j \in A_i} w_{ij}
        \{1(r_i > r_j) + \frac12 1(r_i = r_j)\}}
        {\sum_{i: d_i = 1, t_i < \tau} \sum_{j \in A_i} w_{ij}}, \qquad
        w_{ij} = \frac{1}{\hat G(t_i- | x_i)\, \hat G(t_i- | x_j)}

    with :math:`A_i = \{t_j > t_i\} \cup \{t_j = t_i, d_j = 0\}`. Under one curve for all rows the
    weights are :math:`\hat G(t_i-)^{-2}` and all pairs are counted exactly, tied or not, in
    :math:`n \log n` operations.

    Given covariates the weights of a pair do not separate. Up to four million pairs are summed
    one by one. Beyond that, rows are put into ``n_bins`` bins by their mean censoring survival,
    :math:`1 / \hat G(t_i- | x_j)` is replaced by its mean over eight rows of the bin of j, and
    pairs are counted exactly within each bin.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    risk : array of shape (n,)
        Larger for those expected to have the event sooner; the negative of a predicted duration.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times`` and scores
        the rows that could be observed until the horizon.
    horizon : float, default=None
        :math:`\tau`; only events before it count, all of them if None.
    event : array of shape (n,), default=None
        1 for an event, 0 for censoring, where ``y_true`` does not say.
    X : array or frame of shape (n, p), default=None
        Covariates, for censoring models that depend on them.
    sample_weight : array of shape (n,), default=None
        Case weights; a pair counts by their product.
    censoring_times : array of shape (n,), default=None
        When each row would have been censored at the latest, for ``censoring="known"``.
    floor : float, default=0.0
        Smaller values of the censoring survival are raised to this.
    n_bins : int, default=None
        Number of bins, also where pairs are few; chosen as said above if None.

    Returns
    -------
    float
        NaN if no pair can be compared.

    Raises
    ------
    ValueError
        If the input is invalid or an event had no chance to be seen.

    References
    ----------
    Uno, H., Cai, T., Pencina, M. J., D'Agostino, R. B. and Wei, L. J. (2011). On the C-statistics
    for evaluating overall adequacy of risk prediction procedures with censored survival data.
    Statistics in Medicine 30(10), 1105-1117. https://doi.org/10.1002/sim.4154

    Gerds, T. A., Kattan, M. W., Schumacher, M. and Yu, C. (2013). Estimating a time-dependent
    concordance index for survival prediction models with covariate dependent censoring. Statistics
    in Medicine 32(13), 2173-2184. https://doi.org/10.1002/sim.5681

    Examples
    --------
    >>> from trueness.censoring import concordance_index_ipcw, survival_target
    >>> y = survival_target([1, 2, 3, 4], [1, 0, 1, 1])
    >>> round(concordance_index_ipcw(y, [4, 2, 1, 3], censoring="km"), 4)
    0.5714
    """
    rows = read_scored(y_true, event, sample_weight=sample_weight)
    order = read_predictions(risk, len(rows), "risk")
    check_horizon(horizon)
    if n_bins is not None and n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r} must be a positive integer.")
    referee = appoint(censoring, rows, X, censoring_times=censoring_times, floor=floor)
    return uno_concordance(referee, order, horizon, n_bins)


def cumulative_dynamic_auc(
    y_true: Any,
    risk: Any,
    times: Any,
    *,
    censoring: Any,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> Array:
    r"""Areas under the ROC curves of events by each of several times, weighted for censoring.

    .. math::

        \frac{\sum_i \sum_j w_i^-(u)\, w_j^+(u) \{1(r_i > r_j) + \frac12 1(r_i = r_j)\}}
        {\sum_i w_i^-(u) \sum_j w_j^+(u)}, \qquad
        w_i^- = \frac{1\{t_i \le u, d_i = 1\}}{\hat G(t_i- | x_i)}, \quad
        w_j^+ = \frac{1\{t_j > u\}}{\hat G(u | x_j)}

    Cases had the event by u, controls outlived it.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    risk : array of shape (n,) or (n, m)
        Larger for those expected to have the event sooner, for all times or for each of them.
    times : float or array of shape (m,)
        u, increasing, before the last time in the data.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times``.
    event : array of shape (n,), default=None
        1 for an event, 0 for censoring, where ``y_true`` does not say.
    X : array or frame of shape (n, p), default=None
        Covariates, for censoring models that depend on them.
    sample_weight : array of shape (n,), default=None
        Case weights.
    censoring_times : array of shape (n,), default=None
        When each row would have been censored at the latest, for ``censoring="known"``.
    floor : float, default=0.0
        Smaller values of the censoring survival are raised to this.

    Returns
    -------
    ndarray of shape (m,)
        NaN at times before the first event.

    Raises
    ------
    ValueError
        If the input is invalid, or no row is under observation after the last of the times.

    References
    ----------
    Hung, H. and Chiang, C.-T. (2010). Estimation methods for time-dependent AUC models with
    survival data. Canadian Journal of Statistics 38(1), 8-26. https://doi.org/10.1002/cjs.10046

    Blanche, P., Dartigues, J.-F. and Jacqmin-Gadda, H. (2013). Review and comparison of ROC curve
    estimators for a time-dependent outcome with marker-dependent censoring. Biometrical Journal
    55(5), 687-704. https://doi.org/10.1002/bimj.201200045

    Examples
    --------
    >>> from trueness.censoring import cumulative_dynamic_auc, survival_target
    >>> y = survival_target([1, 2, 3, 4, 5], [1, 0, 1, 1, 0])
    >>> cumulative_dynamic_auc(y, [4, 2, 1, 3, 0], [1.5, 3.5], censoring="km").round(3)
    array([1.   , 0.714])
    """
    rows = read_scored(y_true, event, sample_weight=sample_weight)
    grid = read_grid(times)
    columns = np.asarray(validation.to_array(risk), dtype=float)
    if columns.ndim < 2:
        columns = np.repeat(columns.reshape(-1, 1), len(grid), axis=1)
    if columns.shape[1] != len(grid):
        raise ValueError(f"risk has {columns.shape[1]} columns for {len(grid)} times.")
    columns = np.column_stack([read_predictions(c, len(rows), "risk") for c in columns.T])
    referee = appoint(censoring, rows, X, censoring_times=censoring_times, floor=floor)
    return auc_scores(referee, columns, grid)


def auc_scores(referee: Referee, risk: Array, times: Array) -> Array:
    """Return the area under the curve at each time under a referee; risk has one column each."""
    scores = np.empty(len(times))
    for j, u in enumerate(times):
        cases, controls, scored = referee.survival_weights(float(u))
        scores[j] = dynamic_auc(risk[:, j], cases * scored, controls * scored)
    return scores


def uno_concordance(
    referee: Referee, risk: Array, horizon: float | None, n_bins: int | None = None
) -> float:
    """Return Uno's concordance under a referee."""
    referee.check_entry("Concordances")
    rows = referee.rows
    mass = rows.case_weight * referee.scored(horizon)
    counted = rows.event & (mass > 0.0)
    if horizon is not None:
        counted &= rows.time < horizon
    if not counted.any():
        return np.nan
    own = referee.own(rows.time, "left")
    referee._check_positive(own, counted)
    separates = referee.is_marginal or referee.model is None
    if separates:
        uniform = rows.weight is None and referee.model is not None
        pairs = partners(rows.time, rows.event, risk, None if uniform else mass)
        weight = np.zeros(len(rows))
        weight[counted] = mass[counted] / own[counted] ** 2
        return ratio_of_pairs(pairs, weight[pairs.rows])
    weight = np.zeros(len(rows))
    weight[counted] = mass[counted] / own[counted]
    if n_bins is None and counted.sum() * len(rows) <= EXACT_PAIRS:
        return _pair_by_pair(referee, risk, np.flatnonzero(counted), weight, mass)
    return _in_bins(referee, risk, weight, mass, n_bins or N_BINS)


def _pair_by_pair(
    referee: Referee, risk: Array, events: NDArray[np.intp], weight: Array, mass: Array
) -> float:
    rows, everyone = referee.rows, np.arange(len(risk))
    concordant = comparable = 0.0
    step = max(1, BLOCK // len(risk))
    for start in range(0, len(events), step):
        block = events[start : start + step]
        curves = referee.grid(rows.time[block], "left", everyone).T
        with np.errstate(divide="ignore"):  # only partners, who were seen, are counted
            pair_weight = np.where(curves > 0.0, mass / curves, 0.0)
        sums = blockwise_concordance(rows.time, rows.event, risk, block, weight[block], pair_weight)
        concordant, comparable = concordant + sums[0], comparable + sums[1]
    return concordant / comparable if comparable > 0.0 else np.nan


def _in_bins(referee: Referee, risk: Array, weight: Array, mass: Array, n_bins: int) -> float:
    """Count pairs exactly, with partners' weights averaged over bins of similar rows."""
    rows, everyone = referee.rows, np.arange(len(risk))
    times = np.unique(rows.time[weight > 0.0])
    few = np.quantile(times, np.arange(1, 10) / 10)
    level = np.concatenate(
        [
            referee.grid(few, "left", block).mean(axis=1)
            for block in np.array_split(everyone, max(1, len(everyone) // 10_000))
        ]
    )
    by_level = np.argsort(level, kind="stable")
    at = np.searchsorted(times, rows.time)
    concordant = comparable = 0.0
    for members in np.array_split(by_level, min(n_bins, len(by_level))):
        middles = (2 * np.arange(ROWS_PER_BIN) + 1) * len(members) // (2 * ROWS_PER_BIN)
        curves = referee.grid(times, "left", members[np.unique(middles)])
        with np.errstate(divide="ignore", over="ignore"):
            factor = np.where(curves > 0.0, 1.0 / curves, np.nan)
        # A row of the bin whose curve has ended is no partner any more.
        present = np.isfinite(factor)
        mean = np.where(present, factor, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
        inside = np.zeros(len(risk))
        inside[members] = mass[members]
        used = np.flatnonzero((weight > 0.0) | (inside > 0.0))
        pairs = partners(rows.time[used], rows.event[used], risk[used], inside[used])
        events = used[pairs.rows]
        here = weight[events] * mean[np.minimum(at[events], len(times) - 1)]
        concordant += float(here @ pairs.concordant)
        comparable += float(here @ pairs.comparable)
    return concordant / comparable if comparable > 0.0 else np.nan
