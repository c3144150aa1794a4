r"""Moments of the models: what each asks of the data at given parameters.

A model is a moment :math:`m(D; \beta)` with :math:`E\, m(D; \beta^*) = 0` and its derivative
:math:`H = -\partial m / \partial \beta'`. Everything else (labels, weights, root, covariance) is
the same for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

if TYPE_CHECKING:
    from .equation import Problem

Array = NDArray[np.float64]

# Rows that are worked on at a time, so that copies of them stay in the processor's cache.
BLOCK = 8192


class Sample(NamedTuple):
    """One version (predicted or gold) of the data.

    Attributes
    ----------
    design : ndarray of shape (n, k)
    outcome : ndarray of shape (n,) or (n, J - 1)
        Numbers, or the indicators of all classes but the first.
    instruments : ndarray of shape (n, l), or None
        Exogenous regressors and excluded instruments.
    """

    design: Array
    outcome: Array
    instruments: Array | None = None

    def rows(self, positions: NDArray[np.intp]) -> Sample:
        """Return some of the rows."""
        instruments = None if self.instruments is None else self.instruments[positions]
        return Sample(self.design[positions], self.outcome[positions], instruments)


class MomentModel(ABC):
    """A moment and its derivative."""

    #: Whether rows have :math:`H_i = c_i X_i X_i'`, which HC2, HC3 and CR2 need.
    has_leverage = False
    #: Whether H does not depend on beta.
    has_constant_information = False
    #: Whether nobody else holds the array of moments, so that it may be changed in place.
    owns_moments = False
    #: Share of the small-sample correction (see `tuning`) that errors of drawn rows take.
    row_correction: float = 1.0
    #: The same where sampling units hold several rows.
    unit_correction: float = 1.0

    def n_params(self, sample: Sample) -> int:
        """Count the parameters."""
        return sample.design.shape[1]

    def bind(self, problem: Problem) -> MomentModel:
        """Return the model with whatever it first has to estimate from the problem."""
        del problem
        return self

    def check(self, sample: Sample, which: str) -> None:
        """Raise if the moments cannot be computed from some rows."""
        del sample, which

    def start(self, sample: Sample) -> Array:
        """Return where the iteration begins."""
        return np.zeros(self.n_params(sample))

    @abstractmethod
    def moment(self, sample: Sample, beta: Array) -> Array:
        """Return the moments, shape (n, p)."""

    def total(self, sample: Sample, beta: Array, weight: Array) -> Array:
        """Return the weighted sum of the moments, shape (p,)."""
        return weight @ self.moment(sample, beta)

    @abstractmethod
    def information(self, sample: Sample, beta: Array, weight: Array) -> Array:
        """Return the weighted sum of the derivatives H, shape (p, p)."""

    @abstractmethod
    def informations(self, sample: Sample, beta: Array) -> Array:
        """Return the derivatives H of each row, shape (n, p, p)."""

    @abstractmethod
    def predictor(self, sample: Sample, beta: Array) -> Array:
        """Return the numbers, linear in beta, on which the length of a step is judged."""

    def growth(self, sample: Sample, direction: Array) -> Array | None:
        r"""Return by how much the rows' objective grows far along a direction, shape (n,).

        For an objective :math:`Y\eta - b(\eta)` with gradient m it is the recession function
        :math:`Y x'd - \lim_t b(t\, x'd)/t`. None if a root never lies at infinity.
        """
        del sample, direction
        return None


@dataclass(frozen=True)
class IndexModel(MomentModel):
    r"""Moments of a model with one linear predictor.

    .. math:: m = X (Y - \mu(X'\beta)), \qquad H = \mu'(X'\beta)\, X X'

    Attributes
    ----------
    mean : callable
        The inverse link :math:`\mu`.
    slope : callable
        Its derivative as a function of the linear predictor.
    limit : callable or None
        :math:`\lim_t b(t c)/t` for :math:`b' = \mu`, or None if it is infinite both ways.
    link : callable or None
        What turns an outcome into a first guess of its linear predictor.
    """

    mean: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    limit: Callable[[Array], Array] | None = None
    link: Callable[[Array], Array] | None = None
    has_constant_information: bool = False
    row_correction: float = 1.0
    unit_correction: float = 1.0
    has_leverage = True
    owns_moments = True

    def start(self, sample: Sample) -> Array:
        """Return zeros, or the least-squares fit of the link where a model needs a guess."""
        if self.link is None:
            return np.zeros(self.n_params(sample))
        guess = np.linalg.lstsq(sample.design, self.link(sample.outcome), rcond=None)[0]
        return guess.astype(np.float64, copy=False)

    def residual(self, sample: Sample, beta: Array) -> Array:
        """Return outcome minus mean, shape (n,)."""
        return sample.outcome - self.mean(sample.design @ beta)

    def moment(self, sample: Sample, beta: Array) -> Array:
        """Return the moments, shape (n, k)."""
        return sample.design * self.residual(sample, beta)[:, None]

    def total(self, sample: Sample, beta: Array, weight: Array) -> Array:
        """Return the weighted sum of the moments, shape (k,)."""
        return (weight * self.residual(sample, beta)) @ sample.design

    def curvature(self, sample: Sample, beta: Array) -> Array:
        """Return c with :math:`H_i = c_i X_i X_i'`, shape (n,)."""
        return self.slope(sample.design @ beta)

    def information(self, sample: Sample, beta: Array, weight: Array) -> Array:
        """Return the weighted sum of the derivatives, shape (k, k)."""
        return gram(sample.design, weight * self.curvature(sample, beta))

    def informations(self, sample: Sample, beta: Array) -> Array:
        """Return the derivatives of each row, shape (n, k, k)."""
        scaled = sample.design * self.curvature(sample, beta)[:, None]
        return sample.design[:, :, None] * scaled[:, None, :]

    def predictor(self, sample: Sample, beta: Array) -> Array:
        """Return the linear predictor, shape (n,)."""
        return sample.design @ beta

    def growth(self, sample: Sample, direction: Array) -> Array | None:
        """Return :math:`Y x'd` minus the limit, shape (n,)."""
        if self.limit is None:
            return None
        change = sample.design @ direction
        return sample.outcome * change - self.limit(change)


def row_blocks(n_rows: int) -> Iterator[slice]:
    """Yield slices that together are all rows."""
    for first in range(0, n_rows, BLOCK):
        yield slice(first, first + BLOCK)


def gram(design: Array, weight: Array) -> Array:
    """Return :math:`X' W X`."""
    return cross(design, design, weight)


def cross(left: Array, right: Array, weight: Array) -> Array:
    """Return :math:`L' W R`, shape (l, r), without a weighted copy of either."""
    if (weight == 1.0).all():
        return left.T @ right
    total = np.zeros((left.shape[1], right.shape[1]))
    for rows in row_blocks(len(left)):
        total += left[rows].T @ (right[rows] * weight[rows, None])
    return total


def _logistic_slope(predictor: Array) -> Array:
    probability = expit(predictor)
    return probability * (1.0 - probability)


def _poisson_limit(change: Array) -> Array:
    # exp grows faster than any line, and vanishes downwards.
    return np.where(change > 1e-8 * np.abs(change).max(initial=0.0), np.inf, 0.0)


def _log_of_count(outcome: Array) -> Array:
    return np.log(np.maximum(outcome, 0.0) + 0.5)


def _identity(predictor: Array) -> Array:
    return predictor


def _expit(predictor: Array) -> Array:
    return expit(predictor)


def _exp(predictor: Array) -> Array:
    return np.exp(predictor)


def _positive_part(change: Array) -> Array:
    return np.maximum(change, 0.0)


LINEAR = IndexModel(_identity, np.ones_like, has_constant_information=True, unit_correction=0.5)
LOGISTIC = IndexModel(
    _expit, _logistic_slope, limit=_positive_part, row_correction=0.5, unit_correction=0.5
)
POISSON = IndexModel(_exp, _exp, limit=_poisson_limit, link=_log_of_count)


@dataclass(frozen=True)
class MultinomialModel(MomentModel):
    r"""Moments of the multinomial logit, the first class being the reference.

    .. math:: m = (1\{Y = j\} - \rho_j)_{j \ge 1} \otimes X, \qquad
        \rho_j = \frac{\exp(X'\beta_j)}{1 + \sum_{l \ge 1} \exp(X'\beta_l)}

    Parameters are ordered class by class. The outcome holds the indicators of all classes but
    the first.
    """

    owns_moments = True
    row_correction = 0.5
    unit_correction = 0.5

    def n_params(self, sample: Sample) -> int:
        """Count the parameters: coefficients times classes less one."""
        return sample.design.shape[1] * sample.outcome.shape[1]

    def predictor(self, sample: Sample, beta: Array) -> Array:
        """Return the linear predictors, shape (n, J - 1)."""
        return sample.design @ beta.reshape(sample.outcome.shape[1], -1).T

    def probability(self, sample: Sample, beta: Array) -> Array:
        """Return the probabilities of all classes but the first, shape (n, J - 1)."""
        predictor = self.predictor(sample, beta)
        reference = np.zeros((len(predictor), 1))
        return softmax(np.hstack([reference, predictor]), axis=1)[:, 1:]

    def moment(self, sample: Sample, beta: Array) -> Array:
        """Return the moments, shape (n, k (J - 1))."""
        residual = sample.outcome - self.probability(sample, beta)
        products = residual[:, :, None] * sample.design[:, None, :]
        return products.reshape(len(residual), residual.shape[1] * sample.design.shape[1])

    def total(self, sample: Sample, beta: Array, weight: Array) -> Array:
        """Return the weighted sum of the moments, shape (k (J - 1),)."""
        residual = sample.outcome - self.probability(sample, beta)
        return ((weight[:, None] * residual).T @ sample.design).ravel()

    def information(self, sample: Sample, beta: Array, weight: Array) -> Array:
        r"""Return the sum of the blocks :math:`(\rho_j 1\{j = l\} - \rho_j \rho_l) X X'`."""
        probability = self.probability(sample, beta)
        k, n_classes = sample.design.shape[1], probability.shape[1]
        total = np.empty((n_classes, k, n_classes, k))
        for j in range(n_classes):
            for other in range(j + 1):
                share = probability[:, j] * ((j == other) - probability[:, other])
                block = gram(sample.design, weight * share)
                total[j, :, other, :] = total[other, :, j, :] = block
        return total.reshape(n_classes * k, n_classes * k)

    def informations(self, sample: Sample, beta: Array) -> Array:
        """Return the derivatives of each row, shape (n, k (J - 1), k (J - 1))."""
        probability = self.probability(sample, beta)
        share = -probability[:, :, None] * probability[:, None, :]
        share += probability[:, :, None] * np.eye(probability.shape[1])
        rows = np.einsum("ijl,ia,ib->ijalb", share, sample.design, sample.design)
        n_params = self.n_params(sample)
        return rows.reshape(len(probability), n_params, n_params)

    def growth(self, sample: Sample, direction: Array) -> Array:
        r"""Return :math:`\sum_j Y_j x'd_j - \max(0, x'd_1, \ldots)`, shape (n,)."""
        change = self.predictor(sample, direction)
        return (sample.outcome * change).sum(axis=1) - np.maximum(change.max(axis=1), 0.0)


@dataclass(frozen=True)
class TwoStageModel(MomentModel):
    r"""Moments of two-stage least squares.

    .. math:: m = \Pi' Z (Y - X'\beta), \qquad H = \Pi' Z X', \qquad
        \Pi = S_{ZZ}^{-1} S_{ZX}

    with the bias-corrected cross moments :math:`S`. In the just-identified case the root is that
    of :math:`Z (Y - X'\beta)`. The first stage :math:`\Pi` counts as given in the covariance, as
    it may be when the instruments are valid.

    Attributes
    ----------
    first_stage : ndarray of shape (l, k), or None
        Set by `bind`.
    """

    first_stage: Array | None = None
    has_constant_information = True
    owns_moments = True

    def bind(self, problem: Problem) -> TwoStageModel:
        """Return the model with the first stage of a problem."""
        explained = problem.weighted_sum(
            lambda part, w: cross(_instruments(part), part.design, w[:, 0])
        )
        square = problem.weighted_sum(lambda part, w: gram(_instruments(part), w[:, 0]))
        first_stage = np.linalg.solve(square, explained)
        return TwoStageModel(first_stage.astype(np.float64, copy=False))

    @property
    def _bound(self) -> Array:
        if self.first_stage is None:
            raise ValueError("The model is not bound to a problem yet.")
        return self.first_stage

    def moment(self, sample: Sample, beta: Array) -> Array:
        """Return the moments, shape (n, k)."""
        residual = sample.outcome - sample.design @ beta
        return (_instruments(sample) * residual[:, None]) @ self._bound

    def total(self, sample: Sample, beta: Array, weight: Array) -> Array:
        """Return the weighted sum of the moments, shape (k,)."""
        residual = sample.outcome - sample.design @ beta
        return (weight * residual) @ _instruments(sample) @ self._bound

    def information(self, sample: Sample, beta: Array, weight: Array) -> Array:
        """Return the weighted sum of the derivatives, shape (k, k)."""
        return self._bound.T @ cross(_instruments(sample), sample.design, weight)

    def informations(self, sample: Sample, beta: Array) -> Array:
        """Return the derivatives of each row, shape (n, k, k)."""
        fitted = _instruments(sample) @ self._bound
        return fitted[:, :, None] * sample.design[:, None, :]

    def predictor(self, sample: Sample, beta: Array) -> Array:
        """Return the linear predictor, shape (n,)."""
        return sample.design @ beta


def _instruments(sample: Sample) -> Array:
    if sample.instruments is None:
        raise ValueError("Two-stage least squares needs instruments.")
    return sample.instruments
