"""Brier scores of predicted survival, weighted for censoring."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.scores import average_over, brier
from .referee import Referee, appoint, read_grid, read_scored, read_survival

Array = NDArray[np.float64]


def ipcw_brier_score(
    y_true: Any,
    survival: Any,
    times: Any,
    *,
    censoring: Any,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> Array:
    r"""Mean squared errors of predicted survival at several times, weighted for censoring.

    .. math::

        \frac1n \sum_i \Big[ \frac{1\{t_i \le u, d_i = 1\}\, s_i(u)^2}{\hat G(t_i- | x_i)}
        + \frac{1\{t_i > u\}\, (1 - s_i(u))^2}{\hat G(u | x_i)} \Big]

    with :math:`s_i(u)` the predicted :math:`P(Y > u | x_i)`. The left limit in the first weight
    counts ties rightly: an event at t is seen by those censored at t or later.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    survival : array of shape (n, m)
        Predicted probabilities of outliving each time; shape (n,) for a single time.
    times : float or array of shape (m,)
        u, increasing, before the last time in the data.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times`` and scores,
        at each u, the rows that could be observed beyond it.
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

    Raises
    ------
    ValueError
        If the input is invalid, or no row is under observation after the last of the times.

    References
    ----------
    Graf, E., Schmoor, C., Sauerbrei, W. and Schumacher, M. (1999). Assessment and comparison of
    prognostic classification schemes for survival data. Statistics in Medicine 18, 2529-2545.
    https://doi.org/10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5

    Kvamme, H. and Borgan, Ø. (2023). The Brier score under administrative censoring: problems and
    a solution. Journal of Machine Learning Research 24(2).
    https://jmlr.org/papers/v24/19-1030.html

    Examples
    --------
    >>> from trueness.censoring import ipcw_brier_score, survival_target
    >>> y = survival_target([1, 2, 3, 4], [1, 0, 1, 1])
    >>> ipcw_brier_score(y, [0.25, 0.5, 0.5, 0.75], 2.5, censoring="km").round(4)
    array([0.1328])
    """
    rows = read_scored(y_true, event, sample_weight=sample_weight)
    grid = read_grid(times)
    predicted = read_survival(survival, len(rows), grid)
    referee = appoint(censoring, rows, X, censoring_times=censoring_times, floor=floor)
    return brier_scores(referee, predicted, grid)


def ipcw_integrated_brier_score(
    y_true: Any,
    survival: Any,
    times: Any,
    *,
    censoring: Any,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> float:
    r"""Mean over time of the Brier score of predicted survival, weighted for censoring.

    .. math:: \frac{1}{u_m - u_1} \int_{u_1}^{u_m} BS(u)\, du

    by the trapezoid rule; BS is `ipcw_brier_score`, whose parameters these are.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    survival : array of shape (n, m)
        Predicted probabilities of outliving each time.
    times : array of shape (m,)
        u, increasing, before the last time in the data.
    censoring : str or CensoringModel
        By whose weights rows are scored.
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
    float

    Raises
    ------
    ValueError
        If the input is invalid, or no row is under observation after the last of the times.
    """
    rows = read_scored(y_true, event, sample_weight=sample_weight)
    grid = read_grid(times)
    predicted = read_survival(survival, len(rows), grid)
    referee = appoint(censoring, rows, X, censoring_times=censoring_times, floor=floor)
    return average_over(grid, brier_scores(referee, predicted, grid))


def brier_scores(referee: Referee, survival: Array, times: Array) -> Array:
    """Return the Brier score at each time under a referee."""
    scores = np.empty(len(times))
    for j, u in enumerate(times):
        cases, controls, scored = referee.survival_weights(float(u))
        scores[j] = brier(survival[:, j], cases, controls, scored)
    return scores
