"""What the weights of clicks can tell, and what clipping them costs and buys."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..weighting import concentration, quantiles
from .clicks import read_clicks
from .numerics.clipping import estimate_clipping
from .numerics.losses import LOSSES, Loss, pair_losses, risk_bias, risk_variance
from .propensity import resolve_propensity

Array = NDArray[np.float64]

LEAST_EFFECTIVE_SHARE = 0.3
LARGEST_SHARE = 0.05
_N_CLIPS = 25


@dataclass(frozen=True)
class WeightDiagnostics:
    r"""Numbers behind the weights :math:`w = 1/\max(\theta, M)` of clicks.

    Attributes
    ----------
    propensity : str
        Where the propensities come from.
    clip : float
        M.
    n_users, n_items, n_clicks : int
    n_silent_users, n_silent_items : int
        Those without a click.
    propensity_quantiles : dict
        Minimum, 1%, 5%, 25% and 50% of :math:`\theta` over the clicks.
    effective_size : float
        :math:`(\sum w)^2 / \sum w^2`, the number of equally weighted clicks that are worth as much.
    effective_share : float
        The same over the number of clicks.
    largest_weight : float
        Largest w; a single click counts as this many.
    largest_share, top_share : float
        Share of the largest weight, and of the largest hundredth, in their sum.
    n_clipped : int
        Clicks with :math:`\theta < M`.
    share_clipped : float
        Their share in the clicks.
    share_removed : float
        How much of :math:`\sum 1/\theta` clipping takes away: the bias it brings, as a share of the
        relevance.
    mean_relevance : float
        :math:`\sum 1/\theta` over the number of pairs, which estimates the share of relevant pairs
        and cannot exceed 1 if the propensities are right.
    alarms : tuple of str
        What should be looked at, in words.
    """

    propensity: str
    clip: float
    n_users: int
    n_items: int
    n_clicks: int
    n_silent_users: int
    n_silent_items: int
    propensity_quantiles: dict[str, float]
    effective_size: float
    effective_share: float
    largest_weight: float
    largest_share: float
    top_share: float
    n_clipped: int
    share_clipped: float
    share_removed: float
    mean_relevance: float
    alarms: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the single numbers as a frame with columns ``quantity`` and ``value``.

        Returns
        -------
        DataFrame
        """
        shown = {
            "propensity": self.propensity,
            "users": self.n_users,
            "items": self.n_items,
            "clicks": self.n_clicks,
            "users without a click": self.n_silent_users,
            "items without a click": self.n_silent_items,
            "least propensity of a click": self.propensity_quantiles["min"],
            "median propensity of a click": self.propensity_quantiles["50%"],
            "clip": self.clip,
            "clicks clipped": self.n_clipped,
            "share clipped": self.share_clipped,
            "share of the weight removed": self.share_removed,
            "effective size": self.effective_size,
            "effective share": self.effective_share,
            "largest weight": self.largest_weight,
            "largest weight's share": self.largest_share,
            "largest hundredth's share": self.top_share,
            "mean relevance": self.mean_relevance,
        }
        return pd.DataFrame({"quantity": list(shown), "value": list(shown.values())})


