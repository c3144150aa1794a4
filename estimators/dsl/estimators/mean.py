"""Means and proportions from machine labels and a designed sample of gold labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ... import validation
from ..base import DSLBase
from ..fitted import Read
from ..numerics import LINEAR
from ..reading import Aligned, matrix_versions
from ..scoring import weighted_r2
from ..targets import Target
from .covariates import outcome_name

Array = NDArray[np.float64]


class DSLMean(RegressorMixin, DSLBase):
    r"""Means (proportions) of a partly labelled outcome, overall or by groups.

    .. math:: \hat\mu_g = \frac{1}{N_g} \sum_{i \in g} \Big\{\hat g_i
        + \frac{R_i}{\pi_i} (Y_i - \hat g_i)\Big\}

    Parameters
    ----------
    by : str, int or sequence of these, default=None
        Columns of X whose combinations form the groups (names, or positions in an array). One
        overall mean if None. The other columns of X help to predict the outcome.
    learner : {"auto", "linear", "boosting"}, scikit-learn estimator or None, default="auto"
        Predicts the outcome from all surrogate columns and X; see `DSLLinearRegression`.
    tuning : {"diagonal", "scalar", "matrix", None}, default="diagonal"
        Weight of the predictions: one for each coefficient, one for all, a matrix, or full weight
        (None: the published estimator). With the first, useless predictions cost a coefficient
        next to nothing against the gold labels alone: at most 4% of its variance in our
        studies with 100 labels or more.
    n_folds : int, default=5
        Folds of the cross-fitting.
    n_repeats : int, default=10
        Independent sample splits, combined by medians; 1 is used when ``learner`` is None.
    covariance : {"auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2"}, default="auto"
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

    Attributes
    ----------
    means_ : ndarray of shape (n_groups,)
    groups_ : DataFrame of shape (n_groups, len(by)) or None
        The levels of each group, in the order of ``means_``.
    results_ : Estimates
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
    >>> import pandas as pd
    >>> from trueness.dsl import DSLMean, GoldSample
    >>> rng = np.random.default_rng(7)
    >>> truth = (rng.random(1000) < 0.3).astype(float)
    >>> machine = np.where(rng.random(1000) < 0.9, truth, 1 - truth)
    >>> X = pd.DataFrame({"year": np.repeat([2001, 2002], 500)})
    >>> sample = GoldSample.simple_random(1000, 200, random_state=0)
    >>> y = np.where(sample.drawn, truth, np.nan)  # people label the rows that were drawn
    >>> model = DSLMean(by="year", learner=None)
    >>> model = model.fit(X, y, surrogates=machine, gold_sample=sample)
    >>> model.results_.names, model.means_.round(2)
    (('year=2001', 'year=2002'), array([0.29, 0.34]))
    >>> model.diagnostics_.gain.round(1)  # each label counts for about two
    array([1.6, 2.5])
    """

    _model = LINEAR
    _title = "DSL mean"

    def __init__(
        self,
        *,
        by: str | int | Sequence[str | int] | None = None,
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
        self.by = by

    def _count_rows(self, X: Any) -> int:
        if self.by is None:
            return len(self._matrix(X, reset=True)[0])
        return len(self._frame(X, reset=True))

    def _read_data(self, X: Any, y: Any, aligned: Aligned) -> Read:
        if self.by is None:
            columns, _, _ = self._matrix(X, reset=True)
            self.groups_: pd.DataFrame | None = None
            indicators = np.ones((len(columns), 1))
            names: tuple[str, ...] = ("mean",)
        else:
            frame = self._frame(X, reset=True)
            columns = validation.read_features(frame, len(frame), "X", "x").matrix
            indicators, names, self.groups_ = group_indicators(frame, self._by())
        outcome = Target(outcome_name(y), validation.read_outcome(y, len(columns)))
        versions = matrix_versions(
            indicators,
            names,
            outcome,
            has_intercept=False,
            has_surrogates=aligned.surrogates is not None,
        )
        return Read(versions, columns)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Return X as a frame; columns of an array are named by their positions."""
        X = validation.to_pandas(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X)).infer_objects()
        return frame.rename(columns=str).reset_index(drop=True)

    def _by(self) -> list[str]:
        by = [self.by] if isinstance(self.by, str | int) else list(self.by or ())
        return [str(name) for name in by]

    @property
    def _predicts_from_other_columns(self) -> bool:
        return self.n_features_in_ > len(self._by())

    def _store(self, point: Array) -> None:
        self.means_ = point

    def predict(self, X: Any) -> Array:
        """Predict the mean of the group that each row belongs to.

        Parameters
        ----------
        X : array or frame of shape (m, p)

        Returns
        -------
        ndarray of shape (m,)

        Raises
        ------
        ValueError
            If a row belongs to a group that was not fitted.
        """
        check_is_fitted(self)
        if self.groups_ is None:
            return np.full(len(self._matrix(X, reset=False)[0]), self.means_[0])
        by = self._by()
        keys = validation.select_columns(self._frame(X, reset=False), by, "by")
        means = keys.merge(self.groups_.assign(mean=self.means_), how="left", on=by)["mean"]
        unseen = means.isna().to_numpy()
        if unseen.any():
            raise ValueError(
                f"{unseen.sum():,} rows belong to groups that were not fitted "
                f"({validation.first_rows(unseen)}, for example "
                f"{keys[unseen].iloc[0].to_dict()})."
            )
        return means.to_numpy(dtype=float)

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
        tags.regressor_tags.poor_score = True  # a mean describes; it is not meant to predict
        return tags


def group_indicators(
    frame: pd.DataFrame, by: Sequence[str]
) -> tuple[Array, tuple[str, ...], pd.DataFrame]:
    """Return indicator columns of groups, their names and their levels.

    Raises
    ------
    ValueError
        If a group column is missing or has missing values.
    """
    keys = validation.select_columns(frame, by, "by")
    missing = keys.isna().any(axis=1).to_numpy()
    if missing.any():
        raise ValueError(
            f"by: {', '.join(map(repr, by))} missing on {missing.sum():,} of {len(frame):,} rows "
            f"({validation.first_rows(missing)}). Give these rows a group of their own or "
            "remove them."
        )
    grouped = keys.groupby(list(by), sort=True, observed=True)
    levels = keys.drop_duplicates()
    levels = levels.sort_values(list(by)).reset_index(drop=True)
    numbers = grouped.ngroup().to_numpy()
    names = tuple(
        ", ".join(f"{name}={level}" for name, level in zip(by, row, strict=True))
        for row in levels[list(by)].itertuples(index=False)
    )
    return (numbers[:, None] == np.arange(len(levels))).astype(float), names, levels
