"""Forest plots of estimates and their confidence intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..tables.markup import wrap
from ..tables.tidy import Models, Terms, label_models, select_terms, tidy
from ..validation import check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette without its yellow and black; markers tell the models apart in grey.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_INK, _PALE = "#333333", "#9A9A9A"
_INTERCEPTS = {"intercept", "(intercept)", "const"}
# On a shared axis an interval narrower than this share of it cannot be told from a point.
_LEGIBLE = 1 / 30
_LABEL_WIDTH = 28
_POINT: dict[str, Any] = {
    "markersize": 8,
    "markeredgecolor": "white",
    "markeredgewidth": 0.8,
    "zorder": 3,
}


@dataclass(frozen=True)
class _Forest:
    """What is drawn: the long frame, the order of models and terms, the reference values."""

    frame: pd.DataFrame
    models: tuple[str, ...]
    terms: tuple[str, ...]
    reference: Mapping[str, float]
    reference_label: str
    level: float

    def rows(self, term: str) -> Iterator[tuple[int, Any]]:
        """Yield the number of the model and its row for every model that has the term."""
        records = self.frame[self.frame["term"] == term].itertuples()
        for record in records:
            row: Any = record
            yield self.models.index(row.model), row

    def values(self, term: str) -> list[float]:
        """Return the finite numbers to be shown of one term."""
        columns = self.frame.loc[
            self.frame["term"] == term, ["estimate", "conf_low", "conf_high"]
        ].to_numpy(float)
        finite = [float(value) for value in columns.ravel() if np.isfinite(value)]
        return finite + ([self.reference[term]] if term in self.reference else [])


def forest_plot(
    models: Models,
    *,
    level: float = 0.95,
    reference: Mapping[str, float] | None = None,
    reference_label: str = "truth",
    terms: Terms | None = None,
    drop_intercept: bool = False,
    panels: bool | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw estimates with confidence intervals, by term and model.

    Terms share one axis if all their intervals are legible on it; otherwise each term has a
    panel with its own scale.

    Parameters
    ----------
    models : mapping of str to Estimates, sequence of Estimates, or Estimates
        Results by label. The labels of a sequence are the titles. Fitted estimators stand for
        their ``results_``.
    level : float, default=0.95
        Confidence level of the intervals in (0, 1).
    reference : mapping of str to float, default=None
        Known values to draw beside the estimates, by term (its name or the label given to it).
    reference_label : str, default="truth"
        What the reference values are called.
    terms : sequence of str or mapping of str to str, default=None
        Terms to draw, in this order, or terms and their labels. All terms if None.
    drop_intercept : bool, default=False
        Leave out terms named Intercept, (Intercept) or const.
    panels : bool, default=None
        One panel per term (True) or one axis for all (False). Decided by legibility if None.
    title : str, default=None
        Heading of the figure; the label of the model if None and there is only one.
    ax : matplotlib Axes, default=None
        Axes to draw on, all terms on one axis; a new figure if None.

    Returns
    -------
    matplotlib Figure
        It does not belong to pyplot: nothing to close, no backend chosen.

    Raises
    ------
    ValueError
        If a term or reference value is in no model, no term is left, or panels and ax are both
        asked for.

    Examples
    --------
    >>> from trueness.inference import Estimates
    >>> from trueness.plots import forest_plot
    >>> right = Estimates([0.52], [[0.0004]], ["share"], n_obs=600, title="Corrected")
    >>> naive = Estimates([0.61], [[0.0001]], ["share"], n_obs=600, title="Naive")
    >>> figure = forest_plot([right, naive], reference={"share": 0.5})
    >>> len(figure.axes)
    1
    """
    if ax is not None and panels:
        raise ValueError("ax= holds one axis; pass panels=False or leave ax out.")
    forest = _prepare(models, check_level(level), reference, reference_label, terms, drop_intercept)
    if ax is not None:
        _draw_shared(ax, forest)
        if handles := _handles(forest, models=len(forest.models) > 1):
            ax.legend(handles=handles, loc="best", fontsize=9)
        if title:
            ax.set_title(_escaped(title), loc="left", color=_INK)
        return _figure_of(ax)
    in_panels = not _fits_one_axis(forest) if panels is None else panels
    figure = _panel_figure(forest) if in_panels else _shared_figure(forest)
    heading = forest.models[0] if title is None and len(forest.models) == 1 else title
    if heading:
        figure.suptitle(_escaped(heading), color=_INK, fontsize=12)
    return figure


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