def weight_diagnostics(X: Any, propensity: Any = None, *, clip: float = 0.3) -> WeightDiagnostics:
    r"""Say what the weights of clicks are worth, before or after a fit.

    Parameters
    ----------
    X : ClickMatrix or sparse matrix of shape (n_users, n_items)
        Training clicks, 1 where there is one.
    propensity : None, str, float, array, PropensityModel or callable, default=None
        As in ``fit``; None is the power law of `PopularityPropensity`.
    clip : float, default=0.3
        M, from 0 (no clipping) to 1 (all clicks count the same).

    Returns
    -------
    WeightDiagnostics

    Raises
    ------
    ValueError
        If X, a propensity or the clip is not allowed.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from trueness.feedback import weight_diagnostics
    >>> clicks = csr_matrix([[1, 1, 0], [1, 0, 1]])
    >>> found = weight_diagnostics(clicks, [0.5, 0.1, 0.01], clip=0.05)
    >>> found.n_clipped, found.largest_weight, round(found.effective_size, 2)
    (1, 20.0, 2.28)
    """
    clicks = read_clicks(X)
    check_clip(clip)
    n_users, n_items = clicks.shape
    found = resolve_propensity(propensity, clicks)
    theta = found.at_clicks
    full, weight = 1.0 / theta, 1.0 / np.maximum(theta, clip)
    clipped = theta < clip
    numbers: dict[str, Any] = {
        "propensity": found.description,
        "clip": float(clip),
        "n_users": n_users,
        "n_items": n_items,
        "n_clicks": len(theta),
        "n_silent_users": int(np.sum(np.diff(clicks.indptr) == 0)),
        "n_silent_items": n_items - len(np.unique(clicks.indices)),
        "propensity_quantiles": quantiles(theta, (0.01, 0.05, 0.25, 0.5)),
        "largest_weight": float(weight.max()),
        "n_clipped": int(clipped.sum()),
        "share_clipped": float(clipped.mean()),
        "share_removed": float(1.0 - weight.sum() / full.sum()),
        "mean_relevance": float(full.sum() / (n_users * n_items)),
        **concentration(weight),
    }
    return WeightDiagnostics(**numbers, alarms=_alarms(numbers))


def _alarms(found: dict[str, Any]) -> tuple[str, ...]:
    """Say in words what should be looked at."""
    alarms = []
    n = found["n_clicks"]
    if found["effective_share"] < LEAST_EFFECTIVE_SHARE:
        alarms.append(
            f"{n:,} clicks are worth only {found['effective_size']:,.1f} equally weighted ones: "
            "raise clip"
        )
    # Among few clicks any single one has a large share.
    if found["largest_share"] > max(LARGEST_SHARE, 5.0 / n):
        alarms.append(f"one click has {found['largest_share']:.1%} of all weight")
    if n > 1 and found["n_clipped"] == n and found["clip"] < 1.0:
        alarms.append(
            f"clip={found['clip']:g} exceeds the propensities of all clicks, so that all weigh the "
            "same and nothing but the scale is corrected: lower clip"
        )
    if found["mean_relevance"] > 1.0:
        alarms.append(
            f"by these propensities {found['mean_relevance']:.2f} of the pairs are relevant, more "
            "than there are: they are too small"
        )
    return tuple(alarms)


