"""Differences of two results on the same rows.

References come from statsmodels (OLS), scipy and closed formulas, never from the package.
"""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from shared import NAMES, ols, simple

from trueness.dsl import DSLMean
from trueness.inference import Estimates

# ---------------------------------------------------------------------- differences


@pytest.fixture(scope="module")
def two(data):
    """Two outcomes on the same rows and covariates."""
    x, y, firm, year = data
    rng = np.random.default_rng(3)
    other = 0.8 * y + rng.normal(size=len(y)) * (1 + x[:, 2])
    return ols(y, x), ols(other, x), ols(y - other, x), firm, year


def test_difference_matches_the_regression_of_the_difference(two):
    """OLS is linear in the outcome, so statsmodels' fit of y1 - y2 is the exact answer."""
    (_, first), (_, second), (direct, _), _, _ = two
    gap = first - second
    assert_allclose(gap.params, direct.params, rtol=1e-10)
    assert_allclose(gap.cov, direct.get_robustcov_results("HC0").cov_params(), rtol=1e-10)
    variances = first.std_errors**2 + second.std_errors**2
    assert (gap.std_errors**2 < 0.8 * variances).all()  # the covariance matters here


def test_difference_matches_the_stacked_regression(two):
    """Stacked system with rows clustered by unit, contrast of the two halves."""
    (fit1, first), (fit2, second), _, _, _ = two
    x, n = fit1.model.exog, len(first.influence)
    stacked = np.block([[x, np.zeros_like(x)], [np.zeros_like(x), x]])
    system = sm.OLS(np.r_[fit1.model.endog, fit2.model.endog], stacked).fit()
    groups = np.tile(np.arange(n), 2)
    cov = system.get_robustcov_results("cluster", groups=groups, use_correction=False).cov_params()
    contrast = np.hstack([np.eye(3), -np.eye(3)])
    assert_allclose((first - second).cov, contrast @ cov @ contrast.T, rtol=1e-8)


@pytest.mark.parametrize("ways", [1, 2])
def test_difference_keeps_common_clusters(two, ways):
    (_, first), (_, second), (direct, _), firm, year = two
    clusters = firm if ways == 1 else np.column_stack([firm, year])
    gap = first.recluster(clusters, "CR0") - second.recluster(clusters, "CR0")
    reference = direct.get_robustcov_results("cluster", groups=clusters, use_correction=False)
    assert_allclose(gap.cov, reference.cov_params(), rtol=1e-10)


