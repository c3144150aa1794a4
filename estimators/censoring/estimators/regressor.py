"""Any regressor on censored durations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import get_tags

from ...crossfit import seed_sequence
from ..horizon import Restricted, restrict
from ..models.cox import horizon_given
from ..models.resolve import resolve_model
from ..numerics.scores import r_squared
from ..targets import CensoredRows
from .base import CensoredEstimator, seeded_state, uncensored_diagnostics
from .gaps import learn_filling
from .learners import resolve_learner
from .losses import learner_loss
from .outcomes import TrainingCurves, outcomes, training_curves
from .weighting import learner_name

Array = NDArray[np.float64]

METHODS = ("auto", "weights", "doubly_robust", "buckley_james", "leurgans", "ksv", "pseudo")
# Below this survival the doubly robust outcome leans on the model of the event.
OUTCOME_FLOOR = 0.1
NEEDS_CENSORING = ("doubly_robust", "leurgans", "ksv")
NEEDS_EVENT = ("doubly_robust", "buckley_james")


class CensoredRegressor(RegressorMixin, CensoredEstimator):
    r"""Any regressor, fitted to durations of which some are censored.

    With a duration Y, a censoring time C independent of it given X, and a horizon
    :math:`\tau`, what is observed is :math:`t = \min(Y, C)` and whether it was the event. The
    target is :math:`Z = \min(Y, \tau)`, known (:math:`k_i = 1`) where the event was seen by the
    horizon or the row was still under observation at it. ``method="weights"`` minimises

    .. math::

        \sum_i \frac{k_i}{\hat G(z_i- | x_i)}\, L\{z_i, f(x_i)\},
        \qquad \hat G(u | x) = \hat P(C > u | X = x)

    for whatever loss L the learner has: a mean, a median or another quantile, a Huber centre, a
    Poisson or gamma mean. For squared loss, the other methods regress an outcome on X that has
    the mean of Z given X; ``"doubly_robust"`` does if either the model of censoring or that of
    the event is right.

    Nothing changes where nothing is censored: the learner is then fitted as it is, without a
    horizon.

    Parameters
    ----------
    learner : {"linear", "boosting", "forest"} or scikit-learn regressor, default="linear"
        A ridge regression of scaled columns, gradient boosting, a random forest, or any other
        learner, also in a pipeline, a search or an ensemble. One that takes no weights is fitted
        to resampled rows if weights are needed.
    censoring : {"auto", "km", "beran", "neighbors", "forest", "cox"} or model, default="auto"
        Model of the censoring survival G. "auto" takes the one with the least leave-one-out Brier
        score, the marginal Kaplan-Meier curve among them.
    method : str, default="auto"
        "weights"; "doubly_robust"; "buckley_james" (least noise if the model of the event can be
        trusted); "leurgans" and "ksv" (older outcomes, with more noise, from G alone); "pseudo"
        (pseudo-observations, for censoring that does not depend on X). "auto" is "doubly_robust"
        if the learner is known to minimise squared error (see `learner_loss`) and no entry times
        are given, and "weights" otherwise.
    outcome : as ``censoring``, default="auto"
        Model of the survival of the event, for "doubly_robust" and "buckley_james".
    horizon : float, "auto" or None, default="auto"
        :math:`\tau`, in the unit of the durations. "auto" takes the largest observed time at which
        a fifth of the censoring times are still ahead and 20 rows at risk, and with "weights" no
        longer a time than one at which weights sum to one, rounded down to two digits. None
        leaves durations as they are; their mean is then only identified where the longest are
        events.
    floor : float, "auto" or "quantile", default="auto"
        Least survival of censoring. "auto" is max(0.05, 1/sqrt(n)) for weights and 0.1 for the
        outcomes; "quantile" caps weights at their 99% quantile.
    normalize : {"mean1", "hajek", "none"}, default="mean1"
        Scale of the weights that the learner sees: mean 1, as penalties and leaf sizes expect;
        sum 1; or :math:`1 / (n \hat G)`.
    positivity : {"warn", "raise", "ignore"}, default="warn"
        What to do with known rows whose survival of censoring is zero, and with alarms, which
        only warn.
    event_level : scalar, default=None
        The value of ``event`` that stands for the event, if it is not 0 and 1.
    n_folds : int, default=5
        Folds in which models that cannot leave single rows out are fitted for the outcomes.
    n_resamples : int, default=20
        Fits that are averaged if the learner takes no weights; 0 raises an error instead.
    random_state : int, Generator, SeedSequence, RandomState or None, default=None
        Seeds folds, models of censoring and resampling; the learner has its own.

    Attributes
    ----------
    learner_ : estimator
        The fitted learner.
    method_ : str
        The method that was used; "complete" if no row is censored.
    horizon_ : float or None
        The horizon; None if durations were left as they are.
    censoring_model_ : CensoringModel or None
        The fitted model of censoring.
    outcome_model_ : CensoringModel or None
        The fitted model of the event, if the method needs one.
    diagnostics_ : CensoringDiagnostics
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (p,)
        Only if X has column names.

    See Also
    --------
    CensoredClassifier, censoring_weights, km_integral

    References
    ----------
    Ausset, G., Clémençon, S. and Portier, F. (2022). Empirical risk minimization under random
    censorship. Journal of Machine Learning Research 23, 1-59.
    https://jmlr.org/papers/v23/19-450.html

    Rubin, D. and van der Laan, M. J. (2007). A doubly robust censoring unbiased transformation.
    International Journal of Biostatistics 3(1). https://doi.org/10.2202/1557-4679.1052

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from trueness.censoring import CensoredRegressor, survival_target
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(size=(2000, 1))
    >>> duration, censoring = rng.uniform(0, 1 + x[:, 0]), rng.uniform(0, 3, size=2000)
    >>> y = survival_target(np.minimum(duration, censoring), duration <= censoring)
    >>> model = CensoredRegressor(LinearRegression(), horizon=1.5, random_state=0).fit(x, y)
    >>> model.method_, model.horizon_
    ('doubly_robust', 1.5)
    >>> model.predict([[0.0], [1.0]]).round(1).tolist()  # the truth is 0.5 and 0.94
    [0.5, 1.0]
    """

    _task = "regression"

    def __init__(
        self,
        learner: Any = "linear",
        *,
        censoring: Any = "auto",
        method: str = "auto",
        outcome: Any = "auto",
        horizon: Any = "auto",
        floor: Any = "auto",
        normalize: str = "mean1",
        positivity: str = "warn",
        event_level: Any = None,
        n_folds: int = 5,
        n_resamples: int = 20,
        random_state: Any = None,
    ) -> None:
        self.learner = learner
        self.censoring = censoring
        self.method = method
        self.outcome = outcome
        self.horizon = horizon
        self.floor = floor
        self.normalize = normalize
        self.positivity = positivity
        self.event_level = event_level
        self.n_folds = n_folds
        self.n_resamples = n_resamples
        self.random_state = random_state

    def _fit_rows(self, X: Any, rows: CensoredRows) -> None:
        method = self._choose_method(rows)
        censoring_seed, event_seed, fold_seed, draw_seed = seed_sequence(self.random_state).spawn(4)
        self.censoring_model_ = self.outcome_model_ = None
        if rows.n_censored == 0 and rows.entry is None:
            self.method_, self.horizon_ = "complete", None
            self.learner_ = self._fit_learner(X, rows.time, rows.weight, draw_seed)
            self.diagnostics_ = uncensored_diagnostics(rows, None)
            return
        self._filling = learn_filling(X)
        filled = self._filling.fill(X)
        self.method_ = method
        # The model of the event takes over where weights stop summing to one, and marginal weights
        # always do.
        is_marginal = method in NEEDS_EVENT or self.censoring == "km"
        choice = horizon_given(None if is_marginal else filled, rows, self.horizon)
        self.horizon_ = choice.value
        restricted = restrict(rows, self.horizon_)
        self.censoring_model_ = self._model_of_censoring(
            filled, rows, self.horizon_, censoring_seed
        )
        weighed = self._weigh(filled, rows, restricted)
        self.diagnostics_ = weighed.diagnostics
        if method == "weights":
            self.learner_ = self._fit_learner(X, weighed.target, weighed.weights, draw_seed)
            return
        if method in NEEDS_EVENT:
            self.outcome_model_ = resolve_model(
                self.outcome,
                of="event",
                has_covariates=True,
                horizon=self.horizon_,
                random_state=seeded_state(event_seed),
            ).fit_rows(filled, rows)
        outcome = self._outcomes(filled, rows, restricted, fold_seed)
        self.learner_ = self._fit_learner(X, outcome, rows.weight, draw_seed)

    def _choose_method(self, rows: CensoredRows) -> str:
        if self.method not in METHODS:
            raise ValueError(
                f"method={self.method!r} is not one of {', '.join(map(repr, METHODS))}."
            )
        if self.n_folds < 2:
            raise ValueError(f"n_folds={self.n_folds} must be at least 2.")
        learner = resolve_learner(self.learner, "regression")
        loss = learner_loss(learner)
        if self.method == "auto":
            return "doubly_robust" if loss == "squared" and rows.entry is None else "weights"
        if self.method != "weights" and loss == "other":
            raise ValueError(
                f"method={self.method!r} makes outcomes with the right mean, and "
                f"{learner_name(learner)} as it is set does not estimate a mean by squared error. "
                'Use method="weights", which is right for every loss.'
            )
        if self.method not in ("weights", "pseudo") and rows.entry is not None:
            raise ValueError(
                f"method={self.method!r} is not made for entry times (left truncation); use "
                'method="weights".'
            )
        return self.method

    def _outcomes(
        self, X: Any, rows: CensoredRows, restricted: Restricted, seed: np.random.SeedSequence
    ) -> Array:
        """Return the outcome that the learner is to regress on X."""
        floor = OUTCOME_FLOOR if self.floor == "auto" else self.diagnostics_.floor
        censoring = event = None
        # Both models see the same folds.
        if self.method_ in NEEDS_CENSORING:
            censoring = self._training_curves(self.censoring_model_, X, rows, seed)
        if self.method_ in NEEDS_EVENT:
            event = self._training_curves(self.outcome_model_, X, rows, seed)
        return outcomes(self.method_, rows, restricted, censoring, event, floor)

    def _training_curves(
        self, model: Any, X: Any, rows: CensoredRows, seed: np.random.SeedSequence
    ) -> TrainingCurves:
        rng = np.random.default_rng(seed)
        return training_curves(model, X, rows, n_folds=self.n_folds, rng=rng)

    def predict(self, X: Any) -> Array:
        """Predict what the learner estimates of min(Y, horizon): its mean, a quantile, ...

        Parameters
        ----------
        X : array or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,)
        """
        X = self._predictable(X)
        return np.asarray(self.learner_.predict(X))

    def score(self, X: Any, y: Any, *, event: Any = None, sample_weight: Any = None) -> float:
        r"""Return R squared of min(Y, horizon), weighted against censoring.

        .. math:: 1 - \sum_i W_i (z_i - f_i)^2 \big/ \sum_i W_i (z_i - \bar z)^2

        The weights come from the model of censoring of this fit, so that scores of fits with
        different models are not comparable; `trueness.censoring.score_report` puts them under the
        same ones.

        Parameters
        ----------
        X : array or frame of shape (m, p)
        y : structured array, frame, or array of shape (m,)
            As in ``fit``.
        event : array of shape (m,), default=None
            Needed if y is durations alone and some rows of the fit were censored.
        sample_weight : array of shape (m,), default=None

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If events are missing though durations were censored in the fit, or rows are censored
            though none were in the fit for want of events.
        """
        referee = self._referee(X, y, event, sample_weight)
        restricted, weight = referee.restricted_weights(self.horizon_)
        return r_squared(restricted.target, self.predict(X), weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        learner = resolve_learner(self.learner, "regression")
        inner = get_tags(learner).regressor_tags
        tags.regressor_tags.poor_score = inner is not None and inner.poor_score
        return tags
