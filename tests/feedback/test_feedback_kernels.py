"""Compiled kernels agree with their numpy versions; the largest scores with sorting."""

import numpy as np
import pytest
from click_data import clicks
from scipy.special import expit

from trueness.feedback.numerics import kernels, labels, ranking
from trueness.feedback.numerics.dense import logistic_in_place
from trueness.feedback.numerics.ranking import largest, top_columns

X = clicks(shape=(50, 70))
needs_numba = pytest.mark.skipif(
    kernels.compiled() is None, reason="numba, the extra `fast`, is not installed"
)


@needs_numba
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_click", [False, True])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_products_of_compiled_rows(dtype, by_click, n_threads, monkeypatch):
    rng = np.random.default_rng(0)
    weights = 1.0 + rng.random(X.nnz if by_click else X.shape[1])
    given = {"click_weights" if by_click else "item_weights": weights}
    W = labels.make_labels(X, dtype=dtype, n_threads=n_threads, **given)
    P, Q = (rng.normal(size=(n, 5)).astype(dtype) for n in X.shape)
    plain = W.times(Q), W.transposed_times(P)
    monkeypatch.setattr(kernels, "WORTH_COMPILING", 0)
    fast = W.times(Q), W.transposed_times(P)
    for one, other in zip(plain, fast, strict=True):
        assert one.dtype == other.dtype == dtype
        assert other == pytest.approx(one, rel=1e-5 if dtype == "float32" else 1e-13, abs=1e-5)
    dense = X.toarray()
    dense[dense > 0] = weights if by_click else weights[X.indices]
    assert plain[0] == pytest.approx(dense @ Q, abs=1e-4)
    assert plain[1] == pytest.approx(dense.T @ P, abs=1e-4)
    assert W.total() == pytest.approx(dense.sum())
    assert W.sum_squares() == pytest.approx((dense**2).sum(), rel=1e-6)


@needs_numba
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logistic_of_compiled_rows(dtype):
    rows = np.random.default_rng(0).normal(scale=20.0, size=(30, 40)).astype(dtype)
    rows[0, :3] = 0.0, 500.0, -500.0
    plain, fast = rows.copy(), rows.copy()
    total = logistic_in_place(plain, None, 1)
    other = logistic_in_place(fast, kernels.compiled().logistic, 2)
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    assert fast == pytest.approx(plain, abs=tolerance)
    assert plain == pytest.approx(expit(rows.astype(float)), abs=tolerance)
    assert other == pytest.approx(total, rel=10 * tolerance)
    assert total == pytest.approx(np.logaddexp(0.0, rows.astype(float)).sum(), rel=10 * tolerance)


def sorted_rows(scores, n):
    """Sort by falling score, then rising column; -1 where a score is minus infinity."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    values = np.take_along_axis(scores, order, axis=1)
    order = np.where(np.isneginf(values), -1, order)
    missing = n - order.shape[1]
    if missing > 0:
        order = np.pad(order, ((0, 0), (0, missing)), constant_values=-1)
        values = np.pad(values, ((0, 0), (0, missing)), constant_values=-np.inf)
    return order, values


def table(kind):
    rng = np.random.default_rng(1)
    if kind == "ties":
        return rng.integers(0, 4, (40, 900)).astype(np.float32)
    rows = rng.normal(size=(40, 900)).astype(np.float32)
    if kind == "gaps":
        rows[rng.random(rows.shape) < 0.5] = -np.inf
        rows[3], rows[4, 1:] = -np.inf, -np.inf
    return rows


@pytest.mark.parametrize("kind", ["plain", "ties", "gaps"])
@pytest.mark.parametrize("n", [1, 7, 300, 1000])
def test_the_largest_scores(kind, n):
    rows = table(kind)
    for found, expected in zip(largest(rows, n), sorted_rows(rows, n), strict=True):
        assert np.array_equal(found, expected)


@needs_numba
@pytest.mark.parametrize("kind", ["plain", "ties", "gaps"])
@pytest.mark.parametrize("n", [1, 7, 300, 1000])
def test_the_largest_scores_of_compiled_rows(kind, n):
    rows = table(kind)
    columns = np.empty((len(rows), n), dtype=np.intp)
    values = np.empty((len(rows), n), dtype=rows.dtype)
    kernels.in_threads(kernels.compiled().largest, (rows, columns, values), len(rows), 2)
    for found, expected in zip((columns, values), sorted_rows(rows, n), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("fast", [False, pytest.param(True, marks=needs_numba)])
def test_blocks_do_not_change_what_is_largest(fast, monkeypatch):
    monkeypatch.setattr(ranking, "WORTH_COMPILING", 0 if fast else np.inf)
    rng = np.random.default_rng(2)
    P, Q = rng.integers(-2, 3, (33, 4)).astype(float), rng.integers(-2, 3, (70, 4)).astype(float)
    seen = clicks(3, shape=(33, 70))
    whole = top_columns(P, Q, 5, excluded=(seen.indptr, seen.indices), banned=np.array([3, 4]))
    scores = P @ Q.T
    scores[seen.nonzero()] = -np.inf
    scores[:, [3, 4]] = -np.inf
    assert np.array_equal(whole[0], sorted_rows(scores, 5)[0])
    monkeypatch.setattr(ranking, "BLOCK_BYTES", 5 * 70 * 8)
    parts = top_columns(P, Q, 5, excluded=(seen.indptr, seen.indices), banned=np.array([3, 4]))
    assert np.array_equal(whole[0], parts[0])
    assert np.array_equal(whole[1], parts[1])
