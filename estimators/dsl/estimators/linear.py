"""Linear regression from machine labels and a designed sample of gold labels."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from ..numerics import LINEAR
from ..reading import RowAligned
from ..scoring import weighted_r2
from .covariates import CovariateModel

Array = NDArray[np.float64]


class DSLLinearRegression(RegressorMixin, CovariateModel):
    r"""Linear regression on a partly labelled outcome with machine labels for all rows.

    Solves the bias-corrected least-squares equation

    .. math:: \sum_i X_i \{\tilde Y_i - X_i'\beta\} = 0, \qquad
        \tilde Y_i = \hat g_i + \frac{R_i}{\pi_i} (Y_i - \hat g_i),

    where :math:`\hat g_i` predicts the outcome from surrogates and covariates by cross-fitting,
    :math:`R_i` tells whether row i has a gold label and :math:`\pi_i` is the known probability
    with which it was drawn. The estimate is consistent for the population least-squares
    projection whatever the quality of the surrogates; good ones make it precise. With
    every row labelled it is ordinary least squares.

    Where covariates are predicted as well (``predicted_features``), the moment
    :math:`m = X (Y - X'\beta)` is corrected as a whole:

    .. math:: \sum_i \{(1 - w_i)\, m(\hat D_i; \beta) + w_i\, m(D_i; \beta)\} = 0,
        \qquad w_i = R_i / \pi_i,

    and a row is labelled if everything that is predicted has a gold value. Fixed effects given to
    ``fit`` are absorbed exactly, on unbalanced panels too.

    Parameters
    ----------
    predicted_features : str, int or sequence of these, default=()
        Columns of X that are known on the labelled rows only (NaN elsewhere) and predicted from
        the surrogates. The moments are corrected, not the columns, so that errors of the
        predictions that depend on the outcome do no harm.
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
        the weights being estimated (as in HC3; with whole units as in HC2), and referred to t with
        effective labels minus coefficients (or sampling units minus strata) degrees of freedom;
        without tuning uncorrected, and referred to the normal distribution. Where errors are
        corrected as in HC2, units without a label count for the part of a coefficient's variance
        that they contribute (Welch). HC2, HC3 and CR2 need ``tuning=None``. HC1-HC3 refer to t with
        effective labels minus coefficients degrees of freedom, CR1 and CR2 to t with at most the
        number of clusters minus one. With fixed effects: HC0, HC1, CR0, CR1, which count the
        effects as coefficients.
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
        Whether to add a constant; fixed effects take its place.

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
    _absorbs = True

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        surrogates: Any = None,
        sampling_probability: Any = None,
        strata: Any = None,
        gold_sample: Any = None,
        clusters: Any = None,
        fixed_effects: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Fit the model to partly labelled data.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p)
            Covariates; NaN only in columns declared as ``predicted_features``, on rows without a
            gold value.
        y : array or series of shape (n,)
            Gold labels; NaN (None, NA) on rows without one.
        surrogates : array, sparse matrix or frame of shape (n,) or (n, q), default=None
            Machine labels or anything else that predicts y and the predicted columns of X, known
            on every row. Text columns become indicators. Needed unless all rows are labelled.
        sampling_probability : float or array of shape (n,), default=None
            Known probability in (0, 1] with which each row was drawn for labelling; the share
            of labelled rows if None.
        strata : array of shape (n,), default=None
            Stratum of each row, for ``design="stratified"``: a simple random sample in each.
        gold_sample : GoldSample, default=None
            The drawn sample itself, for every other design; it takes the place of ``design``,
            ``sampling_probability`` and ``strata``.
        clusters : array or frame of shape (n,) or (n, 2), default=None
            Cluster labels (two columns: two-way), for folds and standard errors. Sampling units
            of several rows if None and a ``gold_sample`` has them.
        fixed_effects : array or frame of shape (n,) or (n, m), default=None
            Levels of one or more effects to absorb (say unit and period).
        sample_weight : array of shape (n,), default=None
            Analysis weights, on any scale; rows of weight zero are left out. Equal if None.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the input or an option is invalid; the message says where and what to do.

        Warns
        -----
        DesignWarning, SolverWarning, CovarianceWarning
        """
        given = RowAligned(
            surrogates,
            sampling_probability,
            clusters,
            sample_weight,
            fixed_effects,
            strata=strata,
            gold_sample=gold_sample,
        )
        return self._fit(self._read(X, y, given))

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
        return self._design_of(X) @ self._fitted.fit.point

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
