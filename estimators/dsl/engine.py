"""From data and options to estimates: one root per repeat, and their combination."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..covariance import CovarianceWarning
from ..crossfit import CrossFit, combine_repeats
from ..inference import Estimates
from .data import LabelledData
from .numerics import Root, Variance, Weights
from .options import LEVERAGE_KINDS, VarianceOptions, variance_of
from .reporting import describe, report
from .solutions import Solution, gold_solution, plain_solution, tuned_solution

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
    weights : tuple of Weights
        Tuning weights of each repeat; empty if nothing was tuned.
    alone : Solution or None
        Of the gold labels alone, without its moments; None if every row is labelled.
    gain : ndarray of shape (p,)
        Its variances as multiples of these.
    separated : tuple of str
        Terms without a finite estimate.
    n_saturated : int
        Rows, clusters or sampling units with leverage 1, largest over repeats.
    """

    estimates: Estimates
    point: Array
    roots: tuple[Root, ...]
    weights: tuple[Weights, ...]
    alone: Solution | None
    gain: Array
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
    alone, gold_variances = gold_only(data, options, source)
    solutions, cov, from_labels, n_saturated = [], [], [], 0
    # A running sum: the influence values of all repeats would not fit into memory.
    influence: Array | None = np.zeros((data.n_rows, len(data.terms)))
    for prediction in predictions[: 1 if source == "gold" else None]:
        solution = solution_of(data, prediction, options, source, alone)
        variance = _variance(solution, data, options)
        solutions.append(_without_moments(solution))
        if variance is None:
            continue
        cov.append(variance.cov)
        from_labels.append(variance.from_labels)
        n_saturated = max(n_saturated, variance.n_saturated + solution.n_saturated)
        if variance.moments is None:
            influence = None
        elif influence is not None:
            variance.add_influence(influence)
        del variance, solution  # or else their moments would stay during the next repeat
    separated = report(data, solutions, n_saturated)
    roots = tuple(solution.root for solution in solutions)
    results: dict[str, Any]
    if len(cov) < len(roots):
        results = _without_solution(roots)
    else:
        params, combined, split_cov = combine_repeats(
            np.stack([root.beta for root in roots]), np.stack(cov)
        )
        results = {"params": params, "cov": combined, "split_cov": split_cov}
        if influence is not None:
            influence /= len(cov)
            results["influence"] = influence
    weights = tuple(part.weights for part in solutions if part.weights is not None)
    gain = _gain(gold_variances, np.diag(results["cov"]), data)
    if source == "predictions":
        options = replace(options, tuning=None)
    spent = labels_spent(data, weights)
    df = options.degrees_of_freedom(data, spent, mean_share(from_labels))
    is_population = options.target == "population"
    estimates = Estimates(
        **results,
        names=data.terms,
        n_obs=data.n_rows,
        df=df,
        n_params=len(data.terms) + data.n_absorbed,
        clusters=None if is_population else data.clusters,
        reclusterable=not is_population,
        header=describe(data, options, fitted, source, df=df, weights=weights, gain=gain),
        title=title,
    )
    betas = np.stack([root.beta for root in roots])
    point = np.where(np.isfinite(estimates.params), estimates.params, np.median(betas, axis=0))
    light = None if alone is None else _without_moments(alone)
    return Fit(estimates, point, roots, weights, light, gain, separated, n_saturated)


def solution_of(
    data: LabelledData,
    prediction: Array,
    options: VarianceOptions,
    source: Source,
    alone: Solution | None,
) -> Solution:
    """Solve one repeat's equation."""
    if source == "gold":
        if alone is not None and options.covariance not in LEVERAGE_KINDS:
            return alone
        return plain_solution(data.problem(prediction, share=0.0))
    if source == "both" and options.tuning is not None and not data.is_complete:
        return tuned_solution(data, prediction, options.tuning, alone)
    problem = data.uncorrected(prediction) if source == "predictions" else data.problem(prediction)
    problem.model.check(problem.predicted, "predicted")
    return plain_solution(problem)


def mean_share(shares: Sequence[Array | None]) -> Array | None:
    """Return the mean over repeats of the share of the variances that labels contribute."""
    known = [share for share in shares if share is not None]
    return np.mean(known, axis=0) if known and len(known) == len(shares) else None


def labels_spent(data: LabelledData, weights: Sequence[Weights]) -> float:
    """Return how many labels go into fixed effects: those of the gold-only part of a tuned fit."""
    if data.absorbed is None or not weights:
        return 0.0
    share = 1.0 - float(np.mean([part.diagonal.mean() for part in weights]))
    return share * data.absorbed.among(data.labelled).rank


def gold_only(
    data: LabelledData, options: VarianceOptions, source: Source
) -> tuple[Solution | None, Array | None]:
    """Return the solution of the gold labels alone, and its variances."""
    if data.is_complete or source == "predictions":
        return None, None
    alone = gold_solution(data, small_sample=options.is_small_sample(data))
    if alone is None or not alone.is_solved:
        return alone, None
    with warnings.catch_warnings():
        # Of the gold labels alone, which nobody asked for.
        warnings.simplefilter("ignore", CovarianceWarning)
        variance = _variance(alone, data, replace(options, covariance="auto"))
    return alone, None if variance is None else np.diag(variance.cov)


def _variance(solution: Solution, data: LabelledData, options: VarianceOptions) -> Variance | None:
    if solution.parts is None:
        return None
    return variance_of(
        solution.parts,
        options,
        data,
        n_absorbed=data.n_absorbed,
        leverage_of=None if solution.problem is None else (solution.problem, solution.root),
    )


def _without_moments(solution: Solution) -> Solution:
    """Return a solution without what is as large as the data."""
    root = solution.root._replace(moments=np.empty((0, 0)))
    return replace(solution, problem=None, root=root, parts=None)


def _gain(gold: Array | None, variances: Array, data: LabelledData) -> Array:
    """Return the variances of the gold labels alone as multiples of the given ones."""
    if data.is_complete:
        return np.ones_like(variances)
    if gold is None:
        return np.full_like(variances, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variances > 0.0, gold / variances, np.nan)


def _without_solution(roots: Sequence[Root]) -> dict[str, Any]:
    """Return infinite estimates along the separating directions and no numbers elsewhere."""
    directions = np.sign(np.median([root.direction for root in roots], axis=0))
    for root in roots:
        directions = np.where(directions == 0.0, np.sign(root.direction), directions)
    params = np.select([directions > 0.0, directions < 0.0], [np.inf, -np.inf], np.nan)
    return {"params": params, "cov": np.full((len(params), len(params)), np.nan)}
