"""A regression on a covariate that a machine reads from text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr
from sklearn.utils import Bunch

from ..checks import check_choices, check_flags
from ..streams import RandomState
from .design import (
    Array,
    Draws,
    check_common,
    correlate,
    make_sample,
    normal_grid,
    sampling_probabilities,
)
from .machine import Moments, error_intercept, misclassify, mismeasure

_COEFFICIENTS = {"intercept": 0.5, "t": -1.0, "x1": 0.5, "x2": 0.5, "t:x1": 0.5}
# Intercept and slopes of x1 and x2 in the logit of T, or in its mean with a residual of 0.8.
_BINARY, _CONTINUOUS, _RESIDUAL = (-0.4, 0.8, -0.4), (0.0, 0.6, -0.3), 0.8
_CHOICES = {
    "model": ("linear", "logistic"),
    "covariate": ("binary", "continuous"),
    "probabilities": ("constant", "unequal"),
}


def make_predicted_covariate(
    *,
    n_rows: int = 5000,
    n_labels: int = 500,
    model: Literal["linear", "logistic"] = "linear",
    covariate: Literal["binary", "continuous"] = "binary",
    interaction: bool = False,
    accuracy: float = 0.9,
    differential_error: float = 1.0,
    probabilities: Literal["constant", "unequal"] = "constant",
    n_clusters: int | None = None,
    icc: float = 0.3,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw a regression whose covariate T is read by a machine, with differential error.

    The covariates X1 and X2 are standard normal with correlation 0.3. T follows them:
    ``logit Pr(T = 1) = -0.4 + 0.8 X1 - 0.4 X2``, or ``T = 0.6 X1 - 0.3 X2 + N(0, 0.64)``. With

    .. math::

        W = 0.5 - T + 0.5 X_1 + 0.5 X_2 + 0.5\, T X_1\, 1\{\text{interaction}\}

    the outcome Y is W + N(0, 1), or Bernoulli(expit W). Y is known on every row; T has gold
    labels on a Poisson sample of the rows, and a reading S by a machine on all of them.

    Parameters
    ----------
    n_rows : int, default=5000
        Number of rows.
    n_labels : int, default=500
        Expected number of gold labels; rows are selected independently.
    model : {"linear", "logistic"}, default="linear"
        Continuous or binary outcome.
    covariate : {"binary", "continuous"}, default="binary"
        Type of T and of its reading.
    interaction : bool, default=False
        Let the effect of T depend on X1.
    accuracy : float, default=0.9
        Quality of the reading, from 0 to 1; 0.5 is useless. Binary: ``Pr(S = T)``. Continuous:
        ``Corr(S, T) = 2 accuracy - 1``, with ``Var S = Var T``.
    differential_error : float, default=1.0
        Strength d, from -5 to 5, with which the error depends on ``V = (X1 + H) / sqrt(2)``, H
        the residual of Y given the covariates over its standard deviation; d > 0 raises the
        reading where X1 and Y are large. Binary:
        ``logit Pr(S != T | X, T, Y) = a + d V (1 - 2T)``, a solved such that ``Pr(S = T)`` over
        the superpopulation is the accuracy. Continuous: the error is a multiple of
        ``d U + N(0, 1)``, U the residual of V regressed on T.
    probabilities : {"constant", "unequal"}, default="constant"
        Sampling probabilities pi. Unequal ones depend on S and X1:
        ``logit pi = c + log(10)/4 (s + tanh X1)``, s = 1 where S is 1 (continuous: above 0) and
        else -1, c solved such that pi has mean ``n_labels / n_rows``.
    n_clusters : int or None, default=None
        Number of clusters, none of them empty; sizes are multinomial with Dirichlet(4) weights.
        None draws independent rows.
    icc : float, default=0.3
        Intraclass correlation, from 0 to 1, of the normal variates behind X, T, Y and S. Used
        only with clusters.
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced.
        Each part of the design has its own stream.

    Returns
    -------
    Bunch
        * ``observed``, keywords of ``fit``: ``X`` (columns t, x1, x2 and, with interaction,
          t:x1 = t * x1; t and t:x1 are NaN where unlabelled), ``y``, ``surrogates`` (column
          t_machine), ``sampling_probability`` and, if there are any, ``clusters``.
        * ``by_formula``, keywords of ``fit_formula``: the same in one frame.
        * ``predicted_features``, the columns of ``X`` with NaN.
        * ``complete``: ``y``, ``t``, ``labelled``, ``latent`` (W), ``outcome_mean``
          (E[Y | T, X]), ``surrogate_error`` (Pr(S != T | X, T, Y); continuous:
          E[S - T | X, T, Y]).
        * ``truth``, a dict with keys "intercept" and the columns of ``X``; ``truth_error``, zeros.
        * ``params``, the arguments without ``random_state``; ``DESCR``, this text.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The model of Y is correct, so the truth is the vector of coefficients of W, exactly.

    Clusters do not change the truth: a normal variate is ``sqrt(icc)`` times a cluster's plus
    ``sqrt(1 - icc)`` times a row's own, and a binary variable is one such variate, cut at the
    quantile of its probability. So the law of one row (X, T, Y, S) stays the same.

    References
    ----------
    .. [1] Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2024). Using large language model
       annotations for the social sciences: a general framework of using predicted variables in
       downstream analyses. Working paper.

    Examples
    --------
    >>> from trueness.simulations import make_predicted_covariate
    >>> sample = make_predicted_covariate(interaction=True, random_state=0)
    >>> sample.observed["X"].columns.tolist(), sample.predicted_features
    (['t', 'x1', 'x2', 't:x1'], ('t', 't:x1'))
    >>> sample.truth
    {'intercept': 0.5, 't': -1.0, 'x1': 0.5, 'x2': 0.5, 't:x1': 0.5}
    >>> sample.by_formula["formula"], sample.by_formula["surrogates"]
    ('y ~ t * x1 + x2', {'t': ['t_machine']})
    """
    params = {name: value for name, value in locals().items() if name != "random_state"}
    _check(params)
    draws = Draws(params, random_state)
    x1, x2 = correlate(draws.normals("covariates", 2))
    t = _covariate(covariate, x1, x2, draws.normal("treatment"))
    X = pd.DataFrame({"t": t, "x1": x1, "x2": x2})
    if interaction:
        X["t:x1"] = t * x1
    truth = {term: _COEFFICIENTS[term] for term in ("intercept", *X)}
    latent = _latent(t, x1, x2, interaction)
    y, mean, residual = _outcome(model, latent, draws.normal("outcome"))

    driver = (x1 + residual) / np.sqrt(2)
    noise = draws.normals("machine", 1)
    if covariate == "binary":
        intercept = _error_intercept(model, interaction, accuracy, differential_error)
        reading, error = misclassify(t, driver, ndtr(noise), intercept, differential_error)
    else:
        reading, error = mismeasure(t, driver, noise, _moments(), accuracy, differential_error)
    surrogates = pd.DataFrame({"t_machine": reading[:, 0]})
    pi = sampling_probabilities(params, reading[:, 0] > 0.5 * (covariate == "binary"), x1)
    return make_sample(
        make_predicted_covariate,
        params,
        observed={
            "X": X,
            "y": y,
            "surrogates": surrogates,
            "sampling_probability": pi,
            "clusters": draws.clusters,
        },
        hidden=["t", "t:x1"],
        labelled=draws.sampling.random(n_rows) < pi,
        complete={"y": y, "t": t, "latent": latent, "outcome_mean": mean, "surrogate_error": error},
        truth=truth,
        by_formula={
            "formula": "y ~ t * x1 + x2" if interaction else "y ~ t + x1 + x2",
            "X": X[["t", "x1", "x2"]],
            "surrogates": {"t": ["t_machine"]},
        },
    )


