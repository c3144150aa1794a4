"""Moments without the leverage of their own row or cluster: HC2, HC3 and CR2."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...covariance import cluster_sums, leverage_adjusted
from .equation import Problem
from .models import IndexModel
from .solver import Root

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


def leverage_free(
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
        (problem.predicted_at_gold, float(problem.share) * (analysis - problem.gold_weight)),
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
