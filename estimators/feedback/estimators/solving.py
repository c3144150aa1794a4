"""Which solver a loss has, and the call of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..alarms import UnboundedLossWarning
from ..numerics.adam import adam
from ..numerics.cross_entropy import bound_needed, majorise_minimise
from ..numerics.dense import Risk
from ..numerics.factors import Factors, Report, Solution
from ..numerics.gradient import quasi_newton
from ..numerics.labels import Labels
from ..numerics.spectral import largest_label_value, spectrum
from ..numerics.squared import alternating_least_squares, solve_users
from ..numerics.weighted import fold_in_weighted, weighted_least_squares
from ..propensity import Propensity

Array = NDArray[Any]

SOLVERS = {
    "squared": ("als", "svd", "lbfgs", "adam"),
    "cross_entropy": ("mm", "lbfgs", "adam"),
    "squared_sigmoid": ("adam", "lbfgs"),
}
# Pairs above which Adam samples; below, all of them are cheap enough.
MOST_PAIRS = 5_000_000
SAMPLE = 2**15
# Chosen on data with known relevance, for clicks on one pair in 15 to one in 45.
SHARE_OF_LARGEST = 0.3
SHARE_IF_WEIGHTED = 0.1
PUBLISHED_PENALTY = 1e-4
# New users are few and their problem is convex, so it is solved to the end.
MOST_STEPS = 500
FINE = 1e-12


@dataclass(frozen=True)
class Problem:
    """A loss over all pairs and how to minimise it.

    Attributes
    ----------
    loss : str
    solver : str
    regularization : float
    fit_bias : bool
    balanced : bool
        Whether clicks weigh as much as all other pairs together.
    click_weight : float
        What they weigh, other pairs having weight 1.
    item_weights : ndarray, or None
    max_iter : int
    tol : float
    learning_rate : float
    batch_size : int, "auto" or None
    """

    loss: str
    solver: str
    regularization: float
    fit_bias: bool
    balanced: bool
    click_weight: float
    item_weights: Array | None
    max_iter: int
    tol: float
    learning_rate: float
    batch_size: Any

    @property
    def risk(self) -> Risk:
        """Loss and weights."""
        return Risk(self.loss, self.click_weight)


def balancing_weight(clicks: Any) -> float:
    """Return the weight by which clicks count as much as all other pairs together."""
    n_pairs = clicks.shape[0] * clicks.shape[1]
    if clicks.nnz == n_pairs:
        raise ValueError("class_balance=True needs pairs without a click; here every pair has one.")
    return float((n_pairs - clicks.nnz) / clicks.nnz)


def solve(
    problem: Problem, labels: Labels, start: Factors, rng: np.random.Generator, report: Report
) -> Solution:
    """Minimise; the start may be overwritten."""
    common: dict[str, Any] = {
        "regularization": problem.regularization,
        "max_iter": problem.max_iter,
        "tol": problem.tol,
        "report": report,
    }
    match problem.solver:
        case "als" if problem.balanced:
            return weighted_least_squares(
                labels, start, click_weight=problem.click_weight, **common
            )
        case "als":
            return alternating_least_squares(
                labels, start, item_weights=problem.item_weights, **common
            )
        case "svd":
            return spectrum(labels, start.rank, rng).solution(problem.regularization)
        case "mm":
            return majorise_minimise(labels, start, **common)
        case "lbfgs":
            return quasi_newton(labels, start, risk=problem.risk, **common)
    return adam(
        labels,
        start,
        risk=problem.risk,
        balanced=problem.balanced,
        learning_rate=problem.learning_rate,
        batch_size=sample_size(problem.batch_size, labels),
        rng=rng,
        **common,
    )


def new_users(problem: Problem, labels: Labels, factors: Factors) -> Factors:
    """Set users to their optimum given items, which stay as they are."""
    if problem.loss == "squared" and problem.balanced:
        weights = problem.click_weight, 1.0
        fold_in_weighted(labels, factors, weights, problem.regularization)
        return factors
    if problem.loss == "squared":
        factors.users[:, factors.user_free] = solve_users(
            labels, factors, problem.regularization, problem.item_weights
        )
        return factors
    return quasi_newton(
        labels,
        factors,
        risk=problem.risk,
        regularization=problem.regularization,
        max_iter=MOST_STEPS,
        tol=FINE,
        fixed_items=True,
    ).factors


def automatic_penalty(
    labels: Labels, loss: str, click_weight: float, fit_bias: bool, rng: np.random.Generator
) -> float:
    r"""Return the penalty that stands for "auto".

    For squared loss it is a share of the one from which on all factors are zero, the largest
    singular value of the weighted pseudo-labels. Cross-entropy takes no less than what surely
    bounds it. For "squared_sigmoid" it is the published one.
    """
    if loss == "squared_sigmoid":
        n_others = labels.shape[0] * labels.shape[1] - labels.n_clicks
        return PUBLISHED_PENALTY * (click_weight * labels.n_clicks + n_others)
    share = SHARE_OF_LARGEST if click_weight == 1.0 else SHARE_IF_WEIGHTED
    penalty = share * click_weight * largest_label_value(labels, rng)
    if loss == "cross_entropy":
        needed = bound_needed(labels, fit_bias=fit_bias, rng=rng, click_weight=click_weight)
        if np.isfinite(needed):
            penalty = max(penalty, 1.001 * needed)  # so that rounding does not undo it
    return penalty


def sample_size(batch_size: Any, labels: Labels) -> int | None:
    """Return the number of pairs in a sample, None for all pairs."""
    if batch_size != "auto":
        return None if batch_size is None else int(batch_size)
    return None if labels.shape[0] * labels.shape[1] <= MOST_PAIRS else SAMPLE


def warn_if_unbounded(
    labels: Labels, found: Propensity, problem: Problem, clip: float, rng: np.random.Generator
) -> None:
    """Warn if cross-entropy may have no least value, with what would cure it.

    Parameters
    ----------
    labels : Labels
    found : Propensity
    problem : Problem
    clip : float
    rng : Generator
    """
    given: dict[str, Any] = {"fit_bias": problem.fit_bias, "click_weight": problem.click_weight}
    needed = bound_needed(labels, rng=rng, **given)
    if problem.regularization >= needed:
        return
    cure = f"regularization={_round_up(needed):g} or more bounds it" if needed < np.inf else ""
    raised = clip_needed(labels, found.at_clicks, problem, clip, rng)
    cures = " and so does ".join(filter(None, (cure, f"clip={raised:g} or more")))
    if not cure:
        cures = f"clip={raised:g} or more bounds it"
    warnings.warn(
        "Cross-entropy may be unbounded below: clicks with a propensity under 1 weigh more than 1,"
        f" and regularization={problem.regularization:g} with clip={clip:g} does not surely hold"
        f" their scores back; {cures}. Where it is unbounded, estimates are those of the iteration"
        " at which the solver stopped.",
        UnboundedLossWarning,
        stacklevel=4,
    )


def clip_needed(
    labels: Labels, propensity: Array, problem: Problem, clip: float, rng: np.random.Generator
) -> float:
    """Return a clip, in steps of 0.01, at which the penalty bounds the loss."""
    low, high = int(np.floor(100.0 * clip)), 100
    while high - low > 1:
        middle = (low + high) // 2
        weights = 1.0 / np.maximum(propensity, middle / 100.0)
        needed = bound_needed(
            labels,
            fit_bias=problem.fit_bias,
            rng=rng,
            weights=weights,
            click_weight=problem.click_weight,
        )
        low, high = (low, middle) if needed <= problem.regularization else (middle, high)
    return high / 100.0


def _round_up(value: float) -> float:
    """Round up to three digits."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    return float(np.ceil(value / unit) * unit)
