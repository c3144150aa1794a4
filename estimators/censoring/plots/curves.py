"""Survival curves of censoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ... import validation
from ...plots.parts import finish, fresh, line_handles, mark, time_label
from ...plots.style import GREY, colors_of, legend_below, new_figure, panels, set_heading
from ..metrics.referee import is_marginal
from ..steps import StepFunction
from ..weights import CensoringWeights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_CURVES = 12
_MAX_BANDS = 3
_BEYOND = 1.25  # nothing is asked of the curves after the horizon
_STYLES = ("-", ":", "-.")
_Y_LABELS = ("Share not yet censored", "Share without the event")


class _Drawn(NamedTuple):
    """A curve, what it is of, and whether others are to be seen before it."""

    curve: StepFunction
    of: str = "censoring"
    is_backdrop: bool = False


def curve_plot(
    curves: Any,
    *,
    X: Any = None,
    horizon: float | None = None,
    level: float | None = 0.95,
    unit: str | None = None,
    title: str | None = None,
) -> Figure:
    r"""Draw survival curves of censoring, :math:`G(u | x)`, as steps.

    Parameters
    ----------
    curves : StepFunction, fitted censoring model, CensoringWeights, or a mapping or sequence
        What to draw; the keys of a mapping are the labels. Of a model that depends on covariates
        its marginal curve and, with ``X``, the curve at each row are drawn.
    X : frame or array-like of shape (m, p), default=None
        A few points at which to draw conditional curves, at most 12 in all; a frame's index labels
        them.
    horizon : float, default=None
        A time to mark, a little after which the axis ends; by default the horizon of the weights.
    level : float or None, default=0.95
        Level of the pointwise intervals of curves that have standard errors; None draws none.
    unit : str, default=None
        Unit of time, for the axis.
    title : str, default=None
        Heading of the figure.

    Returns
    -------
    matplotlib Figure
        It does not belong to pyplot: nothing to close, no backend chosen.

    Raises
    ------
    ValueError
        If there is nothing to draw, or there are more than 12 curves.

    Examples
    --------
    >>> from trueness.censoring import KaplanMeierCensoring
    >>> from trueness.censoring.plots import curve_plot
    >>> model = KaplanMeierCensoring().fit(None, [1, 2, 3, 4], [1, 0, 1, 0])
    >>> len(curve_plot(model, horizon=3.5).axes)
    1
    """
    if level is not None:
        validation.check_level(level)
    drawn = _curves_of(curves, X)
    if not 1 <= len(drawn) <= _MAX_CURVES:
        raise ValueError(
            f"{len(drawn)} curves cannot be told apart in one figure; draw 1 to {_MAX_CURVES}."
        )
    if horizon is None:
        horizon = _horizon_of(curves)
    if len(drawn) > _MAX_BANDS or all(each.curve.std_errors is None for each in drawn.values()):
        level = None
    figure = new_figure(6.4, 4.2)
    ax = panels(figure, 1, 1)[0, 0]
    colors, styles = _looks(drawn)
    lasts = [_last(each.curve) for each in drawn.values()]
    end = max((last for last in lasts if np.isfinite(last)), default=1.0)
    if horizon is not None:
        end = min(end, _BEYOND * horizon)
    for (label, each), style in zip(drawn.items(), styles, strict=True):
        _draw_curve(ax, each.curve, end, colors[label], style, level)
    if horizon is not None:
        mark(ax, horizon, f"horizon {horizon:g}")
    ax.set_ylim(0.0, 1.02)
    ax.set_xlim(0.0, end * 1.02)
    finish(ax, time_label(unit), _Y_LABELS[{each.of for each in drawn.values()} == {"event"}])
    set_heading(figure, title)
    note = "" if level is None else f"Bands are pointwise {100 * level:g}% intervals."
    if len(drawn) > 1 or note:
        legend_below(figure, line_handles(colors, styles), 6.4, note)
    return figure


def _looks(drawn: Mapping[str, _Drawn]) -> tuple[dict[str, str], list[str]]:
    """Return colours and line styles: a marginal curve beside conditional ones is a backdrop."""
    front = [label for label, each in drawn.items() if not each.is_backdrop]
    colors = colors_of(front)
    styles = {label: _STYLES[i // 6] for i, label in enumerate(front)}  # colours repeat
    return {label: colors.get(label, GREY) for label in drawn}, [
        styles.get(label, "--") for label in drawn
    ]


def _curves_of(given: Any, X: Any) -> dict[str, _Drawn]:
    if isinstance(given, Mapping):
        items = [(str(label), value) for label, value in given.items()]
    elif isinstance(given, list | tuple):
        items = [("", value) for value in given]
    else:
        items = [("", given)]
    drawn: dict[str, _Drawn] = {}
    for label, value in items:
        for name, each in _of_one(value, X):
            heading = ", ".join(part for part in (label, name) if part)
            drawn[fresh(heading or f"curve {len(drawn) + 1}", drawn)] = each
    return drawn


def _of_one(value: Any, X: Any) -> list[tuple[str, _Drawn]]:
    """Return names and curves of one object."""
    if isinstance(value, CensoringWeights):
        value = value.model
    value = getattr(value, "censoring_model_", value)
    if isinstance(value, StepFunction):
        return [(value.label, _Drawn(value))]
    if not hasattr(value, "curve"):
        raise ValueError(
            f"A {type(value).__name__} is no curve and has none; pass a StepFunction, a fitted "
            "censoring model, or the result of censoring_weights."
        )
    of = getattr(value, "of", "censoring")
    if is_marginal(value):
        return [(value.name, _Drawn(value.curve(), of))]
    named = [("marginal", _Drawn(value.marginal_, of, is_backdrop=X is not None))]
    if X is not None:
        rows = validation.to_pandas(X)
        if isinstance(rows, pd.DataFrame):
            points = [(label, rows.iloc[[i]]) for i, label in enumerate(rows.index)]
        else:
            points = list(enumerate(np.atleast_2d(np.asarray(rows))))
        named += [(_point_name(label), _Drawn(value.curve(x), of)) for label, x in points]
    return named


def _point_name(label: Any) -> str:
    return f"row {label}" if isinstance(label, int | np.integer) else str(label)


def _horizon_of(curves: Any) -> float | None:
    several = curves if isinstance(curves, list | tuple) else [curves]
    for value in curves.values() if isinstance(curves, Mapping) else several:
        for name in ("horizon", "horizon_"):
            found = getattr(value, name, None)
            if isinstance(found, float | int):
                return float(found)
    return None


def _last(curve: StepFunction) -> float:
    return np.inf if curve.last is None else curve.last


def _draw_curve(
    ax: Axes, curve: StepFunction, end: float, color: str, style: str, level: float | None
) -> None:
    last = min(_last(curve), end)
    times = np.concatenate([[0.0], curve.times[curve.times <= last], [last]])
    heights = np.asarray(curve(times))
    ax.step(times, heights, where="post", color=color, lw=1.8, linestyle=style)
    if level is not None and curve.std_errors is not None and len(curve.times):
        limits = curve.conf_int(level)
        band: dict[str, Any] = {"step": "post", "color": color, "alpha": 0.15, "lw": 0}
        ends = np.append(curve.times, last)
        low, high = (np.append(v, v[-1]) for v in limits.to_numpy().T)
        ax.fill_between(ends, low, high, **band)
