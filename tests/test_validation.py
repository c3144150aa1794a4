"""The border: whatever holds the data, the same arrays and names; and messages for people."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from shared import FRAMES, NAN, TEXT_DTYPES

from trueness.validation import (
    check_finite,
    check_level,
    dense_or_frame,
    did_you_mean,
    first_rows,
    read_features,
    select_columns,
    to_pandas,
)

# ---------------------------------------------------------------------- words


def test_first_rows():
    assert first_rows(np.array([False, True])) == "row 1"
    assert first_rows(np.array([True, False, True])) == "rows 0, 2"
    assert first_rows(np.ones(9, bool)) == "rows 0, 1, 2, ..."


def test_did_you_mean():
    assert did_you_mean("Incme", ["age", "income"]) == " Did you mean 'income'?"
    assert did_you_mean("gdp", ["age", "GDP"]) == " Did you mean 'GDP'?"
    assert did_you_mean("zzz", ["age", 7]) == " There are: 'age', '7'."
    assert did_you_mean("zzz", map(str, range(30))).endswith("'19', ....")


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -1.0, NAN])
def test_levels(level):
    assert check_level(0.9) == 0.9
    with pytest.raises(ValueError, match=r"must lie between 0 and 1, for example 0\.95"):
        check_level(level)


def test_select_columns():
    frame = pd.DataFrame({"income": [1], "age": [2], 3: [4]})
    assert list(select_columns(frame, ["age", "income"], "by").columns) == ["age", "income"]
    with pytest.raises(ValueError, match="by: no column is named 'incom'. Did you mean 'income'?"):
        select_columns(frame, ["age", "incom"], "by")
    with pytest.raises(ValueError, match="by: no column is named 5"):
        select_columns(frame, [5], "by")


def test_check_finite_names_columns_counts_and_rows():
    matrix = np.array([[1.0, NAN], [np.inf, NAN], [1.0, 2.0]])
    with pytest.raises(ValueError, match="X: of 3 rows") as error:
        check_finite(matrix, ["a", "b"], "X")
    assert "column 'a' is infinite (inf) on 1 (row 1)" in str(error.value)
    assert "column 'b' is NaN on 2 (rows 0, 1)" in str(error.value)


def test_check_finite_accepts_very_large_numbers():
    check_finite(np.full((4, 2), 1.7e308), ["a", "b"], "X")


# ---------------------------------------------------------------------- frames


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_become_the_same_features(kind):
    columns = {
        "score": [0.5, 1.5, 2.5, -1.0],
        "count": [3, 1, 4, 1],
        "flag": [True, False, True, True],
        "label": ["b", "a", "c", "a"],
        "twofold": ["yes", "no", "no", "yes"],
    }
    features = read_features(FRAMES[kind](columns), 4, "surrogates", "surrogate")
    assert features.names == (
        "score",
        "count",
        "flag",
        "label=a",
        "label=b",
        "label=c",
        "twofold=yes",
    )
    expected = np.array(
        [
            [0.5, 3, 1, 0, 1, 0, 1],
            [1.5, 1, 0, 1, 0, 0, 0],
            [2.5, 4, 1, 0, 0, 1, 0],
            [-1.0, 1, 1, 1, 0, 0, 1],
        ]
    )
    assert_array_equal(features.matrix, expected)
    assert features.matrix.dtype == np.float64
    assert list(features.raw.columns) == list(columns)


@pytest.mark.parametrize(
    "container",
    [
        np.asarray,
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.coo_array,
        lambda m: m.tolist(),
        lambda m: m.astype(object),
        lambda m: m.astype(np.int8),
    ],
)
def test_matrices_become_the_same_features(container):
    matrix = np.array([[0.0, 2.0], [1.0, 0.0], [0.0, -3.0]])
    features = read_features(container(matrix), 3, "surrogates", "s")
    dense = features.matrix.todense() if sparse.issparse(features.matrix) else features.matrix
    assert_array_equal(dense, matrix)
    assert features.matrix.dtype == np.float64
    assert features.names == ("s1", "s2")
    assert (features.raw is None) == sparse.issparse(features.matrix)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ([1.0, 2.0], "s"),
        (np.array([1.0, 2.0]), "s"),
        (pd.Series([1.0, 2.0]), "s"),
        (pd.Series([1.0, 2.0], name="gpt", index=[5, 9]), "gpt"),
        (pl.Series("gpt", [1, 2]), "gpt"),
        (pa.chunked_array([[1], [2]]), None),
        (pd.DataFrame({0: [1, 2]}), "0"),
    ],
)
def test_a_single_column(column, name):
    features = read_features(column, 2, "surrogates", "s")
    assert_array_equal(features.matrix, [[1.0], [2.0]])
    assert len(features.names) == 1
    if name is not None:
        assert features.names == (name,)


def test_rows_are_matched_by_position_whatever_the_index():
    frame = pd.DataFrame({"gpt": [1.0, 2.0, 3.0]}, index=[2, 0, 1])
    features = read_features(frame, 3, "surrogates", "s")
    assert_array_equal(features.matrix[:, 0], [1.0, 2.0, 3.0])
    assert list(features.raw.index) == [0, 1, 2]
    assert list(frame.index) == [2, 0, 1]


def test_columns_of_mixed_lists_keep_their_types():
    features = read_features(
        np.array([[1, "a"], [2, "b"], [3, "c"]], dtype=object), 3, "surrogates", "s"
    )
    assert features.names == ("s1", "s2=a", "s2=b", "s2=c")
    assert_array_equal(features.matrix[:, 0], [1, 2, 3])


@pytest.mark.parametrize("dtype", TEXT_DTYPES)
def test_text_becomes_indicators_of_its_sorted_levels(dtype):
    column = pd.Series(["neg", "pos", "neutral", "neg"], dtype=dtype, name="tone")
    features = read_features(column, 4, "surrogates", "s")
    assert features.names == ("tone=neg", "tone=neutral", "tone=pos")
    assert_array_equal(features.matrix, [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]])


def test_unused_categories_are_no_columns():
    column = pd.Series(pd.Categorical(["a", "b", "c"], categories=["z", "c", "b", "a"]), name="x")
    assert read_features(column, 3, "surrogates", "s").names == ("x=a", "x=b", "x=c")


def test_decimals_are_numbers():
    column = [decimal.Decimal("1.5"), decimal.Decimal("2.5"), decimal.Decimal("4")]
    features = read_features(pa.table({"price": pa.array(column)}), 3, "surrogates", "s")
    assert features.names == ("price",)
    assert_array_equal(features.matrix[:, 0], [1.5, 2.5, 4.0])


def test_one_indicator_per_row_is_refused():
    """Identifiers or raw text would make a dense matrix of n x n."""
    column = pd.Series([f"document {i}" for i in range(1500)], name="text")
    with pytest.raises(ValueError, match=r"'text'.*1,500"):
        read_features(column, 1500, "surrogates", "s")


# ---------------------------------------------------------------------- surrogates: messages


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    "values", [[1.0, None, 2.0, None], ["a", None, "b", None], [True, None, False, None]]
)
def test_missing_surrogates_name_column_and_count(kind, values):
    data = FRAMES[kind]({"good": [1, 2, 3, 4], "llm": values})
    with pytest.raises(ValueError, match=r"surrogates: missing values.*'llm' on 2 \(rows 1, 3\)"):
        read_features(data, 4, "surrogates", "s")


@pytest.mark.parametrize("values", [["a", NAN, "b"], ["a", None, "b"], [1.0, NAN, 2.0]])
def test_missing_values_of_a_list_are_not_a_level(values):
    with pytest.raises(ValueError, match=r"missing values.*on 1 \(row 1\)"):
        read_features(values, 3, "surrogates", "s")


def test_infinite_surrogates():
    for column in ([1.0, np.inf, -np.inf], [np.inf, 1.0, 2.0]):
        with pytest.raises(ValueError, match=r"surrogates.*column 's' is infinite"):
            read_features(np.array(column), 3, "surrogates", "s")
    for bad in (NAN, np.inf):
        with pytest.raises(ValueError, match="surrogates: the sparse matrix holds NaN or inf"):
            read_features(sparse.csr_array([[0.0, bad]]), 1, "surrogates", "s")


def test_complex_surrogates():
    with pytest.raises(ValueError, match="(?i)complex"):
        read_features(np.array([1.0, 1j]), 2, "surrogates", "s")


def test_lazy_frames_must_be_collected():
    with pytest.raises((TypeError, ValueError), match="collect"):
        read_features(pl.LazyFrame({"a": [1, 2]}), 2, "surrogates", "s")


def test_duplicated_names():
    twice = pd.DataFrame([[1, 2]] * 3, columns=["a", "a"])
    with pytest.raises(ValueError, match="surrogates: two columns are named 'a'"):
        read_features(twice, 3, "surrogates", "s")
    with pytest.raises(ValueError, match="two columns are named '1'"):
        read_features(pd.DataFrame([[1, 2]] * 3, columns=[1, "1"]), 3, "surrogates", "s")
    with pytest.raises(ValueError, match=r"X.*two columns are named 'a'"):
        dense_or_frame(twice)


def test_names_of_indicators_do_not_collide_with_columns():
    frame = pd.DataFrame({"a": ["u", "b", "c"], "a=b": [1, 2, 3]})
    try:
        names = read_features(frame, 3, "surrogates", "s").names
    except ValueError as error:
        assert "a=b" in str(error)
    else:
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("data", [[1, 2, 3], pl.DataFrame({"a": [1, 2, 3]}), sparse.eye_array(3)])
def test_wrong_lengths(data):
    with pytest.raises(ValueError, match="surrogates has 3, X has 4"):
        read_features(data, 4, "surrogates", "s")


def test_too_many_dimensions():
    with pytest.raises(ValueError, match="one or two dimensions, got 3"):
        read_features(np.zeros((2, 2, 2)), 2, "surrogates", "s")


# ---------------------------------------------------------------------- X


@pytest.mark.parametrize("kind", FRAMES)
def test_numeric_frames_of_any_kind(kind):
    columns = {"a": [1, 2, 3], "b": [0.5, None, 1.0], "c": [True, False, True]}
    X = dense_or_frame(FRAMES[kind](columns))
    assert isinstance(X, pd.DataFrame)
    assert list(X.columns) == ["a", "b", "c"]
    assert (X.dtypes == np.float64).all()
    assert_array_equal(X.to_numpy(), [[1, 0.5, 1], [2, NAN, 0], [3, 1.0, 1]])


@pytest.mark.parametrize(
    "dtype", ["Int64", "Float64", "boolean", "int64[pyarrow]", "double[pyarrow]", "bool[pyarrow]"]
)
def test_nullable_columns_of_x_have_nan(dtype):
    X = dense_or_frame(pd.DataFrame({"a": pd.Series([1, None, 0], dtype=dtype)}))
    assert_array_equal(X["a"].to_numpy(), [1.0, NAN, 0.0])


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_booleans_with_a_gap_are_not_called_text(kind):
    X = dense_or_frame(FRAMES[kind]({"a": [True, None, False]}))
    assert_array_equal(X["a"].to_numpy(), [1.0, NAN, 0.0])


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_x_becomes_dense(container):
    X = dense_or_frame(container(np.eye(3)))
    assert type(X) is np.ndarray
    assert_array_equal(X, np.eye(3))


def test_other_x_is_left_to_scikit_learn():
    array = np.eye(2)
    assert dense_or_frame(array) is array
    assert dense_or_frame([[1, 2]]) == [[1, 2]]


@pytest.mark.parametrize("kind", FRAMES)
def test_text_in_x(kind):
    data = FRAMES[kind]({"region": ["n", "s"], "x": [1, 2]})
    with pytest.raises(ValueError, match="X: column 'region' is not numeric.*get_dummies"):
        dense_or_frame(data)
    both = FRAMES[kind]({"region": ["n", "s"], "party": ["a", "b"]})
    with pytest.raises(ValueError, match="X: columns 'region', 'party' are not numeric"):
        dense_or_frame(both)


def test_to_pandas_leaves_everything_else_alone():
    for thing in (np.eye(2), [1, 2], None, "text", sparse.eye_array(2)):
        assert to_pandas(thing) is thing
    frame = pd.DataFrame({"a": [1]})
    assert to_pandas(frame) is frame
