"""Bootstrap by case weights: for estimates without influence values of their own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from ... import validation
from ...covariance import n_clusters
from ...crossfit import seed_sequence
from ...inference import Estimates

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Statistic = Callable[[Array], ArrayLike]

# Of the draws, more failures than this make the rest a selection.
LARGEST_FAILURE_SHARE = 0.1
# Draws between two settings of the thread pools, which take longer than a quick draw.
BATCH = 16


class BootstrapWarning(UserWarning):
    """Some bootstrap draws gave no estimate."""


@dataclass(frozen=True, eq=False)
class CaseWeightBootstrap:
    """Estimates with the spread of their bootstrap draws.

    Attributes
    ----------
    estimates : Estimates
        The estimates from the data, with the covariance of the draws.
    draws : ndarray of shape (n_boot, k)
        Bootstrapped estimates; NaN in rows that failed.
    n_failed : int
    """

    estimates: Estimates
    draws: Array
    n_failed: int

    def conf_int(
        self, level: float = 0.95, *, kind: Literal["normal", "percentile"] = "normal"
    ) -> pd.DataFrame:
        """Return confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level in (0, 1).
        kind : {"normal", "percentile"}, default="normal"
            Estimate and multiples of the bootstrap standard error, or quantiles of the draws,
            which in small samples cover less.

        Returns
        -------
        DataFrame with the terms as index and columns ``conf_low`` and ``conf_high``.

        Raises
        ------
        ValueError
            If ``kind`` is neither.
        """
        if kind == "normal":
            return self.estimates.conf_int(level)
        if kind != "percentile":
            raise ValueError(f"kind={kind!r} is not one of 'normal', 'percentile'.")
        tail = (1.0 - validation.check_level(level)) / 2.0
        low, high = np.nanquantile(self.draws, [tail, 1.0 - tail], axis=0)
        return pd.DataFrame({"conf_low": low, "conf_high": high}, index=self._terms())

    def _terms(self) -> pd.Index[Any]:
        return pd.Index(self.estimates.names, name="term")


def case_weight_bootstrap(
    statistic: Statistic,
    n_rows: int,
    *,
    names: Sequence[str] | None = None,
    clusters: Any = None,
    n_boot: int = 200,
    random_state: Any,
    n_jobs: int | None = None,
    title: str = "Bootstrap by case weights",
) -> CaseWeightBootstrap:
    r"""Bootstrap a statistic that takes case weights.

    Each draw gives the rows multinomial weights :math:`a^* \sim M(n; 1/n, \ldots, 1/n)`, how often
    each would be drawn with replacement, and recomputes the statistic. Everything that depends
    on the rows, the censoring curve above all, must be recomputed from the weights inside the
    statistic. The weights do the work of resampling without new ties or repeated rows, so that
    leave-one-out curves stay honest.

    Parameters
    ----------
    statistic : callable
        Maps case weights, an array of shape (n,) with whole numbers that may be zero, to one or
        more estimates.
    n_rows : int
        n.
    names : sequence of str, default=None
        One name per estimate; numbered if None.
    clusters : array or frame of shape (n,), default=None
        Clusters that are drawn as wholes.
    n_boot : int, default=200
        Number of draws.
    random_state : int, Generator, SeedSequence, RandomState or None
        Seeds the draws.
    n_jobs : int, default=None
        Processes over draws, as in joblib; results do not depend on it.
    title : str
        Heading of the table.

    Returns
    -------
    CaseWeightBootstrap

    Raises
    ------
    ValueError
        If there are fewer than two draws, two columns of clusters, or more than a tenth of the
        draws fail.

    Warns
    -----
    BootstrapWarning
        If some draws fail.

    References
    ----------
    Efron, B. (1981). Censored data and the bootstrap. Journal of the American Statistical
    Association 76(374), 312-319. https://doi.org/10.1080/01621459.1981.10477650

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import case_weight_bootstrap
    >>> y = np.random.default_rng(1).normal(size=100)
    >>> draws = case_weight_bootstrap(
    ...     lambda a: np.average(y, weights=a), 100, names=["mean"], n_boot=500, random_state=1
    ... )
    >>> bool(abs(draws.estimates.std_errors[0] / (y.std() / 10) - 1) < 0.1)
    True
    """
    if not isinstance(n_boot, int | np.integer) or n_boot < 2:
        raise ValueError(f"n_boot={n_boot!r} must be an integer of at least 2.")
    codes = None if clusters is None else validation.encode_clusters(clusters, n_rows)
    if codes is not None and codes.ndim == 2:
        raise ValueError("The bootstrap draws one kind of cluster; give one column.")
    params = np.atleast_1d(np.asarray(statistic(np.ones(n_rows)), dtype=float))
    streams = seed_sequence(random_state).spawn(n_boot)
    batches = [streams[start : start + BATCH] for start in range(0, n_boot, BATCH)]
    results = Parallel(n_jobs=n_jobs)(
        delayed(_draws)(statistic, n_rows, codes, batch, len(params)) for batch in batches
    )
    drawn = [one for batch in results for one in batch]
    draws = np.stack([draw for draw, _ in drawn])
    failures = [message for _, message in drawn if message]
    if failures:
        _report(failures, n_boot)
    names = [f"estimate {j + 1}" for j in range(len(params))] if names is None else names
    good = draws[np.isfinite(draws).all(axis=1)]
    units = "rows" if codes is None else f"{n_clusters(codes):,} clusters"
    header = {
        "Rows": f"{n_rows:,}",
        "Covariance": f"bootstrap, {len(good):,} draws of {units}, normal reference",
    }
    estimates = Estimates(
        params,
        np.atleast_2d(np.cov(good.T)),
        tuple(names),
        n_rows,
        clusters=codes,
        header=header,
        title=title,
    )
    return CaseWeightBootstrap(estimates, draws, len(failures))


def _draws(
    statistic: Statistic,
    n_rows: int,
    codes: Codes | None,
    streams: list[np.random.SeedSequence],
    n_params: int,
) -> list[tuple[Array, str]]:
    """Return bootstrapped estimates; for those that fail, NaN and what went wrong."""
    with threadpool_limits(1), warnings.catch_warnings():
        # What a draw has to warn of, the fit to the data has said already.
        warnings.simplefilter("ignore")
        return [_draw(statistic, n_rows, codes, stream, n_params) for stream in streams]


def _draw(
    statistic: Statistic,
    n_rows: int,
    codes: Codes | None,
    stream: np.random.SeedSequence,
    n_params: int,
) -> tuple[Array, str]:
    rng = np.random.default_rng(stream)
    n_units = n_rows if codes is None else n_clusters(codes)
    counts = rng.multinomial(n_units, np.full(n_units, 1.0 / n_units)).astype(float)
    weight = counts if codes is None else counts[codes]
    try:
        draw = np.atleast_1d(np.asarray(statistic(weight), dtype=float))
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        return np.full(n_params, np.nan), str(error)
    return draw, "" if np.isfinite(draw).all() else "an estimate is not finite"


def _report(failures: list[str], n_boot: int) -> None:
    text = (
        f"{len(failures):,} of {n_boot:,} bootstrap draws gave no estimate (for example: "
        f"{failures[0]})"
    )
    if len(failures) > LARGEST_FAILURE_SHARE * n_boot:
        raise ValueError(
            f"{text}. The others are a selection, whose spread means nothing; a shorter horizon "
            "or fewer columns leave more rows for each estimate."
        )
    warnings.warn(f"{text}; they are left out.", BootstrapWarning, stacklevel=3)
