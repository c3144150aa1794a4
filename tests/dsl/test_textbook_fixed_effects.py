"""With every row labelled absorbed fixed effects are dense dummies, on unbalanced panels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from written_out import dummies

from trueness.dsl import DSLLinearRegression

RTOL = 1e-8
N, K = 360, 2
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
    rng = np.random.default_rng(23)
    # Units of very different size, entering and leaving: far from balanced.
    unit = np.sort(rng.choice(40, N, p=np.arange(1, 41) / 820))
    year, place = rng.integers(0, 11, N), rng.integers(0, 7, N)
    level = rng.normal(size=40)[unit] + rng.normal(size=11)[year] + rng.normal(size=7)[place]
    X = rng.normal(size=(N, K)) + 0.5 * level[:, None]
    return {
        "X": X,
        "y": X @ [0.7, -0.4] + 2 * level + rng.normal(size=N) * (1 + X[:, 0] ** 2),
        "effects": np.column_stack([unit, year, place]),
        "weight": rng.uniform(0.2, 3.0, N),
        "firm": rng.integers(0, 30, N),
        "both": np.column_stack([rng.integers(0, 30, N), rng.integers(0, 25, N)]),
    }


def with_dummies(data, codes, kind, clusters, weight):
    """Return the slopes and their covariance from the regression on all dummies."""
    design = np.column_stack([data["X"], dummies(codes)])
    fit = sm.WLS(data["y"], design, weights=np.ones(N) if weight is None else weight).fit()
    if clusters is None:
        robust = fit.get_robustcov_results(kind)
    else:
        robust = fit.get_robustcov_results("cluster", groups=clusters, use_correction=kind == "CR1")
    return robust.params[:K], robust.cov_params()[:K, :K], design.shape[1]


@pytest.mark.parametrize("ways", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "by"), COVARIANCES)
def test_equals_dense_dummies(data, ways, weighted, kind, by):
    codes = data["effects"][:, :ways]
    clusters = None if by is None else data[by]
    weight = data["weight"] if weighted else None
    ours = DSLLinearRegression(covariance=kind).fit(
        data["X"], data["y"], fixed_effects=codes, clusters=clusters, sample_weight=weight
    )
    params, cov, n_params = with_dummies(data, codes, kind, clusters, weight)
    np.testing.assert_allclose(ours.results_.params, params, rtol=RTOL)
    np.testing.assert_allclose(ours.results_.cov, cov, rtol=RTOL)
    assert ours.results_.n_params == n_params
    if kind == "HC1":
        assert ours.results_.df == pytest.approx(N - n_params)
    if kind == "CR1":
        groups = clusters if by == "firm" else clusters[:, 1]
        assert ours.results_.df == len(np.unique(groups)) - 1


@pytest.mark.parametrize("kind", ["HC0", "HC1"])
def test_disconnected_panel(data, kind):
    """Two sets of units that never share a year: one dummy more is redundant."""
    unit, year = data["effects"][:, 0], data["effects"][:, 1]
    codes = np.column_stack([unit, np.where(unit < 30, year, 100 + year)])
    ours = DSLLinearRegression(covariance=kind).fit(data["X"], data["y"], fixed_effects=codes)
    params, cov, n_params = with_dummies(data, codes, kind, None, None)
    levels = len(np.unique(unit)) + len(np.unique(codes[:, 1]))
    assert n_params == K + levels - 2
    assert ours.results_.n_params == n_params
    np.testing.assert_allclose(ours.results_.params, params, rtol=RTOL)
    np.testing.assert_allclose(ours.results_.cov, cov, rtol=RTOL)


def test_nested_effects(data):
    """An effect that another one contains adds nothing and is not counted."""
    unit = data["effects"][:, 0]
    nested = np.column_stack([unit, unit // 10])
    ours, single = (
        DSLLinearRegression(covariance="HC1")
        .fit(data["X"], data["y"], fixed_effects=codes)
        .results_
        for codes in (nested, unit)
    )
    np.testing.assert_allclose(ours.params, single.params, rtol=RTOL)
    np.testing.assert_allclose(ours.cov, single.cov, rtol=RTOL)
    assert ours.n_params == single.n_params


def test_names_instead_of_codes_and_one_level(data):
    """Levels may be words; a single level is an intercept."""
    words = pd.DataFrame({"unit": [f"unit {code}" for code in data["effects"][:, 0]]})
    by_word = DSLLinearRegression().fit(data["X"], data["y"], fixed_effects=words)
    by_code = DSLLinearRegression().fit(data["X"], data["y"], fixed_effects=data["effects"][:, 0])
    np.testing.assert_array_equal(by_word.coef_, by_code.coef_)
    assert by_word.results_.header["Fixed effects"].startswith(f"unit ({len(np.unique(words))})")
    constant = DSLLinearRegression().fit(data["X"], data["y"], fixed_effects=np.zeros(N))
    plain = DSLLinearRegression().fit(data["X"], data["y"])
    np.testing.assert_allclose(constant.coef_, plain.coef_, rtol=RTOL)
    np.testing.assert_allclose(constant.results_.cov, plain.results_.cov[1:, 1:], rtol=RTOL)


def test_groups_of_one_say_nothing_about_slopes(data):
    """Slopes and HC0 are those without such rows; they are reported, and HC1 counts their level."""
    rng = np.random.default_rng(1)
    X = np.vstack([data["X"], rng.normal(size=(5, K))])
    y = np.concatenate([data["y"], 100 * rng.normal(size=5)])
    unit = np.concatenate([data["effects"][:, 0], 1000 + np.arange(5)])
    sizes = np.bincount(np.unique(unit, return_inverse=True)[1])
    alone = (sizes[np.unique(unit, return_inverse=True)[1]] == 1).sum()
    model = DSLLinearRegression().fit(X, y, fixed_effects=unit)
    without = DSLLinearRegression().fit(data["X"], data["y"], fixed_effects=data["effects"][:, 0])
    np.testing.assert_allclose(model.coef_, without.coef_, rtol=RTOL)
    np.testing.assert_allclose(model.results_.cov, without.results_.cov, rtol=RTOL)
    assert alone >= 5
    assert model.diagnostics_.isolated_rows == alone
    assert f"; {alone} rows explained perfectly" in model.results_.header["Fixed effects"]


def test_large_levels_cost_no_digits(data):
    """Effects a million times the residuals, as with populations or prices."""
    unit = data["effects"][:, 0]
    shifted = data["y"] + 1e6 * (1 + unit)
    X = data["X"] + 1e4 * unit[:, None]
    ours = DSLLinearRegression().fit(X, shifted, fixed_effects=unit).results_
    plain = DSLLinearRegression().fit(data["X"], data["y"], fixed_effects=unit).results_
    np.testing.assert_allclose(ours.params, plain.params, rtol=1e-7)
    np.testing.assert_allclose(ours.cov, plain.cov, rtol=1e-7)
