"""Documents of several classes, read by a machine: as an outcome, or as a covariate."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, softmax
from sklearn.utils import Bunch

from ..checks import check_choices, check_flags, check_range
from ..streams import RandomState
from .design import (
    Array,
    Draws,
    check_common,
    correlate,
    logit_intercept,
    make_sample,
    normal_grid,
    sampling_probabilities,
)

# Intercept and slopes of x1 and x2 of each class against the first, and its effect on an outcome.
_CLASSES = {
    "economy": ((0.0, 0.0, 0.0), 0.0),
    "foreign": ((0.3, 0.8, -0.4), 0.6),
    "health": ((-0.2, -0.5, 0.6), -0.4),
    "justice": ((-0.3, 0.4, 0.7), 0.9),
}
_OUTCOME = {"intercept": 0.5, "x1": 0.5, "x2": -0.3}
_CHOICES: dict[str, tuple[str | int | None, ...]] = {
    "n_classes": (3, 4),
    "role": ("outcome", "covariate"),
    "probabilities": ("constant", "unequal"),
}
_HARDEST, _EASIEST = 0.01, 0.99


def make_multiclass(
    *,
    n_rows: int = 5000,
    n_labels: int = 500,
    n_classes: Literal[3, 4] = 3,
    role: Literal["outcome", "covariate"] = "outcome",
    accuracy: float = 0.8,
    differential_error: float = 1.0,
    scores: bool = False,
    probabilities: Literal["constant", "unequal"] = "constant",
    n_clusters: int | None = None,
    icc: float = 0.3,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw documents of three or four classes that a machine reads, with differential error.

    The covariates X1 and X2 are standard normal with correlation 0.3. The class C follows a
    multinomial logit, with :math:`D = (1, X_1, X_2)'` and :math:`\beta_1 = 0` for the first
    class,

    .. math::

        \Pr(C = k \mid X) = \frac{e^{D'\beta_k}}{\sum_l e^{D'\beta_l}}.

    C is the outcome, or a factor in the regression of
    ``Y = 0.5 + g_C + 0.5 X1 - 0.3 X2 + N(0, 1)`` with ``g`` = (0, 0.6, -0.4, 0.9). It has gold
    labels on a Poisson sample of the rows, and a reading S by a machine on all of them.

    Parameters
    ----------
    n_rows : int, default=5000
        Number of rows.
    n_labels : int, default=500
        Expected number of gold labels; rows are selected independently.
    n_classes : {3, 4}, default=3
        Number of classes: economy, foreign, health and, of four, justice.
    role : {"outcome", "covariate"}, default="outcome"
        What the class is in the model.
    accuracy : float, default=0.8
        ``Pr(S = C)`` over the superpopulation, from 0.01 to 0.99.
    differential_error : float, default=1.0
        Strength d, from -5 to 5, with which confusions depend on V:
        ``log Pr(S = k | X, C, Y) = q 1{k = C} + d s_k V + constant``, the s_k running from -1 in
        the first class to 1 in the last, q solved such that ``Pr(S = C)`` is the accuracy.
        V is X1; for a covariate it is ``(X1 + H) / sqrt(2)``, H the residual of Y.
    scores : bool, default=False
        Append the scores of the machine, one column per class: positive, with sum 1, the
        largest at S.
    probabilities : {"constant", "unequal"}, default="constant"
        Sampling probabilities pi. Unequal ones depend on S and X1:
        ``logit pi = c + log(10)/4 (s + tanh X1)``, s = -1 where S is the first class and else
        1, c solved such that pi has mean ``n_labels / n_rows``.
    n_clusters : int or None, default=None
        Number of clusters, none of them empty; sizes are multinomial with Dirichlet(4) weights.
        None draws independent rows.
    icc : float, default=0.3
        Intraclass correlation, from 0 to 1, of the normal variates behind X, C, Y and S. Used
        only with clusters.
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced.
        Each part of the design has its own stream.

    Returns
    -------
    Bunch
        * ``observed``, keywords of ``fit``. Outcome: ``X`` (columns x1, x2), ``y`` (the names of
          the classes, NaN where unlabelled), ``surrogates`` (column y_machine). Covariate:
          ``X`` (an indicator topic[T.name] of every class but the first, NaN where unlabelled,
          and x1, x2), ``y`` (numbers), ``surrogates`` (column topic_machine). Both:
          score_name columns among the surrogates on request, ``sampling_probability`` and, if
          there are any, ``clusters``.
        * ``by_formula``, keywords of ``fit_formula``: the same in one frame, the covariate as one
          column of names.
        * ``predicted_features``, the columns of ``X`` with NaN.
        * ``complete``: ``y``, ``topic`` (C), ``labelled``, ``class_probability`` (n_rows,
          n_classes), ``confusion`` (n_rows, n_classes): Pr(S = k | X, C, Y).
        * ``truth``, a dict with keys "level: term" for the outcome, else "intercept" and the
          columns of ``X``; ``truth_error``, zeros.
        * ``params``, the arguments without ``random_state``; ``DESCR``, this text.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The models are correct, so the truth is the vector of their coefficients, exactly. Clusters
    do not change it: a normal variate is ``sqrt(icc)`` times a cluster's plus ``sqrt(1 - icc)``
    times a row's own, and C is one such variate, cut at the quantiles of its probabilities. So
    the law of one row stays the same.

    S is the class with the largest of the utilities ``q 1{k = C} + d s_k V`` plus a Gumbel
    variate; the scores are the softmax of these.

    References
    ----------
    .. [1] Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2024). Using large language model
       annotations for the social sciences: a general framework of using predicted variables in
       downstream analyses. Working paper.

    Examples
    --------
    >>> from trueness.simulations import make_multiclass
    >>> sample = make_multiclass(random_state=0)
    >>> list(sample.truth)[:4]
    ['foreign: intercept', 'foreign: x1', 'foreign: x2', 'health: intercept']
    >>> right = sample.observed["surrogates"]["y_machine"] == sample.complete.topic
    >>> round(float(right.mean()), 2)
    0.79
    >>> sample = make_multiclass(role="covariate", random_state=0)
    >>> sample.truth["topic[T.health]"], sample.by_formula["formula"]
    (-0.4, 'y ~ topic + x1 + x2')
    """
    params = {name: value for name, value in locals().items() if name != "random_state"}
    _check(params)
    draws = Draws(params, random_state)
    names = np.array(list(_CLASSES)[:n_classes], dtype=object)
    x1, x2 = correlate(draws.normals("covariates", 2))
    probability = _class_probability(x1, x2, n_classes)
    codes = _cut(ndtr(draws.normal("treatment")), probability)
    residual = draws.normal("outcome")
    driver = x1 if role == "outcome" else (x1 + residual) / np.sqrt(2)
    gain = _gain(role, n_classes, accuracy, differential_error)
    utility = gain * (codes[:, None] == np.arange(n_classes))
    utility += _lean(differential_error * driver, n_classes)
    perturbed = utility + _gumbel(draws.normals("machine", n_classes))
    reading = perturbed.argmax(axis=1)

    target = "y" if role == "outcome" else "topic"
    surrogates = pd.DataFrame({f"{target}_machine": names[reading]})
    if scores:
        columns = [f"score_{name}" for name in names]
        surrogates = surrogates.join(pd.DataFrame(softmax(perturbed, axis=1), columns=columns))
    X = pd.DataFrame({"x1": x1, "x2": x2})
    by_formula: dict[str, Any] = {
        "formula": "y ~ x1 + x2",
        "surrogates": {target: list(surrogates)},
    }
    y, truth = names[codes], _logit_coefficients(n_classes)
    if role == "covariate":
        by_formula |= {"formula": "y ~ topic + x1 + x2", "X": X.assign(topic=names[codes])}
        X, truth = _with_indicators(X, codes, n_classes)
        y = truth["intercept"] + X.to_numpy() @ list(truth.values())[1:] + residual
    pi = sampling_probabilities(params, reading > 0, x1)
    return make_sample(
        make_multiclass,
        params,
        observed={
            "X": X,
            "y": y,
            "surrogates": surrogates,
            "sampling_probability": pi,
            "clusters": draws.clusters,
        },
        hidden=[target, *(f"topic[T.{name}]" for name in names[1:])],
        labelled=draws.sampling.random(n_rows) < pi,
        complete={
            "y": y,
            "topic": names[codes],
            "class_probability": probability,
            "confusion": softmax(utility, axis=1),
        },
        truth=truth,
        by_formula=by_formula,
    )


