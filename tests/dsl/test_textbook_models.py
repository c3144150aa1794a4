"""With every row labelled and analysis weights: WLS, weighted logit, Poisson, multinomial logit."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit
from written_out import Equation, Version, adjusted_sandwich, pairs, sandwich, sums_by

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLPoissonRegressor

RTOL = 1e-8
N, G = 500, 30
COVARIANCES = [
    ("HC0", None),
    ("HC1", None),
    ("CR0", "firm"),
    ("CR1", "firm"),
    ("CR0", "both"),
    ("CR1", "both"),
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(21)
    firm, year = rng.integers(0, G, N), rng.integers(0, 22, N)
    X = rng.normal(size=(N, 2))
    index = 0.2 + X @ [0.6, -0.4] + 0.5 * rng.normal(size=G)[firm]
    utility = np.column_stack([np.zeros(N), index, -index + 0.3]) + rng.gumbel(size=(N, 3))
    return {
        "X": X,
        "design": sm.add_constant(X),
        "linear": index + rng.normal(size=N) * (1 + X[:, 0] ** 2),
        "logistic": (rng.random(N) < expit(index)).astype(float),
        "poisson": rng.poisson(np.exp(index)).astype(float),
        "multinomial": utility.argmax(axis=1),
        "weight": rng.uniform(0.2, 3.0, N),
        "firm": firm,
        "both": np.column_stack([firm, year]),
    }


def statsmodels_fit(model, data, weight):
    """Return the reference fit; weights as variance weights, the quasi-likelihood's."""
    y, X = data[model], data["design"]
    if model == "linear":
        return sm.WLS(y, X, weights=weight).fit()
    family = sm.families.Binomial() if model == "logistic" else sm.families.Poisson()
    return sm.GLM(y, X, family=family, var_weights=weight).fit(tol=1e-14, maxiter=100)


def equation(model, data, weight):
    """Return the full-label equation written out: nothing is predicted."""
    part = Version(data["design"], data[model])
    return Equation(model, part, part, np.ones(N, dtype=bool), np.ones(N), weight)


ESTIMATORS = {
    "linear": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
}


@pytest.mark.parametrize("model", ESTIMATORS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "by"), COVARIANCES)
def test_weighted_fits_equal_statsmodels(data, model, weighted, kind, by):
    weight = data["weight"] if weighted else np.ones(N)
    clusters = None if by is None else data[by]
    arguments = {"sample_weight": weight} if weighted else {}
    ours = (
        ESTIMATORS[model](covariance=kind)
        .fit(data["X"], data[model], clusters=clusters, **arguments)
        .results_
    )
    theirs = statsmodels_fit(model, data, weight)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=RTOL)
    # The sandwich around statsmodels' own root; its GLM has no robust errors with weights.
    written = equation(model, data, weight)
    information = written.informations(theirs.params).sum(axis=0)
    n_params = 3 if kind == "CR1" else None
    cov = sandwich(written.moments(theirs.params), information, clusters, n_params=n_params)
    cov = cov * (N / (N - 3) if kind == "HC1" else 1.0)
    np.testing.assert_allclose(ours.cov, cov, rtol=RTOL)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_weighted_least_squares_with_robust_errors(data, kind):
    ours = (
        DSLLinearRegression(covariance=kind)
        .fit(data["X"], data["linear"], sample_weight=data["weight"])
        .results_
    )
    theirs = statsmodels_fit("linear", data, data["weight"]).get_robustcov_results(kind)
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=RTOL)


@pytest.mark.parametrize("kind", ["CR0", "CR1"])
@pytest.mark.parametrize("by", ["firm", "both"])
def test_weighted_least_squares_with_clustered_errors(data, kind, by):
    ours = (
        DSLLinearRegression(covariance=kind)
        .fit(data["X"], data["linear"], sample_weight=data["weight"], clusters=data[by])
        .results_
    )
    theirs = statsmodels_fit("linear", data, data["weight"]).get_robustcov_results(
        "cluster", groups=data[by], use_correction=kind == "CR1"
    )
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=RTOL)


@pytest.mark.parametrize("model", ["logistic", "poisson"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "power"), [("HC2", 0.5), ("HC3", 1.0), ("CR2", 0.5)])
def test_leverage_with_weights(data, model, weighted, kind, power):
    weight = data["weight"] if weighted else np.ones(N)
    clusters = data["firm"] if kind == "CR2" else None
    ours = (
        ESTIMATORS[model](covariance=kind)
        .fit(data["X"], data[model], sample_weight=weight, clusters=clusters)
        .results_
    )
    written = equation(model, data, weight)
    beta = statsmodels_fit(model, data, weight).params
    units = np.arange(N) if clusters is None else clusters
    cov = adjusted_sandwich(written.moments(beta), written.informations(beta), units, power)
    np.testing.assert_allclose(ours.cov, cov, rtol=RTOL)


