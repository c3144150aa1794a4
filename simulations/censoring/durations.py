"""Durations that are censored at random, or depending on covariates, with known regression."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ..checks import check_choices, check_range
from ..streams import RandomState, streams
from .laws import OUTCOMES, DurationLaw
from .oracle import KnownSurvival
from .quadrature import calibrate, truths

# How the log scale of censoring times moves with the first covariate.
_SLOPES = {"ind": 0.0, "pos": 1.5, "neg": -1.5}
DESIGNS = tuple(f"{outcome}_{dependence}" for outcome in OUTCOMES for dependence in _SLOPES)


def make_censored_durations(
    *,
    design: str = "exp_pos",
    n_rows: int = 1000,
    n_features: int = 4,
    level: float | None = 0.4,
    horizon: float = 3.0,
    time_unit: float | None = None,
    administrative: float | None = None,
    accrual: float = 0.0,
    lost_after: float | None = None,
    random_state: RandomState = None,
) -> Bunch:
    r"""Draw censored durations with a known regression function and a chosen share of censoring.

    Covariates are independent and uniform on (-1, 1). The duration is
    :math:`Y = \lambda(X) E^{1/k}` and, given X, independent of the censoring time
    :math:`C = c\, e^{s h(X_1)} E'`, with E and E' standard exponential. What is observed is
    :math:`\min(Y, C)` and whether :math:`Y \le C`; what is to be learned is

    .. math::

        m(x) = E[\min(Y, \tau) \mid X = x].

    Parameters
    ----------
    design : str, default="exp_pos"
        ``"exp"``, ``"wei"`` or ``"cos"`` for the duration, joined by an underscore to ``"ind"``,
        ``"pos"`` or ``"neg"`` for the censoring:

        * exp: k = 1, :math:`\log\lambda = x_1 - 0.5 x_2 + 0.5 x_3`, h(x) = x. Proportional hazards
          hold for both times.
        * wei: k = 2, :math:`\log\lambda = 0.8\sin(\pi x_1) + 0.5 x_2^2 - 0.3 x_3`, h(x) = x.
        * cos: k = 2, :math:`\log\lambda = 0.6\cos(\pi x_1) + 0.5 x_2 - 0.3 x_3`,
          :math:`h(x) = \cos\pi x`, which no proportional hazards model linear in x can follow.
        * ind: s = 0. pos: s = 1.5, rows that last long are observed long. neg: s = -1.5, rows that
          last long are censored early.
    n_rows : int, default=1000
        Number of rows.
    n_features : int, default=4
        Number of covariates, at least 1. Those beyond the third are noise; with fewer than three
        the missing ones are 0 in the formulas.
    level : float or None, default=0.4
        Share of rows, from 0 to 0.99, whose restricted duration is unknown,
        ``P(C < min(Y, horizon))``; the scale c is solved for it. None draws no E': nothing censors
        but what the arguments below say.
    horizon : float, default=3.0
        Positive time tau.
    time_unit : float or None, default=None
        Both times are rounded up to multiples of this, which makes ties. None keeps them
        continuous.
    administrative : float or None, default=None
        Positive time beyond which nobody is observed. At the horizon or later, with ``level=None``,
        every restricted duration is known and no weighting is needed; before the horizon m is not
        identified.
    accrual : float, default=0.0
        Rows enter uniformly over a period of this length, at most ``administrative``, at the end of
        which they are observed for ``administrative - accrual``. Used only with ``administrative``.
    lost_after : float or None, default=None
        Positive time beyond which no row with X1 > 0.5 (a quarter of them) is observed. Before the
        horizon it makes positivity fail: m is identified only for the others.
    random_state : int, SeedSequence, Generator or None, default=None
        The same integer or SeedSequence gives the same data; a Generator is advanced.
        Covariates, durations, censoring times and entries have their own streams, so that another
        level leaves covariates and durations as they are.

    Returns
    -------
    Bunch
        * ``observed``, keywords of ``fit``: ``X`` (columns x1, ...), ``y``, a structured array with
          the fields ``event`` and ``time``.
        * ``complete``: ``durations`` (Y), ``censoring_times`` (C), ``restricted``
          (min(Y, horizon)), ``known`` (whether it is observed), ``regression`` (m at the rows),
          ``censoring_survival`` (the probability that it is observed, given X and Y).
        * ``truth``, a dict: ``mean`` of min(Y, horizon), ``survival`` P(Y > horizon), ``median`` of
          Y, and the best linear prediction of min(Y, horizon), keys ``intercept``, ``x1``, ...;
          ``truth_error``, the error of the integrals.
        * ``law``, functions of covariates and times: ``regression``, ``survival``, ``quantile``,
          ``censoring_survival`` (see `trueness.simulations.censoring.DurationLaw`).
        * ``censoring_model`` and ``outcome_model``, the true survival curves of C and Y in the form
          that ``censoring=`` takes.
        * ``params``, the arguments without ``random_state``; ``DESCR``, this text.

    Raises
    ------
    ValueError
        If an argument is out of range, or the level cannot be reached.

    Notes
    -----
    The design mirrors the experiments of [1]_, error against sample size and against the share of
    censoring, whose settings are not public. m is known in closed form; the scale c and the truth
    are integrals over the covariates, by Gauss-Legendre quadrature.

    With ``design="exp_neg"`` and ``level=0.6`` rows that last long are hardly ever known, and
    weighting fails in practice although positivity holds on paper.

    References
    ----------
    .. [1] Ausset, G., Clémençon, S. and Portier, F. (2022). Empirical risk minimization under
       random censorship. *Journal of Machine Learning Research* 23, 1-59.
       https://doi.org/10.48550/arXiv.1906.01908

    Examples
    --------
    >>> from trueness.simulations import make_censored_durations
    >>> sample = make_censored_durations(design="exp_neg", n_rows=2000, random_state=0)
    >>> print(f"{1 - sample.complete.known.mean():.2f} {sample.truth['mean']:.3f}")
    0.42 1.020
    >>> naive = sample.observed["y"]["time"].clip(max=3.0).mean()
    >>> bool(naive < sample.truth["mean"] - 0.2)
    True
    """
    params = {name: value for name, value in locals().items() if name != "random_state"}
    _check(params)
    law = _law(params)
    for_x, for_y, for_c, for_entry = streams(random_state, 4)
    # Drawn column after column: further covariates leave the first ones as they are.
    x = for_x.uniform(-1.0, 1.0, size=(n_features, n_rows)).T
    y = law.durations(x, for_y.standard_exponential(n_rows))
    c = law.censoring_times(x, for_c.standard_exponential(n_rows), for_entry.random(n_rows))
    restricted = np.minimum(y, horizon)
    estimands = truths(law, n_features)
    return Bunch(
        observed={
            "X": pd.DataFrame(x, columns=[f"x{j + 1}" for j in range(n_features)]),
            "y": _structured(np.minimum(y, c), y <= c),
        },
        complete=Bunch(
            durations=y,
            censoring_times=c,
            restricted=restricted,
            known=restricted <= c,
            regression=law.regression(x),
            censoring_survival=law.censoring_survival(x, restricted, side="left"),
        ),
        truth={name: value for name, value, _ in estimands},
        truth_error={name: error for name, _, error in estimands},
        law=law,
        censoring_model=KnownSurvival(law, of="censoring"),
        outcome_model=KnownSurvival(law, of="event"),
        params=params,
        DESCR=inspect.getdoc(make_censored_durations),
    )


def _structured(time: Any, event: Any) -> Any:
    y = np.empty(len(time), dtype=[("event", bool), ("time", float)])
    y["event"], y["time"] = event, time
    return y


def _law(params: dict[str, Any]) -> DurationLaw:
    outcome, dependence = params["design"].split("_")
    parts = {name: params[name] for name in ("horizon", "time_unit", "administrative")}
    ends = {"accrual": params["accrual"], "lost_after": params["lost_after"]}
    law = DurationLaw(outcome, _SLOPES[dependence], np.nan, **parts, **ends)
    return calibrate(law, params["n_features"], params["level"])


def _check(params: dict[str, Any]) -> None:
    check_choices(params, {"design": DESIGNS})
    check_range("n_rows", params["n_rows"], 1)
    check_range("n_features", params["n_features"], 1)
    if params["level"] is not None:
        check_range("level", params["level"], 0.0, 0.99)
    for name in ("horizon", "time_unit", "administrative", "lost_after"):
        value = params[name]
        if value is not None or name == "horizon":
            check_range(name, value, 0.0)
            if not 0 < value < np.inf:
                raise ValueError(f"{name}={value!r} is not allowed; give a positive number.")
    if params["administrative"] is None:
        if params["accrual"] != 0:
            raise ValueError("accrual says when observation ends; give administrative, too.")
    else:
        check_range(
            "accrual", params["accrual"], 0.0, params["administrative"], " (administrative)"
        )
