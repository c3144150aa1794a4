r"""What a fit knows of the errors of its predictions, in terms of its coefficients.

With :math:`e_i = m_i - \Gamma \hat m_i` the labels enter the estimate through
:math:`\psi_i = J^{-1} e_i`. Where only an outcome is predicted,

.. math:: \psi_{ij} = h_{ij} r_i, \qquad h_i = J^{-1} a_i X_i, \qquad
    r_i = (Y_i - \mu_i) - \lambda (\hat Y_i - \mu_i),

and :math:`h_i` is known on every row, labelled or not: only the size of r has to be learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..data import LabelledData
from ..fitted import Fitted
from ..numerics import IndexModel, Labels, Problem, solve

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

# Fewer labels say next to nothing of where errors are large.
LEAST_LABELS = 30


@dataclass(frozen=True)
class LabelErrors:
    """Errors of the labelled rows, and what is known of all rows.

    Attributes
    ----------
    names : tuple of str
        Coefficients, or combinations of them.
    psi : ndarray of shape (n_labelled, q)
    loading : ndarray of shape (n, q), or None
        h; None where it is not known on every row, as with predicted covariates.
    residual : ndarray of shape (n_labelled,), or None
        r, where there is a loading.
    features : ndarray of shape (n, f)
        Predictions, numeric surrogates and covariates, from which sizes of errors are learned.
    labelled : ndarray of int of shape (n_labelled,)
    weight : ndarray of shape (n_labelled,)
        One over their probabilities.
    """

    names: tuple[str, ...]
    psi: Array
    loading: Array | None
    residual: Array | None
    features: Array
    labelled: Codes
    weight: Array

    @property
    def n_rows(self) -> int:
        """Number of rows, labelled or not."""
        return len(self.features)

    def combined(self, contrasts: Array, names: tuple[str, ...]) -> LabelErrors:
        """Return errors of linear combinations of the coefficients."""
        loading = None if self.loading is None else self.loading @ contrasts.T
        return replace(self, names=names, psi=self.psi @ contrasts.T, loading=loading)


def fitted_of(fit: Any, purpose: str) -> Fitted:
    """Return what a fit left behind, or raise if it cannot serve the purpose.

    Raises
    ------
    ValueError
        If every row is labelled, effects were absorbed, or there are too few labels.
    """
    check_is_fitted(fit)
    fitted: Any = getattr(fit, "_fitted", None)
    if not isinstance(fitted, Fitted):
        raise ValueError(f"{purpose} needs a fitted DSL estimator, got {type(fit).__name__}.")
    data = fitted.data
    if data.is_complete:
        raise ValueError(f"Every row is labelled already; there is nothing left for {purpose}.")
    if data.absorbed is not None:
        raise ValueError(
            f"{purpose} is not made for absorbed fixed effects, whose own estimates depend on "
            "which rows are labelled. Fit the model without them, or with a column for each."
        )
    if len(data.labelled) < LEAST_LABELS:
        raise ValueError(
            f"{len(data.labelled)} labels say too little of the errors for {purpose}; use "
            f"{LEAST_LABELS} or more, or a function that works without any."
        )
    if not np.isfinite(fit.results_.params).all():
        raise ValueError(f"{purpose} needs finite estimates; the fit has none.")
    return fitted


def errors_of(fit: Any, purpose: str) -> LabelErrors:
    """Return the errors of a fit's labels, at its estimates and with its tuning weights."""
    fitted = fitted_of(fit, purpose)
    data, prediction = fitted.data, fitted.predictions.mean(axis=0)
    weights = [part.matrix for part in fitted.fit.weights]
    p = len(fit.results_.params)
    tuned = np.median(weights, axis=0) if weights else np.eye(p)
    problem = data.problem(prediction)
    return label_errors(
        problem, fit.results_.params, tuned, features_of(fitted, prediction), data.terms
    )


def label_errors(
    problem: Problem, beta: Array, weights: Array, features: Array, names: tuple[str, ...]
) -> LabelErrors:
    r"""Return errors at some parameters and tuning weights :math:`\Lambda`, shape (p, p)."""
    inverse = np.linalg.inv(problem.jacobian(beta)).astype(np.float64)
    labels = Labels.of(problem, beta)
    psi = labels.gold @ inverse.T - labels.predicted @ (weights @ inverse).T
    loading = residual = None
    known, guessed = problem.gold, problem.predicted_at_gold
    if isinstance(problem.model, IndexModel) and np.array_equal(known.design, guessed.design):
        loading = (problem.predicted.design * problem.analysis_weight[:, None]) @ inverse.T
        share = float(np.clip(np.diag(weights).mean(), 0.0, 1.0))
        gap = problem.model.residual(guessed, beta)
        residual = problem.model.residual(known, beta) - share * gap
    return LabelErrors(
        names, psi, loading, residual, features, problem.labelled, 1.0 / problem.probability
    )


def features_of(fitted: Fitted, prediction: Array) -> Array:
    """Return what the size of an error may depend on: predictions, surrogates, covariates."""
    columns = [prediction, fitted.inputs.learner_columns]
    surrogates = fitted.inputs.aligned.surrogates
    if surrogates is not None and not sparse.issparse(surrogates.matrix):
        columns.insert(1, np.asarray(surrogates.matrix))
    features = np.hstack([np.asarray(part, dtype=float) for part in columns])
    return np.nan_to_num(features[:, np.ptp(features, axis=0) > 0.0])


def errors_without(
    data: LabelledData, prediction: Array, hidden: Codes, kept: Array, features: Array, tuned: bool
) -> LabelErrors:
    r"""Return errors as they are known without some of the labels.

    Parameters
    ----------
    data : LabelledData
    prediction : ndarray of shape (n, n_columns)
        Learned without the hidden labels.
    hidden : ndarray of bool of shape (n_labelled,)
    kept : ndarray of shape (n_labelled,)
        Probabilities of the labelled rows, times the share of the rows that labels are left on.
    features : ndarray of shape (n, f)
    tuned : bool
        Whether the predictions have the weight that the labels suggest, or all of it.
    """
    full = data.problem(prediction)
    rows = np.flatnonzero(~hidden)
    problem = replace(
        full,
        labelled=full.labelled[rows],
        gold=full.gold.rows(rows),
        probability=kept[rows],
    )
    root = solve(replace(problem, share=0.0))
    if root.status != "converged":
        root = solve(problem)
    p = len(root.beta)
    weights = np.eye(p)
    if tuned:
        inverse = np.linalg.inv(problem.jacobian(root.beta))
        labels = Labels.of(problem, root.beta)
        scale = (1.0 / problem.probability)[:, None]
        gold, machine = (scale * (part @ inverse.T) for part in (labels.gold, labels.predicted))
        machine = machine - machine.mean(axis=0)
        square = (machine**2).sum(axis=0)
        cross = ((gold - gold.mean(axis=0)) * machine).sum(axis=0)
        share = np.where(square > 0.0, cross / np.where(square > 0.0, square, 1.0), 1.0)
        weights = np.diag(np.clip(share, 0.0, 1.0))
    return label_errors(problem, root.beta, weights, features, data.terms)
