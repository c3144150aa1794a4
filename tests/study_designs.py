"""Small generators and methods that the tests of simulation studies share."""

import time
import warnings

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch

from trueness.simulations.study import SimulationStudy


def draw(n=20, scale=1.0, *, random_state):
    """Draw exponential variates."""
    return Bunch(
        observed={"y": random_state.exponential(scale, size=n)},
        truth={"mean": scale, "median": scale * np.log(2)},
    )


class Means(BaseEstimator):
    """Mean with normal intervals; its random_state shifts nothing but is kept."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, y):
        self.mean_, self.error_ = y.mean(), y.std(ddof=1) / np.sqrt(len(y))
        return self

    def to_frame(self):
        row = {"term": "mean", "estimate": self.mean_, "std_error": self.error_}
        row["conf_low"] = self.mean_ - 1.96 * self.error_
        row["conf_high"] = self.mean_ + 1.96 * self.error_
        return pd.DataFrame([row])


def median(sample, random_state):
    """Median of a bootstrap sample, without a standard error."""
    y = sample.observed["y"]
    return [{"term": "median", "estimate": np.median(random_state.choice(y, len(y)))}]


def fragile(sample, random_state):
    """Warn on some samples, fail on others."""
    y = sample.observed["y"]
    if y[0] > 1.0:
        warnings.warn(f"{y[0]:.3f} is large", stacklevel=1)
    if y[1] > 2.0:
        warnings.warn("no convergence", ConvergenceWarning, stacklevel=1)
    if y[2] > 2.0:
        raise ZeroDivisionError(f"{y[2]:.3f}")
    return [{"term": "mean", "estimate": y.mean(), "std_error": 0.1}]


def slow(sample, random_state):
    time.sleep(0.004)
    return median(sample, random_state)


METHODS = {"Means": Means(), "median": median, "fragile": fragile}
GRID = {"n": [5, 20], "scale": [1.0, 2.5]}


def make_study(grid=GRID, methods=METHODS, n_replicates=30, **options):
    return SimulationStudy(draw, methods, grid, n_replicates, **options)


def comparable(frame):
    """Leave out what may differ from run to run."""
    return frame.drop(columns="seconds")
