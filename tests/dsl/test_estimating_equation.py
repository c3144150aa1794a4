"""Partly labelled data: the results equal an independent solve of the published equations."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import root
from scipy.special import expit

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLMean, compare_labels

RTOL = 1e-8
N, G = 1500, 40


def draw(seed, *, unequal, binary, fixed_size=False):
    """A frame with a biased surrogate and known sampling probabilities."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 2))
    clusters = rng.integers(0, G, N)
    eta = 0.3 + X @ [0.8, -0.5] + 0.5 * rng.normal(size=G)[clusters]
    y = (rng.random(N) < expit(eta)).astype(float) if binary else eta + rng.normal(size=N)
    wrong = rng.random(N) < expit(X[:, 0] - 2)
    surrogate = np.where(wrong, 1 - y, y) if binary else y - 0.4 * X[:, 0] + rng.normal(size=N)
    probability = expit(-1.5 + unequal * X[:, 1])
    if fixed_size:
        drawn = np.isin(np.arange(N), rng.choice(N, 300, replace=False))
        probability = np.full(N, 300 / N)
    else:
        drawn = rng.random(N) < probability
    return {
        "X": X,
        "truth": y,
        "y": np.where(drawn, y, np.nan),
        "surrogate": surrogate,
        "probability": probability,
        "drawn": drawn,
        "clusters": clusters,
    }


def independent_solution(data, mean, slope, clusters=None):
    """Root by a general solver and the sandwich of section 2.5, written out for the outcome."""
    design = np.column_stack([np.ones(N), data["X"]])
    w = data["drawn"] / data["probability"]
    pseudo = data["surrogate"] + w * (np.nan_to_num(data["y"]) - data["surrogate"])
    equation = lambda beta: design.T @ (pseudo - mean(design @ beta)) / N  # noqa: E731
    beta = root(equation, np.zeros(3), tol=1e-14).x
    moments = design * (pseudo - mean(design @ beta))[:, None]
    J = design.T @ (design * slope(design @ beta)[:, None]) / N
    if clusters is not None:
        moments = np.stack([moments[clusters == c].sum(axis=0) for c in np.unique(clusters)])
    bread = np.linalg.inv(J)
    return beta, bread @ (moments.T @ moments / N) @ bread.T / N


