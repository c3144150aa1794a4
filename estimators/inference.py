"""The result shared by all inferential estimators: estimates, covariance, influence values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from . import reference
from .covariance import describe_covariance, meat, n_clusters
from .hypotheses import WaldTest, numerical_jacobian, read_constraints, unquoted, wald_statistic
from .printing import Printable
from .validation import check_level, encode_clusters

if TYPE_CHECKING:
    from os import PathLike

    from .bootstrap import BootstrapInference

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False, repr=False)
class Estimates(Printable):
    r"""Estimates of k parameters with everything that inference needs, and nothing else.

    With influence values :math:`\phi_i` the sandwich covariance is
    :math:`\sum_i \phi_i \phi_i' / N^2` (HC0; sums within clusters: CR0). Neither the model nor
    the data are kept.

    Parameters
    ----------
    params : ndarray of shape (k,)
        Point estimates.
    cov : ndarray of shape (k, k)
        Their covariance matrix.
    names : sequence of str
        One name per parameter.
    n_obs : int
        Number of rows N.
    influence : ndarray of shape (N, k), default=None
        Influence values. Needed for differences of two results, re-clustering and the bootstrap.
    split_cov : ndarray of shape (k, k), default=None
        Spread over repeated sample splits, added to every covariance rebuilt from ``influence``.
    df : float or ndarray of shape (k,), default=None
        Degrees of freedom of the t reference distribution, of all parameters or of each; None for
        the normal.
    n_params : int, default=None
        Number of coefficients of the model, which enters CR1; the number of names if None.
    clusters : ndarray of int of shape (N,) or (N, 2), default=None
        Cluster codes behind ``cov``.
    reclusterable : bool, default=True
        False if ``influence`` describes a random draw of rows from a fixed population, where
        clusters of the population do not enter the variance.
    header : mapping of str to str, default=()
        Ordered facts printed above the table.
    title : str, default="Estimates"
        Heading of the table.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.inference import Estimates
    >>> y = np.array([1.0, 2.0, 4.0, 5.0])
    >>> mean = Estimates([y.mean()], [[y.var() / 4]], ["mean"], n_obs=4, influence=y[:, None] - 3)
    >>> mean.to_frame().round(3)
       term  estimate  std_error  statistic  p_value  conf_low  conf_high   df
    0  mean       3.0      0.791      3.795      0.0     1.451      4.549  inf
    >>> mean.recluster([0, 0, 1, 1]).std_errors.round(3)
    array([1.5])
    """

    params: Array
    cov: Array
    names: tuple[str, ...]
    n_obs: int
    influence: Array | None = None
    split_cov: Array | None = None
    df: reference.DegreesOfFreedom = None
    n_params: int | None = None
    clusters: Codes | None = None
    reclusterable: bool = True
    header: Mapping[str, str] = field(default_factory=dict)
    title: str = "Estimates"

    def __post_init__(self) -> None:
        # The only way to set a field of a frozen dataclass.
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        object.__setattr__(self, "header", dict(self.header))
        k = len(self.names)
        object.__setattr__(self, "n_params", k if self.n_params is None else self.n_params)
        object.__setattr__(self, "df", reference.read_df(self.df, k))
        shapes = {
            "params": (k,),
            "cov": (k, k),
            "influence": (self.n_obs, k),
            "split_cov": (k, k),
        }
        for name, shape in shapes.items():
            if getattr(self, name) is None:
                continue
            value = np.array(getattr(self, name), dtype=float)
            if value.shape != shape:
                raise ValueError(
                    f"{name} has shape {value.shape}; {k} names and n_obs={self.n_obs} "
                    f"need {shape}."
                )
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        if len(set(self.names)) < k:
            raise ValueError(f"Parameter names must be unique, got {list(self.names)}.")

    # ------------------------------------------------------------------ derived quantities

    @cached_property
    def std_errors(self) -> Array:
        """Standard errors, the square roots of the diagonal of ``cov``."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diag(self.cov))

    @cached_property
    def statistics(self) -> Array:
        """Estimates divided by their standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.params / self.std_errors

    @cached_property
    def p_values(self) -> Array:
        """Two-sided p values of the hypotheses that each parameter is zero."""
        return 2.0 * reference.distribution(self.df).sf(np.abs(self.statistics))

    def critical_value(self, level: float = 0.95) -> float | Array:
        """Return the two-sided critical value of the reference distribution.

        One number, or one for each parameter where their degrees of freedom differ.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level in (0, 1).
        """
        value = reference.distribution(self.df).ppf(0.5 + check_level(level) / 2.0)
        return value if isinstance(self.df, np.ndarray) else float(value)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Return two-sided confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level in (0, 1).

        Returns
        -------
        DataFrame with the terms as index and columns ``conf_low`` and ``conf_high``.
        """
        half_width = self.critical_value(level) * self.std_errors
        bounds = {"conf_low": self.params - half_width, "conf_high": self.params + half_width}
        return pd.DataFrame(bounds, index=pd.Index(self.names, name="term"))

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Return one row per term: estimate, standard error, test, interval.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of ``conf_low`` and ``conf_high``.

        Returns
        -------
        DataFrame
            Columns term, estimate, std_error, statistic, p_value, conf_low, conf_high, df
            (infinite for the normal reference).
        """
        interval = self.conf_int(level)
        return pd.DataFrame(
            {
                "term": list(self.names),
                "estimate": self.params,
                "std_error": self.std_errors,
                "statistic": self.statistics,
                "p_value": self.p_values,
                "conf_low": interval["conf_low"].to_numpy(),
                "conf_high": interval["conf_high"].to_numpy(),
                "df": np.inf if self.df is None else self.df,
            }
        )

    # ------------------------------------------------------------------ tests and functions

    def wald_test(
        self, hypothesis: str | Sequence[str] | ArrayLike, value: ArrayLike | None = None
    ) -> WaldTest:
        r"""Test linear hypotheses :math:`R\beta = q` jointly.

        The statistic is :math:`(R\hat\beta - q)' (R V R')^{-1} (R\hat\beta - q)`, referred to
        :math:`\chi^2_r`, or divided by r and referred to :math:`F_{r, df}` when the estimates
        carry a t reference, with the smallest df of the parameters that the hypothesis names.

        Parameters
        ----------
        hypothesis : str, sequence of str, or array of shape (r, k)
            ``"x1 = x2"``, ``"x1 = 0, x2 = 0"``, ``["x1 = 0", "x2 + x3 = 1"]``, or R. Put names
            that are not plain words into backticks.
        value : array of shape (r,), default=None
            q when R is given as an array; zeros if None.

        Raises
        ------
        ValueError
            If a name is unknown, the text cannot be read, or R has linearly dependent rows.
        """
        matrix, target, texts, _ = read_constraints(hypothesis, value, self.names)
        with np.errstate(invalid="ignore"):  # infinite estimates give a missing statistic
            gap = matrix @ self.params - target
        null = ", ".join(texts)
        df = reference.smallest(self.df, (matrix != 0.0).any(axis=0))
        return wald_statistic(gap, matrix @ self.cov @ matrix.T, df=df, null=null)

    def linear_combination(
        self, weights: str | Sequence[str] | ArrayLike, names: Sequence[str] | None = None
    ) -> Estimates:
        """Return linear combinations of the parameters as new estimates.

        Parameters
        ----------
        weights : str, sequence of str, or array of shape (k,) or (r, k)
            For example ``"x1 - x2"`` or a matrix of weights.
        names : sequence of str of length r, default=None
            Names of the combinations; the texts themselves, or numbers, if None.

        Examples
        --------
        >>> from trueness.inference import Estimates
        >>> both = Estimates([1.0, 3.0], [[1.0, 0.5], [0.5, 1.0]], ["a", "b"], n_obs=9)
        >>> both.linear_combination("b - a").std_errors
        array([1.])
        """
        matrix, constant, texts, is_text = read_constraints(weights, None, self.names)
        if np.any(constant != 0) or (is_text and any("=" in unquoted(text) for text in texts)):
            raise ValueError(
                f"A linear combination has no constant and no '=', got {', '.join(texts)!r}; write "
                "'x1 - x2' to estimate it, or test the equation by wald_test."
            )
        if names is None:
            names = [text.removesuffix(" = 0") for text in texts]
            if len(names) != len(matrix):
                names = [f"combination {i + 1}" for i in range(len(matrix))]
        with np.errstate(invalid="ignore"):  # infinite estimates combine to missing ones
            return self._mapped(matrix, matrix @ self.params, names)

    def delta_method(
        self,
        function: Callable[[Array], ArrayLike],
        names: Sequence[str],
        jacobian: Callable[[Array], ArrayLike] | None = None,
    ) -> Estimates:
        r"""Return a smooth function of the parameters as new estimates.

        Covariance :math:`G V G'` with :math:`G = \partial f / \partial \beta'`.

        Parameters
        ----------
        function : callable
            Maps the k parameters to r values.
        names : sequence of str of length r
            Names of the values.
        jacobian : callable, default=None
            Maps the k parameters to the (r, k) derivative; central differences if None.

        Examples
        --------
        >>> import numpy as np
        >>> from trueness.inference import Estimates
        >>> logit = Estimates([0.5], [[0.04]], ["x"], n_obs=100)
        >>> logit.delta_method(np.exp, ["odds ratio"]).std_errors.round(4)
        array([0.3297])
        """
        names = [names] if isinstance(names, str) else names
        values = np.atleast_1d(np.asarray(function(self.params), dtype=float))
        derivative = (
            numerical_jacobian(function, self.params, self.std_errors)
            if jacobian is None
            else np.atleast_2d(np.asarray(jacobian(self.params), dtype=float))
        )
        if derivative.shape != (len(values), len(self.params)):
            raise ValueError(
                f"The jacobian has shape {derivative.shape}; "
                f"{len(values)} values of {len(self.params)} parameters need "
                f"{(len(values), len(self.params))}."
            )
        return self._mapped(derivative, values, names)

    def _mapped(self, jacobian: Array, params: Array, names: Sequence[str]) -> Estimates:
        """Carry every field through a map of the parameters with the given derivative."""
        return replace(
            self,
            params=params,
            cov=jacobian @ self.cov @ jacobian.T,
            names=tuple(names),
            df=reference.mapped(self.df, jacobian),
            influence=None if self.influence is None else self.influence @ jacobian.T,
            split_cov=None if self.split_cov is None else jacobian @ self.split_cov @ jacobian.T,
        )

    def __sub__(self, other: Any) -> Estimates:
        return self.difference(other) if isinstance(other, Estimates) else NotImplemented

    def difference(self, other: Estimates) -> Estimates:
        r"""Return the difference of two results on the same rows, with its right covariance.

        The influence values of the difference are :math:`\phi_i^{a} - \phi_i^{b}`, so that the
        covariance between the two results is accounted for. The covariance is HC0, or CR0 with
        the common clusters, plus the two split covariances (taken as independent); the reference
        is that of the result with fewer degrees of freedom.

        Parameters
        ----------
        other : Estimates
            A result with the same names, rows and clusters.

        Raises
        ------
        ValueError
            If names, rows or clusters differ or influence values are missing.
        """
        if self.names != other.names:
            raise ValueError(f"The terms differ: {list(self.names)} and {list(other.names)}.")
        if self.influence is None or other.influence is None:
            raise ValueError("A difference needs the influence values of both results.")
        if self.n_obs != other.n_obs:
            raise ValueError(
                f"The results rest on {self.n_obs} and {other.n_obs} rows; a difference needs "
                "the same rows in the same order."
            )
        if not _same(self.clusters, other.clusters) or self.reclusterable != other.reclusterable:
            raise ValueError("The results use different clusters or targets; refit one of them.")
        if not self.reclusterable and not np.array_equal(_drawn(self), _drawn(other)):
            raise ValueError(
                'With target="population" a difference needs the same labelled rows in both '
                "results; these were drawn apart."
            )
        split_cov = _sum_of([self.split_cov, other.split_cov])
        result = replace(
            self,
            params=self.params - other.params,
            influence=self.influence - other.influence,
            split_cov=split_cov,
            df=reference.smaller(self.df, other.df),
            header={},
            title=f"{self.title} - {other.title}",
        )
        return replace(result, cov=result._rebuilt(self.clusters, "CR0"))

    # ------------------------------------------------------------------ other covariances

    def _rebuilt(self, clusters: Codes | None, correction: Literal["CR0", "CR1"]) -> Array:
        """Rebuild the covariance of the estimates from the influence values."""
        assert self.influence is not None
        total = meat(self.influence, clusters, correction=correction, n_params=self.n_params)
        cov = total / self.n_obs**2
        return cov if self.split_cov is None else cov + self.split_cov

    def recluster(
        self,
        clusters: Any | None = None,
        covariance: Literal["HC0", "CR0", "CR1"] | None = None,
    ) -> Estimates:
        """Return the same estimates with a covariance rebuilt from the influence values.

        Parameters
        ----------
        clusters : array of shape (N,) or (N, 2), default=None
            Cluster labels of any type; two columns for two-way clustering. None: no clusters.
        covariance : {"HC0", "CR0", "CR1"}, default=None
            HC0 without clusters and CR1 with them if None. CR1 multiplies by
            ``G/(G-1) x (N-1)/(N-k)`` and refers to t with G - 1 degrees of freedom (the smaller
            G of two); HC0 and CR0 refer to the normal.

        Raises
        ------
        ValueError
            If influence values are missing, clusters have missing values or another length, or
            the variance is that of a draw from a fixed population.
        """
        if self.influence is None:
            raise ValueError("These estimates carry no influence values to rebuild from.")
        if covariance is None:
            covariance = "HC0" if clusters is None else "CR1"
        if covariance not in ("HC0", "CR0", "CR1"):
            raise ValueError(
                f"covariance={covariance!r} cannot be rebuilt from influence values (HC0, CR0 and "
                "CR1 can); HC2, HC3 and CR2 need leverage: pass covariance= to the estimator."
            )
        if (clusters is None) != (covariance == "HC0"):
            has = "needs clusters" if clusters is None else "has no use for the clusters given"
            raise ValueError(f"covariance={covariance!r} {has}.")
        codes = None if clusters is None else encode_clusters(clusters, self.n_obs)
        if codes is not None and not self.reclusterable:
            raise ValueError(
                'With target="population" only the draw of the labelled rows is random, so '
                "clusters do not enter the variance."
            )
        correction: Literal["CR0", "CR1"] = "CR1" if covariance == "CR1" else "CR0"
        df = None
        if codes is not None and covariance == "CR1":
            df = n_clusters(codes) - 1
        cov = self._rebuilt(codes, correction)
        header = {**self.header, "Covariance": describe_covariance(covariance, codes, df)}
        return replace(self, cov=cov, clusters=codes, df=df, header=header)

    def wild_bootstrap(
        self,
        n_boot: int = 999,
        *,
        weights: Literal["auto", "rademacher", "webb"] = "auto",
        random_state: Any,
    ) -> BootstrapInference:
        """Score-based wild (cluster) bootstrap; see `trueness.bootstrap.wild_bootstrap`."""
        from .bootstrap import wild_bootstrap

        return wild_bootstrap(self, n_boot, weights=weights, random_state=random_state)

    # ------------------------------------------------------------------ saving

    def save(self, path: str | PathLike[str]) -> None:
        """Save to ``.npz`` (everything) or ``.json`` (without the row-level values).

        Neither format uses pickle. Read it back with `Estimates.load`.

        Parameters
        ----------
        path : path
            File name ending in ``.npz`` or ``.json``.
        """
        from .storage import save_estimates

        save_estimates(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Estimates:
        """Load what `save` wrote."""
        from .storage import load_estimates

        return load_estimates(path)


def _same(a: Codes | None, b: Codes | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b)


def _drawn(estimates: Estimates) -> NDArray[np.bool_]:
    """Tell which rows contribute to the variance of a draw from a fixed population."""
    assert estimates.influence is not None
    return (estimates.influence != 0.0).any(axis=1)


def _sum_of(matrices: Iterable[Array | None]) -> Array | None:
    present = [matrix for matrix in matrices if matrix is not None]
    return sum(present[1:], start=present[0]) if present else None
