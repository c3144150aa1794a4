"""What a fitted estimator answers: tables, combinations, comparisons of labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..inference import Estimates
from .combinations import tuned_combinations
from .comparison import label_comparison
from .fitted import Fitted
from .options import VarianceOptions
from .quality import surrogate_quality


class Answers(ABC):
    """Questions to a fit; none of them fits anything anew."""

    results_: Estimates
    _fitted: Fitted

    @abstractmethod
    def _options(self) -> VarianceOptions:
        """Return how variances are to be estimated."""

    def compare_labels(self, surrogate: str | dict[str, str] | None = None) -> dict[str, Estimates]:
        """Return these estimates beside those from each kind of label alone.

        Parameters
        ----------
        surrogate : str or dict, default=None
            Which surrogate column to take for the truth; see `trueness.dsl.compare_labels`.

        Returns
        -------
        dict
            `Estimates` by label, for `trueness.tables.compare` and `trueness.plots.forest_plot`.

        Raises
        ------
        ValueError
            If every row is labelled, or a surrogate does not have the values of what it is to
            stand for.
        """
        check_is_fitted(self)
        return label_comparison(self._fitted, self._options(), surrogate)

    def linear_combination(self, weights: Any, names: Any = None) -> Estimates:
        """Return linear combinations of the coefficients, each with a tuning weight of its own.

        ``results_.linear_combination`` combines the coefficients as they were tuned one by one,
        which makes each of them as precise as the labels allow, but not what they add up to: a
        difference of two categories, say, whose machine labels share the errors of a bad reference
        category. Mostly both agree within a few percent.

        Parameters
        ----------
        weights : str, sequence of str, or array of shape (k,) or (r, k)
            For example ``"x1 - x2"`` or a matrix of weights.
        names : sequence of str of length r, default=None
            Names of the combinations; the texts themselves, or numbers, if None.

        Returns
        -------
        Estimates

        Raises
        ------
        ValueError
            If a name is unknown or a text is not a linear combination.
        """
        check_is_fitted(self)
        return tuned_combinations(self._fitted, self._options(), weights, names)

    def surrogate_quality(self, by: Any = None) -> pd.DataFrame:
        r"""Compare surrogates and predictions with gold values, and test for differential error.

        Errors are differential if, among rows with the same true value, they are related to the
        other variables of the model: those of a predicted outcome to covariates, those of a
        predicted covariate also to the outcome. Such errors bias a regression that takes the
        machine for the truth in directions that are hard to foresee; DSL stays valid.

        Parameters
        ----------
        by : str or array of shape (n,), default=None
            Groups to look at one by one: a variable of the model, or a value for each row.

        Returns
        -------
        DataFrame
            A row for each predicted variable, source (each surrogate that has its values, and the
            cross-fitted predictions, averaged over repeats) and group: ``labels``, ``bias`` (mean
            of source minus gold), ``rmse``, ``correlation``, ``accuracy`` (of the most probable
            class), each labelled row weighted by 1 / probability. The rows "all" carry a robust
            Wald test that errors are not differential (``differential_chi2``,
            ``differential_df``, ``differential_p``): beside the gold value itself, all slopes of
            the error on the other variables of the model, or on the groups, are zero.

        Raises
        ------
        ValueError
            If every row is labelled, or there is no such variable.
        """
        check_is_fitted(self)
        return surrogate_quality(self._fitted, by)

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