MODELS = {
    "linear": (DSLLinearRegression, lambda e: e, np.ones_like),
    "logistic": (DSLLogisticRegression, expit, lambda e: expit(e) * (1 - expit(e))),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("unequal", [0.0, 0.8])
@pytest.mark.parametrize("clustered", [False, True])
def test_surrogate_as_it_is_equals_an_independent_solve(model, unequal, clustered):
    estimator, mean, slope = MODELS[model]
    data = draw(3, unequal=unequal, binary=model == "logistic")
    clusters = data["clusters"] if clustered else None
    fit = estimator(tuning=None, learner=None, normalize=False).fit(
        data["X"],
        data["y"],
        surrogates=data["surrogate"],
        sampling_probability=data["probability"],
        clusters=clusters,
    )
    beta, cov = independent_solution(data, mean, slope, clusters)
    np.testing.assert_allclose(fit.results_.params, beta, rtol=RTOL)
    np.testing.assert_allclose(fit.results_.cov, cov, rtol=RTOL)
    assert max(fit.diagnostics_.residuals) <= 1e-10
    assert fit.results_.df is None


@pytest.mark.parametrize("model", MODELS)
def test_rebuilt_covariance_equals_the_reported_one_for_one_split(model):
    data = draw(4, unequal=0.8, binary=model == "logistic")
    fit = MODELS[model][0](learner="linear", n_repeats=1, random_state=0).fit(
        data["X"],
        data["y"],
        surrogates=data["surrogate"],
        sampling_probability=data["probability"],
        clusters=data["clusters"],
    )
    rebuilt = fit.results_.recluster(data["clusters"], "CR0")
    np.testing.assert_allclose(rebuilt.cov, fit.results_.cov, rtol=1e-12)
    unclustered = fit.results_.recluster()
    assert (unclustered.std_errors < 0.95 * fit.results_.std_errors)[0]


def test_normalisation_multiplies_the_probabilities():
    data = draw(5, unequal=0.8, binary=False)
    options = {"surrogates": data["surrogate"]}
    stated = 0.9 * data["probability"]
    scaled = DSLLinearRegression(tuning=None, learner=None).fit(
        data["X"], data["y"], sampling_probability=stated, **options
    )
    factor = data["drawn"].sum() / stated.sum()
    by_hand = DSLLinearRegression(tuning=None, learner=None, normalize=False).fit(
        data["X"], data["y"], sampling_probability=factor * stated, **options
    )
    assert scaled.diagnostics_.probability_factor == pytest.approx(factor, rel=1e-12)
    np.testing.assert_allclose(scaled.results_.params, by_hand.results_.params, rtol=1e-12)


def test_mean_is_the_difference_estimator():
    data = draw(6, unequal=0.0, binary=True)
    drawn, s = data["drawn"], data["surrogate"]
    mean = DSLMean(tuning=None, learner=None).fit(data["X"], data["y"], surrogates=s)
    expected = s.mean() - (s[drawn].mean() - data["truth"][drawn].mean())
    assert mean.means_[0] == pytest.approx(expected, rel=1e-12)


def test_simple_random_sampling_population_variance_is_the_textbook_one():
    """For the mean: (1 - n/N) s_e^2 / n of the surrogate's error e."""
    data = draw(7, unequal=0.0, binary=False, fixed_size=True)
    fit = DSLMean(tuning=None, learner=None, design="srswor", target="population").fit(
        data["X"], data["y"], surrogates=data["surrogate"]
    )
    error = (data["truth"] - data["surrogate"])[data["drawn"]]
    n = len(error)
    expected = (1 - n / N) * error.var(ddof=1) / n
    assert fit.results_.cov[0, 0] == pytest.approx(expected, rel=1e-12)


def test_simple_random_sampling_superpopulation_variance():
    """For the mean: the spread of s_i + mean error + R_i (e_i - mean error) / pi, written out.

    It estimates the sandwich plus C_D - P; the two differ by sampling noise of the surrogate only.
    """
    data = draw(7, unequal=0.0, binary=False, fixed_size=True)
    fit = DSLMean(tuning=None, learner=None, design="srswor").fit(
        data["X"], data["y"], surrogates=data["surrogate"]
    )
    drawn, s = data["drawn"], data["surrogate"]
    n, pi, error = drawn.sum(), drawn.mean(), (data["truth"] - s)[drawn]
    parts = s + error.mean() - fit.means_[0]
    parts[drawn] += np.sqrt(1 + (1 - pi) / (n - 1)) * (error - error.mean()) / pi
    assert fit.results_.cov[0, 0] == pytest.approx(np.sum(parts**2) / N**2, rel=1e-12)
    pseudo = s.copy()
    pseudo[drawn] += error / pi
    sandwich = np.sum((pseudo - pseudo.mean()) ** 2)
    design = (1 - pi) * n / (n - 1) * np.sum((error - error.mean()) ** 2) / pi**2
    counted = (1 - pi) * np.sum(error**2) / pi**2
    assert fit.results_.cov[0, 0] == pytest.approx((sandwich + design - counted) / N**2, rel=0.02)
    poisson = DSLMean(tuning=None, learner=None).fit(data["X"], data["y"], surrogates=s)
    assert poisson.results_.cov[0, 0] == pytest.approx(sandwich / N**2, rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_simple_random_sample_of_everything_is_the_sandwich(model):
    data = draw(12, unequal=0.0, binary=model == "logistic")
    census = MODELS[model][0](design="srswor").fit(data["X"], data["truth"]).results_
    plain = MODELS[model][0]().fit(data["X"], data["truth"]).results_
    np.testing.assert_array_equal(census.cov, plain.cov)


def test_fixed_size_and_clusters_together():
    """Clusters as single rows are no clusters; real ones widen the interval."""
    data = draw(13, unequal=0.0, binary=False, fixed_size=True)
    fits = [
        DSLLinearRegression(tuning=None, learner=None, design="srswor")
        .fit(data["X"], data["y"], surrogates=data["surrogate"], clusters=clusters)
        .results_
        for clusters in (None, np.arange(N), data["clusters"])
    ]
    np.testing.assert_allclose(fits[1].cov, fits[0].cov, rtol=1e-10)
    assert fits[2].std_errors[0] > 1.2 * fits[0].std_errors[0]
    np.testing.assert_allclose(
        fits[0].recluster(data["clusters"], "CR0").cov, fits[2].cov, rtol=1e-10
    )


def test_population_variance_of_a_poisson_draw():
    data = draw(8, unequal=0.8, binary=False)
    fit = DSLMean(tuning=None, learner=None, target="population", normalize=False).fit(
        data["X"],
        data["y"],
        surrogates=data["surrogate"],
        sampling_probability=data["probability"],
    )
    drawn, pi = data["drawn"], data["probability"][data["drawn"]]
    error = (data["truth"] - data["surrogate"])[drawn]
    assert fit.results_.cov[0, 0] == pytest.approx(
        np.sum((1 - pi) * error**2 / pi**2) / N**2, rel=1e-12
    )


@pytest.mark.parametrize("kind", ["HC2", "HC3", "CR2"])
def test_leverage_of_partly_labelled_rows(kind):
    """With a predicted outcome J_i = X_i X_i' / N on every row, labelled or not."""
    data = draw(9, unequal=0.8, binary=False)
    clusters = data["clusters"] if kind == "CR2" else None
    fit = DSLLinearRegression(tuning=None, learner=None, normalize=False, covariance=kind).fit(
        data["X"],
        data["y"],
        surrogates=data["surrogate"],
        sampling_probability=data["probability"],
        clusters=clusters,
    )
    pseudo = data["surrogate"].copy()
    drawn = data["drawn"]
    pseudo[drawn] += ((data["truth"] - data["surrogate"]) / data["probability"])[drawn]
    plain = DSLLinearRegression(tuning=None, covariance=kind).fit(
        data["X"], pseudo, clusters=clusters
    )
    np.testing.assert_allclose(fit.results_.cov, plain.results_.cov, rtol=RTOL)
    weight = 1 / data["probability"][drawn]
    effective = weight.sum() ** 2 / (weight**2).sum()
    assert fit.results_.df == pytest.approx(min(effective - 3, G - 1 if kind == "CR2" else 1e9))


def test_gold_only_is_inverse_probability_weighting():
    data = draw(10, unequal=0.8, binary=False)
    frame = pd.DataFrame(data["X"], columns=["a", "b"])
    results = compare_labels(
        DSLLinearRegression(tuning=None, learner=None, normalize=False),
        frame,
        data["y"],
        surrogates=data["surrogate"],
        sampling_probability=data["probability"],
    )
    drawn = data["drawn"]
    weighted = sm.WLS(
        data["truth"][drawn],
        sm.add_constant(data["X"][drawn]),
        weights=1 / data["probability"][drawn],
    ).fit(cov_type="HC0")
    np.testing.assert_allclose(results["Gold only"].params, weighted.params, rtol=RTOL)
    np.testing.assert_allclose(results["Gold only"].cov, weighted.cov_params(), rtol=RTOL)
    naive = sm.OLS(data["surrogate"], sm.add_constant(data["X"])).fit(cov_type="HC0")
    np.testing.assert_allclose(results["Surrogate only"].params, naive.params, rtol=RTOL)
    np.testing.assert_allclose(results["Surrogate only"].cov, naive.cov_params(), rtol=RTOL)
    dsl = DSLLinearRegression(tuning=None, learner=None, normalize=False).fit(
        frame, data["y"], surrogates=data["surrogate"], sampling_probability=data["probability"]
    )
    np.testing.assert_array_equal(results["DSL"].cov, dsl.results_.cov)


def test_difference_to_gold_only_uses_the_shared_labels():
    """For means the difference is that of the surrogate's mean: (1 - n/N) s_surrogate^2 / n."""
    data = draw(11, unequal=0.0, binary=False, fixed_size=True)
    results = compare_labels(
        DSLMean(tuning=None, learner=None, design="srswor", target="population"),
        data["X"],
        data["y"],
        surrogates=data["surrogate"],
    )
    difference = results["DSL"] - results["Gold only"]
    drawn, s = data["drawn"], data["surrogate"]
    assert difference.params[0] == pytest.approx(s.mean() - s[drawn].mean(), rel=1e-10)
    expected = (1 - drawn.mean()) * s[drawn].var(ddof=1) / drawn.sum()
    assert difference.cov[0, 0] == pytest.approx(expected, rel=1e-10)