def bias_variance_path(
    X: Any,
    propensity: Any = None,
    *,
    clips: ArrayLike | None = None,
    scores: ArrayLike = 0.0,
    loss: Loss = "squared",
    relevance: ArrayLike | None = None,
) -> pd.DataFrame:
    r"""Predict bias and variance of the clipped loss along ``clip``.

    With :math:`d = \delta_1 - \delta_0` at the scores and :math:`\bar\theta = \max(\theta, M)`

    .. math::

        \text{bias} = |D|^{-1}\sum_{\theta < M} \gamma\,(\theta/M - 1)\,d, \qquad
        \text{variance} = |D|^{-2}\sum_D \frac{\theta\gamma(1 - \theta\gamma)}{\bar\theta^2}\,d^2 .

    Both are estimated from the clicks, or computed if the relevance :math:`\gamma` is known.

    Parameters
    ----------
    X : ClickMatrix or sparse matrix of shape (n_users, n_items)
        Training clicks, 1 where there is one.
    propensity : None, str, float, array, PropensityModel or callable, default=None
        As in ``fit``. With ``relevance`` it must give a value for every pair, not only for clicks:
        a number or an array.
    clips : array-like of shape (m,), default=None
        Values of M from 0 to 1. By default 25 from the least propensity of a click, below which
        nothing is clipped, to 1.
    scores : array-like of shape (n_users, n_items), or float, default=0.0
        At which the loss is looked at. At 0, with the squared loss, d = 1: the bias is then minus
        the share of relevance that clipping removes.
    loss : {"squared", "squared_sigmoid", "cross_entropy"}, default="squared"
    relevance : array-like of shape (n_users, n_items), default=None
        :math:`\gamma`, known in simulations.

    Returns
    -------
    DataFrame
        One row for each clip: ``clip``, ``share_clipped`` and ``effective_size`` of the clicks,
        ``bias``, ``bias_error`` (its own standard error; 0 if the relevance is known), ``std`` (the
        root of the variance) and ``rmse``, :math:`\sqrt{\text{bias}^2 + \text{variance}}`, where
        the squared bias is less what its error adds, but not below 0.

    Raises
    ------
    ValueError
        If an argument is not allowed or shapes do not fit.

    Notes
    -----
    The path is of the loss at fixed scores. A fit moves to where the noise of the loss makes it
    small, so that the best clip of a fit is often larger than the one with the least ``rmse``.

    Examples
    --------
    >>> from trueness.feedback import bias_variance_path
    >>> from trueness.simulations import make_clicks
    >>> sample = make_clicks(random_state=0)
    >>> path = bias_variance_path(sample.observed["X"], sample.complete.propensity, clips=[0, 0.1])
    >>> path[["clip", "bias", "std"]].round(3)
       clip   bias    std
    0   0.0  0.000  0.009
    1   0.1 -0.086  0.003
    """
    clicks = read_clicks(X)
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r} is unknown; choose one of {', '.join(map(repr, LOSSES))}.")
    found = resolve_propensity(propensity, clicks)
    theta = found.at_clicks
    grid = _read_clips(clips, theta)
    table = np.asarray(scores, dtype=float)
    if table.ndim and table.shape != clicks.shape:
        raise ValueError(f"scores have shape {table.shape}, the clicks {clicks.shape}.")
    if relevance is None:
        users = np.repeat(np.arange(clicks.shape[0]), np.diff(clicks.indptr))
        at_clicks = table[users, clicks.indices] if table.ndim else table
        one, zero = pair_losses(at_clicks, loss)
        slope = np.broadcast_to(one - zero, theta.shape)
        path = estimate_clipping(theta, slope, grid, clicks.shape[0] * clicks.shape[1])
        bias, noise, variance = path
    else:
        gamma = np.asarray(relevance, dtype=float)
        if gamma.shape != clicks.shape:
            raise ValueError(f"relevance has shape {gamma.shape}, the clicks {clicks.shape}.")
        pairs = _at_all_pairs(propensity, found.items, clicks.shape)
        known: Any = {"scores": np.broadcast_to(table, gamma.shape), "loss": loss}
        bias = np.array([risk_bias(gamma, pairs, clip=float(m), **known) for m in grid])
        variance = np.array([risk_variance(gamma, pairs, clip=float(m), **known) for m in grid])
        noise = np.zeros(len(grid))
    frame = pd.DataFrame(
        {
            "clip": grid,
            "share_clipped": [float(np.mean(theta < m)) for m in grid],
            "effective_size": [
                concentration(1.0 / np.maximum(theta, m))["effective_size"] for m in grid
            ],
            "bias": bias,
            "bias_error": np.sqrt(noise),
            "std": np.sqrt(variance),
            "rmse": np.sqrt(np.maximum(bias**2 - noise, 0.0) + variance),
        }
    )
    frame.attrs["n_clicks"] = len(theta)
    return frame


def _read_clips(clips: ArrayLike | None, theta: Array) -> Array:
    if clips is None:
        least = float(theta.min())
        return np.ones(1) if least == 1.0 else np.geomspace(least, 1.0, _N_CLIPS)
    grid = np.atleast_1d(np.asarray(clips, dtype=float))
    if grid.ndim != 1 or not len(grid):
        raise ValueError(f"clips must be a list of numbers, got shape {grid.shape}.")
    for clip in grid:
        check_clip(float(clip), "clips")
    return grid


def check_clip(clip: Any, name: str = "clip") -> None:
    """Raise unless a clip is from 0 to 1."""
    is_number = isinstance(clip, Real) and not isinstance(clip, bool)
    if not is_number or not 0.0 <= clip <= 1.0:
        raise ValueError(
            f"{name}={clip!r} is not allowed: it is the least propensity that is believed, from 0 "
            "(none is clipped) to 1 (all clicks count the same)."
        )


def _at_all_pairs(given: Any, items: Array | None, shape: tuple[int, int]) -> Array:
    if items is not None:
        return np.broadcast_to(items, shape)
    if given is None or isinstance(given, str) or not hasattr(given, "__len__"):
        raise ValueError(
            "With relevance, propensity must be a number or an array: it is needed for pairs "
            "without a click, too."
        )
    return np.broadcast_to(np.asarray(given, dtype=float), shape)