# ----------------------------------------------------------------------------- what to draw


def _prepare(
    models: Models,
    level: float,
    reference: Mapping[str, float] | None,
    reference_label: str,
    terms: Terms | None,
    drop_intercept: bool,
) -> _Forest:
    named = label_models(models)
    labels = select_terms(named, terms)
    if drop_intercept:
        labels = {name: label for name, label in labels.items() if not _is_intercept(name)}
    if not labels:
        raise ValueError("There is no term to draw.")
    known = {name for model in named.values() for name in model.names}
    values: dict[str, float] = {}
    for name, value in (reference or {}).items():
        if name not in known and name not in labels.values():
            raise ValueError(
                f"reference: no model has the term {name!r}; they have {sorted(known)}."
            )
        shown = labels.get(name, name)
        if shown in labels.values() and np.isfinite(value):
            values[shown] = float(value)
    return _Forest(
        frame=tidy(named, labels, level),
        models=tuple(named),
        terms=tuple(dict.fromkeys(labels.values())),
        reference=values,
        reference_label=reference_label,
        level=level,
    )


def _is_intercept(name: str) -> bool:
    return name.rpartition(": ")[2].strip().lower() in _INTERCEPTS  # "level: term" if multinomial


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of an axis: all values, and zero unless that would crush them."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    span = high - low or abs(high) or 1.0
    if low - span <= 0.0 <= high + span:
        low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.06 * (high - low or span)
    return low - margin, high + margin


def _fits_one_axis(forest: _Forest) -> bool:
    low, high = _limits([value for term in forest.terms for value in forest.values(term)])
    widths = (forest.frame["conf_high"] - forest.frame["conf_low"]).to_numpy(float)
    widths = widths[np.isfinite(widths) & (widths > 0)]
    return len(forest.terms) == 1 or bool(np.all(widths >= _LEGIBLE * (high - low)))


# ------------------------------------------------------------------------------------- artists


def _draw_row(ax: Axes, row: Any, y: float, model: int) -> None:
    """Draw one estimate with its interval, or say that there is none."""
    color, marker = _COLORS[model % len(_COLORS)], _MARKERS[model % len(_MARKERS)]
    words: dict[str, Any] = {"va": "center", "fontsize": 8, "style": "italic", "color": color}
    if not np.isfinite(row.estimate):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        middle = ax.get_yaxis_transform()
        ax.text(0.5, y, "no finite estimate", transform=middle, ha="center", bbox=box, **words)
        return
    if np.isfinite(row.conf_low) and np.isfinite(row.conf_high):
        ax.plot([row.conf_low, row.conf_high], [y, y], color=color, lw=2, solid_capstyle="butt")
    else:
        beside: dict[str, Any] = {"xytext": (8, 0), "textcoords": "offset points"}
        ax.annotate("no finite interval", (row.estimate, y), **beside, **words)
    ax.plot([row.estimate], [y], color=color, marker=marker, linestyle="none", **_POINT)


