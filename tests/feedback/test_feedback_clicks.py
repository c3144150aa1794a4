"""Clicks from rows of a log and from matrices, and what cannot be clicks."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from trueness.feedback import FeedbackWarning, RelMF, clicks_to_matrix
from trueness.feedback.clicks import read_clicks

USERS, ITEMS = ["b", "a", "b", "c"], [10, 30, 30, 20]


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pl.Series], ids=str)
def test_rows_become_a_matrix_with_sorted_names(make):
    found = clicks_to_matrix(make(USERS), make(ITEMS))
    assert found.users.tolist() == ["a", "b", "c"]
    assert found.items.tolist() == [10, 20, 30]
    assert found.matrix.toarray().tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 0]]
    assert found.n_repeats == 0


def test_given_names_keep_their_order_and_the_silent():
    found = clicks_to_matrix(USERS, ITEMS, user_names=["c", "b", "z", "a"], item_names=[30, 20, 10])
    assert found.matrix.toarray().tolist() == [[0, 1, 0], [1, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_repeated_pairs_are_counted_and_said():
    users, items = [*USERS, "b", "b"], [*ITEMS, 10, 10]
    with pytest.warns(FeedbackWarning, match="2 of 6 rows repeat a pair"):
        found = clicks_to_matrix(users, items)
    assert found.matrix.data.tolist() == [1.0] * 4
    assert found.counts.tolist() == [1, 3, 1, 1]
    assert found.n_repeats == 2
    assert "4 clicks of 3 users on 3 items (44.44% of pairs; 2 rows repeated a pair)" in repr(found)
    with pytest.raises(ValueError, match="2 of 6 rows repeat a pair"):
        clicks_to_matrix(users, items, repeats="raise")
    clicks_to_matrix(users, items, repeats="ignore")


@pytest.mark.parametrize(
    ("users", "items", "options", "message"),
    [
        ([], [], {}, "users: there are no rows"),
        (["a"], ["x", "y"], {}, "users has 1 rows, items has 2"),
        (["a", None], ["x", "y"], {}, r"users: missing in 1 of 2 rows \(row 1\)"),
        (["a", "b"], ["x", np.nan], {}, r"items: missing in 1 of 2 rows \(row 1\)"),
        (["a", "b"], ["x", "y"], {"user_names": ["a"]}, "for example 'b'.* not among the 1 names"),
        (["a"], ["x"], {"item_names": ["x", "x"]}, "'x' is twice"),
        (["a"], ["x"], {"repeats": "drop"}, "repeats='drop'"),
    ],
)
def test_rows_that_cannot_be(users, items, options, message):
    with pytest.raises(ValueError, match=message):
        clicks_to_matrix(users, items, **options)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, -1.0]], "1 of 2 stored entries are negative.*user 0, item 1.*Binarise first"),
        ([[1.0, 5.0], [0.0, 4.0]], "2 of 3 stored entries are neither 0 nor 1.*X >= 4"),
        ([[1.0, 0.5]], "neither 0 nor 1"),
        ([[1.0, np.nan]], r"missing \(NaN\)"),
        ([[1.0, np.inf]], "infinite"),
        (np.zeros((3, 2)), "X has no click: all 3 rows are empty"),
        (np.zeros((0, 4)), "X is empty: 0 users and 4 items"),
        (np.zeros((4, 0)), "X is empty: 4 users and 0 items"),
        ([1.0, 0.0], "must be a matrix of users x items, got 1 dimension"),
        ([["a", "b"]], "must hold numbers"),
        ([[1.0 + 1j]], "must hold numbers"),
    ],
)
def test_matrices_that_cannot_be(matrix, message):
    array = np.array(matrix)
    with pytest.raises(ValueError, match=message):
        RelMF(1).fit(array)
    if array.ndim == 2 and array.dtype.kind in "fi" and array.size:
        with pytest.raises(ValueError, match=message):
            RelMF(1).fit(sparse.csr_array(array))


def test_reading_leaves_the_matrix_of_the_user_alone():
    X = sparse.csr_matrix(([1.0, 0.0, 1.0], [2, 0, 1], [0, 2, 3]), shape=(2, 3))
    before = X.indices.copy(), X.data.copy()
    found = read_clicks(X)
    assert found.nnz == 2
    assert found.has_sorted_indices
    assert np.array_equal(X.indices, before[0])
    assert np.array_equal(X.data, before[1])


def test_reading_copies_nothing_that_is_in_order():
    X = sparse.random(30, 20, 0.2, format="csr", random_state=0)
    X.data[:] = 1.0
    found = read_clicks(X)
    assert np.shares_memory(found.indices, X.indices)
    assert np.shares_memory(found.data, X.data)


def test_repeated_entries_of_a_matrix_are_not_binary():
    X = sparse.coo_array((np.ones(3), ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    with pytest.raises(
        ValueError, match="1 of 2 stored entries are neither 0 nor 1, for example 2"
    ):
        read_clicks(X)
