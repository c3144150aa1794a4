"""The label budget that the labels of a fit suggest."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from ...covariance import cluster_sums
from ...crossfit import seed_sequence
from ..fitted import Fitted
from ..gold_sample.frame import Levels, read_levels
from ..numerics.budget import (
    DesignCurve,
    EqualCurve,
    StratifiedCurve,
    UnequalCurve,
    kurtosis_ratio,
)
from ..options import VarianceOptions
from ..solutions import Solution, gold_solution, plain_solution, tuned_solution
from .allocation import check_options, held_out_sizes
from .budget import RELIABLE, LabelBudget, Wish, budget_table, targets_of
from .errors import LabelErrors, errors_of, fitted_of
from .targets import read_cost

Array = NDArray[np.float64]

ALLOCATIONS = ("equal", "optimal", "proportional", "neyman")
# Labels of the rarer class, and rows with an error, below which nothing can be predicted.
FEWEST_ERRORS = 15
# Level of the test that the size of errors does not vary.
CONSTANT_LEVEL = 0.05


@dataclass(frozen=True)
class _Pieces:
    """Census part and errors of a fit, for the targets.

    Attributes
    ----------
    psi : ndarray of shape (n_labelled, q)
        Corrected for half of what leverage and tuning take.
    fixed : ndarray of shape (q,)
        What the census part has from all rows.
    own : ndarray of shape (n_labelled, q)
        What each label adds to it.
    """

    psi: Array
    fixed: Array
    own: Array
    weight: Array
    n_rows: int

    def limits(self, counts: Array | None = None) -> Array:
        """Return A, for counts of the labelled rows of shape (b, n_labelled)."""
        if counts is None:
            counts = np.ones((1, len(self.own)))
        found = (self.fixed + counts @ self.own) / self.n_rows**2
        least = 0.05 * np.abs(self.fixed + self.own.sum(axis=0)) / self.n_rows**2
        return np.maximum(found, least)

    def spreads(self, counts: Array | None = None) -> Array:
        """Return B."""
        share = np.ones((1, len(self.psi))) if counts is None else counts
        share = share * self.weight
        share = share / share.sum(axis=1, keepdims=True)
        mean = share @ self.psi
        n = len(self.psi)
        found: Array = (share @ self.psi**2 - mean**2) * n / (n - 1)
        return found


def label_budget(
    fit: Any,
    *,
    standard_error: Any = None,
    width: Any = None,
    power: Any = None,
    effect: Any = None,
    target: Any = None,
    allocations: Any = ("equal", "optimal"),
    strata: Any = None,
    cost: Any = None,
    level: float = 0.95,
    learner: str = "forest",
    mix: float = 0.2,
    n_resamples: int = 200,
    random_state: Any = 0,
) -> LabelBudget:
    r"""Predict how many labels a wanted precision takes, from the labels of a pilot.

    .. math:: se^2(n) = A + B \Big(\frac1n - \frac1N\Big)

    with A the variance that stays when every row is labelled, and B the variance of
    :math:`\psi_i = J^{-1}(m_i - \Gamma \hat m_i)`; other allocations have their own second term.
    Where the size of the errors does not seem to vary, B is the mean of its plain estimate and of
    one that takes it as constant, which is less noisy.

    Parameters
    ----------
    fit : fitted DSL estimator
        Fitted to the pilot: 30 labels at least, better 150.
    standard_error, width, power : float or dict by target, default=None
        What is wanted: one of the three. The width is that of the whole interval; power is that
        of the two-sided test of zero, if the coefficient is ``effect``.
    effect : float or dict by target, default=None
    target : str, sequence of str or array, default=None
        Coefficients or combinations; all but the constant if None.
    allocations : sequence of {"equal", "optimal", "proportional", "neyman"}
        Equal probabilities; those of `optimal_allocation` for the targets together, evaluated out
        of fold; stratified samples, which need ``strata``. Neyman allocation is for the first
        target.
    strata : array of shape (n,), default=None
    cost : float or array of shape (n,), default=None
        Of a label; costs are reported, and weighed by the optimal allocation.
    level : float, default=0.95
        Confidence level of ``width`` and of the test.
    learner, mix
        Of the optimal allocation, as in `optimal_allocation`; no gate.
    n_resamples : int, default=200
        Bootstrap samples of the labelled rows for the band; 0 for none.
    random_state : int, Generator, SeedSequence, RandomState or None, default=0

    Returns
    -------
    LabelBudget

    Raises
    ------
    ValueError
        If nothing or several things are wanted, a target is unknown, or the fit cannot tell: all
        rows labelled, fewer than 30 labels, fixed effects, labels drawn in units of several rows.

    Notes
    -----
    From 150 labels the predicted standard error of a linear model is typically off by 4 to 10
    percent, that of a logit by 8 to 17; ``typical_error`` estimates it for the case at hand by
    :math:`0.34 \sqrt{(\kappa - 1) / n}` with the kurtosis ratio :math:`\kappa` of
    :math:`\psi`. A learner that goes on learning needs fewer labels than predicted.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLinearRegression, label_budget
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=5000)
    >>> y = x + rng.normal(size=5000)
    >>> gold = np.where(np.arange(5000) < 150, y, np.nan)
    >>> machine = y + 0.5 * rng.normal(size=5000)
    >>> pilot = DSLLinearRegression(learner=None, design="srswor")
    >>> pilot = pilot.fit(x[:, None], gold, surrogates=machine)
    >>> budget = label_budget(pilot, standard_error=0.03, allocations=["equal"])
    >>> bool(200 < budget.table["labels"][0] < 450)
    True
    >>> label_budget(pilot, standard_error=0.01).table["labels"].isna().all()  # not even a census
    np.True_
    """
    fitted = fitted_of(fit, "a budget")
    if not fitted.data.draw.has_rows_as_units:
        raise ValueError(
            "The labels were drawn in units of several rows; budgets are made for labels drawn row "
            "by row."
        )
    contrasts, names = targets_of(target, fitted.data.terms)
    wish = Wish.of(standard_error, width, power, effect, level, names)
    kinds = _check_kinds(allocations, strata)
    check_options(learner, mix)
    seed = int(seed_sequence(random_state).generate_state(1)[0])
    costs = read_cost(cost, fitted.data.n_rows)
    errors = errors_of(fit, "a budget").combined(contrasts, names)
    pieces = _pieces_of(fit, fitted, contrasts)
    limits, spread = pieces.limits()[0], pieces.spreads()[0]
    smooth = _smoothed(errors, spread)
    levels = None if strata is None else read_levels(strata, "strata", fitted.data.n_rows)
    curves: dict[str, DesignCurve] = {
        kind: _curve(kind, pieces, errors, smooth, levels, costs, learner, mix, seed)
        for kind in kinds
    }
    resampled = None
    if n_resamples:
        rng = np.random.default_rng(seed)
        n = len(pieces.psi)
        counts = rng.multinomial(n, np.full(n, 1.0 / n), size=n_resamples).astype(float)
        # Curves are scaled as B is.
        resampled = (pieces.limits(counts), pieces.spreads(counts) / spread)
    typical = 0.34 * np.sqrt(
        np.maximum(kurtosis_ratio(pieces.psi, pieces.weight) - 1.0, 0.0) / len(pieces.psi)
    )
    few = _too_few(fitted, errors)
    reliable = (typical <= RELIABLE) & (few == "")
    table = budget_table(
        names,
        wish,
        limits,
        curves,
        fitted.data.n_rows,
        mean_cost=None if costs is None else float(costs.mean()),
        typical=typical,
        reliable=reliable,
        resampled=resampled,
    )
    return LabelBudget(
        table,
        names,
        fitted.data.n_rows,
        len(fitted.data.labelled),
        wish.kind,
        limits,
        curves,
        _notes(fitted, reliable, few, "optimal" in kinds and len(names) < len(fitted.data.terms)),
        resampled,
    )


def _check_kinds(allocations: Any, strata: Any) -> list[str]:
    kinds = [allocations] if isinstance(allocations, str) else list(allocations)
    for kind in kinds:
        if kind not in ALLOCATIONS:
            raise ValueError(
                f"allocations: {kind!r} is not one of {', '.join(map(repr, ALLOCATIONS))}."
            )
        if kind in ("proportional", "neyman") and strata is None:
            raise ValueError(f"allocations: {kind!r} needs strata, the stratum of every row.")
    if not kinds:
        raise ValueError("allocations is empty; name one.")
    return kinds


def _pieces_of(fit: Any, fitted: Fitted, contrasts: Array) -> _Pieces:
    """Return the parts of the variance, at the mean of the repeats' predictions."""
    data, options = fitted.data, fit._options()
    solution = _solution(fitted, options)
    parts = solution.parts
    if parts is None:
        raise ValueError("A budget needs an estimate, and the equation has no solution.")
    to_psi = (contrasts @ np.linalg.inv(parts.jacobian)).T
    plain = parts.errors @ to_psi
    psi = plain
    if parts.correction is not None:
        # Plain errors are too small by their leverage, corrected ones as much too large.
        corrected = plain + parts.correction @ to_psi
        psi = np.sign(plain) * np.sqrt(np.abs(plain * corrected))
    weight = 1.0 / data.probability[data.labelled]
    moments = parts.moments @ to_psi
    taken = (1.0 - 1.0 / weight)[:, None] * (weight[:, None] * plain) ** 2
    if options.target == "population":
        zero = np.zeros(moments.shape[1])
        return _Pieces(psi, zero, np.zeros_like(plain), weight, data.n_rows)
    if data.clusters is None:
        own = moments[data.labelled] ** 2
        fixed = (moments**2).sum(axis=0) - own.sum(axis=0)
        return _Pieces(psi, fixed, own - taken, weight, data.n_rows)
    first = data.clusters if data.clusters.ndim == 1 else data.clusters[:, 0]
    if data.clusters.ndim == 2:
        warnings.warn(
            "The budget counts the first of two dimensions of clusters; the limit may be higher.",
            stacklevel=3,
        )
    fixed = (cluster_sums(moments, first) ** 2).sum(axis=0) - taken.sum(axis=0)
    return _Pieces(psi, fixed, np.zeros_like(plain), weight, data.n_rows)


