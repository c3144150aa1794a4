"""Errors of predicted durations, weighted for censoring."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..numerics.scores import (
    calibration_slope,
    mean_absolute,
    mean_bias,
    mean_pinball,
    mean_squared,
    r_squared,
)
from .referee import Referee, appoint, check_horizon, read_predictions, read_scored

Array = NDArray[np.float64]
Score = Callable[[Array, Array, Array], float]


class _Shared(NamedTuple):
    """What all scores take beside durations, predictions and the censoring model."""

    event: Any
    X: Any
    sample_weight: Any
    censoring_times: Any
    floor: float


def _score(
    score: Score, y_true: Any, y_pred: Any, censoring: Any, horizon: float | None, shared: _Shared
) -> float:
    rows = read_scored(y_true, shared.event, sample_weight=shared.sample_weight)
    times, floor = shared.censoring_times, shared.floor
    referee = appoint(censoring, rows, shared.X, censoring_times=times, floor=floor)
    return duration_score(score, referee, y_pred, horizon)


def duration_score(score: Score, referee: Referee, y_pred: Any, horizon: float | None) -> float:
    """Score predicted durations under a referee."""
    check_horizon(horizon)
    prediction = read_predictions(y_pred, len(referee.rows), "y_pred")
    restricted, weight = referee.restricted_weights(horizon)
    return score(restricted.target, prediction, weight)


def ipcw_mean_squared_error(
    y_true: Any,
    y_pred: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> float:
    r"""Mean squared error of predicted durations, weighted for censoring.

    .. math:: \sum_i W_i (z_i - f_i)^2 \big/ \sum_i W_i, \qquad W_i = k_i / \hat G(z_i- | x_i)

    Here :math:`z_i = \min(t_i, \tau)` and :math:`k_i` tells whether it is :math:`\min(Y_i, \tau)`:
    the event was seen, or the row was still under observation at :math:`\tau`. Under a wrong
    censoring model the best score can go to the wrong prediction, so that the model has no
    default; `score_report` shows scores under several. Where censoring is administrative and its
    times are known, ``censoring="known"`` is the honest choice.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    y_pred : array of shape (n,)
        Predicted :math:`\min(Y, \tau)`.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times``.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations; None scores rows with an event only.
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
        If the input is invalid, no row is known, or a known row had no chance to be known.

    References
    ----------
    Robins, J. M. and Rotnitzky, A. (1992). Recovery of information and adjustment for dependent
    censoring using surrogate markers. AIDS Epidemiology, 297-331.
    https://doi.org/10.1007/978-1-4757-1229-2_14

    Examples
    --------
    >>> from trueness.censoring import ipcw_mean_squared_error, survival_target
    >>> y = survival_target([1, 2, 3, 4], [1, 0, 1, 1])
    >>> ipcw_mean_squared_error(y, [1, 2, 2, 2], censoring="km", horizon=3.5)
    1.21875
    """
    shared = _Shared(event, X, sample_weight, censoring_times, floor)
    return _score(mean_squared, y_true, y_pred, censoring, horizon, shared)


def ipcw_mean_absolute_error(
    y_true: Any,
    y_pred: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> float:
    r"""Mean absolute error of predicted durations, weighted for censoring.

    .. math:: \sum_i W_i |z_i - f_i| \big/ \sum_i W_i

    Weights are those of `ipcw_mean_squared_error`.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    y_pred : array of shape (n,)
        Predicted :math:`\min(Y, \tau)`.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times``.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations; None scores rows with an event only.
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
        If the input is invalid, no row is known, or a known row had no chance to be known.
    """
    shared = _Shared(event, X, sample_weight, censoring_times, floor)
    return _score(mean_absolute, y_true, y_pred, censoring, horizon, shared)


def ipcw_mean_pinball_loss(
    y_true: Any,
    y_pred: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    quantile: float = 0.5,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> float:
    r"""Pinball loss of predicted quantiles of durations, weighted for censoring.

    .. math:: \sum_i W_i (q - 1\{z_i < f_i\})(z_i - f_i) \big/ \sum_i W_i

    Weights are those of `ipcw_mean_squared_error`. A quantile is scored rightly if it lies below
    the horizon.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    y_pred : array of shape (n,)
        Predicted q-quantiles of the duration.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times``.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations; None scores rows with an event only.
    quantile : float, default=0.5
        q, between 0 and 1.
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
        If the input is invalid, no row is known, or a known row had no chance to be known.
    """
    shared = _Shared(event, X, sample_weight, censoring_times, floor)
    return _score(
        partial(mean_pinball, quantile=quantile), y_true, y_pred, censoring, horizon, shared
    )


def ipcw_r2_score(
    y_true: Any,
    y_pred: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> float:
    r"""R squared of predicted durations, weighted for censoring.

    .. math:: 1 - \sum_i W_i (z_i - f_i)^2 \big/ \sum_i W_i (z_i - \bar z)^2

    Weights are those of `ipcw_mean_squared_error`, and :math:`\bar z` is the weighted mean. NaN if
    durations do not vary.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    y_pred : array of shape (n,)
        Predicted :math:`\min(Y, \tau)`.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times``.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations; None scores rows with an event only.
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
        If the input is invalid, no row is known, or a known row had no chance to be known.
    """
    shared = _Shared(event, X, sample_weight, censoring_times, floor)
    return _score(r_squared, y_true, y_pred, censoring, horizon, shared)


def ipcw_bias(
    y_true: Any,
    y_pred: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> float:
    r"""Mean of predicted minus true durations, weighted for censoring.

    .. math:: \sum_i W_i (f_i - z_i) \big/ \sum_i W_i

    Weights are those of `ipcw_mean_squared_error`. Rankings do not show this error: predictions
    that are all a year short have the concordance of those that are right.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    y_pred : array of shape (n,)
        Predicted :math:`\min(Y, \tau)`.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times``.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations; None scores rows with an event only.
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
        If the input is invalid, no row is known, or a known row had no chance to be known.
    """
    shared = _Shared(event, X, sample_weight, censoring_times, floor)
    return _score(mean_bias, y_true, y_pred, censoring, horizon, shared)


def ipcw_calibration_slope(
    y_true: Any,
    y_pred: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> float:
    r"""Slope of durations on predicted durations, weighted for censoring.

    .. math:: \sum_i W_i (f_i - \bar f)(z_i - \bar z) \big/ \sum_i W_i (f_i - \bar f)^2

    Weights are those of `ipcw_mean_squared_error`. It is 1 for calibrated predictions and below 1
    for those that vary too much; NaN if they do not vary.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    y_pred : array of shape (n,)
        Predicted :math:`\min(Y, \tau)`.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model, which is fitted to
        the scored rows unless it is fitted already; "known" takes ``censoring_times``.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations; None scores rows with an event only.
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
        If the input is invalid, no row is known, or a known row had no chance to be known.
    """
    shared = _Shared(event, X, sample_weight, censoring_times, floor)
    return _score(calibration_slope, y_true, y_pred, censoring, horizon, shared)
