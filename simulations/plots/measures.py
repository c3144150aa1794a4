"""Performance measures with their Monte Carlo intervals, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trueness.plots.style import (
    GREY,
    INK,
    colors_of,
    dress,
    legend_below,
    markers_of,
    most_lines,
    new_figure,
    panels,
    set_heading,
    words,
)

from ..performance.results import Performance
from ..performance.tables import row_labels
from .style import measure_label, neutral

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_ROWS = 60
_NOTE = "Bars are 95% Monte Carlo intervals."


def measure_plot(result: Performance, *measures: str, title: str | None = None) -> Figure:
    """Draw measures with their 95% Monte Carlo intervals: a panel each, a row per cell and term.

    Parameters
    ----------
    result : Performance
        What `performance` or `compare_methods` returned.
    *measures : str
        Measures to draw. By default bias and coverage, or the RMSE ratio of a comparison.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure
        It does not belong to pyplot: nothing to close, no backend chosen.

    Raises
    ------
    ValueError
        If a measure is unknown or NaN throughout, or there are too many cells to be read.

    Examples
    --------
    >>> import pandas as pd
    >>> from trueness.simulations.performance import performance
    >>> from trueness.simulations.plots import measure_plot
    >>> frame = pd.DataFrame({"replicate": [0, 1, 2], "method": "mean", "term": "mu"})
    >>> result = performance(frame.assign(estimate=[0.9, 1.1, 1.3], estimand=1.0))
    >>> [axes.get_xlabel() for axes in measure_plot(result, "bias", "rmse").axes]
    ['Bias', 'RMSE']
    """
    names = measures or (("rmse_ratio",) if result.reference else ("bias", "coverage"))
    frames = [result.select(name) for name in names]
    for name, frame in zip(names, frames, strict=True):
        if frame["value"].isna().all():
            raise ValueError(f"The measure {name!r} is NaN for all methods; draw another one.")
    labels = row_labels(result)
    rows = list(dict.fromkeys(labels))
    if len(rows) > _MAX_ROWS:
        raise ValueError(
            f"{len(rows)} cells and terms do not fit into one figure; summarise with by=, or use "
            "nested_loop_plot."
        )
    methods = list(dict.fromkeys(result.keys["method"]))
    width = 2.4 + 2.9 * len(names)
    row_height = max(0.3, 0.17 * len(methods) + 0.12, 0.17 * most_lines(rows) + 0.08)
    figure = new_figure(width, 1.1 + row_height * len(rows) + 0.25 * (len(methods) > 1))
    place = np.array([rows.index(label) for label in labels], dtype=float)
    axes = panels(figure, 1, len(names), sharey=True)[0]
    for ax, name, frame in zip(axes, names, frames, strict=True):
        _draw(ax, frame, place, methods)
        line = neutral(name, result.level)
        if line is not None:
            ax.axvline(line, color=GREY, lw=1.1, zorder=0.9)
        dress(ax)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(measure_label(name, result.reference), fontsize=10, color=INK)
    axes[0].set_yticks(range(len(rows)), [words(row) for row in rows])
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    for ax in axes:
        ax.tick_params(axis="y", length=0)
    set_heading(figure, title)
    legend_below(figure, _handles(methods) if len(methods) > 1 else [], width, _NOTE)
    return figure


def _draw(ax: Axes, frame: pd.DataFrame, place: Any, methods: list[str]) -> None:
    """Draw one measure: the methods of a row below each other."""
    colors, markers = colors_of(methods), markers_of(methods)
    step = min(0.22, 0.8 / len(methods))
    for number, method in enumerate(methods):
        own = (frame["method"] == method).to_numpy(bool)
        rows = frame[own]
        y = place[own] + step * (number - (len(methods) - 1) / 2)
        ax.hlines(y, rows["mc_low"], rows["mc_high"], color=colors[method], lw=1.6)
        ax.plot(rows["value"], y, markers[method], color=colors[method], **_POINT)
    if len(methods) > 1:
        for boundary in np.arange(1, place.max() + 1) - 0.5:
            ax.axhline(boundary, color="#DDDDDD", lw=0.8, zorder=0.5)


_POINT: dict[str, Any] = {
    "markersize": 6.5,
    "markeredgecolor": "white",
    "markeredgewidth": 0.7,
    "linestyle": "none",
    "zorder": 3,
}


def _handles(methods: list[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    colors, markers = colors_of(methods), markers_of(methods)
    options = {key: value for key, value in _POINT.items() if key != "linestyle"}
    return [
        Line2D([], [], color=colors[m], marker=markers[m], lw=1.6, label=words(str(m)), **options)
        for m in methods
    ]
