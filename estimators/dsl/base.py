"""What the estimators of this family share: reading input, cross-fitting, storing results."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from .. import validation
from ..crossfit import CrossFit, crossfit
from .answers import Answers
from .data import LabelledData
from .diagnostics import DesignWarning, DSLDiagnostics, diagnose
from .engine import estimate
from .fitted import Fitted, Inputs, Read
from .identification import check_identified
from .numerics import MomentModel, SamplingDesign
from .options import VarianceOptions
from .reading import (
    Aligned,
    RowAligned,
    labels_without_the_rest,
    learner_features,
    read_aligned,
    surrogates_as_predictions,
    take_rows,
    with_unit_mean,
)
from .reporting import input_facts, warn_about_few
from .sampling import check_sample, sampling_design, units_as_clusters

Array = NDArray[np.float64]


class DSLBase(Answers, BaseEstimator):
    """Constructor, fit and delegation common to the estimators of this family."""

    _model: MomentModel
    _title: str
    diagnostics_: DSLDiagnostics
    n_features_in_: int

    def __init__(
        self,
        *,
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
    def _read_data(self, X: Any, y: Any, aligned: Aligned) -> Read:
        """Turn X and y into the two versions of the data."""

    @abstractmethod
    def _count_rows(self, X: Any) -> int:
        """Validate X as far as its rows can be counted."""

    @abstractmethod
    def _store(self, point: Array) -> None:
        """Set the learned attributes."""

    def _finish_reading(self, read: Read) -> Read:
        """Add what a model knows only after it has seen the data."""
        return read

    def _moment_model(self) -> MomentModel:
        """Return the moments of the model."""
        return self._model

    @property
    def _predicts_from_other_columns(self) -> bool:
        """Whether X has columns outside the model, which may do without surrogates."""
        return False

    def _matrix(
        self, X: Any, *, reset: bool, predicted: Any = ()
    ) -> tuple[Array, tuple[str, ...], list[int]]:
        """Return X as a matrix, the names of its columns, and positions of predicted ones."""
        matrix = validate_data(
            self,
            validation.dense_or_frame(X),
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        given = getattr(self, "feature_names_in_", None)
        if given is None:
            given = [f"x{j + 1}" for j in range(self.n_features_in_)]
        names = tuple(str(name) for name in given)
        positions = validation.column_positions(predicted, names, "predicted_features")
        advice = (
            " A column that is known on the labelled rows only, and predicted elsewhere, is "
            "declared by predicted_features."
        )
        observed = np.delete(np.arange(len(names)), positions)
        shown = [names[j] for j in observed]
        complete = matrix[:, observed] if positions else matrix
        validation.check_finite(complete, shown, "X", advice if reset else "")
        validation.check_not_infinite(matrix[:, positions], [names[j] for j in positions], "X")
        return matrix, names, positions

    # ------------------------------------------------------------------ fitting

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
        DesignWarning, SeparationWarning, SolverWarning, CovarianceWarning
        """
        given = RowAligned(
            surrogates,
            sampling_probability,
            clusters,
            sample_weight,
            strata=strata,
            gold_sample=gold_sample,
        )
        return self._fit(self._read(X, y, given))

    def _fit(self, inputs: Inputs) -> Self:
        predictions, fitted = self._predict_targets(inputs)
        data = inputs.data.after_learning(predictions)
        if not inputs.data.versions.is_ready:
            self._check_data(data)
        inputs = inputs._replace(data=data)
        fit = estimate(inputs.data, predictions, self._options(), title=self._title, fitted=fitted)
        self._fitted = Fitted(inputs, predictions, fitted, fit)
        self.results_ = fit.estimates
        self.diagnostics_ = diagnose(self._fitted)
        self._store(fit.point)
        return self

    def _check_options(self) -> None:
        for name, least in (("n_folds", 2), ("n_repeats", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")
        self._options()

    def _options(self) -> VarianceOptions:
        tuning: Any = self.tuning  # which VarianceOptions checks
        return VarianceOptions(self.covariance, self.design, self.target, tuning)

    def _read(self, X: Any, y: Any, given: RowAligned) -> Inputs:
        """Turn user input into arrays, once the options are known to be valid."""
        self._check_options()
        n_rows = self._count_rows(X)
        aligned = read_aligned(given, n_rows)
        lost = {}
        if aligned.sample_weight is not None and not aligned.sample_weight.all():
            kept = np.flatnonzero(aligned.sample_weight)
            X, y = take_rows(X, kept, n_rows), take_rows(y, kept, n_rows)
            aligned = aligned.take(kept)
            lost = {"of weight zero": n_rows - len(kept)}
        aligned = with_unit_mean(aligned)
        read = self._finish_reading(self._read_data(X, y, aligned))
        read.rows_lost.update(lost)
        if getattr(y, "name", None) is not None:
            read.facts["Outcome"] = str(y.name)
        read.facts.update(input_facts(read.versions, aligned))
        return self._assemble(read, aligned)

    def _assemble(self, read: Read, aligned: Aligned) -> Inputs:
        """Check what concerns data and options together, before anything is computed."""
        labelled = read.versions.labelled
        if not labelled.any():
            raise ValueError(
                "No row has a gold value of every predicted variable at once "
                f"({', '.join(repr(target.name) for target in read.versions.targets)}); label "
                "some rows completely."
            )
        design, factor = self._sampling_design(aligned, labelled)
        data = LabelledData(
            model=self._moment_model(),
            versions=read.versions,
            design=design,
            factor=factor,
            sample_weight=aligned.sample_weight,
            clusters=units_as_clusters(design, aligned.clusters),
            absorbed=aligned.absorbed,
            class_names=read.class_names,
            parameter_names=read.parameter_names,
            rows_lost=read.rows_lost,
            facts=read.facts,
            sample_kind="" if aligned.sample is None else aligned.sample.kind,
        )
        self._warn_about_labels(data)
        if data.design.is_fixed and len(data.labelled) < 2:
            raise ValueError("One labelled row has no variance; a simple random sample needs two.")
        self._options().check_model(data)
        if data.versions.is_ready:
            self._check_data(data)
        return Inputs(data, aligned, read.learner_columns)

    def _sampling_design(
        self, aligned: Aligned, labelled: NDArray[np.bool_]
    ) -> tuple[SamplingDesign, float]:
        if labelled.all() and aligned.sample is None:
            return SamplingDesign(np.ones(len(labelled))), 1.0
        if aligned.sample is not None:
            check_sample(aligned.sample.flags, labelled)
            return aligned.sample.design, 1.0
        return sampling_design(
            aligned.probability,
            aligned.strata,
            labelled,
            design=self.design,
            normalize=self.normalize,
            given_number=self.tuning is not None,
        )

    def _check_data(self, data: LabelledData) -> None:
        check_identified(data)
        self._options().degrees_of_freedom(data)

    def _warn_about_labels(self, data: LabelledData) -> None:
        level = 5  # whoever called fit
        if not data.is_complete and self.tuning is not None:
            warn_about_few(data, level + 1)
        if data.is_complete and self.target == "population":
            warnings.warn(
                'Every row is labelled, so with target="population" the coefficients are known '
                "exactly: all standard errors are zero.",
                DesignWarning,
                stacklevel=level,
            )
        if len(data.versions.targets) > 1:
            partly = labels_without_the_rest(data.versions.targets)
            if partly:
                warnings.warn(
                    f"{partly:,} rows have a gold value of some predicted variables but not of "
                    "all; they count as not labelled.",
                    DesignWarning,
                    stacklevel=level,
                )

    def _predict_targets(self, inputs: Inputs) -> tuple[Array, CrossFit | None]:
        """Return predictions of the targets, shape (n_repeats, n, n_columns)."""
        data, surrogates = inputs.data, inputs.aligned.surrogates
        targets = data.versions.targets
        if data.is_complete:
            return np.empty((1, data.n_rows, 0)), None
        if surrogates is None and (self.learner is None or not self._predicts_from_other_columns):
            n_missing = data.n_rows - len(data.labelled)
            names = ", ".join(target.name for target in targets)
            verb, what = ("has", "it") if len(targets) == 1 else ("have", "them")
            raise ValueError(
                f"{names} {verb} no gold label on {n_missing:,} of {data.n_rows:,} rows, and there "
                f"are no surrogates to predict {what} from; pass surrogates=, one value per row."
            )
        if self.learner is None:
            return surrogates_as_predictions(inputs.aligned, targets)[None], None
        labelled = data.versions.labelled
        fitted = crossfit(
            learner_features(surrogates, inputs.learner_columns),
            np.hstack([target.to_learn(labelled) for target in targets]),
            learner=self.learner,
            tasks=[target.task for target in targets for _ in range(target.n_columns)],
            clusters=data.clusters,
            n_folds=self.n_folds,
            n_repeats=self.n_repeats,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )
        return fitted.predictions, fitted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
