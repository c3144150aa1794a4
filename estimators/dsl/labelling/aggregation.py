r"""Labels of documents, carried up to units: authors, newspapers, months."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...inference import Estimates
from ...validation import first_rows, to_pandas
from ..diagnostics import DesignWarning
from ..gold_sample import GoldSample
from ..gold_sample.frame import Levels, frozen, read_column, read_levels
from ..numerics import LOGISTIC, POISSON, IndexModel, Problem, Sample, solve
from ..sampling import check_sample

Array = NDArray[np.float64]

MODELS: dict[str, IndexModel | None] = {"linear": None, "logistic": LOGISTIC, "poisson": POISSON}
# One over a probability beyond which single documents decide a corrected regression.
LARGEST_WEIGHT = 50.0
# Share of a covariate's own variation that has to be left once the noise is taken out.
LEAST_SIGNAL = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class UnitLabels:
    r"""Unbiased values of units, from machine labels of all documents and gold labels of some.

    .. math:: \tilde Y_u = \frac1{n_u} \sum_{d \in u} \Big[\hat y_d +
        \frac{R_d}{\pi_d} (y_d - \hat y_d)\Big]

    Attributes
    ----------
    names : ndarray of shape (U,)
        The units, sorted.
    values : ndarray of shape (U,)
        :math:`\tilde Y_u`; it varies about the mean of the gold labels that all documents of the
        unit would have, and need not lie within their range.
    n_documents, n_labelled : ndarray of int of shape (U,)
    units : Levels
        Unit of each document.
    gaps : ndarray of shape (n,)
        :math:`R_d (y_d - \hat y_d) / \pi_d`.
    noise : ndarray of shape (n,)
        :math:`1 - \pi_d`.
    """

    names: NDArray[Any]
    values: Array
    n_documents: NDArray[np.intp]
    n_labelled: NDArray[np.intp]
    units: Levels
    gaps: Array
    noise: Array

    def __post_init__(self) -> None:
        frozen(self)

    def variance(self, other: UnitLabels | None = None) -> Array:
        r"""Return the estimated sampling variance of each value, or covariance of two, shape (U,).

        .. math:: \frac{1}{n_u^2} \sum_d \frac{R_d (1 - \pi_d)}{\pi_d^2} (x_d - \hat x_d)
            (z_d - \hat z_d)
        """
        gaps = self.gaps if other is None else other.gaps
        total = np.bincount(self.units.codes, self.noise * self.gaps * gaps)
        found: Array = total / self.n_documents**2
        return found

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each unit."""
        return pd.DataFrame(
            {
                "unit": pd.Series(self.names).infer_objects(),
                "value": self.values,
                "sampling_std": np.sqrt(self.variance()),
                "n_documents": self.n_documents,
                "n_labelled": self.n_labelled,
            }
        )

    def __repr__(self) -> str:
        return (
            f"UnitLabels: {len(self.names):,} units of {self.n_documents.min():,} to "
            f"{self.n_documents.max():,} documents, {int(self.n_labelled.sum()):,} of "
            f"{len(self.gaps):,} labelled"
        )


def aggregate_labels(y: Any, prediction: Any, units: Any, *, gold_sample: GoldSample) -> UnitLabels:
    r"""Carry labels of documents up to their units, without bias.

    The mean of a unit's *labelled* documents is a bad value of the unit: it is biased where
    probabilities are unequal and related to the label, and as a covariate it attenuates the slope
    whatever the probabilities. The difference estimator of `UnitLabels` is right as an outcome; as
    a covariate its variance has to be taken out, which `unit_regression` does.

    Parameters
    ----------
    y : array of shape (n,)
        Gold labels of documents, NaN where none was drawn.
    prediction : array of shape (n,)
        Machine labels of all documents, as they are or cross-fitted; on the scale of y.
    units : array of shape (n,)
        Unit of each document.
    gold_sample : GoldSample
        Of documents. Fixed-size draws count as independent ones within units, which is right up
        to the share of a unit in all documents.

    Returns
    -------
    UnitLabels

    Raises
    ------
    ValueError
        If labels are not those of the sample, or whole units were drawn: then a unit either has
        all its labels or none, and a DSL estimator of units does it.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import GoldSample, aggregate_labels
    >>> sample = GoldSample.from_design(4, 0.5, [True, False, True, False], is_fixed=False)
    >>> unit = aggregate_labels(
    ...     [1, np.nan, 0, np.nan], [1, 1, 1, 0], list("aabb"), gold_sample=sample
    ... )
    >>> unit.values  # of b: (1 + 0) / 2 machine labels, and 2 * (0 - 1) / 2
    array([ 1. , -0.5])
    """
    if not isinstance(gold_sample, GoldSample):
        raise ValueError(f"gold_sample must be a GoldSample, got {type(gold_sample).__name__}.")
    if gold_sample.units is not None:
        raise ValueError(
            "The sample drew units of several documents. Where whole units are labelled, take each "
            "unit's mean and fit a DSL estimator to units, with the others' means missing; where "
            "documents were drawn within units, nothing is known of the units that were not drawn."
        )
    if gold_sample.wave_weights is not None:
        raise ValueError(
            'Waves drawn by method="martingale" have weights that are no inverse probabilities; '
            'aggregate labels of one wave, or of waves drawn by method="pooled".'
        )
    n_rows = gold_sample.n_rows
    gold = np.asarray(to_pandas(y), dtype=float)
    guess = read_column(prediction, "prediction", n_rows).to_numpy(dtype=float)
    if gold.shape != (n_rows,):
        raise ValueError(f"y has shape {gold.shape}, but the sample has {n_rows:,} documents.")
    if not np.isfinite(guess).all():
        raise ValueError(f"prediction is infinite ({first_rows(~np.isfinite(guess))}).")
    check_sample(gold_sample.drawn, ~np.isnan(gold))
    levels = read_levels(units, "units", n_rows)
    chance = gold_sample.label_probability
    gaps = np.where(gold_sample.drawn, (gold - guess) / chance, 0.0)
    size = levels.sizes
    return UnitLabels(
        levels.names,
        np.bincount(levels.codes, guess + gaps) / size,
        size,
        np.bincount(levels.codes, gold_sample.drawn).astype(np.intp),
        levels,
        gaps,
        1.0 - chance,
    )


