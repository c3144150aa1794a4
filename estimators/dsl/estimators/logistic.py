"""Binary and multinomial logit from machine labels and a designed sample of gold labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from ... import validation
from ..fitted import Read
from ..numerics import LOGISTIC, MomentModel, MultinomialModel
from ..scoring import labelled_weights
from ..targets import Target
from .covariates import CovariateModel, outcome_name

Array = NDArray[np.float64]


class DSLLogisticRegression(ClassifierMixin, CovariateModel):
    r"""Logistic regression, binary or multinomial, on a partly labelled outcome.

    With two classes it solves the bias-corrected score equation

    .. math:: \sum_i X_i \{\tilde Y_i - \mathrm{expit}(X_i'\beta)\} = 0, \qquad
        \tilde Y_i = \hat g_i + \frac{R_i}{\pi_i} (Y_i - \hat g_i),

    with :math:`Y_i \in \{0, 1\}` (0 for the first of the sorted classes). The pseudo-outcomes
    :math:`\tilde Y_i` may lie outside [0, 1]; the equation is solved as it is. Without penalty.
    With every row labelled it is the maximum-likelihood logit.

    With more classes it is the multinomial logit, each class against the first:

    .. math:: \sum_i X_i \{\tilde Y_{ij} - \rho_j(X_i)\} = 0, \qquad
        \rho_j(x) = \frac{\exp(x'\beta_j)}{1 + \sum_{l \ge 1} \exp(x'\beta_l)},
        \qquad j = 1, \ldots, J - 1,

    its terms named ``class: term``. Where covariates are predicted as well
    (``predicted_features``), the moments are corrected as a whole, as in
    `DSLLinearRegression`.

    Where covariates separate the classes no finite solution exists: a `SeparationWarning` names
    the columns, their estimates in ``results_`` are infinite and standard errors missing, and
    ``coef_`` is a finite point far along the separating direction that serves `predict` only.

    Parameters
    ----------
    predicted_features : str, int or sequence of these, default=()
        Columns of X that are known on the labelled rows only (NaN elsewhere) and predicted from
        the surrogates. The moments are corrected, not the columns, so that errors of the
        predictions that depend on the outcome do no harm.
    learner : {"auto", "linear", "boosting"}, scikit-learn estimator or None, default="auto"
        Predicts the probabilities of the classes from all surrogate columns and X. "auto"
        takes, in each repeat, a regularised logistic regression or gradient boosting, whichever
        has the smaller cross-validated squared error. None takes the surrogates as they are,
        the outcome's first: classes, or numbers if the classes are 0 and 1.
    tuning : {"diagonal", "scalar", "matrix", None}, default="diagonal"
        Weight of the predictions: one for each coefficient, one for all, a matrix, or full weight
        (None: the published estimator). With the first, useless predictions cost a coefficient
        next to nothing against the gold labels alone: at most 4% of its variance in our
        studies with 100 labels or more.
    n_folds : int, default=5
        Folds of the cross-fitting; clusters stay together and the labelled rows of each class
        are spread evenly.
    n_repeats : int, default=10
        Independent sample splits, combined by medians; 1 is used when ``learner`` is None.
    covariance : {"auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2"}, default="auto"
        As in `DSLLinearRegression`, but with tuning corrected as in HC2 under every design;
        leverage is that of the weighted least-squares problem at the solution. With more than two
        classes: HC0, HC1, CR0, CR1.
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
    fit_intercept : bool, default=True
        Whether to add a constant.

    Attributes
    ----------
    classes_ : ndarray of shape (J,)
    coef_ : ndarray of shape (1, p), or (J, p) with more than two classes
        The row of the first class, the reference, is zero in the multinomial case.
    intercept_ : ndarray of shape (1,) or (J,)
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
    array([0.07, 0.09])
    """

    _title = "DSL logistic regression"

    def _moment_model(self) -> MomentModel:
        return LOGISTIC if len(self.classes_) == 2 else MultinomialModel()

    def _read_outcome(self, y: Any, n_rows: int) -> Target:
        codes, self.classes_ = validation.read_classes(y, n_rows)
        return Target(outcome_name(y), codes, tuple(self.classes_.tolist()))

    def _finish_reading(self, read: Read) -> Read:
        if len(self.classes_) > 2:
            read.facts["Classes"] = f"against {self.classes_[0]}"
        return read

    def _is_categorical(self) -> bool:
        return True

    def _n_classes(self) -> int:
        return len(self.classes_)

    def _class_names(self) -> tuple[str, ...]:
        return tuple(map(str, self.classes_[1:])) if len(self.classes_) > 2 else ()

    def _store(self, point: Array) -> None:
        if len(self.classes_) == 2:
            intercept, coef = self._split(point)
            self.intercept_, self.coef_ = np.array([intercept]), coef[None, :]
            return
        equations = point.reshape(len(self.classes_) - 1, -1)
        pairs = [self._split(equation) for equation in (np.zeros_like(equations[0]), *equations)]
        self.intercept_ = np.array([intercept for intercept, _ in pairs])
        self.coef_ = np.vstack([coef for _, coef in pairs])

    def decision_function(self, X: Any) -> Array:
        """Return the linear predictor, the log odds of the second class.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,), or (m, J) with more than two classes
            In the multinomial case the log odds of every class against the first.
        """
        design = self._design_of(X)
        if len(self.classes_) == 2:
            return design @ self._fitted.fit.point
        equations = self._fitted.fit.point.reshape(len(self.classes_) - 1, -1)
        return np.hstack([np.zeros((len(design), 1)), design @ equations.T])

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes given X.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m, J)
        """
        decision = self.decision_function(X)
        if decision.ndim == 2:
            return softmax(decision, axis=1)
        second = expit(decision)
        return np.column_stack([1.0 - second, second])

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the most probable class given X.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,)
        """
        decision = self.decision_function(X)
        if decision.ndim == 2:
            return self.classes_[decision.argmax(axis=1)]
        return self.classes_[(decision > 0.0).astype(int)]

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
