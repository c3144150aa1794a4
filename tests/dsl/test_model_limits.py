"""Where the answer is known without computing: weights, perfect machines, useless machines."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from trueness.dsl import (
    DSLEstimator,
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
    FewLabelsWarning,
)

N = 500


def least_squares(X, y, theta):
    return X * (y - X @ theta)[:, None]


def custom(**options):
    return DSLEstimator(least_squares, fit_intercept=True, **options)


ESTIMATORS = {
    "linear": DSLLinearRegression,
    "fixed effects": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
    "multinomial": DSLLogisticRegression,
    "two-stage": DSLTwoStageLeastSquares,
    "custom": custom,
}


@pytest.fixture(params=["diagonal", None], ids=["tuned", "plain"])
def tuning(request):
    """Return what must not matter for a limit, unless a test fixes it."""
    return request.param


plain_only = pytest.mark.parametrize("tuning", [None], indirect=True, ids=["plain"])


@pytest.fixture(params=ESTIMATORS)
def case(request, tuning):
    """Return the estimator and complete data, with a machine version of y and of column b."""
    name = request.param
    rng = np.random.default_rng(6)
    z = rng.normal(size=N)
    X = pd.DataFrame({"a": rng.normal(size=N), "b": z + rng.normal(size=N)})
    index = 0.2 + 0.5 * X["a"].to_numpy() + 0.4 * X["b"].to_numpy()
    y, machine = {
        "logistic": lambda: tuple((rng.random((2, N)) < expit(index)).astype(float)),
        "poisson": lambda: tuple(rng.poisson(np.exp(0.5 * index), (2, N)).astype(float)),
        "multinomial": lambda: tuple(rng.integers(0, 3, (2, N)).astype(float)),
    }.get(name, lambda: (index + rng.normal(size=N), index + rng.normal(size=N)))()
    arguments, options = {}, {}
    if name == "two-stage":
        arguments["instruments"] = np.column_stack([z, rng.normal(size=N)])
        options["endogenous"] = "b"
    if name == "fixed effects":
        arguments["fixed_effects"] = np.column_stack(
            [rng.integers(0, 40, N), rng.integers(0, 8, N)]
        )
    return {
        "make": lambda **more: ESTIMATORS[name](tuning=tuning, **options, **more),
        "name": name,
        "tuning": tuning,
        "X": X,
        "y": y,
        "machine": machine,
        "b_hat": X["b"] + 0.4 * rng.normal(size=N),
        "drawn": rng.random(N) < 0.6,
        "arguments": arguments,
        "row_weight": rng.integers(1, 4, N),
    }


def partly(case, *, rows=None, predicted="b", **arguments):
    """Fit with gaps in y and b (or y alone), optionally on some rows (perhaps repeated)."""
    rows = np.arange(N) if rows is None else rows
    X, surrogates = case["X"], case["machine"][:, None]
    if predicted:
        X = X.assign(b=X["b"].where(case["drawn"]))
        surrogates = np.column_stack([surrogates, case["b_hat"]])
    y = np.where(case["drawn"], case["y"], np.nan)
    model = case["make"](learner=None, normalize=False, predicted_features=predicted)
    fixed = {name: value[rows] for name, value in case["arguments"].items()}
    return model.fit(
        X.iloc[rows],
        y[rows],
        surrogates=surrogates[rows],
        sampling_probability=0.6,
        **fixed,
        **arguments,
    )


def test_constant_weights_change_nothing(case):
    plain, weighted = partly(case), partly(case, sample_weight=np.full(N, 7.3))
    np.testing.assert_allclose(weighted.results_.params, plain.results_.params, rtol=1e-9)
    np.testing.assert_allclose(weighted.results_.cov, plain.results_.cov, rtol=1e-9)
    np.testing.assert_allclose(weighted.diagnostics_.gain, plain.diagnostics_.gain, rtol=1e-9)
    assert weighted.results_.header["Weights"] == "analysis weights"
    assert "Weights" not in plain.results_.header


def test_only_ratios_of_weights_matter(case):
    weight = case["row_weight"].astype(float)
    first, second = partly(case, sample_weight=weight), partly(case, sample_weight=1e-6 * weight)
    np.testing.assert_allclose(second.results_.params, first.results_.params, rtol=1e-9)
    np.testing.assert_allclose(second.results_.cov, first.results_.cov, rtol=1e-9)


@plain_only
def test_integer_weights_are_repeated_rows(case):
    """The sandwich of weight a is a^2 m m': that of a copies which are one cluster.

    Not so for predicted covariates beside fixed effects, whose correction takes rows to be drawn
    one by one, as copies are not.
    """
    predicted = () if "fixed_effects" in case["arguments"] else "b"
    rows = np.repeat(np.arange(N), case["row_weight"])
    weighted = partly(case, predicted=predicted, sample_weight=case["row_weight"])
    repeated = partly(case, predicted=predicted, rows=rows, clusters=rows)
    np.testing.assert_allclose(weighted.results_.params, repeated.results_.params, rtol=1e-9)
    np.testing.assert_allclose(weighted.results_.cov, repeated.results_.cov, rtol=1e-8)
    # Weights matter at all: without them the answer is another.
    gap = np.abs(weighted.results_.params - partly(case, predicted=predicted).results_.params)
    assert (gap > 1e-4).any()


def test_rows_of_weight_zero_are_left_out(case):
    weight = case["row_weight"].astype(float)
    gone = np.arange(N) % 9 == 2
    rows = np.flatnonzero(~gone)
    firm = np.arange(N) % 41
    zero = partly(case, sample_weight=np.where(gone, 0.0, weight), clusters=firm)
    removed = partly(case, rows=rows, sample_weight=weight[rows], clusters=firm[rows])
    np.testing.assert_allclose(zero.results_.params, removed.results_.params, rtol=1e-12)
    np.testing.assert_allclose(zero.results_.cov, removed.results_.cov, rtol=1e-11, atol=1e-16)
    header = f"{len(rows)} (left out: {gone.sum()} of weight zero)"
    assert zero.results_.header["Rows"] == header
    assert zero.diagnostics_.rows_lost == {"of weight zero": gone.sum()}
    assert zero.results_.n_obs == len(rows)


def no_errors_seen():
    """Expect the warning that the labels say nothing of the machine's errors."""
    return pytest.warns(FewLabelsWarning, match="None of the labelled rows shows an error")


