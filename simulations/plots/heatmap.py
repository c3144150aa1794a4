"""Heat maps of ratios between methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trueness.plots.style import INK, most_lines, new_figure, panels, set_heading, words
from trueness.validation import did_you_mean

from ..performance.results import Performance
from ..performance.tables import cell_labels, value_text
from .style import check_panels, measure_label, sorted_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BETTER, _WORSE, _EMPTY = "#0072B2", "#D55E00", "#F0F0F0"
_X_LABEL, _Y_LABEL = 14, 20  # characters per line of the labels of levels


def ratio_heatmap(
    result: Performance,
    measure: str = "rmse_ratio",
    *,
    x: str | None = None,
    y: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the ratio of each method to the reference over two parameters of the grid.

    Colours are symmetric on the logarithmic scale: blue below one, orange above. Ratios whose 95%
    Monte Carlo interval leaves out one are bold.

    Parameters
    ----------
    result : Performance
        What `compare_methods` returned.
    measure : str, default="rmse_ratio"
        A ratio: rmse_ratio, mse_ratio, empirical_se_ratio or width_ratio.
    x, y : str, default=None
        Parameters on the axes, or "term"; those with the most values if None.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure
        A panel for each method, and for each combination of the other parameters.

    Raises
    ------
    ValueError
        If the measure is no ratio of a comparison, a parameter is unknown, or there are too many
        panels to be read.

    Examples
    --------
    >>> import pandas as pd
    >>> from trueness.simulations.performance import compare_methods
    >>> from trueness.simulations.plots import ratio_heatmap
    >>> mean = pd.DataFrame({"replicate": [0, 1, 0, 1], "n": [10, 10, 20, 20]})
    >>> mean = mean.assign(method="mean", estimate=[0.8, 1.2, 0.9, 1.0], term="mu", estimand=1.0)
    >>> median = mean.assign(method="median", estimate=[0.7, 1.1, 0.8, 1.1])
    >>> figure = ratio_heatmap(compare_methods(pd.concat([mean, median]), "mean"))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.12', '2.24']
    """
    if result.reference is None or not measure.endswith("_ratio"):
        raise ValueError(
            f"{measure!r} of this table is no ratio of methods; pass what compare_methods returned "
            "and one of its ratios, such as 'rmse_ratio'."
        )
    frame = result.select(measure)
    if frame["value"].isna().all():
        raise ValueError(f"The measure {measure!r} is NaN for all methods; draw another one.")
    x, y = _axes(frame, result.parameters, x, y)
    rest = [name for name in [*result.parameters, "term"] if name not in (x, y)]
    rest = [name for name in rest if frame[name].nunique(dropna=False) > 1]
    facets = cell_labels(frame, rest)
    rows = list(dict.fromkeys(facets))
    methods = list(dict.fromkeys(frame["method"]))
    check_panels(len(rows) * len(methods), "summarise with by=, or filter the frame of the study")
    levels = sorted_levels(frame[x]), [""] if y is None else sorted_levels(frame[y])
    largest = np.nanmax(np.abs(np.log(frame["value"].to_numpy(float))), initial=np.log(1.05))

    labels = [[value_text(level) for level in each] for each in levels]
    cell_width = max(0.55, 0.085 * min(max(map(len, labels[0])), _X_LABEL) + 0.15)
    width = 2.0 + max(1.7, cell_width * len(levels[0]) + 0.3) * len(methods)
    level_height = max(0.36, 0.16 * most_lines(labels[1], _Y_LABEL) + 0.1)
    row_height = max(level_height * len(levels[1]) + 0.2, 0.17 * most_lines(rows) + 0.1)
    outside = 0.16 * (most_lines(labels[0], _X_LABEL) + most_lines(map(str, methods)) - 2)
    height = max(2.0, 1.2 + row_height * len(rows)) + outside + 0.3 * (title is not None)
    figure = new_figure(width + 1.4 * (len(rows) > 1), height)
    axes = panels(figure, len(rows), len(methods), sharex=True, sharey=True)
    for i, row in enumerate(rows):
        for ax, method in zip(axes[i], methods, strict=True):
            own = (facets == row) & (frame["method"] == method).to_numpy(bool)
            _draw(ax, frame[own], (x, y), levels, largest)
        beside: dict[str, Any] = {"rotation": 0, "ha": "right", "va": "center", "labelpad": 12}
        axes[i, 0].set_ylabel(words(row), fontsize=9, color=INK, **beside)
    for ax, method in zip(axes[0], methods, strict=True):
        ax.set_title(words(str(method)), loc="left", fontsize=10, color=INK)
    figure.supxlabel(words(x), fontsize=10, color=INK)
    if y is not None:
        figure.supylabel(words(y), fontsize=10, color=INK)
    _color_bar(figure, axes, largest, measure_label(measure, result.reference))
    set_heading(figure, title)
    return figure


