"""What figures with axes of numbers share: axes, labels, legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .style import INK, PALE, dress, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINT: dict[str, Any] = {
    "markersize": 7,
    "markeredgecolor": "white",
    "markeredgewidth": 0.7,
    "zorder": 3,
}


def finish(ax: Axes, x_label: str, y_label: str, *, both: bool = False) -> None:
    """Give an axis its labels and a light grid."""
    dress(ax, "y")
    if both:
        dress(ax, "x")
    ax.set_xlabel(x_label, fontsize=10, color=INK)
    ax.set_ylabel(y_label, fontsize=10, color=INK)


def plain_log_ticks(ax: Axes) -> None:
    """Label a logarithmic axis at 1, 2, 5, 10, ..."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()


def mark(ax: Axes, time: float, text: str) -> None:
    """Mark a time with words."""
    ax.axvline(time, color=PALE, lw=1.2, linestyle="--", zorder=0.9)
    ax.annotate(
        text,
        (time, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        color=INK,
    )


def time_label(unit: str | None) -> str:
    """Return the label of a time axis."""
    return f"Time ({unit})" if unit else "Time"


def line_handles(
    colors: Mapping[str, str],
    styles: Sequence[str] | None = None,
    *,
    markers: Mapping[str, str] | None = None,
    width: int = 28,
) -> list[Any]:
    """Return entries of a legend, their labels broken into lines of some width."""
    from matplotlib.lines import Line2D

    handles = []
    for number, (label, color) in enumerate(colors.items()):
        look: dict[str, Any] = {"color": color, "lw": 1.8, "label": words(label, width)}
        if styles is not None:
            look["linestyle"] = styles[number]
        if markers is not None:
            look |= {"marker": markers[label], **POINT}
        handles.append(Line2D([], [], **look))
    return handles


def fresh(label: str, taken: Mapping[str, Any]) -> str:
    """Return the label, with a number if it is taken."""
    name, number = label, 2
    while name in taken:
        name, number = f"{label} ({number})", number + 1
    return name
