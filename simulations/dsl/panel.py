"""An unbalanced panel of units and periods with fixed effects and machine labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.special import expit, ndtr
from sklearn.utils import Bunch

from ..checks import check_choices, check_range
from ..streams import RandomState, Rng, streams
from .design import Array, check_common, logit_intercept, make_sample, sampling_probabilities
from .machine import error_intercept, misclassify

_COEFFICIENTS = {"x1": -0.2, "t": -0.8}
_CHOICES = {
    "predicted": ("outcome", "covariate", "both"),
    "probabilities": ("constant", "unequal"),
}


def make_panel(
    *,
    n_units: int = 200,
    n_periods: int = 50,
    presence: float = 0.5,
    n_labels: int = 500,
    predicted: Literal["outcome", "covariate", "both"] = "outcome",
    accuracy: float = 0.9,
    differential_error: float = 1.0,
    autocorrelation: float = 0.7,
    probabilities: Literal["constant", "unequal"] = "constant",
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw an unbalanced panel with unit and period effects and machine labels.

    Unit i has the effect :math:`\alpha_i` ~ N(0, 1); period s has the effect
    :math:`\gamma_s = \tau_s` + N(0, 1/4), with :math:`\tau` the time, standardised. The errors
    :math:`u, e` are standard normal first-order autoregressions within units, and

    .. math::

        X_1 = 0.7 (\alpha_i + \gamma_s) + u_{is}, \qquad
        \operatorname{logit} \Pr(T = 1) = -0.3 + (X_1 + \alpha_i) / 2, \qquad
        Y = \alpha_i + \gamma_s - 0.2 X_1 - 0.8 T + e_{is}.

    A unit is there in a period with ``logit Pr = c + 1.5 alpha tau + X1 / 2``: those with large
    effects are seen late, the others early.

    Parameters
    ----------
    n_units, n_periods : int, default=200 and 50
        Size of the panel, were it balanced.
    presence : float, default=0.5
        Expected share of its rows that are there, from 0.01 to 1: c is solved for it. At 1 the
        panel is balanced.
    n_labels : int, default=500
        Expected number of gold labels; rows are selected independently.
    predicted : {"outcome", "covariate", "both"}, default="outcome"
        What has gold labels and readings by a machine: Y, T or both.
    accuracy : float, default=0.9
        Expected share of rows where the reading of T is right, from 0 to 1.
    differential_error : float, default=1.0
        Strength d, from -5 to 5, of the dependence of errors on covariate, unit effect and
        outcome. The reading of Y is ``Y + d (X1 + alpha) / 4`` plus half a standard
        autoregression, so the slope of X1 in it is -0.2 + d/4. That of T is wrong with
        ``logit Pr = a + d (u + alpha + e) (1 - 2T) / sqrt(3)``, a solved for the accuracy.
    autocorrelation : float, default=0.7
        Correlation of adjacent periods in every autoregression, from -0.99 to 0.99.
    probabilities : {"constant", "unequal"}, default="constant"
        Sampling probabilities pi. Unequal ones depend on the first surrogate S and X1:
        ``logit pi = c + log(10)/4 (s + tanh X1)``, s = 1 where S is above its mean and else -1,
        c solved such that the sum of pi is ``n_labels``.
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced.
        Each part of the design has its own stream.

    Returns
    -------
    Bunch
        * ``observed``, keywords of ``fit``: ``X`` (columns x1, t), ``y``, ``surrogates`` (columns
          y_machine, t_machine, as predicted), ``sampling_probability``, ``fixed_effects``
          (columns unit, period) and ``clusters`` (the unit). What is predicted is NaN where
          unlabelled.
        * ``by_formula``, keywords of ``fit_formula``: the same in one frame.
        * ``predicted_features``, the columns of ``X`` with NaN.
        * ``complete``: ``y``, ``t``, ``labelled``, ``unit_effect``, ``period_effect``,
          ``outcome_error`` (e), all by row.
        * ``truth``, a dict with keys "x1" and "t"; ``truth_error``, zeros.
        * ``params``, the arguments without ``random_state``; ``DESCR``, this text.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are fewer rows than labels.

    Notes
    -----
    Presence depends on effects and covariates, not on e. So least squares with a dummy for every
    unit and period is unbiased for the slopes, which are the truth.

    The closed form of two-way demeaning, a value minus its unit's mean minus its period's mean
    plus the grand mean, is right in balanced panels only. Here the mean unit effect rises from
    period to period, and the closed form leaves these means in outcome and covariates. On
    complete data of the default size it puts the slope of X1 near +0.17, on the other side of
    zero and about fifteen standard errors from the truth.

    Errors are correlated within units: standard errors for independent rows are too small, by
    about 30 percent for X1.

    References
    ----------
    .. [1] Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2024). Using large language model
       annotations for the social sciences: a general framework of using predicted variables in
       downstream analyses. Working paper.
    .. [2] Wansbeek, T. and Kapteyn, A. (1989). Estimation of the error-components model with
       incomplete panels. Journal of Econometrics 41(3), 341-361.
       :doi:`10.1016/0304-4076(89)90066-6`

    Examples
    --------
    >>> from trueness.simulations import make_panel
    >>> sample = make_panel(random_state=0)
    >>> sample.by_formula["formula"], sample.truth
    ('y ~ x1 + t | unit + period', {'x1': -0.2, 't': -0.8})
    >>> rows_by_unit = sample.observed["fixed_effects"].groupby("unit").size()
    >>> len(rows_by_unit), int(rows_by_unit.sum())
    (200, 5079)
    """
    params = {name: value for name, value in locals().items() if name != "random_state"}
    _check(params)
    effects_rng, *rngs, presence_rng, sampling_rng = streams(random_state, 8)
    shape = (n_units, n_periods)
    u, v, e, noise_y, noise_t = (_autoregression(shape, autocorrelation, rng) for rng in rngs)
    time = np.linspace(-1, 1, n_periods) * np.sqrt(3 * (n_periods - 1) / (n_periods + 1))
    alpha = np.broadcast_to(effects_rng.standard_normal((n_units, 1)), shape)
    gamma = np.broadcast_to(time + effects_rng.standard_normal(n_periods) / 2, shape)
    x1 = 0.7 * (alpha + gamma) + u
    t = (ndtr(v) > 1 - expit(-0.3 + (x1 + alpha) / 2)).astype(np.float64)
    y = alpha + gamma + _COEFFICIENTS["x1"] * x1 + _COEFFICIENTS["t"] * t + e

    there = presence_rng.random(shape) < _presence(1.5 * alpha * time + x1 / 2, presence)
    unit, period = np.nonzero(there)
    grids = (x1, t, y, alpha, gamma, u, e, noise_y, noise_t)
    x1, t, y, alpha, gamma, u, e, noise_y, noise_t = (grid[there] for grid in grids)
    check_range("n_labels", n_labels, 1, len(y), " (rows drawn)")
    readings = {
        "y": y + differential_error * (x1 + alpha) / 4 + noise_y / 2,
        "t": _read_covariate(t, (u + alpha + e) / np.sqrt(3), noise_t, params),
    }
    hidden = {"outcome": ["y"], "covariate": ["t"], "both": ["y", "t"]}[predicted]
    first = readings[hidden[0]]
    pi = sampling_probabilities(params, first > first.mean(), x1)
    return make_sample(
        make_panel,
        params,
        observed={
            "X": pd.DataFrame({"x1": x1, "t": t}),
            "y": y,
            "surrogates": pd.DataFrame({f"{name}_machine": readings[name] for name in hidden}),
            "sampling_probability": pi,
            "fixed_effects": pd.DataFrame({"unit": unit, "period": period}),
            "clusters": unit,
        },
        hidden=hidden,
        labelled=sampling_rng.random(len(y)) < pi,
        complete={
            "y": y,
            "t": t,
            "unit_effect": alpha,
            "period_effect": gamma,
            "outcome_error": e,
        },
        truth=dict(_COEFFICIENTS),
        by_formula={
            "formula": "y ~ x1 + t | unit + period",
            "surrogates": {name: [f"{name}_machine"] for name in hidden},
        },
    )


