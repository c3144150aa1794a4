"""The root of the estimating equation: Newton steps, separation, collinearity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .equation import Problem
from .models import Sample, row_blocks

Array = NDArray[np.float64]
Status = Literal["converged", "separated", "diverged", "not converged"]

RESIDUAL_TOLERANCE = 1e-10
STEP_TOLERANCE = 1e-7
MAX_ITERATIONS = 100
# Beyond this linear predictor a logistic probability equals 0 or 1 to 1e-13.
LARGEST_PREDICTOR = 30.0


class Root(NamedTuple):
    r"""Where the iteration ended.

    ``residual`` is the largest :math:`|\bar m_j| / \overline{|m_{ij}|}`; ``direction`` the
    direction in which a separated solution runs away, else zeros.
    """

    beta: Array
    moments: Array
    jacobian: Array
    residual: float
    n_iterations: int
    status: Status
    direction: Array


def solve(problem: Problem, start: Array | None = None) -> Root:
    r"""Solve the estimating equation by damped Newton steps.

    A step :math:`J^{-1} \bar m` is halved until the norm of the scaled mean moment falls; where
    that does not help, as it may with an indefinite J, a Levenberg-Marquardt step is taken. The
    iteration has converged when both

    * :math:`\max_j |\bar m_j| / \overline{|m_{ij}|} \le 10^{-10}`, or the step is at the level
      of rounding (an exact fit has nothing but rounding in its moments), and
    * the next step would change no linear predictor by more than :math:`10^{-7}`, relative to
      the largest one where that exceeds 1. Under separation the moments vanish while every
      step moves the predictor by about 1, so this is what tells a root from a limit.

    If it does not converge from ``start``, by default the model's own, it is tried once more from
    the gold-only root.
    """
    if start is None:
        start = problem.model.start(problem.predicted)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        root = _iterate(problem, start)
        can_do_without = len(problem.labelled) and np.any(problem.share)
        if root.status in ("converged", "separated") or not can_do_without:
            return root
        gold_only = _iterate(replace(problem, share=0.0), start)
        if gold_only.status != "converged":
            return root
        again = _iterate(problem, gold_only.beta)
    return again if again.status == "converged" else root


def _iterate(problem: Problem, start: Array) -> Root:
    beta = start
    mean, jacobian = problem.mean_moment(beta), problem.jacobian(beta)
    unit = np.sqrt(np.abs(np.diag(jacobian)))
    unit[~(unit > 0.0)] = 1.0
    status: Status = "not converged"
    step = np.zeros_like(beta)
    n_iterations = 0
    for n_iterations in range(1, MAX_ITERATIONS + 1):
        newton_step = _scaled_solve(jacobian, mean)
        if newton_step is None:
            status = "diverged"
            break
        step = newton_step
        predictor = max(1.0, _largest_predictor(problem, beta))
        change = _largest_predictor(problem, step)
        if change <= STEP_TOLERANCE * predictor:
            moments = problem.moments(beta)
            residual = relative_residual(moments)
            if residual <= RESIDUAL_TOLERANCE or change <= 1e-13 * predictor:
                zero = np.zeros_like(beta)
                return Root(beta, moments, jacobian, residual, n_iterations, "converged", zero)
            del moments  # large, and soon to be computed anew
        if predictor > LARGEST_PREDICTOR and separates(problem, step):
            status = "separated"
            break
        damped = _damped_step(problem, beta, step, mean, jacobian, unit)
        if damped is None:
            break
        beta, mean = damped
        if not problem.model.has_constant_information:
            jacobian = problem.jacobian(beta)
    if status != "separated" and separates(problem, step):
        status = "separated"
    direction = _runaway_part(problem, step) if status == "separated" else np.zeros_like(beta)
    moments = problem.moments(beta)
    residual = relative_residual(moments)
    return Root(beta, moments, jacobian, residual, n_iterations, status, direction)


def _largest_predictor(problem: Problem, beta: Array) -> float:
    """Return the largest linear predictor of either version of the data."""
    return max(
        float(np.abs(problem.model.predictor(part, beta)).max(initial=0.0))
        for part in (problem.predicted, problem.gold)
    )


def relative_residual(moments: Array) -> float:
    r"""Return :math:`\max_j |\bar m_j| / \overline{|m_{ij}|}`."""
    blocks = (np.abs(moments[rows]).sum(axis=0) for rows in row_blocks(len(moments)))
    size = sum(blocks) / len(moments)
    return float(np.max(np.abs(moments.mean(axis=0)) / np.where(size == 0.0, 1.0, size)))


def _scaled_solve(matrix: Array, vector: Array) -> Array | None:
    """Solve a system after scaling by the diagonal; None if it is singular to rounding."""
    diagonal = np.abs(np.diag(matrix))
    if not (np.isfinite(matrix).all() and np.isfinite(vector).all() and (diagonal > 0.0).all()):
        return None
    scale = 1.0 / np.sqrt(diagonal)
    scaled = matrix * np.outer(scale, scale)
    if np.linalg.cond(scaled) > 1e14:
        return None
    return scale * np.linalg.solve(scaled, scale * vector)


def _damped_step(
    problem: Problem, beta: Array, step: Array, mean: Array, jacobian: Array, unit: Array
) -> tuple[Array, Array] | None:
    """Shorten the step until the scaled mean moment shrinks; None if it never does."""
    # At the level of rounding a step need not improve, so a full step may leave the norm be.
    largest = max(float(np.linalg.norm(mean / unit)), 1e-15)
    for trial_step in _trial_steps(step, mean / unit, jacobian / unit[:, None]):
        trial = beta + trial_step
        trial_mean = problem.mean_moment(trial)
        if np.linalg.norm(trial_mean / unit) <= largest:
            return trial, trial_mean
    return None


def _trial_steps(step: Array, mean: Array, jacobian: Array) -> Iterator[Array]:
    """Yield the Newton step and halves of it, then Levenberg-Marquardt steps."""
    for halvings in range(30):
        yield 0.5**halvings * step
    normal = jacobian.T @ jacobian
    for exponent in range(-6, 7):
        damping = 10.0**exponent * np.diag(np.diag(normal))
        damped = np.linalg.lstsq(normal + damping, jacobian.T @ mean, rcond=None)[0]
        yield damped.astype(np.float64, copy=False)


def separates(problem: Problem, step: Array) -> bool:
    r"""Whether the equation has no finite root because covariates separate the outcomes.

    The equation of a logit, multinomial logit or Poisson model is the gradient of
    :math:`\sum_i Y_i x_i'\beta - b(x_i'\beta)`, summed over both versions of the data with
    their weights. Far along a direction d it behaves like the recession function

    .. math:: \sum_i Y_i x_i'd - \lim_t b(t\, x_i'd) / t,

    and has no finite maximiser if this is not negative for some d with
    :math:`x_i'd \not\equiv 0`: complete or quasi-complete separation when all labels are known.
    Newton steps turn into such a direction, so the last one is the candidate and this inequality
    the certificate.
    """
    if isinstance(problem.share, np.ndarray):  # no objective has such a gradient
        return False
    if problem.model.growth(problem.gold, step) is None:
        return False
    direction = _runaway_part(problem, step)
    size = float(np.abs(problem.model.predictor(problem.predicted, direction)).sum())
    if not np.isfinite(size) or size == 0.0:
        return False
    growth = problem.weighted_sum(lambda part, w: _weighted_growth(problem, part, direction, w))
    return bool(growth >= -1e-9 * size)


def _weighted_growth(problem: Problem, part: Sample, direction: Array, weight: Array) -> Array:
    growth = problem.model.growth(part, direction)
    assert growth is not None
    counted = weight[:, 0] != 0.0  # zero times infinity would hide the rest
    return weight[counted, 0] @ growth[counted]


def _runaway_part(problem: Problem, step: Array) -> Array:
    """Return the step without the components that are small beside the largest."""
    columns = np.abs(problem.predicted.design).max(axis=0)
    size = np.abs(step) * np.tile(columns, len(step) // len(columns))
    return np.where(size > 1e-3 * size.max(initial=0.0), step, 0.0)


def collinear_column(design: Array, *, has_intercept: bool) -> tuple[int, list[int]] | None:
    """Find the first column that is a linear combination of earlier ones.

    Columns are centred if there is an intercept (column 0) and scaled; a column whose residual
    on the earlier ones keeps less than 1e-12 of its variation is dependent.

    Returns
    -------
    (column, those it depends on) or None
    """
    first = 1 if has_intercept else 0
    products, means = _products_around_means(design[:, first:], is_centred=has_intercept)
    norms = np.sqrt(np.maximum(np.diag(products), 0.0))
    constant = norms <= 1e-13 * np.hypot(norms, np.sqrt(len(design)) * means)
    if constant.any():
        return first + int(np.argmax(constant)), [0] if has_intercept else []
    gram = products / np.outer(norms, norms)
    for j in range(1, len(gram)):
        weights = np.linalg.solve(gram[:j, :j], gram[:j, j])
        if 1.0 - weights @ gram[:j, j] < 1e-12:
            involved = np.flatnonzero(np.abs(weights) > 1e-6)
            return first + j, [first + int(i) for i in involved]
    return None


def _products_around_means(columns: Array, *, is_centred: bool) -> tuple[Array, Array]:
    """Return cross products of columns and their means; zeros for means that are not taken out."""
    n, k = columns.shape
    means = columns.mean(axis=0) if is_centred else np.zeros(k)
    products, left = np.zeros((k, k)), np.zeros(k)
    for rows in row_blocks(n):
        block = columns[rows] - means
        products += block.T @ block
        left += block.sum(axis=0)
    if is_centred:
        # The rounding of the means is all there is of a constant column.
        products -= np.outer(left, left) / n
    return products, means
