"""From what the user gave to the validated data of one fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from .. import validation
from ..covariance import renumbered
from .fixed_effects import Absorbed
from .gold_sample import GoldSample
from .gold_sample.record import KINDS
from .numerics import SamplingDesign
from .sampling import Strata
from .targets import Target, surrogate_as_target
from .versions import MatrixVersions, Outcome

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class RowAligned(NamedTuple):
    """Row-aligned arguments of ``fit`` beside X and y, as the user gave them."""

    surrogates: Any = None
    sampling_probability: Any = None
    clusters: Any = None
    sample_weight: Any = None
    fixed_effects: Any = None
    instruments: Any = None
    strata: Any = None
    gold_sample: Any = None


class Drawn(NamedTuple):
    """The design of a gold sample, its name, and which rows were drawn."""

    design: SamplingDesign
    flags: NDArray[np.bool_]
    kind: str


@dataclass(frozen=True)
class Aligned:
    """The same, validated.

    Attributes
    ----------
    surrogates : Features, or None
    surrogate_of : dict
        Names of the surrogate columns of each target, where the user said so.
    probability : ndarray of shape (n,), or None
        As stated.
    clusters : ndarray of int of shape (n,) or (n, 2), or None
    sample_weight : ndarray of shape (n,), or None
    absorbed : Absorbed, or None
    instruments : Features, or None
    strata : Strata, or None
    sample : Drawn, or None
        From a gold sample.
    """

    surrogates: validation.Features | None = None
    surrogate_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    probability: Array | None = None
    clusters: Codes | None = None
    sample_weight: Array | None = None
    absorbed: Absorbed | None = None
    instruments: validation.Features | None = None
    strata: Strata | None = None
    sample: Drawn | None = None

    def take(self, rows: Codes) -> Aligned:
        """Return some of the rows."""
        sample, strata = self.sample, self.strata
        if sample is not None:
            design = sample.design.take(rows, np.flatnonzero(sample.flags))
            sample = sample._replace(design=design, flags=sample.flags[rows])
        return replace(
            self,
            surrogates=None if self.surrogates is None else self.surrogates.rows(rows),
            probability=None if self.probability is None else self.probability[rows],
            clusters=None if self.clusters is None else renumbered(self.clusters[rows]),
            sample_weight=None if self.sample_weight is None else self.sample_weight[rows],
            absorbed=None if self.absorbed is None else self.absorbed.among(rows),
            instruments=None if self.instruments is None else self.instruments.rows(rows),
            strata=None if strata is None else strata.take(rows),
            sample=sample,
        )


def read_aligned(given: RowAligned, n_rows: int) -> Aligned:
    """Validate row-aligned arguments.

    Raises
    ------
    ValueError
    """
    weight = None
    if given.sample_weight is not None:
        weight = validation.read_weights(given.sample_weight, n_rows)
    if given.gold_sample is not None and given.sampling_probability is not None:
        raise ValueError(
            "gold_sample holds the sampling probabilities; leave sampling_probability out."
        )
    if given.gold_sample is not None and given.strata is not None:
        raise ValueError("gold_sample holds the strata of its design; leave strata out.")
    absorbed = None
    if given.fixed_effects is not None:
        names, codes = validation.encode_effects(given.fixed_effects, n_rows)
        absorbed = Absorbed(names, codes, weight)
    return Aligned(
        surrogates=_features(given.surrogates, n_rows, "surrogates", "surrogate"),
        probability=None
        if given.sampling_probability is None
        else validation.read_probability(given.sampling_probability, n_rows),
        clusters=None
        if given.clusters is None
        else validation.encode_clusters(given.clusters, n_rows),
        sample_weight=weight,
        absorbed=absorbed,
        instruments=_features(
            given.instruments, n_rows, "instruments", "instrument", drop_first=True
        ),
        strata=None if given.strata is None else _strata(given.strata, n_rows),
        sample=None if given.gold_sample is None else _drawn(given.gold_sample, n_rows),
    )


def _strata(values: Any, n_rows: int) -> Strata:
    column = validation.read_series(values, "strata", n_rows)
    missing = column.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"strata: missing on {missing.sum():,} of {n_rows:,} rows "
            f"({validation.first_rows(missing)}). Every row of the frame belongs to a stratum."
        )
    codes, names = pd.factorize(column, sort=True)
    return Strata(codes.astype(np.intp), list(names))


def _drawn(sample: Any, n_rows: int) -> Drawn:
    if not isinstance(sample, GoldSample):
        raise ValueError(
            f"gold_sample must be a GoldSample, got a {type(sample).__name__}; for probabilities "
            "alone use sampling_probability."
        )
    if sample.n_rows != n_rows:
        raise ValueError(
            f"gold_sample was drawn from {sample.n_rows:,} rows, but there are {n_rows:,}; pass "
            "all rows of its frame, in its order."
        )
    return Drawn(sample.design(), np.asarray(sample.drawn), KINDS[sample.kind])


def _features(
    data: Any, n_rows: int, role: str, default_name: str, *, drop_first: bool = False
) -> validation.Features | None:
    if data is None:
        return None
    return validation.read_features(data, n_rows, role, default_name, drop_first=drop_first)


def take_rows(data: Any, rows: Codes, n_rows: int) -> Any:
    """Return some rows of an array, sparse matrix, frame or series; a scalar as it is."""
    data = validation.to_pandas(data)
    if isinstance(data, Real):
        return data
    if isinstance(data, pd.DataFrame | pd.Series):
        return data.iloc[rows] if len(data) == n_rows else data
    matrix: Any = data if sparse.issparse(data) else validation.to_array(data)
    return matrix[rows] if matrix.shape[0] == n_rows else matrix


def matrix_versions(
    matrix: Array,
    names: tuple[str, ...],
    outcome: Target,
    *,
    predicted: Sequence[int] = (),
    n_classes: int = 0,
    has_intercept: bool,
    instruments: validation.Features | None = None,
    endogenous: tuple[int, ...] = (),
    has_surrogates: bool,
) -> MatrixVersions:
    """Declare what is predicted in a matrix of covariates and an outcome.

    Raises
    ------
    ValueError
        If a column that is declared to be predicted has no missing value though there are
        surrogates for it, or has no known one.
    """
    targets = [] if outcome.is_labelled.all() else [outcome]
    columns = {}
    for position in predicted:
        target = Target(names[position], matrix[:, position])
        known = target.is_labelled
        if known.all() and has_surrogates:
            raise ValueError(
                f"predicted_features: column {target.name!r} has no missing value, so there is "
                "nothing to predict. If it holds machine labels, pass these as surrogates and put "
                "NaN where there is no gold value; if it is known on every row, do not declare it."
            )
        if not known.any():
            raise ValueError(
                f"predicted_features: column {target.name!r} has no gold value at all; label "
                "some rows."
            )
        if not known.all():
            targets.append(target)
            columns[target.name] = position
    return MatrixVersions(
        covariates=matrix,
        names=names,
        outcome=Outcome(outcome.values, n_classes),
        targets=tuple(targets),
        columns=columns,
        has_intercept=has_intercept,
        instruments=None if instruments is None else instruments.matrix,
        instrument_names=() if instruments is None else instruments.names,
        endogenous=endogenous,
    )


def labels_without_the_rest(targets: Sequence[Target]) -> int:
    """Count the rows with a gold value of some targets but not of all."""
    known = np.column_stack([target.is_labelled for target in targets])
    return int((known.any(axis=1) & ~known.all(axis=1)).sum())


def surrogates_as_predictions(aligned: Aligned, targets: Sequence[Target]) -> Array:
    """Return surrogates as they are in the place of predictions, shape (n, n_columns).

    Raises
    ------
    ValueError
        If there is not exactly one surrogate for each target, or one does not fit.
    """
    assert aligned.surrogates is not None
    frame = aligned.surrogates.raw
    if frame is None:
        raise ValueError("A sparse matrix of surrogates cannot stand for what is predicted.")
    if aligned.surrogate_of:
        named = {target.name: aligned.surrogate_of[target.name] for target in targets}
        for name, columns in named.items():
            if len(columns) > 1:
                raise ValueError(
                    "learner=None takes the surrogate as it is and needs exactly one for "
                    f"{name!r}, got {len(columns)} ({', '.join(map(repr, columns[:6]))}). Choose "
                    "one or a learner."
                )
        chosen = [columns[0] for columns in named.values()]
    else:
        if frame.shape[1] != len(targets):
            wanted = ", ".join(repr(target.name) for target in targets)
            needed = "exactly one" if len(targets) == 1 else f"one for each of {wanted}, in order"
            raise ValueError(
                f"learner=None takes the surrogate as it is and needs {needed}, got "
                f"{frame.shape[1]} ({', '.join(map(repr, frame.columns[:6]))}). Choose columns or "
                "a learner."
            )
        chosen = list(map(str, frame.columns))
    return stand_ins(frame, list(zip(targets, chosen, strict=True)))


def stand_ins(frame: pd.DataFrame, columns: list[tuple[Target, Any]]) -> Array:
    """Return named surrogate columns in the place of targets, shape (n, n_columns)."""
    return np.hstack(
        [
            surrogate_as_target(
                validation.select_columns(frame, [name], "surrogates").iloc[:, 0], target
            )
            for target, name in columns
        ]
    )


def learner_features(surrogates: validation.Features | None, columns: Array) -> Any:
    """Put surrogates and covariates side by side, sparse if the surrogates are."""
    if surrogates is None:
        return columns
    if sparse.issparse(surrogates.matrix):
        blocks: list[Any] = [surrogates.matrix, sparse.csr_array(columns)]
        return sparse.hstack(blocks, format="csr")
    return np.hstack([surrogates.matrix, columns])


def with_unit_mean(aligned: Aligned) -> Aligned:
    """Scale the weights to mean 1, which no estimate depends on."""
    if aligned.sample_weight is None:
        return aligned
    weight = aligned.sample_weight / aligned.sample_weight.mean()
    absorbed = aligned.absorbed
    if absorbed is not None:
        absorbed = replace(absorbed, sample_weight=weight)
    return replace(aligned, sample_weight=weight, absorbed=absorbed)
