r"""Power tuning: how much weight the predictions deserve.

With the moments at some :math:`\beta_0`, :math:`J_0` their derivative for the gold labels, and for
the sampling units :math:`\psi = J_0^{-1} m`, :math:`\hat\psi = J_0^{-1} \hat m`, the weight
:math:`\Lambda` of

.. math:: \Gamma = J_0 \Lambda J_0^{-1}

minimises the design variance :math:`C_D` of :math:`\psi - \Lambda \hat\psi`; nothing else in the
variance depends on it:

* diagonal: :math:`\lambda_j = C_D(\psi_j, \hat\psi_j) / C_D(\hat\psi_j, \hat\psi_j)` for each
  coefficient, shrunk towards the nearer end of [0, 1] and clipped to it;
* scalar: one weight for the sum of the variances, each relative to that of gold-only, clipped;
* matrix: :math:`\Lambda = C_D(\psi, \hat\psi)\, C_D(\hat\psi, \hat\psi)^{-1}`.

First :math:`\beta_0` is the gold-only root, then the root that its weights lead to: with few
labels the former is so far from the truth that the second order of the distance costs a tenth of
the variance in nonlinear models.

Both moments come from the labelled rows, so that their errors cancel. A weight is itself estimated,
with a variance :math:`v_j` that costs precision just where an end of the interval is right: the
whole weight of a good machine, none of a useless one. The distance from the nearer end is therefore
multiplied by :math:`(1 - v_j / \text{distance}^2)_+`, as James and Stein would; at 100 labels this
halves what the estimation of the weight costs there. Under simple random sampling the scalar weight
is that of PPI++ (Angelopoulos, Duchi and Zrnic 2023), as
:math:`\lambda_{PPI++} = \lambda (1 - n/N)` there.

A weight that was fitted to the labels makes their errors look smaller than they are. In the
standard errors each unit's error is therefore taken with the weight :math:`\Lambda_{(u)}` that the
*other* units give, and with its leverage:

.. math:: e^*_u = (I - J_u J^{-1})^{-1} (m_u - \Gamma_{(u)} \hat m_u), \qquad
    J_u = \frac1N \sum_{i \in u} w_i (H_i - \Gamma \hat H_i),

which is HC3 for gold-only labels, and nothing where the predictions have full weight and only the
outcome is predicted. The mean of :math:`e_u` and :math:`e^*_u` is HC2 in the first order, right in
expectation where errors have one variance; :math:`e^*_u` alone leaves 1 + p / U in it. The mean
serves linear regression where whole units are drawn, U being small there, and the logit, whose
information at :math:`\hat\beta` is as much too small as the errors are. Exponential means have
skewed estimates; they, fixed effects and samples of fewer than ten units keep :math:`e^*_u`. The
choice rests on trials with the cells of ``vignettes/evidence/dsl_tuning.py``.

References
----------
Angelopoulos, A. N., Duchi, J. C., & Zrnic, T. (2023). PPI++: Efficient prediction-powered
inference. https://doi.org/10.48550/arXiv.2311.01453
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .design import Draw
from .equation import Problem
from .models import BLOCK

Array = NDArray[np.float64]
Kind = Literal["diagonal", "scalar", "matrix"]

# A matrix of weights needs this many units for each coefficient, and moments of the predictions
# that differ by no more than this condition number.
MATRIX_UNITS = 30
MATRIX_CONDITION = 1e6
# A share of its size below which the variation of a column is rounding.
ROUNDING = 1e-10
# Leverages beyond this are no longer corrected for.
LARGEST_LEVERAGE = 1.0 - 1e-8
# Four is what a leverage of three quarters does to an error.
LARGEST_GROWTH = 4.0


@dataclass(frozen=True)
class Weights:
    r"""Tuning weights, and those that leave a unit out.

    Attributes
    ----------
    matrix : ndarray of shape (p, p)
        :math:`\Lambda`.
    without : ndarray of shape (U, p), (U, p, p) or None
        :math:`\Lambda_{(u)}`, its diagonal where it has nothing else; None if the weights were not
        estimated.
    """

    matrix: Array
    without: Array | None = None

    @property
    def diagonal(self) -> Array:
        """The weight of each coefficient's own predictions, shape (p,)."""
        return np.diag(self.matrix).copy()

    def left_out(self, values: Array) -> Array:
        r"""Return :math:`\Lambda_{(u)} \hat\psi_u` of units, shape (U, p)."""
        if self.without is None:
            return values @ self.matrix.T
        if self.without.ndim == 2:
            return self.without * values
        return np.einsum("ujk,uk->uj", self.without, values)


def fixed_weights(value: float, n_params: int) -> Weights:
    """Return one given weight for all coefficients."""
    return Weights(value * np.eye(n_params))


