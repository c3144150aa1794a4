"""Tables of performance in four formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trueness.tables.markup import Cell, Row, Style, Table, to_html, to_latex, to_markdown
from trueness.tables.plaintext import to_text
from trueness.tables.rounding import NumberFormat, number_format
from trueness.validation import did_you_mean

if TYPE_CHECKING:
    from .results import Performance

#: What measures are called in headings and on axes.
LABELS = {
    "mean_estimate": "Mean estimate",
    "bias": "Bias",
    "relative_bias": "Relative bias",
    "median_bias": "Median bias",
    "empirical_se": "Emp. SE",
    "mad_se": "MAD SE",
    "model_se": "Model SE",
    "median_se": "Median SE",
    "se_ratio": "SE ratio",
    "mse": "MSE",
    "rmse": "RMSE",
    "coverage": "Coverage",
    "bias_eliminated_coverage": "Bias-elim. coverage",
    "rejection_rate": "Rejection",
    "mean_width": "Mean width",
    "failures": "Failures",
    "nonconverged": "Not converged",
    "bias_difference": "Bias difference",
    "empirical_se_ratio": "Emp. SE ratio",
    "mse_ratio": "MSE ratio",
    "rmse_ratio": "RMSE ratio",
    "coverage_difference": "Coverage difference",
    "rejection_difference": "Rejection difference",
    "width_ratio": "Width ratio",
}
_USUAL = (
    *("bias", "empirical_se", "se_ratio", "rmse", "coverage", "rejection_rate"),
    *("failures", "nonconverged"),
    *("bias_difference", "empirical_se_ratio", "rmse_ratio", "coverage_difference", "width_ratio"),
)
_TROUBLE = ("failures", "nonconverged")
_STYLES = {"text": to_text, "html": to_html, "latex": to_latex, "markdown": to_markdown}


def render(result: Performance, style: Style, measures: Sequence[str] | str | None) -> str:
    """Write a table; see `Performance.render`."""
    if style not in _STYLES:
        raise ValueError(f"style={style!r} is unknown; choose one of {', '.join(_STYLES)}.")
    return _STYLES[style](performance_table(result, _choose(result, measures)))


def _choose(result: Performance, measures: Sequence[str] | str | None) -> list[str]:
    """Return the measures to show; those that are NaN or zero throughout only if asked for."""
    if measures is None:
        return [name for name in _USUAL if name in result.measures and _is_telling(result, name)]
    if isinstance(measures, str):
        measures = result.measures if measures == "all" else [measures]
    for name in measures:
        if name not in result.measures:
            raise ValueError(f"There is no measure {name!r}.{did_you_mean(name, result.measures)}")
    return list(measures)


def _is_telling(result: Performance, name: str) -> bool:
    values = result.select(name)["value"].to_numpy(float)
    if name in _TROUBLE:
        return bool((values > 0).any())
    return not bool(np.isnan(values).all())


@dataclass(frozen=True)
class _Layout:
    """Labels of the groups, and which of them head blocks of rows.

    Attributes
    ----------
    stub : str
        What the labels of the rows are.
    outer, inner : ndarray of shape (n_groups,)
        Heading of the block of each group, empty if there is one block, and label of its row.
    shared : dict of str to str
        What all groups have in common.
    """

    stub: str
    outer: NDArray[np.object_]
    inner: NDArray[np.object_]
    shared: dict[str, str]


def performance_table(result: Performance, measures: Sequence[str]) -> Table:
    """Build the table of a performance: a block of rows for each cell and term."""
    keys = result.keys
    layout = _lay_out(keys, result.parameters)
    chosen = {name: result.select(name) for name in measures}
    formats = {name: _format(rows) for name, rows in chosen.items()}
    groups = []
    for heading in dict.fromkeys(layout.outer):
        empty = tuple(Cell() for _ in measures)
        rows = [Row(heading, (empty,))] if heading else []
        for place in np.flatnonzero(layout.outer == heading):
            cells = [_cells(chosen[name].iloc[place], formats[name]) for name in measures]
            rows.append(Row(layout.inner[place], tuple(zip(*cells, strict=True))))
        groups.append(tuple(rows))
    return Table(
        title=_title(result),
        facts=(*layout.shared.items(), ("Replicates", _range(keys["n_replicates"]))),
        stub=layout.stub,
        columns=tuple(LABELS[name] for name in measures),
        groups=tuple(groups),
        notes=_notes(result, measures),
    )


def _lay_out(keys: pd.DataFrame, parameters: Sequence[str]) -> _Layout:
    varying = [name for name in parameters if keys[name].nunique(dropna=False) > 1]
    labels = {
        "Cell": cell_labels(keys, varying),
        "Term": keys["term"].astype(str).to_numpy(object),
        "Method": keys["method"].astype(str).to_numpy(object),
    }
    # The innermost label is what readers compare; what all rows share stands above the table.
    several = [name for name, texts in labels.items() if len(set(texts)) > 1] or ["Method"]
    *outer, stub = several
    fixed = {name: value_text(keys[name].iloc[0]) for name in parameters if name not in varying}
    single = {name: labels[name][0] for name in ("Term", "Method") if name not in several}
    headings = [", ".join(parts) for parts in zip(*(labels[name] for name in outer), strict=True)]
    return _Layout(
        stub=stub,
        outer=np.array(headings or [""] * len(keys), dtype=object),
        inner=labels[stub],
        shared=fixed | {name: text for name, text in single.items() if text},
    )


def row_labels(result: Performance) -> NDArray[np.object_]:
    """Describe cell and term of each group, as far as they differ between groups."""
    keys = result.keys
    varying = [name for name in result.parameters if keys[name].nunique(dropna=False) > 1]
    cells, terms = cell_labels(keys, varying), keys["term"].astype(str).to_numpy(object)
    if len(set(terms)) == 1 and varying:
        return cells
    return np.array([", ".join(filter(None, pair)) for pair in zip(cells, terms, strict=True)])


def cell_labels(keys: pd.DataFrame, parameters: Sequence[str]) -> NDArray[np.object_]:
    """Describe cells of the grid, as in ``n = 100, rho = 0.5``."""
    texts = [[f"{name} = {value_text(value)}" for value in keys[name]] for name in parameters]
    joined = [", ".join(parts) for parts in zip(*texts, strict=True)]
    return np.array(joined or [""] * len(keys), dtype=object)


def value_text(value: Any) -> str:
    """Write the value of a parameter, floats no longer than six digits."""
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def _format(rows: pd.DataFrame) -> NumberFormat:
    """Choose decimals such that the smallest Monte Carlo error shows two digits."""
    values, errors = (rows[name].to_numpy(float) for name in ("value", "mcse"))
    finite = np.abs(values[np.isfinite(values)])
    # Constant estimates have errors of the size of rounding, which say nothing.
    meaningful = errors[errors > 1e-9 * finite.max(initial=0.0)]
    return number_format(values, meaningful, 1)


def _cells(row: Any, write: NumberFormat) -> tuple[Cell, Cell]:
    """Return the value and, below, its Monte Carlo standard error."""
    if np.isnan(row["value"]):
        return Cell("n/a", "numeric"), Cell()
    error = "n/a" if np.isnan(row["mcse"]) else write(row["mcse"])
    return _number(write(row["value"])), _number(f"({error})")


def _number(text: str) -> Cell:
    aligned = any(map(str.isdigit, text)) and "e" not in text
    return Cell(text, "decimal" if aligned else "numeric")


def _range(counts: pd.Series[Any]) -> str:
    low, high = counts.min(), counts.max()
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _title(result: Performance) -> str:
    if result.reference is None:
        return "Performance over replicates"
    return f"Comparison with {result.reference} on the same data"


def _notes(result: Performance, measures: Sequence[str]) -> tuple[str, ...]:
    notes = ["Monte Carlo standard errors in parentheses."]
    if any("coverage" in name for name in measures):
        notes.append(f"Nominal coverage {100 * result.level:g}%.")
    if any("rejection" in name for name in measures):
        notes.append(f"Rejection where p ≤ {result.alpha:g}.")
    if result.reference is not None:
        notes.append(f"Differences are method minus {result.reference}, ratios method over it.")
    return tuple(notes)
