"""Product-limit curves written out slowly, and durations to try them on."""

import numpy as np


def durations(n=60, seed=0, *, ties=True, dims=2, levels=0):
    """Draw covariates, times (whole numbers if tied) and events; censoring depends on the first."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dims))
    duration = rng.exponential(size=n) * np.exp(0.5 * x[:, -1])
    censored = 1.5 * rng.exponential(size=n) * np.exp(0.5 * x[:, 0])
    time, event = np.minimum(duration, censored), duration <= censored
    if ties:
        time = np.ceil(4.0 * time)
    if levels:
        x = np.column_stack([x, rng.integers(0, levels, n)])
    return x, time, event


def delayed(time, seed=1):
    """Draw entries, some of them late, all before their times."""
    rng = np.random.default_rng(seed)
    entry = np.floor(time * rng.uniform(size=len(time)) * 0.8)
    return np.where(rng.random(len(time)) < 0.5, 0.0, entry)


def products(b, time, event, at, *, side="left", of="censoring", entry=None):
    """Return for every row of weights b the product over distinct times before its time.

    Factors are grouped by time and made of sums over the rows that are at risk at it.
    """
    b, at = np.atleast_2d(b), np.asarray(at)
    values = np.ones(len(b))
    for v in np.unique(time):
        reached = v < at if side == "left" else v <= at
        watched = time >= v if entry is None else (time >= v) & (entry < v)
        events, censored = (time == v) & event, (time == v) & ~event
        # Events come first: at risk of being censored are those without one.
        rest = watched & (time > v)
        falls = events if of == "event" else censored
        if of == "event":
            rest = rest | censored
        rest, falls = b[:, rest].sum(axis=1), b[:, falls].sum(axis=1)
        factor = np.divide(rest, rest + falls, out=np.ones(len(b)), where=falls > 0.0)
        values *= np.where(reached, factor, 1.0)
    return values
