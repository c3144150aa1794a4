"""Score-based wild (cluster) bootstrap of estimates from their influence values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .covariance import cluster_sums
from .crossfit import seed_sequence
from .validation import check_level

if TYPE_CHECKING:
    from .inference import Estimates

Array = NDArray[np.float64]

# Below this number of clusters Rademacher weights take few distinct values (2**G), Webb's 6**G.
FEW_CLUSTERS = 12
_WEBB = np.sqrt(np.array([1.5, 1.0, 0.5]))
_BATCH = 64


@dataclass(frozen=True, eq=False)
class BootstrapInference:
    """Tests and intervals from bootstrapped t statistics.

    Attributes
    ----------
    estimates : Estimates
        The estimates with the standard errors that the intervals use.
    statistics : ndarray of shape (n_boot, k)
        Bootstrapped t statistics.
    weights : str
        "rademacher" or "webb".
    n_units : int
        Number of rows or clusters that were reweighted.
    """

    estimates: Estimates
    statistics: Array
    weights: str
    n_units: int

    @property
    def p_values(self) -> Array:
        """Symmetric two-sided p values of zero, ``(1 + #{|t*| >= |t|}) / (n_boot + 1)``."""
        exceed = np.abs(self.statistics) >= np.abs(self.estimates.statistics)
        p_values = (1 + exceed.sum(axis=0)) / (len(self.statistics) + 1)
        return np.where(np.isnan(self.estimates.statistics), np.nan, p_values)

    def critical_values(self, level: float = 0.95) -> Array:
        """Return the quantile of each term's absolute bootstrapped t statistic."""
        return _upper_quantile(np.abs(self.statistics), check_level(level))

    def simultaneous_critical_value(self, level: float = 0.95) -> float:
        """Return the quantile of the largest absolute t statistic over all terms."""
        exists = ~np.isnan(self.statistics).any(axis=0)
        largest = np.abs(self.statistics[:, exists]).max(axis=1)
        return float(_upper_quantile(largest[:, None], check_level(level))[0])

    def conf_int(self, level: float = 0.95, *, simultaneous: bool = False) -> pd.DataFrame:
        """Return symmetric bootstrap-t intervals.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level in (0, 1).
        simultaneous : bool, default=False
            True: a band that covers all parameters at once.

        Returns
        -------
        DataFrame with the terms as index and columns ``conf_low`` and ``conf_high``.
        """
        critical: Array | float = (
            self.simultaneous_critical_value(level) if simultaneous else self.critical_values(level)
        )
        half_width = critical * self.estimates.std_errors
        params = self.estimates.params
        return pd.DataFrame(
            {"conf_low": params - half_width, "conf_high": params + half_width},
            index=pd.Index(self.estimates.names, name="term"),
        )

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Return the columns of `Estimates.to_frame`, with bootstrap p values and intervals.

        The simultaneous band is added as ``band_low`` and ``band_high``; ``df`` is missing, as no
        reference distribution is assumed.
        """
        band = self.conf_int(level, simultaneous=True)
        return self.estimates.to_frame(level).assign(
            p_value=self.p_values,
            conf_low=self.conf_int(level)["conf_low"].to_numpy(),
            conf_high=self.conf_int(level)["conf_high"].to_numpy(),
            df=np.nan,
            band_low=band["conf_low"].to_numpy(),
            band_high=band["conf_high"].to_numpy(),
        )


def _upper_quantile(values: NDArray[Any], level: float) -> NDArray[Any]:
    """Return the order statistic that leaves at most 1 - level of B + 1 equally likely ranks."""
    n = len(values)
    rank = int(np.ceil(level * (n + 1) - 1e-9))
    if rank > n:
        raise ValueError(
            f"{n} bootstrap draws are too few for level={level}; use at least "
            f"{int(np.ceil(1 / (1 - level) - 1e-9)) - 1}."
        )
    return np.sort(values, axis=0)[rank - 1]


def wild_bootstrap(
    estimates: Estimates,
    n_boot: int = 999,
    *,
    weights: Literal["auto", "rademacher", "webb"] = "auto",
    random_state: Any,
) -> BootstrapInference:
    r"""Bootstrap t statistics by random weights on influence values (Kline and Santos 2012).

    With :math:`\phi_g` the influence values summed within clusters (or single rows) and
    independent weights :math:`v_g` of mean zero and variance one,

    .. math:: t^*_j = \frac{\sum_g v_g \phi_{gj}}{\sqrt{\sum_g (v_g \phi_{gj} - \bar s_j)^2}},
        \qquad \bar s_j = \frac1G \sum_g v_g \phi_{gj}.

    The distribution of :math:`t^*` takes the place of the normal or t reference; the standard
    error stays that of ``estimates``, so that repeated splits are kept. The scores are those of
    the estimates, not of a fit under the hypothesis, so with few unequal clusters tests still
    reject too often, if less than with normal quantiles; starting from
    ``recluster(clusters, "CR1")`` brings them nearer.

    Parameters
    ----------
    estimates : Estimates
        With influence values; its one-way clusters, if any, are reweighted as wholes.
    n_boot : int, default=999
        Number of draws; ``level * (n_boot + 1)`` should be whole.
    weights : {"auto", "rademacher", "webb"}, default="auto"
        Rademacher signs, or Webb's six points, which "auto" takes below 12 clusters.
    random_state : int, Generator, SeedSequence, RandomState or None
        Seeds the weights.

    Returns
    -------
    BootstrapInference

    Raises
    ------
    ValueError
        If influence values are missing, clusters are two-way, or an option is invalid.

    References
    ----------
    Kline, P. and Santos, A. (2012). A score based approach to wild bootstrap inference. Journal
    of Econometric Methods 1(1), 23-41. https://doi.org/10.1515/2156-6674.1006

    Webb, M. D. (2023). Reworking wild bootstrap-based inference for clustered errors. Canadian
    Journal of Economics 56(3), 839-858. https://doi.org/10.1111/caje.12661

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLinearRegression
    >>> rng = np.random.default_rng(5)
    >>> clusters = np.repeat(np.arange(10), 20)
    >>> x = rng.normal(size=(200, 1))
    >>> y = 0.5 * x[:, 0] + rng.normal(size=10)[clusters] + rng.normal(size=200)
    >>> fit = DSLLinearRegression().fit(x, y, clusters=clusters).results_
    >>> draws = fit.wild_bootstrap(random_state=1)
    >>> draws.weights, draws.n_units
    ('webb', 10)
    >>> bool((draws.critical_values() > fit.critical_value()).all())
    True
    """
    if estimates.influence is None:
        raise ValueError("These estimates carry no influence values to bootstrap.")
    if estimates.clusters is not None and estimates.clusters.ndim == 2:
        raise ValueError(
            "The wild bootstrap reweights one kind of cluster; call recluster with one column "
            "first (the one with fewer clusters is the cautious choice)."
        )
    if n_boot < 1:
        raise ValueError(f"n_boot={n_boot} must be a positive integer.")
    scores = estimates.influence
    if estimates.clusters is not None:
        scores = cluster_sums(scores, estimates.clusters)
    kind = weights
    if weights == "auto":
        kind = "webb" if len(scores) < FEW_CLUSTERS else "rademacher"
    if kind not in ("rademacher", "webb"):
        raise ValueError(f"weights={weights!r} is not one of 'auto', 'rademacher', 'webb'.")
    rng = np.random.default_rng(seed_sequence(random_state))
    squares = scores**2
    statistics = np.empty((n_boot, scores.shape[1]))
    for start in range(0, n_boot, _BATCH):
        draws = _draw(rng, kind, (min(_BATCH, n_boot - start), len(scores)))
        totals = draws @ scores
        variances = draws**2 @ squares - totals**2 / len(scores)
        # Weights that bring all clusters to one value have no spread, but for rounding.
        smallest = 1e-12 * squares.sum(axis=0)
        with np.errstate(invalid="ignore"):  # a term without any spread has no statistic
            spread = np.sqrt(np.maximum(variances, smallest))
            statistics[start : start + len(draws)] = totals / spread
    return BootstrapInference(estimates, statistics, kind, len(scores))


def _draw(rng: np.random.Generator, kind: str, shape: tuple[int, int]) -> NDArray[Any]:
    signs = 2.0 * rng.integers(0, 2, size=shape) - 1.0
    return signs if kind == "rademacher" else signs * _WEBB[rng.integers(0, 3, size=shape)]