def _logit_coefficients(n_classes: int) -> dict[str, float]:
    terms = ("intercept", "x1", "x2")
    return {
        f"{name}: {term}": value
        for name, (coefficients, _) in list(_CLASSES.items())[1:n_classes]
        for term, value in zip(terms, coefficients, strict=True)
    }


def _with_indicators(
    X: pd.DataFrame, codes: NDArray[np.intp], n_classes: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return X behind indicators of all classes but the first, and the coefficients of Y."""
    effects = {f"topic[T.{name}]": _CLASSES[name][1] for name in list(_CLASSES)[1:n_classes]}
    indicators = {term: (codes == k) * 1.0 for k, term in enumerate(effects, start=1)}
    coefficients = {"intercept": _OUTCOME["intercept"], **effects}
    coefficients |= {name: _OUTCOME[name] for name in ("x1", "x2")}
    return pd.concat([pd.DataFrame(indicators), X], axis=1), coefficients


def _class_probability(x1: Array, x2: Array, n_classes: int) -> Array:
    beta = np.array([coefficients for coefficients, _ in _CLASSES.values()])[:n_classes]
    D = np.column_stack([np.ones_like(x1), x1, x2])
    return np.asarray(softmax(D @ beta.T, axis=1))


def _cut(uniforms: Array, probability: Array) -> NDArray[np.intp]:
    """Class of each row: the number of cumulative probabilities below its uniform."""
    limits = np.cumsum(probability, axis=1)[:, :-1]
    return np.asarray((uniforms[:, None] > limits).sum(axis=1), dtype=np.intp)


def _lean(driver: Array, n_classes: int) -> Array:
    """s_k V of every class k."""
    return np.outer(driver, np.linspace(-1, 1, n_classes))


def _gumbel(normals: Array) -> Array:
    # -log ndtr(z) from the upper tail, where ndtr(z) itself rounds to one.
    return np.asarray(-np.log(-np.log1p(-ndtr(-normals))))


@lru_cache
def _gain(role: str, n_classes: int, accuracy: float, strength: float) -> float:
    """q, at which Pr(S = C) is the accuracy."""
    nodes, weight = normal_grid(2 if role == "outcome" else 3, 40 if role == "outcome" else 24)
    x1, x2 = correlate(nodes[:, :2])
    driver = x1 if role == "outcome" else (x1 + nodes[:, 2]) / np.sqrt(2)
    joint = weight[:, None] * _class_probability(x1, x2, n_classes)
    lean = _lean(strength * driver, n_classes)
    # The gain of one class is added to the logit of its share in a softmax.
    others = (logsumexp(np.delete(lean, k, axis=1), axis=1) for k in range(n_classes))
    offset = lean - np.column_stack(list(others))
    return logit_intercept(offset.ravel(), accuracy, joint.ravel())


def _check(params: dict[str, Any]) -> None:
    check_common(params, strongest=5.0)
    check_range("accuracy", params["accuracy"], _HARDEST, _EASIEST)
    check_choices(params, _CHOICES)
    check_flags(params, "scores")
