"""What regressions on censored durations share: reading, fitting, errors, results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from ... import validation
from ...covariance import meat
from ...crossfit import seed_sequence
from ...inference import Estimates
from ..diagnostics import CensoringDiagnostics
from ..horizon import HorizonChoice, Restricted, choose_horizon
from ..metrics.referee import Referee, appoint, chosen_model
from ..models import CensoringModel
from ..models.cox import horizon_given
from ..models.resolve import resolve_model
from ..numerics.fits import WeightedFit
from ..targets import CensoredRows, read_target
from .bootstrap import CaseWeightBootstrap, case_weight_bootstrap
from .engine import (
    OUTCOME_FLOOR,
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
from .reporting import check_rank, describe, warn_without_solution

Array = NDArray[np.float64]

COVARIANCES = ("auto", "HC0", "CR0", "bootstrap")


class CensoredRegression(BaseEstimator, ABC):
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
    fit_intercept: bool
    random_state: Any
    n_jobs: int | None
    results_: Estimates
    bootstrap_: CaseWeightBootstrap | None
    diagnostics_: CensoringDiagnostics
    n_features_in_: int

    # ------------------------------------------------------------------ hooks of the models

    @abstractmethod
    def _solve(self, design: Array, target: Array, weight: Array, total: float) -> WeightedFit:
        """Solve the weighted equation."""

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
        if self.method not in self._methods:
            known = ", ".join(map(repr, self._methods))
            raise ValueError(f"method={self.method!r} is not one of {known}.")
        if self.covariance not in COVARIANCES:
            known = ", ".join(map(repr, COVARIANCES))
            raise ValueError(f"covariance={self.covariance!r} is not one of {known}.")
        if self.method == "buckley_james" and self.covariance != "bootstrap":
            raise ValueError(
                'method="buckley_james" replaces what is censored by predictions whose noise no '
                'formula counts (plain errors cover 77 to 87 percent); use covariance="bootstrap" '
                'or method="doubly_robust".'
            )

    def _covariance(self, rows: CensoredRows) -> str:
        """Return the covariance with "auto" resolved, or raise if it does not fit the clusters."""
        if self.covariance == "auto":
            return "HC0" if rows.clusters is None else "CR0"
        if self.covariance == "CR0" and rows.clusters is None:
            raise ValueError('covariance="CR0" needs clusters; pass them to fit.')
        if self.covariance == "HC0" and rows.clusters is not None:
            raise ValueError('covariance="HC0" would ignore the clusters given to fit.')
        return self.covariance

    def _fit_rows(
        self, X: Array, design: Array, names: tuple[str, ...], rows: CensoredRows
    ) -> None:
        kind = self._covariance(rows)
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
            fit, influence = with_weights(task, self._solve, weights)
            self.results_ = self._estimates(fit, influence, names, rows)
        else:
            outcome = self._outcome(task, self.censoring_model_, self.outcome_model_, streams[2])
            fit, influence = with_outcomes(task, self._solve, outcome)
            self.results_ = self._estimates(fit, influence, names, rows)
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
        self, fit: WeightedFit, influence: Array, names: tuple[str, ...], rows: CensoredRows
    ) -> Estimates:
        if not fit.converged:
            influence = np.full_like(influence, np.nan)
        return Estimates(
            fit.coef,
            meat(influence, rows.clusters) / len(rows) ** 2,
            names,
            len(rows),
            influence,
            clusters=rows.clusters,
        )

    # ------------------------------------------------------------------ input

    def _matrix(self, X: Any, *, reset: bool) -> Array:
        matrix: Array = validate_data(
            self,
            validation.dense_or_frame(X),
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        validation.check_finite(matrix, self._feature_names(), "X")
        return matrix

    def _feature_names(self) -> tuple[str, ...]:
        given = getattr(self, "feature_names_in_", None)
        if given is None:
            given = [f"x{j + 1}" for j in range(self.n_features_in_)]
        return tuple(str(name) for name in given)

    def _design(self, matrix: Array) -> tuple[tuple[str, ...], Array]:
        names = self._feature_names()
        if not self.fit_intercept:
            return names, matrix
        return ("intercept", *names), np.hstack([np.ones((len(matrix), 1)), matrix])

    def _predictor(self, X: Any) -> Array:
        check_is_fitted(self, "results_")
        return self._matrix(X, reset=False) @ self.coef_ + self.intercept_

    def _referee(self, X: Any, y: Any, event: Any, sample_weight: Any) -> Referee:
        """Return the rows to score under the censoring model of the fit."""
        check_is_fitted(self, "results_")
        matrix, fitted = self._matrix(X, reset=False), self.diagnostics_
        rows, event_given = read_target(y, event, sample_weight=sample_weight, n_rows=len(matrix))
        if fitted.n_censored and not event_given:
            raise ValueError(
                f"{type(self).__name__} was fitted to durations of which {fitted.n_censored:,} of "
                f"{fitted.n_rows:,} were censored, and is asked to score durations without "
                "events: censored times would be taken for true ones. Pass a structured array "
                "as y, or event=."
            )
        if rows.n_censored and not fitted.event_given:
            raise ValueError(
                f"{rows.n_censored:,} of {len(rows):,} rows to score are censored, but "
                f"{type(self).__name__} was fitted to durations without events, all of which it "
                "took for complete. If some were censored, fit it again with event=, or with a "
                "structured array as y."
            )
        return appoint(self.censoring_model_, rows, matrix, floor=fitted.floor)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.positive_only = True
        return tags

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
        return point_with_weights(part, estimator._solve, weights)
    event = clone(models[1]).fit_rows(part.X, part.rows)
    outcome = estimator._outcome(part, censoring, event, folds)
    case = part.rows.case_weight
    return estimator._solve(part.design, outcome, case, float(case.sum()))
