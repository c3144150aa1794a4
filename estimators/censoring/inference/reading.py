"""How regressions on censored durations read covariates and rows to score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from ... import validation
from ..diagnostics import CensoringDiagnostics
from ..metrics.referee import Referee, appoint
from ..models import CensoringModel
from ..targets import read_target

Array = NDArray[np.float64]


class CovariateReader(BaseEstimator):
    """Input of a regression: its design, its linear predictor, the rows it is scored on."""

    fit_intercept: bool
    censoring_model_: CensoringModel
    diagnostics_: CensoringDiagnostics
    n_features_in_: int
    coef_: Array
    intercept_: float

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
