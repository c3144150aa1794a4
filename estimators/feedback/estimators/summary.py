"""What a fit to clicks can tell about itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics.labels import Labels


@dataclass(frozen=True, repr=False)
class FitDiagnostics:
    r"""Numbers behind a fit to clicks.

    Attributes
    ----------
    n_users, n_items, n_clicks : int
    n_silent_users, n_silent_items : int
        Those without a click. Nothing is known of them, so that without biases all their scores
        are zero.
    propensity : str
        Where propensities come from.
    largest_weight : float
        Of a click, after clipping.
    effective_clicks : float
        :math:`(\sum w)^2 / \sum w^2` over the weights of clicks.
    mean_label : float
        Mean of the pseudo-labels over all pairs, which estimates the share of relevant pairs. One
        above 1 shows that propensities are too small.
    n_iter : int
    converged : bool
    """

    n_users: int
    n_items: int
    n_clicks: int
    n_silent_users: int
    n_silent_items: int
    propensity: str
    largest_weight: float
    effective_clicks: float
    mean_label: float
    n_iter: int
    converged: bool

    def __repr__(self) -> str:
        settled = "settled" if self.converged else "did not settle"
        silent = ""
        if self.n_silent_users or self.n_silent_items:
            silent = (
                f"\n{self.n_silent_users:,} users and {self.n_silent_items:,} items have no click"
            )
        return (
            f"{self.n_clicks:,} clicks of {self.n_users:,} users on {self.n_items:,} items{silent}"
            f"\npropensities: {self.propensity}"
            f"\nlargest weight of a click: {self.largest_weight:.4g}; clicks are worth "
            f"{self.effective_clicks:,.0f} of equal weight"
            f"\nestimated share of relevant pairs: {self.mean_label:.4g}"
            f"\nthe objective {settled} in {self.n_iter} iterations"
        )


def describe(labels: Labels, propensity: str, *, n_iter: int, converged: bool) -> FitDiagnostics:
    """Return the diagnostics of a fit to pseudo-labels."""
    by_item = np.diff(labels.item_indptr)
    if labels.item_values is not None:
        largest = labels.item_values[by_item > 0].max()
    else:
        assert labels.values is not None
        largest = labels.values.max()
    n_users, n_items = labels.shape
    return FitDiagnostics(
        n_users=n_users,
        n_items=n_items,
        n_clicks=labels.n_clicks,
        n_silent_users=int(np.count_nonzero(np.diff(labels.indptr) == 0)),
        n_silent_items=int(np.count_nonzero(by_item == 0)),
        propensity=propensity,
        largest_weight=float(largest),
        effective_clicks=labels.total() ** 2 / labels.sum_squares(),
        mean_label=labels.mean(),
        n_iter=n_iter,
        converged=converged,
    )
