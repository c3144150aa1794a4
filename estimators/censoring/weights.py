"""Inverse probability of censoring weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..validation.words import first_rows
from ..weighting import concentration, quantiles
from .diagnostics import CensoringDiagnostics, PositivityWarning, balance_table, find_alarms
from .horizon import Restricted, restrict
from .models.base import CensoringModel
from .models.covariates import Covariates
from .models.cox import horizon_given
from .models.resolve import resolve_model
from .numerics.curves import entered_before, normalized
from .targets import CensoredRows, read_rows

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]
Normalize = Literal["none", "hajek", "mean1"]
Positivity = Literal["raise", "warn", "ignore"]

MIN_NEIGHBORS = 5.0
CAP_QUANTILE = 0.99


@dataclass(frozen=True)
class CensoringWeights:
    r"""Weights of n rows and what they rest on.

    Attributes
    ----------
    weights : ndarray of shape (n,)
        Zero where the target is not known.
    target : ndarray of shape (n,)
        :math:`z_i = \min(t_i, \tau)`; the target itself where ``known``.
    known : ndarray of bool of shape (n,)
    survival : ndarray of shape (n,)
        :math:`\hat G(z_i- | x_i)` with floor and fallback, as it was used, times the probability
        of having entered where entry is delayed; NaN where the target is not known.
    horizon : float, or None
    model : CensoringModel
        Fitted.
    diagnostics : CensoringDiagnostics
    """

    weights: Array
    target: Array
    known: Mask
    survival: Array
    horizon: float | None
    model: Any
    diagnostics: CensoringDiagnostics


def censoring_weights(
    time: Any,
    event: Any,
    X: Any = None,
    *,
    model: Any = "km",
    horizon: Any = None,
    floor: float | Literal["auto", "quantile"] = "auto",
    normalize: Normalize = "none",
    entry: Any = None,
    sample_weight: Any = None,
    clusters: Any = None,
    positivity: Positivity = "warn",
    min_neighbors: float = MIN_NEIGHBORS,
    event_level: Any = None,
    random_state: Any = None,
) -> CensoringWeights:
    r"""Weigh rows with known durations so that they stand for the censored ones too.

    .. math::

        W_i = \frac{k_i}{n\, \hat G(z_i- | x_i)}, \qquad z_i = \min(t_i, \tau), \quad
        k_i = 1\{d_i = 1 \text{ or } t_i \ge \tau\}

    so that :math:`\sum_i W_i \phi(x_i, z_i)` estimates :math:`E\,\phi(X, \min(Y, \tau))` if the
    duration Y and the censoring time C are independent given X, and
    :math:`P(C \ge \min(Y, \tau) | X) > 0`. With the default model and ``floor=0`` the weights are
    the jumps of the Kaplan-Meier curve, ties or not.

    With ``entry`` the target is the whole population and not only those who lived to enter:
    weights are divided by the estimated probability of having entered before
    :math:`z_i`, taken to be independent of durations and covariates, and rows that entered after
    the horizon get none.

    Parameters
    ----------
    time : array-like of shape (n,)
        Time of the event or of censoring, whichever came first; in any unit.
    event : array-like of shape (n,)
        1 where the event was seen, 0 where the row was censored.
    X : array-like of shape (n, p) or frame, default=None
        Covariates on which censoring may depend.
    model : {"km", "auto", "beran", "neighbors", "forest", "cox"} or object, default="km"
        Model of censoring: a name; a `CensoringModel`; or any object with ``fit(X, time, event)``
        and ``survival(X, times, side)``, which is cross-fitted.
    horizon : float, "auto" or None, default=None
        The time :math:`\tau` at which durations are cut, in the unit of time. None leaves them
        uncut, which identifies a mean only where the longest durations are events.
    floor : float, "auto" or "quantile", default="auto"
        Least survival. "auto" is max(0.05, 1/sqrt(n)), 0 is none, "quantile" caps weights at
        their 99% quantile.
    normalize : {"none", "hajek", "mean1"}, default="none"
        Nothing; to sum 1; to mean 1 over the known rows, as learners expect.
    entry : array-like of shape (n,), default=None
        Time from which a row was under observation.
    sample_weight : array-like of shape (n,), default=None
        Case weights :math:`a_i`, which multiply the weights; n becomes their sum.
    clusters : array-like of shape (n,), default=None
        Rows that are left out together where a model leaves rows out.
    positivity : {"warn", "raise", "ignore"}, default="warn"
        What to do with known rows whose survival is zero, and with other alarms, which only warn.
    min_neighbors : float, default=5
        Known rows with fewer effective neighbours get the marginal curve.
    event_level : scalar, default=None
        The value of ``event`` that stands for the event, if it is not 0 and 1.
    random_state : int, Generator, RandomState or None, default=None
        For models named by a word.

    Returns
    -------
    CensoringWeights

    Raises
    ------
    ValueError
        If durations are missing or negative, events are not 0 and 1, no row is known, the horizon
        lies past the last time, or, with ``positivity="raise"``, survival is zero somewhere.

    Warns
    -----
    PositivityWarning
        If survival is zero or floored on known rows, few rows have most of the weight, or weights
        do not sum to one.

    References
    ----------
    Ausset, G., Clémençon, S. and Portier, F. (2022). Empirical risk minimization under random
    censorship. *Journal of Machine Learning Research* 23, 1-59. https://jmlr.org/papers/v23/19-450.html

    Stute, W. (1993). Consistent estimation under random censorship when covariables are present.
    *Journal of Multivariate Analysis* 45(1), 89-103. https://doi.org/10.1006/jmva.1993.1028

    Examples
    --------
    >>> from trueness.censoring import censoring_weights
    >>> time, event = [1, 2, 2, 3, 4, 4, 5, 6], [1, 1, 0, 0, 1, 0, 1, 0]
    >>> found = censoring_weights(time, event, horizon=4.5)
    >>> found.weights.round(4).tolist()
    [0.125, 0.125, 0.0, 0.0, 0.1875, 0.0, 0.2812, 0.2812]
    >>> float(found.weights @ found.target)  # the mean of min(Y, 4.5)
    3.65625
    """
    rows = read_rows(
        time,
        event,
        entry=entry,
        sample_weight=sample_weight,
        clusters=clusters,
        event_level=event_level,
    )
    choice = horizon_given(X, rows, horizon)
    fitted = resolve_model(
        model, has_covariates=X is not None, horizon=choice.value, random_state=random_state
    ).fit_rows(X, rows)
    return weigh(
        fitted,
        rows,
        restrict(rows, choice.value),
        X=X,
        floor=floor,
        normalize=normalize,
        positivity=positivity,
        min_neighbors=min_neighbors,
    )


def weigh(
    model: CensoringModel,
    rows: CensoredRows,
    restricted: Restricted,
    *,
    X: Any = None,
    floor: float | Literal["auto", "quantile"] = "auto",
    normalize: Normalize = "none",
    positivity: Positivity = "warn",
    min_neighbors: float = MIN_NEIGHBORS,
) -> CensoringWeights:
    """Weigh the training rows of a fitted model.

    Parameters
    ----------
    model : CensoringModel
        Fitted to ``rows``.
    rows : CensoredRows
    restricted : Restricted
        Targets, from ``trueness.censoring.horizon.restrict`` or its relatives.
    X : array-like of shape (n, p) or frame, default=None
        Covariates for balance and test; neither is made without them.
    floor, normalize, positivity, min_neighbors
        See `censoring_weights`.

    Returns
    -------
    CensoringWeights

    Raises
    ------
    ValueError
        If no row is known, or survival is zero somewhere and ``positivity="raise"``.
    """
    _check_options(normalize, positivity)
    known = _countable(rows, restricted)
    found = np.flatnonzero(known)
    _check_known(found, rows, restricted.horizon)
    at = restricted.at[found]
    chance, fallback, support = _survival(model, restricted.at, found, min_neighbors)
    if fallback.any() and positivity == "raise":
        raise ValueError(
            f"The survival of censoring is zero, or has too few neighbours to be estimated from, "
            f"on {fallback.sum():,} of {len(found):,} known rows "
            f"({first_rows(_spread(fallback, found, len(rows)))}): rows like these are always "
            "censored earlier. Choose a smaller horizon, a model that smooths more, or "
            "positivity='warn' for the marginal curve there."
        )
    least = _floor(floor, len(rows), chance)
    _check_positive(chance, least, found, len(rows))
    used = np.maximum(chance, least)
    share: Any = 1.0 / len(rows)
    if rows.weight is not None:
        share = rows.weight[found] / rows.weight.sum()
    if rows.entry is not None:
        entered = entered_before(at, rows.time, rows.event, rows.entry, rows.weight)
        chance, used = chance * entered, used * entered
    kept = share / used
    weight = _spread(kept, found, len(rows))
    diagnostics = CensoringDiagnostics(
        model=model.name,
        n_rows=len(rows),
        n_events=rows.n_events,
        n_censored=rows.n_censored,
        n_known=len(found),
        horizon=restricted.horizon,
        survival_at_horizon=_at_horizon(model, restricted.horizon, at),
        survival_quantiles=quantiles(chance, (0.01, 0.05, 0.25, 0.5)),
        **concentration(kept),
        weight_sum=float(np.sum(share / chance)) if (chance > 0.0).all() else np.inf,
        floor=least,
        **_touched("floored", used > chance, kept),
        **_touched("fallback", fallback, kept),
        neighbors={} if support is None else quantiles(support, (0.05, 0.5)),
        balance=None if X is None else _balance(X, rows, known, weight),
        dependence=None if X is None else model.dependence(X),
        selection=getattr(model, "selection_", None),
    )
    diagnostics = replace(diagnostics, alarms=find_alarms(diagnostics))
    if diagnostics.alarms and positivity == "warn":
        warnings.warn(
            f"Weights against censoring ({model.name}): " + "; ".join(diagnostics.alarms) + ".",
            PositivityWarning,
            stacklevel=3,
        )
    return CensoringWeights(
        normalized(weight, known, normalize),
        restricted.target,
        known,
        _spread(used, found, len(rows), np.nan),
        restricted.horizon,
        model,
        diagnostics,
    )


def _countable(rows: CensoredRows, restricted: Restricted) -> Mask:
    """Return whether a row's target is known and its weight not zero."""
    known = restricted.known
    if rows.entry is not None:
        # Who entered later was not under observation at the row's time.
        known = known & (rows.entry < restricted.at)
    return known if rows.weight is None else known & (rows.weight > 0.0)


