"""Means of functions of censored durations by integrals over Kaplan-Meier curves."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ... import validation
from ...covariance import describe_covariance, meat
from ...inference import Estimates
from ...validation.frames import as_frame, check_rows
from ..diagnostics import HorizonWarning
from ..horizon import Restricted, choose_horizon, restrict
from ..metrics.referee import read_grid, take_rows
from ..numerics.curves import at_rows, count, evaluate, survival
from ..numerics.influence import marginal_terms
from ..targets import CensoredRows, read_target

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Functional = Callable[..., Any]

# Mass beyond the last event that is missing from an integral without horizon.
MISSING_MASS = 0.01


class Integral(NamedTuple):
    """An integral over one curve with its influence values.

    Attributes
    ----------
    params : ndarray of shape (k,)
    influence : ndarray of shape (n, k)
        Scaled so that outer products sum to n squared times the covariance.
    mass : float
        Sum of the weights.
    smallest : float
        Smallest censoring survival among the known rows.
    """

    params: Array
    influence: Array
    mass: float
    smallest: float


def km_integral(
    y: Any,
    functional: str | Functional = "mean",
    *,
    times: Any = None,
    horizon: Any = "auto",
    by: Any = None,
    X: Any = None,
    event: Any = None,
    sample_weight: Any = None,
    clusters: Any = None,
    normalize: Literal["none", "hajek"] = "none",
    names: Sequence[str] | None = None,
) -> Estimates:
    r"""Mean of any function of a censored duration, with standard errors.

    .. math::

        \hat\theta = \sum_i W_i\, \phi(x_i, z_i), \qquad W_i = \frac{k_i}{n\, \hat G(z_i-)},
        \qquad z_i = \min(t_i, \tau)

    with the Kaplan-Meier curve :math:`\hat G` of censoring, taken to be independent of duration
    and covariates; without covariates this is :math:`-\int \phi\, d\hat S`. The influence values
    are the exact derivatives in case weights,

    .. math::

        \psi_i = n W_i \phi_i - \hat\theta + (1 - d_i) f(t_i)
        - \sum_{v: i \text{ at risk}} f(v) \frac{D(v)}{R(v)}, \qquad
        f(v) = \frac{\sum_j n W_j \phi_j 1\{z_j > v\}}{R(v) - D(v)},

    with :math:`D(v)` censorings among :math:`R(v)` rows at risk of it, and the covariance is
    :math:`\sum_i \psi_i \psi_i' / n^2`. For survival probabilities it is Greenwood's.

    Parameters
    ----------
    y : structured array, frame, or array of shape (n,)
        Durations and events as made by `survival_target`; plain durations need ``event``.
    functional : {"mean", "survival"} or callable, default="mean"
        The restricted mean :math:`E \min(Y, \tau)`; the probabilities :math:`P(Y > u)` at
        ``times``; or a function of n durations :math:`z_i`, and of ``X`` if that is given, with
        values of shape (n,) or (n, k). It is called on all rows; values on rows that are not
        known are ignored.
    times : float or array of shape (m,), default=None
        u for "survival", in the unit of the durations.
    horizon : {"auto"}, float or None, default="auto"
        :math:`\tau`. "auto" takes the longest time with a censoring survival of 0.2 and 20 rows
        at risk, rounded down, if any row is censored. None integrates over the events alone.
        Survival probabilities need none.
    by : array, series or frame of shape (n,) or (n, q), default=None
        Groups; each has a curve of its own.
    X : array or frame of shape (n, p), default=None
        Second argument of a callable.
    event : array of shape (n,), default=None
        1 for an event, 0 for censoring, where ``y`` does not say.
    sample_weight : array of shape (n,), default=None
        Case weights, on any scale; rows of weight zero are left out.
    clusters : array or frame of shape (n,) or (n, 2), default=None
        Clusters for the standard errors.
    normalize : {"none", "hajek"}, default="none"
        "hajek" divides by :math:`\sum_i W_i`, which differs from 1 only without a horizon: then
        the mean is that of durations up to the last event.
    names : sequence of str of length k, default=None
        Names of the values.

    Returns
    -------
    Estimates
        One term for each value and group. A difference of groups is
        ``result.linear_combination("`group=b` - `group=a`")``.

    Raises
    ------
    ValueError
        If the input is invalid, there is delayed entry, or no row is known.

    Warns
    -----
    HorizonWarning
        If there is no horizon and more than a hundredth of the distribution lies beyond the last
        event.

    References
    ----------
    Stute, W. (1996). Distributional convergence under random censorship when covariables are
    present. Scandinavian Journal of Statistics 23(4), 461-471. https://www.jstor.org/stable/4616422

    Reid, N. (1981). Influence functions for censored data. Annals of Statistics 9(1), 78-92.
    https://doi.org/10.1214/aos/1176345334

    Examples
    --------
    >>> from trueness.censoring import km_integral, survival_target
    >>> y = survival_target([1, 2, 2, 3, 4, 4, 5, 6], [1, 1, 0, 0, 1, 0, 1, 0])
    >>> float(km_integral(y, horizon=4.5).params[0])
    3.65625
    >>> km_integral(y, "survival", times=[2, 4]).to_frame()[
    ...     ["term", "estimate", "std_error"]
    ... ].round(3)
       term  estimate  std_error
    0  S(2)     0.750      0.153
    1  S(4)     0.562      0.199
    """
    rows, event_given = read_target(y, event, sample_weight=sample_weight, clusters=clusters)
    if not event_given:
        raise ValueError(
            "Durations came without events, so that nothing is known about censoring. Pass a "
            "structured array or a frame with 'time' and 'event', or event=."
        )
    if rows.entry is not None:
        raise ValueError(
            "km_integral has no standard errors under delayed entry. Survival probabilities have "
            'them in KaplanMeierCensoring(of="event").fit(..., entry=...).curve_.'
        )
    if normalize not in ("none", "hajek"):
        raise ValueError(f"normalize={normalize!r} must be 'none' or 'hajek'.")
    labels, codes = _groups(by, len(rows))
    if rows.weight is not None and not rows.weight.all():
        kept = np.flatnonzero(rows.weight)
        rows, codes, X = rows.take(kept), codes[kept], take_rows(X, kept)
        present = np.unique(codes)
        labels = [labels[g] for g in present]
        codes = np.searchsorted(present, codes)
    is_survival = isinstance(functional, str) and functional == "survival"
    hajek = normalize == "hajek" and not is_survival  # one minus the mass of events is the curve
    tau: float | None
    if is_survival:
        grid = _survival_times(times, rows, codes, labels)
        restricted, values, tau = _survival_values(rows, grid)
        terms = [f"S({u:g})" for u in grid]
    else:
        if times is not None:
            raise ValueError('times belong to functional="survival".')
        tau = choose_horizon(horizon, rows).value
        restricted = restrict(rows, tau)
        values, terms = _values(functional, restricted.target, X)
    if names is not None:
        if len(names) != len(terms):
            raise ValueError(f"{len(names)} names were given for {len(terms)} values.")
        terms = [str(name) for name in names]

    found, influence = [], np.zeros((len(rows), len(labels) * len(terms)))
    for g, label in enumerate(labels):
        chosen = np.flatnonzero(codes == g)
        part = rows.take(chosen) if len(labels) > 1 else rows
        result = integrate(part, restricted.take(chosen), values[chosen], hajek=hajek)
        if is_survival:
            result = result._replace(params=1.0 - result.params, influence=-result.influence)
        elif tau is None:
            _check_mass(result.mass, label)
        share = len(rows) / len(chosen)
        columns = slice(g * len(terms), (g + 1) * len(terms))
        influence[chosen, columns] = share * result.influence
        found.append(result)
    return Estimates(
        np.concatenate([result.params for result in found]),
        meat(influence, rows.clusters) / len(rows) ** 2,
        _term_names(labels, terms),
        len(rows),
        influence,
        clusters=rows.clusters,
        header=_header(rows, restricted, tau, found),
        title="Kaplan-Meier integral",
    )


def integrate(
    rows: CensoredRows, restricted: Restricted, values: Array, *, hajek: bool = False
) -> Integral:
    r"""Integrate values over the Kaplan-Meier curve of some rows.

    Parameters
    ----------
    rows : CensoredRows
        With positive case weights.
    restricted : Restricted
    values : ndarray of shape (n, k)
        :math:`\phi_i`; ignored where a row is not known.
    hajek : bool, default=False
        Divide by the sum of the weights.

    Returns
    -------
    Integral

    Raises
    ------
    ValueError
        If no row is known or a value on a known row is not finite.
    """
    known, weight = restricted.known, rows.case_weight
    if not known.any():
        raise ValueError(
            f"None of {len(rows):,} rows is known: all are censored before the horizon."
        )
    wrong = known & ~np.isfinite(values).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"The functional is not finite on {wrong.sum():,} known rows "
            f"({validation.first_rows(wrong)})."
        )
    counts = count(rows.time, rows.event, rows.weight)
    curve = survival(counts)
    left = at_rows(curve, counts.codes, "left")
    moved = restricted.at != rows.time
    left[moved] = evaluate(counts.times, curve, restricted.at[moved], "left")
    inverse = np.divide(known, left, out=np.zeros(len(rows)), where=known)
    columns = np.column_stack([np.where(known[:, None], values, 0.0), np.ones(len(rows))])
    contributions = inverse[:, None] * columns
    terms = marginal_terms(contributions, restricted.at, rows.time, rows.event, weight=weight)
    share = weight / weight.mean()
    means = share @ contributions / len(rows)
    influence = share[:, None] * (contributions + terms - means)
    mass = float(means[-1])
    params, psi = means[:-1], influence[:, :-1]
    if hajek:
        params = params / mass
        psi = (psi - influence[:, -1:] * params) / mass
    return Integral(params, psi, mass, float(left[known].min()))


def _groups(by: Any, n_rows: int) -> tuple[list[str], Codes]:
    """Return labels of groups and the group of each row; one without a label if there are none."""
    if by is None:
        return [""], np.zeros(n_rows, dtype=np.intp)
    frame = as_frame(by, "by", "group")
    check_rows(len(frame), n_rows, "by")
    if frame.shape[1] == 1 and not hasattr(by, "columns") and getattr(by, "name", None) is None:
        frame.columns = pd.Index(["group"])
    missing = frame.isna().any(axis=1).to_numpy()
    if missing.any():
        raise ValueError(
            f"by is missing on {missing.sum():,} of {n_rows:,} rows "
            f"({validation.first_rows(missing)}). Give these rows a group of their own or remove "
            "them."
        )
    grouped = frame.groupby(list(frame.columns), sort=True, observed=True)
    numbers = grouped.ngroup().to_numpy().astype(np.intp)
    first = np.unique(numbers, return_index=True)[1]
    labels = [
        ", ".join(f"{name}={level}" for name, level in zip(frame.columns, row, strict=True))
        for row in frame.iloc[first].itertuples(index=False)
    ]
    return labels, numbers


def _survival_times(times: Any, rows: CensoredRows, codes: Codes, labels: list[str]) -> Array:
    if times is None:
        raise ValueError('functional="survival" needs times, in the unit of the durations.')
    grid = read_grid(times)
    for g, label in enumerate(labels):
        here = codes == g
        last = float(rows.time[here].max())
        # After the last time the curve is zero if all rows there had the event, else unknown.
        if grid[-1] > last and not rows.event[here & (rows.time == last)].all():
            raise ValueError(
                f"Survival at {grid[-1]:g} is not identified{_of(label)}: the last row is censored "
                f"at {last:g}, the largest time allowed."
            )
    return grid


def _survival_values(rows: CensoredRows, grid: Array) -> tuple[Restricted, Array, float]:
    """Return indicators of events by each time, and which of them are known at the last."""
    last = float(grid[-1])
    later = rows.time > last
    at = np.where(later, np.nextafter(last, np.inf), rows.time)
    by_then = rows.event[:, None] & (rows.time[:, None] <= grid)
    return Restricted(rows.time, rows.event | later, at, None), by_then.astype(float), last


def _values(functional: Any, durations: Array, X: Any) -> tuple[Array, list[str]]:
    if isinstance(functional, str):
        if functional != "mean":
            raise ValueError(f"functional={functional!r} must be 'mean', 'survival' or callable.")
        return durations[:, None], ["mean"]
    if not callable(functional):
        raise ValueError("functional must be 'mean', 'survival' or a function of durations.")
    values = np.asarray(functional(durations) if X is None else functional(durations, X), float)
    values = values.reshape(len(values), -1) if values.ndim else values
    if values.ndim != 2 or len(values) != len(durations):
        raise ValueError(
            f"The functional returned shape {values.shape} for {len(durations):,} rows; one row of "
            "values for each of them is needed."
        )
    if values.shape[1] == 1:
        return values, ["mean"]
    return values, [f"mean {j + 1}" for j in range(values.shape[1])]


def _check_mass(mass: float, label: str) -> None:
    if mass < 1.0 - MISSING_MASS:
        warnings.warn(
            f"{1.0 - mass:.1%} of the distribution{_of(label)} lies beyond the last event and is "
            "left out of the integral; set a horizon.",
            HorizonWarning,
            stacklevel=3,
        )


def _of(label: str) -> str:
    return f" of {label}" if label else ""


def _term_names(labels: list[str], terms: list[str]) -> tuple[str, ...]:
    if labels == [""]:
        return tuple(terms)
    if len(terms) == 1 and terms[0] == "mean":
        return tuple(labels)
    return tuple(f"{label}: {term}" for label in labels for term in terms)


def _header(
    rows: CensoredRows, restricted: Restricted, horizon: float | None, found: list[Integral]
) -> dict[str, str]:
    n = len(rows)
    facts = {
        "Rows": f"{n:,}",
        "Events": f"{rows.n_events:,} ({rows.n_events / n:.1%})",
        "Known": f"{int(restricted.known.sum()):,}",
        "Horizon": "none" if horizon is None else f"{horizon:g}",
        "Censoring": "Kaplan-Meier" + (", by group" if len(found) > 1 else ""),
        "Smallest censoring survival": f"{min(result.smallest for result in found):.3g}",
    }
    kind = "HC0" if rows.clusters is None else "CR0"
    facts["Covariance"] = describe_covariance(kind, rows.clusters, None)
    return facts
