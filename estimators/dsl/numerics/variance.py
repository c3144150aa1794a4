"""Covariance of the root for both targets and every sampling design."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...covariance import (
    cluster_sums,
    design_contributions,
    is_indefinite,
    leverage_adjusted,
    meat,
)
from .equation import Problem
from .solver import Root

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class Variance(NamedTuple):
    """Covariance of the root and the row-level pieces from which it can be rebuilt."""

    cov: Array
    influence: Array
    added: Array
    removed: Array
    n_saturated: int
    is_conservative: bool


def superpopulation_variance(
    problem: Problem,
    root: Root,
    *,
    kind: str,
    clusters: Codes | None,
    fixed_size: bool,
) -> Variance:
    r"""Covariance for the coefficients of the superpopulation behind the rows.

    .. math:: V = J^{-1} \Big[\sum_c \tilde m_c \tilde m_c' + C_D(e, e) - P\Big] J^{-T} / N^2

    with the design terms of `trueness.covariance.design_contributions`; for Poisson sampling
    they cancel. If the bracket loses positive definiteness (very few units), the conservative
    :math:`C_D(e, e) + \sum_c (\sum_{i \in c} w_i m_i)(\cdot)'` takes its place.

    Parameters
    ----------
    problem : Problem
    root : Root
        A converged root.
    kind : {"HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2"}
    clusters : ndarray of int of shape (n,) or (n, 2), default=None
        Needed for the CR kinds.
    fixed_size : bool
        Whether the number of labels was fixed by the design (simple random sampling).
    """
    inverse = np.linalg.inv(root.jacobian)
    moments, n_saturated = _leverage(problem, root, kind, clusters)
    middle = meat(moments, clusters, correction="CR1" if kind == "CR1" else "CR0")
    if kind == "HC1":
        n, k = moments.shape
        middle = middle * n / (n - k)
    added, removed = design_contributions(
        problem.errors(root.beta), problem.probability, fixed_size=fixed_size
    )
    is_conservative = False
    if fixed_size:
        middle = middle + added.T @ added - removed.T @ removed
        is_conservative = is_indefinite(middle)
    if is_conservative:
        gold_moments = np.zeros_like(root.moments)
        gold = problem.model.moment(problem.gold, root.beta)
        gold_moments[problem.labelled] = gold / np.sqrt(problem.probability)[:, None]
        if clusters is not None:
            gold_moments[problem.labelled] = gold / problem.probability[:, None]
        middle = added.T @ added + meat(gold_moments, clusters)
    return Variance(
        inverse @ middle @ inverse.T / problem.n_rows**2,
        root.moments @ inverse.T,
        added @ inverse.T,
        removed @ inverse.T,
        n_saturated,
        is_conservative,
    )


def population_variance(problem: Problem, root: Root, *, fixed_size: bool) -> Variance:
    r"""Covariance for the coefficients that full labelling of these very rows would give.

    Only the draw of the labelled rows is random: :math:`V = J^{-1} C_D(e, e) J^{-T} / N^2`. The
    influence values are the contributions to :math:`C_D`, zero on unlabelled rows.
    """
    inverse = np.linalg.inv(root.jacobian)
    added, _ = design_contributions(
        problem.errors(root.beta), problem.probability, fixed_size=fixed_size
    )
    influence = np.zeros_like(root.moments)
    influence[problem.labelled] = added @ inverse.T
    nothing = np.zeros_like(added)
    cov = influence.T @ influence / problem.n_rows**2
    return Variance(cov, influence, nothing, nothing, 0, False)


def _leverage(problem: Problem, root: Root, kind: str, clusters: Codes | None) -> tuple[Array, int]:
    """Return the moments, adjusted for leverage where the kind of covariance asks for it."""
    design = problem.predicted.design
    if kind in ("HC2", "HC3"):
        weight = problem.row_information(root.beta) / problem.n_rows
        leverage = weight * np.einsum("ij,ij->i", design @ np.linalg.inv(root.jacobian), design)
        saturated = leverage > 1.0 - 1e-10
        room = np.where(saturated, 1.0, 1.0 - leverage)
        factor = np.where(saturated, 0.0, room ** (-0.5 if kind == "HC2" else -1.0))
        return root.moments * factor[:, None], int(saturated.sum())
    if kind != "CR2" or clusters is None:
        return root.moments, 0
    weight = problem.row_information(root.beta) / problem.n_rows
    sums = cluster_sums(root.moments, clusters)
    information = np.empty((*sums.shape, sums.shape[1]))
    for j in range(sums.shape[1]):
        information[:, j, :] = cluster_sums(design * (weight * design[:, j])[:, None], clusters)
    adjusted, n_saturated = leverage_adjusted(sums, information, root.jacobian, power=0.5)
    # The meat sums within clusters, so each cluster's total may sit on any one of its rows.
    moments = np.zeros_like(root.moments)
    moments[np.unique(clusters, return_index=True)[1]] = adjusted
    return moments, n_saturated
