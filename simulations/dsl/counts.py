"""Counts that a machine makes in text, with multiplicative error."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr
from scipy.stats import nbinom, poisson
from sklearn.utils import Bunch

from ..checks import check_choices, check_range
from ..streams import RandomState
from .design import Array, Draws, check_common, correlate, make_sample, sampling_probabilities

_COEFFICIENTS = {"intercept": 0.5, "x1": 0.4, "x2": -0.3}


def make_counts(
    *,
    n_rows: int = 5000,
    n_labels: int = 500,
    accuracy: float = 0.9,
    differential_error: float = 0.3,
    dispersion: float = 0.0,
    probabilities: Literal["constant", "unequal"] = "constant",
    n_clusters: int | None = None,
    icc: float = 0.3,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw counts with a log-linear mean that a machine counts too, with differential error.

    The covariates X1 and X2 are standard normal with correlation 0.3, and

    .. math::

        E[Y \mid X] = \mu = e^{0.5 + 0.4 X_1 - 0.3 X_2}.

    Y has gold labels on a Poisson sample of the rows, and a count S by a machine on all of them.

    Parameters
    ----------
    n_rows : int, default=5000
        Number of rows.
    n_labels : int, default=500
        Expected number of gold labels; rows are selected independently.
    accuracy : float, default=0.9
        Share q of the machine's expected count that comes from Y, from 0 to 1; the rest it
        guesses from the covariates.
    differential_error : float, default=0.3
        Strength d, from -3 to 3, of the dependence of the error on X1:
        ``S ~ Poisson(exp(d X1) (q Y + (1 - q) mu))``, so the slope of X1 in S is 0.4 + d.
    dispersion : float, default=0.0
        Overdispersion a of Y: ``Var[Y | X] = mu + a mu^2``. Zero is a Poisson variate, more a
        negative binomial one.
    probabilities : {"constant", "unequal"}, default="constant"
        Sampling probabilities pi. Unequal ones depend on S and X1:
        ``logit pi = c + log(10)/4 (s + tanh X1)``, s = 1 where S is at least 2 and else -1, c
        solved such that pi has mean ``n_labels / n_rows``.
    n_clusters : int or None, default=None
        Number of clusters, none of them empty; sizes are multinomial with Dirichlet(4) weights.
        None draws independent rows.
    icc : float, default=0.3
        Intraclass correlation, from 0 to 1, of the normal variates behind X, Y and S. Used only
        with clusters.
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced.
        Each part of the design has its own stream.

    Returns
    -------
    Bunch
        * ``observed``, keywords of ``fit``: ``X`` (columns x1, x2), ``y`` (NaN where unlabelled),
          ``surrogates`` (column y_machine), ``sampling_probability`` and, if there are any,
          ``clusters``.
        * ``by_formula``, keywords of ``fit_formula``: the same in one frame.
        * ``predicted_features``, an empty tuple.
        * ``complete``: ``y``, ``labelled``, ``outcome_mean`` (mu), ``surrogate_mean``
          (E[S | X, Y]).
        * ``truth``, a dict with keys "intercept", "x1", "x2"; ``truth_error``, zeros.
        * ``params``, the arguments without ``random_state``; ``DESCR``, this text.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The mean is correct, so the truth is the vector of its coefficients, exactly, whatever the
    dispersion. Clusters do not change it: a normal variate is ``sqrt(icc)`` times a cluster's
    plus ``sqrt(1 - icc)`` times a row's own, and a count is the quantile of its law there. So
    the law of one row (X, Y, S) stays the same.

    References
    ----------
    .. [1] Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2024). Using large language model
       annotations for the social sciences: a general framework of using predicted variables in
       downstream analyses. Working paper.

    Examples
    --------
    >>> from trueness.simulations import make_counts
    >>> sample = make_counts(random_state=0)
    >>> sample.truth
    {'intercept': 0.5, 'x1': 0.4, 'x2': -0.3}
    >>> machine = sample.observed["surrogates"]["y_machine"]
    >>> bool(machine.mean() > sample.complete.y.mean())
    True
    """
    params = {name: value for name, value in locals().items() if name != "random_state"}
    _check(params)
    draws = Draws(params, random_state)
    x1, x2 = correlate(draws.normals("covariates", 2))
    X = pd.DataFrame({"x1": x1, "x2": x2})
    b = _COEFFICIENTS
    mean = np.asarray(np.exp(b["intercept"] + b["x1"] * x1 + b["x2"] * x2))
    y = _count(ndtr(draws.normal("outcome")), mean, dispersion)
    expected = np.exp(differential_error * x1) * (accuracy * y + (1 - accuracy) * mean)
    reading = _count(ndtr(draws.normal("machine")), expected)
    pi = sampling_probabilities(params, reading >= 2, x1)
    return make_sample(
        make_counts,
        params,
        observed={
            "X": X,
            "y": y,
            "surrogates": pd.DataFrame({"y_machine": reading}),
            "sampling_probability": pi,
            "clusters": draws.clusters,
        },
        hidden=["y"],
        labelled=draws.sampling.random(n_rows) < pi,
        complete={"y": y, "outcome_mean": mean, "surrogate_mean": expected},
        truth=dict(_COEFFICIENTS),
        by_formula={"formula": "y ~ x1 + x2", "surrogates": {"y": ["y_machine"]}},
    )


def _count(uniforms: Array, mean: Array, dispersion: float = 0.0) -> Array:
    """Quantiles of Poisson or negative binomial counts."""
    if dispersion == 0:
        return np.asarray(poisson.ppf(uniforms, mean))
    return np.asarray(nbinom.ppf(uniforms, 1 / dispersion, 1 / (1 + dispersion * mean)))


def _check(params: dict[str, Any]) -> None:
    check_common(params, strongest=3.0)
    check_range("dispersion", params["dispersion"], 0.0)
    check_choices(params, {"probabilities": ("constant", "unequal")})
