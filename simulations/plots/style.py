"""What all figures of simulation studies share: colours, words, layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from trueness.plots.forest import _COLORS, _INK, _MARKERS, _PALE, _escaped
from trueness.tables.markup import wrap

from ..performance.tables import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of the forest plots.
INK, PALE = _INK, _PALE
GREY, GRID = "#808080", "#EBEBEB"
MAX_PANELS = 24


def words(text: str, width: int = 28) -> str:
    """Break a label over lines; dollars in names make no formula."""
    return "\n".join(map(_escaped, wrap(text, width)))


def most_lines(labels: Iterable[str], width: int = 28) -> int:
    """Return the number of lines of the label that has the most."""
    return max(words(label, width).count("\n") + 1 for label in labels)


def measure_label(name: str, reference: str | None = None) -> str:
    """Return what a measure is called on an axis."""
    label = LABELS[name]
    if reference is None:
        return label
    return f"{label} ({'to' if 'ratio' in name else 'from'} {reference})"


def neutral(name: str, level: float) -> float | None:
    """Return the value that a measure has for a perfect method, if there is one."""
    if name in ("coverage", "bias_eliminated_coverage"):
        return level
    if "ratio" in name:
        return 1.0
    return 0.0 if "bias" in name or "difference" in name else None


def colors_of(methods: Sequence[str]) -> dict[str, str]:
    """Return a colour for each method; they repeat after the sixth."""
    return dict(zip(methods, islice(cycle(_COLORS), len(methods)), strict=True))


def markers_of(methods: Sequence[str]) -> dict[str, str]:
    """Return a marker for each method."""
    return dict(zip(methods, islice(cycle(_MARKERS), len(methods)), strict=True))


def new_figure(width: float, height: float) -> Figure:
    """Return a figure that does not belong to pyplot."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from trueness.plots.figure import NotebookFigure

    layout = ConstrainedLayoutEngine(wspace=0.04, hspace=0.06)
    return NotebookFigure(figsize=(width, height), layout=layout)


def panels(figure: Figure, n_rows: int, n_columns: int, **options: Any) -> Any:
    """Return a grid of axes as a two-dimensional array."""
    return figure.subplots(n_rows, n_columns, squeeze=False, **options)


def dress(ax: Axes, grid: Literal["x", "y"] = "x") -> None:
    """Give an axis ticks that read well and as little ink as possible."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    axis = ax.xaxis if grid == "x" else ax.yaxis
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axis.set_major_formatter(ScalarFormatter(useOffset=False, useMathText=True))
    ax.tick_params(labelsize=9, color=PALE, labelcolor=INK)
    ax.grid(axis=grid, color=GRID, lw=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(PALE)


def check_panels(n_panels: int, advice: str) -> None:
    """Raise if a figure would have more panels than anybody can read."""
    if n_panels > MAX_PANELS:
        raise ValueError(f"The figure would have {n_panels} panels; {advice}.")


def robust_limits(values: Iterable[Any]) -> tuple[float, float]:
    """Return limits of an axis that a few wild values do not stretch, with zero width avoided."""
    x = np.concatenate([np.asarray(each, float) for each in values])
    x = x[np.isfinite(x)]
    if not len(x):
        return -1.0, 1.0
    low, high = np.quantile(x, [0.005, 0.995])
    reach = (high - low) or abs(high) or 1.0
    low, high = max(x.min(), low - 0.5 * reach), min(x.max(), high + 0.5 * reach)
    margin = 0.04 * ((high - low) or reach)
    return float(low - margin), float(high + margin)


def set_heading(figure: Figure, title: str | None) -> None:
    """Put a heading over the figure, if there is one."""
    if title:
        n_characters = int(9 * figure.get_figwidth())
        figure.suptitle(words(title, n_characters), color=INK, fontsize=12)


def legend_below(figure: Figure, handles: Sequence[Any], width: float, note: str) -> None:
    """Put a legend with a note under the figure, in as many columns as fit, or the note alone."""
    if not handles:
        figure.supxlabel(note, fontsize=9, color=INK)
        return
    longest = max(len(line) for h in handles for line in str(h.get_label()).split("\n"))
    n_columns = max(1, min(len(handles), int(width * 11) // (longest + 7)))
    options: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": 9}
    options |= {"title": note, "title_fontsize": 9}
    figure.legend(handles=list(handles), ncols=n_columns, **options)


def sorted_levels(values: pd.Series[Any]) -> list[Any]:
    """Return the values of a parameter, numbers by size and others in order of appearance."""
    levels = values.drop_duplicates().tolist()
    if all(isinstance(level, int | float | np.number) for level in levels):
        return sorted(levels)
    return levels
