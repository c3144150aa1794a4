"""From data and options to estimates: one root per repeat, and their combination."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..crossfit import CrossFit, combine_repeats
from ..inference import Estimates
from .data import LabelledData
from .numerics import Problem, Root, Variance, solve
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
    roots, cov, n_saturated = [], [], 0
    # A running sum: the influence values of all repeats would not fit into memory.
    influence = np.zeros((data.n_rows, len(data.terms)))
    for prediction in predictions:
        root, variance = _one_repeat(data, prediction, options, source)
        roots.append(root)
        if variance is None:
            continue
        cov.append(variance.cov)
        n_saturated = max(n_saturated, variance.n_saturated)
        variance.add_influence(influence)
        del variance  # or else its moments would stay during the next repeat
    separated = report(data, roots, n_saturated)
    results: dict[str, Any]
    if len(cov) < len(roots):
        results = _without_solution(roots)
    else:
        params, combined, split_cov = combine_repeats(
            np.stack([root.beta for root in roots]), np.stack(cov)
        )
        results = {"params": params, "cov": combined, "split_cov": split_cov}
        influence /= len(cov)
        results["influence"] = influence
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


def _one_repeat(
    data: LabelledData, prediction: Array, options: VarianceOptions, source: Source
) -> tuple[Root, Variance | None]:
    """Return the root without its moments, which are large, and its variance if it has one."""
    problem = _problem(data, prediction, source)
    problem.model.check(problem.predicted, "predicted")
    root = solve(problem)
    variance = None
    if root.status in ("converged", "not converged"):
        variance = variance_of(
            problem, root, options, clusters=data.clusters, n_absorbed=data.n_absorbed
        )
    return root._replace(moments=np.empty((0, 0))), variance


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
