"""From data and options to estimates: one root per repeat, and their combination."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..crossfit import CrossFit, combine_repeats
from ..inference import Estimates
from .data import LabelledData
from .numerics import Problem, Root, solve
from .options import VarianceOptions, variance_of
from .reporting import describe, report

Array = NDArray[np.float64]
Source = Literal["both", "gold", "predictions"]


class Fit(NamedTuple):
    """What came of one estimation.

    Attributes
    ----------
    estimates : Estimates
    point : ndarray of shape (p,)
        Finite parameters for prediction; those of the estimates unless separated.
    roots : tuple of Root
        One per repeat, without their moments.
    separated : tuple of str
        Terms without a finite estimate.
    n_saturated : int
        Rows or clusters with leverage 1, largest over repeats.
    """

    estimates: Estimates
    point: Array
    roots: tuple[Root, ...]
    separated: tuple[str, ...]
    n_saturated: int


def estimate(
    data: LabelledData,
    predictions: Array,
    options: VarianceOptions,
    *,
    title: str,
    source: Source = "both",
    fitted: CrossFit | None = None,
) -> Fit:
    """Solve the equation for every repeat and combine.

    Parameters
    ----------
    data : LabelledData
    predictions : ndarray of shape (n_repeats, n, n_columns)
    options : VarianceOptions
    title : str
    source : {"both", "gold", "predictions"}, default="both"
        "gold" gives the predictions no weight; "predictions" takes them for the truth.
    fitted : CrossFit, default=None
        Where the predictions come from, for the header and the diagnostics.

    Returns
    -------
    Fit
    """
    df = options.degrees_of_freedom(data)
    roots, cov, influence, n_saturated = [], [], None, 0
    for prediction in predictions:
        problem = _problem(data, prediction, source)
        problem.model.check(problem.predicted, "predicted")
        root = solve(problem)
        roots.append(root._replace(moments=np.empty((0, 0))))
        if root.status not in ("converged", "not converged"):
            continue
        piece = variance_of(
            problem, root, options, clusters=data.clusters, n_absorbed=data.n_absorbed
        )
        cov.append(piece.cov)
        # A running sum: the influence values of all repeats would not fit into memory.
        influence = piece.influence if influence is None else influence + piece.influence
        n_saturated = max(n_saturated, piece.n_saturated)
    separated = report(data, roots, n_saturated)
    results: dict[str, Any]
    if influence is None or len(cov) < len(roots):
        results = _without_solution(roots)
    else:
        params, combined, split_cov = combine_repeats(
            np.stack([root.beta for root in roots]), np.stack(cov)
        )
        results = {"params": params, "cov": combined, "split_cov": split_cov}
        results["influence"] = influence / len(cov)
    is_population = options.target == "population"
    estimates = Estimates(
        **results,
        names=data.terms,
        n_obs=data.n_rows,
        df=df,
        n_params=len(data.terms) + data.n_absorbed,
        clusters=None if is_population else data.clusters,
        reclusterable=not is_population,
        header=describe(data, options, fitted, source),
        title=title,
    )
    betas = np.stack([root.beta for root in roots])
    point = np.where(np.isfinite(estimates.params), estimates.params, np.median(betas, axis=0))
    return Fit(estimates, point, tuple(roots), separated, n_saturated)


def _problem(data: LabelledData, prediction: Array, source: Source) -> Problem:
    if source == "predictions":
        return data.uncorrected(prediction)
    return data.problem(prediction, share=0.0 if source == "gold" else 1.0)


def _without_solution(roots: list[Root]) -> dict[str, Any]:
    """Return infinite estimates along the separating directions and no numbers elsewhere."""
    directions = np.sign(np.median([root.direction for root in roots], axis=0))
    for root in roots:
        directions = np.where(directions == 0.0, np.sign(root.direction), directions)
    params = np.select([directions > 0.0, directions < 0.0], [np.inf, -np.inf], np.nan)
    return {"params": params, "cov": np.full((len(params), len(params)), np.nan)}
