"""Leverage corrections where covariates are predicted: rows of rank two, all dense."""

import numpy as np
import pytest
from scipy.special import expit
from written_out import Equation, Version, adjusted_sandwich

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
)

N, G = 350, 25
ESTIMATORS = {
    "linear": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
}


@pytest.fixture(scope="module", params=ESTIMATORS)
def case(request):
    """A model, its equation, and the arguments of a fit with one predicted column."""
    model = request.param
    rng = np.random.default_rng(5)
    X = rng.normal(size=(N, 2))
    index = 0.2 + X @ [0.4, 0.5]
    y, machine = {
        "linear": lambda: (index + rng.normal(size=N), index + rng.normal(size=N)),
        "logistic": lambda: tuple((rng.random((2, N)) < expit(index)).astype(float)),
        "poisson": lambda: tuple(rng.poisson(np.exp(index), (2, N)).astype(float)),
    }[model]()
    hat = X.copy()
    hat[:, 1] += 0.3 * rng.normal(size=N)
    probability = expit(0.5 + 0.5 * X[:, 0])
    drawn = rng.random(N) < probability
    weight = rng.uniform(0.5, 1.5, N)
    constant = np.ones((N, 1))
    equation = Equation(
        model,
        Version(np.hstack([constant, hat]), machine),
        Version(np.hstack([constant, X]), y),
        drawn,
        probability,
        weight,
    )
    shown = X.copy()
    shown[~drawn, 1] = np.nan
    arguments = {
        "X": shown,
        "y": np.where(drawn, y, np.nan),
        "surrogates": np.column_stack([machine, hat[:, 1]]),
        "sampling_probability": probability,
        "sample_weight": weight,
    }
    return model, equation, arguments


@pytest.mark.parametrize(("kind", "power"), [("HC2", 0.5), ("HC3", 1.0), ("CR2", 0.5)])
def test_equals_the_dense_matrix_power(case, kind, power):
    """J_i = a_i {(1 - w_i) H(predicted) + w_i H(gold)} and (I - J_i J^-1)^-p m_i."""
    model, equation, arguments = case
    clusters = np.arange(N) % G if kind == "CR2" else None
    ours = (
        ESTIMATORS[model](
            tuning=None, learner=None, normalize=False, covariance=kind, predicted_features=1
        )
        .fit(**arguments, clusters=clusters)
        .results_
    )
    beta = equation.solve(np.zeros(3))
    units = np.arange(N) if clusters is None else clusters
    cov = adjusted_sandwich(equation.moments(beta), equation.informations(beta), units, power)
    np.testing.assert_allclose(ours.cov, cov, rtol=1e-8, atol=1e-10 * np.abs(cov).max())
    weight = 1 / equation.probability[equation.drawn]
    effective = weight.sum() ** 2 / (weight**2).sum()
    limit = np.inf if clusters is None else G - 1
    assert ours.df == pytest.approx(min(effective - 3, limit), rel=1e-12)


def test_corrections_are_ordered(case):
    """On average the corrections inflate, HC3 more than HC2; checked as a ratio of variances."""
    model, _, arguments = case
    variances = {}
    for kind in ("HC0", "HC2", "HC3"):
        options = {"tuning": None, "learner": None, "predicted_features": 1}
        estimator = ESTIMATORS[model](covariance=kind, **options)
        variances[kind] = estimator.fit(**arguments).results_.std_errors ** 2
    assert (variances["HC2"] > variances["HC0"]).all()
    assert (variances["HC3"] > variances["HC2"]).all()
