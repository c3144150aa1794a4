r"""Several coders: what is estimated if they differ, and how far their differences matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm, t
from sklearn.base import clone

from ...crossfit import seed_sequence
from ...inference import Estimates
from ...validation import check_level, first_rows, to_pandas
from .errors import errors_of, fitted_of

Array = NDArray[np.float64]
Estimand = Literal["pool", "population", "quasi_bayes"]

ESTIMANDS = ("pool", "population", "quasi_bayes")
WORDS = {
    "pool": "the average of these coders",
    "population": "the average of all coders of whom these are a sample",
    "quasi_bayes": "one random coder per document, drawn anew (quasi-Bayes)",
}


@dataclass(frozen=True, eq=False, repr=False)
class CoderEstimates:
    """Estimates from the labels of several coders.

    Attributes
    ----------
    estimates : Estimates
        From the mean label of each document, as if there were no other coders; for "quasi_bayes"
        with the mean and the covariance of the draws.
    estimand : str
    n_coders : int
    coder_std : ndarray of shape (k,)
        Standard deviation of the coefficients between coders, beyond what the noise of their
        labels explains; zero for "pool", missing for "quasi_bayes".
    by_coder : DataFrame of shape (K, k), or None
        Coefficients from the labels of each coder alone.
    draws : ndarray of shape (b, k), or None
    """

    estimates: Estimates
    estimand: str
    n_coders: int
    coder_std: Array
    by_coder: pd.DataFrame | None = None
    draws: Array | None = None

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        r"""Return a row for each coefficient.

        For a population of coders the half-width is
        :math:`\sqrt{q^2 V + t_{K-1}^2 s^2 / K}` (Cochran and Cox), with q the quantile of the
        estimates' own reference.

        Returns
        -------
        DataFrame
            ``term``, ``estimate``, ``std_error``, ``conf_low``, ``conf_high``, ``label_std`` (of
            the labels' mean) and ``coder_std``.
        """
        check_level(level)
        results = self.estimates
        own = results.std_errors
        extra = np.nan_to_num(self.coder_std) ** 2 / self.n_coders
        upper = 0.5 + level / 2.0
        quantile = norm.ppf(upper) if results.df is None else t.ppf(upper, results.df)
        half = np.sqrt((quantile * own) ** 2 + t.ppf(upper, max(self.n_coders - 1, 1)) ** 2 * extra)
        low, high = results.params - half, results.params + half
        if self.draws is not None:
            low, high = np.quantile(self.draws, [1.0 - upper, upper], axis=0)
        return pd.DataFrame(
            {
                "term": results.names,
                "estimate": results.params,
                "std_error": np.sqrt(own**2 + extra),
                "conf_low": low,
                "conf_high": high,
                "label_std": own,
                "coder_std": self.coder_std,
            }
        )

    def summary(self, level: float = 0.95) -> str:
        """Return the table as text."""
        table = self.to_frame(level).to_string(index=False, float_format="{:.4f}".format)
        return f"{self.n_coders} coders; estimand: {WORDS[self.estimand]}\n\n{table}"

    __repr__ = __str__ = summary


def fit_coders(
    estimator: Any,
    X: Any,
    labels: Any,
    *,
    estimand: Estimand = "pool",
    n_draws: int = 100,
    random_state: Any = 0,
    **given: Any,
) -> CoderEstimates:
    r"""Fit a DSL estimator to the labels of several coders.

    * **pool**: the coefficients that the mean label of these K coders would have on all rows. Each
      drawn document has the mean of its labels, or one label, where documents were dealt to coders
      at random; the variance of the estimator is right as it is.
    * **population**: those of all coders of whom these are a sample. With
      :math:`\hat\beta_c = \hat\beta + J^{-1} \frac1N \sum_i w_i (m_{ic} - \bar m_i)` from the
      labels of coder c, their variance :math:`S^2` between coders and its part :math:`v` that
      independent noise of labels explains, :math:`s^2 / K` is added, :math:`s^2 = \max(0, S^2 -
      v)`. Every coder has to label every drawn document.
    * **quasi_bayes**: one coder is drawn per document and the model refitted, many times; a
      normal draw from each fit. It counts disagreement twice for the pool, and averages the
      leanings of coders away for a population. To replicate published analyses.

    Parameters
    ----------
    estimator : DSL estimator
        Not fitted; of an outcome, linear, logistic or Poisson for "population".
    X : array or frame of shape (n, p)
    labels : array or frame of shape (n, K)
        Numbers, a column for each coder; missing where a coder did not label.
    estimand : {"pool", "population", "quasi_bayes"}, default="pool"
    n_draws : int, default=100
        Refits of "quasi_bayes", with 20 normal draws each.
    random_state : int, Generator, SeedSequence, RandomState or None, default=0
        Of "quasi_bayes".
    **given
        Further arguments of ``fit``: ``surrogates``, ``gold_sample`` and so on.

    Returns
    -------
    CoderEstimates

    Raises
    ------
    ValueError
        If there is one coder, labels are no numbers, or "population" is asked of coders who did
        not label every drawn document.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLinearRegression, GoldSample, fit_coders
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=2000)
    >>> y = x + rng.normal(size=2000)
    >>> sample = GoldSample.simple_random(2000, 200, random_state=1)
    >>> seen = y[:, None] + rng.normal(size=(2000, 4)) + [0.0, 0.2, -0.3, 0.1]  # leanings
    >>> seen[~sample.drawn] = np.nan
    >>> machine = y + rng.normal(size=2000)
    >>> model = DSLLinearRegression(learner=None)
    >>> options = {"surrogates": machine, "gold_sample": sample}
    >>> pool = fit_coders(model, x[:, None], seen, **options).to_frame()
    >>> every = fit_coders(model, x[:, None], seen, estimand="population", **options).to_frame()
    >>> bool(every["std_error"][0] > 1.3 * pool["std_error"][0])  # the intercept, by leanings
    True
    """
    if estimand not in ESTIMANDS:
        raise ValueError(f"estimand={estimand!r} is not one of {', '.join(map(repr, ESTIMANDS))}.")
    values, names = _labels(labels)
    n_coders = values.shape[1]
    is_known = ~np.isnan(values)
    drawn = is_known.any(axis=1)
    count = is_known.sum(axis=1)
    mean = np.where(drawn, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)
    if estimand == "quasi_bayes":
        return _quasi_bayes(estimator, X, values, given, n_draws, random_state)
    if estimand == "population" and (count[drawn] < n_coders).any():
        partly = drawn & (count < n_coders)
        raise ValueError(
            f'estimand="population" compares coders on the same documents, but {partly.sum():,} '
            f"of {drawn.sum():,} labelled documents lack the label of some coder "
            f"({first_rows(partly)}). Let every coder label all of them, or estimate the pool."
        )
    fit = clone(estimator).fit(X, mean, **given)
    results: Estimates = fit.results_
    if estimand == "pool":
        return CoderEstimates(results, estimand, n_coders, np.zeros(len(results.params)))
    errors = errors_of(fit, "coders")
    if errors.loading is None:
        raise ValueError(
            'estimand="population" is made for a predicted outcome of a linear, logistic or '
            "Poisson regression. Estimate the pool."
        )
    rows = errors.labelled
    loading = errors.loading[rows] * errors.weight[:, None]
    deviation = values[rows] - mean[rows, None]
    shifts = deviation.T @ loading / errors.n_rows
    noise = _independent(fit, rows, deviation)
    independent = ((loading[:, :, None] * noise[:, None, :]) ** 2).sum(axis=(0, 2))
    independent /= errors.n_rows**2 * (n_coders - 1)
    between = shifts.var(axis=0, ddof=1)
    spread = np.sqrt(np.maximum(between - independent, 0.0))
    by_coder = pd.DataFrame(results.params + shifts, index=names, columns=list(results.names))
    return CoderEstimates(results, estimand, n_coders, spread, by_coder)


def _independent(fit: Any, rows: NDArray[np.intp], deviation: Array) -> Array:
    """Return what of each coder's deviations the covariates do not explain."""
    data = fitted_of(fit, "coders").data
    design = data.versions.gold(rows).design
    fitted = design @ np.linalg.lstsq(design, deviation, rcond=None)[0]
    left = len(design) - np.linalg.matrix_rank(design)
    noise: Array = (deviation - fitted) * np.sqrt(len(design) / max(left, 1))
    return noise


