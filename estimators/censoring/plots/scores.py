"""Calibration, and error against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...plots.parts import POINT, finish, fresh, line_handles, time_label
from ...plots.style import (
    GREY,
    INK,
    colors_of,
    legend_below,
    markers_of,
    new_figure,
    panels,
    set_heading,
    words,
)
from ..metrics.brier import ipcw_brier_score
from ..metrics.calibration import calibration_table
from ..metrics.referee import read_grid, read_scored
from ..numerics.curves import count, evaluate, survival

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def calibration_plot(
    y_true: Any,
    predictions: Any,
    *,
    censoring: Any,
    horizon: float | None = None,
    survival_at: float | None = None,
    n_groups: int = 10,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    censoring_times: Any = None,
    floor: float = 0.0,
    unit: str | None = None,
    title: str | None = None,
) -> Figure:
    r"""Draw observed against predicted means by groups of the prediction.

    The numbers are those of `trueness.censoring.calibration_table`; points under the diagonal are
    predicted too long.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    predictions : array of shape (n,), or mapping of label to such arrays
        Predicted :math:`\min(Y, \tau)`, or, with ``survival_at``, probabilities of outliving it.
    censoring : str or CensoringModel
        By whose weights rows are scored, as in `calibration_table`.
    horizon : float, default=None
        :math:`\tau`, in the unit of the durations.
    survival_at : float, default=None
        Time that the probabilities are for.
    n_groups : int, default=10
        Groups of equally many rows.
    event, X, sample_weight, censoring_times, floor
        As in `calibration_table`.
    unit : str, default=None
        Unit of time, for the axes.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        If the input is invalid or no row is known.

    Examples
    --------
    >>> from trueness.censoring import survival_target
    >>> from trueness.censoring.plots import calibration_plot
    >>> y = survival_target([1, 2, 3, 4], [1, 0, 1, 1])
    >>> figure = calibration_plot(y, [1, 1, 3, 3], censoring="km", horizon=3.5, n_groups=2)
    >>> figure.axes[0].get_ylabel()
    'Observed mean'
    """
    named = predictions if isinstance(predictions, Mapping) else {"": predictions}
    shared: dict[str, Any] = {"event": event, "X": X, "sample_weight": sample_weight}
    shared |= {"censoring_times": censoring_times, "floor": floor, "n_groups": n_groups}
    tables = {
        str(label): calibration_table(
            y_true, values, censoring=censoring, horizon=horizon, survival_at=survival_at, **shared
        )
        for label, values in named.items()
    }
    colors, markers = colors_of(list(tables)), markers_of(list(tables))
    figure = new_figure(5.2, 5.0)
    ax = panels(figure, 1, 1)[0, 0]
    edges = []
    for label, table in tables.items():
        x, y = table["predicted"].to_numpy(), table["observed"].to_numpy()
        half = 1.96 * table["std_error"].to_numpy()
        ax.vlines(x, y - half, y + half, color=colors[label], lw=1.6)
        ax.plot(x, y, markers[label], color=colors[label], **POINT)
        edges += [x, (y - half)[np.isfinite(half)], (y + half)[np.isfinite(half)]]
    values = np.concatenate(edges)
    values = values[np.isfinite(values)]
    margin = 0.04 * (np.ptp(values) or 1.0)
    limits = (float(values.min() - margin), float(values.max() + margin))
    ax.axline((limits[0], limits[0]), slope=1.0, color=GREY, lw=1.1, linestyle="--", zorder=0.9)
    ax.set_xlim(limits)
    ax.set_ylim(limits)
    ax.set_aspect("equal")
    what = "mean" if survival_at is None else f"share outliving {survival_at:g}"
    of_unit = f" ({unit})" if unit and survival_at is None else ""
    finish(ax, f"Predicted {what}{of_unit}", f"Observed {what}{of_unit}", both=True)
    set_heading(figure, title)
    handles = line_handles(colors, markers=markers) if len(tables) > 1 else []
    legend_below(figure, handles, 5.2, "Bars are 95% intervals, with weights taken as given.")
    return figure


def brier_plot(
    y_true: Any,
    survival_probabilities: Any,
    times: Any,
    *,
    censoring: Any,
    event: Any = None,
    X: Any = None,
    sample_weight: Any = None,
    floor: float = 0.0,
    unit: str | None = None,
    title: str | None = None,
) -> Figure:
    r"""Draw Brier scores of predicted survival against time, a panel for each censoring model.

    The grey line is the score of a prediction that is the same for all rows, the Kaplan-Meier curve
    of the scored rows: what lies above it is worse than knowing no covariates.

    Parameters
    ----------
    y_true : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    survival_probabilities : array of shape (n, m), or mapping of label to such arrays
        Predicted probabilities of outliving each time.
    times : array of shape (m,)
        Increasing, before the last time in the data.
    censoring : str, CensoringModel, or a sequence or mapping of these
        By whose weights rows are scored; with several, each has a panel.
    event, X, sample_weight, floor
        As in `ipcw_brier_score`.
    unit : str, default=None
        Unit of time, for the axis.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        If the input is invalid.

    Examples
    --------
    >>> from trueness.censoring import survival_target
    >>> from trueness.censoring.plots import brier_plot
    >>> y = survival_target([1, 2, 3, 4], [1, 0, 1, 1])
    >>> figure = brier_plot(y, [[0.5, 0.2]] * 4, [1.5, 2.5], censoring="km")
    >>> len(figure.axes)
    1
    """
    grid = read_grid(times)
    named = (
        survival_probabilities
        if isinstance(survival_probabilities, Mapping)
        else {"prediction": survival_probabilities}
    )
    referees = _referees(censoring)
    rows = read_scored(y_true, event, sample_weight=sample_weight)
    counts = count(rows.time, rows.event, rows.weight)
    flat = evaluate(counts.times, survival(counts, "event"), grid, "right")
    same = np.broadcast_to(flat, (len(rows), len(grid)))
    shared: dict[str, Any] = {"event": event, "X": X, "sample_weight": sample_weight}
    colors = colors_of([str(label) for label in named])
    width = 1.2 + 3.6 * len(referees)
    figure = new_figure(width, 3.9)
    axes = panels(figure, 1, len(referees), sharey=True)[0]
    for ax, (name, model) in zip(axes, referees.items(), strict=True):
        score = {"censoring": model, "floor": floor, **shared}
        reference = ipcw_brier_score(y_true, same, grid, **score)
        ax.plot(grid, reference, color=GREY, lw=1.4, linestyle="--")
        for label, values in named.items():
            scores = ipcw_brier_score(y_true, values, grid, **score)
            ax.plot(grid, scores, color=colors[str(label)], lw=1.8)
        finish(ax, time_label(unit), "Brier score" if ax is axes[0] else "")
        ax.set_ylim(bottom=0.0)
        if len(referees) > 1:
            ax.set_title(words(f"Weights: {name}"), loc="left", fontsize=10, color=INK)
    set_heading(figure, title)
    handles = line_handles(colors)
    handles += line_handles({"no covariates": GREY}, ["--"])
    legend_below(figure, handles, width, "")
    return figure


def _referees(censoring: Any) -> dict[str, Any]:
    if isinstance(censoring, Mapping):
        return {str(name): model for name, model in censoring.items()}
    several: Sequence[Any] = censoring if isinstance(censoring, list | tuple) else [censoring]
    named: dict[str, Any] = {}
    for model in several:
        name = (
            model if isinstance(model, str) else str(getattr(model, "name", type(model).__name__))
        )
        named[fresh(name, named)] = model
    return named