def _axes(
    frame: pd.DataFrame, parameters: tuple[str, ...], x: str | None, y: str | None
) -> tuple[str, str | None]:
    """Choose the axes: what was asked for, and then what has the most values."""
    names = [*parameters, "term"]
    for role, name in (("x", x), ("y", y)):
        if name is not None and name not in names:
            raise ValueError(f"{role}: no parameter is named {name!r}.{did_you_mean(name, names)}")
    if x is not None and x == y:
        raise ValueError(f"x and y are both {x!r}; choose two parameters.")
    counts = {name: frame[name].nunique(dropna=False) for name in names if name not in (x, y)}
    free = sorted(counts, key=lambda name: -counts[name])
    free = [name for name in free if counts[name] > 1] or free[:1]
    x = free.pop(0) if x is None else x
    return x, (free.pop(0) if y is None and free else y)


def _draw(
    ax: Axes,
    frame: pd.DataFrame,
    names: tuple[str, str | None],
    levels: tuple[list[Any], list[Any]],
    largest: float,
) -> None:
    """Draw the ratios of one method with their numbers."""
    x, y = names
    columns = pd.Categorical(frame[x], levels[0]).codes
    rows = np.zeros(len(frame), int) if y is None else pd.Categorical(frame[y], levels[1]).codes
    ratio = np.full((len(levels[1]), len(levels[0])), np.nan)
    ratio[rows, columns] = frame["value"]
    ax.imshow(np.log(ratio), cmap=_color_map(), vmin=-largest, vmax=largest, aspect="auto")
    for row, column, record in zip(rows, columns, frame.itertuples(), strict=True):
        entry: Any = record
        strong = abs(np.log(entry.value)) > 0.6 * largest
        certain = entry.mc_low > 1 or entry.mc_high < 1
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9}
        look |= {"color": "white" if strong else INK, "weight": "bold" if certain else "normal"}
        ax.text(int(column), int(row), _ratio_text(entry.value), **look)
    ax.set_xticks(
        range(len(levels[0])), [words(value_text(level), _X_LABEL) for level in levels[0]]
    )
    ax.set_yticks(
        range(len(levels[1])), [words(value_text(level), _Y_LABEL) for level in levels[1]]
    )
    ax.tick_params(length=0, labelsize=9, labelcolor=INK)
    ax.spines[:].set_visible(False)
    # White lines between the cells.
    ax.set_xticks(np.arange(1, len(levels[0])) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, len(levels[1])) - 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=2)
    ax.tick_params(which="minor", length=0)


def _ratio_text(value: float) -> str:
    if np.isnan(value):
        return "n/a"
    return f"{value:.2f}" if value < 100 else f"{value:.3g}"


def _color_map() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list("ratio", [_BETTER, "#F7F7F7", _WORSE])
    return scale.with_extremes(bad=_EMPTY)


def _color_bar(figure: Figure, axes: Any, largest: float, label: str) -> None:
    """Draw the scale of colours, labelled by ratios."""
    image = axes[0, 0].images[0]
    length = min(0.95, 3.0 / figure.get_figheight())
    bar = figure.colorbar(image, ax=axes, shrink=length, pad=0.02, aspect=16)
    ticks = np.array([-1, -0.5, 0, 0.5, 1]) * largest
    bar.set_ticks(ticks.tolist(), labels=[_ratio_text(float(np.exp(tick))) for tick in ticks])
    note = "bold: 95% Monte Carlo\ninterval without 1"
    bar.set_label(f"{words(label, 24)}\n{note}", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=9, color=INK, labelcolor=INK)
    bar.outline.set_visible(False)
