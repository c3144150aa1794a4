"""Figures that show every replicate: zip plot and clouds of estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trueness.plots.style import (
    INK,
    colors_of,
    dress,
    most_lines,
    new_figure,
    panels,
    set_heading,
    words,
)
from trueness.validation import check_level

from ..performance.frame import read_study
from ..performance.measures import Replicates, coverage, has_interval, wilson
from ..performance.tables import cell_labels
from .style import check_panels, robust_limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COVERS, _MISSES = "#9DBAD0", "#D55E00"
_ADVICE = "pass a part of the frame, for example frame[frame['method'] == 'ols']"
# More points or lines than this are drawn as pixels in a PDF.
_MANY = 2000
_LABEL_WIDTH = 20


@dataclass(frozen=True)
class _Panels:
    """Replicates of a study, and the row (cell and term) and column (method) of each group."""

    data: Replicates
    failures: Any
    rows: list[str]
    methods: list[str]
    row_of: Any
    method_of: Any

    def group(self, row: str, method: str) -> int | None:
        """Return the number of a group, None if the method does not have the term."""
        found = np.flatnonzero((self.row_of == row) & (self.method_of == method))
        return int(found[0]) if len(found) else None


def _read(frame: Any) -> _Panels:
    study = read_study(frame)
    keys = study.keys
    varying = [name for name in study.parameters if keys[name].nunique(dropna=False) > 1]
    terms = keys["term"].astype(str)
    labels = cell_labels(keys, varying)
    if terms.nunique() > 1 or not varying:
        pairs = zip(labels, terms, strict=True)
        labels = np.array([", ".join(filter(None, pair)) for pair in pairs], dtype=object)
    data = study.replicates(study.usable)
    methods = keys["method"].astype(str).to_numpy(object)
    return _Panels(
        data=data,
        failures=study.n_replicates - data.groups.sizes,
        rows=list(dict.fromkeys(labels)),
        methods=list(dict.fromkeys(methods)),
        row_of=labels,
        method_of=methods,
    )


def zip_plot(frame: Any, *, level: float = 0.95, title: str | None = None) -> Figure:
    r"""Draw the intervals of all replicates, sorted by how far they are from the estimand.

    Intervals are placed by the rank, in percent, of the distance between estimate and estimand in
    units of the interval's own half-width. If coverage is nominal, the intervals that miss the
    estimand begin at the dashed line.

    Parameters
    ----------
    frame : DataFrame
        Frame of a study, as for `trueness.simulations.performance.performance`.
    level : float, default=0.95
        Nominal level of the intervals.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure
        A row of panels for each cell and term, a column for each method with intervals.

    Raises
    ------
    ValueError
        If there are no intervals with an estimand, or more panels than can be read.

    References
    ----------
    .. [1] Morris, T. P., White, I. R. and Crowther, M. J. (2019). Using simulation studies to
       evaluate statistical methods. Statistics in Medicine 38, 2074-2102.
       :doi:`10.1002/sim.8086`

    Examples
    --------
    >>> import pandas as pd
    >>> from trueness.simulations.plots import zip_plot
    >>> frame = pd.DataFrame({"replicate": [0, 1], "method": "mean", "term": "mu"})
    >>> frame = frame.assign(estimand=1.0, estimate=[0.9, 1.4], conf_low=[0.6, 1.1])
    >>> figure = zip_plot(frame.assign(conf_high=frame["estimate"] + 0.3))
    >>> figure.axes[0].get_title(loc="left")
    'mean\n50.0% (9.5 to 90.5)'
    """
    check_level(level)
    study = _read(frame)
    known = has_interval(study.data) & ~np.isnan(study.data.estimand)
    counts = study.data.groups.select(known).sizes
    if not counts.any():
        raise ValueError("frame: no row has an interval (conf_low, conf_high) and an estimand.")
    methods = [m for m in study.methods if counts[study.method_of == m].any()]
    check_panels(len(methods) * len(study.rows), _ADVICE)
    share = coverage(study.data)
    low, high = wilson(share.value, share.n)
    width = 1.0 + 2.5 * len(methods)
    height = 0.9 + (2.3 + 0.17 * most_lines(methods)) * len(study.rows)
    figure = new_figure(width, height)
    axes = panels(figure, len(study.rows), len(methods), sharex="row", sharey=True)
    for i, row in enumerate(study.rows):
        for j, method in enumerate(methods):
            ax, group = axes[i, j], study.group(row, method)
            if group is None or not counts[group]:
                ax.set_axis_off()
                continue
            of_group = known & (study.data.groups.codes == group)
            _draw_zip(ax, study.data, of_group, 100 * level)
            numbers = (100 * share.value[group], 100 * low[group], 100 * high[group])
            heading = words(method) + "\n{:.1f}% ({:.1f} to {:.1f})".format(*numbers)
            ax.set_title(heading, loc="left", fontsize=9, color=INK)
        ends = [
            study.data.conf_low - study.data.estimand,
            study.data.conf_high - study.data.estimand,
        ]
        inside = known & (study.row_of == row)[study.data.groups.codes]
        axes[i, 0].set_xlim(robust_limits([end[inside] for end in ends]))
        if len(study.rows) > 1:
            axes[i, 0].set_ylabel(words(row), fontsize=9, color=INK)
    figure.supxlabel("Interval minus estimand", fontsize=10, color=INK)
    figure.supylabel("Rank of the distance, %", fontsize=10, color=INK)
    set_heading(figure, title)
    return figure


def _draw_zip(ax: Axes, data: Replicates, rows: Any, nominal: float) -> None:
    """Draw the intervals of one group above each other."""
    from matplotlib.collections import LineCollection

    truth = data.estimand[rows]
    error = data.estimate[rows] - truth
    low, high = data.conf_low[rows] - truth, data.conf_high[rows] - truth
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.abs(error) / np.where(error > 0, error - low, high - error)
    covers = (low <= 0) & (high >= 0)
    # By distance; where an interval has no width or leaves out its estimate, by coverage first.
    order = np.lexsort((np.nan_to_num(distance), ~covers))
    places = 100 * (np.arange(len(order)) + 0.5) / len(order)
    reach = 1e3 * np.nanmax(np.abs(np.where(np.isfinite(error), error, 0)), initial=1.0)
    ends = np.clip(np.column_stack([low, high])[order], -reach, reach)
    lines = np.stack([ends, np.repeat(places[:, None], 2, axis=1)], axis=2)
    colors = np.where(covers[order], _COVERS, _MISSES)
    # As thick as the distance between lines (panels are some 130 points high).
    options: dict[str, Any] = {"linewidths": float(np.clip(130 / len(order), 0.25, 3.0))}
    options |= {"rasterized": len(order) > _MANY, "capstyle": "butt"}
    ax.add_collection(LineCollection(list(lines), colors=colors.tolist(), **options))
    ax.axvline(0.0, color="black", lw=1.0)
    ax.axhline(nominal, color=INK, lw=1.0, ls=(0, (4, 3)))
    ax.set_ylim(0, 100)
    dress(ax, "x")
    ax.set_yticks([0, 25, 50, 75, 100])


def estimate_plot(frame: Any, *, title: str | None = None) -> Figure:
    """Draw the estimates of all replicates as clouds, with their mean and the estimand.

    Parameters
    ----------
    frame : DataFrame
        Frame of a study, as for `trueness.simulations.performance.performance`.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure
        A panel for each cell and term. White diamonds are means over replicates, the black line
        is the estimand; where it differs between replicates, errors are drawn.

    Raises
    ------
    ValueError
        If there are more panels than can be read.

    Examples
    --------
    >>> import pandas as pd
    >>> from trueness.simulations.plots import estimate_plot
    >>> frame = pd.DataFrame({"replicate": [0, 1], "method": "mean", "term": "mu"})
    >>> figure = estimate_plot(frame.assign(estimate=[0.9, 1.2], estimand=1.0))
    >>> len(figure.axes)
    1
    """
    study = _read(frame)
    check_panels(len(study.rows), _ADVICE)
    constant = _is_constant(study)
    shown = study.data.estimate if constant else study.data.deviation
    n_columns = min(3, len(study.rows))
    n_rows = -(-len(study.rows) // n_columns)
    per_method = max(0.62, 0.17 * most_lines(study.methods, _LABEL_WIDTH) + 0.1)
    per_panel = per_method * len(study.methods) + 0.4 + 0.17 * most_lines(study.rows)
    width = {1: 6.4, 2: 8.0, 3: 9.5}[n_columns]
    figure = new_figure(width, 0.5 + per_panel * n_rows + 0.3 * (title is not None))
    axes = panels(figure, n_rows, n_columns, sharey=True)
    rng = np.random.default_rng(0)
    for place, ax in enumerate(axes.flat):
        if place >= len(study.rows):
            ax.set_axis_off()
            continue
        _draw_clouds(ax, study, study.rows[place], shown, rng)
        ax.set_title(words(study.rows[place]), loc="left", fontsize=10, color=INK)
    axes[0, 0].set_yticks(
        range(len(study.methods)), [words(m, _LABEL_WIDTH) for m in study.methods]
    )
    axes[0, 0].set_ylim(len(study.methods) - 0.45, -0.55)
    figure.supxlabel("Estimate" if constant else "Estimate minus estimand", fontsize=10, color=INK)
    set_heading(figure, title)
    return figure


def _is_constant(study: _Panels) -> bool:
    """Whether every panel has one estimand, the same in all replicates."""
    row = pd.factorize(study.row_of)[0][study.data.groups.codes]
    pairs = pd.DataFrame({"row": row, "truth": study.data.estimand}).drop_duplicates()
    return len(pairs) == pairs["row"].nunique()


def _draw_clouds(ax: Axes, study: _Panels, row: str, shown: Any, rng: np.random.Generator) -> None:
    """Draw the clouds of all methods for one cell and term."""
    groups, colors = study.data.groups, colors_of(study.methods)
    inside = (study.row_of == row)[groups.codes]
    limits = robust_limits([shown[inside]])
    for number, method in enumerate(study.methods):
        group = study.group(row, method)
        if group is None:
            continue
        x = shown[groups.codes == group]
        visible = x[(x >= limits[0]) & (x <= limits[1])]
        jitter = number + rng.uniform(-0.26, 0.26, len(visible))
        opacity = float(np.clip(150 / max(len(x), 1), 0.12, 0.7))
        look: dict[str, Any] = {"s": 7, "lw": 0, "alpha": opacity, "rasterized": len(x) > _MANY}
        ax.scatter(visible, jitter, color=colors[method], **look)
        if len(x):
            mark: dict[str, Any] = {"markeredgecolor": INK, "markerfacecolor": "white", "zorder": 4}
            ax.plot([x.mean()], [number], "D", markersize=6.5, **mark)
        _note(ax, number, len(x) - len(visible), int(study.failures[group]))
    truths = (shown - study.data.error)[inside]
    if np.isfinite(truths).any():
        ax.axvline(truths[0], color="black", lw=1.2, zorder=3)
    ax.set_xlim(limits)
    dress(ax)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _note(ax: Axes, y: float, n_outside: int, n_failed: int) -> None:
    """Say how many estimates the axis does not show, and how many there are not."""
    notes = [f"{n_outside} outside"] if n_outside else []
    notes += [f"{n_failed} failed"] if n_failed else []
    if notes:
        look: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 8, "style": "italic"}
        place = ax.get_yaxis_transform()
        ax.text(1.0, y - 0.3, ", ".join(notes), transform=place, color=INK, **look)
