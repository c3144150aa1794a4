"""What figures share: colours, words, layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Literal

from ..tables.markup import wrap
from .forest import _COLORS, _INK, _MARKERS, _PALE, _escaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of the forest plots.
INK, PALE = _INK, _PALE
GREY, GRID = "#808080", "#EBEBEB"


def words(text: str, width: int = 28) -> str:
    """Break a label over lines; dollars in names make no formula."""
    return "\n".join(map(_escaped, wrap(text, width)))


def most_lines(labels: Iterable[str], width: int = 28) -> int:
    """Return the number of lines of the label that has the most."""
    return max(words(label, width).count("\n") + 1 for label in labels)


def colors_of(methods: Sequence[str]) -> dict[str, str]:
    """Return a colour for each method; they repeat after the sixth."""
    return dict(zip(methods, islice(cycle(_COLORS), len(methods)), strict=True))


def markers_of(methods: Sequence[str]) -> dict[str, str]:
    """Return a marker for each method."""
    return dict(zip(methods, islice(cycle(_MARKERS), len(methods)), strict=True))


def new_figure(width: float, height: float) -> Figure:
    """Return a figure that does not belong to pyplot."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from .figure import NotebookFigure

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
