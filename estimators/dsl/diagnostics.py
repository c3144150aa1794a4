"""What a fit by design-based supervised learning can tell about itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

Array = NDArray[np.float64]


class SeparationWarning(UserWarning):
    """A logistic regression has no finite solution: covariates separate the classes."""


class SolverWarning(ConvergenceWarning):
    """The estimating equation was not solved to the stated tolerance."""


class DesignWarning(UserWarning):
    """The labels at hand do not look like a draw from the stated sampling design."""


@dataclass(frozen=True)
class DSLDiagnostics:
    r"""Numbers behind a fit.

    Attributes
    ----------
    n_labelled : int
        Rows with a gold label.
    effective_labels : float
        :math:`(\sum w_i)^2 / \sum w_i^2` over labelled rows with :math:`w_i = 1/\pi_i`.
    probability_factor : float
        By what the stated probabilities were multiplied so that they sum to the number of
        labels; 1 if they were not rescaled.
    learners : tuple of str
        Learner of each repeat; empty if none was fitted.
    learner_losses : tuple of float
        Their out-of-fold mean squared errors on the labelled rows.
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
    split_std : ndarray of shape (k,)
        Standard deviation of each coefficient over the repeated splits.
    """

    n_labelled: int
    effective_labels: float
    probability_factor: float
    learners: tuple[str, ...]
    learner_losses: tuple[float, ...]
    residuals: tuple[float, ...]
    n_iterations: tuple[int, ...]
    converged: bool
    separated: tuple[str, ...]
    saturated_units: int
    split_std: Array
