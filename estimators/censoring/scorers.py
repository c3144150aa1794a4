"""Scores of censored durations in the form that scikit-learn's cross-validation takes."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED

from .metrics.brier import brier_scores
from .metrics.errors import duration_score
from .metrics.ranking import auc_scores, uno_concordance
from .metrics.referee import appoint, check_horizon, read_grid, read_scored, read_survival
from .numerics.scores import average_over, mean_absolute, mean_pinball, mean_squared, r_squared

Array = NDArray[np.float64]

DURATION_SCORES = {
    "neg_mean_squared_error": (mean_squared, -1.0),
    "neg_mean_absolute_error": (mean_absolute, -1.0),
    "r2": (r_squared, 1.0),
}
METRICS = (
    *DURATION_SCORES,
    "neg_mean_pinball_loss",
    "concordance",
    "neg_brier_score",
    "neg_integrated_brier_score",
    "auc",
)


class CensoredScorer(BaseEstimator):
    """A score of censored durations for ``cross_val_score`` and searches, under a named model.

    It is called with estimator, X and y, and is the larger the better. y is a structured array or
    a frame with durations and events, or durations, with ``event`` routed to it
    (``sklearn.set_config(enable_metadata_routing=True)``).

    Parameters
    ----------
    metric : str
        "neg_mean_squared_error", "neg_mean_absolute_error", "neg_mean_pinball_loss", "r2" and
        "concordance" (Uno's) of ``predict``; "neg_brier_score", "neg_integrated_brier_score" and
        "auc" of ``predict_survival``, averaged over several times.
    censoring : str or CensoringModel
        By whose weights rows are scored: "km", "cox", "beran", ... or a model. One that is not
        fitted is fitted to each set of scored rows; one that is fitted, say to all rows, is asked
        as it is. To compare estimators, or settings of their censoring models, score all of them
        with the same one.
    horizon : float, default=None
        In the unit of the durations; ``horizon_`` of the estimator if None and if it has one.
    times : float or array of shape (m,), default=None
        Where survival is scored, by ``predict_survival(X, times)``. None scores
        ``predict_survival(X)`` at ``horizon_`` of the estimator, one or several.
    quantile : float, default=0.5
        Of the pinball loss.
    higher_is_risk : bool, default=False
        For "concordance": whether ``predict`` returns risks and not durations.
    floor : float, default=0.0
        Smaller values of the censoring survival are raised to this.

    See Also
    --------
    ipcw_mean_squared_error, concordance_index_ipcw, ipcw_brier_score, CensoredStratifiedKFold

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from trueness.censoring import (
    ...     CensoredRegressor,
    ...     CensoredScorer,
    ...     CensoredStratifiedKFold,
    ...     survival_target,
    ... )
    >>> rng = np.random.default_rng(1)
    >>> X = rng.normal(size=(300, 2))
    >>> duration, censored = np.exp(X[:, 0]) * rng.weibull(2, 300), 3 * rng.random(300)
    >>> y = survival_target(np.minimum(duration, censored), duration <= censored)
    >>> scorer = CensoredScorer("concordance", censoring="km", horizon=2.0)
    >>> model = CensoredRegressor(horizon=2.0, random_state=0)
    >>> scores = cross_val_score(model, X, y, cv=CensoredStratifiedKFold(3), scoring=scorer)
    >>> bool(scores.mean() > 0.7)
    True
    """

    # Events dropped on the way would turn censored times into true ones without a word.
    __metadata_request__score: ClassVar[dict[str, Any]] = {"event": True, "estimator": UNUSED}

    def __init__(
        self,
        metric: str = "neg_mean_squared_error",
        *,
        censoring: Any,
        horizon: float | None = None,
        times: Any = None,
        quantile: float = 0.5,
        higher_is_risk: bool = False,
        floor: float = 0.0,
    ) -> None:
        self.metric = metric
        self.censoring = censoring
        self.horizon = horizon
        self.times = times
        self.quantile = quantile
        self.higher_is_risk = higher_is_risk
        self.floor = floor

    def __call__(
        self, estimator: Any, X: Any, y: Any, *, event: Any = None, sample_weight: Any = None
    ) -> float:
        """Score a fitted estimator; see `score`."""
        return self.score(estimator, X, y, event=event, sample_weight=sample_weight)

    def score(
        self, estimator: Any, X: Any, y: Any, *, event: Any = None, sample_weight: Any = None
    ) -> float:
        """Score a fitted estimator.

        Parameters
        ----------
        estimator : object
            With ``predict`` or ``predict_survival``.
        X : array or frame of shape (m, p)
        y : structured array, frame, or array of shape (m,)
            Durations and events as made by `survival_target`; plain durations need ``event``.
        event : array of shape (m,), default=None
            1 for an event, 0 for censoring.
        sample_weight : array of shape (m,), default=None
            Case weights.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the metric is unknown, the estimator cannot predict what it scores, or the input is
            invalid.
        """
        if self.metric not in METRICS:
            known = ", ".join(map(repr, METRICS))
            raise ValueError(f"metric={self.metric!r} is not one of {known}.")
        rows = read_scored(y, event, sample_weight=sample_weight)
        horizon = self._horizon(estimator)
        referee = appoint(self.censoring, rows, X, floor=self.floor)
        if self.metric in DURATION_SCORES:
            score, sign = DURATION_SCORES[self.metric]
            return sign * duration_score(score, referee, estimator.predict(X), horizon)
        if self.metric == "neg_mean_pinball_loss":
            pinball = partial(mean_pinball, quantile=self.quantile)
            return -duration_score(pinball, referee, estimator.predict(X), horizon)
        if self.metric == "concordance":
            sign = 1.0 if self.higher_is_risk else -1.0
            return uno_concordance(referee, sign * np.asarray(estimator.predict(X)), horizon)
        times, survival = self._survival(estimator, X, len(rows), horizon)
        if self.metric == "auc":
            return float(auc_scores(referee, 1.0 - survival, times).mean())
        scores = brier_scores(referee, survival, times)
        if self.metric == "neg_brier_score":
            return -float(scores.mean())
        return -average_over(times, scores)

    def _horizon(self, estimator: Any) -> float | None:
        horizon = self.horizon
        if horizon is None:
            found = getattr(estimator, "horizon_", None)
            horizon = None if found is None or np.ndim(found) else float(found)
        check_horizon(horizon)
        return horizon

    def _survival(
        self, estimator: Any, X: Any, n_rows: int, horizon: float | None
    ) -> tuple[Array, Array]:
        if not hasattr(estimator, "predict_survival"):
            raise ValueError(
                f"metric={self.metric!r} scores predicted survival, and "
                f"{type(estimator).__name__} has no predict_survival; CensoredClassifier has."
            )
        if self.times is not None:
            grid = read_grid(self.times)
            return grid, read_survival(estimator.predict_survival(X, grid), n_rows, grid)
        times = getattr(estimator, "horizon_", horizon)
        if times is None:
            raise ValueError(f"metric={self.metric!r} needs times, in the unit of the durations.")
        grid = read_grid(times)
        return grid, read_survival(estimator.predict_survival(X), n_rows, grid)
