"""DSLEstimator: a user's moment gives the estimator it defines, and bad ones are refused."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import root
from scipy.stats import norm
from written_out import sandwich

from trueness.dsl import (
    DSLEstimator,
    DSLLinearRegression,
    DSLLogisticRegression,
    SolverWarning,
)

RTOL = 1e-8
N, G = 800, 30


def least_squares(X, y, theta):
    return X * (y - X @ theta)[:, None]


def least_squares_derivative(X, y, theta):
    return -X[:, :, None] * X[:, None, :]


def probit(X, y, theta):
    index = X @ theta
    mean, density = norm.cdf(index), norm.pdf(index)
    return X * ((y - mean) * density / (mean * (1 - mean)))[:, None]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(24)
    X = pd.DataFrame(rng.normal(size=(N, 2)), columns=["a", "b"])
    firm = rng.integers(0, G, N)
    index = 0.3 + X.to_numpy() @ [0.7, -0.5] + 0.3 * rng.normal(size=G)[firm]
    y = (index + rng.normal(size=N) > 0).astype(float)
    drawn = rng.random(N) < 0.5
    return {
        "X": X,
        "y": y,
        "machine": np.where(rng.random(N) < 0.15, 1 - y, y),
        "b_hat": X["b"].to_numpy() + 0.4 * rng.normal(size=N) + 0.2 * y,
        "drawn": drawn,
        "firm": firm,
        "both": np.column_stack([firm, rng.integers(0, 28, N)]),
        "weight": rng.uniform(0.3, 2.0, N),
    }


@pytest.mark.parametrize("derivative", [None, least_squares_derivative])
@pytest.mark.parametrize("kind", ["HC0", "HC1", "CR0", "CR1"])
def test_least_squares_written_by_the_user(data, kind, derivative):
    by = data["firm"] if kind.startswith("CR") else None
    options = {"covariance": kind, "fit_intercept": True}
    arguments = {"clusters": by, "sample_weight": data["weight"]}
    ours = (
        DSLEstimator(least_squares, derivative, tuning=None, **options)
        .fit(data["X"], data["y"], **arguments)
        .results_
    )
    fit = sm.WLS(data["y"], sm.add_constant(data["X"]), weights=data["weight"]).fit()
    if by is None:
        theirs = fit.get_robustcov_results(kind)
    else:
        theirs = fit.get_robustcov_results("cluster", groups=by, use_correction=kind == "CR1")
    np.testing.assert_allclose(ours.params, theirs.params, rtol=RTOL)
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=RTOL)
    assert ours.names == ("intercept", "a", "b")


@pytest.mark.parametrize("by", [None, "firm", "both"])
def test_probit_equals_statsmodels(data, by):
    """No canonical link, so that the observed derivative is not the expected one."""
    clusters = None if by is None else data[by]
    ours = DSLEstimator(probit, tuning=None, fit_intercept=True).fit(
        data["X"], data["y"], clusters=clusters
    )
    options = {"cov_type": "HC0"}
    if by is not None:
        kwds = {"groups": clusters, "use_correction": False}
        options = {"cov_type": "cluster", "cov_kwds": kwds}
    model = sm.Probit(data["y"], sm.add_constant(data["X"]))
    theirs = model.fit(disp=0, tol=1e-14, **options)
    np.testing.assert_allclose(ours.params_, theirs.params, rtol=RTOL)
    np.testing.assert_allclose(ours.results_.cov, theirs.cov_params(), rtol=RTOL)


def partly(data):
    """What an analyst has: gaps in y and b, machine versions of both."""
    shown = data["X"].assign(b=data["X"]["b"].where(data["drawn"]))
    return {
        "X": shown,
        "y": np.where(data["drawn"], data["y"], np.nan),
        "surrogates": np.column_stack([data["machine"], data["b_hat"]]),
        "sample_weight": data["weight"],
    }


def test_probit_on_partly_labelled_rows(data):
    """Predicted outcome and covariate: an independent root and derivatives by differences."""
    ours = (
        DSLEstimator(probit, tuning=None, fit_intercept=True, predicted_features="b", learner=None)
        .fit(**partly(data), clusters=data["firm"])
        .results_
    )
    gold = sm.add_constant(data["X"]).to_numpy()
    hat = np.column_stack([gold[:, :2], data["b_hat"]])
    w = data["drawn"] / data["drawn"].mean()

    def moments(theta):
        predicted, known = probit(hat, data["machine"], theta), probit(gold, data["y"], theta)
        mixed = (1 - w)[:, None] * predicted + w[:, None] * known
        return data["weight"][:, None] * mixed

    theta = root(lambda t: moments(t).mean(axis=0), np.zeros(3), tol=1e-13).x
    step = 1e-3 * np.eye(3)
    total = lambda t: moments(t).sum(axis=0)  # noqa: E731
    columns = []
    for h in step:
        near, far = total(theta + h) - total(theta - h), total(theta + 2 * h) - total(theta - 2 * h)
        columns.append((8 * near - far) / (12 * h.max()))
    cov = sandwich(moments(theta), -np.column_stack(columns), data["firm"])
    np.testing.assert_allclose(ours.params, theta, rtol=RTOL)
    np.testing.assert_allclose(ours.cov, cov, rtol=1e-7)


@pytest.mark.parametrize("derivative", [None, least_squares_derivative])
@pytest.mark.parametrize("option", [{}, {"target": "population"}, {"design": "srswor"}])
def test_equals_the_built_in_model(data, derivative, option):
    options = {"predicted_features": "b", "learner": "linear", "n_repeats": 2, "random_state": 0}
    custom = DSLEstimator(
        least_squares, derivative, tuning=None, fit_intercept=True, **options, **option
    )
    ours = custom.fit(**partly(data)).results_
    built_in = DSLLinearRegression(tuning=None, **options, **option).fit(**partly(data)).results_
    np.testing.assert_allclose(ours.params, built_in.params, rtol=RTOL)
    np.testing.assert_allclose(ours.cov, built_in.cov, rtol=1e-7)


def test_a_logit_from_elsewhere_and_other_starting_values(data):
    def logit(X, y, theta):
        return X * (y - 1 / (1 + np.exp(-X @ theta)))[:, None]

    start = [2.0, -1.0, 1.0]
    ours = DSLEstimator(logit, tuning=None, start=start, fit_intercept=True).fit(
        data["X"], data["y"]
    )
    theirs = DSLLogisticRegression(tuning=None).fit(data["X"], data["y"])
    np.testing.assert_allclose(ours.params_, theirs.results_.params, rtol=RTOL)
    assert ours.results_.names == ("theta1", "theta2", "theta3")


def test_more_parameters_than_columns(data):
    """Mean and variance of the outcome given nothing: two parameters, X ignored."""

    def spread(X, y, theta):
        return np.column_stack([y - theta[0], (y - theta[0]) ** 2 - theta[1]])

    names = ["mean", "variance"]
    y = data["X"]["a"] + 3.0
    ours = DSLEstimator(spread, tuning=None, start=[0.0, 1.0], parameter_names=names).fit(
        data["X"][["b"]], y
    )
    np.testing.assert_allclose(ours.params_, [y.mean(), y.var(ddof=0)], rtol=RTOL)
    assert ours.results_.names == ("mean", "variance")


BAD_MOMENTS = {
    "one number per row": (
        lambda X, y, t: y - X @ t,
        r"shape \(800,\) for 800 rows and 3 parameters; it must have shape \(800, 3\)",
    ),
    "too few components": (
        lambda X, y, t: (X * (y - X @ t)[:, None])[:, :2],
        r"shape \(800, 2\) for 800 rows and 3 parameters",
    ),
    "nothing": (lambda X, y, t: None, r"moment returned an array of shape \(\)"),
    "NaN on some rows": (
        lambda X, y, t: np.where(np.arange(len(X))[:, None] == [4, 4, 4], np.nan, X),
        r"NaN or infinite at the starting values on 1 of 800 labelled rows \(position 4",
    ),
    "a parameter without influence": (
        lambda X, y, t: X * (y - X[:, :2] @ t[:2])[:, None],
        r"derivative of the moment by the parameters is singular at the starting values "
        r"\(intercept, a, b = 0, 0, 0\)",
    ),
    "a sum of parameters": (
        lambda X, y, t: X * (y - X[:, 0] * t.sum())[:, None],
        "the parameters cannot be told apart there",
    ),
}


@pytest.mark.parametrize("case", BAD_MOMENTS)
def test_bad_moments_are_refused(data, case):
    moment, message = BAD_MOMENTS[case]
    with pytest.raises(ValueError, match=message):
        DSLEstimator(moment, tuning=None, fit_intercept=True).fit(data["X"], data["y"])


def test_a_moment_that_fails_on_predictions_only(data):
    """Fine on gold labels, NaN where the machine's number lies outside the range."""

    def root_moment(X, y, theta):
        with np.errstate(invalid="ignore"):
            return X * (np.sqrt(y) - X @ theta)[:, None]

    y = np.where(data["drawn"], data["y"], np.nan)
    machine = data["machine"] - 0.5 * (np.arange(N) < 7) * (data["machine"] == 0)
    n_bad = (machine < 0).sum()
    with pytest.raises(ValueError, match=f"on {n_bad} of 800 predicted rows"):
        DSLEstimator(root_moment, tuning=None, fit_intercept=True, learner=None).fit(
            data["X"], y, surrogates=machine
        )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"moment": "probit"}, TypeError, "moment must be a function of"),
        ({"jacobian": 3}, TypeError, "jacobian must be a function of"),
        ({"jacobian": lambda X, y, t: X}, ValueError, r"\(800, 3\); it must have shape \(800, 3,"),
        ({"start": [[0.0]]}, ValueError, "start must be a sequence of finite numbers"),
        ({"start": [0.0, np.nan, 1.0]}, ValueError, "start must be a sequence of finite numbers"),
        ({"parameter_names": ["p"]}, ValueError, "must be 3 different names.*got 1: p"),
        ({"parameter_names": ["p", "p", "q"]}, ValueError, "must be 3 different names"),
        ({"covariance": "HC3"}, ValueError, "HC3' is defined for linear"),
        ({"predicted_features": "q"}, ValueError, "X has no column 'q'"),
    ],
)
def test_bad_options_are_refused(data, options, error, message):
    options = {"moment": least_squares, "fit_intercept": True, **options}
    with pytest.raises(error, match=message):
        DSLEstimator(**options).fit(data["X"], data["y"])


