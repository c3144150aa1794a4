"""The border of gold samples: ids, strata, units, sizes and seeds become arrays and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...crossfit import seed_sequence
from ...validation import did_you_mean, first_rows, read_series, to_float, to_pandas

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

TOP_K = (
    "A row that could never be drawn is represented by no label: picking the top k by a score, "
    "or whatever lies nearest to hand, leaves estimates for the other rows without any ground."
)


def frozen(holder: Any) -> None:
    """Replace the arrays that an object holds by its own read-only copies."""
    for name, value in list(vars(holder).items()):
        if isinstance(value, np.ndarray) and value.flags.writeable:
            own = value.copy()
            own.flags.writeable = False
            object.__setattr__(holder, name, own)


@dataclass(frozen=True)
class Levels:
    """A categorical column: strata, or sampling units.

    Attributes
    ----------
    codes : ndarray of int of shape (n,)
        Level of each row, 0, ..., L-1; every level has rows.
    names : ndarray of shape (L,)
        In sorted order.
    """

    codes: Codes
    names: NDArray[Any]

    def __post_init__(self) -> None:
        frozen(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        frozen(self)

    @property
    def sizes(self) -> Codes:
        """Number of rows of each level."""
        return np.bincount(self.codes, minlength=len(self.names))

    def first(self) -> Codes:
        """Return the first row of each level."""
        return np.unique(self.codes, return_index=True)[1].astype(np.intp)


def one_group(n_rows: int) -> Levels:
    """Return the levels of rows that all belong together."""
    return Levels(np.zeros(n_rows, dtype=np.intp), np.array(["all"], dtype=object))


def is_whole(value: Any) -> bool:
    """Whether something is a whole number, which True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def read_ids(ids: Any) -> NDArray[Any]:
    """Return the ids of the frame, whole numbers or text; an int n stands for 0, ..., n-1.

    Raises
    ------
    ValueError
        If there are none, one is missing, empty or stands twice, or they are of another kind.
    """
    if is_whole(ids):
        if ids < 1:
            raise ValueError(f"ids={ids}: a frame needs at least one row.")
        return np.arange(int(ids))
    if isinstance(ids, str) or not hasattr(to_pandas(ids), "__len__"):
        raise ValueError(f"ids must be a sequence of ids, or the number of rows; got {ids!r}.")
    column = read_series(ids, "ids", len(ids))
    if not len(column):
        raise ValueError("ids is empty: a frame needs at least one row.")
    missing = column.isna().to_numpy() | (column == "").fillna(False).to_numpy(dtype=bool)
    if missing.any():
        raise ValueError(f"ids are missing on {missing.sum():,} rows ({first_rows(missing)}).")
    kind = pd.api.types.infer_dtype(column, skipna=False)
    if kind == "categorical":
        column = column.astype(column.cat.categories.dtype)
        kind = pd.api.types.infer_dtype(column, skipna=False)
    if kind not in ("integer", "string"):
        raise ValueError(
            f"ids are of type {kind}; use whole numbers or text, which come back unchanged from "
            "a coding sheet."
        )
    twice = column.duplicated(keep=False).to_numpy()
    if twice.any():
        raise ValueError(
            f"ids are not unique: {column[twice].iloc[0]!r} and others stand on "
            f"{twice.sum():,} rows together ({first_rows(twice)}). Labels could not be told apart."
        )
    is_small = kind == "integer" and abs(int(column.max())) < 2**63 > abs(int(column.min()))
    return column.to_numpy(dtype=np.int64 if is_small else object)


def read_column(values: Any, role: str, n_rows: int) -> pd.Series[Any]:
    """Return a column with one entry per id, none of them missing."""
    values = to_pandas(values)
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise ValueError(f"{role} must have one entry per row; got {values!r}.")
    if len(values) != n_rows:
        raise ValueError(f"{role} has {len(values):,} entries, but there are {n_rows:,} ids.")
    column = read_series(values, role, n_rows)
    missing = column.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"{role} is missing (NaN) on {missing.sum():,} of {n_rows:,} rows "
            f"({first_rows(missing)}). Every row of the frame needs it, drawn or not."
        )
    return column


