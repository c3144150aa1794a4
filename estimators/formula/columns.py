"""One column of the data behind a formula: its kind, its levels, and what it must not hold."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..validation import MAX_LEVELS

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]
Kind = Literal["number", "flag", "category"]


def rows_where(mask: Mask, index: pd.Index[Any], most: int = 3) -> str:
    """Name the first rows where a mask holds by their labels, as in ``rows 4, 8, 15, ...``.

    Unlike positions, labels still point into the data as they were before rows were dropped.
    """
    labels = index[mask]
    shown = ", ".join(map(str, labels[:most]))
    return (
        ("row " if len(labels) == 1 else "rows ") + shown + (", ..." if len(labels) > most else "")
    )


def count_rows(mask: Mask, index: pd.Index[Any]) -> str:
    """Count and name rows, as in ``2 of 100 rows (rows 4, 8)``."""
    return f"{mask.sum():,} of {len(mask):,} rows ({rows_where(mask, index)})"


def is_number(series: pd.Series[Any]) -> bool:
    """Whether a column holds numbers that are not just true or false."""
    return _kind(series) == "number"


def _kind(series: pd.Series[Any]) -> Kind | None:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_complex_dtype(series.dtype):
        return None
    if pd.api.types.is_bool_dtype(series.dtype):
        return "flag"
    if pd.api.types.is_numeric_dtype(series.dtype):
        return "number"
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred == "boolean":
        return "flag"
    if inferred in ("integer", "floating", "mixed-integer-float", "decimal"):
        return "number"
    return "category" if inferred in ("string", "mixed", "mixed-integer", "empty") else None


def whole_numbers(levels: Sequence[Hashable]) -> tuple[Hashable, ...]:
    """Return levels as integers where all are whole, so that 2001.0 is shown as 2001."""
    if all(isinstance(level, float) and level.is_integer() for level in levels):
        return tuple(int(level) for level in levels if isinstance(level, float))
    return tuple(levels)


def _plain(level: Hashable) -> Hashable:
    return level.item() if isinstance(level, np.generic) else level


# ---------------------------------------------------------------------- one column of a formula


@dataclass(frozen=True)
class Column:
    """What was learned about a column.

    Attributes
    ----------
    name : str
    kind : {"number", "flag", "category"}
    levels : tuple or None
        The values that are possible; None for any number.
    """

    name: str
    kind: Kind
    levels: tuple[Hashable, ...] | None

    @classmethod
    def learn(
        cls, series: pd.Series[Any], *, levels: Sequence[Hashable] | None, is_factor: bool
    ) -> Column:
        """Learn kind and levels of a column.

        Parameters
        ----------
        series : Series
        levels : sequence or None
            Levels that are known beforehand, whether or not they occur.
        is_factor : bool
            Whether numbers stand for categories, as in ``C(year)``.

        Raises
        ------
        ValueError
            If the column holds neither numbers nor categories, or too few or too many levels.
        """
        name = str(series.name)
        kind = _kind(series)
        if kind is None:
            raise ValueError(
                f"Column {name!r} holds {series.dtype}; a formula takes numbers, truth values, "
                "texts and categories. Turn it into one of them."
            )
        if levels is None and kind == "number" and not is_factor:
            return cls(name, kind, None)
        check_complete(series, name)
        found = _levels(series, kind) if levels is None else tuple(map(_plain, levels))
        if kind != "category" and not all(isinstance(level, int | float) for level in found):
            raise ValueError(f"Column {name!r} holds numbers, but its levels are {_list(found)}.")
        _check_levels(found, name)
        return cls(name, kind, whole_numbers(found))

    def read(self, series: pd.Series[Any]) -> Array | Mask | pd.Categorical:
        """Return the values of a column, in the kind that was learned.

        Raises
        ------
        ValueError
            If a value is missing, infinite, of another kind, or not among the levels.
        """
        check_complete(series, self.name)
        if self.kind == "category":
            return self._category(series)
        values = self._numbers(series)
        return values.astype(bool) if self.kind == "flag" else values

    def constant(self, level: int, n_rows: int) -> Array | Mask | pd.Categorical:
        """Return a column that has one of the levels on all rows."""
        levels = self.levels or ()
        if self.kind == "category":
            codes = np.full(n_rows, level)
            return pd.Categorical.from_codes(codes, categories=pd.Index(levels))
        return np.full(n_rows, levels[level], dtype=bool if self.kind == "flag" else float)

    def _numbers(self, series: pd.Series[Any]) -> Array:
        if _kind(series) not in ("number", "flag"):
            raise ValueError(
                f"Column {self.name!r} held numbers or truth values where the formula was learned; "
                f"here it holds {series.dtype}."
            )
        # float64 is left alone: to_numpy(float, na_value=...) would copy it.
        is_float = series.dtype == np.float64
        values: Array = series.to_numpy() if is_float else series.to_numpy(float, na_value=np.nan)
        infinite = ~np.isfinite(values)
        if infinite.any():
            raise ValueError(
                f"Column {self.name!r} is infinite on {count_rows(infinite, series.index)}."
            )
        if self.levels is not None or self.kind == "flag":
            known = (0.0, 1.0) if self.levels is None else self.levels
            self._check_seen(np.isin(values, np.array(known, dtype=float)), series)
        return values

    def _category(self, series: pd.Series[Any]) -> pd.Categorical:
        levels = pd.Index(self.levels or ())
        if isinstance(series.dtype, pd.CategoricalDtype):
            codes = levels.get_indexer(series.cat.categories)[series.cat.codes]
        else:
            codes = levels.get_indexer(pd.Index(series.astype(object)))  # texts of every dtype
        self._check_seen(codes >= 0, series)
        return pd.Categorical.from_codes(codes, categories=levels)

    def _check_seen(self, seen: Mask, series: pd.Series[Any]) -> None:
        if seen.all():
            return
        new = pd.unique(series[~seen]).tolist()
        found, known = _list(whole_numbers(new)), _list(self.levels or ())
        raise ValueError(
            f"Column {self.name!r} has {'the level' if len(new) == 1 else 'levels'} {found} on "
            f"{count_rows(~seen, series.index)}, not among the known levels {known}. Remove these "
            "rows, or give them one of these levels."
        )


def _list(values: Sequence[Hashable], most: int = 10) -> str:
    return ", ".join(map(repr, values[:most])) + (", ..." if len(values) > most else "")


def check_complete(series: pd.Series[Any], name: str) -> None:
    """Raise if a column has missing values, naming the rows."""
    missing = series.isna().to_numpy()
    if missing.any():
        raise ValueError(f"Column {name!r} is missing on {count_rows(missing, series.index)}.")


def _levels(series: pd.Series[Any], kind: Kind) -> tuple[Hashable, ...]:
    """Return the levels that occur: of a categorical in its own order, sorted otherwise."""
    if kind == "flag":
        return (False, True)
    found: Any = series.unique()
    if isinstance(found, pd.Categorical):
        return tuple(found.remove_unused_categories().categories.tolist())
    values = found.astype(float).tolist() if kind == "number" else found.tolist()
    try:
        return tuple(sorted(values))
    except TypeError:  # texts among numbers
        return tuple(sorted(values, key=lambda value: (type(value).__name__, str(value))))


def _check_levels(levels: tuple[Hashable, ...], name: str) -> None:
    if len(set(map(str, levels))) < len(levels):
        raise ValueError(f"Column {name!r}: two levels are written the same in {_list(levels)}.")
    if len(levels) < 2:
        raise ValueError(
            f"Column {name!r} has only one level ({_list(levels)}), which the intercept already "
            "stands for; leave it out of the formula."
        )
    if len(levels) > MAX_LEVELS:
        raise ValueError(
            f"Column {name!r} has {len(levels):,} levels, too many for indicator columns (at most "
            f"{MAX_LEVELS}). Absorb it as a fixed effect: 'y ~ x | {name}'."
        )
