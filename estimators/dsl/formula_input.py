"""From a formula, a frame and names of its columns to validated input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import validation
from ..formula import ParsedFormula, complete_rows, fixed_effect_codes, parse
from .fixed_effects import Absorbed
from .reading import Aligned, RowAligned, read_aligned, with_unit_mean
from .targets import Target, level_codes

Array = NDArray[np.float64]

# A column without surrogates that loses more than this share of the rows was forgotten.
LARGEST_LOSS = 0.5


class Named(NamedTuple):
    """Arguments of ``fit_formula`` that name columns."""

    surrogates: Any = None
    sampling_probability: str | float | None = None
    clusters: str | Sequence[str] | None = None
    sample_weight: str | None = None
    strata: str | None = None
    gold_sample: Any = None


@dataclass(frozen=True)
class FormulaInput:
    """Validated input of ``fit_formula``.

    Attributes
    ----------
    parsed : ParsedFormula
    frame : DataFrame of n rows
        The rows that are left, NaN in predicted columns where they are not labelled.
    aligned : Aligned
    rows_lost : dict
        Rows left out, by the reason.
    """

    parsed: ParsedFormula
    frame: pd.DataFrame
    aligned: Aligned
    rows_lost: dict[str, int]

    @property
    def predicted(self) -> tuple[str, ...]:
        """Names of the predicted variables, the outcome's first."""
        return tuple(self.aligned.surrogate_of)

    def learner_columns(self) -> Array:
        """Return the fully observed variables of the formula as numbers, shape (n, p)."""
        used = dict.fromkeys((*self.parsed.design_columns, *self.parsed.instrument_columns))
        surrogates = self.aligned.surrogates
        known = set(() if surrogates is None or surrogates.raw is None else surrogates.raw.columns)
        names = [name for name in used if name not in self.predicted and name not in known]
        matrix: Array = validation.read_features(
            self.frame[names], len(self.frame), "data", "column"
        ).matrix
        return matrix


def read_formula(formula: str, data: Any, named: Named) -> FormulaInput:
    """Look up the columns, leave out rows with missing covariates, and validate the rest.

    Raises
    ------
    ValueError
        If a column does not exist or holds what it cannot, or predicted variables are not
        declared as they should be.
    """
    frame = validation.to_pandas(data)
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"data must be a frame (pandas, polars, Arrow) with named columns, got a "
            f"{type(data).__name__}; for arrays use fit."
        )
    parsed = parse(formula)
    parsed.columns(frame.columns)
    surrogates = surrogate_columns(named.surrogates, parsed, frame)
    aligned = read_aligned(_row_aligned(named, surrogates, frame), len(frame))
    aligned = replace(aligned, surrogate_of=surrogates)
    kept, lost = _kept_rows(parsed, surrogates, frame, aligned.sample_weight)
    if len(kept) < len(frame):
        frame, aligned = frame.iloc[kept], aligned.take(kept)
    if parsed.fixed_effects:
        codes, names, _ = fixed_effect_codes(parsed, frame)
        aligned = replace(aligned, absorbed=Absorbed(names, codes, aligned.sample_weight))
    return FormulaInput(parsed, frame, with_unit_mean(aligned), lost)


def _row_aligned(
    named: Named, surrogates: Mapping[str, Sequence[str]], frame: pd.DataFrame
) -> RowAligned:
    """Turn names into row-aligned columns."""

    def columns(names: Any, role: str) -> Any:
        listed = [names] if isinstance(names, str) else list(names)
        return validation.select_columns(frame, listed, role)

    probability: Any = named.sampling_probability
    if isinstance(probability, str):
        probability = columns(probability, "sampling_probability").iloc[:, 0]
    listed = dict.fromkeys(name for names in surrogates.values() for name in names)
    weight, clusters = named.sample_weight, named.clusters
    return RowAligned(
        surrogates=columns(listed, "surrogates") if listed else None,
        sampling_probability=probability,
        clusters=None if clusters is None else columns(clusters, "clusters"),
        sample_weight=None if weight is None else columns(weight, "sample_weight").iloc[:, 0],
        strata=None if named.strata is None else columns(named.strata, "strata").iloc[:, 0],
        gold_sample=named.gold_sample,
    )


