"""The border, second part: outcomes, classes, probabilities and clusters."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from shared import BOOLEAN_DTYPES, FRAMES, NAN, NUMBER_DTYPES, TEXT_DTYPES

from trueness.validation import (
    encode_clusters,
    read_classes,
    read_outcome,
    read_probability,
)

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
    outcome, classes = read_classes(["b", "a", "c", None], 4)
    assert_array_equal(outcome, [1.0, 0.0, 2.0, NAN])
    assert list(classes) == ["a", "b", "c"]
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