def _autoregression(shape: tuple[int, int], correlation: float, rng: Rng) -> Array:
    """Stationary standard normal autoregressions of first order, one per row."""
    innovations = rng.standard_normal(shape)
    innovations[:, 1:] *= np.sqrt(1 - correlation**2)
    return np.asarray(lfilter([1.0], [1.0, -correlation], innovations, axis=1))


def _presence(wanted: Array, share: float) -> Array:
    """Probabilities with the given mean."""
    return np.asarray(expit(logit_intercept(wanted.ravel(), share) + wanted))


def _read_covariate(t: Array, driver: Array, noise: Array, params: dict[str, Any]) -> Array:
    accuracy, strength = params["accuracy"], params["differential_error"]
    weight = np.full(len(t), 1 / len(t))
    intercept = error_intercept(accuracy, strength, driver, t, weight)
    readings, _ = misclassify(t, driver, ndtr(noise)[:, None], intercept, strength)
    return readings[:, 0]


def _check(params: dict[str, Any]) -> None:
    check_range("n_units", params["n_units"], 2)
    check_range("n_periods", params["n_periods"], 2)
    check_range("presence", params["presence"], 0.01, 1.0)
    check_range("n_labels", params["n_labels"], 1)
    check_common(params, strongest=5.0)
    check_range("autocorrelation", params["autocorrelation"], -0.99, 0.99)
    check_choices(params, _CHOICES)