def _solution(fitted: Fitted, options: VarianceOptions) -> Solution:
    data, prediction = fitted.data, fitted.predictions.mean(axis=0)
    if options.tuning is None:
        return plain_solution(data.problem(prediction))
    alone = gold_solution(data, small_sample=options.is_small_sample(data))
    return tuned_solution(data, prediction, options.tuning, alone)


def _smoothed(errors: LabelErrors, spread: Array) -> Array:
    r"""Return B, averaged with :math:`s^2\, \overline{h^2}` where v seems not to vary."""
    if errors.residual is None or errors.loading is None:
        return spread
    squares, weight = errors.residual**2, errors.weight / errors.weight.sum()
    mean = float(weight @ squares)
    features = errors.features[errors.labelled]
    known = np.column_stack([np.ones(len(squares)), features])
    fitted = known @ np.linalg.lstsq(known, squares, rcond=None)[0]
    total = float(((squares - squares.mean()) ** 2).sum())
    explained = 1.0 - float(((squares - fitted) ** 2).sum()) / total if total > 0.0 else 0.0
    statistic, df = len(squares) * explained, np.linalg.matrix_rank(known) - 1
    if df < 1 or chi2.sf(statistic, df) < CONSTANT_LEVEL:
        return spread
    centre = weight @ errors.psi
    constant = mean * (errors.loading**2).mean(axis=0) - centre**2
    # Of the plain errors; the correction for leverage is that of the spread.
    plain = weight @ errors.psi**2 - centre**2
    scale = np.where(plain > 0.0, spread / np.where(plain > 0.0, plain, 1.0), 1.0)
    found: Array = (spread + scale * np.maximum(constant, 0.0)) / 2.0
    return found