def tuning_weights(
    psi: Array, psi_hat: Array, draw: Draw, kind: Literal["diagonal", "scalar"] = "diagonal"
) -> Weights:
    r"""Return the weights that the labelled rows suggest, one for each coefficient or for all.

    Parameters
    ----------
    psi, psi_hat : ndarray of shape (U, p)
        :math:`\psi_u` and :math:`\hat\psi_u` of the drawn units.
    draw : Draw
    kind : {"diagonal", "scalar"}, default="diagonal"
    """
    gold, machine = _contributions(psi, psi_hat, draw)
    return _diagonal(gold, machine) if kind == "diagonal" else _scalar(gold, machine)


def _contributions(psi: Array, psi_hat: Array, draw: Draw) -> tuple[Array, Array]:
    """Return contributions to the design variance; zeros for predictions that do not vary."""
    gold, machine = draw.contributions(psi), draw.contributions(psi_hat)
    size = (draw.factor / draw.probability**2) @ (psi**2 + psi_hat**2)
    varies = (machine**2).sum(axis=0) > ROUNDING**2 * size
    return gold, np.where(varies, machine, 0.0)


def _diagonal(gold: Array, machine: Array) -> Weights:
    cross, square = gold * machine, machine**2
    total, size = cross.sum(axis=0), square.sum(axis=0)
    usable = size > 0.0  # predictions that do not vary have nothing to give or to take
    weight = np.where(usable, total / np.where(usable, size, 1.0), 1.0)
    noise = ((cross - weight * square) ** 2).sum(axis=0) / np.where(usable, size, 1.0) ** 2
    without = _ratio(total - cross, size - square)
    return Weights(np.diag(_towards_ends(weight, noise)), _towards_ends(without, noise))


def _towards_ends(weight: Array, noise: Array) -> Array:
    """Return weights in [0, 1], those close to an end for their noise moved towards it."""
    end = np.round(np.clip(weight, 0.0, 1.0))
    gap = weight - end
    square = gap**2
    kept = np.maximum(0.0, 1.0 - noise / np.where(square > 0.0, square, 1.0))
    return np.clip(end + kept * gap, 0.0, 1.0)


def _scalar(gold: Array, machine: Array) -> Weights:
    size = (gold**2).sum(axis=0)
    scale = np.where(size > 0.0, size, 1.0)
    cross, square = (gold * machine / scale).sum(axis=1), (machine**2 / scale).sum(axis=1)
    p = gold.shape[1]
    weight = np.clip(_ratio(cross.sum(), square.sum()), 0.0, 1.0)
    without = np.clip(_ratio(cross.sum() - cross, square.sum() - square), 0.0, 1.0)
    return Weights(float(weight) * np.eye(p), np.repeat(without[:, None], p, axis=1))


def _ratio(cross: Array, square: Array) -> Array:
    usable = square > 0.0
    return np.where(usable, cross / np.where(usable, square, 1.0), 1.0)


def matrix_weights(psi: Array, psi_hat: Array, draw: Draw) -> Weights | None:
    """Return a matrix of weights, or None if so few or so similar predictions do not support it.

    Parameters
    ----------
    psi, psi_hat : ndarray of shape (U, p)
        As in `tuning_weights`.
    draw : Draw
    """
    gold, machine = _contributions(psi, psi_hat, draw)
    n, p = gold.shape
    square = machine.T @ machine
    size = np.sqrt(np.diag(square))
    if n < MATRIX_UNITS * p or not (size > 0.0).all():
        return None
    if np.linalg.cond(square / np.outer(size, size)) > MATRIX_CONDITION:
        return None
    inverse = np.linalg.inv(square)
    weight = gold.T @ machine @ inverse
    # Sherman and Morrison: the regression without unit u.
    scaled = machine @ inverse
    leverage = np.einsum("uj,uj->u", scaled, machine)
    residual = (gold - machine @ weight.T) / (1.0 - np.minimum(leverage, LARGEST_LEVERAGE))[:, None]
    without = weight - residual[:, :, None] * scaled[:, None, :]
    return Weights(weight, without)


@dataclass(frozen=True)
class Labels:
    """Moments of the labelled rows at some parameters, gold and predicted, with their weights.

    Attributes
    ----------
    gold, predicted : ndarray of shape (n_labelled, p)
        Times the analysis weights.
    """

    gold: Array
    predicted: Array

    @classmethod
    def of(cls, problem: Problem, beta: Array) -> Labels:
        """Return the moments of a problem's labelled rows."""
        weight = problem.analysis_weight[problem.labelled, None]
        return cls(
            problem.model.moment(problem.gold, beta) * weight,
            problem.model.moment(problem.predicted_at_gold, beta) * weight,
        )


def tuned_share(weights: Weights, jacobian: Array) -> float | Array:
    r"""Return :math:`\Gamma`, a number where one weight serves all coefficients."""
    value = float(weights.matrix[0, 0])
    if np.array_equal(weights.matrix, value * np.eye(len(weights.matrix))):
        return value
    return jacobian @ weights.matrix @ np.linalg.inv(jacobian)


