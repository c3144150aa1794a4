"""From arrays and options to estimates: one fit per repeat, their combination, the header."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..covariance import Codes, CovarianceWarning, describe_covariance, n_clusters
from ..crossfit import CrossFit, combine_repeats
from ..inference import Estimates
from .diagnostics import DSLDiagnostics, SeparationWarning, SolverWarning
from .numerics import (
    IndexModel,
    Problem,
    Root,
    Sample,
    Variance,
    collinear_column,
    population_variance,
    solve,
    superpopulation_variance,
)

Array = NDArray[np.float64]

COVARIANCES = ("auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2")
DESIGNS = ("poisson", "srswor")
TARGETS = ("superpopulation", "population")


@dataclass(frozen=True)
class LabelledData:
    """Validated data of one fit.

    Attributes
    ----------
    model : IndexModel
    design : ndarray of shape (n, k)
    terms : tuple of str
        Names of its columns.
    has_intercept : bool
        Whether column 0 of the design is the constant.
    outcome : ndarray of shape (n,)
        NaN on rows without a gold label.
    probability : ndarray of shape (n,)
        Sampling probabilities, rescaled by ``factor``.
    factor : float
    clusters : ndarray of int of shape (n,) or (n, 2), or None
    facts : dict
        Header facts known from the input.
    """

    model: IndexModel
    design: Array
    terms: tuple[str, ...]
    has_intercept: bool
    outcome: Array
    probability: Array
    factor: float
    clusters: Codes | None
    facts: dict[str, str]

    @property
    def labelled(self) -> Codes:
        """Positions of the rows with a gold label."""
        return np.flatnonzero(~np.isnan(self.outcome))

    @property
    def is_complete(self) -> bool:
        """Whether every row is labelled."""
        return not np.isnan(self.outcome).any()

    @property
    def effective_labels(self) -> float:
        """Kish's effective number of labels."""
        weight = 1.0 / self.probability[self.labelled]
        return float(weight.sum() ** 2 / (weight @ weight))


@dataclass(frozen=True)
class VarianceOptions:
    """How the variance is to be estimated: kind, sampling design, target."""

    covariance: str
    design: str
    target: str

    def __post_init__(self) -> None:
        choices = {"covariance": COVARIANCES, "design": DESIGNS, "target": TARGETS}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not one of {', '.join(map(repr, allowed))}."
                )
        if self.target == "population" and self.covariance != "auto":
            raise ValueError(
                f'covariance={self.covariance!r} does not apply with target="population", where '
                'only the draw of the labelled rows is random; leave covariance="auto".'
            )

    def kind(self, clusters: Codes | None) -> str:
        """Return the covariance with "auto" resolved, or raise if it does not fit the clusters."""
        if self.covariance == "auto":
            return "HC0" if clusters is None else "CR0"
        if self.covariance.startswith("CR") and clusters is None:
            raise ValueError(f"covariance={self.covariance!r} needs clusters; pass them to fit.")
        if self.covariance.startswith("HC") and clusters is not None:
            raise ValueError(
                f"covariance={self.covariance!r} would ignore the clusters given to fit; choose "
                "CR0, CR1 or CR2."
            )
        if self.covariance == "CR2" and clusters is not None and clusters.ndim == 2:
            raise ValueError(
                "CR2 is defined for one-way clusters; use CR0 or CR1 for two-way ones."
            )
        return self.covariance

    def degrees_of_freedom(self, data: LabelledData) -> float | None:
        """Return the df of the t reference, or None for the normal (HC0, CR0)."""
        kind = self.kind(data.clusters)
        if kind in ("HC0", "CR0") or self.target == "population":
            return None
        df = data.effective_labels - len(data.terms)
        if data.clusters is not None:
            df = min(df, n_clusters(data.clusters) - 1)
        if df < 1:
            raise ValueError(
                f"covariance={kind!r} refers to t with {df:.3g} degrees of freedom: "
                f"{data.effective_labels:.1f} effective labels for {len(data.terms)} "
                "coefficients are too few."
            )
        return df


