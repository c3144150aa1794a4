"""Data and short cuts that the tests of formulas share."""

import numpy as np
import pandas as pd

from trueness.formula import Designer, parse

RNG = np.random.default_rng(20240209)
N = 60
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(0.5, 3.0, size=N),
        "z": RNG.normal(size=N),
        "t": RNG.normal(size=N),
        "g": RNG.permutation(np.repeat(["a", "b", "c"], N // 3)),
        "h": RNG.permutation(np.repeat(["no", "yes"], N // 2)),
        "year": RNG.permutation(np.repeat([2001, 2002, 2003, 2004], N // 4)),
        "flag": RNG.permutation(np.repeat([True, False], N // 2)),
        "two words": RNG.normal(size=N),
    }
)
X, Z, T, Y = (FRAME[name].to_numpy() for name in "xzty")
ONE = np.ones(N)


def dummies(name, *levels):
    return [(FRAME[name] == level).to_numpy(float) for level in levels]


def designer(formula, frame=FRAME, levels=None, **options):
    return Designer(parse(formula), frame, levels, **options)


def design(formula, frame=FRAME, new=None):
    built = designer(formula, frame, outcome=False)
    return built.evaluate(frame if new is None else new).design


def with_value(column, value, *rows):
    frame = FRAME.copy()
    frame.loc[list(rows), column] = value
    return frame
