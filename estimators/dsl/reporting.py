"""What a fit says of itself: the header of its tables, and warnings about what went wrong."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..covariance import CovarianceWarning, describe_covariance
from ..crossfit import CrossFit
from ..reference import DegreesOfFreedom, described
from .data import LabelledData
from .diagnostics import FewLabelsWarning, SeparationWarning, SolverWarning, TuningWarning
from .numerics import Root, Weights
from .options import VarianceOptions
from .reading import Aligned
from .solutions import Solution
from .versions import Versions

Array = NDArray[np.float64]
LEVEL = 5  # whoever called fit
# Labels, sampling units and errors of the predictions below which coverage was found to suffer.
LEAST_LABELS, LEAST_LABELS_COVARIATE = 50, 100
LEAST_UNITS = 15
LEAST_ERRORS = 15


def report(data: LabelledData, solutions: Sequence[Solution], n_saturated: int) -> tuple[str, ...]:
    """Warn about everything that went wrong in the repeats; return the separated terms."""
    roots = [solution.root for solution in solutions]
    statuses = Counter(root.status for root in roots)
    runs_away = np.any([root.direction != 0.0 for root in roots], axis=0)
    separated = tuple(term for term, away in zip(data.terms, runs_away, strict=True) if away)
    total = f" (in {statuses['separated']} of {len(roots)} splits)" if len(roots) > 1 else ""
    if separated:
        warnings.warn(
            f"No finite solution{total}: {', '.join(map(repr, separated))} "
            f"{'separates' if len(separated) == 1 else 'separate'} the outcomes among the labelled "
            "rows (one class, or all zeros). Their estimates are infinite, without standard "
            "errors; merge rare categories, leave the columns out, or label more rows.",
            SeparationWarning,
            stacklevel=LEVEL,
        )
    elif statuses["diverged"]:
        warnings.warn(
            f"The estimating equation has no solution that could be found ({statuses['diverged']} "
            f"of {len(roots)} splits diverged); all estimates are NaN. There may be too few "
            "labelled rows for this model.",
            SolverWarning,
            stacklevel=LEVEL,
        )
    if statuses["not converged"]:
        worst = max(root.residual for root in roots)
        warnings.warn(
            f"The estimating equation was not solved to tolerance in {statuses['not converged']} "
            f"of {len(roots)} splits (largest relative mean moment {worst:.1e}).",
            SolverWarning,
            stacklevel=LEVEL,
        )
    indefinite = sum(root.status == "converged" and _is_indefinite(root) for root in roots)
    if indefinite:
        warnings.warn(
            f"In {indefinite} of {len(roots)} splits the derivative of the moments is not positive "
            "definite at the solution, which may then not be the only one: the gold labels are too "
            "few for predictions this poor. Label more rows or use better surrogates.",
            SolverWarning,
            stacklevel=LEVEL,
        )
    if n_saturated:
        warnings.warn(
            f"{n_saturated} rows or clusters have leverage 1 (they alone determine a coefficient); "
            "the leverage correction leaves them without contribution, so that the standard error "
            "of that coefficient is not to be trusted.",
            CovarianceWarning,
            stacklevel=LEVEL,
        )
    _warn_about_errors(data, solutions)
    notes = Counter(solution.note for solution in solutions if solution.note)
    for note, count in notes.items():
        what = "diagonal weights" if "matrix" in note else "gold labels alone"
        warnings.warn(
            f"Power tuning: {note} (in {count} of {len(solutions)} splits); {what} were used.",
            TuningWarning,
            stacklevel=LEVEL,
        )
    return separated


def warn_about_few(data: LabelledData, level: int) -> None:
    """Warn where intervals were found to cover less than they say, see `FewLabelsWarning`."""
    least = LEAST_LABELS if data.versions.shares_design else LEAST_LABELS_COVARIATE
    n_labelled, n_units = len(data.labelled), int(data.draw.n_random.sum())
    what = "the outcome is" if data.versions.shares_design else "a covariate is"
    if n_labelled < least:
        warnings.warn(
            f"{n_labelled} gold labels are few where {what} predicted: intervals may cover less "
            f"than they say below {least}. Label more rows.",
            FewLabelsWarning,
            stacklevel=level,
        )
    elif not data.draw.has_rows_as_units and 0 < n_units < LEAST_UNITS:
        warnings.warn(
            f"The labels come from {n_units} sampling units; intervals may cover less than they "
            f"say below {LEAST_UNITS}. Draw more units with fewer rows in each.",
            FewLabelsWarning,
            stacklevel=level,
        )


def _warn_about_errors(data: LabelledData, solutions: Sequence[Solution]) -> None:
    """Warn if the machine was hardly ever wrong among the labels, so that little is known of it."""
    counts = [solution.n_errors for solution in solutions if solution.weights is not None]
    if not counts or data.is_complete or min(counts) >= LEAST_ERRORS:
        return
    n = min(counts)
    if n == 0:
        text = "None of the labelled rows shows an error of the predictions"
    else:
        text = f"Only {n} labelled rows show an error of the predictions"
    warnings.warn(
        f"{text}: what its errors do to the estimates rests on fewer than {LEAST_ERRORS} rows, and "
        "the standard errors may be too small. Label more rows, above all such as may be wrong.",
        FewLabelsWarning,
        stacklevel=LEVEL + 1,
    )


def _is_indefinite(root: Root) -> bool:
    """Whether a derivative that should be symmetric and positive definite is not."""
    jacobian = root.jacobian
    if not np.allclose(jacobian, jacobian.T, rtol=1e-8, atol=1e-12 * np.abs(jacobian).max()):
        return False  # a moment that is no gradient has no such property
    return bool(np.linalg.eigvalsh(jacobian)[0] <= 0.0)


def describe(
    data: LabelledData,
    options: VarianceOptions,
    fitted: CrossFit | None,
    source: str,
    *,
    df: DegreesOfFreedom,
    weights: Sequence[Weights] = (),
    gain: Array | None = None,
) -> dict[str, str]:
    """Return the header: what was estimated from what, and on what the errors rest."""
    n_labelled = len(data.labelled)
    facts = dict(data.facts)
    facts["Rows"] = f"{data.n_rows:,}{_lost(data)}"
    if data.absorbed is not None:
        counts = zip(data.absorbed.names, data.absorbed.n_levels, strict=True)
        facts["Fixed effects"] = ", ".join(f"{name} ({count:,})" for name, count in counts)
        n_isolated = int(data.absorbed.isolated.sum())
        if n_isolated:
            facts["Fixed effects"] += f"; {n_isolated:,} rows explained perfectly"
    facts["Gold labels"] = f"{n_labelled:,} ({n_labelled / data.n_rows:.1%})"
    if data.is_complete:
        facts["Gold labels"] = "all rows"
    if data.is_complete or source == "gold":
        facts.pop("Surrogates", None)
        facts.pop("Predicted", None)
    else:
        facts["Learner"] = _learner_fact(fitted)
    if source == "predictions" and not data.is_complete:
        facts["Gold labels"] += ", for the learner only"
    elif not data.is_complete:
        facts |= _sampling_facts(data, options)
    if weights and source == "both":
        facts["Tuning"] = _tuning_fact(options, weights)
    if gain is not None and source == "both" and not data.is_complete and np.isfinite(gain).any():
        facts["Gain"] = f"variance of gold only / this: {_range(gain, data.terms)}"
    reference = described(df)
    corrected = ""
    if options.is_small_sample(data):
        what = "leverage and tuning" if source == "both" else "leverage"
        corrected = f"corrected for {what}, "
    if options.target == "population":
        facts["Target"] = "these rows (population)"
        facts["Covariance"] = f"design-based, {corrected}{reference}"
    else:
        facts["Target"] = "superpopulation"
        kind = options.kind(data.clusters)
        covariance = describe_covariance(kind, data.clusters, df)
        facts["Covariance"] = covariance.replace(reference, corrected + reference)
    return facts


def _tuning_fact(options: VarianceOptions, weights: Sequence[Weights]) -> str:
    """Say how much weight the predictions have."""
    diagonal = np.median([part.diagonal for part in weights], axis=0)
    low, high = diagonal.min(), diagonal.max()
    values = f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"
    return f"{options.tuning}, weight of predictions {values}"


def _range(gain: Array, terms: Sequence[str]) -> str:
    known = gain[np.isfinite(gain)]
    if np.ptp(known) < 0.005 or len(terms) == 1:
        return f"{known[0]:.2f}"
    return f"{known.min():.2f} to {known.max():.2f}"


def _lost(data: LabelledData) -> str:
    if not data.rows_lost:
        return ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in data.rows_lost.items())
    return f" (left out: {reasons})"


def _sampling_facts(data: LabelledData, options: VarianceOptions) -> dict[str, str]:
    names = {"srswor": "simple random", "poisson": "Poisson", "stratified": "stratified"}
    design = data.design
    kind = data.sample_kind or names[options.design]
    facts = {"Sampling": kind}
    if design.groups is not None:
        facts["Sampling"] += f", {int(design.groups.max()) + 1:,} strata"
    if not data.draw.has_rows_as_units and design.units is not None:
        n_units = int(design.units.max()) + 1
        facts["Sampling"] += f", {data.draw.n_units:,} of {n_units:,} units"
    if not design.is_equal:
        probability = data.probability[data.labelled]
        facts["Sampling"] += f", probabilities {probability.min():.3g} to {probability.max():.3g}"
    facts["Effective labels"] = f"{data.effective_labels:,.0f}"
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


def input_facts(versions: Versions, aligned: Aligned) -> dict[str, str]:
    """Return header facts about what is predicted, and from what."""
    facts = {}
    targets = [target.name for target in versions.targets]
    if targets and (len(targets) > 1 or not versions.shares_design):
        facts["Predicted"] = ", ".join(targets)
    for role, features in (
        ("Surrogates", aligned.surrogates),
        ("Instruments", aligned.instruments),
    ):
        if features is not None:
            names = features.names if features.raw is None else tuple(features.raw.columns)
            more = f", ... ({len(names)} columns)" if len(names) > 4 else ""
            facts[role] = ", ".join(map(str, names[:4])) + more
    if aligned.sample_weight is not None:
        facts["Weights"] = "analysis weights"
    return facts
