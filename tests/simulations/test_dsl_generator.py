"""The Egami et al. (2024) generator: its truth, its law and its promises to the caller."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit, ndtri
from scipy.stats import qmc

from trueness.simulations.dsl import egami2024, make_egami2024

ESTIMANDS = [
    {"model": "logistic"},
    {"model": "linear"},
    {"model": "linear", "outcome": "continuous"},
    {"model": "mean"},
    {"model": "mean", "by": "x2"},
    {"model": "mean", "by": "x2", "outcome": "continuous"},
]


def design_matrix(params, X):
    """Columns of the estimand, under the names of its terms."""
    if params["model"] != "mean":
        columns = {"x1": X.x1, "x1_squared": X.x1**2, "x2": X.x2, "x4": X.x4}
        return pd.DataFrame({"intercept": 1.0, **columns})
    if params["by"] is None:
        return pd.DataFrame({"mean": np.ones(len(X))})
    return pd.DataFrame({"x2=0": (X.x2 == 0) * 1.0, "x2=1": (X.x2 == 1) * 1.0})


def latent_index(X):
    bounded = 0.1 / (1 + np.exp(0.5 * X.x3 - 0.5 * X.x2)) + 1.3 * X.x4 / (1 + np.exp(-0.1 * X.x2))
    return bounded + 1.5 * X.x4 * X.x6 + 0.5 * X.x1 * X.x2 + 1.3 * X.x1 + X.x2


def fit(params, X, y, **covariance):
    model, options = (sm.Logit, {"disp": 0}) if params["model"] == "logistic" else (sm.OLS, {})
    return model(np.asarray(y), design_matrix(params, X)).fit(**options, **covariance)


def fit_complete(sample, **covariance):
    return fit(sample.params, sample.complete.X_full, sample.complete.y, **covariance)


def fit_surrogate(sample):
    return fit(sample.params, sample.complete.X_full, sample.observed["surrogates"]["llm_1"])


def low_discrepancy_covariates(rng, size):
    """A randomly shifted Sobol sample of x1, ..., x4, x6, the fifth of the rows with x2 = 1."""
    shifted = (qmc.Sobol(5, scramble=False).random(size) + rng.random(5)) % 1
    u = np.tile(1 - np.abs(2 * shifted - 1), (5, 1))
    u[:, 0] = (u[:, 0] + np.repeat(np.arange(5), size)) / 5  # first variate, stratified
    normals = ndtri(u) @ np.linalg.cholesky(0.7 * np.eye(5) + 0.3).T
    X = pd.DataFrame(normals, columns=["x2", "x1", "x3", "x4", "x6"])
    return X.assign(x2=np.repeat([0, 0, 0, 0, 1], size))


def intraclass_correlation(values, clusters):
    """One-way analysis-of-variance estimator for unequal sizes."""
    groups = pd.Series(values).groupby(clusters)
    size, mean = groups.size(), groups.mean()
    between = (size * (mean - values.mean()) ** 2).sum() / (len(size) - 1)
    within = (groups.var(ddof=1) * (size - 1)).sum() / (len(values) - len(size))
    typical = (len(values) - (size**2).sum() / len(values)) / (len(size) - 1)
    return (between - within) / (between + (typical - 1) * within)


def scores(sample, name):
    """Contributions of the complete rows to the logit moment of one term, at the truth."""
    D = design_matrix(sample.params, sample.complete.X_full)
    residual = sample.complete.y - expit(D.to_numpy() @ list(sample.truth.values()))
    return (D[name] * residual).to_numpy()


@pytest.mark.parametrize("estimand", ESTIMANDS, ids=str)
def test_truth_is_the_limit_of_the_complete_data_fit(estimand):
    sample = make_egami2024(n_rows=200_000, random_state=11, **estimand)
    result = fit_complete(sample, cov_type="HC0")
    assert list(sample.truth) == list(sample.truth_error) == list(result.params.index)
    z = (result.params - pd.Series(sample.truth)) / result.bse
    assert np.abs(z).max() < 5
    assert result.bse.max() < 0.017  # the limits are narrow enough to mean something


@pytest.mark.parametrize("estimand", ESTIMANDS, ids=str)
def test_truth_agrees_with_another_rule_of_integration(estimand):
    size = 2**15 if estimand == {"model": "linear"} else 2**13  # sharpest where it is cheap
    sample = make_egami2024(n_rows=10, n_labels=1, random_state=0, **estimand)
    rng, fits = np.random.default_rng(12), []
    for _ in range(8):
        X = low_discrepancy_covariates(rng, size)
        mean = latent_index(X) if "outcome" in estimand else expit(latent_index(X))
        fits.append(fit(sample.params, X, mean).params)
    fits = pd.DataFrame(fits)
    assert (np.abs(fits.mean() - pd.Series(sample.truth)) / fits.sem()).max() < 6
    assert fits.sem().max() < 0.002
    assert max(sample.truth_error.values()) < 1e-5


@pytest.mark.parametrize("estimand", ESTIMANDS[:3], ids=str)
def test_clusters_leave_the_truth_as_it_is(estimand):
    sample = make_egami2024(n_rows=150_000, n_clusters=7500, random_state=13, **estimand)
    by_cluster = {"cov_type": "cluster", "cov_kwds": {"groups": sample.observed["clusters"]}}
    result = fit_complete(sample, **by_cluster)
    z = (result.params - pd.Series(sample.truth)) / result.bse
    assert np.abs(z).max() < 5
    assert result.bse.max() < 0.04
    assert sample.truth == make_egami2024(n_rows=10, random_state=0, n_labels=1, **estimand).truth


def test_truth_is_computed_once_and_handed_out_as_a_copy():
    first = make_egami2024(n_rows=50, n_labels=10, model="linear", random_state=0)
    misses = egami2024._truth.cache_info().misses
    expected = dict(first.truth)
    first.truth["x1"] = np.nan
    second = make_egami2024(accuracy=0.6, differential_error=1.0, model="linear", random_state=1)
    assert second.truth == expected
    assert egami2024._truth.cache_info().misses == misses


@pytest.mark.parametrize(("accuracy", "published"), [(0.90, 0.30), (0.95, 0.18)])
def test_bias_of_the_surrogate_only_logit_is_the_published_one(accuracy, published):
    sample = make_egami2024(n_rows=200_000, accuracy=accuracy, random_state=14)
    result = fit_surrogate(sample)
    truth = pd.Series(sample.truth)
    bias = (result.params - truth).abs().sum() / truth.abs().sum()
    assert bias == pytest.approx(published, abs=0.025)


@pytest.mark.parametrize("differential_error", [0.0, 0.8, -0.8])
@pytest.mark.parametrize("accuracy", [0.3, 0.5, 0.9])
def test_share_of_correct_surrogates_is_the_accuracy(accuracy, differential_error):
    n_rows = 100_000
    sample = make_egami2024(
        n_rows=n_rows,
        accuracy=accuracy,
        differential_error=differential_error,
        n_surrogates=2,
        random_state=21,
    )
    y, x1 = sample.complete.y, sample.complete.X_full["x1"]
    wrong = sample.observed["surrogates"].ne(y, axis=0)
    limit = 4.5 * np.sqrt(accuracy * (1 - accuracy) / n_rows)
    assert np.abs(wrong.mean() - (1 - accuracy)).max() < limit
    # The stated error probabilities have the stated form and are those of the drawn errors.
    error = sample.complete.surrogate_error
    assert np.ptp(logit(error) - differential_error * x1 * (1 - 2 * y)) < 1e-8
    excess = wrong.sub(error, axis=0)
    for moment in (excess, excess.mul(x1, axis=0), excess.mul(y, axis=0)):
        assert (np.abs(moment.mean()) / moment.sem()).max() < 4.5
    # Given X and Y, errors of two surrogates are independent.
    assert abs(excess.corr().iloc[0, 1]) < 4.5 / np.sqrt(n_rows)


@pytest.mark.parametrize("differential_error", [0.0, 1.0])
@pytest.mark.parametrize("accuracy", [0.2, 0.5, 0.9])
def test_continuous_surrogate_keeps_correlation_and_variance(accuracy, differential_error):
    n_rows = 200_000
    sample = make_egami2024(
        n_rows=n_rows,
        accuracy=accuracy,
        differential_error=differential_error,
        model="linear",
        outcome="continuous",
        random_state=23,
    )
    y, surrogate = sample.complete.y, sample.observed["surrogates"]["llm_1"].to_numpy()
    assert np.corrcoef(y, surrogate)[0, 1] == pytest.approx(2 * accuracy - 1, abs=0.01)
    assert np.var(surrogate) / np.var(y) == pytest.approx(1, abs=0.02)
    rest = surrogate - y - sample.complete.surrogate_error
    assert abs(rest.mean()) < 4.5 * rest.std() / np.sqrt(n_rows)
    assert abs(np.corrcoef(rest, sample.complete.X_full["x1"])[0, 1]) < 4.5 / np.sqrt(n_rows)
    assert abs(np.corrcoef(rest, y)[0, 1]) < 4.5 / np.sqrt(n_rows)


@pytest.mark.parametrize("estimand", ESTIMANDS[1:3], ids=str)
def test_differential_error_moves_the_surrogate_only_slope(estimand):
    slopes = []
    for strength in (-1.0, 0.0, 1.0):
        sample = make_egami2024(
            n_rows=50_000, differential_error=strength, random_state=24, **estimand
        )
        slopes.append(fit_surrogate(sample).params["x1"])
    assert slopes[0] < 0.9 * slopes[1] < 0.81 * slopes[2]


@pytest.mark.parametrize(("accuracy", "agrees"), [(1.0, True), (0.0, False)])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_extreme_accuracies(accuracy, agrees, strength):
    sample = make_egami2024(accuracy=accuracy, differential_error=strength, random_state=25)
    assert ((sample.observed["surrogates"]["llm_1"] == sample.complete.y) == agrees).all()


def test_unequal_sampling_follows_its_stated_probabilities():
    sample = make_egami2024(
        n_rows=400_000, n_labels=40_000, probabilities="unequal", random_state=31
    )
    complete, pi = sample.complete, sample.observed["sampling_probability"]
    surrogate, x1 = sample.observed["surrogates"]["llm_1"], sample.observed["X"]["x1"]
    assert pi.mean() == pytest.approx(0.1, rel=1e-9)
    assert pi.min() > 0.02
    assert 5 < pi.max() / pi.min() < 10
    # E[R | X, S, Y] = pi: no function of the row, the true label included, predicts R - pi.
    residual = complete.y - complete.outcome_mean
    functions = [np.ones_like(pi), surrogate, x1, complete.y, complete.y * x1, residual]
    for f in functions:
        z = np.sum((complete.labelled - pi) * f) / np.sqrt(np.sum(pi * (1 - pi) * f**2))
        assert abs(z) < 4.5
    # pi does vary with the true label, so that ignoring it would show.
    naive = complete.y[complete.labelled].mean() - complete.y.mean()
    assert naive > 10 * np.std(complete.y) / np.sqrt(complete.labelled.sum())


def test_unequal_probabilities_are_a_function_of_surrogate_and_x1():
    sample = make_egami2024(probabilities="unequal", random_state=32)
    pi = sample.observed["sampling_probability"]
    step = 2 * sample.observed["surrogates"]["llm_1"] - 1 + np.tanh(sample.observed["X"]["x1"])
    slope, intercept = np.polyfit(step, np.log(pi / (1 - pi)), 1)
    np.testing.assert_allclose(expit(intercept + slope * step), pi, rtol=1e-9)
    assert slope > 0


def test_srswor_labels_exactly_and_uniformly():
    samples = [
        make_egami2024(n_rows=40, n_labels=10, sampling="srswor", random_state=seed)
        for seed in range(300)
    ]
    labelled = np.array([sample.complete.labelled for sample in samples])
    assert (labelled.sum(axis=1) == 10).all()
    assert (samples[0].observed["sampling_probability"] == 0.25).all()
    z = (labelled.mean(axis=0) - 0.25) / np.sqrt(0.25 * 0.75 / 300)
    assert np.abs(z).max() < 4.5


def test_a_census_labels_every_row():
    sample = make_egami2024(n_rows=60, n_labels=60, probabilities="unequal", random_state=0)
    assert (sample.observed["sampling_probability"] == 1).all()
    assert sample.complete.labelled.all()


def test_scores_and_errors_correlate_within_clusters():
    sample = make_egami2024(n_rows=60_000, n_clusters=1500, random_state=41)
    clusters, surrogate = sample.observed["clusters"], sample.observed["surrogates"]["llm_1"]
    bands = {
        "x1": (sample.complete.X_full["x1"].to_numpy(), 0.26, 0.34),
        "score of x1": (scores(sample, "x1"), 0.02, 0.07),
        "score of the intercept": (scores(sample, "intercept"), 0.08, 0.16),
        "surrogate error": ((surrogate != sample.complete.y) * 1.0, 0.08, 0.18),
    }
    shuffled = np.random.default_rng(0).permutation(clusters)
    for name, (values, low, high) in bands.items():
        assert low < intraclass_correlation(values, clusters) < high, name
        assert abs(intraclass_correlation(values, shuffled)) < 0.01, name


def test_unclustered_standard_errors_are_too_small():
    sample = make_egami2024(n_clusters=100, random_state=42)
    naive = fit_complete(sample, cov_type="HC0").bse
    groups = {"groups": sample.observed["clusters"]}
    honest = fit_complete(sample, cov_type="cluster", cov_kwds=groups).bse
    ratio = honest / naive
    assert 1.3 < ratio["x1"] < 4
    assert 1.8 < ratio["intercept"] < 4


def test_clusters_are_all_present_and_of_unequal_size():
    size = np.bincount(make_egami2024(n_clusters=100, random_state=44).observed["clusters"])
    assert len(size) == 100
    assert size.min() >= 1
    assert 0.35 < size.std() / size.mean() < 0.7
    every_row = make_egami2024(n_rows=30, n_labels=5, n_clusters=30, random_state=0)
    assert len(set(every_row.observed["clusters"])) == 30


def assert_same(left, right):
    pd.testing.assert_frame_equal(left.observed["X"], right.observed["X"])
    pd.testing.assert_frame_equal(left.observed["surrogates"], right.observed["surrogates"])
    np.testing.assert_array_equal(left.observed["y"], right.observed["y"])
    np.testing.assert_array_equal(left.complete.y, right.complete.y)


@pytest.mark.parametrize(
    "state",
    [lambda: 7, lambda: np.random.SeedSequence(7), lambda: np.random.default_rng(7)],
    ids=["int", "SeedSequence", "Generator"],
)
def test_the_same_state_gives_the_same_data(state):
    assert_same(make_egami2024(random_state=state()), make_egami2024(random_state=state()))


def test_a_seed_sequence_is_left_as_it_was_and_a_generator_moves_on():
    seeds, rng = np.random.SeedSequence(7), np.random.default_rng(7)
    assert_same(make_egami2024(random_state=seeds), make_egami2024(random_state=seeds))
    assert seeds.n_children_spawned == 0
    first, second = (make_egami2024(random_state=rng) for _ in range(2))
    assert not np.array_equal(first.complete.latent, second.complete.latent)


@pytest.mark.parametrize("clusters", [{}, {"n_clusters": 40}], ids=["rows", "clusters"])
@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": 0.6},
        {"differential_error": 1.0},
        {"n_surrogates": 3},
        {"probabilities": "unequal"},
        {"sampling": "srswor"},
        {"n_labels": 50},
        {"model": "linear"},
    ],
    ids=str,
)
def test_common_random_numbers(change, clusters):
    base = make_egami2024(random_state=51, **clusters)
    changed = make_egami2024(random_state=51, **clusters, **change)
    pd.testing.assert_frame_equal(base.complete.X_full, changed.complete.X_full)
    np.testing.assert_array_equal(base.complete.y, changed.complete.y)
    surrogates = [sample.observed["surrogates"]["llm_1"] for sample in (base, changed)]
    assert surrogates[0].equals(surrogates[1]) != bool(
        {"accuracy", "differential_error"} & {*change}
    )
    same_sample = np.array_equal(base.complete.labelled, changed.complete.labelled)
    assert same_sample != bool({"probabilities", "sampling", "n_labels"} & {*change})


def test_a_better_surrogate_is_right_wherever_a_worse_one_was():
    right = [
        sample.observed["surrogates"]["llm_1"].to_numpy() == sample.complete.y
        for sample in (make_egami2024(accuracy=a, random_state=52) for a in (0.7, 0.8, 0.95))
    ]
    assert (right[0] <= right[1]).all()
    assert (right[1] <= right[2]).all()


@pytest.mark.parametrize("estimand", ESTIMANDS, ids=str)
@pytest.mark.parametrize("clusters", [{}, {"n_clusters": 20}], ids=["rows", "clusters"])
def test_observed_holds_what_fit_takes(estimand, clusters):
    sample = make_egami2024(n_surrogates=2, random_state=61, **estimand, **clusters)
    observed, complete = sample.observed, sample.complete
    names = ["X", "y", "surrogates", "sampling_probability", *(["clusters"] if clusters else [])]
    assert list(observed) == names
    assert {len(value) for value in observed.values()} == {5000}
    terms = ["x1", "x2", "x4"] if estimand["model"] == "mean" else [*sample.truth][1:]
    assert observed["X"].columns.tolist() == terms
    assert observed["surrogates"].columns.tolist() == ["llm_1", "llm_2"]
    np.testing.assert_array_equal(observed["y"], np.where(complete.labelled, complete.y, np.nan))
    if estimand.get("outcome") != "continuous":
        assert set(complete.y) == {0.0, 1.0}
    assert sample.params["model"] == estimand["model"]
    assert "random_state" not in sample.params
    assert "Egami" in sample.DESCR


def test_covariates_and_latent_index_have_the_stated_law():
    complete = make_egami2024(n_rows=200_000, random_state=62).complete
    X = complete.X_full
    np.testing.assert_allclose(complete.latent, latent_index(X), rtol=1e-12, atol=1e-12)
    assert X.columns.tolist() == [f"x{j}" for j in range(1, 11)]
    assert X["x2"].mean() == pytest.approx(0.2, abs=4.5 * 0.4 / np.sqrt(200_000))
    covariance = X.drop(columns="x2").cov().to_numpy()
    np.testing.assert_allclose(covariance, 0.7 * np.eye(9) + 0.3, atol=0.015)


def test_extra_features_join_the_surrogates_on_request():
    sample = make_egami2024(extra_features=True, random_state=63)
    names = ["llm_1", "x3", "x5", "x6", "x7", "x8", "x9", "x10"]
    assert sample.observed["surrogates"].columns.tolist() == names
    assert sample.observed["surrogates"]["x6"].equals(sample.complete.X_full["x6"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_rows": 0}, r"n_rows=0 .* integer of at least 1"),
        ({"n_rows": 10.0}, r"n_rows=10.0 .* integer"),
        ({"n_rows": 400}, r"n_labels=500 .* from 1 to 400 \(n_rows\)"),
        ({"n_labels": 0}, r"n_labels=0 .* from 1 to 5000"),
        ({"n_surrogates": 0}, r"n_surrogates=0 .* at least 1"),
        ({"n_clusters": 1}, r"n_clusters=1 .* from 2 to 5000"),
        ({"n_clusters": 5001}, r"n_clusters=5001 .* from 2 to 5000 \(n_rows\)"),
        ({"accuracy": 1.01}, r"accuracy=1.01 .* number from 0.0 to 1.0"),
        ({"accuracy": float("nan")}, r"accuracy=nan "),
        ({"accuracy": "high"}, r"accuracy='high' .* number"),
        ({"icc": 1.5}, r"icc=1.5 "),
        ({"differential_error": float("inf")}, r"differential_error=inf "),
        ({"sampling": "bernoulli"}, r"sampling='bernoulli' is unknown; .*'poisson', 'srswor'"),
        ({"model": "probit"}, r"model='probit' is unknown"),
        ({"by": "x4", "model": "mean"}, r"by='x4' is unknown"),
        ({"sampling": "srswor", "probabilities": "unequal"}, r"needs sampling='poisson', but"),
        ({"outcome": "continuous"}, r"model='logistic' needs outcome='binary'"),
        ({"by": "x2"}, r"by='x2' needs model='mean'"),
    ],
    ids=str,
)
def test_errors_say_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_egami2024(**arguments)
