r"""Before any label exists: errors as the surrogates or the user's assumptions suggest them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from ... import validation
from ..gold_sample.frame import read_numbers
from ..numerics.label_sizes import FLOOR, design_ratio, mixed_probabilities, target_sizes
from .allocation import Allocation
from .targets import check_labels, read_cost, read_targets

Array = NDArray[np.float64]

MODELS = ("linear", "logistic")
# Uniform mixing without a pilot, which nothing can check.
PRIOR_MIX = 0.2


def prior_allocation(
    X: Any,
    surrogates: Any,
    n: float,
    *,
    target: Any = None,
    model: str = "linear",
    cost: Any = None,
    mix: float = PRIOR_MIX,
) -> Allocation:
    r"""Allocate labels before there are any, from what surrogates say of their own doubt.

    As `optimal_allocation`, with the expected squared error

    * :math:`v_i = \hat g_i (1 - \hat g_i)` of one predicted probability, or
    * the variance across several surrogates of the same scale,

    at least a tenth of its mean. Where machines agree on what is wrong, neither knows; the share
    ``mix`` of equal probabilities bounds what that can cost.

    Parameters
    ----------
    X : array or frame of shape (n, p)
        Covariates of the regression to come, without the constant; known on every row.
    surrogates : array or frame of shape (n,) or (n, q)
        One probability, or two or more machine labels of the outcome.
    n : float
        Labels.
    target : str, sequence of str or array, default=None
        As in `optimal_allocation`; the constant is ``"intercept"``.
    model : {"linear", "logistic"}, default="linear"
    cost : float or array of shape (n,), default=None
    mix : float in (0, 1], default=0.2

    Returns
    -------
    Allocation

    Raises
    ------
    ValueError
        If one surrogate says nothing of its doubt (it holds 0 and 1 only, or is no probability),
        or something is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import prior_allocation
    >>> x = np.linspace(-2, 2, 500)
    >>> in_doubt = 1 / (1 + np.exp(-3 * x))  # probabilities near one half in the middle
    >>> allocation = prior_allocation(x[:, None], in_doubt, 50, target="intercept")
    >>> bool(allocation.probability[250] > 3 * allocation.probability[0])
    True
    """
    design, names = read_design(X)
    n = check_labels(n, len(design))
    columns = _numbers(surrogates, "surrogates", len(design))
    if not 0.0 < float(mix) <= 1.0:
        raise ValueError(f"mix={mix!r} must lie above 0, up to 1.")
    if columns.shape[1] == 1:
        guess = columns[:, 0]
        if guess.min() < 0.0 or guess.max() > 1.0 or np.isin(guess, (0.0, 1.0)).all():
            raise ValueError(
                "One surrogate tells where it is in doubt only if it is a probability between 0 "
                "and 1. Give probabilities, or two or more machine labels, or label a pilot."
            )
        variance, source = guess * (1.0 - guess), "the surrogate's own probabilities"
    else:
        guess = columns.mean(axis=1)
        variance = columns.var(axis=1, ddof=1)
        source = f"disagreement of {columns.shape[1]} surrogates"
        if not variance.any():
            raise ValueError("The surrogates agree on every row; they say nothing of their errors.")
    variance = np.maximum(variance, FLOOR * variance.mean())
    contrasts, chosen = read_targets(target, names)
    inverse = np.linalg.inv(information(design, guess, model))
    loading = design @ inverse.T
    size = target_sizes(loading @ contrasts.T, variance)
    probability = mixed_probabilities(size, n, float(mix), read_cost(cost, len(design)))
    ratio = dict(zip(names, design_ratio(loading**2 * variance[:, None], probability), strict=True))
    for name, contrast in zip(chosen, contrasts, strict=True):
        squares = ((loading @ contrast) ** 2 * variance)[:, None]
        ratio.setdefault(name, design_ratio(squares, probability)[0])
    table = pd.DataFrame(
        {
            "term": list(ratio),
            "targeted": [name in chosen for name in ratio],
            "variance_ratio": [float(value) for value in ratio.values()],
        }
    )
    return Allocation(probability, float(mix), table, source)


def read_design(X: Any) -> tuple[Array, tuple[str, ...]]:
    """Return covariates with the constant first, and the names of the coefficients."""
    data = validation.to_pandas(X)
    columns = [str(name) for name in data.columns] if isinstance(data, pd.DataFrame) else None
    matrix = np.asarray(data, dtype=float)
    if matrix.ndim != 2:
        raise ValueError(f"X must have rows and columns; got shape {matrix.shape}.")
    names = columns or [f"x{j + 1}" for j in range(matrix.shape[1])]
    validation.check_finite(matrix, names, "X", "")
    return np.column_stack([np.ones(len(matrix)), matrix]), ("intercept", *names)


def _numbers(values: Any, role: str, n_rows: int) -> Array:
    data = validation.to_pandas(values)
    frame = pd.DataFrame(data)
    return np.column_stack(
        [_any_sign(frame.iloc[:, j], role, n_rows) for j in range(frame.shape[1])]
    )


def _any_sign(column: Any, role: str, n_rows: int) -> Array:
    values = np.asarray(column, dtype=float)
    low = np.nanmin(values)
    return read_numbers(values - low, role, n_rows) + low


def information(design: Array, mean: Array, model: str) -> Array:
    """Return J of a linear or logistic regression whose outcome has some mean given X."""
    if model not in MODELS:
        raise ValueError(f"model={model!r} is not one of {', '.join(map(repr, MODELS))}.")
    slope = np.ones(len(design))
    if model == "logistic":
        # Of the fit to the surrogate, which lies in [0, 1].
        if mean.min() < 0.0 or mean.max() > 1.0:
            raise ValueError('model="logistic" needs surrogates between 0 and 1.')
        fitted = expit(design @ logistic_fit(design, mean))
        slope = fitted * (1.0 - fitted)
    matrix: Array = design.T @ (design * slope[:, None]) / len(design)
    if np.linalg.cond(matrix) > 1e12:
        raise ValueError("The columns of X are collinear; leave one out.")
    return matrix


def logistic_fit(design: Array, outcome: Array, low: float = 0.0, high: float = 1.0) -> Array:
    r"""Fit :math:`P(Q = 1 | X) = l + (u - l)\, \mathrm{expit}(X'\beta)` by maximum likelihood."""

    def loss(beta: Array) -> tuple[float, Array]:
        inner = expit(design @ beta)
        chance = np.clip(low + (high - low) * inner, 1e-12, 1.0 - 1e-12)
        value = -(outcome * np.log(chance) + (1.0 - outcome) * np.log1p(-chance)).mean()
        slope = (high - low) * inner * (1.0 - inner)
        gradient = -design.T @ ((outcome - chance) / (chance * (1.0 - chance)) * slope)
        return float(value), gradient / len(design)

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="BFGS")
    beta: Array = np.asarray(found.x, dtype=np.float64)
    return beta