def _kept_rows(
    parsed: ParsedFormula,
    surrogates: Mapping[str, Any],
    frame: pd.DataFrame,
    weight: Array | None,
) -> tuple[NDArray[np.intp], dict[str, int]]:
    """Return positions of the rows to keep, and why the others were left out."""
    needed = [name for name in parsed.columns(frame.columns).all if name not in surrogates]
    complete = complete_rows(frame, needed)
    _check_undeclared(complete.lost, len(frame), parsed)
    lost = {f"missing {name}": count for name, count in complete.lost.items()}
    keep = complete.mask
    if weight is not None and not weight.all():
        lost["of weight zero"] = int((weight == 0.0).sum())
        keep = keep & (weight > 0.0)
    if not keep.any():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in lost.items())
        raise ValueError(f"No row is left: of {len(frame):,} rows, {reasons}.")
    return np.flatnonzero(keep), lost


def _check_undeclared(lost: Mapping[str, int], n_rows: int, parsed: ParsedFormula) -> None:
    """Raise if rows would be lost through a variable that was meant to be predicted."""
    for name, count in lost.items():
        if name in parsed.outcome_columns:
            raise ValueError(
                f"{name} has no gold label on {count:,} of {n_rows:,} rows, and there are no "
                f"surrogates to predict it from; pass surrogates={{{name!r}: ['column', ...]}}, or "
                "remove these rows."
            )
        if count > LARGEST_LOSS * n_rows:
            raise ValueError(
                f"{name!r} is missing on {count:,} of {n_rows:,} rows. If it is known on the "
                "labelled rows only and predicted elsewhere, declare it: "
                f"surrogates={{{name!r}: ['column', ...]}}. If it is a covariate with gaps, remove "
                "these rows first."
            )


# ---------------------------------------------------------------------- what is predicted


def surrogate_columns(
    surrogates: Any, parsed: ParsedFormula, frame: pd.DataFrame
) -> dict[str, tuple[str, ...]]:
    """Return the surrogate columns of each predicted variable, the outcome's first.

    Raises
    ------
    ValueError
        If a predicted variable is not in the formula, has no missing value or no known one, or a
        column does not exist; or if the surrogates are not given by variable and not exactly one
        variable of the formula has missing values.
    """
    if surrogates is None:
        return {}
    used = (*parsed.outcome_columns, *parsed.design_columns, *parsed.instrument_columns)
    if not isinstance(surrogates, Mapping):
        surrogates = {_only_incomplete(used, frame): surrogates}
    columns = {}
    for target in sorted(surrogates, key=lambda name: name not in parsed.outcome_columns):
        _check_target(target, used, parsed, frame)
        given = surrogates[target]
        names = (given,) if isinstance(given, str) else tuple(given)
        if not names:
            raise ValueError(f"surrogates: no column is named for {target!r}.")
        validation.select_columns(frame, names, "surrogates")
        if target in names:
            raise ValueError(f"surrogates: {target!r} cannot be its own surrogate.")
        columns[target] = names
    return columns


def _only_incomplete(used: Sequence[str], frame: pd.DataFrame) -> str:
    incomplete = [name for name in dict.fromkeys(used) if frame[name].isna().any()]
    if len(incomplete) == 1:
        return incomplete[0]
    found = f"{len(incomplete)} variables have" if incomplete else "no variable has"
    raise ValueError(
        "surrogates: say which variable of the formula they predict, as in "
        f"surrogates={{{(incomplete or list(used))[0]!r}: ['machine_label']}}; {found} missing "
        "values."
    )


def _check_target(
    target: str, used: Sequence[str], parsed: ParsedFormula, frame: pd.DataFrame
) -> None:
    if target not in used:
        is_effect = target in parsed.fixed_effect_columns
        where = "stands only for a fixed effect" if is_effect else "is not in the formula"
        raise ValueError(
            f"surrogates: {target!r} {where} ({parsed.text}). Predicted variables are the outcome "
            f"or covariates.{validation.did_you_mean(target, used)}"
        )
    missing = frame[target].isna()
    if not missing.any():
        raise ValueError(
            f"surrogates: {target!r} has no missing value, so there is nothing to predict. Rows "
            "without a gold value hold NaN; if every row has one, leave its surrogates out."
        )
    if missing.all():
        raise ValueError(f"surrogates: {target!r} has no gold value at all; label some rows.")


def read_covariate(name: str, given: FormulaInput) -> Target:
    """Return a predicted covariate: a number, or a category by its levels.

    Raises
    ------
    ValueError
        If a category has one level only among the gold values.
    """
    column = given.frame[name]
    if not given.parsed.is_categorical(name, given.frame):
        return Target(name, column.to_numpy(dtype=float, na_value=np.nan))
    known = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = tuple(level for level in column.cat.categories if (known == level).any())
    else:
        levels = tuple(sorted(known.unique()))
    if len(levels) < 2:
        raise ValueError(
            f"{name!r} has one level only among its gold values ({levels[0]!r}); label rows with "
            "another one, or leave it out."
        )
    return Target(name, level_codes(column, levels), levels)
