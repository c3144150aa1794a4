"""Covariance of the root for both targets and every sampling design."""

from __future__ import annotations

from typing import NamedTuple

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
from .solver import Root

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class Variance(NamedTuple):
    """Covariance of the root and the influence values behind it."""

    cov: Array
    influence: Array
    n_saturated: int


def superpopulation_variance(
    problem: Problem,
    root: Root,
    *,
    kind: str,
    clusters: Codes | None,
    fixed_size: bool,
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
    """
    inverse = np.linalg.inv(root.jacobian)
    moments = design_moments(problem, root) if fixed_size else root.moments
    adjusted, n_saturated = _leverage(problem, root, moments, kind, clusters)
    middle = meat(adjusted, clusters, correction="CR1" if kind == "CR1" else "CR0")
    if kind == "HC1":
        n, k = moments.shape
        middle = middle * n / (n - k)
    cov = inverse @ middle @ inverse.T / problem.n_rows**2
    return Variance(cov, moments @ inverse.T, n_saturated)


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
    probability = float(problem.probability[0])
    n = len(problem.labelled)
    if probability >= 1.0 or n < 2:
        return root.moments
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
    inverse = np.linalg.inv(root.jacobian)
    draws = draw_contributions(
        problem.errors(root.beta), problem.probability, fixed_size=fixed_size
    )
    influence = np.zeros_like(root.moments)
    influence[problem.labelled] = draws @ inverse.T
    return Variance(influence.T @ influence / problem.n_rows**2, influence, 0)


def _leverage(
    problem: Problem, root: Root, moments: Array, kind: str, clusters: Codes | None
) -> tuple[Array, int]:
    """Return the moments, adjusted for leverage where the kind of covariance asks for it."""
    design = problem.predicted.design
    if kind in ("HC2", "HC3"):
        weight = problem.row_information(root.beta) / problem.n_rows
        leverage = weight * np.einsum("ij,ij->i", design @ np.linalg.inv(root.jacobian), design)
        saturated = leverage > 1.0 - 1e-10
        room = np.where(saturated, 1.0, 1.0 - leverage)
        factor = np.where(saturated, 0.0, room ** (-0.5 if kind == "HC2" else -1.0))
        return moments * factor[:, None], int(saturated.sum())
    if kind != "CR2" or clusters is None:
        return moments, 0
    weight = problem.row_information(root.beta) / problem.n_rows
    sums = cluster_sums(moments, clusters)
    information = np.empty((*sums.shape, sums.shape[1]))
    for j in range(sums.shape[1]):
        information[:, j, :] = cluster_sums(design * (weight * design[:, j])[:, None], clusters)
    adjusted, n_saturated = leverage_adjusted(sums, information, root.jacobian, power=0.5)
    # The meat sums within clusters, so each cluster's total may sit on any one of its rows.
    spread = np.zeros_like(moments)
    spread[np.unique(clusters, return_index=True)[1]] = adjusted
    return spread, n_saturated