def _dress(ax: Axes, limits: tuple[float, float], n_ticks: int) -> None:
    """Give an axis its range, the zero line, ticks and as little ink as possible."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    ax.set_xlim(limits)
    if limits[0] < 0.0 < limits[1]:
        ax.axvline(0.0, color="#808080", lw=1.1, zorder=0.9)  # above the grid
    ax.xaxis.set_major_locator(MaxNLocator(n_ticks, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    ax.xaxis.set_major_formatter(ScalarFormatter(useOffset=False, useMathText=True))
    ax.tick_params(axis="x", labelsize=9, color=_PALE, labelcolor=_INK)
    ax.tick_params(axis="y", labelsize=10, length=0, labelcolor=_INK)
    ax.grid(axis="x", color="#EBEBEB", lw=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(_PALE)


def _draw_shared(ax: Axes, forest: _Forest) -> None:
    """Draw all terms on one axis, the models of a term below each other."""
    n_models = len(forest.models)
    step = min(0.22, 0.8 / n_models)
    for place, term in enumerate(forest.terms):
        for model, row in forest.rows(term):
            _draw_row(ax, row, place + step * (model - (n_models - 1) / 2), model)
        if term in forest.reference:
            half = max(0.2, step * n_models / 2)
            x = forest.reference[term]
            ax.vlines(x, place - half, place + half, color="black", lw=1.6, zorder=2)
        if place and n_models > 1:
            ax.axhline(place - 0.5, color="#DDDDDD", lw=0.8, zorder=0.5)
    _dress(ax, _limits([v for term in forest.terms for v in forest.values(term)]), 7)
    ax.set_yticks(range(len(forest.terms)), [_multiline(term) for term in forest.terms])
    ax.set_ylim(len(forest.terms) - 0.5, -0.5)
    ax.set_xlabel(_axis_label(forest), color=_INK)


def _draw_panel(ax: Axes, forest: _Forest, term: str) -> None:
    """Draw one term, a line for each model."""
    if term in forest.reference:
        ax.axvline(forest.reference[term], color="black", lw=1.6, zorder=2)
    for model, row in forest.rows(term):
        _draw_row(ax, row, model, model)
    values = forest.values(term)
    _dress(ax, _limits(values), 4)
    if not values:
        ax.set_xticks([])
    ax.set_title(_multiline(term), loc="left", fontsize=10, color=_INK)
    ax.set_ylim(len(forest.models) - 0.5, -0.5)


def _escaped(name: str) -> str:
    return name.replace("$", r"\$")  # names are no formulas, which a pair of dollars would make


def _multiline(name: str) -> str:
    return "\n".join(map(_escaped, wrap(name, _LABEL_WIDTH)))


def _axis_label(forest: _Forest) -> str:
    return f"Estimate with {100 * forest.level:g}% confidence interval"


def _handles(forest: _Forest, *, models: bool) -> list[Any]:
    """Return the entries of the legend."""
    from matplotlib.lines import Line2D

    entries = [
        Line2D([], [], color=color, marker=marker, lw=2, label=_multiline(label), **_POINT)
        for label, color, marker in zip(
            forest.models if models else (), cycle(_COLORS), cycle(_MARKERS), strict=False
        )
    ]
    if forest.reference:
        stroke: dict[str, Any] = {"marker": "|", "markersize": 13, "markeredgewidth": 1.6}
        label = _escaped(forest.reference_label)
        entries.append(Line2D([], [], color="black", linestyle="none", label=label, **stroke))
    return entries


# ------------------------------------------------------------------------------------- figures


def _lines_of(names: Sequence[str]) -> int:
    return max(_multiline(name).count("\n") + 1 for name in names)


def _legend_columns(handles: Sequence[Any]) -> int:
    """Return the number of legend entries that fit beside each other."""
    lengths = [7 + max(map(len, handle.get_label().split("\n"))) for handle in handles]
    if sum(lengths) <= 88:
        return max(1, len(handles))
    return max(1, 80 // max(lengths))


def _shared_figure(forest: _Forest) -> Figure:
    from .figure import NotebookFigure

    n_models = len(forest.models)
    row = max(0.36, 0.21 * n_models + 0.14, 0.18 * _lines_of(forest.terms) + 0.1)
    handles = _handles(forest, models=n_models > 1)
    n_columns = _legend_columns(handles)
    legend = 0.26 * -(-len(handles) // n_columns) + 0.1 if handles else 0.0
    figure = NotebookFigure(
        figsize=(7.2, 1.0 + row * len(forest.terms) + legend), layout="constrained"
    )
    _draw_shared(figure.add_subplot(), forest)
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=n_columns, frameon=False)
    return figure


def _panel_figure(forest: _Forest) -> Figure:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from .figure import NotebookFigure

    n_terms, n_models = len(forest.terms), len(forest.models)
    n_columns = {1: 1, 2: 2, 4: 2}.get(n_terms, 3)
    n_rows = -(-n_terms // n_columns)
    row = max(0.27, 0.18 * _lines_of(forest.models) + 0.06) if n_models > 1 else 0.27
    height = 0.55 + row * n_models + 0.18 * _lines_of(forest.terms)
    figure = NotebookFigure(
        figsize=({1: 6.0, 2: 7.5, 3: 9.0}[n_columns], 0.8 + height * n_rows),
        layout=ConstrainedLayoutEngine(wspace=0.06, hspace=0.08),
    )
    first: Axes | None = None
    for place, term in enumerate(forest.terms):
        ax = figure.add_subplot(n_rows, n_columns, place + 1, sharey=first)
        first = first or ax
        _draw_panel(ax, forest, term)
        ax.tick_params(axis="y", labelleft=place % n_columns == 0 and n_models > 1)
    assert first is not None
    first.set_yticks(range(n_models), [_multiline(label) for label in forest.models])
    figure.supxlabel(_axis_label(forest), fontsize=10, color=_INK)
    if forest.reference:
        handles = _handles(forest, models=False)
        figure.legend(handles=handles, loc="outside upper right", frameon=False)
    return figure