def check_rank(data: LabelledData) -> None:
    """Raise if columns are collinear, in the frame or among the labelled rows."""
    for rows, where in ((slice(None), ""), (data.labelled, " among the labelled rows")):
        design = data.design[rows]
        if len(design) < design.shape[1]:
            raise ValueError(
                f"{len(design)} rows{where} cannot identify {design.shape[1]} coefficients "
                f"({', '.join(data.terms[:8])}); label more rows or use fewer columns."
            )
        found = collinear_column(design, has_intercept=data.has_intercept)
        if found is None:
            continue
        column, others = found
        names = " + ".join(repr(data.terms[j]) for j in others[:6])
        cause = f"is a linear combination of {names}" if names else "is zero"
        advice = "Leave one of them out."
        if others == [0] and data.has_intercept:
            cause, advice = "is constant", "Leave it out; the intercept takes its place."
        if where:
            advice = (
                "The gold labels say nothing about it: label rows where it varies, or leave it out."
            )
        raise ValueError(f"X: column {data.terms[column]!r} {cause}{where}. {advice}")


def estimate(
    data: LabelledData,
    predictions: Array,
    options: VarianceOptions,
    *,
    title: str,
    share: float = 1.0,
    fitted: CrossFit | None = None,
) -> tuple[Estimates, DSLDiagnostics, Array]:
    """Solve the equation for every repeat and combine.

    Parameters
    ----------
    data : LabelledData
    predictions : ndarray of shape (n_repeats, n)
    options : VarianceOptions
    title : str
    share : float, default=1.0
        Weight of the predictions; 0 is the gold-only estimator.
    fitted : CrossFit, default=None
        Where the predictions come from, for the diagnostics.

    Returns
    -------
    estimates : Estimates
    diagnostics : DSLDiagnostics
    point : ndarray of shape (k,)
        Finite coefficients for prediction; those of the estimates unless separated.
    """
    df = options.degrees_of_freedom(data)
    roots, pieces = [], []
    for prediction in predictions:
        problem = _problem(data, prediction, share)
        root = solve(problem)
        roots.append(root)
        if root.status in ("converged", "not converged"):
            pieces.append(_variance(problem, root, data, options))
    separated = _report(roots, pieces, data)
    results = _without_solution(roots) if len(pieces) < len(roots) else _combined(roots, pieces)
    header = _header(data, options, fitted, share)
    is_population = options.target == "population"
    estimates = Estimates(
        **results,
        names=data.terms,
        n_obs=len(data.outcome),
        df=df,
        clusters=None if is_population else data.clusters,
        reclusterable=not is_population,
        header=header,
        title=title,
    )
    betas = np.stack([root.beta for root in roots])
    point = np.where(np.isfinite(estimates.params), estimates.params, np.median(betas, axis=0))
    diagnostics = DSLDiagnostics(
        n_labelled=len(data.labelled),
        effective_labels=data.effective_labels,
        probability_factor=data.factor,
        learners=fitted.learners if fitted else (),
        learner_losses=fitted.losses if fitted else (),
        residuals=tuple(root.residual for root in roots),
        n_iterations=tuple(root.n_iterations for root in roots),
        converged=all(root.status == "converged" for root in roots),
        separated=separated,
        saturated_units=max((piece.n_saturated for piece in pieces), default=0),
        split_std=betas.std(axis=0, ddof=1 if len(betas) > 1 else 0),
    )
    return estimates, diagnostics, point


def _problem(data: LabelledData, prediction: Array, share: float) -> Problem:
    labelled = data.labelled
    return Problem(
        model=data.model,
        predicted=Sample(data.design, prediction),
        gold=Sample(data.design[labelled], data.outcome[labelled]),
        labelled=labelled,
        probability=data.probability[labelled],
        share=share,
    )


def _variance(
    problem: Problem, root: Root, data: LabelledData, options: VarianceOptions
) -> Variance:
    fixed_size = options.design == "srswor"
    if options.target == "population":
        return population_variance(problem, root, fixed_size=fixed_size)
    return superpopulation_variance(
        problem,
        root,
        kind=options.kind(data.clusters),
        clusters=data.clusters,
        fixed_size=fixed_size,
    )


def _combined(roots: list[Root], pieces: list[Variance]) -> dict[str, Any]:
    params, cov, split_cov = combine_repeats(
        np.stack([root.beta for root in roots]), np.stack([piece.cov for piece in pieces])
    )
    influence = sum(piece.influence for piece in pieces[1:]) + pieces[0].influence
    return {
        "params": params,
        "cov": cov,
        "influence": influence / len(pieces),
        "split_cov": split_cov,
    }


