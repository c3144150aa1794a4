"""Machines that read a variable with errors which depend on it and on a driver.

The *driver* is the part of the row, a function of covariates and outcome, that drives the error;
``strength`` d > 0 raises the reading where the driver is large.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from .design import Array, logit_intercept


class Moments(NamedTuple):
    """Mean and variance of a variable, covariance with a driver, and the driver's variance."""

    mean: float
    variance: float
    covariance: float
    driver_variance: float = 1.0


def misclassify(
    values: Array, driver: Array, noise_share: Array, intercept: float, strength: float
) -> tuple[Array, Array]:
    """Binary readings, one per column of uniforms ``noise_share``, and Pr(reading is wrong).

    ``logit Pr(wrong) = intercept + strength * driver * (1 - 2 * values)``.
    """
    error = np.asarray(expit(intercept + strength * driver * (1 - 2 * values)))
    return np.abs(values[:, None] - (noise_share < error[:, None])), error


def error_intercept(
    accuracy: float, strength: float, driver: Array, share: Array, weight: Array
) -> float:
    """Intercept of `misclassify` at which Pr(reading is right) is the accuracy.

    Parameters
    ----------
    accuracy, strength : float
    driver, share, weight : ndarray of shape (n,)
        Nodes of the driver, Pr(value is 1) there, and probabilities of the nodes.
    """
    offset = strength * np.concatenate([-driver, driver])
    return logit_intercept(
        offset, 1 - accuracy, np.concatenate([weight * share, weight * (1 - share)])
    )


def mismeasure(
    values: Array, driver: Array, noise: Array, moments: Moments, accuracy: float, strength: float
) -> tuple[Array, Array]:
    """Continuous readings, one per column of normals, and E[reading - value | value, driver].

    Correlation ``2 accuracy - 1`` with the values and the variance of the values are kept
    exactly: what the driver adds is its residual given the value.
    """
    mean, variance, covariance, driver_variance = moments
    r = 2 * accuracy - 1
    tilt = strength * (driver - covariance / variance * (values - mean))
    tilt_variance = strength**2 * (driver_variance - covariance**2 / variance)
    scale = np.sqrt((1 - r**2) * variance / (1 + tilt_variance))
    error = (r - 1) * (values - mean) + scale * tilt
    return (values + error)[:, None] + scale * noise, error
