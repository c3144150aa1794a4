"""Censoring that does not depend on covariates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numerics.curves import at_rows, evaluate, without_one
from ..numerics.local import sort_rows, without_own_group
from ..steps import StepFunction
from ..targets import CensoredRows
from .base import Array, CensoringModel, Codes, Curves, Of, Side


class KaplanMeierCensoring(CensoringModel):
    r"""Kaplan-Meier curve of censoring, for censoring that does not depend on covariates.

    .. math::

        \hat G(u) = \prod_{v \le u} \Bigl(1 - \frac{D_c(v)}{R(v) - D_e(v)}\Bigr)

    over censoring times v, with :math:`D_c` rows censored, :math:`D_e` events and :math:`R` rows
    under observation. Events at v happen before censorings at v, so that
    :math:`\hat S(u) \hat G(u)` is the share of rows beyond u, ties or not, and weights
    :math:`d_i / (n \hat G(t_i-))` are the jumps of the Kaplan-Meier curve of the event.

    Parameters
    ----------
    leave_one_out : bool, default=False
        Whether a training row's own curve is made without the row (with ``clusters``: without its
        cluster). The identity above holds without it only.
    of : {"censoring", "event"}, default="censoring"
        Whose survival is estimated.

    Attributes
    ----------
    last_time_ : float
        Last time of which the data say anything.
    rows_ : CensoredRows
        What the model was fitted to.

    References
    ----------
    Kaplan, E. L. and Meier, P. (1958). Nonparametric estimation from incomplete observations.
    *Journal of the American Statistical Association* 53(282), 457-481.
    https://doi.org/10.1080/01621459.1958.10501452

    Satten, G. A. and Datta, S. (2001). The Kaplan-Meier estimator as an
    inverse-probability-of-censoring weighted average. *The American Statistician* 55(3), 207-210.
    https://doi.org/10.1198/000313001317098185

    Examples
    --------
    >>> from trueness.censoring import KaplanMeierCensoring
    >>> time, event = [1, 2, 2, 3, 4, 4, 5, 6], [1, 1, 0, 0, 1, 0, 1, 0]
    >>> model = KaplanMeierCensoring().fit(None, time, event)
    >>> model.survival(None, [2.0, 3.0, 4.0], side="left").round(4).tolist()
    [1.0, 0.8333, 0.6667]
    """

    _needs_covariates = False

    def __init__(self, *, leave_one_out: bool = False, of: Of = "censoring") -> None:
        self.leave_one_out = leave_one_out
        self.of = of

    @property
    def name(self) -> str:
        """Words for headers."""
        return "Kaplan-Meier" + (", leave-one-out" if self.leave_one_out else "")

    def _fit(self, X: Any, rows: CensoredRows) -> None:
        """Nothing is left to do: every model has this curve beside its own."""

    @property
    def curve_(self) -> StepFunction:
        """The curve with Greenwood's standard errors."""
        return self.marginal_

    def curve(self, x: Any = None) -> StepFunction:
        """Return the curve with Greenwood's standard errors.

        Parameters
        ----------
        x : object, default=None
            Ignored.

        Returns
        -------
        StepFunction
        """
        return self.curve_

    def _curves(self, X: Any, times: Array, side: Side) -> Curves:
        return Curves(self.marginal(times, side))

    def _training_curves(self, rows: Codes, times: Array, side: Side) -> Curves:
        if not self.leave_one_out:
            return Curves(self._at(self._values, rows, times, side))
        own = self.rows_
        constant = own.weight is None or (own.weight == own.weight[0]).all()
        shared = own.entry is None and own.clusters is None and constant
        row_times = own.time[rows, None]
        inside = (times < row_times) if side == "right" else (times <= row_times)
        if shared and np.broadcast_to(inside, (len(rows), times.shape[1])).all():
            weight = 1.0 if own.weight is None else float(own.weight[0])
            return Curves(self._at(without_one(self._counts, self.of, weight), rows, times, side))
        order = sort_rows(own.time, own.event, own.weight, own.entry, self.of)
        groups = np.arange(len(own)) if own.clusters is None else own.clusters
        return Curves(without_own_group(order, groups, rows, times, side))

    def _at(self, values: Array, rows: Codes, times: Array, side: Side) -> Array:
        """Evaluate a curve; the rows' own times need no search."""
        if times.shape != (len(rows), 1):
            return evaluate(self._counts.times, values, times, side)
        codes, own = self._counts.codes, self.rows_.time
        if len(rows) < len(own):
            codes, own = codes[rows], own[rows]
        found = at_rows(values, codes, side)
        other = np.flatnonzero(times[:, 0] != own)
        if len(other):
            found[other] = evaluate(self._counts.times, values, times[other, 0], side)
        return found[:, None]
