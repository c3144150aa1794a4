"""Estimates made after the fit: what comes of each repeat, and linear combinations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..crossfit import combine_repeats
from ..hypotheses import read_constraints
from ..inference import Estimates
from ..reference import described
from .engine import gold_only, labels_spent, mean_share
from .numerics import Parts, Variance
from .options import VarianceOptions, variance_of
from .solutions import Solution, combined_solution

if TYPE_CHECKING:
    from .fitted import Fitted

Array = NDArray[np.float64]


def over_repeats(
    fitted: Fitted,
    options: VarianceOptions,
    names: Sequence[str],
    of_repeat: Callable[[Array, Solution | None], tuple[Array, Variance]],
) -> Estimates:
    """Return new estimates with the header and the reference distribution of the fit.

    Parameters
    ----------
    fitted : Fitted
    options : VarianceOptions
    names : sequence of str of length q
    of_repeat : callable
        Maps one repeat's predictions and the gold-only solution to q values and their variance.
    """
    data = fitted.data
    alone, _ = gold_only(data, options, "both")
    points, covariances, from_labels = [], [], []
    influence: Array | None = np.zeros((data.n_rows, len(names)))
    for prediction in fitted.predictions:
        point, variance = of_repeat(prediction, alone)
        points.append(point)
        covariances.append(variance.cov)
        from_labels.append(variance.from_labels)
        # A running sum: the influence values of all repeats would not fit into memory.
        influence = None if variance.moments is None else influence
        if influence is not None:
            influence += variance.influence
    params, cov, split_cov = combine_repeats(np.stack(points), np.stack(covariances))
    fit = fitted.fit
    df = options.degrees_of_freedom(data, labels_spent(data, fit.weights), mean_share(from_labels))
    header = dict(fit.estimates.header)
    header["Covariance"] = header["Covariance"].replace(described(fit.estimates.df), described(df))
    return replace(
        fit.estimates,
        params=params,
        cov=cov,
        split_cov=split_cov,
        influence=None if influence is None else influence / len(points),
        names=tuple(names),
        df=df,
        header=header,
    )


def tuned_combinations(
    fitted: Fitted, options: VarianceOptions, weights: Any, names: Sequence[str] | None
) -> Estimates:
    """Return linear combinations of the coefficients, each tuned for itself."""
    results = fitted.fit.estimates
    plain = results.linear_combination(weights, names)
    if not fitted.fit.weights or options.tuning == "matrix":
        return plain
    matrix, _, _, _ = read_constraints(weights, None, results.names)
    data = fitted.data
    # Combinations are functions of the parameters, which alone are to be counted.
    n_others = data.n_absorbed + matrix.shape[1] - len(matrix)

    def of_repeat(prediction: Array, alone: Solution | None) -> tuple[Array, Variance]:
        values, parts = zip(
            *(combined_solution(data, prediction, row, alone) for row in matrix), strict=True
        )
        variance = variance_of(_stacked(parts), options, data, n_absorbed=n_others)
        return np.array(values), variance

    return over_repeats(fitted, options, plain.names, of_repeat)


def _stacked(parts: Sequence[Parts]) -> Parts:
    """Put the parts of single values side by side."""
    corrections = [part.correction for part in parts if part.correction is not None]
    return Parts(
        np.hstack([part.moments for part in parts]),
        np.eye(len(parts)),
        np.hstack([part.errors for part in parts]),
        parts[0].labelled,
        np.hstack(corrections) if len(corrections) == len(parts) else None,
    )