def unit_regression(
    outcome: Any, covariates: Mapping[str, Any], *, model: str = "linear"
) -> Estimates:
    r"""Regress units' outcomes on their covariates, of which any may be aggregated labels.

    With aggregated covariates :math:`\tilde X_u` the moment

    .. math:: \tilde X_u (\tilde Y_u - \tilde X_u'\beta) - c_u + V_u \beta = 0

    takes out what the draw of documents adds to products: :math:`V_u` holds the variances and
    covariances of the aggregated covariates, :math:`c_u` those with an outcome aggregated from the
    same documents. Standard errors are HC1, of the moment as it stands, with a t(U - k) reference.

    Parameters
    ----------
    outcome : UnitLabels, or array or Series of length U
    covariates : dict
        `UnitLabels`, arrays in the order of sorted units, or Series with units as index. The
        constant is added.
    model : {"linear", "logistic", "poisson"}, default="linear"
        An aggregated outcome suits all of them, as their moments are linear in it (a "logistic"
        share may lie outside 0 to 1); aggregated covariates suit the linear one alone.

    Returns
    -------
    Estimates

    Raises
    ------
    ValueError
        If a covariate is aggregated and the model is not linear: no function of noisy covariates
        has the right expectation. Label whole units (`GoldSample.clusters`) instead.

    Warns
    -----
    DesignWarning
        If single documents with small probabilities may decide the correction.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import GoldSample, aggregate_labels, unit_regression
    >>> rng = np.random.default_rng(0)
    >>> author = np.repeat(np.arange(400), 8)
    >>> tone = rng.normal(size=400)[author] + rng.normal(size=3200)
    >>> sample = GoldSample.poisson(3200, n=800, random_state=1)
    >>> machine = tone + rng.normal(size=3200)
    >>> unit = aggregate_labels(
    ...     np.where(sample.drawn, tone, np.nan), machine, author, gold_sample=sample
    ... )
    >>> success = 2 * np.bincount(author, tone) / 8 + rng.normal(size=400)
    >>> results = unit_regression(success, {"tone": unit})
    >>> bool(abs(results.params[1] - 2) < 3 * results.std_errors[1])
    True
    """
    if model not in MODELS:
        raise ValueError(f"model={model!r} is not one of {', '.join(map(repr, MODELS))}.")
    columns, names = dict(covariates), tuple(str(name) for name in covariates)
    aggregated = [name for name, value in columns.items() if isinstance(value, UnitLabels)]
    parts = [columns[name] for name in aggregated]
    known = [part for part in (*parts, outcome) if isinstance(part, UnitLabels)]
    if not known:
        raise ValueError("Neither the outcome nor a covariate is made by aggregate_labels.")
    if aggregated and model != "linear":
        raise ValueError(
            f"{aggregated[0]!r} is aggregated from a sample of documents, and model={model!r} is "
            "not linear in it: no correction makes such a regression valid. Label whole units "
            "(GoldSample.clusters) and fit a DSL estimator to units with predicted_features."
        )
    unit_names = known[0].names
    if any(not np.array_equal(part.names, unit_names) for part in known):
        raise ValueError("Outcome and covariates are aggregated to different units.")
    for part in known[1:]:
        if not np.array_equal(part.units.codes, known[0].units.codes):
            raise ValueError("Outcome and covariates are aggregated from different documents.")
    design = np.column_stack(
        [np.ones(len(unit_names))]
        + [_values(value, name, unit_names) for name, value in columns.items()]
    )
    y = _values(outcome, "outcome", unit_names)
    if len(y) <= design.shape[1]:
        raise ValueError(f"{len(y)} units are too few for {design.shape[1]} coefficients.")
    positions = [1 + names.index(str(name)) for name in aggregated]
    if parts:
        _warn_about_weights(parts)
    rule = MODELS[model]
    terms = ("intercept", *names)
    if rule is not None:
        beta, moments, jacobian = _solved(rule, design, y, model)
    else:
        beta, moments, jacobian = _corrected(design, y, outcome, parts, positions)
    n, k = design.shape
    inverse = np.linalg.inv(jacobian)
    influence = moments @ inverse.T
    cov = influence.T @ influence / n**2 * n / (n - k)
    header = {
        "Units": f"{n:,}",
        "Documents": f"{len(known[0].gaps):,}, {int(known[0].n_labelled.sum()):,} labelled",
        "Aggregated": ", ".join(
            (["outcome"] if isinstance(outcome, UnitLabels) else []) + list(map(str, aggregated))
        ),
        "Covariance": f"HC1, t({n - k:,}) reference",
    }
    return Estimates(
        beta,
        cov,
        terms,
        n_obs=n,
        df=float(n - k),
        header=header,
        title=f"Units above documents, {model}",
    )


