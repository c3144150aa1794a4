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
# Of the kernel, in standard deviations: three quarters of the width that is best for a density
# itself, as errors suffer more from its bias than from its noise.
WIDTH = 0.8


class WeightedFit(NamedTuple):
    r"""A solved estimating equation :math:`\sum_i W_i s_i(\beta) = 0`.

    Attributes
    ----------
    coef : ndarray of shape (k,)
    score : ndarray of shape (n, k)
        :math:`s_i`, without its weight; zero on rows of weight zero.
    curvature : ndarray of shape (k, k)
        :math:`\sum_i W_i\, (-\partial s_i / \partial \beta') / \sum_i a_i` for case weights a.
    converged : bool
    """

    coef: Array
    score: Array
    curvature: Array
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
    curvature = (x * weight[kept, None]).T @ x / total
    return WeightedFit(coef, _scattered(kept, x * (z - x @ coef)[:, None]), curvature, True)


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
    curvature = (x * (w * probability * (1.0 - probability))[:, None]).T @ x / total
    score = _scattered(kept, x * (z - probability)[:, None])
    return WeightedFit(coef, score, curvature, converged)


def quantile_fit(
    design: Array, target: Array, weight: Array, total: float, quantile: float
) -> WeightedFit:
    r"""Minimise the weighted pinball loss, :math:`s_i = x_i (q - 1\{z_i < x_i'\beta\})`.

    The linear programme is solved in its dual form, which has one equation per coefficient:
    maximise :math:`\sum_i z_i a_i` subject to :math:`\sum_i x_i a_i = (1 - q) \sum_i W_i x_i` and
    :math:`0 \le a_i \le W_i`; the coefficients are its multipliers. The curvature is
    :math:`\sum_i W_i K_h(z_i - x_i'\beta)\, x_i x_i'` with a Gaussian kernel of width
    :math:`h = 0.8\, s\, n^{-1/5}`, s the smaller of the standard deviation and 0.74 times the
    interquartile range of the residuals, n the number of rows of positive weight. Other
    parameters and the result are those of `linear_fit`.
    """
    kept = weight > 0.0
    x, z, w = design[kept], target[kept], weight[kept] / weight[kept].mean()
    bounds: Any = np.column_stack([np.zeros(len(w)), w])
    solution = optimize.linprog(
        -z,
        A_eq=x.T,
        b_eq=(1.0 - quantile) * (x.T @ w),
        bounds=bounds,
        method="highs",
    )
    if solution.status != 0:
        missing = np.full(design.shape[1], np.nan)
        return WeightedFit(missing, np.zeros_like(design), np.zeros((len(missing),) * 2), False)
    coef = -np.asarray(solution.eqlin.marginals)
    residual = z - x @ coef
    # Rows that the fit passes through have residuals of rounding size.
    rounding = 1e-9 * max(1.0, np.abs(z).max())
    residual[np.abs(residual) <= rounding] = 0.0
    width = max(_bandwidth(residual, w), rounding)  # an exact fit has no width of its own
    density = np.exp(-0.5 * (residual / width) ** 2) / (width * np.sqrt(2.0 * np.pi))
    curvature = (x * (weight[kept] * density)[:, None]).T @ x / total
    score = _scattered(kept, x * (quantile - (residual < 0.0))[:, None])
    return WeightedFit(coef, score, curvature, True)


def _bandwidth(residual: Array, weight: Array) -> float:
    centre = np.average(residual, weights=weight)
    deviation = np.sqrt(np.average((residual - centre) ** 2, weights=weight))
    order = np.argsort(residual)
    mass = np.cumsum(weight[order]) / weight.sum()
    low, high = residual[order][np.searchsorted(mass, [0.25, 0.75]).clip(max=len(order) - 1)]
    spread = min(deviation, (high - low) / 1.349) if high > low else deviation
    return float(WIDTH * spread * len(residual) ** -0.2)


def _scattered(kept: NDArray[np.bool_], rows: Array) -> Array:
    """Put rows back into their places, with zeros elsewhere."""
    full = np.zeros((len(kept), rows.shape[1]))
    full[kept] = rows
    return full


def m_estimator_influence(
    fit: WeightedFit, inverse_probability: Array, terms: Array, case_weight: Array
) -> Array:
    r"""Return :math:`A^{-1} a_i (w_i s_i + \mathrm{term}_i)`, by rows.

    Parameters
    ----------
    fit : WeightedFit
    inverse_probability : ndarray of shape (n,)
        :math:`w_i`, zero on rows that are not known.
    terms : ndarray of shape (n, k)
        What the rows do to the weights; see `marginal_terms` and `cox_terms`.
    case_weight : ndarray of shape (n,)
        :math:`a_i`, with mean one.

    Returns
    -------
    ndarray of shape (n, k)
        Its outer products sum to n squared times the covariance.
    """
    moments = inverse_probability[:, None] * fit.score + terms
    solved = np.linalg.solve(fit.curvature, (case_weight[:, None] * moments).T)
    return solved.T.astype(np.float64)