def left_out_errors(
    problem: Problem,
    beta: Array,
    jacobian: Array,
    base: Array,
    weights: Weights,
    draw: Draw,
    *,
    share: float = 1.0,
    left: Array | None = None,
) -> tuple[Array, int]:
    r"""Return what is added to the errors of the drawn units, and how many were saturated.

    It is a share of :math:`e^*_u - e_u`, shape (U, p).

    Parameters
    ----------
    problem : Problem
        With the tuned share.
    beta, jacobian : ndarray
        Its root and J there.
    base : ndarray of shape (p, p)
        :math:`J_0`, with which the weights were turned into the share.
    weights : Weights
    draw : Draw
    share : float, default=1
        One half for the mean of :math:`e_u` and :math:`e^*_u`.
    left : ndarray of shape (n_labelled,), default=None
        Share of the labelled rows' variance that absorbed effects leave. Effects have few rows
        each, so that errors are divided by its root (as in HC2), which has the right
        expectation, and not by all of it.
    """
    labels = Labels.of(problem, beta)
    gold = labels.gold
    if left is not None:  # the only row of a level has no error at all
        gold = gold / np.sqrt(np.where(left > 1.0 - LARGEST_LEVERAGE, left, 1.0))[:, None]
    errors = draw.totals(problem.errors(beta))
    to_psi = np.linalg.inv(base)
    predicted = draw.totals(labels.predicted) @ to_psi.T
    left_out = draw.totals(gold) - weights.left_out(predicted) @ base.T
    if problem.dummy_leverage is not None:
        own = errors - draw.totals(labels.gold - problem.shared(labels.predicted))
        left_out = left_out + own
    adjusted, n_saturated = _without_leverage(problem, beta, jacobian, left_out, draw)
    return share * (_limited(adjusted, left_out, jacobian) - errors), n_saturated


def _limited(adjusted: Array, errors: Array, jacobian: Array) -> Array:
    r"""Return errors that have not grown beyond `LARGEST_GROWTH` by their leverage.

    With predicted covariates :math:`J_u` need not be positive, and :math:`I - J_u J^{-1}` comes
    close to singular where a unit has no such influence. Sizes are the largest component of
    :math:`J^{-1} e_u`, in units of its root mean square.
    """
    to_psi = np.linalg.inv(jacobian).T
    before, after = np.abs(errors @ to_psi), np.abs(adjusted @ to_psi)
    scale = np.sqrt((before**2).mean(axis=0))
    scale = np.where(scale > 0.0, scale, 1.0)
    limit = LARGEST_GROWTH * (before / scale).max(axis=1)
    size = (after / scale).max(axis=1)
    return adjusted * np.minimum(1.0, limit / np.where(size > 0.0, size, 1.0))[:, None]


def _without_leverage(
    problem: Problem,
    beta: Array,
    jacobian: Array,
    errors: Array,
    draw: Draw,
) -> tuple[Array, int]:
    r"""Return :math:`(I - J_u J^{-1})^{-1} e_u`."""
    inverse = np.linalg.inv(jacobian * problem.n_rows)
    adjusted = np.empty_like(errors)
    n_saturated = 0
    if draw.has_rows_as_units:
        for first in range(0, len(errors), BLOCK // 8):
            rows = np.arange(first, min(first + BLOCK // 8, len(errors)))
            share = label_information(problem, beta, rows) @ inverse
            adjusted[rows], n = _solved(share, errors[rows])
            n_saturated += n
        return adjusted, n_saturated
    total = np.zeros((draw.n_units, *jacobian.shape))
    np.add.at(total, draw.units, label_information(problem, beta, np.arange(len(draw.units))))
    # The error of a unit is that of its total, which its own inclusion divides by.
    return _solved(total @ inverse, errors)


def _solved(share: Array, errors: Array) -> tuple[Array, int]:
    room = np.eye(share.shape[1]) - share
    saturated = np.abs(np.linalg.det(room)) < 1.0 - LARGEST_LEVERAGE
    room[saturated] = np.eye(share.shape[1])
    adjusted: Array = np.linalg.solve(room, errors[:, :, None])[:, :, 0].astype(np.float64)
    return adjusted, int(saturated.sum())


def label_information(problem: Problem, beta: Array, rows: NDArray[np.intp]) -> Array:
    r"""Return :math:`a_i w_i (H_i - \Gamma \hat H_i)` of some labelled rows, shape (m, p, p)."""
    model = problem.model
    weight = problem.gold_weight[rows][:, None, None]
    gold = model.informations(problem.gold.rows(rows), beta)
    predicted = model.informations(problem.predicted_at_gold.rows(rows), beta)
    if isinstance(problem.share, np.ndarray):
        predicted = problem.share @ predicted
    elif problem.share != 1.0:
        predicted = problem.share * predicted
    return weight * (gold - predicted)
