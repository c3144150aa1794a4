"""Covariance of the root for both targets and every sampling design."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...covariance import (
    cluster_sums,
    draw_contributions,
    expansion_centre,
    leverage_adjusted,
    meat,
)
from .equation import Problem
from .models import IndexModel, row_blocks
from .solver import Root

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class Variance(NamedTuple):
    r"""Covariance of the root, and what its influence values :math:`J^{-1} \tilde m_i` are made of.

    Attributes
    ----------
    cov : ndarray of shape (p, p)
    moments : ndarray of shape (n, p)
    inverse : ndarray of shape (p, p)
        The inverse of J.
    n_saturated : int
        Rows or clusters with leverage 1.
    """

    cov: Array
    moments: Array
    inverse: Array
    n_saturated: int

    @property
    def influence(self) -> Array:
        """Influence values, shape (n, p)."""
        return self.moments @ self.inverse.T

    def add_influence(self, total: Array) -> None:
        """Add the influence values to an array, in place and without another one of its size."""
        for rows in row_blocks(len(total)):
            total[rows] += self.moments[rows] @ self.inverse.T


def superpopulation_variance(
    problem: Problem,
    root: Root,
    *,
    kind: str,
    clusters: Codes | None,
    fixed_size: bool,
    n_absorbed: int = 0,
) -> Variance:
    r"""Covariance for the coefficients of the superpopulation behind the rows.

    .. math:: V = J^{-1} \Big[\sum_c \tilde m_c \tilde m_c'\Big] J^{-T} / N^2

    with :math:`\tilde m_c` the sums of `design_moments` within clusters (or rows).

    Parameters
    ----------
    problem : Problem
    root : Root
    kind : {"HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2"}
    clusters : ndarray of int of shape (n,) or (n, 2), default=None
        Needed for the CR kinds.
    fixed_size : bool
        Whether the number of labels was fixed by the design (simple random sampling).
    n_absorbed : int, default=0
        Parameters that were concentrated out (fixed effects); HC1 and CR1 count them.
    """
    inverse = np.linalg.inv(root.jacobian).astype(np.float64)
    moments = design_moments(problem, root) if fixed_size else root.moments
    adjusted, n_saturated = _leverage(problem, root, moments, kind, clusters)
    n_params = moments.shape[1] + n_absorbed
    correction: Literal["CR0", "CR1"] = "CR1" if kind == "CR1" else "CR0"
    middle = meat(adjusted, clusters, correction=correction, n_params=n_params)
    if kind == "HC1":
        middle = middle * len(moments) / (len(moments) - n_params)
    cov = inverse @ middle @ inverse.T / problem.n_rows**2
    return Variance(cov, moments, inverse, n_saturated)


def design_moments(problem: Problem, root: Root) -> Array:
    r"""Return the moments whose outer products count a simple random draw rightly.

    With :math:`e_i = m_i - \hat m_i` the moment is :math:`\hat m_i + R_i e_i / \pi`. As a fixed
    number of rows is drawn, :math:`\sum_i (R_i - \pi) = 0`, and for any A the moments

    .. math:: \hat m_i + \pi A + R_i (e_i / \pi - A)

    have the same sum. With A the mean of :math:`e_i / \pi` the draw's part is uncorrelated with
    the number drawn, so that outer products of these moments estimate the variance under the
    fixed number, also summed within clusters; with A = 0 they would count a number that does
    not vary. The last term is scaled by :math:`\sqrt{1 + (1 - \pi)/(n - 1)}`, which turns its
    design variance into the unbiased one of `trueness.covariance.draw_contributions`.
    """
    n = len(problem.labelled)
    if n < 2 or problem.probability[0] >= 1.0:
        return root.moments
    probability = float(problem.probability[0])
    errors = problem.errors(root.beta)
    expanded = errors / probability
    centre = expansion_centre(errors, problem.probability)
    scale = np.sqrt(1.0 + (1.0 - probability) / (n - 1))
    moments = root.moments + probability * centre
    moments[problem.labelled] += scale * (expanded - centre) - expanded
    return moments


def population_variance(problem: Problem, root: Root, *, fixed_size: bool) -> Variance:
    r"""Covariance for the coefficients that full labelling of these very rows would give.

    Only the draw of the labelled rows is random: :math:`V = J^{-1} C_D(e, e) J^{-T} / N^2`. The
    influence values are the contributions to :math:`C_D`, zero on unlabelled rows.
    """
    inverse = np.linalg.inv(root.jacobian).astype(np.float64)
    draws = draw_contributions(
        problem.errors(root.beta), problem.probability, fixed_size=fixed_size
    )
    influence = draws @ inverse.T
    moments = np.zeros_like(root.moments)
    moments[problem.labelled] = draws
    return Variance(influence.T @ influence / problem.n_rows**2, moments, inverse, 0)


def _leverage(
    problem: Problem, root: Root, moments: Array, kind: str, clusters: Codes | None
) -> tuple[Array, int]:
    """Return the moments, adjusted for leverage where the kind of covariance asks for it."""
    model = problem.model
    if kind not in ("HC2", "HC3", "CR2"):
        return moments, 0
    assert isinstance(model, IndexModel)
    total = root.jacobian * problem.n_rows
    if kind == "CR2" and clusters is not None:
        sums = cluster_sums(moments, clusters)
        information = _cluster_information(problem, root.beta, clusters)
        adjusted, n_saturated = leverage_adjusted(sums, information, total, power=0.5)
        # The meat sums within clusters, so each cluster's total may sit on any one of its rows.
        spread = np.zeros_like(moments)
        spread[np.unique(clusters, return_index=True)[1]] = adjusted
        return spread, n_saturated
    power = 0.5 if kind == "HC2" else 1.0
    weight = _row_weight(problem, model, root.beta)
    factor, saturated = _row_factor(problem.predicted.design, weight, total, power)
    adjusted = moments * factor[:, None]
    if _shares_design(problem):
        return adjusted, int(saturated.sum())
    information = _labelled_information(problem, root.beta)
    adjusted[problem.labelled], n_labelled = leverage_adjusted(
        moments[problem.labelled], information, total, power=power
    )
    return adjusted, int(np.delete(saturated, problem.labelled).sum()) + n_labelled


def _shares_design(problem: Problem) -> bool:
    """Whether labelled rows have one design, so that their information has rank one."""
    return np.array_equal(problem.gold.design, problem.predicted_at_gold.design)


def _row_weight(problem: Problem, model: IndexModel, beta: Array) -> Array:
    """Return c with information :math:`c_i X_i X_i'` where both versions share their design."""
    return problem.combine(
        model.curvature(problem.predicted, beta), model.curvature(problem.gold, beta)
    )


def _row_factor(
    design: Array, weight: Array, total: Array, power: float
) -> tuple[Array, NDArray[np.bool_]]:
    """Return (1 - h)^-p of rows whose information has rank one, and where h is 1."""
    leverage = weight * np.einsum("ij,ij->i", design @ np.linalg.inv(total), design)
    saturated = leverage > 1.0 - 1e-10
    room = np.where(saturated, 1.0, 1.0 - leverage)
    return np.where(saturated, 0.0, room**-power), saturated


def _labelled_information(problem: Problem, beta: Array) -> Array:
    """Return the information of each labelled row, of rank two, shape (n_labelled, k, k)."""
    model = problem.model
    assert isinstance(model, IndexModel)
    analysis = problem.analysis_weight[problem.labelled]
    information: Any = 0.0
    for part, weight in (
        (problem.gold, problem.gold_weight),
        (problem.predicted_at_gold, problem.share * (analysis - problem.gold_weight)),
    ):
        curvature = weight * model.curvature(part, beta)
        scaled = part.design * curvature[:, None]
        information = information + part.design[:, :, None] * scaled[:, None, :]
    return np.asarray(information)


def _cluster_information(problem: Problem, beta: Array, clusters: Codes) -> Array:
    """Return the information of each cluster, shape (G, k, k)."""
    model = problem.model
    assert isinstance(model, IndexModel)
    design, weight = problem.predicted.design, _row_weight(problem, model, beta)
    is_shared = _shares_design(problem)
    if not is_shared:
        weight[problem.labelled] = 0.0
    n_groups, k = int(clusters.max()) + 1, design.shape[1]
    information = np.empty((n_groups, k, k))
    for j in range(k):
        columns = design * (weight * design[:, j])[:, None]
        information[:, j, :] = cluster_sums(columns, clusters)
    if not is_shared:
        np.add.at(information, clusters[problem.labelled], _labelled_information(problem, beta))
    return information
