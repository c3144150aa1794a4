"""Cells, seeds, and that a replicate depends on nothing but its cell and number."""

import numpy as np
import pandas as pd
import pytest
from study_designs import GRID, comparable, make_study

from trueness.simulations.study.grid import digest, expand
from trueness.simulations.study.schema import SCHEMA
from trueness.simulations.study.seeds import Seed


def indexed(frame):
    """Return the comparable columns in an order of their own."""
    keys = [name for name in ("n", "scale") if name in frame]
    return comparable(frame).sort_values([*keys, "replicate", "method", "term"], ignore_index=True)


@pytest.fixture(scope="module")
def frame():
    return make_study().run(progress=False)


@pytest.mark.parametrize(
    "grid",
    [
        {"scale": [2.5, 1.0], "n": [20, 5]},
        [{"n": n, "scale": scale} for n in (20, 5) for scale in (1.0, 2.5)],
        {"n": np.array([5, 20]), "scale": np.array([1.0, 2.5])},
    ],
)
def test_order_and_form_of_the_grid_change_nothing(frame, grid):
    other = make_study(grid).run(progress=False)
    pd.testing.assert_frame_equal(
        indexed(other)[list(comparable(frame))], indexed(frame), check_exact=True
    )


def test_more_cells_replicates_and_methods_change_nothing(frame):
    grid = {"n": [7, 5, 20], "scale": [0.5, 1.0, 2.5]}
    methods = {"twin": make_study().methods["median"], **make_study().methods}
    larger = make_study(grid, methods, n_replicates=45).run(progress=False)
    assert len(larger) == 9 * 45 * 4
    same = larger["n"].isin(GRID["n"]) & larger["scale"].isin(GRID["scale"])
    part = larger[same & (larger["replicate"] < 30) & (larger["method"] != "twin")]
    pd.testing.assert_frame_equal(indexed(part), indexed(frame), check_exact=True)


def test_methods_share_their_random_numbers():
    study = make_study(methods={"one": make_study().methods["median"]} | make_study().methods)
    wide = study.run(progress=False).pivot_table(
        index=["n", "scale", "replicate"], columns="method", values="estimate"
    )
    np.testing.assert_array_equal(wide["one"], wide["median"])


def test_random_state_cells_and_replicates_all_have_their_own_numbers(frame):
    other = make_study(random_state=1).run(progress=False)
    means = pd.concat([frame, other]).query("method == 'Means'")["estimate"]
    assert means.is_unique
    # Nor are samples of one cell those of another in other units.
    rows = frame[(frame["method"] == "Means") & (frame["n"] == 20)]
    assert (rows["estimate"] / rows["scale"]).round(9).is_unique
    assert frame.groupby("seed").size().eq(3).all()
    assert frame["seed"].nunique() == 4 * 30


def test_streams_are_independent_of_each_other():
    cell = digest({"n": 5})
    draws = [
        np.random.default_rng(stream).random(2000)
        for replicate in range(20)
        for stream in Seed(0, cell, replicate).streams()
    ]
    correlations = np.corrcoef(draws)[np.triu_indices(40, 1)]
    # 780 correlations with standard deviation 1/sqrt(2000).
    assert np.abs(correlations).max() < 4.5 / np.sqrt(2000)
    assert 0.9 < correlations.std() * np.sqrt(2000) < 1.1


def test_the_identity_of_a_cell_is_names_types_and_values():
    base = digest({"n": 1, "a": "x"})
    assert digest({"a": "x", "n": 1}) == base
    others = [{"n": 1.0, "a": "x"}, {"n": True, "a": "x"}, {"n": 1, "b": "x"}, {"n": 1, "a": None}]
    others += [{"n": "1", "a": "x"}, {"n": (1,), "a": "x"}, {"n": 1, "a": "x "}]
    assert len({base, *map(digest, others)}) == len(others) + 1
    (plain,) = expand({"n": [3], "p": [0.5]})
    (numpy,) = expand({"n": np.array([3]), "p": [np.float64(0.5)]})
    assert plain == numpy
    assert type(numpy.params["n"]) is int


@pytest.mark.parametrize(
    ("values", "dtype", "shown"),
    [
        ([True, False], "bool", [True, False]),
        ([1, 2], "int64", [1, 2]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([None, 200], None, ["None", "200"]),
        ([(1, 0.5), ()], None, ["(1, 0.5)", "()"]),
        (["a", "b"], None, ["a", "b"]),
        ([2**70, 1], "float64", [float(2**70), 1.0]),
    ],
)
def test_columns_of_the_grid(values, dtype, shown):
    cells = make_study([{"n": 5}]).cells
    assert cells["n"].tolist() == [5]
    column = make_study({"n": values}).cells["n"]
    assert column.tolist() == shown
    assert dtype is None or column.dtype == dtype
    assert not column.isna().any()


def test_a_study_without_grid_has_one_cell():
    frame = make_study(None).run(progress=False)
    assert frame.columns[0] == "replicate"
    assert len(frame) == 30 * 3


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({"n": [lambda: 1]}, TypeError, "look the function up inside the generator"),
        ({"n": [[1, 2]]}, TypeError, "Write a tuple"),
        ({"n": [np.ones(2)]}, TypeError, "Write a tuple"),
        ({"n": [{1}]}, TypeError, "Put a name into the grid"),
        ({"n": [(1, [2])]}, TypeError, "Write a tuple"),
        ({"n": [float("nan")]}, TypeError, "write None"),
        ({"n": "normal"}, TypeError, r"must list the values of 'n'"),
        ({"n": 5}, TypeError, r"must list the values of 'n'"),
        ({"n": {1, 2}}, TypeError, r"in order"),
        ({"n": []}, ValueError, "no value of 'n'"),
        ({"n": [1, 2, 1]}, ValueError, r"the cell n=1 2 times"),
        ({"n": [1, 1.0]}, ValueError, "look the same"),
        ({"n": [1, "1", None]}, ValueError, "look the same"),
        (
            [{"n": 1}, {"scale": 1}],
            ValueError,
            r"Cell 1 of the grid has .*\['scale'\]",
        ),
        ([], TypeError, "list of dicts"),
        (7, TypeError, "dict of lists"),
        ({"n b": [1]}, ValueError, "cannot be an argument"),
        ({3: [1]}, ValueError, "cannot be an argument"),
    ],
)
def test_bad_grids(grid, error, message):
    with pytest.raises(error, match=message):
        make_study(grid)


@pytest.mark.parametrize("name", SCHEMA.names)
def test_names_of_columns_are_reserved(name):
    with pytest.raises(ValueError, match=f"'{name}' cannot be a parameter"):
        make_study({name: [1]})


@pytest.mark.parametrize("name", ["random_state", "mcse", "value"])
def test_other_reserved_names(name):
    with pytest.raises(ValueError, match=f"'{name}' cannot be a parameter"):
        make_study({name: [1]})


@pytest.mark.parametrize("random_state", [None, -1, 0.5, True, np.random.default_rng(0)])
def test_bad_random_states(random_state):
    with pytest.raises(ValueError, match="random_state"):
        make_study(random_state=random_state)


@pytest.mark.parametrize("n_replicates", [0, -3, 2.5, True, "many"])
def test_bad_numbers_of_replicates(n_replicates):
    with pytest.raises(ValueError, match="at least 1"):
        make_study(n_replicates=n_replicates)
