"""Weighted linear, logistic and quantile regression: coefficients, scores and curvature."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Array = NDArray[np.float64]

# Beyond this linear predictor a probability equals 0 or 1 to 1e-13.
LARGEST_PREDICTOR = 30.0
MAX_ITERATIONS = 100
# A row's density is taken to be no more than so many times that at the mean of the covariates:
# fitted quantiles may come close to each other, or cross, far out.
LARGEST_DENSITY = 4.0
# Of the interval for whose coverage Hall and Sheather chose their step.
LEVEL = 0.95


class WeightedFit(NamedTuple):
    r"""A solved estimating equation :math:`\sum_i W_i s_i(\beta) = 0`.

    Attributes
    ----------
    coef : ndarray of shape (k,)
    score : ndarray of shape (n, k)
        :math:`s_i`, without its weight; zero on rows of weight zero.
    curvature : ndarray of shape (k, k)
        :math:`\sum_i W_i\, (-\partial s_i / \partial \beta') / \sum_i a_i` for case weights a.
    information : ndarray of shape (n,)
        :math:`c_i` with :math:`W_i\, (-\partial s_i / \partial \beta') = c_i x_i x_i'`.
    converged : bool
    """

    coef: Array
    score: Array
    curvature: Array
    information: Array
    converged: bool


def linear_fit(design: Array, target: Array, weight: Array, total: float) -> WeightedFit:
    r"""Solve weighted least squares, :math:`s_i = x_i (z_i - x_i'\beta)`.

    Parameters
    ----------
    design : ndarray of shape (n, k)
    target : ndarray of shape (n,)
        May hold anything where the weight is zero.
    weight : ndarray of shape (n,)
        Case weight over the probability to be known; zero on rows that are not known.
    total : float
        Sum of the case weights.

    Returns
    -------
    WeightedFit
    """
    kept = weight > 0.0
    x, z, root = design[kept], target[kept], np.sqrt(weight[kept])
    coef = np.linalg.lstsq(x * root[:, None], z * root, rcond=None)[0].astype(np.float64)
    score = x * (z - x @ coef)[:, None]
    return _fitted(kept, x, coef, score, weight[kept], total, True)


def logistic_fit(design: Array, target: Array, weight: Array, total: float) -> WeightedFit:
    r"""Maximise the weighted logistic likelihood, :math:`s_i = x_i \{z_i - p(x_i'\beta)\}`.

    The target need not lie in [0, 1]: :math:`\sum_i W_i \{z_i \eta_i - \log(1 + e^{\eta_i})\}` is
    concave whatever it is. Parameters and result are those of `linear_fit`; ``converged`` is
    False where there is no finite maximum.
    """
    kept = weight > 0.0
    x, z, w = design[kept], target[kept], weight[kept]

    def objective(beta: Array) -> float:
        predictor = x @ beta
        return float(w @ (z * predictor - np.logaddexp(0.0, predictor)))

    coef = np.zeros(design.shape[1])
    value, converged = objective(coef), False
    for _ in range(MAX_ITERATIONS):
        probability = special.expit(x @ coef)
        gradient = x.T @ (w * (z - probability))
        hessian = (x * (w * probability * (1.0 - probability))[:, None]).T @ x
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        change = np.abs(x @ step).max()
        if change <= 1e-9 * max(1.0, np.abs(x @ coef).max()):
            converged = True
            break
        if np.abs(x @ coef).max() > LARGEST_PREDICTOR:
            break
        scale = 1.0
        least = value - 1e-12 * abs(value)  # at the maximum only rounding is left
        while (proposed := objective(coef + scale * step)) < least and scale > 1e-8:
            scale /= 2.0
        coef, value = coef + scale * step, proposed
    probability = special.expit(x @ coef)
    information = w * probability * (1.0 - probability)
    score = x * (z - probability)[:, None]
    return _fitted(kept, x, coef, score, information, total, converged)


def quantile_fit(
    design: Array, target: Array, weight: Array, total: float, quantile: float
) -> WeightedFit:
    r"""Minimise the weighted pinball loss, :math:`s_i = x_i (q - 1\{z_i < x_i'\beta\})`.

    The curvature is :math:`\sum_i W_i \hat f_i x_i x_i' / \sum_i a_i` with the density at the
    quantile from fits to its neighbours (Hendricks and Koenker 1992),

    .. math:: \hat f_i = \frac{2h}{x_i' (\hat\beta_{q+h} - \hat\beta_{q-h})},

    and the step h of Hall and Sheather (1988) for as many rows as the weights are worth,
    :math:`(\sum W_i)^2 / \sum W_i^2`. A kernel over the residuals would take the rows that the fit
    passes through, whose residuals are zero however few rows there are, for a higher density, and
    with it give standard errors that are too small. Densities beyond four times that at the mean
    of the covariates are cut, which is where fitted quantiles nearly meet or cross. Parameters and
    the result are those of `linear_fit`.

    References
    ----------
    Hendricks, W. and Koenker, R. (1992). Hierarchical spline models for conditional quantiles and
    the demand for electricity. Journal of the American Statistical Association 87(417), 58-68.
    https://doi.org/10.1080/01621459.1992.10475175

    Hall, P. and Sheather, S. J. (1988). On the distribution of a Studentized quantile. Journal of
    the Royal Statistical Society B 50(3), 381-391.
    https://doi.org/10.1111/j.2517-6161.1988.tb01735.x
    """
    kept = weight > 0.0
    x, z, w = design[kept], target[kept], weight[kept]
    coef = _quantile(x, z, w, quantile)
    slope, share = _neighbours(x, z, w, quantile)
    if not np.isfinite([coef, slope]).all():
        nothing = np.full(len(w), np.nan)
        return _fitted(kept, x, coef, np.zeros_like(x), nothing, total, False)
    residual = z - x @ coef
    # Rows that the fit passes through have residuals of rounding size.
    residual[np.abs(residual) <= _rounding(z)] = 0.0
    score = x * (quantile - (residual < 0.0))[:, None]
    gap = x @ slope
    # At the mean of the covariates fitted quantiles do not cross.
    least = max(_mean(gap, w) / LARGEST_DENSITY, _rounding(z))
    return _fitted(kept, x, coef, score, w * share / np.maximum(gap, least), total, True)


def quantile_point(design: Array, target: Array, weight: Array, quantile: float) -> WeightedFit:
    """Return `quantile_fit` without score and curvature, which take two more fits."""
    kept = weight > 0.0
    coef = _quantile(design[kept], target[kept], weight[kept], quantile)
    missing = np.full((len(coef),) * 2, np.nan)
    score, information = np.full(design.shape, np.nan), np.full(len(design), np.nan)
    return WeightedFit(coef, score, missing, information, bool(np.isfinite(coef).all()))


def _quantile(x: Array, z: Array, weight: Array, quantile: float) -> Array:
    r"""Return the coefficients of a quantile.

    The linear programme is solved in its dual form, which has one equation per coefficient:
    maximise :math:`\sum_i z_i u_i` subject to :math:`\sum_i x_i u_i = (1 - q) \sum_i W_i x_i` and
    :math:`0 \le u_i \le W_i`; the coefficients are its multipliers.
    """
    w = weight / weight.mean()
    bounds: Any = np.column_stack([np.zeros(len(w)), w])
    solution = optimize.linprog(
        -z,
        A_eq=x.T,
        b_eq=(1.0 - quantile) * (x.T @ w),
        bounds=bounds,
        method="highs",
    )
    if solution.status != 0:
        return np.full(x.shape[1], np.nan)
    return -np.asarray(solution.eqlin.marginals)


def _neighbours(x: Array, z: Array, weight: Array, quantile: float) -> tuple[Array, float]:
    """Return the difference of two neighbouring quantiles' coefficients, and the share between."""
    largest = min(quantile, 1.0 - quantile)
    step = min(_step(weight.sum() ** 2 / (weight @ weight), quantile), largest / 2.0)
    while True:
        above, below = (_quantile(x, z, weight, q) for q in (quantile + step, quantile - step))
        slope = above - below
        # Ties, as of durations in whole months, may hold both.
        if 2.0 * step >= largest or not _mean(x @ slope, weight) <= _rounding(z):
            return slope, 2.0 * step
        step *= 2.0


def _step(size: float, quantile: float) -> float:
    """Return how far from the quantile its neighbours lie, by Hall and Sheather."""
    normal = special.ndtri(quantile)
    height = np.exp(-(normal**2) / 2.0) / np.sqrt(2.0 * np.pi)
    factor = (1.5 * height**2 / (2.0 * normal**2 + 1.0)) ** (1.0 / 3.0)
    critical = special.ndtri((1.0 + LEVEL) / 2.0)
    return float(size ** (-1.0 / 3.0) * critical ** (2.0 / 3.0) * factor)


def _mean(values: Array, weight: Array) -> float:
    return float(weight @ values / weight.sum())


def _rounding(z: Array) -> float:
    return float(1e-9 * max(1.0, np.abs(z).max()))


def _fitted(
    kept: NDArray[np.bool_],
    x: Array,
    coef: Array,
    score: Array,
    information: Array,
    total: float,
    converged: bool,
) -> WeightedFit:
    """Assemble a fit from its rows of positive weight, with zeros elsewhere."""
    scores, informations = np.zeros((len(kept), x.shape[1])), np.zeros(len(kept))
    scores[kept], informations[kept] = score, information
    curvature = (x * information[:, None]).T @ x / total
    return WeightedFit(coef, scores, curvature, informations, converged)
