"""Data with predicted covariates, fits of them, and marginal effects in closed form."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLPoissonRegressor

N = 800
CLASSES = np.array(["centre", "left", "right"])
NAMES = ("a", "b", "c")
ESTIMATORS = {
    "linear": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
    "multinomial": DSLLogisticRegression,
}
MEANS = {"linear": lambda e: e, "logistic": expit, "poisson": np.exp}
SLOPES = {
    "linear": np.ones_like,
    "logistic": lambda e: expit(e) * (1 - expit(e)),
    "poisson": np.exp,
}


class Data(NamedTuple):
    """Truth and machine versions of everything; b and c are predicted, c is 0 or 1."""

    gold: pd.DataFrame
    hat: pd.DataFrame
    y: np.ndarray
    machine: np.ndarray
    drawn: np.ndarray
    probability: np.ndarray
    firm: np.ndarray
    pairs: np.ndarray
    weight: np.ndarray


def make(model, seed=1, *, fixed_size=False):
    rng = np.random.default_rng(seed)
    firm, year = rng.integers(0, 40, N), rng.integers(0, 50, N)
    a, shock = rng.normal(size=N) + 0.3, rng.normal(scale=0.4, size=40)[firm]
    b = 0.5 * a + shock + rng.normal(size=N)
    c = (rng.random(N) < expit(0.5 * a)).astype(float)
    index = 0.3 + 0.4 * a + 0.5 * b - 0.5 * c + shock
    if model == "linear":
        y = index + rng.normal(size=N)
        machine = y - 0.3 * a + 0.5 * rng.normal(size=N)
    elif model == "logistic":
        y = (rng.random(N) < expit(index)).astype(float)
        machine = np.where(rng.random(N) < 0.15, 1 - y, y)
    elif model == "poisson":
        y = rng.poisson(np.exp(0.5 * index)).astype(float)
        machine = np.maximum(y + rng.integers(-1, 2, N), 0).astype(float)
    else:
        utility = np.column_stack([np.zeros(N), index, -0.5 * index]) + rng.gumbel(size=(N, 3))
        y = utility.argmax(axis=1).astype(float)
        machine = np.where(rng.random(N) < 0.2, rng.integers(0, 3, N), y)
    high = y > np.median(y)
    b_hat = b + 0.3 * high + 0.4 * rng.normal(size=N)
    c_hat = np.where(rng.random(N) < 0.1 + 0.1 * high, 1 - c, c)
    probability = expit(-0.3 + 0.6 * a)
    drawn = rng.random(N) < probability
    if fixed_size:
        drawn, probability = np.isin(np.arange(N), rng.permutation(N)[:400]), np.full(N, 400 / N)
    gold = pd.DataFrame({"a": a, "b": b, "c": c})
    weight = rng.uniform(0.3, 2.0, N)
    pairs = np.column_stack([firm, year])
    hat = gold.assign(b=b_hat, c=c_hat)
    return Data(gold, hat, y, machine, drawn, probability, firm, pairs, weight)


def named(model, values):
    return CLASSES[values.astype(int)] if model == "multinomial" else values


def fit_complete(model, data, arguments=None, **options):
    """Fit with every row labelled."""
    estimator = ESTIMATORS[model](**{"tuning": None, **options})
    return estimator.fit(data.gold, named(model, data.y), **(arguments or {}))


def fit_partly(model, data, arguments=None, **options):
    """Fit with gaps in y, b and c where nothing was drawn, surrogates as they are; not tuned."""
    frame = data.gold.copy()
    frame.loc[~data.drawn, ["b", "c"]] = np.nan
    surrogates = data.hat[["b", "c"]].copy()
    surrogates.insert(0, "y", named(model, data.machine))
    options = {"tuning": None, "learner": None, "normalize": False, **options}
    estimator = ESTIMATORS[model](predicted_features=["b", "c"], **options)
    y = pd.Series(named(model, data.y)).where(data.drawn)
    arguments = {"sampling_probability": data.probability, **(arguments or {})}
    return estimator.fit(frame, y, surrogates=surrogates, **arguments)


def design(frame):
    return np.column_stack([np.ones(len(frame)), frame])


def effects_of_rows(model, X, beta):
    """Return h in closed form, class by class: derivatives for a and b, 0 to 1 for c."""
    on, off = X.copy(), X.copy()
    on[:, 3], off[:, 3] = 1, 0
    if model != "multinomial":
        slope = SLOPES[model](X @ beta)
        change = MEANS[model](on @ beta) - MEANS[model](off @ beta)
        return np.column_stack([slope * beta[1], slope * beta[2], change])
    equations = np.vstack([np.zeros(4), beta.reshape(2, 4)])
    chance = lambda rows: softmax(rows @ equations.T, axis=1)  # noqa: E731
    rho, columns = chance(X), []
    for j in range(3):
        derivatives = [rho[:, j] * (equations[j, k] - rho @ equations[:, k]) for k in (1, 2)]
        columns += [*derivatives, (chance(on) - chance(off))[:, j]]
    return np.column_stack(columns)


def row_arguments(data, setting):
    """Split a setting into row-aligned arguments of fit and options of the constructor."""
    options = dict(setting)
    fields = ("clusters", "fixed_effects")
    arguments = {key: getattr(data, options.pop(key)) for key in fields if key in options}
    if options.pop("weighted", False):
        arguments["sample_weight"] = data.weight
    return arguments, options
