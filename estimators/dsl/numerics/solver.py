"""The root of the estimating equation: Newton steps, separation, collinearity."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .equation import Problem

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


def solve(problem: Problem) -> Root:
    r"""Solve the estimating equation by damped Newton steps from zero.

    A step :math:`J^{-1} \bar m` is halved until the norm of the scaled mean moment falls. The
    iteration has converged when both

    * :math:`\max_j |\bar m_j| / \overline{|m_{ij}|} \le 10^{-10}`, or the step is at the level
      of rounding (an exact fit has nothing but rounding in its moments), and
    * the next step would change no linear predictor by more than :math:`10^{-7}`, relative to
      the largest one where that exceeds 1. Under separation the moments vanish while every
      step moves the predictor by about 1, so this is what tells a root from a limit.
    """
    design = problem.predicted.design
    beta = np.zeros(design.shape[1])
    moments, jacobian = problem.moments(beta), problem.jacobian(beta)
    unit = np.abs(moments).mean(axis=0)
    unit[unit == 0.0] = 1.0
    status: Status = "not converged"
    step = np.zeros_like(beta)
    n_iterations = 0
    for n_iterations in range(1, MAX_ITERATIONS + 1):
        mean = moments.mean(axis=0)
        newton_step = _scaled_solve(jacobian, mean)
        if newton_step is None:
            status = "diverged"
            break
        step = newton_step
        predictor = max(1.0, float(np.abs(design @ beta).max()))
        change = float(np.abs(design @ step).max())
        if change <= STEP_TOLERANCE * predictor and (
            relative_residual(moments) <= RESIDUAL_TOLERANCE or change <= 1e-13 * predictor
        ):
            status = "converged"
            break
        if problem.model.bounded and predictor > LARGEST_PREDICTOR:
            found = separating_direction(problem, step)
            if found is not None:
                return _separated(beta, moments, jacobian, n_iterations, found)
        damped = _damped_step(problem, beta, step, mean, unit)
        if damped is None:
            break
        beta, moments = damped
        jacobian = problem.jacobian(beta)
    if status != "converged" and problem.model.bounded:
        found = separating_direction(problem, step)
        if found is not None:
            return _separated(beta, moments, jacobian, n_iterations, found)
    residual = relative_residual(moments)
    return Root(beta, moments, jacobian, residual, n_iterations, status, np.zeros_like(beta))


def _separated(
    beta: Array, moments: Array, jacobian: Array, n_iterations: int, direction: Array
) -> Root:
    residual = relative_residual(moments)
    return Root(beta, moments, jacobian, residual, n_iterations, "separated", direction)


def relative_residual(moments: Array) -> float:
    r"""Return :math:`\max_j |\bar m_j| / \overline{|m_{ij}|}`."""
    size = np.abs(moments).mean(axis=0)
    return float(np.max(np.abs(moments.mean(axis=0)) / np.where(size == 0.0, 1.0, size)))


def _scaled_solve(matrix: Array, vector: Array) -> Array | None:
    """Solve a system after scaling by the diagonal; None if it is singular to rounding."""
    diagonal = np.abs(np.diag(matrix))
    if not (diagonal > 0.0).all():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    scaled = matrix * np.outer(scale, scale)
    if np.linalg.cond(scaled) > 1e14:
        return None
    return scale * np.linalg.solve(scaled, scale * vector)


def _damped_step(
    problem: Problem, beta: Array, step: Array, mean: Array, unit: Array
) -> tuple[Array, Array] | None:
    """Halve the step until the scaled mean moment shrinks; None if it never does."""
    norm = np.linalg.norm(mean / unit)
    for halvings in range(30):
        trial = beta + 0.5**halvings * step
        moments = problem.moments(trial)
        # At the level of rounding a step need not improve, so a full step may leave the norm be.
        if np.linalg.norm(moments.mean(axis=0) / unit) <= max(float(norm), 1e-15):
            return trial, moments
    return None


def separating_direction(problem: Problem, step: Array) -> Array | None:
    r"""Return a direction along which no finite solution of a logit exists, if the step is one.

    The logit equation is the gradient of the concave
    :math:`\sum_i \tilde Y_i x_i'\beta - \log(1 + e^{x_i'\beta})` with pseudo-outcomes
    :math:`\tilde Y_i`. It has no finite maximiser exactly if for some d

    .. math:: \sum_i \tilde Y_i x_i'd \ge \sum_i \max(x_i'd, 0), \qquad x_i'd \not\equiv 0,

    which is complete or quasi-complete separation when all labels are known. Newton steps turn
    into such a direction, so the last one is the candidate and this inequality the certificate.
    """
    design = problem.predicted.design
    size = np.abs(step) * np.abs(design).max(axis=0)
    if not np.isfinite(size).all() or size.max() == 0.0:
        return None
    direction = np.where(size > 1e-3 * size.max(), step, 0.0)
    change = design @ direction
    pseudo_outcome = problem.combine(problem.predicted.outcome, problem.gold.outcome)
    margin = pseudo_outcome @ change - np.maximum(change, 0.0).sum()
    return direction if margin >= -1e-9 * np.abs(change).sum() else None


def collinear_column(design: Array, *, has_intercept: bool) -> tuple[int, list[int]] | None:
    """Find the first column that is a linear combination of earlier ones.

    Columns are centred if there is an intercept (column 0) and scaled; a column whose residual
    on the earlier ones keeps less than 1e-12 of its variation is dependent.

    Returns
    -------
    (column, those it depends on) or None
    """
    size = np.abs(design).max(axis=0)
    varying = design[:, 1:] - design[:, 1:].mean(axis=0) if has_intercept else design
    first = 1 if has_intercept else 0
    norms = np.linalg.norm(varying, axis=0)
    constant = norms <= 1e-13 * np.sqrt(len(design)) * np.maximum(size[first:], 1e-300)
    if constant.any():
        return first + int(np.argmax(constant)), [0] if has_intercept else []
    scaled = varying / norms
    gram = scaled.T @ scaled
    for j in range(1, len(gram)):
        weights = np.linalg.solve(gram[:j, :j], gram[:j, j])
        if 1.0 - weights @ gram[:j, j] < 1e-12:
            involved = np.flatnonzero(np.abs(weights) > 1e-6)
            return first + j, [first + int(i) for i in involved]
    return None
