"""Logistic regression of survival beyond a time with standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ..horizon import HorizonChoice, Restricted, choose_horizon, survives
from ..numerics.fits import WeightedFit, logistic_fit
from ..numerics.scores import brier
from ..targets import CensoredRows
from .base import CensoredRegression

Array = NDArray[np.float64]


class CensoredLogisticRegression(CensoredRegression):
    r"""Logistic regression of outliving a time, from censored durations, with standard errors.

    Models :math:`P(Y > u | x) = p(x'\beta)` with the logistic function p. By doubly robust
    outcomes :math:`B_i^*`,

    .. math:: \sum_i x_i \{B_i^* - p(x_i'\beta)\} = 0, \qquad
        B^* = \frac{k\, 1\{t > u\} + (1 - k)\, \hat m(t, x)}{\hat G(v | x)}
        - \int_{(0, v]} \hat m(s, x)\, d\{1 / \hat G(s | x)\},

    with :math:`\hat m(s, x) = \hat S(u | x) / \hat S(s | x)`, k telling whether survival at u is
    known, and v just before t for events by u, u for rows beyond it. It is consistent if the
    model of censoring or that of the event is right, and errors that take :math:`B^*` as it is are
    valid with any pair of models. By weights,

    .. math:: \sum_i \frac{k_i}{\hat G(v_i | x_i)}\, x_i \{1\{t_i > u\} - p(x_i'\beta)\} = 0,

    with errors that account for the estimated curve.

    Parameters
    ----------
    horizon : float
        u, in the unit of the durations.
    method : {"doubly_robust", "weights"}, default="doubly_robust"
    censoring : {"auto", "km", "cox", "beran", "neighbors", "forest"} or model, default="auto"
        Model of censoring. "auto" takes the one with the least leave-one-out Brier score,
        the Kaplan-Meier curve among them.
    outcome : {"auto", "km", "cox", "beran", "neighbors", "forest"} or model, default="auto"
        Model of the event, for "doubly_robust".
    floor : float, "auto" or "quantile", default="auto"
        Least survival of censoring; "auto" is 0.1 for outcomes, max(0.05, 1/sqrt(n)) for weights.
    covariance : {"auto", "HC0", "HC2", "HC3", "CR0", "CR2", "CR3", "bootstrap"}, default="auto"
        As in `CensoredLinearRegression`; leverage is that of the weighted least-squares problem at
        the solution.
    n_boot : int, default=200
        Draws of the bootstrap.
    n_folds : int, default=5
        Folds outside of which models that do not leave rows out are fitted.
    fit_intercept : bool, default=True
        Whether to add a constant.
    random_state : int, Generator, SeedSequence, RandomState or None, default=None
        Seeds folds, models that draw, and the bootstrap.
    n_jobs : int, default=None
        Processes over bootstrap draws, as in joblib.

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
    intercept_ : float
    results_ : Estimates
        Estimates, covariance and influence values; tests, tables, plots.
    horizon_ : float
        u.
    censoring_model_ : CensoringModel
    outcome_model_ : CensoringModel or None
        The model of the event; None for "weights".
    bootstrap_ : CaseWeightBootstrap or None
        With the draws, if ``covariance="bootstrap"``.
    diagnostics_ : CensoringDiagnostics
        Of the weights against censoring.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (p,)
        Only if X has column names.
    classes_ : ndarray of shape (2,)
        0, the event came by u, and 1, it came later.

    See Also
    --------
    CensoredLinearRegression, CensoredQuantileRegression, CensoredClassifier, km_integral

    References
    ----------
    Rubin, D. and van der Laan, M. J. (2007). A doubly robust censoring unbiased transformation.
    International Journal of Biostatistics 3(1). https://doi.org/10.2202/1557-4679.1052

    Uno, H., Cai, T., Tian, L. and Wei, L. J. (2007). Evaluating prediction rules for t-year
    survivors with censored regression models. Journal of the American Statistical Association
    102(478), 527-537. https://doi.org/10.1198/016214507000000149

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import CensoredLogisticRegression, survival_target
    >>> rng = np.random.default_rng(3)
    >>> x = rng.integers(0, 2, size=(2000, 1))
    >>> duration = rng.exponential(1.0 + x[:, 0])
    >>> censored = rng.exponential(2.0 + x[:, 0])
    >>> y = survival_target(np.minimum(duration, censored), duration <= censored)
    >>> model = CensoredLogisticRegression(1.0, censoring="cox", outcome="cox", random_state=1)
    >>> model.fit(x, y).to_frame()[["term", "estimate", "std_error"]].round(1)
            term  estimate  std_error
    0  intercept      -0.6        0.1
    1         x1       1.1        0.1
    """

    _title = "Censored logistic regression"
    _is_survival = True

    def __init__(
        self,
        horizon: Any = None,
        *,
        method: str = "doubly_robust",
        censoring: Any = "auto",
        outcome: Any = "auto",
        floor: Any = "auto",
        covariance: str = "auto",
        n_boot: int = 200,
        n_folds: int = 5,
        fit_intercept: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.horizon = horizon
        self.method = method
        self.censoring = censoring
        self.outcome = outcome
        self.floor = floor
        self.covariance = covariance
        self.n_boot = n_boot
        self.n_folds = n_folds
        self.fit_intercept = fit_intercept
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _choose_horizon(self, X: Any, rows: CensoredRows) -> HorizonChoice:
        if self.horizon is None or isinstance(self.horizon, str) or np.ndim(self.horizon) > 0:
            raise ValueError(
                f"horizon={self.horizon!r}: CensoredLogisticRegression models survival beyond one "
                "time; pass it, in the unit of the durations."
            )
        choice = choose_horizon(self.horizon, rows)
        self.classes_ = np.array([0, 1])
        later = rows.time > float(self.horizon)
        failed = rows.event & ~later
        for found, what in ((later, "outlives"), (failed, "has its event by")):
            if not found.any():
                raise ValueError(
                    f"No row {what} {self.horizon:g}, so that there is only one class; times go "
                    f"from {rows.time.min():g} to {rows.time.max():g}."
                )
        return choice

    def _solve(self, design: Array, target: Array, weight: Array, total: float) -> WeightedFit:
        return logistic_fit(design, target, weight, total)

    def _restrict(self, rows: CensoredRows, horizon: float | None) -> Restricted:
        assert horizon is not None
        return survives(rows, horizon)

    def _describe_target(self, horizon: float | None) -> str:
        return f"log odds of a duration beyond {horizon:g}"

    def predict_proba(self, X: Any) -> Array:
        """Predict the probabilities of the event by the horizon, and of outliving it.

        Parameters
        ----------
        X : array or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m, 2)
        """
        survival = self.predict_survival(X)
        return np.column_stack([1.0 - survival, survival])

    def predict_survival(self, X: Any) -> Array:
        """Predict the probability of outliving the horizon.

        Parameters
        ----------
        X : array or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,)
        """
        return np.asarray(expit(self._predictor(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict whether each row outlives the horizon (1) or not (0).

        Parameters
        ----------
        X : array or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,)
        """
        return (self._predictor(X) > 0.0).astype(int)

    def score(self, X: Any, y: Any, *, event: Any = None, sample_weight: Any = None) -> float:
        """Return the share of the Brier score of a constant prediction that is saved.

        Weighted by the censoring model of the fit; the constant is the weighted share of rows
        that outlive the horizon.

        Parameters
        ----------
        X : array or frame of shape (m, p)
        y : structured array, frame, or array of shape (m,)
        event : array of shape (m,), default=None
            1 for an event, 0 for censoring, where ``y`` does not say.
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
        survival = self.predict_survival(X)
        referee = self._referee(X, y, event, sample_weight)
        cases, controls, weight = referee.survival_weights(float(self.horizon_ or 0.0))
        share = float(weight @ controls / (weight @ (cases + controls)))
        bar = brier(np.full(len(referee.rows), share), cases, controls, weight)
        return 1.0 - brier(survival, cases, controls, weight) / bar if bar > 0.0 else np.nan