def _values(column: Any, name: str, units: NDArray[Any]) -> Array:
    """Return one number per unit, aligned by the index of a Series."""
    if isinstance(column, UnitLabels):
        return column.values
    column = to_pandas(column)
    if isinstance(column, pd.Series) and not isinstance(column.index, pd.RangeIndex):
        left_out = [one for one in units.tolist() if one not in column.index]
        if left_out:
            raise ValueError(f"{name} has no value of unit {left_out[0]!r}.")
        column = column.loc[units.tolist()]
    values = np.asarray(column, dtype=float)
    if values.shape != (len(units),):
        raise ValueError(f"{name} has shape {values.shape}; there are {len(units):,} units.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is missing or infinite ({first_rows(~np.isfinite(values))}).")
    return values


def _corrected(
    design: Array, y: Array, outcome: Any, parts: list[UnitLabels], positions: list[int]
) -> tuple[Array, Array, Array]:
    """Return root, moments and derivative of the corrected linear moment."""
    n, k = design.shape
    noise = np.zeros((n, k, k))
    shared = np.zeros((n, k))
    for a, one in zip(positions, parts, strict=True):
        for b, other in zip(positions, parts, strict=True):
            noise[:, a, b] = one.variance(other)
        if isinstance(outcome, UnitLabels):
            shared[:, a] = one.variance(outcome)
    jacobian = (design.T @ design - noise.sum(axis=0)) / n
    if positions and not _has_signal(design.T @ design / n, jacobian, positions):
        raise ValueError(
            "What the draw of documents adds to the aggregated covariates is as large as all their "
            "variation between units; label more documents."
        )
    beta = np.linalg.solve(jacobian, (design.T @ y - shared.sum(axis=0)) / n)
    moments = design * (y - design @ beta)[:, None] - shared + noise @ beta
    return beta, moments, jacobian


def _has_signal(observed: Array, corrected: Array, positions: list[int]) -> bool:
    """Whether enough of each aggregated covariate's own variation is more than noise."""
    if np.linalg.eigvalsh(corrected)[0] <= 0.0:
        return False
    own, left = (1.0 / np.diag(np.linalg.inv(part))[positions] for part in (observed, corrected))
    return bool((left > LEAST_SIGNAL * own).all())


def _solved(rule: IndexModel, design: Array, y: Array, model: str) -> tuple[Array, Array, Array]:
    """Return root, moments and derivative of a model that is linear in the outcome."""
    none = np.empty(0, dtype=np.intp)
    sample = Sample(design, y)
    problem = Problem(rule, sample, sample.rows(none), none, np.empty(0))
    root = solve(problem)
    if root.status != "converged":
        raise ValueError(
            f"model={model!r} has no finite solution for these units; use the linear model, or "
            "label more documents."
        )
    return root.beta, root.moments, root.jacobian


def _warn_about_weights(parts: list[UnitLabels]) -> None:
    least = min(float((1.0 - part.noise)[part.gaps != 0.0].min(initial=1.0)) for part in parts)
    if 1.0 / least > LARGEST_WEIGHT:
        warnings.warn(
            f"Some labelled documents have a probability of {least:.3g}, so that each counts as "
            f"{1 / least:,.0f}; single ones decide the correction, and standard errors vary "
            "widely. Draw with a larger minimum probability.",
            DesignWarning,
            stacklevel=3,
        )
