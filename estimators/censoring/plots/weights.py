"""The distribution of weights against censoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...plots.parts import finish, line_handles, plain_log_ticks
from ...plots.style import GREY, colors_of, legend_below, new_figure, panels, set_heading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


def weight_plot(weights: Any, *, title: str | None = None) -> Figure:
    r"""Draw the distribution of weights and how much of their sum a few rows hold.

    Left, the weights of the known rows, divided by their mean; right, the share of the sum that
    the heaviest rows hold together. Equal weights lie on the diagonal; a curve that rises at once
    says that the answer hangs on a few rows.

    Parameters
    ----------
    weights : CensoringWeights, array of shape (n,), or a mapping of label to these
        Zero where the target is not known.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        If weights are negative, not finite, or all zero.

    Examples
    --------
    >>> from trueness.censoring import censoring_weights
    >>> from trueness.censoring.plots import weight_plot
    >>> found = censoring_weights([1, 2, 2, 3, 4, 4], [1, 1, 0, 0, 1, 1], horizon=4.0)
    >>> [axes.get_xlabel() for axes in weight_plot(found).axes]
    ['Weight / mean weight', 'Share of known rows, heaviest first']
    """
    named = weights if isinstance(weights, Mapping) else {"": weights}
    positive = {str(label): _positive_weights(value) for label, value in named.items()}
    colors = colors_of(list(positive))
    figure = new_figure(8.4, 3.8)
    left, right = panels(figure, 1, 2)[0]
    highest = max(float(w.max() / w.mean()) for w in positive.values())
    lowest = min(float(w.min() / w.mean()) for w in positive.values())
    bins = np.geomspace(lowest / 1.02, highest * 1.02, 31)
    for label, w in positive.items():
        relative = w / w.mean()
        share = np.full(len(w), 1 / len(w))
        left.hist(relative, bins, weights=share, histtype="step", color=colors[label], lw=1.8)
        held = np.append(0.0, np.cumsum(np.sort(w)[::-1]) / w.sum())
        right.plot(np.linspace(0.0, 1.0, len(held)), held, color=colors[label], lw=1.8)
    left.set_xscale("log")
    right.plot([0, 1], [0, 1], color=GREY, lw=1.1, linestyle="--", zorder=0.9)
    plain_log_ticks(left)
    finish(left, "Weight / mean weight", "Share of known rows")
    finish(right, "Share of known rows, heaviest first", "Share of the sum of weights")
    for ax in (left, right):
        ax.set_ylim(bottom=0.0)
    right.set_xlim(0.0, 1.0)
    right.set_ylim(top=1.02)
    set_heading(figure, title)
    labels = {label: _with_size(label, w) for label, w in positive.items()}
    handles = line_handles({labels[label]: color for label, color in colors.items()}, width=48)
    legend_below(figure, handles, 8.4, "")
    return figure


def _positive_weights(value: Any) -> Array:
    w = np.asarray(getattr(value, "weights", value), dtype=float)
    if w.ndim != 1 or not np.isfinite(w).all() or (w < 0.0).any() or not (w > 0.0).any():
        raise ValueError(
            "Weights must be one number for each row, finite and not negative, some of them "
            "positive."
        )
    return w[w > 0.0]


def _with_size(label: str, w: Array) -> str:
    size = w.sum() ** 2 / (w @ w)
    text = f"{len(w):,} known rows worth {size:,.0f}"
    return f"{label}: {text}" if label else text
