"""Poisson regression from machine labels and a designed sample of gold labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from ... import validation
from ..numerics import POISSON
from ..scoring import weighted_r2
from ..targets import Target
from .covariates import CovariateModel, outcome_name

Array = NDArray[np.float64]


class DSLPoissonRegressor(RegressorMixin, CovariateModel):
    r"""Poisson regression (log link) on a partly labelled outcome with machine labels for all rows.

    Solves the bias-corrected score equation

    .. math:: \sum_i X_i \{\tilde Y_i - \exp(X_i'\beta)\} = 0, \qquad
        \tilde Y_i = \hat g_i + \frac{R_i}{\pi_i} (Y_i - \hat g_i),

    for counts or any outcome that is not negative; only the mean has to be right, not the
    distribution, as standard errors are robust. Where covariates are predicted as well
    (``predicted_features``), the moments are corrected as a whole, as in
    `DSLLinearRegression`. With every row labelled it is the maximum-likelihood
    Poisson regression.

    Parameters
    ----------
    predicted_features : str, int or sequence of these, default=()
        Columns of X that are known on the labelled rows only (NaN elsewhere) and predicted from
        the surrogates.
    learner : {"auto", "linear", "boosting"}, scikit-learn estimator or None, default="auto"
        Predicts the outcome from all surrogate columns and X. "auto" takes, in each
        repeat, a regularised linear model or gradient boosting, whichever has the smaller
        cross-validated squared error. None takes the surrogates as they are: one for each
        predicted variable, the outcome first.
    tuning : {"diagonal", "scalar", "matrix", None}, default="diagonal"
        Weight of the predictions: one for each coefficient, one for all, a matrix, or full weight
        (None: the published estimator). With the first, useless predictions cost a coefficient
        next to nothing against the gold labels alone: at most 4% of its variance in our
        studies with 100 labels or more.
    n_folds : int, default=5
        Folds of the cross-fitting; clusters stay together and labelled rows are spread evenly.
    n_repeats : int, default=10
        Independent sample splits, combined by medians; 1 is used when ``learner`` is None.
    covariance : {"auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2"}, default="auto"
        "auto" is HC0, or CR0 with clusters: with tuning corrected for the labels' leverage and for
        the weights being estimated (as in HC3), and referred to t with effective labels minus
        coefficients (or sampling units minus strata) degrees of freedom; without tuning
        uncorrected, and referred to the normal distribution. HC2, HC3 and CR2 need ``tuning=None``.
        HC1-HC3 refer to t with effective labels minus coefficients degrees of freedom, CR1 and CR2
        to t with at most the number of clusters minus one.
    design : {"poisson", "srswor", "stratified"}, default="poisson"
        How rows were drawn for labelling: independently of each other, by simple random sampling
        of a fixed number without replacement, or by that within ``strata``. Other designs are
        given by a ``gold_sample``. With tuning, inference from independent draws whose
        probabilities were rescaled is conditional on the number of labels; without it the number
        counts as random, and intervals are wider where the surrogate has a bias.
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
    DSLLinearRegression, DSLLogisticRegression

    References
    ----------
    Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2023). Using imperfect surrogates for
    downstream inference: design-based supervised learning for social science applications of
    large language models. NeurIPS 36. https://doi.org/10.48550/arXiv.2306.04746

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLPoissonRegressor
    >>> rng = np.random.default_rng(7)
    >>> x = rng.normal(size=2000)
    >>> truth = rng.poisson(np.exp(0.5 + 0.4 * x))
    >>> machine = rng.binomial(truth, 0.8)
    >>> y = np.where(rng.random(2000) < 0.2, truth, np.nan)
    >>> model = DSLPoissonRegressor(learner="linear", random_state=1)
    >>> model.fit(x[:, None], y, surrogates=machine).results_.std_errors.round(3)
    array([0.023, 0.021])
    """

    _model = POISSON
    _title = "DSL Poisson regression"

    def _read_outcome(self, y: Any, n_rows: int) -> Target:
        values = validation.read_outcome(y, n_rows)
        negative = values < 0.0
        if negative.any():
            raise ValueError(
                f"y is negative on {negative.sum():,} rows ({validation.first_rows(negative)}); a "
                "Poisson regression is for counts and other outcomes that are not negative."
            )
        return Target(outcome_name(y), values)

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
        return np.exp(self._design_of(X) @ self._fitted.fit.point)

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags
