"""The simulation design of Egami et al. (2024)."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr, ndtri
from sklearn.utils import Bunch

from ..checks import check_choices, check_range
from ..streams import RandomState, streams
from .design import Array, check_common, draw_clusters, draw_normals, sampling_probabilities
from .machine import Moments, error_intercept, misclassify, mismeasure

# Ten exchangeable normal variates; X2 is one of them, cut such that Pr(X2 = 1) = 0.2.
_COVARIANCE = 0.7 * np.eye(10) + 0.3
_CHOLESKY = np.linalg.cholesky(_COVARIANCE)
_X2_CUT = float(ndtri(0.8))
# Gauss-Hermite nodes per dimension: the fine rule gives the truth, the coarse one its error.
_FINE, _COARSE = 40, 32
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "sampling": ("poisson", "srswor"),
    "probabilities": ("constant", "unequal"),
    "model": ("logistic", "linear", "mean"),
    "outcome": ("binary", "continuous"),
    "by": (None, "x2"),
}
# (name, value, other, needed): the value needs the other parameter to be as given.
_NEEDS = (
    ("probabilities", "unequal", "sampling", "poisson"),
    ("model", "logistic", "outcome", "binary"),
    ("by", "x2", "model", "mean"),
)


def make_egami2024(
    *,
    n_rows: int = 5000,
    n_labels: int = 500,
    accuracy: float = 0.9,
    n_surrogates: int = 1,
    differential_error: float = 0.0,
    sampling: Literal["poisson", "srswor"] = "poisson",
    probabilities: Literal["constant", "unequal"] = "constant",
    n_clusters: int | None = None,
    icc: float = 0.3,
    model: Literal["logistic", "linear", "mean"] = "logistic",
    outcome: Literal["binary", "continuous"] = "binary",
    by: Literal["x2"] | None = None,
    extra_features: bool = False,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw a data set from the simulation design of Egami et al. (2024).

    Ten covariates are normal with unit variances and correlations 0.3; then ``X2`` is cut to
    an indicator with ``Pr(X2 = 1) = 0.2``. With

    .. math::

        W = \frac{0.1}{1 + e^{0.5 X_3 - 0.5 X_2}} + \frac{1.3 X_4}{1 + e^{-0.1 X_2}}
            + 1.5 X_4 X_6 + 0.5 X_1 X_2 + 1.3 X_1 + X_2

    a binary outcome Y is Bernoulli(expit W) and a continuous one is W + N(0, 1). Every row has
    surrogates S of the outcome; a probability sample of the rows has gold labels.

    Parameters
    ----------
    n_rows : int, default=5000
        Number of rows.
    n_labels : int, default=500
        Gold labels: their expected number (Poisson sampling) or exact number ("srswor").
    accuracy : float, default=0.9
        Quality of every surrogate, from 0 to 1; 0.5 is useless. Binary outcome:
        ``Pr(S = Y)``. Continuous: ``Corr(S, Y) = 2 accuracy - 1``, with ``Var S = Var Y``.
    n_surrogates : int, default=1
        Surrogates, with errors independent of each other given ``X`` and ``Y``.
    differential_error : float, default=0.0
        Strength d of the dependence of the surrogate's error on ``X1`` and ``Y``; d > 0 raises
        the surrogate where ``X1`` is large. Binary:
        ``logit Pr(S != Y | X, Y) = a + d X1 (1 - 2Y)``, a solved such that ``Pr(S = Y)`` over
        the superpopulation is still the accuracy (0 and 1 leave no room for d). Continuous:
        the error is a multiple of ``d V + N(0, 1)``, V the residual of ``X1`` regressed on
        ``Y``, with the correlation and the variance above kept exactly.
    sampling : {"poisson", "srswor"}, default="poisson"
        Independent selection of rows, or simple random sampling without replacement.
    probabilities : {"constant", "unequal"}, default="constant"
        Sampling probabilities pi. Unequal ones (Poisson sampling only) depend on the first
        surrogate and ``X1``: ``logit pi = c + log(10)/4 (s + tanh X1)``, s = 1 where S is 1
        (continuous: above E Y) and else -1, c solved such that pi has mean
        ``n_labels / n_rows``. At the default sizes max/min is about 8.
    n_clusters : int or None, default=None
        Number of clusters, none of them empty; sizes are multinomial with
        Dirichlet(4) weights (coefficient of variation 0.5). None draws independent rows.
    icc : float, default=0.3
        Intraclass correlation, from 0 to 1, of the normal variates behind the covariates, the
        outcome given ``X`` and the surrogates given ``X`` and ``Y``. Used only with clusters.
    model : {"logistic", "linear", "mean"}, default="logistic"
        Estimand, see Notes. "logistic" needs a binary outcome.
    outcome : {"binary", "continuous"}, default="binary"
        Type of the outcome and of the surrogates.
    by : {"x2"} or None, default=None
        With ``model="mean"``: one mean per value of ``x2``.
    extra_features : bool, default=False
        Append the covariates that the estimand leaves out (x3, x5, ..., x10) to ``surrogates``.
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced.
        Each part of the design has its own stream: ``accuracy`` changes neither ``X`` nor ``Y``.

    Returns
    -------
    Bunch
        * ``observed``, keywords of ``fit``: ``X`` (columns x1, x1_squared, x2, x4; for the
          mean x1, x2, x4), ``y`` (float, NaN where unlabelled), ``surrogates`` (columns llm_1,
          ...), ``sampling_probability`` and, if there are any, ``clusters``.
        * ``complete``: ``y``, ``labelled``, ``X_full`` (ten covariates), ``latent`` (W),
          ``outcome_mean`` (E[Y | X]), ``surrogate_error`` (Pr(S != Y | X, Y); continuous:
          E[S - Y | X, Y]).
        * ``truth``, a dict with keys "intercept" and the columns of ``X``, or "mean", or
          "x2=0" and "x2=1"; ``truth_error``, the numerical error of each.
        * ``params``, the arguments without ``random_state``; ``DESCR``, this text.

    Raises
    ------
    ValueError
        If an argument is out of range or in conflict with another.

    Notes
    -----
    The truth belongs to the superpopulation, not to the drawn rows, and is a projection: no
    model here is correct. With :math:`D = (1, X_1, X_1^2, X_2, X_4)'` it solves

    .. math::

        E[D (Y - \operatorname{expit} D'\beta)] = 0 \text{ (logistic)}, \qquad
        E[D (Y - D'\beta)] = 0 \text{ (linear)},

    or is :math:`E[Y]` or :math:`E[Y \mid X_2]` (mean). The expectation, of E[Y | X] in place of
    Y, is a sum over ``X2`` and Gauss-Hermite quadrature over ``X1, X3, X4, X6``. Its error is
    the distance to a coarser rule, about 1e-6.

    Clusters do not change the truth: a normal variate is ``sqrt(icc)`` times a cluster's plus
    ``sqrt(1 - icc)`` times a row's own, so the law of one row (X, Y, S) stays the same.

    The grouping of the terms of W is a reading of the published formula. It agrees with the
    published logit of S in place of Y: coverages of 32% and 58% and standardised biases near
    30% and 18% at accuracies 0.90 and 0.95; here 32% and 59%, and (mean absolute bias over
    mean absolute coefficient) 32% and 18% in 300 replicates.

    References
    ----------
    .. [1] Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2024). Using large language model
       annotations for the social sciences: a general framework of using predicted variables in
       downstream analyses. Working paper, section 3.4 and appendix E.
    .. [2] Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2023). Using imperfect surrogates
       for downstream inference. Advances in Neural Information Processing Systems 36.
       :doi:`10.48550/arXiv.2306.04746`

    Examples
    --------
    >>> from trueness.simulations import make_egami2024
    >>> sample = make_egami2024(accuracy=0.9, sampling="srswor", random_state=0)
    >>> int(sample.complete.labelled.sum())
    500
    >>> {term: round(value, 3) for term, value in sample.truth.items()}
    {'intercept': 0.201, 'x1': 1.078, 'x1_squared': 0.1, 'x2': 0.806, 'x4': 0.273}
    """
    params = {name: value for name, value in locals().items() if name != "random_state"}
    _check(params)
    *row_rngs, sampling_rng, cluster_rng = streams(random_state, 5)
    clusters = None if n_clusters is None else draw_clusters(n_rows, n_clusters, cluster_rng)
    covariates, outcome_noise, surrogate_noise = (
        draw_normals((n_rows, n_columns), rng, clusters, icc, cluster_rng)
        for n_columns, rng in zip((len(_COVARIANCE), 1, n_surrogates), row_rngs, strict=True)
    )

    X_full = pd.DataFrame(covariates @ _CHOLESKY.T).rename(columns=lambda j: f"x{j + 1}")
    X_full["x2"] = (X_full["x2"] > _X2_CUT).astype(np.int64)
    x1, x2, x3, x4, x6 = (X_full[name].to_numpy() for name in ("x1", "x2", "x3", "x4", "x6"))
    latent = _latent(x1, x2, x3, x4, x6)
    outcome_mean = _outcome_mean(latent, outcome)
    if outcome == "binary":
        y = (ndtr(outcome_noise[:, 0]) > 1 - outcome_mean).astype(np.float64)
        intercept = _error_intercept(accuracy, differential_error)
        noise_share = ndtr(surrogate_noise)
        readings, error = misclassify(y, x1, noise_share, intercept, differential_error)
    else:
        y = outcome_mean + outcome_noise[:, 0]
        readings, error = mismeasure(
            y, x1, surrogate_noise, _moments(), accuracy, differential_error
        )

    middle = 0.5 if outcome == "binary" else _moments().mean
    pi = sampling_probabilities(params, readings[:, 0] > middle, x1)
    labelled = sampling_rng.random(n_rows) < pi
    if sampling == "srswor":
        labelled = sampling_rng.permutation(n_rows) < n_labels

    X = X_full[["x1", "x2", "x4"]].copy()
    if model != "mean":
        X.insert(1, "x1_squared", x1**2)
    surrogates = pd.DataFrame(readings).rename(columns=lambda j: f"llm_{j + 1}")
    if extra_features:
        surrogates = surrogates.join(X_full.drop(columns=["x1", "x2", "x4"]))
    observed = {"X": X, "y": np.where(labelled, y, np.nan), "surrogates": surrogates}
    observed["sampling_probability"] = pi
    if clusters is not None:
        observed["clusters"] = clusters
    complete = Bunch(y=y, labelled=labelled, X_full=X_full, latent=latent)
    complete.update(outcome_mean=outcome_mean, surrogate_error=error)
    truth, truth_error = _truth(model, outcome, by)
    return Bunch(
        observed=observed,
        complete=complete,
        truth=dict(truth),
        truth_error=dict(truth_error),
        params=params,
        DESCR=inspect.getdoc(make_egami2024),
    )


