"""Sandwiches, clusters and leverage against brute force and statsmodels."""

import ast
import importlib
import inspect
import re
import sys
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from trueness import covariance
from trueness.covariance import (
    CovarianceWarning,
    cluster_sums,
    intersection,
    leverage_adjusted,
    meat,
    n_clusters,
    nearest_positive_definite,
    small_sample_factor,
)

# ---------------------------------------------------------------------- clusters


def test_cluster_sums_by_loop():
    rng = np.random.default_rng(1)
    contributions, codes = rng.normal(size=(50, 3)), rng.integers(0, 8, 50)
    expected = [contributions[codes == g].sum(axis=0) for g in range(codes.max() + 1)]
    assert_allclose(cluster_sums(contributions, codes), expected, rtol=1e-12)


def test_intersection_codes_distinguish_exactly_the_pairs():
    rng = np.random.default_rng(2)
    clusters = rng.integers(0, 6, size=(80, 2))
    codes = intersection(clusters)
    pairs = [tuple(row) for row in clusters]
    same_code = codes[:, None] == codes[None, :]
    same_pair = np.array([[a == b for b in pairs] for a in pairs])
    assert_array_equal(same_code, same_pair)
    assert set(codes) == set(range(len(set(pairs))))


def test_counting_clusters():
    assert n_clusters(np.array([0, 1, 2, 1])) == 3
    assert n_clusters(np.array([[0, 0], [1, 1], [2, 0], [3, 1]])) == 2


@pytest.fixture(scope="module")
def contributions():
    rng = np.random.default_rng(3)
    clusters = np.column_stack([rng.integers(0, 12, 150), rng.integers(0, 9, 150)])
    effects = rng.normal(size=(12, 3))[clusters[:, 0]] + rng.normal(size=(9, 3))[clusters[:, 1]]
    return rng.normal(size=(150, 3)) + 2 * effects, clusters


def pairwise_meat(rows, together):
    """Sum the products of all pairs of rows that share a cluster."""
    return np.einsum("ij,ik,jl->kl", together.astype(float), rows, rows)


def test_meat_is_the_sum_over_pairs_that_share_a_cluster(contributions):
    rows, clusters = contributions
    first, second = (c[:, None] == c[None, :] for c in clusters.T)
    assert_allclose(meat(rows), pairwise_meat(rows, np.eye(150)), rtol=1e-10)
    assert_allclose(meat(rows, clusters[:, 0]), pairwise_meat(rows, first), rtol=1e-10)
    assert_allclose(meat(rows, clusters), pairwise_meat(rows, first | second), rtol=1e-9)


def test_cr1_factor_is_applied_term_by_term(contributions):
    rows, clusters = contributions
    first, second = (c[:, None] == c[None, :] for c in clusters.T)
    n, k = rows.shape

    def factor(g):
        return g / (g - 1) * (n - 1) / (n - k)

    assert small_sample_factor(12, n, k) == pytest.approx(factor(12), rel=1e-15)
    one_way = factor(12) * pairwise_meat(rows, first)
    assert_allclose(meat(rows, clusters[:, 0], correction="CR1"), one_way, rtol=1e-10)
    n_cells = len({tuple(row) for row in clusters})
    both = (
        one_way
        + factor(9) * pairwise_meat(rows, second)
        - factor(n_cells) * pairwise_meat(rows, first & second)
    )
    assert_allclose(meat(rows, clusters, correction="CR1"), both, rtol=1e-9)


def test_two_way_with_the_same_variable_twice_is_one_way(contributions):
    rows, clusters = contributions
    twice = np.column_stack([clusters[:, 0], clusters[:, 0]])
    assert_allclose(meat(rows, twice), meat(rows, clusters[:, 0]), rtol=1e-10)


