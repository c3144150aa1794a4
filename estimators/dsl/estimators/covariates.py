"""What models with covariates and an intercept share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ... import validation
from ...formula import ParsedFormula
from ..fitted import Read
from ..formula_input import FormulaInput, Named, read_covariate, read_formula
from ..formulas import FormulaVersions
from ..gold_sample import GoldSample
from ..reading import Aligned, matrix_versions
from ..reporting import input_facts
from ..targets import Target
from ..versions import Outcome
from .conditional_mean import ConditionalMean

Array = NDArray[np.float64]


class CovariateModel(ConditionalMean):
    """A model with covariates, some of them perhaps predicted, and an optional intercept."""

    def __init__(
        self,
        *,
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
        self.predicted_features = predicted_features
        self.fit_intercept = fit_intercept

    def fit_formula(
        self,
        formula: str,
        data: Any,
        *,
        surrogates: Any = None,
        sampling_probability: str | float | None = None,
        strata: str | None = None,
        gold_sample: GoldSample | None = None,
        clusters: str | Sequence[str] | None = None,
        sample_weight: str | None = None,
    ) -> Self:
        """Fit the model that a formula describes to the columns of a frame.

        Rows with missing values in covariates or fixed effects are left out, counted in the header
        and in ``diagnostics_.rows_lost``. Learners see all surrogate columns and the fully observed
        variables of the formula.

        Parameters
        ----------
        formula : str
            ``"y ~ x1 * x2 + C(g)"``, with ``"| unit + period"`` for fixed effects to absorb
            (linear models) and ``"| treatment ~ z1 + z2"`` for endogenous variables and their
            instruments (two-stage least squares). Transformations (``log``, ``x**2``, ``bs``,
            ``poly``, ``center``, interactions) of predicted variables are allowed: they are
            applied to predictions and gold values alike.
        data : frame of n rows
            pandas, polars or Arrow. Predicted variables are missing on rows without a gold value.
        surrogates : dict, str or list of str, default=None
            ``{variable: [columns]}`` for each predicted variable, outcome or covariate, numeric or
            categorical; only columns if there is but one. Needed unless every row is labelled.
        sampling_probability : str or float, default=None
            Column of known probabilities of being drawn for labelling, or one number; the share of
            labelled rows if None.
        strata : str, default=None
            Column of strata, for ``design="stratified"``.
        gold_sample : GoldSample, default=None
            The drawn sample itself, row by row that of ``data``; it takes the place of ``design``,
            ``sampling_probability`` and ``strata``.
        clusters : str or sequence of str, default=None
            One column, or two for two-way clusters.
        sample_weight : str, default=None
            Column of analysis weights.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If formula, data or an option is invalid; the message says where and what to do.

        Warns
        -----
        DesignWarning, SeparationWarning, SolverWarning, CovarianceWarning

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from trueness.dsl import DSLLinearRegression
        >>> rng = np.random.default_rng(7)
        >>> data = pd.DataFrame({"x": rng.normal(size=2000)})
        >>> topic = (rng.random(2000) < 0.4).astype(float)
        >>> data["y"] = 1 + topic - 0.5 * topic * data["x"] + rng.normal(size=2000)
        >>> data["machine"] = np.where(rng.random(2000) < 0.9, topic, 1 - topic)
        >>> data["topic"] = np.where(rng.random(2000) < 0.2, topic, np.nan)
        >>> model = DSLLinearRegression(learner="linear", random_state=1)
        >>> model = model.fit_formula("y ~ topic * x", data, surrogates={"topic": ["machine"]})
        >>> model.results_.names
        ('intercept', 'topic', 'x', 'topic:x')
        """
        self._check_options()
        if self.predicted_features:
            raise ValueError(
                "predicted_features belongs to fit; fit_formula takes predicted variables from "
                "surrogates={variable: [columns]}."
            )
        named = Named(
            surrogates, sampling_probability, clusters, sample_weight, strata, gold_sample
        )
        given = read_formula(formula, data, named)
        self._check_parts(given.parsed)
        read = self._finish_reading(self._read_formula(given))
        inputs = self._assemble(read, given.aligned)
        used = given.parsed.design_columns
        self.n_features_in_, self.feature_names_in_ = len(used), np.array(used, dtype=object)
        return self._fit(inputs)

    _absorbs = False
    _has_instruments = False

    def _check_parts(self, parsed: ParsedFormula) -> None:
        """Raise if the formula has a part that the model does not, or lacks one that it needs."""
        if parsed.fixed_effects and not self._absorbs:
            parsed.refuse(
                f"{type(self).__name__} cannot absorb fixed effects; write them as factors, C(x)."
            )
        if bool(parsed.endogenous) != self._has_instruments:
            parsed.refuse(
                "two-stage least squares needs a part '| endogenous ~ instruments'."
                if self._has_instruments
                else f"{type(self).__name__} has no instruments; use DSLTwoStageLeastSquares."
            )

    def _read_formula(self, given: FormulaInput) -> Read:
        targets, outcome = [], None
        if self._is_categorical():
            column = given.parsed.outcome_column
            if column is None:
                given.parsed.refuse("the outcome must be a plain column of classes.")
            target = self._read_outcome(given.frame[column], len(given.frame))
            outcome = Outcome(target.values, self._n_classes())
            targets = [target] if column in given.predicted else []
        for name in given.predicted:
            if name not in given.parsed.outcome_columns:
                targets.append(read_covariate(name, given))
            elif name == given.parsed.outcome_column and outcome is None:
                targets.append(self._read_outcome(given.frame[name], len(given.frame)))
            elif outcome is None:
                values = validation.read_outcome(given.frame[name], len(given.frame))
                targets.append(Target(name, values))
        if outcome is None and not set(given.predicted) & set(given.parsed.outcome_columns):
            self._check_known_outcome(given)
        used = given.parsed.columns(given.frame.columns).all
        versions = FormulaVersions(
            given.parsed, given.frame[list(used)], tuple(targets), outcome
        ).learn_now()
        facts = {"Formula": given.parsed.text, **input_facts(versions, given.aligned)}
        if given.parsed.instruments:
            facts["Instruments"] = given.parsed.instruments
        return Read(
            versions,
            given.learner_columns(),
            self._class_names(),
            facts=facts,
            rows_lost=given.rows_lost,
        )

    def _is_categorical(self) -> bool:
        """Whether the outcome is a class."""
        return False

    def _check_known_outcome(self, given: FormulaInput) -> None:
        """Raise if a fully known outcome has values that the model does not take."""
        if given.parsed.outcome_column is not None:
            self._read_outcome(given.frame[given.parsed.outcome_column], len(given.frame))

    def _count_rows(self, X: Any) -> int:
        return len(self._matrix(X, reset=True, predicted=self.predicted_features)[0])

    def _read_outcome(self, y: Any, n_rows: int) -> Target:
        """Return the outcome as what is to be predicted where it is not known."""
        return Target(outcome_name(y), validation.read_outcome(y, n_rows))

    def _n_classes(self) -> int:
        """Return the number of classes, 0 for a numeric outcome."""
        return 0

    def _class_names(self) -> tuple[str, ...]:
        """Return names of the equations of a multinomial model."""
        return ()

    def _endogenous(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return positions of columns that are not their own instruments."""
        del names
        return ()

    def _read_data(self, X: Any, y: Any, aligned: Aligned) -> Read:
        matrix, names, predicted = self._matrix(X, reset=True, predicted=self.predicted_features)
        outcome = self._read_outcome(y, len(matrix))
        instruments = aligned.instruments
        versions = matrix_versions(
            matrix,
            names,
            outcome,
            predicted=predicted,
            n_classes=self._n_classes(),
            has_intercept=self.fit_intercept and aligned.absorbed is None,
            instruments=instruments,
            endogenous=self._endogenous(names),
            has_surrogates=aligned.surrogates is not None,
        )
        observed = np.delete(matrix, predicted, axis=1) if predicted else matrix
        if instruments is not None:
            observed = np.hstack([observed, instruments.matrix])
        return Read(versions, observed, self._class_names())

    def _split(self, point: Array) -> tuple[float, Array]:
        """Return intercept and slopes."""
        if self._fitted.data.versions.has_intercept:
            return float(point[0]), point[1:]
        return 0.0, point

    def _design_of(self, X: Any) -> Array:
        """Return the columns of the model for new rows."""
        check_is_fitted(self)
        data = self._fitted.data
        if data.absorbed is not None:
            raise ValueError(
                f"The fixed effects {', '.join(map(repr, data.absorbed.names))} were absorbed, so "
                "the level of the outcome is not known; ask for first_differences instead."
            )
        return self._columns_of(X)

    def _columns_of(self, X: Any) -> Array:
        versions = self._fitted.data.versions
        if isinstance(versions, FormulaVersions):
            return versions.design_of(versions.read_rows(X))
        matrix, _, _ = self._matrix(X, reset=False)
        if not self._fitted.data.versions.has_intercept:
            return matrix
        return np.hstack([np.ones((len(matrix), 1)), matrix])


def outcome_name(y: Any) -> str:
    """Return the name of an outcome."""
    name = getattr(y, "name", None)
    return "y" if name is None else str(name)
