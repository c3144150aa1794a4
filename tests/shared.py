"""What several test files stand on: frames of every kind, and a regression to refer to."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import statsmodels.api as sm

from trueness.inference import Estimates

NAN = float("nan")
FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas on arrow": lambda columns: pd.DataFrame(columns).convert_dtypes(
        dtype_backend="pyarrow"
    ),
}
NUMBER_DTYPES = ["float64", "Float64", "Int64", "int64[pyarrow]", "double[pyarrow]", "object"]
BOOLEAN_DTYPES = ["boolean", "bool[pyarrow]", "object"]
TEXT_DTYPES = ["object", "string", "string[pyarrow]", "category"]

NAMES = ("const", "x1", "x2")


def ols(y, x):
    """Return statsmodels' fit and the Estimates with HC0 covariance made from X and residuals."""
    fit = sm.OLS(y, x).fit()
    influence = len(y) * (x * fit.resid[:, None]) @ np.linalg.inv(x.T @ x)
    cov = influence.T @ influence / len(y) ** 2
    return fit, Estimates(fit.params, cov, NAMES[: x.shape[1]], len(y), influence)


def simple(**options):
    defaults = dict(params=[1.0, 3.0], cov=[[1.0, 0.5], [0.5, 2.0]], names=["a", "b"], n_obs=9)
    return Estimates(**(defaults | options))


def named(value):
    """Return an id of a test's argument that is the same in every process: functions by name."""
    return getattr(value, "__name__", str(value))
