"""Moments given by the user as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .models import MomentModel, Sample

Array = NDArray[np.float64]
Function = Callable[[Array, Array, Array], Array]

# Step of the four-point difference: balances its error, of fourth order, against rounding.
RELATIVE_STEP = float(np.finfo(float).eps ** 0.2)


@dataclass(frozen=True)
class CustomModel(MomentModel):
    r"""A moment :math:`m(X, y, \theta)` written by the user.

    Attributes
    ----------
    function : callable
        Maps (X of shape (n, k), y of shape (n,), theta of shape (p,)) to moments (n, p).
    derivative : callable or None
        Maps the same to :math:`\partial m_i / \partial \theta'`, shape (n, p, p); four-point
        differences if None.
    initial : ndarray of shape (p,)
        Where the iteration begins.
    """

    function: Function
    derivative: Function | None
    initial: Array

    def n_params(self, sample: Sample) -> int:
        """Count the parameters."""
        del sample
        return len(self.initial)

    def start(self, sample: Sample) -> Array:
        """Return the user's starting values."""
        del sample
        return self.initial

    def moment(self, sample: Sample, beta: Array) -> Array:
        """Return the moments, shape (n, p)."""
        if len(sample.design) == 0:  # nothing is predicted; functions rarely take empty arrays
            return np.empty((0, len(beta)))
        return np.asarray(self.function(sample.design, sample.outcome, beta), dtype=float)

    def information(self, sample: Sample, beta: Array, weight: Array) -> Array:
        """Return minus the derivative of the weighted sum of the moments, shape (p, p)."""
        if len(sample.design) == 0:
            return np.zeros((len(beta), len(beta)))
        if self.derivative is not None:
            derivative = self.derivative(sample.design, sample.outcome, beta)
            return -np.einsum("i,ijk->jk", weight, np.asarray(derivative, dtype=float))
        return -_differences(lambda theta: self.total(sample, theta, weight), beta)

    def informations(self, sample: Sample, beta: Array) -> Array:
        """Return minus the derivatives of each row's moments, shape (n, p, p)."""
        if len(sample.design) == 0:
            return np.zeros((0, len(beta), len(beta)))
        if self.derivative is not None:
            derivative = self.derivative(sample.design, sample.outcome, beta)
            return -np.asarray(derivative, dtype=float)
        return -_differences(lambda theta: self.moment(sample, theta), beta)

    def predictor(self, sample: Sample, beta: Array) -> Array:
        """Return the parameters themselves, as nothing is known of the moment's form."""
        del sample
        return beta

    def check(self, sample: Sample, which: str) -> None:
        """Raise if the functions return another shape than they should, or numbers not finite.

        Raises
        ------
        ValueError
        """
        n, p = len(sample.design), len(self.initial)
        values = self.moment(sample, self.initial)
        if values.shape != (n, p):
            raise ValueError(
                f"moment returned an array of shape {values.shape} for {n:,} rows and {p} "
                f"parameters; it must have shape ({n}, {p}), a row of moments per row of data."
            )
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise ValueError(
                f"moment is NaN or infinite at the starting values on {bad.sum():,} of {n:,} "
                f"{which} rows (position {np.flatnonzero(bad)[0]} among them first); choose other "
                "starting values by start=, or mend the function."
            )
        if self.derivative is None:
            return
        shape = np.shape(self.derivative(sample.design, sample.outcome, self.initial))
        if shape != (n, p, p):
            raise ValueError(
                f"jacobian returned an array of shape {shape}; it must have shape ({n}, {p}, {p}): "
                "for each row the derivatives of its moments (first) by the parameters (second)."
            )


def _differences(function: Callable[[Array], Array], beta: Array) -> Array:
    """Return the derivatives of a function of the parameters, along a new last axis."""
    columns = []
    for j, value in enumerate(beta):
        step = np.zeros_like(beta)
        step[j] = RELATIVE_STEP * max(1.0, abs(value))
        near = function(beta + step) - function(beta - step)
        far = function(beta + 2 * step) - function(beta - 2 * step)
        columns.append((8 * near - far) / (12 * step[j]))
    return np.stack(columns, axis=-1)
