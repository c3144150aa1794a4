"""Bias against variance along the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...plots.parts import finish, line_handles, mark, plain_log_ticks
from ...plots.style import GREY, colors_of, legend_below, new_figure, panels, set_heading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES = {"bias": "size of the bias", "std": "standard deviation", "rmse": "both together (RMSE)"}
_NEEDED = ("clip", "bias", "std", "rmse", "effective_size", "share_clipped")


def bias_variance_plot(
    path: pd.DataFrame, *, clip: float | None = None, title: str | None = None
) -> Figure:
    r"""Draw bias and standard deviation of the clipped loss against the clip.

    Left, the size of the bias, the standard deviation and their root sum of squares, in units of
    the loss; right, how many equally weighted clicks the weighted ones are worth, and how many of
    them are clipped.

    Parameters
    ----------
    path : DataFrame
        As `bias_variance_path` returns it, with at least two clips above 0.
    clip : float, default=None
        A clip to mark, such as the one that was used.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure
        It does not belong to pyplot: nothing to close, no backend chosen.

    Raises
    ------
    ValueError
        If columns are missing or there are fewer than two clips above 0.

    Examples
    --------
    >>> from trueness.feedback import bias_variance_path
    >>> from trueness.feedback.plots import bias_variance_plot
    >>> from trueness.simulations import make_clicks
    >>> sample = make_clicks(random_state=0)
    >>> path = bias_variance_path(sample.observed["X"], sample.complete.propensity)
    >>> [axes.get_ylabel() for axes in bias_variance_plot(path, clip=0.1).axes]
    ['Error of the estimated loss', 'Share of clicks']
    """
    missing = [name for name in _NEEDED if name not in path]
    if missing:
        raise ValueError(
            f"path has no column {missing[0]!r}; give what bias_variance_path returns."
        )
    shown = path[path["clip"] > 0].sort_values("clip")  # the axis is logarithmic
    if shown["clip"].nunique() < 2:
        raise ValueError("path needs at least two different clips above 0.")
    x = shown["clip"].to_numpy()
    figure = new_figure(8.8, 3.9)
    left, right = panels(figure, 1, 2)[0]
    colors = colors_of(list(_LINES.values()))
    for column, label in _LINES.items():
        size = np.abs(shown[column].to_numpy())
        left.plot(x, np.where(size > 0.0, size, np.nan), color=colors[label], lw=1.8)
    # The effective size is at most the number of clicks, which it reaches with equal weights.
    n_clicks = path.attrs.get("n_clicks", shown["effective_size"].max())
    worth, clipped = "effective size / clicks", "clicks clipped"
    others = {worth: colors_of([*colors, worth])[worth], clipped: GREY}
    right.plot(x, shown["effective_size"] / n_clicks, color=others[worth], lw=1.8)
    right.plot(x, shown["share_clipped"], color=others[clipped], lw=1.8, linestyle="--")
    for ax in (left, right):
        ax.set_xlim(x.min(), x.max())
        if clip is not None:
            mark(ax, clip, f"clip {clip:g}")
    finish(left, "clip", "Error of the estimated loss")
    finish(right, "clip", "Share of clicks")
    for ax in (left, right):
        ax.set_xscale("log")
        plain_log_ticks(ax)
    # Bias and noise differ by orders of magnitude; where nothing is clipped, the bias is 0.
    left.set_yscale("log")
    left.set_ylim(bottom=0.5 * float(shown["std"].min()))
    right.set_ylim(0.0, 1.02)
    set_heading(figure, title)
    handles = line_handles({**colors, **others}, ["-"] * 4 + ["--"])
    legend_below(figure, handles, 8.8, "")
    return figure
