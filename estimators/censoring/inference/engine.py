"""From censored rows to the coefficients of a regression and their influence values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..estimators.outcomes import TrainingCurves, outcomes, training_curves
from ..horizon import Restricted
from ..metrics.referee import chosen_model, model_name, take_rows
from ..models.cox import CoxCensoring
from ..models.kaplan_meier import KaplanMeierCensoring
from ..numerics.fits import WeightedFit
from ..numerics.influence import cox_terms, marginal_terms
from ..numerics.leverage import leverage_free_meat
from ..targets import CensoredRows
from ..weights import CensoringWeights, weigh
from .augmented import survival_outcomes

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Solver = Callable[[Array, Array, Array, float], WeightedFit]

OUTCOME_FLOOR = 0.1


class Task(NamedTuple):
    """What is regressed on what.

    Attributes
    ----------
    X : array or frame of shape (n, p)
        As the models of censoring see it.
    design : ndarray of shape (n, k)
    rows : CensoredRows
        With positive case weights.
    restricted : Restricted
    is_survival : bool
        Whether the target is survival beyond the horizon.
    """

    X: Any
    design: Array
    rows: CensoredRows
    restricted: Restricted
    is_survival: bool

    def reweighted(self, weight: Array) -> Task:
        """Return the rows of positive weight, with case weights multiplied by it."""
        kept = np.flatnonzero(weight)
        rows = replace(self.rows, weight=self.rows.case_weight * weight).take(kept)
        return Task(
            take_rows(self.X, kept),
            self.design[kept],
            rows,
            self.restricted.take(kept),
            self.is_survival,
        )


class Solved(NamedTuple):
    r"""A solved regression and what rows do to it.

    Attributes
    ----------
    fit : WeightedFit
    own : ndarray of shape (n, k)
        :math:`u_i = a_i w_i s_i`, the weighted score of each row.
    terms : ndarray of shape (n, k)
        :math:`t_i`, what each row does to the equation through the curve of censoring.
    """

    fit: WeightedFit
    own: Array
    terms: Array

    @property
    def influence(self) -> Array:
        r"""Influence values :math:`A^{-1} (u_i + t_i)`, NaN without a regular solution.

        They are the derivatives of the coefficients in case weights, and their outer products sum
        to n squared times the HC0 covariance.
        """
        if not self.fit.converged:
            return np.full(self.own.shape, np.nan)
        try:
            solved = np.linalg.solve(self.fit.curvature, (self.own + self.terms).T)
        except np.linalg.LinAlgError:
            return np.full(self.own.shape, np.nan)
        return solved.T.astype(np.float64)

    def covariance(self, design: Array, kind: str, clusters: Codes | None) -> tuple[Array, int]:
        """Return the covariance of the coefficients, and how many units have leverage 1.

        Parameters
        ----------
        design : ndarray of shape (n, k)
        kind : {"HC0", "HC2", "HC3", "CR0", "CR2", "CR3"}
            See `trueness.censoring.numerics.leverage.leverage_free_meat`.
        clusters : ndarray of shape (n,) or (n, 2), or None
        """
        missing = np.full((design.shape[1],) * 2, np.nan), 0
        if not self.fit.converged:
            return missing
        try:
            inverse = np.linalg.inv(self.fit.curvature)
            middle, n_saturated = leverage_free_meat(
                self.own, self.terms, design, self.fit.information, kind, clusters
            )
        except np.linalg.LinAlgError:
            return missing
        return inverse @ middle @ inverse.T / len(design) ** 2, n_saturated


def with_weights(task: Task, solver: Solver, weights: CensoringWeights) -> Solved:
    r"""Solve the weighted equation; its influence accounts for the estimated curve.

    Parameters
    ----------
    task : Task
    solver : callable
        Of design, target, weights and the sum of case weights; see `linear_fit`.
    weights : CensoringWeights

    Returns
    -------
    Solved

    Raises
    ------
    ValueError
        If there is no formula for the model of censoring.
    """
    rows = task.rows
    case = rows.case_weight / rows.case_weight.mean()
    inverse = np.divide(1.0, weights.survival, out=np.zeros(len(rows)), where=weights.known)
    fit = solver(task.design, task.restricted.target, case * inverse, float(len(rows)))
    # A floored weight does not move with the curve.
    moving = np.where(weights.survival > weights.diagnostics.floor, inverse, 0.0)
    terms = curve_terms(weights.model, moving[:, None] * fit.score, task)
    return Solved(fit, (case * inverse)[:, None] * fit.score, case[:, None] * terms)


def point_with_weights(task: Task, solver: Solver, weights: CensoringWeights) -> WeightedFit:
    """Solve the weighted equation without its influence."""
    rows = task.rows
    inverse = np.divide(1.0, weights.survival, out=np.zeros(len(rows)), where=weights.known)
    return solver(
        task.design,
        task.restricted.target,
        rows.case_weight * inverse,
        float(rows.case_weight.sum()),
    )


def with_outcomes(task: Task, solver: Solver, outcome: Array) -> Solved:
    """Solve the equation of outcomes that stand for censored ones, taking them as they are."""
    rows = task.rows
    case = rows.case_weight / rows.case_weight.mean()
    fit = solver(task.design, outcome, case, float(len(rows)))
    return Solved(fit, case[:, None] * fit.score, np.zeros_like(task.design))


def curve_terms(model: Any, contributions: Array, task: Task) -> Array:
    """Return what rows do to the equation through the model of censoring, where that is known.

    Raises
    ------
    ValueError
        If it is not.
    """
    chosen, rows, at = chosen_model(model), task.rows, task.restricted.at
    if not rows.n_censored:
        return np.zeros_like(contributions)
    case = rows.case_weight / rows.case_weight.mean()
    if isinstance(chosen, KaplanMeierCensoring):
        return marginal_terms(contributions, at, rows.time, rows.event, weight=case)
    if not isinstance(chosen, CoxCensoring):
        raise ValueError(no_formula(model))
    design = chosen.covariates_.design(task.X, drop_first=True)
    # The penalty is on coefficients of columns with unit variance.
    penalty = chosen.penalizer * len(rows) * np.diag(design.var(axis=0))
    return cox_terms(
        contributions,
        at,
        rows.time,
        rows.event,
        design,
        chosen.coef_,
        weight=case,
        penalty=penalty,
    )


def has_formula(model: Any) -> bool:
    """Whether standard errors can account for this model of censoring."""
    return isinstance(chosen_model(model), KaplanMeierCensoring | CoxCensoring)


def no_formula(model: Any) -> str:
    """Say why there are no standard errors, and what to do."""
    return (
        f"There is no valid formula for the standard errors of regressions weighted by "
        f"{model_name(model)}: local curves leave a bias of more than half a standard error, and "
        "formulas that count their noise are far too small. Use "
        'method="doubly_robust" (linear and logistic regression), which is valid with any model '
        'of censoring; or censoring="cox" or "km"; or covariance="bootstrap", whose intervals '
        "are about as wide as they should be but centred with that bias."
    )


def curves_of(
    task: Task,
    censoring: Any,
    event: Any,
    n_folds: int,
    seed: np.random.SeedSequence,
) -> tuple[TrainingCurves, TrainingCurves]:
    """Return curves of censoring and of the event, each row's made without it where it matters.

    Parameters
    ----------
    task : Task
    censoring, event : CensoringModel
        Fitted to the rows.
    n_folds : int
    seed : SeedSequence
        Draws the folds, the same for both models.

    Returns
    -------
    censoring, event : TrainingCurves
    """
    curves = (
        training_curves(model, task.X, task.rows, n_folds=n_folds, rng=np.random.default_rng(seed))
        for model in (censoring, event)
    )
    return next(curves), next(curves)


def outcome_values(
    method: str, task: Task, curves: tuple[TrainingCurves, TrainingCurves], floor: float
) -> Array:
    """Return outcomes that stand for censored ones.

    Parameters
    ----------
    method : {"doubly_robust", "buckley_james"}
    task : Task
    curves : tuple of TrainingCurves
        Of `curves_of`.
    floor : float

    Returns
    -------
    ndarray of shape (n,)
    """
    if task.is_survival:
        return survival_outcomes(task.rows, task.restricted, *curves, floor)
    return outcomes(method, task.rows, task.restricted, *curves, floor)


def weights_of(
    model: Any, task: Task, floor: Any, *, quiet: bool, describe: bool
) -> CensoringWeights:
    """Weigh the rows by a fitted model.

    Parameters
    ----------
    model : CensoringModel
    task : Task
    floor : float or str
    quiet : bool
        Whether alarms are kept to the diagnostics.
    describe : bool
        Whether balance of covariates and dependence of censoring are looked at.

    Returns
    -------
    CensoringWeights
    """
    return weigh(
        model,
        task.rows,
        task.restricted,
        X=task.X if describe else None,
        floor=floor,
        positivity="ignore" if quiet else "warn",
    )
