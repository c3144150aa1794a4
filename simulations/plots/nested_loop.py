"""Nested-loop plot: one measure over the whole grid of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trueness.plots.style import (
    GREY,
    INK,
    colors_of,
    dress,
    legend_below,
    new_figure,
    panels,
    set_heading,
    words,
)
from trueness.validation import did_you_mean

from ..performance.results import Performance
from ..performance.tables import value_text
from .style import check_panels, measure_label, neutral, sorted_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 8.5
_NOTE = "Bands are 95% Monte Carlo intervals."
_DASHES = ("-", (0, (5, 1.2)), (0, (1.5, 1.2)), (0, (5, 1.2, 1.2, 1.2)))


def nested_loop_plot(
    result: Performance,
    measure: str = "rmse",
    *,
    order: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw one measure as a step function over all cells of the grid, in nested order.

    The lower part shows the values of the parameters, each by a step function of its own: the
    first one changes slowest. Bands are 95% Monte Carlo intervals.

    Parameters
    ----------
    result : Performance
        What `performance` or `compare_methods` returned.
    measure : str, default="rmse"
        Measure to draw.
    order : sequence of str, default=None
        Parameters from the slowest to the fastest; others follow. The order of the grid if None.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure
        A panel for each term, and the parameters below.

    Raises
    ------
    ValueError
        If a measure or parameter is unknown, or no parameter varies.

    References
    ----------
    .. [1] Rücker, G. and Schwarzer, G. (2014). Presenting simulation results in a nested loop
       plot. BMC Medical Research Methodology 14, 129. :doi:`10.1186/1471-2288-14-129`

    Examples
    --------
    >>> import pandas as pd
    >>> from trueness.simulations.performance import performance
    >>> from trueness.simulations.plots import nested_loop_plot
    >>> frame = pd.DataFrame({"replicate": [0, 1, 0, 1], "n": [10, 10, 20, 20]})
    >>> frame = frame.assign(method="mean", term="mu", estimate=[0.8, 1.2, 0.9, 1.0], estimand=1.0)
    >>> nested_loop_plot(performance(frame), "rmse").axes[0].get_ylabel()
    'RMSE'
    """
    frame = result.select(measure)
    levels = _levels(frame, result.parameters, order)
    cells = _sort_cells(frame, levels)
    frame = frame.merge(cells, on=list(levels), how="left")
    terms = list(dict.fromkeys(frame["term"]))
    check_panels(len(terms), "filter the frame of the study to fewer terms")
    methods = list(dict.fromkeys(frame["method"]))
    below = 0.25 + 0.42 * len(levels)
    figure = new_figure(_WIDTH, 2.5 * len(terms) + below + 0.5)
    heights = [2.4] * len(terms) + [below]
    axes = panels(figure, len(heights), 1, height_ratios=heights, sharex=True)[:, 0]
    for ax, term in zip(axes, terms, strict=False):
        _draw(ax, frame[frame["term"] == term], methods, len(cells))
        line = neutral(measure, result.level)
        if line is not None:
            ax.axhline(line, color=GREY, lw=1.1, zorder=0.9)
        dress(ax, "y")
        ax.tick_params(axis="x", length=0, labelbottom=False)
        ax.spines["bottom"].set_visible(False)
        ax.set_ylabel(words(measure_label(measure, result.reference), 22), fontsize=10, color=INK)
        if len(terms) > 1:
            ax.set_title(words(str(term)), loc="left", fontsize=10, color=INK)
    _draw_parameters(axes[-1], cells, levels)
    axes[-1].set_xlim(0, len(cells))
    set_heading(figure, title)
    legend_below(figure, _handles(methods) if len(methods) > 1 else [], _WIDTH, _NOTE)
    return figure


def _levels(
    frame: pd.DataFrame, parameters: Sequence[str], order: Sequence[str] | None
) -> dict[str, list[Any]]:
    """Return the values of every parameter that varies, slowest parameter first."""
    levels = {name: sorted_levels(frame[name]) for name in parameters}
    for name in order or ():
        if name not in levels:
            raise ValueError(f"order: no parameter is named {name!r}.{did_you_mean(name, levels)}")
    varying = {name: levels[name] for name in dict.fromkeys([*(order or ()), *parameters])}
    varying = {name: values for name, values in varying.items() if len(values) > 1}
    if not varying:
        raise ValueError("No parameter of the grid varies; use measure_plot.")
    return varying


def _sort_cells(frame: pd.DataFrame, levels: dict[str, list[Any]]) -> pd.DataFrame:
    """Return the cells in nested order, numbered by the column ``_place``."""
    cells = frame[list(levels)].drop_duplicates()
    ranks = pd.DataFrame(
        {name: pd.Categorical(cells[name], values).codes for name, values in levels.items()}
    )
    cells = cells.iloc[np.lexsort(ranks.to_numpy().T[::-1])].reset_index(drop=True)
    return cells.assign(_place=np.arange(len(cells)))


def _draw(ax: Axes, frame: pd.DataFrame, methods: list[str], n_cells: int) -> None:
    colors = colors_of(methods)
    edges = np.arange(n_cells + 1)
    for number, method in enumerate(methods):
        rows = frame[frame["method"] == method].set_index("_place").reindex(range(n_cells))
        value, low, high = (rows[name].to_numpy(float) for name in ("value", "mc_low", "mc_high"))
        band: dict[str, Any] = {"color": colors[method], "alpha": 0.15, "lw": 0}
        ax.fill_between(edges, _closed(low), _closed(high), step="post", **band)
        style = _DASHES[number % len(_DASHES)]
        ax.step(edges, _closed(value), where="post", color=colors[method], lw=1.6, ls=style)


def _closed(values: Any) -> Any:
    """Repeat the last value, so that the last step has a width."""
    return np.append(values, values[-1])


def _draw_parameters(ax: Axes, cells: pd.DataFrame, levels: dict[str, list[Any]]) -> None:
    """Draw the parameters as step functions above each other, with their values beside them."""
    edges = np.arange(len(cells) + 1)
    for row, (name, values) in enumerate(levels.items()):
        ranks = pd.Categorical(cells[name], values).codes / max(len(values) - 1, 1)
        base = -float(row)
        ax.step(edges, base + 0.5 * _closed(ranks), where="post", color=INK, lw=1.1)
        texts = ", ".join(value_text(value) for value in values)
        label: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 9, "color": INK}
        place = ax.get_yaxis_transform()
        ax.text(-0.01, base + 0.25, words(f"{name}: {texts}", 24), transform=place, **label)
    ax.set_ylim(-len(levels) + 0.8, 0.7)
    ax.set_yticks([])
    ax.set_xticks([])
    ax.spines[:].set_visible(False)
    ax.set_xlabel(f"{len(cells)} cells of the grid", fontsize=9, color=INK)


def _handles(methods: list[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=color, lw=1.6, ls=_DASHES[i % len(_DASHES)], label=words(str(method)))
        for i, (method, color) in enumerate(colors_of(methods).items())
    ]