def test_a_moment_without_root_says_so(data):
    def no_root(X, y, theta):
        return np.column_stack([1 + np.exp(theta[0]) + 0 * y, y - theta[1]])

    with pytest.warns(SolverWarning, match=r"no solution|not solved"):
        model = DSLEstimator(no_root, tuning=None, start=[0.0, 0.0]).fit(data["X"], data["y"])
    assert not model.diagnostics_.converged


def test_what_the_moment_returns_stays_as_it_is(data):
    """Arrays of other libraries are read-only, and functions may keep their results."""
    kept = {}

    def remembered(X, y, theta):
        key = (len(X), y.sum(), *theta)
        if key not in kept:
            kept[key] = least_squares(X, y, theta)
            kept[key].flags.writeable = False
        return kept[key]

    options = {"predicted_features": "b", "learner": None, "fit_intercept": True}
    ours = DSLEstimator(remembered, tuning=None, **options).fit(**partly(data)).results_
    plain = DSLEstimator(least_squares, tuning=None, **options).fit(**partly(data)).results_
    np.testing.assert_array_equal(ours.cov, plain.cov)


def robust(X, y, theta):
    """Return the moments of a robust regression and its log scale."""
    ratio = (y - X @ theta[:-1]) / np.exp(theta[-1])
    bounded = np.tanh(ratio)
    return np.column_stack([X * bounded[:, None], ratio * bounded - 0.5])


