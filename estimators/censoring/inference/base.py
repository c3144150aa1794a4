"""What regressions on censored durations share: reading, fitting, errors, results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ...crossfit import seed_sequence
from ...inference import Estimates
from ..horizon import HorizonChoice, Restricted, choose_horizon
from ..metrics.referee import chosen_model
from ..models import CensoringModel
from ..models.cox import horizon_given
from ..models.resolve import resolve_model
from ..numerics.fits import WeightedFit
from ..targets import CensoredRows, read_target
from .bootstrap import CaseWeightBootstrap, case_weight_bootstrap
from .engine import (
    OUTCOME_FLOOR,
    Solved,
    Task,
    curves_of,
    has_formula,
    no_formula,
    outcome_values,
    point_with_weights,
    weights_of,
    with_outcomes,
    with_weights,
)
from .options import check_options, covariance_kind
from .reading import CovariateReader
from .reporting import check_rank, describe, warn_of_leverage, warn_without_solution

Array = NDArray[np.float64]


class CensoredRegression(CovariateReader, ABC):
    """Constructor, fit and delegation common to the regressions with standard errors."""

    # Events dropped on the way would turn censored times into true ones without a word.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {
        "event": True,
        "clusters": True,
        "sample_weight": True,
    }
    __metadata_request__score: ClassVar[dict[str, bool]] = {"event": True, "sample_weight": True}

    _methods: tuple[str, ...] = ("weights", "doubly_robust")
    _title: str
    method: str
    censoring: Any
    outcome: Any
    horizon: Any
    floor: Any
    covariance: str
    n_boot: int
    n_folds: int
    random_state: Any
    n_jobs: int | None
    results_: Estimates
    bootstrap_: CaseWeightBootstrap | None

    # ------------------------------------------------------------------ hooks of the models

    @abstractmethod
    def _solve(self, design: Array, target: Array, weight: Array, total: float) -> WeightedFit:
        """Solve the weighted equation."""

    def _solve_point(
        self, design: Array, target: Array, weight: Array, total: float
    ) -> WeightedFit:
        """Solve the weighted equation where nothing but the coefficients is asked for."""
        return self._solve(design, target, weight, total)

    @abstractmethod
    def _restrict(self, rows: CensoredRows, horizon: float | None) -> Restricted:
        """Return the target and where it is known."""

    @abstractmethod
    def _describe_target(self, horizon: float | None) -> str:
        """Put what is estimated into words."""

    _is_survival = False

    def _choose_horizon(self, X: Any, rows: CensoredRows) -> HorizonChoice:
        choice = choose_horizon(self.horizon, rows)
        by_weights = self.method == "weights" and self.censoring != "km"
        if by_weights and self.horizon == "auto" and choice.marginal is not None:
            # Where weights stop summing to one they stop standing for everybody.
            choice = horizon_given(X, rows, "auto")
        return choice

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        event: Any = None,
        sample_weight: Any = None,
        clusters: Any = None,
    ) -> Self:
        """Fit the models of censoring and of the event, the regression, and its errors.

        Parameters
        ----------
        X : array or frame of shape (n, p)
            Covariates, all of them numbers; categories as indicator columns.
        y : structured array, frame, or array of shape (n,)
            Durations and events as made by `survival_target`; plain durations need ``event``, or
            are taken to be complete.
        event : array of shape (n,), default=None
            1 where the event was seen, 0 where the row was censored.
        sample_weight : array of shape (n,), default=None
            Analysis weights, on any scale; rows of weight zero are left out.
        clusters : array or frame of shape (n,) or (n, 2), default=None
            Clusters, for folds and standard errors.

        Returns
        -------
        CensoredLinearRegression, CensoredLogisticRegression or CensoredQuantileRegression
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If the input or an option is invalid, or the standard errors asked for do not exist;
            the message says what to do.

        Warns
        -----
        PositivityWarning
            If weights are few, large, floored, or do not sum to one.
        CensoringWarning
            If there is no finite solution.
        CovarianceWarning
            If a row or cluster alone determines a coefficient.
        """
        self._check_options()
        matrix = self._matrix(X, reset=True)
        if not hasattr(y, "shape") and hasattr(y, "__array__"):
            y = np.asarray(y)
        rows, event_given = read_target(
            y, event, sample_weight=sample_weight, clusters=clusters, n_rows=len(matrix)
        )
        if rows.entry is not None:
            raise ValueError(
                f"{type(self).__name__} has no standard errors under delayed entry (left "
                "truncation). CensoredRegressor takes entry times; bootstrap it by "
                "case_weight_bootstrap."
            )
        kept = np.flatnonzero(rows.case_weight)
        if len(kept) < len(rows):
            rows, matrix = rows.take(kept), matrix[kept]
        names, design = self._design(matrix)
        check_rank(design, names)
        self._fit_rows(matrix, design, names, rows)
        self.diagnostics_ = replace(self.diagnostics_, event_given=event_given)
        return self

    def _check_options(self) -> None:
        check_options(self.method, self._methods, self.covariance)

    def _fit_rows(
        self, X: Array, design: Array, names: tuple[str, ...], rows: CensoredRows
    ) -> None:
        kind = covariance_kind(self.covariance, rows.clusters)
        streams = seed_sequence(self.random_state).spawn(4)
        choice = self._choose_horizon(X, rows)
        task = Task(X, design, rows, self._restrict(rows, choice.value), self._is_survival)
        self.horizon_ = choice.value
        state = [int(stream.generate_state(1)[0]) for stream in streams[:2]]
        spec = {"has_covariates": X.shape[1] > 0, "horizon": choice.value}
        censoring = resolve_model(self.censoring, random_state=state[0], **spec)
        self.censoring_model_: CensoringModel = censoring.fit_rows(X, rows)
        is_weighted = self.method == "weights"
        if is_weighted and kind != "bootstrap" and not has_formula(self.censoring_model_):
            raise ValueError(no_formula(self.censoring_model_))
        weights = weights_of(
            self.censoring_model_, task, self._floor(), quiet=not is_weighted, describe=True
        )
        self.diagnostics_ = weights.diagnostics
        self.outcome_model_: CensoringModel | None = None
        if not is_weighted:
            event = resolve_model(self.outcome, of="event", random_state=state[1], **spec)
            self.outcome_model_ = event.fit_rows(X, rows)
        self.bootstrap_ = None
        if kind == "bootstrap":
            fit = self._bootstrap(task, names, streams[2], streams[3])
        elif is_weighted:
            solved = with_weights(task, self._solve, weights)
            fit, self.results_ = solved.fit, self._estimates(solved, task, names, kind)
        else:
            outcome = self._outcome(task, self.censoring_model_, self.outcome_model_, streams[2])
            solved = with_outcomes(task, self._solve, outcome)
            fit, self.results_ = solved.fit, self._estimates(solved, task, names, kind)
        if not fit.converged:
            warn_without_solution(type(self).__name__, names)
        header = describe(
            rows,
            self.diagnostics_,
            method=self.method,
            target=self._describe_target(choice.value),
            models=(self.censoring_model_, self.outcome_model_),
            covariance=kind,
            drawn=self.results_.header.get("Covariance", ""),
        )
        self.results_ = replace(self.results_, header=header, title=self._title)
        has_intercept = self.fit_intercept
        self.intercept_ = float(fit.coef[0]) if has_intercept else 0.0
        self.coef_ = fit.coef[1:] if has_intercept else fit.coef

    def _floor(self) -> Any:
        if self.method == "weights" or self.floor != "auto":
            return self.floor
        return OUTCOME_FLOOR

    def _outcome(
        self, task: Task, censoring: Any, event: Any, seed: np.random.SeedSequence
    ) -> Array:
        floor = self._floor()
        if isinstance(floor, str):
            floor = self.diagnostics_.floor
        curves = curves_of(task, censoring, event, self.n_folds, seed)
        return outcome_values(self.method, task, curves, floor)

    def _bootstrap(
        self,
        task: Task,
        names: tuple[str, ...],
        folds: np.random.SeedSequence,
        draws: np.random.SeedSequence,
    ) -> WeightedFit:
        """Refit everything but the choice of models to reweighted rows."""
        models = (chosen_model(self.censoring_model_), chosen_model(self.outcome_model_))
        refit = partial(_refit, self, task, models, folds)
        self.bootstrap_ = case_weight_bootstrap(
            lambda weight: refit(weight).coef,
            len(task.rows),
            names=names,
            clusters=task.rows.clusters,
            n_boot=self.n_boot,
            random_state=draws,
            n_jobs=self.n_jobs,
        )
        self.results_ = self.bootstrap_.estimates
        return refit(np.ones(len(task.rows)))

    def _estimates(
        self, solved: Solved, task: Task, names: tuple[str, ...], kind: str
    ) -> Estimates:
        rows = task.rows
        cov, n_saturated = solved.covariance(task.design, kind, rows.clusters)
        if n_saturated:
            warn_of_leverage(n_saturated, kind)
        return Estimates(
            solved.fit.coef,
            cov,
            names,
            len(rows),
            solved.influence,
            clusters=rows.clusters,
        )

    # ------------------------------------------------------------------ results

    def summary(self, level: float = 0.95) -> str:
        """Return the coefficient table as text; see `trueness.inference.Estimates.summary`."""
        check_is_fitted(self, "results_")
        return self.results_.summary(level)

    def conf_int(
        self, level: float = 0.95, *, kind: Literal["normal", "percentile"] = "normal"
    ) -> pd.DataFrame:
        """Return confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level in (0, 1).
        kind : {"normal", "percentile"}, default="normal"
            "percentile" takes quantiles of the draws of ``covariance="bootstrap"``.

        Returns
        -------
        DataFrame with the terms as index and columns ``conf_low`` and ``conf_high``.
        """
        check_is_fitted(self, "results_")
        if kind == "normal":
            return self.results_.conf_int(level)
        if self.bootstrap_ is None:
            raise ValueError(f'kind={kind!r} needs covariance="bootstrap".')
        return self.bootstrap_.conf_int(level, kind=kind)

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Return one row per term; see `trueness.inference.Estimates.to_frame`."""
        check_is_fitted(self, "results_")
        return self.results_.to_frame(level)


def _refit(
    estimator: CensoredRegression,
    task: Task,
    models: tuple[Any, Any],
    folds: np.random.SeedSequence,
    weight: Array,
) -> WeightedFit:
    """Fit models and regression to reweighted rows."""
    part = task.reweighted(weight)
    censoring = clone(models[0]).fit_rows(part.X, part.rows)
    if estimator.method == "weights":
        floor = estimator.diagnostics_.floor  # also where it depends on the number of rows
        weights = weights_of(censoring, part, floor, quiet=True, describe=False)
        return point_with_weights(part, estimator._solve_point, weights)
    event = clone(models[1]).fit_rows(part.X, part.rows)
    outcome = estimator._outcome(part, censoring, event, folds)
    case = part.rows.case_weight
    return estimator._solve_point(part.design, outcome, case, float(case.sum()))
