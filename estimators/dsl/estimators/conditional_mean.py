"""What models with covariates answer after the fit about the mean of the outcome."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ... import validation
from ...inference import Estimates
from ..base import DSLBase
from ..effects import (
    contrasts_of,
    effect_names,
    effects_at_fit,
    effects_at_rows,
    mean_differences,
    mean_intervals,
)
from ..formulas import FormulaVersions
from ..numerics.responses import Response, response_of

Array = NDArray[np.float64]


class ConditionalMean(DSLBase):
    """Intervals for means, first differences and average marginal effects."""

    classes_: NDArray[Any]

    @abstractmethod
    def _design_of(self, X: Any) -> Array:
        """Return the columns of the model for rows whose mean is asked for."""

    @abstractmethod
    def _columns_of(self, X: Any) -> Array:
        """Return the columns of the model for rows that are compared with others."""

    def predict_interval(self, X: Any, level: float = 0.95) -> pd.DataFrame:
        r"""Return confidence intervals for the mean of the outcome given X.

        For a linear predictor :math:`\hat\eta = x'\hat\beta` with mean :math:`\mu = f(\eta)`,

        .. math:: f\big(\hat\eta \pm c\,(x' \hat V x)^{1/2}\big), \qquad
            \mathrm{se}(\hat\mu) = f'(\hat\eta)\,(x' \hat V x)^{1/2},

        with c from the reference distribution of ``results_``, so that probabilities stay between
        0 and 1 and expected counts above 0. With more than two classes :math:`\eta` is the log odds
        of each class against all others, by the delta method. The intervals are for means, not for
        single outcomes, which vary around them.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p)
            Complete rows.
        level : float, default=0.95
            Confidence level in (0, 1).

        Returns
        -------
        DataFrame
            One row per row of X, with its index, and the columns estimate, std_error, conf_low,
            conf_high: the mean of a number, or the probability of the second of two classes. With
            more classes one row per row of X and class, named in a first column ``class``.

        Raises
        ------
        ValueError
            If the model has no finite solution or absorbed fixed effects, or X does not fit it.

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
        >>> model.fit(x[:, None], y, surrogates=machine).predict_interval([[0.0], [4.0]]).round(2)
           estimate  std_error  conf_low  conf_high
        0      0.48       0.02      0.45       0.52
        1      0.97       0.01      0.94       0.98
        """
        response, classes = self._response()
        columns = mean_intervals(self._solution(), response, self._design_of(X), level)
        index = _index_of(X, len(columns["estimate"]))
        flat = {name: values.ravel() for name, values in columns.items()}
        if not classes:
            return pd.DataFrame(flat, index=index)
        labels = np.tile(self.classes_, len(index))
        return pd.DataFrame({"class": labels, **flat}, index=index.repeat(len(classes)))

    def first_differences(self, X_from: Any, X_to: Any) -> Estimates:
        r"""Return the mean of the outcome at each row of one X minus that of another.

        .. math:: \hat\delta_r = \mu(x^{to}_r; \hat\beta) - \mu(x^{from}_r; \hat\beta), \qquad
            \hat V_\delta = G \hat V G', \quad G = \partial \hat\delta / \partial \beta'.

        Absorbed fixed effects cancel: both rows are taken to have the same levels.

        Parameters
        ----------
        X_from, X_to : array, sparse matrix or frame of shape (m, p)
            Complete rows, to be compared one by one.

        Returns
        -------
        Estimates
            One difference per row, with their covariance and with influence values, m for each row
            of the fit. Names are those of the index of ``X_to``, or "row 0", "row 1" ...; with more
            than two classes "class: row", class by class.

        Raises
        ------
        ValueError
            If the model has no finite solution, X_from or X_to do not fit it, they differ in length
            or two rows have one name.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from trueness.dsl import DSLLogisticRegression
        >>> rng = np.random.default_rng(7)
        >>> X = pd.DataFrame({"x": rng.normal(size=3000)})
        >>> truth = (rng.random(3000) < 1 / (1 + np.exp(-X["x"]))).astype(float)
        >>> machine = np.where(rng.random(3000) < 0.85, truth, 1 - truth)
        >>> y = np.where(rng.random(3000) < 0.2, truth, np.nan)
        >>> model = DSLLogisticRegression(learner="linear", random_state=1)
        >>> model = model.fit(X, y, surrogates=machine)
        >>> low, high = (pd.DataFrame({"x": [value]}, index=["x"]) for value in (-1.0, 1.0))
        >>> model.first_differences(low, high).to_frame()[["term", "estimate"]].round(1)
          term  estimate
        0    x       0.4
        """
        response, classes = self._response()
        results = self._solution()
        start, end = self._columns_of(X_from), self._columns_of(X_to)
        if len(start) != len(end):
            raise ValueError(
                f"X_from has {len(start):,} rows and X_to {len(end):,}; they are compared row by "
                "row and must have the same number."
            )
        rows = _row_names(X_to, len(end))
        names = [f"{label}: {row}" for label in classes for row in rows] if classes else rows
        differences = mean_differences(results, response, start, end, names)
        return replace(differences, title=f"First differences, {results.title}")

    def average_marginal_effects(
        self, X: Any = None, *, variables: str | Sequence[str] | None = None
    ) -> Estimates:
        r"""Return the average effect of each variable on the mean of the outcome.

        .. math:: \hat\tau = \frac{\sum_i a_i \{(1 - w_i)\, h(\hat D_i; \hat\beta)
            + w_i\, h(D_i; \hat\beta)\}}{\sum_i a_i}, \qquad w_i = R_i / \pi_i,

        where :math:`h = \partial \mu / \partial x` for a numeric variable and
        :math:`h = \mu(1) - \mu(0)` for one whose known values are all 0 or 1; a category has one
        effect for each level but the reference, the change of the mean from the reference to that
        level, other variables being as they are. All changes are made to the variables themselves,
        so that a variable takes its interactions and powers along. Where covariates are predicted,
        gold labels correct the average as they correct the coefficients. Two-stage least squares
        has the effects on :math:`x'\beta`, the outcome had the variable been set.

        Over the rows of the fit, the effect is estimated by a moment that is stacked with those of
        the model; row i has the influence value

        .. math:: a_i (\tilde h_i - \hat\tau)
            + \overline{\partial \tilde h / \partial \beta'}\, J^{-1} \tilde m_i,

        whose first part counts that the rows themselves are a sample. With ``target="population"``
        they are the population, and only the draw of the labels is random. HC2, HC3 and CR2 adjust
        the second part for leverage; HC1 and CR1 multiply the whole.

        Parameters
        ----------
        X : array, sparse matrix or frame of shape (m, p), default=None
            The rows to average over: those of the fit if None, or if X equals them. Any other rows
            must be complete and count equally and as fixed (delta method); the header says so.
        variables : str or sequence of str, default=None
            Names as in X ("x1", "x2" ... without column names); all that are not constant if None.

        Returns
        -------
        Estimates
            Named by the variables, "variable[level]" for categories; with more than two classes
            "class: variable", class by class. Influence values are carried along, so that
            differences, tests, other clusters and the bootstrap work.

        Raises
        ------
        ValueError
            If the model has no finite solution or implies no mean, X does not fit it, is incomplete
            without being that of the fit, or a variable is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> from trueness.dsl import DSLLogisticRegression
        >>> rng = np.random.default_rng(7)
        >>> X = np.column_stack([rng.normal(size=3000), rng.random(3000) < 0.4])
        >>> chance = 1 / (1 + np.exp(-X @ [1.0, -0.5]))
        >>> truth = (rng.random(3000) < chance).astype(float)
        >>> machine = np.where(rng.random(3000) < 0.85, truth, 1 - truth)
        >>> y = np.where(rng.random(3000) < 0.2, truth, np.nan)
        >>> model = DSLLogisticRegression(learner="linear", random_state=1)
        >>> effects = model.fit(X, y, surrogates=machine).average_marginal_effects()
        >>> effects.names, effects.params.round(1)
        (('x1', 'x2'), array([ 0.2, -0.1]))
        """
        response, classes = self._response()
        results, versions = self._solution(), self._fitted.data.versions
        rows = None if X is None else self._raw_rows(X)
        contrasts = contrasts_of(versions, variables)
        names = effect_names(contrasts, classes)
        if rows is None or versions.is_own(rows):
            return effects_at_fit(self._fitted, self._options(), response, contrasts, names)
        if isinstance(rows, np.ndarray):
            self._check_complete(rows)
        return effects_at_rows(results, response, versions, rows, contrasts, names)

    # ------------------------------------------------------------------ what the answers rest on

    def _response(self) -> tuple[Response, tuple[str, ...]]:
        """Return the means of the model, and the names of its classes if more than two."""
        check_is_fitted(self)
        data = self._fitted.data
        classes = tuple(map(str, self.classes_)) if data.class_names else ()
        response = response_of(data.model, len(classes))
        if response is None:
            raise ValueError(
                f"{type(self).__name__} solves a moment that says nothing of the mean of the "
                "outcome; for functions of the parameters use results_.delta_method."
            )
        return response, classes

    def _solution(self) -> Estimates:
        """Return the results if they are numbers."""
        results = self.results_
        if np.isfinite(results.params).all() and np.isfinite(results.cov).all():
            return results
        separated = ", ".join(map(repr, self._fitted.fit.separated))
        why = f": {separated} separate the classes" if separated else ""
        raise ValueError(
            f"The model has no finite solution{why}, so that there are no standard errors for its "
            "means; mend the fit first, as its warning says."
        )

    def _raw_rows(self, X: Any) -> Any:
        """Return rows as the covariates that edits are made to."""
        versions = self._fitted.data.versions
        if isinstance(versions, FormulaVersions):
            return versions.read_rows(X)
        every_column = range(self.n_features_in_)  # may be incomplete: X may be that of the fit
        return self._matrix(X, reset=False, predicted=list(every_column))[0]

    def _check_complete(self, rows: Array) -> None:
        """Raise if rows other than those of the fit have unknown values."""
        names = self._fitted.data.versions.variables
        advice = (
            " Only X of the fit itself may have unknown values; leave X out to average over it."
        )
        validation.check_finite(rows, names, "X", advice)


def _index_of(X: Any, n_rows: int) -> pd.Index[Any]:
    """Return the index of a pandas frame, or numbers."""
    return X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(n_rows)


def _row_names(X: Any, n_rows: int) -> list[str]:
    index = _index_of(X, n_rows)
    if index.equals(pd.RangeIndex(n_rows)):
        return [f"row {i}" for i in range(n_rows)]
    names = index.map(str)
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise ValueError(
            f"X_to: two rows of its index are named {twice!r}; give each its own name."
        )
    return names.tolist()