def test_difference_adds_split_covariances(two):
    (_, first), (_, second), *_ = two
    plain = (first - second).cov

    def split(result, diagonal):
        extra = None if diagonal is None else np.diag(diagonal)
        return Estimates(result.params, result.cov, NAMES, 240, result.influence, split_cov=extra)

    for a, b, total in [
        ([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], [1.5, 2.5, 3.5]),
        ([1.0, 2.0, 3.0], None, [1.0, 2.0, 3.0]),
        (None, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
    ]:
        gap = split(first, a) - split(second, b)
        assert_allclose(gap.cov - plain, np.diag(total), atol=1e-10)
        assert_allclose(gap.split_cov, np.diag(total))


def test_difference_of_a_result_with_itself_is_zero_without_error(fitted):
    gap = fitted[1] - fitted[1]
    assert_array_equal(gap.params, 0.0)
    assert_array_equal(gap.cov, 0.0)
    assert np.isnan(gap.p_values).all()


@pytest.mark.parametrize("dfs", [(3, None), (None, 3), (3, 8), (8, 3)])
def test_difference_takes_the_cautious_reference_in_either_order(fitted, dfs):
    """The reference distribution cannot depend on which result is written first."""
    _, result = fitted
    a, b = (
        Estimates(result.params * s, result.cov, NAMES, 240, result.influence * s, df=df)
        for s, df in zip((1.0, 2.0), dfs, strict=True)
    )
    assert (a - b).df == 3
    assert_allclose((a - b).p_values, (b - a).p_values, rtol=1e-10)


def test_sampling_variance_of_a_difference():
    """The average estimated variance matches the Monte Carlo variance of the difference."""
    rng = np.random.default_rng(4)
    n, n_sim = 200, 1200
    gaps, variances = np.empty(n_sim), np.empty(n_sim)
    for s in range(n_sim):
        x = np.column_stack([np.ones(n), rng.normal(size=n)])
        common = rng.normal(size=n) * (0.5 + np.abs(x[:, 1]))
        inverse = np.linalg.inv(x.T @ x)
        results = []
        for slope in (1.0, 0.5):
            y = slope * x[:, 1] + common + 0.5 * rng.normal(size=n)
            beta = inverse @ x.T @ y
            influence = n * (x * (y - x @ beta)[:, None]) @ inverse
            results.append(Estimates(beta, np.eye(2), ["c", "x"], n, influence))
        gap = results[0] - results[1]
        gaps[s], variances[s] = gap.params[1], gap.cov[1, 1]
    ratio = variances.mean() / gaps.var(ddof=1)
    # Standard error of a Monte Carlo variance: sqrt(2 / 1200) = 4.1%; HC0 is 2% to 3% low.
    assert 0.84 < ratio < 1.12
    assert abs(gaps.mean() - 0.5) < 4 * gaps.std() / np.sqrt(n_sim)


def mean_of_draw(outcome, surrogate, labelled):
    """Difference estimator of a mean under simple random sampling without replacement."""
    y = np.full(len(outcome), np.nan)
    y[labelled] = outcome[labelled]
    model = DSLMean(tuning=None, learner=None, design="srswor")
    return model.fit(np.zeros((len(y), 1)), y, surrogates=surrogate).results_


def test_difference_of_two_surrogates_under_simple_random_sampling():
    """Against the textbook variance: between-rows part plus N^2 (1 - f) s^2 / n of the errors."""
    rng = np.random.default_rng(5)
    n_rows, n = 6000, 1500
    y = rng.normal(2.0, 1.0, n_rows)
    first, second = y + rng.normal(1.0, 0.4, n_rows), 0.5 * y + rng.normal(size=n_rows)
    labelled = np.sort(rng.choice(n_rows, n, replace=False))
    gap = mean_of_draw(y, first, labelled) - mean_of_draw(y, second, labelled)
    share = n / n_rows
    error = -(first - second)[labelled]
    # The difference of the outcome from itself is zero, so only the draw makes it vary.
    textbook = (1 - share) * error.var(ddof=1) / n
    assert_allclose(gap.cov, [[textbook]], rtol=0.05)
    assert_allclose(gap.params, [(first - second).mean() + error.mean()], rtol=1e-8)
    assert_allclose((gap.recluster()).cov, gap.cov, rtol=1e-12)


def test_sampling_variance_of_a_difference_under_simple_random_sampling():
    """Rows drawn from a superpopulation, labels drawn by SRS: estimated and true variance agree."""
    rng = np.random.default_rng(6)
    n_rows, n, n_sim = 120, 40, 500
    gaps, variances, poisson = np.empty((3, n_sim))
    for s in range(n_sim):
        y = rng.normal(size=n_rows)
        # Errors with a large mean: here the Poisson sandwich alone would be far too large.
        surrogates = y + 1.0 + 0.5 * rng.normal(size=n_rows), 0.6 * y - 1.0
        labelled = np.sort(rng.choice(n_rows, n, replace=False))
        a, b = (mean_of_draw(y, q, labelled) for q in surrogates)
        gap = a - b
        gaps[s], variances[s] = gap.params[0], gap.cov[0, 0]
        difference = surrogates[0] - surrogates[1]
        difference[labelled] *= 1 - n_rows / n
        poisson[s] = np.sum((difference - difference.mean()) ** 2) / n_rows**2
    truth = gaps.var(ddof=1)
    assert 0.81 < variances.mean() / truth < 1.2  # Monte Carlo error of the truth 6.3%
    assert poisson.mean() / truth > 1.5


def test_a_surrogate_shifted_by_a_constant_makes_no_difference_under_srs():
    """The shift cancels whatever rows are drawn; under Poisson sampling their number varies."""
    rng = np.random.default_rng(7)
    y = rng.normal(2.0, 1.0, 60)
    surrogate = y + rng.normal(1.0, 0.4, 60)
    labelled = np.sort(rng.choice(60, 15, replace=False))
    gap = mean_of_draw(y, surrogate, labelled) - mean_of_draw(y, surrogate + 3.0, labelled)
    assert_allclose(gap.params, 0.0, atol=1e-12)
    assert_allclose(gap.cov, 0.0, atol=1e-20)


def test_draws_from_a_fixed_population_need_the_same_labelled_rows():
    """Only the draw is random there, and two draws do not share it where their rows overlap."""
    rng = np.random.default_rng(10)
    y, order = rng.normal(size=80), rng.permutation(80)
    surrogate = y + rng.normal(size=80)
    results = []
    for rows in (order[:40], order[20:60]):
        labels = np.full(80, np.nan)
        labels[rows] = y[rows]
        model = DSLMean(tuning=None, learner=None, design="srswor", target="population")
        results.append(model.fit(np.zeros((80, 1)), labels, surrogates=surrogate).results_)
    assert (results[0] - results[0]).std_errors[0] == 0.0
    with pytest.raises(ValueError, match="labelled rows"):
        results[0] - results[1]


def test_difference_errors(fitted, data):
    _, result = fitted
    firm = data[2]
    with pytest.raises(ValueError, match="terms differ"):
        result - Estimates(result.params, result.cov, ["c", "x1", "x2"], 240, result.influence)
    with pytest.raises(ValueError, match="influence values of both"):
        result - Estimates(result.params, result.cov, NAMES, 240)
    with pytest.raises(ValueError, match="240 and 239 rows"):
        result - Estimates(result.params, result.cov, NAMES, 239, result.influence[1:])
    with pytest.raises(ValueError, match="different clusters"):
        result.recluster(firm) - result
    with pytest.raises(ValueError, match="different clusters"):
        result.recluster(firm) - result.recluster(data[3])
    draw = Estimates(result.params, result.cov, NAMES, 240, result.influence, reclusterable=False)
    with pytest.raises(ValueError, match="targets"):
        result - draw


def test_subtracting_something_else_is_a_type_error():
    with pytest.raises(TypeError):
        simple() - 3
