"""What weights against censoring can tell about themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_EFFECTIVE_SHARE = 0.3
LARGEST_SHARE = 0.05
LEAST_SURVIVAL = 0.05
SUM_WARNING = 0.05
SUM_ALARM = 0.10


class CensoringWarning(UserWarning):
    """Something about censored durations or their model is not as it should be."""


class PositivityWarning(CensoringWarning):
    """Some rows had hardly a chance of being seen to the end; weights are few, large or floored."""


class HorizonWarning(CensoringWarning):
    """The target reaches beyond what the data identify."""


class DependenceTest(NamedTuple):
    """Likelihood-ratio test of a Cox model of censoring against no covariates.

    It has no power against dependence that is not monotone, so that a large p-value is no proof.

    Attributes
    ----------
    statistic : float
    df : int
    p_value : float
    n_rows : int
        Rows that were used, at most 5,000.
    """

    statistic: float
    df: int
    p_value: float
    n_rows: int


@dataclass(frozen=True)
class CensoringDiagnostics:
    r"""Numbers behind weights against censoring.

    Attributes
    ----------
    model : str
        The model of censoring.
    n_rows, n_events, n_censored, n_known : int
        Rows; known ones have a target that censoring left visible.
    horizon : float, or None
    survival_at_horizon : float
        Marginal :math:`\hat G(\tau-)`; at the largest known time where there is no horizon.
    survival_quantiles : dict
        Minimum, 1%, 5%, 25% and 50% of :math:`\hat G` over the known rows, before floors.
    effective_size : float
        :math:`(\sum w)^2 / \sum w^2`.
    effective_share : float
        The same over the number of known rows.
    largest_share, top_share : float
        Share of the largest weight, and of the largest hundredth, in their sum.
    weight_sum : float
        Sum of the weights before normalisation and floors: one in expectation with a horizon and
        the right model.
    floor : float
        Smallest survival that was allowed.
    n_floored : int
        Known rows below it.
    floored_share : float
        Their share in the sum of the weights.
    n_fallback : int
        Known rows with no survival or hardly a neighbour, which got the marginal curve.
    fallback_share : float
        Their share in the sum of the weights.
    neighbors : dict
        Minimum, 5% and 50% of the effective number of neighbours; empty for global models.
    balance : DataFrame, or None
        For every covariate its mean over all rows, over known rows, and over known rows with
        weights; ``before`` and ``after`` are differences from the first in standard deviations.
    dependence : DependenceTest, or None
        Whether censoring depends on covariates.
    selection : DataFrame, or None
        What the model was chosen from, with leave-one-out Brier scores.
    event_given : bool
        False if durations came without events and were taken for complete.
    alarms : tuple of str
        What should be looked at, in words.
    """

    model: str
    n_rows: int
    n_events: int
    n_censored: int
    n_known: int
    horizon: float | None
    survival_at_horizon: float
    survival_quantiles: dict[str, float]
    effective_size: float
    effective_share: float
    largest_share: float
    top_share: float
    weight_sum: float
    floor: float = 0.0
    n_floored: int = 0
    floored_share: float = 0.0
    n_fallback: int = 0
    fallback_share: float = 0.0
    neighbors: dict[str, float] = field(default_factory=dict)
    balance: pd.DataFrame | None = None
    dependence: DependenceTest | None = None
    selection: pd.DataFrame | None = None
    event_given: bool = True
    alarms: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the single numbers as a frame with columns ``quantity`` and ``value``.

        Returns
        -------
        DataFrame
        """
        shown = {
            "model of censoring": self.model,
            "rows": self.n_rows,
            "events": self.n_events,
            "censored": self.n_censored,
            "known rows": self.n_known,
            "horizon": self.horizon,
            "marginal survival at horizon": self.survival_at_horizon,
            "least survival": self.survival_quantiles.get("min", np.nan),
            "effective size": self.effective_size,
            "effective share": self.effective_share,
            "largest weight's share": self.largest_share,
            "largest hundredth's share": self.top_share,
            "sum of weights": self.weight_sum,
            "floor": self.floor,
            "rows floored": self.n_floored,
            "rows with the marginal curve": self.n_fallback,
        }
        return pd.DataFrame({"quantity": list(shown), "value": list(shown.values())})


def balance_table(
    design: Array, names: tuple[str, ...], known: Mask, weight: Array, case: Array
) -> pd.DataFrame:
    r"""Compare means of covariates over all rows with those over known rows.

    Parameters
    ----------
    design : ndarray of shape (n, q)
    names : tuple of str
    known : ndarray of bool of shape (n,)
    weight : ndarray of shape (n,)
        Weights against censoring times case weights; zero where a row is not known.
    case : ndarray of shape (n,)
        Case weights.

    Returns
    -------
    DataFrame
    """
    share = case / case.sum()
    everyone = share @ design
    spread = np.sqrt(share @ (design - everyone) ** 2)
    spread[spread == 0.0] = np.nan
    seen = np.average(design[known], axis=0, weights=case[known])
    weighted = np.average(design[known], axis=0, weights=weight[known])
    return pd.DataFrame(
        {
            "covariate": names,
            "mean": everyone,
            "known": seen,
            "weighted": weighted,
            "before": (seen - everyone) / spread,
            "after": (weighted - everyone) / spread,
        }
    )


def find_alarms(diagnostics: CensoringDiagnostics) -> tuple[str, ...]:
    """Say in words what in the diagnostics should be looked at.

    Parameters
    ----------
    diagnostics : CensoringDiagnostics

    Returns
    -------
    tuple of str
        Without end, to be joined by semicolons.
    """
    alarms = []
    d = diagnostics
    if d.n_fallback:
        alarms.append(
            f"{d.n_fallback:,} of {d.n_known:,} known rows have zero survival of censoring or too "
            "few neighbours and were given the marginal curve"
        )
    if d.n_floored:
        alarms.append(
            f"{d.n_floored:,} of {d.n_known:,} known rows had a survival of censoring below the "
            f"floor {d.floor:.3g} ({d.floored_share:.1%} of the weight)"
        )
    least = d.survival_quantiles["min"]
    if least < LEAST_SURVIVAL and not d.n_floored:
        alarms.append(f"the survival of censoring falls to {least:.2g} among known rows")
    if d.effective_share < LEAST_EFFECTIVE_SHARE:
        alarms.append(
            f"{d.n_known:,} known rows are worth only {d.effective_size:.1f} equally weighted ones"
        )
    # In a small sample any single row has a large share.
    if d.largest_share > max(LARGEST_SHARE, 5.0 / d.n_known):
        alarms.append(f"one row has {d.largest_share:.1%} of all weight")
    gap = abs(d.weight_sum - 1.0)
    if gap > SUM_WARNING and d.horizon is not None:
        word = "far from" if gap > SUM_ALARM else "not quite"
        alarms.append(
            f"weights sum to {d.weight_sum:.3f}, {word} 1: a part of the population is not "
            "represented by known rows, or the model of censoring is wrong"
        )
    elif d.weight_sum < 1.0 - SUM_WARNING and d.horizon is None:
        alarms.append(
            f"the longest durations are censored, so that {1.0 - d.weight_sum:.1%} of all weight "
            "is missing and no mean is identified: set a horizon"
        )
    return tuple(alarms)
