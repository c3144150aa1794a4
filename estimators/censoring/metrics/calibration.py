"""Calibration of predicted durations and survival probabilities, weighted for censoring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..numerics.scores import calibration_groups
from .referee import Referee, appoint, check_horizon, read_grid, read_predictions, read_scored


def calibration_table(
    y_true: Any,
    prediction: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    survival_at: float | None = None,
    n_groups: int = 10,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> pd.DataFrame:
    r"""Compare predicted and observed means in groups of equally many rows by prediction.

    .. math:: \bar z_g = \sum_{i \in g} W_i z_i \big/ \sum_{i \in g} W_i, \qquad
        W_i = k_i / \hat G(z_i- | x_i)

    with :math:`z_i = \min(t_i, \tau)`, or, of survival at u, :math:`z_i = 1\{t_i > u\}` with the
    weights of `ipcw_brier_score`. A calibrated prediction has equal means in every group.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    prediction : array of shape (n,)
        Predicted :math:`\min(Y, \tau)`, or predicted probabilities of outliving u.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times``.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations; None compares rows with an event only.
    survival_at : float, default=None
        u; given if ``prediction`` holds probabilities.
    n_groups : int, default=10
        Groups of equally many rows; rows with the same prediction stay together.
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
    DataFrame
        One row per group, by rising prediction: ``rows``, ``known``, ``predicted`` (mean),
        ``observed`` (weighted mean), ``std_error`` (of the latter, with the weights taken as
        given, which is on the safe side), ``difference`` (predicted minus observed).

    Raises
    ------
    ValueError
        If the input is invalid or no row is known.

    Examples
    --------
    >>> from trueness.censoring import calibration_table, survival_target
    >>> y = survival_target([1, 2, 3, 4], [1, 0, 1, 1])
    >>> table = calibration_table(y, [1, 1, 3, 3], censoring="km", horizon=3.5, n_groups=2)
    >>> table[["rows", "known", "predicted", "observed"]]
       rows  known  predicted  observed
    0     2      1        1.0      1.00
    1     2      2        3.0      3.25
    """
    rows = read_scored(y_true, event, sample_weight=sample_weight)
    referee = appoint(censoring, rows, X, censoring_times=censoring_times, floor=floor)
    return calibration_under(referee, prediction, horizon, survival_at, n_groups)


def calibration_under(
    referee: Referee,
    prediction: Any,
    horizon: float | None,
    survival_at: float | None,
    n_groups: int,
) -> pd.DataFrame:
    """Return the table under a referee."""
    if not isinstance(n_groups, int | np.integer) or n_groups < 1:
        raise ValueError(f"n_groups={n_groups!r} must be a positive integer.")
    rows = referee.rows
    values = read_predictions(prediction, len(rows), "prediction")
    case_weight = rows.case_weight
    if survival_at is None:
        check_horizon(horizon)
        restricted, weight = referee.restricted_weights(horizon)
        target = restricted.target
        case_weight = case_weight * referee.scored(horizon)
    else:
        if horizon is not None:
            raise ValueError("Give horizon= for durations or survival_at= for probabilities.")
        (u,) = read_grid(survival_at)
        cases, controls, case_weight = referee.survival_weights(float(u))
        target = (rows.time > u).astype(float)
        weight = case_weight * (cases + controls)
    scored = case_weight > 0.0
    groups = calibration_groups(
        target[scored], values[scored], weight[scored], case_weight[scored], int(n_groups)
    )
    table = pd.DataFrame(groups._asdict())
    return table.assign(difference=table["predicted"] - table["observed"])