def _curve(
    kind: str,
    pieces: _Pieces,
    errors: LabelErrors,
    spread: Array,
    strata: Levels | None,
    cost: Array | None,
    learner: str,
    mix: float,
    seed: int,
) -> DesignCurve:
    if kind == "equal":
        return EqualCurve(spread, pieces.n_rows)
    weight = pieces.weight
    if kind == "optimal":
        squares = weight[:, None] * pieces.psi**2
        plain = squares.sum(axis=0) / weight.sum()
        scale = np.where(plain > 0.0, spread / np.where(plain > 0.0, plain, 1.0), 1.0)
        # Weights add up to the frame only on average.
        squares = squares * (scale * pieces.n_rows / weight.sum())
        own = None if cost is None else cost[errors.labelled] / cost.mean()
        sizes = held_out_sizes(errors, learner, seed, cost)
        return UnequalCurve(squares, sizes, mix, own, weight)
    assert strata is not None
    rows, group = strata.sizes.astype(float), strata.codes[errors.labelled]
    within = np.empty((len(rows), len(spread)))
    for stratum in range(len(rows)):
        some = group == stratum
        if some.sum() < 5:  # too few to tell
            within[stratum] = spread
            continue
        share = weight[some] / weight[some].sum()
        mean = share @ pieces.psi[some]
        bias = some.sum() / (some.sum() - 1)
        within[stratum] = bias * (share @ pieces.psi[some] ** 2 - mean**2)
    shares = rows if kind == "proportional" else rows * np.sqrt(within[:, 0])
    return StratifiedCurve(rows, within, shares)


def _too_few(fitted: Fitted, errors: LabelErrors) -> str:
    """Say what there is too little of among the labels, or nothing."""
    size = np.abs(errors.psi).max(initial=0.0)
    n_errors = int((np.abs(errors.psi) > 1e-9 * size).any(axis=1).sum()) if size > 0.0 else 0
    if n_errors < FEWEST_ERRORS:
        return f"only {n_errors} labelled rows show an error of the predictions"
    for target in fitted.data.versions.targets:
        known = target.values[fitted.data.labelled]
        if target.task == "probability":
            fewest = int(np.bincount(known.astype(int)).min())
            if fewest < FEWEST_ERRORS:
                return f"only {fewest} labels of {target.name} are of the rarest class"
    return ""


def _notes(fitted: Fitted, reliable: Any, few: str, loses: bool) -> tuple[str, ...]:
    notes = []
    if few:
        notes.append(f"Not reliable: {few}. Label more rows and ask again.")
    elif not reliable.all():
        notes.append(
            "Where it says no, a few large errors decide, and the prediction may be far off."
        )
    if fitted.crossfit is not None:
        notes.append(
            "The learner will learn from further labels: these numbers are on the safe side."
        )
    if loses:
        notes.append("The optimal allocation may cost other coefficients precision.")
    return tuple(notes)
