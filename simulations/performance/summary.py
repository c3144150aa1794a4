"""Performance of each method in each cell of a simulation study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trueness.validation import check_level

from .frame import Study, read_study
from .groups import Groups, Mask
from .measures import Measure, all_measures
from .results import Performance, stack


def performance(
    frame: Any,
    by: Sequence[str] | str | None = None,
    *,
    level: float = 0.95,
    alpha: float = 0.05,
    converged_only: bool = False,
) -> Performance:
    r"""Summarise a simulation study: bias, spread, coverage and more, with Monte Carlo errors.

    With estimates :math:`\hat\theta_i`, standard errors :math:`SE_i`, intervals :math:`I_i` and
    the estimand :math:`\theta_i` (mostly the same in all replicates) of n replicates, and with
    errors :math:`e_i = \hat\theta_i - \theta_i`:

    ============================  =============================================================
    mean_estimate                 mean of :math:`\hat\theta_i`
    bias, median_bias             mean and median of :math:`e_i`
    relative_bias                 mean of :math:`e_i / \theta_i`; NaN where the estimand is zero
    empirical_se                  standard deviation s of :math:`e_i`, with divisor n - 1
    mad_se                        1.4826 times the median absolute deviation of :math:`e_i`
    model_se, median_se           root mean square and median of :math:`SE_i`
    se_ratio                      model_se / empirical_se
    mse, rmse                     mean of :math:`e_i^2`, and its root
    coverage                      share of :math:`I_i` that hold :math:`\theta_i`
    bias_eliminated_coverage      share of :math:`I_i` that hold :math:`\theta_i + \bar e`
    rejection_rate                share of p values up to alpha: the power, or the type I error
                                  where the tested hypothesis is true
    mean_width                    mean width of :math:`I_i`
    failures                      share of the replicates without a usable estimate
    nonconverged                  share of the replicates with an estimate that did not converge
    ============================  =============================================================

    A measure rests on the replicates that have what it needs (``n_used``), so that a method
    without standard errors has NaN coverage; failures are counted among all (``n_replicates``).

    Parameters
    ----------
    frame : DataFrame
        One row per cell x replicate x method x term, as a study returns it: columns replicate,
        method, term, estimate and, as far as there are any, estimand, std_error, conf_low,
        conf_high, p_value, converged. A failure is a row with term "" and estimate NaN. Columns
        that are not in the frame of a study are parameters of the grid.
    by : sequence of str or str, default=None
        Parameters of the grid that tell cells apart; all if None. Cells that agree in these are
        pooled, with the same weight for each replicate.
    level : float, default=0.95
        Nominal level of the intervals in the frame, for headings and reference lines.
    alpha : float, default=0.05
        Level of the tests, in (0, 1).
    converged_only : bool, default=False
        Count estimates that did not converge as failures.

    Returns
    -------
    Performance
        Prints itself as a table; ``to_frame()`` has every number.

    Raises
    ------
    TypeError
        If frame is no data frame.
    ValueError
        If a column is missing, reserved or of the wrong kind, if rows repeat, if an estimand is
        known in some replicates only, or if a parameter of this function is out of range.

    See Also
    --------
    compare_methods : Differences between methods that saw the same data.

    Notes
    -----
    Monte Carlo standard errors are those of [1]_ for means and shares. Those of spreads and of
    ratios of spreads use the fourth moments of the estimates and the covariance of estimates and
    standard errors, where [1]_ takes both from the normal distribution; the error of
    bias-eliminated coverage includes that of the mean; those of medians rest on the density
    around them. Pooled cells count as one, so that errors of pooled measures are too large
    rather than too small.

    References
    ----------
    .. [1] Morris, T. P., White, I. R. and Crowther, M. J. (2019). Using simulation studies to
       evaluate statistical methods. Statistics in Medicine 38, 2074-2102.
       :doi:`10.1002/sim.8086`

    Examples
    --------
    Mean and median of 20 numbers from a normal distribution, in 1000 replicates:

    >>> import numpy as np
    >>> import pandas as pd
    >>> from trueness.simulations.performance import performance
    >>> samples = np.random.default_rng(0).normal(loc=1, size=(1000, 20))
    >>> estimates = {"mean": samples.mean(axis=1), "median": np.median(samples, axis=1)}
    >>> frame = pd.concat(
    ...     pd.DataFrame({"replicate": range(1000), "method": name, "term": "mu", "estimate": x})
    ...     for name, x in estimates.items()
    ... )
    >>> result = performance(frame.assign(estimand=1.0))
    >>> print(result.summary(["bias", "empirical_se", "rmse"]))
    Performance over replicates
    ================================================================
    Term        mu                    Replicates  1,000
    ----------------------------------------------------------------
    Method      Bias   Emp. SE      RMSE
    ----------------------------------------------------------------
    mean     0.0047    0.2294    0.2294
            (0.0073)  (0.0048)  (0.0048)
    median  -0.0004    0.2748    0.2747
            (0.0087)  (0.0056)  (0.0056)
    ================================================================
    Monte Carlo standard errors in parentheses.
    """
    check_level(level)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} must lie between 0 and 1, for example 0.05.")
    study = read_study(frame, by, converged_only)
    measures = all_measures(study.replicates(study.usable), alpha) | failures(study)
    return Performance(
        frame=stack(study.keys, study.n_replicates, measures),
        parameters=study.parameters,
        measures=tuple(measures),
        level=level,
        alpha=alpha,
    )


def failures(study: Study) -> dict[str, Measure]:
    """Return the shares of the replicates without an estimate, and with one of no convergence."""
    known = np.isfinite(study.numbers["estimate"])
    return {
        "failures": _share(study, study.n_replicates - _count(study, study.usable)),
        "nonconverged": _share(study, _count(study, known & ~study.converged)),
    }


def _count(study: Study, rows: Mask) -> np.ndarray:
    return Groups(study.codes[rows], len(study.keys)).sizes


def _share(study: Study, count: np.ndarray) -> Measure:
    share = count / study.n_replicates
    return Measure(share, np.sqrt(share * (1 - share) / study.n_replicates), study.n_replicates)
