"""A clustered regression that the tests of inference share; how cases are generated."""

import numpy as np
import pytest
from hypothesis import settings
from shared import ols

# The same cases in every run, however slow the machine is.
settings.register_profile("same everywhere", derandomize=True, deadline=None, database=None)
settings.load_profile("same everywhere")


@pytest.fixture(scope="session")
def data():
    rng = np.random.default_rng(20240117)
    n = 240
    firm, year = rng.integers(0, 30, n), rng.integers(0, 9, n)
    x = np.column_stack([np.ones(n), rng.normal(size=n) + 0.3 * firm, rng.exponential(size=n)])
    shock = rng.normal(size=30)[firm] + rng.normal(size=9)[year]
    y = x @ [1.0, -0.5, 0.25] + shock + rng.normal(size=n) * (1 + x[:, 2])
    return x, y, firm, year


@pytest.fixture(scope="session")
def fitted(data):
    return ols(data[1], data[0])