def _latent(x1: Array, x2: Array, x3: Array, x4: Array, x6: Array) -> Array:
    """W: the logit of Pr(Y = 1 | X), or the mean of a continuous outcome."""
    bounded = 0.1 * expit(0.5 * x2 - 0.5 * x3) + 1.3 * x4 * expit(0.1 * x2)
    return np.asarray(bounded + 1.5 * x4 * x6 + 0.5 * x1 * x2 + 1.3 * x1 + x2)


def _outcome_mean(latent: Array, outcome: str) -> Array:
    return np.asarray(expit(latent)) if outcome == "binary" else latent


@lru_cache
def _population(order: int) -> tuple[Array, Array, Array, Array, Array]:
    """Quadrature nodes of X1, X2, X4 and W, and their probabilities.

    A Gauss-Hermite rule over (X1, X4, X6, X3), with X2 summed given these four.
    """
    # X3 moves W by less than 0.1: a few nodes integrate it to rounding error.
    rules = [np.polynomial.hermite_e.hermegauss(n) for n in (order, order, order, 8)]
    grid = np.stack(np.meshgrid(*(nodes for nodes, _ in rules), indexing="ij"), axis=-1)
    weight = np.prod(np.meshgrid(*(w / w.sum() for _, w in rules), indexing="ij"), axis=0)
    kept = weight > 1e-16
    normals, weight = grid[kept] @ _CHOLESKY[:4, :4].T, weight[kept]

    # Exchangeable variates: the first four and the fifth stand for any four and X2's.
    regression = np.linalg.solve(_COVARIANCE[:4, :4], _COVARIANCE[:4, 4])
    residual_sd = np.sqrt(1 - regression @ _COVARIANCE[:4, 4])
    share = ndtr((normals @ regression - _X2_CUT) / residual_sd)
    x1, x4, x6, x3 = np.tile(normals.T, 2)
    x2 = np.repeat([0.0, 1.0], len(normals))
    weight = np.concatenate([weight * (1 - share), weight * share])
    return x1, x2, x4, _latent(x1, x2, x3, x4, x6), weight / weight.sum()