def test_a_machine_that_is_right_makes_labels_superfluous(case):
    """Every row counts as if it were labelled; the gain is what gold labels alone would lose."""
    case["machine"], case["b_hat"] = case["y"], case["X"]["b"]
    # A tuned fit takes its first stage from gold labels alone where a regressor is predicted.
    is_tuned = case["tuning"] is not None
    has_own_first_stage = case["name"] == "two-stage" and is_tuned
    with no_errors_seen() if is_tuned else nullcontext():
        ours = partly(case, predicted=() if has_own_first_stage else "b")
    everything = case["make"]().fit(case["X"], case["y"], **case["arguments"])
    np.testing.assert_allclose(ours.results_.params, everything.results_.params, rtol=1e-8)
    np.testing.assert_allclose(ours.results_.cov, everything.results_.cov, rtol=1e-7)
    np.testing.assert_array_equal(everything.diagnostics_.gain, 1.0)
    alone = ours.compare_labels()["Gold only"]
    gain = np.diag(alone.cov) / np.diag(ours.results_.cov)
    np.testing.assert_allclose(ours.diagnostics_.gain, gain, rtol=1e-6)
    # 60 percent of the rows: about 1/0.6 for the variance of an average over them.
    assert 1.2 < np.median(gain) < 2.4
    with no_errors_seen() if is_tuned else nullcontext():
        population = case["make"](
            learner=None, normalize=False, predicted_features="b", target="population"
        ).fit(
            case["X"].assign(b=case["X"]["b"].where(case["drawn"])),
            np.where(case["drawn"], case["y"], np.nan),
            surrogates=np.column_stack([case["y"], case["X"]["b"]]),
            sampling_probability=0.6,
            **case["arguments"],
        )
    largest = 1e-12 if is_tuned else 0.0  # tuning weights of 1 come with rounding
    assert population.results_.std_errors.max() <= largest


