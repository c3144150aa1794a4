"""The frame of a study: how rows are grouped, of what kind it may be, what is refused."""

import numpy as np
import pandas as pd
import pytest
from shared import FRAMES
from study_frames import NAN, grid, hand_made

from trueness.simulations.performance import compare_methods, performance
from trueness.simulations.performance.frame import FRAME_COLUMNS, RESULT_COLUMNS


def test_groups_are_cells_methods_and_terms_in_order_of_appearance():
    result = performance(grid())
    wide = result.to_frame(wide=True)
    assert result.parameters == ("n", "kind")
    assert list(wide.columns[:5]) == ["n", "kind", "method", "term", "n_replicates"]
    assert wide["n"].tolist() == [10] * 8 + [20] * 8
    assert wide["kind"].isna().tolist() == ([False] * 4 + [True] * 4) * 2
    assert wide["method"].tolist() == list("aabb") * 4
    assert wide["term"].tolist() == list("xy") * 8
    expected = 1 + wide["n"] + 2 * (wide["method"] == "b") + (wide["term"] == "y")
    np.testing.assert_allclose(wide["bias"], expected)


@pytest.mark.parametrize("by", ["n", ["n"], ["n", "method"]])
def test_by_pools_the_other_parameters(by):
    wide = performance(grid(), by).to_frame(wide=True)
    assert list(wide.columns[:4]) == ["n", "method", "term", "n_replicates"]
    assert len(wide) == 8
    assert (wide["n_replicates"] == 8).all()
    everything = performance(grid(), by=[]).to_frame(wide=True)
    assert list(everything.columns[:3]) == ["method", "term", "n_replicates"]
    assert everything["bias"].tolist() == [16, 17, 18, 19]


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    frame = pd.concat(
        [grid().assign(replicate=lambda d, i=i: d["replicate"] + 4 * i) for i in (0, 1)]
    )
    frame["estimate"] += rng.standard_normal(len(frame))
    keys = ["n", "kind", "method", "term"]
    one = performance(frame).to_frame(wide=True).sort_values(keys, ignore_index=True)
    shuffled = frame.sample(frac=1, random_state=1)
    two = performance(shuffled).to_frame(wide=True).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(one, two, rtol=1e-10)


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_every_kind(kind):
    frame = hand_made().assign(n=10)
    columns = {name: frame[name].tolist() for name in frame}
    expected = performance(frame).to_frame()
    result = performance(FRAMES[kind](columns)).to_frame()
    pd.testing.assert_frame_equal(result, expected, check_dtype=False)


def test_long_and_wide_frames_hold_the_same():
    result = performance(grid())
    long, wide = result.to_frame(), result.to_frame(wide=True)
    assert len(long) == len(wide) * len(result.measures)
    for name in result.measures:
        rows = long[long["measure"] == name]
        np.testing.assert_array_equal(rows["value"], wide[name])
        np.testing.assert_array_equal(rows["mcse"], wide[f"{name}_mcse"])
    long["value"] = 0.0
    assert result.to_frame()["value"].abs().max() > 0


# ------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns="method"), "no column is named 'method'"),
        (lambda d: d.iloc[:0], "no rows; run the study first"),
        (lambda d: d.assign(value=1), r"\['value'\] cannot be parameters"),
        (lambda d: d.assign(estimate="1.0"), "'estimate' must hold numbers"),
        (lambda d: d.assign(p_value=[[1]] * 5), "'p_value' must hold numbers"),
        (lambda d: d.assign(converged="yes"), "'converged' must hold true or false"),
        (lambda d: d.assign(n=[[1]] * 5), "'n' holds lists or other objects"),
        (
            lambda d: pd.concat([d, d.iloc[[1]]]),
            "1 rows repeat another row, the first at replicate",
        ),
        (lambda d: d.assign(estimand=[1, NAN, 1, 1, NAN]), "known in 75% of the replicates"),
        (lambda d: d.rename(columns={"error": "p_value"}), "appear more than once"),
    ],
)
def test_bad_frames(change, message):
    with pytest.raises(ValueError, match=message):
        performance(change(hand_made()))


def test_bad_arguments():
    with pytest.raises(TypeError, match="frame is a list"):
        performance([1, 2])
    with pytest.raises(ValueError, match=r"by: 'N' is no parameter of the grid. Did you mean 'n'"):
        performance(hand_made().assign(n=1), by="N")
    with pytest.raises(ValueError, match="The study has one cell"):
        performance(hand_made(), by="m")
    with pytest.raises(ValueError, match="level=95"):
        performance(hand_made(), level=95)
    for function in (performance, lambda frame, **o: compare_methods(frame, "ols", **o)):
        with pytest.raises(ValueError, match="alpha=0 must"):
            function(hand_made(), alpha=0)
    result = performance(hand_made().assign(bias=1))
    with pytest.raises(ValueError, match=r"\['bias'\] are named like measures"):
        result.to_frame(wide=True)
    with pytest.raises(ValueError, match=r"no measure 'rsme'. Did you mean 'rmse'"):
        result.select("rsme")


@pytest.mark.parametrize("name", RESULT_COLUMNS)
def test_every_column_of_the_result_is_reserved(name):
    with pytest.raises(ValueError, match="cannot be parameters"):
        performance(hand_made().assign(**{name: 1}))


def test_reserved_names_are_those_of_the_frames():
    assert not set(RESULT_COLUMNS) & set(FRAME_COLUMNS)
    columns = performance(hand_made().assign(n=1)).to_frame().columns
    assert set(columns) == {"n", "method", "term", *RESULT_COLUMNS}
