"""Predicted covariates: every model equals the corrected moment written out and solved."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LinearRegression
from written_out import (
    Equation,
    Version,
    draw_middle,
    fixed_size_moments,
    relative_residual,
    sandwich,
    two_stage,
)

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)

RTOL = 1e-8
N = 900
CLASSES = np.array(["centre", "left", "right"])
PREDICTED = ("b", "c")


def make(model, seed=1, *, unequal=0.0, fixed_size=False):
    """Truth and machine versions of y and X; machines err more where the outcome is high."""
    rng = np.random.default_rng(seed)
    firm, year = rng.integers(0, 40, N), rng.integers(0, 60, N)
    shock = rng.normal(scale=0.4, size=40)[firm] + rng.normal(scale=0.4, size=60)[year]
    z, other, u = rng.normal(size=(3, N))
    a = rng.normal(size=N)
    b = 0.5 * a + 0.8 * z + 0.4 * other + 0.5 * u + rng.normal(size=N)
    c = (rng.random(N) < expit(0.5 * a)).astype(float)
    index = 0.3 + 0.5 * a + 0.6 * b - 0.5 * c + shock
    if model == "logistic":
        y = (rng.random(N) < expit(index)).astype(float)
        machine = np.where(rng.random(N) < 0.15, 1 - y, y)
    elif model == "poisson":
        y = rng.poisson(np.exp(0.5 * index)).astype(float)
        machine = np.maximum(y + rng.integers(-1, 2, N), 0).astype(float)
    elif model == "multinomial":
        utility = np.column_stack([np.zeros(N), index, -0.5 * index]) + rng.gumbel(size=(N, 3))
        y = utility.argmax(axis=1).astype(float)
        machine = np.where(rng.random(N) < 0.2, rng.integers(0, 3, N), y)
    else:
        y = index + u + rng.normal(size=N)
        machine = y - 0.3 * a + 0.5 * rng.normal(size=N)
    high = y > np.median(y)
    b_hat = b + 0.3 * high + 0.4 * rng.normal(size=N)
    c_hat = np.where(rng.random(N) < 0.1 + 0.1 * high, 1 - c, c)
    probability = expit(-0.4 + unequal * a)
    drawn = rng.random(N) < probability
    if fixed_size:
        drawn = np.isin(np.arange(N), rng.choice(N, 400, replace=False))
        probability = np.full(N, 400 / N)
    gold = pd.DataFrame({"a": a, "b": b, "c": c})
    return {
        "gold": gold,
        "y": y,
        "hat": gold.assign(b=b_hat, c=c_hat),
        "machine": machine,
        "drawn": drawn,
        "probability": probability,
        "firm": firm,
        "two-way": np.column_stack([firm, year]),
        "weight": rng.uniform(0.3, 2.0, N),
        "instruments": np.column_stack([z, other]),
    }


def design(frame):
    return np.column_stack([np.ones(N), frame])


def versions(model, data, n_instruments=2):
    """Return the two versions of the data as the equation sees them."""
    parts = []
    for frame, y in ((data["hat"], data["machine"]), (data["gold"], data["y"])):
        X = design(frame)
        if model == "multinomial":
            y = (y[:, None] == [1, 2]).astype(float)
        Z = None
        if model == "instruments":  # b is endogenous, c and a are their own instruments
            Z = np.column_stack([X[:, [0, 1, 3]], data["instruments"][:, :n_instruments]])
        parts.append(Version(X, y, Z))
    return parts


ESTIMATORS = {
    "linear": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
    "multinomial": DSLLogisticRegression,
    "instruments": DSLTwoStageLeastSquares,
}


def fit(model, data, *, n_instruments=2, arguments=None, **options):
    """Fit the estimator, untuned, to what an analyst has: gaps in y, b and c where not drawn."""
    frame = data["gold"].copy()
    frame.loc[~data["drawn"], list(PREDICTED)] = np.nan
    y, machine = pd.Series(data["y"], name="y"), pd.Series(data["machine"], name="y_machine")
    if model == "multinomial":
        y, machine = (values.map(dict(enumerate(CLASSES))) for values in (y, machine))
    surrogates = pd.DataFrame(machine).assign(b=data["hat"]["b"], c=data["hat"]["c"])
    arguments = {"sampling_probability": data["probability"], **(arguments or {})}
    if model == "instruments":
        options["endogenous"] = "b"
        arguments["instruments"] = data["instruments"][:, :n_instruments]
    options = {"tuning": None, "learner": None, "normalize": False, **options}
    estimator = ESTIMATORS[model](predicted_features=PREDICTED, **options)
    return estimator.fit(frame, y.where(data["drawn"]), surrogates=surrogates, **arguments)


def expected(model, data, weight=None, n_instruments=2):
    """Return the root, the moments, the sum of derivatives and the errors, written out."""
    predicted, gold = versions(model, data, n_instruments)
    weight = np.ones(N) if weight is None else weight
    equation = Equation(model, predicted, gold, data["drawn"], data["probability"], weight)
    if model == "instruments" and n_instruments > 1:
        beta, moments, information = two_stage(equation)
        first_stage = np.linalg.solve(
            equation.cross("instruments", "instruments"), equation.cross("instruments", "design")
        )
        return beta, moments, information, equation.errors(beta) @ first_stage
    n_params = 8 if model == "multinomial" else 4
    beta = equation.solve(np.zeros(n_params))
    information = equation.informations(beta).sum(axis=0)
    return beta, equation.moments(beta), information, equation.errors(beta)


SETTINGS = {
    "constant probability": {},
    "unequal probabilities": {"unequal": 0.6},
    "one-way clusters": {"unequal": 0.6, "clusters": "firm"},
    "two-way clusters": {"unequal": 0.6, "clusters": "two-way"},
    "weights": {"unequal": 0.6, "weighted": True},
    "weights and clusters": {"unequal": 0.6, "weighted": True, "clusters": "firm"},
    "HC1": {"weighted": True, "covariance": "HC1"},
    "CR1": {"clusters": "firm", "covariance": "CR1"},
    "two-way CR1": {"weighted": True, "clusters": "two-way", "covariance": "CR1"},
    "simple random": {"fixed_size": True, "design": "srswor"},
    "simple random, weights": {"fixed_size": True, "design": "srswor", "weighted": True},
    "simple random, clusters": {"fixed_size": True, "design": "srswor", "clusters": "firm"},
    "these rows": {"unequal": 0.6, "target": "population", "weighted": True},
    "these rows, simple random": {
        "fixed_size": True,
        "design": "srswor",
        "target": "population",
        "weighted": True,
    },
}


@pytest.mark.parametrize("model", ESTIMATORS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_equals_the_moment_written_out(model, setting):
    chosen = dict(SETTINGS[setting])
    unequal, fixed_size = chosen.pop("unequal", 0.0), chosen.get("design") == "srswor"
    chosen.pop("fixed_size", None)
    data = make(model, unequal=unequal, fixed_size=fixed_size)
    arguments = {}
    weight = data["weight"] if chosen.pop("weighted", False) else None
    if weight is not None:
        arguments["sample_weight"] = weight
    clusters = data[chosen.pop("clusters")] if "clusters" in chosen else None
    if clusters is not None:
        arguments["clusters"] = clusters
    ours = fit(model, data, arguments=arguments, **chosen).results_
    beta, moments, information, errors = expected(model, data, weight)
    np.testing.assert_allclose(ours.params, beta, rtol=RTOL)
    assert relative_residual(moments) < 1e-8  # the reference itself is a root
    kind = chosen.get("covariance", "")
    if chosen.get("target") == "population":
        bread = np.linalg.inv(information)
        chance = data["probability"][data["drawn"]]
        cov = bread @ draw_middle(errors, chance, fixed_size=fixed_size) @ bread.T
    else:
        if fixed_size:
            moments = fixed_size_moments(moments, errors, data["drawn"])
        n_params = len(beta) if kind == "CR1" else None
        cov = sandwich(moments, information, clusters, n_params=n_params)
        cov = cov * (N / (N - len(beta)) if kind == "HC1" else 1.0)
    np.testing.assert_allclose(ours.cov, cov, rtol=RTOL, atol=1e-10 * np.abs(cov).max())


@pytest.mark.parametrize("model", ESTIMATORS)
def test_the_moments_vanish(model):
    """Recomputed from the written-out moment, not from what the estimator says of itself."""
    data = make(model, unequal=0.6)
    ours = fit(model, data, n_instruments=1, arguments={"sample_weight": data["weight"]})
    predicted, gold = versions(model, data, n_instruments=1)
    weight = data["weight"] / data["weight"].mean()
    equation = Equation(model, predicted, gold, data["drawn"], data["probability"], weight)
    assert relative_residual(equation.moments(ours.results_.params)) <= 1e-10
    assert max(ours.diagnostics_.residuals) <= 1e-10
    assert ours.diagnostics_.converged


@pytest.mark.parametrize("model", ESTIMATORS)
def test_influence_values_give_the_clustered_covariance(model):
    """Errors can be clustered after the fit, as if the clusters had been known."""
    data = make(model, unequal=0.6)
    after = fit(model, data).results_.recluster(data["firm"], "CR0")
    before = fit(model, data, arguments={"clusters": data["firm"]}).results_
    np.testing.assert_allclose(after.cov, before.cov, rtol=RTOL, atol=1e-10 * before.cov.max())


@pytest.mark.parametrize("clusters", [None, "firm", "two-way"])
def test_as_many_instruments_as_needed(clusters):
    """Just identified: the root of Z (Y - X'beta), whatever the first stage."""
    data = make("instruments", unequal=0.6)
    arguments = {} if clusters is None else {"clusters": data[clusters]}
    ours = fit("instruments", data, n_instruments=1, arguments=arguments).results_
    beta, moments, information, _ = expected("instruments", data, n_instruments=1)
    np.testing.assert_allclose(ours.params, beta, rtol=RTOL)
    cov = sandwich(moments, information, None if clusters is None else data[clusters])
    np.testing.assert_allclose(ours.cov, cov, rtol=RTOL, atol=1e-10 * np.abs(cov).max())


@pytest.mark.parametrize("model", ["linear", "logistic", "instruments"])
def test_a_known_outcome_needs_no_surrogate(model):
    """Only covariates are predicted; y has a value on every row."""
    data = make(model, unequal=0.6)
    data["machine"] = data["y"]
    frame = data["gold"].copy()
    frame.loc[~data["drawn"], list(PREDICTED)] = np.nan
    options, arguments = {}, {}
    if model == "instruments":
        options, arguments = {"endogenous": "b"}, {"instruments": data["instruments"]}
    ours = ESTIMATORS[model](
        tuning=None, learner=None, normalize=False, predicted_features=PREDICTED, **options
    ).fit(
        frame,
        data["y"],
        surrogates=data["hat"][list(PREDICTED)],
        sampling_probability=data["probability"],
        **arguments,
    )
    beta, moments, information, _ = expected(model, data)
    np.testing.assert_allclose(ours.results_.params, beta, rtol=RTOL)
    np.testing.assert_allclose(
        ours.results_.cov, sandwich(moments, information), rtol=RTOL, atol=1e-15
    )
    assert ours.results_.header["Predicted"] == "b, c"


def test_surrogates_follow_the_declared_order():
    """The outcome first, then the predicted columns as they were declared."""
    data = make("linear")
    frame = data["gold"].copy()
    frame.loc[~data["drawn"], list(PREDICTED)] = np.nan
    y = np.where(data["drawn"], data["y"], np.nan)
    swapped = np.column_stack([data["machine"], data["hat"]["c"], data["hat"]["b"]])
    ours = DSLLinearRegression(tuning=None, learner=None, predicted_features=[2, "b"]).fit(
        frame, y, surrogates=swapped
    )
    data["probability"] = np.full(N, data["drawn"].mean())
    np.testing.assert_allclose(ours.results_.params, expected("linear", data)[0], rtol=RTOL)


@pytest.mark.parametrize(
    ("model", "learner"),
    [("linear", "linear"), ("multinomial", "linear"), ("multinomial", LinearRegression())],
)
def test_learned_predictions_enter_the_same_equation(model, learner):
    """Classes are predicted one by one, clipped at 0 and scaled to probabilities."""
    data = make(model, unequal=0.6)
    frame = data["gold"].copy()
    frame.loc[~data["drawn"], list(PREDICTED)] = np.nan
    y = pd.Series(data["y"])
    if model == "multinomial":
        y = y.map(dict(enumerate(CLASSES)))
    surrogates = data["hat"][list(PREDICTED)].assign(machine=data["machine"])
    ours = ESTIMATORS[model](
        tuning=None,
        learner=learner,
        n_repeats=1,
        normalize=False,
        predicted_features=PREDICTED,
        random_state=0,
    ).fit(
        frame,
        y.where(data["drawn"]),
        surrogates=surrogates,
        sampling_probability=data["probability"],
    )
    columns = ours._fitted.predictions[0]
    hat = data["hat"].assign(b=columns[:, -2], c=columns[:, -1])
    machine = columns[:, 0]
    if model == "multinomial":
        shares = np.maximum(columns[:, :3], 0)
        # A least-squares learner leaves the range of probabilities, a logit does not.
        assert (columns[:, :3] < 0).any() == (learner != "linear")
        machine = (shares / shares.sum(axis=1, keepdims=True))[:, 1:]
    gold = versions(model, data)[1]
    equation = Equation(
        model,
        Version(design(hat), machine),
        gold,
        data["drawn"],
        data["probability"],
        np.ones(N),
    )
    beta = equation.solve(np.zeros(len(ours.results_.params)))
    np.testing.assert_allclose(ours.results_.params, beta, rtol=RTOL)
    cov = sandwich(equation.moments(beta), equation.informations(beta).sum(axis=0))
    np.testing.assert_allclose(ours.results_.cov, cov, rtol=RTOL, atol=1e-10 * np.abs(cov).max())


@pytest.mark.parametrize("model", ESTIMATORS)
@pytest.mark.parametrize("clustered", [False, True])
def test_what_it_is_compared_with(model, clustered):
    """Machine labels as if true, and gold rows weighted by a / pi, covariates included."""
    data = make(model, unequal=0.6)
    clusters = data["firm"] if clustered else None
    fitted = fit(model, data, arguments={"sample_weight": data["weight"], "clusters": clusters})
    results = fitted.compare_labels()
    predicted, gold = versions(model, data)
    everything = {"drawn": np.ones(N, dtype=bool), "probability": np.ones(N)}
    rows = data["drawn"]
    known = Version(*(None if part is None else part[rows] for part in gold))
    machine = Equation(model, predicted, predicted, **everything, weight=data["weight"])
    alone = Equation(
        model,
        known,
        known,
        drawn=everything["drawn"][rows],
        probability=everything["probability"][rows],
        weight=(data["weight"] / data["probability"])[rows],
    )
    for label, equation in (("Surrogate only", machine), ("Gold only", alone)):
        if model == "instruments":
            beta, moments, information = two_stage(equation)
        else:
            beta = equation.solve(np.zeros(len(fitted.results_.params)))
            moments, information = equation.moments(beta), equation.informations(beta).sum(axis=0)
        codes = clusters
        if clustered and label == "Gold only":
            codes = clusters[rows]
        cov = sandwich(moments, information, codes)
        np.testing.assert_allclose(results[label].params, beta, rtol=RTOL)
        np.testing.assert_allclose(results[label].cov, cov, rtol=1e-7, atol=1e-9 * cov.max())
    gain = np.diag(results["Gold only"].cov) / np.diag(results["DSL"].cov)
    np.testing.assert_allclose(fitted.diagnostics_.gain, gain, rtol=1e-6)
    np.testing.assert_array_equal(results["DSL"].cov, fitted.results_.cov)
