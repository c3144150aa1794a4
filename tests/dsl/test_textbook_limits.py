"""With every row labelled the estimators are OLS, logit and group means, errors included."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import sqrtm
from scipy.special import expit

from trueness.covariance import CovarianceWarning
from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLMean

RTOL = 1e-8
N, G = 600, 30


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(20)
    X = rng.normal(size=(N, 3))
    X[:, 2] = X[:, 0] > 0.3
    clusters = rng.integers(0, G, N)
    shock = rng.normal(size=G)[clusters]
    eta = X @ [1.0, 0.5, -0.3] + shock
    return {
        "X": X,
        "continuous": eta + rng.normal(size=N) * (1 + X[:, 0] ** 2),
        "binary": (rng.random(N) < expit(eta)).astype(float),
        "clusters": clusters,
        "other": rng.integers(0, 12, N),
    }


def ols(data):
    return sm.OLS(data["continuous"], sm.add_constant(data["X"])).fit()


def logit(data, **options):
    model = sm.Logit(data["binary"], sm.add_constant(data["X"]))
    return model.fit(disp=0, tol=1e-14, **options)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_linear_equals_ols_with_robust_errors(data, kind):
    ours = DSLLinearRegression(covariance=kind).fit(data["X"], data["continuous"]).results_
    theirs = ols(data).get_robustcov_results(kind)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=RTOL)
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=RTOL)
    if kind != "HC0":  # HC0 refers to the normal here, to t there
        np.testing.assert_allclose(ours.p_values, theirs.pvalues, rtol=RTOL)
        assert ours.df == pytest.approx(N - 4, rel=1e-12)


@pytest.mark.parametrize("kind", ["CR0", "CR1"])
@pytest.mark.parametrize("ways", [1, 2])
def test_linear_equals_ols_with_clustered_errors(data, kind, ways):
    clusters = data["clusters"]
    if ways == 2:
        clusters = np.column_stack([clusters, data["other"]])
    model = DSLLinearRegression(covariance=kind)
    ours = model.fit(data["X"], data["continuous"], clusters=clusters).results_
    theirs = ols(data).get_robustcov_results(
        "cluster", groups=clusters, use_correction=kind == "CR1"
    )
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=RTOL)
    assert ours.df == (None if kind == "CR0" else (G if ways == 1 else 12) - 1)


@pytest.mark.parametrize(("kind", "factor"), [("HC0", 1.0), ("HC1", N / (N - 4))])
def test_logistic_equals_logit_with_robust_errors(data, kind, factor):
    """The factor of HC1 is written out because statsmodels' logit gives HC0 for it."""
    ours = DSLLogisticRegression(covariance=kind).fit(data["X"], data["binary"]).results_
    theirs = logit(data, cov_type="HC0")
    np.testing.assert_allclose(ours.params, theirs.params, rtol=RTOL)
    np.testing.assert_allclose(ours.cov, factor * theirs.cov_params(), rtol=RTOL)


@pytest.mark.parametrize("kind", ["CR0", "CR1"])
@pytest.mark.parametrize("ways", [1, 2])
def test_logistic_equals_logit_with_clustered_errors(data, kind, ways):
    clusters = data["clusters"]
    if ways == 2:
        clusters = np.column_stack([clusters, data["other"]])
    model = DSLLogisticRegression(covariance=kind)
    ours = model.fit(data["X"], data["binary"], clusters=clusters).results_
    options = {"groups": clusters, "use_correction": kind == "CR1"}
    theirs = logit(data, cov_type="cluster", cov_kwds=options)
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=RTOL)


def dense_adjusted_cov(design, curvature, residual, units, power):
    """Sandwich of a canonical GLM with (I - H_uu)^-power on whitened residuals, all dense.

    In the weighted least-squares problem with W = diag(curvature) the whitened design is
    Z = W^1/2 X, its hat matrix H = Z (Z'Z)^-1 Z', its residuals W^-1/2 (y - mu).
    """
    root = np.sqrt(curvature)
    Z = design * root[:, None]
    bread = np.linalg.inv(Z.T @ Z)
    middle = np.zeros_like(bread)
    for unit in np.unique(units):
        rows = units == unit
        hat = Z[rows] @ bread @ Z[rows].T
        room = np.eye(rows.sum()) - hat
        adjust = np.linalg.inv(sqrtm(room).real if power == 0.5 else room)
        score = Z[rows].T @ adjust @ (residual[rows] / root[rows])
        middle += np.outer(score, score)
    return bread @ middle @ bread


