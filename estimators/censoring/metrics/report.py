"""Scores of one prediction under several models of censoring, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..numerics.concordance import partners, ratio_of_pairs
from ..numerics.scores import (
    average_over,
    calibration_slope,
    mean_absolute,
    mean_bias,
    mean_squared,
    r_squared,
)
from .brier import brier_scores
from .errors import duration_score
from .ranking import auc_scores, uno_concordance
from .referee import (
    Referee,
    appoint,
    check_horizon,
    read_grid,
    read_predictions,
    read_scored,
    read_survival,
)

Array = NDArray[np.float64]


def score_report(
    y_true: Any,
    y_pred: Any = None,
    *,
    censoring: Sequence[Any] | Mapping[str, Any],
    horizon: float | None = None,
    survival: Any = None,
    times: Any = None,
    risk: Any = None,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> pd.DataFrame:
    r"""Score predictions under two or more models of censoring, side by side.

    Which of two predictions is better can depend on the model by which censored rows are made up
    for. Where the columns agree, the conclusion does not hang on it.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    y_pred : array of shape (n,), default=None
        Predicted :math:`\min(Y, \tau)`.
    censoring : sequence or mapping of at least two models
        Names ("km", "cox", "beran", "known", ...) or models, as in `ipcw_mean_squared_error`; the
        keys of a mapping head the columns.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations.
    survival : array of shape (n, m), default=None
        Predicted probabilities of outliving ``times``.
    times : array of shape (m,), default=None
        Where survival is scored.
    risk : array of shape (n,), default=None
        Larger for those expected to have the event sooner; minus ``y_pred``, or else one minus
        the mean of ``survival`` over times, if None.
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
        One row per score, one column per model. ``weight sum``, the mean of
        :math:`k_i / \hat G(z_i- | x_i)`, is near 1 if the model can be trusted. ``Harrell's C`` is
        not weighted. With entry times (left truncation) there are scores of durations only, as
        those of survival and order are not made for them.

    Raises
    ------
    ValueError
        If there is nothing to score, fewer than two models are named, or the input is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import score_report, survival_target
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(300, 1))
    >>> duration = np.exp(x[:, 0] / 2) * rng.exponential(size=300)
    >>> censored = np.exp(x[:, 0]) * rng.exponential(size=300) + 0.2
    >>> y = survival_target(np.minimum(duration, censored), duration <= censored)
    >>> report = score_report(y, np.full(300, 0.6), censoring=["km", "cox"], X=x, horizon=1.5)
    >>> report.columns.tolist()
    ['Kaplan-Meier', 'Cox']
    >>> report.loc["bias"].round(2).tolist()
    [-0.23, -0.14]
    """
    rows = read_scored(y_true, event, sample_weight=sample_weight)
    check_horizon(horizon)
    if y_pred is None and survival is None and risk is None:
        raise ValueError("There is nothing to score; give y_pred, survival or risk.")
    if (survival is None) != (times is None):
        raise ValueError("survival and times belong together.")
    models = _named(censoring)
    grid = None if times is None else read_grid(times)
    if y_pred is not None:
        y_pred = read_predictions(y_pred, len(rows), "y_pred")
    if grid is not None:
        survival = read_survival(survival, len(rows), grid)
    order = _order(risk, y_pred, survival, len(rows))
    columns = {}
    for label, model in models:
        known = isinstance(model, str) and model == "known"
        referee = appoint(
            model,
            rows,
            X,
            censoring_times=censoring_times if known else None,
            floor=floor,
        )
        name = label or referee.name
        if name in columns:
            raise ValueError(
                f"Two models of censoring are called {name!r}; give a mapping from names to models."
            )
        columns[name] = _scores(referee, y_pred, horizon, survival, grid, order)
    return pd.DataFrame(columns).rename_axis(index="score", columns="censoring model")


def _named(censoring: Any) -> list[tuple[str, Any]]:
    if isinstance(censoring, Mapping):
        models = [(str(name), model) for name, model in censoring.items()]
    elif isinstance(censoring, list | tuple):
        models = [("", model) for model in censoring]
    else:
        models = []
    if len(models) < 2:
        raise ValueError(
            'A report compares at least two models of censoring, for example censoring=["km", '
            '"cox"]; a single score has its own function.'
        )
    return models


def _order(risk: Any, y_pred: Array | None, survival: Any, n_rows: int) -> Array:
    if risk is not None:
        return read_predictions(risk, n_rows, "risk")
    if y_pred is not None:
        return -y_pred
    return 1.0 - np.asarray(survival).mean(axis=1)


def _scores(
    referee: Referee,
    y_pred: Array | None,
    horizon: float | None,
    survival: Any,
    times: Array | None,
    risk: Array,
) -> dict[str, float]:
    rows = referee.rows
    _, weight = referee.restricted_weights(horizon)
    scored = rows.case_weight * referee.scored(horizon)
    scores = {"weight sum": float(weight.sum() / scored.sum())}
    if y_pred is not None:
        for name, score in (
            ("mean squared error", mean_squared),
            ("mean absolute error", mean_absolute),
            ("R squared", r_squared),
            ("bias", mean_bias),
            ("calibration slope", calibration_slope),
        ):
            scores[name] = duration_score(score, referee, y_pred, horizon)
    if rows.entry is not None:
        return scores
    if times is not None:
        for u, value in zip(times, brier_scores(referee, survival, times), strict=True):
            scores[f"Brier score at {u:g}"] = float(value)
        if len(times) > 1:
            values = list(scores.values())[-len(times) :]
            scores["integrated Brier score"] = average_over(times, np.array(values))
        for u, value in zip(times, auc_scores(referee, 1.0 - survival, times), strict=True):
            scores[f"AUC at {u:g}"] = float(value)
    scores["Uno's C"] = uno_concordance(referee, risk, horizon)
    pairs = partners(rows.time, rows.event, risk, rows.weight)
    scores["Harrell's C"] = ratio_of_pairs(pairs, rows.case_weight[pairs.rows])
    return scores
