r"""Losses of scores under a true label, and their estimates from clicks.

With :math:`\sigma` the logistic function, :math:`\delta_1` if the pair is relevant and
:math:`\delta_0` if it is not are

=================  ========================  ====================
loss               delta_1                   delta_0
=================  ========================  ====================
squared            (1 - s)^2                 s^2
squared_sigmoid    (1 - sigma(s))^2          sigma(s)^2
cross_entropy      -log sigma(s)             -log sigma(-s)
=================  ========================  ====================

The ideal risk is the mean of :math:`\gamma\delta_1 + (1 - \gamma)\delta_0` over the pairs D. Of
clicks Y, 1 with probability :math:`\theta\gamma`, five means are known:

==========  ===================================================  ==================================
risk        term of a pair                                       bias of the term
==========  ===================================================  ==================================
naive       Y d1 + (1 - Y) d0                                    gamma (theta - 1) (d1 - d0)
wmf         c Y d1 + (1 - Y) d0                                  gamma (c theta - 1) d1
                                                                 + gamma (1 - theta) d0
expomf      p {Y d1 + (1 - Y) d0}, p = P(O = 1 | Y)              (theta - 1) {gamma d1
                                                                 + (1 - gamma) d0}
unbiased    w d1 + (1 - w) d0, w = Y / theta                     0
clipped     the same, w = Y / max(theta, M)                      gamma {theta / max(theta, M) - 1}
                                                                 (d1 - d0)
==========  ===================================================  ==================================

Clicks of different pairs are independent, so that variances add.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

Array = NDArray[np.float64]
Loss: TypeAlias = Literal["squared", "squared_sigmoid", "cross_entropy"]
Risk: TypeAlias = Literal["naive", "wmf", "expomf", "unbiased", "clipped"]
LOSSES: tuple[Loss, ...] = ("squared", "squared_sigmoid", "cross_entropy")
RISKS: tuple[Risk, ...] = ("naive", "wmf", "expomf", "unbiased", "clipped")


def pair_losses(scores: ArrayLike, loss: Loss = "squared") -> tuple[Array, Array]:
    """Return the losses of scores if the true label is 1, and if it is 0.

    Parameters
    ----------
    scores : array-like of any shape
    loss : {"squared", "squared_sigmoid", "cross_entropy"}, default="squared"

    Returns
    -------
    if_relevant, if_not : ndarray of the shape of scores

    Raises
    ------
    ValueError
        If the loss is unknown.

    Examples
    --------
    >>> one, zero = pair_losses([0.25, 1.0])
    >>> one.tolist(), zero.tolist()
    ([0.5625, 0.0], [0.0625, 1.0])
    """
    s = np.asarray(scores, dtype=float)
    if loss == "cross_entropy":
        return np.logaddexp(0.0, -s), np.logaddexp(0.0, s)
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r} is unknown; choose one of {', '.join(map(repr, LOSSES))}.")
    if loss == "squared_sigmoid":
        return np.asarray(expit(-s) ** 2), np.asarray(expit(s) ** 2)
    return (1.0 - s) ** 2, s**2


def ideal_risk(relevance: ArrayLike, scores: ArrayLike, loss: Loss = "squared") -> float:
    """Return the mean loss over pairs of known relevance.

    Examples
    --------
    >>> round(ideal_risk([0.5, 1.0], [0.5, 1.0]), 4)
    0.125
    """
    gamma = np.asarray(relevance, dtype=float)
    one, zero = pair_losses(scores, loss)
    return float(np.mean(gamma * one + (1.0 - gamma) * zero))


def click_risk(
    clicks: ArrayLike,
    scores: ArrayLike,
    exposure: ArrayLike = 1.0,
    *,
    risk: Risk = "clipped",
    clip: float = 0.0,
    weight: float = 1.0,
    relevance: ArrayLike = 0.0,
    loss: Loss = "squared",
) -> float:
    r"""Return the risk of scores as estimated from clicks.

    Parameters
    ----------
    clicks : array-like of any shape
        Y, zeros and ones for all pairs.
    scores : array-like of this shape
    exposure : array-like that broadcasts to this shape, default=1.0
        Propensities :math:`\theta`, for all risks but naive and wmf.
    risk : {"naive", "wmf", "expomf", "unbiased", "clipped"}, default="clipped"
    clip : float, default=0.0
        M of the clipped risk: 0 makes it the unbiased one, 1 the naive one.
    weight : float, default=1.0
        c of wmf.
    relevance : array-like that broadcasts to this shape, default=0.0
        :math:`\gamma`, for expomf only.
    loss : {"squared", "squared_sigmoid", "cross_entropy"}, default="squared"

    Returns
    -------
    float

    Examples
    --------
    >>> click_risk([1, 0], [0.5, 0.5], [0.5, 0.5], risk="clipped", clip=1.0)
    0.25
    """
    clicked, unclicked = _terms(scores, exposure, risk, clip, weight, relevance, loss)
    return float(np.mean(np.where(np.asarray(clicks, dtype=bool), clicked, unclicked)))


def risk_bias(
    relevance: ArrayLike,
    exposure: ArrayLike,
    scores: ArrayLike,
    *,
    risk: Risk = "clipped",
    clip: float = 0.0,
    weight: float = 1.0,
    loss: Loss = "squared",
) -> float:
    r"""Return the expectation of `click_risk` minus the ideal risk, by the table above.

    Parameters
    ----------
    relevance, exposure : array-like
        :math:`\gamma` and :math:`\theta`, which broadcast to the shape of scores.
    scores, risk, clip, weight, loss
        As in `click_risk`.

    Returns
    -------
    float

    Examples
    --------
    >>> round(risk_bias(0.5, 0.1, 0.0, risk="clipped", clip=0.2), 4)
    -0.25
    """
    gamma, theta = np.asarray(relevance, dtype=float), np.asarray(exposure, dtype=float)
    one, zero = pair_losses(scores, loss)
    if _check_risk(risk) == "wmf":
        return float(np.mean(gamma * (weight * theta - 1.0) * one + gamma * (1.0 - theta) * zero))
    if risk == "expomf":
        return float(np.mean((theta - 1.0) * (gamma * one + (1.0 - gamma) * zero)))
    shrunk = theta / _limited(theta, risk, clip)
    return float(np.mean(gamma * (shrunk - 1.0) * (one - zero)))


def risk_variance(
    relevance: ArrayLike,
    exposure: ArrayLike,
    scores: ArrayLike,
    *,
    risk: Risk = "clipped",
    clip: float = 0.0,
    weight: float = 1.0,
    loss: Loss = "squared",
) -> float:
    r"""Return the variance of `click_risk` over independent clicks.

    A pair whose term is :math:`t_1` with a click and :math:`t_0` without contributes
    :math:`\theta\gamma(1 - \theta\gamma)(t_1 - t_0)^2 / |D|^2`; for the clipped risk
    :math:`t_1 - t_0 = (\delta_1 - \delta_0) / \max(\theta, M)`.

    Parameters
    ----------
    relevance, exposure, scores, risk, clip, weight, loss
        As in `risk_bias`.

    Returns
    -------
    float

    Examples
    --------
    >>> round(risk_variance(0.5, 0.1, 0.0, risk="clipped", clip=0.2), 4)
    1.1875
    """
    gamma, theta = np.asarray(relevance, dtype=float), np.asarray(exposure, dtype=float)
    clicked, unclicked = _terms(scores, theta, risk, clip, weight, gamma, loss)
    rate = theta * gamma
    each = rate * (1.0 - rate) * (clicked - unclicked) ** 2
    return float(np.mean(each) / each.size)


def _terms(
    scores: ArrayLike,
    exposure: ArrayLike,
    risk: Risk,
    clip: float,
    weight: float,
    relevance: ArrayLike,
    loss: Loss,
) -> tuple[Array, Array]:
    """Return the terms of pairs if they are clicked, and if they are not."""
    one, zero = pair_losses(scores, loss)
    theta = np.asarray(exposure, dtype=float)
    if _check_risk(risk) == "wmf":
        return weight * one, zero
    if risk == "expomf":
        gamma = np.asarray(relevance, dtype=float)
        return one, theta * (1.0 - gamma) / (1.0 - theta * gamma) * zero
    w = 1.0 / _limited(theta, risk, clip)
    return w * one + (1.0 - w) * zero, zero


def _check_risk(risk: str) -> str:
    if risk not in RISKS:
        raise ValueError(f"risk={risk!r} is unknown; choose one of {', '.join(map(repr, RISKS))}.")
    return risk


def _limited(theta: Array, risk: Risk, clip: float) -> Array:
    """Return the propensities that a risk divides by."""
    least = {"naive": 1.0, "unbiased": 0.0}.get(risk, clip)
    return np.maximum(theta, least)