@lru_cache
def _truth(model: str, outcome: str, by: str | None) -> tuple[dict[str, float], dict[str, float]]:
    """Estimand by term, and its numerical error."""
    fine, coarse = (_project(order, model, outcome, by) for order in (_FINE, _COARSE))
    return fine, {term: abs(fine[term] - coarse[term]) for term in fine}


def _project(order: int, model: str, outcome: str, by: str | None) -> dict[str, float]:
    x1, x2, x4, latent, weight = _population(order)
    terms = {"intercept": np.ones_like(x1), "x1": x1, "x1_squared": x1**2, "x2": x2, "x4": x4}
    if model == "mean":
        terms = {"mean": np.ones_like(x1)} if by is None else {"x2=0": 1 - x2, "x2=1": x2}
    solve = _logistic_projection if model == "logistic" else _linear_projection
    beta = solve(np.column_stack(list(terms.values())), _outcome_mean(latent, outcome), weight)
    return dict(zip(terms, beta.tolist(), strict=True))


def _linear_projection(D: Array, mean: Array, weight: Array) -> Array:
    return np.asarray(np.linalg.solve((D * weight[:, None]).T @ D, D.T @ (weight * mean)))


def _logistic_projection(D: Array, mean: Array, weight: Array) -> Array:
    beta = np.zeros(D.shape[1])
    for _ in range(12):  # Newton's method reaches rounding error in about seven steps
        fitted = expit(D @ beta)
        hessian = (D * (weight * fitted * (1 - fitted))[:, None]).T @ D
        beta += np.linalg.solve(hessian, D.T @ (weight * (mean - fitted)))
    return beta


@lru_cache
def _moments() -> Moments:
    """E Y, Var Y and Cov(X1, Y) of the continuous outcome."""
    x1, _, _, latent, weight = _population(_FINE)
    mean = float(weight @ latent)
    variance = float(weight @ (latent - mean) ** 2) + 1.0
    return Moments(mean, variance, float(weight @ (x1 * latent)))


@lru_cache
def _error_intercept(accuracy: float, strength: float) -> float:
    """Intercept of the logit of the error at which Pr(S = Y) is the accuracy."""
    x1, _, _, latent, weight = _population(_COARSE)
    return error_intercept(accuracy, strength, x1, np.asarray(expit(latent)), weight)


def _check(params: dict[str, Any]) -> None:
    check_common(params)
    check_range("n_surrogates", params["n_surrogates"], 1)
    check_choices(params, _CHOICES)
    for name, value, other, needed in _NEEDS:
        if params[name] == value and params[other] != needed:
            got = f"{other}={params[other]!r}"
            raise ValueError(f"{name}={value!r} needs {other}={needed!r}, but {got} was given.")
