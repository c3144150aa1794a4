"""Comparison of methods that saw the same data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trueness.validation import check_level, did_you_mean

from .frame import Study, read_study
from .groups import Array, Codes, Groups
from .measures import Measure, Replicates, average, has_interval, root
from .results import Performance, stack


def compare_methods(
    frame: Any,
    reference: str,
    by: Sequence[str] | str | None = None,
    *,
    level: float = 0.95,
    alpha: float = 0.05,
    converged_only: bool = False,
) -> Performance:
    r"""Compare methods with a reference, replicate by replicate.

    Methods that are given the same data have correlated errors, so that a difference between them
    is known more precisely than either. For the errors :math:`e_i` of a method and
    :math:`e_{i0}` of the reference:

    =====================  ======================================================================
    bias_difference        mean of :math:`e_i - e_{i0}`
    empirical_se_ratio     ratio of the standard deviations of :math:`e_i` and :math:`e_{i0}`
    mse_ratio, rmse_ratio  ratio of the means of :math:`e_i^2` and :math:`e_{i0}^2`, and its root
    coverage_difference    difference of the shares of intervals that hold the estimand
    rejection_difference   difference of the shares of p values of at most alpha
    width_ratio            ratio of the mean widths of the intervals
    =====================  ======================================================================

    Each rests on the replicates in which both methods have what it needs (``n_used``). Where a
    method fails often, these are replicates that it finds easy.

    Parameters
    ----------
    frame : DataFrame
        As for `performance`.
    reference : str
        Name of the method that the others are compared with.
    by : sequence of str or str, default=None
        Parameters of the grid that tell cells apart; all if None.
    level : float, default=0.95
        Nominal level of the intervals in the frame.
    alpha : float, default=0.05
        Level of the tests, in (0, 1).
    converged_only : bool, default=False
        Leave out estimates that did not converge.

    Returns
    -------
    Performance
        A row for every method but the reference.

    Raises
    ------
    ValueError
        As in `performance`; if there is no such method, no other one, or no replicate and term
        that the reference shares with another method.

    Notes
    -----
    Monte Carlo standard errors are those of means of pairs, by the delta method for ratios: with
    the mean squares M and :math:`M_0`, the ratio :math:`M / M_0` has the error
    :math:`(M / M_0) \operatorname{sd}(e_i^2 / M - e_{i0}^2 / M_0) / \sqrt n`.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from trueness.simulations.performance import compare_methods
    >>> samples = np.random.default_rng(0).normal(loc=1, size=(1000, 20))
    >>> estimates = {"mean": samples.mean(axis=1), "median": np.median(samples, axis=1)}
    >>> frame = pd.concat(
    ...     pd.DataFrame({"replicate": range(1000), "method": name, "term": "mu", "estimate": x})
    ...     for name, x in estimates.items()
    ... )
    >>> result = compare_methods(frame.assign(estimand=1.0), reference="mean")
    >>> print(result.summary(["bias_difference", "mse_ratio"]))
    Comparison with mean on the same data
    ================================================================
    Term        mu                    Replicates  1,000
    ----------------------------------------------------------------
    Method  Bias difference  MSE ratio
    ----------------------------------------------------------------
    median         -0.0051      1.434
                   (0.0048)    (0.047)
    ================================================================
    Monte Carlo standard errors in parentheses.
    Differences are method minus mean, ratios method over it.
    """
    check_level(level)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} must lie between 0 and 1, for example 0.05.")
    study = read_study(frame, by, converged_only)
    ours, theirs = _pairs(study, reference)
    measures = paired_measures(study.replicates(ours), study.replicates(theirs), alpha)
    others = (study.keys["method"] != reference).to_numpy(bool)
    kept = {
        name: Measure(measure.value[others], measure.mcse[others], measure.n[others])
        for name, measure in measures.items()
    }
    return Performance(
        frame=stack(study.keys[others], study.n_replicates[others], kept),
        parameters=study.parameters,
        measures=tuple(kept),
        level=level,
        alpha=alpha,
        reference=reference,
    )


def _pairs(study: Study, reference: str) -> tuple[Codes, Codes]:
    """Return the rows of the other methods, and of the reference on the same occasions."""
    methods = study.keys["method"].drop_duplicates().tolist()
    if reference not in methods:
        raise ValueError(f"There is no method {reference!r}.{did_you_mean(reference, methods)}")
    if len(methods) == 1:
        raise ValueError(f"{reference!r} is the only method; there is nothing to compare it with.")
    is_reference = (study.keys["method"] == reference).to_numpy(bool)
    rows = np.flatnonzero(study.usable)
    from_reference = is_reference[study.codes[rows]]
    partner = np.full(study.occasions.max() + 1, -1)
    partner[study.occasions[rows[from_reference]]] = rows[from_reference]
    others = rows[~from_reference]
    theirs = partner[study.occasions[others]]
    if not (theirs >= 0).any():
        terms = study.keys.groupby("method", sort=False)["term"].unique()
        listed = "; ".join(f"{name}: {', '.join(map(str, own))}" for name, own in terms.items())
        raise ValueError(
            f"No method has an estimate of a term in a replicate where {reference!r} has one. "
            f"The terms are {listed}."
        )
    return others[theirs >= 0], theirs[theirs >= 0]


def paired_measures(ours: Replicates, theirs: Replicates, alpha: float) -> dict[str, Measure]:
    """Return the measures of each group of ``ours``, whose rows are paired with ``theirs``."""
    groups = ours.groups
    centred = [groups.centre(data.deviation) ** 2 for data in (ours, theirs)]
    mse = ratio(groups, ours.error**2, theirs.error**2)
    return {
        "bias_difference": average(groups, ours.error - theirs.error),
        "empirical_se_ratio": root(ratio(groups, *centred)),
        "mse_ratio": mse,
        "rmse_ratio": root(mse),
        "coverage_difference": average(groups, _covers(ours) - _covers(theirs)),
        "rejection_difference": average(groups, _rejects(ours, alpha) - _rejects(theirs, alpha)),
        "width_ratio": ratio(groups, _width(ours), _width(theirs)),
    }


def ratio(groups: Groups, x: Array, y: Array) -> Measure:
    """Return the ratio of the means of x and y over the pairs that are known."""
    known = ~(np.isnan(x) | np.isnan(y))
    groups, x, y = groups.select(known), x[known], y[known]
    mean_x, mean_y = groups.mean(x), groups.mean(y)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = mean_x / mean_y
        influence = (x - groups.spread(value) * y) / groups.spread(mean_y)
    return Measure.of(groups, value, influence)


def _covers(data: Replicates) -> Array:
    covers = (data.conf_low <= data.estimand) & (data.estimand <= data.conf_high)
    return np.where(has_interval(data) & ~np.isnan(data.estimand), covers, np.nan)


def _rejects(data: Replicates, alpha: float) -> Array:
    return np.where(np.isnan(data.p_value), np.nan, data.p_value <= alpha)


def _width(data: Replicates) -> Array:
    return np.where(has_interval(data), data.conf_high - data.conf_low, np.nan)
