r"""Questions asked after the fit: intervals for means, first differences, average effects.

All are smooth functions of the coefficients, whose covariance and influence values the delta method
carries over. An average effect over the rows of the fit is more: the covariates of these rows are a
sample too, and some may be predicted. It is therefore estimated like the coefficients, by a
bias-corrected moment that is stacked with theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import validation
from ..inference import Estimates
from .combinations import over_repeats
from .data import LabelledData
from .engine import solution_of
from .fitted import Fitted
from .numerics import Problem, Root, Variance
from .numerics.averages import Averages, average_shares, average_solution
from .numerics.responses import Response
from .options import LEVERAGE_KINDS, VarianceOptions, variance_of
from .solutions import Solution
from .versions import Edit, Versions

Array = NDArray[np.float64]

# Step of a central difference in standard deviations of the variable: balances its error, of second
# order, against rounding.
RELATIVE_STEP = float(np.finfo(float).eps ** (1 / 3))


# ---------------------------------------------------------------------- at given rows


def mean_intervals(
    results: Estimates, response: Response, design: Array, level: float
) -> dict[str, Array]:
    r"""Return estimates and intervals of the means at every row, each of shape (n, n_outcomes).

    The interval is :math:`f(\hat\eta \pm c\, \mathrm{se}(\hat\eta))` by the delta method for the
    index; the standard error is :math:`f'(\hat\eta)\, \mathrm{se}(\hat\eta)`.
    """
    # A mean takes in all coefficients, so that the widest reference holds.
    critical = float(np.max(results.critical_value(level)))
    columns: dict[str, list[Array]] = {
        name: [] for name in ("estimate", "std_error", "conf_low", "conf_high")
    }
    for j in range(response.n_outcomes):
        index = response.index(design, results.params, j)
        gradient = response.index_gradient(design, results.params, j)
        std_error = np.sqrt(np.einsum("ij,ij->i", gradient @ results.cov, gradient))
        columns["estimate"].append(response.link_inverse(index))
        columns["std_error"].append(response.slope(index) * std_error)
        columns["conf_low"].append(response.link_inverse(index - critical * std_error))
        columns["conf_high"].append(response.link_inverse(index + critical * std_error))
    return {name: np.column_stack(parts) for name, parts in columns.items()}


def mean_differences(
    results: Estimates, response: Response, start: Array, end: Array, names: Sequence[str]
) -> Estimates:
    """Return means at the rows of one design minus those of another, class by class."""

    def difference(beta: Array) -> Array:
        return (response.mean(end, beta) - response.mean(start, beta)).T.ravel()

    def jacobian(beta: Array) -> Array:
        return np.vstack(
            [
                response.gradient(end, beta, j) - response.gradient(start, beta, j)
                for j in range(response.n_outcomes)
            ]
        )

    return results.delta_method(difference, names, jacobian)


# ---------------------------------------------------------------------- average effects


@dataclass(frozen=True)
class Contrast:
    r"""The effect of one variable, :math:`h = [\mu(x_{high}) - \mu(x_{low})] / span`.

    Attributes
    ----------
    name : str
    low, high : callable
        Edits of the raw covariates.
    span : float
        1 for a discrete change, the distance of the two values for a derivative.
    change : str
        What is compared, in words; empty for a derivative.
    """

    name: str
    low: Edit
    high: Edit
    span: float = 1.0
    change: str = ""


def contrasts_of(versions: Versions, variables: str | Sequence[str] | None) -> list[Contrast]:
    """Return the effects of some variables, by default of all that vary.

    Raises
    ------
    ValueError
        If a name is unknown or given twice, or no variable is left.
    """
    known = versions.variables
    if variables is None:
        names = [name for name in known if _varies(versions, name)]
    else:
        names = [variables] if isinstance(variables, str) else list(variables)
        for name in names:
            if name not in known:
                near = validation.did_you_mean(name, known)
                raise ValueError(
                    f"variables: the model has no variable {name!r}.{near} It has "
                    f"{', '.join(map(repr, known))}."
                )
        if len(set(names)) < len(names):
            raise ValueError("variables: a variable is named twice.")
    if not names:
        raise ValueError("variables: there is none whose effect could be averaged.")
    return [contrast for name in names for contrast in _contrasts(versions, name)]


def _varies(versions: Versions, variable: str) -> bool:
    if versions.levels_of(variable) is not None:
        return True
    return bool(np.ptp(versions.known_values(variable)) > 0.0)


def _contrasts(versions: Versions, variable: str) -> list[Contrast]:
    levels = versions.levels_of(variable)
    if levels is not None:
        reference, *others = levels
        low = versions.set_to(variable, reference)
        return [
            Contrast(
                f"{variable}[{level}]",
                low,
                versions.set_to(variable, level),
                change=f"{variable} (from {reference!r})",
            )
            for level in others
        ]
    values = versions.known_values(variable)
    if np.isin(values, (0.0, 1.0)).all():
        low, high = versions.set_to(variable, 0.0), versions.set_to(variable, 1.0)
        return [Contrast(variable, low, high, change=f"{variable} (0 to 1)")]
    # A power of two, so that most sums of value and step are exact.
    size = float(values.std()) or max(1.0, float(np.abs(values).max()))
    step = 2.0 ** round(np.log2(RELATIVE_STEP * size))
    low, high = versions.shifted(variable, -step), versions.shifted(variable, step)
    return [Contrast(variable, low, high, 2.0 * step)]


def effect_names(contrasts: Sequence[Contrast], classes: Sequence[Any]) -> list[str]:
    """Return the names of the effects, class by class."""
    names = [contrast.name for contrast in contrasts]
    return [f"{label}: {name}" for label in classes for name in names] if classes else names


def effects_at_rows(
    results: Estimates,
    response: Response,
    versions: Versions,
    rows: Any,
    contrasts: Sequence[Contrast],
    names: Sequence[str],
) -> Estimates:
    """Return average effects over given complete rows, which count as fixed."""
    beta, averages, gradients = results.params, [], []
    for contrast in contrasts:
        high, low = (versions.design_of(edit(rows)) for edit in (contrast.high, contrast.low))
        change = response.mean(high, beta) - response.mean(low, beta)
        weight = np.full(len(high), 1.0 / len(high))
        gradient = response.total_gradient(high, beta, weight)
        gradient = gradient - response.total_gradient(low, beta, weight)
        averages.append(change.mean(axis=0) / contrast.span)
        gradients.append(gradient / contrast.span)
    tau = np.stack(averages, axis=1).ravel()
    jacobian = np.stack(gradients, axis=1).reshape(len(tau), -1)
    effects = results.delta_method(lambda _: tau, names, lambda _: jacobian)
    note = f"{len(high):,} rows given as X, taken as fixed"
    return _described(effects, contrasts, note)


def effects_at_fit(
    fitted: Fitted,
    options: VarianceOptions,
    response: Response,
    contrasts: Sequence[Contrast],
    names: Sequence[str],
) -> Estimates:
    """Return bias-corrected average effects over the rows of the fit, which are a sample."""
    data = fitted.data

    def of_repeat(prediction: Array, alone: Solution | None) -> tuple[Array, Variance]:
        solution = solution_of(data, prediction, options, "both", alone)
        return _averages_of(solution, data, options, prediction, response, contrasts)

    effects = over_repeats(fitted, options, names, of_repeat)
    return _described(effects, contrasts, f"the {data.n_rows:,} rows of the fit")


def _averages_of(
    solution: Solution,
    data: LabelledData,
    options: VarianceOptions,
    prediction: Array,
    response: Response,
    contrasts: Sequence[Contrast],
) -> tuple[Array, Variance]:
    """Return the averages of one repeat, and their variance."""
    problem, model = solution.problem, solution.parts
    assert problem is not None and model is not None
    averages = _averages(problem, data.versions, prediction, solution.root, response, contrasts)
    n_averages, n_params = averages.gradient.shape
    share = np.ones(n_averages)
    if solution.weights is not None and len(problem.labelled):
        share = average_shares(problem, model, averages, data.draw)
    tau, parts = average_solution(problem, model, averages, share, data.draw)
    needs_leverage = options.covariance in LEVERAGE_KINDS
    plain = replace(options, covariance="auto") if needs_leverage else options
    # Averages are functions of the parameters, which alone are to be counted.
    n_others = data.n_absorbed + n_params - n_averages
    variance = variance_of(parts, plain, data, n_absorbed=n_others)
    if not needs_leverage:
        return tau, variance
    before, after = (
        variance_of(
            model, choice, data, n_absorbed=data.n_absorbed, leverage_of=(problem, solution.root)
        ).cov
        for choice in (plain, options)
    )
    gradient = averages.gradient
    return tau, variance._replace(cov=variance.cov + gradient @ (after - before) @ gradient.T)


def _described(effects: Estimates, contrasts: Sequence[Contrast], rows: str) -> Estimates:
    changes = list(dict.fromkeys(contrast.change for contrast in contrasts if contrast.change))
    facts = {"Averaged over": rows}
    if changes:
        facts["Discrete changes"] = ", ".join(changes)
    title = f"Average marginal effects, {effects.title}"
    return replace(effects, header={**effects.header, **facts}, title=title)


def _averages(
    problem: Problem,
    versions: Versions,
    prediction: Array,
    root: Root,
    response: Response,
    contrasts: Sequence[Contrast],
) -> Averages:
    """Return all effects at one repeat's root, class by class as their names are."""
    parts = [
        _one_average(problem, versions, prediction, root, response, contrast)
        for contrast in contrasts
    ]
    gradient, gold_gradient = (
        np.stack(values, axis=1).reshape(-1, len(root.beta))
        for values in ([part.gradient for part in parts], [part.gold_gradient for part in parts])
    )
    # Rows by classes by variables, until the last two become one.
    predicted, gold = (
        np.stack(values, axis=2).reshape(-1, len(gradient))
        for values in ([part.predicted for part in parts], [part.gold for part in parts])
    )
    return Averages(predicted, gold, gradient, gold_gradient)


def _one_average(
    problem: Problem,
    versions: Versions,
    prediction: Array,
    root: Root,
    response: Response,
    contrast: Contrast,
) -> Averages:
    """Return one effect of every row, shape (n, n_outcomes), and its mean gradient."""
    parts = []
    for edit in (contrast.high, contrast.low):
        predicted = versions.predicted(prediction, edit)
        # Where every row is known there is no second version.
        is_partly = len(problem.labelled) > 0
        gold = (
            versions.gold(problem.labelled, edit) if is_partly else predicted.rows(problem.labelled)
        )
        gradients = [
            replace(problem, predicted=predicted, gold=gold, share=share).weighted_sum(
                lambda part, w: response.total_gradient(part.design, root.beta, w[:, 0])
            )
            / problem.n_rows
            for share in ((1.0, 0.0) if is_partly else (1.0, 1.0))
        ]
        means = [response.mean(part.design, root.beta) for part in (predicted, gold)]
        parts.append([*means, *gradients])
    high, low = parts
    return Averages(
        *((upper - lower) / contrast.span for upper, lower in zip(high, low, strict=True))
    )