def robust_derivative(X, y, theta):
    scale = np.exp(theta[-1])
    ratio = (y - X @ theta[:-1]) / scale
    slope = 1 - np.tanh(ratio) ** 2
    of_scale = np.tanh(ratio) + ratio * slope
    derivative = np.empty((len(X), len(theta), len(theta)))
    derivative[:, :-1, :-1] = -(slope / scale)[:, None, None] * X[:, :, None] * X[:, None, :]
    derivative[:, :-1, -1] = -(ratio * slope)[:, None] * X
    derivative[:, -1, :-1] = -(of_scale / scale)[:, None] * X
    derivative[:, -1, -1] = -ratio * of_scale
    return derivative


@pytest.mark.parametrize("derivative", [None, robust_derivative])
def test_a_moment_that_is_no_gradient(data, derivative):
    """Its J is not symmetric, and is inverted as it is."""
    rng = np.random.default_rng(8)
    X = sm.add_constant(data["X"]).to_numpy()
    y = X @ [1.0, 0.5, -0.5] + (1 + (X[:, 1] > 0)) * rng.exponential(size=N)
    model = DSLEstimator(robust, derivative, tuning=None, start=np.zeros(4), fit_intercept=True)
    ours = model.fit(data["X"], y).results_
    theta = root(lambda t: robust(X, y, t).mean(axis=0), np.zeros(4), tol=1e-13).x
    information = -robust_derivative(X, y, theta).sum(axis=0)
    assert np.abs(information - information.T).max() > 0.01 * np.abs(information).max()
    np.testing.assert_allclose(ours.params, theta, rtol=RTOL)
    moments = robust(X, y, theta)
    np.testing.assert_allclose(ours.cov, sandwich(moments, information), rtol=1e-7)
    clustered = sandwich(moments, information, data["firm"])
    np.testing.assert_allclose(ours.recluster(data["firm"], "CR0").cov, clustered, rtol=1e-7)
