"""Wild bootstrap: exact enumeration, limits, size of tests, coverage of bands."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from threadpoolctl import threadpool_limits

from trueness.bootstrap import _draw, wild_bootstrap
from trueness.inference import Estimates

KINDS = ("CR0", "CR1")


@pytest.fixture(autouse=True)
def one_thread():
    """Keep linear algebra on one thread: small matrices gain nothing, loaded machines lose."""
    with threadpool_limits(1):
        yield


def mean_of(values, clusters=None):
    """Estimates of the column means with HC0, or CR0 by clusters."""
    values = np.asarray(values, float)
    params = values.mean(axis=0)
    influence = values - params
    names = [f"m{j}" for j in range(values.shape[1])]
    cov = influence.T @ influence / len(values) ** 2
    result = Estimates(params, cov, names, len(values), influence)
    return result if clusters is None else result.recluster(clusters, "CR0")


def exact_statistics(scores):
    """All 2^G values of t* under Rademacher weights."""
    n = len(scores)
    weights = np.array(list(itertools.product([-1.0, 1.0], repeat=n)))
    totals = weights @ scores
    spread = np.array(
        [((w[:, None] * scores - t / n) ** 2).sum(0) for w, t in zip(weights, totals, strict=True)]
    )
    return totals / np.sqrt(spread)


@pytest.fixture(scope="module")
def seven():
    """Seven unequal clusters, two parameters."""
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(7), [3, 5, 6, 8, 10, 15, 30])
    values = rng.normal(size=(7, 2))[clusters] + rng.normal(size=(77, 2)) + [0.6, 0.1]
    return mean_of(values, clusters)


def test_rademacher_draws_follow_the_exact_distribution(seven):
    scores = np.array([seven.influence[seven.clusters == g].sum(0) for g in range(7)])
    exact = exact_statistics(scores)
    draws = wild_bootstrap(seven, 3999, weights="rademacher", random_state=2)
    assert draws.n_units == 7
    assert draws.weights == "rademacher"
    for j in range(2):
        support = np.unique(exact[:, j].round(6))
        assert np.isin(draws.statistics[:, j].round(6), support).all()
        assert stats.ks_2samp(draws.statistics[:, j], exact[:, j]).statistic < 0.04
        tail = np.mean(np.abs(exact[:, j]) >= abs(seven.statistics[j]) - 1e-9)
        error = np.sqrt(tail * (1 - tail) / 3999)
        assert abs(draws.p_values[j] - tail) < 4.5 * error + 1 / 4000


def test_terms_share_their_weights(seven):
    """One vector of weights per draw: t* of terms are as dependent as their scores."""
    scores = np.array([seven.influence[seven.clusters == g].sum(0) for g in range(7)])
    exact = exact_statistics(scores)
    draws = wild_bootstrap(seven, 3999, weights="rademacher", random_state=3)
    expected = np.corrcoef(exact.T)[0, 1]
    assert np.corrcoef(draws.statistics.T)[0, 1] == pytest.approx(expected, abs=0.06)
    largest = np.sort(np.abs(exact).max(axis=1))
    critical = draws.simultaneous_critical_value(0.8)
    assert np.mean(largest <= critical + 1e-9) == pytest.approx(0.8, abs=0.04)


def test_p_values_and_quantiles_are_order_statistics(seven):
    draws = seven.wild_bootstrap(99, random_state=4)
    for j in range(2):
        larger = sum(abs(t) >= abs(seven.statistics[j]) for t in draws.statistics[:, j])
        assert draws.p_values[j] == (1 + larger) / 100
        assert draws.critical_values(0.95)[j] == sorted(np.abs(draws.statistics[:, j]))[94]
        assert draws.critical_values(0.9)[j] == sorted(np.abs(draws.statistics[:, j]))[89]


def test_test_and_interval_agree(seven):
    draws = seven.wild_bootstrap(199, random_state=5)
    for level in (0.5, 0.6, 0.75, 0.9, 0.95):
        interval = draws.conf_int(level)
        outside = (interval["conf_low"] > 0) | (interval["conf_high"] < 0)
        assert_array_equal(outside.to_numpy(), draws.p_values <= 1 - level + 1e-12)


def test_intervals_and_frame(seven):
    draws = seven.wild_bootstrap(199, random_state=6)
    interval = draws.conf_int(0.9)
    half = draws.critical_values(0.9) * seven.std_errors
    assert_allclose(interval["conf_low"], seven.params - half)
    assert_allclose(interval["conf_high"], seven.params + half)
    band = draws.conf_int(0.9, simultaneous=True)
    width = draws.simultaneous_critical_value(0.9) * seven.std_errors
    assert_allclose(band["conf_high"] - band["conf_low"], 2 * width)
    assert (width >= half).all()
    frame = draws.to_frame(0.9)
    assert list(frame.columns) == [
        *("term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "df"),
        *("band_low", "band_high"),
    ]
    assert frame["df"].isna().all()
    assert_array_equal(frame["p_value"], draws.p_values)
    assert_array_equal(frame["conf_low"], interval["conf_low"])
    assert_array_equal(frame["band_low"], band["conf_low"])


def test_many_units_give_normal_quantiles():
    values = np.random.default_rng(7).normal(size=(2000, 2))
    draws = mean_of(values).wild_bootstrap(3999, random_state=8)
    assert draws.weights == "rademacher"
    assert draws.n_units == 2000
    for level in (0.8, 0.95):
        # Standard error of this quantile 0.03 at most.
        expected = stats.norm.ppf(0.5 + level / 2)
        assert_allclose(draws.critical_values(level), expected, atol=0.1)
    assert_allclose(draws.statistics.mean(axis=0), 0.0, atol=4 / np.sqrt(3999))
    # Independent terms: the largest of two has the quantile of sqrt(level).
    joint = stats.norm.ppf(0.5 + np.sqrt(0.95) / 2)
    assert draws.simultaneous_critical_value() == pytest.approx(joint, abs=0.1)


def test_few_clusters_give_heavier_tails_than_the_normal():
    rng = np.random.default_rng(9)
    clusters = np.repeat(np.arange(6), 20)
    result = mean_of(rng.normal(size=(6, 1))[clusters] + rng.normal(size=(120, 1)), clusters)
    draws = result.wild_bootstrap(1999, random_state=10)
    assert draws.weights == "webb"
    # t with five degrees of freedom has 2.57.
    assert 2.2 < draws.critical_values()[0] < 3.2


def test_weights_chosen_by_the_number_of_units():
    values = np.random.default_rng(11).normal(size=(24, 1))
    for n, kind in [(11, "webb"), (12, "rademacher")]:
        result = mean_of(values, np.arange(24) % n)
        assert result.wild_bootstrap(19, random_state=0).weights == kind
        assert result.wild_bootstrap(19, random_state=0, weights="webb").weights == "webb"


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("rademacher", [-1, 1]),
        ("webb", [-np.sqrt(1.5), -1, -np.sqrt(0.5), np.sqrt(0.5), 1, np.sqrt(1.5)]),
    ],
)
def test_weights_have_mean_zero_and_variance_one(kind, points):
    draws = _draw(np.random.default_rng(12), kind, (300, 200)).ravel()
    values, counts = np.unique(draws.round(12), return_counts=True)
    assert_allclose(values, points, atol=1e-11)
    assert np.mean(values) == pytest.approx(0.0, abs=1e-12)
    assert np.mean(values**2) == pytest.approx(1.0)
    assert stats.chisquare(counts).pvalue > 1e-4
    assert draws.mean() == pytest.approx(0.0, abs=4.5 / np.sqrt(draws.size))
    assert draws.var() == pytest.approx(1.0, abs=0.02)


def test_size_of_the_test_with_nine_unequal_clusters():
    """Under the null the bootstrap rejects nearer to 5% than the reference it replaces.

    With clusters of very unequal size it still rejects too often, as no restriction is imposed on
    the scores: the limits are relative. 600 replicates; paired comparisons.
    """
    rng = np.random.default_rng(13)
    clusters = np.repeat(np.arange(9), [6, 8, 10, 12, 15, 18, 20, 30, 40])
    n, n_sim = len(clusters), 600
    reference, bootstrap = {k: np.zeros(2) for k in KINDS}, {k: np.zeros(2) for k in KINDS}
    for s in range(n_sim):
        x = np.column_stack([np.ones(n), rng.normal(size=9)[clusters] + rng.normal(size=n)])
        y = rng.normal(size=9)[clusters] + rng.normal(size=n)
        inverse = np.linalg.inv(x.T @ x)
        beta = inverse @ x.T @ y
        influence = n * (x * (y - x @ beta)[:, None]) @ inverse
        for kind in KINDS:
            fit = Estimates(beta, np.eye(2), ["c", "x"], n, influence).recluster(clusters, kind)
            reference[kind] += (fit.p_values < 0.05) / n_sim
            bootstrap[kind] += (fit.wild_bootstrap(199, random_state=s).p_values <= 0.05) / n_sim
    assert (reference["CR0"] > 0.12).all()  # normal quantiles: the problem to be solved
    for kind, share in [("CR0", 0.65), ("CR1", 0.95)]:
        gain = np.abs(bootstrap[kind] - 0.05) / np.abs(reference[kind] - 0.05)
        assert (gain < share).all()
        assert (bootstrap[kind] > 0.03).all()


def test_size_of_the_test_with_eight_equal_clusters():
    """A mean over eight equal clusters: near the nominal 5%. Normal quantiles reject about 12%."""
    rng = np.random.default_rng(16)
    clusters, n_sim = np.repeat(np.arange(8), 5), 1000
    normal, bootstrap = 0.0, 0.0
    for s in range(n_sim):
        fit = mean_of(rng.normal(size=(8, 1))[clusters] + rng.normal(size=(40, 1)), clusters)
        normal += (fit.p_values[0] < 0.05) / n_sim
        bootstrap += (fit.wild_bootstrap(199, random_state=s).p_values[0] <= 0.05) / n_sim
    # 99.9% binomial limits are 2.7% and 7.3%; the bootstrap may be a point beyond them.
    assert normal > 0.085
    assert 0.025 < bootstrap < 0.08


def test_bands_cover_all_terms_jointly():
    """Four correlated means of skewed values: 95% joint coverage of the band."""
    rng = np.random.default_rng(14)
    root = np.linalg.cholesky(0.5 * np.eye(4) + 0.5)
    n_sim, joint, pointwise = 1000, 0, 0
    for s in range(n_sim):
        values = (rng.gamma(4.0, 0.5, size=(120, 4)) - 2.0) @ root.T
        draws = mean_of(values).wild_bootstrap(199, random_state=s)
        for simultaneous in (True, False):
            interval = draws.conf_int(simultaneous=simultaneous)
            covers = ((interval["conf_low"] < 0) & (interval["conf_high"] > 0)).all()
            joint += covers * simultaneous
            pointwise += covers * (not simultaneous)
    # 99.9% binomial limits at 1000 replicates are 92.7% and 97.3%.
    assert 0.925 < joint / n_sim < 0.973
    assert pointwise / n_sim < 0.90


def test_same_seed_same_draws(seven):
    one, two, other = (seven.wild_bootstrap(130, random_state=s) for s in (1, 1, 2))
    assert_array_equal(one.statistics, two.statistics)
    assert not np.array_equal(one.statistics, other.statistics)
    assert len(np.unique(one.statistics[:, 0])) > 100  # batches do not repeat each other
    generator = np.random.default_rng(3)
    first, second = (seven.wild_bootstrap(19, random_state=generator) for _ in range(2))
    assert not np.array_equal(first.statistics, second.statistics)
    for state in (np.random.SeedSequence(4), np.random.RandomState(4)):
        assert seven.wild_bootstrap(19, random_state=state).statistics.shape == (19, 2)


def test_the_number_of_draws_does_not_change_the_first_batches(seven):
    few, many = (seven.wild_bootstrap(b, random_state=1).statistics for b in (64, 200))
    assert_array_equal(few, many[:64])


def test_estimates_that_do_not_exist_have_no_p_value(seven):
    """A separated or dropped term (NaN) must not look significant, nor spoil the others."""
    missing = np.nan
    influence = seven.influence.copy()
    influence[:, 0] = missing
    broken = Estimates(
        [missing, seven.params[1]],
        [[missing, missing], [missing, seven.cov[1, 1]]],
        seven.names,
        seven.n_obs,
        influence,
        clusters=seven.clusters,
    )
    frame = broken.wild_bootstrap(199, random_state=1).to_frame()
    assert frame.loc[0, ["p_value", "conf_low", "conf_high", "band_low"]].isna().all()
    assert frame.loc[1, ["p_value", "conf_low", "conf_high", "band_low"]].notna().all()


def test_a_term_without_any_spread_does_not_disturb_the_others(seven):
    """An exactly known term: standard error zero, no statistic, and no stray warning."""
    influence = seven.influence * [0.0, 1.0]
    known = Estimates(
        seven.params,
        seven.cov * np.diag([0.0, 1.0]),
        seven.names,
        seven.n_obs,
        influence,
        clusters=seven.clusters,
    )
    draws, plain = (e.wild_bootstrap(199, random_state=1) for e in (known, seven))
    assert_array_equal(draws.statistics[:, 1], plain.statistics[:, 1])
    assert draws.p_values[1] == plain.p_values[1]
    assert draws.simultaneous_critical_value() == draws.critical_values()[1]


def test_two_clusters_have_no_missing_statistics():
    """Scores of two clusters add up to zero: denominators vanish up to rounding."""
    rng = np.random.default_rng(15)
    for _ in range(20):
        result = mean_of(rng.normal(size=(9, 2)), [0] * 4 + [1] * 5)
        assert not np.isnan(result.wild_bootstrap(99, random_state=1).statistics).any()


def test_design_and_splits_widen_the_interval_through_the_standard_error(seven):
    wider = Estimates(
        seven.params,
        4.0 * seven.cov,
        seven.names,
        seven.n_obs,
        seven.influence,
        clusters=seven.clusters,
    )
    draws, wide = (e.wild_bootstrap(99, random_state=1) for e in (seven, wider))
    assert_array_equal(draws.statistics, wide.statistics)
    widths = [d.conf_int().diff(axis=1)["conf_high"] for d in (draws, wide)]
    assert_allclose(widths[1], 2 * widths[0])


def test_errors(seven):
    bare = Estimates([1.0], [[1.0]], ["a"], n_obs=9)
    with pytest.raises(ValueError, match="no influence values"):
        bare.wild_bootstrap(random_state=1)
    two_way = seven.recluster(np.column_stack([seven.clusters, np.arange(77) % 5]))
    with pytest.raises(ValueError, match="call recluster with one column"):
        two_way.wild_bootstrap(random_state=1)
    with pytest.raises(ValueError, match="n_boot=0"):
        seven.wild_bootstrap(0, random_state=1)
    with pytest.raises(ValueError, match="weights='mammen' is not one of"):
        seven.wild_bootstrap(99, weights="mammen", random_state=1)
    with pytest.raises(ValueError, match="random_state='today'"):
        seven.wild_bootstrap(99, random_state="today")
    with pytest.raises(ValueError, match="between 0 and 1"):
        seven.wild_bootstrap(99, random_state=1).conf_int(95)


@pytest.mark.parametrize(("n_boot", "level", "needed"), [(18, 0.95, 19), (98, 0.99, 99)])
def test_too_few_draws_for_a_level(seven, n_boot, level, needed):
    draws = seven.wild_bootstrap(n_boot, random_state=1)
    with pytest.raises(ValueError, match=rf"{n_boot} bootstrap draws.*at least {needed}\b"):
        draws.critical_values(level)
    assert seven.wild_bootstrap(needed, random_state=1).critical_values(level).shape == (2,)