def read_numbers(values: Any, role: str, n_rows: int) -> Array:
    """Return finite numbers that are not negative, one per row."""
    numbers = to_float(read_column(values, role, n_rows), role)
    for word, mask in (("infinite", np.isinf(numbers)), ("negative", numbers < 0.0)):
        if mask.any():
            raise ValueError(
                f"{role} is {word} on {mask.sum():,} of {n_rows:,} rows ({first_rows(mask)})."
            )
    return numbers


def read_levels(values: Any, role: str, n_rows: int) -> Levels:
    """Return the levels of a categorical column."""
    column = read_column(values, role, n_rows)
    codes, names = pd.factorize(column, sort=True)
    return Levels(codes.astype(np.intp), np.asarray(names, dtype=object))


def read_probability(values: Any, n_rows: int, role: str = "probability") -> Array:
    """Return inclusion probabilities in (0, 1], one per row; one number stands for all rows.

    Raises
    ------
    ValueError
        If one is missing or outside, in particular zero, as under deterministic selection.
    """
    if np.ndim(values) == 0:
        values = np.full(n_rows, values)
    probability = to_float(read_column(values, role, n_rows), role)
    zero = probability == 0.0
    if zero.any():
        raise ValueError(
            f"{role} is 0 on {zero.sum():,} of {n_rows:,} rows ({first_rows(zero)}). {TOP_K} "
            "Give every row a probability above 0, or leave the rows out of the frame and of the "
            "analysis."
        )
    outside = ~((probability > 0.0) & (probability <= 1.0))
    if outside.any():
        raise ValueError(
            f"{role} lies outside (0, 1] on {outside.sum():,} of {n_rows:,} rows "
            f"({first_rows(outside)}, for example {probability[outside][0]:g})."
        )
    return probability


def read_flags(values: Any, role: str, n_rows: int) -> Flags:
    """Return flags given as booleans, or as 0 and 1."""
    flags = to_float(read_column(values, role, n_rows), role)
    other = (flags != 0.0) & (flags != 1.0)
    if other.any():
        raise ValueError(
            f"{role} must be True or False on every row; found {flags[other][0]:g} on "
            f"{other.sum():,} rows ({first_rows(other)})."
        )
    return flags == 1.0


def read_size(values: Any, n_rows: int, minimum: float | None) -> Array:
    """Return sizes that probabilities are to be proportional to, one per row.

    Raises
    ------
    ValueError
        If all are zero, or some are and no minimum probability protects them.
    """
    size = read_numbers(values, "size", n_rows)
    zero = size == 0.0
    if zero.all():
        raise ValueError("size is 0 on every row; nothing can be drawn in proportion to it.")
    if zero.any() and minimum is None:
        raise ValueError(
            f"size is 0 on {zero.sum():,} of {n_rows:,} rows ({first_rows(zero)}), so they could "
            f"never be drawn. {TOP_K} Give a minimum probability, say a tenth of n / N."
        )
    return size


def check_minimum(minimum: float | None, expected: float, n_rows: int) -> float:
    """Return the smallest probability that is allowed, 0 for no limit."""
    if minimum is None:
        return 0.0
    if not 0.0 < minimum <= 1.0:
        raise ValueError(f"minimum={minimum} must be a probability, above 0 and at most 1.")
    if minimum * n_rows > expected * (1 + 1e-12):
        raise ValueError(
            f"minimum={minimum:g} on {n_rows:,} rows adds up to {minimum * n_rows:,.1f} labels, "
            f"more than the {expected:,.6g} wanted; it can be {expected / n_rows:.3g} at most."
        )
    return float(minimum)


def check_count(n: Any, role: str) -> int:
    """Return a whole number of things to draw, at least 1."""
    if not is_whole(n) or n < 1:
        raise ValueError(f"{role}={n!r} must be a whole number of at least 1.")
    return int(n)


