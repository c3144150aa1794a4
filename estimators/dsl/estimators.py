"""Regressions from machine labels and a designed sample of gold labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from .. import validation
from .base import Design, DSLBase, labelled_weights, weighted_r2
from .numerics import LINEAR, LOGISTIC

Array = NDArray[np.float64]
INTERCEPT = "intercept"


class _CovariateModel(DSLBase):
    """A model with covariates and an optional intercept."""

    coef_: Array
    intercept_: float | Array

    def __init__(
        self,
        *,
        learner: Any = "auto",
        tuning: None = None,
        n_folds: int = 5,
        n_repeats: int = 10,
        covariance: str = "auto",
        design: str = "poisson",
        normalize: bool = True,
        target: str = "superpopulation",
        random_state: Any = None,
        n_jobs: int | None = None,
        fit_intercept: bool = True,
    ) -> None:
        super().__init__(
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
        )
        self.fit_intercept = fit_intercept

    def _read_design(self, X: Any, *, reset: bool) -> Design:
        matrix, names = self._matrix(X, reset=reset)
        if not self.fit_intercept:
            return Design(matrix, names, False, matrix)
        constant = np.ones((len(matrix), 1))
        return Design(np.hstack([constant, matrix]), (INTERCEPT, *names), True, matrix)

    def _split(self, point: Array) -> tuple[float, Array]:
        return (float(point[0]), point[1:]) if self.fit_intercept else (0.0, point)

    def _linear_predictor(self, X: Any) -> Array:
        check_is_fitted(self)
        matrix, _ = self._matrix(X, reset=False)
        return matrix @ np.ravel(self.coef_) + np.ravel(self.intercept_)[0]


class DSLLinearRegression(RegressorMixin, _CovariateModel):
    r"""Linear regression on a partly labelled outcome with machine labels for all rows.

    Solves the bias-corrected least-squares equation

    .. math:: \sum_i X_i \{\tilde Y_i - X_i'\beta\} = 0, \qquad
        \tilde Y_i = \hat g_i + \frac{R_i}{\pi_i} (Y_i - \hat g_i),

    where :math:`\hat g_i` predicts the outcome from surrogates and covariates by cross-fitting,
    :math:`R_i` tells whether row i has a gold label and :math:`\pi_i` is the known probability
    with which it was drawn. The estimate is consistent for the population least-squares
    projection whatever the quality of the surrogates; good ones make it precise. With
    every row labelled it is ordinary least squares.

    Parameters
    ----------
    learner : {"auto", "linear", "boosting"}, scikit-learn estimator or None, default="auto"
        Predicts the outcome from all surrogate columns and X. "auto" takes, in each
        repeat, a regularised linear model or gradient boosting, whichever has the smaller
        cross-validated squared error. None takes the only surrogate as it is.
    tuning : None, default=None
        Power tuning; not available yet.
    n_folds : int, default=5
        Folds of the cross-fitting; clusters stay together and labelled rows are spread evenly.
    n_repeats : int, default=10
        Independent sample splits, combined by medians; 1 is used when ``learner`` is None.
    covariance : {"auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2"}, default="auto"
        "auto" is HC0, or CR0 with clusters, and refers to the normal distribution. HC1-HC3 refer
        to t with effective labels minus coefficients degrees of freedom, CR1 and CR2 to t
        with at most the number of clusters minus one.
    design : {"poisson", "srswor"}, default="poisson"
        How rows were drawn for labelling: independently of each other, or by simple random
        sampling of a fixed number without replacement. Independent draws have the wider
        intervals where the surrogate has a bias that no learner removes, because the number
        of labels counts as random.
    normalize : bool, default=True
        Multiply stated probabilities so that they sum to the number of labels (rows with
        probability 1 excepted).
    target : {"superpopulation", "population"}, default="superpopulation"
        Whether intervals are for the population behind the rows, or for the coefficients that
        labelling all of these rows would give.
    random_state : int, Generator, SeedSequence, RandomState or None, default=None
        Fixes folds and learners.
    n_jobs : int, default=None
        Processes over repeats, as in joblib; results do not depend on it.
    fit_intercept : bool, default=True
        Whether to add a constant.

    Attributes
    ----------
    coef_ : ndarray of shape (p,)
    intercept_ : float
    results_ : Estimates
        Estimates, covariance and influence values; tests, tables, plots.
    diagnostics_ : DSLDiagnostics
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (p,)
        Only if X has column names.

    See Also
    --------
    DSLLogisticRegression, DSLMean, compare_labels

    References
    ----------
    Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2023). Using imperfect surrogates for
    downstream inference: design-based supervised learning for social science applications of
    large language models. NeurIPS 36. https://doi.org/10.48550/arXiv.2306.04746

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLinearRegression
    >>> rng = np.random.default_rng(7)
    >>> x = rng.normal(size=2000)
    >>> truth = 1 + 0.5 * x + rng.normal(size=2000)
    >>> machine = truth - 0.4 * x + rng.normal(scale=0.5, size=2000)
    >>> y = np.where(rng.random(2000) < 0.1, truth, np.nan)
    >>> model = DSLLinearRegression(random_state=1)
    >>> model.fit(x[:, None], y, surrogates=machine, sampling_probability=0.1).coef_.round(2)
    array([0.54])
    """

    _model = LINEAR
    _title = "DSL linear regression"

    def _store(self, point: Array) -> None:
        self.intercept_, self.coef_ = self._split(point)

    def predict(self, X: Any) -> Array:
        """Predict the mean of the outcome given X.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,)
        """
        return self._linear_predictor(X)

    def score(self, X: Any, y: Any, *, sampling_probability: Any = None) -> float:
        """Return R squared on the labelled rows, weighted by 1 / probability.

        Parameters
        ----------
        X : array or frame of shape (m, p)
        y : array of shape (m,)
            NaN on rows that do not count.
        sampling_probability : float or array of shape (m,), default=None
            Equal weights if None.
        """
        return weighted_r2(y, self.predict(X), sampling_probability)


class DSLLogisticRegression(ClassifierMixin, _CovariateModel):
    r"""Binary logistic regression on a partly labelled outcome with machine labels for all rows.

    Solves the bias-corrected score equation

    .. math:: \sum_i X_i \{\tilde Y_i - \mathrm{expit}(X_i'\beta)\} = 0, \qquad
        \tilde Y_i = \hat g_i + \frac{R_i}{\pi_i} (Y_i - \hat g_i),

    with :math:`Y_i \in \{0, 1\}` (0 for the first of the sorted classes). The pseudo-outcomes
    :math:`\tilde Y_i` may lie outside [0, 1]; the equation is solved as it is. Without penalty.
    With every row labelled it is the maximum-likelihood logit.

    Where covariates separate the classes no finite solution exists: a `SeparationWarning` names
    the columns, their estimates in ``results_`` are infinite and standard errors missing, and
    ``coef_`` is a finite point far along the separating direction that serves `predict` only.

    Parameters
    ----------
    learner : {"auto", "linear", "boosting"}, scikit-learn estimator or None, default="auto"
        Predicts the probability of the second class from all surrogate columns and X. "auto"
        takes, in each repeat, a regularised logistic regression or gradient boosting, whichever
        has the smaller cross-validated squared error. None takes the only surrogate as it is:
        classes, or numbers if the classes are 0 and 1.
    tuning : None, default=None
        Power tuning; not available yet.
    n_folds : int, default=5
        Folds of the cross-fitting; clusters stay together and the labelled rows of each class
        are spread evenly.
    n_repeats : int, default=10
        Independent sample splits, combined by medians; 1 is used when ``learner`` is None.
    covariance : {"auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2"}, default="auto"
        As in `DSLLinearRegression`; leverage is that of the weighted least-squares problem at
        the solution.
    design : {"poisson", "srswor"}, default="poisson"
        Independent draws, or simple random sampling of a fixed number without replacement.
    normalize : bool, default=True
        Multiply stated probabilities so that they sum to the number of labels.
    target : {"superpopulation", "population"}, default="superpopulation"
        What the intervals are for: the population behind the rows, or these rows.
    random_state : int, Generator, SeedSequence, RandomState or None, default=None
        Fixes folds and learners.
    n_jobs : int, default=None
        Processes over repeats, as in joblib; results do not depend on it.
    fit_intercept : bool, default=True
        Whether to add a constant.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    coef_ : ndarray of shape (1, p)
    intercept_ : ndarray of shape (1,)
    results_ : Estimates
        Estimates, covariance and influence values; tests, tables, plots.
    diagnostics_ : DSLDiagnostics
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (p,)
        Only if X has column names.

    See Also
    --------
    DSLLinearRegression, DSLMean, compare_labels

    References
    ----------
    Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2023). Using imperfect surrogates for
    downstream inference: design-based supervised learning for social science applications of
    large language models. NeurIPS 36. https://doi.org/10.48550/arXiv.2306.04746

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLogisticRegression
    >>> rng = np.random.default_rng(7)
    >>> x = rng.normal(size=3000)
    >>> truth = (rng.random(3000) < 1 / (1 + np.exp(-x))).astype(float)
    >>> machine = np.where(rng.random(3000) < 0.85, truth, 1 - truth)
    >>> y = np.where(rng.random(3000) < 0.2, truth, np.nan)
    >>> model = DSLLogisticRegression(learner="linear", random_state=1)
    >>> model.fit(x[:, None], y, surrogates=machine).results_.std_errors.round(2)
    array([0.07, 0.08])
    """

    _model = LOGISTIC
    _title = "DSL logistic regression"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _read_outcome(self, y: Any, n_rows: int) -> Array:
        outcome, self.classes_ = validation.read_classes(y, n_rows)
        return outcome

    def _classes(self) -> NDArray[Any]:
        return self.classes_

    def _store(self, point: Array) -> None:
        intercept, coef = self._split(point)
        self.intercept_, self.coef_ = np.array([intercept]), coef[None, :]

    def decision_function(self, X: Any) -> Array:
        """Return the linear predictor, the log odds of the second class.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,)
        """
        return self._linear_predictor(X)

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of both classes given X.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m, 2)
        """
        second = expit(self.decision_function(X))
        return np.column_stack([1.0 - second, second])

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the more probable class given X.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,)
        """
        is_second = self.decision_function(X) > 0.0
        return self.classes_[is_second.astype(int)]

    def score(self, X: Any, y: Any, *, sampling_probability: Any = None) -> float:
        """Return the accuracy on the labelled rows, weighted by 1 / probability.

        Parameters
        ----------
        X : array or frame of shape (m, p)
        y : array of shape (m,)
            NaN on rows that do not count.
        sampling_probability : float or array of shape (m,), default=None
            Equal weights if None.
        """
        predicted = self.predict(X)
        labelled, weight = labelled_weights(y, sampling_probability)
        known = np.asarray(pd.Series(validation.to_pandas(y))[labelled].tolist())
        return float(accuracy_score(known, predicted[labelled], sample_weight=weight))
