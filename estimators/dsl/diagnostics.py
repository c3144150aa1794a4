"""What a fit by design-based supervised learning can tell about itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from .numerics import Weights

if TYPE_CHECKING:
    from .fitted import Fitted

Array = NDArray[np.float64]


class SeparationWarning(UserWarning):
    """A logistic regression has no finite solution: covariates separate the classes."""


class SolverWarning(ConvergenceWarning):
    """The estimating equation was not solved to the stated tolerance."""


class DesignWarning(UserWarning):
    """The labels at hand do not look like a draw from the stated sampling design."""


class TuningWarning(UserWarning):
    """The predictions could not be given the weight that was asked for."""


class FewLabelsWarning(UserWarning):
    """There are fewer gold labels, or sampling units, than intervals were found to need."""


@dataclass(frozen=True)
class DSLDiagnostics:
    r"""Numbers behind a fit.

    Attributes
    ----------
    n_labelled : int
        Rows with a gold label of everything that is predicted.
    effective_labels : float
        :math:`(\sum w_i)^2 / \sum w_i^2` over labelled rows with :math:`w_i = 1/\pi_i`.
    probability_factor : float
        By what the stated probabilities were multiplied so that they sum to the number of
        labels; 1 if they were not rescaled.
    rows_lost : dict
        Rows left out before the fit, by the reason.
    largest_weight_share : float
        The largest :math:`w_i` as a share of their sum.
    tuning_weights : ndarray of shape (k,) or (k, k), or None
        Weight of the predictions for each coefficient, median over repeats: 1 takes them at full
        weight, 0 uses the gold labels alone. A matrix for ``tuning="matrix"``; None without tuning.
    gain : ndarray of shape (k,)
        Variance of the gold-only estimator over that of this one: 2 means that the predictions
        are worth as much as doubling the gold labels. NaN if the gold labels alone have no
        solution, 1 if every row is labelled.
    learners : tuple of str
        Learner of each repeat; empty if none was fitted.
    learner_losses : ndarray of shape (n_repeats, n_predicted)
        Their out-of-fold mean squared errors on the labelled rows; a categorical variable has a
        column for each category.
    residuals : tuple of float
        Largest mean moment relative to the mean absolute moment, for each repeat.
    n_iterations : tuple of int
        Newton steps of each repeat.
    converged : bool
        Whether every repeat was solved to the stated tolerance.
    separated : tuple of str
        Terms without a finite estimate.
    saturated_units : int
        Rows (HC2, HC3) or clusters (CR2) with leverage 1, largest over repeats.
    isolated_rows : int
        Rows that fixed effects explain perfectly, such as the only row of a level; they say
        nothing about the slopes.
    split_std : ndarray of shape (k,)
        Standard deviation of each coefficient over the repeated splits.
    """

    n_labelled: int
    effective_labels: float
    probability_factor: float
    rows_lost: dict[str, int]
    largest_weight_share: float
    tuning_weights: Array | None
    gain: Array
    learners: tuple[str, ...]
    learner_losses: Array
    residuals: tuple[float, ...]
    n_iterations: tuple[int, ...]
    converged: bool
    separated: tuple[str, ...]
    saturated_units: int
    isolated_rows: int
    split_std: Array


def diagnose(fitted: Fitted) -> DSLDiagnostics:
    """Gather the numbers behind a fit."""
    data, fit = fitted.data, fitted.fit
    betas = np.stack([root.beta for root in fit.roots])
    weight = 1.0 / data.probability[data.labelled]
    learned = fitted.crossfit
    return DSLDiagnostics(
        n_labelled=len(data.labelled),
        effective_labels=data.effective_labels,
        probability_factor=data.factor,
        rows_lost=data.rows_lost,
        largest_weight_share=float(weight.max() / weight.sum()),
        tuning_weights=_median_weights(fit.weights),
        gain=fit.gain,
        learners=learned.learners if learned else (),
        learner_losses=learned.losses if learned else np.empty((0, 0)),
        residuals=tuple(root.residual for root in fit.roots),
        n_iterations=tuple(root.n_iterations for root in fit.roots),
        converged=all(root.status == "converged" for root in fit.roots),
        separated=fit.separated,
        saturated_units=fit.n_saturated,
        isolated_rows=0 if data.absorbed is None else int(data.absorbed.isolated.sum()),
        split_std=betas.std(axis=0, ddof=1 if len(betas) > 1 else 0),
    )


def _median_weights(weights: Sequence[Weights]) -> Array | None:
    """Return the weights in their shortest form, median over repeats."""
    if not weights:
        return None
    matrix = np.median([part.matrix for part in weights], axis=0)
    diagonal = np.diag(matrix)
    return diagonal if np.array_equal(matrix, np.diag(diagonal)) else matrix