def by_level(values: Any, role: str, levels: Levels, of: str = "strata") -> Array:
    """Return one number per level, given as a dict or in the order of the sorted names.

    Raises
    ------
    ValueError
        If the dict leaves out a level or names one without rows, or a number is not usable.
    """
    if isinstance(values, pd.Series):
        values = values.to_dict()
    names = levels.names.tolist()
    if isinstance(values, Mapping):
        known = set(names)
        unknown = [name for name in values if name not in known]
        if unknown:
            hint = did_you_mean(unknown[0], names)
            raise ValueError(f"{role} names {unknown[0]!r}, but no row is in it.{hint}")
        left_out = [name for name in names if name not in values]
        if left_out:
            shown = ", ".join(map(repr, left_out[:5])) + (", ..." if len(left_out) > 5 else "")
            raise ValueError(
                f"{role} says nothing of {shown}; every one of the {of} needs a value."
            )
        values = [values[name] for name in names]
    numbers = np.asarray(values, dtype=float)
    if numbers.shape != (len(names),):
        raise ValueError(
            f"{role} has {numbers.size} values for {len(names)} {of}; use a dict with the names."
        )
    wrong = ~(np.isfinite(numbers) & (numbers >= 0.0))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{role} is {numbers[at]:g} for {names[at]!r}; it cannot be.")
    return numbers


def check_nested(units: Levels, strata: Levels) -> None:
    """Raise if a unit lies in two strata."""
    own = strata.codes[units.first()][units.codes]
    torn = strata.codes != own
    if torn.any():
        name = units.names[units.codes[torn][0]]
        raise ValueError(
            f"units must lie in one of the strata each, but {name!r} and others have rows in "
            f"several ({first_rows(torn)})."
        )


def constant_within(values: Array, units: Levels, role: str) -> Array:
    """Return the value of each unit, or raise if its rows differ."""
    per_unit = values[units.first()]
    differs = np.abs(values - per_unit[units.codes]) > 1e-9 * np.abs(values)
    if differs.any():
        name = units.names[units.codes[differs][0]]
        raise ValueError(
            f"{role} must be the same on all rows of a unit, but it differs in {name!r} and "
            f"others ({first_rows(differs)})."
        )
    return per_unit


def generator(random_state: Any) -> tuple[int, np.random.Generator]:
    """Return one number that repeats the draw, whatever was given, and its generator."""
    stream = seed_sequence(random_state)
    seed = stream.entropy
    if not isinstance(seed, int) or stream.spawn_key:
        seed = int.from_bytes(stream.generate_state(4).tobytes(), "little")
    return seed, np.random.default_rng(seed)


def read_unit_size(size: Any, units: Levels, n_rows: int) -> Array:
    """Return the size of each unit: its rows, a dict by unit, or a column constant within units."""
    if isinstance(size, str):
        if size != "rows":
            raise ValueError(f'size={size!r}: the only size known by name is "rows".')
        return units.sizes.astype(float)
    if isinstance(size, Mapping):
        sizes = by_level(size, "size", units, of="units")
    else:
        sizes = constant_within(read_numbers(size, "size", n_rows), units, "size")
    if not sizes.all():
        name = units.names[sizes == 0.0][0]
        raise ValueError(
            f"size is 0 for {(sizes == 0.0).sum():,} units ({name!r}, for example), so they could "
            f"never be drawn. {TOP_K}"
        )
    return sizes


def read_spread(values: Any, role: str, strata: Levels, *, squared: bool) -> Array:
    """Return one number per stratum; of one per row the mean, or the root of the mean square."""
    n_rows = len(strata.codes)
    if isinstance(values, Mapping) or np.size(values) != n_rows:
        return by_level(values, role, strata)
    power = 2.0 if squared else 1.0
    rows = read_numbers(values, role, n_rows) ** power
    means: Array = (np.bincount(strata.codes, rows) / strata.sizes) ** (1.0 / power)
    return means
