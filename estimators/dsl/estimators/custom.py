"""Any estimating equation of the user's, corrected by gold labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fitted import Read
from ..numerics import CustomModel, MomentModel
from .covariates import CovariateModel

Array = NDArray[np.float64]
Function = Callable[[Array, Array, Array], Array]


class DSLEstimator(CovariateModel):
    r"""Estimating equation of the user's on partly labelled data.

    Solves

    .. math:: \sum_i \{(1 - w_i)\, m(\hat X_i, \hat Y_i; \theta) + w_i\, m(X_i, Y_i; \theta)\} = 0,
        \qquad w_i = R_i / \pi_i,

    for a moment with :math:`E\, m(X, Y; \theta^*) = 0`, its hats being predictions where there are
    no gold labels. Each row has the influence value :math:`J^{-1} \tilde m_i` with
    :math:`J = -\frac1N \sum_i \partial \tilde m_i / \partial \theta'`. With every row labelled it
    is the estimator that the moment defines, with the HC0 (CR0) sandwich. Nothing needs to be
    linear; the moment must be smooth in :math:`\theta` and have as many components.

    Parameters
    ----------
    moment : callable
        ``moment(X, y, theta)`` returns the moments of every row, shape (n, p), for a matrix of
        shape (n, k), an outcome of shape (n,) and parameters of shape (p,). The outcome may lie
        outside its usual range, as it may be a prediction.
    jacobian : callable, default=None
        ``jacobian(X, y, theta)`` returns the derivatives :math:`\partial m_i / \partial \theta'`
        of every row, shape (n, p, p). Four-point differences if None, at the cost of 4 p
        evaluations of the moment in each iteration.
    start : sequence of float, default=None
        Where the iteration begins; its length is the number of parameters. Zeros, as many as
        columns, if None.
    parameter_names : sequence of str, default=None
        Names of the parameters; the columns of X, or "theta1", "theta2" ..., if None.
    predicted_features : str, int or sequence of these, default=()
        Columns of X that are known on the labelled rows only (NaN elsewhere) and predicted from
        the surrogates.
    learner : {"auto", "linear", "boosting"}, scikit-learn estimator or None, default="auto"
        Predicts the outcome from all surrogate columns and X, as in `DSLLinearRegression`.
    tuning : {"diagonal", "scalar", "matrix", None}, default="diagonal"
        Weight of the predictions: one for each coefficient, one for all, a matrix, or full weight
        (None: the published estimator). With the first, useless predictions cost a coefficient
        next to nothing against the gold labels alone: at most 4% of its variance in our
        studies with 100 labels or more.
    n_folds : int, default=5
        Folds of the cross-fitting; clusters stay together and labelled rows are spread evenly.
    n_repeats : int, default=10
        Independent sample splits, combined by medians; 1 is used when ``learner`` is None.
    covariance : {"auto", "HC0", "HC1", "CR0", "CR1"}, default="auto"
        As in `DSLLinearRegression`.
    design : {"poisson", "srswor", "stratified"}, default="poisson"
        Independent draws, simple random sampling of a fixed number without replacement, or that
        within ``strata``. Other designs are given by a ``gold_sample``.
    normalize : bool, default=True
        Multiply stated probabilities so that they sum to the number of labels.
    target : {"superpopulation", "population"}, default="superpopulation"
        What the intervals are for: the population behind the rows, or these rows.
    random_state : int, Generator, SeedSequence, RandomState or None, default=None
        Fixes folds and learners.
    n_jobs : int, default=None
        Processes over repeats, as in joblib; results do not depend on it.
    fit_intercept : bool, default=False
        Whether X gets a leading column of ones before the moment sees it.

    Attributes
    ----------
    params_ : ndarray of shape (p,)
    results_ : Estimates
        Estimates, covariance and influence values; tests, tables, plots.
    diagnostics_ : DSLDiagnostics
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (k,)
        Only if X has column names.

    See Also
    --------
    DSLLinearRegression, DSLLogisticRegression, DSLPoissonRegressor

    References
    ----------
    Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2023). Using imperfect surrogates for
    downstream inference: design-based supervised learning for social science applications of
    large language models. NeurIPS 36. https://doi.org/10.48550/arXiv.2306.04746

    Examples
    --------
    A probit. Its score stays well defined where a predicted outcome is no 0 or 1:

    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from trueness.dsl import DSLEstimator
    >>> def probit_score(X, y, theta):
    ...     index = X @ theta
    ...     mean, density = norm.cdf(index), norm.pdf(index)
    ...     return X * ((y - mean) * density / (mean * (1 - mean)))[:, None]
    >>> rng = np.random.default_rng(7)
    >>> x = rng.normal(size=3000)
    >>> truth = (0.5 + 0.8 * x + rng.normal(size=3000) > 0).astype(float)
    >>> machine = np.where(rng.random(3000) < 0.9, truth, 1 - truth)
    >>> y = np.where(rng.random(3000) < 0.2, truth, np.nan)
    >>> model = DSLEstimator(probit_score, learner="linear", fit_intercept=True, random_state=1)
    >>> model.fit(x[:, None], y, surrogates=machine).params_.round(1)
    array([0.5, 0.8])

    A regression discontinuity at 0, local linear on both sides with a triangular kernel of
    bandwidth 0.5; the first parameter is the jump:

    >>> def discontinuity(X, y, theta):
    ...     position = X[:, 0]
    ...     above = (position >= 0).astype(float)
    ...     columns = np.column_stack([above, np.ones_like(above), position, above * position])
    ...     kernel = np.maximum(1 - np.abs(position) / 0.5, 0)
    ...     return columns * (kernel * (y - columns @ theta))[:, None]
    >>> position = rng.uniform(-1, 1, 5000)
    >>> truth = 2.0 * (position >= 0) + np.sin(position) + rng.normal(size=5000)
    >>> machine = truth + 0.5 * (position >= 0) + rng.normal(size=5000)
    >>> y = np.where(rng.random(5000) < 0.2, truth, np.nan)
    >>> names = ["jump", "level", "slope", "change of slope"]
    >>> rdd = DSLEstimator(discontinuity, start=np.zeros(4), parameter_names=names, random_state=1)
    >>> rdd = rdd.fit(position[:, None], y, surrogates=machine)
    >>> rdd.conf_int().loc["jump"].round(1).tolist()
    [1.5, 2.1]
    """

    _title = "DSL estimator"

    def __init__(
        self,
        moment: Function,
        jacobian: Function | None = None,
        *,
        start: Sequence[float] | Array | None = None,
        parameter_names: Sequence[str] | None = None,
        predicted_features: str | int | Sequence[str | int] = (),
        learner: Any = "auto",
        tuning: str | None = "diagonal",
        n_folds: int = 5,
        n_repeats: int = 10,
        covariance: str = "auto",
        design: str = "poisson",
        normalize: bool = True,
        target: str = "superpopulation",
        random_state: Any = None,
        n_jobs: int | None = None,
        fit_intercept: bool = False,
    ) -> None:
        super().__init__(
            predicted_features=predicted_features,
            learner=learner,
            tuning=tuning,
            n_folds=n_folds,
            n_repeats=n_repeats,
            covariance=covariance,
            design=design,
            normalize=normalize,
            target=target,
            random_state=random_state,
            n_jobs=n_jobs,
            fit_intercept=fit_intercept,
        )
        self.moment = moment
        self.jacobian = jacobian
        self.start = start
        self.parameter_names = parameter_names

    def _check_options(self) -> None:
        super()._check_options()
        for name in ("moment", "jacobian"):
            value = getattr(self, name)
            if not (callable(value) or (name == "jacobian" and value is None)):
                raise TypeError(f"{name} must be a function of (X, y, theta), got {value!r}.")

    def _finish_reading(self, read: Read) -> Read:
        """Name the parameters."""
        terms = read.versions.terms
        self._initial = np.zeros(len(terms)) if self.start is None else _vector(self.start)
        names = self.parameter_names
        if names is None:
            n = len(self._initial)
            names = terms if self.start is None else [f"theta{j + 1}" for j in range(n)]
        if len(names) != len(self._initial) or len(set(names)) < len(names):
            raise ValueError(
                f"parameter_names must be {len(self._initial)} different names, one for each "
                f"starting value; got {len(names)}: {', '.join(map(str, names))}."
            )
        return replace(read, parameter_names=tuple(map(str, names)))

    def _moment_model(self) -> MomentModel:
        return CustomModel(self.moment, self.jacobian, self._initial)

    def _store(self, point: Array) -> None:
        self.params_ = point


def _vector(start: Any) -> Array:
    values = np.asarray(start, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError("start must be a sequence of finite numbers, one for each parameter.")
    return values