def _spread(values: Any, found: Codes, n: int, fill: Any = 0) -> Any:
    """Return values at their rows, and ``fill`` elsewhere."""
    spread = np.full(n, fill, dtype=values.dtype)
    spread[found] = values
    return spread


def _touched(name: str, mask: Mask, kept: Array) -> dict[str, Any]:
    """Count rows of a kind and their share in the weights."""
    share = float(kept[mask].sum() / kept.sum()) if mask.any() else 0.0
    return {f"n_{name}": int(mask.sum()), f"{name}_share": share}


def _check_options(normalize: str, positivity: str) -> None:
    for name, value, choices in (
        ("normalize", normalize, ("none", "hajek", "mean1")),
        ("positivity", positivity, ("warn", "raise", "ignore")),
    ):
        if value not in choices:
            raise ValueError(f"{name}={value!r} must be one of {', '.join(map(repr, choices))}.")


def _check_known(found: Codes, rows: CensoredRows, horizon: float | None) -> None:
    if len(found):
        return
    n = len(rows)
    if horizon is not None:
        raise ValueError(
            f"All {n:,} rows are censored before the horizon {horizon:g}: no duration up to it is "
            f"known. The last is censored at {rows.time.max():g}; choose a smaller horizon."
        )
    raise ValueError(
        f"No row has its event: all {n:,} are censored, so that no duration is known. Is 1 the "
        "event and 0 censored? Otherwise set event_level=, or a horizon that some rows reach."
    )


