"""Reading the frame of a simulation study: which columns say what, which rows belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trueness.validation import did_you_mean, select_columns, to_pandas

from .groups import Array, Codes, Groups, Mask
from .measures import Replicates

#: Columns of the frame of a study; every other column is a parameter of its grid.
FRAME_COLUMNS = (
    *("replicate", "method", "term", "estimate", "std_error", "statistic", "p_value"),
    *("conf_low", "conf_high", "df", "estimand", "converged", "warnings", "error"),
    *("seconds", "seed"),
)
#: Columns of tables of performance, which no parameter of a grid can be named after.
RESULT_COLUMNS = ("measure", "value", "mcse", "mc_low", "mc_high", "n_used", "n_replicates")
_REQUIRED = ("replicate", "method", "term", "estimate")
_NUMBERS = ("estimate", "estimand", "std_error", "conf_low", "conf_high", "p_value")


@dataclass(frozen=True)
class Study:
    """The rows of a study and how they are grouped.

    Attributes
    ----------
    keys : DataFrame
        One row per group: parameters of the grid, method, term.
    codes : ndarray of shape (n_rows,)
        Group of each row; -1 where a method failed before it came to terms.
    occasions : ndarray of shape (n_rows,)
        Cell x replicate x term: rows with the same number estimate the same from the same data.
    numbers : dict of str to ndarray
        Estimate, estimand, std_error, conf_low, conf_high and p_value of each row.
    converged : ndarray of shape (n_rows,)
        Where the method does not say that it did not converge.
    usable : ndarray of shape (n_rows,)
        Where there is an estimate that counts.
    n_replicates : ndarray of shape (n_groups,)
        Replicates in which the method of the group was tried.
    """

    keys: pd.DataFrame
    codes: Codes
    occasions: Codes
    numbers: dict[str, Array]
    converged: Mask
    usable: Mask
    n_replicates: Array

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the parameters of the grid that tell groups apart."""
        return tuple(self.keys.columns[:-2])

    def replicates(self, rows: Mask | Codes) -> Replicates:
        """Return the numbers of some rows with their groups."""
        groups = Groups(self.codes[rows], len(self.keys))
        return Replicates(groups, **{name: self.numbers[name][rows] for name in _NUMBERS})


