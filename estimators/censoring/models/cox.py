"""Censoring given covariates by a proportional hazards model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from ..diagnostics import CensoringWarning, DependenceTest
from ..horizon import HorizonChoice, choose_horizon
from ..numerics.curves import count, evaluate
from ..targets import CensoredRows
from .base import Array, CensoringModel, Codes, Curves, Of, Side
from .covariates import Covariates, take_rows

MAX_TESTED = 5000
TEST_SEED = 5
# Lengths of Newton steps of lifelines: its default, and one for when that runs away.
_FIRST_STEP, _CAUTIOUS_STEP = 0.95, 0.2


class CoxCensoring(CensoringModel):
    r"""Cox model of censoring: log-linear and proportional in the covariates.

    .. math::

        \hat G(u | x) = \exp\{-\hat H_0(u)\, e^{x'\hat\gamma}\}, \qquad
        \hat H_0(u) = \sum_{v \le u} \frac{D_c(v)}{\sum_{j \text{ at risk}} e^{x_j'\hat\gamma}}

    with coefficients by partial likelihood (Efron's treatment of ties) from lifelines and
    Breslow's baseline. Rows with an event at v are not at risk of being censored at v. Training
    rows are evaluated in sample, which costs less than cross-fitting gains.

    Parameters
    ----------
    penalizer : float, default=0.0
        Ridge penalty on the coefficients of standardised covariates.
    of : {"censoring", "event"}, default="censoring"
        Whose survival is estimated.

    Attributes
    ----------
    coef_ : ndarray of shape (q,)
        Of standardised numeric covariates and indicators of categories.
    coef_names_ : tuple of str
    baseline_hazard_ : ndarray of shape (m,)
        Jumps of :math:`\hat H_0` at ``jump_times_``, for covariates at their means.
    likelihood_ratio_ : float
        Twice the gain in log-likelihood over no covariates.
    last_time_ : float
        Last time of which the data say anything.
    rows_ : CensoredRows
        What the model was fitted to.

    References
    ----------
    Cox, D. R. (1972). Regression models and life-tables. *Journal of the Royal Statistical
    Society B* 34(2), 187-202. https://doi.org/10.1111/j.2517-6161.1972.tb00899.x

    Davidson-Pilon, C. (2019). lifelines: survival analysis in Python. *Journal of Open Source
    Software* 4(40), 1317. https://doi.org/10.21105/joss.01317

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import CoxCensoring
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(300, 2))
    >>> duration, censored = rng.exponential(size=300), rng.exponential(np.exp(x[:, 0]))
    >>> model = CoxCensoring().fit(x, np.minimum(duration, censored), duration <= censored)
    >>> bool(model.coef_[0] < 0)  # a larger first covariate, a smaller hazard of censoring
    True
    """

    def __init__(self, *, penalizer: float = 0.0, of: Of = "censoring") -> None:
        self.penalizer = penalizer
        self.of = of

    @property
    def name(self) -> str:
        """Words for headers."""
        return "Cox"

    def _fit(self, X: Any, rows: CensoredRows) -> None:
        design = self.covariates_.design(X, drop_first=True)
        self._design = design
        self.coef_names_ = self.covariates_.design_names
        self.coef_, self.likelihood_ratio_ = partial_likelihood(
            design, self.coef_names_, rows, self.of, self.penalizer
        )
        counts = count(
            rows.time, rows.event, rows.case_weight * np.exp(design @ self.coef_), rows.entry
        )
        plain = self._counts.jumps(self.of)
        jumps = plain > 0.0
        self.baseline_hazard_ = plain[jumps] / counts.at_risk(self.of)[jumps]
        self._times = counts.times[jumps]
        self._cumulative = np.cumsum(self.baseline_hazard_)

    def linear_predictor(self, X: Any) -> Array:
        r"""Return :math:`x'\hat\gamma`, an index of the hazard of censoring.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame

        Returns
        -------
        ndarray of shape (n,)
        """
        predictor: Array = self.covariates_.design(X, drop_first=True) @ self.coef_
        return predictor

    def _curves(self, X: Any, times: Array, side: Side) -> Curves:
        return Curves(self._survival(self.linear_predictor(X), times, side))

    def _training_curves(self, rows: Codes, times: Array, side: Side) -> Curves:
        return Curves(self._survival(self._design[rows] @ self.coef_, times, side))

    def _survival(self, predictor: Array, times: Array, side: Side) -> Array:
        hazard = evaluate(self._times, self._cumulative, times, side, start=0.0)
        return np.exp(-hazard * np.exp(predictor)[:, None])


def partial_likelihood(
    design: Array, names: tuple[str, ...], rows: CensoredRows, of: Of, penalizer: float = 0.0
) -> tuple[Array, float]:
    """Return coefficients and the likelihood ratio against no covariates.

    Parameters
    ----------
    design : ndarray of shape (n, q)
    names : tuple of str
    rows : CensoredRows
    of : {"censoring", "event"}
    penalizer : float, default=0.0

    Returns
    -------
    coef : ndarray of shape (q,)
    likelihood_ratio : float

    Raises
    ------
    ValueError
        If the maximum of the likelihood cannot be found.
    """
    fell = rows.event if of == "event" else ~rows.event
    what = "censored" if of == "censoring" else "with an event"
    if not (fell & (rows.case_weight > 0.0)).any() or design.shape[1] == 0:
        return np.zeros(design.shape[1]), 0.0
    # Imported here: it takes seconds, and most models do not need it.
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    kept = rows.case_weight > 0.0
    # The likelihood knows only the order of times: whole numbers put censorings after events.
    ranks = count(rows.time, rows.event).codes
    columns = [f"x{j}" for j in range(design.shape[1])]
    frame = pd.DataFrame(design, columns=columns)
    frame["time"] = 2.0 * ranks + np.where(rows.event, 0.0, 1.0) + 2.0
    frame["fell"] = fell
    more: dict[str, Any] = {}
    if rows.weight is not None:
        frame["weight"] = rows.weight / rows.weight[kept].mean()
        more |= {"weights_col": "weight", "robust": True}
    if rows.entry is not None:
        distinct = np.unique(rows.time)
        seen = np.searchsorted(distinct, rows.entry, side="right")
        frame["entry"] = 2.0 * seen + 1.5 - 1.0
        more["entry_col"] = "entry"
    fitter = CoxPHFitter(penalizer=penalizer)

    def fit(step: float) -> list[warnings.WarningMessage]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitter.fit(frame[kept], "time", "fell", fit_options={"step_size": step}, **more)
        return caught

    try:
        try:
            caught = fit(_FIRST_STEP)
        except ConvergenceError:
            # Full steps overshoot where a covariate has a long tail; short ones arrive.
            caught = fit(_CAUTIOUS_STEP)
    except (ConvergenceError, np.linalg.LinAlgError, ValueError) as error:
        raise ValueError(
            f"The Cox model of being {what} has no maximum for {len(names)} columns and "
            f"{int((fell & kept).sum()):,} rows {what}: a column may be a combination of others, "
            "or separate the rows. Leave columns out, or set penalizer=0.1."
        ) from error
    trouble = [w for w in caught if issubclass(w.category, UserWarning) and _is_trouble(w)]
    if trouble:
        first = str(trouble[0].message).strip().splitlines()[0]
        warnings.warn(f"Cox model of being {what}: {first}", CensoringWarning, stacklevel=4)
    coef = fitter.params_[columns].to_numpy(dtype=float)
    return coef, _likelihood_ratio(fitter)


def _is_trouble(warning: Any) -> bool:
    return "onverge" in str(warning.message) or "variance" in str(warning.message)


def _likelihood_ratio(fitter: Any) -> float:
    return float(fitter.log_likelihood_ratio_test().test_statistic)


def dependence_test(X: Any, rows: CensoredRows, of: Of = "censoring") -> DependenceTest | None:
    """Test whether censoring depends on covariates, by a Cox model on at most 5,000 rows.

    Parameters
    ----------
    X : array-like of shape (n, p) or frame
    rows : CensoredRows
    of : {"censoring", "event"}

    Returns
    -------
    DependenceTest or None
        None where nobody is censored, covariates do not vary, or the model has no maximum.
    """
    from scipy.stats import chi2

    if len(rows) > MAX_TESTED:
        drawn = np.random.default_rng(TEST_SEED).choice(len(rows), MAX_TESTED, replace=False)
        X, rows = take_rows(X, drawn), rows.take(drawn)
    learned = Covariates.learn(X, len(rows), rows.weight)
    design = learned.design(X, drop_first=True)
    fell = rows.event if of == "event" else ~rows.event
    if not fell.any() or design.shape[1] == 0:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CensoringWarning)
            _, statistic = partial_likelihood(design, learned.design_names, rows, of)
    except (ValueError, CensoringWarning):
        return None
    df = design.shape[1]
    return DependenceTest(statistic, df, float(chi2.sf(statistic, df)), len(rows))


def horizon_given(X: Any, rows: CensoredRows, horizon: Any) -> HorizonChoice:
    """Turn what the user said into a horizon, ``"auto"`` with a Cox model of censoring.

    Parameters
    ----------
    X : array-like of shape (n, p) or frame, or None
        Without covariates only the marginal rule is left.
    rows : CensoredRows
    horizon : {"auto"}, float or None
        See `trueness.censoring.horizon.choose_horizon`.

    Returns
    -------
    HorizonChoice
        By the marginal rule also where the Cox model has no maximum.
    """
    choice = choose_horizon(horizon, rows)
    if X is None or not isinstance(horizon, str) or choice.marginal is None:
        return choice
    try:
        with warnings.catch_warnings():
            # Constant covariates and the like are reported by the model that is used.
            warnings.simplefilter("ignore", CensoringWarning)
            model = CoxCensoring().fit_rows(X, rows)
    except ValueError:
        return choice
    return choose_horizon(horizon, rows, model=model)
