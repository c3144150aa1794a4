"""Power tuning: weights, roots and standard errors as the equations have them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm
from tuned_written_out import Sampling, Tuned, drawn_units
from written_out import Version

from trueness.dsl import (
    DSLEstimator,
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
    GoldSample,
)

N, N_UNITS = 480, 48
RTOL = 1e-7
ESTIMATORS = {
    "linear": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
    "multinomial": DSLLogisticRegression,
    "instruments": DSLTwoStageLeastSquares,
    "probit": DSLEstimator,
}
TUNINGS = ("diagonal", "scalar", "matrix")


# ---------------------------------------------------------------------- data


def probit(X, y, theta):
    index = X @ theta
    mean, density = norm.cdf(index), norm.pdf(index)
    return X * ((y - mean) * density / (mean * (1 - mean)))[:, None]


def probit_moment(part, beta):
    return probit(part.design, part.outcome, beta)


def probit_information(part, beta):
    """Return derivatives by six-point differences."""
    columns = []
    for step in 1e-2 * np.eye(len(beta)):
        at = lambda k: probit_moment(part, beta + k * step)  # noqa: E731, B023
        rise = 45 * (at(1) - at(-1)) - 9 * (at(2) - at(-2)) + (at(3) - at(-3))
        columns.append(-rise / (60 * step.max()))
    return np.stack(columns, axis=-1)


def make(model, seed=1):
    """Truth and machine versions of y and of the covariate b; machines are biased and noisy."""
    rng = np.random.default_rng(seed)
    unit = rng.permutation(np.repeat(np.arange(N_UNITS), N // N_UNITS))
    shock = rng.normal(scale=0.3, size=N_UNITS)[unit]
    a, z, other, u = rng.normal(size=(4, N))
    b = 0.4 * a + 0.9 * z + 0.4 * other + 0.4 * u + rng.normal(size=N)
    index = 0.2 + 0.4 * a + 0.5 * b + shock
    noise = rng.normal(size=N)
    if model in ("logistic", "probit"):
        y = (index + noise > 0).astype(float)
        machine = np.where(rng.random(N) < 0.15, 1 - y, y)
    elif model == "poisson":
        y = rng.poisson(np.exp(0.5 * index)).astype(float)
        machine = np.maximum(y + rng.integers(-1, 2, N), 0).astype(float)
    elif model == "multinomial":
        utility = np.column_stack([np.zeros(N), index, -0.5 * index]) + rng.gumbel(size=(N, 3))
        y = utility.argmax(axis=1).astype(float)
        machine = np.where(rng.random(N) < 0.2, rng.integers(0, 3, N), y)
    else:
        y = index + 0.7 * u + noise
        machine = y + 0.5 - 0.3 * a + 0.6 * rng.normal(size=N)
    return {
        "X": pd.DataFrame({"a": a, "b": b}),
        "y": y,
        "machine": machine,
        "b_hat": 0.9 * b + 0.2 * (y > np.median(y)) + 0.5 * rng.normal(size=N),
        "unit": unit,
        "size": rng.uniform(0.5, 2.0, N),
        "stratum": (a > 0.5).astype(int) + (a > -0.4),
        "instruments": np.column_stack([z, other]),
        "weight": rng.uniform(0.4, 1.8, N),
    }


# Each returns the rows drawn, the arguments of fit, options, and the draw as it was made.


def simple_random(data):
    drawn = GoldSample.simple_random(N, 190, random_state=2).drawn
    return drawn, {}, {"design": "srswor"}, Sampling(np.full(N, 190 / N), True)


def independent(data):
    """Given their number, independent draws with one probability are simple random."""
    drawn = np.random.default_rng(3).random(N) < 0.4
    return drawn, {}, {}, Sampling(np.full(N, drawn.mean()), True)


def unequal_rescaled(data):
    chance = 0.3 * data["size"]
    drawn = np.random.default_rng(4).random(N) < chance
    rescaled = chance * drawn.sum() / chance.sum()
    return drawn, {"sampling_probability": chance}, {}, Sampling(rescaled, True)


def unequal_as_stated(data):
    chance = np.where(data["size"] > 1.9, 1.0, 0.3 * data["size"])
    drawn = np.random.default_rng(5).random(N) < chance
    options = {"normalize": False}
    return drawn, {"sampling_probability": chance}, options, Sampling(chance, False)


def stratified(data):
    stratum = data["stratum"]
    sample = GoldSample.stratified(N, stratum, allocation=[90, 60, 50], random_state=6)
    drawn = sample.drawn
    share = np.bincount(stratum, drawn) / np.bincount(stratum)
    arguments = {"strata": np.array(["low", "middle", "top"])[stratum]}
    return drawn, arguments, {"design": "stratified"}, Sampling(share[stratum], True, stratum)


def proportional_to_size(data):
    sample = GoldSample.unequal(N, data["size"], 190, random_state=7)
    return sample.drawn, {"gold_sample": sample}, {}, Sampling(sample.probability, True)


def whole_units(data):
    sample = GoldSample.clusters(N, data["unit"], 22, random_state=8)
    chance = np.full(N, 22 / N_UNITS)
    return sample.drawn, {"gold_sample": sample}, {}, Sampling(chance, True, None, data["unit"])


def units_in_strata(data):
    """Units drawn at different rates in two strata of units."""
    half = (data["unit"] >= 20).astype(int)
    sample = GoldSample.clusters(N, data["unit"], {0: 9, 1: 13}, strata=half, random_state=9)
    chance = np.array([9 / 20, 13 / 28])[half]
    sampling = Sampling(chance, True, half, data["unit"])
    return sample.drawn, {"gold_sample": sample}, {}, sampling


def nine_units(data):
    sample = GoldSample.clusters(N, data["unit"], 9, random_state=8)
    chance = np.full(N, 9 / N_UNITS)
    return sample.drawn, {"gold_sample": sample}, {}, Sampling(chance, True, None, data["unit"])


def two_stages(data):
    sample = GoldSample.two_stage(N, data["unit"], 30, 6, random_state=10)
    chance = np.full(N, 30 / N_UNITS)
    sampling = Sampling(chance * 6 / 10, True, None, data["unit"], chance)
    return sample.drawn, {"gold_sample": sample}, {}, sampling


DESIGNS = {
    draw.__name__: draw
    for draw in (
        simple_random,
        independent,
        unequal_rescaled,
        unequal_as_stated,
        stratified,
        proportional_to_size,
        whole_units,
        units_in_strata,
        two_stages,
    )
}


def fit(model, data, drawn, arguments, *, predicted="b", **options):
    """Fit what an analyst has: gaps in y, and in b unless it is known."""
    X, surrogates = data["X"], data["machine"][:, None]
    if predicted:
        X = X.assign(b=X["b"].where(drawn))
        surrogates = np.column_stack([surrogates, data["b_hat"]])
    if model == "instruments":
        options["endogenous"] = "b"
        arguments = {"instruments": data["instruments"], **arguments}
    if model == "probit":
        options |= {"moment": probit, "fit_intercept": True}
    estimator = ESTIMATORS[model](learner=None, predicted_features=predicted, **options)
    return estimator.fit(X, np.where(drawn, data["y"], np.nan), surrogates=surrogates, **arguments)


def equation(model, data, drawn, sampling, *, predicted="b", weight=None):
    """Return the equation written out, and the gold-only root where it solves another one."""
    X, hat = data["X"], data["X"]
    if predicted:
        hat = X.assign(b=data["b_hat"])
    parts = []
    for frame, y in ((hat, data["machine"]), (X, data["y"])):
        outcome = (y[:, None] == [1, 2]).astype(float) if model == "multinomial" else y
        design = np.column_stack([np.ones(N), frame])
        instruments = None
        if model == "instruments":
            instruments = np.column_stack([np.ones(N), frame["a"], data["instruments"]])
        parts.append(Version(design, outcome, instruments))
    if model == "probit":
        weight = np.ones(N) if weight is None else weight / weight.mean()
        model_parts = (probit_moment, probit_information)
        return Tuned(*model_parts, *parts, drawn, sampling, weight, 3), None
    if model != "instruments":
        return Tuned.of(model, *parts, drawn, sampling, weight), None
    return _two_stage(parts, drawn, sampling, weight, is_known=not predicted)


def _two_stage(parts, drawn, sampling, weight, *, is_known):
    """Project instruments: by gold labels alone unless the first stage is known on all rows."""
    a = np.ones(N) if weight is None else weight / weight.mean()
    gold = parts[1]

    def projected(rows):
        Z = gold.instruments * rows[:, None]
        stage = np.linalg.solve(Z.T @ gold.instruments, Z.T @ gold.design)
        fitted = [part._replace(instruments=part.instruments @ stage) for part in parts]
        return Tuned.of("instruments", *fitted, drawn, sampling, weight)

    alone = projected(a * drawn / sampling.probability)
    gold_root = alone.solve(np.zeros((3, 3)), np.zeros(3))
    return (projected(a) if is_known else alone), gold_root


# ---------------------------------------------------------------------- written out


SETTINGS = {
    "rows": {},
    "weights": {"weighted": True},
    "clusters": {"clusters": "unit"},
    "these rows": {"target": "population"},
}


def check(model, draw, *, predicted, setting=None, tuning="diagonal"):
    """Compare weights, root, covariance and df with the equations written out."""
    chosen = dict(setting or {})
    data = make(model)
    drawn, arguments, options, sampling = DESIGNS.get(draw, draw)(data)
    weight = None
    if chosen.pop("weighted", False):
        weight = arguments["sample_weight"] = data["weight"]
    clusters = None
    if chosen.pop("clusters", None) or (
        sampling.units is not None and chosen.get("target") != "population"
    ):
        clusters = data["unit"]
        if sampling.units is None:
            arguments["clusters"] = clusters
    options = {"tuning": tuning, **options, **chosen}
    ours = fit(model, data, drawn, arguments, predicted=predicted, **options)
    reference, gold_root = equation(
        model, data, drawn, sampling, predicted=predicted, weight=weight
    )
    target = chosen.get("target", "superpopulation")
    expected = reference.answer(tuning, clusters=clusters, target=target, gold_root=gold_root)
    weights = ours.diagnostics_.tuning_weights
    if weights.ndim == 1:
        weights = np.diag(weights)
    assert_allclose(weights, expected.weights, rtol=RTOL, atol=1e-8)
    assert_allclose(ours.results_.params, expected.params, rtol=RTOL, atol=1e-9)
    # The reference is a root of the equation with the reference's weights.
    size = np.abs(expected.moments).mean(axis=0)
    assert (np.abs(expected.moments.mean(axis=0)) < 1e-9 * size).all()
    largest = np.abs(expected.cov).max()
    assert_allclose(ours.results_.cov, expected.cov, rtol=1e-6, atol=1e-8 * largest)
    df = labels_df(sampling, drawn, clusters, len(expected.params))
    if target == "superpopulation" and reference.correction < 1:
        # Welch and Satterthwaite: the rest of the variance comes from rows or clusters unlabelled.
        of_rest = N - drawn.sum()
        if clusters is not None:
            of_rest = len(np.setdiff1d(clusters, clusters[drawn]))
        share = expected.from_labels(drawn, clusters)
        if of_rest:
            df = 1 / (share**2 / df + (1 - share) ** 2 / of_rest)
    assert_allclose(ours.results_.df, df, rtol=1e-6)
    return ours, expected


def labels_df(sampling, drawn, clusters, n_params):
    """Effective labels less coefficients; units less groups, and clusters less one, if fewer."""
    weight = 1 / sampling.probability[drawn]
    df = weight.sum() ** 2 / (weight**2).sum() - n_params
    if clusters is not None:
        df = min(df, len(np.unique(clusters)) - 1)
    if sampling.is_fixed or sampling.units is not None:
        units = drawn_units(sampling, drawn)
        random = [unit for unit in units if unit.probability < 1]
        groups = {unit.group for unit in random}
        df = min(df, len(random) - (len(groups) if sampling.is_fixed else 0))
    return df


@pytest.mark.parametrize("predicted", ["b", ()], ids=["covariate", "outcome"])
@pytest.mark.parametrize("draw", DESIGNS)
def test_designs_equal_the_equations_written_out(draw, predicted):
    ours, _ = check("linear", draw, predicted=predicted)
    # Weights are estimated, and not all at the ends of their range.
    weights = ours.diagnostics_.tuning_weights
    assert ((weights > 0.02) & (weights < 0.999)).any()


@pytest.mark.parametrize("draw", ["stratified", "two_stages", "unequal_as_stated"])
@pytest.mark.parametrize("setting", ["weights", "these rows"])
def test_designs_with_weights_and_for_these_rows(draw, setting):
    check("linear", draw, predicted="b", setting=SETTINGS[setting])


@pytest.mark.parametrize("model", [name for name in ESTIMATORS if name != "linear"])
@pytest.mark.parametrize("predicted", ["b", ()], ids=["covariate", "outcome"])
def test_models_equal_the_equations_written_out(model, predicted):
    check(model, "simple_random", predicted=predicted)


@pytest.mark.parametrize("model", ["logistic", "instruments", "probit"])
@pytest.mark.parametrize("draw", ["stratified", "whole_units", "unequal_as_stated"])
def test_other_models_under_other_designs(model, draw):
    check(model, draw, predicted="b")


@pytest.mark.filterwarnings("ignore::trueness.dsl.FewLabelsWarning")
@pytest.mark.parametrize("model", ["linear", "logistic"])
def test_few_units_have_all_of_the_correction(model):
    check(model, nine_units, predicted=())


@pytest.mark.parametrize("model", ["poisson", "multinomial"])
@pytest.mark.parametrize("setting", ["weights", "clusters", "these rows"])
def test_models_with_weights_clusters_and_for_these_rows(model, setting):
    check(model, "unequal_rescaled", predicted="b", setting=SETTINGS[setting])


CONTRASTS = {"difference": [0.0, 1.0, -1.0], "prediction": [1.0, 0.5, 2.0]}


@pytest.mark.parametrize("draw", ["simple_random", "two_stages"])
@pytest.mark.parametrize("model", ["linear", "logistic"])
def test_linear_combinations_have_their_own_weight(model, draw):
    """lambda_c from c'psi, then the equation with Gamma = lambda_c I; each row of a matrix so."""
    data = make(model)
    drawn, arguments, options, sampling = DESIGNS[draw](data)
    fitted = fit(model, data, drawn, arguments, **options)
    ours = fitted.linear_combination(np.array(list(CONTRASTS.values())), list(CONTRASTS))
    reference, _ = equation(model, data, drawn, sampling)
    clusters = None if sampling.units is None else data["unit"]
    for position, contrast in enumerate(map(np.array, CONTRASTS.values())):
        expected = reference.answer(contrast, clusters=clusters)
        assert 0.0 < expected.weights[0, 0] < 1.0
        assert ours.params[position] == pytest.approx(contrast @ expected.params, rel=1e-8)
        variance = contrast @ expected.cov @ contrast
        assert ours.cov[position, position] == pytest.approx(variance, rel=1e-7)
        # Another weight than that of any single coefficient, and so another estimate.
        one_by_one = contrast @ fitted.results_.params
        assert abs(one_by_one - ours.params[position]) > 1e-5


@pytest.mark.parametrize("tuning", ["scalar", "matrix"])
@pytest.mark.parametrize("draw", ["simple_random", "stratified", "unequal_as_stated"])
@pytest.mark.parametrize("model", ["linear", "logistic"])
def test_one_weight_and_matrices_of_weights(model, draw, tuning):
    check(model, draw, predicted="b", tuning=tuning)