@pytest.mark.parametrize(("kind", "power"), [("HC2", 0.5), ("HC3", 1.0), ("CR2", 0.5)])
@pytest.mark.parametrize("model", ["linear", "logistic"])
def test_leverage_corrections_equal_the_dense_derivation(data, kind, power, model):
    design = sm.add_constant(data["X"])
    clusters = data["clusters"] if kind == "CR2" else None
    if model == "linear":
        estimator, y = DSLLinearRegression(covariance=kind), data["continuous"]
        residual, curvature = y - design @ ols(data).params, np.ones(N)
    else:
        estimator, y = DSLLogisticRegression(covariance=kind), data["binary"]
        mean = expit(design @ logit(data).params)
        residual, curvature = y - mean, mean * (1 - mean)
    ours = estimator.fit(data["X"], y, clusters=clusters).results_
    units = np.arange(N) if clusters is None else clusters
    expected = dense_adjusted_cov(design, curvature, residual, units, power)
    np.testing.assert_allclose(ours.cov, expected, rtol=RTOL)


def test_cluster_with_leverage_one_is_named(data):
    X = np.column_stack([data["X"], data["clusters"] == 0])
    model = DSLLinearRegression(covariance="CR2")
    with pytest.warns(CovarianceWarning, match="leverage 1"):
        model.fit(X, data["continuous"], clusters=data["clusters"])
    assert model.diagnostics_.saturated_units == 1
    assert np.isfinite(model.results_.cov).all()


@pytest.mark.parametrize("kind", ["HC0", "HC3", "CR1"])
def test_means_equal_regression_on_indicators(data, kind):
    X = data["X"].copy()
    dummies = np.column_stack([X[:, 2] == 0, X[:, 2] == 1]).astype(float)
    clusters = data["clusters"] if kind == "CR1" else None
    ours = DSLMean(by=2, covariance=kind).fit(X, data["continuous"], clusters=clusters)
    fit = sm.OLS(data["continuous"], dummies).fit()
    theirs = (
        fit.get_robustcov_results(kind)
        if clusters is None
        else fit.get_robustcov_results("cluster", groups=clusters)
    )
    np.testing.assert_allclose(ours.means_, theirs.params, rtol=RTOL)
    np.testing.assert_allclose(ours.results_.cov, theirs.cov_params(), rtol=RTOL, atol=1e-17)
    assert ours.results_.names == ("2=0.0", "2=1.0")


def test_overall_mean_has_the_textbook_standard_error(data):
    y = data["continuous"]
    ours = DSLMean(covariance="HC1").fit(data["X"], y).results_
    assert ours.params[0] == pytest.approx(y.mean(), rel=1e-12)
    assert ours.std_errors[0] == pytest.approx(y.std(ddof=1) / np.sqrt(N), rel=1e-12)


def test_without_intercept(data):
    ours = DSLLinearRegression(fit_intercept=False).fit(data["X"], data["continuous"])
    theirs = sm.OLS(data["continuous"], data["X"]).fit(cov_type="HC0")
    np.testing.assert_allclose(ours.coef_, theirs.params, rtol=RTOL)
    np.testing.assert_allclose(ours.results_.cov, theirs.cov_params(), rtol=RTOL)
    assert ours.intercept_ == 0.0


def test_badly_scaled_columns(data):
    """Dates in seconds and tiny rates must not cost digits."""
    shift = np.array([1.6e9, 0.0, 0.0])
    scale = np.array([1e7, 1e-6, 1.0])
    plain = DSLLogisticRegression().fit(data["X"], data["binary"]).results_
    scaled = DSLLogisticRegression().fit(data["X"] * scale + shift, data["binary"]).results_
    np.testing.assert_allclose(scaled.params[1:] * scale, plain.params[1:], rtol=1e-6)
    np.testing.assert_allclose(scaled.std_errors[1:] * scale, plain.std_errors[1:], rtol=1e-6)


def test_exact_fit_converges(data):
    y = sm.add_constant(data["X"]) @ [1.0, 2.0, 3.0, 4.0]
    model = DSLLinearRegression().fit(data["X"], y)
    assert model.diagnostics_.converged
    np.testing.assert_allclose(model.coef_, [2.0, 3.0, 4.0], rtol=1e-12)
