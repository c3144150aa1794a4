"""What a fit says of itself: the header of its tables, and warnings about what went wrong."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..covariance import CovarianceWarning, describe_covariance
from ..crossfit import CrossFit
from .data import LabelledData
from .diagnostics import SeparationWarning, SolverWarning
from .numerics import Root
from .options import VarianceOptions

Array = NDArray[np.float64]
LEVEL = 5  # whoever called fit


def report(data: LabelledData, roots: Sequence[Root], n_saturated: int) -> tuple[str, ...]:
    """Warn about everything that went wrong in the repeats; return the separated terms."""
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
    return separated


def _is_indefinite(root: Root) -> bool:
    """Whether a derivative that should be symmetric and positive definite is not."""
    jacobian = root.jacobian
    if not np.allclose(jacobian, jacobian.T, rtol=1e-8, atol=1e-12 * np.abs(jacobian).max()):
        return False  # a moment that is no gradient has no such property
    return bool(np.linalg.eigvalsh(jacobian)[0] <= 0.0)


def describe(
    data: LabelledData, options: VarianceOptions, fitted: CrossFit | None, source: str
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


def _lost(data: LabelledData) -> str:
    if not data.rows_lost:
        return ""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in data.rows_lost.items())
    return f" (left out: {reasons})"


def _sampling_facts(data: LabelledData, options: VarianceOptions) -> dict[str, str]:
    facts = {"Sampling": "simple random" if options.design == "srswor" else "Poisson"}
    if np.ptp(data.probability) >= 1e-12:
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
