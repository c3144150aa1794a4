r"""A label budget before any label exists, from what is assumed of the machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ..gold_sample.frame import read_numbers
from ..numerics.budget import DesignCurve, EqualCurve
from .budget import LabelBudget, Wish, budget_table, targets_of
from .prior import information, logistic_fit, read_design

Array = NDArray[np.float64]

MODELS = ("linear", "logistic")


def prior_budget(
    X: Any,
    surrogate: Any = None,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
    r2: float | None = None,
    residual_std: float | None = None,
    model: str = "logistic",
    standard_error: Any = None,
    width: Any = None,
    power: Any = None,
    effect: Any = None,
    target: Any = None,
    cost: float | None = None,
    level: float = 0.95,
    finite_population: bool = False,
) -> LabelBudget:
    r"""Predict how many labels a wanted precision takes, before there is any label.

    For a binary outcome, with sensitivity a and specificity b of the machine's label Q, assumed the
    same for all X,

    .. math:: P(Q = 1 | X) = P_1(X) = 1 - b + (a + b - 1)\, p(X)

    is fitted to the machine's labels by maximum likelihood with a logistic p(X). The best
    prediction of the outcome from Q and X then has the expected squared error

    .. math:: v = p (1 - p) \Big[\frac{a (1 - b)}{P_1} + \frac{(1 - a) b}{1 - P_1}\Big],

    and :math:`B = J^{-1} E[v X X'] J^{-1}`, :math:`A = J^{-1} E[p (1 - p) X X'] J^{-1} / N`. For a
    numeric outcome, :math:`B = (1 - R^2) \sigma^2 J^{-1}` and :math:`A = \sigma^2 J^{-1} / N`, with
    the share R² of the regression's residual variance :math:`\sigma^2` that the machine explains.

    Parameters
    ----------
    X : array or frame of shape (n, p)
        Covariates of the regression to come, without the constant.
    surrogate : array of shape (n,), default=None
        Machine labels 0 and 1; with ``sensitivity`` and ``specificity``.
    sensitivity, specificity : float in (0, 1], default=None
        :math:`P(Q = 1 | Y = 1)` and :math:`P(Q = 0 | Y = 0)`; together above 1.
    r2 : float in [0, 1], default=None
        For a numeric outcome, with ``residual_std``.
    residual_std : float, default=None
        Standard deviation of the outcome given X.
    model : {"logistic", "linear"}, default="logistic"
        Of the regression to come. A numeric outcome is linear.
    standard_error, width, power, effect, target, level
        As in `label_budget`.
    cost : float, default=None
        Of a label.
    finite_population : bool, default=False
        Whether these rows are all there is, so that labelling them all leaves no variance.

    Returns
    -------
    LabelBudget
        Without a band; allocation "equal".

    Raises
    ------
    ValueError
        If an assumption is missing, impossible, or at odds with the machine's labels.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import prior_budget
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=5000)
    >>> y = rng.random(5000) < 1 / (1 + np.exp(-x))
    >>> machine = np.where(rng.random(5000) < 0.1, 1 - y, y)
    >>> better, worse = (
    ...     prior_budget(
    ...         x[:, None], machine, sensitivity=a, specificity=a, standard_error=0.1
    ...     ).table["labels"][0]
    ...     for a in (0.95, 0.9)
    ... )
    >>> bool(better < worse < 5000)
    True
    """
    design, names = read_design(X)
    contrasts, chosen = targets_of(target, names)
    wish = Wish.of(standard_error, width, power, effect, level, chosen)
    n_rows = len(design)
    is_binary = r2 is None and residual_std is None
    if is_binary:
        limit, spread = _binary(design, surrogate, sensitivity, specificity, model)
        notes = (
            f"Assumed: sensitivity {sensitivity:.3g} and specificity {specificity:.3g}, the same "
            "whatever the covariates. Errors that depend on them can take more labels.",
        )
    else:
        if surrogate is not None or sensitivity is not None or specificity is not None:
            raise ValueError(
                "r2 and residual_std are for a numeric outcome; surrogate, sensitivity and "
                "specificity for a binary one. Give one or the other."
            )
        limit, spread = _numeric(design, r2, residual_std)
        notes = (
            f"Assumed: the machine explains {r2:.0%} of the variance that X leaves, and errors "
            "have the same size everywhere.",
        )
    to_target = np.einsum("qi,ij,qj->q", contrasts, spread, contrasts)
    limits = np.einsum("qi,ij,qj->q", contrasts, limit, contrasts) / n_rows
    if finite_population:
        limits = np.zeros_like(limits)
    if cost is not None and not cost > 0.0:
        raise ValueError(f"cost={cost} must be positive.")
    curves: dict[str, DesignCurve] = {"equal": EqualCurve(to_target, n_rows)}
    table = budget_table(
        chosen,
        wish,
        limits,
        curves,
        n_rows,
        mean_cost=cost,
        typical=np.full(len(chosen), np.nan),
        reliable=np.ones(len(chosen), dtype=bool),
        resampled=None,
    )
    return LabelBudget(table, chosen, n_rows, 0, wish.kind, limits, curves, notes)


def _binary(
    design: Array, surrogate: Any, sensitivity: Any, specificity: Any, model: str
) -> tuple[Array, Array]:
    """Return A times N, and B."""
    if model not in MODELS:
        raise ValueError(f"model={model!r} is not one of {', '.join(map(repr, MODELS))}.")
    for name, value in (("sensitivity", sensitivity), ("specificity", specificity)):
        if value is None:
            raise ValueError(
                f"{name} is missing: a binary outcome needs surrogate, sensitivity and "
                "specificity, a numeric one r2 and residual_std."
            )
        if not 0.0 < value <= 1.0:
            raise ValueError(f"{name}={value} must lie above 0, up to 1.")
    if sensitivity + specificity <= 1.0:
        raise ValueError(
            f"sensitivity={sensitivity} and specificity={specificity} together are no better than "
            "guessing; such a machine says nothing of p(X)."
        )
    if surrogate is None:
        raise ValueError("surrogate is missing: the machine's labels, 0 or 1, of every row.")
    labels = read_numbers(surrogate, "surrogate", len(design))
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ValueError("surrogate must hold the machine's labels, 0 or 1.")
    share, low = labels.mean(), 1.0 - specificity
    if not low < share < sensitivity:
        raise ValueError(
            f"The machine says 1 on {share:.1%} of the rows, which is not possible with a "
            f"specificity of {specificity} and a sensitivity of {sensitivity}: it would be between "
            f"{low:.1%} and {sensitivity:.1%}."
        )
    p = expit(design @ logistic_fit(design, labels, low, sensitivity))
    positive = low + (sensitivity - low) * p
    # Nothing is uncertain where a machine that makes no such error has spoken.
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.nan_to_num(sensitivity * low / positive)
        other = np.nan_to_num((1.0 - sensitivity) * specificity / (1.0 - positive))
    v = p * (1.0 - p) * (one + other)
    slope = p * (1.0 - p) if model == "logistic" else np.ones(len(p))
    inverse = np.linalg.inv(_gram(design, slope))
    limit = inverse @ _gram(design, p * (1.0 - p)) @ inverse
    return limit, inverse @ _gram(design, v) @ inverse


def _numeric(design: Array, r2: Any, residual_std: Any) -> tuple[Array, Array]:
    """Return A times N, and B."""
    if r2 is None or residual_std is None:
        raise ValueError("A numeric outcome needs both r2 and residual_std.")
    if not 0.0 <= r2 <= 1.0:
        raise ValueError(f"r2={r2} must lie between 0 and 1.")
    if not residual_std > 0.0:
        raise ValueError(f"residual_std={residual_std} must be positive.")
    inverse = np.linalg.inv(information(design, np.zeros(len(design)), "linear"))
    return residual_std**2 * inverse, (1.0 - r2) * residual_std**2 * inverse


def _gram(design: Array, weight: Array) -> Array:
    matrix: Array = design.T @ (design * weight[:, None]) / len(design)
    return matrix
