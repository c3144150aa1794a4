"""Partly labelled panels: absorbed effects equal the equation of slopes and all dummies.

The dense reference solves for slopes and dummies together (section by section: the corrected
moment of the full parameter, its full sandwich) and takes the block of the slopes. Where covariates
are predicted the moment has the gaps' own products, by the leverages of the dense hat matrix.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from written_out import (
    Equation,
    Version,
    draw_middle,
    dummies,
    fixed_size_moments,
    hat_diagonal,
    relative_residual,
    sandwich,
    two_stage,
)

from trueness.dsl import DSLLinearRegression, DSLTwoStageLeastSquares

RTOL = 1e-8
N, K = 450, 2


def panel(seed=3, *, fixed_size=False):
    """An unbalanced panel with machine versions of y and of the first covariate."""
    rng = np.random.default_rng(seed)
    unit = np.sort(rng.choice(40, N, p=np.arange(1, 41) / 820))
    year, place = rng.integers(0, 9, N), rng.integers(0, 6, N)
    level = rng.normal(size=40)[unit] + rng.normal(size=9)[year]
    z, u = rng.normal(size=(2, N))
    X = rng.normal(size=(N, K)) + 0.5 * level[:, None]
    X[:, 0] += z + 0.5 * u
    y = X @ [0.7, -0.4] + 2 * level + u + rng.normal(size=N)
    probability = expit(0.3 + 0.5 * X[:, 1] - 0.2 * level)
    drawn = rng.random(N) < probability
    if fixed_size:
        drawn = np.isin(np.arange(N), rng.choice(N, 270, replace=False))
        probability = np.full(N, 270 / N)
    hat = X.copy()
    hat[:, 0] += 0.3 * (y > 0) + 0.4 * rng.normal(size=N)
    return {
        "X": X,
        "hat": hat,
        "y": y,
        "machine": y - 0.3 * X[:, 1] + rng.normal(size=N),
        "z": np.column_stack([z, z**2 + rng.normal(size=N)]),
        "drawn": drawn,
        "probability": probability,
        "effects": np.column_stack([unit, year, place]),
        "weight": rng.uniform(0.3, 2.0, N),
        "firm": rng.integers(0, 35, N),
        "both": np.column_stack([rng.integers(0, 35, N), rng.integers(0, 28, N)]),
    }


def fit(data, estimator, *, ways, covariate, arguments):
    """Fit what an analyst has; with ``covariate`` the first column of X has gaps too."""
    X = data["X"].copy()
    surrogates = data["machine"][:, None]
    if covariate:
        X[~data["drawn"], 0] = np.nan
        surrogates = np.column_stack([surrogates, data["hat"][:, 0]])
    return estimator.fit(
        X,
        np.where(data["drawn"], data["y"], np.nan),
        surrogates=surrogates,
        sampling_probability=data["probability"],
        fixed_effects=data["effects"][:, :ways],
        **arguments,
    )


def dense_equation(data, *, ways, covariate, weight, instruments=False):
    """Return the equation of slopes and dummies."""
    D = dummies(data["effects"][:, :ways])
    hat = data["hat"] if covariate else data["X"]
    Z = [
        np.column_stack([X[:, 1], data["z"], D]) if instruments else None for X in (hat, data["X"])
    ]
    return Equation(
        "instruments" if instruments else "linear",
        Version(np.column_stack([hat, D]), data["machine"], Z[0]),
        Version(np.column_stack([data["X"], D]), data["y"], Z[1]),
        data["drawn"],
        data["probability"],
        weight,
        hat_diagonal(D, weight) if covariate else None,
    )


def linear_solution(equation):
    """Return the root of a linear equation, its moments and the sum of derivatives."""
    start = np.zeros(equation.predicted.design.shape[1])
    information = equation.informations(start).sum(axis=0)
    beta = np.linalg.solve(information, equation.moments(start).sum(axis=0))
    return beta, equation.moments(beta), information


SETTINGS = {
    "rows": {},
    "weights": {"weighted": True},
    "one-way clusters": {"clusters": "firm"},
    "two-way clusters": {"clusters": "both", "weighted": True},
    "HC1": {"covariance": "HC1", "weighted": True},
    "CR1": {"covariance": "CR1", "clusters": "firm"},
    "two-way CR1": {"covariance": "CR1", "clusters": "both"},
    "simple random": {"design": "srswor", "weighted": True},
    "simple random, clusters": {"design": "srswor", "clusters": "firm"},
    "these rows": {"target": "population", "weighted": True},
    "these rows, simple random": {"design": "srswor", "target": "population"},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(("ways", "covariate"), [(1, True), (2, False), (2, True), (3, True)])
def test_equals_slopes_and_dummies(setting, ways, covariate):
    chosen = dict(SETTINGS[setting])
    fixed_size = chosen.get("design") == "srswor"
    data = panel(fixed_size=fixed_size)
    weight = data["weight"] if chosen.pop("weighted", False) else None
    clusters = data[chosen.pop("clusters")] if "clusters" in chosen else None
    estimator = DSLLinearRegression(
        tuning=None,
        learner=None,
        normalize=False,
        predicted_features=[0] if covariate else (),
        **chosen,
    )
    arguments = {"sample_weight": weight, "clusters": clusters}
    ours = fit(data, estimator, ways=ways, covariate=covariate, arguments=arguments).results_
    weight = np.ones(N) if weight is None else weight
    equation = dense_equation(data, ways=ways, covariate=covariate, weight=weight)
    beta, moments, information = linear_solution(equation)
    assert relative_residual(moments[:, :K]) < 1e-10
    np.testing.assert_allclose(ours.params, beta[:K], rtol=RTOL)
    errors = equation.errors(beta)
    if "target" in chosen:
        bread = np.linalg.inv(information)
        chance = data["probability"][data["drawn"]]
        cov = bread @ draw_middle(errors, chance, fixed_size=fixed_size) @ bread.T
    else:
        if fixed_size:
            moments = fixed_size_moments(moments, errors, data["drawn"])
        n_params = len(beta) if chosen.get("covariance") == "CR1" else None
        cov = sandwich(moments, information, clusters, n_params=n_params)
        cov = cov * (N / (N - len(beta)) if chosen.get("covariance") == "HC1" else 1.0)
    np.testing.assert_allclose(ours.cov, cov[:K, :K], rtol=RTOL)


@pytest.mark.parametrize("covariate", [False, True])
@pytest.mark.parametrize("kind", ["HC0", "HC1", "CR0", "CR1"])
def test_two_stage_equals_dummies(covariate, kind):
    """The endogenous column is machine-labelled too, and the equation over-identified."""
    data = panel()
    clusters = data["firm"] if kind.startswith("CR") else None
    estimator = DSLTwoStageLeastSquares(
        tuning=None,
        endogenous=0,
        learner=None,
        normalize=False,
        covariance=kind,
        predicted_features=[0] if covariate else (),
    )
    arguments = {
        "sample_weight": data["weight"],
        "clusters": clusters,
        "instruments": data["z"],
    }
    ours = fit(data, estimator, ways=2, covariate=covariate, arguments=arguments).results_
    equation = dense_equation(
        data, ways=2, covariate=covariate, weight=data["weight"], instruments=True
    )
    beta, moments, information = two_stage(equation)
    n_params = len(beta) if kind == "CR1" else None
    cov = sandwich(moments, information, clusters, n_params=n_params)
    cov = cov * (N / (N - len(beta)) if kind == "HC1" else 1.0)
    np.testing.assert_allclose(ours.params, beta[:K], rtol=RTOL)
    np.testing.assert_allclose(ours.cov, cov[:K, :K], rtol=RTOL)


def test_closed_form_demeaning_is_not_the_answer():
    """Unit mean plus year mean less grand mean, exact on balanced panels only, is far off here."""
    data = panel()
    pseudo = data["machine"] + data["drawn"] / data["probability"] * (data["y"] - data["machine"])
    frame = pd.DataFrame(np.column_stack([pseudo, data["X"]]))
    unit, year = data["effects"][:, 0], data["effects"][:, 1]
    means = frame.groupby(unit).transform("mean") + frame.groupby(year).transform("mean")
    left = (frame - means + frame.mean()).to_numpy()
    closed = np.linalg.lstsq(left[:, 1:], left[:, 0], rcond=None)[0]
    ours = fit(
        data,
        DSLLinearRegression(tuning=None, learner=None, normalize=False),
        ways=2,
        covariate=False,
        arguments={},
    )
    assert np.abs(closed - ours.coef_).max() > 1e-3


@pytest.mark.parametrize("covariate", [False, True])
def test_gold_only_and_surrogate_only(covariate):
    """The rows compared with DSL: inverse probability weights, and machine labels as if true."""
    data = panel()
    X = data["X"].copy()
    surrogates = data["machine"][:, None]
    if covariate:
        X[~data["drawn"], 0] = np.nan
        surrogates = np.column_stack([surrogates, data["hat"][:, 0]])
    estimator = DSLLinearRegression(
        tuning=None, learner=None, normalize=False, predicted_features=[0] if covariate else ()
    )
    arguments = {
        "surrogates": surrogates,
        "sampling_probability": data["probability"],
        "fixed_effects": data["effects"][:, :2],
        "sample_weight": data["weight"],
    }
    fitted = estimator.fit(X, np.where(data["drawn"], data["y"], np.nan), **arguments)
    results = fitted.compare_labels()
    D = dummies(data["effects"][:, :2])
    hat = data["hat"] if covariate else data["X"]
    naive = Version(np.column_stack([hat, D]), data["machine"])
    everything = np.ones(N, dtype=bool)
    equation = Equation("linear", naive, naive, everything, np.ones(N), data["weight"])
    beta, moments, information = linear_solution(equation)
    cov = sandwich(moments, information)
    np.testing.assert_allclose(results["Surrogate only"].params, beta[:K], rtol=RTOL)
    np.testing.assert_allclose(results["Surrogate only"].cov, cov[:K, :K], rtol=RTOL)
    rows = data["drawn"]
    gold = Version(
        np.column_stack([data["X"][rows], dummies(data["effects"][rows, :2])]), data["y"][rows]
    )
    weight = data["weight"][rows] / data["probability"][rows]
    equation = Equation("linear", gold, gold, everything[rows], np.ones(rows.sum()), weight)
    beta, moments, information = linear_solution(equation)
    cov = sandwich(moments, information)
    np.testing.assert_allclose(results["Gold only"].params, beta[:K], rtol=RTOL)
    np.testing.assert_allclose(results["Gold only"].cov, cov[:K, :K], rtol=RTOL)
    gain = np.diag(cov)[:K] / np.diag(results["DSL"].cov)
    np.testing.assert_allclose(fitted.diagnostics_.gain, gain, rtol=1e-6)