@pytest.mark.parametrize("cluster", [None, "firm", "both"])
def test_poisson_equals_the_robust_glm(data, cluster):
    clusters = None if cluster is None else data[cluster]
    fitted = DSLPoissonRegressor().fit(data["X"], data["poisson"], clusters=clusters)
    ours = fitted.results_
    model = sm.GLM(data["poisson"], data["design"], family=sm.families.Poisson())
    options = {"cov_type": "HC0"}
    if clusters is not None:
        kwds = {"groups": clusters, "use_correction": False}
        options = {"cov_type": "cluster", "cov_kwds": kwds}
    theirs = model.fit(tol=1e-14, **options)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=RTOL)
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=RTOL)
    np.testing.assert_allclose(fitted.predict(data["X"]), theirs.fittedvalues, rtol=RTOL)


def multinomial_reference(data, weight):
    """Return parameters class by class and the pieces of the sandwich, weighted."""
    design = data["design"]
    indicators = (data["multinomial"][:, None] == [1, 2]).astype(float)
    part = Version(design, indicators)
    written = Equation("multinomial", part, part, np.ones(N, dtype=bool), np.ones(N), weight)
    beta = written.solve(np.zeros(6))
    return beta, written.moments(beta), written.informations(beta).sum(axis=0)


@pytest.mark.parametrize(("kind", "by"), COVARIANCES)
@pytest.mark.parametrize("weighted", [False, True])
def test_multinomial_equals_the_reference(data, kind, by, weighted):
    weight = data["weight"] if weighted else np.ones(N)
    clusters = None if by is None else data[by]
    names = np.array(["centre", "left", "right"])
    ours = DSLLogisticRegression(covariance=kind).fit(
        pd.DataFrame(data["X"], columns=["a", "b"]),
        names[data["multinomial"]],
        sample_weight=weight,
        clusters=clusters,
    )
    beta, moments, information = multinomial_reference(data, weight)
    np.testing.assert_allclose(ours.results_.params, beta, rtol=RTOL)
    n_params = 6 if kind == "CR1" else None
    cov = sandwich(moments, information, clusters, n_params=n_params)
    cov = cov * (N / (N - 6) if kind == "HC1" else 1.0)
    np.testing.assert_allclose(ours.results_.cov, cov, rtol=RTOL, atol=1e-10 * cov.max())
    assert ours.results_.names[:4] == ("left: intercept", "left: a", "left: b", "right: intercept")


@pytest.mark.parametrize("by", [None, "firm"])
def test_multinomial_equals_mnlogit(data, by):
    ours = DSLLogisticRegression().fit(
        data["X"], data["multinomial"], clusters=None if by is None else data[by]
    )
    options = {"cov_type": "HC0"}
    if by is not None:
        kwds = {"groups": data[by], "use_correction": False}
        options = {"cov_type": "cluster", "cov_kwds": kwds}
    theirs = sm.MNLogit(data["multinomial"], data["design"]).fit(
        disp=0, method="newton", tol=1e-14, maxiter=100, **options
    )
    expected = np.asarray(theirs.params).T.ravel()
    np.testing.assert_allclose(ours.results_.params, expected, rtol=RTOL)
    np.testing.assert_allclose(ours.results_.cov, np.asarray(theirs.cov_params()), rtol=RTOL)
    np.testing.assert_allclose(
        ours.predict_proba(data["X"]), theirs.predict(data["design"]), rtol=RTOL
    )


def test_multinomial_with_two_classes_is_the_logit(data):
    """Dropping one class by hand leaves the binary model with the same two coefficients."""
    kept = data["multinomial"] < 2
    X, y = data["X"][kept], data["multinomial"][kept]
    binary = DSLLogisticRegression().fit(X, y)
    theirs = sm.Logit(y, sm.add_constant(X)).fit(disp=0, tol=1e-14)
    np.testing.assert_allclose(binary.results_.params, theirs.params, rtol=RTOL)
    assert binary.coef_.shape == (1, 2)


def test_the_written_out_clusters_are_what_they_say(data):
    """The reference's own helpers, on counts known by hand."""
    codes = np.array([2, 0, 2, 1])
    np.testing.assert_array_equal(sums_by(codes, np.arange(4.0)[:, None]).ravel(), [1, 3, 2])
    both = pairs(np.array([[0, 1], [1, 0], [0, 1], [0, 0]]))
    assert both[0] == both[2]
    assert len(np.unique(both)) == 3