def _without_solution(roots: list[Root]) -> dict[str, Any]:
    """Return infinite estimates along the separating directions and no numbers elsewhere."""
    directions = np.sign(np.median([root.direction for root in roots], axis=0))
    for root in roots:
        directions = np.where(directions == 0.0, np.sign(root.direction), directions)
    params = np.select([directions > 0.0, directions < 0.0], [np.inf, -np.inf], np.nan)
    return {"params": params, "cov": np.full((len(params), len(params)), np.nan)}


def _report(roots: list[Root], pieces: list[Variance], data: LabelledData) -> tuple[str, ...]:
    """Warn about everything that went wrong in the repeats; return the separated terms."""
    level = 5  # whoever called fit
    statuses = Counter(root.status for root in roots)
    runs_away = np.any([root.direction != 0.0 for root in roots], axis=0)
    separated = tuple(term for term, away in zip(data.terms, runs_away, strict=True) if away)
    total = f" (in {statuses['separated']} of {len(roots)} splits)" if len(roots) > 1 else ""
    if separated:
        warnings.warn(
            f"No finite solution{total}: {', '.join(map(repr, separated))} separate the classes "
            "among the labelled rows. Their estimates are infinite and there are no standard "
            "errors; merge rare categories, leave the columns out, or label more rows.",
            SeparationWarning,
            stacklevel=level,
        )
    elif statuses["diverged"]:
        warnings.warn(
            f"The estimating equation has no solution that could be found ({statuses['diverged']} "
            f"of {len(roots)} splits diverged); all estimates are NaN. There may be too few "
            "labelled rows for this model.",
            SolverWarning,
            stacklevel=level,
        )
    if statuses["not converged"]:
        worst = max(root.residual for root in roots)
        warnings.warn(
            f"The estimating equation was not solved to tolerance in {statuses['not converged']} "
            f"of {len(roots)} splits (largest relative mean moment {worst:.1e}).",
            SolverWarning,
            stacklevel=level,
        )
    saturated = max((piece.n_saturated for piece in pieces), default=0)
    if saturated:
        warnings.warn(
            f"{saturated} rows or clusters have leverage 1 (they alone determine a coefficient); "
            "the leverage correction leaves them without contribution, so that the standard error "
            "of that coefficient is not to be trusted.",
            CovarianceWarning,
            stacklevel=level,
        )
    return separated


def _header(
    data: LabelledData, options: VarianceOptions, fitted: CrossFit | None, share: float
) -> dict[str, str]:
    n_rows, n_labelled = len(data.outcome), len(data.labelled)
    facts = dict(data.facts)
    facts["Rows"] = f"{n_rows:,}"
    facts["Gold labels"] = f"{n_labelled:,} ({n_labelled / n_rows:.1%})"
    if data.is_complete:
        facts["Gold labels"] = "all rows"
        facts.pop("Surrogates", None)
    elif share == 0.0:
        facts.pop("Surrogates", None)
    else:
        facts["Learner"] = _learner_fact(fitted)
    if not data.is_complete:
        probability = data.probability[data.labelled]
        is_equal = np.ptp(data.probability) < 1e-12
        facts["Sampling"] = "simple random" if options.design == "srswor" else "Poisson"
        if not is_equal:
            facts["Sampling"] += (
                f", probabilities {probability.min():.3g} to {probability.max():.3g}"
            )
            facts["Effective labels"] = f"{data.effective_labels:,.0f}"
    if options.target == "population":
        facts["Target"] = "these rows (population)"
        facts["Covariance"] = "design-based, normal reference"
    else:
        facts["Target"] = "superpopulation"
        kind = options.kind(data.clusters)
        facts["Covariance"] = describe_covariance(
            kind, data.clusters, options.degrees_of_freedom(data)
        )
    return facts


def _learner_fact(fitted: CrossFit | None) -> str:
    if fitted is None:
        return "none, surrogate as it is"
    counts = Counter(fitted.learners)
    if len(counts) == 1:
        names = next(iter(counts))
    else:
        names = ", ".join(f"{name} in {count}" for name, count in counts.most_common())
    n = len(fitted.learners)
    return f"{names} ({n} split{'s' if n > 1 else ''})"
