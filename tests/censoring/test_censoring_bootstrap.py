"""Bootstrap by case weights."""

import numpy as np
import pytest

from trueness.censoring import (
    BootstrapWarning,
    CensoredLinearRegression,
    CensoredQuantileRegression,
    case_weight_bootstrap,
    km_integral,
    survival_target,
)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(150, 1))
    duration = np.exp(x[:, 0] / 2) * rng.weibull(2, 150)
    censored = 2.5 * rng.random(150)
    return x, survival_target(np.minimum(duration, censored), duration <= censored)


def test_draws_are_whole_numbers_that_sum_to_the_rows():
    seen = []

    def statistic(weight):
        seen.append(weight.copy())
        return weight[0]

    found = case_weight_bootstrap(statistic, 30, n_boot=40, random_state=0)
    assert (seen[0] == 1).all()
    for weight in seen[1:]:
        assert weight.sum() == 30 and (weight == weight.round()).all()
    assert found.draws[:, 0].tolist() == [weight[0] for weight in seen[1:]]
    assert found.estimates.std_errors[0] == pytest.approx(found.draws.std(ddof=1))


def test_clusters_are_drawn_as_wholes():
    clusters = np.repeat(np.arange(6), 5)

    def statistic(weight):
        assert (weight.reshape(6, 5) == weight.reshape(6, 5)[:, :1]).all()
        return weight.sum()

    found = case_weight_bootstrap(statistic, 30, clusters=clusters, n_boot=10, random_state=0)
    assert "10 draws of 6 clusters" in found.estimates.header["Covariance"]


def test_errors_of_an_integral_agree_with_the_formula(sample):
    _, y = sample
    exact = km_integral(y, horizon=1.5)
    found = case_weight_bootstrap(
        lambda a: km_integral(y, horizon=1.5, sample_weight=a).params,
        len(y),
        n_boot=300,
        random_state=1,
    )
    # The spread of 300 draws is known to 1/sqrt(600) = 4.1 percent.
    assert found.estimates.std_errors[0] == pytest.approx(exact.std_errors[0], rel=0.12)
    normal, percentile = found.conf_int(), found.conf_int(kind="percentile")
    assert percentile.iloc[0].tolist() == pytest.approx(
        np.quantile(found.draws[:, 0], [0.025, 0.975]).tolist()
    )
    np.testing.assert_allclose(percentile, normal, atol=0.4 * exact.std_errors[0])


def test_results_depend_on_the_seed_only(sample):
    x, y = sample
    options = {"method": "weights", "censoring": "km", "covariance": "bootstrap", "n_boot": 8}
    first, second, other = (
        CensoredLinearRegression(random_state=seed, **options).fit(x, y) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.bootstrap_.draws, second.bootstrap_.draws)
    assert (first.bootstrap_.draws != other.bootstrap_.draws).any()


@pytest.mark.parametrize("censoring", ["km", "cox"])
def test_errors_of_weighted_regressions_agree_with_the_formula(sample, censoring):
    x, y = sample
    options = {"method": "weights", "censoring": censoring, "horizon": 1.5}
    n_boot = 150 if censoring == "km" else 40
    exact = CensoredLinearRegression(**options).fit(x, y)
    found = CensoredLinearRegression(
        covariance="bootstrap", n_boot=n_boot, random_state=0, **options
    ).fit(x, y)
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-12)
    np.testing.assert_allclose(
        found.results_.std_errors, exact.results_.std_errors, rtol=3 / np.sqrt(2 * n_boot) + 0.05
    )
    assert f"bootstrap, {n_boot} draws of rows" in found.summary()


@pytest.mark.parametrize(
    "model",
    [
        CensoredLinearRegression(method="weights", censoring="beran"),
        CensoredLinearRegression(method="buckley_james", censoring="km", outcome="km"),
        CensoredLinearRegression(method="doubly_robust", censoring="km", outcome="km"),
        CensoredQuantileRegression(censoring="beran"),
    ],
)
def test_what_has_no_formula_is_bootstrapped(sample, model):
    x, y = sample
    model.set_params(covariance="bootstrap", n_boot=6, horizon=1.5, random_state=0).fit(x, y)
    assert (model.results_.std_errors > 0).all()
    assert model.results_.influence is None
    assert model.bootstrap_.draws.shape == (6, 2)
    assert model.conf_int(kind="percentile").shape == (2, 2)


def test_some_failures_are_left_out_and_many_are_an_error():
    def statistic(share):
        def value(weight):
            if weight[0] >= share:
                raise ValueError("too heavy")
            return weight.var()

        return value

    # Of 20 rows one is drawn 4 times or more with probability 0.016.
    with pytest.warns(BootstrapWarning, match="of 200 bootstrap draws gave no estimate .*heavy"):
        found = case_weight_bootstrap(statistic(4), 20, n_boot=200, random_state=0)
    assert found.n_failed == np.isnan(found.draws).any(axis=1).sum() > 0
    assert np.isfinite(found.estimates.std_errors).all()
    with pytest.raises(ValueError, match="selection, whose spread means nothing"):
        case_weight_bootstrap(statistic(2), 20, n_boot=200, random_state=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_boot": 1}, "n_boot=1 must be"),
        ({"clusters": np.zeros((10, 2)) + np.arange(10)[:, None]}, "one kind of cluster"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        case_weight_bootstrap(np.sum, 10, random_state=0, **options)


def test_kinds_of_intervals_are_checked():
    found = case_weight_bootstrap(np.var, 10, n_boot=20, random_state=0)
    with pytest.raises(ValueError, match="kind='basic'"):
        found.conf_int(kind="basic")
    with pytest.raises(ValueError, match='needs covariance="bootstrap"'):
        rng = np.random.default_rng(0)
        y = survival_target(rng.random(30), np.ones(30))
        CensoredLinearRegression(method="weights", censoring="km").fit(
            rng.random((30, 1)), y
        ).conf_int(kind="percentile")
