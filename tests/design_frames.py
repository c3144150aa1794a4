"""A frame with a biased machine, and fits of it under any sampling design."""

import numpy as np
import pandas as pd
from scipy.special import expit

from trueness.dsl import DSLLinearRegression


def make(n, seed=31, *, n_units=60):
    """A frame, and a biased machine whose bias differs between units and strata."""
    rng = np.random.default_rng(seed)
    unit = np.sort(rng.integers(0, n_units, n))
    a = rng.normal(size=n) + 0.4 * rng.normal(size=n_units)[unit]
    d = (rng.random(n) < 0.4).astype(float)
    y = 1.0 + 0.6 * a - 0.5 * d + 0.4 * rng.normal(size=n_units)[unit] + rng.normal(size=n)
    bias = 0.8 - 0.5 * a + 0.6 * rng.normal(size=n_units)[unit]
    return {
        "X": pd.DataFrame({"a": a, "d": d}),
        "y": y,
        "binary": (y > 1).astype(float),
        "machine": y + bias + 0.7 * rng.normal(size=n),
        "unit": unit,
        "stratum": (a > 0.3).astype(int) + 2 * d.astype(int),
        "size": 0.4 + expit(a),
    }


def fit(data, drawn, *, estimator=DSLLinearRegression, outcome="y", arguments=None, **options):
    y = np.where(drawn, data[outcome], np.nan)
    model = estimator(**{"learner": None} | options)
    return model.fit(data["X"], y, surrogates=data["machine"], **(arguments or {}))