def _check_positive(chance: Array, least: float, found: Codes, n: int) -> None:
    wrong = chance <= 0.0
    if least > 0.0 or not wrong.any():
        return
    raise ValueError(
        f"Even the marginal survival of censoring is zero on {wrong.sum():,} known rows "
        f"({first_rows(_spread(wrong, found, n))}): with delayed entry nobody was left under "
        "observation earlier. Set a floor, or a smaller horizon."
    )


def _survival(
    model: CensoringModel, at: Array, found: Codes, min_neighbors: float
) -> tuple[Array, Mask, Array | None]:
    """Return survival with the marginal curve where there is none, these rows, and neighbours."""
    curves = model.training_curves(at, side="left", rows=found)
    chance = curves.values[:, 0].copy()
    fallback = chance <= 0.0
    if curves.support is not None:
        fallback |= curves.support < min_neighbors
    if fallback.any():
        chance[fallback] = model.marginal(at[found[fallback]], "left")
    return chance, fallback, curves.support


def _floor(floor: Any, n_rows: int, survived: Array) -> float:
    if isinstance(floor, str):
        if floor == "auto":
            return max(0.05, 1.0 / np.sqrt(n_rows))
        if floor == "quantile":
            return float(1.0 / np.quantile(1.0 / survived, CAP_QUANTILE))
        raise ValueError(f"floor={floor!r} must be 'auto', 'quantile', or a number from 0 to 1.")
    if not 0.0 <= floor < 1.0:
        raise ValueError(f"floor={floor} must lie between 0 (none) and 1.")
    return float(floor)


def _at_horizon(model: CensoringModel, horizon: float | None, at: Array) -> float:
    last = float(at.max()) if horizon is None else horizon
    return float(model.marginal(np.array([min(last, model.last_time_)]), "left")[0])


def _balance(X: Any, rows: CensoredRows, known: Mask, weight: Array) -> Any:
    learned = Covariates.learn(X, len(rows), rows.weight)
    design = learned.design(X, drop_first=True, standardize=False)
    return balance_table(design, learned.design_names, known, weight, rows.case_weight)