def _labels(labels: Any) -> tuple[Array, list[Any]]:
    frame = pd.DataFrame(to_pandas(labels))
    if frame.shape[1] < 2:
        raise ValueError("labels needs a column for each of two or more coders.")
    numbers = frame.apply(lambda column: pd.to_numeric(column, errors="coerce"))
    values: Array = np.asarray(numbers, dtype=np.float64)
    wrong = np.asarray(np.isnan(values) & frame.notna().to_numpy()).any(axis=1)
    if wrong.any():
        raise ValueError(f"labels hold text ({first_rows(np.atleast_1d(wrong))}); recode them.")
    empty = [
        name for name, column in zip(frame.columns, values.T, strict=True) if np.isnan(column).all()
    ]
    if empty:
        raise ValueError(f"Coder {empty[0]} has no label at all; leave the column out.")
    return values, list(frame.columns)


def _quasi_bayes(
    estimator: Any, X: Any, values: Array, given: dict[str, Any], n_draws: int, random_state: Any
) -> CoderEstimates:
    """Refit with one coder per document, many times."""
    if n_draws < 2:
        raise ValueError(f"n_draws={n_draws} must be 2 or more.")
    rng = np.random.default_rng(seed_sequence(random_state))
    is_known = ~np.isnan(values)
    drawn = np.flatnonzero(is_known.any(axis=1))
    points, covariances, normal = [], [], []
    results: Estimates | None = None
    for _ in range(n_draws):
        # The largest of random numbers picks each document's coder.
        chance = np.where(is_known[drawn], rng.random(values[drawn].shape), -1.0)
        y = np.full(len(values), np.nan)
        y[drawn] = values[drawn, chance.argmax(axis=1)]
        results = clone(estimator).fit(X, y, **given).results_
        points.append(results.params)
        covariances.append(results.cov)
        normal.append(rng.multivariate_normal(results.params, results.cov, size=20))
    assert results is not None
    params = np.mean(points, axis=0)
    cov = np.mean(covariances, axis=0) + np.cov(np.array(points).T, ddof=1).reshape(
        len(params), len(params)
    )
    pooled = Estimates(
        params, cov, results.names, n_obs=results.n_obs, df=results.df, header=results.header
    )
    missing = np.full(len(params), np.nan)
    return CoderEstimates(
        pooled, "quasi_bayes", values.shape[1], missing, draws=np.concatenate(normal)
    )