def read_study(
    frame: Any, by: Sequence[str] | str | None = None, converged_only: bool = False
) -> Study:
    """Check the frame of a study and group its rows.

    Parameters
    ----------
    frame : DataFrame
        One row per cell x replicate x method x term, of any kind that narwhals reads.
    by : sequence of str or str, default=None
        Parameters of the grid that tell groups apart; all if None.
    converged_only : bool, default=False
        Do not count estimates that did not converge.

    Raises
    ------
    TypeError
        If frame is no data frame.
    ValueError
        If a column is missing, repeated, reserved or of the wrong kind, if rows repeat, or if an
        estimand is known in some replicates only.
    """
    table = to_pandas(frame)
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"frame is a {type(frame).__name__}; pass the data frame of a study.")
    grid = grid_columns(table)
    parameters = _choose(by, grid)
    select_columns(table, _REQUIRED, "frame")
    if table.empty:
        raise ValueError("frame has no rows; run the study first.")
    numbers = {name: _numbers(table, name) for name in _NUMBERS}
    converged = _converged(table)
    known = np.isfinite(numbers["estimate"])

    cell, method, term = (_codes(table, names) for names in (parameters, ["method"], ["term"]))
    sample = _codes(table, [*grid, "replicate"])
    occasion, trial = _pair(sample, term), _pair(sample, method)
    _check_repeats(table, _pair(occasion, method), [*grid, "replicate", "method", "term"])

    attempt = cell * (method.max() + 1) + method
    codes, groups = _group(attempt, method, term, known | (table["term"] != "").to_numpy(bool))
    places = {name: groups[name].to_numpy() for name in groups}
    keys = _rows_of(table[parameters], cell, places["attempt"] // (method.max() + 1))
    keys["method"] = _rows_of(table["method"], method, places["attempt"] % (method.max() + 1))
    keys["term"] = _rows_of(table["term"], term, places["term"])
    study = Study(
        keys=keys,
        codes=codes,
        occasions=occasion,
        numbers=numbers,
        converged=converged,
        usable=known & (converged | (not converged_only)),
        n_replicates=np.bincount(attempt[_first_rows(trial)])[places["attempt"]].astype(float),
    )
    _check_estimands(study)
    return study


def grid_columns(frame: pd.DataFrame) -> list[str]:
    """Return the parameters of the grid: the columns that have no other meaning.

    Raises
    ------
    ValueError
        If a column appears twice or a parameter has a reserved name.
    """
    if twice := frame.columns[frame.columns.duplicated()].tolist():
        raise ValueError(f"frame: the columns {twice} appear more than once; rename one of each.")
    grid = [name for name in frame.columns if name not in FRAME_COLUMNS]
    if taken := [name for name in grid if name in RESULT_COLUMNS]:
        raise ValueError(
            f"frame: {taken} cannot be parameters of the grid, because tables of performance have "
            f"columns of these names: {', '.join(RESULT_COLUMNS)}. Rename them."
        )
    return grid


def _choose(by: Sequence[str] | str | None, grid: Sequence[str]) -> list[str]:
    """Return the parameters that tell groups apart; method and term always do."""
    if by is None:
        return list(grid)
    chosen = [by] if isinstance(by, str) else list(dict.fromkeys(by))
    chosen = [name for name in chosen if name not in ("method", "term")]
    for name in chosen:
        if name not in grid:
            hint = did_you_mean(name, grid) if grid else " The study has one cell."
            raise ValueError(f"by: {name!r} is no parameter of the grid.{hint}")
    return chosen


def _numbers(table: pd.DataFrame, name: str) -> Array:
    """Return a column as floats, all NaN where the frame does not have it."""
    if name not in table.columns:
        return np.full(len(table), np.nan)
    column = table[name]
    try:
        is_number = pd.api.types.is_numeric_dtype(column)
        if not is_number and any(isinstance(value, str) for value in column):
            raise ValueError  # text that looks like a number would pass otherwise
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(
            f"frame: column {name!r} must hold numbers, or nothing where there is none."
        ) from None


def _converged(table: pd.DataFrame) -> Mask:
    if "converged" not in table.columns:
        return np.ones(len(table), dtype=np.bool_)
    try:
        return table["converged"].astype("boolean").fillna(True).to_numpy(np.bool_)
    except (TypeError, ValueError):
        raise ValueError("frame: column 'converged' must hold true or false.") from None


# ----------------------------------------------------------------------------------- numbering


def _codes(table: pd.DataFrame, names: Sequence[str]) -> Codes:
    """Give rows numbers by what they hold in some columns, in order of appearance."""
    codes: Codes = np.zeros(len(table), dtype=np.intp)
    for name in names:
        try:
            own, _ = pd.factorize(table[name], use_na_sentinel=False)
        except TypeError:
            raise ValueError(
                f"frame: column {name!r} holds lists or other objects that cannot be compared; "
                "put numbers or names in their place."
            ) from None
        codes = _pair(codes, own)
    return codes


def _pair(first: Codes, second: Codes) -> Codes:
    """Give pairs of codes numbers, in order of appearance."""
    return pd.factorize(first * (second.max(initial=0) + 1) + second)[0]


def _first_rows(codes: Codes) -> Codes:
    """Return the row in which each code appears first, by code."""
    return np.flatnonzero(~pd.Series(codes).duplicated().to_numpy())


def _rows_of(values: Any, codes: Codes, wanted: Codes) -> Any:
    """Return the values that stand in the rows of the wanted codes."""
    return values.iloc[_first_rows(codes)[wanted]].reset_index(drop=True)


def _group(attempt: Codes, method: Codes, term: Codes, named: Mask) -> tuple[Codes, pd.DataFrame]:
    """Give groups numbers by cell, method and term.

    An attempt is a pair of cell and method. Rows of failures have no term; a method that failed
    throughout a cell keeps the terms that it has in other cells, so that the failures show.

    Returns
    -------
    codes : ndarray of shape (n_rows,)
        Group of each row, -1 where it has no term.
    groups : DataFrame
        Codes of attempt and term of each group.
    """
    rows = pd.DataFrame({"attempt": attempt, "method": method, "term": term})
    groups = rows[named].drop_duplicates()
    silent = rows[~rows["attempt"].isin(groups["attempt"])].drop_duplicates()
    elsewhere = groups[["method", "term"]].drop_duplicates()
    silent = silent.merge(elsewhere, on="method", how="left", suffixes=("", "_elsewhere"))
    silent["term"] = silent["term_elsewhere"].fillna(silent["term"]).astype(np.intp)
    groups = pd.concat([groups, silent])[["attempt", "term"]].sort_values(["attempt", "term"])
    n_terms = term.max() + 1
    keys = (groups["attempt"] * n_terms + groups["term"]).to_numpy()
    codes = np.searchsorted(keys, attempt * n_terms + term)
    return np.where(named, codes, -1), groups.reset_index(drop=True)


# -------------------------------------------------------------------------------------- checks


def _check_repeats(table: pd.DataFrame, codes: Codes, names: Sequence[str]) -> None:
    repeated = pd.Series(codes).duplicated().to_numpy()
    if repeated.any():
        row = table.iloc[int(np.flatnonzero(repeated)[0])]
        what = ", ".join(f"{name}={row[name]!r}" for name in names)
        raise ValueError(
            f"frame: {repeated.sum()} rows repeat another row, the first at {what}. Name every "
            "parameter that tells them apart in a column of its own."
        )


def _check_estimands(study: Study) -> None:
    data = study.replicates(study.usable)
    share = data.groups.mean(~np.isnan(data.estimand))
    partly = np.flatnonzero((share > 0) & (share < 1))
    if len(partly):
        row = study.keys.iloc[partly[0]]
        raise ValueError(
            f"frame: the estimand of term {row['term']!r}, method {row['method']!r}, is known in "
            f"{100 * share[partly[0]]:.0f}% of the replicates only; give it in all or in none."
        )
