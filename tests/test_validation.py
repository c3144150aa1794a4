"""The border: whatever holds the data, the same arrays and names; and messages for people."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from trueness.validation import (
    check_finite,
    check_level,
    dense_or_frame,
    did_you_mean,
    encode_clusters,
    first_rows,
    read_classes,
    read_features,
    read_outcome,
    read_probability,
    select_columns,
    to_pandas,
)

NAN = float("nan")
FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas on arrow": lambda columns: pd.DataFrame(columns).convert_dtypes(
        dtype_backend="pyarrow"
    ),
}
NUMBER_DTYPES = ["float64", "Float64", "Int64", "int64[pyarrow]", "double[pyarrow]", "object"]
BOOLEAN_DTYPES = ["boolean", "bool[pyarrow]", "object"]
TEXT_DTYPES = ["object", "string", "string[pyarrow]", "category"]


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


# ---------------------------------------------------------------------- outcomes


@pytest.mark.parametrize("dtype", NUMBER_DTYPES)
def test_numeric_outcomes(dtype):
    y = read_outcome(pd.Series([1, None, 2], dtype=dtype, index=[7, 3, 9]), 3)
    assert y.dtype == np.float64
    assert_array_equal(y, [1.0, NAN, 2.0])


@pytest.mark.parametrize(
    "y",
    [
        [1, None, 0],
        [1.0, NAN, 0.0],
        np.array([1.0, NAN, 0.0], dtype=np.float32),
        pd.Series([1, pd.NA, 0], dtype=object),
        pd.Series([True, None, False], dtype="boolean"),
        pl.Series([1, None, 0]),
        pl.Series([True, None, False]),
        pl.Series([1.0, NAN, 0.0]),
        pa.chunked_array([[1, None], [0]]),
        pd.DataFrame({"y": [1, None, 0]}),
        pl.DataFrame({"y": [1, None, 0]}),
        pd.Series([1, 0, None], dtype="category").iloc[[0, 2, 1]],
    ],
)
def test_outcomes_of_any_kind(y):
    assert_array_equal(read_outcome(y, 3), [1.0, NAN, 0.0])


def test_missing_outcomes():
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        read_outcome(None, 3)
    for empty in ([NAN, NAN, NAN], [None] * 3, pd.Series([pd.NA] * 3, dtype="Int64")):
        with pytest.raises(ValueError, match="No row is labelled: y is missing on all 3 rows"):
            read_outcome(empty, 3)
        with pytest.raises(ValueError, match="No row is labelled: y is missing on all 3 rows"):
            read_classes(empty, 3)


def test_infinite_outcomes():
    for dtype in ("float64", "Float64", "double[pyarrow]"):
        y = pd.Series([1.0, np.inf, None, -np.inf], dtype=dtype)
        with pytest.raises(ValueError, match=r"infinity.*rows 1, 3"):
            read_outcome(y, 4)
        with pytest.raises(ValueError, match="infinity"):
            read_classes(y, 4)


@pytest.mark.parametrize(
    "y",
    [
        pd.Series([None, 1.0, "abc"]),
        pd.Series(["abc", "abc", None], dtype="category"),
        pl.Series([None, "abc", "abc"]),
        ["abc", None, None],
    ],
)
def test_text_outcomes_name_the_text(y):
    with pytest.raises(ValueError, match="y must be numbers.*found 'abc', a str"):
        read_outcome(y, 3)


def test_dates_are_not_outcomes():
    dates = pd.Series(pd.to_datetime(["2020-01-01", None, "2020-01-03"]))
    with pytest.raises(ValueError, match="y must be numbers"):
        read_outcome(dates, 3)


def test_complex_outcomes():
    with pytest.raises(ValueError, match="Complex data not supported"):
        read_outcome(np.array([1.0, 1j, 2.0]), 3)


@pytest.mark.parametrize("reader", [read_outcome, read_classes])
def test_outcomes_of_the_wrong_shape(reader):
    with pytest.raises(ValueError, match="y has 2, X has 3"):
        reader([0.0, 1.0], 3)
    with pytest.raises(ValueError, match="1d array"):
        reader(np.zeros((3, 2)), 3)


# ---------------------------------------------------------------------- classes


@pytest.mark.parametrize("dtype", TEXT_DTYPES)
def test_text_classes(dtype):
    y = pd.Series(["yes", None, "no", "yes"], dtype=dtype, index=[3, 2, 1, 0])
    outcome, classes = read_classes(y, 4)
    assert_array_equal(outcome, [1.0, NAN, 0.0, 1.0])
    assert list(classes) == ["no", "yes"]


@pytest.mark.parametrize(
    "y", [["yes", None, "no"], ["yes", NAN, "no"], pl.Series(["yes", None, "no"])]
)
def test_text_classes_outside_pandas(y):
    outcome, classes = read_classes(y, 3)
    assert_array_equal(outcome, [1.0, NAN, 0.0])
    assert list(classes) == ["no", "yes"]


@pytest.mark.parametrize("dtype", NUMBER_DTYPES)
def test_numeric_classes(dtype):
    outcome, classes = read_classes(pd.Series([2, None, 5, 2], dtype=dtype), 4)
    assert_array_equal(outcome, [0.0, NAN, 1.0, 0.0])
    assert list(classes) == [2, 5]


@pytest.mark.parametrize("dtype", BOOLEAN_DTYPES)
def test_boolean_classes(dtype):
    outcome, classes = read_classes(pd.Series([True, None, False], dtype=dtype), 3)
    assert_array_equal(outcome, [1.0, NAN, 0.0])
    assert list(classes) == [False, True]


def test_floats_with_nan():
    outcome, classes = read_classes(np.array([NAN, -1.0, 1.0, NAN]), 4)
    assert_array_equal(outcome, [NAN, 0.0, 1.0, NAN])
    assert_array_equal(classes, [-1.0, 1.0])


def test_three_classes_and_one():
    with pytest.raises(ValueError, match=r"Only binary.*3 values \(a, b, c\)"):
        read_classes(["a", "b", "c", None], 4)
    with pytest.raises(ValueError, match=r"7 values \(0, 1, 2, 3, 4, \.\.\.\)"):
        read_classes(list(range(7)), 7)
    with pytest.raises(ValueError, match="one class only among the 2 labelled rows.*'a'"):
        read_classes(["a", None, "a"], 3)


def test_continuous_classes():
    with pytest.raises(ValueError, match="continuous"):
        read_classes([0.1, 0.5, 0.7], 3)


# ---------------------------------------------------------------------- probabilities


@pytest.mark.parametrize(
    "values",
    [
        [0.25, 1.0, 0.5],
        np.array([0.25, 1.0, 0.5]),
        pd.Series([0.25, 1.0, 0.5], index=[2, 0, 1]),
        pd.Series([0.25, 1.0, 0.5], dtype="Float64"),
        pl.Series([0.25, 1.0, 0.5]),
        pa.chunked_array([[0.25, 1.0, 0.5]]),
    ],
)
def test_probabilities_of_any_kind(values):
    assert_array_equal(read_probability(values, 3), [0.25, 1.0, 0.5])


@pytest.mark.parametrize("value", [0.2, np.float64(0.2), np.array(0.2)])
def test_one_probability_for_all(value):
    assert_array_equal(read_probability(value, 3), [0.2, 0.2, 0.2])


@pytest.mark.parametrize("gap", [NAN, None])
def test_missing_probabilities(gap):
    with pytest.raises(ValueError, match=r"missing on 2 of 4 rows \(rows 0, 3\)"):
        read_probability([gap, 0.5, 0.5, gap], 4)


@pytest.mark.parametrize("outside", [0.0, -0.1, 1.0001, np.inf])
def test_probabilities_outside(outside):
    with pytest.raises(ValueError, match=r"outside \(0, 1\] on 1 of 3 rows \(row 1, for example"):
        read_probability([0.5, outside, 1.0], 3)


def test_probabilities_of_the_wrong_kind():
    with pytest.raises(ValueError, match="sampling_probability has 2, X has 3"):
        read_probability([0.5, 0.5], 3)
    with pytest.raises(ValueError, match="sampling_probability must be numbers.*'high'"):
        read_probability(["high", "low", "low"], 3)
    with pytest.raises(ValueError, match="sampling_probability"):
        read_probability(np.full((3, 2), 0.5), 3)


# ---------------------------------------------------------------------- clusters


@pytest.mark.parametrize(
    "clusters",
    [
        ["b", "a", "b", "c"],
        [7, 3, 7, 9],
        [0.5, 0.1, 0.5, 0.7],
        np.array(["b", "a", "b", "c"]),
        pd.Series(["b", "a", "b", "c"], index=[3, 1, 2, 0]),
        pd.Series(["b", "a", "b", "c"], dtype="category"),
        pd.Series([7, 3, 7, 9], dtype="Int64"),
        pd.Series(["b", "a", "b", "c"], dtype="string[pyarrow]"),
        pl.Series(["b", "a", "b", "c"]),
        pa.chunked_array([["b", "a"], ["b", "c"]]),
        pd.DataFrame({"firm": ["b", "a", "b", "c"]}),
        np.array([[7], [3], [7], [9]]),
    ],
)
def test_clusters_of_any_kind(clusters):
    codes = encode_clusters(clusters, 4)
    assert codes.shape == (4,)
    assert codes.dtype.kind == "i"
    assert codes[0] == codes[2]
    assert sorted(set(codes)) == [0, 1, 2]


@pytest.mark.parametrize("kind", FRAMES)
def test_two_way_clusters(kind):
    frame = FRAMES[kind]({"firm": ["b", "a", "b", "c"], "year": [1990, 1990, 1991, 1991]})
    codes = encode_clusters(frame, 4)
    assert codes.shape == (4, 2)
    assert len({*codes[[0, 2], 0]}) == 1
    assert len({*codes[:, 0]}) == 3
    assert codes[0, 1] == codes[1, 1] != codes[2, 1] == codes[3, 1]


@pytest.mark.parametrize("kind", FRAMES)
def test_missing_clusters(kind):
    frame = FRAMES[kind]({"firm": ["b", None, "b", "c"], "year": [1, 2, 3, 4]})
    with pytest.raises(ValueError, match=r"clusters: column 'firm' is missing on 1 of 4.*row 1"):
        encode_clusters(frame, 4)


@pytest.mark.parametrize("clusters", [["a", NAN, "b"], ["a", None, "b"], [1.0, NAN, 2.0]])
def test_missing_clusters_of_a_list_are_no_cluster(clusters):
    with pytest.raises(ValueError, match=r"is missing on 1 of 3 rows \(row 1\)"):
        encode_clusters(clusters, 3)


def test_cluster_errors():
    with pytest.raises(ValueError, match="clusters has 2, X has 3"):
        encode_clusters([1, 2], 3)
    with pytest.raises(ValueError, match="one or two columns are possible, got 3"):
        encode_clusters(np.arange(12).reshape(4, 3), 4)
    with pytest.raises(ValueError, match=r"all rows are in one cluster \('a'\)"):
        encode_clusters(["a", "a"], 2)
    with pytest.raises(ValueError, match="all rows are in one cluster"):
        encode_clusters(pd.DataFrame({"firm": [1, 2], "year": [3, 3]}), 2)
