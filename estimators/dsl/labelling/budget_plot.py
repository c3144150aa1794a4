"""The figure of a label budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...plots.style import (
    INK,
    PALE,
    colors_of,
    dress,
    legend_below,
    new_figure,
    panels,
    set_heading,
)
from ...plots.style import words as broken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .budget import LabelBudget

# Panels beside each other, and their size in inches.
MOST_COLUMNS, WIDTH, HEIGHT = 3, 3.3, 2.9


def plot_budget(budget: LabelBudget, title: str | None) -> Figure:
    """Draw a panel for each target: a line for each allocation, with its band."""
    names = budget.names
    n_columns = min(len(names), MOST_COLUMNS)
    n_rows = -(-len(names) // n_columns)
    figure = new_figure(max(4.5, WIDTH * n_columns), HEIGHT * n_rows + 0.7)
    axes = panels(figure, n_rows, n_columns).ravel()
    colors = colors_of(list(budget.curves))
    curve = budget.curve()
    handles = {}
    for ax, name in zip(axes, names, strict=False):
        for allocation, color in colors.items():
            part = curve[(curve["term"] == name) & (curve["allocation"] == allocation)]
            (line,) = ax.plot(part["labels"], part["standard_error"], color=color, lw=1.8)
            line.set_label(allocation)
            handles[allocation] = line
            if part["low"].notna().all():
                ax.fill_between(part["labels"], part["low"], part["high"], color=color, alpha=0.15)
        row = budget.table[budget.table["term"] == name].iloc[0]
        ax.axhline(row["standard_error"], color=INK, lw=1.0, ls="--", label="wanted")
        if row["limit"] > 0.0:
            ax.axhline(row["limit"], color=PALE, lw=1.0, ls=":", label="every row labelled")
        if budget.n_labels:
            ax.axvline(budget.n_labels, color=PALE, lw=0.8)
        ax.set_title(broken(name), fontsize=10, color=INK)
        dress(ax, "y")
        ax.set_xscale("log")
        ax.set_ylim(
            bottom=0.0,
            top=1.05
            * float(
                np.nanmax(
                    curve.loc[(curve["term"] == name) & (curve["labels"] >= 40), "standard_error"]
                )
            ),
        )
        ax.set_xlabel("labels", fontsize=9, color=INK)
        for line in ax.get_lines():
            if line.get_label() in ("wanted", "every row labelled"):
                handles[line.get_label()] = line
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    axes[0].set_ylabel("standard error", fontsize=9, color=INK)
    note = "Bands: middle 90% of the bootstrap, approximate" if budget.resampled else ""
    legend_below(figure, list(handles.values()), figure.get_figwidth(), note)
    set_heading(figure, title)
    return figure
