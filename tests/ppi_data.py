"""Data on which power tuning is compared with ppi-python."""

import numpy as np
import pandas as pd
from scipy.special import expit

N, N_LABELS = 600, 200


def make_data():
    """Return 600 rows, 200 of them labelled: an outcome, as a class too, and a machine."""
    rng = np.random.default_rng(12)
    X = pd.DataFrame(rng.normal(size=(N, 2)), columns=["a", "b"])
    y = 0.3 + X.to_numpy() @ [0.8, -0.5] + rng.normal(size=N)
    return {
        "X": X,
        "y": y,
        "binary": (rng.random(N) < expit(y)).astype(float),
        "machine": y + 0.4 - 0.3 * X["a"].to_numpy() + 0.8 * rng.normal(size=N),
        "drawn": np.isin(np.arange(N), rng.permutation(N)[:N_LABELS]),
        "noise": rng.normal(size=N),
    }


def wrong_classes(data):
    """Return classes as a machine sees them that is wrong where the noise is large."""
    return np.where(data["noise"] > 1, 1 - data["binary"], data["binary"])
