"""What the estimators of this family share: reading input, cross-fitting, storing results."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import validation
from ..crossfit import CrossFit, crossfit
from ..inference import Estimates
from .diagnostics import DesignWarning, DSLDiagnostics
from .engine import LabelledData, VarianceOptions, check_rank, estimate
from .inputs import surrogate_as_outcome, task_of
from .numerics import IndexModel
from .probabilities import sampling_probability

Array = NDArray[np.float64]


class Design(NamedTuple):
    """Columns of the model, and the columns that only a learner sees."""

    matrix: Array
    terms: tuple[str, ...]
    has_intercept: bool
    learner_columns: Array


class Inputs(NamedTuple):
    """Validated input of one fit."""

    data: LabelledData
    learner_columns: Array
    surrogates: validation.Features | None


class DSLBase(BaseEstimator, ABC):
    """Constructor, fit and delegation common to the estimators of this family."""

    _model: IndexModel
    _title: str
    results_: Estimates
    diagnostics_: DSLDiagnostics
    n_features_in_: int

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
    ) -> None:
        self.learner = learner
        self.tuning = tuning
        self.n_folds = n_folds
        self.n_repeats = n_repeats
        self.covariance = covariance
        self.design = design
        self.normalize = normalize
        self.target = target
        self.random_state = random_state
        self.n_jobs = n_jobs

    # ------------------------------------------------------------------ hooks of the models

    @abstractmethod
    def _read_design(self, X: Any, *, reset: bool) -> Design:
        """Turn X into the columns of the model."""

    def _read_outcome(self, y: Any, n_rows: int) -> Array:
        return validation.read_outcome(y, n_rows)

    def _classes(self) -> NDArray[Any] | None:
        return None

    @abstractmethod
    def _store(self, point: Array) -> None:
        """Set the learned attributes."""

    @property
    def _predicts_from_other_columns(self) -> bool:
        """Whether X has columns outside the model, which may do without surrogates."""
        return False

    def _matrix(self, X: Any, *, reset: bool) -> tuple[Array, tuple[str, ...]]:
        """Return X as a finite matrix, and the names of its columns."""
        matrix = validate_data(
            self,
            validation.dense_or_frame(X),
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{j + 1}" for j in range(self.n_features_in_)]
        validation.check_finite(matrix, [str(name) for name in names], "X")
        return matrix, tuple(str(name) for name in names)

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        surrogates: Any = None,
        sampling_probability: Any = None,
        clusters: Any = None,
    ) -> Self:
        """Fit the model to partly labelled data.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (n, p)
            Fully observed covariates.
        y : array or series of shape (n,)
            Gold labels; NaN (None, NA) on rows without one.
        surrogates : array, sparse matrix or frame of shape (n,) or (n, q), default=None
            Machine labels or anything else that predicts y, known on every row. Text columns
            become indicators. Needed unless all rows are labelled.
        sampling_probability : float or array of shape (n,), default=None
            Known probability in (0, 1] with which each row was drawn for labelling; the share
            of labelled rows if None.
        clusters : array or frame of shape (n,) or (n, 2), default=None
            Cluster labels (two columns: two-way), for folds and standard errors.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the input or an option is invalid; the message says where and what to do.

        Warns
        -----
        DesignWarning, SeparationWarning, SolverWarning, CovarianceWarning
        """
        return self._fit(self._read(X, y, surrogates, sampling_probability, clusters))

    def _fit(self, inputs: Inputs) -> Self:
        options = self._options()
        predictions, fitted = self._predict_outcome(inputs)
        self.results_, self.diagnostics_, point = estimate(
            inputs.data, predictions, options, title=self._title, fitted=fitted
        )
        self._store(point)
        return self

    def _check_options(self) -> None:
        if self.tuning is not None:
            raise ValueError(
                f"tuning={self.tuning!r} is not available yet; tuning=None is the published "
                "estimator without power tuning."
            )
        for name, least in (("n_folds", 2), ("n_repeats", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")

    def _options(self) -> VarianceOptions:
        return VarianceOptions(self.covariance, self.design, self.target)

    def _read(
        self, X: Any, y: Any, surrogates: Any, stated_probability: Any, clusters: Any
    ) -> Inputs:
        """Turn user input into arrays, once the options are known to be valid."""
        self._check_options()
        self._options()
        design = self._read_design(X, reset=True)
        n_rows = len(design.matrix)
        outcome = self._read_outcome(y, n_rows)
        labelled = ~np.isnan(outcome)
        features = None
        if surrogates is not None:
            features = validation.read_features(surrogates, n_rows, "surrogates", "surrogate")
        stated = None
        if stated_probability is not None:
            stated = validation.read_probability(stated_probability, n_rows)
        probability, factor = sampling_probability(
            stated, labelled, design=self.design, normalize=self.normalize
        )
        if labelled.all() and self.target == "population":
            warnings.warn(
                'Every row is labelled, so with target="population" the coefficients are known '
                "exactly: all standard errors are zero.",
                DesignWarning,
                stacklevel=3,
            )
        data = LabelledData(
            model=self._model,
            design=design.matrix,
            terms=design.terms,
            has_intercept=design.has_intercept,
            outcome=outcome,
            probability=probability,
            factor=factor,
            clusters=None if clusters is None else validation.encode_clusters(clusters, n_rows),
            facts=_facts(y, features),
        )
        check_rank(data)
        if self.design == "srswor" and len(data.labelled) < 2:
            raise ValueError("One labelled row has no variance; a simple random sample needs two.")
        self._options().degrees_of_freedom(data)
        return Inputs(data, design.learner_columns, features)

    def _predict_outcome(self, inputs: Inputs) -> tuple[Array, CrossFit | None]:
        """Return predictions of the outcome for every row, one row of them per repeat."""
        data, surrogates = inputs.data, inputs.surrogates
        if data.is_complete:
            return data.outcome[None, :], None
        n_missing = len(data.outcome) - len(data.labelled)
        if surrogates is None and (self.learner is None or not self._predicts_from_other_columns):
            raise ValueError(
                f"y has no gold label on {n_missing:,} of {len(data.outcome):,} rows, and there "
                "are no surrogates to predict it from; pass surrogates=, one value per row."
            )
        if self.learner is None:
            assert surrogates is not None
            return surrogate_as_outcome(surrogates, self._classes())[None, :], None
        fitted = crossfit(
            _stack(surrogates, inputs.learner_columns),
            data.outcome,
            learner=self.learner,
            task=task_of(data.outcome),
            clusters=data.clusters,
            n_folds=self.n_folds,
            n_repeats=self.n_repeats,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )
        return fitted.predictions, fitted

    # ------------------------------------------------------------------ results

    def summary(self, level: float = 0.95) -> str:
        """Return the coefficient table as text; see `Estimates.summary`."""
        check_is_fitted(self)
        return self.results_.summary(level)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Return confidence intervals; see `Estimates.conf_int`."""
        check_is_fitted(self)
        return self.results_.conf_int(level)

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Return one row per term; see `Estimates.to_frame`."""
        check_is_fitted(self)
        return self.results_.to_frame(level)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def labelled_weights(y: Any, sampling_probability: Any) -> tuple[NDArray[np.bool_], Array]:
    """Return which rows of y are labelled, and the inverse probabilities of these rows."""
    labelled = pd.Series(validation.to_pandas(y)).notna().to_numpy()
    if not labelled.any():
        raise ValueError("No row of y is labelled, so there is nothing to score.")
    if sampling_probability is None:
        return labelled, np.ones(int(labelled.sum()))
    probability = validation.read_probability(sampling_probability, len(labelled))
    return labelled, 1.0 / probability[labelled]


def weighted_r2(y: Any, predicted: Array, sampling_probability: Any) -> float:
    """Return R squared on the labelled rows, weighted by 1 / probability."""
    labelled, weight = labelled_weights(y, sampling_probability)
    known = pd.Series(validation.to_pandas(y))[labelled].to_numpy(dtype=float)
    return float(r2_score(known, predicted[labelled], sample_weight=weight))


def _facts(y: Any, surrogates: validation.Features | None) -> dict[str, str]:
    facts = {}
    name = getattr(y, "name", None)
    if name is not None:
        facts["Outcome"] = str(name)
    if surrogates is not None:
        names = surrogates.names if surrogates.raw is None else tuple(surrogates.raw.columns)
        more = f", ... ({len(names)} columns)" if len(names) > 4 else ""
        facts["Surrogates"] = ", ".join(names[:4]) + more
    return facts


def _stack(surrogates: validation.Features | None, columns: Array) -> Any:
    """Put surrogates and covariates side by side, sparse if the surrogates are."""
    if surrogates is None:
        return columns
    if sparse.issparse(surrogates.matrix):
        blocks: list[Any] = [surrogates.matrix, sparse.csr_array(columns)]
        return sparse.hstack(blocks, format="csr")
    return np.hstack([surrogates.matrix, columns])
