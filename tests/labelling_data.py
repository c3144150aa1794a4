"""Data for tests of what comes before and between labels."""

import warnings

import numpy as np

from trueness.dsl import DSLLinearRegression, GoldSample

N = 3000


def varying(seed=0, n_rows=N, n_pilot=120, spread=1.2, **options):
    """A linear model whose machine errs by exp(spread * q / 2), and a fit to a pilot."""
    rng = np.random.default_rng(seed)
    x, z, q = rng.normal(size=(3, n_rows))
    y = 1.0 + 0.5 * x - 0.5 * z + rng.normal(size=n_rows)
    scale = np.exp(spread * q / 2)
    machine = np.column_stack([y + scale * rng.normal(size=n_rows), q])
    pilot = GoldSample.simple_random(n_rows, n_pilot, random_state=seed)
    X = np.column_stack([x, z])
    model = DSLLinearRegression(random_state=0, n_repeats=2, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.fit(X, np.where(pilot.drawn, y, np.nan), surrogates=machine, gold_sample=pilot)
    return X, y, machine, scale, pilot, fit