def test_all_rows_labelled_ignores_the_machine(case):
    case["drawn"] = np.ones(N, dtype=bool)
    ours = (
        case["make"](learner=None)
        .fit(case["X"], case["y"], surrogates=case["machine"], **case["arguments"])
        .results_
    )
    plain = case["make"]().fit(case["X"], case["y"], **case["arguments"]).results_
    np.testing.assert_array_equal(ours.params, plain.params)
    np.testing.assert_array_equal(ours.cov, plain.cov)
    assert "Predicted" not in ours.header


def test_certain_rows_count_as_gold(case):
    """Rows with probability 1 contribute their gold moment alone, whatever the machine says."""
    certain = case["drawn"]
    fits = []
    for error in (0.0, 1.0):
        b_hat = case["b_hat"] + error * certain
        X = case["X"].assign(b=case["X"]["b"].where(certain))
        model = case["make"](learner=None, normalize=False, predicted_features="b")
        fitted = model.fit(
            X,
            np.where(certain, case["y"], np.nan),
            surrogates=np.column_stack([case["machine"], b_hat]),
            sampling_probability=np.where(certain, 1.0, 0.5),
            **case["arguments"],
        )
        fits.append(fitted.results_)
    np.testing.assert_allclose(fits[0].params, fits[1].params, rtol=1e-8)


def simulate(seed):
    """Poisson and linear outcomes with a covariate that a machine does not read at all."""
    rng = np.random.default_rng(seed)
    n = 1000
    a = rng.normal(size=n)
    b = 0.5 * a + rng.normal(size=n)
    counts = rng.poisson(np.exp(0.2 + 0.3 * a + 0.3 * b)).astype(float)
    level = 1 + 0.5 * a - 0.5 * b + rng.normal(size=n)
    drawn = rng.random(n) < 0.5
    X = np.column_stack([a, np.where(drawn, b, np.nan)])
    return X, drawn, level, counts, rng.normal(size=(n, 2))


@pytest.mark.parametrize("model", ["linear", "poisson"])
def test_a_useless_machine_costs_precision_not_validity(model):
    estimator, truth = {
        "linear": (DSLLinearRegression, [1.0, 0.5, -0.5]),
        "poisson": (DSLPoissonRegressor, [0.2, 0.3, 0.3]),
    }[model]
    fits = []
    for seed in range(120):
        X, drawn, level, counts, noise = simulate(seed)
        y = np.where(drawn, level if model == "linear" else counts, np.nan)
        options = {"learner": None, "normalize": False, "predicted_features": 1}
        fitted = estimator(tuning=None, **options)
        fits.append(fitted.fit(X, y, surrogates=noise, sampling_probability=0.5))
    params = np.stack([fit.results_.params for fit in fits])
    errors = np.stack([fit.results_.std_errors for fit in fits])
    # Three dependent coefficients, 120 replicates: standard error of at most 0.02.
    coverage = (np.abs(params - truth) < 1.96 * errors).mean()
    assert 0.89 < coverage < 0.99, coverage
    # A standard deviation from 120 draws is known to 6.5 percent.
    ratio = np.sqrt((errors**2).mean(axis=0)) / params.std(axis=0, ddof=1)
    assert (np.abs(ratio - 1) < 0.2).all(), ratio
    bias = (params.mean(axis=0) - truth) / params.std(axis=0, ddof=1)
    assert np.abs(bias).max() < 0.35, bias
    # Nothing is gained from noise, and something is lost.
    assert np.median([fit.diagnostics_.gain for fit in fits]) < 1.0
