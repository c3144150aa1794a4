"""How good surrogates and predictions are, and whether their errors are differential."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from .. import validation
from ..covariance import Codes, meat
from .data import LabelledData
from .targets import Target, surrogate_as_target

if TYPE_CHECKING:
    from .fitted import Fitted

Array = NDArray[np.float64]
PREDICTED = "cross-fitted"


class Source(NamedTuple):
    """A surrogate or prediction of one target on the labelled rows."""

    target: Target
    name: str
    values: Array  # (n_labelled, n_columns)


def surrogate_quality(fitted: Fitted, by: Any = None) -> pd.DataFrame:
    """Compare surrogates and cross-fitted predictions with gold values; see `DSLBase`."""
    data = fitted.data
    if data.is_complete:
        raise ValueError("Every row is labelled, so nothing is predicted that could be judged.")
    groups = None if by is None else _groups(data, by)
    rows: list[dict[str, Any]] = []
    for source in _sources(fitted):
        gold = source.target.to_learn(data.versions.labelled)[data.labelled]
        errors = source.values - gold
        test = _differential_error(data, source.target, errors, groups)
        rows.append(_row(data, source, gold, "all", slice(None)) | test)
        if groups is not None:
            rows.extend(
                _row(data, source, gold, level, groups == level)
                for level in pd.unique(pd.Series(groups).sort_values())
            )
    return pd.DataFrame(rows)


def _sources(fitted: Fitted) -> Iterator[Source]:
    """Yield the surrogates that can stand for a target as they are, then its predictions."""
    data, surrogates = fitted.data, fitted.inputs.aligned.surrogates
    named = fitted.inputs.aligned.surrogate_of
    frame = None if surrogates is None else surrogates.raw
    first = 0
    for target in data.versions.targets:
        columns: list[Any] = [] if frame is None else list(frame.columns)
        for name in named.get(target.name, columns):
            assert frame is not None
            try:
                values = surrogate_as_target(frame[name], target)
            except ValueError:  # a score of another variable, or a text: for learners only
                continue
            yield Source(target, str(name), values[data.labelled])
        block = slice(first, first + target.n_columns)
        first = block.stop
        if fitted.crossfit is not None:
            mean = fitted.predictions[:, data.labelled, block].mean(axis=0)
            yield Source(target, PREDICTED, mean)


def _groups(data: LabelledData, by: Any) -> NDArray[Any]:
    """Return the group of each labelled row."""
    values = data.versions.variable(by) if isinstance(by, str) else by
    column = validation.read_series(values, "by", data.n_rows)
    labelled = column.iloc[data.labelled]
    if labelled.isna().any():
        raise ValueError(
            "by: groups are missing on labelled rows; give these a group of their own."
        )
    return labelled.to_numpy()


def _row(
    data: LabelledData, source: Source, gold: Array, group: Any, members: Any
) -> dict[str, Any]:
    """Describe one source in one group; every labelled row stands for 1 / probability rows."""
    weight = _weight(data)[members]
    share = weight / weight.sum()
    known, values = gold[members], source.values[members]
    error = values - known
    is_class = source.target.task == "probability"
    bias, rmse, correlation = np.nan, float(np.sqrt(share @ (error**2).sum(axis=1))), np.nan
    if source.target.n_columns == 1:
        bias = float(share @ error[:, 0])
        correlation = _correlation(known[:, 0], values[:, 0], share)
    return {
        "variable": source.target.name,
        "source": source.name,
        "group": group,
        "labels": len(weight),
        "bias": bias,
        "rmse": rmse,
        "correlation": correlation,
        "accuracy": float(share @ _is_right(known, values)) if is_class else np.nan,
    }


def _is_right(known: Array, values: Array) -> NDArray[np.bool_]:
    if known.shape[1] == 1:
        right: NDArray[np.bool_] = (values[:, 0] > 0.5) == (known[:, 0] > 0.5)
        return right
    return values.argmax(axis=1) == known.argmax(axis=1)


def _correlation(first: Array, second: Array, share: Array) -> float:
    a, b = first - share @ first, second - share @ second
    scale = np.sqrt((share @ a**2) * (share @ b**2))
    return float(share @ (a * b) / scale) if scale > 0.0 else np.nan


def _weight(data: LabelledData) -> Array:
    weight = 1.0 / data.probability[data.labelled]
    return weight if data.sample_weight is None else weight * data.sample_weight[data.labelled]


def _differential_error(
    data: LabelledData, target: Target, errors: Array, groups: NDArray[Any] | None
) -> dict[str, float]:
    """Test whether errors are related to other variables given the true value.

    The errors are regressed on the gold value and the other variables of the model (with the
    outcome where a covariate is predicted), or on groups; a robust Wald test says whether all
    slopes but those of the gold value are zero. Errors about a class have slopes within each true
    class, as mistakes in both directions would cancel otherwise.
    """
    gold = target.to_learn(data.versions.labelled)[data.labelled]
    columns = _other_variables(data, target) if groups is None else _dummies(groups)
    if target.task == "probability":
        classes = np.column_stack([1.0 - gold, gold]) if gold.shape[1] == 1 else gold
        columns = np.hstack([columns * share[:, None] for share in classes.T])
    weight, clusters = _weight(data), data.labelled_clusters()
    tests = [_wald_of_slopes(columns, gold, error, weight, clusters) for error in errors.T]
    statistic, df = max(tests, key=lambda test: test[0])
    # Classes are tested one by one; the smallest p value counts, times their number.
    p_value = min(1.0, len(tests) * float(chi2.sf(statistic, df))) if df else np.nan
    return {"differential_chi2": statistic, "differential_df": df, "differential_p": p_value}


def _dummies(groups: NDArray[Any]) -> Array:
    return pd.get_dummies(pd.Series(groups), dtype=float).to_numpy()[:, 1:]


def _other_variables(data: LabelledData, target: Target) -> Array:
    """Return the gold values of all variables of the model but one, on the labelled rows."""
    versions, rows = data.versions, data.labelled
    names = [name for name in versions.variables if name != target.name]
    frame = pd.DataFrame(
        {name: np.asarray(versions.variable(name))[rows] for name in names}, index=range(len(rows))
    )
    columns: Array = validation.read_features(frame, len(rows), "data", "column").matrix
    if target.name in versions.predicted_covariates:
        columns = np.column_stack([columns, versions.gold(rows).outcome])
    return columns


def _wald_of_slopes(
    columns: Array, controls: Array, outcome: Array, weight: Array, clusters: Codes | None
) -> tuple[float, int]:
    """Return the Wald statistic of the slopes of columns beside controls, and its df."""
    beside = np.column_stack([np.ones(len(outcome)), controls]) * np.sqrt(weight)[:, None]
    basis = np.linalg.svd(beside, full_matrices=False)
    basis_columns = basis[0][:, basis[1] > 1e-10 * basis[1].max()]

    def left(values: Array) -> Array:
        """Return what the controls leave of weighted values."""
        scaled = values * np.sqrt(weight)[:, None]
        return scaled - basis_columns @ (basis_columns.T @ scaled)

    design, size = left(columns), np.linalg.norm(columns * np.sqrt(weight)[:, None], axis=0)
    design = design[:, np.linalg.norm(design, axis=0) > 1e-9 * size]
    if design.shape[1] == 0:
        return np.nan, 0
    response = left(outcome[:, None])[:, 0]
    slopes = np.linalg.lstsq(design, response, rcond=None)[0]
    # HC3: with few labels plain residuals would reject too often.
    rotation = np.linalg.svd(design, full_matrices=False)[0]
    leverage = (basis_columns**2).sum(axis=1) + (rotation**2).sum(axis=1)
    residual = (response - design @ slopes) / np.maximum(1.0 - leverage, 1e-8)
    moments = design * residual[:, None]
    middle = meat(moments, clusters)
    scores = design.T @ (design @ slopes)
    df = int(np.linalg.matrix_rank(middle))
    return float(scores @ np.linalg.pinv(middle, hermitian=True) @ scores), df
