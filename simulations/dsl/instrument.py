"""A regression with an endogenous treatment, instruments, and a machine that reads text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr
from scipy.stats import norm
from sklearn.utils import Bunch

from ..checks import check_choices, check_flags, check_range
from ..streams import RandomState
from .design import Array, Draws, check_common, make_sample, normal_grid, sampling_probabilities
from .machine import Moments, error_intercept, misclassify, mismeasure

_COEFFICIENTS = {"intercept": 0.5, "t": 1.0, "x1": -0.5}
_SLOPE, _CORRELATION = 0.5, 0.3  # of x1 in the first stage; between x1 and the instruments
_CHOICES = {
    "treatment": ("continuous", "binary"),
    "predicted": ("treatment", "outcome", "both"),
    "probabilities": ("constant", "unequal"),
}


class FirstStage(NamedTuple):
    """The population's regression of the treatment, or of what is cut to make it."""

    slope: float  # of each instrument
    variance: float
    with_x1: float  # covariance
    r2: float  # partial, of the instruments in the treatment itself


def make_instrument(
    *,
    n_rows: int = 5000,
    n_labels: int = 500,
    n_instruments: int = 1,
    first_stage_r2: float = 0.15,
    endogeneity: float = 0.5,
    treatment: Literal["continuous", "binary"] = "continuous",
    predicted: Literal["treatment", "outcome", "both"] = "treatment",
    heteroskedastic: bool = False,
    accuracy: float = 0.9,
    differential_error: float = 1.0,
    probabilities: Literal["constant", "unequal"] = "constant",
    n_clusters: int | None = None,
    icc: float = 0.3,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw a regression with an endogenous treatment that a machine reads, and instruments.

    The covariate X1 and the m instruments Z are standard normal with correlations 0.3; V and U
    are standard normal with correlation ``endogeneity``, independent of them. With

    .. math::

        L = 0.5 X_1 + p (Z_1 + \dots + Z_m) + V, \qquad
        Y = 0.5 + T - 0.5 X_1 + \sigma U

    the treatment T is L, or the indicator of L > 0. Treatment, outcome or both have gold labels
    on a Poisson sample of the rows, and readings by a machine on all of them.

    Parameters
    ----------
    n_rows : int, default=5000
        Number of rows.
    n_labels : int, default=500
        Expected number of gold labels; rows are selected independently.
    n_instruments : int, default=1
        Instruments; with one the model is just identified.
    first_stage_r2 : float, default=0.15
        Strength of all instruments: their partial R squared for L given X1, from 0.0001 to 0.9.
    endogeneity : float, default=0.5
        Correlation of U and V, from -1 to 1; at 0 least squares is consistent.
    treatment : {"continuous", "binary"}, default="continuous"
        Type of T and of its reading.
    predicted : {"treatment", "outcome", "both"}, default="treatment"
        What has gold labels and readings; the rest is known on every row.
    heteroskedastic : bool, default=False
        Let sigma^2 be ``(1 + Z_1^2) / 2`` in place of 1.
    accuracy : float, default=0.9
        Quality of the reading of T, from 0 to 1; 0.5 is useless. Binary: ``Pr(S = T)``.
        Continuous: ``Corr(S, T) = 2 accuracy - 1``, with ``Var S = Var T``.
    differential_error : float, default=1.0
        Strength d, from -5 to 5. The error in T depends on ``W = (X1 + U) / sqrt(2)``: binary,
        ``logit Pr(S != T | X, T, U) = a + d W (1 - 2T)``, a solved such that ``Pr(S = T)`` over
        the superpopulation is the accuracy; continuous, the error is a multiple of
        ``d R + N(0, 1)``, R the residual of W regressed on T. The reading of Y is
        ``Y + d (T + X1) / 4 + N(0, 1/4)``.
    probabilities : {"constant", "unequal"}, default="constant"
        Sampling probabilities pi. Unequal ones depend on the first surrogate S and X1:
        ``logit pi = c + log(10)/4 (s + tanh X1)``, s = 1 where S is above the mean of what it
        reads and else -1, c solved such that pi has mean ``n_labels / n_rows``.
    n_clusters : int or None, default=None
        Number of clusters, none of them empty; sizes are multinomial with Dirichlet(4) weights.
        None draws independent rows.
    icc : float, default=0.3
        Intraclass correlation, from 0 to 1, of all normal variates. Used only with clusters.
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced.
        Each part of the design has its own stream.

    Returns
    -------
    Bunch
        * ``observed``, keywords of ``fit``: ``X`` (columns t, x1), ``y``, ``surrogates`` (columns
          t_machine, y_machine, as predicted), ``instruments`` (columns z1, ...),
          ``sampling_probability`` and, if there are any, ``clusters``. What is predicted is NaN
          where unlabelled.
        * ``by_formula``, keywords of ``fit_formula``: the same in one frame.
        * ``predicted_features``, the columns of ``X`` with NaN.
        * ``complete``: ``y``, ``t``, ``labelled``, ``structural_error`` (sigma U),
          ``first_stage_r2`` (partial, for T itself), ``first_stage_f`` (the F statistic of the
          instruments to expect with independent rows and T known on all of them).
        * ``truth``, a dict with keys "intercept", "t", "x1"; ``truth_error``, zeros.
        * ``params``, the arguments without ``random_state``; ``DESCR``, this text.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The truth is the vector of structural coefficients: ``E[sigma U | Z, X1] = 0`` for both
    treatments and both forms of sigma. Clusters do not change it: a normal variate is
    ``sqrt(icc)`` times a cluster's plus ``sqrt(1 - icc)`` times a row's own, so the law of one
    row stays the same.

    Instruments are strong at the default sizes: F is about 900, a tenth of it among the gold
    labels alone. It is proportional to ``n_rows / n_instruments``.

    References
    ----------
    .. [1] Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2024). Using large language model
       annotations for the social sciences: a general framework of using predicted variables in
       downstream analyses. Working paper.

    Examples
    --------
    >>> from trueness.simulations import make_instrument
    >>> sample = make_instrument(n_instruments=2, random_state=0)
    >>> sample.observed["instruments"].columns.tolist(), round(sample.complete.first_stage_f)
    (['z1', 'z2'], 442)
    >>> sample.by_formula["formula"]
    'y ~ x1 | t ~ z1 + z2'
    """
    params = {name: value for name, value in locals().items() if name != "random_state"}
    _check(params)
    draws = Draws(params, random_state)
    cholesky = np.linalg.cholesky(_correlations(n_instruments + 1))
    x1, *Z = (draws.normals("covariates", n_instruments + 1) @ cholesky.T).T
    stage = _first_stage(n_instruments, first_stage_r2, treatment)
    V = draws.normal("treatment")
    latent = _SLOPE * x1 + stage.slope * np.sum(Z, axis=0) + V
    t = latent if treatment == "continuous" else (latent > 0).astype(np.float64)
    U = endogeneity * V + np.sqrt(1 - endogeneity**2) * draws.normal("outcome")
    error = U * np.sqrt((1 + Z[0] ** 2) / 2) if heteroskedastic else U
    X = pd.DataFrame({"t": t, "x1": x1})
    b = _COEFFICIENTS
    y = b["intercept"] + b["t"] * t + b["x1"] * x1 + error

    readings = {
        "t": _read_treatment(t, (x1 + U) / np.sqrt(2), draws.normal("machine"), stage, params),
        "y": y + differential_error * (t + x1) / 4 + draws.normal("machine") / 2,
    }
    hidden = {"treatment": ["t"], "outcome": ["y"], "both": ["t", "y"]}[predicted]
    surrogates = pd.DataFrame({f"{name}_machine": readings[name] for name in hidden})
    middle = 0.5 * (treatment == "binary")
    if predicted == "outcome":
        middle = b["intercept"] + b["t"] * middle
    pi = sampling_probabilities(params, readings[hidden[0]] > middle, x1)
    instruments = pd.DataFrame({f"z{j}": column for j, column in enumerate(Z, start=1)})
    return make_sample(
        make_instrument,
        params,
        observed={
            "X": X,
            "y": y,
            "surrogates": surrogates,
            "instruments": instruments,
            "sampling_probability": pi,
            "clusters": draws.clusters,
        },
        hidden=hidden,
        labelled=draws.sampling.random(n_rows) < pi,
        complete={
            "y": y,
            "t": t,
            "structural_error": error,
            "first_stage_r2": stage.r2,
            "first_stage_f": 1 + n_rows / n_instruments * stage.r2 / (1 - stage.r2),
        },
        truth=dict(_COEFFICIENTS),
        by_formula={
            "formula": f"y ~ x1 | t ~ {' + '.join(instruments.columns)}",
            "surrogates": {name: [f"{name}_machine"] for name in hidden},
        },
    )


def _correlations(size: int) -> Array:
    return np.asarray((1 - _CORRELATION) * np.eye(size) + _CORRELATION)


def _first_stage(n_instruments: int, r2: float, treatment: str) -> FirstStage:
    """Solve for the slope of the instruments that gives L its partial R squared."""
    correlations = _correlations(n_instruments + 1)
    given_x1 = correlations[1:, 1:] - _CORRELATION**2
    slope = float(np.sqrt(r2 / (1 - r2) / given_x1.sum()))
    slopes = np.array([_SLOPE] + n_instruments * [slope])
    explained = float(slopes @ correlations @ slopes)
    with_x1 = float(correlations[0] @ slopes)
    stage = FirstStage(slope, explained + 1, with_x1, r2)
    if treatment == "continuous":
        return stage
    # Stein's lemma: the indicator's covariances with normal variates are those of L times this.
    shrinkage = norm.pdf(0) / np.sqrt(stage.variance)
    unexplained = 0.25 - shrinkage**2 * explained
    by_instruments = shrinkage**2 * (explained - with_x1**2)
    return stage._replace(r2=by_instruments / (by_instruments + unexplained))


def _read_treatment(
    t: Array, driver: Array, noise: Array, stage: FirstStage, params: dict[str, Any]
) -> Array:
    accuracy, strength = params["accuracy"], params["differential_error"]
    covariance = (stage.with_x1 + params["endogeneity"]) / np.sqrt(2)  # of driver and L
    if params["treatment"] == "continuous":
        moments = Moments(0.0, stage.variance, covariance)
        readings, _ = mismeasure(t, driver, noise[:, None], moments, accuracy, strength)
    else:
        correlation = covariance / np.sqrt(stage.variance)
        intercept = _error_intercept(correlation, accuracy, strength)
        readings, _ = misclassify(t, driver, ndtr(noise[:, None]), intercept, strength)
    return readings[:, 0]


@lru_cache
def _error_intercept(correlation: float, accuracy: float, strength: float) -> float:
    """Intercept of the logit of the error at which Pr(S = T) is the accuracy."""
    nodes, weight = normal_grid(1, 80)
    driver = nodes[:, 0]
    share = ndtr(correlation * driver / np.sqrt(1 - correlation**2))  # Pr(L > 0 | driver)
    return error_intercept(accuracy, strength, driver, np.asarray(share), weight)


def _check(params: dict[str, Any]) -> None:
    check_common(params, strongest=5.0)
    check_range("n_instruments", params["n_instruments"], 1)
    check_range("first_stage_r2", params["first_stage_r2"], 0.0001, 0.9)
    check_range("endogeneity", params["endogeneity"], -1.0, 1.0)
    check_choices(params, _CHOICES)
    check_flags(params, "heteroskedastic")
