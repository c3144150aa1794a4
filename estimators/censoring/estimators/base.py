"""What the regressor and the classifier share: input, horizon, models of censoring, scores."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from ... import validation
from ..diagnostics import CensoringDiagnostics
from ..horizon import Restricted
from ..metrics.referee import Referee, appoint
from ..models.covariates import take_rows
from ..models.resolve import resolve_model
from ..targets import CensoredRows, read_target
from ..weights import CensoringWeights, weigh
from .gaps import GapFilling
from .learners import LearnerWarning, resolve_learner
from .resampling import WeightedResampling
from .weighting import fit_weighted, learner_name

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class CensoredEstimator(BaseEstimator, ABC):
    """Constructor, reading, censoring model and score common to regressor and classifier."""

    # What comes with the rows is handed to fit and score without anybody asking for it: dropped in
    # silence, censored durations would be taken for true ones.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {
        "event": True,
        "entry": True,
        "clusters": True,
        "sample_weight": True,
    }
    __metadata_request__score: ClassVar[dict[str, bool]] = {"event": True, "sample_weight": True}

    learner: Any
    censoring: Any
    horizon: Any
    floor: Any
    normalize: Any
    positivity: Any
    event_level: Any
    n_folds: int
    n_resamples: int
    random_state: Any

    censoring_model_: Any
    diagnostics_: CensoringDiagnostics
    n_features_in_: int
    _filling: GapFilling

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        event: Any = None,
        entry: Any = None,
        sample_weight: Any = None,
        clusters: Any = None,
    ) -> Self:
        """Fit the model of censoring, and the learner with what it makes of the durations.

        Parameters
        ----------
        X : array, frame or sparse matrix of shape (n, p)
            Covariates, in any form that the learner takes. Models of censoring see gaps filled:
            the median and an indicator for numbers, a level of its own for categories.
        y : structured array, frame, or array of shape (n,)
            Durations and events as made by `trueness.censoring.survival_target`; a frame with
            columns ``time`` and ``event`` (and ``entry``); or durations, with ``event`` beside
            them. Durations alone are taken to be complete, and the learner is fitted as it is.
        event : array of shape (n,), default=None
            1 where the event was seen, 0 where the row was censored.
        entry : array of shape (n,), default=None
            Time from which a row was under observation (left truncation).
        sample_weight : array of shape (n,), default=None
            Case weights; they multiply the weights against censoring.
        clusters : array of shape (n,), default=None
            Rows that stay together in folds, and are left out together by models of censoring.

        Returns
        -------
        CensoredRegressor or CensoredClassifier
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If durations are missing or negative, events are not 0 and 1, no row has an event, no
            duration up to the horizon is known, the horizon lies past the last time, an option is
            unknown or not possible for the learner, or, with ``positivity="raise"``, a known row
            has zero survival of censoring.

        Warns
        -----
        PositivityWarning
            If weights are few, large, floored, or do not sum to one.
        LearnerWarning
            If the learner takes no weights and is fitted to resampled rows instead.
        """
        X = self._read_X(X, reset=True)
        rows, event_given = read_target(
            _plain(y),
            _plain(event),
            entry=_plain(entry),
            sample_weight=_plain(sample_weight),
            clusters=_plain(clusters),
            event_level=self.event_level,
            n_rows=_num_samples(X),
        )
        if rows.n_events == 0:
            raise ValueError(
                f"No row has its event: all {len(rows):,} are censored, and durations cannot be "
                "learned from rows of which none is complete. Is 1 the event and 0 censored? "
                "Otherwise set event_level=."
            )
        self._filling = GapFilling({}, ())
        self._fit_rows(X, rows)
        self.diagnostics_ = replace(self.diagnostics_, event_given=event_given)
        return self

    @abstractmethod
    def _fit_rows(self, X: Any, rows: CensoredRows) -> None:
        """Fit to validated rows; set all learned attributes."""

    # ------------------------------------------------------------------ fitting

    def _model_of_censoring(
        self, X: Any, rows: CensoredRows, horizon: float | None, seed: np.random.SeedSequence
    ) -> Any:
        """Fit the model of censoring to all rows."""
        model = resolve_model(
            self.censoring, has_covariates=True, horizon=horizon, random_state=seeded_state(seed)
        )
        return model.fit_rows(X, rows)

    def _weigh(self, X: Any, rows: CensoredRows, restricted: Restricted) -> CensoringWeights:
        """Weigh rows and store what there is to say about the weights."""
        return weigh(
            self.censoring_model_,
            rows,
            restricted,
            X=X,
            floor=self.floor,
            normalize=self.normalize,
            positivity=self.positivity,
        )

    def _fit_learner(
        self, X: Any, target: Any, weight: Array | None, seed: np.random.SeedSequence
    ) -> Any:
        """Fit a clone of the learner, on resampled rows if it takes no weights."""
        learner = resolve_learner(self.learner, self._task)
        if weight is None:
            return clone(learner).fit(X, target)
        if (weight == 0.0).any():
            kept = np.flatnonzero(weight > 0.0)
            X, target, weight = take_rows(X, kept), target[kept], weight[kept]
        fitted = fit_weighted(learner, X, target, weight)
        if fitted is not None:
            return fitted
        if (weight == weight[0]).all():
            return clone(learner).fit(X, target)
        if not self.n_resamples:
            raise ValueError(
                f"{learner_name(learner)} does not take sample_weight, and n_resamples=0 forbids "
                "to draw rows by weight instead. Set n_resamples, or use another learner."
            )
        resampled = WeightedResampling(
            learner, n_resamples=self.n_resamples, random_state=seed
        ).fit(X, target, weight)
        warnings.warn(
            f"{learner_name(learner)} does not take sample_weight; {self.n_resamples} fits on "
            f"samples of {resampled.n_drawn_:,} rows drawn by weight are averaged.",
            LearnerWarning,
            stacklevel=4,
        )
        return resampled

    # ------------------------------------------------------------------ input and scores

    _task: Any

    def _read_X(self, X: Any, *, reset: bool) -> Any:
        """Return X in the form it came in, but as a pandas frame where it is another frame."""
        X = np.asarray(X) if isinstance(X, list | tuple) else _plain(X)
        if getattr(X, "ndim", 2) == 1 and not reset:
            raise ValueError(
                "X: Expected 2D array, got 1D array instead. Reshape your data with "
                "X.reshape(1, -1) if it is one row, or X.reshape(-1, 1) if it is one covariate."
            )
        validate_data(self, X, reset=reset, skip_check_array=True)
        if sparse.issparse(X):
            matrix: Any = X
            return matrix.tocsr()  # rows will be taken
        return X

    def _predictable(self, X: Any) -> Any:
        check_is_fitted(self, "diagnostics_")
        return self._read_X(X, reset=False)

    def _referee(self, X: Any, y: Any, event: Any, sample_weight: Any) -> Referee:
        """Return the rows to score and the model of their censoring, that of the fit."""
        X = self._predictable(X)
        rows, event_given = read_target(
            _plain(y),
            _plain(event),
            sample_weight=_plain(sample_weight),
            event_level=self.event_level,
            n_rows=_num_samples(X),
        )
        fitted = self.diagnostics_
        if fitted.n_censored and not event_given:
            raise ValueError(
                f"{type(self).__name__} was fitted to durations of which {fitted.n_censored:,} of "
                f"{fitted.n_rows:,} were censored, and is asked to score durations without "
                "events: censored times would be taken for true ones. Pass a structured array "
                "as y (it passes through every splitter), or event=, which searches and "
                "cross-validation hand on under "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        if rows.n_censored and not fitted.event_given:
            raise ValueError(
                f"{rows.n_censored:,} of {len(rows):,} rows to score are censored, but "
                f"{type(self).__name__} was fitted to durations without events, all of which it "
                "took for complete. If some were censored, fit it again with event=, or with a "
                "structured array as y."
            )
        model = self.censoring_model_
        if model is None:  # complete durations were fitted, and no model of censoring
            return appoint("km", rows)
        return appoint(model, rows, self._filling.fill(X), floor=fitted.floor)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = True
        inner = get_tags(resolve_learner(self.learner, self._task))
        tags.input_tags = inner.input_tags
        tags.input_tags.pairwise = False  # rows are left out, and would have to be left out twice
        tags.non_deterministic = inner.non_deterministic
        return tags


def _plain(values: Any) -> Any:
    """Return frames of every kind as pandas, and what only knows how to become an array as one."""
    values = validation.to_pandas(values)
    is_array_like = hasattr(values, "__array__") and not hasattr(values, "ndim")
    return np.asarray(values) if is_array_like else values


def seeded_state(seed: np.random.SeedSequence) -> int:
    """Return a seed that scikit-learn's estimators take."""
    return int(seed.generate_state(1)[0])


def uncensored_diagnostics(rows: CensoredRows, horizon: float | None) -> CensoringDiagnostics:
    """Return the diagnostics of rows that need no weights against censoring."""
    case = rows.case_weight
    size = float(case.sum() ** 2 / (case @ case))
    share = case / case.sum()
    n_top = max(1, len(rows) // 100)
    return CensoringDiagnostics(
        model="none: no row is censored",
        n_rows=len(rows),
        n_events=rows.n_events,
        n_censored=rows.n_censored,
        n_known=len(rows),
        horizon=horizon,
        survival_at_horizon=1.0,
        survival_quantiles={"min": 1.0},
        effective_size=size,
        effective_share=size / len(rows),
        largest_share=float(share.max()),
        top_share=float(np.sort(share)[-n_top:].sum()),
        weight_sum=1.0,
    )