def _covariate(kind: str, x1: Array, x2: Array, noise: Array) -> Array:
    if kind == "binary":
        return (ndtr(noise) > 1 - _share(x1, x2)).astype(np.float64)
    return np.asarray(_linear(_CONTINUOUS, x1, x2) + _RESIDUAL * noise)


def _share(x1: Array, x2: Array) -> Array:
    """Pr(T = 1 | X)."""
    return np.asarray(expit(_linear(_BINARY, x1, x2)))


def _linear(coefficients: tuple[float, float, float], x1: Array, x2: Array) -> Array:
    intercept, first, second = coefficients
    return intercept + first * x1 + second * x2


def _latent(t: Array, x1: Array, x2: Array, interaction: bool) -> Array:
    """W: the mean of a continuous outcome, or the logit of a binary one."""
    b = _COEFFICIENTS
    slope = b["t"] + b["t:x1"] * x1 * interaction
    return np.asarray(b["intercept"] + slope * t + b["x1"] * x1 + b["x2"] * x2)


def _outcome(model: str, latent: Array, noise: Array) -> tuple[Array, Array, Array]:
    """Return outcome, its mean given the covariates, and the standardised residual."""
    if model == "linear":
        return latent + noise, latent, noise
    mean = np.asarray(expit(latent))
    y = (ndtr(noise) > 1 - mean).astype(np.float64)
    return y, mean, _pearson(y, mean)


def _pearson(y: Array | float, mean: Array) -> Array:
    return np.asarray((y - mean) / np.sqrt(mean * (1 - mean)))


def _moments() -> Moments:
    """Moments of a continuous T; its residual and that of Y are unrelated to the rest."""
    _, first, second = _CONTINUOUS
    covariance = first + 0.3 * second  # with X1
    variance = first * covariance + second * (0.3 * first + second) + _RESIDUAL**2
    return Moments(0.0, variance, covariance / np.sqrt(2))


@lru_cache
def _error_intercept(model: str, interaction: bool, accuracy: float, strength: float) -> float:
    """Intercept of the logit of the error at which Pr(S = T) is the accuracy."""
    driver, share, weight = _population(model, interaction)
    return error_intercept(accuracy, strength, driver, share, weight)


@lru_cache
def _population(model: str, interaction: bool) -> tuple[Array, Array, Array]:
    """Quadrature nodes of the driver, Pr(T = 1) there, and their probabilities."""
    if model == "linear":
        nodes, weight = normal_grid(3, 24)
        x1, x2 = correlate(nodes[:, :2])
        return (x1 + nodes[:, 2]) / np.sqrt(2), _share(x1, x2), weight
    nodes, weight = normal_grid(2, 48)
    x1, x2 = correlate(nodes)
    cells = []
    for t in (0.0, 1.0):
        mean = expit(_latent(np.full_like(x1, t), x1, x2, interaction))
        weight_t = weight * np.abs(1 - t - _share(x1, x2))
        for y in (0.0, 1.0):
            driver = (x1 + _pearson(y, mean)) / np.sqrt(2)
            cells.append((driver, np.full_like(x1, t), weight_t * np.abs(1 - y - mean)))
    driver, share, weight = (np.concatenate(parts) for parts in zip(*cells, strict=True))
    return driver, share, weight


def _check(params: dict[str, Any]) -> None:
    check_common(params, strongest=5.0)
    check_choices(params, _CHOICES)
    check_flags(params, "interaction")
