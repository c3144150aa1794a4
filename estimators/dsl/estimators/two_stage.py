"""Two-stage least squares from machine labels and a designed sample of gold labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from ... import validation
from ..fitted import Inputs
from ..numerics import TwoStageModel
from ..reading import RowAligned
from ..scoring import weighted_r2
from .covariates import CovariateModel

Array = NDArray[np.float64]


class DSLTwoStageLeastSquares(RegressorMixin, CovariateModel):
    r"""Two-stage least squares where outcome, treatment or other covariates are machine-labelled.

    With regressors X, some of them endogenous, and Z the exogenous ones and the instruments,

    .. math:: \hat\beta = (S_{XZ} S_{ZZ}^{-1} S_{ZX})^{-1} S_{XZ} S_{ZZ}^{-1} S_{ZY},

    where every cross moment is bias-corrected by the gold labels,

    .. math:: S_{ZX} = \frac1N \sum_i \{(1 - w_i) \hat Z_i \hat X_i' + w_i Z_i X_i'\},
        \qquad w_i = R_i / \pi_i.

    With as many instruments as endogenous columns it solves the moments
    :math:`Z (Y - X'\beta)`; with more it weights them as two-stage least squares does. With every
    row labelled it is two-stage least squares with robust standard errors. Instruments must be
    valid; gold labels cure errors of labels, not those of an instrument.

    Parameters
    ----------
    endogenous : str, int or sequence of these, default=()
        Columns of X that are not instruments for themselves.
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
        to t with at most the number of clusters minus one. With fixed effects: HC0, HC1, CR0, CR1,
        which count the effects as coefficients.
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
    DSLLinearRegression

    References
    ----------
    Egami, N., Hinck, M., Stewart, B. M. and Wei, H. (2023). Using imperfect surrogates for
    downstream inference: design-based supervised learning for social science applications of
    large language models. NeurIPS 36. https://doi.org/10.48550/arXiv.2306.04746

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLTwoStageLeastSquares
    >>> rng = np.random.default_rng(7)
    >>> z, u = rng.normal(size=(2, 4000))
    >>> treatment = z + u + rng.normal(size=4000)
    >>> truth = 0.5 * treatment + 2 * u + rng.normal(size=4000)
    >>> machine = truth + 0.3 * treatment + rng.normal(size=4000)
    >>> y = np.where(rng.random(4000) < 0.2, truth, np.nan)
    >>> model = DSLTwoStageLeastSquares(endogenous=0, learner="linear", random_state=1)
    >>> model.fit(treatment[:, None], y, surrogates=machine, instruments=z).coef_.round(2)
    array([0.5])
    """

    _model = TwoStageModel()
    _title = "DSL two-stage least squares"
    _absorbs = True
    _has_instruments = True

    def __init__(
        self,
        *,
        endogenous: str | int | Sequence[str | int] = (),
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
        fit_intercept: bool = True,
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
        self.endogenous = endogenous

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        instruments: Any = None,
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
        instruments : array or frame of shape (n,) or (n, q), default=None
            Excluded instruments, at least as many as endogenous columns; none are needed where
            nothing is endogenous.
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
            instruments,
            strata,
            gold_sample,
        )
        return self._fit(self._read(X, y, given))

    def _read(self, X: Any, y: Any, given: RowAligned) -> Inputs:
        if given.instruments is None:
            given = given._replace(instruments=np.empty((self._count_rows(X), 0)))
        return super()._read(X, y, given)

    def _endogenous(self, names: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(validation.column_positions(self.endogenous, names, "endogenous"))

    def _store(self, point: Array) -> None:
        self.intercept_, self.coef_ = self._split(point)

    def predict(self, X: Any) -> Array:
        r"""Predict :math:`x'\hat\beta`, the outcome had the endogenous columns been set to X.

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