def test_two_way_nested_in_the_first_is_the_coarser(contributions):
    rows, clusters = contributions
    nested = np.column_stack([clusters[:, 0], clusters[:, 0] // 3])
    assert_allclose(meat(rows, nested), meat(rows, nested[:, 1]), rtol=1e-10)


def test_indefinite_two_way_covariance_is_projected_with_a_warning():
    """In a checkerboard rows and columns sum to zero, cells do not."""
    clusters = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    rows = np.column_stack([[1.0, -1.0, -1.0, 1.0], [1.0, 2.0, 3.0, 5.0], [0.5, 0.1, -1.0, 2.0]])
    share = (clusters[:, None, :] == clusters[None, :, :]).any(axis=2)
    raw = pairwise_meat(rows, share)
    assert raw[0, 0] == pytest.approx(-4.0)
    with pytest.warns(CovarianceWarning, match="not positive semi-definite"):
        repaired = meat(rows, clusters)
    assert np.linalg.eigvalsh(repaired)[0] > -1e-10
    # The projection onto the cone: what was removed is orthogonal to what is left, and negative.
    removed = raw - repaired
    assert np.linalg.eigvalsh(removed)[-1] < 1e-10
    assert abs(np.sum(removed * repaired)) < 1e-9
    assert np.linalg.norm(removed) > 1.0


def test_a_definite_two_way_covariance_is_left_alone(contributions):
    rows, clusters = contributions
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = meat(rows, clusters)
    ways = (clusters[:, 0], clusters[:, 1], intersection(clusters))
    first, second, both = (meat(rows, codes) for codes in ways)
    assert_array_equal(kept, first + second - both)


# ---------------------------------------------------------------------- nearest PD


def alternating_projections(correlation, n_steps=20_000):
    """Higham (2002), written out: Dykstra's projections onto the cone and the unit diagonal."""
    y, correction = correlation.copy(), np.zeros_like(correlation)
    for _ in range(n_steps):
        r = y - correction
        values, vectors = np.linalg.eigh(r)
        x = (vectors * np.maximum(values, 0.0)) @ vectors.T
        correction = x - r
        y = x.copy()
        np.fill_diagonal(y, 1.0)
        if np.abs(x - y).max() < 1e-12:
            break
    return y


INDEFINITE = np.array([[1.0, 0.9, 0.9], [0.9, 1.0, -0.9], [0.9, -0.9, 1.0]])


@pytest.mark.parametrize("scale", [[1.0, 1.0, 1.0], [0.01, 1.0, 50.0]])
def test_nearest_positive_definite(scale):
    scale = np.array(scale)
    cov = INDEFINITE * np.outer(scale, scale)
    result = nearest_positive_definite(cov)
    assert_allclose(np.diag(result), scale**2, rtol=1e-12)
    assert_allclose(result, result.T, rtol=1e-14)
    correlation = result / np.outer(scale, scale)
    assert np.linalg.eigvalsh(correlation)[0] > -1e-8
    assert_allclose(correlation, alternating_projections(INDEFINITE), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_nearest_positive_definite_converges_on_larger_matrices(seed):
    rng = np.random.default_rng(seed)
    noise = np.triu(rng.uniform(-1, 1, size=(8, 8)), 1)
    cov = np.eye(8) + noise + noise.T
    result = nearest_positive_definite(cov)
    assert_allclose(result, alternating_projections(cov), atol=1e-6)
    assert_allclose(np.diag(result), 1.0, rtol=1e-12)
    assert np.linalg.eigvalsh(result)[0] > -1e-7


def test_definite_and_unusable_matrices_are_returned_unchanged():
    definite = np.array([[2.0, 0.3], [0.3, 1.0]])
    missing = np.array([[np.nan, 0.0], [0.0, 1.0]])
    zero = np.array([[0.0, 0.0], [0.0, 1.0]])
    for matrix in (definite, missing, zero):
        assert_array_equal(nearest_positive_definite(matrix), matrix)


# ---------------------------------------------------------------------- leverage


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(7)
    codes = np.repeat(np.arange(9), [2, 3, 4, 5, 6, 7, 8, 12, 20])
    n = len(codes)
    x = np.column_stack([np.ones(n), rng.exponential(size=n) ** 2, rng.normal(size=9)[codes]])
    y = x @ [1.0, 0.5, -0.5] + rng.normal(size=9)[codes] + rng.normal(size=n) * x[:, 1]
    return x, y, codes


def row_information(x):
    return np.einsum("ij,ik->ijk", x, x)


@pytest.mark.parametrize(("power", "kind"), [(0.5, "HC2"), (1.0, "HC3")])
def test_rows_match_statsmodels(regression, power, kind):
    x, y, _ = regression
    fit = sm.OLS(y, x).fit(cov_type=kind)
    moments = x * fit.resid[:, None]
    adjusted, n_saturated = leverage_adjusted(moments, row_information(x), x.T @ x, power=power)
    inverse = np.linalg.inv(x.T @ x)
    assert_allclose(inverse @ adjusted.T @ adjusted @ inverse, fit.cov_params(), rtol=1e-9)
    assert n_saturated == 0


def symmetric_power(matrix, power):
    """Return the Moore-Penrose power of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-10
    return (vectors[:, kept] * values[kept] ** power) @ vectors[:, kept].T


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_clusters_match_dense_matrices(regression, power):
    """X_g' (I - X_g J^-1 X_g')^-p u_g with n_g x n_g matrices (Bell and McCaffrey)."""
    x, y, codes = regression
    inverse = np.linalg.inv(x.T @ x)
    residual = y - x @ inverse @ x.T @ y
    moments, information, expected = [], [], []
    for g in range(9):
        xg, ug = x[codes == g], residual[codes == g]
        hat = xg @ inverse @ xg.T
        expected.append(xg.T @ symmetric_power(np.eye(len(ug)) - hat, -power) @ ug)
        moments.append(xg.T @ ug)
        information.append(xg.T @ xg)
    adjusted, n_saturated = leverage_adjusted(
        np.array(moments), np.array(information), x.T @ x, power=power
    )
    assert_allclose(adjusted, expected, rtol=1e-9, atol=1e-10)
    assert n_saturated == 0


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_a_cluster_that_alone_determines_a_direction(regression, power):
    """A dummy of one cluster: leverage one there; the generalised inverse leaves it at zero."""
    x, y, codes = regression
    x = np.column_stack([x[:, :2], codes == 4])
    inverse = np.linalg.inv(x.T @ x)
    residual = y - x @ inverse @ x.T @ y
    moments, information, expected = [], [], []
    for g in range(9):
        xg, ug = x[codes == g], residual[codes == g]
        hat = xg @ inverse @ xg.T
        expected.append(xg.T @ symmetric_power(np.eye(len(ug)) - hat, -power) @ ug)
        moments.append(xg.T @ ug)
        information.append(xg.T @ xg)
    adjusted, n_saturated = leverage_adjusted(
        np.array(moments), np.array(information), x.T @ x, power=power
    )
    assert n_saturated == 1
    assert np.isfinite(adjusted).all()
    others = np.arange(9) != 4
    assert_allclose(adjusted[others], np.array(expected)[others], rtol=1e-8, atol=1e-9)
    assert_allclose(adjusted[4], expected[4], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_the_generalised_inverse_is_zero_along_a_saturated_direction(power):
    information = np.array([np.diag([2.0, 0.5]), np.diag([0.0, 1.5])])
    moments = np.array([[3.0, 1.0], [0.0, 1.0]])
    adjusted, n_saturated = leverage_adjusted(
        moments, information, information.sum(axis=0), power=power
    )
    assert_allclose(adjusted, [[0.0, 0.75**-power], [0.0, 0.25**-power]], atol=1e-12)
    assert n_saturated == 1


def test_without_leverage_nothing_is_adjusted():
    moments = np.random.default_rng(8).normal(size=(5, 2))
    adjusted, _ = leverage_adjusted(moments, np.zeros((5, 2, 2)), np.eye(2), power=1.0)
    assert_allclose(adjusted, moments, rtol=1e-14)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), power=st.sampled_from([0.5, 1.0]))
def test_leverage_adjustment_does_not_depend_on_the_basis(seed, power):
    """Another basis A of the covariates turns adjusted moments into A times them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(30, 3))
    basis = rng.normal(size=(3, 3)) + 3 * np.eye(3)
    residual = rng.normal(size=30)
    plain, _ = leverage_adjusted(x * residual[:, None], row_information(x), x.T @ x, power=power)
    z = x @ basis.T
    turned, _ = leverage_adjusted(z * residual[:, None], row_information(z), z.T @ z, power=power)
    assert_allclose(turned, plain @ basis.T, rtol=1e-7, atol=1e-8)


# ---------------------------------------------------------------------- what it is built on

GROUND_FLOOR = [
    "bootstrap",
    "covariance",
    "crossfit",
    "hypotheses",
    "inference",
    "learners",
    "storage",
    "validation",
]
DISTRIBUTIONS = {"sklearn": "scikit-learn"}


@pytest.mark.parametrize("name", GROUND_FLOOR)
def test_every_import_is_a_declared_dependency(name):
    """A package that only the test extra brings would fail at the user's."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    declared = {re.match(r"[\w-]+", line).group() for line in project["dependencies"]}
    module = importlib.import_module(f"{covariance.__package__}.{name}")
    imported = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(node.module.split(".")[0])
    third_party = {DISTRIBUTIONS.get(m, m) for m in imported - sys.stdlib_module_names}
    assert third_party <= declared
