"""Any classifier of who outlives a horizon, from censored durations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from ...crossfit import seed_sequence
from ..horizon import Restricted, choose_horizon, survives
from ..numerics.scores import average_over, brier
from ..targets import CensoredRows
from .base import CensoredEstimator, uncensored_diagnostics
from .gaps import learn_filling
from .horizons import falling_curves, one_horizon, stack_horizons, with_horizon
from .learners import resolve_learner

Array = NDArray[np.float64]


def _has_probabilities(self: Any) -> bool:
    return hasattr(resolve_learner(self.learner, "probability"), "predict_proba")


def _gives_probabilities(self: Any) -> bool:
    if np.size(self.horizon) > 1:
        raise AttributeError(
            "There are several horizons, so that a row has no single class; use predict_survival."
        )
    return _has_probabilities(self)


class CensoredClassifier(ClassifierMixin, CensoredEstimator):
    r"""Any classifier of :math:`1\{Y > u\}`, fitted to durations of which some are censored.

    A row is known at the horizon u if its event was seen by then, or if it was still under
    observation after it. The learner is fitted to the known rows, weighted so that they stand for
    the others too,

    .. math::

        \sum_i \Big[\frac{1\{t_i \le u, d_i = 1\}}{\hat G(t_i- | x_i)}\, L\{0, f(x_i)\}
        + \frac{1\{t_i > u\}}{\hat G(u | x_i)}\, L\{1, f(x_i)\}\Big],

    with whatever loss L it has: log-loss, hinge, impurity. With several horizons, one learner is
    fitted for each, or a single one to all pairs of a row and a horizon.

    Parameters
    ----------
    learner : {"linear", "boosting", "forest"} or scikit-learn classifier, default="linear"
        A logistic regression, gradient boosting, a random forest, or any other learner, also in a
        pipeline, a search or an ensemble. One that takes no weights is fitted to resampled rows.
    horizon : float or sequence of float
        u, one or several, in the unit of the durations.
    censoring : {"auto", "km", "beran", "neighbors", "forest", "cox"} or model, default="auto"
        Model of the censoring survival G. "auto" takes the one with the least leave-one-out Brier
        score, the marginal Kaplan-Meier curve among them.
    stacked : bool, default=False
        True: one learner for all horizons, which sees the horizon as a last column of X (named
        "horizon" in a frame), and minimises the sum of the losses over horizons. False: one
        learner for each horizon.
    floor : float, "auto" or "quantile", default="auto"
        Least survival of censoring. "auto" is max(0.05, 1/sqrt(n)); "quantile" caps weights at
        their 99% quantile.
    normalize : {"mean1", "hajek", "none"}, default="mean1"
        Scale of the weights that the learner sees.
    positivity : {"warn", "raise", "ignore"}, default="warn"
        What to do with known rows whose survival of censoring is zero, and with alarms, which
        only warn.
    event_level : scalar, default=None
        The value of ``event`` that stands for the event, if it is not 0 and 1.
    n_resamples : int, default=20
        Fits that are averaged if the learner takes no weights; 0 raises an error instead.
    random_state : int, Generator, SeedSequence, RandomState or None, default=None
        Seeds models of censoring and resampling; the learner has its own.

    Attributes
    ----------
    learners_ : list
        The fitted learner of each horizon; a single one if stacked.
    learner_ : estimator
        The first of them.
    classes_ : ndarray of shape (2,)
        0, the event came by the horizon, and 1, it came later.
    horizon_ : float or ndarray
        The horizon, or horizons in increasing order.
    censoring_model_ : CensoringModel or None
        The fitted model of censoring; None if no row is censored.
    diagnostics_ : CensoringDiagnostics
        Of the weights at the last horizon.
    diagnostics_by_horizon_ : dict
        Of the weights at every horizon.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (p,)
        Only if X has column names.

    See Also
    --------
    CensoredRegressor, censoring_weights

    Notes
    -----
    Of a classifier, scikit-learn takes ``cv=5`` for stratification by the target, and durations
    are no strata: it raises an error. Pass a splitter, such as
    `trueness.censoring.CensoredStratifiedKFold`.

    References
    ----------
    Vock, D. M., Wolfson, J., Bandyopadhyay, S., Adomavicius, G., Johnson, P. E.,
    Vazquez-Benitez, G. and O'Connor, P. J. (2016). Adapting machine learning techniques to
    censored time-to-event health record data: a general-purpose approach using inverse
    probability of censoring weighting. Journal of Biomedical Informatics 61, 119-131.
    https://doi.org/10.1016/j.jbi.2016.03.009

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from trueness.censoring import CensoredClassifier, survival_target
    >>> rng = np.random.default_rng(0)
    >>> x = rng.integers(0, 2, size=(4000, 1)).astype(float)
    >>> duration, censoring = rng.exponential(1 + x[:, 0]), rng.exponential(2, size=4000)
    >>> y = survival_target(np.minimum(duration, censoring), duration <= censoring)
    >>> model = CensoredClassifier(LogisticRegression(), horizon=[1.0, 2.0], random_state=0)
    >>> survival = model.fit(x, y).predict_survival([[0.0], [1.0]])
    >>> np.abs(survival - np.exp(-np.array([[1.0, 2.0], [0.5, 1.0]]))).max().round(1)
    np.float64(0.0)
    """

    _task = "probability"

    def __init__(
        self,
        learner: Any = "linear",
        *,
        horizon: Any = None,
        censoring: Any = "auto",
        stacked: bool = False,
        floor: Any = "auto",
        normalize: str = "mean1",
        positivity: str = "warn",
        event_level: Any = None,
        n_resamples: int = 20,
        random_state: Any = None,
    ) -> None:
        self.learner = learner
        self.horizon = horizon
        self.censoring = censoring
        self.stacked = stacked
        self.floor = floor
        self.normalize = normalize
        self.positivity = positivity
        self.event_level = event_level
        self.n_resamples = n_resamples
        self.random_state = random_state

    def _fit_rows(self, X: Any, rows: CensoredRows) -> None:
        horizons = self._read_horizons(rows)
        model_seed, draw_seed = seed_sequence(self.random_state).spawn(2)
        self.censoring_model_ = None
        self.classes_ = np.array([0, 1])
        self.horizon_ = horizons if np.ndim(self.horizon) else float(horizons[0])
        targets = [survives(rows, float(u)) for u in horizons]
        if rows.n_censored == 0 and rows.entry is None:
            weights = [rows.weight] * len(horizons)
            self.diagnostics_by_horizon_ = {
                float(u): uncensored_diagnostics(rows, float(u)) for u in horizons
            }
        else:
            self._filling = learn_filling(X)
            filled = self._filling.fill(X)
            last = float(horizons[-1])
            self.censoring_model_ = self._model_of_censoring(filled, rows, last, model_seed)
            weighed = [self._weigh(filled, rows, target) for target in targets]
            weights = [one.weights for one in weighed]
            self.diagnostics_by_horizon_ = {
                float(u): one.diagnostics for u, one in zip(horizons, weighed, strict=True)
            }
        self.diagnostics_ = self.diagnostics_by_horizon_[float(horizons[-1])]
        for target, weight in zip(targets, weights, strict=True):
            _check_both_classes(target, weight, rows)
        if self.stacked:
            parts = [
                one_horizon(X, target, weight)
                for target, weight in zip(targets, weights, strict=True)
            ]
            tall, label, stacked_weight = stack_horizons(parts, horizons)
            if self.normalize == "mean1":
                stacked_weight = stacked_weight / stacked_weight.mean()
            self.learners_ = [self._fit_learner(tall, label, stacked_weight, draw_seed)]
            return
        self.learners_ = [
            self._fit_learner(X, target.target.astype(int), weight, seed)
            for target, weight, seed in zip(
                targets, weights, draw_seed.spawn(len(horizons)), strict=True
            )
        ]

    def _read_horizons(self, rows: CensoredRows) -> Array:
        if self.horizon is None or isinstance(self.horizon, str):
            raise ValueError(
                f"horizon={self.horizon!r}: CensoredClassifier predicts whether the event comes "
                "later than a horizon; pass the time, or several, in the unit of the durations."
            )
        horizons = np.unique(np.asarray(self.horizon, dtype=float).ravel())
        if not len(horizons):
            raise ValueError("horizon is empty; pass one time, or several.")
        for u in horizons:
            choose_horizon(float(u), rows)
        return horizons

    @property
    def learner_(self) -> Any:
        """The fitted learner, of the first horizon if there are several."""
        return self.learners_[0]

    # ------------------------------------------------------------------ predictions

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_survival(self, X: Any) -> Array:
        """Predict the probability of outliving each horizon.

        Where learners of several horizons contradict each other, with survival that rises, the
        mean of the largest falling curve below and the least one above their predictions is
        returned.

        Parameters
        ----------
        X : array or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,), or (m, n_horizons) if ``horizon`` is a sequence
        """
        X = self._predictable(X)
        horizons = np.atleast_1d(self.horizon_)
        survival = np.column_stack([self._beyond(X, j, u) for j, u in enumerate(horizons)])
        falling = falling_curves(survival)
        return falling if np.ndim(self.horizon_) else falling[:, 0]

    def _beyond(self, X: Any, j: int, horizon: float) -> Array:
        learner, X = self._learner_and_rows(X, j, horizon)
        return np.asarray(learner.predict_proba(X), dtype=float)[:, 1]

    def _learner_and_rows(self, X: Any, j: int, horizon: float) -> tuple[Any, Any]:
        if self.stacked:
            return self.learners_[0], with_horizon(X, horizon)
        return self.learners_[j], X

    @available_if(_gives_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """Predict the probabilities of the event by the horizon, and of outliving it.

        Parameters
        ----------
        X : array or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m, 2)
        """
        survival = np.asarray(self.predict_survival(X)).reshape(-1)
        return np.column_stack([1.0 - survival, survival])

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict whether each row outlives the horizon (1) or not (0), as the learner decides.

        Parameters
        ----------
        X : array or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,), or (m, n_horizons) if there are several horizons
        """
        X = self._predictable(X)
        classes = []
        for j, u in enumerate(np.atleast_1d(self.horizon_)):
            learner, rows = self._learner_and_rows(X, j, u)
            classes.append(np.asarray(learner.predict(rows)))
        return classes[0] if len(classes) == 1 else np.column_stack(classes)

    def score(self, X: Any, y: Any, *, event: Any = None, sample_weight: Any = None) -> float:
        r"""Return the share of the Brier score of a constant prediction that is saved.

        .. math::

            1 - \frac{B(\hat s)}{B(\bar s)}, \qquad B(s) = \sum_i \Big[
            \frac{1\{t_i \le u, d_i = 1\}}{\hat G(t_i- | x_i)}\, s_i^2
            + \frac{1\{t_i > u\}}{\hat G(u | x_i)}\, (1 - s_i)^2\Big],

        with :math:`\bar s` the weighted share that outlives u; both averaged over horizons if
        there are several. The weights come from the model of censoring of this fit, so that
        scores of fits with different models are not comparable; `trueness.censoring.score_report`
        puts them under the same ones. A learner without probabilities is scored by its classes.

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
        horizons = np.atleast_1d(self.horizon_)
        predict = self.predict_survival if _has_probabilities(self) else self.predict
        survival = np.asarray(predict(X), dtype=float).reshape(len(referee.rows), len(horizons))
        scores, bars = np.empty(len(horizons)), np.empty(len(horizons))
        for j, u in enumerate(horizons):
            cases, controls, weight = referee.survival_weights(float(u))
            scores[j] = brier(survival[:, j], cases, controls, weight)
            total = float(weight @ (cases + controls))
            share = np.full(len(weight), float(weight @ controls) / total)
            bars[j] = brier(share, cases, controls, weight)
        bar = average_over(horizons, bars)
        return 1.0 - average_over(horizons, scores) / bar if bar > 0.0 else np.nan


def _check_both_classes(target: Restricted, weight: Array | None, rows: CensoredRows) -> None:
    """Raise if all known rows are of one class at a horizon."""
    counted = target.known if weight is None else weight > 0.0
    labels = target.target[counted]
    if len(labels) and 0.0 < labels.mean() < 1.0:
        return
    u = target.horizon
    if len(labels) and labels[0] == 1.0:
        first = rows.time[rows.event].min()
        raise ValueError(
            f"No event is seen by the horizon {u:g}, so that there is only one class; the first "
            f"event is at {first:g}. Choose a later horizon."
        )
    raise ValueError(
        f"No row is known to outlive the horizon {u:g}, so that there is only one class; the last "
        f"time in the data is {rows.time.max():g}. Choose an earlier horizon."
    )
